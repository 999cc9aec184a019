//! Fresh or not: what the stamps of authenticated adverts prove, and which ones ours carry.
//!
//! A stamp is the sequence number of the authentication header, or the time and counter of the trailer. An advert whose check is
//! right but whose stamp is not newer than what was heard, or is far from where its sender's clock was, may be a replay, or may
//! come from a living router whose clock was set or which has lost its state. No rule can tell the two apart, so nobody guesses:
//! the router says an advert itself, stamped later than anything it knows. A living peer answers that at once, with a later
//! stamp still; a recording does not. Because every router stamps later than all that it has heard (a hybrid logical clock), the
//! answer passes the ordinary rule, for keepalived's routers too.
//!
//! Our stamps follow the wall clock only where nobody listens to us. A master's run on by the monotonic clock, so a step of the
//! wall clock by whatever amount is seen by nobody.

use crate::{Auth, Hmac, InstanceConfig};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Time;

/// Multicast senders that are remembered.
const SENDERS: usize = 4;
/// Senders that a successor is told of.
const TOLD: usize = 64;
/// 2024 began at this second: a clock before it was never set.
const PLAUSIBLE: i128 = 1_704_067_200;
/// Sequence numbers of a fresh start count these steps a second from [`PLAUSIBLE`] on: faster than adverts of version 2 come, so
/// that a start without memory goes on above what was sent before. They last until 2058.
const PER_SECOND: i128 = 4;
/// Routers that become masters at one moment have heard each other within this, and their numbers rise by no more.
const CONTEST: Duration = Duration::from_millis(10);
const STEPS: u64 = 32;
/// What a predecessor may have sent since it last said where it stood.
const UNSAID: u64 = 64;
/// Stamps of the trailer from here on (the year 2097) move no clock, and a clock that shows this was never set: nothing could be
/// later soon.
const LATEST: u64 = 0xf000_0000 << 32;

const SECOND: i128 = 1_000_000_000;

/// Nanoseconds since 1970 as a stamp of the trailer; the counter is zero.
fn to_stamp(nanos: i128) -> u64 {
    let nanos = nanos.clamp(0, (1 << 32) * SECOND - 1);
    let (seconds, rest) = (nanos / SECOND, nanos % SECOND);
    // both fit: 32 bits of seconds, 16 of a fraction
    ((seconds as u64) << 32) | (((rest * 65536 / SECOND) as u64) << 16)
}

/// And back, the counter left out.
fn to_nanos(stamp: u64) -> i128 {
    i128::from(stamp >> 32) * SECOND + i128::from((stamp >> 16) & 0xffff) * SECOND / 65536
}

fn nanos(d: Duration) -> i128 {
    i128::try_from(d.as_nanos()).unwrap_or(i128::MAX)
}

/// Why an advert is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It has no header or trailer.
    Missing,
    /// It has one that cannot be read.
    Malformed,
    /// Its key is not known.
    UnknownKey(u8),
    /// Its check is wrong: another key, or changed on the way.
    Invalid,
    /// Its check is right and its stamp is too far from the clocks.
    Stale(u64),
    /// Its check is right and its stamp is not newer than the last.
    Replay(u64),
}

/// Who was heard and could not be taken at his word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sighting {
    /// Sender, as the packet says.
    pub source: IpAddr,
    /// What was wrong.
    pub why: &'static str,
    /// The check was right, only the stamp was not fresh.
    pub authentic: bool,
    /// First of an unbroken row.
    pub since: Time,
    /// Last.
    pub last: Time,
    /// How many.
    pub count: u64,
}

/// One sender's newest stamp, and when it came.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Sender {
    source: IpAddr,
    stamp: u64,
    at: Time,
}

/// What a successor process is told, so that stamps go on and old ones stay old.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Stamps {
    sent: u64,
    floor: u64,
    senders: Vec<Sender>,
}

/// The memory of one virtual router, or of one without keys, which needs none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory(Option<Box<Guard>>);

impl Memory {
    /// That of a router which has neither heard nor said anything; `wall`: wall clock less monotonic clock.
    pub fn new(wall: i128, now: Time, c: &InstanceConfig) -> Self {
        let mut memory = Memory(None);
        if c.keyed() {
            memory.set_wall(wall, false, now, c);
        }
        memory
    }
}

impl std::ops::Deref for Memory {
    type Target = Guard;

    fn deref(&self) -> &Guard {
        static NONE: Guard = Guard::NEW;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl std::ops::DerefMut for Memory {
    fn deref_mut(&mut self) -> &mut Guard {
        self.0.get_or_insert_default()
    }
}

/// What is known of stamps.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    /// Wall clock less monotonic clock, as last told.
    wall: i128,
    /// Clock of our stamps less monotonic clock.
    offset: i128,
    /// The newest stamp of ours.
    sent: u64,
    /// The newest authentic stamp of anybody.
    floor: u64,
    senders: Vec<Sender>,
    /// Since when `sent` and `floor` rise in one contest, and the later of both before it.
    contest: (Time, u64),
    /// When we last asked by an advert.
    asked: Option<Time>,
    /// Questions since the last fresh advert.
    pub tries: u32,
    /// Heard since, and not proven.
    pub sighting: Option<Sighting>,
    /// When a takeover that is held back was last reported.
    pub alarm: Option<Time>,
}

impl Default for Guard {
    fn default() -> Self {
        Guard::NEW
    }
}

impl Guard {
    const NEW: Guard = Guard {
        wall: 0,
        offset: 0,
        sent: 0,
        floor: 0,
        senders: Vec::new(),
        contest: (Time::ZERO, 0),
        asked: None,
        tries: 0,
        sighting: None,
        alarm: None,
    };

    /// Goes on where another process, or another form of authentication, was.
    pub fn restore(&mut self, stamps: &Stamps) {
        self.sent = if stamps.sent == 0 { 0 } else { stamps.sent.saturating_add(UNSAID) };
        self.floor = stamps.floor;
        self.senders.clone_from(&stamps.senders);
    }

    pub fn stamps(&self) -> Stamps {
        let from = self.senders.len().saturating_sub(TOLD);
        let senders = self.senders.get(from..).unwrap_or_default().to_vec();
        Stamps { sent: self.sent, floor: self.floor, senders }
    }

    /// The wall clock is so far from the monotonic one. `heard`: somebody listens to our stamps.
    pub fn set_wall(&mut self, wall: i128, heard: bool, now: Time, c: &InstanceConfig) {
        self.wall = if now_nanos(now) + wall < to_nanos(LATEST) { wall } else { 0 };
        let unset = now_nanos(now) + self.offset < PLAUSIBLE * SECOND;
        if !heard || unset {
            self.rebase(now, c);
        }
    }

    /// The clock of our stamps is the wall clock, or later, where stamps are about that are much later.
    pub fn rebase(&mut self, now: Time, c: &InstanceConfig) {
        let before = std::mem::replace(&mut self.offset, self.wall);
        if let Some(h) = c.hmac.as_ref().filter(|h| !h.monotonic)
            && self.raise(self.floor.max(self.sent), now, h.window)
        {
            // it has run on since that stamp was heard
            self.offset = self.offset.max(before);
        }
    }

    fn clock(&self, now: Time) -> i128 {
        now_nanos(now) + self.offset
    }

    /// Stamps are about that our clock would not reach soon.
    fn raise(&mut self, stamp: u64, now: Time, window: Duration) -> bool {
        let far = stamp < LATEST && to_nanos(stamp) > self.clock(now) + nanos(window);
        if far {
            self.offset = to_nanos(stamp) - now_nanos(now);
        }
        far
    }

    /// The stamp of our next advert: later than everything that we have sent or heard.
    pub fn next(&mut self, now: Time, c: &InstanceConfig) -> u64 {
        let low = self.sent.max(self.floor);
        self.rises(now);
        self.sent = if c.hmac.is_some() {
            to_stamp(self.clock(now)).max(low.saturating_add(1))
        } else {
            let elapsed = (now_nanos(now) + self.wall) / SECOND - PLAUSIBLE;
            let seed = if self.sent == 0 { (elapsed * PER_SECOND).clamp(0, 0xf000_0000) as u64 } else { 0 };
            match seed.max(low.saturating_add(1)) {
                // the number has 32 bits; peers learn of the new beginning as of any other
                n if n > u64::from(u32::MAX) => {
                    self.floor = 0;
                    self.senders.clear();
                    1
                }
                n => n,
            }
        };
        self.sent
    }

    /// Numbers are about to rise.
    fn rises(&mut self, now: Time) {
        if now.since(self.contest.0) >= CONTEST {
            self.contest = (now, self.floor.max(self.sent));
        }
    }

    /// Our last advert was a question.
    pub fn ask(&mut self, now: Time) {
        self.asked = Some(now);
    }

    /// Nothing was asked within this time.
    pub fn may_ask(&self, now: Time, pause: Duration) -> bool {
        self.asked.is_none_or(|t| now.since(t) >= pause)
    }

    /// Whether an authentic stamp is fresh; how it is off otherwise.
    pub fn judge(&self, source: IpAddr, stamp: u64, now: Time, c: &InstanceConfig) -> Result<(), Refusal> {
        let known = self.senders.iter().find(|s| s.source == source);
        if known.is_some_and(|s| stamp <= s.stamp) {
            return Err(Refusal::Replay(stamp));
        }
        let Some(h) = &c.hmac else {
            // One row of numbers for all routers, as keepalived has it. Several may count on at one moment: what is on the way
            // meanwhile is not old for that.
            let low = self.floor.max(self.sent);
            let contest = now.since(self.contest.0) < CONTEST;
            let old = stamp < if contest { self.contest.1.min(low).max(low.saturating_sub(STEPS)) } else { low };
            return if known.is_none() && old { Err(Refusal::Replay(stamp)) } else { Ok(()) };
        };
        if h.monotonic {
            return Ok(());
        }
        let (at, window) = (to_nanos(stamp), nanos(h.window));
        let near = |expected: i128| (at - expected).abs() <= window;
        let wall = now_nanos(now) + self.wall;
        // a sender's clock runs on as ours does, whatever our wall clock was set to meanwhile
        let pace = known.is_some_and(|s| near(to_nanos(s.stamp) + nanos(now.since(s.at))));
        if pace || near(wall) || near(self.clock(now)) { Ok(()) } else { Err(Refusal::Stale(stamp)) }
    }

    /// An authentic stamp was seen, fresh or not: ours are later from now on.
    fn heard(&mut self, stamp: u64, now: Time, c: &InstanceConfig) {
        self.rises(now);
        if c.hmac.is_none() {
            self.floor = self.floor.max(stamp);
        } else if stamp < LATEST {
            self.floor = self.floor.max(stamp);
            if let Some(h) = c.hmac.as_ref().filter(|h| !h.monotonic) {
                self.raise(stamp, now, h.window);
            }
        }
    }

    /// A fresh advert passed all checks.
    pub fn commit(&mut self, source: IpAddr, stamp: u64, now: Time, c: &InstanceConfig) {
        self.heard(stamp, now, c);
        self.tries = 0;
        if self.sighting.as_ref().is_some_and(|s| s.authentic || s.source == source) {
            self.sighting = None;
        }
        self.senders.retain(|s| s.source != source);
        // the most recent ones are at the end
        self.senders.push(Sender { source, stamp, at: now });
        let most = c.unicast.as_ref().map_or(SENDERS, |u| u.peers.len().max(SENDERS));
        if self.senders.len() > most {
            self.senders.remove(0);
        }
    }

    /// An advert was refused that may be a living router's.
    pub fn saw(&mut self, source: IpAddr, refusal: Refusal, now: Time, c: &InstanceConfig) {
        let (why, authentic) = match refusal {
            Refusal::Missing => ("no authentication", false),
            Refusal::Malformed => ("malformed authentication", false),
            Refusal::UnknownKey(_) => ("unknown key", false),
            Refusal::Invalid => ("wrong key, or changed on the way", false),
            Refusal::Stale(_) => ("time stamp off", true),
            Refusal::Replay(_) => ("sequence gone backwards", true),
        };
        if let Refusal::Stale(stamp) | Refusal::Replay(stamp) = refusal {
            self.heard(stamp, now, c);
        }
        let row = self.sighting.take().filter(|s| s.source == source && s.authentic == authentic);
        let (since, count) = row.map_or((now, 0), |s| (s.since, s.count));
        self.sighting = Some(Sighting { source, why, authentic, since, last: now, count: count.saturating_add(1) });
    }

    /// How far a trailer's stamp is from our wall clock.
    pub fn skew(&self, stamp: u64, now: Time) -> Duration {
        let off = (to_nanos(stamp) - now_nanos(now) - self.wall).unsigned_abs();
        Duration::from_nanos(u64::try_from(off).unwrap_or(u64::MAX))
    }
}

fn now_nanos(now: Time) -> i128 {
    i128::from(now.as_nanos())
}

/// Stamps of the two kinds are no numbers of one row.
pub(crate) fn same_kind(a: &InstanceConfig, b: &InstanceConfig) -> bool {
    let kind = |c: &InstanceConfig| (matches!(c.auth, Auth::Ah(_)), c.hmac.is_some());
    kind(a) == kind(b)
}

/// Half the window is used up: time to look at the clocks.
pub(crate) fn is_wide(h: &Hmac, skew: Duration) -> bool {
    !h.monotonic && skew * 2 > h.window
}

#[cfg(test)]
mod tests;
