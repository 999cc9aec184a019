#![no_main]
//! Any bytes as a netlink datagram.
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = steadfast_net::netlink::parse(bytes);
});
