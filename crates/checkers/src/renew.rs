//! Checks that a reload words anew. The same question at other times goes on with all that is known of it. Another question to the same
//! server, in the same place of its list, goes on with the failures that were counted, and with what is under way: who writes another
//! file each second must not keep a dead server in service.

use crate::checker::{Checker, fingerprint, question};
use crate::failure::Failure;
use crate::pool::{Key, Pool};
use crate::{Check, CheckKind, CheckState, Config, Output, Snapshot, Target, Tls};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use steadfast_core::Time;

/// What is known of one question, whenever it was asked.
#[derive(Clone, Debug)]
struct Known {
    state: CheckState,
    reason: Option<Failure>,
    /// It has an answer, which is no memory of before it rested.
    fresh: bool,
}

/// Checks of the configuration that another one takes the place of.
#[derive(Debug, Default)]
pub(crate) struct Former {
    known: HashMap<u64, Known>,
    /// Checkers that the new configuration does not have in these words, by question.
    free: HashMap<u64, Vec<u32>>,
}

/// Where a check's checker comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    /// What it says was known before.
    Known,
    /// It was worded otherwise: its failures are known.
    Reworded,
    /// Nothing is known of it.
    New,
}

impl Former {
    fn learn(&mut self, state: CheckState, active: bool, reason: impl FnOnce() -> Option<Failure>) {
        let works = |s: &CheckState| s.up && !s.advice.maintenance;
        let fresh = state.run && active;
        let Some(known) = self.known.get_mut(&question(state.fingerprint)) else {
            self.known.insert(question(state.fingerprint), Known { state, reason: reason(), fresh });
            return;
        };
        // Asked at several intervals it may have several verdicts. Who has an answer is believed, and of those who lives goes on, as far
        // as his first answer.
        let (a, b) = (works(&known.state), works(&state));
        let both = known.fresh == fresh;
        if (fresh, b, state.fingerprint) > (known.fresh, a, known.state.fingerprint) {
            *known = Known { state, reason: reason(), fresh };
        }
        known.state.run &= !both || a == b;
    }

    /// Takes a checker that nobody else needs.
    fn take(&mut self, question: u64) -> Option<u32> {
        self.free.get_mut(&question)?.pop()
    }

    /// Takes this one.
    fn take_this(&mut self, question: u64, c: u32) -> bool {
        let Some(free) = self.free.get_mut(&question) else { return false };
        let before = free.len();
        free.retain(|other| *other != c);
        free.len() < before
    }
}

impl Pool {
    /// What is known before this configuration is taken in.
    pub(crate) fn former(&self, config: &Config) -> Former {
        let mut former = Former::default();
        for state in self.heritage.checks.values() {
            former.learn(*state, true, || self.heritage.reasons.get(&state.fingerprint).cloned().map(Failure::Former));
        }
        if self.by_check.is_empty() {
            return former;
        }
        let servers = config.services.iter().flat_map(|v| &v.servers);
        let wanted: HashSet<&Check> = servers.flat_map(|r| &r.checks).collect();
        for (c, checker) in self.checkers.iter().enumerate() {
            let Some(checker) = checker else { continue };
            former.learn(checker.state, checker.active, || checker.reason.clone());
            if !wanted.contains(&*checker.check) {
                former.free.entry(question(checker.state.fingerprint)).or_default().push(c as u32);
            }
        }
        former
    }

    /// The checker of this check. `place`: the one that its server had in this place.
    pub(crate) fn intern(
        &mut self,
        mut check: Check,
        place: Option<u32>,
        former: &mut Former,
        now: Time,
        out: &mut Vec<Output>,
    ) -> (u32, Origin) {
        if let Some(c) = self.by_check.get(&check) {
            return (*c, Origin::Known);
        }
        if let CheckKind::Http(http) = &mut check.kind {
            match self.pages.get(&http.urls) {
                Some(pages) => http.urls = pages.clone(),
                None => drop(self.pages.insert(http.urls.clone())),
            }
        }
        let check = Arc::new(check);
        let print = fingerprint(&check);
        let mut known = former.known.get(&question(print)).cloned();
        if let Some(state) = self.heritage.checks.get(&print).copied() {
            let reason = self.heritage.reasons.get(&print).cloned().map(Failure::Former);
            known = Some(Known { state, reason, fresh: true });
        } else if let Some(c) = former.take(question(print)) {
            self.retime(c, check, known, now, out);
            return (c, Origin::Known);
        } else if let Some(c) = place.filter(|c| known.is_none() && self.takes_place(*c, &check, former)) {
            self.reword(c, check, now, out);
            return (c, Origin::Reworded);
        }
        let mut checker = Checker::new(check.clone(), &mut self.rules);
        let origin = if known.is_some() { Origin::Known } else { Origin::New };
        if let Some(Known { state, reason, .. }) = known {
            checker.restore(CheckState { fingerprint: print, ..state });
            checker.reason = reason.filter(|_| !checker.works());
        }
        let c = self.free_checkers.pop().unwrap_or_else(|| {
            self.checkers.push(None);
            self.checkers.len() as u32 - 1
        });
        self.checkers[c as usize] = Some(checker);
        self.by_check.insert(check, c);
        (c, origin)
    }

    /// It asks the same server in the same way, and nobody else needs it.
    fn takes_place(&self, c: u32, check: &Check, former: &mut Former) -> bool {
        let Some(checker) = self.checkers.get(c as usize).and_then(Option::as_ref) else { return false };
        let (a, b) = (&checker.check.kind, &check.kind);
        let same = match (a, b) {
            (CheckKind::Misc { .. }, CheckKind::Misc { .. }) => true,
            // what an agent said was an answer to another question
            (CheckKind::Agent { .. }, _) => false,
            _ => match (transport(a), transport(b)) {
                (Some(x), Some(y)) => {
                    std::mem::discriminant(a) == std::mem::discriminant(b) && x.0.address == y.0.address
                }
                _ => false,
            },
        };
        same && former.take_this(question(checker.state.fingerprint), c)
    }

    /// A checker gets other words. What its state is by them is up to the caller.
    fn rename(&mut self, c: u32, check: &Arc<Check>, out: &mut Vec<Output>) -> Option<&mut Checker> {
        let checker = self.checkers.get_mut(c as usize).and_then(Option::as_mut)?;
        if !checker.works() {
            let check = checker.state.fingerprint;
            out.push(Output::Keep(Snapshot::Reason { check, text: String::new() }));
        }
        self.by_check.remove(&checker.check);
        self.by_check.insert(check.clone(), c);
        checker.check = check.clone();
        Some(checker)
    }

    /// The same question at other times.
    fn retime(&mut self, c: u32, check: Arc<Check>, known: Option<Known>, now: Time, out: &mut Vec<Output>) {
        let print = fingerprint(&check);
        let Some(checker) = self.rename(c, &check, out) else { return };
        if let Some(Known { state, reason, .. }) = known {
            checker.restore(CheckState { fingerprint: print, ..state });
            checker.reason = reason;
        }
        if !checker.works() {
            out.push(Output::Keep(checker.kept_reason()));
        }
        self.hasten(c, now);
    }

    /// Another question in the same place. The verdict is that of its servers, see [`Checker::begin_reworded`].
    fn reword(&mut self, c: u32, check: Arc<Check>, now: Time, out: &mut Vec<Output>) {
        let Checker { state, regexes, .. } = Checker::new(check.clone(), &mut self.rules);
        let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::as_mut) else { return };
        let same_way = transport(&checker.check.kind).is_some_and(|way| Some(way) == transport(&check.kind));
        let Some(checker) = self.rename(c, &check, out) else { return };
        let CheckState { up, run, failures, bad, url, .. } = checker.state;
        let kept = CheckState { fingerprint: state.fingerprint, up, run, failures, bad, url, ..CheckState::default() };
        checker.restore(kept);
        checker.regexes = regexes;
        checker.forget_remarks();
        checker.former = same_way && checker.probe.is_some();
        if !checker.former {
            self.cut(c, out);
        }
        self.hasten(c, now);
    }

    /// The next try is no later than the new words have it.
    fn hasten(&mut self, c: u32, now: Time) {
        let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::as_mut) else { return };
        if !checker.active || checker.is_passive() || checker.probe.is_some() {
            return;
        }
        let timing = checker.check.timing;
        let at = if checker.state.failures > 0 {
            now + timing.delay_before_retry
        } else {
            match self.timers.get(Key::Next(c)) {
                Some(at) if at <= now + timing.delay_loop => return,
                // what was under way was cut off
                None => now,
                Some(_) => now + self.spread.delay(timing.delay_loop),
            }
        };
        if checker.state.failures == 0 {
            checker.grid = at;
        }
        let at = self.timers.get(Key::Next(c)).map_or(at, |before| at.min(before));
        self.timers.set(Key::Next(c), at);
    }
}

impl Checker {
    /// New words, and servers of which some are `up`, and some `down`, whatever else they have against them.
    pub(crate) fn begin_reworded(&mut self, up: bool, down: bool) {
        // An answer to the former words is one of the server; that it was good is not true of these words.
        let answered = self.state.run && (up == self.works());
        if self.works() && (!up || self.state.failures == 0) {
            self.reason = None;
        }
        if !up {
            (self.state.failures, self.state.bad) = (0, 0);
        }
        self.borrowed = !self.is_passive() && !self.is_agent();
        self.state.up = up;
        self.state.run = answered && !(up && down);
        self.begin_chain();
    }
}

/// Where a question goes, and by which TLS.
fn transport(kind: &CheckKind) -> Option<(&Target, Option<&Arc<Tls>>)> {
    match kind {
        CheckKind::Tcp(target)
        | CheckKind::Ping(target)
        | CheckKind::Smtp { target, .. }
        | CheckKind::Dns { target, .. }
        | CheckKind::Udp { target, .. }
        | CheckKind::Agent { target, .. } => Some((target, None)),
        CheckKind::Http(http) => Some((&http.target, http.tls.as_ref())),
        CheckKind::Grpc(grpc) => Some((&grpc.target, grpc.tls.as_ref())),
        CheckKind::Misc { .. } | CheckKind::File { .. } | CheckKind::Bfd { .. } => None,
    }
}
