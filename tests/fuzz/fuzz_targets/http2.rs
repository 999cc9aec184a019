#![no_main]
//! Any bytes as a server's side of HTTP/2: of a page, and of the health service of gRPC.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/http2.rs"]
mod http2;

fuzz_target!(|bytes: &[u8]| {
    http2::drive(bytes);
});
