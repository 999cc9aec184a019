//! The MIBs: KEEPALIVED-MIB, RFC 2787 (version 2) and RFC 6527 (version 3). Names, numbers and types are those of the published
//! files; what they leave open is as keepalived does it.

mod check;
mod rfc;
mod routing;
mod traps;
mod vrrp;

pub use traps::{Alarm, Event, Known, binds};

use crate::oid::Oid;
use crate::session::Subtrees;
use crate::view::{View, address, family, gauge, text, truth};
use crate::wire::Value;
use std::net::IpAddr;
use steadfast_config::model::{Config, FlushOnStop, Script, Track};
use steadfast_core::State;
use steadfast_status::{Instance, Snapshot, live};

/// 1.3.6.1.4.1.9586.100.5
const KEEPALIVED: [u32; 9] = [1, 3, 6, 1, 4, 1, 9586, 100, 5];
/// RFC 2787: 1.3.6.1.2.1.68
const RFC_2787: [u32; 7] = [1, 3, 6, 1, 2, 1, 68];
/// RFC 6527: 1.3.6.1.2.1.207
const RFC_6527: [u32; 7] = [1, 3, 6, 1, 2, 1, 207];

/// Below a root.
fn at(root: &[u32], more: &[u32]) -> Oid {
    Oid::new(root).with(more)
}

/// Which parts are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Parts {
    pub vrrp: bool,
    pub checker: bool,
    pub rfc_2787: bool,
    pub rfc_6527: bool,
}

impl Parts {
    /// As the configuration says; `all`: whatever it says.
    pub fn of(c: &Config, all: bool) -> Self {
        let g = &c.globals;
        Parts {
            vrrp: g.snmp_vrrp || all,
            checker: g.snmp_checker || all,
            rfc_2787: g.snmp_rfcv2 || all,
            rfc_6527: g.snmp_rfcv3 || all,
        }
    }

    /// The subtrees to register.
    pub fn subtrees(&self) -> Subtrees {
        let mut all = Vec::new();
        let own = |n: u32| at(&KEEPALIVED, &[n]);
        if self.vrrp || self.checker {
            all.push((own(1), "KEEPALIVED-MIB, what the daemon is"));
        }
        if self.vrrp {
            all.push((own(2), "KEEPALIVED-MIB, virtual routers"));
        }
        if self.checker {
            all.push((own(3), "KEEPALIVED-MIB, virtual servers"));
        }
        if self.rfc_2787 {
            all.push((Oid::new(RFC_2787), "VRRP-MIB of RFC 2787"));
        }
        if self.rfc_6527 {
            all.push((Oid::new(RFC_6527), "VRRPV3-MIB of RFC 6527"));
        }
        all
    }
}

/// All that the tables are made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which parts.
    pub parts: Parts,
    /// Name and version of the daemon.
    pub version: &'a str,
    /// Name of the host, where no router id is configured.
    pub host: &'a str,
    /// The configuration.
    pub config: &'a Config,
    /// What the VRRP child said last.
    pub vrrp: Option<&'a Snapshot>,
    /// What the checker child said last.
    pub checker: Option<&'a live::Checker>,
    /// What the BFD child said last.
    pub bfd: Option<&'a live::Bfd>,
    /// The master's sysUpTime now, in hundredths of a second.
    pub uptime: u32,
}

impl<'a> Facts<'a> {
    fn instance(&self, name: &str) -> Option<&'a Instance> {
        self.vrrp?.instances.iter().find(|i| i.name == name)
    }

    /// Index of a link; 0 where there is none.
    fn link(&self, name: &str) -> u32 {
        self.vrrp.and_then(|v| v.links.iter().find(|l| l.0 == name)).map_or(0, |l| l.1)
    }

    fn router_id(&self) -> &'a str {
        self.config.globals.router_id.as_deref().unwrap_or(self.host)
    }
}

/// Everything at this moment.
pub fn view(f: &Facts<'_>) -> View {
    let mut v = View::default();
    if f.parts.vrrp || f.parts.checker {
        global(&mut v, f);
    }
    if f.parts.vrrp {
        vrrp::fill(&mut v, f);
        routing::fill(&mut v, f);
    }
    if f.parts.checker {
        check::fill(&mut v, f);
    }
    if f.parts.rfc_2787 {
        rfc::version_2(&mut v, f);
    }
    if f.parts.rfc_6527 {
        rfc::version_3(&mut v, f);
    }
    v
}

fn global(v: &mut View, f: &Facts<'_>) {
    let g = &f.config.globals;
    let root = at(&KEEPALIVED, &[1]);
    let mail = root.with(&[3]);
    // INTEGER { on(1), off(2), unset(3) }
    let switch = |s: Option<bool>| Value::Integer(s.map_or(3, |on| if on { 1 } else { 2 }));
    v.scalar(&root, 1, text(f.version));
    v.scalar(&root, 2, text(f.router_id()));
    v.columns(&mail, 1..=10);
    if let Some((host, port)) = &g.smtp_server {
        // A name is dns(16).
        let ip = host.parse::<IpAddr>().ok();
        v.scalar(&mail, 1, Value::Integer(ip.map_or(16, family)));
        v.scalar(&mail, 2, ip.map_or_else(|| text(host), address));
        v.scalar(&mail, 3, gauge(g.smtp_connect_timeout.unwrap_or(30)));
        v.scalar(&mail, 6, gauge(*port));
    }
    if let Some(from) = &g.notification_email_from {
        v.scalar(&mail, 4, text(from));
    }
    let emails = mail.with(&[5, 1]);
    v.columns(&emails, [2]);
    for (n, a) in (1..).zip(&g.notification_email) {
        v.row(&emails, [n]).text(2, a);
    }
    v.scalar(&mail, 7, truth(!g.no_email_faults));
    v.scalar(&mail, 8, switch(g.smtp_alert));
    v.scalar(&mail, 9, switch(g.smtp_alert_vrrp));
    v.scalar(&mail, 10, switch(g.smtp_alert_checker));
    v.scalar(&root, 4, truth(g.snmp_traps));
    // The kernel tells of links: netlink(1).
    v.scalar(&root, 5, Value::Integer(1));
    v.scalar(&root, 6, truth(g.lvs_flush));
    v.scalar(&root, 7, truth(true));
    v.scalar(&root, 8, text(f.config.process.net_namespace.as_deref().unwrap_or("")));
    v.scalar(&root, 9, truth(g.enable_dbus));
    v.scalar(&root, 10, truth(g.dynamic_interfaces));
    v.scalar(
        &root,
        11,
        Value::Integer(match g.lvs_flush_on_stop {
            Some(FlushOnStop::Everything) => 1,
            None => 2,
            Some(FlushOnStop::Ours) => 3,
        }),
    );
}

/// VrrpState of KEEPALIVED-MIB.
fn state(s: Option<State>) -> i32 {
    match s {
        Some(State::Init) => 0,
        Some(State::Backup) => 1,
        Some(State::Master) => 2,
        Some(State::Fault) => 3,
        None => 4,
    }
}

/// A command as keepalived shows it: each word in quotes.
fn command(s: &Script) -> String {
    let words: Vec<String> = match &s.shell {
        Some(_) => return s.text.clone(),
        None => s.argv.iter().map(|a| format!("'{a}'")).collect(),
    };
    words.join(" ")
}

/// Weight and direction of a tracker: its own, or those of what it tracks.
fn weight(t: &Track, of: (i32, bool)) -> (i32, bool) {
    (t.weight.unwrap_or(of.0), t.reverse.unwrap_or(of.1))
}
