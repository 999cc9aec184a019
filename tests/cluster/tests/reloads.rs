//! What is in a real kernel after reloads and crashes.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::time::Duration;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};
use steadfast_test_sim::pairs::pair;

const SOON: Duration = Duration::from_secs(10);

/// Words about tables take effect at a reload, and what nobody needs any more goes a while after it.
#[test]
fn tables_follow_a_reload_and_go_when_nothing_is_blocked() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let conf = |globals: &str, more: &str| {
        format!(
            "global_defs {{\n {globals}\n}}\nvrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority 200\n {more}\n \
             virtual_ipaddress {{\n 10.77.0.100/24\n }}\n}}\n"
        )
    };
    let ruleset = || {
        let out = host.command("nft").args(["list", "ruleset"]).output().map(|o| o.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).into_owned()
    };
    let d = Daemon::start(host, Kind::Steadfast, &conf("", "no_accept"));
    let has = |words: &[&str], without: &str| {
        let now = ruleset();
        words.iter().all(|w| now.contains(w)) && !now.contains(without)
    };
    assert!(eventually(SOON, || has(&["table ip keepalived ", "10.77.0.100"], "counter")), "{}", ruleset());
    d.reload(&conf("nftables_counters", "no_accept"));
    assert!(eventually(SOON, || has(&["table ip keepalived ", "10.77.0.100", "counter"], "other")), "{}", ruleset());
    d.reload(&conf("nftables other", "no_accept"));
    assert!(eventually(SOON, || has(&["table ip other ", "10.77.0.100"], "keepalived")), "{}", ruleset());
    d.reload(&conf("nftables other", ""));
    assert!(eventually(SOON * 2, || ruleset().trim().is_empty()), "{}", ruleset());
    d.reload(&conf("", "no_accept"));
    assert!(eventually(SOON, || has(&["table ip keepalived ", "10.77.0.100"], "other")), "{}", ruleset());
    // A family that has nothing in its table any more, and other words for the tables then.
    let six = "vrrp_instance W {\n interface eth0\n virtual_router_id 52\n priority 200\n no_accept\n virtual_ipaddress {\n fd00:77::100/64\n }\n}\n";
    d.reload(&format!("{}{six}", conf("", "no_accept")));
    assert!(eventually(SOON, || has(&["table ip6 keepalived ", "fd00:77::100"], "other")), "{}", ruleset());
    d.reload(&conf("", "no_accept"));
    assert!(eventually(SOON, || !ruleset().contains("fd00:77::100")), "{}", ruleset());
    d.reload(&conf("nftables_priority -7", "no_accept"));
    let again = || has(&["filter - 7"], "table ip6") || has(&["priority -7"], "table ip6");
    assert!(eventually(SOON, again), "{}", ruleset());
    // Nor has a fresh start an empty table of the other family.
    d.reload(&format!("{}{six}", conf("", "no_accept")));
    assert!(eventually(SOON, || has(&["fd00:77::100", "10.77.0.100"], "other")), "{}", ruleset());
    d.reload(six);
    assert!(eventually(SOON * 3, || has(&["fd00:77::100"], "table ip ")), "{}", ruleset());
    d.reload(&conf("", "no_accept"));
    assert!(eventually(SOON * 3, || has(&["table ip ", "10.77.0.100"], "table ip6")), "{}", ruleset());
    assert_eq!(d.stop(), Some(0));
    assert_eq!(ruleset().trim(), "");
}

/// Fields that say who was there first, how long, or under which number.
const VOLATILE: [&str; 12] = [
    "ifindex",
    "link_index",
    "valid_life_time",
    "preferred_life_time",
    "secondary",
    "dynamic",
    "cache_info",
    "stats64",
    "address",
    "tentative",
    "linkinfo",
    "inet6_addr_gen_mode",
];

fn strip(v: &mut Value) {
    match v {
        Value::Object(map) => {
            map.retain(|k, _| !VOLATILE.contains(&k.as_str()));
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// All that a daemon could have put there, one object a line, sorted.
fn state(host: &Host) -> Vec<String> {
    let mut lines = Vec::new();
    for what in ["addr", "route show table all", "-6 route show table all", "rule", "-6 rule"] {
        let Ok(Value::Array(list)) = serde_json::from_str::<Value>(&host.show(&format!("-j {what}"))) else { continue };
        for mut one in list {
            let name = one.get("ifname").map(ToString::to_string).unwrap_or_default();
            strip(&mut one);
            // Which of several addresses came first shows in the routes that the kernel makes itself.
            if one.get("protocol").is_some_and(|p| p == "kernel") {
                continue;
            }
            match one.get_mut("addr_info").and_then(Value::as_array_mut) {
                Some(addresses) => {
                    // A link-local address of a link that comes and goes is the kernel's own.
                    let own = |a: &Value| a.get("local").is_some_and(|l| l.to_string().starts_with("\"fe80"));
                    lines.extend(addresses.iter().filter(|a| !own(a)).map(|a| format!("address {name} {a}")));
                    lines.push(format!("link {name}"));
                }
                None => lines.push(format!("{what}: {one}")),
            }
        }
    }
    lines.sort();
    lines
}

/// The state, once it does not change any more: a second's rest, some advert intervals.
fn rest(host: &Host) -> Vec<String> {
    let mut last = state(host);
    for _ in 0..10 {
        std::thread::sleep(Duration::from_millis(300));
        let now = state(host);
        if now == last {
            break;
        }
        last = now;
    }
    last
}

/// All instances that have a master's addresses have come so far.
fn settled(host: &Host, text: &str) -> bool {
    let shown = host.show("addr");
    text.split("virtual_ipaddress {")
        .skip(1)
        .filter_map(|t| t.split('/').next())
        .all(|a| shown.contains(&format!(" {}/", a.trim())))
}

fn host_of_its_own(lan: &Lan) -> &Host {
    let host = &lan.hosts[0];
    host.ip("link add d0 type veth peer name d1");
    host.ip("link set d0 up");
    host.ip("link set d1 up");
    host.ip("addr add 10.78.0.1/24 dev d0");
    host
}

fn begin(host: &Host, text: &str) -> Daemon {
    let d = Daemon::start(host, Kind::Steadfast, text);
    assert!(eventually(SOON, || settled(host, text)), "{text}\n{}\n{}", host.show("addr"), d.log());
    d
}

/// start(A), reload(B) ends in the kernel state of start(B), and nothing is left at the end.
#[test]
fn a_reload_ends_where_a_start_would() {
    require!();
    let lan = Lan::new(1);
    let host = host_of_its_own(&lan);
    let before = rest(host);
    let seeds = match std::env::var("PAIR").ok().and_then(|s| s.parse().ok()) {
        Some(one) => one..one + 1,
        None => 0..12,
    };
    for seed in seeds {
        let (a, b) = pair(seed);
        let d = begin(host, &b);
        let want = rest(host);
        assert_eq!(d.stop(), Some(0));
        assert_eq!(rest(host), before, "seed {seed}: left by\n{b}");
        let d = begin(host, &a);
        rest(host);
        d.reload(&b);
        d.wait_log("Reload complete", SOON);
        let mut have = Vec::new();
        let same = eventually(Duration::from_secs(4), || {
            have = state(host);
            have == want
        });
        let of = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>();
        assert!(
            same,
            "PAIR={seed}\n{a}\n=== then\n{b}\n=== too much {:#?}\nmissing {:#?}\n{}",
            of(&have, &want),
            of(&want, &have),
            d.log()
        );
        assert_eq!(d.stop(), Some(0));
        assert_eq!(rest(host), before, "seed {seed}: left by\n{a}\n=== and\n{b}");
    }
}

fn conf(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n version 3\n interface eth0\n virtual_router_id 51\n advert_int 0.1\n virtual_ipaddress {{\n  10.77.0.100/24\n }}\n\
         {more}}}\n"
    )
}

const OBJECTS: &str = " virtual_ipaddress_excluded {\n  10.88.0.1/32 dev d0\n }\n virtual_routes {\n  203.0.113.0/24 via 10.77.0.8 dev eth0\n }\n \
                       virtual_rules {\n  from 10.77.0.100 table 77 preference 1600\n  from 10.88.0.1 table 77\n }\n";

/// A child's successor neither doubles what it goes on with, nor leaves behind what the file does not name any more.
#[test]
fn a_child_that_is_killed_leaves_nothing_twice_and_nothing_behind() {
    require!();
    let lan = Lan::new(1);
    let host = host_of_its_own(&lan);
    let before = rest(host);
    let d = begin(host, &conf(OBJECTS));
    let with_objects = rest(host);
    let kill = || {
        let pid = d.pid_of("vrrp.pid").expect("pid");
        send(pid, Signal::SIGKILL);
        assert!(eventually(SOON, || d.pid_of("vrrp.pid").is_some_and(|p| p != pid)), "{}", d.log());
    };
    kill();
    d.wait_log("continuing in MASTER state", SOON);
    assert_eq!(rest(host), with_objects, "{}", d.log());
    // The child cannot read the new file before it dies; its successor starts with it.
    let pid = d.pid_of("vrrp.pid").expect("pid");
    send(pid, Signal::SIGSTOP);
    d.reload(&conf(""));
    assert!(eventually(SOON, || d.log().contains("Reload complete")), "{}", d.log());
    send(pid, Signal::SIGKILL);
    assert!(eventually(SOON, || d.pid_of("vrrp.pid").is_some_and(|p| p != pid)), "{}", d.log());
    assert!(
        eventually(SOON, || host.has("10.77.0.100") && !host.has("10.88.0.1")),
        "{}\n{}",
        host.show("addr"),
        d.log()
    );
    let left = rest(host);
    let ours = |l: &&String| ["10.88.0.1", "203.0.113.0", "\"table\":\"77\""].iter().any(|w| l.contains(w));
    assert_eq!(left.iter().find(ours), None, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert_eq!(rest(host), before);
}

/// A stop that the child does not live to see to its end.
#[test]
fn a_child_that_dies_while_it_stops_leaves_nothing() {
    require!();
    let lan = Lan::new(1);
    let host = host_of_its_own(&lan);
    let before = rest(host);
    let mut d = begin(host, &conf(OBJECTS));
    let pid = d.pid_of("vrrp.pid").expect("pid");
    send(pid, Signal::SIGSTOP);
    d.signal(Signal::SIGTERM);
    d.wait_log("Stopping", SOON);
    send(pid, Signal::SIGKILL);
    assert_eq!(d.ended(), Some(0));
    assert_eq!(rest(host), before, "{}", d.log());
}
