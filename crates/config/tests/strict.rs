//! What strict mode takes away, with a report, and what it puts in its place.

mod common;

use common::read;
use steadfast_config::model::InitialState;

/// The status of `-t`, what is said, and the instance if it is there.
fn strict(priority: u8, words: &str, addresses: &str) -> (i32, String, Option<steadfast_config::model::VrrpInstance>) {
    let text = format!(
        "vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n priority {priority}\n strict_mode\n {words}\n virtual_ipaddress {{\n {addresses}\n }}\n}}\n"
    );
    let outcome = read(&text);
    let said = outcome.diagnostics.iter().map(|d| format!("{}\n", d.message)).collect();
    (outcome.diagnostics.exit_status(), said, outcome.config.instances.into_iter().next())
}

const FOUR: &str = "10.0.0.5";
const SIX: &str = "fe80::5";

#[test]
fn strict_mode_takes_away_what_the_rfcs_do_not_have() {
    assert_eq!(strict(100, "", FOUR).0, 0);
    let (status, said, i) = strict(100, "state MASTER", FOUR);
    assert_eq!((status, i.expect("instance").state), (5, Some(InitialState::Backup)), "{said}");
    // An owner is master from the beginning, whatever is written.
    assert_eq!(strict(255, "state BACKUP", FOUR).2.expect("instance").state, Some(InitialState::Master));
    let (status, said, i) = strict(100, "authentication {\n auth_type PASS\n auth_pass secret\n }", FOUR);
    assert!(status == 5 && i.expect("instance").authentication.is_none(), "{said}");
    let (status, said, i) = strict(100, "preempt_delay 5", FOUR);
    assert_eq!((status, i.expect("instance").preempt_delay), (5, None), "{said}");
    let (status, said, i) = strict(100, "unicast_peer {\n 10.0.0.2\n }", FOUR);
    assert!(status == 5 && i.is_none(), "unicast refuses the instance: {said}");
    let (status, said, i) = strict(100, "accept", FOUR);
    assert!(status == 5 && i.expect("instance").accept != Some(true), "{said}");
    assert_eq!(strict(100, "no_virtual_ipaddress", "").0, 0);
    assert!(strict(100, "", "").2.is_none(), "an instance without an address");
    // IPv6 has no version 2, and its first address is link-local.
    let (_, said, i) = strict(100, "version 2", SIX);
    assert_eq!(i.expect("instance").version, Some(3), "{said}");
}

#[test]
fn what_strict_mode_has_a_value_of_its_own_for_is_reported_where_it_is_written() {
    for (line, status) in [
        ("garp_lower_prio_repeat 4", 5),
        ("garp_lower_prio_repeat 0", 0),
        ("garp_lower_prio_delay 9", 5),
        ("garp_lower_prio_delay 0", 0),
        ("down_timer_adverts 6", 5),
        ("down_timer_adverts 3", 0),
        ("lower_prio_no_advert no", 5),
        ("lower_prio_no_advert", 0),
        ("higher_prio_send_advert", 5),
        ("higher_prio_send_advert no", 0),
    ] {
        let (seen, said, _) = strict(100, line, FOUR);
        assert_eq!(seen, status, "{line}: {said}");
        let word = line.split(' ').next().expect("word");
        assert_eq!(said.contains(&format!("strict mode has its own {word}")), status == 5, "{said}");
        // Without strict mode they are what is written.
        let i = format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n {line}\n virtual_ipaddress {{\n {FOUR}\n }}\n}}\n"
        );
        assert_eq!(read(&i).diagnostics.exit_status(), 0, "{line}");
    }
}

/// RFC 9568 section 5.2.5: the number of addresses is at least 1.
#[test]
fn an_instance_of_version_3_needs_an_address() {
    for (version, more, kept) in [(3, "", false), (3, "no_virtual_ipaddress", true), (2, "", true)] {
        let outcome = read(&format!(
            "vrrp_instance A {{\n interface eth0\n virtual_router_id 5\n version {version}\n {more}\n}}\n"
        ));
        assert_eq!(outcome.config.instances.len(), usize::from(kept), "version {version} {more}");
        assert_eq!(outcome.diagnostics.exit_status(), if more.is_empty() { 5 } else { 0 }, "version {version} {more}");
    }
}
