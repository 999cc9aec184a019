//! Links and trackers: what they mean for faults and priorities. Faults are a pure function of what is known now, computed anew
//! after every event; there is no counter that a lost event could leave wrong.

use crate::instance::Instance;
use crate::router::{Router, Timer};
use crate::{Link, Notice, Output, ProcessConfig, Tracked};
use std::collections::HashMap;
use std::net::IpAddr;
use steadfast_core::{Family, State, Time};

/// Present links by name.
#[derive(Default)]
pub(crate) struct Links {
    by_name: HashMap<String, Link>,
}

impl Links {
    pub fn get(&self, name: &str) -> Option<&Link> {
        self.by_name.get(name)
    }

    pub fn up(&self, name: &str) -> bool {
        self.get(name).is_some_and(|l| l.up)
    }
}

/// A process tracker.
pub(crate) struct Counted {
    pub config: ProcessConfig,
    count: u32,
    /// What trackers see, delays applied; `None` until the first count.
    pub ok: Option<bool>,
}

impl Counted {
    pub fn new(config: ProcessConfig) -> Self {
        Counted { config, count: 0, ok: None }
    }

    fn wanted(&self) -> bool {
        (self.config.quorum..=self.config.quorum_max).contains(&self.count)
    }
}

/// What a tracker says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    Unknown,
    Ok(bool),
    Value(i64),
}

impl Router {
    fn says(&self, what: &Tracked) -> Says {
        let known = |ok: Option<bool>| ok.map_or(Says::Unknown, Says::Ok);
        match what {
            Tracked::Interface(name) => Says::Ok(self.links.up(name)),
            Tracked::Script(name) => {
                known(self.script_index.get(name).and_then(|i| self.scripts.get(*i)).and_then(|s| s.ok))
            }
            Tracked::File(name) => Says::Value(self.files.get(name).copied().unwrap_or(0)),
            Tracked::Process(name) => known(self.processes.get(name).and_then(|p| p.ok)),
        }
    }

    /// Own faults of an instance (not its group's), the effective priority, and whether a first result is still awaited.
    fn judge(&self, i: &Instance) -> (Vec<String>, u8, bool) {
        let c = &i.config;
        let mut faults = Vec::new();
        let mut waiting = false;
        let mut sum = i64::from(c.priority);
        match self.links.get(&c.interface) {
            None => faults.push(format!("interface {} is absent", c.interface)),
            Some(l) if !l.up && !c.dont_track_primary => faults.push(format!("interface {} is down", c.interface)),
            Some(l) => {
                if i.source.is_none() {
                    faults.push(format!("interface {} has no usable source address", c.interface));
                } else if c.track_source && c.source.is_some_and(|s| !l.addresses.iter().any(|a| a.address == s)) {
                    faults.push(format!("source address is absent from interface {}", c.interface));
                }
            }
        }
        for a in c.addresses.iter().chain(&c.excluded) {
            if a.interface != c.interface && !a.no_track && !self.links.up(&a.interface) {
                let fault = format!("interface {} of address {} is down", a.interface, a.cidr);
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
        for t in &c.tracks {
            match (self.says(&t.what), t.weight) {
                (Says::Unknown, 0) => waiting = true,
                (Says::Unknown, _) => {}
                (Says::Ok(ok), 0) if ok == t.reverse => faults.push(match &t.what {
                    Tracked::Interface(n) => format!("tracked interface {n} is {}", if ok { "up" } else { "down" }),
                    Tracked::Script(n) => format!("tracked script {n} {}", if ok { "succeeded" } else { "failed" }),
                    Tracked::Process(n) => format!("tracked process {n} {}", if ok { "runs" } else { "is missing" }),
                    Tracked::File(n) => format!("tracked file {n}"),
                }),
                (Says::Ok(_), 0) => {}
                (Says::Ok(ok), w) => {
                    if (ok != t.reverse) == (w > 0) {
                        sum += i64::from(w);
                    }
                }
                (Says::Value(v), 0) => {
                    if (v != 0) != t.reverse {
                        faults.push(format!("tracked file {:?} says {v}", name(&t.what)));
                    }
                }
                (Says::Value(v), w) => {
                    let w = i64::from(if t.reverse { -w } else { w });
                    let product = v.saturating_mul(w);
                    if product <= -254 {
                        faults.push(format!("tracked file {} says {v}", name(&t.what)));
                    } else {
                        sum += product.min(253);
                    }
                }
            }
        }
        // An owner's priority never changes (RFC 9568 section 5.2.4).
        let priority = if c.priority == 255 { 255 } else { u8::try_from(sum.clamp(1, 254)).unwrap_or(254) };
        (faults, priority, waiting)
    }

    /// Judges one instance again; logs and reports a changed priority. Does not act on faults.
    pub(crate) fn rejudge(&mut self, n: usize, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get(n) else { return };
        let (faults, priority, waiting) = self.judge(i);
        let Some(i) = self.instances.get_mut(n) else { return };
        i.faults = faults;
        i.waiting = waiting;
        if i.priority != priority {
            out.push(Output::Log(
                log::Level::Info,
                format!("({}) Changing effective priority from {} to {priority}", i.config.name, i.priority),
            ));
            i.priority = priority;
            if i.config.notify_priority_changes && i.started {
                let notice = if i.state == State::Master { Notice::MasterPriority } else { Notice::BackupPriority };
                out.push(Output::Instance { name: i.config.name.clone(), notice, priority });
            }
        }
    }

    /// Something that is tracked has changed: every instance is judged again, and what follows is done.
    pub(crate) fn tracked_changed(&mut self, now: Time, out: &mut Vec<Output>) {
        for n in 0..self.instances.len() {
            self.rejudge(n, out);
        }
        self.act_on_faults(now, out);
    }

    /// A link appeared or changed.
    pub(crate) fn link(&mut self, now: Time, link: Link, out: &mut Vec<Output>) {
        let name = link.name.clone();
        let level = |up| if up { "up" } else { "down" };
        match self.links.get(&name) {
            Some(old) if *old == link => return,
            Some(old) if old.up != link.up => {
                out.push(Output::Log(log::Level::Info, format!("Netlink reports {name} {}", level(link.up))));
            }
            _ => {}
        }
        self.links.by_name.insert(name.clone(), link);
        self.links_changed(now, &name, out);
    }

    /// A link is gone.
    pub(crate) fn link_gone(&mut self, now: Time, name: &str, out: &mut Vec<Output>) {
        if self.links.by_name.remove(name).is_some() {
            out.push(Output::Log(log::Level::Info, format!("Netlink reports {name} is gone")));
            self.links_changed(now, name, out);
        }
    }

    fn links_changed(&mut self, now: Time, name: &str, out: &mut Vec<Output>) {
        self.bind_links();
        for n in 0..self.instances.len() {
            let concerned = self.instances.get(n).is_some_and(|i| {
                let c = &i.config;
                c.interface == name
                    || c.addresses.iter().chain(&c.excluded).any(|a| a.interface == name)
                    || c.tracks.iter().any(|t| matches!(&t.what, Tracked::Interface(x) if x == name))
            });
            if concerned {
                self.rejudge(n, out);
            }
        }
        self.act_on_faults(now, out);
    }

    /// Finds each instance's link and source address, and builds the index of packets.
    pub(crate) fn bind_links(&mut self) {
        let mut ours: Vec<IpAddr> = Vec::new();
        for i in &self.instances {
            ours.extend(i.config.addresses.iter().chain(&i.config.excluded).map(|a| a.cidr.address));
        }
        ours.sort_unstable();
        self.index.clear();
        for (n, i) in self.instances.iter_mut().enumerate() {
            let link = self.links.get(&i.config.interface);
            i.ifindex = link.map(|l| l.index);
            i.source = i.config.source.or_else(|| link.and_then(|l| source(l, i.config.family, &ours)));
            if let Some(index) = i.ifindex {
                self.index.entry((index, i.config.family, i.config.vrid)).or_default().push(n);
            }
        }
    }

    /// A process tracker was counted.
    pub(crate) fn process_count(&mut self, now: Time, name: &str, count: u32, out: &mut Vec<Output>) {
        let Some(index) = self.config.processes.iter().position(|p| p.name == name) else { return };
        let Some(p) = self.processes.get_mut(name) else { return };
        p.count = count;
        let wanted = p.wanted();
        let delay = match p.ok {
            Some(ok) if ok == wanted => {
                self.timers.cancel(Timer::Process(index));
                return;
            }
            None => std::time::Duration::ZERO,
            Some(true) => p.config.terminate_delay,
            Some(false) => p.config.fork_delay,
        };
        if delay.is_zero() {
            self.process_delay_over(now, index, out);
        } else if self.timers.get(Timer::Process(index)).is_none() {
            self.timers.set(Timer::Process(index), now + delay);
        }
    }

    pub(crate) fn process_delay_over(&mut self, now: Time, index: usize, out: &mut Vec<Output>) {
        let Some(name) = self.config.processes.get(index).map(|p| p.name.clone()) else { return };
        let Some(p) = self.processes.get_mut(&name) else { return };
        let wanted = p.wanted();
        if p.ok != Some(wanted) {
            p.ok = Some(wanted);
            let text = format!("Quorum {} for tracked process {name}", if wanted { "gained" } else { "lost" });
            out.push(Output::Log(log::Level::Info, text));
            self.tracked_changed(now, out);
        }
    }
}

fn name(what: &Tracked) -> &str {
    match what {
        Tracked::Interface(n) | Tracked::Script(n) | Tracked::File(n) | Tracked::Process(n) => n,
    }
}

/// The source address of adverts: the first IPv4 address, or the link-local IPv6 one (RFC 9568 section 5.1.2.1), that is no
/// virtual address.
fn source(link: &Link, family: Family, ours: &[IpAddr]) -> Option<IpAddr> {
    link.addresses.iter().map(|a| a.address).find(|a| {
        let right = match (family, a) {
            (Family::V4, IpAddr::V4(_)) => true,
            (Family::V6, IpAddr::V6(a)) => a.is_unicast_link_local(),
            _ => false,
        };
        right && ours.binary_search(a).is_err()
    })
}
