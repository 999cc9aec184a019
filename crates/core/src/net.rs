//! Addresses.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Family of an address.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Bits in an address: 32 or 128.
    pub const fn bits(self) -> u8 {
        match self {
            Family::V4 => 32,
            Family::V6 => 128,
        }
    }
}

/// An address with a prefix length.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct IpCidr {
    /// The address; host bits are kept.
    pub address: IpAddr,
    /// Prefix length, 0..=32 or 0..=128.
    pub prefix: u8,
}

impl IpCidr {
    /// `address` with the full prefix length of its family.
    pub const fn host(address: IpAddr) -> Self {
        IpCidr { address, prefix: Family::of(address).bits() }
    }

    /// The same without host bits.
    pub fn network(self) -> Self {
        let address = match self.address {
            IpAddr::V4(a) => {
                IpAddr::V4((u32::from(a) & u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)).into())
            }
            IpAddr::V6(a) => {
                IpAddr::V6((u128::from(a) & u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0)).into())
            }
        };
        IpCidr { address, ..self }
    }
}

impl fmt::Display for IpCidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl FromStr for IpCidr {
    type Err = ();
    /// `ADDR` or `ADDR/LEN`.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text.split_once('/') {
            None => Ok(IpCidr::host(text.parse().map_err(|_| ())?)),
            Some((address, prefix)) => {
                let address: IpAddr = address.parse().map_err(|_| ())?;
                let prefix: u8 = prefix.parse().map_err(|_| ())?;
                if prefix <= Family::of(address).bits() { Ok(IpCidr { address, prefix }) } else { Err(()) }
            }
        }
    }
}

/// A 48-bit MAC address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The virtual router MAC of RFC 9568 section 7.3: 00-00-5E-00-01-VRID for IPv4, 00-00-5E-00-02-VRID for IPv6.
    pub const fn virtual_router(family: Family, vrid: u8) -> Self {
        let which = match family {
            Family::V4 => 1,
            Family::V6 => 2,
        };
        Mac([0, 0, 0x5e, 0, which, vrid])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}
