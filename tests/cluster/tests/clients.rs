//! What the programs that talk to keepalived ask of the daemon, each read as its client reads it. docs/clients.md lists the demands.

use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::{file, send, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Files of one daemon, and our program under keepalived's name. What the pid files name is ended with it.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("folder");
        std::os::unix::fs::symlink(steadfastd(), folder.path().join("keepalived")).expect("link");
        Place { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The program in a host, with words of which `@name` is a file of this place.
    fn command(&self, host: &Host, words: &str) -> Command {
        let at = format!("{}/", self.folder.path().display());
        let mut command = host.command(self.path("keepalived").to_str().expect("path"));
        command.args(words.replace('@', &at).split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts it in the foreground, with its log in `log`.
    fn start(&self, host: &Host, words: &str) -> std::process::Child {
        let log = std::fs::File::create(self.path("log")).expect("log");
        self.command(host, words).stderr(log).spawn().expect("start")
    }

    /// As a pid file is read: a decimal number and at most one line end.
    fn pid(&self, name: &str) -> Option<i32> {
        let text = self.text(name);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for name in ["pid", "vrrp", "check", "bfd"] {
            if let Some(pid) = self.text(name).trim().parse().ok().filter(|p| runs(*p)) {
                send(pid, Signal::SIGKILL);
            }
        }
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.folder.path().display(), self.text("log"));
        }
    }
}

/// A process of ours with this number lives.
fn runs(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|c| String::from_utf8_lossy(&c).contains("keepalived"))
}

fn instance(name: &str, vrid: u8, address: &str, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority 255\n state MASTER\n advert_int 1\n {more}\n \
         virtual_ipaddress {{\n  {address}\n }}\n}}\n"
    )
}

/// SIGRTMIN+2 as glibc counts; gen2brain's exporter has the number itself.
pub(crate) const SIGJSON: i32 = 36;

pub(crate) fn send_number(pid: i32, signal: i32) {
    let status = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().expect("kill");
    assert!(status.success());
}

#[test]
fn the_version_is_read_by_the_exporter_and_by_neutron() {
    let place = Place::new();
    for word in ["-v", "--version"] {
        let out = Command::new(place.path("keepalived")).arg(word).output().expect("version");
        let text = String::from_utf8(out.stderr).expect("text");
        assert_eq!((out.status.code(), out.stdout.len()), (Some(0), 0), "it is all on stderr");
        let first = text.lines().next().expect("a line");
        assert!(first.starts_with("Keepalived v") && text.lines().count() > 1, "{text}");
        // mehdy: the second word without its v is a version; Neutron: no_track wants 2.0.3.
        let version = first.split_whitespace().nth(1).and_then(|w| w.strip_prefix('v')).expect("a version");
        let numbers: Vec<u32> = version.split('.').map(|n| n.parse().expect("a number")).collect();
        assert!(numbers.len() == 3 && numbers >= vec![2, 0, 3], "{version}");
        // mehdy: HasJSONSignalSupport.
        assert!(text.contains("--enable-json"), "{text}");
    }
    // mehdy, LuCI: json.Unmarshal into an integer.
    for (name, number) in [("DATA", 10), ("STATS", 12), ("JSON", SIGJSON)] {
        let out = Command::new(place.path("keepalived")).arg(format!("--signum={name}")).output().expect("signum");
        let value: Value = serde_json::from_slice(&out.stdout).expect("a number and nothing else");
        assert_eq!((out.status.code(), value.as_i64()), (Some(0), Some(number.into())), "{name}");
    }
}

#[test]
fn command_lines_of_the_clients_are_taken() {
    let place = Place::new();
    let conf = file(place.folder.path(), "conf", "global_defs {\n router_id x\n}\n");
    for line in [
        "-D -d -f CONF -p /p -r /r -c /c --log-facility=4 --config-test", // Octavia
        "-P -f CONF -p /p -r /p-vrrp -D -t",                              // Neutron
        "--dont-fork --log-console --release-vips --pid /p --use-file CONF --config-test", // kube-keepalived-vip
        "-f CONF --dont-fork --log-console -t",                           // osixia
        "--use-file CONF --pid /p --dont-fork --snmp -t",                 // VyOS
        "-D --vrrp -f CONF --config-test",                                // puppet
        "-C -n -l -x -S 3 -t -f CONF",
        "-t -f CONF",
    ] {
        let line = line.replace("CONF", &conf);
        let out = Command::new(place.path("keepalived")).args(line.split_whitespace()).output().expect("test");
        assert_eq!(out.status.code(), Some(0), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

/// An instance as mehdy's exporter reads it from the data dump.
#[derive(Debug, Default)]
struct Shown {
    attributes: BTreeMap<String, String>,
    addresses: Vec<(String, String)>,
    excluded: Vec<(String, String)>,
}

/// Blocks of the data dump that begin with ` KIND = NAME`: attributes have three blanks before them, entries of a list five.
fn data_of(text: &str, kind: &str) -> BTreeMap<String, Shown> {
    let mut all: BTreeMap<String, Shown> = BTreeMap::new();
    let (mut name, mut list) = (None::<String>, "");
    for line in text.lines() {
        let depth = line.len() - line.trim_start().len();
        if let Some(n) = line.strip_prefix(&format!(" {kind} = ")) {
            name = Some(n.to_string());
            all.insert(n.to_string(), Shown::default());
        } else if depth < 3 {
            name = None;
        } else if let Some(shown) = name.as_ref().and_then(|n| all.get_mut(n)) {
            let text = line.trim();
            if depth == 3 {
                list = text.split(" (").next().unwrap_or("").trim_end_matches(':');
                if let Some((key, value)) = text.split_once(" = ") {
                    shown.attributes.insert(key.to_string(), value.to_string());
                }
            } else if depth >= 5 && list.starts_with("Virtual IP") {
                let words: Vec<&str> = text.split_whitespace().collect();
                let entry = (words[0].to_string(), words[2].to_string());
                if list == "Virtual IP" { shown.addresses.push(entry) } else { shown.excluded.push(entry) }
            }
        }
    }
    all
}

/// Counters of the statistics dump by instance; a value that is no number ends mehdy's scrape.
fn stats_of(text: &str) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut all: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    let (mut name, mut head) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(n) = line.strip_prefix("VRRP Instance: ") {
            name = n.to_string();
            all.insert(name.clone(), BTreeMap::new());
            continue;
        }
        let Some((key, value)) = line.trim().split_once(':') else { continue };
        let one = line.len() - line.trim_start().len() == 2;
        if value.trim().is_empty() && one {
            head = key.to_string();
            continue;
        }
        let key = if one { key.to_string() } else { format!("{head}/{key}") };
        let value = value.trim().parse().unwrap_or_else(|e| panic!("{line:?}: {e}"));
        all.get_mut(&name).expect("an instance").insert(key, value);
    }
    all
}

#[test]
fn exporters_read_the_three_dumps() {
    require!();
    let lan = Lan::new(1);
    let place = Place::new();
    let at = place.folder.path().display().to_string();
    let script = "vrrp_script ok {\n script /bin/true\n interval 1\n}\n";
    let globals = format!(
        "global_defs {{\n script_user root\n state_dump_file {at}/keepalived.data\n stats_dump_file {at}/keepalived.stats\n \
         json_dump_file {at}/keepalived.json\n}}\n"
    );
    let one = instance(
        "VI_1",
        51,
        "10.77.0.100/24",
        "track_script {\n  ok\n }\n virtual_ipaddress_excluded {\n  10.77.0.101/24\n }",
    );
    let text = format!("{globals}{script}{one}{}", instance("VI-2", 52, "10.77.0.110/24", "garp_master_delay 3"));
    file(place.folder.path(), "conf", &text);
    let mut child =
        place.start(&lan.hosts[0], "--use-file @conf --pid @pid -r @vrrp -c @check --dont-fork --log-console -D");
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100") && lan.hosts[0].has("10.77.0.110")));
    // gen2brain: the first process whose name is keepalived is the parent, and the pid file says the same.
    let pid = place.pid("pid").expect("a number");
    let arguments = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).expect("arguments");
    let program = arguments.split('\0').next().expect("a program");
    assert_eq!(Path::new(program).file_name().and_then(|n| n.to_str()), Some("keepalived"));
    let before = Instant::now();
    for signal in [10, 12, SIGJSON] {
        send_number(pid, signal);
    }
    // gen2brain waits for 100 ms, mehdy asks again and again for 2 s.
    let there = || ["data", "stats", "json"].iter().all(|n| !place.text(&format!("keepalived.{n}")).is_empty());
    assert!(eventually(seconds(2), there));
    println!("the three dumps were there after {:?}", before.elapsed());

    let shown = data_of(&place.text("keepalived.data"), "VRRP Instance");
    let names: BTreeSet<&String> = shown.keys().collect();
    assert_eq!(names.iter().map(|n| n.as_str()).collect::<Vec<_>>(), ["VI-2", "VI_1"]);
    let first = &shown["VI_1"];
    for (key, value) in [
        ("State", "MASTER"),
        ("Wantstate", "MASTER"),
        ("Interface", "eth0"),
        ("Virtual Router ID", "51"),
        ("Gratuitous ARP delay", "5"),
    ] {
        assert_eq!(first.attributes.get(key).map(String::as_str), Some(value), "{key}: {first:?}");
    }
    assert_eq!(shown["VI-2"].attributes["Gratuitous ARP delay"], "3");
    assert_eq!(first.addresses, [("10.77.0.100/24".to_string(), "eth0".to_string())]);
    assert_eq!(first.excluded, [("10.77.0.101/24".to_string(), "eth0".to_string())]);
    let scripts = data_of(&place.text("keepalived.data"), "VRRP Script");
    assert_eq!(scripts["ok"].attributes["Status"], "GOOD", "{scripts:?}");
    let state = scripts["ok"].attributes["State"].as_str();
    assert!(["idle", "running", "requested termination", "forcing termination"].contains(&state), "{state}");

    let stats = stats_of(&place.text("keepalived.stats"));
    assert_eq!(stats.keys().collect::<BTreeSet<_>>(), names, "data and statistics are of the same instances");
    for key in [
        "Advertisements/Received",
        "Advertisements/Sent",
        "Became master",
        "Released master",
        "Packet Errors/Length",
        "Packet Errors/TTL",
        "Packet Errors/Invalid Type",
        "Packet Errors/Advertisement Interval",
        "Packet Errors/Address List",
        "Authentication Errors/Invalid Type",
        "Authentication Errors/Type Mismatch",
        "Authentication Errors/Failure",
        "Priority Zero/Received",
        "Priority Zero/Sent",
    ] {
        assert!(stats["VI_1"].contains_key(key), "{key}: {:?}", stats["VI_1"]);
    }
    assert_eq!((stats["VI_1"]["Became master"], stats["VI_1"]["Released master"]), (1, 0));

    let json: Value = serde_json::from_str(&place.text("keepalived.json")).expect("JSON");
    let all = json.as_array().expect("an array of instances");
    assert_eq!(all.len(), 2);
    let data = &all.iter().find(|i| i["data"]["iname"] == "VI_1").expect("VI_1")["data"];
    assert!(data["last_transition"].as_f64().is_some_and(|t| t > 1e9), "{data}");
    for (key, value) in [("vrid", 51), ("state", 2), ("wantstate", 2), ("effective_priority", 255)] {
        assert_eq!(data[key].as_i64(), Some(value), "{key}: {data}");
    }
    assert!(data["garp_delay"].is_number() && data["ifp_ifname"] == "eth0", "{data}");
    for (key, address) in [("vips", "10.77.0.100/24"), ("evips", "10.77.0.101/24")] {
        let entry = data[key][0].as_str().expect("an address");
        let words: Vec<&str> = entry.split_whitespace().collect();
        assert_eq!((words[0], words[2]), (address, "eth0"), "{entry}");
    }
    // Who reads at any moment reads a whole file.
    let begun = Instant::now();
    let mut read = 0;
    while begun.elapsed() < seconds(2) {
        if read % 20 == 0 {
            send_number(pid, SIGJSON);
        }
        let value: Value = serde_json::from_str(&place.text("keepalived.json")).expect("JSON at any moment");
        assert_eq!(value.as_array().map(Vec::len), Some(2));
        read += 1;
    }
    assert!(read > 100, "{read}");
    let counters = all[0]["stats"].as_object().expect("counters");
    assert_eq!(counters.len(), 14, "{counters:?}");
    assert!(counters.values().all(Value::is_u64), "{counters:?}");

    send(pid, Signal::SIGTERM);
    assert_eq!(child.wait().expect("end").code(), Some(0));
    assert!(place.pid("pid").is_none() && place.pid("vrrp").is_none(), "pid files go with the daemon");
}

#[test]
fn the_second_layout_of_json_is_an_object() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let json = files.path().join("keepalived.json");
    let globals = format!("global_defs {{\n json_version 2\n json_dump_file {}\n}}\n", json.display());
    let process = "vrrp_track_process P {\n process steadfastd\n}\n";
    let one = instance("VI_1", 51, "10.77.0.100/24", "track_process {\n  P\n }");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(globals + process + &one));
    d.wait_log("Entering MASTER STATE", seconds(10));
    send_number(d.pid_of("pid").expect("pid"), SIGJSON);
    assert!(eventually(seconds(2), || json.exists()));
    let value: Value = serde_json::from_slice(&std::fs::read(&json).expect("dump")).expect("JSON");
    assert_eq!(value["vrrp"][0]["data"]["iname"], "VI_1");
    let all = value["track_process"].as_array().expect("an array");
    assert!(all.len() == 1 && all[0]["process"] == "steadfastd" && all[0]["have_quorum"] == true, "{value}");
    assert!(all[0]["current_processes"].as_u64().is_some_and(|n| n > 0), "{value}");
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn vyos_waits_until_the_json_file_is_closed() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let json = files.path().join("keepalived.json");
    let many: String =
        (1..=40).map(|n| instance(&format!("VI_{n}"), n, &format!("10.77.0.{}/24", 100 + n), "")).collect();
    let d = Daemon::start(
        &lan.hosts[0],
        Kind::Steadfast,
        &format!("global_defs {{\n json_dump_file {}\n}}\n{many}", json.display()),
    );
    assert!(eventually(seconds(10), || d.log().matches("Entering MASTER STATE").count() == 40), "{}", d.log());
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK).expect("inotify");
    inotify.add_watch(files.path(), AddWatchFlags::IN_CLOSE_WRITE).expect("watch");
    for round in 0..5 {
        send_number(d.pid_of("pid").expect("pid"), SIGJSON);
        // The name is exactly that of the file, and it is whole by then.
        let closed = || {
            let events = inotify.read_events().unwrap_or_default();
            events.iter().any(|e| e.name.as_deref() == json.file_name())
        };
        assert!(eventually(seconds(30), closed), "round {round}");
        let value: Value = serde_json::from_slice(&std::fs::read(&json).expect("dump")).expect("whole JSON");
        assert_eq!(value.as_array().map(Vec::len), Some(40));
        std::fs::remove_file(&json).expect("VyOS deletes it");
    }
    let rest: Vec<_> = std::fs::read_dir(files.path()).expect("folder").flatten().map(|e| e.file_name()).collect();
    assert!(rest.is_empty(), "nothing is left beside it: {rest:?}");
    // Without an instance there is no file, which VyOS takes for "nothing runs".
    d.reload(&format!(
        "global_defs {{\n json_dump_file {}\n}}\nstatic_ipaddress {{\n 10.77.0.90/24 dev eth0\n}}\n",
        json.display()
    ));
    d.wait_log("Reload complete", seconds(10));
    assert!(
        eventually(seconds(10), || lan.hosts[0].has("10.77.0.90") && !lan.hosts[0].has("10.77.0.101")),
        "{}",
        d.log()
    );
    let parent = d.pid_of("pid").expect("pid");
    let before = d.log().len();
    send_number(parent, SIGJSON);
    send_number(parent, 10);
    assert!(eventually(seconds(5), || d.log().len() > before), "{}", d.log());
    std::thread::sleep(Duration::from_millis(300)); // for a file that must not come
    assert!(!json.exists());
    assert_eq!(d.stop(), Some(0));
}

/// `^(\w+) "([\w-]+)" (\w+) (\d+)$`
fn fifo_line(line: &str) -> Option<(&str, &str, &str, u32)> {
    let word =
        |t: &str, more: &str| !t.is_empty() && t.chars().all(|c| c.is_alphanumeric() || c == '_' || more.contains(c));
    let (kind, rest) = line.split_once(" \"")?;
    let (name, rest) = rest.split_once("\" ")?;
    let (state, priority) = rest.split_once(' ')?;
    let good = word(kind, "") && word(name, "-") && word(state, "") && priority.bytes().all(|b| b.is_ascii_digit());
    good.then(|| Some((kind, name, state, priority.parse().ok()?))).flatten()
}

#[test]
fn fifo_readers_get_whole_lines_however_slowly_they_read() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let fifo = files.path().join("fifo");
    let names: Vec<String> = (1..=30).map(|n| format!("VI-{n}_x")).collect();
    let many: String =
        (1u8..).zip(&names).map(|(n, name)| instance(name, n, &format!("10.77.0.{}/24", 100 + n), "")).collect();
    let group: String = names.iter().map(|n| format!("  {n}\n")).collect();
    let text = format!(
        "global_defs {{\n vrrp_notify_fifo {}\n}}\nvrrp_sync_group G_1 {{\n group {{\n{group} }}\n}}\n{many}",
        fifo.display()
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    assert!(eventually(seconds(10), || fifo.exists()));
    // VyOS and OpenNebula: at most 500 bytes each 250 ms.
    let mut reader =
        std::fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&fifo).expect("fifo");
    let mut all = Vec::new();
    let mut buffer = [0; 500];
    let wanted = |all: &[u8]| String::from_utf8_lossy(all).matches("MASTER").count() > names.len();
    let begun = Instant::now();
    while !wanted(&all) && begun.elapsed() < seconds(30) {
        match reader.read(&mut buffer) {
            Ok(n) if n > 0 => all.extend(&buffer[..n]),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(d.stop(), Some(0));
    while let Ok(n) = reader.read(&mut buffer)
        && n > 0
    {
        all.extend(&buffer[..n]);
    }
    let text = String::from_utf8(all).expect("text");
    assert!(text.ends_with('\n'), "{text}");
    let lines: Vec<_> = text.lines().map(|l| fifo_line(l).unwrap_or_else(|| panic!("{l:?} in\n{text}"))).collect();
    for name in &names {
        let of: Vec<&str> = lines.iter().filter(|l| l.0 == "INSTANCE" && l.1 == name).map(|l| l.2).collect();
        assert_eq!(of.last(), Some(&"STOP"), "{name}: {of:?}");
        assert!(of.contains(&"MASTER"), "{name}: {of:?}");
    }
    let of: Vec<&str> = lines.iter().filter(|l| l.0 == "GROUP" && l.1 == "G_1").map(|l| l.2).collect();
    assert!(of.contains(&"MASTER") && of.last() == Some(&"STOP"), "{of:?}");
}

#[test]
fn the_fifo_s_script_is_told_the_path_and_ended_with_the_daemon() {
    require!();
    let lan = Lan::new(1);
    let place = Place::new();
    let (fifo, out) = (place.path("vrrp_notify_fifo.sock"), place.path("out"));
    let script = file(
        place.folder.path(),
        "reader",
        // `read` in a loop as one-failover does it; the signal must come to the script itself, which has time for what it does then.
        &format!(
            "#!/bin/sh\necho \"path $1\" >> {0}\ntrap 'sleep 0.3; echo TERM >> {0}; exit 0' TERM\nexec 3<> \"$1\"\nwhile :; do read -r l <&3 && echo \"$l\" >> {0}; done\n",
            out.display()
        ),
    );
    Command::new("chmod").args(["755", &script]).status().expect("chmod");
    let globals = format!(
        "global_defs {{\n script_user root\n notify_fifo {}\n notify_fifo_script {script}\n}}\n",
        fifo.display()
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(globals + &instance("VI_1", 51, "10.77.0.100/24", "")));
    let said = || std::fs::read_to_string(&out).unwrap_or_default();
    assert!(eventually(seconds(10), || said().contains("INSTANCE \"VI_1\" MASTER 255\n")), "{}\n{}", said(), d.log());
    assert!(said().starts_with(&format!("path {}\n", fifo.display())), "{}", said());
    assert_eq!(d.stop(), Some(0));
    assert!(eventually(seconds(5), || said().ends_with("TERM\n")), "{}", said());
    assert!(!fifo.exists());
}

#[test]
fn octavia_finds_a_daemon_that_forked_with_a_live_process_in_each_pid_file() {
    require!();
    let lan = Lan::new(1);
    let place = Place::new();
    let server = "virtual_server_group G {\n 10.77.0.100 80\n}\nvirtual_server group G {\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
                  real_server 10.77.0.1 80 {\n  weight 1\n }\n}\n";
    let conf = format!("{}{server}", instance("VI_1", 51, "10.77.0.100/24", ""));
    file(place.folder.path(), "conf", &conf);
    // Type=forking: the first process ends when the pid file is written, and the service has begun.
    let log = std::fs::File::create(place.path("log")).expect("log");
    let line = "--log-facility=3 -D -d -f @conf -p @pid -r @vrrp -c @check -g@log2";
    let status = place.command(&lan.hosts[0], line).stderr(log).status().expect("start");
    assert_eq!(status.code(), Some(0), "{}", place.text("log"));
    let pid = place.pid("pid").expect("the pid file is there when the first process ends");
    assert!(runs(pid));
    let live = |name: &str| place.pid(name).is_some_and(runs);
    assert!(eventually(seconds(10), || live("vrrp") && live("check")), "{}", place.text("log2"));
    let pids: BTreeSet<i32> = ["pid", "vrrp", "check"].iter().filter_map(|n| place.pid(n)).collect();
    assert_eq!(pids.len(), 3, "{pids:?}");
    // "RESTARTING" is what Octavia says while the configuration is newer than the checker's pid file.
    let changed = |n: &str| std::fs::metadata(place.path(n)).and_then(|m| m.modified()).expect("time");
    assert!(changed("check") >= changed("conf"));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")));
    // kill -HUP $MAINPID
    file(place.folder.path(), "conf", &conf.replace("10.77.0.100/24", "10.77.0.120/24"));
    send(pid, Signal::SIGHUP);
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.120") && !lan.hosts[0].has("10.77.0.100")));
    assert_eq!(place.pid("pid"), Some(pid));
    send(pid, Signal::SIGTERM);
    assert!(eventually(seconds(10), || !runs(pid) && pids.iter().all(|p| !runs(*p))), "{}", place.text("log2"));
    assert!(["pid", "vrrp", "check"].iter().all(|n| !place.path(n).exists()));
}

/// What Neutron's functional tests do: the parent is killed in some way while its VRRP child lives on, and started again at once.
#[test]
fn neutron_starts_it_again_after_any_death_of_the_parent() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let place = Place::new();
    let routes = "virtual_routes {\n  0.0.0.0/0 via 10.77.0.9 dev eth0 no_track protocol static\n  10.5.0.0/16 dev eth0 scope link no_track protocol static\n }";
    let text = format!(
        "global_defs {{\n notification_email_from neutron@openstack.local\n router_id neutron\n}}\n{}",
        instance("VR_1", 1, "169.254.0.1/24 dev eth0", &format!("garp_master_delay 60\n nopreempt\n {routes}"))
    );
    let text = text.replace("state MASTER", "state BACKUP");
    file(place.folder.path(), "conf", &text.replace("priority 255", "priority 50"));
    let line = "-P -f @conf -p @pid -r @vrrp -D";
    // Pid files of before, which name living processes of others: they must not hold it up (Neutron's bug 1921154).
    let other = std::process::id();
    file(place.folder.path(), "pid", &format!("{other}\n"));
    file(place.folder.path(), "vrrp", &format!("{other}\n"));
    let start = || {
        let status = place.command(host, line).stderr(Stdio::null()).status().expect("start");
        assert_eq!(status.code(), Some(0));
        let up = || place.pid("pid").is_some_and(runs) && place.pid("vrrp").is_some_and(runs);
        assert!(eventually(seconds(5), up), "pid {:?}, vrrp {:?}", place.pid("pid"), place.pid("vrrp"));
        (place.pid("pid").expect("pid"), place.pid("vrrp").expect("pid"))
    };
    let serves =
        || host.has("169.254.0.1") && host.show("route").contains("default via 10.77.0.9 dev eth0 proto static");
    let (mut parent, mut child) = start();
    assert!(i64::from(parent) != i64::from(other) && eventually(seconds(10), serves), "{}", host.show("route"));
    // With SIGTERM an orderly stop, with SIGKILL an orphan that hands over; and one whose child is frozen meanwhile.
    for (signal, frozen) in [(Signal::SIGTERM, false), (Signal::SIGKILL, false), (Signal::SIGKILL, true)] {
        if frozen {
            send(child, Signal::SIGSTOP);
        }
        send(parent, signal);
        assert!(eventually(seconds(5), || !runs(parent)), "{signal}");
        let begun = Instant::now();
        let (next, next_child) = start();
        let took = begun.elapsed();
        assert!(took < seconds(5) && next != parent, "{signal}: {took:?}");
        println!("{signal}, frozen {frozen}: {took:?} until the new pid files");
        if frozen {
            send(child, Signal::SIGCONT);
        }
        assert!(eventually(seconds(10), || serves() && !runs(child)), "{signal}: {}", host.show("addr"));
        (parent, child) = (next, next_child);
    }
    send(parent, Signal::SIGTERM);
    assert!(eventually(seconds(10), || !runs(parent) && !runs(child)));
    assert!(!host.has("169.254.0.1"));
}

#[test]
fn without_options_the_usual_paths_are_used_and_no_socket_of_others() {
    require!();
    let lan = Lan::new(1);
    let place = Place::new();
    file(place.folder.path(), "conf", &instance("VI_1", 51, "10.77.0.100/16", ""));
    // A /run of its own, which goes with the namespace; /var/run is a link to it.
    let script = file(
        place.folder.path(),
        "run.sh",
        &format!(
            "mount -t tmpfs none /run\n{0}/keepalived -n -l -f {0}/conf 2>{0}/log &\necho $! > {0}/pid\n\
             for n in $(seq 100); do [ -s /var/run/keepalived.pid ] && [ -s /var/run/vrrp.pid ] && break; sleep 0.1; done\n\
             cp /var/run/keepalived.pid {0}/seen\nfind /run -type s > {0}/sockets\nwait\nls -A /run > {0}/left\n",
            place.folder.path().display()
        ),
    );
    let mut shell = lan.hosts[0].command("unshare").args(["-m", "sh", &script]).spawn().expect("unshare");
    // puppet: the address is there within ten seconds, as the only router.
    assert!(eventually(seconds(10), || lan.hosts[0].show("addr show dev eth0").contains("inet 10.77.0.100/16")));
    assert!(eventually(seconds(15), || place.path("sockets").exists() && !place.text("seen").is_empty()));
    assert_eq!(place.text("seen"), place.text("pid"), "the number and one line end");
    // baremetal-runtimecfg serves /var/run/keepalived/keepalived.sock itself.
    assert!(!place.text("sockets").contains("keepalived.sock"), "{}", place.text("sockets"));
    send(place.pid("pid").expect("pid"), Signal::SIGTERM);
    assert!(shell.wait().expect("end").success());
    assert!(!place.text("left").contains(".pid"), "{}", place.text("left"));
}

#[test]
fn one_file_for_each_object_is_included() {
    require!();
    let lan = Lan::new(1);
    let place = Place::new();
    let parts = place.path("conf.d");
    std::fs::create_dir(&parts).expect("folder");
    for (name, text) in [
        ("vrrp_script_ok.conf", "vrrp_script ok {\n script /bin/true\n}\n".to_string()),
        ("vrrp_instance_one.conf", instance("one", 51, "10.77.0.100/24", "")),
        ("vrrp_instance_two.conf", instance("two", 52, "10.77.0.101/24", "")),
        ("vrrp_instance_two.conf.rpmsave", "nonsense\n".to_string()),
    ] {
        file(&parts, name, &text);
    }
    file(
        place.folder.path(),
        "conf",
        &format!("global_defs {{\n script_user root\n}}\ninclude {}/*.conf\n", parts.display()),
    );
    let mut child = place.start(&lan.hosts[0], "-n -l -f @conf -p @pid -r @vrrp -c @check");
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100") && lan.hosts[0].has("10.77.0.101")));
    assert!(!place.text("log").contains("nonsense"), "{}", place.text("log"));
    send(place.pid("pid").expect("pid"), Signal::SIGTERM);
    assert_eq!(child.wait().expect("end").code(), Some(0));
}
