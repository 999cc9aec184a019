//! SMTP_CHECK (RFC 5321 sections 3.1 and 3.2): greeting 220, `HELO name`, 250, `QUIT`.

use crate::exchange::Step;
use crate::failure::Failure;
use steadfast_core::mail::reply_code;

/// Most bytes of one reply, all its lines together.
const REPLY_LIMIT: usize = 4096;

/// The dialogue.
#[derive(Debug)]
pub struct Smtp {
    helo: String,
    greeted: bool,
    line: Vec<u8>,
    size: usize,
}

impl Smtp {
    /// Says HELO with this name; bytes that would end the line are left out.
    pub fn new(helo: &str) -> Smtp {
        let helo = helo.chars().filter(|c| !c.is_control()).collect();
        Smtp { helo, greeted: false, line: Vec::new(), size: 0 }
    }

    /// Bytes of the server.
    pub fn data(&mut self, bytes: &[u8]) -> Step {
        // a server that talks ahead is heard as if it had waited: the outcome does not depend on segments
        let mut send = Vec::new();
        for &b in bytes {
            self.size += 1;
            if self.size > REPLY_LIMIT {
                return Step::fail(Failure::TooLarge("SMTP reply"));
            }
            if b != b'\n' {
                self.line.push(b);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            match reply_code(&line) {
                None => return Step::fail(Failure::Malformed("SMTP reply line")),
                Some((_, true)) => {}
                Some((code, false)) => match self.reply(code) {
                    Step::More => {}
                    Step::Send(bytes) => send.extend(bytes),
                    Step::Done(result, farewell) => return Step::Done(result, [send, farewell].concat()),
                },
            }
        }
        if send.is_empty() { Step::More } else { Step::Send(send) }
    }

    fn reply(&mut self, code: u16) -> Step {
        self.size = 0;
        match (self.greeted, code) {
            (false, 220) => {
                self.greeted = true;
                Step::Send(format!("HELO {}\r\n", self.helo).into_bytes())
            }
            (false, _) => Step::fail(Failure::Smtp(code, "connect")),
            (true, 250) => match Step::fine() {
                Step::Done(result, _) => Step::Done(result, b"QUIT\r\n".to_vec()),
                step => step,
            },
            (true, _) => Step::fail(Failure::Smtp(code, "HELO")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the same bytes whole and byte by byte: the outcome must not differ.
    fn run(server: &[&[u8]]) -> Step {
        let mut whole = Smtp::new("me");
        let mut bytewise = Smtp::new("me");
        let mut last = (Step::More, Step::More);
        for part in server {
            last.0 = whole.data(part);
            for b in *part {
                last.1 = bytewise.data(std::slice::from_ref(b));
            }
        }
        assert_eq!(last.0, last.1);
        last.0
    }

    #[test]
    fn the_dialogue() {
        assert_eq!(run(&[b"220 mx ready\r\n"]), Step::Send(b"HELO me\r\n".to_vec()));
        let Step::Done(Ok(_), farewell) = run(&[b"220-mx\r\n220 ready\r\n", b"250 hello\r\n"]) else { panic!() };
        assert_eq!(farewell, b"QUIT\r\n");
        assert_eq!(run(&[b"554 no\r\n"]), Step::fail(Failure::Smtp(554, "connect")));
        assert_eq!(run(&[b"220 a\n", b"502 b\n"]), Step::fail(Failure::Smtp(502, "HELO")));
        assert_eq!(run(&[b"HTTP/1.1 400\r\n"]), Step::fail(Failure::Malformed("SMTP reply line")));
        assert_eq!(run(&[b"\r\n"]), Step::fail(Failure::Malformed("SMTP reply line")));
        assert_eq!(run(&[b"220"]), Step::More);
        let ahead = Smtp::new("me").data(b"220 a\n250 b\n");
        assert!(matches!(ahead, Step::Done(Ok(_), bytes) if bytes == b"HELO me\r\nQUIT\r\n"));
    }

    #[test]
    fn an_endless_greeting_is_bounded() {
        let mut smtp = Smtp::new("me");
        let step = (0..1000).map(|_| smtp.data(b"220-more\r\n")).find(|s| *s != Step::More);
        assert_eq!(step, Some(Step::fail(Failure::TooLarge("SMTP reply"))));
        assert_eq!(Smtp::new("me").data(&[b'x'; 5000]), Step::fail(Failure::TooLarge("SMTP reply")));
    }

    #[test]
    fn a_name_cannot_smuggle_a_command() {
        assert_eq!(Smtp::new("a\r\nDATA").data(b"220 x\n"), Step::Send(b"HELO aDATA\r\n".to_vec()));
    }
}
