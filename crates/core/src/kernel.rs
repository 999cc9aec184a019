//! Objects that steadfast puts into the kernel: addresses, routes and policy rules. They are values; `steadfast-net` turns
//! them into netlink messages. Interfaces are named, because an interface may be absent now and come back with another index.

use crate::{Family, IpCidr, Mac, Name};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

mod route;
mod rule;

pub use route::{CONGESTION_NUMBER, Encap, Metric, NextHop, Placement, Realms, Route, RouteKind};
pub use rule::{Rule, RuleAction};

/// An address to be put on an interface.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Address {
    /// The address and its prefix length.
    pub cidr: IpCidr,
    /// Interface name.
    pub interface: Name,
    /// rtnetlink scope (0 global, 200 site, 253 link, 254 host, 255 nowhere). IPv4 only.
    pub scope: u8,
    /// IPv4 label (alias name), at most 15 bytes.
    pub label: Option<Box<str>>,
    /// IPv4 broadcast address.
    pub broadcast: Option<std::net::Ipv4Addr>,
    /// Point-to-point peer.
    pub peer: Option<Box<IpCidr>>,
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
    /// It is wanted on a virtual link of its own on `interface`; once that has a name, `interface` is that name.
    pub own_link: bool,
}

/// What the kernel knows an object by: it has no two of one key, or, of routes, decides between them by the order in which they came.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Key<'a> {
    /// An IPv4 address on a link: with its prefix length and the network of its peer.
    V4(&'a str, IpAddr, IpCidr),
    /// An IPv6 address on a link.
    V6(&'a str, IpAddr),
    /// A virtual link: its name.
    Link(&'a str),
    /// A route: destination, source, table, type of service, metric.
    Route(Family, Option<IpCidr>, Option<IpCidr>, u32, Option<&'a str>, u8, Option<u32>),
}

impl Address {
    /// The kernel, asked for the one, makes it out of the other: of IPv4 it changes lifetimes alone, of IPv6 all but the prefix
    /// length and the peer.
    pub fn becomes(&self, other: &Address) -> bool {
        match self.cidr.address {
            IpAddr::V6(_) => (self.cidr.prefix, &self.peer) == (other.cidr.prefix, &other.peer),
            IpAddr::V4(_) => {
                let of = |a: &Address| (a.scope, a.broadcast, a.noprefixroute, a.autojoin);
                of(self) == of(other) && (&self.label, &self.peer) == (&other.label, &other.peer)
            }
        }
    }

    /// What the kernel knows it by.
    pub fn key(&self) -> Key<'_> {
        if self.cidr.address.is_ipv6() {
            return Key::V6(&self.interface, self.cidr.address);
        }
        Key::V4(&self.interface, self.cidr.address, self.peer.as_deref().unwrap_or(&self.cidr).network())
    }

    /// As the kernel shows it: the length is that of the far end.
    pub fn shown(&self) -> IpCidr {
        IpCidr { prefix: self.peer.as_ref().map_or(self.cidr.prefix, |p| p.prefix), ..self.cidr }
    }

    /// A plain address on an interface, everything else at its default.
    pub fn new(cidr: IpCidr, interface: impl Into<Name>) -> Self {
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
            own_link: false,
        }
    }
}

/// The word for a scope of rtnetlink, where it has one.
pub const fn scope_word(scope: u8) -> Option<&'static str> {
    match scope {
        0 => Some("global"),
        200 => Some("site"),
        253 => Some("link"),
        254 => Some("host"),
        255 => Some("nowhere"),
        _ => None,
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dev {}", self.cidr, self.interface)
    }
}

/// What ipvlans on one link may say to each other; it is the same for all of them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Isolation {
    /// Directly.
    #[default]
    Bridge,
    /// Nothing.
    Private,
    /// By way of the switch.
    Vepa,
}

/// What a virtual link is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum LinkKind {
    /// A macvlan in private mode that carries a virtual router MAC (RFC 9568 section 7.3).
    Macvlan(Mac),
    /// An ipvlan (L2), which has the hardware address of its base.
    Ipvlan(Isolation),
}

/// A link that is made for virtual routers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct VirtualLink {
    /// Its name, at most 15 bytes.
    pub name: String,
    /// The link that it sits on.
    pub base: String,
    /// What it is.
    pub kind: LinkKind,
    /// The VRF that it is in, where the configuration names one.
    pub vrf: Option<String>,
    /// Family of its addresses; IPv6 is off on a link for IPv4.
    pub family: Family,
    /// Link group number.
    pub group: Option<u32>,
}

impl fmt::Display for VirtualLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            LinkKind::Macvlan(mac) => write!(f, "{} on {} with {mac}", self.name, self.base),
            LinkKind::Ipvlan(_) => write!(f, "{} on {}", self.name, self.base),
        }
    }
}

/// Traffic to or from an address is dropped, but for neighbour discovery: accept mode is off.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Block {
    /// The address.
    pub address: IpAddr,
    /// Its link, for a link-local address, which is nobody's without it.
    pub interface: Option<Name>,
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
    /// Both cannot be in the kernel: what removes one would remove the other. A route does not replace another in its place.
    pub fn same_place(&self, other: &Object) -> bool {
        match (self, other) {
            (Object::Address(a), Object::Address(b)) => a.cidr == b.cidr && a.interface == b.interface,
            (Object::Link(a), Object::Link(b)) => a.name == b.name,
            _ => self == other,
        }
    }

    /// What the kernel knows it by, where something else may be in its place.
    pub fn key(&self) -> Option<Key<'_>> {
        match self {
            Object::Address(a) => Some(a.key()),
            Object::Route(r) => {
                Some(Key::Route(r.family, r.destination, r.from, r.table, r.vrf.as_deref(), r.tos, r.metric))
            }
            Object::Link(l) => Some(Key::Link(&l.name)),
            Object::Block(_) | Object::Rule(_) => None,
        }
    }

    /// It is put only where nothing of its key is.
    pub fn excludes(&self) -> bool {
        matches!(self, Object::Route(r) if r.placement == Placement::Add)
    }

    /// `no_track` was written of it.
    pub fn is_untracked(&self) -> bool {
        match self {
            Object::Address(a) => a.no_track,
            Object::Route(r) => r.no_track,
            Object::Rule(r) => r.no_track,
            Object::Link(_) | Object::Block(_) => false,
        }
    }

    /// It needs the link of this name.
    pub fn needs(&self, link: &str) -> bool {
        match self {
            Object::Address(a) => a.interface == link,
            Object::Route(r) => r.links().any(|l| l == link),
            Object::Link(l) => l.base == link || l.vrf.as_deref() == Some(link),
            Object::Block(_) | Object::Rule(_) => false,
        }
    }

    /// Names of the links that it needs.
    pub fn links(&self) -> Vec<&str> {
        match self {
            Object::Address(a) => vec![&a.interface],
            Object::Route(r) => r.links().collect(),
            Object::Link(l) => std::iter::once(l.base.as_str()).chain(l.vrf.as_deref()).collect(),
            Object::Block(_) | Object::Rule(_) => Vec::new(),
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
