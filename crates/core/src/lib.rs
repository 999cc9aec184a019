//! Words that every room of steadfast shares: time as a value, seeded randomness, a timer heap, identifiers, router states
//! and the kernel objects (addresses, routes, rules) that a virtual router owns.
//!
//! Nothing here touches a clock, a socket or a file. That is what lets one simulator run the real machines in virtual time.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod ipvs;
mod kept;
pub mod kernel;
pub mod mail;
mod net;
mod rng;
mod secret;
mod state;
pub mod text;
mod time;
mod timers;

/// A name that is kept often, as of a link: up to 23 bytes are in place.
pub use smol_str::SmolStr as Name;

pub use kept::Kept;
pub use net::{Family, IpCidr, Mac};
pub use rng::Rng;
pub use secret::Secret;
pub use state::State;
pub use time::Time;
pub use timers::Timers;
