//! The BFD role: one loop that turns packets and time into the machine's input and carries its output out. Verdicts go straight to the
//! VRRP and the checker child.

mod live;
pub mod translate;

use crate::child::{self, BEAT, Brother, Order, Parent, SETTLED, confine};
use crate::cli::Options;
use crate::events;
use crate::reread::Reread;
use std::io;
use std::time::Duration;
use steadfast_bfd::{Config as Wanted, Input, Open, Output, Received, Sessions, Snapshot};
use steadfast_config::Config;
use steadfast_core::{Family, Time};
use steadfast_ipc::{Dump, Message, decode, decode_kept, encode};
use steadfast_net::bfd_socket::{Receiver, Sender};
use steadfast_sys::signals::Signals;
use steadfast_sys::{Reactor, Ready, logging, now, schedule};
use translate::Settings;

const SIGNALS: usize = 2;
const VRRP: usize = 3;
const CHECKER: usize = 4;
/// A new file has been read.
const READ: usize = 5;
/// Tokens of receiving sockets begin here.
const SOCKETS: usize = 10;
/// Batches of packets of one socket in one turn, as many as its buffer holds: no peer is judged silent before what has arrived is heard.
const BATCHES: usize = 44;

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    child::live(options, "Keepalived_bfd", "BFD", |signals| {
        Ok(Role::start(options, signals)?.map_or(0, |mut role| role.run()))
    })
}

/// A receiving socket.
struct Ear {
    family: Family,
    receiver: Receiver,
    /// There may be more to read: readiness is told once.
    more: bool,
}

/// The sending socket of a session.
#[derive(Default)]
struct Mouth {
    sender: Option<Sender>,
    /// The last packet could not be sent, which was said.
    failing: bool,
}

struct Role {
    parent: Parent,
    signals: Signals,
    reactor: Reactor,
    vrrp: Option<Brother>,
    checker: Option<Brother>,
    sessions: Sessions,
    settings: Settings,
    reread: Reread<(Wanted, Settings)>,
    /// By place; the token is the place and [`SOCKETS`].
    ears: Vec<Option<Ear>>,
    /// Sockets that could not be opened, which was said.
    deaf: Vec<(Family, bool)>,
    /// By the number of the session.
    mouths: Vec<Mouth>,
    out: Vec<Output>,
    stopped: bool,
    /// -u.
    mask: Option<u32>,
    beat: Time,
    /// When memory that was needed for the start is given back.
    trim: Option<Time>,
    late: Duration,
    /// When this process began.
    born: Time,
    /// A successor is wanted.
    succession: bool,
}

impl Role {
    fn start(options: &Options, signals: Signals) -> io::Result<Option<Role>> {
        let mut reactor = Reactor::new()?;
        let mut parent = Parent::new(options)?;
        parent.register(&reactor)?;
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut ready = Vec::new();
        let mut config: Option<Config> = None;
        let mut configs = 0;
        let config = loop {
            if let Some(config) = config {
                break config;
            }
            reactor.wait(Some(now() + BEAT), false, &mut ready)?;
            parent.say(Message::Heartbeat { late: 0 });
            for order in parent.orders() {
                match order {
                    Order::Config(bytes) => {
                        config = Some(decode(&bytes).map_err(io::Error::other)?);
                        configs += 1;
                    }
                    Order::Message(Message::Keep { bytes, .. }) => match decode_kept::<Snapshot>(&bytes) {
                        Ok(snapshot) => snapshots.push(snapshot),
                        Err(e) if options.rehearse => return Err(io::Error::other(e)),
                        Err(_) => {}
                    },
                    Order::Message(Message::Stop { .. }) | Order::Gone => return Ok(None),
                    Order::Message(_) => {}
                }
            }
        };
        let (wanted, settings) = translate::translate(&config);
        drop(config);
        crate::vrrp::be_scheduled(&settings.scheduling);
        if options.rehearse {
            schedule::usual();
        }
        settings.name.iter().for_each(|name| schedule::name(name));
        reactor.watch(signals.fd(), SIGNALS)?;
        let (vrrp, checker) = (Brother::new(options, 0), Brother::new(options, 1));
        for (b, token) in [(&vrrp, VRRP), (&checker, CHECKER)] {
            if let Some(b) = b {
                b.register(&reactor, token)?;
            }
        }
        let reread = Reread::new(&reactor, READ, translate::translate)?;
        let t = now();
        let mut out = Vec::new();
        // Nobody can tell from the time of a start which discriminators there are.
        let seed = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), t);
        let sessions = Sessions::restore(wanted, &snapshots, seed, t, &mut out);
        let mut role = Role {
            parent,
            signals,
            reactor,
            vrrp,
            checker,
            sessions,
            settings,
            reread,
            ears: Vec::new(),
            deaf: Vec::new(),
            mouths: Vec::new(),
            out,
            stopped: false,
            mask: options.umask,
            beat: t,
            trim: Some(t + SETTLED),
            late: Duration::ZERO,
            born: t,
            succession: false,
        };
        logging::structured(role.settings.structured);
        let places = crate::places::of(options, [role.settings.dump.as_path()], []);
        if options.rehearse {
            confine(options, &steadfast_sys::sandbox::BFD, &places);
            if options.testify {
                role.testify(t);
                role.parent.flush_at_the_end();
                return Ok(None);
            }
            role.sessions.poll(now(), &mut role.out);
            return Ok(None);
        }
        role.listen();
        confine(options, &steadfast_sys::sandbox::BFD, &places);
        role.act(t);
        role.sessions.poll(t, &mut role.out);
        role.act(t);
        (0..configs).for_each(|_| role.parent.say(Message::Ready));
        Ok(Some(role))
    }

    /// Opens the receiving sockets that are wanted, and closes the others.
    fn listen(&mut self) {
        for place in &mut self.ears {
            if let Some(ear) = place.take_if(|e| !self.settings.receivers.contains(&(e.family, e.receiver.multihop))) {
                self.reactor.forget(ear.receiver.fd());
            }
        }
        for wanted in self.settings.receivers.clone() {
            let (family, multihop) = wanted;
            if self.ears.iter().flatten().any(|e| (e.family, e.receiver.multihop) == wanted) {
                continue;
            }
            let at = self.ears.iter().position(Option::is_none).unwrap_or(self.ears.len());
            if at == self.ears.len() {
                self.ears.push(None);
            }
            let opened = Receiver::open(family, multihop)
                .and_then(|receiver| self.reactor.watch(receiver.fd(), SOCKETS + at).map(|()| receiver));
            match opened {
                Ok(receiver) => {
                    self.deaf.retain(|d| *d != wanted);
                    if let Some(place) = self.ears.get_mut(at) {
                        *place = Some(Ear { family, receiver, more: true });
                    }
                }
                Err(e) if !self.deaf.contains(&wanted) => {
                    self.deaf.push(wanted);
                    let port = if multihop { 4784 } else { 3784 };
                    log::error!("cannot receive BFD packets on UDP port {port} ({family:?}): {e}; trying again");
                }
                Err(_) => {}
            }
        }
    }

    /// Nothing is lost, and it is not too soon.
    fn may_hand_over(&self, t: Time) -> bool {
        t >= self.born + crate::places::PAUSE
    }

    fn run(&mut self) -> i32 {
        let mut ready: Vec<Ready> = (0..=READ).map(Ready::perhaps).collect();
        self.turn(now(), &ready);
        while !self.stopped {
            let due = self.sessions.poll_at().unwrap_or(Time::FAR).min(self.beat);
            let busy = self.ears.iter().flatten().any(|e| e.more);
            if let Err(e) = self.reactor.wait(Some(due), busy, &mut ready) {
                log::error!("event loop: {e}");
                return 1;
            }
            self.turn(due, &ready);
            if self.succession && !self.stopped && self.may_hand_over(now()) {
                log::info!("The file names what this process has given up: a successor takes over");
                self.parent.flush_at_the_end();
                return crate::places::SUCCESSION;
            }
        }
        self.parent.flush();
        log::info!("Stopped BFD child process");
        0
    }

    /// One turn: packets first, so that silence is judged when all that has arrived is heard; due timers; the rest.
    fn turn(&mut self, due: Time, ready: &[Ready]) {
        let t = now();
        self.late = self.late.max(t.since(due));
        for r in ready {
            if let Some(ear) =
                r.token.checked_sub(SOCKETS).and_then(|at| self.ears.get_mut(at)).and_then(Option::as_mut)
            {
                ear.more = true;
            }
        }
        self.packets(t);
        self.sessions.poll(t, &mut self.out);
        self.act(t);
        for r in ready {
            match r.token {
                SIGNALS => self.take_signals(t),
                VRRP | CHECKER => self.hear_brothers(),
                READ => self.reload(t),
                n if n < SIGNALS => {
                    self.parent.flush();
                    self.orders(t);
                }
                _ => {}
            }
        }
        if t >= self.beat {
            let late = u64::try_from(std::mem::take(&mut self.late).as_micros()).unwrap_or(u64::MAX);
            self.parent.say(Message::Heartbeat { late });
            if !self.deaf.is_empty() {
                self.listen();
            }
            if self.trim.take_if(|at| *at <= t).is_some() {
                schedule::give_memory_back();
            }
            self.beat = t + BEAT;
        }
        self.act(t);
    }

    fn packets(&mut self, t: Time) {
        for ear in self.ears.iter_mut().flatten().filter(|e| e.more) {
            let multihop = ear.receiver.multihop;
            for _ in 0..BATCHES {
                let (sessions, out) = (&mut self.sessions, &mut self.out);
                let result = ear.receiver.receive(|p| {
                    let packet = Received {
                        source: p.source,
                        destination: p.destination,
                        hop_limit: p.hop_limit,
                        multihop,
                        payload: p.payload,
                    };
                    sessions.handle(t, Input::Packet(packet), out);
                });
                ear.more = match result {
                    Ok(more) => more,
                    Err(e) => {
                        log::error!("BFD socket: {e}");
                        false
                    }
                };
                if !ear.more {
                    break;
                }
            }
        }
    }

    fn take_signals(&mut self, t: Time) {
        while let Some(signal) = self.signals.next() {
            if signal == 15 {
                self.parent.mourn();
                self.sessions.handle(t, Input::Stop, &mut self.out);
            }
        }
    }

    /// One that has just begun wants to know all.
    fn hear_brothers(&mut self) {
        for b in [&mut self.vrrp, &mut self.checker].into_iter().flatten() {
            b.flush();
        }
        let asks = |b: &mut Option<Brother>| b.iter_mut().any(|b| b.hear().contains(&Message::Hello));
        let (vrrp, checker) = (asks(&mut self.vrrp), asks(&mut self.checker));
        if vrrp || checker {
            self.tell_all();
        }
    }

    fn tell_all(&mut self) {
        let all: Vec<(String, bool)> = self.sessions.views().map(|v| (v.config.name.clone(), v.told)).collect();
        for (name, up) in all {
            self.tell(name, up);
        }
    }

    fn tell(&mut self, name: String, up: bool) {
        let (vrrp, checker) = self.settings.clients.get(&name).copied().unwrap_or_default();
        for (b, _) in [(&mut self.vrrp, vrrp), (&mut self.checker, checker)].into_iter().filter(|(_, wanted)| *wanted) {
            if let Some(b) = b {
                b.say(Message::Session { name: name.clone(), up });
            }
        }
    }

    fn orders(&mut self, t: Time) {
        for order in self.parent.orders() {
            match order {
                Order::Config(bytes) => self.reread.begin(bytes),
                Order::Gone => self.sessions.handle(t, Input::Stop, &mut self.out),
                Order::Message(message) => {
                    if let Some(message) = self.reread.defer(message) {
                        self.obey(message, t);
                    }
                }
            }
        }
    }

    fn obey(&mut self, message: Message, t: Time) {
        match message {
            Message::Ask => self.say_status(t),
            Message::Survey => self.report(t),
            Message::Dump(Dump::Data) => self.dump(t),
            Message::Stop { .. } => {
                log::info!("Stopping BFD child process");
                self.sessions.handle(t, Input::Stop, &mut self.out);
            }
            _ => {}
        }
    }

    /// A file has been read: the difference is put into effect.
    fn reload(&mut self, t: Time) {
        match self.reread.take() {
            None => return,
            Some(Ok((wanted, settings))) => {
                self.settings = settings;
                logging::structured(self.settings.structured);
                self.settings.name.iter().for_each(|name| schedule::name(name));
                self.trim = Some(t + SETTLED);
                self.listen();
                self.sessions.reload(wanted, t, &mut self.out);
                self.act(t);
                self.tell_all();
                self.succession |= crate::places::is_closed(&self.settings.dump);
                (0..std::mem::take(&mut self.reread.unanswered)).for_each(|_| self.parent.say(Message::Ready));
            }
            Some(Err(e)) => log::error!("configuration: {e}"),
        }
        for message in std::mem::take(&mut self.reread.deferred) {
            self.obey(message, t);
        }
    }

    /// Carries out what the machine wants, also what follows from carrying it out.
    fn act(&mut self, t: Time) {
        while !self.out.is_empty() {
            let mut todo = std::mem::take(&mut self.out);
            for output in todo.drain(..) {
                self.do_one(t, output);
            }
            // The room is kept: this is the path of every packet.
            if self.out.is_empty() {
                self.out = todo;
                return;
            }
        }
    }

    fn do_one(&mut self, t: Time, output: Output) {
        match output {
            Output::Send { id, payload } => self.send(id, &payload),
            Output::Open(o) => self.open(&o, t),
            Output::Close(id) => {
                if let Some(m) = self.mouths.get_mut(id as usize) {
                    *m = Mouth::default();
                }
            }
            Output::Told { name, up } => {
                if self.settings.structured {
                    let state = if up { "UP" } else { "DOWN" };
                    log::info!(MESSAGE_ID = events::SESSION_STATE, BFD_INSTANCE = name.as_str(), NEW_STATE = state; "BFD {name} {state}");
                }
                self.tell(name, up);
            }
            Output::Keep(s) => {
                if let Ok(bytes) = encode(&*s) {
                    self.parent.say(Message::Keep { key: s.name.clone(), bytes });
                }
            }
            Output::Forget(key) => self.parent.say(Message::Keep { key, bytes: Vec::new() }),
            Output::Log(level, text) => log::log!(level, "{text}"),
            Output::Stopped => self.stopped = true,
        }
    }

    fn open(&mut self, o: &Open, t: Time) {
        let at = o.id as usize;
        if at >= self.mouths.len() {
            self.mouths.resize_with(at + 1, Mouth::default);
        }
        let Some(m) = self.mouths.get_mut(at) else { return };
        // The port of the one before may be wanted again.
        m.sender = None;
        match Sender::open(o.source, o.neighbor, o.port, o.hop_limit, o.multihop) {
            Ok(sender) => *m = Mouth { sender: Some(sender), failing: false },
            Err(e) => {
                let taken = e.kind() == io::ErrorKind::AddrInUse;
                if !taken && !std::mem::replace(&mut m.failing, true) {
                    log::warn!("BFD to {}: no socket: {e}; trying again", o.neighbor);
                }
                self.sessions.handle(t, Input::Refused(o.id, taken), &mut self.out);
            }
        }
    }

    fn send(&mut self, id: u32, payload: &[u8]) {
        let Some(m) = self.mouths.get_mut(id as usize) else { return };
        let Some(sender) = &m.sender else { return };
        match sender.send(payload) {
            Ok(()) => m.failing = false,
            Err(e) if !std::mem::replace(&mut m.failing, true) => {
                log::warn!("({}) Error sending packet: {e}", self.sessions.name(id).unwrap_or_default());
            }
            Err(_) => {}
        }
    }
}
