//! When packets are sent, and when silence is too long.

use std::time::Duration;
use steadfast_core::{Rng, Time};

/// The longest step of the grid that transmissions of all sessions share.
const STEP: u64 = 1_000_000;

/// Interval between our packets before jitter (RFC 5880 section 6.8.2), in microseconds.
pub const fn transmit_interval(own_min_tx: u32, remote_min_rx: u32) -> u32 {
    if own_min_tx > remote_min_rx { own_min_tx } else { remote_min_rx }
}

/// Detection time of asynchronous mode (section 6.8.4), in microseconds; 0 while nothing was heard.
pub fn detection(remote_multiplier: u8, own_min_rx: u32, remote_min_tx: u32) -> u64 {
    u64::from(remote_multiplier) * u64::from(own_min_rx.max(remote_min_tx))
}

/// When the next periodic packet is due after one at `last`: at 75 to 100 % of the interval, with a multiplier of 1 at 75 to 90 %
/// (section 6.8.7). Inside that window it is put on a grid of a twentieth of the interval, at most a millisecond, which all sessions
/// share: hundreds of fast sessions then wake the process a few times a millisecond and not for each packet.
pub fn due(last: Time, interval: u32, multiplier: u8, rng: &mut Rng) -> Time {
    let whole = u64::from(interval.max(1)) * 1000;
    let least = whole - whole / 4;
    let most = if multiplier == 1 { whole - whole / 10 } else { whole };
    let at = last + Duration::from_nanos(least + rng.below(most - least + 1));
    let step = (whole / 20).clamp(1, STEP);
    let on_grid = Time::from_nanos(at.as_nanos() - at.as_nanos() % step);
    if on_grid >= last + Duration::from_nanos(least) { on_grid } else { on_grid + Duration::from_nanos(step) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slower_side_sets_the_pace() {
        assert_eq!(transmit_interval(10_000, 300_000), 300_000);
        assert_eq!(transmit_interval(50_000, 1), 50_000);
        assert_eq!(detection(3, 10_000, 50_000), 150_000);
        assert_eq!(detection(5, 100_000, 50_000), 500_000);
        assert_eq!(detection(255, u32::MAX, 1), 255 * u64::from(u32::MAX));
        assert_eq!(detection(0, 10_000, 0), 0);
    }

    #[test]
    fn jitter_stays_in_its_window_and_fills_it() {
        for (multiplier, most) in [(1, 900), (2, 1000), (255, 1000)] {
            for interval in [1u32, 3, 1000, 10_000, 1_000_000, u32::MAX] {
                let mut rng = Rng::new(7);
                let (mut low, mut high) = (u64::MAX, 0);
                for n in 0..2000 {
                    let last = Time::from_nanos(n * 12_345_677);
                    let gap = due(last, interval, multiplier, &mut rng).since(last).as_nanos() as u64;
                    (low, high) = (low.min(gap), high.max(gap));
                }
                let whole = u64::from(interval) * 1000;
                assert!(
                    low >= whole * 3 / 4 && high <= whole * most / 1000,
                    "{interval} µs x {multiplier}: {low}..{high}"
                );
                if interval >= 1000 {
                    assert!(
                        low < whole * 77 / 100 && high > whole * (most - 30) / 1000,
                        "{interval} µs: {low}..{high}"
                    );
                }
            }
        }
    }

    #[test]
    fn sessions_of_one_interval_share_a_grid() {
        let mut rng = Rng::new(1);
        let instants: std::collections::BTreeSet<Time> = (0..1000u64)
            .map(|n| due(Time::from_millis(1000) + Duration::from_nanos(n * 997), 10_000, 3, &mut rng))
            .collect();
        assert!(instants.len() <= 10, "{} instants for 1000 packets", instants.len());
    }
}
