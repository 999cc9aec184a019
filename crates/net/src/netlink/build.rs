//! Objects as netlink messages.

use super::Mirror;
use super::routes::{route, rule};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo};
use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoMacVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkInfo, LinkMessage,
    MacVlanMode,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use steadfast_core::Family;
use steadfast_core::kernel::{Address, Isolation, LinkKind, Object, VirtualLink};

/// What links are called.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    mirror: &'a Mirror,
    /// A name that was this link's, whatever it is called now.
    former: Option<(&'a str, u32)>,
}

impl<'a> Names<'a> {
    /// As they are.
    pub(super) fn now(mirror: &'a Mirror) -> Self {
        Names { mirror, former: None }
    }

    /// As they were while this name was that link's.
    pub(super) fn before(mirror: &'a Mirror, name: &'a str, index: u32) -> Self {
        Names { mirror, former: Some((name, index)) }
    }

    /// The link of this name.
    pub(super) fn index(self, name: &str) -> Option<u32> {
        match self.former {
            Some((former, index)) if former == name => Some(index),
            _ => Some(self.mirror.by_name(name)?.index),
        }
    }

    /// The table of the VRF of this name.
    pub(super) fn table(self, name: &str) -> Option<u32> {
        self.mirror.by_index(self.index(name)?)?.vrf_table
    }
}

/// The message that removes an object from where it was put while its link had another name.
pub(super) fn removal(object: &Object, names: Names<'_>) -> Option<RouteNetlinkMessage> {
    Some(match object {
        Object::Link(l) => {
            let mut m = LinkMessage::default();
            m.header.index = names.mirror.by_index(names.index(&l.name)?).filter(|own| own.is_virtual)?.index;
            RouteNetlinkMessage::DelLink(m)
        }
        Object::Address(a) => {
            let mut m = address(a, names)?;
            // The kernel would keep one of another label, as a life before this one may have given it.
            m.attributes.retain(|a| !matches!(a, AddressAttribute::Label(_)));
            RouteNetlinkMessage::DelAddress(m)
        }
        Object::Route(r) => RouteNetlinkMessage::DelRoute(route(r, names)?),
        Object::Rule(r) => RouteNetlinkMessage::DelRule(rule(r)),
        Object::Block(_) => return None,
    })
}

/// The message that adds an object, or the same for its removal. `None` while its interface is absent.
pub(super) fn message(object: &Object, add: bool, mirror: &Mirror) -> Option<RouteNetlinkMessage> {
    let names = Names::now(mirror);
    Some(match (object, add) {
        (Object::Link(l), true) => RouteNetlinkMessage::NewLink(link(l, mirror)?),
        (Object::Block(_), _) => return None,
        (Object::Address(a), true) => RouteNetlinkMessage::NewAddress(address(a, names)?),
        (Object::Route(r), true) => RouteNetlinkMessage::NewRoute(route(r, names)?),
        (Object::Rule(r), true) => RouteNetlinkMessage::NewRule(rule(r)),
        (_, false) => return removal(object, names),
    })
}

pub(super) fn family(f: Family) -> AddressFamily {
    match f {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// A macvlan or an ipvlan, down: its settings must be right before it comes up.
pub(super) fn link(l: &VirtualLink, mirror: &Mirror) -> Option<LinkMessage> {
    let mut m = LinkMessage::default();
    m.attributes.push(LinkAttribute::IfName(l.name.clone()));
    m.attributes.push(LinkAttribute::Link(mirror.by_name(&l.base)?.index));
    m.attributes.extend(mirror.vrf(l).map(LinkAttribute::Controller));
    if let Some(g) = l.group {
        m.attributes.push(LinkAttribute::Group(g));
    }
    m.attributes.extend(match l.kind {
        LinkKind::Macvlan(mac) => vec![
            LinkAttribute::Address(mac.0.to_vec()),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::MacVlan),
                LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)])),
            ]),
        ],
        LinkKind::Ipvlan(isolation) => {
            let flags = match isolation {
                Isolation::Bridge => IpVlanFlags::empty(),
                Isolation::Private => IpVlanFlags::Private,
                Isolation::Vepa => IpVlanFlags::Vepa,
            };
            let data = vec![InfoIpVlan::Mode(IpVlanMode::L2), InfoIpVlan::Flags(flags)];
            vec![LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::IpVlan),
                LinkInfo::Data(InfoData::IpVlan(data)),
            ])]
        }
    });
    Some(m)
}

fn address(a: &Address, names: Names<'_>) -> Option<AddressMessage> {
    let index = names.index(&a.interface)?;
    let mut m = AddressMessage::default();
    let six = a.cidr.address.is_ipv6();
    m.header.family = family(Family::of(a.cidr.address));
    m.header.prefix_len = a.shown().prefix;
    m.header.scope = AddressScope::from(if six { 0 } else { a.scope });
    m.header.index = index;
    m.attributes.push(AddressAttribute::Local(a.cidr.address));
    m.attributes.push(AddressAttribute::Address(a.peer.as_ref().map_or(a.cidr.address, |p| p.address)));
    if let Some(b) = a.broadcast {
        m.attributes.push(AddressAttribute::Broadcast(b));
    }
    if let (Some(label), false) = (&a.label, six) {
        m.attributes.push(AddressAttribute::Label(label.to_string()));
    }
    let mut flags = AddressFlags::empty();
    let mut set = |on: bool, bits: u32| {
        if on {
            flags |= AddressFlags::from_bits_retain(bits);
        }
    };
    // Duplicate address detection would keep a virtual address silent for a second after takeover.
    set(six && a.nodad, 0x02);
    set(six && a.home, 0x10);
    set(six && a.mngtmpaddr, 0x100);
    set(a.noprefixroute, 0x200);
    set(a.autojoin, 0x400);
    if !flags.is_empty() {
        m.attributes.push(AddressAttribute::Flags(flags));
    }
    if let Some(preferred) = a.preferred_lifetime {
        let mut info = CacheInfo::default();
        info.ifa_preferred = preferred;
        info.ifa_valid = u32::MAX;
        m.attributes.push(AddressAttribute::CacheInfo(info));
    }
    Some(m)
}
