#![no_main]
//! Any bytes as an authenticated packet.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/auth.rs"]
mod auth;

fuzz_target!(|bytes: &[u8]| {
    auth::drive(bytes);
});
