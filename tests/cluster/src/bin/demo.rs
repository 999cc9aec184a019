//! The main job, live: two daemons, one address, a client. Who holds the address, a crash, a takeover, what the client saw, the
//! return. Everything happens in network namespaces of its own.
#![forbid(unsafe_code)]

use std::io::Write;
use std::time::{Duration, Instant};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually};

const VIP: &str = "10.77.0.100";

fn conf(priority: u8) -> String {
    format!(
        "vrrp_instance DEMO {{\n interface eth0\n version 3\n virtual_router_id 51\n priority {priority}\n advert_int 0.2\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// Shows who holds the address for a while.
fn watch(lan: &Lan, start: Instant, during: Duration, what: &str) {
    println!("\n{what}");
    let end = Instant::now() + during;
    let mut shown = String::new();
    while Instant::now() < end {
        let mark = |n: usize| if lan.hosts[n].has(VIP) { "HOLDS IT" } else { "    -   " };
        let picture = format!("host A [{}]   host B [{}]", mark(0), mark(1));
        if picture != shown {
            println!("  {:6.2} s   {picture}", start.elapsed().as_secs_f64());
            let _ = std::io::stdout().flush();
            shown = picture;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn main() {
    if let Some(why) = steadfast_test_cluster::obstacle() {
        eprintln!("The demonstration cannot run here: {why}");
        std::process::exit(1);
    }
    let lan = Lan::new(3);
    let start = Instant::now();
    println!("Two hosts and a client on one bridge. Virtual address {VIP}, adverts every 0.2 s.");
    println!("Host A has priority 200, host B 100. The client asks the address 200 times a second.");
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100));
    let mut missed = Vec::new();
    let mut expect = |what: &'static str, host: usize| {
        // What a host without power still has does not matter to anybody.
        let so = || lan.hosts[host].has(VIP) && (what == "loss of power" || !lan.hosts[1 - host].has(VIP));
        if !eventually(Duration::from_secs(5), so) {
            println!("  {what}: the address is not where it should be!");
            missed.push(what);
        }
    };
    watch(&lan, start, Duration::from_secs(2), "Start: the higher priority wins.");
    expect("start", 0);

    let ping = lan.hosts[2].ping(VIP);
    std::thread::sleep(Duration::from_millis(300));
    lan.hosts[0].cable(false);
    a.crash();
    watch(&lan, start, Duration::from_secs(2), "Host A loses power: its cable is cut, its processes are killed.");
    expect("loss of power", 1);
    println!("  the client was without an answer for {:.0} ms", ping.longest_gap().as_secs_f64() * 1000.0);

    let ping = lan.hosts[2].ping(VIP);
    lan.hosts[0].cable(true);
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200));
    watch(&lan, start, Duration::from_secs(2), "Host A comes back and takes its place again.");
    expect("return", 0);
    println!("  longest gap for the client: {:.0} ms", ping.longest_gap().as_secs_f64() * 1000.0);

    let ping = lan.hosts[2].ping(VIP);
    std::thread::sleep(Duration::from_millis(300));
    println!("\nHost A is stopped in order.");
    a.stop();
    watch(&lan, start, Duration::from_secs(1), "Host B serves.");
    expect("stop", 1);
    println!("  longest gap for the client: {:.0} ms", ping.longest_gap().as_secs_f64() * 1000.0);
    b.stop();
    if missed.is_empty() {
        println!("\nDone.");
    } else {
        println!("\nThe address did not move as it should: {}", missed.join(", "));
        // An exit drops nothing: the hosts would stay.
        drop(lan);
        std::process::exit(1);
    }
}
