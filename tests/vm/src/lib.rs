//! What runs inside the guest: hosts as network namespaces, servers, clients, and the daemon under test.
#![forbid(unsafe_code)]

pub mod lab;
pub mod scale;
pub mod talk;

use std::time::{Duration, Instant};

/// Waits for something to come true.
pub fn eventually(bound: Duration, mut what: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + bound;
    loop {
        if what() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Seconds, widened for a machine whose every instruction is translated.
pub const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n * 3)
}
