//! Why a probe failed.

use std::fmt;

/// The reason of one failed probe, as shown in logs and mails.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Failure {
    /// No connection within the limit.
    ConnectTimeout,
    /// Silence, or an answer that took too long.
    Timeout,
    /// The adapter's words: connection refused, TLS alert …
    Transport(String),
    /// The server ended the connection before its answer was complete.
    Closed,
    /// No close_notify where one is required.
    Unclean,
    /// The answer breaks its protocol.
    Malformed(&'static str),
    /// A part of the answer is larger than its bound.
    TooLarge(&'static str),
    /// HTTP status that is not accepted.
    Status(u16),
    /// Digest of the body.
    Digest([u8; 16]),
    /// The regular expression did not match.
    NoMatch,
    /// It matched, and must not.
    Match,
    /// The regular expression cannot be used.
    BadRule(String),
    /// What is wrong with one page of several, and its path.
    Page(Box<Failure>, Box<str>),
    /// SMTP reply code and the command that it answers.
    Smtp(u16, &'static str),
    /// DNS response code.
    Rcode(u16),
    /// The reply does not match what is required.
    Reply(&'static str),
    /// Exit status of a program.
    Exit(i32),
    /// Signal that ended a program.
    Signal(i32),
    /// A program that took longer than this, and was ended.
    Overran(std::time::Duration),
    /// A program that could not be started, and why.
    NotStarted(String),
    /// What a former life said.
    Former(String),
    /// Content of a tracked file.
    File(i64),
    /// A BFD session that is not up.
    Bfd,
    /// Status of a gRPC call.
    Grpc(u32),
    /// What the health service says.
    Health(&'static str),
    /// The agent's word, and its remark, which may be empty.
    Agent(&'static str, Box<str>),
}

impl Failure {
    /// Whatever the server was asked, it did not say anything whole.
    pub(crate) const fn is_no_answer(&self) -> bool {
        matches!(self, Failure::ConnectTimeout | Failure::Timeout | Failure::Transport(_) | Failure::Closed)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::ConnectTimeout => f.write_str("timeout connecting"),
            Failure::Timeout => f.write_str("timeout reading"),
            Failure::Transport(text) => f.write_str(text),
            Failure::Closed => f.write_str("connection closed before the answer was complete"),
            Failure::Unclean => f.write_str("connection closed without TLS close_notify"),
            Failure::Malformed(what) => write!(f, "malformed answer: {what}"),
            Failure::TooLarge(what) => write!(f, "{what} too large"),
            Failure::Status(code) => write!(f, "HTTP status code {code}"),
            Failure::Digest(sum) => {
                f.write_str("MD5 digest is ")?;
                sum.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
            Failure::NoMatch => f.write_str("Regex match failed"),
            Failure::Match => f.write_str("Regex matches where it must not"),
            Failure::BadRule(text) => write!(f, "regex cannot be used: {text}"),
            Failure::Page(failure, path) => write!(f, "{failure} (url {path})"),
            Failure::Smtp(code, command) => write!(f, "SMTP status code {code} to {command}"),
            Failure::Rcode(code) => write!(f, "DNS response code {code}"),
            Failure::Reply(what) => write!(f, "reply {what}"),
            Failure::Exit(code) => write!(f, "exited with status {code}"),
            Failure::Signal(signal) => write!(f, "ended by signal {signal}"),
            Failure::Overran(limit) => write!(f, "timed out after {} s", limit.as_secs_f64()),
            Failure::Former(text) => f.write_str(text),
            Failure::NotStarted(why) => write!(f, "could not be started: {why}"),
            Failure::File(value) => write!(f, "file value {value}"),
            Failure::Bfd => f.write_str("session is down"),
            Failure::Grpc(status) => write!(f, "gRPC status {status}"),
            Failure::Health(word) => write!(f, "health service says {word}"),
            Failure::Agent(word, remark) if remark.is_empty() => write!(f, "agent says {word}"),
            Failure::Agent(word, remark) => write!(f, "agent says {word}: {remark}"),
        }
    }
}
