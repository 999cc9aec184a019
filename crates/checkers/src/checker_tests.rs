//! The verdict of one check, try by try.

use crate::checker::{Checker, Outcome, Rules, fingerprint};
use crate::exchange::Success;
use crate::failure::Failure;
use crate::testkit::*;
use crate::*;
use std::sync::Arc;

fn checker(timing: Timing) -> Checker {
    Checker::new(Arc::new(Check { timing, ..tcp(A) }), &mut Rules::new())
}

/// Plays tries (`.` success, `x` failure): the verdict after each (`U`, `d`), `r` where a retry follows first.
fn play(timing: Timing, tries: &str) -> String {
    let mut c = checker(timing);
    let mut trace = String::new();
    for t in tries.chars() {
        c.begin_round();
        let result = if t == '.' { Ok(Success::Fine(None)) } else { Err(Failure::Timeout) };
        let before = c.state.up;
        let outcome = c.conclude(&result);
        assert_eq!(outcome == Outcome::Up, !before && c.state.up, "{tries}");
        assert_eq!(outcome == Outcome::Down, before && !c.state.up, "{tries}");
        trace.push(match (outcome, c.state.up) {
            (Outcome::Retry, true) => 'r',
            (_, true) => 'U',
            (_, false) => 'd',
        });
    }
    trace
}

#[test]
fn verdicts() {
    let t = |retry, rise, fall, alpha| Timing { retry, rise, fall, alpha, ..timing() };
    let cases = [
        // timing              tries           verdicts
        (t(0, 1, 1, false), "..x.x", "UUdUd"),
        (t(1, 1, 1, false), "..x.x.xx.", "UUrUrUrdU"),
        (t(3, 1, 1, false), ".xxx.xxxxx.", "UrrrUrrrddU"),
        // the first round of a server that was only assumed to be up has no retry
        (t(3, 1, 1, false), "x.xxxx", "dUrrrd"),
        // alpha: down until the first success; then as usual
        (t(2, 1, 1, true), "xx.xx.xxx", "ddUrrUrrd"),
        // while it is down every failure is a round of its own
        (t(2, 2, 1, true), "x.x.x..xxx", "ddddddUrrd"),
        (t(0, 3, 1, true), "..x...x...", "dddddUdddU"),
        // fall counts rounds, each with its retries; a success forgets them
        (t(0, 1, 3, false), ".xx.xxx", "UUUUUUd"),
        (t(1, 1, 2, false), ".xxx.xxxx", "UrUrUrUrd"),
        // the first round counts as one of them
        (t(1, 1, 2, false), "xxx", "Urd"),
    ];
    for (timing, tries, verdicts) in cases {
        assert_eq!(play(timing, tries), verdicts, "{tries} with {timing:?}");
    }
}

/// Who is told by a former life goes on in the middle of a round.
#[test]
fn counts_are_taken_over_up_to_the_present_limit() {
    let mut c = checker(Timing { retry: 5, ..timing() });
    let _ = c.conclude(&Ok(Success::Fine(None)));
    (0..4).for_each(|_| assert_eq!(c.conclude(&Err(Failure::Timeout)), Outcome::Retry));
    let state = c.state;
    let mut heir = checker(Timing { retry: 5, ..timing() });
    heir.restore(state);
    assert_eq!(heir.conclude(&Err(Failure::Timeout)), Outcome::Retry);
    assert_eq!(heir.conclude(&Err(Failure::Timeout)), Outcome::Down);
    let mut strict = checker(Timing { retry: 1, ..timing() });
    strict.restore(state);
    assert_eq!(strict.conclude(&Err(Failure::Timeout)), Outcome::Down);
}

#[test]
fn the_fingerprint_is_of_all_that_is_configured() {
    let base = tcp(A);
    assert_eq!(fingerprint(&base), fingerprint(&tcp(A)));
    let slower = Check { timing: Timing { rise: 2, ..base.timing }, ..base.clone() };
    let udp = CheckKind::Udp { target: target(A), payload: vec![], reply: None };
    let mut others = vec![tcp(B), slower, Check { kind: udp, timing: base.timing }];
    others.push(Check { kind: CheckKind::Ping(target(A)), timing: base.timing });
    for other in others {
        assert_ne!(fingerprint(&base), fingerprint(&other), "{other:?}");
    }
}

/// A remark about one of several pages, and one that is worded anew each time, is news once.
#[test]
fn what_there_is_to_remark_about_a_page_is_news_once() {
    let mut c = Checker::new(Arc::new(crate::tests::http(&["/short", "/whole"])), &mut Rules::new());
    let short = |n: u32| Ok(Success::Fine(Some(format!("content_length (500) does not match received bytes ({n})"))));
    let whole = Ok(Success::Fine(None));
    let news: Vec<bool> = (0..3).flat_map(|n| [c.remark(0, &short(n)), c.remark(1, &whole)]).collect();
    assert_eq!(news, [true, false, false, false, false, false]);
    assert_eq!(&*c.said, "content_length (500) does not match received bytes (2)");
    assert!(!c.remark(0, &whole) && c.said.is_empty());
    assert!(c.remark(0, &short(3)), "it had been whole between");
}
