use super::*;
use proptest::prelude::*;

fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// 10.0.0.1 to 224.0.0.18, VRID 51, priority 100, 1 s, address 10.0.0.50. The sums are done by hand:
/// 2133 + 6401 + 0001 + 0a00 + 0032 = 8f67, complement 7098.
#[test]
fn version_2_vector() {
    let advert = Advert {
        version: Version::V2,
        vrid: 51,
        priority: 100,
        interval: Duration::from_secs(1),
        addresses: vec![v4(10, 0, 0, 50)],
        auth: Auth::None,
    };
    let bytes = advert.emit(ChecksumForm::Plain, v4(10, 0, 0, 1), v4(224, 0, 0, 18));
    assert_eq!(bytes, [0x21, 0x33, 100, 1, 0, 1, 0x70, 0x98, 10, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0]);
}

fn version_3() -> Advert {
    Advert {
        version: Version::V3,
        vrid: 51,
        priority: 100,
        interval: Duration::from_secs(1),
        addresses: vec![v4(10, 0, 0, 50)],
        auth: Auth::None,
    }
}

/// Without pseudo-header: 3133 + 6401 + 0064 + 0a00 + 0032 = 9fca, complement 6035.
#[test]
fn version_3_vector_without_pseudo_header() {
    let bytes = version_3().emit(ChecksumForm::Plain, v4(10, 0, 0, 1), v4(224, 0, 0, 18));
    assert_eq!(bytes, [0x31, 0x33, 100, 1, 0, 100, 0x60, 0x35, 10, 0, 0, 50]);
}

/// With it: 9fca + 0a00 + 0001 + e000 + 0012 + 0070 + 000c = 18a59, folded 8a5a, complement 75a5.
#[test]
fn version_3_vector_with_pseudo_header() {
    let bytes = version_3().emit(ChecksumForm::Pseudo, v4(10, 0, 0, 1), v4(224, 0, 0, 18));
    assert_eq!(bytes, [0x31, 0x33, 100, 1, 0, 100, 0x75, 0xa5, 10, 0, 0, 50]);
}

#[test]
fn both_version_3_forms_are_accepted_and_told_apart_on_ipv4() {
    let (source, group) = (v4(10, 0, 0, 1), v4(224, 0, 0, 18));
    for form in [ChecksumForm::Plain, ChecksumForm::Pseudo] {
        let bytes = version_3().emit(form, source, group);
        assert_eq!(verify(&bytes, Version::V3, source, group), Some(form));
        assert_eq!(verify(&bytes, Version::V2, source, group), Some(form).filter(|f| *f == ChecksumForm::Plain));
    }
}

#[test]
fn ipv6_needs_the_pseudo_header() {
    let (source, group) = ("fe80::1".parse().unwrap(), "ff02::12".parse().unwrap());
    let mut advert = version_3();
    advert.addresses = vec!["fe80::50".parse().unwrap(), "2001:db8::50".parse().unwrap()];
    let plain = advert.emit(ChecksumForm::Plain, source, group);
    let pseudo = advert.emit(ChecksumForm::Pseudo, source, group);
    assert_eq!(verify(&plain, Version::V3, source, group), None);
    assert_eq!(verify(&pseudo, Version::V3, source, group), Some(ChecksumForm::Pseudo));
    assert_eq!(pseudo.len(), 8 + 32);
}

#[test]
fn the_reserved_nibble_is_zero_when_sent_and_ignored_when_received() {
    let (source, group) = (v4(10, 0, 0, 1), v4(224, 0, 0, 18));
    let mut bytes = version_3().emit(ChecksumForm::Plain, source, group);
    assert_eq!(bytes[4] & 0xf0, 0);
    bytes[4] |= 0xf0;
    assert_eq!(Header::read(&bytes).unwrap().interval, 100);
    assert_eq!(Advert::parse(&bytes, Family::V4).unwrap(), version_3());
}

#[test]
fn lists_are_cut_to_what_fits() {
    assert_eq!(max_addresses(Version::V2, Family::V4, 1500), 255);
    assert_eq!(max_addresses(Version::V3, Family::V6, 1500), 90);
    assert_eq!(max_addresses(Version::V2, Family::V4, 20), 0);
    let mut advert = version_3();
    advert.addresses = vec![v4(10, 0, 0, 50); 300];
    let bytes = advert.emit(ChecksumForm::Plain, v4(10, 0, 0, 1), v4(224, 0, 0, 18));
    assert_eq!((bytes[3], bytes.len()), (255, 8 + 255 * 4));
}

fn any_advert() -> impl Strategy<Value = (Advert, Family)> {
    let list = prop_oneof![
        (prop::collection::vec(any::<[u8; 4]>().prop_map(|b| IpAddr::V4(b.into())), 0..=255), Just(Family::V4)),
        (prop::collection::vec(any::<[u8; 16]>().prop_map(|b| IpAddr::V6(b.into())), 0..=255), Just(Family::V6)),
    ];
    (any::<bool>(), any::<u8>(), any::<u8>(), 1u64..=4095, 1u64..=255, any::<Option<[u8; 8]>>(), list).prop_map(
        |(v2, vrid, priority, cs, s, pass, (addresses, family))| {
            let advert = Advert {
                version: if v2 { Version::V2 } else { Version::V3 },
                vrid,
                priority,
                interval: if v2 { Duration::from_secs(s) } else { Duration::from_millis(cs * 10) },
                addresses,
                auth: match pass {
                    Some(p) if v2 => Auth::Pass(p),
                    _ => Auth::None,
                },
            };
            (advert, family)
        },
    )
}

proptest! {
    #[test]
    fn what_is_emitted_is_read_back((advert, family) in any_advert(), pseudo: bool) {
        let (source, destination): (IpAddr, IpAddr) = match family {
            Family::V4 => (v4(10, 0, 0, 1), v4(224, 0, 0, 18)),
            Family::V6 => ("fe80::1".parse().unwrap(), "ff02::12".parse().unwrap()),
        };
        let form = match (advert.version, family) {
            (_, Family::V6) => ChecksumForm::Pseudo,
            (Version::V2, Family::V4) => ChecksumForm::Plain,
            _ if pseudo => ChecksumForm::Pseudo,
            _ => ChecksumForm::Plain,
        };
        let bytes = advert.emit(form, source, destination);
        prop_assert_eq!(Advert::parse(&bytes, family).unwrap(), advert.clone());
        prop_assert_eq!(verify(&bytes, advert.version, source, destination), Some(form));
    }

    #[test]
    fn one_changed_bit_is_noticed((advert, family) in any_advert(), at: prop::sample::Index, bit in 0u8..8) {
        prop_assume!(family == Family::V4 && advert.version == Version::V2);
        let (source, group) = (v4(10, 0, 0, 1), v4(224, 0, 0, 18));
        let mut bytes = advert.emit(ChecksumForm::Plain, source, group);
        let i = at.index(bytes.len());
        bytes[i] ^= 1 << bit;
        prop_assert_eq!(verify(&bytes, Version::V2, source, group), None);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), v6: bool, v2: bool) {
        let family = if v6 { Family::V6 } else { Family::V4 };
        let _ = Advert::parse(&bytes, family);
        if let Some(h) = Header::read(&bytes) {
            let _ = address_bytes(&bytes, h.count, family).len();
            let _ = auth_data(&bytes, h.count, family);
            let _ = h.interval();
        }
        let version = if v2 { Version::V2 } else { Version::V3 };
        let _ = verify(&bytes, version, v4(1, 2, 3, 4), v4(224, 0, 0, 18));
        let _ = stored_checksum(&bytes);
    }
}
