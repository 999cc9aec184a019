use super::*;
use proptest::prelude::*;

const S: Duration = Duration::from_secs(1);

#[test]
fn skew_and_master_down_are_exact_for_every_priority() {
    for priority in 1..=255u8 {
        let parts = 256 - u64::from(priority);
        // version 2: of a second, whatever the interval
        for interval in [S, 2 * S, 255 * S] {
            let want = Duration::from_nanos(parts * 1_000_000_000 / 256);
            assert_eq!(skew(Version::V2, priority, interval), want);
            assert_eq!(master_down(Version::V2, priority, interval, 3), interval * 3 + want);
        }
        // version 3: of the master's interval, down to a centisecond
        for cs in [1u64, 2, 10, 100, 4095] {
            let interval = Duration::from_millis(cs * 10);
            let want = Duration::from_nanos(cs * 10_000_000 * parts / 256);
            assert_eq!(skew(Version::V3, priority, interval), want);
            assert!(!want.is_zero());
            assert_eq!(master_down(Version::V3, priority, interval, 3), interval * 3 + want);
        }
    }
}

#[test]
fn known_figures() {
    assert_eq!(skew(Version::V2, 100, S), Duration::from_nanos(609_375_000));
    assert_eq!(master_down(Version::V2, 100, S, 3), Duration::from_nanos(3_609_375_000));
    assert_eq!(skew(Version::V3, 255, Duration::from_millis(10)), Duration::from_nanos(39_062));
    assert_eq!(release_bound(Version::V2, S), S);
    assert_eq!(release_bound(Version::V2, 5 * S), S);
    assert_eq!(release_bound(Version::V3, S), S);
}

#[test]
fn intervals_on_the_wire_stay_in_range() {
    assert_eq!(centiseconds(Duration::ZERO), 1);
    assert_eq!(centiseconds(Duration::from_millis(999)), 99);
    assert_eq!(centiseconds(100 * S), 4095);
    assert_eq!((seconds(Duration::ZERO), seconds(S), seconds(300 * S)), (1, 1, 255));
}

proptest! {
    #[test]
    fn a_higher_priority_never_waits_longer(a in 1u8..=254, cs in 1u64..=4095, v2: bool) {
        let version = if v2 { Version::V2 } else { Version::V3 };
        let interval = Duration::from_millis(cs * 10);
        prop_assert!(skew(version, a + 1, interval) < skew(version, a, interval));
        prop_assert!(takeover_spread(a + 1) < takeover_spread(a));
        prop_assert!(takeover_spread(a) <= Duration::from_millis(10));
    }

    #[test]
    fn a_hand_over_outlasts_every_successors_skew(priority in 1u8..=255, cs in 1u64..=4095, v2: bool) {
        let version = if v2 { Version::V2 } else { Version::V3 };
        let interval = Duration::from_millis(cs * 10);
        prop_assert!(release_bound(version, interval) > skew(version, priority, interval));
    }
}
