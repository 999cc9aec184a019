//! What a real kernel answered.

use std::collections::BTreeSet;
use steadfast_core::Family;
use steadfast_core::ipvs::*;
use steadfast_ipvs::wire::{Part, decode};
use steadfast_ipvs::*;

const RECORD: &str = include_str!("recorded/linux-6.1.txt");

fn at(address: &str, port: u16, protocol: Protocol) -> ServiceKey {
    ServiceKey::Address { address: address.parse().unwrap(), port, protocol }
}

fn to(address: &str, port: u16) -> DestinationKey {
    DestinationKey { address: address.parse().unwrap(), port }
}

fn by(forward: Forward, weight: u32) -> Destination {
    Destination { forward, weight, upper: 0, lower: 0 }
}

/// The table that was set before the dumps were taken.
fn wanted() -> Table {
    let plain = Service::default();
    let sticky = |timeout, granularity| Some(Persistence { timeout, granularity });
    let gue = |port, checksum| Forward::Tunnel(Tunnel::Gue { port, checksum });
    let mut table = Table::new();
    table.insert(
        at("192.0.2.1", 80, Protocol::Tcp),
        Service { scheduler: "wrr".into(), persistence: sticky(300, Some(24)), ..plain.clone() },
        [
            (to("10.0.0.1", 80), Destination { forward: Forward::Nat, weight: 3, upper: 100, lower: 50 }),
            (to("10.0.0.2", 80), by(Forward::Direct, 0)),
        ],
    );
    table.insert(
        at("192.0.2.1", 53, Protocol::Udp),
        Service { scheduler: "mh".into(), scheduler_flags: 3, one_packet: true, ..plain.clone() },
        [(to("10.0.0.3", 53), by(Forward::Nat, 1))],
    );
    table.insert(at("192.0.2.2", 0, Protocol::Sctp), Service { persistence: sticky(60, None), ..plain.clone() }, []);
    table.insert(
        at("192.0.2.3", 5060, Protocol::Udp),
        Service { persistence: sticky(60, None), engine: Some("sip".into()), ..plain.clone() },
        [],
    );
    table.insert(
        at("2001:db8::1", 443, Protocol::Tcp),
        Service { persistence: sticky(60, Some(64)), ..plain.clone() },
        [(to("2001:db8::a", 443), by(Forward::Nat, 2)), (to("10.0.0.9", 443), by(Forward::Tunnel(Tunnel::Ipip), 2))],
    );
    table.insert(
        ServiceKey::Mark { mark: 7, family: Family::V4 },
        Service { scheduler: "rr".into(), ..plain.clone() },
        [
            (to("10.0.0.4", 0), by(gue(6080, Checksum::Remote), i32::MAX as u32)),
            (to("10.0.0.5", 0), by(Forward::Tunnel(Tunnel::Gre { checksum: Checksum::Full }), 1)),
            (to("10.0.0.6", 0), by(gue(6081, Checksum::None), 1)),
        ],
    );
    table.insert(
        ServiceKey::Mark { mark: 7, family: Family::V6 },
        Service { scheduler: "sh".into(), scheduler_flags: 2, ..plain },
        [],
    );
    table
}

/// The replies under this name, one list for each dump; each must end as dumps end.
fn replies(name: &str, families: impl IntoIterator<Item = Family>) -> Vec<Vec<Reply>> {
    let mut families = families.into_iter();
    let lines = RECORD.lines().filter_map(|l| l.split_once(' ').filter(|(n, _)| *n == name));
    lines
        .map(|(_, hex)| {
            let family = families.next().unwrap_or(Family::V4);
            let bytes: Vec<u8> =
                (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
            let parts = decode(&bytes, 0x1d).unwrap();
            assert!(matches!(parts.last(), Some((_, Part::Done(0) | Part::Ack(0)))), "{name}: {parts:?}");
            let messages = parts.iter().filter_map(|(_, part)| match part {
                Part::Message(message) => Some(Reply::read(message, family).expect("understood")),
                _ => None,
            });
            messages.collect()
        })
        .collect()
}

/// The kernel's dump is the table that was set: a checker that starts anew beside it finds nothing to do.
#[test]
fn the_kernel_says_what_was_set() {
    let wanted = wanted();
    let mut kernel = Table::new();
    for reply in replies("services", []).remove(0) {
        let Reply::Service(s) = reply else { panic!("{reply:?}") };
        kernel.insert(s.key, s.service, []);
    }
    let dumps = replies("dests", wanted.iter().map(|(key, _)| key.family()));
    assert_eq!(dumps.len(), wanted.len());
    for ((key, _), dump) in wanted.iter().zip(dumps) {
        for reply in dump {
            let Reply::Destination(d) = reply else { panic!("{reply:?}") };
            assert!(kernel.insert_destination(key, d.key, d.destination));
        }
    }
    assert_eq!(kernel, wanted);
    assert_eq!(difference(&kernel, &wanted, &BTreeSet::new()), []);
}

#[test]
fn daemons_limits_and_versions() {
    let daemons = replies("daemons", []).remove(0);
    let daemon = |state, id, max_length, group: &str, port, ttl| {
        Reply::Daemon(Daemon {
            state,
            interface: "v0".into(),
            id,
            max_length: Some(max_length),
            group: Some(group.parse().unwrap()),
            port: Some(port),
            ttl: Some(ttl),
        })
    };
    assert_eq!(
        daemons,
        [
            daemon(DaemonState::Master, 5, 1400, "224.0.0.82", 8850, 2),
            daemon(DaemonState::Backup, 6, 1472, "224.0.0.81", 8848, 1),
        ]
    );
    assert_eq!(replies("timeouts", [])[0], [Reply::Timeouts(Timeouts { tcp: 600, tcp_fin: 120, udp: 77 })]);
    assert_eq!(replies("info", [])[0], [Reply::Info(Info { version: 0x01_02_01, table_size: 4096 })]);
}
