//! The kernel's table, as the pool wants it.

use super::limits::{self, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use steadfast_checkers::{Slot, Table as Wanted};
use steadfast_config::model::{FlushOnStop, SyncDaemon};
use steadfast_core::Family;
use steadfast_core::ipvs::{Destination, DestinationKey, ServiceKey};
use steadfast_core::text::plain;
use steadfast_ipvs::{Daemon, DaemonState, Operation, Reply, Request, Table, Timeouts, daemon_difference};
use steadfast_net::ipvs::Ipvs;
use steadfast_net::netlink::Buffer;

/// What the file wants of IPVS beside its services.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// Time limits of connections: TCP, TCP after FIN, UDP; 0 leaves one as it is.
    pub timeouts: Option<Limits>,
    /// Empty the table at the first start.
    pub flush: bool,
    /// Empty more than our own at a stop.
    pub flush_on_stop: Option<FlushOnStop>,
    /// The daemon that copies connections to other directors.
    pub sync: Option<SyncDaemon>,
}

/// Then nothing of ours is in the kernel, either.
pub const NO_BALANCER: &str = "this kernel has no load balancer (module ip_vs)";

/// The kernel's load balancer, or the lack of it.
pub struct Balancer {
    ipvs: Option<Ipvs>,
    /// Why there is none.
    trouble: Option<String>,
    kernel: Table,
    /// In order of the file, at a start.
    wanted: BTreeMap<Slot, Wanted>,
    /// Services that several virtual servers want, which was said.
    shared: BTreeSet<ServiceKey>,
    /// Services that we put there, also those that are wanted no more.
    ours: BTreeSet<ServiceKey>,
    /// What the kernel refused the last time, in words; and which services and servers that leaves out or as they were.
    refused: BTreeSet<String>,
    missing: BTreeMap<(ServiceKey, Option<DestinationKey>), String>,
    changed: bool,
    /// What the parent keeps of `ours`, and whether it may have changed.
    kept: BTreeSet<ServiceKey>,
    untold: bool,
    settings: Settings,
    /// What the kernel has not been told of the settings, since it had no load balancer: to empty its table, and the time limits.
    due: [bool; 2],
    /// Receive buffer of the netlink socket.
    buffer: Buffer,
    /// Synchronisation daemons that are to run; `None` while it is not known.
    daemons: Option<Vec<Daemon>>,
    /// Those that run.
    running: Vec<Daemon>,
    /// The parent was told that they are ours.
    told_of_daemons: bool,
    /// Time limits that ours took the place of, while these hold; and what the parent was told of them.
    found: [Option<Limits>; 2],
}

impl Balancer {
    /// Connects and reads what there is. Without IPVS checks go on all the same. `ours` is what a predecessor put there,
    /// `daemons` whether synchronisation daemons are among it, `found` the time limits that were there before its own.
    pub fn open(ours: BTreeSet<ServiceKey>, daemons: bool, found: Option<Limits>, buffer: Buffer) -> Self {
        let mut b = Balancer {
            ipvs: None,
            trouble: None,
            kernel: Table::new(),
            wanted: BTreeMap::new(),
            shared: BTreeSet::new(),
            refused: BTreeSet::new(),
            missing: BTreeMap::new(),
            changed: !ours.is_empty(),
            kept: BTreeSet::new(),
            untold: !ours.is_empty(),
            ours,
            settings: Settings::default(),
            due: [false; 2],
            buffer,
            daemons: None,
            running: Vec::new(),
            told_of_daemons: daemons,
            found: [found; 2],
        };
        match read(buffer) {
            Ok((ipvs, table)) => (b.ipvs, b.kernel) = (Some(ipvs), table),
            Err(why) => b.trouble = Some(why),
        }
        b
    }

    /// Asks the kernel; nothing where it does not answer.
    pub fn ask(&mut self, request: &Request, family: Family) -> Vec<Reply> {
        let Some(ipvs) = &mut self.ipvs else { return Vec::new() };
        ipvs.ask(request, family).unwrap_or_else(|e| {
            log::error!("IPVS: the kernel refused {request}: {e}");
            Vec::new()
        })
    }

    /// The destinations that a service of ours has in the kernel.
    pub fn present(&self, key: &ServiceKey) -> Option<&BTreeMap<DestinationKey, Destination>> {
        self.kernel.get(key).filter(|_| self.ours.contains(key)).map(|entry| &entry.destinations)
    }

    /// Why nothing is balanced.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The kernel's services of a virtual server.
    pub fn keys(&self, slot: Slot) -> impl Iterator<Item = ServiceKey> + '_ {
        self.wanted.get(&slot).into_iter().flat_map(|w| w.keys.iter().copied())
    }

    /// Why a virtual server is not in the kernel's table, or not as the file has it; of several services of its own the first one.
    pub fn refusal(&self, slot: Slot) -> Option<&str> {
        self.keys(slot).find_map(|key| self.missing.get(&(key, None))).map(String::as_str)
    }

    /// The same of a real server; port 0 is the service's.
    pub fn refusal_of(&self, slot: Slot, address: IpAddr, port: u16) -> Option<&str> {
        let of = |key: ServiceKey, port| self.missing.get(&(key, Some(DestinationKey { address, port })));
        let own = |key: &ServiceKey| if let ServiceKey::Address { port, .. } = key { *port } else { 0 };
        let why = |key| of(key, port).or_else(|| of(key, own(&key)));
        self.keys(slot).find_map(why).map(String::as_str)
    }

    /// Settings of the file. `flush`: the daemon starts, and may empty the table. What a predecessor made is not flushed.
    pub fn configure(&mut self, settings: Settings, flush: bool) {
        let before = std::mem::replace(&mut self.settings, settings);
        self.due[0] |= flush && self.settings.flush;
        self.due[1] |= before.timeouts != self.settings.timeouts;
        self.prepare(false);
        let orphans = self.told_of_daemons && self.settings.sync.is_none();
        if before.sync != self.settings.sync || orphans {
            // Without an instance to follow it sends and receives at once.
            let both = [DaemonState::Master, DaemonState::Backup];
            self.daemons = match &self.settings.sync {
                None => (before.sync.is_some() || orphans).then(Vec::new),
                Some(s) if s.instance.is_none() => Some(both.map(|state| daemon(s, state)).into()),
                Some(_) => None,
            };
            self.look_at_daemons();
            self.changed = true;
        }
    }

    /// Empties the kernel's table where that is due, and learns the time limits that ours take the place of, so that they are kept before
    /// they are gone. `anew`: the kernel's load balancer may be another one.
    fn prepare(&mut self, anew: bool) {
        // What the file does not name any more is given back.
        let wanted = self.settings.timeouts;
        self.due[1] |= limits::left(wanted, self.found[0]) != self.found[0];
        let Some(ipvs) = &mut self.ipvs else { return };
        if self.due[1] && wanted.is_some() && (anew || limits::unknown(wanted, self.found[0])) {
            match ipvs.ask(&Request::GetTimeouts, Family::V4) {
                Ok(replies) => {
                    let all = replies.into_iter().find_map(|r| if let Reply::Timeouts(t) = r { Some(t) } else { None });
                    if let Some(t) = all {
                        self.found[0] = limits::learnt(wanted, self.found[0], [t.tcp, t.tcp_fin, t.udp]);
                    }
                }
                Err(e) => log::error!("IPVS: cannot read the kernel's time limits: {e}"),
            }
        }
        self.changed |= self.due[1];
        if std::mem::take(&mut self.due[0]) {
            match ipvs.ask(&Request::Flush, Family::V4) {
                Ok(_) => self.kernel = Table::new(),
                Err(e) => log::error!("IPVS: the kernel's table cannot be emptied: {e}"),
            }
        }
    }

    /// Tells the kernel the time limits that are due.
    fn set_limits(&mut self) {
        let due = limits::due(self.settings.timeouts, self.found[0]);
        let Some(ipvs) = self.ipvs.as_mut().filter(|_| std::mem::take(&mut self.due[1])) else { return };
        let set =
            due.map(|[tcp, tcp_fin, udp]| ipvs.ask(&Request::SetTimeouts(Timeouts { tcp, tcp_fin, udp }), Family::V4));
        match set {
            Some(Err(e)) => log::error!("IPVS: the kernel refused lvs_timeouts: {e}"),
            _ => self.found[0] = limits::left(self.settings.timeouts, self.found[0]),
        }
    }

    /// An instance is master, or is not.
    pub fn instance(&mut self, name: &str, master: bool) {
        let Some(s) = self.settings.sync.as_ref().filter(|s| s.instance.as_deref() == Some(name)) else { return };
        let state = if master { DaemonState::Master } else { DaemonState::Backup };
        self.daemons = Some(vec![daemon(s, state)]);
        self.changed = true;
    }

    fn look_at_daemons(&mut self) {
        let Some(ipvs) = self.ipvs.as_mut().filter(|_| self.daemons.is_some() || self.settings.sync.is_some()) else {
            return;
        };
        match ipvs.ask(&Request::GetDaemons, Family::V4) {
            Ok(replies) => {
                let daemons = replies.into_iter().filter_map(|r| if let Reply::Daemon(d) = r { Some(d) } else { None });
                self.running = daemons.collect();
            }
            Err(e) => log::error!("IPVS: cannot read the kernel's synchronisation daemons: {e}"),
        }
    }

    /// The end, unless everything is to stay as it is. False: the kernel may still have something of ours.
    pub fn stop(&mut self, keep: bool) -> bool {
        if keep {
            return true;
        }
        let left = !self.ours.is_empty() || self.told_of_daemons || self.found[0].is_some();
        if self.ipvs.is_none() && left {
            self.audit();
        }
        let Some(ipvs) = self.ipvs.as_mut() else {
            return !left || self.trouble.as_deref() == Some(NO_BALANCER);
        };
        if self.settings.sync.is_some() || self.told_of_daemons {
            self.daemons = Some(Vec::new());
        }
        if self.settings.flush_on_stop == Some(FlushOnStop::Everything) {
            match ipvs.ask(&Request::Flush, Family::V4) {
                Ok(_) => self.kernel = Table::new(),
                Err(e) => log::error!("IPVS: the kernel's table cannot be emptied: {e}"),
            }
        }
        self.settings.timeouts = None;
        self.due[1] = self.found[0].is_some();
        self.changed = true;
        self.flush(&mut || ());
        self.ours.is_empty() && self.found[0].is_none() && (self.daemons.is_none() || self.running.is_empty())
    }

    /// The table of a virtual server changed.
    pub fn want(&mut self, slot: Slot, table: Wanted) {
        for key in &table.keys {
            self.untold |= self.ours.insert(*key);
        }
        self.wanted.insert(slot, table);
        self.changed = true;
    }

    /// A virtual server is gone.
    pub fn gone(&mut self, slot: Slot) {
        self.wanted.remove(&slot);
        self.changed = true;
    }

    /// Services that are ours since the last call (true), or are not any more.
    pub fn news(&mut self) -> Vec<(ServiceKey, bool)> {
        if !std::mem::take(&mut self.untold) {
            return Vec::new();
        }
        let new = self.ours.difference(&self.kept).map(|k| (*k, true));
        let all: Vec<_> = new.chain(self.kept.difference(&self.ours).map(|k| (*k, false))).collect();
        self.kept.clone_from(&self.ours);
        all
    }

    /// Whether synchronisation daemons are ours now, if that has changed since the last call.
    pub fn sync_news(&mut self) -> Option<bool> {
        let wanted = match &self.daemons {
            None if self.settings.sync.is_some() => return None,
            wanted => wanted.as_ref().is_some_and(|w| !w.is_empty()),
        };
        let ours = wanted || !self.running.is_empty();
        (std::mem::replace(&mut self.told_of_daemons, ours) != ours).then_some(ours)
    }

    /// The time limits that were there before ours, or that there are none of ours any more, if that has changed since the last call.
    pub fn limits_news(&mut self) -> Option<Option<Limits>> {
        let [now, told] = self.found;
        self.found[1] = now;
        (now != told).then_some(now)
    }

    /// What is to be written down: services of ours, whether synchronisation daemons are, and time limits that were there before.
    pub fn recorded(&self) -> (BTreeSet<ServiceKey>, bool, Option<Limits>) {
        (self.ours.clone(), self.told_of_daemons, self.found[0])
    }

    /// Reads the kernel's table anew: somebody else may have changed it.
    pub fn audit(&mut self) {
        if self.ipvs.is_none() {
            // The module may have been loaded since.
            match read(self.buffer) {
                Ok((ipvs, table)) => {
                    (self.ipvs, self.kernel, self.trouble, self.changed) = (Some(ipvs), table, None, true);
                    log::info!("IPVS: the kernel has a load balancer now");
                    self.due[1] = self.settings.timeouts.is_some();
                    self.prepare(true);
                }
                Err(why) => self.trouble = Some(why),
            }
            return self.look_at_daemons();
        }
        let Some(ipvs) = &mut self.ipvs else { return };
        match ipvs.table() {
            Ok(table) => {
                self.kernel = table;
                self.changed = true;
            }
            Err(e) => {
                log::error!("IPVS: cannot read the kernel's table: {e}");
                self.connect_anew();
            }
        }
        self.look_at_daemons();
    }

    /// The module may have been loaded anew: its family has another number then, its table is empty, and its time limits are its own.
    fn connect_anew(&mut self) {
        self.due[1] = self.settings.timeouts.is_some();
        match connect(self.buffer) {
            Ok(mut ipvs) => {
                if let Ok(table) = ipvs.table() {
                    (self.kernel, self.changed) = (table, true);
                }
                self.ipvs = Some(ipvs);
                self.prepare(true);
            }
            Err(why) => (self.ipvs, self.trouble) = (None, Some(why)),
        }
    }

    /// Brings the kernel to what is wanted. `between`: called now and then meanwhile.
    pub fn flush(&mut self, between: &mut dyn FnMut()) {
        if self.ipvs.is_none() || !self.changed {
            return;
        }
        self.changed = false;
        self.set_limits();
        let Some(ipvs) = self.ipvs.as_mut() else { return };
        let all = united(self.wanted.values(), &mut self.shared);
        let failed = ipvs.apply(&mut self.kernel, &all, &self.ours, between);
        self.missing = missing(&failed);
        let mut refused = refusals(&failed);
        // Somebody else may have changed what we know of the table: then it is read at once.
        let stale = |(o, e): &(Operation, io::Error)| {
            let line = told(o, e);
            matches!(e.raw_os_error(), Some(libc::ESRCH | libc::ENOENT | libc::EEXIST))
                && refused.contains(&line)
                && !self.refused.contains(&line)
        };
        if failed.iter().any(stale)
            && let Ok(table) = ipvs.table()
        {
            (self.kernel, self.changed) = (table, true);
        }
        // What the kernel would not remove is still ours to remove.
        let kernel = &self.kernel;
        let before = self.ours.len();
        self.ours.retain(|k| all.get(k).is_some() || kernel.get(k).is_some());
        self.untold |= self.ours.len() < before;
        let wanted = self.daemons.as_deref();
        for request in wanted.map_or_else(Vec::new, |w| daemon_difference(&self.running, w)) {
            match (ipvs.ask(&request, Family::V4), &request) {
                (Ok(_), Request::NewDaemon(d)) => {
                    let half = if d.state == DaemonState::Master { "master" } else { "backup" };
                    log::info!("IPVS: synchronisation daemon runs as {half} on {}, id {}", d.interface, d.id);
                    self.running.push(d.clone());
                }
                (Ok(_), Request::DelDaemon(state)) => self.running.retain(|d| d.state != *state),
                (Ok(_), _) => {}
                (Err(e), _) => drop(refused.insert(format!("{request}: {e}"))),
            }
        }
        // What it goes on refusing was said.
        for line in refused.difference(&self.refused) {
            log::error!("IPVS: the kernel refused {line}");
        }
        self.refused = refused;
        if self.settings.sync.is_none() && self.running.is_empty() {
            // Ours are gone. One that comes now is the operator's.
            self.daemons = None;
        }
    }
}

/// In words, without what follows from another: the destinations of a service that the kernel would not have.
fn refusals(failed: &[(Operation, io::Error)]) -> BTreeSet<String> {
    let absent: BTreeSet<ServiceKey> =
        failed.iter().filter(|(o, _)| matches!(o, Operation::AddService(..))).map(|(o, _)| o.service()).collect();
    let follows = |o: &Operation| matches!(o, Operation::AddDestination(..)) && absent.contains(&o.service());
    failed.iter().filter(|(o, _)| !follows(o)).map(|(o, e)| told(o, e)).collect()
}

fn told(o: &Operation, e: &io::Error) -> String {
    format!("{o}: {e}")
}

/// What is not there for that, or not as it should be.
fn missing(failed: &[(Operation, io::Error)]) -> BTreeMap<(ServiceKey, Option<DestinationKey>), String> {
    let one = |(o, e): &(Operation, io::Error)| {
        let (of, what) = match o {
            Operation::AddService(key, _) => ((*key, None), "not in the kernel's table"),
            Operation::AddDestination(key, d, _) => ((*key, Some(*d)), "not in the kernel's table"),
            Operation::EditService(key, _) => ((*key, None), "in the kernel's table as before"),
            Operation::EditDestination(key, d, _) => ((*key, Some(*d)), "in the kernel's table as before"),
            Operation::RemoveService(_) | Operation::RemoveDestination(..) => return None,
        };
        Some((of, format!("{what}: {}", plain(&e.to_string()))))
    };
    failed.iter().filter_map(one).collect()
}

/// A connection, and what is there: what is not known cannot be brought to what is wanted.
fn read(buffer: Buffer) -> Result<(Ipvs, Table), String> {
    let mut ipvs = connect(buffer)?;
    let table = ipvs.table().map_err(|e| format!("cannot read the kernel's table: {e}"))?;
    Ok((ipvs, table))
}

fn connect(buffer: Buffer) -> Result<Ipvs, String> {
    Ipvs::open(buffer).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => NO_BALANCER.to_string(),
        _ => e.to_string(),
    })
}

/// The table that all of them want. Of a service that several want the first one has it: so it is the same in each life.
fn united<'a>(wanted: impl Iterator<Item = &'a Wanted>, shared: &mut BTreeSet<ServiceKey>) -> Table {
    let mut all = Table::new();
    let before = std::mem::take(shared);
    for w in wanted {
        for key in &w.keys {
            if all.get(key).is_none() {
                all.insert(*key, w.service.clone(), placed(key, &w.destinations));
            } else if shared.insert(*key) && !before.contains(key) {
                log::warn!("IPVS: several virtual servers serve {key}: the first one has it");
            }
        }
    }
    all
}

/// Of two ports of one host, which are one destination where the port is the service's, the one with more weight counts: the other may
/// be down, or about to leave.
fn placed(service: &ServiceKey, wanted: &[(DestinationKey, Destination)]) -> BTreeMap<DestinationKey, Destination> {
    let mut all = BTreeMap::new();
    for (key, d) in wanted.iter().copied().filter(|(key, d)| service.takes(*key, d.forward)) {
        let key = service.place(key, d.forward);
        all.entry(key).and_modify(|b: &mut Destination| *b = if d.weight > b.weight { d } else { *b }).or_insert(d);
    }
    all
}

/// A synchronisation daemon as the kernel is told of it.
fn daemon(s: &SyncDaemon, state: DaemonState) -> Daemon {
    Daemon {
        state,
        interface: s.interface.clone(),
        id: s.id.unwrap_or(0),
        max_length: s.maxlen,
        group: s.group,
        port: s.port,
        ttl: s.ttl,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_core::ipvs::{Forward, Protocol};

    #[test]
    fn of_two_ports_that_are_one_destination_the_greater_weight_counts() {
        let address = "10.0.0.1".parse().expect("address");
        let service = ServiceKey::Address { address, port: 80, protocol: Protocol::Tcp };
        let table = |forward, weights: [u32; 2]| {
            let one = |(port, weight)| {
                (DestinationKey { address, port }, Destination { forward, weight, ..Destination::default() })
            };
            let wanted: Vec<_> = [80, 8080].into_iter().zip(weights).map(one).collect();
            placed(&service, &wanted).into_iter().map(|(k, d)| (k.port, d.weight)).collect::<Vec<_>>()
        };
        // The one that a reload took out drains, the one in its place is alive.
        assert_eq!(table(Forward::Direct, [5, 0]), [(80, 5)]);
        assert_eq!(table(Forward::Direct, [0, 5]), [(80, 5)]);
        assert_eq!(table(Forward::Nat, [5, 0]), [(80, 5), (8080, 0)]);
    }

    #[test]
    fn only_a_tunnel_leads_to_a_host_of_another_family() {
        let service = ServiceKey::Mark { mark: 5, family: Family::V6 };
        let host = |text: &str, forward| {
            let key = DestinationKey { address: text.parse().expect("address"), port: 80 };
            (key, Destination { forward, weight: 1, ..Destination::default() })
        };
        let tunnel = Forward::Tunnel(steadfast_core::ipvs::Tunnel::Ipip);
        let wanted = [host("10.0.0.1", Forward::Nat), host("10.0.0.2", tunnel), host("2001:db8::1", Forward::Nat)];
        let placed: Vec<String> = placed(&service, &wanted).keys().map(|k| k.address.to_string()).collect();
        assert_eq!(placed, ["10.0.0.2", "2001:db8::1"]);
    }

    #[test]
    fn of_two_virtual_servers_with_one_service_the_first_has_it() {
        let service =
            |port| ServiceKey::Address { address: "10.0.0.1".parse().expect("address"), port, protocol: Protocol::Tcp };
        let wanted = |ports: &[u16], scheduler: &str| Wanted {
            keys: ports.iter().map(|p| service(*p)).collect(),
            service: steadfast_core::ipvs::Service { scheduler: scheduler.into(), ..Default::default() },
            destinations: Vec::new(),
        };
        let both = [wanted(&[80, 81], "rr"), wanted(&[80, 82], "wlc")];
        let mut shared = BTreeSet::new();
        let all = united(both.iter(), &mut shared);
        let schedulers: Vec<_> = all.iter().map(|(_, e)| e.service.scheduler.as_str()).collect();
        assert_eq!(schedulers, ["rr", "rr", "wlc"]);
        assert_eq!(shared, [service(80)].into());
        united(both[..1].iter(), &mut shared);
        assert_eq!(shared, BTreeSet::new());
    }

    #[test]
    fn of_a_service_that_is_refused_its_destinations_are_not_told() {
        let address = "10.0.0.1".parse().expect("address");
        let service = |mark| ServiceKey::Mark { mark, family: Family::V4 };
        let destination = |mark| {
            let key = DestinationKey { address, port: 80 };
            Operation::AddDestination(service(mark), key, Destination::default())
        };
        let add = Operation::AddService(service(1), steadfast_core::ipvs::Service::default());
        let failed = [add, destination(1), destination(2)].map(|o| (o, io::Error::from_raw_os_error(2)));
        let told = refusals(&failed);
        let why = "No such file or directory (os error 2)";
        let of_service = format!("to add the service FWM 1 with scheduler wlc: {why}");
        let of_server = format!("to add the server [10.0.0.1]:80 of FWM 2: {why}");
        assert_eq!(told, [of_server, of_service].into());
    }
}
