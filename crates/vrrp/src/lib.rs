//! The VRRP machines: wire formats of versions 2 and 3, the virtual router, sync groups, trackers, and the [`Router`] that
//! holds them all. Everything is pure: time, randomness and bytes come in as arguments, packets, kernel changes and log lines
//! go out as data.
//!
//! ```text
//!   Config ──► Router::new          Input ──► Router::handle ──► Output
//!                                   time  ──► Router::poll   ──► Output
//!                                             Router::poll_at ──► when to call poll next
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod adverts;
mod announce;
mod auth;
mod cause;
mod config;
mod doubt;
mod due;
mod garp;
mod group;
mod instance;
mod io;
mod keys;
mod leftovers;
mod machine;
mod manage;
mod objects;
mod proof;
mod receive;
mod reload;
mod remind;
mod router;
mod script;
#[cfg(test)]
mod testkit;
pub mod timing;
mod tracking;
mod transitions;
mod view;
pub mod wire;
mod world;

pub use auth::{Sighting, Stamps};
pub use config::*;
pub use io::*;
pub use leftovers::Leftovers;
pub use router::Router;
