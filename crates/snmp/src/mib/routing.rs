//! KEEPALIVED-MIB, vrrp: addresses, routes with their next hops, and rules. Those that no instance has are of instance 0.

use super::{Facts, KEEPALIVED, at};
use crate::oid::Oid;
use crate::view::{Row, View, family};
use crate::wire::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steadfast_core::kernel::{Address, Encap, Metric, Object, Realms, Route, RouteKind, Rule, RuleAction};
use steadfast_core::{Family, IpCidr};

/// IFA_F scope to InetScopeType (RFC 4001): host, link, site, global.
fn scope(s: u8) -> i32 {
    match s {
        254 => 1,
        253 => 2,
        200 => 5,
        _ => 14,
    }
}

fn unspecified(f: Family) -> IpAddr {
    match f {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

pub(super) fn fill(v: &mut View, f: &Facts<'_>) {
    let table = |n: u32| at(&KEEPALIVED, &[2, n, 1]);
    let (addresses, routes, hops, rules) = (table(6), table(7), table(11), table(8));
    v.columns(&addresses, 2..=12);
    v.columns(&routes, 2..=55);
    v.columns(&hops, 2..=18);
    v.columns(&rules, 2..=38);
    let (mut a, mut r, mut u) = (0, 0, 0);
    for (object, _) in &f.config.statics {
        match object {
            Object::Address(x) => {
                a += 1;
                address(v.row(&addresses, [0, a]), f, x, "", true, false);
            }
            Object::Route(x) => {
                r += 1;
                route(v.row(&routes, [0, r]), f, x, true);
                next_hops(v, &hops, f, [0, r], x);
            }
            Object::Rule(x) => {
                u += 1;
                rule(v.row(&rules, [0, u]), x, true);
            }
            _ => {}
        }
    }
    for (n, i) in (1..).zip(&f.config.instances) {
        let set = f.instance(&i.name).is_some_and(|s| s.addresses_set);
        let link = i.interface.as_deref().unwrap_or("");
        let all = i.virtual_ipaddress.iter().map(|x| (x, true));
        let all = all.chain(i.virtual_ipaddress_excluded.iter().map(|x| (x, false)));
        for (m, ((x, ..), told)) in (1..).zip(all) {
            address(v.row(&addresses, [n, m]), f, x, link, set, told);
        }
        for (m, x) in (1..).zip(&i.virtual_routes) {
            route(v.row(&routes, [n, m]), f, x, set);
            next_hops(v, &hops, f, [n, m], x);
        }
        for (m, x) in (1..).zip(&i.virtual_rules) {
            rule(v.row(&rules, [n, m]), x, set);
        }
    }
}

fn address(mut row: Row<'_>, f: &Facts<'_>, a: &Address, link: &str, set: bool, told: bool) {
    let link = if a.interface.is_empty() { link } else { &a.interface };
    row.int(2, family(a.cidr.address)).address(3, a.cidr.address);
    if a.cidr.address.is_ipv4() {
        row.address(4, a.broadcast.unwrap_or(Ipv4Addr::UNSPECIFIED).into());
    }
    row.gauge(5, a.cidr.prefix)
        .int(6, scope(a.scope))
        .int(7, i32::try_from(f.link(link)).unwrap_or(0))
        .text(8, link)
        .some_text(9, a.label.as_deref())
        .truth(10, set)
        .truth(11, told);
    if let Some(peer) = &a.peer {
        row.address(12, peer.address);
    }
}

fn interface(row: &mut Row<'_>, f: &Facts<'_>, column: u32, name: Option<&str>) {
    if let Some(name) = name {
        row.int(column, i32::try_from(f.link(name)).unwrap_or(0)).text(column + 1, name);
    }
}

fn prefix(row: &mut Row<'_>, column: u32, p: IpCidr) {
    row.address(column, p.address).gauge(column + 1, p.prefix);
}

fn realms(row: &mut Row<'_>, column: u32, r: Option<Realms>) {
    if let Some(r) = r {
        row.gauge(column, r.to);
        if r.from != 0 {
            row.gauge(column + 1, r.from);
        }
    }
}

/// Seven columns from the labels on; the type is in the one before.
fn encap(row: &mut Row<'_>, typed: Option<u32>, column: u32, e: Option<&Encap>) {
    let Some(e) = e else { return };
    let kind = match e {
        Encap::Mpls(_) => 1,
        Encap::Ip { .. } => 2,
        Encap::Ila(_) => 3,
        Encap::Ip6 { .. } => 4,
    };
    if let Some(typed) = typed {
        row.int(typed, kind);
    }
    let mut tunnel = |id: Option<u64>, to: Option<IpAddr>, from: Option<IpAddr>, tos: u8, ttl: u8, flags: u16| {
        if let Some(id) = id {
            row.put(column + 1, Value::Counter64(id));
        }
        if let Some(a) = to {
            row.address(column + 2, a);
        }
        if let Some(a) = from {
            row.address(column + 3, a);
        }
        for (n, value) in [(4, u32::from(tos)), (5, u32::from(ttl)), (6, u32::from(flags))] {
            if value != 0 {
                row.gauge(column + n, value);
            }
        }
    };
    match e {
        Encap::Ip { id, destination, source, tos, ttl, flags } => {
            tunnel(*id, destination.map(IpAddr::V4), source.map(IpAddr::V4), *tos, *ttl, *flags);
        }
        Encap::Ip6 { id, destination, source, class, hoplimit, flags } => {
            tunnel(*id, destination.map(IpAddr::V6), source.map(IpAddr::V6), *class, *hoplimit, *flags);
        }
        Encap::Mpls(labels) => {
            let labels: Vec<String> = labels.iter().map(u32::to_string).collect();
            row.text(column, &labels.join("/"));
        }
        Encap::Ila(locator) => {
            row.put(column + 7, Value::Counter64(*locator));
        }
    }
}

fn route(mut row: Row<'_>, f: &Facts<'_>, r: &Route, set: bool) {
    let kind = match r.kind {
        RouteKind::Unicast if r.nexthops.is_empty() => 1,
        RouteKind::Unicast => 2,
        RouteKind::Blackhole => 3,
        RouteKind::Anycast => 4,
        RouteKind::Multicast => 5,
        RouteKind::Broadcast => 6,
        RouteKind::Unreachable => 7,
        RouteKind::Prohibit => 8,
        RouteKind::Throw => 9,
        // The MIB has no number for it.
        RouteKind::Local => 1,
    };
    row.int(2, if r.family == Family::V4 { 1 } else { 2 });
    prefix(&mut row, 3, r.destination.unwrap_or(IpCidr { address: unspecified(r.family), prefix: 0 }));
    if let Some(a) = r.via {
        row.address(5, a);
    }
    if let Some(a) = r.source {
        row.address(7, a);
    }
    row.gauge(8, r.metric.unwrap_or(0)).int(9, scope(r.scope.unwrap_or(0))).int(10, kind);
    interface(&mut row, f, 11, r.interface.as_deref());
    row.gauge(13, r.table).truth(14, set);
    if let Some(p) = r.from {
        prefix(&mut row, 15, p);
    }
    if r.tos != 0 {
        row.gauge(17, r.tos);
    }
    row.int(18, i32::from(r.protocol) + 1);
    let metric = |m: Metric| r.metrics.iter().find(|x| x.0 == m).map(|x| (x.1, x.2));
    row.truth(19, metric(Metric::Features).is_some_and(|(bits, _)| bits & 1 != 0));
    row.truth(20, metric(Metric::QuickAck).is_some_and(|(on, _)| on != 0));
    if let Some(t) = r.expires {
        row.int(21, i32::try_from(t).unwrap_or(i32::MAX));
    }
    for (m, column, lock) in [
        (Metric::Mtu, 22, true),
        (Metric::Hoplimit, 24, false),
        (Metric::Advmss, 25, true),
        (Metric::Rtt, 27, true),
        (Metric::RttVar, 29, true),
        (Metric::Reordering, 31, true),
        (Metric::Window, 33, false),
        (Metric::Cwnd, 34, true),
        (Metric::SsThresh, 36, true),
        (Metric::RtoMin, 38, true),
        (Metric::InitCwnd, 40, false),
        (Metric::InitRwnd, 41, false),
    ] {
        if let Some((value, locked)) = metric(m) {
            // The MIB counts in milliseconds.
            row.gauge(column, value / m.per_millisecond().unwrap_or(1).max(1));
            if lock {
                row.truth(column + 1, locked);
            }
        }
    }
    row.some_text(42, r.congestion.as_ref().map(|c| c.0.as_str()));
    if let Some(p) = r.preference {
        // ICMPV6_ROUTER_PREF_*: medium 0, high 1, low 3; the MIB: low 1, medium 2, high 3.
        row.int(
            43,
            match p {
                0 => 2,
                1 => 3,
                _ => 1,
            },
        );
    }
    realms(&mut row, 44, r.realms);
    encap(&mut row, Some(46), 47, r.encap.as_ref());
    if let Some((on, _)) = metric(Metric::FastopenNoCookie) {
        row.truth(55, on != 0);
    }
}

fn next_hops(v: &mut View, table: &Oid, f: &Facts<'_>, [owner, n]: [u32; 2], r: &Route) {
    for (m, h) in (1..).zip(&r.nexthops) {
        let mut row = v.row(table, [owner, n, m]);
        if let Some(a) = h.via {
            row.int(2, family(a)).address(3, a);
        }
        interface(&mut row, f, 4, h.interface.as_deref());
        row.gauge(6, h.weight.max(1)).truth(7, h.onlink);
        realms(&mut row, 8, h.realms);
        encap(&mut row, None, 11, h.encap.as_ref());
    }
}

fn rule(mut row: Row<'_>, r: &Rule, set: bool) {
    let word = match (r.from, r.to) {
        (Some(_), Some(_)) => "both",
        (Some(_), None) => "from",
        (None, Some(_)) => "to",
        (None, None) => "",
    };
    row.text(2, word);
    // The table lists one address and, since more was asked for, both.
    for (column, p) in [(3, r.to.or(r.from)), (9, r.to), (12, r.from)] {
        if let Some(p) = p {
            row.int(column, family(p.address));
            prefix(&mut row, column + 1, p);
        }
    }
    let (action, table) = match r.action {
        RuleAction::Table(n) => (1, n),
        RuleAction::L3mdev => (1, 0),
        RuleAction::Goto(to) => {
            row.gauge(22, to);
            (2, 0)
        }
        RuleAction::Nop => (3, 0),
        RuleAction::Blackhole => (6, 0),
        RuleAction::Unreachable => (7, 0),
        RuleAction::Prohibit => (8, 0),
    };
    row.gauge(6, table).truth(7, set).truth(8, r.invert).gauge(15, r.tos);
    if let Some((mark, mask)) = r.fwmark {
        row.gauge(16, mark);
        if mask != u32::MAX {
            row.gauge(17, mask);
        }
    }
    realms(&mut row, 18, r.realms);
    row.some_text(20, r.iif.as_deref()).some_text(21, r.oif.as_deref()).int(23, action).gauge(24, table);
    if let Some(n) = r.preference {
        row.gauge(25, n);
    }
    if let Some(n) = r.suppress_prefixlength {
        row.gauge(26, n);
    }
    if let Some(n) = r.suppress_group {
        row.text(27, &n.to_string());
    }
    if let Some(id) = r.tunnel {
        row.gauge(28, id >> 32).gauge(29, id & 0xffff_ffff);
    }
    if let Some((first, last)) = r.users {
        row.gauge(30, first).gauge(31, last);
    }
    if r.action == RuleAction::L3mdev {
        row.truth(32, true);
    }
    if r.protocol != steadfast_core::kernel::Rule::new(r.family).protocol {
        row.int(33, i32::from(r.protocol) + 1);
    }
    if let Some(p) = r.ip_protocol {
        row.gauge(34, p);
    }
    for (column, ports) in [(35, r.source_ports), (37, r.destination_ports)] {
        if let Some((first, last)) = ports {
            row.gauge(column, first).gauge(column + 1, last);
        }
    }
}
