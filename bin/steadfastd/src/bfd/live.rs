//! What the role says of itself when it is asked, and its dump.

use super::Role;
use std::fmt::Write;
use steadfast_bfd::{State, View};
use steadfast_core::Time;
use steadfast_ipc::{Reporter, encode, report_pieces, status_pieces};
use steadfast_status::live;
use steadfast_sys::{files, schedule};

impl Role {
    /// Says how the role is.
    pub(super) fn say_status(&mut self, t: Time) {
        self.say_so(&self.status(t));
    }

    /// Says what is known of a life that was another's: nobody has listened or counted for it.
    pub(super) fn testify(&mut self, t: Time) {
        let mut status = self.status(t);
        status.strangers = None;
        for s in &mut status.sessions {
            s.heard = None;
            (s.sent, s.received, s.refused, s.ups, s.downs) = (None, None, None, None, None);
        }
        self.say_so(&status);
    }

    fn say_so(&mut self, status: &live::Bfd) {
        let text = live::to_json(status);
        let pieces: Vec<_> = status_pieces(text.as_bytes()).collect();
        for piece in pieces {
            self.parent.say(piece);
        }
    }

    /// Says all that there is to know, for observers.
    pub(super) fn report(&mut self, t: Time) {
        match encode(&self.status(t)) {
            Ok(bytes) => report_pieces(Reporter::Bfd, &bytes).for_each(|piece| self.parent.say(piece)),
            Err(e) => log::error!("report: {e}"),
        }
    }

    fn status(&self, t: Time) -> live::Bfd {
        let wall = files::wall_clock();
        let seconds = |micros: u64| micros as f64 / 1e6;
        let session = |v: View<'_>| live::Session {
            name: v.config.name.clone(),
            neighbor: v.config.neighbor.to_string(),
            source: v.config.source.map(|s| s.to_string()),
            multihop: v.config.multihop,
            passive: v.config.passive,
            state: v.state.to_string(),
            diag: v.diag.to_string(),
            remote_state: v.remote.state.to_string(),
            remote_diag: v.remote.diag.to_string(),
            since: wall - t.since(v.since).as_secs_f64(),
            up: v.told,
            tx_interval: seconds(v.tx_interval.into()),
            detect_time: (v.detection > 0).then(|| seconds(v.detection)),
            heard: v.heard.map(|at| wall - t.since(at).as_secs_f64()),
            discriminator: v.discriminator,
            remote_discriminator: v.remote.discriminator,
            sent: Some(v.counters.sent),
            received: Some(v.counters.received),
            refused: Some(v.counters.refused),
            ups: Some(v.counters.ups),
            downs: Some(v.counters.downs),
        };
        live::Bfd { sessions: self.sessions.views().map(session).collect(), strangers: Some(self.sessions.strangers()) }
    }

    /// The dump of SIGUSR1: keepalived's keys, without what is about its program alone.
    pub(super) fn dump(&mut self, t: Time) {
        let path = &self.settings.dump;
        log::info!("Printing BFD data for process({}) on signal: {}", schedule::pid(), path.display());
        let mut s = self.settings.written.heading();
        s.push_str("------< BFD Topology >------\n");
        let wall = files::wall_clock();
        for v in self.sessions.views() {
            let yes = |on: bool| if on { "Yes" } else { "No" };
            let (c, r) = (v.config, v.remote);
            let (vrrp, checker) = self.settings.clients.get(&c.name).copied().unwrap_or_default();
            let source = c.source.map(|a| format!("   Source IP = {a}\n")).unwrap_or_default();
            let remote_detection = u64::from(c.multiplier) * u64::from(v.tx_interval);
            let heard = v.heard.map_or("   last_seen = [never]".into(), |at| {
                format!("   last_seen = {:.6}", wall - t.since(at).as_secs_f64())
            });
            // Writing to a string cannot fail.
            let _ = writeln!(s, " BFD Instance = {}\n   Neighbor IP = {}\n{source}", c.name, c.neighbor);
            s.truncate(s.trim_end().len());
            let _ = writeln!(s, "\n   Required min RX interval = {} us", c.min_rx);
            let _ = writeln!(s, "   Desired min TX interval = {} us", c.min_tx);
            let _ = writeln!(s, "   Desired idle TX interval = {} us", c.idle_tx);
            let _ = writeln!(s, "   Detection multiplier = {}", c.multiplier);
            let _ =
                writeln!(s, "   TTL = {}\n   max_hops = {}", c.hops.send, c.hops.send - c.hops.least.min(c.hops.send));
            let _ = writeln!(s, "   passive = {}\n   multihop = {}", c.passive, c.multihop);
            let _ = writeln!(s, "   send event to VRRP process = {}", yes(vrrp));
            let _ = writeln!(s, "   send event to checker process = {}", yes(checker));
            let _ = writeln!(s, "   source port = {}", v.port);
            let _ = writeln!(s, "   local state = {}\n   remote state = {}", v.state, r.state);
            let _ = writeln!(s, "   local discriminator = 0x{:x}", v.discriminator);
            let _ = writeln!(s, "   remote discriminator = 0x{:x}", r.discriminator);
            let _ = writeln!(s, "   local diag = {}\n   remote diag = {}", v.diag, r.diag);
            let _ = writeln!(s, "   remote min tx intv = {} us\n   remote min rx intv = {} us", r.min_tx, r.min_rx);
            let _ = writeln!(s, "   local demand = 0\n   remote demand = {}", u8::from(r.demand));
            let _ = writeln!(s, "   remote detect multiplier = {}", r.multiplier);
            let _ = writeln!(s, "   {}poll, !final", if v.poll { "" } else { "!" });
            let _ = writeln!(s, "   local tx intv = {} us", v.tx_interval);
            let _ = writeln!(
                s,
                "   remote tx intv = {} us",
                if v.state == State::Down { 0 } else { r.min_tx.max(c.min_rx) }
            );
            let _ = writeln!(s, "   local detection time = {} us", v.detection);
            let _ = writeln!(s, "   remote detection time = {remote_detection} us\n{heard}");
            let k = v.counters;
            let _ = writeln!(s, "   packets = {} sent, {} received, {} thrown away", k.sent, k.received, k.refused);
        }
        if let Err(e) = files::write_dump(path, &s, self.mask.or(self.settings.mask)) {
            log::error!("cannot write {}: {e}", path.display());
            self.succession |= crate::places::is_closed(path);
        }
    }
}
