//! What a running daemon does not let go of: its addresses when another child cannot begin, what an operator wrote, its successor's time.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

fn conf(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 3\n priority {priority}\n advert_int 1\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n{more}}}\n"
    )
}

const SERVICE: &str = "virtual_server 10.77.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
                       real_server 10.77.0.3 80 {\n weight 1\n }\n}\n";

/// A reload wants a child for the first time, and that one cannot begin.
#[test]
fn a_child_that_a_reload_wants_and_that_cannot_begin_ends_nobody() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    assert!(eventually(SOON, || lan.hosts[0].has(VIP)), "{}", d.log());
    let vrrp = d.pid_of("vrrp.pid");
    d.reload(&format!("net_namespace_ipvs nobody_made_it\n{}{SERVICE}", conf(200, "")));
    assert!(eventually(SOON, || d.log().matches("Healthcheck child process").count() >= 3), "{}", d.log());
    assert!(lan.hosts[0].has(VIP) && d.pid_of("vrrp.pid") == vrrp, "{}", d.log());
    // and with a file that is right it begins
    d.reload(&format!("{}{SERVICE}", conf(200, "")));
    let serves = || d.pid_of("check.pid").is_some_and(|pid| std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(eventually(Duration::from_secs(30), serves), "{}", d.log());
    assert!(lan.hosts[0].has(VIP) && d.pid_of("vrrp.pid") == vrrp, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

/// The signal of a stop may reach each process of the group: that is no order to be quicker about it.
#[test]
fn a_stop_of_the_whole_process_group_waits_for_the_successor_too() {
    require!();
    let lan = Lan::new(3);
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
        let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
        assert!(eventually(SOON, || lan.hosts[0].has(VIP) && !lan.hosts[1].has(VIP)), "{}", a.log());
        let ping = lan.hosts[2].ping(VIP);
        std::thread::sleep(Duration::from_millis(300));
        send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGTERM);
        assert_eq!(a.stop(), Some(0));
        assert!(eventually(SOON, || lan.hosts[1].has(VIP)), "{}", b.log());
        std::thread::sleep(Duration::from_millis(300));
        best = best.min(ping.longest_gap());
        if best < Duration::from_millis(100) {
            break;
        }
    }
    println!("gap at a stop of all processes: {best:?}");
    assert!(best < Duration::from_millis(200), "{best:?}");
}

/// The kernel says that real-time CPU is used up to the half.
#[test]
fn a_child_that_is_told_of_its_real_time_limit_goes_on() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    assert!(eventually(SOON, || lan.hosts[0].has(VIP)), "{}", d.log());
    let vrrp = d.pid_of("vrrp.pid");
    send(vrrp.expect("pid"), Signal::SIGXCPU);
    d.wait_log("real-time CPU", SOON);
    assert!(d.pid_of("vrrp.pid") == vrrp && !d.log().contains("exited"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

/// `init_file` is for the start: what an operator has written since is his, whatever becomes of a process.
#[test]
fn what_an_operator_wrote_into_a_tracked_file_outlives_the_child() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("out");
    let track = format!("track_file out {{\n file {}\n weight 0\n init_file 0 overwrite\n}}\n", path.display());
    let text = track + &conf(200, " track_file {\n out\n }\n");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    assert!(eventually(SOON, || lan.hosts[0].has(VIP)), "{}", d.log());
    std::fs::write(&path, "1\n").expect("write");
    assert!(eventually(SOON, || !lan.hosts[0].has(VIP)), "{}", d.log());
    // Deaths in a row leave nothing of what was kept.
    for _ in 0..3 {
        let pid = d.pid_of("vrrp.pid").expect("pid");
        send(pid, Signal::SIGKILL);
        assert!(eventually(SOON * 2, || d.pid_of("vrrp.pid").is_some_and(|new| new != pid)), "{}", d.log());
    }
    d.wait_log("FAULT", SOON);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(std::fs::read_to_string(&path).expect("file").trim(), "1", "{}", d.log());
    assert!(!lan.hosts[0].has(VIP), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}
