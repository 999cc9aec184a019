//! States, diagnostics, and the transition table of RFC 5880 section 6.8.6.

use serde::{Deserialize, Serialize};
use std::fmt;

/// State of a session (section 4.1); the numbers are those of the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum State {
    AdminDown = 0,
    Down = 1,
    Init = 2,
    Up = 3,
}

impl State {
    /// From two bits.
    pub const fn of(bits: u8) -> State {
        match bits & 3 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::AdminDown => "AdminDown",
            State::Down => "Down",
            State::Init => "Init",
            State::Up => "Up",
        })
    }
}

/// Why the state was entered (section 4.1); any five bits that a peer may send.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Diag(pub u8);

impl Diag {
    /// No diagnostic.
    pub const NONE: Diag = Diag(0);
    /// The detection time ran out.
    pub const EXPIRED: Diag = Diag(1);
    /// The peer said that it is down.
    pub const NEIGHBOR: Diag = Diag(3);
    /// Taken down by the operator.
    pub const ADMIN: Diag = Diag(7);
}

impl fmt::Display for Diag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            0 => "No Diagnostic",
            1 => "Control Detection Time Expired",
            2 => "Echo Function Failed",
            3 => "Neighbor Signaled Session Down",
            4 => "Forwarding Plane Reset",
            5 => "Path Down",
            6 => "Concatenated Path Down",
            7 => "Administratively Down",
            8 => "Reverse Concatenated Path Down",
            n => return write!(f, "Diagnostic {n}"),
        })
    }
}

/// Where a packet's state leads; `None`: nowhere.
///
/// ```text
///   own \ heard   AdminDown   Down      Init     Up
///   AdminDown         -         -         -        -
///   Down              -       Init       Up        -
///   Init            Down        -        Up       Up
///   Up              Down      Down        -        -
/// ```
pub(crate) const fn next(own: State, heard: State) -> Option<State> {
    match (own, heard) {
        (State::Down, State::Down) => Some(State::Init),
        (State::Down, State::Init) | (State::Init, State::Init | State::Up) => Some(State::Up),
        (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => Some(State::Down),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::State::{AdminDown, Down, Init, Up};
    use super::*;

    #[test]
    fn the_transition_table() {
        let heard = [AdminDown, Down, Init, Up];
        for (own, leads) in [
            (AdminDown, [None, None, None, None]),
            (Down, [None, Some(Init), Some(Up), None]),
            (Init, [Some(Down), None, Some(Up), Some(Up)]),
            (Up, [Some(Down), Some(Down), None, None]),
        ] {
            for (h, to) in heard.into_iter().zip(leads) {
                assert_eq!(next(own, h), to, "{own} hears {h}");
            }
        }
    }

    #[test]
    fn numbers_of_the_wire() {
        for s in [AdminDown, Down, Init, Up] {
            assert_eq!(State::of(s as u8), s);
        }
        assert_eq!(Diag::EXPIRED.to_string(), "Control Detection Time Expired");
        assert_eq!(Diag(31).to_string(), "Diagnostic 31");
    }
}
