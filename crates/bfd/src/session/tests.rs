//! Intervals, poll sequences, demand mode: RFC 5880 sections 6.5 to 6.8.

use crate::testkit::*;
use crate::wire::Packet;
use crate::*;
use steadfast_core::Time;

#[test]
fn while_not_up_a_second_is_wanted_and_then_what_is_configured() {
    let mut w = World::new(session(0), session(1));
    w.run(5000);
    let sent = w.sent(0);
    let (idle, busy): (Vec<&Seen>, Vec<&Seen>) = sent.iter().partition(|s| s.packet.state != State::Up);
    assert!(!idle.is_empty() && idle.iter().all(|s| s.packet.min_tx == 1_000_000), "{idle:?}");
    assert!(busy.iter().all(|s| s.packet.min_tx == 10_000 && s.packet.min_rx == 10_000), "{busy:?}");
    assert!(idle.iter().all(|s| !s.packet.poll), "{idle:?}");
}

#[test]
fn while_not_up_packets_come_at_the_pace_of_idle_tx() {
    let mut w = World::new(SessionConfig { idle_tx: 4_000_000, ..session(0) }, session(1));
    // Nobody answers.
    w.cut = [true; 2];
    w.run(20_000);
    let sent = w.sent(0);
    // Each interval is shortened by up to a quarter (section 6.8.7).
    assert!(sent.iter().all(|s| s.packet.min_tx == 4_000_000) && (4..=8).contains(&sent.len()), "{sent:?}");
}

#[test]
fn coming_up_polls_until_the_peer_answers() {
    let mut w = World::new(session(0), session(1));
    w.run(5000);
    let sent = w.sent(0);
    let first_up = sent.iter().find(|s| s.packet.state == State::Up).expect("up");
    assert!(first_up.packet.poll || first_up.packet.last, "{first_up:?}");
    assert!(sent.iter().any(|s| s.packet.poll));
    assert!(sent.iter().all(|s| !(s.packet.poll && s.packet.last)), "P and F in one packet");
    assert!(!w.view(0).poll && !w.view(1).poll, "the poll sequence ends");
    assert!(sent.iter().rev().take(50).all(|s| !s.packet.poll));
}

#[test]
fn a_poll_is_answered_at_once_with_final_and_without_poll() {
    let mut w = World::up(session(0), session(1));
    let mut p = w.last_of_peer;
    p.poll = true;
    w.seen.clear();
    let before = w.now;
    w.receive(0, &p.emit(), 255);
    w.run(2);
    let f = w.sent(0).into_iter().find(|s| s.packet.last).expect("an answer");
    assert!(f.at.since(before).as_micros() <= 1000 && !f.packet.poll, "{f:?}");
}

#[test]
fn a_longer_interval_of_transmission_waits_for_the_answer() {
    let mut w = World::up(session(0), session(1));
    // The peer is not heard for a moment: nobody answers.
    w.forge = |_, p| p.last = false;
    let slow = SessionConfig { min_tx: 100_000, ..session(0) };
    w.reload(0, vec![slow.clone()]);
    w.run(500);
    assert!(w.sent(0).iter().all(|s| s.packet.min_tx == 100_000 && s.packet.poll), "it polls with the new value");
    assert_eq!(w.view(0).tx_interval, 10_000, "and sends at the old pace");
    w.forge = |_, _| {};
    w.run(500);
    assert_eq!(w.view(0).tx_interval, 100_000);
    assert_eq!(w.states(), (State::Up, State::Up));
    // A shorter one holds at once.
    w.forge = |_, p| p.last = false;
    w.reload(0, vec![session(0)]);
    assert_eq!(w.view(0).tx_interval, 10_000);
}

#[test]
fn a_shorter_interval_of_reception_waits_for_the_answer() {
    let mut w = World::up(SessionConfig { min_rx: 100_000, ..session(0) }, session(1));
    assert_eq!((w.view(0).detection, w.view(1).tx_interval), (300_000, 100_000));
    w.forge = |_, p| p.last = false;
    w.reload(0, vec![session(0)]);
    w.run(50);
    assert_eq!(w.view(0).detection, 300_000, "the old detection time until the peer has answered");
    w.forge = |_, _| {};
    w.run(300);
    assert_eq!(w.view(0).detection, 30_000);
    // A longer one holds at once.
    w.forge = |_, p| p.last = false;
    w.reload(0, vec![SessionConfig { min_rx: 100_000, ..session(0) }]);
    assert_eq!(w.view(0).detection, 300_000);
    w.run(100);
    assert_eq!(w.states(), (State::Up, State::Up));
}

#[test]
fn one_poll_sequence_at_a_time() {
    let mut w = World::up(session(0), session(1));
    w.forge = |_, p| p.last = false;
    w.reload(0, vec![SessionConfig { min_tx: 100_000, ..session(0) }]);
    w.run(100);
    w.reload(0, vec![SessionConfig { min_tx: 200_000, ..session(0) }]);
    w.run(100);
    assert!(w.sent(0).iter().all(|s| s.packet.min_tx == 100_000), "the second change waits for the end of the first");
    w.forge = |_, _| {};
    w.run(1000);
    assert_eq!(w.view(0).tx_interval, 200_000);
    assert!(!w.view(0).poll);
}

#[test]
fn who_wants_no_periodic_packets_gets_none_but_answers() {
    let mut w = World::up(session(0), session(1));
    w.forge = |n, p| {
        if n == 1 {
            p.min_rx = 0;
        }
    };
    w.run(20);
    w.seen.clear();
    // The peer hears nothing now and must not mind: this test is about one side.
    w.hosts[1] = None;
    let mut p = Packet { min_rx: 0, ..w.last_of_peer };
    w.run(1);
    for _ in 0..20 {
        w.receive(0, &p.emit(), 255);
        w.run(5);
    }
    assert!(w.sent(0).is_empty(), "periodic packets to who wants none");
    p.poll = true;
    w.receive(0, &p.emit(), 255);
    w.run(2);
    let answers = w.sent(0);
    assert!(answers.len() == 1 && answers[0].packet.last, "{answers:?}");
}

#[test]
fn a_peer_in_demand_mode_is_left_in_peace() {
    let mut w = World::up(session(0), session(1));
    w.hosts[1] = None;
    let p = Packet { demand: true, ..w.last_of_peer };
    w.receive(0, &p.emit(), 255);
    w.seen.clear();
    for _ in 0..20 {
        w.run(5);
        w.receive(0, &p.emit(), 255);
    }
    assert!(w.sent(0).is_empty());
    let p = Packet { demand: false, ..p };
    for _ in 0..20 {
        w.receive(0, &p.emit(), 255);
        w.run(5);
    }
    assert!(w.sent(0).len() > 5, "and spoken to again afterwards");
}

#[test]
fn multiplier_1_sends_at_75_to_90_percent() {
    for (multiplier, most) in [(1, 9100), (3, 10_100)] {
        let one = |n| SessionConfig { multiplier, min_tx: 10_000, min_rx: 10_000, ..session(n) };
        let mut w = World::up(one(0), one(1));
        w.run(2000);
        let sent = w.sent(0);
        let gaps: Vec<u128> = sent.windows(2).map(|p| p[1].at.since(p[0].at).as_micros()).collect();
        assert!(gaps.len() > 150);
        assert!(gaps.iter().all(|g| (7400..=most).contains(g)), "x{multiplier}: {gaps:?}");
        let distinct: std::collections::BTreeSet<_> = gaps.iter().map(|g| g / 500).collect();
        assert!(distinct.len() >= 3, "x{multiplier}: no jitter: {distinct:?}");
    }
}

#[test]
fn what_a_session_logs_is_bounded() {
    let mut quota = super::Quota::new(Time::ZERO);
    let lines = (0..100_000u64).filter(|ms| quota.take(t(*ms)).is_some()).count();
    assert!((20..=41).contains(&lines), "{lines} lines in 100 seconds");
    assert!(quota.take(t(200_000)).is_some_and(|left_out| left_out > 1000));
}
