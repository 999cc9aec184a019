//! Sockets of the checks that are under way.

use std::collections::{HashMap, VecDeque};
use std::io;
use steadfast_checkers::{Input, Output, Pool, ProbeId, Target, Transport};
use steadfast_core::Time;
use steadfast_net::probe::{Got, Kind, Probe, Route};
use steadfast_net::tls::Settings;
use steadfast_sys::lack::is_lack;
use steadfast_sys::{Reactor, Ready};

/// Bytes of one read.
const PORTION: usize = 16 * 1024;
/// The first bytes of a probe are read when they come: most answers are no longer. Who sends more waits for its turn among its likes.
const FRESH: usize = PORTION;
/// Bytes that all probes together read in one turn beyond their first ones: a millisecond of searching, so that no server that talks
/// without end delays the checks of the others.
pub const SHARE: usize = 128 * 1024;
/// What a read costs at least, however little it brings.
const COST: usize = 1024;

/// What we lack says nothing of the server.
fn fail(id: ProbeId, e: &io::Error, t: Time, pool: &mut Pool, out: &mut Vec<Output>) {
    let why = e.to_string();
    pool.handle(t, if is_lack(e) { Input::Unable(id, &why) } else { Input::Failed(id, &why) }, out);
}

/// A probe under way.
struct Open {
    probe: Probe,
    token: usize,
    /// What it has read, in bytes or at what that costs.
    had: usize,
    /// It waits for its turn to read.
    queued: bool,
}

/// Probes by id, and the tokens that they are watched under.
pub struct Probes {
    open: HashMap<ProbeId, Open>,
    tokens: HashMap<usize, ProbeId>,
    next: usize,
    /// Those of which there may be more to read, the one that has waited longest first: readiness is told once.
    more: VecDeque<ProbeId>,
}

impl Probes {
    /// Tokens are counted from `first`.
    pub fn new(first: usize) -> Self {
        Probes { open: HashMap::new(), tokens: HashMap::new(), next: first, more: VecDeque::new() }
    }

    /// Begins a probe.
    pub fn start(
        &mut self,
        id: ProbeId,
        transport: &Transport,
        t: Time,
        reactor: &Reactor,
        pool: &mut Pool,
        out: &mut Vec<Output>,
    ) {
        let (kind, target): (Kind, &Target) = match transport {
            Transport::Tcp(target) => (Kind::Tcp, target),
            Transport::Udp(target) => (Kind::Udp, target),
            Transport::Icmp(target) => (Kind::Icmp, target),
            Transport::Tls(target, ..) => (Kind::Tcp, target),
            Transport::Script(_) => {
                pool.handle(t, Input::Failed(id, "not supported yet"), out);
                return;
            }
        };
        let route = Route {
            to: target.address,
            from: target.bind,
            port: target.bind_port,
            interface: target.interface.clone(),
            mark: target.mark,
        };
        let token = self.next;
        // A token is used once in a long while: an event of a closed probe must not reach a new one.
        self.next = self.next.checked_add(1).unwrap_or(usize::MAX / 2);
        let tls = match transport {
            Transport::Tls(target, tls, sni) => Some(Settings {
                server: target.address.ip(),
                name: sni.clone(),
                proven: tls.name.clone(),
                authorities: tls.ca.clone(),
                client: tls.client.clone(),
                http2: tls.http2,
            }),
            _ => None,
        };
        let secured = |mut p: Probe| match &tls {
            Some(settings) => p.secure(settings).map(|()| p),
            None => Ok(p),
        };
        let opened =
            Probe::open(kind, &route).and_then(secured).and_then(|p| reactor.watch_both(p.fd(), token).map(|()| p));
        match opened {
            Ok(probe) => {
                let at_once = probe.at_once();
                self.tokens.insert(token, id);
                self.open.insert(id, Open { probe, token, had: 0, queued: false });
                if at_once {
                    pool.handle(t, Input::Connected(id), out);
                }
            }
            Err(e) => fail(id, &e, t, pool, out),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, id: ProbeId, bytes: &[u8], t: Time, pool: &mut Pool, out: &mut Vec<Output>) {
        if let Some(open) = self.open.get_mut(&id)
            && let Err(e) = open.probe.send(bytes)
        {
            fail(id, &e, t, pool, out);
        }
    }

    /// Forgets a probe; false if there is none.
    pub fn close(&mut self, id: ProbeId) -> bool {
        // Nobody shares its descriptor: with that the kernel forgets who watched it.
        let open = self.open.remove(&id);
        if let Some(open) = &open {
            self.tokens.remove(&open.token);
        }
        open.is_some()
    }

    /// Something is to be had of a probe: its connection, its first bytes. What comes after them waits in the queue.
    pub fn ready(&mut self, ready: &Ready, t: Time, pool: &mut Pool, out: &mut Vec<Output>) {
        let Some(id) = self.tokens.get(&ready.token).copied() else { return };
        let Some(open) = self.open.get_mut(&id) else { return };
        match open.probe.connected(ready.writable && !ready.failed) {
            Ok(true) => pool.handle(t, Input::Connected(id), out),
            Ok(false) => {}
            Err(e) => return fail(id, &e, t, pool, out),
        }
        if let Err(e) = open.probe.flush() {
            return fail(id, &e, t, pool, out);
        }
        // What TLS has read by itself is told by nobody.
        if !ready.readable && !open.probe.is_tls() || open.queued {
            return;
        }
        while open.had < FRESH {
            match read(open, id, t, pool, out) {
                Some(cost) => open.had += cost,
                None => return,
            }
        }
        open.queued = true;
        self.more.push_back(id);
    }

    /// There may be more to read than a turn had time for.
    pub fn waits(&self) -> bool {
        !self.more.is_empty()
    }

    /// One portion for the one that has waited longest; what it cost. `None`: nobody waits.
    pub fn go_on(&mut self, t: Time, pool: &mut Pool, out: &mut Vec<Output>) -> Option<usize> {
        let id = self.more.pop_front()?;
        let Some(open) = self.open.get_mut(&id) else { return Some(0) };
        let cost = read(open, id, t, pool, out);
        open.queued = cost.is_some();
        if open.queued {
            self.more.push_back(id);
        }
        Some(cost.unwrap_or(COST))
    }
}

/// Reads one portion; what it cost. `None`: there is no more, or nobody wants more.
fn read(open: &mut Open, id: ProbeId, t: Time, pool: &mut Pool, out: &mut Vec<Output>) -> Option<usize> {
    // The pool may have had enough: what it wants closed is read no further.
    if out.iter().any(|o| matches!(o, Output::Close(c) if *c == id)) {
        return None;
    }
    let mut buffer = [0u8; PORTION];
    match open.probe.receive(&mut buffer) {
        Ok(Got::Data(n)) => {
            pool.handle(t, Input::Data(id, buffer.get(..n).unwrap_or_default()), out);
            return Some(n.max(COST));
        }
        Ok(Got::Nothing) => {}
        Ok(Got::End(clean)) => pool.handle(t, Input::Eof(id, clean), out),
        Err(e) => fail(id, &e, t, pool, out),
    }
    None
}
