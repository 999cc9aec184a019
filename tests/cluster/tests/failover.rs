//! What a client, a peer and an operator see of two real daemons.

use nix::sys::signal::Signal;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{ask, file, run, send, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const VIP: &str = "10.77.0.100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A configuration of router id 51.
fn conf(priority: u8, more: &str) -> String {
    format!(
        "global_defs {{\n router_id r{priority}\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n {more}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

fn holds(host: &Host, bound: u64) {
    assert!(eventually(seconds(bound), || host.has(VIP)), "host {} does not get the address", host.number);
}

fn holder_is(lan: &Lan, n: usize) -> bool {
    lan.hosts.iter().enumerate().all(|(i, h)| h.has(VIP) == (i == n))
}

#[test]
fn a_crash_a_takeover_and_the_return() {
    require!();
    let lan = Lan::new(3);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let _b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    let ping = lan.hosts[2].ping(VIP);
    std::thread::sleep(Duration::from_millis(300));
    lan.hosts[0].cable(false);
    a.crash();
    holds(&lan.hosts[1], 10);
    std::thread::sleep(Duration::from_millis(300));
    println!("outage at a crash, advert interval 1 s: {:?}", ping.longest_gap());
    // It comes back with its leftovers and takes its place again.
    let ping = lan.hosts[2].ping(VIP);
    lan.hosts[0].cable(true);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    a.wait_log("Entering MASTER STATE", seconds(10));
    assert!(eventually(seconds(5), || holder_is(&lan, 0)), "one holder");
    println!("gap at the return: {:?}", ping.longest_gap());
    assert_eq!(a.stop(), Some(0));
    assert!(!lan.hosts[0].has(VIP));
}

#[test]
fn a_killed_parent_costs_as_little_as_an_orderly_stop() {
    require!();
    let lan = Lan::new(3);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let _b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    let ping = lan.hosts[2].ping(VIP);
    std::thread::sleep(Duration::from_millis(300));
    let parent = a.pid_of("pid").expect("pid");
    send(parent, Signal::SIGKILL);
    holds(&lan.hosts[1], 5);
    std::thread::sleep(Duration::from_millis(300));
    let gap = ping.longest_gap();
    println!("gap when the parent is killed: {gap:?}");
    assert!(gap < Duration::from_millis(400), "{gap:?}, as long as a skew: {}", a.log());
    assert!(eventually(seconds(5), || !lan.hosts[0].has(VIP)), "{}", a.log());
    // Nobody else is left to say what happened.
    a.wait_log("Stopped VRRP child process", seconds(5));
    let why = format!("the parent process (pid {parent}) has died: leaving in order");
    assert_eq!(a.log().matches(&why).count(), 1, "{}", a.log());
}

/// Its successor enters no state: it is in it.
#[test]
fn a_backup_whose_process_is_killed_begins_no_second_time() {
    require!();
    let lan = Lan::new(2);
    let mut a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    b.wait_log("master set to", seconds(10));
    send(b.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    b.wait_log("(VI) continuing in BACKUP state", seconds(5));
    assert_eq!(b.log().matches("Entering").count(), 1, "{}", b.log());
    assert_eq!(b.stop(), Some(0));
    a.signal(Signal::SIGTERM);
    assert_eq!(a.ended(), Some(0));
    for process in ["VRRP child process", "Keepalived"] {
        assert_eq!(a.log().matches(&format!("Stopped {process}")).count(), 1, "{}", a.log());
    }
}

#[test]
fn a_parent_whose_death_is_told_twice_costs_no_more() {
    require!();
    let lan = Lan::new(3);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let _b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    let ping = lan.hosts[2].ping(VIP);
    let child = a.pid_of("vrrp.pid").expect("pid");
    send(a.pid_of("pid").expect("pid"), Signal::SIGKILL);
    // The kernel signals once for each thread that a parent had; whether it does both before the first is read is chance.
    a.wait_log("serving until a successor is heard", seconds(2));
    send(child, Signal::SIGTERM);
    holds(&lan.hosts[1], 5);
    // The client goes on for a while: what it lost is seen by what it got after that.
    std::thread::sleep(seconds(1));
    let gap = ping.longest_gap();
    println!("gap when the parent's death is told twice: {gap:?}");
    assert!(gap < Duration::from_millis(400), "{gap:?}, as long as a skew: {}", a.log());
}

#[test]
fn a_reload_with_a_new_fault_changes_nothing() {
    require!();
    let lan = Lan::new(1);
    let text = conf(200, "");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    holds(&lan.hosts[0], 10);
    let address = text.lines().find(|l| l.contains(VIP)).expect("address line").trim().to_string();
    for (n, (what, with)) in
        [(address.as_str(), "10.77.0.310/24"), ("priority 200", "prioritty 200"), ("priority 200", "priority 300")]
            .into_iter()
            .enumerate()
    {
        a.reload(&text.replace(what, with));
        assert!(
            eventually(seconds(5), || a.log().matches("has faults that the running one does not have").count()
                == n + 1),
            "{with}: {}",
            a.log()
        );
        assert!(lan.hosts[0].has(VIP), "{with}");
    }
    // Who wants it so gets it so; and a fault that runs is in nobody's way.
    let program = steadfast_test_cluster::daemon::steadfastd().with_file_name("steadfast");
    let socket = a.path("pid").with_extension("control");
    let forced = std::process::Command::new(program)
        .arg("--socket")
        .arg(&socket)
        .args(["reload", "--force"])
        .output()
        .expect("reload");
    assert!(forced.status.success(), "{}", String::from_utf8_lossy(&forced.stderr));
    let status = steadfast_test_cluster::daemon::ask(&a, &["status"]);
    assert!(status.contains("the configuration that runs has a fault; `steadfast check "), "{status}");
    a.reload(&text.replace("priority 200", "priority 300").replace(VIP, "10.77.0.101"));
    assert!(eventually(seconds(5), || lan.hosts[0].has("10.77.0.101")), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

#[test]
fn a_killed_child_costs_no_failover() {
    require!();
    let lan = Lan::new(3);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    b.wait_log("master set to", seconds(5));
    let ping = lan.hosts[2].ping(VIP);
    let before = a.pid_of("vrrp.pid");
    send(before.expect("pid"), Signal::SIGKILL);
    a.wait_log("died: Respawning", seconds(5));
    a.wait_log("continuing in MASTER state", seconds(5));
    assert!(eventually(seconds(5), || a.pid_of("vrrp.pid") != before));
    std::thread::sleep(seconds(4));
    let gap = ping.longest_gap();
    println!("gap when the VRRP child is killed: {gap:?}");
    assert!(gap < Duration::from_millis(500), "{gap:?}");
    assert!(holder_is(&lan, 0) && !b.log().contains("Entering MASTER STATE"), "{}", b.log());
}

#[test]
fn a_stop_does_not_wait_for_the_startup_script() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let former = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    holds(&lan.hosts[0], 10);
    assert!(eventually(seconds(5), || former.path("vrrp.objects").exists()), "{}", former.log());
    std::fs::copy(former.path("vrrp.objects"), at("vrrp.objects")).expect("record");
    former.crash();
    assert!(lan.hosts[0].has(VIP));
    let script = "startup_script \"/bin/sleep 60\"\n startup_script_timeout 60\n script_user root";
    let text = conf(200, "").replace("global_defs {", &format!("global_defs {{\n {script}"));
    std::fs::write(at("conf"), text).expect("configuration");
    let mut command = lan.hosts[0].command(steadfastd().to_str().expect("path"));
    command.args(["-n", "-l", "-D", "-f"]).arg(at("conf")).arg("-p").arg(at("pid")).arg("-r").arg(at("vrrp.pid"));
    command.stdin(Stdio::null()).stderr(std::fs::File::create(at("log")).expect("log"));
    let mut daemon = command.spawn().expect("start");
    let log = || std::fs::read_to_string(at("log")).unwrap_or_default();
    let pid = || std::fs::read_to_string(at("pid")).ok()?.trim().parse::<i32>().ok();
    assert!(eventually(seconds(10), || pid().is_some()), "{}", log());
    send(pid().expect("pid"), Signal::SIGTERM);
    let mut status = None;
    let ended = eventually(seconds(5), || {
        status = daemon.try_wait().expect("wait");
        status.is_some()
    });
    if !ended {
        send(pid().expect("pid"), Signal::SIGKILL);
        daemon.wait().expect("end");
    }
    assert!(ended && status.is_some_and(|s| s.success()), "{status:?} {}", log());
    assert!(!log().contains("Starting VRRP"), "{}", log());
    assert!(!at("pid").exists());
    // What an earlier daemon left when all of its processes were killed goes, though no child is started.
    assert!(!lan.hosts[0].has(VIP) && !at("vrrp.objects").exists(), "{}", log());
}

#[test]
fn who_ends_last_removes_the_fifo_that_a_predecessor_made() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let fifo = folder.path().join("fifo");
    let found = folder.path().join("found");
    nix::unistd::mkfifo(&found, nix::sys::stat::Mode::S_IRWXU).expect("FIFO");
    let globals = format!("global_defs {{\n notify_fifo {}\n vrrp_notify_fifo {}", found.display(), fifo.display());
    let text = conf(200, "").replace("global_defs {", &globals);
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
    holds(&lan.hosts[0], 10);
    assert!(fifo.exists());
    send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    a.wait_log("continuing in MASTER state", seconds(5));
    a.signal(Signal::SIGTERM);
    let pid = a.pid_of("pid").expect("pid");
    assert!(eventually(seconds(10), || !std::path::Path::new(&format!("/proc/{pid}/fd/0")).exists()));
    assert!(!fifo.exists(), "it stays");
    assert!(found.exists(), "that was not ours");
}

/// What such an instance is to its successor does not fit into one message.
#[test]
fn a_killed_child_of_an_instance_with_many_scripts_costs_no_failover() {
    require!();
    let lan = Lan::new(1);
    let name = |n: u32| format!("a_script_whose_name_says_what_it_looks_after_{n}");
    let scripts: String = (0..100)
        .map(|n| format!("vrrp_script {} {{\n script \"/bin/true\"\n interval 10\n user nobody\n}}\n", name(n)))
        .collect();
    let tracked: Vec<String> = (0..100).map(name).collect();
    let text = scripts + &conf(200, &format!("track_script {{\n {}\n }}", tracked.join("\n ")));
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    holds(&lan.hosts[0], 20);
    assert!(!a.log().contains("cannot tell"), "{}", a.log());
    send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    a.wait_log("died: Respawning", seconds(5));
    a.wait_log("continuing in MASTER state", seconds(5));
    assert_eq!(a.stop(), Some(0));
}

#[test]
fn a_frozen_child_is_ended_and_its_successor_listens_first() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    b.wait_log("master set to", seconds(5));
    send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGSTOP);
    // The peer takes over after its own timer, the watchdog ends the frozen process after five seconds.
    holds(&lan.hosts[1], 5);
    a.wait_log("does not answer, ending it", seconds(10));
    a.wait_log("died: Respawning", seconds(5));
    assert!(eventually(seconds(10), || holder_is(&lan, 0)), "in the end the higher priority holds it alone");
    assert!(!a.log().contains("continuing in MASTER state"));
}

#[test]
fn a_reload_loses_no_advert_and_a_broken_file_changes_nothing() {
    require!();
    let lan = Lan::new(3);
    let fast = |vips: &str| {
        format!(
            "vrrp_instance VI {{\n interface eth0\n version 3\n virtual_router_id 51\n priority 200\n advert_int 0.1\n \
             virtual_ipaddress {{\n {VIP}/24\n {vips}\n }}\n}}\n"
        )
    };
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &fast(""));
    holds(&lan.hosts[0], 10);
    let index = 2
        .max(lan.hosts[2].show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).unwrap_or(2));
    let seen = lan.hosts[2].inside(move || wire::observe(index, seconds(4)));
    for n in 0..5 {
        std::thread::sleep(Duration::from_millis(300));
        a.reload(&fast(if n % 2 == 0 { "10.77.0.101/24" } else { "" }));
        let done = || a.log().matches("Reload complete").count() == n + 1;
        assert!(eventually(seconds(5), done), "{}", a.log());
    }
    a.reload("vrrp_instance VI {\n interface eth0\n virtual_router_id\n}\n");
    a.wait_log("cannot be used, keeping the running one", seconds(5));
    // A file that somebody is just writing is empty for a moment.
    a.reload("");
    a.wait_log("is empty, keeping the running one", seconds(5));
    assert!(lan.hosts[0].has(VIP));
    let seen = seen.join().expect("observer");
    let longest = seen.windows(2).map(|w| w[1].at - w[0].at).max().expect("adverts");
    println!("{} adverts at 0.1 s across 7 reloads, longest gap {longest:?}", seen.len());
    assert!(longest < Duration::from_millis(250), "{longest:?}");
    assert!(seen.iter().all(|s| s.priority == 200 && s.ttl == 255));
    assert!(!a.log().contains("Entering BACKUP STATE\n"));
}

#[test]
fn a_flood_of_wrong_packets_changes_nothing() {
    require!();
    let lan = Lan::new(3);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    b.wait_log("master set to", seconds(5));
    let (log_a, log_b) = (a.log().len(), b.log().len());
    let good = wire::advert(Ipv4Addr::new(10, 77, 0, 3), 255);
    let change = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        bytes
    };
    let packets = vec![
        (64, good.clone()),
        (255, change(7, good[7] ^ 1)),
        (255, change(0, 0x31)),
        (255, change(0, 0x22)),
        (255, change(5, 9)),
        (255, change(4, 1)),
        (255, good[..12].to_vec()),
    ];
    let index =
        lan.hosts[1].show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).unwrap_or(2);
    // The forger may have to share its processor: it ends with its number of packets, and not with a time.
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let seen =
        lan.hosts[1].inside(move || wire::adverts(index, 51, seconds(31), move || ended.load(Ordering::Relaxed)));
    let start = Instant::now();
    let sent = lan.hosts[2]
        .inside(move || wire::forge(packets, wire::GROUP, 50_000, 250_000, seconds(30)))
        .join()
        .expect("forger");
    let during = start.elapsed();
    std::thread::sleep(seconds(1));
    done.store(true, Ordering::Relaxed);
    let master = Ipv4Addr::new(10, 77, 0, 1);
    let adverts: Vec<_> = seen.join().expect("observer").into_iter().filter(|s| s.from == master).collect();
    let longest = adverts.windows(2).map(|w| w[1].at - w[0].at).max().unwrap_or(seconds(9));
    println!(
        "{sent} wrong packets in {during:?}: longest gap between adverts {longest:?}, log {} and {} bytes",
        a.log().len() - log_a,
        b.log().len() - log_b
    );
    assert!(holder_is(&lan, 0) && !b.log().contains("Entering MASTER STATE"));
    assert!(longest < Duration::from_millis(1900), "{longest:?}");
    assert_eq!(sent, 250_000, "packets of a flood");
    assert!(a.log().len() - log_a < 65_536 && b.log().len() - log_b < 65_536);
}

#[test]
fn a_stranger_cannot_dethrone_a_unicast_master() {
    require!();
    let lan = Lan::new(3);
    let unicast = "unicast_src_ip 10.77.0.1\n unicast_peer {\n 10.77.0.2\n }";
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(100, unicast));
    holds(&lan.hosts[0], 10);
    let bytes = wire::advert(Ipv4Addr::new(10, 77, 0, 3), 255);
    let forged = vec![(57, bytes.clone()), (255, bytes)];
    lan.hosts[2]
        .inside(move || wire::forge(forged, Ipv4Addr::new(10, 77, 0, 1), 50, u64::MAX, seconds(2)))
        .join()
        .expect("forger");
    assert!(lan.hosts[0].has(VIP) && !a.log().contains("higher priority"), "{}", a.log());
}

#[test]
fn a_log_that_nobody_reads_stops_nothing() {
    require!();
    let lan = Lan::new(2);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    holds(&lan.hosts[0], 10);
    // A pipe that is full before the daemon writes its first line.
    let (reader, writer) = nix::unistd::pipe().expect("pipe");
    let flags = nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(flags)).expect("nonblock");
    while nix::unistd::write(&writer, &[b'x'; 4096]).is_ok() {}
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::empty())).expect("block");
    let folder = tempfile::tempdir().expect("folder");
    let _b = Daemon::start_in(&lan.hosts[1], Kind::Steadfast, &conf(100, ""), folder, Stdio::from(writer));
    std::thread::sleep(seconds(1));
    lan.hosts[0].cable(false);
    a.crash();
    holds(&lan.hosts[1], 10);
    drop(reader);
}

#[test]
fn a_failing_script_moves_the_address_at_once_and_back() {
    require!();
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let flag = file(folder.path(), "service", "up");
    let tracked = format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"/usr/bin/test -f {flag}\"\n interval 1\n weight -120\n}}\n{}",
        conf(200, "track_script {\n chk\n }")
    );
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &tracked);
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    holds(&lan.hosts[0], 10);
    b.wait_log("master set to", seconds(5));
    let ping = lan.hosts[2].ping(VIP);
    let index =
        lan.hosts[2].show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).unwrap_or(2);
    let seen = lan.hosts[2].inside(move || wire::observe(index, seconds(9)));
    std::fs::remove_file(&flag).expect("flag");
    a.wait_log("Changing effective priority from 200 to 80", seconds(5));
    holds(&lan.hosts[1], 5);
    file(folder.path(), "service", "up");
    assert!(eventually(seconds(5), || holder_is(&lan, 0)), "the address comes back");
    let seen = seen.join().expect("observer");
    let lower = seen.iter().find(|s| s.priority == 80).expect("an advert of priority 80");
    let taken = seen.iter().find(|s| s.priority == 100).expect("takeover");
    println!("takeover {:?} after priority 80 was on the wire", taken.at - lower.at);
    assert!(taken.at - lower.at < Duration::from_millis(500));
    println!("longest gap for the client: {:?}", ping.longest_gap());
}

#[test]
fn clusters_with_keepalived_fail_over_both_ways() {
    require!(keepalived);
    let variants = [
        ("version 2", ""),
        ("version 2, PASS", "authentication {\n auth_type PASS\n auth_pass secret\n }"),
        ("version 3", "version 3"),
    ];
    for (name, more) in variants {
        for (first, second) in [(Kind::Steadfast, Kind::Keepalived), (Kind::Keepalived, Kind::Steadfast)] {
            let lan = Lan::new(2);
            let a = Daemon::start(&lan.hosts[0], first, &conf(200, more));
            let b = Daemon::start(&lan.hosts[1], second, &conf(100, more));
            holds(&lan.hosts[0], 10);
            // The lower one hears the higher one and stays backup for longer than its timer.
            std::thread::sleep(seconds(4));
            assert!(holder_is(&lan, 0), "{name}: {first:?} is master alone\n{}\n{}", a.log(), b.log());
            a.stop();
            holds(&lan.hosts[1], 5);
            println!("{name}: {second:?} took over from {first:?}");
        }
    }
    // Unicast: each names the other.
    let lan = Lan::new(2);
    let unicast = |own: u32, peer: u32| format!("unicast_src_ip 10.77.0.{own}\n unicast_peer {{\n 10.77.0.{peer}\n }}");
    let a = Daemon::start(&lan.hosts[0], Kind::Keepalived, &conf(200, &unicast(1, 2)));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, &unicast(2, 1)));
    holds(&lan.hosts[0], 10);
    std::thread::sleep(seconds(4));
    assert!(holder_is(&lan, 0), "{}", b.log());
    a.stop();
    holds(&lan.hosts[1], 5);
    // IPv6, version 3.
    let six = |priority: u8| {
        format!(
            "vrrp_instance V6 {{\n interface eth0\n version 3\n virtual_router_id 66\n priority {priority}\n virtual_ipaddress {{\n \
             fe80::77/64\n fd77::100/64\n }}\n}}\n"
        )
    };
    for (first, second) in [(Kind::Steadfast, Kind::Keepalived), (Kind::Keepalived, Kind::Steadfast)] {
        let lan = Lan::new(2);
        let a = Daemon::start(&lan.hosts[0], first, &six(200));
        let _b = Daemon::start(&lan.hosts[1], second, &six(100));
        assert!(eventually(seconds(10), || lan.hosts[0].has("fd77::100")), "{first:?}\n{}", a.log());
        std::thread::sleep(seconds(4));
        assert!(!lan.hosts[1].has("fd77::100"), "{second:?} hears {first:?}");
        a.stop();
        assert!(eventually(seconds(5), || lan.hosts[1].has("fd77::100")));
        println!("IPv6: {second:?} took over from {first:?}");
    }
}

#[test]
fn scripts_and_fifos_are_told_in_keepalived_s_words() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out");
    let fifo = folder.path().join("fifo");
    let script = file(folder.path(), "notify.sh", &format!("#!/bin/sh\necho \"$@\" >> {}\n", out.display()));
    std::process::Command::new("chmod").args(["755", &script]).status().expect("chmod");
    let text = format!(
        "global_defs {{\n vrrp_notify_fifo {}\n script_user root\n}}\n{}",
        fifo.display(),
        conf(200, &format!("notify \"{script} own\"\n notify_master \"{script} master\""))
    );
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    assert!(eventually(seconds(5), || fifo.exists()));
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || {
            use std::io::{BufRead, BufReader};
            let lines = BufReader::new(std::fs::File::open(fifo).expect("fifo")).lines();
            lines.map_while(Result::ok).take(3).collect::<Vec<_>>()
        }
    });
    holds(&lan.hosts[0], 10);
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    assert!(eventually(seconds(5), || said().lines().count() >= 3), "{}", said());
    let mut lines: Vec<String> = said().lines().map(str::to_string).collect();
    lines.sort();
    assert_eq!(lines, ["master", "own INSTANCE VI BACKUP 200", "own INSTANCE VI MASTER 200"]);
    assert_eq!(a.stop(), Some(0));
    let lines = reader.join().expect("reader");
    assert_eq!(lines, ["INSTANCE \"VI\" BACKUP 200", "INSTANCE \"VI\" MASTER 200", "INSTANCE \"VI\" STOP 200"]);
    assert!(said().contains("own INSTANCE VI STOP 200"));
    assert!(!fifo.exists(), "a FIFO that the daemon made goes with it");
}

#[test]
fn an_absent_interface_is_waited_for() {
    require!();
    let lan = Lan::new(1);
    let text = conf(200, "").replace("eth0", "late0");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    a.wait_log("entering FAULT state: interface late0 does not exist", seconds(5));
    lan.hosts[0].ip("link add late0 type veth peer name late1");
    lan.hosts[0].ip("link set late1 up");
    lan.hosts[0].ip("addr add 10.78.0.1/24 dev late0");
    lan.hosts[0].ip("link set late0 up");
    holds(&lan.hosts[0], 10);
}

#[test]
fn dumps_and_pid_files_are_where_tools_look() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = |n: &str| folder.path().join(n);
    let text = conf(200, "").replace(
        "global_defs {",
        &format!(
            "global_defs {{\n state_dump_file {}\n stats_dump_file {}\n json_dump_file {}",
            at("data").display(),
            at("stats").display(),
            at("json").display()
        ),
    );
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    holds(&lan.hosts[0], 10);
    let parent = a.pid_of("pid").expect("pid");
    for signal in ["USR1", "USR2", "36"] {
        std::process::Command::new("kill").args([&format!("-{signal}"), &parent.to_string()]).status().expect("kill");
    }
    let read = |n: &str| std::fs::read_to_string(at(n)).unwrap_or_default();
    assert!(eventually(seconds(5), || ["data", "stats", "json"].iter().all(|n| !read(n).is_empty())));
    assert!(read("data").contains(" VRRP Instance = VI\n") && read("data").contains("   State = MASTER\n"));
    assert!(read("stats").contains("  Became master: 1\n"));
    assert!(
        read("json").starts_with("[{\"data\":{\"iname\":\"VI\"")
            && read("json").contains("10.77.0.100\\/24 dev eth0 scope global set")
    );
    let written = || read("data_parent").contains("VRRP\n   State = running\n");
    assert!(eventually(seconds(5), written), "{}", read("data_parent"));
    // A second copy finds the first and ends with 0.
    let (pid, path) = (a.path("pid"), a.path("conf"));
    let mut second = lan.hosts[0].command(steadfast_test_cluster::daemon::steadfastd().to_str().expect("path"));
    second.args(["-n", "-l", "-f"]).arg(&path).arg("-p").arg(&pid);
    let out = second.output().expect("second copy");
    assert_eq!(out.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&out.stderr).contains("already running"));
    // Also where somebody has removed the pid file.
    std::fs::remove_file(&pid).expect("pid file");
    let out = second.output().expect("second copy");
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.code() == Some(0) && said.contains(&format!("pid {parent}, which answers at")), "{said}");
    assert!(lan.hosts[0].has(VIP) && steadfast_test_cluster::daemon::ask(&a, &["status"]).contains("MASTER"));
}

#[test]
fn a_stop_at_any_moment_of_the_start_is_obeyed() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "conf", &conf(200, ""));
    let mut worst = Duration::ZERO;
    for n in 0..40u64 {
        let mut command = lan.hosts[0].command(steadfast_test_cluster::daemon::steadfastd().to_str().expect("path"));
        command.args(["-n", "-l", "-f", &path]);
        for (option, name) in [("-p", "pid"), ("-r", "vrrp"), ("-c", "check")] {
            command.arg(option).arg(folder.path().join(name));
        }
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start");
        // Not to wait for anything: each round stops at another moment.
        std::thread::sleep(Duration::from_millis(2 * n));
        let begun = Instant::now();
        send(child.id() as i32, Signal::SIGTERM);
        let status = child.wait().expect("end");
        worst = worst.max(begun.elapsed());
        let text = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        // Before it listens to signals, the signal itself ends it.
        assert!(status.success() || (status.code().is_none() && text.is_empty()), "{n}: {status}\n{text}");
        assert!(begun.elapsed() < seconds(3), "{n}: {:?}\n{text}", begun.elapsed());
    }
    println!("longest stop during a start: {worst:?}");
}

#[test]
fn the_command_line_answers_as_keepalived_does() {
    let folder = tempfile::tempdir().expect("folder");
    let write = |text: &str| file(folder.path(), "conf", text);
    let test = |text: &str| run(&["-t", "-f", &write(text)]);
    assert_eq!(run(&["--signum=JSON"]).1, "36\n");
    assert!(run(&["--version"]).2.starts_with("Keepalived v"));
    assert_eq!(run(&["-Z"]).0, Some(1));
    assert_eq!(run(&["-t", "-f", "/nonexistent/file"]).0, Some(0));
    assert_eq!(test("! nothing\n").0, Some(0));
    assert_eq!(test("vrrp_instance X {\n virtual_router_id\n}\n").0, Some(2));
    assert_eq!(test("includem nothing-here\n").0, Some(6));
    let (status, _, text) = test("global_defs {\n ruoter_id x\n}\n");
    assert_eq!(status, Some(5));
    assert!(
        text.contains("conf:2:2") && text.contains("did you mean `router_id`?") && text.contains("^^^^^^^^^"),
        "{text}"
    );
}

#[test]
fn a_child_that_dies_again_and_again_holds_no_address_while_it_is_away() {
    require!();
    let lan = Lan::new(3);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    holds(&lan.hosts[0], 10);
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    b.wait_log("master set to", seconds(5));
    // The second death follows right after the first: the peer is told, and serves before the address goes.
    let client = steadfast_test_cluster::client::Client::start(&lan.hosts[2], VIP.parse().expect("address"));
    for n in 1..=2 {
        let pid = a.pid_of("vrrp.pid").expect("pid");
        send(pid, Signal::SIGKILL);
        assert!(eventually(seconds(5), || a.log().matches("died: Respawning").count() == n), "{}", a.log());
        if n < 2 {
            a.wait_log("continuing in MASTER state", seconds(5));
        }
    }
    a.wait_log("peers are told to take over", seconds(5));
    // Who withdraws listens for the successor, and lets go as soon as it is heard.
    let taken = eventually(seconds(5), || lan.hosts[1].has(VIP)).then(std::time::Instant::now);
    assert!(eventually(seconds(5), || holder_is(&lan, 1)), "{}\n{}", a.log(), b.log());
    let doubled = taken.expect("taken over").elapsed();
    let asked = client.end();
    println!(
        "two deaths in a row: the client lost {} of {} questions, both had it for {doubled:?}",
        asked.lost, asked.sent
    );
    assert!(asked.longest_gap < Duration::from_millis(400), "{asked:?}");
    assert!(doubled < Duration::from_millis(500), "{doubled:?}\n{}", a.log());
    a.wait_log("its addresses are withdrawn", seconds(2));
    // And a person is told where to look.
    let look = "died several times in a row: its addresses are withdrawn until it runs again. Look at what it \
                logged before, and at what changed: the configuration, the program, the host";
    a.wait_log(look, seconds(2));
    let log = a.log();
    assert!(log.find("peers are told") < log.find("its addresses are withdrawn"), "not before it is so: {log}");
    // It comes back by itself, and takes its place again.
    assert!(eventually(seconds(15), || holder_is(&lan, 0)), "{}\n{}", a.log(), b.log());
    assert_eq!(a.stop(), Some(0));
}

/// A master's process stands still until a peer has taken over, and is then ended by somebody else (for want of memory, say), or succeeded
/// by a new program: nobody goes on where another one is by now.
#[test]
fn who_stood_still_before_it_died_listens_first() {
    require!();
    for upgrades in [false, true] {
        let lan = Lan::new(2);
        let more = "version 3\n advert_int 0.1\n nopreempt";
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, more));
        holds(&lan.hosts[0], 10);
        let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, more));
        b.wait_log("Entering BACKUP STATE", seconds(10));
        // It beats once a second.
        std::thread::sleep(seconds(2));
        let vrrp = a.pid_of("vrrp.pid").expect("pid");
        send(vrrp, Signal::SIGSTOP);
        holds(&lan.hosts[1], 10);
        std::thread::sleep(seconds(2));
        if upgrades {
            ask(&a, &["upgrade"]);
        } else {
            send(vrrp, Signal::SIGKILL);
        }
        a.wait_log("had stood still for", seconds(10));
        assert!(eventually(seconds(10), || !lan.hosts[0].has(VIP)), "{}", a.log());
        std::thread::sleep(seconds(1));
        assert!(lan.hosts[1].has(VIP) && !lan.hosts[0].has(VIP), "{}", a.log());
        assert!(
            !b.log().contains("Master received advert") && !a.log().contains("continuing in MASTER"),
            "{}{}",
            a.log(),
            b.log()
        );
    }
}
