//! D-Bus: the instances as objects on the system's bus.
//!
//! The loop of the process never touches the bus, which may hang: it shares the objects, and what is to be said of them, with the
//! threads in [`bus`].

mod bus;

use super::{BODY, Body, House, Report};
use crate::cli::Options;
use bus::Shared;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use steadfast_config::Config;
use steadfast_core::Time;
use steadfast_dbus::{NAME, Router, Status, Tree, Wish};
use steadfast_ipc::{Action, Dump, Ended, News, Reporter};
use steadfast_sys::pipe::{self, PACKET, Packet, Reader};
use steadfast_sys::sandbox::OBSERVER;
use steadfast_sys::{Ready, now};

/// The bus is not kept waiting for states longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// The last signals have this long to leave.
const LAST_SIGNALS: Duration = Duration::from_millis(300);

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    super::run::<Bus>(options, "Keepalived_dbus", "D-Bus", &OBSERVER)
}

struct Bus {
    shared: Arc<Shared>,
    woken: Reader,
    /// States are not known yet. The bus is reached without them at this time.
    until: Option<Time>,
}

/// What the objects are made of.
fn routers(config: &Config) -> Vec<Router> {
    let none = config.globals.dbus_no_interface_name.as_deref().unwrap_or("none");
    let router = |i: &steadfast_config::model::VrrpInstance| {
        Some(Router {
            name: i.name.clone(),
            interface: i.interface.as_deref().unwrap_or(none).to_string(),
            vrid: i.virtual_router_id?,
            family: crate::vrrp::family(i),
            notify_deleted: i.notify_deleted.is_some(),
        })
    };
    config.instances.iter().filter_map(router).collect()
}

fn service(config: &Config) -> String {
    config.globals.dbus_service_name.clone().unwrap_or_else(|| NAME.into())
}

impl Body for Bus {
    fn start(options: &Options, config: &Config, house: &mut House) -> io::Result<Self> {
        let namespace = options.namespace.as_ref().or(config.process.net_namespace.as_ref());
        let tree = Tree::new(namespace.map(String::as_str), config.process.instance.as_deref());
        let (woken, wake) = pipe::pair()?;
        house.reactor.watch(woken.fd(), BODY)?;
        let shared = Arc::new(Shared::new(tree, service(config), wake));
        bus::start(shared.clone())?;
        house.survey();
        let bus = Bus { shared, woken, until: Some(now() + PATIENCE) };
        bus.show(config, true);
        Ok(bus)
    }

    fn reload(&mut self, config: &Config, house: &mut House) {
        self.shared.rename(service(config));
        self.show(config, false);
        house.survey();
    }

    fn news(&mut self, news: News, _: &mut House) {
        if let News::Instance { name, state, end, .. } = news {
            let status = match end {
                None => Status::In(state),
                Some(Ended::Deleted) => Status::Deleted,
                Some(Ended::Stopped) => Status::Stopped,
            };
            self.shared.with(|tree| tree.set(&name, status));
        }
    }

    fn report(&mut self, report: Report, _: &mut House) {
        match report {
            Report::Vrrp(snapshot) => {
                let told = snapshot.instances.into_iter().map(|i| (i.name, Status::In(i.state)));
                self.shared.with(|tree| told.flat_map(|(name, status)| tree.set(&name, status)).collect());
            }
            Report::Absent(Reporter::Vrrp) => {}
            _ => return,
        }
        self.settled();
    }

    fn ready(&mut self, _: Ready, _: Time, house: &mut House) {
        let mut buffer = [0; PACKET];
        while let Packet::Data(_) = self.woken.read(&mut buffer) {}
        for wish in self.shared.wishes() {
            let (what, action) = match wish {
                Wish::PrintData => ("printing data".into(), Action::Dump(Dump::Data)),
                Wish::PrintStats => ("printing statistics".into(), Action::Dump(Dump::Stats)),
                Wish::PrintStatsClear => ("printing and clearing statistics".into(), Action::Dump(Dump::StatsClear)),
                Wish::Reload => ("reload".into(), Action::Reload),
                Wish::Announce(instance) => (format!("announcing {instance}"), Action::Announce { instance }),
            };
            log::info!("D-Bus: {what}, on request");
            house.act(action);
        }
    }

    fn due(&self) -> Option<Time> {
        self.until
    }

    fn poll(&mut self, _: Time, _: &mut House) {
        self.settled();
    }

    fn stop(&mut self) {
        self.shared.stop(LAST_SIGNALS);
    }
}

impl Bus {
    /// The instances of a configuration are shown from now on.
    fn show(&self, config: &Config, first: bool) {
        let mut hidden = Vec::new();
        self.shared.with(|tree| {
            let reloaded = if first { None } else { Some(tree.reloaded()) };
            let done = tree.replace(&routers(config));
            hidden = done.hidden;
            done.gone.into_iter().chain(reloaded).chain(done.new).collect()
        });
        for name in hidden {
            log::warn!("({name}) is not shown on D-Bus: another instance has the same path");
        }
    }

    fn settled(&mut self) {
        if self.until.take().is_some() {
            self.shared.settled();
        }
    }
}
