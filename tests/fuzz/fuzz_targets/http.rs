#![no_main]
//! Any bytes as an HTTP answer: the verdict does not depend on how they are cut.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/http.rs"]
mod http;

fuzz_target!(|bytes: &[u8]| {
    http::drive(bytes);
});
