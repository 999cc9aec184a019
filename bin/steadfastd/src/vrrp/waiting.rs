//! Announcements that wait for their turn: thousands of addresses are announced in many turns of the loop, between which adverts go out.

use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use steadfast_core::Name;

/// Announcements in one go: about a millisecond's work.
const AT_ONCE: usize = 64;
/// Announcements that wait at most; more are not made.
const MOST: usize = 100_000;

/// An address on a link, by its name.
pub type Where = (Name, IpAddr);

/// What waits, in order.
#[derive(Default)]
pub struct Waiting {
    queue: VecDeque<Where>,
    /// Addresses that were given up meanwhile: nobody may be told that they are here.
    given_up: HashSet<Where>,
}

impl Waiting {
    /// An address is to be announced.
    pub fn add(&mut self, of: Where) {
        self.given_up.remove(&of);
        if self.queue.len() < MOST {
            self.queue.push_back(of);
        }
    }

    /// An address goes.
    pub fn give_up(&mut self, interface: &str, address: IpAddr) {
        if !self.queue.is_empty() {
            self.given_up.insert((interface.into(), address));
        }
    }

    /// Those whose turn it is.
    pub fn next(&mut self) -> Vec<Where> {
        let count = self.queue.len().min(AT_ONCE);
        let mut now: Vec<Where> = self.queue.drain(..count).collect();
        now.retain(|of| !self.given_up.contains(of));
        if self.queue.is_empty() && count > 0 {
            *self = Waiting::default();
        }
        now
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn of(n: u32) -> Where {
        ("eth0".into(), IpAddr::V4(Ipv4Addr::from(n)))
    }

    #[test]
    fn what_was_given_up_is_not_announced_unless_it_is_back() {
        let mut all = Waiting::default();
        all.give_up("eth0", of(1).1);
        (0..200).for_each(|n| all.add(of(n)));
        assert_eq!(all.next(), (0..64).map(of).collect::<Vec<_>>());
        [100, 150].iter().for_each(|n| all.give_up("eth0", of(*n).1));
        all.add(of(150));
        let mut rest = Vec::new();
        while !all.is_empty() {
            let some = all.next();
            assert!(some.len() <= AT_ONCE);
            rest.extend(some);
        }
        let wanted: Vec<Where> = (64..200).filter(|n| *n != 100).chain([150]).map(of).collect();
        assert_eq!(rest, wanted);
        all.add(of(100));
        assert_eq!(all.next(), [of(100)], "it is ours again");
    }
}
