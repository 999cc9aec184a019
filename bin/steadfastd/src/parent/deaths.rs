//! What is remembered of the ends of a child, for people.

use serde::{Deserialize, Serialize};
use steadfast_supervisor::End;

/// How often it died, and how it did last. It goes along at an upgrade.
#[derive(Clone, Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Deaths {
    /// Under earlier programs.
    pub before: u64,
    /// When, by the clock, and how.
    pub last: Option<(f64, String)>,
}

/// How it ended, in few words. `silent`: the parent ended it.
pub fn how(end: End, silent: bool) -> String {
    match end {
        _ if silent => "it did not answer".into(),
        End::Exited(status) => format!("status {status}"),
        End::Signalled(signal) => {
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                7 => " (SIGBUS)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                15 => " (SIGTERM)",
                31 => " (SIGSYS)",
                _ => "",
            };
            format!("signal {signal}{name}")
        }
    }
}

/// Why the next life begins anew: `its process died twice, last by signal 9 (SIGKILL)`.
pub fn reason(in_a_row: usize, how: &str) -> String {
    match in_a_row {
        0 | 1 => format!("its process died: {how}"),
        2 => format!("its process died twice: {how}"),
        n => format!("its process died {n} times: {how}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_in_few_words() {
        assert_eq!(reason(2, &how(End::Signalled(9), false)), "its process died twice: signal 9 (SIGKILL)");
        assert_eq!(reason(1, &how(End::Signalled(6), true)), "its process died: it did not answer");
        assert_eq!(reason(3, &how(End::Exited(70), false)), "its process died 3 times: status 70");
    }
}
