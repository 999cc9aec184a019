//! The hosts of the lab.
//!
//! ```text
//!   client (10.1.0.2) ── br-c 10.1.0.1 ── director ── br-s 10.2.0.254 ── rs1 rs2 rs3 (10.2.0.1-3)
//!                                                                   ├── sorry  (10.2.0.9)
//!                                                                   ├── near   (10.2.0.50)   a client among the servers
//!                                                                   └── second (10.2.0.253)  another director
//! ```

use std::collections::HashMap;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::{eventually, seconds};

/// Runs a command line: what it says.
pub fn sh(line: &str) -> String {
    let out = Command::new("bash").args(["-c", line]).stdin(Stdio::null()).output().expect("bash");
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn own() -> String {
    std::env::current_exe().expect("own name").display().to_string()
}

/// The lab.
pub struct Lab {
    servers: HashMap<String, Vec<Child>>,
}

impl Lab {
    /// Builds bridges and hosts, and starts the servers.
    pub fn build() -> Lab {
        sh(
            "modprobe -a ip_vs veth bridge ipip nf_conntrack dummy; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
            net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 net.ipv4.vs.conntrack=1",
        );
        sh("for b in br-c br-s; do ip link add $b type bridge forward_delay 0; ip link set $b up; done");
        sh("ip addr add 10.1.0.1/24 dev br-c; ip addr add 10.2.0.254/24 dev br-s");
        sh("ip -6 addr add fd00:1::1/64 dev br-c nodad; ip -6 addr add fd00:2::fe/64 dev br-s nodad");
        let host = |name: &str, bridge: &str, address: &str, gateway: &str| {
            sh(&format!(
                "set -e; ip netns add {name}; ip -n {name} link set lo up; ip link add v-{name} type veth peer name eth0 netns {name}; \
                 ip link set v-{name} master {bridge} up; ip -n {name} link set eth0 up; ip -n {name} addr add {address}/24 dev eth0; \
                 ip -n {name} route add default via {gateway}; \
                 ip netns exec {name} sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0"
            ));
        };
        host("client", "br-c", "10.1.0.2", "10.1.0.1");
        sh("ip -n client -6 addr add fd00:1::2/64 dev eth0 nodad; ip -n client -6 route add default via fd00:1::1");
        for (name, address) in [("near", "10.2.0.50"), ("second", "10.2.0.253"), ("sorry", "10.2.0.9")] {
            host(name, "br-s", address, "10.2.0.254");
        }
        let mut lab = Lab { servers: HashMap::new() };
        for n in 1..=3 {
            let name = format!("rs{n}");
            host(&name, "br-s", &format!("10.2.0.{n}"), "10.2.0.254");
            // Addresses of direct routing and of tunnels, which nobody may hear of by ARP.
            sh(&format!(
                "set -e; ip netns exec {name} sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; \
                 ip -n {name} addr add 10.2.0.100/32 dev lo; ip -n {name} link set tunl0 up; ip -n {name} addr add 10.2.0.101/32 dev tunl0; \
                 ip netns exec {name} sysctl -qw net.ipv4.conf.tunl0.rp_filter=0; \
                 ip -n {name} -6 addr add fd00:2::{n}/64 dev eth0 nodad; ip -n {name} -6 route add default via fd00:2::fe"
            ));
            lab.serve(&name);
        }
        lab.serve("sorry");
        lab
    }

    /// Starts the servers of a host.
    pub fn serve(&mut self, name: &str) {
        let one = |address: &str| {
            Command::new("ip")
                .args(["netns", "exec", name, &own(), "serve", name, address])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("server")
        };
        let all = vec![one("0.0.0.0:80"), one("[::]:8080")];
        self.servers.insert(name.to_string(), all);
        let up = || Command::new("ip").args(["netns", "exec", name, &own(), "ask", "127.0.0.1:80", "1"]).output();
        assert!(eventually(seconds(10), || up().is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains(name))));
    }

    /// Ends the servers of a host.
    pub fn unserve(&mut self, name: &str) {
        for mut child in self.servers.remove(name).unwrap_or_default() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Takes away what a test left, also one that failed.
    pub fn reset(&mut self) {
        let _ = Command::new("bash")
            .args(["-c", "pkill -KILL steadfastd; ipvsadm -C; nft delete table ip lab; nft delete table ip6 lab; ip addr flush dev br-c to 10.1.0.100/29; \
                   ip addr flush dev br-s to 10.2.0.100/30; ip -6 addr del fd00:1::100/128 dev br-c; ip netns exec second ipvsadm -C; \
                   ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status();
        for name in ["rs1", "rs2", "rs3", "sorry"] {
            if !self.servers.contains_key(name) {
                self.serve(name);
            }
        }
    }

    /// Asks from a host.
    pub fn ask(&self, from: &str, address: &str, times: u32) -> String {
        sh(&format!("ip netns exec {from} {} ask {address} {times}", own())).trim().to_string()
    }

    /// Begins to ask again and again, until the file is gone.
    pub fn pour(&self, from: &str, address: &str, file: &str) -> Child {
        std::fs::write(file, "").expect("file");
        Command::new("ip")
            .args(["netns", "exec", from, &own(), "pour", address, file])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("client")
    }

    /// Begins to keep a connection.
    pub fn hold(&self, from: &str, address: &str, during: Duration) -> Child {
        Command::new("ip")
            .args(["netns", "exec", from, &own(), "hold", address, &during.as_millis().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("client")
    }
}

/// The kernel's table.
pub fn table() -> String {
    sh("ipvsadm -Sn")
}

/// Waits until the table has (or has not) a line with these words.
pub fn wait_table(words: &str, there: bool) {
    let is = || table().lines().any(|l| l.contains(words)) == there;
    assert!(eventually(seconds(8), is), "'{words}' {}: {}", if there { "missing" } else { "still there" }, table());
}

/// The daemon under test.
pub struct Director {
    child: Option<Child>,
    folder: PathBuf,
    place: Vec<String>,
}

impl Director {
    /// Starts it in the root namespace, or in that of a host.
    pub fn start(host: Option<&str>, configuration: &str, options: &[&str]) -> Director {
        let name = host.unwrap_or("director");
        let folder = PathBuf::from(format!("/run/lab-{name}"));
        std::fs::create_dir_all(&folder).expect("folder");
        let place = host.map_or(Vec::new(), |h| ["ip", "netns", "exec", h].map(String::from).to_vec());
        let mut d = Director { child: None, folder, place };
        d.begin(configuration, options);
        d
    }

    /// Starts it in the root namespace, and waits for nothing.
    pub fn begin_at_once(configuration: &str) -> Director {
        let folder = PathBuf::from("/run/lab-director");
        std::fs::create_dir_all(&folder).expect("folder");
        let mut d = Director { child: None, folder, place: Vec::new() };
        d.spawn(configuration, &[]);
        d
    }

    fn begin(&mut self, configuration: &str, options: &[&str]) {
        self.spawn(configuration, options);
        assert!(eventually(seconds(60), || self.log().contains("Startup complete")), "{}", self.log());
    }

    fn spawn(&mut self, configuration: &str, options: &[&str]) {
        let file = |name: &str| self.folder.join(name).display().to_string();
        std::fs::write(file("conf"), configuration).expect("configuration");
        let log = File::create(file("log")).expect("log");
        let mut words = self.place.clone();
        words
            .extend(["/share/steadfastd", "-n", "-l", "-D", "-f", &file("conf"), "-p", &file("pid")].map(String::from));
        words.extend(["-r", &file("vrrp.pid"), "-c", &file("checkers.pid")].map(String::from));
        words.extend(options.iter().map(ToString::to_string));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        self.child = Some(command.spawn().expect("daemon"));
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Waits for words in its log.
    pub fn wait_log(&self, words: &str) {
        assert!(eventually(seconds(8), || self.log().contains(words)), "'{words}' does not come:\n{}", self.log());
    }

    /// Number of one of its processes.
    pub fn pid(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.join(file)).unwrap_or_default().trim().to_string()
    }

    /// A new configuration.
    pub fn reload(&self, configuration: &str) {
        let before = self.log().matches("Reload complete").count();
        std::fs::write(self.folder.join("conf"), configuration).expect("configuration");
        sh(&format!("kill -HUP {}", self.pid("pid")));
        assert!(eventually(seconds(8), || self.log().matches("Reload complete").count() > before), "{}", self.log());
    }

    /// A new configuration for a daemon that may not answer.
    pub fn reload_silently(&self, configuration: &str) {
        std::fs::write(self.folder.join("conf"), configuration).expect("configuration");
        sh(&format!("kill -HUP {}", self.pid("pid")));
        self.wait_log("Reload complete");
    }

    /// Begins to hand over to the same program as to a new one.
    pub fn upgrade(&self) -> Child {
        let mut command = Command::new("/share/steadfast");
        command.args(["--pid", &self.pid("pid"), "upgrade"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("upgrade")
    }

    /// The parent is killed, and has no say in what its children do.
    pub fn kill(mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// All processes are killed, and none has a say in it.
    pub fn kill_all(self) {
        for signal in ["STOP", "KILL"] {
            sh(&format!("kill -{signal} {} {} {}", self.pid("pid"), self.pid("vrrp.pid"), self.pid("checkers.pid")));
        }
        self.kill();
        assert!(eventually(seconds(6), || sh("pgrep -c steadfastd || true").trim() == "0"));
    }

    /// An orderly stop.
    pub fn stop(self) {
        sh(&format!("kill -TERM {}", self.pid("pid")));
        self.stop_begun();
    }

    /// The end of one that has been asked for.
    pub fn stop_begun(mut self) {
        let mut child = self.child.take().expect("child");
        assert!(eventually(seconds(10), || child.try_wait().is_ok_and(|s| s.is_some())), "{}", self.log());
        let status = child.wait().expect("status");
        assert!(status.success(), "{status}: {}", self.log());
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            println!("--- log of {}\n{}", self.folder.display(), self.log());
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// keepalived's checker in the root namespace.
pub struct Keepalived(Child);

impl Keepalived {
    /// Starts it with this file.
    pub fn start(file: &str) -> Keepalived {
        let mut command = Command::new("keepalived");
        command.args(["-n", "-C", "-f", file, "-p", "/run/k.pid", "-c", "/run/kc.pid", "-r", "/run/kv.pid"]);
        Keepalived(
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("keepalived"),
        )
    }
}

impl Drop for Keepalived {
    fn drop(&mut self) {
        sh(&format!("kill -TERM {}", self.0.id()));
        let _ = self.0.wait();
    }
}

const CHECK: &str = "TCP_CHECK {\n connect_timeout 2\n retry 1\n delay_before_retry 0.2\n }";

/// A real server with its check.
pub fn real(address: &str, port: u16, more: &str) -> String {
    format!(" real_server {address} {port} {{\n weight 1\n {more}\n {CHECK}\n }}\n")
}

/// A virtual server.
pub fn service(head: &str, settings: &str, servers: &str) -> String {
    format!("virtual_server {head} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n {settings}\n{servers}}}\n")
}

/// The three servers of the lab.
pub fn three(more: &str) -> String {
    (1..=3).map(|n| real(&format!("10.2.0.{n}"), 80, more)).collect()
}
