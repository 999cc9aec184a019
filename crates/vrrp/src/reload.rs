//! A new configuration while running: what is the same stays untouched, timers and addresses included.

use crate::instance::Instance;
use crate::router::{Router, Timer};
use crate::script::Script;
use crate::track::Counted;
use crate::{Config, InstanceConfig, Notice, Output};
use log::Level;
use std::collections::HashSet;
use std::net::IpAddr;
use steadfast_core::kernel::Object;
use steadfast_core::{Family, State, Time, Timers};

/// What makes an instance the same across a reload.
#[derive(PartialEq, Eq, Hash)]
struct Identity<'a>(u8, Family, &'a str, Option<(Option<IpAddr>, Vec<IpAddr>)>);

fn identity(c: &InstanceConfig) -> Identity<'_> {
    let unicast = c.unicast.as_ref().map(|u| (c.source, u.peers.iter().map(|p| p.address).collect()));
    Identity(c.vrid, c.family, &c.interface, unicast)
}

impl Router {
    /// Replaces the configuration.
    pub fn reload(&mut self, now: Time, config: Config, out: &mut Vec<Output>) {
        if self.stopping.is_some() {
            return;
        }
        let old_timers = std::mem::replace(&mut self.timers, Timers::new());
        let old_config = std::mem::replace(&mut self.config, config);
        let old_instances = std::mem::take(&mut self.instances);
        self.announcer.set_pace(self.config.garp_interval, self.config.gna_interval);
        self.reload_trackers(now, &old_config, &old_timers);
        self.reload_statics(&old_config, out);
        if let Some(at) = old_timers.get(Timer::Start) {
            self.timers.set(Timer::Start, at);
        }
        self.timers.set(Timer::Pace, now);

        let mut left: Vec<Option<(usize, Instance)>> = old_instances.into_iter().enumerate().map(Some).collect();
        let mut fresh = Vec::new();
        for (n, c) in self.config.instances.clone().into_iter().enumerate() {
            // The unicast peers may change; then the plain identity still says which instance is meant.
            let exact = left.iter().position(|o| o.as_ref().is_some_and(|(_, o)| identity(&o.config) == identity(&c)));
            let found = exact.or_else(|| {
                left.iter().position(|o| {
                    o.as_ref().is_some_and(|(_, o)| {
                        let p = &o.config;
                        (p.vrid, p.family, &p.interface, &p.name) == (c.vrid, c.family, &c.interface, &c.name)
                    })
                })
            });
            match found.and_then(|at| left.get_mut(at)).and_then(Option::take) {
                Some((was, instance)) => {
                    for timer in [
                        Timer::Main,
                        Timer::Fast,
                        Timer::Release,
                        Timer::GarpDelay,
                        Timer::GarpRefresh,
                        Timer::GarpLower,
                        Timer::Repair,
                    ] {
                        if let Some(at) = old_timers.get(timer(was)) {
                            self.timers.set(timer(n), at);
                        }
                    }
                    self.instances.push(instance);
                    self.reload_instance(now, n, c, out);
                }
                None => {
                    self.instances.push(Instance::new(c, now));
                    fresh.push(n);
                }
            }
        }
        for (_, gone) in left.into_iter().flatten() {
            removed(gone, out);
        }
        self.bind_groups();
        self.bind_links();
        self.tracked_changed(now, out);
    }

    fn reload_trackers(&mut self, now: Time, old: &Config, old_timers: &Timers<Timer>) {
        let mut scripts: Vec<Script> = Vec::new();
        for (i, c) in self.config.scripts.iter().enumerate() {
            let known = self.script_index.get(&c.name).copied();
            let script = match known.and_then(|k| self.scripts.get(k)).filter(|s| s.config.command == c.command) {
                Some(s) => {
                    let mut s = s.clone();
                    s.carry_over(c.clone());
                    s.due = s.due.min(now + c.interval);
                    s
                }
                None => Script::new(c.clone(), now),
            };
            self.timers.set(Timer::Script(i), script.due);
            if let Some(at) = known.and_then(|k| old_timers.get(Timer::ScriptLimit(k))) {
                self.timers.set(Timer::ScriptLimit(i), at);
            }
            scripts.push(script);
        }
        self.scripts = scripts;
        self.script_index = self.config.scripts.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect();
        let files = std::mem::take(&mut self.files);
        self.files =
            self.config.files.iter().map(|f| (f.name.clone(), files.get(&f.name).copied().unwrap_or(0))).collect();
        let mut processes = std::mem::take(&mut self.processes);
        for (i, c) in self.config.processes.iter().enumerate() {
            let mut counted = processes.remove(&c.name).unwrap_or_else(|| Counted::new(c.clone()));
            counted.config = c.clone();
            self.processes.insert(c.name.clone(), counted);
            if let Some(at) =
                old.processes.iter().position(|p| p.name == c.name).and_then(|k| old_timers.get(Timer::Process(k)))
            {
                self.timers.set(Timer::Process(i), at);
            }
        }
    }

    fn reload_statics(&self, old: &Config, out: &mut Vec<Output>) {
        let (before, after): (HashSet<&Object>, HashSet<&Object>) =
            (old.statics.iter().collect(), self.config.statics.iter().collect());
        out.extend(old.statics.iter().rev().filter(|o| !after.contains(o)).cloned().map(Output::Remove));
        out.extend(self.config.statics.iter().filter(|o| !before.contains(o)).cloned().map(Output::Add));
    }

    /// An instance that stays: objects change by their difference, everything else takes effect with its next use.
    fn reload_instance(&mut self, now: Time, n: usize, config: InstanceConfig, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        if i.config == config {
            return;
        }
        let before: Vec<Object> = i.objects().collect();
        let interval_changed = i.config.advert_interval != config.advert_interval;
        let (owner_before, owner) = (i.config.priority == 255, config.priority == 255);
        i.reconfigure(config);
        let after: Vec<Object> = i.objects().collect();
        let (master, set, state) = (i.state == State::Master, i.objects_set, i.state);
        if set {
            let keep: HashSet<&Object> = after.iter().collect();
            let had: HashSet<&Object> = before.iter().collect();
            out.extend(before.iter().rev().filter(|o| !keep.contains(o)).cloned().map(Output::Remove));
            out.extend(after.iter().filter(|o| !had.contains(o)).cloned().map(Output::Add));
        }
        if master && set && before != after {
            // Peers learn the new list at once, clients the new addresses.
            let priority = self.instances.get(n).map_or(0, |i| i.priority);
            self.send(now, n, priority, out);
            self.announce_mastership(now, n, out);
        }
        if interval_changed || owner != owner_before {
            match state {
                State::Master => {
                    let interval = self.instances.get(n).map(|i| i.config.advert_interval).unwrap_or_default();
                    self.timers.set(Timer::Main(n), now + interval);
                }
                State::Backup => self.arm_master_down(now, n),
                _ => {}
            }
        }
    }
}

/// An instance that the new configuration does not have.
fn removed(gone: Instance, out: &mut Vec<Output>) {
    let name = gone.config.name.clone();
    if gone.state == State::Master {
        out.push(Output::Log(Level::Info, format!("({name}) sent 0 priority")));
        out.extend(gone.adverts(0).into_iter().map(Output::Send));
    }
    if gone.objects_set {
        out.extend(gone.objects().rev().map(Output::Remove));
    }
    out.push(Output::Log(Level::Info, format!("({name}) removed by reload")));
    let notice = if gone.config.notify_deleted { Notice::Deleted } else { Notice::Fault };
    out.push(Output::Instance { name, notice, priority: gone.priority });
}
