#![no_main]
//! Any bytes as a BFD packet, and as a conversation with a session that is up.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/bfd.rs"]
mod bfd;

fuzz_target!(|bytes: &[u8]| {
    bfd::drive(bytes);
});
