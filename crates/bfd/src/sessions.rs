//! All sessions: who is meant by a packet, what is due when.

use crate::session::{Change, Quota, Session};
use crate::state::State;
use crate::wire::Packet;
use crate::{Config, Input, Open, Output, Received, SessionConfig, Snapshot, View, timing};
use log::Level;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Rng, Time, Timers};

/// Packets out of turn (answers to polls, changes of state) are at least so far from the packet before: who forges polls does not
/// make us send at his pace.
const GAP: Duration = Duration::from_millis(1);
/// A socket that cannot be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Source ports that are tried in a row.
const TRIES: u32 = 30;
/// At a stop AdminDown is said twice, so far apart: a lost packet would be a failure to the peer.
const LEAVING: Duration = Duration::from_millis(40);
/// First port of RFC 5881 section 4.
const FIRST_PORT: u16 = 49152;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    /// The next packet.
    Send(u32),
    /// Silence is too long.
    Detect(u32),
    /// The socket is tried again.
    Open(u32),
    /// The stop is complete.
    Leave,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    Running,
    Stopping,
    Stopped,
}

/// All sessions. See the crate's description.
pub struct Sessions {
    pub(crate) slots: Vec<Option<Session>>,
    /// Empty ones.
    pub(crate) free: Vec<u32>,
    pub(crate) by_discriminator: HashMap<u32, u32>,
    pub(crate) by_peer: HashMap<(IpAddr, bool), Vec<u32>>,
    pub(crate) ports: HashSet<u16>,
    pub(crate) timers: Timers<Key>,
    pub(crate) rng: Rng,
    pub(crate) life: Life,
    strangers: u64,
    quota: Quota,
}

impl Sessions {
    /// Sessions that start from nothing.
    pub fn new(config: Config, seed: u64, now: Time, out: &mut Vec<Output>) -> Sessions {
        Sessions::restore(config, &[], seed, now, out)
    }

    /// The successor of a process that died: a session that was up goes on so, with its discriminators and its source port.
    pub fn restore(config: Config, snapshots: &[Snapshot], seed: u64, now: Time, out: &mut Vec<Output>) -> Sessions {
        let mut all = Sessions {
            slots: Vec::new(),
            free: Vec::new(),
            by_discriminator: HashMap::new(),
            by_peer: HashMap::new(),
            ports: HashSet::new(),
            timers: Timers::new(),
            rng: Rng::new(seed),
            life: Life::Running,
            strangers: 0,
            quota: Quota::new(now),
        };
        let former: HashMap<&str, &Snapshot> = snapshots.iter().map(|s| (s.name.as_str(), s)).collect();
        let mut names = HashSet::new();
        for c in config.sessions {
            names.insert(c.name.clone());
            let former = former.get(c.name.as_str()).copied().filter(|s| s.identity == c.identity());
            all.add(c, former, now, out);
        }
        for s in snapshots.iter().filter(|s| !names.contains(&s.name)) {
            out.push(Output::Forget(s.name.clone()));
        }
        all
    }

    /// When [`Sessions::poll`] has something to do; `None`: not before the next input.
    pub fn poll_at(&self) -> Option<Time> {
        self.timers.peek()
    }

    /// Does what is due. What has arrived by then should have been handed in before.
    pub fn poll(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some((key, due)) = self.timers.pop_due(now) {
            match key {
                Key::Send(id) => self.send(id, Some(due), now, out),
                Key::Detect(id) => self.silent(id, now, out),
                Key::Open(id) => self.open(id, out),
                Key::Leave => self.leave(now, out),
            }
        }
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            _ if self.life == Life::Stopped => {}
            Input::Packet(packet) => self.on_packet(&packet, now, out),
            Input::Refused(id, taken) => self.on_refused(id, taken, now, out),
            Input::Stop => self.stop(now, out),
        }
    }

    /// Every session, for dumps.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.slots.iter().flatten().map(|s| View {
            config: &s.config,
            state: s.state,
            diag: s.diag,
            discriminator: s.discriminator,
            port: s.port,
            remote: s.remote,
            told: s.told,
            since: s.since,
            tx_interval: s.interval(),
            detection: s.detection(),
            heard: s.heard,
            poll: s.poll,
            counters: s.counters,
        })
    }

    /// The name of a session that is named by a number in an output.
    pub fn name(&self, id: u32) -> Option<&str> {
        self.slots.get(id as usize).and_then(Option::as_ref).map(|s| s.config.name.as_str())
    }

    /// Packets that belonged to no session.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    pub(crate) fn slot(&mut self, id: u32) -> Option<&mut Session> {
        self.slots.get_mut(id as usize).and_then(Option::as_mut)
    }

    /// A discriminator: random, not 0, ours alone (RFC 5880 section 6.8.1).
    fn discriminator(&mut self) -> u32 {
        loop {
            let d = (self.rng.next_u64() >> 32) as u32;
            if d != 0 && !self.by_discriminator.contains_key(&d) {
                return d;
            }
        }
    }

    /// A source port that no other session has, as long as there is one.
    fn port(&mut self) -> u16 {
        let span = u64::from(u16::MAX - FIRST_PORT) + 1;
        let start = self.rng.below(span);
        let mut all = (0..span).map(|n| FIRST_PORT + ((start + n) % span) as u16);
        let port = all.find(|p| !self.ports.contains(p)).unwrap_or(FIRST_PORT);
        self.ports.insert(port);
        port
    }

    pub(crate) fn add(&mut self, c: SessionConfig, former: Option<&Snapshot>, now: Time, out: &mut Vec<Output>) {
        let free = |s: &&Snapshot| {
            s.discriminator != 0
                && !self.by_discriminator.contains_key(&s.discriminator)
                && s.port >= FIRST_PORT
                && !self.ports.contains(&s.port)
        };
        let session = match former.filter(free) {
            Some(s) => {
                self.ports.insert(s.port);
                Session::restore(c, s, now)
            }
            None => {
                let (discriminator, port) = (self.discriminator(), self.port());
                Session::new(c, discriminator, port, now)
            }
        };
        let id = self.free.pop().unwrap_or(self.slots.len() as u32);
        let at = id as usize;
        self.by_discriminator.insert(session.discriminator, id);
        self.by_peer.entry((session.config.neighbor, session.config.multihop)).or_default().push(id);
        out.push(Output::Told { name: session.config.name.clone(), up: session.told });
        if session.state == State::Up {
            out.push(Output::Log(Level::Info, format!("({}) goes on in Up state", session.config.name)));
        }
        if at == self.slots.len() {
            self.slots.push(None);
        }
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Some(session);
        }
        self.open(id, out);
        self.keep(id, out);
        self.watch(id);
        // Many sessions that start at once do not speak at once; one that was up has a peer that waits.
        let head_start = if former.is_some() { 0 } else { self.rng.below(100_000) };
        self.timers.set(Key::Send(id), now + Duration::from_micros(head_start));
    }

    pub(crate) fn open(&mut self, id: u32, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        let c = &s.config;
        out.push(Output::Open(Open {
            id,
            source: c.source,
            neighbor: c.neighbor,
            port: s.port,
            hop_limit: c.hops.send,
            multihop: c.multihop,
        }));
    }

    fn on_refused(&mut self, id: u32, taken: bool, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        s.tries += 1;
        if taken && s.tries % TRIES != 0 {
            let old = s.port;
            let port = self.port();
            self.ports.remove(&old);
            if let Some(s) = self.slot(id) {
                s.port = port;
            }
            self.keep(id, out);
            return self.open(id, out);
        }
        self.timers.set(Key::Open(id), now + AGAIN);
    }

    /// Who is meant (RFC 5880 section 6.8.6, RFC 5881 section 3).
    fn who(&self, packet: &Received<'_>, p: &Packet) -> Option<u32> {
        let fits = |id: &u32| {
            self.slots.get(*id as usize).and_then(Option::as_ref).is_some_and(|s| {
                s.config.neighbor == packet.source
                    && s.config.multihop == packet.multihop
                    && s.config.source.is_none_or(|a| a == packet.destination)
            })
        };
        if p.yours != 0 {
            return self.by_discriminator.get(&p.yours).copied().filter(fits);
        }
        let all = self.by_peer.get(&(packet.source, packet.multihop))?;
        // One that names its own address goes before one that takes packets to any.
        let fitting = || all.iter().copied().filter(fits);
        let exact =
            |id: &u32| self.slots.get(*id as usize).and_then(Option::as_ref).is_some_and(|s| s.config.source.is_some());
        fitting().find(exact).or_else(|| fitting().next())
    }

    fn on_packet(&mut self, packet: &Received<'_>, now: Time, out: &mut Vec<Output>) {
        let p = match Packet::parse(packet.payload) {
            Ok(p) => p,
            Err(fault) => return self.stranger(packet, &fault, now, out),
        };
        let Some(id) = self.who(packet, &p) else {
            return self.stranger(packet, &"it belongs to no session", now, out);
        };
        let Some(s) = self.slot(id) else { return };
        if !s.is_near(packet.hop_limit) {
            let least = s.config.hops.least;
            let text = format!("its TTL is {} and must be at least {least}", packet.hop_limit);
            return self.stranger(packet, &text, now, out);
        }
        let (remote, poll, in_time) = (s.remote, s.poll, s.interval());
        let change = s.hear(&p, now);
        let (answer, spoken) = (s.answer, s.interval());
        // Only what is not the same as in the packet before is looked at any further: this is the path of every packet.
        if change.is_none() && s.remote == remote && s.poll == poll {
            if answer {
                self.hurry(id, now, out);
            }
            return;
        }
        if let Some(change) = change {
            self.changed(id, change, now, out);
        }
        self.watch(id);
        self.keep(id, out);
        if change.is_some() || answer {
            self.hurry(id, now, out);
        } else if spoken < in_time || self.timers.get(Key::Send(id)).is_none() {
            // What is due later than the new interval allows is brought forward, and who was silent may have to speak.
            self.schedule(id, None, now);
        }
    }

    /// A packet that is thrown away; the first of its kind is named, and then now and then one.
    fn stranger(&mut self, packet: &Received<'_>, why: &dyn fmt::Display, now: Time, out: &mut Vec<Output>) {
        let known = self.by_peer.get(&(packet.source, packet.multihop)).and_then(|all| all.first()).copied();
        let quota = match known {
            Some(id) => {
                let Some(s) = self.slot(id) else { return };
                s.counters.refused += 1;
                &mut s.quota
            }
            None => {
                self.strangers += 1;
                &mut self.quota
            }
        };
        if let Some(left_out) = quota.take(now) {
            let more = if left_out > 0 { format!(" ({left_out} lines left out)") } else { String::new() };
            let text = format!("BFD packet from {} is thrown away: {why}{more}", packet.source);
            out.push(Output::Log(Level::Info, text));
        }
    }

    fn say(&mut self, id: u32, text: fmt::Arguments<'_>, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        if let Some(left_out) = s.quota.take(now) {
            let more = if left_out > 0 { format!(" ({left_out} lines left out)") } else { String::new() };
            out.push(Output::Log(Level::Info, format!("({}) {text}{more}", s.config.name)));
        }
    }

    fn changed(&mut self, id: u32, change: Change, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        let (name, own, theirs, told) = (s.config.name.clone(), s.diag, s.remote.diag, s.told);
        match change.state {
            State::Down => {
                let why = format_args!("Entering Down state (Local diagnostic - {own}, Remote diagnostic - {theirs})");
                self.say(id, why, now, out);
                if told {
                    self.say(id, format_args!("the peer took the session down itself, which is no failure"), now, out);
                }
            }
            state => self.say(id, format_args!("Entering {state} state"), now, out),
        }
        if let Some(up) = change.tell {
            out.push(Output::Told { name, up });
        }
    }

    /// A packet as soon as may be: the peer polls, or has to hear of a change.
    pub(crate) fn hurry(&mut self, id: u32, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        let next = s.sent.map_or(now, |at| at + GAP);
        if next <= now {
            self.send(id, None, now, out);
        } else if self.timers.get(Key::Send(id)).is_none_or(|at| at > next) {
            self.timers.set(Key::Send(id), next);
        }
    }

    /// Sends a packet, if one may be sent, and arms the timer of the next. `due`: when the timer was to fire.
    fn send(&mut self, id: u32, due: Option<Time>, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        let changed = s.sent.is_none_or(|at| at < s.since);
        if (s.speaks() || s.answer || changed) && s.may_speak() {
            let payload = s.packet(now);
            out.push(Output::Send { id, payload });
        }
        self.schedule(id, due, now);
    }

    /// Arms the timer of the next packet. Its base is when this one was due, so that lateness does not add up.
    fn schedule(&mut self, id: u32, due: Option<Time>, now: Time) {
        let Some(s) = self.slots.get(id as usize).and_then(Option::as_ref) else { return };
        if !s.speaks() {
            self.timers.cancel(Key::Send(id));
            return;
        }
        let interval = s.interval();
        let late = Duration::from_micros(u64::from(interval) / 8);
        let base = match due {
            Some(due) if now.since(due) < late => due,
            Some(_) => now,
            None => s.sent.unwrap_or(now),
        };
        let at = timing::due(base, interval, s.config.multiplier, &mut self.rng).max(now);
        self.timers.set(Key::Send(id), at);
    }

    /// Arms the timer of silence. A packet moves the deadline and not the timer: that would be work for every packet.
    pub(crate) fn watch(&mut self, id: u32) {
        let Some(s) = self.slots.get(id as usize).and_then(Option::as_ref) else { return };
        match (s.deadline(), self.timers.get(Key::Detect(id))) {
            (None, Some(_)) => self.timers.cancel(Key::Detect(id)),
            (Some(at), armed) if armed.is_none_or(|t| t > at) => self.timers.set(Key::Detect(id), at),
            _ => {}
        }
    }

    fn silent(&mut self, id: u32, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        let Some(deadline) = s.deadline() else { return };
        if now < deadline {
            return self.watch(id);
        }
        let silence = s.heard.map(|at| now.since(at)).unwrap_or_default();
        let change = s.expire(now);
        if let Some(change) = change {
            let overdue = now.since(deadline).as_micros();
            let text = format_args!("Expired after {} ms ({overdue} usec overdue)", silence.as_millis());
            self.say(id, text, now, out);
            self.changed(id, change, now, out);
            self.hurry(id, now, out);
        }
        self.keep(id, out);
        // A peer that had asked for silence is gone: whoever comes next is spoken to.
        if self.timers.get(Key::Send(id)).is_none() {
            self.schedule(id, None, now);
        }
    }

    pub(crate) fn keep(&mut self, id: u32, out: &mut Vec<Output>) {
        if let Some(snapshot) = self.slot(id).and_then(Session::news) {
            out.push(Output::Keep(Box::new(snapshot)));
        }
    }

    /// AdminDown is said to a peer that has been heard (RFC 5880 section 6.8.16).
    pub(crate) fn take_down(&mut self, id: u32, now: Time, out: &mut Vec<Output>) {
        self.timers.cancel(Key::Send(id));
        self.timers.cancel(Key::Detect(id));
        self.timers.cancel(Key::Open(id));
        let Some(s) = self.slot(id) else { return };
        s.take_down(now);
        if s.remote.discriminator != 0 {
            let payload = s.packet(now);
            out.push(Output::Send { id, payload });
        }
    }

    fn stop(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.life != Life::Running {
            return;
        }
        self.life = Life::Stopping;
        for id in 0..self.slots.len() as u32 {
            self.take_down(id, now, out);
        }
        self.timers.set(Key::Leave, now + LEAVING);
    }

    fn leave(&mut self, now: Time, out: &mut Vec<Output>) {
        for id in 0..self.slots.len() as u32 {
            self.take_down(id, now, out);
            out.push(Output::Close(id));
        }
        self.life = Life::Stopped;
        self.timers = Timers::new();
        out.push(Output::Stopped);
    }
}

#[cfg(test)]
mod tests;
