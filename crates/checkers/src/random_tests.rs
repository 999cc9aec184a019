//! Random lives: whatever happens in whatever order, these hold.

use crate::testkit::*;
use crate::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Family;
use steadfast_core::ipvs::{Forward, ServiceKey};

#[derive(Clone, Debug)]
enum Event {
    Run(u16),
    Manner(u8, u8),
    Exit(u8),
    File(i64),
    Bfd(bool),
    Address(bool),
    Drain(u8, bool),
    Reload(Config),
}

fn address(n: u8) -> String {
    format!("10.0.0.{n}:80")
}

fn checks() -> impl Strategy<Value = Check> {
    let kinds = prop_oneof![
        4 => (1..5u8).prop_map(|n| CheckKind::Tcp(target(&address(n)))),
        2 => (1..5u8, 1..4usize).prop_map(|(n, pages)| CheckKind::Http(HttpCheck {
            target: target(&address(n)),
            tls: None,
            version: HttpVersion::V11,
            urls: vec![Url { path: "/".into(), ..Url::default() }; pages].into(),
        })),
        1 => (1..5u8).prop_map(|n| CheckKind::Agent { target: target(&address(n)), send: vec![] }),
        1 => any::<bool>().prop_map(|dynamic| CheckKind::Misc {
            script: script("/probe"),
            timeout: Duration::from_millis(400),
            dynamic,
        }),
        1 => (-2..3i32, any::<bool>()).prop_map(|(weight, reverse)| CheckKind::File { name: "f".into(), weight, reverse }),
        1 => Just(CheckKind::Bfd { name: "b".into() }),
    ];
    let timings = (0..3u32, 1..3u32, 1..3u32, any::<bool>(), 0..2000u64, 1..4u64).prop_map(
        |(retry, rise, fall, alpha, warmup, delay)| Timing {
            retry,
            rise,
            fall,
            alpha,
            warmup: Duration::from_millis(warmup),
            delay_loop: Duration::from_millis(delay * 500),
            ..timing()
        },
    );
    (kinds, timings).prop_map(|(kind, timing)| Check { kind, timing })
}

fn servers() -> impl Strategy<Value = RealServer> {
    let weights = prop_oneof![Just(0u32), 1..5u32, Just(100)];
    (1..5u8, weights, any::<bool>(), 0..3u64, 0..3u64, proptest::collection::vec(checks(), 0..3)).prop_map(
        |(n, weight, inhibit, slow, drain, checks)| RealServer {
            weight,
            inhibit,
            slow_start: Duration::from_secs(slow),
            drain: Duration::from_secs(drain),
            checks,
            ..RealServer::new(IpAddr::from([10, 0, 0, n]), 80)
        },
    )
}

fn virtuals(n: u8) -> impl Strategy<Value = VirtualServer> {
    let sorry = proptest::option::of(any::<bool>().prop_map(|inhibit| SorryServer {
        address: IpAddr::from([10, 0, 0, 4]),
        port: 80,
        forward: Forward::Direct,
        inhibit,
    }));
    let panic = proptest::option::of(0..100u8);
    (proptest::collection::vec(servers(), 0..5), sorry, panic, 1..6u32, 0..3u32, any::<bool>()).prop_map(
        move |(servers, sorry, panic_threshold, quorum, hysteresis, suspend)| VirtualServer {
            sorry,
            panic_threshold,
            quorum,
            hysteresis: hysteresis.min(quorum - 1),
            suspend: if suspend { Suspend::WithoutAddress } else { Suspend::Never },
            servers,
            ..VirtualServer::new(if n == 0 {
                id()
            } else {
                ServiceId::One(ServiceKey::Mark { mark: n.into(), family: Family::V4 })
            })
        },
    )
}

fn configs() -> impl Strategy<Value = Config> {
    let pick = |n| proptest::option::of(virtuals(n));
    (pick(0), pick(1), pick(2))
        .prop_map(|(a, b, c)| Config { services: [c, a, b].into_iter().flatten().collect(), ..Config::default() })
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..3000u16).prop_map(Event::Run),
        4 => (1..5u8, 0..6u8).prop_map(|(n, manner)| Event::Manner(n, manner)),
        1 => (0..5u8).prop_map(Event::Exit),
        1 => (-3..4i64).prop_map(Event::File),
        1 => any::<bool>().prop_map(Event::Bfd),
        1 => any::<bool>().prop_map(Event::Address),
        1 => (1..5u8, any::<bool>()).prop_map(|(n, on)| Event::Drain(n, on)),
        1 => configs().prop_map(Event::Reload),
    ]
}

fn happen(w: &mut World, event: Event) {
    match event {
        Event::Run(ms) => w.run(f64::from(ms) / 1000.0),
        Event::Manner(n, manner) => {
            let manner = match manner {
                0 => Manner::Refuses,
                1 => Manner::Silent,
                2 => Manner::Drips(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
                3 => Manner::Talks(vec![b"drain 50%\n".to_vec()]),
                4 => Manner::Talks(vec![b"up ready 150%\n".to_vec(), b"maint\n".to_vec()]),
                _ => Manner::Answers(b"HTTP/1.1 200 OK\r\n\r\n".to_vec()),
            };
            w.manner(&address(n), manner);
        }
        Event::Exit(status) => {
            w.exits.insert("/probe".into(), status.into());
        }
        Event::File(value) => w.tell(Input::File("f", value)),
        Event::Bfd(up) => w.tell(Input::Bfd("b", up)),
        Event::Address(here) => w.tell(Input::Address(IpAddr::from([192, 0, 2, 1]), here)),
        Event::Drain(n, on) => {
            let server = format!("[10.0.0.{n}]:tcp:80");
            w.tell(Input::Drain { service: "[192.0.2.1]:tcp:80", server: &server, on });
        }
        Event::Reload(config) => w.reload(config),
    }
}

/// What the table must hold, said once more from what the views show.
fn check_tables(w: &World) {
    let views = w.pool.services();
    assert_eq!(views.len(), w.tables.len(), "one table for each virtual server");
    for v in views {
        let table = &w.tables[&v.slot];
        assert_eq!(
            Some(table),
            w.pool.table(v.slot, w.now).as_ref().filter(|_| !ramping(&v)).or(Some(table)),
            "announced"
        );
        let sorry_serves = !v.quorum && v.config.sorry.is_some();
        for server in &v.servers {
            let found = table.destinations.iter().find(|(k, _)| k.address == server.config.address);
            let sorry_there = v.config.sorry.as_ref().is_some_and(|s| s.address == server.config.address);
            let weight = found.map(|(_, d)| d.weight);
            if sorry_there {
                continue;
            }
            match (server.up, sorry_serves) {
                (true, false) => assert!(weight.is_some_and(|w| w <= server.weight && (w > 0) == (server.weight > 0))),
                (true, true) => assert!(weight.is_none_or(|w| w == 0)),
                (false, _) if v.panic => {}
                (false, _) => assert!(weight.is_none_or(|w| w == 0), "{} is down", server.name),
            }
            assert_eq!(server.up, server.checks.iter().all(|c| c.good), "{}: all checks must agree", server.name);
            assert!(!server.drained || server.weight == 0);
        }
        if let Some(sorry) = v.config.sorry.as_ref().filter(|_| sorry_serves) {
            let there = table.destinations.iter().any(|(k, d)| k.address == sorry.address && d.weight == 1);
            assert!(there, "the sorry server serves");
        }
        let quorum = u64::from(v.config.quorum);
        let margin = u64::from(v.config.hysteresis);
        if v.quorum {
            assert!(v.live_weight + margin >= quorum && v.live_weight > 0);
        } else {
            assert!(v.live_weight < quorum + margin);
        }
    }
}

fn ramping(v: &ServiceView<'_>) -> bool {
    v.servers.iter().any(|s| !s.config.slow_start.is_zero())
}

/// Notices alternate: nobody is told twice of the same state of a server or a virtual server within one configuration.
fn check_notices(w: &World) {
    let mut last: HashMap<String, bool> = HashMap::new();
    let mut removed = "-";
    let mut gone = std::collections::HashSet::new();
    for (_, o) in &w.said {
        match o {
            Output::Log(_, line) => {
                removed = line.strip_prefix("Removing Virtual Server ").unwrap_or(removed);
                // a server that comes back by a reload is a new one, which may be down before it was ever up
                let server = line.strip_prefix("Removing service ").and_then(|l| l.split_once(" from VS "));
                gone.extend(server.map(|(server, service)| format!("RS {server} {service}")));
            }
            // one of that name is a new one
            Output::TableGone(_) => last.retain(|who, _| !who.ends_with(removed)),
            _ => {}
        }
        let Output::Fifo(line) = o else { continue };
        let line = line.trim_end();
        let (who, state) = line.rsplit_once(' ').unwrap();
        let up = state == "UP";
        if gone.contains(who) {
            last.remove(who);
            if up {
                gone.remove(who);
            }
        }
        assert_ne!(last.insert(who.to_owned(), up), Some(up), "{line} twice");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), ..ProptestConfig::default() })]

    #[test]
    fn random_lives(config in configs(), events in proptest::collection::vec(events(), 1..25)) {
        let mut w = World::new(config.clone());
        w.run(0.0);
        check_tables(&w);
        let mut config = config;
        for event in events {
            if let Event::Reload(new) = &event {
                config = new.clone();
                // who died at this moment would be succeeded with the same result
                let mut heir = World::restore_at(config.clone(), &w.pool.snapshots(), w.now);
                for (file, value) in [("f", w.files.get("f").copied())] {
                    if let Some(value) = value { heir.tell(Input::File(file, value)); }
                }
                if let Some(up) = w.session { heir.tell(Input::Bfd("b", up)); }
                heir.run(0.0);
                happen(&mut w, event);
                let ups = |w: &World| w.pool.services().iter()
                    .map(|v| (v.name.to_owned(), v.servers.iter().map(|s| (s.name.to_owned(), s.up, s.drained, s.weight)).collect::<Vec<_>>()))
                    .collect::<Vec<_>>();
                let (ours, theirs) = (ups(&w), ups(&heir));
                prop_assert_eq!(ours, theirs, "reload and hand-over agree");
            } else {
                match &event {
                    Event::File(v) => { w.files.insert("f".into(), *v); }
                    Event::Bfd(up) => w.session = Some(*up),
                    _ => {}
                }
                happen(&mut w, event);
            }
            w.run(0.0);
            check_tables(&w);
            check_notices(&w);
            w.check_probes();
        }
        let before = w.said.len();
        w.reload(config);
        let news = w.said[before..].iter().filter(|(_, o)| !matches!(o, Output::Table(_) | Output::Keep(_) | Output::Log(..))).count();
        prop_assert_eq!(news, 0, "the same configuration again is no news");
        w.tell(Input::Stop { keep_tables: false });
        prop_assert!(w.tables.is_empty());
        prop_assert_eq!(w.pool.poll_at(), None);
    }
}
