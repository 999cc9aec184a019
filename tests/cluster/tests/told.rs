//! What a daemon tells the outside: mail, logs, scripts, dumps, exit statuses; and what its trackers make of files and links.

use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use steadfast_test_cluster::daemon::{file, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

fn conf(priority: u8, globals: &str, more: &str) -> String {
    format!(
        "global_defs {{\n script_user root\n {globals}\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n \
         {more}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

fn holds(host: &Host, d: &Daemon) {
    assert!(eventually(SOON, || host.has(VIP)), "{}", d.log());
}

fn count(d: &Daemon, words: &str) -> usize {
    d.log().matches(words).count()
}

fn script(folder: &std::path::Path, name: &str, text: &str) -> String {
    let path = file(folder, name, text);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
    path
}

/// A mail server that takes everything and keeps what comes between DATA and the point.
fn mail_sink(host: &Host) -> Arc<Mutex<Vec<String>>> {
    let listener = host.inside(|| TcpListener::bind("0.0.0.0:2525").expect("mail server")).join().expect("listener");
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = mails.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut answer = stream.try_clone().expect("stream");
            let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
            let mut say = |text: &str| answer.write_all(format!("{text}\r\n").as_bytes()).is_ok();
            say("220 sink");
            let mut envelope = String::new();
            while let Some(line) = lines.next() {
                let word = line.to_uppercase();
                if word.starts_with("DATA") {
                    say("354 go on");
                    let text: Vec<String> = lines.by_ref().take_while(|l| l != ".").collect();
                    kept.lock().expect("mails").push(std::mem::take(&mut envelope) + &text.join("\n"));
                } else if ["HELO", "MAIL", "RCPT"].iter().any(|w| word.starts_with(w)) {
                    envelope += &format!("{line}\n");
                } else if word.starts_with("QUIT") {
                    say("221 bye");
                    break;
                }
                say("250 fine");
            }
        }
    });
    mails
}

#[test]
fn a_change_of_state_is_mailed_to_everybody_who_is_named() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let tracked = file(folder.path(), "tracked", "0\n");
    let mails = mail_sink(&lan.hosts[1]);
    let globals = "router_id lb7\n notification_email {\n one@example.org\n two@example.org\n }\n notification_email_from \
                   k@example.org\n smtp_server 10.77.0.2 2525\n smtp_helo_name lb7.example";
    let text = |globals: &str, more: &str| {
        format!("track_file F {{\n file {tracked}\n weight 0\n}}\n")
            + &conf(100, globals, &format!("{more}\n track_file {{\n F\n }}"))
    };
    let has = |words: &str| mails.lock().expect("mails").iter().filter(|m| m.contains(words)).count();
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(globals, "smtp_alert"));
    holds(&lan.hosts[0], &a);
    assert!(eventually(SOON, || has("VRRP Instance VI - Entering MASTER state") == 1), "{mails:?}\n{}", a.log());
    let of_master =
        mails.lock().expect("mails").iter().find(|m| m.contains("MASTER state")).cloned().unwrap_or_default();
    let (one, two) = ("RCPT TO:<one@example.org>", "RCPT TO:<two@example.org>");
    for words in ["HELO lb7.example", "MAIL FROM:<k@example.org>", one, two, "[lb7]"] {
        assert!(of_master.contains(words), "{words}: {of_master}");
    }
    file(folder.path(), "tracked", "1\n");
    assert!(eventually(SOON, || has("VI - Entering FAULT state") == 1), "{mails:?}\n{}", a.log());
    file(folder.path(), "tracked", "0\n");
    assert!(eventually(SOON, || has("VI - Entering MASTER state") == 2), "{mails:?}\n{}", a.log());
    // Not of faults, where that is wanted; and of nobody who does not want any.
    a.reload(&text(&format!("{globals}\n no_email_faults"), "smtp_alert"));
    assert!(eventually(SOON, || count(&a, "Reload complete") == 1), "{}", a.log());
    file(folder.path(), "tracked", "1\n");
    assert!(eventually(SOON, || count(&a, "Entering FAULT STATE") == 2), "{}", a.log());
    file(folder.path(), "tracked", "0\n");
    assert!(eventually(SOON, || has("VI - Entering MASTER state") == 3), "{mails:?}\n{}", a.log());
    assert_eq!(has("FAULT state"), 1, "{mails:?}");
    assert_eq!(a.stop(), Some(0));
    let b = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(globals, ""));
    holds(&lan.hosts[0], &b);
    assert_eq!(b.stop(), Some(0));
    assert_eq!(has("MASTER state"), 3, "{mails:?}");
}

#[test]
fn the_file_says_whether_instances_and_groups_are_mailed_of() {
    require!();
    let lan = Lan::new(2);
    let mails = mail_sink(&lan.hosts[1]);
    let mail = "router_id lb7\n notification_email {\n one@example.org\n }\n notification_email_from k@example.org\n \
                smtp_server 10.77.0.2 2525";
    // Of each: whether the instance is mailed of, and its group.
    for (globals, of_group, expected) in [
        ("smtp_alert", "", [true, true]),
        ("smtp_alert_vrrp", "", [true, true]),
        ("smtp_alert\n smtp_alert_vrrp no", "", [false, false]),
        ("", "smtp_alert", [false, true]),
        ("smtp_alert", "smtp_alert no", [true, false]),
        ("", "", [false, false]),
    ] {
        mails.lock().expect("mails").clear();
        let group = format!("vrrp_sync_group G {{\n group {{\n VI\n }}\n {of_group}\n}}\n");
        let text = conf(100, &format!("{mail}\n {globals}"), "") + &group;
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
        holds(&lan.hosts[0], &d);
        let has = |words: &str| mails.lock().expect("mails").iter().any(|m| m.contains(words));
        let seen = || ["VRRP Instance VI - Entering MASTER", "VRRP Group G - Entering MASTER"].map(has);
        let mailed = eventually(SOON, || seen() == expected);
        assert!(mailed, "{globals} {of_group}: {mails:?}\n{}", d.log());
        assert_eq!(d.stop(), Some(0));
        // What is on its way at the end arrives before it.
        assert_eq!(seen(), expected, "{globals} {of_group}: {mails:?}");
    }
}

/// One that takes the connection and says nothing.
#[test]
fn a_mail_server_is_waited_for_as_long_as_the_file_says() {
    require!();
    let lan = Lan::new(2);
    let silent = lan.hosts[1].inside(|| TcpListener::bind("0.0.0.0:2525").expect("mail server")).join();
    let _silent = silent.expect("listener");
    let globals = "notification_email {\n one@example.org\n }\n notification_email_from k@example.org\n \
                   smtp_server 10.77.0.2 2525\n smtp_alert\n smtp_connect_timeout";
    for seconds in [1, 4] {
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(100, &format!("{globals} {seconds}"), ""));
        d.wait_log("Entering BACKUP STATE", SOON);
        let begun = std::time::Instant::now();
        d.wait_log("mail server: timed out", SOON);
        let took = begun.elapsed().as_secs_f64();
        assert!((seconds as f64 - 0.5..seconds as f64 + 2.4).contains(&took), "{seconds}: {took}\n{}", d.log());
    }
}

#[test]
fn tracked_files_and_links_move_priority_and_state() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let tracked = file(folder.path(), "tracked", "0\n");
    lan.hosts[0].ip("link add other type veth peer name far");
    lan.hosts[0].ip("link set far up");
    lan.hosts[0].ip("link set other up");
    let more = "track_file {\n F weight 2\n }\n track_interface {\n other\n }";
    let text = format!("track_file F {{\n file {tracked}\n}}\n{}", conf(150, "", more));
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, "", ""));
    holds(&lan.hosts[0], &a);
    b.wait_log("master set to", SOON);
    // What is in the file counts twice.
    file(folder.path(), "tracked", "-40\n");
    a.wait_log("effective priority from 150 to 70", SOON);
    holds(&lan.hosts[1], &b);
    assert!(eventually(SOON, || !lan.hosts[0].has(VIP)), "{}", a.log());
    // As editors and careful scripts write: another file takes its place.
    file(folder.path(), "new", "20\n");
    std::fs::rename(folder.path().join("new"), &tracked).expect("rename");
    a.wait_log("effective priority from 70 to 190", SOON);
    holds(&lan.hosts[0], &a);
    assert!(eventually(SOON, || !lan.hosts[1].has(VIP)), "{}", b.log());
    // A link of which nothing else depends, without a weight.
    lan.hosts[0].ip("link set far down");
    a.wait_log("Entering FAULT STATE", SOON);
    holds(&lan.hosts[1], &b);
    assert!(eventually(SOON, || !lan.hosts[0].has(VIP)), "{}", a.log());
    lan.hosts[0].ip("link set far up");
    holds(&lan.hosts[0], &a);
}

#[test]
fn a_fifo_that_is_full_and_not_read_holds_nothing_up() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("fifo");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("FIFO");
    let mut fifo = std::fs::OpenOptions::new();
    let mut fifo = fifo.read(true).write(true).custom_flags(nix::libc::O_NONBLOCK).open(&path).expect("FIFO");
    let mut filled = 0;
    for piece in [4096, 1] {
        while fifo.write(&vec![b'\n'; piece]).is_ok() {
            filled += piece;
        }
    }
    assert!(filled >= 4096);
    let text = |address: &str| {
        conf(200, &format!("notify_fifo {}", path.display()), "version 3\n advert_int 0.1").replace(VIP, address)
    };
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(VIP));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, "", "version 3\n advert_int 0.1"));
    holds(&lan.hosts[0], &a);
    // It does all that it does elsewhere: it is heard, it reloads, it answers.
    b.wait_log("master set to", SOON);
    a.reload(&text("10.77.0.101"));
    assert!(eventually(SOON, || lan.hosts[0].has("10.77.0.101") && !lan.hosts[0].has(VIP)), "{}", a.log());
    assert!(steadfast_test_cluster::daemon::ask(&a, &["status"]).contains("MASTER"), "{}", a.log());
    assert_eq!(count(&b, "Entering MASTER STATE"), 0, "{}", b.log());
    // Who reads at last gets what waited.
    let mut heard = String::new();
    let all = eventually(SOON, || {
        let mut piece = vec![0; 65536];
        if let Ok(n) = fifo.read(&mut piece) {
            heard += String::from_utf8_lossy(&piece[..n]).trim_start_matches('\n');
        }
        heard.contains("INSTANCE \"VI\" MASTER 200")
    });
    assert!(all && heard.contains("INSTANCE \"VI\" BACKUP 200\n"), "{heard}");
    assert_eq!(a.stop(), Some(0));
}

/// FIFOs that cannot be used are no fault of the file, and nobody reads the log: who asks is told, until a reload mends it.
#[test]
fn who_asks_is_told_of_a_fifo_that_cannot_be_used() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("absent");
    let file = conf(200, &format!("notify_fifo {}/fifo", place.display()), "version 3\n advert_int 0.1");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &file);
    holds(&lan.hosts[0], &a);
    let ask = |words: &[&str]| steadfast_test_cluster::daemon::ask(&a, words);
    let words = format!("FIFO {}/fifo cannot be opened: No such file or directory", place.display());
    // Both processes use it.
    assert_eq!(ask(&["status"]).matches(&words).count(), 1, "{}", ask(&["status"]));
    assert!(ask(&["explain", "VI"]).contains(&words), "{}", ask(&["explain", "VI"]));
    assert!(ask(&["status", "--json"]).contains(&words), "{}", ask(&["status", "--json"]));
    std::fs::create_dir(&place).expect("folder");
    a.reload(&file);
    assert!(eventually(SOON, || !ask(&["status"]).contains(&words)), "{}", ask(&["status"]));
    assert!(eventually(Duration::from_secs(30), || place.join("fifo").exists()), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

/// Somebody's file has its place, and goes.
#[test]
fn a_fifo_whose_place_is_put_right_is_opened_by_the_next_reload() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("fifo");
    std::fs::write(&place, "mine").expect("file");
    let file = conf(200, &format!("vrrp_notify_fifo {}", place.display()), "version 3\n advert_int 0.1");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &file);
    holds(&lan.hosts[0], &a);
    let status = || steadfast_test_cluster::daemon::ask(&a, &["status"]);
    assert!(status().contains("/fifo"), "{}", status());
    std::fs::remove_file(&place).expect("file");
    a.reload(&file);
    assert!(eventually(Duration::from_secs(30), || place.exists() && !status().contains("/fifo")), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

#[test]
fn a_stop_may_leave_the_addresses() {
    require!();
    let lan = Lan::new(1);
    let a = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &conf(200, "", ""), &[("", "-V")]);
    holds(&lan.hosts[0], &a);
    assert_eq!(a.stop(), Some(0));
    assert!(lan.hosts[0].has(VIP), "it is gone");
}

#[test]
fn counters_are_written_and_cleared_by_signal_63() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let stats = folder.path().join("stats");
    let a =
        Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, &format!("stats_dump_file {}", stats.display()), ""));
    holds(&lan.hosts[0], &a);
    let pid = a.pid_of("pid").expect("pid");
    let written = |signal: i32, words: &str| {
        let _ = std::fs::remove_file(&stats);
        std::process::Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().expect("kill");
        let read = || std::fs::read_to_string(&stats).unwrap_or_default();
        assert!(eventually(SOON, || read().contains(words)), "signal {signal}: {}", read());
    };
    written(63, "  Became master: 1\n");
    written(Signal::SIGUSR2 as i32, "  Became master: 0\n");
}

#[test]
fn a_start_that_cannot_be_ends_with_keepalived_s_statuses() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("mode");
    // Everybody must be able to run it.
    let program = folder.path().join("steadfastd");
    std::fs::copy(steadfastd(), &program).expect("copy");
    let good = file(folder.path(), "good", &conf(200, "", ""));
    let no_id = file(folder.path(), "no_id", &conf(200, "", "").replace("virtual_router_id 51", ""));
    let no_value =
        file(folder.path(), "no_value", &conf(200, "", "").replace("virtual_router_id 51", "virtual_router_id"));
    let absent = folder.path().join("absent").display().to_string();
    for (path, user, status) in [(&absent, "0", 6), (&no_id, "0", 2), (&no_value, "0", 2), (&good, "65534", 4)] {
        let mut command = lan.hosts[0].command("setpriv");
        command.args(["--reuid", user, "--regid", user, "--clear-groups"]).arg(&program).args(["-n", "-l", "-f", path]);
        for (option, name) in [("-p", "pid"), ("-r", "vrrp"), ("-c", "check"), ("-b", "bfd")] {
            command.arg(option).arg(folder.path().join(name));
        }
        let log = folder.path().join(format!("log{status}"));
        let mut child =
            command.stdin(Stdio::null()).stderr(std::fs::File::create(&log).expect("log")).spawn().expect("start");
        let mut ended = None;
        let over = eventually(SOON, || {
            ended = child.try_wait().expect("wait");
            ended.is_some()
        });
        if !over {
            steadfast_test_cluster::daemon::send(child.id() as i32, Signal::SIGTERM);
            let _ = child.wait();
        }
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        assert_eq!(ended.and_then(|s| s.code()), Some(status), "{path} as {user}: {said}");
        assert!(!lan.hosts[0].has(VIP) && !said.is_empty());
    }
}

#[test]
fn lines_for_the_journal_carry_their_priority() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    // The variable names the very stream, as systemd has it.
    let of = log.metadata().expect("log");
    let stream = format!("{}:{}", of.dev(), of.ino());
    let variables = [("JOURNAL_STREAM", stream.as_str())];
    let text = conf(200, "", "");
    let a = Daemon::launch(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log), &variables);
    holds(&lan.hosts[0], &a);
    let log = a.log();
    let line = log.lines().find(|l| l.contains("Entering MASTER STATE")).expect("line");
    assert_eq!(line, "<6>(VI) Entering MASTER STATE", "the journal has a clock of its own");
    assert!(log.lines().all(|l| matches!(l.as_bytes(), [b'<', b'3'..=b'7', b'>', ..])), "{log}");
}

#[test]
fn syslog_gets_facility_priority_name_and_pid() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let socket = UnixDatagram::bind(at("log")).expect("socket");
    socket.set_read_timeout(Some(Duration::from_millis(100))).expect("timeout");
    file(folder.path(), "conf", &conf(200, "", ""));
    // A /dev of its own, which nobody else sees: `ip netns exec` has made a mount namespace.
    let words = format!(
        "mkdir {dev} && mount -t tmpfs none {dev} && touch {dev}/log && mount --bind {log} {dev}/log && for n in null zero urandom random; do \
         touch {dev}/$n && mount --bind /dev/$n {dev}/$n || exit 9; done && mount --rbind {dev} /dev && exec {program} -n -S 3 -D -f {conf} -p \
         {folder}/pid -r {folder}/vrrp.pid -c {folder}/check.pid -b {folder}/bfd.pid",
        dev = at("dev"),
        log = at("log"),
        conf = at("conf"),
        folder = folder.path().display(),
        program = steadfastd().display()
    );
    let mut command = lan.hosts[0].command("sh");
    command.args(["-c", &words]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut daemon = command.spawn().expect("start");
    let mut lines: Vec<String> = Vec::new();
    let found = eventually(SOON, || {
        let mut datagram = [0; 4096];
        while let Ok(n) = socket.recv(&mut datagram) {
            lines.push(String::from_utf8_lossy(&datagram[..n]).into_owned());
        }
        lines.iter().any(|l| l.contains("Entering MASTER STATE"))
    });
    let pid = std::fs::read_to_string(at("vrrp.pid")).unwrap_or_default();
    steadfast_test_cluster::daemon::send(daemon.id() as i32, Signal::SIGTERM);
    let status = daemon.wait().expect("end");
    assert!(found && status.success(), "{status} {lines:?}");
    // Facility local3 is 19, an informational line 6.
    let wanted = format!("<{}>Keepalived_vrrp[{}]: (VI) Entering MASTER STATE", 19 * 8 + 6, pid.trim());
    assert!(lines.contains(&wanted), "{wanted}: {lines:?}");
    assert!(lines.iter().any(|l| l.starts_with("<158>Keepalived[")), "{lines:?}");
}

#[test]
fn scripts_inherit_the_environment_but_for_what_misleads_them() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("environment");
    let notify = script(
        folder.path(),
        "notify",
        &format!("#!/bin/sh\n/bin/cat /proc/$$/environ > {}.new\n/bin/mv {0}.new {0}\n", out.display()),
    );
    let variables = [("IFS", "/"), ("LD_PRELOAD", ""), ("LD_LIBRARY_PATH", "/nonexistent"), ("SF_KEPT", "yes")];
    let text = conf(200, "", &format!("notify_master {notify}"));
    let a = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &text, &variables);
    let read = || std::fs::read_to_string(&out).unwrap_or_default();
    assert!(eventually(SOON, || out.exists()), "{}", a.log());
    let names: Vec<String> = read().split('\0').filter_map(|v| Some(v.split_once('=')?.0.to_string())).collect();
    assert!(names.iter().any(|n| n == "SF_KEPT") && names.iter().any(|n| n == "PATH"), "{names:?}");
    assert!(!names.iter().any(|n| ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH"].contains(&n.as_str())), "{names:?}");
}

#[test]
fn strict_mode_sends_no_password_and_version_3_over_ipv6() {
    require!();
    let lan = Lan::new(2);
    let pass = "authentication {\n auth_type PASS\n auth_pass secret\n }";
    let index =
        lan.hosts[1].show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).unwrap_or(2);
    for (globals, authentication) in [("", 1), ("vrrp_strict", 0)] {
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, globals, pass));
        holds(&lan.hosts[0], &a);
        let packets = lan.hosts[1]
            .inside(move || wire::record(index, Duration::from_millis(2500), || false))
            .join()
            .expect("observer");
        let types: Vec<u8> = packets.iter().filter_map(|p| p.get(usize::from(p[0] & 15) * 4 + 4).copied()).collect();
        assert!(!types.is_empty() && types.iter().all(|t| *t == authentication), "{globals}: {types:?}");
        assert_eq!(packets.iter().any(|p| p.windows(6).any(|w| w == b"secret")), authentication == 1, "{globals}");
        assert_eq!(a.stop(), Some(0));
    }
    let six = |globals: &str| conf(200, globals, "native_ipv6").replace(&format!("{VIP}/24"), "fe80::77/64");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &six("vrrp_strict"));
    a.wait_log("Entering MASTER STATE", SOON);
    assert!(steadfast_test_cluster::daemon::ask(&a, &["status", "--json"]).replace(' ', "").contains("\"version\":3"));
}

/// Beside keepalived: who hears a lower priority tells the FIFO and its own script of that, and nobody else.
#[test]
fn a_lower_advert_is_told_to_those_whom_keepalived_tells() {
    require!(keepalived);
    let mut said = Vec::new();
    for kind in [Kind::Steadfast, Kind::Keepalived] {
        let lan = Lan::new(2);
        let folder = tempfile::tempdir().expect("folder");
        let out = folder.path().join("out");
        let notify = script(folder.path(), "notify", &format!("#!/bin/sh\necho \"$@\" >> {}\n", out.display()));
        let more = format!(
            "notify \"{notify} any\"\n notify_master_rx_lower_pri \"{notify} lower\"\n notify_stop \"{notify} stop\""
        );
        let a = Daemon::start(&lan.hosts[0], kind, &conf(200, "", &more));
        holds(&lan.hosts[0], &a);
        let lower = wire::advert(Ipv4Addr::new(10, 77, 0, 2), 50);
        lan.hosts[1]
            .inside(move || wire::forge(vec![(255, lower)], wire::GROUP, 10, u64::MAX, Duration::from_millis(500)))
            .join()
            .expect("forger");
        let read = || std::fs::read_to_string(&out).unwrap_or_default();
        assert!(eventually(SOON, || read().contains("lower")), "{kind:?}: {}\n{}", read(), a.log());
        // The last word comes after all others.
        assert_eq!(a.stop(), Some(0));
        assert!(eventually(SOON, || read().contains("STOP") && read().contains("stop")), "{kind:?}: {}", read());
        let mut lines: Vec<String> = read().lines().map(str::to_string).collect();
        lines.sort();
        lines.dedup();
        said.push(lines);
    }
    assert_eq!(said[0], said[1]);
}
