#![no_main]
//! Any bytes as a frame, as a packet of frames, or as a configuration that travelled.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/ipc.rs"]
mod ipc;

fuzz_target!(|bytes: &[u8]| {
    ipc::drive(bytes);
});
