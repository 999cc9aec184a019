//! Checks that a reload words anew.

use crate::testkit::*;
use crate::*;
use std::time::Duration;
use steadfast_core::Family;
use steadfast_core::ipvs::ServiceKey;

/// A server whose page is asked for by this header, every six seconds, with a retry after three.
fn page(host: &str, timeout: Duration) -> VirtualServer {
    let url = Url { path: "/".into(), host: Some(host.into()), ..Url::default() };
    let target = Target { timeout, ..target(A) };
    let kind = CheckKind::Http(HttpCheck { target, tls: None, version: HttpVersion::V11, urls: [url].into() });
    let timing = Timing {
        delay_loop: Duration::from_secs(6),
        delay_before_retry: Duration::from_secs(3),
        warmup: Duration::from_secs(6),
        ..timing()
    };
    service(vec![server(A, 1, Check { kind, timing })])
}

#[test]
fn a_dead_server_goes_out_however_often_its_check_is_worded_anew() {
    for (manner, timeout) in [(Manner::Refuses, 1000), (Manner::Silent, 2500), (Manner::Drips(b"H".to_vec()), 500)] {
        let timeout = Duration::from_millis(timeout);
        let mut w = World::new(config(page("host0", timeout)));
        w.manner(A, up());
        w.run(13.0);
        assert_eq!(w.table(), "10.0.0.1:80=1");
        w.manner(A, manner.clone());
        let mut down = None;
        for n in 1..=30 {
            w.reload(config(page(&format!("host{n}"), timeout)));
            w.run(1.0);
            w.check_probes();
            down = down.or(w.table().is_empty().then_some(n));
        }
        // A round, two tries that take their limit, and the gap between them.
        assert!(down.is_some_and(|n| n <= 16), "{manner:?}: {down:?}");
        assert_eq!(w.heard().iter().filter(|l| l.starts_with("fifo RS")).count(), 1, "down, once");
    }
}

#[test]
fn what_a_former_question_was_answered_is_not_held_against_a_server() {
    let page = |host| {
        let mut s = page(host, Duration::from_millis(900));
        s.servers[0].checks[0].timing.retry = 0;
        s
    };
    let mut w = World::new(config(page("old")));
    w.manner(A, up());
    w.run(13.0);
    // Within two seconds of the round that answers with a failure, what is under way is worded anew.
    w.manner(A, Manner::Answers(b"HTTP/1.0 500 no\r\n\r\n".to_vec()));
    let begun = w.starts.len();
    for _ in 0..7000 {
        if w.starts.len() > begun {
            break;
        }
        w.run(0.001);
    }
    w.run(0.0015); // asked, and not yet answered
    w.reload(config(page("new")));
    w.manner(A, up());
    w.run(30.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    assert!(!w.heard().iter().any(|l| l.contains("500")));
    // And what was good for the former one is not good for this one.
    w.manner(A, Manner::Answers(b"HTTP/1.0 500 no\r\n\r\n".to_vec()));
    w.run(12.0);
    assert_eq!(w.table(), "");
    w.reload(config(page("newer")));
    assert_eq!(w.table(), "", "a dead server stays dead");
    w.manner(A, up());
    w.run(7.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
}

/// A server of datagrams says nothing to words that it does not understand. Who mends the words loses no server by what was under way.
#[test]
fn silence_after_words_that_were_mended_takes_no_server_out() {
    let limit = Duration::from_millis(2500);
    let udp = |n: u8| {
        let reply = Some(Box::new(Reply { max: 255, ..Reply::default() }));
        let kind = CheckKind::Udp { target: Target { timeout: limit, ..target(A) }, payload: vec![n], reply };
        Check { kind, timing: timing() }
    };
    let dns = |n: u8| {
        let kind = CheckKind::Dns { target: Target { timeout: limit, ..target(A) }, kind: 6, name: format!("{n}.org") };
        Check { kind, timing: timing() }
    };
    for check in [&udp as &dyn Fn(u8) -> Check, &dns] {
        let of = |n| {
            let mut check = check(n);
            check.timing.retry = 0;
            config(service(vec![server(A, 1, check)]))
        };
        let mut w = World::new(of(0));
        w.manner(A, Manner::Silent);
        w.run(1.5);
        assert_eq!(w.table(), "10.0.0.1:80=1", "asked, and not yet judged");
        w.reload(of(1));
        w.run(2.0);
        assert_eq!(w.table(), "10.0.0.1:80=1", "the silence was about the former words");
        w.run(2.6);
        assert_eq!(w.table(), "", "this one is not");
        // A server that is gone goes out, however often its words change, and so does one that refuses.
        for manner in [Manner::Silent, Manner::Refuses] {
            let mut w = World::new(of(0));
            w.manner(A, manner);
            w.run(0.5);
            for n in 1..=8 {
                w.reload(of(n));
                w.run(1.0);
            }
            assert_eq!(w.table(), "");
        }
    }
}

/// The first check is good, the second one is not.
#[test]
fn a_good_check_that_is_asked_at_other_times_stays_good() {
    let of = |delay, failing| {
        let mut good = tcp(A);
        good.timing.delay_loop = Duration::from_secs(delay);
        good.timing.warmup = Duration::from_secs(delay);
        let mut s = service(vec![server(A, 1, good)]);
        s.servers[0].checks.extend(Some(tcp(B)).filter(|_| failing));
        s
    };
    let mut w = World::new(config(of(60, true)));
    w.manner(A, up());
    w.run(61.0);
    assert_eq!(w.table(), "");
    let kept = w.pool.snapshots();
    w.reload(config(of(300, false)));
    assert_eq!(w.table(), "10.0.0.1:80=1", "at once");
    // A successor that finds the new file has it no otherwise.
    let mut heir = World::restore_at(config(of(300, false)), &kept, w.now);
    heir.run(0.0);
    assert_eq!(heir.table(), "10.0.0.1:80=1");
    // The next question is no later than the former words had it, nor than the newer ones have it.
    let begun = w.starts.len();
    w.manner(A, Manner::Refuses);
    w.run(61.0);
    assert!(w.starts.len() > begun);
    w.run(60.0);
    assert_eq!(w.table(), "");
    w.manner(A, up());
    w.reload(config(of(2, false)));
    assert_eq!(w.table(), "", "nor does it come back by that");
    w.run(2.1);
    assert_eq!(w.table(), "10.0.0.1:80=1");
}

#[test]
fn a_reason_goes_with_the_words() {
    let mut w = World::new(config(page("a", Duration::from_millis(500))));
    w.run(7.0);
    let reasons = |w: &World| {
        let mut kept = std::collections::BTreeMap::new();
        for (_, o) in &w.said {
            if let Output::Keep(Snapshot::Reason { check, text }) = o {
                kept.insert(*check, text.clone());
            }
        }
        kept.retain(|_, text| !text.is_empty());
        kept.into_values().collect::<Vec<_>>()
    };
    assert_eq!(reasons(&w), ["connection refused"]);
    w.reload(config(page("b", Duration::from_millis(500))));
    assert_eq!(reasons(&w), ["connection refused"], "one for one check");
    let mut s = page("b", Duration::from_millis(500));
    s.servers[0].checks[0].timing.delay_loop = Duration::from_secs(20);
    w.reload(config(s));
    assert_eq!(reasons(&w), ["connection refused"]);
    w.manner(A, up());
    w.run(20.0);
    assert_eq!((reasons(&w), w.table().as_str()), (vec![], "10.0.0.1:80=1"));
}

#[test]
fn a_program_that_is_worded_anew_is_ended_and_has_its_failures() {
    let of = |text: &str| {
        let kind = CheckKind::Misc { script: script(text), timeout: Duration::from_secs(5), dynamic: false };
        service(vec![server(A, 1, Check { kind, timing: timing() })])
    };
    let mut w = World::new(config(of("/a")));
    w.exits.insert("/a".into(), 0);
    w.run(1.5);
    w.exits.insert("/a".into(), 1);
    w.exits.insert("/b".into(), 1);
    w.run(0.6);
    assert_eq!(w.table(), "10.0.0.1:80=1", "one failure of two");
    w.reload(config(of("/b")));
    w.run(0.6);
    assert_eq!(w.table(), "");
    w.exits.remove("/b");
    w.run(1.0);
    w.said.clear();
    w.reload(config(of("/c")));
    assert!(w.said.iter().any(|(_, o)| matches!(o, Output::Kill(_, Kill::Kill))), "it hangs, and is not wanted");
    w.exits.insert("/c".into(), 0);
    w.run(2.0);
    w.check_probes();
    assert_eq!(w.table(), "10.0.0.1:80=1");
}

/// Two virtual servers ask the same question of one server, one of them seldom, and has no answer yet.
#[test]
fn other_times_do_not_bring_a_dead_server_back_that_another_one_has_not_asked_yet() {
    let of = |often: u64| {
        let asked = |delay: u64, warmup: u64| {
            let mut check = tcp(A);
            check.timing.delay_loop = Duration::from_secs(delay);
            check.timing.warmup = Duration::from_secs(warmup);
            check.timing.fall = 3;
            check.timing.retry = 0;
            service(vec![server(A, 1, check)])
        };
        let seldom =
            VirtualServer { id: ServiceId::One(ServiceKey::Mark { mark: 7, family: Family::V4 }), ..asked(60, 60) };
        Config { services: vec![asked(often, 1), seldom], ..Config::default() }
    };
    let mut w = World::new(of(5));
    w.manner(A, Manner::Refuses);
    w.run(20.0);
    let dead = w.pool.services()[0].servers[0].up;
    w.reload(of(6));
    let after = w.pool.services()[0].servers[0].up;
    assert_eq!((dead, after), (false, false));
    w.run(9.0);
    assert!(!w.pool.services()[0].servers[0].up, "and stays so");
}
