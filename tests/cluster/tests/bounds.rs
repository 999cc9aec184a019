//! How long things may take that clients and peers notice. Each is measured some times, and the best must be within its limit.

use nix::sys::signal::Signal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use steadfast_test_cluster::client::Client;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::wire::adverts;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, best_of, eventually, require};

const VIP: &str = "10.77.0.100";
const TRIES: usize = 12;

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn conf(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n {more}\n virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

fn holds(host: &Host) {
    assert!(eventually(ms(10_000), || host.has(VIP)), "host {} does not get the address", host.number);
}

/// The longest time without an advert that a host sees while something is done, from before it to after it: who looks away for a
/// moment, as the watcher does on a busy machine, sees a pause.
fn longest_pause(watcher: &Host, work: impl FnOnce()) -> Duration {
    let index = watcher.show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).unwrap_or(2);
    let ended = Arc::new(AtomicBool::new(false));
    let begun = Arc::new(OnceLock::new());
    let (told, tell) = (ended.clone(), begun.clone());
    let seen = watcher.inside(move || {
        adverts(index, 51, ms(60_000), || {
            tell.get_or_init(Instant::now);
            told.load(Ordering::Relaxed)
        })
    });
    assert!(eventually(ms(10_000), || begun.get().is_some()), "nobody watches");
    let origin = begun.get().expect("watcher");
    let first = origin.elapsed();
    work();
    let last = origin.elapsed();
    ended.store(true, Ordering::Relaxed);
    let seen = seen.join().expect("observer");
    let times: Vec<Duration> = seen.iter().map(|s| s.at).filter(|at| *at > first && *at < last).collect();
    let all: Vec<Duration> = [first].into_iter().chain(times).chain([last]).collect();
    all.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(last)
}

#[test]
fn an_orderly_stop_costs_no_client_anything() {
    require!();
    for peer in [Kind::Steadfast, Kind::Keepalived] {
        if peer == Kind::Keepalived && steadfast_test_cluster::daemon::keepalived().is_none() {
            println!("SKIPPED: orderly stop against keepalived: it is not installed");
            continue;
        }
        let lan = Lan::new(3);
        let _b = Daemon::start(&lan.hosts[1], peer, &conf(100, ""));
        best_of(&format!("orderly stop, {peer:?} takes over"), TRIES, ms(20), || gap_of_a_stop(&lan, Kind::Steadfast));
    }
}

/// What a client loses at the stop of a master of this kind, whose backup runs.
fn gap_of_a_stop(lan: &Lan, master: Kind) -> Duration {
    let a = Daemon::start(&lan.hosts[0], master, &conf(200, ""));
    holds(&lan.hosts[0]);
    // The one that has yielded is a backup again, and knows its master.
    assert!(eventually(ms(10_000), || !lan.hosts[1].has(VIP)));
    let client = Client::start(&lan.hosts[2], VIP.parse().expect("address"));
    // It must have been served for a while before.
    std::thread::sleep(ms(1_500));
    assert_eq!(a.stop(), Some(0));
    holds(&lan.hosts[1]);
    std::thread::sleep(ms(300));
    client.end().longest_gap
}

/// keepalived lets the addresses go at once, and waits for its skew before it takes them up.
#[test]
fn a_keepalived_that_stops_is_succeeded_at_once() {
    require!();
    if steadfast_test_cluster::daemon::keepalived().is_none() {
        println!("SKIPPED: a keepalived that stops: it is not installed");
        return;
    }
    let lan = Lan::new(3);
    let _b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, ""));
    best_of("a keepalived stops, Steadfast takes over", TRIES, ms(60), || gap_of_a_stop(&lan, Kind::Keepalived));
}

/// A keepalived of higher priority waits for its skew, while the lower one of ours serves, and then takes over from it: one change more,
/// which no client sees.
#[test]
fn a_higher_keepalived_comes_after_a_lower_one_that_did_not_wait_and_no_client_sees_either() {
    require!();
    if steadfast_test_cluster::daemon::keepalived().is_none() {
        println!("SKIPPED: a higher keepalived beside ours: it is not installed");
        return;
    }
    let lan = Lan::new(4);
    let [first, higher, lower, asks] = &lan.hosts[..] else { panic!("four hosts") };
    let k = Daemon::start(higher, Kind::Keepalived, &conf(150, ""));
    let b = Daemon::start(lower, Kind::Steadfast, &conf(100, ""));
    let mut times = 0;
    best_of("a stop, a lower and a higher one take over", TRIES, ms(20), || {
        let a = Daemon::start(first, Kind::Steadfast, &conf(200, ""));
        holds(first);
        assert!(eventually(ms(10_000), || !higher.has(VIP) && !lower.has(VIP)), "{}", b.log());
        let client = Client::start(asks, VIP.parse().expect("address"));
        std::thread::sleep(ms(1_500));
        assert_eq!(a.stop(), Some(0));
        times += 1;
        let served = || b.log().matches("Entering MASTER STATE").count() >= times;
        assert!(eventually(ms(5_000), served), "{}", b.log());
        holds(higher);
        assert!(eventually(ms(5_000), || !lower.has(VIP)), "{}\n{}", b.log(), k.log());
        std::thread::sleep(ms(300));
        client.end().longest_gap
    });
}

/// What makes a master give way to its peer, time and again, and what makes it the master again.
fn demoted(what: &str, first: &str, mut down: impl FnMut(&Daemon), mut up: impl FnMut(&Daemon)) {
    for peer in [Kind::Steadfast, Kind::Keepalived] {
        if peer == Kind::Keepalived && steadfast_test_cluster::daemon::keepalived().is_none() {
            println!("SKIPPED: {what} against keepalived: it is not installed");
            continue;
        }
        let lan = Lan::new(3);
        let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, first);
        let b = Daemon::start(&lan.hosts[1], peer, &conf(100, ""));
        best_of(&format!("{what}, {peer:?} takes over"), TRIES, ms(20), || {
            holds(&lan.hosts[0]);
            assert!(eventually(ms(10_000), || !lan.hosts[1].has(VIP)), "{}", b.log());
            let client = Client::start(&lan.hosts[2], VIP.parse().expect("address"));
            std::thread::sleep(ms(1_500));
            down(&a);
            holds(&lan.hosts[1]);
            assert!(eventually(ms(10_000), || !lan.hosts[0].has(VIP)), "{}", a.log());
            std::thread::sleep(ms(300));
            let gap = client.end().longest_gap;
            up(&a);
            gap
        });
    }
}

/// With a weight the priority falls below the peer's, without one the instance is in FAULT.
#[test]
fn a_failing_script_costs_no_client_anything() {
    require!();
    for weight in [-150, 0] {
        let folder = tempfile::tempdir().expect("folder");
        let flag = folder.path().join("service");
        std::fs::write(&flag, "up").expect("flag");
        let script = format!(
            "global_defs {{\n script_user root\n}}\nvrrp_script chk {{\n script \"/usr/bin/test -f {}\"\n interval 1\n weight {weight}\n}}\n",
            flag.display()
        );
        demoted(
            &format!("a script of weight {weight} fails"),
            &(script + &conf(200, "track_script {\n chk\n }")),
            |_| std::fs::remove_file(&flag).expect("flag"),
            |_| std::fs::write(&flag, "up").expect("flag"),
        );
    }
}

#[test]
fn an_instance_that_a_reload_takes_out_costs_no_client_anything() {
    require!();
    // One that stays, lest the child ends.
    let other =
        conf(200, "").replace("VI", "OTHER").replace("router_id 51", "router_id 52").replace(VIP, "10.77.0.101");
    let all = conf(200, "") + &other;
    demoted("an instance is taken out", &all, |a| a.reload(&other), |a| a.reload(&all));
}

#[test]
fn a_deleted_address_is_put_back() {
    require!();
    let lan = Lan::new(1);
    let _a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, ""));
    holds(&lan.hosts[0]);
    best_of("a deleted address is back", TRIES, ms(50), || {
        lan.hosts[0].ip(&format!("addr del {VIP}/24 dev eth0"));
        let gone = Instant::now();
        holds(&lan.hosts[0]);
        gone.elapsed()
    });
}

#[test]
fn a_reload_puts_off_no_advert_by_half_an_interval() {
    require!();
    let lan = Lan::new(2);
    let text = |address: &str| conf(200, "version 3\n advert_int 0.1").replace(VIP, &format!("{VIP}/24\n {address}"));
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text("10.77.0.101"));
    holds(&lan.hosts[0]);
    let reloads = || a.log().matches("Reload complete").count();
    best_of("adverts every 0.1 s over a reload", TRIES, ms(150), || {
        longest_pause(&lan.hosts[1], || {
            // Several: one alone may fall between two adverts.
            for _ in 0..5 {
                std::thread::sleep(ms(230));
                let before = reloads();
                a.reload(&text(if before % 2 == 0 { "10.77.0.102" } else { "10.77.0.101" }));
                assert!(eventually(ms(5_000), || reloads() > before), "{}", a.log());
            }
            std::thread::sleep(ms(230));
        })
    });
}

#[test]
fn a_killed_child_is_succeeded_before_its_adverts_are_missed() {
    require!();
    let lan = Lan::new(2);
    // Not half an interval late; and of a hundred adverts a second five are missing.
    for (interval, limit) in [("0.1", 150), ("0.01", 60)] {
        best_of(&format!("adverts every {interval} s over the death of a child"), TRIES, ms(limit), || {
            // One of its own for each try: a child that dies again and again is not started at once.
            let text = conf(200, &format!("version 3\n advert_int {interval}"));
            let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
            holds(&lan.hosts[0]);
            let pause = longest_pause(&lan.hosts[1], || {
                std::thread::sleep(ms(300));
                send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
                a.wait_log("continuing in MASTER state", ms(5_000));
                std::thread::sleep(ms(300));
            });
            assert_eq!(a.stop(), Some(0));
            pause
        });
    }
}
