//! What `steadfast` says of faults, also of the daemon's own.

use nix::sys::signal::Signal;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use steadfast_test_cluster::daemon::{ask, send, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn conf(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 2\n priority {priority}\n advert_int 1\n {more}\n \
         virtual_ipaddress {{\n 10.77.0.100/24\n }}\n}}\n"
    )
}

/// Waits until an answer of the command has all these words.
fn says(d: &Daemon, question: &[&str], words: &[&str]) {
    let mut last = String::new();
    let told = eventually(seconds(10), || {
        last = ask(d, question);
        words.iter().all(|w| last.contains(w))
    });
    assert!(told, "{words:?}:\n{last}\n{}", d.log());
}

#[test]
fn two_masters_by_another_password_or_version_are_told_of() {
    require!();
    let lan = Lan::new(2);
    let auth = |p: &str| format!("authentication {{\n auth_type PASS\n auth_pass {p}\n }}");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(150, &auth("right")));
    let mut b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, &auth("wrong")));
    let two = "adverts of 10.77.0.2 are thrown away: received an invalid passwd; where that is a master, there are two";
    says(&a, &["status"], &["MASTER VI", two]);
    says(&b, &["status"], &["MASTER VI", "adverts of 10.77.0.1 are thrown away"]);
    let words = ["Adverts of 10.77.0.2 are thrown away (received an invalid passwd): ", "there are two masters"];
    says(&a, &["explain", "VI"], &words);
    b.signal(Signal::SIGTERM);
    b.ended();
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, "").replace("version 2", "version 3"));
    says(&a, &["status"], &["adverts of 10.77.0.2 are thrown away: version 3, expected 2"]);
    // It ends by itself when the peers agree.
    b.reload(&conf(100, &auth("right")));
    let quiet =
        || !ask(&a, &["status"]).contains("are thrown away") && !ask(&a, &["explain", "VI"]).contains("Adverts of");
    assert!(eventually(seconds(10), quiet), "{}", ask(&a, &["explain", "VI"]));
}

/// Half of the addresses are served by nobody, and the router that knows it says so.
#[test]
fn a_peer_with_other_addresses_is_told_of() {
    require!();
    let lan = Lan::new(2);
    let addresses = |all: &str| conf(100, "").replace("10.77.0.100/24", all);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(150, ""));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", a.log());
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &addresses("10.77.0.100/24\n 10.77.0.101/24"));
    says(&b, &["status"], &["BACKUP VI", "adverts of 10.77.0.1 name other addresses: not 10.77.0.101"]);
    says(&b, &["explain", "VI"], &["Adverts of 10.77.0.1 name other addresses than this host's: not 10.77.0.101"]);
    let told: serde_json::Value = serde_json::from_str(&ask(&b, &["status", "--json"])).expect("json");
    let mismatch = &told["vrrp"]["instances"][0]["mismatches"][0];
    assert_eq!((mismatch["source"].as_str(), mismatch["ours"][0].as_str()), (Some("10.77.0.1"), Some("10.77.0.101")));
    b.reload(&addresses("10.77.0.102/24"));
    says(&b, &["status"], &["name other addresses: also 10.77.0.100, but not 10.77.0.102"]);
    // It ends by itself when they agree, whichever of the two was changed.
    a.reload(&addresses("10.77.0.102/24").replace("priority 100", "priority 150"));
    let quiet = || !ask(&b, &["status"]).contains("other addresses");
    assert!(eventually(seconds(10), quiet), "{}", ask(&b, &["status"]));
}

#[test]
fn a_cause_names_who_led() {
    require!();
    let lan = Lan::new(2);
    let member = |name: &str, id: u8, priority: u8| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {id}\n priority {priority}\n advert_int 1\n \
             virtual_ipaddress {{\n 10.77.0.{id}/24\n }}\n}}\n"
        )
    };
    let group = |p: u8| {
        format!(
            "vrrp_sync_group G {{\n group {{\n ONE\n TWO\n }}\n}}\n{}{}",
            member("ONE", 51, p),
            member("TWO", 52, p)
        )
    };
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &group(150));
    says(&a, &["explain", "ONE"], &["is MASTER", " BACKUP  it was started, and each instance begins by listening"]);
    let led = |d: &Daemon| {
        let both = ["ONE", "TWO"].map(|i| ask(d, &["explain", i])).concat();
        both.contains("because of this: ONE of sync group G: ")
            || both.contains("because of this: TWO of sync group G: ")
    };
    assert!(eventually(seconds(10), || led(&a)), "{}", ask(&a, &["explain", "TWO"]));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &group(100));
    says(
        &b,
        &["explain", "ONE"],
        &["because of this: it was started, and each instance begins by listening.", "The master is 10.77.0.1"],
    );
    // The master's priority falls below that of the backup, which says what it heard.
    a.reload(&group(80));
    let both = || ["ONE", "TWO"].map(|i| ask(&b, &["explain", i])).concat();
    let heard = "10.77.0.1 announced priority 80, below our 100.";
    assert!(eventually(seconds(10), || both().matches(heard).count() == 2), "{}", both());
    assert!(both().contains("of sync group G: 10.77.0.1 announced priority 80"), "{}", both());
    // A planned stop is no silence.
    assert_eq!(b.stop(), Some(0));
    let both = || ["ONE", "TWO"].map(|i| ask(&a, &["explain", i])).concat();
    assert!(eventually(seconds(10), || both().contains("10.77.0.2 said that it leaves (priority 0)")), "{}", both());
}

/// Nobody has asked before, or when it was something else.
#[test]
fn what_is_told_of_a_child_that_does_not_answer_is_what_it_was_last() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("level");
    std::fs::write(&file, "7").expect("file");
    let script = format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"/bin/true\"\n interval 1\n}}\ntrack_file level {{\n file {}\n \
         weight 2\n}}\n",
        file.display()
    );
    let server = "virtual_server 10.77.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.1 81 {\n \
                  weight 1\n TCP_CHECK {\n connect_timeout 1\n }\n }\n}\n\
                  virtual_server 10.77.0.100 90 {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.1 91 {\n weight 3\n }\n}\n";
    let d = Daemon::start(
        host,
        Kind::Steadfast,
        &(script + &conf(150, "garp_master_delay 1\n track_script {\n chk\n }\n track_file {\n level\n }") + server),
    );
    // The address alone says only that it is about to become master: it announces it once more when it has long said what it is.
    let master = |announced: usize| {
        let words = "(VI) Sending/queueing gratuitous ARPs on eth0";
        let there = || host.has("10.77.0.100") && d.log().matches(words).count() >= announced;
        assert!(eventually(seconds(15), there), "{}", d.log());
    };
    master(2);
    d.wait_log("Removing service [10.77.0.1]:tcp:81", seconds(10));
    // Nor are those down whom nobody has found so.
    let up = ["up     [10.77.0.100]:tcp:90  weight 3 of 1 needed", "up     [10.77.0.1]:tcp:91"];
    let children = ["vrrp.pid", "check.pid"].map(|name| d.pid_of(name).expect("pid"));
    children.iter().for_each(|pid| send(*pid, Signal::SIGSTOP));
    let words = ["What follows is what was said last: its process (pid ", "is MASTER since", "script chk is good"];
    says(&d, &["explain", "VI"], &words);
    says(
        &d,
        &["status"],
        &["MASTER VI", "priority 164 = 150 + 14", "10.77.0.100/24", "down   [10.77.0.1]:tcp:81", up[0], up[1]],
    );
    let told: serde_json::Value = serde_json::from_str(&ask(&d, &["status", "--json"])).expect("json");
    assert_eq!(told["vrrp"]["instances"][0]["state"], "MASTER", "{told}");
    let unknown = ["adverts_sent", "adverts_received", "refused"];
    assert!(unknown.iter().all(|k| told["vrrp"]["instances"][0][*k].is_null()), "nobody has counted: {told}");
    children.iter().for_each(|pid| send(*pid, Signal::SIGCONT));
    // Asked as backup, then it became master.
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(200, ""));
    assert!(eventually(seconds(10), || lan.hosts[1].has("10.77.0.100")), "{}", b.log());
    says(&d, &["status"], &["BACKUP VI"]);
    let before = d.log().matches("(VI) Sending/queueing gratuitous ARPs on eth0").count();
    assert_eq!(b.stop(), Some(0));
    master(before + 2);
    d.pid_of("vrrp.pid").into_iter().for_each(|pid| send(pid, Signal::SIGSTOP));
    says(&d, &["status"], &["MASTER VI"]);
    assert_eq!(ask(&d, &["status"]).matches("BACKUP").count(), 0, "{}", ask(&d, &["status"]));
}

#[test]
fn a_hung_and_a_dead_child_are_told_of() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(150, ""));
    says(&d, &["status"], &["MASTER VI"]);
    let vrrp = d.pid_of("vrrp.pid").expect("pid");
    send(vrrp, Signal::SIGSTOP);
    says(&d, &["explain", "VI"], &["What follows is what was said last: its process (pid ", "has been silent for"]);
    assert!(!ask(&d, &["explain", "VI"]).contains("next time in"));
    send(vrrp, Signal::SIGKILL);
    let another = |old: i32| d.pid_of("vrrp.pid").filter(|p| *p != old);
    assert!(eventually(seconds(10), || another(vrrp).is_some()), "{}", d.log());
    says(&d, &["status"], &["MASTER VI", "died once"]);
    // Several times within ten seconds: it waits, its addresses are withdrawn, and what it said last is still there.
    let again = another(vrrp).expect("pid");
    send(again, Signal::SIGKILL);
    assert!(eventually(seconds(10), || another(again).is_some_and(|p| p != vrrp)), "{}", d.log());
    says(&d, &["status"], &[" VI "]);
    let again = another(again).expect("pid");
    let killed = SystemTime::now().duration_since(UNIX_EPOCH).expect("clock").as_secs_f64();
    send(again, Signal::SIGKILL);
    let words = [
        "not running, died 3 times, last ",
        ", starts again in",
        "its addresses are withdrawn",
        " VI ",
        "10.77.0.100/24",
    ];
    says(&d, &["status"], &words);
    says(&d, &["status"], &["FAULT  VI", "what it held was taken away"]);
    let since = || {
        let told: serde_json::Value = serde_json::from_str(&ask(&d, &["status", "--json"])).expect("json");
        told["vrrp"]["instances"][0]["since"].as_f64().expect("a time")
    };
    let first = since();
    assert!(first >= killed && first == since(), "it is since then, whenever somebody asks: {first} {killed}");
    assert!(!ask(&d, &["status"]).contains("became master never"), "{}", ask(&d, &["status"]));
    assert!(ask(&d, &["explain", "VI"]).contains("its process died"), "{}", ask(&d, &["explain", "VI"]));
    assert!(eventually(seconds(10), || another(again).is_some()), "{}", d.log());
    says(&d, &["status"], &["MASTER VI", "died 3 times, last ", " ago: signal 9 (SIGKILL)"]);
    assert!(!ask(&d, &["status"]).contains("withdrawn"));
    // What became of the addresses meanwhile is part of the past.
    let past = ask(&d, &["explain", "VI"]);
    let why = "its process died 3 times: signal 9 (SIGKILL); ";
    let [fault, backup] =
        [format!("FAULT   {why}what it held was taken away"), format!("BACKUP  {why}it begins anew, by listening")];
    assert!(past.contains(&fault) && past.contains(&backup), "{past}");
    assert!(d.log().contains("(VI) Entering FAULT STATE"), "{}", d.log());
}

/// Of those that died twice, and whose successors will begin anew.
#[test]
fn what_a_dead_child_said_last_is_shown_and_not_what_the_next_one_begins_with() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let script =
        "global_defs {\n script_user root\n}\nvrrp_script chk {\n script \"/bin/true\"\n interval 1\n weight 20\n}\n";
    let server = "virtual_server 10.77.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.1 81 {\n \
                  weight 1\n TCP_CHECK {\n connect_timeout 1\n }\n }\n}\n";
    let text = script.to_string() + &conf(150, "track_script {\n chk\n }") + server;
    let d = Daemon::start(host, Kind::Steadfast, &text);
    says(&d, &["status"], &["MASTER VI", "priority 170 = 150 + 20", "ok     script chk", "down   [10.77.0.1]:tcp:81"]);
    let told: serde_json::Value = serde_json::from_str(&ask(&d, &["status", "--json"])).expect("json");
    assert!(told["vrrp"]["instances"][0]["adverts_sent"].as_u64().is_some_and(|n| n > 0), "{told}");
    // Without a peer it takes the parent a second to withdraw what the VRRP process held, and its first wait is no longer.
    let dead = |child: &str, deaths: usize, words: &[&str]| {
        let mut former = 0;
        for n in 0..deaths {
            let another = || d.pid_of(&format!("{child}.pid")).filter(|pid| *pid != former);
            assert!(eventually(seconds(10), || another().is_some()), "{}", d.log());
            former = another().expect("pid");
            // This life has taken over what it was given, or has found it anew.
            says(&d, &["status"], &["MASTER VI", "priority 170 = 150 + 20", "down   [10.77.0.1]:tcp:81"]);
            send(former, Signal::SIGKILL);
            d.wait_log(&format!("child process({former}) died"), seconds(10 + n as u64));
        }
        let mut last = String::new();
        let told = eventually(seconds(10), || {
            last = ask(&d, &["status"]);
            last.contains(&format!("not running, died {deaths} times"))
        });
        assert!(told && words.iter().all(|w| last.contains(w)), "{words:?}: {last}\n{}", d.log());
    };
    dead("check", 2, &["down   [10.77.0.1]:tcp:81"]);
    dead("vrrp", 3, &["FAULT  VI", "priority 170 = 150 + 20", "ok     script chk"]);
}

#[test]
fn a_refused_reload_says_why() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(150, ""));
    says(&d, &["status"], &["VI"]);
    for (text, why) in [
        ("# nothing\n".to_string(), "the new configuration is empty"),
        (conf(150, "prioritty 7"), "the new configuration has faults that the running one does not have"),
        (conf(150, "").replace("interface eth0", ""), "the new configuration"),
    ] {
        std::fs::write(d.path("conf"), text).expect("file");
        let told = ask(&d, &["reload"]);
        assert!(
            told.contains(&format!("steadfast: {why}")) && told.contains("the running configuration stays"),
            "{told}"
        );
        let told = ask(&d, &["upgrade"]);
        assert!(told.contains(&format!("steadfast: {why}")) && !told.contains("the log says why"), "{told}");
        says(&d, &["status"], &["the last upgrade failed", why]);
    }
    std::fs::write(d.path("conf"), conf(140, "")).expect("file");
    assert_eq!(ask(&d, &["reload"]), "");
    assert!(!ask(&d, &["status"]).contains("failed"));
}

/// Starts another daemon with the files of `d`.
fn beside(host: &Host, d: &Daemon) -> std::process::Child {
    let mut c = host.command(steadfastd().to_str().expect("path"));
    c.args(["-n", "-l", "-D", "-f"]).arg(d.path("conf"));
    c.arg("-p").arg(d.path("pid")).arg("-r").arg(d.path("vrrp.pid")).arg("-c").arg(d.path("check.pid"));
    let log = std::fs::File::create(d.path("other.log")).expect("log");
    c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start")
}

#[test]
fn a_second_daemon_says_who_is_there_and_waits_for_one_that_stops() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    // An owner is master at once; with this interval it hands over for three seconds.
    let text = conf(255, "").replace("version 2", "version 3").replace("advert_int 1", "advert_int 3");
    let mut d = Daemon::start(host, Kind::Steadfast, &text);
    says(&d, &["status"], &["MASTER VI"]);
    let pid = d.pid_of("pid").expect("pid");
    let log = d.path("other.log");
    let other = || std::fs::read_to_string(&log).unwrap_or_default();
    let status = beside(host, &d).wait().expect("wait");
    let words = format!("daemon is already running: pid {pid}, pid file {}", d.path("pid").display());
    assert!(status.code() == Some(0) && other().contains(&words), "{status}: {}", other());
    // It hands over to nobody and takes its time: whoever starts now takes its place.
    let begun = Instant::now();
    d.signal(Signal::SIGTERM);
    d.wait_log("Stopping", seconds(2));
    let mut impatient = beside(host, &d);
    assert!(eventually(seconds(3), || other().contains("another daemon stops")), "{}", other());
    send(impatient.id() as i32, Signal::SIGTERM);
    assert_eq!(impatient.wait().expect("wait").code(), Some(0));
    assert!(d.pid_of("pid") == Some(pid), "it did not wait for the end: {}", d.log());
    let mut next = beside(host, &d);
    let running = || d.pid_of("vrrp.pid").is_some() && d.pid_of("pid").is_some_and(|p| p != pid);
    assert!(eventually(seconds(10), running), "{}", other());
    println!("started {:?} after SIGTERM to the one before", begun.elapsed());
    assert!(other().contains("another daemon stops"), "{}", other());
    assert_eq!(d.ended(), Some(0));
    assert!(eventually(seconds(10), || host.has("10.77.0.100")), "{}", other());
    send(d.pid_of("pid").expect("pid"), Signal::SIGTERM);
    assert!(next.wait().expect("wait").success());
}

/// It locks nothing, and removes its pid files at its end, whoever has written into them since.
#[test]
fn a_living_keepalived_is_not_started_beside_and_one_that_stops_is_waited_for() {
    require!();
    if steadfast_test_cluster::daemon::keepalived().is_none() {
        println!("SKIPPED: keepalived is not installed: no start beside it");
        return;
    }
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let mut d = Daemon::start(host, Kind::Keepalived, &conf(200, ""));
    assert!(eventually(seconds(10), || host.has("10.77.0.100")), "{}", d.log());
    let pid = d.pid_of("pid").expect("pid");
    let log = d.path("other.log");
    let other = || std::fs::read_to_string(&log).unwrap_or_default();
    let status = beside(host, &d).wait().expect("wait");
    let words = format!("daemon is already running: pid {pid}, pid file {}", d.path("pid").display());
    assert!(status.code() == Some(0) && other().contains(&words), "{status}: {}", other());
    assert_eq!(d.pid_of("pid"), Some(pid));
    d.signal(Signal::SIGTERM);
    let mut next = beside(host, &d);
    assert_eq!(d.ended(), Some(0));
    assert!(eventually(seconds(10), || host.has("10.77.0.100")), "{}", other());
    let now = d.pid_of("pid").expect("its pid file is there");
    assert!(now != pid && d.pid_of("vrrp.pid").is_some(), "{now}");
    send(now, Signal::SIGTERM);
    assert!(next.wait().expect("wait").success());
}

#[test]
fn a_reload_is_over_when_it_is_in_effect() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(150, ""));
    says(&d, &["status"], &["MASTER VI"]);
    let vrrp = d.pid_of("vrrp.pid").expect("pid");
    // Who is to take it over hangs, is ended, and takes it over in its next life.
    send(vrrp, Signal::SIGSTOP);
    std::fs::write(d.path("conf"), conf(140, "")).expect("file");
    // On a slow host it may be said what is waited for.
    let said = ask(&d, &["reload"]);
    assert!(said.lines().all(|l| l.starts_with("steadfast: waiting for ")), "{said}");
    assert!(d.pid_of("vrrp.pid").is_some_and(|p| p != vrrp), "{}", d.log());
    assert!(ask(&d, &["status"]).contains("priority 140"), "{}", ask(&d, &["status"]));
}

/// A reload with another command ends a run that did nothing wrong, and the new command is not kept waiting for an interval.
#[test]
fn a_script_that_a_reload_replaced_did_not_time_out() {
    require!();
    let lan = Lan::new(1);
    let text = |command: &str| {
        let script =
            format!("vrrp_script chk {{\n script \"{command}\"\n interval 600\n timeout 300\n init_fail\n}}\n");
        let conf = conf(200, "track_script {\n chk weight 5\n }");
        format!("global_defs {{\n script_user root\n}}\n{script}{conf}")
    };
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text("/bin/sleep 200.71"));
    let runs = |command: &str| {
        let all = lan.hosts[0].command("pgrep").args(["-f", command]).output().expect("pgrep").stdout;
        !all.is_empty()
    };
    assert!(eventually(seconds(10), || runs("bin/sleep 200.71")), "{}", d.log());
    d.reload(&text("/bin/sleep 2.53"));
    assert!(eventually(seconds(5), || runs("bin/sleep 2.53")), "{}", d.log());
    let said = ask(&d, &["status"]);
    assert!(said.contains("script chk") && !said.contains("timed out") && !said.contains("signal 15"), "{said}");
    says(&d, &["status"], &["script chk: exit status 0"]);
}

/// Neither dead nor silent: it was stopped in order, since the file has nothing for it any more.
#[test]
fn of_a_child_that_is_not_wanted_any_more_nothing_is_told() {
    require!();
    let lan = Lan::new(1);
    let server = "virtual_server 10.77.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.1 81 {\n \
                  weight 1\n TCP_CHECK {\n connect_timeout 1\n }\n }\n}\n";
    let bfd = "bfd_instance B1 {\n neighbor_ip 10.77.0.9\n source_ip 10.77.0.1\n}\n";
    let instance = conf(150, "");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("{instance}{server}{bfd}"));
    says(&d, &["status"], &["MASTER VI", "[10.77.0.1]:tcp:81", "B1"]);
    // Each of them has died once.
    for file in ["vrrp.pid", "check.pid", "bfd.pid"] {
        let former = d.pid_of(file).expect("pid");
        send(former, Signal::SIGKILL);
        assert!(eventually(seconds(10), || d.pid_of(file).is_some_and(|p| p != former)), "{}", d.log());
    }
    says(&d, &["status"], &["MASTER VI", "[10.77.0.1]:tcp:81", "B1", "died once"]);
    let told = || -> serde_json::Value { serde_json::from_str(&ask(&d, &["status", "--json"])).expect("json") };
    let gone = |text: &str, file: &str, child: &str, object: &str| {
        d.reload(text);
        assert!(eventually(seconds(15), || d.pid_of(file).is_none()), "{file}: {}", d.log());
        let clean = || {
            let told = told();
            told[child].is_null() && told["children"].as_array().is_some_and(|c| c.iter().all(|c| c["name"] != child))
        };
        assert!(eventually(seconds(10), clean), "{}", told());
        let (said, explained) = (ask(&d, &["status"]), ask(&d, &["explain", object]));
        assert!(!said.contains(object) && !said.contains("not running"), "{said}");
        assert!(explained.contains("nothing"), "{explained}");
    };
    gone(&format!("{instance}{bfd}"), "check.pid", "checker", "[10.77.0.1]:tcp:81");
    gone(&instance, "bfd.pid", "bfd", "B1");
    assert!(ask(&d, &["status"]).contains("died once"), "of the one that runs it is told: {}", ask(&d, &["status"]));
    gone(server, "vrrp.pid", "vrrp", "VI");
    assert!(!ask(&d, &["status"]).contains("died"), "{}", ask(&d, &["status"]));
    // Whoever is wanted again begins as any.
    d.reload(&format!("{instance}{server}"));
    says(&d, &["status"], &["MASTER VI", "[10.77.0.1]:tcp:81"]);
    assert!(!ask(&d, &["status"]).contains("died"), "{}", ask(&d, &["status"]));
}
