use crate::testkit::*;
use crate::*;
use std::time::Duration;
use steadfast_core::{Family, State};

/// A wrong packet: its bytes, its hop limit, its sender, and the counter that names it.
type Wrong = (&'static str, Vec<u8>, u8, &'static str, fn(&Counters) -> u64);

/// One packet of each kind that has to be thrown away, for the first instance of `solo` (version 2 with a password).
fn wrong_packets(solo: &Solo) -> Vec<Wrong> {
    let good = solo.packet(PEER, 250, |_| {});
    let mut checksum = good.clone();
    checksum[6] ^= 1;
    let mut kind = good.clone();
    kind[0] = 0x22;
    let mut auth = good.clone();
    auth[4] = 9;
    let no_auth = solo.packet(PEER, 250, |a| a.auth = Auth::None);
    let password = solo.packet(PEER, 250, |a| a.auth = Auth::Pass(*b"wrong\0\0\0"));
    let v3 = solo.packet(PEER, 250, |a| a.version = Version::V3);
    let interval = solo.packet(PEER, 250, |a| a.interval = Duration::from_secs(2));
    let empty = solo.packet(PEER, 250, |a| a.addresses.clear());
    let mut long = good.clone();
    long.push(0);
    vec![
        ("short", good[..7].to_vec(), 255, PEER, |c| c.packet_len_err),
        ("cut", good[..good.len() - 1].to_vec(), 255, PEER, |c| c.packet_len_err),
        ("long", long, 255, PEER, |c| c.packet_len_err),
        ("ttl", good.clone(), 254, PEER, |c| c.ip_ttl_err),
        ("version", v3, 255, PEER, |c| c.version_err),
        ("auth type unknown", auth, 255, PEER, |c| c.invalid_authtype),
        ("auth type", no_auth, 255, PEER, |c| c.authtype_mismatch),
        ("password", password, 255, PEER, |c| c.auth_failure),
        ("interval", interval, 255, PEER, |c| c.advert_interval_err),
        ("kind", kind, 255, PEER, |c| c.invalid_type_rcvd),
        ("checksum", checksum, 255, PEER, |c| c.checksum_err),
        ("count 0", empty, 255, PEER, |c| c.addr_list_err),
    ]
}

fn with_password() -> Config {
    let mut c = instance("VI", 0, 51, 100);
    c.auth = Auth::Pass(*b"secret\0\0");
    one(c)
}

#[test]
fn a_discarded_packet_changes_no_state_and_no_timer_in_backup_and_in_master() {
    for master in [false, true] {
        let mut solo = Solo::new(with_password());
        if master {
            solo.run_to_master();
        } else {
            solo.run_ms(1500);
        }
        for (what, bytes, hop_limit, from, counter) in wrong_packets(&solo) {
            let (state, due, before) = (solo.state(), solo.router.poll_at(), counter(&solo.view().counters));
            solo.take();
            for _ in 0..3 {
                solo.receive(from, hop_limit, &bytes);
            }
            let out = solo.take();
            assert_eq!(solo.state(), state, "{what}");
            assert_eq!(solo.router.poll_at(), due, "{what} moved a timer");
            assert_eq!(counter(&solo.view().counters), before + 3, "{what} is not counted");
            assert!(out.iter().all(|o| matches!(o, Output::Log(..))), "{what}: {out:?}");
            assert_eq!(solo.view().counters.advert_rcvd, 0, "{what}");
            assert!(out.len() <= 1, "{what} is logged more than once");
        }
    }
}

#[test]
fn a_flood_of_wrong_packets_costs_no_advert_and_little_log() {
    let mut solo = Solo::master(with_password());
    let wrong = wrong_packets(&solo);
    // 5 s of 50 packets a millisecond
    for _ in 0..5000 {
        for n in 0..50 {
            let (_, bytes, hop_limit, from, _) = &wrong[n % wrong.len()];
            solo.receive(from, *hop_limit, bytes);
        }
        solo.run_ms(1);
    }
    let out = solo.take();
    assert_eq!(sent(&out), [100; 5]);
    assert_eq!(solo.state(), State::Master);
    let text: usize = logs(&out).iter().map(|l| l.len()).sum();
    assert!(text < 4096, "{text} bytes of log");
}

#[test]
fn valid_adverts_of_two_masters_by_turns_do_not_flood_the_log() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    for _ in 0..20_000 {
        solo.hear("10.0.0.8", 200);
        solo.hear(PEER, 200);
    }
    let lines = logs(&solo.out).len();
    assert!(lines < 40, "{lines} lines");
}

#[test]
fn logs_of_each_kind_come_back_when_the_state_changes() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    let bytes = solo.packet(PEER, 200, |_| {});
    for _ in 0..5 {
        solo.receive(PEER, 1, &bytes);
    }
    assert_eq!(logs(&solo.take()).iter().filter(|l| l.contains("TTL")).count(), 1);
    solo.run_to_master();
    for _ in 0..5 {
        solo.receive(PEER, 1, &bytes);
    }
    assert_eq!(logs(&solo.take()).iter().filter(|l| l.contains("TTL")).count(), 1);
}

#[test]
fn another_address_list_is_used_but_named_once_with_both_lists() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    let bytes = solo.packet(PEER, 200, |a| a.addresses = vec![ip("192.0.2.7"), ip("192.0.2.8")]);
    solo.run_ms(3000);
    solo.take();
    solo.receive(PEER, 255, &bytes);
    solo.receive(PEER, 255, &bytes);
    let out = solo.take();
    let lines: Vec<&str> = logs(&out).into_iter().filter(|l| l.contains("address list")).collect();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("192.0.2.7, 192.0.2.8") && lines[0].contains("10.0.0.151"), "{}", lines[0]);
    assert_eq!(solo.view().counters.addr_list_err, 2);
    assert_eq!(solo.view().master, Some((ip(PEER), 200)));
    let told: Vec<_> = solo.view().mismatches.iter().map(|m| (m.source, m.theirs.clone(), m.ours.clone())).collect();
    assert_eq!(told, [(ip(PEER), vec![ip("192.0.2.7"), ip("192.0.2.8")], vec![ip("10.0.0.151")])]);
    // and the timer was armed anew by it
    solo.run_ms(3000);
    assert_eq!(solo.state(), State::Backup);
    // Of many senders some are known; one that names the same again is not told of any more.
    for last in 3..12 {
        let from = format!("10.0.0.{last}");
        let bytes = solo.packet(&from, 200, |a| a.addresses = vec![ip("192.0.2.7")]);
        solo.receive(&from, 255, &bytes);
        solo.run_ms(10);
    }
    let senders = |solo: &Solo| solo.view().mismatches.iter().map(|m| m.source).collect::<Vec<_>>();
    assert!(senders(&solo).len() == 4 && senders(&solo).contains(&ip("10.0.0.11")), "{:?}", senders(&solo));
    solo.hear("10.0.0.11", 200);
    assert!(senders(&solo).len() == 3 && !senders(&solo).contains(&ip("10.0.0.11")), "{:?}", senders(&solo));
}

#[test]
fn the_order_of_addresses_does_not_matter() {
    let mut c = instance("VI", 0, 51, 100);
    c.addresses.push(steadfast_core::kernel::Address::new(cidr("10.0.0.77/24"), "eth0"));
    let mut solo = Solo::new(one(c));
    let bytes = solo.packet(PEER, 200, |a| a.addresses.reverse());
    solo.receive(PEER, 255, &bytes);
    assert_eq!(solo.view().counters.addr_list_err, 0);
    assert_eq!(solo.view().counters.advert_rcvd, 1);
}

#[test]
fn the_known_masters_list_can_be_left_unchecked() {
    let mut c = instance("VI", 0, 51, 100);
    c.skip_check_adv_addr = true;
    let mut solo = Solo::new(one(c));
    let bytes = solo.packet(PEER, 200, |a| a.addresses = vec![ip("192.0.2.7")]);
    solo.receive(PEER, 255, &bytes);
    solo.receive(PEER, 255, &bytes);
    assert_eq!(solo.view().counters.addr_list_err, 1);
}

fn unicast() -> InstanceConfig {
    let mut c = instance("VI", 0, 51, 100);
    c.unicast = Some(Unicast {
        peers: vec![
            Peer { address: ip(PEER), min_ttl: 0, max_ttl: 255 },
            Peer { address: ip("10.0.0.7"), min_ttl: 250, max_ttl: 252 },
        ],
        ttl: 255,
        check_source: true,
    });
    c
}

#[test]
fn with_unicast_peers_a_strangers_advert_counts_for_nothing() {
    let mut c = unicast();
    if let Some(u) = &mut c.unicast {
        u.peers.pop();
    }
    for config in [one(c), one(unicast())] {
        let mut solo = Solo::master(config);
        let due = solo.router.poll_at();
        let bytes = solo.packet("10.9.9.9", 255, |_| {});
        solo.receive("10.9.9.9", 57, &bytes);
        assert_eq!((solo.state(), solo.router.poll_at()), (State::Master, due));
        assert_eq!(solo.view().counters.unknown_source, 1);
        assert_eq!(sent(&solo.take()), []);
    }
}

#[test]
fn the_source_check_can_be_turned_off_unless_a_peer_has_ttl_limits() {
    for (limits, want) in [(false, State::Backup), (true, State::Master)] {
        let mut c = unicast();
        if let Some(u) = &mut c.unicast {
            u.check_source = false;
            if !limits {
                u.peers.pop();
            }
        }
        let mut solo = Solo::master(one(c));
        let bytes = solo.packet("10.9.9.9", 255, |_| {});
        solo.receive("10.9.9.9", 57, &bytes);
        assert_eq!(solo.state(), want);
    }
}

#[test]
fn a_configured_unicast_peer_may_be_hops_away_within_its_limits() {
    for (from, hop_limit, want) in [
        (PEER, 64, State::Backup),
        (PEER, 1, State::Backup),
        ("10.0.0.7", 251, State::Backup),
        ("10.0.0.7", 249, State::Master),
        ("10.0.0.7", 255, State::Master),
    ] {
        let mut solo = Solo::master(one(unicast()));
        let bytes = solo.packet(from, 200, |_| {});
        solo.receive(from, hop_limit, &bytes);
        assert_eq!(solo.state(), want, "{from} {hop_limit}");
    }
}

#[test]
fn multicast_and_unicast_do_not_mix() {
    let mut solo = Solo::master(one(unicast()));
    let c = solo.view().config.clone();
    let payload = advert_for(&c, 200).emit(form_of(&c), ip(PEER), c.group);
    let packet = Received {
        interface: 2,
        source: ip(PEER),
        destination: c.group,
        hop_limit: 255,
        payload: &payload,
        header: None,
    };
    solo.input(Input::Packet(packet));
    assert_eq!(solo.state(), State::Master);

    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    let packet = Received {
        interface: 2,
        source: ip(PEER),
        destination: addr(0, 0),
        hop_limit: 255,
        payload: &payload,
        header: None,
    };
    solo.input(Input::Packet(packet));
    assert_eq!(solo.state(), State::Master);
}

fn v3() -> InstanceConfig {
    let mut c = instance("VI", 0, 51, 100);
    c.version = Version::V3;
    c
}

#[test]
fn version_3_interval_zero_is_dropped_and_another_one_is_learned() {
    let mut solo = Solo::new(one(v3()));
    let mut zero = solo.packet(PEER, 200, |_| {});
    zero[4] = 0;
    zero[5] = 0;
    zero[6] = 0;
    zero[7] = 0;
    let sum = wire::checksum(&zero, wire::ChecksumForm::Plain, ip(PEER), solo.destination());
    zero[6..8].copy_from_slice(&sum.to_be_bytes());
    solo.receive(PEER, 255, &zero);
    assert_eq!(solo.view().counters.advert_interval_err, 1);
    assert_eq!(solo.view().master, None);
    let bytes = solo.packet(PEER, 200, |a| a.interval = Duration::from_millis(100));
    solo.receive(PEER, 255, &bytes);
    assert_eq!(solo.view().master_interval, Duration::from_millis(100));
    solo.run_ms(360);
    assert_eq!(solo.state(), State::Backup);
    solo.run_ms(1);
    assert_eq!(solo.state(), State::Master);
    assert_eq!(solo.view().master_interval, Duration::from_secs(1), "its own again");
}

#[test]
fn both_checksum_forms_of_version_3_are_accepted() {
    for form in [wire::ChecksumForm::Plain, wire::ChecksumForm::Pseudo] {
        let mut solo = Solo::new(one(v3()));
        let c = solo.view().config.clone();
        let bytes = advert_for(&c, 200).emit(form, ip(PEER), c.group);
        solo.receive(PEER, 255, &bytes);
        assert_eq!(solo.view().counters.advert_rcvd, 1, "{form:?}");
    }
}

#[test]
fn own_packets_are_ignored() {
    let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
    let bytes = solo.packet("10.0.0.1", 255, |_| {});
    solo.receive("10.0.0.1", 255, &bytes);
    assert_eq!(solo.state(), State::Master);
    assert_eq!(solo.view().counters.advert_rcvd, 0);
    assert!(solo.take().is_empty());
}

#[test]
fn an_owner_may_ignore_adverts() {
    let mut c = instance("VI", 0, 51, 255);
    c.start_master = true;
    c.owner_ignore_adverts = true;
    let mut solo = Solo::new(one(c));
    assert_eq!(solo.state(), State::Master);
    solo.hear(PEER, 255);
    assert_eq!((solo.state(), solo.view().counters.advert_rcvd), (State::Master, 0));
}

#[test]
fn strict_ipv6_wants_a_link_local_address_first() {
    // A peer whose file begins otherwise, as ours does, would become a second master that nobody hears.
    for (strict, right) in [(false, true), (true, true), (true, false)] {
        let mut c = InstanceConfig::new("VI", "eth0", 51, Family::V6);
        c.strict = strict;
        let mut addresses = vec![
            steadfast_core::kernel::Address::new(cidr("fe80::51/64"), "eth0"),
            steadfast_core::kernel::Address::new(cidr("2001:db8::51/64"), "eth0"),
        ];
        if !right {
            addresses.reverse();
        }
        c.addresses = addresses.into();
        let mut solo = Solo::new(Config::default());
        let mut out = Vec::new();
        solo.router = Router::new(one(c), 1, t(0), &mut out);
        solo.input(Input::Link(link(2, "eth0", true, &[ip("2001:db8::1"), ip("fe80::1")])));
        solo.router.poll(t(0), &mut out);
        assert_eq!(solo.view().source, Some(ip("fe80::1")));
        let bytes = solo.packet("fe80::9", 200, |a| {
            if right {
                a.addresses.reverse();
            }
        });
        solo.receive("fe80::9", 255, &bytes);
        assert_eq!(solo.view().counters.advert_rcvd, u64::from(!strict || !right), "{strict} {right}");
    }
}

#[test]
fn packets_for_another_router_id_interface_or_family_are_nobodys() {
    let mut config = one(instance("VI", 0, 51, 100));
    config.log_unknown_vrids = true;
    let mut solo = Solo::master(config);
    let bytes = solo.packet(PEER, 200, |a| a.vrid = 52);
    for _ in 0..10 {
        solo.receive(PEER, 255, &bytes);
    }
    assert_eq!(logs(&solo.take()).len(), 1);
    let bytes = solo.packet(PEER, 200, |_| {});
    let destination = solo.destination();
    let packet =
        Received { interface: 3, source: ip(PEER), destination, hop_limit: 255, payload: &bytes, header: None };
    solo.input(Input::Packet(packet));
    assert_eq!(solo.state(), State::Master);
}

proptest::proptest! {
    #[test]
    fn no_packet_makes_the_machine_panic_or_a_bad_one_move_it(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        hop_limit: u8,
        head in proptest::prelude::any::<bool>(),
    ) {
        let mut bytes = bytes;
        if head && bytes.len() > 2 {
            bytes[0] = 0x21;
            bytes[1] = 51;
        }
        let mut solo = Solo::master(one(instance("VI", 0, 51, 100)));
        let due = solo.router.poll_at();
        let good = wire::verify(&bytes, Version::V2, ip(PEER), solo.destination()).is_some();
        solo.receive(PEER, hop_limit, &bytes);
        if !good || hop_limit != 255 {
            proptest::prop_assert_eq!(solo.router.poll_at(), due);
            proptest::prop_assert_eq!(solo.state(), State::Master);
        }
    }
}

/// Ten a second fill no log. When it speaks again it says what it kept back.
#[test]
fn the_log_says_how_many_adverts_were_passed_over() {
    let mut solo = Solo::new(with_password());
    let wrong = solo.packet(PEER, 150, |a| a.auth = Auth::Pass(*b"wrong\0\0\0"));
    let mut said: Vec<String> = Vec::new();
    let (mut heard, mut at_first) = (0, 0);
    let lines = |solo: &mut Solo| -> Vec<String> {
        let out = solo.take();
        logs(&out).iter().filter(|l| l.contains("discarding advert")).map(|l| l.to_string()).collect()
    };
    while said.len() < 2 {
        solo.receive(PEER, 255, &wrong);
        heard += 1;
        said.extend(lines(&mut solo));
        if said.len() == 1 && at_first == 0 {
            at_first = heard;
        }
        solo.run_ms(100);
        said.extend(lines(&mut solo));
        assert!(heard < 100, "it never speaks again: {said:?}");
    }
    // It has become master meanwhile, which makes it news again.
    assert_eq!(solo.state(), State::Master);
    assert!(said[0].ends_with("received an invalid passwd"), "{said:?}");
    let passed_over = heard - at_first - 1;
    assert!(passed_over > 10, "{heard} {at_first}");
    assert!(said[1].ends_with(&format!("invalid passwd ({passed_over} more since this was logged last)")), "{said:?}");
}

/// Two routers whose file has no address to advertise must hear each other.
#[test]
fn an_advert_without_addresses_counts_where_we_send_none_either() {
    for version in [Version::V2, Version::V3] {
        let mut c = v3();
        c.version = version;
        let mut solo = Solo::new(one(c.clone()));
        let empty = solo.packet(PEER, 200, |a| a.addresses.clear());
        solo.receive(PEER, 255, &empty);
        assert_eq!((solo.view().master, solo.view().counters.addr_list_err), (None, 1), "{version:?}");
        c.addresses.clear();
        let mut solo = Solo::new(one(c));
        solo.receive(PEER, 255, &empty);
        assert_eq!(solo.view().master, Some((ip(PEER), 200)), "{version:?}");
    }
}

#[test]
fn of_two_others_that_speak_version_3_neither_is_taken_by_its_version_2() {
    let mut c = instance("VI", 0, 51, 100);
    (c.version, c.also_version_2) = (Version::V3, true);
    c.advert_interval = Duration::from_millis(100);
    let mut solo = Solo::new(one(c));
    solo.run_ms(150);
    let other = "10.0.0.77";
    solo.hear(PEER, 250);
    solo.hear(other, 251);
    let old = |solo: &Solo, from: &str, priority| {
        let c = solo.view().config.clone();
        let interval = Duration::from_secs(1);
        let advert = wire::Advert { version: Version::V2, interval, ..advert_for(&c, priority) };
        advert.emit(wire::ChecksumForm::Plain, ip(from), c.group)
    };
    for (from, priority) in [(PEER, 250), (other, 251)] {
        let packet = old(&solo, from, priority);
        solo.receive(from, 255, &packet);
        assert_eq!(solo.view().master_interval, Duration::from_millis(100), "{from}");
    }
    // Of one that speaks version 2 alone it counts.
    let packet = old(&solo, "10.0.0.78", 252);
    solo.receive("10.0.0.78", 255, &packet);
    assert_eq!(solo.view().master_interval, Duration::from_secs(1));
}
