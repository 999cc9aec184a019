//! The same table by a reload as by a start, for files that nobody has thought out.

use crate::ipvs::Test;
use std::fmt::Write;
use steadfast_test_vm::lab::{Director, Lab, sh};
use steadfast_test_vm::{eventually, seconds};

/// Every test here, by name.
pub const TESTS: &[(&str, Test)] =
    &[("a_reload_ends_with_the_table_of_a_start", a_reload_ends_with_the_table_of_a_start)];

/// Files, each of which is loaded over the one before it.
const FILES: u64 = 9;

/// xorshift, after a start that spreads small seeds.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }

    fn one<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// A real server: some live, some refuse, some are not asked. Who forwards by a mark, or without a port of its own, keeps that of the service.
fn real(d: &mut Dice, address: &str, port: u16, marked: bool, weight: u64) -> String {
    let mut s = format!(" real_server {address} {port} {{\n weight {weight}\n");
    s += d.one(&["", "", " inhibit_on_failure\n"]);
    s += d.one(&["", "", " uthreshold 100\n lthreshold 10\n"]);
    s += if marked { "" } else { d.one(&["", "", "", " lvs_method DR\n", " lvs_method TUN\n"]) };
    if d.below(3) > 0 {
        s += " TCP_CHECK {\n connect_timeout 2\n retry 1\n delay_before_retry 0.2\n }\n";
    }
    s + " }\n"
}

fn service(d: &mut Dice, head: &str, port: u16, protocol: Option<&str>) -> String {
    let mut s = format!("virtual_server {head} {{\n delay_loop 1\n warmup 0.1\n");
    s += &protocol.map(|p| format!(" protocol {p}\n")).unwrap_or_default();
    let marked = protocol.is_none();
    let kind = if marked { "NAT" } else { d.one(&["NAT", "DR", "TUN"]) };
    let _ = writeln!(s, " lb_algo {}\n lb_kind {kind}", d.one(&["rr", "wlc", "sh"]));
    s += d.one(&[
        "",
        "",
        " persistence_timeout 60\n",
        " persistence_timeout 90\n persistence_granularity 255.255.255.0\n",
    ]);
    s += d.one(&["", " quorum 2\n", " quorum 4\n hysteresis 1\n"]);
    s += d.one(&["", " alpha\n", " omega\n"]);
    let sorry = format!(" sorry_server 10.2.0.9 {port}\n");
    s += &d.one(&["", "SORRY", "SORRY sorry_server_inhibit\n"]).replace("SORRY", &sorry);
    // Enough for any quorum; the last one answers nobody.
    s += &real(d, "10.2.0.1", port, marked, 4);
    for address in ["10.2.0.2", "10.2.0.3", "10.2.0.50"] {
        if d.below(3) > 0 {
            let weight = d.below(5);
            s += &real(d, address, port, marked, weight);
        }
    }
    s + "}\n"
}

/// Services by address, by mark and of a group, that come, go and change.
fn file(d: &mut Dice) -> String {
    let mut s = String::from("virtual_server_group G {\n");
    for member in ["10.1.0.110-112 80", "10.1.0.120 80", "10.1.0.121 80", "fwmark 9"] {
        if d.below(3) > 0 {
            let _ = writeln!(s, " {member}");
        }
    }
    s += " 10.1.0.130 80\n}\n";
    let heads = [
        ("10.1.0.101 80", 80, Some("TCP")),
        ("10.1.0.101 80", 80, Some("UDP")),
        ("10.1.0.103 443", 443, Some("TCP")),
        ("fwmark 7", 80, None),
        ("group G", 80, Some("TCP")),
    ];
    for (head, port, protocol) in heads {
        if d.below(3) > 0 {
            s += &service(d, head, port, protocol);
        }
    }
    // One that has servers in each of them.
    s + "virtual_server 10.1.0.100 80 {\n delay_loop 1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.2.0.1 80 {\n }\n}\n"
}

/// The table in an order of its own.
fn lines(place: &str) -> Vec<String> {
    let mut all: Vec<String> = sh(&format!("{place}ipvsadm -Sn")).lines().map(str::to_string).collect();
    all.sort();
    all
}

/// One daemon is given file after file, another one begins with each of them in a network namespace of its own.
fn a_reload_ends_with_the_table_of_a_start(_: &mut Lab) {
    let mut d = Dice(0x9e37_79b9_7f4a_7c15);
    let mut text = file(&mut d);
    let old = Director::start(None, &text, &[]);
    let (mut seen, mut changed) = (0, 0);
    for n in 1..FILES {
        let before = lines("");
        text = file(&mut d);
        old.reload(&text);
        let fresh = Director::start(Some("second"), &text, &[]);
        let (mut both, mut since) = (Default::default(), std::time::Instant::now());
        // Alike for longer than a check and its retries take.
        let rests = eventually(seconds(20), || {
            let now = (lines(""), lines("ip netns exec second "));
            if now != both || now.0 != now.1 {
                (both, since) = (now, std::time::Instant::now());
            }
            since.elapsed() > std::time::Duration::from_secs(6)
        });
        let (ours, wanted) = &both;
        let differ =
            |a: &Vec<String>, b: &Vec<String>| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>();
        assert!(
            rests && ours == wanted,
            "file {n}: only after the reload {:#?}, only after the start {:#?}\n{text}\n{}\n--- start\n{}",
            differ(ours, wanted),
            differ(wanted, ours),
            old.log(),
            fresh.log()
        );
        seen += ours.len();
        changed += usize::from(*ours != before);
        fresh.stop();
    }
    println!("{} files, {seen} lines of the kernel's table, {changed} changes of it", FILES - 1);
    assert!(seen > 60 && changed > 5, "they have little to say: {seen}, {changed}");
    old.stop();
    assert!(lines("").is_empty());
}
