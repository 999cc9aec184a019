//! Instances on a private D-Bus: what keepalived shows there, we show, too; whatever becomes of the bus, VRRP does not notice.

use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_test_cluster::daemon::{ask, send};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require, wire};

const SERVICE: &str = "org.keepalived.Vrrp1";
const ROOT: &str = "/org/keepalived/Vrrp1";
const VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Leaves a test, loudly, where there is no bus.
macro_rules! require_bus {
    () => {
        require!();
        if Command::new("dbus-daemon").arg("--version").output().is_err() {
            println!("SKIPPED: {}: dbus-daemon is not installed", module_path!());
            return;
        }
    };
}

/// Everybody may do everything.
const OPEN: &str = r#"<policy context="default">
  <allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/>
 </policy>"#;

/// A bus of our own. It ends with this value.
struct Bus {
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Bus {
    /// A bus that is not started yet, with a policy.
    fn new(policy: &str) -> Bus {
        let folder = tempfile::tempdir().expect("folder");
        // Other accounts come here, too.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).expect("permissions");
        let text = format!(
            "<busconfig>\n <type>system</type>\n <listen>unix:path={}</listen>\n <auth>EXTERNAL</auth>\n {policy}\n</busconfig>\n",
            folder.path().join("socket").display()
        );
        std::fs::write(folder.path().join("conf"), text).expect("bus.conf");
        Bus { folder, child: None }
    }

    fn started(policy: &str) -> Bus {
        let mut bus = Bus::new(policy);
        bus.start();
        bus
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.folder.path().join("socket").display())
    }

    fn start(&mut self) {
        let mut command = Command::new("dbus-daemon");
        command.arg("--nofork").arg("--config-file").arg(self.folder.path().join("conf"));
        self.child = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("dbus-daemon"));
        let up = || self.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus.Peer.Ping", &[]).0;
        assert!(eventually(seconds(5), up), "the bus does not start");
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.as_ref().expect("a bus").id()).expect("pid")
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// A call by way of dbus-send: whether it was answered, and the answer or the error.
    fn call(&self, service: &str, path: &str, member: &str, arguments: &[&str]) -> (bool, String) {
        self.call_as(None, service, path, member, arguments)
    }

    fn call_as(
        &self,
        account: Option<&str>,
        service: &str,
        path: &str,
        member: &str,
        arguments: &[&str],
    ) -> (bool, String) {
        let mut command = match account {
            None => Command::new("dbus-send"),
            Some(id) => {
                let mut c = Command::new("setpriv");
                c.args(["--reuid", id, "--regid", id, "--clear-groups", "dbus-send"]);
                c
            }
        };
        command.arg(format!("--bus={}", self.address())).args(["--print-reply", "--reply-timeout=5000"]);
        command.arg(format!("--dest={service}")).args([path, member]).args(arguments);
        let out = command.output().expect("dbus-send");
        let text = String::from_utf8_lossy(if out.status.success() { &out.stdout } else { &out.stderr }).into_owned();
        // The first line of an answer has times and serial numbers.
        let text = if out.status.success() { text.split_once('\n').map_or("", |(_, t)| t).to_string() } else { text };
        (out.status.success(), text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The same for the daemon.
    fn ask(&self, path: &str, member: &str, arguments: &[&str]) -> String {
        self.call(SERVICE, &format!("{ROOT}{path}"), &format!("{SERVICE}.{member}"), arguments).1
    }

    fn state(&self, path: &str) -> String {
        let arguments = ["string:org.keepalived.Vrrp1.Instance", "string:State"];
        let get = "org.freedesktop.DBus.Properties.Get";
        self.call(SERVICE, &format!("{ROOT}{path}"), get, &arguments).1
    }

    fn wait_state(&self, path: &str, state: &str) {
        let is = || self.state(path).contains(&format!("\"{state}\""));
        assert!(eventually(seconds(10), is), "{path} is not {state}: {}", self.state(path));
    }

    fn introspect(&self, service: &str, path: &str) -> String {
        self.call(service, path, "org.freedesktop.DBus.Introspectable.Introspect", &[]).1
    }

    /// All objects with an interface of keepalived's, and that interface without white space.
    fn tree(&self, service: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let mut waiting = vec!["/".to_string()];
        while let Some(path) = waiting.pop() {
            let text = self.introspect(service, &path);
            if let Some((_, own)) = text.split_once("<interface name=\"org.keepalived") {
                found.insert(path.clone(), normal(own));
            }
            let names = text.split("<node name=\"").skip(1).filter_map(|rest| rest.split('"').next());
            waiting.extend(names.map(|name| format!("{}/{name}", path.trim_end_matches('/'))));
        }
        found
    }

    /// Writes down all signals below [`ROOT`].
    fn monitor(&self) -> Monitor {
        let path = self.folder.path().join("signals");
        let file = std::fs::File::create(&path).expect("file");
        let mut command = Command::new("stdbuf");
        command.args(["-oL", "dbus-monitor", "--address", &self.address()]);
        command.arg(format!("type='signal',path_namespace='{ROOT}'"));
        let child = command.stdout(file).stderr(Stdio::null()).spawn().expect("dbus-monitor");
        let monitor = Monitor { path, child };
        // It is told of its own end as a client when it has become a monitor.
        assert!(eventually(seconds(5), || monitor.text().contains("NameLost")), "dbus-monitor does not start");
        monitor
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.kill();
    }
}

/// An interface as a list of its elements: what is empty may be written in two ways.
fn normal(xml: &str) -> String {
    let own = xml.split("</interface>").next().unwrap_or_default();
    let elements = own.split('<').map(|e| e.trim().trim_end_matches('>').trim_end_matches('/').trim());
    elements.filter(|e| !e.is_empty() && !e.starts_with('/')).collect::<Vec<_>>().join("; ")
}

struct Monitor {
    path: PathBuf,
    child: Child,
}

impl Monitor {
    fn text(&self) -> String {
        std::fs::read_to_string(&self.path).unwrap_or_default()
    }

    /// What each object has said so far: names of signals with their number.
    fn said(&self) -> BTreeMap<String, Vec<String>> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut last: Option<&mut String> = None;
        for line in self.text().lines() {
            if line.starts_with("signal ") {
                let of = |key: &str| {
                    line.split_once(key)
                        .and_then(|(_, rest)| rest.split(';').next())
                        .unwrap_or_default()
                        .trim()
                        .to_string()
                };
                let (path, member) = (of(" path="), of(" member="));
                last = None;
                // The standard signal is ours alone: keepalived declares it, and does not send it.
                if let Some(path) = path.strip_prefix(ROOT).filter(|_| member != "PropertiesChanged") {
                    let of_object = all.entry(path.to_string()).or_default();
                    of_object.push(member);
                    last = of_object.last_mut();
                }
            } else if let (Some(number), Some(member)) = (line.trim().strip_prefix("uint32 "), last.as_mut()) {
                member.push_str(&format!(" {number}"));
            }
        }
        all
    }

    fn wait(&self, path: &str, signal: &str) {
        let has = || self.said().get(path).is_some_and(|all| all.iter().any(|s| s == signal));
        assert!(eventually(seconds(10), has), "{path} does not say {signal}: {:?}", self.said());
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn instance(name: &str, vrid: u8, address: &str, more: &str) -> String {
    format!(
        "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n version 3\n priority 100\n advert_int 0.3\n {more}\n \
         virtual_ipaddress {{\n {address}\n }}\n}}\n"
    )
}

fn globals(more: &str) -> String {
    format!("global_defs {{\n enable_dbus\n {more}\n}}\n")
}

fn one() -> String {
    globals("") + &instance("VI", 51, "10.77.0.100/24", "")
}

const VI: &str = "/Instance/eth0/51/IPv4";
const SIX: &str = "/Instance/eth0/52/IPv6";
const NEW: &str = "/Instance/eth0/53/IPv4";

/// Everything that a client sees of a daemon's life, in words.
fn life(kind: Kind) -> Vec<String> {
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let bus = Bus::started(OPEN);
    let monitor = bus.monitor();
    let mut seen = Vec::new();
    let first = globals("") + &instance("VI", 51, "10.77.0.100/24", "") + &instance("V-6.x", 52, "fd77::100/64", "");
    let d = Daemon::start_with(host, kind, &first, &[(VARIABLE, &bus.address())]);
    for path in [VI, SIX] {
        monitor.wait(path, "VrrpStatusChange 2");
        bus.wait_state(path, "Master");
    }
    let tree =
        |bus: &Bus| bus.tree(SERVICE).into_iter().map(|(path, own)| format!("{path}: {own}")).collect::<Vec<_>>();
    seen.extend(tree(&bus));
    let own = "string:org.keepalived.Vrrp1.Instance";
    for (path, member, arguments) in [
        (VI, "org.freedesktop.DBus.Properties.GetAll", vec![own]),
        (SIX, "org.freedesktop.DBus.Properties.Get", vec![own, "string:Name"]),
        (VI, "org.freedesktop.DBus.Properties.Get", vec![own, "string:Nothing"]),
        (VI, "org.freedesktop.DBus.Properties.Set", vec![own, "string:Name", "variant:string:x"]),
        (VI, "org.freedesktop.DBus.Properties.GetAll", vec!["string:no.such"]),
        ("/Vrrp", "org.freedesktop.DBus.Properties.GetAll", vec!["string:org.keepalived.Vrrp1.Vrrp"]),
        (VI, "org.keepalived.Vrrp1.Instance.Nothing", vec![]),
        (VI, "org.keepalived.Vrrp1.Vrrp.PrintData", vec![]),
        (VI, "org.keepalived.Vrrp1.Instance.SendGarp", vec![]),
        ("/Vrrp", "org.keepalived.Vrrp1.Vrrp.PrintStats", vec!["string:x"]),
        ("/nobody", "org.keepalived.Vrrp1.Instance.SendGarp", vec![]),
        ("/Instance", "org.freedesktop.DBus.Properties.GetAll", vec!["string:x"]),
        ("/nobody", "org.freedesktop.DBus.Peer.Ping", vec![]),
        ("/Vrrp", "org.freedesktop.DBus.Peer.GetMachineId", vec![]),
    ] {
        let (ok, text) = bus.call(SERVICE, &format!("{ROOT}{path}"), member, &arguments);
        seen.push(format!("{path} {member} {arguments:?}: {ok} {text}"));
    }
    host.cable(false);
    for path in [VI, SIX] {
        bus.wait_state(path, "Fault");
    }
    seen.push(bus.state(VI));
    host.cable(true);
    for path in [VI, SIX] {
        bus.wait_state(path, "Master");
    }
    // V-6.x goes, NEW comes, by the way of the bus.
    let second = globals("")
        + &instance("VI", 51, "10.77.0.100/24", "")
        + &instance("NEW", 53, "10.77.0.101/24", "notify_deleted");
    std::fs::write(d.path("conf"), &second).expect("configuration");
    seen.push(bus.ask("/Vrrp", "Vrrp.ReloadConfig", &[]));
    bus.wait_state(NEW, "Master");
    seen.extend(tree(&bus));
    d.reload(&one());
    monitor.wait(NEW, "VrrpStatusChange 97");
    let reloads = || monitor.said()["/Vrrp"].iter().filter(|s| *s == "VrrpReloaded").count() == 2;
    assert!(eventually(seconds(10), reloads), "{:?}", monitor.said());
    seen.extend(tree(&bus));
    assert_eq!(d.stop(), Some(0));
    monitor.wait("/Vrrp", "VrrpStopped");
    for (path, mut all) in monitor.said() {
        // Which states are told first depends on when the bus is reached.
        if [VI, SIX].contains(&path.as_str()) {
            let first = all.iter().take_while(|s| *s != "VrrpStatusChange 2").count();
            all.drain(..first);
        }
        seen.push(format!("{path} said {all:?}"));
    }
    seen
}

#[test]
fn a_client_sees_of_us_what_it_sees_of_keepalived() {
    require_bus!();
    let ours = life(Kind::Steadfast);
    let said = |path: &str| ours.iter().find(|l| l.starts_with(&format!("{path} said "))).cloned().unwrap_or_default();
    assert_eq!(said("/Vrrp"), "/Vrrp said [\"VrrpStarted\", \"VrrpReloaded\", \"VrrpReloaded\", \"VrrpStopped\"]");
    let states = |numbers: &[u32]| numbers.iter().map(|n| format!("VrrpStatusChange {n}")).collect::<Vec<_>>();
    assert_eq!(said(VI), format!("{VI} said {:?}", states(&[2, 3, 1, 2, 98])));
    assert_eq!(said(SIX), format!("{SIX} said {:?}", states(&[2, 3, 1, 2, 3])));
    assert_eq!(said(NEW), format!("{NEW} said {:?}", states(&[1, 2, 97])));
    require!(keepalived);
    let theirs = life(Kind::Keepalived);
    for (a, b) in ours.iter().zip(&theirs) {
        assert_eq!(a, b);
    }
    assert_eq!(ours.len(), theirs.len());
}

/// The process that shows the daemon on D-Bus.
fn observer(d: &Daemon) -> Option<i32> {
    let whole: serde_json::Value = serde_json::from_str(&ask(d, &["status", "--json"])).unwrap_or_default();
    let children = whole["children"].as_array().cloned().unwrap_or_default();
    let own = children.into_iter().find(|c| c["name"] == "dbus")?;
    own["pid"].as_i64().and_then(|p| i32::try_from(p).ok())
}

/// Listens to the adverts of a host while something is done: the longest time between two.
fn longest_pause(lan: &Lan, what: impl FnOnce()) -> Duration {
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    let index =
        lan.hosts[1].show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).expect("index");
    let watch = lan.hosts[1].inside(move || wire::adverts(index, 51, seconds(120), || told.load(Ordering::Relaxed)));
    what();
    ended.store(true, Ordering::Relaxed);
    let seen = watch.join().expect("observation");
    assert!(seen.len() > 5, "{seen:?}");
    seen.windows(2).map(|w| w[1].at - w[0].at).max().unwrap_or_default()
}

/// Adverts come each 300 ms: with one missing it is 600.
const UNBROKEN: Duration = Duration::from_millis(590);

#[test]
fn vrrp_does_not_notice_what_becomes_of_the_bus() {
    require_bus!();
    let lan = Lan::new(2);
    let mut bus = Bus::new(OPEN);
    // The bus is not there yet.
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &one(), &[(VARIABLE, &bus.address())]);
    d.wait_log("Entering MASTER STATE", seconds(10));
    d.wait_log("; trying again", seconds(10));
    let pause = longest_pause(&lan, || {
        bus.start();
        bus.wait_state(VI, "Master");
        let process = observer(&d).expect("observer");
        let threads = || std::fs::read_dir(format!("/proc/{process}/task")).map_or(0, Iterator::count);
        let before = threads();
        // It dies and comes back.
        for _ in 0..2 {
            bus.kill();
            d.wait_log("the connection to the bus is lost", seconds(10));
            bus.start();
            bus.wait_state(VI, "Master");
        }
        assert!(eventually(seconds(10), || threads() <= before), "{before} threads, then {}", threads());
        // It hangs, while there is something to say, for longer than a silent process is tolerated.
        send(bus.pid(), Signal::SIGSTOP);
        for _ in 0..3 {
            d.signal(Signal::SIGHUP);
            std::thread::sleep(seconds(2));
        }
        send(bus.pid(), Signal::SIGCONT);
        bus.wait_state(VI, "Master");
        assert_eq!(observer(&d), Some(process), "the observer was ended:\n{}", d.log());
    });
    println!("longest time between adverts while the bus died, came back and hung: {pause:?}");
    assert!(pause < UNBROKEN, "{pause:?}");
    // A bus that hangs does not hold the end up.
    send(bus.pid(), Signal::SIGSTOP);
    let begun = std::time::Instant::now();
    assert_eq!(d.stop(), Some(0));
    println!("stop with a bus that hangs: {:?}", begun.elapsed());
    assert!(begun.elapsed() < seconds(4), "{:?}", begun.elapsed());
    send(bus.pid(), Signal::SIGCONT);
}

#[test]
fn vrrp_does_not_notice_the_end_of_the_observer() {
    require_bus!();
    let lan = Lan::new(2);
    let bus = Bus::started(OPEN);
    // -R: the death of a child would stop the daemon.
    let variables = [(VARIABLE, bus.address()), ("", "-R".to_string())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &one(), &variables);
    bus.wait_state(VI, "Master");
    let vrrp = d.pid_of("vrrp.pid");
    let pause = longest_pause(&lan, || {
        for signal in [Signal::SIGKILL, Signal::SIGABRT, Signal::SIGKILL] {
            let process = observer(&d).expect("observer");
            send(process, signal);
            assert!(eventually(seconds(10), || observer(&d).is_some_and(|p| p != process)), "{}", d.log());
            bus.wait_state(VI, "Master");
        }
        // It hangs: ended, and started again.
        let process = observer(&d).expect("observer");
        send(process, Signal::SIGSTOP);
        assert!(eventually(seconds(20), || observer(&d).is_some_and(|p| p != process)), "{}", d.log());
        bus.wait_state(VI, "Master");
    });
    println!("longest time between adverts while the observer died and hung: {pause:?}");
    assert!(pause < UNBROKEN, "{pause:?}");
    assert_eq!(d.pid_of("vrrp.pid"), vrrp);
    // Another program takes over, and shows the same.
    let process = observer(&d).expect("observer");
    ask(&d, &["upgrade"]);
    assert!(eventually(seconds(20), || observer(&d).is_some_and(|p| p != process)), "{}", d.log());
    bus.wait_state(VI, "Master");
    assert_eq!(d.log().matches("Entering MASTER STATE").count(), 1, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn requests_are_carried_out() {
    require_bus!();
    let lan = Lan::new(2);
    let bus = Bus::started(OPEN);
    let folder = tempfile::tempdir().expect("folder");
    let at = |name: &str| folder.path().join(name);
    let dumps = format!("state_dump_file {}\n stats_dump_file {}", at("data").display(), at("stats").display());
    let text = globals(&dumps) + &instance("VI", 51, "10.77.0.100/24", "garp_master_delay 0\n garp_master_repeat 1");
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &text, &[(VARIABLE, &bus.address())]);
    bus.wait_state(VI, "Master");
    let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    // Who reads what others write may do nothing, in none of its threads.
    let tasks = format!("/proc/{}/task", observer(&d).expect("observer"));
    let tasks: Vec<_> = std::fs::read_dir(tasks).expect("threads").flatten().map(|t| t.path().join("status")).collect();
    assert!(tasks.len() > 2, "{tasks:?}");
    for status in tasks.iter().map(|path| read(path)) {
        let has = |line: &str| status.lines().any(|l| l == line);
        assert!(has("CapEff:\t0000000000000000") && has("CapBnd:\t0000000000000000") && has("Seccomp:\t2"), "{status}");
    }
    bus.ask("/Vrrp", "Vrrp.PrintData", &[]);
    assert!(eventually(seconds(5), || read(&at("data")).contains("VRRP Instance = VI")));
    bus.ask("/Vrrp", "Vrrp.PrintStatsClear", &[]);
    let stats = |word: &str| eventually(seconds(5), || read(&at("stats")).contains(word));
    assert!(stats("Became master: 1"));
    bus.ask("/Vrrp", "Vrrp.PrintStats", &[]);
    assert!(stats("Became master: 0"));
    let ended = Arc::new(AtomicBool::new(false));
    let told = ended.clone();
    let watch = lan.hosts[1].inside(move || wire::gratuitous(seconds(10), || told.load(Ordering::Relaxed)));
    assert!(eventually(seconds(5), || {
        bus.ask(VI, "Instance.SendGarp", &[]);
        std::thread::sleep(Duration::from_millis(100));
        watch.is_finished() || d.log().matches("announcing VI, on request").count() >= 3
    }));
    ended.store(true, Ordering::Relaxed);
    let seen = watch.join().expect("observation");
    assert!(seen.iter().any(|(_, a)| a.to_string() == "10.77.0.100"), "{seen:?}\n{}", d.log());
    let error = bus.ask("/Vrrp", "Vrrp.DestroyInstance", &["string:VI"]);
    assert!(error.contains("org.freedesktop.DBus.Error.NotSupported"), "{error}");
    // More than can be done: some are refused, the daemon goes on.
    let readings = || ask(&d, &["status", "--json"]);
    for _ in 0..100 {
        bus.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus.Peer.Ping", &[]);
        bus.ask("/Vrrp", "Vrrp.ReloadConfig", &[]);
    }
    bus.wait_state(VI, "Master");
    assert!(readings().contains("\"VI\""), "{}", readings());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn names_are_in_the_path_and_change_at_a_reload() {
    require_bus!();
    let lan = Lan::new(1);
    let namespace = &lan.hosts[0].namespace;
    let bus = Bus::started(OPEN);
    let monitor = bus.monitor();
    let begin = format!("net_namespace {namespace}\ninstance our-1\n");
    let text = |more: &str| begin.clone() + &globals(more) + &instance("VI", 51, "10.77.0.100/24", "");
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &text(""), &[(VARIABLE, &bus.address())]);
    let base = format!("/{namespace}/our_1");
    bus.wait_state(&format!("{base}{VI}"), "Master");
    let paths: Vec<String> = bus.tree(SERVICE).into_keys().collect();
    assert_eq!(paths, [format!("{ROOT}{base}{VI}"), format!("{ROOT}{base}/Vrrp")]);
    // Another name.
    d.reload(&text("dbus_service_name org.example.Router"));
    let there = |service: &str| !bus.tree(service).is_empty();
    assert!(eventually(seconds(10), || there("org.example.Router") && !there(SERVICE)), "{}", d.log());
    // None.
    d.reload(&text("").replace("enable_dbus", ""));
    monitor.wait(&format!("{base}/Vrrp"), "VrrpStopped");
    assert!(eventually(seconds(10), || observer(&d).is_none() && !there("org.example.Router")), "{}", d.log());
    // And again.
    d.reload(&text(""));
    bus.wait_state(&format!("{base}{VI}"), "Master");
    assert_eq!(d.stop(), Some(0));
}

/// More is said at a stop than a pipe holds at once.
#[test]
fn the_end_of_every_instance_is_told() {
    require_bus!();
    let lan = Lan::new(1);
    let bus = Bus::started(OPEN);
    let monitor = bus.monitor();
    let all: String = (1..=150)
        .map(|n| {
            let addresses: Vec<String> = (0..4).map(|i| format!("10.77.{}.{n}/16", 100 + i)).collect();
            instance(&format!("V{n}"), n, &addresses.join("\n "), "").replace("advert_int 0.3", "advert_int 1")
        })
        .collect();
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &(globals("") + &all), &[(VARIABLE, &bus.address())]);
    let last = |signal: &str| monitor.said().values().filter(|all| all.last().is_some_and(|s| s == signal)).count();
    assert!(eventually(seconds(30), || last("VrrpStatusChange 2") == 150), "{:?}", monitor.said());
    assert_eq!(d.stop(), Some(0));
    monitor.wait("/Vrrp", "VrrpStopped");
    let stopped = last("VrrpStatusChange 98");
    assert_eq!(stopped, 150, "{:?}", monitor.said());
}

#[test]
fn a_name_that_is_taken_is_waited_for() {
    require_bus!();
    let lan = Lan::new(2);
    let bus = Bus::started(OPEN);
    let variables = [(VARIABLE, bus.address())];
    let variables: Vec<(&str, &str)> = variables.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let text = |name: &str, vrid| globals("") + &instance(name, vrid, &format!("10.77.0.{vrid}/24"), "");
    let a = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &text("A", 51), &variables);
    bus.wait_state(VI, "Master");
    let b = Daemon::start_with(&lan.hosts[1], Kind::Steadfast, &text("B", 52), &variables);
    b.wait_log("the name org.keepalived.Vrrp1 is taken", seconds(10));
    assert_eq!(a.stop(), Some(0));
    bus.wait_state("/Instance/eth0/52/IPv4", "Master");
    assert_eq!(b.stop(), Some(0));
}

#[test]
fn the_shipped_policy_lets_root_alone_in() {
    require_bus!();
    let lan = Lan::new(1);
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/dbus/org.keepalived.Vrrp1.conf");
    // The rules of a system's bus, as far as they matter.
    let system = r#"<policy context="default">
  <allow user="*"/><deny own="*"/><deny send_type="method_call"/>
  <allow send_type="signal"/><allow send_requested_reply="true" send_type="method_return"/>
  <allow send_requested_reply="true" send_type="error"/>
  <allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
  <allow send_destination="org.freedesktop.DBus"/>
 </policy>"#;
    let ping = |bus: &Bus, account| {
        bus.call_as(account, SERVICE, &format!("{ROOT}/Vrrp"), "org.freedesktop.DBus.Peer.Ping", &[])
    };
    // Without it the name is refused, which is said, and tried again.
    let bus = Bus::started(system);
    let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &one(), &[(VARIABLE, &bus.address())]);
    d.wait_log("AccessDenied", seconds(10));
    std::thread::sleep(seconds(4));
    assert_eq!(d.log().matches("AccessDenied").count(), 1, "{}", d.log());
    let conf = std::fs::read_to_string(bus.folder.path().join("conf")).expect("bus.conf");
    let with = conf.replace("</busconfig>", &format!(" <include>{}</include>\n</busconfig>", ours.display()));
    std::fs::write(bus.folder.path().join("conf"), with).expect("bus.conf");
    send(bus.pid(), Signal::SIGHUP);
    assert!(eventually(seconds(30), || ping(&bus, None).0), "{}", d.log());
    if Command::new("setpriv").arg("--version").output().is_err() {
        println!("SKIPPED: {}: setpriv is not there", module_path!());
        return;
    }
    let (ok, text) = ping(&bus, Some("65534"));
    assert!(!ok && text.contains("AccessDenied"), "{text}");
    assert_eq!(d.stop(), Some(0));
}
