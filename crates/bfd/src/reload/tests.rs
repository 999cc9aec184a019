//! Reloads.

use crate::testkit::*;
use crate::*;

#[test]
fn a_session_that_stays_keeps_its_state() {
    let mut w = World::up(session(0), session(1));
    let before = (w.view(0).discriminator, w.view(0).since);
    w.reload(0, vec![session(0)]);
    w.reload(0, vec![SessionConfig { multiplier: 5, min_rx: 50_000, ..session(0) }]);
    w.run(1000);
    assert_eq!((w.view(0).discriminator, w.view(0).since), before);
    assert_eq!(w.states(), (State::Up, State::Up));
    assert_eq!((w.view(1).detection, w.view(1).tx_interval), (50_000, 50_000), "the peer goes by the new values");
    assert_eq!(w.told[1].len(), 2, "and noticed nothing else");
}

#[test]
fn one_that_goes_says_so() {
    let mut w = World::up(session(0), session(1));
    w.reload(0, Vec::new());
    w.run(10);
    let last = w.sent(0).last().expect("packets").packet;
    assert_eq!((last.state, last.diag), (State::AdminDown, Diag::ADMIN));
    assert!(w.kept[0].is_empty());
    assert_eq!(w.view(1).state, State::Down);
    assert_eq!(w.told[1].last().map(|t| t.1), Some(true), "no failure");
    // The same name for another peer is another session.
    w.reload(0, vec![SessionConfig::new("s", ip("10.0.0.7"))]);
    assert_eq!(w.told[0].last().map(|t| t.1), Some(false));
    assert_eq!(w.kept[0].len(), 1);
    w.reload(0, vec![session(0)]);
    w.run(4000);
    assert_eq!(w.states(), (State::Up, State::Up));
}

#[test]
fn what_is_kept_for_a_session_that_is_gone_is_forgotten() {
    let w = World::up(session(0), session(1));
    let kept: Vec<Snapshot> = w.kept[0].values().cloned().collect();
    let mut out = Vec::new();
    Sessions::restore(Config::default(), &kept, 1, w.now, &mut out);
    assert_eq!(out, [Output::Forget("s".into())]);
}
