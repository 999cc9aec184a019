use super::*;
use proptest::prelude::*;
use steadfast_core::Secret;

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
    assert_eq!(max_addresses(Version::V2, Family::V4, 1500, 0), 255);
    assert_eq!(max_addresses(Version::V3, Family::V6, 1500, 0), 90);
    assert_eq!(max_addresses(Version::V2, Family::V4, 20, 0), 0);
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
        let mut read = advert.clone();
        if family == Family::V6 && matches!(read.auth, Auth::Pass(_)) {
            // keepalived's form: the type, and no data
            read.auth = Auth::Pass([0; AUTH]);
            prop_assert_eq!(bytes.len(), HEADER + 16 * advert.addresses.len());
        }
        prop_assert_eq!(Advert::parse(&bytes, family).unwrap(), read);
        prop_assert_eq!(verify(&bytes, advert.version, source, destination), Some(form));
    }

    #[test]
    fn one_changed_bit_is_noticed((advert, family) in any_advert(), at: prop::sample::Index, bit in 0u8..8) {
        if family != Family::V4 || advert.version != Version::V2 {
            return Ok(());
        }
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

/// The first advert of keepalived 2.2.7 with `auth_type AH` and `auth_pass secret`, from the IP header on, as captured.
const CAPTURED: &str = "45c00040000100 00ff33d0680a4d0002e0000012 700400000a4d000200000001 6668faf6912f4c259d684d30 \
    2133960102013c19 0a4d0064 0000000000000000";

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|p| p[0] << 4 | p[1]).collect()
}

#[test]
fn keepalived_and_we_make_the_same_authentication_header() {
    let key = Secret::new("secret");
    let packet = hex(CAPTURED);
    let (ip, payload) = packet.split_at(ah::IP_HEADER);
    assert!(ah::verify(&key, ip, payload));
    let (header, message) = ah::split(payload).expect("header");
    assert_eq!(header, ah::Header { spi: 0x0a4d_0002, sequence: 1 });
    let (source, group) = (Ipv4Addr::new(10, 77, 0, 2), Ipv4Addr::new(224, 0, 0, 18));
    assert_eq!(ah::seal(&key, source, group, 255, 1, message), packet);
    assert!(!ah::verify(&Secret::new("secreT"), ip, payload));
    // every covered bit counts, and none of TOS, fragment offset and IP checksum does
    for at in 0..packet.len() {
        let mut other = packet.clone();
        other[at] ^= 1;
        let (ip, payload) = other.split_at(ah::IP_HEADER);
        // the received TTL may have been counted down from 255
        let mutable = matches!(at, 1 | 6 | 7 | 8 | 10 | 11);
        assert_eq!(ah::verify(&key, ip, payload), mutable, "byte {at}");
    }
    for cut in 0..payload.len() {
        assert!(!ah::verify(&key, ip, &payload[..cut]), "{cut} bytes");
    }
}

#[test]
fn the_identification_is_never_left_to_the_kernel() {
    let (a, b) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(224, 0, 0, 18));
    for sequence in [0, 1, 0xffff, 0x1_0000, 0x2_0000, u32::MAX] {
        let packet = ah::seal(&Secret::new("k"), a, b, 255, sequence, &[0; 20]);
        assert_ne!(packet[4..6], [0, 0], "{sequence}");
        assert!(ah::verify(&Secret::new("k"), &packet[..20], &packet[20..]));
    }
}

#[test]
fn a_trailer_covers_message_source_and_stamp_and_not_the_checksum() {
    let key = Secret::new(vec![7; 32]);
    for source in ["10.0.0.1", "fe80::1"] {
        let source: IpAddr = source.parse().expect("address");
        let mut bytes = vec![0x31, 51, 100, 1, 0, 100, 0, 0, 10, 0, 0, 100];
        let message = bytes.clone();
        trailer::seal(&key, 3, 0x0102_0304_0506_0708, source, &mut bytes);
        assert_eq!(bytes.len(), message.len() + trailer::LENGTH);
        assert_eq!(bytes[12..24], [trailer::KIND, 3, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]);
        let (m, t) = trailer::split(&bytes).expect("trailer");
        assert_eq!(m, message);
        assert_eq!(t, trailer::Trailer { kind: 1, key_id: 3, stamp: 0x0102_0304_0506_0708 });
        assert!(trailer::verify(&key, source, &bytes));
        assert!(!trailer::verify(&Secret::new(vec![8; 32]), source, &bytes));
        assert!(!trailer::verify(&key, "10.0.0.2".parse().expect("address"), &bytes));
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 0x10;
            assert_eq!(trailer::verify(&key, source, &other), matches!(at, 6 | 7), "byte {at}");
        }
        for cut in 0..bytes.len() {
            assert!(!trailer::verify(&key, source, &bytes[..cut]), "{cut} bytes");
        }
    }
}

#[test]
fn the_digest_is_hmac_sha_256_over_the_pseudo_header() {
    // computed by Python's hmac module
    let mut bytes = vec![0x31, 51, 100, 1, 0, 100, 0xaa, 0xbb, 10, 0, 0, 100];
    trailer::seal(
        &Secret::new(vec![7; 32]),
        3,
        0x0102_0304_0506_0708,
        "10.0.0.1".parse().expect("address"),
        &mut bytes,
    );
    assert_eq!(bytes[24..], hex("8e7228f8e801a206d47c01db9be8f30d"));
}

#[test]
fn authentication_takes_room_from_addresses() {
    assert_eq!(max_addresses(Version::V3, Family::V6, 1500, trailer::LENGTH), 89);
    assert_eq!(max_addresses(Version::V2, Family::V4, 576, 0), 135);
    assert_eq!(max_addresses(Version::V2, Family::V4, 576, ah::LENGTH), 129);
}
