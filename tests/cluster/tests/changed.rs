//! Addresses and routes that a reload changes where they are, in a real kernel.

use std::net::Ipv4Addr;
use std::time::Duration;
use steadfast_test_cluster::client::Client;
use steadfast_test_cluster::daemon::ask;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const SOON: Duration = Duration::from_secs(10);

fn conf(addresses: &str, routes: &str) -> String {
    format!(
        "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority 200\n advert_int 1\n virtual_ipaddress {{\n {addresses}\n \
         }}\n virtual_routes {{\n {routes}\n }}\n}}\n"
    )
}

/// Clients notice nothing where a label or a lifetime changes, and nobody speaks of a stranger who took the address away.
#[test]
fn an_address_changes_in_place() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let route = "203.0.113.0/24 via 10.77.0.8 src 10.77.0.100";
    let d = Daemon::start(
        host,
        Kind::Steadfast,
        &conf("10.77.0.100/24\n }\n virtual_ipaddress_excluded {\n fd77::100/64", route),
    );
    let shows = |words: &str| host.show("addr show dev eth0").contains(words);
    assert!(eventually(SOON, || shows("10.77.0.100/24") && shows("fd77::100/64")), "{}", d.log());
    let client = Client::start(&lan.hosts[1], Ipv4Addr::new(10, 77, 0, 100));
    for (line, words) in [
        ("10.77.0.100/24 label eth0:x\n }\n virtual_ipaddress_excluded {\n fd77::100/64", "secondary eth0:x"),
        (
            "10.77.0.100/24 label eth0:y brd 10.77.0.255\n }\n virtual_ipaddress_excluded {\n fd77::100/64",
            "brd 10.77.0.255 scope global secondary eth0:y",
        ),
        (
            "10.77.0.100/24 preferred_lft 0\n }\n virtual_ipaddress_excluded {\n fd77::100/64",
            "10.77.0.100/24 scope global secondary deprecated eth0",
        ),
        ("10.77.0.100/24\n }\n virtual_ipaddress_excluded {\n fd77::100/128", "fd77::100/128"),
    ] {
        d.reload(&conf(line, route));
        assert!(eventually(SOON, || shows(words) && shows("10.77.0.100/24")), "{line}: {}", host.show("addr"));
        assert!(eventually(SOON, || host.show("route").contains("203.0.113.0/24")), "{line}: {}", host.show("route"));
    }
    assert!(!shows("fd77::100/64"), "{}", host.show("addr"));
    let seen = client.end();
    // An address that the kernel cannot change is away for some microseconds: one question may fall into each, or several where a host
    // that others use has something else to do just then. One that is put back because it was missed is away for 50 ms.
    assert!(seen.sent > 50 && seen.lost <= 25 && seen.longest_gap < Duration::from_millis(200), "{seen:?}");
    assert!(!d.log().contains("putting it back"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(!shows("10.77.0.100") && !shows("fd77::100"), "{}", host.show("addr"));
}

/// Two hold it, or it goes from one to the other, and it is another one then.
#[test]
fn an_address_of_two_changes() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let text = |a: &str, b: &str| {
        let of = |name: &str, vrid: u8, more: &str| {
            format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority 200\n advert_int 1\n virtual_ipaddress {{\n \
                 10.77.0.1{vrid}/24\n }}\n virtual_ipaddress_excluded {{\n {more}\n }}\n}}\n"
            )
        };
        format!("{}{}", of("A", 51, a), of("B", 52, b))
    };
    let both = "10.77.0.100/24\n fd77::100/64";
    let d = Daemon::start(host, Kind::Steadfast, &text(both, both));
    let shows = |words: &[&str]| {
        let all = host.show("addr show dev eth0");
        let ours = all.lines().filter(|l| l.contains("10.77.0.100/") || l.contains("fd77::100/")).count();
        ours == 2 && words.iter().all(|w| all.contains(w))
    };
    assert!(eventually(SOON, || shows(&["10.77.0.100/24", "fd77::100/64"])), "{}", d.log());
    for name in ["A", "B"] {
        d.wait_log(&format!("({name}) Entering MASTER STATE"), SOON);
    }
    let (one, two) = ("10.77.0.100/24 label eth0:x\n fd77::100/128", "10.77.0.100/24 label eth0:y\n fd77::100/96");
    let later = "10.77.0.100/24\n fd77::100/64";
    for (a, b, seen) in [
        (one, one, ["eth0:x", "fd77::100/128"]),
        ("10.77.0.99/24", two, ["eth0:y", "fd77::100/96"]),
        (later, "10.77.0.98/24", ["10.77.0.100/24", "fd77::100/64"]),
    ] {
        d.reload(&text(a, b));
        assert!(eventually(SOON, || shows(&seen)), "{a}, {b}: {}\n{}", host.show("addr"), d.log());
    }
    assert!(!d.log().contains("putting it back"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    let all = host.show("addr show dev eth0");
    assert!(!all.contains("10.77.0.100") && !all.contains("fd77::100"), "{all}");
}

/// The file has changed by the time another process goes on, or the one that was changing it dies meanwhile.
#[test]
fn a_successor_finds_the_old_form() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    const MANY: usize = 1000;
    let text = |four: &str, prefix: u8| {
        let six: String = (0..MANY).map(|n| format!("fd78::{n:x}/{prefix}\n")).collect();
        conf(&format!("{four}\n }}\n virtual_ipaddress_excluded {{\n {six}"), "203.0.113.0/24 via 10.77.0.8")
    };
    let d = Daemon::start(host, Kind::Steadfast, &text("10.77.0.100/24", 64));
    let six = |prefix: u8| {
        let all = host.show("-6 addr show dev eth0");
        all.lines().filter(|l| l.contains("fd78::") && l.contains(&format!("/{prefix} "))).count()
    };
    let four = |words: &str| {
        let all = host.show("-4 addr show dev eth0");
        all.lines().filter(|l| l.contains("10.77.0.100/")).count() == 1 && all.contains(words)
    };
    assert!(eventually(SOON, || six(64) == MANY && four("10.77.0.100/24")), "{}", d.log());
    // By an upgrade.
    std::fs::write(d.path("conf"), text("10.77.0.100/32 label eth0:x", 128)).expect("write");
    ask(&d, &["upgrade"]);
    let changed = || six(128) == MANY && six(64) == 0 && four("10.77.0.100/32 scope global eth0:x");
    assert!(eventually(SOON, changed), "{} {}\n{}", six(128), host.show("-4 addr"), d.log());
    // In the middle of a reload.
    d.reload(&text("10.77.0.100/32 label eth0:y", 96));
    assert!(eventually(SOON, || six(96) > 0), "{}", d.log());
    let child = d.pid_of("vrrp.pid").expect("pid");
    steadfast_test_cluster::daemon::send(child, nix::sys::signal::Signal::SIGKILL);
    let changed = || six(96) == MANY && six(128) == 0 && four("10.77.0.100/32 scope global eth0:y");
    assert!(eventually(SOON, changed), "{} {}\n{}", six(96), host.show("-4 addr"), d.log());
    assert!(!d.log().contains("putting it back"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    let all = host.show("addr show dev eth0");
    assert!(!all.contains("10.77.0.100") && !all.contains("fd78::"), "{all}");
}

/// What the kernel refuses does not take away what served.
#[test]
fn what_is_refused_leaves_the_old_one() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let d = Daemon::start(host, Kind::Steadfast, &conf("10.77.0.100/24", "203.0.113.0/24 via 10.77.0.8"));
    let serves = || host.has("10.77.0.100") && host.show("route").contains("203.0.113.0/24 via 10.77.0.8");
    assert!(eventually(SOON, serves), "{}", d.log());
    let client = Client::start(&lan.hosts[1], Ipv4Addr::new(10, 77, 0, 100));
    // The link's own address of that network has another scope; and nobody is at the other gateway.
    d.reload(&conf("10.77.0.100/24 scope link", "203.0.113.0/24 via 192.0.2.1"));
    let told = || {
        let status = ask(&d, &["status"]);
        ["change of address 10.77.0.100/24", "change of route 203.0.113.0/24"].iter().all(|w| status.contains(w))
    };
    assert!(eventually(SOON, told), "{}\n{}", ask(&d, &["status"]), d.log());
    assert!(ask(&d, &["explain", "V"]).contains("is as it was before the reload"), "{}", ask(&d, &["explain", "V"]));
    assert!(d.log().contains("Nexthop has invalid gateway"), "in the kernel's own words: {}", d.log());
    assert!(serves(), "{}", host.show("addr"));
    // Somebody takes it away: it comes back as it was, too.
    host.ip("addr del 10.77.0.100/24 dev eth0");
    assert!(eventually(SOON, serves), "{}", d.log());
    let seen = client.end();
    assert!(seen.longest_gap < Duration::from_millis(1500), "{seen:?}");
    // What was in their places goes with them, whatever process comes after.
    d.reload(&conf("10.77.0.100/24", "203.0.113.0/24 via 10.77.0.8"));
    assert!(eventually(SOON, || !told() && serves()), "{}", ask(&d, &["status"]));
    d.reload(&conf("10.77.0.100/24 scope link", "203.0.113.0/24 via 192.0.2.1"));
    assert!(eventually(SOON, told), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(!host.has("10.77.0.100") && !host.show("route").contains("203.0.113.0"), "{}", host.show("route"));
}

/// The kernel takes two IPv6 routes of one next hop for the same one, and knows nothing of `no_track`.
#[test]
fn a_route_changes_and_stays() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let six = |words: &str| format!("2001:db8:1::/48 via fd77::8 {words}");
    let four = |words: &str| format!("203.0.113.0/24 via 10.77.0.8 {words}");
    let d =
        Daemon::start(host, Kind::Steadfast, &conf("10.77.0.100/24", &format!("{}\n{}", six("advmss 1000"), four(""))));
    let shows = |is: &str, words: &str| {
        let all = host.show(&format!("-{is} route"));
        all.lines().filter(|l| l.starts_with("2001:db8:1::/48") || l.starts_with("203.0.113.0/24")).count() == 1
            && all.contains(words)
    };
    assert!(eventually(SOON, || shows("6", "advmss 1000") && shows("4", "203.0.113.0/24")), "{}", d.log());
    for (words, seen) in [
        ("advmss 1200", "advmss 1200"),
        ("advmss 1200 hoplimit 20", "hoplimit 20"),
        ("advmss 1200 no_track", "advmss 1200"),
        ("advmss 1200 mtu 1300", "mtu 1300"),
        ("mtu 1400", "mtu 1400"),
        ("no_track", "203.0.113.0/24"),
    ] {
        let four =
            four(if words == "no_track" { "no_track" } else { words.split(" no_track").next().unwrap_or_default() });
        d.reload(&conf("10.77.0.100/24", &format!("{}\n{four}", six(words))));
        let (in_six, in_four) = (if words == "no_track" { "2001:db8:1::/48" } else { seen }, seen);
        assert!(eventually(SOON, || shows("6", in_six)), "{words}: {}", host.show("-6 route"));
        assert!(eventually(SOON, || shows("4", in_four)), "{words}: {}", host.show("-4 route"));
    }
    for words in ["add 203.0.113.0/24 via 10.77.0.8", "add 203.0.113.0/24 via 10.77.0.9"] {
        d.reload(&conf("10.77.0.100/24", words));
        assert!(eventually(SOON, || shows("4", &words[4..])), "{words}: {}", host.show("-4 route"));
    }
    d.reload(&conf("10.77.0.100/24", &format!("{}\n{}", six("mtu 1400"), four(""))));
    assert!(eventually(SOON, || shows("6", "mtu 1400") && shows("4", "via 10.77.0.8")), "{}", host.show("-4 route"));
    // All processes are killed, and the file is another one by the next start.
    let text = conf("10.77.0.100/24", &format!("{}\n{}", six("advmss 900"), four("advmss 900")));
    assert!(!d.log().contains("putting it back"), "{}", d.log());
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(d.path("vrrp.objects"), folder.path().join("vrrp.objects")).expect("record");
    d.crash();
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let d = Daemon::start_in(host, Kind::Steadfast, &text, folder, log.into());
    assert!(
        eventually(SOON, || shows("6", "advmss 900") && shows("4", "advmss 900")),
        "{}{}",
        host.show("-6 route"),
        d.log()
    );
    d.wait_log("Entering MASTER STATE", SOON);
    assert!(
        eventually(SOON, || shows("6", "advmss 900") && shows("4", "advmss 900")),
        "{}{}",
        host.show("-6 route"),
        d.log()
    );
    assert_eq!(d.stop(), Some(0));
    assert!(!host.show("-6 route").contains("2001:db8:1::/48"), "{}", host.show("-6 route"));
}

/// Two reloads in a row, the second of which takes the first one back, while the kernel has not answered yet.
#[test]
fn a_change_that_is_taken_back_at_once_leaves_nothing() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let all = |four: &str, six: &str| -> String {
        let fours: String = (1..200).map(|n| format!("10.78.1.{n}/24 {four}\n")).collect();
        let sixes: String = (1..200).map(|n| format!("fd78::{n}/{six}\n")).collect();
        conf(&format!("10.77.0.100/24\n }}\n virtual_ipaddress_excluded {{\n {fours}{sixes}"), "")
    };
    let d = Daemon::start(host, Kind::Steadfast, &all("", "64"));
    let count = |words: &str| host.show("addr show dev eth0").matches(words).count();
    assert!(eventually(SOON, || count("inet 10.78.1.") == 199 && count("inet6 fd78::") == 199), "{}", d.log());
    for _ in 0..3 {
        d.reload(&all("scope link", "128"));
        assert!(eventually(SOON, || count("/128 scope") > 0), "{}", host.show("addr"));
        d.reload(&all("", "64"));
        let as_before = || {
            let now = host.show("addr show dev eth0");
            let four = now.lines().filter(|l| l.contains("inet 10.78.1.") && l.contains("scope global")).count();
            let six = now.lines().filter(|l| l.contains("inet6 fd78::") && l.contains("/64")).count();
            (four, six, now.matches("inet6 fd78::").count()) == (199, 199, 199)
        };
        assert!(eventually(SOON, as_before), "{}\n{}", host.show("addr show dev eth0"), d.log());
    }
    assert_eq!(d.stop(), Some(0));
    assert_eq!(count("10.78.1.") + count("fd78::"), 0, "{}", host.show("addr show dev eth0"));
}

/// An address goes to another far end: it is there all the time, and nobody speaks of a loss.
#[test]
fn a_far_end_changes() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let six = "}\n virtual_ipaddress_excluded {\n fd78::1/128 peer fd78::8";
    // Beside a peer's no prefix is taken.
    let line = |far: &str| conf(&format!("10.78.0.1{}{far}\n {six}", if far.is_empty() { "/24" } else { "" }), "");
    // IPv6 has an address once; what the host has is changed in place.
    host.ip("addr add fd78::1/128 dev eth0");
    let d = Daemon::start(host, Kind::Steadfast, &line(" peer 10.78.0.8"));
    let shows = |words: &str| host.show("addr show dev eth0").contains(words);
    assert!(eventually(SOON, || shows("10.78.0.1 peer 10.78.0.8/32")), "{}", d.log());
    for (far, words) in [
        (" peer 10.78.0.9", "10.78.0.1 peer 10.78.0.9/32"),
        ("", "10.78.0.1/24"),
        (" peer 10.78.0.8", "peer 10.78.0.8/32"),
    ] {
        d.reload(&line(far));
        let alone = || host.show("addr show dev eth0").matches("10.78.0.1").count() == 1;
        assert!(eventually(SOON, || shows(words) && alone()), "{far}: {}\n{}", host.show("addr"), d.log());
    }
    // It is known that it is there: who takes it away is heard.
    host.ip("addr del 10.78.0.1 peer 10.78.0.8 dev eth0");
    d.wait_log("10.78.0.1 removed", SOON);
    assert!(eventually(SOON, || shows("10.78.0.1 peer 10.78.0.8/32")), "{}", d.log());
    assert_eq!(d.log().matches("putting it back").count(), 1, "{}", d.log());
    assert!(shows("fd78::1 peer fd78::8/128"), "{}", host.show("addr"));
    host.ip("addr del fd78::1 peer fd78::8 dev eth0");
    d.wait_log("fd78::1 removed", SOON);
    assert!(eventually(SOON, || shows("fd78::1 peer fd78::8/128")), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(!shows("10.78.0.1"), "{}", host.show("addr"));
}
