use crate::testkit::*;
use crate::*;
use steadfast_core::kernel::{Address, Object, Route, Rule, RuleAction};

fn route(metric: u32) -> Route {
    let mut r = Route::new(steadfast_core::Family::V4);
    r.destination = Some(cidr("203.0.113.0/24"));
    r.metric = Some(metric);
    r
}

fn with_all(name: &str, vrid: u8) -> InstanceConfig {
    let mut c = instance(name, 0, vrid, 100);
    c.routes = vec![route(u32::from(vrid))];
    let rule = Rule {
        preference: Some(100 + u32::from(vrid)),
        action: RuleAction::Table(77),
        ..Rule::new(steadfast_core::Family::V4)
    };
    c.rules = vec![rule];
    c
}

fn words(objects: &[Object]) -> Vec<String> {
    objects.iter().map(ToString::to_string).collect()
}

#[test]
fn a_backup_leaves_no_route_no_rule_and_no_address_that_is_there() {
    let solo = Solo::new(one(with_all("VI", 51)));
    let left = solo.router.leftovers(&[], |_| true);
    let text = words(&left);
    assert_eq!(text.len(), 3, "{text:?}");
    assert!(text[0].starts_with("rule") && text[1].starts_with("route") && text[2].starts_with("address"), "{text:?}");
    assert_eq!(solo.router.leftovers(&[], |_| false).len(), 2);
}

#[test]
fn what_a_master_holds_is_no_leftover_and_what_nobody_is_configured_for_is_one() {
    let solo = Solo::master(one(with_all("VI", 51)));
    let gone = Object::Address(Address::new(cidr("10.0.0.77/24"), "eth0"));
    let mut inherited: Vec<Object> = vec![gone.clone()];
    let mine = with_all("VI", 51);
    inherited.extend(mine.addresses.iter().cloned().map(Object::Address));
    inherited.push(Object::Route(Box::new(mine.routes[0].clone())));
    let old = Object::Route(Box::new(route(9)));
    inherited.push(old.clone());
    assert_eq!(solo.router.leftovers(&inherited, |_| true), [old, gone]);
}

#[test]
fn an_owner_keeps_what_is_his_interfaces_own() {
    let mut c = instance("VI", 0, 51, 255);
    c.addresses[0].cidr = cidr("10.0.0.1/24");
    let own = Object::Address(c.addresses[0].clone());
    let solo = Solo::new(one(c));
    assert_eq!(solo.router.leftovers(&[own], |_| true), []);
}
