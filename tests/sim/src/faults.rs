//! What goes wrong, or is mended.

use crate::make::{vary, virtual_address};
use crate::node::Parent;
use crate::{Event, Failure, Played, World};
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{State, Time};
use steadfast_ipc::encode;
use steadfast_vrrp::Config;

/// Steps of the longest turn that a death is looked for in.
const STEPS: u64 = 40;

impl World {
    /// The network of the client changes. Who does not hold the address any more on the client's side cannot be contended with, so
    /// nobody learns that he must announce himself: the client's entry runs out by itself. An entry of a live holder stays.
    fn client_moves(&mut self) {
        for i in 0..self.instances {
            let holders = self.holders(i, 0);
            self.client[i] = self.client[i].filter(|n| holders.contains(n) && self.state(*n, i) == Some(State::Master));
        }
    }

    pub(crate) fn pause(&mut self, most: Duration) {
        let pause = Duration::from_nanos(self.rng.below(most.as_nanos() as u64));
        self.run(pause);
    }

    /// What stood still goes on.
    fn thaw(&mut self, n: usize) {
        self.disturbed = self.now;
        let node = &mut self.nodes[n];
        node.frozen = false;
        node.parent.iter_mut().for_each(|p| p.frozen = false);
        node.child.iter_mut().for_each(|c| c.frozen = false);
        if node.child.as_ref().is_some_and(|c| c.doomed) {
            self.child_ends(n, false);
        }
        for event in std::mem::take(&mut self.held[n]) {
            self.happen(event);
        }
        self.machine(n, |_, _, _| {});
    }

    /// The child will die after so many steps.
    pub(crate) fn arm(&mut self, n: usize, steps: u32) {
        if let Some(c) = &mut self.nodes[n].child {
            c.fuse = Some(steps);
            let epoch = c.epoch;
            self.note(format!("FAULT life {epoch} of node {n} is going to die after {steps} steps"));
        }
    }

    /// The operator changes the file and has it read; what changes is up to the seed.
    pub(crate) fn reload(&mut self, n: usize) {
        if self.nodes[n].parent.is_none() && self.nodes[n].torn {
            // What it did last is in no record: who comes after knows of it by the file alone.
            return;
        }
        let mut file = self.nodes[n].file.clone();
        vary(&mut file, &mut self.rng);
        let priority = 50 + self.rng.below(4) as u8 * 50;
        file.instances.iter_mut().for_each(|c| c.priority = priority);
        // One comes or goes; a group that is not the same everywhere may hold nothing anywhere.
        if self.rng.below(6) == 0 && file.groups.is_empty() {
            let taken = (file.instances.len() > 1).then(|| file.instances.remove(self.rng.below(2) as usize));
            let whole = self.nodes[n].whole.clone();
            if taken.is_none() && whole.len() > file.instances.len() {
                file.instances = whole;
                vary(&mut file, &mut self.rng);
                file.instances.iter_mut().for_each(|c| c.priority = priority);
            }
        }
        self.note(format!("node {n} reloads, with priority {priority} and {} instances", file.instances.len()));
        self.configure(n, file);
    }

    /// A node becomes the owner of all addresses.
    pub(crate) fn promote(&mut self, n: usize) {
        let mut file = self.nodes[n].file.clone();
        file.instances.iter_mut().for_each(|c| c.priority = 255);
        self.configure(n, file);
    }

    fn configure(&mut self, n: usize, file: Config) {
        let node = &mut self.nodes[n];
        node.file = file;
        if let Some(p) = &mut node.parent {
            p.config = encode(&node.file).expect("encodes");
            p.ward.configure(&p.config).expect("fits into frames");
        }
        self.tell(n);
    }

    /// The parent writes what waits.
    fn tell(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        let Some(p) = &mut node.parent else { return };
        p.flush(&mut node.down);
        if let Some(c) = &node.child {
            let epoch = c.epoch;
            let after = self.soon(5, 300);
            self.push(after, Event::ChildReads(n, epoch));
        }
    }

    /// The operator stops the daemon.
    pub(crate) fn stop(&mut self, n: usize) {
        self.note(format!("node {n} is stopped in order"));
        let Some(p) = &mut self.nodes[n].parent else { return };
        p.stopping = true;
        p.ward.is_not_due();
        p.ward.stop(false).expect("fits into a frame");
        if self.nodes[n].child.is_some() {
            self.tell(n);
        } else {
            // It waited for its restart: what is left goes with the daemon.
            self.withdraw(n, true);
            self.nodes[n].parent = None;
        }
    }

    /// The parent is gone, without a word.
    fn parent_dies(&mut self, n: usize) {
        self.deaths += 1;
        self.nodes[n].parent = None;
        match &mut self.nodes[n].child {
            Some(c) => {
                c.fuse = None;
                let epoch = c.epoch;
                let after = self.soon(20, 500);
                self.push(after, Event::Orphaned(n, epoch));
            }
            None => {
                let after = self.soon(1_000_000, 3_000_000);
                self.push(after, Event::Manager(n));
            }
        }
    }

    pub(crate) fn power_off(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        node.parent = None;
        node.child = None;
        node.up.clear();
        node.down.clear();
        node.kernel.clear();
        (node.record, node.torn) = (None, false);
        self.held[n].clear();
        for i in 0..self.instances {
            self.reigns.remove(&(n, i));
        }
    }

    /// A link goes down or up.
    pub(crate) fn flip(&mut self, n: usize, i: usize) {
        let up = !self.nodes[n].links[i];
        self.note(format!("FAULT eth{i} of node {n} goes {}", if up { "up" } else { "down" }));
        self.nodes[n].links[i] = up;
        let epoch = self.nodes[n].child.as_ref().map_or(0, |c| c.epoch);
        self.push(Duration::from_micros(20), Event::Changed(n, epoch, i));
    }

    /// One thing.
    fn fault(&mut self) {
        let n = self.rng.below(self.nodes.len() as u64) as usize;
        let kind = self.rng.below(26);
        let runs = self.nodes[n].router().is_some() && self.nodes[n].runs();
        let served = self.nodes[n].parent.as_ref().is_some_and(|p| !p.stopping);
        self.disturbed = self.now;
        match kind {
            0 if runs => {
                self.note(format!("FAULT node {n} loses power"));
                self.power_off(n);
            }
            1 | 2 => self.start_daemon(n),
            3 if runs => {
                self.note(format!("FAULT the VRRP process of node {n} dies"));
                self.child_ends(n, false);
            }
            4 if runs => {
                self.note(format!("FAULT node {n} is frozen"));
                self.nodes[n].frozen = true;
                let down = self.down();
                self.pause(3 * down);
                self.note(format!("node {n} wakes"));
                self.thaw(n);
            }
            5 => {
                self.note("FAULT partition".into());
                self.client_moves();
                for s in 0..self.side.len() {
                    self.side[s] = self.rng.below(2) as u8;
                }
                self.client_moves();
            }
            6 => {
                self.note("the partition heals".into());
                self.client_moves();
                self.side.iter_mut().for_each(|s| *s = 0);
            }
            7 | 8 => {
                let i = self.rng.below(self.instances as u64) as usize;
                self.flip(n, i);
            }
            9 if served => self.stop(n),
            10 => {
                self.nodes[n].script_ok = !self.nodes[n].script_ok;
                let ok = self.nodes[n].script_ok;
                self.note(format!("the script of node {n} {}", if ok { "succeeds again" } else { "fails" }));
            }
            11 if runs => {
                let i = self.rng.below(self.instances as u64) as usize;
                let address = virtual_address(self.family, i);
                let on = |v: steadfast_vrrp::View<'_>| v.config.addresses.first().cloned();
                let all = self.nodes[n].router().into_iter().flat_map(|r| r.views().filter_map(on).collect::<Vec<_>>());
                let found = all.into_iter().find(|a| a.cidr.address == address).map(Object::Address);
                if let Some(o) = found.filter(|o| self.nodes[n].kernel.has(o)) {
                    self.note(format!("somebody deletes the address of V{i} on node {n}"));
                    let mut fx = Vec::new();
                    self.nodes[n].remove(&o, &mut fx);
                    self.effects(n, fx);
                }
            }
            12 | 13 => self.reload(n),
            14 if runs => {
                self.note(format!("FAULT node {n} hears nobody"));
                self.deaf = Some(n);
                // Who hears nobody cannot hear that somebody contends.
                self.lossy = true;
                let down = self.down();
                self.pause(3 * down);
                self.note(format!("node {n} hears again"));
                self.deaf = None;
            }
            15 | 16 if served => {
                let steps = self.rng.below(STEPS) as u32;
                self.arm(n, steps);
            }
            17 if served => {
                // Whatever it does first, during the reload or right after.
                self.reload(n);
                if self.rng.below(3) == 0 {
                    self.reload(n);
                }
                let steps = self.rng.below(STEPS) as u32;
                self.arm(n, steps);
            }
            18 if served => {
                let steps = self.rng.below(STEPS) as u32;
                self.arm(n, steps);
                self.stop(n);
            }
            19 if runs => {
                self.note(format!("FAULT the child of node {n} hangs"));
                self.nodes[n].child.iter_mut().for_each(|c| c.frozen = true);
                if self.rng.below(2) == 0 {
                    self.pause(Duration::from_secs(8));
                    self.note(format!("node {n} goes on"));
                    self.thaw(n);
                }
            }
            20 if served => {
                self.note(format!("FAULT the parent of node {n} hangs"));
                self.nodes[n].parent.iter_mut().for_each(|p| p.frozen = true);
                self.pause(Duration::from_secs(3));
                self.note(format!("the parent of node {n} goes on"));
                self.thaw(n);
            }
            // Nobody is left then who knows what a dead child did last under another file.
            21 if served && (runs || !self.nodes[n].torn) => {
                self.note(format!("FAULT the parent of node {n} dies"));
                self.parent_dies(n);
            }
            22 if served => {
                let lives = 2 + self.rng.below(3) as u32;
                self.note(format!("FAULT {lives} lives of node {n} are going to die"));
                self.nodes[n].poison = lives;
                let steps = self.rng.below(STEPS) as u32;
                self.arm(n, steps);
            }
            23 if served => {
                self.note(format!("FAULT both processes of node {n} are killed"));
                self.parent_dies(n);
                self.child_ends(n, false);
                // Its successor finds another file, and what is left of this one.
                if self.rng.below(2) == 0 {
                    self.reload(n);
                }
            }
            24 if served => self.upgrade(n),
            _ => {}
        }
        self.disturbed = self.now;
    }

    /// Another program takes the parent's place; what the old child had said until its end counts.
    pub(crate) fn upgrade(&mut self, n: usize) {
        self.note(format!("node {n} is upgraded"));
        let Some(old) = self.nodes[n].parent.take() else { return };
        let mut new = Parent::new(encode(&self.nodes[n].file).expect("encodes"));
        new.adopted = true;
        new.ward.inherit(old.ward.kept().map(|(key, bytes)| (key.to_string(), bytes.to_vec())));
        self.nodes[n].parent = Some(new);
        if self.nodes[n].child.is_some() {
            self.child_ends(n, false);
        }
        let frames: Vec<Vec<u8>> = self.nodes[n].up.drain(..).collect();
        if let Some(p) = &mut self.nodes[n].parent {
            frames.iter().for_each(|f| p.ward.heard_of_former(old.epoch, f).expect("a frame of the old child's"));
        }
        self.start_child(n);
        self.tell(n);
    }

    /// Waits until every daemon that is to run does.
    pub(crate) fn recover(&mut self) {
        for n in 0..self.nodes.len() {
            self.nodes[n].poison = 0;
            self.nodes[n].child.iter_mut().for_each(|c| c.fuse = None);
        }
        let away = |w: &World| {
            w.nodes.iter().any(|n| n.parent.is_some() && (n.router().is_none() || !n.runs()))
                || w.nodes.iter().any(|n| n.parent.is_none() && !n.kernel.words().is_empty())
        };
        for _ in 0..150 {
            if !away(self) {
                break;
            }
            self.run(Duration::from_millis(500));
        }
    }

    /// A whole history.
    pub fn play(seed: u64) -> Result<Played, Box<Failure>> {
        let mut world = World::new(seed);
        for _ in 0..8 {
            let lossy = world.rng.below(2) == 0;
            world.lossy = lossy;
            for _ in 0..1 + world.rng.below(3) {
                world.fault();
                world.loss_ppm = if lossy { [10_000, 200_000][world.rng.below(2) as usize] } else { 0 };
                let down = world.down();
                world.pause(2 * down);
            }
            world.loss_ppm = 0;
            world.recover();
            world.quiet().map_err(|what| world.failure(seed, what))?;
            if world.lossy {
                world.client.iter_mut().for_each(|c| *c = None);
            }
        }
        Ok(Played { adverts: world.adverts, deaths: world.deaths, lasted: world.now.since(Time::ZERO) })
    }

    /// Some master-down intervals without a fault, and a look at the invariants.
    pub(crate) fn quiet(&mut self) -> Result<(), String> {
        let quiet = self.down() * 5 + Duration::from_secs(3);
        let before = self.adverts;
        self.run(quiet);
        let per_interval = quiet.as_nanos() / self.interval().as_nanos() + 20;
        let most = per_interval as u64 * 4 * self.nodes.len() as u64 * self.instances as u64 * self.nodes.len() as u64;
        self.check()?;
        match self.adverts - before {
            n if n > most => Err(format!("S8: {n} adverts in {quiet:?}")),
            _ => Ok(()),
        }
    }

    pub(crate) fn failure(&self, seed: u64, what: String) -> Box<Failure> {
        let mut lines: Vec<_> = self.trace.iter().flatten().collect();
        lines.sort();
        let trace = lines.iter().map(|(_, l)| l.as_str()).collect::<Vec<_>>().join("\n");
        Box::new(Failure { seed, what: format!("{} {what}", self.now), trace })
    }
}
