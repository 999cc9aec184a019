#![no_main]
//! Any bytes as a datagram that answers a UDP or a ping check.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/datagram.rs"]
mod datagram;

fuzz_target!(|bytes: &[u8]| {
    datagram::drive(bytes);
});
