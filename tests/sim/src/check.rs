//! What must hold. S1 to S8 are those of the README.

use crate::World;
use crate::make::host;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::State;

impl World {
    /// The invariants, in a network that was quiet for long enough.
    pub(crate) fn check(&self) -> Result<(), String> {
        if let Some(what) = &self.broken {
            return Err(what.clone());
        }
        self.check_kernels()?;
        let alive = |n: &usize| self.nodes[*n].router().is_some() && self.nodes[*n].runs();
        for side in [0, 1] {
            let alive: Vec<usize> = (0..self.nodes.len()).filter(|n| self.side[*n] == side).filter(alive).collect();
            for i in 0..self.instances {
                self.check_election(i, side, &alive)?;
            }
            for n in &alive {
                let well = self.nodes[*n].links[..self.instances].iter().all(|l| *l) && self.nodes[*n].script_ok;
                for i in 0..self.instances {
                    if well && self.state(*n, i) == Some(State::Fault) {
                        return Err(format!("node {n} has no fault, but V{i} stays in FAULT"));
                    }
                }
                let states: Vec<_> = (0..self.instances).filter_map(|i| self.state(*n, i)).collect();
                let grouped = self.nodes[*n].file.groups.iter().any(|g| g.members.len() > 1);
                if grouped && states.windows(2).any(|w| w[0] != w[1]) {
                    return Err(format!("S4: members of the group on node {n} are {states:?}"));
                }
            }
        }
        Ok(())
    }

    /// Nothing is left behind, nothing is missing.
    fn check_kernels(&self) -> Result<(), String> {
        for (n, node) in self.nodes.iter().enumerate() {
            let there = node.kernel.words();
            if node.router().is_some() && node.runs() {
                let wanted = node.wanted();
                if there != wanted {
                    return Err(format!("node {n} holds {wanted:?}, its kernel has {there:?}"));
                }
                // A successor would be told just this.
                let (kept, states) = node.kept();
                if node.parent.is_some() && kept != wanted {
                    return Err(format!("node {n} holds {wanted:?}, its parent keeps {kept:?}"));
                }
                let now = || (0..self.instances).filter_map(|i| self.state(n, i));
                if node.parent.is_some() && !now().eq(states.iter().copied()) {
                    return Err(format!("node {n} is {:?}, its parent keeps {states:?}", now().collect::<Vec<_>>()));
                }
            } else if node.parent.is_none() && node.child.is_none() && !there.is_empty() {
                return Err(format!("the daemon of node {n} has ended and left {there:?}"));
            } else if node.parent.is_some() {
                return Err(format!("node {n} has no child that answers"));
            }
        }
        Ok(())
    }

    fn check_election(&self, i: usize, side: u8, alive: &[usize]) -> Result<(), String> {
        let takes_part = |n: &usize| matches!(self.state(*n, i), Some(State::Backup | State::Master));
        let able: Vec<usize> = alive.iter().copied().filter(takes_part).collect();
        // A machine without a daemon is not on the network when its link is cut; others hold nothing, see above.
        let live: Vec<usize> = self.holders(i, side).into_iter().filter(|n| alive.contains(n)).collect();
        if live.len() > 1 {
            return Err(format!("S2: V{i} is held by {live:?} on side {side}"));
        }
        if !able.is_empty() && live.is_empty() {
            return Err(format!("S1: nobody holds V{i} on side {side}, able are {able:?}"));
        }
        for n in &live {
            if self.state(*n, i) != Some(State::Master) {
                return Err(format!("S3: node {n} holds V{i} in state {:?}", self.state(*n, i)));
            }
        }
        for n in &able {
            if self.state(*n, i) == Some(State::Master) && !live.contains(n) {
                return Err(format!("S1: node {n} is master of V{i} without its address"));
            }
        }
        let preempts = self.nodes[0].file.instances.first().is_some_and(|c| c.preempt);
        let rank = |n: usize| self.view(n, i).map(|v| v.1);
        if let (true, Some(holder)) = (preempts, live.first()) {
            let best = able.iter().filter_map(|n| rank(*n)).max();
            // A group waits for the member that is weakest; its priorities are the same for all members here.
            if rank(*holder) < best {
                return Err(format!("S1: node {holder} ({:?}) holds V{i}, the election names {best:?}", rank(*holder)));
            }
        }
        // The winner learns of contention by one advert of the loser. If just that one is lost, clients wait until their entries run
        // out; so this is looked at after rounds without loss.
        if side == 0
            && !self.lossy
            && let Some(holder) = live.first()
            && self.client[i].is_some_and(|n| n != *holder)
        {
            return Err(format!("the client asks {:?} for V{i}, held by {holder}", self.client[i]));
        }
        Ok(())
    }

    /// S5: node `n` sends an advert as master. Who lost to it has given the address up by its second one, unless something went wrong
    /// in between.
    pub(crate) fn look_at_losers(&mut self, n: usize, i: usize) {
        let Some(reign) = self.reigns.get(&(n, i)) else { return };
        let since = (*reign).max(self.disturbed);
        if self.lossy || self.deaf.is_some() || self.now.since(since) < self.interval() + Duration::from_millis(2) {
            return;
        }
        let rank = |n: usize| -> Option<(u8, IpAddr)> { Some((self.view(n, i)?.1, host(self.family, n))) };
        let loser = self.holders(i, self.side[n]).into_iter().find(|m| {
            let up = |n: usize| self.nodes[n].links[i] && self.nodes[n].runs();
            *m != n && up(*m) && up(n) && rank(*m) < rank(n) && rank(*m).is_some()
        });
        if let Some(m) = loser {
            self.broken =
                Some(format!("S5: {} node {m} still holds V{i}, which node {n} has advertised twice", self.now));
        }
    }
}
