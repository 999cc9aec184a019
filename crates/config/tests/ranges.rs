//! Both ends of the ranges of single keywords, and what is beyond.

mod common;

use common::read;
use steadfast_config::diag::Class;
use steadfast_config::host::FakeHost;
use steadfast_config::load_text;
use steadfast_config::source::Options;

/// Words that are good, and words that are not.
const GLOBALS: &[(&str, &[&str], &[&str])] = &[
    ("vrrp_garp_extra_if", &["1", "all 86400"], &["0", "86401", "all", "x"]),
    ("max_auto_priority", &["", "-1", "99"], &["-2", "100"]),
    ("min_auto_priority_delay", &["1", "10000000"], &["0", "10000001"]),
    ("vrrp_delay_after_boot", &["0.001", "4294"], &["0.0001", "x"]),
    (
        "dbus_service_name",
        &["org.keepalived.Vrrp1", "a.b", "_a.b-c.d2"],
        &["", "a", "a.", ".a", "a..b", "a.2b", ":1.2", "a.b/c"],
    ),
    ("process_name", &["", "abcdefghijklmno"], &["abcdefghijklmnop"]),
    ("vrrp_rx_bufs_policy", &["MTU", "ADVERT", "1"], &["0", "mtu"]),
    ("vrrp_rx_bufs_multiplier", &["1", "4294967295"], &["0", "4294967296"]),
    ("vrrp_netlink_cmd_rcv_bufs", &["0", "4294967295"], &["-1", "4294967296"]),
    ("vrrp_netlink_cmd_rcv_bufs_force", &["", "off"], &["maybe"]),
    ("process_monitor_rcv_bufs", &["0", "2147483647"], &["-1"]),
    ("reload_time_file", &["/a/b"], &["b"]),
    ("reload_file", &["", "/a/b"], &["b"]),
    ("data_use_instance", &["", "no"], &["maybe"]),
];

#[test]
fn global_keywords() {
    for (word, good, bad) in GLOBALS {
        let faults = |value: &str| {
            let outcome = read(&format!("global_defs {{\n {word} {value}\n}}\n"));
            let classes: Vec<_> = outcome.diagnostics.iter().map(|d| d.class).collect();
            assert!(!classes.contains(&Class::Unsupported), "{word} {value}: it is not supported");
            classes.into_iter().any(|c| c > Class::Unsupported)
        };
        good.iter().for_each(|v| assert!(!faults(v), "{word} {v}"));
        bad.iter().for_each(|v| assert!(faults(v), "{word} {v}"));
    }
}

#[test]
fn delays_of_links() {
    for (line, expected) in [
        ("eth0 0", Some((0, 0))),
        ("eth0 255 0.5", Some((255_000, 500))),
        ("eth0 1.5", Some((1500, 1500))),
        ("eth0 256", None),
        ("eth0 1 256", None),
        ("eth0", None),
    ] {
        let outcome = read(&format!("interface_up_down_delays {{\n {line}\n}}\n"));
        let delays = outcome.config.link_delays.first().map(|(_, down, up)| (down.as_millis(), up.as_millis()));
        assert_eq!(delays, expected, "{line}");
        assert_eq!(outcome.diagnostics.iter().any(|d| d.class > Class::Unsupported), expected.is_none(), "{line}");
    }
    // A change counts before a peer would act on our silence: two of three adverts.
    let instance = "vrrp_instance VI { interface eth0\n virtual_router_id 5\n virtual_ipaddress { 10.0.0.1 } }\n";
    let outcome = read(&format!("{instance}interface_up_down_delays {{\n eth0 60 1\n}}\n"));
    let (_, down, up) = &outcome.config.link_delays[0];
    assert_eq!((down.as_secs(), up.as_secs()), (2, 1));
}

#[test]
fn groups_of_links() {
    let group = |lines: &str| format!("garp_group {{\n {lines}\n}}\n");
    for (text, count, faulty) in [
        (group("garp_interval 0.000001\n interface a"), 1, false),
        (group("gna_interval 1\n interfaces {\n a\n b\n }"), 1, false),
        (group("garp_interval 0\n interface a"), 0, true),
        (group("interface a"), 0, true),
        (group("garp_interval 1"), 0, false),
        (group("garp_interval 1\n interface a\n interface b"), 1, false),
        (group("garp_interval 1\n interface a\n interfaces {\n a\n b\n }"), 1, true),
        (group("garp_interval 1\n interfaces {\n a\n b\n a\n }"), 1, true),
        (group("garp_interval 1\n interface a") + &group("garp_interval 2\n interface b"), 2, false),
        (group("garp_interval 1\n interface a") + &group("garp_interval 2\n interfaces {\n a\n b\n }"), 2, true),
        (group("garp_interval 1\n interface a") + &group("garp_interval 2\n interface a"), 1, true),
    ] {
        let outcome = read(&text);
        assert_eq!(outcome.config.garp_groups.len(), count, "{text}");
        assert_eq!(outcome.diagnostics.iter().any(|d| d.class > Class::Unsupported), faulty, "{text}");
    }
}

/// As keepalived: a link is in the first group that names it, and stays out of the others.
#[test]
fn a_link_is_in_one_garp_group_and_an_absent_one_is_named() {
    let text = "garp_group {\n garp_interval 1\n interface a\n interfaces {\n  a\n  b\n }\n}\ngarp_group {\n gna_interval 2\n interfaces \
                {\n  b\n  c\n }\n}\n";
    let outcome = read(text);
    let links: Vec<_> = outcome.config.garp_groups.iter().map(|g| g.interfaces.join(" ")).collect();
    assert_eq!(links, ["a b", "c"]);
    let lines = |outcome: &steadfast_config::Outcome, words: &str| -> Vec<u32> {
        let of = outcome.diagnostics.iter().filter(|d| d.message.contains(words));
        of.filter_map(|d| d.span.map(|s| s.line)).collect()
    };
    assert_eq!(lines(&outcome, "garp_group already specified for"), [5, 12]);
    let host = FakeHost { interfaces: vec!["a".into(), "c".into()], ..Default::default() };
    let outcome = load_text(text, &Options::default(), &host);
    assert_eq!(lines(&outcome, "does not exist now"), [6]);
    let dynamic = format!("global_defs {{\n dynamic_interfaces\n}}\n{text}");
    assert_eq!(lines(&load_text(dynamic, &Options::default(), &host), "does not exist now"), [0; 0]);
}

/// The hardware address of a virtual link, and limits of a peer's TTL: what is taken, and what is reported.
#[test]
fn words_of_an_instance() {
    for (line, good) in [
        ("use_vmac v 02:00:00:00:00:07", true),
        ("use_vmac v 00:00:5e:00:03", true),
        ("use_vmac v 00:00:5e:00:01:07", false),
        ("use_vmac v 00:00:5e:00:02", false),
        ("use_vmac v 03:00:00:00:00:07", false),
        ("use_vmac v 02:00:00:00:07:00:01", false),
        ("unicast_peer {\n 10.0.0.2 min_ttl 5 max_ttl 5\n}", true),
        ("unicast_peer {\n 10.0.0.2 min_ttl 6 max_ttl 5\n}", false),
    ] {
        let text = "vrrp_instance VI {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {\n 10.0.0.1\n }\n";
        let outcome = read(&format!("{text}{line}\n}}\n"));
        assert_eq!(outcome.diagnostics.iter().all(|d| d.class <= Class::Unsupported), good, "{line}");
        let mac = outcome.config.instances[0].use_vmac.as_ref().and_then(|v| v.mac);
        assert_eq!(mac.is_some(), good && line.starts_with("use_vmac"), "{line}");
    }
}
