//! Any bytes as a datagram that answers a UDP or a ping check.

use steadfast_checkers::Reply;
use steadfast_checkers::dialogue::{Ping, Udp};
use steadfast_core::Family;

/// One input.
pub fn drive(bytes: &[u8]) {
    let wanted = Reply { pattern: vec![(0xab, 0xff), (0xc0, 0xf0), (1, 0xff)], min: 2, max: 4 };
    for reply in [Some(&wanted), None] {
        let _ = Udp::new(b"question", 7, reply).reply(bytes);
    }
    for family in [Family::V4, Family::V6] {
        let _ = Ping::new(family, 7).reply(bytes);
    }
}
