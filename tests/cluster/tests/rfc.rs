//! What RFC 9568 asks of a router and the kernel does for it: docs/conformance.md names these tests.

use std::time::Duration;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const VIP6: &str = "fd77::100";
const SOON: Duration = Duration::from_secs(10);

fn conf(priority: u8, more: &str) -> String {
    let instance = |name: &str, more: &str, addresses: &str| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n version 3\n virtual_router_id 51\n priority {priority}\n {more}\n \
             virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
        )
    };
    instance("V4", more, &format!("{VIP}/24")) + &instance("V6", more, &format!("fe80::77:100/64\n {VIP6}/64"))
}

fn mac(host: &Host) -> String {
    let link = host.show("-o link show eth0");
    link.split_once("link/ether ").and_then(|(_, rest)| Some(rest.split(' ').next()?.to_string())).expect("MAC")
}

/// The MAC address that a client learns for an address, asking anew.
fn learned(client: &Host, address: &str) -> Option<String> {
    let family = if address.contains(':') { "-6" } else { "-4" };
    client.show(&format!("{family} neigh flush to {address}"));
    client.command("ping").args(["-n", "-c", "1", "-W", "1", address]).output().expect("ping");
    let entry = client.show(&format!("{family} neigh show to {address}"));
    entry.split_once("lladdr ").and_then(|(_, rest)| Some(rest.split(' ').next()?.to_string()))
}

#[test]
fn a_backup_answers_nobody_who_asks_for_its_addresses() {
    require!();
    let lan = Lan::new(3);
    let [a, b, client] = &lan.hosts[..] else { panic!("three hosts") };
    let first = Daemon::start(a, Kind::Steadfast, &conf(200, ""));
    let second = Daemon::start(b, Kind::Steadfast, &conf(100, ""));
    assert!(eventually(SOON, || a.has(VIP) && a.has(VIP6) && !b.has(VIP) && !b.has(VIP6)), "{}", first.log());
    for address in [VIP, VIP6] {
        assert!(
            eventually(SOON, || learned(client, address) == Some(mac(a))),
            "{address}: {:?}",
            learned(client, address)
        );
    }
    // The group of who is asked for the address (RFC 4291 2.7.1) is joined by the master alone.
    let group = |h: &Host| h.show("-6 maddr show dev eth0").contains("ff02::1:ff00:100");
    assert!(group(a) && !group(b), "{}", b.show("-6 maddr show dev eth0"));
    // With its master gone without a word, and before its timer ends, a backup is as silent as before.
    second.wait_log("(V6) master set to", SOON);
    a.cable(false);
    first.crash();
    assert!(!b.has(VIP) && learned(client, VIP).is_none(), "{}", b.show("addr"));
    assert!(eventually(SOON, || b.has(VIP) && b.has(VIP6)), "{}", second.log());
    for address in [VIP, VIP6] {
        assert!(eventually(SOON, || learned(client, address) == Some(mac(b))), "{address}");
    }
    assert!(group(b));
}

#[test]
fn a_virtual_mac_makes_no_interface_identifier_and_a_backup_s_link_no_address() {
    require!();
    let lan = Lan::new(2);
    let [a, b] = &lan.hosts[..] else { panic!("two hosts") };
    let first = Daemon::start(a, Kind::Steadfast, &conf(200, "use_vmac"));
    let second = Daemon::start(b, Kind::Steadfast, &conf(100, "use_vmac"));
    assert!(eventually(SOON, || a.has(VIP) && a.has(VIP6)), "{}", first.log());
    second.wait_log("(V6) master set to", SOON);
    let links = |h: &Host| {
        h.show("-o addr show").lines().filter(|l| l.contains("vrrp")).map(str::to_string).collect::<Vec<_>>()
    };
    assert!(eventually(SOON, || b.show("link").contains("00:00:5e:00:02:33")), "{}", b.show("link"));
    // An identifier that is made of the MAC address has ff:fe in its middle.
    for host in [a, b] {
        assert!(!host.show("-6 addr show").contains("5eff:fe00"), "{}", host.show("-6 addr show"));
    }
    assert!(links(a).iter().any(|l| l.contains(VIP)) && links(a).iter().any(|l| l.contains(VIP6)), "{:?}", links(a));
    let of_backup: Vec<_> =
        links(b).into_iter().filter(|l| l.contains(VIP) || l.contains(VIP6) || l.contains("77:100")).collect();
    assert!(of_backup.is_empty(), "{of_backup:?}");
}
