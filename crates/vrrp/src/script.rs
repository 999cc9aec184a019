//! One script tracker: when it runs, how it is ended when it takes too long, and what its results amount to.

use crate::{Kill, ScriptConfig, ScriptEnd};
use std::time::Duration;

/// Signals and pauses of a run that takes too long: TERM, two seconds, KILL, two seconds, KILL every ten seconds.
const PATIENCE: Duration = Duration::from_secs(2);
const REPEAT: Duration = Duration::from_secs(10);

/// What a result changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Outcome {
    /// The verdict is another one now, or this is the first result and a failure.
    pub changed: bool,
    /// The exit status differs from the last one.
    pub status_changed: bool,
    /// It was ended by us.
    pub timed_out: bool,
    /// It was a former command's, and the present one was due meanwhile.
    pub overdue: bool,
}

/// One script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub config: ScriptConfig,
    /// 0..rise+fall-1; OK from `rise` on.
    counter: u32,
    /// The verdict, once there is one.
    verdict: Option<bool>,
    /// Signals sent to the present run; `None`: not running.
    run: Option<u32>,
    /// A run has ended and counted.
    seen: bool,
    /// The last exit status; a run that a signal ended has none.
    status: i32,
    /// The present run is of a former command; its result means nothing.
    foreign: bool,
    /// The present command was due while the former one's run was waited for.
    overdue: bool,
    /// That result has been counted as a failure.
    stuck: bool,
    /// How often the present run was given its whole time once more.
    renewed: u8,
}

impl Script {
    /// A script without history. `known`: its verdict in a former life, which holds until a result says otherwise.
    pub fn new(config: ScriptConfig, known: Option<bool>) -> Script {
        let rise = config.rise.max(1);
        let (counter, verdict) = match (config.init_fail, known) {
            (_, Some(true)) => (rise.saturating_add(config.fall.max(1)) - 1, Some(true)),
            (_, Some(false)) => (0, Some(false)),
            // Without a past the first result decides; what `init_fail` assumes holds until then.
            (true, None) => (rise - 1, Some(false)),
            (false, None) => (rise - 1, None),
        };
        Script {
            config,
            counter,
            verdict,
            run: None,
            seen: false,
            status: 0,
            foreign: false,
            overdue: false,
            stuck: false,
            renewed: 0,
        }
    }

    /// OK, KO, or not known yet.
    pub fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// Results in a row that speak against its verdict, and how many of them change it.
    pub fn streak(&self) -> Option<(u32, u32)> {
        let (rise, fall) = (self.config.rise.max(1), self.config.fall.max(1));
        let (against, needed) = match self.verdict? {
            true => (rise.saturating_add(fall) - 1 - self.counter, fall),
            false => (self.counter, rise),
        };
        (self.seen && against > 0).then_some((against, needed))
    }

    /// No run has ended yet.
    pub fn pending(&self) -> bool {
        !self.seen
    }

    /// A run is going on.
    pub fn running(&self) -> bool {
        self.run.is_some()
    }

    /// Period, never zero.
    pub fn interval(&self) -> Duration {
        self.config.interval.max(Duration::from_millis(10))
    }

    /// It is time for a run. True: start it; false: the last one has not ended, and none is doubled.
    pub fn due(&mut self) -> bool {
        if self.run.is_some() {
            self.overdue = self.foreign && !self.stuck;
            return false;
        }
        self.run = Some(0);
        self.renewed = 0;
        true
    }

    /// The time limit of a run that was begun anew by somebody else, or that nobody could tell of; `None`: it is being ended, or has had
    /// that often enough. A script that really hangs must not live for ever on a host that is late again and again.
    pub fn whole_time(&mut self) -> Option<Duration> {
        let limited = !self.config.timeout.is_zero() && self.run == Some(0) && self.renewed < 3;
        limited.then(|| {
            self.renewed += 1;
            self.config.timeout
        })
    }

    /// The time limit has passed: the signal to send, and when to look again.
    pub fn expired(&mut self) -> Option<(Kill, Duration)> {
        let sent = self.run.as_mut()?;
        *sent = sent.saturating_add(1);
        Some(match *sent {
            1 => (Kill::Term, PATIENCE),
            2 => (Kill::Kill, PATIENCE),
            _ => (Kill::Kill, REPEAT),
        })
    }

    /// It was killed and has not ended: it hangs in the kernel, or nobody who could tell answers. That is a failure, too, and the
    /// end of this run is no news when it comes.
    pub fn hangs(&mut self) -> bool {
        let hangs = self.run.is_some_and(|signals| signals >= 3) && (!self.foreign || self.stuck);
        self.foreign &= !hangs;
        hangs
    }

    /// The run that hangs has been counted.
    pub fn counted(&mut self) {
        self.run = Some(3);
        self.foreign = true;
        self.stuck = true;
    }

    /// A run of the former command of this name is being ended and must be waited for.
    pub fn wait_for_former(&mut self) -> Duration {
        self.run = Some(1);
        self.foreign = true;
        PATIENCE
    }

    /// A run has ended.
    pub fn ended(&mut self, end: ScriptEnd) -> Outcome {
        self.stuck = false;
        let overdue = std::mem::take(&mut self.overdue);
        if std::mem::take(&mut self.foreign) {
            self.run = None;
            return Outcome { overdue, ..Outcome::default() };
        }
        let timed_out = self.run.is_some_and(|signals| signals > 0);
        self.run = None;
        if end == ScriptEnd::Unable {
            return Outcome::default();
        }
        let success = end == ScriptEnd::Exited(0) && !timed_out;
        let first = !std::mem::replace(&mut self.seen, true);
        let status_changed = match end {
            ScriptEnd::Exited(status) if !timed_out => std::mem::replace(&mut self.status, status) != status,
            _ => false,
        };
        let (rise, fall) = (self.config.rise.max(1), self.config.fall.max(1));
        if success {
            self.counter = if self.counter < rise - 1 { self.counter + 1 } else { rise.saturating_add(fall) - 1 };
        } else {
            self.counter = if self.counter > rise { self.counter - 1 } else { 0 };
        }
        // a first failure decides at once, whatever `fall` says; with an assumed past it counts like any other
        let now = if first && !success && self.verdict.is_none() { false } else { self.counter >= rise };
        // A first failure is told of where it was assumed, too.
        let changed = self.verdict.replace(now) != Some(now) || (first && !success && !now);
        Outcome { changed, status_changed, timed_out, overdue: false }
    }

    /// The configuration changed in timing only.
    pub fn adopt(&mut self, config: ScriptConfig) {
        let max = config.rise.max(1).saturating_add(config.fall.max(1)) - 1;
        self.counter = match self.verdict {
            Some(true) => max,
            _ => self.counter.min(config.rise.max(1) - 1),
        };
        self.config = config;
    }
}

#[cfg(test)]
mod tests;
