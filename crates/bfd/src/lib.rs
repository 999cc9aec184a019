//! BFD (RFC 5880, 5881, 5883): the wire format, the machine of one session, and [`Sessions`] that holds them all. Asynchronous mode;
//! a peer's demand mode is honoured. No echo, no authentication: packets with the A bit are discarded, as RFC 5880 section 6.8.6
//! wants it where no authentication is in use.
//!
//! ```text
//!   Config ──► Sessions::new        Input ──► Sessions::handle ──► Output
//!                                   time  ──► Sessions::poll   ──► Output
//!                                             Sessions::poll_at ──► when to call poll next
//! ```
//!
//! Everything is pure: time, randomness and bytes come in as arguments; packets, verdicts and log lines go out as data.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod config;
mod io;
mod reload;
mod session;
mod sessions;
mod state;
#[cfg(test)]
mod testkit;
pub mod timing;
pub mod wire;

pub use config::*;
pub use io::*;
pub use sessions::Sessions;
pub use state::{Diag, State};
