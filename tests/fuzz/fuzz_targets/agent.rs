#![no_main]
//! Any bytes as an agent's line.
use libfuzzer_sys::fuzz_target;
use steadfast_checkers::dialogue::{Agent, Exchange};

fuzz_target!(|bytes: &[u8]| {
    let play = |portion| Exchange::Agent(Agent::new(b"")).play(bytes, portion);
    assert_eq!(play(usize::MAX), play(1));
});
