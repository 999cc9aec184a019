//! One host: its kernel, the parent process, the VRRP child, and the two pipes between them. The child is driven as the daemon's own
//! loop drives it, with the real frames; each thing that it carries out and each frame that it writes is a step at which it may die.

use crate::kernel::Kernel;
use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::{Address, Block, Object};
use steadfast_core::{IpCidr, Mac, Name, State, Time};
use steadfast_ipc::{Keeping, Message, Order, decode, encode, object_key};
use steadfast_supervisor::{Memory, Ward};
use steadfast_vrrp::{Config, Input, InstanceConfig, Link, Notice, Output, Router, ScriptEnd, Send, Snapshot};

/// Packets in a pipe at most, as in Linux.
const PIPE: usize = 16;
const BEAT: Duration = Duration::from_secs(1);

/// A process has died in the middle of a turn.
#[derive(Debug)]
pub(crate) struct Died;

/// What a turn of the child does to the world outside of the host.
pub(crate) enum Effect {
    Send(Send),
    Announce(IpAddr),
    Notice(String, Notice),
    Log(String),
    /// Something on an interface has changed.
    Changed(String),
    /// An address was removed, by whomever.
    Removed(Object),
    /// A reload took effect; what it may not have dropped is gone.
    Dropped(Vec<String>),
    /// It ended in order.
    Ended,
}

/// The VRRP child.
pub(crate) struct Child {
    pub epoch: u64,
    /// The program has come as far as its loop.
    pub runs: bool,
    pub frozen: bool,
    /// A signal waits until it goes on, and ends it then.
    pub doomed: bool,
    /// Steps until it dies.
    pub fuse: Option<u32>,
    pub router: Option<Router>,
    pub leaving: bool,
    /// The first one of its daemon.
    pub first: bool,
    link: steadfast_ipc::Link,
    keeping: Keeping,
    snapshots: Vec<Snapshot>,
    inherited: Vec<Object>,
    owned: HashSet<Object>,
    /// They are others than the record says.
    changed: bool,
    out: Vec<Output>,
    pub beat: Time,
    beats: u32,
    dirty: bool,
}

/// The parent.
pub(crate) struct Parent {
    pub ward: Ward,
    pub config: Vec<u8>,
    pub epoch: u64,
    pub stopping: bool,
    pub frozen: bool,
    /// It took over from an older program.
    pub adopted: bool,
}

/// One host.
pub(crate) struct Node {
    pub kernel: Kernel,
    pub parent: Option<Parent>,
    pub child: Option<Child>,
    /// Frames from the child to the parent.
    pub up: VecDeque<Vec<u8>>,
    /// And from the parent to the child.
    pub down: VecDeque<Vec<u8>>,
    /// The configuration file.
    pub file: Config,
    /// The file that says what is in the kernel, for the case that both processes die. It is for this boot.
    pub record: Option<Vec<Object>>,
    /// A process died before it had written that.
    pub torn: bool,
    /// All instances that it ever has.
    pub whole: Vec<InstanceConfig>,
    /// Lives that are going to die early.
    pub poison: u32,
    pub links: [bool; 2],
    /// Its own address on each link.
    pub own: IpCidr,
    pub mac: Mac,
    pub script_ok: bool,
    /// The whole host stands still.
    pub frozen: bool,
}

impl Child {
    /// A process that was just forked.
    pub fn new(epoch: u64) -> Child {
        Child {
            epoch,
            runs: false,
            frozen: false,
            doomed: false,
            fuse: None,
            router: None,
            leaving: false,
            first: false,
            link: steadfast_ipc::Link::new(epoch),
            keeping: Keeping::default(),
            snapshots: Vec::new(),
            inherited: Vec::new(),
            owned: HashSet::new(),
            changed: true,
            out: Vec::new(),
            beat: Time::ZERO,
            beats: 0,
            dirty: true,
        }
    }

    fn step(&mut self) -> Result<(), Died> {
        match &mut self.fuse {
            Some(0) => Err(Died),
            Some(n) => {
                *n -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// When it has something to do by itself.
    pub fn due(&self) -> Option<Time> {
        let router = self.router.as_ref()?.poll_at();
        Some(router.unwrap_or(Time::FAR).min(self.beat))
    }
}

impl Parent {
    pub fn new(config: Vec<u8>) -> Parent {
        Parent {
            ward: Ward::new(Memory::Brief, true),
            config,
            epoch: 0,
            stopping: false,
            frozen: false,
            adopted: false,
        }
    }

    /// Writes what waits, as far as the pipe takes it.
    pub fn flush(&mut self, down: &mut VecDeque<Vec<u8>>) {
        self.ward.flush(|f| {
            let room = down.len() < PIPE;
            if room {
                down.push_back(f.to_vec());
            }
            room
        });
    }
}

fn link_local(a: &Address) -> Option<Name> {
    a.cidr.address.is_ipv6().then(|| a.interface.clone())
}

impl Node {
    pub fn link(&self, i: usize) -> Link {
        let name = format!("eth{i}");
        let addresses = std::iter::once(self.own).chain(self.kernel.addresses(&name)).collect();
        Link { index: i as u32 + 1, up: self.links[i], mtu: 1500, mac: self.mac, addresses, name, vrf: false }
    }

    /// The machine, where one runs.
    pub fn router(&self) -> Option<&Router> {
        self.child.as_ref()?.router.as_ref()
    }

    /// The child runs and is not held up.
    pub fn runs(&self) -> bool {
        !self.frozen && self.child.as_ref().is_some_and(|c| c.runs && !c.frozen)
    }

    fn add(&mut self, o: &Object, fx: &mut Vec<Effect>) {
        self.kernel.add(o);
        if let Object::Address(a) = o {
            fx.push(Effect::Changed(a.interface.to_string()));
        }
    }

    /// Somebody takes an object out of the kernel.
    pub fn remove(&mut self, o: &Object, fx: &mut Vec<Effect>) {
        if self.kernel.remove(o) {
            if let Object::Address(a) = o {
                fx.push(Effect::Changed(a.interface.to_string()));
            }
            fx.push(Effect::Removed(o.clone()));
        }
    }

    fn say(&mut self, message: Message) -> Result<(), Died> {
        if let Some(c) = &mut self.child {
            c.link.say(message).expect("fits into a frame");
        }
        self.flush()
    }

    /// The child writes what waits. Each frame is a step.
    pub fn flush(&mut self) -> Result<(), Died> {
        let Some(c) = &mut self.child else { return Ok(()) };
        let (up, fuse) = (&mut self.up, &mut c.fuse);
        let mut died = false;
        c.link.flush(|packet| {
            if up.len() >= PIPE {
                return false;
            }
            // The daemon writes most of them one by one.
            for f in steadfast_ipc::frames(packet) {
                died = *fuse == Some(0);
                if died {
                    return false;
                }
                *fuse = fuse.map(|n| n - 1);
                up.push_back(f.to_vec());
            }
            true
        });
        if died { Err(Died) } else { Ok(()) }
    }

    /// Carries out what the machine wants, also what follows from carrying it out.
    fn act(&mut self, now: Time, fx: &mut Vec<Effect>) -> Result<(), Died> {
        loop {
            let Some(c) = &mut self.child else { return Ok(()) };
            let out = std::mem::take(&mut c.out);
            if out.is_empty() {
                return Ok(());
            }
            for o in out {
                self.do_one(now, o, fx)?;
            }
        }
    }

    fn do_one(&mut self, now: Time, output: Output, fx: &mut Vec<Effect>) -> Result<(), Died> {
        let Some(c) = &mut self.child else { return Ok(()) };
        c.step()?;
        match output {
            Output::Send(s) => {
                c.dirty |= s.priority == 0;
                fx.push(Effect::Send(s));
            }
            Output::Add(o) => {
                if c.owned.insert(o.clone()) {
                    c.changed = true;
                    let (key, bytes) = object_key(&o).expect("encodes");
                    self.say(Message::Keep { key, bytes })?;
                }
                self.add(&o, fx);
            }
            Output::Remove(o) => self.let_go(o, fx)?,
            Output::Replace(old, o) => {
                let (key, bytes) = object_key(&o).expect("encodes");
                c.changed = true;
                c.owned.insert(o.clone());
                self.say(Message::Keep { key, bytes })?;
                self.let_go(old, fx)?;
                self.add(&o, fx);
            }
            Output::Announce { address, .. } | Output::Remind { address, .. } => fx.push(Effect::Announce(address)),
            Output::StartScript(name) => {
                let end = ScriptEnd::Exited(i32::from(!self.script_ok));
                if let Some(router) = &mut c.router {
                    router.handle(now, Input::ScriptEnded(&name, end), &mut c.out);
                }
            }
            Output::Instance { name, notice, .. } => {
                c.dirty = true;
                fx.push(Effect::Notice(name, notice));
            }
            Output::Log(_, text) => fx.push(Effect::Log(text)),
            Output::Stopped => {
                self.flush()?;
                self.record = None;
                fx.push(Effect::Ended);
            }
            _ => {}
        }
        Ok(())
    }

    fn let_go(&mut self, o: Object, fx: &mut Vec<Effect>) -> Result<(), Died> {
        if let Some(c) = &mut self.child {
            c.changed |= c.owned.remove(&o);
        }
        self.remove(&o, fx);
        let (key, _) = object_key(&o).expect("encodes");
        self.say(Message::Keep { key, bytes: Vec::new() })
    }

    /// One turn of the child: work, due timers, what follows, and what a successor needs.
    pub fn turn(
        &mut self,
        now: Time,
        fx: &mut Vec<Effect>,
        work: impl FnOnce(&mut Router, &mut Vec<Output>),
    ) -> Result<(), Died> {
        let Some(c) = &mut self.child else { return Ok(()) };
        let Some(router) = &mut c.router else { return Ok(()) };
        work(router, &mut c.out);
        router.poll(now, &mut c.out);
        self.act(now, fx)?;
        self.beat(now)?;
        self.keep()?;
        self.write_record()
    }

    /// What is in the kernel, where that has changed. Blocks are a table that is made anew as a whole.
    fn write_record(&mut self) -> Result<(), Died> {
        let Some(c) = &mut self.child else { return Ok(()) };
        if std::mem::take(&mut c.changed) {
            c.step()?;
            let mut objects: Vec<Object> = c.owned.iter().filter(|o| !matches!(o, Object::Block(_))).cloned().collect();
            objects.sort_by_cached_key(|o| format!("{o:?}"));
            self.record = Some(objects);
        }
        self.torn = false;
        Ok(())
    }

    fn beat(&mut self, now: Time) -> Result<(), Died> {
        let Some(c) = self.child.as_mut().filter(|c| now >= c.beat) else { return Ok(()) };
        c.beat = now + BEAT;
        c.beats += 1;
        c.dirty |= c.beats.is_multiple_of(5);
        self.say(Message::Heartbeat { late: 0 })
    }

    fn keep(&mut self) -> Result<(), Died> {
        let Some(c) = &mut self.child else { return Ok(()) };
        let Some(router) = c.router.as_ref().filter(|_| std::mem::take(&mut c.dirty)) else { return Ok(()) };
        let of = |s: Snapshot| encode(&s).map(|bytes| (s.name, bytes));
        let present: Vec<_> = router.snapshots().map(of).collect::<Result<_, _>>().expect("encodes");
        for message in c.keeping.difference(present) {
            self.say(message)?;
        }
        Ok(())
    }

    /// The child takes what its parent has said, or hears that it is gone.
    pub fn orders(&mut self, now: Time, seed: u64, gone: bool, fx: &mut Vec<Effect>) -> Result<(), Died> {
        self.flush()?;
        let mut orders: VecDeque<Order> = VecDeque::new();
        if let Some(c) = &mut self.child {
            while let Some(f) = self.down.pop_front() {
                orders.extend(c.link.hear(&f).expect("a frame of the parent's"));
            }
        }
        orders.extend(gone.then_some(Order::Gone));
        let mut config: Option<Config> = None;
        while self.router().is_none()
            && let Some(order) = orders.pop_front()
        {
            let Some(c) = &mut self.child else { return Ok(()) };
            match order {
                Order::Config(bytes) => config = Some(decode(&bytes).expect("own configuration")),
                Order::Message(Message::Keep { key, bytes }) if key.starts_with('\n') => {
                    c.inherited.extend(decode::<Object>(&bytes).ok());
                }
                Order::Message(Message::Keep { key, bytes }) => {
                    c.snapshots.extend(decode::<Snapshot>(&bytes).ok());
                    c.keeping.inherited(key);
                }
                Order::Message(Message::Stop { .. }) | Order::Gone => {
                    // What its predecessor held is released, as it would have been.
                    let mut inherited = std::mem::take(&mut c.inherited);
                    inherited.extend(self.record.take().unwrap_or_default());
                    self.withdraw(config.unwrap_or_default(), &inherited, true, fx);
                    fx.push(Effect::Ended);
                    return Ok(());
                }
                Order::Message(_) => {}
            }
            // All of what came is looked at: a stop may be right behind the configuration.
            if orders.is_empty()
                && let Some(config) = config.take()
            {
                self.begin(config, seed, now, fx)?;
            }
        }
        for order in orders {
            self.order(order, now, fx)?;
        }
        self.turn(now, fx, |_, _| {})
    }

    /// The start of the role.
    fn begin(&mut self, config: Config, seed: u64, now: Time, fx: &mut Vec<Effect>) -> Result<(), Died> {
        let links: Vec<Link> = (0..self.links.len()).map(|i| self.link(i)).collect();
        let Some(c) = &mut self.child else { return Ok(()) };
        let mut router = Router::restore(config, &c.snapshots, seed, now, &mut c.out);
        for l in links {
            router.handle(now, Input::Link(l), &mut c.out);
        }
        let left = self.record.clone().unwrap_or_default();
        if c.snapshots.is_empty() && self.record.is_some() {
            if c.first {
                router.inherit(&left);
            }
            self.kernel.discard_blocks();
        }
        c.inherited.extend(left);
        router.poll(now, &mut c.out);
        c.router = Some(router);
        c.beat = now + BEAT;
        self.act(now, fx)?;
        let Some(c) = &mut self.child else { return Ok(()) };
        let inherited = std::mem::take(&mut c.inherited);
        let kernel = &self.kernel;
        let there = |a: &Address| kernel.has(&Object::Address(a.clone()));
        let left = c.router.as_ref().map(|r| r.leftovers(&inherited, there)).unwrap_or_default();
        for (old, new) in left.changed {
            self.let_go(old, fx)?;
            self.add(&new, fx);
        }
        for o in left.gone {
            if let Some(c) = &mut self.child {
                c.step()?;
            }
            self.let_go(o, fx)?;
        }
        self.say(Message::Ready)
    }

    fn order(&mut self, order: Order, now: Time, fx: &mut Vec<Effect>) -> Result<(), Died> {
        let Some(c) = &mut self.child else { return Ok(()) };
        let Some(router) = &mut c.router else { return Ok(()) };
        match order {
            Order::Config(bytes) => {
                let config: Config = decode(&bytes).expect("own configuration");
                // Addresses of masters that stay in the configuration.
                let stays: Vec<Object> = (router.views())
                    .filter(|v| v.objects_set && v.state == steadfast_core::State::Master)
                    .filter(|v| !router.handing_over().any(|n| n == v.config.name))
                    .filter_map(|v| Some((v.config, config.instances.iter().find(|n| n.name == v.config.name)?)))
                    .flat_map(|(a, b)| {
                        let of =
                            |c: &InstanceConfig| c.addresses.iter().chain(&c.excluded).cloned().collect::<Vec<_>>();
                        let new = of(b);
                        of(a).into_iter().filter(move |x| new.contains(x))
                    })
                    .map(Object::Address)
                    .collect();
                router.reload(now, config, &mut c.out);
                c.dirty = true;
                let had: Vec<Object> = stays.into_iter().filter(|o| self.kernel.has(o)).collect();
                self.act(now, fx)?;
                let lost: Vec<String> = had.iter().filter(|o| !self.kernel.has(o)).map(ToString::to_string).collect();
                if !lost.is_empty() {
                    fx.push(Effect::Dropped(lost));
                }
                self.say(Message::Ready)
            }
            Order::Message(Message::Stop { keep_objects }) => {
                c.leaving = true;
                router.handle(now, Input::Stop { keep_objects }, &mut c.out);
                self.act(now, fx)
            }
            Order::Gone if !c.leaving => {
                c.leaving = true;
                router.handle(now, Input::Stop { keep_objects: false }, &mut c.out);
                self.act(now, fx)
            }
            _ => Ok(()),
        }
    }

    /// The short-lived process that takes away what a child held; `all`: nobody comes after it.
    pub fn withdraw(&mut self, mut config: Config, inherited: &[Object], all: bool, fx: &mut Vec<Effect>) {
        let mut out = Vec::new();
        if all {
            config.statics.clear();
        }
        let router = Router::new(config, 0, Time::ZERO, &mut out);
        let kernel = &self.kernel;
        let left = router.remains(inherited, |a| kernel.has(&Object::Address(a.clone())));
        for o in left.gone {
            self.remove(&o, fx);
        }
        self.record = None;
    }

    /// An address was removed; whoever added it puts it back.
    pub fn lost(&mut self, now: Time, o: &Object, fx: &mut Vec<Effect>) -> Result<(), Died> {
        if self.child.as_ref().is_some_and(|c| c.owned.contains(o)) {
            self.turn(now, fx, |r, out| r.handle(now, Input::ObjectLost(o), out))
        } else {
            Ok(())
        }
    }

    /// What the kernel should have, by what the router holds.
    pub fn wanted(&self) -> Vec<String> {
        let mut kernel = Kernel::default();
        let Some(router) = self.router() else { return Vec::new() };
        let all = router.views().filter(|v| v.objects_set).flat_map(|v| {
            let c = v.config;
            let addresses = c.addresses.iter().chain(&c.excluded).cloned().map(Object::Address);
            let routes = c.routes.iter().cloned().map(|r| Object::Route(Box::new(r)));
            let rules = c.rules.iter().cloned().map(|r| Object::Rule(Box::new(r)));
            let block = |a: &Address| Object::Block(Block { address: a.cidr.address, interface: link_local(a) });
            let blocks: Vec<Object> =
                c.addresses.iter().chain(&c.excluded).filter(|_| !c.accept && c.priority != 255).map(block).collect();
            addresses.chain(routes).chain(rules).chain(blocks).collect::<Vec<_>>()
        });
        let statics = router.static_addresses().cloned().map(Object::Address);
        all.chain(statics).for_each(|o| kernel.add(&o));
        kernel.words()
    }

    /// What the parent keeps: objects in words and in order, and states in order of the names.
    pub fn kept(&self) -> (Vec<String>, Vec<State>) {
        let kept = || self.parent.iter().flat_map(|p| p.ward.kept());
        let of_kernel = |(k, b): (&str, &[u8])| if k.starts_with('\n') { decode::<Object>(b).ok() } else { None };
        let mut words: Vec<String> = kept().filter_map(of_kernel).map(|o| o.to_string()).collect();
        words.sort();
        let of_name = |(k, b): (&str, &[u8])| {
            if k.starts_with('\n') { None } else { decode::<Snapshot>(b).ok().map(|s| s.state) }
        };
        (words, kept().filter_map(of_name).collect())
    }
}
