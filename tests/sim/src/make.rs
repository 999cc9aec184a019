//! The clusters that seeds choose.

use crate::World;
use crate::node::Node;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use steadfast_core::kernel::{Address, Object, Route, Rule, RuleAction};
use steadfast_core::{Family, IpCidr, Mac, Rng, Time};
use steadfast_vrrp::{
    Config, FileConfig, GroupConfig, InstanceConfig, Peer, ScriptConfig, Track, Tracked, Unicast, Version,
};

pub(crate) fn host(family: Family, n: usize) -> IpAddr {
    let n = n as u8 + 1;
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(n))),
    }
}

pub(crate) fn virtual_address(family: Family, i: usize) -> IpAddr {
    let i = i as u8 + 100;
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, i)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, u16::from(i))),
    }
}

fn short(last: u8, interface: usize) -> Address {
    let address = IpAddr::V4(Ipv4Addr::new(10, 9, 0, last));
    Address::new(IpCidr { address, prefix: 32 }, format!("eth{interface}"))
}

fn route(destination: u8, metric: u32) -> Route {
    let mut route = Route::new(Family::V4);
    route.destination = Some(IpCidr { address: IpAddr::V4(Ipv4Addr::new(10, 8, destination, 0)), prefix: 24 });
    route.metric = Some(metric);
    route
}

fn rule(preference: u32) -> Rule {
    Rule { preference: Some(preference), action: RuleAction::Table(77), ..Rule::new(Family::V4) }
}

/// What varies from one configuration of a node to the next.
pub(crate) fn vary(config: &mut Config, rng: &mut Rng) {
    for (i, c) in config.instances.iter_mut().enumerate() {
        let n = 2 * i as u8;
        c.excluded = (n..n + 2).filter(|_| rng.below(2) == 0).map(|n| short(n, i)).collect();
        c.accept = rng.below(4) != 0;
        let metric = 1 + rng.below(2) as u32;
        c.routes = (n..n + 2).filter(|_| rng.below(3) == 0).map(|n| route(n, metric)).collect();
        c.rules = (n..n + 2).filter(|_| rng.below(3) == 0).map(|n| rule(100 + u32::from(n))).collect();
    }
    // Larger than a pipe has room for, with what is kept.
    config.files = (0..rng.below(10)).map(|n| FileConfig { name: format!("{n:4000}") }).collect();
    config.statics = (20..22).filter(|_| rng.below(3) == 0).map(|n| Object::Address(short(n, 0))).collect();
}

impl World {
    /// A cluster that a seed chooses.
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let nodes = 2 + rng.below(6) as usize;
        let family = if rng.below(4) == 0 { Family::V6 } else { Family::V4 };
        let grouped = rng.below(3) == 0;
        let instances = if grouped || rng.below(3) == 0 { 2 } else { 1 };
        let version = if family == Family::V4 && rng.below(2) == 0 { Version::V2 } else { Version::V3 };
        let interval = match version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => Duration::from_millis([10, 100, 1000][rng.below(3) as usize]),
        };
        let unicast = rng.below(4) == 0;
        let preempt = rng.below(4) != 0;
        let tracked = rng.below(2) == 0;
        let equal = rng.below(5) == 0;
        let mut world = World {
            now: Time::ZERO,
            nodes: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
            held: vec![VecDeque::new(); nodes],
            removed: Vec::new(),
            rng,
            loss_ppm: 0,
            side: vec![0; nodes],
            client: vec![None; instances],
            instances,
            family,
            adverts: 0,
            deaths: 0,
            lives: 0,
            trace: Default::default(),
            lines: 0,
            lossy: false,
            deaf: None,
            broken: None,
            disturbed: Time::ZERO,
            reigns: BTreeMap::new(),
            accessions: 0,
        };
        for n in 0..nodes {
            let mut config = Config::default();
            let priority = if equal { 100 } else { 50 + world.rng.below(4) as u8 * 50 };
            for i in 0..instances {
                let interface = format!("eth{i}");
                let mut c = InstanceConfig::new(&format!("V{i}"), &interface, 10 + i as u8, family);
                c.version = version;
                c.advert_interval = interval;
                c.priority = priority;
                c.preempt = preempt;
                c.addresses =
                    vec![Address::new(IpCidr { address: virtual_address(family, i), prefix: 24 }, interface)].into();
                if unicast {
                    let peers = (0..nodes).filter(|p| *p != n).map(|p| Peer {
                        address: host(family, p),
                        min_ttl: 0,
                        max_ttl: 255,
                    });
                    c.unicast = Some(Unicast { peers: peers.collect(), ttl: 255, check_source: true });
                }
                if tracked && !grouped {
                    let weight = if world.rng.below(2) == 0 { 0 } else { -40 };
                    c.tracks = vec![Track { what: Tracked::Script("chk".into()), weight, reverse: false }];
                }
                config.instances.push(c);
            }
            if tracked && !grouped {
                config.scripts.push(ScriptConfig {
                    name: "chk".into(),
                    interval: Duration::from_millis(500),
                    timeout: Duration::from_millis(400),
                    rise: 1,
                    fall: 1,
                    init_fail: false,
                    command: "chk".into(),
                });
            }
            if grouped {
                let members = (0..instances).map(|i| format!("V{i}")).collect();
                config.groups = vec![GroupConfig { name: "G".into(), members, tracking_weight: false }];
            }
            vary(&mut config, &mut world.rng);
            let whole = config.instances.clone();
            world.nodes.push(Node {
                kernel: Default::default(),
                parent: None,
                child: None,
                up: VecDeque::new(),
                down: VecDeque::new(),
                file: config,
                record: None,
                torn: false,
                whole,
                poison: 0,
                links: [true; 2],
                own: IpCidr { address: host(family, n), prefix: 24 },
                mac: Mac([2, 0, 0, 0, 0, n as u8]),
                script_ok: true,
                frozen: false,
            });
            world.start_daemon(n);
        }
        world
    }
}
