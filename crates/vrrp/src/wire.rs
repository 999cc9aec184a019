//! VRRP messages: the payload of IP protocol 112.
//!
//! [`Header`] is the cheap look that decides whether a packet concerns us, [`Advert`] the owned form for emitting and for tests.
//! Which of the checks failed is for the receiver to count, so parsing here is split into small steps that never panic.

pub mod ah;
pub mod trailer;
mod view;

use crate::{Auth, Version, timing};
use pnet_macros_support::packet::Packet as _;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use steadfast_core::Family;
use view::{MutableV2Packet, MutableV3Packet, V2Packet, V3Packet};

/// IP protocol number of VRRP.
pub const PROTOCOL: u8 = 112;
/// Bytes before the address list.
pub const HEADER: usize = 8;
/// Bytes of authentication data after the address list of version 2.
pub const AUTH: usize = 8;
/// The only message type.
pub const ADVERTISEMENT: u8 = 1;

/// Bytes of one address.
pub const fn address_len(family: Family) -> usize {
    match family {
        Family::V4 => 4,
        Family::V6 => 16,
    }
}

/// How many addresses fit into one advert on a link: never more than 255, less the IP header and `extra` bytes of
/// authentication around the message.
pub fn max_addresses(version: Version, family: Family, mtu: u32, extra: usize) -> usize {
    let ip = match family {
        Family::V4 => 20,
        Family::V6 => 40,
    };
    let rest = (mtu as usize).saturating_sub(ip + extra + HEADER + if version == Version::V2 { AUTH } else { 0 });
    (rest / address_len(family)).min(255)
}

/// The fixed part of a message, both versions. Fields that the version does not have are zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Version nibble, unchecked.
    pub version: u8,
    /// Type nibble, unchecked.
    pub kind: u8,
    /// Virtual router id.
    pub vrid: u8,
    /// Priority.
    pub priority: u8,
    /// Number of addresses.
    pub count: u8,
    /// Version 2: authentication type.
    pub auth_type: u8,
    /// Advert interval: seconds in version 2, centiseconds in version 3.
    pub interval: u16,
}

impl Header {
    /// Reads the first 8 bytes; `None` if there are fewer. Any version but 2 is read in the form of version 3.
    pub fn read(message: &[u8]) -> Option<Header> {
        let v3 = V3Packet::new(message)?;
        let mut header = Header {
            version: v3.get_version(),
            kind: v3.get_kind(),
            vrid: v3.get_vrid(),
            priority: v3.get_priority(),
            count: v3.get_count(),
            auth_type: 0,
            interval: v3.get_interval(),
        };
        if header.version == 2 {
            let v2 = V2Packet::new(message)?;
            header.auth_type = v2.get_auth_type();
            header.interval = u16::from(v2.get_interval());
        }
        Some(header)
    }

    /// Bytes that a message with this header has in a family.
    pub fn message_len(&self, family: Family) -> usize {
        // RFC 3768 knows IPv4 alone; over IPv6 keepalived sends no authentication data.
        let tail = if self.version == 2 && family == Family::V4 { AUTH } else { 0 };
        HEADER + usize::from(self.count) * address_len(family) + tail
    }

    /// The interval as time.
    pub fn interval(&self) -> Duration {
        if self.version == 2 {
            Duration::from_secs(u64::from(self.interval))
        } else {
            Duration::from_millis(u64::from(self.interval) * 10)
        }
    }
}

/// The bytes of the address list; empty if the message is too short for its count.
pub fn address_bytes(message: &[u8], count: u8, family: Family) -> &[u8] {
    message.get(HEADER..HEADER + usize::from(count) * address_len(family)).unwrap_or(&[])
}

/// The 8 bytes of authentication data of a version 2 message; over IPv6 there are none, which counts as zeroes.
pub fn auth_data(message: &[u8], count: u8, family: Family) -> Option<[u8; AUTH]> {
    if family == Family::V6 {
        return Some([0; AUTH]);
    }
    let at = HEADER + usize::from(count) * address_len(family);
    message.get(at..at + AUTH)?.try_into().ok()
}

/// Addresses of a list as carried in an advert.
pub fn addresses(bytes: &[u8], family: Family) -> impl Iterator<Item = IpAddr> + '_ {
    bytes.chunks_exact(address_len(family)).filter_map(move |c| match family {
        Family::V4 => <[u8; 4]>::try_from(c).ok().map(|b| IpAddr::V4(Ipv4Addr::from(b))),
        Family::V6 => <[u8; 16]>::try_from(c).ok().map(|b| IpAddr::V6(Ipv6Addr::from(b))),
    })
}

/// Which checksum a message carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChecksumForm {
    /// Over the message alone: version 2, and version 3 over IPv4 by RFC 9568 section 5.2.8.
    Plain,
    /// Over pseudo-header and message: IPv6, and version 3 over IPv4 as RFC 5798 was read and keepalived and FRR send it.
    Pseudo,
}

/// Sum of 16-bit words, not yet folded.
fn sum(bytes: &[u8], mut acc: u64) -> u64 {
    let mut words = bytes.chunks_exact(2);
    for w in &mut words {
        if let [a, b] = w {
            acc += u64::from(u16::from_be_bytes([*a, *b]));
        }
    }
    if let [last] = words.remainder() {
        acc += u64::from(*last) << 8;
    }
    acc
}

fn fold(mut acc: u64) -> u16 {
    while acc > 0xffff {
        acc = (acc & 0xffff) + (acc >> 16);
    }
    // at most 0xffff after folding
    !(acc as u16)
}

/// Sum of the pseudo-header (RFC 8200 section 8.1, and its IPv4 counterpart).
fn pseudo(source: IpAddr, destination: IpAddr, len: usize) -> u64 {
    let mut acc = u64::from(PROTOCOL) + (len as u64 & 0xffff) + (len as u64 >> 16);
    for a in [source, destination] {
        acc = match a {
            IpAddr::V4(a) => sum(&a.octets(), acc),
            IpAddr::V6(a) => sum(&a.octets(), acc),
        };
    }
    acc
}

/// The checksum of a message whose checksum field is zero, in one form.
pub fn checksum(message: &[u8], form: ChecksumForm, source: IpAddr, destination: IpAddr) -> u16 {
    let start = match form {
        ChecksumForm::Plain => 0,
        ChecksumForm::Pseudo => pseudo(source, destination, message.len()),
    };
    fold(sum(message, start))
}

/// Checks a received message. `None`: wrong in every form that its version and family allow.
pub fn verify(message: &[u8], version: Version, source: IpAddr, destination: IpAddr) -> Option<ChecksumForm> {
    let plain = sum(message, 0);
    // a message with its checksum in it sums up to 0xffff, whose complement is zero
    let family = Family::of(source);
    if fold(plain) == 0 && family == Family::V4 {
        return Some(ChecksumForm::Plain);
    }
    let pseudo_allowed = version == Version::V3 || family == Family::V6;
    if pseudo_allowed && fold(pseudo(source, destination, 0) + plain + message.len() as u64) == 0 {
        return Some(ChecksumForm::Pseudo);
    }
    None
}

/// Why a message cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireError {
    /// Fewer bytes than the header, or not as many as its count says.
    Length {
        /// Bytes that there are.
        have: usize,
        /// Bytes that there should be.
        want: usize,
    },
    /// Neither version 2 nor 3.
    Version(u8),
    /// Not an advertisement.
    Kind(u8),
    /// Authentication types but none and simple password.
    AuthType(u8),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Length { have, want } => write!(f, "{have} bytes where {want} are needed"),
            WireError::Version(v) => write!(f, "version {v}"),
            WireError::Kind(k) => write!(f, "type {k}"),
            WireError::AuthType(t) => write!(f, "authentication type {t}"),
        }
    }
}

impl std::error::Error for WireError {}

/// An advert, owned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Advert {
    /// Version.
    pub version: Version,
    /// Virtual router id.
    pub vrid: u8,
    /// Priority; 0 gives mastership up.
    pub priority: u8,
    /// Interval; whole seconds in version 2, centiseconds in version 3.
    pub interval: Duration,
    /// Addresses, all of one family, at most 255.
    pub addresses: Vec<IpAddr>,
    /// Authentication; version 2 only.
    pub auth: Auth,
}

impl Advert {
    /// Reads a message. The checksum is not looked at: see [`verify`].
    pub fn parse(message: &[u8], family: Family) -> Result<Advert, WireError> {
        let header = Header::read(message).ok_or(WireError::Length { have: message.len(), want: HEADER })?;
        let version = match header.version {
            2 => Version::V2,
            3 => Version::V3,
            v => return Err(WireError::Version(v)),
        };
        if header.kind != ADVERTISEMENT {
            return Err(WireError::Kind(header.kind));
        }
        let want = header.message_len(family);
        if message.len() != want {
            return Err(WireError::Length { have: message.len(), want });
        }
        let auth = match (version, header.auth_type) {
            (Version::V3, _) | (Version::V2, 0) => Auth::None,
            (Version::V2, 1) => Auth::Pass(
                auth_data(message, header.count, family).ok_or(WireError::Length { have: message.len(), want })?,
            ),
            (Version::V2, t) => return Err(WireError::AuthType(t)),
        };
        Ok(Advert {
            version,
            vrid: header.vrid,
            priority: header.priority,
            interval: header.interval(),
            addresses: addresses(address_bytes(message, header.count, family), family).collect(),
            auth,
        })
    }

    /// The message with its checksum. Addresses beyond the 255th are left out.
    pub fn emit(&self, form: ChecksumForm, source: IpAddr, destination: IpAddr) -> Vec<u8> {
        let mut list = Vec::new();
        let mut count = 0u8;
        for a in self.addresses.iter().take(255) {
            match a {
                IpAddr::V4(a) => list.extend_from_slice(&a.octets()),
                IpAddr::V6(a) => list.extend_from_slice(&a.octets()),
            }
            count += 1;
        }
        emit_raw(
            Head { version: self.version, vrid: self.vrid, priority: self.priority, interval: self.interval, count },
            &list,
            &self.auth,
            form,
            source,
            destination,
        )
    }
}

/// What [`emit_raw`] puts into the header.
pub(crate) struct Head {
    pub version: Version,
    pub vrid: u8,
    pub priority: u8,
    pub interval: Duration,
    pub count: u8,
}

/// Builds a message from an address list in wire form.
pub(crate) fn emit_raw(
    head: Head,
    list: &[u8],
    auth: &Auth,
    form: ChecksumForm,
    source: IpAddr,
    destination: IpAddr,
) -> Vec<u8> {
    let tail = if head.version == Version::V2 && source.is_ipv4() { AUTH } else { 0 };
    let mut message = vec![0; HEADER + list.len() + tail];
    match head.version {
        Version::V2 => {
            if let Some(mut p) = MutableV2Packet::new(&mut message) {
                p.set_version(2);
                p.set_kind(ADVERTISEMENT);
                p.set_vrid(head.vrid);
                p.set_priority(head.priority);
                p.set_count(head.count);
                p.set_auth_type(auth.number());
                p.set_interval(timing::seconds(head.interval));
                let body = pnet_macros_support::packet::MutablePacket::payload_mut(&mut p);
                let (addresses, secret) = body.split_at_mut(list.len());
                addresses.copy_from_slice(list);
                if let Auth::Pass(password) = auth
                    && secret.len() == password.len()
                {
                    secret.copy_from_slice(password);
                }
            }
        }
        Version::V3 => {
            if let Some(mut p) = MutableV3Packet::new(&mut message) {
                p.set_version(3);
                p.set_kind(ADVERTISEMENT);
                p.set_vrid(head.vrid);
                p.set_priority(head.priority);
                p.set_count(head.count);
                p.set_interval(timing::centiseconds(head.interval));
                pnet_macros_support::packet::MutablePacket::payload_mut(&mut p).copy_from_slice(list);
            }
        }
    }
    fill_checksum(&mut message, form, source, destination);
    message
}

/// Puts the checksum into a message.
pub(crate) fn fill_checksum(message: &mut [u8], form: ChecksumForm, source: IpAddr, destination: IpAddr) {
    // both headers have it in the same place
    for clear in [true, false] {
        let sum = if clear { 0 } else { checksum(message, form, source, destination) };
        if let Some(mut p) = MutableV3Packet::new(message) {
            p.set_checksum(sum);
        }
    }
}

/// The checksum field as it stands in a message.
pub fn stored_checksum(message: &[u8]) -> Option<u16> {
    V3Packet::new(message).filter(|p| p.packet().len() >= HEADER).map(|p| p.get_checksum())
}

#[cfg(test)]
mod tests;
