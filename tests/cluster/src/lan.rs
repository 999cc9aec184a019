//! Hosts on a bridge.

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// Runs `ip`; panics with its words when it fails.
pub fn ip(arguments: &str) {
    let out = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip");
    assert!(out.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&out.stderr));
}

/// A bridge in a namespace, and hosts plugged into it. Everything goes with this value.
pub struct Lan {
    tag: String,
    /// The hosts.
    pub hosts: Vec<Host>,
}

/// One host: interface `eth0`, addresses 10.77.0.N/24 and fd77::N/64, N counting from 1.
pub struct Host {
    /// Its namespace.
    pub namespace: String,
    /// Its number.
    pub number: u32,
    bridge: String,
    port: String,
}

impl Lan {
    /// A bridge with so many hosts.
    pub fn new(hosts: u32) -> Lan {
        let tag = format!("sf{}x{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let bridge = format!("{tag}br");
        let mut lan = Lan { tag: tag.clone(), hosts: Vec::new() };
        ip(&format!("netns add {bridge}"));
        ip(&format!("-n {bridge} link add br0 type bridge"));
        ip(&format!("-n {bridge} link set br0 up"));
        for number in 1..=hosts {
            let namespace = format!("{tag}h{number}");
            let port = format!("p{number}");
            ip(&format!("netns add {namespace}"));
            ip(&format!("-n {namespace} link set lo up"));
            let host = Host { namespace, number, bridge: bridge.clone(), port };
            lan.hosts.push(host);
            if let Some(host) = lan.hosts.last() {
                host.plug();
            }
        }
        // Duplicate address detection of link-local addresses takes its time.
        for h in &lan.hosts {
            let quiet = || {
                !h.show("-6 addr show dev eth0").contains("tentative")
                    && h.show("-6 addr show dev eth0").contains("fe80")
            };
            assert!(crate::eventually(Duration::from_secs(10), quiet), "link-local address of {}", h.namespace);
        }
        lan
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for n in self.hosts.iter().map(|h| h.namespace.clone()).chain([format!("{}br", self.tag)]) {
            let _ = Command::new("ip").args(["netns", "del", &n]).output();
        }
    }
}

impl Host {
    /// What `ip` shows in this host.
    pub fn show(&self, arguments: &str) -> String {
        let out =
            Command::new("ip").args(["-n", &self.namespace]).args(arguments.split_whitespace()).output().expect("ip");
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    /// Runs `ip` in this host.
    pub fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.namespace));
    }

    /// Whether the host has an address now.
    pub fn has(&self, address: &str) -> bool {
        self.show("addr show").contains(&format!(" {address}/"))
    }

    /// Makes its `eth0`, with its addresses.
    pub fn plug(&self) {
        let Host { namespace, number, bridge, port } = self;
        ip(&format!("-n {bridge} link add {port} type veth peer name eth0 netns {namespace}"));
        ip(&format!("-n {bridge} link set {port} master br0 up"));
        ip(&format!("-n {namespace} link set eth0 up"));
        ip(&format!("-n {namespace} addr add 10.77.0.{number}/24 dev eth0"));
        ip(&format!("-n {namespace} addr add fd77::{number}/64 dev eth0 nodad"));
    }

    /// Cuts or mends the cable.
    pub fn cable(&self, plugged: bool) {
        ip(&format!("-n {} link set {} {}", self.bridge, self.port, if plugged { "up" } else { "down" }));
    }

    /// A command in this host.
    pub fn command(&self, program: &str) -> Command {
        let mut c = Command::new("ip");
        c.args(["netns", "exec", &self.namespace, program]);
        c
    }

    /// Runs something on a thread that lives in this host.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
        let path = format!("/run/netns/{}", self.namespace);
        std::thread::spawn(move || {
            let file = std::fs::File::open(path).expect("namespace");
            nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET).expect("setns");
            work()
        })
    }

    /// Begins to ping an address, 200 times a second.
    pub fn ping(&self, address: &str) -> Ping {
        let mut command = self.command("ping");
        command.args(["-n", "-D", "-i", "0.005", "-W", "1", address]).stdout(Stdio::piped()).stderr(Stdio::null());
        Ping(command.spawn().expect("ping"))
    }
}

/// A client.
pub struct Ping(Child);

impl Ping {
    /// Ends it; the longest time between two answers.
    pub fn longest_gap(mut self) -> Duration {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut self.0.stdout.take().expect("stdout"), &mut text).expect("ping output");
        let _ = self.0.wait();
        let times: Vec<f64> = text
            .lines()
            .filter(|l| l.contains("bytes from"))
            .filter_map(|l| l.strip_prefix('[')?.split(']').next()?.parse().ok())
            .collect();
        assert!(times.len() > 10, "the client was answered {} times", times.len());
        let longest = times.windows(2).map(|w| w[1] - w[0]).fold(0.0, f64::max);
        Duration::from_secs_f64(longest)
    }
}
