//! SNMP through AgentX (RFC 2741): the wire format, the agent's end of a session, and the MIBs that keepalived serves, as one view
//! of names and values made of the configuration and of what the children say.
//!
//! ```text
//!   configuration, reports ──► mib::view ──► View ──────┐
//!   bytes, time ──► Session::handle, poll ──► requests ──┴─► Session::answer ──► bytes, what managers have set
//!   changes     ──► trap ──► Session::notify ──► bytes
//! ```
//!
//! Everything is pure: time and bytes come in as arguments and go out as data.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod mib;
mod oid;
mod session;
mod view;
pub mod wire;

pub use oid::Oid;
pub use session::{Input, Output, Session, Subtrees};
pub use view::{Setting, View};
