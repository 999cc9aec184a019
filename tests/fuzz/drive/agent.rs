//! Any bytes as an agent's line.

use steadfast_checkers::dialogue::{Agent, Exchange};

/// One input.
pub fn drive(bytes: &[u8]) {
    let play = |portion| Exchange::Agent(Agent::new(b"")).play(bytes, portion);
    assert_eq!(play(usize::MAX), play(1));
}
