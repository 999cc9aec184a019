#![no_main]
//! Any bytes as records of TLS 1.2 with AES in CBC mode, as they come and as what is found behind the cipher.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/records.rs"]
mod records;

fuzz_target!(|bytes: &[u8]| {
    records::drive(bytes);
});
