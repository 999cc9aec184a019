//! Words that all checks have: where they ask, from where, by which link and mark, how often, and how long they wait.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const SOON: Duration = Duration::from_secs(10);

/// Each check with the words that only it needs. Its port is 9000 and its number.
const CHECKS: [(&str, &str); 10] = [
    ("TCP_CHECK", ""),
    ("HTTP_GET", "url {\n path /\n status_code 200\n }"),
    ("SSL_GET", "url {\n path /\n status_code 200\n }"),
    ("SMTP_CHECK", ""),
    ("SMTP_CHECK", "host"),
    ("DNS_CHECK", "name example.org"),
    ("UDP_CHECK", "payload 6869\n require_reply 6869"),
    ("AGENT_CHECK", ""),
    ("GRPC_CHECK", ""),
    ("PING_CHECK", ""),
];

/// Words of all, of each virtual server, of each real server and of each check.
fn conf(globals: &str, service: &str, server: &str, words: impl Fn(usize) -> String) -> String {
    let mut text = format!("global_defs {{\n script_user root\n {globals}\n}}\n");
    for (n, (kind, own)) in CHECKS.iter().enumerate() {
        let check = match *own {
            "host" => format!("{kind} {{\n host {{\n {}\n }}\n }}", words(n)),
            own => format!("{kind} {{\n {own}\n {}\n }}", words(n)),
        };
        let protocol = if matches!(*kind, "DNS_CHECK" | "UDP_CHECK") { "UDP" } else { "TCP" };
        text += &format!(
            "virtual_server 10.77.0.100 {} {{\n lb_algo rr\n lb_kind NAT\n protocol {protocol}\n {service}\n real_server 10.77.0.2 {} {{\n \
             weight 1\n {server}\n {check}\n }}\n}}\n",
            9000 + n,
            8000 + n
        );
    }
    text
}

/// A question on the wire: when, of which check, from which hardware address, address and port, to which address.
#[derive(Debug)]
struct Question {
    at: Duration,
    check: usize,
    mac: [u8; 6],
    from: (Ipv4Addr, u16),
    to: Ipv4Addr,
}

fn question(at: Duration, frame: &[u8]) -> Option<Question> {
    let packet = frame.get(14..).filter(|_| frame.get(12..14) == Some(&[8, 0]))?;
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
    let rest = packet.get(usize::from(packet.first()? & 15) * 4..)?;
    let port = |at: usize| Some(u16::from_be_bytes([*rest.get(at)?, *rest.get(at + 1)?]));
    let (check, source) = match packet.get(9)? {
        // The first packet of a connection.
        6 if rest.get(13)? & 0x12 == 2 => (port(2)?.checked_sub(9000)?.into(), port(0)?),
        17 => (port(2)?.checked_sub(9000)?.into(), port(0)?),
        // An echo request: its identifier.
        1 if rest.first()? == &8 => (CHECKS.len() - 1, port(4)?),
        _ => return None,
    };
    let mac = frame.get(6..12)?.try_into().ok()?;
    (check < CHECKS.len()).then_some(Question { at, check, mac, from: (address(12)?, source), to: address(16)? })
}

/// What a host hears while something happens.
fn heard(host: &Host, what: impl FnOnce()) -> Vec<Question> {
    let end = Arc::new(AtomicBool::new(false));
    let ended = end.clone();
    let ear = host.inside(move || wire::frames(Duration::from_secs(60), || ended.load(Ordering::Relaxed)));
    what();
    end.store(true, Ordering::Relaxed);
    ear.join().expect("ear").iter().filter_map(|(at, frame)| question(*at, frame)).collect()
}

/// How often the log says that a check failed.
fn failures(log: &str, n: usize) -> usize {
    let failed = |l: &&str| l.contains(&format!(":{} failed", 8000 + n));
    log.lines().filter(failed).count()
}

fn set(host: &Host, path: &'static str, value: &'static str) {
    host.inside(move || std::fs::write(path, value).expect("setting")).join().expect("thread");
}

#[test]
fn each_check_asks_where_and_from_where_and_as_often_as_it_is_told() {
    require!();
    let lan = Lan::new(2);
    let (host, server) = (&lan.hosts[0], &lan.hosts[1]);
    server.ip("addr add 10.77.0.22/24 dev eth0");
    set(server, "/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
    // A second link, with the address that questions are to come from.
    host.ip("link add link eth0 name mv0 type macvlan mode bridge");
    for link in ["all", "mv0", "eth0"] {
        let path: &'static str = Box::leak(format!("/proc/sys/net/ipv4/conf/{link}/rp_filter").into_boxed_str());
        set(host, path, "0");
    }
    set(host, "/proc/sys/net/ipv4/conf/all/arp_ignore", "1");
    host.ip("link set mv0 up");
    host.ip("addr add 10.77.0.11/32 dev mv0");
    // Only who has the mark gets there, and who names no link goes by the other one.
    host.ip("route add unreachable 10.77.0.22/32");
    host.ip("rule add fwmark 7 lookup 77 pref 7");
    host.ip("route add 10.77.0.22/32 dev eth0 table 77 metric 1");
    host.ip("route add 10.77.0.22/32 dev mv0 table 77 metric 2");
    let mac = |link: &str| -> Vec<u8> {
        let shown = host.show(&format!("-o link show dev {link}"));
        let text = shown.split("link/ether ").nth(1).expect("mac").split(' ').next().expect("mac").to_string();
        text.split(':').map(|b| u8::from_str_radix(b, 16).expect("byte")).collect()
    };
    let (near, far) = (mac("eth0"), mac("mv0"));
    let words = |n: usize, link: &str, all: &str| {
        let port = 33000 + n;
        let reach =
            "connect_ip 10.77.0.22\n bindto 10.77.0.11\n fwmark 7\n connect_timeout 0.4\n warmup 0.2\n delay_loop 1";
        format!("{reach}\n connect_port {}\n bind_port {port}\n {link}\n {all}", 9000 + n)
    };
    let mut lines = Vec::new();
    // A check's own word is before that of the file.
    let everywhere = "checker_log_all_failures";
    for (globals, link, all, mac) in [
        ("", "bind_if mv0", "log_all_failures", &far),
        ("", "", "", &near),
        (everywhere, "bind_if mv0", "log_all_failures no", &far),
        (everywhere, "bind_if mv0", "", &far),
    ] {
        let mut log = String::new();
        let seen = heard(server, || {
            let d = Daemon::start(host, Kind::Steadfast, &conf(globals, "", "", |n| words(n, link, all)));
            d.wait_log("Startup complete", SOON);
            std::thread::sleep(Duration::from_millis(4600));
            log = d.log();
            assert_eq!(d.stop(), Some(0));
        });
        for (n, (kind, own)) in CHECKS.iter().enumerate() {
            let of: Vec<&Question> = seen.iter().filter(|q| q.check == n).collect();
            let name = format!("{kind} {own} {link}");
            assert!((3..=6).contains(&of.len()), "{name}: {of:?}\n{log}");
            for q in &of {
                assert_eq!(q.to, Ipv4Addr::new(10, 77, 0, 22), "{name}");
                assert_eq!(q.from.0, Ipv4Addr::new(10, 77, 0, 11), "{name}");
                assert_eq!(q.mac.as_slice(), mac.as_slice(), "{name}");
                assert_eq!(usize::from(q.from.1), 33000 + n, "{name}");
            }
            // A second apart, give or take what a busy machine adds: the mean.
            let mean = (of[of.len() - 1].at - of[0].at) / u32::try_from(of.len() - 1).expect("few");
            assert!((700..1400).contains(&mean.as_millis()), "{name}: {of:?}");
        }
        lines.push((0..CHECKS.len()).map(|n| failures(&log, n)).collect::<Vec<_>>());
    }
    // Each failure is told where that is wanted, else the first.
    for (of, many) in lines.iter().zip([true, false, false, true]) {
        assert!(of.iter().all(|n| if many { *n >= 3 } else { *n == 1 }), "{lines:?}");
    }
}

/// Without the word it would be five seconds. A check has it of its own, or from around it.
#[test]
fn each_check_gives_up_a_silent_server_when_it_is_told_to() {
    require!();
    let lan = Lan::new(2);
    let (host, server) = (&lan.hosts[0], &lan.hosts[1]);
    // It hears everything and answers nothing.
    server.ip("route add blackhole 10.77.0.1/32");
    set(server, "/proc/sys/net/ipv4/icmp_echo_ignore_all", "1");
    let (short, long) = ("connect_timeout 0.5", "connect_timeout 60");
    for (service, server, check) in [(long, long, short), (long, short, ""), (short, "", "")] {
        let words = |n: usize| format!("{check}\n warmup 0.1\n delay_loop 60\n connect_port {}", 9000 + n);
        let d = Daemon::start(host, Kind::Steadfast, &conf("", service, server, words));
        d.wait_log("Startup complete", SOON);
        let told = || (0..CHECKS.len()).map(|n| failures(&d.log(), n)).collect::<Vec<_>>();
        let all = eventually(Duration::from_secs(4), || told().iter().all(|n| *n == 1));
        assert!(all, "{service}, {server}, {check}: {:?}\n{}", told(), d.log());
        assert_eq!(d.stop(), Some(0));
    }
}
