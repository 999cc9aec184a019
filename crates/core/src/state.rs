//! Router states.

use serde::{Deserialize, Serialize};
use std::fmt;

/// State of a virtual router as its users see it. RFC 9568 says Initialize, Backup and Active; FAULT is keepalived's addition
/// for a router that may not take part (link down, tracked object failed).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum State {
    /// Not started.
    #[default]
    Init,
    /// Listening for the master.
    Backup,
    /// Holds the addresses and announces itself (RFC 9568: Active).
    Master,
    /// Held back by a fault.
    Fault,
}

impl State {
    /// The word for logs, scripts and FIFOs.
    pub const fn word(self) -> &'static str {
        match self {
            State::Init => "INIT",
            State::Backup => "BACKUP",
            State::Master => "MASTER",
            State::Fault => "FAULT",
        }
    }

    /// The number in JSON dumps.
    pub const fn number(self) -> u8 {
        match self {
            State::Init => 0,
            State::Backup => 1,
            State::Master => 2,
            State::Fault => 3,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
