//! Every option of route and rule lines: that it reaches the kernel, as keepalived puts it there, and that it is put back.

use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const SOON: Duration = Duration::from_secs(10);

/// Lines of virtual_routes, and what `ip -d route` shows of them.
const ROUTES: &[(&str, &str)] = &[
    ("10.30.1.0/24 via 10.77.0.9", "10.30.1.0/24 via 10.77.0.9 dev eth0 table main proto keepalived scope global"),
    (
        "10.30.2.0/24 via 10.77.0.9 realms 3/4",
        "10.30.2.0/24 via 10.77.0.9 dev eth0 table main proto keepalived scope global realms 3/4",
    ),
    ("10.30.3.0/24 via 10.77.0.9 realms 255", "realm 255"),
    ("10.30.4.0/24 via 10.77.0.9 congctl reno", "congctl reno"),
    ("10.30.5.0/24 via 10.77.0.9 congctl lock cubic", "congctl lock cubic"),
    (
        "10.30.6.0/24 via 10.77.0.9 mtu lock 1400 hoplimit 60 advmss lock 1300 reordering lock 5 window 3000 cwnd lock 30 \
      ssthresh lock 107 initcwnd 10 initrwnd 12 features ecn quickack 1 fastopen_no_cookie 1",
        "mtu lock 1400 window 3000 ssthresh lock 107 cwnd lock 30 advmss lock 1300 reordering lock 5 hoplimit 60 initcwnd 10 \
      features ecn initrwnd 12 quickack 1 fastopen_no_cookie 1",
    ),
    (
        "10.30.7.0/24 via 10.77.0.9 rtt 300ms rttvar lock 250ms rto_min lock 1.5s",
        "rtt 300ms rttvar lock 250ms rto_min lock 1.5s",
    ),
    ("10.30.8.0/24 via 10.77.0.9 rtt 100 rttvar 50 rto_min 300", "rtt 200ms rttvar 200ms rto_min 300ms"),
    ("10.30.9.0/24 via 10.77.0.9 rtt 121s rttvar 120s", "rtt 120s rttvar 120s"),
    ("10.30.10.0/24 via 10.77.0.9 mtu 1300 hoplimit 255", "mtu 1300 hoplimit 255"),
    (
        "10.30.11.0/24 dev eth0 encap ip id 5 dst 10.77.0.7 ttl 3 tos 4",
        "  encap ip id 5 src 0.0.0.0 dst 10.77.0.7 ttl 3 tos 4 dev eth0",
    ),
    (
        "10.30.12.0/24 dev eth0 encap ip id 4294967295 dst 10.77.0.7 src 10.77.0.1 tos 255 ttl 255 flags 65535",
        "encap ip id 4294967295 src 10.77.0.1 dst 10.77.0.7 ttl 255 tos 255 key csum seq dev eth0",
    ),
    (
        "10.30.13.0/24 dev eth0 encap ip6 id 7 dst fd77::9 src fd77::1 tc 8 hoplimit 9",
        "encap ip6 id 7 src fd77::1 dst fd77::9 hoplimit 9 tc 8 dev eth0",
    ),
    ("10.30.14.0/24 dev eth0 tos 0x10", "10.30.14.0/24 tos 0x10 dev eth0"),
    ("10.30.15.0/24 dev eth0 src 10.77.0.1 metric 4294967295", "src 10.77.0.1 metric 4294967295"),
    ("10.30.16.0/24 dev eth0 table 4294967295", "10.30.16.0/24 dev eth0 table 4294967295"),
    ("10.30.17.0/24 dev eth0 no_track protocol 77", "10.30.17.0/24 dev eth0 table main proto 77"),
    ("10.30.18.0/24 dev eth0 scope host", "scope host"),
    ("throw 10.30.19.0/24", "throw 10.30.19.0/24"),
    ("prohibit 10.30.20.0/24", "prohibit 10.30.20.0/24"),
    (
        "unreachable 10.30.21.0/24 metric 7",
        "unreachable 10.30.21.0/24 table main proto keepalived scope global metric 7",
    ),
    ("multicast 239.1.1.0/24 dev eth0", "multicast 239.1.1.0/24 dev eth0"),
    (
        "10.30.22.0/24 nexthop via 10.77.0.5 dev eth0 weight 3 realms 5 nexthop via 10.88.0.5 weight 256 onlink dev eth0",
        "10.30.22.0/24 table main proto keepalived scope global \n\tnexthop via 10.77.0.5 realm 5 dev eth0 weight 3 \n\tnexthop via 10.88.0.5 dev eth0 weight 256 onlink",
    ),
    (
        "10.30.24.0/24 via 10.99.0.5 dev eth0 onlink",
        "10.30.24.0/24 via 10.99.0.5 dev eth0 table main proto keepalived scope global onlink",
    ),
    ("10.30.25.0/24 dev eth0 append", "10.30.25.0/24 dev eth0"),
    ("10.30.26.0/24 dev eth0 add", "10.30.26.0/24 dev eth0"),
    ("10.30.27.0/24 via 10.77.0.9 ttl-propagate enabled", "10.30.27.0/24 via 10.77.0.9"),
    (
        "fd30:1::/64 via fd77::9 pref high",
        "fd30:1::/64 via fd77::9 dev eth0 table main proto keepalived scope global metric 1024 pref high",
    ),
    ("fd30:2::/64 via fd77::9 metric 50 pref low", "metric 50 pref low"),
    ("fd30:3::/64 via fd77::9 from fd77::/64", "fd30:3::/64 from fd77::/64 via fd77::9"),
    (
        "fd30:4::/64 nexthop via fd77::5 dev eth0 weight 4 nexthop via fd77::6 dev eth0",
        "fd30:4::/64 table main proto keepalived scope global metric 1024 pref medium\n\tnexthop via fd77::5 dev eth0 weight 4 \n\tnexthop via fd77::6 dev eth0 weight 1",
    ),
];

/// The same, where keepalived 2.2.7 puts nothing or something else there.
const OWN_ROUTES: &[(&str, &str)] = &[
    ("10.31.1.0/24 via inet6 fd77::8 dev eth0", "10.31.1.0/24 via inet6 fd77::8 dev eth0"),
    (
        "10.31.2.0/24 via 10.77.0.5 or 10.77.0.6 dev eth0",
        "10.31.2.0/24 table main proto keepalived scope global \n\tnexthop via 10.77.0.5 dev eth0 weight 1 \n\tnexthop via 10.77.0.6 dev eth0 weight 1",
    ),
    (
        "10.31.3.0/24 nexthop via 10.77.0.5 dev eth0 encap ip id 3 dst 10.77.0.9 nexthop via 10.77.0.6 dev eth0",
        "nexthop  encap ip id 3 src 0.0.0.0 dst 10.77.0.9 ttl 0 tos 0 via 10.77.0.5 dev eth0 weight 1",
    ),
    ("10.31.4.7/24 dev eth0", "10.31.4.0/24 dev eth0"),
    ("10.31.6.0/24 dev eth0 protocol 78", "10.31.6.0/24 dev eth0 table main proto 78"),
    ("local 10.31.5.1 dev eth0", "local 10.31.5.1 dev eth0"),
    (
        "inet6 default via fd77::9 metric 5",
        "default via fd77::9 dev eth0 table main proto keepalived scope global metric 5",
    ),
    ("fd31:1::/64 via fd77::9 expires 1000", "expires "),
];

/// Lines of virtual_rules, and what `ip -d rule` shows of them.
const RULES: &[(&str, &str)] = &[
    (
        "from 10.5.1.0/24 table 70 realms 3/4 preference 100",
        "100:\tfrom 10.5.1.0/24 lookup 70 realms 3/4 proto keepalived",
    ),
    ("from 10.5.2.0/24 table 70 realms 5 preference 101", "101:\tfrom 10.5.2.0/24 lookup 70 realms 5 proto"),
    (
        "from 10.5.3.0/24 table 70 suppress_ifgroup 7 suppress_prefixlength 8 preference 102",
        "102:\tfrom 10.5.3.0/24 lookup 70 suppress_prefixlength 8 suppress_ifgroup 7 ",
    ),
    ("from 10.5.5.0/24 table 70 uidrange 100-200 preference 104", "104:\tfrom 10.5.5.0/24 uidrange 100-200 lookup 70"),
    ("from 10.5.6.0/24 l3mdev preference 105", "105:\tfrom 10.5.6.0/24 lookup [l3mdev-table]"),
    (
        "from 10.5.7.0/24 table 70 ipproto UDP sport 10-20 dport 20-30 preference 106",
        "106:\tfrom 10.5.7.0/24 ipproto udp sport 10-20 dport 20-30 lookup 70",
    ),
    ("from 10.5.9.0/24 table 70 fwmark 24/12 preference 108", "108:\tfrom 10.5.9.0/24 fwmark 0x18/0xc lookup 70"),
    ("from 10.5.10.0/24 table 70 fwmark 0x18 preference 109", "109:\tfrom 10.5.10.0/24 fwmark 0x18 lookup 70"),
    ("from 10.5.12.0/24 goto 120 preference 111", "111:\tfrom 10.5.12.0/24 goto 120"),
    ("from 10.5.13.0/24 nop preference 120", "120:\tfrom 10.5.13.0/24 nop"),
    ("from 10.5.14.0/24 type blackhole preference 121", "121:\tfrom 10.5.14.0/24 blackhole"),
    ("from 10.5.15.0/24 unreachable preference 122", "122:\tfrom 10.5.15.0/24 unreachable"),
    ("from 10.5.16.0/24 prohibit preference 123", "123:\tfrom 10.5.16.0/24 prohibit"),
    ("not from 10.5.17.0/24 table 71 preference 124", "124:\tnot from 10.5.17.0/24 lookup 71"),
    ("iif eth0 oif lo table 73 tos 0x10 preference 126", "126:\tfrom all tos 0x10 iif eth0 oif lo lookup 73"),
    (
        "from fd05::/64 to fd06::/64 table 70 sup_group default preference 129",
        "129:\tfrom fd05::/64 to fd06::/64 lookup 70 suppress_ifgroup default",
    ),
    ("table 70 sup_pl 0 preference 130", "130:\tfrom all lookup 70 suppress_prefixlength 0"),
    (
        "from 10.5.18.0/24 table 70 uidrange 5-4294967294 sport 1-65534 preference 131",
        "131:\tfrom 10.5.18.0/24 uidrange 5-4294967294 sport 1-65534 lookup 70",
    ),
];

const OWN_RULES: &[(&str, &str)] = &[
    (
        "from 10.6.1.0/24 table 70 tunnel-id 12345678901 preference 203",
        "203:\tfrom 10.6.1.0/24 tun_id 12345678901 lookup 70",
    ),
    (
        "from 10.6.2.0/24 table 70 ipproto tcp dport 80 preference 207",
        "207:\tfrom 10.6.2.0/24 ipproto tcp dport 80 lookup 70",
    ),
    ("from 10.6.3.0/24 table 70 sport 1000-65535 preference 208", "208:\tfrom 10.6.3.0/24 sport 1000-65534 lookup 70"),
    ("inet6 table 72 preference 209", "209:\tfrom all lookup 72"),
    ("from 10.6.4.0/24 table 70 protocol 77 preference 210", "210:\tfrom 10.6.4.0/24 lookup 70 proto 77"),
];

fn conf(routes: &[&[(&str, &str)]], rules: &[&[(&str, &str)]]) -> String {
    let lines = |all: &[&[(&str, &str)]]| {
        all.iter().flat_map(|rows| rows.iter()).map(|(line, _)| format!("  {line}\n")).collect::<String>()
    };
    format!(
        "vrrp_instance VI {{
 interface eth0
 virtual_router_id 51
 priority 255
 state MASTER
 advert_int 1
 virtual_ipaddress {{
  10.77.0.100/24
 }}
 virtual_routes {{
{}
 }}
 virtual_rules {{
{}
 }}
}}
",
        lines(routes),
        lines(rules)
    )
}

fn routes(host: &Host) -> String {
    host.show("-d -4 route show table all") + &host.show("-d -6 route show table all")
}

fn rules(host: &Host) -> String {
    host.show("-d -4 rule") + &host.show("-d -6 rule")
}

/// The first row that is not in the kernel.
fn missing(host: &Host) -> Option<&'static str> {
    let (routes, rules) = (routes(host), rules(host));
    let absent = |text: &str, row: &(&'static str, &'static str)| !text.contains(row.1);
    let route = ROUTES.iter().chain(OWN_ROUTES).find(|r| absent(&routes, r));
    route.or_else(|| RULES.iter().chain(OWN_RULES).find(|r| absent(&rules, r))).map(|r| r.0)
}

#[test]
fn every_option_reaches_the_kernel_and_is_put_back() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("route add default via 10.77.0.200");
    let all = conf(&[ROUTES, OWN_ROUTES, &[("default via 10.77.0.201", "")]], &[RULES, OWN_RULES]);
    let d = Daemon::start(host, Kind::Steadfast, &all);
    let there = |what: &str| {
        let found = eventually(SOON, || missing(host).is_none());
        assert!(found, "{what}: {:?} is missing\n{}{}\n{}", missing(host), routes(host), rules(host), d.log());
    };
    there("start");
    assert!(!d.log().contains("refused"), "{}", d.log());
    // Ours goes before the host's own, which stays.
    let defaults = host.show("route show default");
    assert!(defaults.starts_with("default via 10.77.0.201") && defaults.contains("10.77.0.200"), "{defaults}");
    // Each is removed, but the one that is not tracked; what the kernel says of it must be recognised as ours.
    for (family, proto) in [("-4", "18"), ("-6", "18"), ("-4", "78")] {
        let _ = host.show(&format!("{family} route flush table all proto {proto}"));
    }
    there("after the flush of routes");
    for (line, _) in RULES.iter().chain(OWN_RULES) {
        let family = if line.contains("fd05") || line.contains("inet6") { "-6" } else { "-4" };
        let preference = line.split("preference ").nth(1).expect("preference");
        host.ip(&format!("{family} rule del preference {preference}"));
    }
    there("after the removal of rules");
    // One hop of two.
    host.ip("-6 route del fd30:4::/64 via fd77::6 dev eth0");
    there("after the removal of a hop");
    // Replaced by somebody: ours comes back before it.
    host.ip("route replace 10.30.2.0/24 via 10.77.0.66");
    let first = || host.show("route show 10.30.2.0/24").starts_with("10.30.2.0/24 via 10.77.0.9");
    assert!(eventually(SOON, first), "{}\n{}", host.show("route show 10.30.2.0/24"), d.log());
    // The host's own default route is not ours.
    let before = d.log().matches("was removed by somebody").count();
    host.ip("route del default via 10.77.0.200");
    host.ip("route add default via 10.77.0.200 metric 9");
    // A rule that is there is not added a second time by a successor.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(d.pid_of("vrrp.pid").expect("pid")),
        nix::sys::signal::Signal::SIGKILL,
    )
    .expect("kill");
    d.wait_log("continuing in MASTER state", SOON);
    there("after the death of the child");
    assert_eq!(d.log().matches("was removed by somebody").count(), before, "{}", d.log());
    let twice = rules(host).lines().filter(|l| l.starts_with("100:")).count();
    assert_eq!(twice, 1, "{}", rules(host));
    assert_eq!(d.stop(), Some(0));
    let (left, defaults) = (routes(host) + &rules(host), host.show("route show default"));
    assert!(!left.contains("keepalived"), "{left}");
    assert!(defaults.starts_with("default via 10.77.0.200"), "{defaults}");
}

#[test]
fn the_kernel_has_what_keepalived_puts_there() {
    require!(keepalived);
    let conf = conf(&[ROUTES], &[RULES]);
    let shown = [Kind::Steadfast, Kind::Keepalived].map(|kind| {
        let lan = Lan::new(1);
        let host = &lan.hosts[0];
        let d = Daemon::start(host, kind, &conf);
        let last = |text: String, word: &str| text.contains(word);
        let done = || last(routes(host), "fd30:4::/64") && last(rules(host), "uidrange 5-4294967294");
        assert!(eventually(SOON, done), "{kind:?}\n{}{}\n{}", routes(host), rules(host), d.log());
        let mut lines: Vec<String> = (routes(host) + &rules(host))
            .replace("\n\t", "\t")
            .lines()
            .filter(|l| ["10.30.", "239.", "fd30", "lookup 7", "10.5."].iter().any(|w| l.contains(w)))
            // `ip` gives a route without gateway the scope of its link; keepalived says global.
            .map(|l| {
                if l.contains(" dev eth0") && !l.contains(" via ") {
                    l.replace("scope link", "scope global")
                } else {
                    l.into()
                }
            })
            .collect();
        lines.sort();
        assert_eq!(d.stop(), Some(0));
        lines
    });
    let [ours, theirs] = shown;
    let only = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>();
    assert!(ours == theirs, "only ours: {:#?}\nonly keepalived's: {:#?}", only(&ours, &theirs), only(&theirs, &ours));
    assert!(ours.len() >= ROUTES.len() + RULES.len(), "{ours:#?}");
}

#[test]
fn a_static_route_of_a_track_group_that_cannot_be_there_means_fault() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let conf = "track_group G {
 group {
  VI
 }
}
static_routes {
 10.40.0.0/24 via 10.88.0.9 track_group G
}
vrrp_instance VI {
 interface eth0
 virtual_router_id 51
 virtual_ipaddress {
  10.77.0.100/24
 }
}
vrrp_instance OTHER {
 interface eth0
 virtual_router_id 52
 virtual_ipaddress {
  10.77.0.101/24
 }
}
";
    let d = Daemon::start(host, Kind::Steadfast, conf);
    // Nothing leads to the gateway.
    d.wait_log("(VI) Entering FAULT STATE", SOON);
    d.wait_log("(OTHER) Entering MASTER STATE", SOON);
    host.ip("addr add 10.88.0.1/24 dev eth0");
    assert!(eventually(Duration::from_secs(20), || host.has("10.77.0.100")), "{}", d.log());
    assert!(host.show("route").contains("10.40.0.0/24 via 10.88.0.9"));
    assert!(!d.log().contains("(OTHER) Entering FAULT"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}
