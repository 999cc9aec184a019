//! Lines of the log that people and programs look for, in keepalived's words.

use std::process::Stdio;
use std::time::Duration;
use steadfast_test_cluster::daemon::{Ended, file, keepalived, send, steadfastd};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const SOON: Duration = Duration::from_secs(10);
const FIRST: [&str; 2] =
    ["Sending gratuitous ARP on eth0 for 10.77.0.100", "Sending unsolicited Neighbour Advert on eth0 for fd00:77::100"];

fn conf(second: &str) -> String {
    let instance = |name: &str, vrid: u32, addresses: &str| {
        format!(
            "vrrp_instance {name} {{\n state MASTER\n interface eth0\n virtual_router_id {vrid}\n priority 200\n version 3\n advert_int 0.2\n \
             garp_master_delay 60\n virtual_ipaddress {{\n{addresses}\n }}\n}}\n"
        )
    };
    let four = if second.is_empty() { String::new() } else { format!("\n {second}/24") };
    instance("A", 51, &format!(" 10.77.0.100/24{four}")) + &instance("B", 52, " fe80::100/64\n fd00:77::100/64")
}

fn lines(log: &str, line: &str) -> usize {
    log.lines().filter(|l| l.ends_with(line)).count()
}

/// What both say.
fn says(kind: Kind) {
    let lan = Lan::new(1);
    let d = Daemon::start(&lan.hosts[0], kind, &conf("10.77.0.101"));
    let all = || FIRST.iter().all(|l| lines(&d.log(), l) == 5) && lines(&d.log(), "eth0 for 10.77.0.101") == 6;
    assert!(eventually(SOON, all), "{kind:?}: {}", d.log());
    d.reload(&conf(""));
    d.wait_log("(A) ip address 10.77.0.101/24 dev eth0, no longer exist\n", SOON);
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn each_announcement_and_each_address_that_a_reload_drops_has_keepalived_s_line() {
    require!();
    says(Kind::Steadfast);
    if keepalived().is_some() {
        says(Kind::Keepalived);
    } else {
        println!("SKIPPED: keepalived's own words (it is not installed)");
    }
}

#[test]
fn without_detail_announcements_have_no_lines() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    let main = file(folder.path(), "conf", &conf(""));
    let path = |name: &str| folder.path().join(name);
    let log = std::fs::File::create(path("log")).expect("log");
    let mut command = host.command(steadfastd().to_str().expect("path"));
    command.args(["-n", "-l", "-f", &main, "-p"]).arg(path("pid")).arg("-r").arg(path("vrrp.pid"));
    let mut child = Ended(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start"));
    let log = || std::fs::read_to_string(path("log")).unwrap_or_default();
    assert!(eventually(SOON, || host.has("10.77.0.100") && host.has("fd00:77::100")), "{}", log());
    let pid = std::fs::read_to_string(path("pid")).expect("pid").trim().parse().expect("number");
    send(pid, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(child.0.wait().expect("end").code(), Some(0));
    assert!(log().contains("(A) Entering MASTER STATE") && !log().contains("Sending"), "{}", log());
}
