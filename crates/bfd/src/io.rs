//! What goes into the machine and what comes out of it.

use crate::state::{Diag, State};
use crate::wire::LENGTH;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use steadfast_core::Time;

/// A received control packet.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// It came by the port of multihop sessions (4784), else by that of single hop sessions (3784).
    pub multihop: bool,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A packet came.
    Packet(Received<'a>),
    /// The socket that [`Output::Open`] asked for could not be opened. True: somebody has that port.
    Refused(u32, bool),
    /// Orderly stop: peers are told, then [`Output::Stopped`] follows.
    Stop,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Open the sending socket of a session, in the place of an earlier one.
    Open(Open),
    /// Close it.
    Close(u32),
    /// Send by it.
    Send {
        /// The session.
        id: u32,
        /// The UDP payload.
        payload: [u8; LENGTH],
    },
    /// Clients are told: the session is up, or it is not.
    Told {
        /// Its name.
        name: String,
        /// It is.
        up: bool,
    },
    /// State for a successor process.
    Keep(Box<Snapshot>),
    /// There is no such session any more.
    Forget(String),
    /// A line for the log.
    Log(log::Level, String),
    /// The stop is complete.
    Stopped,
}

/// A sending socket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Open {
    /// The session; a small number.
    pub id: u32,
    /// Own address, if one is configured.
    pub source: Option<IpAddr>,
    /// The peer.
    pub neighbor: IpAddr,
    /// Source port, 49152..=65535 (RFC 5881 section 4): the same for the life of the session, and no other session's.
    pub port: u16,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// To the port of multihop sessions.
    pub multihop: bool,
}

/// What the peer said last (the bfd.Remote… variables of RFC 5880 section 6.8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remote {
    /// Its discriminator; 0: not known.
    pub discriminator: u32,
    /// Its state.
    pub state: State,
    /// Its diagnostic.
    pub diag: Diag,
    /// Least interval at which it wants to send, in microseconds.
    pub min_tx: u32,
    /// Least interval at which it is able to receive; 0: it wants no periodic packets.
    pub min_rx: u32,
    /// Its detection multiplier.
    pub multiplier: u8,
    /// It is in demand mode.
    pub demand: bool,
}

impl Default for Remote {
    fn default() -> Self {
        Remote {
            discriminator: 0,
            state: State::Down,
            diag: Diag::NONE,
            min_tx: 0,
            min_rx: 1,
            multiplier: 0,
            demand: false,
        }
    }
}

/// What a successor process needs to go on with a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// The peer, the own address, several hops: another session has the same name where these differ.
    pub identity: (IpAddr, Option<IpAddr>, bool),
    /// State.
    pub state: State,
    /// Diagnostic.
    pub diag: Diag,
    /// Own discriminator.
    pub discriminator: u32,
    /// Source port.
    pub port: u16,
    /// The intervals that packets name: desired transmission, required reception; in microseconds.
    pub announced: (u32, u32),
    /// Those that hold: a change of the announced ones may wait for the end of its poll sequence.
    pub in_use: (u32, u32),
    /// A poll sequence is under way.
    pub poll: bool,
    /// What the peer said last.
    pub remote: Remote,
    /// What clients were told last.
    pub told: bool,
    /// The peer was heard with the full TTL.
    pub near: bool,
    /// When the state was entered.
    pub since: Time,
}

/// Packets of a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Sent.
    pub sent: u64,
    /// Received and taken.
    pub received: u64,
    /// From the peer's address, and thrown away.
    pub refused: u64,
    /// Times that it came up.
    pub ups: u64,
    /// Times that it went down from there.
    pub downs: u64,
}

/// A session as dumps and status show it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct View<'a> {
    pub config: &'a crate::SessionConfig,
    pub state: State,
    pub diag: Diag,
    pub discriminator: u32,
    pub port: u16,
    pub remote: Remote,
    /// What clients were told last.
    pub told: bool,
    pub since: Time,
    /// Interval between our packets before jitter, in microseconds.
    pub tx_interval: u32,
    /// Without a packet for so long (in microseconds) the session is down; 0: nothing was heard.
    pub detection: u64,
    /// When the peer was heard last.
    pub heard: Option<Time>,
    pub poll: bool,
    pub counters: Counters,
}
