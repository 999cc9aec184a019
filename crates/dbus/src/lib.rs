//! The objects that VRRP instances are on D-Bus, as keepalived shows them: their paths, what they answer, what they say. No bus is
//! needed for it: a call comes in as words, an answer goes out as data.
//!
//! ```text
//!   /org/keepalived/Vrrp1[/NAMESPACE][/INSTANCE]/Vrrp                               org.keepalived.Vrrp1.Vrrp
//!   /org/keepalived/Vrrp1[/NAMESPACE][/INSTANCE]/Instance/INTERFACE/VRID/IPv4|IPv6  org.keepalived.Vrrp1.Instance
//! ```
//!
//! Every other path that leads to one of these can be introspected, nothing more.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod answer;
mod tree;
mod xml;

pub use answer::{Answer, Call, Value, Wish};
pub use tree::{Body, Replaced, Router, Signal, Status, Tree};

/// The name on the bus, unless the configuration has another one.
pub const NAME: &str = "org.keepalived.Vrrp1";
/// All paths begin with this.
pub(crate) const ROOT: &str = "/org/keepalived/Vrrp1";
/// Interface of the one object of the daemon.
pub(crate) const VRRP: &str = "org.keepalived.Vrrp1.Vrrp";
/// Interface of instances.
pub(crate) const INSTANCE: &str = "org.keepalived.Vrrp1.Instance";
/// Standard interfaces.
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
pub(crate) const INTROSPECTABLE: &str = "org.freedesktop.DBus.Introspectable";
pub(crate) const PEER: &str = "org.freedesktop.DBus.Peer";

#[cfg(test)]
mod tests;
