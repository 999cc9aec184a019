#![no_main]
//! Any bytes as a netlink datagram: of links and routes, of nf_tables, of process events.
use libfuzzer_sys::fuzz_target;

#[path = "../drive/netlink.rs"]
mod netlink;

fuzz_target!(|bytes: &[u8]| {
    netlink::drive(bytes);
});
