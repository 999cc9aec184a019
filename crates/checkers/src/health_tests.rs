//! Virtual servers in a small world: pools, quorum, sorry server, drain, panic, rest and end.

use crate::testkit::*;
use crate::*;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Family;
use steadfast_core::ipvs::{Forward, Protocol, ServiceKey};

#[test]
fn quorum_with_hysteresis_and_the_sorry_server() {
    let mut s = two();
    (s.quorum, s.hysteresis, s.smtp_alert) = (5, 1, true);
    (s.quorum_up, s.quorum_down) = (Some(script("qup")), Some(script("qdown")));
    let sorry =
        |inhibit| SorryServer { address: IpAddr::from([10, 0, 0, 9]), port: 99, forward: Forward::Nat, inhibit };
    s.sorry = Some(sorry(false));
    let mut w = world(s.clone());
    w.run(2.2);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3");
    w.heard();
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.9:99=1", "the live server is withheld");
    let heard = w.heard();
    assert_eq!(
        heard[4..],
        [
            "Lost quorum 5-1=4 > 3 for VS [192.0.2.1]:tcp:80",
            "Adding sorry server [10.0.0.9]:tcp:99 to VS [192.0.2.1]:tcp:80",
            "Removing alive servers from the pool for VS [192.0.2.1]:tcp:80",
            "run qdown",
            "fifo VS [192.0.2.1]:tcp:80 DOWN",
            "quorum [192.0.2.1]:tcp:80 false",
            "mail Virtualserver [192.0.2.1]:tcp:80 - DOWN / => Lost quorum 5-1=4 > 3 <=",
            "VS [192.0.2.1]:tcp:80: the pool is empty: the quorum is lost, and live servers are withheld for the sorry \
             server; sorry server [10.0.0.9]:tcp:99 serves",
        ]
    );
    w.manner(A, up());
    w.run(1.5);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3");
    assert!(w.heard().contains(&"Gained quorum 5+1=6 <= 6 for VS [192.0.2.1]:tcp:80".to_owned()));

    s.sorry = Some(sorry(true));
    s.servers.iter_mut().for_each(|r| r.inhibit = true);
    let mut w = world(s);
    w.run(2.2);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3 10.0.0.9:99=0");
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.1:80=0 10.0.0.2:80=0 10.0.0.9:99=1");
    assert!(w.heard().contains(&"Disabling service [10.0.0.1]:tcp:80 of VS [192.0.2.1]:tcp:80".to_owned()));
}

#[test]
fn hysteresis_holds_between_its_margins() {
    let servers = (1..=4).map(|i| server(&format!("10.0.0.{i}:80"), 1, tcp(&format!("10.0.0.{i}:80")))).collect();
    let mut w = world(VirtualServer { quorum: 3, hysteresis: 1, ..service(servers) });
    w.manner("10.0.0.4:80", up());
    w.run(2.2);
    w.heard();
    let needed = |w: &World| w.pool.services()[0].needed;
    assert_eq!(needed(&w), 2, "to keep it");
    let changes = |w: &mut World, down: &str, manner: Manner| {
        w.manner(down, manner);
        w.run(3.0);
        w.heard().into_iter().filter(|l| l.starts_with("fifo VS")).collect::<Vec<_>>()
    };
    let none: [&str; 0] = [];
    assert_eq!(changes(&mut w, A, Manner::Refuses), none, "3 of 3");
    assert_eq!(changes(&mut w, B, Manner::Refuses), none, "2 >= 3 - 1");
    assert_eq!(changes(&mut w, C, Manner::Refuses), ["fifo VS [192.0.2.1]:tcp:80 DOWN"], "1 < 3 - 1");
    assert_eq!(needed(&w), 4, "to gain it");
    assert_eq!(changes(&mut w, C, up()), none, "2");
    assert_eq!(changes(&mut w, B, up()), none, "3 < 3 + 1");
    assert_eq!(changes(&mut w, A, up()), ["fifo VS [192.0.2.1]:tcp:80 UP"], "4");
}

#[test]
fn a_sorry_server_that_is_a_real_server_too() {
    let mut s = two();
    s.sorry =
        Some(SorryServer { address: IpAddr::from([10, 0, 0, 2]), port: 80, forward: Forward::Nat, inhibit: true });
    s.quorum = 4;
    let mut w = world(s);
    w.run(1.2);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3");
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.2:80=1");
}

#[test]
fn a_large_pool_gathers_its_changes() {
    let servers: Vec<RealServer> = (0..1000)
        .map(|i| {
            let address = format!("10.1.{}.{}:80", i / 250, i % 250);
            let mut check = tcp(&address);
            check.timing.warmup = Duration::from_secs(1);
            server(&address, 1, check)
        })
        .collect();
    let mut w = World::new(config(service(servers))); // all of them refuse
    w.run(1.1);
    assert_eq!(w.table(), "");
    let tables = w.said.iter().filter(|(_, o)| matches!(o, Output::Table(_))).count();
    assert!((200..=260).contains(&tables), "one in 4 ms, not one for each of a thousand: {tables}");
}

#[test]
fn slow_start_raises_the_weight_step_by_step() {
    let mut s = server(A, 100, tcp(A));
    s.slow_start = Duration::from_secs(10);
    let mut w = world(service(vec![s]));
    w.run(1.5);
    assert_eq!(w.table(), "10.0.0.1:80=100", "not at the start");
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    w.manner(A, up());
    w.heard();
    w.run(0.6);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    let line = "Slow start of service [10.0.0.1]:tcp:80 of VS [192.0.2.1]:tcp:80: weight 100 within 10 s";
    assert!(w.heard().contains(&line.to_owned()));
    w.run(5.0);
    let half: u32 = w.table().rsplit('=').next().unwrap().parse().unwrap();
    assert!((45..=55).contains(&half), "{half}");
    assert!(w.pool.services_at(w.now)[0].servers[0].rising.is_some_and(|now| (45..=60).contains(&now)));
    w.run(5.5);
    assert_eq!(w.table(), "10.0.0.1:80=100");
    assert_eq!(w.pool.services_at(w.now)[0].servers[0].rising, None);
    assert!(w.heard().iter().any(|l| l.ends_with(" is over: weight 100")));
}

#[test]
fn weights_that_a_manager_sets() {
    let mut w = world(two());
    w.run(1.2);
    w.heard();
    let weigh = |w: &mut World, server, weight| w.tell(Input::Weigh { service: "[192.0.2.1]:tcp:80", server, weight });
    weigh(&mut w, "[10.0.0.1]:tcp:80", 9);
    assert_eq!(w.table(), "10.0.0.1:80=9 10.0.0.2:80=3");
    let line = "Weight of service [10.0.0.1]:tcp:80 of VS [192.0.2.1]:tcp:80 changed from 3 to 9 by SNMP";
    assert!(w.heard().contains(&line.to_owned()));
    weigh(&mut w, "[10.0.0.1]:tcp:80", 9);
    weigh(&mut w, "[10.9.9.9]:tcp:80", 7);
    assert_eq!((w.table().as_str(), w.heard().len()), ("10.0.0.1:80=9 10.0.0.2:80=3", 0));
}

#[test]
fn drain_by_the_operator() {
    let mut w = world(two());
    w.run(1.2);
    w.heard();
    let drain = |w: &mut World, server, on| w.tell(Input::Drain { service: "[192.0.2.1]:tcp:80", server, on });
    drain(&mut w, "[10.0.0.1]:tcp:80", true);
    assert_eq!(w.table(), "10.0.0.1:80=0 10.0.0.2:80=3");
    drain(&mut w, "[10.0.0.2]:tcp:80", true);
    let heard = w.heard();
    assert!(
        heard.iter().any(|l| l.contains("the pool is empty: the servers that are up have weight 0; nobody serves")),
        "{heard:?}"
    );
    drain(&mut w, "[10.0.0.1]:tcp:80", false);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=0");
    drain(&mut w, "[10.9.9.9]:tcp:80", true);
    assert!(w.heard().contains(&"No service [10.9.9.9]:tcp:80 of VS [192.0.2.1]:tcp:80 to drain".to_owned()));
}

#[test]
fn panic_keeps_a_pool_that_a_bad_check_would_empty() {
    let mut s = service([A, B, C].iter().map(|a| server(a, 1, tcp(a))).collect());
    s.panic_threshold = Some(50);
    let mut w = world(s.clone());
    w.run(1.2);
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.2:80=1 10.0.0.3:80=1", "one of three is no panic");
    w.manner(B, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.1:80=1 10.0.0.2:80=1 10.0.0.3:80=1");
    w.manner(C, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.1:80=1 10.0.0.2:80=1 10.0.0.3:80=1");
    let heard = w.heard();
    let of = |word: &str| heard.iter().filter(|l| l.starts_with(word)).count();
    assert_eq!((of("Removing service"), of("Keeping failed service")), (1, 2), "{heard:?}");
    assert!(
        heard.iter().any(|l| l.contains("2 of 3 servers failed, more than 50 %: all are kept in service")),
        "{heard:?}"
    );
    assert!(!heard.iter().any(|l| l.contains("Lost quorum") || l.contains("is empty")));
    [A, B].iter().for_each(|a| w.manner(a, up()));
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.1:80=1 10.0.0.2:80=1");
    let heard = w.heard();
    let of = |word: &str| heard.iter().filter(|l| l.starts_with(word)).count();
    assert_eq!((of("Adding service"), of("Well again is service")), (0, 2), "{heard:?}");

    // servers that were never seen up are not brought in by panic, neither alone nor with the others
    let mut mixed = s.clone();
    mixed.servers[2].checks[0].timing.alpha = true;
    let mut w = World::new(config(mixed));
    [A, B].iter().for_each(|a| w.manner(a, up()));
    w.run(1.2);
    [A, B].iter().for_each(|a| w.manner(a, Manner::Refuses));
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.1:80=1 10.0.0.2:80=1");
    s.servers.iter_mut().for_each(|r| r.checks[0].timing.alpha = true);
    let mut w = World::new(config(s.clone()));
    w.run(3.0);
    assert_eq!(w.table(), "");

    // one that is out of service on purpose is neither counted nor kept
    let agent = Check { kind: CheckKind::Agent { target: target("10.0.0.8:80"), send: vec![] }, timing: timing() };
    s.servers.iter_mut().for_each(|r| r.checks[0].timing.alpha = false);
    s.servers[2].checks.push(agent);
    let mut w = world(s.clone());
    w.manner("10.0.0.8:80", Manner::Talks(vec![b"maint\n".to_vec()]));
    w.run(1.2);
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.2:80=1", "one of three has failed");
    let mut heir = World::restore(config(s.clone()), &w.pool.snapshots());
    heir.run(0.0);
    assert!(!heir.heard().iter().any(|l| l.starts_with("VS")), "no end of a panic that was none");
    assert_eq!(heir.table(), w.table());
    w.manner(B, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "10.0.0.1:80=1 10.0.0.2:80=1");

    // a successor goes on without a second alarm
    let mut heir = World::restore(config(s), &w.pool.snapshots());
    heir.run(0.0);
    assert_eq!(heir.table(), "10.0.0.1:80=1 10.0.0.2:80=1");
    assert!(!heir.heard().iter().any(|l| l.contains("servers failed")));
}

#[test]
fn ha_suspend_follows_the_address_and_the_instance() {
    for by_address in [true, false] {
        let suspend = if by_address { Suspend::WithoutAddress } else { Suspend::WithoutInstance("VI".into()) };
        let mut w = world(VirtualServer { suspend, ..two() });
        let tell = |w: &mut World, here| {
            w.tell(if by_address {
                Input::Address(IpAddr::from([192, 0, 2, 1]), here)
            } else {
                Input::Instance("VI", here)
            });
        };
        w.run(5.0);
        assert_eq!(w.starts.len(), 0);
        tell(&mut w, true);
        w.run(2.5);
        assert_eq!(w.starts.len(), 6);
        assert!(
            w.heard().contains(
                &"Activating healthchecker for service [10.0.0.1]:tcp:80 for VS [192.0.2.1]:tcp:80".to_owned()
            )
        );
        w.manner(A, Manner::Silent);
        w.run(0.6); // a probe is under way
        tell(&mut w, false);
        let before = w.starts.len();
        w.run(10.0);
        assert_eq!(w.starts.len(), before);
        assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3", "verdicts stay");
        assert!(
            w.heard().contains(
                &"Suspending healthchecker for service [10.0.0.1]:tcp:80 for VS [192.0.2.1]:tcp:80".to_owned()
            )
        );
    }
}

#[test]
fn groups_and_marks() {
    let range = |a: &str, b: &str| Range { first: a.parse().unwrap(), last: b.parse().unwrap(), port: 80 };
    let group = VirtualServerGroup {
        name: "G".into(),
        ranges: vec![range("10.9.0.254", "10.9.1.1"), range("2001:db8::1", "2001:db8::2")],
        marks: vec![(7, Some(Family::V4))],
        assigned: Vec::new(),
    };
    let name = |name: &str| ServiceId::Group { name: name.into(), protocol: Protocol::Tcp };
    let mut s = two();
    s.id = name("G");
    let mut missing = two();
    missing.id = name("H");
    let mark = VirtualServer {
        id: ServiceId::One(ServiceKey::Mark { mark: 9, family: Family::V4 }),
        ..service(vec![server(C, 1, tcp(C))])
    };
    let mut w =
        World::new(Config { groups: vec![group.clone()], services: vec![s, missing, mark], init_notifies: false });
    w.run(0.5);
    let heard = w.heard();
    assert!(heard.contains(&"VS [H]:0: no such virtual_server_group, or an empty one".to_owned()));
    assert!(heard.contains(&"fifo RS [10.0.0.3]:none:80 FWM 9 DOWN".to_owned()), "{heard:?}");
    assert!(heard.contains(&"fifo RS [10.0.0.1]:tcp:80 [G]:0 DOWN".to_owned()));
    let keys =
        |w: &World| -> Vec<String> { w.tables.values().next().unwrap().keys.iter().map(ToString::to_string).collect() };
    let four = ["[10.9.0.254]:tcp:80", "[10.9.0.255]:tcp:80", "[10.9.1.0]:tcp:80", "[10.9.1.1]:tcp:80"];
    // No server can be had by a service of IPv6, until one is at the end of a tunnel.
    assert_eq!(keys(&w), [&four[..], &["FWM 7"]].concat());
    s = two();
    s.id = name("G");
    s.servers[0].forward = Forward::Tunnel(steadfast_core::ipvs::Tunnel::Ipip);
    w.reload(Config { groups: vec![group], services: vec![s], init_notifies: false });
    w.run(0.5);
    assert_eq!(keys(&w), [&four[..], &["[2001:db8::1]:tcp:80", "[2001:db8::2]:tcp:80", "FWM 7"]].concat());
    let endless = Range { first: "::".parse().unwrap(), last: "ffff::".parse().unwrap(), port: 1 };
    assert_eq!(endless.addresses().count() as u128, RANGE_LIMIT);
}

#[test]
fn equal_checks_share_one_probe_and_several_must_agree() {
    let mut other = two();
    other.id = ServiceId::One(ServiceKey::Mark { mark: 9, family: Family::V4 });
    let mut w = World::new(Config { services: vec![two(), other], ..Config::default() });
    [A, B].iter().for_each(|a| w.manner(a, up()));
    w.run(0.5);
    assert_eq!(w.starts.len(), 2, "two servers in two services: two probes");
    w.heard();
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.heard().iter().filter(|l| l.starts_with("fifo RS")).count(), 2, "both services hear of it");

    let mut both = server(A, 1, tcp(A));
    both.checks.push(tcp(B));
    let mut w = world(service(vec![both]));
    w.run(1.2);
    w.manner(B, Manner::Refuses);
    w.run(2.0);
    assert_eq!(w.table(), "");
    w.manner(A, Manner::Refuses);
    w.manner(B, up());
    w.run(2.0);
    assert_eq!(w.table(), "");
    w.manner(A, up());
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
}

#[test]
fn stop_says_goodbye_where_omega_is_set() {
    for omega in [false, true] {
        let mut w = world(VirtualServer { omega, quorum_down: Some(script("qdown")), ..two() });
        w.run(1.2);
        w.heard();
        w.manner(A, Manner::Silent);
        w.run(0.9);
        w.tell(Input::Stop { keep_tables: !omega });
        assert_eq!(w.tables.is_empty(), omega, "-I keeps the table");
        let heard = w.heard();
        assert_eq!(heard[0], "Shutting down service [10.0.0.1]:tcp:80 from VS [192.0.2.1]:tcp:80");
        for line in [
            "run down 10.0.0.1:80",
            "fifo RS [10.0.0.2]:tcp:80 [192.0.2.1]:tcp:80 DOWN",
            "run qdown",
            "fifo VS [192.0.2.1]:tcp:80 DOWN",
        ] {
            assert_eq!(heard.iter().any(|l| l == line), omega, "{line}");
        }
        let before = w.starts.len();
        w.run(10.0);
        assert_eq!((w.starts.len(), w.pool.poll_at()), (before, None));
    }
}

#[test]
fn a_mark_stands_for_the_addresses_of_a_group() {
    let range = |a: &str, b: &str| Range { first: a.parse().unwrap(), last: b.parse().unwrap(), port: 80 };
    let group = VirtualServerGroup {
        name: "G".into(),
        ranges: vec![range("10.9.0.0", "10.9.255.255"), range("2001:db8::1", "2001:db8::2")],
        marks: Vec::new(),
        assigned: vec![(Protocol::Udp, 1001), (Protocol::Tcp, 1000)],
    };
    let mut s = two();
    s.id = ServiceId::Group { name: "G".into(), protocol: Protocol::Tcp };
    s.suspend = Suspend::WithoutAddress;
    s.servers[0].forward = Forward::Tunnel(steadfast_core::ipvs::Tunnel::Ipip);
    let mut w = World::new(Config { groups: vec![group], services: vec![s], init_notifies: false });
    w.manner(A, up());
    w.manner(B, up());
    w.run(3.0);
    assert!(w.pool.services().iter().all(|s| !s.active), "none of the addresses is here");
    w.tell(Input::Address("10.9.7.7".parse().unwrap(), true));
    w.run(60.0);
    assert!(w.pool.services().iter().all(|s| s.active));
    let table = w.tables.values().next().unwrap();
    assert_eq!(
        table.keys.iter().map(|k| format!("{k} {:?}", k.family())).collect::<Vec<_>>(),
        ["FWM 1000 V4", "FWM 1000 V6"]
    );
    assert_eq!(table.destinations.len(), 2);
}

/// An instance that follows the quorum gives the address up with it: checks that rested without the address would never bring it back.
#[test]
fn who_is_tracked_is_asked_as_long_as_there_is_no_quorum() {
    for (by_address, alpha) in [(true, false), (false, false), (true, true)] {
        let suspend = if by_address { Suspend::WithoutAddress } else { Suspend::WithoutInstance("VI".into()) };
        let mut check = tcp(A);
        (check.timing.alpha, check.timing.retry) = (alpha, 0);
        let s = VirtualServer { suspend, tracked: true, ..service(vec![server(A, 1, check)]) };
        let mut w = world(s);
        // What the brother does with what he is told of the quorum.
        let follow = |w: &mut World, seconds: u32| {
            for _ in 0..seconds * 10 {
                let told =
                    w.said.iter().rev().find_map(|(_, o)| if let Output::Quorum(_, q) = o { Some(*q) } else { None });
                if let Some(here) = told {
                    w.tell(match by_address {
                        true => Input::Address(IpAddr::from([192, 0, 2, 1]), here),
                        false => Input::Instance("VI", here),
                    });
                }
                w.run(0.1);
            }
        };
        follow(&mut w, 3);
        assert_eq!(w.table(), "10.0.0.1:80=1", "{by_address} {alpha}");
        w.manner(A, Manner::Refuses);
        follow(&mut w, 3);
        assert_eq!(w.table(), "");
        w.manner(A, up());
        follow(&mut w, 3);
        assert_eq!(w.table(), "10.0.0.1:80=1", "{by_address} {alpha}");
        // With its quorum it rests where the address is not.
        w.tell(match by_address {
            true => Input::Address(IpAddr::from([192, 0, 2, 1]), false),
            false => Input::Instance("VI", false),
        });
        let before = w.starts.len();
        w.run(5.0);
        assert_eq!(w.starts.len(), before);
    }
}

/// As keepalived tells it: who is dead from the start at his first failed round, and nobody of what was never up.
#[test]
fn who_is_dead_from_the_start_is_told_of_when_he_is_found_so() {
    for init_notifies in [false, true] {
        let all = || {
            let mut s = VirtualServer { quorum_down: Some(script("qdown")), ..two() };
            s.servers.iter_mut().for_each(|r| r.checks[0].timing.alpha = true);
            Config { init_notifies, ..config(s) }
        };
        let mut w = World::new(all());
        w.manner(A, up());
        w.manner(B, Manner::Refuses);
        w.run(0.0);
        let told = |w: &mut World| {
            let heard = w.heard().into_iter().filter_map(|l| l.strip_prefix("fifo ").map(str::to_owned));
            heard.map(|l| l.replace("[192.0.2.1]:tcp:80", "V")).collect::<Vec<_>>()
        };
        assert!(w.heard().iter().all(|l| !l.starts_with("fifo") && !l.starts_with("run")));
        w.run(5.0);
        let both = told(&mut w);
        let count = |line: &str| both.iter().filter(|l| *l == line).count();
        assert_eq!(both.len(), 3, "{both:?}");
        assert_eq!(
            [count("RS [10.0.0.1]:tcp:80 V UP"), count("VS V UP"), count("RS [10.0.0.2]:tcp:80 V DOWN")],
            [1; 3]
        );
        // The next life does not say it again, and who comes up is told of.
        let mut heir = World::restore_at(all(), &w.pool.snapshots(), w.now);
        heir.manner(A, up());
        heir.manner(B, Manner::Refuses);
        heir.run(3.0);
        assert_eq!(told(&mut heir), Vec::<String>::new());
        heir.manner(B, up());
        heir.run(2.0);
        assert_eq!(told(&mut heir), ["RS [10.0.0.2]:tcp:80 V UP"]);
    }
}

#[test]
fn a_server_that_a_reload_brings_is_told_of_when_it_has_been_asked() {
    let mut w = world(service(vec![server(A, 1, tcp(A))]));
    w.run(2.0);
    w.heard();
    w.manner(B, Manner::Refuses);
    w.reload(config(service(vec![server(A, 1, tcp(A)), server(B, 1, tcp(B))])));
    assert_eq!(w.table(), "10.0.0.1:80=1 10.0.0.2:80=1");
    w.run(4.0);
    let told: Vec<String> = w.heard().into_iter().filter(|l| l.starts_with("fifo RS")).collect();
    assert_eq!(told, ["fifo RS [10.0.0.2]:tcp:80 [192.0.2.1]:tcp:80 DOWN"]);
}
