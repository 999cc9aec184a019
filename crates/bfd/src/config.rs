//! What sessions are to be.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// All sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// The sessions; names are unique.
    pub sessions: Vec<SessionConfig>,
}

/// One session. Times are microseconds, as on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionConfig {
    /// Its name.
    pub name: String,
    /// The peer.
    pub neighbor: IpAddr,
    /// The own address; without it the kernel chooses one, and packets to any are taken.
    pub source: Option<IpAddr>,
    /// Least interval between packets that we are able to receive; not 0.
    pub min_rx: u32,
    /// Least interval between packets that we want to send while Up; not 0.
    pub min_tx: u32,
    /// The same while not Up; at least a second (RFC 5880 section 6.8.3).
    pub idle_tx: u32,
    /// Packets that may be lost; not 0.
    pub multiplier: u8,
    /// Speak only when spoken to (section 6.1).
    pub passive: bool,
    /// Over several hops (RFC 5883).
    pub multihop: bool,
    /// TTL and hop limits.
    pub hops: Hops,
}

impl SessionConfig {
    /// A session with keepalived's defaults.
    pub fn new(name: &str, neighbor: IpAddr) -> Self {
        SessionConfig {
            name: name.into(),
            neighbor,
            source: None,
            min_rx: 10_000,
            min_tx: 10_000,
            idle_tx: 1_000_000,
            multiplier: 5,
            passive: false,
            multihop: false,
            hops: Hops { send: 255, least: 255, fallback: None },
        }
    }

    /// What makes it the same session for the peer.
    pub(crate) fn identity(&self) -> (IpAddr, Option<IpAddr>, bool) {
        (self.neighbor, self.source, self.multihop)
    }
}

/// TTL or hop limit of packets (RFC 5881 section 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hops {
    /// Sent.
    pub send: u8,
    /// Least that is taken.
    pub least: u8,
    /// From here to here taken as well, as long as the peer was never heard with `least`: keepalived sends 64 over IPv6 unless told
    /// otherwise.
    pub fallback: Option<(u8, u8)>,
}
