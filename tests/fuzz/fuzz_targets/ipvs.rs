#![no_main]
//! Any bytes as an answer of the kernel's load balancer.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/ipvs.rs"]
mod ipvs;

fuzz_target!(|bytes: &[u8]| {
    ipvs::drive(bytes);
});
