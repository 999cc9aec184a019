//! Virtual addresses that the kernel drops when nobody refreshes them.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";

fn conf(priority: u8, lease: &str) -> String {
    format!(
        "global_defs {{\n {lease}\n}}\nstatic_ipaddress {{\n 10.99.0.1/24 dev eth0\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n \
         priority {priority}\n advert_int 1\n virtual_ipaddress {{\n {VIP}/24\n }}\n virtual_ipaddress_excluded {{\n fd77::100/64\n }}\n}}\n"
    )
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Seconds that an address has left to live.
fn left(show: &str, address: &str) -> Option<u32> {
    let (_, after) = show.split_once(&format!(" {address}/"))?;
    after.split_once("valid_lft ")?.1.split("sec").next()?.parse().ok()
}

#[test]
fn a_host_where_all_of_ours_is_frozen_loses_the_address_and_yields_when_it_thaws() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let da = Daemon::start(a, Kind::Steadfast, &conf(200, "vrrp_address_lease 4"));
    assert!(eventually(seconds(10), || a.has(VIP)), "{}", da.log());
    let db = Daemon::start(b, Kind::Steadfast, &conf(100, ""));
    let shown = || a.show("addr show dev eth0");
    // It is renewed: it outlives its lease, and the static one has none.
    for _ in 0..14 {
        std::thread::sleep(Duration::from_millis(500));
        let all = shown();
        assert!(left(&all, VIP).is_some_and(|s| (1..=4).contains(&s)), "{all}");
        assert!(left(&all, "fd77::100").is_some_and(|s| (1..=4).contains(&s)), "{all}");
        assert!(all.contains("10.99.0.1/24") && left(&all, "10.99.0.1").is_none(), "{all}");
    }
    let all = [da.pid_of("pid").expect("pid"), da.pid_of("vrrp.pid").expect("pid")];
    all.iter().for_each(|p| send(*p, Signal::SIGSTOP));
    assert!(eventually(seconds(10), || b.has(VIP)), "{}", db.log());
    assert!(eventually(seconds(10), || !a.has(VIP) && !a.has("fd77::100")), "the kernel keeps it: {}", shown());
    assert!(a.has("10.99.0.1"));
    all.iter().for_each(|p| send(*p, Signal::SIGCONT));
    // Its priority is higher: it takes the address back, by an election.
    assert!(eventually(seconds(10), || a.has(VIP) && !b.has(VIP)), "{}", da.log());
    assert!(da.log().contains("BACKUP STATE"), "{}", da.log());

    // Without the lease addresses are for ever again, without having been away.
    da.reload(&conf(200, ""));
    assert!(eventually(seconds(5), || a.has(VIP) && left(&shown(), VIP).is_none()), "{}", shown());
    assert!(left(&shown(), "fd77::100").is_none());
}
