//! Words of the file that say what the processes are to the system: where they run, what they are called in /run, how they are
//! scheduled, and which scripts are run beside them.

use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{file, run, send, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

/// An owner with its address on eth0.
fn conf(root: &str, globals: &str, more: &str) -> String {
    format!(
        "{root}\nglobal_defs {{\n{globals}\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 255\n state MASTER\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n{more}\n}}\n"
    )
}

/// One of each kind of child.
fn children(root: &str, globals: &str) -> String {
    conf(root, globals, "")
        + "virtual_server 10.77.0.100 80 {\n protocol TCP\n real_server 10.77.0.1 80 {\n weight 1\n TCP_CHECK {\n }\n }\n}\n\
           bfd_instance B {\n source_ip 10.77.0.1\n neighbor_ip 10.77.0.9\n}\n"
}

fn script(folder: &Path, name: &str, text: &str) -> String {
    let path = file(folder, name, &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("mode");
    path
}

fn namespace_of(pid: i32) -> PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).expect("namespace")
}

#[test]
fn the_whole_daemon_enters_the_namespace_that_the_file_names() {
    require!();
    let lan = Lan::new(2);
    let (from, into) = (&lan.hosts[0], &lan.hosts[1]);
    let text = children(&format!("net_namespace {}", into.namespace), "");
    let d = Daemon::start(from, Kind::Steadfast, &text);
    assert!(eventually(SOON, || into.has(VIP)), "{}", d.log());
    assert!(!from.has(VIP), "{}", d.log());
    let there = into.inside(|| namespace_of(nix::unistd::gettid().as_raw())).join().expect("thread");
    for name in ["pid", "vrrp.pid", "check.pid", "bfd.pid"] {
        assert!(eventually(SOON, || d.pid_of(name).is_some()), "{name}: {}", d.log());
        assert_eq!(namespace_of(d.pid_of(name).expect("pid")), there, "{name}");
    }
    // Also a child that is started again.
    let child = d.pid_of("vrrp.pid").expect("pid");
    send(child, Signal::SIGKILL);
    let again = || d.pid_of("vrrp.pid").is_some_and(|p| p != child && Path::new(&format!("/proc/{p}")).exists());
    assert!(eventually(SOON, again), "{}", d.log());
    assert_eq!(namespace_of(d.pid_of("vrrp.pid").expect("pid")), there);
    assert_eq!(d.stop(), Some(0));
    assert!(!into.has(VIP));
    // Where it may stand, as with keepalived 2.2.7 and 2.4.3.
    let folder = tempfile::tempdir().expect("folder");
    let verdict = |text: &str| run(&["-t", "-f", &file(folder.path(), "conf", text)]).0;
    assert_eq!(verdict("net_namespace absent\nglobal_defs {\n}\n"), Some(0));
    assert_eq!(verdict("global_defs {\n}\nnet_namespace absent\n"), Some(0));
    assert_eq!(verdict("global_defs {\n net_namespace absent\n}\n"), Some(5));
}

/// A mount namespace with a /run/keepalived of its own, which lives as long as this.
struct Run(Child);

impl Run {
    /// After some commands.
    fn new(commands: &str) -> Run {
        let _ = std::fs::create_dir_all("/run/keepalived");
        let script = format!("mount -t tmpfs tmpfs /run/keepalived && {commands} && echo ready && exec sleep 600");
        let mut child = Command::new("unshare")
            .args(["-m", "--propagation", "private", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .expect("unshare");
        let mut said = String::new();
        let out = child.stdout.take().expect("stdout");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut said).expect("ready");
        assert_eq!(said, "ready\n");
        Run(child)
    }

    fn path(&self, name: &str) -> PathBuf {
        format!("/proc/{}/root/run/keepalived/{name}", self.0.id()).into()
    }

    fn pid(&self, name: &str) -> Option<i32> {
        let pid = std::fs::read_to_string(self.path(name)).ok()?.trim().parse().ok()?;
        Path::new(&format!("/proc/{pid}")).exists().then_some(pid)
    }

    /// Starts our daemon in it and in a host, without a word on where pid files are.
    fn start(&self, host: &Host, folder: &Path, name: &str, text: &str) -> Started {
        let conf = file(folder, name, text);
        let log = std::fs::File::create(folder.join(format!("{name}.log"))).expect("log");
        let program = steadfastd();
        let mut c = Command::new("nsenter");
        c.args(["-m", "-t", &self.0.id().to_string(), "ip", "netns", "exec", &host.namespace]);
        c.arg(program).args(["-n", "-l", "-D", "-f", &conf]).stdin(Stdio::null()).stderr(log);
        Started(c.spawn().expect("start"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A daemon, which is not left behind.
struct Started(Child);

impl Started {
    fn end(&mut self) -> Option<i32> {
        let mut status = None;
        eventually(SOON, || {
            status = self.0.try_wait().expect("wait");
            status.is_some()
        });
        status.and_then(|s| s.code())
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn daemons_of_several_instances_stand_side_by_side_in_the_pid_folder() {
    require!();
    let lans = [Lan::new(1), Lan::new(1), Lan::new(1)];
    let hosts: Vec<&Host> = lans.iter().map(|l| &l.hosts[0]).collect();
    let run = Run::new("true");
    let folder = tempfile::tempdir().expect("folder");
    let log = |name: &str| std::fs::read_to_string(folder.path().join(format!("{name}.log"))).unwrap_or_default();
    let kinds = ["keepalived", "vrrp", "checkers", "bfd"];
    let mut all = Vec::new();
    for (name, root, suffix) in
        [("one", "instance one", "_one"), ("two", "instance two", "_two"), ("none", "use_pid_dir", "")]
    {
        all.push((run.start(hosts[all.len()], folder.path(), name, &children(root, "")), name, suffix));
    }
    for (_, name, suffix) in &all {
        for kind in kinds {
            let pid = format!("{kind}{suffix}.pid");
            assert!(eventually(SOON, || run.pid(&pid).is_some()), "{pid}: {}", log(name));
        }
        assert!(run.path(&format!("keepalived{suffix}.control")).exists(), "{name}");
    }
    assert!(hosts.iter().all(|h| eventually(SOON, || h.has(VIP))), "{}", log("one"));
    // Nobody takes the place of another, wherever it runs.
    let mut second = run.start(hosts[1], folder.path(), "again", &children("instance one", ""));
    assert_eq!(second.end(), Some(0));
    assert!(log("again").contains("daemon is already running"), "{}", log("again"));
    // One of them goes, and takes its files and its address alone.
    for (n, (daemon, name, suffix)) in all.iter_mut().enumerate() {
        send(run.pid(&format!("keepalived{suffix}.pid")).expect("pid"), Signal::SIGTERM);
        assert_eq!(daemon.end(), Some(0), "{}", log(name));
        let left = std::fs::read_dir(run.path("")).expect("folder").flatten().map(|e| e.file_name());
        let left: Vec<String> = left.filter_map(|n| n.into_string().ok()).filter(|n| n.ends_with(".pid")).collect();
        assert_eq!(left.len(), 4 * (2 - n), "{left:?}");
        assert!(hosts.iter().enumerate().all(|(m, h)| h.has(VIP) == (m > n)), "{name}");
    }
}

/// A field of /proc/PID/stat, counted as proc(5) does.
fn stat(pid: i32, field: usize) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
    let rest = text.rsplit(") ").next().expect("fields").to_string();
    rest.split_whitespace().nth(field - 3).expect("field").to_string()
}

/// A line of /proc/PID/status.
fn status(pid: i32, name: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = text.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().split_whitespace().next().unwrap_or_default().to_string()
}

#[test]
fn each_child_is_scheduled_as_the_file_wants_it() {
    require!();
    let lan = Lan::new(1);
    let roles = [
        (
            "vrrp.pid",
            "vrrp_priority -7\nvrrp_no_swap\nvrrp_cpu_affinity 0\nvrrp_rlimit_rttime 7000",
            "vrrp_rt_priority 7",
        ),
        (
            "check.pid",
            "checker_priority -7\nchecker_no_swap\nchecker_cpu_affinity 0\nchecker_rlimit_rtime 7000",
            "checker_rt_priority 7",
        ),
        ("bfd.pid", "bfd_priority -7\nbfd_no_swap\nbfd_cpu_affinity 0\nbfd_rlimit_rttime 7000", "bfd_rt_priority 7"),
    ];
    let limit = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
        let line = text.lines().find_map(|l| l.strip_prefix("Max realtime timeout")).unwrap_or_default().to_string();
        line.split_whitespace().take(2).map(str::to_string).collect::<Vec<_>>()
    };
    let no_real_time = std::fs::read_to_string("/proc/sys/kernel/sched_rt_runtime_us").is_ok_and(|t| t.trim() == "0");
    // The soft limit is half of the hard one, as keepalived's. What each gets, and what the others get meanwhile: nothing of it.
    for (own, words, real_time) in roles {
        let globals = format!("{words}\n{}", if no_real_time { "" } else { real_time });
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &children("", &globals));
        d.wait_log("Startup complete", SOON);
        for (name, ..) in roles {
            assert!(eventually(SOON, || d.pid_of(name).is_some()), "{name}: {}", d.log());
            let pid = d.pid_of(name).expect("pid");
            let seen = || {
                let locked = status(pid, "VmLck") != "0";
                (stat(pid, 19), locked, status(pid, "Cpus_allowed_list"), stat(pid, 40), limit(pid))
            };
            let rt = if no_real_time { "0" } else { "7" };
            let wanted =
                ("-7".to_string(), true, "0".to_string(), rt.to_string(), ["3500", "7000"].map(Into::into).to_vec());
            if name == own {
                assert!(eventually(SOON, || seen() == wanted), "{name}: {:?}\n{}", seen(), d.log());
            } else {
                let (nice, locked, _, priority, limit) = seen();
                assert_eq!((nice.as_str(), locked, priority.as_str()), ("0", false, "0"));
                assert_eq!(limit, ["unlimited", "unlimited"]);
            }
        }
        assert_eq!(d.stop(), Some(0));
    }
    // The other spelling of each limit.
    let globals = "vrrp_rlimit_rtime 7000\nchecker_rlimit_rttime 7000\nbfd_rlimit_rtime 7000";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &children("", globals));
    d.wait_log("Startup complete", SOON);
    for (name, ..) in roles {
        let own = || d.pid_of(name).map(limit).unwrap_or_default();
        assert!(eventually(SOON, || own() == ["3500", "7000"]), "{name}: {:?}\n{}", own(), d.log());
    }
    assert_eq!(d.stop(), Some(0));
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &children("", "umask 0117\nchecker_rlimit_rttime 8000"));
    d.wait_log("Startup complete", SOON);
    for (name, ..) in roles {
        assert_eq!(status(d.pid_of(name).expect("pid"), "Umask"), "0117", "{name}");
    }
    let limited = || limit(d.pid_of("check.pid").expect("pid")) == ["4000", "8000"];
    assert!(eventually(SOON, limited), "the checker's limit: {}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn scripts_run_before_the_children_and_after_them_and_not_for_ever() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("mode");
    let at = |name: &str| folder.path().join(name);
    let said = |name: &str| std::fs::read_to_string(at(name)).unwrap_or_default();
    let tell = |name: &str| {
        let out = at(name);
        let text = format!(
            "(id -un; echo $1; ip -o addr | grep -c {VIP}; pgrep -c -f '[-]-role' -P $PPID) > {}",
            out.display()
        );
        script(folder.path(), &format!("{name}.sh"), &text)
    };
    let globals = format!(
        "script_user nobody\nstartup_script \"{} first\"\nshutdown_script \"{} last\"",
        tell("up"),
        tell("down")
    );
    let d = Daemon::start(host, Kind::Steadfast, &conf("", &globals, ""));
    assert!(eventually(SOON, || host.has(VIP)), "{}", d.log());
    assert_eq!(said("up"), "nobody\nfirst\n0\n0\n", "{}", d.log());
    assert!(!at("down").exists());
    assert_eq!(d.stop(), Some(0));
    assert_eq!(said("down"), "nobody\nlast\n0\n0\n");
    // Neither start nor end waits longer than it is told to.
    let slow = script(folder.path(), "slow.sh", "exec sleep 60");
    let globals = format!(
        "script_user root\nstartup_script {slow}\nstartup_script_timeout 1\nshutdown_script {slow}\nshutdown_script_timeout 1"
    );
    let begin = Instant::now();
    let d = Daemon::start(host, Kind::Steadfast, &conf("", &globals, ""));
    assert!(eventually(SOON, || host.has(VIP)), "{}", d.log());
    assert!(begin.elapsed() > Duration::from_secs(1), "{:?}", begin.elapsed());
    let begin = Instant::now();
    assert_eq!(d.stop(), Some(0));
    assert!(begin.elapsed() > Duration::from_secs(1) && begin.elapsed() < SOON, "{:?}", begin.elapsed());
}

/// The account that keepalived's manual names for the scripts of whoever names none.
#[test]
fn scripts_of_nobody_are_run_by_the_account_that_is_made_for_them() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o777)).expect("mode");
    let accounts = std::fs::read_to_string("/etc/passwd").expect("accounts");
    assert!(!accounts.contains("keepalived_script"));
    let accounts = accounts + "keepalived_script:x:65432:65432::/:/bin/false\n";
    let accounts = file(folder.path(), "passwd", &accounts);
    let run = Run::new(&format!("mount --bind {accounts} /etc/passwd"));
    let tell = script(folder.path(), "tell.sh", &format!("id -u > {}/by.$1", folder.path().display()));
    let says = |what: &str, user: &str| format!("\"{tell} {what}\" {user}");
    let globals = format!("rs_init_notifies\nstartup_script {}\nshutdown_script {}", says("up", ""), says("down", ""));
    let more = format!("notify_master {}\n notify_stop {}", says("master", ""), says("stop", "root"));
    let misc = format!(
        "virtual_server 10.77.0.100 80 {{\n delay_loop 1\n quorum_up {}\n real_server 10.77.0.1 80 {{\n notify_up {}\n MISC_CHECK {{\n misc_path {}\n }}\n }}\n}}\n",
        says("quorum", ""),
        says("server", ""),
        says("check", "")
    );
    let text = conf("use_pid_dir", &globals, &more) + &misc;
    let mut d = run.start(&lan.hosts[0], folder.path(), "conf", &text);
    let by = |what: &str| std::fs::read_to_string(folder.path().join(format!("by.{what}"))).unwrap_or_default();
    let log = || std::fs::read_to_string(folder.path().join("conf.log")).unwrap_or_default();
    for what in ["up", "master", "quorum", "server", "check"] {
        assert!(eventually(SOON, || by(what) == "65432\n"), "{what} by {}: {}", by(what), log());
    }
    send(run.pid("keepalived.pid").expect("pid"), Signal::SIGTERM);
    assert_eq!(d.end(), Some(0));
    assert_eq!((by("stop").as_str(), by("down").as_str()), ("0\n", "65432\n"));
}

/// systemd's `LoadCredential=`: a folder that the service manager names.
#[test]
fn a_key_may_be_a_credential_of_the_service_manager() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let key = "0123456789abcdef0123456789abcdef";
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "vrrp", key);
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o400)).expect("mode");
    let text = |priority: u8, key: &str| {
        format!(
            "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.2\n priority {priority}\n auth_hmac {{\n key 1 \
             {key}\n }}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
        )
    };
    let given = [("CREDENTIALS_DIRECTORY", folder.path().to_str().expect("path"))];
    let d = Daemon::start_with(a, Kind::Steadfast, &text(200, "credential:vrrp"), &given);
    assert!(eventually(SOON, || a.has(VIP)), "{}", d.log());
    let e = Daemon::start(b, Kind::Steadfast, &text(100, key));
    e.wait_log("master set to 10.77.0.1", SOON);
    // The other one believes it for as long as it would take it to miss three adverts, and longer.
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        assert!(a.has(VIP) && !b.has(VIP), "{}{}", d.log(), e.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!d.log().contains(key));
    // A folder that nobody named is none.
    let (status, out, errors) = run(&["-t", "-f", &file(folder.path(), "conf", &text(100, "credential:vrrp"))]);
    assert_ne!(status, Some(0));
    let said = out + &errors;
    assert!(said.contains("is a credential, but this process was given none"), "{said}");
}

#[test]
fn each_state_of_an_instance_and_of_its_group_has_its_script() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path().join("out");
    let tell = script(folder.path(), "tell.sh", &format!("echo \"$@\" >> {}", out.display()));
    let all = |who: &str| {
        let states = ["notify_master", "notify_backup", "notify_fault", "notify_stop"];
        let of = |word: &str| word.trim_start_matches("notify_").to_string();
        let each: String = states.iter().map(|s| format!(" {s} \"{tell} {who} {}\"\n", of(s))).collect();
        format!("{each} notify \"{tell} {who} any\"\n")
    };
    let mut text = conf("", "script_user root", &all("one"))
        .replace("priority 255\n state MASTER", "advert_int 0.2\n priority 100");
    text += &format!("vrrp_sync_group G {{\n group {{\n VI\n }}\n{}}}\n", all("group"));
    let d = Daemon::start(host, Kind::Steadfast, &text);
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    let count = |what: &str| said().lines().filter(|l| l.trim() == what).count();
    let each = |state: &str, n: usize| {
        let capital = state.to_uppercase();
        let own = format!("one any INSTANCE VI {capital} 100");
        let group = format!("group any GROUP G {capital} 0");
        [format!("one {state}"), format!("group {state}"), own, group].iter().all(|l| count(l) == n)
    };
    assert!(eventually(SOON, || each("master", 1) && each("backup", 1)), "{}\n{}", said(), d.log());
    host.cable(false);
    assert!(eventually(SOON, || each("fault", 1)), "{}\n{}", said(), d.log());
    host.cable(true);
    assert!(eventually(SOON, || each("master", 2)), "{}\n{}", said(), d.log());
    assert_eq!(d.stop(), Some(0));
    assert!(eventually(SOON, || each("stop", 1)), "{}", said());
}

#[test]
fn a_fifo_hears_the_states_again_at_a_reload_where_that_is_wanted() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    for (word, times) in [("", 1), ("fifo_write_vrrp_states_on_reload", 2)] {
        let fifo = folder.path().join(format!("fifo{times}"));
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("fifo");
        // Read and write: it opens at once, and a restart of the writer is no end.
        let reader = std::fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("fifo");
        let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let into = heard.clone();
        std::thread::spawn(move || {
            for line in std::io::BufRead::lines(std::io::BufReader::new(reader)).map_while(Result::ok) {
                into.lock().expect("lock").push(line);
            }
        });
        let globals = format!("script_user root\nnotify_fifo {}\n{word}", fifo.display());
        let text = conf("", &globals, "");
        let masters = || heard.lock().expect("lock").iter().filter(|l| l.contains("\"VI\" MASTER")).count();
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
        assert!(eventually(SOON, || masters() == 1), "{}", d.log());
        d.reload(&text);
        d.wait_log("Reload complete", SOON);
        // What comes by another state is the last that a reload could have said.
        d.reload(&text.replace(VIP, "10.77.0.101"));
        assert!(eventually(SOON, || d.log().matches("Reload complete").count() == 2), "{}", d.log());
        assert!(eventually(SOON, || lan.hosts[0].has("10.77.0.101")), "{}", d.log());
        assert_eq!(d.stop(), Some(0));
        let all = heard.lock().expect("lock").clone();
        assert!(all.iter().any(|l| l.contains("STOP")), "{all:?}");
        assert_eq!(masters(), 2 * times - 1, "{word}: {all:?}");
    }
}

/// Instances of one link and family share what they hear by.
#[test]
fn each_link_has_one_socket_for_each_family_however_many_instances_there_are() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link add other type veth peer name far");
    host.ip("link set far up");
    host.ip("link set other up");
    host.ip("addr add 10.78.0.1/24 dev other");
    let instance = |n: u32, interface: &str, address: &str| {
        format!(
            "vrrp_instance V{n} {{\n interface {interface}\n virtual_router_id {}\n version 3\n priority 200\n advert_int 1\n \
             virtual_ipaddress {{\n {address}\n }}\n}}\n",
            n % 100 + 1
        )
    };
    let four = (0..50).map(|n| instance(n, "eth0", &format!("10.77.1.{n}/32")));
    let six = (100..120).map(|n| instance(n, "eth0", &format!("fe80::1:{n}/64")));
    let others = (50..60).map(|n| instance(n, "other", &format!("10.77.2.{n}/32")));
    let d = Daemon::start(host, Kind::Steadfast, &four.chain(six).chain(others).collect::<String>());
    let masters = || d.log().matches("Entering MASTER STATE").count();
    assert!(eventually(SOON * 3, || masters() == 80), "{}", d.log());
    let child = d.pid_of("vrrp.pid").expect("pid");
    let folder = std::fs::read_dir(format!("/proc/{child}/fd")).expect("descriptors");
    let links = folder.flatten().filter_map(|f| std::fs::read_link(f.path()).ok());
    let own: Vec<String> = links.map(|l| l.display().to_string()).collect();
    // Sockets of protocol 112 (0x70) in the child's hands; the inode is the tenth word.
    let held = |family: &str| {
        let all = std::fs::read_to_string(format!("/proc/{child}/net/{family}")).expect("sockets");
        let of_vrrp = |l: &&str| l.split_whitespace().nth(1).is_some_and(|local| local.ends_with(":0070"));
        let inode = |l: &str| l.split_whitespace().nth(9).map(|i| format!("socket:[{i}]"));
        all.lines().filter(of_vrrp).filter(|l| inode(l).is_some_and(|i| own.contains(&i))).count()
    };
    // One for each of two links, and the one that sends.
    assert_eq!(held("raw"), 3, "{own:?}");
    assert_eq!(held("raw6"), 2, "{own:?}");
    assert_eq!(d.stop(), Some(0));
}
