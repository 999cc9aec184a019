//! Sockets of the checks that are under way.

use std::collections::{BTreeSet, HashMap};
use std::io;
use steadfast_checkers::{Input, Output, Pool, ProbeId, Target, Transport};
use steadfast_core::Time;
use steadfast_net::probe::{Got, Kind, Probe, Route};
use steadfast_net::tls::Settings;
use steadfast_sys::lack::is_lack;
use steadfast_sys::{Reactor, Ready};

/// Reads of one probe in one turn.
const READS: usize = 64;

/// What we lack says nothing of the server.
fn fail(id: ProbeId, e: &io::Error, t: Time, pool: &mut Pool, out: &mut Vec<Output>) {
    let why = e.to_string();
    pool.handle(t, if is_lack(e) { Input::Unable(id, &why) } else { Input::Failed(id, &why) }, out);
}

/// Probes by id, and the tokens that they are watched under.
pub struct Probes {
    open: HashMap<ProbeId, (Probe, usize)>,
    tokens: HashMap<usize, ProbeId>,
    next: usize,
    /// Tokens of which there may be more to read: readiness is told once.
    pub more: BTreeSet<usize>,
}

impl Probes {
    /// Tokens are counted from `first`.
    pub fn new(first: usize) -> Self {
        Probes { open: HashMap::new(), tokens: HashMap::new(), next: first, more: BTreeSet::new() }
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
            Ok(p) => {
                let at_once = p.at_once();
                self.tokens.insert(token, id);
                self.open.insert(id, (p, token));
                if at_once {
                    pool.handle(t, Input::Connected(id), out);
                }
            }
            Err(e) => fail(id, &e, t, pool, out),
        }
    }

    /// Sends bytes.
    pub fn send(&mut self, id: ProbeId, bytes: &[u8], t: Time, pool: &mut Pool, out: &mut Vec<Output>) {
        if let Some((p, _)) = self.open.get_mut(&id)
            && let Err(e) = p.send(bytes)
        {
            fail(id, &e, t, pool, out);
        }
    }

    /// Forgets a probe; false if there is none.
    pub fn close(&mut self, id: ProbeId) -> bool {
        // Nobody shares its descriptor: with that the kernel forgets who watched it.
        let open = self.open.remove(&id);
        if let Some((_, token)) = &open {
            self.tokens.remove(token);
        }
        open.is_some()
    }

    /// Something is to be had of a probe.
    pub fn ready(&mut self, ready: &Ready, t: Time, pool: &mut Pool, out: &mut Vec<Output>) {
        let token = ready.token;
        self.more.remove(&token);
        let Some(id) = self.tokens.get(&token).copied() else { return };
        let Some((p, _)) = self.open.get_mut(&id) else { return };
        match p.connected(ready.writable && !ready.failed) {
            Ok(true) => pool.handle(t, Input::Connected(id), out),
            Ok(false) => {}
            Err(e) => return fail(id, &e, t, pool, out),
        }
        if let Err(e) = p.flush() {
            return fail(id, &e, t, pool, out);
        }
        // What TLS has read by itself is told by nobody.
        if !ready.readable && !p.is_tls() {
            return;
        }
        let mut buffer = [0u8; 16 * 1024];
        for _ in 0..READS {
            // The pool may have had enough: what it wants closed is read no further.
            if out.iter().any(|o| matches!(o, Output::Close(c) if *c == id)) {
                return;
            }
            match p.receive(&mut buffer) {
                Ok(Got::Data(n)) => pool.handle(t, Input::Data(id, buffer.get(..n).unwrap_or_default()), out),
                Ok(Got::Nothing) => return,
                Ok(Got::End(clean)) => return pool.handle(t, Input::Eof(id, clean), out),
                Err(e) => return fail(id, &e, t, pool, out),
            }
        }
        self.more.insert(token);
    }
}
