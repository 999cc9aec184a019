#![no_main]
//! Any bytes as a DNS answer, with the right id put in.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/dns.rs"]
mod dns;

fuzz_target!(|bytes: &[u8]| {
    dns::drive(bytes);
});
