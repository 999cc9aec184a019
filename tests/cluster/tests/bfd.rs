//! BFD between real daemons: two of ours, ours with FRR's bfdd, ours with keepalived.

use nix::sys::signal::Signal;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{send, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const FRR: &str = "/usr/lib/frr";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A session of so many milliseconds x 3.
fn session(name: &str, source: &str, neighbor: &str, ms: u32, more: &str) -> String {
    format!(
        "bfd_instance {name} {{\n source_ip {source}\n neighbor_ip {neighbor}\n min_rx {ms}\n min_tx {ms}\n multiplier 3\n {more}\n}}\n"
    )
}

/// Sessions of host `own` with host `other` over both families.
fn both(own: u32, other: u32, ms: u32) -> String {
    session("four", &format!("10.77.0.{own}"), &format!("10.77.0.{other}"), ms, "")
        + &session("six", &format!("fd77::{own}"), &format!("fd77::{other}"), ms, "")
}

/// An instance that tracks a session, or, without a name, none.
fn instance(priority: u8, tracked: &str) -> String {
    let track = if tracked.is_empty() { String::new() } else { format!(" track_bfd {{\n {tracked}\n }}\n") };
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 3\n priority {priority}\n advert_int 1\n \
         virtual_ipaddress {{\n 10.77.0.100/24\n }}\n{track}}}\n"
    )
}

/// A session as the daemon shows it.
fn shown(d: &Daemon, name: &str) -> serde_json::Value {
    let mut command = Command::new(steadfastd().with_file_name("steadfast"));
    command.arg("--socket").arg(d.path("pid").with_extension("control")).args(["status", "--json"]);
    let out = command.output().expect("steadfast");
    let whole: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
    let all = whole["bfd"]["sessions"].as_array().cloned().unwrap_or_default();
    all.into_iter().find(|s| s["name"] == name).unwrap_or_default()
}

fn is(d: &Daemon, name: &str, state: &str) -> bool {
    shown(d, name)["state"] == state
}

fn wait(d: &Daemon, name: &str, state: &str, bound: Duration) {
    assert!(eventually(bound, || is(d, name, state)), "{name} is not {state}: {:?}\n{}", shown(d, name), d.log());
}

/// Times that an instance was in FAULT. The first is the start's: no session is up then.
fn faults(d: &Daemon) -> usize {
    d.log().matches("Entering FAULT STATE").count()
}

fn bfd_pid(d: &Daemon) -> i32 {
    d.pid_of("bfd.pid").expect("pid of the BFD child")
}

/// Nobody has listened or counted for a process that stands still.
#[test]
fn of_a_process_that_does_not_answer_no_figures_are_made_up() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &both(1, 2, 200));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &both(2, 1, 200));
    wait(&a, "four", "Up", seconds(15));
    assert!(shown(&a, "four")["sent"].as_u64().is_some_and(|n| n > 0), "{}", shown(&a, "four"));
    send(bfd_pid(&a), Signal::SIGSTOP);
    // Its own answer is waited for; the others are those of who knows what it had kept.
    let told = shown(&a, "four");
    assert_eq!(told["state"], "Up", "{told} {}", a.log());
    for figure in ["heard", "sent", "received", "refused", "ups", "downs"] {
        assert!(told[figure].is_null(), "{figure}: {told}");
    }
    send(bfd_pid(&a), Signal::SIGCONT);
    assert!(eventually(seconds(5), || shown(&a, "four")["sent"].is_u64()), "{}", shown(&a, "four"));
    drop(b);
}

#[test]
fn two_daemons_find_each_other_and_part_in_order() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(both(1, 2, 50) + &instance(200, "four")));
    let passive = both(2, 1, 50).replace("multiplier 3", "multiplier 3\n passive");
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &(passive + &instance(100, "")));
    for name in ["four", "six"] {
        wait(&a, name, "Up", seconds(10));
        wait(&b, name, "Up", seconds(10));
        let s = shown(&a, name);
        assert_eq!((&s["remote_state"], &s["detect_time"]), (&"Up".into(), &0.15.into()), "{s}");
    }
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    // Other intervals are agreed on while the session stays up.
    a.reload(&(both(1, 2, 100) + &instance(200, "four")));
    assert!(eventually(seconds(5), || shown(&b, "four")["detect_time"] == 0.3), "{}", shown(&b, "four"));
    assert!(!b.log().contains("Entering Down"), "{}", b.log());
    // A stop in order is no failure: the master that tracks the session stays master.
    assert_eq!(b.stop(), Some(0));
    a.wait_log("(four) Entering Down state (Local diagnostic - Neighbor Signaled Session Down, Remote diagnostic - Administratively Down)", seconds(5));
    std::thread::sleep(seconds(1));
    assert!(lan.hosts[0].has("10.77.0.100") && faults(&a) <= 1, "{}", a.log());
    assert_eq!(shown(&a, "four")["up"], true);
    assert_eq!(a.stop(), Some(0));
}

/// Of some tries in a row all but one took so many milliseconds at most, and that one twice that. A machine that others use, too, now
/// and then does not run us when we are due; what is wrong with us is wrong each time.
fn in_time(tries: &[f64], bound: f64) -> bool {
    let late = tries.iter().filter(|ms| **ms > bound).count();
    late <= 1 && tries.iter().all(|ms| *ms <= bound * 2.0)
}

/// From the cut of a cable to the successor's address: a session to a third host lowers the master, or puts it into FAULT, and it has its
/// successor take over.
#[test]
fn a_failover_that_a_session_drives_takes_40_ms() {
    require!();
    ["s weight -150", "s"].into_iter().for_each(driven);
}

fn driven(track: &str) {
    let lan = Lan::new(3);
    let [master, backup, watched] = lan.hosts.as_slice() else { return };
    // One burst of announcements at a takeover: that of a former one would be taken for it.
    let quiet =
        |priority, track| instance(priority, track).replace("advert_int 1", "advert_int 1\n garp_master_delay 0");
    let own = session("s", "10.77.0.1", "10.77.0.3", 10, "");
    let a = Daemon::start(master, Kind::Steadfast, &(own + &quiet(200, track)));
    let far = Daemon::start(watched, Kind::Steadfast, &session("s", "10.77.0.3", "10.77.0.1", 10, ""));
    let b = Daemon::start(backup, Kind::Steadfast, &quiet(100, ""));
    b.wait_log("master set to", seconds(15));
    let mut seen: Vec<f64> = Vec::new();
    while seen.is_empty() || (seen.len() < 12 && !in_time(seen.rchunks(3).next().unwrap_or_default(), 40.0)) {
        for _ in 0..3 {
            wait(&a, "s", "Up", seconds(10));
            wait(&far, "s", "Up", seconds(10));
            assert!(eventually(seconds(15), || master.has("10.77.0.100") && !backup.has("10.77.0.100")), "{}", a.log());
            std::thread::sleep(millis(300));
            // The kernel says when the address comes: asking for it would take as long as what is measured.
            let path = "10.77.0.100";
            let came = backup.inside(move || wire::gratuitous_of(path.parse().expect("address"), seconds(10)));
            std::thread::sleep(millis(50));
            let begun = Instant::now();
            watched.cable(false);
            let cut = begun.elapsed();
            // On a busy host a session of 10 ms may have gone just before the cut, and the address with it.
            let took = |at: Instant| at.duration_since(begun).saturating_sub(cut).as_secs_f64();
            let at = came.join().expect("ear");
            seen.push(at.map_or(10_000.0, |at| (took(at) * 1e4).round() / 10.0));
            watched.cable(true);
        }
    }
    println!("failover by 10 ms x 3, {track}: {seen:?} ms after the cut");
    assert!(seen.chunks(3).any(|round| in_time(round, 40.0)), "{track}: {seen:?}\n{}", b.log());
}

#[test]
fn a_session_of_10_ms_x_3_notices_death_in_time() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &both(1, 2, 10));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &both(2, 1, 10));
    let mut seen: Vec<f64> = Vec::new();
    // Five tries; four times as many on a machine that is too busy for them.
    while seen.is_empty() || (seen.len() < 20 && !in_time(seen.rchunks(5).next().unwrap_or_default(), 35.0)) {
        for _ in 0..5 {
            wait(&a, "four", "Up", seconds(10));
            wait(&b, "four", "Up", seconds(10));
            std::thread::sleep(millis(300));
            let pid = bfd_pid(&b);
            let before =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("clock").as_secs_f64();
            send(pid, Signal::SIGSTOP);
            assert!(eventually(seconds(2), || !is(&a, "four", "Up")), "{}", a.log());
            let at = shown(&a, "four")["since"].as_f64().expect("time");
            send(pid, Signal::SIGCONT);
            seen.push(((at - before) * 1e4).round() / 10.0);
        }
    }
    println!("10 ms x 3: noticed after {seen:?} ms (the last packet is up to 10 ms older than the death)");
    let overdue: Vec<&str> =
        a.log().leak().lines().filter_map(|l| l.split_once("Expired after ").map(|x| x.1)).collect();
    println!("10 ms x 3: expired after {overdue:?}");
    // Never before its time, and in one of the rounds in time.
    assert!(seen.iter().all(|ms| (15.0..1000.0).contains(ms)), "{seen:?}");
    assert!(seen.chunks(5).any(|round| in_time(round, 35.0)), "{seen:?}");
}

#[test]
fn an_address_goes_with_its_session_and_comes_back_with_it() {
    require!();
    let lan = Lan::new(3);
    let upstream = |n: u32| session("upstream", &format!("10.77.0.{n}"), "10.77.0.3", 50, "");
    let router = session("one", "10.77.0.3", "10.77.0.1", 50, "") + &session("two", "10.77.0.3", "10.77.0.2", 50, "");
    let r = Daemon::start(&lan.hosts[2], Kind::Steadfast, &router);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(upstream(1) + &instance(200, "upstream")));
    let weighted = upstream(2).replace("multiplier 3", "multiplier 3\n weight -10");
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &(weighted + &instance(100, "upstream")));
    assert!(eventually(seconds(15), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    wait(&b, "upstream", "Up", seconds(10));
    // A VRRP child that is started anew asks for the state of the session, and stays master.
    let pid = a.pid_of("vrrp.pid").expect("pid");
    send(pid, Signal::SIGKILL);
    assert!(eventually(seconds(5), || a.pid_of("vrrp.pid").is_some_and(|p| p != pid)));
    std::thread::sleep(seconds(2));
    assert!(lan.hosts[0].has("10.77.0.100") && faults(&a) <= 1, "{}", a.log());
    // It may have begun before its session was up.
    let before = faults(&a);
    let died = Instant::now();
    lan.hosts[2].cable(false);
    r.crash();
    assert!(eventually(seconds(5), || lan.hosts[1].has("10.77.0.100")), "{}\n{}", a.log(), b.log());
    println!("a session of 50 ms x 3 is lost: the address is on the other host after {:?}", died.elapsed());
    a.wait_log("VRRP_Instance(VI) Tracked BFD instance upstream is DOWN", seconds(1));
    assert!(eventually(seconds(1), || faults(&a) == before + 1), "{}", a.log());
    b.wait_log("Changing effective priority from 100 to 90", seconds(2));
    assert!(eventually(seconds(3), || !lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    lan.hosts[2].cable(true);
    let _r = Daemon::start(&lan.hosts[2], Kind::Steadfast, &router);
    assert!(eventually(seconds(15), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
}

#[test]
fn a_bfd_child_that_is_killed_is_noticed_by_nobody() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(both(1, 2, 100) + &instance(200, "four")));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &(both(2, 1, 100) + &instance(100, "four weight 5")));
    for (d, name) in [(&a, "four"), (&a, "six"), (&b, "four"), (&b, "six")] {
        wait(d, name, "Up", seconds(10));
    }
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    let begun = shown(&b, "four")["since"].as_f64().expect("time");
    send(bfd_pid(&a), Signal::SIGKILL);
    a.wait_log("(four) goes on in Up state", seconds(5));
    std::thread::sleep(seconds(1));
    for d in [&a, &b] {
        assert!(!d.log().contains("Entering Down") && faults(d) <= 1, "{}", d.log());
    }
    assert!((shown(&b, "four")["since"].as_f64().expect("time") - begun).abs() < 0.1);
    assert!(lan.hosts[0].has("10.77.0.100"));
    // One that stays away is a failure to the peer, and to nobody here until it is back.
    let parent = a.pid_of("pid").expect("pid");
    send(parent, Signal::SIGSTOP);
    send(bfd_pid(&a), Signal::SIGKILL);
    b.wait_log("(four) Entering Down state", seconds(3));
    assert!(lan.hosts[0].has("10.77.0.100"), "{}", a.log());
    send(parent, Signal::SIGCONT);
    wait(&a, "four", "Up", seconds(20));
    assert_eq!(a.stop(), Some(0));
}

/// A peer that hears nothing for 150 ms is told of a failure; a file of this size takes longer to read.
/// A new program takes the sessions over: the peer notices nothing.
#[test]
fn an_upgrade_costs_no_session() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let program = folder.path().join("steadfastd");
    std::fs::copy(steadfastd(), &program).expect("copy");
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let text = both(1, 2, 100) + &instance(200, "four");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &both(2, 1, 100));
    for name in ["four", "six"] {
        wait(&a, name, "Up", seconds(10));
        wait(&b, name, "Up", seconds(10));
    }
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    let (before, failed) = (bfd_pid(&a), faults(&a));
    for round in 1..=2 {
        let new = program.with_extension("new");
        std::fs::copy(steadfastd(), &new).expect("copy");
        std::fs::rename(&new, &program).expect("rename");
        let mut upgrade = Command::new(steadfastd().with_file_name("steadfast"));
        upgrade.arg("--socket").arg(a.path("pid").with_extension("control")).arg("upgrade").stdin(Stdio::null());
        assert!(upgrade.status().expect("steadfast").success(), "{}", a.log());
        let taken = || a.log().matches("Taking over from steadfast").count() == round && is(&a, "four", "Up");
        assert!(eventually(seconds(10), taken), "{}", a.log());
        std::thread::sleep(seconds(1));
    }
    assert_ne!(bfd_pid(&a), before);
    for name in ["four", "six"] {
        assert!(is(&a, name, "Up") && is(&b, name, "Up"), "{name}: {}", b.log());
    }
    assert!(!b.log().contains("Entering Down"), "{}", b.log());
    assert_eq!(faults(&a), failed, "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

#[test]
fn a_reload_of_a_long_file_costs_no_session() {
    require!();
    let lan = Lan::new(2);
    let text = both(1, 2, 50);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &both(2, 1, 50));
    for (d, name) in [(&a, "four"), (&a, "six"), (&b, "four"), (&b, "six")] {
        wait(d, name, "Up", seconds(10));
    }
    let scripts: String =
        (0..40_000).map(|n| format!("vrrp_script s{n} {{\n script \"/bin/true {n}\"\n}}\n")).collect();
    // The other session goes with it: that is how its end is seen.
    let four = session("four", "10.77.0.1", "10.77.0.2", 50, "");
    a.reload(&(scripts + &four));
    b.wait_log("(six) Entering Down state", seconds(30));
    std::thread::sleep(millis(300));
    assert!(!b.log().contains("(four) Entering Down"), "{}", b.log());
    assert_eq!(a.stop(), Some(0));
}

#[test]
fn what_a_new_bfd_child_finds_out_reaches_the_others() {
    require!();
    let lan = Lan::new(2);
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &session("s", "10.77.0.2", "10.77.0.1", 50, ""));
    let text = session("s", "10.77.0.1", "10.77.0.2", 50, "") + &instance(200, "s");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    wait(&a, "s", "Up", seconds(10));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    // The far end dies while ours is away, whose second life has forgotten what the first one knew.
    for file in ["pid", "bfd.pid"] {
        send(b.pid_of(file).expect("pid"), Signal::SIGKILL);
    }
    for _ in 1..=2 {
        let before = bfd_pid(&a);
        send(before, Signal::SIGKILL);
        let another = || a.pid_of("bfd.pid").is_some_and(|pid| pid != before);
        assert!(eventually(seconds(10), another), "{}", a.log());
    }
    wait(&a, "s", "Down", seconds(10));
    assert!(eventually(seconds(10), || !lan.hosts[0].has("10.77.0.100")), "{}", a.log());
}

#[test]
fn an_interface_that_goes_down_and_comes_back() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &both(1, 2, 50));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &both(2, 1, 50));
    wait(&a, "four", "Up", seconds(10));
    wait(&a, "six", "Up", seconds(10));
    lan.hosts[0].ip("link set eth0 down");
    for d in [&a, &b] {
        wait(d, "four", "Down", seconds(2));
        wait(d, "six", "Down", seconds(2));
    }
    std::thread::sleep(seconds(3));
    let complaints = a.log().matches("Error sending packet").count();
    assert!((1..=4).contains(&complaints), "{complaints} lines in three seconds:\n{}", a.log());
    lan.hosts[0].ip("link set eth0 up");
    wait(&a, "four", "Up", seconds(10));
    // The kernel took the IPv6 address away with the link.
    assert!(is(&a, "six", "Down"));
    lan.hosts[0].ip("addr add fd77::1/64 dev eth0 nodad");
    wait(&a, "six", "Up", seconds(10));
}

/// Hosts 1 and 2 reach 10.78.N.1 and fd78:N::1 of each other by way of host 3.
fn routed() -> Lan {
    let lan = Lan::new(3);
    for n in [1, 2] {
        let (host, other) = (&lan.hosts[n - 1], 3 - n);
        host.ip(&format!("addr add 10.78.{n}.1/32 dev lo"));
        host.ip(&format!("addr add fd78:{n}::1/128 dev lo nodad"));
        host.ip(&format!("route add 10.78.{other}.1 via 10.77.0.3"));
        host.ip(&format!("route add fd78:{other}::1 via fd77::3"));
        lan.hosts[2].ip(&format!("route add 10.78.{n}.1 via 10.77.0.{n}"));
        lan.hosts[2].ip(&format!("route add fd78:{n}::1 via fd77::{n}"));
        set(host, "net/ipv4/conf/all/accept_redirects", "0");
        set(host, "net/ipv6/conf/eth0/accept_redirects", "0");
    }
    for (name, value) in [
        ("net/ipv4/conf/all/send_redirects", "0"),
        ("net/ipv4/conf/eth0/send_redirects", "0"),
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
    ] {
        set(&lan.hosts[2], name, value);
    }
    lan
}

fn set(host: &Host, name: &str, value: &str) {
    let (path, value) = (format!("/proc/sys/{name}"), value.to_string());
    host.inside(move || std::fs::write(path, value).expect("setting")).join().expect("thread");
}

/// The sessions of host `own` over the router.
fn far(own: u32, more: &str) -> String {
    let other = 3 - own;
    session("four", &format!("10.78.{own}.1"), &format!("10.78.{other}.1"), 50, more)
        + &session("six", &format!("fd78:{own}::1"), &format!("fd78:{other}::1"), 50, more)
}

#[test]
fn several_hops_are_allowed_where_that_is_configured() {
    require!();
    let lan = routed();
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &far(1, "multihop\n max_hops 1"));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &far(2, "multihop\n max_hops 1"));
    for d in [&a, &b] {
        wait(d, "four", "Up", seconds(10));
        wait(d, "six", "Up", seconds(10));
    }
    // As sessions of one hop they do not come up: the router has taken one off the TTL.
    a.reload(&far(1, ""));
    b.reload(&far(2, ""));
    b.wait_log("BFD packet from 10.78.1.1 is thrown away: its TTL is 254 and must be at least 255", seconds(10));
    b.wait_log("BFD packet from fd78:1::1 is thrown away: its TTL is 254 and must be at least 255", seconds(10));
    std::thread::sleep(seconds(2));
    assert!(is(&a, "four", "Down") && is(&b, "six", "Down"), "{}", shown(&b, "four"));
}

#[test]
fn a_real_server_goes_with_its_session() {
    require!();
    let lan = Lan::new(2);
    let server = "virtual_server 10.77.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
                  real_server 10.77.0.2 80 {\n BFD_CHECK {\n name four\n alpha\n }\n }\n}\n";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(both(1, 2, 50) + server + &instance(100, "")));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &both(2, 1, 50));
    d.wait_log("BFD_CHECK four on service [10.77.0.2]:tcp:80: session is up", seconds(10));
    d.wait_log("Adding service [10.77.0.2]:tcp:80 to VS [10.77.0.100]:tcp:80", seconds(2));
    // A checker child that is started anew asks for the state of the session.
    let pid = d.pid_of("check.pid").expect("pid");
    send(pid, Signal::SIGKILL);
    assert!(eventually(seconds(5), || d.pid_of("check.pid").is_some_and(|p| p != pid)));
    std::thread::sleep(seconds(1));
    assert!(!d.log().contains("Removing service"), "{}", d.log());
    b.crash();
    d.wait_log("BFD_CHECK on service [10.77.0.2]:tcp:80 failed: session is down", seconds(5));
    d.wait_log("Removing service [10.77.0.2]:tcp:80 from VS [10.77.0.100]:tcp:80", seconds(2));
    assert_eq!(d.stop(), Some(0));
}

/// What leaves a host that looks for its peer.
#[test]
fn packets_leave_with_the_ttl_that_is_given() {
    require!();
    let lan = Lan::new(2);
    let text = |own: &str, peer: &str, word: &str| {
        format!("bfd_instance s {{\n source_ip {own}\n neighbour_ip {peer}\n {word}\n}}\n")
    };
    // UDP by port 3784: its TTL or hop limit.
    let ttl = |frame: &[u8], six: bool| -> Option<u8> {
        let (kind, protocol, hops, port) = if six { (0xdd, 20, 21, 56) } else { (0, 23, 22, 36) };
        let ours = frame.get(13) == Some(&kind) && frame.get(protocol) == Some(&17);
        (ours && frame.get(port..port + 2) == Some(&3784u16.to_be_bytes())).then(|| frame.get(hops).copied())?
    };
    for (word, wanted) in [("", 255), ("ttl 77", 77), ("hoplimit 66", 66)] {
        for six in [false, true] {
            let net = if six { "fd77::" } else { "10.77.0." };
            let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(&format!("{net}1"), &format!("{net}2"), word));
            let frames = lan.hosts[1].inside(move || wire::frames(millis(2500), || false)).join().expect("ear");
            let seen: Vec<u8> = frames.iter().filter_map(|(_, f)| ttl(f, six)).collect();
            assert!(!seen.is_empty() && seen.iter().all(|t| *t == wanted), "{word} {net}: {seen:?}\n{}", d.log());
            assert_eq!(d.stop(), Some(0));
        }
    }
}

#[test]
fn sessions_with_keepalived() {
    require!(keepalived);
    for tracking in [false, true] {
        let lan = Lan::new(2);
        let (track_a, track_b) = if tracking { ("four weight 7", "four weight 3") } else { ("", "") };
        // Neither side names a hop limit: keepalived sends 64 over IPv6.
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(both(1, 2, 100) + &instance(200, track_a)));
        let mut b = Daemon::start(&lan.hosts[1], Kind::Keepalived, &(both(2, 1, 100) + &instance(100, track_b)));
        for name in ["four", "six"] {
            wait(&a, name, "Up", seconds(10));
            b.wait_log(&format!("({name}) Entering Up state"), seconds(5));
            assert_eq!(shown(&a, name)["detect_time"], 0.3);
        }
        if tracking {
            a.wait_log("Changing effective priority from 200 to 207", seconds(5));
            b.wait_log("Changing effective priority from 100 to 103", seconds(5));
        }
        // Our child dies and theirs does not notice.
        send(bfd_pid(&a), Signal::SIGKILL);
        a.wait_log("(six) goes on in Up state", seconds(5));
        std::thread::sleep(seconds(1));
        assert!(!b.log().contains("Entering Down"), "{}", b.log());
        // keepalived dies, and comes back.
        b.crash();
        wait(&a, "four", "Down", seconds(2));
        wait(&a, "six", "Down", seconds(2));
        assert_eq!(shown(&a, "four")["diag"], "Control Detection Time Expired");
        b = Daemon::start(&lan.hosts[1], Kind::Keepalived, &(both(2, 1, 100) + &instance(100, track_b)));
        wait(&a, "four", "Up", seconds(10));
        wait(&a, "six", "Up", seconds(10));
        b.wait_log("(six) Entering Up state", seconds(5));
        // We leave in order, and theirs is told.
        assert_eq!(a.stop(), Some(0));
        b.wait_log("Remote diagnostic - Administratively Down", seconds(5));
    }
}

/// zebra and bfdd in a host.
struct Frr {
    folder: tempfile::TempDir,
    processes: Vec<Child>,
}

impl Frr {
    fn start(host: &Host, peers: &str) -> Frr {
        let folder = tempfile::tempdir().expect("folder");
        let own = Command::new("chown").arg("frr:frr").arg(folder.path()).status().expect("chown");
        assert!(own.success());
        let at = |n: &str| folder.path().join(n);
        std::fs::write(at("zebra.conf"), "\n").expect("configuration");
        let text = format!("log file {}\nbfd\n{peers}!\n", at("log").display());
        std::fs::write(at("bfdd.conf"), text).expect("configuration");
        let run = |program: &str, more: &[&str]| {
            let mut c = host.command(&format!("{FRR}/{program}"));
            c.arg("-z").arg(at("socket")).arg("-i").arg(at(&format!("{program}.pid"))).args(["-P", "0"]);
            c.arg("--vty_socket").arg(folder.path()).arg("-f").arg(at(&format!("{program}.conf"))).args(more);
            c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("FRR")
        };
        let zebra = run("zebra", &[]);
        assert!(eventually(seconds(10), || at("socket").exists()), "zebra does not start");
        let control = at("control");
        let bfdd = run("bfdd", &["--bfdctl", control.to_str().expect("path")]);
        let frr = Frr { folder, processes: vec![bfdd, zebra] };
        assert!(eventually(seconds(20), || !frr.ask("show bfd peers json").is_empty()), "bfdd does not start");
        frr
    }

    fn vtysh(&self, lines: &[&str]) -> String {
        let mut c = Command::new("vtysh");
        c.arg("--vty_socket").arg(self.folder.path());
        c.args(lines.iter().flat_map(|l| ["-c", l]));
        c.output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default()
    }

    fn ask(&self, question: &str) -> String {
        self.vtysh(&[question])
    }

    /// A peer as FRR sees it.
    fn peer(&self, address: &str) -> serde_json::Value {
        let all: serde_json::Value = serde_json::from_str(&self.ask("show bfd peers json")).unwrap_or_default();
        let all = all.as_array().cloned().unwrap_or_default();
        all.into_iter().find(|p| p["peer"] == address).unwrap_or_default()
    }

    fn wait(&self, address: &str, what: &str, value: impl Into<serde_json::Value>) {
        let value = value.into();
        let right = || self.peer(address)[what] == value;
        assert!(
            eventually(seconds(15), right),
            "{address}: {what} is not {value}: {}\n{}",
            self.peer(address),
            self.log()
        );
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn end(&mut self, signal: Signal) {
        for mut p in self.processes.drain(..) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(p.id() as i32), signal);
            let _ = p.wait();
        }
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

macro_rules! needs_frr {
    () => {
        require!();
        if !Path::new(FRR).join("bfdd").exists() {
            println!("SKIPPED: BFD with FRR: it is not installed");
            return;
        }
    };
}

/// FRR's words for sessions of 150 ms x 3: none of the two is to be late for so long on a busy machine.
fn peers(list: &[(&str, &str, &str)]) -> String {
    let one = |(peer, local, more): &(&str, &str, &str)| {
        format!(
            " peer {peer} {more} local-address {local}\n  detect-multiplier 3\n  receive-interval 150\n  transmit-interval 150\n !\n"
        )
    };
    list.iter().map(one).collect()
}

#[test]
fn sessions_with_frr() {
    needs_frr!();
    let lan = Lan::new(2);
    let list = [("10.77.0.1", "10.77.0.2", ""), ("fd77::1", "fd77::2", "")];
    let mut frr = Frr::start(&lan.hosts[1], &peers(&list));
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(both(1, 2, 150) + &instance(200, "four")));
    let up = |a: &Daemon, frr: &Frr| {
        for (ours, theirs) in [("four", "10.77.0.1"), ("six", "fd77::1")] {
            wait(a, ours, "Up", seconds(15));
            frr.wait(theirs, "status", "up");
            frr.wait(theirs, "remote-receive-interval", 150);
            frr.wait(theirs, "remote-transmit-interval", 150);
        }
    };
    up(&a, &frr);
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    // A poll sequence from either side, and the session stays up.
    a.reload(&(both(1, 2, 300) + &instance(200, "four")));
    frr.wait("10.77.0.1", "remote-receive-interval", 300);
    frr.wait("10.77.0.1", "remote-transmit-interval", 300);
    frr.vtysh(&["configure terminal", "bfd", "peer 10.77.0.1 local-address 10.77.0.2", "transmit-interval 400"]);
    assert!(eventually(seconds(5), || shown(&a, "four")["detect_time"] == 1.2), "{}", shown(&a, "four"));
    assert!(!a.log().contains("Entering Down") && frr.peer("10.77.0.1")["status"] == "up", "{}", a.log());
    // Our child is killed, and FRR keeps the session.
    frr.vtysh(&["configure terminal", "bfd", "peer 10.77.0.1 local-address 10.77.0.2", "transmit-interval 150"]);
    let uptime = frr.peer("10.77.0.1")["uptime"].as_u64().expect("uptime");
    send(bfd_pid(&a), Signal::SIGKILL);
    a.wait_log("(four) goes on in Up state", seconds(5));
    std::thread::sleep(seconds(2));
    assert!(frr.peer("10.77.0.1")["uptime"].as_u64() > Some(uptime), "{}", frr.peer("10.77.0.1"));
    // FRR takes its session down in order: no failure. It comes up again.
    frr.vtysh(&["configure terminal", "bfd", "peer 10.77.0.1 local-address 10.77.0.2", "shutdown"]);
    a.wait_log("(four) the peer took the session down itself, which is no failure", seconds(5));
    assert!(lan.hosts[0].has("10.77.0.100") && shown(&a, "four")["up"] == true, "{}", a.log());
    frr.vtysh(&["configure terminal", "bfd", "peer 10.77.0.1 local-address 10.77.0.2", "no shutdown"]);
    up_again(&a, &frr);
    // It dies.
    frr.end(Signal::SIGKILL);
    wait(&a, "four", "Down", seconds(2));
    assert!(eventually(seconds(5), || !lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    frr = Frr::start(&lan.hosts[1], &peers(&list));
    wait(&a, "four", "Up", seconds(15));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    // We leave in order.
    assert_eq!(a.stop(), Some(0));
    frr.wait("10.77.0.1", "remote-diagnostic", "administratively down");
}

fn up_again(a: &Daemon, frr: &Frr) {
    wait(a, "four", "Up", seconds(15));
    frr.wait("10.77.0.1", "status", "up");
}

#[test]
fn sessions_with_frr_over_several_hops() {
    needs_frr!();
    let lan = routed();
    let list = [("10.78.1.1", "10.78.2.1", "multihop"), ("fd78:1::1", "fd78:2::1", "multihop")];
    let mut frr = Frr::start(&lan.hosts[1], &peers(&list));
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &far(1, "multihop"));
    for (ours, theirs) in [("four", "10.78.1.1"), ("six", "fd78:1::1")] {
        wait(&a, ours, "Up", seconds(15));
        frr.wait(theirs, "status", "up");
    }
    frr.end(Signal::SIGKILL);
    wait(&a, "four", "Down", seconds(2));
    wait(&a, "six", "Down", seconds(2));
}
