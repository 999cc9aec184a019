//! Core files: what they are called while the daemon runs.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const PATTERN: &str = "/proc/sys/kernel/core_pattern";
const SOON: Duration = Duration::from_secs(10);
const CONF: &str = "vrrp_instance A {\n interface eth0\n virtual_router_id 51\n priority 200\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";

fn now() -> String {
    std::fs::read_to_string(PATTERN).expect("pattern").trim_end_matches('\n').to_string()
}

/// The setting is the whole machine's: it is put back however the test ends.
struct PutBack(String);

impl Drop for PutBack {
    fn drop(&mut self) {
        if let Err(e) = std::fs::write(PATTERN, format!("{}\n", self.0)) {
            eprintln!("{PATTERN} could not be put back to '{}': {e}", self.0);
        }
    }
}

#[test]
fn the_pattern_of_core_files_is_another_one_until_the_end_and_after_a_kill_until_the_next_start() {
    require!();
    let guard = PutBack(now());
    // What holds now is written once more: where that may not be, nothing can be tried.
    if let Err(e) = std::fs::write(PATTERN, format!("{}\n", guard.0)) {
        println!("SKIPPED: {PATTERN} cannot be written here: {e}");
        return;
    }
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let before = guard.0.clone();
    let start = |folder: tempfile::TempDir, argument: &str| {
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        Daemon::launch(host, Kind::Steadfast, CONF, folder, log.into(), &[("", argument)])
    };
    let fresh = || tempfile::tempdir().expect("folder");
    let holds = |d: &Daemon, pattern: &str| assert!(eventually(SOON, || now() == pattern), "{}: {}", now(), d.log());

    let d = start(fresh(), "-Msf-core.%p");
    holds(&d, "sf-core.%p");
    let child = d.pid_of("vrrp.pid").expect("pid");
    let limits = std::fs::read_to_string(format!("/proc/{child}/limits")).expect("limits");
    assert!(limits.lines().any(|l| l.starts_with("Max core") && l.matches("unlimited").count() == 2), "{limits}");
    assert_eq!(d.stop(), Some(0));
    assert_eq!(now(), before);

    // Who was killed could not put it back: the next one knows what was before, with the option and without it.
    let kill = |d: &Daemon| ["pid", "vrrp.pid"].iter().for_each(|f| send(d.pid_of(f).expect("pid"), Signal::SIGKILL));
    let heir = |d: &Daemon, argument: &str| {
        let folder = fresh();
        std::fs::copy(d.path("pid.core_pattern"), folder.path().join("pid.core_pattern")).expect("record");
        start(folder, argument)
    };
    let d = start(fresh(), "--core-dump-pattern=sf-one.%p");
    holds(&d, "sf-one.%p");
    kill(&d);
    let d = heir(&d, "-Msf-two.%p");
    holds(&d, "sf-two.%p");
    kill(&d);
    assert_eq!(now(), "sf-two.%p");
    let d = heir(&d, "-m");
    holds(&d, &before);
    assert_eq!(d.stop(), Some(0));

    // What somebody else sets meanwhile stays.
    let d = start(fresh(), "-M|/bin/false %p");
    holds(&d, "|/bin/false %p");
    std::fs::write(PATTERN, "sf-other\n").expect("pattern");
    assert_eq!(d.stop(), Some(0));
    assert_eq!(now(), "sf-other");

    let d = start(fresh(), "-M");
    holds(&d, "core");
    assert_eq!(d.stop(), Some(0));
    assert_eq!(now(), "sf-other");
}
