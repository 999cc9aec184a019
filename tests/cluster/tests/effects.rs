//! Keywords by what they do on a running host: whom a script runs as, which processes count, how much room a socket has.

use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{ask, file, send};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

fn instance(name: &str, vrid: u8, priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n virtual_ipaddress {{\n \
         10.77.0.{vrid}/24\n }}\n {more}\n}}\n"
    )
}

/// An owner with [`VIP`].
fn owner(globals: &str, more: &str) -> String {
    format!("global_defs {{\n{globals}\n}}\n{}", instance("VI", 100, 255, &format!("state MASTER\n {more}")))
}

/// A folder that every account may use.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("mode");
    folder
}

fn script(folder: &Path, name: &str, text: &str) -> String {
    let path = file(folder, name, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("mode");
    path
}

/// The present priority of an instance.
fn priority(d: &Daemon, name: &str) -> u64 {
    let status: serde_json::Value = serde_json::from_str(&ask(d, &["status", "--json"])).unwrap_or_default();
    let all = status["vrrp"]["instances"].as_array().cloned().unwrap_or_default();
    all.iter().find(|i| i["name"] == name).and_then(|i| i["priority"].as_u64()).unwrap_or_default()
}

/// Ended with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_script_runs_as_its_user() {
    require!();
    let lan = Lan::new(1);
    let folder = folder();
    let tell = script(folder.path(), "tell.sh", &format!("id -un > {}/$1", folder.path().display()));
    let tracker = |name: &str, user: &str| {
        format!("vrrp_script {name} {{\n script \"{tell} {name}\"\n interval 1\n {user}\n}}\n")
    };
    let trackers = tracker("own", "user nobody") + &tracker("common", "");
    let text = owner("script_user root", "track_script {\n own\n common\n }");
    // Scripts are defined before they are tracked.
    let text = text.replacen("vrrp_instance", &format!("{trackers}vrrp_instance"), 1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    for (name, user) in [("own", "nobody"), ("common", "root")] {
        let said = || std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert!(eventually(SOON, || said().trim() == user), "{name}: {:?}\n{}", said(), d.log());
    }
    assert_eq!(d.stop(), Some(0));
}

/// Of each file the number counts, so that the priority tells what is in which.
#[test]
fn tracked_files_are_made_where_that_is_wanted() {
    require!();
    let lan = Lan::new(1);
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    file(folder.path(), "kept", "3\n");
    file(folder.path(), "lost", "3\n");
    let tracker = |kind: &str, name: &str, more: &str| {
        format!("{kind} {name} {{\n file {}\n weight 1\n {more}\n}}\n", at(name).display())
    };
    let text = tracker("track_file", "made", "init_file 10")
        + &tracker("track_file", "kept", "init_file 10")
        + &tracker("vrrp_track_file", "lost", "init_file 20 overwrite")
        + &tracker("vrrp_track_file", "absent", "")
        + &instance("VI", 100, 100, "track_file {\n made\n kept\n lost\n absent\n }");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let is = |expected: u64| {
        assert!(eventually(SOON, || priority(&d, "VI") == expected), "{} {}", priority(&d, "VI"), d.log());
    };
    is(100 + 10 + 3 + 20);
    let said = |name: &str| std::fs::read_to_string(at(name)).unwrap_or_default();
    assert_eq!(["made", "kept", "lost"].map(|n| said(n).trim().to_string()), ["10", "3", "20"]);
    assert!(!at("absent").exists());
    file(folder.path(), "lost", "40\n");
    is(100 + 10 + 3 + 40);
    file(folder.path(), "absent", "-50\n");
    is(100 + 10 + 3 + 40 - 50);
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn processes_are_told_by_their_arguments_and_their_whole_command() {
    require!();
    let lan = Lan::new(1);
    let folder = folder();
    let program = folder.path().join("sf-told");
    std::fs::copy("/bin/sleep", &program).expect("copy");
    let mut command = std::process::Command::new(&program);
    command.args(["600", "700"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let process = Guard(command.spawn().expect("start"));
    let path = program.display();
    // Each has a weight of its own: the priority is the list of those that match.
    let trackers = [
        (format!("{path} 600 700"), "param_match", true),
        (format!("{path} 600"), "param_match", false),
        (format!("{path} 600"), "param_match initial", true),
        (format!("{path} 60"), "param_match initial", false),
        (format!("{path} 60"), "param_match partial", true),
        (format!("{path}"), "full_command", true),
        ("/elsewhere/sf-told".to_string(), "full_command", false),
        ("/elsewhere/sf-told".to_string(), "", true),
    ];
    let (mut text, mut names, mut expected) = (String::new(), String::new(), 1);
    for (n, (command, more, matches)) in trackers.iter().enumerate() {
        let weight = [1, 2, 4, 8, 16, 32, 64, 120][n];
        text += &format!("vrrp_track_process P{n} {{\n process {command}\n weight {weight}\n {more}\n}}\n");
        names += &format!(" P{n}\n");
        expected += if *matches { weight } else { 0 };
    }
    text += &instance("VI", 100, 1, &format!("track_process {{\n{names} }}"));
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let is = |p: u64| assert!(eventually(SOON, || priority(&d, "VI") == p), "{p}: {}\n{}", priority(&d, "VI"), d.log());
    is(expected);
    drop(process);
    is(1);
    assert_eq!(d.stop(), Some(0));
}

/// Shows the family, the protocol and the receive buffer of each socket of a process.
const SOCKETS: &str = "import ctypes,os,socket,sys
pid=int(sys.argv[1])
libc,p=ctypes.CDLL(None),os.pidfd_open(pid)
for n in os.listdir(f'/proc/{pid}/fd'):
    fd=libc.syscall(438,p,int(n),0) # pidfd_getfd
    try: s=socket.socket(fileno=fd)
    except (OSError,ValueError): continue
    print(int(s.family),s.getsockopt(1,38),s.getsockopt(1,8))
";

/// Receive buffers of the VRRP child's sockets of a family and protocol, in bytes as they were asked for: the kernel doubles that.
fn rooms(d: &Daemon, kind: [u64; 2]) -> Vec<u64> {
    let pid = d.pid_of("vrrp.pid").expect("pid").to_string();
    let out = std::process::Command::new("python3").args(["-c", SOCKETS, &pid]).output().expect("python3");
    let shown = String::from_utf8_lossy(&out.stdout).into_owned();
    let rows = shown.lines().map(|l| l.split(' ').filter_map(|w| w.parse().ok()).collect::<Vec<u64>>());
    rows.filter(|r| r.len() == 3 && r[..2] == kind).map(|r| r[2] / 2).collect()
}

#[test]
fn sockets_have_the_room_that_is_wanted() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    // Raw sockets of protocol 112, and NETLINK_ROUTE.
    let (adverts, netlink) = ([2, 112], [16, 0]);
    for (globals, more, kind, bytes) in [
        ("", "kernel_rx_buf_size 70000", adverts, 70_000),
        // That of an instance goes before.
        ("vrrp_rx_bufs_policy MTU", "kernel_rx_buf_size 80000", adverts, 80_000),
        ("vrrp_rx_bufs_policy 60000", "", adverts, 60_000),
        ("vrrp_rx_bufs_policy MTU", "", adverts, 3 * 1500),
        ("vrrp_rx_bufs_policy MTU\nvrrp_rx_bufs_multiplier 9", "", adverts, 9 * 1500),
        // Header, the message with an address, and a password: 60 bytes.
        ("vrrp_rx_bufs_policy ADVERT\nvrrp_rx_bufs_multiplier 100", "", adverts, 100 * 60),
        // Beyond the system's limit.
        ("vrrp_netlink_cmd_rcv_bufs 9000000\nvrrp_netlink_cmd_rcv_bufs_force", "", netlink, 9_000_000),
    ] {
        let d = Daemon::start(host, Kind::Steadfast, &owner(globals, more));
        d.wait_log("Entering MASTER STATE", SOON);
        assert!(rooms(&d, kind).contains(&bytes), "{globals} {more}: {:?}\n{}", rooms(&d, kind), d.log());
        assert_eq!(d.stop(), Some(0));
    }
    // Without a word of it those of a quarter of a second, where the system's would not hold them.
    let many = |interval: &str| {
        let one = |n: u8| {
            format!(
                "vrrp_instance V{n} {{\n interface eth0\n version 3\n virtual_router_id {n}\n priority 255\n advert_int {interval}\n \
                 virtual_ipaddress {{\n 10.77.1.{n}/24\n }}\n}}\n"
            )
        };
        (1..=60).map(one).collect::<String>()
    };
    let defaults: u64 =
        std::fs::read_to_string("/proc/sys/net/core/rmem_default").expect("default").trim().parse().expect("number");
    for (interval, bytes) in [("0.01", 60 * 25 * 640), ("1", defaults / 2)] {
        let d = Daemon::start(host, Kind::Steadfast, &many(interval));
        d.wait_log("Entering MASTER STATE", SOON);
        assert!(rooms(&d, adverts).contains(&bytes), "{interval}: {:?}\n{}", rooms(&d, adverts), d.log());
        assert_eq!(d.stop(), Some(0));
    }
}

#[test]
fn a_child_that_does_not_stop_is_killed_after_its_time() {
    require!();
    let lan = Lan::new(1);
    // Less than what the watchdog gives to a process that hangs.
    for (word, seconds) in [("child_wait_time 2", 2), ("child_wait_time 4", 4)] {
        let mut d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("{word}\n{}", instance("VI", 100, 200, "")));
        d.wait_log("Entering MASTER STATE", SOON);
        let child = d.pid_of("vrrp.pid").expect("pid");
        send(child, Signal::SIGSTOP);
        let begin = Instant::now();
        d.signal(Signal::SIGTERM);
        d.ended();
        let took = begin.elapsed();
        let bounds = Duration::from_secs(seconds)..Duration::from_millis(seconds * 1000 + 2500);
        assert!(bounds.contains(&took), "{word}: {took:?}\n{}", d.log());
        assert!(d.log().contains(&format!("process {child} did not stop in time")), "{}", d.log());
        assert!(!lan.hosts[0].has(VIP), "{}", d.log());
    }
}

/// What somebody removes that is not tracked stays away until the instance becomes master anew; the rest is put back.
#[test]
fn routes_and_rules_that_nobody_tracks_stay_away_as_with_keepalived() {
    require!(keepalived);
    let statics = "static_routes {\n 10.51.0.0/24 dev eth0 no_track\n 10.52.0.0/24 dev eth0\n}\n\
                   static_rules {\n from 10.51.0.0/24 table 50 preference 51 no_track\n from 10.52.0.0/24 table 50 preference 52\n}\n";
    let virtuals = "virtual_routes {\n 10.41.0.0/24 dev eth0 no_track\n }\n virtual_rules {\n \
                    from 10.41.0.0/24 table 40 preference 41 no_track\n }";
    let text = |more: &str| format!("{statics}{}", instance("VI", 100, 200, &format!("{virtuals}\n {more}")));
    for kind in [Kind::Steadfast, Kind::Keepalived] {
        let lan = Lan::new(1);
        let host = &lan.hosts[0];
        let d = Daemon::start(host, kind, &text(""));
        let there = || {
            let (routes, rules) = (host.show("route"), host.show("rule"));
            [41, 51, 52].map(|n| (routes.contains(&format!("10.{n}.0.0/24")), rules.contains(&format!("{n}:"))))
        };
        assert!(
            eventually(SOON, || there() == [(true, true); 3]),
            "{kind:?}: {:?} {} {}\n{}",
            there(),
            host.show("route"),
            host.show("rule"),
            d.log()
        );
        for n in [41, 51, 52] {
            host.ip(&format!("route del 10.{n}.0.0/24"));
            host.ip(&format!("rule del preference {n}"));
        }
        // keepalived does not put back each static one either.
        let numbers = if kind == Kind::Steadfast { 3 } else { 2 };
        let expected = &[(false, false), (false, false), (true, true)][..numbers];
        assert!(eventually(SOON, || there()[..numbers] == *expected), "{kind:?}: {:?}\n{}", there(), d.log());
        // The slow comparison, each minute, brings back what was lost unnoticed, and these were not.
        let time = Duration::from_secs(if kind == Kind::Steadfast { 64 } else { 1 });
        assert!(!eventually(time, || there()[..numbers] != *expected), "{kind:?}: {:?}\n{}", there(), d.log());
        assert!(!d.log().contains("FAULT") && host.has(VIP), "{kind:?}: {}", d.log());
        // A link that was down puts them back with the instance.
        host.cable(false);
        assert!(eventually(SOON, || !host.has(VIP)), "{kind:?}: {}", d.log());
        host.cable(true);
        assert!(eventually(SOON, || there()[0] == (true, true)), "{kind:?}: {:?}\n{}", there(), d.log());
        assert!(kind == Kind::Keepalived || !d.log().contains("refused"), "{}", d.log());
        assert_eq!(d.stop(), Some(0), "{kind:?}");
        assert_eq!(there(), [(false, false); 3], "{kind:?}");
    }
}

#[test]
fn an_instance_that_is_taken_out_of_the_file_is_told_of_as_deleted() {
    require!();
    let lan = Lan::new(1);
    let folder = folder();
    let out = folder.path().join("out");
    let tell = script(folder.path(), "tell.sh", &format!("echo \"$@\" >> {}", out.display()));
    let globals = "global_defs {\n script_user root\n}\n";
    let all = [
        ("PLAIN", 101, String::new()),
        ("ALONE", 102, "notify_deleted".to_string()),
        ("SCRIPT", 103, format!("notify_deleted \"{tell} own\"")),
    ];
    let all = all.map(|(name, n, more)| instance(name, n, 200, &format!("notify \"{tell} any\"\n {more}")));
    let stays = instance("STAYS", 100, 200, "");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("{globals}{stays}{}", all.concat()));
    let holds = |n: u8| lan.hosts[0].has(&format!("10.77.0.{n}"));
    assert!(eventually(SOON, || (100..=103).all(holds)), "{}", d.log());
    d.reload(&format!("{globals}{stays}"));
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    let lines =
        ["any INSTANCE PLAIN FAULT 200", "any INSTANCE ALONE DELETED 200", "any INSTANCE SCRIPT DELETED 200", "own"];
    let has = |line: &str| said().lines().any(|l| l.trim() == line);
    assert!(eventually(SOON, || lines.iter().all(|l| has(l))), "{}\n{}", said(), d.log());
    assert_eq!(d.stop(), Some(0));
    assert_eq!((said().matches("DELETED").count(), said().matches("own").count()), (2, 1), "{}", said());
}

/// There are no copies of the configuration: it goes from process to process by pipes.
#[test]
fn no_copy_of_the_configuration_is_left_anywhere() {
    require!();
    let lan = Lan::new(1);
    let copies = folder();
    let text = owner(&format!("tmp_config_directory {}", copies.path().display()), "");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    d.wait_log("Entering MASTER STATE", SOON);
    d.reload(&(text + &instance("B", 102, 100, "")));
    assert!(eventually(SOON, || lan.hosts[0].has("10.77.0.102")), "{}", d.log());
    assert_eq!(std::fs::read_dir(copies.path()).expect("folder").count(), 0);
    assert_eq!(d.stop(), Some(0));
}
