//! Configurations as people copy them from tutorials, in front of real web servers.
//!
//! With STEADFAST_CORPUS set they are the collected ones, moved to the test's addresses; otherwise texts of the same shape.

use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_test_cluster::daemon::file;
use steadfast_test_cluster::wire::{self, Seen};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const HAPROXY: &str = "/usr/sbin/haproxy";
const NGINX: &str = "/usr/sbin/nginx";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An article's text, or ours.
fn article(name: &str, ours: &str) -> String {
    let corpus = std::env::var("STEADFAST_CORPUS").map(|c| Path::new(&c).join("corpus/articles").join(name));
    match corpus {
        Ok(path) => std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())),
        Err(_) => ours.into(),
    }
}

/// One instance as the articles write it.
fn instance(name: &str, state: &str, vrid: u8, priority: u8, address: &str, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n    state {state}\n    interface eth0\n    virtual_router_id {vrid}\n    priority {priority}\n    advert_int 1\n    \
         authentication {{\n        auth_type PASS\n        auth_pass 8888\n    }}\n    {more}\n    virtual_ipaddress {{\n        {address}\n    }}\n}}\n"
    )
}

fn check(weight: i32) -> String {
    format!(
        "vrrp_script chk_haproxy {{\n\tscript \"/etc/keepalived/chk_haproxy.sh\"\n\tinterval 4\n\tweight {weight}\n\t}}\n\n"
    )
}

/// A machine: a web server and what checks it.
struct Machine<'l> {
    host: &'l Host,
    folder: PathBuf,
    web: Option<Child>,
}

impl<'l> Machine<'l> {
    fn new(host: &'l Host, folder: &Path) -> Machine<'l> {
        let folder = folder.join(format!("m{}", host.number));
        std::fs::create_dir(&folder).expect("folder");
        let at = folder.display();
        // The articles' scripts look for a process of the whole machine; here each machine has its own.
        let script = |name: &str, text: String| {
            let path = file(&folder, name, &text);
            std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        };
        script("chk_haproxy.sh", format!("#!/bin/sh\nkill -0 $(cat {at}/web.pid)\n"));
        script("killall", format!("#!/bin/sh\nkill -0 $(cat {at}/web.pid)\n"));
        script("nginx_check.sh", format!("#!/bin/sh\nkill -0 $(cat {at}/web.pid) || kill $(cat {at}/daemon/pid)\n"));
        script("notify.sh", format!("#!/bin/sh\necho $1 >> {at}/notified\n"));
        Machine { host, folder, web: None }
    }

    /// Starts a web server that says which machine it is.
    fn serve(&mut self, program: &str) {
        let (at, n) = (self.folder.display(), self.host.number);
        let mut command = self.host.command(program);
        if program == HAPROXY {
            let text = format!(
                "defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind *:80\n \
                 http-request return status 200 content-type text/plain string \"machine {n}\"\n"
            );
            command.args(["-db", "-f", &file(&self.folder, "haproxy.cfg", &text)]);
        } else {
            let text = format!(
                "daemon off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n access_log off;\n server {{\n \
                 listen 80;\n return 200 'machine {n}';\n }}\n}}\n"
            );
            command.args(["-c", &file(&self.folder, "nginx.conf", &text)]);
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("server");
        std::fs::write(self.folder.join("web.pid"), child.id().to_string()).expect("pid");
        self.web = Some(child);
    }

    /// The web server dies.
    fn lose_server(&mut self) {
        if let Some(mut web) = self.web.take() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(web.id() as i32), Signal::SIGTERM);
            let _ = web.wait();
        }
    }

    /// Starts the daemon on an article's text.
    fn start(&self, text: &str) -> Daemon {
        let moved = text
            .replace("/etc/keepalived/", &format!("{}/", self.folder.display()))
            .replace("\"killall ", &format!("\"{}/killall ", self.folder.display()))
            .replace("172.20.22.", "10.77.0.")
            .replace("172.16.100.", "10.77.0.11")
            .replace("/16 dev", "/24 dev")
            .replace("192.168.1.100", "10.77.0.100")
            .replace("192.168.2.20", "10.77.0.")
            .replace("smtp_server 192.168.200.1", "smtp_server 127.0.0.1");
        let _ = std::fs::remove_dir_all(self.folder.join("daemon"));
        let daemon = Daemon::start(self.host, Kind::Steadfast, &moved);
        // Its check script ends the daemon by this path.
        std::os::unix::fs::symlink(daemon.path(""), self.folder.join("daemon")).unwrap_or_default();
        daemon
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        self.lose_server();
        let _ = std::fs::remove_file(self.folder.join("daemon"));
    }
}

/// Which machine answers a client at an address.
fn served_by(client: &Host, address: &str) -> Option<u32> {
    let to: SocketAddr = format!("{address}:80").parse().expect("address");
    let get = move || -> Option<String> {
        let mut c = TcpStream::connect_timeout(&to, Duration::from_millis(500)).ok()?;
        c.set_read_timeout(Some(seconds(1))).ok()?;
        c.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        c.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let text = client.inside(get).join().expect("thread")?;
    text.rsplit("machine ").next()?.trim().parse().ok()
}

#[track_caller]
fn serves(client: &Host, address: &str, machine: u32) {
    let right = || served_by(client, address) == Some(machine);
    assert!(eventually(seconds(20), right), "{address} is not served by machine {machine}");
}

/// A neutral listener on the client's machine.
struct Observer {
    end: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<Seen>>,
}

impl Observer {
    fn new(host: &Host, vrid: u8) -> Observer {
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let thread = host.inside(move || {
            let index = nix::net::if_::if_nametoindex("eth0").expect("index");
            wire::adverts(index, vrid, seconds(120), || ended.load(Ordering::Relaxed))
        });
        Observer { end, thread }
    }

    fn seen(self) -> Vec<(u8, u8, Duration)> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("observer").into_iter().map(|s| (s.from.octets()[3], s.priority, s.at)).collect()
    }
}

fn installed(program: &str) -> bool {
    let there = Path::new(program).exists();
    if !there {
        println!("SKIPPED: articles in front of {program}: it is not installed");
    }
    there
}

#[test]
fn a_haproxy_pair_as_in_the_article() {
    require!();
    if !installed(HAPROXY) {
        return;
    }
    let track = "track_script {\n\tchk_haproxy\n\t}";
    let ours = |state, priority, track| check(-120) + &instance("VI_1", state, 55, priority, "172.20.22.230", track);
    // As printed the master's text defines the script and does not track it; the article's capture needs it there.
    let master = article("haproxy-single-master.conf", &ours("MASTER", 200, ""))
        .replace("    virtual_ipaddress {", &format!("    {track}\n    virtual_ipaddress {{"));
    let backup = article("haproxy-single-backup.conf", &ours("BACKUP", 100, track));
    let vip = "10.77.0.230";
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let (mut a, mut b) = (Machine::new(&lan.hosts[0], folder.path()), Machine::new(&lan.hosts[1], folder.path()));
    let client = &lan.hosts[2];
    a.serve(HAPROXY);
    b.serve(HAPROXY);
    let observer = Observer::new(client, 55);
    let da = a.start(&master);
    let db = b.start(&backup);
    serves(client, vip, 1);
    std::thread::sleep(seconds(4));
    // haproxy dies, and comes back.
    a.lose_server();
    serves(client, vip, 2);
    assert!(eventually(seconds(5), || !a.host.has(vip)));
    a.serve(HAPROXY);
    serves(client, vip, 1);
    let seen = observer.seen();
    // In the quiet time one advert a second, from the master alone.
    let quiet: Vec<_> = seen.iter().filter(|s| s.1 == 200).take(5).collect();
    for pair in quiet.windows(2) {
        let gap = pair[1].2 - pair[0].2;
        assert!(gap > Duration::from_millis(500) && gap < Duration::from_millis(1800), "{seen:?}");
    }
    // The capture of the article: 200, then 80, then the backup's 100 within a moment, and 200 again.
    let at = |n: usize, from: u8, priority: u8| {
        let found = seen.iter().skip(n).position(|s| (s.0, s.1) == (from, priority));
        n + found.unwrap_or_else(|| panic!("no {priority} from {from} after {n}: {seen:?}"))
    };
    let fallen = at(0, 1, 80);
    let taken = at(fallen, 2, 100);
    let back = at(taken, 1, 200);
    let takeover = seen[taken].2 - seen[fallen].2;
    println!("takeover after the advert of priority 80: {takeover:?}");
    assert!(takeover < Duration::from_millis(500), "{seen:?}");
    assert!(seen[back..].iter().all(|s| s.0 == 1 || s.2 - seen[back].2 < Duration::from_millis(500)), "{seen:?}");
    // The daemon stops, and comes back.
    assert_eq!(da.stop(), Some(0));
    serves(client, vip, 2);
    let da = a.start(&master);
    serves(client, vip, 1);
    // The machine loses power, and comes back.
    a.host.cable(false);
    da.crash();
    serves(client, vip, 2);
    a.host.cable(true);
    let _da = a.start(&master);
    serves(client, vip, 1);
    assert!(eventually(seconds(5), || !b.host.has(vip)), "{}", db.log());
    b.lose_server();
}

/// Two addresses, each machine master of one; `crossed` exchanges the second machine's, as the article prints it.
fn two_addresses(host: u32, crossed: bool) -> String {
    let (one, two) = if crossed { ("231", "230") } else { ("230", "231") };
    let mine = |vrid| (vrid == 55) == (host == 1);
    let part = |name, vrid, last: &str| {
        let (state, priority, more) = if mine(vrid) { ("MASTER", 200, "nopreempt") } else { ("BACKUP", 100, "") };
        instance(name, state, vrid, priority, &format!("172.20.22.{last}"), more)
    };
    check(-120) + &part("VI_1", 55, one) + &part("VI_2", 56, two)
}

#[test]
fn a_haproxy_pair_with_two_addresses_as_meant() {
    require!();
    if !installed(HAPROXY) {
        return;
    }
    let first = article("haproxy-two-vips-host1.conf", &two_addresses(1, false));
    let printed = article("haproxy-two-vips-host2.conf", &two_addresses(2, true));
    let second = printed.replace("22.230", "22.x").replace("22.231", "22.230").replace("22.x", "22.231");
    let (one, two) = ("10.77.0.230", "10.77.0.231");
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let (mut a, mut b) = (Machine::new(&lan.hosts[0], folder.path()), Machine::new(&lan.hosts[1], folder.path()));
    let client = &lan.hosts[2];
    a.serve(HAPROXY);
    b.serve(HAPROXY);
    let da = a.start(&first);
    let db = b.start(&second);
    serves(client, one, 1);
    serves(client, two, 2);
    a.host.cable(false);
    da.crash();
    serves(client, one, 2);
    serves(client, two, 2);
    a.host.cable(true);
    let da = a.start(&first);
    serves(client, one, 1);
    serves(client, two, 2);
    assert_eq!(db.stop(), Some(0));
    serves(client, two, 1);
    let _db = b.start(&second);
    serves(client, two, 2);
    serves(client, one, 1);
    assert!(!da.log().contains("addresses"), "nothing to complain of: {}", da.log());
}

#[test]
fn the_pair_that_is_faulty_as_printed_is_named() {
    require!();
    let first = article("haproxy-two-vips-host1.conf", &two_addresses(1, false));
    let printed = article("haproxy-two-vips-host2.conf", &two_addresses(2, true));
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let (mut a, mut b) = (Machine::new(&lan.hosts[0], folder.path()), Machine::new(&lan.hosts[1], folder.path()));
    // The check scripts are satisfied.
    for m in [&mut a, &mut b] {
        std::fs::write(m.folder.join("web.pid"), std::process::id().to_string()).expect("pid");
    }
    let (da, db) = (a.start(&first), b.start(&printed));
    let named = |d: &Daemon| {
        let log = d.log();
        log.lines()
            .filter(|l| l.contains("10.77.0.230") && l.contains("10.77.0.231"))
            .map(str::to_string)
            .collect::<Vec<_>>()
    };
    assert!(eventually(seconds(15), || !named(&da).is_empty() && !named(&db).is_empty()), "{}\n{}", da.log(), db.log());
    // Several adverts later it was still said once by each.
    std::thread::sleep(seconds(5));
    for (d, instance) in [(&da, "VI_2"), (&db, "VI_1")] {
        let lines = named(d);
        println!("{lines:?}");
        assert_eq!(lines.len(), 1, "{}", d.log());
        assert!(lines[0].contains(&format!("({instance})")), "{lines:?}");
    }
}

#[test]
fn an_nginx_pair_whose_script_stops_the_daemon() {
    require!();
    if !installed(NGINX) {
        return;
    }
    let ours = |state, priority, weight, source: &str| {
        let more = format!("mcast_src_ip {source}\n    nopreempt\n    track_script {{\n        chknginx\n    }}");
        format!(
            "vrrp_script chknginx {{\n  script \"/etc/keepalived/nginx_check.sh\"\n  interval 2\n  weight {weight}\n}}\n{}",
            instance("VI_1", state, 33, priority, "192.168.1.100", &more)
        )
    };
    let master = article("nginx-master.conf", &ours("MASTER", 100, -2, "192.168.2.201"));
    let mut backup = article("nginx-backup.conf", &ours("BACKUP", 90, -20, "192.168.2.202"));
    if !backup.contains("interface eth0") {
        // As printed the backup names no interface, which is an error.
        backup = backup.replace("  virtual_router_id 33", "  interface eth0\n  virtual_router_id 33");
    }
    let vip = "10.77.0.100";
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let (mut a, mut b) = (Machine::new(&lan.hosts[0], folder.path()), Machine::new(&lan.hosts[1], folder.path()));
    let client = &lan.hosts[2];
    a.serve(NGINX);
    b.serve(NGINX);
    let mut da = a.start(&master);
    let _db = b.start(&backup);
    serves(client, vip, 1);
    a.lose_server();
    assert_eq!(da.ended(), Some(0), "{}", da.log());
    serves(client, vip, 2);
    a.serve(NGINX);
    let da = a.start(&master);
    // `nopreempt` means nothing beside `state MASTER`, for keepalived as for us.
    serves(client, vip, 1);
    a.host.cable(false);
    da.crash();
    serves(client, vip, 2);
    a.host.cable(true);
    let _da = a.start(&master);
    serves(client, vip, 1);
}

#[test]
fn two_masters_that_back_each_other() {
    require!();
    if !installed(HAPROXY) {
        return;
    }
    let scripts = "vrrp_script chk_haproxy {\n    script \"killall -0 haproxy\"\n    interval 1\n    weight 2\n}\n\n\
                   vrrp_script chk_mantaince_down {\n   script \"[[ -f /etc/keepalived/down ]] && exit 1 || exit 0\"\n   interval 1\n   weight 2\n}\n\n";
    let part = |name, state, vrid, priority, n: u8| {
        let more = "track_interface {\n       eth0\n    }\n    track_script {\n        chk_haproxy\n        chk_mantaince_down\n    }\n    \
                    notify_master \"/etc/keepalived/notify.sh master\"\n    notify_backup \"/etc/keepalived/notify.sh backup\"";
        let address = format!("172.16.100.{n}/16 dev eth0 label eth0:{}", n - 1);
        instance(name, state, vrid, priority, &address, more)
    };
    let ours = format!("{scripts}{}{}", part("VI_1", "MASTER", 51, 101, 1), part("VI_2", "BACKUP", 52, 100, 2));
    let first = article("haproxy-dual-master.conf", &ours);
    // The mirror: priorities and states exchanged.
    let second = first
        .replace("state MASTER", "state x")
        .replace("state BACKUP", "state MASTER")
        .replace("state x", "state BACKUP")
        .replace("priority 101", "priority x")
        .replace("priority 100", "priority 101")
        .replace("priority x", "priority 100");
    let (one, two) = ("10.77.0.111", "10.77.0.112");
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let (mut a, mut b) = (Machine::new(&lan.hosts[0], folder.path()), Machine::new(&lan.hosts[1], folder.path()));
    let client = &lan.hosts[2];
    a.serve(HAPROXY);
    b.serve(HAPROXY);
    let da = a.start(&first);
    let _db = b.start(&second);
    serves(client, one, 1);
    serves(client, two, 2);
    assert!(a.host.show("addr show dev eth0").contains("eth0:0"), "the label is there");
    // Maintenance by a file, in a shell's words.
    std::fs::write(a.folder.join("down"), "").expect("file");
    serves(client, one, 2);
    std::fs::remove_file(a.folder.join("down")).expect("file");
    serves(client, one, 1);
    a.lose_server();
    serves(client, one, 2);
    let notified = || std::fs::read_to_string(a.folder.join("notified")).unwrap_or_default();
    assert!(eventually(seconds(5), || notified().ends_with("master\nbackup\n")), "{}\n{}", notified(), da.log());
    a.serve(HAPROXY);
    serves(client, one, 1);
    // A stop, and the return; a loss of power, and the return.
    assert_eq!(da.stop(), Some(0));
    serves(client, one, 2);
    let da = a.start(&first);
    serves(client, one, 1);
    a.host.cable(false);
    da.crash();
    serves(client, one, 2);
    a.host.cable(true);
    let _da = a.start(&first);
    serves(client, one, 1);
    serves(client, two, 2);
}

/// One address, a file for maintenance whose script takes from the priority, and a script that is told of each state.
#[test]
fn a_haproxy_pair_that_tells_a_script_of_its_state() {
    require!();
    if !installed(HAPROXY) {
        return;
    }
    let scripts = "vrrp_script chk_haproxy {\n    script \"killall -0 haproxy\"\n    interval 1\n    weight 2\n}\n\n\
                   vrrp_script chk_mantaince_down {\n   script \"[[ -f /etc/keepalived/down ]] && exit 1 || exit 0\"\n   interval 1\n   weight -2\n}\n\n";
    let more = "garp_master_delay 1\n    track_interface {\n       eth0\n    }\n    track_script {\n        chk_haproxy\n        chk_mantaince_down\n    }\n    \
                notify_master \"/etc/keepalived/notify.sh master\"\n    notify_backup \"/etc/keepalived/notify.sh backup\"\n    \
                notify_fault \"/etc/keepalived/notify.sh fault\"";
    let address = "172.16.100.1/16 dev eth0 label eth0:0";
    let ours = format!("{scripts}{}", instance("VI_1", "MASTER", 51, 101, address, more));
    let first = article("haproxy-notify.conf", &ours);
    // As the article's remarks have it for the other one.
    let second = first.replace("state MASTER", "state BACKUP").replace("priority 101", "priority 100");
    let vip = "10.77.0.111";
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    let (mut a, mut b) = (Machine::new(&lan.hosts[0], folder.path()), Machine::new(&lan.hosts[1], folder.path()));
    let client = &lan.hosts[2];
    a.serve(HAPROXY);
    b.serve(HAPROXY);
    let da = a.start(&first);
    let db = b.start(&second);
    serves(client, vip, 1);
    da.wait_log("effective priority from 101 to 103", seconds(5));
    db.wait_log("effective priority from 100 to 102", seconds(5));
    assert!(a.host.show("addr show dev eth0").contains("eth0:0"), "the label is there");
    let told = |m: &Machine| std::fs::read_to_string(m.folder.join("notified")).unwrap_or_default();
    let last = |m: &Machine, wanted: &str| {
        let said = || told(m).ends_with(&format!("{wanted}\n"));
        assert!(eventually(seconds(5), said), "machine {}, {wanted}: {}", m.host.number, told(m));
    };
    last(&a, "master");
    last(&b, "backup");
    // Maintenance: the file costs two, and that is one more than what is between them.
    std::fs::write(a.folder.join("down"), "").expect("file");
    da.wait_log("effective priority from 103 to 101", seconds(5));
    serves(client, vip, 2);
    last(&a, "backup");
    last(&b, "master");
    std::fs::remove_file(a.folder.join("down")).expect("file");
    serves(client, vip, 1);
    last(&a, "master");
    last(&b, "backup");
    // haproxy dies: its two are lost.
    a.lose_server();
    serves(client, vip, 2);
    last(&a, "backup");
    a.serve(HAPROXY);
    serves(client, vip, 1);
    last(&a, "master");
    // The link is cut, which the article tracks, and mended.
    a.host.cable(false);
    last(&a, "fault");
    serves(client, vip, 2);
    a.host.cable(true);
    serves(client, vip, 1);
    last(&a, "master");
    // A stop, and the return; a loss of power, and the return.
    assert_eq!(da.stop(), Some(0));
    serves(client, vip, 2);
    let da = a.start(&first);
    serves(client, vip, 1);
    a.host.cable(false);
    da.crash();
    serves(client, vip, 2);
    a.host.cable(true);
    let _da = a.start(&first);
    serves(client, vip, 1);
    assert!(eventually(seconds(5), || !b.host.has(vip)), "{}", db.log());
}
