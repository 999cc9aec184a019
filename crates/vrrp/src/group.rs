//! Sync groups: members are master together or not at all.

use crate::router::{Router, Timer};
use crate::{GroupConfig, Notice, Output};
use log::Level;
use std::collections::HashMap;
use steadfast_core::{State, Time};

/// One group.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub config: GroupConfig,
    pub members: Vec<usize>,
    pub state: State,
}

impl Router {
    /// Builds the groups from the configuration; known states are kept by name.
    pub(crate) fn bind_groups(&mut self) {
        let known: HashMap<String, State> = self.groups.iter().map(|g| (g.config.name.clone(), g.state)).collect();
        let index: HashMap<&str, usize> =
            self.config.instances.iter().enumerate().map(|(n, i)| (i.name.as_str(), n)).collect();
        self.groups = self
            .config
            .groups
            .iter()
            .map(|c| Group {
                members: c.members.iter().filter_map(|m| index.get(m.as_str()).copied()).collect(),
                state: known.get(&c.name).copied().unwrap_or_default(),
                config: c.clone(),
            })
            .collect();
        for i in &mut self.instances {
            i.group = None;
        }
        for (g, group) in self.groups.iter().enumerate() {
            for m in &group.members {
                if let Some(i) = self.instances.get_mut(*m) {
                    i.group = Some(g);
                }
            }
        }
    }

    /// Notes a group's state; the notice to send when it has changed. A group that only leaves Init for Init says nothing.
    pub(crate) fn set_group_state(&mut self, g: usize, state: State) -> Option<Output> {
        let group = self.groups.get_mut(g)?;
        if std::mem::replace(&mut group.state, state) == state {
            return None;
        }
        let notice = match state {
            State::Init => return None,
            State::Backup => Notice::Backup,
            State::Master => Notice::Master,
            State::Fault => Notice::Fault,
        };
        Some(Output::Group { name: group.config.name.clone(), notice })
    }

    fn update_group(&mut self, g: usize, out: &mut Vec<Output>) {
        let Some(members) = self.groups.get(g).map(|g| g.members.clone()) else { return };
        let state = self.unit_state(&members);
        out.extend(self.set_group_state(g, state));
    }

    fn log_sync(&self, g: usize, state: State, out: &mut Vec<Output>) {
        if let Some(group) = self.groups.get(g) {
            out.push(Output::Log(
                Level::Info,
                format!("VRRP_Group({}) Syncing instances to {state} state", group.config.name),
            ));
        }
    }

    /// A member's timer has fired: all become master when all want to.
    pub(crate) fn group_fired(&mut self, now: Time, n: usize, g: usize, out: &mut Vec<Output>) {
        let Some(members) = self.groups.get(g).map(|g| g.members.clone()) else { return };
        let ready = members.iter().all(|m| {
            self.instances
                .get(*m)
                .is_some_and(|i| i.state == State::Master || (i.state == State::Backup && i.wants_master))
        });
        if !ready {
            self.arm_master_down(now, n);
            return;
        }
        self.log_sync(g, State::Master, out);
        for m in members {
            if self.instances.get(m).is_some_and(|i| i.state != State::Master) {
                self.become_master(now, m, out);
            }
        }
        self.update_group(g, out);
    }

    /// A member has gone to backup: the others follow.
    pub(crate) fn group_stepped_down(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        let Some(g) = self.instances.get(n).and_then(|i| i.group) else { return };
        let Some(members) = self.groups.get(g).map(|g| g.members.clone()) else { return };
        if members.len() > 1 {
            self.log_sync(g, State::Backup, out);
        }
        for m in members {
            if m == n {
                continue;
            }
            let Some(i) = self.instances.get_mut(m) else { continue };
            i.wants_master = false;
            if i.state == State::Master {
                self.follow_to_backup(now, m, out);
            }
        }
        self.update_group(g, out);
    }

    /// The master of one member gives up: it gives all members up, also those on a link that is cut and cannot say so.
    pub(crate) fn group_master_leaves(&mut self, now: Time, n: usize) {
        let Some(g) = self.instances.get(n).and_then(|i| i.group) else { return };
        let Some(members) = self.groups.get(g).map(|g| g.members.clone()) else { return };
        for m in members {
            let Some(i) = self.instances.get(m).filter(|i| m != n && i.state == State::Backup) else { continue };
            let soon = now + i.skew();
            if self.timers.get(Timer::Main(m)).is_none_or(|at| at > soon) {
                self.timers.set(Timer::Main(m), soon);
            }
        }
    }
}
