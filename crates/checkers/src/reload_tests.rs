//! Reload and hand-over: what goes on, and what is announced.

use crate::testkit::*;
use crate::*;
use std::time::Duration;
use steadfast_core::Family;
use steadfast_core::ipvs::{DestinationKey, Protocol, ServiceKey};

/// Two servers, of which the first is dead.
fn half_dead() -> World {
    let mut w = World::new(config(two()));
    w.manner(B, Manner::Answers(vec![]));
    w.run(2.2);
    assert_eq!(w.table(), "10.0.0.2:80=3");
    w.heard();
    w
}

#[test]
fn an_equal_configuration_changes_nothing() {
    let mut w = half_dead();
    let next = w.pool.poll_at();
    w.reload(config(two()));
    assert_eq!(w.heard(), [""; 0]);
    assert_eq!((w.table().as_str(), w.pool.poll_at()), ("10.0.0.2:80=3", next), "timers stay");
}

#[test]
fn a_probe_under_way_survives_a_reload() {
    let mut w = half_dead();
    w.manner(B, Manner::Silent);
    w.run(0.9); // the probe of second 3 is under way
    let open = w.starts.len();
    w.said.clear();
    w.reload(config(two()));
    w.run(0.1);
    assert_eq!(w.starts.len(), open, "the same probe");
    assert!(!w.said.iter().any(|(_, o)| matches!(o, Output::Close(..))), "still waited for");
}

#[test]
fn weight_and_scheduler_change_in_place() {
    let mut w = half_dead();
    let mut s = two();
    s.servers[1].weight = 7;
    s.service.scheduler = "rr".into();
    w.reload(config(s));
    assert_eq!(w.table(), "10.0.0.2:80=7");
    assert_eq!(w.tables.values().next().unwrap().service.scheduler, "rr");
    assert!(!w.heard().iter().any(|l| l.starts_with("fifo")), "no server changed its state");
}

#[test]
fn a_changed_check_neither_revives_the_dead_nor_kills_the_living() {
    let mut w = half_dead();
    let mut s = two();
    for server in &mut s.servers {
        server.checks[0].timing.delay_loop = Duration::from_secs(2);
        server.checks[0].timing.alpha = true;
    }
    w.reload(config(s.clone()));
    assert_eq!(w.table(), "10.0.0.2:80=3");
    w.run(3.0);
    assert_eq!(w.table(), "10.0.0.2:80=3");
    s.servers.iter_mut().for_each(|r| r.checks[0].timing.alpha = false);
    w.reload(config(s));
    assert_eq!(w.table(), "10.0.0.2:80=3", "and without alpha");
    assert!(!w.heard().iter().any(|l| l.starts_with("fifo")));
}

/// A host is in two virtual servers with one check, and down in the second one for another reason.
#[test]
fn a_changed_check_that_is_shared_takes_nobody_out() {
    let ping = |delay: u64| {
        let mut check = tcp(C);
        check.timing.delay_loop = Duration::from_secs(delay);
        check.timing.warmup = Duration::from_secs(delay);
        check
    };
    let two = |delay: Option<u64>| {
        let mut first = service(vec![server(A, 3, tcp(A))]);
        let mut second = service(vec![server(A, 3, tcp(B))]);
        second.id = ServiceId::Group { name: "G".into(), protocol: Protocol::Udp };
        for s in [&mut first, &mut second] {
            s.servers[0].checks.extend(delay.map(ping));
        }
        let (ranges, assigned) = (vec![], vec![]);
        let groups =
            vec![VirtualServerGroup { name: "G".into(), ranges, marks: vec![(1, Some(Family::V4))], assigned }];
        Config { services: vec![first, second], groups, ..Config::default() }
    };
    for before in [None, Some(1)] {
        let mut w = World::new(two(before));
        w.manner(A, up());
        w.manner(C, up());
        w.run(3.0);
        let tables = |w: &World| w.tables.values().map(|t| t.destinations.len()).collect::<Vec<_>>();
        assert_eq!(tables(&w), [1, 0]);
        w.heard();
        w.reload(two(Some(60)));
        w.run(0.1);
        assert_eq!(tables(&w), [1, 0], "{before:?}");
        w.run(70.0);
        assert_eq!(tables(&w), [1, 0]);
        assert!(!w.heard().iter().any(|l| l.starts_with("Removing service")), "{before:?}");
    }
}

#[test]
fn servers_and_services_come_and_go() {
    let mut w = half_dead();
    let mut s = two();
    s.servers[1].drain = Duration::from_secs(30);
    w.reload(config(s.clone()));
    s.servers.remove(1);
    s.servers.push(server(C, 1, tcp(C)));
    w.manner(C, Manner::Answers(vec![]));
    w.reload(config(s.clone()));
    w.run(0.5);
    assert_eq!(w.table(), "10.0.0.2:80=0 10.0.0.3:80=1", "the removed one drains");
    let heard = w.heard();
    for line in [
        "Removing service [10.0.0.2]:tcp:80 from VS [192.0.2.1]:tcp:80",
        "run down 10.0.0.2:80",
        "fifo RS [10.0.0.2]:tcp:80 [192.0.2.1]:tcp:80 DOWN",
        "Adding service [10.0.0.3]:tcp:80 to VS [192.0.2.1]:tcp:80",
    ] {
        assert!(heard.iter().any(|l| l == line), "{line}: {heard:?}");
    }
    w.run(31.0);
    assert_eq!(w.table(), "10.0.0.3:80=1");
    let mut other = s.clone();
    other.id = ServiceId::Group { name: "G".into(), protocol: steadfast_core::ipvs::Protocol::Udp };
    w.heard();
    w.reload(Config::default());
    let heard = w.heard();
    assert_eq!(w.table(), "-");
    assert!(heard.contains(&"Removing Virtual Server [192.0.2.1]:tcp:80".to_owned()));
    assert!(heard.contains(&"quorum [192.0.2.1]:tcp:80 false".to_owned()));
    let before = w.starts.len();
    w.run(10.0);
    assert_eq!((w.starts.len(), w.pool.poll_at()), (before, None), "nothing is checked any more");
    w.reload(config(s));
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.3:80=1");
}

#[test]
fn a_drained_server_that_returns_is_in_service_at_once() {
    let mut w = half_dead();
    let mut s = two();
    s.servers[1].drain = Duration::from_secs(30);
    w.reload(config(s.clone()));
    let mut less = s.clone();
    less.servers.remove(1);
    w.reload(config(less));
    assert_eq!(w.table(), "10.0.0.2:80=0");
    w.reload(config(s));
    assert_eq!(w.table(), "10.0.0.2:80=3");
    w.run(40.0);
    assert!(!w.heard().iter().any(|l| l.contains("has drained")));
}

#[test]
fn a_slow_start_goes_on() {
    let mut s = service(vec![server(C, 100, tcp(C)), server(B, 100, tcp(B))]);
    s.servers[1].slow_start = Duration::from_secs(10);
    let mut w = World::new(config(s.clone()));
    w.run(1.2);
    w.manner(B, Manner::Answers(vec![]));
    w.run(5.5);
    let weight = |w: &World| -> u32 { w.table().rsplit('=').next().unwrap().parse().unwrap() };
    let before = weight(&w);
    assert!((30..70).contains(&before), "{before}");
    s.servers.remove(0); // the place changes
    w.reload(config(s));
    assert!((before..before + 5).contains(&weight(&w)));
    w.run(2.0);
    assert!((before + 10..before + 30).contains(&weight(&w)), "{before} {}", weight(&w));
    w.run(5.0);
    assert_eq!(w.table(), "10.0.0.2:80=100");
}

#[test]
fn a_changed_check_of_a_live_server_has_its_retries() {
    let mut w = half_dead();
    let mut s = two();
    s.servers[1].checks[0].timing.delay_loop = Duration::from_secs(2);
    w.reload(config(s));
    w.manner(B, Manner::Refuses);
    w.run(0.9);
    assert_eq!(w.table(), "10.0.0.2:80=3", "the first try is not the last");
    w.run(0.5);
    assert_eq!(w.table(), "");
}

#[test]
fn a_successor_goes_on_with_a_round_and_a_slow_start() {
    let mut s = two();
    s.servers[0].slow_start = Duration::from_secs(10);
    s.servers[0].weight = 100;
    s.servers.iter_mut().for_each(|r| r.checks[0].timing.warmup = Duration::from_secs(60));
    let mut w = half_dead();
    w.reload(config(s.clone()));
    w.run(60.0);
    w.manner(A, Manner::Answers(vec![]));
    w.run(4.0);
    w.manner(B, Manner::Refuses);
    w.run(1.0);
    let retrying = |w: &World| matches!(w.pool.snapshots().last(), Some(Snapshot::Server { checks, .. }) if checks[0].failures == 1);
    for _ in 0..20 {
        if !retrying(&w) {
            w.run(0.1);
        }
    }
    assert!(retrying(&w));
    let weight = |w: &World| -> u32 { w.table().split(['=', ' ']).nth(1).unwrap().parse().unwrap() };
    let before = weight(&w);
    assert!((20..80).contains(&before), "{before}");
    let mut heir = World::restore_at(config(s), &w.pool.snapshots(), w.now);
    heir.manner(A, Manner::Answers(vec![]));
    heir.run(0.0);
    assert!((before..before + 20).contains(&weight(&heir)), "{before} {}", heir.table());
    heir.run(0.6);
    assert!(!heir.table().contains("10.0.0.2"), "the retry of the former life was the last");
}

/// Between the margins the quorum is what it was, also for a successor.
#[test]
fn a_successor_keeps_the_quorum() {
    let s = VirtualServer { quorum: 4, hysteresis: 2, ..two() };
    let mut w = World::new(config(s.clone()));
    [A, B].iter().for_each(|a| w.manner(a, Manner::Answers(vec![])));
    w.run(1.2);
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    let quorum = |w: &World| w.pool.services()[0].quorum;
    assert!(quorum(&w), "3 >= 4 - 2");
    let mut heir = World::restore(config(s), &w.pool.snapshots());
    heir.run(0.0);
    assert!(quorum(&heir));
    assert!(!heir.heard().iter().any(|l| l.contains("quorum down") || l.contains("Lost") || l.contains("fifo")));
}

#[test]
fn a_successor_goes_on_with_verdicts_and_counts() {
    let mut s = two();
    s.quorum = 5;
    s.servers[0].checks[0].timing.retry = 5;
    s.servers[1].checks[0].timing.fall = 3;
    let mut w = World::new(config(s.clone()));
    [A, B].iter().for_each(|a| w.manner(a, Manner::Answers(vec![])));
    w.run(1.2);
    w.tell(Input::Drain { service: "[192.0.2.1]:tcp:80", server: "[10.0.0.1]:tcp:80", on: true });
    w.manner(B, Manner::Refuses);
    w.run(2.5); // two failed rounds of three
    let kept = w.pool.snapshots();
    let mut kept_by_parts: std::collections::HashMap<String, Snapshot> = Default::default();
    for (_, o) in &w.said {
        if let Output::Keep(snapshot) = o {
            kept_by_parts.insert(snapshot.key(), snapshot.clone());
        }
    }
    for snapshot in &kept {
        assert!(kept_by_parts.values().any(|k| k == snapshot), "the parent was told: {snapshot:?} {kept_by_parts:?}");
    }
    let mut successor = World::restore(config(s), &kept);
    successor.manner(A, Manner::Answers(vec![]));
    successor.run(0.0);
    assert_eq!(successor.table(), "10.0.0.1:80=0 10.0.0.2:80=3", "drained and up as before");
    let heard = successor.heard();
    assert!(!heard.iter().any(|l| l.starts_with("fifo") || l.starts_with("run")), "{heard:?}");
    assert!(heard.contains(&"quorum [192.0.2.1]:tcp:80 false".to_owned()), "trackers are told again");
    successor.run(0.9);
    assert_eq!(successor.table(), "10.0.0.1:80=0", "the third failed round follows the two");

    // a check that changed meanwhile starts from the server's state
    let mut w = half_dead();
    let kept = w.pool.snapshots();
    let mut changed = two();
    changed.servers.iter_mut().for_each(|r| r.checks[0].timing.delay_loop = Duration::from_secs(9));
    w = World::restore(config(changed), &kept);
    w.run(0.0);
    assert_eq!(w.table(), "10.0.0.2:80=3");
}

#[test]
fn a_successor_knows_why_a_server_is_down() {
    let s = service(vec![server(A, 1, tcp(A)), server(B, 1, tcp(B))]);
    let mut w = world(s.clone());
    w.run(1.2);
    w.manner(B, Manner::Refuses);
    w.run(3.0);
    let reason = |w: &World| w.pool.services()[0].servers[1].checks[0].reason.clone();
    assert_eq!(reason(&w).as_deref(), Some("connection refused"));
    // As the parent keeps it: the newest of each, nothing where there is nothing to say.
    let told = |w: &World| {
        let mut kept = std::collections::BTreeMap::new();
        for (_, o) in &w.said {
            match o {
                Output::Keep(Snapshot::Reason { check, text }) if text.is_empty() => drop(kept.remove(check)),
                Output::Keep(Snapshot::Reason { check, text }) => drop(kept.insert(*check, text.clone())),
                _ => {}
            }
        }
        kept.into_values().collect::<Vec<_>>()
    };
    assert_eq!(told(&w), ["connection refused"]);
    let mut heir = World::restore_at(config(s.clone()), &w.pool.snapshots(), w.now);
    heir.run(0.0);
    assert_eq!(reason(&heir).as_deref(), Some("connection refused"));
    // A server that returns, and one that leaves, leave nothing behind.
    w.manner(B, up());
    w.run(3.0);
    assert_eq!(told(&w), [""; 0]);
    w.manner(B, Manner::Refuses);
    w.run(3.0);
    assert_eq!(told(&w).len(), 1);
    w.reload(config(service(vec![server(A, 1, tcp(A))])));
    assert_eq!(told(&w), [""; 0]);
}

/// What the parent keeps of a pool, by key.
fn told(w: &World) -> std::collections::BTreeMap<String, Snapshot> {
    let mut kept = std::collections::BTreeMap::new();
    for (_, o) in &w.said {
        match o {
            Output::Keep(s @ Snapshot::Reason { text, .. }) if text.is_empty() => drop(kept.remove(&s.key())),
            Output::Keep(s) => drop(kept.insert(s.key(), s.clone())),
            Output::Forget(key) => drop(kept.remove(key)),
            _ => {}
        }
    }
    kept
}

#[test]
fn a_server_that_drains_goes_on_draining_in_the_next_life() {
    let mut w = half_dead();
    let mut s = two();
    s.servers[1].drain = Duration::from_secs(30);
    w.reload(config(s.clone()));
    s.servers.remove(1);
    w.reload(config(s.clone()));
    w.run(10.0);
    assert_eq!(w.table(), "10.0.0.2:80=0");
    let kept: Vec<Snapshot> = told(&w).into_values().collect();
    let mut heir = World::restore_at(config(s.clone()), &kept, w.now);
    heir.run(15.0);
    assert_eq!(heir.table(), "10.0.0.2:80=0");
    heir.run(10.0);
    assert_eq!(heir.table(), "");
    let forgotten = |w: &World| {
        w.said
            .iter()
            .any(|(_, o)| matches!(o, Output::Forget(k) if k.starts_with("leaving") && k.ends_with("10.0.0.2:80")))
    };
    assert!(forgotten(&heir));
    // The virtual server is gone by then, or the server is back.
    let mut heir = World::restore_at(Config::default(), &kept, w.now);
    heir.run(0.0);
    assert!(forgotten(&heir));
    let mut heir = World::restore_at(config(two()), &kept, w.now);
    heir.run(0.0);
    assert!(forgotten(&heir));
    assert_eq!(heir.table(), "10.0.0.2:80=3");
}

/// Who was told of a virtual server that has never had a quorum is not told again by the next life.
#[test]
fn a_quorum_that_was_never_there_is_told_once() {
    let s = VirtualServer { quorum_down: Some(script("qdown")), quorum: 100, ..two() };
    let mut w = World::new(config(s.clone()));
    w.run(2.0);
    let kept: Vec<Snapshot> = told(&w).into_values().collect();
    assert!(w.heard().contains(&"run qdown".to_string()));
    for _ in 0..2 {
        let mut heir = World::restore(config(s.clone()), &kept);
        heir.run(2.0);
        let heard = heir.heard();
        assert!(
            !heard.iter().any(|l| l == "run qdown" || l.starts_with("fifo") || l.contains("quorum down")),
            "{heard:?}"
        );
        assert!(heard.contains(&"quorum [192.0.2.1]:tcp:80 false".to_owned()), "trackers are told again");
    }
}

/// Since when a server is down, and a service up, is known after a reload and to the next life.
#[test]
fn who_comes_next_knows_since_when() {
    let mut w = World::new(config(two()));
    w.manner(B, Manner::Answers(vec![]));
    w.run(62.2);
    let ages = |w: &World| {
        let v = w.pool.services_at(w.now).remove(0);
        let all = v.servers.iter().map(|r| r.since).chain([v.since]);
        all.map(|since| since.expect("since").as_secs()).collect::<Vec<_>>()
    };
    let before = ages(&w);
    assert!(before.iter().all(|age| *age >= 40), "{before:?}");
    w.reload(config(two()));
    w.run(10.0);
    let later: Vec<u64> = before.iter().map(|age| age + 10).collect();
    assert_eq!(ages(&w), later);
    let kept: Vec<Snapshot> = told(&w).into_values().collect();
    let mut heir = World::restore_at(config(two()), &kept, w.now);
    heir.manner(B, Manner::Refuses);
    heir.run(0.0);
    assert_eq!(ages(&heir), later);
}

#[test]
fn services_of_one_name_are_kept_apart() {
    let of = |id| VirtualServer { id, ..service(vec![server(A, 1, tcp(A))]) };
    let group = |protocol| of(ServiceId::Group { name: "H".into(), protocol });
    let mark = |family| of(ServiceId::One(ServiceKey::Mark { mark: 5, family }));
    let all = [group(Protocol::Tcp), group(Protocol::Udp), mark(Family::V4), mark(Family::V6)];
    let snapshots = all.iter().flat_map(|v| {
        let server = DestinationKey { address: "10.0.0.1".parse().unwrap(), port: 80 };
        let (up, seen_up, drained, recovering, checks) = (true, true, false, None, Vec::new());
        let s = Snapshot::Server {
            service: v.id.clone(),
            server,
            up,
            seen_up,
            drained,
            recovering,
            checks,
            since: 0,
            drained_since: 0,
        };
        [s, Snapshot::Service { id: v.id.clone(), quorum: true, since: 0 }]
    });
    let keys: std::collections::BTreeSet<String> = snapshots.map(|s| s.key()).collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
}

#[test]
fn nothing_is_kept_of_what_left_the_file() {
    let s = two();
    let mut w = half_dead();
    let kept = w.pool.snapshots();
    assert!(kept.iter().any(|k| matches!(k, Snapshot::Reason { .. })));
    let less = VirtualServer { servers: vec![s.servers[1].clone()], ..s.clone() };
    w.reload(config(less.clone()));
    let server = |k: &&String| !k.starts_with("service") && !k.starts_with("reason");
    assert_eq!(told(&w).keys().filter(server).count(), 1, "{:?}", told(&w));
    w.reload(Config::default());
    assert!(told(&w).is_empty(), "{:?}", told(&w));

    // What left it while nobody lived.
    let mut heir = World::restore(config(less), &kept);
    heir.run(0.0);
    let gone: Vec<&String> =
        heir.said.iter().filter_map(|(_, o)| if let Output::Forget(k) = o { Some(k) } else { None }).collect();
    assert_eq!(gone.len(), 2, "the server and why it was down: {gone:?}");
}

#[test]
fn virtual_servers_of_one_group_have_names_of_their_own() {
    let group = VirtualServerGroup {
        name: "G".into(),
        ranges: vec![Range { first: "10.9.0.1".parse().unwrap(), last: "10.9.0.1".parse().unwrap(), port: 53 }],
        marks: Vec::new(),
        assigned: Vec::new(),
    };
    let of = |protocol| VirtualServer { id: ServiceId::Group { name: "G".into(), protocol }, ..two() };
    let (tcp, udp) = (of(Protocol::Tcp), of(Protocol::Udp));
    let with = |services| Config { groups: vec![group.clone()], services, init_notifies: false };
    let mut w = World::new(with(vec![tcp.clone(), udp.clone()]));
    w.run(0.0);
    let names = |w: &World| w.pool.services().iter().map(|s| s.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&w), ["[G]:0", "[G]:1"]);
    let heard = w.heard();
    assert!(["fifo VS [G]:0 UP", "fifo VS [G]:1 UP"].iter().all(|line| heard.iter().any(|l| l == line)), "{heard:?}");
    w.reload(with(vec![udp]));
    assert_eq!(names(&w), ["[G]:0"]);
}

/// What a check says that nobody has asked yet is what its server was.
#[test]
fn a_check_of_other_words_is_told_from_its_verdict_until_it_is_answered() {
    let mut w = half_dead();
    let unasked = |w: &World| {
        let views = w.pool.services();
        views[0].servers.iter().map(|r| (r.up, r.checks[0].borrowed)).collect::<Vec<_>>()
    };
    assert_eq!(unasked(&w), [(false, false), (true, false)]);
    let mut s = two();
    // Another question in the same place, and another one.
    for n in 0..2 {
        for server in &mut s.servers {
            if let CheckKind::Tcp(target) = &mut server.checks[0].kind {
                match n {
                    0 => target.mark = 7,
                    _ => target.address.set_port(8081),
                }
            }
        }
        w.reload(config(s.clone()));
        let up = w.pool.services()[0].servers.iter().map(|r| r.up).collect::<Vec<_>>();
        assert!(unasked(&w).iter().all(|(_, borrowed)| *borrowed), "{n}: {:?}", unasked(&w));
        assert_eq!(up, [false, n == 0]);
        w.run(5.0);
        assert!(unasked(&w).iter().all(|(_, borrowed)| !borrowed), "{n}: {:?}", unasked(&w));
    }
    // The same question at other times has been answered.
    s.servers.iter_mut().for_each(|r| r.checks[0].timing.delay_loop = Duration::from_secs(9));
    w.reload(config(s));
    assert!(unasked(&w).iter().all(|(_, borrowed)| !borrowed), "{:?}", unasked(&w));
}
