//! What waits while a pipe is full.

use crate::{Envelope, FRAME, FrameError, frame};
use std::collections::{BTreeMap, VecDeque};

/// What waits for a pipe that is full: what must not be lost with the sender, commands in order, and the latest state of each object.
/// Memory is bounded by the number of
/// objects and the size of one configuration.
#[derive(Default, Debug)]
pub struct Outbox {
    first: BTreeMap<String, Vec<u8>>,
    commands: VecDeque<Vec<u8>>,
    states: BTreeMap<String, Vec<u8>>,
}

impl Outbox {
    /// Queues a command.
    pub fn command(&mut self, envelope: &Envelope) -> Result<(), FrameError> {
        self.commands.push_back(frame(envelope)?);
        Ok(())
    }

    /// Queues an object's state, in the place of an older one.
    pub fn state(&mut self, key: &str, envelope: &Envelope) -> Result<(), FrameError> {
        self.states.insert(key.to_string(), frame(envelope)?);
        Ok(())
    }

    /// Queues an object's state before everything else, in the place of an older one.
    pub fn urgent(&mut self, key: &str, envelope: &Envelope) -> Result<(), FrameError> {
        self.first.insert(key.to_string(), frame(envelope)?);
        Ok(())
    }

    /// Writes while `write` takes frames; true when nothing waits any more.
    pub fn flush(&mut self, mut write: impl FnMut(&[u8]) -> bool) -> bool {
        while let Some((key, f)) = self.first.pop_first() {
            if !write(&f) {
                self.first.insert(key, f);
                return false;
            }
        }
        while let Some(f) = self.commands.front() {
            if !write(f) {
                return false;
            }
            self.commands.pop_front();
        }
        while let Some((key, f)) = self.states.pop_first() {
            if !write(&f) {
                self.states.insert(key, f);
                return false;
            }
        }
        true
    }

    /// As [`Outbox::flush`], with as many frames in each write as fit into it.
    pub fn flush_together(&mut self, mut write: impl FnMut(&[u8]) -> bool) -> bool {
        let mut packet = Vec::with_capacity(FRAME);
        loop {
            packet.clear();
            let mut taken = [0usize; 3];
            let first = self.first.values().map(|f| (0, f));
            let all = first.chain(self.commands.iter().map(|f| (1, f))).chain(self.states.values().map(|f| (2, f)));
            for (queue, f) in all {
                if packet.len() + f.len() > FRAME {
                    break;
                }
                packet.extend_from_slice(f);
                if let Some(n) = taken.get_mut(queue) {
                    *n += 1;
                }
            }
            if packet.is_empty() {
                return true;
            }
            if !write(&packet) {
                return false;
            }
            let [first, commands, states] = taken;
            (0..first).for_each(|_| drop(self.first.pop_first()));
            self.commands.drain(..commands);
            (0..states).for_each(|_| drop(self.states.pop_first()));
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.first.clear();
        self.commands.clear();
        self.states.clear();
    }
}
