//! The daemon's state as seen from outside: one schema, and keepalived's three dumps as views of it.
//!
//! Other programs parse these texts (exporters, routers' web interfaces), so their shape is an interface: keys, indentation,
//! order of fields and the escaping of slashes are keepalived's.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod data;
mod details;
mod json;
pub mod live;
mod schema;
mod stats;

pub use data::data;
pub use details::{
    Details, FileDetails, GroupDetails, InstanceDetails, InterfaceDetails, ScriptDetails, SessionDetails,
};
pub use json::json;
pub use schema::{Instance, Process, Script, Snapshot, Statistics};
pub use stats::stats;

#[cfg(test)]
mod tests;
