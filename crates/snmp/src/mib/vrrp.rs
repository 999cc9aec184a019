//! KEEPALIVED-MIB, vrrp: sync groups, instances, what they track, and the trackers.

use super::{Facts, KEEPALIVED, at, command, state, weight};
use crate::oid::Oid;
use crate::view::{Setting, View};
use steadfast_config::model::{InitialState, Script, SyncGroup, Track, TrackProcess, VrrpInstance};
use steadfast_status::Instance;

/// A whole number of what a time has.
fn part(seconds: f64, of: f64) -> u32 {
    // Both are far below 2^32.
    (seconds * of).round() as u32
}

fn table(n: u32) -> Oid {
    at(&KEEPALIVED, &[2, n, 1])
}

/// A tracker of a row: name, own weight and direction.
type Default<'a> = &'a dyn Fn(&str) -> Option<(i32, bool)>;

pub(super) fn fill(v: &mut View, f: &Facts<'_>) {
    let c = f.config;
    groups(v, f);
    let instances = table(3);
    v.columns(&instances, 2..=35);
    for (n, i) in (1..).zip(&c.instances) {
        instance(v, f, n, i);
    }
    let none: Default<'_> = &|_| Some((0, false));
    let script: Default<'_> = &|n| c.scripts.iter().find(|s| s.name == n && !s.disabled).map(|s| s.weight);
    let file: Default<'_> = &|n| c.files.iter().find(|s| s.name == n).map(|s| s.weight);
    let session: Default<'_> = &|n| c.bfd.iter().find(|s| s.name == n).map(|s| s.weight);
    let process: Default<'_> = &|n| c.processes.iter().find(|s| s.name == n).map(|s| s.weight);
    type Of<T> = fn(&T) -> &Vec<Track>;
    // Table of instances, table of groups, number of the first column, entries, what is tracked.
    let kinds: [(u32, u32, u32, Of<VrrpInstance>, Of<SyncGroup>, Default<'_>); 5] = [
        (4, 14, 1, |i| &i.track_interface, |g| &g.track_interface, none),
        (5, 15, 2, |i| &i.track_script, |g| &g.track_script, script),
        (12, 16, 2, |i| &i.track_file, |g| &g.track_file, file),
        (17, 19, 2, |i| &i.track_bfd, |g| &g.track_bfd, session),
        (20, 22, 2, |i| &i.track_process, |g| &g.track_process, process),
    ];
    for (of_instance, of_group, column, instance, group, default) in kinds {
        tracked(v, of_instance, column, c.instances.iter().map(instance), default);
        tracked(v, of_group, column, c.groups.iter().map(group), default);
    }
    scripts(v, f);
    files(v, f);
    sessions(v, f);
    processes(v, f);
}

/// The entries of each owner; what is tracked but not there is left out.
fn tracked<'a>(
    v: &mut View,
    number: u32,
    column: u32,
    owners: impl Iterator<Item = &'a Vec<Track>>,
    default: Default<'_>,
) {
    let table = table(number);
    v.columns(&table, column..column + 3);
    for (owner, entries) in (1..).zip(owners) {
        let there = entries.iter().filter_map(|t| default(&t.name).map(|d| (t, weight(t, d))));
        for (n, (t, (weight, reverse))) in (1..).zip(there) {
            v.row(&table, [owner, n]).text(column, &t.name).int(column + 1, weight).truth(column + 2, reverse);
        }
    }
}

fn groups(v: &mut View, f: &Facts<'_>) {
    let (groups, members) = (table(1), table(2));
    v.columns(&groups, 2..=11);
    v.columns(&members, [2]);
    for (n, g) in (1..).zip(&f.config.groups) {
        let now = f.vrrp.and_then(|s| s.groups.iter().find(|x| x.0 == g.name)).map(|x| x.1);
        let default = f.config.globals.smtp_alert_vrrp.or(f.config.globals.smtp_alert).unwrap_or(false);
        let scripts =
            [(6, &g.notify_master), (7, &g.notify_backup), (8, &g.notify_fault), (9, &g.notify), (11, &g.notify_stop)];
        let mut row = v.row(&groups, [n]);
        row.text(2, &g.name)
            .int(3, state(now))
            .truth(4, g.smtp_alert.unwrap_or(default))
            .truth(5, scripts.iter().any(|s| s.1.is_some()))
            .truth(10, g.sync_group_tracking_weight);
        for (column, script) in scripts {
            row.some_text(column, script.as_ref().map(command).as_deref());
        }
        for (m, name) in (1..).zip(g.group.iter().flatten()) {
            v.row(&members, [n, m]).text(2, name);
        }
    }
}

fn instance(v: &mut View, f: &Facts<'_>, n: u32, i: &VrrpInstance) {
    let table = table(3);
    let unknown = Instance::default();
    let now = f.instance(&i.name);
    let s = now.unwrap_or(&unknown);
    let g = &f.config.globals;
    let name = i.name.clone();
    let group = f.config.groups.iter().find(|x| x.group.iter().flatten().any(|m| *m == i.name));
    let sync = g.lvs_sync_daemon.as_ref().filter(|d| d.instance.as_ref() == Some(&i.name));
    let start = i.state == Some(InitialState::Master) || (i.state.is_none() && i.priority == Some(255));
    let interval = part(s.advert_interval, if s.version == 3 { 100.0 } else { 1.0 });
    let mut row = v.row(&table, [n]);
    row.text(2, &i.name).gauge(3, s.vrid).int(4, state(now.map(|s| s.state))).int(5, if start { 2 } else { 1 });
    row.int(6, state(now.map(|s| s.want_state)))
        .settable(7, crate::wire::Value::Integer(s.base_priority.into()), Setting::Priority(name.clone()))
        .int(8, s.effective_priority.into())
        .truth(9, s.addresses_set)
        .text(10, &s.interface)
        .truth(11, !s.dont_track_primary)
        .gauge(12, interval)
        .settable(13, crate::view::truth(!s.nopreempt), Setting::Preempt(name))
        .gauge(14, s.preempt_delay)
        .int(15, s.auth_type.into())
        .truth(16, sync.is_some())
        .some_text(17, sync.map(|d| d.interface.as_str()))
        .some_text(18, group.map(|x| x.name.as_str()))
        .gauge(19, s.garp_delay)
        .truth(20, s.smtp_alert);
    let deleted = i.notify_deleted.as_ref().and_then(Option::as_ref);
    let scripts: [(u32, Option<&Script>); 7] = [
        (22, i.notify_master.as_ref()),
        (23, i.notify_backup.as_ref()),
        (24, i.notify_fault.as_ref()),
        (25, i.notify_stop.as_ref()),
        (26, i.notify.as_ref()),
        (31, i.notify_master_rx_lower_pri.as_ref()),
        (32, deleted),
    ];
    row.truth(21, scripts.iter().any(|s| s.1.is_some()));
    for (column, script) in scripts {
        row.some_text(column, script.map(command).as_deref());
    }
    row.truth(27, s.accept)
        .truth(28, s.promote_secondaries)
        .truth(29, false)
        .int(30, s.version.into())
        .truth(33, s.notify_deleted);
    if let Some(group) = s.multicast {
        row.int(34, crate::view::family(group)).address(35, group);
    }
}

fn scripts(v: &mut View, f: &Facts<'_>) {
    let table = table(9);
    v.columns(&table, 2..=9);
    for (n, s) in (1..).zip(f.config.scripts.iter().filter(|s| !s.disabled)) {
        let now = f.vrrp.and_then(|x| x.scripts.iter().find(|x| x.name == s.name));
        // init(1), bad(2), good(3)
        let result = now.map_or(1, |x| if x.good { 3 } else { 2 });
        v.row(&table, [n])
            .text(2, &s.name)
            .text(3, &s.script.as_ref().map(command).unwrap_or_default())
            .int(4, i32::try_from(s.interval.map_or(1, |d| d.as_secs())).unwrap_or(i32::MAX))
            .int(5, s.weight.0)
            .int(6, result)
            .gauge(7, s.rise)
            .gauge(8, s.fall)
            .truth(9, s.weight.1);
    }
}

fn files(v: &mut View, f: &Facts<'_>) {
    let table = table(13);
    v.columns(&table, 2..=6);
    for (n, x) in (1..).zip(&f.config.files) {
        let now = f.vrrp.and_then(|s| s.files.iter().find(|s| s.0 == x.name)).map_or(0, |s| s.1);
        v.row(&table, [n])
            .text(2, &x.name)
            .text(3, x.file.as_deref().unwrap_or(""))
            .int(4, i32::try_from(now.clamp(i32::MIN.into(), i32::MAX.into())).unwrap_or(0))
            .int(5, x.weight.0)
            .truth(6, x.weight.1);
    }
}

fn sessions(v: &mut View, f: &Facts<'_>) {
    let table = table(18);
    v.columns(&table, 2..=5);
    for (n, b) in (1..).zip(&f.config.bfd) {
        let up = f.bfd.is_some_and(|x| x.sessions.iter().any(|s| s.name == b.name && s.up));
        v.row(&table, [n]).text(2, &b.name).int(3, up.into()).int(4, b.weight.0).truth(5, b.weight.1);
    }
}

fn processes(v: &mut View, f: &Facts<'_>) {
    let table = table(21);
    v.columns(&table, 2..=14);
    for (n, p) in (1..).zip(&f.config.processes) {
        process(v, &table, f, n, p);
    }
}

fn process(v: &mut View, table: &Oid, f: &Facts<'_>, n: u32, p: &TrackProcess) {
    let now = f.vrrp.and_then(|s| s.processes.iter().find(|s| s.name == p.name));
    let (path, words) = p.process.as_ref().and_then(|s| s.argv.split_first()).map_or(("", &[][..]), |(a, b)| (a, b));
    let words: Vec<String> = words.iter().map(|w| format!("'{w}'")).collect();
    let matching = match p.param_match.as_deref() {
        None => 0,
        Some("initial") => 3,
        Some("partial") => 2,
        Some(_) => 1,
    };
    let delay = |own: Option<std::time::Duration>| own.or(p.delay).unwrap_or_default().as_micros();
    v.row(table, [n])
        .text(2, &p.name)
        .text(3, path)
        .text(4, &words.join(" "))
        .int(5, matching)
        .int(6, p.weight.0)
        .truth(7, p.weight.1)
        .gauge(8, p.quorum)
        .int(9, p.quorum_max.and_then(|m| i32::try_from(m).ok()).unwrap_or(-1))
        .gauge(10, delay(p.fork_delay))
        .gauge(11, delay(p.terminate_delay))
        .truth(12, p.full_command)
        .int(13, now.and_then(|s| i32::try_from(s.current_processes).ok()).unwrap_or(0))
        .truth(14, now.is_some_and(|s| s.have_quorum));
}
