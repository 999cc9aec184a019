//! A handful of routers on one link in virtual time, for the tests of this crate.

use crate::*;
use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{Family, IpCidr, Mac, State, Time};

pub const LATENCY: Duration = Duration::from_micros(200);

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

pub fn cidr(text: &str) -> IpCidr {
    text.parse().expect("cidr")
}

pub fn t(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// Source address of node `n` on link `link`.
pub fn addr(link: usize, n: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, link as u8, n as u8 + 1))
}

pub fn link(index: u32, name: &str, up: bool, addresses: &[IpAddr]) -> Link {
    Link {
        name: name.into(),
        index,
        up,
        mtu: 1500,
        mac: Mac([2, 0, 0, 0, 0, index as u8]),
        addresses: addresses
            .iter()
            .map(|a| IpCidr { address: *a, prefix: if a.is_ipv4() { 24 } else { 64 } })
            .collect(),
        vrf: false,
    }
}

/// A plain instance on `eth<link>` with one virtual address.
pub fn instance(name: &str, n: usize, vrid: u8, priority: u8) -> InstanceConfig {
    let mut c = InstanceConfig::new(name, &format!("eth{n}"), vrid, Family::V4);
    c.priority = priority;
    c.addresses = vec![Address::new(cidr(&format!("10.0.{n}.{}/24", 100 + u32::from(vrid))), format!("eth{n}"))].into();
    c
}

pub fn one(c: InstanceConfig) -> Config {
    Config { instances: vec![c], ..Config::default() }
}

/// One router alone, fed by hand.
pub struct Solo {
    pub router: Router,
    pub out: Vec<Output>,
    pub now: Time,
}

pub const PEER: &str = "10.0.0.9";
pub const LOW_PEER: &str = "10.0.0.0";

impl Solo {
    /// On eth0 (index 2) and eth1 (index 3), both up, addresses 10.0.0.1 and 10.0.1.1.
    pub fn new(config: Config) -> Solo {
        let mut out = Vec::new();
        let router = Router::new(config, 1, t(0), &mut out);
        let mut solo = Solo { router, out, now: t(0) };
        solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
        solo.input(Input::Link(link(3, "eth1", true, &[addr(1, 0)])));
        solo.router.poll(t(0), &mut solo.out);
        solo
    }

    /// As [`Solo::new`], and run until it is master, output thrown away.
    pub fn master(config: Config) -> Solo {
        let mut solo = Solo::new(config);
        solo.run_to_master();
        solo
    }

    pub fn run_to_master(&mut self) {
        for _ in 0..2000 {
            if self.state() == State::Master {
                break;
            }
            let at = self.router.poll_at().expect("a timer");
            self.now = self.now.max(at);
            self.router.poll(self.now, &mut self.out);
        }
        assert_eq!(self.state(), State::Master);
        self.out.clear();
    }

    pub fn input(&mut self, input: Input<'_>) {
        self.router.handle(self.now, input, &mut self.out);
    }

    /// Runs the clock on, firing timers at their time.
    pub fn run(&mut self, d: Duration) {
        let end = self.now + d;
        while let Some(at) = self.router.poll_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.router.poll(self.now, &mut self.out);
        }
        self.now = end;
    }

    pub fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    pub fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    pub fn view(&self) -> View<'_> {
        self.router.views().next().expect("an instance")
    }

    pub fn state(&self) -> State {
        self.view().state
    }

    pub fn states(&self) -> Vec<State> {
        self.router.views().map(|v| v.state).collect()
    }

    /// An advert for the first instance from `from` with `priority`.
    pub fn hear(&mut self, from: &str, priority: u8) {
        let packet = self.packet(from, priority, |_| {});
        self.receive(from, 255, &packet);
    }

    /// The same for the n-th instance.
    pub fn hear_nth(&mut self, n: usize, from: &str, priority: u8) {
        let v = self.router.views().nth(n).expect("instance");
        let (c, source) = (v.config.clone(), ip(from));
        let payload = advert_for(&c, priority).emit(form_of(&c), source, c.group);
        let interface = if c.interface == "eth0" { 2 } else { 3 };
        self.input(Input::Packet(Received {
            interface,
            source,
            destination: c.group,
            hop_limit: 255,
            payload: &payload,
            header: None,
        }));
    }

    /// The bytes of an advert that fits the first instance, changed by `change`.
    pub fn packet(&self, from: &str, priority: u8, change: impl FnOnce(&mut wire::Advert)) -> Vec<u8> {
        let c = self.view().config.clone();
        let mut advert = advert_for(&c, priority);
        change(&mut advert);
        let destination = self.destination();
        advert.emit(form_of(&c), ip(from), destination)
    }

    pub fn destination(&self) -> IpAddr {
        let v = self.view();
        if v.config.unicast.is_some() { v.source.expect("source") } else { v.config.group }
    }

    pub fn receive(&mut self, from: &str, hop_limit: u8, payload: &[u8]) {
        let destination = self.destination();
        let packet = Received { interface: 2, source: ip(from), destination, hop_limit, payload, header: None };
        self.input(Input::Packet(packet));
    }
}

pub fn advert_for(c: &InstanceConfig, priority: u8) -> wire::Advert {
    wire::Advert {
        version: c.version,
        vrid: c.vrid,
        priority,
        interval: c.advert_interval,
        addresses: c.addresses.iter().map(|a| a.cidr.address).collect(),
        auth: c.auth.clone(),
    }
}

pub fn form_of(c: &InstanceConfig) -> wire::ChecksumForm {
    if c.version == Version::V2 && c.family == Family::V4 {
        wire::ChecksumForm::Plain
    } else {
        wire::ChecksumForm::Pseudo
    }
}

/// Priorities of the adverts in an output.
pub fn sent(out: &[Output]) -> Vec<u8> {
    out.iter().filter_map(|o| if let Output::Send(s) = o { s.payload.get(2).copied() } else { None }).collect()
}

pub fn announced(out: &[Output]) -> usize {
    out.iter().filter(|o| matches!(o, Output::Announce { .. })).count()
}

pub fn added(out: &[Output]) -> usize {
    out.iter().filter(|o| matches!(o, Output::Add(_))).count()
}

pub fn removed(out: &[Output]) -> usize {
    out.iter().filter(|o| matches!(o, Output::Remove(_))).count()
}

pub fn logs(out: &[Output]) -> Vec<&str> {
    out.iter().filter_map(|o| if let Output::Log(_, s) = o { Some(s.as_str()) } else { None }).collect()
}

/// Notices as `NAME WORD`, groups as `[NAME] WORD`.
pub fn notices(out: &[Output]) -> Vec<String> {
    out.iter()
        .filter_map(|o| match o {
            Output::Instance { name, notice, .. } => Some(format!("{name} {}", notice.word())),
            Output::Group { name, notice } => Some(format!("[{name}] {}", notice.word())),
            _ => None,
        })
        .collect()
}

/// What was sent, as it comes in by an interface.
pub fn received(s: &Send, interface: u32) -> Received<'_> {
    let (header, payload) = s.payload.split_at(if s.whole { wire::ah::IP_HEADER } else { 0 });
    Received {
        interface,
        source: s.source,
        destination: s.destination,
        hop_limit: s.hop_limit,
        payload,
        header: s.whole.then_some(header),
    }
}

/// A router in a [`Net`].
pub struct Node {
    pub router: Option<Router>,
    pub config: Config,
    pub held: HashSet<Object>,
    pub stopped: bool,
    /// Links that are up, by number.
    pub links: Vec<bool>,
    /// Everything that came out, with its time.
    pub log: Vec<(Time, Output)>,
    /// Wall clock at time zero, in seconds since 1970.
    pub wall: u64,
    /// Asleep: input waits.
    pub paused: bool,
    pub inbox: Vec<(usize, Send)>,
}

/// Routers on links eth0, eth1, ... (index 2, 3, ...), multicast only, with a fixed latency.
pub struct Net {
    pub now: Time,
    pub nodes: Vec<Node>,
    queue: BTreeMap<(Time, u64), (usize, usize, usize, Send)>,
    sequence: u64,
    /// Pairs that cannot hear each other, on all links.
    pub cut: HashSet<(usize, usize)>,
}

impl Net {
    pub fn new(configs: Vec<Config>) -> Net {
        let mut net = Net { now: t(1000), nodes: Vec::new(), queue: BTreeMap::new(), sequence: 0, cut: HashSet::new() };
        for config in configs {
            net.nodes.push(Node {
                router: None,
                config,
                held: HashSet::new(),
                stopped: false,
                links: vec![true, true],
                log: Vec::new(),
                wall: 1_800_000_000,
                paused: false,
                inbox: Vec::new(),
            });
        }
        for n in 0..net.nodes.len() {
            net.start(n);
        }
        net
    }

    pub fn pair(a: u8, b: u8) -> Net {
        Net::new(vec![one(instance("VI", 0, 51, a)), one(instance("VI", 0, 51, b))])
    }

    pub fn start(&mut self, n: usize) {
        let mut out = Vec::new();
        let config = self.nodes[n].config.clone();
        let mut router = Router::new(config, n as u64, self.now, &mut out);
        router.handle(self.now, Input::Wall(self.wall(n)), &mut out);
        for l in 0..2 {
            let up = self.nodes[n].links[l];
            router.handle(self.now, Input::Link(link(l as u32 + 2, &format!("eth{l}"), up, &[addr(l, n)])), &mut out);
        }
        router.poll(self.now, &mut out);
        self.nodes[n].router = Some(router);
        self.nodes[n].stopped = false;
        self.carry_out(n, out);
    }

    /// The wall clock of a node.
    pub fn wall(&self, n: usize) -> Duration {
        Duration::from_secs(self.nodes[n].wall) + self.now.since(Time::ZERO)
    }

    /// Somebody sets it.
    pub fn set_wall(&mut self, n: usize, wall: u64) {
        self.nodes[n].wall = wall;
        let wall = self.wall(n);
        self.input(n, Input::Wall(wall));
    }

    pub fn crash(&mut self, n: usize) {
        self.nodes[n].router = None;
        self.nodes[n].held.clear();
    }

    pub fn stop(&mut self, n: usize) {
        self.input(n, Input::Stop { keep_objects: false });
    }

    pub fn input(&mut self, n: usize, input: Input<'_>) {
        let mut out = Vec::new();
        if let Some(r) = &mut self.nodes[n].router {
            r.handle(self.now, input, &mut out);
        }
        self.carry_out(n, out);
    }

    pub fn reload(&mut self, n: usize, config: Config) {
        let mut out = Vec::new();
        if let Some(r) = &mut self.nodes[n].router {
            r.reload(self.now, config.clone(), &mut out);
        }
        self.nodes[n].config = config;
        self.carry_out(n, out);
    }

    pub fn set_link(&mut self, n: usize, l: usize, up: bool) {
        self.nodes[n].links[l] = up;
        self.input(n, Input::Link(link(l as u32 + 2, &format!("eth{l}"), up, &[addr(l, n)])));
    }

    fn carry_out(&mut self, n: usize, out: Vec<Output>) {
        for o in out {
            match &o {
                Output::Add(object) => {
                    self.nodes[n].held.insert(object.clone());
                }
                Output::Remove(object) => {
                    self.nodes[n].held.remove(object);
                }
                Output::Replace(old, object) => {
                    self.nodes[n].held.remove(old);
                    self.nodes[n].held.insert(object.clone());
                }
                Output::Stopped => self.nodes[n].stopped = true,
                Output::Send(s) => {
                    let l = s.interface as usize - 2;
                    for m in 0..self.nodes.len() {
                        let cut = self.cut.contains(&(n, m)) || self.cut.contains(&(m, n));
                        if m != n && !cut && self.nodes[n].links[l] {
                            self.sequence += 1;
                            self.queue.insert((self.now + LATENCY, self.sequence), (n, m, l, s.clone()));
                        }
                    }
                }
                _ => {}
            }
            self.nodes[n].log.push((self.now, o));
        }
    }

    fn deliver(&mut self, m: usize, l: usize, s: &Send) {
        if self.nodes[m].paused {
            self.nodes[m].inbox.push((l, s.clone()));
            return;
        }
        if self.nodes[m].links[l] {
            self.input(m, Input::Packet(received(s, l as u32 + 2)));
        }
    }

    /// Wakes a sleeper: what has queued up comes first, then its timers.
    pub fn wake(&mut self, n: usize) {
        self.nodes[n].paused = false;
        for (l, s) in std::mem::take(&mut self.nodes[n].inbox) {
            self.deliver(n, l, &s);
        }
    }

    fn next_event(&self) -> Option<Time> {
        let timers =
            self.nodes.iter().filter(|n| !n.paused).filter_map(|n| n.router.as_ref().and_then(Router::poll_at));
        timers.chain(self.queue.keys().next().map(|k| k.0)).min()
    }

    /// One event, if there is one until `end`.
    fn step(&mut self, end: Time) -> bool {
        let Some(at) = self.next_event().filter(|at| *at <= end) else { return false };
        self.now = self.now.max(at);
        while let Some((&key, _)) = self.queue.iter().next().filter(|(k, _)| k.0 <= self.now) {
            let (_, m, l, s) = self.queue.remove(&key).expect("just seen");
            self.deliver(m, l, &s);
        }
        for n in 0..self.nodes.len() {
            let mut out = Vec::new();
            if !self.nodes[n].paused
                && let Some(r) = &mut self.nodes[n].router
            {
                r.poll(self.now, &mut out);
            }
            self.carry_out(n, out);
        }
        true
    }

    pub fn run_for(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.step(end) {}
        self.now = end;
    }

    pub fn run_until(&mut self, ms: u64, done: impl Fn(&Net) -> bool) {
        let end = self.now + Duration::from_millis(ms);
        while !done(self) {
            assert!(self.step(end), "not within {ms} ms; states {:?}", self.states());
        }
    }

    pub fn state(&self, n: usize) -> State {
        self.nodes[n].router.as_ref().map_or(State::Init, |r| r.views().next().expect("instance").state)
    }

    pub fn states(&self) -> Vec<State> {
        (0..self.nodes.len()).map(|n| self.state(n)).collect()
    }

    pub fn holds(&self, n: usize) -> bool {
        !self.nodes[n].held.is_empty()
    }

    pub fn stopped(&self, n: usize) -> bool {
        self.nodes[n].stopped
    }

    /// When node `n` first did this since `from`.
    pub fn when(&self, n: usize, from: Time, what: impl Fn(&Output) -> bool) -> Option<Time> {
        self.nodes[n].log.iter().find(|(at, o)| *at >= from && what(o)).map(|(at, _)| *at)
    }

    pub fn last(&self, n: usize, what: impl Fn(&Output) -> bool) -> Option<Time> {
        self.nodes[n].log.iter().rev().find(|(_, o)| what(o)).map(|(at, _)| *at)
    }

    pub fn outputs_since(&self, n: usize, from: Time) -> Vec<Output> {
        self.nodes[n].log.iter().filter(|(at, _)| *at >= from).map(|(_, o)| o.clone()).collect()
    }
}
