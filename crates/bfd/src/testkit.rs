//! Two hosts on a wire in virtual time.

use crate::wire::Packet;
use crate::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Time;

pub const LATENCY: Duration = Duration::from_micros(200);

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("address")
}

pub fn t(ms: u64) -> Time {
    Time::from_millis(ms)
}

/// Address of host 0 or 1.
pub fn host(n: usize) -> IpAddr {
    ip(["10.0.0.1", "10.0.0.2"][n])
}

/// The session `s` of host `n` with the other, of 10 ms x 3.
pub fn session(n: usize) -> SessionConfig {
    SessionConfig { multiplier: 3, ..SessionConfig::new("s", host(1 - n)) }
}

/// A packet as it was seen on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub at: Time,
    pub from: usize,
    pub packet: Packet,
}

/// Two hosts. `None`: that one is not there.
pub struct World {
    pub now: Time,
    pub hosts: [Option<Sessions>; 2],
    wire: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    number: u64,
    /// Nothing from host 0, or host 1, arrives.
    pub cut: [bool; 2],
    pub ttl: u8,
    pub seen: Vec<Seen>,
    /// What clients were told, by host.
    pub told: [Vec<(Time, bool)>; 2],
    pub logs: [Vec<String>; 2],
    pub kept: [BTreeMap<String, Snapshot>; 2],
    pub opened: [Vec<Open>; 2],
    pub stopped: [bool; 2],
    /// The last packet that host 0 heard.
    pub last_of_peer: Packet,
    /// Changes a packet on its way.
    pub forge: fn(usize, &mut Packet),
}

impl World {
    pub fn new(a: SessionConfig, b: SessionConfig) -> World {
        let mut w = World {
            now: t(1000),
            hosts: [None, None],
            wire: BTreeMap::new(),
            number: 0,
            cut: [false; 2],
            ttl: 255,
            seen: Vec::new(),
            told: Default::default(),
            logs: Default::default(),
            kept: Default::default(),
            opened: Default::default(),
            stopped: [false; 2],
            last_of_peer: Packet::parse(&[
                0x20, 0x40, 1, 24, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ])
            .expect("packet"),
            forge: |_, _| {},
        };
        w.boot(0, a);
        w.boot(1, b);
        w
    }

    /// Starts a host; with what its predecessor kept, if anything.
    pub fn boot(&mut self, n: usize, c: SessionConfig) {
        let mut out = Vec::new();
        let kept: Vec<Snapshot> = self.kept[n].values().cloned().collect();
        let config = Config { sessions: vec![c] };
        let seed = self.now.as_nanos() + n as u64;
        self.hosts[n] = Some(Sessions::restore(config, &kept, seed, self.now, &mut out));
        self.act(n, out);
    }

    pub fn reload(&mut self, n: usize, sessions: Vec<SessionConfig>) {
        let mut out = Vec::new();
        self.hosts[n].as_mut().expect("host").reload(Config { sessions }, self.now, &mut out);
        self.act(n, out);
    }

    pub fn tell(&mut self, n: usize, input: Input<'_>) {
        let mut out = Vec::new();
        self.hosts[n].as_mut().expect("host").handle(self.now, input, &mut out);
        self.act(n, out);
    }

    /// A packet from the other host, or what somebody forges as such.
    pub fn receive(&mut self, n: usize, bytes: &[u8], hop_limit: u8) {
        let (source, destination) = (host(1 - n), host(n));
        self.tell(n, Input::Packet(Received { source, destination, hop_limit, multihop: false, payload: bytes }));
    }

    fn act(&mut self, n: usize, out: Vec<Output>) {
        for o in out {
            match o {
                Output::Send { payload, .. } => {
                    let mut packet = Packet::parse(&payload).expect("own packet");
                    self.seen.push(Seen { at: self.now, from: n, packet });
                    (self.forge)(n, &mut packet);
                    self.number += 1;
                    if !self.cut[n] {
                        self.wire.insert((self.now + LATENCY, self.number), (1 - n, packet.emit().to_vec()));
                    }
                }
                Output::Told { up, .. } => self.told[n].push((self.now, up)),
                Output::Log(_, text) => self.logs[n].push(text),
                Output::Keep(s) => drop(self.kept[n].insert(s.name.clone(), *s)),
                Output::Forget(name) => drop(self.kept[n].remove(&name)),
                Output::Open(o) => self.opened[n].push(o),
                Output::Stopped => self.stopped[n] = true,
                Output::Close(_) => {}
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        loop {
            let packet = self.wire.keys().next().map(|(at, _)| *at);
            let timer = self.hosts.iter().flatten().filter_map(Sessions::poll_at).min();
            let Some(at) = packet.into_iter().chain(timer).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(at);
            while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
                let (to, bytes) = entry.remove();
                if to == 0 {
                    self.last_of_peer = Packet::parse(&bytes).expect("own packet");
                }
                if self.hosts[to].is_some() {
                    self.receive(to, &bytes, self.ttl);
                }
            }
            for n in 0..2 {
                let mut out = Vec::new();
                if let Some(h) = &mut self.hosts[n] {
                    h.poll(self.now, &mut out);
                }
                self.act(n, out);
            }
        }
        self.now = end;
    }

    pub fn view(&self, n: usize) -> View<'_> {
        self.hosts[n].as_ref().and_then(|h| h.views().next()).expect("session")
    }

    pub fn states(&self) -> (State, State) {
        (self.view(0).state, self.view(1).state)
    }

    /// What host `n` sent since the last call.
    pub fn sent(&mut self, n: usize) -> Vec<Seen> {
        let all = std::mem::take(&mut self.seen);
        all.into_iter().filter(|s| s.from == n).collect()
    }

    /// Two hosts whose session is up and whose intervals are agreed on.
    pub fn up(a: SessionConfig, b: SessionConfig) -> World {
        let mut w = World::new(a, b);
        w.run(5000);
        assert_eq!(w.states(), (State::Up, State::Up), "{:?}", w.logs);
        w.seen.clear();
        w
    }
}
