//! Probes of the pool: when they start, what their bytes come to, and their limits.

use crate::agent::Agent;
use crate::checker::{Checker, Dying, Outcome, Probe};
use crate::dns::Dns;
use crate::exchange::{Exchange, Step, Success};
use crate::failure::Failure;
use crate::health::Cause;
use crate::held::HELD;
use crate::http::Http;
use crate::http2::Http2;
use crate::ping::Ping;
use crate::pool::{Key, Life, Pool};
use crate::smtp::Smtp;
use crate::udp::Udp;
use crate::{CheckKind, HttpVersion, Kill, Output, ProbeId, ScriptEnd, Transport, words};
use log::Level;
use std::time::Duration;
use steadfast_core::{Family, Time};

/// Low bits of a probe's id: the checker. The rest counts.
const PLACE_BITS: u32 = 24;
/// Least gap between two tries of one check.
const LEAST_GAP: Duration = Duration::from_millis(1);
/// A program has so long from one signal to the next.
const KILL_GAP: Duration = Duration::from_secs(2);
/// What could not be tried for want of something here is tried again after this.
const LACK_GAP: Duration = Duration::from_secs(2);
/// So much lateness, or a quarter of a check's time limit, is a pause, in which nobody could have seen an answer.
const PAUSE: Duration = Duration::from_millis(250);
/// No time limit makes less lateness worth a look.
const PAUSE_LEAST: Duration = Duration::from_millis(20);
/// Pauses are told of no more often.
const PAUSE_SAID: Duration = Duration::from_secs(10);
/// So many in a row are made up for: servers must not count as up for ever on a host that always stalls.
pub(crate) const PAUSES: u8 = 3;
/// And so long between attempts to kill what does not die.
const KILL_AGAIN: Duration = Duration::from_secs(10);

impl Pool {
    /// A check begins to run.
    pub(crate) fn wake(&mut self, c: u32, now: Time) {
        let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::as_mut) else { return };
        checker.active = true;
        if checker.is_passive() {
            return;
        }
        let timing = &checker.check.timing;
        checker.grid = now + self.spread.delay(timing.warmup);
        // a former life ended in the middle of a round: its retries go on
        let retry = Some(now + timing.delay_before_retry).filter(|_| checker.state.failures > 0);
        self.timers.set(Key::Next(c), retry.unwrap_or(checker.grid));
    }

    /// A check rests. Its verdict stays.
    pub(crate) fn rest(&mut self, c: u32, out: &mut Vec<Output>) {
        let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::as_mut) else { return };
        checker.active = false;
        checker.state.failures = 0;
        self.cut(c, out);
        self.timers.cancel(Key::Next(c));
    }

    /// What is under way ends, unheard.
    pub(crate) fn cut(&mut self, c: u32, out: &mut Vec<Output>) {
        let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::as_mut) else { return };
        checker.former = false;
        let programs = checker.dying.take().map(|d| d.id);
        let probe = checker.probe.take();
        for id in programs.into_iter().chain(probe.map(|p| p.id)) {
            if matches!(checker.check.kind, CheckKind::Misc { .. }) {
                out.push(Output::Kill(id, Kill::Kill));
            }
            out.push(Output::Close(id));
        }
        for key in [Key::Limit(c), Key::Dying(c)] {
            self.timers.cancel(key);
        }
    }

    /// A try is due.
    pub(crate) fn due(&mut self, c: u32, due: Time, now: Time, out: &mut Vec<Output>) {
        let Some(checker) = self.checker(c) else { return };
        if checker.probe.is_some() {
            return;
        }
        if checker.state.failures == 0 {
            checker.grid = checker.grid.max(due);
            checker.begin_round();
        }
        if checker.dying.is_some() {
            // the program of the last try still runs: no second one beside it
            let limit = patience(checker);
            self.conclude(c, Err(Failure::Overran(limit)), now, out);
        } else {
            self.start(c, now, out);
        }
    }

    /// Begins a try.
    fn start(&mut self, c: u32, now: Time, out: &mut Vec<Output>) {
        self.probes += 1;
        let id = ProbeId((self.probes << PLACE_BITS) | u64::from(c));
        let random = self.rng.next_u64();
        let Some(checker) = self.checker(c) else { return };
        checker.former = false;
        let begun = begin(checker, random);
        let (exchange, transport) = match begun {
            Ok(begun) => begun,
            Err(failure) => return self.conclude(c, Err(failure), now, out),
        };
        let wait = patience(checker);
        let limit = now + wait + wait.max(checker.check.timing.delay_loop);
        checker.probe = Some(Box::new(Probe {
            id,
            begun: now,
            exchange,
            connected: false,
            deadline: now + wait,
            limit,
            paused: false,
            pauses: 0,
        }));
        self.timers.set(Key::Limit(c), now + wait);
        out.push(Output::Start(id, transport));
    }

    /// The probe that an input is about, unless it is over.
    fn probe(&mut self, id: ProbeId) -> Option<(u32, &mut Probe, Duration)> {
        let c = (id.0 & ((1 << PLACE_BITS) - 1)) as u32;
        let checker = self.checker(c)?;
        let wait = patience(checker);
        checker.probe.as_deref_mut().filter(|p| p.id == id).map(|p| (c, p, wait))
    }

    pub(crate) fn on_connected(&mut self, id: ProbeId, now: Time, out: &mut Vec<Output>) {
        let Some((c, probe, wait)) = self.probe(id) else { return };
        if std::mem::replace(&mut probe.connected, true) {
            return;
        }
        probe.deadline = (now + wait).min(probe.limit);
        let step = probe.exchange.connected();
        self.step(c, id, step, now, out);
    }

    pub(crate) fn on_data(&mut self, id: ProbeId, bytes: &[u8], now: Time, out: &mut Vec<Output>) {
        let Some((c, probe, wait)) = self.probe(id) else { return };
        let step = probe.exchange.data(bytes);
        if matches!(probe.exchange, Exchange::Http(_) | Exchange::Http2(_) | Exchange::Smtp(_) | Exchange::Agent(_)) {
            // a stream that goes on is waited for, up to the limit
            probe.deadline = (now + wait).min(probe.limit);
        }
        self.step(c, id, step, now, out);
    }

    pub(crate) fn on_eof(&mut self, id: ProbeId, clean: bool, now: Time, out: &mut Vec<Output>) {
        let Some((c, probe, _)) = self.probe(id) else { return };
        let step = probe.exchange.eof(clean);
        self.step(c, id, step, now, out);
    }

    pub(crate) fn on_failed(&mut self, id: ProbeId, reason: &str, now: Time, out: &mut Vec<Output>) {
        let Some((c, _, _)) = self.probe(id) else { return };
        if self.anew(c, now, out) {
            return;
        }
        self.close(c, now, out);
        self.conclude(
            c,
            Err(Failure::Transport(steadfast_core::text::plain(reason).chars().take(200).collect())),
            now,
            out,
        );
    }

    /// Something is wanting here: the server stays as it is, and is asked again.
    pub(crate) fn on_unable(&mut self, id: ProbeId, reason: &str, now: Time, out: &mut Vec<Output>) {
        let Some((c, ..)) = self.probe(id) else { return };
        self.close(c, now, out);
        self.put_off(c, reason, now, out);
    }

    fn put_off(&mut self, c: u32, reason: &str, now: Time, out: &mut Vec<Output>) {
        let Some(checker) = self.checker(c).filter(|x| x.active) else { return };
        let gap = checker.check.timing.delay_before_retry.max(LACK_GAP);
        self.timers.set(Key::Next(c), now + gap);
        if now.since(self.lacked) >= PAUSE_SAID {
            self.lacked = now;
            let line = format!("checks cannot be made, their servers stay as they are: {reason}");
            out.push(Output::Log(Level::Error, line));
        }
    }

    pub(crate) fn on_script_ended(
        &mut self,
        id: ProbeId,
        end: ScriptEnd,
        said: &str,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let c = (id.0 & ((1 << PLACE_BITS) - 1)) as u32;
        let Some(checker) = self.checker(c) else { return };
        if checker.dying.as_ref().is_some_and(|d| d.id == id) {
            checker.dying = None;
            checker.said = said.into();
            self.timers.cancel(Key::Dying(c));
            return;
        }
        let Some(probe) = checker.probe.take_if(|p| p.id == id) else { return };
        if end == ScriptEnd::Unable {
            self.timers.cancel(Key::Limit(c));
            return self.put_off(c, said, now, out);
        }
        (checker.took, checker.ended) = (micros(now.since(probe.begun)), tenths(now));
        checker.said = if end == ScriptEnd::NotStarted { Box::default() } else { said.into() };
        let result = match end {
            ScriptEnd::Exited(status) => checker.exit(status),
            ScriptEnd::Signalled(signal) => Err(Failure::Signal(signal)),
            ScriptEnd::NotStarted | ScriptEnd::Unable => Err(Failure::NotStarted(said.into())),
        };
        self.timers.cancel(Key::Limit(c));
        self.conclude(c, result, now, out);
    }

    fn step(&mut self, c: u32, id: ProbeId, step: Step, now: Time, out: &mut Vec<Output>) {
        match step {
            Step::More => {}
            Step::Send(bytes) => out.push(Output::Send(id, bytes)),
            Step::Done(Err(Failure::Closed | Failure::Unclean), _) if self.anew(c, now, out) => {}
            Step::Done(result, farewell) => {
                if !farewell.is_empty() {
                    out.push(Output::Send(id, farewell));
                }
                self.close(c, now, out);
                self.conclude(c, result, now, out);
            }
        }
    }

    /// The probe is over for the adapter.
    fn close(&mut self, c: u32, now: Time, out: &mut Vec<Output>) {
        let Some(checker) = self.checker(c) else { return };
        if let Some(probe) = checker.probe.take() {
            (checker.took, checker.ended) = (micros(now.since(probe.begun)), tenths(now));
            out.push(Output::Close(probe.id));
        }
        self.timers.cancel(Key::Limit(c));
    }

    /// A probe's limit may have come; bytes may have moved it.
    pub(crate) fn limit(&mut self, c: u32, now: Time, out: &mut Vec<Output>) {
        let held = self.held;
        let Some(checker) = self.checker(c) else { return };
        let Some(probe) = checker.probe.as_mut() else { return };
        if now < probe.deadline {
            let at = probe.deadline;
            self.timers.set(Key::Limit(c), at);
            return;
        }
        if held && matches!(probe.exchange, Exchange::Script) {
            self.timers.set(Key::Limit(c), now + HELD);
            return;
        }
        let result = probe.exchange.timeout(probe.connected);
        if matches!(probe.exchange, Exchange::Script) {
            let id = probe.id;
            checker.probe = None;
            checker.dying = Some(Box::new(Dying { id, next: Kill::Term }));
            let limit = patience(checker);
            self.kill(c, now, out);
            self.conclude(c, Err(Failure::Overran(limit)), now, out);
        } else if result.is_ok() || !self.anew(c, now, out) {
            self.close(c, now, out);
            self.conclude(c, result, now, out);
        }
    }

    /// The process was not scheduled for so long, up to now. What has come meanwhile is still to be handed over: the probes under way
    /// get that time again, and one that fails by silence or a closed connection nevertheless is tried anew.
    pub(crate) fn on_pause(&mut self, late: Duration, now: Time, out: &mut Vec<Output>) {
        if late < PAUSE_LEAST {
            return;
        }
        let mut moved = Vec::new();
        for (c, checker) in self.checkers.iter_mut().enumerate() {
            let Some(checker) = checker else { continue };
            let wait = patience(checker);
            let Some(probe) = checker.probe.as_mut() else { continue };
            if late >= (wait / 4).min(PAUSE) && probe.pauses < PAUSES {
                (probe.paused, probe.pauses) = (true, probe.pauses + 1);
                // whoever brings the answer may have been stalled, too
                probe.deadline = (probe.deadline + late).max(now + wait.min(PAUSE));
                probe.limit = (probe.limit + late).max(probe.deadline);
                moved.push((c as u32, probe.deadline));
            }
        }
        let number = moved.len();
        for (c, at) in moved {
            self.timers.set(Key::Limit(c), at);
        }
        if number > 0 && now.since(self.paused) >= PAUSE_SAID {
            self.paused = now;
            let seconds = late.as_secs_f64();
            let line =
                format!("not scheduled for {seconds:.1} s: {number} checks under way are not judged by that time");
            out.push(Output::Log(Level::Warn, line));
        }
    }

    /// Tries again what a pause may have spoilt; false: nothing did.
    fn anew(&mut self, c: u32, now: Time, out: &mut Vec<Output>) -> bool {
        let Some(probe) = self.checker(c).and_then(|x| x.probe.as_ref()) else { return false };
        let pauses = probe.pauses;
        if !probe.paused {
            return false;
        }
        self.close(c, now, out);
        self.start(c, now, out);
        if let Some(probe) = self.checker(c).and_then(|x| x.probe.as_mut()) {
            probe.pauses = pauses;
        }
        true
    }

    /// The next signal to a program that overran.
    pub(crate) fn kill(&mut self, c: u32, now: Time, out: &mut Vec<Output>) {
        let Some(dying) = self.checker(c).and_then(|x| x.dying.as_mut()) else { return };
        let gap = if dying.next == Kill::Term { KILL_GAP } else { KILL_AGAIN };
        out.push(Output::Kill(dying.id, dying.next));
        dying.next = Kill::Kill;
        self.timers.set(Key::Dying(c), now + gap);
    }

    /// One try is over: what follows for the check, its schedule and its users.
    fn conclude(&mut self, c: u32, result: Result<Success, Failure>, now: Time, out: &mut Vec<Output>) {
        if self.life != Life::Running {
            return;
        }
        let Some(checker) = self.checker(c) else { return };
        if std::mem::take(&mut checker.former) && !checker.holds_for_newer_words(&result) {
            return self.start(c, now, out);
        }
        checker.let_off = false;
        checker.borrowed = false;
        let (before, page) = (checker.state, checker.state.url);
        let result = result.map_err(|failure| checker.of_page(failure));
        let known = checker.reason.is_some();
        let outcome = checker.conclude(&result);
        let remark = checker.remark(page, &result);
        let timing = checker.check.timing;
        let retries = if !checker.is_agent() && (before.run || timing.alpha) { timing.retry } else { 0 };
        let next = match outcome {
            Outcome::NextPage => None,
            // a gap, however small, ends the turn: a rule that fails by itself cannot hold the loop
            Outcome::Retry => Some(now + timing.delay_before_retry.max(LEAST_GAP)),
            _ => Some(checker.next_round(now)),
        };
        let advised = checker.state.advice != before.advice;
        let kept = crate::CheckState { url: before.url, ..checker.state } != before;
        let cause = match (&outcome, &result) {
            (Outcome::Up, _) => {
                if let (true, Ok(success)) = (remark, &result) {
                    self.note_success(c, success, false, page, outcome, out);
                }
                self.announce_verdict(c, 0, out)
            }
            (Outcome::Down, _) => self.announce_verdict(c, retries, out),
            (_, Ok(success)) => {
                if remark || outcome == Outcome::NextPage || !before.run {
                    let plain = Success::Fine(None);
                    self.note_success(c, if remark { success } else { &plain }, !before.run, page, outcome, out);
                }
                Cause::default()
            }
            (_, Err(failure)) => {
                self.note_failure(c, failure, &before, known, out);
                if outcome == Outcome::Same {
                    self.tell_dead(c, failure, out);
                }
                Cause::default()
            }
        };
        if kept {
            let users = self.checkers.get(c as usize).and_then(Option::as_ref).map_or(&[][..], |x| &*x.users);
            self.keep.extend(users);
        }
        if advised || matches!(outcome, Outcome::Up | Outcome::Down) {
            self.tell_users(c, &cause, now, out);
        }
        match next {
            // the configuration may have put the check to rest meanwhile
            Some(at) if self.checker(c).is_some_and(|x| x.active) => self.timers.set(Key::Next(c), at),
            Some(_) => {}
            None => self.start(c, now, out),
        }
    }

    /// Log lines of a verdict, for each user. The cause is for the mails.
    pub(crate) fn announce_verdict(&mut self, c: u32, retries: u32, out: &mut Vec<Output>) -> Cause {
        let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref) else { return Cause::default() };
        let up = checker.works();
        out.push(Output::Keep(checker.kept_reason()));
        for (server, service) in self.names(checker) {
            out.push(if up {
                Output::Log(Level::Info, words::success(&checker.check, server, service))
            } else {
                let line = words::failure(&checker.check, server, service, retries, checker.reason.as_ref());
                Output::Log(Level::Warn, line)
            });
        }
        Cause { mail: words::mail(&checker.check, up, checker.reason.as_ref()) }
    }

    fn names<'a>(&'a self, checker: &'a Checker) -> impl Iterator<Item = (&'a str, &'a str)> {
        checker.users.iter().filter_map(|u| self.service(u.0)?.names(*u))
    }

    /// A success that changes nothing: the first one is said, and what it has to remark.
    fn note_success(&self, c: u32, success: &Success, first: bool, page: u32, outcome: Outcome, out: &mut Vec<Output>) {
        let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref) else { return };
        for (server, service) in self.names(checker) {
            if let (Success::Fine(Some(text)), CheckKind::Http(http)) = (success, &checker.check.kind) {
                let path = http.urls.get(page as usize).map_or("", |u| u.path.as_str());
                let line = format!("http_check for RS {server} VS {service} url {path}: {text}");
                out.push(Output::Log(Level::Info, line));
            }
            if let (Outcome::NextPage, false, CheckKind::Http(http)) = (outcome, checker.state.up, &checker.check.kind)
            {
                let path = http.urls.get(page as usize).map_or("", |u| u.path.as_str());
                out.push(Output::Log(Level::Info, format!("HTTP status code success to {server} url({path})")));
            } else if first && checker.state.up && checker.works() {
                out.push(Output::Log(Level::Info, words::success(&checker.check, server, service)));
            }
        }
    }

    /// Servers that were down from the start, of which nobody was told: what they waited for is a failure.
    fn tell_dead(&mut self, c: u32, failure: &Failure, out: &mut Vec<Output>) {
        let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref).filter(|x| !x.works()) else {
            return;
        };
        let mail = words::mail(&checker.check, false, Some(failure));
        for (s, i) in checker.users.iter() {
            if let Some(v) = self.services.get_mut(*s as usize).and_then(Option::as_mut) {
                v.tell_dead(*i as usize, &mail, out);
            }
        }
    }

    /// A failure that changes nothing: the first of a row is said where it is news, each one when all are wanted.
    fn note_failure(&self, c: u32, failure: &Failure, before: &crate::CheckState, known: bool, out: &mut Vec<Output>) {
        let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref) else { return };
        let news = (!before.run && !checker.state.up) || (checker.is_agent() && !known);
        if !(news || checker.check.timing.log_all_failures) {
            return;
        }
        for (server, service) in self.names(checker) {
            let line = match news {
                true => words::failure(&checker.check, server, service, before.failures, Some(failure)),
                false => words::attempt(&checker.check, server, service, before.failures, failure),
            };
            out.push(Output::Log(Level::Info, line));
        }
    }
}

/// Microseconds, at least one.
fn micros(d: Duration) -> u32 {
    u32::try_from(d.as_micros()).unwrap_or(u32::MAX).max(1)
}

/// Good for thirteen years, in half the room.
pub(crate) fn tenths(t: Time) -> u32 {
    u32::try_from(t.as_nanos() / 100_000_000).unwrap_or(u32::MAX).max(1)
}

/// How long a probe waits for the next sign of life.
pub(crate) fn patience(checker: &Checker) -> Duration {
    match &checker.check.kind {
        CheckKind::Tcp(t) | CheckKind::Ping(t) => t.timeout,
        CheckKind::Http(h) => h.target.timeout,
        CheckKind::Grpc(g) => g.target.timeout,
        CheckKind::Smtp { target, .. }
        | CheckKind::Dns { target, .. }
        | CheckKind::Udp { target, .. }
        | CheckKind::Agent { target, .. } => target.timeout,
        CheckKind::Misc { timeout, .. } => *timeout,
        CheckKind::File { .. } | CheckKind::Bfd { .. } => Duration::ZERO,
    }
}

/// The dialogue of a try, and what it needs.
fn begin(checker: &Checker, random: u64) -> Result<(Exchange, Transport), Failure> {
    Ok(match &checker.check.kind {
        CheckKind::Tcp(target) => (Exchange::Tcp, Transport::Tcp(target.clone())),
        CheckKind::Http(http) => {
            let page = checker.state.url as usize;
            let url = http.urls.get(page).ok_or(Failure::Malformed("no url is configured"))?;
            let regex = match checker.regexes.get(page).and_then(Option::as_ref) {
                Some(Err(text)) => return Err(Failure::BadRule(text.clone())),
                Some(Ok(regex)) => Some(regex),
                None => None,
            };
            let exchange = match http.version {
                HttpVersion::V2 => Exchange::Http2(Box::new(Http2::page(http, url, regex)?)),
                _ => Exchange::Http(Box::new(Http::new(http, url, regex))),
            };
            let transport = match &http.tls {
                Some(tls) => Transport::Tls(http.target.clone(), tls.clone(), url.sni.clone()),
                None => Transport::Tcp(http.target.clone()),
            };
            (exchange, transport)
        }
        CheckKind::Smtp { target, helo } => (Exchange::Smtp(Smtp::new(helo)), Transport::Tcp(target.clone())),
        CheckKind::Dns { target, kind, name } => {
            let dns = Dns::new(name, *kind, random as u16).ok_or(Failure::Malformed("query name"))?;
            (Exchange::Dns(dns), Transport::Udp(target.clone()))
        }
        CheckKind::Udp { target, payload, reply } => {
            (Exchange::Udp(Udp::new(payload, random, reply.as_deref())), Transport::Udp(target.clone()))
        }
        CheckKind::Ping(target) => {
            (Exchange::Ping(Ping::new(Family::of(target.address.ip()), random)), Transport::Icmp(target.clone()))
        }
        CheckKind::Misc { script, .. } => (Exchange::Script, Transport::Script(script.clone())),
        CheckKind::Grpc(grpc) => {
            let transport = match &grpc.tls {
                Some(tls) => Transport::Tls(grpc.target.clone(), tls.clone(), grpc.host.clone()),
                None => Transport::Tcp(grpc.target.clone()),
            };
            (Exchange::Http2(Box::new(Http2::health(grpc)?)), transport)
        }
        CheckKind::Agent { target, send } => (Exchange::Agent(Agent::new(send)), Transport::Tcp(target.clone())),
        CheckKind::File { .. } | CheckKind::Bfd { .. } => return Err(Failure::NotStarted("it has no probes".into())),
    })
}
