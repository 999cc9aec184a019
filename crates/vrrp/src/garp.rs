//! Pacing of gratuitous ARPs and unsolicited neighbour advertisements.

use crate::GarpGroup;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Family, Time};

/// Most announcements that wait on one link, or are asked for at once; later ones are dropped, because the schedule repeats them anyhow.
pub(crate) const MOST: usize = 65_536;

/// One announcement that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    /// Slot of the instance; the announcement is void when it is not master any more.
    pub instance: u32,
    pub address: IpAddr,
}

#[derive(Debug)]
struct Queue {
    gap: Duration,
    /// Each with its link: those of a group share the queue.
    waiting: VecDeque<(Waiting, String)>,
    next: Time,
}

/// Queues by link and family. They exist only where a gap is configured.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    index: HashMap<(String, Family), u32>,
    queues: Vec<Queue>,
    gap_v4: Duration,
    gap_v6: Duration,
    groups: Vec<GarpGroup>,
}

impl Pacer {
    /// Sets the gaps. What waits stays.
    pub fn set_gaps(&mut self, v4: Duration, v6: Duration, groups: &[GarpGroup]) {
        self.gap_v4 = v4;
        self.gap_v6 = v6;
        self.groups = groups.to_vec();
        // Links may have changed their queue; the old ones empty themselves.
        self.index.clear();
    }

    /// The gap of a link and family, and the link whose queue it has: in a group that of the first.
    fn queue_of<'a>(&'a self, interface: &'a str, family: Family) -> (Duration, &'a str) {
        let (own, common): (fn(&GarpGroup) -> Option<Duration>, Duration) = match family {
            Family::V4 => (|g: &GarpGroup| g.interval, self.gap_v4),
            Family::V6 => (|g: &GarpGroup| g.gna_interval, self.gap_v6),
        };
        let group = self.groups.iter().find(|g| g.interfaces.iter().any(|i| i == interface));
        let shared = group.and_then(|g| Some((own(g)?, g.interfaces.first()?.as_str())));
        shared.unwrap_or((common, interface))
    }

    /// The gap of a link and family.
    pub fn gap(&self, interface: &str, family: Family) -> Duration {
        self.queue_of(interface, family).0
    }

    /// Nothing waits for the gap of a link and family.
    pub fn is_idle(&self, interface: &str, family: Family) -> bool {
        let key = (self.queue_of(interface, family).1.to_owned(), family);
        let queue = self.index.get(&key).and_then(|id| self.queues.get(*id as usize));
        queue.is_none_or(|q| q.waiting.is_empty())
    }

    /// Queues an announcement; returns the queue and when it is to be served next, for a timer.
    pub fn push(&mut self, now: Time, interface: &str, waiting: Waiting) -> (u32, Time) {
        let family = Family::of(waiting.address);
        let (gap, name) = self.queue_of(interface, family);
        let key = (name.to_owned(), family);
        let id = match self.index.get(&key) {
            Some(id) => *id,
            None => {
                // One that nobody uses any more is taken over.
                let free = |(n, q): &(usize, &Queue)| {
                    q.waiting.is_empty() && !self.index.values().any(|id| *id as usize == *n)
                };
                let reused = self.queues.iter().enumerate().find(free).map(|(n, _)| n);
                let id = reused.unwrap_or(self.queues.len());
                let queue = Queue { gap, waiting: VecDeque::new(), next: now };
                match self.queues.get_mut(id) {
                    Some(q) => *q = queue,
                    None => self.queues.push(queue),
                }
                self.index.insert(key, id as u32);
                id as u32
            }
        };
        let Some(queue) = self.queues.get_mut(id as usize) else { return (id, now) };
        if queue.waiting.len() < MOST {
            queue.waiting.push_back((waiting, interface.to_owned()));
        }
        (id, queue.next.max(now))
    }

    /// Serves a queue: one announcement and its link, and when the next is due.
    pub fn pop(&mut self, now: Time, id: u32) -> Option<(Waiting, String, Option<Time>)> {
        let queue = self.queues.get_mut(id as usize)?;
        let (waiting, interface) = queue.waiting.pop_front()?;
        queue.next = now + queue.gap;
        let next = if queue.waiting.is_empty() { None } else { Some(queue.next) };
        Some((waiting, interface, next))
    }
}

#[cfg(test)]
mod tests;
