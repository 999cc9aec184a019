//! Virtual addresses that the kernel drops when nobody refreshes them.

use nix::sys::signal::Signal;
use std::time::Duration;
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";

fn conf(priority: u8, lease: &str) -> String {
    format!(
        "global_defs {{\n {lease}\n}}\nstatic_ipaddress {{\n 10.99.0.1/24 dev eth0\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n \
         priority {priority}\n advert_int 1\n virtual_ipaddress {{\n {VIP}/24\n }}\n virtual_ipaddress_excluded {{\n fd77::100/64\n }}\n}}\n"
    )
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Seconds that an address has left to live.
fn left(show: &str, address: &str) -> Option<u32> {
    let (_, after) = show.split_once(&format!(" {address}/"))?;
    after.split_once("valid_lft ")?.1.split("sec").next()?.parse().ok()
}

#[test]
fn a_host_where_all_of_ours_is_frozen_loses_the_address_and_yields_when_it_thaws() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let da = Daemon::start(a, Kind::Steadfast, &conf(200, "vrrp_address_lease 4"));
    assert!(eventually(seconds(10), || a.has(VIP)), "{}", da.log());
    let db = Daemon::start(b, Kind::Steadfast, &conf(100, ""));
    let shown = || a.show("addr show dev eth0");
    // It is renewed: it outlives its lease, and the static one has none.
    for _ in 0..14 {
        std::thread::sleep(Duration::from_millis(500));
        let all = shown();
        assert!(left(&all, VIP).is_some_and(|s| (1..=4).contains(&s)), "{all}");
        assert!(left(&all, "fd77::100").is_some_and(|s| (1..=4).contains(&s)), "{all}");
        assert!(all.contains("10.99.0.1/24") && left(&all, "10.99.0.1").is_none(), "{all}");
    }
    let all = [da.pid_of("pid").expect("pid"), da.pid_of("vrrp.pid").expect("pid")];
    all.iter().for_each(|p| send(*p, Signal::SIGSTOP));
    assert!(eventually(seconds(10), || b.has(VIP)), "{}", db.log());
    assert!(eventually(seconds(10), || !a.has(VIP) && !a.has("fd77::100")), "the kernel keeps it: {}", shown());
    assert!(a.has("10.99.0.1"));
    all.iter().for_each(|p| send(*p, Signal::SIGCONT));
    // Its priority is higher: it takes the address back, by an election.
    assert!(eventually(seconds(10), || a.has(VIP) && !b.has(VIP)), "{}", da.log());
    assert!(da.log().contains("BACKUP STATE"), "{}", da.log());

    // Without the lease addresses are for ever again, without having been away.
    da.reload(&conf(200, ""));
    assert!(eventually(seconds(5), || a.has(VIP) && left(&shown(), VIP).is_none()), "{}", shown());
    assert!(left(&shown(), "fd77::100").is_none());
}

/// What a reader writes by lines, from the moment that it can be written.
fn lines_of(reader: &mut std::process::Child) -> std::sync::Arc<std::sync::Mutex<Vec<String>>> {
    let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (told, from) = (lines.clone(), std::io::BufReader::new(reader.stdout.take().expect("pipe")));
    std::thread::spawn(move || {
        for line in std::io::BufRead::lines(from).map_while(Result::ok) {
            told.lock().expect("lines").push(line);
        }
    });
    lines
}

/// The peer serves, and is not heard at first: neither may the lease be renewed, nor what it ended be put back.
#[test]
fn what_the_lease_ended_is_not_put_back_while_a_master_is_listened_for() {
    require!();
    let lan = Lan::new(2);
    let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
    let keep = |text: String| text.replace("advert_int 1", "advert_int 1\n nopreempt");
    // Renewed at each second, so that it would be at the first turn after the freeze.
    let da = Daemon::start(a, Kind::Steadfast, &keep(conf(200, "vrrp_address_lease 3")));
    assert!(eventually(seconds(10), || a.has(VIP)), "{}", da.log());
    let db = Daemon::start(b, Kind::Steadfast, &conf(100, ""));
    db.wait_log("master set to", seconds(10));
    let all = [da.pid_of("pid").expect("pid"), da.pid_of("vrrp.pid").expect("pid")];
    all.iter().for_each(|p| send(*p, Signal::SIGSTOP));
    let nft = |words: &str| {
        let done = a.command("nft").args(words.split(' ')).status().expect("nft");
        assert!(done.success(), "nft {words}");
    };
    // Adverts that came meanwhile are lost.
    for words in [
        "add table inet lab",
        "add chain inet lab in { type filter hook input priority 0; }",
        "add rule inet lab in meta l4proto 112 drop",
    ] {
        nft(words);
    }
    assert!(eventually(seconds(10), || b.has(VIP) && !a.has(VIP)), "{}", db.log());
    let mut monitor =
        a.command("ip").args(["monitor", "address"]).stdout(std::process::Stdio::piped()).spawn().expect("ip");
    let seen = lines_of(&mut monitor);
    // The monitor says something, so it hears.
    let hears = |what: &str| {
        a.ip(&format!("addr add {what}/32 dev eth0"));
        a.ip(&format!("addr del {what}/32 dev eth0"));
        seen.lock().expect("lines").iter().any(|l| l.contains(what))
    };
    assert!(eventually(seconds(5), || hears("10.98.0.1")));
    nft("delete table inet lab");
    all.iter().for_each(|p| send(*p, Signal::SIGCONT));
    da.wait_log("listening before the next advert", seconds(5));
    da.wait_log("took over while this one was held up", seconds(5));
    assert!(eventually(seconds(5), || da.log().contains("Entering BACKUP STATE\n")), "{}", da.log());
    assert!(eventually(seconds(5), || hears("10.98.0.2")), "what came before it was heard, too");
    let _ = monitor.kill();
    let _ = monitor.wait();
    let seen = seen.lock().expect("lines");
    assert!(!seen.iter().any(|l| l.contains(VIP)), "{seen:#?}\n{}", da.log());
    assert!(b.has(VIP) && !a.has(VIP), "{}", da.log());
}

/// Who leaves its addresses behind leaves those that it has: not one whose lease has ended, which a peer may serve.
#[test]
fn a_stop_that_leaves_addresses_puts_none_back() {
    require!();
    let lan = Lan::new(1);
    let a = &lan.hosts[0];
    let text = conf(200, "vrrp_address_lease 3").replace("advert_int 1", "advert_int 2");
    let da = Daemon::start_with(a, Kind::Steadfast, &text, &[("", "--dont-release-vrrp")]);
    assert!(eventually(seconds(15), || a.has(VIP)), "{}", da.log());
    let all = [da.pid_of("pid").expect("pid"), da.pid_of("vrrp.pid").expect("pid")];
    all.iter().for_each(|p| send(*p, Signal::SIGSTOP));
    // Longer than a peer waits.
    std::thread::sleep(seconds(8));
    assert!(!a.has(VIP) && !a.has("fd77::100"), "{}", a.show("addr show dev eth0"));
    all.iter().for_each(|p| send(*p, Signal::SIGCONT));
    da.wait_log("listening before the next advert", seconds(5));
    assert_eq!(da.stop(), Some(0));
    assert!(!a.has(VIP) && !a.has("fd77::100"), "{}", a.show("addr show dev eth0"));
}
