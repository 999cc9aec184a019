//! Words of the configuration whose effect is seen in the kernel's tables and links, beside keepalived's where it can run here.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::daemon::{ask, send};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const SOON: Duration = Duration::from_secs(10);

fn nft(host: &Host, words: &str) -> String {
    let out = host.command("nft").args(words.split_whitespace()).output().expect("nft");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Groups, and a TCP virtual server for each; the first has a UDP one, too.
fn groups(globals: &str, second: &str) -> String {
    let service = |name: &str, protocol: &str| {
        let real = if name == "SIX" { "fd77::9" } else { "10.77.0.9" };
        format!(
            "virtual_server group {name} {{\n lb_algo rr\n lb_kind NAT\n protocol {protocol}\n real_server {real} 80 {{\n weight 1\n }}\n}}\n"
        )
    };
    format!(
        "global_defs {{\n{globals}\n}}\nvirtual_server_group A {{\n 10.1.0.20 80\n}}\nvirtual_server_group B {{\n {second} 80\n 10.1.0.40 8000\n}}\n\
         virtual_server_group SIX {{\n fd00:1::10-12 80\n}}\nvirtual_server_group ALL {{\n 10.1.0.50\n}}\n\
         virtual_server_group OWN {{\n 10.1.0.60 80\n fwmark 9\n}}\n{}{}{}{}{}{}",
        service("A", "TCP"),
        service("A", "UDP"),
        service("B", "TCP"),
        service("SIX", "TCP"),
        service("ALL", "TCP").replace("protocol", "persistence_timeout 50\n protocol"),
        service("OWN", "TCP"),
    )
}

/// keepalived 2.2.7 made these tables of this file, in a guest with IPVS, but for the map of every port: there it looks for port 0.
#[test]
fn groups_are_marked_by_nftables() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let list = |table: &str| nft(host, &format!("list table {table}"));
    let lines = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let four = |marks: [u32; 3]| {
        let [a, u, b] = marks;
        format!(
            "table ip keepalived_ipvs {{ map tcp_map {{ type ipv4_addr . inet_service : mark flags interval elements = {{ \
             10.1.0.20 . 80 : {a:#010x}, 10.1.0.30-10.1.0.33 . 80 : {b:#010x}, 10.1.0.40 . 8000 : {b:#010x} }} }} \
             map udp_map {{ type ipv4_addr . inet_service : mark flags interval elements = {{ 10.1.0.20 . 80 : {u:#010x} }} }} "
        )
    };
    let d = Daemon::start(host, Kind::Steadfast, &groups("nftables_ipvs", "10.1.0.30-33"));
    d.wait_log("Startup complete", SOON);
    assert!(eventually(SOON, || list("ip keepalived_ipvs").contains("chain in")), "{}", d.log());
    let table = list("ip keepalived_ipvs");
    assert!(lines(&table).starts_with(&four([1000, 1001, 1002])), "{table}");
    for rule in [
        "type filter hook input priority filter - 1; policy accept;",
        "meta mark set ip daddr . tcp dport map @tcp_map return",
        "meta mark set ip daddr . udp dport map @udp_map return",
    ] {
        assert!(table.contains(rule), "{rule}: {table}");
    }
    assert!(lines(&table).contains("elements = { 10.1.0.50 . tcp : 0x000003ec }"), "{table}");
    let six = list("ip6 keepalived_ipvs");
    assert!(six.contains("fd00:1::10-fd00:1::12 . 80 : 0x000003eb"), "{six}");
    assert!(six.contains("meta mark set ip6 daddr . tcp dport map @tcp_map return"), "{six}");
    // Somebody empties everything; the checker child is killed: the tables are back, or stay.
    nft(host, "flush ruleset");
    assert!(
        eventually(SOON, || list("ip keepalived_ipvs") == table && list("ip6 keepalived_ipvs") == six),
        "{}",
        d.log()
    );
    let pid = d.pid_of("check.pid").expect("pid");
    send(pid, Signal::SIGKILL);
    assert!(
        eventually(SOON, || {
            assert_eq!(list("ip keepalived_ipvs"), table);
            d.pid_of("check.pid").is_some_and(|p| p != pid)
        }),
        "{}",
        d.log()
    );
    // A reload leaves marks as they are: the first two services are gone.
    let fewer = groups("nftables_ipvs", "10.1.0.30-33").replacen(
        "virtual_server group A {",
        "virtual_server 10.1.0.20 80 {",
        2,
    );
    d.reload(&fewer);
    assert!(eventually(SOON, || !list("ip keepalived_ipvs").contains("10.1.0.20")), "{}", d.log());
    assert!(list("ip keepalived_ipvs").contains("10.1.0.40 . 8000 : 0x000003ea"), "{}", list("ip keepalived_ipvs"));
    // Another table.
    let other = "nftables_ipvs foo\nnftables_ipvs_priority -200\nnftables_ipvs_start_fwmark 5000";
    d.reload(&groups(other, "10.1.0.30-33"));
    assert!(eventually(SOON, || list("ip foo").contains("priority -200")), "{}", d.log());
    assert!(list("ip foo").contains("10.1.0.20 . 80 : 0x00001388"), "{}", list("ip foo"));
    assert_eq!(list("ip keepalived_ipvs"), "");
    assert_eq!(d.stop(), Some(0));
    assert_eq!(nft(host, "list ruleset"), "");
}

/// A successor with another file takes away what its predecessor made.
#[test]
fn marks_of_a_checker_that_died_are_taken_away_when_the_file_wants_none() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = Daemon::start(host, Kind::Steadfast, &groups("nftables_ipvs", "10.1.0.30"));
    d.wait_log("Startup complete", SOON);
    assert!(eventually(SOON, || nft(host, "list ruleset").contains("tcp_map")), "{}", d.log());
    let pid = d.pid_of("check.pid").expect("pid");
    send(pid, Signal::SIGSTOP);
    d.reload(&groups("", "10.1.0.30"));
    d.wait_log("Reload complete", SOON);
    send(pid, Signal::SIGKILL);
    assert!(eventually(SOON, || nft(host, "list ruleset").is_empty()), "{}\n{}", nft(host, "list ruleset"), d.log());
    assert_eq!(d.stop(), Some(0));
}

/// Type and elements of a set in a listing.
fn set_of(list: &str, name: &str) -> std::collections::BTreeSet<String> {
    let from = list.split(&format!("set {name} {{")).nth(1).unwrap_or_default();
    let end = from
        .split_once("elements = {")
        .map_or("", |(head, rest)| &from[..head.len() + rest.find('}').unwrap_or(0) + 12]);
    end.split_whitespace().map(|w| w.trim_end_matches(',').to_string()).collect()
}

#[test]
fn sets_go_by_the_number_of_the_link_as_keepalived_s_do() {
    require!(keepalived);
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let conf = "global_defs {\n nftables\n nftables_ifindex\n}\nvrrp_instance V6 {\n interface eth0\n virtual_router_id 52\n priority 200\n \
                version 3\n no_accept\n use_vmac vv0\n virtual_ipaddress {\n fe80::100\n fd77::100\n }\n}\n\
                vrrp_instance V7 {\n interface eth0\n virtual_router_id 53\n priority 200\n version 3\n no_accept\n virtual_ipaddress {\n \
                fe80::101\n fd77::101\n }\n}\n";
    let mut seen = Vec::new();
    for kind in [Kind::Keepalived, Kind::Steadfast] {
        let d = Daemon::start(host, kind, conf);
        let all = || {
            let list = nft(host, "list table ip6 keepalived");
            [". \"eth0\"", ". \"vv0\"", "fd77::101"].iter().all(|w| list.contains(w))
        };
        assert!(eventually(SOON, all), "{kind:?}: {}\n{}", nft(host, "list ruleset"), d.log());
        let list = nft(host, "list table ip6 keepalived");
        for rule in ["iif @vips_link_local drop", "oif @vips_link_local drop"] {
            assert!(list.contains(rule), "{rule}: {list}");
        }
        seen.push(list);
        d.stop();
    }
    for set in ["vips_link_local", "vmac_set", "vips"] {
        let of = |n: usize| set_of(&seen[n], set);
        assert!(of(0).len() > 4 && of(0) == of(1), "{set}: {:?} {:?}", of(0), of(1));
    }
}

/// Whoever saves the rules of a host and loads them again loads ours, too.
#[test]
fn a_listing_of_the_tables_can_be_read_back() {
    require!();
    if !std::path::Path::new("/usr/sbin/nft").exists() {
        println!("SKIPPED: nft is not installed");
        return;
    }
    for more in ["", "nftables_ifindex\n"] {
        let lan = Lan::new(1);
        let host = &lan.hosts[0];
        let instance = |n: u8, addresses: &str| {
            format!(
                "vrrp_instance V{n} {{\n interface eth0\n virtual_router_id {n}\n priority 200\n version 3\n advert_int 0.2\n no_accept\n \
                 use_vmac vv{n}\n virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
            )
        };
        let conf = format!(
            "global_defs {{\n nftables\n{more}}}\n{}{}",
            instance(4, "10.77.0.100"),
            instance(6, "fe80::100\n fd77::100")
        );
        let d = Daemon::start(host, Kind::Steadfast, &conf);
        let whole = || {
            let list = nft(host, "list ruleset");
            ["\"vv4\"", "fe80::100 . \"vv6\"", "10.77.0.100"].iter().all(|w| list.contains(w))
        };
        assert!(eventually(SOON, whole), "{}\n{}", nft(host, "list ruleset"), d.log());
        let list = nft(host, "list ruleset");
        let folder = tempfile::tempdir().expect("folder");
        let saved = folder.path().join("saved.nft");
        std::fs::write(&saved, &list).expect("saved");
        d.crash();
        nft(host, "flush ruleset");
        nft(host, &format!("-f {}", saved.display()));
        assert_eq!(nft(host, "list ruleset"), list);
    }
}

/// Debian's keepalived resolves what leads to a script; it does not know the word yet that keeps paths as they are.
#[test]
fn paths_of_scripts_are_resolved_or_kept() {
    require!(keepalived);
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::create_dir(path("real")).expect("folder");
    let script = format!("#!/bin/sh\necho \"$0 $@\" >> {}\n", path("out"));
    std::fs::write(path("real/s.sh"), script).expect("script");
    use std::os::unix::fs::{PermissionsExt, symlink};
    std::fs::set_permissions(path("real/s.sh"), std::fs::Permissions::from_mode(0o755)).expect("mode");
    symlink("real", path("folder")).expect("link");
    symlink("real/s.sh", path("file")).expect("link");
    symlink("s.sh", path("real/inner")).expect("link");
    let conf = |global: &str| {
        let script =
            |n: u32, file: &str| format!("vrrp_script S{n} {{\n script \"{} {n}\"\n interval 1\n}}\n", path(file));
        format!(
            "global_defs {{\n script_user root\n {global}\n}}\n{}{}{}vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n \
             priority 255\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n track_script {{\n S1\n S2\n S3\n }}\n notify {}\n}}\n",
            script(1, "folder/s.sh"),
            script(2, "file"),
            script(3, "folder/inner"),
            path("folder/s.sh")
        )
    };
    let run = |kind: Kind, global: &str| {
        let _ = std::fs::remove_file(path("out"));
        let d = Daemon::start(&lan.hosts[0], kind, &conf(global));
        let lines = || -> std::collections::BTreeSet<String> {
            let text = std::fs::read_to_string(path("out")).unwrap_or_default();
            text.lines().filter(|l| !l.contains("BACKUP")).map(|l| l.replace(&path(""), "")).collect()
        };
        assert!(eventually(SOON, || lines().len() >= 4), "{kind:?}: {:?}\n{}", lines(), d.log());
        let seen = lines();
        d.stop();
        seen.into_iter().collect::<Vec<_>>()
    };
    let theirs = run(Kind::Keepalived, "");
    assert_eq!(theirs, ["real/inner 3", "real/s.sh 1", "real/s.sh 2", "real/s.sh INSTANCE VI MASTER 255"]);
    assert_eq!(run(Kind::Steadfast, ""), theirs);
    let kept = ["file 2", "folder/inner 3", "folder/s.sh 1", "folder/s.sh INSTANCE VI MASTER 255"];
    assert_eq!(run(Kind::Steadfast, "use_symlink_paths"), kept);
}

/// A driver is asked for its carrier: all forms, the first that works, and beside netlink. The port's other end goes down and up.
#[test]
fn links_are_polled() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let conf = |root: &str, more: &str| {
        format!(
            "{root}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 255\n {more}\n virtual_ipaddress {{\n \
             10.77.0.100/24\n }}\n}}\n"
        )
    };
    // A veth has no transceiver, and its driver answers ethtool.
    for (root, more, method) in [
        ("linkbeat_use_polling", "", "ETHTOOL"),
        ("linkbeat_interfaces {\n eth0\n lo\n}", "", "ETHTOOL"),
        ("linkbeat_interfaces {\n eth0 MII\n}", "", "ETHTOOL"),
        ("linkbeat_interfaces {\n eth0 IOCTL\n}", "", "ioctl"),
        ("linkbeat_interfaces {\n eth0 ETHTOOL\n}", "", "ETHTOOL"),
        ("", "linkbeat_use_polling", "ETHTOOL"),
    ] {
        let d = Daemon::start(host, Kind::Steadfast, &conf(root, more));
        d.wait_log("Entering MASTER STATE", SOON);
        assert!(d.log().contains(&format!("Linkbeat polls eth0 by {method}")), "{root}{more}: {}", d.log());
        assert!(!d.log().contains("polls lo"), "{}", d.log());
        host.cable(false);
        d.wait_log("Entering FAULT STATE", SOON);
        host.cable(true);
        d.wait_log("Linkbeat reports eth0 up", SOON);
        assert!(eventually(SOON, || host.has("10.77.0.100")), "{}", d.log());
        // Without the word netlink is enough, and nothing is asked for.
        d.reload(&conf("", ""));
        // The command waits until it is in effect.
        ask(&d, &["reload"]);
        let before = d.log().matches("Linkbeat").count();
        host.cable(false);
        assert!(eventually(SOON, || !host.has("10.77.0.100")), "{}", d.log());
        host.cable(true);
        assert!(eventually(SOON, || host.has("10.77.0.100")), "{}", d.log());
        assert_eq!(d.log().matches("Linkbeat").count(), before, "{}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}
