//! Address, route and rule lines: what is taken, with both ends of each range, and what is beyond.

mod common;

use common::read;
use steadfast_config::diag::Class;
use steadfast_core::kernel::Object;

/// The dump line of the one static object, or the class of the first report that counts.
fn said(block: &str, line: &str) -> Result<String, Class> {
    let outcome = read(&format!("{block} {{\n {line}\n}}\n"));
    let bad = outcome.diagnostics.iter().map(|d| d.class).find(|c| *c > Class::Unsupported);
    match (outcome.config.statics.first(), bad) {
        (Some((Object::Route(r), _)), None) => Ok(r.line().to_string()),
        (Some((Object::Rule(r), _)), None) => Ok(r.line().to_string()),
        (_, Some(class)) => Err(class),
        other => panic!("{line}: {other:?}"),
    }
}

const GENERAL: Result<&str, Class> = Err(Class::General);
const NUMBER: Result<&str, Class> = Err(Class::InvalidNumber);

/// What follows `10.1.0.0/24 dev a`, and what follows `prepend 10.1.0.0/24 dev a` in the dump.
const ROUTES: &[(&str, Result<&str, Class>)] = &[
    ("", Ok("proto 18")),
    ("metric 4294967295", Ok("proto 18 metric 4294967295")),
    ("priority 0", Ok("proto 18 metric 0")),
    ("metric 4294967296", NUMBER),
    ("metric 0x10", NUMBER),
    ("metric", Err(Class::MissingParameter)),
    ("protocol 255", Ok("proto 255")),
    ("protocol 256", GENERAL),
    ("scope 255", Ok("proto 18 scope 255")),
    ("scope link", Ok("proto 18 scope 253")),
    ("scope 256", GENERAL),
    ("table 4294967295", Ok("table 4294967295 proto 18")),
    ("table 4294967296", GENERAL),
    ("table nosuch", GENERAL),
    ("vrf red", Ok("vrf red proto 18")),
    ("mtu lock 4294967295", Ok("proto 18 mtu lock 4294967295")),
    ("mtu 0", Ok("proto 18 mtu 0")),
    ("mtu 4294967296", NUMBER),
    ("mtu lock", Err(Class::MissingParameter)),
    ("hoplimit 0", Ok("proto 18 hoplimit 0")),
    ("hoplimit 255", Ok("proto 18 hoplimit 255")),
    ("hoplimit 256", NUMBER),
    ("hoplimit lock 5", NUMBER),
    ("window 5 window 6", Ok("proto 18 window 6")),
    ("window lock 5", NUMBER),
    ("initcwnd lock 5", NUMBER),
    ("quickack 1", Ok("proto 18 quickack 1")),
    ("quickack 2", NUMBER),
    ("fastopen_no_cookie 0", Ok("proto 18 fastopen_no_cookie 0")),
    ("fastopen_no_cookie 2", NUMBER),
    ("rtt 199ms", Ok("proto 18 rtt 200ms")),
    ("rtt 200ms rttvar lock 0.25s rto_min 1.5s", Ok("proto 18 rtt 200ms rttvar lock 250ms rto_min 1.5s")),
    ("rtt 120s", Ok("proto 18 rtt 120s")),
    ("rtt 121s", Ok("proto 18 rtt 120s")),
    ("rtt 4000 rttvar 4000 rto_min 4000", Ok("proto 18 rtt 500ms rttvar 1s rto_min 4s")),
    ("rtt 5h", NUMBER),
    ("rtt 0.1", NUMBER),
    ("features ecn", Ok("proto 18 features ecn")),
    ("features sack", GENERAL),
    ("congctl lock reno", Ok("proto 18 congctl lock reno")),
    ("realms 255/0", Ok("proto 18 realms 255/0")),
    ("realms 0x10", Ok("proto 18 realm 16")),
    ("realms 256", GENERAL),
    ("realms 1/256", GENERAL),
    ("expires 4", GENERAL),
    ("pref high", GENERAL),
    ("ttl-propagate enabled", Ok("proto 18 ttl-propagate enabled")),
    ("ttl-propagate yes", GENERAL),
    ("encap mpls 0/1048575", Err(Class::Note)),
    ("encap mpls 1048576", GENERAL),
    ("encap mpls 1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", GENERAL),
    ("encap ip dst fd01::1", GENERAL),
    ("encap ip tos 256", GENERAL),
    ("encap ip ttl 256", NUMBER),
    ("encap ip flags 65536", GENERAL),
    ("encap ip id 18446744073709551616", GENERAL),
    ("encap ip6 dst 10.0.0.1", GENERAL),
    ("encap ip6 hoplimit 256", NUMBER),
    ("encap seg6 mode encap", GENERAL),
    ("encap ila 1:2:3", GENERAL),
    ("weight 5", GENERAL),
    ("track_group", Err(Class::MissingParameter)),
    ("no_track", Ok("proto 18 no_track")),
    ("onlink", Ok("proto 18 onlink")),
    ("frobnicate", GENERAL),
    ("as to 10.0.0.1", GENERAL),
    ("via inet6 fd01::1", Err(Class::Note)),
    ("via fd01::1", GENERAL),
];

#[test]
fn route_options() {
    for (options, expected) in ROUTES {
        // Rows whose dump has words before the link are below.
        if *expected == Err(Class::Note) {
            continue;
        }
        let line = said("static_routes", &format!("10.1.0.0/24 dev a {options}"));
        let expected = expected.map(|rest| format!("prepend 10.1.0.0/24 dev a {rest}"));
        assert_eq!(line, expected, "{options}");
    }
    for (line, expected) in [
        ("10.1.0.0/24 dev a encap mpls 0/1048575", "prepend 10.1.0.0/24 encap mpls 0/1048575 dev a proto 18"),
        ("10.1.0.0/24 dev a encap ila 1:2:a:ffff", "prepend 10.1.0.0/24 encap ila 1:2:a:ffff dev a proto 18"),
        (
            "10.1.0.0/24 dev a encap ip id 18446744073709551615 dst 10.0.0.1 src 10.0.0.2 tos 255 ttl 255 flags 65535",
            "prepend 10.1.0.0/24 encap ip id 18446744073709551615 dst 10.0.0.1 src 10.0.0.2 tos 255 ttl 255 flags 0xffff dev a proto 18",
        ),
        (
            "fd01::/64 encap ip6 id 0 dst fd01::8 src fd01::1 tc 255 hoplimit 255 via fd01::5 dev a",
            "prepend fd01::/64 encap ip6 id 0 dst fd01::8 src fd01::1 tc 255 hoplimit 255 via inet6 fd01::5 dev a proto 18",
        ),
        ("10.1.0.0/24 via inet6 fd01::1 dev a", "prepend 10.1.0.0/24 via inet6 fd01::1 dev a proto 18"),
        ("append 10.1.0.7/24 dev a", "append 10.1.0.0/24 dev a proto 18"),
        ("add local 10.1.0.7 dev a", "add local 10.1.0.7 dev a proto 18"),
        ("default via 10.0.0.1", "prepend 0.0.0.0/0 via inet 10.0.0.1 proto 18"),
        ("inet6 default via fd01::1 metric 9", "prepend ::/0 via inet6 fd01::1 proto 18 metric 9"),
        (
            "fd01::/64 dev a expires 4294967295 pref low",
            "prepend fd01::/64 dev a proto 18 expires 4294967295sec pref low",
        ),
        (
            "10.1.0.0/24 nexthop via 10.0.0.1 dev a weight 1 realms 3 nexthop via 10.0.0.2 dev b weight 256 onlink",
            "prepend 10.1.0.0/24 proto 18 nexthop via inet 10.0.0.1 dev a weight 1 realm 3 nexthop via inet 10.0.0.2 dev b weight 256 onlink",
        ),
    ] {
        assert_eq!(said("static_routes", line).as_deref(), Ok(expected), "{line}");
    }
    for (line, class) in [
        ("10.1.0.0/24 nexthop via 10.0.0.1 dev a weight 257", Class::InvalidNumber),
        ("10.1.0.0/24 nexthop via 10.0.0.1 dev a weight 0", Class::InvalidNumber),
        ("fd01::/64 dev a expires 4294967296", Class::InvalidNumber),
        ("fd01::/64 dev a pref 256", Class::General),
        ("fd01::/64 dev a realms 3", Class::General),
        ("10.1.0.0/24 from 10.0.0.0/8 dev a", Class::General),
        ("10.1.0.0/24 dev a src fd01::1", Class::General),
        ("via 10.0.0.1", Class::General),
        ("10.1.0.0/24 via 10.0.0.1 or 10.0.0.2 dev a", Class::Deprecated),
        ("10.1.0.0/33 dev a", Class::General),
    ] {
        assert_eq!(said("static_routes", line), Err(class), "{line}");
    }
}

/// What follows `from 10.1.0.0/24 table 5 preference 9`, and what the dump has between its priority and `lookup 5`.
const RULES: &[(&str, Result<&str, Class>)] = &[
    ("", Ok("tos 0x0 protocol 18")),
    ("tos 255", Ok("tos 0xff protocol 18")),
    ("tos 256", GENERAL),
    ("realms 0/255", Ok("tos 0x0 protocol 18 realms 0/255")),
    ("realms 256", GENERAL),
    ("fwmark 4294967295/0", Ok("tos 0x0 fwmark 0xffffffff/0x0 protocol 18")),
    ("fwmark 4294967296", GENERAL),
    ("fwmark 1/x", GENERAL),
    ("suppress_prefixlength 128", Ok("tos 0x0 suppress_prefixlen 128 protocol 18")),
    ("sup_pl 129", NUMBER),
    ("sup_group default", Ok("tos 0x0 suppress_ifgroup 0 protocol 18")),
    ("suppress_ifgroup 2147483647", Ok("tos 0x0 suppress_ifgroup 2147483647 protocol 18")),
    ("suppress_ifgroup 2147483648", GENERAL),
    ("suppress_ifgroup nosuch", GENERAL),
    ("tunnel-id 18446744073709551615", Ok("tos 0x0 tunnel-id 18446744073709551615 protocol 18")),
    ("tunnel-id 18446744073709551616", GENERAL),
    ("uidrange 0-4294967294", Ok("tos 0x0 uidrange 0-4294967294 protocol 18")),
    ("uidrange 0-4294967295", GENERAL),
    ("uidrange 5-4", GENERAL),
    ("uidrange 5", GENERAL),
    ("ipproto 255", Ok("tos 0x0 protocol 18 ipproto 255")),
    ("ipproto UDP", Ok("tos 0x0 protocol 18 ipproto 17")),
    ("ipproto 256", GENERAL),
    ("ipproto nosuch", GENERAL),
    ("sport 1-65534", Ok("tos 0x0 protocol 18 sport 1-65534")),
    ("sport 1-65535", Ok("tos 0x0 protocol 18 sport 1-65534")),
    ("dport 80", Ok("tos 0x0 protocol 18 dport 80-80")),
    ("sport 0-5", GENERAL),
    ("sport 1-65536", GENERAL),
    ("dport 6-5", GENERAL),
    ("protocol 255", Ok("tos 0x0 protocol 255")),
    ("protocol 256", GENERAL),
    ("iif a oif b", Ok("tos 0x0 iif a oif b protocol 18")),
    ("blackhole", GENERAL),
    ("l3mdev", GENERAL),
    ("to fd01::/64", GENERAL),
    ("inet6", GENERAL),
    ("frobnicate", GENERAL),
    ("dport", Err(Class::MissingParameter)),
];

#[test]
fn rule_options() {
    for (options, expected) in RULES {
        let line = said("static_rules", &format!("from 10.1.0.0/24 table 5 preference 9 {options}"));
        let expected = expected.map(|middle| format!("from 10.1.0.0/24 priority 9 {middle} lookup 5"));
        assert_eq!(line, expected, "{options}");
    }
    for (line, expected) in [
        ("l3mdev preference 4294967295", Ok("from all priority 4294967295 tos 0x0 l3mdev protocol 18")),
        ("inet6 nop preference 0", Ok("inet6 from all priority 0 tos 0x0 protocol 18 nop")),
        (
            "not to 10.0.0.0/8 type prohibit preference 0",
            Ok("not from all to 10.0.0.0/8 priority 0 tos 0x0 protocol 18 type prohibit"),
        ),
        ("goto 10 preference 9", Ok("from all priority 9 tos 0x0 protocol 18 goto 10")),
        ("goto 9 preference 9", GENERAL),
        ("goto 9", GENERAL),
        ("from 10.0.0.0/8 preference 9", GENERAL),
        ("table 5 preference 4294967296", GENERAL),
        ("from fd01::/64 table 5 preference 9 realms 3", GENERAL),
        // What of a table counts is for rules that look up in one.
        ("preference 9 unreachable suppress_prefixlength 3", GENERAL),
        ("preference 9 suppress_ifgroup 3 goto 10", GENERAL),
        ("preference 9 nop realms 3", GENERAL),
        (
            "l3mdev preference 9 suppress_prefixlength 3",
            Ok("from all priority 9 tos 0x0 suppress_prefixlen 3 l3mdev protocol 18"),
        ),
        // Taken, and said.
        ("table 5", GENERAL),
    ] {
        assert_eq!(said("static_rules", line), expected.map(String::from), "{line}");
    }
}

#[test]
fn track_groups() {
    let group = "track_group G { group { VI NOBODY } }\n";
    let instance = "vrrp_instance VI { interface eth0\n virtual_router_id 5\n virtual_ipaddress { 10.0.0.1 } }\n";
    let all = read(&format!(
        "{group}static_routes {{\n 10.1.0.0/24 dev a track_group G\n 10.2.0.0/24 dev a track_group H\n}}
         static_rules {{\n table 5 preference 9 track_group G\n}}
         static_ipaddress {{\n 10.3.0.1 dev a track_group G\n}}\n{instance}"
    ));
    let groups: Vec<_> = all.config.statics.iter().map(|(_, g)| g.as_deref()).collect();
    assert_eq!(groups, [Some("G"), None, Some("G"), Some("G")]);
    assert_eq!(all.config.track_groups[0].group, ["VI"]);
    let texts: Vec<&str> = all.diagnostics.iter().map(|d| d.message.as_str()).collect();
    assert!(texts.iter().any(|t| t.contains("no instance NOBODY")), "{texts:?}");
    assert!(texts.iter().any(|t| t.contains("track_group H is not defined above")), "{texts:?}");
    // As to keepalived, one that comes later is none.
    let later = read(&format!(
        "static_ipaddress {{\n 10.3.0.1 dev a track_group G\n}}\n{instance}{}",
        group.replace(" NOBODY", "")
    ));
    let said: Vec<_> = later.diagnostics.iter().map(|d| (d.message.as_str(), d.span.map(|s| s.line))).collect();
    assert_eq!(said, [("track_group G is not defined above, ignoring it", Some(2))]);
    assert_eq!(later.config.statics[0].1, None);
    // It is for static ones.
    let line = "virtual_routes {\n 10.1.0.0/24 dev a track_group G\n}";
    let outcome = read(&instance.replace("virtual_ipaddress", &format!("{line}\n virtual_ipaddress")));
    assert!(outcome.config.instances[0].virtual_routes.is_empty());
}

/// The children of the daemon make their tables each; with one name they would remove each other's.
#[test]
fn tables_of_one_name_are_kept_apart() {
    for (words, table) in [
        ("nftables one\nnftables_ipvs one", Some("one_ipvs")),
        ("nftables one\nnftables_ipvs two", Some("two")),
        ("nftables_ipvs keepalived", Some("keepalived_ipvs")),
        ("nftables keepalived_ipvs\nnftables_ipvs", Some("keepalived_ipvs_ipvs")),
        ("nftables keepalived_ipvs", None),
    ] {
        let outcome = common::read(&format!("global_defs {{\n{words}\n}}\n"));
        assert_eq!(outcome.config.globals.nftables_ipvs.as_deref(), table, "{words}");
        let said = outcome.diagnostics.iter().any(|d| d.message.contains("is the table of virtual addresses"));
        assert_eq!(said, table.is_some_and(|t| t.ends_with("_ipvs")), "{words}");
        assert_eq!(outcome.diagnostics.exit_status(), 0, "{words}");
    }
}

#[test]
fn names_that_no_link_can_have_are_reported_where_they_stand() {
    for line in [
        "use_vmac a/b",
        "use_vmac sixteen-letters-",
        "use_ipvlan a/b 10.0.0.9",
        "use_ipvlan .. 10.0.0.9",
        "vrf a/b",
        "vrf sixteen-letters-",
    ] {
        let text = format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n {line}\n virtual_ipaddress {{\n 10.0.0.5\n }}\n}}\n"
        );
        let outcome = common::read(&text);
        let at: Vec<_> = outcome.diagnostics.iter().filter_map(|d| Some((d.span?.line, d.span?.column))).collect();
        let column = line.find(' ').map_or(0, |n| n as u32 + 3);
        assert!(at.contains(&(4, column)), "{line}: {at:?}");
        assert_eq!(outcome.diagnostics.exit_status(), 5, "{line}");
        let i = &outcome.config.instances[0];
        let names = [
            i.vrf.clone(),
            i.use_vmac.as_ref().and_then(|v| v.name.clone()),
            i.use_ipvlan.as_ref().and_then(|v| v.name.clone()),
        ];
        assert!(names.iter().flatten().all(|n| !n.contains('/') && n.len() < 16 && n != ".."), "{line}: {names:?}");
    }
}

#[test]
fn an_address_of_two_instances_is_noted_unless_a_group_moves_them_together() {
    let instance = |name: &str, id: u8, list: &str, link: &str| {
        format!(
            "vrrp_instance {name} {{\ninterface {link}\nvirtual_router_id {id}\nvirtual_ipaddress {{\n10.0.0.{id}\n}}\n{list} {{\n10.0.0.9/24\n}}\n}}\n"
        )
    };
    let both = instance("A", 1, "virtual_ipaddress_excluded", "eth0")
        + &instance("B", 2, "virtual_ipaddress_excluded", "eth0");
    let noted = |text: &str| read(text).diagnostics.iter().map(|d| d.message.clone()).collect::<Vec<_>>();
    assert_eq!(
        noted(&both),
        ["(B) address 10.0.0.9 is A's, too: two hosts hold it while one is master here and the other there"]
    );
    assert!(noted(&format!("vrrp_sync_group G {{\ngroup {{\nA\nB\n}}\n}}\n{both}")).is_empty());
    assert!(noted(&both.replacen("eth0", "eth1", 1)).is_empty());
}

#[test]
fn what_is_not_taken_of_an_address_or_a_second_sync_daemon_is_reported() {
    let text = "global_defs {\n lvs_sync_daemon eth0 inst A id 3\n lvs_sync_daemon eth1 inst A\n}\n\
                vrrp_instance A {\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {\n 10.0.0.5\n }\n}\n";
    let outcome = read(text);
    let daemon = outcome.config.globals.lvs_sync_daemon.expect("daemon");
    assert_eq!((daemon.interface.as_str(), daemon.id), ("eth0", Some(3)));
    let said: Vec<_> = outcome.diagnostics.iter().filter(|d| d.class == Class::General).collect();
    assert!(
        said.iter().any(|d| d.span.is_some_and(|s| s.line == 3) && d.message.contains("already as eth0 A")),
        "{said:?}"
    );
    for (line, status) in
        [("10.0.0.1/24 peer 10.0.0.7", 5), ("10.0.0.1 peer 10.0.0.7", 0), ("10.0.0.1 peer 10.0.0.0/24", 0)]
            .into_iter()
            .chain([("10.0.0.1/24 scope link", 0), ("fd00::1/64 scope link", 5), ("fd00::1/64 scope global", 0)])
    {
        let outcome = read(&format!("static_ipaddress {{\n {line} dev eth0\n}}\n"));
        assert_eq!(outcome.diagnostics.exit_status(), status, "{line}");
        assert_eq!(outcome.config.statics.len(), 1, "{line}");
    }
}

#[test]
fn both_spellings_of_a_tracked_file_need_a_file_that_tells_of_changes() {
    for word in ["track_file", "vrrp_track_file"] {
        for (more, files) in [("", 0), ("file /proc/uptime", 0), ("file /tmp/x", 1)] {
            let outcome = read(&format!("{word} A {{\n {more}\n}}\n"));
            assert_eq!(outcome.config.files.len(), files, "{word} {more}");
            assert_eq!(outcome.diagnostics.exit_status(), if files == 0 { 5 } else { 0 }, "{word} {more}");
        }
    }
}

#[test]
fn what_follows_the_hops_of_a_route_is_reported_and_left_out() {
    for (options, taken) in [
        ("nexthop via 10.0.0.2 dev a weight 2 onlink nexthop via 10.0.0.3 realms 3", true),
        ("table 9 nexthop via 10.0.0.2 weight 2 nexthop via 10.0.0.3", true),
        ("nexthop via 10.0.0.2 weight 2 table 9", false),
        ("nexthop via 10.0.0.2 no_track", false),
        ("nexthop via 10.0.0.2 mtu 1400", false),
        ("nexthop via 10.0.0.2 blackhole", false),
    ] {
        let outcome = read(&format!("static_routes {{\n 10.1.0.0/24 {options}\n}}\n"));
        assert_eq!(outcome.config.statics.len(), 1, "{options}");
        assert_eq!(outcome.diagnostics.exit_status(), if taken { 0 } else { 5 }, "{options}");
    }
}

#[test]
fn a_peer_or_a_broadcast_address_that_an_address_cannot_have_is_reported_and_left_out() {
    for (line, status, broadcast, peer) in [
        ("10.0.0.5/24 brd +", 0, Some("10.0.0.255"), None),
        ("10.0.0.5/30 brd -", 0, Some("10.0.0.4"), None),
        ("10.0.0.5/31 brd +", 5, None, None),
        ("10.0.0.5 brd +", 5, None, None),
        ("10.0.0.5/32 brd -", 5, None, None),
        ("10.0.0.5 brd 10.0.0.255", 0, Some("10.0.0.255"), None),
        ("10.0.0.5 peer fe80::1", 5, None, None),
        ("fe80::5 peer 10.0.0.1", 5, None, None),
        ("10.0.0.5 peer 10.0.0.7 brd 10.0.0.255", 5, None, Some("10.0.0.7/32")),
        ("10.0.0.5 brd 10.0.0.255 peer 10.0.0.7", 5, None, Some("10.0.0.7/32")),
    ] {
        let outcome = read(&format!("static_ipaddress {{\n {line} dev eth0\n}}\n"));
        let Some((Object::Address(a), _)) = outcome.config.statics.first() else { panic!("{line}") };
        assert_eq!(outcome.diagnostics.exit_status(), status, "{line}");
        assert_eq!(a.broadcast.map(|b| b.to_string()).as_deref(), broadcast, "{line}");
        assert_eq!(a.peer.as_ref().map(|p| p.to_string()).as_deref(), peer, "{line}");
    }
}

#[test]
fn what_is_said_twice_is_reported() {
    let of = |block: &str, instance: &str| {
        read(&format!(
            "{block}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 5\n {instance}\n virtual_ipaddress {{\n 10.0.0.5\n }}\n}}\n\
             vrrp_instance B {{\n interface eth0\n virtual_router_id 6\n virtual_ipaddress {{\n 10.0.0.6\n }}\n}}\n"
        ))
    };
    let tracked = |kind: &str| format!("{kind} {{\n t\n }}");
    let o = of("track_file t {\n file /a\n file /b\n}", &tracked("track_file"));
    assert_eq!((o.diagnostics.exit_status(), o.config.files[0].file.as_deref()), (5, Some("/b")));
    let o = of("vrrp_track_process t {\n process a\n process b\n}", &tracked("track_process"));
    let process = o.config.processes[0].process.as_ref().map(|p| p.text.as_str());
    assert_eq!((o.diagnostics.exit_status(), process), (5, Some("b")));
    for (lines, status, version) in
        [("version 3\n version 2", 5, 2), ("version 2\n version 3", 5, 3), ("version 3\n version 3", 0, 3)]
    {
        let o = of("", lines);
        assert_eq!((o.diagnostics.exit_status(), o.config.instances[0].version), (status, Some(version)), "{lines}");
    }
    let o = of("vrrp_sync_group G {\n group {\n A\n B\n }\n group {\n B\n A\n }\n}", "");
    let members = o.config.groups[0].group.clone().unwrap_or_default();
    assert_eq!((o.diagnostics.exit_status(), members), (5, vec!["A".to_string(), "B".into()]));
}

#[test]
fn words_that_change_nothing_as_they_stand_are_reported() {
    let status = |word: &str, more: &str| {
        let text = format!(
            "vrrp_track_process p {{\n process a\n {more}\n}}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 5\n \
             {word}\n track_process {{\n p\n }}\n virtual_ipaddress {{\n 10.0.0.5\n }}\n}}\n"
        );
        let o = read(&text);
        (o.diagnostics.exit_status(), o.config.processes[0].param_match.clone())
    };
    assert_eq!(status("", "param_match foo"), (5, None));
    assert_eq!(status("", "param_match partial"), (0, Some("partial".into())));
    for word in ["check_unicast_src", "check_unicast_src no", "old_unicast_checksum", "unicast_ttl 5"] {
        assert_eq!(status(word, "").0, 5, "{word}");
        assert_eq!(status(&format!("{word}\n unicast_peer {{\n 10.0.0.2\n }}"), "").0, 0, "{word}");
    }
}
