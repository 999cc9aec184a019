#![no_main]
//! Any bytes as a VRRP message.
use libfuzzer_sys::fuzz_target;
use std::net::{IpAddr, Ipv4Addr};
use steadfast_core::Family;
use steadfast_vrrp::wire;

fuzz_target!(|bytes: &[u8]| {
    for family in [Family::V4, Family::V6] {
        if let Ok(advert) = wire::parse(family, bytes) {
            assert!(advert.length() <= bytes.len());
            let _ = advert.addresses(family).count();
        }
    }
    let _ = wire::verify(3, bytes, IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
});
