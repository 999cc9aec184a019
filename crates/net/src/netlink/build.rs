//! Objects as netlink messages.

use super::Mirror;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo};
use netlink_packet_route::link::{InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkInfo, LinkMessage, MacVlanMode};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteMetric, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::rule::{RuleAction as Action, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;
use steadfast_core::Family;
use steadfast_core::kernel::{Address, Object, Route, RouteKind, Rule, RuleAction, VirtualLink};

/// The message that adds an object, or the same for its removal. `None` while its interface is absent.
pub(super) fn message(object: &Object, add: bool, mirror: &Mirror) -> Option<RouteNetlinkMessage> {
    Some(match (object, add) {
        (Object::Link(l), true) => RouteNetlinkMessage::NewLink(link(l, mirror)?),
        (Object::Link(l), false) => {
            let mut m = LinkMessage::default();
            m.header.index = mirror.by_name(&l.name).filter(|own| own.is_virtual)?.index;
            RouteNetlinkMessage::DelLink(m)
        }
        (Object::Block(_), _) => return None,
        (Object::Address(a), true) => RouteNetlinkMessage::NewAddress(address(a, mirror)?),
        (Object::Address(a), false) => RouteNetlinkMessage::DelAddress(address(a, mirror)?),
        (Object::Route(r), true) => RouteNetlinkMessage::NewRoute(route(r, mirror)?),
        (Object::Route(r), false) => RouteNetlinkMessage::DelRoute(route(r, mirror)?),
        (Object::Rule(r), true) => RouteNetlinkMessage::NewRule(rule(r)),
        (Object::Rule(r), false) => RouteNetlinkMessage::DelRule(rule(r)),
    })
}

fn family(f: Family) -> AddressFamily {
    match f {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// A macvlan, down: its settings must be right before it comes up.
fn link(l: &VirtualLink, mirror: &Mirror) -> Option<LinkMessage> {
    let mut m = LinkMessage::default();
    m.attributes.push(LinkAttribute::IfName(l.name.clone()));
    m.attributes.push(LinkAttribute::Link(mirror.by_name(&l.base)?.index));
    m.attributes.push(LinkAttribute::Address(l.mac.0.to_vec()));
    if let Some(g) = l.group {
        m.attributes.push(LinkAttribute::Group(g));
    }
    m.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::MacVlan),
        LinkInfo::Data(InfoData::MacVlan(vec![InfoMacVlan::Mode(MacVlanMode::Private)])),
    ]));
    Some(m)
}

fn address(a: &Address, mirror: &Mirror) -> Option<AddressMessage> {
    let link = mirror.by_name(&a.interface)?;
    let mut m = AddressMessage::default();
    let six = a.cidr.address.is_ipv6();
    m.header.family = family(Family::of(a.cidr.address));
    m.header.prefix_len = a.peer.map_or(a.cidr.prefix, |p| p.prefix);
    m.header.scope = AddressScope::from(if six { 0 } else { a.scope });
    m.header.index = link.index;
    m.attributes.push(AddressAttribute::Local(a.cidr.address));
    m.attributes.push(AddressAttribute::Address(a.peer.map_or(a.cidr.address, |p| p.address)));
    if let Some(b) = a.broadcast {
        m.attributes.push(AddressAttribute::Broadcast(b));
    }
    if let (Some(label), false) = (&a.label, six) {
        m.attributes.push(AddressAttribute::Label(label.clone()));
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

fn route_type(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Broadcast => RouteType::Broadcast,
        RouteKind::Anycast => RouteType::Anycast,
        RouteKind::Multicast => RouteType::Multicast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
        RouteKind::Throw => RouteType::Throw,
    }
}

fn gateway(f: Family, via: IpAddr) -> RouteAttribute {
    if Family::of(via) == f {
        RouteAttribute::Gateway(RouteAddress::from(via))
    } else {
        RouteAttribute::Via(RouteVia::from(via))
    }
}

fn route(r: &Route, mirror: &Mirror) -> Option<RouteMessage> {
    let mut m = RouteMessage::default();
    m.header.address_family = family(r.family);
    m.header.kind = route_type(r.kind);
    m.header.protocol = RouteProtocol::from(r.protocol);
    m.header.tos = r.tos;
    let scope = r.scope.unwrap_or(match r.kind {
        RouteKind::Local => 254,
        RouteKind::Broadcast | RouteKind::Multicast | RouteKind::Anycast => 253,
        RouteKind::Unicast if r.via.is_none() && r.nexthops.is_empty() && r.family == Family::V4 => 253,
        _ => 0,
    });
    m.header.scope = RouteScope::from(scope);
    m.header.table = u8::try_from(r.table).unwrap_or(0);
    m.attributes.push(RouteAttribute::Table(r.table));
    if let Some(d) = r.destination {
        m.header.destination_prefix_length = d.prefix;
        m.attributes.push(RouteAttribute::Destination(RouteAddress::from(d.address)));
    }
    if let Some(f) = r.from {
        m.header.source_prefix_length = f.prefix;
        m.attributes.push(RouteAttribute::Source(RouteAddress::from(f.address)));
    }
    if let Some(s) = r.source {
        m.attributes.push(RouteAttribute::PrefSource(RouteAddress::from(s)));
    }
    if let Some(via) = r.via {
        m.attributes.push(gateway(r.family, via));
    }
    if let Some(dev) = &r.interface {
        m.attributes.push(RouteAttribute::Oif(mirror.by_name(dev)?.index));
    }
    if let Some(metric) = r.metric {
        m.attributes.push(RouteAttribute::Priority(metric));
    }
    if r.onlink {
        m.header.flags |= RouteFlags::Onlink;
    }
    let metrics: Vec<RouteMetric> = [
        r.mtu.map(RouteMetric::Mtu),
        r.advmss.map(RouteMetric::Advmss),
        r.hoplimit.map(RouteMetric::Hoplimit),
        r.initcwnd.map(RouteMetric::InitCwnd),
        r.initrwnd.map(RouteMetric::InitRwnd),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !metrics.is_empty() {
        m.attributes.push(RouteAttribute::Metrics(metrics));
    }
    if !r.nexthops.is_empty() {
        let mut hops = Vec::new();
        for h in &r.nexthops {
            let mut hop = RouteNextHop::default();
            // The kernel counts from zero.
            hop.hops = u8::try_from(h.weight.saturating_sub(1)).unwrap_or(u8::MAX);
            if h.onlink {
                hop.flags |= RouteNextHopFlags::Onlink;
            }
            if let Some(dev) = &h.interface {
                hop.interface_index = mirror.by_name(dev)?.index;
            }
            if let Some(via) = h.via {
                hop.attributes.push(gateway(r.family, via));
            }
            hops.push(hop);
        }
        m.attributes.push(RouteAttribute::MultiPath(hops));
    }
    Some(m)
}

fn rule(r: &Rule) -> RuleMessage {
    let mut m = RuleMessage::default();
    m.header.family = family(r.family);
    m.header.tos = r.tos;
    if r.invert {
        m.header.flags |= netlink_packet_route::rule::RuleFlags::Invert;
    }
    let mut push = |a| m.attributes.push(a);
    if let Some(p) = r.preference {
        push(RuleAttribute::Priority(p));
    }
    if let Some(f) = r.from {
        m.header.src_len = f.prefix;
        push(RuleAttribute::Source(f.address));
    }
    if let Some(t) = r.to {
        m.header.dst_len = t.prefix;
        push(RuleAttribute::Destination(t.address));
    }
    if let Some(i) = &r.iif {
        push(RuleAttribute::Iifname(i.clone()));
    }
    if let Some(o) = &r.oif {
        push(RuleAttribute::Oifname(o.clone()));
    }
    if let Some((mark, mask)) = r.fwmark {
        push(RuleAttribute::FwMark(mark));
        push(RuleAttribute::FwMask(mask));
    }
    if let Some(s) = r.suppress_prefixlength {
        push(RuleAttribute::SuppressPrefixLen(s));
    }
    push(RuleAttribute::Protocol(RouteProtocol::from(r.protocol)));
    let (action, table) = match r.action {
        RuleAction::Table(t) => (Action::ToTable, Some(t)),
        RuleAction::Goto(to) => {
            push(RuleAttribute::Goto(to));
            (Action::Goto, None)
        }
        RuleAction::Nop => (Action::Nop, None),
        RuleAction::Blackhole => (Action::Blackhole, None),
        RuleAction::Unreachable => (Action::Unreachable, None),
        RuleAction::Prohibit => (Action::Prohibit, None),
    };
    if let Some(t) = table {
        push(RuleAttribute::Table(t));
        m.header.table = u8::try_from(t).unwrap_or(0);
    }
    m.header.action = action;
    m
}
