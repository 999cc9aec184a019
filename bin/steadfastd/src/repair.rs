//! What is put back when somebody takes it away, and when that is done more slowly.

use std::io;
use std::time::Duration;
use steadfast_core::Time;

/// It is put back at once this often within [`CALM`]; then somebody else wants it otherwise.
const OFTEN: u32 = 10;
const CALM: Duration = Duration::from_secs(10);
/// From then on it is put back after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Tables of nf_tables that others may remove.
#[derive(Default)]
pub struct Repair {
    /// The last loss.
    last: Time,
    count: u32,
    /// It is not there, and is put back then.
    retry: Option<Time>,
}

impl Repair {
    /// Somebody took away what is ours: put it back at once? Else [`Repair::overdue`] says when.
    pub fn due(&mut self, t: Time) -> bool {
        if self.retry.is_some() {
            return false;
        }
        if t.since(self.last) > CALM {
            self.count = 0;
        }
        self.last = t;
        self.count = self.count.saturating_add(1);
        if self.count <= OFTEN {
            log::warn!("nftables: somebody removed what is ours, putting it back");
            return true;
        }
        if self.count == OFTEN + 1 {
            log::error!("nftables: what is ours is removed again and again by somebody, putting it back more slowly");
        }
        self.retry = Some(t + PAUSE);
        false
    }

    /// What was not put back at once is to be put back now. To be called once a second or so.
    pub fn overdue(&mut self, t: Time) -> bool {
        self.retry.take_if(|at| *at <= t).is_some()
    }
}

/// Says what the kernel refused.
pub fn refused(mut failed: Vec<i32>) {
    failed.dedup();
    for errno in failed.into_iter().take(3) {
        log::error!("nftables: the kernel refused a change: {}", io::Error::from_raw_os_error(errno));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_removed_again_and_again_is_put_back_once_a_second_and_never_given_up() {
        let mut repair = Repair::default();
        let at = |ms: u64| Time::from_millis(ms);
        let quick = (0..100).filter(|n| repair.due(at(1000 + n))).count();
        assert_eq!(quick, 10);
        let slow = (0..60_000).filter(|n| {
            let again = repair.overdue(at(1100 + n));
            // whoever it is, is at it still
            again && !repair.due(at(1100 + n))
        });
        assert!((55..=60).contains(&slow.count()));
        // who leaves it alone at last is forgiven
        assert!(repair.overdue(at(70_000)));
        assert!(!repair.overdue(at(90_000)));
        assert!(repair.due(at(90_000)));
    }
}
