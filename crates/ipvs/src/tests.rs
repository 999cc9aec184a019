use crate::wire::{Part, decode};
use crate::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use steadfast_core::Family;
use steadfast_core::ipvs::{
    Checksum, Destination, DestinationKey, Forward, Granularity, Persistence, Protocol, Service, ServiceKey, Tunnel,
};

fn address(text: &str, port: u16) -> ServiceKey {
    ServiceKey::Address { address: text.parse().unwrap(), port, protocol: Protocol::Tcp }
}

fn key(text: &str, port: u16) -> DestinationKey {
    DestinationKey { address: text.parse().unwrap(), port }
}

fn weight(weight: u32) -> Destination {
    Destination { weight, ..Destination::default() }
}

/// What the kernel would answer to a dump after this request: the same attributes under the same command.
fn echo(request: &Request, family: Family) -> Option<Reply> {
    let bytes = request.encode(0x1d, 7);
    match decode(&bytes, 0x1d).unwrap().as_slice() {
        [(7, Part::Message(message))] => Reply::read(message, family),
        other => panic!("{other:?}"),
    }
}

/// The bytes that `ipvsadm -A -t 192.0.2.1:80 -s wrr -p 300 -M 255.255.255.0` must come to, by the numbers of linux/ip_vs.h.
#[cfg(target_endian = "little")]
#[test]
fn a_service_on_the_wire() {
    let service = Service {
        scheduler: "wrr".into(),
        persistence: Some(Persistence { timeout: 300, granularity: Some(Granularity::Mask(0xffff_ff00)) }),
        ..Service::default()
    };
    let bytes = Request::NewService(address("192.0.2.1", 80), service).encode(0x1d, 7);
    let wanted: &[&[u8]] = &[
        b"\x68\0\0\0\x1d\0\x05\0\x07\0\0\0\0\0\0\0", // length, family, REQUEST|ACK, sequence
        b"\x01\x01\0\0",                             // NEW_SERVICE, version
        b"\x54\0\x01\x80",                           // SERVICE, nested
        b"\x06\0\x01\0\x02\0\0\0",                   // AF
        b"\x06\0\x02\0\x06\0\0\0",                   // PROTOCOL
        b"\x14\0\x03\0\xc0\0\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0",
        b"\x06\0\x04\0\0\x50\0\0", // PORT, network order
        b"\x08\0\x06\0wrr\0",
        b"\x0c\0\x07\0\x01\0\0\0\xff\xff\xff\xff", // FLAGS: persistent; mask
        b"\x08\0\x08\0\x2c\x01\0\0",
        b"\x08\0\x09\0\xff\xff\xff\0", // NETMASK, network order
    ];
    assert_eq!(bytes, wanted.concat());
}

/// `twos` is in no kernel that the tests run on.
#[cfg(target_endian = "little")]
#[test]
fn a_scheduler_reaches_the_kernel_by_its_name() {
    let service = Service { scheduler: "twos".into(), ..Service::default() };
    for request in [Request::NewService, Request::SetService].map(|r| r(address("192.0.2.1", 80), service.clone())) {
        let bytes = request.encode(0x1d, 7);
        assert!(bytes.windows(12).any(|w| w == b"\x09\0\x06\0twos\0\0\0\0"), "SCHED_NAME: {bytes:?}");
    }
}

#[cfg(target_endian = "little")]
#[test]
fn a_destination_on_the_wire() {
    let forward = Forward::Tunnel(Tunnel::Gue { port: 6080, checksum: Checksum::Full });
    let destination = Destination { forward, weight: 5, upper: 9, lower: 3 };
    let mark = ServiceKey::Mark { mark: 7, family: Family::V4 };
    let bytes = Request::NewDestination(mark, key("2001:db8::1", 0), destination).encode(0x1d, 1);
    let wanted: &[&[u8]] = &[
        b"\x14\0\x01\x80",
        b"\x06\0\x01\0\x02\0\0\0",
        b"\x08\0\x05\0\x07\0\0\0", // FWMARK
        b"\x60\0\x02\x80",
        b"\x06\0\x0b\0\x0a\0\0\0", // ADDR_FAMILY
        b"\x14\0\x01\0\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
        b"\x06\0\x02\0\0\0\0\0",
        b"\x08\0\x03\0\x02\0\0\0", // FWD_METHOD: tunnel
        b"\x08\0\x04\0\x05\0\0\0",
        b"\x08\0\x05\0\x09\0\0\0",
        b"\x08\0\x06\0\x03\0\0\0",
        b"\x05\0\x0d\0\x01\0\0\0",
        b"\x06\0\x0e\0\x17\xc0\0\0", // TUN_PORT, network order
        b"\x06\0\x0f\0\x01\0\0\0",
    ];
    assert_eq!(bytes[20..], wanted.concat());
}

#[test]
fn requests_without_settings_and_dumps() {
    let bytes = Request::GetServices.encode(0x1d, 1);
    assert_eq!((bytes.len(), &bytes[6..8]), (20, &0x301u16.to_ne_bytes()[..]));
    assert_eq!(Request::Flush.encode(0x1d, 1)[16], wire::cmd::FLUSH);
    let only = Timeouts { tcp: 900, ..Timeouts::default() };
    assert_eq!(Request::SetTimeouts(only).message().attributes.len(), 1, "what is 0 stays as it is");
    assert_eq!(echo(&Request::SetTimeouts(only), Family::V4), Some(Reply::Timeouts(only)));
    assert_eq!(echo(&Request::GetInfo, Family::V4), None);
}

#[test]
fn daemons() {
    let plain = Daemon {
        state: DaemonState::Backup,
        interface: "eth0".into(),
        id: 200,
        max_length: None,
        group: None,
        port: None,
        ttl: None,
    };
    let full = Daemon {
        state: DaemonState::Master,
        max_length: Some(1400),
        group: Some("ff02::81".parse().unwrap()),
        port: Some(8850),
        ttl: Some(3),
        ..plain.clone()
    };
    for d in [plain, Daemon { group: Some("224.0.0.99".parse().unwrap()), ..full.clone() }, full] {
        assert_eq!(echo(&Request::NewDaemon(d.clone()), Family::V4), Some(Reply::Daemon(d)));
    }
}

#[test]
fn daemons_follow_the_state_of_their_instance() {
    let wanted = |state, id| Daemon {
        state,
        interface: "eth0".into(),
        id,
        max_length: None,
        group: None,
        port: None,
        ttl: Some(2),
    };
    let (master, backup) = (wanted(DaemonState::Master, 5), wanted(DaemonState::Backup, 5));
    // as the kernel reports it: all that was left to it is filled in
    let runs = Daemon {
        max_length: Some(1472),
        group: Some("224.0.0.81".parse().unwrap()),
        port: Some(8848),
        ..backup.clone()
    };
    let short = |d: &Daemon, n| [Daemon { max_length: Some(n), ..d.clone() }];
    let least = short(&runs, 1024);
    assert_eq!(daemon_difference(&least, &short(&backup, 500)), [], "a receiver takes more than that");
    assert_ne!(daemon_difference(&least, &short(&backup, 1100)), []);
    assert_ne!(daemon_difference(&least, &short(&master, 500)), []);
    let (backup, master) = ([backup], [master]);
    assert_eq!(daemon_difference(&[], &backup), [Request::NewDaemon(backup[0].clone())]);
    assert_eq!(daemon_difference(std::slice::from_ref(&runs), &backup), [], "it runs as wanted");
    assert_eq!(
        daemon_difference(std::slice::from_ref(&runs), &master),
        [Request::DelDaemon(DaemonState::Backup), Request::NewDaemon(master[0].clone())]
    );
    let other = [wanted(DaemonState::Backup, 6)];
    assert_eq!(
        daemon_difference(std::slice::from_ref(&runs), &other),
        [Request::DelDaemon(DaemonState::Backup), Request::NewDaemon(other[0].clone())]
    );
    assert_eq!(daemon_difference(&[runs], &[]), [Request::DelDaemon(DaemonState::Backup)]);
}

/// Counters as the kernel nests them, in both widths, and attributes that nobody knows yet.
#[test]
fn counters_and_the_unknown() {
    use wire::{Attr, Message, attr, cmd, dest, stats};
    let base = |extra: Vec<Attr>| {
        let mut inner = vec![
            Attr::bytes(dest::ADDR, [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Attr::be16(dest::PORT, 80),
            Attr::u32(dest::FWD_METHOD, 0x80 | dest::DROUTE),
            Attr::u32(dest::WEIGHT, 3),
            Attr::u32(dest::ACTIVE_CONNS, 11),
            Attr::bytes(999, [1, 2, 3]),
        ];
        inner.extend(extra);
        Message { command: cmd::NEW_DEST, attributes: vec![Attr::nested(attr::DEST, inner)] }
    };
    let read = |message: Message| match Reply::read(&message, Family::V4) {
        Some(Reply::Destination(d)) => d,
        other => panic!("{other:?}"),
    };
    let narrow = Attr::nested(dest::STATS, vec![Attr::u32(stats::CONNS, 5)]);
    let wide = Attr::nested(dest::STATS64, vec![Attr::bytes(stats::CONNS, (1u64 << 40).to_ne_bytes())]);
    assert_eq!(read(base(vec![narrow.clone()])).stats.connections, 5);
    let both = read(base(vec![narrow, wide]));
    assert_eq!((both.stats.connections, both.active), (1 << 40, 11));
    assert_eq!(both.destination, Destination { forward: Forward::Direct, weight: 3, upper: 0, lower: 0 });
    assert_eq!(both.key, key("10.0.0.1", 80), "without ADDR_FAMILY it is the service's family");
}

#[test]
fn datagrams_with_several_messages_errors_and_garbage() {
    let service = Request::NewService(address("192.0.2.1", 80), Service::default()).encode(0x1d, 3);
    let mut error = vec![36, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];
    error.extend((-17i32).to_ne_bytes());
    error.extend(&service[..16]);
    let done = [20, 0, 0, 0, 3, 0, 2, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let all = [service.as_slice(), &error, &done].concat();
    let parts = decode(&all, 0x1d).unwrap();
    assert!(matches!(parts[0], (3, Part::Message(_))));
    assert_eq!(parts[1..], [(4, Part::Ack(17)), (5, Part::Done(0))]);
    assert_eq!(decode(&service, 0x1e).unwrap(), [(3, Part::Other)], "another family");
    for cut in 17..service.len() {
        assert!(decode(&service[..cut], 0x1d).is_err(), "{cut}");
    }
    // 22 bytes and 2 of padding, then the next
    let mut odd = vec![22, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 0, 0];
    odd.extend(&service);
    let parts = decode(&odd, 0x1d).unwrap();
    assert!(matches!(parts[..], [(9, Part::Other), (3, Part::Message(_))]), "{parts:?}");
    let mut lying = service.clone();
    lying[20] = 0xff; // an attribute longer than the message
    assert!(decode(&lying, 0x1d).is_err());
}

fn forwards() -> impl Strategy<Value = Forward> {
    let checksum = prop_oneof![Just(Checksum::None), Just(Checksum::Full), Just(Checksum::Remote)];
    prop_oneof![
        Just(Forward::Nat),
        Just(Forward::Direct),
        Just(Forward::Tunnel(Tunnel::Ipip)),
        (1..9u16, checksum.clone()).prop_map(|(port, checksum)| Forward::Tunnel(Tunnel::Gue { port, checksum })),
        checksum.prop_map(|checksum| Forward::Tunnel(Tunnel::Gre { checksum })),
    ]
}

fn destinations() -> impl Strategy<Value = Destination> {
    (forwards(), 0..4u32, 0..3u32, 0..3u32).prop_map(|(forward, weight, upper, lower)| Destination {
        forward,
        weight,
        upper,
        lower,
    })
}

fn destination_keys() -> impl Strategy<Value = DestinationKey> {
    let addresses =
        prop_oneof![(1..5u8).prop_map(|n| IpAddr::from([10, 0, 0, n])), Just("2001:db8::1".parse().unwrap())];
    (addresses, 80..82u16).prop_map(|(address, port)| DestinationKey { address, port })
}

fn services() -> impl Strategy<Value = Service> {
    let persistence = proptest::option::of(
        (
            1..3u32,
            proptest::option::of(prop_oneof![
                any::<u32>().prop_map(Granularity::Mask),
                (1..=128u8).prop_map(Granularity::Prefix)
            ]),
        )
            .prop_map(|(timeout, granularity)| Persistence { timeout, granularity }),
    );
    let names = prop_oneof![Just("wlc"), Just("rr"), Just("mh")];
    (names, 0..8u8, any::<bool>(), persistence, proptest::option::of(Just("sip".to_owned()))).prop_map(
        |(scheduler, scheduler_flags, one_packet, persistence, engine)| Service {
            scheduler: scheduler.into(),
            scheduler_flags,
            one_packet,
            persistence,
            engine,
        },
    )
}

fn service_keys() -> impl Strategy<Value = ServiceKey> {
    let protocols = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp), Just(Protocol::Sctp)];
    prop_oneof![
        (1..3u8, protocols).prop_map(|(n, protocol)| ServiceKey::Address {
            address: IpAddr::from([192, 0, 2, n]),
            port: 80,
            protocol
        }),
        Just(address("2001:db8::1", 443)),
        (1..3u32).prop_map(|mark| ServiceKey::Mark { mark, family: Family::V4 }),
        Just(ServiceKey::Mark { mark: 1, family: Family::V6 }),
    ]
}

fn tables() -> impl Strategy<Value = Table> {
    let entry = (services(), proptest::collection::btree_map(destination_keys(), destinations(), 0..6));
    proptest::collection::btree_map(service_keys(), entry, 0..6).prop_map(|map| {
        let mut table = Table::new();
        map.into_iter().for_each(|(key, (service, destinations))| table.insert(key, service, destinations));
        table
    })
}

proptest! {
    /// What is encoded is read back as it was meant, in the kernel's form.
    #[test]
    fn round_trip(s in service_keys(), service in services(), k in destination_keys(), d in destinations()) {
        let mut table = Table::new();
        table.insert(s, service.clone(), [(k, d)]);
        let entry = table.get(&s).unwrap();
        let reply = echo(&Request::NewService(s, service), s.family());
        prop_assert_eq!(reply, Some(Reply::Service(ServiceReply { key: s, service: entry.service.clone(), stats: Stats::default() })));
        let Some(Reply::Destination(got)) = echo(&Request::SetDestination(s, k, entry.destinations[&k]), s.family()) else { panic!() };
        prop_assert_eq!((got.key, got.destination), (k, entry.destinations[&k]));
    }

    /// The steps lead to the wanted table; each is one that the kernel takes; what both tables have is there all the time; a
    /// pool that serves before and after serves in between; foreign services are not touched.
    #[test]
    fn differences(now in tables(), wanted in tables(), ours in proptest::collection::btree_set(service_keys(), 0..6)) {
        let steps = difference(&now, &wanted, &ours);
        let serves = |t: &Table, s: &ServiceKey| {
            t.get(s).is_some_and(|e| e.destinations.values().any(|d| d.weight > 0))
        };
        let mut table = now.clone();
        for step in &steps {
            prop_assert_eq!(table.apply(step), Ok(()), "{:?}", step);
            for (s, before) in now.iter() {
                let Some(after) = wanted.get(s) else { continue };
                prop_assert!(table.get(s).is_some(), "a service of both is gone at {:?}", step);
                for d in before.destinations.keys().filter(|d| after.destinations.contains_key(d)) {
                    prop_assert!(table.get(s).unwrap().destinations.contains_key(d), "{:?} is gone at {:?}", d, step);
                }
                if serves(&now, s) && serves(&wanted, s) {
                    prop_assert!(serves(&table, s), "empty at {:?}", step);
                }
            }
        }
        for (s, entry) in now.iter().filter(|(s, _)| wanted.get(s).is_none()) {
            prop_assert_eq!(table.get(s), if ours.contains(s) { None } else { Some(entry) });
        }
        for (s, entry) in wanted.iter() {
            prop_assert_eq!(table.get(s), Some(entry));
        }
        prop_assert!(difference(&table, &wanted, &ours).is_empty(), "nothing is left to do");
        prop_assert!(steps.len() <= 6 * 7 + 6, "no step twice");
    }

    /// Any bytes as a datagram.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(parts) = decode(&bytes, 0x1d) {
            for (_, part) in parts {
                if let Part::Message(message) = part {
                    let _ = Reply::read(&message, Family::V6);
                }
            }
        }
    }
}

#[test]
fn a_weight_is_edited_and_steps_come_in_order() {
    let s = address("192.0.2.1", 80);
    let (mut now, mut wanted) = (Table::new(), Table::new());
    let service = Service::default();
    now.insert(
        s,
        service.clone(),
        [(key("10.0.0.1", 80), weight(1)), (key("10.0.0.2", 80), weight(5)), (key("10.0.0.3", 80), weight(1))],
    );
    wanted.insert(
        s,
        service,
        [(key("10.0.0.2", 80), weight(2)), (key("10.0.0.3", 80), weight(4)), (key("10.0.0.4", 80), weight(1))],
    );
    let ours = BTreeSet::from([s]);
    assert_eq!(
        difference(&now, &wanted, &ours),
        [
            Operation::AddDestination(s, key("10.0.0.4", 80), weight(1)),
            Operation::EditDestination(s, key("10.0.0.3", 80), weight(4)),
            Operation::EditDestination(s, key("10.0.0.2", 80), weight(2)),
            Operation::RemoveDestination(s, key("10.0.0.1", 80)),
        ]
    );
    assert_eq!(difference(&now, &Table::new(), &ours), [Operation::RemoveService(s)]);
    assert_eq!(difference(&now, &Table::new(), &BTreeSet::new()), []);
    let mut table = now.clone();
    assert_eq!(table.apply(&Operation::AddService(s, Service::default())), Err(Refusal::Exists));
    assert_eq!(table.apply(&Operation::RemoveDestination(s, key("10.0.0.9", 80))), Err(Refusal::Absent));
    assert_eq!(table, now);
}

#[test]
fn what_is_asked_for_is_told_in_words() {
    let daemon = Daemon {
        state: DaemonState::Master,
        interface: "eth0".into(),
        id: 9,
        max_length: None,
        group: None,
        port: None,
        ttl: None,
    };
    for (request, words) in [
        (Request::NewDaemon(daemon), "to start the synchronisation daemon as master on eth0, id 9"),
        (Request::DelDaemon(DaemonState::Backup), "to stop the synchronisation daemon that runs as backup"),
        (Request::GetTimeouts, "to tell its time limits"),
        (Request::DelService(ServiceKey::Mark { mark: 5, family: Family::V4 }), "to remove the service FWM 5"),
    ] {
        assert_eq!(request.to_string(), words);
    }
}
