//! Checks whose questions and outcomes are seen at the other end: echo requests, tracked files, addresses that come and go, IPv6, mail.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use steadfast_test_cluster::daemon::{ask, file};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const BESIDE: &str =
    "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.77.0.99/24\n }\n}\n";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn start(host: &Host, text: &str) -> Daemon {
    Daemon::start(host, Kind::Steadfast, &format!("{text}{BESIDE}"))
}

/// A virtual server that asks often.
fn service(head: &str, settings: &str, server: &str, words: &str) -> String {
    format!(
        "virtual_server {head} {{\n delay_loop 0.5\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n {settings}\n real_server {server} {{\n \
         weight 1\n {words}\n }}\n}}\n"
    )
}

/// Lines of the log with all of these words.
fn said(d: &Daemon, words: &[&str]) -> usize {
    d.log().lines().filter(|l| words.iter().all(|w| l.contains(w))).count()
}

fn wait(d: &Daemon, times: usize, words: &[&str]) {
    assert!(eventually(seconds(15), || said(d, words) >= times), "{words:?}, {times} times: {}", d.log());
}

/// A server, until it is dropped: what it heard, and from whom.
struct Server {
    heard: Arc<Mutex<Vec<(SocketAddr, String)>>>,
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(host: &Host, address: &'static str, talk: fn(TcpStream) -> String) -> Server {
        let (heard, end): (Arc<Mutex<Vec<_>>>, Arc<AtomicBool>) = Default::default();
        let (h, e) = (heard.clone(), end.clone());
        let thread = host.inside(move || {
            let listener = TcpListener::bind(address).expect("bind");
            listener.set_nonblocking(true).expect("nonblocking");
            while !e.load(Ordering::Relaxed) {
                let Ok((stream, from)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                stream.set_nonblocking(false).expect("blocking");
                stream.set_read_timeout(Some(seconds(2))).expect("timeout");
                let said = talk(stream);
                h.lock().expect("lock").push((from, said));
            }
        });
        Server { heard, end, thread: Some(thread) }
    }

    fn heard(&self) -> Vec<(SocketAddr, String)> {
        self.heard.lock().expect("lock").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        self.thread.take().map(JoinHandle::join);
    }
}

/// Reads a request head and says that all is well.
fn page(stream: TcpStream) -> String {
    let mut head = String::new();
    for line in BufReader::new(&stream).lines().map_while(Result::ok).take_while(|l| !l.is_empty()) {
        head += &line;
        head.push('\n');
    }
    let _ = (&stream).write_all(b"HTTP/1.0 200 OK\r\n\r\nfine\n");
    head
}

/// Takes one mail, slowly: a mail server may look its client up before it greets.
fn mail(stream: TcpStream) -> String {
    std::thread::sleep(Duration::from_millis(150));
    let say = |text: &str| drop((&stream).write_all(text.as_bytes()));
    say("220 mail.example\r\n");
    let (mut text, mut inside) = (String::new(), false);
    for line in BufReader::new(&stream).lines().map_while(Result::ok) {
        match line.split(' ').next().unwrap_or_default() {
            "." if inside => {
                inside = false;
                say("250 taken\r\n");
            }
            _ if inside => text += &(line + "\n"),
            "DATA" => {
                inside = true;
                say("354 go on\r\n");
            }
            "QUIT" => {
                say("221 bye\r\n");
                break;
            }
            _ => say("250 fine\r\n"),
        }
    }
    text
}

/// The checker's own mail: of a server that comes up, and of the stop (`omega`), for which the process stays until it is sent.
#[test]
fn mail_of_the_checker_arrives_also_that_of_the_stop() {
    require!();
    let lan = Lan::new(2);
    let _web = Server::start(&lan.hosts[1], "10.77.0.2:80", page);
    let post = Server::start(&lan.hosts[1], "10.77.0.2:25", mail);
    let globals = "global_defs {\n router_id LB\n notification_email {\n ops@example.org\n }\n notification_email_from lb@example.org\n \
                   smtp_server 10.77.0.2 25\n smtp_alert_checker\n}\n";
    let text = service("10.77.0.100 80", "omega", "10.77.0.2 80", "TCP_CHECK {\n }");
    let d = start(&lan.hosts[0], &format!("{globals}{text}"));
    let subjects = || -> Vec<String> {
        let mails = post.heard().into_iter().map(|(_, m)| m.replace("\n ", " "));
        mails.filter_map(|m| m.lines().find_map(|l| l.strip_prefix("Subject: ").map(String::from))).collect()
    };
    let server = "[LB] Realserver [10.77.0.2]:tcp:80 of virtual server [10.77.0.100]:tcp:80 - ";
    let service = "[LB] Virtualserver [10.77.0.100]:tcp:80 - ";
    // With alpha it begins without its quorum, which is no news.
    let begun = ["DOWN", "UP"].map(|w| format!("{service}{w}"));
    let wanted = [&format!("{server}UP"), &begun[1]];
    assert!(eventually(seconds(15), || subjects().len() >= 2), "{:?} {}", subjects(), d.log());
    assert!(subjects().iter().eq(wanted), "{:?}", subjects());
    assert_eq!(d.stop(), Some(0));
    // The server has taken them when the process is gone, and counts them a moment later.
    assert!(eventually(seconds(2), || subjects().len() >= 4), "{:?}", subjects());
    assert_eq!(subjects()[2..], [format!("{server}DOWN"), begun[0].clone()]);
}

/// Who is written of: servers by their own word, else by the global ones, else they are; virtual servers in the same way, else they are not.
#[test]
fn mail_is_of_those_servers_that_are_to_be_written_of() {
    require!();
    let lan = Lan::new(2);
    let _web = Server::start(&lan.hosts[1], "10.77.0.2:80", page);
    let at = |port: u16, own: &str, third: &str| {
        let server = |n: u16, words: &str| {
            let check = "TCP_CHECK {\n connect_ip 10.77.0.2\n connect_port 80\n }";
            format!(" real_server 10.77.0.{n} 80 {{\n {words}\n {check}\n }}\n")
        };
        format!(
            "virtual_server 10.77.0.100 {port} {{\n delay_loop 0.5\n warmup 0.1\n protocol TCP\n alpha\n omega\n {own}\n{}{}}}\n",
            server(2, ""),
            server(3, third)
        )
    };
    for (globals, own, third, services, number) in [
        ("smtp_alert", "smtp_alert no", "smtp_alert no", &[80][..], 2),
        ("smtp_alert\n no_checker_emails", "", "smtp_alert no", &[80, 81], 2),
        ("", "smtp_alert", "smtp_alert no", &[81], 2),
        ("smtp_alert\n smtp_alert_checker no", "", "smtp_alert", &[], 3),
    ] {
        let post = Server::start(&lan.hosts[1], "10.77.0.2:25", mail);
        let globals = format!(
            "global_defs {{\n router_id LB\n notification_email {{\n ops@example.org\n }}\n smtp_server 10.77.0.2 25\n smtp_alert_vrrp no\n \
             {globals}\n}}\n"
        );
        let d = start(&lan.hosts[0], &(globals + &at(80, "", third) + &at(81, own, third)));
        for port in [80, 81] {
            wait(&d, 1, &["Gained quorum", &format!("tcp:{port}")]);
            wait(&d, 2, &["Adding service", &format!("to VS [10.77.0.100]:tcp:{port}")]);
        }
        let subjects = || -> Vec<String> {
            let mails = post.heard().into_iter().map(|(_, m)| m.replace("\n ", " "));
            let mut all: Vec<_> = mails
                .filter_map(|m| m.lines().find_map(|l| l.strip_prefix("Subject: [LB] ").map(String::from)))
                .collect();
            all.sort();
            all
        };
        let begun = 2 + services.len();
        assert!(eventually(seconds(10), || subjects().len() == begun), "{own} {third}: {:#?}", subjects());
        // With omega a stop says goodbye, and waits until everything is sent.
        assert_eq!(d.stop(), Some(0));
        let of_server = |port: u16| {
            let server = format!("Realserver [10.77.0.{number}]:tcp:80 of virtual server [10.77.0.100]:tcp:{port}");
            ["DOWN", "UP"].map(|word| format!("{server} - {word}"))
        };
        let of_service =
            |port: &u16| ["DOWN", "UP"].map(|word| format!("Virtualserver [10.77.0.100]:tcp:{port} - {word}"));
        let servers = [80, 81].into_iter().flat_map(of_server);
        let wanted: Vec<String> = servers.chain(services.iter().flat_map(of_service)).collect();
        assert!(eventually(seconds(5), || subjects() == wanted), "{own} {third}: {:#?}", subjects());
    }
}

/// `virtualhost` of a virtual server, of a real one, of a check and of a page: the nearest one counts.
#[test]
fn the_nearest_name_of_a_host_is_asked_for() {
    require!();
    let lan = Lan::new(2);
    let web = Server::start(&lan.hosts[1], "10.77.0.2:80", page);
    let names = ["service", "server", "check", "page"].map(|n| format!("virtualhost {n}.example"));
    // Of the four words the first ones.
    let text = (0..=4).map(|n| {
        let [of_service, of_server, of_check, of_page] =
            [0, 1, 2, 3].map(|k| if k < n { names[k].as_str() } else { "" });
        let url = format!("url {{\n path /{n}\n status_code 200\n {of_page}\n }}");
        let words = format!("{of_server}\n HTTP_GET {{\n {of_check}\n {url}\n }}");
        service(&format!("10.77.0.100 {}", 80 + n), of_service, "10.77.0.2 80", &words)
    });
    let d = start(&lan.hosts[0], &text.collect::<String>());
    for (n, host) in
        ["10.77.0.2", "service.example", "server.example", "check.example", "page.example"].iter().enumerate()
    {
        let asked = || web.heard().into_iter().map(|(_, head)| head).find(|h| h.starts_with(&format!("GET /{n} ")));
        assert!(eventually(seconds(10), || asked().is_some()), "{n}: {}", d.log());
        assert!(asked().is_some_and(|h| h.contains(&format!("\nHost: {host}\n"))), "{host}: {:?}", asked());
    }
    assert_eq!(d.stop(), Some(0));
}

/// A program has the account of its check, else that of the file.
#[test]
fn a_program_has_the_account_of_its_check() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    let path = file(folder.path(), "who", &format!("#!/bin/sh\nid -un > {at}/$1\n"));
    for (mode, of) in [("0755", path.as_str()), ("0777", at.as_str())] {
        std::process::Command::new("chmod").args([mode, of]).status().expect("chmod");
    }
    let check = |name: &str, words: &str| format!("MISC_CHECK {{\n misc_path \"{path} {name}\"\n {words}\n }}");
    let text = service("10.77.0.100 80", "", "10.77.0.2 80", &check("own", "user nobody"))
        + &service("10.77.0.100 81", "", "10.77.0.2 80", &check("file", ""));
    let d = start(&lan.hosts[0], &format!("global_defs {{\n script_user root\n}}\n{text}"));
    let said = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    for (name, account) in [("own", "nobody\n"), ("file", "root\n")] {
        assert!(eventually(seconds(10), || said(name) == account), "{name}: {:?}: {}", said(name), d.log());
    }
    assert_eq!(d.stop(), Some(0));
}

/// The kernel lets nobody have ICMP sockets before somebody says so.
#[test]
fn echo_requests_are_answered_or_not() {
    require!();
    let lan = Lan::new(2);
    let (host, server) = (&lan.hosts[0], &lan.hosts[1]);
    host.ip("addr add fd00:77::1/64 dev eth0 nodad");
    server.ip("addr add fd00:77::2/64 dev eth0 nodad");
    let range = || {
        let out = host.command("cat").arg("/proc/sys/net/ipv4/ping_group_range").output().expect("cat");
        String::from_utf8_lossy(&out.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(range(), "1 0");
    let ping = "PING_CHECK {\n connect_timeout 1\n retry 0\n }";
    let text = service("10.77.0.100 80", "", "10.77.0.2 80", ping)
        + &service("fd00:77::100 80", "", "fd00:77::2 80", ping)
        + &service("10.77.0.100 81", "", "10.77.0.9 80", ping);
    let d = start(host, &text);
    for (service, address) in [("[10.77.0.100]:tcp:80", "10.77.0.2/24"), ("[fd00:77::100]:tcp:80", "fd00:77::2/64")] {
        wait(&d, 1, &["Gained quorum", service]);
        server.ip(&format!("addr del {address} dev eth0"));
        wait(&d, 1, &["Lost quorum", service]);
        server.ip(&format!("addr add {address} dev eth0{}", if address.contains(':') { " nodad" } else { "" }));
        wait(&d, 2, &["Gained quorum", service]);
    }
    assert_eq!(said(&d, &["Gained quorum", "tcp:81"]), 0, "nobody is there: {}", d.log());
    assert_ne!(range(), "1 0");
    // Rounds went by: what is not there is told of once.
    assert!(said(&d, &["module ip_vs"]) <= 1, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_server_follows_its_file() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let number = file(folder.path(), "number", "0\n");
    let put = |n: &str| {
        let next = file(folder.path(), "next", n);
        std::fs::rename(next, &number).expect("rename");
    };
    let text = format!("track_file F {{\n file {number}\n}}\n")
        + &service("10.77.0.100 80", "", "10.77.0.2 80", "FILE_CHECK {\n track_file F\n weight 0\n }")
        + &service("10.77.0.100 81", "", "10.77.0.3 80", "FILE_CHECK {\n track_file F\n weight 0 reverse\n }");
    let d = start(&lan.hosts[0], &text);
    wait(&d, 1, &["Gained quorum", "tcp:80"]);
    put("1\n");
    wait(&d, 1, &["Lost quorum", "tcp:80"]);
    wait(&d, 1, &["Gained quorum", "tcp:81"]);
    put("0\n");
    wait(&d, 2, &["Gained quorum", "tcp:80"]);
    wait(&d, 1, &["Lost quorum", "tcp:81"]);
    assert_eq!(d.stop(), Some(0));
}

/// `ha_suspend`: nobody is asked while the address is not here.
#[test]
fn checks_rest_while_the_address_is_elsewhere() {
    require!();
    let lan = Lan::new(2);
    let (host, web) = (&lan.hosts[0], Server::start(&lan.hosts[1], "10.77.0.2:80", page));
    let beside = Server::start(&lan.hosts[1], "10.77.0.2:81", page);
    let check = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n }";
    let text = service("10.77.0.100 80", "ha_suspend", "10.77.0.2 80", check)
        + &service("10.77.0.101 81", "", "10.77.0.2 81", check);
    let d = start(host, &text);
    // Some rounds of a neighbour go by.
    let rounds = |n: usize| assert!(eventually(seconds(15), || beside.heard().len() >= n), "{}", d.log());
    rounds(4);
    assert_eq!(web.heard().len(), 0, "{}", d.log());
    host.ip("addr add 10.77.0.100/32 dev eth0");
    assert!(eventually(seconds(5), || !web.heard().is_empty()), "{}", d.log());
    wait(&d, 1, &["Gained quorum", "tcp:80"]);
    host.ip("addr del 10.77.0.100/32 dev eth0");
    wait(&d, 1, &["Suspending healthchecker", "[10.77.0.2]:tcp:80"]);
    let (asked, others) = (web.heard().len(), beside.heard().len());
    rounds(others + 4);
    // One that was under way may have come to its end.
    assert!(web.heard().len() <= asked + 1, "{asked}, {:?}: {}", web.heard().len(), d.log());
    assert_eq!(d.stop(), Some(0));
}

/// IPv6, a port of one's own and the address of another host, as the server sees them.
#[test]
fn what_a_server_sees_of_a_check() {
    require!();
    let lan = Lan::new(2);
    let (host, server) = (&lan.hosts[0], &lan.hosts[1]);
    host.ip("addr add fd00:77::1/64 dev eth0 nodad");
    server.ip("addr add fd00:77::2/64 dev eth0 nodad");
    let six = Server::start(server, "[fd00:77::2]:8080", page);
    let four = Server::start(server, "10.77.0.2:80", page);
    let end = Arc::new(AtomicBool::new(false));
    let e = end.clone();
    let echo = server.inside(move || {
        let socket = UdpSocket::bind("[fd00:77::2]:5353").expect("bind");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("timeout");
        let mut buffer = [0; 512];
        while !e.load(Ordering::Relaxed) {
            if let Ok((n, from)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&buffer[..n], from);
            }
        }
    });
    let url = "url {\n path /\n status_code 200\n }";
    let text = service("fd00:77::100 80", "", "fd00:77::2 8080", &format!("HTTP_GET {{\n {url}\n }}"))
        + &service("fd00:77::100 53", "", "fd00:77::2 5353", "UDP_CHECK {\n payload 6869\n require_reply 6869\n }")
        // The real server is somebody else.
        + &service("10.77.0.100 80", "", "10.77.0.9 8080",
            &format!("HTTP_GET {{\n {url}\n connect_ip 10.77.0.2\n connect_port 80\n bind_port 4321\n }}"));
    let d = start(host, &text);
    for service in ["[fd00:77::100]:tcp:80", "[fd00:77::100]:tcp:53", "[10.77.0.100]:tcp:80"] {
        wait(&d, 1, &["Gained quorum", service]);
    }
    let (from, head) = six.heard()[0].clone();
    assert_eq!(from.ip().to_string(), "fd00:77::1");
    assert!(head.contains("\nHost: [fd00:77::2]:8080\n"), "{head}");
    let (from, _) = four.heard()[0].clone();
    assert_eq!(from.to_string(), "10.77.0.1:4321");
    assert_eq!(d.stop(), Some(0));
    end.store(true, Ordering::Relaxed);
    echo.join().expect("echo");
}

/// `rs_init_notifies`: the first state of a server runs its notifier; without it the first change does.
#[test]
fn first_states_are_told_where_that_is_wanted() {
    require!();
    for (word, wanted) in [("rs_init_notifies", true), ("rs_init_notifies off", false), ("", false)] {
        let lan = Lan::new(2);
        let web = Server::start(&lan.hosts[1], "10.77.0.2:80", page);
        let folder = tempfile::tempdir().expect("folder");
        let at = folder.path().display().to_string();
        let path = file(folder.path(), "told", &format!("#!/bin/sh\necho $1 >> {at}/words\n"));
        std::process::Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        let globals = format!("global_defs {{\n script_user root\n {word}\n}}\n");
        let words = format!("notify_up \"{path} up\"\n notify_down \"{path} down\"\n TCP_CHECK {{\n retry 0\n }}");
        let text = service("10.77.0.100 80", "", "10.77.0.2 80", &words).replace(" alpha\n", "");
        let d = start(&lan.hosts[0], &format!("{globals}{text}"));
        let told = || std::fs::read_to_string(Path::new(&at).join("words")).unwrap_or_default();
        wait(&d, 1, &["TCP connection to [10.77.0.2]:tcp:80 success"]);
        drop(web);
        assert!(eventually(seconds(15), || told().ends_with("down\n")), "{}: {}", told(), d.log());
        assert_eq!(told(), if wanted { "up\ndown\n" } else { "down\n" }, "{}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}

/// What `track_virtual_server` names: a group, a mark, an address with a weight, and all that for a sync group.
#[test]
fn virtual_servers_are_tracked_by_every_name() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let number = file(folder.path(), "number", "0\n");
    let put = |n: &str| {
        let next = file(folder.path(), "next", n);
        std::fs::rename(next, &number).expect("rename");
    };
    let check = "FILE_CHECK {\n track_file F\n weight 0\n }";
    let mut text = format!("track_file F {{\n file {number}\n}}\nvirtual_server_group WEB {{\n 10.99.0.1 80\n}}\n");
    for head in ["group WEB", "fwmark 5", "10.99.0.2 80", "10.99.0.3 80"] {
        text += &service(head, "", "10.77.0.2 80", check).replace(" alpha\n", "");
    }
    let track = |words: &str| format!(" track_virtual_server {{\n {words}\n }}\n");
    let instances = [
        ("G", track("group WEB")),
        ("M", track("fwmark 5")),
        ("W", track("10.99.0.2 80 weight -50")),
        ("S1", String::new()),
        ("S2", String::new()),
    ];
    for (n, (name, more)) in instances.iter().enumerate() {
        text += &format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {}\n version 3\n advert_int 0.2\n priority 100\n virtual_ipaddress {{\n \
             10.77.0.{}/24\n }}\n{more}}}\n",
            60 + n,
            110 + n
        );
    }
    text += &format!("vrrp_sync_group S {{\n group {{\n S1\n S2\n }}\n{}}}\n", track("10.99.0.3 80"));
    let d = start(&lan.hosts[0], &text);
    let here = || -> Vec<u8> { (110..115).filter(|n| lan.hosts[0].has(&format!("10.77.0.{n}"))).collect() };
    let holds = |wanted: &[u8]| {
        assert!(eventually(seconds(15), || here() == wanted), "{:?}, not {wanted:?}: {}", here(), d.log());
    };
    holds(&[110, 111, 112, 113, 114]);
    put("1\n");
    holds(&[112]);
    wait(&d, 1, &["(W)", "effective priority", "50"]);
    put("0\n");
    holds(&[110, 111, 112, 113, 114]);
    wait(&d, 1, &["(W)", "effective priority", "100"]);
    assert_eq!(d.stop(), Some(0));
}

/// What the agent says now.
static WORD: Mutex<&str> = Mutex::new("");

/// An agent: a line to each who connects and sends its own.
fn agent(stream: TcpStream) -> String {
    let mut line = String::new();
    let _ = BufReader::new(&stream).read_line(&mut line);
    let word = *WORD.lock().expect("lock");
    let _ = (&stream).write_all(format!("{word}\n").as_bytes());
    line
}

#[test]
fn a_host_says_itself_how_it_is() {
    require!();
    let lan = Lan::new(2);
    let agent = Server::start(&lan.hosts[1], "10.77.0.2:7777", agent);
    let words = "weight 10\n AGENT_CHECK {\n connect_port 7777\n send hello\n }";
    let d = start(&lan.hosts[0], &service("10.77.0.100 80", "", "10.77.0.2 80", words));
    wait(&d, 1, &["Startup complete"]);
    let shows = |line: &str| {
        let now = || ask(&d, &["status"]);
        assert!(eventually(seconds(10), || now().contains(line)), "'{line}': {}{}", now(), d.log());
    };
    for (word, shown) in [
        ("up 50%", "up     [10.77.0.2]:tcp:80  weight 5, "),
        ("drain", "drained by its agent"),
        ("ready 100%", "up     [10.77.0.2]:tcp:80  weight 10, "),
        ("down #disk full\x1b[2J", "agent says down: disk full [2J"),
        ("down", "down   [10.77.0.2]:tcp:80"),
        // What a line does not name stays as it was.
        ("70%", "down   [10.77.0.2]:tcp:80"),
        ("UP", "up     [10.77.0.2]:tcp:80  weight 7, "),
        ("maint", "down   [10.77.0.2]:tcp:80"),
    ] {
        *WORD.lock().expect("lock") = word;
        // It has been heard.
        let asked = agent.heard().len();
        assert!(eventually(seconds(10), || agent.heard().len() >= asked + 2), "{word}: {}", d.log());
        shows(shown);
    }
    assert!(agent.heard().iter().all(|(_, line)| line == "hello\n"), "{:?}", agent.heard());
    // An agent that is away says nothing: nothing changes.
    drop(agent);
    wait(&d, 1, &["Lost quorum"]);
    assert_eq!(d.stop(), Some(0));
}

/// When most of a pool is down at once, the fault is rather with the check: all are kept, with an alarm.
#[test]
fn a_pool_is_not_emptied_at_once() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let (mut files, mut servers) = (String::new(), String::new());
    let put = |n: u32, value: &str| {
        let next = file(folder.path(), "next", value);
        std::fs::rename(next, folder.path().join(format!("number{n}"))).expect("rename");
    };
    for n in 1..=4 {
        put(n, "0\n");
        files += &format!("track_file F{n} {{\n file {}/number{n}\n}}\n", folder.path().display());
        servers += &format!(" real_server 10.77.1.{n} 80 {{\n FILE_CHECK {{\n track_file F{n}\n weight 0\n }}\n }}\n");
    }
    let text = format!(
        "{files}virtual_server 10.77.0.100 80 {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n panic_threshold 50\n{servers}}}\n"
    );
    let d = start(&lan.hosts[0], &text);
    wait(&d, 1, &["Gained quorum"]);
    put(1, "1\n");
    put(2, "1\n");
    wait(&d, 2, &["Removing service"]);
    put(3, "1\n");
    wait(&d, 1, &["3 of 4 servers failed", "all are kept in service"]);
    put(4, "1\n");
    let four = || ask(&d, &["status"]);
    assert!(eventually(seconds(10), || four().matches("down   [10.77.1.").count() == 4), "{}", four());
    // Nobody is left, and the service is kept with all of them.
    assert_eq!(said(&d, &["Lost quorum"]), 0, "{}", d.log());
    assert_eq!(said(&d, &["Removing service"]), 2, "{}", d.log());
    for n in 1..=3 {
        put(n, "0\n");
    }
    wait(&d, 1, &["failed ones are taken out again"]);
    assert_eq!(d.stop(), Some(0));
}
