//! The MIBs beside net-snmp: snmpd as the AgentX master, snmpget and snmpwalk as managers, snmptrapd for notifications.

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::{ask, file, keepalived, send};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const KEEPALIVED: &str = "1.3.6.1.4.1.9586.100.5";
const RFC_2787: &str = "1.3.6.1.2.1.68";
const RFC_6527: &str = "1.3.6.1.2.1.207";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Whether net-snmp is there; says what is left out where it is not.
fn tools() -> bool {
    let there = ["/usr/sbin/snmpd", "/usr/sbin/snmptrapd", "/usr/bin/snmpwalk"].iter().all(|p| Path::new(p).is_file());
    if !there {
        println!("SKIPPED: snmpd, snmptrapd and snmpwalk are not installed: SNMP was not tried");
    }
    there
}

/// snmpd and snmptrapd of a host, with the folder that the AgentX socket is in.
struct Net<'h> {
    host: &'h Host,
    folder: tempfile::TempDir,
    daemons: Vec<Child>,
}

impl<'h> Net<'h> {
    fn new(host: &'h Host) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let socket = folder.path().join("agentx").display().to_string();
        file(
            folder.path(),
            "snmpd.conf",
            &format!(
                "agentaddress udp:127.0.0.1:161\nrocommunity public\nrwcommunity private\nmaster agentx\n\
                 agentXSocket unix:{socket}\ntrap2sink 127.0.0.1:162 public\n"
            ),
        );
        file(folder.path(), "trapd.conf", "disableAuthorization yes\n");
        let mut net = Net { host, folder, daemons: Vec::new() };
        net.run("/usr/sbin/snmptrapd", &["-f", "-On", "-C", "-c", "trapd.conf", "-Lf", "traps", "127.0.0.1:162"]);
        net.start();
        net
    }

    fn socket(&self) -> String {
        format!("unix:{}", self.folder.path().join("agentx").display())
    }

    fn run(&mut self, program: &str, words: &[&str]) {
        let mut c = self.host.command(program);
        c.args(words)
            .current_dir(self.folder.path())
            .env("MIBS", "")
            .env("SNMP_PERSISTENT_DIR", self.folder.path().join("state"));
        self.daemons.push(c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect(program));
    }

    fn start(&mut self) {
        self.run("/usr/sbin/snmpd", &["-f", "-C", "-c", "snmpd.conf", "-Lf", "snmpd.log"]);
        let up = || self.say("snmpget", "public", &["1.3.6.1.2.1.1.3.0"]).contains("Timeticks");
        let log = || std::fs::read_to_string(self.folder.path().join("snmpd.log")).unwrap_or_default();
        assert!(eventually(seconds(10), up), "snmpd does not start: {}", log());
    }

    /// Ends snmpd.
    fn kill(&mut self) {
        let mut snmpd = self.daemons.pop().expect("snmpd");
        let _ = snmpd.kill();
        let _ = snmpd.wait();
    }

    fn say(&self, program: &str, community: &str, words: &[&str]) -> String {
        let mut c = self.host.command(program);
        c.args(["-m", "", "-v2c", "-c", community, "-On", "-t", "1", "-r", "4", "127.0.0.1"]).args(words);
        let out = c.env("SNMP_PERSISTENT_DIR", self.folder.path().join("state")).output().expect(program);
        String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
    }

    /// The value of an object of KEEPALIVED-MIB.
    fn get(&self, name: &str) -> String {
        let text = self.say("snmpget", "public", &[&format!("{KEEPALIVED}.{name}")]);
        text.split_once(" = ").map_or(text.clone(), |(_, value)| value.trim().to_string())
    }

    fn walk(&self, root: &str) -> BTreeMap<String, String> {
        let text = self.say("snmpwalk", "public", &[root]);
        let lines = text.lines().filter_map(|l| l.split_once(" = "));
        lines.map(|(name, value)| (name.to_string(), value.trim().to_string())).collect()
    }

    /// Notifications so far.
    fn traps(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("traps")).unwrap_or_default();
        text.lines().filter(|l| l.contains("1.3.6.1.6.3.1.1.4.1.0")).map(String::from).collect()
    }

    /// Waits for a notification with all these words.
    fn trap(&self, words: &[&str]) {
        let there = || self.traps().iter().any(|t| words.iter().all(|w| t.contains(w)));
        assert!(eventually(seconds(10), there), "no notification with {words:?}:\n{}", self.traps().join("\n"));
    }
}

impl Drop for Net<'_> {
    fn drop(&mut self) {
        for d in &mut self.daemons {
            let _ = d.kill();
            let _ = d.wait();
        }
    }
}

fn conf(net: &Net<'_>, globals: &str, rest: &str) -> String {
    format!(
        "global_defs {{\n router_id lab\n snmp_socket {}\n enable_snmp_vrrp\n enable_snmp_rfc\n enable_traps\n script_user root\n {globals}\n}}\n{rest}",
        net.socket()
    )
}

fn instance(name: &str, vrid: u8, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n advert_int 1\n priority 150\n \
         virtual_ipaddress {{\n 10.77.0.{vrid}/24\n }}\n {more}\n}}\n"
    )
}

/// The process of the observer.
fn observer(d: &Daemon) -> Option<i32> {
    let parent = d.pid_of("pid")?;
    let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let snmp = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|b| *b == 0).any(|word| word == b"snmp")
    };
    children.split_whitespace().filter_map(|p| p.parse().ok()).find(snmp)
}

#[test]
fn managers_read_what_is_and_hear_of_changes() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let net = Net::new(host);
    let two = instance("ONE", 51, "") + &instance("TWO", 52, "version 3\n nopreempt\n dont_track_primary");
    let d = Daemon::start(host, Kind::Steadfast, &conf(&net, "", &two));
    let state = |n: u32| net.get(&format!("2.3.1.4.{n}"));
    assert!(eventually(seconds(10), || state(1) == "INTEGER: 2" && state(2) == "INTEGER: 2"), "{}", d.log());

    // get, get-next, get-bulk, walk.
    assert_eq!(net.get("1.2.0"), "STRING: \"lab\"");
    assert_eq!(net.get("2.3.1.2.2"), "STRING: \"TWO\"");
    assert!(net.get("2.3.1.2.3").contains("No Such Instance"));
    assert!(net.get("2.3.1.99.1").contains("No Such Object"));
    let next = net.say("snmpgetnext", "public", &[&format!("{KEEPALIVED}.2.3.1.7")]);
    assert!(next.contains("2.3.1.7.1 = INTEGER: 150"), "{next}");
    let bulk = net.say("snmpbulkget", "public", &["-Cr3", &format!("{KEEPALIVED}.2.3.1.3")]);
    assert!(
        ["3.1.3.1 = Gauge32: 51", "3.1.3.2 = Gauge32: 52", "3.1.4.1 = INTEGER: 2"].iter().all(|w| bulk.contains(w))
    );
    let walk = net.walk(KEEPALIVED);
    let by_bulk = net.say("snmpbulkwalk", "public", &[KEEPALIVED]);
    assert!(walk.len() > 80 && by_bulk.lines().count() == walk.len(), "{} {}", walk.len(), by_bulk.lines().count());
    let three = net.walk(RFC_6527);
    let ifindex = host.show("link show dev eth0").split(':').next().expect("index").to_string();
    assert_eq!(three[&format!(".{RFC_6527}.1.1.1.1.6.{ifindex}.52.1")], "INTEGER: 3");
    assert_eq!(three[&format!(".{RFC_6527}.1.1.2.1.2.{ifindex}.52.1.10.77.0.52")], "INTEGER: 1");
    assert_eq!(net.walk(RFC_2787)[&format!(".{RFC_2787}.1.3.1.3.{ifindex}.51")], "INTEGER: 3");

    // Notifications: instance, and both RFCs.
    net.trap(&[&format!("{KEEPALIVED}.2.10.0.2"), "\"ONE\"", "3.1.4 = INTEGER: 1"]);
    net.trap(&[&format!("{KEEPALIVED}.2.10.0.2"), "\"ONE\"", "3.1.4 = INTEGER: 2", "\"lab\""]);
    net.trap(&[&format!("{RFC_2787}.0.1"), &format!("{RFC_2787}.1.3.1.7.{ifindex}.51 = IpAddress: 10.77.0.1")]);
    net.trap(&[&format!("{RFC_6527}.0.1"), &format!("{RFC_6527}.1.2.5.1.2.{ifindex}.52.1 = INTEGER: 3")]);

    // A change is seen by the first who asks after it.
    host.cable(false);
    d.wait_log("(ONE) Entering FAULT STATE", seconds(10));
    assert_eq!((state(1).as_str(), net.get("2.3.1.9.1").as_str()), ("INTEGER: 3", "INTEGER: 2"), "{}", d.log());
    net.trap(&["\"ONE\"", "3.1.4 = INTEGER: 3"]);
    host.cable(true);
    assert!(eventually(seconds(10), || state(1) == "INTEGER: 2"));

    // A reload without SNMP ends it.
    d.reload(&two);
    assert!(eventually(seconds(10), || observer(&d).is_none()), "{}", d.log());
    assert!(net.walk(KEEPALIVED).len() <= 1);
    assert_eq!(d.stop(), Some(0));
}

/// Each word has its part of the tree, and no other.
#[test]
fn each_part_is_there_for_its_word() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(1);
    let net = Net::new(&lan.hosts[0]);
    let two = instance("ONE", 51, "") + &instance("TWO", 52, "version 3");
    let text = |word: &str| format!("global_defs {{\n snmp_socket {}\n {word}\n}}\n{two}", net.socket());
    let mut d: Option<Daemon> = None;
    for (word, wanted) in [
        ("enable_snmp_keepalived", [true, false, false]),
        ("enable_snmp_rfcv2", [false, true, false]),
        ("enable_snmp_vrrp", [true, false, false]),
        ("enable_snmp_rfcv3", [false, false, true]),
        ("enable_snmp_rfc", [false, true, true]),
    ] {
        let d = match &d {
            Some(d) => {
                d.reload(&text(word));
                d
            }
            None => d.insert(Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(word))),
        };
        // The table of instances, and those of both RFCs.
        let seen = || {
            [format!("{KEEPALIVED}.2.3"), format!("{RFC_2787}.1.3"), format!("{RFC_6527}.1.1")]
                .map(|r| net.walk(&r).len() > 1)
        };
        assert!(eventually(seconds(10), || seen() == wanted), "{word}: {:?}: {}", seen(), d.log());
    }
    assert_eq!(d.map(Daemon::stop), Some(Some(0)));
}

#[test]
fn a_stop_is_told() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(1);
    let net = Net::new(&lan.hosts[0]);
    let group = "vrrp_sync_group G {\n group {\n ONE\n TWO\n }\n}\n";
    let rest = instance("ONE", 51, "") + &instance("TWO", 52, "") + group;
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&net, "", &rest));
    net.trap(&[&format!("{KEEPALIVED}.2.10.0.1"), "\"G\"", "1.1.3 = INTEGER: 2"]);
    assert_eq!(net.get("2.1.1.3.1"), "INTEGER: 2");
    assert_eq!(d.stop(), Some(0));
    net.trap(&["\"ONE\"", "3.1.4 = INTEGER: 5"]);
    net.trap(&["\"G\"", "1.1.3 = INTEGER: 5"]);
}

#[test]
fn managers_set_priority_and_preemption() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(1);
    let net = Net::new(&lan.hosts[0]);
    let owner = instance("OWNER", 53, "").replace("priority 150", "priority 255");
    let rest = instance("ONE", 51, "") + &owner;
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&net, "", &rest));
    assert!(eventually(seconds(10), || net.get("2.3.1.4.1") == "INTEGER: 2"), "{}", d.log());
    let set = |name: &str, value: &str| net.say("snmpset", "private", &[&format!("{KEEPALIVED}.{name}"), "i", value]);
    assert!(set("2.3.1.7.1", "120").contains("INTEGER: 120"));
    assert_eq!(net.get("2.3.1.7.1"), "INTEGER: 120");
    assert!(eventually(seconds(5), || ask(&d, &["status"]).contains("priority 120")), "{}", ask(&d, &["status"]));
    assert!(set("2.3.1.13.1", "2").contains("INTEGER: 2"));
    d.wait_log("(ONE) preemption disabled by SNMP", seconds(5));
    for (name, value, why) in [
        ("2.3.1.7.1", "300", "wrongValue"),
        ("2.3.1.7.2", "100", "inconsistentValue"),
        ("2.3.1.3.1", "9", "notWritable"),
        ("2.3.1.27.1", "1", "notWritable"),
    ] {
        assert!(set(name, value).contains(why), "{name} {value}: {}", set(name, value));
    }
    // Read-only is who only reads.
    let name = format!("{KEEPALIVED}.2.3.1.7.1");
    assert!(net.say("snmpset", "public", &[&name, "i", "9"]).contains("noAccess"));
    // The successor of a process that dies goes on with it, and the operator is told.
    let pid = d.pid_of("vrrp.pid").expect("pid");
    send(pid, Signal::SIGKILL);
    assert!(eventually(seconds(10), || d.pid_of("vrrp.pid").is_some_and(|p| p != pid)), "{}", d.log());
    let told = "priority 120 (priority and preemption set by SNMP)";
    assert!(eventually(seconds(10), || ask(&d, &["status"]).contains(told)), "{}", ask(&d, &["status"]));
    assert!(ask(&d, &["explain", "ONE"]).contains("Its priority is 120 (priority and preemption set by SNMP)."));
    let file = d.path("conf");
    let planned = ask(&d, &["plan", &file.display().to_string()]);
    for line in ["priority: 120, set by SNMP -> 150", "preemption: disabled, set by SNMP -> enabled"] {
        assert!(planned.contains(line), "{planned}");
    }
    // The file holds again after a reload.
    d.reload(&conf(&net, "", &rest.replace("advert_int 1", "advert_int 2")));
    assert!(eventually(seconds(10), || net.get("2.3.1.7.1") == "INTEGER: 150"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn whoever_dies_is_back_and_the_routers_do_not_notice() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(2);
    let mut net = Net::new(&lan.hosts[0]);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&net, "", &instance("ONE", 51, "")));
    let backup = instance("ONE", 51, "").replace("priority 150", "priority 100");
    let peer = Daemon::start(&lan.hosts[1], Kind::Steadfast, &backup);
    assert!(eventually(seconds(10), || net.get("2.3.1.4.1") == "INTEGER: 2"), "{}", d.log());
    peer.wait_log("(ONE) Entering BACKUP STATE", seconds(10));
    let vrrp = d.pid_of("vrrp.pid");
    let told = net.traps().len();

    // The observer, twice: the second time it comes back after a pause.
    for _ in 0..2 {
        let before = observer(&d).expect("an observer");
        send(before, Signal::SIGKILL);
        assert!(eventually(seconds(10), || observer(&d).is_some_and(|p| p != before)), "{}", d.log());
        assert!(eventually(seconds(10), || net.get("2.3.1.4.1") == "INTEGER: 2"), "{}", d.log());
    }
    assert_eq!(net.traps().len(), told, "nothing has happened that managers do not know");
    // One that hangs: the daemon ends it.
    let hangs = observer(&d).expect("an observer");
    send(hangs, Signal::SIGSTOP);
    assert!(eventually(seconds(30), || observer(&d).is_some_and(|p| p != hangs)), "{}", d.log());
    assert!(eventually(seconds(20), || net.get("2.3.1.4.1") == "INTEGER: 2"), "{}", d.log());

    // The master: what was served is registered with the next one.
    net.kill();
    d.wait_log("the AgentX master is not there", seconds(10));
    net.start();
    assert!(eventually(seconds(20), || net.get("2.3.1.4.1") == "INTEGER: 2"), "{}", d.log());
    // A master that says nothing is given up, and a GET of its successor answered.
    assert_eq!(d.pid_of("vrrp.pid"), vrrp);
    assert!(!peer.log().contains("MASTER STATE"), "the peer has taken over:\n{}", peer.log());
    assert!(lan.hosts[0].has("10.77.0.51") && !lan.hosts[1].has("10.77.0.51"));
    assert_eq!((peer.stop(), d.stop()), (Some(0), Some(0)));
}

/// Without IPVS in this kernel: servers are checked all the same. What the balancer counts was compared in a guest.
#[test]
fn servers_that_come_and_go() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(1);
    let net = Net::new(&lan.hosts[0]);
    let alive = file(net.folder.path(), "alive", "");
    let check = format!("MISC_CHECK {{\n misc_path \"/usr/bin/test -e {alive}\"\n retry 0\n }}");
    let rest = instance("ONE", 51, "")
        + &format!(
            "virtual_server 10.77.0.51 80 {{\n delay_loop 1\n lb_algo wrr\n lb_kind NAT\n protocol TCP\n quorum 4\n snmp_name web\n \
             real_server 10.77.0.8 80 {{\n weight 3\n {check}\n }}\n real_server 10.77.0.9 80 {{\n weight 1\n }}\n}}\n\
             virtual_server fwmark 5 {{\n delay_loop 1\n real_server 10.77.0.7 80 {{\n {check}\n }}\n}}\n"
        );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&net, "enable_snmp_checker", &rest));
    let name = |n: &str| format!("{KEEPALIVED}.{n}");
    net.trap(&[&name("3.5.0.2"), "3.3.1.7 = Gauge32: 80", "3.3.1.23 = INTEGER: 1"]);
    assert_eq!(net.get("3.3.1.71.1"), "STRING: \"web\"");
    assert_eq!((net.get("3.4.1.6.1.1"), net.get("3.3.1.21.1")), ("INTEGER: 1".into(), "Gauge32: 2".into()));
    std::fs::remove_file(&alive).expect("file");
    net.trap(&[&name("3.5.0.1"), "3.4.1.4 = Hex-STRING: 0A 4D 00 08", "3.4.1.6 = INTEGER: 2", "3.3.1.21 = Gauge32: 1"]);
    net.trap(&[&name("3.5.0.2"), "3.3.1.7 = Gauge32: 80", "3.3.1.23 = INTEGER: 2", "3.3.1.22 = Gauge32: 4"]);
    net.trap(&[&name("3.5.0.2"), "3.3.1.4 = Gauge32: 5", "3.3.1.23 = INTEGER: 2"]);
    let is = [net.get("3.4.1.6.1.1"), net.get("3.4.1.6.1.2"), net.get("3.3.1.21.1"), net.get("3.3.1.23.1")];
    assert_eq!(is, ["INTEGER: 2", "INTEGER: 1", "Gauge32: 1", "INTEGER: 2"]);

    // The server that is left gets all of the weight that is needed.
    let set = net.say("snmpset", "private", &[&name("3.4.1.7.1.2"), "i", "4"]);
    assert!(set.contains("INTEGER: 4"), "{set}");
    assert!(eventually(seconds(5), || net.get("3.3.1.23.1") == "INTEGER: 1"), "{}", d.log());
    assert!(ask(&d, &["status"]).contains("[10.77.0.9]:tcp:80  weight 4"), "{}", ask(&d, &["status"]));
    // A reload that takes the first service out: the second is now the first.
    let (first, second) = rest.split_once("virtual_server fwmark").expect("two services");
    let only = format!("{}virtual_server fwmark{second}", first.split("virtual_server").next().expect("instances"));
    d.reload(&conf(&net, "enable_snmp_checker", &only));
    assert!(eventually(seconds(10), || net.get("3.3.1.2.1") == "INTEGER: 1"), "{}", d.log());
    assert!(net.get("3.3.1.2.2").contains("No Such Instance"));
    std::fs::write(&alive, "").expect("file");
    net.trap(&[&name("3.5.0.1"), "3.4.1.4 = Hex-STRING: 0A 4D 00 07", "3.4.1.6 = INTEGER: 1", "3.3.1.4 = Gauge32: 5"]);
    assert_eq!(net.get("3.4.1.6.1.1"), "INTEGER: 1");
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn packets_that_are_refused_are_told() {
    require!();
    if !tools() {
        return;
    }
    let lan = Lan::new(2);
    let net = Net::new(&lan.hosts[0]);
    let auth = |word: &str| instance("ONE", 51, &format!("authentication {{\n auth_type PASS\n auth_pass {word}\n }}"));
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&net, "", &auth("right")));
    let peer = Daemon::start(&lan.hosts[1], Kind::Steadfast, &auth("wrong").replace("version 2", "version 3"));
    net.trap(&[
        &format!("{RFC_2787}.0.2"),
        &format!("{RFC_2787}.1.5.0 = IpAddress: 10.77.0.2"),
        &format!("{RFC_2787}.1.6.0 = INTEGER: 3"),
    ]);
    assert_eq!(peer.stop(), Some(0));
    let peer = Daemon::start(&lan.hosts[1], Kind::Steadfast, &instance("ONE", 51, "version 3"));
    net.trap(&[&format!("{RFC_6527}.0.2"), ".51.1 = INTEGER: 2"]);
    assert_eq!((peer.stop(), d.stop()), (Some(0), Some(0)));
}

#[test]
fn an_absent_master_costs_nothing() {
    require!();
    let lan = Lan::new(1);
    let globals = "global_defs {\n snmp_socket /nowhere/agentx\n enable_snmp_vrrp\n enable_traps\n}\n";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(globals.to_string() + &instance("ONE", 51, "")));
    d.wait_log("the AgentX master is not there", seconds(10));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.51")), "{}", d.log());
    assert_eq!(d.log().matches("the AgentX master is not there").count(), 1, "said once");
    assert!(observer(&d).is_some());
    assert_eq!(d.stop(), Some(0));
}

/// Objects that are not as keepalived 2.2.7 has them, on purpose: docs/differences.md says why.
fn on_purpose(name: &str, ours: Option<&String>, theirs: Option<&String>) -> bool {
    let own = name.strip_prefix(&format!(".{KEEPALIVED}."));
    let is = |table: &str| own.is_some_and(|o| o.starts_with(table));
    let two = |column: &str| name.starts_with(&format!(".{RFC_2787}.1.3.1.{column}."));
    let uptime = two("13") || name.starts_with(&format!(".{RFC_6527}.1.1.1.1.12."));
    let absent = is("1.3.") && ours.is_none();
    let version_2_accept = is("2.3.1.27.") && theirs.is_some_and(|t| t == "INTEGER: 0");
    let counted = is("2.21.1.13.") || is("2.21.1.14.");
    is("1.1.0")
        || is("2.3.1.11.")
        || is("2.6.1.11.")
        || two("7")
        || two("10")
        || uptime
        || absent
        || version_2_accept
        || counted
}

#[test]
fn object_by_object_as_keepalived() {
    require!();
    if !tools() {
        return;
    }
    if keepalived().is_none() {
        return println!("SKIPPED: keepalived is not installed: its MIB was not compared");
    }
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let net = Net::new(host);
    let tracked = file(net.folder.path(), "tracked", "3");
    let rest = format!(
        "vrrp_script good {{\n script \"/bin/true\"\n interval 1\n weight 5\n rise 2\n fall 3\n}}\n\
         vrrp_script bad {{\n script \"/bin/false x\"\n interval 2\n weight -7 reverse\n}}\n\
         track_file number {{\n file {tracked}\n weight 2\n}}\n\
         static_ipaddress {{\n 198.51.100.1/24 dev eth0 scope link\n}}\n\
         static_routes {{\n 198.51.101.0/24 via 10.77.0.9 dev eth0 metric 5\n}}\n\
         static_rules {{\n from 198.51.100.0/24 table 7 priority 1000\n}}\n\
         vrrp_sync_group G {{\n group {{\n ONE\n TWO\n }}\n sync_group_tracking_weight\n notify_master \"/bin/echo a\"\n notify \"/bin/echo b c\"\n track_script {{\n good\n }}\n}}\n\
         vrrp_instance ONE {{\n interface eth0\n state MASTER\n virtual_router_id 51\n priority 110\n \
         authentication {{\n auth_type PASS\n auth_pass secret\n }}\n \
         virtual_ipaddress {{\n 10.77.0.51/24 label eth0:v\n 10.77.0.52/32 brd 10.77.0.255 scope link\n }}\n \
         virtual_ipaddress_excluded {{\n 10.77.0.53/24\n 2001:db8::5/64\n }}\n \
         virtual_routes {{\n 203.0.113.0/24 via 10.77.0.8 dev eth0 src 10.77.0.51 metric 12 mtu lock 1400 hoplimit 9 advmss 1000 \
         rtt 10ms reordering 4 window 1000 cwnd lock 4 ssthresh lock 3 initcwnd 10 initrwnd 11 congctl cubic features ecn quickack 1 realms 3/4 tos 8\n \
         blackhole 203.0.114.0/24\n 203.0.115.0/24 nexthop via 10.77.0.7 dev eth0 weight 2 nexthop via 10.77.0.6 dev eth0 weight 3\n \
         2001:db8:7::/48 via fd77::9 dev eth0\n 203.0.116.0/24 via 10.77.0.8 dev eth0 table 100\n }}\n \
         virtual_rules {{\n from 203.0.113.0/24 to 203.0.114.0/24 table 9 priority 2000 fwmark 4/0xff iif eth0\n \
         to 203.0.115.0/24 table 9 priority 2001 not tos 16 oif eth0 realms 5/6\n }}\n \
         track_script {{\n bad weight 3\n }}\n track_interface {{\n lo weight 10\n }}\n \
         notify_backup \"/bin/echo d\"\n notify_deleted \"/bin/echo e\"\n}}\n\
         vrrp_instance TWO {{\n interface eth0\n virtual_router_id 52\n version 3\n nopreempt\n advert_int 0.5\n no_accept\n \
         virtual_ipaddress {{\n 10.77.0.54/24\n }}\n}}\n\
         vrrp_instance SIX {{\n interface eth0\n virtual_router_id 61\n priority 90\n preempt_delay 4\n advert_int 1.5\n \
         virtual_ipaddress {{\n fe80::61/64\n 2001:db8::61/64\n }}\n track_file {{\n number\n }}\n}}\n"
    );
    let mail = "notification_email {\n a@example.org\n b@example.org\n }\n notification_email_from k@example.org\n smtp_server 10.77.0.250 2525\n smtp_connect_timeout 7\n dynamic_interfaces\n vrrp_garp_master_delay 3";
    let text = conf(&net, mail, &rest);
    let all = |kind: Kind| {
        let d = Daemon::start(host, kind, &text);
        let masters = || (1..=3).all(|n| net.get(&format!("2.3.1.4.{n}")) == "INTEGER: 2");
        assert!(eventually(seconds(20), masters), "{kind:?}\n{}", d.log());
        // Scripts have had their say.
        let effective = || net.get("2.3.1.8.1") == "INTEGER: 125" && net.get("2.9.1.6.1") == "INTEGER: 3";
        assert!(eventually(seconds(20), effective), "{kind:?} {}\n{}", net.get("2.3.1.8.1"), d.log());
        let mut objects = BTreeMap::new();
        for root in [KEEPALIVED, RFC_2787, RFC_6527] {
            objects.extend(net.walk(root));
        }
        let status = d.stop();
        assert_eq!(status, Some(0));
        objects
    };
    let (theirs, ours) = (all(Kind::Keepalived), all(Kind::Steadfast));
    assert!(theirs.len() > 300, "{} objects", theirs.len());
    let names = theirs.keys().chain(ours.keys()).collect::<std::collections::BTreeSet<_>>();
    let differ = |n: &&&String| {
        let (a, b) = (ours.get(**n), theirs.get(**n));
        a != b && !on_purpose(n, a, b)
    };
    let wrong: Vec<String> = names
        .iter()
        .filter(differ)
        .map(|n| format!("{n}: ours {:?}, theirs {:?}", ours.get(*n), theirs.get(*n)))
        .collect();
    println!(
        "{} objects, {} of keepalived, {} of both alike",
        names.len(),
        theirs.len(),
        theirs.iter().filter(|(n, v)| ours.get(*n) == Some(v)).count()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
