//! Words of the kernel's load balancer (IPVS): services, destinations and how packets reach them. They are values; the checkers
//! say what shall be, `steadfast-ipvs` turns that into netlink messages.

use crate::Family;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// Transport protocol of a service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// IP protocol number.
    pub const fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
            Protocol::Sctp => 132,
        }
    }

    /// The protocol of this number, if IPVS balances it.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            6 => Some(Protocol::Tcp),
            17 => Some(Protocol::Udp),
            132 => Some(Protocol::Sctp),
            _ => None,
        }
    }

    /// The word in names: `tcp`.
    pub const fn word(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
            Protocol::Sctp => "sctp",
        }
    }
}

/// What selects the packets of one service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ServiceKey {
    /// Destination address, port (0: any, persistent services only) and protocol.
    Address {
        /// Virtual address.
        address: IpAddr,
        /// Virtual port.
        port: u16,
        /// Protocol.
        protocol: Protocol,
    },
    /// Firewall mark, not 0, and family.
    Mark {
        /// The mark.
        mark: u32,
        /// Family of the marked packets.
        family: Family,
    },
}

impl ServiceKey {
    /// Family of the service's packets.
    pub const fn family(&self) -> Family {
        match self {
            ServiceKey::Address { address, .. } => Family::of(*address),
            ServiceKey::Mark { family, .. } => *family,
        }
    }
}

impl ServiceKey {
    /// It can have a server there: only a tunnel leads to a host of another family.
    pub const fn takes(&self, server: DestinationKey, forward: Forward) -> bool {
        matches!(
            (Family::of(server.address), self.family(), forward),
            (Family::V4, Family::V4, _) | (Family::V6, Family::V6, _) | (.., Forward::Tunnel(_))
        )
    }

    /// Where a server is in its table: who gets packets as they are gets them at the port of the service, and a mark has none. So
    /// keepalived's tables have it.
    pub const fn place(&self, server: DestinationKey, forward: Forward) -> DestinationKey {
        let port = match (self, forward) {
            (ServiceKey::Address { port, .. }, Forward::Direct | Forward::Tunnel(_)) => *port,
            (ServiceKey::Mark { .. }, Forward::Direct | Forward::Tunnel(_)) => 0,
            _ => server.port,
        };
        DestinationKey { address: server.address, port }
    }

    /// A name that no other key has, unlike the one in logs: a mark of either family is `FWM 7` there.
    pub fn exact(&self) -> String {
        match self {
            ServiceKey::Address { .. } => self.to_string(),
            ServiceKey::Mark { family, .. } => format!("{self} {family:?}"),
        }
    }
}

impl fmt::Display for ServiceKey {
    /// As keepalived names services: `[192.0.2.1]:tcp:80`, `FWM 7`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceKey::Address { address, port, protocol } => write!(f, "[{address}]:{}:{port}", protocol.word()),
            ServiceKey::Mark { mark, .. } => write!(f, "FWM {mark}"),
        }
    }
}

/// Stickiness of clients.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Persistence {
    /// Seconds, at least 1.
    pub timeout: u32,
    /// What clients that stick together share; `None`: the whole address.
    pub granularity: Option<Granularity>,
}

/// Which part of a client's address counts. A service of the other family takes the whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Granularity {
    /// These bits of an IPv4 address, which need not be the leading ones.
    Mask(u32),
    /// So many leading bits of an IPv6 address.
    Prefix(u8),
}

impl Granularity {
    /// It means something to services of a family, and less than a whole address.
    pub const fn counts(self, family: Family) -> bool {
        match self {
            Granularity::Mask(mask) => matches!(family, Family::V4) && mask != u32::MAX,
            Granularity::Prefix(bits) => matches!(family, Family::V6) && bits < family.bits(),
        }
    }
}

/// Settings of a service.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Scheduler name, at most 15 bytes: `wlc`.
    pub scheduler: String,
    /// Scheduler flags 1 to 3 as bits 0 to 2 (for sh and mh: bit 0 fallback, bit 1 port).
    pub scheduler_flags: u8,
    /// Each datagram is scheduled anew.
    pub one_packet: bool,
    /// Persistence.
    pub persistence: Option<Persistence>,
    /// Persistence engine, at most 15 bytes: `sip`.
    pub engine: Option<String>,
}

impl Default for Service {
    fn default() -> Self {
        Service { scheduler: "wlc".into(), scheduler_flags: 0, one_packet: false, persistence: None, engine: None }
    }
}

/// Checksum of a GUE or GRE tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Checksum {
    /// None.
    #[default]
    None,
    /// A checksum.
    Full,
    /// Remote checksum offload (GUE only).
    Remote,
}

/// Encapsulation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Tunnel {
    /// IP in IP.
    Ipip,
    /// Generic UDP encapsulation (kernel 5.2) to this port.
    Gue {
        /// UDP port, not 0.
        port: u16,
        /// Checksum.
        checksum: Checksum,
    },
    /// GRE (kernel 5.3).
    Gre {
        /// Checksum; `Remote` counts as none.
        checksum: Checksum,
    },
}

/// How packets reach a destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Forward {
    /// Address translation (keepalived: NAT, ipvsadm: masquerading).
    #[default]
    Nat,
    /// Direct routing.
    Direct,
    /// Tunnelling.
    Tunnel(Tunnel),
    /// Delivered on this host; the kernel reports it, nobody configures it.
    Local,
    /// Passed on as it is; the kernel reports it, nobody configures it.
    Bypass,
}

/// Which real server, within its service.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct DestinationKey {
    /// Address; may be of another family than the service when tunnelled.
    pub address: IpAddr,
    /// Port; 0 is the service's.
    pub port: u16,
}

/// Settings of a destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Destination {
    /// Forwarding.
    pub forward: Forward,
    /// Weight, 0..=2147483647; 0 takes no new connections.
    pub weight: u32,
    /// No new connections at this many; 0: no limit.
    pub upper: u32,
    /// New connections again below this many; 0: three quarters of `upper`.
    pub lower: u32,
}
