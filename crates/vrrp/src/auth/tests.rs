use super::*;
use crate::doubt::QUESTION;
use crate::testkit::*;
use crate::{Config, HmacMode, Input, Output, Send, Track, Tracked, Version, wire};
use std::net::IpAddr;
use steadfast_core::{Secret, State, Time};

/// Hour, day, the year 1970 and far into the future: seconds since 1970 that a clock may be set to.
const STEPS: [u64; 7] = [1_800_003_600, 1_799_996_400, 1_800_086_400, 1_799_913_600, 0, 3_000_000_000, 4_200_000_000];

fn trailer() -> Hmac {
    Hmac {
        keys: vec![(1, Secret::new(vec![1; 32])), (2, Secret::new(vec![2; 32]))],
        active: 1,
        window: Duration::from_secs(5),
        monotonic: false,
        mode: HmacMode::Enforce,
    }
}

/// What makes a configuration one of a kind.
type Change = fn(&mut InstanceConfig);

/// AH; a trailer over version 2; over version 3; the same by order alone.
fn kinds() -> Vec<(&'static str, Change)> {
    vec![
        ("AH", |c| c.auth = Auth::Ah(Secret::new("secret"))),
        ("HMAC v2", |c| c.hmac = Some(trailer())),
        ("HMAC v3", |c| {
            c.version = Version::V3;
            c.advert_interval = Duration::from_millis(100);
            c.hmac = Some(trailer());
        }),
        ("HMAC monotonic", |c| c.hmac = Some(Hmac { monotonic: true, ..trailer() })),
    ]
}

fn config(priority: u8, change: Change) -> Config {
    let mut c = instance("VI", 0, 51, priority);
    change(&mut c);
    one(c)
}

fn pair(change: Change) -> Net {
    Net::new(vec![config(200, change), config(100, change)])
}

/// Runs on, and at no moment do two nodes hold the address.
fn run_alone(net: &mut Net, ms: u64, what: &str) {
    for _ in 0..ms {
        net.run_for(1);
        let holders = (0..net.nodes.len()).filter(|n| net.holds(*n)).count();
        assert!(holders < 2, "{what}: two masters at {:?}; {:?}", net.now, net.states());
    }
}

fn log_of(net: &Net, n: usize) -> Vec<String> {
    net.nodes[n]
        .log
        .iter()
        .filter_map(|(_, o)| if let Output::Log(_, s) = o { Some(s.clone()) } else { None })
        .collect()
}

#[test]
fn a_pair_elects_fails_over_and_comes_back() {
    for (what, change) in kinds() {
        let mut net = pair(change);
        net.run_for(5000);
        assert_eq!(net.states(), [State::Master, State::Backup], "{what}");
        net.crash(0);
        net.run_until(4000, |n| n.state(1) == State::Master);
        net.start(0);
        net.run_until(8000, |n| n.state(0) == State::Master);
        net.run_for(3000);
        assert_eq!(net.states(), [State::Master, State::Backup], "{what}");
        assert_eq!(net.nodes[1].router.as_ref().expect("runs").views().next().expect("one").sighting, None, "{what}");
    }
}

#[test]
fn no_step_of_any_clock_makes_a_second_master() {
    for (what, change) in kinds() {
        for wall in STEPS {
            for (n, back) in [(0, false), (1, false), (0, true), (1, true)] {
                let mut net = pair(change);
                net.run_for(5000);
                net.set_wall(n, wall);
                run_alone(&mut net, 6000, what);
                if back {
                    net.set_wall(n, 1_800_000_000);
                    run_alone(&mut net, 6000, what);
                }
                assert_eq!(net.states(), [State::Master, State::Backup], "{what}, node {n} set to {wall}");
                // not even for a moment was there a doubt
                let c = net.nodes[1].router.as_ref().expect("runs").views().next().expect("one").counters;
                assert_eq!(c.auth_ext_stale + c.auth_ext_replay + c.auth_failure, 0, "{what}, node {n} set to {wall}");
            }
        }
    }
}

#[test]
fn a_router_that_reboots_with_another_clock_and_without_memory_finds_its_place() {
    for (what, change) in kinds() {
        for wall in STEPS {
            for n in [0, 1] {
                let mut net = pair(change);
                net.run_for(30_000);
                net.crash(n);
                net.run_for(6000);
                assert_eq!(net.state(1 - n), State::Master);
                net.nodes[n].wall = wall;
                net.start(n);
                run_alone(&mut net, 10_000, what);
                assert_eq!(net.states(), [State::Master, State::Backup], "{what}, node {n} starts at {wall}");
                // and the other one fails over to it and back
                net.crash(0);
                net.run_until(5000, |n| n.state(1) == State::Master);
                net.start(0);
                net.run_until(9000, |n| n.state(0) == State::Master);
                net.run_for(20);
                assert_eq!(net.states(), [State::Master, State::Backup], "{what}, after {wall}");
            }
        }
    }
}

#[test]
fn two_that_stand_up_at_the_same_moment_agree_at_once() {
    for (what, change) in kinds() {
        let mut net = Net::new(vec![config(100, change), config(100, change)]);
        net.run_until(5000, |n| n.states().contains(&State::Master));
        net.run_for(2);
        assert_eq!(net.states(), [State::Backup, State::Master], "{what}: the greater address");
    }
}

#[test]
fn a_network_that_heals_has_one_master_at_once_whatever_the_clocks_say() {
    for (what, change) in kinds() {
        for wall in STEPS {
            for n in [0, 1] {
                let mut net = pair(change);
                net.run_for(5000);
                net.cut.insert((0, 1));
                net.run_for(5000);
                assert_eq!(net.states(), [State::Master, State::Master]);
                net.crash(n);
                net.nodes[n].wall = wall;
                net.start(n);
                net.run_for(8000);
                assert_eq!(net.states(), [State::Master, State::Master]);
                net.cut.clear();
                // the first advert that one of them sends in turn, and its answers
                net.run_for(1100);
                assert_eq!(net.states(), [State::Master, State::Backup], "{what}, node {n} at {wall}");
            }
        }
    }
}

#[test]
fn three_routers_with_three_clocks_have_one_master() {
    for (what, change) in kinds() {
        for wall in STEPS {
            let mut net = Net::new(vec![config(200, change), config(150, change), config(100, change)]);
            net.run_for(5000);
            net.crash(0);
            net.run_for(5000);
            net.nodes[0].wall = wall;
            net.set_wall(2, wall / 2);
            net.start(0);
            run_alone(&mut net, 10_000, what);
            assert_eq!(net.states(), [State::Master, State::Backup, State::Backup], "{what} at {wall}");
            net.crash(1);
            net.nodes[1].wall = wall / 3;
            net.start(1);
            run_alone(&mut net, 8000, what);
            assert_eq!(net.states(), [State::Master, State::Backup, State::Backup], "{what} at {wall}");
        }
    }
}

/// Adverts that a node sent, as they are on the wire.
fn recorded(net: &Net, n: usize) -> Vec<Send> {
    net.nodes[n].log.iter().filter_map(|(_, o)| if let Output::Send(s) = o { Some(s.clone()) } else { None }).collect()
}

#[test]
fn a_replayed_advert_changes_nothing() {
    for (what, change) in kinds() {
        for wait in [0, 50, 3000] {
            let mut net = pair(change);
            net.run_for(10_000);
            let record = recorded(&net, 0);
            net.run_for(wait);
            let before = net.nodes[1].router.as_ref().expect("runs");
            let (due, heard) = (before.poll_at(), before.views().next().expect("one").counters.advert_rcvd);
            let from = net.now;
            for s in &record {
                net.input(1, Input::Packet(received(s, 2)));
            }
            let after = net.nodes[1].router.as_ref().expect("runs");
            assert_eq!(after.poll_at(), due, "{what}: a timer moved");
            let counters = after.views().next().expect("one").counters;
            assert_eq!(counters.advert_rcvd, heard, "{what}");
            assert_eq!(counters.auth_failure + counters.auth_ext_replay, record.len() as u64, "{what}");
            assert!(sent(&net.outputs_since(1, from)).is_empty(), "{what}: a live master needs no question");
            assert_eq!(net.states(), [State::Master, State::Backup], "{what}");
        }
    }
}

#[test]
fn a_recording_does_not_pass_for_a_dead_master() {
    for (what, change) in kinds() {
        let mut net = pair(change);
        net.run_for(20_000);
        let record = recorded(&net, 0);
        net.crash(0);
        // ten times a second the last advert, and then all of them
        let from = net.now;
        let mut next = record.iter().rev().take(1).chain(&record).cycle();
        while net.state(1) != State::Master {
            net.run_for(100);
            let s = next.next().expect("endless").clone();
            net.input(1, Input::Packet(received(&s, 2)));
            assert!(net.now.since(from) < Duration::from_millis(3610 + 2 * 1150 + 200), "{what}: held back for ever");
        }
        assert!(log_of(&net, 1).iter().any(|l| l.contains("recording")), "{what}: {:?}", log_of(&net, 1));
    }
}

#[test]
fn a_master_with_another_key_is_not_joined_by_a_second_one() {
    let other: [(&str, Change, Change); 5] = [
        ("AH", |c| c.auth = Auth::Ah(Secret::new("one")), |c| c.auth = Auth::Ah(Secret::new("two"))),
        ("AH and none", |c| c.auth = Auth::Ah(Secret::new("one")), |_| {}),
        (
            "HMAC",
            |c| c.hmac = Some(trailer()),
            |c| {
                c.hmac = Some(Hmac { keys: vec![(1, Secret::new(vec![9; 32]))], ..trailer() });
            },
        ),
        (
            "another id",
            |c| c.hmac = Some(trailer()),
            |c| {
                c.hmac = Some(Hmac { keys: vec![(9, Secret::new(vec![1; 32]))], active: 9, ..trailer() });
            },
        ),
        ("HMAC and none", |c| c.hmac = Some(trailer()), |_| {}),
    ];
    for (what, ours, theirs) in other {
        for (master, backup) in [(200, 100), (100, 200)] {
            let mut net = Net::new(vec![config(master, theirs), config(backup, ours)]);
            net.crash(1);
            net.run_for(5000);
            net.start(1);
            run_alone(&mut net, 20_000, what);
            assert_eq!(net.states(), [State::Master, State::Backup], "{what}");
            let seen = net.nodes[1].router.as_ref().expect("runs").views().next().expect("one").sighting;
            let seen = seen.expect("it is reported");
            assert!(!seen.authentic && seen.source == addr(0, 0) && seen.count > 10, "{what}: {seen:?}");
            let alarms = log_of(&net, 1).iter().filter(|l| l.contains("not taking over")).count();
            assert_eq!(alarms, 1, "{what}: loud, and once a minute");
            // a dead one is not waited for
            net.crash(0);
            net.run_until(3900, |n| n.state(1) == State::Master);
        }
    }
}

#[test]
fn who_does_not_want_to_be_held_back_is_not() {
    let mut net = Net::new(vec![
        config(200, |_| {}),
        config(100, |c| {
            c.auth = Auth::Ah(Secret::new("one"));
            c.auth_hold = false;
        }),
    ]);
    net.run_for(8000);
    assert_eq!(net.states(), [State::Master, State::Master]);
}

#[test]
fn an_orderly_stop_is_no_longer_for_a_forger() {
    for (what, change) in kinds() {
        let mut net = pair(change);
        net.run_for(5000);
        let mut forged = recorded(&net, 0).pop().expect("an advert");
        *forged.payload.last_mut().expect("bytes") ^= 1;
        net.stop(0);
        let from = net.now;
        while net.state(1) != State::Master {
            net.run_for(10);
            net.input(1, Input::Packet(received(&forged, 2)));
            assert!(net.now.since(from) < Duration::from_millis(700), "{what}");
        }
    }
}

#[test]
fn keys_change_by_reloads_without_a_missed_advert() {
    let with = |priority, active, ids: &[u8]| {
        let mut c = instance("VI", 0, 51, priority);
        let keys = trailer().keys.into_iter().filter(|(id, _)| ids.contains(id)).collect();
        c.hmac = Some(Hmac { keys, active, ..trailer() });
        one(c)
    };
    let mut net = Net::new(vec![with(200, 1, &[1]), with(100, 1, &[1])]);
    net.run_for(5000);
    let from = net.now;
    for (active, ids) in [(1, &[1, 2][..]), (2, &[1, 2]), (2, &[2])] {
        for (n, priority) in [(0, 200), (1, 100)] {
            net.reload(n, with(priority, active, ids));
            run_alone(&mut net, 2500, "rotation");
        }
    }
    assert_eq!(net.states(), [State::Master, State::Backup]);
    for n in [0, 1] {
        assert!(notices(&net.outputs_since(n, from)).is_empty(), "node {n} moved");
    }
    let refused = net.nodes[1].router.as_ref().expect("runs").views().next().expect("one").counters;
    assert_eq!((refused.auth_ext_unknown_key, refused.auth_ext_invalid_hmac), (0, 0));
}

#[test]
fn authentication_is_brought_in_step_by_step() {
    let mode = |priority, mode: Option<HmacMode>| {
        let mut c = instance("VI", 0, 51, priority);
        c.hmac = mode.map(|mode| Hmac { mode, ..trailer() });
        one(c)
    };
    let mut net = Net::new(vec![mode(200, None), mode(100, None)]);
    net.run_for(5000);
    let from = net.now;
    for step in [HmacMode::ReceiveOnly, HmacMode::Permissive, HmacMode::Enforce] {
        for (n, priority) in [(1, 100), (0, 200)] {
            net.reload(n, mode(priority, Some(step)));
            run_alone(&mut net, 5000, "steps");
        }
    }
    assert_eq!(net.states(), [State::Master, State::Backup]);
    assert!(notices(&net.outputs_since(1, from)).is_empty());
}

#[test]
fn the_addresses_of_an_advert_leave_room_for_its_authentication() {
    // of 100 bytes: 20 IP, 8 head, and in version 2 another 8 of authentication data
    let wanted: [(&str, u8); 4] = [("AH", 10), ("HMAC v2", 9), ("HMAC v3", 11), ("HMAC monotonic", 9)];
    for ((what, change), (name, fits)) in kinds().into_iter().zip(wanted) {
        assert_eq!(what, name);
        let mut c = config(100, change);
        let one = c.instances[0].addresses[0].clone();
        c.instances[0].addresses = vec![one; 40].into();
        let mut solo = Solo::new(c);
        let mut small = link(2, "eth0", true, &[addr(0, 0)]);
        small.mtu = 100;
        solo.input(Input::Link(small));
        solo.run_ms(5000);
        let out = solo.take();
        let s = out.iter().rev().find_map(|o| if let Output::Send(s) = o { Some(s) } else { None }).expect("an advert");
        let at = if s.whole { wire::ah::IP_HEADER + wire::ah::LENGTH } else { 0 };
        assert_eq!(s.payload[at + 3], fits, "{what}");
        let size = s.payload.len() + if s.whole { 0 } else { 20 };
        assert!(size <= 100 && size > 96, "{what}: {size} bytes");
    }
}

#[test]
fn who_knows_nothing_of_trailers_still_hears_the_master() {
    let three: Change = |c| c.version = Version::V3;
    let three_with: Change = |c| {
        c.version = Version::V3;
        c.hmac = Some(trailer());
    };
    let pairs: [(Change, Change); 2] = [(|c| c.hmac = Some(trailer()), |_| {}), (three_with, three)];
    for (theirs, ours) in pairs {
        let mut net = Net::new(vec![config(200, theirs), config(100, ours)]);
        net.run_for(5000);
        run_alone(&mut net, 8000, "no trailer");
        assert_eq!(net.states(), [State::Master, State::Backup]);
    }
}

#[test]
fn a_respawned_process_goes_on_where_its_predecessor_was() {
    for (what, change) in kinds() {
        let mut net = pair(change);
        net.run_for(10_000);
        for n in [0, 1] {
            // nothing is on its way
            net.run_for(5);
            let snapshots: Vec<_> = net.nodes[n].router.as_ref().expect("runs").snapshots().collect();
            let last = recorded(&net, 0).pop().expect("an advert");
            let mut out = Vec::new();
            let now = net.now;
            let mut r = crate::Router::restore(net.nodes[n].config.clone(), &snapshots, 7, now, &mut out);
            r.handle(now, Input::Wall(Duration::from_secs(1_500_000_000)), &mut out);
            r.handle(now, Input::Link(link(2, "eth0", true, &[addr(0, n)])), &mut out);
            r.handle(now, Input::Link(link(3, "eth1", true, &[addr(1, n)])), &mut out);
            r.poll(now, &mut out);
            if n == 1 {
                r.handle(now, Input::Packet(received(&last, 2)), &mut out);
                let c = r.views().next().expect("one").counters;
                assert_eq!(c.auth_failure + c.auth_ext_replay, 1, "{what}: a replay after the restart");
            }
            net.nodes[n].router = Some(r);
            for o in out {
                if let Output::Send(s) = o {
                    net.input(1 - n, Input::Packet(received(&s, 2)));
                }
            }
            run_alone(&mut net, 6000, what);
            assert_eq!(net.states(), [State::Master, State::Backup], "{what}");
        }
        let c = net.nodes[1].router.as_ref().expect("runs").views().next().expect("one").counters;
        assert_eq!(c.auth_failure + c.auth_ext_replay + c.auth_ext_stale, 1, "{what}: only the replay was refused");
    }
}

#[test]
fn half_a_window_between_clocks_is_said_once() {
    let mut net = pair(|c| c.hmac = Some(trailer()));
    net.crash(1);
    net.nodes[1].wall += 3;
    net.start(1);
    net.run_for(20_000);
    assert_eq!(net.states(), [State::Master, State::Backup]);
    let lines: Vec<String> = log_of(&net, 1).into_iter().filter(|l| l.contains("half of time_window")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("10.0.0.1") && lines[0].contains("3.0 s"), "{lines:?}");
}

#[test]
fn clocks_may_differ_by_the_window_and_by_anything_where_only_the_order_counts() {
    for (seconds, monotonic, stale) in [(5, false, true), (60, false, false), (5, true, false)] {
        let with = |priority| {
            let mut c = instance("VI", 0, 51, priority);
            c.hmac = Some(Hmac { window: Duration::from_secs(seconds), monotonic, ..trailer() });
            one(c)
        };
        let mut net = Net::new(vec![with(200), with(100)]);
        net.crash(1);
        net.nodes[1].wall += 20;
        net.run_for(5000);
        net.start(1);
        net.run_for(2000);
        let c = net.nodes[1].router.as_ref().expect("runs").views().next().expect("one").counters;
        assert_eq!(c.auth_ext_stale > 0, stale, "{seconds} s, monotonic {monotonic}: {c:?}");
    }
}

#[test]
fn sequence_numbers_begin_by_the_clock_and_end_somewhere() {
    let mut c = instance("VI", 0, 51, 100);
    c.auth = Auth::Ah(Secret::new("k"));
    let start = |wall: i128| {
        let mut g = Guard::default();
        g.set_wall(wall * SECOND, false, Time::ZERO, &c);
        g
    };
    let (early, late) = (start(1_800_000_000).next(t(0), &c), start(1_800_000_010).next(t(0), &c));
    assert_eq!(late - early, 40, "a start ten seconds later is above ten adverts");
    assert_eq!(start(0).next(t(0), &c), 1, "a clock that was never set");
    let mut g = start(1_800_000_000);
    g.commit(addr(0, 1), u64::from(u32::MAX), t(0), &c);
    assert_eq!(g.next(t(0), &c), 1, "the number has 32 bits");
    assert_eq!(g.next(t(0), &c), 2);
}

#[test]
fn stamps_keep_their_order_when_they_come_faster_than_the_clock_ticks() {
    let mut c = instance("VI", 0, 51, 100);
    c.hmac = Some(trailer());
    let mut g = Guard::default();
    g.set_wall(1_800_000_000 * SECOND, false, Time::ZERO, &c);
    let mut last = 0;
    for n in 0..200_000 {
        let stamp = g.next(Time::from_nanos(n / 1000), &c);
        assert!(stamp > last);
        last = stamp;
    }
    assert_eq!(last >> 32, 1_800_000_000);
}

#[test]
fn four_multicast_senders_are_remembered() {
    let mut c = instance("VI", 0, 51, 100);
    c.hmac = Some(trailer());
    let mut g = Guard::default();
    let wall = 1_800_000_000 * SECOND;
    g.set_wall(wall, false, Time::ZERO, &c);
    let senders: Vec<IpAddr> = (0..5).map(|n| addr(0, n)).collect();
    let stamp = to_stamp(wall);
    for s in &senders {
        assert!(g.judge(*s, stamp, t(0), &c).is_ok());
        g.commit(*s, stamp, t(0), &c);
    }
    let replayed: Vec<bool> =
        senders.iter().map(|s| g.judge(*s, stamp, t(0), &c) == Err(Refusal::Replay(stamp))).collect();
    assert_eq!(replayed, [false, true, true, true, true]);
}

/// Only who asks announces the least priority: a real master of it would be taken for a question, or a question for a master.
#[test]
fn a_question_is_no_contention_and_no_master_looks_like_one() {
    for (what, change) in kinds() {
        let mut net = Net::new(vec![config(100, change), config(50, change)]);
        net.run_until(8_000, |n| n.state(0) == State::Master);
        net.run_for(10_537);
        let from = net.now;
        let mut out = Vec::new();
        let asks = net.nodes[1].router.as_mut().and_then(|r| r.slot_mut(0)).expect("an instance");
        assert!(asks.emit(QUESTION, from, &mut out));
        let Some(Output::Send(question)) = out.pop() else { panic!("no question") };
        net.input(0, Input::Packet(received(&question, 2)));
        let out = net.outputs_since(0, from);
        assert_eq!((announced(&out), notices(&out)), (0, vec![]), "{what}");
        let answers = |o: &&Output| matches!(o, Output::Send(s) if s.priority == 100);
        assert_eq!(out.iter().filter(answers).count(), 1, "{what}");
        // Who hands over goes on until a successor speaks.
        net.stop(0);
        let mut out = Vec::new();
        let asks = net.nodes[1].router.as_mut().and_then(|r| r.slot_mut(0)).expect("an instance");
        assert!(asks.emit(QUESTION, from, &mut out));
        let Some(Output::Send(question)) = out.pop() else { panic!("no question") };
        net.input(0, Input::Packet(received(&question, 2)));
        assert!(net.holds(0), "{what}");

        let mut c = config(20, change);
        c.instances[0].tracks = vec![Track { what: Tracked::Interface("eth1".into()), weight: -100, reverse: false }];
        let mut solo = Solo::new(c);
        solo.input(Input::Link(link(3, "eth1", false, &[])));
        assert_eq!(solo.view().priority, 2, "{what}");
    }
}
