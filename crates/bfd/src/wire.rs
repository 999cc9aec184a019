//! The control packet (RFC 5880 section 4.1).
//!
//! ```text
//!   0                   1                   2                   3
//!   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |Vers |  Diag   |Sta|P|F|C|A|D|M|  Detect Mult  |    Length     |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |                       My Discriminator                        |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |                      Your Discriminator                       |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |              Desired Min TX Interval, microseconds            |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |              Required Min RX Interval, microseconds           |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |            Required Min Echo RX Interval, microseconds        |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |  an authentication section follows where A is set              |
//! ```

use crate::state::{Diag, State};
use std::fmt;

/// Bytes of a packet without authentication.
pub const LENGTH: usize = 24;
/// Least bytes of one with it.
const WITH_AUTHENTICATION: u8 = 26;

/// A control packet without authentication.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Why the sender is in its state.
    pub diag: Diag,
    /// The sender's state.
    pub state: State,
    /// Poll: an answer with F is wanted.
    pub poll: bool,
    /// Final: this is that answer.
    pub last: bool,
    /// The sender's forwarding plane lives apart from its control plane. Never set by us, and of no effect.
    pub independent: bool,
    /// The sender is in demand mode.
    pub demand: bool,
    /// Detection multiplier; not 0.
    pub multiplier: u8,
    /// The sender's discriminator; not 0.
    pub mine: u32,
    /// The receiver's as the sender knows it, or 0.
    pub yours: u32,
    /// Desired Min TX Interval in microseconds.
    pub min_tx: u32,
    /// Required Min RX Interval in microseconds.
    pub min_rx: u32,
    /// Required Min Echo RX Interval in microseconds; 0: no echo.
    pub min_echo: u32,
}

/// Why bytes are thrown away (section 6.8.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Less than a packet, or less than its length field says.
    Short,
    /// Another version than 1.
    Version,
    /// A length field that no packet can have.
    Length,
    /// A multiplier of 0.
    Multiplier,
    /// The multipoint bit.
    Multipoint,
    /// The sender's discriminator is 0.
    Discriminator,
    /// Ours is 0 in a state in which the sender must know it.
    State,
    /// It is authenticated, and no authentication is configured.
    Authenticated,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Short => "it is too short",
            Fault::Version => "its version is not 1",
            Fault::Length => "its length is wrong",
            Fault::Multiplier => "its detection multiplier is 0",
            Fault::Multipoint => "it is multipoint",
            Fault::Discriminator => "its discriminator is 0",
            Fault::State => "it names no session, and is neither Down nor AdminDown",
            Fault::Authenticated => "it is authenticated, which is not configured",
        })
    }
}

fn word(bytes: &[u8; LENGTH], at: usize) -> u32 {
    let mut four = [0; 4];
    four.iter_mut().zip(bytes.iter().skip(at)).for_each(|(to, from)| *to = *from);
    u32::from_be_bytes(four)
}

impl Packet {
    /// Reads a UDP payload, in the order of the checks of section 6.8.6.
    pub fn parse(payload: &[u8]) -> Result<Packet, Fault> {
        let b: &[u8; LENGTH] = payload.first_chunk().ok_or(Fault::Short)?;
        let [first, flags, multiplier, length, ..] = *b;
        if first >> 5 != 1 {
            return Err(Fault::Version);
        }
        let authenticated = flags & 0x04 != 0;
        if usize::from(length) < LENGTH || (authenticated && length < WITH_AUTHENTICATION) {
            return Err(Fault::Length);
        }
        if usize::from(length) > payload.len() {
            return Err(Fault::Short);
        }
        if multiplier == 0 {
            return Err(Fault::Multiplier);
        }
        if flags & 0x01 != 0 {
            return Err(Fault::Multipoint);
        }
        let p = Packet {
            diag: Diag(first & 0x1f),
            state: State::of(flags >> 6),
            poll: flags & 0x20 != 0,
            last: flags & 0x10 != 0,
            independent: flags & 0x08 != 0,
            demand: flags & 0x02 != 0,
            multiplier,
            mine: word(b, 4),
            yours: word(b, 8),
            min_tx: word(b, 12),
            min_rx: word(b, 16),
            min_echo: word(b, 20),
        };
        if p.mine == 0 {
            return Err(Fault::Discriminator);
        }
        if p.yours == 0 && !matches!(p.state, State::Down | State::AdminDown) {
            return Err(Fault::State);
        }
        if authenticated {
            return Err(Fault::Authenticated);
        }
        Ok(p)
    }

    /// Writes it.
    pub fn emit(&self) -> [u8; LENGTH] {
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let flags = (self.state as u8) << 6
            | flag(self.poll, 0x20)
            | flag(self.last, 0x10)
            | flag(self.independent, 0x08)
            | flag(self.demand, 0x02);
        let mut b = [0; LENGTH];
        let head = [1 << 5 | self.diag.0 & 0x1f, flags, self.multiplier, LENGTH as u8];
        let words = [self.mine, self.yours, self.min_tx, self.min_rx, self.min_echo];
        let bytes = head.into_iter().chain(words.into_iter().flat_map(u32::to_be_bytes));
        b.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        b
    }
}

#[cfg(test)]
mod tests;
