//! A new configuration.

use crate::sessions::{Life, Sessions};
use crate::{Config, Output};
use std::collections::HashMap;
use steadfast_core::Time;

impl Sessions {
    /// Takes over a new configuration. A session with the same name, peer and own address keeps its state; other intervals are agreed
    /// on by a poll sequence. One that is gone says AdminDown.
    pub fn reload(&mut self, config: Config, now: Time, out: &mut Vec<Output>) {
        if self.life != Life::Running {
            return;
        }
        let wanted: HashMap<&str, _> = config.sessions.iter().map(|c| (c.name.as_str(), c.identity())).collect();
        let mut kept = HashMap::new();
        for id in 0..self.slots.len() as u32 {
            let Some(s) = self.slot(id) else { continue };
            if wanted.get(s.config.name.as_str()) == Some(&s.config.identity()) {
                kept.insert(s.config.name.clone(), id);
            } else {
                self.remove(id, |name| wanted.contains_key(name), now, out);
            }
        }
        for c in config.sessions {
            match kept.get(&c.name) {
                Some(id) => self.change(*id, c, now, out),
                None => self.add(c, None, now, out),
            }
        }
    }

    fn remove(&mut self, id: u32, again: impl Fn(&str) -> bool, now: Time, out: &mut Vec<Output>) {
        self.take_down(id, now, out);
        let Some(s) = self.slots.get_mut(id as usize).and_then(Option::take) else { return };
        self.free.push(id);
        out.push(Output::Close(id));
        self.by_discriminator.remove(&s.discriminator);
        self.ports.remove(&s.port);
        let peer = (s.config.neighbor, s.config.multihop);
        if let Some(all) = self.by_peer.get_mut(&peer) {
            all.retain(|i| *i != id);
            if all.is_empty() {
                self.by_peer.remove(&peer);
            }
        }
        if !again(&s.config.name) {
            out.push(Output::Forget(s.config.name));
        }
    }

    fn change(&mut self, id: u32, c: crate::SessionConfig, now: Time, out: &mut Vec<Output>) {
        let Some(s) = self.slot(id) else { return };
        if s.config == c {
            return;
        }
        let hops = s.config.hops.send != c.hops.send;
        let old = std::mem::replace(&mut s.config, c);
        if old.hops.least != s.config.hops.least {
            s.near = false;
        }
        s.configure();
        if hops {
            self.open(id, out);
        }
        self.watch(id);
        self.keep(id, out);
        self.hurry(id, now, out);
    }
}

#[cfg(test)]
mod tests;
