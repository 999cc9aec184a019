use crate::testkit::*;
use crate::*;
use std::time::Duration;
use steadfast_core::State;

/// Two instances on eth0 and eth1, together.
fn config(priority: u8) -> Config {
    Config {
        instances: vec![instance("OUT", 0, 51, priority), instance("IN", 1, 52, priority)],
        groups: vec![GroupConfig {
            name: "G".into(),
            members: vec!["OUT".into(), "IN".into()],
            tracking_weight: false,
        }],
        ..Config::default()
    }
}

fn pair() -> Net {
    let mut net = Net::new(vec![config(200), config(100)]);
    net.run_for(10_000);
    assert_eq!(states(&net, 0), [State::Master; 2]);
    assert_eq!(states(&net, 1), [State::Backup; 2]);
    net
}

fn states(net: &Net, n: usize) -> Vec<State> {
    net.nodes[n].router.as_ref().expect("runs").views().map(|v| v.state).collect()
}

#[test]
fn a_successor_process_tells_nothing_of_a_group_whose_state_was_told() {
    let mut solo = Solo::new(config(100));
    solo.run_ms(3700);
    assert_eq!(notices(&solo.take()).last().map(String::as_str), Some("[G] MASTER"));
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let mut out = Vec::new();
    let router = Router::restore(config(100), &snapshots, 1, t(0), &mut out);
    let mut next = Solo { router, out, now: t(0) };
    next.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
    next.input(Input::Link(link(3, "eth1", true, &[addr(0, 1)])));
    next.router.poll(t(0), &mut next.out);
    next.run_ms(5000);
    assert_eq!(notices(&next.take()), Vec::<String>::new());
    assert_eq!(next.router.group_states(), [("G".to_string(), State::Master)]);
}

#[test]
fn the_order_of_notices_at_start_master_fault_recovery_and_stop() {
    let mut solo = Solo::new(config(100));
    assert_eq!(notices(&solo.take()), ["[G] BACKUP", "OUT BACKUP", "IN BACKUP"]);
    solo.run_ms(3700);
    let out = solo.take();
    assert_eq!(notices(&out), ["OUT MASTER", "IN MASTER", "[G] MASTER"]);
    assert!(logs(&out).contains(&"VRRP_Group(G) Syncing instances to MASTER state"));
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    solo.run_ms(1000);
    let out = solo.take();
    assert_eq!(notices(&out), ["OUT FAULT", "IN FAULT", "[G] FAULT"]);
    assert!(logs(&out).contains(&"VRRP_Group(G) Syncing instances to FAULT state"));
    assert_eq!(solo.router.views().nth(1).expect("IN").faults, ["OUT of sync group G is in FAULT"]);
    solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
    let out = solo.take();
    assert_eq!(notices(&out), ["OUT BACKUP", "IN BACKUP", "[G] BACKUP"]);
    let synced = logs(&out).iter().filter(|l| **l == "VRRP_Group(G) Syncing instances to BACKUP state").count();
    assert_eq!(synced, 1, "{:?}", logs(&out));
    solo.input(Input::Stop { keep_objects: false });
    assert_eq!(notices(&solo.take()), ["OUT STOP", "IN STOP", "[G] STOP"]);
}

#[test]
fn a_cut_link_hands_over_all_members_together_without_waiting_for_the_silent_one() {
    let mut net = pair();
    let from = net.now;
    net.set_link(0, 0, false);
    // the healthy side says priority 0 at once and serves on
    assert!(net.holds(0));
    net.run_until(5_000, |n| states(n, 1) == [State::Master; 2]);
    let took = net.now.since(from);
    assert!(took < Duration::from_millis(20), "{took:?}");
    net.run_for(10);
    assert_eq!(states(&net, 0), [State::Fault; 2]);
    assert!(!net.holds(0));
    let healthy_gone = net
        .when(
            0,
            from,
            |o| matches!(o, Output::Remove(steadfast_core::kernel::Object::Address(a)) if a.interface == "eth1"),
        )
        .expect("removed");
    let healthy_taken = net
        .when(1, from, |o| matches!(o, Output::Announce { interface, .. } if interface == "eth1"))
        .expect("announced");
    assert!(healthy_gone >= healthy_taken, "no gap on the healthy side");
}

/// Nobody was told, and nobody had the time to notice; where a member's own link was there its peer was told, and has the group.
#[test]
fn a_link_that_is_away_for_a_moment_costs_a_group_no_failover() {
    let on_one_link = |priority| {
        let mut c = config(priority);
        c.instances[1] = instance("IN", 0, 52, priority);
        c
    };
    for (away, resumes) in [(200, true), (1_700, true), (3_000, false)] {
        let mut net = Net::new(vec![on_one_link(200), on_one_link(100)]);
        net.run_for(10_000);
        assert_eq!(states(&net, 0), [State::Master; 2]);
        let from = net.now;
        net.set_link(0, 0, false);
        assert_eq!(states(&net, 0), [State::Fault; 2]);
        net.run_for(away);
        net.set_link(0, 0, true);
        net.run_for(100);
        assert_eq!(states(&net, 0) == [State::Master; 2], resumes, "away for {away} ms");
        net.run_for(10_000);
        assert_eq!((states(&net, 0), states(&net, 1)), (vec![State::Master; 2], vec![State::Backup; 2]));
        let taken = net.outputs_since(1, from).iter().any(|o| matches!(o, Output::Add(_)));
        assert_eq!(taken, !resumes, "away for {away} ms");
    }
    // One of two links.
    let mut net = pair();
    net.set_link(0, 0, false);
    net.run_for(200);
    net.set_link(0, 0, true);
    net.run_for(50);
    assert_eq!((states(&net, 0), states(&net, 1)), (vec![State::Backup; 2], vec![State::Master; 2]));
}

#[test]
fn a_silent_link_alone_moves_nobody() {
    let mut solo = Solo::new(config(100));
    solo.take();
    for _ in 0..20 {
        solo.hear_nth(1, "10.0.1.9", 200);
        solo.run_ms(1000);
    }
    assert_eq!(solo.states(), [State::Backup; 2]);
    // and when the other falls silent too, both go
    solo.run_ms(3700);
    assert_eq!(solo.states(), [State::Master; 2]);
}

#[test]
fn priority_zero_on_one_member_does_not_override_a_master_that_is_heard_on_the_other() {
    let mut solo = Solo::new(config(100));
    solo.hear_nth(0, PEER, 200);
    solo.hear_nth(1, "10.0.1.9", 200);
    solo.run_ms(500);
    solo.hear_nth(0, PEER, 0);
    for _ in 0..5 {
        solo.run_ms(300);
        solo.hear_nth(1, "10.0.1.9", 200);
    }
    assert_eq!(solo.states(), [State::Backup; 2]);
}

#[test]
fn a_member_that_yields_takes_the_others_with_it_and_hands_over() {
    let mut solo = Solo::new(config(100));
    solo.run_ms(3700);
    solo.take();
    solo.hear_nth(0, PEER, 200);
    let out = solo.take();
    assert_eq!(sent(&out), [100, 0], "the last word of one, priority 0 of the other");
    assert_eq!(removed(&out), 1);
    assert_eq!(notices(&out), ["OUT BACKUP"]);
    solo.hear_nth(1, "10.0.1.9", 200);
    let out = solo.take();
    assert_eq!(removed(&out), 1);
    assert_eq!(notices(&out), ["IN BACKUP", "[G] BACKUP"]);
    assert_eq!(solo.states(), [State::Backup; 2]);
}

#[test]
fn a_group_whose_master_sinks_is_taken_over_early_and_together() {
    let mut solo = Solo::new(config(100));
    for (i, from) in [(0, PEER), (1, "10.0.1.9")] {
        solo.hear_nth(i, from, 200);
    }
    solo.run_ms(1000);
    solo.hear_nth(0, PEER, 50);
    solo.run_ms(9);
    assert_eq!(solo.states(), [State::Backup; 2], "the other one is still well");
    solo.hear_nth(1, "10.0.1.9", 50);
    solo.run_ms(10);
    assert_eq!(solo.states(), [State::Master; 2]);
}

#[test]
fn a_lower_advert_on_one_member_refreshes_the_announcements_of_all() {
    let mut solo = Solo::new(config(100));
    solo.run_ms(3700);
    solo.take();
    solo.hear_nth(0, PEER, 50);
    let out = solo.take();
    assert_eq!(announced(&out), 10);
    assert_eq!(notices(&out), ["OUT MASTER_RX_LOWER_PRI"]);
}

#[test]
fn owners_in_state_master_start_as_masters_only_all_together() {
    let mut c = config(255);
    c.instances[0].start_master = true;
    let solo = Solo::new(c.clone());
    assert_eq!(solo.states(), [State::Backup; 2]);
    c.instances[1].start_master = true;
    let mut solo = Solo::new(c);
    assert_eq!(solo.states(), [State::Master; 2]);
    assert_eq!(notices(&solo.take()), ["OUT MASTER", "IN MASTER", "[G] MASTER"]);
}

#[test]
fn an_orderly_stop_of_a_group_leaves_no_gap() {
    let mut net = pair();
    net.stop(0);
    net.run_until(2_000, |n| n.stopped(0));
    assert_eq!(states(&net, 1), [State::Master; 2]);
    assert!(net.now.since(t(11_000)) < Duration::from_millis(20));
}

#[test]
fn group_states_are_told() {
    let mut solo = Solo::new(config(100));
    assert_eq!(solo.router.group_states(), [("G".to_owned(), State::Backup)]);
    solo.run_ms(3700);
    assert_eq!(solo.router.group_states(), [("G".to_owned(), State::Master)]);
}

/// Members with masters on different hosts, brought together by a reload of each host.
#[test]
fn members_that_a_reload_brings_together_end_on_one_host() {
    let lone = |out: u8, inner: u8| Config {
        instances: vec![instance("OUT", 0, 51, out), instance("IN", 1, 52, inner)],
        ..Config::default()
    };
    let mut net = Net::new(vec![lone(200, 50), lone(100, 150)]);
    net.run_for(10_000);
    assert_eq!(states(&net, 0), [State::Master, State::Backup]);
    assert_eq!(states(&net, 1), [State::Backup, State::Master]);
    for n in 0..2 {
        let mut config = lone([200, 100][n], [50, 150][n]);
        config.groups = self::config(1).groups;
        net.reload(n, config);
        net.run_for(300);
    }
    net.run_for(15_000);
    let (a, b) = (states(&net, 0), states(&net, 1));
    assert!(a == [State::Master; 2] && b == [State::Backup; 2] || b == [State::Master; 2] && a == [State::Backup; 2]);
}

/// A fault that members have in common is not told as each other's fault.
#[test]
fn members_with_one_fault_do_not_name_each_other() {
    let mut both = config(100);
    let tracked = Track { what: Tracked::Interface("eth77".into()), weight: 0, reverse: false };
    both.instances.iter_mut().for_each(|i| i.tracks.push(tracked.clone()));
    let mut solo = Solo::new(both);
    let faults = |solo: &Solo| solo.router.views().map(|v| v.faults).collect::<Vec<_>>();
    assert_eq!(faults(&solo), [["tracked interface eth77 is down"]; 2]);
    // One that has another one, too, is named.
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    assert_eq!(faults(&solo)[1], ["tracked interface eth77 is down", "OUT of sync group G is in FAULT"]);
}
