//! Options of the command line of which no other test would tell that a running daemon has their effect. Each is tried with its opposite:
//! the same daemon without it.

use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

/// An owner with its address on eth0.
fn conf(root: &str, more: &str) -> String {
    format!(
        "{root}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 255\n state MASTER\n virtual_ipaddress {{\n {VIP}/24\n }}\n{more}\n}}\n"
    )
}

const BFD: &str = "bfd_instance B {\n source_ip 10.77.0.1\n neighbor_ip 10.77.0.9\n}\n";
/// Lines for some hosts only.
const LINES: &str =
    "virtual_ipaddress_excluded {\n @left 10.77.0.101/24\n @right 10.77.0.102/24\n @^left 10.77.0.103/24\n }";

fn umask(d: &Daemon, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{}/status", d.pid_of(name).expect("pid"))).expect("status");
    let line = text.lines().find_map(|l| l.strip_prefix("Umask:"));
    line.unwrap_or_default().trim().to_string()
}

fn mode(d: &Daemon, name: &str) -> u32 {
    std::fs::metadata(d.path(name)).expect("file").permissions().mode() & 0o777
}

/// What is seen of a daemon that has started and holds its address.
type Seen = fn(&Host, &Daemon) -> bool;

#[test]
fn each_option_does_something_that_is_not_so_without_it() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let usual = format!("{BFD}{}", conf("", ""));
    let marked = conf("", LINES);
    let children: Seen = |_, d| ["vrrp.pid", "check.pid", "bfd.pid"].iter().all(|n| d.pid_of(n).is_some());
    // The log is written by and by.
    let dumped: Seen = |_, d| eventually(Duration::from_secs(2), || d.log().contains("VRRP Instance = VI"));
    let told: Seen = |h, d| {
        // What is told of the first stands before what is done because of the second.
        h.ip("addr add 10.77.0.55/24 dev eth0");
        h.ip(&format!("addr del {VIP}/24 dev eth0"));
        assert!(eventually(SOON, || h.has(VIP)), "{}", d.log());
        h.ip("addr del 10.77.0.55/24 dev eth0");
        h.ip(&format!("addr del {VIP}/24 dev eth0"));
        assert!(eventually(SOON, || h.has(VIP)), "{}", d.log());
        let line = |what| d.log().contains(&format!("Netlink reflector reports IP 10.77.0.55 {what} eth0"));
        eventually(Duration::from_secs(2), || line("added to") && line("removed from"))
    };
    let left: Seen = |h, _| h.has("10.77.0.101") && !h.has("10.77.0.102") && !h.has("10.77.0.103");
    let right: Seen = |h, _| !h.has("10.77.0.101") && h.has("10.77.0.102") && h.has("10.77.0.103");
    // Of what the file says nothing of; the pid file may be read by everybody otherwise.
    let masked: Seen =
        |_, d| ["pid", "vrrp.pid", "bfd.pid"].iter().all(|n| umask(d, n) == "0077" && mode(d, n) == 0o600);
    let bfd: Seen = |_, d| d.pid_of("bfd.pid").is_none();
    let table: [(&[&str], &str, Seen); 13] = [
        (&["-d"], &usual, dumped),
        (&["--dump-conf"], &usual, dumped),
        (&["-i", "left"], &marked, left),
        (&["--config-id=right"], &marked, right),
        (&["-a"], &usual, told),
        (&["--address-monitoring"], &usual, told),
        (&["-u", "077"], &usual, masked),
        (&["-u", "0x3f"], &usual, masked),
        (&["--umask=63"], &usual, masked),
        (&["--all"], &conf("", ""), children),
        (&["--al"], &conf("", ""), children),
        (&["-B"], &usual, bfd),
        (&["--no_bfd"], &usual, bfd),
    ];
    let mut without: Vec<(&str, Seen, &str)> = Vec::new();
    for (words, text, seen) in &table {
        let words: Vec<(&str, &str)> = words.iter().map(|w| ("", *w)).collect();
        let d = started(host, text, &words);
        assert!(eventually(SOON, || seen(host, &d)), "{words:?}:\n{}", d.log());
        assert_eq!(d.stop(), Some(0), "{words:?}");
        if !without.iter().any(|(t, s, _)| t == text && std::ptr::fn_addr_eq(*s, *seen)) {
            without.push((text, *seen, words[0].1));
        }
    }
    for (text, seen, word) in without {
        let d = started(host, text, &[]);
        assert!(!seen(host, &d), "without {word}:\n{}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}

/// A daemon whose children have all begun, and which has its addresses.
fn started(host: &Host, text: &str, words: &[(&str, &str)]) -> Daemon {
    let d = Daemon::start_with(host, Kind::Steadfast, text, words);
    d.wait_log("Startup complete", SOON);
    assert!(eventually(SOON, || host.has(VIP)), "{words:?}:\n{}", d.log());
    d
}

#[test]
fn an_interrupt_ends_the_daemon_unless_it_is_to_be_ignored() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let mut d = started(host, &conf("", ""), &[]);
    d.signal(Signal::SIGINT);
    assert_eq!(d.ended(), Some(0), "{}", d.log());
    assert!(!host.has(VIP), "{}", d.log());
    let d = started(host, &conf("", ""), &[("", "--ignore-sigint")]);
    let pid = d.pid_of("vrrp.pid");
    d.signal(Signal::SIGINT);
    // What came after it has been done.
    d.reload(&conf("", "virtual_ipaddress_excluded {\n 10.77.0.101/24\n }"));
    assert!(eventually(SOON, || host.has("10.77.0.101")), "{}", d.log());
    assert!(host.has(VIP) && d.pid_of("vrrp.pid") == pid, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(!host.has(VIP));
}

/// An alarm, a terminal that goes away, a number of real time that a script mistook for another.
#[test]
fn signals_that_mean_nothing_end_and_stop_nobody() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = started(host, &conf("", ""), &[]);
    let pids = ["pid", "vrrp.pid"].map(|name| d.pid_of(name).expect("pid"));
    let unheard = [3, 5, 14, 16, 20, 21, 22, 25, 26, 27, 29, 30, 31, 34, 35, 40, 64];
    for (pid, signal) in pids.iter().flat_map(|pid| unheard.map(|signal| (*pid, signal))) {
        let sent = std::process::Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status();
        assert!(sent.expect("kill").success(), "{signal}: {}", d.log());
    }
    // What came after them has been done.
    d.reload(&conf("", "virtual_ipaddress_excluded {\n 10.77.0.101/24\n }"));
    assert!(eventually(SOON, || host.has("10.77.0.101")), "{}", d.log());
    assert_eq!(pids.map(Some), ["pid", "vrrp.pid"].map(|name| d.pid_of(name)), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}
