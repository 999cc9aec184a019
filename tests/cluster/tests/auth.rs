//! Authenticated adverts: beside keepalived, over both families, by multicast and unicast; wrong keys, recordings, new keys.

use nix::sys::signal::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{ask, file, keepalived};
use steadfast_test_cluster::wire::{record, replay};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const VIP6: &str = "fd77::100";
/// 32 bytes.
const KEY: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "hex:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn instance(priority: u8, head: &str, address: &str) -> String {
    format!(
        "vrrp_instance A {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n {head}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}

fn ah(priority: u8, password: &str) -> String {
    let head = format!("advert_int 1\n authentication {{\n auth_type AH\n auth_pass {password}\n }}");
    instance(priority, &head, "10.77.0.100/24")
}

fn hmac(priority: u8, block: &str) -> String {
    instance(priority, &format!("version 3\n advert_int 0.2\n auth_hmac {{\n {block}\n }}"), "10.77.0.100/24")
}

#[track_caller]
fn holds(host: &Host, address: &str, d: &Daemon) {
    assert!(eventually(seconds(15), || host.has(address)), "host {} lacks {address}:\n{}", host.number, d.log());
}

#[track_caller]
fn only(one: &Host, other: &Host, address: &str, d: &Daemon) {
    holds(one, address, d);
    assert!(eventually(seconds(10), || !other.has(address)), "host {} keeps {address}:\n{}", other.number, d.log());
}

/// Watches for a while that both hosts never hold the address at a time.
#[track_caller]
fn never_both(hosts: [&Host; 2], during: Duration, logs: &[&Daemon]) {
    let both = eventually(during, || hosts.iter().all(|h| h.has(VIP)));
    assert!(!both, "two masters:\n{}", logs.iter().map(|d| d.log()).collect::<Vec<_>>().join("\n---\n"));
}

#[test]
fn the_header_is_understood_by_keepalived_in_both_directions() {
    require!();
    let (ours, theirs) = (Kind::Steadfast, Kind::Keepalived);
    for (first, second) in [(ours, ours), (ours, theirs), (theirs, ours)] {
        if keepalived().is_none() && (first, second) != (ours, ours) {
            println!("SKIPPED: authentication header with keepalived: it is not installed");
            continue;
        }
        let lan = Lan::new(2);
        let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
        let db = Daemon::start(b, second, &ah(100, "secret"));
        let da = Daemon::start(a, first, &ah(200, "secret"));
        only(a, b, VIP, &db);
        // longer than a master-down interval: the backup hears the master
        never_both([a, b], seconds(5), &[&da, &db]);
        // a planned stop, and a return without memory
        assert_eq!(da.stop(), Some(0));
        holds(b, VIP, &db);
        let da = Daemon::start(a, first, &ah(200, "secret"));
        only(a, b, VIP, &db);
        // a crash of the one, and then of the other while it is backup
        a.cable(false);
        da.crash();
        holds(b, VIP, &db);
        a.ip("addr flush dev eth0 to 10.77.0.100");
        a.cable(true);
        let da = Daemon::start(a, first, &ah(200, "secret"));
        only(a, b, VIP, &db);
        db.crash();
        let db = Daemon::start(b, second, &ah(100, "secret"));
        never_both([a, b], seconds(5), &[&da, &db]);
        assert!(a.has(VIP));
    }
}

/// What only some do: each pair has one master, in both directions, and the other takes over.
#[test]
fn unusual_forms_are_those_of_keepalived() {
    require!(keepalived);
    let unicast = |own: u8, more: &str| {
        let peer = 3 - own;
        format!("unicast_src_ip 10.77.0.{own}\n unicast_peer {{\n 10.77.0.{peer}\n }}\n advert_int 1\n {more}")
    };
    let header = "authentication {\n auth_type AH\n auth_pass secret\n }";
    let six = "version 2\n advert_int 1";
    let (ours, theirs) = (Kind::Steadfast, Kind::Keepalived);
    let both = [(ours, theirs), (theirs, ours)];
    let one = [(theirs, ours)];
    let variants: [(&str, &str, &str, &[(Kind, Kind)]); 4] = [
        ("header to a single router", header, header, &both),
        ("checksum of before 2.0", "version 3\n old_unicast_checksum", "version 3\n old_unicast_checksum", &both),
        ("the same, found out by the lower one", "version 3\n old_unicast_checksum", "version 3", &one),
        ("version 2 over IPv6", six, six, &both),
    ];
    for (name, first, second, pairs) in variants {
        for &(a, b) in pairs {
            let lan = Lan::new(2);
            let text = |own: u8, priority: u8, more: &str| match more == six {
                true => instance(priority, more, "fe80::77/64\n fd77::100/64"),
                false => instance(priority, &unicast(own, more), "10.77.0.100/24"),
            };
            let vip = if first == six { "fd77::100" } else { VIP };
            let hosts = [&lan.hosts[0], &lan.hosts[1]];
            let da = Daemon::start(hosts[0], a, &text(1, 200, first));
            let db = Daemon::start(hosts[1], b, &text(2, 100, second));
            only(hosts[0], hosts[1], vip, &db);
            // longer than a master-down interval: the backup hears the master
            let two = eventually(seconds(5), || hosts.iter().all(|h| h.has(vip)));
            assert!(!two && hosts[0].has(vip), "{name}, {a:?} before {b:?}:\n{}\n---\n{}", da.log(), db.log());
            let found = b == ours && db.log().contains("(A) Setting unicast VRRPv3 checksum to old version");
            assert_eq!(found, first != second, "{}", db.log());
            assert_eq!(da.stop(), Some(0));
            holds(hosts[1], vip, &db);
        }
    }
}

#[test]
fn a_master_that_has_forgotten_its_numbers_is_recognised() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    // an owner is master at once, and does not listen first for where the numbers are
    let owner = ah(255, "secret").replace("advert_int 1", "state MASTER\n advert_int 1");
    for theirs in [Kind::Steadfast, Kind::Keepalived] {
        if theirs == Kind::Keepalived && keepalived().is_none() {
            println!("SKIPPED: a forgetful keepalived: it is not installed");
            continue;
        }
        let da = Daemon::start(a, theirs, &owner);
        holds(a, VIP, &da);
        let db = Daemon::start(b, Kind::Steadfast, &ah(100, "secret"));
        db.wait_log("master set to 10.77.0.1", seconds(10));
        // the numbers run away from where a new process begins
        std::thread::sleep(seconds(5));
        da.crash();
        let da = Daemon::start(a, theirs, &owner);
        never_both([a, b], seconds(9), &[&da, &db]);
        assert!(a.has(VIP) && !db.log().contains("Entering MASTER STATE"), "{theirs:?}:\n{}", db.log());
        if theirs == Kind::Keepalived {
            assert!(db.log().contains("already processed"), "it has forgotten nothing:\n{}", db.log());
        }
    }
}

#[test]
fn a_master_with_another_password_is_not_joined_by_a_second_one() {
    require!();
    let theirs = if keepalived().is_some() { Kind::Keepalived } else { Kind::Steadfast };
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let da = Daemon::start(a, theirs, &ah(200, "another"));
    holds(a, VIP, &da);
    let db = Daemon::start(b, Kind::Steadfast, &ah(100, "secret"));
    never_both([a, b], seconds(8), &[&da, &db]);
    db.wait_log("not taking over: adverts of 10.77.0.1 come in, but fail authentication", seconds(1));
    let explained = ask(&db, &["explain", "A"]);
    assert!(explained.contains("Adverts of 10.77.0.1 fail authentication (wrong key"), "{explained}");
    assert!(explained.contains("does not take over while 10.77.0.1 is heard"), "{explained}");
    assert!(ask(&db, &["status"]).contains("fail authentication"));
    // one that is gone is not waited for
    let begun = Instant::now();
    a.cable(false);
    da.crash();
    holds(b, VIP, &db);
    assert!(begun.elapsed() < seconds(5), "{:?}", begun.elapsed());
}

#[test]
fn a_backup_with_another_password_says_so_and_may_be_told_not_to_wait() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let da = Daemon::start(a, Kind::Steadfast, &ah(200, "one"));
    holds(a, VIP, &da);
    let db = Daemon::start(b, Kind::Steadfast, &ah(100, "two").replace("advert_int 1", "advert_int 1\n auth_hold no"));
    holds(b, VIP, &db);
    assert!(db.log().contains("IPSEC-AH: invalid HMAC-MD5 value"), "{}", db.log());
}

#[test]
fn trailers_over_both_versions_families_and_ways() {
    require!();
    for (version, six, unicast) in
        [(2, false, false), (2, false, true), (3, false, false), (3, false, true), (3, true, false), (3, true, true)]
    {
        let lan = Lan::new(2);
        let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
        let (net, vip, line) = if six { ("fd77::", VIP6, "fd77::100/64") } else { ("10.77.0.", VIP, "10.77.0.100/24") };
        let text = |own: u32, peer: u32, priority| {
            let way = format!("unicast_src_ip {net}{own}\n unicast_peer {{\n {net}{peer}\n }}");
            let interval = if version == 2 { "1" } else { "0.2" };
            let head = format!(
                "version {version}\n advert_int {interval}\n {}\n auth_hmac {{\n key 7 {KEY}\n }}",
                if unicast { way.as_str() } else { "" }
            );
            instance(priority, &head, line)
        };
        let db = Daemon::start(b, Kind::Steadfast, &text(2, 1, 100));
        holds(b, vip, &db);
        let da = Daemon::start(a, Kind::Steadfast, &text(1, 2, 200));
        only(a, b, vip, &db);
        assert_eq!(da.stop(), Some(0));
        holds(b, vip, &db);
        let da = Daemon::start(a, Kind::Steadfast, &text(1, 2, 200));
        only(a, b, vip, &db);
        a.cable(false);
        da.crash();
        holds(b, vip, &db);
        assert!(!db.log().contains("discarding advert"), "version {version}, {net}, unicast {unicast}:\n{}", db.log());
    }
}

/// What a third host records of adverts until something is done.
fn while_recording(eve: &Host, work: impl FnOnce()) -> Vec<Vec<u8>> {
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    let ear = eve.inside(move || {
        let index = nix::net::if_::if_nametoindex("eth0").expect("index");
        record(index, seconds(60), || told.load(Ordering::Relaxed))
    });
    work();
    over.store(true, Ordering::Relaxed);
    ear.join().expect("recorder")
}

#[test]
fn recorded_adverts_change_nothing() {
    require!();
    for (text, takes) in [
        (Box::new(|p| ah(p, "secret")) as Box<dyn Fn(u8) -> String>, 3.61 + 2.0 * 1.125),
        (Box::new(|p| hmac(p, &format!("key 1 {KEY}"))), 0.73 + 2.0 * 0.225),
    ] {
        let lan = Lan::new(3);
        let (a, b, eve) = (&lan.hosts[0], &lan.hosts[1], &lan.hosts[2]);
        let mut da = None;
        let db = Daemon::start(b, Kind::Steadfast, &text(100));
        let packets = while_recording(eve, || {
            let d = Daemon::start(a, Kind::Steadfast, &text(200));
            only(a, b, VIP, &db);
            let sent = || -> u64 {
                let text = ask(&d, &["status", "--json"]);
                let at = text.find("adverts_sent").map_or("", |n| &text[n..]);
                at.chars()
                    .skip_while(|c| !c.is_ascii_digit())
                    .take_while(char::is_ascii_digit)
                    .collect::<String>()
                    .parse()
                    .unwrap_or(0)
            };
            assert!(eventually(seconds(20), || sent() >= 10), "{}", d.log());
            da = Some(d);
        });
        let da = da.expect("a daemon");
        let packets: Vec<Vec<u8>> = packets.into_iter().filter(|p| p[15] == 1).collect();
        assert!(packets.len() >= 8, "{} recorded", packets.len());
        let again = packets.clone();
        eve.inside(move || replay(&again, Duration::from_millis(50))).join().expect("replay");
        never_both([a, b], Duration::from_millis(500), &[&da, &db]);
        assert!(a.has(VIP) && !b.has(VIP), "{}", db.log());
        let log = db.log();
        assert!(log.contains("not newer than the last") || log.contains("already processed"), "{log}");
        assert!(!da.log().contains("leaving MASTER") && !da.log().contains("Entering BACKUP STATE\n"), "{}", da.log());
        // a dead master's recording holds the takeover up for two questions, not for as long as it lasts
        a.cable(false);
        let begun = Instant::now();
        da.crash();
        let player = eve.inside(move || {
            for _ in 0..40 {
                replay(&packets, Duration::from_millis(20));
            }
        });
        holds(b, VIP, &db);
        let took = begun.elapsed().as_secs_f64();
        assert!(took < takes + 0.7, "{took} s:\n{}", db.log());
        assert!(db.log().contains("does not answer: its adverts are a recording"), "{}", db.log());
        player.join().expect("player");
    }
}

#[test]
fn keys_are_changed_by_reloads_without_a_failover() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let (one, two) = (format!("key 1 {KEY}\n"), format!("key 2 {OTHER}\n"));
    let da = Daemon::start(a, Kind::Steadfast, &hmac(200, &one));
    holds(a, VIP, &da);
    let db = Daemon::start(b, Kind::Steadfast, &hmac(100, &one));
    db.wait_log("master set to 10.77.0.1", seconds(10));
    let ping = {
        let client = lan.hosts.iter().find(|h| h.number == 2).expect("host");
        client.ping(VIP)
    };
    for step in [format!("{one}{two}active_key 1"), format!("{one}{two}active_key 2"), two.clone()] {
        for (d, priority) in [(&db, 100), (&da, 200)] {
            let before = d.log().matches("Reloading").count() + d.log().matches("reload").count();
            d.reload(&hmac(priority, &step));
            let more = || d.log().matches("Reloading").count() + d.log().matches("reload").count() > before;
            assert!(eventually(seconds(5), more), "{}", d.log());
            // three adverts' time, so that a refused one would have its consequence
            never_both([a, b], Duration::from_millis(900), &[&da, &db]);
        }
    }
    assert!(a.has(VIP) && !b.has(VIP));
    assert!(!db.log().contains("Entering MASTER STATE") && !db.log().contains("discarding advert"), "{}", db.log());
    assert!(ping.longest_gap() < Duration::from_millis(400));
    // the new key is in use: one without it hears nothing that it may believe
    let over = ask(&db, &["plan", db.path("conf").to_str().expect("path")]);
    assert!(!over.contains("00112233"), "{over}");
    drop(db);
    let db = Daemon::start(b, Kind::Steadfast, &hmac(100, &one));
    db.wait_log("authenticated by key 2, which is not configured", seconds(5));
}

#[test]
fn keys_come_from_files_and_are_shown_nowhere() {
    require!();
    use std::os::unix::fs::PermissionsExt;
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "key", &format!("{KEY}\n"));
    let text = |priority: u8, from: &str| {
        let dumps: String = ["state", "stats", "json"]
            .iter()
            .map(|n| format!(" {n}_dump_file {}/{priority}.{n}\n", folder.path().display()))
            .collect();
        format!("global_defs {{\n{dumps}}}\n{}", hmac(priority, &format!("key 1 {from}")))
    };
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).expect("mode");
    let (status, out, errors) = steadfast_test_cluster::daemon::run(&[
        "-t",
        "-f",
        &file(folder.path(), "conf", &text(200, &format!("file:{path}"))),
    ]);
    let said = out + &errors;
    assert_ne!(status, Some(0), "others may read the key");
    assert!(said.contains("mode 0640"), "{said}");
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("mode");
    let da = Daemon::start(a, Kind::Steadfast, &text(200, &format!("file:{path}")));
    holds(a, VIP, &da);
    // the same key, written out
    let db = Daemon::start(b, Kind::Steadfast, &text(100, KEY));
    db.wait_log("master set to 10.77.0.1", seconds(10));
    never_both([a, b], seconds(2), &[&da, &db]);
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2] {
        da.signal(signal);
    }
    let shown = folder.path().join("200.stats");
    let dump = folder.path().join("200.state");
    assert!(eventually(seconds(5), || shown.is_file() && dump.is_file()), "{}", da.log());
    let read = |p: &std::path::Path| std::fs::read_to_string(p).unwrap_or_default();
    assert!(eventually(seconds(5), || read(&shown).contains("Invalid HMAC: 0")), "{}", read(&shown));
    let all = [
        read(&shown),
        read(&dump),
        da.log(),
        db.log(),
        ask(&da, &["status", "--json"]),
        ask(&db, &["explain", "A"]),
        ask(&db, &["plan", da.path("conf").to_str().expect("path")]),
    ];
    for (n, text) in all.iter().enumerate() {
        assert!(!text.contains(KEY) && !text.contains("48, 49, 50, 51"), "{n}: {text}");
    }
}
