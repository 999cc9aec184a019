//! What a daemon takes of its host.

use crate::{Figure, row};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::ask;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually};

/// Instances on one link: router ids are 8 bits.
const ON_LINK: u32 = 250;

/// So many instances, on the links of [`wide`], with more words in each.
pub fn instances(n: u32, priority: u8, words: &str) -> String {
    let one = |i: u32| {
        let (link, vrid) = (i / ON_LINK, i % ON_LINK + 1);
        format!(
            "vrrp_instance I{i} {{\n interface b{link}\n virtual_router_id {vrid}\n priority {priority}\n {words}\n \
             virtual_ipaddress {{\n 10.{}.1.{vrid}/16\n }}\n}}\n",
            80 + link
        )
    };
    (0..n).map(one).collect()
}

/// Two hosts with as many links between them as that many instances need.
pub fn wide(n: u32) -> Lan {
    let lan = Lan::new(2);
    let (host, other) = (&lan.hosts[0], &lan.hosts[1]);
    for link in 0..n.div_ceil(ON_LINK) {
        host.ip(&format!("link add b{link} type veth peer name b{link} netns {}", other.namespace));
        for (host, last) in [(host, 1), (other, 2)] {
            host.ip(&format!("link set b{link} up"));
            host.ip(&format!("addr add 10.{}.0.{last}/16 dev b{link}", 80 + link));
        }
    }
    lan
}

/// A daemon that is master of all its instances; none where it does not get there within a minute.
pub fn master_of_all(host: &Host, kind: Kind, n: u32, configuration: &str) -> Option<Daemon> {
    let d = Daemon::start(host, kind, configuration);
    let masters = || d.log().matches("Entering MASTER STATE").count() >= n as usize;
    eventually(Duration::from_secs(60), masters).then_some(d)
}

/// The figure of a daemon that does not get there.
pub fn never() -> Figure {
    Figure { text: "not all are masters after 60 s".into(), met: Some(false) }
}

/// The processes of a daemon: the parent and those below it.
pub fn processes(parent: i32) -> Vec<i32> {
    let mut all = vec![parent];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        all.extend(text.split_whitespace().filter_map(|p| p.parse::<i32>().ok()));
        at += 1;
    }
    all
}

/// Time on a processor so far, of all threads.
pub fn cpu(pids: &[i32]) -> f64 {
    let of = |pid: &i32| -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let text = tasks.filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok());
        text.filter_map(|t| t.split_whitespace().next()?.parse::<f64>().ok()).sum()
    };
    pids.iter().map(of).sum::<f64>() / 1e9
}

/// Memory of its own and its share of what is shared, in MiB.
pub fn memory(pids: &[i32]) -> f64 {
    let of = |pid: &i32| -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let line = text.lines().find_map(|l| l.strip_prefix("Pss:"));
        line.and_then(|l| l.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0)
    };
    pids.iter().map(of).sum::<f64>() / 1024.0
}

/// Packets that the raw sockets of a host had no room for: the last field of each line.
fn dropped(host: &Host) -> u64 {
    let out =
        host.command("cat").args(["/proc/net/raw", "/proc/net/raw6"]).output().map(|o| o.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&out).into_owned();
    text.lines().filter_map(|l| l.split_whitespace().last()?.parse::<u64>().ok()).sum()
}

/// Masters that advertise once a second, at rest, beside their backups on another host: what a master's host pays. The aims were
/// measured like this, too: two daemons run, and share their program.
pub fn load(kinds: &[Kind], quick: bool) {
    for n in if quick { vec![1u32, 100] } else { vec![1, 100, 1000] } {
        let during = Duration::from_secs(if quick { 5 } else { 20 });
        row(&format!("{n} masters: CPU s a minute, MiB"), kinds, |kind| {
            let lan = wide(n);
            let Some(d) = master_of_all(&lan.hosts[0], kind, n, &instances(n, 200, "advert_int 1")) else {
                return never();
            };
            let _backup = Daemon::start(&lan.hosts[1], kind, &instances(n, 100, "advert_int 1"));
            // The second burst of announcements comes five seconds after the first.
            std::thread::sleep(Duration::from_secs(12));
            let pids = processes(d.pid_of("pid").expect("pid"));
            let (begun, before) = (Instant::now(), cpu(&pids));
            std::thread::sleep(during);
            let used = (cpu(&pids) - before) / begun.elapsed().as_secs_f64() * 60.0;
            let size = memory(&pids);
            // The aim at a thousand is what keepalived took where it was first measured.
            let met = (n == 1000).then_some(used <= 1.6 && size <= 5.0);
            Figure { text: format!("{used:.2} s, {size:.1} MiB"), met }
        });
    }
}

/// `-t` of a file with ten thousand instances, and of one with ten thousand real servers; the best of three.
pub fn check(kinds: &[Kind], quick: bool) {
    let n = if quick { 1000 } else { 10_000 };
    let instance = |i: u32| {
        format!(
            "vrrp_instance I{i} {{\n interface lo{}\n virtual_router_id {}\n virtual_ipaddress {{\n 10.{}.{}.1/32\n }}\n}}\n",
            i / ON_LINK,
            i % ON_LINK + 1,
            i / 250,
            i % 250
        )
    };
    let servers = |i: u32| {
        let one = |r: u32| {
            format!(" real_server 10.9.{i}.{r} 80 {{\n weight 1\n TCP_CHECK {{\n connect_timeout 3\n }}\n }}\n")
        };
        let servers: String = (1..=100).map(one).collect();
        format!(
            "virtual_server 10.8.{i}.1 80 {{\n delay_loop 5\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{servers}}}\n"
        )
    };
    tested(kinds, &format!("-t of {n} instances"), (0..n).map(instance).collect(), 0.3);
    tested(kinds, &format!("-t of {n} real servers"), (0..n / 100).map(servers).collect(), 0.1);
}

fn tested(kinds: &[Kind], what: &str, text: String, aim: f64) {
    row(what, kinds, |kind| {
        let folder = tempfile::tempdir().expect("folder");
        let path = steadfast_test_cluster::daemon::file(folder.path(), "conf", &text);
        let program = match kind {
            Kind::Steadfast => steadfast_test_cluster::daemon::steadfastd(),
            Kind::Keepalived => steadfast_test_cluster::daemon::keepalived().expect("keepalived"),
        };
        let once = || {
            let begun = Instant::now();
            let out = std::process::Command::new(&program).args(["-t", "-f", &path]).output().expect("-t");
            assert!(out.status.code().is_some(), "{kind:?} -t was ended by a signal");
            begun.elapsed().as_secs_f64()
        };
        let best = (0..3).map(|_| once()).fold(f64::MAX, f64::min);
        Figure { text: format!("{best:.2} s"), met: Some(best < aim) }
    });
}

/// A master and a backup of 255 routers that advertise a hundred times a second with an authentication trailer, both bound to the
/// same processor: adverts that did not come in, and what each of the two takes of it.
pub fn authenticated(kinds: &[Kind], quick: bool) {
    const ROUTERS: u32 = 255;
    let during = Duration::from_secs(if quick { 3 } else { 20 });
    row("255 at 0.01 s, HMAC, one core: lost, CPU", kinds, |kind| {
        if kind == Kind::Keepalived {
            return Figure { text: "2.2.7 has none".into(), met: None };
        }
        let lan = Lan::new(2);
        let text = |priority: u8| {
            let one = |vrid: u32| {
                format!(
                    "vrrp_instance I{vrid} {{\n interface eth0\n virtual_router_id {vrid}\n version 3\n priority {priority}\n advert_int 0.01\n \
                     garp_master_delay 0\n auth_hmac {{\n key 1 0123456789abcdef0123456789abcdef\n }}\n virtual_ipaddress {{\n 10.78.0.{vrid}/16\n }}\n}}\n"
                )
            };
            // adverts of a burst wait in the buffer
            format!("global_defs {{\n vrrp_cpu_affinity 0\n}}\n{}", (1..=ROUTERS).map(one).collect::<String>())
        };
        let a = Daemon::start(&lan.hosts[0], kind, &text(200));
        let masters = |d: &Daemon| d.log().matches("Entering MASTER STATE").count();
        assert!(eventually(Duration::from_secs(60), || masters(&a) >= ROUTERS as usize), "not all are masters");
        let b = Daemon::start(&lan.hosts[1], kind, &text(100));
        let heard = || b.log().matches("master set to").count() >= ROUTERS as usize;
        assert!(eventually(Duration::from_secs(60), heard), "not all are heard");
        std::thread::sleep(Duration::from_secs(2));
        let sum = |d: &Daemon, field: &str| -> u64 {
            let text = ask(d, &["status", "--json"]);
            let after = |t: &str| {
                t.trim_start_matches([':', '"', ' ']).split(|c: char| !c.is_ascii_digit()).next().map(str::to_string)
            };
            text.split(field).skip(1).filter_map(|t| after(t)?.parse::<u64>().ok()).sum()
        };
        let pids = [&a, &b].map(|d| processes(d.pid_of("pid").expect("pid")));
        let (sent, came, full) = (sum(&a, "adverts_sent"), sum(&b, "adverts_received"), dropped(&lan.hosts[1]));
        let (begun, before) = (Instant::now(), pids.each_ref().map(|p| cpu(p)));
        std::thread::sleep(during);
        let spent = begun.elapsed().as_secs_f64();
        let used = [0, 1].map(|n| (cpu(&pids[n]) - before[n]) / spent * 100.0);
        let (sent, came) = (sum(&a, "adverts_sent") - sent, sum(&b, "adverts_received") - came);
        let stood_up = masters(&b);
        // The two are asked one after the other, and what is sent between the questions counts for neither: that no advert is lost is
        // what the sockets of the receiver say.
        let lost = dropped(&lan.hosts[1]).saturating_sub(full);
        let met = stood_up == 0
            && lost == 0
            && sent.abs_diff(came) < sent / 50
            && sent as f64 > spent * f64::from(ROUTERS) * 99.0;
        let text =
            format!("{lost} of {sent} ({came} came), {:.0} % and {:.0} %, {stood_up} took over", used[0], used[1]);
        Figure { text, met: Some(met) }
    });
}
