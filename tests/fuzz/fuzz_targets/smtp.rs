#![no_main]
//! Any bytes as a mail server's side of the dialogue.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/smtp.rs"]
mod smtp;

fuzz_target!(|bytes: &[u8]| {
    smtp::drive(bytes);
});
