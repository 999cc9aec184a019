//! As in a container: process 1 of a process namespace, with two capabilities, and everything read-only but /run and /tmp.

use nix::sys::signal::Signal;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::{send, steadfastd};
use steadfast_test_cluster::{Lan, eventually, require};

const VIP: &str = "10.77.0.100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Ends what a test leaves.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_is_process_1_with_the_least_rights() {
    require!();
    if !["setpriv", "unshare"]
        .iter()
        .all(|t| Command::new(t).arg("--version").output().is_ok_and(|o| o.status.success()))
    {
        println!("SKIPPED: a container: setpriv or unshare is missing (util-linux)");
        return;
    }
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    // An orphan of a script is adopted by process 1, which must reap it.
    let script = format!("{at}/check");
    std::fs::write(&script, "#!/bin/sh\n(sleep 0.2 &)\nexit 0\n").expect("script");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    // Another account is more than these rights allow: its script fails, and the log says what it takes.
    let conf = format!(
        "vrrp_script chk {{\n script \"{script}\"\n interval 1\n user root\n}}\n\
         vrrp_script other {{\n script \"{script}\"\n interval 1\n weight 1\n user nobody\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n \
         priority 100\n advert_int 1\n virtual_ipaddress {{\n {VIP}/24\n }}\n track_script {{\n chk\n other\n }}\n}}\n"
    );
    std::fs::write(folder.path().join("conf"), conf).expect("configuration");
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let inner = format!(
        "mount -o remount,bind,ro / 2>/dev/null; mount -t tmpfs none /run; mount -t tmpfs none /var/tmp; \
         exec setpriv --bounding-set=-all,+net_admin,+net_raw --inh-caps=-all --no-new-privs -- {} --dont-fork --log-console -D -f {at}/conf",
        steadfastd().display()
    );
    let mut command = host.command("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "sh", "-c", &inner]);
    let mut container = Killed(
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log).spawn().expect("container"),
    );
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(eventually(seconds(15), || host.has(VIP)), "{}", log());
    // Whose process is it? The daemon is the child of the one that unshare forked, or that one itself.
    let own = |parent: u32| {
        let text = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
        text.split_whitespace().filter_map(|p| p.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    let mut first = own(container.0.id());
    // `ip netns exec` has become `unshare`; its one child is process 1.
    assert_eq!(first.len(), 1, "{first:?}");
    let daemon = first.remove(0);
    let status = std::fs::read_to_string(format!("/proc/{daemon}/status")).expect("status");
    assert!(status.lines().any(|l| l.starts_with("NSpid:") && l.ends_with("\t1")), "{status}");
    assert!(status.contains("CapEff:\t0000000000003000"), "NET_ADMIN, NET_RAW: {status}");
    // Five runs of the check leave five orphans; none stays a zombie.
    std::thread::sleep(seconds(5));
    let zombies = own(daemon)
        .iter()
        .filter(|p| std::fs::read_to_string(format!("/proc/{p}/stat")).is_ok_and(|s| s.contains(") Z ")))
        .count();
    assert!(zombies <= 1, "{zombies} zombies: {}", log());
    let other = "VRRP_Script(other) cannot be started: Operation not permitted: another account";
    assert!(log().contains(other) && log().contains("takes CAP_SETUID and CAP_SETGID"), "{}", log());
    assert!(!log().lines().any(|l| l.contains("cannot") && !l.contains(other)), "{}", log());
    send(i32::try_from(daemon).expect("pid"), Signal::SIGTERM);
    assert!(eventually(seconds(10), || container.0.try_wait().is_ok_and(|s| s.is_some())), "{}", log());
    assert!(!host.has(VIP) && log().contains("Stopped Keepalived"), "{}", log());
}
