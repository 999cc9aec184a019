use super::*;
use crate::testkit::*;
use crate::{Input, ScriptConfig, ScriptEnd};
use proptest::prelude::*;
use std::time::Duration;
use steadfast_core::State;
use steadfast_core::kernel::Address;

fn vi() -> InstanceConfig {
    instance("VI", 0, 51, 100)
}

fn track(what: Tracked, weight: i32, reverse: bool) -> Track {
    Track { what, weight, reverse }
}

fn world(eth0: bool, eth1: bool) -> Trackers {
    let mut w = Trackers::default();
    w.links.insert("eth0".into(), link(2, "eth0", eth0, &[addr(0, 0)]));
    w.links.insert("eth1".into(), link(3, "eth1", eth1, &[addr(1, 0)]));
    w
}

#[test]
fn a_tracked_interface_faults_gains_or_loses_by_its_weight_and_reverse() {
    for (weight, reverse, up, priority, fault) in [
        (0, false, true, 100, false),
        (0, false, false, 100, true),
        (0, true, true, 100, true),
        (0, true, false, 100, false),
        (20, false, true, 120, false),
        (20, false, false, 100, false),
        (-20, false, true, 100, false),
        (-20, false, false, 80, false),
        (20, true, true, 80, false),
        (20, true, false, 100, false),
        (-20, true, true, 100, false),
        (-20, true, false, 120, false),
        (254, false, true, 254, false),
        (-254, false, false, 1, false),
    ] {
        let mut c = vi();
        c.tracks = vec![track(Tracked::Interface("eth1".into()), weight, reverse)];
        let world = world(true, up);
        let a = world.assess(&c, None);
        assert_eq!((a.priority, !a.faults.is_empty()), (priority, fault), "{weight} {reverse} {up}");
        assert_eq!(world.parts(&c)[0].good, Some(up), "{weight} {reverse}");
    }
}

#[test]
fn an_owners_priority_never_changes() {
    let mut c = vi();
    c.priority = 255;
    c.tracks = vec![track(Tracked::Interface("eth1".into()), -20, false)];
    assert_eq!(world(true, false).assess(&c, None).priority, 255);
}

#[test]
fn weights_add_up() {
    let mut c = vi();
    c.tracks = vec![
        track(Tracked::Interface("eth1".into()), -30, false),
        track(Tracked::Interface("eth0".into()), 10, false),
        track(Tracked::Interface("gone".into()), -5, false),
    ];
    assert_eq!(world(true, false).assess(&c, None).priority, 75);
}

#[test]
fn files_multiply_and_too_low_a_product_is_a_fault() {
    for (value, weight, reverse, priority, fault) in [
        (0, 0, false, 100, false),
        (1, 0, false, 100, true),
        (0, 0, true, 100, true),
        (5, 2, false, 110, false),
        (-5, 2, false, 90, false),
        (5, 2, true, 90, false),
        (1000, 1, false, 254, false),
        (-254, 1, false, 100, true),
        (i64::MIN, 3, false, 100, true),
        (i64::MAX, 254, false, 254, false),
    ] {
        let mut w = world(true, true);
        w.files.insert("f".into(), value);
        let mut c = vi();
        c.tracks = vec![track(Tracked::File("f".into()), weight, reverse)];
        let a = w.assess(&c, None);
        assert_eq!((a.priority, !a.faults.is_empty()), (priority, fault), "{value} {weight} {reverse}");
    }
}

#[test]
fn the_reasons_of_a_fault_are_all_listed() {
    let mut c = vi();
    c.addresses.push(Address::new(cidr("10.0.1.60/24"), "eth1"));
    c.addresses.push(Address::new(cidr("10.0.1.61/24"), "eth99"));
    c.tracks = vec![track(Tracked::Interface("eth2".into()), 0, false), track(Tracked::File("f".into()), 0, false)];
    let mut w = world(false, false);
    w.files.insert("f".into(), 3);
    let faults: Vec<String> = w.assess(&c, None).faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        faults,
        [
            "interface eth0 is down",
            "interface eth1 of a virtual address is down",
            "interface eth99 of a virtual address does not exist",
            "tracked interface eth2 is down",
            "file f has value 3"
        ]
    );
}

#[test]
fn the_link_of_an_untracked_address_does_not_matter_nor_an_untracked_own_link() {
    let mut c = vi();
    let mut far = Address::new(cidr("10.0.1.60/24"), "eth1");
    far.no_track = true;
    c.addresses.push(far);
    c.dont_track_primary = true;
    assert!(world(false, false).assess(&c, None).faults.is_empty());
}

#[test]
fn the_source_is_an_address_that_is_not_ours_and_stays_while_it_is_there() {
    let mut w = world(true, true);
    w.managed.insert("eth0".into(), HashSet::from([ip("10.0.0.151")]));
    w.links.insert("eth0".into(), link(2, "eth0", true, &[ip("10.0.0.151"), ip("10.0.0.3"), ip("10.0.0.2")]));
    assert_eq!(w.assess(&vi(), None).source, Some(ip("10.0.0.3")));
    assert_eq!(w.assess(&vi(), Some(ip("10.0.0.2"))).source, Some(ip("10.0.0.2")));
    assert_eq!(w.assess(&vi(), Some(ip("10.0.0.7"))).source, Some(ip("10.0.0.3")));
    w.links.insert("eth0".into(), link(2, "eth0", true, &[ip("10.0.0.151")]));
    assert_eq!(w.assess(&vi(), None).faults, [Fault::NoSource("eth0".into())]);
    let mut owner = vi();
    owner.priority = 255;
    assert_eq!(w.assess(&owner, None).source, Some(ip("10.0.0.151")));
}

#[test]
fn a_missing_configured_source_is_a_fault_where_it_is_tracked_or_bound_to() {
    let mut c = vi();
    c.source = Some(ip("10.0.0.77"));
    assert!(world(true, true).assess(&c, None).faults.is_empty());
    c.track_source = true;
    assert_eq!(world(true, true).assess(&c, None).faults, [Fault::SourceAbsent(ip("10.0.0.77"))]);
    c.track_source = false;
    c.unicast = Some(crate::Unicast {
        peers: vec![crate::Peer { address: ip(PEER), min_ttl: 0, max_ttl: 255 }],
        ttl: 255,
        check_source: true,
    });
    assert_eq!(world(true, true).assess(&c, None).faults, [Fault::SourceAbsent(ip("10.0.0.77"))]);
    c.source = Some(addr(1, 0));
    assert!(world(true, true).assess(&c, None).faults.is_empty());
}

#[test]
fn an_instance_whose_interface_is_absent_waits_says_so_once_and_starts_when_it_comes() {
    let mut c = vi();
    c.interface = "eth9".into();
    c.addresses[0].interface = "eth9".into();
    let mut solo = Solo::new(one(c));
    assert_eq!(solo.state(), State::Fault);
    assert_eq!(solo.view().faults[0], "interface eth9 does not exist");
    solo.run_ms(60_000);
    solo.input(Input::Link(link(3, "eth1", false, &[])));
    assert_eq!(logs(&solo.take()).iter().filter(|l| l.contains("eth9 does not exist")).count(), 1);
    // without an address it is not there yet
    solo.input(Input::Link(link(7, "eth9", true, &[])));
    assert_eq!((solo.state(), solo.view().faults.len()), (State::Fault, 1));
    solo.input(Input::Link(link(7, "eth9", true, &[ip("10.0.9.1")])));
    assert_eq!(solo.state(), State::Backup);
    solo.run_ms(3610);
    assert_eq!(solo.state(), State::Master);
    let out = solo.take();
    assert!(out.iter().any(|o| matches!(o, crate::Output::Send(s) if s.interface == 7)));
}

fn chk(weight: i32, init_fail: bool) -> crate::Config {
    let mut c = vi();
    c.tracks = vec![track(Tracked::Script("chk".into()), weight, false)];
    let script = ScriptConfig {
        name: "chk".into(),
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        init_fail,
        command: "chk".into(),
    };
    crate::Config { scripts: vec![script], ..one(c) }
}

#[test]
fn a_script_without_weight_is_waited_for_in_silence() {
    let mut solo = Solo::new(chk(0, false));
    assert_eq!(solo.state(), State::Init);
    assert!(notices(&solo.out).is_empty());
    solo.run_ms(700);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    assert_eq!(solo.state(), State::Backup);
    assert!(logs(&solo.take()).contains(&"VRRP_Script(chk) succeeded"));
    solo.run_ms(3609);
    assert_eq!(solo.state(), State::Backup, "a full timer from then on");
}

#[test]
fn init_fail_does_not_wait() {
    let solo = Solo::new(chk(0, true));
    assert_eq!(solo.state(), State::Fault);
    assert_eq!(solo.view().faults, ["script chk failed"]);
}

#[test]
fn a_weighted_script_is_not_waited_for_but_nobody_is_pushed_aside_before_its_first_result() {
    let mut solo = Solo::new(chk(-50, false));
    assert_eq!((solo.state(), solo.view().priority), (State::Backup, 100));
    solo.hear(PEER, 80);
    solo.run_ms(100);
    solo.hear(PEER, 80);
    solo.run_ms(100);
    assert_eq!(solo.state(), State::Backup);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    assert_eq!(solo.view().priority, 50);
}

#[test]
fn scripts_run_at_their_interval_and_time_out() {
    let mut solo = Solo::new(chk(-50, false));
    let starts = |out: &[crate::Output]| out.iter().filter(|o| matches!(o, crate::Output::StartScript(_))).count();
    assert_eq!(starts(&solo.take()), 1);
    solo.run_ms(999);
    assert!(!solo.take().iter().any(|o| matches!(o, crate::Output::KillScript(..))));
    solo.run_ms(5001);
    let out = solo.take();
    // Who does not even die of SIGKILL hangs in the kernel: that counts, whether its end comes or not.
    assert!(logs(&out).contains(&"VRRP_Script(chk) timed out"));
    let kills: Vec<_> = out
        .into_iter()
        .filter_map(|o| match o {
            crate::Output::KillScript(_, k) => Some(k),
            crate::Output::StartScript(_) => panic!("doubled"),
            _ => None,
        })
        .collect();
    assert_eq!(kills, [crate::Kill::Term, crate::Kill::Kill, crate::Kill::Kill]);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Signalled(9)));
    assert!(logs(&solo.take()).is_empty(), "no news");
    solo.run_ms(2000);
    assert_eq!(starts(&solo.take()), 1);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(3)));
    assert_eq!(logs(&solo.take()), ["Script `chk` now returning 3"]);
}

/// As keepalived's log has it: also where the verdict changes, and before it; a signal is no status.
#[test]
fn each_change_of_a_script_s_exit_status_is_logged() {
    let mut solo = Solo::new(chk(-50, false));
    solo.take();
    let mut run = |end: ScriptEnd| {
        solo.input(Input::ScriptEnded("chk", end));
        let said = solo.take();
        solo.run_ms(2000);
        solo.take();
        let mut said: Vec<String> = logs(&said).into_iter().map(String::from).collect();
        said.retain(|l| l.contains("cript"));
        said
    };
    let (good, bad) = ("VRRP_Script(chk) succeeded", "VRRP_Script(chk) failed (exited with status 1)");
    assert_eq!(run(ScriptEnd::Exited(1)), ["Script `chk` now returning 1", bad]);
    assert_eq!(run(ScriptEnd::Exited(1)), [""; 0]);
    assert_eq!(run(ScriptEnd::Exited(3)), ["Script `chk` now returning 3"]);
    assert_eq!(run(ScriptEnd::Exited(0)), ["Script `chk` now returning 0", good]);
    assert_eq!(run(ScriptEnd::Signalled(9)), ["VRRP_Script(chk) failed (due to signal 9)"]);
    assert_eq!(run(ScriptEnd::Exited(0)), [good]);
}

#[test]
fn process_reports_are_delayed_and_a_recovery_within_the_delay_is_no_event() {
    let mut c = vi();
    c.tracks = vec![track(Tracked::Process("haproxy".into()), 0, false)];
    let process = ProcessConfig {
        name: "haproxy".into(),
        quorum: 1,
        quorum_max: 3,
        terminate_delay: Duration::from_secs(2),
        fork_delay: Duration::from_secs(1),
    };
    let mut solo = Solo::new(crate::Config { processes: vec![process], ..one(c) });
    solo.input(Input::Process("haproxy", 1));
    solo.run_to_master();
    solo.input(Input::Process("haproxy", 0));
    solo.run_ms(1500);
    solo.input(Input::Process("haproxy", 2));
    solo.run_ms(2000);
    assert_eq!(solo.state(), State::Master);
    let quorum = |solo: &mut Solo| {
        logs(&solo.take())
            .iter()
            .filter(|l| l.contains("tracked process"))
            .map(|l| l.to_string())
            .collect::<Vec<String>>()
    };
    assert!(quorum(&mut solo).is_empty());
    solo.input(Input::Process("haproxy", 4));
    solo.run_ms(1999);
    assert!(solo.view().faults.is_empty());
    solo.run_ms(2);
    assert_eq!(solo.view().faults, ["process haproxy is not as required"]);
    solo.input(Input::Process("haproxy", 3));
    solo.run_ms(1100);
    assert_eq!(solo.state(), State::Backup);
    let said = ["Quorum lost for tracked process haproxy", "Quorum gained for tracked process haproxy"];
    assert_eq!(quorum(&mut solo), said);
}

proptest! {
    /// The same end, whatever the order and the number of events on the way: faults hold no memory.
    #[test]
    fn the_present_world_alone_decides(events in prop::collection::vec((0usize..3, any::<bool>(), any::<bool>()), 1..40)) {
        let mut c = vi();
        c.tracks = vec![track(Tracked::Interface("eth1".into()), 0, false), track(Tracked::File("f".into()), 0, false)];
        let mut solo = Solo::new(one(c.clone()));
        let (mut eth0, mut eth1, mut file) = (Some(true), Some(true), false);
        for (which, there, good) in events {
            match (which, there) {
                (0, true) => { eth0 = Some(good); solo.input(Input::Link(link(2, "eth0", good, &[addr(0, 0)]))); }
                (0, false) => { eth0 = None; solo.input(Input::LinkGone("eth0")); }
                (1, true) => { eth1 = Some(good); solo.input(Input::Link(link(3, "eth1", good, &[addr(1, 0)]))); }
                (1, false) => { eth1 = None; solo.input(Input::LinkGone("eth1")); }
                _ => { file = !good; solo.input(Input::File("f", i64::from(!good))); }
            }
            solo.run_ms(10);
        }
        solo.run_ms(2_000);
        let well = eth0 == Some(true) && eth1 == Some(true) && !file;
        prop_assert_eq!(solo.state() == State::Fault, !well);
        prop_assert_eq!(solo.view().faults.is_empty(), well);
        solo.run_ms(4_000);
        prop_assert_eq!(solo.state() == State::Master, well);
    }

    #[test]
    fn the_effective_priority_stays_within_1_and_254(base in 1u8..=254, weights in prop::collection::vec((-254i32..=254, any::<bool>()), 0..10)) {
        let mut c = vi();
        c.priority = base;
        c.tracks = weights.iter().filter(|(w, _)| *w != 0).map(|(w, r)| track(Tracked::Interface("eth1".into()), *w, *r)).collect();
        for up in [false, true] {
            let a = world(true, up).assess(&c, None);
            prop_assert!((1..=254).contains(&a.priority));
            prop_assert!(a.faults.is_empty());
        }
    }
}

#[test]
fn a_unicast_source_on_another_link_is_followed() {
    let mut c = vi();
    c.source = Some(ip("192.0.2.1"));
    c.unicast = Some(crate::Unicast {
        peers: vec![crate::Peer { address: ip(PEER), min_ttl: 0, max_ttl: 255 }],
        ttl: 255,
        check_source: true,
    });
    let mut solo = Solo::new(one(c));
    assert_eq!(solo.view().faults, ["source address 192.0.2.1 is not configured"]);
    solo.input(Input::Link(link(9, "dummy0", true, &[ip("192.0.2.1")])));
    assert_eq!(solo.state(), State::Backup);
    solo.input(Input::LinkGone("dummy0"));
    assert_eq!(solo.state(), State::Fault);
}

#[test]
fn a_bfd_session_faults_gains_or_loses_and_is_waited_for() {
    for (weight, reverse, up, priority, fault) in [
        (0, false, true, 100, false),
        (0, false, false, 100, true),
        (0, true, true, 100, true),
        (20, false, true, 120, false),
        (20, false, false, 100, false),
        (-20, false, false, 80, false),
        (20, true, true, 80, false),
        (-20, true, false, 120, false),
    ] {
        let mut c = vi();
        c.tracks = vec![track(Tracked::Session("s".into()), weight, reverse)];
        let mut w = world(true, true);
        let a = w.assess(&c, None);
        assert_eq!((a.priority, a.faults.is_empty(), a.waiting), (100, true, weight == 0));
        w.sessions.insert("s".into(), up);
        let a = w.assess(&c, None);
        assert_eq!((a.priority, !a.faults.is_empty(), a.waiting), (priority, fault, false), "{weight} {reverse} {up}");
    }
}

#[test]
fn a_master_follows_its_bfd_session_and_takes_what_it_knows_of_it_along() {
    let mut c = vi();
    c.tracks = vec![track(Tracked::Session("s".into()), 0, false)];
    let mut solo = Solo::new(one(c.clone()));
    solo.run_ms(10_000);
    assert_eq!(solo.state(), State::Init, "nobody has said how the session is");
    solo.input(Input::Session("s", true));
    solo.run_ms(10_000);
    assert_eq!(solo.state(), State::Master);
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    assert_eq!(snapshots[0].sessions, [("s".to_string(), true)]);
    // A successor of the other process tells the same again.
    solo.take();
    solo.input(Input::Session("s", true));
    assert!(solo.take().is_empty());
    solo.input(Input::Session("s", false));
    assert!(logs(&solo.take()).iter().any(|t| t.ends_with("Tracked BFD instance s is DOWN")));
    solo.run_ms(5000);
    assert_eq!(solo.state(), State::Fault);
    // One that is tracked no more has no say.
    let now = solo.now;
    solo.router.reload(now, one(vi()), &mut solo.out);
    solo.run_ms(10_000);
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn a_master_that_sinks_says_so_at_once_and_one_that_rises_in_its_turn() {
    for strict in [false, true] {
        let mut c = vi();
        c.strict = strict;
        c.tracks = vec![track(Tracked::Interface("eth1".into()), -30, false)];
        let mut solo = Solo::master(one(c));
        solo.input(Input::Link(link(3, "eth1", false, &[addr(1, 0)])));
        assert_eq!(sent(&solo.take()), if strict { vec![] } else { vec![70] }, "strict {strict}");
        solo.input(Input::Link(link(3, "eth1", true, &[addr(1, 0)])));
        assert_eq!(sent(&solo.take()), Vec::<u8>::new());
        solo.run_ms(1000);
        assert_eq!(sent(&solo.take()), [100]);
    }
}

#[test]
fn a_link_of_another_kind_is_no_vrf() {
    let mut c = vi();
    c.tracks = vec![track(Tracked::Vrf("eth1".into()), 0, false)];
    let said = |t: &Trackers| t.assess(&c, None).faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut t = world(true, true);
    assert_eq!(said(&t), ["eth1 is not a VRF"]);
    t.links.get_mut("eth1").expect("link").vrf = true;
    assert!(said(&t).is_empty());
    t.links.get_mut("eth1").expect("link").up = false;
    assert_eq!(said(&t), ["VRF eth1 is absent or down"]);
    t.links.remove("eth1");
    assert_eq!(said(&t), ["VRF eth1 is absent or down"]);
}

/// The process that starts scripts may hang: that is no fault of theirs.
#[test]
fn no_script_has_overrun_its_time_while_nobody_can_say_how_it_is() {
    let mut solo = Solo::new(chk(-50, false));
    solo.run_ms(100);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    assert_eq!(solo.view().priority, 100);
    solo.run_ms(950);
    solo.take();
    let killed = |out: &[crate::Output]| out.iter().any(|o| matches!(o, crate::Output::KillScript(..)));
    solo.router.hold_scripts(true, solo.now);
    solo.run_ms(6000);
    assert!(!killed(&solo.take()) && solo.view().priority == 100);
    solo.router.hold_scripts(false, solo.now);
    solo.run_ms(990);
    assert!(!killed(&solo.take()), "all of its time");
    solo.run_ms(20);
    assert!(killed(&solo.take()));
    // And not for ever.
    let mut solo = Solo::new(chk(-50, false));
    for _ in 0..20 {
        solo.router.hold_scripts(true, solo.now);
        solo.run_ms(400);
        solo.router.hold_scripts(false, solo.now);
        solo.run_ms(400);
    }
    assert!(killed(&solo.take()));
}
