use super::*;
use crate::testkit::*;
use std::time::Duration;

#[test]
fn announcements_are_paced_on_each_link_and_family() {
    let mut c = instance("VI", 0, 51, 100);
    c.garp.repeat = 3;
    let mut config = one(c);
    config.garp_interval = Duration::from_millis(100);
    let mut solo = Solo::new(config);
    solo.run(Duration::from_nanos(3_609_375_000));
    assert_eq!(announced(&solo.take()), 1);
    solo.run_ms(99);
    assert_eq!(announced(&solo.take()), 0);
    solo.run_ms(1);
    assert_eq!(announced(&solo.take()), 1);
    solo.run_ms(1000);
    assert_eq!(announced(&solo.take()), 1);
}

#[test]
fn what_waits_is_void_when_the_instance_is_not_master_any_more() {
    let mut config = one(instance("VI", 0, 51, 100));
    config.garp_interval = Duration::from_millis(100);
    let mut solo = Solo::new(config);
    solo.run_ms(3610);
    solo.hear(PEER, 200);
    solo.take();
    solo.run_ms(2000);
    assert_eq!(announced(&solo.take()), 0);
}

#[test]
fn a_queue_is_bounded() {
    let mut p = Pacer::default();
    p.set_gaps(Duration::from_millis(1), Duration::ZERO, &[]);
    let waiting = Waiting { instance: 0, address: ip("10.0.0.50") };
    for _ in 0..MOST + 10 {
        p.push(t(0), "eth0", waiting);
    }
    let mut served = 0;
    while p.pop(t(0), 0).is_some() {
        served += 1;
    }
    assert_eq!(served, MOST);
}

/// A slip of the keyboard must not cost the memory of the host.
#[test]
fn a_burst_is_bounded() {
    let mut c = instance("VI", 0, 51, 100);
    c.garp.repeat = 1_000_000;
    let mut solo = Solo::new(one(c));
    solo.run_ms(3700);
    assert_eq!((announced(&solo.take()), solo.state()), (MOST, steadfast_core::State::Master));
}
