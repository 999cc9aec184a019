//! VRRP messages, versions 2 (RFC 3768 section 5.1) and 3 (RFC 9568 section 5.1).
//!
//! ```text
//!  Version 2                                          Version 3
//!   0                   1                   2                   3
//!   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |Version| Type  |     VRID      |   Priority    |  Addr count   |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  | v2: Auth type |  v2: Adv int  |           Checksum            |
//!  | v3: rsv(4) Max advert int(12) |                               |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  |                     addresses, 4 or 16 bytes each             |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//!  | v2: authentication data, 8 bytes                              |
//!  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::Version;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::util::{checksum, ipv4_checksum, ipv6_checksum};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use steadfast_core::Family;

/// The view that pnet derives.
mod view {
    #![allow(missing_docs, dead_code, clippy::all)]
    use pnet_macros::packet;
    use pnet_macros_support::types::*;

    /// The fixed part of a message; `word` is (auth type, interval) in version 2 and (reserved, interval) in version 3.
    #[packet]
    pub struct Header {
        pub version: u4,
        pub kind: u4,
        pub vrid: u8,
        pub priority: u8,
        pub count: u8,
        pub word: u16be,
        pub checksum: u16be,
        #[payload]
        pub payload: Vec<u8>,
    }
}

use view::{HeaderPacket, MutableHeaderPacket};

/// Bytes before the addresses.
pub const HEADER: usize = 8;
/// Version 2 authentication data.
pub const AUTH: usize = 8;
/// The only message type.
pub const ADVERTISEMENT: u8 = 1;
/// Index of the checksum in 16-bit words.
const CHECKSUM_WORD: usize = 3;

/// A message as received: checked for length, nothing else is promised.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advert<'a> {
    /// Version field, 0..=15.
    pub version: u8,
    /// Type field, 0..=15.
    pub kind: u8,
    /// Virtual router id.
    pub vrid: u8,
    /// Priority; 0 releases mastership.
    pub priority: u8,
    /// Number of addresses that the message says it has.
    pub count: u8,
    /// Version 2 authentication type; 0 in version 3.
    pub auth_type: u8,
    /// Interval between adverts. The four reserved bits of version 3 are ignored (section 5.2.6).
    pub interval: Duration,
    /// The address bytes.
    pub addresses: &'a [u8],
    /// Version 2 authentication data; empty in version 3.
    pub auth: &'a [u8],
}

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// Shorter than the header, or than its address count says.
    Length {
        /// Bytes needed.
        needed: usize,
        /// Bytes there.
        got: usize,
    },
}

/// The router id of a message that is long enough to have one.
pub fn vrid(bytes: &[u8]) -> Option<u8> {
    bytes.get(1).copied()
}

/// Reads a message. Bytes behind the message (padding) are tolerated.
pub fn parse(family: Family, bytes: &[u8]) -> Result<Advert<'_>, WireError> {
    let short = |needed| WireError::Length { needed, got: bytes.len() };
    let header = HeaderPacket::new(bytes).ok_or(short(HEADER))?;
    let version = header.get_version();
    let count = header.get_count();
    let listed = usize::from(count) * address_size(family);
    let auth = if version == 2 { AUTH } else { 0 };
    let needed = HEADER + listed + auth;
    let addresses = bytes.get(HEADER..HEADER + listed).ok_or(short(needed))?;
    let auth = bytes.get(HEADER + listed..needed).ok_or(short(needed))?;
    let word = header.get_word();
    let (auth_type, interval) = if version == 2 {
        ((word >> 8) as u8, Duration::from_secs(u64::from(word & 0xff)))
    } else {
        (0, Duration::from_millis(u64::from(word & 0x0fff) * 10))
    };
    Ok(Advert {
        version,
        kind: header.get_kind(),
        vrid: header.get_vrid(),
        priority: header.get_priority(),
        count,
        auth_type,
        interval,
        addresses,
        auth,
    })
}

impl Advert<'_> {
    /// Length of the message in bytes, without padding.
    pub fn length(&self) -> usize {
        HEADER + self.addresses.len() + self.auth.len()
    }

    /// The addresses, in order.
    pub fn addresses(&self, family: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.chunks_exact(address_size(family)).filter_map(address)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(b) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::V4(Ipv4Addr::from(b)));
    }
    <[u8; 16]>::try_from(bytes).ok().map(|b| IpAddr::V6(Ipv6Addr::from(b)))
}

/// Bytes of an address.
pub const fn address_size(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

/// Which checksum a message carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checksum {
    /// Over the message alone: version 2, and version 3 over IPv4 by RFC 9568 section 5.2.8.
    Plain,
    /// With a pseudo-header: version 3 over IPv6, and over IPv4 by RFC 5798.
    Pseudo,
    /// Neither is right.
    Wrong,
}

/// Checks the checksum of the first `length` bytes. Over IPv4, version 3 messages may carry either form, whatever the sender's
/// age; both are told apart so that an operator can see which a peer uses.
pub fn verify(version: u8, bytes: &[u8], source: IpAddr, destination: IpAddr) -> Checksum {
    let Some(carried) = HeaderPacket::new(bytes).map(|h| h.get_checksum()) else { return Checksum::Wrong };
    let matches = |computed: u16| computed == carried;
    match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) if matches(checksum(bytes, CHECKSUM_WORD)) => Checksum::Plain,
        _ if version == 2 && matches(checksum(bytes, CHECKSUM_WORD)) => Checksum::Plain,
        _ if version != 2 && pseudo(bytes, source, destination).is_some_and(matches) => Checksum::Pseudo,
        _ => Checksum::Wrong,
    }
}

fn pseudo(bytes: &[u8], source: IpAddr, destination: IpAddr) -> Option<u16> {
    match (source, destination) {
        // pnet has address types of its own when built without std; octets fit both.
        (IpAddr::V4(s), IpAddr::V4(d)) => {
            let (s, d) = (s.octets().into(), d.octets().into());
            Some(ipv4_checksum(bytes, CHECKSUM_WORD, &[], &s, &d, IpNextHeaderProtocols::Vrrp))
        }
        (IpAddr::V6(s), IpAddr::V6(d)) => {
            let (s, d) = (s.octets().into(), d.octets().into());
            Some(ipv6_checksum(bytes, CHECKSUM_WORD, &[], &s, &d, IpNextHeaderProtocols::Vrrp))
        }
        _ => None,
    }
}

/// What an advert says.
#[derive(Clone, Copy, Debug)]
pub struct Repr<'a> {
    /// Version.
    pub version: Version,
    /// Virtual router id.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Interval; rounded down to seconds (version 2) or hundredths (version 3) and cut to what the field holds.
    pub interval: Duration,
    /// Addresses, at most 255, of one family.
    pub addresses: &'a [IpAddr],
    /// Password, version 2 only.
    pub password: Option<[u8; 8]>,
}

impl Repr<'_> {
    /// Writes the message; `plain_v4` leaves the pseudo-header out of a version 3 checksum over IPv4.
    pub fn emit(&self, source: IpAddr, destination: IpAddr, plain_v4: bool) -> Vec<u8> {
        let count = u8::try_from(self.addresses.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![0u8; HEADER];
        if let Some(mut h) = MutableHeaderPacket::new(&mut bytes) {
            h.set_version(match self.version {
                Version::V2 => 2,
                Version::V3 => 3,
            });
            h.set_kind(ADVERTISEMENT);
            h.set_vrid(self.vrid);
            h.set_priority(self.priority);
            h.set_count(count);
            h.set_word(match self.version {
                Version::V2 => {
                    let seconds = u16::try_from(self.interval.as_secs().clamp(1, 255)).unwrap_or(255);
                    (u16::from(self.password.is_some()) << 8) | seconds
                }
                Version::V3 => u16::try_from((self.interval.as_millis() / 10).clamp(1, 4095)).unwrap_or(4095),
            });
        }
        for a in self.addresses.iter().take(usize::from(count)) {
            match a {
                IpAddr::V4(a) => bytes.extend(a.octets()),
                IpAddr::V6(a) => bytes.extend(a.octets()),
            }
        }
        if self.version == Version::V2 {
            bytes.extend(self.password.unwrap_or_default());
        }
        let sum = match (self.version, source) {
            (Version::V2, _) => checksum(&bytes, CHECKSUM_WORD),
            (Version::V3, IpAddr::V4(_)) if plain_v4 => checksum(&bytes, CHECKSUM_WORD),
            (Version::V3, _) => pseudo(&bytes, source, destination).unwrap_or(0),
        };
        if let Some(mut h) = MutableHeaderPacket::new(&mut bytes) {
            h.set_checksum(sum);
        }
        bytes
    }
}

#[cfg(test)]
mod tests;
