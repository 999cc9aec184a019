//! Reload: a new configuration is compared with the running one, and only what differs is touched.

use crate::instance::{After, Instance, Mode};
use crate::keys::{Key as Timer, Which};
use crate::machine::{Delay, Standing};
use crate::router::{Life, Router};
use crate::script::Script;
use crate::{Config, InstanceConfig, Kill, Notice, Output, ProcessConfig, ScriptConfig, Tracked};
use log::Level;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::{Key, Object};
use steadfast_core::{Family, Name, State, Time};

/// What makes an instance of the new configuration the same as one of the old.
type Identity = (u8, Family, Name, Option<IpAddr>);

fn identity(c: &InstanceConfig) -> Identity {
    (c.vrid, c.family, c.interface.clone(), c.unicast.as_ref().and(c.source))
}

/// By what those of one identity are told apart, the surest first.
const SAME: [fn(&InstanceConfig, &InstanceConfig) -> bool; 3] =
    [|a, b| a.name == b.name, |a, b| a.addresses == b.addresses && a.excluded == b.excluded, |_, _| true];

/// A virtual link that a reload asks for is up by then.
const MAKING: Duration = Duration::from_secs(1);

impl Router {
    /// Takes over a new configuration. Instances that are the same keep state and timers untouched; those that differ are
    /// changed in place; those that are gone say priority 0 and let go; new ones start.
    pub fn reload(&mut self, now: Time, config: Config, out: &mut Vec<Output>) {
        if matches!(self.life, Life::Stopping { .. } | Life::Stopped) {
            return;
        }
        self.adopt_settings(&config);
        let mut old: HashMap<Identity, Vec<u32>> = HashMap::new();
        // those that still hand over after their removal are among them: they may be wanted again
        for (i, x) in self.slots.iter().enumerate() {
            if let Some(x) = x {
                old.entry(identity(&x.config)).or_default().push(i as u32);
            }
        }
        // trackers first: what instances are compared against must be the new world
        self.define_scripts(&config.scripts, &HashMap::new(), now, out);
        self.trackers.define_files(&config.files);
        let bad = self.define_processes(&config.processes);
        let tracked: HashSet<&Tracked> = config.instances.iter().flat_map(|i| &i.tracks).map(|t| &t.what).collect();
        self.trackers.services.retain(|name, _| tracked.contains(&Tracked::Service(name.clone())));
        self.trackers.sessions.retain(|name, _| tracked.contains(&Tracked::Session(name.clone())));
        drop(tracked);
        let mut order = Vec::with_capacity(config.instances.len());
        let wall = self.wall;
        let mut changed = Vec::new();
        let mut added = Vec::new();
        let former = self.former(&mut old, &config.instances);
        for (c, same) in config.instances.into_iter().zip(former) {
            match same {
                Some(i) => {
                    order.push(i);
                    if let Some(x) = self.slot_mut(i) {
                        x.adjusted = (None, None);
                    }
                    if let Some(x) = self.slot_mut(i)
                        && x.mode == Mode::Releasing(After::Delete)
                    {
                        x.mode = Mode::Releasing(After::Evaluate);
                    }
                    if let Some(x) = self.slot_mut(i)
                        && x.config != c
                    {
                        if !crate::auth::same_kind(&x.config, &c) {
                            x.guard = crate::auth::Memory::new(wall, now, &c);
                        }
                        // The next advert tells whether they differ from these.
                        x.mismatches.clear();
                        let before = std::mem::replace(&mut x.config, c);
                        changed.push((i, before));
                    }
                }
                None => added.push((order.len(), c)),
            }
        }
        let mut gone: Vec<u32> = old.into_values().flatten().collect();
        gone.sort_unstable();
        for (n, (at, c)) in added.into_iter().enumerate() {
            let i = self.free_slot();
            let mut fresh = Instance::new(c, now);
            fresh.guard = crate::auth::Memory::new(self.wall, now, &fresh.config);
            if let Some(slot) = self.slots.get_mut(i as usize) {
                *slot = Some(fresh);
            }
            order.insert(at + n, i);
        }
        self.order = order;
        let gone_groups: Vec<String> = self
            .groups
            .iter()
            .map(|g| g.config.name.clone())
            .filter(|name| !config.groups.iter().any(|g| g.name == *name))
            .collect();
        self.define_groups(&config.groups);
        self.reindex();
        bad.iter().for_each(|name| self.say_quorum(name, false, out));
        for (i, before) in changed.iter().filter(|(i, before)| self.name(*i) != before.name.as_str()) {
            out.push(Output::Renamed(before.name.to_string(), self.name(*i).to_string()));
        }
        // what is new is held before anything old is let go: an address that moves between two owners never leaves the kernel
        let old_statics = self.hold_statics(&config.statics, out);
        self.wait_for_links(now + MAKING);
        for (i, before) in &changed {
            self.hold_fresh(*i, before, now, out);
        }
        self.find_rivals();
        for (i, before) in &changed {
            self.change(*i, before, now, out);
        }
        for i in gone {
            self.remove(i, now, out);
        }
        self.refresh_index();
        for name in gone_groups {
            out.push(Output::Group { name, notice: Notice::Deleted });
        }
        self.drop_statics(&old_statics, out);
        self.evaluate_all(now, out);
        // Members that the reload brought together: a master gives way beside a backup that hears a living master. One that hears
        // nobody takes over itself, and nothing need be let go.
        let mixed = |g: &crate::group::Group| {
            let any = |f: &dyn Fn(&Instance) -> bool| g.members.iter().filter_map(|m| self.slot(*m)).any(f);
            let backup = |x: &Instance| x.state == State::Backup && x.master.is_some() && !x.releasing();
            let lone = g.members.iter().copied().find(|m| self.slot(*m).is_some_and(backup));
            lone.filter(|_| any(&|x| x.leads() && !x.releasing()))
        };
        let stragglers: Vec<u32> = self.groups.iter().filter_map(mixed).collect();
        for m in stragglers {
            self.group_follows_to_backup(m, "it hears a master", now, out);
        }
        self.arm_reminder(now);
        self.tidy();
    }

    /// Links that are being made and are not up by then are a fault.
    pub(crate) fn wait_for_links(&mut self, until: Time) {
        let wants = |x: &Instance| x.config.virtual_link.is_some() || !x.config.address_links.is_empty();
        if self.slots.iter().flatten().any(wants) {
            // A start gives them longer than a reload right after it.
            let until = self.timers.get(Timer::Making).map_or(until, |at| at.max(until));
            self.timers.set(Timer::Making, until);
        }
    }

    /// Which of the `old` each instance of a new configuration is; those are taken out. Unicast instances without a source may have
    /// one identity: then the name tells, or what they serve, and only then their order.
    fn former(&self, old: &mut HashMap<Identity, Vec<u32>>, new: &[InstanceConfig]) -> Vec<Option<u32>> {
        let mut former = vec![None; new.len()];
        for same in SAME {
            for (found, c) in former.iter_mut().zip(new).filter(|(found, _)| found.is_none()) {
                let Some(all) = old.get_mut(&identity(c)) else { continue };
                let at = all.iter().position(|i| self.config_of(*i).is_some_and(|was| same(was, c)));
                *found = at.map(|at| all.remove(at));
            }
        }
        former
    }

    /// A slot that nobody uses.
    fn free_slot(&mut self) -> u32 {
        match self.slots.iter().position(Option::is_none) {
            Some(i) => i as u32,
            None => {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            }
        }
    }

    /// Adds what a changed instance has now and had not before, and announces it.
    fn hold_fresh(&mut self, i: u32, before: &InstanceConfig, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i).filter(|x| x.objects_set) else { return };
        if x.state != State::Master {
            return;
        }
        let repeat = if x.standing() == Standing::Master { x.config.garp.repeat.max(1) } else { 0 };
        let old: Vec<Object> = Instance::objects(before).collect();
        let all: Vec<Object> = Instance::objects(&x.config).collect();
        let fresh = difference(&all, &old);
        let gone = difference(&old, &all);
        let gone = by_key(&gone);
        for object in &fresh {
            let former = object.key().and_then(|k| gone.get(&k).copied());
            let word = if former.is_some() { "changing" } else { "adding" };
            self.log(Level::Info, i, format_args!("{word} {object}"), out);
            self.hold_instead(former, object.clone(), out);
        }
        for _ in 0..(repeat as usize).min(crate::garp::MOST / fresh.len().max(1)) {
            for object in &fresh {
                if let Object::Address(a) = object {
                    self.announce(i, &a.interface, a.cidr.address, now, out);
                }
            }
        }
    }

    /// The rest of the difference of one instance.
    fn change(&mut self, i: u32, before: &InstanceConfig, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        let (mut set, leads, speaks) = (x.objects_set, x.leads(), x.standing() == Standing::Master);
        let after = x.config.clone();
        // What an earlier daemon left serves as it is, or not at all: nothing new comes to a router that is no master.
        if set && x.state != State::Master && !Instance::objects(before).eq(Instance::objects(&after)) {
            self.let_orphans_of(i, before, out);
            set = false;
        }
        if set {
            let new: HashSet<Object> = Instance::objects(&after).collect();
            let keys: HashSet<_> = new.iter().filter_map(Object::key).collect();
            // What has been replaced is not held any more.
            for object in Instance::objects(before).rev().filter(|o| !new.contains(o)) {
                if self.held.contains(&object) {
                    let changes =
                        matches!(object, Object::Address(_)) && object.key().is_some_and(|k| keys.contains(&k));
                    match &object {
                        _ if changes => {}
                        Object::Address(_) => {
                            self.log(Level::Info, i, format_args!("ip {object}, no longer exist"), out);
                        }
                        _ => self.log(Level::Info, i, format_args!("removing {object}"), out),
                    }
                    self.let_go(object, out);
                }
            }
        }
        let on_wire = |c: &InstanceConfig| {
            (
                (c.version, c.also_version_2),
                c.priority,
                c.advert_interval,
                c.addresses.iter().map(|a| a.cidr.address).collect::<Vec<_>>(),
                (c.auth.clone(), c.hmac.clone()),
                c.unicast.clone(),
                c.source,
                c.group,
                (c.checksum_without_pseudo, c.old_checksum),
            )
        };
        if before.advert_interval != after.advert_interval
            || before.version != after.version
            || before.down_timer_adverts != after.down_timer_adverts
        {
            self.retime(i, now);
        }
        if let Some(x) = self.slot_mut(i) {
            if before.preempt_delay != after.preempt_delay
                && (x.delay != Delay::Running || after.preempt_delay.is_zero())
            {
                x.delay =
                    if x.state != State::Backup || after.preempt_delay.is_zero() { Delay::None } else { Delay::Idle };
            }
            x.rearm_logs(now);
        }
        // one that counts may end earlier
        let latest = now + after.preempt_delay;
        if self.timer(i, Which::Delay).is_some_and(|t| t > latest) {
            self.set_timer(i, Which::Delay, latest);
        }
        let assessed = self.slot(i).map(|x| self.trackers.assess(&x.config, x.assessed.source));
        if let (Some(x), Some(assessed)) = (self.slot_mut(i), assessed) {
            let priority = x.priority();
            // where it may not take part any more is decided for all together afterwards
            x.assessed.priority = assessed.priority;
            x.assessed.source = assessed.source.or(x.assessed.source);
            x.assessed.fits = assessed.fits;
            if before.priority != after.priority {
                // what was owned by two may be owned by one now
                x.owner_lowered = false;
                x.owner_heard = None;
            }
            let started = x.state != State::Init;
            self.priority_changed(i, priority, started, out);
        }
        if speaks && on_wire(before) != on_wire(&after) {
            // peers learn of it at once
            self.advertise(i, now, out);
        }
        if leads {
            self.rearm_refresh(i, before, now);
        }
    }

    fn rearm_refresh(&mut self, i: u32, before: &InstanceConfig, now: Time) {
        let extra = self.config_of(i).and_then(|c| c.garp.extra).map(|e| e.0);
        if extra != before.garp.extra.map(|e| e.0) {
            let key = Timer::Instance(i, Which::GarpExtra);
            match extra {
                Some(period) => self.timers.set(key, now + period),
                None => self.timers.cancel(key),
            }
        }
        let Some(refresh) = self.config_of(i).map(|c| c.garp.refresh) else { return };
        if refresh != before.garp.refresh {
            let key = Timer::Instance(i, Which::GarpRefresh);
            if refresh.is_zero() {
                self.timers.cancel(key);
            } else {
                self.timers.set(key, now + refresh);
            }
        }
    }

    /// An instance is in the configuration no more.
    fn remove(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if x.releasing() {
            x.mode = Mode::Releasing(After::Delete);
            return;
        }
        if x.leads() {
            self.leave_master(i, After::Delete, true, now, out);
        } else {
            self.let_orphans_go(i, out);
            self.finish_delete(i, now, out);
        }
    }

    /// Nothing of a removed instance is left but the word of it.
    pub(crate) fn finish_delete(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        self.quiet(i);
        let Some(x) = self.slots.get_mut(i as usize).and_then(Option::take) else { return };
        let notice = if x.config.notify_deleted { Notice::Deleted } else { Notice::Fault };
        out.push(Output::Log(Level::Info, format!("({}) removed", x.config.name)));
        // Where another has the name by now, the word would be taken for one of that.
        if self.named(&x.config.name).is_none_or(|other| other == i) {
            out.push(Output::Instance { name: x.config.name.to_string(), notice, priority: x.priority() });
        }
        self.index_stale = true;
        self.finish_stop(now, out);
    }

    /// Process trackers: a delay that counts goes on for the one that it is for.
    fn define_processes(&mut self, configs: &[ProcessConfig]) -> Vec<String> {
        let mut delays: HashMap<String, Time> = HashMap::new();
        for (n, p) in self.trackers.processes.iter().enumerate() {
            let key = Timer::Process(n as u32);
            delays.extend(self.timers.get(key).map(|at| (p.config.name.clone(), at)));
            self.timers.cancel(key);
        }
        let bad = self.trackers.define_processes(configs);
        for (n, p) in self.trackers.processes.iter().enumerate() {
            if let Some(at) = delays.get(&p.config.name) {
                self.timers.set(Timer::Process(n as u32), *at);
            }
        }
        bad
    }

    /// Scripts: those with the same command keep their history, the others begin anew.
    pub(crate) fn define_scripts(
        &mut self,
        configs: &[ScriptConfig],
        known: &HashMap<&str, bool>,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let mut old: HashMap<String, (u32, Script)> = HashMap::new();
        let first_time = self.life == Life::Settling;
        for (id, script) in std::mem::take(&mut self.trackers.scripts).into_iter().enumerate() {
            old.insert(script.config.name.clone(), (id as u32, script));
        }
        let mut timers = Vec::new();
        let mut kept = Vec::new();
        self.trackers.script_index.clear();
        for config in configs {
            let id = self.trackers.scripts.len() as u32;
            let script = match old.remove(&config.name) {
                Some((before, mut script)) if script.config.command == config.command => {
                    timers.push((before, id, None));
                    if script.config != *config {
                        script.adopt(config.clone());
                    }
                    script
                }
                former => {
                    // What the former command found holds until this one says otherwise: a reload costs no takeover.
                    let verdict = former.as_ref().and_then(|(_, s)| s.verdict());
                    let verdict = verdict.or(known.get(config.name.as_str()).copied());
                    let mut script = Script::new(config.clone(), verdict);
                    let mut limit = None;
                    if former.is_some_and(|(_, s)| s.running()) {
                        out.push(Output::KillScript(config.name.clone(), Kill::Unwanted));
                        limit = Some(now + script.wait_for_former());
                    }
                    timers.push((u32::MAX, id, limit));
                    script
                }
            };
            if let Some(good) = script.verdict().filter(|_| !first_time) {
                let word = if good { "successful" } else { "failed" };
                kept.push(format!("VRRP_Script({}) considered {word} on reload", config.name));
            }
            self.trackers.script_index.insert(config.name.clone(), id);
            self.trackers.scripts.push(script);
        }
        let mut gone: Vec<(u32, Script)> = old.into_values().collect();
        gone.sort_by_key(|(id, _)| *id);
        for (_, script) in &gone {
            if script.running() {
                out.push(Output::KillScript(script.config.name.clone(), Kill::Unwanted));
            }
        }
        // timers follow their scripts to the new numbers
        let all: Vec<(Option<Time>, Option<Time>)> = timers
            .iter()
            .map(|(before, _, _)| {
                (self.timers.get(Timer::ScriptRun(*before)), self.timers.get(Timer::ScriptLimit(*before)))
            })
            .collect();
        for id in 0..(timers.len() + gone.len()) as u32 {
            self.timers.cancel(Timer::ScriptRun(id));
            self.timers.cancel(Timer::ScriptLimit(id));
        }
        // many scripts at once would be a storm of processes
        let crowd = configs.len() > 16;
        for ((_, id, fresh_limit), (run, limit)) in timers.iter().zip(all) {
            let spread = if crowd { Duration::from_micros(self.rng.below(500_000)) } else { Duration::ZERO };
            let interval = self.trackers.scripts.get(*id as usize).map_or(Duration::ZERO, Script::interval);
            self.timers.set(Timer::ScriptRun(*id), run.map_or(now + spread, |t| t.min(now + interval)));
            if let Some(at) = fresh_limit.or(limit) {
                self.timers.set(Timer::ScriptLimit(*id), at);
            }
        }
        if !first_time {
            out.extend(kept.into_iter().map(|text| Output::Log(Level::Info, text)));
        }
    }

    /// Addresses, routes and rules that are there while the daemon runs: adds the new ones, returns those that went.
    pub(crate) fn hold_statics(&mut self, statics: &[Object], out: &mut Vec<Output>) -> Vec<Object> {
        let old = std::mem::replace(&mut self.statics, statics.to_vec());
        let gone = difference(&old, statics);
        let places = by_key(&gone);
        for object in difference(statics, &old) {
            let former = object.key().and_then(|k| places.get(&k).copied());
            self.hold_instead(former, object, out);
        }
        gone
    }

    fn drop_statics(&mut self, gone: &[Object], out: &mut Vec<Output>) {
        for object in gone.iter().rev() {
            self.let_go(object.clone(), out);
        }
    }
}

/// Those of the one that the other has not.
fn difference(of: &[Object], without: &[Object]) -> Vec<Object> {
    let without: HashSet<&Object> = without.iter().collect();
    of.iter().filter(|o| !without.contains(o)).cloned().collect()
}

/// What the kernel knows these by.
fn by_key(objects: &[Object]) -> HashMap<Key<'_>, &Object> {
    objects.iter().filter_map(|o| Some((o.key()?, o))).collect()
}

#[cfg(test)]
mod tests;
