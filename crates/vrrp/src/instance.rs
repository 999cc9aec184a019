//! One virtual router's own state. What it does is in `state.rs` and `receive.rs`.

use crate::wire::Repr;
use crate::{Auth, Counters, InstanceConfig, Send, View, timing};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{State, Time};

/// Kinds of receive errors that are logged once until re-armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Fault {
    Length,
    HopLimit,
    Version,
    AuthType,
    Auth,
    Interval,
    Kind,
    Checksum,
    Destination,
    Source,
    AddressList,
    NoAddress,
    LowerPriority,
}

/// A mastership that is being given up softly: the addresses are still served, adverts are not sent any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Release {
    /// When the addresses go, whatever happens.
    pub until: Time,
}

/// One virtual router.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub config: InstanceConfig,
    pub state: State,
    /// The start-up delay is over and the first look at links and trackers was taken.
    pub started: bool,
    /// A script's first result is awaited; nothing is said until it is there.
    pub waiting: bool,
    /// Effective priority.
    pub priority: u8,
    /// Index of the own link while it is present.
    pub ifindex: Option<u32>,
    /// Source address of adverts in use.
    pub source: Option<IpAddr>,
    pub faults: Vec<String>,
    /// Group that it is a member of.
    pub group: Option<usize>,
    /// Its timer has fired, and it waits for the other members of the group.
    pub wants_master: bool,
    pub master: Option<(IpAddr, u8)>,
    pub master_interval: Duration,
    pub objects_set: bool,
    pub release: Option<Release>,
    /// It overslept as master and listens before it sends.
    pub listening: bool,
    pub last_sent: Time,
    /// When a running preempt_delay is over.
    pub preempt_at: Option<Time>,
    pub logged: u32,
    pub last_transition: Time,
    pub counters: Counters,
    /// Last announcement after contention, to bound their number.
    pub announced: Option<Time>,
    /// Repairs of lost objects: start of the window and number in it.
    pub repairs: (Time, u32),
    /// Process restarted: go on in this state.
    pub resume: Option<State>,
    addresses: Vec<IpAddr>,
}

impl Instance {
    pub fn new(config: InstanceConfig, now: Time) -> Self {
        let addresses = config.addresses.iter().map(|a| a.cidr.address).collect();
        Instance {
            state: State::Init,
            started: false,
            waiting: false,
            priority: config.priority,
            ifindex: None,
            source: None,
            faults: Vec::new(),
            group: None,
            wants_master: false,
            master: None,
            master_interval: config.advert_interval,
            objects_set: false,
            release: None,
            listening: false,
            last_sent: now,
            preempt_at: None,
            logged: 0,
            last_transition: now,
            counters: Counters::default(),
            announced: None,
            repairs: (now, 0),
            resume: None,
            addresses,
            config,
        }
    }

    /// Takes a new configuration; the running state stays.
    pub fn reconfigure(&mut self, config: InstanceConfig) {
        self.addresses = config.addresses.iter().map(|a| a.cidr.address).collect();
        if self.state == State::Master || config.advert_interval != self.config.advert_interval {
            self.master_interval = config.advert_interval;
        }
        self.config = config;
    }

    /// Addresses carried in adverts.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Every kernel object that goes with mastership, in the order of adding: addresses, routes, rules.
    pub fn objects(&self) -> impl DoubleEndedIterator<Item = Object> + '_ {
        let c = &self.config;
        c.addresses
            .iter()
            .chain(&c.excluded)
            .cloned()
            .map(Object::Address)
            .chain(c.routes.iter().cloned().map(Object::Route))
            .chain(c.rules.iter().cloned().map(Object::Rule))
    }

    /// Master-down interval: version 3 uses the interval that was heard, version 2 its own.
    pub fn master_down(&self) -> Duration {
        timing::master_down(self.config.version, self.priority, self.master_interval, self.config.down_timer_adverts)
    }

    pub fn skew(&self) -> Duration {
        timing::skew(self.config.version, self.priority, self.master_interval)
    }

    /// The shortest time after which a peer may have taken over from a silent master.
    pub fn overslept(&self, now: Time) -> bool {
        let limit = match self.config.timer_expired_backup {
            Some(p) => {
                timing::master_down(self.config.version, p, self.config.advert_interval, self.config.down_timer_adverts)
            }
            None => self.config.advert_interval * u32::from(self.config.down_timer_adverts),
        };
        self.state == State::Master && now.since(self.last_sent) > limit
    }

    /// True once for each kind of error until re-armed.
    pub fn first(&mut self, fault: Fault) -> bool {
        let bit = 1u32 << (fault as u8);
        let first = self.logged & bit == 0;
        self.logged |= bit;
        first
    }

    /// Errors may be logged again.
    pub fn rearm(&mut self) {
        self.logged = 0;
    }

    /// Notes who is master.
    pub fn heard(&mut self, from: IpAddr, priority: u8) {
        if self.master.is_some_and(|(a, _)| a != from) {
            self.rearm();
        }
        self.master = Some((from, priority));
    }

    /// Adverts with a priority, one for each destination. Empty while there is no link or source address.
    pub fn adverts(&self, priority: u8) -> Vec<Send> {
        let (Some(interface), Some(source)) = (self.ifindex, self.source) else { return Vec::new() };
        let c = &self.config;
        let repr = Repr {
            version: c.version,
            vrid: c.vrid,
            priority,
            interval: c.advert_interval,
            addresses: &self.addresses,
            password: match c.auth {
                Auth::Pass(p) => Some(p),
                Auth::None => None,
            },
        };
        let send = |destination, hop_limit| Send {
            interface,
            source,
            destination,
            hop_limit,
            payload: repr.emit(source, destination, c.checksum_without_pseudo),
        };
        match &c.unicast {
            // RFC 9568 section 5.1.1.3: 255 always.
            None => vec![send(c.group, 255)],
            Some(u) => u.peers.iter().map(|p| send(p.address, u.ttl)).collect(),
        }
    }

    pub fn view(&self) -> View<'_> {
        View {
            config: &self.config,
            state: self.state,
            priority: self.priority,
            faults: self.faults.clone(),
            objects_set: self.objects_set,
            master: self.master,
            master_interval: self.master_interval,
            last_transition: self.last_transition,
            counters: self.counters,
            source: self.source,
        }
    }
}
