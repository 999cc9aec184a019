//! Clusters with FRR's vrrpd.

use nix::sys::signal::Signal;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const FOLDER: &str = "/usr/lib/frr";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What runs on both.
#[derive(Clone, Copy, Debug)]
struct Case {
    version: u8,
    six: bool,
}

impl Case {
    fn address(self) -> &'static str {
        if self.six { "fd77::100" } else { "10.77.0.100" }
    }

    fn milliseconds(self) -> u32 {
        if self.version == 2 { 1000 } else { 200 }
    }

    fn ours(self, priority: u8) -> String {
        let prefix = if self.six { 64 } else { 24 };
        format!(
            "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version {}\n priority {priority}\n advert_int {}\n \
             virtual_ipaddress {{\n {}/{prefix}\n }}\n}}\n",
            self.version,
            f64::from(self.milliseconds()) / 1000.0,
            self.address()
        )
    }
}

/// zebra and vrrpd in a host.
struct Frr {
    folder: tempfile::TempDir,
    processes: Vec<Child>,
    six: bool,
}

impl Frr {
    fn start(host: &Host, case: Case, priority: u8) -> Frr {
        // FRR wants a link with the virtual MAC that has the address from the start, and holds it down while it is backup.
        if !host.show("link").contains("frr0") {
            host.ip("link add frr0 link eth0 type macvlan mode bridge");
            let mac = if case.six { "00:00:5e:00:02:33" } else { "00:00:5e:00:01:33" };
            host.ip(&format!("link set frr0 address {mac}"));
            let prefix = if case.six { "64" } else { "24" };
            if case.six {
                // It sends from this link's own link-local address, which must be usable at once.
                host.ip("link set frr0 addrgenmode none");
                host.ip(&format!("addr add fe80::77:f{}/64 dev frr0 nodad", host.number));
            }
            let nodad = if case.six { "nodad" } else { "" };
            host.ip(&format!("addr add {}/{prefix} dev frr0 {nodad}", case.address()));
            host.ip("link set frr0 up");
        }
        let folder = tempfile::tempdir().expect("folder");
        let own = Command::new("chown").arg("frr:frr").arg(folder.path()).status().expect("chown");
        assert!(own.success());
        let word = if case.six { "ipv6" } else { "ip" };
        let text = format!(
            "log file {}/log\ninterface eth0\n vrrp 51 version {}\n vrrp 51 priority {priority}\n vrrp 51 advertisement-interval {}\n \
             vrrp 51 {word} {}\n",
            folder.path().display(),
            case.version,
            case.milliseconds(),
            case.address()
        );
        let at = |n: &str| folder.path().join(n);
        std::fs::write(at("vrrpd.conf"), text).expect("configuration");
        std::fs::write(at("zebra.conf"), "\n").expect("configuration");
        let run = |program: &str| {
            let mut c = host.command(&format!("{FOLDER}/{program}"));
            c.arg("-z").arg(at("socket")).arg("-i").arg(at(&format!("{program}.pid"))).args(["-P", "0"]);
            c.arg("--vty_socket").arg(folder.path()).arg("-f").arg(at(&format!("{program}.conf")));
            c.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("FRR")
        };
        let zebra = run("zebra");
        assert!(eventually(seconds(10), || at("socket").exists()), "zebra does not start");
        let vrrpd = run("vrrpd");
        let frr = Frr { folder, processes: vec![vrrpd, zebra], six: case.six };
        assert!(eventually(seconds(20), || !frr.state().is_empty()), "vrrpd does not start");
        frr
    }

    /// Its state of the family that is tested.
    fn state(&self) -> String {
        let mut c = Command::new("vtysh");
        c.arg("--vty_socket").arg(self.folder.path()).args(["-c", "show vrrp"]);
        let text = c.output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
        let line = format!("Status (v{})", if self.six { 6 } else { 4 });
        let found = text.lines().find_map(|l| l.trim().strip_prefix(&line));
        found.map(|s| s.trim().to_string()).unwrap_or_default()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn end(&mut self, signal: Signal) {
        for mut p in self.processes.drain(..) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(p.id() as i32), signal);
            let _ = p.wait();
        }
    }
}

impl Drop for Frr {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

/// The whole life of a pair in which FRR is the one or the other.
fn pair(case: Case, frr_priority: u8, our_priority: u8) {
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let vip = case.address();
    let mut frr = Frr::start(b, case, frr_priority);
    let mut ours = Daemon::start(a, Kind::Steadfast, &case.ours(our_priority));
    let frr_leads = frr_priority > our_priority;
    let settled = |frr: &Frr, ours: &Daemon, frr_leads: bool| {
        let want = if frr_leads { "Master" } else { "Backup" };
        let right = || a.has(vip) != frr_leads && frr.state() == want;
        let why = || format!("{case:?}: FRR should be {want} and is {}\n{}\n{}", frr.state(), ours.log(), frr.log());
        // FRR calls itself master before its link is ready to send.
        let heard = || !frr_leads || ours.log().contains("master set to");
        assert!(eventually(seconds(20), || heard() && right()), "{}", why());
        // It stays so: three of the longest times in which somebody could change his mind.
        let until = std::time::Instant::now() + Duration::from_millis(u64::from(case.milliseconds()) * 4);
        while std::time::Instant::now() < until {
            assert!(right(), "{}", why());
        }
    };
    settled(&frr, &ours, frr_leads);
    if frr_leads {
        // The master dies and comes back.
        frr.end(Signal::SIGKILL);
        assert!(eventually(seconds(10), || a.has(vip)), "{}", ours.log());
        b.ip("link del frr0");
        frr = Frr::start(b, case, frr_priority);
        settled(&frr, &ours, true);
        // It stops in order.
        frr.end(Signal::SIGTERM);
        assert!(eventually(seconds(10), || a.has(vip)), "{}", ours.log());
    } else {
        assert_eq!(ours.stop(), Some(0));
        assert!(eventually(seconds(10), || frr.state() == "Master"), "{}", frr.log());
        assert!(!a.has(vip));
        ours = Daemon::start(a, Kind::Steadfast, &case.ours(our_priority));
        settled(&frr, &ours, false);
        a.cable(false);
        ours.crash();
        assert!(eventually(seconds(10), || frr.state() == "Master"), "{}", frr.log());
    }
}

macro_rules! needs_frr {
    () => {
        require!();
        if !Path::new(FOLDER).join("vrrpd").exists() {
            println!("SKIPPED: clusters with FRR: it is not installed");
            return;
        }
    };
}

#[test]
fn version_2() {
    needs_frr!();
    for (frr, ours) in [(200, 100), (100, 200)] {
        pair(Case { version: 2, six: false }, frr, ours);
    }
}

#[test]
fn version_3_over_ipv4() {
    needs_frr!();
    for (frr, ours) in [(200, 100), (100, 200)] {
        pair(Case { version: 3, six: false }, frr, ours);
    }
}

#[test]
fn version_3_over_ipv6() {
    needs_frr!();
    for (frr, ours) in [(200, 100), (100, 200)] {
        pair(Case { version: 3, six: true }, frr, ours);
    }
}
