//! What many fast BFD sessions cost: two hosts with a daemon each, and as many sessions between them, each with addresses of its own.

use crate::load::{cpu, memory};
use crate::{Figure, row};
use std::time::{Duration, Instant};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually};

/// Interval in milliseconds.
const INTERVAL: u32 = 10;
/// Silence for so many of them is death: with three, a machine that does other things beside measures how often sessions come up anew.
const MULTIPLIER: u32 = 30;

/// Sessions of host `own`: 10.101.x.y is of host 1, 10.102.x.y of host 2.
fn sessions(own: u32, n: u32) -> String {
    let address = |host: u32, i: u32| format!("10.{}.{}.{}", 100 + host, i / 250, i % 250 + 1);
    let one = |i: u32| {
        format!(
            "bfd_instance s{i} {{\n source_ip {}\n neighbor_ip {}\n min_rx {INTERVAL}\n min_tx {INTERVAL}\n multiplier {MULTIPLIER}\n}}\n",
            address(own, i),
            address(3 - own, i)
        )
    };
    (0..n).map(one).collect()
}

/// UDP packets that a host has sent so far.
fn sent(host: &Host) -> f64 {
    let out = host.command("cat").arg("/proc/net/snmp").output().map(|o| o.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&out).into_owned();
    let numbers = text.lines().filter_map(|l| l.strip_prefix("Udp: ")).nth(1).unwrap_or_default();
    numbers.split(' ').nth(3).and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// Processor time of one daemon's BFD process, as a share of one core, and its memory. Both hosts share this machine.
pub fn bfd(kinds: &[Kind], quick: bool) {
    for n in if quick { vec![16u32] } else { vec![1, 64, 256] } {
        row(&format!("{n} BFD sessions of {INTERVAL} ms: core, MiB"), kinds, |kind| {
            let lan = Lan::new(2);
            for host in &lan.hosts {
                let other = 3 - host.number;
                host.ip(&format!("route add local 10.{}.0.0/16 dev lo", 100 + host.number));
                host.ip(&format!("route add 10.{}.0.0/16 via 10.77.0.{other}", 100 + other));
            }
            let daemons: Vec<Daemon> =
                lan.hosts.iter().map(|h| Daemon::start(h, kind, &sessions(h.number, n))).collect();
            let ups = || daemons.iter().all(|d| d.log().matches("Entering Up state").count() >= n as usize);
            if !eventually(Duration::from_secs(60), ups) {
                return Figure { text: "not all sessions came up".into(), met: Some(false) };
            }
            std::thread::sleep(Duration::from_secs(3));
            let pids: Vec<i32> = daemons.iter().filter_map(|d| d.pid_of("bfd.pid")).collect();
            let downs = || daemons.iter().map(|d| d.log().matches("Entering Down state").count()).sum::<usize>();
            let (begun, before, lost, packets) = (Instant::now(), cpu(&pids), downs(), sent(&lan.hosts[0]));
            std::thread::sleep(Duration::from_secs(if quick { 3 } else { 15 }));
            let elapsed = begun.elapsed().as_secs_f64();
            let share = (cpu(&pids) - before) / elapsed / pids.len().max(1) as f64;
            let packets = (sent(&lan.hosts[0]) - packets) / elapsed;
            let lost = downs() - lost;
            let more = if lost > 0 { format!(", {lost} failures") } else { String::new() };
            let text = format!("{:.1} % ({packets:.0}/s out), {:.1} MiB{more}", share * 100.0, memory(&pids) / 2.0);
            Figure { text, met: (n == 256).then_some(share <= 0.5 && lost == 0) }
        });
    }
}

/// Adverts of both routers, from before the third host's cable is cut until the backup has spoken.
fn driven(kind: Kind, tracked: &str) -> Option<Duration> {
    let lan = Lan::new(4);
    let [master, backup, watched, observer] = lan.hosts.as_slice() else { return None };
    let session = |own: u32, other: u32| {
        format!(
            "bfd_instance s {{\n source_ip 10.77.0.{own}\n neighbor_ip 10.77.0.{other}\n min_rx 10\n min_tx 10\n multiplier 3\n}}\n"
        )
    };
    let router = |priority: u8, track: &str| {
        format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 1\n {track}\n virtual_ipaddress {{\n 10.77.0.100/24\n }}\n}}\n"
        )
    };
    let index = {
        let text = observer.show("-o link show dev eth0");
        text.split(':').next().and_then(|n| n.trim().parse::<u32>().ok())?
    };
    let _far = Daemon::start(watched, kind, &session(3, 1));
    let track = format!("track_bfd {{\n {tracked}\n }}");
    let a = Daemon::start(master, kind, &format!("{}{}", session(1, 3), router(200, &track)));
    if !eventually(Duration::from_secs(20), || master.has("10.77.0.100") && a.log().contains("Entering Up state")) {
        return None;
    }
    let b = Daemon::start(backup, kind, &router(100, ""));
    b.wait_log("Entering BACKUP STATE", Duration::from_secs(10));
    // The backup knows its master before anything happens.
    std::thread::sleep(Duration::from_millis(2200));
    let begun = Instant::now();
    let own = std::net::Ipv4Addr::new(10, 77, 0, 2);
    let seen = observer.inside(move || {
        steadfast_test_cluster::wire::adverts(index, 51, Duration::from_secs(8), move || {
            begun.elapsed() > Duration::from_secs(8)
        })
    });
    std::thread::sleep(Duration::from_millis(300));
    let cut = begun.elapsed();
    watched.cable(false);
    let all = seen.join().ok()?;
    let first = all.iter().find(|s| s.from == own)?;
    Some(first.at.saturating_sub(cut))
}

/// From the cut of a cable to the successor's first advert: a session of 10 ms x 3 to a third host, whose loss lowers the master, or puts
/// it into FAULT.
pub fn failover(kinds: &[Kind], quick: bool) {
    for (what, tracked) in [("a weight", "s weight -150"), ("FAULT", "s")] {
        row(&format!("failover by BFD, 10 ms x 3, {what}: ms, worst"), kinds, |kind| {
            let tries = if quick { 2 } else { 7 };
            let mut times: Vec<f64> =
                (0..tries).filter_map(|_| driven(kind, tracked)).map(|d| d.as_secs_f64() * 1000.0).collect();
            times.sort_by(f64::total_cmp);
            let (Some(median), Some(worst)) = (times.get(times.len() / 2), times.last()) else {
                return Figure { text: "no takeover".into(), met: Some(false) };
            };
            Figure { text: format!("{median:.0}, {worst:.0}"), met: Some(*worst <= 40.0) }
        });
    }
}
