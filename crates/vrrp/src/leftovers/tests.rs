use super::Leftovers;
use crate::testkit::*;
use crate::*;
use steadfast_core::State;
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
    let left = solo.router.leftovers(&[], |_| true).gone;
    let text = words(&left);
    assert_eq!(text.len(), 3, "{text:?}");
    assert!(text[0].starts_with("rule") && text[1].starts_with("route") && text[2].starts_with("address"), "{text:?}");
    assert_eq!(solo.router.leftovers(&[], |_| false).gone.len(), 2);
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
    assert_eq!(solo.router.leftovers(&inherited, |_| true).gone, [old, gone]);
}

#[test]
fn an_owner_keeps_what_is_his_interfaces_own() {
    let mut c = instance("VI", 0, 51, 255);
    c.addresses[0].cidr = cidr("10.0.0.1/24");
    let own = Object::Address(c.addresses[0].clone());
    let solo = Solo::new(one(c));
    assert_eq!(solo.router.leftovers(&[own], |_| true), Leftovers::default());
}

/// A life that ended in the moment when it became master, or while it gave way, was not known to be one.
#[test]
fn where_none_goes_on_an_owner_leaves_nothing_that_was_put_there() {
    let mut c = instance("VI", 0, 51, 255);
    c.addresses[0].cidr = cidr("10.0.0.77/24");
    let put = Object::Address(c.addresses[0].clone());
    let solo = Solo::new(one(c));
    assert_eq!(solo.router.remains(std::slice::from_ref(&put), |_| true).gone, [put]);
    // Nobody knows of having put it there: it is the interface's own.
    assert_eq!(solo.router.remains(&[], |_| true), Leftovers::default());
}

/// A start after all processes of an earlier daemon died at once, their addresses still in the kernel.
fn orphaned(change: impl FnOnce(&mut Config)) -> Solo {
    let mut config = one(with_all("VI", 51));
    change(&mut config);
    let there: Vec<Object> = config.instances[0].addresses.iter().cloned().map(Object::Address).collect();
    let mut eth0 = link(2, "eth0", true, &[addr(0, 0)]);
    eth0.addresses.extend(config.instances[0].addresses.iter().map(|a| a.cidr));
    let mut out = Vec::new();
    let router = Router::new(config, 1, t(0), &mut out);
    let mut solo = Solo { router, out, now: t(0) };
    solo.input(Input::Link(eth0));
    solo.router.inherit(&there);
    solo.router.poll(t(0), &mut solo.out);
    solo
}

fn removed(out: &[Output]) -> bool {
    out.iter().any(|o| matches!(o, Output::Remove(Object::Address(_))))
}

#[test]
fn what_a_killed_daemon_left_serves_until_this_one_is_master() {
    let mut solo = orphaned(|_| {});
    assert_eq!((solo.state(), solo.view().objects_set), (State::Backup, true));
    assert_eq!(words(&solo.router.leftovers(&[], |_| true).gone), Vec::<String>::new());
    solo.run(std::time::Duration::from_secs(4));
    assert_eq!(solo.state(), State::Master);
    assert!(!removed(&solo.out), "{:?}", solo.out);
}

#[test]
fn it_goes_when_anybody_else_serves() {
    for priority in [50, 100, 200] {
        let mut solo = orphaned(|_| {});
        solo.hear("10.0.0.9", 0);
        assert!(!removed(&solo.out), "who gives up serves no more");
        solo.hear("10.0.0.9", priority);
        assert_eq!((solo.state(), removed(&solo.out)), (State::Backup, true), "{priority}");
        assert!(!solo.view().objects_set);
    }
}

#[test]
fn it_goes_with_the_link_and_with_a_stop() {
    let mut solo = orphaned(|_| {});
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    assert_eq!((solo.state(), removed(&solo.out)), (State::Fault, true));

    let mut solo = orphaned(|_| {});
    solo.input(Input::Stop { keep_objects: false });
    assert!(removed(&solo.out), "{:?}", solo.out);
}

#[test]
fn a_delayed_start_does_not_keep_what_it_cannot_give_way_with() {
    let solo = orphaned(|config| config.startup_delay = std::time::Duration::from_secs(5));
    let there: Vec<Object> = with_all("VI", 51).addresses.into_iter().map(Object::Address).collect();
    assert_eq!(solo.router.leftovers(&there, |_| true).gone.iter().filter(|o| **o == there[0]).count(), 1);
}

/// Whoever waits for the first result of a script does not take part, but hears, and is stopped and removed as everybody.
#[test]
fn who_waits_for_a_script_gives_it_up_as_well() {
    let waits = |config: &mut Config| {
        let (what, weight, reverse) = (Tracked::Script("chk".into()), 0, false);
        config.instances[0].tracks.push(Track { what, weight, reverse });
        let second = std::time::Duration::from_secs(1);
        let (name, command) = (String::from("chk"), String::from("chk"));
        config.scripts.push(ScriptConfig {
            name,
            interval: second,
            timeout: second,
            rise: 1,
            fall: 1,
            init_fail: false,
            command,
        });
    };
    let mut solo = orphaned(waits);
    assert_eq!((solo.state(), solo.view().objects_set), (State::Init, true));
    solo.hear("10.0.0.9", 90);
    assert!(removed(&solo.take()));

    let mut solo = orphaned(waits);
    solo.input(Input::Stop { keep_objects: false });
    assert!(removed(&solo.out), "{:?}", solo.out);

    let mut solo = orphaned(waits);
    solo.router.reload(t(1), Config::default(), &mut solo.out);
    assert!(removed(&solo.out), "{:?}", solo.out);
}

#[test]
fn what_is_not_there_any_more_is_not_put_there() {
    let config = one(with_all("VI", 51));
    let there: Vec<Object> = config.instances[0].addresses.iter().cloned().map(Object::Address).collect();
    let mut solo = Solo { router: Router::new(config, 1, t(0), &mut Vec::new()), out: Vec::new(), now: t(0) };
    solo.input(Input::Link(link(2, "eth0", true, &[addr(0, 0)])));
    solo.router.inherit(&there);
    solo.router.poll(t(0), &mut solo.out);
    assert_eq!(added(&solo.out), 0, "{:?}", solo.out);
}

/// Who is no master gets no new addresses: what was left may only go.
#[test]
fn a_reload_that_changes_its_addresses_gives_it_none_of_the_new_ones() {
    let mut solo = orphaned(|_| {});
    let mut other = with_all("VI", 51);
    other.addresses[0].cidr = cidr("10.0.0.150/24");
    solo.take();
    solo.router.reload(t(1), one(other), &mut solo.out);
    let out = solo.take();
    assert_eq!((added(&out), removed(&out), solo.view().objects_set), (0, true, false), "{out:?}");
    // And the master that it becomes has them, the new ones alone.
    solo.run_ms(4000);
    assert_eq!(solo.state(), State::Master);
    assert!(
        solo.take().iter().any(|o| matches!(o, Output::Add(Object::Address(a)) if a.cidr == cidr("10.0.0.150/24")))
    );
    // Where nothing of them changes they stay.
    let mut solo = orphaned(|_| {});
    let mut other = with_all("VI", 51);
    other.priority = 120;
    solo.router.reload(t(1), one(other), &mut solo.out);
    assert!(!removed(&solo.out) && solo.view().objects_set);
}

/// The timers of a group's members do not end at one time.
#[test]
fn members_of_a_group_do_not_let_go_because_another_one_takes_longer() {
    let slow = |config: &mut Config| {
        let mut other = instance("VJ", 0, 52, 100);
        other.advert_interval = std::time::Duration::from_secs(2);
        config.instances.push(other);
        let members = vec!["VI".into(), "VJ".into()];
        config.groups.push(GroupConfig { name: "G".into(), members, tracking_weight: false });
    };
    let mut solo = orphaned(slow);
    while solo.state() != State::Master {
        assert!(solo.view().objects_set && !removed(&solo.out), "{:?}", logs(&solo.out));
        solo.run_ms(100);
        assert!(solo.now < t(20_000));
    }
    assert!(!removed(&solo.out), "{:?}", logs(&solo.out));
}

/// It moves to a master further down in the file, in which order both are gone through.
#[test]
fn an_address_that_was_left_moves_to_a_master_without_leaving_the_kernel() {
    let quick = || {
        let mut other = instance("VJ", 0, 52, 100);
        other.version = Version::V3;
        other.advert_interval = std::time::Duration::from_millis(10);
        other.addresses[0].cidr = cidr("10.0.0.77/24");
        other
    };
    let mut solo = orphaned(|c| c.instances.push(quick()));
    solo.run_ms(300);
    assert_eq!(solo.router.views().map(|v| v.state).collect::<Vec<_>>(), [State::Backup, State::Master]);
    let (mut one, mut other) = (with_all("VI", 51), quick());
    other.addresses.push(one.addresses[0].clone());
    one.addresses[0].cidr = cidr("10.0.0.150/24");
    let moved = Object::Address(other.addresses[1].clone());
    solo.take();
    solo.router.reload(solo.now, Config { instances: vec![one, other], ..Config::default() }, &mut solo.out);
    let out = solo.take();
    assert!(
        !out.contains(&Output::Remove(moved)) && !solo.router.views().next().is_some_and(|v| v.objects_set),
        "{out:?}"
    );
}

/// The file has changed by the time a successor goes on as master.
#[test]
fn an_address_of_another_prefix_length_or_label_is_changed_or_goes() {
    let mut solo = Solo::master(one(with_all("VI", 51)));
    let held = with_all("VI", 51).addresses[0].clone();
    let six = Address::new(cidr("fd00::5/128"), "eth0");
    let mut with = with_all("VI", 51);
    with.excluded.push(six.clone());
    solo.router.reload(t(5000), one(with), &mut solo.out);
    let other = |a: &Address, change: &dyn Fn(&mut Address)| {
        let mut a = a.clone();
        change(&mut a);
        Object::Address(a)
    };
    let labelled = other(&held, &|a| a.label = Some("eth0:x".into()));
    let wide = other(&held, &|a| a.cidr.prefix = 16);
    let wide_six = other(&six, &|a| a.cidr.prefix = 64);
    let was = other(&six, &|a| a.cidr.prefix = 96);
    let inherited = [labelled.clone(), wide.clone(), wide_six.clone(), was.clone(), Object::Address(held.clone())];
    let left = solo.router.leftovers(&inherited, |a| a.cidr.prefix != 96);
    assert_eq!(left.gone, [wide]);
    assert_eq!(left.changed, [(labelled, Object::Address(held)), (wide_six, Object::Address(six))]);
    assert_eq!(left.absent, [was]);
}
