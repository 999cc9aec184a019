//! What the tables show. The values of virtual servers are those that keepalived 2.2.7 gives for this file in a guest with IPVS.

use steadfast_config::host::FakeHost;
use steadfast_config::source::Options;
use steadfast_config::{Config, load_text};
use steadfast_core::State;
use steadfast_snmp::mib::{Event, Facts, Known, Parts, binds, view};
use steadfast_snmp::wire::Value;
use steadfast_snmp::{Oid, Setting, View};
use steadfast_status::live::{Check, Checker, Server, Service, Traffic};
use steadfast_status::{Instance, Snapshot};

const FILE: &str = "
global_defs {
    router_id lab
    enable_snmp_vrrp
    enable_snmp_checker
    lvs_sync_daemon eth0 inst ONE id 5 maxlen 1400 port 8848 ttl 3 group 224.0.0.99
    lvs_timeouts tcp 900 tcpfin 100
}
vrrp_instance ONE {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.99/32
    }
}
virtual_server_group VG {
    192.0.2.200 80
    192.0.2.201-205 81
    fwmark 17
}
virtual_server 192.0.2.99 80 {
    delay_loop 1.5
    lvs_sched wrr
    lvs_method DR
    persistence_timeout 50
    persistence_granularity 255.255.255.0
    protocol TCP
    quorum 2
    hysteresis 1
    ha_suspend
    retry 2
    delay_before_retry 2
    weight 6
    snmp_name web
    sorry_server 192.0.2.240 80
    real_server 192.0.2.1 80 {
        weight 3
        inhibit_on_failure
        snmp_name rs-one
        uthreshold 100
        TCP_CHECK {
            connect_timeout 2
        }
    }
    real_server 192.0.2.12 80 {
        retry 3
        delay_loop 7
    }
}
virtual_server fwmark 5 {
    lvs_sched rr
    lvs_method NAT
    ops
    ip_family inet6
    persistence_timeout 60
    persistence_granularity 64
    real_server 2001:db8::22 53 {
        weight 1
    }
}
virtual_server group VG {
    lvs_sched sh
    sh-fallback
    lvs_method TUN type gue port 6081 csum
    protocol TCP
    real_server 192.0.2.13 80 {
    }
}
";

fn config() -> Config {
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    load_text(FILE, &Options::default(), &host).config
}

fn server(name: &str, up: bool, weight: u32) -> Server {
    let checks = vec![Check { kind: "TCP_CHECK".into(), good: up, reason: None, ..Default::default() }];
    Server { name: name.into(), up, weight, checks, ..Default::default() }
}

fn checker() -> Checker {
    let service = |name: &str, quorum, servers| Service {
        name: name.into(),
        quorum,
        active: true,
        servers,
        ..Default::default()
    };
    let mut web = service("[192.0.2.99]:tcp:80", true, vec![server("A", true, 3), server("B", false, 6)]);
    web.traffic = Some(Traffic {
        connections: 1 << 33 | 7,
        packets: [10, 20],
        bytes: [1 << 40, 2],
        connections_per_second: 1 << 32 | 5,
        ..Default::default()
    });
    Checker {
        services: vec![
            web,
            service("FWM 5", false, vec![server("C", true, 1)]),
            service("VG", true, vec![server("D", true, 1)]),
        ],
        ..Default::default()
    }
}

fn parts() -> Parts {
    Parts { vrrp: true, checker: true, rfc_2787: true, rfc_6527: true }
}

fn with<T>(vrrp: Option<&Snapshot>, checker: Option<&Checker>, work: impl FnOnce(&Facts<'_>) -> T) -> T {
    let config = config();
    let facts = Facts {
        parts: parts(),
        version: "v",
        host: "host",
        config: &config,
        vrrp,
        checker,
        bfd: None,
        uptime: 100_000,
    };
    work(&facts)
}

fn name(text: &str) -> Oid {
    format!("1.3.6.1.4.1.9586.100.5.{text}").parse().expect("name")
}

fn get(v: &View, text: &str) -> Value {
    v.get(&name(text))
}

#[test]
fn virtual_servers() {
    let v = with(None, Some(&checker()), view);
    let int = |n: i32| Value::Integer(n);
    let text = |s: &str| Value::Octets(s.into());
    for (object, value) in [
        // group
        ("3.1.1.2.1", text("VG")),
        ("3.2.1.2.1.1", int(1)),
        ("3.2.1.3.1.1", Value::Gauge32(17)),
        ("3.2.1.2.1.2", int(2)),
        ("3.2.1.5.1.2", Value::Octets(vec![192, 0, 2, 200])),
        ("3.2.1.2.1.3", int(3)),
        ("3.2.1.6.1.3", Value::Octets(vec![192, 0, 2, 201])),
        ("3.2.1.7.1.3", Value::Octets(vec![192, 0, 2, 205])),
        ("3.2.1.8.1.3", Value::Gauge32(81)),
        // services
        ("3.3.1.2.1", int(2)),
        ("3.3.1.2.2", int(1)),
        ("3.3.1.2.3", int(3)),
        ("3.3.1.3.3", text("VG")),
        ("3.3.1.4.2", Value::Gauge32(5)),
        ("3.3.1.5.2", int(2)),
        ("3.3.1.5.3", int(1)),
        ("3.3.1.6.1", Value::Octets(vec![192, 0, 2, 99])),
        ("3.3.1.6.2", Value::NoSuchInstance),
        ("3.3.1.7.1", Value::Gauge32(80)),
        ("3.3.1.8.1", int(1)),
        ("3.3.1.9.1", int(2)),
        ("3.3.1.9.3", int(8)),
        ("3.3.1.10.1", int(2)),
        ("3.3.1.10.3", int(3)),
        ("3.3.1.13.1", int(1)),
        ("3.3.1.14.1", Value::Gauge32(50)),
        ("3.3.1.15.1", Value::Octets(vec![255, 255, 255, 0])),
        ("3.3.1.15.3", Value::Octets(vec![255; 4])),
        ("3.3.1.51.2", Value::Gauge32(64)),
        ("3.3.1.16.1", Value::Gauge32(1)),
        ("3.3.1.64.1", Value::Gauge32(1_500_000)),
        ("3.3.1.16.3", Value::Gauge32(60)),
        ("3.3.1.17.1", int(1)),
        ("3.3.1.20.1", Value::Gauge32(2)),
        ("3.3.1.21.1", Value::Gauge32(1)),
        ("3.3.1.22.1", Value::Gauge32(2)),
        ("3.3.1.23.1", int(1)),
        ("3.3.1.23.2", int(2)),
        ("3.3.1.37.2", int(1)),
        ("3.3.1.53.3", int(1)),
        ("3.3.1.57.1", Value::Gauge32(2)),
        ("3.3.1.57.3", Value::Gauge32(0)),
        ("3.3.1.60.1", int(6)),
        ("3.3.1.68.3", int(2)),
        ("3.3.1.69.3", Value::Gauge32(6081)),
        ("3.3.1.70.3", int(2)),
        ("3.3.1.71.1", text("web")),
        // counters, narrow, wide and in halves
        ("3.3.1.27.1", Value::Gauge32(7)),
        ("3.3.1.28.1", Value::Counter32(10)),
        ("3.3.1.29.1", Value::Counter32(20)),
        ("3.3.1.30.1", Value::Counter64(1 << 40)),
        ("3.3.1.38.1", Value::Counter64(1 << 33 | 7)),
        ("3.3.1.32.1", Value::Gauge32(u32::MAX)),
        ("3.3.1.41.1", Value::Gauge32(5)),
        ("3.3.1.42.1", Value::Gauge32(1)),
        ("3.3.1.27.2", Value::NoSuchInstance),
        // servers: the sorry server is the first
        ("3.4.1.2.1.1", int(2)),
        ("3.4.1.4.1.1", Value::Octets(vec![192, 0, 2, 240])),
        ("3.4.1.6.1.1", Value::NoSuchInstance),
        ("3.4.1.2.1.2", int(1)),
        ("3.4.1.4.1.2", Value::Octets(vec![192, 0, 2, 1])),
        ("3.4.1.6.1.2", int(1)),
        ("3.4.1.6.1.3", int(2)),
        ("3.4.1.7.1.2", int(3)),
        ("3.4.1.7.1.3", int(6)),
        ("3.4.1.8.1.2", Value::Gauge32(100)),
        ("3.4.1.8.1.3", Value::NoSuchInstance),
        ("3.4.1.10.1.2", int(2)),
        ("3.4.1.13.1.3", Value::Gauge32(1)),
        ("3.4.1.14.1.2", Value::Gauge32(0)),
        ("3.4.1.43.1.3", Value::Gauge32(3)),
        ("3.4.1.46.1.3", Value::Gauge32(7)),
        ("3.4.1.52.3.1", int(2)),
        ("3.4.1.55.1.2", text("rs-one")),
        // the rest
        ("3.6.2.0", text("eth0")),
        ("3.6.3.0", text("ONE")),
        ("3.6.4.0", int(5)),
        ("3.6.9.0", Value::Octets(vec![224, 0, 0, 99])),
        ("3.7.1.0", int(900)),
        ("3.7.3.0", Value::NoSuchInstance),
        ("2.3.1.16.1", int(1)),
        ("2.3.1.17.1", text("eth0")),
    ] {
        assert_eq!(get(&v, object), value, "{object}");
    }
    let weight = Setting::Weight("[192.0.2.99]:tcp:80".into(), "B".into());
    assert_eq!(v.setting(&name("3.4.1.7.1.3")), Some(&weight));
    assert_eq!(v.setting(&name("3.4.1.7.1.1")), None, "a sorry server has no weight");
}

#[test]
fn what_nobody_has_reported_on_is_unknown() {
    let v = with(None, None, view);
    assert_eq!(get(&v, "2.3.1.2.1"), Value::Octets("ONE".into()));
    assert_eq!(get(&v, "2.3.1.4.1"), Value::Integer(4));
    assert_eq!(get(&v, "3.4.1.6.1.2"), Value::Integer(2));
    assert_eq!(v.setting(&name("3.4.1.7.1.2")), None, "nobody could be told");
    assert_eq!(get(&v, "1.2.0"), Value::Octets("lab".into()));
}

/// Every object's name and type is in the published files: columns as declared, no more.
#[test]
fn rows_end_with_their_columns() {
    let v = with(None, Some(&checker()), view);
    for (oid, value) in v.iter() {
        assert_eq!(v.get(oid), *value);
        let known = oid.0.get(..7) == Some(&[1, 3, 6, 1, 4, 1, 9586]) || oid.0.get(..6) == Some(&[1, 3, 6, 1, 2, 1]);
        assert!(known, "{oid}");
        // A neighbour that is not there is an absent instance: its column is declared.
        let mut absent = oid.clone();
        if let Some(last) = absent.0.last_mut() {
            *last = 4_000_000;
        }
        assert_eq!(v.get(&absent), Value::NoSuchInstance, "{oid}");
    }
}

fn snapshot() -> Snapshot {
    let instance = Instance {
        name: "ONE".into(),
        interface: "eth0".into(),
        link: "eth0".into(),
        version: 2,
        vrid: 51,
        base_priority: 100,
        state: State::Master,
        advert_interval: 1.0,
        source: Some("192.0.2.5".into()),
        advertised: vec!["192.0.2.99".parse().expect("address")],
        up_for: Some(100.0),
        new_master: 3,
        ..Default::default()
    };
    Snapshot { instances: vec![instance], links: vec![("eth0".into(), 7, [2, 0, 0, 0, 0, 9])], ..Default::default() }
}

#[test]
fn the_protocols_own_mibs() {
    let s = snapshot();
    let v = with(Some(&s), None, view);
    let of = |text: &str| v.get(&text.parse().expect("name"));
    assert_eq!(of("1.3.6.1.2.1.68.1.3.1.2.7.51"), Value::Octets(vec![2, 0, 0, 0, 0, 9]));
    assert_eq!(of("1.3.6.1.2.1.68.1.3.1.3.7.51"), Value::Integer(3));
    assert_eq!(of("1.3.6.1.2.1.68.1.3.1.8.7.51"), Value::Address([192, 0, 2, 5]));
    assert_eq!(of("1.3.6.1.2.1.68.1.3.1.10.7.51"), Value::Octets(Vec::new()), "a key is never told");
    // sysUpTime then: 1000 s now, 100 s ago.
    assert_eq!(of("1.3.6.1.2.1.68.1.3.1.13.7.51"), Value::TimeTicks(90_000));
    assert_eq!(of("1.3.6.1.2.1.68.1.4.1.2.7.51.192.0.2.99"), Value::Integer(1));
    assert_eq!(of("1.3.6.1.2.1.207.1.1.1.1.12.7.51.1"), Value::TimeTicks(10_000));
    assert_eq!(of("1.3.6.1.2.1.207.1.2.5.1.2.7.51.1"), Value::Integer(3));
    let mut lost = s.clone();
    lost.links.clear();
    let v = with(Some(&lost), None, view);
    assert!(
        v.iter().all(|(n, _)| n.0.get(..8) != Some(&[1, 3, 6, 1, 2, 1, 68, 1]) || n.0.len() == 10),
        "no link, no index"
    );
}

#[test]
fn notifications() {
    let (s, c) = (snapshot(), checker());
    with(Some(&s), Some(&c), |f| {
        let v = view(f);
        let says = |event: Event| -> Vec<(String, Value)> {
            let all = binds(f, &v, &event);
            all.into_iter()
                .flatten()
                .map(|b| (b.name.to_string().replace("1.3.6.1.4.1.9586.100.5.", ""), b.value))
                .collect()
        };
        let trap = |n: &str| ("1.3.6.1.6.3.1.1.4.1.0".to_string(), Value::Name(name(n)));
        let at = |n: &str, value: Value| (n.to_string(), value);
        let int = |n: i32| Value::Integer(n);
        let router = at("1.2.0", Value::Octets("lab".into()));
        let one = Event::Instance { name: "ONE".into(), state: Known::Shutdown };
        let text = Value::Octets("ONE".into());
        let want =
            [trap("2.10.0.2"), at("2.3.1.2", text), at("2.3.1.4", int(5)), at("2.3.1.5", int(1)), router.clone()];
        assert_eq!(says(one), want);
        let down = Event::Server { service: "[192.0.2.99]:tcp:80".into(), server: "B".into(), up: false };
        let v4 = |last: u8| Value::Octets(vec![192, 0, 2, last]);
        let service = |up: u32| {
            [
                at("3.3.1.5", int(1)),
                at("3.3.1.6", v4(99)),
                at("3.3.1.7", Value::Gauge32(80)),
                at("3.3.1.8", int(1)),
                at("3.3.1.21", Value::Gauge32(up)),
                at("3.3.1.20", Value::Gauge32(2)),
            ]
        };
        let mut want =
            vec![trap("3.5.0.1"), at("3.4.1.3", int(1)), at("3.4.1.4", v4(12)), at("3.4.1.5", Value::Gauge32(80))];
        want.extend([at("3.4.1.6", int(2)), at("3.3.1.2", int(2))]);
        want.extend(service(1));
        want.push(router.clone());
        assert_eq!(says(down), want);
        let lost = Event::Quorum { service: "FWM 5".into(), quorum: false };
        let said = says(lost);
        for bind in [
            trap("3.5.0.2"),
            at("3.3.1.2", int(1)),
            at("3.3.1.4", Value::Gauge32(5)),
            at("3.3.1.23", int(2)),
            at("3.3.1.22", Value::Gauge32(1)),
        ] {
            assert!(said.contains(&bind), "{bind:?} in {said:?}");
        }
        assert_eq!(says(Event::Quorum { service: "nobody".into(), quorum: true }), []);
        let nothing = Facts { parts: Parts::default(), ..*f };
        let master = Event::NewMaster { name: "ONE".into(), reason: 3 };
        assert_eq!(binds(f, &v, &master).len(), 2);
        assert!(binds(&nothing, &v, &master).is_empty());
    });
}

#[test]
fn a_group_has_the_family_of_what_is_in_it() {
    let text = "virtual_server_group SIX {\n fwmark 9 inet6\n}\nvirtual_server group SIX {\n lvs_sched rr\n lvs_method TUN\n protocol TCP\n \
                persistence_timeout 50\n persistence_granularity 64\n real_server 192.0.2.1 80 {\n }\n}\n";
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    let config = load_text(text, &Options::default(), &host).config;
    let facts = Facts {
        parts: parts(),
        version: "v",
        host: "host",
        config: &config,
        vrrp: None,
        checker: None,
        bfd: None,
        uptime: 100_000,
    };
    let v = view(&facts);
    assert_eq!((get(&v, "3.3.1.5.1"), get(&v, "3.3.1.51.1")), (Value::Integer(2), Value::Gauge32(64)));
    assert_eq!(get(&v, "3.3.1.15.1"), Value::NoSuchInstance);
}
