//! Objects that steadfast puts into the kernel: addresses, routes and policy rules. They are values; `steadfast-net` turns
//! them into netlink messages. Interfaces are named, because an interface may be absent now and come back with another index.

use crate::{Family, IpCidr, Mac};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// An address to be put on an interface.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Address {
    /// The address and its prefix length.
    pub cidr: IpCidr,
    /// Interface name.
    pub interface: String,
    /// rtnetlink scope (0 global, 200 site, 253 link, 254 host, 255 nowhere). IPv4 only.
    pub scope: u8,
    /// IPv4 label (alias name), at most 15 bytes.
    pub label: Option<String>,
    /// IPv4 broadcast address.
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// Point-to-point peer.
    pub peer: Option<IpCidr>,
    /// Preferred lifetime in seconds; `None` is for ever.
    pub preferred_lifetime: Option<u32>,
    /// IPv6: skip duplicate address detection.
    pub nodad: bool,
    /// IPv6: home address.
    pub home: bool,
    /// IPv6: template for temporary addresses.
    pub mngtmpaddr: bool,
    /// Do not add the prefix route.
    pub noprefixroute: bool,
    /// Join the multicast group at address level.
    pub autojoin: bool,
    /// The state of this address's link does not concern the instance.
    pub no_track: bool,
}

impl Address {
    /// A plain address on an interface, everything else at its default.
    pub fn new(cidr: IpCidr, interface: impl Into<String>) -> Self {
        Address {
            cidr,
            interface: interface.into(),
            scope: 0,
            label: None,
            broadcast: None,
            peer: None,
            preferred_lifetime: None,
            nodad: false,
            home: false,
            mngtmpaddr: false,
            noprefixroute: false,
            autojoin: false,
            no_track: false,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.cidr, self.interface)
    }
}

/// Route types of rtnetlink (RTN_*).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum RouteKind {
    /// RTN_UNICAST
    #[default]
    Unicast,
    /// RTN_LOCAL
    Local,
    /// RTN_BROADCAST
    Broadcast,
    /// RTN_ANYCAST
    Anycast,
    /// RTN_MULTICAST
    Multicast,
    /// RTN_BLACKHOLE
    Blackhole,
    /// RTN_UNREACHABLE
    Unreachable,
    /// RTN_PROHIBIT
    Prohibit,
    /// RTN_THROW
    Throw,
}

/// One hop of a multipath route.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct NextHop {
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Output interface.
    pub interface: Option<String>,
    /// Weight 1..=256.
    pub weight: u16,
    /// Treat the gateway as on-link.
    pub onlink: bool,
}

/// A route. Metrics of `None` are left to the kernel.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Family.
    pub family: Family,
    /// Destination; `None` is the default route.
    pub destination: Option<IpCidr>,
    /// Type.
    pub kind: RouteKind,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// IPv6 source prefix.
    pub from: Option<IpCidr>,
    /// Gateway, of either family.
    pub via: Option<IpAddr>,
    /// Output interface.
    pub interface: Option<String>,
    /// Table; 254 is main.
    pub table: u32,
    /// RTPROT_*; 18 is keepalived's.
    pub protocol: u8,
    /// Scope; `None` is chosen by type and gateway.
    pub scope: Option<u8>,
    /// Metric.
    pub metric: Option<u32>,
    /// Type of service.
    pub tos: u8,
    /// Gateway is on-link.
    pub onlink: bool,
    /// MTU metric in bytes.
    pub mtu: Option<u32>,
    /// Advertised MSS in bytes.
    pub advmss: Option<u32>,
    /// Hop limit metric.
    pub hoplimit: Option<u32>,
    /// Initial congestion window in packets.
    pub initcwnd: Option<u32>,
    /// Initial receive window in packets.
    pub initrwnd: Option<u32>,
    /// Hops of a multipath route; empty for a plain one.
    pub nexthops: Vec<NextHop>,
    /// Its loss does not concern the instance.
    pub no_track: bool,
}

impl Route {
    /// An empty unicast route of a family in the main table.
    pub fn new(family: Family) -> Self {
        Route {
            family,
            destination: None,
            kind: RouteKind::Unicast,
            source: None,
            from: None,
            via: None,
            interface: None,
            table: 254,
            protocol: 18,
            scope: None,
            metric: None,
            tos: 0,
            onlink: false,
            mtu: None,
            advmss: None,
            hoplimit: None,
            initcwnd: None,
            initrwnd: None,
            nexthops: Vec::new(),
            no_track: false,
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            Some(d) => write!(f, "{d}")?,
            None => f.write_str("default")?,
        }
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(dev) = &self.interface {
            write!(f, " dev {dev}")?;
        }
        if self.table != 254 {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}

/// What a policy rule does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RuleAction {
    /// Look up in a table.
    Table(u32),
    /// Jump to the rule with this preference.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drop silently.
    Blackhole,
    /// Answer "unreachable".
    Unreachable,
    /// Answer "prohibited".
    Prohibit,
}

/// A policy rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Family.
    pub family: Family,
    /// Invert the match.
    pub invert: bool,
    /// Source prefix.
    pub from: Option<IpCidr>,
    /// Destination prefix.
    pub to: Option<IpCidr>,
    /// Preference.
    pub preference: Option<u32>,
    /// Action.
    pub action: RuleAction,
    /// Input interface.
    pub iif: Option<String>,
    /// Output interface.
    pub oif: Option<String>,
    /// Mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// Type of service.
    pub tos: u8,
    /// Reject routes with a prefix this short or shorter.
    pub suppress_prefixlength: Option<u32>,
    /// RTPROT_*.
    pub protocol: u8,
    /// Its loss does not concern the instance.
    pub no_track: bool,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(p) = self.preference {
            write!(f, "{p}: ")?;
        }
        match self.from {
            Some(p) => write!(f, "from {p}")?,
            None => f.write_str("from all")?,
        }
        if let Some(p) = self.to {
            write!(f, " to {p}")?;
        }
        match self.action {
            RuleAction::Table(t) => write!(f, " lookup {t}"),
            RuleAction::Goto(g) => write!(f, " goto {g}"),
            RuleAction::Nop => f.write_str(" nop"),
            RuleAction::Blackhole => f.write_str(" blackhole"),
            RuleAction::Unreachable => f.write_str(" unreachable"),
            RuleAction::Prohibit => f.write_str(" prohibit"),
        }
    }
}

/// A macvlan in private mode that carries a virtual router MAC (RFC 9568 section 7.3).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VirtualLink {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The link that it sits on.
    pub base: String,
    /// Its hardware address.
    pub mac: Mac,
    /// Family of its addresses; IPv6 is off on a link for IPv4.
    pub family: Family,
    /// Link group number.
    pub group: Option<u32>,
}

impl fmt::Display for VirtualLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {} with {}", self.name, self.base, self.mac)
    }
}

/// Traffic to or from an address is dropped, but for neighbour discovery: accept mode is off.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Block {
    /// The address.
    pub address: IpAddr,
    /// Its link, for a link-local address, which is nobody's without it.
    pub interface: Option<String>,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "packets of {}", self.address)
    }
}

/// Any object.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Object {
    /// A virtual link.
    Link(VirtualLink),
    /// A block of traffic.
    Block(Block),
    /// An address.
    Address(Address),
    /// A route. Boxed, as rules are: addresses are many and must not take the room of these.
    Route(Box<Route>),
    /// A policy rule.
    Rule(Box<Rule>),
}

impl Object {
    /// Both cannot be in the kernel: what removes one would remove the other.
    pub fn same_place(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Address(a), Object::Address(b)) => a.cidr == b.cidr && a.interface == b.interface,
            (Object::Route(a), Object::Route(b)) => {
                (a.destination, a.table, a.metric) == (b.destination, b.table, b.metric)
            }
            (Object::Link(a), Object::Link(b)) => a.name == b.name,
            _ => self == other,
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Object::Link(l) => write!(f, "link {l}"),
            Object::Block(b) => write!(f, "block of {b}"),
            Object::Address(a) => write!(f, "address {a}"),
            Object::Route(r) => write!(f, "route {r}"),
            Object::Rule(r) => write!(f, "rule {r}"),
        }
    }
}
