//! Links that the host's kernel may not have: ipvlan and VRF, beside what Debian's keepalived makes of them.

use std::process::{Child, Command, Stdio};
use steadfast_test_vm::lab::{Director, sh};
use steadfast_test_vm::{eventually, seconds};

/// One test.
pub type Test = fn();

/// Every test, by name.
pub const TESTS: &[(&str, Test)] = &[
    ("ipvlans_are_as_keepalived_makes_them", ipvlans_are_as_keepalived_makes_them),
    ("an_ipvlan_survives_its_child_and_goes_with_the_daemon", an_ipvlan_survives_its_child_and_goes_with_the_daemon),
    ("virtual_links_follow_their_base_into_a_vrf", virtual_links_follow_their_base_into_a_vrf),
    ("unicast_within_a_vrf", unicast_within_a_vrf),
];

/// A host `box` with eth0 in the VRF blue or in none, and `ear` at the other end.
fn build(vrf: bool) {
    sh("modprobe -a veth ipvlan macvlan vrf; ip netns del box 2>/dev/null; ip netns del ear 2>/dev/null; true");
    sh("set -e; ip netns add box; ip netns add ear; ip -n box link set lo up; ip -n ear link set lo up; \
        ip -n box link add eth0 type veth peer name p0 netns ear; ip -n ear link set p0 up; ip -n box link set eth0 up; \
        ip -n box link add blue type vrf table 10; ip -n box link set blue up; \
        ip -n box link add red type vrf table 11; ip -n box link set red up");
    if vrf {
        sh("ip -n box link set eth0 master blue");
    }
    sh("set -e; ip -n box addr add 10.77.0.1/24 dev eth0; ip -n box addr add fd77::1/64 dev eth0 nodad; \
        ip -n ear addr add 10.77.0.2/24 dev p0");
    assert!(eventually(seconds(8), || sh("ip -n box -6 addr show dev eth0 scope link -tentative").contains("fe80")));
}

/// The first adverts on the wire: hardware address, source, destination. Empty when none comes for some seconds.
fn advert() -> String {
    let script = "import socket,select\ns=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons(3))\ns.bind(('p0',0))\n\
        import time\nend=time.time()+6\nwhile time.time()<end:\n \
        if not select.select([s],[],[],1)[0]: continue\n f=s.recv(2000)\n v=f[14]>>4\n \
        if v==4 and f[23]==112: print(f[6:12].hex(),socket.inet_ntoa(f[26:30]),socket.inet_ntoa(f[30:34])); break\n \
        if v==6 and f[20]==112: print(f[6:12].hex(),socket.inet_ntop(10,f[22:38]),socket.inet_ntop(10,f[38:54])); break";
    sh(&format!("ip netns exec ear python3 -c \"{script}\"")).trim().to_string()
}

fn conf(words: &str, address: &str) -> String {
    format!(
        "vrrp_instance VI {{\n {words}\n virtual_router_id 51\n priority 200\n advert_int 1\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}

/// Debian's keepalived in the box.
struct Other(Child);

impl Other {
    fn start(configuration: &str) -> Other {
        std::fs::write("/run/other.conf", configuration).expect("configuration");
        let words = "netns exec box keepalived -n -l -D -B -f /run/other.conf -p /run/other.pid -r /run/other.v -c /run/other.c";
        let quiet = Stdio::null;
        let command = Command::new("ip").args(words.split(' ')).stdin(quiet()).stdout(quiet()).stderr(quiet()).spawn();
        Other(command.expect("keepalived"))
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        sh("kill $(cat /run/other.pid); true");
        let _ = self.0.wait();
    }
}

/// The links of the box that are ipvlans, and all addresses, without what differs from boot to boot.
fn seen(address: &str) -> Vec<String> {
    let there = || sh("ip -n box -br addr").contains(address);
    assert!(eventually(seconds(10), there), "{}", sh("ip -n box -br addr"));
    let wire = advert();
    assert!(!wire.is_empty(), "no advert is heard");
    let kind = sh(
        "ip -n box -d -o link show type ipvlan | sed -n 's/.*: \\([^:]*\\): .*\\(ipvlan *mode [a-z0-9]* [a-z]*\\).*/\\1 \\2/p'",
    );
    let link = sh("ip -n box -br link show type ipvlan | cut -d@ -f1").trim().to_string();
    let six = sh(&format!("ip netns exec box cat /proc/sys/net/ipv6/conf/{link}/disable_ipv6"));
    let mut all: Vec<String> = sh("ip -n box -br addr")
        .lines()
        .map(|l| {
            let mut words: Vec<&str> = l.split_whitespace().collect();
            // Addresses of one link come in any order.
            words[2..].sort_unstable();
            words.join(" ")
        })
        .collect();
    all.sort();
    all.extend([kind, six, wire]);
    all
}

fn ipvlans_are_as_keepalived_makes_them() {
    build(false);
    let own = sh("ip -n box -br link show eth0 | awk '{print $3}'").trim().replace(':', "");
    for (words, address, source) in [
        ("use_ipvlan 10.77.0.9/24", "10.77.0.100/24", "10.77.0.9"),
        ("use_ipvlan ipv0 10.77.0.9 private", "10.77.0.100/24", "10.77.0.9"),
        ("use_ipvlan vepa 10.77.0.9/16 ipvx", "10.77.0.100/24", "10.77.0.9"),
        ("use_ipvlan ipv6 fd77::9/64", "fd77::100/64", "fd77::9"),
        ("use_ipvlan ipv6", "fe80::100/64", "fe80::"),
    ] {
        let text = conf(&format!("interface eth0\n {words}"), address);
        let theirs = {
            let _other = Other::start(&text);
            seen(address)
        };
        assert!(eventually(seconds(5), || sh("ip -n box link show type ipvlan").is_empty()));
        let d = Director::start(Some("box"), &text, &[]);
        let ours = seen(address);
        assert_eq!(ours, theirs, "{words}: {}", d.log());
        let wire = ours.last().expect("wire");
        assert!(wire.starts_with(&format!("{own} {source}")), "{words}: {wire}");
        d.stop();
        assert_eq!(sh("ip -n box link show type ipvlan"), "", "{words}");
    }
    // Of later versions: the words `name` and `group`.
    let d = Director::start(
        Some("box"),
        &conf("interface eth0\n use_ipvlan name abc 10.77.0.9/24 group 7", "10.77.0.100/24"),
        &[],
    );
    d.wait_log("Entering MASTER STATE");
    assert!(sh("ip -n box -d link show dev abc").contains("group 7"), "{}", sh("ip -n box -d link"));
    d.stop();
}

fn an_ipvlan_survives_its_child_and_goes_with_the_daemon() {
    build(false);
    let text = conf("interface eth0\n use_ipvlan 10.77.0.9/24", "10.77.0.100/24");
    let d = Director::start(Some("box"), &text, &[]);
    d.wait_log("Entering MASTER STATE");
    let link = || sh("ip -n box -o link show dev vrrp.51 | cut -d: -f1");
    let before = link();
    let pid = d.pid("vrrp.pid");
    sh(&format!("kill -9 {pid}"));
    assert!(eventually(seconds(6), || d.pid("vrrp.pid") != pid), "{}", d.log());
    assert!(advert().contains("10.77.0.9 224.0.0.18"), "{}", d.log());
    assert_eq!(link(), before, "it is the same link");
    assert!(sh("ip -n box -br addr").contains("10.77.0.100/24"), "{}", d.log());
    // Somebody removes the address, and then the link.
    sh("ip -n box addr del 10.77.0.9/24 dev vrrp.51");
    assert!(eventually(seconds(6), || sh("ip -n box addr show dev vrrp.51").contains("10.77.0.9/24")), "{}", d.log());
    sh("ip -n box link del vrrp.51");
    assert!(eventually(seconds(6), || sh("ip -n box -br addr").contains("10.77.0.9/24")), "{}", d.log());
    assert!(eventually(seconds(10), || advert().contains("10.77.0.9 224.0.0.18")), "{}", d.log());
    // The file wants another kind, and then none.
    d.reload(&text.replace("10.77.0.9/24", "10.77.0.9/24 private"));
    assert!(
        eventually(seconds(6), || sh("ip -n box -d link show dev vrrp.51 || true").contains("mode l2 private")),
        "{}",
        d.log()
    );
    d.reload(&conf("interface eth0", "10.77.0.100/24"));
    assert!(eventually(seconds(6), || sh("ip -n box link show type ipvlan").is_empty()), "{}", d.log());
    d.stop();
}

fn virtual_links_follow_their_base_into_a_vrf() {
    build(true);
    let text = conf("interface eth0\n use_vmac", "10.77.0.100/24");
    let master = |link: &str| {
        sh(&format!("ip -n box -o link show dev {link} | sed -n 's/.* master \\([a-z]*\\).*/\\1/p'")).trim().to_string()
    };
    {
        let _other = Other::start(&text);
        assert!(eventually(seconds(8), || sh("ip -n box -br addr").contains("10.77.0.100/24")));
        assert_eq!(master("vrrp.51"), "blue", "keepalived's");
    }
    let d = Director::start(Some("box"), &text, &[]);
    d.wait_log("Entering MASTER STATE");
    assert_eq!(master("vrrp.51"), "blue");
    sh("ip -n box link set eth0 master red");
    assert!(eventually(seconds(6), || master("vrrp.51") == "red"), "{}", d.log());
    sh("ip -n box link set eth0 nomaster");
    assert!(eventually(seconds(6), || master("vrrp.51").is_empty()), "{}", d.log());
    // The one that is named.
    d.reload(&text.replace("use_vmac", "use_vmac\n vrf red"));
    assert!(eventually(seconds(6), || master("vrrp.51") == "red"), "{}", d.log());
    assert!(
        eventually(seconds(6), || sh("ip -n box -br addr show dev vrrp.51").contains("10.77.0.100/24")),
        "{}",
        d.log()
    );
    // It was master all the time, and nobody was told to take over.
    let log = d.log();
    assert!(log.matches("Entering MASTER STATE").count() == 1 && !log.contains("sent 0 priority"), "{log}");
    d.stop();
    let d = Director::start(
        Some("box"),
        &conf("interface eth0\n use_ipvlan 10.77.0.9/24\n vrf blue", "10.77.0.100/24"),
        &[],
    );
    d.wait_log("Entering MASTER STATE");
    assert_eq!(master("vrrp.51"), "blue");
    d.stop();
}

fn unicast_within_a_vrf() {
    build(true);
    // The same address elsewhere: without the VRF the advert would go there.
    sh(
        "set -e; ip -n box link add other type veth peer name q0; ip -n box link set other up; ip -n box link set q0 up; \
        ip -n box addr add 10.77.0.3/24 dev other",
    );
    let peers = "vrf blue\n unicast_src_ip 10.77.0.1\n unicast_peer {\n 10.77.0.2\n }";
    let d = Director::start(Some("box"), &conf(peers, "10.77.0.100/24 dev eth0"), &[]);
    d.wait_log("Entering MASTER STATE");
    assert!(advert().ends_with("10.77.0.1 10.77.0.2"), "{}", d.log());
    // What the peer says is heard: a master of higher priority.
    let peer = conf("interface p0\n unicast_src_ip 10.77.0.2\n unicast_peer {\n 10.77.0.1\n }", "10.77.0.100/24")
        .replace("200", "250");
    let other = Director::start(Some("ear"), &peer, &[]);
    d.wait_log("Entering BACKUP STATE");
    assert!(eventually(seconds(8), || !sh("ip -n box -br addr").contains("10.77.0.100")), "{}", d.log());
    other.stop();
    assert!(eventually(seconds(8), || sh("ip -n box -br addr").contains("10.77.0.100")), "{}", d.log());
    d.stop();
}
