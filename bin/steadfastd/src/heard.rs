//! What programs write while they run: the last line of it says why a check fails.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::ErrorKind;
use steadfast_sys::spawn::Output;

/// Bytes that are remembered of each.
const TAIL: usize = 1024;
/// Bytes of each that are read in one turn.
const GULP: usize = 64 * 1024;
/// Characters of a line that are told.
const LINE: usize = 200;
/// Outputs that others hold open after their program has ended. What is written there is thrown away; those above this number are
/// closed, the oldest first.
const ORPHANS: usize = 64;

/// Outputs of programs that run, by number, and of those that have left somebody behind.
#[derive(Default)]
pub struct Listener {
    of: HashMap<u64, (Output, Vec<u8>)>,
    /// Those that may have written something.
    pub loud: BTreeSet<u64>,
    orphans: VecDeque<Output>,
}

/// How an output stands after it was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    More,
    Closed,
}

impl Listener {
    /// A program has begun.
    pub fn begin(&mut self, id: u64, output: Output) {
        self.of.insert(id, (output, Vec::new()));
        self.loud.insert(id);
    }

    /// Takes what was written, so that nobody waits for room. True: there is more.
    pub fn listen(&mut self) -> bool {
        let of = &mut self.of;
        self.loud.retain(|id| of.get_mut(id).is_some_and(|(output, tail)| take(output, tail) == Left::More));
        let mut more = !self.loud.is_empty();
        self.orphans.retain_mut(|output| {
            let left = take(output, &mut Vec::new());
            more |= left == Left::More;
            left != Left::Closed
        });
        more
    }

    /// A program has ended: its last line.
    pub fn end(&mut self, id: u64) -> String {
        let Some((mut output, mut tail)) = self.of.remove(&id) else { return String::new() };
        if take(&mut output, &mut tail) != Left::Closed {
            self.orphans.push_back(output);
            if self.orphans.len() > ORPHANS {
                self.orphans.pop_front();
            }
        }
        last_line(&tail)
    }
}

fn take(output: &mut Output, tail: &mut Vec<u8>) -> Left {
    let mut part = [0; 4096];
    for _ in 0..GULP / part.len() {
        match output.read(&mut part) {
            Ok(0) => return Left::Closed,
            Ok(n) => {
                tail.extend_from_slice(part.get(..n).unwrap_or_default());
                tail.drain(..tail.len().saturating_sub(TAIL));
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Left::Nothing,
            Err(_) => return Left::Closed,
        }
    }
    Left::More
}

/// The last line that says something, fit for a terminal: of a long one its beginning, or its end where the beginning is lost.
fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let shown = |c: char| if c.is_control() { '.' } else { c };
    let length = line.chars().count();
    if bytes.len() >= TAIL && !text.trim_end().contains('\n') {
        return "...".chars().chain(line.chars().skip(length.saturating_sub(LINE)).map(shown)).collect();
    }
    let more = if length > LINE { "..." } else { "" };
    line.chars().take(LINE).map(shown).chain(more.chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_told_without_what_would_confuse_a_terminal() {
        assert_eq!(last_line(b"one\n  two\x1b[31m\n\n"), "two.[31m");
        assert_eq!(last_line(&[b'x'; LINE]).len(), LINE);
        assert_eq!(last_line(&[&[b'x'; 900][..], b"end"].concat()), format!("{}...", "x".repeat(LINE)));
        let end = last_line(&[&[b'x'; TAIL][..], b" end\n"].concat());
        assert!(end.starts_with("...xx") && end.ends_with(" end") && end.len() == LINE + 3, "{end}");
        assert_eq!(last_line(b""), "");
    }
}
