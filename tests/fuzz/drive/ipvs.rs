//! Any bytes as an answer of the kernel's load balancer.

use steadfast_core::Family;
use steadfast_ipvs::Reply;
use steadfast_ipvs::wire::{Part, decode};

/// One input.
pub fn drive(bytes: &[u8]) {
    for (_, part) in decode(bytes, 0x1d).unwrap_or_default() {
        if let Part::Message(message) = part {
            for family in [Family::V4, Family::V6] {
                let _ = Reply::read(&message, family);
            }
        }
    }
}
