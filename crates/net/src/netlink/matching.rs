//! Whether a route or a rule that the kernel speaks of is one of ours. The kernel adds to what it was given (hoplimits, preferences,
//! a metric for IPv6, the link of a gateway), so all of ours must be in what it says, and not the other way round.

use netlink_packet_route::route::{RouteAttribute, RouteMessage, RouteMetric, RouteNextHop};
use netlink_packet_route::rule::RuleMessage;

fn table(m: &RouteMessage) -> u32 {
    let long = m.attributes.iter().find_map(|a| if let RouteAttribute::Table(t) = a { Some(*t) } else { None });
    long.unwrap_or(u32::from(m.header.table))
}

/// They would stand in the same place: destination, source, table, type of service and metric.
pub(super) fn place(ours: &RouteMessage, theirs: &RouteMessage) -> bool {
    let key = |m: &RouteMessage| {
        let ends = |source: bool| {
            m.attributes.iter().find_map(|a| match a {
                RouteAttribute::Destination(d) if !source => Some(d.clone()),
                RouteAttribute::Source(s) if source => Some(s.clone()),
                _ => None,
            })
        };
        let h = &m.header;
        let lengths = (h.destination_prefix_length, h.source_prefix_length);
        (h.address_family, lengths, ends(false), ends(true), table(m), h.tos)
    };
    let metric = |m: &RouteMessage| {
        m.attributes.iter().find_map(|a| if let RouteAttribute::Priority(p) = a { Some(*p) } else { None })
    };
    key(ours) == key(theirs) && metric(ours).is_none_or(|own| own == metric(theirs).unwrap_or(0))
}

/// They lead to the same, and were made by the same.
pub(super) fn content(ours: &RouteMessage, theirs: &RouteMessage) -> bool {
    ours.header.kind == theirs.header.kind
        && ours.header.protocol == theirs.header.protocol
        && ours.attributes.iter().all(|a| match a {
            RouteAttribute::Metrics(own) => {
                let there: &[RouteMetric] = theirs
                    .attributes
                    .iter()
                    .find_map(|a| if let RouteAttribute::Metrics(m) = a { Some(m.as_slice()) } else { None })
                    .unwrap_or_default();
                own.iter().all(|m| {
                    // The kernel lowers an MTU to its own bound and leaves out zeros.
                    matches!(m, RouteMetric::Mtu(_) | RouteMetric::Lock(_)) || is_zero(m) || there.contains(m)
                })
            }
            RouteAttribute::MultiPath(own) => theirs.attributes.iter().any(|a| match a {
                RouteAttribute::MultiPath(there) => own.len() == there.len() && own.iter().zip(there).all(same_hop),
                // One of several IPv6 hops.
                RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => own.iter().any(|h| h.attributes.contains(a)),
                _ => false,
            }),
            RouteAttribute::Gateway(_)
            | RouteAttribute::Via(_)
            | RouteAttribute::Oif(_)
            | RouteAttribute::PrefSource(_) => {
                // IPv6 does not say the link of a route that leads nowhere otherwise than as lo.
                theirs.attributes.contains(a)
            }
            // Tables and ends are the place; what else there is the kernel words in its own way.
            _ => true,
        })
}

fn is_zero(m: &RouteMetric) -> bool {
    use RouteMetric as M;
    matches!(
        m,
        M::Window(0)
            | M::Rtt(0)
            | M::RttVar(0)
            | M::SsThresh(0)
            | M::Cwnd(0)
            | M::Advmss(0)
            | M::Reordering(0)
            | M::Hoplimit(0)
            | M::InitCwnd(0)
            | M::Features(0)
            | M::RtoMin(0)
            | M::InitRwnd(0)
            | M::QuickAck(0)
            | M::FastopenNoCookie(0)
    )
}

fn same_hop((ours, theirs): (&RouteNextHop, &RouteNextHop)) -> bool {
    let gateway = |a: &&RouteAttribute| matches!(a, RouteAttribute::Gateway(_) | RouteAttribute::Via(_));
    (ours.interface_index == 0 || ours.interface_index == theirs.interface_index)
        && ours.hops == theirs.hops
        && ours.attributes.iter().filter(gateway).all(|a| theirs.attributes.contains(a))
}

/// The same rule.
pub(super) fn rule(ours: &RuleMessage, theirs: &RuleMessage) -> bool {
    let head = |m: &RuleMessage| {
        let h = &m.header;
        // Other flags tell of links that are not there.
        let invert = h.flags.contains(netlink_packet_route::rule::RuleFlags::Invert);
        (h.family, h.src_len, h.dst_len, h.tos, h.action, invert)
    };
    head(ours) == head(theirs) && ours.attributes.iter().all(|a| theirs.attributes.contains(a))
}
