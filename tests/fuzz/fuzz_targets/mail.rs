#![no_main]
//! Any bytes as what a server says to a mail that is handed to it.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/mail.rs"]
mod mail;

fuzz_target!(|bytes: &[u8]| {
    mail::drive(bytes);
});
