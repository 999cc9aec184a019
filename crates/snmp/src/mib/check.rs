//! KEEPALIVED-MIB, check: virtual servers, their groups and real servers, the sync daemon, timeouts.

use super::{Facts, KEEPALIVED, at, command};
use crate::oid::Oid;
use crate::view::{Row, Setting, View, family, text, truth};
use crate::wire::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use steadfast_config::model::{Method, RealServer, Served, ServerGroup, Tunnel, TunnelChecksum, VirtualServer};
use steadfast_core::ipvs::Granularity;
use steadfast_status::live::{Server, Service, Traffic};

pub(super) fn servers() -> Oid {
    at(&KEEPALIVED, &[3, 4, 1])
}

pub(super) fn services() -> Oid {
    at(&KEEPALIVED, &[3, 3, 1])
}

/// Virtual servers as they count: with what the checker says of each. Both are in the order of the file.
pub(super) fn pairs<'a>(f: &Facts<'a>) -> impl Iterator<Item = (u32, &'a VirtualServer, Option<&'a Service>)> {
    let said = f.checker.map_or(&[][..], |c| c.services.as_slice());
    let there = f.config.virtual_servers.iter().filter(|v| v.served != Served::Nothing);
    let mut said = said.iter();
    (1..).zip(there).map(move |(n, v)| (n, v, said.next()))
}

/// Rows of real servers: a sorry server comes first, as keepalived has it.
pub(super) fn row_of(s: &VirtualServer, server: usize) -> u32 {
    u32::try_from(server).unwrap_or(u32::MAX).saturating_add(1 + u32::from(s.sorry_server.is_some()))
}

pub(super) fn fill(v: &mut View, f: &Facts<'_>) {
    groups(v, f);
    let (services, servers) = (services(), servers());
    v.columns(&services, 2..=71);
    v.columns(&servers, 2..=55);
    for (n, s, now) in pairs(f) {
        service(v.row(&services, [n]), f, s, now);
        if let Some((address, port)) = s.sorry_server {
            sorry(v.row(&servers, [n, 1]), s, now, address, port);
        }
        for (m, r) in s.real_servers.iter().enumerate() {
            let is = now.and_then(|x| x.servers.get(m));
            server(v.row(&servers, [n, row_of(s, m)]), f, s, r, now, is);
        }
    }
    sync(v, f);
}

/// A sorry server has an address and nothing that is its own.
fn sorry(mut row: Row<'_>, s: &VirtualServer, now: Option<&Service>, address: IpAddr, port: u16) {
    let port = match s.served {
        Served::Address(_, p) if port == 0 => p,
        _ => port,
    };
    row.int(2, 2).int(3, family(address)).address(4, address).gauge(5, port);
    if now.is_some_and(|x| x.traffic.is_some()) {
        destination(&mut row, &Traffic::default());
    }
    let method = s.sorry_server_lvs_method.or(s.method);
    kind(&mut row, 40, method);
    row.truth(42, false).truth(47, false);
    for column in [43, 44, 45, 46, 48, 49, 50, 51] {
        row.gauge(column, 0u32);
    }
    tunnel(&mut row, 52, method);
}

fn destination(row: &mut Row<'_>, t: &Traffic) {
    traffic(row, t, 14, 22, 27, 30);
    let [active, inactive, persistent] = t.now;
    row.gauge(15, active).gauge(16, inactive).gauge(17, persistent);
}

fn groups(v: &mut View, f: &Facts<'_>) {
    let (groups, members) = (at(&KEEPALIVED, &[3, 1, 1]), at(&KEEPALIVED, &[3, 2, 1]));
    v.columns(&groups, [2]);
    v.columns(&members, 2..=8);
    for (n, g) in (1..).zip(&f.config.server_groups) {
        v.row(&groups, [n]).text(2, &g.name);
        group(v, &members, n, g);
    }
}

fn group(v: &mut View, members: &Oid, n: u32, g: &ServerGroup) {
    let mut m = 0;
    // Marks come first, as keepalived has them.
    for (mark, _) in &g.marks {
        m += 1;
        v.row(members, [n, m]).int(2, 1).gauge(3, *mark);
    }
    for (first, last, port) in &g.ranges {
        m += 1;
        let mut row = v.row(members, [n, m]);
        row.int(4, family(*first)).gauge(8, *port);
        if first == last {
            row.int(2, 2).address(5, *first);
        } else {
            row.int(2, 3).address(6, *first).address(7, *last);
        }
    }
}

fn algorithm(name: &str) -> i32 {
    const NAMES: [&str; 14] =
        ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh", "twos"];
    (1..).zip(NAMES).find(|(_, x)| *x == name).map_or(99, |(n, _)| n)
}

/// How packets are forwarded, in `column` and, for tunnels, in three more.
fn kind(row: &mut Row<'_>, column: u32, m: Option<Method>) {
    row.int(
        column,
        match m.unwrap_or(Method::Nat) {
            Method::Nat => 1,
            Method::Direct => 2,
            Method::Tunnel { .. } => 3,
        },
    );
}

fn tunnel(row: &mut Row<'_>, column: u32, m: Option<Method>) {
    let Some(Method::Tunnel { kind, port, checksum }) = m else { return };
    row.int(
        column,
        match kind {
            Tunnel::Ipip => 1,
            Tunnel::Gue => 2,
            Tunnel::Gre => 3,
        },
    );
    if kind == Tunnel::Gue {
        row.gauge(column + 1, port.unwrap_or(6080));
    }
    if kind != Tunnel::Ipip {
        row.int(
            column + 2,
            match checksum {
                Some(TunnelChecksum::Yes) => 2,
                Some(TunnelChecksum::Remote) => 3,
                _ => 1,
            },
        );
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// A time in whole seconds and in microseconds.
fn time(row: &mut Row<'_>, seconds: u32, micro: u32, d: Duration) {
    row.gauge(seconds, d.as_secs()).gauge(micro, micros(d));
}

fn low(n: u64) -> u32 {
    (n & 0xffff_ffff) as u32
}

/// Counters from `first` on (connections, packets in and out, bytes in and out), rates from `rates` on, wide counters from `wide`.
fn traffic(row: &mut Row<'_>, t: &Traffic, first: u32, rates: u32, wide: u32, halves: u32) {
    row.gauge(first, low(t.connections));
    let [packets_in, packets_out] = t.packets;
    let [bytes_in, bytes_out] = t.bytes;
    // Active, inactive and persistent connections of a real server stand between.
    let rest = rates - 4;
    for (n, value) in [packets_in, packets_out].into_iter().enumerate() {
        row.put(rest + n as u32, Value::Counter32(low(value)));
    }
    row.put(rest + 2, Value::Counter64(bytes_in)).put(rest + 3, Value::Counter64(bytes_out));
    let each = [
        t.connections_per_second,
        t.packets_per_second[0],
        t.packets_per_second[1],
        t.bytes_per_second[0],
        t.bytes_per_second[1],
    ];
    for (n, value) in (0..).zip(each) {
        row.gauge(rates + n, value);
        row.gauge(halves + 2 * n, low(value)).gauge(halves + 2 * n + 1, value >> 32);
    }
    for (n, value) in (0..).zip([t.connections, packets_in, packets_out]) {
        row.put(wide + n, Value::Counter64(value));
    }
}

const MINUTE: Duration = Duration::from_secs(60);

fn is_six(f: &Facts<'_>, s: &VirtualServer) -> bool {
    let of_group = |name: &String| f.config.server_groups.iter().find(|g| g.name == *name);
    match &s.served {
        Served::Address(a, _) => a.is_ipv6(),
        Served::Group(name) => s.six(of_group(name)),
        _ => s.six(None),
    }
}

fn service(mut row: Row<'_>, f: &Facts<'_>, s: &VirtualServer, now: Option<&Service>) {
    let g = &f.config.globals;
    let six = is_six(f, s);
    row.int(5, if six { 2 } else { 1 });
    match &s.served {
        Served::Nothing => {}
        Served::Mark(n) => {
            row.int(2, 1).gauge(4, *n);
        }
        Served::Address(a, port) => {
            row.int(2, 2).address(6, *a).gauge(7, *port);
        }
        Served::Group(name) => {
            row.int(2, 3).text(3, name);
        }
    }
    let marked = matches!(s.served, Served::Mark(_));
    let protocol = match s.protocol {
        _ if marked => 4,
        Some(6) => 1,
        Some(132) => 3,
        _ => 2,
    };
    let up = now.map_or(0, |x| x.servers.iter().filter(|r| r.up).count());
    let has = |flag: &str| s.flags.iter().any(|x| x == flag);
    row.int(8, protocol).int(9, algorithm(s.scheduler.as_deref().unwrap_or("wlc")));
    kind(&mut row, 10, s.method);
    row.truth(11, now.is_some_and(|x| x.active))
        .some_text(12, s.virtualhost.as_deref())
        .truth(13, s.persistence_timeout.is_some());
    if let Some(t) = s.persistence_timeout {
        row.gauge(14, t);
    }
    // A netmask, and for IPv6 the length of a prefix.
    match s.persistence_granularity {
        Some(Granularity::Mask(mask)) if !six => row.address(15, IpAddr::V4(Ipv4Addr::from(mask))),
        Some(Granularity::Prefix(length)) if six => row.gauge(51, length),
        _ if !six => row.address(15, IpAddr::V4(Ipv4Addr::BROADCAST)),
        _ => row.gauge(51, 128u8),
    };
    time(&mut row, 16, 64, s.delay_loop.unwrap_or(MINUTE));
    row.truth(17, s.ha_suspend.is_some())
        .truth(18, s.alpha)
        .truth(19, s.omega)
        .gauge(20, s.real_servers.len())
        .gauge(21, up)
        .gauge(22, s.quorum)
        .truth(23, now.is_some_and(|x| x.quorum))
        .some_text(24, s.quorum_up.as_ref().map(command).as_deref())
        .some_text(25, s.quorum_down.as_ref().map(command).as_deref())
        .gauge(26, s.hysteresis);
    if let Some(t) = now.and_then(|x| x.traffic.as_ref()) {
        traffic(&mut row, t, 27, 32, 38, 41);
    }
    // Where the file says nothing of retries and warmup it is for the kind of check to say: 0.
    row.truth(37, s.ops)
        .truth(52, has("flag-1") || has("hashed"))
        .truth(53, has("sh-fallback"))
        .truth(54, has("sh-port"))
        .truth(55, has("flag-3"))
        .int(56, if s.inhibit_on_failure { 2 } else { 1 })
        .gauge(57, s.retry.unwrap_or(0));
    time(&mut row, 58, 65, s.delay_before_retry.unwrap_or_default());
    time(&mut row, 59, 66, s.warmup.unwrap_or_default());
    row.int(60, i32::try_from(s.weight).unwrap_or(i32::MAX))
        .truth(61, s.mails(g))
        .truth(62, has("mh-fallback"))
        .truth(63, has("mh-port"))
        .gauge(67, micros(s.connect_timeout.unwrap_or(Duration::from_secs(5))));
    tunnel(&mut row, 68, s.method);
    row.some_text(71, s.snmp_name.as_deref());
}

fn server(
    mut row: Row<'_>,
    f: &Facts<'_>,
    s: &VirtualServer,
    r: &RealServer,
    of: Option<&Service>,
    now: Option<&Server>,
) {
    row.int(2, 1);
    if let Some(a) = r.address {
        row.int(3, family(a)).address(4, a);
    }
    let port = match s.served {
        Served::Address(_, p) => r.port.unwrap_or(p),
        _ => r.port.unwrap_or(0),
    };
    let weight = i32::try_from(now.map_or(r.weight.unwrap_or(s.weight), |x| x.weight)).unwrap_or(i32::MAX);
    row.gauge(5, port).truth(6, now.is_some_and(|x| x.up));
    match (of, now) {
        (Some(of), Some(now)) => {
            let setting = Setting::Weight(of.name.clone(), now.name.clone());
            row.settable(7, Value::Integer(weight), setting);
        }
        _ => {
            row.int(7, weight);
        }
    }
    let method = r.method.or(s.method);
    for (column, limit) in [(8, r.uthreshold), (9, r.lthreshold)] {
        if limit != 0 {
            row.gauge(column, limit);
        }
    }
    row.int(10, if r.inhibit_on_failure.unwrap_or(s.inhibit_on_failure) { 2 } else { 1 })
        .some_text(11, r.notify_up.as_deref().map(command).as_deref())
        .some_text(12, r.notify_down.as_deref().map(command).as_deref())
        .gauge(13, now.map_or(0, |x| x.checks.iter().filter(|c| !c.good).count()));
    // One that is not in the kernel's table counts nothing.
    if let Some(t) = now.and_then(|x| x.traffic).or(of.and_then(|x| x.traffic).map(|_| Traffic::default())) {
        destination(&mut row, &t);
    }
    kind(&mut row, 40, method);
    let delay = r.delay_loop.or(s.delay_loop).unwrap_or(MINUTE);
    let retry = r.delay_before_retry.or(s.delay_before_retry).unwrap_or_default();
    let timeout = r.connect_timeout.or(s.connect_timeout).unwrap_or(Duration::from_secs(5));
    row.some_text(41, r.virtualhost.as_deref())
        .truth(42, r.alpha.unwrap_or(s.alpha))
        .gauge(43, r.retry.or(s.retry).unwrap_or(0));
    time(&mut row, 44, 48, retry);
    time(&mut row, 45, 49, r.warmup.or(s.warmup).unwrap_or_default());
    time(&mut row, 46, 50, delay);
    let g = &f.config.globals;
    row.truth(47, r.mails(g)).gauge(51, micros(timeout));
    tunnel(&mut row, 52, method);
    row.some_text(55, r.snmp_name.as_deref());
}

fn sync(v: &mut View, f: &Facts<'_>) {
    let g = &f.config.globals;
    let (daemon, timeouts) = (at(&KEEPALIVED, &[3, 6]), at(&KEEPALIVED, &[3, 7]));
    v.columns(&daemon, 1..=9);
    v.columns(&timeouts, 1..=3);
    v.scalar(&daemon, 1, truth(g.lvs_sync_daemon.is_some()));
    if let Some(d) = &g.lvs_sync_daemon {
        v.scalar(&daemon, 2, text(&d.interface));
        if let Some(i) = &d.instance {
            v.scalar(&daemon, 3, text(i));
        }
        let of = |name: &String| f.config.instances.iter().find(|i| i.name == *name).and_then(|i| i.virtual_router_id);
        let id = d.id.or_else(|| d.instance.as_ref().and_then(of));
        for (n, value) in [
            (4, id.map(i32::from)),
            (5, d.maxlen.map(i32::from)),
            (6, d.port.map(i32::from)),
            (7, d.ttl.map(i32::from)),
        ] {
            if let Some(value) = value {
                v.scalar(&daemon, n, Value::Integer(value));
            }
        }
        if let Some(a) = d.group {
            v.scalar(&daemon, 8, Value::Integer(family(a)));
            v.scalar(&daemon, 9, crate::view::address(a));
        }
    }
    for (n, seconds) in (1..).zip(g.lvs_timeouts.iter().flatten()) {
        if *seconds != 0 {
            v.scalar(&timeouts, n, Value::Integer(i32::try_from(*seconds).unwrap_or(i32::MAX)));
        }
    }
}
