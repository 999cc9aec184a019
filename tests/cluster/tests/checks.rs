//! Checks of real servers, as their owner hears of them. What the kernel's balancer does with it needs a kernel with IPVS.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use steadfast_test_cluster::daemon::file;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A web server, a mail server and a UDP server on one host, which can be told to fail.
struct Servers {
    well: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Servers {
    fn start(host: &Host) -> Servers {
        let (well, end) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let mut threads = Vec::new();
        let answers: [(u16, bool, &str); 2] = [
            (80, false, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello from a server\n"),
            (25, true, "220 mail.example\r\n250 fine\r\n221 bye\r\n"),
        ];
        for (port, speaks_first, answer) in answers {
            let (well, end) = (well.clone(), end.clone());
            threads.push(host.inside(move || {
                let listener = TcpListener::bind(("0.0.0.0", port)).expect("bind");
                listener.set_nonblocking(true).expect("nonblocking");
                while !end.load(Ordering::Relaxed) {
                    let Ok((mut c, _)) = listener.accept() else {
                        std::thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    let _ = c.set_nonblocking(false);
                    let _ = c.set_read_timeout(Some(seconds(1)));
                    let mut request = [0; 1024];
                    if !well.load(Ordering::Relaxed) {
                        let _ = c.write_all(b"HTTP/1.0 503 No\r\n\r\n");
                        continue;
                    }
                    if speaks_first {
                        for line in answer.split_inclusive('\n') {
                            let _ = c.write_all(line.as_bytes());
                            let _ = c.read(&mut request);
                        }
                    } else {
                        let _ = c.read(&mut request);
                        let _ = c.write_all(answer.as_bytes());
                    }
                }
            }));
        }
        let (w, e) = (well.clone(), end.clone());
        threads.push(host.inside(move || {
            let socket = UdpSocket::bind(("0.0.0.0", 5353)).expect("bind");
            socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
            let mut buffer = [0; 512];
            while !e.load(Ordering::Relaxed) {
                if let Ok((n, from)) = socket.recv_from(&mut buffer)
                    && w.load(Ordering::Relaxed)
                {
                    let _ = socket.send_to(&buffer[..n], from);
                }
            }
        }));
        Servers { well, end, threads }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| drop(t.join()));
    }
}

/// One virtual server, whose two real servers are hosts 2 and 3.
fn conf(folder: &str, checks: &str) -> String {
    let real = |n: u32| {
        format!(
            " real_server 10.77.0.{n} 80 {{\n  weight 1\n  notify_up \"{folder}/told up{n}\"\n  notify_down \"{folder}/told down{n}\"\n  \
             {checks}\n }}\n"
        )
    };
    format!(
        "global_defs {{\n script_user root\n lvs_notify_fifo {folder}/fifo\n lvs_notify_fifo_script {folder}/reader\n}}\n\
         virtual_server 10.77.0.100 80 {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n retry 1\n delay_before_retry 0.1\n \
         quorum 2\n hysteresis 0\n quorum_up \"{folder}/told quorum-up\"\n quorum_down \"{folder}/told quorum-down\"\n{}{}}}\n",
        real(2),
        real(3)
    )
}

const CHECKS: &[(&str, &str)] = &[
    ("HTTP", "HTTP_GET {\n url {\n path /\n status_code 200\n regex \"from a .erver\"\n }\n connect_timeout 1\n }"),
    ("SMTP", "SMTP_CHECK {\n connect_port 25\n connect_timeout 1\n }"),
    ("UDP", "UDP_CHECK {\n connect_port 5353\n payload 6869\n require_reply 6869\n connect_timeout 1\n }"),
];

/// The FIFO of both children has its reader where one of them does not run, and one reader where both do.
#[test]
fn the_reader_of_the_common_fifo_is_started_without_the_vrrp_child() {
    require!();
    let address = "static_ipaddress {\n 10.77.0.101/24 dev eth0\n}\n";
    for (vrrp, options) in [("", &[][..]), (address, &[("", "-C")]), (address, &[])] {
        let lan = Lan::new(2);
        let folder = tempfile::tempdir().expect("folder");
        let at = folder.path().display().to_string();
        let reader = file(
            folder.path(),
            "reader",
            &format!("#!/bin/sh\necho \"reads $1\" >> {at}/lines\nexec cat \"$1\" >> {at}/lines\n"),
        );
        std::process::Command::new("chmod").args(["0755", &reader]).status().expect("chmod");
        let text = format!(
            "global_defs {{\n script_user root\n notify_fifo {at}/fifo\n notify_fifo_script {reader}\n}}\n{vrrp}\
             virtual_server 10.77.0.100 80 {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server 10.77.0.2 81 {{\n TCP_CHECK {{\n retry 0\n }}\n }}\n}}\n"
        );
        let d = Daemon::start_with(&lan.hosts[0], Kind::Steadfast, &text, options);
        let lines = || std::fs::read_to_string(folder.path().join("lines")).unwrap_or_default();
        let down = "RS [10.77.0.2]:tcp:81 [10.77.0.100]:tcp:80 DOWN\n";
        assert!(eventually(seconds(10), || lines().contains(down)), "{options:?}: {}\n{}", lines(), d.log());
        assert_eq!(lines().matches(&format!("reads {at}/fifo\n")).count(), 1, "{options:?}: {}", lines());
        assert_eq!(d.stop(), Some(0));
    }
}

#[test]
fn a_server_that_fails_and_returns_is_noticed_by_every_check() {
    require!();
    for (name, checks) in CHECKS {
        let lan = Lan::new(3);
        let _good = Servers::start(&lan.hosts[1]);
        let other = Servers::start(&lan.hosts[2]);
        let folder = tempfile::tempdir().expect("folder");
        let at = folder.path().display().to_string();
        for (script, text) in [
            ("told", format!("#!/bin/sh\necho $1 >> {at}/words\n")),
            ("reader", format!("#!/bin/sh\nexec cat \"$1\" >> {at}/lines\n")),
        ] {
            let path = file(folder.path(), script, &text);
            std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        }
        let d = start(&lan.hosts[0], &conf(&at, checks));
        d.wait_log("module ip_vs", seconds(10));
        let words = || std::fs::read_to_string(folder.path().join("words")).unwrap_or_default();
        let lines = || std::fs::read_to_string(folder.path().join("lines")).unwrap_or_default();
        // All is well for some rounds: nothing is said but that there is a quorum.
        std::thread::sleep(seconds(3));
        assert_eq!(words(), "quorum-up\n", "{name}: {}", d.log());
        other.well.store(false, Ordering::Relaxed);
        let told = |all: &[&str]| all.iter().all(|w| words().lines().any(|l| l == *w));
        assert!(eventually(seconds(15), || told(&["down3", "quorum-down"])), "{name}: {}\n{}", words(), d.log());
        other.well.store(true, Ordering::Relaxed);
        assert!(
            eventually(seconds(15), || told(&["up3"]) && words().matches("quorum-up").count() == 2),
            "{name}: {}\n{}",
            words(),
            d.log()
        );
        assert!(!told(&["down2"]), "{name}: {}", words());
        let right = || lines().contains("RS [10.77.0.3]:tcp:80 [10.77.0.100]:tcp:80 DOWN") && lines().contains(" UP");
        assert!(eventually(seconds(5), right), "{name}: {}", lines());
        println!("{name}: {}", lines().replace('\n', " | "));
        assert_eq!(d.stop(), Some(0));
    }
}

/// Starts the daemon with a checker child alone.
fn start(host: &Host, text: &str) -> Daemon {
    let vrrp = "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 51\n priority 200\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";
    Daemon::start(host, Kind::Steadfast, &format!("{text}{vrrp}"))
}

#[test]
fn a_killed_checker_child_goes_on_without_a_word() {
    require!();
    let lan = Lan::new(3);
    let _servers = [Servers::start(&lan.hosts[1]), Servers::start(&lan.hosts[2])];
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    let path = file(folder.path(), "told", &format!("#!/bin/sh\necho $1 >> {at}/words\n"));
    std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
    let text = conf(&at, CHECKS[0].1).replace(&format!("lvs_notify_fifo_script {at}/reader"), "");
    let d = start(&lan.hosts[0], &text);
    d.wait_log("Entering MASTER STATE", seconds(10));
    // Since when the service and its server are up, by the clock.
    let since = || {
        let told = steadfast_test_cluster::daemon::ask(&d, &["status", "--json"]);
        let whole: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        let service = &whole["checker"]["services"][0];
        Some([service["since"].as_f64()?, service["servers"][0]["since"].as_f64()?])
    };
    assert!(eventually(seconds(5), || since().is_some()), "{}", d.log());
    let before = since().expect("since");
    let pid = d.pid_of("check.pid").expect("pid");
    steadfast_test_cluster::daemon::send(pid, nix::sys::signal::Signal::SIGKILL);
    d.wait_log("died: Respawning", seconds(5));
    assert!(eventually(seconds(5), || d.pid_of("check.pid").is_some_and(|p| p != pid)));
    let same = |now: [f64; 2]| before.iter().zip(now).all(|(a, b)| (a - b).abs() < 0.5);
    assert!(eventually(seconds(10), || since().is_some_and(same)), "{before:?} {:?}", since());
    std::thread::sleep(seconds(3));
    let words = std::fs::read_to_string(folder.path().join("words")).unwrap_or_default();
    assert_eq!(words, "quorum-up\n", "said by the first one alone: {}", d.log());
    assert!(lan.hosts[0].has("10.77.0.100") && !d.log().contains("Entering BACKUP STATE\n"), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn tls_is_spoken_and_verified_where_that_is_asked_for() {
    require!();
    if std::process::Command::new("openssl").arg("version").output().is_err() {
        println!("SKIPPED: checks over TLS: openssl is not installed");
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=web.example"])
        .args(["-addext", "subjectAltName=DNS:web.example", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &format!("{at}/key"), "-out", &format!("{at}/certificate")])
        .output()
        .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut server = lan.hosts[1].command("openssl");
    server.args(["s_server", "-quiet", "-www", "-accept", "443", "-cert", &format!("{at}/certificate")]);
    server.args(["-key", &format!("{at}/key")]).stdin(std::process::Stdio::null());
    let mut server =
        server.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().expect("server");
    let mut outcomes = Vec::new();
    let wrong = "certificate of the server: it is not for";
    for (more, why) in [
        ("", String::new()),
        ("enable_sni\n sni_name web.example\n tls_verify", String::new()),
        ("sni_name other.example\n tls_verify", format!("{wrong} other.example, but for web.example")),
        ("tls_verify", format!("{wrong} 10.77.0.2, but for web.example")),
    ] {
        let up = why.is_empty();
        let text = format!(
            "SSL {{\n ca {at}/certificate\n}}\nvirtual_server 10.77.0.100 443 {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             alpha\n real_server 10.77.0.2 443 {{\n weight 1\n SSL_GET {{\n {more}\n url {{\n path /\n status_code 200\n }}\n connect_timeout 2\n retry 0\n \
             }}\n }}\n}}\n"
        );
        let d = start(&lan.hosts[0], &text);
        let words = if up { "succeed on service" } else { "failed" };
        d.wait_log(words, seconds(10));
        let log = d.log();
        let line = log.lines().find(|l| l.contains("SSL_") || l.contains("Remote")).unwrap_or("").to_string();
        outcomes.push(line);
        assert_eq!(log.contains("succeed on service"), up, "{more}: {log}");
        assert!(log.contains(&why), "{more}: {log}");
        assert_eq!(d.stop(), Some(0));
    }
    println!("{outcomes:#?}");
    let _ = server.kill();
    let _ = server.wait();
}

/// Who asked which port of a host, over TCP (a connection each) and UDP, until the host goes.
struct Witness {
    seen: Arc<Mutex<BTreeSet<(u16, IpAddr)>>>,
    end: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Witness {
    fn start(host: &Host, address: &'static str, ports: &[u16]) -> Witness {
        let mut w = Witness { seen: Arc::default(), end: Arc::default(), threads: Vec::new() };
        for port in ports.iter().copied() {
            let (seen, end) = (w.seen.clone(), w.end.clone());
            w.threads.push(host.inside(move || {
                let listener = TcpListener::bind((address, port)).expect("bind");
                listener.set_nonblocking(true).expect("nonblocking");
                // Answers come from the address that was asked, whichever way they take.
                let socket = UdpSocket::bind((address, port)).expect("bind");
                socket.set_read_timeout(Some(Duration::from_millis(5))).expect("timeout");
                let mut buffer = [0; 512];
                while !end.load(Ordering::Relaxed) {
                    let tcp = listener.accept().ok().map(|(_, from)| (port, from.ip()));
                    let udp = socket.recv_from(&mut buffer).ok().map(|(n, from)| {
                        let _ = socket.send_to(&buffer[..n], from);
                        (port + 1000, from.ip())
                    });
                    seen.lock().expect("lock").extend(tcp.into_iter().chain(udp));
                }
            }));
        }
        w
    }

    /// Addresses that have asked this port; 1000 more for UDP.
    fn of(&self, port: u16) -> Vec<String> {
        let seen = self.seen.lock().expect("lock");
        seen.iter().filter(|(p, _)| *p == port).map(|(_, a)| a.to_string()).collect()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|t| drop(t.join()));
    }
}

/// `bindto`, `bind_if` and `fwmark`, as the server and the firewall see them, beside a check that has none of them.
#[test]
fn a_check_goes_out_as_its_words_say() {
    require!();
    let lan = Lan::new(2);
    let (host, server) = (&lan.hosts[0], &lan.hosts[1]);
    // A second way to the same server, which routing does not choose.
    host.ip("addr add 10.77.0.50/24 dev eth0");
    host.ip(&format!("link add out0 type veth peer name in0 netns {}", server.namespace));
    host.ip("addr add 10.78.0.1/24 dev out0");
    host.ip("link set out0 up");
    server.ip("addr add 10.78.0.2/24 dev in0");
    server.ip("link set in0 up");
    let rules: String = (81..=84)
        .map(|port| {
            format!(
                "meta l4proto {{ tcp, udp }} th dport {port} meta mark 7 counter comment \"mark{port}\"\n\
                 meta l4proto {{ tcp, udp }} th dport {port} oifname out0 counter comment \"out{port}\"\n"
            )
        })
        .collect();
    let folder = tempfile::tempdir().expect("folder");
    let text = format!("table inet lab {{\n chain out {{\n type filter hook output priority 0;\n {rules}\n }}\n}}\n");
    let loaded = host.command("nft").args(["-f", &file(folder.path(), "rules", &text)]).status().expect("nft");
    assert!(loaded.success());
    let counted = |comment: &str| {
        let out = host.command("nft").args(["list", "table", "inet", "lab"]).output().expect("nft");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let line = text.lines().find(|l| l.contains(comment)).unwrap_or_else(|| panic!("{text}")).to_string();
        !line.contains("packets 0 ")
    };
    let witness = Witness::start(server, "10.77.0.2", &[81, 82, 83, 84]);
    let real = |port: u32, words: &str| {
        format!(
            " real_server 10.77.0.2 {port} {{\n weight 1\n TCP_CHECK {{\n {words}\n connect_timeout 2\n }}\n UDP_CHECK {{\n {words}\n payload 6869\n \
             require_reply 6869\n connect_timeout 2\n }}\n }}\n"
        )
    };
    let all = [(81, "bindto 10.77.0.50"), (82, "bind_if out0"), (83, "fwmark 7"), (84, "")];
    let servers: String = all.iter().map(|(port, words)| real(*port, words)).collect();
    let d = start(
        host,
        &format!(
            "virtual_server 10.77.0.100 80 {{\n delay_loop 1\n warmup 0.1\n alpha\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{servers}}}\n"
        ),
    );
    for (port, _) in all {
        d.wait_log(&format!("TCP connection to [10.77.0.2]:tcp:{port} success"), seconds(10));
        d.wait_log(&format!("UDP connection to [10.77.0.2]:tcp:{port} success"), seconds(10));
    }
    for (port, from) in [(81, "10.77.0.50"), (82, "10.78.0.1"), (83, "10.77.0.1"), (84, "10.77.0.1")] {
        for asked in [port, port + 1000] {
            // The check may know first.
            assert!(eventually(seconds(5), || !witness.of(asked).is_empty()), "{asked}: {}", d.log());
            assert_eq!(witness.of(asked), [from], "{asked}: {}", d.log());
        }
        assert_eq!(counted(&format!("mark{port}")), port == 83, "{port}");
        assert_eq!(counted(&format!("out{port}")), port == 82, "{port}");
    }
    assert_eq!(d.stop(), Some(0));
}
