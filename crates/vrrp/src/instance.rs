//! One virtual router: its data, and what can be computed from them alone.

use crate::auth::Memory;
use crate::machine::{Delay, Standing};
use crate::proof::Newer;
use crate::receive::Rows;
use crate::tracking::{Assessment, Fault, is_link_local};
use crate::transitions::DRAIN;
use crate::wire::{self, ChecksumForm};
use crate::{Auth, Counters, InstanceConfig, Mismatch, NewMaster, OldChecksum, Output, Send, Version, timing};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::{Block, Object};
use steadfast_core::{Family, State, Time};

/// What a hand-over leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// FAULT or Backup, as the trackers then say.
    Evaluate,
    /// The daemon stops.
    Stop,
    /// The instance was removed by a reload.
    Delete,
}

/// What a master is doing besides being master.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Nothing special.
    Normal,
    /// Listening before sending, after having overslept.
    Listening,
    /// Handing over.
    Releasing(After),
}

/// Kinds of log lines that are written once and then held back until the instance's situation changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Once {
    Length,
    Ttl,
    Version,
    AuthType,
    AuthData,
    Interval,
    Kind,
    Checksum,
    Cast,
    Source,
    AddressList,
    Count,
    LinkLocal,
    OwnAddress,
    LowerDiscarded,
    OwnerConflict,
    IntervalLearned,
    Fits,
    AuthStamp,
    Skew,
    Alone,
}

/// At most `most` in `window`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limit {
    since: Time,
    count: u32,
}

impl Limit {
    pub fn allow(&mut self, now: Time, most: u32, window: Duration) -> bool {
        if self.count == 0 || now.since(self.since) >= window {
            self.since = now;
            self.count = 0;
        }
        self.count = self.count.saturating_add(1);
        self.count <= most
    }
}

/// One virtual router.
#[derive(Debug)]
pub(crate) struct Instance {
    pub config: InstanceConfig,
    pub state: State,
    pub mode: Mode,
    /// Index of its sync group.
    pub group: Option<u32>,
    pub assessed: Assessment,
    /// A second owner was heard for too long: advertise 254 until it is gone.
    pub owner_lowered: bool,
    /// When another owner was last heard.
    pub owner_heard: Option<Time>,
    pub master: Option<(IpAddr, u8)>,
    pub master_interval: Duration,
    /// Its master-down timer has run out, but its sync group was not ready.
    pub wants: bool,
    /// Priority 0 was heard, and nothing since.
    pub zero_heard: Option<Time>,
    /// Who speaks version 3, where version 2 is heard, too.
    pub newer: Option<Box<[Option<Newer>; 2]>>,
    /// When it last spoke as a master whose link, or source address, then went away under it; and whether priority 0 went out. Nobody
    /// was heard since.
    pub interrupted: Option<Box<(Time, bool)>>,
    /// What its last advert came from.
    pub spoke_from: Option<IpAddr>,
    /// While it overslept somebody of lower priority took over.
    pub superseded: bool,
    /// The last advert of a master.
    pub last_heard: Option<Time>,
    /// A master of lower priority, whose adverts let the master-down timer run on: itself, its priority, and its last one.
    pub discarded: Option<Box<(IpAddr, u8, Time)>>,
    /// An early takeover is under way; the deadline that the master-down timer had before.
    pub fast: Option<Time>,
    pub delay: Delay,
    /// The master-down timer ran out late and was given a moment to read what has queued up.
    pub graced: bool,
    pub last_sent: Time,
    /// Adverts sent out of turn since the last one in turn.
    pub replies: u32,
    /// The router that we took over from while it was alive, and until when its last words are expected.
    pub preempted: Option<Box<(IpAddr, Time)>>,
    /// Last announcement that a contention caused, and how many there were within its second.
    pub reannounced: Option<Time>,
    /// Peers compute checksums the old way, and so do we (`OldChecksum::Auto`).
    pub old_checksum: bool,
    pub bursts: u32,
    pub objects_set: bool,
    pub counters: Counters,
    pub last_transition: Time,
    /// Since when it is not in Init.
    pub up_since: Option<Time>,
    /// Why it became master.
    pub new_master: NewMaster,
    /// What was wrong with a packet last, as RFC 6527 numbers it.
    pub protocol_error: u8,
    /// Who sent the packet that was thrown away last.
    pub offender: Option<IpAddr>,
    /// Routers whose adverts are thrown away.
    pub rejected: Rows,
    /// Its priority in the file of a former process.
    pub former_base: Option<u8>,
    /// Routers whose last advert named other addresses.
    pub mismatches: Vec<Mismatch>,
    /// When the packet came that is being checked.
    pub checked: Time,
    /// Why it is about to change its state, where the log does not say so right before.
    pub cause: Option<Box<str>>,
    /// Priority and preemption that a manager has set, until the next reload.
    pub adjusted: (Option<u8>, Option<bool>),
    /// Authentication: what is fresh.
    pub guard: Memory,
    /// State that a former process handed over.
    pub restored: Option<State>,
    /// When the delay of a preemption is over that it had begun.
    pub preempts: Option<Time>,
    /// All processes of an earlier daemon died at once, and its addresses are still in the kernel.
    pub orphaned: bool,
    logged: u32,
    rearm: Limit,
    chatter: Limit,
}

impl Instance {
    pub fn new(config: InstanceConfig, now: Time) -> Instance {
        Instance {
            state: State::Init,
            mode: Mode::Normal,
            group: None,
            assessed: Assessment { priority: config.priority, ..Assessment::default() },
            owner_lowered: false,
            owner_heard: None,
            master: None,
            master_interval: config.advert_interval,
            wants: false,
            zero_heard: None,
            newer: None,
            interrupted: None,
            spoke_from: None,
            superseded: false,
            last_heard: None,
            discarded: None,
            fast: None,
            delay: Delay::None,
            graced: false,
            last_sent: now,
            replies: 0,
            preempted: None,
            reannounced: None,
            old_checksum: false,
            bursts: 0,
            objects_set: false,
            counters: Counters::default(),
            last_transition: now,
            up_since: None,
            new_master: NewMaster::Never,
            protocol_error: 0,
            offender: None,
            rejected: Rows::default(),
            mismatches: Vec::new(),
            former_base: None,
            checked: now,
            cause: None,
            adjusted: (None, None),
            guard: Memory::default(),
            restored: None,
            preempts: None,
            orphaned: false,
            logged: 0,
            rearm: Limit::default(),
            chatter: Limit::default(),
            config,
        }
    }

    /// The advertised addresses in wire form. They are written anew for each advert: a copy would be kept for every router.
    pub fn wire_addresses(&self) -> Vec<u8> {
        // before the link is known nothing is sent, so nothing need be left out
        let most = if self.assessed.index.is_some() { self.assessed.fits } else { 255 };
        let mut bytes = Vec::with_capacity(self.config.addresses.len() * wire::address_len(self.config.family));
        for a in self.config.addresses.iter().take(most) {
            match (a.cidr.address, self.config.family) {
                (IpAddr::V4(a), Family::V4) => bytes.extend_from_slice(&a.octets()),
                (IpAddr::V6(a), Family::V6) => bytes.extend_from_slice(&a.octets()),
                _ => {}
            }
        }
        bytes
    }

    /// Effective priority.
    pub fn priority(&self) -> u8 {
        if self.owner_lowered { 254 } else { self.assessed.priority }
    }

    pub fn standing(&self) -> Standing {
        match (self.state, self.mode) {
            (State::Init | State::Fault, _) => Standing::Aside,
            (State::Backup, _) => Standing::Backup,
            (State::Master, Mode::Normal) => Standing::Master,
            (State::Master, Mode::Listening) => Standing::Listening,
            (State::Master, Mode::Releasing(_)) => Standing::Releasing,
        }
    }

    pub fn releasing(&self) -> bool {
        matches!(self.mode, Mode::Releasing(_))
    }

    /// Master and not on the way out.
    pub fn leads(&self) -> bool {
        self.state == State::Master && !self.releasing()
    }

    /// It is none yet: a virtual link that is still being made is waited for at the start, and where a reload asks for it just now.
    fn waits_for(&self, fault: &Fault) -> bool {
        let made = |link: &String| self.config.address_links.iter().any(|(name, _)| name == link);
        let making = |link: &String| self.assessed.making.contains(link);
        match fault {
            Fault::VirtualLink(_) if self.state == State::Init => self.assessed.waiting,
            Fault::VirtualLink(link) => self.state != State::Fault && making(link),
            Fault::AddressLink(link, _) => (self.state == State::Init && made(link)) || making(link),
            _ => false,
        }
    }

    pub fn faulty(&self) -> bool {
        self.assessed.faults.iter().any(|f| !self.waits_for(f))
    }

    pub fn dead_link(&self) -> bool {
        self.assessed.faults.iter().any(|f| f.is_dead_link() && !self.waits_for(f))
    }

    /// Its link or its address was away for so short a time that no peer has taken over: each waits for as many adverts before, or,
    /// where it was told, for a skew time that is longer than ours. A quarter of that is left for the way there. One that took over at
    /// once when it was told was heard meanwhile.
    pub fn was_only_interrupted(&self, now: Time) -> bool {
        let Some((spoke, told)) = self.interrupted.as_deref().copied() else { return false };
        let interval = self.config.advert_interval;
        let (window, margin) = match told {
            true => (self.skew(), self.skew() / 4),
            false => (interval * u32::from(self.config.down_timer_adverts.max(1)), interval / 4),
        };
        self.config.fast_takeover && !self.config.strict && now.since(spoke) + margin < window
    }

    /// The master of lower priority that is alive, and its priority, where its adverts do not count.
    pub fn beats(&self, now: Time) -> Option<(IpAddr, u8)> {
        let interval = self.timing_interval();
        self.discarded
            .as_deref()
            .filter(|(_, _, at)| now.since(*at) < interval + interval / 2)
            .map(|(source, p, _)| (*source, *p))
    }

    /// An owner always preempts (RFC 9568 section 6.1).
    pub fn preempts(&self) -> bool {
        self.config.preempt || self.config.priority == 255
    }

    pub fn is_owner_at_start(&self) -> bool {
        self.config.start_master && self.config.priority == 255
    }

    pub fn takes_over_early(&self) -> bool {
        self.config.fast_takeover && !self.config.strict && !self.assessed.pending
    }

    /// Interval of the adverts that count for our timers.
    pub fn timing_interval(&self) -> Duration {
        match self.config.version {
            Version::V2 => self.config.advert_interval,
            Version::V3 => self.master_interval,
        }
    }

    pub fn skew(&self) -> Duration {
        timing::skew(self.config.version, self.priority(), self.timing_interval())
    }

    pub fn master_down(&self) -> Duration {
        timing::master_down(
            self.config.version,
            self.priority(),
            self.timing_interval(),
            self.config.down_timer_adverts.max(1),
        )
    }

    /// Silence after which our peers may have taken over: their shortest master-down time.
    pub fn peers_patience(&self) -> Duration {
        timing::master_down(
            self.config.version,
            255,
            self.config.advert_interval,
            self.config.down_timer_adverts.max(1),
        )
    }

    /// How long we go on serving at most when we give up: the longest skew of a peer.
    pub fn release_bound(&self) -> Duration {
        let version = if self.config.speaks_both() { Version::V2 } else { self.config.version };
        let own = timing::release_bound(self.config.version, self.config.advert_interval);
        own.max(timing::release_bound(version, self.config.advert_interval))
    }

    /// The first time since the situation changed. Marks it.
    pub fn first(&mut self, kind: Once) -> bool {
        let bit = 1u32 << (kind as u32);
        let first = self.logged & bit == 0;
        self.logged |= bit;
        first
    }

    /// The situation changed: each kind may be logged once more. Not more often than ten times a minute.
    pub fn rearm_logs(&mut self, now: Time) -> bool {
        let allowed = self.rearm.allow(now, 10, Duration::from_secs(60));
        if allowed {
            self.logged = 0;
        }
        allowed
    }

    /// A line about an ordinary event that a peer causes: five in ten seconds.
    pub fn may_chat(&mut self, now: Time) -> bool {
        self.chatter.allow(now, 5, Duration::from_secs(10))
    }

    /// Everything that a master puts into the kernel, in order of adding.
    pub fn objects(config: &InstanceConfig) -> impl DoubleEndedIterator<Item = Object> + '_ {
        let all = || config.addresses.iter().chain(&config.excluded);
        let blocked = !config.accept && config.priority != 255;
        let blocks = all().filter(move |_| blocked).map(|a| {
            let linked = is_link_local(a.cidr.address).then(|| a.interface.clone());
            Object::Block(Block { address: a.cidr.address, interface: linked })
        });
        let addresses = all().cloned().map(Object::Address);
        let routes = config.routes.iter().cloned().map(|r| Object::Route(Box::new(r)));
        let rules = config.rules.iter().cloned().map(|r| Object::Rule(Box::new(r)));
        blocks.chain(addresses).chain(routes).chain(rules)
    }

    /// How long who overslept listens before it takes itself for the master: a living one speaks within that.
    pub fn listening_time(&self) -> Duration {
        // A router of version 2 speaks once a second at most.
        let slowest = Duration::from_secs(timing::seconds(self.config.advert_interval).into());
        let interval = if self.config.speaks_both() { slowest } else { Duration::ZERO }.max(self.timing_interval());
        (interval + interval / 8).clamp(DRAIN, Duration::from_secs(10))
    }

    /// How long a living master may take to answer: its next advert in turn, if it does not reply out of turn.
    pub fn answer_time(&self) -> Duration {
        let interval = self.timing_interval();
        (interval + interval / 8).max(Duration::from_millis(20))
    }

    /// Sends an advert to everybody. False: nothing could be sent.
    pub fn emit(&mut self, priority: u8, now: Time, out: &mut Vec<Output>) -> bool {
        // Who loses its address can still say so.
        let last = if priority == 0 { self.spoke_from } else { None };
        let Some((interface, source)) = self.assessed.index.zip(self.assessed.source.or(last)) else { return false };
        self.spoke_from = Some(source);
        let stamp = if self.config.keyed() { self.guard.next(now, &self.config) } else { 0 };
        let c = &self.config;
        let form = |version: Version| match (version, c.family) {
            (Version::V2, Family::V4) => ChecksumForm::Plain,
            (Version::V3, Family::V4) if c.checksum_without_pseudo => ChecksumForm::Plain,
            _ => ChecksumForm::Pseudo,
        };
        let hop_limit = timing::hop_limit(c.unicast.as_ref());
        let addresses = self.wire_addresses();
        let count = u8::try_from(addresses.len() / wire::address_len(c.family)).unwrap_or(255);
        let message = |version: Version, destination: IpAddr| {
            let form = form(version);
            let old = match c.old_checksum {
                OldChecksum::Auto => self.old_checksum,
                OldChecksum::Always => true,
                OldChecksum::Never => false,
            };
            let summed_to = if old && version == Version::V3 && destination.is_ipv4() { c.group } else { destination };
            let head = wire::Head { version, vrid: c.vrid, priority, interval: c.advert_interval, count };
            let mut payload = wire::emit_raw(head, &addresses, &c.auth, form, source, summed_to);
            if let Some(h) = c.trailer()
                && let Some(key) = h.key(h.active)
            {
                wire::trailer::seal(key, h.active, stamp, source, &mut payload);
                if c.family == Family::V6 {
                    // a kernel that checks the sum takes the trailer in (RFC 3542 section 3.1); the digest does without the sum
                    wire::fill_checksum(&mut payload, form, source, destination);
                }
            }
            let mut whole = false;
            if let (Auth::Ah(key), IpAddr::V4(from), IpAddr::V4(to)) = (&c.auth, source, destination) {
                // a sequence number has 32 bits, which the guard keeps to
                payload = wire::ah::seal(key, from, to, hop_limit, stamp as u32, &payload);
                whole = true;
            }
            Output::Send(Send { interface, source, destination, hop_limit, payload, whole, priority })
        };
        // version 3 first: who hears both goes by it
        for version in [Some(c.version), c.speaks_both().then_some(Version::V2)].into_iter().flatten() {
            match &c.unicast {
                None => out.push(message(version, c.group)),
                Some(u) => out.extend(u.peers.iter().map(|p| message(version, p.address))),
            }
        }
        self.last_sent = now;
        self.counters.advert_sent += 1;
        if priority == 0 {
            self.counters.pri_zero_sent += 1;
        }
        true
    }
}
