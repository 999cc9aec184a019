//! Links that change under the daemon: renamed ones, and what comes in their place.

use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const VIP6: &str = "fd77::100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn conf(priority: u8, more: &str) -> String {
    let instance = |name: &str, addresses: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.2\n priority {priority}\n {more}\n \
             virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
        )
    };
    let four = instance("V4", &format!("{VIP}/24"));
    format!("{four}{}", instance("V6", &format!("fe80::77:100/64\n {VIP6}/64")))
}

fn has_both(host: &Host) -> bool {
    host.has(VIP) && host.has(VIP6)
}

fn has_none(host: &Host) -> bool {
    !host.has(VIP) && !host.has(VIP6) && !host.has("fe80::77:100")
}

/// Gives `eth0` another name; whether it stayed up, which kernels before 6.2 do not allow.
fn rename(host: &Host, from: &str, to: &str, up: bool) -> bool {
    let live = host.command("ip").args(["link", "set", from, "name", to]).output().is_ok_and(|o| o.status.success());
    if !live {
        host.ip(&format!("link set {from} down"));
        host.ip(&format!("link set {from} name {to}"));
        if up {
            host.ip(&format!("link set {to} up"));
        }
    }
    live
}

/// Somebody (udev, an operator) gives the link another name while it carries the addresses: another router takes over, so nothing may
/// stay here.
#[test]
fn a_renamed_link_keeps_no_address_and_is_waited_for() {
    require!();
    let lan = Lan::new(2);
    let (host, peer) = (&lan.hosts[0], &lan.hosts[1]);
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, ""));
    let e = Daemon::start(peer, Kind::Steadfast, &conf(100, ""));
    assert!(eventually(seconds(10), || has_both(host) && has_none(peer)), "{}", d.log());
    e.wait_log("master set to", seconds(5));
    let live = rename(host, "eth0", "other", true);
    println!("renamed while it was up: {live}");
    assert!(eventually(seconds(10), || has_both(peer)), "{}", e.log());
    assert!(eventually(seconds(2), || has_none(host)), "{}\n{}", host.show("addr"), d.log());
    // What is not ours stays.
    assert!(host.has("10.77.0.1"));
    // A link of that name is there again.
    rename(host, "other", "eth0", true);
    assert!(eventually(seconds(10), || has_both(host) && has_none(peer)), "{}\n{}", host.show("addr"), d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(has_none(host), "{}", host.show("addr"));
}

/// What goes by a link goes with its name, and another link that has got the name is served.
#[test]
fn another_link_of_the_name_is_served_and_the_former_one_is_left_clean() {
    require!();
    let lan = Lan::new(2);
    let (host, peer) = (&lan.hosts[0], &lan.hosts[1]);
    let routes = "virtual_routes {\n 10.99.0.0/24 dev eth0\n fd99::/64 dev eth0\n }";
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, routes));
    let e = Daemon::start(peer, Kind::Steadfast, &conf(100, ""));
    let routed = |link: &str| {
        let all = [host.show("route show table all"), host.show("-6 route show table all")].concat();
        ["10.99.0.0/24", "fd99::/64"].map(|r| all.contains(&format!("{r} dev {link} "))) == [true; 2]
    };
    assert!(eventually(seconds(10), || has_both(host) && routed("eth0") && has_none(peer)), "{}", d.log());
    e.wait_log("master set to", seconds(5));
    host.ip("link add eth1 type veth peer name far");
    host.ip("link set far up");
    host.ip("link set eth1 up");
    host.ip("addr add 10.77.0.9/24 dev eth1");
    // In one breath: by the time anybody looks, the name is another link's.
    let swap = |down: &str, up: &str| {
        let batch = format!("{down}link set eth0 name eth2\nlink set eth1 name eth0\n{up}");
        let mut run = host.command("ip").args(["-batch", "-"]).stdin(std::process::Stdio::piped()).spawn().expect("ip");
        std::io::Write::write_all(&mut run.stdin.take().expect("stdin"), batch.as_bytes()).expect("batch");
        run.wait().expect("ip").success()
    };
    // Kernels before 6.2 rename no link that is up.
    let live = swap("", "");
    assert!(live || swap("link set eth0 down\nlink set eth1 down\n", "link set eth0 up\nlink set eth2 up\n"));
    // The new one hears nobody, so we serve there; the peer serves the others.
    assert!(eventually(seconds(10), || has_both(peer)), "{}", e.log());
    let on = |link: &str| host.show(&format!("addr show dev {link}"));
    let clean = || !on("eth2").contains(VIP) && !on("eth2").contains(VIP6) && !routed("eth2");
    assert!(eventually(seconds(5), clean), "{}\n{}", host.show("addr"), d.log());
    assert!(on("eth2").contains("10.77.0.1"));
    assert!(eventually(seconds(10), || on("eth0").contains(VIP) && routed("eth0")), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(has_none(host), "{}", host.show("addr"));
}

#[test]
fn virtual_links_and_their_bases_may_be_renamed() {
    require!();
    let lan = Lan::new(2);
    let (host, peer) = (&lan.hosts[0], &lan.hosts[1]);
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, "use_vmac"));
    let e = Daemon::start(peer, Kind::Steadfast, &conf(100, "use_vmac"));
    assert!(eventually(seconds(10), || has_both(host) && has_none(peer)), "{}", d.log());
    e.wait_log("master set to", seconds(5));
    // The virtual link itself: a link of the right name takes its place, and the other is gone with its MAC.
    rename(host, "vrrp.51", "other", true);
    let one = || host.show("link").matches("00:00:5e:00:01:33").count() == 1;
    let there = || host.show("addr show dev vrrp.51").contains(VIP);
    assert!(eventually(seconds(10), || one() && there() && has_none(peer)), "{}\n{}", host.show("addr"), d.log());
    // The base.
    rename(host, "eth0", "eth2", true);
    assert!(eventually(seconds(10), || has_both(peer)), "{}", e.log());
    assert!(eventually(seconds(5), || has_none(host)), "{}\n{}", host.show("addr"), d.log());
    // A new base of the old name.
    host.ip("link del eth2");
    host.plug();
    assert!(eventually(seconds(10), || has_both(host) && has_none(peer)), "{}\n{}", host.show("addr"), d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(!host.show("link").contains("vrrp"), "{}", host.show("link"));
}

/// At the start, not only where a link shrinks later.
#[test]
fn addresses_that_no_advert_holds_are_told_of_at_the_start() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link set eth0 mtu 576");
    let addresses: String = (0..250).map(|n| format!("  10.78.{}.{}/24\n", n / 200, n % 200 + 1)).collect();
    let text = format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n version 3\n virtual_ipaddress {{\n{addresses} }}\n}}\n"
    );
    let d = Daemon::start(host, Kind::Steadfast, &text);
    d.wait_log("of 250 addresses fit into an advert on this link", Duration::from_secs(10));
    assert_eq!(d.stop(), Some(0));
}
