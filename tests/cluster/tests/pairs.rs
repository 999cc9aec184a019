//! Pairs in less usual arrangements: unicast over both families, preemption, groups, and what scripts and FIFOs are told.

use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{ask, file, keepalived, send};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const VIP6: &str = "fd77::100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn instance(name: &str, vrid: u8, priority: u8, interface: &str, more: &str, address: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface {interface}\n virtual_router_id {vrid}\n version 3\n advert_int 0.2\n priority {priority}\n \
         {more}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}

#[track_caller]
fn holds(host: &Host, address: &str, d: &Daemon) {
    assert!(eventually(seconds(15), || host.has(address)), "host {} lacks {address}:\n{}", host.number, d.log());
}

#[test]
fn unicast_over_both_families_with_every_peer() {
    require!();
    let ours = Kind::Steadfast;
    for (first, second) in [(ours, ours), (ours, Kind::Keepalived), (Kind::Keepalived, ours)] {
        if keepalived().is_none() && (first, second) != (ours, ours) {
            println!("SKIPPED: unicast with keepalived: it is not installed");
            continue;
        }
        for six in [false, true] {
            let lan = Lan::new(2);
            let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
            let net = if six { "fd77::" } else { "10.77.0." };
            let (vip, line) = if six { (VIP6, "fd77::100/64") } else { (VIP, "10.77.0.100/24") };
            let text = |own: u32, peer: u32, priority| {
                let unicast = format!("unicast_src_ip {net}{own}\n unicast_peer {{\n {net}{peer}\n }}");
                instance("U", 51, priority, "eth0", &unicast, line)
            };
            let db = Daemon::start(b, second, &text(2, 1, 100));
            let da = Daemon::start(a, first, &text(1, 2, 200));
            holds(a, vip, &da);
            assert!(eventually(seconds(10), || !b.has(vip)), "{}", db.log());
            // A planned stop, and the return.
            assert_eq!(da.stop(), Some(0));
            holds(b, vip, &db);
            let da = Daemon::start(a, first, &text(1, 2, 200));
            holds(a, vip, &da);
            assert!(eventually(seconds(10), || !b.has(vip)), "{}", db.log());
            // A crash.
            a.cable(false);
            da.crash();
            holds(b, vip, &db);
        }
    }
}

#[test]
fn nopreempt_keeps_the_lower_master_and_preempt_delay_keeps_it_for_a_while() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let text = |priority, more: &str| instance("P", 51, priority, "eth0", more, "10.77.0.100/24");
    let db = Daemon::start(b, Kind::Steadfast, &text(100, ""));
    holds(b, VIP, &db);
    let da = Daemon::start(a, Kind::Steadfast, &text(200, "nopreempt"));
    da.wait_log("master set to", seconds(5));
    // Longer than any timer of the two.
    std::thread::sleep(seconds(2));
    assert!(b.has(VIP) && !a.has(VIP), "{}", da.log());
    // `preempt` takes the word back.
    da.reload(&text(200, "nopreempt\n preempt"));
    holds(a, VIP, &da);
    assert_eq!(da.stop(), Some(0));
    holds(b, VIP, &db);
    let begun = Instant::now();
    let da = Daemon::start(a, Kind::Steadfast, &text(200, "preempt_delay 3"));
    holds(a, VIP, &da);
    assert!(begun.elapsed() >= seconds(3), "{:?}", begun.elapsed());
    assert!(eventually(seconds(5), || !b.has(VIP)), "{}", db.log());
}

/// In its first seconds nobody has written down yet how far a delay is.
#[test]
fn a_delay_of_preemption_is_not_cut_short_by_a_death_or_an_upgrade_in_its_first_seconds() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let text = |priority, more: &str| instance("P", 51, priority, "eth0", more, "10.77.0.100/24");
    let db = Daemon::start(b, Kind::Steadfast, &text(100, ""));
    holds(b, VIP, &db);
    for how in ["death", "upgrade"] {
        let da = Daemon::start(a, Kind::Steadfast, &text(200, "preempt_delay 6"));
        da.wait_log("master set to", seconds(5));
        let begun = Instant::now();
        match how {
            "death" => send(da.pid_of("vrrp.pid").expect("pid"), nix::sys::signal::Signal::SIGKILL),
            _ => assert!(ask(&da, &["upgrade"]).contains("has taken over"), "{}", da.log()),
        }
        da.wait_log("continuing in BACKUP state", seconds(5));
        holds(a, VIP, &da);
        let waited = begun.elapsed();
        // A machine that is busy is late; nobody is early.
        assert!(waited >= Duration::from_millis(5500), "{how}: {waited:?}\n{}", da.log());
        assert_eq!(da.stop(), Some(0));
        holds(b, VIP, &db);
    }
}

#[test]
fn a_group_moves_as_one_when_one_of_its_links_is_cut() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    // A second link on each host, to nowhere: what matters is whether it is up.
    for h in [a, b] {
        h.ip("link add in0 type veth peer name out0");
        h.ip("link set in0 up");
        h.ip("link set out0 up");
        h.ip(&format!("addr add 10.88.0.{}/24 dev in0", h.number));
    }
    let text = |priority| {
        let group = "vrrp_sync_group G {\n group {\n OUTSIDE\n INSIDE\n }\n}\n";
        let outside = instance("OUTSIDE", 51, priority, "eth0", "", "10.77.0.100/24");
        format!("{group}{outside}{}", instance("INSIDE", 52, priority, "in0", "", "10.88.0.100/24"))
    };
    let da = Daemon::start(a, Kind::Steadfast, &text(200));
    holds(a, VIP, &da);
    holds(a, "10.88.0.100", &da);
    a.ip("link set out0 down");
    assert!(eventually(seconds(5), || !a.has(VIP) && !a.has("10.88.0.100")), "{}", da.log());
    assert!(da.log().contains("VRRP_Group(G) Syncing instances to FAULT state"), "{}", da.log());
    a.ip("link set out0 up");
    holds(a, VIP, &da);
    holds(a, "10.88.0.100", &da);
    drop(da);
    let db = Daemon::start(b, Kind::Steadfast, &text(100));
    holds(b, VIP, &db);
}

/// A link of one member goes, and the peer takes all of them over without waiting for a timer.
#[test]
fn a_group_goes_to_its_peer_together_and_comes_back() {
    require!();
    let lan = Lan::new(3);
    let [a, b, middle] = &lan.hosts[..] else { panic!("three hosts") };
    // A second network between them.
    middle.ip("link add br1 type bridge");
    middle.ip("link set br1 up");
    for h in [a, b] {
        let port = format!("q{}", h.number);
        middle.ip(&format!("link add {port} type veth peer name in0 netns {}", h.namespace));
        middle.ip(&format!("link set {port} master br1 up"));
        h.ip("link set in0 up");
        h.ip(&format!("addr add 10.88.0.{}/24 dev in0", h.number));
    }
    let text = |priority| {
        let group = "vrrp_sync_group G {\n group {\n OUTSIDE\n INSIDE\n }\n}\n";
        let outside = instance("OUTSIDE", 51, priority, "eth0", "", "10.77.0.100/24");
        format!("{group}{outside}{}", instance("INSIDE", 52, priority, "in0", "", "10.88.0.100/24"))
    };
    let other = "10.88.0.100";
    let da = Daemon::start(a, Kind::Steadfast, &text(200));
    let db = Daemon::start(b, Kind::Steadfast, &text(100));
    holds(a, VIP, &da);
    holds(a, other, &da);
    let known = || ["OUTSIDE", "INSIDE"].iter().all(|i| db.log().contains(&format!("({i}) master set to")));
    assert!(eventually(seconds(10), known), "{}", db.log());
    let all_at = |here: &Host, there: &Host| here.has(VIP) && here.has(other) && !there.has(VIP) && !there.has(other);
    // Of the one whose link is cut the peer hears no last word. What waited for it would be late by a skew, or by its whole timer.
    steadfast_test_cluster::best_of("a group goes to its peer", 6, Duration::from_millis(500), || {
        middle.ip("link set q1 down");
        let cut = std::time::Instant::now();
        assert!(eventually(seconds(10), || all_at(b, a)), "{}\n{}", da.log(), db.log());
        let took = cut.elapsed();
        middle.ip("link set q1 up");
        assert!(eventually(seconds(15), || all_at(a, b)), "{}\n{}", da.log(), db.log());
        took
    });
}

#[test]
fn scripts_and_fifos_are_told_in_keepalived_s_words() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let mut told = Vec::new();
    for kind in [Kind::Steadfast, Kind::Keepalived] {
        if kind == Kind::Keepalived && keepalived().is_none() {
            println!("SKIPPED: words of scripts and FIFOs beside keepalived's: it is not installed");
            continue;
        }
        let folder = tempfile::tempdir().expect("folder");
        let at = folder.path().display().to_string();
        let script = file(folder.path(), "script", &format!("#!/bin/sh\necho \"$0 $*\" >> {at}/script.out\n"));
        let reader = file(folder.path(), "reader", &format!("#!/bin/sh\nexec cat \"$1\" >> {at}/fifo.out\n"));
        for path in [&script, &reader] {
            std::process::Command::new("chmod").args(["0755", path]).status().expect("chmod");
        }
        let more = format!(
            "notify_master \"{script} master\"\n notify_backup \"{script} backup\"\n notify_stop \"{script} stop\"\n notify \"{script} any\""
        );
        let globals = format!("global_defs {{\n vrrp_notify_fifo {at}/fifo\n vrrp_notify_fifo_script {reader}\n}}\n");
        let group = format!("vrrp_sync_group G {{\n group {{\n V\n }}\n notify \"{script} group\"\n}}\n");
        let text = format!("{globals}{group}{}", instance("V", 51, 200, "eth0", &more, "10.77.0.100/24"));
        let d = Daemon::start(host, kind, &text);
        holds(host, VIP, &d);
        let read = |n: &str| std::fs::read_to_string(folder.path().join(n)).unwrap_or_default();
        // Both lines, for a reader may be ended with the daemon.
        let masters = |n: &str| read(n).matches(" MASTER ").count();
        assert!(eventually(seconds(5), || masters("fifo.out") == 2 && masters("script.out") == 2));
        assert_eq!(d.stop(), Some(0));
        assert!(eventually(seconds(5), || read("script.out").contains("stop")), "{}", read("script.out"));
        let sorted = |n: &str| {
            let text = read(n).replace(&at, "");
            let mut lines: Vec<String> = text.lines().map(str::to_string).collect();
            // Scripts run side by side.
            lines.sort();
            lines
        };
        println!("{kind:?}: {:#?} {:#?}", sorted("script.out"), sorted("fifo.out"));
        told.push((sorted("script.out"), sorted("fifo.out")));
        assert!(eventually(seconds(5), || !host.has(VIP)));
    }
    if let [ours, theirs] = &told[..] {
        assert_eq!(ours.0, theirs.0);
        // keepalived may end the reader before it has read the last lines.
        let before_the_end =
            |lines: &[String]| lines.iter().filter(|l| !l.contains(" STOP ")).cloned().collect::<Vec<_>>();
        assert_eq!(before_the_end(&ours.1), before_the_end(&theirs.1));
        assert!(ours.1.iter().filter(|l| l.contains(" STOP ")).count() == 2, "{ours:?}");
    }
}

/// RFC 9568 section 8.4: routers are moved one after the other from version 2 to version 3. Both run side by side, under router ids
/// of their own, on a host that has been moved; the other one speaks version 2 still. keepalived is that one where it can be.
#[test]
fn version_2_and_version_3_stand_side_by_side_while_routers_are_moved() {
    require!();
    let lan = Lan::new(2);
    let (moved, old) = (&lan.hosts[0], &lan.hosts[1]);
    let kind = if keepalived().is_some() { Kind::Keepalived } else { Kind::Steadfast };
    if kind == Kind::Steadfast {
        println!("SKIPPED: version 2 beside keepalived: it is not installed");
    }
    let (first, second) = ("10.77.0.101", "10.77.0.102");
    let two = |priority: u8| {
        instance("OLD", 51, priority, "eth0", "", &format!("{first}/24"))
            .replace("version 3\n advert_int 0.2", "version 2\n advert_int 1")
    };
    let three = |priority: u8| instance("NEW", 52, priority, "eth0", "", &format!("{second}/24"));
    let db = Daemon::start(old, kind, &two(150));
    holds(old, first, &db);
    let da = Daemon::start(moved, Kind::Steadfast, &format!("{}{}", two(100), three(100)));
    holds(moved, second, &da);
    assert!(old.has(first) && !moved.has(first), "the higher priority of version 2 stays: {}", da.log());
    // The old one is moved, too: version 3 with the higher priority takes both, and neither address is held twice.
    assert_eq!(db.stop(), Some(0));
    holds(moved, first, &da);
    let db = Daemon::start(old, Kind::Steadfast, &format!("{}{}", two(150), three(150)));
    holds(old, first, &db);
    holds(old, second, &db);
    assert!(eventually(seconds(10), || !moved.has(first) && !moved.has(second)), "{}", da.log());
    // Version 2 goes from the files: what is left serves on.
    da.reload(&three(100));
    db.reload(&three(150));
    assert!(eventually(seconds(10), || !old.has(first) && !moved.has(first)), "{}", db.log());
    assert!(old.has(second) && !moved.has(second), "{}", db.log());
}

/// RFC 9568 section 8.4.2: one router speaks both versions while others speak one each, all under one router id. keepalived is the old
/// one where it can be.
#[test]
fn a_router_that_speaks_both_versions_is_master_for_routers_of_each() {
    require!();
    let lan = Lan::new(3);
    let (both, old, new) = (&lan.hosts[0], &lan.hosts[1], &lan.hosts[2]);
    let kind = if keepalived().is_some() { Kind::Keepalived } else { Kind::Steadfast };
    if kind == Kind::Steadfast {
        println!("SKIPPED: both versions beside keepalived: it is not installed");
    }
    let file = |priority: u8, more: &str| {
        instance("VI", 51, priority, "eth0", more, &format!("{VIP}/24")).replace("advert_int 0.2", "advert_int 1")
    };
    let password = "authentication {\n auth_type PASS\n auth_pass secret\n }";
    let version_2 = file(100, password).replace("version 3", "version 2");
    let d_old = Daemon::start(old, kind, &version_2);
    holds(old, VIP, &d_old);
    // Who speaks both hears the old master, and relieves it, since it is the higher one.
    let d = Daemon::start(both, Kind::Steadfast, &file(150, &format!("also_version_2\n {password}")));
    holds(both, VIP, &d);
    assert!(eventually(seconds(10), || !old.has(VIP)), "{}", d_old.log());
    // Neither the old one nor a new one stands up beside it: longer than both would wait.
    let d_new = Daemon::start(new, Kind::Steadfast, &file(120, ""));
    d_new.wait_log("Entering BACKUP STATE", seconds(10));
    assert!(!eventually(seconds(8), || old.has(VIP) || new.has(VIP)), "{}\n{}", d_old.log(), d_new.log());
    assert!(both.has(VIP), "{}", d.log());
    // The old ones are moved, and the word goes from the file: nothing happens.
    assert_eq!(d_old.stop(), Some(0));
    d.reload(&file(150, ""));
    assert!(!eventually(seconds(5), || new.has(VIP) || !both.has(VIP)), "{}\n{}", d.log(), d_new.log());
}
