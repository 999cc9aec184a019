//! Whole clusters in virtual time: the real machine, a network that loses, delays and doubles, and everything that goes wrong in
//! a machine room. One seed is one history, always the same.
#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{Family, IpCidr, Mac, Rng, State, Time};
use steadfast_vrrp::{
    Config, GroupConfig, Input, InstanceConfig, Link, Output, Peer, Received, Router, ScriptConfig, ScriptEnd,
    Snapshot, Track, Tracked, Unicast, Version,
};

/// Lines of a trace that are kept.
const TRACE: usize = 400;

/// A packet under way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    to: usize,
    interface: u32,
    source: IpAddr,
    destination: IpAddr,
    payload: Vec<u8>,
}

/// One host.
struct Node {
    router: Option<Router>,
    config: Config,
    snapshots: Vec<Snapshot>,
    /// Objects in its kernel.
    objects: BTreeSet<String>,
    links: [bool; 2],
    frozen: bool,
    inbox: VecDeque<Flight>,
    script_ok: bool,
    stopping: bool,
}

/// A cluster.
pub struct World {
    now: Time,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(Time, u64, Flight)>>,
    sequence: u64,
    rng: Rng,
    loss_ppm: u32,
    /// Side of the partition that each node is on.
    side: Vec<u8>,
    /// Who announced each address last, as the client heard it.
    client: Vec<Option<usize>>,
    instances: usize,
    family: Family,
    /// Adverts sent so far.
    pub adverts: u64,
    trace: VecDeque<String>,
    /// Packets were lost in this round.
    lossy: bool,
    /// A node that hears nobody, though all hear it.
    deaf: Option<usize>,
    /// Something that must not even happen for a moment has happened.
    broken: Option<String>,
}

/// What a seed made.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
    /// The last lines of the history.
    pub trace: String,
}

fn host(family: Family, n: usize) -> IpAddr {
    let n = n as u8 + 1;
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, n)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(n))),
    }
}

fn virtual_address(family: Family, i: usize) -> IpAddr {
    let i = i as u8 + 100;
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::new(10, 0, 0, i)),
        Family::V6 => IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, u16::from(i))),
    }
}

impl World {
    /// A cluster that a seed chooses.
    pub fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let nodes = 2 + rng.below(6) as usize;
        let family = if rng.below(4) == 0 { Family::V6 } else { Family::V4 };
        let grouped = rng.below(3) == 0;
        let instances = if grouped { 2 } else { 1 };
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
            rng,
            loss_ppm: 0,
            side: vec![0; nodes],
            client: vec![None; instances],
            instances,
            family,
            adverts: 0,
            trace: VecDeque::new(),
            lossy: false,
            deaf: None,
            broken: None,
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
                c.addresses = vec![Address::new(IpCidr { address: virtual_address(family, i), prefix: 24 }, interface)];
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
            world.nodes.push(Node {
                router: None,
                config,
                snapshots: Vec::new(),
                objects: BTreeSet::new(),
                links: [true; 2],
                frozen: false,
                inbox: VecDeque::new(),
                script_ok: true,
                stopping: false,
            });
            world.start(n, false);
        }
        world
    }

    fn note(&mut self, text: String) {
        if self.trace.len() >= TRACE {
            self.trace.pop_front();
        }
        self.trace.push_back(format!("{} {text}", self.now));
    }

    fn interval(&self) -> Duration {
        self.nodes[0].config.instances[0].advert_interval
    }

    /// The longest master-down interval of the cluster.
    fn down(&self) -> Duration {
        self.interval() * 4
    }

    fn link(&self, n: usize, i: usize) -> Link {
        let mut addresses = vec![IpCidr { address: host(self.family, n), prefix: 24 }];
        let held = virtual_address(self.family, i);
        if self.nodes[n].objects.contains(&held.to_string()) {
            addresses.push(IpCidr { address: held, prefix: 24 });
        }
        Link {
            name: format!("eth{i}"),
            index: i as u32 + 1,
            up: self.nodes[n].links[i],
            mtu: 1500,
            mac: Mac([2, 0, 0, 0, 0, n as u8]),
            addresses,
        }
    }

    fn start(&mut self, n: usize, hand_over: bool) {
        self.note(format!("node {n} starts{}", if hand_over { " with its predecessor's state" } else { "" }));
        let mut out = Vec::new();
        let (now, seed) = (self.now, self.rng.next_u64());
        let snapshots = if hand_over { self.nodes[n].snapshots.clone() } else { Vec::new() };
        let mut router = Router::restore(self.nodes[n].config.clone(), &snapshots, seed, now, &mut out);
        for i in 0..self.instances {
            router.handle(now, Input::Link(self.link(n, i)), &mut out);
        }
        router.poll(now, &mut out);
        // The daemon clears what an earlier life left and this one does not hold.
        for (i, held) in router.views().map(|v| v.objects_set).enumerate() {
            if !held {
                self.nodes[n].objects.remove(&virtual_address(self.family, i).to_string());
            }
        }
        self.nodes[n].router = Some(router);
        self.nodes[n].stopping = false;
        self.nodes[n].frozen = false;
        self.nodes[n].inbox.clear();
        self.carry_out(n, out);
    }

    /// Feeds a node, unless it is dead.
    fn feed(&mut self, n: usize, work: impl FnOnce(&mut Router, Time, &mut Vec<Output>)) {
        let now = self.now;
        let mut out = Vec::new();
        if let Some(router) = &mut self.nodes[n].router {
            work(router, now, &mut out);
            self.nodes[n].snapshots = self.nodes[n].router.as_ref().map(Router::snapshots).unwrap_or_default();
        }
        self.carry_out(n, out);
    }

    fn carry_out(&mut self, n: usize, out: Vec<Output>) {
        for o in out {
            match o {
                Output::Send(s) => {
                    self.adverts += 1;
                    let interface = s.interface;
                    if !self.nodes[n].links[interface as usize - 1] {
                        continue;
                    }
                    self.note(format!("node {n} sends priority {} on eth{}", s.payload[2], interface - 1));
                    for to in 0..self.nodes.len() {
                        let reached = s.destination.is_multicast() || s.destination == host(self.family, to);
                        if to == n
                            || !reached
                            || self.deaf == Some(to)
                            || self.side[to] != self.side[n]
                            || self.rng.chance_ppm(self.loss_ppm)
                        {
                            continue;
                        }
                        let copies = if self.rng.chance_ppm(self.loss_ppm / 4) { 2 } else { 1 };
                        for _ in 0..copies {
                            let at = self.now + Duration::from_micros(20 + self.rng.below(400));
                            self.sequence += 1;
                            let flight = Flight {
                                to,
                                interface,
                                source: s.source,
                                destination: s.destination,
                                payload: s.payload.clone(),
                            };
                            self.queue.push(Reverse((at, self.sequence, flight)));
                        }
                    }
                }
                Output::Add(Object::Address(a)) => {
                    self.nodes[n].objects.insert(a.cidr.address.to_string());
                }
                Output::Remove(Object::Address(a)) => {
                    self.nodes[n].objects.remove(&a.cidr.address.to_string());
                }
                Output::Announce { address, .. } => {
                    // The client sits on side 0.
                    for i in 0..self.instances {
                        if virtual_address(self.family, i) == address && self.side[n] == 0 && self.nodes[n].links[i] {
                            self.client[i] = Some(n);
                        }
                    }
                }
                Output::StartScript(name) => {
                    let end = ScriptEnd::Exited(i32::from(!self.nodes[n].script_ok));
                    let now = self.now;
                    let mut more = Vec::new();
                    if let Some(r) = &mut self.nodes[n].router {
                        r.handle(now, Input::ScriptEnded(&name, end), &mut more);
                    }
                    self.carry_out(n, more);
                }
                Output::Instance { name, notice, .. } => self.note(format!("node {n}: {name} {}", notice.word())),
                Output::Stopped => self.nodes[n].router = None,
                _ => {}
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, during: Duration) {
        let end = self.now + during;
        loop {
            let timer = (0..self.nodes.len())
                .filter(|n| !self.nodes[*n].frozen)
                .filter_map(|n| Some((self.nodes[n].router.as_ref()?.poll_at()?, n)))
                .min();
            let flight = self.queue.peek().map(|Reverse((at, ..))| *at);
            let next = timer.map(|t| t.0).into_iter().chain(flight).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            // As in the daemon's loop: packets before timers.
            if flight.is_some_and(|f| f <= at) {
                if let Some(Reverse((_, _, flight))) = self.queue.pop() {
                    let n = flight.to;
                    if self.nodes[n].frozen { self.nodes[n].inbox.push_back(flight) } else { self.deliver(flight) }
                }
            } else if let Some((_, n)) = timer {
                self.feed(n, |r, now, out| r.poll(now, out));
            }
        }
        self.now = end;
    }

    fn deliver(&mut self, f: Flight) {
        if !self.nodes[f.to].links[f.interface as usize - 1] {
            return;
        }
        self.feed(f.to, |r, now, out| {
            let packet = Received {
                interface: f.interface,
                source: f.source,
                destination: f.destination,
                hop_limit: 255,
                payload: &f.payload,
            };
            r.handle(now, Input::Packet(packet), out);
        });
    }

    fn holders(&self, i: usize, side: u8) -> Vec<usize> {
        let address = virtual_address(self.family, i).to_string();
        (0..self.nodes.len()).filter(|n| self.side[*n] == side && self.nodes[*n].objects.contains(&address)).collect()
    }

    fn state(&self, n: usize, i: usize) -> Option<State> {
        self.nodes[n].router.as_ref()?.views().nth(i).map(|v| v.state)
    }

    /// The invariants, in a network that was quiet for long enough.
    fn check(&self) -> Result<(), String> {
        if let Some(what) = &self.broken {
            return Err(what.clone());
        }
        for side in [0, 1] {
            let alive: Vec<usize> = (0..self.nodes.len())
                .filter(|n| self.side[*n] == side && self.nodes[*n].router.is_some() && !self.nodes[*n].frozen)
                .collect();
            for i in 0..self.instances {
                let able: Vec<usize> = alive
                    .iter()
                    .copied()
                    .filter(|n| matches!(self.state(*n, i), Some(State::Backup | State::Master)))
                    .collect();
                let holders = self.holders(i, side);
                // A dead machine's kernel may hold what nobody took away; it is not on the network when its link is cut.
                let live: Vec<usize> = holders.iter().copied().filter(|n| alive.contains(n)).collect();
                if live.len() > 1 {
                    return Err(format!("S2: V{i} is held by {live:?} on side {side}"));
                }
                if !able.is_empty() && live.is_empty() {
                    return Err(format!("S1: nobody holds V{i} on side {side}, able are {able:?}"));
                }
                for n in &live {
                    if self.state(*n, i) != Some(State::Master) {
                        return Err(format!("S3: node {n} holds V{i} in state {:?}", self.state(*n, i)));
                    }
                }
                for n in &able {
                    if self.state(*n, i) == Some(State::Master) && !live.contains(n) {
                        return Err(format!("S1: node {n} is master of V{i} without its address"));
                    }
                }
                let preempts = self.nodes[0].config.instances[0].preempt;
                if let (true, Some(holder)) = (preempts, live.first()) {
                    let rank =
                        |n: usize| self.nodes[n].router.as_ref().and_then(|r| r.views().nth(i).map(|v| v.priority));
                    let best = able.iter().filter_map(|n| rank(*n)).max();
                    if rank(*holder) < best {
                        return Err(format!(
                            "S1: node {holder} ({:?}) holds V{i}, the election names {best:?}",
                            rank(*holder)
                        ));
                    }
                }
                // The winner learns of contention by one advert of the loser. If just that one is lost, clients wait until their
                // entries run out; so this is looked at after rounds without loss.
                if side == 0
                    && !self.lossy
                    && let Some(holder) = live.first()
                    && self.client[i].is_some_and(|n| n != *holder)
                {
                    return Err(format!("the client asks {:?} for V{i}, held by {holder}", self.client[i]));
                }
            }
            for n in &alive {
                let well = self.nodes[*n].links[..self.instances].iter().all(|l| *l) && self.nodes[*n].script_ok;
                for i in 0..self.instances {
                    if well && self.state(*n, i) == Some(State::Fault) {
                        return Err(format!("node {n} has no fault, but V{i} stays in FAULT"));
                    }
                }
            }
            if self.instances > 1 {
                for n in &alive {
                    let states: Vec<_> = (0..self.instances).map(|i| self.state(*n, i)).collect();
                    if states.windows(2).any(|w| w[0] != w[1]) {
                        return Err(format!("S4: members of the group on node {n} are {states:?}"));
                    }
                }
            }
        }
        Ok(())
    }

    /// The network of the client changes. Who does not hold the address any more on the client's side cannot be contended with, so
    /// nobody learns that he must announce himself: the client's entry runs out by itself. An entry of a live holder stays.
    fn client_moves(&mut self) {
        for i in 0..self.instances {
            let holders = self.holders(i, 0);
            self.client[i] = self.client[i].filter(|n| holders.contains(n) && self.state(*n, i) == Some(State::Master));
        }
    }

    /// One thing goes wrong, or is mended.
    fn fault(&mut self) {
        let n = self.rng.below(self.nodes.len() as u64) as usize;
        let kind = self.rng.below(13);
        let alive = self.nodes[n].router.is_some() && !self.nodes[n].frozen;
        match kind {
            0 if alive => {
                self.note(format!("FAULT node {n} loses power"));
                self.nodes[n].router = None;
                self.nodes[n].objects.clear();
            }
            1 if self.nodes[n].router.is_none() => self.start(n, false),
            2 if alive => {
                self.note(format!("FAULT the VRRP process of node {n} dies"));
                self.nodes[n].router = None;
                let down = Duration::from_millis(self.rng.below(30)).min(self.interval());
                self.run(down);
                self.start(n, true);
            }
            3 if alive => {
                self.note(format!("FAULT node {n} is frozen"));
                self.nodes[n].frozen = true;
                let down = self.down();
                let pause = Duration::from_nanos(self.rng.below(3 * down.as_nanos() as u64));
                self.run(pause);
                self.note(format!("node {n} wakes"));
                self.nodes[n].frozen = false;
                while let Some(f) = self.nodes[n].inbox.pop_front() {
                    self.deliver(f);
                }
                self.feed(n, |r, now, out| r.poll(now, out));
            }
            4 => {
                self.note("FAULT partition".into());
                self.client_moves();
                for s in 0..self.side.len() {
                    self.side[s] = self.rng.below(2) as u8;
                }
                self.client_moves();
            }
            5 => {
                self.note("the partition heals".into());
                self.client_moves();
                self.side.iter_mut().for_each(|s| *s = 0);
            }
            6 | 7 if self.nodes[n].router.is_some() => {
                let i = self.rng.below(self.instances as u64) as usize;
                let up = !self.nodes[n].links[i];
                self.note(format!("FAULT eth{i} of node {n} goes {}", if up { "up" } else { "down" }));
                self.nodes[n].links[i] = up;
                let link = self.link(n, i);
                self.feed(n, |r, now, out| r.handle(now, Input::Link(link), out));
            }
            8 if alive => {
                self.note(format!("node {n} is stopped in order"));
                self.feed(n, |r, now, out| r.handle(now, Input::Stop { keep_objects: false }, out));
            }
            9 => {
                self.nodes[n].script_ok = !self.nodes[n].script_ok;
                let ok = self.nodes[n].script_ok;
                self.note(format!("the script of node {n} {}", if ok { "succeeds again" } else { "fails" }));
            }
            10 if alive => {
                let i = self.rng.below(self.instances as u64) as usize;
                let address = virtual_address(self.family, i);
                if self.nodes[n].objects.remove(&address.to_string()) {
                    self.note(format!("somebody deletes the address of V{i} on node {n}"));
                    let config = self.nodes[n].config.instances[i].addresses[0].clone();
                    self.feed(n, |r, now, out| r.handle(now, Input::ObjectLost(&Object::Address(config)), out));
                }
            }
            11 if alive => {
                let priority = 50 + self.rng.below(4) as u8 * 50;
                self.note(format!("node {n} reloads, with priority {priority}"));
                self.nodes[n].config.instances.iter_mut().for_each(|c| c.priority = priority);
                let config = self.nodes[n].config.clone();
                let before = self.nodes[n].objects.clone();
                self.feed(n, |r, now, out| r.reload(now, config, out));
                let lost: Vec<_> = before.difference(&self.nodes[n].objects).collect();
                if !lost.is_empty() && !self.nodes[n].stopping {
                    self.broken = Some(format!("S7: a reload of node {n} dropped {lost:?}"));
                }
            }
            12 if alive => {
                self.note(format!("FAULT node {n} hears nobody"));
                self.deaf = Some(n);
                // Who hears nobody cannot hear that somebody contends.
                self.lossy = true;
                let down = self.down();
                let pause = Duration::from_nanos(self.rng.below(3 * down.as_nanos() as u64));
                self.run(pause);
                self.note(format!("node {n} hears again"));
                self.deaf = None;
            }
            _ => {}
        }
    }

    /// A whole history.
    pub fn play(seed: u64) -> Result<u64, Box<Failure>> {
        let mut world = World::new(seed);
        let mut result = Ok(());
        for _ in 0..8 {
            let lossy = world.rng.below(2) == 0;
            world.lossy = lossy;
            for _ in 0..1 + world.rng.below(3) {
                world.fault();
                let pause = Duration::from_nanos(world.rng.below(2 * world.down().as_nanos() as u64));
                world.loss_ppm = if lossy { [10_000, 200_000][world.rng.below(2) as usize] } else { 0 };
                world.run(pause);
            }
            world.loss_ppm = 0;
            let quiet = world.down() * 5 + Duration::from_secs(3);
            let before = world.adverts;
            world.run(quiet);
            let per_interval = quiet.as_nanos() / world.interval().as_nanos() + 20;
            let most =
                per_interval as u64 * 4 * world.nodes.len() as u64 * world.instances as u64 * world.nodes.len() as u64;
            result = world.check();
            if result.is_ok() && world.adverts - before > most {
                result = Err(format!("S8: {} adverts in {quiet:?}", world.adverts - before));
            }
            if result.is_err() {
                break;
            }
            if world.lossy {
                world.client.iter_mut().for_each(|c| *c = None);
            }
        }
        match result {
            Ok(()) => Ok(world.adverts),
            Err(what) => {
                let trace = world.trace.iter().cloned().collect::<Vec<_>>().join("\n");
                Err(Box::new(Failure { seed, what: format!("{} {what}", world.now), trace }))
            }
        }
    }
}
