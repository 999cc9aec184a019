//! Wall clocks that are set wrongly, and back, and machines that are started anew without memory, under authentication that depends
//! on both. The network is without a fault: at no time are there two masters.

use crate::Failure;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{Family, IpCidr, Mac, Rng, Secret, Time};
use steadfast_vrrp::{
    Auth, Config, Hmac, HmacMode, Input, InstanceConfig, Link, Output, Received, Router, Send, Version,
};

/// The right time at the beginning, in seconds since 1970.
const RIGHT: u64 = 1_800_000_000;

struct Node {
    router: Option<Router>,
    config: Config,
    /// Wall clock at time zero, in seconds since 1970.
    wall: u64,
    holds: bool,
}

/// One cluster on one link.
struct Cluster {
    now: Time,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(Time, u64, usize)>>,
    packets: Vec<Send>,
    rng: Rng,
    trace: Vec<String>,
}

fn address(last: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last as u8))
}

impl Cluster {
    fn new(seed: u64) -> Cluster {
        let mut rng = Rng::new(seed);
        let version = if rng.below(2) == 0 { Version::V2 } else { Version::V3 };
        let trailer = |monotonic| Hmac {
            keys: vec![(1, Secret::new(vec![1; 32]))],
            active: 1,
            window: Duration::from_secs(5),
            monotonic,
            mode: HmacMode::Enforce,
        };
        let mut c = InstanceConfig::new("V", "eth0", 51, Family::V4);
        c.version = version;
        match rng.below(3) {
            0 if version == Version::V2 => c.auth = Auth::Ah(Secret::new("secret")),
            1 => c.hmac = Some(trailer(true)),
            _ => c.hmac = Some(trailer(false)),
        }
        if version == Version::V3 {
            c.advert_interval = Duration::from_millis([10, 100, 1000][rng.below(3) as usize]);
        }
        c.preempt = rng.below(4) != 0;
        c.addresses = vec![Address::new(IpCidr { address: address(100), prefix: 24 }, "eth0")].into();
        let mut nodes = Vec::new();
        for _ in 0..2 + rng.below(4) {
            c.priority = 50 + rng.below(4) as u8 * 50;
            let config = Config { instances: vec![c.clone()], ..Config::default() };
            nodes.push(Node { router: None, config, wall: RIGHT, holds: false });
        }
        Cluster {
            now: Time::from_millis(1),
            nodes,
            queue: BinaryHeap::new(),
            packets: Vec::new(),
            rng,
            trace: Vec::new(),
        }
    }

    fn note(&mut self, text: String) {
        self.trace.push(format!("{} {text}", self.now));
    }

    fn down(&self) -> Duration {
        self.nodes[0].config.instances[0].advert_interval * 4
    }

    /// By an hour, by a day, to 1970, to 2103; or right.
    fn set_clock(&mut self, n: usize) {
        let choices = [RIGHT, RIGHT, RIGHT + 3600, RIGHT - 3600, RIGHT + 86_400, RIGHT - 86_400, 0, 4_200_000_000];
        self.nodes[n].wall = choices[self.rng.below(choices.len() as u64) as usize] + self.rng.below(3);
        self.note(format!("the clock of node {n} is set to {}", self.nodes[n].wall));
        self.tell_wall(n);
    }

    fn tell_wall(&mut self, n: usize) {
        let wall = Duration::from_secs(self.nodes[n].wall) + self.now.since(Time::ZERO);
        self.feed(n, |r, now, out| r.handle(now, Input::Wall(wall), out));
    }

    fn start(&mut self, n: usize) {
        self.note(format!("node {n} starts"));
        let mut out = Vec::new();
        let seed = self.rng.next_u64();
        self.nodes[n].router = Some(Router::new(self.nodes[n].config.clone(), seed, self.now, &mut out));
        self.tell_wall(n);
        let addresses = vec![IpCidr { address: address(n + 1), prefix: 24 }];
        let mac = Mac([2, 0, 0, 0, 0, n as u8]);
        let link = Link { name: "eth0".into(), index: 2, up: true, mtu: 1500, mac, addresses, vrf: false };
        self.feed(n, |r, now, out| {
            r.handle(now, Input::Link(link), out);
            r.poll(now, out);
        });
    }

    fn feed(&mut self, n: usize, work: impl FnOnce(&mut Router, Time, &mut Vec<Output>)) {
        let mut out = Vec::new();
        let now = self.now;
        let Some(router) = &mut self.nodes[n].router else { return };
        work(router, now, &mut out);
        for o in out {
            match o {
                Output::Send(s) => {
                    let at = self.packets.len() as u64;
                    for to in (0..self.nodes.len()).filter(|to| *to != n) {
                        let delay = Duration::from_micros(20 + self.rng.below(400));
                        self.queue.push(Reverse((now + delay, at, to)));
                    }
                    self.packets.push(s);
                }
                Output::Add(Object::Address(_)) => self.nodes[n].holds = true,
                Output::Remove(Object::Address(_)) => self.nodes[n].holds = false,
                Output::Log(_, text) => self.note(format!("node {n}: {text}")),
                _ => {}
            }
        }
    }

    fn run(&mut self, during: Duration) {
        let end = self.now + during;
        loop {
            let timer =
                (0..self.nodes.len()).filter_map(|n| Some((self.nodes[n].router.as_ref()?.poll_at()?, n))).min();
            let flight = self.queue.peek().map(|Reverse((at, ..))| *at);
            let Some(at) = timer.map(|t| t.0).into_iter().chain(flight).min().filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            if flight.is_some_and(|f| f <= at) {
                let Some(Reverse((_, packet, to))) = self.queue.pop() else { break };
                let s = self.packets[packet as usize].clone();
                let (header, payload) = s.payload.split_at(if s.whole { 20 } else { 0 });
                let received = Received {
                    interface: 2,
                    source: s.source,
                    destination: s.destination,
                    hop_limit: 255,
                    payload,
                    header: s.whole.then_some(header),
                };
                self.feed(to, |r, now, out| r.handle(now, Input::Packet(received), out));
            } else if let Some((_, n)) = timer {
                self.feed(n, |r, now, out| r.poll(now, out));
            }
        }
        self.now = end;
    }

    fn holders(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.nodes[*n].holds).collect()
    }

    /// Runs on. A second holder may not be there for longer than a contest takes that begins at one moment.
    fn run_alone(&mut self, during: Duration) -> Result<(), String> {
        let mut both = 0;
        for _ in 0..during.as_millis() {
            self.run(Duration::from_millis(1));
            both = if self.holders().len() > 1 { both + 1 } else { 0 };
            if both > 2 {
                return Err(format!("the address is held by {:?}", self.holders()));
            }
        }
        Ok(())
    }

    fn history(&mut self) -> Result<(), String> {
        (0..self.nodes.len()).for_each(|n| self.start(n));
        let calm = self.down() * 3 + Duration::from_secs(2);
        // they all start within one moment, and many of one priority argue for longer
        self.run(calm);
        for _ in 0..8 {
            let n = self.rng.below(self.nodes.len() as u64) as usize;
            if self.rng.below(2) == 0 {
                self.set_clock(n);
            } else {
                self.note(format!("node {n} loses power"));
                self.nodes[n].router = None;
                self.nodes[n].holds = false;
                let off = Duration::from_nanos(self.rng.below(calm.as_nanos() as u64));
                self.run_alone(off)?;
                self.set_clock(n);
                self.start(n);
            }
            let on = Duration::from_nanos(self.rng.below(calm.as_nanos() as u64));
            self.run_alone(on)?;
        }
        self.run_alone(calm)?;
        match self.holders().len() {
            1 => Ok(()),
            n => Err(format!("{n} hold the address in the end")),
        }
    }
}

/// A history that a seed chooses.
pub fn play(seed: u64) -> Result<(), Box<Failure>> {
    let mut cluster = Cluster::new(seed);
    cluster.history().map_err(|what| {
        let from = cluster.trace.len().saturating_sub(300);
        let trace = cluster.trace[from..].join("\n");
        Box::new(Failure { seed, what: format!("{} {what}", cluster.now), trace })
    })
}
