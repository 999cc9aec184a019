//! What is put back when somebody takes it away, and when that is given up.

use std::io;
use std::time::Duration;
use steadfast_core::Time;

/// It is put back this often within [`CALM`]; then somebody else wants it otherwise.
const OFTEN: u32 = 10;
const CALM: Duration = Duration::from_secs(10);

/// Tables of nf_tables that others may remove.
#[derive(Default)]
pub struct Repair {
    since: Time,
    count: u32,
}

impl Repair {
    /// Somebody took away what is ours: put it back?
    pub fn due(&mut self, t: Time) -> bool {
        if t.since(self.since) > CALM {
            (self.since, self.count) = (t, 0);
        }
        self.count += 1;
        if self.count <= OFTEN {
            log::warn!("nftables: somebody removed what is ours, putting it back");
        } else if self.count == OFTEN + 1 {
            log::error!("nftables: what is ours is removed again and again by somebody, leaving it");
        }
        self.count <= OFTEN
    }
}

/// Says what the kernel refused.
pub fn refused(mut failed: Vec<i32>) {
    failed.dedup();
    for errno in failed.into_iter().take(3) {
        log::error!("nftables: the kernel refused a change: {}", io::Error::from_raw_os_error(errno));
    }
}
