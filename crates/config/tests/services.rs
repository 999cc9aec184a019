//! What of a virtual server fits together: families, ports, protocols, tunnels. What does not is reported, as keepalived's `-t` does,
//! and is not in the configuration that is used.

mod common;

use common::read;
use steadfast_config::diag::Class;
use steadfast_config::model::Config;

const NAT: &str = "lb_algo rr\n lb_kind NAT";
const DR: &str = "lb_algo rr\n lb_kind DR";
const V4: &str = "10.9.0.1 80";
const V6: &str = "fd09::1 80";

/// A virtual server with these words and these real servers.
fn service(head: &str, words: &str, servers: &[&str]) -> String {
    let servers: String = servers.iter().map(|s| format!(" real_server {s} {{\n weight 1\n }}\n")).collect();
    format!("virtual_server {head} {{\n {words}\n{servers}}}\n")
}

fn group(entries: &str, words: &str, servers: &[&str]) -> String {
    format!("virtual_server_group G {{\n {entries}\n}}\n") + &service("group G", words, servers)
}

/// The configuration, whether `-t` finds a fault, and all that is said.
fn load(text: &str) -> (Config, bool, Vec<String>) {
    let outcome = read(text);
    let fault = outcome.diagnostics.iter().any(|d| d.class > Class::Unsupported);
    let said = outcome.diagnostics.iter().map(|d| d.message.clone()).collect();
    (outcome.config, fault, said)
}

/// Addresses of the real servers that are left; `None`: so is no virtual server. And whether that is a fault.
fn left(text: &str) -> (Option<Vec<String>>, bool) {
    let (config, fault, _) = load(text);
    let of = |r: &steadfast_config::model::RealServer| r.address.map(|a| a.to_string()).unwrap_or_default();
    (config.virtual_servers.first().map(|v| v.real_servers.iter().map(of).collect()), fault)
}

fn servers(addresses: &[&str]) -> Option<Vec<String>> {
    Some(addresses.iter().map(|a| a.to_string()).collect())
}

#[test]
fn a_server_of_the_wrong_family_is_not_in_the_service() {
    let tcp = format!("{NAT}\n protocol TCP");
    let six = format!("{NAT}\n ip_family inet6");
    let four = format!("{NAT}\n ip_family inet");
    let tunnel = "lb_algo rr\n lb_kind TUN\n ip_family inet6";
    assert_eq!(left(&service("fwmark 5", &six, &[V4])), (None, true));
    assert_eq!(left(&service("fwmark 5", &four, &[V6])), (None, true));
    assert_eq!(left(&service("fwmark 5", &six, &[V4, V6])), (servers(&["fd09::1"]), true));
    assert_eq!(
        left(&service("fwmark 5", tunnel, &["10.9.0.1", "fd09::1"])),
        (servers(&["10.9.0.1", "fd09::1"]), false)
    );
    // Without ip_family the first server's counts.
    assert_eq!(left(&service("fwmark 5", NAT, &[V4, V6])), (servers(&["10.9.0.1"]), true));
    assert_eq!(left(&service("fwmark 5", NAT, &[V6, V4])), (servers(&["fd09::1"]), true));
    assert_eq!(left(&service("fwmark 5", NAT, &[V6])), (servers(&["fd09::1"]), false));
    assert_eq!(left(&group("fwmark 7 inet6", NAT, &[V4, V6])), (servers(&["fd09::1"]), true));
    assert_eq!(left(&group("10.8.0.1 80", &tcp, &[V4, V6])), (servers(&["10.9.0.1"]), true));
    let both = "10.8.0.1 80\n fd08::1 80";
    assert_eq!(left(&group(both, &tcp, &[V4, V6])), (servers(&["10.9.0.1", "fd09::1"]), false));
    let (_, fault, said) = load(&group(both, &tcp, &[V4]));
    assert!(!fault && said.iter().any(|s| s.contains("none of its real servers is of IPv6")), "{said:?}");
}

#[test]
fn a_virtual_server_whose_servers_are_all_dropped_goes_too() {
    let (config, fault, said) = load(&service("10.8.0.1 80", &format!("{NAT}\n protocol TCP"), &[V6]));
    assert!(fault && config.virtual_servers.is_empty(), "{said:?}");
    assert!(said.iter().any(|s| s.ends_with("it has no real server left, ignoring it")), "{said:?}");
    assert!(!said.iter().any(|s| s.contains("quorum")), "{said:?}");
}

#[test]
fn ip_family_that_contradicts_the_addresses_is_a_fault() {
    for (text, conflicts) in [
        (service("10.8.0.1 80", &format!("{NAT}\n protocol TCP\n ip_family inet6"), &[V4]), true),
        (service("10.8.0.1 80", &format!("{NAT}\n protocol TCP\n ip_family inet"), &[V4]), false),
        (service("fd08::1 80", &format!("{NAT}\n protocol TCP\n ip_family inet"), &[V6]), true),
        (group("10.8.0.1 80", &format!("{NAT}\n protocol TCP\n ip_family inet6"), &[V4]), true),
    ] {
        let (config, fault, said) = load(&text);
        assert_eq!((fault, config.virtual_servers.len()), (conflicts, 1), "{text}{said:?}");
        assert_eq!(said.iter().any(|s| s.contains("conflicts with its addresses")), conflicts, "{said:?}");
    }
}

#[test]
fn a_group_of_marks_has_no_protocol() {
    let (_, fault, said) = load(&group("fwmark 7\n fwmark 8", NAT, &["10.9.0.1"]));
    assert!(!fault && said.iter().all(|s| s.contains("no real server is checked")), "{said:?}");
    let (_, fault, said) = load(&group("fwmark 7", &format!("{NAT}\n protocol TCP"), &["10.9.0.1"]));
    assert!(fault && said.iter().any(|s| s.contains("a mark has no protocol")), "{said:?}");
    let (config, fault, _) = load(&group("fwmark 7\n 10.8.0.1 80", NAT, &["10.9.0.1"]));
    assert_eq!((fault, config.virtual_servers[0].protocol), (true, Some(17)));
    assert_eq!(left(&service("fwmark 0", NAT, &[V4])), (None, true));
}

#[test]
fn ports_are_the_services_where_they_must_be() {
    let tcp = |words: &str| format!("{words}\n protocol TCP");
    let (config, fault, said) = load(&service("10.8.0.1 80", &tcp(NAT), &["10.9.0.1 0"]));
    assert_eq!((fault, config.virtual_servers[0].real_servers[0].port), (false, None), "{said:?}");
    for entry in ["10.8.0.1", "10.8.0.1 0"] {
        let (config, fault, said) = load(&group(entry, &tcp(NAT), &[V4]));
        assert_eq!((fault, config.virtual_servers[0].persistence_timeout), (true, Some(360)), "{said:?}");
    }
    let sorry = |method: &str| format!("{}\n sorry_server 10.9.0.9 81\n {method}", tcp(NAT));
    let (config, fault, said) = load(&service("10.8.0.1 80", &sorry("sorry_server_lvs_method DR"), &[V4]));
    let kept = config.virtual_servers[0].sorry_server.map(|(_, port)| port);
    assert_eq!((fault, kept), (true, Some(0)), "{said:?}");
    assert!(!load(&service("10.8.0.1 80", &sorry(""), &[V4])).1);
    assert!(load(&service("10.8.0.1 80", &tcp(&format!("{NAT}\n sorry_server_lvs_method DR")), &[V4])).1);
    // Said where it has no effect, and nowhere else.
    assert!(load(&group("10.8.0.1 80", &tcp(DR), &["10.9.0.1 81"])).1);
    assert!(!load(&group("10.8.0.1 80", &tcp(DR), &[V4])).1);
    assert!(load(&service("fwmark 5", DR, &[V4])).1);
    assert!(!load(&service("fwmark 5", DR, &["10.9.0.1"])).1);
}

#[test]
fn options_of_a_tunnel_fit_its_type() {
    for (options, dumped, fits) in [
        ("", "Ipip None None", true),
        ("type ipip nocsum", "Ipip None Some(No)", true),
        ("type ipip csum", "Ipip None None", false),
        ("csum", "Ipip None None", false),
        ("type ipip port 5", "Ipip None None", false),
        ("port 5", "Ipip None None", false),
        ("type gre csum", "Gre None Some(Yes)", true),
        ("type gre remcsum", "Gre None None", false),
        ("type gre port 5", "Gre None None", false),
        ("type gue", "Ipip None None", false),
        ("type gue port 6080 remcsum", "Gue Some(6080) Some(Remote)", true),
    ] {
        let words = format!("lb_algo rr\n lb_kind TUN {options}\n protocol TCP");
        let (config, fault, said) = load(&service("10.8.0.1 80", &words, &[V4]));
        let Some(steadfast_config::model::Method::Tunnel { kind, port, checksum }) = config.virtual_servers[0].method
        else {
            panic!("{options}: {said:?}");
        };
        assert_eq!((format!("{kind:?} {port:?} {checksum:?}").as_str(), !fault), (dumped, fits), "{options}: {said:?}");
    }
}

#[test]
fn half_a_client_certificate_is_said_to_be_none() {
    for (words, half) in
        [("certificate /c", "a certificate without a key"), ("key /k", "a key without a certificate"), ("ca /a", "")]
    {
        let (_, fault, said) = load(&format!("SSL {{\n {words}\n}}\n"));
        assert_eq!((fault, said.iter().any(|s| s.contains(half) && s.contains("SSL"))), (false, !half.is_empty()));
    }
}

/// At the end of a tunnel a server may be of the other family.
#[test]
fn servers_without_a_tunnel_decide_of_which_family_a_mark_is() {
    let text = "virtual_server fwmark 9 {\n lvs_method NAT\n real_server 10.2.2.2 80 {\n lvs_method TUN\n }\n real_server 2001:db8::2 80 {\n }\n}\n";
    let outcome = steadfast_config::load_text(text, &Default::default(), &steadfast_config::host::FakeHost::default());
    assert_eq!(outcome.config.virtual_servers[0].real_servers.len(), 2);
    assert!(outcome.config.virtual_servers[0].six(None));
}

#[test]
fn what_is_wrong_with_a_word_of_a_check_is_reported_at_the_word() {
    let text = "virtual_server 192.0.2.1 80 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n\
                real_server 10.0.0.1 80 {\n HTTP_GET {\n }\n TCP_CHECK {\n  bindto 10.0.0.9\n }\n\
                TCP_CHECK {\n  retry 3\n    bindto fd00::1\n }\n FILE_CHECK {\n  track_file F\n }\n }\n\
                real_server 10.0.0.2 80 {\n retry 2\n  TCP_CHECK {\n   bindto fd00::2\n }\n BFD_CHECK {\n  name B\n }\n }\n}\n";
    let outcome = read(text);
    let at = |words: &str| {
        let found = outcome.diagnostics.iter().find(|d| d.message.contains(words));
        found.and_then(|d| d.span).map(|s| (s.line, s.column))
    };
    assert_eq!(at("bindto fd00::1 is of another"), Some((13, 12)));
    assert_eq!(at("track_file 'F' is not defined"), Some((16, 14)));
    assert_eq!(at("bindto fd00::2 is of another"), Some((22, 11)));
    assert_eq!(at("bfd_instance 'B' is not defined"), Some((25, 8)));
}

#[test]
fn a_mark_of_nought_in_a_group_is_left_out() {
    let read = |entries: &str| load(&group(entries, NAT, &[V4]));
    let (config, fault, said) = read("fwmark 0\n fwmark 5");
    assert_eq!(config.server_groups[0].marks, [(5, None)]);
    assert!(!fault && said.iter().any(|s| s == "fwmark 0 is no mark, ignoring it"), "{said:?}");
    // Without another entry the group is empty, which keepalived's `-t` finds no fault in.
    let (_, fault, said) = read("fwmark 0");
    assert!(!fault && said.iter().any(|s| s == "virtual_server_group G is empty"), "{said:?}");
    assert!(load("virtual_server_group G {\n}\n").1);
}

#[test]
fn entries_of_a_group_with_bits_behind_their_prefix_are_left_out() {
    for (entries, left) in [
        ("10.1.0.1/29 80\n 10.1.0.9 80", 1),
        ("fd09::1/126 80\n fd09::9 80", 1),
        ("10.1.0.0/29 80\n 10.1.1.77/32 80\n 10.2.0.0/16 80\n fd09::4/126 80\n fd09::1/128 80", 5),
    ] {
        let (config, fault, said) = load(&group(entries, &format!("{NAT}\n protocol TCP"), &[V4]));
        assert_eq!(config.server_groups.first().map(|g| g.ranges.len()), Some(left), "{entries}");
        let told = said.iter().filter(|m| m.contains("bits set behind the length of its prefix")).count();
        assert_eq!((told, fault), (usize::from(left == 1), left == 1), "{entries}: {said:?}");
    }
    let of = |entry: &str| load(&group(&format!("{entry}\n 10.1.0.9 80"), &format!("{NAT}\n protocol TCP"), &[V4]));
    let (config, fault, said) = of("0.0.0.0/0 80");
    assert_eq!((config.server_groups[0].ranges.len(), fault), (1, true), "{said:?}");
    for (entry, more) in [("10.2.0.0/15 80", true), ("10.2.0.0-10.3.0.0 80", true), ("10.2.0.0-10.2.255.255 80", false)]
    {
        let (config, fault, said) = of(entry);
        let told = said.iter().any(|m| m.contains("taking the first 65536"));
        assert_eq!((config.server_groups[0].ranges.len(), fault, told), (2, false, more), "{entry}: {said:?}");
    }
    let outcome = read(&group("10.1.0.1/29 80\n 10.1.0.9 80", &format!("{NAT}\n protocol TCP"), &[V4]));
    let at = outcome.diagnostics.iter().find(|d| d.message.contains("bits set")).and_then(|d| d.span);
    assert_eq!(at.map(|s| s.line), Some(2));
}

/// Words that are of no use where they are, or too long: each is a fault for `-t`, as keepalived's, and what is left of it.
#[test]
fn words_of_services_that_cannot_be_are_reported() {
    let of = |words: &str, server: &str| {
        let tcp = format!("lb_algo rr\n protocol TCP\n {words}");
        load(&format!("virtual_server {V4} {{\n {tcp}\n real_server {V4} {{\n {server}\n }}\n}}\n"))
    };
    let service = |words: &str| {
        let (config, fault, said) = of(words, "");
        (config.virtual_servers.into_iter().next().expect("service"), fault, said)
    };
    let (v, fault, _) = service("lb_kind DR x");
    assert_eq!((v.method, fault), (Some(steadfast_config::model::Method::Direct), true));
    let (v, fault, _) = service("lb_kind NAT\n persistence_timeout 9\n persistence_engine abcdefghijklmnopq");
    assert_eq!((v.persistence_engine.as_deref(), fault), (Some("abcdefghijklmno"), true));
    let (v, fault, said) = service("lb_kind NAT\n persistence_engine sip");
    let told = said.iter().any(|m| m.contains("persistence_engine goes with"));
    assert_eq!((v.persistence_engine, fault, told), (None, false, true), "{said:?}");
    let (v, fault, _) = service("lb_kind NAT\n snmp_name a b");
    assert_eq!((v.snmp_name, fault), (None, true));
    let server = |server: &str| {
        let (config, fault, said) = of("lb_kind NAT", server);
        let first = config.virtual_servers.into_iter().next().and_then(|v| v.real_servers.into_iter().next());
        (format!("{:?}", first.expect("server")), fault, said)
    };
    let (_, fault, said) = server("TCP_CHECK {\n connect_ip fe80::1\n }");
    assert!(fault && said.iter().any(|m| m.contains("fe80::1 needs a bind_if")), "{said:?}");
    let (_, fault, said) = server("TCP_CHECK {\n connect_ip fe80::1\n bind_if eth0\n }");
    assert!(!fault, "{said:?}");
    let (r, fault, _) = server("TCP_CHECK {\n bind_if averyveryverylongname\n }");
    assert!(fault && r.contains("bind_if: None"), "{r}");
    let (r, fault, _) = server("HTTP_GET {\n http_protocol 1.1C\n url {\n path /\n }\n }");
    assert!(fault && r.contains("http_protocol: None"), "{r}");
    let weighed = |weight: &str| format!("FILE_CHECK {{\n track_file f\n weight {weight}\n }}");
    for (weight, read, fault) in
        [("1 foo", "Some((1, false))", true), ("1 reverse", "Some((1, true))", false), ("x", "None", true)]
    {
        let file = "track_file f {\n file /etc/hosts\n}\n";
        let text = format!("lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server {V4} {{\n {}\n }}", weighed(weight));
        let (config, said_so, said) = load(&format!("{file}virtual_server {V4} {{\n {text}\n}}\n"));
        let shown = format!("{:?}", config.virtual_servers);
        assert!(shown.contains(&format!("weight: {read} }}")) && said_so == fault, "{weight}: {said:?} {shown}");
    }
    // One at which a host of an SMTP_CHECK cannot be asked from.
    let (_, fault, said) = server("SMTP_CHECK {\n host {\n bindto fd09::1\n }\n }");
    assert!(fault && said.iter().any(|m| m.contains("bindto fd09::1 is of another address family")), "{said:?}");
}

#[test]
fn the_id_of_the_sync_daemon_may_stand_behind_the_instance_alone() {
    for (words, instance, id, told) in [
        ("eth0 V 9", Some("V"), Some(9), "an id stands behind `id`, taking 9 for one"),
        ("eth0 V 0", Some("V"), Some(0), "taking 0 for one"),
        ("eth0 V 256", Some("V"), Some(5), "256 is not between 0 and 255"),
        ("eth0 V 9 8", Some("V"), Some(9), "unknown option '8'"),
        ("eth0 V id 9", Some("V"), Some(9), ""),
        ("eth0 inst V 9", Some("V"), Some(5), "unknown option '9'"),
        ("eth0 inst V inst W", Some("V"), Some(5), "has the instance V already"),
    ] {
        let instance_of = |name: &str, id| {
            format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {id}\n virtual_ipaddress {{\n 10.0.0.{id}\n }}\n}}\n"
            )
        };
        let text =
            format!("global_defs {{\n lvs_sync_daemon {words}\n}}\n{}{}", instance_of("V", 5), instance_of("W", 6));
        let (config, fault, said) = load(&text);
        let daemon = config.globals.lvs_sync_daemon.expect("daemon");
        assert_eq!((daemon.instance.as_deref(), daemon.id), (instance, id), "{words}");
        assert_eq!(fault, !told.is_empty(), "{words}: {said:?}");
        assert!(told.is_empty() || said.iter().any(|m| m.contains(told)), "{words}: {said:?}");
    }
}

#[test]
fn of_two_groups_with_one_name_the_first_one_counts() {
    let groups = "virtual_server_group G {\n 10.0.0.1 80\n}\nvirtual_server_group G {\n 10.0.0.2 80\n 10.0.0.3 80\n}\n";
    let (config, fault, said) =
        load(&(groups.to_string() + &service("group G", &format!("{NAT}\n protocol TCP"), &[V4])));
    let ranges: Vec<_> = config.server_groups.iter().map(|g| g.ranges.len()).collect();
    assert!(said.iter().any(|m| m.contains("'G' is defined already, ignoring this one")), "{said:?}");
    assert_eq!((ranges, fault), (vec![1], false));
}

#[test]
fn words_with_a_truth_value_mean_it() {
    for (value, told) in [("", Some(true)), (" on", Some(true)), (" off", Some(false)), (" no", Some(false))] {
        let (config, fault, said) =
            load(&format!("global_defs {{\n rs_init_notifies{value}\n no_checker_emails{value}\n}}\n"));
        let g = &config.globals;
        assert_eq!((g.rs_init_notifies, g.no_checker_emails, fault), (told, told, false), "{value}: {said:?}");
    }
    assert!(load("global_defs {\n rs_init_notifies maybe\n}\n").1);
}

#[test]
fn what_does_not_go_with_a_service_that_an_instance_tracks_is_noted() {
    let of = |tracked: &str, words: &str| {
        let instance = format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 1\n virtual_ipaddress {{\n 192.0.2.1\n }}\n\
             track_virtual_server {{\n {tracked}\n }}\n}}\n"
        );
        let text = service("192.0.2.1 80", &format!("{NAT}\n protocol TCP\n {words}"), &[V4]) + &instance;
        let said = load(&text).2;
        ["its checks go on without its quorum whatever ha_suspend says", "nobody reaches the sorry server here then"]
            .map(|words| said.iter().any(|s| s.contains(words)))
    };
    let [suspended, sorry] = [0, 1].map(|n| move |tracked: &str, words: &str| of(tracked, words)[n]);
    assert!(suspended("192.0.2.1 80", "ha_suspend") && suspended("192.0.2.1 80 weight 5", "ha_suspend V"));
    assert!(!suspended("192.0.2.1 80", "") && !suspended("192.0.2.1 81", "ha_suspend"));
    let server = "sorry_server 10.0.0.9 80";
    assert!(sorry("192.0.2.1 80", server));
    assert!(!sorry("192.0.2.1 80 weight 5", server) && !sorry("192.0.2.1 80", "") && !sorry("192.0.2.1 81", server));
}
