//! The first table of a large site, on a kernel with IPVS: a user-mode Linux, which is a program of this host and runs at its pace but
//! for system calls and page faults. It has one processor and stays on one of the host's: each switch between two of its programs would
//! otherwise wake another processor, and what is measured would be how deep that one sleeps. Its root is this host's, read only.

use crate::{Figure, row};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::Kind;
use steadfast_test_cluster::daemon::{keepalived, steadfastd};

/// The kernel, and its modules, where Debian's package puts them.
const KERNEL: &str = "/usr/bin/linux.uml";
const MODULES: &str = "/usr/lib/uml/modules";
/// The first argument of this program where it is the first process of that kernel.
pub const INSIDE: &str = "inside-of-table";
/// What a line of figures begins with.
const TAKEN: &str = "table complete after ";
/// Real servers, a hundred for each virtual server.
const SERVERS: u32 = 10_000;

/// What keeps this from running here.
fn obstacle() -> Option<String> {
    let missing = [KERNEL, MODULES].into_iter().find(|p| !Path::new(p).exists());
    let modprobe = || (!Path::new("/sbin/modprobe").exists()).then_some("/sbin/modprobe");
    missing.or_else(modprobe).map(|p| format!("no {p} (Debian's packages user-mode-linux and kmod)"))
}

/// From the start of the daemon until all real servers are in the table; the best of three.
pub fn table(kinds: &[Kind], quick: bool) {
    if let Some(why) = obstacle() {
        println!("SKIPPED: the first table of {SERVERS} real servers: {why}");
        return;
    }
    row(&format!("first table of {SERVERS} real servers"), kinds, |kind| {
        let program = match kind {
            Kind::Steadfast => steadfastd(),
            Kind::Keepalived => keepalived().expect("keepalived"),
        };
        let times: Vec<f64> = (0..if quick { 1 } else { 3 }).filter_map(|_| boot(&program)).collect();
        match times.iter().copied().reduce(f64::min) {
            Some(best) => Figure { text: format!("{best:.2} s"), met: Some(best < 1.0) },
            None => Figure { text: "not complete within a minute".into(), met: Some(false) },
        }
    });
}

/// Starts that kernel for one daemon.
fn boot(program: &Path) -> Option<f64> {
    let own = std::env::current_exe().ok()?;
    let out = Command::new("taskset")
        .args(["-c", &last_processor(), KERNEL])
        .args(["rootfstype=hostfs", "rootflags=/", "ro", "mem=1G", "con=null", "con0=fd:0,fd:1", "quiet"])
        .arg(format!("init={}", own.display()))
        .args(["--", INSIDE])
        .arg(program)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&out.stdout);
    let taken = text.lines().find_map(|l| l.split_once(TAKEN))?;
    taken.1.split_whitespace().next()?.parse().ok()
}

/// The last processor that this process may use.
fn last_processor() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).unwrap_or("0").trim();
    list.rsplit([',', '-']).next().unwrap_or("0").to_owned()
}

fn run(words: &str) -> bool {
    let mut words = words.split_whitespace();
    let Some(program) = words.next() else { return false };
    Command::new(program).args(words).status().is_ok_and(|s| s.success())
}

/// The first process there: makes the folders that a daemon needs, measures, and turns the machine off.
pub fn inside(program: &str) {
    let modules = "/run/modules";
    for words in [
        "/bin/mount -t proc proc /proc",
        "/bin/mount -t sysfs sys /sys",
        "/bin/mount -t tmpfs run /run",
        "/bin/mkdir -p /run/modules/lib /run/work",
        &format!("/bin/ln -s {MODULES} {modules}/lib/modules"),
        "/sbin/ip link set lo up",
        &format!("/sbin/modprobe -d {modules} ip_vs"),
        &format!("/sbin/modprobe -d {modules} ip_vs_rr"),
    ] {
        if !run(words) {
            println!("{words}: failed");
        }
    }
    match measure(program) {
        Some(taken) => println!("{TAKEN}{:.3} s", taken.as_secs_f64()),
        None => println!("not complete: {}", fs::read_to_string("/run/work/log").unwrap_or_default()),
    }
    let _ = fs::write("/proc/sysrq-trigger", "o");
    // Turned off meanwhile; the first process must not end before.
    std::thread::sleep(Duration::from_secs(10));
}

fn measure(program: &str) -> Option<Duration> {
    let service = |v: u32| {
        let servers: String = (1..=100).map(|r| format!(" real_server 10.9.{v}.{r} 80 {{\n weight 1\n }}\n")).collect();
        format!("virtual_server 10.8.{v}.1 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{servers}}}\n")
    };
    let text: String = (0..SERVERS / 100).map(service).collect();
    fs::write("/run/work/conf", text).ok()?;
    let log = fs::File::create("/run/work/log").ok()?;
    let begun = Instant::now();
    Command::new(program)
        .args([
            "-n",
            "-l",
            "-f",
            "/run/work/conf",
            "-p",
            "/run/work/pid",
            "-r",
            "/run/work/vrrp",
            "-c",
            "/run/work/check",
        ])
        .stdin(Stdio::null())
        .stdout(log.try_clone().ok()?)
        .stderr(log)
        .spawn()
        .ok()?;
    while begun.elapsed() < Duration::from_secs(60) {
        // Reading a large table takes time of its own: not too often.
        std::thread::sleep(Duration::from_millis(50));
        let table = fs::read_to_string("/proc/net/ip_vs").unwrap_or_default();
        // One arrow is in the heading.
        if table.matches("->").count() > SERVERS as usize {
            return Some(begun.elapsed());
        }
    }
    None
}
