//! What stands where in the file: definitions before their users, members of groups, older spellings.

mod common;

use common::read;
use steadfast_config::Outcome;
use steadfast_config::diag::Class;
use steadfast_config::host::FakeHost;
use steadfast_config::load;
use steadfast_config::source::{FsReader, Options};

const TRACKED: &str = "vrrp_script s {\n script /bin/true\n}\ntrack_file f {\n file /etc/hosts\n}\nvrrp_track_process p {\n process \
                       foo\n}\nbfd_instance b {\n neighbor_ip 10.0.0.7\n}\n";

fn instance(name: &str, id: u8, words: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {id}\n {words}\n virtual_ipaddress {{\n 10.0.0.{id}\n }}\n}}\n"
    )
}

fn said(outcome: &Outcome) -> Vec<(Class, &str)> {
    outcome.diagnostics.iter().map(|d| (d.class, d.message.as_str())).collect()
}

/// What the first instance tracks.
fn tracked(outcome: &Outcome) -> Vec<&str> {
    let i = &outcome.config.instances[0];
    let all = [&i.track_script, &i.track_file, &i.track_process, &i.track_bfd];
    all.into_iter().flatten().map(|t| t.name.as_str()).collect()
}

#[test]
fn what_is_tracked_is_defined_above_and_a_later_one_is_reported() {
    let words = "track_script {\n s\n }\n track_file {\n f\n }\n track_process {\n p\n }\n track_bfd {\n b\n }";
    let user = instance("A", 5, words);
    let above = read(&format!("{TRACKED}{user}"));
    assert_eq!(tracked(&above), ["s", "f", "p", "b"]);
    let below = read(&format!("{user}{TRACKED}"));
    assert_eq!(tracked(&below), [""; 0]);
    for kind in ["script 's'", "file 'f'", "process 'p'", "BFD session 'b'"] {
        assert!(
            said(&below).iter().any(|(c, m)| *c == Class::General && m.contains(kind)),
            "{kind}: {:?}",
            said(&below)
        );
    }
    let group = "vrrp_sync_group G {\n group {\n A\n B\n }\n track_file {\n f\n }\n track_process {\n p\n }\n}\n";
    let text =
        |first: &str, then: &str| format!("{first}{}{}{group}{then}", instance("A", 5, ""), instance("B", 6, ""));
    let of = |outcome: &Outcome| {
        let g = &outcome.config.groups[0];
        (g.track_file.len(), g.track_process.len())
    };
    assert_eq!((of(&read(&text(TRACKED, ""))), of(&read(&text("", TRACKED)))), ((1, 1), (0, 0)));
}

/// The order is that of reading, not of the numbers of lines.
#[test]
fn a_tracker_far_down_in_an_included_file_is_defined_above_all_the_same() {
    let folder = tempfile::tempdir().expect("folder");
    let user = instance("A", 5, "track_script {\n s\n }\n track_file {\n f\n }\n track_process {\n p\n }");
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).expect("file");
    write("tracked", format!("{}{TRACKED}", "# one of many lines\n".repeat(200)));
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    let all = |text: String| {
        write("main", text);
        let outcome = load(&folder.path().join("main"), &FsReader, &Options::default(), &host);
        tracked(&outcome).len()
    };
    assert_eq!(all(format!("include tracked\n{user}")), 3);
    assert_eq!(all(format!("{}{user}include tracked\n", "# one of many lines\n".repeat(400))), 0);
}

#[test]
fn a_group_of_owners_and_others_is_reported() {
    let group = |a: &str, b: &str, more: &str| {
        let text = format!(
            "{TRACKED}{}{}vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {more}\n}}\n",
            instance("A", 5, a),
            instance("B", 6, b)
        );
        let outcome = read(&text);
        let all = said(&outcome).into_iter().filter(|(_, m)| m.contains("address owner"));
        let all = all.map(|(class, m)| (class, m.to_string())).collect::<Vec<_>>();
        let weights: Vec<_> = outcome.config.groups[0].track_file.iter().map(|t| t.weight).collect();
        (all, weights)
    };
    let class = |a: &str, b: &str| group(a, b, "").0.first().map(|(class, _)| *class);
    // keepalived's exit status.
    assert_eq!(class("priority 255\n state MASTER", "priority 100\n state BACKUP"), Some(Class::General));
    assert_eq!(class("priority 255\n state MASTER", "priority 255\n state BACKUP"), Some(Class::General));
    // Where it is silent a note.
    assert_eq!(class("priority 255\n state MASTER", "priority 100"), Some(Class::Note));
    assert_eq!(class("priority 255", "priority 100\n state BACKUP"), Some(Class::Note));
    assert_eq!(class("priority 255", "priority 255"), None);
    assert_eq!(class("priority 100\n state MASTER", "priority 90\n state BACKUP"), None);
    // What a group with an owner tracks has no weight.
    let owners = "priority 255\n state MASTER";
    for line in ["f weight 3", "f"] {
        let (all, weights) = group(owners, owners, &format!("track_file {{\n {line}\n }}"));
        assert_eq!((all.len(), weights), (1, vec![Some(0)]), "{line}: {all:?}");
    }
    assert_eq!(group(owners, owners, "track_file {\n f weight 0\n }").0, []);
    assert_eq!(group("", "", "track_file {\n f weight 3\n }"), (vec![], vec![Some(3)]));
}

#[test]
fn an_owner_s_tracked_file_with_a_weight_is_reported() {
    for (words, left) in [("f", 0), ("f weight 2", 0), ("f weight 0", 1)] {
        let outcome =
            read(&format!("{TRACKED}{}", instance("A", 5, &format!("priority 255\n track_file {{\n {words}\n }}"))));
        let reported = said(&outcome).iter().any(|(c, m)| *c == Class::General && m.contains("address owner"));
        assert_eq!((tracked(&outcome).len(), reported), (left, left == 0), "{words}");
    }
}

#[test]
fn older_spellings_are_noted() {
    for (word, newer) in [
        ("lvs_flush_onstop", "lvs_flush_on_stop"),
        ("vrrp_rlimit_rtime 5", "vrrp_rlimit_rttime"),
        ("checker_rlimit_rtime 5", "checker_rlimit_rttime"),
        ("bfd_rlimit_rtime 5", "bfd_rlimit_rttime"),
    ] {
        let outcome = read(&format!("global_defs {{\n {word}\n}}\n"));
        let old = word.split(' ').next().unwrap_or_default();
        assert_eq!(said(&outcome), [(Class::Note, format!("{old} is an older spelling of {newer}").as_str())]);
        assert_eq!(outcome.diagnostics.exit_status(), 0);
    }
}

/// keepalived refuses whichever comes second.
#[test]
fn native_ipv6_does_not_go_with_ipv4_addresses() {
    let text = |first: &str, second: &str| {
        let text = format!("vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n {first}\n {second}\n}}\n");
        let outcome = read(&text);
        let instance = outcome.config.instances.first().map(|i| (i.version, i.native_ipv6, i.virtual_ipaddress.len()));
        (outcome.diagnostics.exit_status(), instance)
    };
    let (four, six) = ("virtual_ipaddress {\n 10.0.0.1\n }", "virtual_ipaddress {\n fe80::1\n }");
    assert_eq!(text(four, "native_ipv6"), (5, Some((Some(2), false, 1))));
    assert_eq!(text("native_ipv6", four), (5, None));
    for (first, second) in [(six, "native_ipv6"), ("native_ipv6", six)] {
        assert_eq!(text(first, second), (0, Some((Some(3), true, 1))));
    }
}

/// At most keywords without their value keepalived ends with status 2; at these it reports, or says nothing, and goes on.
#[test]
fn a_value_that_is_missing_ends_the_daemon_where_keepalived_ends() {
    let root = |word: &str| format!("{word}\n");
    let globals = |word: &str| format!("global_defs {{\n {word}\n}}\n");
    let script = |word: &str| format!("vrrp_script s {{\n {word}\n}}\n");
    let process = |word: &str| format!("vrrp_track_process p {{\n process x\n {word}\n}}\n");
    let file = |word: &str| format!("track_file f {{\n file /etc/hosts\n {word}\n}}\n");
    let vrrp = |word: &str| instance("A", 5, word);
    let ssl = |word: &str| format!("SSL {{\n {word}\n}}\n");
    let service = |words: &str| {
        let server = "real_server 10.0.0.2 80 {\n }";
        format!("virtual_server 10.0.0.1 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n {words}\n {server}\n}}\n")
    };
    let server = |words: &str| service(&format!("real_server 10.0.0.3 80 {{\n {words}\n }}"));
    let url = |words: &str| server(&format!("HTTP_GET {{\n url {{\n path /\n {words}\n }}\n }}"));
    for (text, status) in [
        (root("net_namespace"), 5),
        (root("child_wait_time"), 2),
        (globals("router_id"), 5),
        (globals("script_user"), 5),
        (globals("vrrp_notify_fifo"), 5),
        (globals("lvs_sync_daemon"), 5),
        (globals("vrrp_priority"), 5),
        (globals("smtp_helo_name"), 0),
        (globals("smtp_server"), 2),
        (globals("vrrp_version"), 2),
        (script("script /bin/true\n script"), 0),
        (script("interval"), 2),
        (process("weight"), 5),
        (process("quorum"), 2),
        (file("file"), 5),
        (file("weight"), 5),
        (globals("lvs_sync_daemon eth0 inst"), 2),
        (globals("lvs_sync_daemon eth0 id"), 5),
        (ssl("password"), 5),
        (ssl("ca"), 5),
        (ssl("certificate"), 5),
        (ssl("key"), 5),
        (service("virtualhost"), 5),
        (service("snmp_name"), 5),
        (service("quorum"), 2),
        (server("virtualhost"), 5),
        (server("snmp_name"), 5),
        (server("weight"), 2),
        (server("UDP_CHECK {\n payload\n }"), 5),
        (server("SMTP_CHECK {\n helo_name\n }"), 5),
        (server("MISC_CHECK {\n misc_path\n }"), 5),
        (server("MISC_CHECK {\n misc_path /bin/true\n user\n }"), 5),
        (server("MISC_CHECK {\n misc_path /bin/true\n misc_timeout\n }"), 2),
        (server("FILE_CHECK {\n track_file f\n weight\n }"), 5),
        (server("BFD_CHECK {\n name\n }"), 5),
        (server("SSL_GET {\n virtualhost\n url {\n path /\n }\n }"), 5),
        (server("HTTP_GET {\n http_protocol\n url {\n path /\n }\n }"), 5),
        (url("virtualhost"), 5),
        (url("digest"), 2),
        (url("status_code"), 0),
        (url("regex"), 0),
        (url("regex x\n regex_min_offset"), 0),
        (url("regex x\n regex_max_offset"), 0),
        (url("regex x\n regex_stack"), 0),
        (vrrp("kernel_rx_buf_size"), 5),
        (vrrp("priority"), 2),
        (vrrp("interface"), 2),
    ] {
        let secure = "global_defs {\n enable_script_security\n script_user root\n}\n";
        let outcome = read(&(text.clone() + secure + &instance("B", 6, "")));
        let runs = steadfast_config::run_failure(&outcome);
        assert_eq!((outcome.diagnostics.exit_status(), runs), (status, (status == 2).then_some(2)), "{text}");
        assert!(said(&outcome).iter().any(|(_, m)| m.contains("needs a value")), "{text}");
    }
}

/// keepalived ignores the word, whatever it is that is of IPv4 above it.
#[test]
fn native_ipv6_below_anything_of_ipv4_is_reported_and_ignored() {
    for words in ["unicast_src_ip 10.0.0.1", "mcast_src_ip 10.0.0.1", "unicast_peer {\n 10.0.0.2\n }"] {
        let text = format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n {words}\n native_ipv6\n virtual_ipaddress {{\n 10.9.9.11/24\n }}\n}}\n"
        );
        let host = steadfast_config::host::FakeHost { all_interfaces: true, ..Default::default() };
        let outcome = steadfast_config::load_text(&text, &Default::default(), &host);
        assert!(outcome.diagnostics.iter().any(|d| d.message.contains("native_ipv6 does not go with IPv4")), "{words}");
        assert_eq!((outcome.config.instances.len(), outcome.diagnostics.exit_status()), (1, 5), "{words}");
    }
}
