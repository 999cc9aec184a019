//! Two hosts: what clients and peers notice.

use crate::testkit::*;
use crate::wire::Packet;
use crate::*;
use std::time::Duration;

#[test]
fn two_hosts_find_each_other_and_one_that_dies_is_noticed_in_time() {
    let mut w = World::up(session(0), session(1));
    assert_eq!(w.told[0].iter().map(|t| t.1).collect::<Vec<_>>(), [false, true]);
    assert!(w.told[0][1].0.since(t(1000)) < Duration::from_millis(3100), "{:?}", w.told);
    let died = w.now;
    w.hosts[1] = None;
    w.run(100);
    let (at, up) = *w.told[0].last().expect("news");
    assert!(!up);
    let after = at.since(died);
    assert!(after > Duration::from_millis(19) && after <= Duration::from_millis(31), "{after:?}");
    assert_eq!((w.view(0).diag, w.view(0).state), (Diag::EXPIRED, State::Down));
    assert_eq!(w.view(0).remote.discriminator, 0, "the peer is forgotten");
    assert!(w.logs[0].iter().any(|l| l.starts_with("(s) Expired after 30 ms")), "{:?}", w.logs[0]);
    let line = "(s) Entering Down state (Local diagnostic - Control Detection Time Expired, Remote diagnostic - No Diagnostic)";
    assert!(w.logs[0].iter().any(|l| l == line), "{:?}", w.logs[0]);
    // It comes back.
    w.kept[1].clear();
    w.boot(1, session(1));
    w.run(4000);
    assert_eq!(w.states(), (State::Up, State::Up));
}

#[test]
fn one_deaf_side_takes_both_down() {
    let mut w = World::up(session(0), session(1));
    w.cut[1] = true;
    w.run(100);
    assert_eq!(w.states(), (State::Down, State::Down));
    assert_eq!(w.told[1].last().map(|t| t.1), Some(false), "the other side hears that it is not heard");
    w.cut[1] = false;
    w.run(4000);
    assert_eq!(w.states(), (State::Up, State::Up));
}

#[test]
fn who_takes_his_session_down_says_nothing_of_the_path() {
    let mut w = World::up(session(0), session(1));
    w.tell(1, Input::Stop);
    w.run(50);
    assert!(w.stopped[1]);
    let last = w.sent(1).last().expect("packets").packet;
    assert_eq!((last.state, last.diag), (State::AdminDown, Diag::ADMIN));
    assert_eq!((w.view(0).state, w.view(0).diag), (State::Down, Diag::NEIGHBOR));
    assert_eq!(w.told[0].last().map(|t| t.1), Some(true), "clients are told of no failure (RFC 5882)");
    w.hosts[1] = None;
    w.run(20_000);
    assert_eq!(w.told[0].last().map(|t| t.1), Some(true));
    // It comes back, and its next death is one.
    w.kept[1].clear();
    w.boot(1, session(1));
    w.run(4000);
    assert_eq!(w.states(), (State::Up, State::Up));
    w.hosts[1] = None;
    w.run(100);
    assert_eq!(w.told[0].last().map(|t| t.1), Some(false));
}

#[test]
fn a_child_that_is_killed_costs_nothing() {
    let slow = |n| SessionConfig { min_rx: 100_000, min_tx: 100_000, ..session(n) };
    let mut w = World::up(slow(0), slow(1));
    let before = (w.view(0).discriminator, w.view(0).port);
    w.hosts[0] = None;
    w.run(150);
    w.boot(0, slow(0));
    w.run(2000);
    assert_eq!(w.states(), (State::Up, State::Up));
    assert_eq!((w.view(0).discriminator, w.view(0).port), before);
    assert_eq!(w.told[1].iter().filter(|t| !t.1).count(), 1, "the peer noticed: {:?}", w.logs[1]);
    assert_eq!(w.told[0].last().map(|t| t.1), Some(true));
    assert_eq!(w.told[0].iter().filter(|t| !t.1).count(), 1, "clients are not told of what was not");
    // The peer died meanwhile: that is found out within one detection time.
    w.hosts[0] = None;
    w.hosts[1] = None;
    w.boot(0, slow(0));
    w.run(310);
    assert_eq!(w.view(0).state, State::Down);
}

#[test]
fn the_passive_side_waits_to_be_spoken_to() {
    let passive = |n| SessionConfig { passive: true, ..session(n) };
    let mut w = World::new(passive(0), passive(1));
    w.run(10_000);
    assert!(w.seen.is_empty(), "two passive sides say nothing");
    let mut w = World::up(passive(0), session(1));
    w.hosts[1] = None;
    w.run(100);
    w.seen.clear();
    w.run(10_000);
    assert!(w.sent(0).is_empty(), "to a peer that is gone");
}

#[test]
fn a_packet_that_names_no_session_of_ours_is_thrown_away() {
    let mut w = World::up(session(0), session(1));
    let p = w.last_of_peer;
    for (what, forged) in [
        ("another discriminator", Packet { yours: p.yours ^ 1, state: State::Down, ..p }),
        ("none, and Init", Packet { yours: 0, state: State::Init, ..p }),
        ("none, and Up", Packet { yours: 0, state: State::Up, ..p }),
    ] {
        w.receive(0, &forged.emit(), 255);
        assert_eq!(w.view(0).state, State::Up, "{what}");
    }
    let refused = w.view(0).counters.refused;
    assert_eq!(refused, 3);
    let down = Packet { state: State::Down, ..p };
    let of = |source: &str, destination: &str, multihop| {
        Input::Packet(Received {
            source: ip(source),
            destination: ip(destination),
            hop_limit: 255,
            multihop,
            payload: &[],
        })
    };
    for (source, multihop) in [("10.0.0.9", false), ("10.0.0.2", true)] {
        let Input::Packet(r) = of(source, "10.0.0.1", multihop) else { continue };
        let bytes = down.emit();
        w.tell(0, Input::Packet(Received { payload: &bytes, ..r }));
        assert_eq!(w.view(0).state, State::Up, "from {source}, multihop {multihop}");
    }
    // The same from the peer itself is believed.
    w.receive(0, &down.emit(), 255);
    assert_eq!(w.view(0).state, State::Down);
}

#[test]
fn a_ttl_below_255_is_refused_and_max_hops_allows_some() {
    let mut w = World::new(session(0), session(1));
    w.ttl = 254;
    w.run(5000);
    assert_eq!(w.states(), (State::Down, State::Down));
    assert!(w.logs[0].iter().any(|l| l.contains("TTL is 254 and must be at least 255")), "{:?}", w.logs[0]);
    let far = |n| SessionConfig { hops: Hops { send: 255, least: 250, fallback: None }, ..session(n) };
    let mut w = World::new(far(0), far(1));
    w.ttl = 250;
    w.run(5000);
    assert_eq!(w.states(), (State::Up, State::Up));
}

#[test]
fn a_lower_ttl_is_taken_until_the_peer_was_heard_with_the_full_one() {
    let lenient = |n| SessionConfig { hops: Hops { send: 255, least: 255, fallback: Some((64, 64)) }, ..session(n) };
    let mut w = World::new(lenient(0), lenient(1));
    w.ttl = 64;
    w.run(5000);
    assert_eq!(w.states(), (State::Up, State::Up), "as keepalived sends it over IPv6");
    let mut w = World::new(lenient(0), lenient(1));
    w.ttl = 254;
    w.run(5000);
    assert_eq!(w.states(), (State::Down, State::Down), "no other one");
    let mut w = World::up(lenient(0), lenient(1));
    let down = Packet { state: State::Down, ..w.last_of_peer };
    w.receive(0, &down.emit(), 64);
    assert_eq!(w.view(0).state, State::Up, "a stranger from afar");
}

#[test]
fn a_flood_of_forged_polls_is_answered_at_our_pace_and_fills_no_log() {
    let mut w = World::up(session(0), session(1));
    let p = Packet { poll: true, ..w.last_of_peer };
    w.cut = [true; 2];
    let before = w.logs[0].len();
    for _ in 0..1000 {
        for _ in 0..20 {
            w.receive(0, &p.emit(), 255);
            w.receive(0, &[0; 24], 255);
        }
        w.run(1);
    }
    assert!(w.sent(0).len() <= 1100, "20,000 polls within a second were answered {} times", w.seen.len());
    assert!(w.logs[0].len() - before <= 25, "{} lines", w.logs[0].len() - before);
}

#[test]
fn discriminators_and_ports_are_each_session_s_own() {
    let mut out = Vec::new();
    let many = |n: u32| SessionConfig::new(&format!("s{n}"), ip(&format!("10.1.{}.{}", n / 250, n % 250 + 1)));
    let config = Config { sessions: (0..1000).map(many).collect() };
    let all = Sessions::new(config, 3, t(0), &mut out);
    let ids: std::collections::HashSet<u32> = all.views().map(|v| v.discriminator).collect();
    let ports: std::collections::HashSet<u16> = all.views().map(|v| v.port).collect();
    assert_eq!((ids.len(), ports.len()), (1000, 1000));
    assert!(!ids.contains(&0) && ports.iter().all(|p| *p >= 49152));
    assert!(ids.iter().max().expect("some") - ids.iter().min().expect("some") > 1 << 30, "not random");
}

#[test]
fn a_port_that_somebody_has_is_given_up() {
    let mut w = World::new(session(0), session(1));
    let first = w.opened[0].last().expect("socket").port;
    w.tell(0, Input::Refused(0, true));
    let second = w.opened[0].last().expect("socket").port;
    assert!(first != second && second >= 49152);
    // An own address that is not there yet is waited for.
    let tries = w.opened[0].len();
    w.tell(0, Input::Refused(0, false));
    assert_eq!(w.opened[0].len(), tries);
    w.run(1000);
    assert_eq!(w.opened[0].len(), tries + 1);
    assert_eq!(w.opened[0].last().expect("socket").port, second);
}

#[test]
fn packets_on_their_way_are_taken_before_silence_is_judged() {
    // The driver hands in what has arrived, and then polls: a process that was held up loses no session.
    let mut w = World::up(session(0), session(1));
    let p = w.last_of_peer;
    w.hosts[1] = None;
    w.now += Duration::from_millis(500);
    w.receive(0, &p.emit(), 255);
    w.run(1);
    assert_eq!(w.view(0).state, State::Up);
}

#[test]
fn sessions_between_the_same_hosts_are_told_apart() {
    let mut out = Vec::new();
    let of = |name: &str, source: &str, multihop| SessionConfig {
        source: Some(ip(source)),
        multihop,
        ..SessionConfig::new(name, ip("10.0.0.2"))
    };
    let config =
        Config { sessions: vec![of("a", "10.0.0.1", false), of("b", "10.0.0.3", false), of("m", "10.0.0.1", true)] };
    let mut all = Sessions::new(config, 3, t(0), &mut out);
    let down = Packet {
        diag: Diag::NONE,
        state: State::Down,
        poll: false,
        last: false,
        independent: false,
        demand: false,
        multiplier: 3,
        mine: 77,
        yours: 0,
        min_tx: 1_000_000,
        min_rx: 10_000,
        min_echo: 0,
    };
    for (destination, multihop, who) in [("10.0.0.3", false, "b"), ("10.0.0.1", true, "m"), ("10.0.0.1", false, "a")] {
        let packet = Received {
            source: ip("10.0.0.2"),
            destination: ip(destination),
            hop_limit: 255,
            multihop,
            payload: &down.emit(),
        };
        all.handle(t(1), Input::Packet(packet), &mut out);
        let state = all.views().find(|v| v.config.name == who).expect("session").state;
        assert_eq!(state, State::Init, "{who}");
    }
}
