//! What a real kernel said (Linux 6.1, recorded by tests/vm/record.py), read by this codec.

use std::net::IpAddr;
use steadfast_core::Family;
use steadfast_core::ipvs::{Checksum, DestinationKey, Forward, Granularity, Persistence, Protocol, ServiceKey, Tunnel};
use steadfast_ipvs::wire::{Part, decode};
use steadfast_ipvs::{Daemon, DaemonState, Reply, Timeouts};

/// The replies to one question.
fn replies(question: &str) -> Vec<Reply> {
    recorded(include_str!("fixtures/linux-6.1.txt"), question)
}

fn recorded(recording: &str, question: &str) -> Vec<Reply> {
    let line = recording.lines().find_map(|l| l.strip_prefix(question)?.strip_prefix(' ')).expect("a recorded answer");
    let (family, hex) = line.split_once(' ').expect("two words");
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    let bytes: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
    let parts = decode(&bytes, family.parse().expect("number")).expect("well formed");
    let messages = parts.into_iter().filter_map(|(_, p)| if let Part::Message(m) = p { Some(m) } else { None });
    messages.map(|m| Reply::read(&m, Family::V4).expect("a reply")).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

#[test]
fn services() {
    let mut all = Vec::new();
    for r in replies("services") {
        let Reply::Service(s) = r else { panic!("{r:?}") };
        all.push((s.key, s.service));
    }
    assert_eq!(all.len(), 4, "{all:?}");
    let of = |key: ServiceKey| all.iter().find(|(k, _)| *k == key).map(|(_, s)| s.clone()).expect("service");
    let http = of(ServiceKey::Address { address: ip("10.1.0.100"), port: 80, protocol: Protocol::Tcp });
    assert_eq!(http.scheduler, "wlc");
    assert_eq!(http.persistence, Some(Persistence { timeout: 50, granularity: Some(Granularity::Mask(0xffff_ff00)) }));
    let dns = of(ServiceKey::Address { address: ip("fd00::1"), port: 53, protocol: Protocol::Udp });
    assert_eq!((dns.scheduler.as_str(), dns.scheduler_flags, dns.one_packet), ("sh", 3, true));
    let mark = of(ServiceKey::Mark { mark: 7, family: Family::V4 });
    assert_eq!((mark.scheduler.as_str(), mark.scheduler_flags), ("mh", 2));
    let sip = of(ServiceKey::Address { address: ip("10.1.0.100"), port: 5060, protocol: Protocol::Udp });
    assert_eq!(sip.engine.as_deref(), Some("sip"));
}

/// A table of both families: the granularity of IPv6 is the length of a prefix, in the byte order of the host.
#[cfg(target_endian = "little")]
#[test]
fn both_families() {
    let all = recorded(include_str!("fixtures/linux-6.1-families.txt"), "services");
    let seen: Vec<String> = all
        .iter()
        .map(|r| {
            let Reply::Service(s) = r else { panic!("{r:?}") };
            let sticky = s.service.persistence.map(|p| format!(" {} {:?}", p.timeout, p.granularity));
            format!("{} {}{}", s.key.exact(), s.service.scheduler, sticky.unwrap_or_default())
        })
        .collect();
    let wanted = [
        "[192.0.2.1]:udp:53 mh",
        "[2001:db8::1]:tcp:443 wlc 60 Some(Prefix(64))",
        "[192.0.2.1]:tcp:80 wrr 300 Some(Mask(4294967040))",
        "[192.0.2.2]:sctp:0 wlc 60 None",
        "[192.0.2.3]:udp:5060 wlc 60 None",
        "FWM 7 V6 sh",
        "FWM 7 V4 rr",
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn destinations() {
    let mut all = Vec::new();
    for r in replies("destinations") {
        let Reply::Destination(d) = r else { panic!("{r:?}") };
        all.push((d.key, d.destination));
    }
    let of = |address: &str, port| {
        let key = DestinationKey { address: ip(address), port };
        all.iter().find(|(k, _)| *k == key).map(|(_, d)| *d).expect("destination")
    };
    let nat = of("10.2.0.1", 8080);
    assert_eq!((nat.forward, nat.weight, nat.upper, nat.lower), (Forward::Nat, 3, 100, 50));
    let direct = of("10.2.0.2", 80);
    assert_eq!((direct.forward, direct.weight), (Forward::Direct, 0));
    let gue = Forward::Tunnel(Tunnel::Gue { port: 6080, checksum: Checksum::Remote });
    assert_eq!(of("10.2.0.3", 80).forward, gue);
}

#[test]
fn daemons_and_settings() {
    let daemons = replies("daemons");
    let [Reply::Daemon(Daemon { state: DaemonState::Master, interface, id: 5, .. })] = daemons.as_slice() else {
        panic!("{daemons:?}")
    };
    assert_eq!(interface, "lo");
    assert_eq!(replies("timeouts"), [Reply::Timeouts(Timeouts { tcp: 900, tcp_fin: 120, udp: 300 })]);
    assert!(matches!(replies("info").as_slice(), [Reply::Info(i)] if i.version == 0x010201 && i.table_size == 4096));
}
