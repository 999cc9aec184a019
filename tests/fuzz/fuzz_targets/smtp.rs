#![no_main]
//! Any bytes as a mail server's side of the dialogue.
use libfuzzer_sys::fuzz_target;
use steadfast_checkers::dialogue::{Exchange, Smtp};

fuzz_target!(|bytes: &[u8]| {
    // one portion for each of our turns is what a server sends; byte by byte must not panic either
    for portion in [usize::MAX, 40, 1] {
        assert!(Exchange::Smtp(Smtp::new("me")).play(bytes, portion).is_some());
    }
});
