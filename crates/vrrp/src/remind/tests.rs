use super::*;
use crate::testkit::*;
use crate::{Config, InstanceConfig};
use std::collections::HashMap;
use steadfast_core::State;

fn serving(addresses: usize) -> InstanceConfig {
    let mut c = instance("VI", 0, 51, 100);
    let all = (0..addresses).map(|n| format!("10.0.{}.{}/16", 1 + n / 200, n % 200));
    c.addresses = all.map(|a| Address::new(cidr(&a), "eth0")).collect::<Vec<_>>().into();
    c.garp.unasked = true;
    c
}

/// Reminders, each with the second in which it came.
fn reminders(solo: &mut Solo, seconds: u64) -> Vec<(u64, std::net::IpAddr)> {
    let mut all = Vec::new();
    solo.take();
    for second in 0..seconds {
        solo.run_ms(1000);
        let out = solo.take();
        all.extend(
            out.iter()
                .filter_map(|o| if let Output::Remind { address, .. } = o { Some((second, *address)) } else { None }),
        );
    }
    all
}

fn often(all: &[(u64, std::net::IpAddr)]) -> HashMap<std::net::IpAddr, usize> {
    let mut counts = HashMap::new();
    all.iter().for_each(|(_, a)| *counts.entry(*a).or_default() += 1);
    counts
}

#[test]
fn each_address_of_a_master_is_announced_once_in_five_seconds() {
    for addresses in [1, 3, 15, 200] {
        let mut c = serving(addresses);
        c.excluded = vec![Address::new(cidr("10.9.9.9/32"), "eth1")];
        let mut solo = Solo::master(one(c));
        solo.run_ms(12_000);
        let all = reminders(&mut solo, 5);
        let counts = often(&all);
        assert_eq!(counts.len(), addresses + 1, "{all:?}");
        assert!(counts.values().all(|n| (1..=2).contains(n)), "{counts:?}");
        // and no schedule of theirs is in the log
        solo.run_ms(10_000);
        assert!(!logs(&solo.take()).iter().any(|l| l.contains("gratuitous")));
    }
}

#[test]
fn many_addresses_take_longer_and_no_second_has_more_than_fifty() {
    let mut solo = Solo::master(one(serving(1000)));
    solo.run_ms(12_000);
    let all = reminders(&mut solo, 20);
    for second in 0..20 {
        assert!(all.iter().filter(|(at, _)| *at == second).count() <= 50, "{second}");
    }
    assert_eq!(often(&all).len(), 1000);
}

#[test]
fn nobody_is_reminded_where_a_period_is_given_or_somebody_else_is_master() {
    let mut c = serving(1);
    c.garp.unasked = false;
    let mut solo = Solo::master(one(c.clone()));
    assert_eq!(reminders(&mut solo, 30), []);
    // a reload that takes the word away begins with them, one that brings it ends them
    solo.router.reload(solo.now, one(serving(1)), &mut solo.out);
    assert_eq!(reminders(&mut solo, 30).len(), 6);
    solo.router.reload(solo.now, one(c), &mut solo.out);
    assert_eq!(reminders(&mut solo, 30), []);
    let mut solo = Solo::master(one(serving(1)));
    solo.hear(PEER, 200);
    assert_eq!(solo.state(), State::Backup);
    for _ in 0..30 {
        assert_eq!(reminders(&mut solo, 1), []);
        solo.hear(PEER, 200);
    }
}

#[test]
fn who_was_held_up_listens_before_it_reminds_anybody() {
    let mut solo = Solo::master(one(serving(1)));
    solo.run_ms(5000);
    solo.take();
    // The adverts' timer comes first as a rule; a reminder must not depend on that.
    solo.now += Duration::from_secs(30);
    let mut out = Vec::new();
    solo.router.remind(solo.now, &mut out);
    assert!(!out.iter().any(|o| matches!(o, Output::Remind { .. })), "{out:?}");
    solo.take();
    solo.run_ms(30_000);
    assert!(solo.take().iter().any(|o| matches!(o, Output::Remind { .. })));
}

/// Who set a gap between announcements on a link has it between these, too; and they are in nobody's way.
#[test]
fn a_gap_between_announcements_holds_for_reminders() {
    let config = Config { garp_interval: Duration::from_secs(1), ..one(serving(20)) };
    let mut solo = Solo::master(config);
    solo.run_ms(300_000);
    assert_eq!(reminders(&mut solo, 1), []);
    solo.run_ms(20_000);
    assert!((5..=21).contains(&announced(&solo.take())));
    // Without them there is soon nothing that waits: what somebody asks for goes out at once.
    let mut c = serving(20);
    c.garp.unasked = false;
    let quiet = Config { garp_interval: Duration::from_secs(1), ..one(c) };
    solo.router.reload(solo.now, quiet, &mut solo.out);
    solo.run_ms(3000);
    solo.take();
    solo.run_ms(10_000);
    assert_eq!(announced(&solo.take()), 0);
}

/// A stall makes all masters listen; when that is over clients are reminded as before.
#[test]
fn reminders_go_on_after_a_stall() {
    let mut solo = Solo::master(one(serving(1)));
    solo.run_ms(4000);
    solo.now += Duration::from_secs(10);
    let mut out = Vec::new();
    solo.router.poll(solo.now, &mut out);
    assert!(!out.iter().any(|o| matches!(o, Output::Remind { .. })), "{out:?}");
    assert!(reminders(&mut solo, 20).len() >= 2);
}

/// With `timer_expired_backup` the first look at a late master makes it backup: none of its addresses is announced any more.
#[test]
fn what_was_given_up_a_moment_ago_is_not_announced() {
    let mut c = serving(15);
    c.timer_expired_backup = Some(100);
    let mut solo = Solo::master(one(c));
    solo.run_ms(4000);
    solo.now += Duration::from_secs(30);
    let mut out = Vec::new();
    solo.router.remind(solo.now, &mut out);
    assert_eq!(solo.state(), State::Backup);
    assert!(!out.iter().any(|o| matches!(o, Output::Remind { .. })), "{out:?}");
}
