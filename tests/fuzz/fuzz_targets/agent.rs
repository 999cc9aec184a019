#![no_main]
//! Any bytes as an agent's line.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/agent.rs"]
mod agent;

fuzz_target!(|bytes: &[u8]| {
    agent::drive(bytes);
});
