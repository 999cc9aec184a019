//! What trackers see of real processes.

use nix::sys::signal::Signal;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require, wire};

const VIP: &str = "10.77.0.100";

#[test]
fn the_end_of_a_tracked_process_is_noticed_at_once_and_its_return_soon() {
    require!();
    let lan = Lan::new(1);
    // A program of a name that nobody else has.
    let folder = tempfile::tempdir().expect("folder");
    let program = folder.path().join("sf-tracked");
    std::fs::copy("/bin/sleep", &program).expect("copy");
    let start = || {
        let mut command = std::process::Command::new(&program);
        command.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Guard(command.spawn().expect("start"))
    };
    let mut process = start();
    let conf = format!(
        "vrrp_track_process tracked {{\n process sf-tracked\n weight 20\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n \
         priority 200\n track_process {{\n tracked\n }}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    );
    let host = &lan.hosts[0];
    let a = Daemon::start(host, Kind::Steadfast, &conf);
    let count = |words: &str| a.log().matches(words).count();
    let (up, down) = ("effective priority from 200 to 220", "effective priority from 220 to 200");
    a.wait_log("Entering MASTER STATE", Duration::from_secs(10));
    let mut best = Duration::MAX;
    for round in 1..=3 {
        let begun = Instant::now();
        // It is not collected yet: a process that has ended does not run, whoever its parent is.
        process.0.kill().expect("kill");
        assert!(eventually(Duration::from_secs(5), || count(down) == round), "{}", a.log());
        best = best.min(begun.elapsed());
        process = start();
        assert!(eventually(Duration::from_secs(10), || count(up) == round), "{}", a.log());
    }
    println!("from the end of a tracked process to the new priority: {best:?}");
    // Whoever counts once a second needs half a second on the average, and the best of three is rarely this good.
    assert!(best < Duration::from_millis(150), "{best:?}");
}

/// Who begins while a tracked process is absent is told of with the priority that it has. That is no news to who goes on after a crash.
#[test]
fn a_process_that_is_absent_counts_from_the_first_word() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("FIFO");
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::libc::O_NONBLOCK);
    let mut heard = options.read(true).write(true).open(&fifo).expect("FIFO");
    let instance = |name: &str, vrid: u8, address: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n version 3\n advert_int 0.1\n priority 100\n \
             track_process {{\n {name}_there\n }}\n virtual_ipaddress {{\n {address}/24\n }}\n}}\n"
        )
    };
    let tracker =
        |name: &str| format!("vrrp_track_process {name}_there {{\n process sf-nobody-{name}\n weight 10\n}}\n");
    let globals = format!("global_defs {{\n vrrp_notify_fifo {}\n}}\n", fifo.display());
    let one = format!("{globals}{}{}", tracker("VI"), instance("VI", 51, VIP));
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &one);
    a.wait_log("(VI) Entering MASTER STATE", Duration::from_secs(10));
    a.reload(&format!("{one}{}{}", tracker("SOLO"), instance("SOLO", 52, "10.77.0.101")));
    a.wait_log("(SOLO) Entering MASTER STATE", Duration::from_secs(10));
    let mut said = String::new();
    let all = eventually(Duration::from_secs(10), || {
        let mut piece = [0; 4096];
        if let Ok(n) = std::io::Read::read(&mut heard, &mut piece) {
            said += &String::from_utf8_lossy(&piece[..n]);
        }
        said.contains("\"SOLO\" MASTER")
    });
    assert!(all && said.contains("\"SOLO\" BACKUP 100\n") && said.contains("\"VI\" BACKUP 100\n"), "{said}");
    assert!(said.lines().all(|l| l.ends_with(" 100")), "{said}");
    send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    a.wait_log("(SOLO) continuing in MASTER state", Duration::from_secs(10));
    assert!(a.log().contains("Quorum lost for tracked process SOLO_there"), "{}", a.log());
    assert!(!a.log().contains("Changing effective priority"), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

/// Ended with the test.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The first value is written once in the daemon's life: what an operator has written since is his.
#[test]
fn a_tracked_file_stays_as_it_is_when_a_process_that_hung_begins_anew() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("out");
    let conf = format!(
        "track_file out {{\n file {}\n weight 0\n init_file 0 overwrite\n}}\nvrrp_instance VI {{\n interface eth0\n \
         virtual_router_id 51\n priority 200\n track_file {{\n out\n }}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
        file.display()
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf);
    d.wait_log("Entering MASTER STATE", Duration::from_secs(10));
    let faults = |n: usize| d.log().matches("entering FAULT state: file out has value 1").count() == n;
    std::fs::write(&file, "1\n").expect("write");
    assert!(eventually(Duration::from_secs(5), || faults(1)), "{}", d.log());
    let hung = d.pid_of("vrrp.pid").expect("pid");
    send(hung, Signal::SIGSTOP);
    let another = || d.pid_of("vrrp.pid").is_some_and(|pid| pid != hung);
    assert!(eventually(Duration::from_secs(40), another), "{}", d.log());
    assert!(eventually(Duration::from_secs(10), || faults(2)), "{}", d.log());
    assert_eq!(std::fs::read_to_string(&file).expect("read").trim(), "1");
}

/// A script that hangs is ended after its time, counts as failed, and is run again.
#[test]
fn a_script_that_hangs_has_failed_when_its_time_is_over() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let text =
        format!("#!/bin/sh\n[ -e {0}/hang ] || exit 0\necho $$ >> {0}/hung\nexec sleep 30\n", folder.path().display());
    std::fs::write(at("chk"), text).expect("script");
    std::fs::set_permissions(at("chk"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let conf = |timeout: &str| {
        format!(
            "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script {}\n interval 1\n {timeout}\n weight -100\n}}\n\
             vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n track_script {{\n chk\n }}\n \
             virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
            at("chk").display()
        )
    };
    // Of a whole number of seconds, and of the interval where the file does not say.
    for (timeout, least, most) in [("timeout 4", 3.5, 15.0), ("", 0.5, 3.0)] {
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(timeout));
        a.wait_log("Entering MASTER STATE", Duration::from_secs(10));
        a.wait_log("VRRP_Script(chk) succeeded", Duration::from_secs(10));
        std::fs::write(at("hang"), "").expect("file");
        let hung = || std::fs::read_to_string(at("hung")).unwrap_or_default();
        assert!(eventually(Duration::from_secs(10), || hung().contains('\n')), "{}", a.log());
        let begun = Instant::now();
        a.wait_log("VRRP_Script(chk) timed out", Duration::from_secs(25));
        a.wait_log("effective priority from 200 to 100", Duration::from_secs(1));
        let took = begun.elapsed().as_secs_f64();
        println!("{timeout:?}: a script that hangs has failed after {took} s");
        assert!((least..most).contains(&took), "{timeout}: {took}\n{}", a.log());
        // Nothing of it is left.
        let first: i32 = hung().lines().next().and_then(|l| l.parse().ok()).expect("pid");
        let gone = || !std::path::Path::new(&format!("/proc/{first}")).exists();
        assert!(eventually(Duration::from_secs(10), gone), "{}", a.log());
        // The next one is run, and whoever does not hang is good again.
        std::fs::remove_file(at("hang")).expect("file");
        a.wait_log("effective priority from 100 to 200", Duration::from_secs(15));
        assert_eq!(a.stop(), Some(0));
        std::fs::remove_file(at("hung")).expect("file");
    }
}

/// What a script has just found goes along when the process that it was told to dies: no advert says anything else.
#[test]
fn a_verdict_that_is_a_moment_old_outlives_the_process() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let sign = folder.path().join("sign");
    // It takes a while, as a check of a service does: without its verdict a successor has none for so long.
    let conf = format!(
        "global_defs {{\n enable_script_security\n script_user root\n}}\nvrrp_script chk {{\n script \"/bin/sh -c 'test -e {}; r=$?; sleep 0.8; exit $r'\"\n \
         interval 3\n weight 30\n}}\n\
         vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.1\n priority 150\n track_script {{\n chk\n }}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n",
        sign.display()
    );
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf);
    a.wait_log("Entering MASTER STATE", Duration::from_secs(10));
    for (present, priority, words) in [(true, 180, "from 150 to 180"), (false, 150, "from 180 to 150")] {
        // A process that dies again within seconds of its birth begins without a past.
        std::thread::sleep(Duration::from_secs(11));
        if present {
            std::fs::write(&sign, "").expect("write");
        } else {
            std::fs::remove_file(&sign).expect("remove");
        }
        a.wait_log(words, Duration::from_secs(10));
        let index = lan.hosts[1].show("-o link show dev eth0");
        let index: u32 = index.split(':').next().and_then(|n| n.trim().parse().ok()).expect("index");
        let ear = lan.hosts[1].inside(move || wire::adverts(index, 51, Duration::from_secs(3), || false));
        std::thread::sleep(Duration::from_millis(300));
        send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
        let seen: Vec<u8> = ear.join().expect("ear").iter().map(|s| s.priority).collect();
        assert!(seen.len() > 15 && seen.iter().all(|p| *p == priority), "{seen:?}\n{}", a.log());
    }
}
