//! Script trackers: when to run, and what results mean.

use crate::{ScriptConfig, ScriptEnd};
use steadfast_core::Time;

/// What is being done about the run that is under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Run {
    /// Nothing runs.
    Idle,
    /// Within its time.
    Running,
    /// SIGTERM was sent.
    Terminating,
    /// SIGKILL was sent.
    Killing,
}

/// One script.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub config: ScriptConfig,
    pub run: Run,
    /// Counter 0..=rise+fall-1; OK from `rise` on.
    counter: u32,
    /// `None` until the first result.
    pub ok: Option<bool>,
    last_exit: Option<i32>,
    /// When the next run is due.
    pub due: Time,
}

/// What a result changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Verdict {
    /// The state is another now.
    pub changed: bool,
    /// Lines to log.
    pub logs: Vec<String>,
}

impl Script {
    pub fn new(config: ScriptConfig, now: Time) -> Self {
        let ok = config.init_fail.then_some(false);
        Script { config, run: Run::Idle, counter: 0, ok, last_exit: None, due: now }
    }

    /// The script was there before a reload and is the same still: its history stays.
    pub fn carry_over(&mut self, config: ScriptConfig) {
        let top = config.rise.saturating_add(config.fall).saturating_sub(1);
        self.counter = match self.ok {
            Some(true) => self.counter.clamp(config.rise, top),
            _ => self.counter.min(config.rise.saturating_sub(1)),
        };
        self.config = config;
    }

    /// Success below rise−1 counts up, otherwise jumps to the top; failure above rise counts down, otherwise drops to zero.
    pub fn ended(&mut self, end: ScriptEnd) -> Verdict {
        let name = &self.config.name;
        let timed_out = matches!(self.run, Run::Terminating | Run::Killing);
        self.run = Run::Idle;
        let mut verdict = Verdict::default();
        let (rise, fall) = (self.config.rise.max(1), self.config.fall.max(1));
        let success = end == ScriptEnd::Exited(0) && !timed_out;
        if let ScriptEnd::Exited(status) = end
            && !timed_out
        {
            if self.last_exit.is_some_and(|l| l != status) {
                verdict.logs.push(format!("Script `{name}` now returning {status}"));
            }
            self.last_exit = Some(status);
        }
        let before = self.ok;
        if success {
            if self.counter < rise - 1 {
                self.counter += 1;
                // A first success that is not enough yet is a result all the same.
                self.ok = Some(self.ok.unwrap_or(false));
            } else {
                self.counter = rise.saturating_add(fall) - 1;
                self.ok = Some(true);
                if before != Some(true) {
                    verdict.logs.push(format!("VRRP_Script({name}) succeeded"));
                }
            }
        } else {
            if self.counter > rise {
                self.counter -= 1;
            } else {
                self.counter = 0;
                self.ok = Some(false);
                if before != Some(false) {
                    verdict.logs.push(match end {
                        _ if timed_out => format!("VRRP_Script({name}) timed out"),
                        ScriptEnd::Exited(s) => format!("VRRP_Script({name}) failed (exited with status {s})"),
                        ScriptEnd::Signalled(s) => format!("VRRP_Script({name}) failed (due to signal {s})"),
                        ScriptEnd::NotStarted => format!("VRRP_Script({name}) failed (could not be started)"),
                    });
                }
            }
        }
        verdict.changed = before != self.ok;
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn script(rise: u32, fall: u32) -> Script {
        let config = ScriptConfig {
            name: "chk".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise,
            fall,
            init_fail: false,
            command: String::new(),
        };
        Script::new(config, Time::ZERO)
    }

    fn run(s: &mut Script, results: &[i32]) -> Vec<Option<bool>> {
        results
            .iter()
            .map(|r| {
                s.run = Run::Running;
                s.ended(ScriptEnd::Exited(*r));
                s.ok
            })
            .collect()
    }

    #[test]
    fn rise_and_fall_are_counted() {
        let (yes, no) = (Some(true), Some(false));
        assert_eq!(run(&mut script(1, 1), &[0, 1, 0]), [yes, no, yes]);
        assert_eq!(run(&mut script(2, 3), &[0, 0, 1, 1, 0, 1, 1, 1]), [no, yes, yes, yes, yes, yes, yes, no]);
        assert_eq!(run(&mut script(3, 1), &[1, 0, 0, 1, 0, 0, 0]), [no, no, no, no, no, no, yes]);
    }

    #[test]
    fn a_script_that_we_ended_has_timed_out() {
        let mut s = script(1, 1);
        s.run = Run::Terminating;
        let v = s.ended(ScriptEnd::Exited(0));
        assert_eq!((s.ok, v.logs.as_slice()), (Some(false), &["VRRP_Script(chk) timed out".to_string()][..]));
    }
}
