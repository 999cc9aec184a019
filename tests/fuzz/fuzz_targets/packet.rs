#![no_main]
//! Any bytes as a VRRP message.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/packet.rs"]
mod packet;

fuzz_target!(|bytes: &[u8]| {
    packet::drive(bytes);
});
