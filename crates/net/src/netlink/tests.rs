use super::build::Names;
use super::routes::{route, rule};
use super::{Buffer, Mirror, matching};
use netlink_packet_core::Emitable;
use netlink_packet_route::route::RouteAttribute;
use steadfast_core::Family;
use steadfast_core::kernel::{Encap, Metric, Realms, Route, Rule, RuleAction};

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
