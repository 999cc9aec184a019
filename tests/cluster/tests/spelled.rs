//! Words that say what goes over the wire and into the kernel, as another host and `ip` see it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

fn conf(globals: &str, more: &str, addresses: &str) -> String {
    format!(
        "global_defs {{\n{globals}\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 255\n state MASTER\n advert_int \
         1\n{more}\n{addresses}\n}}\n"
    )
}

fn four() -> String {
    format!("virtual_ipaddress {{\n {VIP}/24\n }}")
}

/// Frames that a host hears while something happens.
fn heard(host: &Host, what: impl FnOnce()) -> Vec<(Duration, Vec<u8>)> {
    let (end, listens) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (ended, ready) = (end.clone(), listens.clone());
    // It asks whether it is over once it has its socket.
    let over = move || {
        ready.store(true, Ordering::Relaxed);
        ended.load(Ordering::Relaxed)
    };
    let ear = host.inside(move || wire::frames(Duration::from_secs(60), over));
    assert!(eventually(SOON, || listens.load(Ordering::Relaxed)));
    what();
    end.store(true, Ordering::Relaxed);
    ear.join().expect("ear")
}

/// An advert on the wire.
#[derive(Debug)]
struct Advert {
    from: IpAddr,
    to: IpAddr,
    hops: u8,
    message: Vec<u8>,
}

fn advert(frame: &[u8]) -> Option<Advert> {
    let packet = frame.get(14..)?;
    let v4 = |at: usize| Some(IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?)));
    let v6 = |at: usize| Some(IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?)));
    match (frame.get(12..14)?, packet.first()? >> 4) {
        ([8, 0], 4) if packet.get(9)? == &112 => {
            let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
            let message = packet.get(20..length)?.to_vec();
            Some(Advert { from: v4(12)?, to: v4(16)?, hops: *packet.get(8)?, message })
        }
        ([0x86, 0xdd], 6) if packet.get(6)? == &112 => {
            let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
            let message = packet.get(40..40 + length)?.to_vec();
            Some(Advert { from: v6(8)?, to: v6(24)?, hops: *packet.get(7)?, message })
        }
        _ => None,
    }
}

/// The sum of RFC 1071 over the message alone is right.
fn sums_up_alone(message: &[u8]) -> bool {
    let sum: u32 = message.chunks(2).map(|c| u32::from(c[0]) << 8 | c.get(1).map_or(0, |b| u32::from(*b))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    (folded & 0xffff) + (folded >> 16) == 0xffff
}

/// Of an advert: what must hold.
type Holds = fn(&Advert) -> bool;

#[test]
fn adverts_are_as_the_words_say() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    host.ip("addr add 10.77.0.7/24 dev eth0");
    let peer = "unicast_peer {\n 10.77.0.2\n }";
    let six = "virtual_ipaddress_excluded {\n fd77::100/64\n }";
    let cases: &[(&str, &str, String, Holds)] = &[
        ("", "", four(), |a| a.to.to_string() == "224.0.0.18" && a.hops == 255 && a.message[0] >> 4 == 2),
        ("", "", four(), |a| a.from.to_string() == "10.77.0.1" && a.message[3] == 1 && sums_up_alone(&a.message)),
        ("vrrp_mcast_group4 224.0.0.99", "", four(), |a| a.to.to_string() == "224.0.0.99"),
        ("vrrp_mcast_group4 224.0.0.99", "mcast_dst_ip 224.0.0.98", four(), |a| a.to.to_string() == "224.0.0.98"),
        ("", "mcast_src_ip 10.77.0.7", four(), |a| a.from.to_string() == "10.77.0.7"),
        ("", &format!("{peer}\n unicast_ttl 77"), four(), |a| a.to.to_string() == "10.77.0.2" && a.hops == 77),
        ("", peer, four(), |a| a.to.to_string() == "10.77.0.2" && a.hops == 255),
        ("vrrp_version 3", "", four(), |a| a.message[0] >> 4 == 3 && !sums_up_alone(&a.message)),
        ("vrrp_version 3", "v3_checksum_as_v2", four(), |a| a.message[0] >> 4 == 3 && sums_up_alone(&a.message)),
        ("vrrp_version 2", "no_virtual_ipaddress", String::new(), |a| a.message[3] == 0),
        ("", "native_ipv6\n no_virtual_ipaddress", six.into(), |a| {
            a.to.to_string() == "ff02::12" && a.message[0] >> 4 == 3
        }),
        ("vrrp_mcast_group6 ff02::99", "native_ipv6\n no_virtual_ipaddress", six.into(), |a| {
            a.to.to_string() == "ff02::99"
        }),
    ];
    for (globals, more, addresses, holds) in cases {
        let mut log = String::new();
        let frames = heard(&lan.hosts[1], || {
            let d = Daemon::start(host, Kind::Steadfast, &conf(globals, more, addresses));
            d.wait_log("Entering MASTER STATE", SOON);
            std::thread::sleep(Duration::from_millis(300));
            log = d.log();
            assert_eq!(d.stop(), Some(0), "{log}");
        });
        let adverts: Vec<Advert> = frames.iter().filter_map(|(_, f)| advert(f)).collect();
        assert!(!adverts.is_empty() && adverts.iter().all(holds), "{globals} {more}: {adverts:?}\n{log}");
    }
}

#[test]
fn announcements_come_as_often_and_as_late_as_the_words_say() {
    require!();
    let lan = Lan::new(2);
    // For each: how many at once, and how many some time after that.
    for (globals, more, bursts, tenths) in [
        ("", "garp_master_delay 1\n garp_master_repeat 2", [2, 2], 22),
        ("vrrp_garp_master_delay 1\n vrrp_garp_master_repeat 3", "", [3, 3], 22),
        ("vrrp_garp_master_delay 1", "garp_master_delay 0", [5, 0], 22),
        // Five more after five seconds without the word.
        ("vrrp_min_garp", "", [1, 0], 62),
    ] {
        let seen = {
            let end = Arc::new(AtomicBool::new(false));
            let ended = end.clone();
            let ear = lan.hosts[1]
                .inside(move || wire::gratuitous(Duration::from_secs(60), || ended.load(Ordering::Relaxed)));
            let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(globals, more, &four()));
            d.wait_log("Entering MASTER STATE", SOON);
            std::thread::sleep(Duration::from_millis(tenths * 100));
            assert_eq!(d.stop(), Some(0));
            end.store(true, Ordering::Relaxed);
            ear.join().expect("ear")
        };
        let first = seen.first().map(|s| s.0).unwrap_or_default();
        let late = seen.iter().filter(|s| s.0 - first > Duration::from_millis(700)).count();
        assert_eq!([seen.len() - late, late], bursts, "{globals} {more}: {seen:?}");
    }
}

#[test]
fn a_backup_waits_for_as_many_adverts_as_it_is_told() {
    require!();
    for (globals, more) in [("vrrp_down_timer_adverts 10", ""), ("", "down_timer_adverts 10")] {
        let lan = Lan::new(3);
        let text = |priority: u8, globals: &str, more: &str| {
            conf(globals, more, &four()).replace(
                "priority 255\n state MASTER\n advert_int 1",
                &format!("version 3\n priority {priority}\n advert_int 0.2"),
            )
        };
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(200, "", ""));
        assert!(eventually(SOON, || lan.hosts[0].has(VIP)), "{}", a.log());
        let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &text(100, globals, more));
        b.wait_log("master set to", SOON);
        let index = lan.hosts[2].show("-o link show dev eth0");
        let index: u32 = index.split(':').next().and_then(|n| n.trim().parse().ok()).expect("index");
        let ear = lan.hosts[2].inside(move || wire::observe(index, Duration::from_secs(5)));
        std::thread::sleep(Duration::from_millis(500));
        a.crash();
        let seen = ear.join().expect("ear");
        let first = seen.iter().position(|s| s.priority == 100).expect("takeover");
        let silence = seen[first].at - seen[first - 1].at;
        // Ten intervals and a skew instead of three.
        let bounds = Duration::from_millis(2000)..Duration::from_millis(2800);
        assert!(bounds.contains(&silence), "{globals}{more}: {silence:?}\n{}", b.log());
    }
}

/// Every option, one at a time, and what `ip` says of it.
#[test]
fn options_of_addresses_reach_the_kernel() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let cases = [
        ("10.99.0.1/24 broadcast +", "brd 10.99.0.255"),
        ("10.99.0.1/24 brd 10.99.0.77", "brd 10.99.0.77"),
        ("10.99.0.1 peer 10.99.0.9/32", "inet 10.99.0.1 peer 10.99.0.9/32"),
        ("fd99::1/64 home", "home"),
        ("fd99::1/64 mngtmpaddr", "mngtmpaddr"),
        ("fd99::1/64 noprefixroute", "noprefixroute"),
        ("10.99.0.1/24 noprefixroute", "noprefixroute"),
        ("239.9.9.9/32 autojoin", "autojoin"),
        ("fd99::1/64 preferred_lft 7777", "preferred_lft 7"),
        ("fd99::1/64", "nodad"),
        ("fd99::1/64 -nodad", "nodad"),
    ];
    for (line, shown) in cases {
        let text = format!("{}static_ipaddress {{\n {line} dev eth0\n}}\n", conf("", "", &four()));
        let d = Daemon::start(host, Kind::Steadfast, &text);
        let address = line.split(['/', ' ']).next().expect("address");
        let of = || {
            let all = host.show("-d -o addr show dev eth0");
            all.lines().find(|l| l.contains(&format!(" {address}"))).unwrap_or_default().to_string()
        };
        assert!(eventually(SOON, || of().contains(shown)), "{line}: {}\n{}", of(), d.log());
        assert_eq!(d.stop(), Some(0));
        assert_eq!(of(), "", "{line}");
    }
}

/// Other spellings, and places among routes of the same key.
#[test]
fn spellings_of_routes_and_rules_mean_what_the_plain_ones_do() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let vrf = host.command("ip").args(["link", "add", "red", "type", "vrf", "table", "77"]).output();
    let vrf = vrf.is_ok_and(|o| o.status.success());
    let routes = [
        ("10.99.0.0/24 via inet 10.77.0.9 dev eth0", "10.99.0.0/24 via 10.77.0.9 dev eth0"),
        ("to 10.99.0.0/24 dev eth0", "10.99.0.0/24 dev eth0"),
        // For MPLS only: it is reported, and the route is there without it.
        ("10.99.0.0/24 via 10.77.0.9 dev eth0 as to 10.77.0.7", "10.99.0.0/24 via 10.77.0.9 dev eth0"),
        ("10.99.0.0/24 dev eth0 gw 10.77.0.9", "10.99.0.0/24 via 10.77.0.9 dev eth0"),
        ("10.99.0.0/24 dev eth0 dsfield 8", "10.99.0.0/24 tos 0x08 dev eth0"),
        ("10.99.0.0/24 dev eth0 priority 7", "metric 7"),
        ("10.99.0.0/24 dev eth0 preference 7", "metric 7"),
        ("10.99.0.0/24 oif eth0", "10.99.0.0/24 dev eth0"),
        ("10.99.0.0/24 dev eth0 vrf red", "10.99.0.0/24 dev eth0 table red"),
    ];
    for (line, shown) in routes {
        if line.contains("vrf") && !vrf {
            println!("SKIPPED: {line}: this kernel makes no VRF");
            continue;
        }
        let d =
            Daemon::start(host, Kind::Steadfast, &format!("{}static_routes {{\n {line}\n}}\n", conf("", "", &four())));
        let of = || {
            let all = host.show("route show table all");
            all.lines().find(|l| l.contains("10.99.0.0/24")).unwrap_or_default().to_string()
        };
        assert!(eventually(SOON, || of().contains(shown)), "{line}: {}\n{}", of(), d.log());
        assert_eq!(d.stop(), Some(0));
        assert_eq!(of(), "", "{line}");
    }
    let rules = [
        ("inet table 5 preference 9", "9:\tfrom all lookup 5"),
        ("from 10.99.0.0/24 lookup 7 preference 9", "9:\tfrom 10.99.0.0/24 lookup 7"),
        ("from 10.99.0.0/24 table 5 order 7", "7:\tfrom 10.99.0.0/24 lookup 5"),
        ("from 10.99.0.0/24 table 5 priority 7", "7:\tfrom 10.99.0.0/24 lookup 5"),
        ("from 10.99.0.0/24 dsfield 8 table 5 preference 9", "tos 0x08 lookup 5"),
        ("dev eth0 table 5 preference 9", "9:\tfrom all iif eth0 lookup 5"),
    ];
    for (line, shown) in rules {
        let d =
            Daemon::start(host, Kind::Steadfast, &format!("{}static_rules {{\n {line}\n}}\n", conf("", "", &four())));
        let of = || host.show("rule show");
        assert!(eventually(SOON, || of().contains(shown)), "{line}: {}\n{}", of(), d.log());
        assert_eq!(d.stop(), Some(0));
        assert!(!of().contains(shown), "{line}");
    }
    // Beside one that is there: before it, behind it, or, with `add`, not at all.
    host.ip("route add 10.99.0.0/24 via 10.77.0.8");
    let gateways = || {
        let all = host.show("route show 10.99.0.0/24");
        all.split_whitespace().filter_map(|w| w.strip_prefix("10.77.0.")).map(str::to_string).collect::<Vec<_>>()
    };
    for (word, there) in [("prepend", vec!["9", "8"]), ("append", vec!["8", "9"]), ("add", vec!["8"])] {
        let line = format!("{word} 10.99.0.0/24 via 10.77.0.9 dev eth0 no_track");
        let d =
            Daemon::start(host, Kind::Steadfast, &format!("{}static_routes {{\n {line}\n}}\n", conf("", "", &four())));
        assert!(eventually(SOON, || host.has(VIP) && gateways() == there), "{line}: {:?}\n{}", gateways(), d.log());
        assert_eq!(d.stop(), Some(0));
        assert_eq!(gateways(), ["8"], "{line}");
    }
}
