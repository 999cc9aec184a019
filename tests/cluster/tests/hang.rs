//! Children that hang where no signal reaches them, what the service manager hears of it, and events that never came.

use nix::sys::signal::Signal;
use std::io::Read;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{compile, send};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn conf(priority: u8) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// A tracer: what it holds neither runs nor, once it was killed, is reaped by its parent, like a process that hangs in the kernel.
const HOLDER: &str = "#include <sys/ptrace.h>\n#include <sys/wait.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
    int main(int n, char **a) {\n int pid = atoi(a[1]), status;\n\
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) || waitpid(pid, &status, __WALL) != pid) return 1;\n\
    write(1, \"+\", 1);\n for (;;) pause();\n}\n";

/// Holds a process until it is dropped.
struct Held(Child);

impl Held {
    fn new(folder: &std::path::Path, pid: i32) -> Held {
        let program = compile(folder, "hold", HOLDER);
        let mut holder = Command::new(program).arg(pid.to_string()).stdout(Stdio::piped()).spawn().expect("holder");
        let mut word = [0];
        holder.stdout.take().expect("pipe").read_exact(&mut word).expect("it holds the process");
        Held(holder)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service manager that counts how often its watchdog is fed.
struct Manager(UnixDatagram);

impl Manager {
    fn new(folder: &std::path::Path) -> Manager {
        let socket = UnixDatagram::bind(folder.join("notify")).expect("socket");
        socket.set_nonblocking(true).expect("socket");
        Manager(socket)
    }

    /// Since it was asked last.
    fn fed(&self) -> usize {
        let (mut buffer, mut times) = ([0; 4096], 0);
        while let Ok(n) = self.0.recv(&mut buffer) {
            times += usize::from(buffer[..n].starts_with(b"WATCHDOG=1"));
        }
        times
    }
}

#[test]
fn a_child_that_cannot_be_killed_holds_no_address_and_ends_the_feeding_of_the_watchdog() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let manager = Manager::new(folder.path());
    let at = folder.path().join("notify");
    let variables = [("NOTIFY_SOCKET", at.to_str().expect("path"))];
    let a = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &conf(200), &variables);
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    b.wait_log("master set to", seconds(5));
    assert!(eventually(seconds(5), || manager.fed() > 0), "it is fed: {}", a.log());
    let pid = a.pid_of("vrrp.pid").expect("pid");
    let held = Held::new(folder.path(), pid);
    assert!(eventually(seconds(10), || lan.hosts[1].has(VIP)), "{}", b.log());
    a.wait_log("does not answer, ending it", seconds(15));
    // Where it hung.
    assert!(a.log().contains("ending it: state t (tracing stop), waits in "), "{}", a.log());
    manager.fed();
    a.wait_log(&format!("VRRP child process({pid}) was killed and does not end: state "), seconds(15));
    assert!(eventually(seconds(10), || !lan.hosts[0].has(VIP)), "two hold the address: {}", a.log());
    a.wait_log("cannot be ended: its addresses are withdrawn", seconds(5));
    // Longer than it takes to be fed twice.
    let until = Instant::now() + seconds(3);
    assert!(!eventually(until - Instant::now(), || manager.fed() > 0), "it is fed while a child hangs: {}", a.log());
    assert!(lan.hosts[1].has(VIP) && !a.log().contains("Respawning"), "{}", a.log());
    // What held it lets go: all is as before.
    drop(held);
    a.wait_log("died: Respawning", seconds(5));
    assert!(eventually(seconds(15), || lan.hosts[0].has(VIP) && !lan.hosts[1].has(VIP)), "{}", a.log());
    assert!(eventually(seconds(5), || manager.fed() > 0), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

/// Has a process loop where its program begins: a place that is known, and that it does not come to again.
#[cfg(target_arch = "x86_64")]
const LOOPER: &str = "#include <sys/ptrace.h>\n#include <sys/user.h>\n#include <sys/wait.h>\n#include <stdlib.h>\n\
    int main(int n, char **a) {\n int pid = atoi(a[1]), status;\n unsigned long at = strtoul(a[2], 0, 16);\n struct user_regs_struct r;\n\
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) || waitpid(pid, &status, __WALL) != pid) return 1;\n\
    long word = ptrace(PTRACE_PEEKTEXT, pid, at, 0);\n if (ptrace(PTRACE_GETREGS, pid, 0, &r)) return 2;\n\
    r.rip = at;\n r.orig_rax = -1;\n\
    return ptrace(PTRACE_POKETEXT, pid, at, (word & ~0xffffL) | 0xfeeb) || ptrace(PTRACE_SETREGS, pid, 0, &r)\n\
    || ptrace(PTRACE_DETACH, pid, 0, 0) ? 3 : 0;\n}\n";

/// Where it loops is told by the program's file and the address in it, and what the debugger's tools make of that.
#[test]
#[cfg(target_arch = "x86_64")]
fn of_a_child_that_loops_the_log_says_where() {
    require!();
    let lan = Lan::new(1);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    let pid = a.pid_of("vrrp.pid").expect("pid");
    let program = steadfast_test_cluster::daemon::steadfastd();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("maps");
    let base = maps.lines().find(|l| l.contains("steadfastd")).and_then(|l| l.split('-').next()).expect("base");
    let base = u64::from_str_radix(base, 16).expect("number");
    let mut head = [0; 32];
    std::fs::File::open(&program).expect("program").read_exact(&mut head).expect("head");
    let entry = u64::from_le_bytes(head[24..32].try_into().expect("eight bytes"));
    let looper = compile(a.folder.path(), "loop", LOOPER);
    let done = Command::new(looper).args([pid.to_string(), format!("{:x}", base + entry)]).status().expect("looper");
    assert!(done.success(), "{done}");
    a.wait_log("does not answer, ending it", seconds(15));
    let place = format!("steadfastd+{entry:#x}");
    let line = a.log().leak().lines().find(|l| l.contains("does not answer, ending it")).expect("line");
    assert_eq!(line.matches(&place).count(), 3, "{line}");
    // As docs/operations.md says; a build without symbols gives no name.
    let read = Command::new("addr2line").arg("-f").arg("-e").arg(&program).arg(format!("{entry:#x}")).output();
    if let Ok(out) = read {
        let name = String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_string();
        assert!(["_start", "??"].contains(&&*name), "{name}");
    }
    // It ends by the signal, though it was stopped for the looks at it.
    a.wait_log(&format!("VRRP child process({pid}) died: Respawning"), seconds(2));
    assert!(eventually(seconds(15), || lan.hosts[0].has(VIP)), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

/// It must not keep the daemon from its end, either.
#[test]
fn a_stop_does_not_wait_for_who_cannot_be_killed() {
    require!();
    let lan = Lan::new(1);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    let pid = a.pid_of("vrrp.pid").expect("pid");
    let held = Held::new(a.folder.path(), pid);
    let mut a = a;
    a.signal(Signal::SIGTERM);
    assert_eq!(a.ended(), Some(0), "{}", a.log());
    assert!(!lan.hosts[0].has(VIP), "{}", a.log());
    drop(held);
    send(pid, Signal::SIGKILL);
}

/// Takes the groups from each rtnetlink socket of a process: it hears answers, and nothing that happens.
const DEAFENER: &str = "#define _GNU_SOURCE\n#include <sys/socket.h>\n#include <linux/netlink.h>\n#include <sys/syscall.h>\n\
    #include <stdlib.h>\n#include <unistd.h>\nint main(int n, char **a) {\n\
    int p = syscall(434 /* pidfd_open */, atoi(a[1]), 0), groups[] = {1, 5, 7, 8, 9, 11, 19}, done = 0;\n\
    for (int fd = 0; fd < 1024; fd++) {\n int s = syscall(438 /* pidfd_getfd */, p, fd, 0), family, kind; socklen_t l = sizeof(int);\n\
    if (s < 0) continue;\n\
    if (!getsockopt(s, SOL_SOCKET, SO_DOMAIN, &family, &l) && family == AF_NETLINK\n\
     && !getsockopt(s, SOL_SOCKET, SO_PROTOCOL, &kind, &l) && kind == NETLINK_ROUTE)\n\
    for (int g = 0; g < 7; g++) done += !setsockopt(s, SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, &groups[g], sizeof(int));\n\
    close(s);\n }\n return !done;\n}\n";

/// An event that was lost without a word must not hold an address down, or an instance up, for ever.
#[test]
fn what_no_event_told_is_found_within_a_minute() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link add sfdum type veth peer name sfpeer");
    host.ip("link set sfpeer up");
    host.ip("link set sfdum up");
    let text = format!(
        "{}vrrp_instance WATCHES {{\n interface eth0\n virtual_router_id 52\n priority 200\n virtual_ipaddress {{\n 10.77.0.101/24\n }}\n \
         track_interface {{\n sfdum\n }}\n}}\n",
        conf(200)
    );
    let a = Daemon::start(host, Kind::Steadfast, &text);
    assert!(eventually(seconds(10), || host.has(VIP) && host.has("10.77.0.101")), "{}", a.log());
    let deafen = compile(a.folder.path(), "deafen", DEAFENER);
    let done = Command::new(deafen).arg(a.pid_of("vrrp.pid").expect("pid").to_string()).status().expect("deafener");
    assert!(done.success());
    host.ip(&format!("address del {VIP}/24 dev eth0"));
    host.ip("link set sfdum down");
    assert!(!host.has(VIP));
    assert!(eventually(seconds(80), || host.has(VIP)), "{}", a.log());
    a.wait_log("(WATCHES) Entering FAULT STATE", seconds(5));
    a.wait_log("netlink: not told of changes of ", seconds(1));
    assert_eq!(a.stop(), Some(0));
}

/// No peer lives: what a process that hangs held goes on serving until its successor has listened for a master.
#[test]
fn a_process_that_hangs_costs_nothing_where_nobody_could_take_over() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let a = Daemon::start(host, Kind::Steadfast, &conf(200));
    a.wait_log("Entering MASTER STATE", seconds(15));
    assert!(eventually(seconds(5), || host.has(VIP)), "{}", a.log());
    let ping = lan.hosts[1].ping(VIP);
    send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGSTOP);
    a.wait_log("keeping what an earlier run left until a master is heard", seconds(20));
    let again = || a.log().matches("Entering MASTER STATE").count() == 2;
    assert!(eventually(seconds(15), again), "{}", a.log());
    std::thread::sleep(seconds(1));
    let gap = ping.longest_gap();
    println!("a process hung and nobody else was there: {gap:?} for the client");
    // The addresses were away for a master-down interval, three seconds and more.
    assert!(gap < seconds(1), "{gap:?}\n{}", a.log());
}
