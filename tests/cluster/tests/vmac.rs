//! Virtual MAC links, and traffic that is blocked because accept mode is off.

use nix::sys::signal::Signal;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use steadfast_test_cluster::daemon::{keepalived, send};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const VIP: &str = "10.77.0.100";
const VIP6: &str = "fd77::100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// One instance for each family, both with router id 51.
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

/// What the client's kernel knows about an address.
fn neighbour(client: &Host, address: &str) -> String {
    client.show(&format!("neigh show {address}"))
}

fn answers(client: &Host, address: &str) -> bool {
    let status = client.command("ping").args(["-c", "1", "-W", "1", address]).output();
    status.is_ok_and(|o| o.status.success())
}

fn setting(host: &Host, link: &str, name: &str) -> String {
    let path = format!("/proc/sys/net/ipv4/conf/{link}/{name}");
    let out = host.inside(move || std::fs::read_to_string(path).unwrap_or_default());
    out.join().expect("thread").trim().to_string()
}

#[test]
fn the_virtual_mac_stays_while_the_master_changes() {
    require!();
    let ours = Kind::Steadfast;
    for (first, second) in [(ours, ours), (ours, Kind::Keepalived), (Kind::Keepalived, ours)] {
        if keepalived().is_none() && (first, second) != (ours, ours) {
            println!("SKIPPED: virtual MAC with keepalived: it is not installed");
            continue;
        }
        let lan = Lan::new(3);
        let client = &lan.hosts[2];
        let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
        let d = Daemon::start(b, second, &conf(100, "use_vmac"));
        let c = Daemon::start(a, first, &conf(200, "use_vmac"));
        assert!(eventually(seconds(15), || a.has(VIP) && a.has(VIP6) && !b.has(VIP) && !b.has(VIP6)), "{}", c.log());
        let link = a.show("-d link show dev vrrp.51");
        assert!(link.contains("00:00:5e:00:01:33") && link.contains("macvlan mode private"), "{link}");
        assert!(eventually(seconds(5), || answers(client, VIP)), "no answer from {VIP}");
        assert!(eventually(seconds(5), || answers(client, VIP6)), "no answer from {VIP6}");
        // keepalived's other links answer for its IPv4 address, too.
        let clean = first == Kind::Keepalived || neighbour(client, VIP).contains("00:00:5e:00:01:33");
        assert!(clean, "{}", neighbour(client, VIP));
        assert!(neighbour(client, VIP6).contains("00:00:5e:00:02:33"), "{}", neighbour(client, VIP6));
        // The client's entry is for ever: only the virtual MAC itself can move.
        client.ip(&format!("neigh replace {VIP} lladdr 00:00:5e:00:01:33 dev eth0 nud permanent"));
        a.cable(false);
        c.crash();
        assert!(eventually(seconds(10), || b.has(VIP) && b.has(VIP6)), "{}", d.log());
        assert!(eventually(seconds(5), || answers(client, VIP)), "no answer after the takeover");
        assert!(neighbour(client, VIP).contains("00:00:5e:00:01:33"));
    }
}

/// A link is heard of by netlink in any case.
#[test]
fn a_virtual_link_has_the_name_that_is_given() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let text = |more: &str| {
        let whole = conf(200, more);
        whole.split("vrrp_instance V6").next().unwrap_or_default().to_string()
    };
    for (more, name) in
        [("use_vmac name sfv netlink_notify_msg", "sfv"), ("use_vmac sfw", "sfw"), ("use_vmac", "vrrp.51")]
    {
        let d = Daemon::start(host, Kind::Steadfast, &text(more));
        assert!(eventually(seconds(10), || host.has(VIP)), "{more}: {}", d.log());
        let (link, address) =
            (host.show(&format!("link show dev {name}")), host.show(&format!("addr show dev {name}")));
        assert!(link.contains("00:00:5e:00:01:33") && address.contains(VIP), "{more}: {link}{address}");
        assert_eq!(d.stop(), Some(0));
    }
}

#[test]
fn virtual_links_go_with_the_daemon_and_survive_its_child() {
    require!();
    let lan = Lan::new(2);
    let (host, client) = (&lan.hosts[0], &lan.hosts[1]);
    let before: Vec<String> = ["arp_ignore", "arp_filter"].iter().map(|n| setting(host, "eth0", n)).collect();
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, "use_vmac"));
    assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{}", d.log());
    assert_eq!(setting(host, "eth0", "arp_ignore"), "1");
    assert_eq!(
        (setting(host, "vrrp.51", "accept_local"), setting(host, "vrrp.51", "rp_filter")),
        ("1".into(), "0".into())
    );
    let index = host.show("-o link show dev vrrp.51").split(':').next().map(str::to_string);
    send(d.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    d.wait_log("continuing in MASTER state", seconds(5));
    assert!(answers(client, VIP));
    assert_eq!(
        host.show("-o link show dev vrrp.51").split(':').next().map(str::to_string),
        index,
        "the link is the same"
    );
    // Somebody removes the link.
    host.ip("link del vrrp.51");
    assert!(eventually(seconds(5), || host.has(VIP) && answers(client, VIP)), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(!host.show("link").contains("vrrp"), "{}", host.show("link"));
    let after: Vec<String> = ["arp_ignore", "arp_filter"].iter().map(|n| setting(host, "eth0", n)).collect();
    assert_eq!(after, before, "settings are put back");
}

#[test]
fn vmac_xmit_base_keeps_adverts_on_the_base_link() {
    require!();
    let lan = Lan::new(2);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, "use_vmac\n vmac_xmit_base"));
    let e = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, "use_vmac\n vmac_xmit_base"));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP) && !lan.hosts[1].has(VIP)), "{}", d.log());
    e.wait_log("master set to", seconds(5));
    assert_eq!(d.stop(), Some(0));
    assert!(eventually(seconds(5), || lan.hosts[1].has(VIP)), "{}", e.log());
}

/// Whichever link adverts go by: readers ask the JSON dump which link carries the addresses.
#[test]
fn the_json_dump_names_the_virtual_link_as_keepalived_s_does() {
    require!();
    let lan = Lan::new(1);
    for more in ["use_vmac\n vmac_xmit_base", "use_vmac", "vmac_xmit_base", ""] {
        let named = |kind| {
            let d = Daemon::start(&lan.hosts[0], kind, &conf(200, more));
            let there = || lan.hosts[0].has(VIP) && lan.hosts[0].has(VIP6);
            assert!(eventually(seconds(10), there), "{kind:?}: {}", d.log());
            // SIGRTMIN + 2
            let pid = d.pid_of("pid").expect("pid").to_string();
            std::process::Command::new("kill").args(["-36", &pid]).status().expect("kill");
            let names = || {
                let whole: serde_json::Value =
                    serde_json::from_slice(&std::fs::read(d.path("keepalived.json")).ok()?).ok()?;
                let of = |i: &serde_json::Value, key: &str| i["data"][key].as_str().unwrap_or("none").to_string();
                let all = whole.as_array()?.iter().map(|i| [of(i, "vmac_ifname"), of(i, "ifp_ifname")]);
                Some(all.collect::<Vec<_>>())
            };
            assert!(eventually(seconds(10), || names().is_some()), "{kind:?}: {}", d.log());
            let names = names().expect("names");
            assert_eq!(d.stop(), Some(0));
            names
        };
        let ours = named(Kind::Steadfast);
        let links =
            if more.starts_with("use_vmac") { ["vrrp.51", "vrrp6.51"].map(|l| [l, l]) } else { [["", "eth0"]; 2] };
        assert_eq!(ours, links, "{more}");
        if keepalived().is_some() {
            assert_eq!(ours, named(Kind::Keepalived), "{more}");
        } else {
            println!("SKIPPED: the JSON dump of keepalived: it is not installed");
        }
    }
}

#[test]
fn without_accept_mode_the_address_is_there_but_takes_no_packets() {
    require!();
    let lan = Lan::new(3);
    let (host, client) = (&lan.hosts[0], &lan.hosts[1]);
    for (globals, more) in [
        ("", "no_accept"),
        ("global_defs {\n nftables\n}\n", "no_accept\n use_vmac"),
        ("global_defs {\n nftables other\n}\n", "strict_mode on"),
        // What keepalived does by iptables is done by nftables, whatever it is asked for.
        (
            "namespace_with_ipsets\nglobal_defs {\n vrrp_iptables\n vrrp_ipsets one two three\n}\n",
            "no_accept\n debug 4",
        ),
    ] {
        let d = Daemon::start(host, Kind::Steadfast, &format!("{globals}{}", conf(200, more)));
        assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{more}: {}", d.log());
        client.ip("neigh flush all");
        assert!(!answers(client, VIP) && !answers(client, VIP6) && !answers(client, "fe80::77:100%eth0"), "{more}");
        // Address resolution goes on all the same (RFC 9568 section 6.1).
        for (address, mac) in [(VIP, "lladdr"), (VIP6, "lladdr")] {
            assert!(neighbour(client, address).contains(mac), "{more}: {}", neighbour(client, address));
        }
        assert!(answers(client, "10.77.0.1"), "{more}: other addresses answer");
        if Path::new("/usr/sbin/nft").exists() {
            host.command("/usr/sbin/nft").args(["flush", "ruleset"]).status().expect("nft");
            d.wait_log("putting it back", seconds(5));
            assert!(!answers(client, VIP) && !answers(client, VIP6), "{more}: blocked again");
        } else {
            println!("SKIPPED: flushing of the firewall: nft is not installed");
        }
        send(d.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
        d.wait_log("continuing in MASTER state", seconds(5));
        assert!(!answers(client, VIP) && !answers(client, VIP6), "{more}: blocked after the child's death");
        // Accepted after a reload.
        let accepting = more.replace("no_accept", "accept").replace("strict_mode on", "accept");
        d.reload(&format!("{globals}{}", conf(200, &accepting)));
        assert!(eventually(seconds(5), || answers(client, VIP) && answers(client, VIP6)), "{more}: {}", d.log());
        assert_eq!(d.stop(), Some(0));
        if Path::new("/usr/sbin/nft").exists() {
            let left = host.command("/usr/sbin/nft").args(["list", "tables"]).output().expect("nft");
            assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
        }
    }
}

/// Switches learn where the virtual MAC is from whoever speaks last.
#[test]
fn a_planned_stop_with_virtual_macs_costs_a_client_next_to_nothing() {
    require!();
    let lan = Lan::new(3);
    let text = |priority: u8| conf(priority, "use_vmac").replace("advert_int 0.2", "advert_int 1");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(200));
    assert!(eventually(seconds(15), || lan.hosts[0].has(VIP)), "{}", a.log());
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &text(100));
    b.wait_log("master set to", seconds(5));
    assert!(eventually(seconds(5), || answers(&lan.hosts[2], VIP)));
    let client = steadfast_test_cluster::client::Client::start(&lan.hosts[2], VIP.parse().expect("address"));
    assert_eq!(a.stop(), Some(0));
    assert!(eventually(seconds(10), || lan.hosts[1].has(VIP)), "{}", b.log());
    b.wait_log("Entering MASTER STATE", seconds(5));
    // The second announcement of those that follow a hand-over has had its time.
    assert!(eventually(seconds(5), || answers(&lan.hosts[2], VIP)));
    let asked = client.end();
    println!("planned stop with virtual MACs: the client lost {} of {} questions", asked.lost, asked.sent);
    assert!(asked.longest_gap < Duration::from_millis(300), "{asked:?}\n{}", b.log());
}

/// The instance would serve outside of the VRF that it belongs into.
#[test]
fn a_vrf_that_is_none_keeps_the_instance_in_fault() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link add other type bridge");
    host.ip("link set other up");
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, "use_vmac\n vrf other"));
    d.wait_log("entering FAULT state: other is not a VRF", seconds(10));
    assert!(!host.has(VIP) && !host.has(VIP6));
    d.reload(&conf(200, "use_vmac"));
    assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{}", d.log());
}

/// What a link belongs to is changed where it is, and a master that gets one is master meanwhile.
#[test]
fn reloads_of_virtual_links_cost_no_master() {
    require!();
    let lan = Lan::new(2);
    let (host, client) = (&lan.hosts[0], &lan.hosts[1]);
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, ""));
    assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{}", d.log());
    d.reload(&conf(200, "use_vmac"));
    let moved = || answers(client, VIP) && neighbour(client, VIP).contains("00:00:5e:00:01:33");
    assert!(eventually(seconds(10), moved), "{}\n{}", neighbour(client, VIP), d.log());
    let index = || host.show("-o link show dev vrrp.51").split(':').next().map(str::to_string);
    let before = index();
    for (more, shown) in [("use_vmac group 7", "group 7"), ("use_vmac", "group default")] {
        d.reload(&conf(200, more));
        let is_so = || host.show("-d link show dev vrrp.51").contains(shown);
        assert!(eventually(seconds(10), is_so), "{more}: {}\n{}", host.show("-d link show dev vrrp.51"), d.log());
        assert!(host.has(VIP) && host.has(VIP6), "{more}: {}", d.log());
    }
    assert_eq!(index(), before, "the link is the same");
    assert!(eventually(seconds(10), || answers(client, VIP)), "{}", d.log());
    assert!(!d.log().contains("FAULT"), "{}", d.log());
}

/// RFC 9568 section 7.2: the virtual MAC is the source of adverts. vmac_xmit_base, and unicast, go by the base link.
#[test]
fn adverts_carry_the_virtual_mac_unless_they_leave_by_the_base() {
    require!();
    let lan = Lan::new(2);
    let (host, ear) = (&lan.hosts[0], &lan.hosts[1]);
    let shown = host.show("-o link show dev eth0");
    let base = shown.split("link/ether ").nth(1).and_then(|t| t.split(' ').next()).expect("mac").to_string();
    let virtual_macs = ["00:00:5e:00:01:33", "00:00:5e:00:02:33"].map(String::from);
    let of_base = [base.clone(), base.clone()];
    let unicast = |six: bool| {
        let peer = if six { "fd77::2" } else { "10.77.0.2" };
        let own = if six { "fd77::1" } else { "10.77.0.1" };
        format!("unicast_src_ip {own}\n unicast_peer {{\n {peer}\n }}")
    };
    for (more, by_peer, adverts, announced) in [
        ("use_vmac", false, &virtual_macs, &virtual_macs),
        ("use_vmac\n vmac_xmit_base", false, &of_base, &virtual_macs),
        ("use_vmac", true, &of_base, &virtual_macs),
        ("", false, &of_base, &of_base),
    ] {
        let text = conf(200, more);
        let text = match by_peer {
            true => {
                let (four, six) = text.split_once("vrrp_instance V6").expect("two");
                let with = |t: &str, six| t.replacen(more, &format!("{more}\n {}", unicast(six)), 1);
                format!("{}vrrp_instance V6{}", with(four, false), with(six, true))
            }
            false => text,
        };
        let end = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let log = format!("{more} {by_peer}");
        let ended = end.clone();
        let heard = ear.inside(move || wire::frames(seconds(60), || ended.load(Ordering::Relaxed)));
        {
            let d = Daemon::start(host, Kind::Steadfast, &text);
            assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{}", d.log());
            std::thread::sleep(Duration::from_secs(1));
            assert_eq!(d.stop(), Some(0));
        }
        end.store(true, Ordering::Relaxed);
        let frames = heard.join().expect("ear");
        let mac = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
        let sources = |wanted: &dyn Fn(&[u8]) -> Option<Vec<u8>>| -> Vec<String> {
            let mut all: Vec<String> = frames.iter().filter_map(|(_, f)| wanted(f)).map(|m| mac(&m)).collect();
            all.sort();
            all.dedup();
            all
        };
        // Adverts, each with protocol 112; gratuitous ARP (the sender in frame and text), unsolicited neighbour advertisements.
        let four = |f: &[u8]| (f.get(12..14)? == [8, 0] && f.get(23)? == &112).then(|| f[6..12].to_vec());
        let six = |f: &[u8]| (f.get(12..14)? == [0x86, 0xdd] && f.get(20)? == &112).then(|| f[6..12].to_vec());
        let arp = |f: &[u8]| {
            let own =
                f.get(12..14)? == [8, 6] && f.get(28..32)? == [10, 77, 0, 100] && f.get(38..42)? == [10, 77, 0, 100];
            own.then(|| f.get(22..28).map(<[u8]>::to_vec))?
        };
        let neighbour = |f: &[u8]| {
            let advertisement = f.get(12..14)? == [0x86, 0xdd] && f.get(20)? == &58 && f.get(54)? == &136;
            // Of the virtual address, which ends in 1:00; the link's address is in the option behind it.
            let own = advertisement && f.get(62..64)? == [0xfd, 0x77] && f.get(76..78)? == [1, 0];
            own.then(|| f.get(80..86).map(<[u8]>::to_vec))?
        };
        assert_eq!(sources(&four), [adverts[0].clone()], "{log}");
        assert_eq!(sources(&six), [adverts[1].clone()], "{log}");
        assert_eq!(sources(&arp), [announced[0].clone()], "{log}");
        assert_eq!(sources(&neighbour), [announced[1].clone()], "{log}");
    }
}

fn put(host: &Host, path: &str, value: &'static str) {
    let path = format!("/proc/sys/net/{path}");
    host.inside(move || std::fs::write(path, value).expect("setting")).join().expect("thread");
}

fn get(host: &Host, path: &str) -> String {
    let path = format!("/proc/sys/net/{path}");
    let out = host.inside(move || std::fs::read_to_string(path).unwrap_or_default());
    out.join().expect("thread").trim().to_string()
}

#[test]
fn settings_of_the_kernel_are_changed_for_virtual_links_and_put_back() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    // What a distribution may have set, each of it another value than ours.
    let before = [
        ("ipv4/conf/eth0/arp_ignore", "0", "1"),
        ("ipv4/conf/eth0/arp_filter", "0", "1"),
        ("ipv4/conf/eth0/arp_announce", "1", "2"),
        // The greater of the common value and a link's own holds, and the virtual link needs 0: the others get the common one.
        ("ipv4/conf/all/rp_filter", "2", "0"),
        ("ipv4/conf/eth0/rp_filter", "1", "2"),
        ("ipv4/conf/lo/rp_filter", "0", "2"),
    ];
    before.iter().for_each(|(path, value, _)| put(host, path, value));
    let changed = || before.iter().all(|(path, _, value)| get(host, path) == *value);
    let restored = || before.iter().all(|(path, value, _)| get(host, path) == *value);
    let all = || before.map(|(path, ..)| (path, get(host, path)));
    let text = conf(200, "use_vmac");
    let d = Daemon::start(host, Kind::Steadfast, &text);
    assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{}", d.log());
    assert!(changed(), "{:?}\n{}", all(), d.log());
    for (path, value) in [
        ("ipv4/conf/vrrp.51/arp_ignore", "1"),
        ("ipv4/conf/vrrp.51/accept_local", "1"),
        ("ipv4/conf/vrrp.51/rp_filter", "0"),
        ("ipv4/conf/vrrp.51/promote_secondaries", "1"),
        ("ipv6/conf/vrrp.51/disable_ipv6", "1"),
        ("ipv6/conf/vrrp6.51/disable_ipv6", "0"),
        ("ipv6/conf/vrrp6.51/addr_gen_mode", "1"),
        ("ipv4/conf/vrrp6.51/arp_ignore", "8"),
    ] {
        assert_eq!(get(host, path), value, "{path}");
    }
    // A child that was killed is no reason to take our values for the host's own.
    send(d.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    d.wait_log("continuing in MASTER state", seconds(5));
    assert!(changed(), "{:?}\n{}", all(), d.log());
    // Without virtual links nothing is needed any more. What it is put back by comes when a reload has settled.
    d.reload(&conf(200, ""));
    assert!(
        eventually(seconds(40), || host.show("addr show dev eth0").contains(VIP) && restored()),
        "{:?}\n{}",
        all(),
        d.log()
    );
    d.reload(&text);
    assert!(
        eventually(seconds(5), || host.show("addr show dev vrrp.51").contains(VIP) && changed()),
        "{:?}\n{}",
        all(),
        d.log()
    );
    assert_eq!(d.stop(), Some(0));
    assert!(restored(), "{:?}", all());
    // Without a virtual link the removal of an address must leave those beside it, where that is asked for.
    let promotes = || get(host, "ipv4/conf/eth0/promote_secondaries");
    put(host, "ipv4/conf/eth0/promote_secondaries", "0");
    let d = Daemon::start(host, Kind::Steadfast, &conf(200, "promote_secondaries"));
    assert!(eventually(seconds(10), || host.has(VIP)), "{}", d.log());
    assert_eq!(promotes(), "1");
    assert_eq!(d.stop(), Some(0));
    assert_eq!(promotes(), "0");
}

#[test]
fn a_bridge_may_be_the_base_of_virtual_links() {
    require!();
    let lan = Lan::new(3);
    for host in &lan.hosts[..2] {
        let n = host.number;
        host.ip("link add br0 type bridge");
        host.ip("link set eth0 master br0");
        host.ip(&format!("addr del 10.77.0.{n}/24 dev eth0"));
        host.ip(&format!("addr add 10.77.0.{n}/24 dev br0"));
        host.ip("link set br0 up");
    }
    let text = |priority: u8| conf(priority, "use_vmac").replace("interface eth0", "interface br0");
    let (a, b, client) = (&lan.hosts[0], &lan.hosts[1], &lan.hosts[2]);
    let d = Daemon::start(a, Kind::Steadfast, &text(200));
    let e = Daemon::start(b, Kind::Steadfast, &text(100));
    let serves = |one: &Host, other: &Host| one.has(VIP) && one.has(VIP6) && !other.has(VIP) && !other.has(VIP6);
    assert!(eventually(seconds(15), || serves(a, b)), "{}", d.log());
    e.wait_log("master set to", seconds(10));
    for _ in 0..2 {
        assert!(eventually(seconds(5), || answers(client, VIP) && answers(client, VIP6)), "{}", d.log());
        assert!(neighbour(client, VIP).contains("00:00:5e:00:01:33"), "{}", neighbour(client, VIP));
        assert!(neighbour(client, VIP6).contains("00:00:5e:00:02:33"), "{}", neighbour(client, VIP6));
        if serves(a, b) {
            d.signal(Signal::SIGTERM);
            assert!(eventually(seconds(10), || serves(b, a)), "{}", e.log());
        }
    }
}

#[test]
fn a_link_of_the_name_is_adopted_made_anew_or_left_alone() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let text = conf(200, "use_vmac");
    let index = || host.show("-o link show dev vrrp.51").split(':').next().unwrap_or_default().to_string();
    let serves = || host.show("addr show dev vrrp.51").contains(VIP);
    let made = |mac: &str| {
        host.ip(&format!("link add vrrp.51 link eth0 address {mac} type macvlan mode private"));
        index()
    };
    // As it should be.
    let there = made("00:00:5e:00:01:33");
    let d = Daemon::start(host, Kind::Steadfast, &text);
    assert!(eventually(seconds(10), serves), "{}", d.log());
    assert_eq!(index(), there);
    assert_eq!(d.stop(), Some(0));
    assert_eq!(index(), "");
    // Of another MAC.
    let there = made("00:00:5e:00:01:34");
    let d = Daemon::start(host, Kind::Steadfast, &text);
    d.wait_log("vrrp.51 is not as it should be, making it anew", seconds(5));
    assert!(eventually(seconds(10), serves), "{}", d.log());
    assert!(host.show("link show dev vrrp.51").contains("00:00:5e:00:01:33") && index() != there);
    assert!(!d.log().contains("removed by somebody"), "that was us: {}", d.log());
    // Somebody else does it.
    host.ip("link del vrrp.51");
    d.wait_log("link vrrp.51 on eth0 with 00:00:5e:00:01:33 was removed by somebody; putting it back", seconds(5));
    assert!(eventually(seconds(10), serves), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert_eq!(index(), "");
    // Somebody's link of another kind is somebody's, whoever gave ours its name.
    host.ip("link add vrrp.51 type bridge");
    let there = index();
    for more in ["use_vmac", "use_vmac vrrp.51"] {
        let d = Daemon::start(host, Kind::Steadfast, &conf(200, more));
        assert!(eventually(seconds(10), || host.has(VIP) && host.has(VIP6)), "{}", d.log());
        assert!(host.show("addr show dev vrrp1.51").contains(VIP), "{}", d.log());
        // The same one after a reload.
        d.reload(&conf(199, more));
        assert!(host.show("addr show dev vrrp1.51").contains(VIP), "{}", d.log());
        assert_eq!(d.stop(), Some(0));
        assert_eq!(index(), there);
    }
}

#[test]
fn an_address_of_an_instance_without_a_virtual_link_may_have_one() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let text = format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority 255\n virtual_ipaddress {{\n {VIP}/24 use_vmac\n 10.77.0.101/24\n }}\n}}\n"
    );
    let d = Daemon::start(host, Kind::Steadfast, &text);
    let on = |link: &str, address: &str| host.show(&format!("addr show dev {link}")).contains(address);
    assert!(eventually(seconds(10), || on("vrrp.51", VIP) && on("eth0", "10.77.0.101")), "{}", d.log());
    assert!(!on("eth0", VIP) && host.show("link show dev vrrp.51").contains("00:00:5e:00:01:33"));
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_virtual_link_keeps_its_hardware_address() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = Daemon::start(host, Kind::Steadfast, &conf(255, "use_vmac"));
    let has = |mac: &str| host.show("link show dev vrrp.51").contains(mac);
    assert!(eventually(seconds(10), || host.has(VIP) && has("00:00:5e:00:01:33")), "{}", d.log());
    host.ip("link set dev vrrp.51 address 02:00:00:00:00:07");
    d.wait_log(
        "vrrp.51 was given the address 02:00:00:00:00:07 by somebody; putting 00:00:5e:00:01:33 back",
        seconds(5),
    );
    assert!(eventually(seconds(5), || has("00:00:5e:00:01:33")), "{}", d.log());
    assert!(host.has(VIP), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}
