//! All checks and all virtual servers of one daemon, behind one interface.

use crate::checker::{Checker, Rules, User};
use crate::health::{Cause, Virtual, slot};
use crate::kept::Heritage;
use crate::spread::Spread;
use crate::{Check, CheckKind, Config, Input, Output, Slot, Snapshot, Suspend, Table, Url};
use log::Level;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::ipvs::ServiceKey;
use steadfast_core::{Rng, Time, Timers};

/// A virtual server of more real servers than this announces its table with gaps, of so much for each server: making and
/// comparing a table takes time in proportion, and many changes within a gap cost no more than one.
const LARGE: u32 = 256;
const TABLE_GAP: Duration = Duration::from_micros(4);

/// All timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    /// What is told before the first poll counts as the state at start.
    Settle,
    /// Next try of a check.
    Next(u32),
    /// Limit of a probe.
    Limit(u32),
    /// Next signal to a program that overran.
    Dying(u32),
    /// Next step of a server's slow start.
    Ramp(u32, u32),
    /// A removed server of this virtual server has drained.
    Leave(u32),
    /// The table of this large virtual server may be announced again.
    Table(u32),
    /// Checks that run, and those that rest: addresses or instances have changed.
    Reconsider,
}

/// Where the daemon's life stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Before the first poll.
    Settling,
    /// Running.
    Running,
    /// Over.
    Stopped,
}

/// All checks and all virtual servers. Feed it with [`Pool::handle`], call [`Pool::poll`] when [`Pool::poll_at`] says so, and
/// carry out what comes out in order.
///
/// What is handed over (addresses, instances, files, sessions) between construction and the first poll, which is due at once,
/// counts as the state of the world at start.
#[derive(Debug)]
pub struct Pool {
    pub(crate) init_notifies: bool,
    pub(crate) services: Vec<Option<Virtual>>,
    /// Slots in order of the configuration.
    pub(crate) order: Vec<u32>,
    pub(crate) checkers: Vec<Option<Checker>>,
    pub(crate) free_checkers: Vec<u32>,
    pub(crate) rules: Rules,
    pub(crate) by_check: HashMap<Arc<Check>, u32>,
    /// Lists of pages: most servers of a file are asked for the same.
    pub(crate) pages: HashSet<Arc<[Url]>>,
    pub(crate) timers: Timers<Key>,
    pub(crate) rng: Rng,
    pub(crate) spread: Spread,
    pub(crate) probes: u64,
    /// A pause was told of then.
    pub(crate) paused: Time,
    /// Whoever starts programs does not answer.
    pub(crate) held: bool,
    /// A want of something was told of then.
    pub(crate) lacked: Time,
    pub(crate) life: Life,
    pub(crate) heritage: Heritage,
    pub(crate) addresses: HashSet<IpAddr>,
    pub(crate) masters: HashSet<String>,
    pub(crate) files: HashMap<String, i64>,
    pub(crate) sessions: HashMap<String, bool>,
    /// Virtual servers whose table changed within this call.
    pub(crate) dirty: BTreeSet<u32>,
    /// Servers whose snapshot changed within this call.
    pub(crate) keep: BTreeSet<User>,
}

impl Pool {
    /// A pool that starts from nothing.
    pub fn new(config: Config, seed: u64, now: Time, out: &mut Vec<Output>) -> Pool {
        Pool::restore(config, &[], seed, now, out)
    }

    /// The successor of a process that died: verdicts, counts and quorums go on, and nothing is announced again.
    pub fn restore(config: Config, snapshots: &[Snapshot], seed: u64, now: Time, out: &mut Vec<Output>) -> Pool {
        let mut rng = Rng::new(seed);
        let spread = Spread::new(rng.next_u64());
        let mut pool = Pool {
            init_notifies: false,
            services: Vec::new(),
            order: Vec::new(),
            checkers: Vec::new(),
            free_checkers: Vec::new(),
            rules: Rules::new(),
            by_check: HashMap::new(),
            pages: HashSet::new(),
            timers: Timers::new(),
            rng,
            spread,
            probes: 0,
            paused: Time::ZERO,
            held: false,
            lacked: Time::ZERO,
            life: Life::Settling,
            heritage: Heritage::new(snapshots),
            addresses: HashSet::new(),
            masters: HashSet::new(),
            files: HashMap::new(),
            sessions: HashMap::new(),
            dirty: BTreeSet::new(),
            keep: BTreeSet::new(),
        };
        pool.adopt(config, now, out);
        pool.timers.set(Key::Settle, now);
        pool
    }

    /// When [`Pool::poll`] has something to do; `None`: not before the next input.
    pub fn poll_at(&self) -> Option<Time> {
        self.timers.peek()
    }

    /// This process comes so much later than it wanted to. To be said before what has come meanwhile is handed over, and that before
    /// the next [`Pool::poll`], which judges by time limits.
    pub fn paused(&mut self, late: Duration, now: Time, out: &mut Vec<Output>) {
        self.on_pause(late, now, out);
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some((key, due)) = self.timers.pop_due(now) {
            match key {
                Key::Settle => self.settle(now, out),
                Key::Next(c) => self.due(c, due, now, out),
                Key::Limit(c) => self.limit(c, now, out),
                Key::Dying(c) => self.kill(c, now, out),
                Key::Ramp(s, i) => self.ramp(s, i, now, out),
                Key::Leave(s) => self.leave(s, now, out),
                Key::Table(s) => drop(self.dirty.insert(s)),
                Key::Reconsider => self.reconsider(now, out),
            }
        }
        self.flush(now, out);
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) {
        if self.life == Life::Stopped {
            return;
        }
        match input {
            Input::Connected(id) => self.on_connected(id, now, out),
            Input::Data(id, bytes) => self.on_data(id, bytes, now, out),
            Input::Eof(id, clean) => self.on_eof(id, clean, now, out),
            Input::Failed(id, reason) => self.on_failed(id, reason, now, out),
            Input::Unable(id, reason) => self.on_unable(id, reason, now, out),
            Input::ScriptEnded(id, end, said) => self.on_script_ended(id, end, said, now, out),
            Input::File(name, value) => {
                self.files.insert(name.to_owned(), value);
                self.tell_passive(now, out, |c| match &c.check.kind {
                    CheckKind::File { name: n, .. } => n == name && c.file(value),
                    _ => false,
                });
            }
            Input::Bfd(name, up) => {
                self.sessions.insert(name.to_owned(), up);
                self.tell_passive(now, out, |c| match &c.check.kind {
                    CheckKind::Bfd { name: n } => n == name && c.session(up),
                    _ => false,
                });
            }
            Input::Address(address, here) => {
                let changed = if here { self.addresses.insert(address) } else { self.addresses.remove(&address) };
                if changed {
                    // Many come at once: they are looked at together.
                    self.timers.set(Key::Reconsider, now);
                }
            }
            Input::Instance(name, master) => {
                let changed = if master { self.masters.insert(name.to_owned()) } else { self.masters.remove(name) };
                if changed {
                    // Many come at once: they are looked at together.
                    self.timers.set(Key::Reconsider, now);
                }
            }
            Input::Weigh { service, server, weight } => self.weigh(service, server, weight, now, out),
            Input::Drain { service, server, on } => self.drain(service, server, on, now, out),
            Input::Stop { keep_tables } => self.stop(keep_tables, out),
        }
        self.flush(now, out);
    }

    /// The start of life: everything that was told until now is how the world is.
    fn settle(&mut self, now: Time, out: &mut Vec<Output>) {
        self.life = Life::Running;
        self.feed_passive();
        for s in self.order.clone() {
            let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
            let known = self.heritage.quorums.get(&v.config.id).copied();
            if let Some((quorum, since)) = known {
                // begun: only what differs from the former life is news
                (v.quorum, v.since, v.begun) = (quorum, since, true);
                v.take_weights(&self.checkers);
            }
            v.sum_up();
            if let Some((quorum, _)) = known {
                v.panic = v.must_panic();
                v.empty = v.sorry_serves() || v.live() == 0;
                out.push(Output::Quorum(v.config.id.clone(), quorum));
                self.dirty.insert(s);
            }
            self.evaluate_all(s, &Cause::default(), now, out);
            if self.init_notifies && known.is_none() {
                self.tell_first_states(s, out);
            }
        }
        self.forget_rest(out);
        self.reconsider(now, out);
        self.keep_all();
    }

    fn tell_first_states(&self, s: u32, out: &mut Vec<Output>) {
        let Some(v) = self.service(s) else { return };
        for (i, real) in v.servers.iter().enumerate().filter(|(_, r)| r.up || r.found_down(&self.checkers)) {
            v.tell_server(i, real.up, "=> Initial state <=", out);
        }
    }

    pub(crate) fn service(&self, s: u32) -> Option<&Virtual> {
        self.services.get(s as usize)?.as_ref()
    }

    pub(crate) fn checker(&mut self, c: u32) -> Option<&mut Checker> {
        self.checkers.get_mut(c as usize)?.as_mut()
    }

    /// Looks at all servers of a virtual server anew.
    pub(crate) fn evaluate_all(&mut self, s: u32, cause: &Cause, now: Time, out: &mut Vec<Output>) {
        let all: Vec<u32> = (0..self.service(s).map_or(0, |v| v.servers.len()) as u32).collect();
        self.evaluate(s, &all, cause, now, out);
    }

    /// Looks at these servers of a virtual server anew.
    pub(crate) fn evaluate(&mut self, s: u32, touched: &[u32], cause: &Cause, now: Time, out: &mut Vec<Output>) {
        let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { return };
        let (quorum, begun) = (v.quorum, v.begun);
        let changes = v.evaluate(touched, &self.checkers, cause, now, out);
        self.keep.extend(changes.servers.iter().map(|i| (s, *i)));
        // also the first one: whoever was told that there is none is not told again
        if v.quorum != quorum && v.config.tracked {
            self.timers.set(Key::Reconsider, now);
        }
        if v.quorum != quorum || !begun {
            out.push(Output::Keep(Snapshot::Service { id: v.config.id.clone(), quorum: v.quorum, since: v.since }));
        }
        for i in changes.servers {
            if let Some(at) = v.ramp(i as usize, now, out) {
                self.timers.set(Key::Ramp(s, i), at);
            }
        }
        if changes.table {
            self.dirty.insert(s);
        }
    }

    /// A checker changed its mind: all its users hear of it.
    pub(crate) fn tell_users(&mut self, c: u32, cause: &Cause, now: Time, out: &mut Vec<Output>) {
        let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref) else { return };
        let users = checker.users.clone();
        self.keep.extend(users.iter().copied());
        // users are in order of their virtual servers' slots
        for of_one in users.chunk_by(|a, b| a.0 == b.0) {
            let touched: Vec<u32> = of_one.iter().map(|u| u.1).collect();
            self.evaluate(of_one[0].0, &touched, cause, now, out);
        }
    }

    /// Files and sessions that are known already, for checks that are new.
    pub(crate) fn feed_passive(&mut self) {
        for c in self.checkers.iter_mut().flatten() {
            let known = match &c.check.kind {
                CheckKind::File { name, .. } => self.files.get(name).map(|v| Ok(*v)),
                CheckKind::Bfd { name } => self.sessions.get(name).map(|v| Err(*v)),
                _ => None,
            };
            match known {
                Some(Ok(value)) => c.file(value),
                Some(Err(up)) => c.session(up),
                None => false,
            };
        }
    }

    fn tell_passive(&mut self, now: Time, out: &mut Vec<Output>, change: impl Fn(&mut Checker) -> bool) {
        if self.life != Life::Running {
            return;
        }
        for c in 0..self.checkers.len() as u32 {
            let Some(checker) = self.checker(c) else { continue };
            let before = checker.state.up;
            if !change(checker) {
                continue;
            }
            let cause = if checker.state.up == before { Cause::default() } else { self.announce_verdict(c, 0, out) };
            self.tell_users(c, &cause, now, out);
        }
    }

    /// Which virtual servers' checks run, and which rest.
    pub(crate) fn reconsider(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.life != Life::Running {
            return;
        }
        for s in self.order.clone() {
            let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
            // Who follows it gives its address up with the quorum, and only a check can bring both back.
            let needed = v.config.tracked && !v.quorum;
            let active = needed
                || match &v.config.suspend {
                    Suspend::Never => true,
                    Suspend::WithoutInstance(name) => self.masters.contains(name),
                    Suspend::WithoutAddress => v.keys.iter().any(|k| match k {
                        ServiceKey::Address { address, .. } => self.addresses.contains(address),
                        ServiceKey::Mark { .. } if v.ranges.is_empty() => true,
                        ServiceKey::Mark { .. } => {
                            self.addresses.iter().any(|a| v.ranges.iter().any(|r| r.contains(*a)))
                        }
                    }),
                };
            if active != v.active {
                v.active = active;
                let verb = if active { "Activating" } else { "Suspending" };
                for real in &v.servers {
                    for _ in &real.checks {
                        let line = format!("{verb} healthchecker for service {} for VS {}", real.name, v.name);
                        out.push(Output::Log(Level::Info, line));
                    }
                }
            }
        }
        for c in 0..self.checkers.len() as u32 {
            let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref) else { continue };
            let active = checker.users.iter().any(|u| self.service(u.0).is_some_and(|v| v.active));
            match (checker.active, active) {
                (false, true) => self.wake(c, now),
                (true, false) => self.rest(c, out),
                _ => {}
            }
        }
    }

    fn weigh(&mut self, service: &str, server: &str, weight: u32, now: Time, out: &mut Vec<Output>) {
        for s in self.order.clone() {
            let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
            if v.name != service {
                continue;
            }
            let mut touched = Vec::new();
            for (i, real) in v.servers.iter_mut().enumerate().filter(|(_, r)| *r.name == *server) {
                let before = std::mem::replace(&mut real.config.weight, weight);
                if before != weight {
                    touched.push(i as u32);
                    let text =
                        format!("Weight of service {server} of VS {service} changed from {before} to {weight} by SNMP");
                    out.push(Output::Log(Level::Info, text));
                }
            }
            self.evaluate(s, &touched, &Cause::default(), now, out);
        }
    }

    fn drain(&mut self, service: &str, server: &str, on: bool, now: Time, out: &mut Vec<Output>) {
        let mut found = false;
        for s in self.order.clone() {
            let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
            if v.name != service {
                continue;
            }
            let mut touched = Vec::new();
            for (i, real) in v.servers.iter_mut().enumerate().filter(|(_, r)| *r.name == *server) {
                found = true;
                touched.push(i as u32);
                if real.drained != on {
                    real.drained = on;
                    real.drained_since = if on { crate::probes::tenths(now) } else { 0 };
                    self.keep.insert((s, i as u32));
                    let text = if on { "Draining" } else { "No longer draining" };
                    out.push(Output::Log(Level::Info, format!("{text} service {server} of VS {service}")));
                }
            }
            self.evaluate(s, &touched, &Cause { mail: "=> Drained by the operator <=".into() }, now, out);
        }
        if !found {
            out.push(Output::Log(Level::Warn, format!("No service {server} of VS {service} to drain")));
        }
    }

    fn ramp(&mut self, s: u32, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { return };
        if let Some(at) = v.ramp(i as usize, now, out) {
            self.timers.set(Key::Ramp(s, i), at);
        }
        self.dirty.insert(s);
    }

    fn leave(&mut self, s: u32, now: Time, out: &mut Vec<Output>) {
        let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { return };
        for (key, ..) in v.leaving.iter().filter(|(.., until)| *until <= now) {
            let server = crate::health::server_name(&v.config, key.address, key.port);
            out.push(Output::Log(Level::Info, format!("Service {server} of VS {} has drained", v.name)));
        }
        v.let_go(|(.., until)| *until <= now, out);
        if let Some(at) = v.leaving.iter().map(|(_, _, until)| *until).min() {
            self.timers.set(Key::Leave(s), at);
        }
        self.dirty.insert(s);
    }

    fn stop(&mut self, keep_tables: bool, out: &mut Vec<Output>) {
        for c in 0..self.checkers.len() as u32 {
            self.rest(c, out);
        }
        for s in self.order.clone() {
            let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
            for (i, real) in v.servers.iter().enumerate().filter(|(_, r)| r.up) {
                out.push(Output::Log(Level::Info, format!("Shutting down service {} from VS {}", real.name, v.name)));
                if v.config.omega {
                    v.tell_server(i, false, "=> Shutting down <=", out);
                }
            }
            if v.config.omega && std::mem::take(&mut v.quorum) {
                v.announce_quorum("Shutting down", out);
            }
            if !keep_tables {
                out.push(Output::TableGone(slot(s)));
            }
        }
        self.dirty.clear();
        self.keep.clear();
        self.timers = Timers::new();
        self.life = Life::Stopped;
        out.push(Output::Stopped);
    }

    /// What changed within this call goes out once.
    pub(crate) fn flush(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.life == Life::Running {
            for s in std::mem::take(&mut self.dirty) {
                let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
                if now < v.quiet_until {
                    self.timers.set(Key::Table(s), v.quiet_until);
                    continue;
                }
                let servers = v.servers.len() as u32;
                v.quiet_until = if servers > LARGE { now + TABLE_GAP * servers } else { now };
                out.push(Output::Table(slot(s)));
            }
            for user in std::mem::take(&mut self.keep) {
                out.extend(self.server_snapshot(user).map(Output::Keep));
            }
        }
        // sweeps replaced timers off the top, so that nobody is woken for nothing
        self.timers.earliest();
    }

    /// The wanted table of a virtual server at `now`; `None` when the slot is free.
    pub fn table(&self, slot: Slot, now: Time) -> Option<Table> {
        Some(self.service(slot.0)?.table(now))
    }
}
