//! The kernel's load balancer: its generic netlink messages, and the way from the table that is to the table that shall be.
//!
//! ```text
//!   Request ──► Message ──► bytes          bytes ──► Message ──► Reply          (wire, request, reply)
//!   Table (kernel), Table (wanted) ──► difference ──► Operations ──► Requests    (table)
//! ```
//! Attribute numbers are those of linux/ip_vs.h. No socket is opened here; `steadfast-net` owns it.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod reply;
mod request;
mod table;
#[cfg(test)]
mod tests;
pub mod wire;

pub use reply::{DestinationReply, Info, Reply, ServiceReply, Stats};
pub use request::{Daemon, DaemonState, Request, Timeouts, daemon_difference};
pub use table::{Entry, Operation, Refusal, Table, difference};
