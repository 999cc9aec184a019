use crate::testkit::*;
use crate::*;
use std::time::Duration;
use steadfast_core::ipvs::{Forward, ServiceKey};

/// The life after two deaths: nothing is known but the tables that the first one left.
fn orphan(config: Config, former: &World) -> World {
    let kept: Vec<(ServiceKey, Destinations)> = (former.tables.values())
        .flat_map(|t| t.keys.iter().map(move |k| (*k, t)))
        .map(|(k, t)| (k, t.destinations.iter().map(|(d, to)| (k.place(*d, to.forward), *to)).collect()))
        .collect();
    let snapshots = deduced(&config, |key| kept.iter().find(|(k, _)| k == key).map(|(_, d)| d));
    World::restore_at(config, &snapshots, former.now)
}

/// Three servers, the second of which is dead.
fn former(service: VirtualServer) -> World {
    let mut w = world(service);
    w.manner(B, Manner::Refuses);
    w.run(4.0);
    w.heard();
    w
}

/// No script runs, and no FIFO has a line.
fn is_quiet(line: &str) -> bool {
    !line.starts_with("run") && !line.starts_with("fifo") && !line.starts_with("mail")
}

#[test]
fn who_is_not_in_the_tables_was_down_and_is_until_he_answers() {
    let three = || {
        let quorum_up = Some(script("quorum"));
        VirtualServer { quorum_up, ..service(vec![server(A, 3, tcp(A)), server(B, 2, tcp(B)), server(C, 1, tcp(C))]) }
    };
    let mut w = former(three());
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.3:80=1");
    let mut heir = orphan(config(three()), &w);
    heir.manner(A, up());
    heir.manner(C, up());
    heir.manner(B, Manner::Refuses);
    heir.run(0.001);
    assert_eq!(heir.table(), w.table());
    // Nobody is told again of what he was told.
    let heard = heir.heard();
    assert_eq!(heard[0], "quorum [192.0.2.1]:tcp:80 true");
    assert!(heard.iter().all(|l| is_quiet(l)), "{heard:?}");
    heir.run(3.0);
    assert_eq!(heir.table(), w.table());
    assert!(heir.heard().iter().all(|l| is_quiet(l)));
    heir.manner(B, up());
    heir.run(1.5);
    assert_eq!(heir.table(), "10.0.0.1:80=3 10.0.0.2:80=2 10.0.0.3:80=1");
    assert!(heir.heard().contains(&format!("run up {B}")));

    // Without a table there is nothing to tell.
    w.tables.clear();
    assert!(deduced(&config(three()), |_| None).is_empty());
    let mut heir = orphan(config(three()), &w);
    heir.run(0.001);
    assert!(heir.heard().contains(&"run quorum".to_string()));
}

#[test]
fn the_sorry_server_goes_on_for_who_has_no_quorum() {
    let one = || {
        let sorry = SorryServer {
            address: "10.0.0.9".parse().expect("address"),
            port: 80,
            forward: Forward::Nat,
            inhibit: false,
        };
        VirtualServer { sorry: Some(sorry), ..service(vec![server(B, 2, tcp(B))]) }
    };
    let w = former(one());
    assert_eq!(w.table(), "10.0.0.9:80=1");
    let mut heir = orphan(config(one()), &w);
    heir.manner(B, Manner::Refuses);
    heir.run(3.0);
    assert_eq!(heir.table(), "10.0.0.9:80=1");
    assert!(heir.heard().iter().all(|l| is_quiet(l)));
    heir.manner(B, up());
    heir.run(1.5);
    assert_eq!(heir.table(), "10.0.0.2:80=2");
}

#[test]
fn a_weight_of_nought_is_a_death_where_the_dead_stay_and_a_drain_elsewhere() {
    let two = |inhibit| {
        let mut s = two();
        s.servers.iter_mut().for_each(|r| r.inhibit = inhibit);
        s
    };
    let mut heir = orphan(config(two(true)), &former(two(true)));
    assert_eq!(heir.pool.services()[0].servers.iter().map(|r| r.up).collect::<Vec<_>>(), [true, false]);
    heir.manner(A, up());
    heir.manner(B, up());
    heir.run(1.5);
    assert_eq!(heir.table(), "10.0.0.1:80=3 10.0.0.2:80=3");

    let mut w = world(two(false));
    w.run(1.0);
    w.tell(Input::Drain { service: "[192.0.2.1]:tcp:80", server: "[10.0.0.2]:tcp:80", on: true });
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=0");
    let mut heir = orphan(config(two(false)), &w);
    heir.manner(A, up());
    heir.manner(B, up());
    heir.run(2.0);
    assert_eq!(heir.table(), w.table());
    assert!(heir.pool.services()[0].servers[1].drained);
}

#[test]
fn a_server_is_where_its_way_of_forwarding_has_it() {
    // Packets that go as they are go to the port of the service.
    let direct = || {
        let mut s = service(vec![server("10.0.0.1:8080", 3, tcp(A)), server("10.0.0.2:8080", 3, tcp(B))]);
        s.servers.iter_mut().for_each(|r| r.forward = Forward::Direct);
        s
    };
    let heir = orphan(config(direct()), &former(direct()));
    assert_eq!(heir.pool.services()[0].servers.iter().map(|r| r.up).collect::<Vec<_>>(), [true, false]);
}

/// Who was dead before counts among those that have failed.
#[test]
fn a_panic_counts_those_who_were_dead_before() {
    let four = || VirtualServer {
        panic_threshold: Some(60),
        ..service(vec![
            server(A, 1, tcp(A)),
            server(B, 1, tcp(B)),
            server(C, 1, tcp(C)),
            server("10.0.0.4:80", 1, tcp("10.0.0.4:80")),
        ])
    };
    let mut w = world(four());
    w.manner("10.0.0.4:80", up());
    w.manner(A, Manner::Refuses);
    w.manner(B, Manner::Refuses);
    w.run(4.0);
    assert_eq!(w.table(), "10.0.0.3:80=1 10.0.0.4:80=1");
    let mut heir = orphan(config(four()), &w);
    [A, B, C].into_iter().for_each(|s| heir.manner(s, Manner::Refuses));
    heir.manner("10.0.0.4:80", up());
    heir.run(4.0);
    assert_eq!(heir.table().split(' ').count(), 4, "three of four are down: {}", heir.table());
}

/// A part of its weight is the kernel's while a server comes back slowly: the quorum was not lost by that, and is not gained again.
#[test]
fn who_comes_back_slowly_counts_whole() {
    let one = || {
        let slow = RealServer { slow_start: Duration::from_secs(60), ..server(A, 10, tcp(A)) };
        VirtualServer { quorum: 10, quorum_up: Some(script("quorum")), ..service(vec![slow]) }
    };
    let mut w = world(one());
    w.manner(A, Manner::Refuses);
    w.run(4.0);
    w.manner(A, up());
    w.run(8.0);
    assert_ne!(w.table(), "10.0.0.1:80=10");
    assert!(w.table().starts_with("10.0.0.1:80="));
    let mut heir = orphan(config(one()), &w);
    heir.manner(A, up());
    heir.run(2.0);
    let heard = heir.heard();
    assert!(heard.iter().all(|l| is_quiet(l)), "{heard:?}");
}

/// It is the sorry server that is in the table, and not that somebody died who is asked by no check.
#[test]
fn who_has_no_check_is_up_beside_a_sorry_server() {
    let sorry = || {
        let sorry =
            SorryServer { address: "10.0.0.9".parse().unwrap(), port: 80, forward: Forward::Nat, inhibit: false };
        let unasked = RealServer { checks: vec![], ..server(A, 1, tcp(A)) };
        VirtualServer { quorum: 2, sorry: Some(sorry), ..service(vec![unasked, server(B, 1, tcp(B))]) }
    };
    let w = former(sorry());
    assert_eq!(w.table(), "10.0.0.9:80=1");
    let mut heir = orphan(config(sorry()), &w);
    heir.manner(B, Manner::Refuses);
    heir.run(3.0);
    assert_eq!(heir.table(), w.table());
    let heard = heir.heard();
    assert!(heard.iter().all(|l| is_quiet(l)), "{heard:?}");
}
