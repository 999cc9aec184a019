//! The authentication trailer behind a message of version 2 or 3 (draft-cassen-vrrp-auth-hmac, keepalived's `auth_hmac`).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Type = 1    |    Key id     |           Reserved            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                     Seconds since 1970                        |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |   Fraction of a second / 65536 |           Counter            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |              HMAC-SHA-256, its first 16 bytes                 |
//! |                              ...                              |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The digest covers a pseudo-header (family 4 or 6, version, router id, zero, and the source address in 16 bytes, IPv4 in
//! the first four), the message with its checksum cleared, and this trailer with the digest cleared.

use super::HEADER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;
use steadfast_core::Secret;

/// Its bytes.
pub const LENGTH: usize = 28;
/// HMAC-SHA-256 of 128 bits.
pub const KIND: u8 = 1;
/// Where the digest begins.
const DIGEST: usize = 12;

/// The trailer as received, unchecked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trailer {
    /// Type.
    pub kind: u8,
    /// Which key.
    pub key_id: u8,
    /// Seconds, fraction and counter as one number: later adverts have greater ones.
    pub stamp: u64,
}

/// Splits a message from its trailer; `None` when there are not as many bytes.
pub fn split(bytes: &[u8]) -> Option<(&[u8], Trailer)> {
    let (message, tail) = bytes.split_at_checked(bytes.len().checked_sub(LENGTH)?)?;
    match *tail {
        [kind, key_id, _, _, a, b, c, d, e, f, g, h, ..] => {
            Some((message, Trailer { kind, key_id, stamp: u64::from_be_bytes([a, b, c, d, e, f, g, h]) }))
        }
        _ => None,
    }
}

/// The digest over everything; `head` is the trailer without digest.
fn digest(key: &Secret, source: IpAddr, message: &[u8], head: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.bytes()).ok()?;
    let (start, rest) = message.split_at_checked(HEADER)?;
    let [first, vrid, ..] = *start else { return None };
    let (family, address) = match source {
        IpAddr::V4(a) => (4, a.octets().to_vec()),
        IpAddr::V6(a) => (6, a.octets().to_vec()),
    };
    mac.update(&[family, first >> 4, vrid, 0]);
    mac.update(&address);
    mac.update([0; 16].get(address.len()..)?);
    mac.update(start.get(..6)?);
    mac.update(&[0; 2]);
    mac.update(rest);
    mac.update(head);
    mac.update(&[0; LENGTH - DIGEST]);
    Some(mac)
}

/// Whether a message with its trailer was made with this key by a sender of this address.
pub fn verify(key: &Secret, source: IpAddr, bytes: &[u8]) -> bool {
    let Some(at) = bytes.len().checked_sub(LENGTH) else { return false };
    let Some((message, tail)) = bytes.split_at_checked(at) else { return false };
    let Some((head, check)) = tail.split_at_checked(DIGEST) else { return false };
    digest(key, source, message, head).is_some_and(|mac| mac.verify_truncated_left(check).is_ok())
}

/// Puts a trailer behind a message.
pub fn seal(key: &Secret, key_id: u8, stamp: u64, source: IpAddr, message: &mut Vec<u8>) {
    let mut head = vec![KIND, key_id, 0, 0];
    head.extend(stamp.to_be_bytes());
    let Some(mac) = digest(key, source, message, &head) else { return };
    let all = mac.finalize().into_bytes();
    message.extend(head);
    message.extend(all.iter().take(LENGTH - DIGEST));
}
