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

/// An advertisement of a neighbour and a gratuitous ARP have gaps of their own, those of a group go before.
#[test]
fn neighbours_are_advertised_at_their_own_pace() {
    let ms = Duration::from_millis;
    let group =
        |gna| GarpGroup { interval: Some(ms(1)), gna_interval: gna, interfaces: vec!["eth0".into(), "eth1".into()] };
    for (groups, gap) in [(vec![], 300), (vec![group(None)], 300), (vec![group(Some(ms(700)))], 700)] {
        let mut c = instance("VI", 0, 51, 255);
        c.start_master = true;
        (c.garp.repeat, c.garp.delay) = (3, Duration::ZERO);
        let six = steadfast_core::kernel::Address::new(cidr("2001:db8::1/64"), "eth0");
        c.excluded = vec![six];
        let mut config = one(c);
        (config.garp_interval, config.gna_interval, config.garp_groups) = (ms(1), ms(300), groups);
        let mut solo = Solo::new(config);
        // The second and the third one.
        for _ in 0..2 {
            solo.run_ms(10);
            solo.take();
            solo.run_ms(gap - 11);
            assert_eq!(announced(&solo.take()), 0, "{gap}");
            solo.run_ms(1);
            assert_eq!(announced(&solo.take()), 1, "{gap}");
        }
    }
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
