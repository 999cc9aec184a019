//! A daemon with a view of files of its own, as a service manager makes it, and scripts that work for the whole host.

use nix::sys::signal::Signal;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::{send, steadfastd};
use steadfast_test_cluster::{Lan, eventually, require};

const SOON: Duration = Duration::from_secs(15);

/// What the unit has beside its command.
const UNIT: &str = "env STEADFAST_SCRIPTS=--host-scripts";

/// Ends what a test leaves.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A copy of the daemon below a process 1 of its own, which is the host to it. In the daemon's view there is another folder `out`.
struct Service {
    // Ended first.
    process: Option<Killed>,
    folder: tempfile::TempDir,
    lan: Lan,
}

impl Service {
    fn start(options: &str, rights: &str) -> Service {
        let mut service = Service { lan: Lan::new(1), folder: tempfile::tempdir().expect("folder"), process: None };
        let at = service.at();
        std::fs::create_dir(service.folder.path().join("out")).expect("folder");
        std::fs::copy(steadfastd(), service.folder.path().join("steadfastd")).expect("program");
        let script = format!("{at}/tell");
        std::fs::write(&script, format!("#!/bin/sh\n(pwd; env | grep STEADFAST_SCRIPTS) >{at}/out/$1\n"))
            .expect("script");
        std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).expect("mode");
        let conf = format!(
            "global_defs {{\n script_user root\n enable_script_security\n startup_script \"{script} startup\"\n shutdown_script \"{script} shutdown\"\n}}\n\
             vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 255\n state MASTER\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n \
             notify_master \"{script} master\"\n notify_fault \"{script} fault\"\n}}\n"
        );
        std::fs::write(service.folder.path().join("conf"), conf).expect("configuration");
        let inner = format!(
            "mount -t tmpfs none {at}/out; cd /; exec {rights} {at}/steadfastd -n -l -D -f {at}/conf -p {at}/pid -r {at}/v -c {at}/c -b {at}/b {options}"
        );
        let first = format!("unshare --mount --propagation private sh -c '{inner}'; exit $?");
        let log = std::fs::File::create(service.folder.path().join("log")).expect("log");
        let mut command = service.lan.hosts[0].command("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "sh", "-c", &first]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        service.process = Some(Killed(command.spawn().expect("service")));
        service
    }

    fn at(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A script wrote this where the host sees it.
    fn told(&self, what: &str) -> bool {
        let text = std::fs::read_to_string(self.folder.path().join("out").join(what)).unwrap_or_default();
        assert!(text.is_empty() || text == "/\n", "{what} in {text}");
        !text.is_empty()
    }

    /// It wrote it where the daemon alone sees it.
    fn told_inside(&self, what: &str) -> bool {
        let at = self.at();
        self.pid("").is_some_and(|pid| Path::new(&format!("/proc/{pid}/root{at}/out/{what}")).exists())
    }

    /// The process of a role; of the parent, which has none.
    fn pid(&self, role: &str) -> Option<i32> {
        let program = self.at() + "/steadfastd";
        let is = |pid: &i32| {
            let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let own = words.split('\0').skip_while(|w| *w != "--role").nth(1).unwrap_or_default();
            exe.to_string_lossy().starts_with(&program) && own == role
        };
        let all = std::fs::read_dir("/proc").expect("processes").flatten();
        all.filter_map(|e| e.file_name().to_str()?.parse().ok()).find(is)
    }

    /// Loses the link and has it again; both are told by a script.
    fn fail(&self, told: impl Fn(&str) -> bool) {
        for what in ["fault", "master"] {
            let _ = std::fs::remove_file(self.folder.path().join("out").join(what));
        }
        self.lan.hosts[0].cable(false);
        assert!(eventually(SOON, || told("fault")), "{}", self.log());
        self.lan.hosts[0].cable(true);
        assert!(eventually(SOON, || told("master")), "{}", self.log());
    }

    fn end(&mut self) {
        send(self.pid("").expect("parent"), Signal::SIGTERM);
        let process = &mut self.process.as_mut().expect("service").0;
        assert!(eventually(SOON, || process.try_wait().is_ok_and(|s| s.is_some())), "{}", self.log());
    }
}

#[test]
fn scripts_that_are_the_hosts_are_so_for_as_long_as_the_daemon_runs() {
    require!();
    let mut service = Service::start("--host-scripts", UNIT);
    for what in ["startup", "master"] {
        assert!(eventually(SOON, || service.told(what)), "{what}: {}", service.log());
    }
    let view = |pid: i32| std::fs::read_link(format!("/proc/{pid}/ns/mnt")).expect("view");
    let own = |role: &str| view(service.pid(role).expect("process"));
    // The daemon itself stays where it was put.
    assert_eq!(own("vrrp"), own(""));
    assert_ne!(own("runner"), own(""));
    let runner = service.pid("runner").expect("runner");
    send(runner, Signal::SIGKILL);
    assert!(eventually(SOON, || service.pid("runner").is_some_and(|p| p != runner)), "{}", service.log());
    service.fail(|what| service.told(what));
    // A new program in the place of the old one.
    let next = service.folder.path().join("next");
    std::fs::copy(steadfastd(), &next).expect("program");
    std::fs::rename(&next, service.folder.path().join("steadfastd")).expect("program");
    let (before, vrrp) = (own(""), service.pid("vrrp"));
    send(service.pid("").expect("parent"), Signal::SIGHUP);
    let upgraded =
        || service.log().contains("Taking over from") && service.pid("vrrp").is_some_and(|p| Some(p) != vrrp);
    assert!(eventually(SOON * 4, upgraded), "{}", service.log());
    assert!(eventually(SOON, || service.log().contains("continuing in MASTER state")), "{}", service.log());
    service.fail(|what| service.told(what));
    assert_eq!((own(""), own("vrrp")), (before.clone(), before));
    service.end();
    assert!(service.told("shutdown"), "{}", service.log());
    assert!(!service.log().contains("cannot"), "{}", service.log());
}

/// A view of its own is what `ip netns exec` and a container are for, too: nobody leaves it without being told to.
#[test]
fn scripts_see_what_the_daemon_sees_where_nobody_asked_for_more() {
    require!();
    let mut service = Service::start("", UNIT);
    for what in ["startup", "master"] {
        assert!(eventually(SOON, || service.told_inside(what)), "{what}: {}", service.log());
        assert!(!service.told(what), "{what}");
    }
    service.end();
    assert!(!service.told("shutdown"), "{}", service.log());
    let said = "STEADFAST_SCRIPTS asks for --host-scripts, and ExecStart= does not hand it on";
    assert_eq!(
        service.log().matches(said).count(),
        1,
        "a unit's own command is not to go unnoticed: {}",
        service.log()
    );
}

#[test]
fn where_the_hosts_view_cannot_be_had_scripts_run_all_the_same_and_it_is_said() {
    require!();
    let mut service = Service::start("--host-scripts", "setpriv --bounding-set=-sys_chroot --inh-caps=-all --");
    for what in ["startup", "master"] {
        assert!(eventually(SOON, || service.told_inside(what)), "{what}: {}", service.log());
        assert!(!service.told(what), "{what}");
    }
    service.fail(|what| service.told_inside(what));
    service.end();
    let said = "the host's view cannot be had (Operation not permitted, it takes CAP_SYS_ADMIN, CAP_SYS_CHROOT";
    // By the process that starts the first and the last, and by the one that starts the others.
    assert_eq!(service.log().matches(said).count(), 2, "{}", service.log());
}
