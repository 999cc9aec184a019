//! Two masters of one address, and which of them a client speaks to once they hear each other again.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::keepalived;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, lan, require, wire};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

fn conf(priority: u8, more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n version 3\n advert_int 0.2\n priority {priority}\n {more}\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n"
    )
}

/// The MAC address of a host's eth0.
fn mac(host: &Host) -> String {
    let shown = host.show("-o link show dev eth0");
    shown.split("link/ether ").nth(1).and_then(|t| t.split(' ').next()).expect("mac").to_string()
}

/// What a client has learnt of the address.
fn learnt(client: &Host) -> String {
    let shown = client.show(&format!("neigh show {VIP} dev eth0"));
    shown.split("lladdr ").nth(1).and_then(|t| t.split(' ').next()).unwrap_or_default().to_string()
}

/// Between two hosts nothing gets through, while everybody else hears both.
fn part(lan: &Lan, apart: bool) {
    let bridge = format!("{}br", lan.hosts[0].namespace.trim_end_matches("h1"));
    for port in ["p1", "p2"] {
        let isolated = if apart { "on" } else { "off" };
        lan::ip(&format!("-n {bridge} link set {port} type bridge_slave isolated {isolated}"));
    }
}

/// What a frame says of the address: its sender, and whether it is an announcement of it rather than an advert.
fn said(frame: &[u8]) -> Option<(String, bool)> {
    let text = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":");
    let vip = VIP.parse::<Ipv4Addr>().expect("address").octets();
    match frame.get(12..14)? {
        [8, 0] if frame.get(23)? == &112 => Some((text(frame.get(6..12)?), false)),
        [8, 6] if *frame.get(28..32)? == vip && *frame.get(38..42)? == vip => Some((text(frame.get(22..28)?), true)),
        _ => None,
    }
}

#[test]
fn after_a_contention_no_client_keeps_the_loser_s_mac() {
    require!();
    let ours = Kind::Steadfast;
    // keepalived gives way without a word. Where it hears the winner before it has spoken itself, nobody knows that there were two, and
    // announcements of their own accord are what helps: the file's, or once in five seconds.
    let refresh = "garp_master_refresh 1";
    let quick = Duration::from_secs(2);
    for (winner, loser, more, bound) in [
        (ours, ours, "", quick),
        (Kind::Keepalived, ours, "", quick),
        (ours, Kind::Keepalived, refresh, quick),
        (ours, Kind::Keepalived, "", Duration::from_secs(8)),
    ] {
        if keepalived().is_none() && (winner, loser) != (ours, ours) {
            println!("SKIPPED: a contention with keepalived: it is not installed");
            continue;
        }
        let lan = Lan::new(3);
        let [a, b, client] = &lan.hosts[..] else { panic!("three hosts") };
        let da = Daemon::start(a, winner, &conf(200, more));
        let db = Daemon::start(b, loser, &conf(100, ""));
        assert!(eventually(SOON, || a.has(VIP)), "{}", da.log());
        db.wait_log("Entering BACKUP STATE", SOON);
        let _ = client.command("ping").args(["-n", "-c", "3", "-i", "0.1", "-W", "1", VIP]).output();
        assert_eq!(learnt(client), mac(a), "{}", da.log());
        for round in 1..=2 {
            part(&lan, true);
            assert!(eventually(SOON, || b.has(VIP)), "{winner:?} {loser:?} {round}: {}", db.log());
            assert!(a.has(VIP), "both are masters: {}", da.log());
            // Its announcements are heard by a client that has spoken to the other one until now.
            assert!(eventually(SOON, || learnt(client) == mac(b)), "{}: {}", learnt(client), db.log());
            let (end, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
            let (ended, tell) = (end.clone(), begun.clone());
            let ear = client.inside(move || {
                wire::frames(Duration::from_secs(60), || {
                    tell.store(true, Ordering::Relaxed);
                    ended.load(Ordering::Relaxed)
                })
            });
            assert!(eventually(SOON, || begun.load(Ordering::Relaxed)), "nobody listens");
            part(&lan, false);
            let healed = Instant::now();
            let right = || learnt(client) == mac(a) && !b.has(VIP);
            assert!(
                eventually(bound, right),
                "{winner:?} {loser:?} {round}: the client keeps {}\n{}\n{}",
                learnt(client),
                da.log(),
                db.log()
            );
            println!("{winner:?} wins over {loser:?}: the client knows it after {:?}", healed.elapsed());
            // It stays so, and for a while nothing of the loser comes after it.
            std::thread::sleep(Duration::from_millis(1500));
            assert!(right(), "{}\n{}\n{}", learnt(client), da.log(), db.log());
            end.store(true, Ordering::Relaxed);
            let frames = ear.join().expect("ear");
            let heard: Vec<(Duration, String, bool)> =
                frames.iter().filter_map(|(at, f)| said(f).map(|(who, what)| (*at, who, what))).collect();
            // Ours says its last word when it has let go.
            let last = heard.iter().filter(|(_, who, _)| *who == mac(b)).map(|(at, ..)| *at).max();
            assert!(last.is_some() || loser == Kind::Keepalived, "no last word: {heard:?}");
            let last = last.unwrap_or_default();
            let after = heard.iter().any(|(at, who, announced)| *announced && *who == mac(a) && *at > last);
            assert!(after, "{winner:?} {loser:?} {round}: no announcement after {last:?}: {heard:?}");
        }
    }
}
