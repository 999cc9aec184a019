//! What the processes of the daemon give up, and that scripts do not suffer from it.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::client::Client;
use steadfast_test_cluster::daemon::{ask, file, keepalived, send};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn line(pid: i32, name: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(":\t")).unwrap_or_default().to_string()
}

fn powers(pid: i32, set: &str) -> u64 {
    u64::from_str_radix(&line(pid, set), 16).expect("capabilities")
}

const NET_ADMIN: u64 = 1 << 12;
const NET_RAW: u64 = 1 << 13;
const SETUID: u64 = 1 << 7;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_PTRACE: u64 = 1 << 19;

/// The runner of a child: the only process with this role and these parents.
fn runners(parent: i32) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ");
        if command.contains(" --role runner ") && command.contains(&format!(" --parent {parent}")) {
            found.push(pid);
        }
    }
    found
}

/// A daemon whose scripts write down what they are and what they hold.
fn daemon(lan: &Lan, folder: tempfile::TempDir) -> Daemon {
    let at = folder.path().display().to_string();
    let script = |name: &str, text: &str| {
        let path = file(folder.path(), name, &format!("#!/bin/sh\n{text}\n"));
        std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        path
    };
    let told = script(
        "told",
        &format!(
            "(id -u; ls -l /proc/self/fd; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; echo \"$*\") > {at}/out/$1.$4"
        ),
    );
    // The earlier change's script is the slower one, and still writes first.
    let order = script("order", &format!("[ \"$3\" = BACKUP ] && sleep 0.7; echo \"$3\" >> {at}/out/order"));
    let check = script("check", &format!("echo x >> {at}/out/runs; exec sleep 0.05"));
    let text = format!(
        "global_defs {{\n enable_script_security\n script_user root\n}}\n\
         vrrp_script chk {{\n script \"{check}\"\n interval 1\n user nobody\n}}\n\
         vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 0.1\n version 3\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n track_script {{\n chk\n }}\n notify_master \"{told} master VI MASTER 1\" root\n \
         notify_backup \"{told} backup VI BACKUP 1\" nobody\n notify \"{order}\" nobody\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 1\n protocol TCP\n real_server 10.77.0.1 80 {{\n weight 1\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into())
}

/// A folder that only root can change, for script security.
fn home() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("steadfast-test").tempdir_in("/run").expect("folder");
    let out = folder.path().join("out");
    std::fs::create_dir(&out).expect("folder");
    for (path, mode) in [(folder.path(), 0o755), (&out, 0o777)] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("mode");
    }
    folder
}

#[test]
fn children_hold_what_they_need_and_scripts_hold_nothing_of_theirs() {
    require!();
    let lan = Lan::new(1);
    let d = daemon(&lan, home());
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
    let (vrrp, checker) = (d.pid_of("vrrp.pid").expect("pid"), d.pid_of("check.pid").expect("pid"));
    for pid in [vrrp, checker] {
        for set in ["CapEff", "CapPrm", "CapBnd"] {
            let held = powers(pid, set);
            assert_eq!(held & (NET_ADMIN | NET_RAW), NET_ADMIN | NET_RAW, "{set} {held:x}");
            assert_eq!(held & (SETUID | SYS_ADMIN | SYS_PTRACE), 0, "{set} {held:x}");
        }
        assert_eq!((line(pid, "Seccomp"), line(pid, "NoNewPrivs")), ("2".into(), "1".into()));
        // No thread of it has more.
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).expect("tasks").flatten() {
            let status = std::fs::read_to_string(task.path().join("status")).expect("status");
            assert!(status.contains("Seccomp:\t2") && !status.contains("CapEff:\t000001ff"), "{status}");
        }
    }
    let all = powers(d.pid_of("pid").expect("pid"), "CapEff");
    assert_ne!(all & SETUID, 0, "the parent hands on what scripts need");
    // A script of root's has root's rights, one of another account none; neither is filtered nor holds descriptors of ours: only
    // what it is given, the shell's own, and the folder that is listed.
    let read = |n: &str| std::fs::read_to_string(d.path("out").join(n)).unwrap_or_default();
    assert!(eventually(seconds(5), || read("master.1").contains("MASTER")), "{}", d.log());
    let (root, nobody) = (read("master.1"), read("backup.1"));
    assert!(root.starts_with("0\n") && root.contains(&format!("CapEff:\t{all:016x}")), "{root}");
    assert!(nobody.starts_with("65534\n") && nobody.contains("CapEff:\t0000000000000000"), "{nobody}");
    for text in [root, nobody] {
        let open = text.lines().filter_map(|l| l.split_once(" -> ")?.0.split(' ').next_back());
        assert!(open.clone().all(|fd| ["0", "1", "2", "3", "10"].contains(&fd)), "{text}");
        assert!(text.contains("NoNewPrivs:\t0") && text.contains("Seccomp:\t0"), "{text}");
    }
    assert!(eventually(seconds(5), || read("order").lines().eq(["BACKUP", "MASTER"])), "{}", read("order"));
}

#[test]
fn a_killed_runner_costs_no_state_and_no_check() {
    require!();
    let lan = Lan::new(1);
    let d = daemon(&lan, home());
    let host = &lan.hosts[0];
    assert!(eventually(seconds(10), || host.has(VIP)), "{}", d.log());
    let parent = d.pid_of("pid").expect("pid");
    let before = runners(parent);
    assert_eq!(before.len(), 1, "one for the child that has scripts: {before:?}");
    send(before[0], Signal::SIGKILL);
    assert!(eventually(seconds(5), || runners(parent).iter().any(|p| *p != before[0])), "{}", d.log());
    let runs = || std::fs::read_to_string(d.path("out/runs")).unwrap_or_default().len();
    let so_far = runs();
    assert!(eventually(seconds(5), || runs() > so_far + 4), "checks go on: {}", d.log());
    assert!(host.has(VIP));
    assert!(!d.log().contains("(chk) failed") && !d.log().contains("Entering FAULT"), "{}", d.log());
    // One that hangs is noticed, and replaced as well.
    let hung = *runners(parent).first().expect("runner");
    send(hung, Signal::SIGSTOP);
    d.wait_log("does not answer, ending it", seconds(15));
    assert!(eventually(seconds(5), || runners(parent).iter().any(|p| *p != hung)), "{}", d.log());
    let so_far = runs();
    assert!(eventually(seconds(5), || runs() > so_far + 4), "checks go on: {}", d.log());
    let pid = d.pid_of("vrrp.pid").expect("pid");
    let left = d.stop();
    assert_eq!(left, Some(0));
    assert!(eventually(seconds(5), || runners(parent).is_empty()), "{pid}: its runner ends with it");
}

/// The processes whose command line has this in it.
fn processes(of: &str) -> Vec<i32> {
    let all = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let line = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    pids.filter(|pid| line(pid).contains(of)).collect()
}

/// Scripts that hang: the next runner begins them anew, so that those of a dead one are nobody's. What tells of a change goes on.
#[test]
fn what_a_killed_runner_had_under_way_for_an_answer_ends_with_it() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let at = folder.path().display().to_string();
    let script = |name: &str, text: &str| {
        let path = file(folder.path(), name, &format!("#!/bin/sh\n{text}\n"));
        std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        path
    };
    let hang = |name: &str| script(name, &format!("tail -f {at}/{name} & wait"));
    let (track, misc, reader, tells) = (hang("track"), hang("misc"), hang("reader"), hang("tells"));
    let text = format!(
        "global_defs {{\n script_user root\n notify_fifo {at}/fifo\n notify_fifo_script {reader}\n}}\n\
         vrrp_script chk {{\n script \"{track}\"\n interval 60\n timeout 60\n init_fail\n weight 1\n}}\n\
         vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 0.1\n version 3\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n track_script {{\n chk\n }}\n notify_master \"{tells}\"\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 60\n protocol TCP\n real_server 10.77.0.1 80 {{\n weight 1\n MISC_CHECK {{\n \
         misc_path \"{misc}\"\n misc_timeout 60\n warmup 0\n }}\n }}\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
    let parent = d.pid_of("pid").expect("pid");
    let wanted = [track, misc, reader];
    let all = || -> Vec<Vec<i32>> { wanted.iter().map(|of| processes(of)).collect() };
    // The shell, and what it started.
    let under_way = || all().iter().all(|of| of.len() == 2) && processes(&tells).len() == 2;
    assert!(eventually(seconds(15), under_way), "{:?} {:?} {}", all(), processes(&tells), d.log());
    let (before, telling) = (all(), processes(&tells));
    let [a, b] = runners(parent)[..] else { panic!("{:?}", runners(parent)) };
    send(a, Signal::SIGKILL);
    // One that hangs is ended likewise.
    send(b, Signal::SIGSTOP);
    d.wait_log("does not answer, ending it", seconds(20));
    let anew = || {
        let now = all();
        now.iter().zip(&before).all(|(now, before)| now.len() == 2 && now.iter().all(|pid| !before.contains(pid)))
    };
    assert!(eventually(seconds(10), anew), "{before:?}, now {:?} {}", all(), d.log());
    assert_eq!(processes(&tells), telling, "{}", d.log());
    // The last ones are killed just before the daemon stops.
    for runner in runners(parent) {
        send(runner, Signal::SIGKILL);
    }
    assert_eq!(d.stop(), Some(0));
    assert!(
        all().iter().all(Vec::is_empty),
        "{:?} {}",
        all(),
        std::fs::read_to_string(format!("{at}/log")).unwrap_or_default()
    );
    telling.into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
}

/// When all of a daemon is killed at once nobody is left to end them: the next one does, which begins them anew.
#[test]
fn what_runners_had_under_way_for_an_answer_ends_with_the_next_start() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let at = folder.path().display().to_string();
    let script = |name: &str| {
        let path = file(folder.path(), name, &format!("#!/bin/sh\ntail -f {at}/{name} >/dev/null & wait\n"));
        std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        path
    };
    let (track, misc, tells) = (script("track"), script("misc"), script("tells"));
    let text = format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"{track}\"\n interval 60\n timeout 60\n init_fail\n weight 1\n}}\n\
         vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 0.1\n version 3\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n track_script {{\n chk\n }}\n notify_master \"{tells}\"\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 60\n protocol TCP\n real_server 10.77.0.1 80 {{\n weight 1\n MISC_CHECK {{\n \
         misc_path \"{misc}\"\n misc_timeout 60\n warmup 0\n }}\n }}\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let mut d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
    let all = || [&track, &misc].map(|of| processes(of));
    let under_way = || all().iter().all(|of| of.len() == 2) && processes(&tells).len() == 2;
    assert!(eventually(seconds(15), under_way), "{:?} {}", all(), d.log());
    let (before, telling) = (all(), processes(&tells));
    let parent = d.pid_of("pid").expect("pid");
    let mut every = runners(parent);
    every.extend([parent, d.pid_of("vrrp.pid").expect("pid"), d.pid_of("check.pid").expect("pid")]);
    // Who notices the end of another would take his leave.
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        every.iter().for_each(|pid| send(*pid, signal));
    }
    d.ended();
    assert_eq!(all(), before, "nobody is left");
    let log = std::fs::File::create(d.path("log")).expect("log");
    let mut next = lan.hosts[0].command(steadfast_test_cluster::daemon::steadfastd().to_str().expect("path"));
    next.args(["-n", "-l", "-D", "-f"])
        .arg(d.path("conf"))
        .arg("-p")
        .arg(d.path("pid"))
        .arg("-r")
        .arg(d.path("vrrp.pid"));
    next.arg("-c").arg(d.path("check.pid")).stdin(std::process::Stdio::null()).stderr(log);
    let mut next = steadfast_test_cluster::daemon::Ended(next.spawn().expect("start"));
    let anew = || {
        let now = all();
        now.iter().zip(&before).all(|(now, before)| now.len() == 2 && now.iter().all(|pid| !before.contains(pid)))
    };
    assert!(eventually(seconds(10), anew), "{before:?}, now {:?} {}", all(), d.log());
    d.wait_log("2 programs of an earlier run, whose answer nobody waits for any more, are ended", seconds(1));
    // What tells of a change goes on, whoever has died.
    assert!(telling.iter().all(|pid| processes(&tells).contains(pid)), "{}", d.log());
    send(next.0.id() as i32, Signal::SIGTERM);
    assert!(eventually(seconds(15), || next.0.try_wait().is_ok_and(|s| s.is_some())), "{}", d.log());
    assert!(all().iter().all(Vec::is_empty), "{:?} {}", all(), d.log());
    let pid_file = d.path("pid").display().to_string().trim_matches('/').replace('/', "!");
    assert!(!std::path::Path::new(&format!("/run/steadfast-runners/{pid_file}.0")).exists(), "its file goes with it");
    processes(&tells).into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
}

/// The script of the newest change is the one that waits.
#[test]
fn a_script_that_waits_when_its_runner_dies_is_run_by_the_next_one() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let at = folder.path().display().to_string();
    let text = format!("#!/bin/sh\n[ \"$3\" = BACKUP ] && sleep 4\necho \"$3\" >> {at}/out/order\n");
    let order = file(folder.path(), "order", &text);
    std::process::Command::new("chmod").args(["0755", &order]).status().expect("chmod");
    let text = format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 0.1\n version 3\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n notify \"{order}\" root\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
    let told = || std::fs::read_to_string(d.path("out/order")).unwrap_or_default();
    assert!(eventually(seconds(3), || lan.hosts[0].has(VIP)), "{}", d.log());
    let parent = d.pid_of("pid").expect("pid");
    // It has started the one and has the other: it answers in order.
    std::thread::sleep(Duration::from_millis(200));
    let [runner] = runners(parent)[..] else { panic!("one runner: {:?}", runners(parent)) };
    assert_eq!(told(), "", "the first one has ended too soon");
    send(runner, Signal::SIGKILL);
    assert!(eventually(seconds(3), || told().contains("MASTER")), "{:?} {}", told(), d.log());
    std::thread::sleep(seconds(1));
    assert_eq!(told().matches("MASTER").count(), 1, "{:?} {}", told(), d.log());
    assert_eq!(d.stop(), Some(0));
}

/// A fault that somebody sends ends a process at once, as it ends keepalived's: who wants a core file asks for it so.
#[test]
fn a_fault_ends_a_process_at_the_first_signal() {
    require!();
    let lan = Lan::new(1);
    let d = daemon(&lan, home());
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
    let parent = d.pid_of("pid").expect("pid");
    for (signal, number) in [(Signal::SIGSEGV, 11), (Signal::SIGBUS, 7), (Signal::SIGABRT, 6)] {
        for child in ["vrrp.pid", "check.pid"] {
            let before = d.pid_of(child).expect("pid");
            send(before, signal);
            d.wait_log(&format!("pid {before} exited due to signal {number}"), seconds(5));
            // The second death in a row is answered a second later, the third after two.
            assert!(eventually(seconds(10), || d.pid_of(child).is_some_and(|p| p != before)), "{child}: {}", d.log());
        }
    }
    assert!(eventually(seconds(10), || runners(parent).len() == 1), "{}", d.log());
    let before = runners(parent)[0];
    send(before, Signal::SIGSEGV);
    assert!(eventually(seconds(5), || runners(parent).iter().any(|p| *p != before)), "{}", d.log());
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

/// What a script has started ends with it when its time is over, also where it takes no notice of the signal.
#[test]
fn a_timeout_ends_the_whole_of_a_script() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let at = folder.path().display().to_string();
    let words = format!(
        "#!/bin/sh\n(trap '' TERM; echo $$ >/dev/null; exec sleep 3600) &\necho $! >> {at}/out/pids\nsleep 3600\n"
    );
    let script = file(folder.path(), "check", &words);
    std::process::Command::new("chmod").args(["0755", &script]).status().expect("chmod");
    let text = format!(
        "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"{script}\"\n interval 60\n timeout 1\n}}\n\
         vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 1\n virtual_ipaddress {{\n {VIP}/24\n }}\n \
         track_script {{\n chk\n }}\n}}\n"
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let started = || std::fs::read_to_string(folder.path().join("out/pids")).unwrap_or_default();
    assert!(eventually(seconds(10), || started().lines().count() == 1), "{}", d.log());
    d.wait_log("VRRP_Script(chk) timed out", seconds(10));
    let pid: i32 = started().trim().parse().expect("pid");
    let gone = || !std::path::Path::new(&format!("/proc/{pid}/cmdline")).exists();
    assert!(eventually(seconds(15), gone), "{pid} is left: {}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_script_that_becomes_unsafe_is_not_run_any_more() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let at = folder.path().display().to_string();
    let script = file(folder.path(), "check", &format!("#!/bin/sh\necho x >> {at}/out/runs\n"));
    std::process::Command::new("chmod").args(["0755", &script]).status().expect("chmod");
    let text = format!(
        "global_defs {{\n enable_script_security\n script_user root\n}}\nvrrp_script chk {{\n script \"{script}\"\n interval 1\n}}\n\
         vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 1\n virtual_ipaddress {{\n {VIP}/24\n }}\n \
         track_script {{\n chk\n }}\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
    std::process::Command::new("chmod").args(["0777", &script]).status().expect("chmod");
    d.wait_log("is unsafe", seconds(5));
    d.wait_log("Entering FAULT STATE", seconds(5));
    assert!(d.log().contains("is writable by everybody"), "{}", d.log());
}

/// A script sees by its $0 which way it was started. It is the same for those of the parent.
#[test]
fn what_was_looked_at_is_what_is_started_where_that_is_wanted() {
    require!();
    let lan = Lan::new(1);
    for (words, by_descriptor) in [
        ("enable_script_security\n scripts_by_descriptor", true),
        ("enable_script_security", false),
        // Nothing is looked at, so there is nothing to start.
        ("scripts_by_descriptor", false),
    ] {
        let folder = home();
        let at = folder.path().display().to_string();
        let script = |name: &str, text: &str| {
            let path = file(folder.path(), name, text);
            std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
            path
        };
        let say =
            |to: &str| format!("#!/bin/sh\necho \"$0 $*\" > {at}/out/{to}.new; mv {at}/out/{to}.new {at}/out/{to}\n");
        let (check, begun, told) =
            (script("check", &say("check")), script("begun", &say("begun")), script("told", &say("told")));
        let nowhere = script("nowhere", "#!/no/such/interpreter\n");
        let text = format!(
            "global_defs {{\n {words}\n script_user root\n startup_script \"{begun} a\"\n}}\n\
             vrrp_script chk {{\n script \"{check} a b\"\n interval 1\n}}\nvrrp_script nowhere {{\n script {nowhere}\n interval 1\n weight 1\n}}\n\
             vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 100\n advert_int 0.1\n version 3\n virtual_ipaddress {{\n {VIP}/24\n }}\n \
             track_script {{\n chk\n nowhere\n }}\n notify_master \"{told} c d\"\n}}\n"
        );
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
        assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", d.log());
        for (name, path, arguments) in [("check", &check, "a b"), ("begun", &begun, "a"), ("told", &told, "c d")] {
            let said = || std::fs::read_to_string(d.path("out").join(name)).unwrap_or_default();
            assert!(eventually(seconds(5), || !said().is_empty()), "{name}: {}", d.log());
            let said = said();
            let (own, rest) = said.trim_end().split_once(' ').expect("words");
            assert_eq!(rest, arguments, "{name}");
            match own.strip_prefix("/dev/fd/") {
                Some(number) => assert!(by_descriptor && number.parse::<u32>().is_ok(), "{words}: {said}"),
                None => assert!(!by_descriptor && own == path, "{words}: {said}"),
            }
        }
        d.wait_log("VRRP_Script(nowhere) cannot be started: No such file or directory", seconds(5));
        assert_eq!(d.stop(), Some(0));
    }
}

/// Who may trace a process is shown its program. Where that is refused for want of nothing but the process's own consent, there is no
/// core file, either.
fn may_be_dumped(pid: i32) -> bool {
    let words = ["--bounding-set", "-sys_ptrace", "readlink", &format!("/proc/{pid}/exe")];
    let read = std::process::Command::new("setpriv").args(words).output().expect("setpriv");
    read.status.success()
}

/// Each of them has passwords in its memory. The one that withdraws addresses comes right after processes that died.
#[test]
fn no_process_of_ours_leaves_its_memory_in_a_core_file() {
    require!();
    let lan = Lan::new(1);
    for wanted in [false, true] {
        let folder = home();
        let real = steadfast_test_cluster::daemon::steadfastd();
        let more = if wanted { "-m" } else { "" };
        let text = format!("#!/bin/sh\nexec setpriv --bounding-set -sys_ptrace {} \"$@\" {more}\n", real.display());
        let program = file(folder.path(), "steadfastd", &text);
        std::process::Command::new("chmod").args(["0755", &program]).status().expect("chmod");
        // Slow adverts: who withdraws waits longer for the successor.
        let text = format!(
            "vrrp_script chk {{\n script /bin/true\n interval 1\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n \
             priority 10\n virtual_ipaddress {{\n {VIP}/24\n }}\n track_script {{\n chk\n }}\n}}\n\
             virtual_server {VIP} 80 {{\n delay_loop 1\n real_server 10.77.0.1 80 {{\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n}}\n"
        );
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
        let host = &lan.hosts[0];
        assert!(eventually(seconds(10), || host.has(VIP)), "{}", d.log());
        let pid = |name: &str| d.pid_of(name).expect("pid");
        let runner = *runners(pid("pid")).first().expect("runner");
        for (name, pid) in
            [("parent", pid("pid")), ("VRRP", pid("vrrp.pid")), ("checker", pid("check.pid")), ("runner", runner)]
        {
            assert_eq!(may_be_dumped(pid), wanted, "{name}: {}", d.log());
        }
        for n in 1..=2 {
            send(pid("vrrp.pid"), Signal::SIGKILL);
            assert!(eventually(seconds(5), || d.log().matches("died: Respawning").count() == n), "{}", d.log());
            if n == 1 {
                d.wait_log("continuing in MASTER state", seconds(5));
            }
        }
        d.wait_log("peers are told to take over", seconds(5));
        let withdraws =
            children(pid("pid")).into_iter().find(|pid| command(*pid).contains("--withdraw")).expect("process");
        assert_eq!(may_be_dumped(withdraws), wanted, "{}", d.log());
        assert!(command(withdraws).contains("--withdraw"), "it ended too soon");
        assert!(eventually(seconds(10), || host.has(VIP)), "{}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}

fn command(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
}

fn children(parent: i32) -> Vec<i32> {
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// docs/operations.md has the table.
#[test]
fn each_child_holds_what_the_operators_page_says() {
    require!();
    let lan = Lan::new(1);
    let instances = |n: u32| -> String {
        let one = |n| {
            format!(
                "vrrp_instance V{n} {{\n interface eth0\n virtual_router_id {}\n priority 100\n virtual_ipaddress {{\n 10.78.{}.{}/24\n }}\n}}\n",
                n % 255 + 1,
                n / 250,
                n % 250 + 1
            )
        };
        (0..n).map(one).collect()
    };
    let text = |n| {
        format!(
            "global_defs {{\n snmp_socket /nowhere/agentx\n enable_snmp_vrrp\n}}\n\
             bfd_instance B {{\n neighbor_ip 10.77.0.9\n source_ip 10.77.0.1\n}}\n{}\
             virtual_server {VIP} 80 {{\n delay_loop 1\n real_server 10.77.0.1 80 {{\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n}}\n",
            instances(n)
        )
    };
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(1));
    let parent = d.pid_of("pid").expect("pid");
    d.wait_log("Startup complete", seconds(10));
    let mask = |numbers: &[u32]| numbers.iter().map(|n| 1u64 << n).sum::<u64>() & powers(parent, "CapEff");
    let of = |role: &str| children(parent).into_iter().find(|p| command(*p).contains(&format!(" --role {role} ")));
    for (role, numbers) in [
        ("vrrp", &[0, 1, 12, 13, 14, 23, 24][..]),
        ("checker", &[0, 1, 10, 12, 13, 14, 23, 24]),
        ("bfd", &[1, 14]),
        ("snmp", &[1]),
    ] {
        let is_so = || {
            let Some(pid) = of(role) else { return false };
            ["CapEff", "CapPrm", "CapBnd"].iter().all(|set| powers(pid, set) == mask(numbers))
                && (line(pid, "Seccomp"), line(pid, "NoNewPrivs")) == ("2".into(), "1".into())
        };
        assert!(eventually(seconds(5), is_so), "{role}: {:?} {}", of(role).map(|p| powers(p, "CapEff")), d.log());
    }
    // The loader lives for one reading: a long one.
    std::fs::write(d.path("conf"), text(2000)).expect("configuration");
    d.signal(Signal::SIGHUP);
    let confined = || {
        let status = of("loader").and_then(|p| std::fs::read_to_string(format!("/proc/{p}/status")).ok());
        let has = |line: String| status.as_ref().is_some_and(|s| s.contains(&line));
        has(format!("CapEff:\t{:016x}", mask(&[2])))
            && has(format!("CapBnd:\t{:016x}", mask(&[2])))
            && has("Seccomp:\t2".into())
    };
    assert!(eventually(seconds(10), confined), "{}", d.log());
}

/// The runners stand still for longer than the scripts of both children may take: that is our fault, and nobody else's.
#[test]
fn a_frozen_runner_takes_no_server_out_and_no_priority_away() {
    require!();
    let lan = Lan::new(1);
    let d = Daemon::start(
        &lan.hosts[0],
        Kind::Steadfast,
        "global_defs {\n script_user root\n}\nvrrp_script chk {\n script /bin/true\n interval 1\n timeout 2\n weight 10\n}\n\
         vrrp_instance VI {\n interface eth0\n virtual_router_id 51\n priority 150\n track_script {\n chk\n }\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n\
         virtual_server 10.77.0.100 80 {\n delay_loop 1\n retry 0\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.9 80 {\n weight 1\n \
         MISC_CHECK {\n misc_path /bin/true\n misc_timeout 2\n }\n }\n}\n",
    );
    d.wait_log("from 150 to 160", seconds(10));
    d.wait_log("Entering MASTER STATE", seconds(10));
    let parent = d.pid_of("pid").expect("pid");
    assert!(eventually(seconds(5), || runners(parent).len() == 2));
    for _ in 0..2 {
        let before = runners(parent);
        // A turn of the checks comes to its end first: the runner freezes with programs that it was told to start.
        before.iter().for_each(|pid| send(*pid, Signal::SIGSTOP));
        let others = || {
            let now = runners(parent);
            now.len() == 2 && now.iter().all(|pid| !before.contains(pid))
        };
        assert!(eventually(seconds(25), others), "{}", d.log());
        // The checks that follow are those of the new runners.
        std::thread::sleep(seconds(4));
        let log = d.log();
        assert!(!log.contains("timed out") && !log.contains("from 160 to 150"), "{log}");
        assert!(!log.contains("Removing service"), "{log}");
    }
}

/// Children may write where the file said so at their start. A later file names other folders: a FIFO there, a tracked file with a first
/// value, dumps. It is as with a fresh start, and nobody notices that a successor did it.
#[test]
fn a_reload_may_name_files_in_any_folder() {
    require!();
    let lan = Lan::new(2);
    let (host, elsewhere) = (&lan.hosts[0], home());
    let text = |globals: &str, priority: u8, rest: &str| {
        format!(
            "global_defs {{\n{globals} vrrp_garp_master_delay 0\n}}\n{rest}\
             vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 0.5\n version 3\n \
             virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n\
             bfd_instance B {{\n neighbor_ip 10.77.0.2\n source_ip 10.77.0.1\n}}\n\
             virtual_server {VIP} 80 {{\n protocol TCP\n real_server 127.0.0.1 80 {{\n }}\n}}\n"
        )
    };
    let peer = Daemon::start(&lan.hosts[1], Kind::Steadfast, &text("", 50, ""));
    // One that is open from the start.
    let own = home();
    nix::unistd::mkfifo(&own.path().join("all"), nix::sys::stat::Mode::S_IRWXU).expect("fifo");
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::fcntl::OFlag::O_NONBLOCK.bits());
    let mut heard = options.read(true).write(true).open(own.path().join("all")).expect("fifo");
    let all = format!(" notify_fifo {}/all\n", own.path().display());
    let d = Daemon::start(host, Kind::Steadfast, &text(&all, 200, ""));
    d.wait_log("(VI) Entering MASTER STATE", seconds(10));
    d.wait_log("Startup complete", seconds(10));
    peer.wait_log("(VI) Entering BACKUP STATE", seconds(10));
    let children = ["vrrp.pid", "check.pid", "bfd.pid"];
    // A file of a number is empty for a moment while it is written anew.
    let pids = || {
        assert!(eventually(seconds(10), || children.iter().all(|c| d.pid_of(c).is_some())), "{}", d.log());
        children.map(|c| d.pid_of(c).unwrap_or_default())
    };
    let (before, changes) = (pids(), d.log().matches("Entering").count());
    let at = |name: &str| elsewhere.path().join(name);
    let globals = format!(
        " state_dump_file {0}/data\n stats_dump_file {0}/stats\n vrrp_notify_fifo {0}/fifo\n lvs_notify_fifo {0}/lvs\n \
         fifo_write_vrrp_states_on_reload\n{all}",
        elsewhere.path().display()
    );
    let tracked = format!("vrrp_track_file one {{\n file {}\n init_file 3\n}}\n", at("one").display());
    d.reload(&text(&globals, 200, &tracked));
    let there = || ["fifo", "lvs", "one"].iter().all(|f| at(f).exists());
    assert!(eventually(seconds(30), there), "{}", d.log());
    // Kernels without Landlock need none.
    let confined = eventually(seconds(15), || d.log().matches("a successor takes over").count() == 3);
    println!("{}", if confined { "successors took over" } else { "SKIPPED: there is no Landlock" });
    assert!(eventually(seconds(10), || pids().iter().zip(before).all(|(a, b)| (*a != b) == confined)), "{}", d.log());
    assert_eq!(std::fs::read_to_string(at("one")).expect("tracked file").trim(), "3");
    let written = || ["data", "data_check", "data_bfd"].iter().all(|f| at(f).exists());
    assert!(
        eventually(seconds(10), || {
            d.signal(Signal::SIGUSR1);
            written()
        }),
        "{}",
        d.log()
    );
    // The states of all, which the new FIFO is told at a reload.
    let mut reader = std::fs::File::open(at("fifo")).expect("FIFO");
    let mut line = [0; 64];
    let n = std::io::Read::read(&mut reader, &mut line).expect("a line");
    assert!(
        String::from_utf8_lossy(&line[..n]).contains("\"VI\" MASTER 200"),
        "{:?}",
        String::from_utf8_lossy(&line[..n])
    );
    // The other one heard of it at the start, and once at the reload.
    let mut lines = [0; 4096];
    let n = std::io::Read::read(&mut heard, &mut lines).expect("lines");
    let lines = String::from_utf8_lossy(&lines[..n]);
    assert_eq!(lines.matches("\"VI\" MASTER").count(), 2, "{lines}");
    // A tracked file that somebody has written since is his.
    std::fs::write(at("one"), "7\n").expect("file");
    let before = pids();
    d.reload(&text(&globals.replace("/fifo", "/other"), 200, &tracked));
    assert!(eventually(seconds(30), || at("other").exists() && !at("fifo").exists()), "{}", d.log());
    assert_eq!(std::fs::read_to_string(at("one")).expect("tracked file").trim(), "7");
    assert_eq!(pids(), before, "this folder is known");
    assert!(host.has(VIP) && !peer.log().contains("Entering MASTER"), "{}", peer.log());
    assert_eq!(d.log().matches("Entering").count(), changes, "{}", d.log());
    assert!(!d.log().contains("died") && !d.log().contains("cannot"), "{}", d.log());
    assert_eq!((d.stop(), peer.stop()), (Some(0), Some(0)));
    assert!(["other", "lvs"].iter().all(|f| !at(f).exists()), "FIFOs go with who made them");
}

/// A reload names a FIFO that the process cannot open any more. What it is to hear waits for the successor, also where that comes early.
#[test]
fn a_fifo_that_is_opened_late_hears_all_that_came_before() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    for killed in [false, true] {
        let elsewhere = home();
        let fifo = elsewhere.path().join("fifo");
        let text = |globals: &str| {
            format!(
                "global_defs {{\n{globals}}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n \
                 advert_int 0.1\n version 3\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
            )
        };
        let d = Daemon::start(host, Kind::Steadfast, &text(""));
        d.wait_log("(VI) Entering MASTER STATE", seconds(10));
        let child = d.pid_of("vrrp.pid").expect("pid");
        let named = text(&format!(" vrrp_notify_fifo {}\n fifo_write_vrrp_states_on_reload\n", fifo.display()));
        d.reload(&named);
        d.wait_log("Reload complete", seconds(10));
        // The child's line may come behind the parent's.
        let late = || d.log().contains("is not open yet: a successor opens it");
        assert!(eventually(seconds(5), || late() || fifo.exists()), "{}", d.log());
        if !late() {
            println!("SKIPPED: there is no Landlock, or the process was old already");
            assert!(fifo.exists(), "{}", d.log());
            return;
        }
        host.ip("link set eth0 down");
        d.wait_log("Entering FAULT STATE", seconds(5));
        host.ip("link set eth0 up");
        assert!(eventually(seconds(10), || d.log().matches("Entering MASTER STATE").count() == 2), "{}", d.log());
        // Said once, not by each reload.
        // This one comes back when the child has taken it.
        ask(&d, &["reload"]);
        assert_eq!(d.log().matches("Reload complete").count(), 2, "{}", d.log());
        assert_eq!(d.log().matches("is not open yet").count(), 1, "{}", d.log());
        if killed {
            send(child, Signal::SIGKILL);
        }
        assert!(eventually(seconds(15), || fifo.exists()), "{}", d.log());
        let mut options = std::fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, nix::fcntl::OFlag::O_NONBLOCK.bits());
        let mut reader = options.read(true).open(&fifo).expect("FIFO");
        let (mut said, mut bytes) = (String::new(), [0; 4096]);
        let mut heard = |all: &[&str]| {
            if let Ok(n) = std::io::Read::read(&mut reader, &mut bytes) {
                said += &String::from_utf8_lossy(&bytes[..n]);
            }
            let states: Vec<_> = said.lines().filter_map(|l| l.split(' ').nth(2)).map(str::to_string).collect();
            (states == all, said.clone())
        };
        // The reload's, what followed, and the second reload's.
        let all = ["MASTER", "FAULT", "BACKUP", "MASTER", "MASTER"];
        assert!(eventually(seconds(5), || heard(&all).0), "{:?} {}", heard(&all).1, d.log());
        // None of it comes again.
        let (next, continued) =
            (d.pid_of("vrrp.pid").expect("pid"), || d.log().matches("continuing in MASTER").count());
        assert_ne!(next, child);
        if !killed {
            let before = continued();
            send(next, Signal::SIGKILL);
            assert!(eventually(seconds(10), || continued() > before), "{}", d.log());
        }
        assert_eq!(d.stop(), Some(0));
        let whole = ["MASTER", "FAULT", "BACKUP", "MASTER", "MASTER", "STOP"];
        assert!(eventually(seconds(5), || heard(&whole).0), "{:?}", heard(&whole).1);
    }
}

/// One reload takes an instance out and names a FIFO in a new folder: the successor of the process knows nothing of the instance, which
/// serves until its peer is heard. Beside keepalived, which takes its time.
#[test]
fn a_successor_comes_when_a_removed_instance_has_handed_over() {
    require!();
    let lan = Lan::new(3);
    let elsewhere = home();
    let kind = if keepalived().is_some() { Kind::Keepalived } else { Kind::Steadfast };
    if kind == Kind::Steadfast {
        println!("SKIPPED: beside keepalived: it is not installed");
    }
    let gone = "10.77.0.101";
    let one = |name: &str, vrid: u8, priority: u8, address: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority {priority}\n advert_int 1\n version 2\n \
             virtual_ipaddress {{\n {address}/24\n }}\n}}\n"
        )
    };
    let both = |priority: u8| one("VI", 51, priority, VIP) + &one("DB", 52, priority, gone);
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &both(200));
    assert!(eventually(seconds(15), || lan.hosts[0].has(VIP) && lan.hosts[0].has(gone)), "{}", d.log());
    let begun = std::time::Instant::now();
    let peer = Daemon::start(&lan.hosts[1], kind, &both(50));
    assert!(eventually(seconds(15), || peer.log().matches("Entering BACKUP STATE").count() == 2), "{}", peer.log());
    // A young process does not hand over yet.
    assert!(eventually(seconds(30), || begun.elapsed() > seconds(12)));
    let child = d.pid_of("vrrp.pid");
    let client = Client::start(&lan.hosts[2], gone.parse().expect("address"));
    let fifo = elsewhere.path().join("fifo");
    d.reload(&format!("global_defs {{\n vrrp_notify_fifo {}\n}}\n{}", fifo.display(), one("VI", 51, 200, VIP)));
    assert!(eventually(seconds(15), || lan.hosts[1].has(gone) && !lan.hosts[0].has(gone)), "{}", d.log());
    assert!(eventually(seconds(30), || fifo.exists()), "{}", d.log());
    let asked = client.end();
    if !d.log().contains("a successor takes over") {
        println!("SKIPPED: there is no Landlock");
    } else {
        assert_ne!(d.pid_of("vrrp.pid"), child, "{}", d.log());
    }
    assert!(asked.longest_gap < Duration::from_millis(250), "{asked:?} {}", d.log());
    assert!(lan.hosts[0].has(VIP) && !d.log().contains("died"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_fifo_that_nobody_can_open_costs_no_process() {
    require!();
    let (lan, elsewhere) = (Lan::new(1), home());
    let plain = file(elsewhere.path(), "plain", "text");
    let text = |globals: &str| {
        format!(
            "global_defs {{\n{globals}}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n \
             advert_int 0.5\n version 3\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
        )
    };
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &text(""), &[("", "-R")]);
    d.wait_log("(VI) Entering MASTER STATE", seconds(10));
    let (pid, changes) = (d.pid_of("vrrp.pid"), d.log().matches("Entering").count());
    for n in 1..=5 {
        d.reload(&text(&format!(" vrrp_notify_fifo {plain}\n")));
        assert!(eventually(seconds(10), || d.log().matches("Reload complete").count() == n), "{}", d.log());
    }
    d.wait_log(&plain, seconds(10));
    // Longer than a process waits with its handing over.
    assert!(!eventually(seconds(12), || d.pid_of("vrrp.pid") != pid), "{}", d.log());
    // Folders in steps: one successor, however many reloads.
    for n in 1..=5 {
        std::fs::create_dir(elsewhere.path().join(n.to_string())).expect("folder");
        d.reload(&text(&format!(" vrrp_notify_fifo {}/{n}/fifo\n", elsewhere.path().display())));
        assert!(eventually(seconds(10), || d.log().matches("Reload complete").count() == 5 + n), "{}", d.log());
    }
    assert!(eventually(seconds(30), || elsewhere.path().join("5/fifo").exists()), "{}", d.log());
    assert!(lan.hosts[0].has(VIP) && d.log().matches("Entering").count() == changes, "{}", d.log());
    assert!(!d.log().contains("died") && d.log().matches("a successor takes over").count() <= 2, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}
