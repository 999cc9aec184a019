//! What a new program writes while it is tried. It may be anything: what is no log line is said to be the new program's.

use log::Level;
use std::io::ErrorKind;
use std::os::fd::RawFd;
use steadfast_sys::spawn::Output;

/// Bytes that are heard: a loader that reports thousands of faults is heard out.
const BYTES: usize = 4 << 20;
/// Lines that are told.
const LINES: usize = 1000;
/// Characters of a line that are told.
const LINE: usize = 500;

/// Before a line that is no log line.
const FOREIGN: &str = "the new program says: ";

/// The output of a new program.
pub(super) struct Newcomer {
    output: Option<Output>,
    /// A line that is not whole yet.
    part: Vec<u8>,
    heard: usize,
    lines: usize,
    /// The last one of them, as it was told.
    last: String,
    /// It is its rehearsal: whatever it writes is not said of processes that serve.
    rehearsal: bool,
}

impl Newcomer {
    pub fn new(output: Output, rehearsal: bool) -> Self {
        Newcomer { output: Some(output), part: Vec::new(), heard: 0, lines: 0, last: String::new(), rehearsal }
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> Option<RawFd> {
        self.output.as_ref().map(Output::fd)
    }

    /// Takes what has come, and logs it. One that writes without an end is not heard any more.
    pub fn hear(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(output) = &mut self.output {
            match output.read(&mut buffer) {
                Ok(n) if n > 0 && self.heard < BYTES => {
                    self.heard += n;
                    self.take(buffer.get(..n).unwrap_or_default());
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.output = None,
            }
        }
    }

    /// It has ended; its last line.
    pub fn end(mut self) -> String {
        self.hear();
        self.take(b"\n");
        if self.lines > LINES {
            log::warn!("the new program wrote {} more lines", self.lines - LINES);
        }
        self.last
    }

    fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.part.extend_from_slice(piece);
            // A line without an end is cut.
            if piece.ends_with(b"\n") || self.part.len() > LINE * 4 {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.part)).into_owned();
                if !line.trim().is_empty() {
                    self.lines += 1;
                    if self.lines <= LINES {
                        let (level, text) = told(&line);
                        self.last = text.strip_prefix(FOREIGN).unwrap_or(&text).to_string();
                        let of = if self.rehearsal { "rehearsal of the new program: " } else { "" };
                        log::log!(level, "{of}{text}");
                    }
                }
            }
        }
    }
}

/// A line as it is logged: our own form of log lines, with a priority (journald) or a time in front, goes on as what it is.
fn told(line: &str) -> (Level, String) {
    let line = line.trim_end();
    let (level, own) = match line.as_bytes() {
        [b'<', priority, b'>', ..] => {
            let level = match priority {
                b'0'..=b'3' => Level::Error,
                b'4' => Level::Warn,
                b'5' | b'6' => Level::Info,
                _ => Level::Debug,
            };
            (level, line.get(3..))
        }
        // "Sat Nov 21 19:30:00 2026: "
        [_, _, _, b' ', _, _, _, b' ', _, _, b' ', _, _, b':', _, _, b':', _, _, b' ', _, _, _, _, b':', b' ', ..] => {
            (Level::Warn, line.get(26..))
        }
        _ => (Level::Warn, None),
    };
    let prefix = if own.is_some() { "" } else { FOREIGN };
    let shown = own.unwrap_or(line).chars().take(LINE).map(|c| if c.is_control() { '.' } else { c });
    (level, prefix.chars().chain(shown).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_lines_go_on_as_such_and_all_else_is_the_new_programs() {
        let said = |line: &str| told(line);
        assert_eq!(said("<3>(VI) bad\n"), (Level::Error, "(VI) bad".into()));
        assert_eq!(said("Sat Nov 21 19:30:00 2026: a.conf:3: bad\n"), (Level::Warn, "a.conf:3: bad".into()));
        assert_eq!(said("Sat Nov  1 09:30:00 2026: x\n"), (Level::Warn, "x".into()));
        let strange = "the new program says: sh: 1: no: not.[31m found";
        assert_eq!(said("sh: 1: no: not\x1b[31m found\n"), (Level::Warn, strange.into()));
        assert_eq!(said(&"x".repeat(9000)).1.len(), LINE + "the new program says: ".len());
        assert_eq!(said("<3>").1, "");
        assert!(said("<é>").1.starts_with("the new program says: "));
    }
}
