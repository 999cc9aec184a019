//! Reloads that add and remove things beside an instance, while somebody asks it and somebody listens to it.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use steadfast_test_cluster::client::Client;
use steadfast_test_cluster::daemon::file;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require, wire};

const VIP: &str = "10.77.0.100";
const MASTER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const INTERVAL: Duration = Duration::from_millis(250);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// What each reload adds, in this order, and takes away again in the opposite order.
const PARTS: [&str; 8] = [
    "a peer",
    "an instance",
    "a group",
    "a script",
    "a tracked file",
    "a virtual server",
    "a real server",
    "an address of another instance",
];

/// The configuration with so many of the parts.
fn conf(priority: u8, folder: &str, parts: usize) -> String {
    let with = |what: &str, text: &str| {
        let at = PARTS.iter().position(|p| *p == what).expect("a part");
        if at < parts { text.to_string() } else { String::new() }
    };
    let instance = |name: &str, vrid: u8, address: &str, more: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n version 3\n virtual_router_id {vrid}\n priority {priority}\n advert_int 0.25\n {more}\n \
             virtual_ipaddress {{\n {address}\n }}\n}}\n"
        )
    };
    let mut text = "global_defs {\n script_user root\n}\n".to_string();
    text += &with("a script", "vrrp_script chk {\n script \"/bin/true\"\n interval 1\n}\n");
    text += &with("a tracked file", &format!("track_file F {{\n file {folder}/tracked\n weight 0\n}}\n"));
    let script = with("a script", "track_script {\n chk\n }");
    let tracked = with("a tracked file", "track_file {\n F\n }");
    text += &instance("VI", 51, &format!("{VIP}/24"), &format!("{script}\n {tracked}"));
    let own = if priority == 200 { 1 } else { 2 };
    let peers = format!("10.77.0.{}\n {}", 3 - own, with("a peer", "10.77.0.3"));
    let unicast = format!("unicast_src_ip 10.77.0.{own}\n unicast_peer {{\n {peers}\n }}");
    let another = with("an address of another instance", "10.77.0.111/24");
    text += &instance("U", 52, &format!("10.77.0.101/24\n {another}"), &unicast);
    text += &with("an instance", &instance("W", 53, "10.77.0.102/24", ""));
    text += &with("a group", "vrrp_sync_group G {\n group {\n VI\n W\n }\n}\n");
    let server =
        |n: u8| format!(" real_server 10.77.0.{n} 80 {{\n weight 1\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n");
    let further = with("a real server", &server(3));
    let service = "virtual_server 10.77.0.103 80 {\n delay_loop 0.5\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n";
    text += &with("a virtual server", &format!("{service}{}{further}}}\n", server(4)));
    text
}

#[test]
fn what_comes_and_goes_beside_it_is_noticed_neither_by_a_client_nor_by_a_peer() {
    require!();
    let lan = Lan::new(4);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    file(folder.path(), "tracked", "0\n");
    let ended = Arc::new(AtomicBool::new(false));
    let servers: Vec<_> = [2, 3]
        .map(|n| {
            let over = Arc::clone(&ended);
            lan.hosts[n].inside(move || {
                let listener = TcpListener::bind(("0.0.0.0", 80)).expect("bind");
                listener.set_nonblocking(true).expect("nonblocking");
                while !over.load(Ordering::Relaxed) {
                    if listener.accept().is_err() {
                        std::thread::sleep(Duration::from_millis(5));
                    }
                }
            })
        })
        .into();
    let a = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(200, &at, 0));
    let all = |addresses: &[&str]| addresses.iter().all(|n| lan.hosts[0].has(n));
    assert!(eventually(seconds(10), || all(&[VIP, "10.77.0.101"])), "{}", a.log());
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, &at, 0));
    b.wait_log("(VI) master set to 10.77.0.1", seconds(10));
    b.wait_log("(U) master set to 10.77.0.1", seconds(10));

    let index =
        lan.hosts[2].show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).unwrap_or(2);
    let over = Arc::clone(&ended);
    let seen =
        lan.hosts[2].inside(move || wire::adverts(index, 51, seconds(120), move || over.load(Ordering::Relaxed)));
    let client = Client::start(&lan.hosts[2], VIP.parse().expect("address"));
    let reload = |parts: usize| {
        let before = a.log().matches("Reload complete").count();
        a.reload(&conf(200, &at, parts));
        let done = || a.log().matches("Reload complete").count() > before;
        assert!(eventually(seconds(10), done), "with {parts} parts: {}", a.log());
        // So that adverts go out in between.
        std::thread::sleep(INTERVAL);
    };
    let said = |words: &str| a.log().matches(words).count();
    let second = "TCP connection to [10.77.0.3]:tcp:80 success";
    // That each of them has its effect while it is there.
    let works = |part: &str| match part {
        "an instance" => all(&["10.77.0.102"]),
        "a script" => said("Script `chk` now returning") + said("VRRP_Script(chk) succeeded") > 0,
        "a virtual server" => said("TCP connection to [10.77.0.4]:tcp:80 success") > 0,
        "a real server" => said(second) > 0,
        "an address of another instance" => all(&["10.77.0.111"]),
        _ => true,
    };
    for (n, part) in PARTS.iter().enumerate() {
        reload(n + 1);
        assert!(eventually(seconds(15), || works(part)), "{part}: {}", a.log());
    }
    for (n, part) in PARTS.iter().enumerate().rev() {
        reload(n);
        let gone = match *part {
            "an instance" => Some("10.77.0.102"),
            "an address of another instance" => Some("10.77.0.111"),
            _ => None,
        };
        assert!(gone.is_none_or(|g| eventually(seconds(5), || !lan.hosts[0].has(g))), "{part}: {}", a.log());
    }
    let asked = client.end();
    ended.store(true, Ordering::Relaxed);
    servers.into_iter().for_each(|s| s.join().expect("server"));
    let seen = seen.join().expect("observer");
    let longest = seen.windows(2).map(|w| w[1].at - w[0].at).max().expect("adverts");
    println!("{asked:?}; {} adverts, the longest gap is {longest:?}", seen.len());
    assert_eq!(asked.lost, 0, "{asked:?}\n{}", a.log());
    assert!(seen.iter().all(|s| s.from == MASTER && s.priority == 200), "{}", a.log());
    // None of them is left out.
    assert!(longest < INTERVAL * 2, "{longest:?}\n{}", a.log());
    for name in ["VI", "U"] {
        assert_eq!(said(&format!("({name}) Entering MASTER STATE")), 1, "{}", a.log());
    }
    assert!(!b.log().contains("Entering MASTER STATE"), "{}", b.log());
    assert!(all(&[VIP, "10.77.0.101"]));
    assert_eq!(a.stop(), Some(0));
}
