#![no_main]
//! Any bytes as an AgentX packet, and as what a master says in an open session.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/agentx.rs"]
mod agentx;

fuzz_target!(|bytes: &[u8]| {
    agentx::drive(bytes);
});
