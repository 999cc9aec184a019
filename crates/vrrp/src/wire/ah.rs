//! The authentication header in front of a version 2 message (RFC 2338 section 5.3.6.3, RFC 2402 section 2), with HMAC-MD5-96
//! (RFC 2403).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! | Next = 112    |  Length = 4   |           Reserved            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |        Security parameters index: the source address          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                       Sequence number                         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |              Integrity check value, 12 bytes                  |
//! |                                                               |
//! |                                                               |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```
//!
//! The check covers the IPv4 header with its mutable fields cleared, this header with the check cleared, and the message.
//! RFC 2402 section 3.3.3.1.1.1 counts the TTL among the mutable fields; keepalived leaves it in, so it is sent that way, and
//! both ways are accepted. What goes to a single router it makes as if the TTL were 0, and expects so.

use super::{PROTOCOL, fold, sum};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use std::net::Ipv4Addr;
use steadfast_core::Secret;

/// IP protocol number of the authentication header.
pub const AH: u8 = 51;
/// Its bytes.
pub const LENGTH: usize = 24;
/// Bytes of an IPv4 header without options.
pub const IP_HEADER: usize = 20;
/// Where the check begins.
const CHECK: usize = 12;
/// Type of service of adverts: internetwork control.
const TOS: u8 = 0xc0;

/// The header as received, unchecked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Security parameters index.
    pub spi: u32,
    /// Sequence number.
    pub sequence: u32,
}

/// Splits the payload of protocol 51 into header and message; `None` when it is none of ours.
pub fn split(payload: &[u8]) -> Option<(Header, &[u8])> {
    let (head, message) = payload.split_at_checked(LENGTH)?;
    match *head {
        // 4: six words less two
        [PROTOCOL, 4, _, _, a, b, c, d, e, f, g, h, ..] => Some((
            Header { spi: u32::from_be_bytes([a, b, c, d]), sequence: u32::from_be_bytes([e, f, g, h]) },
            message,
        )),
        _ => None,
    }
}

/// The check so far: IP header with this TTL, and authentication header. Message and comparison follow.
fn begin(key: &Secret, ip: &[u8; IP_HEADER], ttl: u8, head: &[u8]) -> Option<Hmac<Md5>> {
    let mut mac = <Hmac<Md5> as KeyInit>::new_from_slice(key.bytes()).ok()?;
    let [first, _, l0, l1, id0, id1, _, _, _, protocol, _, _, addresses @ ..] = ip;
    mac.update(&[*first, 0, *l0, *l1, *id0, *id1, 0, 0, ttl, *protocol, 0, 0]);
    mac.update(addresses);
    mac.update(head.get(..CHECK)?);
    mac.update(&[0; LENGTH - CHECK]);
    Some(mac)
}

/// Whether a received packet (its IP header, and its payload) was made with this key.
pub fn verify(key: &Secret, ip: &[u8], payload: &[u8]) -> bool {
    let (Ok(ip), Some((head, message))) = (<&[u8; IP_HEADER]>::try_from(ip), payload.split_at_checked(LENGTH)) else {
        return false;
    };
    let check = head.get(CHECK..).unwrap_or_default();
    let ttl = ip.get(8).copied().unwrap_or(0);
    // as it came; as it was sent, where routers have counted it down; cleared
    let mut ways = vec![ttl, 255, 0];
    ways.dedup();
    ways.into_iter().any(|ttl| {
        begin(key, ip, ttl, head).is_some_and(|mut mac| {
            mac.update(message);
            mac.verify_truncated_left(check).is_ok()
        })
    })
}

/// A whole IPv4 packet that carries `message`.
pub fn seal(key: &Secret, source: Ipv4Addr, destination: Ipv4Addr, ttl: u8, sequence: u32, message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(IP_HEADER + LENGTH + message.len()).unwrap_or(u16::MAX).to_be_bytes();
    // the check covers the identification, which the kernel would choose if it were zero
    let id = (sequence as u16).max(1).to_be_bytes();
    let mut ip = [0; IP_HEADER];
    let fixed = [0x45, TOS, length[0], length[1], id[0], id[1], 0, 0, ttl, AH, 0, 0];
    let bytes = fixed.into_iter().chain(source.octets()).chain(destination.octets());
    ip.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    let ip_sum = fold(sum(&ip, 0)).to_be_bytes();
    let mut head = Vec::with_capacity(LENGTH);
    head.extend([PROTOCOL, 4, 0, 0]);
    head.extend(source.octets());
    head.extend(sequence.to_be_bytes());
    let covered = if destination.is_multicast() { ttl } else { 0 };
    if let Some(mut mac) = begin(key, &ip, covered, &head) {
        mac.update(message);
        let digest = mac.finalize().into_bytes();
        head.extend(digest.iter().take(LENGTH - CHECK));
    }
    let [.., a, b, _, _, _, _, _, _, _, _] = &mut ip;
    (*a, *b) = (ip_sum[0], ip_sum[1]);
    [ip.as_slice(), &head, message].concat()
}
