//! The health checks: what is asked of real servers, what is made of their answers, and the load balancer's table that follows.
//! Everything is pure: time, randomness and bytes come in as arguments, probes, tables, notices and log lines go out as data.
//!
//! ```text
//!   Exchange   one probe's bytes          http, smtp, dns, udp, ping, agent
//!   Checker    one question's verdict     rounds, retries, rise and fall; equal questions share one
//!   Virtual    one service's health       servers, weights, quorum, sorry server, panic ► Table
//!   Pool       all of them                timers, inputs, outputs, reload, hand-over
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod agent;
mod body;
mod checker;
#[cfg(test)]
mod checker_tests;
mod config;
mod deduced;
#[cfg(test)]
mod deduced_tests;
mod dns;
mod exchange;
mod failure;
mod health;
#[cfg(test)]
mod health_tests;
mod held;
mod http;
mod http2;
#[cfg(test)]
mod http_tests;
mod io;
mod kept;
#[cfg(test)]
mod pairs_tests;
mod ping;
mod pool;
mod probes;
#[cfg(test)]
mod random_tests;
mod reload;
#[cfg(test)]
mod reload_tests;
mod renew;
#[cfg(test)]
mod renew_tests;
mod search;
mod smtp;
mod spread;
#[cfg(test)]
mod testkit;
#[cfg(test)]
mod tests;
mod udp;
mod view;
mod words;

pub use config::*;
pub use deduced::{Destinations, deduced};
pub use io::*;
pub use pool::Pool;
pub use search::compile as compile_rule;
pub use view::{CheckView, ServerView, ServiceView};

/// The dialogues alone, byte by byte: for fuzzing, and for programs that ask one question (genhash).
pub mod dialogue {
    pub use crate::agent::{Admin, Agent, Words, parse as parse_agent};
    pub use crate::dns::Dns;
    pub use crate::exchange::{Exchange, Step, Success};
    pub use crate::failure::Failure;
    pub use crate::http::Http;
    pub use crate::http2::Http2;
    pub use crate::ping::Ping;
    pub use crate::smtp::Smtp;
    pub use crate::udp::Udp;
}
