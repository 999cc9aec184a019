//! The MIBs of the protocol: RFC 2787 for version 2, RFC 6527 for all. As keepalived of Debian does it, the latter shows instances of
//! version 2 too.

use super::{Facts, RFC_2787, RFC_6527, at};
use crate::oid::Oid;
use crate::view::{Row, View, address, octets, truth};
use crate::wire::Value;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steadfast_core::State;
use steadfast_status::Instance;

/// initialize(1), backup(2), master(3). FAULT is RFC 9568's Initialize.
fn status(s: State) -> i32 {
    match s {
        State::Init | State::Fault => 1,
        State::Backup => 2,
        State::Master => 3,
    }
}

/// Hundredths of a second.
fn ticks(seconds: f64) -> u32 {
    // TimeTicks run over after 497 days.
    ((seconds * 100.0) as u64 & 0xffff_ffff) as u32
}

/// Counters run over.
fn low(n: u64) -> u32 {
    (n & 0xffff_ffff) as u32
}

fn own(i: &Instance) -> Option<IpAddr> {
    i.source.as_ref()?.parse().ok()
}

fn is_six(i: &Instance) -> bool {
    i.advertised.first().copied().or(own(i)).is_some_and(|a| a.is_ipv6())
}

/// The master: who was heard, or who we are.
fn master(i: &Instance) -> IpAddr {
    let nobody = if is_six(i) { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    if i.state == State::Master { own(i).unwrap_or(nobody) } else { i.master.unwrap_or(nobody) }
}

fn mac(f: &Facts<'_>, i: &Instance) -> Value {
    let of = f.vrrp.and_then(|v| v.links.iter().find(|l| l.0 == i.link));
    Value::Octets(of.map(|l| l.2.to_vec()).unwrap_or_default())
}

/// The index of a row of RFC 2787, where an instance has one.
pub(super) fn index_2(f: &Facts<'_>, i: &Instance) -> Option<Vec<u32>> {
    (i.version == 2 && !is_six(i)).then(|| vec![f.link(&i.interface), i.vrid.into()])
}

/// The index of a row of RFC 6527.
pub(super) fn index_3(f: &Facts<'_>, i: &Instance) -> Vec<u32> {
    vec![f.link(&i.interface), i.vrid.into(), if is_six(i) { 2 } else { 1 }]
}

pub(super) fn operations_2() -> Oid {
    at(&RFC_2787, &[1, 3, 1])
}

pub(super) fn operations_3() -> Oid {
    at(&RFC_6527, &[1, 1, 1, 1])
}

pub(super) fn statistics_3() -> Oid {
    at(&RFC_6527, &[1, 2, 5, 1])
}

fn instances<'a>(f: &Facts<'a>) -> impl Iterator<Item = &'a Instance> {
    // What is on a link that is not there has no index.
    let f = *f;
    f.vrrp.into_iter().flat_map(|v| &v.instances).filter(move |i| f.link(&i.interface) != 0)
}

fn v4(a: IpAddr) -> Value {
    Value::Address(if let IpAddr::V4(a) = a { a.octets() } else { [0; 4] })
}

fn put(row: &mut Row<'_>, values: impl IntoIterator<Item = u64>, wide: bool, first: u32) {
    for (column, n) in (first..).zip(values) {
        row.put(column, if wide { Value::Counter64(n) } else { Value::Counter32(low(n)) });
    }
}

pub(super) fn version_2(v: &mut View, f: &Facts<'_>) {
    let general = at(&RFC_2787, &[1]);
    let statistics = at(&RFC_2787, &[2]);
    let (operations, addresses, counters) = (operations_2(), general.with(&[4, 1]), statistics.with(&[4, 1]));
    // What versions are understood beside is not said here: vrrpNodeVersion is of this MIB's own protocol.
    v.scalar(&general, 1, Value::Integer(2));
    v.scalar(&general, 2, truth(f.config.globals.snmp_traps));
    v.columns(&operations, 2..=15);
    v.columns(&addresses, [2]);
    v.columns(&counters, 1..=12);
    let all = || instances(f).filter_map(|i| Some((index_2(f, i)?, i)));
    let sum = |of: fn(&Instance) -> u64| Value::Counter32(low(all().map(|(_, i)| of(i)).sum()));
    let (checksum, version) = (sum(|i| i.statistics.checksum_err), sum(|i| i.statistics.version_err));
    v.scalar(&statistics, 1, checksum);
    v.scalar(&statistics, 2, version);
    v.scalar(&statistics, 3, Value::Counter32(low(f.vrrp.map_or(0, |s| s.unknown_vrids))));
    for (index, i) in all() {
        let since = i.up_for.map_or(0, |s| f.uptime.saturating_sub(ticks(s)));
        v.row(&operations, index.clone())
            .put(2, mac(f, i))
            .int(3, status(i.state))
            .int(4, 1)
            .int(5, i.base_priority.into())
            .int(6, i32::try_from(i.advertised.len()).unwrap_or(255))
            .put(7, v4(master(i)))
            .put(8, v4(own(i).unwrap_or(Ipv4Addr::UNSPECIFIED.into())))
            .int(9, i32::from(i.auth_type) + 1)
            // It is never told.
            .text(10, "")
            .int(11, i.advert_interval.round() as i32)
            .truth(12, !i.nopreempt)
            .put(13, Value::TimeTicks(since))
            .int(14, 1)
            .int(15, 1);
        for a in &i.advertised {
            let mut index = index.clone();
            index.extend(octets(*a).into_iter().map(u32::from));
            v.row(&addresses, index).int(2, 1);
        }
        let s = &i.statistics;
        let values = [
            s.become_master,
            s.advert_rcvd,
            s.advert_interval_err,
            s.auth_failure,
            s.ip_ttl_err,
            s.pri_zero_rcvd,
            s.pri_zero_sent,
            s.invalid_type_rcvd,
            s.addr_list_err,
            s.invalid_authtype,
            s.authtype_mismatch,
            s.packet_len_err,
        ];
        put(&mut v.row(&counters, index), values, false, 1);
    }
}

pub(super) fn version_3(v: &mut View, f: &Facts<'_>) {
    let statistics = at(&RFC_6527, &[1, 2]);
    let (operations, addresses, counters) = (operations_3(), at(&RFC_6527, &[1, 1, 2, 1]), statistics_3());
    v.columns(&operations, 3..=13);
    v.columns(&addresses, [2]);
    v.columns(&counters, 1..=13);
    let sum = |of: fn(&Instance) -> u64| Value::Counter64(instances(f).map(of).sum());
    let (checksum, version) = (sum(|i| i.statistics.checksum_err), sum(|i| i.statistics.version_err));
    v.scalar(&statistics, 1, checksum);
    v.scalar(&statistics, 2, version);
    v.scalar(&statistics, 3, Value::Counter64(f.vrrp.map_or(0, |s| s.unknown_vrids)));
    v.scalar(&statistics, 4, Value::TimeTicks(0));
    for i in instances(f) {
        let index = index_3(f, i);
        let own = own(i).map_or(Value::Octets(Vec::new()), address);
        v.row(&operations, index.clone())
            .address(3, master(i))
            .put(4, own)
            .put(5, mac(f, i))
            .int(6, status(i.state))
            .gauge(7, i.base_priority)
            .int(8, i32::try_from(i.advertised.len()).unwrap_or(255))
            .int(9, (i.advert_interval * 100.0).round() as i32)
            .truth(10, !i.nopreempt)
            .truth(11, i.accept)
            .put(12, Value::TimeTicks(i.up_for.map_or(0, ticks)))
            .int(13, 1);
        for a in &i.advertised {
            let mut index = index.clone();
            index.extend(octets(*a).into_iter().map(u32::from));
            v.row(&addresses, index).int(2, 1);
        }
        let s = &i.statistics;
        let mut row = v.row(&counters, index);
        row.put(1, Value::Counter32(low(s.become_master))).int(2, i.new_master.into());
        put(&mut row, [s.advert_rcvd, s.advert_interval_err, s.ip_ttl_err], true, 3);
        row.int(6, i.protocol_error.into());
        let values = [s.pri_zero_rcvd, s.pri_zero_sent, s.invalid_type_rcvd, s.addr_list_err, s.packet_len_err];
        put(&mut row, values, true, 7);
        row.put(12, Value::TimeTicks(0)).gauge(13, (i.advert_interval * 1000.0).round() as u32);
    }
}
