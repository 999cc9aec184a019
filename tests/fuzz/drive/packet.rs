//! Any bytes as a VRRP message.

use std::net::{IpAddr, Ipv4Addr};
use steadfast_core::Family;
use steadfast_vrrp::{Version, wire};

/// One input.
pub fn drive(bytes: &[u8]) {
    for family in [Family::V4, Family::V6] {
        let _ = wire::Advert::parse(bytes, family);
    }
    for version in [Version::V2, Version::V3] {
        let _ = wire::verify(bytes, version, IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V4(Ipv4Addr::BROADCAST));
    }
}
