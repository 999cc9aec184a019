//! Gratuitous ARPs and unsolicited neighbour advertisements: when, how many, how fast.

use crate::router::{Router, Timer};
use crate::{InstanceConfig, Output};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{State, Time};

/// Announcements that wait on one interface at most; a burst over thousands of addresses is cut, the refresh mends it.
const QUEUE: usize = 65_536;

/// Sends announcements at once, or one per interval and interface.
pub(crate) struct Announcer {
    garp: Duration,
    gna: Duration,
    queues: HashMap<String, (VecDeque<IpAddr>, Time)>,
}

impl Announcer {
    pub fn new(garp: Duration, gna: Duration) -> Self {
        Announcer { garp, gna, queues: HashMap::new() }
    }

    pub fn set_pace(&mut self, garp: Duration, gna: Duration) {
        self.garp = garp;
        self.gna = gna;
    }

    /// One announcement, now or in its turn. True when something waits.
    fn put(&mut self, now: Time, interface: &str, address: IpAddr, out: &mut Vec<Output>) -> bool {
        let pace = self.pace(address);
        if pace.is_zero() {
            out.push(Output::Announce { interface: interface.to_string(), address });
            return false;
        }
        let (queue, _) = self.queues.entry(interface.to_string()).or_insert_with(|| (VecDeque::new(), now));
        if queue.len() < QUEUE {
            queue.push_back(address);
        }
        true
    }

    fn pace(&self, address: IpAddr) -> Duration {
        match address {
            IpAddr::V4(_) => self.garp,
            IpAddr::V6(_) => self.gna,
        }
    }

    /// Sends what is due; returns when to come again.
    pub fn due(&mut self, now: Time, out: &mut Vec<Output>) -> Option<Time> {
        let (garp, gna) = (self.garp, self.gna);
        for (interface, (queue, at)) in &mut self.queues {
            while *at <= now
                && let Some(address) = queue.pop_front()
            {
                let pace = if address.is_ipv4() { garp } else { gna };
                *at = now + pace;
                out.push(Output::Announce { interface: interface.clone(), address });
            }
        }
        self.queues.values().filter(|(q, _)| !q.is_empty()).map(|(_, at)| *at).min()
    }
}

/// Addresses to announce, with their interfaces.
fn announced(config: &InstanceConfig) -> impl Iterator<Item = (&str, IpAddr)> {
    config.addresses.iter().chain(&config.excluded).map(|a| (a.interface.as_str(), a.cidr.address))
}

impl Router {
    /// `repeat` announcements of each address of an instance.
    pub(crate) fn announce(&mut self, now: Time, i: usize, repeat: u32, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get(i) else { return };
        let mut waits = false;
        for _ in 0..repeat {
            for (interface, address) in announced(&instance.config) {
                waits |= self.announcer.put(now, interface, address, out);
            }
        }
        if waits && self.timers.get(Timer::Pace).is_none() {
            self.timers.set(Timer::Pace, now);
        }
    }

    /// One announcement of one address.
    pub(crate) fn announce_one(&mut self, now: Time, interface: &str, address: IpAddr, out: &mut Vec<Output>) {
        if self.announcer.put(now, interface, address, out) && self.timers.get(Timer::Pace).is_none() {
            self.timers.set(Timer::Pace, now);
        }
    }

    /// The announcements of a new master.
    pub(crate) fn announce_mastership(&mut self, now: Time, i: usize, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(i) else { return };
        instance.announced = Some(now);
        let garp = instance.config.garp.clone();
        self.announce(now, i, garp.repeat, out);
        if !garp.delay.is_zero() {
            self.timers.set(Timer::GarpDelay(i), now + garp.delay);
        }
        if !garp.refresh.is_zero() {
            self.timers.set(Timer::GarpRefresh(i), now + garp.refresh);
        }
    }

    /// After contention for the addresses: somebody else announced them, clients may have his MAC. At most one burst in a
    /// second, so that a stubborn peer cannot make us flood the link; the burst that was left out follows at the end of it.
    pub(crate) fn announce_after_contention(&mut self, now: Time, i: usize, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(i) else { return };
        let garp = instance.config.garp.clone();
        if garp.lower_prio_repeat == 0 && instance.config.strict {
            return;
        }
        if instance.announced.is_none_or(|at| now.since(at) >= Duration::from_secs(1)) {
            instance.announced = Some(now);
            self.announce(now, i, garp.lower_prio_repeat.max(1), out);
            if !garp.lower_prio_delay.is_zero() {
                self.timers.set(Timer::GarpLower(i), now + garp.lower_prio_delay);
            }
        } else if self.timers.get(Timer::GarpLower(i)).is_none_or(|at| at > now + Duration::from_secs(1)) {
            self.timers.set(Timer::GarpLower(i), now + Duration::from_secs(1));
        }
    }

    pub(crate) fn second_burst(&mut self, now: Time, i: usize, timer: Timer, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get_mut(i).filter(|x| x.state == State::Master && x.objects_set) else {
            return;
        };
        let garp = &instance.config.garp;
        let repeat = if matches!(timer, Timer::GarpLower(_)) { garp.lower_prio_repeat.max(1) } else { garp.repeat };
        instance.announced = Some(now);
        self.announce(now, i, repeat, out);
    }

    pub(crate) fn refresh_burst(&mut self, now: Time, i: usize, out: &mut Vec<Output>) {
        let Some(instance) = self.instances.get(i).filter(|x| x.state == State::Master && x.objects_set) else {
            return;
        };
        let (refresh, repeat) = (instance.config.garp.refresh, instance.config.garp.refresh_repeat);
        self.announce(now, i, repeat, out);
        if !refresh.is_zero() {
            self.timers.set(Timer::GarpRefresh(i), now + refresh);
        }
    }
}
