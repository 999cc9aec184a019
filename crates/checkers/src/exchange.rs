//! One probe's dialogue with a server: bytes in, bytes and a result out.

use crate::agent::{self, Agent};
use crate::dns::Dns;
use crate::failure::Failure;
use crate::http::Http;
use crate::http2::Http2;
use crate::ping::Ping;
use crate::smtp::Smtp;
use crate::udp::Udp;

/// What a finished probe found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Success {
    /// The server answers as it should. Text that is worth a log line, if any.
    Fine(Option<String>),
    /// A program that also sets the weight.
    Weight(u32),
    /// The words of an agent.
    Agent(agent::Words),
}

/// What the adapter must do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Wait.
    More,
    /// Send, then wait.
    Send(Vec<u8>),
    /// The probe is over. Bytes are sent as a farewell.
    Done(Result<Success, Failure>, Vec<u8>),
}

impl Step {
    /// The end without a farewell.
    pub fn done(result: Result<Success, Failure>) -> Step {
        Step::Done(result, Vec::new())
    }

    /// The plain good end.
    pub fn fine() -> Step {
        Step::done(Ok(Success::Fine(None)))
    }

    /// The bad end.
    pub fn fail(failure: Failure) -> Step {
        Step::done(Err(failure))
    }
}

/// A dialogue. After [`Step::Done`] it must not be fed any more.
#[derive(Debug)]
pub enum Exchange {
    /// The connection is the answer.
    Tcp,
    /// HTTP.
    Http(Box<Http>),
    /// HTTP/2.
    Http2(Box<Http2>),
    /// SMTP.
    Smtp(Smtp),
    /// DNS.
    Dns(Dns),
    /// UDP.
    Udp(Udp),
    /// ICMP echo.
    Ping(Ping),
    /// Agent.
    Agent(Agent),
    /// A program: no bytes.
    Script,
}

impl Exchange {
    /// The transport is there.
    pub fn connected(&mut self) -> Step {
        match self {
            Exchange::Tcp => Step::fine(),
            Exchange::Http(x) => Step::Send(x.request()),
            Exchange::Http2(x) => x.connected(),
            Exchange::Smtp(_) | Exchange::Script => Step::More,
            Exchange::Dns(x) => Step::Send(x.query()),
            Exchange::Udp(x) => Step::Send(x.payload()),
            Exchange::Ping(x) => Step::Send(x.request()),
            Exchange::Agent(x) => x.connected(),
        }
    }

    /// Bytes arrived.
    pub fn data(&mut self, bytes: &[u8]) -> Step {
        match self {
            Exchange::Tcp | Exchange::Script => Step::More,
            Exchange::Http(x) => x.data(bytes),
            Exchange::Http2(x) => x.data(bytes),
            Exchange::Smtp(x) => x.data(bytes),
            Exchange::Dns(x) => x.reply(bytes),
            Exchange::Udp(x) => x.reply(bytes),
            Exchange::Ping(x) => x.reply(bytes),
            Exchange::Agent(x) => x.data(bytes),
        }
    }

    /// The peer ended the stream; false: a TLS stream without close_notify.
    pub fn eof(&mut self, clean: bool) -> Step {
        match self {
            Exchange::Http(x) => x.eof(clean),
            Exchange::Http2(x) => x.eof(),
            Exchange::Agent(x) => x.eof(),
            _ => Step::fail(Failure::Closed),
        }
    }

    /// Plays a whole answer, in portions of at most `portion` bytes and up to its end: the result, if there is one before the
    /// time would be over.
    pub fn play(&mut self, answer: &[u8], portion: usize) -> Option<Result<Success, Failure>> {
        let _ = self.connected();
        for bytes in answer.chunks(portion.max(1)) {
            if let Step::Done(result, _) = self.data(bytes) {
                return Some(result);
            }
        }
        match self.eof(true) {
            Step::Done(result, _) => Some(result),
            _ => None,
        }
    }

    /// The time is over. The result is final.
    pub fn timeout(&mut self, connected: bool) -> Result<Success, Failure> {
        match self {
            // no ICMP error came: as far as UDP can tell, somebody listens
            Exchange::Udp(x) if connected && !x.needs_reply() => Ok(Success::Fine(None)),
            _ if connected => Err(Failure::Timeout),
            _ => Err(Failure::ConnectTimeout),
        }
    }
}
