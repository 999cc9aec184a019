#![no_main]
//! Any bytes as a configuration.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/config.rs"]
mod config;

fuzz_target!(|bytes: &[u8]| {
    config::drive(bytes);
});
