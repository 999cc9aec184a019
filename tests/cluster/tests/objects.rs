//! Routes, rules and static objects in a real kernel.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const CONF: &str = "static_ipaddress {
 10.99.0.1/24 dev eth0 scope global
}
static_routes {
 198.51.100.0/24 via 10.77.0.9 dev eth0
}
static_rules {
 from 10.99.0.0/24 table 77 preference 1500
}
vrrp_instance VI {
 interface eth0
 virtual_router_id 51
 priority 200
 advert_int 1
 virtual_ipaddress {
  10.77.0.100/24 dev eth0 label eth0:vip brd 10.77.0.255
 }
 virtual_ipaddress_excluded {
  fd77::100/64
 }
 virtual_routes {
  203.0.113.0/24 via 10.77.0.8 dev eth0 metric 50
  default via 10.77.0.7 dev eth0 table 77
  192.0.2.0/24 nexthop via 10.77.0.5 dev eth0 weight 2 nexthop via 10.77.0.6 dev eth0
  blackhole 198.18.0.0/15
 }
 virtual_rules {
  from 10.77.0.100 table 77 preference 1600
 }
}
";

/// What is looked at, and what must be in it.
fn static_ones(host: &Host) -> bool {
    host.has("10.99.0.1")
        && host.show("route").contains("198.51.100.0/24 via 10.77.0.9")
        && host.show("rule").contains("1500:\tfrom 10.99.0.0/24 lookup 77")
}

fn virtual_ones(host: &Host) -> bool {
    let routes = host.show("route");
    host.has("10.77.0.100")
        && host.show("addr show dev eth0").contains("brd 10.77.0.255 scope global secondary eth0:vip")
        && host.has("fd77::100")
        && routes.contains("203.0.113.0/24 via 10.77.0.8 dev eth0 proto keepalived metric 50")
        && routes.contains("nexthop via 10.77.0.5 dev eth0 weight 2")
        && routes.contains("blackhole 198.18.0.0/15")
        && host.show("route show table 77").contains("default via 10.77.0.7")
        && host.show("rule").contains("1600:\tfrom 10.77.0.100 lookup 77")
}

fn show(host: &Host) -> String {
    ["addr show dev eth0", "route", "route show table 77", "rule"].map(|w| host.show(w)).concat()
}

#[test]
fn objects_come_and_go_with_the_state_and_are_put_back() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = Daemon::start(host, Kind::Steadfast, CONF);
    let soon = Duration::from_secs(10);
    assert!(eventually(soon, || static_ones(host) && virtual_ones(host)), "{}\n{}", show(host), d.log());
    // Somebody takes one after the other away.
    for what in [
        "addr del 10.99.0.1/24 dev eth0",
        "route del 198.51.100.0/24",
        "rule del preference 1500",
        "addr del 10.77.0.100/24 dev eth0",
        "addr del fd77::100/64 dev eth0",
        "route del 203.0.113.0/24",
        "route del default table 77",
        "route del 192.0.2.0/24",
        "route del blackhole 198.18.0.0/15",
        "rule del preference 1600",
    ] {
        host.ip(what);
        assert!(eventually(soon, || static_ones(host) && virtual_ones(host)), "{what}\n{}\n{}", show(host), d.log());
    }
    // The link goes down, which takes routes with it, and comes up again.
    host.ip("link set eth0 down");
    assert!(eventually(soon, || d.log().contains("Entering FAULT STATE")), "{}", d.log());
    host.ip("link set eth0 up");
    assert!(eventually(soon, || static_ones(host) && virtual_ones(host)), "{}\n{}", show(host), d.log());
    assert_eq!(d.stop(), Some(0));
    let left = show(host);
    for gone in ["10.99.0.1", "198.51.100.0", "1500:", "10.77.0.100", "203.0.113.0", "192.0.2.0", "198.18.0.0", "1600:"]
    {
        assert!(!left.contains(gone), "{gone} is left:\n{left}");
    }
}

/// The kernel drops routes of a link that is set down, and says nothing of it.
#[test]
fn what_a_link_lost_by_being_down_while_nobody_looked_is_put_back() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = Daemon::start(host, Kind::Steadfast, CONF);
    let soon = Duration::from_secs(15);
    assert!(eventually(soon, || static_ones(host) && virtual_ones(host)), "{}\n{}", show(host), d.log());
    let child = d.pid_of("vrrp.pid").expect("pid");
    send(child, Signal::SIGSTOP);
    host.ip("link set eth0 down");
    host.ip("link set eth0 up");
    let up = eventually(soon, || host.show("link show dev eth0").contains("state UP"));
    let lost = !host.show("route").contains("203.0.113.0/24");
    send(child, Signal::SIGCONT);
    assert!(up && lost);
    assert!(eventually(soon, || static_ones(host) && virtual_ones(host)), "{}\n{}", show(host), d.log());
    assert!(!d.log().contains("FAULT"), "{}", d.log());
}
