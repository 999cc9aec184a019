//! The operator asks the daemon.

use nix::sys::signal::Signal;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{Ended, file, send, steadfastd};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The operator's command.
fn steadfast(d: &Daemon, words: &[&str]) -> Output {
    let program = steadfastd().with_file_name("steadfast");
    let socket = d.path("pid").with_extension("control");
    let mut command = Command::new(program);
    command.arg("--socket").arg(socket).args(words).stdin(Stdio::null());
    command.output().expect("steadfast")
}

fn said(o: &Output) -> String {
    String::from_utf8_lossy(&[o.stdout.clone(), o.stderr.clone()].concat()).into_owned()
}

fn conf(folder: &Path, priority: u8) -> String {
    let script = folder.join("chk").display().to_string();
    format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"/usr/bin/test -e {script}\"\n interval 1\n weight -20\n fall 1\n rise 1\n}}\n\
         vrrp_instance ONE {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 1\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n \
         track_script {{\n chk\n }}\n}}\n\
         vrrp_instance TWO {{\n interface absent0\n virtual_router_id 52\n virtual_ipaddress {{\n 10.77.0.101/24\n }}\n}}\n\
         virtual_server 10.77.0.100 80 {{\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
         real_server 10.77.0.9 80 {{\n TCP_CHECK {{\n connect_timeout 1\n retry 0\n }}\n }}\n real_server 10.77.0.8 80 {{\n weight 3\n }}\n}}\n"
    )
}

#[test]
fn the_daemon_says_how_it_is_and_why() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    file(folder.path(), "chk", "");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(folder.path(), 150));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", d.log());
    let socket = d.path("pid").with_extension("control");
    let metadata = std::fs::symlink_metadata(&socket).expect("socket");
    assert!(metadata.file_type().is_socket() && metadata.permissions().mode() & 0o777 == 0o600);

    let status = said(&steadfast(&d, &["status"]));
    for words in ["MASTER ONE", "priority 150", "FAULT  TWO", "interface absent0 does not exist", "ok     script chk"] {
        assert!(status.contains(words), "{words}: {status}");
    }
    assert!(!status.contains('\x1b'), "a pipe gets no colours: {status}");
    let whole: serde_json::Value = serde_json::from_slice(&steadfast(&d, &["status", "--json"]).stdout).expect("JSON");
    assert_eq!(whole["vrrp"]["instances"][0]["state"], "MASTER");
    assert_eq!(whole["vrrp"]["instances"][0]["history"][1]["cause"], "Receive advertisement timeout");
    let failed = || {
        said(&steadfast(&d, &["status"]))
            .lines()
            .any(|l| l.contains("10.77.0.9]:tcp:80  weight 1, since") && l.contains("TCP_CHECK: "))
    };
    assert!(eventually(seconds(10), failed), "{}", said(&steadfast(&d, &["status"])));

    std::fs::remove_file(folder.path().join("chk")).expect("file");
    let lowered = || said(&steadfast(&d, &["explain", "ONE"])).contains("Its priority is 130 = 150 - 20 (script chk).");
    assert!(eventually(seconds(5), lowered), "{}", said(&steadfast(&d, &["explain", "ONE"])));
    let two = said(&steadfast(&d, &["explain", "TWO"]));
    assert!(two.contains("It takes no part, because:\n  - interface absent0 does not exist"), "{two}");
    let nobody = steadfast(&d, &["explain", "THREE"]);
    assert!(!nobody.status.success() && said(&nobody).contains("there are: ONE, TWO"), "{}", said(&nobody));
    assert_eq!(d.stop(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn it_answers_while_a_child_is_dead_or_hangs_and_whoever_else_asks() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(folder.path(), 150));
    let fault = || said(&steadfast(&d, &["status"])).contains("FAULT  TWO");
    assert!(eventually(seconds(10), fault), "{}", d.log());
    let vrrp = d.pid_of("vrrp.pid").expect("pid");
    send(vrrp, nix::sys::signal::Signal::SIGSTOP);
    // Twenty who connect and say nothing take nobody's place for long.
    let socket = d.path("pid").with_extension("control");
    let silent: Vec<UnixStream> = (0..10).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    let status = said(&steadfast(&d, &["status"]));
    assert!(status.contains("FAULT  TWO"), "what it said last: {status}");
    drop(silent);
    send(vrrp, nix::sys::signal::Signal::SIGKILL);
    assert!(eventually(seconds(5), || d.pid_of("vrrp.pid").is_some_and(|p| p != vrrp)));
    assert!(eventually(seconds(5), || said(&steadfast(&d, &["status"])).contains("died once")), "{}", d.log());
    // Its successor knows since when, and why.
    let told = said(&steadfast(&d, &["explain", "TWO"]));
    assert!(told.contains("because of this: interface absent0 does not exist."), "{told}");
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn reload_and_plan_tell_what_comes_of_them() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let text = conf(folder.path(), 150);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let other = file(folder.path(), "other", &conf(folder.path(), 160).replace("10.77.0.8 80", "10.77.0.7 80"));
    let plan = steadfast(&d, &["plan", &other]);
    assert!(plan.status.success());
    assert_eq!(
        said(&plan),
        "~ vrrp_instance ONE > priority: 150 -> 160\n- virtual_server 10.77.0.100 80 > real_server 10.77.0.8 80\n\
         + virtual_server 10.77.0.100 80 > real_server 10.77.0.7 80\n"
    );
    // A plan of what a reload would refuse says so.
    let mistyped = file(folder.path(), "mistyped", &text.replace("priority 150", "priority 150\n prioritty 160"));
    let plan = steadfast(&d, &["plan", &mistyped]);
    assert!(!plan.status.success() && said(&plan).contains("a reload would change nothing"), "{}", said(&plan));
    // Without a file the daemon's own is looked at.
    let own = said(&steadfast(&d, &["check"]));
    assert!(own.contains(&format!("the running daemon's file: {}", d.path("conf").display())), "{own}");
    assert!(own.contains("interface absent0 does not exist now"), "{own}");
    // What does not work changes nothing, and the exit status and the place of the fault tell.
    std::fs::write(
        d.path("conf"),
        text.replace("virtual_router_id 51", "virtual_router_id 52").replace("absent0", "eth0"),
    )
    .expect("file");
    let reload = steadfast(&d, &["reload"]);
    assert!(!reload.status.success() && said(&reload).contains("the running configuration stays"), "{}", said(&reload));
    assert!(said(&reload).contains("conf:"), "{}", said(&reload));
    std::fs::copy(&other, d.path("conf")).expect("file");
    let reload = steadfast(&d, &["reload"]);
    assert!(reload.status.success(), "{}", said(&reload));
    let gone = || !said(&steadfast(&d, &["status"])).contains("10.77.0.8]");
    assert!(eventually(seconds(5), gone));
    // What a restart alone takes over is named, and stays named until then.
    let text = conf(folder.path(), 160).replace("10.77.0.8 80", "10.77.0.7 80");
    let fixed = text.replace("global_defs {", "instance other\nglobal_defs {\n vrrp_priority 3");
    std::fs::write(d.path("conf"), fixed).expect("file");
    let plan = "~ instance: none -> other (at a restart, not by a reload)\n\
                ~ use_pid_dir: none -> yes (at a restart, not by a reload)\n\
                ~ vrrp_priority: none -> 3 (at a restart, not by a reload)\n";
    assert_eq!(said(&steadfast(&d, &["plan"])), plan);
    let reload = steadfast(&d, &["reload"]);
    let warning = "steadfast: warning: vrrp_priority: none -> 3 (at a restart, not by a reload)";
    assert!(reload.status.success() && said(&reload).contains(warning), "{}", said(&reload));
    assert_eq!(said(&steadfast(&d, &["plan"])), plan);
    std::fs::write(d.path("conf"), text).expect("file");
    assert_eq!(said(&steadfast(&d, &["plan"])), "nothing would change\n");
    let reload = said(&steadfast(&d, &["reload"]));
    assert!(!reload.contains("warning") && reload.lines().count() == 1, "{reload}");
    // A script that is not there is told of by the plan and by the reload that brings it, and then that there is such a thing.
    let absent = conf(folder.path(), 160).replace("10.77.0.8 80", "10.77.0.7 80");
    let absent = absent.replace("priority 160", "notify_master /nowhere/told\n priority 160");
    std::fs::write(d.path("conf"), &absent).expect("file");
    let plan = steadfast(&d, &["plan"]);
    let told = |o: &Output| {
        String::from_utf8_lossy(&o.stderr).contains("notify_master script '/nowhere/told' does not exist now")
    };
    assert!(plan.status.success() && told(&plan), "{}", said(&plan));
    assert!(plan.stdout.starts_with(b"~ vrrp_instance ONE > notify_master: none -> "), "{}", said(&plan));
    // One that is refused is no file before.
    std::fs::write(d.path("conf"), absent.replace("priority 160", "prioritty 160")).expect("file");
    assert!(!steadfast(&d, &["reload"]).status.success());
    std::fs::write(d.path("conf"), &absent).expect("file");
    let reload = steadfast(&d, &["reload"]);
    assert!(reload.status.success() && told(&reload), "{}", said(&reload));
    let again = steadfast(&d, &["reload"]);
    assert!(again.status.success() && !told(&again), "{}", said(&again));
    assert!(said(&again).contains("reports on the file as before; `steadfast check"), "{}", said(&again));
    // Draining by hand.
    let drain = steadfast(&d, &["drain", "[10.77.0.100]:tcp:80", "[10.77.0.7]:tcp:80"]);
    assert!(drain.status.success(), "{}", said(&drain));
    assert!(eventually(seconds(5), || said(&steadfast(&d, &["status"])).contains("weight 0, drained")));
    // As in the file, too.
    assert!(steadfast(&d, &["undrain", "10.77.0.100 80", "10.77.0.7:80"]).status.success());
    let nobody = steadfast(&d, &["drain", "10.77.0.100 80", "10.77.0.99 80"]);
    assert!(!nobody.status.success() && said(&nobody).contains("10.77.0.7"), "{}", said(&nobody));
    assert!(eventually(seconds(5), || !said(&steadfast(&d, &["status"])).contains("drained")));
    assert_eq!(d.stop(), Some(0));
    let nobody = Command::new(steadfastd().with_file_name("steadfast"))
        .args(["--socket", "/nowhere/at/all", "status"])
        .output()
        .expect("steadfast");
    assert!(!nobody.status.success() && said(&nobody).contains("is steadfastd running?"), "{}", said(&nobody));
}

#[test]
fn a_daemon_is_found_by_its_process_and_a_long_answer_arrives_whole() {
    require!();
    let lan = Lan::new(1);
    let many: String = (0..1500)
        .map(|n| {
            format!(
                "vrrp_instance I{n} {{\n interface absent{n}\n virtual_router_id {}\n virtual_ipaddress {{\n 10.{}.{}.1/32\n }}\n}}\n",
                n % 255 + 1,
                n / 250 + 100,
                n % 250
            )
        })
        .collect();
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &many);
    d.wait_log("Startup complete", seconds(20));
    let pid = d.pid_of("pid").expect("pid").to_string();
    let ask = |by: &[&str], main: &str| {
        let program = steadfastd().with_file_name("steadfast");
        let mut command = Command::new(program);
        command.args(by).args(["status", "--json"]).env("MAINPID", main).stdin(Stdio::null());
        command.output().expect("steadfast")
    };
    for o in [ask(&["--pid", &pid], "1"), ask(&[], &pid)] {
        let whole: serde_json::Value = serde_json::from_slice(&o.stdout).expect("JSON");
        assert_eq!(whole["vrrp"]["instances"].as_array().map(Vec::len), Some(1500), "{}", said(&o));
    }
    // As the unit's reload where the unit lets nobody look into other processes.
    let blind = |pid: &str| {
        let program = steadfastd().with_file_name("steadfast");
        let mut command = Command::new("setpriv");
        command
            .args(["--bounding-set", "-sys_ptrace"])
            .arg(program)
            .args(["--pid", pid, "status"])
            .stdin(Stdio::null());
        command.output().expect("setpriv")
    };
    let o = blind(&pid);
    assert!(o.status.success() && said(&o).contains("I1499"), "{}", said(&o));
    assert!(!blind(&std::process::id().to_string()).status.success());
    let o = ask(&["--pid", &d.pid_of("vrrp.pid").expect("pid").to_string()], "1");
    assert!(!o.status.success() && said(&o).contains("is no daemon that can be asked"), "{}", said(&o));
    // No number of a process is as large.
    let o = ask(&["--pid", "4194305"], "1");
    assert!(!o.status.success() && said(&o).contains("there is no process 4194305"), "{}", said(&o));
    // Others than root learn that it is for that.
    let folder = tempfile::tempdir().expect("folder");
    let program = folder.path().join("steadfast");
    std::fs::copy(steadfastd().with_file_name("steadfast"), &program).expect("copy");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("mode");
    std::fs::set_permissions(d.folder.path(), std::fs::Permissions::from_mode(0o700)).expect("mode");
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&program);
    let o = command.args(["--pid", &pid, "status"]).stdin(Stdio::null()).output().expect("setpriv");
    assert!(!o.status.success() && said(&o).contains(&format!("process {pid}: only root may ask")), "{}", said(&o));
}

#[test]
fn a_daemon_with_a_mount_namespace_of_its_own_is_found_by_its_process() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    file(folder.path(), "conf", "");
    std::fs::create_dir(folder.path().join("own")).expect("folder");
    let text = conf(folder.path(), 150);
    let inner = format!(
        "mount --make-rprivate / && mount -t tmpfs none {at}/own && cat >{at}/own/conf && exec {program} -n -l -f {at}/own/conf -p {at}/own/pid -r {at}/own/v \
         -c {at}/own/c -b {at}/own/b",
        program = steadfastd().display()
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let mut command = lan.hosts[0].command("unshare");
    command.args(["--mount", "sh", "-c", &inner]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    let mut daemon = Ended(command.spawn().expect("unshare"));
    std::io::Write::write_all(&mut daemon.0.stdin.take().expect("pipe"), text.as_bytes()).expect("configuration");
    let pid = daemon.0.id().to_string();
    let ask = |words: &[&str]| {
        let mut command = Command::new(steadfastd().with_file_name("steadfast"));
        command.args(["--pid", &pid]).args(words).stdin(Stdio::null()).output().expect("steadfast")
    };
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    let there = || said(&ask(&["status"])).contains("FAULT  TWO");
    assert!(eventually(seconds(10), there), "{}\n{}", said(&ask(&["status"])), log());
    // Its file is not what we see by that name.
    for words in [["plan"], ["check"]] {
        let o = ask(&words);
        assert!(!o.status.success() && said(&o).contains("does not see"), "{words:?}: {}", said(&o));
    }
    let wanted = file(folder.path(), "wanted", &conf(folder.path(), 160));
    assert!(said(&ask(&["plan", &wanted])).contains("priority: 150 -> 160"), "{}", said(&ask(&["plan", &wanted])));
    let o = ask(&["reload"]);
    assert!(o.status.success(), "{}", said(&o));
    send(daemon.0.id() as i32, nix::sys::signal::Signal::SIGTERM);
    assert!(eventually(seconds(15), || daemon.0.try_wait().expect("wait").is_some()), "{}", log());
}

#[test]
fn trackers_tell_their_last_result_and_what_a_script_wrote() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    // It floods its output, leaves somebody behind who holds it open, and says at last what is wrong.
    let script = file(
        folder.path(),
        "chk",
        "#!/bin/sh\necho >>\"$0.runs\"\nhead -c 300000 /dev/zero | tr '\\0' x\nsleep 20 &\necho\necho \"backend is gone\" >&2\nexit 3\n",
    );
    let other = file(folder.path(), "other", "#!/bin/sh\nexit 0\n");
    for path in [&script, &other] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("mode");
    }
    let number = file(folder.path(), "number", "7\n");
    let text = format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"{script}\"\n interval 1\n timeout 1\n weight -20\n fall 1\n}}\n\
         vrrp_script loud {{\n script \"/bin/sh -c 'echo all is well >/dev/stderr'\"\n user nobody\n interval 1\n weight 2\n rise 1\n}}\n\
         vrrp_script other {{\n script \"{other}\"\n interval 1\n weight -5\n fall 1\n}}\n\
         track_file num {{\n file {number}\n}}\n\
         vrrp_instance ONE {{\n interface eth0\n virtual_router_id 51\n priority 150\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n \
         track_script {{\n chk\n other\n loud\n }}\n track_file {{\n num weight 1\n }}\n}}\n"
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let status = || said(&steadfast(&d, &["status"]));
    let told = || {
        let now = status();
        [
            "failed script chk: exit status 3",
            "backend is gone",
            "file num: value 7",
            "ok     script loud: exit status 0",
            "all is well",
        ]
        .iter()
        .all(|w| now.contains(w))
    };
    assert!(eventually(seconds(10), told), "{}\n{}", status(), d.log());
    assert_eq!(d.log().matches("VRRP_Script(chk) wrote: backend is gone").count(), 1, "{}", d.log());
    let words = ["script chk is bad: exit status 3, ", "Its last line: backend is gone", "vrrp_instance ONE is "];
    let chk = said(&steadfast(&d, &["explain", "chk"]));
    assert!(words.iter().all(|w| chk.contains(w)), "{chk}");
    let all = said(&steadfast(&d, &["explain"]));
    assert!(all.starts_with("ONE    vrrp_instance, ") && all.contains("\nchk    script, bad\n"), "{all}");
    let nobody = said(&steadfast(&d, &["explain", "one"]));
    assert!(nobody.contains("nothing that is called one (did you mean ONE?); there are: ONE, chk, "), "{nobody}");
    let nobody = said(&steadfast(&d, &["explain", "oen"]));
    assert!(nobody.contains("(did you mean ONE?)"), "{nobody}");
    // What cannot be started is said once, not at each interval.
    let runs = || std::fs::read_to_string(format!("{script}.runs")).unwrap_or_default().len();
    std::fs::remove_file(&other).expect("script");
    d.wait_log("VRRP_Script(other) cannot be started", seconds(10));
    let before = runs();
    assert!(eventually(seconds(10), || runs() >= before + 3), "{}", d.log());
    assert_eq!(d.log().matches("cannot be started").count(), 1, "{}", d.log());
}

#[test]
fn servers_are_shown_with_what_their_checks_say_and_drained_by_the_names_of_the_file() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let script = |name: &str, text: &str| {
        let path = file(folder.path(), name, &format!("#!/bin/sh\n{text}\n"));
        Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        path
    };
    let (well, slow) = (script("well", "echo 'all 3 disks are there'"), script("slow", "echo asking; exec sleep 30"));
    let misc = |path: &str| format!("MISC_CHECK {{\n misc_path {path}\n misc_timeout 1\n }}");
    let text = format!(
        "global_defs {{\n script_user root\n}}\nvirtual_server_group WEB {{\n 10.77.0.101-102 80\n}}\n\
         virtual_server group WEB {{\n delay_loop 2\n warmup 0.1\n lb_kind NAT\n protocol TCP\n sorry_server 10.77.0.7 80\n \
         real_server 10.77.0.9 80 {{\n {}\n }}\n real_server 10.77.0.8 80 {{\n {}\n }}\n}}\n\
         virtual_server fwmark 5 {{\n delay_loop 1\n lb_kind NAT\n real_server 10.77.0.9 80 {{\n weight 1\n }}\n}}\n",
        misc(&well),
        misc(&slow)
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let status = || said(&steadfast(&d, &["status"]));
    let shows = |words: &str| assert!(eventually(seconds(10), || status().contains(words)), "{words}:\n{}", status());
    shows("nothing is balanced: this kernel has no load balancer (module ip_vs)");
    shows("MISC_CHECK: all 3 disks are there");
    shows("MISC_CHECK: timed out after 1 s");
    shows("MISC_CHECK: asking");
    assert!(status().lines().any(|l| l.contains("up     [10.77.0.9]:tcp:80") && l.contains(" ms, ")), "{}", status());
    assert!(!status().contains("would serve"), "{}", status());
    // The last one that takes connections.
    let drain = steadfast(&d, &["drain", "group WEB", "10.77.0.9 80"]);
    assert!(drain.status.success(), "{}", said(&drain));
    assert!(said(&drain).contains("warning: group WEB has no other server that takes connections"), "{}", said(&drain));
    shows("[10.77.0.7]:tcp:80  sorry server, would serve");
    assert!(steadfast(&d, &["undrain", "group WEB", "10.77.0.9 80"]).status.success());
    assert!(eventually(seconds(5), || !status().contains("would serve")), "{}", status());
    let drain = steadfast(&d, &["drain", "fwmark 5", "10.77.0.9 80"]);
    assert!(drain.status.success() && said(&drain).contains("no sorry server"), "{}", said(&drain));
    assert!(steadfast(&d, &["undrain", "FWM 5", "10.77.0.9 80"]).status.success());
    // A killed checker knows on why a server is down.
    let pid = d.pid_of("check.pid").expect("pid");
    send(pid, nix::sys::signal::Signal::SIGKILL);
    assert!(eventually(seconds(5), || d.pid_of("check.pid").is_some_and(|p| p != pid)));
    assert!(eventually(seconds(5), || status().contains("checker  pid")), "{}", status());
    let down =
        |l: &str| l.contains("down   [10.77.0.8]:tcp:80  weight 1") && l.contains("  MISC_CHECK: timed out after 1 s");
    assert!(eventually(seconds(10), || status().lines().any(down)), "{}", status());
    assert!(!status().contains("MISC_CHECK: down"), "{}", status());
    assert_eq!(d.stop(), Some(0));
}

/// Who reloads is told that nobody answers, and is not kept waiting for minutes; what was asked for is done when the daemon goes on.
#[test]
fn a_reload_of_a_daemon_that_stands_still_says_so_and_ends() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let text = conf(folder.path(), 100);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    d.wait_log("Startup complete", seconds(10));
    std::fs::write(d.path("conf"), conf(folder.path(), 90)).expect("file");
    let parent = d.pid_of("pid").expect("pid");
    send(parent, Signal::SIGSTOP);
    let begun = Instant::now();
    let mut command = Command::new(steadfastd().with_file_name("steadfast"));
    command.arg("--socket").arg(d.path("pid").with_extension("control")).arg("reload").stdin(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("steadfast");
    let mut lines = BufReader::new(child.stderr.take().expect("its words")).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    assert!(first.contains("does not answer; waiting for it"), "{first}");
    assert!(begun.elapsed() < seconds(8), "{:?}", begun.elapsed());
    let last = lines.next().unwrap_or_default();
    assert_eq!(child.wait().expect("end").code(), Some(1), "{last}");
    assert!(last.contains("is there, but does not answer"), "{last}");
    assert!(begun.elapsed() < seconds(40), "{:?}", begun.elapsed());
    send(parent, Signal::SIGCONT);
    d.wait_log("Reload complete", seconds(10));
}

/// What is known of a failure that does not count yet, why a virtual server has no quorum, and who follows it.
#[test]
fn virtual_and_real_servers_are_explained_and_drained_by_names_without_quotes() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let (gone, path) = (folder.path().join("gone"), folder.path().join("probe"));
    std::fs::write(&path, format!("#!/bin/sh\n[ ! -e {} ]\n", gone.display())).expect("script");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let path = path.display();
    let check = format!("MISC_CHECK {{\n misc_path {path}\n retry 3\n delay_before_retry 120\n }}");
    let text = format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script {path}\n interval 1\n fall 100\n weight -5\n}}\n\
         vrrp_instance ONE {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n \
         track_script {{\n chk\n }}\n track_virtual_server {{\n 10.77.0.100 80\n }}\n}}\n\
         virtual_server 10.77.0.100 80 {{\n delay_loop 1\n warmup 0.1\n quorum 2\n lb_kind NAT\n protocol TCP\n \
         real_server 10.77.0.9 80 {{\n {check}\n }}\n real_server 10.77.0.8 80 {{\n weight 1\n }}\n}}\n"
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let says = |question: &[&str], words: &[&str]| {
        let has = || words.iter().all(|w| said(&steadfast(&d, question)).contains(w));
        assert!(eventually(seconds(15), has), "{words:?}: {}\n{}", said(&steadfast(&d, question)), d.log());
    };
    says(&["explain", "ONE"], &["is MASTER"]);
    let quorum =
        ["has its quorum", "and it keeps it with 2.", "vrrp_instance ONE goes to FAULT (track_virtual_server)"];
    says(&["explain", "10.77.0.100 80"], &quorum);
    says(&["explain", "10.77.0.100", "80", "10.77.0.9", "80"], &["MISC_CHECK is good"]);
    says(&["explain", "10.77.0.7 80"], &["there is no", "ONE, [10.77.0.100]:tcp:80"]);
    // It has not failed often enough.
    std::fs::write(&gone, "").expect("file");
    says(
        &["status"],
        &["MISC_CHECK: exited with status 1, 1 of 4 failures", "script chk: exit status 1, ", " of 100 failures"],
    );
    says(&["explain", "10.77.0.9 80"], &["is up", "(1 of the 4 failures that take it down)", "it asks again in"]);
    let drain = steadfast(&d, &["drain", "10.77.0.100", "80", "10.77.0.8", "80"]);
    let warning = "warning: [10.77.0.100]:tcp:80 loses its quorum by this, and there is no sorry server; \
                   vrrp_instance ONE goes to FAULT (track_virtual_server)";
    assert!(drain.status.success() && said(&drain).contains(warning), "{}", said(&drain));
    assert!(said(&drain).contains("[10.77.0.8]:tcp:80 of [10.77.0.100]:tcp:80 is drained now: "), "{}", said(&drain));
    let again = said(&steadfast(&d, &["drain", "10.77.0.100", "80", "10.77.0.8", "80"]));
    assert!(again.contains(" was drained already"), "{again}");
    let ago = ["[10.77.0.8]:tcp:80 is up", "drained by the operator ", " ago"];
    says(&["explain", "10.77.0.100", "80"], &[&["has no quorum"], ago.as_slice()].concat());
    // The address alone is of one virtual server.
    says(&["explain", "10.77.0.100"], &ago);
    says(&["status"], &["[10.77.0.8]:tcp:80  weight 0, drained ", " ago, since "]);
    // And over a death of the process.
    let before = d.pid_of("check.pid").expect("pid");
    let drained = || {
        let told: serde_json::Value = serde_json::from_str(&said(&steadfast(&d, &["status", "--json"]))).expect("JSON");
        told["checker"]["services"][0]["servers"][1]["drained_since"].as_f64()
    };
    let since = drained().expect("a time");
    send(before, Signal::SIGKILL);
    assert!(eventually(seconds(10), || d.pid_of("check.pid").is_some_and(|pid| pid != before)), "{}", d.log());
    assert!(
        eventually(seconds(10), || drained().is_some_and(|at| (at - since).abs() < 0.5)),
        "{since} {:?}",
        drained()
    );
    says(&["explain", "10.77.0.8 80"], &["`steadfast undrain \"[10.77.0.100]:tcp:80\" \"[10.77.0.8]:tcp:80\"`"]);
    let why = "virtual server 10.77.0.100 80 is bad (its failure means FAULT): [10.77.0.8]:tcp:80 takes no connections";
    says(&["explain", "ONE"], &["is FAULT", why, "`steadfast explain [10.77.0.100]:tcp:80` says why"]);
    let undrained = || steadfast(&d, &["undrain", "10.77.0.100", "80", "10.77.0.8", "80"]);
    assert!(eventually(seconds(10), || undrained().status.success()));
    assert!(said(&undrained()).contains(" was not drained"), "{}", said(&undrained()));
    says(&["explain", "10.77.0.100 80"], &["has its quorum"]);
    let wrong = said(&steadfast(&d, &["drain", "10.77.0.1", "80", "10.77.0.8", "80"]));
    assert!(wrong.contains("no virtual server 10.77.0.1 80; there are: [10.77.0.100]:tcp:80; quotes show"), "{wrong}");
    assert_eq!(d.stop(), Some(0));
}

/// `dynamic_interfaces` takes the fault away; whoever mistypes an interface is to know it all the same.
#[test]
fn an_interface_that_is_absent_is_told_of_also_where_it_may_be() {
    require!();
    let lan = Lan::new(1);
    let of = |link: &str| {
        format!(
            "global_defs {{\n dynamic_interfaces\n}}\nvrrp_sync_group G {{\n group {{\n VI\n }}\n}}\nvrrp_instance VI {{\n interface {link}\n \
             virtual_router_id 51\n priority 255\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n}}\n"
        )
    };
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &of("eth0"));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", d.log());
    std::fs::write(d.path("conf"), of("eth9")).expect("file");
    // Who asks lives where the daemon does, and sees its links.
    let program = steadfastd().with_file_name("steadfast");
    let mut plan = lan.hosts[0].command(program.to_str().expect("path"));
    let plan = plan.arg("--socket").arg(d.path("pid").with_extension("control")).arg("plan").output().expect("plan");
    let text = String::from_utf8_lossy(&plan.stdout);
    let words =
        "eth0 -> eth9 (there is no interface eth9 now: it is in FAULT until there is, and with it sync group G)";
    assert!(text.contains(words) && !text.contains("some seconds"), "{text}");
    let note = "interface eth9 does not exist now, the instance waits for it";
    assert!(String::from_utf8_lossy(&plan.stderr).contains(note), "{}", String::from_utf8_lossy(&plan.stderr));
    let reload = steadfast(&d, &["reload"]);
    let told = String::from_utf8_lossy(&reload.stderr);
    assert!(reload.status.success() && told.contains(note), "{told}");
}
