//! What a death is not to show, and what a dump or a terminal is to be given.

use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::{Ended, file, send, steadfastd};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn conf(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n version 3\n advert_int 0.1\n {more}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// The kernel itself tells of every address that goes, for however short a time.
#[test]
fn a_killed_vrrp_child_takes_no_address_away_and_no_script_is_told() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::Builder::new().prefix("steadfast-test").tempdir_in("/run").expect("folder");
    let at = folder.path().display().to_string();
    let script = file(folder.path(), "told", &format!("#!/bin/sh\necho \"$@\" >> {at}/notified\n"));
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let text = format!("global_defs {{\n script_user root\n}}\n{}", conf(&format!("notify {script}")));
    let d = Daemon::start_in(host, Kind::Steadfast, &text, folder, log.into());
    let told = || std::fs::read_to_string(d.path("notified")).unwrap_or_default();
    assert!(eventually(seconds(10), || host.has(VIP) && told().contains("MASTER")), "{}", d.log());
    let before = told();
    let mut monitor = host.command("ip");
    let mut monitor =
        monitor.args(["monitor", "address"]).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("monitor");
    let (tell, events) = std::sync::mpsc::channel();
    let out = monitor.stdout.take().expect("pipe");
    std::thread::spawn(move || BufReader::new(out).lines().map_while(Result::ok).all(|l| tell.send(l).is_ok()));
    // It listens when it tells of an address that comes.
    let hears = |mark: &str| {
        let mut heard = Vec::new();
        let there = eventually(seconds(10), || {
            heard.extend(events.try_iter());
            heard.iter().any(|l: &String| l.contains(mark))
        });
        assert!(there, "{mark}: {heard:?}");
        heard
    };
    assert!(eventually(seconds(5), || {
        host.ip("address add 10.99.0.1/32 dev lo");
        host.ip("address del 10.99.0.1/32 dev lo");
        std::thread::sleep(Duration::from_millis(50));
        events.try_iter().any(|l| l.contains("10.99.0.1"))
    }));
    let pid = d.pid_of("vrrp.pid").expect("pid");
    send(pid, Signal::SIGKILL);
    d.wait_log("continuing in MASTER state", seconds(10));
    // Master it stays, as long as the whole start of a router takes.
    std::thread::sleep(seconds(1));
    host.ip("address add 10.99.0.2/32 dev lo");
    let heard = hears("10.99.0.2");
    let _ = monitor.kill();
    let _ = monitor.wait();
    assert!(!heard.iter().any(|l| l.contains("Deleted") && l.contains(VIP)), "{heard:?}");
    assert_eq!(told(), before, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn dumps_are_for_root_and_never_written_through_a_link() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(""));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
    let all = [(Signal::SIGUSR1, "keepalived.data"), (Signal::SIGUSR2, "keepalived.stats")];
    for (signal, name) in all {
        let (path, victim) = (d.path(name), d.path("victim"));
        d.signal(signal);
        assert!(eventually(seconds(5), || path.exists()), "{}", d.log());
        let first = std::fs::symlink_metadata(&path).expect("dump");
        assert!(first.is_file() && first.mode() & 0o777 == 0o600, "{name} {:o}", first.mode());
        // Somebody has put a link there, to a file of another's.
        std::fs::write(&victim, "mine").expect("file");
        std::fs::remove_file(&path).expect("dump");
        std::os::unix::fs::symlink(&victim, &path).expect("link");
        d.signal(signal);
        let answered =
            || std::fs::symlink_metadata(&path).is_ok_and(|m| m.is_file()) || d.log().contains("cannot write");
        assert!(eventually(seconds(5), answered), "{}", d.log());
        assert_eq!(std::fs::read_to_string(&victim).expect("file"), "mine", "{name}");
        std::fs::remove_file(&path).expect("dump");
    }
    assert_eq!(d.stop(), Some(0));
}

/// Files in /tmp anybody may make first. There a daemon puts what it is asked for only where somebody asked for that, too.
#[test]
fn dumps_are_in_the_daemons_own_folder_but_for_who_asked_otherwise() {
    require!();
    let lan = Lan::new(1);
    // /run and /tmp are the daemon's alone here, so its own files are elsewhere.
    let folder = tempfile::tempdir_in("/var/tmp").expect("folder");
    let at = folder.path().display().to_string();
    std::fs::copy(steadfastd(), folder.path().join("steadfastd")).expect("program");
    std::os::unix::fs::symlink("steadfastd", folder.path().join("keepalived")).expect("link");
    let named = format!("state_dump_file {at}/state.data\n json_dump_file {at}/state.json\n");
    let own = "/run/keepalived/dumps";
    let cases = [
        ("steadfastd", "", "", [own, own, own]),
        ("keepalived", "", "", ["/tmp", "/tmp", "/tmp"]),
        ("steadfastd", "TMPDIR=/tmp/mine", "", ["/tmp/mine", "/tmp/mine", "/tmp/mine"]),
        ("steadfastd", "", named.as_str(), [at.as_str(), own, at.as_str()]),
    ];
    for (name, variable, keywords, places) in cases {
        std::fs::write(folder.path().join("conf"), format!("global_defs {{\n {keywords}}}\n{}", conf("")))
            .expect("conf");
        let script = format!(
            "mount -t tmpfs none /run && mount -t tmpfs none /tmp && mkdir /tmp/mine && \
             ln -s {own}/keepalived.json /tmp/keepalived.json && exec env -u TMPDIR {variable} {at}/{name} -n -l -D -f {at}/conf"
        );
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let mut command = lan.hosts[0].command("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", &script]).stdin(Stdio::null()).stderr(log);
        let mut daemon = Ended(command.spawn().expect("unshare"));
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", log());
        let pid = i32::try_from(daemon.0.id()).expect("pid");
        let inside = |path: &str| std::path::PathBuf::from(format!("/proc/{pid}/root{path}"));
        let base = if keywords.is_empty() { ["keepalived"; 3] } else { ["state", "keepalived", "state"] };
        for (n, (signal, kind)) in [(10, "data"), (12, "stats"), (36, "json")].into_iter().enumerate() {
            let path = format!("{}/{}.{kind}", places[n], base[n]);
            super::clients::send_number(pid, signal);
            let there =
                || std::fs::symlink_metadata(inside(&path)).is_ok_and(|m| m.is_file() && m.mode() & 0o777 == 0o600);
            assert!(eventually(seconds(5), there), "{name} {variable}: {path}: {}", log());
            // Who wonders where it is finds it in the log, behind keepalived's words.
            let last = || log().lines().rfind(|l| l.contains("Printing VRRP ")).map(str::to_string).unwrap_or_default();
            let told = || last().ends_with(&format!(" on signal: {path}"));
            assert!(eventually(seconds(5), told), "{path}: {}", last());
        }
        // What the package puts there for exporters stays a link, unless it is the very name that was asked for.
        let link = std::fs::symlink_metadata(inside("/tmp/keepalived.json")).expect("a link or a file");
        assert_eq!(link.is_symlink(), places[2] != "/tmp", "{name} {variable}");
        let made = std::fs::read_dir(inside("/tmp")).expect("folder").count();
        let wanted = if places[0] == "/tmp" { 5 } else { 2 };
        assert_eq!(made, wanted, "{name} {variable}");
        assert_eq!(inside(own).exists(), places.contains(&own), "{name} {variable}");
        send(pid, Signal::SIGTERM);
        assert!(eventually(seconds(10), || daemon.0.try_wait().is_ok_and(|s| s.is_some())), "{}", log());
    }
}

#[test]
fn a_terminal_has_colours_and_a_picture_that_is_renewed() {
    require!();
    if Command::new("script").arg("--version").output().is_err() {
        println!("SKIPPED: script is not there: no terminal");
        return;
    }
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(""));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
    let ask = format!(
        "{} --socket {} status",
        steadfastd().with_file_name("steadfast").display(),
        d.path("pid").with_extension("control").display()
    );
    let once = Command::new("script").args(["-qec", &ask, "/dev/null"]).stdin(Stdio::null()).output().expect("script");
    let once = String::from_utf8_lossy(&once.stdout).into_owned();
    assert!(once.contains("MASTER") && once.contains("\x1b[") && !once.contains("\x1b[J"), "{once:?}");
    let mut watch = Command::new("script");
    watch.args(["-qefc", &format!("{ask} --watch"), "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut watch = Ended(watch.spawn().expect("script"));
    let mut out = watch.0.stdout.take().expect("pipe");
    let (tell, seen) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = std::io::Read::read(&mut out, &mut buffer) {
            if tell.send(String::from_utf8_lossy(&buffer[..n]).into_owned()).is_err() {
                return;
            }
        }
    });
    // Each picture begins with an empty screen, and has what is new.
    let mut shown = String::new();
    let mut has = |words: &str, times: usize| {
        let there = eventually(seconds(10), || {
            shown.extend(seen.try_iter());
            shown.matches("\x1b[H\x1b[J").count() >= times && shown.contains(words)
        });
        assert!(there, "{words}: {shown:?}");
    };
    has("MASTER", 2);
    lan.hosts[0].ip("link set eth0 down");
    has("FAULT", 3);
    drop(watch);
    assert_eq!(d.stop(), Some(0));
}
