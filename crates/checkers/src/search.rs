//! A regular expression over a body of any length, in bounded memory.
//!
//! A window of the body is searched each time it is full, and at the end. Then all but its tail is dropped:
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

/// Bytes searched at once.
const WINDOW: usize = 64 * 1024;
/// Longest match that is found across windows.
const OVERLAP: usize = 16 * 1024;
/// Most memory of a compiled pattern.
const PROGRAM_LIMIT: usize = 1 << 20;

/// Compiles the pattern of a rule. The error is the last line of the regex crate's text: why, without a drawing of where.
pub fn compile(rule: &Rule) -> Result<Regex, String> {
    RegexBuilder::new(&rule.pattern)
        .case_insensitive(rule.caseless)
        .dot_matches_new_line(rule.dotall)
        .multi_line(rule.multiline)
        .ignore_whitespace(rule.extended)
        .swap_greed(rule.ungreedy)
        .unicode(rule.utf)
        .size_limit(PROGRAM_LIMIT)
        .dfa_size_limit(PROGRAM_LIMIT)
        .build()
        .map_err(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").into())
}

/// A search under way.
#[derive(Debug)]
pub struct Search {
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

impl Search {
    /// Starts at the beginning of a body.
    pub fn new(regex: Regex, rule: &Rule) -> Search {
        Search {
            regex,
            min: rule.min_offset,
            max: rule.max_offset,
            lenient_end: !rule.dollar_endonly && !rule.multiline && rule.pattern.contains('$'),
            window: Vec::new(),
            offset: 0,
            found: false,
        }
    }

    /// Nothing that follows can change the result.
    pub fn settled(&self) -> bool {
        self.found || self.max.is_some_and(|max| self.offset >= max)
    }

    /// The next bytes of the body.
    pub fn feed(&mut self, mut bytes: &[u8]) {
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

    /// The body is over: did it match?
    pub fn finish(&mut self) -> bool {
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
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rule(pattern: &str) -> Rule {
        Rule { pattern: pattern.into(), ..Rule::default() }
    }

    fn run(rule: &Rule, parts: &[&[u8]]) -> bool {
        let mut search = Search::new(compile(rule).unwrap(), rule);
        parts.iter().for_each(|p| search.feed(p));
        search.finish()
    }

    #[test]
    fn anchors_mean_the_body_not_the_window() {
        let body = [b'x'; 3 * WINDOW];
        assert!(run(&rule("^x"), &[&body]));
        assert!(!run(&rule("^y"), &[&body, b"y"]));
        let mut at_window_start = body;
        at_window_start[WINDOW - OVERLAP] = b'y';
        assert!(!run(&rule("^y"), &[&at_window_start]));
        assert!(!run(&rule("y$"), &[b"y", &body]));
        let mut at_window_end = vec![b'x'; WINDOW - 1];
        at_window_end.push(b'y');
        assert!(!run(&rule("y$"), &[&at_window_end, b"x"]));
        assert!(run(&rule("y$"), &[&at_window_end]));
    }

    #[test]
    fn dollar_before_the_closing_line_end_as_in_pcre() {
        assert!(run(&rule("OK$"), &[b"all OK\n"]));
        assert!(!run(&rule("OK$"), &[b"all OK\n\n"]));
        assert!(!run(&Rule { dollar_endonly: true, ..rule("OK$") }, &[b"all OK\n"]));
    }

    #[test]
    fn offsets() {
        let body: &[u8] = b"0123456789ok";
        for (min, max, wanted) in [
            (0, None, true),
            (10, None, true),
            (11, None, false),
            (0, Some(10), false),
            (0, Some(11), true),
            (99, None, false),
        ] {
            let rule = Rule { min_offset: min, max_offset: max, ..rule("ok") };
            assert_eq!(run(&rule, &[body]), wanted, "{min} {max:?}");
        }
        let far = Rule { min_offset: 2 * WINDOW as u64, ..rule("ok") };
        assert!(!run(&far, &[b"ok", &[b'x'; 2 * WINDOW]]));
        assert!(run(&far, &[&[b'x'; 2 * WINDOW], b"ok"]));
    }

    #[test]
    fn memory_stays_bounded_over_a_gigabyte_in_spirit() {
        let rule = rule("needle");
        let mut search = Search::new(compile(&rule).unwrap(), &rule);
        for _ in 0..200 {
            search.feed(&[b'n'; 50_000]);
            assert!(search.window.capacity() <= 2 * WINDOW);
        }
        assert!(!search.finish());
        assert!(compile(&Rule { pattern: "(a{1000}){1000}".into(), ..Rule::default() }).is_err());
    }

    proptest! {
        /// ec984192: however a body is cut, and wherever a match lies, the result is that of the whole.
        #[test]
        fn partial_regex_body(before in 0usize..200_000, after in 0usize..70_000, cut in 1usize..70_000) {
            let mut body = vec![b'.'; before];
            body.extend_from_slice(b"start-of-match 0123456789 end-of-match");
            body.extend(std::iter::repeat_n(b'.', after));
            let rule = rule("start-of-match [0-9]+ end-of-match");
            let parts: Vec<&[u8]> = body.chunks(cut).collect();
            prop_assert!(run(&rule, &parts));
            let pos = before + 10;
            body[pos] = b'#';
            let parts: Vec<&[u8]> = body.chunks(cut).collect();
            prop_assert!(!run(&rule, &parts));
        }
    }
}
