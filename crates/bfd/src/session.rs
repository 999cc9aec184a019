//! One session: the variables of RFC 5880 section 6.8.1 and what follows from them. What is sent when is the business of
//! [`crate::Sessions`].

use crate::state::{Diag, State, next};
use crate::wire::{LENGTH, Packet};
use crate::{Counters, Remote, SessionConfig, Snapshot, timing};
use std::time::Duration;
use steadfast_core::Time;

/// Lines about one session: so many at once, then one in a while.
const LINES: u32 = 20;
const LINE_EVERY: Duration = Duration::from_secs(5);

/// A bound on log lines.
#[derive(Clone, Debug)]
pub(crate) struct Quota {
    left: u32,
    refilled: Time,
    dropped: u64,
}

impl Quota {
    pub fn new(now: Time) -> Self {
        Quota { left: LINES, refilled: now, dropped: 0 }
    }

    /// Whether a line may be written; the number of those that were left out before it.
    pub fn take(&mut self, now: Time) -> Option<u64> {
        let every = LINE_EVERY.as_nanos() as u64;
        let earned = now.since(self.refilled).as_nanos() as u64 / every;
        if earned > 0 {
            self.left = self.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(LINES);
            self.refilled += Duration::from_nanos(earned.saturating_mul(every));
        }
        if self.left == 0 {
            self.dropped += 1;
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.dropped))
    }
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Change {
    pub state: State,
    /// What clients are told, if it is news to them.
    pub tell: Option<bool>,
}

/// A session.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub config: SessionConfig,
    pub discriminator: u32,
    pub port: u16,
    pub state: State,
    pub diag: Diag,
    pub remote: Remote,
    /// bfd.DesiredMinTxInterval and bfd.RequiredMinRxInterval, which packets name.
    announced: (u32, u32),
    /// Those that hold until a poll sequence has ended (section 6.8.3).
    in_use: (u32, u32),
    /// A poll sequence is under way.
    pub poll: bool,
    /// What the next poll sequence is for: one at a time (section 6.5).
    queued: Option<(u32, u32)>,
    /// The peer polls, and has no answer yet.
    pub answer: bool,
    /// What clients were told last.
    pub told: bool,
    /// The peer was heard with the full TTL.
    pub near: bool,
    pub since: Time,
    pub heard: Option<Time>,
    pub sent: Option<Time>,
    /// What was told of the last packet.
    pub counters: Counters,
    pub quota: Quota,
    /// Attempts to find a free source port.
    pub tries: u32,
    pub kept: Option<Snapshot>,
}

impl Session {
    pub fn new(config: SessionConfig, discriminator: u32, port: u16, now: Time) -> Session {
        let idle = config.idle_tx;
        let required = config.min_rx;
        Session {
            config,
            discriminator,
            port,
            state: State::Down,
            diag: Diag::NONE,
            remote: Remote::default(),
            announced: (idle, required),
            in_use: (idle, required),
            poll: false,
            queued: None,
            answer: false,
            told: false,
            near: false,
            since: now,
            heard: None,
            sent: None,
            counters: Counters::default(),
            quota: Quota::new(now),
            tries: 0,
            kept: None,
        }
    }

    /// Goes on where another process ended. The peer is given one whole detection time to be heard.
    pub fn restore(config: SessionConfig, s: &Snapshot, now: Time) -> Session {
        let mut session = Session::new(config, s.discriminator, s.port, now);
        if s.state == State::AdminDown {
            return session;
        }
        session.state = s.state;
        session.diag = s.diag;
        session.remote = s.remote;
        session.announced = s.announced;
        session.in_use = s.in_use;
        session.poll = s.poll;
        session.told = s.told;
        session.near = s.near;
        session.since = s.since.min(now);
        session.heard = (s.remote.discriminator != 0).then_some(now);
        session.configure();
        session
    }

    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            name: self.config.name.clone(),
            identity: self.config.identity(),
            state: self.state,
            diag: self.diag,
            discriminator: self.discriminator,
            port: self.port,
            announced: self.queued.unwrap_or(self.announced),
            in_use: self.in_use,
            poll: self.poll,
            remote: self.remote,
            told: self.told,
            near: self.near,
            since: self.since,
        }
    }

    /// The intervals that the present state and configuration ask for. While not Up at least a second is wanted (section 6.8.3).
    pub fn configure(&mut self) {
        let c = &self.config;
        let tx = if self.state == State::Up { c.min_tx } else { c.idle_tx.max(1_000_000) };
        let wanted = (tx, c.min_rx);
        if self.state != State::Up {
            self.announced = wanted;
            self.in_use = wanted;
            self.poll = false;
            self.queued = None;
        } else if self.poll {
            self.queued = (wanted != self.announced).then_some(wanted);
        } else if wanted != self.announced {
            self.begin_poll(wanted);
        }
    }

    /// Sections 6.5 and 6.8.3: a longer interval of transmission and a shorter one of reception hold once the peer has answered.
    fn begin_poll(&mut self, wanted: (u32, u32)) {
        self.announced = wanted;
        self.in_use = (wanted.0.min(self.in_use.0), wanted.1.max(self.in_use.1));
        self.poll = true;
    }

    fn end_poll(&mut self) {
        self.poll = false;
        self.in_use = self.announced;
        if let Some(wanted) = self.queued.take() {
            self.begin_poll(wanted);
        }
    }

    /// Interval between our packets before jitter, in microseconds.
    pub fn interval(&self) -> u32 {
        timing::transmit_interval(self.in_use.0, self.remote.min_rx)
    }

    /// Detection time in microseconds; 0: there is nothing to detect.
    pub fn detection(&self) -> u64 {
        timing::detection(self.remote.multiplier, self.in_use.1, self.remote.min_tx)
    }

    /// When silence is too long.
    pub fn deadline(&self) -> Option<Time> {
        let heard = self.heard.filter(|_| self.remote.discriminator != 0 && self.state != State::AdminDown)?;
        Some(heard + Duration::from_micros(self.detection()))
    }

    /// Periodic packets are sent (section 6.8.7).
    pub fn speaks(&self) -> bool {
        let silent = self.state == State::AdminDown
            || (self.config.passive && self.remote.discriminator == 0)
            || self.remote.min_rx == 0
            || (self.remote.demand && self.state == State::Up && self.remote.state == State::Up && !self.poll);
        !silent
    }

    /// Anything may be sent at all.
    pub fn may_speak(&self) -> bool {
        !self.config.passive || self.remote.discriminator != 0
    }

    /// The next packet. An answer to a poll has F, and never P beside it (section 6.5).
    pub fn packet(&mut self, now: Time) -> [u8; LENGTH] {
        let last = std::mem::take(&mut self.answer);
        self.sent = Some(now);
        self.counters.sent += 1;
        Packet {
            diag: self.diag,
            state: self.state,
            poll: self.poll && !last,
            last,
            independent: false,
            demand: false,
            multiplier: self.config.multiplier,
            mine: self.discriminator,
            yours: self.remote.discriminator,
            min_tx: self.announced.0,
            min_rx: self.announced.1,
            min_echo: 0,
        }
        .emit()
    }

    /// Takes a packet that passed every check (section 6.8.6).
    pub fn hear(&mut self, p: &Packet, now: Time) -> Option<Change> {
        self.counters.received += 1;
        self.heard = Some(now);
        self.remote = Remote {
            discriminator: p.mine,
            state: p.state,
            diag: p.diag,
            min_tx: p.min_tx,
            min_rx: p.min_rx,
            multiplier: p.multiplier,
            demand: p.demand,
        };
        if self.poll && p.last {
            self.end_poll();
        }
        if self.state == State::AdminDown {
            return None;
        }
        self.answer |= p.poll;
        let to = next(self.state, p.state)?;
        let diag = if to == State::Down { Diag::NEIGHBOR } else { Diag::NONE };
        // RFC 5882 section 4: who takes his session down says nothing of the path, and clients go on as they are.
        Some(self.enter(to, diag, p.state != State::AdminDown, now))
    }

    /// The detection time ran out (section 6.8.4). The peer is forgotten, and what it asked for with it (section 6.8.1).
    pub fn expire(&mut self, now: Time) -> Option<Change> {
        self.remote = Remote { diag: self.remote.diag, ..Remote::default() };
        self.heard = None;
        self.answer = false;
        match self.state {
            State::Init | State::Up => Some(self.enter(State::Down, Diag::EXPIRED, true, now)),
            State::Down | State::AdminDown => None,
        }
    }

    /// Taken down by us.
    pub fn take_down(&mut self, now: Time) {
        self.enter(State::AdminDown, Diag::ADMIN, false, now);
    }

    /// `real`: clients take going down for a failure.
    fn enter(&mut self, to: State, diag: Diag, real: bool, now: Time) -> Change {
        if to == State::Up {
            self.counters.ups += 1;
        } else if self.state == State::Up {
            self.counters.downs += 1;
        }
        self.state = to;
        self.diag = diag;
        self.since = now;
        self.configure();
        let verdict = match to {
            State::Up => true,
            State::Down if real => false,
            _ => self.told,
        };
        let tell = (verdict != self.told).then_some(verdict);
        self.told = verdict;
        Change { state: to, tell }
    }

    /// Whether a packet from its peer came from near enough (RFC 5881 section 5); the first one of full TTL ends all leniency.
    pub fn is_near(&mut self, hop_limit: u8) -> bool {
        let hops = self.config.hops;
        if hop_limit >= hops.least {
            self.near = true;
            return true;
        }
        !self.near && hops.fallback.is_some_and(|(low, high)| (low..=high).contains(&hop_limit))
    }

    /// What a successor needs has changed since it was last asked.
    pub fn news(&mut self) -> Option<Snapshot> {
        let now = self.snapshot();
        if self.kept.as_ref() == Some(&now) {
            return None;
        }
        self.kept = Some(now.clone());
        Some(now)
    }
}

#[cfg(test)]
mod tests;
