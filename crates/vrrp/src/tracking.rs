//! What an instance depends on. Faults are a pure function of the present links and tracker results, never a bit that some
//! event set: whatever order events come in, the same world gives the same answer.

use crate::script::Script;
use crate::{FileConfig, InstanceConfig, Link, ProcessConfig, Track, Tracked};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use steadfast_core::Family;
use steadfast_core::kernel::Object;

/// Why an instance may not take part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Its interface does not exist.
    LinkAbsent(String),
    /// Its interface is down.
    LinkDown(String),
    /// Its virtual link is absent or down while its interface is there.
    VirtualLink(String),
    /// Its interface has no address that adverts could come from.
    NoSource(String),
    /// The configured source address is not there.
    SourceAbsent(IpAddr),
    /// A tracked interface is down, or, reversed, up.
    Interface(String, bool),
    /// The link of one of its addresses is down, or (true) absent.
    AddressLink(String, bool),
    /// A script failed.
    Script(String),
    /// A file says so.
    File(String, i64),
    /// A process is missing or too numerous.
    Process(String),
    /// A virtual server lacks its quorum.
    Service(String),
    /// A BFD session is down (or, reversed, up).
    Session(String),
    /// Unicast without a peer.
    NoPeer,
    /// A static object that it depends on cannot be there.
    Static(String),
    /// Its VRF is absent or down, or a link of another kind has the name.
    Vrf(String, bool),
}

impl Fault {
    /// Adverts cannot leave any more: there is nothing to hand over.
    pub fn is_dead_link(&self) -> bool {
        matches!(self, Fault::LinkAbsent(_) | Fault::LinkDown(_) | Fault::VirtualLink(_))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::LinkAbsent(i) => write!(f, "interface {i} does not exist"),
            Fault::LinkDown(i) => write!(f, "interface {i} is down"),
            Fault::VirtualLink(i) => write!(f, "virtual link {i} is absent or down"),
            Fault::NoSource(i) => write!(f, "interface {i} has no usable source address"),
            Fault::SourceAbsent(a) => write!(f, "source address {a} is not configured"),
            Fault::Interface(i, up) => write!(f, "tracked interface {i} is {}", if *up { "up" } else { "down" }),
            Fault::AddressLink(i, absent) => {
                write!(f, "interface {i} of a virtual address {}", if *absent { "does not exist" } else { "is down" })
            }
            Fault::Script(s) => write!(f, "script {s} failed"),
            Fault::File(n, v) => write!(f, "file {n} has value {v}"),
            Fault::Process(p) => write!(f, "process {p} is not as required"),
            Fault::Service(s) => write!(f, "virtual server {s} has no quorum"),
            Fault::Session(s) => write!(f, "BFD session {s} failed"),
            Fault::Static(o) => write!(f, "static {o} is not there"),
            Fault::Vrf(name, true) => write!(f, "{name} is not a VRF"),
            Fault::Vrf(name, false) => write!(f, "VRF {name} is absent or down"),
            Fault::NoPeer => f.write_str("unicast without a peer"),
        }
    }
}

/// A process tracker.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub config: ProcessConfig,
    /// As last told. Until then it counts as what is asked for.
    pub count: Option<u32>,
    /// As reported, after the delays.
    pub ok: bool,
}

impl Process {
    fn raw(&self) -> bool {
        self.count.is_none_or(|c| c >= self.config.quorum && c <= self.config.quorum_max)
    }

    /// New count. The delay before the report changes: `None` for no change, zero for at once.
    pub fn counted(&mut self, count: u32) -> Option<std::time::Duration> {
        let first = self.count.is_none();
        self.count = Some(count);
        let raw = self.raw();
        if raw == self.ok {
            return None;
        }
        Some(match (first, raw) {
            (true, _) => std::time::Duration::ZERO,
            (false, true) => self.config.fork_delay,
            (false, false) => self.config.terminate_delay,
        })
    }

    /// The count says something else than what was reported.
    pub fn waits(&self) -> bool {
        self.raw() != self.ok
    }

    /// The delay is over.
    pub fn report(&mut self) -> bool {
        let raw = self.raw();
        std::mem::replace(&mut self.ok, raw) != raw
    }
}

/// What follows for one instance.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Assessment {
    /// Effective priority.
    pub priority: u8,
    /// Why it may not take part.
    pub faults: Vec<Fault>,
    /// A script whose failure would mean FAULT has not reported yet.
    pub waiting: bool,
    /// Links of faults that are none yet of who takes part already: they are being made.
    pub making: Vec<String>,
    /// Some tracked script has not reported yet.
    pub pending: bool,
    /// Index of the interface.
    pub index: Option<u32>,
    /// Source address of adverts.
    pub source: Option<IpAddr>,
    /// Addresses that fit into one advert on this link.
    pub fits: usize,
}

/// The world as last told.
#[derive(Debug, Default)]
pub(crate) struct Trackers {
    pub links: HashMap<String, Link>,
    /// State of links whose change does not count yet.
    pub debounced: HashMap<String, Link>,
    pub scripts: Vec<Script>,
    pub script_index: HashMap<String, u32>,
    pub files: HashMap<String, i64>,
    /// Virtual servers that the checker spoke of. One that it did not speak of yet counts as served, or, reversed, as not: an
    /// address is not given up because a brother is late.
    pub services: HashMap<String, bool>,
    /// BFD sessions, as last told. What is not known yet is waited for.
    pub sessions: HashMap<String, bool>,
    pub processes: Vec<Process>,
    pub process_index: HashMap<String, u32>,
    /// Counts of process trackers that the next configuration brings.
    pub counted: HashMap<String, u32>,
    /// Addresses that we manage, by interface: never the source of adverts.
    pub managed: HashMap<String, HashSet<IpAddr>>,
    /// Interfaces where an address of ours may be a source all the same.
    pub sensitive: HashSet<String>,
    /// Objects that the kernel refused, as last tried.
    pub refused: HashSet<Object>,
    /// Links that have been up since they were asked for: one of ours that has not is on its way.
    pub raised: HashSet<String>,
}

/// Link-local, for IPv6 sources (RFC 9568 section 5.1.2.1).
pub(crate) fn is_link_local(a: IpAddr) -> bool {
    matches!(a, IpAddr::V6(a) if (a.segments()[0] & 0xffc0) == 0xfe80)
}

impl Trackers {
    pub fn up(&self, interface: &str) -> bool {
        self.links.get(interface).is_some_and(|l| l.up)
    }

    /// The source address on a link: the configured one, else the one in use while it is there, else the first that is not
    /// a virtual address. An owner's only address may be its virtual one.
    fn source(&self, config: &InstanceConfig, link: &Link, present: Option<IpAddr>) -> Option<IpAddr> {
        if config.source.is_some() {
            return config.source;
        }
        let ours = self.managed.get(if config.source_on_link { config.link() } else { &config.interface });
        let usable = |a: &IpAddr| match config.family {
            Family::V4 => a.is_ipv4(),
            Family::V6 => is_link_local(*a),
        };
        let candidates = || link.addresses.iter().map(|c| c.address).filter(usable);
        let free = |a: &IpAddr| !ours.is_some_and(|o| o.contains(a));
        present.filter(|p| candidates().any(|a| a == *p && free(p))).or_else(|| candidates().find(free)).or_else(|| {
            // An owner that let its only address go brings it back by becoming master.
            let own = || config.addresses.iter().map(|a| a.cidr.address).find(usable);
            if config.priority == 255 { candidates().next().or_else(own) } else { None }
        })
    }

    /// Effective priority, faults, source: everything that follows from the world for one instance.
    pub fn assess(&self, config: &InstanceConfig, present_source: Option<IpAddr>) -> Assessment {
        let mut a = Assessment::default();
        let own = config.interface.as_str();
        match self.links.get(own) {
            None => a.faults.push(Fault::LinkAbsent(own.to_string())),
            Some(link) => {
                a.index = Some(link.index);
                a.fits = match link.mtu {
                    0 => 255,
                    mtu => {
                        // version 2 has authentication data behind the list, also when they are empty
                        let longest = if config.speaks_both() { crate::Version::V2 } else { config.version };
                        crate::wire::max_addresses(longest, config.family, mtu, config.auth_bytes())
                    }
                };
                if !link.up && !config.dont_track_primary {
                    a.faults.push(Fault::LinkDown(own.to_string()));
                }
                if config.link() != own {
                    a.index = self.links.get(config.link()).map(|l| l.index);
                }
                if let Some(name) = config.virtual_link.as_ref().filter(|name| link.up && !self.up(name)) {
                    a.faults.push(Fault::VirtualLink(name.clone()));
                    // It is on its way, unless the kernel will not have it.
                    a.waiting = !self.refused.iter().any(|o| matches!(o, Object::Link(l) if l.name == *name));
                    if a.waiting && !self.raised.contains(name) {
                        a.making.push(name.clone());
                    }
                }
                let link = match self.links.get(config.link()) {
                    Some(own) if config.source_on_link => own,
                    _ => link,
                };
                a.source = self.source(config, link, present_source);
                match (a.source, config.source) {
                    (None, _) => a.faults.push(Fault::NoSource(own.to_string())),
                    (Some(_), Some(wanted)) => {
                        let here = link.addresses.iter().any(|c| c.address == wanted);
                        // a unicast source is bound to, so it must be somewhere on this host
                        let anywhere = || self.links.values().any(|l| l.addresses.iter().any(|c| c.address == wanted));
                        if (config.track_source && !here) || (config.unicast.is_some() && !here && !anywhere()) {
                            a.faults.push(Fault::SourceAbsent(wanted));
                        }
                    }
                    _ => {}
                }
            }
        }
        if config.unicast.as_ref().is_some_and(|u| u.peers.is_empty()) {
            a.faults.push(Fault::NoPeer);
        }
        for address in config.addresses.iter().chain(&config.excluded) {
            let dev = address.interface.as_str();
            if dev != own && config.virtual_link.as_deref() != Some(dev) && !address.no_track && !self.up(dev) {
                let link = match config.address_links.iter().find(|(name, _)| name == dev) {
                    Some((_, base)) if !self.up(base) => base.as_str(),
                    _ => dev,
                };
                let fault = Fault::AddressLink(link.to_string(), !self.links.contains_key(link));
                if !a.faults.contains(&fault) {
                    if link == dev && self.is_being_made(config, dev) {
                        a.making.push(dev.to_string());
                    }
                    a.faults.push(fault);
                }
            }
        }
        for object in &config.depends_on {
            if self.refused.contains(object) || object.links().iter().any(|l| !self.up(l)) {
                a.faults.push(Fault::Static(object.to_string()));
            }
        }
        let mut sum = i64::from(config.priority);
        for track in &config.tracks {
            self.track(config, track, &mut sum, &mut a);
        }
        // The least one is a question, where adverts are authenticated, and no master's.
        let least = if config.keyed() { i64::from(crate::doubt::QUESTION) + 1 } else { 1 };
        a.priority =
            if config.priority == 255 { 255 } else { u8::try_from(sum.clamp(least, 254)).unwrap_or(config.priority) };
        a
    }

    /// A link of ours for addresses that has not come up yet since we asked for it, which the kernel did not refuse.
    fn is_being_made(&self, config: &InstanceConfig, link: &str) -> bool {
        config.address_links.iter().any(|(name, _)| name == link)
            && !self.raised.contains(link)
            && !self.refused.iter().any(|o| matches!(o, Object::Link(l) if l.name == *link))
    }

    /// Nobody holds it any more: what became of it says nothing about its next life.
    pub fn forget(&mut self, object: &Object) {
        self.refused.remove(object);
        if let Object::Link(l) = object {
            self.raised.remove(l.name.as_str());
        }
    }

    /// The part of each tracked object in the state of an instance.
    pub fn parts(&self, config: &InstanceConfig) -> Vec<crate::Part> {
        let one = |track: &Track| {
            let (mut sum, mut a) = (0, Assessment::default());
            self.track(config, track, &mut sum, &mut a);
            let known = !a.pending && !a.waiting;
            let lone = track.weight != 0 && !matches!(track.what, Tracked::File(_));
            // a weight adds while good, or takes away while bad
            let good = match lone {
                true => (sum != 0) == (track.weight > 0),
                // `weight 0 reverse`: that it is good is the fault.
                false => a.faults.is_empty() != (track.weight == 0 && track.reverse),
            };
            crate::Part {
                what: track.what.clone(),
                good: known.then_some(good),
                change: sum,
                weight: track.weight,
                reverse: track.reverse,
            }
        };
        config.tracks.iter().map(one).collect()
    }

    fn track(&self, config: &InstanceConfig, track: &Track, sum: &mut i64, a: &mut Assessment) {
        let (good, fault) = match &track.what {
            Tracked::Interface(name) => {
                let up = self.up(name);
                (Some(up), Fault::Interface(name.clone(), up))
            }
            Tracked::Vrf(name) => {
                let link = self.links.get(name);
                let good = link.is_some_and(|l| l.up && l.vrf);
                (Some(good), Fault::Vrf(name.clone(), link.is_some_and(|l| !l.vrf)))
            }
            Tracked::Script(name) => {
                let script = self.script_index.get(name).and_then(|i| self.scripts.get(*i as usize));
                if script.is_some_and(|s| s.pending()) {
                    a.pending = true;
                }
                let Some(script) = script else { return };
                (script.verdict(), Fault::Script(name.clone()))
            }
            Tracked::Process(name) => {
                let process = self.process_index.get(name).and_then(|i| self.processes.get(*i as usize));
                let Some(process) = process else { return };
                let good = if process.count.is_some() { process.ok } else { !track.reverse };
                (Some(good), Fault::Process(name.clone()))
            }
            Tracked::Service(name) => {
                (Some(self.services.get(name).copied().unwrap_or(!track.reverse)), Fault::Service(name.clone()))
            }
            Tracked::Session(name) => {
                let up = self.sessions.get(name).copied();
                a.pending |= up.is_none();
                (up, Fault::Session(name.clone()))
            }
            Tracked::File(name) => return self.track_file(config, track, name, sum, a),
        };
        let weight = i64::from(track.weight);
        match good {
            None if weight == 0 => a.waiting = true,
            None => {}
            Some(good) if weight == 0 && good == track.reverse => a.faults.push(fault),
            // a gain while good, a loss while bad; reversed: a loss while good, a gain while bad
            Some(good) if good == (weight > 0) => *sum += if track.reverse { -weight } else { weight },
            Some(_) => {}
        }
    }

    fn track_file(&self, config: &InstanceConfig, track: &Track, name: &str, sum: &mut i64, a: &mut Assessment) {
        let value = self.files.get(name).copied().unwrap_or(0);
        if track.weight == 0 {
            if (value != 0) != track.reverse {
                a.faults.push(Fault::File(name.into(), value));
            }
            return;
        }
        let change = value.saturating_mul(i64::from(track.weight)).saturating_mul(if track.reverse { -1 } else { 1 });
        if change <= -254 {
            a.faults.push(Fault::File(name.into(), value));
        } else if config.priority != 255 {
            *sum += change.min(253);
        }
    }

    /// Takes over the definitions, keeping what is known of those that stay.
    pub fn define_files(&mut self, files: &[FileConfig]) {
        self.files.retain(|name, _| files.iter().any(|f| f.name == *name));
    }

    /// Takes over the definitions, keeping what is known of those that stay. Those that are new and not as required.
    pub fn define_processes(&mut self, processes: &[ProcessConfig]) -> Vec<String> {
        let mut old = std::mem::take(&mut self.processes);
        let counted = std::mem::take(&mut self.counted);
        let mut bad = Vec::new();
        self.process_index.clear();
        for config in processes {
            let kept = old.iter().position(|p| p.config.name == config.name).map(|at| old.swap_remove(at));
            let fresh = kept.is_none();
            let mut process = kept.unwrap_or(Process { config: config.clone(), count: None, ok: true });
            process.config = config.clone();
            if let Some(count) = counted.get(&config.name).filter(|_| fresh)
                && process.counted(*count).is_some()
                && process.report()
            {
                bad.push(config.name.clone());
            }
            self.process_index.insert(config.name.clone(), self.processes.len() as u32);
            self.processes.push(process);
        }
        bad
    }
}

#[cfg(test)]
mod tests;
