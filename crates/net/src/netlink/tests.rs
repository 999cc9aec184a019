use super::build::Names;
use super::routes::{route, rule};
use super::{Buffer, Event, Mirror, matching};
use netlink_packet_core::Emitable;
use netlink_packet_route::route::RouteAttribute;
use std::collections::BTreeSet;
use steadfast_core::Family;
use steadfast_core::kernel::{Encap, Isolation, LinkKind, Metric, Realms, Route, Rule, RuleAction, VirtualLink};

fn mirror() -> Mirror {
    Mirror::open(Buffer { bytes: 0, force: false }).expect("netlink")
}

fn bytes(r: &Route) -> Vec<u8> {
    let m = route(r, Names::now(&mirror())).expect("no link is needed");
    let mut bytes = vec![0; m.buffer_len()];
    m.emit(&mut bytes);
    bytes
}

fn has(all: &[u8], part: &[u8]) -> bool {
    all.windows(part.len()).any(|w| w == part)
}

/// Encapsulations that this machine's kernel may not have.
#[test]
fn labels_and_locators_are_written_as_the_kernel_reads_them() {
    let mut r = Route::new(Family::V4);
    r.encap = Some(Encap::Mpls(vec![100, 200]));
    // Label in the upper 20 bits; the bottom of the stack is bit 8 (RFC 3032 section 2.1). RTA_ENCAP_TYPE 21 is 1.
    let m = bytes(&r);
    assert!(has(&m, &[0x00, 0x06, 0x40, 0x00, 0x00, 0x0c, 0x81, 0x00]), "{m:02x?}");
    assert!(has(&m, &[6, 0, 21, 0, 1, 0]), "{m:02x?}");
    r.encap = Some(Encap::Ila(0x0001_0002_0003_0004));
    let m = bytes(&r);
    assert!(has(&m, &[12, 0, 1, 0, 0, 1, 0, 2, 0, 3, 0, 4]), "{m:02x?}");
    assert!(has(&m, &[6, 0, 21, 0, 3, 0]), "{m:02x?}");
}

/// Of MPLS only: the kernel shows nothing of it with routes of IP. RTA_TTL_PROPAGATE is 26.
#[test]
fn whether_the_ttl_goes_over_is_written() {
    let mut r = Route::new(Family::V4);
    for (wanted, byte) in [(None, None), (Some(true), Some(1)), (Some(false), Some(0))] {
        r.ttl_propagate = wanted;
        let m = bytes(&r);
        let found = m.windows(5).find(|w| w[..4] == [5, 0, 26, 0]).map(|w| w[4]);
        assert_eq!(found, byte, "{m:02x?}");
    }
}

/// IFLA_IPVLAN_FLAGS is 2; 1 is private, 2 is VEPA.
#[test]
fn what_ipvlans_may_say_to_each_other_is_written() {
    let mut mirror = mirror();
    read(&mut mirror, |m, _| m.settled());
    let base = mirror.links().next().expect("a link").name.clone();
    for (isolation, flags) in [(Isolation::Bridge, 0), (Isolation::Private, 1), (Isolation::Vepa, 2)] {
        let l = VirtualLink {
            name: "x".into(),
            base: base.clone(),
            kind: LinkKind::Ipvlan(isolation),
            vrf: None,
            family: Family::V4,
            group: None,
        };
        let m = super::build::link(&l, &mirror).expect("its base is there");
        let mut bytes = vec![0; m.buffer_len()];
        m.emit(&mut bytes);
        assert!(has(&bytes, &[6, 0, 2, 0, flags, 0]), "{isolation:?}: {bytes:02x?}");
    }
}

#[test]
fn a_route_that_was_removed_is_ours_only_with_all_of_it() {
    let mut ours = Route::new(Family::V4);
    ours.destination = "10.1.0.0/24".parse().ok();
    ours.via = "10.0.0.1".parse().ok();
    ours.set_metric(Metric::Mtu, 1400, true);
    ours.set_metric(Metric::Window, 3000, false);
    let message = |r: &Route| route(r, Names::now(&mirror())).expect("no link is needed");
    let own = message(&ours);
    let mine = |theirs: &Route, change: &dyn Fn(&mut netlink_packet_route::route::RouteMessage)| {
        let mut m = message(theirs);
        change(&mut m);
        (matching::place(&own, &m), matching::content(&own, &m))
    };
    // The kernel adds a link, and lowers an MTU.
    let as_told = |m: &mut netlink_packet_route::route::RouteMessage| m.attributes.push(RouteAttribute::Oif(2));
    assert_eq!(mine(&ours, &as_told), (true, true));
    let changed = |change: &dyn Fn(&mut Route)| {
        let mut r = ours.clone();
        change(&mut r);
        mine(&r, &|_| {})
    };
    assert_eq!(changed(&|r| r.set_metric(Metric::Mtu, 1300, true)), (true, true));
    assert_eq!(changed(&|r| r.set_metric(Metric::Window, 1, false)), (true, false));
    assert_eq!(changed(&|r| r.via = "10.0.0.2".parse().ok()), (true, false));
    assert_eq!(changed(&|r| r.protocol = 3), (true, false));
    assert_eq!(changed(&|r| r.table = 9), (false, true));
    assert_eq!(changed(&|r| r.tos = 16), (false, true));
    assert_eq!(changed(&|r| r.destination = "10.1.0.0/25".parse().ok()), (false, true));
}

#[test]
fn a_rule_that_was_removed_is_ours_only_with_all_of_it() {
    let mut ours = Rule::new(Family::V4);
    ours.preference = Some(100);
    ours.action = RuleAction::Table(5);
    ours.users = Some((1, 2));
    let own = rule(&ours);
    let same = |change: &dyn Fn(&mut Rule)| {
        let mut r = ours.clone();
        change(&mut r);
        matching::rule(&own, &rule(&r))
    };
    assert!(same(&|_| {}));
    // What the kernel says beyond ours does no harm.
    assert!(same(&|r| r.realms = Some(Realms { from: 0, to: 5 })));
    for other in [
        &(|r: &mut Rule| r.preference = Some(101)) as &dyn Fn(&mut Rule),
        &|r| r.action = RuleAction::Table(6),
        &|r| r.action = RuleAction::Nop,
        &|r| r.users = Some((1, 3)),
        &|r| r.invert = true,
        &|r| r.tos = 16,
        &|r| r.protocol = 3,
        &|r| r.family = Family::V6,
        &|r| r.from = "10.0.0.0/8".parse().ok(),
    ] {
        assert!(!same(other));
    }
}

fn refusal(flags: u16, rest: &[u8]) -> super::Why {
    let body = [&2u16.to_ne_bytes()[..], &flags.to_ne_bytes(), &[0; 8], &(-22i32).to_ne_bytes(), rest].concat();
    let length = (body.len() as u32 + 4).to_ne_bytes();
    let messages = super::parse(&[&length[..], &body].concat());
    super::Why::answer(&messages[0])
}

/// NLMSG_ERROR with NLM_F_ACK_TLVS (0x200), the request whole or its header alone (NLM_F_CAPPED, 0x100).
#[test]
fn a_refusal_says_why() {
    let words = [&10u16.to_ne_bytes()[..], &1u16.to_ne_bytes(), b"no it.", &[0; 2]].concat();
    let request = |length: u32| [&length.to_ne_bytes()[..], &[0; 12]].concat();
    let capped = [request(99), words.clone()].concat();
    assert_eq!(refusal(0x300, &capped).to_string(), "Invalid argument (os error 22): no it");
    assert_eq!(refusal(0x200, &[request(18), vec![0; 4], words].concat()).words, "no it");
    assert_eq!(refusal(0x100, &capped).words, "");
    for end in 0..capped.len() {
        assert_eq!(refusal(0x300, &capped[..end]).errno, 22);
    }
}

/// A network namespace for this thread alone; false: it cannot be had.
fn alone() -> bool {
    let made = nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_ok();
    if !made {
        println!("SKIPPED: not root: network namespaces cannot be made");
    }
    made
}

fn ip(words: &str) {
    let done = std::process::Command::new("ip").args(words.split(' ')).status().expect("iproute2");
    assert!(done.success(), "ip {words}");
}

/// Reads until `enough`, for ten seconds at most.
fn read(mirror: &mut Mirror, mut enough: impl FnMut(&Mirror, &[Event]) -> bool) -> Vec<Event> {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let mut events = Vec::new();
    while !enough(mirror, &events) {
        assert!(std::time::Instant::now() < end, "it does not come: {events:?}");
        if !mirror.read(4, &mut events).expect("netlink") {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    events
}

fn addresses(mirror: &Mirror) -> BTreeSet<String> {
    mirror.by_name("lo").expect("link").addresses.iter().map(|a| a.address.to_string()).collect()
}

fn refreshed(mirror: &mut Mirror) -> (Vec<String>, Vec<Event>) {
    mirror.refresh().expect("netlink");
    let over = |_: &Mirror, e: &[Event]| matches!(e.last(), Some(Event::Refreshed(_)));
    let mut events = read(mirror, over);
    match events.pop() {
        Some(Event::Refreshed(differing)) => (differing, events),
        other => panic!("{other:?}"),
    }
}

/// Whatever the copy has missed, a later look at everything makes good, and says so.
#[test]
fn what_was_missed_is_found_by_a_refresh() {
    if !alone() {
        return;
    }
    ip("link set lo up");
    ip("address add 10.1.0.1/32 dev lo");
    ip("link add sfone type bridge");
    ip("link add sftwo type bridge");
    let mut m = mirror();
    read(&mut m, |m, _| m.settled());
    // In order, with what is told in between, nothing differs, and nobody is disturbed.
    ip("address add 10.1.0.2/32 dev lo");
    let (differing, events) = refreshed(&mut m);
    assert!(differing.is_empty(), "{differing:?} {events:?}");
    assert!(addresses(&m).contains("10.1.0.2"));
    read(&mut m, |m, _| m.settled());
    let (differing, events) = refreshed(&mut m);
    assert!(differing.is_empty() && events.is_empty(), "{differing:?} {events:?}");

    // It is deaf, as where an event was lost without a word.
    let deaf = |m: &Mirror| [1, 5, 9].into_iter().for_each(|g| m.channel.drop_membership(g).expect("group"));
    deaf(&m);
    ip("address del 10.1.0.1/32 dev lo");
    ip("address add 10.1.0.3/32 dev lo");
    ip("link set sfone up");
    ip("link del sftwo");
    ip("link add sfthree type bridge");
    let (differing, events) = refreshed(&mut m);
    let differing: BTreeSet<&str> = differing.iter().map(|n| &**n).collect();
    assert_eq!(differing, ["lo", "sfone", "sfthree", "sftwo"].into());
    let has = addresses(&m);
    assert!(has.contains("10.1.0.2") && has.contains("10.1.0.3") && !has.contains("10.1.0.1"), "{has:?}");
    assert!(m.by_name("sftwo").is_none() && m.by_name("sfthree").is_some());
    assert!(events.iter().any(|e| matches!(e, Event::Gone(n) if n == "sftwo")), "{events:?}");
    for name in ["lo", "sfone", "sfthree"] {
        assert!(events.iter().any(|e| matches!(e, Event::Link(l) if l.name == name)), "{name}: {events:?}");
    }
    let (differing, events) = refreshed(&mut m);
    assert!(differing.is_empty() && events.is_empty(), "{differing:?} {events:?}");
}

/// The kernel drops what does not fit into the queue; everything is read anew then.
#[test]
fn after_an_overrun_the_copy_is_whole_again() {
    if !alone() {
        return;
    }
    ip("link set lo up");
    ip("address add 10.1.0.1/32 dev lo");
    let mut m = Mirror::open(Buffer { bytes: 4096, force: false }).expect("netlink");
    read(&mut m, |m, _| m.settled());
    // Nobody reads meanwhile: what is left is the loss of all and the last address.
    ip("address del 10.1.0.1/32 dev lo");
    for n in 0..40 {
        ip(&format!("address add 10.2.0.{n}/32 dev lo"));
    }
    ip("address flush dev lo to 10.2.0.0/28");
    let events = read(&mut m, |_, e| e.iter().any(|e| matches!(e, Event::Resynced)));
    let expected: BTreeSet<String> = (16..40).map(|n| format!("10.2.0.{n}")).collect();
    let got: BTreeSet<String> = addresses(&m).into_iter().filter(|a| a.starts_with("10.")).collect();
    assert_eq!(got, expected);
    // What was told last of it is what there is: nothing is told of a copy that is half filled.
    let last = events.iter().rev().find_map(|e| if let Event::Link(l) = e { Some(l) } else { None });
    assert_eq!(last, m.by_name("lo"), "{events:?}");
    // And it goes on to hear.
    ip("address add 10.3.0.1/32 dev lo");
    read(&mut m, |m, _| addresses(m).contains("10.3.0.1"));
}
