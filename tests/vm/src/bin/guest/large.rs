//! Large sites.

use crate::ipvs::Test;
use std::path::Path;
use steadfast_test_vm::lab::{Director, Keepalived, Lab, sh, table};
use steadfast_test_vm::scale::{Pace, site};

/// Every test here, by name.
pub const TESTS: &[(&str, Test)] = &[("ten_thousand_servers", ten_thousand_servers)];

/// The first table of a large site, beside keepalived's in the same guest: without acceleration only their ratio says something.
fn ten_thousand_servers(_: &mut Lab) {
    let text = site();
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
    assert!(!d.log().contains("does not answer"), "{}", d.log());
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
    let here = Pace::measure(Path::new("/share/steadfastd"), Path::new("/run")).expect("pace");
    match Pace::of_the_host() {
        Some(host) => {
            let (kernel, program) = (here.routes / host.routes, here.reading / host.reading);
            let natively = |taken: f64| {
                let (a, b) = (taken / kernel, taken / program);
                format!("{:.2} to {:.2} s", a.min(b), a.max(b))
            };
            println!(
                "the guest is slower than its host: 10,000 routes by ip -batch {:.2} s for {:.3} s (by {kernel:.0}), steadfastd -t of this file \
                 {:.2} s for {:.3} s (by {program:.0})",
                here.routes, host.routes, here.reading, host.reading
            );
            println!(
                "by that scale the first table takes natively: {} (keepalived {})",
                natively(own),
                natively(theirs)
            );
        }
        None => println!("SKIPPED: what this would be natively: the host's pace is not known"),
    }
    // A wide bound: a build for debugging, on a busy host.
    assert!(own < 90.0, "{own}");
    sh("ipvsadm -C");
}
