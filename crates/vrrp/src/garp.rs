//! Pacing of gratuitous ARPs and unsolicited neighbour advertisements.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Family, Time};

/// Most announcements that wait on one link; later ones are dropped, because the schedule repeats them anyhow.
const MOST: usize = 65_536;

/// One announcement that waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Waiting {
    /// Slot of the instance; the announcement is void when it is not master any more.
    pub instance: u32,
    pub address: IpAddr,
}

#[derive(Debug)]
struct Queue {
    interface: String,
    family: Family,
    waiting: VecDeque<Waiting>,
    next: Time,
}

/// Queues by link and family. They exist only where a gap is configured.
#[derive(Debug, Default)]
pub(crate) struct Pacer {
    index: HashMap<(String, Family), u32>,
    queues: Vec<Queue>,
    gap_v4: Duration,
    gap_v6: Duration,
}

impl Pacer {
    /// Sets the gaps. What waits stays.
    pub fn set_gaps(&mut self, v4: Duration, v6: Duration) {
        self.gap_v4 = v4;
        self.gap_v6 = v6;
    }

    /// The gap of a family.
    pub fn gap(&self, family: Family) -> Duration {
        match family {
            Family::V4 => self.gap_v4,
            Family::V6 => self.gap_v6,
        }
    }

    /// Queues an announcement; returns the queue and when it is to be served next, for a timer.
    pub fn push(&mut self, now: Time, interface: &str, waiting: Waiting) -> (u32, Time) {
        let family = Family::of(waiting.address);
        let id = match self.index.get(&(interface.to_owned(), family)) {
            Some(id) => *id,
            None => {
                let id = self.queues.len() as u32;
                self.queues.push(Queue { interface: interface.into(), family, waiting: VecDeque::new(), next: now });
                self.index.insert((interface.into(), family), id);
                id
            }
        };
        let Some(queue) = self.queues.get_mut(id as usize) else { return (id, now) };
        if queue.waiting.len() < MOST {
            queue.waiting.push_back(waiting);
        }
        (id, queue.next.max(now))
    }

    /// Serves a queue: one announcement and its link, and when the next is due.
    pub fn pop(&mut self, now: Time, id: u32) -> Option<(Waiting, &str, Option<Time>)> {
        let gap = self.queues.get(id as usize).map(|q| self.gap(q.family))?;
        let queue = self.queues.get_mut(id as usize)?;
        let waiting = queue.waiting.pop_front()?;
        queue.next = now + gap;
        let next = if queue.waiting.is_empty() { None } else { Some(queue.next) };
        Some((waiting, &queue.interface, next))
    }
}

#[cfg(test)]
mod tests;
