//! Even distribution of first probes over a time.

use std::collections::HashMap;
use std::time::Duration;

/// 2⁶⁴ divided by the golden ratio: multiples of it fill the circle evenly, however many are taken.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hands out delays. Checks of the same warm-up time are spread among themselves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spread {
    seed: u64,
    given: HashMap<Duration, u64>,
}

impl Spread {
    pub fn new(seed: u64) -> Spread {
        Spread { seed, given: HashMap::new() }
    }

    /// The next delay in `0..over`.
    pub fn delay(&mut self, over: Duration) -> Duration {
        let count = self.given.entry(over).or_default();
        *count += 1;
        let place = self.seed.wrapping_add(count.wrapping_mul(GOLDEN));
        Duration::from_nanos(((u128::from(place) * over.as_nanos().min(u64::MAX.into())) >> 64) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The busiest tenth of a second stays below 1.3 times the mean, for any number of checks that makes this meaningful.
    #[test]
    fn no_burst() {
        for (count, seed) in [(500, 1), (1000, 2), (5000, 3), (20_000, 4)] {
            let mut spread = Spread::new(seed);
            let mut bins = [0u32; 50];
            for _ in 0..count {
                let at = spread.delay(Duration::from_secs(5));
                bins[at.as_millis() as usize / 100] += 1;
            }
            let busiest = *bins.iter().max().unwrap();
            assert!(f64::from(busiest) < 1.3 * f64::from(count) / 50.0, "{count}: {busiest}");
        }
        assert_eq!(Spread::new(7).delay(Duration::ZERO), Duration::ZERO);
    }
}
