//! The agent check: a line of words by which a host says itself how it is, as HAProxy's agents speak it. Known words, in any
//! case, parted by space, comma or slash: `up`, `down`, `failed`, `stopped`, `drain`, `maint`, `ready`, `NN%`; `maxconn:N` is
//! passed over. What follows a `#` is for people: it is shown with the reason.

use crate::exchange::{Step, Success};
use crate::failure::Failure;

/// Most bytes of the line.
const LINE_LIMIT: usize = 1024;
/// Most characters of what follows the `#`.
const REMARK: usize = 100;

/// What a line says. What it does not name stays as it was.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words {
    /// Works, or why not.
    pub state: Option<Result<(), &'static str>>,
    /// What the administrator of the host wants.
    pub admin: Option<Admin>,
    /// Per cent of the configured weight, 0..=256.
    pub percent: Option<u16>,
    /// Why, for people; empty: nothing is said. Without control characters.
    pub remark: Box<str>,
}

/// Wish of the host's administrator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admin {
    /// In service.
    Ready,
    /// No new connections.
    Drain,
    /// Out of service.
    Maint,
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Result<Words, Failure> {
    let mut parts = line.splitn(2, |b| *b == b'#');
    let text = std::str::from_utf8(parts.next().unwrap_or_default());
    let text = text.map_err(|_| Failure::Malformed("agent's line is not text"))?;
    let mut words = Words { remark: remark(parts.next().unwrap_or_default()), ..Words::default() };
    let mut any = false;
    for word in text.split([' ', '\t', '\r', ',', '/']).filter(|w| !w.is_empty()) {
        any = true;
        match word.to_ascii_lowercase().as_str() {
            "up" => words.state = Some(Ok(())),
            "down" => words.state = Some(Err("down")),
            "failed" | "fail" => words.state = Some(Err("failed")),
            "stopped" => words.state = Some(Err("stopped")),
            "ready" => words.admin = Some(Admin::Ready),
            "drain" => words.admin = Some(Admin::Drain),
            "maint" => words.admin = Some(Admin::Maint),
            w if w.starts_with("maxconn:") => {}
            w => {
                let number = w.strip_suffix('%').and_then(|n| n.parse::<u16>().ok()).filter(|n| *n <= 256);
                words.percent = Some(number.ok_or(Failure::Malformed("unknown word of the agent"))?);
            }
        }
    }
    if any { Ok(words) } else { Err(Failure::Malformed("agent said nothing")) }
}

/// What may be shown of a remark, whatever is in it.
fn remark(bytes: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_matches(|c: char| c == '#' || c.is_whitespace() || c.is_control());
    let plain = text.chars().map(|c| if c.is_control() || is_invisible(c) { ' ' } else { c });
    plain.take(REMARK).collect::<String>().into()
}

/// Signs that change how others are shown.
const fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The exchange.
#[derive(Debug)]
pub struct Agent {
    send: Vec<u8>,
    line: Vec<u8>,
}

impl Agent {
    /// Sends `send` after the connect, which may be empty.
    pub fn new(send: &[u8]) -> Agent {
        Agent { send: send.to_vec(), line: Vec::new() }
    }

    /// Connected.
    pub fn connected(&mut self) -> Step {
        if self.send.is_empty() { Step::More } else { Step::Send(std::mem::take(&mut self.send)) }
    }

    /// Bytes of the agent.
    pub fn data(&mut self, bytes: &[u8]) -> Step {
        let end = bytes.iter().position(|b| *b == b'\n');
        self.line.extend_from_slice(&bytes[..end.unwrap_or(bytes.len()).min(LINE_LIMIT + 1)]);
        if self.line.len() > LINE_LIMIT {
            return Step::fail(Failure::TooLarge("agent's line"));
        }
        if end.is_some() { self.eof() } else { Step::More }
    }

    /// The line is complete.
    pub fn eof(&mut self) -> Step {
        Step::done(parse(&self.line).map(Success::Agent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let none = Words::default;
        let cases: [(&[u8], Option<Words>); 15] = [
            (b"up", Some(Words { state: Some(Ok(())), ..none() })),
            (b"UP\r", Some(Words { state: Some(Ok(())), ..none() })),
            (b"down # disk full", Some(Words { state: Some(Err("down")), remark: "disk full".into(), ..none() })),
            // The remark alone is no text, and would clear a screen.
            (
                b"fail #\xff\x1b[2J ",
                Some(Words { state: Some(Err("failed")), remark: "\u{fffd} [2J".into(), ..none() }),
            ),
            (b"drain", Some(Words { admin: Some(Admin::Drain), ..none() })),
            (b"maint", Some(Words { admin: Some(Admin::Maint), ..none() })),
            (b"75%", Some(Words { percent: Some(75), ..none() })),
            (
                b"up ready 50% maxconn:30",
                Some(Words { state: Some(Ok(())), admin: Some(Admin::Ready), percent: Some(50), ..none() }),
            ),
            (
                b"ready,up/100%",
                Some(Words { state: Some(Ok(())), admin: Some(Admin::Ready), percent: Some(100), ..none() }),
            ),
            (b"0%", Some(Words { percent: Some(0), ..none() })),
            (b"257%", None),
            (b"-1%", None),
            (b"", None),
            (b"banana", None),
            (b"\xff\xfe", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(parse(line).ok(), wanted, "{}", String::from_utf8_lossy(line));
        }
        let long = parse(&[b"down #".as_slice(), "ä".repeat(LINE_LIMIT).as_bytes()].concat());
        assert_eq!(long.expect("words").remark.chars().count(), REMARK);
    }

    #[test]
    fn a_line_in_pieces_without_end_and_without_bound() {
        let mut agent = Agent::new(b"hello\n");
        assert_eq!(agent.connected(), Step::Send(b"hello\n".to_vec()));
        assert_eq!(agent.data(b"u"), Step::More);
        assert_eq!(agent.data(b"p\nmore"), Step::done(parse(b"up").map(Success::Agent)));
        let mut silent = Agent::new(b"");
        assert_eq!(silent.connected(), Step::More);
        assert_eq!(silent.data(b"5%"), Step::More);
        assert_eq!(silent.eof(), Step::done(parse(b"5%").map(Success::Agent)));
        assert_eq!(Agent::new(b"").data(&[b'u'; 100_000]), Step::fail(Failure::TooLarge("agent's line")));
    }
}
