//! Servers and scripts that misbehave: an honest "down" with the reason, bounded memory, nothing else delayed. And real servers of
//! the kinds that are checked.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::file;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A program on a host, ended with all that it started.
struct Program(Child);

impl Program {
    fn start(host: &Host, program: &str, arguments: &[&str], folder: &Path) -> Program {
        let log = std::fs::File::create(folder.join("program.log")).expect("log");
        let mut command = host.command("setsid");
        command.arg(program).args(arguments).current_dir(folder).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("log")).stderr(log);
        Program(command.spawn().expect("program"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One port for each misdeed.
const SERVERS: &str = r#"
import socket, struct, threading, time
def garbage(c): c.sendall(bytes(range(256)) * 40)
def endless_head(c):
    c.sendall(b"HTTP/1.1 200 OK\r\n")
    while True: c.sendall(b"X-Filler: " + b"y" * 500 + b"\r\n")
def endless_body(c):
    c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True: c.sendall(b"z" * 65536)
def slow(c):
    for b in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"s" * 1000:
        c.sendall(bytes([b])); time.sleep(0.5)
def wrong_length(c): c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\nContent-Length: 13\r\n\r\nhello")
def reset(c): c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
def alert(c): c.sendall(b"\x15\x03\x03\x00\x02\x02\x28")
def silent(c): time.sleep(60)
def digits(c): c.sendall(b"HTTP/1.1 " + b"9" * 4096); time.sleep(60)
def well(c): c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
def serve(port, deed):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port)); s.listen(50)
    def one(c):
        try:
            c.recv(4096); deed(c)
        except OSError: pass
        finally: c.close()
    while True:
        c, _ = s.accept(); threading.Thread(target=one, args=(c,), daemon=True).start()
deeds = [garbage, endless_head, endless_body, slow, wrong_length, reset, alert, silent, digits, well]
for n, d in enumerate(deeds): threading.Thread(target=serve, args=(8000 + n, d), daemon=True).start()
def bomb():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 53))
    while True:
        q, a = s.recvfrom(2048)
        # a name that points to itself, in a hundred records
        s.sendto(q[:2] + b"\x81\x80\x00\x01\x00\x64\x00\x00\x00\x00" + b"\xc0\x0c" * 600, a)
bomb()
"#;

fn service(port: u16, kind: &str, more: &str) -> String {
    let check = match kind {
        "DNS_CHECK" => "DNS_CHECK {\n connect_timeout 1\n retry 0\n log_all_failures\n }".to_string(),
        _ => {
            format!(
                "{kind} {{\n url {{\n path /\n {more}\n }}\n connect_timeout 1\n retry 0\n log_all_failures\n http_protocol 1.1\n }}"
            )
        }
    };
    let protocol = if kind == "DNS_CHECK" { "UDP" } else { "TCP" };
    format!(
        "virtual_server 10.77.0.100 {port} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol {protocol}\n \
         real_server 10.77.0.2 {port} {{\n {check}\n }}\n}}\n"
    )
}

const BESIDE: &str =
    "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 52\n virtual_ipaddress {\n 10.77.0.101/24\n }\n}\n";

#[test]
fn servers_that_misbehave_are_down_with_a_reason() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let program = file(folder.path(), "servers.py", SERVERS);
    let _servers = Program::start(&lan.hosts[1], "python3", &[&program], folder.path());
    let regex = "status_code 200\n regex \"never there\"";
    let cases: &[(u16, &str, &str, &[&str])] = &[
        (8000, "HTTP_GET", "status_code 200", &["closed before the answer was complete"]),
        (8001, "HTTP_GET", "status_code 200", &["HTTP header too large", "header fields too large"]),
        (8002, "HTTP_GET", regex, &["timeout", "too large"]),
        (8003, "HTTP_GET", "status_code 200", &["timeout reading"]),
        (8004, "HTTP_GET", "status_code 200", &["malformed answer: content length"]),
        (8005, "HTTP_GET", "status_code 200", &["Connection reset", "connection closed"]),
        (8006, "SSL_GET", "status_code 200", &["takes no cipher"]),
        (8007, "HTTP_GET", "status_code 200", &["timeout reading"]),
        (8008, "HTTP_GET", "status_code 200", &["timeout reading", "malformed"]),
        (53, "DNS_CHECK", "", &["malformed answer: DNS message"]),
    ];
    let mut text = String::from(BESIDE);
    text += &service(8009, "HTTP_GET", "status_code 200");
    cases.iter().for_each(|(port, kind, more, _)| text += &service(*port, kind, more));
    let listens =
        || lan.hosts[1].command("bash").args(["-c", ": < /dev/tcp/127.0.0.1/8009"]).stderr(Stdio::null()).status();
    assert!(eventually(seconds(10), || listens().is_ok_and(|s| s.success())));
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    for (port, _, _, reasons) in cases {
        let name = format!("[10.77.0.2]:{}:{port} failed", if *port == 53 { "udp" } else { "tcp" });
        let said = || d.log().lines().any(|l| l.contains(&name) && reasons.iter().any(|r| l.contains(r)));
        assert!(eventually(seconds(20), said), "{port}, {reasons:?}:\n{}", d.log());
    }
    // The one that is well is not delayed by its neighbours, and none of them has filled the memory.
    assert!(!d.log().contains("tcp:8009 failed"), "{}", d.log());
    std::thread::sleep(seconds(3));
    let pid = d.pid_of("check.pid").expect("pid");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let resident: u64 = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
        .expect("resident memory");
    assert!(resident < 40 * 1024, "{resident} KiB");
    assert_eq!(d.stop(), Some(0));
}

/// Servers that send without end, as fast as they can, and one that notes when it is asked.
const ENDLESS: &str = r#"
import socket, sys, threading, time
def serve(port, deed):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("0.0.0.0", port)); s.listen(50)
    while True:
        c, _ = s.accept()
        deed(c)
def endless(c):
    def send():
        try:
            c.recv(4096); c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            while True: c.sendall(b"a" * 262144)
        except OSError: c.close()
    threading.Thread(target=send, daemon=True).start()
def asked(c):
    print(time.monotonic(), flush=True); c.close()
threading.Thread(target=serve, args=(8000, endless), daemon=True).start()
serve(8001, asked)
"#;

/// The times of thirty questions that are due each 0.2 s, with this beside.
fn questions(lan: &Lan, folder: &Path, beside: &str) -> Vec<f64> {
    let program = file(folder, "endless.py", ENDLESS);
    let _servers = Program::start(&lan.hosts[1], "python3", &[&program], folder);
    let listens =
        || lan.hosts[1].command("bash").args(["-c", ": < /dev/tcp/127.0.0.1/8000"]).stderr(Stdio::null()).status();
    assert!(eventually(seconds(10), || listens().is_ok_and(|s| s.success())));
    let text = "virtual_server 10.77.0.99 80 {\n delay_loop 0.2\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
                real_server 10.77.0.2 8001 {\n TCP_CHECK {\n retry 0\n }\n }\n}\n";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("{text}{beside}"));
    let times = || -> Vec<f64> {
        let log = std::fs::read_to_string(folder.join("program.log")).unwrap_or_default();
        log.lines().filter_map(|l| l.parse().ok()).collect()
    };
    assert!(eventually(seconds(30), || times().len() >= 30), "{:?}\n{}", times(), d.log());
    assert_eq!(d.stop(), Some(0));
    times()
}

/// The tenth longest pause between them: a host that is busy delays some.
fn pause(times: &[f64]) -> f64 {
    let mut pauses: Vec<f64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    pauses.sort_by(f64::total_cmp);
    pauses[pauses.len() * 2 / 3]
}

#[test]
fn bodies_without_end_delay_nobody_else() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let bodies: String = (1..=20)
        .map(|i| {
            format!(
                "virtual_server 10.77.0.100 {i} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
                 real_server 10.77.0.2 8000 {{\n HTTP_GET {{\n url {{\n path /{i}\n regex \"^(a|b)*c$\"\n }}\n connect_timeout 3\n \
                 retry 0\n }}\n }}\n}}\n"
            )
        })
        .collect();
    let times = questions(&lan, folder.path(), &bodies);
    assert!(pause(&times) < 0.4, "{times:?}");
}

#[test]
fn scripts_that_misbehave_are_ended_and_hold_nobody_up() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    let scripts = [
        ("hangs", "exec sleep 1000\n"),
        ("stubborn", &format!("trap '' TERM\necho $$ >> {at}/stubborn.pids\nwhile :; do sleep 1; done\n")),
        ("floods", "yes | head -c 50000000\nyes | head -c 50000000 >&2\nexit 3\n"),
        ("forks", &format!("sleep 987 & echo $! > {at}/forked\nsleep 1000\n")),
        ("well", &format!("echo x >> {at}/runs\nexit 0\n")),
    ];
    let mut text = format!("global_defs {{\n script_user root\n}}\n{BESIDE}");
    for (n, (name, body)) in scripts.iter().enumerate() {
        let path = file(folder.path(), name, &format!("#!/bin/bash\n{body}"));
        std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        text += &format!(
            "virtual_server 10.77.0.100 {} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server 10.77.0.2 80 {{\n MISC_CHECK {{\n misc_path {path}\n misc_timeout 1\n log_all_failures\n }}\n }}\n}}\n",
            80 + n
        );
    }
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    let late = "timed out after 1 s";
    for (name, reason) in [("hangs", late), ("stubborn", late), ("floods", "status 3"), ("forks", late)] {
        let said = || d.log().lines().any(|l| l.contains(&format!("/{name}] failed")) && l.contains(reason));
        assert!(eventually(seconds(20), said), "{name}:\n{}", d.log());
    }
    // What a script left behind goes with it: its whole process group.
    let forked = std::fs::read_to_string(folder.path().join("forked")).expect("pid");
    let gone = || !Path::new(&format!("/proc/{}", forked.trim())).exists();
    assert!(eventually(seconds(10), gone), "sleep {forked} lives on");
    // Who does not heed SIGTERM is killed, and only then is the next one started.
    let stubborn = || std::fs::read_to_string(folder.path().join("stubborn.pids")).unwrap_or_default();
    assert!(eventually(seconds(20), || stubborn().lines().count() >= 2), "{}: {}", stubborn(), d.log());
    let first = stubborn().lines().next().unwrap_or_default().to_string();
    assert!(!Path::new(&format!("/proc/{first}")).exists(), "{first} lives on: {}", d.log());
    let runs = || std::fs::read_to_string(folder.path().join("runs")).unwrap_or_default().lines().count();
    let before = runs();
    std::thread::sleep(seconds(4));
    assert!(runs() >= before + 3, "{before} runs, then {}", runs());
    assert_eq!(d.stop(), Some(0));
}

const POSTFIX: &str = "/usr/sbin/postfix";

/// Postfix with a queue of its own.
struct Postfix<'a>(&'a Host, String, Program);

impl<'a> Postfix<'a> {
    fn start(host: &'a Host, folder: &Path) -> Postfix<'a> {
        let at = folder.join("postfix").display().to_string();
        let made = std::process::Command::new("sh")
            .args([
                "-c",
                &format!(
                    "chmod 0755 {} && mkdir -p {at}/queue {at}/data {at}/etc && chown postfix {at}/data",
                    folder.display()
                ),
            ])
            .status()
            .expect("sh");
        assert!(made.success());
        let etc = folder.join("postfix/etc");
        file(
            &etc,
            "main.cf",
            &format!(
                "compatibility_level = 3.6\nqueue_directory = {at}/queue\ndata_directory = {at}/data\nmaillog_file = /dev/stdout\n\
                 myhostname = mail.example.org\nmydestination =\nalias_maps =\ninet_interfaces = all\ninet_protocols = ipv4\n"
            ),
        );
        file(
            &etc,
            "master.cf",
            "25 inet n - n - - smtpd\npickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
             rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\nanvil unix - - n - 1 anvil\n\
             postlog unix-dgram n - n - 1 postlogd\nproxymap unix - - n - - proxymap\n",
        );
        let etc = etc.display().to_string();
        let program = Program::start(host, POSTFIX, &["-c", &etc, "start-fg"], folder);
        Postfix(host, etc, program)
    }
}

impl Drop for Postfix<'_> {
    fn drop(&mut self) {
        let mut stop = self.0.command(POSTFIX);
        let _ = stop
            .args(["-c", &self.1, "stop"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let _ = self.2.0.wait();
    }
}

#[test]
fn a_real_mail_server_and_a_real_name_server() {
    require!();
    let unbound = "/usr/sbin/unbound";
    if !Path::new(unbound).exists() || !Path::new(POSTFIX).exists() {
        println!("SKIPPED: real DNS and SMTP servers: unbound and postfix are not installed");
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    let conf = file(
        folder.path(),
        "unbound.conf",
        &format!(
            "server:\n interface: 0.0.0.0\n access-control: 0.0.0.0/0 allow\n chroot: \"\"\n directory: \"{at}\"\n username: \"\"\n \
             pidfile: \"{at}/unbound.pid\"\n do-daemonize: no\n use-syslog: no\n module-config: iterator\n \
             local-zone: \"example.org.\" static\n local-data: \"example.org. 60 IN SOA a. b. 1 2 3 4 5\"\n \
             local-data: \"www.example.org. 60 IN A 192.0.2.1\"\nremote-control:\n control-enable: no\n"
        ),
    );
    let name_server = Program::start(&lan.hosts[1], unbound, &["-d", "-c", &conf], folder.path());
    let mail_server = Postfix::start(&lan.hosts[1], folder.path());
    let check = |port: u16, protocol: &str, check: &str| {
        format!(
            "virtual_server 10.77.0.100 {port} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol {protocol}\n alpha\n \
             real_server 10.77.0.2 {port} {{\n {check}\n }}\n}}\n"
        )
    };
    let mut text = format!(
        "{BESIDE}{}{}",
        check(53, "UDP", "DNS_CHECK {\n type A\n name www.example.org\n connect_timeout 2\n retry 0\n }"),
        check(
            25,
            "TCP",
            "SMTP_CHECK {\n helo_name director.example.org\n connect_timeout 5\n retry 0\n host {\n connect_ip 10.77.0.2\n }\n }"
        ),
    );
    text += &check(
        5353,
        "UDP",
        "DNS_CHECK {\n connect_port 53\n log_all_failures\n type A\n name nobody.example.org\n connect_timeout 2\n retry 0\n }",
    );
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    d.wait_log("DNS_CHECK ([10.77.0.2]:udp:53) success", seconds(15));
    d.wait_log("DNS response code 3", seconds(15));
    d.wait_log("Remote SMTP server [10.77.0.2]:tcp:25 succeed on service", seconds(30));
    drop(name_server);
    drop(mail_server);
    d.wait_log("DNS_CHECK on service [10.77.0.2]:udp:53 failed", seconds(15));
    d.wait_log("SMTP_CHECK on service [10.77.0.2]:tcp:25 failed", seconds(15));
    assert_eq!(d.stop(), Some(0));
}
