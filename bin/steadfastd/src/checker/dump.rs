//! The data dump of SIGUSR1 (`keepalived_check.data`): keepalived's sections and keys, as 2.2.7 was seen to write them. What a key
//! of a virtual or real server only hands on to its checks (times, alpha) stands with the checks alone.

use super::Role;
use super::live::kind;
use std::collections::HashMap;
use std::fmt::{Display, Write};
use std::time::Duration;
use steadfast_checkers::{
    CheckKind, CheckView, HttpCheck, HttpVersion, Script, ServerView, ServiceId, ServiceView, Suspend, Target, Url,
};
use steadfast_core::Family;
use steadfast_core::ipvs::{Checksum, Forward, Granularity, Protocol, ServiceKey, Tunnel};
use steadfast_sys::{files, schedule};

/// The text as it grows. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn line(&mut self, blanks: usize, text: impl Display) {
        let _ = writeln!(self.0, "{:blanks$}{text}", "");
    }

    fn row(&mut self, blanks: usize, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{:blanks$}{key} = {value}", "");
    }

    /// A program, and the account that it runs as.
    fn script(&mut self, blanks: usize, key: &str, s: &Script) {
        let (uid, gid) = s.user.unwrap_or((0, 0));
        self.row(blanks, key, format_args!("{}, uid:gid {uid}:{gid}", quoted(s)));
    }
}

fn quoted(s: &Script) -> String {
    s.argv.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ")
}

fn switch(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

fn yes(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

fn on_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

fn forward(f: Forward) -> String {
    let sum = |c| match c {
        Checksum::None => "no checksum",
        Checksum::Full => "checksum",
        Checksum::Remote => "remote checksum",
    };
    match f {
        Forward::Nat => "NAT".into(),
        Forward::Direct => "DR".into(),
        Forward::Tunnel(Tunnel::Ipip) => "TUN, type = IPIP".into(),
        Forward::Tunnel(Tunnel::Gue { port, checksum }) => format!("TUN, type = GUE, port = {port}, {}", sum(checksum)),
        Forward::Tunnel(Tunnel::Gre { checksum }) => format!("TUN, type = GRE, {}", sum(checksum)),
        Forward::Local => "LOCAL".into(),
        Forward::Bypass => "BYPASS".into(),
    }
}

/// Names of the questions that can be asked (RFC 1035 section 3.2.2 and later ones).
fn question(kind: u16) -> String {
    let known = [
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (46, "RRSIG"),
        (48, "DNSKEY"),
    ];
    known.iter().find(|(n, _)| *n == kind).map_or_else(|| kind.to_string(), |(_, name)| (*name).into())
}

fn service(page: &mut Page, v: &ServiceView<'_>, balanced: bool) {
    let (c, s) = (v.config, &v.config.service);
    page.line(1, "------< Virtual server >------");
    let six = match &c.id {
        ServiceId::One(ServiceKey::Address { address, port, .. }) => {
            page.line(1, format_args!("VS VIP = {address}, VPORT = {port}"));
            address.is_ipv6()
        }
        ServiceId::One(ServiceKey::Mark { mark, family }) => {
            page.line(1, format_args!("VS FWMARK = {mark}"));
            *family == Family::V6
        }
        ServiceId::Group { .. } => {
            page.line(1, format_args!("VS GROUP = {}", v.name));
            c.servers.iter().any(|r| r.address.is_ipv6())
        }
    };
    page.row(3, "Address family", if six { "inet6" } else { "inet" });
    page.row(3, "lvs_sched", &s.scheduler);
    let flags: &[&str] = match s.scheduler.as_str() {
        "sh" => &["sh-fallback", "sh-port"],
        "mh" => &["mh-fallback", "mh-port"],
        _ => &["flag-1", "flag-2", "flag-3"],
    };
    for (bit, name) in flags.iter().enumerate() {
        page.row(3, name, switch(s.scheduler_flags >> bit & 1 == 1));
    }
    page.row(3, "One packet scheduling", switch(s.one_packet));
    if let Some(p) = s.persistence {
        page.row(3, "persistence timeout", p.timeout);
        if let Some(granularity) = p.granularity {
            let shown = match granularity {
                Granularity::Mask(mask) => std::net::Ipv4Addr::from(mask).to_string(),
                Granularity::Prefix(bits) => bits.to_string(),
            };
            page.row(3, "persistence granularity", shown);
        }
    }
    if let Some(engine) = &s.engine {
        page.row(3, "persistence engine", engine);
    }
    page.row(3, "protocol", c.id.protocol().map_or("none".into(), |p| p.word().to_uppercase()));
    page.line(3, format_args!("omega is {}", on_off(c.omega)));
    page.row(3, "quorum", format_args!("{}, hysteresis = {}", c.quorum, c.hysteresis));
    for (key, s) in [("Quorum up notify script", &c.quorum_up), ("Quorum down notify script", &c.quorum_down)] {
        s.iter().for_each(|s| page.script(3, key, s));
    }
    match &c.suspend {
        Suspend::Never => {}
        Suspend::WithoutAddress => page.line(3, "Using HA suspend"),
        Suspend::WithoutInstance(name) => page.line(3, format_args!("Using HA suspend of {name}")),
    }
    page.row(3, "Using smtp notification", yes(c.smtp_alert));
    if let (Some((name, serves)), Some(sorry)) = (&v.sorry, &c.sorry) {
        page.row(3, "sorry server", name);
        page.row(5, "forwarding method", forward(sorry.forward));
        page.line(5, format_args!("Inhibit on failure is {}", on_off(sorry.inhibit)));
        page.row(5, "serves", yes(*serves));
    }
    if let Some(limit) = c.panic_threshold {
        page.row(3, "panic threshold", format_args!("{limit}, panic = {}", yes(v.panic)));
    }
    page.row(3, "alive", u8::from(balanced));
    page.row(3, "quorum_state_up", u8::from(v.quorum));
    page.row(3, "live weight", v.live_weight);
    page.row(3, "checks", if v.active { "running" } else { "suspended" });
    v.servers.iter().for_each(|r| server(page, r));
}

fn server(page: &mut Page, r: &ServerView<'_>) {
    let c = r.config;
    page.line(3, "------< Real server >------");
    page.line(
        3,
        format_args!("RIP = {}, RPORT = {}, WEIGHT = {} EFF WEIGHT = {}", c.address, c.port, c.weight, r.weight),
    );
    page.row(3, "forwarding method", forward(c.forward));
    page.row(3, "connection limit range", format_args!("{} -> {}", c.lower, c.upper));
    page.line(3, format_args!("Inhibit on failure is {}", on_off(c.inhibit)));
    for (key, s) in [("RS up notify script", &c.notify_up), ("RS down notify script", &c.notify_down)] {
        s.iter().for_each(|s| page.script(5, key, s));
    }
    page.row(3, "Using smtp notification", yes(c.smtp_alert));
    page.row(3, "initial weight", c.weight);
    page.row(3, "effective weight", r.weight);
    for (key, time) in [("slow start", c.slow_start), ("drain time", c.drain)] {
        if !time.is_zero() {
            page.row(3, key, seconds(time));
        }
    }
    if r.drained || r.agent_drains {
        page.row(3, "drained by", if r.drained { "the operator" } else { "its agent" });
    }
    page.row(3, "alive", u8::from(r.up));
    page.row(3, "num failed checkers", r.checks.iter().filter(|c| !c.good).count());
    page.row(3, "RS set", u8::from(r.up || c.inhibit));
    for heading in ["Tracked Files", "Tracked BFDs"] {
        let names: Vec<String> = r
            .checks
            .iter()
            .filter_map(|c| match &c.check.kind {
                CheckKind::File { name, weight, reverse } if heading == "Tracked Files" => {
                    Some(format!("{name}, weight {weight}{}", if *reverse { " reverse" } else { "" }))
                }
                CheckKind::Bfd { name } if heading == "Tracked BFDs" => Some(name.clone()),
                _ => None,
            })
            .collect();
        if !names.is_empty() {
            page.line(3, heading);
            names.iter().for_each(|name| page.line(5, name));
        }
    }
}

fn seconds(d: Duration) -> String {
    format!("{:.6}", d.as_secs_f64())
}

fn check(page: &mut Page, v: &ServiceView<'_>, r: &ServerView<'_>, c: &CheckView<'_>) {
    let (t, kind_of) = (&c.check.timing, &c.check.kind);
    let capital = |on: bool| if on { "Yes" } else { "No" };
    page.line(1, format_args!("{} -> {}", v.name, r.name));
    page.row(3, "Enabled", yes(v.active));
    page.row(3, "Up", yes(c.good));
    page.row(3, "Has run", yes(c.took.is_some() || c.reason.is_some()));
    let is_told = matches!(kind_of, CheckKind::File { .. } | CheckKind::Bfd { .. });
    if !is_told {
        page.row(3, "Alpha", yes(t.alpha));
        page.row(3, "Delay loop", format_args!("{} us", t.delay_loop.as_micros()));
        page.row(3, "Warmup", format_args!("{} us", t.warmup.as_micros()));
        page.row(3, "Retries", t.retry);
        page.row(3, "Delay before retry", format_args!("{} us", t.delay_before_retry.as_micros()));
        page.row(3, "Rise", t.rise);
        page.row(3, "Fall", t.fall);
    }
    page.row(3, "Log all failures", yes(t.log_all_failures));
    if let Some(target) = target(kind_of) {
        page.line(3, "Connection");
        let (to, port) = (target.address.ip(), target.address.port());
        page.row(5, "Dest", format_args!("[{to}]:{port}"));
        if target.bind.is_some() || target.bind_port.is_some() {
            let port = target.bind_port.map(|p| format!(":{p}")).unwrap_or_default();
            page.row(5, "Bind to", format_args!("[{}]{port}", target.bind.map(|a| a.to_string()).unwrap_or_default()));
        }
        target.interface.iter().for_each(|link| page.row(5, "Bind i/f", link));
        if target.mark != 0 {
            page.row(5, "Mark", target.mark);
        }
        page.row(5, "Timeout", seconds(target.timeout));
    }
    let word = kind(kind_of);
    match kind_of {
        CheckKind::Http(h) => http(page, word, h),
        _ => page.row(3, "Keepalive method", word),
    }
    match kind_of {
        CheckKind::Tcp(_) | CheckKind::Ping(_) | CheckKind::Http(_) => {}
        CheckKind::Smtp { helo, .. } => page.row(3, "helo", helo),
        CheckKind::Dns { kind, name, .. } => {
            page.row(3, "Type", question(*kind));
            page.row(3, "Name", name);
        }
        CheckKind::Udp { payload, reply, .. } => {
            page.row(3, "Payload len", payload.len());
            page.row(3, "Require reply", yes(reply.is_some()));
            if let Some(reply) = reply {
                page.row(5, "Min reply length", reply.min);
                page.row(5, "Max reply length", reply.max);
                page.row(5, "Reply data len", reply.pattern.len());
                page.row(5, "Reply data mask", yes(reply.pattern.iter().any(|(_, mask)| *mask != 0xff)));
            }
        }
        CheckKind::Misc { script, timeout, dynamic } => {
            let (uid, gid) = script.user.unwrap_or((0, 0));
            page.row(3, "script", quoted(script));
            page.row(3, "timeout", timeout.as_secs_f64());
            page.row(3, "dynamic", if *dynamic { "YES" } else { "NO" });
            page.row(3, "uid:gid", format_args!("{uid}:{gid}"));
        }
        CheckKind::File { name, weight, reverse } => {
            page.row(5, "Tracked file", name);
            page.row(5, "Weight", format_args!("{weight}, reverse = {}", capital(*reverse)));
        }
        CheckKind::Bfd { name } => page.row(5, "BFD instance", name),
        CheckKind::Grpc(g) => page.row(3, "Service", format_args!("'{}'", g.service)),
        CheckKind::Agent { send, .. } => page.row(3, "Bytes sent first", send.len()),
    }
    if let Some(why) = c.reason.as_ref().filter(|_| !c.good) {
        page.row(3, "Last failure", why);
    }
    if let Some(took) = c.took {
        page.row(3, "Last try took", seconds(took));
    }
}

fn target(k: &CheckKind) -> Option<&Target> {
    Some(match k {
        CheckKind::Tcp(t) | CheckKind::Ping(t) => t,
        CheckKind::Http(h) => &h.target,
        CheckKind::Grpc(g) => &g.target,
        CheckKind::Smtp { target, .. }
        | CheckKind::Dns { target, .. }
        | CheckKind::Udp { target, .. }
        | CheckKind::Agent { target, .. } => target,
        CheckKind::Misc { .. } | CheckKind::File { .. } | CheckKind::Bfd { .. } => return None,
    })
}

fn http(page: &mut Page, word: &str, h: &HttpCheck) {
    let version = match h.version {
        HttpVersion::V10 => "1.0",
        HttpVersion::V10Close => "1.0C",
        HttpVersion::V11 => "1.1",
        HttpVersion::V2 => "2",
    };
    page.row(3, "Keepalive method", format_args!("{word}, http protocol {version}"));
    let sni = h.urls.iter().any(|u| u.sni.is_some());
    page.line(3, format_args!("Enable SNI {}", if sni { "set" } else { "unset" }));
    if let Some(ca) = h.tls.as_ref().and_then(|t| t.ca.as_ref()) {
        page.row(3, "Certificate verified by", ca);
    }
    h.urls.iter().for_each(|u| url(page, u));
}

fn url(page: &mut Page, u: &Url) {
    page.row(3, "Checked url", &u.path);
    if let Some(digest) = &u.digest {
        page.row(5, "digest", digest.iter().map(|b| format!("{b:02x}")).collect::<String>());
    }
    page.line(5, "HTTP Status Code(s)");
    let usual = [(200, 299)];
    for (low, high) in if u.status.is_empty() { &usual } else { u.status.as_slice() } {
        page.line(7, if low == high { low.to_string() } else { format!("{low}-{high}") });
    }
    if let Some(host) = &u.host {
        page.row(5, "Virtual host", host);
    }
    if let Some(r) = &u.regex {
        page.row(5, "Regex", format_args!("\"{}\"", r.pattern));
        if r.no_match {
            page.line(5, "Regex no match");
        }
        if r.min_offset > 0 || r.max_offset.is_some() {
            let most = r.max_offset.map_or("none".into(), |n| n.to_string());
            page.row(5, "Regex min offset", format_args!("{}, max_offset = {most}", r.min_offset));
        }
        let options = [
            ("caseless", r.caseless),
            ("dotall", r.dotall),
            ("multiline", r.multiline),
            ("extended", r.extended),
            ("ungreedy", r.ungreedy),
            ("utf", r.utf),
            ("dollar_endonly", r.dollar_endonly),
        ];
        let set: Vec<&str> = options.iter().filter(|(_, on)| *on).map(|(name, _)| *name).collect();
        if !set.is_empty() {
            page.line(5, format_args!("Regex options: {}", set.join(" ")));
        }
    }
}

impl Role {
    /// Writes it.
    pub(super) fn dump(&mut self) {
        let (path, written) = (&self.plan.checker_dump, &self.plan.written);
        log::info!("Printing checker data for process({}) on signal: {}", schedule::pid(), path.display());
        let mut page = Page(written.heading() + &written.ssl());
        let services = self.pool.services();
        let balanced = self.balancer.trouble().is_none();
        page.line(0, "------< LVS Topology >------");
        if !written.groups.is_empty() {
            page.line(1, "------< Virtual server group >------");
        }
        let mut served: HashMap<(&str, Protocol), usize> = HashMap::new();
        for s in services.iter().filter(|_| balanced) {
            if let ServiceId::Group { name, protocol } = &s.config.id {
                *served.entry((name, *protocol)).or_default() += 1;
            }
        }
        for (name, [four, six], entries) in &written.groups {
            page.line(1, format_args!("Virtual Server Group = {name}, IPv4 = {}, IPv6 = {}", yes(*four), yes(*six)));
            let of = |protocol: Protocol| served.get(&(name.as_str(), protocol)).copied().unwrap_or(0);
            let [tcp, udp, sctp] = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].map(of);
            for entry in entries {
                page.line(3, entry);
                if entry.starts_with("FWMARK") {
                    let of = |there: &bool| if *there { tcp + udp + sctp } else { 0 };
                    page.line(5, format_args!("Alive: {} IPv4, {} IPv6", of(four), of(six)));
                } else {
                    page.line(5, format_args!("Alive: {tcp} tcp, {udp} udp, {sctp} sctp"));
                }
            }
        }
        services.iter().for_each(|v| service(&mut page, v, balanced));
        let checks = || {
            services.iter().flat_map(|v| v.servers.iter().flat_map(move |r| r.checks.iter().map(move |c| (v, r, c))))
        };
        if checks().next().is_some() {
            page.line(0, "------< Health checkers >------");
            checks().for_each(|(v, r, c)| check(&mut page, v, r, c));
        }
        if !self.plan.files.is_empty() {
            page.line(0, "------< Checker track files >------");
        }
        for f in &self.plan.files {
            page.line(1, format_args!("Track file = {}", f.name));
            page.row(3, "File", f.path.display());
            page.row(3, "Status", self.numbers.last(&f.path));
            page.line(3, "Tracking instances :");
            for (v, r, c) in checks() {
                if let CheckKind::File { name, weight, .. } = &c.check.kind
                    && *name == f.name
                {
                    page.line(5, format_args!("{} -> {}, weight {weight}", v.name, r.name));
                }
            }
        }
        if let Err(e) = files::write_dump(path, &page.0, self.mask.or(self.plan.mask)) {
            log::error!("cannot write {}: {e}", path.display());
            self.succession |= crate::places::is_closed(path);
        }
    }
}
