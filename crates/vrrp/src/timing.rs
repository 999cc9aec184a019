//! Intervals (RFC 9568 section 6.1, RFC 3768 section 6.1).

use crate::Version;
use std::time::Duration;

/// (256 − priority) × interval / 256. Version 2 takes the fraction of a second, whatever the interval.
pub fn skew(version: Version, priority: u8, interval: Duration) -> Duration {
    let unit = match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => interval,
    };
    unit * (256 - u32::from(priority)) / 256
}

/// How long a master may be silent: `adverts` × interval + skew.
pub fn master_down(version: Version, priority: u8, interval: Duration, adverts: u8) -> Duration {
    interval * u32::from(adverts) + skew(version, priority, interval)
}

/// How long a backup waits before it takes over from a master whose advert is lower than its own: the highest priority goes
/// first, all within 10 ms.
pub fn fast_takeover(priority: u8) -> Duration {
    Duration::from_micros((255 - u64::from(priority)) * 10_000 / 255)
}

/// How long a master that gives up serves on while it waits for its successor: the longest skew, and a margin for the way.
pub fn release_bound(version: Version, interval: Duration) -> Duration {
    skew(version, 1, interval) + Duration::from_millis(50)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skew_is_exact_and_never_zero() {
        let second = Duration::from_secs(1);
        assert_eq!(skew(Version::V2, 100, second), Duration::from_nanos(609_375_000));
        assert_eq!(skew(Version::V2, 100, second * 10), Duration::from_nanos(609_375_000));
        assert_eq!(skew(Version::V3, 100, second * 10), Duration::from_nanos(6_093_750_000));
        for p in 1..=255 {
            assert!(skew(Version::V3, p, Duration::from_millis(10)) > Duration::ZERO);
        }
        assert_eq!(master_down(Version::V3, 254, second, 3), Duration::from_nanos(3_007_812_500));
    }

    #[test]
    fn the_highest_backup_is_first_and_all_are_within_ten_milliseconds() {
        assert_eq!(fast_takeover(255), Duration::ZERO);
        assert!(fast_takeover(200) < fast_takeover(100));
        assert!(fast_takeover(1) < Duration::from_millis(10));
    }
}
