//! Routes and rules as netlink messages.

use super::build::{Names, family};
use netlink_packet_core::DefaultNla;
use netlink_packet_route::route::{
    MplsLabel, RouteAddress, RouteAttribute, RouteFlags, RouteIp6Tunnel, RouteIp6TunnelFlags, RouteIpTunnel,
    RouteIpTunnelFlags, RouteLwEnCapType, RouteLwTunnelEncap, RouteMessage, RouteMetric, RouteMplsIpTunnel,
    RouteMplsTtlPropagation, RouteNextHop, RouteNextHopFlags, RoutePreference, RouteProtocol, RouteRealm, RouteScope,
    RouteType, RouteVia,
};
use netlink_packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleMessage, RulePortRange, RuleUidRange,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;
use steadfast_core::Family;
use steadfast_core::kernel::{CONGESTION_NUMBER, Encap, Metric, Realms, Route, RouteKind, Rule, RuleAction};

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

fn realm(r: Realms) -> RouteRealm {
    RouteRealm { source: u16::from(r.from), destination: u16::from(r.to) }
}

/// RTA_ENCAP_TYPE and RTA_ENCAP.
fn encap(e: &Encap, to: &mut Vec<RouteAttribute>) {
    let (kind, options) = match e {
        Encap::Ip { id, destination, source, tos, ttl, flags } => {
            let mut all = Vec::new();
            all.extend(id.map(RouteIpTunnel::Id));
            all.extend(destination.map(RouteIpTunnel::Destination));
            all.extend(source.map(RouteIpTunnel::Source));
            all.extend((*tos != 0).then_some(RouteIpTunnel::Tos(*tos)));
            all.extend((*ttl != 0).then_some(RouteIpTunnel::Ttl(*ttl)));
            all.extend((*flags != 0).then_some(RouteIpTunnel::Flags(RouteIpTunnelFlags::from_bits_retain(*flags))));
            (RouteLwEnCapType::Ip, all.into_iter().map(RouteLwTunnelEncap::Ip).collect())
        }
        Encap::Ip6 { id, destination, source, class, hoplimit, flags } => {
            let mut all = Vec::new();
            all.extend(id.map(RouteIp6Tunnel::Id));
            all.extend(destination.map(RouteIp6Tunnel::Destination));
            all.extend(source.map(RouteIp6Tunnel::Source));
            all.extend((*class != 0).then_some(RouteIp6Tunnel::Tc(*class)));
            all.extend((*hoplimit != 0).then_some(RouteIp6Tunnel::Hoplimit(*hoplimit)));
            all.extend((*flags != 0).then_some(RouteIp6Tunnel::Flags(RouteIp6TunnelFlags::from_bits_retain(*flags))));
            (RouteLwEnCapType::Ip6, all.into_iter().map(RouteLwTunnelEncap::Ip6).collect())
        }
        Encap::Mpls(labels) => {
            let last = labels.len().saturating_sub(1);
            let label = |(n, label): (usize, &u32)| MplsLabel {
                label: *label,
                traffic_class: 0,
                bottom_of_stack: n == last,
                ttl: 0,
            };
            let stack = RouteMplsIpTunnel::Destination(labels.iter().enumerate().map(label).collect());
            (RouteLwEnCapType::Mpls, vec![RouteLwTunnelEncap::Mpls(stack)])
        }
        // ILA_ATTR_LOCATOR
        Encap::Ila(locator) => {
            let nla = DefaultNla::new(1, locator.to_be_bytes().to_vec());
            (RouteLwEnCapType::Ila, vec![RouteLwTunnelEncap::Other(nla)])
        }
    };
    to.push(RouteAttribute::EncapType(kind));
    to.push(RouteAttribute::Encap(options));
}

fn metric(m: Metric, value: u32) -> RouteMetric {
    match m {
        Metric::Rtt => RouteMetric::Rtt(value),
        Metric::RttVar => RouteMetric::RttVar(value),
        Metric::RtoMin => RouteMetric::RtoMin(value),
        Metric::Features => RouteMetric::Features(value),
        Metric::Mtu => RouteMetric::Mtu(value),
        Metric::Window => RouteMetric::Window(value),
        Metric::SsThresh => RouteMetric::SsThresh(value),
        Metric::Cwnd => RouteMetric::Cwnd(value),
        Metric::Advmss => RouteMetric::Advmss(value),
        Metric::Reordering => RouteMetric::Reordering(value),
        Metric::Hoplimit => RouteMetric::Hoplimit(value),
        Metric::InitCwnd => RouteMetric::InitCwnd(value),
        Metric::InitRwnd => RouteMetric::InitRwnd(value),
        Metric::QuickAck => RouteMetric::QuickAck(value),
        Metric::FastopenNoCookie => RouteMetric::FastopenNoCookie(value),
    }
}

fn metrics(r: &Route) -> Vec<RouteMetric> {
    let mut all: Vec<RouteMetric> = r.metrics.iter().map(|(m, value, _)| metric(*m, *value)).collect();
    let mut locks = r.metrics.iter().filter(|m| m.2).fold(0, |bits, (m, ..)| bits | 1 << m.number());
    if let Some((name, lock)) = &r.congestion {
        all.push(RouteMetric::CcAlgo(name.clone()));
        locks |= u32::from(*lock) << CONGESTION_NUMBER;
    }
    if locks != 0 {
        all.push(RouteMetric::Lock(locks));
    }
    all
}

/// `None` while a link of it is absent.
pub(super) fn route(r: &Route, names: Names<'_>) -> Option<RouteMessage> {
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
    let table = match &r.vrf {
        Some(vrf) => names.table(vrf)?,
        None => r.table,
    };
    m.header.table = u8::try_from(table).unwrap_or(0);
    let mut push = |a| m.attributes.push(a);
    push(RouteAttribute::Table(table));
    if let Some(d) = r.destination {
        m.header.destination_prefix_length = d.prefix;
        push(RouteAttribute::Destination(RouteAddress::from(d.address)));
    }
    if let Some(f) = r.from {
        m.header.source_prefix_length = f.prefix;
        push(RouteAttribute::Source(RouteAddress::from(f.address)));
    }
    if let Some(s) = r.source {
        push(RouteAttribute::PrefSource(RouteAddress::from(s)));
    }
    if let Some(via) = r.via {
        push(gateway(r.family, via));
    }
    if let Some(dev) = &r.interface {
        push(RouteAttribute::Oif(names.index(dev)?));
    }
    if let Some(metric) = r.metric {
        push(RouteAttribute::Priority(metric));
    }
    if let Some(seconds) = r.expires {
        push(RouteAttribute::Expires(seconds));
    }
    if let Some(realms) = r.realms {
        push(RouteAttribute::Realm(realm(realms)));
    }
    if let Some(p) = r.preference {
        push(RouteAttribute::Preference(RoutePreference::from(p)));
    }
    if let Some(on) = r.ttl_propagate {
        use RouteMplsTtlPropagation::{Disabled, Enabled};
        push(RouteAttribute::TtlPropagate(if on { Enabled } else { Disabled }));
    }
    let metrics = metrics(r);
    if !metrics.is_empty() {
        push(RouteAttribute::Metrics(metrics));
    }
    if r.onlink {
        m.header.flags |= RouteFlags::Onlink;
    }
    if let Some(e) = &r.encap {
        encap(e, &mut m.attributes);
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
                hop.interface_index = names.index(dev)?;
            }
            if let Some(via) = h.via {
                hop.attributes.push(gateway(r.family, via));
            }
            if let Some(realms) = h.realms {
                hop.attributes.push(RouteAttribute::Realm(realm(realms)));
            }
            if let Some(e) = &h.encap {
                encap(e, &mut hop.attributes);
            }
            hops.push(hop);
        }
        m.attributes.push(RouteAttribute::MultiPath(hops));
    }
    Some(m)
}

/// An IPv6 route of several hops is as many routes to the kernel, each of which may be lost alone; and adding them all in one
/// message fails where one is there already.
pub(super) fn hop_by_hop(message: RouteNetlinkMessage) -> Vec<RouteNetlinkMessage> {
    let RouteNetlinkMessage::NewRoute(whole) = &message else { return vec![message] };
    let hops = whole.attributes.iter().find_map(|a| match a {
        RouteAttribute::MultiPath(hops) if whole.header.address_family == AddressFamily::Inet6 => Some(hops),
        _ => None,
    });
    let Some(hops) = hops else { return vec![message] };
    hops.iter()
        .map(|hop| {
            let mut one = whole.clone();
            one.attributes.retain(|a| !matches!(a, RouteAttribute::MultiPath(_)));
            one.attributes.push(RouteAttribute::MultiPath(vec![hop.clone()]));
            RouteNetlinkMessage::NewRoute(one)
        })
        .collect()
}

pub(super) fn rule(r: &Rule) -> RuleMessage {
    let mut m = RuleMessage::default();
    m.header.family = family(r.family);
    m.header.tos = r.tos;
    if r.invert {
        m.header.flags |= RuleFlags::Invert;
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
    if let Some(realms) = r.realms {
        push(RuleAttribute::Realm(realm(realms)));
    }
    if let Some(s) = r.suppress_prefixlength {
        push(RuleAttribute::SuppressPrefixLen(s));
    }
    if let Some(g) = r.suppress_group {
        push(RuleAttribute::SuppressIfGroup(g));
    }
    if let Some(t) = r.tunnel {
        push(RuleAttribute::TunId(t));
    }
    if let Some((start, end)) = r.users {
        push(RuleAttribute::UidRange(RuleUidRange { start, end }));
    }
    if let Some(p) = r.ip_protocol {
        push(RuleAttribute::IpProtocol(i32::from(p).into()));
    }
    let range = |(start, end)| RulePortRange { start, end };
    if let Some(ports) = r.source_ports {
        push(RuleAttribute::SourcePortRange(range(ports)));
    }
    if let Some(ports) = r.destination_ports {
        push(RuleAttribute::DestinationPortRange(range(ports)));
    }
    push(RuleAttribute::Protocol(RouteProtocol::from(r.protocol)));
    m.header.action = match r.action {
        RuleAction::Table(t) => {
            push(RuleAttribute::Table(t));
            m.header.table = u8::try_from(t).unwrap_or(0);
            Action::ToTable
        }
        RuleAction::L3mdev => {
            push(RuleAttribute::L3MDev(true));
            Action::ToTable
        }
        RuleAction::Goto(to) => {
            push(RuleAttribute::Goto(to));
            Action::Goto
        }
        RuleAction::Nop => Action::Nop,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
    };
    m
}
