use super::*;
use crate::testkit::*;
use crate::{Config, Input, Output};
use steadfast_core::kernel::{Address, Route, Rule};
use steadfast_core::{Family, State};

fn vip() -> Object {
    Object::Address(Address::new(cidr("10.0.0.151/24"), "eth0"))
}

#[test]
fn a_lost_address_is_put_back_and_announced_at_once_and_the_state_stays() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    solo.input(Input::ObjectLost(&vip()));
    let out = solo.take();
    assert_eq!((added(&out), announced(&out)), (1, 1));
    assert_eq!(solo.state(), State::Master);
    assert!(logs(&out)[0].starts_with("Netlink reflector reports IP 10.0.0.151 removed from eth0"));
}

#[test]
fn who_removes_it_again_and_again_is_answered_slower_and_the_log_stays_small() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    for _ in 0..10_000 {
        solo.input(Input::ObjectLost(&vip()));
        solo.run_ms(1);
    }
    let out = solo.take();
    let times = added(&out);
    assert!((6..=30).contains(&times), "{times} repairs in 10 s");
    assert!(logs(&out).len() <= 4);
    assert_eq!(solo.state(), State::Master);
    // in the end it is there
    solo.run_ms(1000);
    assert_eq!(added(&solo.take()), 1);
}

#[test]
fn what_is_not_ours_is_not_put_back() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.input(Input::ObjectLost(&vip()));
    solo.run_ms(100);
    assert_eq!(added(&solo.take()), 0);
}

#[test]
fn a_refused_object_is_tried_again_with_growing_pauses() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    let mut tries = 0;
    for _ in 0..130 {
        solo.input(Input::ObjectRefused(&vip(), "Invalid argument"));
        solo.take();
        solo.run_ms(1000);
        tries += added(&solo.take());
    }
    assert!((3..=10).contains(&tries), "{tries}");
}

#[test]
fn what_the_kernel_refuses_is_told_until_it_takes_it() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    let told = |solo: &Solo| solo.router.refused_objects().get("VI").cloned().unwrap_or_default();
    assert!(told(&solo).is_empty());
    solo.input(Input::ObjectRefused(&vip(), "Invalid argument"));
    assert_eq!(told(&solo), [(vip(), false)]);
    solo.input(Input::ObjectAdded(&vip()));
    assert!(told(&solo).is_empty());
}

#[test]
fn an_address_of_two_instances_stays_until_the_last_lets_go() {
    let mut h = Held::default();
    assert!(h.hold(&vip()));
    assert!(!h.hold(&vip()));
    assert!(!h.release(&vip()));
    assert!(h.release(&vip()));
    assert!(!h.release(&vip()));
}

#[test]
fn statics_are_added_at_start_put_back_and_removed_at_the_end() {
    let object = Object::Address(Address::new(cidr("10.0.0.200/24"), "eth0"));
    let mut solo = Solo::new(Config { statics: vec![object.clone()], ..one(instance("VI", 0, 51, 100)) });
    assert_eq!(solo.out[0], Output::Add(object.clone()));
    solo.take();
    solo.input(Input::ObjectLost(&object));
    let out = solo.take();
    assert_eq!((added(&out), announced(&out)), (1, 0));
    solo.input(Input::Stop { keep_objects: false });
    assert!(solo.take().contains(&Output::Remove(object)));
}

#[test]
fn a_route_or_rule_that_nobody_tracks_stays_away_until_the_next_master_or_the_return_of_its_link() {
    for no_track in [false, true] {
        let mut route = Route::new(Family::V4);
        (route.destination, route.interface, route.no_track) =
            ("10.9.0.0/24".parse().ok(), Some("eth1".into()), no_track);
        let rule = Rule { preference: Some(9), no_track, ..Rule::new(Family::V4) };
        let objects = [Object::Route(Box::new(route.clone())), Object::Rule(Box::new(rule.clone()))];
        let mut c = instance("VI", 0, 51, 100);
        (c.routes, c.rules) = (vec![route], vec![rule]);
        let mut solo = Solo::master(one(c));
        for object in &objects {
            solo.input(Input::ObjectLost(object));
            solo.run_ms(3000);
            let out = solo.take();
            assert_eq!(out.contains(&Output::Add(object.clone())), !no_track, "{object}");
            assert!(logs(&out).iter().any(|l| l.contains("was removed by somebody")), "{out:?}");
            // Who puts it there and removes it again fills no log.
            (0..100).for_each(|_| solo.input(Input::ObjectLost(object)));
            assert!(logs(&solo.take()).len() <= 1);
            solo.run_ms(20_000);
            solo.take();
        }
        solo.input(Input::Link(link(3, "eth1", false, &[addr(1, 0)])));
        solo.input(Input::Link(link(3, "eth1", true, &[addr(1, 0)])));
        assert!(solo.take().contains(&Output::Add(objects[0].clone())));
        solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
        solo.run_ms(5000);
        assert_eq!(solo.state(), State::Fault);
        solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
        solo.take();
        solo.run_ms(4000);
        let out = solo.take();
        assert_eq!(solo.state(), State::Master);
        assert!(objects.iter().all(|o| out.contains(&Output::Add(o.clone()))), "{out:?}");
    }
}

#[test]
fn objects_come_back_with_their_link() {
    let mut c = instance("VI", 0, 51, 100);
    c.dont_track_primary = true;
    let mut solo = Solo::master(one(c));
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    assert_eq!(solo.state(), State::Master);
    solo.take();
    solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
    assert_eq!(added(&solo.take()), 1);
}

#[test]
fn a_virtual_link_that_the_kernel_refuses_is_a_fault_until_it_is_there() {
    use steadfast_core::kernel::{LinkKind, VirtualLink};
    let mut c = instance("VI", 0, 51, 100);
    c.virtual_link = Some("vrrp.51".into());
    let kind = LinkKind::Macvlan(steadfast_core::Mac([0, 0, 0x5e, 0, 1, 51]));
    let own = VirtualLink {
        name: "vrrp.51".into(),
        base: "eth0".into(),
        kind,
        vrf: None,
        family: steadfast_core::Family::V4,
        group: None,
    };
    let object = Object::Link(own);
    let mut config = one(c);
    config.statics.push(object.clone());
    let mut solo = Solo::new(config);
    assert_eq!(solo.state(), State::Init, "it is on its way");
    solo.input(Input::ObjectRefused(&object, "Invalid argument"));
    assert_eq!(solo.state(), State::Fault);
    assert!(solo.view().faults.contains(&"virtual link vrrp.51 is absent or down".to_string()));
    let log = format!("{:?}", solo.take());
    assert!(log.contains("Invalid argument") && log.contains("vrrp.51"), "{log}");
    solo.input(Input::ObjectAdded(&object));
    solo.input(Input::Link(link(7, "vrrp.51", true, &[])));
    assert_eq!(solo.state(), State::Backup);
}

/// A pause after refusals ends with them.
#[test]
fn what_the_kernel_took_after_refusals_is_put_back_at_once() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    for _ in 0..40 {
        solo.input(Input::ObjectRefused(&vip(), "Invalid argument"));
        solo.run_ms(1000);
    }
    solo.input(Input::ObjectAdded(&vip()));
    solo.take();
    solo.input(Input::ObjectLost(&vip()));
    assert_eq!(added(&solo.take()), 1);
}

fn slow_link() -> Solo {
    let mut c = instance("VI", 0, 51, 100);
    c.addresses = vec![Address::new(cidr("10.0.0.151/24"), "eth0")].into();
    let seconds = std::time::Duration::from_secs(10);
    let delay = crate::LinkDelay { interface: "eth0".into(), down: seconds, up: seconds };
    Solo::master(Config { link_delays: vec![delay], ..one(c) })
}

/// With its link down an address loses its routes, however soon it is up again.
#[test]
fn what_went_with_a_link_that_was_down_too_shortly_to_count_is_put_back() {
    let mut solo = slow_link();
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    solo.run_ms(2000);
    assert_eq!(added(&solo.take()), 0);
    solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
    assert_eq!((added(&solo.take()), solo.state()), (1, State::Master));
}

/// The time that one life of a link was down does not count for the next.
#[test]
fn a_link_that_is_made_anew_is_waited_for_as_long_as_any() {
    let mut solo = slow_link();
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    solo.run_ms(500);
    solo.input(Input::LinkGone("eth0"));
    solo.input(Input::Link(link(9, "eth0", true, &[addr(0, 0)])));
    solo.run_to_master();
    assert!(solo.now < t(9_000), "{:?}", solo.now);
    solo.run(t(9_500).since(solo.now));
    solo.input(Input::Link(link(9, "eth0", false, &[addr(0, 0)])));
    solo.run_ms(5000);
    assert!(solo.view().faults.is_empty(), "{:?}", solo.view().faults);
    solo.run_ms(5001);
    assert_eq!(solo.state(), State::Fault);
}

#[test]
fn what_went_with_a_link_that_was_up_again_before_anybody_looked_is_put_back() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    solo.input(Input::LinkBlinked("eth1"));
    assert_eq!(added(&solo.take()), 0);
    solo.input(Input::LinkBlinked("eth0"));
    assert_eq!((added(&solo.take()), solo.state()), (1, State::Master));
}
