use crate::testkit::*;
use crate::*;
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;
use steadfast_core::State;
use steadfast_core::kernel::{Address, Object};

fn vi() -> InstanceConfig {
    instance("VI", 0, 51, 100)
}

fn extra(last: u8) -> Address {
    Address::new(cidr(&format!("10.0.0.{last}/24")), "eth0")
}

fn reload(solo: &mut Solo, config: Config) -> Vec<Output> {
    solo.take();
    let now = solo.now;
    solo.router.reload(now, config, &mut solo.out);
    solo.take()
}

#[test]
fn an_unchanged_master_and_an_unchanged_backup_are_not_touched() {
    for master in [true, false] {
        let mut solo = Solo::new(one(vi()));
        if master {
            solo.run_to_master();
        }
        solo.run_ms(400);
        let due = solo.router.poll_at();
        let out = reload(&mut solo, one(vi()));
        assert_eq!(out, []);
        assert_eq!(solo.router.poll_at(), due);
    }
}

#[test]
fn live_changes_lose_no_advert_and_no_state() {
    let mut solo = Solo::master(one(vi()));
    let mut adverts = 0;
    for k in 0..20u8 {
        solo.run_ms(499);
        let mut c = vi();
        c.priority = 100 + k;
        c.garp.repeat = u32::from(k);
        c.preempt = k % 2 == 0;
        solo.run_ms(1);
        adverts += sent(&solo.out).len();
        adverts += sent(&reload(&mut solo, one(c))).len();
        assert_eq!(solo.state(), State::Master);
    }
    assert!(adverts >= 10, "{adverts}");
    solo.run_ms(1000);
    assert_eq!(sent(&solo.take()), [119]);
}

#[test]
fn addresses_are_changed_by_difference_and_peers_told_at_once() {
    let mut c = vi();
    c.addresses.push(extra(60));
    let mut solo = Solo::master(one(c.clone()));
    c.addresses[1] = extra(61);
    let out = reload(&mut solo, one(c));
    let changes: Vec<&Output> = out.iter().filter(|o| matches!(o, Output::Add(_) | Output::Remove(_))).collect();
    assert_eq!(changes, [&Output::Add(Object::Address(extra(61))), &Output::Remove(Object::Address(extra(60)))]);
    assert_eq!((sent(&out), announced(&out)), (vec![100], 5));
    let Some(Output::Send(s)) = out.iter().find(|o| matches!(o, Output::Send(_))) else { panic!("no advert") };
    assert_eq!(&s.payload[12..16], [10, 0, 0, 61]);
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn an_address_that_moves_between_two_masters_never_leaves_the_kernel() {
    let both = |first: bool| {
        let (mut a, mut b) = (instance("A", 0, 51, 100), instance("B", 0, 52, 100));
        if first {
            a.addresses.push(extra(60))
        } else {
            b.addresses.push(extra(60))
        }
        Config { instances: vec![a, b], ..Config::default() }
    };
    let mut solo = Solo::new(both(true));
    solo.run_ms(3700);
    let out = reload(&mut solo, both(false));
    assert_eq!((added(&out), removed(&out)), (0, 0));
}

#[test]
fn a_removed_master_says_priority_zero_hands_over_and_is_reported() {
    for (notify_deleted, word) in [(true, "VI DELETED"), (false, "VI FAULT")] {
        let mut c = vi();
        c.notify_deleted = notify_deleted;
        let mut solo = Solo::master(one(c));
        let out = reload(&mut solo, Config::default());
        assert_eq!((sent(&out), removed(&out)), (vec![0], 0));
        assert_eq!(solo.router.views().count(), 0);
        assert_eq!(solo.router.listening().len(), 1, "to hear the successor");
        solo.run_ms(1000);
        let out = solo.take();
        assert_eq!(removed(&out), 1);
        assert_eq!(notices(&out), [word]);
        assert!(solo.router.listening().is_empty());
    }
}

#[test]
fn a_removed_backup_is_gone_at_once_and_an_added_instance_starts() {
    let mut solo = Solo::new(one(vi()));
    let out = reload(&mut solo, one(instance("NEW", 0, 77, 100)));
    assert_eq!(notices(&out), ["VI FAULT", "NEW BACKUP"]);
    assert_eq!(sent(&out), []);
    solo.run_ms(3610);
    assert_eq!(solo.state(), State::Master);
    assert_eq!(solo.router.listening()[0].vrids, [77]);
}

#[test]
fn a_renamed_instance_is_the_same_one() {
    let mut solo = Solo::master(one(vi()));
    let mut c = vi();
    c.name = "OTHER".into();
    let out = reload(&mut solo, one(c));
    assert_eq!((notices(&out).len(), sent(&out).len(), removed(&out)), (0, 0, 0));
    assert!(out.contains(&Output::Renamed("VI".into(), "OTHER".into())));
    assert_eq!((solo.state(), solo.view().config.name.as_str()), (State::Master, "OTHER"));
}

#[test]
fn a_shorter_interval_counts_at_once() {
    let mut solo = Solo::master(one(vi()));
    let mut c = vi();
    c.version = Version::V3;
    c.advert_interval = Duration::from_millis(100);
    reload(&mut solo, one(c));
    solo.run_ms(1000);
    assert_eq!(sent(&solo.take()).len(), 10);
}

fn with_script(command: &str, interval: u64) -> Config {
    let mut c = vi();
    c.tracks = vec![Track { what: Tracked::Script("chk".into()), weight: 0, reverse: false }];
    let script = ScriptConfig {
        name: "chk".into(),
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(1),
        rise: 2,
        fall: 2,
        init_fail: false,
        command: command.into(),
    };
    Config { scripts: vec![script], ..one(c) }
}

#[test]
fn a_script_with_the_same_command_keeps_its_history_and_its_rhythm() {
    let mut solo = Solo::new(with_script("a", 10));
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    solo.run_to_master();
    let out = reload(&mut solo, with_script("a", 10));
    assert_eq!(logs(&out), ["VRRP_Script(chk) considered successful on reload"]);
    assert_eq!(solo.state(), State::Master);
    let started = |out: &[Output]| out.iter().filter(|o| matches!(o, Output::StartScript(_))).count();
    let left = 10_000_000_000 - solo.now.as_nanos();
    solo.run(Duration::from_nanos(left - 1));
    assert_eq!(started(&solo.take()), 0);
    solo.run(Duration::from_nanos(1));
    assert_eq!(started(&solo.take()), 1);
}

#[test]
fn a_script_with_another_command_waits_for_the_former_run_and_begins_anew() {
    let mut solo = Solo::new(with_script("a", 10));
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    solo.run_ms(10_000);
    assert_eq!(solo.state(), State::Master);
    let out = reload(&mut solo, with_script("b", 10));
    assert!(out.contains(&Output::KillScript("chk".into(), Kill::Unwanted)));
    assert_eq!(solo.state(), State::Master, "the unknown is no failure");
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    assert_eq!(solo.state(), State::Master, "the former command's result");
    solo.run_ms(10_000);
    assert!(solo.take().contains(&Output::StartScript("chk".into())));
}

/// The verdict of the former command holds until then: an interval may be an hour.
#[test]
fn another_command_runs_as_soon_as_the_former_one_has_ended() {
    let mut solo = Solo::new(with_script("a", 3600));
    reload(&mut solo, with_script("b", 3600));
    solo.run_ms(500);
    assert!(!solo.take().contains(&Output::StartScript("chk".into())), "none is doubled");
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Signalled(15)));
    solo.run_ms(1);
    assert!(solo.take().contains(&Output::StartScript("chk".into())));
    // None begins in a stop.
    reload(&mut solo, with_script("c", 3600));
    solo.run_ms(500);
    solo.input(Input::Stop { keep_objects: false });
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Signalled(15)));
    solo.run_ms(1);
    assert!(!solo.take().contains(&Output::StartScript("chk".into())));
}

#[test]
fn a_script_with_another_command_keeps_its_verdict_until_it_has_one_of_its_own() {
    let with = |command: &str| {
        let mut config = with_script(command, 10);
        config.instances[0].tracks[0].weight = 20;
        config
    };
    let mut solo = Solo::new(with("a"));
    let before = solo.view().config.priority;
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    assert_eq!(solo.view().priority, before + 20);
    let out = reload(&mut solo, with("b"));
    assert_eq!(solo.view().priority, before + 20);
    assert!(format!("{out:?}").contains("considered successful on reload"), "{out:?}");
}

#[test]
fn statics_are_changed_by_difference() {
    let statics = |last: u8| vec![Object::Address(extra(70)), Object::Address(extra(last))];
    let mut solo = Solo::new(Config { statics: statics(71), ..one(vi()) });
    let out = reload(&mut solo, Config { statics: statics(72), ..one(vi()) });
    assert_eq!(out, [Output::Add(Object::Address(extra(72))), Output::Remove(Object::Address(extra(71)))]);
}

#[test]
fn a_stop_during_the_hand_over_of_a_removed_instance_ends() {
    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, one(instance("NEW", 0, 77, 100)));
    solo.input(Input::Stop { keep_objects: false });
    solo.run_ms(1100);
    assert_eq!(solo.out.last(), Some(&Output::Stopped));
}

fn any_config() -> impl Strategy<Value = Config> {
    let address = 60u8..68;
    let one = (50u8..54, 1u8..=254, prop::collection::vec(address, 0..4), any::<bool>(), any::<bool>());
    (prop::collection::vec(one, 0..4), prop::collection::vec(68u8..72, 0..3)).prop_map(|(list, statics)| {
        let mut seen = HashSet::new();
        let mut config = Config::default();
        for (vrid, priority, addresses, soft, grouped) in list {
            if !seen.insert(vrid) {
                continue;
            }
            let mut c = instance(&format!("V{vrid}"), 0, vrid, priority);
            c.soft_release = soft;
            let unique: HashSet<u8> = addresses.into_iter().collect();
            let mut unique: Vec<u8> = unique.into_iter().collect();
            unique.sort_unstable();
            c.addresses = unique.into_iter().map(extra).collect();
            if grouped {
                if config.groups.is_empty() {
                    config.groups.push(GroupConfig { name: "G".into(), members: vec![], tracking_weight: false });
                }
                config.groups[0].members.push(c.name.to_string());
            }
            config.instances.push(c);
        }
        let statics: HashSet<u8> = statics.into_iter().collect();
        let mut statics: Vec<u8> = statics.into_iter().collect();
        statics.sort_unstable();
        config.statics = statics.into_iter().map(|s| Object::Address(extra(s))).collect();
        config
    })
}

/// What the kernel holds after these outputs.
fn kernel(held: &mut HashSet<Object>, out: &[Output], never_drop: &HashSet<Object>) {
    for o in out {
        match o {
            Output::Add(x) => {
                held.insert(x.clone());
            }
            Output::Remove(x) => {
                assert!(!never_drop.contains(x), "{x} is in both and was dropped");
                held.remove(x);
            }
            _ => {}
        }
    }
}

fn wanted(config: &Config) -> HashSet<Object> {
    let vips = config.instances.iter().flat_map(|c| c.addresses.iter().cloned().map(Object::Address));
    vips.chain(config.statics.iter().cloned()).collect()
}

proptest! {
    /// start(A); reload(B) ends in the kernel state of start(B), and what one instance has in both is never dropped.
    #[test]
    fn a_reload_ends_where_a_start_would(a in any_config(), b in any_config()) {
        let mut solo = Solo::new(a.clone());
        solo.run_ms(6_000);
        let mut held = HashSet::new();
        kernel(&mut held, &solo.take(), &HashSet::new());
        prop_assert_eq!(&held, &wanted(&a));
        let stay: HashSet<u8> = a.instances.iter().map(|c| c.vrid).filter(|v| b.instances.iter().any(|c| c.vrid == *v)).collect();
        let of = |c: &Config| -> HashSet<Object> {
            c.instances.iter().filter(|i| stay.contains(&i.vrid)).flat_map(|i| i.addresses.iter().cloned().map(Object::Address)).collect()
        };
        let both: HashSet<Object> = of(&a).intersection(&of(&b)).cloned().collect();
        let out = reload(&mut solo, b.clone());
        kernel(&mut held, &out, &both);
        solo.run_ms(12_000);
        kernel(&mut held, &solo.take(), &both);
        prop_assert_eq!(&held, &wanted(&b));
        solo.input(Input::Stop { keep_objects: false });
        solo.run_ms(1_100);
        let out = solo.take();
        prop_assert_eq!(out.last(), Some(&Output::Stopped));
        kernel(&mut held, &out, &HashSet::new());
        prop_assert!(held.is_empty());
    }
}

#[test]
fn an_instance_that_comes_back_while_it_hands_over_is_the_same_one() {
    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, Config::default());
    solo.run_ms(100);
    reload(&mut solo, one(vi()));
    solo.run_ms(1000);
    let out = solo.take();
    assert_eq!(notices(&out), ["VI BACKUP"]);
    solo.run_ms(3610);
    assert_eq!(solo.state(), State::Master);
    assert_eq!(added(&solo.take()), 1);
}

/// Unicast instances that share everything but their name and their peers.
#[test]
fn unicast_twins_stay_apart_at_a_reload() {
    let twin = |name: &str, n: u8| {
        let mut c = instance(name, 0, 51, 100);
        c.unicast = Some(Unicast {
            peers: vec![Peer { address: ip(&format!("10.0.0.{n}")), min_ttl: 0, max_ttl: 255 }],
            ttl: 255,
            check_source: true,
        });
        c
    };
    let config = Config { instances: vec![twin("ONE", 201), twin("TWO", 202)], ..Config::default() };
    let mut solo = Solo::new(config.clone());
    solo.run_ms(5000);
    solo.take();
    solo.router.reload(solo.now, config, &mut solo.out);
    solo.run_ms(1000);
    assert_eq!(notices(&solo.take()), Vec::<String>::new());
    assert_eq!(solo.router.views().map(|v| v.config.name.clone()).collect::<Vec<_>>(), ["ONE", "TWO"]);
    solo.router.reload(solo.now, Config::default(), &mut solo.out);
    solo.run_ms(5000);
    let _ = solo.take();
    solo.run_ms(3000);
    assert!(sent(&solo.take()).is_empty(), "nobody is left behind");
}

/// The kernel would take away the address itself with what is removed: both have one key there.
#[test]
fn what_has_the_key_of_another_takes_its_place() {
    let mut solo = Solo::master(one(vi()));
    let old = Object::Address(solo.view().config.addresses[0].clone());
    let mut c = vi();
    c.addresses[0].label = Some("eth0:x".into());
    let new = Object::Address(c.addresses[0].clone());
    let out = reload(&mut solo, one(c.clone()));
    let touched = |out: &[Output]| {
        let touches = |o: &&Output| matches!(o, Output::Add(_) | Output::Remove(_) | Output::Replace(..));
        out.iter().filter(touches).cloned().collect::<Vec<_>>()
    };
    assert_eq!(touched(&out), [Output::Replace(old, new.clone())]);
    // refused: what was there serves, and is left alone
    solo.input(Input::ObjectUnchanged(&new, "Invalid argument"));
    let told = |solo: &Solo| solo.router.refused_objects().get("VI").cloned().unwrap_or_default();
    assert_eq!(told(&solo), [(new.clone(), true)]);
    assert!(logs(&solo.take()).iter().any(|l| l.contains("it stays as it was")));
    solo.run_ms(70_000);
    assert_eq!(touched(&solo.take()), []);
    // Another prefix length is another object.
    let mut other = c.clone();
    other.addresses[0].cidr.prefix = 28;
    let second = Object::Address(other.addresses[0].clone());
    let out = reload(&mut solo, one(other));
    assert_eq!(touched(&out), [Output::Add(second), Output::Remove(new)]);
    assert!(told(&solo).is_empty());
}

#[test]
fn a_refused_route_in_the_place_of_another_is_tried_again() {
    use steadfast_core::kernel::Route;
    let route = |via: &str| {
        let mut r = Route::new(steadfast_core::Family::V4);
        (r.destination, r.via) = ("10.9.0.0/16".parse().ok(), via.parse().ok());
        r
    };
    let with = |via: &str| {
        let mut c = vi();
        c.routes.push(route(via));
        c
    };
    let mut solo = Solo::master(one(with("10.0.0.1")));
    let object = |via: &str| Object::Route(Box::new(route(via)));
    let new = object("10.0.0.2");
    let out = reload(&mut solo, one(with("10.0.0.2")));
    assert!(out.contains(&Output::Replace(object("10.0.0.1"), new.clone())), "{out:?}");
    solo.input(Input::ObjectUnchanged(&new, "Invalid argument"));
    solo.run_ms(2000);
    assert!(solo.take().contains(&Output::Add(new)));
}

/// The kernel has place for one form of it. Whoever lets go of the old one last must not take the new one away with it.
#[test]
fn an_address_of_two_holders_changes_for_both_and_changes_on_its_way() {
    let six = |prefix: u8| Address::new(cidr(&format!("fd00::60/{prefix}")), "eth0");
    let config = |a: Option<u8>, b: Option<u8>, fixed: Option<u8>| {
        let mut both = [instance("A", 0, 51, 100), instance("B", 0, 52, 100)];
        both[0].excluded.extend(a.map(six));
        both[1].excluded.extend(b.map(six));
        let statics = fixed.map(|p| Object::Address(six(p))).into_iter().collect();
        Config { instances: both.to_vec(), statics, ..Config::default() }
    };
    let object = |p: u8| Object::Address(six(p));
    for (before, after) in [
        (config(Some(64), Some(64), None), config(Some(128), Some(128), None)),
        (config(Some(64), None, None), config(None, Some(128), None)),
        (config(None, Some(64), None), config(Some(128), None, None)),
        (config(Some(64), None, None), config(None, None, Some(128))),
        (config(None, None, Some(64)), config(Some(128), None, None)),
        (config(Some(64), Some(128), None), config(None, Some(128), None)),
    ] {
        let mut solo = Solo::new(before);
        solo.run_ms(3700);
        let out = reload(&mut solo, after);
        let last = out.iter().rev().find(|o| match o {
            Output::Add(o) | Output::Remove(o) | Output::Replace(_, o) => matches!(o, Object::Address(_)),
            _ => false,
        });
        assert_eq!(last, Some(&Output::Replace(object(64), object(128))), "{out:?}");
        assert_eq!(removed(&out), 0, "{out:?}");
    }
    // An instance that goes lets go later, when its successor had time.
    let mut gone = config(None, Some(128), None);
    gone.instances.remove(0);
    let mut solo = Solo::new(config(Some(64), None, None));
    solo.run_ms(3700);
    reload(&mut solo, gone);
    solo.run_ms(1100);
    let out = solo.take();
    assert!(out.contains(&Output::Replace(object(64), object(128))), "{out:?}");
}

fn link_for_addresses() -> Object {
    use steadfast_core::kernel::{LinkKind, VirtualLink};
    let kind = LinkKind::Macvlan(steadfast_core::Mac([0, 0, 0x5e, 0, 2, 51]));
    let (name, family) = ("vrrp6.51".into(), steadfast_core::Family::V6);
    Object::Link(VirtualLink { name, base: "eth0".into(), kind, vrf: None, family, group: None })
}

/// An address of the other family needs a link of its own, which is there a moment later.
#[test]
fn a_link_that_a_reload_asks_for_is_no_fault_unless_it_is_refused() {
    let with = || {
        let mut c = vi();
        c.excluded.push(Address::new(cidr("fd00::60/64"), "vrrp6.51"));
        c.address_links.push(("vrrp6.51".into(), "eth0".into()));
        let mut config = one(c);
        config.statics.push(link_for_addresses());
        config
    };
    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, with());
    solo.input(Input::Link(link(7, "vrrp6.51", false, &[])));
    assert_eq!((solo.state(), solo.router.handing_over().count()), (State::Master, 0));
    solo.input(Input::Link(link(7, "vrrp6.51", true, &[])));
    assert_eq!((solo.state(), solo.router.handing_over().count()), (State::Master, 0));
    // Once it was there, its loss is one.
    solo.input(Input::Link(link(7, "vrrp6.51", false, &[])));
    assert_eq!(solo.router.handing_over().count(), 1);

    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, with());
    solo.input(Input::ObjectRefused(&link_for_addresses(), "Invalid argument"));
    assert_eq!(solo.router.handing_over().count(), 1);

    // One that is made and does not come up.
    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, with());
    solo.input(Input::Link(link(7, "vrrp6.51", false, &[])));
    solo.run_ms(900);
    assert_eq!(solo.router.handing_over().count(), 0);
    solo.run_ms(200);
    assert!(solo.router.handing_over().count() == 1 || solo.state() == State::Fault);
}

/// What the kernel would not have says nothing about a later life of the same object.
#[test]
fn a_refusal_ends_with_the_object() {
    use steadfast_core::kernel::Route;
    let mut r = Route::new(steadfast_core::Family::V4);
    (r.destination, r.via) = ("10.9.0.0/16".parse().ok(), "192.0.2.1".parse().ok());
    let route = Object::Route(Box::new(r));
    let with = || {
        let mut c = vi();
        c.depends_on.push(route.clone());
        let mut config = one(c);
        config.statics.push(route.clone());
        config
    };
    let mut solo = Solo::new(with());
    solo.input(Input::ObjectRefused(&route, "Invalid argument"));
    assert_eq!(solo.state(), State::Fault);
    reload(&mut solo, one(vi()));
    solo.run_to_master();
    reload(&mut solo, with());
    assert_eq!((solo.state(), solo.router.handing_over().count()), (State::Master, 0));
}

#[test]
fn a_reload_of_a_master_that_listens_says_nothing() {
    let mut solo = Solo::master(one(vi()));
    solo.now += Duration::from_secs(6);
    solo.router.poll(solo.now, &mut solo.out);
    let mut c = vi();
    c.priority = 120;
    c.addresses.push(extra(60));
    let out = reload(&mut solo, one(c));
    assert_eq!((sent(&out), announced(&out)), (vec![], 0));
    solo.run_ms(1130);
    assert_eq!(sent(&solo.take()), [120]);
}

/// A name that is new, and stands first, takes nobody's life away.
#[test]
fn a_unicast_twin_that_is_put_before_others_begins_anew_and_they_stay() {
    let twin = |name: &str, n: u8| {
        let mut c = instance(name, 0, 51, 100);
        c.addresses = vec![extra(n)].into();
        c.unicast = Some(Unicast {
            peers: vec![Peer { address: ip(&format!("10.0.0.{n}")), min_ttl: 0, max_ttl: 255 }],
            ttl: 255,
            check_source: true,
        });
        c
    };
    let of = |all: &[(&str, u8)]| Config {
        instances: all.iter().map(|(name, n)| twin(name, *n)).collect(),
        ..Config::default()
    };
    let mut solo = Solo::new(of(&[("A", 201), ("B", 202)]));
    solo.run_ms(5000);
    assert_eq!(solo.states(), [State::Master; 2]);
    let out = reload(&mut solo, of(&[("C", 203), ("A", 201), ("B", 202)]));
    assert_eq!(solo.states(), [State::Backup, State::Master, State::Master]);
    assert_eq!((notices(&out), removed(&out), sent(&out)), (vec!["C BACKUP".to_string()], 0, vec![]));
    // One that has another name and its addresses is still the same.
    let out = reload(&mut solo, of(&[("D", 204), ("C", 203), ("E", 201), ("B", 202)]));
    assert_eq!(solo.states(), [State::Backup, State::Backup, State::Master, State::Master]);
    assert_eq!((notices(&out), removed(&out)), (vec!["D BACKUP".to_string()], 0));
}

#[test]
fn a_priority_that_a_reload_changes_is_told_where_wanted() {
    let mut c = vi();
    c.notify_priority_changes = true;
    let mut solo = Solo::master(one(c.clone()));
    c.priority = 120;
    let out = reload(&mut solo, one(c));
    assert_eq!(notices(&out), ["VI MASTER_PRIORITY"]);
    assert_eq!(logs(&out), ["(VI) Changing effective priority from 100 to 120"]);
}

#[test]
fn a_shorter_preempt_delay_counts_at_once() {
    for (after, until) in [(0, 1_100), (5, 6_100)] {
        let mut c = vi();
        c.preempt_delay = Duration::from_secs(1000);
        let mut solo = Solo::new(one(c.clone()));
        solo.hear(PEER, 50);
        solo.run_ms(500);
        c.preempt_delay = Duration::from_secs(after);
        reload(&mut solo, one(c));
        for _ in 0..until / 500 {
            solo.hear(PEER, 50);
            solo.run_ms(500);
        }
        solo.hear(PEER, 50);
        solo.run_ms(100);
        assert_eq!(solo.state(), State::Master, "{after}");
    }
}

#[test]
fn a_reload_does_not_put_a_takeover_off() {
    let mut solo = Solo::new(one(vi()));
    solo.hear(PEER, 200);
    solo.run_ms(500);
    solo.hear(PEER, 0);
    let mut c = vi();
    c.down_timer_adverts = 5;
    reload(&mut solo, one(c));
    solo.run_ms(700);
    assert_eq!(solo.state(), State::Master);
}

#[test]
fn a_shorter_interval_of_a_script_counts_at_once() {
    let mut solo = Solo::new(with_script("/bin/chk", 3600));
    solo.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    solo.run_ms(1000);
    reload(&mut solo, with_script("/bin/chk", 2));
    solo.run_ms(2000);
    assert!(solo.take().contains(&Output::StartScript("chk".into())));
}

/// What nobody has counted yet is no reason to give the addresses up.
#[test]
fn a_reversed_tracker_that_was_not_told_yet_is_no_fault() {
    let process = || ProcessConfig {
        name: "P".into(),
        quorum: 1,
        quorum_max: u32::MAX,
        terminate_delay: Duration::ZERO,
        fork_delay: Duration::ZERO,
    };
    for what in [Tracked::Process("P".into()), Tracked::Service("S".into())] {
        let mut c = vi();
        c.tracks = vec![Track { what: what.clone(), weight: 0, reverse: true }];
        let config = Config { processes: vec![process()], ..one(c) };
        let mut solo = Solo::master(one(vi()));
        reload(&mut solo, config.clone());
        assert_eq!((solo.state(), solo.router.handing_over().count()), (State::Master, 0), "{what:?}");
        match what {
            Tracked::Process(_) => solo.input(Input::Process("P", 1)),
            _ => solo.input(Input::Service("S", true)),
        }
        assert_eq!(solo.router.handing_over().count(), 1, "{what:?}");
        assert_eq!(Solo::new(config).state(), State::Backup, "{what:?}");
    }
}

fn own_link(vrf: Option<&str>) -> Object {
    use steadfast_core::kernel::{LinkKind, VirtualLink};
    let kind = LinkKind::Macvlan(steadfast_core::Mac([0, 0, 0x5e, 0, 1, 51]));
    let (vrf, family) = (vrf.map(Into::into), steadfast_core::Family::V4);
    Object::Link(VirtualLink { name: "vrrp.51".into(), base: "eth0".into(), kind, vrf, family, group: None })
}

fn by_own_link(vrf: Option<&str>) -> Config {
    let mut c = vi();
    c.virtual_link = Some("vrrp.51".into());
    c.addresses = vec![Address::new(cidr("10.0.0.151/24"), "vrrp.51")].into();
    let mut config = one(c);
    config.statics.push(own_link(vrf));
    config
}

/// A master that is given a virtual link goes on as one while the link is made, and is announced from there.
#[test]
fn a_virtual_link_that_a_reload_asks_for_is_no_fault_unless_it_stays_away() {
    let mut solo = Solo::master(one(vi()));
    let out = reload(&mut solo, by_own_link(None));
    assert_eq!((solo.state(), notices(&out)), (State::Master, vec![]));
    solo.run_ms(50);
    solo.take();
    solo.input(Input::Link(link(7, "vrrp.51", true, &[])));
    solo.run_ms(1);
    let out = solo.take();
    assert_eq!((solo.state(), added(&out), sent(&out)), (State::Master, 1, vec![100]));
    assert_eq!(announced(&out), 5);
    // Once it was there its loss is a fault.
    solo.input(Input::LinkGone("vrrp.51"));
    assert_eq!(solo.state(), State::Fault);

    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, by_own_link(None));
    solo.run_ms(1001);
    assert_eq!(solo.state(), State::Fault, "it does not come");

    let mut solo = Solo::master(one(vi()));
    reload(&mut solo, by_own_link(None));
    solo.input(Input::ObjectRefused(&own_link(None), "Invalid argument"));
    assert_eq!(solo.state(), State::Fault, "it cannot come");
}

/// The kernel knows a link by its name: what is removed by that would be the one that is wanted.
#[test]
fn a_virtual_link_whose_settings_change_is_not_removed() {
    let mut solo = Solo::new(by_own_link(None));
    solo.input(Input::Link(link(7, "vrrp.51", true, &[])));
    solo.run_to_master();
    let out = reload(&mut solo, by_own_link(Some("red")));
    assert_eq!((added(&out), removed(&out)), (0, 0));
    assert!(out.contains(&Output::Replace(own_link(None), own_link(Some("red")))), "{out:?}");
    assert_eq!(solo.state(), State::Master);
}

/// The last word of who handed over would be taken for one of who lives by its name.
#[test]
fn of_an_instance_that_begins_anew_the_former_life_has_no_last_word() {
    let mut solo = Solo::master(one(vi()));
    let mut c = vi();
    c.vrid = 52;
    let out = reload(&mut solo, one(c));
    assert_eq!(notices(&out), ["VI BACKUP"]);
    solo.run_ms(1500);
    let out = solo.take();
    assert_eq!((notices(&out), removed(&out)), (vec![], 1));
    assert!(logs(&out).contains(&"(VI) removed"));
}

/// A delay goes on for the tracker that it is for.
#[test]
fn the_delay_of_a_process_tracker_follows_it_to_its_new_place() {
    let process = |name: &str| ProcessConfig {
        name: name.into(),
        quorum: 1,
        quorum_max: u32::MAX,
        terminate_delay: Duration::from_secs(10),
        fork_delay: Duration::ZERO,
    };
    let config = |names: &[&str]| {
        let mut c = vi();
        c.tracks = vec![Track { what: Tracked::Process("Q".into()), weight: 0, reverse: false }];
        Config { processes: names.iter().map(|n| process(n)).collect(), ..one(c) }
    };
    let mut solo = Solo::new(config(&["P", "Q"]));
    for name in ["P", "Q"] {
        solo.input(Input::Process(name, 1));
    }
    solo.run_to_master();
    solo.input(Input::Process("P", 0));
    solo.run_ms(9_000);
    reload(&mut solo, config(&["Q", "P"]));
    solo.input(Input::Process("P", 0));
    solo.input(Input::Process("Q", 0));
    solo.run_ms(2_000);
    assert!(solo.view().faults.is_empty(), "{:?}", solo.view().faults);
    solo.run_ms(8_001);
    assert_eq!(solo.view().faults, ["process Q is not as required"]);
}
