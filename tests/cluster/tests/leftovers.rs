//! Every process of the daemon dies at once. The next start finds what was left.

use nix::sys::signal::Signal;
use std::process::Stdio;
use std::time::Duration;
use steadfast_test_cluster::client::Client;
use steadfast_test_cluster::daemon::{file, send, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const KEPT: &str = "static_ipaddress {\n 10.99.0.1/24 dev eth0\n}\nvrrp_instance STAYS {\n interface eth0\n virtual_router_id 51\n priority 200\n \
                    advert_int 1\n virtual_ipaddress {\n 10.77.0.100/24\n }\n virtual_routes {\n 203.0.113.0/24 via 10.77.0.8 dev eth0\n }\n}\n";
const GOES: &str = "vrrp_instance GOES {\n interface eth0\n use_vmac\n virtual_router_id 52\n priority 200\n advert_int 1\n virtual_ipaddress {\n \
                    10.77.0.101/24\n }\n virtual_rules {\n from 10.77.0.101 table 77 preference 1700\n }\n}\n\
                    vrrp_instance PLAIN {\n interface eth0\n virtual_router_id 53\n priority 200\n advert_int 1\n no_accept\n virtual_ipaddress {\n 10.77.0.102/24\n }\n \
                    virtual_routes {\n 198.51.100.0/24 via 10.77.0.9 dev eth0\n }\n}\n";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn kernel(host: &Host) -> String {
    ["addr", "route show table all", "rule", "link"].map(|w| host.show(w)).concat()
}

/// What blocks traffic, and whether the link answers for addresses of others.
fn rules(host: &Host) -> String {
    let out = |program: &str, arguments: &[&str]| {
        let out = host.command(program).args(arguments).output().map(|o| o.stdout).unwrap_or_default();
        String::from_utf8_lossy(&out).into_owned()
    };
    out("nft", &["list", "ruleset"]) + "arp_ignore " + &out("cat", &["/proc/sys/net/ipv4/conf/eth0/arp_ignore"])
}

fn start(host: &Host, text: &str, folder: tempfile::TempDir) -> Daemon {
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    Daemon::start_in(host, Kind::Steadfast, text, folder, Stdio::from(log))
}

#[test]
fn nothing_is_left_behind_or_doubled_after_all_processes_were_killed() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let d = start(host, &format!("{KEPT}{GOES}"), tempfile::tempdir().expect("folder"));
    let of_those_that_go = ["10.77.0.101/", "10.77.0.102/", "198.51.100.0/24", "1700:", "vrrp.52"];
    let all_there = || of_those_that_go.iter().all(|w| kernel(host).contains(w)) && host.has("10.77.0.100");
    assert!(eventually(seconds(10), all_there), "{}\n{}", kernel(host), d.log());
    let blocked = || rules(host).contains("10.77.0.102") && rules(host).contains("arp_ignore 1");
    assert!(eventually(seconds(5), blocked), "{}", rules(host));
    for file in ["pid", "vrrp.pid"] {
        send(d.pid_of(file).expect("pid"), Signal::SIGKILL);
    }
    assert!(all_there(), "nobody is left to take it away");

    // Meanwhile two instances leave the file, and a peer has taken over the third.
    let peer = Daemon::start(
        &lan.hosts[1],
        Kind::Steadfast,
        &KEPT.replace("priority 200", "priority 250").replace("10.99.0.1", "10.99.0.2"),
    );
    assert!(eventually(seconds(10), || lan.hosts[1].has("10.77.0.100")), "{}", peer.log());
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(d.path("vrrp.objects"), folder.path().join("vrrp.objects")).expect("record");
    let d = start(host, KEPT, folder);
    let gone = || {
        let now = kernel(host);
        !of_those_that_go.iter().any(|w| now.contains(w))
            && !now.contains("10.77.0.100")
            && !now.contains("203.0.113.0/24")
    };
    assert!(eventually(seconds(5), gone), "{}\n{}", kernel(host), d.log());
    assert!(host.has("10.99.0.1"), "what is in its place stays");
    let free = || !rules(host).contains("keepalived") && rules(host).contains("arp_ignore 0");
    assert_eq!(kernel(host).matches("10.99.0.1/24").count(), 1);
    assert!(d.log().contains("is left from an earlier run, removing it"), "{}", d.log());
    assert!(eventually(seconds(5), || !rules(host).contains("keepalived")), "{}", rules(host));
    assert_eq!(d.stop(), Some(0));
    assert!(free(), "{}", rules(host));
}

/// The VRRP process dies again and again: what is taken away then is nobody's leftover, and what is there while the daemon runs stays known.
#[test]
fn what_was_withdrawn_is_not_looked_for_by_the_next_process() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = start(host, &format!("{KEPT}{GOES}"), tempfile::tempdir().expect("folder"));
    let all = ["10.77.0.100/", "10.77.0.101/", "10.77.0.102/", "203.0.113.0/24", "198.51.100.0/24", "1700:"];
    let there = || all.iter().all(|w| kernel(host).contains(w));
    assert!(eventually(seconds(15), there), "{}\n{}", kernel(host), d.log());
    for n in 1..=3 {
        assert!(eventually(seconds(10), || d.log().matches("Starting VRRP child").count() == n), "{}", d.log());
        assert!(eventually(seconds(5), || d.pid_of("vrrp.pid").is_some()), "{}", d.log());
        // It has begun: what it was handed is its own.
        let begun = || d.log().matches("continuing in MASTER state").count() >= 3;
        assert!(n != 2 || eventually(seconds(5), begun), "{}", d.log());
        send(d.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
        assert!(eventually(seconds(8), || d.log().matches("died: Respawning").count() == n), "{}", d.log());
    }
    assert!(eventually(seconds(10), || d.log().matches("its addresses are withdrawn").count() == 2), "{}", d.log());
    let now = kernel(host);
    assert!(!all.iter().any(|w| now.contains(w)) && now.contains("vrrp.52"), "{now}");
    let record = std::fs::read_to_string(d.path("vrrp.objects")).expect("record");
    assert!(!record.contains("203.0.113") && !record.contains("10.77.0.10"), "{record}");
    assert!(record.contains("vrrp.52") && record.contains("10.99.0.1"), "{record}");
    assert!(eventually(seconds(20), there), "{}\n{}", kernel(host), d.log());
    assert!(!d.log().contains("is left from an earlier run"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
    let now = kernel(host);
    assert!(!all.iter().chain(&["vrrp.52", "10.99.0.1"]).any(|w| now.contains(w)), "{now}");
}

/// Who has nothing to block has no table, whichever way it came to its file.
#[test]
fn a_table_is_there_when_something_is_to_be_blocked() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    if host.command("nft").arg("--version").output().is_err() {
        println!("SKIPPED: nft is not there, which shows the tables");
        return;
    }
    let text = |more: &str| {
        format!(
            "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n advert_int 0.1\n version 3\n {more}\n \
             virtual_ipaddress {{\n 10.77.0.100/24\n }}\n}}\n"
        )
    };
    for first in [text("no_accept"), text("")] {
        host.ip("link set eth0 down");
        let d = start(host, &first, tempfile::tempdir().expect("folder"));
        d.wait_log("Entering FAULT STATE", seconds(10));
        d.wait_log("Startup complete", seconds(10));
        d.reload(&text("no_accept"));
        d.wait_log("Reload complete", seconds(10));
        assert!(!rules(host).contains("table ip"), "{}\n{}", rules(host), d.log());
        host.ip("link set eth0 up");
        assert!(eventually(seconds(10), || rules(host).contains("elements = { 10.77.0.100 }")), "{}", rules(host));
        assert_eq!(d.stop(), Some(0));
        assert!(!rules(host).contains("table ip"), "{}", rules(host));
    }
}

/// A table that blocks an address would make it unreachable on this host for whoever has it later.
#[test]
fn a_file_without_virtual_routers_leaves_no_blocked_address_behind() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = start(host, GOES, tempfile::tempdir().expect("folder"));
    assert!(eventually(seconds(10), || rules(host).contains("10.77.0.102")), "{}\n{}", rules(host), d.log());
    assert!(eventually(seconds(10), || host.has("10.77.0.102") && d.path("vrrp.objects").exists()), "{}", d.log());
    for file in ["pid", "vrrp.pid"] {
        send(d.pid_of(file).expect("pid"), Signal::SIGKILL);
    }
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(d.path("vrrp.objects"), folder.path().join("vrrp.objects")).expect("record");
    let d = start(host, UNMARKED, folder);
    let free = || !rules(host).contains("keepalived") && !kernel(host).contains("10.77.0.10");
    assert!(eventually(seconds(10), free), "{}\n{}\n{}", rules(host), kernel(host), d.log());
    assert_eq!(d.stop(), Some(0));
}

/// The same where the tables have another name in the file by now, in the next life and after a death of all.
#[test]
fn a_table_of_a_former_name_blocks_nobody() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = start(host, GOES, tempfile::tempdir().expect("folder"));
    let blocked = || rules(host).contains("table ip keepalived") && rules(host).contains("10.77.0.102");
    assert!(eventually(seconds(10), || blocked() && host.has("10.77.0.102")), "{}\n{}", rules(host), d.log());
    let kept = || std::fs::read_to_string(d.path("vrrp.objects")).unwrap_or_default().contains("\"keepalived\"");
    assert!(eventually(seconds(5), kept), "the name is written down");
    for file in ["pid", "vrrp.pid"] {
        send(d.pid_of(file).expect("pid"), Signal::SIGKILL);
    }
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(d.path("vrrp.objects"), folder.path().join("vrrp.objects")).expect("record");
    let text = format!("global_defs {{\n nftables other\n}}\n{}", GOES.replace(" no_accept\n", ""));
    let d = start(host, &text, folder);
    assert!(eventually(seconds(10), || host.has("10.77.0.102")), "{}", d.log());
    assert!(eventually(seconds(5), || !rules(host).contains("table ip keepalived")), "{}\n{}", rules(host), d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_record_that_others_could_have_written_is_not_believed() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let d = start(host, KEPT, tempfile::tempdir().expect("folder"));
    assert!(eventually(seconds(10), || host.has("10.77.0.100")), "{}", d.log());
    let record = std::fs::read_to_string(d.path("vrrp.objects")).expect("record");
    d.stop();
    // A forged record names an address that is the host's own.
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("vrrp.objects");
    std::fs::write(&path, record.replace("10.77.0.100", "10.77.0.1")).expect("record");
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("mode");
    let d = start(host, KEPT, folder);
    assert!(eventually(seconds(10), || host.has("10.77.0.100")), "{}", d.log());
    assert!(host.has("10.77.0.1"), "{}", d.log());
}

#[test]
fn a_start_right_after_a_kill_of_all_processes_loses_no_question() {
    require!();
    let lan = Lan::new(3);
    let host = &lan.hosts[0];
    let text = "vrrp_instance V {\n interface eth0\n virtual_router_id 51\n priority 200\n advert_int 1\n virtual_ipaddress {\n \
                10.77.0.100/24\n }\n}\n";
    let d = start(host, text, tempfile::tempdir().expect("folder"));
    assert!(eventually(seconds(10), || host.has("10.77.0.100")), "{}", d.log());
    let peer = Daemon::start(&lan.hosts[1], Kind::Steadfast, &text.replace("200", "100"));
    peer.wait_log("master set to", seconds(5));
    let client = Client::start(&lan.hosts[2], "10.77.0.100".parse().expect("address"));
    for file in ["pid", "vrrp.pid"] {
        send(d.pid_of(file).expect("pid"), Signal::SIGKILL);
    }
    let folder = tempfile::tempdir().expect("folder");
    std::fs::copy(d.path("vrrp.objects"), folder.path().join("vrrp.objects")).expect("record");
    let again = start(host, text, folder);
    again.wait_log("keeping what an earlier run left until a master is heard", seconds(3));
    // Whoever's patience ends first, in the end the one of higher priority is master.
    again.wait_log("Entering MASTER STATE", seconds(12));
    assert!(eventually(seconds(3), || !lan.hosts[1].has("10.77.0.100")), "{}", peer.log());
    let asked = client.end();
    println!("killed and started again: the client lost {} of {} questions", asked.lost, asked.sent);
    assert!(asked.longest_gap < Duration::from_millis(500), "{asked:?}\n{}", again.log());
}

/// The two halves of a daemon may be two daemons (-P, -C), whose pid files of children have the same names unless somebody says
/// otherwise: what the other holds is not a leftover.
#[test]
fn what_another_living_daemon_holds_is_left_alone() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    let conf = file(folder.path(), "checks", UNMARKED);
    let d = Daemon::start_with(host, Kind::Steadfast, NO_SERVER, &[("", "-P")]);
    assert!(eventually(seconds(10), || host.has("10.77.0.100") && d.path("vrrp.objects").exists()), "{}", d.log());
    for half in [Some("-C"), None] {
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let mut other = host.command(steadfastd().to_str().expect("path"));
        other.args(["-n", "-l", "-D", "-f", &conf]).args(half).arg("-p").arg(folder.path().join("pid"));
        other.arg("-r").arg(d.path("vrrp.pid")).arg("-c").arg(folder.path().join("check.pid"));
        let mut other = other.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start");
        let said = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(eventually(seconds(10), || folder.path().join("check.pid").exists()), "{}", said());
        send(other.id() as i32, Signal::SIGTERM);
        other.wait().expect("end");
        assert!(host.has("10.77.0.100") && d.path("vrrp.objects").exists(), "{half:?}: {}", said());
        assert!(!d.log().contains("putting it back") && !said().contains("is removed"), "{}{}", d.log(), said());
    }
    // One that wants the same half is one too many, as with keepalived.
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let mut other = host.command(steadfastd().to_str().expect("path"));
    other.args(["-n", "-l", "-f"]).arg(d.path("conf")).arg("-p").arg(folder.path().join("pid"));
    other.arg("-r").arg(d.path("vrrp.pid")).arg("-c").arg(folder.path().join("check.pid"));
    let status = other.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).status().expect("start");
    let said = std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(status.code() == Some(0) && said.contains("daemon is already running"), "{status}: {said}");
    assert!(host.has("10.77.0.100") && !d.log().contains("putting it back"), "{}", d.log());
}

/// One IPVS service for a group, whose addresses get their mark from tables of nftables. This works without IPVS, too.
const MARKED: &str = "global_defs {\n nftables_ipvs\n}\nvirtual_server_group WEB {\n 10.77.0.100-110 80\n}\nvirtual_server group WEB {\n \
                      delay_loop 1\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.2 80 {\n weight 1\n }\n}\n";
const UNMARKED: &str = "virtual_server 10.77.0.100 80 {\n delay_loop 1\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.2 80 {\n \
                        weight 1\n }\n}\n";
const NO_SERVER: &str =
    "vrrp_instance V {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";

/// Somebody else's table beside that of the checker, which is there.
fn marked(host: &Host, folder: tempfile::TempDir) -> Daemon {
    host.command("nft").args(["add", "table", "ip", "lab"]).status().expect("nft");
    let d = start(host, &format!("{MARKED}{NO_SERVER}"), folder);
    assert!(eventually(seconds(10), || rules(host).contains("table ip keepalived_ipvs")), "{}", d.log());
    d
}

fn only_others(host: &Host) -> bool {
    !rules(host).contains("keepalived_ipvs") && rules(host).contains("table ip lab")
}

#[test]
fn marks_go_with_the_next_start_after_all_processes_were_killed() {
    require!();
    for next in [UNMARKED, NO_SERVER, "global_defs {\n router_id NOTHING\n}\n", MARKED] {
        let lan = Lan::new(1);
        let host = &lan.hosts[0];
        let d = marked(host, tempfile::tempdir().expect("folder"));
        kill_all(&d);
        assert!(rules(host).contains("table ip keepalived_ipvs"), "nobody is left to take it away");
        let mut again = Again::start(host, &d, next);
        let said = || again.said();
        if next == MARKED {
            // What is wanted as before stays.
            assert!(eventually(seconds(10), || said().contains("Startup complete")), "{}", said());
            assert!(rules(host).contains("table ip keepalived_ipvs"), "{}", said());
        } else {
            assert!(eventually(seconds(10), || only_others(host)), "{next}: {}\n{}", rules(host), said());
        }
        again.stop();
        assert!(only_others(host), "{next}: {}\n{}", rules(host), again.said());
        assert!(!again.folder.path().join("check.objects").exists(), "{next}: {}", again.said());
    }
}

/// The same in a namespace of the balancer that the next file does not name any more.
#[test]
fn marks_in_a_namespace_of_the_balancer_go_with_the_next_start() {
    require!();
    for next in [NO_SERVER.to_string(), format!("{MARKED}{NO_SERVER}")] {
        let lan = Lan::new(2);
        let (host, there) = (&lan.hosts[0], &lan.hosts[1]);
        let text = format!("net_namespace_ipvs {}\n{MARKED}{NO_SERVER}", there.namespace);
        let d = start(host, &text, tempfile::tempdir().expect("folder"));
        assert!(eventually(seconds(10), || rules(there).contains("table ip keepalived_ipvs")), "{}", d.log());
        assert!(!rules(host).contains("keepalived_ipvs"));
        kill_all(&d);
        let mut again = Again::start(host, &d, &next);
        let gone = || !rules(there).contains("keepalived_ipvs");
        assert!(eventually(seconds(10), gone), "{next}: {}\n{}", rules(there), again.said());
        let here = || rules(host).contains("table ip keepalived_ipvs");
        assert!(!next.contains(MARKED) || eventually(seconds(10), here), "{}", again.said());
        again.stop();
        assert!(!here() && !again.folder.path().join("check.objects").exists(), "{next}: {}", again.said());
    }
}

fn kill_all(d: &Daemon) {
    for signal in [Signal::SIGSTOP, Signal::SIGKILL] {
        ["pid", "vrrp.pid", "check.pid"].iter().for_each(|file| send(d.pid_of(file).expect("pid"), signal));
    }
}

/// The next start, with the records of the one before.
struct Again {
    folder: tempfile::TempDir,
    child: std::process::Child,
}

impl Again {
    fn start(host: &Host, before: &Daemon, text: &str) -> Again {
        let folder = tempfile::tempdir().expect("folder");
        for record in ["check.objects", "vrrp.objects"] {
            std::fs::copy(before.path(record), folder.path().join(record)).expect("record");
        }
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let mut command = host.command(steadfastd().to_str().expect("path"));
        let file = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(file("conf"), text).expect("configuration");
        command.args(["-n", "-l", "-f", &file("conf"), "-p", &file("pid"), "-r", &file("vrrp.pid")]);
        command.args(["-c", &file("check.pid"), "-b", &file("bfd.pid")]).stdin(Stdio::null());
        let child = command.stderr(log.try_clone().expect("log")).stdout(log).spawn().expect("start");
        Again { folder, child }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn stop(&mut self) {
        send(i32::try_from(self.child.id()).expect("pid"), Signal::SIGTERM);
        assert!(self.child.wait().expect("end").success(), "{}", self.said());
    }
}

#[test]
fn what_a_dead_checker_left_is_taken_away_without_it() {
    require!();
    // A stop while it is away, one that it is too stuck to obey, and a reload that has no work for it any more.
    for way in ["stop", "stuck", "reload"] {
        let lan = Lan::new(1);
        let host = &lan.hosts[0];
        let d = marked(host, tempfile::tempdir().expect("folder"));
        let checker = || d.pid_of("check.pid").expect("pid");
        if way == "stuck" {
            send(checker(), Signal::SIGSTOP);
        } else {
            for _ in 0..2 {
                let pid = checker();
                send(pid, Signal::SIGKILL);
                // The file is being written for a moment.
                let another = || d.pid_of("check.pid").is_some_and(|p| p != pid);
                assert!(eventually(seconds(5), another), "{}", d.log());
            }
            send(checker(), Signal::SIGKILL);
            d.wait_log("Restart of Healthcheck process delayed 2 seconds", seconds(5));
        }
        assert!(
            rules(host).contains("table ip keepalived_ipvs"),
            "it serves on while the checker is away: {}",
            d.log()
        );
        if way == "reload" {
            d.reload(NO_SERVER);
            assert!(eventually(seconds(5), || only_others(host)), "{}\n{}", rules(host), d.log());
            assert!(!d.path("check.objects").exists(), "{}", d.log());
        }
        assert_eq!(d.stop(), Some(0));
        assert!(only_others(host), "{way}: {}", rules(host));
    }
}

/// The folder that is made for a namespace goes with the daemon.
#[test]
fn the_folder_of_a_namespace_does_not_stay() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let conf = files.path().join("conf");
    std::fs::write(
        &conf,
        "vrrp_instance V {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.77.0.100\n }\n}\n",
    )
    .expect("configuration");
    let namespace = &lan.hosts[0].namespace;
    let folder = std::path::PathBuf::from(format!("/run/keepalived/keepalived_{namespace}"));
    let mut daemon = std::process::Command::new(steadfast_test_cluster::daemon::steadfastd())
        .args(["-n", "-l", "-s", namespace, "-f"])
        .arg(&conf)
        .stdin(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("start");
    assert!(eventually(seconds(10), || folder.join("vrrp.pid").exists()), "{folder:?}");
    send(daemon.id() as i32, Signal::SIGTERM);
    assert_eq!(daemon.wait().expect("wait").code(), Some(0));
    assert!(!folder.exists(), "{:?}", std::fs::read_dir(&folder).map(|d| d.flatten().collect::<Vec<_>>()));
}
