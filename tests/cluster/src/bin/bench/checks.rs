//! What checks of many servers cost, and how evenly they are made. One listener answers for all addresses and writes down when
//! each was asked.

use crate::load::{cpu, memory, processes};
use crate::{Figure, row};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually};

/// Between checks of one server.
const LOOP: Duration = Duration::from_secs(5);

type Asked = Arc<Mutex<HashMap<IpAddr, Vec<Instant>>>>;

fn server(host: &Host, http: bool, end: Arc<AtomicBool>) -> (Asked, std::thread::JoinHandle<()>) {
    host.ip("route add local 10.100.0.0/16 dev lo");
    let asked = Asked::default();
    let told = asked.clone();
    let work = host.inside(move || {
        // What measures must not itself be late: where that may not be, a busy host shows in the figure.
        let own = nix::unistd::gettid().to_string();
        let _ = Command::new("chrt").args(["-f", "-p", "10", &own]).stderr(Stdio::null()).status();
        let listener = TcpListener::bind(("0.0.0.0", 80)).expect("bind");
        listener.set_nonblocking(true).expect("nonblocking");
        // Of a full queue the kernel drops the first packet, and a client tries again a second later: that would be our lateness.
        socket2::SockRef::from(&listener).listen(4096).expect("queue");
        let mut buffer = [0; 1024];
        while !end.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = listener.accept() else {
                std::thread::sleep(Duration::from_micros(500));
                continue;
            };
            let at = Instant::now();
            if let Ok(local) = stream.local_addr() {
                told.lock().expect("lock").entry(local.ip()).or_default().push(at);
            }
            if http {
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
            }
        }
    });
    (asked, work)
}

fn configuration(n: u32, http: bool) -> String {
    let check = if http {
        "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 3\n }"
    } else {
        "TCP_CHECK {\n connect_timeout 3\n }"
    };
    let mut text = std::env::var("BENCH_GLOBALS").unwrap_or_default()
        + "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 51\n priority 200\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";
    for service in 0..n.div_ceil(100) {
        text += &format!(
            "virtual_server 10.99.{}.{} 80 {{\n delay_loop {}\n lb_algo rr\n lb_kind NAT\n protocol TCP\n",
            service / 250,
            service % 250 + 1,
            LOOP.as_secs()
        );
        for i in service * 100..(service * 100 + 100).min(n) {
            let address = Ipv4Addr::from(0x0a64_0000 + i + 1);
            text += &format!(" real_server {address} 80 {{\n weight 1\n {check}\n }}\n");
        }
        text += "}\n";
    }
    text
}

/// Checks of many servers each five seconds: cost, the interval that is farthest off, and the busiest tenth of a second beside the
/// mean. keepalived's checker needs a kernel with IPVS: elsewhere it has no column.
pub fn checks(kinds: &[Kind], quick: bool) {
    let kinds: Vec<Kind> = kinds
        .iter()
        .copied()
        .filter(|k| *k == Kind::Steadfast || std::path::Path::new("/proc/net/ip_vs").exists())
        .collect();
    for (http, n, aim) in [(false, 5000u32, 4.9), (true, 5000, 8.1), (false, 20_000, 60.0)] {
        let n = if quick { n / 10 } else { n };
        let name = if http { "HTTP" } else { "TCP" };
        row(&format!("{n} {name} checks each 5 s"), &kinds, |kind| {
            let lan = Lan::new(2);
            let end = Arc::new(AtomicBool::new(false));
            let (asked, work) = server(&lan.hosts[1], http, end.clone());
            lan.hosts[0].ip("route add 10.100.0.0/16 via 10.77.0.2");
            let d = Daemon::start(&lan.hosts[0], kind, &configuration(n, http));
            let all = || asked.lock().expect("lock").len() >= n as usize;
            assert!(eventually(Duration::from_secs(60), all), "{kind:?}: not all are checked");
            std::thread::sleep(LOOP);
            let pids = processes(d.pid_of("pid").expect("pid"));
            asked.lock().expect("lock").clear();
            let (begun, before) = (Instant::now(), cpu(&pids));
            std::thread::sleep(if quick { LOOP * 2 } else { LOOP * 4 });
            let used = (cpu(&pids) - before) / begun.elapsed().as_secs_f64() * 60.0;
            let size = memory(&pids);
            if std::env::var_os("BENCH_DETAIL").is_some() {
                eprintln!("{:?}", pids.iter().map(|p| memory(&[*p])).collect::<Vec<_>>());
            }
            end.store(true, Ordering::Relaxed);
            work.join().expect("server");
            let times = asked.lock().expect("lock");
            let off = times
                .values()
                .flat_map(|t| t.windows(2))
                .map(|w| (w[1] - w[0]).abs_diff(LOOP))
                .max()
                .unwrap_or_default();
            let mut tenths = vec![0u32; 1 + (begun.elapsed().as_millis() / 100) as usize];
            for at in times.values().flatten() {
                if let Some(count) = tenths.get_mut((at.duration_since(begun).as_millis() / 100) as usize) {
                    *count += 1;
                }
            }
            let busiest =
                f64::from(tenths.iter().copied().max().unwrap_or(0)) / (f64::from(n) / LOOP.as_secs_f64() / 10.0);
            let off = off.as_secs_f64() * 1000.0;
            let met = (!quick).then_some(used <= aim && (size <= 16.0 || n > 5000) && off <= 20.0 && busiest < 1.3);
            Figure { text: format!("{used:.1} s/min, {size:.1} MiB, {off:.1} ms, {busiest:.2}"), met }
        });
    }
}

/// From the death of servers to the removal of the last one, which may take a delay loop and the retries, and from their return to the
/// last one that is used again: one delay loop.
pub fn outcomes(kinds: &[Kind], quick: bool) {
    const SERVERS: u32 = 50;
    let (delay_loop, retries) = (Duration::from_secs(1), Duration::from_millis(2 * 200));
    // A turn of the loop, the log, and a busy host.
    let room = Duration::from_millis(50);
    let kinds: Vec<Kind> = kinds.iter().copied().filter(|k| *k == Kind::Steadfast).collect();
    row("50 HTTP servers die and return, loop 1 s", &kinds, |kind| {
        let lan = Lan::new(2);
        let (well, end) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let (w, e) = (well.clone(), end.clone());
        lan.hosts[1].ip("route add local 10.100.0.0/16 dev lo");
        let work = lan.hosts[1].inside(move || {
            let mut listener: Option<TcpListener> = None;
            let mut buffer = [0; 1024];
            while !e.load(Ordering::Relaxed) {
                if !w.load(Ordering::Relaxed) {
                    listener = None;
                } else if listener.is_none() {
                    listener = TcpListener::bind(("0.0.0.0", 80)).ok().filter(|l| l.set_nonblocking(true).is_ok());
                }
                let Some(Ok((mut stream, _))) = listener.as_ref().map(TcpListener::accept) else {
                    std::thread::sleep(Duration::from_micros(500));
                    continue;
                };
                let _ = stream.set_nonblocking(false);
                let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
                let _ = stream.read(&mut buffer);
                let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
            }
        });
        lan.hosts[0].ip("route add 10.100.0.0/16 via 10.77.0.2");
        let pace = format!("delay_loop {}\n retry 2\n delay_before_retry 0.2\n", delay_loop.as_secs());
        let text = configuration(SERVERS, true).replace("delay_loop 5\n", &pace);
        let d = Daemon::start(&lan.hosts[0], kind, &text);
        let count = |words: &str| d.log().matches(words).count();
        let wait = |words: &str, all: usize| {
            let begun = Instant::now();
            assert!(eventually(Duration::from_secs(30), || count(words) >= all), "{all} {words}: {}", d.log());
            begun.elapsed()
        };
        wait("succeed on service", SERVERS as usize);
        let (mut gone, mut back) = (Duration::ZERO, Duration::ZERO);
        for round in 1..=if quick { 1 } else { 5 } {
            well.store(false, Ordering::Relaxed);
            gone = gone.max(wait("Removing service", round * SERVERS as usize));
            well.store(true, Ordering::Relaxed);
            back = back.max(wait("Adding service", round * SERVERS as usize));
        }
        end.store(true, Ordering::Relaxed);
        work.join().expect("server");
        let met = gone <= delay_loop + retries + room && back <= delay_loop + room;
        Figure { text: format!("{:.2} s, {:.2} s", gone.as_secs_f64(), back.as_secs_f64()), met: Some(met) }
    });
}
