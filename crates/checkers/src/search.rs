//! A regular expression over a body of any length, in bounded memory.
//!
//! An automaton reads each byte once and keeps nothing of the body, so a match may be as long as the body. It takes no
//! `regex_max_offset`, for which one has to know where a match begins, and no `\b` of a pattern with `utf`. For these a window of the
//! body is searched each time it is full, and at the end. Then all but its tail is dropped:
//!
//! ```text
//!   body    ……………………………………|=================== WINDOW ===================|
//!   next                                          |= OVERLAP =|…………………………………………………|
//! ```
//! So every match of up to OVERLAP bytes is found, wherever it lies. What is before the window is remembered as one byte, so
//! that `^` matches at the start of the body alone. A match that ends where the window ends is not believed before more of the
//! body, or its end, is known: `$` and `\b` depend on it.

use crate::Rule;
use regex::bytes::{Regex, RegexBuilder};
use regex_automata::hybrid::LazyStateID;
use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{self, WhichCaptures};
use regex_automata::util::{start, syntax};
use std::sync::Arc;

/// Bytes searched at once.
const WINDOW: usize = 64 * 1024;
/// Longest match that is found across windows.
const OVERLAP: usize = 16 * 1024;
/// Most memory of a compiled pattern.
const PROGRAM_LIMIT: usize = 1 << 20;
/// Most memory of the states of an automaton; when they are more they are made anew as they are met.
const STATES_LIMIT: usize = 256 * 1024;

/// A compiled pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    regex: Regex,
    /// Where the rule is one for it.
    automaton: Option<Arc<DFA>>,
}

/// Compiles the pattern of a rule. The error is the last line of the regex crate's text: why, without a drawing of where.
pub fn compile(rule: &Rule) -> Result<Pattern, String> {
    let regex = RegexBuilder::new(&rule.pattern)
        .case_insensitive(rule.caseless)
        .dot_matches_new_line(rule.dotall)
        .multi_line(rule.multiline)
        .ignore_whitespace(rule.extended)
        .swap_greed(rule.ungreedy)
        .unicode(rule.utf)
        .size_limit(PROGRAM_LIMIT)
        .dfa_size_limit(PROGRAM_LIMIT)
        .build()
        .map_err(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string())?;
    let automaton = rule.max_offset.is_none().then(|| automaton(rule)).flatten().map(Arc::new);
    Ok(Pattern { regex, automaton })
}

fn automaton(rule: &Rule) -> Option<DFA> {
    let words = syntax::Config::new()
        .case_insensitive(rule.caseless)
        .dot_matches_new_line(rule.dotall)
        .multi_line(rule.multiline)
        .ignore_whitespace(rule.extended)
        .swap_greed(rule.ungreedy)
        .unicode(rule.utf)
        .utf8(false);
    let states =
        thompson::Config::new().utf8(false).nfa_size_limit(Some(PROGRAM_LIMIT)).which_captures(WhichCaptures::None);
    DFA::builder()
        .syntax(words)
        .thompson(states)
        .configure(DFA::config().cache_capacity(STATES_LIMIT))
        .build(&rule.pattern)
        .ok()
}

/// A search under way.
#[derive(Debug)]
pub struct Search(Way);

#[derive(Debug)]
enum Way {
    Walk(Box<Walk>),
    Windows(Windows),
}

impl Search {
    /// Starts at the beginning of a body.
    pub fn new(pattern: &Pattern, rule: &Rule) -> Search {
        let lenient_end = !rule.dollar_endonly && !rule.multiline && rule.pattern.contains('$');
        Search(match &pattern.automaton {
            Some(automaton) => Way::Walk(Box::new(Walk {
                states: automaton.create_cache(),
                automaton: automaton.clone(),
                min: rule.min_offset,
                lenient_end,
                before: None,
                at: None,
                line_end: false,
                found: None,
            })),
            None => Way::Windows(Windows {
                regex: pattern.regex.clone(),
                min: rule.min_offset,
                max: rule.max_offset,
                lenient_end,
                window: Vec::new(),
                offset: 0,
                found: false,
            }),
        })
    }

    /// Nothing that follows can change the result.
    pub fn settled(&self) -> bool {
        match &self.0 {
            Way::Walk(w) => w.found.is_some(),
            Way::Windows(w) => w.settled(),
        }
    }

    /// The next bytes of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Way::Walk(w) => w.feed(bytes),
            Way::Windows(w) => w.feed(bytes),
        }
    }

    /// The body is over: did it match?
    pub fn finish(&mut self) -> bool {
        match &mut self.0 {
            Way::Walk(w) => w.finish(),
            Way::Windows(w) => w.finish(),
        }
    }
}

/// By the automaton.
#[derive(Debug)]
struct Walk {
    automaton: Arc<DFA>,
    states: Cache,
    /// Bytes that go by before a match may begin.
    min: u64,
    /// PCRE's `$` also matches before a line end that closes the text.
    lenient_end: bool,
    /// The byte before the first one that counts.
    before: Option<u8>,
    at: Option<LazyStateID>,
    /// A line end has come that may close the text, and is not read yet.
    line_end: bool,
    /// The result, when it is known.
    found: Option<bool>,
}

impl Walk {
    fn feed(&mut self, bytes: &[u8]) {
        let skip = usize::try_from(self.min).unwrap_or(usize::MAX).min(bytes.len());
        self.min -= skip as u64;
        let (passed, bytes) = bytes.split_at(skip);
        self.before = passed.last().copied().or(self.before);
        for byte in bytes {
            if self.found.is_some() {
                return;
            }
            if std::mem::take(&mut self.line_end) {
                self.step(b'\n');
            }
            if self.lenient_end && *byte == b'\n' {
                self.line_end = true;
            } else {
                self.step(*byte);
            }
        }
    }

    /// Where it is; at the beginning the byte before it is only context.
    fn place(&mut self) -> Option<LazyStateID> {
        if self.at.is_none() {
            let start = start::Config::new().look_behind(self.before);
            self.at = self.automaton.start_state(&mut self.states, &start).ok();
        }
        self.at
    }

    /// One byte on. A state tells a match that ended before the byte that led to it.
    fn step(&mut self, byte: u8) {
        let next = self.place().and_then(|at| self.automaton.next_state(&mut self.states, at, byte).ok());
        match next {
            Some(next) if next.is_match() => self.found = Some(true),
            Some(next) if next.is_dead() => self.found = Some(false),
            Some(next) => self.at = Some(next),
            // It has no such states: nothing makes it give up.
            None => self.found = Some(false),
        }
    }

    /// Does a match end here, if the body does?
    fn ends(&mut self) -> bool {
        // Asking may empty the cache, and a state of before it would mean nothing then: whoever asks may go on from where it is.
        let at = self.place();
        let end = at.and_then(|at| self.automaton.next_eoi_state(&mut self.states.clone(), at).ok());
        end.is_some_and(|state| state.is_match())
    }

    fn finish(&mut self) -> bool {
        if self.min > 0 {
            return false;
        }
        if self.found.is_none() && std::mem::take(&mut self.line_end) {
            match self.ends() {
                true => self.found = Some(true),
                false => self.step(b'\n'),
            }
        }
        let found = self.found.unwrap_or_else(|| self.ends());
        self.found = Some(found);
        found
    }
}

/// By windows.
#[derive(Debug)]
struct Windows {
    regex: Regex,
    min: u64,
    max: Option<u64>,
    /// PCRE's `$` also matches before a line end that closes the text.
    lenient_end: bool,
    window: Vec<u8>,
    /// Offset of the window in the body.
    offset: u64,
    found: bool,
}

impl Windows {
    fn settled(&self) -> bool {
        self.found || self.max.is_some_and(|max| self.offset >= max)
    }

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.settled() {
            let room = WINDOW - self.window.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.window.extend_from_slice(now);
            bytes = later;
            if self.window.len() == WINDOW {
                self.look(WINDOW, false);
                self.window.drain(..WINDOW - OVERLAP);
                self.offset += (WINDOW - OVERLAP) as u64;
            }
        }
    }

    fn finish(&mut self) -> bool {
        self.look(self.window.len(), true);
        if self.lenient_end && self.window.last() == Some(&b'\n') {
            self.look(self.window.len() - 1, true);
        }
        self.window = Vec::new();
        self.found
    }

    /// Searches the first `length` bytes of the window.
    fn look(&mut self, length: usize, at_end: bool) {
        let text = &self.window[..length];
        // beyond the first window, the byte at 0 is only context
        let least = usize::from(self.offset > 0);
        let start = self.min.saturating_sub(self.offset).max(least as u64);
        let Some(start) = usize::try_from(start).ok().filter(|s| *s <= length) else { return };
        let Some(end) = self.regex.shortest_match_at(text, start) else { return };
        if end == length && !at_end {
            return;
        }
        self.found |= match self.max {
            None => true,
            Some(max) => self.regex.find_at(text, start).is_some_and(|m| self.offset + (m.start() as u64) < max),
        };
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
