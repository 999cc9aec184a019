//! One check: when it asks, and what it makes of the answers.
//!
//! ```text
//!   grid     |———— delay_loop ————|———— delay_loop ————|———— delay_loop ————|        never shifted by how long a round takes
//!   up       ok                   fail·fail·fail(down)                      ok      · is delay_before_retry
//!                                 └─ one round: 1 + retry tries ─┘
//! ```

use crate::agent::{Admin, Words};
use crate::exchange::{Exchange, Success};
use crate::failure::Failure;
use crate::search::Pattern;
use crate::{Check, CheckKind, CheckState, Kill, ProbeId, Rule, Snapshot, search};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::Time;

/// Characters of a path in a reason.
const PATH: usize = 100;

/// A real server: slot of its virtual server, and place in it.
pub(crate) type User = (u32, u32);

/// Compiled rules: equal ones are compiled once, and share their memory.
pub(crate) type Rules = HashMap<Rule, Result<Pattern, String>>;

/// A probe under way.
#[derive(Debug)]
pub(crate) struct Probe {
    pub id: ProbeId,
    pub begun: Time,
    pub exchange: Exchange,
    pub connected: bool,
    /// The answer must go on by then.
    pub deadline: Time,
    /// And be complete by then.
    pub limit: Time,
    /// This process was not scheduled meanwhile: that it failed may be our doing.
    pub paused: bool,
    /// So many pauses have been made up for, with those of the tries that it stands for.
    pub pauses: u8,
}

/// A program that overran its limit.
#[derive(Debug)]
pub(crate) struct Dying {
    pub id: ProbeId,
    pub next: Kill,
}

/// A check and its users.
#[derive(Debug)]
pub(crate) struct Checker {
    pub check: Arc<Check>,
    pub users: Box<[User]>,
    pub state: CheckState,
    /// Compiled rules of the pages; empty when no page has one.
    pub regexes: Box<[Option<Result<Pattern, String>>]>,
    pub active: bool,
    /// The regular instant of the present round.
    pub grid: Time,
    /// Boxed: of many checks few are under way.
    pub probe: Option<Box<Probe>>,
    pub dying: Option<Box<Dying>>,
    /// What is under way asks what the check asked before it was worded anew.
    pub former: bool,
    /// Silence after former words was let off once.
    pub let_off: bool,
    /// It counts as its servers did when a reload brought it, and has not been answered yet.
    pub borrowed: bool,
    /// Pages that are still to be asked for in this round, after the present one.
    pub chain: u32,
    /// Why the last try failed.
    pub reason: Option<Failure>,
    /// What its program wrote last, or what there is to remark about a page that is good.
    pub said: Box<str>,
    /// Pages with a remark, a bit each.
    remarked: u64,
    /// How long the last try took, in microseconds; 0: there was none.
    pub took: u32,
    /// When it ended, in tenths of a second; 0: there was none.
    pub ended: u32,
}

/// What one try led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// The next page is due at once.
    NextPage,
    /// Another try after delay_before_retry.
    Retry,
    /// The round is over, the verdict stays.
    Same,
    /// The round is over, the verdict is up.
    Up,
    /// The round is over, the verdict is down.
    Down,
}

impl Checker {
    /// A check at its beginning.
    pub fn new(check: Arc<Check>, rules: &mut Rules) -> Checker {
        let mut compiled = |rule: &Rule| rules.entry(rule.clone()).or_insert_with(|| search::compile(rule)).clone();
        let regexes = match &check.kind {
            CheckKind::Http(http) if http.urls.iter().any(|u| u.regex.is_some()) => {
                http.urls.iter().map(|u| u.regex.as_ref().map(&mut compiled)).collect()
            }
            _ => Box::default(),
        };
        let mut state = CheckState { fingerprint: fingerprint(&check), ..CheckState::default() };
        // an agent that is away says nothing, so nobody waits for it
        state.up = !check.timing.alpha || matches!(check.kind, CheckKind::Agent { .. });
        Checker {
            check,
            users: Box::default(),
            state,
            regexes,
            active: false,
            grid: Time::ZERO,
            probe: None,
            dying: None,
            former: false,
            let_off: false,
            borrowed: false,
            chain: 0,
            reason: None,
            said: Box::default(),
            remarked: 0,
            took: 0,
            ended: 0,
        }
    }

    /// Whether the answer to former words says something by the present ones. Who did not answer those would not have answered these, but
    /// that silence may be what a server of datagrams has for words that it does not understand: once that is no failure, however often
    /// the words change.
    pub fn holds_for_newer_words<T>(&mut self, result: &Result<T, Failure>) -> bool {
        let datagrams = matches!(self.check.kind, CheckKind::Udp { .. } | CheckKind::Dns { .. });
        match result {
            Err(Failure::Timeout | Failure::Closed) if datagrams => std::mem::replace(&mut self.let_off, true),
            Err(failure) => failure.is_no_answer(),
            // What else was said is about the former ones.
            Ok(_) => false,
        }
    }

    /// Takes over the state of an equal check of a former life.
    pub fn restore(&mut self, state: CheckState) {
        self.state = state;
        self.state.failures = state.failures.min(self.check.timing.retry);
        if self.state.url >= self.pages() {
            self.state.url = 0;
        }
    }

    fn pages(&self) -> u32 {
        match &self.check.kind {
            CheckKind::Http(http) => http.urls.len().max(1) as u32,
            _ => 1,
        }
    }

    /// A failure with the page that it is about, where there are several. That there is no connection is about none.
    pub fn of_page(&self, failure: Failure) -> Failure {
        match &self.check.kind {
            CheckKind::Http(http)
                if http.urls.len() > 1 && !matches!(failure, Failure::ConnectTimeout | Failure::Transport(_)) =>
            {
                let path = http.urls.get(self.state.url as usize).map_or("", |u| u.path.as_str());
                Failure::Page(Box::new(failure), path.chars().take(PATH).collect::<String>().into())
            }
            _ => failure,
        }
    }

    /// Its silence means nothing: it counts as up until it says otherwise.
    pub fn is_agent(&self) -> bool {
        matches!(self.check.kind, CheckKind::Agent { .. })
    }

    /// It has no probes: its state comes from inputs.
    pub fn is_passive(&self) -> bool {
        matches!(self.check.kind, CheckKind::File { .. } | CheckKind::Bfd { .. })
    }

    /// Why it is down, for a successor.
    pub fn kept_reason(&self) -> Snapshot {
        let reason = self.reason.as_ref().filter(|_| !self.works());
        Snapshot::Reason { check: self.state.fingerprint, text: reason.map(ToString::to_string).unwrap_or_default() }
    }

    /// A round begins: asks for all pages unless the check is up and has been asked before.
    pub fn begin_round(&mut self) {
        if self.state.failures == 0 {
            self.begin_chain();
        }
    }

    /// Which pages are to be asked for.
    pub fn begin_chain(&mut self) {
        self.chain = if self.state.up && self.state.run { 0 } else { self.pages() - 1 };
    }

    /// What was remarked was about other words.
    pub fn forget_remarks(&mut self) {
        (self.said, self.remarked) = (Box::default(), 0);
    }

    /// When the next round is due: the first instant of the grid after now.
    pub fn next_round(&mut self, now: Time) -> Time {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let step = nanos(self.check.timing.delay_loop).max(1_000_000);
        let passed = nanos(now.since(self.grid));
        self.grid += Duration::from_nanos((passed / step + 1).saturating_mul(step));
        self.grid
    }

    /// Judges one try.
    pub fn conclude(&mut self, result: &Result<Success, Failure>) -> Outcome {
        let first = !self.state.run;
        self.state.run = true;
        match result {
            Ok(Success::Agent(words)) => self.obey(words),
            // an agent that cannot be asked says nothing
            Err(failure) if self.is_agent() => {
                // why it is down is what it said last
                if self.works() || self.reason.is_none() {
                    self.reason = Some(failure.clone());
                }
                Outcome::Same
            }
            Ok(Success::Weight(weight)) => {
                self.state.advice.absolute = Some(*weight);
                self.succeed()
            }
            Ok(Success::Fine(_)) => self.succeed(),
            Err(failure) => {
                self.reason = Some(failure.clone());
                self.fail(first)
            }
        }
    }

    /// What there is to remark about a good page is kept. True: it is news.
    /// Of each page once, as long as it has one.
    pub fn remark(&mut self, page: u32, result: &Result<Success, Failure>) -> bool {
        let text = match (&self.check.kind, result) {
            (CheckKind::Http(_), Ok(Success::Fine(text))) => text.as_deref().unwrap_or_default(),
            (CheckKind::Http(_), _) => "",
            _ => return false,
        };
        // Beyond that many pages two may share one.
        let bit = 1u64 << (page % u64::BITS);
        let known = self.remarked & bit != 0;
        if text.is_empty() {
            self.remarked &= !bit;
            if self.remarked == 0 {
                self.said = Box::default();
            }
            return false;
        }
        self.remarked |= bit;
        if *self.said != *text {
            self.said = text.into();
        }
        !known
    }

    fn succeed(&mut self) -> Outcome {
        self.state.failures = 0;
        self.state.url = (self.state.url + 1) % self.pages();
        if self.chain > 0 {
            self.chain -= 1;
            // the count of failures of this round is forgotten, the round goes on
            return Outcome::NextPage;
        }
        let rise = self.check.timing.rise.max(1);
        self.state.bad = 0;
        self.state.good = self.state.good.saturating_add(1).min(rise);
        self.reason = None;
        if !self.state.up && self.state.good >= rise {
            self.state.up = true;
            return Outcome::Up;
        }
        Outcome::Same
    }

    fn fail(&mut self, first: bool) -> Outcome {
        let timing = &self.check.timing;
        self.state.good = 0;
        if !self.state.up {
            self.state.failures = 0;
            return Outcome::Same;
        }
        // a server that was only assumed to be up gets no second chance in its first round
        let retry = if first { 0 } else { timing.retry };
        if self.state.failures < retry {
            self.state.failures += 1;
            return Outcome::Retry;
        }
        self.state.failures = 0;
        self.state.bad = self.state.bad.saturating_add(1).min(timing.fall.max(1));
        if self.state.bad < timing.fall {
            return Outcome::Same;
        }
        self.state.up = false;
        self.state.bad = 0;
        Outcome::Down
    }

    /// What an agent says counts at once.
    fn obey(&mut self, words: &Words) -> Outcome {
        let before = self.works();
        let advice = &mut self.state.advice;
        if let Some(percent) = words.percent {
            advice.percent = Some(percent);
        }
        match words.admin {
            None => {}
            Some(Admin::Ready) => (advice.drain, advice.maintenance) = (false, false),
            Some(Admin::Drain) => (advice.drain, advice.maintenance) = (true, false),
            Some(Admin::Maint) => (advice.drain, advice.maintenance) = (false, true),
        }
        match words.state {
            // what it said before still holds, whoever heard it; who never said anything counts as up
            None => {}
            Some(Ok(())) => (self.state.up, self.reason) = (true, None),
            Some(Err(word)) => {
                (self.state.up, self.reason) = (false, Some(Failure::Agent(word, words.remark.clone())));
            }
        }
        if self.state.advice.maintenance && self.state.up {
            // An empty line, or a percentage, takes nothing back of what was said of the maintenance.
            if words.admin.is_some() || self.reason.is_none() {
                self.reason = Some(Failure::Agent("maint", words.remark.clone()));
            }
        } else if self.works() {
            self.reason = None;
        }
        self.said = if self.works() { words.remark.clone() } else { Box::default() };
        match (before, self.works()) {
            (false, true) => Outcome::Up,
            (true, false) => Outcome::Down,
            _ => Outcome::Same,
        }
    }

    /// While it is good: failed tries in a row, and how many take it down.
    pub fn failed(&self) -> Option<(u32, u32)> {
        let CheckState { failures, bad, run, .. } = self.state;
        let tries = if run { self.check.timing.retry.saturating_add(1) } else { 1 };
        let failed = bad.saturating_mul(tries).saturating_add(failures);
        let needed = self.check.timing.fall.max(1).saturating_mul(tries);
        (self.works() && failed > 0 && !self.is_agent()).then_some((failed, needed))
    }

    /// While it is not: good rounds in a row, and how many bring it up.
    pub fn risen(&self) -> Option<(u32, u32)> {
        (!self.state.up && self.state.good > 0).then_some((self.state.good, self.check.timing.rise.max(1)))
    }

    /// It has nothing against its servers being used.
    pub const fn works(&self) -> bool {
        self.state.up && !self.state.advice.maintenance
    }

    /// MISC_CHECK's exit status as the result of a try. With misc_dynamic a status from 2 on sets the weight.
    pub fn exit(&self, status: i32) -> Result<Success, Failure> {
        let dynamic = matches!(self.check.kind, CheckKind::Misc { dynamic: true, .. });
        match status {
            0 => Ok(Success::Fine(None)),
            2..=255 if dynamic => Ok(Success::Weight(status as u32 - 2)),
            _ => Err(Failure::Exit(status)),
        }
    }

    /// FILE_CHECK's content. True: something changed.
    pub fn file(&mut self, value: i64) -> bool {
        let CheckKind::File { weight, reverse, .. } = self.check.kind else { return false };
        let before = self.state;
        self.state.run = true;
        if weight == 0 {
            self.state.up = (value == 0) != reverse;
            self.state.advice.change = 0;
        } else {
            let factor = i64::from(if reverse { weight.saturating_neg() } else { weight });
            let product = value.saturating_mul(factor);
            self.state.up = product > i64::from(i32::MIN);
            self.state.advice.change = if self.state.up { product.min(i64::from(i32::MAX)) } else { 0 };
        }
        self.reason = (!self.state.up).then_some(Failure::File(value));
        before != self.state
    }

    /// BFD_CHECK's session. True: something changed.
    pub fn session(&mut self, up: bool) -> bool {
        let changed = self.state.up != up || !self.state.run;
        self.state.run = true;
        self.state.up = up;
        self.reason = (!up).then_some(Failure::Bfd);
        changed
    }
}

/// Bits of a fingerprint that say how often is asked; the others say what.
const TIMES: u32 = 16;

/// What a fingerprint says of the question alone.
pub(crate) const fn question(fingerprint: u64) -> u64 {
    fingerprint >> TIMES
}

/// A number that stays the same for an equal check from one process to the next (64-bit FNV-1a, of the question and of its times).
pub(crate) fn fingerprint(check: &Check) -> u64 {
    struct Fnv(u64);
    impl Hasher for Fnv {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, bytes: &[u8]) {
            for b in bytes {
                self.0 = (self.0 ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    let sum = |part: &dyn Fn(&mut Fnv)| {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        part(&mut hasher);
        hasher.finish()
    };
    let (kind, timing) = (sum(&|h| check.kind.hash(h)), sum(&|h| check.timing.hash(h)));
    // the upper bits of the sum are the better ones of a short input, so the others are folded into them
    let fold = |sum: u64| (sum ^ (sum << 32)) >> (u64::BITS - TIMES);
    (kind << TIMES) | fold(timing)
}
