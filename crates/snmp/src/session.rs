//! The dialogue with the master agent (RFC 2741 sections 6 and 7): open, register, answer, notify, ping; again after a loss.
//!
//! ```text
//!   Idle ──Connect──► Connecting ──connected──► Opening ──response──► Open ──► requests, notifications, pings
//!    ▲                     │                       │                    │
//!    └──── growing pause ──┴────── lost, silent, refused, bad bytes ────┘
//! ```

use crate::oid::Oid;
use crate::view::{Setting, View};
use crate::wire::{self, Bind, Body, Packet, Range, Value};
use std::collections::VecDeque;
use std::time::Duration;
use steadfast_core::Time;

/// The first pause before another try, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// An open session is tried after this much silence.
const PING: Duration = Duration::from_secs(15);
/// Who has not answered by then is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// A subtree that was refused is asked for again after this.
const AGAIN: Duration = Duration::from_secs(60);
/// Notifications that wait for a session, and how long they are worth being told.
const WAITING: usize = 1024;
const FRESH: Duration = Duration::from_secs(30);
/// Requests that wait for an answer; the master sends one after the other.
const REQUESTS: usize = 64;
/// Objects in the answer to one bulk request, and their bytes (about): it goes into one datagram in the end.
const BULK: usize = 2048;
const BULK_BYTES: usize = 48 * 1024;
/// Timeout that is asked of the master, in seconds.
const TIMEOUT: u8 = 5;
/// Priority of registrations; keepalived has it too.
const PRIORITY: u8 = 127;

const REFUSALS: [(u16, &str); 6] = [
    (256, "open failed"),
    (257, "not open"),
    (263, "somebody else serves it"),
    (265, "requests are denied"),
    (266, "a fault of processing"),
    (268, "a fault of the packet"),
];
const NOT_OPEN: u16 = 257;
const UNSUPPORTED_CONTEXT: u16 = 262;
const GEN_ERR: u16 = 5;
const WRONG_TYPE: u16 = 7;
const WRONG_VALUE: u16 = 10;
const INCONSISTENT: u16 = 12;
const COMMIT_FAILED: u16 = 14;
const NOT_WRITABLE: u16 = 17;

/// What is served: subtrees with what `sysORTable` says of them.
pub type Subtrees = Vec<(Oid, &'static str)>;

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input<'b> {
    /// The socket is connected.
    Connected,
    /// Bytes of the master's.
    Bytes(&'b [u8]),
    /// The socket could not be connected, or was closed.
    Lost(&'b str),
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Connect to the master.
    Connect,
    /// Send bytes.
    Send(Vec<u8>),
    /// Close the socket.
    Close,
    /// A line for the log: worth a warning, text.
    Log(bool, String),
    /// A manager has set an object.
    Set(Setting, i32),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Until then nothing is tried.
    Idle(Time),
    /// The socket or the session is being opened.
    Opening(Time),
    Open,
    Over,
}

/// The agent's end of a session.
#[derive(Debug)]
pub struct Session {
    text: String,
    subtrees: Subtrees,
    stage: Stage,
    pause: Duration,
    id: u32,
    /// Number of our last packet.
    packet: u32,
    buffer: Vec<u8>,
    requests: VecDeque<Packet>,
    /// Registrations that wait for an answer: packet, subtree.
    asked: Vec<(u32, usize)>,
    /// Subtrees that were refused, and when they are asked for again.
    refused: Vec<usize>,
    again: Option<Time>,
    /// When the master was heard last, and since when a ping is unanswered.
    heard: Time,
    pinged: Option<Time>,
    notices: VecDeque<(Time, Vec<Bind>)>,
    /// A set that was tested: transaction, what, value, value before.
    tested: Option<(u32, Vec<(Setting, i32, i32)>)>,
    /// The failure to connect was logged.
    complained: bool,
    /// The master's sysUpTime, as last heard.
    uptime: (Time, u32),
}

impl Session {
    /// A session that calls itself `text`.
    pub fn new(text: &str, subtrees: Subtrees, now: Time) -> Self {
        Session {
            text: text.to_string(),
            subtrees,
            stage: Stage::Idle(now),
            pause: PAUSES.0,
            id: 0,
            packet: 0,
            buffer: Vec::new(),
            requests: VecDeque::new(),
            asked: Vec::new(),
            refused: Vec::new(),
            again: None,
            heard: now,
            pinged: None,
            notices: VecDeque::new(),
            tested: None,
            complained: false,
            uptime: (now, 0),
        }
    }

    /// The session is open.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// The master's sysUpTime now, in hundredths of a second.
    pub fn uptime(&self, now: Time) -> u32 {
        let since = now.since(self.uptime.0).as_millis() / 10;
        self.uptime.1.wrapping_add(u32::try_from(since & 0xffff_ffff).unwrap_or(0))
    }

    /// Requests wait for [`Session::answer`].
    pub fn waiting(&self) -> bool {
        !self.requests.is_empty()
    }

    /// When [`Session::poll`] is due.
    pub fn poll_at(&self) -> Option<Time> {
        match self.stage {
            Stage::Idle(at) | Stage::Opening(at) => Some(at),
            Stage::Open => {
                let silence = self.pinged.map_or(self.heard + PING, |p| p + PATIENCE);
                Some(self.again.map_or(silence, |a| a.min(silence)))
            }
            Stage::Over => None,
        }
    }

    /// Time has passed.
    pub fn poll(&mut self, now: Time, out: &mut Vec<Output>) {
        match self.stage {
            Stage::Idle(at) if at <= now => {
                self.stage = Stage::Opening(now + PATIENCE);
                out.push(Output::Connect);
            }
            Stage::Opening(until) if until <= now => self.lost(now, "it does not answer", out),
            Stage::Open => {
                if self.again.is_some_and(|at| at <= now) {
                    self.again = None;
                    for n in std::mem::take(&mut self.refused) {
                        self.register(n, out);
                    }
                }
                match self.pinged {
                    Some(since) if since + PATIENCE <= now => self.lost(now, "it does not answer", out),
                    None if self.heard + PING <= now => {
                        self.pinged = Some(now);
                        self.say(Body::Ping, out);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    /// Something happens.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Connected => {
                if matches!(self.stage, Stage::Opening(_)) {
                    self.stage = Stage::Opening(now + PATIENCE);
                    let id = self.subtrees.first().map(|(id, _)| id.clone()).unwrap_or_default();
                    let text = self.text.clone();
                    self.id = 0;
                    self.say(Body::Open { timeout: TIMEOUT, id, text }, out);
                }
            }
            Input::Lost(why) => self.lost(now, why, out),
            Input::Bytes(bytes) => {
                if !matches!(self.stage, Stage::Opening(_) | Stage::Open) {
                    return;
                }
                self.heard = now;
                self.pinged = None;
                self.buffer.extend_from_slice(bytes);
                loop {
                    let packet = match wire::split(&self.buffer) {
                        Ok(None) => break,
                        Ok(Some(n)) => wire::parse(self.buffer.drain(..n).as_slice()),
                        Err(e) => Err(e),
                    };
                    match packet {
                        Ok(p) => self.packet(now, p, out),
                        // Where the next packet begins is no longer certain.
                        Err(e) => return self.lost(now, &e.to_string(), out),
                    }
                    if !matches!(self.stage, Stage::Opening(_) | Stage::Open) {
                        return;
                    }
                }
            }
        }
    }

    /// Tells managers; while there is no session it waits for one, though not for long.
    pub fn notify(&mut self, now: Time, binds: Vec<Bind>, out: &mut Vec<Output>) {
        if self.is_open() {
            return self.say(Body::Notify(binds), out);
        }
        if self.notices.len() >= WAITING {
            self.notices.pop_front();
        }
        self.notices.push_back((now, binds));
    }

    /// Other subtrees are served from now on.
    pub fn serve(&mut self, subtrees: Subtrees, now: Time, out: &mut Vec<Output>) {
        if subtrees == self.subtrees {
            return;
        }
        let was_open = self.is_open();
        self.subtrees = subtrees;
        if was_open {
            self.say(Body::Close { reason: 5 }, out);
            self.reset(out);
            self.stage = Stage::Idle(now);
        }
    }

    /// Ends it.
    pub fn close(&mut self, out: &mut Vec<Output>) {
        if self.is_open() {
            self.say(Body::Close { reason: 5 }, out);
        }
        self.reset(out);
        self.stage = Stage::Over;
    }

    fn say(&mut self, body: Body, out: &mut Vec<Output>) {
        self.packet = self.packet.wrapping_add(1);
        let packet = Packet { session: self.id, transaction: 0, packet: self.packet, body, context: false };
        out.push(Output::Send(wire::emit(&packet)));
    }

    fn reset(&mut self, out: &mut Vec<Output>) {
        self.buffer.clear();
        self.requests.clear();
        self.asked.clear();
        self.refused.clear();
        self.again = None;
        self.pinged = None;
        self.tested = None;
        out.push(Output::Close);
    }

    fn lost(&mut self, now: Time, why: &str, out: &mut Vec<Output>) {
        let was = self.stage;
        if !matches!(was, Stage::Opening(_) | Stage::Open) {
            return;
        }
        if was == Stage::Open || !self.complained {
            out.push(Output::Log(true, format!("the AgentX master is not there: {why}; trying again")));
        }
        self.complained = true;
        self.reset(out);
        self.stage = Stage::Idle(now + self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    fn register(&mut self, n: usize, out: &mut Vec<Output>) {
        let Some((subtree, _)) = self.subtrees.get(n) else { return };
        let body = Body::Register { priority: PRIORITY, subtree: subtree.clone() };
        self.say(body, out);
        self.asked.push((self.packet, n));
    }

    fn packet(&mut self, now: Time, p: Packet, out: &mut Vec<Output>) {
        match p.body {
            Body::Response { uptime, error, .. } => {
                self.uptime = (now, uptime);
                self.response(now, p.session, p.packet, error, out);
            }
            Body::Close { reason } if p.session == self.id => {
                self.lost(now, &format!("it closed the session (reason {reason})"), out);
            }
            Body::Get(_)
            | Body::GetNext(_)
            | Body::GetBulk { .. }
            | Body::TestSet(_)
            | Body::CommitSet
            | Body::UndoSet
            | Body::CleanupSet
                if self.is_open() =>
            {
                let error = match () {
                    () if p.session != self.id => Some(NOT_OPEN),
                    () if p.context => Some(UNSUPPORTED_CONTEXT),
                    () if self.requests.len() >= REQUESTS => Some(GEN_ERR),
                    () => None,
                };
                match error {
                    Some(e) => reply(&p, e, 0, Vec::new(), out),
                    None => self.requests.push_back(p),
                }
            }
            _ => {}
        }
    }

    fn response(&mut self, now: Time, session: u32, packet: u32, error: u16, out: &mut Vec<Output>) {
        if let Stage::Opening(_) = self.stage {
            if packet != self.packet {
                return;
            }
            if error != 0 {
                return self.lost(now, &format!("it refuses a session ({})", named(error)), out);
            }
            self.id = session;
            self.stage = Stage::Open;
            self.pause = PAUSES.0;
            self.complained = false;
            for n in 0..self.subtrees.len() {
                self.register(n, out);
            }
            for (id, text) in self.subtrees.clone() {
                self.say(Body::AddCaps { id, text: text.to_string() }, out);
            }
            out.push(Output::Log(false, "session with the AgentX master is open".to_string()));
            for (at, binds) in std::mem::take(&mut self.notices) {
                if now.since(at) <= FRESH {
                    self.say(Body::Notify(binds), out);
                }
            }
            return;
        }
        let asked = self.asked.iter().position(|(n, _)| *n == packet).map(|n| self.asked.swap_remove(n));
        match (asked, error) {
            (_, 0) => {}
            (_, NOT_OPEN) => self.lost(now, "it knows no session of ours", out),
            (Some((_, n)), error) => {
                if let Some((subtree, _)) = self.subtrees.get(n) {
                    let text = format!("{subtree} cannot be served: {}", named(error));
                    out.push(Output::Log(true, text));
                }
                self.refused.push(n);
                self.again.get_or_insert(now + AGAIN);
            }
            (None, _) => {}
        }
    }

    /// Answers all that was asked.
    pub fn answer(&mut self, view: &View, out: &mut Vec<Output>) {
        while let Some(p) = self.requests.pop_front() {
            match &p.body {
                Body::Get(ranges) => {
                    let binds = ranges.iter().map(|r| Bind::new(r.start.clone(), view.get(&r.start))).collect();
                    reply(&p, 0, 0, binds, out);
                }
                Body::GetNext(ranges) => reply(&p, 0, 0, ranges.iter().map(|r| next(view, r)).collect(), out),
                Body::GetBulk { single, repeat, ranges } => {
                    reply(&p, 0, 0, bulk(view, usize::from(*single), usize::from(*repeat), ranges), out);
                }
                Body::TestSet(binds) => {
                    let mut plan = Vec::new();
                    let wrong = binds.iter().zip(1u16..).find_map(|(b, n)| match test(view, b) {
                        Ok(step) => {
                            plan.push(step);
                            None
                        }
                        Err(e) => Some((e, n)),
                    });
                    self.tested = wrong.is_none().then_some((p.transaction, plan));
                    let (error, index) = wrong.unwrap_or_default();
                    reply(&p, error, index, Vec::new(), out);
                }
                Body::CommitSet | Body::UndoSet => {
                    let undo = p.body == Body::UndoSet;
                    let plan = self.tested.as_ref().filter(|(t, _)| *t == p.transaction).map(|(_, plan)| plan);
                    let error = match plan {
                        Some(plan) => {
                            for (setting, value, before) in plan {
                                out.push(Output::Set(setting.clone(), if undo { *before } else { *value }));
                            }
                            0
                        }
                        None if undo => 0,
                        None => COMMIT_FAILED,
                    };
                    reply(&p, error, 0, Vec::new(), out);
                }
                // RFC 2741 section 7.2.4.4: no response.
                Body::CleanupSet => self.tested = None,
                _ => {}
            }
        }
    }
}

fn named(error: u16) -> String {
    REFUSALS.iter().find(|(n, _)| *n == error).map_or(format!("error {error}"), |(_, text)| (*text).to_string())
}

fn reply(to: &Packet, error: u16, index: u16, binds: Vec<Bind>, out: &mut Vec<Output>) {
    if to.body == Body::CleanupSet {
        return;
    }
    let body = Body::Response { uptime: 0, error, index, binds };
    let Packet { session, transaction, packet, .. } = *to;
    out.push(Output::Send(wire::emit(&Packet { session, transaction, packet, body, context: false })));
}

fn next(view: &View, range: &Range) -> Bind {
    match view.next(range) {
        Some((name, value)) => Bind::new(name.clone(), value.clone()),
        None => Bind::new(range.start.clone(), Value::EndOfView),
    }
}

fn bulk(view: &View, single: usize, repeat: usize, ranges: &[Range]) -> Vec<Bind> {
    let (once, often) = ranges.split_at(single.min(ranges.len()));
    let mut binds: Vec<Bind> = once.iter().map(|r| next(view, r)).collect();
    let mut often: Vec<Range> = often.to_vec();
    let mut bytes = 0;
    for _ in 0..repeat {
        let mut more = false;
        for r in &mut often {
            let b = next(view, r);
            more |= b.value != Value::EndOfView;
            bytes += 16 + b.name.0.len() * 4 + if let Value::Octets(o) = &b.value { o.len() } else { 8 };
            r.start = b.name.clone();
            r.include = false;
            binds.push(b);
        }
        if !more || binds.len() + often.len() > BULK || bytes > BULK_BYTES {
            break;
        }
    }
    binds
}

/// What a set would do: setting, value, value before.
fn test(view: &View, bind: &Bind) -> Result<(Setting, i32, i32), u16> {
    let setting = view.setting(&bind.name).ok_or(NOT_WRITABLE)?;
    let Value::Integer(value) = bind.value else { return Err(WRONG_TYPE) };
    let Value::Integer(before) = view.get(&bind.name) else { return Err(GEN_ERR) };
    let range = match setting {
        Setting::Priority(_) => 1..=254,
        Setting::Preempt(_) => 1..=2,
        Setting::Weight(..) => 0..=i32::MAX,
    };
    if !range.contains(&value) {
        return Err(WRONG_VALUE);
    }
    // An owner's priority is 255 (RFC 9568 section 6.1).
    if matches!(setting, Setting::Priority(_)) && before == 255 {
        return Err(INCONSISTENT);
    }
    Ok((setting.clone(), value, before))
}
