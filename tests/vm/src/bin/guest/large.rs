//! Large sites.

use crate::ipvs::Test;
use steadfast_test_vm::lab::{Director, Keepalived, Lab, service, sh, table};

/// Every test here, by name.
pub const TESTS: &[(&str, Test)] = &[("ten_thousand_servers", ten_thousand_servers)];

/// The first table of a large site, beside keepalived's in the same guest: without acceleration only their ratio says something.
fn ten_thousand_servers(_: &mut Lab) {
    let servers =
        |v: u32| (1..=100).map(|r| format!(" real_server 10.9.{v}.{r} 80 {{\n weight 1\n }}\n")).collect::<String>();
    let text: String =
        (0..100).map(|v| service(&format!("10.8.{v}.1 80"), "lb_kind NAT\n protocol TCP", &servers(v))).collect();
    // Reading the table takes time of its own.
    let complete = || {
        let lines = || std::fs::read_to_string("/proc/net/ip_vs").unwrap_or_default().matches("->").count();
        (0..1800).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(100));
            lines() > 10_000
        })
    };
    let begun = std::time::Instant::now();
    let d = Director::begin_at_once(&text);
    assert!(complete(), "{}", d.log());
    let own = begun.elapsed().as_secs_f64();
    d.stop();
    assert_eq!(table(), "");
    std::fs::write("/run/large.conf", &text).expect("configuration");
    let begun = std::time::Instant::now();
    let k = Keepalived::start("/run/large.conf");
    assert!(complete(), "keepalived: {}", table());
    let theirs = begun.elapsed().as_secs_f64();
    drop(k);
    println!(
        "10,000 real servers, first table complete after the start: {own:.2} s, keepalived {theirs:.2} s, {:.2} of its time",
        own / theirs
    );
    // A wide bound: a build for debugging, on a busy host.
    assert!(own < 90.0, "{own}");
    sh("ipvsadm -C");
}
