use super::*;
use proptest::prelude::*;

fn v4(a: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, a))
}

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

#[test]
fn version_2_message_byte_for_byte() {
    let r = Repr {
        version: Version::V2,
        vrid: 51,
        priority: 200,
        interval: Duration::from_secs(1),
        addresses: &[v4(50)],
        password: None,
    };
    let b = r.emit(v4(1), GROUP, false);
    // Sum by hand: 2133 c801 0001 0a00 0032 = f367, complement 0c98.
    assert_eq!(b, [0x21, 51, 200, 1, 0, 1, 0x0c, 0x98, 10, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(verify(2, &b, v4(1), GROUP), Checksum::Plain);
}

#[test]
fn both_checksum_forms_of_version_3_over_ipv4_are_told_apart() {
    let r = Repr {
        version: Version::V3,
        vrid: 1,
        priority: 100,
        interval: Duration::from_millis(500),
        addresses: &[v4(50)],
        password: None,
    };
    let rfc9568 = r.emit(v4(1), GROUP, true);
    let rfc5798 = r.emit(v4(1), GROUP, false);
    assert_ne!(rfc9568, rfc5798);
    assert_eq!(verify(3, &rfc9568, v4(1), GROUP), Checksum::Plain);
    assert_eq!(verify(3, &rfc5798, v4(1), GROUP), Checksum::Pseudo);
    let mut bad = rfc5798;
    bad[2] ^= 1;
    assert_eq!(verify(3, &bad, v4(1), GROUP), Checksum::Wrong);
}

#[test]
fn reserved_bits_are_ignored() {
    let r = Repr {
        version: Version::V3,
        vrid: 1,
        priority: 100,
        interval: Duration::from_millis(40_950),
        addresses: &[v4(50)],
        password: None,
    };
    let mut b = r.emit(v4(1), GROUP, true);
    b[4] |= 0xf0;
    assert_eq!(parse(Family::V4, &b).map(|a| a.interval), Ok(Duration::from_millis(40_950)));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(vrid: u8, priority: u8, centis in 1u64..=4095, v3: bool, six: bool,
                                   hosts in prop::collection::vec(any::<u128>(), 1..30), password: Option<[u8; 8]>) {
        let addresses: Vec<IpAddr> = hosts.iter().map(|h| if six { IpAddr::V6(Ipv6Addr::from(*h)) }
            else { IpAddr::V4(Ipv4Addr::from(*h as u32)) }).collect();
        let family = if six { Family::V6 } else { Family::V4 };
        let version = if v3 { Version::V3 } else { Version::V2 };
        let interval = if v3 { Duration::from_millis(centis * 10) } else { Duration::from_secs(centis % 255 + 1) };
        let password = if v3 { None } else { password };
        let r = Repr { version, vrid, priority, interval, addresses: &addresses, password };
        let (s, d) = if six { (IpAddr::V6(Ipv6Addr::from(1u128)), IpAddr::V6(Ipv6Addr::from(2u128))) } else { (v4(1), GROUP) };
        let b = r.emit(s, d, false);
        let a = parse(family, &b).expect("own message");
        prop_assert_eq!((a.vrid, a.priority, a.interval, a.kind), (vrid, priority, interval, ADVERTISEMENT));
        prop_assert_eq!(a.addresses(family).collect::<Vec<_>>(), addresses);
        prop_assert_eq!(a.length(), b.len());
        prop_assert_ne!(verify(a.version, &b, s, d), Checksum::Wrong);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), six: bool) {
        let family = if six { Family::V6 } else { Family::V4 };
        if let Ok(a) = parse(family, &bytes) {
            prop_assert!(a.length() <= bytes.len());
            let _ = a.addresses(family).count();
        }
        let _ = verify(3, &bytes, v4(1), v4(2));
    }
}
