//! Whole clusters in virtual time: the real machine, the real watchdog and the real frames between them, a network that loses,
//! delays and doubles, and everything that goes wrong in a machine room. One seed is one history, always the same.
#![forbid(unsafe_code)]

mod check;
pub mod clocks;
mod faults;
mod kernel;
mod make;
mod node;
pub mod pairs;
pub mod single;

use make::{host, virtual_address};
use node::{Child, Died, Effect, Node, Parent};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{Family, IpCidr, Rng, State, Time};
use steadfast_ipc::encode;
use steadfast_supervisor::{End, Sequel, Watch};
use steadfast_vrrp::{Config, Input, Notice, Received, Router};

/// Lines of a trace that are kept, of adverts and of everything else.
const TRACE: usize = 300;
/// The parent looks this often.
const TICK: Duration = Duration::from_millis(500);

/// A packet under way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    to: usize,
    interface: u32,
    source: IpAddr,
    destination: IpAddr,
    payload: Vec<u8>,
}

/// Something that is going to happen.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Flight(Flight),
    /// The parent finds its pipe readable.
    ParentReads(usize),
    /// So does the child of this life, or finds its other pipe writable.
    ChildReads(usize, u64),
    /// The child's program has come as far as its loop.
    Exec(usize, u64),
    /// The parent hears that the child of this life has ended, and whether in order.
    Reaped(usize, u64, bool),
    /// What a dead life wrote arrives.
    Stale(usize, Vec<u8>),
    /// The parent's timer, which comes again or not.
    Tick(usize, bool),
    /// An interface has changed, as the kernel tells the child of this life.
    Changed(usize, u64, usize),
    /// An address was removed, as the kernel tells it.
    Removed(usize, u64, usize),
    /// The service manager starts the daemon.
    Manager(usize),
    /// The child hears that its parent is gone.
    Orphaned(usize, u64),
}

/// A cluster.
pub struct World {
    now: Time,
    nodes: Vec<Node>,
    queue: BinaryHeap<Reverse<(Time, u64, Event)>>,
    sequence: u64,
    /// What happens to whom stands still, in order.
    held: Vec<VecDeque<Event>>,
    /// Removed addresses that events speak of.
    removed: Vec<Object>,
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
    /// Processes that died.
    pub deaths: u64,
    /// Lives of children so far, which numbers them.
    lives: u64,
    /// The last events, and the last adverts among them, by number.
    trace: [VecDeque<(u64, String)>; 2],
    lines: u64,
    /// Packets were lost in this round.
    lossy: bool,
    /// A node that hears nobody, though all hear it.
    deaf: Option<usize>,
    /// Something that must not even happen for a moment has happened.
    broken: Option<String>,
    /// When something last went wrong or was changed.
    disturbed: Time,
    /// Since when each node is master of each instance, as it said.
    reigns: BTreeMap<(usize, usize), Time>,
    /// How often somebody became master.
    pub accessions: u64,
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

/// What a history came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Played {
    /// Adverts sent.
    pub adverts: u64,
    /// Deaths of processes.
    pub deaths: u64,
    /// Virtual time.
    pub lasted: Duration,
}

impl World {
    fn note(&mut self, text: String) {
        self.write(0, text);
    }

    fn write(&mut self, which: usize, text: String) {
        let (trace, number) = (&mut self.trace[which], self.lines);
        if trace.len() >= TRACE {
            trace.pop_front();
        }
        trace.push_back((number, format!("{} {text}", self.now)));
        self.lines += 1;
    }

    fn interval(&self) -> Duration {
        self.nodes[0].file.instances.first().map_or(Duration::from_secs(1), |c| c.advert_interval)
    }

    /// The longest master-down interval of the cluster.
    fn down(&self) -> Duration {
        self.interval() * 4
    }

    fn push(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((self.now + after, self.sequence, event)));
    }

    fn soon(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_micros(least + self.rng.below(most - least))
    }

    // ---- processes -----------------------------------------------------------------------------------------------------

    fn start_daemon(&mut self, n: usize) {
        if self.nodes[n].parent.is_some() || self.nodes[n].child.is_some() {
            return;
        }
        self.note(format!("node {n}: the daemon starts"));
        let config = encode(&self.nodes[n].file).expect("encodes");
        self.nodes[n].parent = Some(Parent::new(config));
        self.start_child(n);
        self.push(TICK, Event::Tick(n, true));
    }

    fn start_child(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        let Some(p) = &mut node.parent else { return };
        self.lives += 1;
        let epoch = self.lives;
        p.epoch = epoch;
        p.ward.started(now, epoch, &p.config).expect("fits into frames");
        node.down.clear();
        node.up.clear();
        p.flush(&mut node.down);
        node.child = Some(Child::new(epoch));
        let first = p.ward.watch.total() == 0 && !p.adopted;
        node.child.iter_mut().for_each(|c| c.first = first);
        self.note(format!("node {n}: life {epoch} begins"));
        let after = self.soon(500, 3000);
        self.push(after, Event::Exec(n, epoch));
    }

    /// Lets the child of a node do something, and sees to what follows.
    fn child(&mut self, n: usize, work: impl FnOnce(&mut Node, Time, &mut Vec<Effect>) -> Result<(), Died>) {
        if !self.nodes[n].child.as_ref().is_some_and(|c| c.runs) {
            return;
        }
        let mut fx = Vec::new();
        let result = work(&mut self.nodes[n], self.now, &mut fx);
        self.effects(n, fx);
        if result.is_err() && self.nodes[n].child.is_some() {
            self.nodes[n].torn = true;
            self.child_ends(n, false);
        }
        if !self.nodes[n].up.is_empty() {
            let after = self.soon(5, 300);
            self.push(after, Event::ParentReads(n));
        }
    }

    fn machine(&mut self, n: usize, work: impl FnOnce(&mut Router, Time, &mut Vec<steadfast_vrrp::Output>)) {
        self.child(n, |node, now, fx| node.turn(now, fx, |r, out| work(r, now, out)));
    }

    /// The child is no more.
    fn child_ends(&mut self, n: usize, in_order: bool) {
        let Some(c) = self.nodes[n].child.take() else { return };
        self.disturbed = if in_order { self.disturbed } else { self.now };
        self.note(format!("node {n}: life {} {}", c.epoch, if in_order { "ends" } else { "DIES" }));
        self.deaths += u64::from(!in_order);
        for i in 0..self.instances {
            self.reigns.remove(&(n, i));
        }
        self.held[n].retain(|e| !matches!(e, Event::Flight(_)));
        let after = self.soon(20, 500);
        self.push(after, Event::Reaped(n, c.epoch, in_order));
        if self.nodes[n].parent.is_none() {
            let after = self.soon(1_000_000, 3_000_000);
            self.push(after, Event::Manager(n));
        }
    }

    /// The parent takes what the child wrote.
    fn parent_reads(&mut self, n: usize) {
        let now = self.now;
        let node = &mut self.nodes[n];
        let frames: Vec<Vec<u8>> = node.up.drain(..).collect();
        let Some(p) = &mut node.parent else { return };
        for f in &frames {
            p.ward.heard(now, f).expect("a frame of the child's");
        }
        p.flush(&mut node.down);
        if let Some(c) = &node.child {
            let epoch = c.epoch;
            let after = self.soon(5, 300);
            self.push(after, Event::ChildReads(n, epoch));
        }
    }

    /// The parent hears of its child's end.
    fn reaped(&mut self, n: usize, in_order: bool) {
        let now = self.now;
        // What it said last is heard before its pipe is forgotten.
        let frames: Vec<Vec<u8>> = self.nodes[n].up.iter().cloned().collect();
        self.parent_reads(n);
        for f in frames {
            if self.rng.below(3) == 0 {
                let after = self.soon(100, 2_000_000);
                self.push(after, Event::Stale(n, f));
            }
        }
        let end = if in_order { End::Exited(0) } else { End::Signalled(11) };
        let Some(p) = &mut self.nodes[n].parent else { return };
        let stopping = p.stopping;
        let sequel = p.ward.ended(now, end, stopping);
        self.note(format!("node {n}: the parent says {sequel:?}"));
        match sequel {
            Sequel::Expected { withdraw } => {
                if withdraw {
                    self.withdraw(n, true);
                }
                self.nodes[n].parent = None;
            }
            Sequel::Restart { delay, withdraw, .. } => {
                if withdraw {
                    self.withdraw(n, false);
                }
                if delay >= Duration::from_secs(2) && (0..self.instances).any(|i| self.holds(n, i)) {
                    self.broken = Some(format!("{} node {n} is away for {delay:?} and holds addresses", self.now));
                }
                if delay.is_zero() {
                    self.start_child(n);
                } else {
                    self.push(delay, Event::Tick(n, false));
                }
            }
            Sequel::Stop { .. } => self.broken = Some(format!("node {n}: the parent gives up")),
            Sequel::Successor => self.broken = Some(format!("node {n}: a child wants a successor")),
        }
    }

    fn withdraw(&mut self, n: usize, all: bool) {
        self.note(format!("node {n}: what is left is withdrawn"));
        let Some(p) = &mut self.nodes[n].parent else { return };
        let mut link = steadfast_ipc::Link::new(p.epoch);
        let (mut inherited, mut config, mut end) = (Vec::new(), Config::default(), false);
        for f in p.ward.words_to_withdraw(p.epoch, &p.config, all, false) {
            use steadfast_ipc::{Message, Order, decode};
            match link.hear(&f) {
                Ok(Some(Order::Config(bytes))) => config = decode(&bytes).expect("own configuration"),
                Ok(Some(Order::Message(Message::Keep { bytes, .. }))) => {
                    inherited.extend(decode::<Object>(&bytes).ok())
                }
                Ok(Some(Order::Message(Message::Stop { .. }))) => end = true,
                _ => {}
            }
        }
        inherited.extend(self.nodes[n].record.take().unwrap_or_default());
        let mut fx = Vec::new();
        self.nodes[n].withdraw(config, &inherited, end, &mut fx);
        self.effects(n, fx);
    }

    fn tick(&mut self, n: usize) {
        let now = self.now;
        let Some(p) = &mut self.nodes[n].parent else { return };
        let due = p.ward.due().is_some_and(|at| at <= now);
        let watch = p.ward.watch(now);
        if due && self.nodes[n].child.is_none() {
            if let Some(p) = &mut self.nodes[n].parent {
                p.ward.is_not_due();
            }
            self.start_child(n);
        }
        let stuck = self.nodes[n].child.as_ref().is_some_and(|c| c.frozen);
        match watch {
            // Here SIGKILL ends a process always.
            Watch::Fine | Watch::Stuck => {}
            // Who is stopped by a debugger does not even end at SIGABRT.
            Watch::Abort if stuck && self.rng.below(2) == 0 => {
                self.note(format!("node {n}: SIGABRT, which waits"));
                self.nodes[n].child.iter_mut().for_each(|c| c.doomed = true);
            }
            Watch::Abort | Watch::Kill => {
                self.note(format!("node {n}: the child does not answer and is ended"));
                self.child_ends(n, false);
            }
        }
    }

    // ---- what a turn leads to ------------------------------------------------------------------------------------------

    fn effects(&mut self, n: usize, fx: Vec<Effect>) {
        let epoch = self.nodes[n].child.as_ref().map_or(0, |c| c.epoch);
        for effect in fx {
            match effect {
                Effect::Send(s) => self.send(n, &s),
                Effect::Announce(address) => {
                    // The client sits on side 0.
                    for i in 0..self.instances {
                        if virtual_address(self.family, i) == address && self.side[n] == 0 && self.nodes[n].links[i] {
                            self.client[i] = Some(n);
                        }
                    }
                }
                Effect::Notice(name, notice) => {
                    self.note(format!("node {n}: {name} {}", notice.word()));
                    let i = usize::from(name == "V1");
                    if notice == Notice::Master {
                        self.accessions += 1;
                        self.reigns.insert((n, i), self.now);
                    } else if matches!(notice, Notice::Backup | Notice::Fault | Notice::Stop | Notice::Deleted) {
                        self.reigns.remove(&(n, i));
                    }
                }
                Effect::Log(text) => self.write(1, format!("node {n}: {text}")),
                Effect::Changed(interface) => {
                    let after = self.soon(5, 100);
                    self.push(after, Event::Changed(n, epoch, usize::from(interface == "eth1")));
                }
                Effect::Removed(o) => {
                    self.removed.push(o);
                    let after = self.soon(5, 100);
                    self.push(after, Event::Removed(n, epoch, self.removed.len() - 1));
                }
                Effect::Dropped(lost) => self.broken = Some(format!("S7: a reload of node {n} dropped {lost:?}")),
                Effect::Ended => self.child_ends(n, true),
            }
        }
    }

    fn send(&mut self, n: usize, s: &steadfast_vrrp::Send) {
        self.adverts += 1;
        let i = s.interface as usize - 1;
        if !self.nodes[n].links[i] {
            return;
        }
        self.write(1, format!("node {n} sends priority {} on eth{i}", s.payload[2]));
        if s.payload[2] > 0 {
            self.look_at_losers(n, i);
        }
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
                let after = self.soon(20, 420);
                let (interface, source, destination) = (s.interface, s.source, s.destination);
                let payload = s.payload.clone();
                self.push(after, Event::Flight(Flight { to, interface, source, destination, payload }));
            }
        }
    }

    /// Lets time pass.
    pub fn run(&mut self, during: Duration) {
        let end = self.now + during;
        loop {
            let due = |n: &Node| if n.runs() { n.child.as_ref().and_then(Child::due) } else { None };
            let timer = self.nodes.iter().enumerate().filter_map(|(n, node)| Some((due(node)?, n))).min();
            let event = self.queue.peek().map(|Reverse((at, ..))| *at);
            let next = timer.map(|t| t.0).into_iter().chain(event).min();
            let Some(at) = next.filter(|at| *at <= end) else { break };
            self.now = at.max(self.now);
            // As in the daemon's loop: packets before timers.
            if event.is_some_and(|e| e <= at) {
                if let Some(Reverse((_, _, event))) = self.queue.pop() {
                    self.happen(event);
                }
            } else if let Some((_, n)) = timer {
                self.machine(n, |_, _, _| {});
            }
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        let (n, of_child) = match &event {
            Event::Flight(f) => (f.to, true),
            Event::ChildReads(n, _) | Event::Exec(n, _) | Event::Changed(n, ..) | Event::Removed(n, ..) => (*n, true),
            Event::Orphaned(n, _) => (*n, true),
            Event::ParentReads(n) | Event::Reaped(n, ..) | Event::Stale(n, _) | Event::Tick(n, _) => (*n, false),
            Event::Manager(n) => (*n, false),
        };
        let node = &self.nodes[n];
        let halted = match of_child {
            true => node.child.as_ref().is_some_and(|c| c.frozen),
            false => node.parent.as_ref().is_some_and(|p| p.frozen),
        };
        if node.frozen || halted {
            self.held[n].push_back(event);
            return;
        }
        let lives = |epoch: u64| node.child.as_ref().is_some_and(|c| c.epoch == epoch);
        match event {
            Event::Flight(f) => self.deliver(f),
            Event::ParentReads(n) => self.parent_reads(n),
            Event::ChildReads(n, epoch) if lives(epoch) => {
                let seed = self.rng.next_u64();
                self.child(n, |node, now, fx| node.orders(now, seed, false, fx));
            }
            Event::Exec(n, epoch) if lives(epoch) => {
                let poisoned = self.nodes[n].poison.checked_sub(1).map(|left| (left, self.rng.below(40) as u32));
                if let Some(c) = &mut self.nodes[n].child {
                    // What an earlier daemon left is kept until a master is heard from now on.
                    self.disturbed = if c.first { self.now } else { self.disturbed };
                    c.runs = true;
                    c.fuse = c.fuse.or(poisoned.map(|p| p.1));
                }
                self.nodes[n].poison = poisoned.map_or(0, |p| p.0);
                let seed = self.rng.next_u64();
                let orphan = self.nodes[n].parent.is_none();
                self.child(n, |node, now, fx| node.orders(now, seed, orphan, fx));
                // What waited for room in the pipe.
                let after = self.soon(5, 300);
                self.push(after, Event::ParentReads(n));
            }
            Event::Orphaned(n, epoch) if lives(epoch) => {
                let seed = self.rng.next_u64();
                self.child(n, |node, now, fx| node.orders(now, seed, true, fx));
            }
            Event::Reaped(n, epoch, in_order)
                if node.child.is_none() && node.parent.as_ref().is_some_and(|p| p.epoch == epoch) =>
            {
                self.reaped(n, in_order);
            }
            Event::Stale(n, frame) => {
                if let Some(p) = &mut self.nodes[n].parent {
                    p.ward.heard(self.now, &frame).expect("a frame of a child's");
                }
            }
            Event::Tick(n, again) if self.nodes[n].parent.is_some() => {
                self.tick(n);
                if again {
                    self.push(TICK, Event::Tick(n, true));
                }
            }
            Event::Changed(n, epoch, i) if lives(epoch) => {
                let link = self.nodes[n].link(i);
                self.machine(n, |r, now, out| r.handle(now, Input::Link(link), out));
            }
            Event::Removed(n, epoch, which) if lives(epoch) => {
                let o = self.removed[which].clone();
                self.child(n, |node, now, fx| node.lost(now, &o, fx));
            }
            Event::Manager(n) => self.start_daemon(n),
            _ => {}
        }
    }

    fn deliver(&mut self, f: Flight) {
        if !self.nodes[f.to].links[f.interface as usize - 1] {
            return;
        }
        self.machine(f.to, |r, now, out| {
            let packet = Received {
                interface: f.interface,
                source: f.source,
                destination: f.destination,
                hop_limit: 255,
                header: None,
                payload: &f.payload,
            };
            r.handle(now, Input::Packet(packet), out);
        });
    }

    // ---- views ---------------------------------------------------------------------------------------------------------

    fn holds(&self, n: usize, i: usize) -> bool {
        let address = virtual_address(self.family, i);
        self.nodes[n].kernel.has(&Object::Address(Address::new(IpCidr { address, prefix: 24 }, format!("eth{i}"))))
    }

    fn holders(&self, i: usize, side: u8) -> Vec<usize> {
        (0..self.nodes.len()).filter(|n| self.side[*n] == side && self.holds(*n, i)).collect()
    }

    fn view(&self, n: usize, i: usize) -> Option<(State, u8)> {
        let mut views = self.nodes[n].router()?.views();
        views.find(|v| v.config.vrid == 10 + i as u8).map(|v| (v.state, v.priority))
    }

    fn state(&self, n: usize, i: usize) -> Option<State> {
        self.view(n, i).map(|v| v.0)
    }
}
