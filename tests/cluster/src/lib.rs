//! Real daemons in network namespaces of their own: hosts on one bridge, a client that pings the virtual address, a forger of
//! packets. Nothing touches the network of the machine that runs it.
#![forbid(unsafe_code)]

pub mod client;
pub mod daemon;
pub mod dumps;
pub mod lan;
pub mod wire;

pub use daemon::{Daemon, Kind};
pub use lan::{Host, Lan};

use std::time::{Duration, Instant};

/// Waits for something, with a bound; true when it came.
pub fn eventually(bound: Duration, mut what: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + bound;
    loop {
        if what() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Measures something until it is within a limit, so many times at most, and asserts that it was. A machine that does other things
/// meanwhile makes one try slow; a fault makes all of them slow. What each try took is printed.
pub fn best_of(what: &str, tries: usize, limit: Duration, mut measure: impl FnMut() -> Duration) {
    let mut took = Vec::new();
    while took.len() < tries && took.last().is_none_or(|t| *t > limit) {
        took.push(measure());
    }
    println!("{what}: {took:?}, the limit is {limit:?}");
    assert!(took.last().is_some_and(|t| *t <= limit), "{what}: {took:?}, none of them within {limit:?}");
}

/// Why daemons cannot be run here; `None` when they can.
pub fn obstacle() -> Option<String> {
    // Once: two probes of one process would be in each other's way.
    static FOUND: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    FOUND.get_or_init(look_for_obstacle).clone()
}

fn look_for_obstacle() -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("not root: network namespaces cannot be made".into());
    }
    let probe = format!("sfprobe{}", std::process::id());
    let made = std::process::Command::new("ip").args(["netns", "add", &probe]).output();
    match made {
        Ok(o) if o.status.success() => {
            let _ = std::process::Command::new("ip").args(["netns", "del", &probe]).output();
            None
        }
        Ok(o) => Some(format!("network namespaces cannot be made: {}", String::from_utf8_lossy(&o.stderr).trim())),
        Err(e) => Some(format!("iproute2 is not there: {e}")),
    }
}

/// Leaves a test, loudly, where it cannot run.
#[macro_export]
macro_rules! require {
    () => {
        if let Some(why) = $crate::obstacle() {
            println!("SKIPPED: {}: {why}", module_path!());
            return;
        }
    };
    (keepalived) => {
        $crate::require!();
        if $crate::daemon::keepalived().is_none() {
            println!("SKIPPED: {}: keepalived is not installed", module_path!());
            return;
        }
    };
}
