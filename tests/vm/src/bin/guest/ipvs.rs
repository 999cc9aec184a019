//! The director at work.

use std::io::Read;
use std::process::Child;
use steadfast_test_vm::lab::{Director, Keepalived, Lab, real, service, sh, table, three, wait_table};
use steadfast_test_vm::{eventually, seconds};

/// One test.
pub type Test = fn(&mut Lab);

/// Every test here, by name.
pub const TESTS: &[(&str, Test)] = &[
    ("nat_server_dies_and_returns", nat_server_dies_and_returns),
    ("direct_routing_and_tunnels", direct_routing_and_tunnels),
    ("marks_and_groups", marks_and_groups),
    ("groups_marked_by_nftables", groups_marked_by_nftables),
    ("ipv6", ipv6),
    ("killed_checker_child", killed_checker_child),
    ("a_restarted_daemon_finds_its_table", a_restarted_daemon_finds_its_table),
    ("nothing_is_left_by_a_dead_checker", nothing_is_left_by_a_dead_checker),
    ("schedulers_flags_and_persistence", schedulers_flags_and_persistence),
    ("weights_slow_start_and_drain", weights_slow_start_and_drain),
    ("connections_reach_the_second_director", connections_reach_the_second_director),
    ("a_pair_of_directors", a_pair_of_directors),
    ("as_the_articles_have_it", as_the_articles_have_it),
];

fn answer(mut child: Child) -> String {
    let mut text = String::new();
    child.stdout.take().expect("pipe").read_to_string(&mut text).expect("text");
    child.wait().expect("end");
    text.trim().to_string()
}

fn nat_server_dies_and_returns(lab: &mut Lab) {
    sh("ip addr add 10.1.0.100/32 dev br-c");
    let text = |more: &str| {
        service("10.1.0.100 80", &format!("lb_kind NAT\n protocol TCP\n sorry_server 10.2.0.9 80\n {more}"), &three(""))
    };
    let d = Director::start(None, &text(""), &[]);
    wait_table("-a -t 10.1.0.100:80 -r 10.2.0.3:80 -m -w 1", true);
    assert_eq!(lab.ask("client", "10.1.0.100:80", 6), "rs1=2 rs2=2 rs3=2");
    lab.unserve("rs3");
    let dead = std::time::Instant::now();
    wait_table("10.2.0.3:80", false);
    // One delay loop, one retry 0.2 s later; the guest is slow.
    println!(
        "a dead server is out of the table after {:.2} s (loop 1 s, one retry after 0.2 s)",
        dead.elapsed().as_secs_f64()
    );
    assert!(dead.elapsed() < seconds(4), "{}", d.log());
    assert_eq!(lab.ask("client", "10.1.0.100:80", 4), "rs1=2 rs2=2");
    lab.unserve("rs1");
    lab.unserve("rs2");
    wait_table("10.2.0.9:80", true);
    assert_eq!(lab.ask("client", "10.1.0.100:80", 2), "sorry=2");
    assert!(!table().contains("10.2.0.1:80"), "{}", table());
    lab.serve("rs1");
    wait_table("10.2.0.9:80", false);
    assert_eq!(lab.ask("client", "10.1.0.100:80", 2), "rs1=2");
    // A server that is kept with weight 0 while it is down.
    lab.serve("rs2");
    d.reload(&text("inhibit_on_failure"));
    wait_table("-r 10.2.0.3:80 -m -w 0", true);
    lab.serve("rs3");
    wait_table("-r 10.2.0.3:80 -m -w 1", true);
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.1.0.100/32 dev br-c");
}

fn direct_routing_and_tunnels(lab: &mut Lab) {
    sh("ip addr add 10.2.0.100/32 dev br-s; ip addr add 10.2.0.101/32 dev br-s");
    let text = [
        service("10.2.0.100 80", "lb_kind DR\n protocol TCP", &three("")),
        service("10.2.0.101 80", "lb_kind TUN\n protocol TCP", &three("")),
        service("10.2.0.102 80", "lb_kind TUN type gue port 6080\n protocol TCP", &three("")),
        service("10.2.0.103 80", "lb_kind TUN type gre csum\n protocol TCP", &three("")),
    ];
    let d = Director::start(None, &text.concat(), &[]);
    wait_table("-t 10.2.0.100:80 -r 10.2.0.3:80 -g", true);
    wait_table("-t 10.2.0.101:80 -r 10.2.0.3:80 -i", true);
    assert_eq!(lab.ask("near", "10.2.0.100:80", 6), "rs1=2 rs2=2 rs3=2", "direct routing");
    assert_eq!(lab.ask("near", "10.2.0.101:80", 6), "rs1=2 rs2=2 rs3=2", "tunnel");
    wait_table("-t 10.2.0.102:80 -r 10.2.0.3:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum", true);
    wait_table("-t 10.2.0.103:80 -r 10.2.0.3:80 -i -w 1 --tun-type gre --tun-csum", true);
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.2.0.100/32 dev br-s; ip addr del 10.2.0.101/32 dev br-s");
}

fn marks_and_groups(lab: &mut Lab) {
    sh(
        "ip addr add 10.1.0.102/32 dev br-c; nft add table ip lab; nft add chain ip lab pre '{ type filter hook prerouting priority -150; }'",
    );
    sh("nft add rule ip lab pre ip daddr 10.1.0.102 tcp dport '{ 80, 81 }' meta mark set 7");
    let group = "virtual_server_group WEB {\n 10.1.0.110-112 80\n 10.1.0.120 8000\n fwmark 9\n}\n";
    let text = [
        group.to_string(),
        service("fwmark 7", "lb_kind NAT", &three("")),
        service("group WEB", "lb_kind NAT\n protocol TCP", &three("")),
    ];
    let d = Director::start(None, &text.concat(), &[]);
    wait_table("-f 7 -r 10.2.0.3:80 -m", true);
    for key in ["-t 10.1.0.110:80", "-t 10.1.0.112:80", "-t 10.1.0.120:8000", "-f 9"] {
        wait_table(&format!("{key} -r 10.2.0.2:80 -m"), true);
    }
    assert_eq!(lab.ask("client", "10.1.0.102:80", 6), "rs1=2 rs2=2 rs3=2");
    d.reload(&text.concat().replace("110-112", "111-113"));
    wait_table("-A -t 10.1.0.110:80", false);
    wait_table("-t 10.1.0.113:80 -r 10.2.0.3:80", true);
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.1.0.102/32 dev br-c; nft delete table ip lab");
}

/// One service for a whole group, packets to all its addresses and ports reach the servers; through a flush and a killed child.
fn groups_marked_by_nftables(lab: &mut Lab) {
    sh("for a in 100 101 102 103; do ip addr add 10.1.0.$a/32 dev br-c; done");
    let group = "virtual_server_group WEB {\n 10.1.0.100-102 80\n 10.1.0.103\n}\n";
    let globals = "global_defs {\n nftables_ipvs\n}\n";
    let text = [
        globals.to_string(),
        group.to_string(),
        service("group WEB", "persistence_timeout 1\n lb_kind NAT\n protocol TCP", &three("")),
    ];
    let d = Director::start(None, &text.concat(), &[]);
    wait_table("-f 1000 -r 10.2.0.3:80 -m", true);
    assert!(!table().contains("10.1.0.10"), "{}", table());
    let served = |address: &str| {
        let answer = lab.ask("client", address, 2);
        assert!(answer.starts_with("rs") && answer.ends_with("=2"), "{address}: {answer}");
    };
    assert!(eventually(seconds(5), || sh("nft list ruleset").contains("@any_map")), "{}", d.log());
    ["10.1.0.100:80", "10.1.0.102:80", "10.1.0.103:80", "10.1.0.103:8080"].iter().for_each(|a| served(a));
    sh("nft flush ruleset");
    assert!(eventually(seconds(5), || sh("nft list ruleset").contains("@any_map")), "{}", d.log());
    served("10.1.0.101:80");
    let before = table();
    let pid = d.pid("checkers.pid");
    sh(&format!("kill -9 {pid}"));
    assert!(eventually(seconds(6), || d.pid("checkers.pid") != pid), "{}", d.log());
    served("10.1.0.101:80");
    assert_eq!(table(), before);
    d.stop();
    assert_eq!(table(), "");
    assert_eq!(sh("nft list ruleset"), "");
    sh("for a in 100 101 102 103; do ip addr del 10.1.0.$a/32 dev br-c; done");
}

fn ipv6(lab: &mut Lab) {
    sh("ip -6 addr add fd00:1::100/128 dev br-c nodad");
    let servers: String = (1..=2).map(|n| real(&format!("fd00:2::{n}"), 8080, "")).collect();
    let d = Director::start(None, &service("fd00:1::100 80", "lb_kind NAT\n protocol TCP", &servers), &[]);
    wait_table("-t [fd00:1::100]:80 -r [fd00:2::2]:8080 -m", true);
    assert_eq!(lab.ask("client", "[fd00:1::100]:80", 4), "rs1=2 rs2=2");
    // A mark of a group has the family of the servers, where the file does not say it.
    sh("nft add table ip6 lab; nft add chain ip6 lab pre '{ type filter hook prerouting priority -150; }'; \
        nft add rule ip6 lab pre ip6 daddr fd00:1::100 tcp dport 81 meta mark set 9");
    let group = service("group SIX", "lb_kind NAT", &servers);
    d.reload(&format!("virtual_server_group SIX {{\n fwmark 9\n}}\n{group}"));
    wait_table("-f 9 -6 -r [fd00:2::2]:8080 -m", true);
    assert_eq!(lab.ask("client", "[fd00:1::100]:81", 4), "rs1=2 rs2=2");
    d.stop();
    assert_eq!(table(), "");
    sh("ip -6 addr del fd00:1::100/128 dev br-c; nft delete table ip6 lab");
}

fn killed_checker_child(lab: &mut Lab) {
    sh("ip addr add 10.1.0.100/32 dev br-c");
    lab.unserve("rs3");
    let d = Director::start(None, &service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")), &[]);
    wait_table("10.2.0.2:80", true);
    wait_table("10.2.0.3:80", false);
    let before = table();
    let held = lab.hold("client", "10.1.0.100:80", seconds(3));
    for _ in 0..2 {
        let pid = d.pid("checkers.pid");
        sh(&format!("kill -9 {pid}"));
        // All the time until there is a new one, and for a while after it, the table is what it was.
        assert!(eventually(seconds(6), || {
            assert_eq!(table(), before);
            d.pid("checkers.pid") != pid
        }));
        assert!(!eventually(seconds(1), || table() != before), "{}", table());
    }
    assert_eq!(answer(held), "kept");
    // The second one died of what it had been handed, for all that anybody knows: what the third one knows it has from the table.
    assert!(d.log().contains("down until their next check: 1 of our servers"), "{}", d.log());
    assert_eq!(d.log().matches("Gained quorum").count(), 1, "{}", d.log());
    // What it knew of a dead server it still knows: it returns by a check, not by a restart.
    lab.serve("rs3");
    wait_table("10.2.0.3:80", true);
    // A service that leaves the file while the checker is dead.
    let pid = d.pid("checkers.pid");
    sh(&format!("kill -STOP {pid}"));
    d.reload_silently(&service("10.1.0.101 80", "lb_kind NAT\n protocol TCP", &three("")));
    sh(&format!("kill -9 {pid}"));
    wait_table("-A -t 10.1.0.100:80", false);
    wait_table("-t 10.1.0.101:80 -r 10.2.0.3:80", true);
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.1.0.100/32 dev br-c");
}

/// All processes are killed and started anew with the same file, and a new program takes over: to the kernel, and to who has a
/// connection, nothing happens.
fn a_restarted_daemon_finds_its_table(lab: &mut Lab) {
    sh("ip addr add 10.1.0.100/32 dev br-c");
    let text = service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three(""));
    let d = Director::start(None, &text, &[]);
    wait_table("10.2.0.3:80", true);
    let before = table();
    let held = lab.hold("client", "10.1.0.100:80", seconds(8));
    d.kill_all();
    assert_eq!(table(), before);
    let d = Director::begin_at_once(&text);
    let unchanged_until = |what: &str, end: &mut dyn FnMut() -> bool| {
        let ended = eventually(seconds(60), || {
            assert_eq!(table(), before, "{what}");
            end()
        });
        assert!(ended, "{what}: {}", d.log());
        assert!(!eventually(seconds(2), || table() != before), "{what}: {}", table());
    };
    unchanged_until("start", &mut || d.log().contains("Startup complete"));
    assert_eq!(answer(held), "kept");
    let held = lab.hold("client", "10.1.0.100:80", seconds(8));
    let checker = d.pid("checkers.pid");
    let mut upgrade = d.upgrade();
    unchanged_until("upgrade", &mut || upgrade.try_wait().is_ok_and(|s| s.is_some()));
    assert!(upgrade.wait().is_ok_and(|s| s.success()), "{}", d.log());
    assert_ne!(d.pid("checkers.pid"), checker);
    assert_eq!(answer(held), "kept");
    // With `alpha` servers are out until they have answered, also to a daemon that knows nothing of the one before.
    d.kill_all();
    assert_eq!(table(), before);
    lab.unserve("rs2");
    let d = Director::start(None, &text.replace("protocol TCP", "protocol TCP\n alpha"), &[]);
    wait_table("10.2.0.3:80", true);
    wait_table("10.2.0.2:80", false);
    assert!(d.log().contains("Starting with quorum down"), "{}", d.log());
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.1.0.100/32 dev br-c");
}

/// Whoever died: what is ours goes, services of others stay, and -I leaves it to who comes next.
fn nothing_is_left_by_a_dead_checker(_: &mut Lab) {
    sh("ipvsadm -A -t 10.1.0.77:99 -s wlc; ipvsadm -a -t 10.1.0.77:99 -r 10.2.0.1:99 -m -w 7");
    let foreign = table();
    let daemons = || sh("ipvsadm -L --daemon");
    let sync = "global_defs {\n lvs_sync_daemon br-s id 5\n}\n";
    let vrrp =
        "vrrp_instance V {\n interface br-s\n virtual_router_id 51\n virtual_ipaddress {\n 10.2.0.200/24\n }\n}\n";
    let one = format!("{sync}{}{vrrp}", service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")));
    let served = |options: &[&str]| {
        let d = Director::start(None, &one, options);
        wait_table("-t 10.1.0.100:80 -r 10.2.0.3:80", true);
        assert!(eventually(seconds(5), || daemons().contains("backup sync daemon")), "{}", d.log());
        d
    };
    let frozen = |d: &Director| sh(&format!("kill -STOP {}", d.pid("checkers.pid")));
    let gone = |d: &str| {
        assert!(eventually(seconds(8), || table() == foreign), "{d}: {}", table());
        assert!(eventually(seconds(8), || !daemons().contains("sync daemon")), "{d}: {}", daemons());
    };
    // A stop and a reload that it does not obey any more.
    let d = served(&[]);
    frozen(&d);
    d.stop();
    gone("stop");
    let d = served(&[]);
    frozen(&d);
    d.reload_silently(vrrp);
    sh(&format!("kill -9 {}", d.pid("checkers.pid")));
    gone("reload");
    d.stop();
    // With -I it stays, also then.
    let d = served(&["-I"]);
    let before = table();
    frozen(&d);
    d.stop();
    assert_eq!(table(), before);
    // All are killed. Who starts with another file finds what was left: with no virtual server, with another one, with -I.
    for (next, options) in
        [(vrrp.to_string(), &[][..]), (one.replace("10.1.0.100", "10.1.0.101"), &[]), (vrrp.into(), &["-I"])]
    {
        let d = served(&[]);
        let before = table();
        d.kill_all();
        assert_eq!(table(), before);
        let d = Director::start(None, &next, options);
        wait_table("-A -t 10.1.0.100:80", !options.is_empty());
        d.stop();
    }
    let d = Director::start(None, vrrp, &[]);
    d.stop();
    gone("in the end");
    sh("ipvsadm -C");
}

fn schedulers_flags_and_persistence(_: &mut Lab) {
    let mut text = String::new();
    let (mut wanted, servers) = (Vec::new(), three(""));
    let schedulers = ["rr", "wrr", "lc", "wlc", "lblc", "lblcr", "dh", "sh", "sed", "nq", "fo", "ovf", "mh"];
    for (n, name) in schedulers.iter().enumerate() {
        let (flags, shown) = match *name {
            "sh" => ("\n sh-port\n sh-fallback", " -b sh-fallback,sh-port"),
            "mh" => ("\n mh-port\n mh-fallback", " -b mh-fallback,mh-port"),
            _ => ("", ""),
        };
        let port = 1000 + n;
        text += &service(
            &format!("10.1.0.100 {port}"),
            &format!("lb_algo {name}{flags}\n lb_kind NAT\n protocol TCP"),
            &three(""),
        )
        .replacen("lb_algo rr\n", "", 1);
        wanted.push(format!("-A -t 10.1.0.100:{port} -s {name}{shown}"));
    }
    text += &service("10.1.0.100 53", "ops\n lb_kind NAT\n protocol UDP", &three("uthreshold 100\n lthreshold 50"));
    wanted.push("-A -u 10.1.0.100:53 -s rr -o".into());
    let six: String = (1..=2).map(|n| real(&format!("fd00:2::{n}"), 8080, "")).collect();
    for (head, granularity, shown) in [
        ("10.1.0.100 443", "255.255.255.0", "-t 10.1.0.100:443 -s rr -p 50 -M 255.255.255.0"),
        ("10.1.0.100 444", "16", "-t 10.1.0.100:444 -s rr -p 50 -M 255.255.0.0"),
        ("10.1.0.100 445", "255.0.255.0", "-t 10.1.0.100:445 -s rr -p 50 -M 255.0.255.0"),
        ("fd00:1::100 443", "64", "-t [fd00:1::100]:443 -s rr -p 50 -M 64"),
    ] {
        let settings =
            format!("persistence_timeout 50\n persistence_granularity {granularity}\n lb_kind NAT\n protocol TCP");
        text += &service(head, &settings, if head.starts_with("fd00") { &six } else { &servers });
        wanted.push(format!("-A {shown}"));
    }
    text += &service(
        "10.1.0.100 5060",
        "persistence_engine sip\n persistence_timeout 60\n lb_kind NAT\n protocol UDP",
        &three(""),
    );
    wanted.push("-A -u 10.1.0.100:5060 -s rr -p 60 --pe sip".into());
    text += &service("10.1.0.100 99", "lb_kind NAT\n protocol SCTP", &three(""));
    wanted.push("-A --sctp-service 10.1.0.100:99 -s rr".into());
    let d = Director::start(None, &text, &[]);
    for words in wanted {
        wait_table(&words, true);
    }
    let thresholds = sh("ipvsadm -Ln --thresholds");
    let limited = |l: &str| l.split_whitespace().eq(["->", "10.2.0.3:80", "100", "50", "0", "0"]);
    assert!(thresholds.lines().any(limited), "{thresholds}");
    d.stop();
    assert_eq!(table(), "");
}

fn weights_slow_start_and_drain(lab: &mut Lab) {
    let text =
        |servers: &str| service("10.1.0.100 80", "lb_kind NAT\n protocol TCP\n slow_start 6\n drain_time 5", servers);
    let d = Director::start(None, &text(&three("weight 100")), &[]);
    wait_table("-r 10.2.0.2:80 -m -w 100", true);
    lab.unserve("rs2");
    wait_table("10.2.0.2:80", false);
    lab.serve("rs2");
    wait_table("-r 10.2.0.2:80 -m -w ", true);
    let weight = || table().lines().find_map(|l| l.split_once("10.2.0.2:80 -m -w ")?.1.trim().parse::<u32>().ok());
    let mut seen = Vec::new();
    assert!(
        eventually(seconds(8), || {
            seen.extend(weight());
            weight() == Some(100)
        }),
        "{seen:?}"
    );
    assert!(seen.first().is_some_and(|w| *w < 100) && seen.is_sorted(), "{seen:?}");
    // A server that leaves the file gets no new connections, and keeps those that it has.
    sh("ip addr add 10.1.0.100/32 dev br-c");
    d.reload(&text(&real("10.2.0.1", 80, "weight 100")));
    wait_table("-r 10.2.0.2:80 -m -w 0", true);
    assert_eq!(lab.ask("client", "10.1.0.100:80", 2), "rs1=2");
    wait_table("10.2.0.2:80", false);
    d.wait_log("has drained");
    d.stop();
    sh("ip addr del 10.1.0.100/32 dev br-c");
}

fn connections_reach_the_second_director(lab: &mut Lab) {
    // The second one says it as it was said before. Its id is that of the router.
    let text = |priority: u32, interface: &str, globals: &str, more: &str| {
        format!(
            "global_defs {{\n {globals}\n}}\nvrrp_instance VI {{\n interface {interface}\n virtual_router_id 5\n \
             priority {priority}\n advert_int 1\n {more}\n virtual_ipaddress {{\n 10.2.0.200/24\n }}\n}}\n{}",
            service("10.2.0.200 80", "lb_kind NAT\n protocol TCP", &three(""))
        )
    };
    let daemons = |host: &str| sh(&format!("{host} ipvsadm -L --daemon"));
    let master = Director::start(None, &text(200, "br-s", "lvs_sync_daemon br-s inst VI id 5", ""), &[]);
    master.wait_log("Entering MASTER STATE");
    let second = Director::start(Some("second"), &text(100, "eth0", "", "lvs_sync_daemon_interface eth0"), &[]);
    assert!(
        eventually(seconds(6), || daemons("").contains("master sync daemon (mcast=br-s, syncid=5")),
        "{}",
        daemons("")
    );
    let there = "ip netns exec second";
    assert!(
        eventually(seconds(6), || daemons(there).contains("backup sync daemon (mcast=eth0, syncid=5")),
        "{}",
        daemons(there)
    );
    sh("sysctl -qw net.ipv4.vs.sync_threshold='1 50'");
    wait_table("-t 10.2.0.200:80 -r 10.2.0.3:80", true);
    let held = lab.hold("client", "10.2.0.200:80", seconds(2));
    let copied = || sh(&format!("{there} ipvsadm -Lnc")).contains("10.1.0.2:");
    assert!(eventually(seconds(8), copied), "{}", sh(&format!("{there} ipvsadm -Lnc")));
    assert_eq!(answer(held), "kept");
    // The halves are exchanged with the roles, and gone with the daemons.
    master.stop();
    assert!(eventually(seconds(8), || daemons(there).contains("master sync daemon (mcast=eth0")), "{}", second.log());
    assert!(!daemons("").contains("sync daemon"), "{}", daemons(""));
    second.stop();
    assert!(!daemons(there).contains("sync daemon"), "{}", daemons(there));
}

/// Two directors with one address and direct routing, as tutorials write it: who has the address balances, and the client that had
/// one of the servers finds them by either.
fn a_pair_of_directors(lab: &mut Lab) {
    let text = |state: &str, interface: &str, priority: u32| {
        format!(
            "vrrp_instance VI_180{{\n\tstate {state}\n\tinterface {interface}\n\tvirtual_router_id 180\n\tpriority {priority}\n\tadvert_int 1\n\t\
             authentication{{\n\t    auth_type PASS\n\t\tauth_pass 1111\n\t}}\n\tvirtual_ipaddress{{\n\t    10.2.0.100\n\t}}\n}}\n{}",
            service("10.2.0.100 80", "lb_kind DR\n persistence_timeout 10\n protocol TCP", &three(""))
        )
    };
    let first = || Director::start(None, &text("MASTER", "br-s", 102), &[]);
    let master = first();
    let backup = Director::start(Some("second"), &text("BACKUP", "eth0", 100), &[]);
    let served = |by: &Director| {
        by.wait_log("Entering MASTER STATE");
        let begun = std::time::Instant::now();
        let answer = lab.ask("near", "10.2.0.100:80", 6);
        assert!(
            answer.starts_with("rs") && answer.ends_with("=6"),
            "{answer} after {:?}: {}",
            begun.elapsed(),
            by.log()
        );
    };
    let counted = |host: &str| -> u32 {
        let table = sh(&format!("{host} ipvsadm -Ln --stats --exact"));
        let of_service = table.lines().find(|l| l.contains("10.2.0.100:80")).unwrap_or_default();
        of_service.split_whitespace().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0)
    };
    let there = "ip netns exec second";
    // The kernel sums up every two seconds.
    let wait_counts = |wanted: (u32, u32)| {
        let now = || (counted(""), counted(there));
        assert!(eventually(seconds(8), || now() == wanted), "{:?}, not {wanted:?}", now());
    };
    served(&master);
    wait_counts((6, 0));
    master.stop();
    assert_eq!(table(), "");
    served(&backup);
    wait_counts((0, 6));
    let master = first();
    served(&master);
    backup.wait_log("Entering BACKUP STATE");
    wait_counts((6, 6));
    backup.stop();
    master.stop();
    assert_eq!(sh(&format!("{there} ipvsadm -Sn")) + &table(), "");
}

/// Balancers as tutorials write them: the kernel's table is what keepalived makes of the same file, with all servers and without.
fn as_the_articles_have_it(lab: &mut Lab) {
    let real =
        |n: u32, check: &str| format!("    real_server 10.2.0.{n} 80 {{\n        weight 1\n        {check}\n    }}\n");
    let virt = |head: &str, kind: &str, more: &str, check: &str| {
        format!(
            "virtual_server {head} {{\n    delay_loop 1\n    lb_algo rr\n    lb_kind {kind}\n    protocol TCP\n    {more}\n{}{}}}\n",
            real(1, check),
            real(2, check)
        )
    };
    let get = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_port 8081\n connect_timeout 3\n nb_get_retry 1\n \
               delay_before_retry 1\n }";
    let tcp = "TCP_CHECK {\n connect_port 80\n connect_timeout 3\n retry 1\n delay_before_retry 1\n }";
    let texts = [
        ("DR with TCP checks", virt("10.2.0.100 80", "DR", "persistence_timeout 300\n sorry_server 127.0.0.1 80", tcp)),
        ("DR with HTTP checks", virt("10.2.0.100 80", "DR", "persistence_timeout 50", get)),
        (
            "NAT with a sorry server",
            virt("10.1.0.100 443", "NAT", "persistence_timeout 50\n sorry_server 10.2.0.9 80", tcp),
        ),
        ("fwmark", virt("fwmark 617443 17443", "DR", "persistence_timeout 0", "")),
        (
            "a group by tunnels",
            format!(
                "virtual_server_group G {{\n 10.2.0.100 80\n 10.2.0.101 81\n fwmark 9\n}}\n{}",
                virt("group G", "TUN", "sorry_server 10.2.0.9 99", tcp)
            ),
        ),
    ];
    let web = |on: bool| {
        for n in [1, 2] {
            if on {
                sh(&format!(
                    "ip netns exec rs{n} python3 -m http.server 8081 >/dev/null 2>&1 </dev/null & echo $! >/run/web{n}"
                ));
                // Who is checked before it listens is taken out for a round.
                let knock =
                    format!("ip netns exec rs{n} bash -c '</dev/tcp/127.0.0.1/8081' 2>/dev/null && echo up || true");
                assert!(eventually(seconds(20), || sh(&knock).contains("up")), "the web server of rs{n}");
            } else {
                sh(&format!("kill $(cat /run/web{n})"));
            }
        }
    };
    web(true);
    for (name, text) in texts {
        let text = format!("global_defs {{\n router_id LVS_DEVEL\n}}\n{text}");
        std::fs::write("/run/article.conf", &text).expect("configuration");
        let checked = text.contains("_CHECK") || text.contains("_GET");
        let mut expected: Vec<String> = Vec::new();
        for daemon in 0..2 {
            let own = (daemon == 0).then(|| Director::start(None, &text, &[]));
            let other = (daemon == 1).then(|| Keepalived::start("/run/article.conf"));
            for (n, alive) in [true, false].into_iter().enumerate() {
                if !alive && checked {
                    ["rs1", "rs2"].iter().for_each(|rs| lab.unserve(rs));
                    web(false);
                }
                if daemon == 0 {
                    let mut last = String::new();
                    let as_it_should_be = || {
                        last = table();
                        let wanted = alive || !checked;
                        last.contains("-A") && ["10.2.0.1:", "10.2.0.2:"].iter().all(|s| last.contains(s) == wanted)
                    };
                    assert!(eventually(seconds(8), as_it_should_be), "{name}, {alive}: {}", table());
                    expected.push(last);
                } else {
                    let same = || table() == expected[n];
                    assert!(eventually(seconds(8), same), "{name}, {alive}: {}\nkeepalived: {}", expected[n], table());
                }
            }
            own.into_iter().for_each(Director::stop);
            drop(other);
            assert!(eventually(seconds(5), || table().is_empty()), "{name}: {}", table());
            if checked {
                ["rs1", "rs2"].iter().for_each(|rs| lab.serve(rs));
                web(true);
            }
        }
    }
    web(false);
}
