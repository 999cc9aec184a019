//! A keyed timer heap.

use crate::Time;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;

/// Timers by key: each key has at most one deadline. Setting anew replaces; stale heap entries are skipped when they surface
/// and swept when they outnumber the live ones, so memory stays proportional to the number of keys.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    live: HashMap<K, (Time, u64)>,
    heap: BinaryHeap<Reverse<(Time, u64, K)>>,
    sequence: u64,
}

impl<K: Copy + Eq + Hash + Ord> Default for Timers<K> {
    fn default() -> Self {
        Timers { live: HashMap::new(), heap: BinaryHeap::new(), sequence: 0 }
    }
}

impl<K: Copy + Eq + Hash + Ord> Timers<K> {
    /// No timers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Arms or re-arms the timer of `key`.
    pub fn set(&mut self, key: K, at: Time) {
        self.sequence += 1;
        self.live.insert(key, (at, self.sequence));
        self.heap.push(Reverse((at, self.sequence, key)));
        let most = self.live.len() + self.live.len() / 4 + 64;
        if self.heap.len() > most {
            let live = &self.live;
            self.heap.retain(|Reverse((at, seq, key))| live.get(key) == Some(&(*at, *seq)));
            self.heap.shrink_to(most + 1);
        }
    }

    /// Gives back room that a burst of timers needed.
    pub fn shrink(&mut self) {
        self.live.shrink_to_fit();
        self.heap.shrink_to_fit();
    }

    /// Disarms the timer of `key`, if armed.
    pub fn cancel(&mut self, key: K) {
        self.live.remove(&key);
    }

    /// When the timer of `key` is due, if armed.
    pub fn get(&self, key: K) -> Option<Time> {
        self.live.get(&key).map(|(at, _)| *at)
    }

    /// The earliest deadline.
    pub fn earliest(&mut self) -> Option<Time> {
        self.skim();
        self.heap.peek().map(|Reverse((at, _, _))| *at)
    }

    /// The earliest deadline, without tidying; may be earlier than the true one by a cancelled timer, never later.
    pub fn peek(&self) -> Option<Time> {
        if self.live.is_empty() { None } else { self.heap.peek().map(|Reverse((at, _, _))| *at) }
    }

    /// Takes one timer that is due at `now`, in order of deadline, then of arming.
    pub fn pop_due(&mut self, now: Time) -> Option<(K, Time)> {
        self.skim();
        match self.heap.peek() {
            Some(Reverse((at, _, key))) if *at <= now => {
                let (at, key) = (*at, *key);
                self.heap.pop();
                self.live.remove(&key);
                Some((key, at))
            }
            _ => None,
        }
    }

    /// Drops stale entries from the top of the heap.
    fn skim(&mut self) {
        while let Some(Reverse((at, seq, key))) = self.heap.peek() {
            if self.live.get(key) == Some(&(*at, *seq)) {
                break;
            }
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_and_forgets_what_was_replaced() {
        let mut t = Timers::new();
        t.set('a', Time::from_millis(10));
        t.set('b', Time::from_millis(5));
        t.set('a', Time::from_millis(20));
        t.cancel('b');
        t.set('c', Time::from_millis(7));
        assert_eq!(t.earliest(), Some(Time::from_millis(7)));
        assert_eq!(t.pop_due(Time::from_millis(15)), Some(('c', Time::from_millis(7))));
        assert_eq!(t.pop_due(Time::from_millis(15)), None);
        assert_eq!(t.pop_due(Time::from_millis(20)).map(|x| x.0), Some('a'));
        assert_eq!(t.earliest(), None);
    }

    proptest::proptest! {
        /// Beside a plain list: the same timers fire at the same times, in the same order, whatever was replaced or cancelled.
        #[test]
        fn as_a_plain_list_would(steps in proptest::collection::vec((0u8..4, 0u8..6, 0u64..50), 1..120)) {
            let mut timers = Timers::new();
            let mut list: Vec<(u64, u64, u8)> = Vec::new();
            let mut now = 0;
            for (n, (what, key, after)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => {
                        timers.set(key, Time::from_millis(now + after));
                        list.retain(|(_, _, k)| *k != key);
                        list.push((now + after, n as u64, key));
                    }
                    2 => {
                        timers.cancel(key);
                        list.retain(|(_, _, k)| *k != key);
                    }
                    _ => now += after,
                }
                list.sort_unstable();
                proptest::prop_assert_eq!(timers.earliest(), list.first().map(|(at, ..)| Time::from_millis(*at)));
                while let Some((at, _, key)) = list.first().copied().filter(|(at, ..)| *at <= now) {
                    list.remove(0);
                    proptest::prop_assert_eq!(timers.pop_due(Time::from_millis(now)), Some((key, Time::from_millis(at))));
                }
                proptest::prop_assert_eq!(timers.pop_due(Time::from_millis(now)), None);
            }
        }
    }

    #[test]
    fn rearming_for_ever_keeps_memory_bounded() {
        let mut t = Timers::new();
        for i in 0..100_000u64 {
            t.set(i % 10, Time::from_nanos(i));
        }
        assert!(t.heap.len() <= 128);
        assert_eq!(t.earliest(), Some(Time::from_nanos(99_990)));
    }
}
