//! One mail handed to a server (RFC 5321): HELO, MAIL, RCPT for each, DATA, the text, QUIT. Bytes in, bytes out.
//!
//! HELO, as keepalived says: nothing that EHLO offers is asked for, and every server knows it (RFC 5321 section 4.1.1.1).

use crate::mail::{Alert, Settings, message};
use std::fmt;
use std::time::SystemTime;
use steadfast_core::mail::reply_code;

/// Most bytes of one reply, all its lines together: RFC 5321 section 4.5.3.1.5 has 512 for a line.
const REPLY_LIMIT: usize = 8192;

/// Why a mail, or one of its recipients, was not taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The server said so: what it answered, and to what.
    Said(String, String),
    /// What it answers is no SMTP.
    Strange,
    /// There is no recipient.
    NoRecipient,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Said(reply, command) => write!(f, "mail server: '{reply}' to {command}"),
            Refusal::Strange => f.write_str("mail server: what it answers is no SMTP"),
            Refusal::NoRecipient => f.write_str("no recipient"),
        }
    }
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// There is more to come of the server.
    Wait,
    /// This is to be sent.
    Say(Vec<u8>),
    /// The conversation is over.
    Over,
}

/// Which reply is awaited.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaited {
    Greeting,
    Helo,
    Mail,
    Recipient(usize),
    Data,
    Text,
    Farewell,
}

/// The dialogue.
#[derive(Debug)]
pub struct Session {
    helo: String,
    from: String,
    to: Vec<String>,
    text: String,
    awaited: Awaited,
    line: Vec<u8>,
    size: usize,
    taken: usize,
    refused: Vec<Refusal>,
    end: Result<(), Refusal>,
}

/// The address of a mailbox: `Name <address>` or the address alone. Bytes that would end the command are left out.
fn address(mailbox: &str) -> String {
    let inner = mailbox.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(mailbox, |(inner, _)| inner);
    inner.trim().chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect()
}

impl Session {
    /// Hands over this mail.
    pub fn new(settings: &Settings, alert: &Alert, date: SystemTime) -> Session {
        let text = message(settings, alert, date);
        // A line of the text that begins with a point has two (RFC 5321 section 4.5.2).
        let text = text.replace("\r\n.", "\r\n..");
        Session {
            helo: settings.helo.chars().filter(|c| !c.is_control()).collect(),
            from: address(&settings.from),
            to: settings.to.iter().map(|to| address(to)).collect(),
            text,
            awaited: Awaited::Greeting,
            line: Vec::new(),
            size: 0,
            taken: 0,
            refused: Vec::new(),
            end: Err(Refusal::Strange),
        }
    }

    /// It is decided: what the server says or does from now on changes nothing.
    pub fn over(&self) -> bool {
        self.awaited == Awaited::Farewell
    }

    /// How it went: recipients that were refused where others were not, or why nobody gets the mail.
    pub fn outcome(self) -> Result<Vec<Refusal>, Refusal> {
        self.end.map(|()| self.refused)
    }

    /// Bytes of the server.
    pub fn hear(&mut self, bytes: &[u8]) -> Next {
        let mut next = Next::Wait;
        for &b in bytes {
            self.size += 1;
            if self.size > REPLY_LIMIT {
                return self.fail(Refusal::Strange);
            }
            if b != b'\n' {
                self.line.push(b);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            match reply_code(&line) {
                None => return self.fail(Refusal::Strange),
                Some((_, true)) => {}
                // One command at a time: what comes ahead of its question answers nothing.
                Some(_) if next != Next::Wait => return self.fail(Refusal::Strange),
                Some((code, false)) => {
                    self.size = 0;
                    next = self.reply(code, &String::from_utf8_lossy(line.trim_ascii()));
                    if next == Next::Over {
                        return next;
                    }
                }
            }
        }
        next
    }

    fn fail(&mut self, why: Refusal) -> Next {
        if !self.over() {
            self.end = Err(why);
        }
        Next::Over
    }

    /// The words that the server answers to.
    fn command(&self) -> String {
        match self.awaited {
            Awaited::Greeting => "the connection".into(),
            Awaited::Helo => format!("HELO {}", self.helo),
            Awaited::Mail => format!("MAIL FROM:<{}>", self.from),
            Awaited::Recipient(n) => format!("RCPT TO:<{}>", self.to.get(n).map_or("", String::as_str)),
            Awaited::Data => "DATA".into(),
            Awaited::Text => "the text".into(),
            Awaited::Farewell => "QUIT".into(),
        }
    }

    fn ask(&mut self, awaited: Awaited) -> Next {
        self.awaited = awaited;
        Next::Say(format!("{}\r\n", self.command()).into_bytes())
    }

    fn reply(&mut self, code: u16, line: &str) -> Next {
        let said = Refusal::Said(line.to_string(), self.command());
        match (self.awaited, code) {
            (Awaited::Farewell, _) => Next::Over,
            (Awaited::Greeting, 220) => self.ask(Awaited::Helo),
            (Awaited::Helo, 200..300) => self.ask(Awaited::Mail),
            (Awaited::Mail, 200..300) if self.to.is_empty() => self.fail(Refusal::NoRecipient),
            (Awaited::Mail, 200..300) => self.ask(Awaited::Recipient(0)),
            // A server that takes one recipient and not another has the mail for the one.
            (Awaited::Recipient(n), _) if code != 421 => {
                if (200..300).contains(&code) {
                    self.taken += 1;
                } else {
                    self.refused.push(said);
                }
                match n + 1 {
                    next if next < self.to.len() => self.ask(Awaited::Recipient(next)),
                    _ if self.taken > 0 => self.ask(Awaited::Data),
                    _ => {
                        self.end = Err(self.refused.pop().unwrap_or(Refusal::NoRecipient));
                        self.ask(Awaited::Farewell)
                    }
                }
            }
            (Awaited::Data, 354) => {
                self.awaited = Awaited::Text;
                Next::Say(format!("{}.\r\n", self.text).into_bytes())
            }
            (Awaited::Text, 200..300) => {
                self.end = Ok(());
                self.ask(Awaited::Farewell)
            }
            (_, 421) => self.fail(said),
            _ => {
                self.end = Err(said);
                self.ask(Awaited::Farewell)
            }
        }
    }
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
