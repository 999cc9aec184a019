//! The watchdog's decisions: when a dead child is started again, when a silent one is ended, when the daemon gives up.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod ward;
pub mod when;

pub use ward::{FOR_UPGRADE, Memory, SILENT, Sequel, Told, UNTIL_RELOAD, WITHDRAWN, Ward};

use std::time::Duration;
use steadfast_core::Time;

/// The exit status of a child that wants a successor: a file names what this process cannot have any more, and another one can.
pub const SUCCESSION: i32 = 75;
/// A child that ran this long is healthy: its next death counts as the first.
const HEALTHY: Duration = Duration::from_secs(10);
/// Waits before a restart, after deaths in a row.
const DELAYS: [u64; 8] = [0, 1, 2, 4, 8, 16, 32, 60];
/// A child that has not beaten for this long is ended.
pub const SILENCE: Duration = Duration::from_secs(5);
/// The same before its first beat: on a host with too much to do the start of a program takes its time, and another start takes it
/// again.
const BEGINNING: Duration = Duration::from_secs(12);
/// The watcher looks more often than this; when it does not, nobody was heard meanwhile.
const OFTEN: Duration = Duration::from_secs(2);
/// It gets this long after SIGABRT before SIGKILL.
const ABORT: Duration = Duration::from_secs(1);
/// One that has not ended so long after SIGKILL hangs in the kernel, nobody knows for how long.
const KILLED: Duration = Duration::from_secs(3);

/// How a child ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Exit status.
    Exited(i32),
    /// Signal.
    Signalled(i32),
}

/// What to do about an ended child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Start it again after this time.
    Restart(Duration),
    /// The daemon ends with this status: starting again cannot help.
    GiveUp(i32),
    /// The daemon stops in order.
    Stop,
}

/// What to do about a silent child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// All is well.
    Fine,
    /// Send SIGABRT.
    Abort,
    /// Send SIGKILL.
    Kill,
    /// It was killed and does not end: others have to do without it. Said once.
    Stuck,
}

/// The watch over one child.
#[derive(Clone, Debug)]
pub struct Child {
    started: Time,
    heard: Time,
    /// It has beaten.
    begun: bool,
    /// It has this long for its first beat.
    first: Duration,
    deaths: usize,
    total: u64,
    aborted: Option<Time>,
    killed: Option<Time>,
    stuck: bool,
    /// When it was last looked at.
    watched: Time,
    respawn: bool,
}

impl Child {
    /// A child that is not started yet. Without `respawn` (-R) its death stops the daemon.
    pub fn new(respawn: bool) -> Self {
        Child {
            started: Time::ZERO,
            heard: Time::ZERO,
            begun: false,
            first: BEGINNING,
            deaths: 0,
            total: 0,
            aborted: None,
            killed: None,
            stuck: false,
            watched: Time::ZERO,
            respawn,
        }
    }

    /// It was started.
    pub fn started(&mut self, now: Time) {
        self.started = now;
        self.heard = now;
        self.begun = false;
        self.first = BEGINNING;
        self.watched = now;
        self.aborted = None;
        self.killed = None;
        self.stuck = false;
    }

    /// It goes on with what a predecessor served: peers do not wait for its first beat any longer than for another.
    pub fn hurries(&mut self) {
        self.first = SILENCE;
    }

    /// It beat.
    pub fn beat(&mut self, now: Time) {
        self.heard = now;
        self.begun = true;
    }

    /// How long it has been silent.
    pub fn silent_for(&self, now: Time) -> Duration {
        now.since(self.heard)
    }

    /// How long its present or last life has been, up to `now`.
    pub fn lived(&self, now: Time) -> Duration {
        now.since(self.started)
    }

    /// Times that it ended without being told to.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Times that it ended so without a healthy life between.
    pub fn in_a_row(&self) -> usize {
        self.deaths
    }

    /// It was being ended because it was silent.
    pub fn was_silent(&self) -> bool {
        self.aborted.is_some()
    }

    /// It was killed and has not ended in time.
    pub fn is_stuck(&self) -> bool {
        self.stuck
    }

    /// The life before ended in order: nothing of it is in the way of the next one.
    pub fn begins_afresh(&mut self) {
        self.deaths = 0;
    }

    /// It is not wanted any more: nobody asks how often it died.
    pub fn forget(&mut self) {
        self.deaths = 0;
        self.total = 0;
    }

    /// It ended without being told to.
    pub fn ended(&mut self, now: Time, end: End) -> Verdict {
        self.total += 1;
        // Fatal at run time, configuration, permission: the same would happen again.
        if let End::Exited(status @ (1 | 2 | 4)) = end {
            return Verdict::GiveUp(status);
        }
        if !self.respawn {
            return Verdict::Stop;
        }
        let never_heard = !self.begun && self.aborted.is_some();
        if now.since(self.started) >= HEALTHY && !never_heard {
            self.deaths = 0;
        }
        let delay = DELAYS.get(self.deaths).copied().unwrap_or(60);
        self.deaths += 1;
        Verdict::Restart(Duration::from_secs(delay))
    }

    /// Looks whether it still beats. A machine that slept as a whole has not heard anybody, so the watcher's own lateness is
    /// taken off by calling this at least once a second.
    pub fn watch(&mut self, now: Time) -> Watch {
        let away = now.since(std::mem::replace(&mut self.watched, now));
        if away > OFTEN {
            self.heard += away;
            self.killed = self.killed.map(|at| at + away);
        }
        if self.killed.is_some_and(|at| now.since(at) > KILLED) && !std::mem::replace(&mut self.stuck, true) {
            return Watch::Stuck;
        }
        match self.aborted {
            Some(at) if now.since(at) > ABORT => {
                self.killed.get_or_insert(now);
                Watch::Kill
            }
            Some(_) => Watch::Fine,
            None if now.since(self.heard) > if self.begun { SILENCE } else { self.first } => {
                self.aborted = Some(now);
                Watch::Abort
            }
            None => Watch::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn deaths_in_a_row_are_answered_more_and_more_slowly() {
        let mut c = Child::new(true);
        let mut waits = Vec::new();
        for n in 0..10 {
            c.started(at(n));
            match c.ended(at(n), End::Signalled(11)) {
                Verdict::Restart(d) => waits.push(d.as_secs()),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]);
        c.started(at(100));
        assert_eq!(c.ended(at(160), End::Exited(70)), Verdict::Restart(Duration::ZERO));
    }

    #[test]
    fn permanent_ends_stop_the_daemon() {
        for status in [1, 2, 4] {
            assert_eq!(Child::new(true).ended(at(0), End::Exited(status)), Verdict::GiveUp(status));
        }
        assert_eq!(Child::new(false).ended(at(0), End::Signalled(9)), Verdict::Stop);
    }

    #[test]
    fn a_silent_child_is_aborted_then_killed() {
        let mut c = Child::new(true);
        c.started(at(0));
        c.beat(at(4));
        for n in 1..=9 {
            assert_eq!(c.watch(at(n)), Watch::Fine);
        }
        assert_eq!(c.watch(at(10)), Watch::Abort);
        assert_eq!(c.watch(at(11)), Watch::Fine);
        assert_eq!(c.watch(at(12)), Watch::Kill);
    }

    #[test]
    fn who_does_not_even_end_when_killed_is_said_once() {
        let mut c = Child::new(true);
        c.started(at(0));
        c.beat(at(0));
        let mut all: Vec<Watch> = (1..=14).map(|n| c.watch(at(n))).collect();
        all.retain(|w| *w == Watch::Stuck);
        assert_eq!((all.len(), c.is_stuck(), c.was_silent()), (1, true, true));
        c.started(at(20));
        c.beat(at(20));
        assert!(!c.is_stuck() && !c.was_silent());
        // The watcher was away with the whole host: the kernel had no time to end it, either.
        for n in 21..=28 {
            c.watch(at(n));
        }
        assert_eq!(c.watch(at(300)), Watch::Kill);
        assert!(!c.is_stuck());
    }

    /// A watcher that was held up itself, with the whole host or by a slow disk, has not given the child a chance to be heard.
    #[test]
    fn a_watcher_that_was_away_blames_nobody() {
        let mut c = Child::new(true);
        c.started(at(0));
        c.beat(at(0));
        assert_eq!(c.watch(at(1)), Watch::Fine);
        assert_eq!(c.watch(at(30)), Watch::Fine);
        assert_eq!(c.watch(at(31)), Watch::Fine);
        for n in 32..=34 {
            assert_eq!(c.watch(at(n)), Watch::Fine);
        }
        assert_eq!(c.watch(at(35)), Watch::Abort);
    }

    /// A program that a busy host starts slowly is not started once more instead.
    #[test]
    fn the_first_beat_may_take_longer() {
        let mut c = Child::new(true);
        c.started(at(0));
        for n in 1..=12 {
            assert_eq!(c.watch(at(n)), Watch::Fine);
        }
        assert_eq!(c.watch(at(13)), Watch::Abort);
        c.started(at(14));
        c.beat(at(15));
        assert_eq!((15..=30).find(|n| c.watch(at(*n)) == Watch::Abort), Some(21));
    }
}
