//! Lateness: what a neutral host on the same link sees.

use crate::{Figure, VIP, lan, load, master, row};
use nix::sys::signal::Signal;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_test_cluster::wire::{self, Seen};
use steadfast_test_cluster::{Daemon, Host, Kind, eventually};

fn conf(priority: u8, centiseconds: u32, instances: u32) -> String {
    let one = |n: u32| {
        let (vrid, address) = if n == 0 { (51, VIP.to_string()) } else { (100 + n, format!("10.77.1.{n}")) };
        format!(
            "vrrp_instance V{n} {{\n interface eth0\n version 3\n virtual_router_id {vrid}\n priority {priority}\n advert_int {}\n \
             virtual_ipaddress {{\n {address}/24\n }}\n}}\n",
            f64::from(centiseconds) / 100.0
        )
    };
    (0..instances).map(one).collect()
}

/// Adverts of router id 51 on a link, stamped while something happens.
fn observed(host: &Host, link: &'static str, what: impl FnOnce()) -> Vec<Seen> {
    let (end, ready) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (ended, listening) = (end.clone(), ready.clone());
    let thread = host.inside(move || {
        let index = nix::net::if_::if_nametoindex(link).expect("index");
        wire::adverts(index, 51, Duration::from_secs(60), || {
            listening.store(true, Ordering::Relaxed);
            ended.load(Ordering::Relaxed)
        })
    });
    assert!(eventually(Duration::from_secs(5), || ready.load(Ordering::Relaxed)));
    what();
    end.store(true, Ordering::Relaxed);
    thread.join().expect("observer")
}

fn median(samples: &mut [f64]) -> (f64, f64) {
    samples.sort_by(f64::total_cmp);
    (samples[samples.len() / 2], samples[samples.len() - 1])
}

/// The master's processes are killed. Due is the instant three intervals and the backup's skew time after the last advert that
/// was on the wire; lateness is how much later the backup's first advert is there.
pub fn takeover(kinds: &[Kind], quick: bool) {
    for (interval, samples) in [(100u32, 5), (10, 10), (1, 20)] {
        let samples = if quick { 3 } else { samples };
        let what = format!("takeover lateness, adverts every {} s", f64::from(interval) / 100.0);
        row(&what, kinds, |kind| {
            let lan = lan();
            let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
            let _backup = Daemon::start(b, kind, &conf(100, interval, 1));
            let mut late: Vec<f64> = Vec::new();
            for _ in 0..samples {
                let first = master(a, kind, &conf(200, interval, 1));
                assert!(eventually(Duration::from_secs(20), || !b.has(VIP)), "{kind:?}: the backup does not yield");
                // It has learnt the interval, and both are at rest.
                std::thread::sleep(Duration::from_millis(u64::from(interval) * 20 + 200));
                let seen = observed(&lan.hosts[2], "eth0", || {
                    std::thread::sleep(Duration::from_millis(u64::from(interval) * 15));
                    first.crash();
                    assert!(eventually(Duration::from_secs(20), || b.has(VIP)), "{kind:?}: no takeover");
                });
                let is = |n: u8| Ipv4Addr::new(10, 77, 0, n);
                let last = seen.iter().rfind(|s| s.from == is(1)).expect("adverts of the master").at;
                let next = seen.iter().find(|s| s.from == is(2) && s.at > last).expect("an advert of the backup").at;
                let own = f64::from(interval) / 100.0;
                late.push((next - last).as_secs_f64() - own * (3.0 + f64::from(256 - 100) / 256.0));
                // What the dead daemon left on its host must not disturb the next round.
                if a.has(VIP) {
                    a.ip(&format!("addr del {VIP}/24 dev eth0"));
                }
            }
            let (middle, worst) = median(&mut late);
            let text = format!("{:.2} ms, worst {:.2} (n={samples})", middle * 1e3, worst * 1e3);
            Figure { text, met: Some(middle < 0.001) }
        });
    }
}

/// SIGHUP with an unchanged file, five times, while a master advertises every 0.1 s; and a thousand of them every 0.01 s, which needs
/// a processor for each host and real-time priority on both.
pub fn reload(kinds: &[Kind], quick: bool) {
    for instances in if quick { vec![1] } else { vec![1, 100] } {
        row(&format!("reload, {instances} instances at 0.1 s"), kinds, |kind| {
            let lan = lan();
            let backup = Daemon::start(&lan.hosts[1], kind, &conf(100, 10, instances));
            let a = master(&lan.hosts[0], kind, &conf(200, 10, instances));
            assert!(eventually(Duration::from_secs(20), || !lan.hosts[1].has(VIP)));
            reloaded(&a, &backup, (&lan.hosts[2], "eth0"), 0.1)
        });
    }
    if !quick {
        row("reload, 1000 instances at 0.01 s", kinds, |kind| {
            const N: u32 = 1000;
            let lan = load::wide(N);
            let global = "global_defs {\n vrrp_version 3\n vrrp_rt_priority 50\n}\n";
            let of = |priority| format!("{global}{}", load::instances(N, priority, "advert_int 0.01"));
            let Some(a) = load::master_of_all(&lan.hosts[0], kind, N, &of(200)) else { return load::never() };
            let backup = Daemon::start(&lan.hosts[1], kind, &of(100));
            assert!(eventually(Duration::from_secs(20), || backup.log().matches("Entering BACKUP STATE").count()
                >= N as usize));
            reloaded(&a, &backup, (&lan.hosts[1], "b0"), 0.01)
        });
    }
}

/// The master's VRRP process is killed, its parent not. A second death within ten seconds would be a crash loop.
pub fn crash(kinds: &[Kind], quick: bool) {
    for interval in [100u32, 10, 1] {
        let samples = if quick { 1 } else { 3 };
        row(&format!("VRRP process killed, adverts every {} s", f64::from(interval) / 100.0), kinds, |kind| {
            let lan = lan();
            let backup = Daemon::start(&lan.hosts[1], kind, &conf(100, interval, 1));
            let a = master(&lan.hosts[0], kind, &conf(200, interval, 1));
            assert!(eventually(Duration::from_secs(20), || !lan.hosts[1].has(VIP)));
            let before = backup.log().matches("Entering MASTER STATE").count();
            let mut worst: f64 = 0.0;
            for n in 0..samples {
                std::thread::sleep(Duration::from_secs(if n == 0 { 2 } else { 11 }));
                let seen = observed(&lan.hosts[2], "eth0", || {
                    std::thread::sleep(Duration::from_millis(u64::from(interval) * 12));
                    if let Some(pid) = a.pid_of("vrrp.pid") {
                        steadfast_test_cluster::daemon::send(pid, Signal::SIGKILL);
                    }
                    std::thread::sleep(Duration::from_millis(u64::from(interval) * 60 + 1000));
                });
                let gaps = seen.windows(2).map(|w| (w[1].at - w[0].at).as_secs_f64());
                worst = worst.max(gaps.fold(0.0, f64::max));
            }
            let takeovers = backup.log().matches("Entering MASTER STATE").count() - before;
            let text = format!("{:.0} ms without advert, {takeovers} takeovers", worst * 1e3);
            // At 0.01 s a new process cannot be there within half an interval: at most five adverts are lost.
            let most = if interval == 1 { 0.06 } else { f64::from(interval) / 100.0 * 1.5 };
            Figure { text, met: Some(worst <= most && takeovers == 0) }
        });
    }
}

/// What a host hears of router id 51 while a master is reloaded five times, and whether its backup takes over.
fn reloaded(a: &Daemon, backup: &Daemon, (observer, link): (&Host, &'static str), interval: f64) -> Figure {
    std::thread::sleep(Duration::from_secs(1));
    let before = backup.log().matches("Entering MASTER STATE").count();
    let seen = observed(observer, link, || {
        for _ in 0..5 {
            a.signal(Signal::SIGHUP);
            std::thread::sleep(Duration::from_millis(600));
        }
    });
    let gaps: Vec<f64> = seen.windows(2).map(|w| (w[1].at - w[0].at).as_secs_f64()).collect();
    let lost = gaps.iter().map(|g| (g / interval).round() as usize).map(|n| n.saturating_sub(1)).sum::<usize>();
    let longest = gaps.iter().copied().fold(0.0, f64::max);
    let takeovers = backup.log().matches("Entering MASTER STATE").count() - before;
    let text = format!("{lost} lost, longest {:.0} ms, {takeovers} takeovers", longest * 1e3);
    Figure { text, met: Some(longest < interval * 1.5 && takeovers == 0) }
}
