//! The arithmetic of adverts and of the master-down timer. Everything is exact to the nanosecond, because a skew that is
//! rounded to zero makes all backups stand up at once.

use crate::{Unicast, Version};
use std::time::Duration;

/// Nanoseconds of a duration, saturating.
fn nanos(d: Duration) -> u64 {
    u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)
}

/// What the skew is a fraction of: one second in version 2 (RFC 3768 section 6.1), the master's interval in version 3
/// (RFC 9568 section 6.1).
pub fn skew_unit(version: Version, master_interval: Duration) -> Duration {
    match version {
        Version::V2 => Duration::from_secs(1),
        Version::V3 => master_interval,
    }
}

/// Skew_Time: (256 - priority)/256 of [`skew_unit`].
pub fn skew(version: Version, priority: u8, master_interval: Duration) -> Duration {
    let parts = 256 - u64::from(priority);
    let unit = nanos(skew_unit(version, master_interval));
    Duration::from_nanos((u128::from(unit) * u128::from(parts) / 256).try_into().unwrap_or(u64::MAX))
}

/// Master_Down_Interval: `adverts` intervals (3 in the RFCs) and the skew.
pub fn master_down(version: Version, priority: u8, master_interval: Duration, adverts: u8) -> Duration {
    master_interval.saturating_mul(u32::from(adverts)).saturating_add(skew(version, priority, master_interval))
}

/// How long a master that gives up goes on serving at most: the skew of the least possible priority and a margin for the
/// successor's advert to arrive. One second in version 2.
pub fn release_bound(version: Version, interval: Duration) -> Duration {
    let unit = skew_unit(version, interval);
    skew(version, 1, interval).saturating_add((unit / 256).max(Duration::from_millis(if nanos(unit) < 1_000_000_000 {
        10
    } else {
        0
    })))
}

/// Delay of an early takeover, from a master that has sunk or gives up: 10 ms spread over the priorities, the highest first.
pub fn takeover_spread(priority: u8) -> Duration {
    Duration::from_nanos(10_000_000 * (255 - u64::from(priority)) / 255)
}

/// A version 3 interval in centiseconds, 1..=4095 (RFC 9568 section 5.2.7).
pub fn centiseconds(interval: Duration) -> u16 {
    u16::try_from((interval.as_millis() / 10).clamp(1, 4095)).unwrap_or(4095)
}

/// A version 2 interval in seconds, 1..=255 (RFC 3768 section 5.3.7).
pub fn seconds(interval: Duration) -> u8 {
    u8::try_from(interval.as_secs().clamp(1, 255)).unwrap_or(255)
}

/// Hop limit of adverts: 255, but for unicast what the administrator chose.
pub fn hop_limit(unicast: Option<&Unicast>) -> u8 {
    unicast.map_or(255, |u| u.ttl)
}

#[cfg(test)]
mod tests;
