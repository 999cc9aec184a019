//! Sync groups: instances that are master together or not at all.

use crate::instance::{After, Instance};
use crate::router::Router;
use crate::{GroupConfig, Notice, Output};
use log::Level;
use std::collections::HashMap;
use steadfast_core::{Name, State, Time};

/// One sync group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub config: GroupConfig,
    /// Slots of its members.
    pub members: Vec<u32>,
    /// State that was last told.
    pub state: State,
}

impl Instance {
    /// Would become master if the rest of its group did: it is one, its timer ran out, its master gave up or is lower than
    /// it is now, or, where a member's master said priority 0 at `given_up`, its own has not been heard since. The last is
    /// what hands the member over whose link was cut: it would otherwise hold the others back for its whole timer.
    fn ready(&self, given_up: Option<Time>) -> bool {
        match self.state {
            State::Master => !self.releasing(),
            State::Backup => {
                self.wants
                    || self.fast.is_some()
                    || self.zero_heard.is_some()
                    || given_up.is_some_and(|t| self.last_heard.is_none_or(|h| h < t))
                    || (self.takes_over_early()
                        && self.preempts()
                        && !matches!(self.delay, crate::machine::Delay::Idle | crate::machine::Delay::Running)
                        && self.master.is_some_and(|(_, p)| p < self.priority()))
            }
            State::Init | State::Fault => false,
        }
    }
}

impl Router {
    /// Slots of an instance's group, or the instance alone.
    pub(crate) fn members_with(&self, i: u32) -> Vec<u32> {
        match self.slot(i).and_then(|x| x.group).and_then(|g| self.groups.get(g as usize)) {
            Some(g) => g.members.clone(),
            None => vec![i],
        }
    }

    fn group_of(&self, i: u32) -> Option<&Group> {
        self.slot(i).and_then(|x| x.group).and_then(|g| self.groups.get(g as usize))
    }

    pub(crate) fn log_group(&self, i: u32, state: &str, out: &mut Vec<Output>) {
        if let Some(g) = self.group_of(i) {
            let text = format!("VRRP_Group({}) Syncing instances to {state} state", g.config.name);
            out.push(Output::Log(Level::Info, text));
        }
    }

    /// Builds the groups from the configuration, keeping the state of those that stay.
    pub(crate) fn define_groups(&mut self, configs: &[GroupConfig]) {
        let old = std::mem::take(&mut self.groups);
        for x in self.slots.iter_mut().flatten() {
            x.group = None;
        }
        // A search for each member would take square time.
        let named = |i: &u32| self.slot(*i).map(|x| (x.config.name.clone(), *i));
        let slots: HashMap<Name, u32> = self.order.iter().rev().filter_map(named).collect();
        for config in configs {
            let members: Vec<u32> = config
                .members
                .iter()
                .filter_map(|m| slots.get(m.as_str()).copied())
                .filter(|i| self.slot(*i).is_some_and(|x| x.group.is_none()))
                .collect();
            let g = self.groups.len() as u32;
            for m in &members {
                if let Some(x) = self.slot_mut(*m) {
                    x.group = Some(g);
                }
            }
            let state = old.iter().find(|o| o.config.name == config.name).map_or(State::Init, |o| o.state);
            self.groups.push(Group { config: config.clone(), members, state });
        }
    }

    /// At start the group speaks before its members.
    pub(crate) fn group_starts_backup(&mut self, members: &[u32], tell: bool, out: &mut Vec<Output>) {
        let Some(g) = members.first().and_then(|m| self.slot(*m)).and_then(|x| x.group) else { return };
        if let Some(group) = self.groups.get_mut(g as usize) {
            group.state = State::Backup;
            if tell {
                out.push(Output::Group { name: group.config.name.clone(), notice: Notice::Backup });
            }
        }
    }

    /// All members were in this state in a former process, which told it.
    pub(crate) fn group_resumes(&mut self, members: &[u32], state: State) {
        let Some(g) = members.first().and_then(|m| self.slot(*m)).and_then(|x| x.group) else { return };
        if let Some(group) = self.groups.get_mut(g as usize) {
            group.state = state;
        }
    }

    /// Tells the state of the group once all members have arrived in it.
    pub(crate) fn settle_group_of(&mut self, i: u32, out: &mut Vec<Output>) {
        let Some(g) = self.group_of(i) else { return };
        let mut members = g.members.iter().filter_map(|m| self.slot(*m));
        let Some(first) = members.next().map(|x| x.state) else { return };
        if members.any(|x| x.state != first) || g.members.iter().filter_map(|m| self.slot(*m)).any(Instance::releasing)
        {
            return;
        }
        let notice = match first {
            State::Master => Notice::Master,
            State::Backup => Notice::Backup,
            State::Fault => Notice::Fault,
            State::Init => return,
        };
        let Some(g) = self.slot(i).and_then(|x| x.group) else { return };
        if let Some(group) = self.groups.get_mut(g as usize)
            && group.state != first
        {
            group.state = first;
            out.push(Output::Group { name: group.config.name.clone(), notice });
        }
    }

    /// May this member, whose timer ran out, become master?
    pub(crate) fn group_ready(&self, i: u32) -> bool {
        let Some(g) = self.group_of(i) else { return true };
        let given_up = self.slot(i).and_then(|x| x.zero_heard);
        g.members.iter().filter(|m| **m != i).filter_map(|m| self.slot(*m)).all(|x| x.ready(given_up))
    }

    /// All members in one step.
    pub(crate) fn group_to_master(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let members = self.members_with(i);
        if members.len() > 1 {
            self.log_group(i, "MASTER", out);
        }
        for m in members {
            if self.slot(m).is_some_and(|x| x.state == State::Backup) {
                self.become_master(m, now, out);
            }
        }
        self.settle_group_of(i, out);
    }

    /// A member went to Backup for this cause: the others say priority 0 and hand over.
    pub(crate) fn group_follows_to_backup(&mut self, i: u32, cause: &str, now: Time, out: &mut Vec<Output>) {
        let others: Vec<u32> = self
            .members_with(i)
            .into_iter()
            .filter(|m| *m != i && self.slot(*m).is_some_and(Instance::leads))
            .collect();
        if others.is_empty() {
            return;
        }
        self.log_group(i, "BACKUP", out);
        self.others_because(i, cause, Instance::leads);
        for m in others {
            self.leave_master(m, After::Evaluate, true, now, out);
        }
    }
}

#[cfg(test)]
mod tests;
