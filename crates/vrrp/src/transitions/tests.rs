use crate::testkit::*;
use crate::*;
use std::time::Duration;
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{Family, State, Time};

const S: Duration = Duration::from_secs(1);

fn vi(priority: u8) -> InstanceConfig {
    instance("VI", 0, 51, priority)
}

fn is_master(o: &Output) -> bool {
    matches!(o, Output::Instance { notice: Notice::Master, .. })
}

fn is_announce(o: &Output) -> bool {
    matches!(o, Output::Announce { .. })
}

fn is_remove(o: &Output) -> bool {
    matches!(o, Output::Remove(_))
}

fn priority_sent(o: &Output) -> Option<u8> {
    if let Output::Send(s) = o { s.payload.get(2).copied() } else { None }
}

// ---- start and plain election -------------------------------------------------------------------------------------------

#[test]
fn start_goes_to_backup_and_the_timer_is_exact() {
    let mut solo = Solo::new(one(vi(100)));
    assert_eq!(logs(&solo.out).iter().filter(|l| **l == "(VI) Entering BACKUP STATE (init)").count(), 1);
    assert_eq!(notices(&solo.take()), ["VI BACKUP"]);
    let due = t(0) + Duration::from_nanos(3_609_375_000);
    assert_eq!(solo.router.poll_at(), Some(due));
    solo.now = due;
    solo.router.poll(due, &mut solo.out);
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn becoming_master_sends_the_advert_then_adds_then_announces_then_tells() {
    let mut solo = Solo::new(one(vi(100)));
    solo.take();
    solo.run_ms(3610);
    let out = solo.take();
    let at = |what: fn(&Output) -> bool| out.iter().position(what).expect("there");
    let send = at(|o| matches!(o, Output::Send(_)));
    let add = at(|o| matches!(o, Output::Add(_)));
    let announce = at(is_announce);
    assert!(send < add && add < announce && announce < at(is_master), "{out:?}");
    assert_eq!((sent(&out), added(&out), announced(&out)), (vec![100], 1, 5));
    let text = logs(&out);
    for token in ["(VI) Receive advertisement timeout", "(VI) Entering MASTER STATE", "(VI) setting VIPs."] {
        assert!(text.contains(&token), "{token}");
    }
}

#[test]
fn an_owner_in_state_master_is_master_at_once_and_one_in_state_backup_is_not() {
    let mut c = vi(255);
    let mut solo = Solo::new(one(c.clone()));
    assert_eq!(solo.state(), State::Backup);
    solo.run(S * 3 + Duration::from_nanos(3_906_250));
    assert_eq!(solo.state(), State::Master);
    c.start_master = true;
    let mut solo = Solo::new(one(c));
    assert_eq!(solo.state(), State::Master);
    assert!(!logs(&solo.take()).iter().any(|l| l.contains("BACKUP")));
}

#[test]
fn state_master_without_ownership_changes_nothing() {
    let mut c = vi(100);
    c.start_master = true;
    let mut solo = Solo::new(one(c));
    solo.run_ms(3609);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn the_startup_delay_holds_everybody() {
    let mut config = one(vi(100));
    config.startup_delay = S * 5;
    let mut solo = Solo::new(config);
    solo.run_ms(4999);
    assert_eq!(solo.state(), State::Init);
    solo.run_ms(2);
    assert_eq!(solo.state(), State::Backup);
    solo.run_ms(3609);
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn adverts_keep_their_rhythm_although_the_loop_is_late() {
    let mut solo = Solo::master(one(vi(100)));
    let start = solo.now;
    for _ in 0..100 {
        solo.now = solo.router.poll_at().expect("due") + Duration::from_millis(40);
        solo.router.poll(solo.now, &mut solo.out);
    }
    let adverts = sent(&solo.take()).len() as u64;
    let elapsed = solo.now.since(start);
    assert_eq!(adverts, elapsed.as_secs(), "{elapsed:?}");
}

#[test]
fn priority_zero_shortens_the_timer_to_the_skew_in_strict_mode_or_by_the_knob_and_repeating_it_puts_nothing_off() {
    for (strict, fast) in [(false, false), (true, true)] {
        let mut c = vi(100);
        (c.strict, c.fast_takeover) = (strict, fast);
        let mut solo = Solo::new(one(c));
        solo.hear(PEER, 200);
        solo.hear(PEER, 0);
        let due = solo.now + Duration::from_nanos(609_375_000);
        assert_eq!(solo.router.poll_at(), Some(due));
        for _ in 0..6 {
            solo.run_ms(100);
            solo.hear(PEER, 0);
        }
        assert_eq!(solo.router.poll_at(), Some(due));
        solo.run_ms(10);
        assert_eq!(solo.state(), State::Master);
    }
}

/// Whatever it speaks, and whether or not it would preempt.
#[test]
fn a_master_that_gives_up_is_succeeded_within_10_ms() {
    let plain = |f: fn(&mut InstanceConfig)| {
        let mut c = vi(100);
        f(&mut c);
        c
    };
    let mut six = InstanceConfig::new("VI", "eth0", 51, Family::V6);
    six.priority = 100;
    six.addresses = vec![Address::new(cidr("fe80::51/64"), "eth0")].into();
    let peers = |c: &mut InstanceConfig| {
        let peers = vec![Peer { address: ip(PEER), min_ttl: 0, max_ttl: 255 }];
        c.unicast = Some(Unicast { peers, ttl: 255, check_source: true });
    };
    let cases = [
        ("version 2", vi(100)),
        ("version 3", plain(|c| c.version = Version::V3)),
        ("slow", plain(|c| (c.version, c.advert_interval) = (Version::V3, S * 10))),
        ("nopreempt", plain(|c| c.preempt = false)),
        ("preempt_delay", plain(|c| c.preempt_delay = S * 100)),
        ("unicast", plain(peers)),
        ("IPv6", six),
    ];
    for (what, c) in cases {
        let six = c.family == Family::V6;
        let mut solo = Solo::new(one(c));
        if six {
            solo.input(Input::Link(link(2, "eth0", true, &[ip("fe80::1")])));
            solo.run_ms(0);
        }
        let from = if six { "fe80::9" } else { PEER };
        solo.hear(from, 200);
        solo.run_ms(300);
        solo.hear(from, 0);
        solo.run(Duration::from_nanos(10_000_000 * 155 / 255 - 1));
        assert_eq!(solo.state(), State::Backup, "{what}: there may be a higher one");
        // said again, it puts nothing off
        solo.hear(from, 0);
        solo.take();
        solo.run(Duration::from_nanos(1));
        assert_eq!((solo.state(), sent(&solo.out)), (State::Master, vec![100]), "{what}");
        let text = format!("{from} said that it leaves (priority 0)");
        assert!(solo.out.iter().any(|o| matches!(o, Output::Because { cause, .. } if *cause == text)), "{what}");
    }
}

#[test]
fn a_master_of_whom_nothing_was_heard_before_it_gives_up_is_succeeded_after_the_skew() {
    let mut solo = Solo::new(one(vi(100)));
    solo.hear(PEER, 0);
    assert_eq!(solo.router.poll_at(), Some(solo.now + Duration::from_nanos(609_375_000)));
}

#[test]
fn a_master_that_gives_up_and_speaks_again_is_left_alone() {
    let mut solo = Solo::new(one(vi(100)));
    solo.hear(PEER, 200);
    solo.hear(PEER, 0);
    solo.run_ms(5);
    solo.hear(PEER, 200);
    solo.run_ms(3_000);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn of_three_backups_the_highest_succeeds_a_master_that_gives_up_and_alone() {
    let mut net = Net::new(vec![one(vi(200)), one(vi(100)), one(vi(150)), one(vi(50))]);
    net.run_for(10_000);
    let from = net.now;
    net.stop(0);
    net.run_for(11);
    assert_eq!(net.states()[1..], [State::Backup, State::Master, State::Backup]);
    assert!(net.stopped(0) && !net.holds(0), "whom it hears lets it end");
    for n in [1, 3] {
        assert_eq!(net.when(n, from, is_master), None, "a lower one never stood up");
    }
    net.run_for(10_000);
    assert_eq!(net.states()[1..], [State::Backup, State::Master, State::Backup]);
}

/// As keepalived is: it waits for its skew, and takes over from the lower one that did not.
#[test]
fn a_higher_backup_that_waits_for_its_skew_comes_after_a_lower_one_and_somebody_serves_throughout() {
    let mut waits = vi(150);
    (waits.fast_takeover, waits.soft_release) = (false, false);
    let mut net = Net::new(vec![one(vi(200)), one(vi(100)), one(waits)]);
    net.run_for(10_000);
    let from = net.now;
    net.stop(0);
    let skew = Duration::from_nanos(1_000_000_000 * 106 / 256);
    while net.state(2) != State::Master {
        let since = net.now.since(from);
        assert!((0..3).any(|n| net.holds(n)), "nobody at {since:?}");
        assert_eq!(net.holds(1), since >= Duration::from_millis(7), "at {since:?}");
        assert!(since <= skew, "the adverts of a lower one do not put it off");
        net.run_for(1);
    }
    net.run_for(1);
    assert_eq!((0..3).map(|n| net.holds(n)).collect::<Vec<_>>(), [false, false, true]);
    assert!(net.last(2, is_announce) >= net.last(1, is_announce), "clients heard of it last");
    net.run_for(10_000);
    assert_eq!(net.states()[1..], [State::Backup, State::Master]);
}

#[test]
fn a_master_that_hears_priority_zero_advertises_at_once() {
    let mut solo = Solo::master(one(vi(100)));
    solo.run_ms(300);
    solo.hear(PEER, 0);
    let out = solo.take();
    assert_eq!((sent(&out), announced(&out)), (vec![100], 1), "and announces: the sender was a master, too");
    assert_eq!(solo.router.poll_at(), Some(solo.now + S));
}

#[test]
fn ties_are_broken_by_the_greater_address() {
    for (from, want) in [(PEER, State::Backup), (LOW_PEER, State::Master)] {
        let mut solo = Solo::master(one(vi(100)));
        solo.hear(from, 100);
        assert_eq!(solo.state(), want);
    }
}

#[test]
fn version_3_skew_follows_the_masters_interval() {
    let mut c = vi(100);
    c.version = Version::V3;
    let mut solo = Solo::new(one(c));
    let bytes = solo.packet(PEER, 200, |a| a.interval = Duration::from_millis(200));
    solo.receive(PEER, 255, &bytes);
    assert_eq!(solo.router.poll_at(), Some(solo.now + Duration::from_millis(600) + Duration::from_nanos(121_875_000)));
}

// ---- preemption ---------------------------------------------------------------------------------------------------------

#[test]
fn a_known_master_that_sinks_below_us_is_taken_over_from_within_10_ms() {
    let mut solo = Solo::new(one(vi(100)));
    solo.hear(PEER, 200);
    solo.run_ms(1000);
    solo.take();
    solo.hear(PEER, 80);
    let due = solo.now + Duration::from_nanos(10_000_000 * 155 / 255);
    assert_eq!(solo.router.poll_at(), Some(due));
    solo.run_ms(10);
    assert_eq!(solo.state(), State::Master);
    assert_eq!(sent(&solo.take()), [100]);
}

#[test]
fn an_early_takeover_is_called_off_by_a_higher_advert() {
    let mut solo = Solo::new(one(vi(100)));
    solo.hear(PEER, 200);
    solo.hear(PEER, 80);
    solo.run_ms(2);
    solo.hear("10.0.0.8", 150);
    solo.run_ms(3000);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn of_three_backups_the_highest_takes_over_early_and_alone() {
    let mut net = Net::new(vec![one(vi(200)), one(vi(100)), one(vi(150))]);
    net.run_for(10_000);
    assert_eq!(net.states(), [State::Master, State::Backup, State::Backup]);
    let from = net.now;
    let mut sick = vi(200);
    sick.priority = 50;
    let mut out = Vec::new();
    let now = net.now;
    net.nodes[0].router.as_mut().expect("runs").reload(now, one(sick), &mut out);
    let packet = out.iter().find_map(|o| if let Output::Send(s) = o { Some(s.clone()) } else { None }).expect("advert");
    for n in [1, 2] {
        net.input(n, Input::Packet(received(&packet, 2)));
    }
    net.run_for(20);
    assert_eq!(net.states(), [State::Backup, State::Backup, State::Master]);
    assert_eq!(net.when(1, from, is_master), None, "the lower one never stood up");
}

#[test]
fn strict_mode_or_the_knob_keep_the_rfc_timing() {
    for strict in [false, true] {
        let mut c = vi(100);
        c.strict = strict;
        c.fast_takeover = false;
        let mut solo = Solo::new(one(c));
        solo.hear(PEER, 200);
        let due = solo.router.poll_at();
        solo.run_ms(1000);
        solo.hear(PEER, 80);
        assert_eq!(solo.router.poll_at(), due);
        solo.run_ms(1000);
        assert_eq!(solo.state(), State::Backup);
    }
}

#[test]
fn a_strict_instance_never_takes_over_early_even_where_the_knob_says_so() {
    let mut c = vi(100);
    c.strict = true;
    let mut solo = Solo::new(one(c));
    solo.hear(PEER, 200);
    let due = solo.router.poll_at();
    solo.hear(PEER, 80);
    assert_eq!(solo.router.poll_at(), due);
}

#[test]
fn nopreempt_accepts_a_lower_master() {
    let mut c = vi(100);
    c.preempt = false;
    let mut solo = Solo::new(one(c));
    for _ in 0..20 {
        solo.hear(PEER, 50);
        solo.run_ms(1000);
    }
    assert_eq!(solo.state(), State::Backup);
    assert_eq!(solo.view().master, Some((ip(PEER), 50)));
}

#[test]
fn an_owner_preempts_although_nopreempt_is_written() {
    let mut c = vi(255);
    c.preempt = false;
    let mut solo = Solo::new(one(c));
    for _ in 0..4 {
        solo.hear(PEER, 50);
        solo.run_ms(1000);
    }
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn preempt_delay_counts_from_the_first_lower_advert_and_a_higher_one_cancels_it() {
    let mut c = vi(100);
    c.preempt_delay = S * 10;
    let mut solo = Solo::new(one(c.clone()));
    for _ in 0..10 {
        solo.hear(PEER, 50);
        solo.run_ms(1000);
    }
    assert_eq!(solo.state(), State::Backup);
    let out = solo.take();
    let begins: Vec<&str> = logs(&out).into_iter().filter(|l| l.contains("preempt delay")).collect();
    assert_eq!(begins, ["(VI) start preempt delay (10.000000)"]);
    for _ in 0..2 {
        solo.hear(PEER, 50);
        solo.run_ms(1000);
    }
    assert_eq!(solo.state(), State::Master);

    let mut solo = Solo::new(one(c.clone()));
    for k in 0..15 {
        solo.hear(PEER, if k == 8 { 100 } else { 50 });
        solo.run_ms(1000);
    }
    assert_eq!(solo.state(), State::Backup, "the delay began anew");

    // and nobody there: no delay
    let mut solo = Solo::new(one(c));
    solo.run_ms(3610);
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn a_started_router_learns_who_is_master_before_it_takes_over() {
    let mut solo = Solo::new(one(vi(200)));
    solo.hear(PEER, 100);
    solo.run_ms(900);
    assert_eq!(solo.state(), State::Backup);
    solo.hear(PEER, 100);
    solo.run_ms(10);
    assert_eq!(solo.state(), State::Master);
}

// ---- handing over -------------------------------------------------------------------------------------------------------

#[test]
fn an_orderly_stop_serves_on_until_the_successor_is_heard() {
    let mut net = Net::pair(200, 100);
    net.run_for(10_000);
    let from = net.now;
    net.stop(0);
    assert_eq!(net.when(0, from, |o| priority_sent(o) == Some(0)), Some(from));
    assert!(net.holds(0), "serves on");
    net.run_until(2000, |n| n.stopped(0));
    let taken = net.when(1, from, is_announce).expect("announced");
    let given_up = net.when(0, from, is_remove).expect("removed");
    assert!(given_up >= net.when(1, from, |o| matches!(o, Output::Add(_))).expect("added"));
    assert!(given_up.since(taken) <= LATENCY, "both answer for no longer than the advert travels");
    assert!(net.now.since(from) < Duration::from_millis(20));
    assert_eq!(sent(&net.outputs_since(0, from)), [0], "no advert after it");
    assert!(net.holds(1) && !net.holds(0));
    assert_eq!(notices(&net.outputs_since(0, from)), ["VI STOP"]);
}

#[test]
fn an_orderly_stop_without_a_successor_ends_after_a_second() {
    let mut solo = Solo::master(one(vi(100)));
    let from = solo.now;
    solo.input(Input::Stop { keep_objects: false });
    assert_eq!((sent(&solo.out), removed(&solo.out)), (vec![0], 0));
    solo.run(S);
    let gone = solo.out.iter().position(is_remove).expect("removed");
    assert_eq!(sent(&solo.out[gone..]), [0], "once more, for a master that did not hear the first");
    assert_eq!(removed(&solo.out), 1);
    assert_eq!(solo.out.last(), Some(&Output::Stopped));
    assert!(solo.now.since(from) <= S);
    assert_eq!(solo.router.poll_at(), None);
}

#[test]
fn a_second_stop_ends_the_waiting() {
    let mut solo = Solo::master(one(vi(100)));
    solo.input(Input::Stop { keep_objects: false });
    solo.input(Input::Stop { keep_objects: false });
    assert_eq!(solo.out.last(), Some(&Output::Stopped));
}

#[test]
fn a_stop_that_keeps_objects_removes_none_and_waits_for_nobody() {
    let mut solo = Solo::master(one(vi(100)));
    solo.input(Input::Stop { keep_objects: true });
    assert_eq!((sent(&solo.out), removed(&solo.out)), (vec![0], 0));
    assert_eq!(solo.out.last(), Some(&Output::Stopped));
}

#[test]
fn without_soft_release_the_address_goes_at_once() {
    let mut c = vi(100);
    c.soft_release = false;
    let mut solo = Solo::master(one(c));
    solo.input(Input::Stop { keep_objects: false });
    let out = solo.take();
    assert_eq!((sent(&out), removed(&out)), (vec![0], 1));
    assert_eq!(out.last(), Some(&Output::Stopped));
}

fn with_script(priority: u8, weight: i32) -> Config {
    let mut c = vi(priority);
    c.tracks = vec![Track { what: Tracked::Script("chk".into()), weight, reverse: false }];
    Config { instances: vec![c], scripts: vec![script("chk", 1)], ..Config::default() }
}

pub fn script(name: &str, seconds: u64) -> ScriptConfig {
    ScriptConfig {
        name: name.into(),
        interval: S * seconds as u32,
        timeout: S,
        rise: 1,
        fall: 1,
        init_fail: false,
        command: name.into(),
    }
}

#[test]
fn a_script_failure_hands_over_without_a_gap() {
    let mut net = Net::new(vec![with_script(200, 0), one(vi(100))]);
    for _ in 0..10 {
        net.input(0, Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
        net.run_for(1000);
    }
    assert_eq!(net.states(), [State::Master, State::Backup]);
    let from = net.now;
    net.input(0, Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    // the run of that second must have been asked for
    net.run_until(2000, |n| n.state(1) == State::Master);
    assert!(net.holds(0), "until the advert has arrived");
    net.run_for(1);
    assert!(!net.holds(0));
    assert_eq!(net.state(0), State::Fault);
    assert_eq!(notices(&net.outputs_since(0, from)), ["VI FAULT"]);
    assert!(net.now.since(from) < Duration::from_millis(20));
}

#[test]
fn a_dead_link_gives_up_at_once() {
    let mut solo = Solo::master(one(vi(100)));
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    let out = solo.take();
    assert_eq!(removed(&out), 1);
    assert_eq!(notices(&out), ["VI FAULT"]);
    assert_eq!(solo.state(), State::Fault);
    assert_eq!(solo.view().faults, ["interface eth0 is down"]);
    assert!(logs(&out).contains(&"(VI) Entering FAULT STATE"));
    assert!(logs(&out).iter().any(|l| l.contains("interface eth0 is down")));
}

#[test]
fn a_link_that_is_away_for_a_moment_costs_no_failover() {
    for (away, resumes) in [(200, true), (1_700, true), (3_000, false)] {
        let mut net = Net::pair(200, 100);
        net.run_for(10_000);
        assert_eq!(net.states(), [State::Master, State::Backup]);
        let from = net.now;
        net.set_link(0, 0, false);
        assert_eq!(net.state(0), State::Fault);
        net.run_for(away);
        net.set_link(0, 0, true);
        net.run_for(100);
        assert_eq!(net.state(0) == State::Master, resumes, "away for {away} ms");
        net.run_for(10_000);
        assert_eq!(net.states(), [State::Master, State::Backup]);
        let taken = net.outputs_since(1, from).iter().any(|o| matches!(o, Output::Add(_)));
        assert_eq!(taken, !resumes, "away for {away} ms");
    }
}

#[test]
fn an_address_that_is_away_for_a_moment_costs_nothing_and_one_that_stays_away_is_told() {
    // one that waits for its skew, as keepalived does, and one that takes over when it is told
    let cases = [
        (2, false, true),
        (100, false, true),
        (5_000, false, false),
        (2, true, true),
        (100, true, false),
        (5_000, true, false),
    ];
    for ((away, fast, resumes), configured) in cases.into_iter().flat_map(|case| [(case, false), (case, true)]) {
        let mut peer = instance("VI", 0, 51, 100);
        peer.fast_takeover = fast;
        let mut config = one(instance("VI", 0, 51, 200));
        if configured {
            config.instances[0].source = Some(addr(0, 0));
            config.instances[0].track_source = true;
        }
        let mut net = Net::new(vec![config, one(peer)]);
        net.run_for(10_000);
        assert_eq!(net.states(), [State::Master, State::Backup]);
        let from = net.now;
        net.input(0, Input::Link(link(2, "eth0", true, &[])));
        assert_eq!(net.state(0), State::Fault, "it does not serve on without the host's own address");
        let told = net.outputs_since(0, from).iter().any(|o| matches!(o, Output::Send(s) if s.priority == 0));
        assert!(told, "who lost its address says so");
        net.run_for(away);
        let back = net.now;
        net.set_link(0, 0, true);
        if !resumes {
            assert_eq!(net.states(), [State::Backup, State::Master], "away for {away} ms");
        }
        let beside = |n: &Net| n.when(0, back, is_master).is_some() && n.state(1) == State::Master;
        for _ in 0..20 {
            net.run_for(40);
            assert!(!beside(&net), "whom it has heard it does not push aside by the way");
        }
        let taken = net.outputs_since(1, from).iter().any(|o| matches!(o, Output::Add(_)));
        assert_eq!((net.when(1, from, is_master).is_some(), taken), (!resumes, !resumes), "away for {away} ms");
        net.run_for(10_000);
        assert_eq!(net.states(), [State::Master, State::Backup]);
    }
}

#[test]
fn a_link_that_dies_during_a_hand_over_ends_it() {
    let mut solo = Solo::new(with_script(100, 0));
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    solo.run_to_master();
    solo.run_ms(1);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    assert_eq!((solo.state(), removed(&solo.take())), (State::Master, 0));
    assert_eq!(solo.router.handing_over().collect::<Vec<_>>(), ["VI"]);
    solo.input(Input::LinkGone("eth0"));
    assert_eq!((solo.state(), removed(&solo.take())), (State::Fault, 1));
}

// ---- contention ---------------------------------------------------------------------------------------------------------

#[test]
fn after_a_partition_the_winner_announces_itself_after_the_loser_has_let_go_whoever_speaks_first() {
    // 20 phases of the two advert rhythms
    for phase in 0..20u64 {
        let mut net = Net::pair(200, 100);
        net.run_for(10_000);
        net.cut.insert((0, 1));
        net.run_for(20_000 + phase * 53);
        assert_eq!(net.states(), [State::Master, State::Master]);
        let from = net.now;
        net.cut.clear();
        net.run_until(2000, |n| n.state(1) == State::Backup);
        net.run_for(50);
        let let_go = net.when(1, from, is_remove).expect("let go");
        let again = net.last(0, is_announce).expect("announced");
        assert!(again > let_go, "phase {phase}: the winner announced at {again}, the loser let go at {let_go}");
        assert_eq!(net.states(), [State::Master, State::Backup]);
        // and nobody is told of a new master
        assert!(!net.outputs_since(0, from).iter().any(is_master));
    }
}

#[test]
fn the_loser_says_one_last_word_unless_it_is_strict() {
    for strict in [false, true] {
        let mut c = vi(100);
        c.strict = strict;
        let mut solo = Solo::master(one(c));
        solo.hear(PEER, 200);
        let out = solo.take();
        assert_eq!(sent(&out), if strict { vec![] } else { vec![100] });
        assert_eq!(solo.state(), State::Backup);
        if !strict {
            let removed = out.iter().position(is_remove).expect("removed");
            let word = out.iter().position(|o| matches!(o, Output::Send(_))).expect("sent");
            assert!(removed < word, "the winner must hear of it when the address is gone");
        }
        assert!(logs(&out).contains(&"(VI) Master received advert from 10.0.0.9 with higher priority 200, ours 100"));
    }
}

#[test]
fn strict_mode_with_higher_prio_send_advert_says_the_word() {
    let mut c = vi(100);
    c.strict = true;
    c.higher_prio_send_advert = true;
    let mut solo = Solo::master(one(c));
    solo.hear(PEER, 200);
    assert_eq!(sent(&solo.take()), [100]);
}

#[test]
fn a_lower_advert_is_answered_announced_over_and_told() {
    let mut solo = Solo::master(one(vi(100)));
    solo.run_ms(400);
    solo.hear(PEER, 50);
    let out = solo.take();
    assert_eq!((sent(&out), announced(&out)), (vec![100], 5));
    assert_eq!(notices(&out), ["VI MASTER_RX_LOWER_PRI"]);
    let line = "(VI) Received advert from 10.0.0.9 with lower priority 50, ours 100, forcing new election";
    assert!(logs(&out).contains(&line));
    solo.run_ms(5000);
    // the second burst of becoming master and the second one of the contention
    assert_eq!(announced(&solo.take()), 10);
}

#[test]
fn the_second_burst_over_a_lower_advert_has_its_own_delay() {
    let mut c = vi(100);
    (c.garp.delay, c.garp.lower_prio_delay) = (Duration::ZERO, Duration::from_secs(2));
    let mut solo = Solo::master(one(c));
    solo.hear(PEER, 50);
    assert_eq!(announced(&solo.take()), 5);
    solo.run_ms(1999);
    assert_eq!(announced(&solo.take()), 0);
    solo.run_ms(1);
    assert_eq!(announced(&solo.take()), 5);
    solo.run_ms(10_000);
    assert_eq!(announced(&solo.take()), 0);
}

#[test]
fn contention_is_announced_even_where_the_schedule_says_none() {
    let mut c = vi(100);
    c.garp.lower_prio_repeat = 0;
    c.lower_prio_no_advert = true;
    let mut solo = Solo::master(one(c));
    solo.hear(PEER, 50);
    let out = solo.take();
    assert_eq!((sent(&out), announced(&out)), (vec![], 1));
}

#[test]
fn a_stream_of_lower_adverts_leads_to_bounded_adverts_announcements_and_log() {
    let mut solo = Solo::master(one(vi(100)));
    for _ in 0..9_500 {
        solo.hear(PEER, 50);
        solo.run_ms(1);
    }
    let out = solo.take();
    assert!(sent(&out).len() <= 45, "{} adverts in 10 s", sent(&out).len());
    // one burst a second, the schedule's second bursts beside
    assert!(announced(&out) <= 130, "{} announcements in 10 s", announced(&out));
    assert!(logs(&out).len() <= 40, "{} lines in 10 s", logs(&out).len());
    // the last contention is announced over as well
    solo.run_ms(1000);
    assert!(announced(&solo.take()) >= 1);
}

#[test]
fn the_last_word_of_a_master_that_we_pushed_aside_makes_no_noise() {
    let mut net = Net::pair(100, 100);
    let mut better = vi(200);
    better.garp.delay = Duration::ZERO;
    net.nodes[1].config = one(better);
    net.crash(1);
    net.run_for(10_000);
    assert_eq!(net.state(0), State::Master);
    let from = net.now;
    net.start(1);
    net.run_for(10_000);
    assert_eq!(net.states(), [State::Backup, State::Master]);
    let out = net.outputs_since(1, from);
    assert_eq!(notices(&out), ["VI BACKUP", "VI MASTER"]);
    assert!(!logs(&out).iter().any(|l| l.contains("forcing new election")));
    let let_go = net.when(0, from, is_remove).expect("let go");
    assert!(net.last(1, is_announce).expect("announced") > let_go);
}

#[test]
fn two_owners_the_greater_address_steps_down_to_254_and_comes_back() {
    let mut c = vi(255);
    c.start_master = true;
    let mut solo = Solo::new(one(c));
    solo.take();
    for _ in 0..3 {
        solo.hear(LOW_PEER, 255);
        solo.run_ms(1000);
    }
    assert_eq!(solo.view().priority, 255, "2 adverts and 1.2 of the longest");
    solo.run_ms(150);
    solo.hear(LOW_PEER, 255);
    solo.run_ms(100);
    assert_eq!(solo.view().priority, 254);
    solo.hear(LOW_PEER, 255);
    assert_eq!(solo.state(), State::Backup);
    assert!(logs(&solo.take()).iter().any(|l| l.contains("address owner")));
    solo.run_ms(3100);
    assert_eq!((solo.state(), solo.view().priority), (State::Master, 255));
}

#[test]
fn two_owners_with_the_lower_address_back_off() {
    let mut c = vi(255);
    c.start_master = true;
    let mut solo = Solo::new(one(c));
    solo.hear(PEER, 255);
    assert_eq!(solo.state(), State::Backup);
}

// ---- oversleeping -------------------------------------------------------------------------------------------------------

#[test]
fn a_master_that_overslept_listens_before_it_sends_and_steps_down_for_a_better_one() {
    let mut net = Net::pair(100, 150);
    net.crash(1);
    net.run_for(10_000);
    assert_eq!(net.state(0), State::Master);
    net.nodes[0].paused = true;
    net.start(1);
    net.run_for(8_000);
    assert_eq!(net.state(1), State::Master);
    let from = net.now;
    net.wake(0);
    net.run_for(100);
    assert_eq!(net.state(0), State::Backup);
    // its last word is all that it says
    assert_eq!(sent(&net.outputs_since(0, from)).len(), 1);
    assert!(net.when(0, from, is_remove) <= net.when(0, from, |o| matches!(o, Output::Send(_))));
}

#[test]
fn a_master_that_overslept_alone_listens_for_an_interval_and_goes_on() {
    let mut solo = Solo::master(one(vi(100)));
    solo.now += S * 6;
    solo.router.poll(solo.now, &mut solo.out);
    assert_eq!(sent(&solo.take()), []);
    solo.run_ms(1100);
    assert_eq!(sent(&solo.take()), []);
    solo.run_ms(30);
    let out = solo.take();
    assert_eq!((sent(&out), announced(&out)), (vec![100], 1));
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn a_master_that_overslept_and_is_still_the_best_takes_the_address_back_as_soon_as_its_queue_is_read() {
    let mut solo = Solo::master(one(vi(200)));
    solo.now += S * 6;
    solo.hear(PEER, 100);
    solo.hear(PEER, 100);
    solo.router.poll(solo.now, &mut solo.out);
    assert_eq!(sent(&solo.take()), []);
    solo.run_ms(10);
    let out = solo.take();
    assert_eq!(sent(&out), [200]);
    assert!(announced(&out) > 0);
}

#[test]
fn a_little_lateness_is_no_oversleeping() {
    let mut solo = Solo::master(one(vi(100)));
    solo.now += Duration::from_millis(2900);
    solo.router.poll(solo.now, &mut solo.out);
    assert_eq!(sent(&solo.take()), [100]);
}

#[test]
fn timer_expired_backup_goes_to_backup() {
    let mut c = vi(100);
    c.preempt = false;
    c.timer_expired_backup = Some(50);
    let mut solo = Solo::master(one(c));
    solo.now += S * 4;
    solo.router.poll(solo.now, &mut solo.out);
    assert_eq!(solo.state(), State::Backup);
    assert_eq!(removed(&solo.take()), 1);
}

#[test]
fn a_late_backup_reads_its_queue_before_it_stands_up() {
    let mut solo = Solo::new(one(vi(100)));
    solo.hear(PEER, 200);
    solo.now += S * 10;
    solo.router.poll(solo.now, &mut solo.out);
    assert_eq!(solo.state(), State::Backup);
    solo.hear(PEER, 200);
    solo.run_ms(3000);
    assert_eq!(solo.state(), State::Backup);
    // and when there is nothing for an interval, it does
    solo.now += S * 10;
    solo.router.poll(solo.now, &mut solo.out);
    solo.run_ms(1130);
    assert_eq!(solo.state(), State::Master);
}

// ---- the rest -----------------------------------------------------------------------------------------------------------

#[test]
fn announcements_follow_their_schedule() {
    let mut c = vi(100);
    c.garp.refresh = S * 10;
    c.garp.refresh_repeat = 2;
    c.excluded = vec![Address::new(cidr("10.0.0.99/24"), "eth0")];
    let mut solo = Solo::new(one(c));
    solo.take();
    solo.run(Duration::from_nanos(3_609_375_000));
    assert_eq!(announced(&solo.take()), 10);
    solo.run_ms(4_999);
    assert_eq!(announced(&solo.take()), 0);
    solo.run_ms(1);
    assert_eq!(announced(&solo.take()), 10);
    solo.run_ms(5_000);
    assert_eq!(announced(&solo.take()), 4);
    solo.run_ms(10_000);
    assert_eq!(announced(&solo.take()), 4);
}

#[test]
fn a_start_takes_out_what_a_killed_process_left_behind() {
    let mut out = Vec::new();
    let mut router = Router::new(one(vi(100)), 1, t(0), &mut out);
    router.handle(t(0), Input::Link(link(2, "eth0", true, &[addr(0, 0), ip("10.0.0.151")])), &mut out);
    router.poll(t(0), &mut out);
    assert_eq!(removed(&out), 1);
    assert_eq!(router.views().next().and_then(|v| v.source), Some(addr(0, 0)));
}

#[test]
fn priority_changes_are_told_where_wanted() {
    let mut config = with_script(100, 20);
    config.instances[0].notify_priority_changes = true;
    let mut solo = Solo::new(config);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    assert!(logs(&solo.out).contains(&"(VI) Changing effective priority from 100 to 120"));
    assert!(notices(&solo.out).contains(&"VI BACKUP_PRIORITY".to_owned()));
    solo.run_to_master();
    solo.run_ms(1);
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    assert_eq!(notices(&solo.take()), ["VI MASTER_PRIORITY"]);
    solo.run_ms(1000);
    assert_eq!(sent(&solo.take()), [100], "in the next advert");
    let _: Time = solo.now;
}

#[test]
fn announcements_on_request_are_a_master_s() {
    let mut solo = Solo::new(one(vi(100)));
    solo.take();
    solo.input(Input::Announce("VI"));
    solo.run_ms(100);
    assert_eq!(announced(&solo.take()), 0);
    let mut solo = Solo::master(one(vi(100)));
    solo.run_ms(30_000);
    solo.take();
    solo.input(Input::Announce("another"));
    solo.input(Input::Announce("VI"));
    solo.run_ms(100);
    assert_eq!(announced(&solo.take()), vi(100).addresses.len());
}

#[test]
fn nobody_stands_up_while_the_daemon_stops() {
    let mut a = instance("A", 0, 51, 100);
    a.priority = 200;
    let b = instance("B", 0, 52, 100);
    let mut solo = Solo::new(Config { instances: vec![a, b], ..Config::default() });
    for _ in 0..4 {
        solo.hear_nth(1, PEER, 200);
        solo.run_ms(1000);
    }
    assert_eq!(solo.states(), [State::Master, State::Backup]);
    solo.hear_nth(1, PEER, 200);
    solo.take();
    solo.input(Input::Stop { keep_objects: false });
    solo.hear_nth(1, PEER, 50);
    solo.run_ms(100);
    solo.hear_nth(1, PEER, 0);
    solo.run_ms(1000);
    let out = solo.take();
    assert_eq!(sent(&out), [0, 0]);
    assert_eq!(notices(&out), ["A STOP", "B STOP"]);
}

/// What may happen to a node of a cluster.
#[derive(Clone, Debug)]
enum Event {
    Crash,
    Start,
    Pause,
    Wake,
    Link(bool),
    Cut(usize),
    Heal,
    Stop,
    Lost,
}

fn any_event() -> impl proptest::strategy::Strategy<Value = Event> {
    use proptest::prelude::*;
    prop_oneof![
        Just(Event::Crash),
        Just(Event::Start),
        Just(Event::Pause),
        Just(Event::Wake),
        any::<bool>().prop_map(Event::Link),
        (0usize..3).prop_map(Event::Cut),
        Just(Event::Heal),
        Just(Event::Stop),
        Just(Event::Lost),
    ]
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(96))]
    /// Whatever happened: once all is well, the best router alone holds the address, and whoever is not master holds nothing.
    #[test]
    fn a_cluster_converges_on_its_best_router(
        events in proptest::collection::vec((0usize..3, any_event(), 1u64..6000), 1..25),
        v3: bool,
        preempt: bool,
    ) {
        use proptest::prelude::*;
        let node = |priority| {
            let mut c = vi(priority);
            c.preempt = preempt;
            if v3 {
                c.version = Version::V3;
                c.advert_interval = Duration::from_millis(500);
            }
            one(c)
        };
        let mut net = Net::new(vec![node(100), node(150), node(200)]);
        let mut digests = Vec::new();
        for (n, event, wait) in events {
            match event {
                Event::Crash => net.crash(n),
                Event::Start => {
                    if net.nodes[n].router.is_none() || net.nodes[n].stopped {
                        net.start(n);
                    }
                }
                Event::Pause => net.nodes[n].paused = true,
                Event::Wake => net.wake(n),
                Event::Link(up) => if !net.nodes[n].paused { net.set_link(n, 0, up) },
                Event::Cut(m) => { net.cut.insert((n, m)); }
                Event::Heal => net.cut.clear(),
                Event::Stop => if !net.nodes[n].paused { net.stop(n) },
                Event::Lost => {
                    let object = net.nodes[n].held.iter().next().cloned();
                    if let Some(object) = object {
                        net.input(n, Input::ObjectLost(&object));
                    }
                }
            }
            net.run_for(wait);
            // Who looks at digests alone misses nothing that a successor must be told, and says nothing twice.
            for router in net.nodes.iter().filter_map(|n| n.router.as_ref()) {
                let told: Vec<_> = router.snapshots().collect();
                let print = router.fingerprint();
                prop_assert!(digests.iter().all(|(p, t)| (*p == print) == (*t == told)));
                digests.push((print, told));
            }
        }
        net.cut.clear();
        for n in 0..3 {
            net.wake(n);
            net.set_link(n, 0, true);
            net.run_for(1500);
            if net.nodes[n].router.is_none() || net.nodes[n].stopped {
                net.start(n);
            }
        }
        net.run_for(20_000);
        let states = net.states();
        prop_assert_eq!(states.iter().filter(|s| **s == State::Master).count(), 1, "{:?}", states);
        for n in 0..3 {
            prop_assert_eq!(net.holds(n), states[n] == State::Master, "{} {:?}", n, states);
        }
        if preempt {
            prop_assert_eq!(states[2], State::Master);
        }
        // and it is quiet: one router sends, once an interval
        let from = net.now;
        net.run_for(10_000);
        let adverts: usize = (0..3).map(|n| sent(&net.outputs_since(n, from)).len()).sum();
        let want = if v3 { 20 } else { 10 };
        prop_assert!(adverts == want || adverts == want + 1, "{} adverts", adverts);
    }
}

/// The limit of replies is one of a mastership: what an earlier one has used up must not make this one silent in a contest.
#[test]
fn a_new_master_answers_who_contends_whatever_it_answered_before() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    for _ in 0..5 {
        solo.hear(PEER, 50);
    }
    solo.hear(PEER, 200);
    assert_eq!(solo.state(), State::Backup);
    solo.run_to_master();
    solo.hear(PEER, 50);
    assert_eq!(sent(&solo.take()), [100]);
}

/// While it listens somebody else may hold the addresses: what clients were told last must stay so.
#[test]
fn a_master_that_overslept_announces_nothing_while_it_listens() {
    for gap in [Duration::ZERO, Duration::from_millis(10)] {
        let mut c = vi(100);
        c.garp.delay = Duration::from_millis(4700);
        c.garp.refresh = S * 2;
        c.garp.refresh_repeat = 100;
        c.garp.extra = Some((S * 3, true));
        c.excluded = vec![Address::new(cidr("10.0.1.99/24"), "eth1")];
        let mut solo = Solo::master(Config { garp_interval: gap, ..one(c) });
        solo.run_ms(4_500);
        solo.take();
        solo.now += S * 30;
        solo.router.poll(solo.now, &mut solo.out);
        solo.run_ms(1100);
        let out = solo.take();
        assert_eq!((announced(&out), sent(&out)), (0, vec![]), "{gap:?}");
        // Nor what was still to be sent when it was held up.
        let withheld = |on: &str| {
            let it = |o: &&Output| matches!(o, Output::Withhold { interface, .. } if interface == on);
            out.iter().filter(it).count()
        };
        assert_eq!((withheld("eth0"), withheld("eth1")), (1, 1), "{gap:?}");
        solo.run_ms(30);
        assert!(announced(&solo.take()) > 0, "{gap:?}: it goes on");
        solo.run_ms(4_000);
        solo.take();
        solo.run_ms(3_000);
        assert!(announced(&solo.take()) > 100, "{gap:?}: the schedule does, too");
    }
}

#[test]
fn a_request_to_announce_is_none_for_who_listens() {
    let mut solo = Solo::master(one(vi(100)));
    solo.now += S * 6;
    solo.router.poll(solo.now, &mut solo.out);
    solo.take();
    solo.input(Input::Announce("VI"));
    assert_eq!(announced(&solo.take()), 0);
}

#[test]
fn a_master_that_is_held_up_again_while_it_listens_listens_anew() {
    let mut solo = Solo::master(one(vi(100)));
    for _ in 0..2 {
        solo.now += S * 6;
        solo.router.poll(solo.now, &mut solo.out);
        let out = solo.take();
        assert_eq!((announced(&out), sent(&out)), (0, vec![]));
    }
    solo.run_ms(1130);
    assert_eq!(sent(&solo.take()), [100]);
}

/// After a pause of the whole host nothing has queued up: a living master is heard by its next advert.
#[test]
fn a_backup_that_overslept_waits_for_the_next_advert_of_a_living_master() {
    let mut solo = Solo::new(one(vi(100)));
    solo.hear(PEER, 200);
    solo.now += S * 10;
    solo.router.poll(solo.now, &mut solo.out);
    solo.run_ms(950);
    solo.hear(PEER, 200);
    solo.run_ms(3000);
    assert_eq!((solo.state(), sent(&solo.take())), (State::Backup, vec![]));
}

#[test]
fn who_leaves_the_field_to_a_lower_router_by_nopreempt_says_so() {
    let mut c = vi(100);
    c.preempt = false;
    let mut solo = Solo::master(one(c));
    solo.now += S * 6;
    solo.hear(PEER, 50);
    assert_eq!(solo.state(), State::Backup);
    let out = solo.take();
    let said = logs(&out);
    assert!(!said.iter().any(|l| l.contains("higher priority")), "{said:?}");
    assert!(said.iter().any(|l| l.contains("10.0.0.9 (priority 50)") && l.contains("nopreempt")), "{said:?}");
}

fn two_owners() -> (InstanceConfig, Solo) {
    let mut c = vi(255);
    c.start_master = true;
    let mut solo = Solo::new(one(c.clone()));
    for _ in 0..4 {
        solo.hear(LOW_PEER, 255);
        solo.run_ms(1000);
    }
    solo.hear(LOW_PEER, 255);
    assert_eq!((solo.state(), solo.view().priority), (State::Backup, 254));
    solo.take();
    (c, solo)
}

/// 254 was for two owners: a reload that makes it none has nothing to step down from.
#[test]
fn an_owner_that_stepped_down_and_is_none_any_more_has_its_own_priority() {
    let (mut c, mut solo) = two_owners();
    c.priority = 100;
    c.start_master = false;
    solo.router.reload(solo.now, one(c), &mut solo.out);
    assert_eq!(solo.view().priority, 100);
    solo.hear(LOW_PEER, 200);
    solo.run_ms(100);
    assert_eq!(solo.state(), State::Backup);
}

#[test]
fn an_owner_that_stepped_down_and_follows_its_group_is_owner_again() {
    let mut c = vi(255);
    c.start_master = true;
    let mut d = instance("VJ", 1, 52, 255);
    d.start_master = true;
    let group = GroupConfig { name: "G".into(), members: vec!["VI".into(), "VJ".into()], tracking_weight: true };
    let mut solo = Solo::new(Config { instances: vec![c, d], groups: vec![group], ..Config::default() });
    for _ in 0..4 {
        solo.hear(LOW_PEER, 255);
        solo.run_ms(1000);
    }
    solo.hear(LOW_PEER, 255);
    assert_eq!(solo.view().priority, 254);
    solo.hear_nth(1, "10.0.1.9", 255);
    // The peer stops: the one that did not step down is due first, and takes the other along.
    solo.hear_nth(0, LOW_PEER, 0);
    solo.hear_nth(1, "10.0.1.9", 0);
    solo.run_ms(100);
    assert_eq!(solo.states(), [State::Master; 2]);
    assert_eq!(solo.view().priority, 255);
}

#[test]
fn nothing_follows_the_end_of_a_stop() {
    let mut c = vi(100);
    c.soft_release = false;
    let mut d = instance("VJ", 1, 52, 100);
    d.addresses = vec![Address::new(cidr("10.0.1.152/24"), "eth1")].into();
    let mut out = Vec::new();
    let mut router =
        Router::new(Config { instances: vec![c, d.clone()], ..Config::default() }, 1, Time::ZERO, &mut out);
    router.handle(Time::ZERO, Input::Link(link(2, "eth0", true, &[addr(0, 0)])), &mut out);
    let mut second = link(3, "eth1", true, &[addr(1, 0)]);
    second.addresses.push(d.addresses[0].shown());
    router.handle(Time::ZERO, Input::Link(second), &mut out);
    router.inherit(&[Object::Address(d.addresses[0].clone())]);
    let mut solo = Solo { router, out, now: Time::ZERO };
    solo.router.poll(Time::ZERO, &mut solo.out);
    solo.hear_nth(0, PEER, 0);
    solo.run_ms(700);
    assert_eq!(solo.states(), [State::Master, State::Backup]);
    solo.take();
    solo.input(Input::Stop { keep_objects: false });
    let out = solo.take();
    assert_eq!(removed(&out), 2);
    assert_eq!(out.last(), Some(&Output::Stopped));
}

#[test]
fn a_contention_announces_no_member_of_the_group_that_listens() {
    let group = GroupConfig { name: "G".into(), members: vec!["VI".into(), "VJ".into()], tracking_weight: true };
    let instances = vec![vi(100), instance("VJ", 1, 52, 100)];
    let mut solo = Solo::new(Config { instances, groups: vec![group], ..Config::default() });
    solo.run_ms(3700);
    assert_eq!(solo.states(), [State::Master; 2]);
    solo.now += S * 6;
    solo.router.poll(solo.now, &mut solo.out);
    solo.hear_nth(0, PEER, 50);
    solo.run_ms(20);
    solo.take();
    solo.hear_nth(0, PEER, 50);
    let other = |o: &&Output| matches!(o, Output::Announce { interface, .. } if interface == "eth1");
    assert_eq!(solo.take().iter().filter(other).count(), 0);
}

/// Its lease may have ended meanwhile. Who serves has not been heard yet.
#[test]
fn what_went_while_a_master_was_held_up_comes_back_only_when_it_goes_on() {
    for (master, early) in [(None, true), (None, false), (Some(200), true), (Some(200), false), (Some(50), true)] {
        let mut c = vi(100);
        c.preempt = false;
        let address = Object::Address(c.addresses[0].clone());
        let mut solo = Solo::master(one(c));
        solo.run_ms(500);
        solo.take();
        solo.now += S * 8;
        // the kernel's word may be read before or after the timer that was due
        if early {
            solo.input(Input::ObjectLost(&address));
        }
        solo.router.poll(solo.now, &mut solo.out);
        assert_eq!(solo.router.withheld().collect::<Vec<_>>(), [&solo.view().config.addresses[0]]);
        if !early {
            solo.input(Input::ObjectLost(&address));
        }
        solo.input(Input::LinkBlinked("eth0"));
        solo.run_ms(900);
        let out = solo.take();
        assert_eq!((added(&out), sent(&out)), (0, vec![]), "{master:?}");
        let text = "address 10.0.0.151/24 dev eth0 was removed while a master is listened for";
        assert_eq!(logs(&out).iter().filter(|l| l.contains(text)).count(), 1, "{:?}", logs(&out));
        assert!(!logs(&out).iter().any(|l| l.contains("putting it back")), "{:?}", logs(&out));
        if let Some(priority) = master {
            solo.hear(PEER, priority);
        }
        solo.run_ms(300);
        let out = solo.take();
        assert_eq!((solo.state() == State::Master, added(&out)), (master.is_none(), usize::from(master.is_none())));
        assert_eq!(solo.router.withheld().count(), 0);
    }
}
