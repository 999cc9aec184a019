//! Programs whose starter does not answer: nobody is judged by its silence.

use crate::exchange::Exchange;
use crate::pool::{Key, Pool};
use crate::probes::{PAUSES, patience};
use std::time::Duration;
use steadfast_core::Time;

/// Limits of programs are looked at again after this while nobody can say how these are.
pub(crate) const HELD: Duration = Duration::from_millis(200);

impl Pool {
    /// `held`: whoever starts programs for this process does not answer. Then no program has overrun its limit, and when an answer
    /// is there again, or somebody else has started them anew, those under way have their whole time.
    pub fn hold_scripts(&mut self, held: bool, now: Time) {
        if !std::mem::replace(&mut self.held, held) || held {
            return;
        }
        let mut moved = Vec::new();
        for (c, checker) in self.checkers.iter_mut().enumerate() {
            let Some(checker) = checker else { continue };
            let wait = patience(checker);
            let Some(probe) = checker.probe.as_mut() else { continue };
            // A program that really hangs must not live for ever on a host that is late again and again.
            if matches!(probe.exchange, Exchange::Script) && probe.pauses < PAUSES {
                probe.pauses += 1;
                probe.deadline = now + wait;
                probe.limit = probe.limit.max(probe.deadline);
                moved.push((c as u32, probe.deadline));
            }
        }
        moved.into_iter().for_each(|(c, at)| self.timers.set(Key::Limit(c), at));
    }
}

#[cfg(test)]
mod tests;
