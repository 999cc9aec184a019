//! What the machine tells of itself: to who carries out what it says, to a successor, and to people.

use crate::instance::Instance;
use crate::keys::{Key, Which};
use crate::machine::Delay;
use crate::router::{NAMED, Router};
use crate::{Auth, InstanceConfig, Listen, ProcessConfig, Snapshot, Tracked, View};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use steadfast_core::kernel::Object;
use steadfast_core::{Family, State, Time};

impl Router {
    /// A master has not been heard when it was due.
    pub fn expects_takeover(&self, now: Time) -> bool {
        self.instances().any(|x| {
            let interval = x.timing_interval();
            x.state == State::Backup && x.last_heard.is_some_and(|heard| now.since(heard) > interval + interval / 4)
        })
    }

    /// Sockets that are needed.
    pub fn listening(&self) -> Vec<Listen> {
        let mut all: Vec<Listen> = Vec::new();
        let mut index: HashMap<(&str, Family, bool), usize> = HashMap::new();
        for instance in self.slots.iter().flatten() {
            let c = &instance.config;
            // who authenticates by a header hears plain adverts too, to say that they are refused
            for ah in [false, true].into_iter().take(1 + usize::from(matches!(c.auth, Auth::Ah(_)))) {
                let at = *index.entry((c.link(), c.family, ah)).or_insert_with(|| {
                    all.push(Listen {
                        interface: c.link().to_owned(),
                        family: c.family,
                        ah,
                        groups: Vec::new(),
                        vrids: Vec::new(),
                    });
                    all.len() - 1
                });
                if let Some(listen) = all.get_mut(at) {
                    if c.unicast.is_none() && !listen.groups.contains(&c.group) {
                        listen.groups.push(c.group);
                    }
                    listen.vrids.push(c.vrid);
                }
            }
        }
        for listen in &mut all {
            listen.vrids.sort_unstable();
            listen.vrids.dedup();
        }
        all
    }

    /// What a successor process needs to go on.
    pub fn snapshots(&self) -> impl Iterator<Item = Snapshot> + '_ {
        self.numbered().map(|(i, x)| Snapshot {
            preempts: self.preempts(i, x),
            base: x.config.priority,
            name: x.config.name.to_string(),
            state: told_state(x),
            master_interval: u64::try_from(x.master_interval.as_nanos()).unwrap_or(u64::MAX),
            master: x.master.map(|(a, _)| a),
            master_priority: x.master.map_or(0, |(_, p)| p),
            mastership: (x.counters.become_master, x.counters.release_master),
            stamps: x.guard.stamps(),
            old_checksum: x.old_checksum,
            scripts: (x.config.tracks.iter())
                .filter_map(|t| {
                    let Tracked::Script(name) = &t.what else { return None };
                    let i = *self.trackers.script_index.get(name)?;
                    Some((name.clone(), self.trackers.scripts.get(i as usize)?.verdict()?))
                })
                .collect(),
            sessions: (x.config.tracks.iter())
                .filter_map(|t| {
                    let Tracked::Session(name) = &t.what else { return None };
                    Some((name.clone(), *self.trackers.sessions.get(name)?))
                })
                .collect(),
            services: (x.config.tracks.iter())
                .filter_map(|t| {
                    let Tracked::Service(name) = &t.what else { return None };
                    Some((name.clone(), *self.trackers.services.get(name)?))
                })
                .collect(),
        })
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, &Instance)> {
        self.order.iter().filter_map(|i| Some((*i, self.slot(*i)?)))
    }

    fn preempts(&self, i: u32, x: &Instance) -> u64 {
        match x.delay {
            Delay::None | Delay::Idle => 0,
            Delay::Running => self.timer(i, Which::Delay).map_or(0, Time::as_nanos),
            // Any moment that has passed.
            Delay::Over => 1,
        }
    }

    /// A digest of what [`Router::snapshots`] tells: while it is the same nothing need be told again. At rest this is all that is done.
    pub fn fingerprint(&self) -> u64 {
        let mut h = DefaultHasher::new();
        for (i, x) in self.numbered() {
            let (state, heard) = (
                (told_state(x), x.old_checksum, self.preempts(i, x)),
                (x.master_interval, x.master, x.config.priority),
            );
            (state, heard, x.counters.become_master, x.counters.release_master).hash(&mut h);
            x.guard.stamps().hash(&mut h);
        }
        h.finish()
    }

    /// All instances in order of the configuration.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.instances().map(|x| self.look_at(x))
    }

    /// One instance.
    pub fn view(&self, name: &str) -> Option<View<'_>> {
        self.named(name).and_then(|i| self.slot(i)).map(|x| self.look_at(x))
    }

    fn look_at<'a>(&'a self, x: &'a Instance) -> View<'a> {
        let mut faults: Vec<String> = x.assessed.faults.iter().map(ToString::to_string).collect();
        if let Some(g) = x.group.and_then(|g| self.groups.get(g as usize)) {
            let members = g.members.iter().filter_map(|m| self.slot(*m));
            // One whose faults are all its own too is no further reason.
            let further = |m: &&Instance| m.assessed.faults.iter().any(|f| !x.assessed.faults.contains(f));
            let faulty = members.filter(|m| m.faulty() && m.config.name != x.config.name && further(m)).take(NAMED);
            faults.extend(faulty.map(|m| format!("{} of sync group {} is in FAULT", m.config.name, g.config.name)));
        }
        if x.state == State::Init && x.assessed.waiting {
            faults.push("waiting for the first result of a tracker".into());
        }
        View {
            config: &x.config,
            state: x.state,
            priority: x.priority(),
            faults,
            objects_set: x.objects_set,
            master: x.master,
            master_interval: x.master_interval,
            master_down: x.master_down(),
            last_transition: x.last_transition,
            counters: x.counters.clone(),
            source: x.assessed.source,
            sighting: x.guard.sighting.clone(),
            up_since: x.up_since,
            new_master: x.new_master,
            protocol_error: x.protocol_error,
            offender: x.offender,
            rejected: x.rejected.all(),
            mismatches: &x.mismatches,
            group: x.group.and_then(|g| self.groups.get(g as usize)).map(|g| g.config.name.as_str()),
            adjusted: x.adjusted,
        }
    }

    /// What of these instances' objects the kernel did not take when last asked, by instance. True: what it was to replace serves.
    pub fn refused_objects(&self) -> HashMap<&str, Vec<(Object, bool)>> {
        if !self.held.refuses() {
            return HashMap::new();
        }
        let holding = self.instances().filter(|x| x.objects_set);
        let told =
            |o: Object| self.held.is_refused(&o).then(|| (self.held.is_unchanged(&o), o)).map(|(stays, o)| (o, stays));
        let refused = |x: &Instance| Instance::objects(&x.config).filter_map(told).collect();
        holding.map(|x| (x.config.name.as_str(), refused(x))).filter(|(_, all): &(_, Vec<_>)| !all.is_empty()).collect()
    }

    /// Static addresses.
    pub fn static_addresses(&self) -> impl Iterator<Item = &steadfast_core::kernel::Address> {
        self.statics.iter().filter_map(|o| if let Object::Address(a) = o { Some(a) } else { None })
    }

    /// The part of each tracked object in the state of an instance.
    pub fn parts(&self, config: &InstanceConfig) -> Vec<crate::Part> {
        self.trackers.parts(config)
    }

    /// Why an instance is in FAULT; empty otherwise.
    pub fn faults(&self, name: &str) -> Vec<String> {
        let of = self.named(name).and_then(|i| self.slot(i)).filter(|x| x.state == State::Fault);
        of.map(|x| x.assessed.faults.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// What is due next for an instance, in words.
    pub fn due(&self, name: &str) -> Vec<(&'static str, Time)> {
        self.named(name).map(|i| self.due_of(i).collect()).unwrap_or_default()
    }

    /// When each instance acts next unless something happens, in the order of [`Router::views`].
    pub fn dues(&self) -> impl Iterator<Item = Option<Time>> {
        self.order.iter().filter(|i| self.slot(**i).is_some()).map(|i| self.due_of(*i).map(|(_, t)| t).min())
    }

    fn due_of(&self, i: u32) -> impl Iterator<Item = (&'static str, Time)> {
        let words = [
            (Which::Advert, "next advert"),
            (Which::Down, "takes over unless an advert is heard"),
            (Which::Delay, "preempts"),
            (Which::Release, "gives the addresses up unless a successor is heard"),
            (Which::Listen, "ends listening"),
        ];
        words.into_iter().filter_map(move |(w, text)| Some((text, self.timers.get(Key::Instance(i, w))?)))
    }

    /// Names of instances that said priority 0 and serve on until their successor is heard. They count as MASTER until then.
    pub fn handing_over(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().flatten().filter(|x| x.releasing()).map(|x| x.config.name.as_str())
    }

    /// State of each sync group.
    pub fn group_states(&self) -> Vec<(String, State)> {
        self.groups.iter().map(|g| (g.config.name.clone(), g.state)).collect()
    }

    /// Script trackers: name, whether good, whether a run is under way.
    pub fn script_states(&self) -> Vec<(&str, bool, bool)> {
        let scripts = self.trackers.scripts.iter();
        scripts.map(|s| (s.config.name.as_str(), s.verdict() == Some(true), s.running())).collect()
    }

    /// Of a script: results in a row that speak against what it counts as, and how many of them change it.
    pub fn script_streak(&self, name: &str) -> Option<(u32, u32)> {
        self.trackers.scripts.iter().find(|s| s.config.name == name)?.streak()
    }

    /// Processes counted by each process tracker, whether they are as required, and whether the end of a delay will change that.
    pub fn process_states(&self) -> impl Iterator<Item = (&ProcessConfig, Option<u32>, bool, bool)> {
        self.trackers.processes.iter().map(|p| (&p.config, p.count, p.ok, p.waits()))
    }

    /// Virtual servers that somebody tracks, and whether they have their quorum, as far as the checker spoke of them.
    pub fn service_states(&self) -> impl Iterator<Item = (&str, bool)> {
        let tracked = |name: &String| self.by_tracker.contains_key(&Tracked::Service(name.clone()));
        self.trackers.services.iter().filter(move |(name, _)| tracked(name)).map(|(name, up)| (name.as_str(), *up))
    }

    /// BFD sessions that are tracked, and whether they are up: of others it is remembered what was heard last.
    pub fn session_states(&self) -> impl Iterator<Item = (&str, bool)> {
        let tracked = |name: &String| self.by_tracker.contains_key(&Tracked::Session(name.clone()));
        self.trackers.sessions.iter().filter(move |(name, _)| tracked(name)).map(|(name, up)| (name.as_str(), *up))
    }

    /// Sets all counters to zero.
    pub fn clear_counters(&mut self) {
        for x in self.slots.iter_mut().flatten() {
            x.counters = crate::Counters::default();
        }
    }
}

/// The state that a successor is told: who hands over must not come back as master.
fn told_state(x: &Instance) -> State {
    if x.releasing() { State::Backup } else { x.state }
}
