use super::*;
use steadfast_config::model::{Authentication, RealServer, Served, VirtualServer};
use steadfast_config::source::Options;

/// What is planned between two texts.
fn between(a: &str, b: &str) -> Vec<String> {
    let read = |text| steadfast_config::load_text(text, &Options::default(), &steadfast_config::SystemHost).config;
    plan(&read(a), &read(b), &|_| false)
}

const BEFORE: &str = r#"
global_defs {
  router_id a
  smtp_server 192.0.2.25 25
  smtp_connect_timeout 10
  vrrp_garp_interval 0.1
}
vrrp_script chk {
  script "/bin/true a"
  interval 2
  weight 10
}
track_file f {
  file /tmp/none
  weight 1
}
static_routes {
  198.51.100.0/24 via 192.0.2.1 dev eth0
}
vrrp_instance V {
  interface eth0
  virtual_router_id 51
  preempt_delay 5
  advert_int 1
  unicast_src_ip 192.0.2.2
  unicast_peer {
    192.0.2.3
  }
  virtual_ipaddress {
    192.0.2.7/24
  }
  virtual_routes {
    10.77.0.0/16 via 192.0.2.9 dev eth0 metric 5
  }
  virtual_rules {
    from 192.0.2.7 table 77 preference 1700
  }
  track_script {
    chk weight 5
  }
  track_interface {
    eth0 weight 5
  }
  notify_master "/bin/true a"
  nopreempt
}
virtual_server 192.0.2.80 80 {
  delay_loop 5
  lb_algo wlc
  lb_kind NAT
  real_server 198.51.100.1 80 {
    weight 1
    TCP_CHECK {
      connect_timeout 3
    }
  }
  real_server 198.51.100.2 80 {
    HTTP_GET {
      url {
        path /
        status_code 200
      }
      connect_timeout 3
    }
  }
}
bfd_instance B {
  neighbor_ip 192.0.2.3
  min_rx 100
}
"#;

const AFTER: &str = r#"
global_defs {
  router_id b
  smtp_server 192.0.2.25 26
  smtp_connect_timeout 11
  vrrp_garp_interval 0.2
}
vrrp_script chk {
  script "/bin/true b"
  interval 3
  weight 10 reverse
}
track_file f {
  file /tmp/none
  weight 2
}
static_routes {
  198.51.100.0/24 via 192.0.2.1 dev eth0 metric 7
}
vrrp_instance V {
  interface eth0
  virtual_router_id 51
  no_accept
  preempt_delay 6.5
  advert_int 0.5
  unicast_src_ip 192.0.2.2
  unicast_peer {
    192.0.2.3 min_ttl 4 max_ttl 255
  }
  virtual_ipaddress {
    192.0.2.7/24
  }
  virtual_routes {
    10.77.0.0/16 via 192.0.2.9 dev eth0 metric 6
  }
  virtual_rules {
    from 192.0.2.7 table 78 preference 1700
  }
  track_script {
    chk weight 7
  }
  notify_master "/bin/true b" nobody
  state BACKUP
  use_vmac
  version 3
}
virtual_server 192.0.2.80 80 {
  delay_loop 6
  lb_algo rr
  lb_kind DR
  persistence_timeout 60
  drain_time 10
  real_server 198.51.100.1 80 {
    weight 2
    TCP_CHECK {
      connect_timeout 4
      retry 2
    }
  }
  real_server 198.51.100.2 80 {
    HTTP_GET {
      url {
        path /x
        status_code 200-299
      }
      connect_timeout 3
    }
    MISC_CHECK {
      misc_path "/bin/true c"
    }
  }
}
bfd_instance B {
  neighbor_ip 192.0.2.3
  min_rx 200
}
"#;

const PLANNED: &str = r#"~ bfd_instance B > min_rx: 100 -> 200
~ track_file f > weight: 1 -> 2
~ global_defs > vrrp_garp_interval: 0.1 s -> 0.2 s
~ global_defs > router_id: a -> b
~ global_defs > smtp_connect_timeout: 10 -> 11
~ global_defs > smtp_server: 192.0.2.25 25 -> 192.0.2.25 26
+ vrrp_instance V > no_accept
~ vrrp_instance V > advert_int: 1 s -> 0.5 s
~ vrrp_instance V > nopreempt: yes -> no
~ vrrp_instance V > notify_master: "/bin/true a" -> "/bin/true b" as nobody
~ vrrp_instance V > preempt_delay: none -> 6.5 s
~ vrrp_instance V > state: none -> BACKUP
~ vrrp_instance V > track_script chk > weight: 5 -> 7
~ vrrp_instance V > unicast_peer 192.0.2.3 > ttl: none -> min_ttl 4 max_ttl 255
~ vrrp_instance V > use_vmac: none -> vrrp.51
~ vrrp_instance V > version: 2 -> 3 (peers must have the same)
- vrrp_instance V > virtual_routes 10.77.0.0/16 via 192.0.2.9 dev eth0 metric 5
+ vrrp_instance V > virtual_routes 10.77.0.0/16 via 192.0.2.9 dev eth0 metric 6
- vrrp_instance V > virtual_rules from 192.0.2.7/32 priority 1700 lookup 77
+ vrrp_instance V > virtual_rules from 192.0.2.7/32 priority 1700 lookup 78
~ vrrp_instance V > vmac_xmit_base: no -> yes
~ vrrp_script chk > interval: 2 s -> 3 s
~ vrrp_script chk > script: "/bin/true a" -> "/bin/true b"
~ vrrp_script chk > weight: 10 -> 10 reverse
- static route 198.51.100.0/24 via 192.0.2.1 dev eth0
+ static route 198.51.100.0/24 via 192.0.2.1 dev eth0 metric 7
~ virtual_server 192.0.2.80 80 > delay_loop: 5 s -> 6 s
~ virtual_server 192.0.2.80 80 > drain_time: none -> 10 s
~ virtual_server 192.0.2.80 80 > lb_kind: NAT -> DR
~ virtual_server 192.0.2.80 80 > persistence_timeout: none -> 60
~ virtual_server 192.0.2.80 80 > real_server 198.51.100.1 80 > TCP_CHECK > connect_timeout: 3 s -> 4 s
~ virtual_server 192.0.2.80 80 > real_server 198.51.100.1 80 > TCP_CHECK > retry: none -> 2
~ virtual_server 192.0.2.80 80 > real_server 198.51.100.1 80 > weight: 1 -> 2
- virtual_server 192.0.2.80 80 > real_server 198.51.100.2 80 > HTTP_GET > url /
+ virtual_server 192.0.2.80 80 > real_server 198.51.100.2 80 > HTTP_GET > url /x
+ virtual_server 192.0.2.80 80 > real_server 198.51.100.2 80 > MISC_CHECK
~ virtual_server 192.0.2.80 80 > lb_algo: wlc -> rr
"#;

#[test]
fn what_is_planned_is_told_in_words_of_the_file() {
    let planned = between(BEFORE, AFTER);
    assert_eq!(planned.join("\n") + "\n", PLANNED);
    assert_eq!(between(BEFORE, BEFORE), Vec::<String>::new());
}

#[test]
fn a_changed_password_is_told_and_not_shown() {
    let with = |password: &str| {
        let authentication =
            Authentication { auth_pass: Some(steadfast_core::Secret::new(password)), ..Default::default() };
        let i = VrrpInstance { name: "A".into(), authentication: Some(authentication), ..Default::default() };
        Config { instances: vec![i], ..Default::default() }
    };
    assert_eq!(plan(&with("alt"), &with("alt"), &|_| false), Vec::<String>::new());
    assert_eq!(
        plan(&with("alt"), &with("neu"), &|_| false),
        ["~ vrrp_instance A > auth_pass: another (peers must have the same)"]
    );
    assert!(!plan(&with("alt"), &Config::default(), &|_| false).concat().contains("alt"));
}

#[test]
fn addresses_are_told_as_they_are_written_and_where_they_stand_is_no_difference() {
    use steadfast_core::kernel::Address;
    let with = |last: u8, column: u32| {
        let cidr = steadfast_core::IpCidr { address: [192, 0, 2, last].into(), prefix: 24 };
        let at = serde_json::json!({ "file": 0, "line": 3, "column": column, "width": 9 });
        let at = serde_json::from_value(at).expect("place");
        let virtual_ipaddress = vec![(Address::new(cidr, "eth0"), true, at)];
        let i = VrrpInstance { name: "A".into(), virtual_ipaddress, ..Default::default() };
        Config { instances: vec![i], ..Default::default() }
    };
    assert_eq!(plan(&with(7, 1), &with(7, 9), &|_| false), Vec::<String>::new());
    let lines = [
        "- vrrp_instance A > virtual_ipaddress 192.0.2.7/24 dev eth0 (peers tell of a mismatch until they have the same)",
        "+ vrrp_instance A > virtual_ipaddress 192.0.2.8/24 dev eth0 (peers tell of a mismatch until they have the same)",
    ];
    assert_eq!(plan(&with(7, 1), &with(8, 1), &|_| false), lines);
}

#[test]
fn an_address_is_told_with_all_that_its_line_says_and_a_tracker_with_its_weight() {
    let instance = |line: &str, tracked: &str| {
        format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n {line}\n }}\n track_interface {{\n {tracked}\n }}\n}}\n"
        )
    };
    let (old, new) = ("192.0.2.7/24 label eth0:x", "192.0.2.7/24 brd 192.0.2.255 scope link");
    assert_eq!(
        between(&instance(old, "eth1"), &instance(new, "eth2 weight -5 reverse")),
        [
            "- vrrp_instance V > track_interface eth1",
            "+ vrrp_instance V > track_interface eth2 weight -5 reverse",
            "- vrrp_instance V > virtual_ipaddress 192.0.2.7/24 dev eth0 label eth0:x",
            "+ vrrp_instance V > virtual_ipaddress 192.0.2.7/24 dev eth0 brd 192.0.2.255 scope link",
        ]
    );
}

#[test]
fn what_only_a_restart_changes_is_marked() {
    let lines = between("net_namespace in1\nvrrp_instance V {\n}\n", "vrrp_instance V {\n}\n");
    assert_eq!(between("", "child_wait_time 7\n"), ["~ child_wait_time: none -> 7"]);
    assert!(lines.contains(&"~ net_namespace: in1 -> none (at a restart, not by a reload)".to_string()), "{lines:?}");
}

#[test]
fn an_instance_that_begins_anew_is_marked() {
    let of = |vrid| format!("vrrp_instance V {{\n interface eth0\n virtual_router_id {vrid}\n}}\n");
    let apart = "(it begins anew: a peer takes over at once, and both hold its addresses; peers must have the same)";
    assert_eq!(between(&of(51), &of(53)), [format!("~ vrrp_instance V > virtual_router_id: 51 -> 53 {apart}")]);
    let unicast = of(51).replace('}', " unicast_src_ip 10.0.0.1\n unicast_peer {\n 10.0.0.2\n }\n}");
    let lines = between(&of(51), &unicast);
    let line = format!("~ vrrp_instance V > adverts: multicast -> unicast from 10.0.0.1 {apart}");
    assert!(lines.contains(&line), "{lines:?}");
    // The same without a word on the source, with which it goes on.
    let unnamed = unicast.replace("unicast_src_ip 10.0.0.1\n", "");
    for (a, b, how) in [(of(51), unnamed.clone(), "multicast -> unicast"), (unnamed, of(51), "unicast -> multicast")] {
        let line = format!("~ vrrp_instance V > adverts: {how} (peers must have the same)");
        assert!(between(&a, &b).contains(&line), "{:?}", between(&a, &b));
    }
    // Another peer is no other router.
    assert!(!between(&unicast, &unicast.replace("0.2", "0.3")).iter().any(|l| l.contains("anew")));
}

#[test]
fn a_renamed_instance_goes_on_and_with_another_router_id_it_begins_anew() {
    let of = |name, vrid| {
        let addresses = "virtual_ipaddress {\n 192.0.2.9\n }";
        format!("vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n {addresses}\n}}\n")
    };
    assert_eq!(
        between(&of("WEB", 51), &of("WEBX", 51)),
        ["- vrrp_instance WEB (it goes on as WEBX)", "+ vrrp_instance WEBX (it is WEB, and goes on)"]
    );
    assert_eq!(
        between(&of("WEB", 51), &of("WEBX", 52)),
        ["- vrrp_instance WEB", "+ vrrp_instance WEBX (it begins anew: its addresses are away for some seconds)"]
    );
    let other = of("WEBX", 52).replace("2.9", "2.10");
    assert_eq!(between(&of("WEB", 51), &other), ["- vrrp_instance WEB", "+ vrrp_instance WEBX"]);
}

#[test]
fn bytes_are_told_as_the_file_has_them() {
    let of = |line: &str| {
        format!(
            "virtual_server 192.0.2.1 53 {{\n protocol UDP\n real_server 10.0.0.1 53 {{\n UDP_CHECK {{\n {line}\n }}\n }}\n}}\n"
        )
    };
    let path = "~ virtual_server 192.0.2.1 53 > real_server 10.0.0.1 53 > UDP_CHECK";
    assert_eq!(between(&of("payload 0102"), &of("payload 01ff")), [format!("{path} > payload: 0102 -> 01ff")]);
    assert_eq!(
        between(&of("require_reply 0x ff"), &of("require_reply 01")),
        [format!("{path} > require_reply: 0xff -> 01")]
    );
}

#[test]
fn what_comes_goes_and_changes() {
    let instance =
        |name: &str, priority| VrrpInstance { name: name.into(), priority: Some(priority), ..Default::default() };
    let server =
        |last: u8| RealServer { address: Some([192, 0, 2, last].into()), port: Some(80), ..Default::default() };
    let service = |servers| VirtualServer { served: Served::Mark(7), real_servers: servers, ..Default::default() };
    let a = Config {
        instances: vec![instance("A", 100), instance("B", 100)],
        virtual_servers: vec![service(vec![server(1), server(2)])],
        ..Default::default()
    };
    let b = Config {
        instances: vec![instance("A", 150), instance("C", 100)],
        virtual_servers: vec![service(vec![server(1), server(3)])],
        ..Default::default()
    };
    assert_eq!(plan(&a, &a, &|_| false), Vec::<String>::new());
    assert_eq!(
        plan(&a, &b, &|_| false),
        [
            "~ vrrp_instance A > priority: 100 -> 150",
            "- vrrp_instance B",
            "+ vrrp_instance C",
            "- virtual_server fwmark 7 > real_server 192.0.2.2 80",
            "+ virtual_server fwmark 7 > real_server 192.0.2.3 80",
        ]
    );
}

#[test]
fn whatever_makes_another_address_of_it_is_told() {
    let with = |rest: &str, vs: &str| {
        format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n 10.9.0.1/24 dev eth0 {rest}\n }}\n \
             virtual_rules {{\n from 10.9.0.1 table 100 priority 77 protocol 186\n }}\n}}\n\
             virtual_server 10.9.0.1 80 {{\n {vs}\n real_server 10.9.0.2 80 {{\n }}\n}}\n"
        )
    };
    let at = "vrrp_instance A > virtual_ipaddress";
    for more in ["label eth0:x", "scope host", "brd 10.9.0.255", "preferred_lft 0"] {
        let told = between(&with("", ""), &with(more, ""));
        assert_eq!(told, [format!("- {at} 10.9.0.1/24 dev eth0"), format!("+ {at} 10.9.0.1/24 dev eth0 {more}")]);
    }
    let told = between(&with("", "").replace("priority 77", "priority 78"), &with("", ""));
    assert!(told.iter().any(|l| l.contains("priority 77 protocol 186 lookup 100")), "{told:?}");
    assert!(between(&with("", "protocol TCP"), &with("", "protocol UDP")).concat().ends_with("protocol: TCP -> UDP"));
}

#[test]
fn a_key_that_is_added_is_told_and_one_that_stays_is_not() {
    let with = |keys: &str| {
        let text = format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 1\n version 3\n virtual_ipaddress {{\n 192.0.2.1\n }}\n auth_hmac {{\n{keys}\n active_key 1\n }}\n}}\n"
        );
        let host = steadfast_config::host::FakeHost { all_interfaces: true, ..Default::default() };
        steadfast_config::load_text(text, &Default::default(), &host).config
    };
    let key = |id: u32, sign: &str| format!("key {id} {}\n", sign.repeat(40));
    let told = |before: &str, after: &str| plan(&with(before), &with(after), &|_| false);
    assert_eq!(told(&key(1, "a"), &(key(1, "a") + &key(2, "b"))), ["+ vrrp_instance A > auth_hmac > key 2 ***"]);
    assert_eq!(
        told(&key(1, "a"), &key(1, "c")),
        ["~ vrrp_instance A > auth_hmac > key 1: another (peers must have the same)"]
    );
    assert_eq!(told(&(key(1, "a") + &key(2, "b")), &key(1, "a")), ["- vrrp_instance A > auth_hmac > key 2 ***"]);
}

#[test]
fn what_is_kept_in_another_shape_is_told_as_the_file_has_it() {
    let host = steadfast_config::host::FakeHost { all_interfaces: true, ..Default::default() };
    let read = |text: &str| steadfast_config::load_text(text, &Options::default(), &host).config;
    let told = |a: &str, b: &str| plan(&read(a), &read(b), &|_| false);
    let instance = |line: &str| {
        format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n 192.0.2.1\n }}\n {line}\n}}\n"
        )
    };
    let globals = |line: &str| format!("global_defs {{\n {line}\n}}\n{}", instance(""));
    for (lines, words) in [
        ("lvs_sync_daemon eth1 id 61 inst V", "lvs_sync_daemon: none -> eth1 inst V id 61"),
        ("lvs_timeouts tcp 7 udp 5", "lvs_timeouts: none -> tcp 7 udp 5"),
        ("script_user root", "script_user: none -> root"),
        ("max_auto_priority 7", "max_auto_priority: 0 -> 7"),
        ("vrrp_process_name other", "vrrp_process_name: none -> other"),
        ("vrrp_garp_extra_if all 7", "vrrp_garp_extra_if: none -> all 7"),
        ("vrrp_rx_bufs_policy MTU", "vrrp_rx_bufs_policy: none -> MTU"),
    ] {
        let line = format!("~ global_defs > {words}");
        let all = told(&globals(""), &globals(lines));
        assert!(all.contains(&line), "{line}: {all:?}");
    }
    let with = |a: &str, b: &str| told(&instance(a), &instance(b));
    let at = "vrrp_instance V >";
    assert_eq!(with("", "no_accept"), [format!("+ {at} no_accept")]);
    assert_eq!(with("no_accept", ""), [format!("- {at} no_accept")]);
    assert_eq!(with("no_accept", "accept"), [format!("- {at} no_accept"), format!("+ {at} accept")]);
    assert_eq!(with("", "mcast_src_ip 192.0.2.2"), [format!("~ {at} mcast_src_ip: none -> 192.0.2.2")]);
    let secret = "authentication {\n auth_type PASS\n auth_pass secret\n }";
    assert_eq!(with("", secret), [format!("+ {at} authentication (peers must have the same)")]);
    assert_eq!(
        with("use_vmac other", "use_vmac other 02:00:5e:00:01:07"),
        [format!("~ {at} use_vmac: other -> other 02:00:5e:00:01:07")]
    );
    let service = |check: &str| {
        format!("virtual_server 192.0.2.1 80 {{\n protocol TCP\n real_server 10.0.0.1 80 {{\n {check}\n }}\n}}\n")
    };
    assert_eq!(
        told(&service("GRPC_CHECK {\n }"), &service("GRPC_CHECK {\n tls\n }")),
        ["~ virtual_server 192.0.2.1 80 > real_server 10.0.0.1 80 > GRPC_CHECK > tls: none -> yes"]
    );
    let group = |line: &str| {
        format!("virtual_server_group G {{\n 10.0.0.1 80\n {line}\n}}\nvirtual_server group G {{\n protocol TCP\n}}\n")
    };
    assert_eq!(told(&group(""), &group("10.0.0.2-4 81")), ["+ virtual_server_group G 10.0.0.2-10.0.0.4 81"]);
}

#[test]
fn what_peers_compare_is_marked_and_a_script_that_vanished_is_told() {
    let of = |interval: u8, version: u8| {
        format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n 10.9.0.1\n }}\n version {version}\n advert_int {interval}\n}}\n"
        )
    };
    let line = "~ vrrp_instance V > advert_int: 1 s -> 2 s";
    assert_eq!(between(&of(1, 2), &of(2, 2)), [format!("{line} (peers must have the same)")]);
    // A backup learns it.
    assert_eq!(between(&of(1, 3), &of(2, 3)), [line]);
    let script = |left_out: &str| Config {
        scripts: vec![steadfast_config::model::VrrpScript {
            name: "chk".into(),
            left_out: left_out.into(),
            disabled: !left_out.is_empty(),
            ..Default::default()
        }],
        ..Config::default()
    };
    let gone = "~ vrrp_script chk: is left out, and counts for nothing: '/x' was not found";
    assert_eq!(plan(&script(""), &script("'/x' was not found"), &|_| false), [gone]);
    assert!(plan(&script("'/x' was not found"), &script("'/x' was not found"), &|_| false).is_empty());
}

/// Blocks and groups with which peers do not hear each other, or hear what they throw away.
#[test]
fn what_parts_peers_is_marked_where_it_comes_and_where_it_goes() {
    let with = |globals: &str, more: &str| {
        format!(
            "global_defs {{\n {globals}\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 7\n virtual_ipaddress {{\n 10.9.0.1\n }}\n \
             {more}\n}}\n"
        )
    };
    let marked = |a: &str, b: &str, line: &str| {
        let told = between(a, b);
        assert!(told.contains(&format!("{line} (peers must have the same)")), "{line}: {told:?}");
    };
    let plain = with("", "");
    let password = with("", "authentication {\n auth_type PASS\n auth_pass x\n }");
    marked(&plain, &password, "+ vrrp_instance V > authentication");
    marked(&password, &plain, "- vrrp_instance V > authentication");
    let signed = |version| {
        let key = "a".repeat(40);
        with("", &format!("version {version}\n auth_hmac {{\n key 1 {key}\n active_key 1\n }}"))
    };
    marked(&with("", "version 3"), &signed(3), "+ vrrp_instance V > auth_hmac");
    marked(&signed(3), &with("", "version 3"), "- vrrp_instance V > auth_hmac");
    let group = with("vrrp_mcast_group4 224.0.0.99", "");
    marked(&plain, &group, "~ global_defs > vrrp_mcast_group4: none -> 224.0.0.99");
    marked(&group, &plain, "~ global_defs > vrrp_mcast_group4: 224.0.0.99 -> none");
    // Who has another address in its adverts is heard. What is excluded is in none of them.
    let other = plain.replace("10.9.0.1\n", "10.9.0.1\n 10.9.0.2\n");
    let line = "+ vrrp_instance V > virtual_ipaddress 10.9.0.2/32 dev eth0 (peers tell of a mismatch until they have the same)";
    assert_eq!(between(&plain, &other), [line]);
    let excluded = with("", "virtual_ipaddress_excluded {\n 10.9.0.2\n }");
    assert_eq!(between(&plain, &excluded), ["+ vrrp_instance V > virtual_ipaddress_excluded 10.9.0.2/32 dev eth0"]);
}

#[test]
fn an_interface_that_is_absent_is_not_one_that_some_seconds_bring() {
    let of = |link: &str| {
        let read = format!(
            "vrrp_sync_group G {{\n group {{\n V\n }}\n}}\nvrrp_instance V {{\n interface {link}\n virtual_router_id 7\n}}\n"
        );
        steadfast_config::load_text(read, &Options::default(), &steadfast_config::SystemHost).config
    };
    let told = plan(&of("eth0"), &of("eth9"), &|link| link == "eth9");
    let how = "(there is no interface eth9 now: it is in FAULT until there is, and with it sync group G)";
    assert_eq!(told, [format!("~ vrrp_instance V > interface: eth0 -> eth9 {how}")]);
    let back = plan(&of("eth9"), &of("eth0"), &|link| link == "eth9");
    assert!(back[0].ends_with("its addresses are away for some seconds)"), "{back:?}");
}
