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
