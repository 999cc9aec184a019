//! start(A), reload(B) ends in the table that start(B) ends in, for 200 pairs of configurations.

use crate::testkit::*;
use crate::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::ipvs::{Forward, Protocol, ServiceKey};
use steadfast_core::{Family, Rng};

const SERVERS: u64 = 6;

fn address(n: u64) -> IpAddr {
    IpAddr::from([10, 0, 0, u8::try_from(n).unwrap()])
}

fn real(rng: &mut Rng, n: u64) -> RealServer {
    let forward = [Forward::Nat, Forward::Direct][usize::from(rng.below(4) == 0)];
    let mut check = tcp(&format!("10.0.0.{n}:80"));
    check.timing.delay_loop = Duration::from_secs(1 + rng.below(3));
    check.timing.alpha = rng.below(4) == 0;
    RealServer {
        forward,
        weight: u32::try_from(rng.below(5)).unwrap(),
        upper: [0, 100][usize::from(rng.below(3) == 0)],
        inhibit: rng.below(3) == 0,
        // one without a check is always up
        checks: if rng.below(6) == 0 { Vec::new() } else { vec![check] },
        ..RealServer::new(address(n), 80)
    }
}

fn virtual_server(rng: &mut Rng, id: ServiceId) -> VirtualServer {
    let mut v = VirtualServer::new(id);
    v.service.scheduler = ["rr", "wlc", "sh"][rng.below(3) as usize].into();
    v.quorum = 1 + u32::try_from(rng.below(6)).unwrap();
    if rng.below(2) == 0 {
        let (port, forward, inhibit) = (80, Forward::Nat, rng.below(2) == 0);
        v.sorry = Some(SorryServer { address: address(90 + rng.below(2)), port, forward, inhibit });
    }
    v.servers =
        (1..=SERVERS).filter(|_| rng.below(2) == 0).collect::<Vec<_>>().into_iter().map(|n| real(rng, n)).collect();
    v
}

/// What belongs together is the same in all of them: services by address, by mark, and of a group.
fn some(rng: &mut Rng) -> Config {
    let mut ids: Vec<ServiceId> = (1..4u8)
        .map(|n| ServiceKey::Address { address: IpAddr::from([192, 0, 2, n]), port: 80, protocol: Protocol::Tcp })
        .chain((1..3).map(|mark| ServiceKey::Mark { mark, family: Family::V4 }))
        .map(ServiceId::One)
        .collect();
    ids.push(ServiceId::Group { name: "G".into(), protocol: Protocol::Tcp });
    let range = |n: u8, last: u8| {
        let [first, last] = [n, last].map(|d| IpAddr::from([198, 51, 100, d]));
        Range { first, last, port: 80 }
    };
    let ranges = [range(1, 3), range(10, 10), range(20, 22)].into_iter().filter(|_| rng.below(2) == 0).collect();
    let marks = (7..9).filter(|_| rng.below(2) == 0).map(|mark| (mark, Some(Family::V4))).collect();
    let groups = vec![VirtualServerGroup { name: "G".into(), ranges, marks, assigned: Vec::new() }];
    let wanted: Vec<ServiceId> = ids.into_iter().filter(|_| rng.below(3) > 0).collect();
    let services = wanted.into_iter().map(|id| virtual_server(rng, id)).collect();
    Config { services, groups, ..Config::default() }
}

/// What the kernel is to have, by service.
fn table(w: &World) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for t in w.tables.values() {
        let mut destinations: Vec<String> = t.destinations.iter().map(|d| format!("{d:?}")).collect();
        destinations.sort();
        for key in &t.keys {
            let twice = all.insert(format!("{key:?}"), format!("{:?} {destinations:?}", t.service));
            assert!(twice.is_none(), "{key:?} is wanted twice");
        }
    }
    all
}

fn begin(config: Config, alive: u64) -> World {
    let mut w = World::new(config);
    for n in (1..=SERVERS).filter(|n| alive & (1 << n) != 0) {
        w.manner(&format!("10.0.0.{n}:80"), up());
    }
    w.run(60.0);
    w
}

#[test]
fn two_hundred_reloads_end_where_two_hundred_starts_do() {
    let mut destinations = 0;
    for seed in 0..200u64 {
        let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9) + 1);
        let (a, b) = (some(&mut rng), some(&mut rng));
        // the servers live or die by the time, too
        let (before, after) = (rng.below(256), rng.below(256));
        let fresh = begin(b.clone(), after);
        let mut w = begin(a, before);
        for n in 1..=SERVERS {
            let manner = if after & (1 << n) != 0 { up() } else { Manner::Refuses };
            w.manner(&format!("10.0.0.{n}:80"), manner);
        }
        w.reload(b);
        w.run(60.0);
        let (ours, theirs) = (table(&w), table(&fresh));
        assert_eq!(ours, theirs, "pair {seed}");
        destinations += w.tables.values().map(|t| t.destinations.len()).sum::<usize>();
        w.check_probes();
    }
    assert!(destinations > 1000, "they have something to say: {destinations}");
}
