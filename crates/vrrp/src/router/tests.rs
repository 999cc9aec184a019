use super::*;
use crate::testkit::*;

#[test]
fn two_routers_elect_take_over_and_release() {
    let mut net = Net::pair(200, 100);
    net.run_for(10_000);
    assert_eq!(net.states(), [State::Master, State::Backup]);
    assert!(net.holds(0) && !net.holds(1));
    net.crash(0);
    let at = net.now;
    net.run_until(10_000, |n| n.state(1) == State::Master);
    let took = net.now.since(at);
    assert!(took <= Duration::from_millis(3610), "{took:?}");
    assert!(took >= Duration::from_millis(2600), "{took:?}");
    net.start(0);
    net.run_until(10_000, |n| n.state(0) == State::Master);
    net.run_for(10);
    assert_eq!(net.states(), [State::Master, State::Backup]);
    net.stop(0);
    net.run_until(2_000, |n| n.stopped(0));
    assert!(net.holds(1) && !net.holds(0));
}

fn restored(config: Config, snapshots: &[Snapshot]) -> Solo {
    restored_at(config, snapshots, t(0))
}

fn restored_at(config: Config, snapshots: &[Snapshot], now: Time) -> Solo {
    let mut out = Vec::new();
    let router = Router::restore(config, snapshots, 1, now, &mut out);
    let mut solo = Solo { router, out, now };
    solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0), ip("10.0.0.151")])));
    solo.router.poll(now, &mut solo.out);
    solo
}

#[test]
fn a_successor_process_goes_on_as_master_and_tells_nobody() {
    let solo = Solo::master(one(instance("VI", 0, 51, 100)));
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let mut next = restored(one(instance("VI", 0, 51, 100)), &snapshots);
    let out = next.take();
    assert_eq!(next.state(), State::Master);
    assert_eq!((sent(&out), added(&out), removed(&out)), (vec![100], 1, 0));
    assert!(notices(&out).is_empty(), "{:?}", notices(&out));
    next.run_ms(1000);
    assert_eq!(sent(&next.take()), [100]);
}

/// A peer that sums the old way believes nothing of who has forgotten it.
#[test]
fn a_successor_sums_as_its_peers_do() {
    let mut c = instance("VI", 0, 51, 100);
    c.version = crate::Version::V3;
    let peers = vec![crate::Peer { address: ip(PEER), min_ttl: 0, max_ttl: 255 }];
    c.unicast = Some(crate::Unicast { peers, ttl: 255, check_source: true });
    let mut solo = Solo::master(one(c.clone()));
    solo.take();
    let old = advert_for(&c, 50).emit(form_of(&c), ip(PEER), c.group);
    solo.receive(PEER, 255, &old);
    let out = solo.take();
    assert!(logs(&out).iter().any(|l| l.contains("checksum to old version")), "{out:?}");
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let out = restored(one(c.clone()), &snapshots).take();
    let first = out.iter().find_map(|o| if let Output::Send(s) = o { Some(s) } else { None }).expect("an advert");
    let right = |to| crate::wire::verify(&first.payload, c.version, first.source, to).is_some();
    assert!(right(c.group) && !right(first.destination));
}

#[test]
fn a_restored_master_keeps_the_priority_that_good_scripts_gave_it_until_they_report() {
    let mut c = instance("VI", 0, 51, 100);
    c.tracks = vec![crate::Track { what: Tracked::Script("chk".into()), weight: 20, reverse: false }];
    let script = crate::ScriptConfig {
        name: "chk".into(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        init_fail: false,
        command: "chk".into(),
    };
    let config = Config { scripts: vec![script], ..one(c) };
    let snapshot = Snapshot {
        name: "VI".into(),
        state: State::Master,
        master_interval: 0,
        master: None,
        master_priority: 0,
        scripts: vec![("chk".into(), true)],
        sessions: vec![],
        services: vec![],
        mastership: (1, 0),
        stamps: crate::Stamps::default(),
        old_checksum: false,
        preempts: 0,
        base: 110,
    };
    let mut solo = restored(config, &[snapshot]);
    let out = solo.take();
    assert_eq!(sent(&out), [120]);
    assert!(logs(&out).contains(&"(VI) Changing effective priority from 130 to 120"), "{:?}", logs(&out));
    assert_eq!(solo.view().counters.become_master, 1);
}

/// The checker has not spoken yet: a virtual server without quorum is none for the successor either, also where it owns the address.
#[test]
fn a_restored_instance_without_its_virtual_server_stays_in_fault() {
    for priority in [100, 255] {
        let mut c = instance("VI", 0, 51, priority);
        c.tracks = vec![crate::Track { what: Tracked::Service("web".into()), weight: 0, reverse: false }];
        let mut solo = Solo::new(one(c.clone()));
        solo.input(Input::Service("web", false));
        assert_eq!(solo.state(), State::Fault);
        let snapshots: Vec<_> = solo.router.snapshots().collect();
        let mut next = restored(one(c), &snapshots);
        let out = next.take();
        assert_eq!((next.state(), added(&out)), (State::Fault, 0));
        assert!(notices(&out).is_empty(), "{:?}", notices(&out));
        next.input(Input::Service("web", true));
        assert_ne!(next.state(), State::Fault);
    }
}

/// The delay of a preemption goes on where the former process was with it; one that was over is over.
#[test]
fn a_restored_backup_waits_for_the_rest_of_its_preempt_delay() {
    let mut c = instance("VI", 0, 51, 100);
    c.preempt_delay = Duration::from_secs(10);
    let hear = |solo: &mut Solo, seconds: u64| {
        for _ in 0..seconds {
            solo.hear(PEER, 50);
            solo.run_ms(1000);
        }
    };
    for (seconds, delay, rest) in [(6, 10, 4), (6, 2, 2), (1, 10, 9)] {
        let mut solo = Solo::new(one(c.clone()));
        solo.router.take_learned();
        hear(&mut solo, seconds);
        assert!(solo.router.take_learned(), "its beginning is to be kept at once");
        let snapshots: Vec<_> = solo.router.snapshots().collect();
        c.preempt_delay = Duration::from_secs(delay);
        let mut next = restored_at(one(c.clone()), &snapshots, solo.now);
        hear(&mut next, rest - 1);
        assert_eq!(next.state(), State::Backup, "after {seconds} s");
        hear(&mut next, 2);
        assert_eq!(next.state(), State::Master, "after {seconds} s");
        c.preempt_delay = Duration::from_secs(10);
    }
    // None had begun; and one that comes to its end between two processes.
    let mut solo = Solo::new(one(c.clone()));
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let mut next = restored_at(one(c.clone()), &snapshots, solo.now);
    hear(&mut next, 9);
    assert_eq!(next.state(), State::Backup);
    hear(&mut solo, 9);
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let mut next = restored_at(one(c), &snapshots, solo.now + Duration::from_secs(3));
    hear(&mut next, 1);
    assert_eq!(next.state(), State::Master);
    // That it is over is told, though nothing else has changed.
    let before = solo.router.fingerprint();
    hear(&mut solo, 1);
    assert_eq!(solo.state(), State::Backup);
    assert_ne!(before, solo.router.fingerprint());
}

#[test]
fn a_restored_backup_starts_a_fresh_timer_in_silence() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.hear(PEER, 200);
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let mut next = restored(one(instance("VI", 0, 51, 100)), &snapshots);
    assert!(notices(&next.take()).is_empty());
    assert_eq!(next.view().master, Some((ip(PEER), 200)));
    next.run_ms(3609);
    assert_eq!(next.state(), State::Backup);
}

#[test]
fn a_restored_master_that_may_not_go_on_withdraws_what_its_former_self_left() {
    let snapshot = Snapshot {
        name: "VI".into(),
        state: State::Master,
        master_interval: 0,
        master: None,
        master_priority: 0,
        scripts: vec![],
        sessions: vec![],
        services: vec![],
        mastership: (1, 0),
        stamps: crate::Stamps::default(),
        old_checksum: false,
        preempts: 0,
        base: 0,
    };
    let mut out = Vec::new();
    let mut router = Router::restore(one(instance("VI", 0, 51, 100)), &[snapshot], 1, t(0), &mut out);
    router.handle(t(0), Input::Link(link(2, "eth0", false, &[addr(0, 0)])), &mut out);
    router.poll(t(0), &mut out);
    assert_eq!(removed(&out), 1);
    assert_eq!(notices(&out), ["VI FAULT"]);
}

#[test]
fn who_hands_over_does_not_come_back_as_master() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    solo.input(Input::Stop { keep_objects: false });
    assert_eq!(solo.router.snapshots().next().map(|s| s.state), Some(State::Backup));
}

#[test]
fn one_socket_for_each_link_and_family() {
    let mut v6 = crate::InstanceConfig::new("V6", "eth0", 51, Family::V6);
    v6.addresses = vec![steadfast_core::kernel::Address::new(cidr("fe80::51/64"), "eth0")].into();
    let config = Config {
        instances: vec![instance("A", 0, 52, 1), instance("B", 0, 51, 1), instance("C", 1, 51, 1), v6],
        ..Config::default()
    };
    let solo = Solo::new(config);
    let listen = solo.router.listening();
    assert_eq!(listen.len(), 3);
    assert_eq!((listen[0].vrids.as_slice(), listen[0].groups.len()), ([51, 52].as_slice(), 1));
    assert_eq!(listen[2].family, Family::V6);
}

#[test]
fn statistics_count_and_can_be_cleared() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    solo.run_ms(3000);
    solo.hear(PEER, 0);
    solo.hear(PEER, 200);
    let c = solo.view().counters;
    assert_eq!((c.advert_sent, c.advert_rcvd, c.become_master, c.release_master), (6, 2, 1, 1));
    assert_eq!((c.pri_zero_rcvd, c.pri_zero_sent), (1, 0));
    solo.router.clear_counters();
    assert_eq!(solo.view().counters, crate::Counters::default());
}

#[test]
fn instances_of_one_router_id_are_told_apart_by_their_unicast_addresses() {
    let uni = |name: &str, source: &str, peer: &str| {
        let mut c = instance(name, 0, 51, 100);
        c.source = Some(ip(source));
        c.unicast = Some(crate::Unicast {
            peers: vec![crate::Peer { address: ip(peer), min_ttl: 0, max_ttl: 255 }],
            ttl: 255,
            check_source: true,
        });
        c
    };
    let config =
        Config { instances: vec![uni("A", "10.0.0.1", PEER), uni("B", "10.0.0.2", "10.0.0.8")], ..Config::default() };
    let mut solo = Solo::new(config);
    solo.input(Input::Link(link(2, "eth0", true, &[ip("10.0.0.1"), ip("10.0.0.2")])));
    let bytes = solo.packet("10.0.0.8", 200, |_| {});
    let packet = Received {
        interface: 2,
        source: ip("10.0.0.8"),
        destination: ip("10.0.0.2"),
        hop_limit: 255,
        payload: &bytes,
        header: None,
    };
    solo.input(Input::Packet(packet));
    let seen: Vec<_> = solo.router.views().map(|v| v.master.map(|m| m.0)).collect();
    assert_eq!(seen, [None, Some(ip("10.0.0.8"))]);
}

#[test]
fn a_thousand_instances_take_over_together_and_adverts_are_not_scanned_for() {
    let mut config = Config::default();
    for n in 0..1000u32 {
        let (dev, vrid) = (n / 250, (n % 250 + 1) as u8);
        let mut c = crate::InstanceConfig::new(&format!("V{n}"), "eth0", vrid, Family::V4);
        let vip = format!("10.1.{dev}.{vrid}/24");
        c.addresses = vec![steadfast_core::kernel::Address::new(cidr(&vip), format!("eth{dev}"))].into();
        c.interface = format!("eth{dev}").into();
        config.instances.push(c);
    }
    let mut solo = Solo::new(config);
    for dev in 2..4u32 {
        solo.input(Input::Link(link(dev + 2, &format!("eth{dev}"), true, &[addr(dev as usize, 0)])));
    }
    solo.run_ms(3700);
    assert!(solo.states().iter().all(|s| *s == State::Master));
    solo.take();
    solo.run_ms(10_000);
    assert_eq!(sent(&solo.take()).len(), 10_000);
}

#[test]
fn an_mtu_limits_the_addresses_in_an_advert_but_not_those_in_the_kernel() {
    let mut c = instance("VI", 0, 51, 100);
    c.addresses =
        (1..=200u8).map(|n| steadfast_core::kernel::Address::new(cidr(&format!("10.0.3.{n}/24")), "eth0")).collect();
    let mut out = Vec::new();
    let mut small = link(2, "eth0", true, &[addr(0, 0)]);
    small.mtu = 576;
    let mut router = Router::new(one(c), 1, t(0), &mut out);
    router.handle(t(0), Input::Link(small), &mut out);
    let mut solo = Solo { router, out, now: t(0) };
    solo.run_ms(3610);
    let out = solo.take();
    assert_eq!(added(&out), 200);
    let Some(Output::Send(s)) = out.iter().find(|o| matches!(o, Output::Send(_))) else { panic!("no advert") };
    assert!(s.payload.len() + 20 <= 576 && s.payload[3] == 135, "{} {}", s.payload.len(), s.payload[3]);
    assert!(logs(&out).iter().any(|l| l.contains("135 of 200")));
}

/// Who preempts a group is heard first; the last words of the loser's other members come after it.
#[test]
fn a_priority_0_of_who_is_not_the_master_says_nothing_of_the_master() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.hear(PEER, 200);
    solo.hear(LOW_PEER, 0);
    solo.run_ms(1500);
    assert_eq!(solo.state(), State::Backup);
    solo.hear(PEER, 0);
    solo.run_ms(700);
    assert_eq!(solo.state(), State::Master);
}

/// What it reads first may be the advert of a master that is dead by now: a live one of lower rank must not yield to its last word.
#[test]
fn who_overslept_leaves_with_priority_0() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    solo.now += Duration::from_secs(5);
    solo.hear(PEER, 200);
    assert_eq!((solo.state(), sent(&solo.take())), (State::Backup, vec![0]));
}

#[test]
fn a_takeover_is_expected_when_the_master_is_late() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.hear(PEER, 200);
    let heard = solo.now;
    let expects = |solo: &Solo, ms| solo.router.expects_takeover(heard + Duration::from_millis(ms));
    assert_eq!([1000, 1200, 1300, 2000].map(|ms| expects(&solo, ms)), [false, false, true, true]);
    solo.run_ms(4000);
    assert_eq!((solo.state(), expects(&solo, 4000)), (State::Master, false));
}

#[test]
fn what_many_say_at_one_time_comes_in_parts_and_all_of_it() {
    let all = (1..=100u8).map(|vrid| instance(&format!("V{vrid}"), 0, vrid, 100)).collect();
    let mut solo = Solo::new(Config { instances: all, ..Config::default() });
    solo.run_ms(5000);
    solo.take();
    let due = solo.router.poll_at().expect("the next adverts");
    let (mut said, mut parts) = (0, 0);
    loop {
        let more = solo.router.poll_part(due + Duration::from_secs(1), &mut solo.out);
        let part = sent(&solo.take()).len();
        assert!(part <= PART);
        (said, parts) = (said + part, parts + 1);
        if !more {
            break;
        }
    }
    assert!(said >= 100 && parts >= 2, "{said} in {parts}");
}

/// A life that stood still for longer than its peers have patience has no mastership to hand on; one that was shorter has.
#[test]
fn who_stood_still_before_it_died_is_succeeded_by_a_listener() {
    for (silent, state) in [(3000, State::Master), (4000, State::Backup)] {
        let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
        let snapshots: Vec<Snapshot> = solo.router.snapshots().collect();
        solo.router = Router::restore(one(instance("VI", 0, 51, 100)), &snapshots, 1, solo.now, &mut solo.out);
        solo.router.stood_still(std::time::Duration::from_millis(silent), &mut solo.out);
        solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
        solo.router.poll(solo.now, &mut solo.out);
        assert_eq!(solo.state(), state, "{silent}");
        assert_eq!(sent(&solo.take()).is_empty(), state == State::Backup);
        solo.run_ms(4000);
        assert_eq!(solo.state(), State::Master, "nobody else is there");
    }
}

/// A daemon that has run for a year does not start: what its process knew may be too old to go on with, and it is no beginning.
#[test]
fn who_follows_a_process_does_not_wait_as_at_a_start() {
    let delayed = |c| Config { startup_delay: Duration::from_secs(60), ..one(c) };
    let solo = Solo::master(one(instance("VI", 0, 51, 100)));
    let snapshots: Vec<_> = solo.router.snapshots().collect();
    let mut out = Vec::new();
    let mut router = Router::restore(delayed(instance("VI", 0, 51, 100)), &snapshots, 1, t(0), &mut out);
    router.stood_still(Duration::from_secs(30), &mut out);
    let mut next = Solo { router, out, now: t(0) };
    next.input(Input::Link(link(2, "eth0", true, &[addr(0, 0), ip("10.0.0.151")])));
    next.router.poll(t(0), &mut next.out);
    assert!(!logs(&next.take()).iter().any(|l| l.contains("delaying startup")));
    next.run_ms(5000);
    assert_eq!(next.state(), State::Master);
    assert_eq!(restored(delayed(instance("VI", 0, 51, 100)), &[]).state(), State::Init);
}
