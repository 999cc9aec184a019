//! The machine that holds all virtual routers of a host.

use crate::garp::Announcer;
use crate::group::Group;
use crate::instance::Instance;
use crate::script::{Run, Script};
use crate::track::{Counted, Links};
use crate::{Config, Input, Kill, Listen, Output, Snapshot, View};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Family, Rng, State, Time, Timers};

/// What a timer is for. The number is an index of the kind's own list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Timer {
    /// Start-up: links and trackers are looked at for the first time.
    Start,
    /// Master-down timer of a backup, advert timer of a master.
    Main(usize),
    /// Takeover from a master of lower priority.
    Fast(usize),
    /// End of a soft release.
    Release(usize),
    /// Second burst of announcements.
    GarpDelay(usize),
    /// Refresh burst.
    GarpRefresh(usize),
    /// Second burst after a lower-priority advert.
    GarpLower(usize),
    /// Lost objects are put back late.
    Repair(usize),
    /// Paced announcements.
    Pace,
    /// A script is due.
    Script(usize),
    /// A script's time is up.
    ScriptLimit(usize),
    /// A process tracker's delay is over.
    Process(usize),
    /// Lost static objects are put back late.
    Statics,
}

/// All virtual routers, groups and trackers of a host. See the crate's documentation for how to drive it.
pub struct Router {
    pub(crate) config: Config,
    pub(crate) instances: Vec<Instance>,
    pub(crate) groups: Vec<Group>,
    pub(crate) scripts: Vec<Script>,
    pub(crate) script_index: HashMap<String, usize>,
    pub(crate) files: HashMap<String, i64>,
    pub(crate) processes: HashMap<String, Counted>,
    pub(crate) links: Links,
    pub(crate) timers: Timers<Timer>,
    pub(crate) announcer: Announcer,
    /// (interface index, family, router id) to instances; several only with different unicast peers.
    pub(crate) index: HashMap<(u32, Family, u8), Vec<usize>>,
    pub(crate) started: bool,
    pub(crate) stopping: Option<bool>,
    pub(crate) stopped: bool,
    pub(crate) statics_repairs: (Time, u32),
    pub(crate) unknown_logged: u32,
    pub(crate) rng: Rng,
}

impl Router {
    /// A router that starts from nothing. Links are to be told at the same instant, before the first [`Router::poll`].
    pub fn new(config: Config, seed: u64, now: Time, out: &mut Vec<Output>) -> Router {
        Self::restore(config, &[], seed, now, out)
    }

    /// A router that goes on where a predecessor ended: its masters stay masters.
    pub fn restore(config: Config, snapshots: &[Snapshot], seed: u64, now: Time, out: &mut Vec<Output>) -> Router {
        let mut router = Router {
            instances: Vec::new(),
            groups: Vec::new(),
            scripts: config.scripts.iter().map(|c| Script::new(c.clone(), now)).collect(),
            script_index: config.scripts.iter().enumerate().map(|(i, c)| (c.name.clone(), i)).collect(),
            files: config.files.iter().map(|f| (f.name.clone(), 0)).collect(),
            processes: config.processes.iter().map(|c| (c.name.clone(), Counted::new(c.clone()))).collect(),
            links: Links::default(),
            timers: Timers::new(),
            announcer: Announcer::new(config.garp_interval, config.gna_interval),
            index: HashMap::new(),
            started: false,
            stopping: None,
            stopped: false,
            statics_repairs: (now, 0),
            unknown_logged: 0,
            rng: Rng::new(seed),
            config,
        };
        router.instances = router.config.instances.iter().map(|c| Instance::new(c.clone(), now)).collect();
        for s in snapshots {
            if let Some(i) = router.instances.iter_mut().find(|i| i.config.name == s.name) {
                i.resume = Some(s.state);
                i.master = s.master.map(|m| (m, s.master_priority));
                if s.master_interval > 0 && s.state != State::Master {
                    i.master_interval = Duration::from_nanos(s.master_interval);
                }
            }
        }
        router.bind_groups();
        for (i, s) in router.scripts.iter().enumerate() {
            router.timers.set(Timer::Script(i), s.due);
        }
        let delay = if snapshots.is_empty() { router.config.startup_delay } else { Duration::ZERO };
        router.timers.set(Timer::Start, now + delay);
        for object in &router.config.statics {
            out.push(Output::Add(object.clone()));
        }
        router
    }

    /// Takes one event.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Packet(packet) => self.receive(now, packet, out),
            Input::Link(link) => self.link(now, link, out),
            Input::LinkGone(name) => self.link_gone(now, name, out),
            Input::ScriptEnded(name, end) => {
                let Some(&i) = self.script_index.get(name) else { return };
                let Some(script) = self.scripts.get_mut(i) else { return };
                if script.run == Run::Idle {
                    return;
                }
                let verdict = script.ended(end);
                self.timers.cancel(Timer::ScriptLimit(i));
                out.extend(verdict.logs.into_iter().map(|l| Output::Log(log::Level::Info, l)));
                if verdict.changed {
                    self.tracked_changed(now, out);
                }
            }
            Input::File(name, value) => {
                if let Some(old) = self.files.get_mut(name)
                    && std::mem::replace(old, value) != value
                {
                    self.tracked_changed(now, out);
                }
            }
            Input::Process(name, count) => self.process_count(now, name, count, out),
            Input::ObjectLost(object) => self.object_lost(now, object, out),
            Input::ObjectRefused(object, errno) => {
                out.push(Output::Log(log::Level::Warn, format!("the kernel refused {object} (error {errno})")));
            }
            Input::Stop { keep_objects } => self.stop(now, keep_objects, out),
        }
    }

    /// When [`Router::poll`] is due; it may be asked earlier at no harm.
    pub fn poll_at(&self) -> Option<Time> {
        self.timers.peek()
    }

    /// Carries out what is due at `now`.
    pub fn poll(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some((timer, due)) = self.timers.pop_due(now) {
            match timer {
                Timer::Start => self.start(now, out),
                Timer::Main(i) => self.main_timer(now, i, due, out),
                Timer::Fast(i) => self.timer_fired(now, i, out),
                Timer::Release(i) => self.end_release(now, i, out),
                Timer::GarpDelay(i) | Timer::GarpLower(i) => self.second_burst(now, i, timer, out),
                Timer::GarpRefresh(i) => self.refresh_burst(now, i, out),
                Timer::Repair(i) => self.repair(now, i, out),
                Timer::Statics => out.extend(self.config.statics.iter().cloned().map(Output::Add)),
                Timer::Pace => {
                    if let Some(at) = self.announcer.due(now, out) {
                        self.timers.set(Timer::Pace, at);
                    }
                }
                Timer::Script(i) => self.script_due(now, i, out),
                Timer::ScriptLimit(i) => self.script_limit(now, i, out),
                Timer::Process(i) => self.process_delay_over(now, i, out),
            }
        }
    }

    /// What sockets must listen to.
    pub fn listening(&self) -> Vec<Listen> {
        let mut all: Vec<Listen> = Vec::new();
        let mut at: HashMap<(&str, Family), usize> = HashMap::new();
        for i in &self.instances {
            let c = &i.config;
            let n = *at.entry((&c.interface, c.family)).or_insert_with(|| {
                all.push(Listen { interface: c.interface.clone(), family: c.family, groups: vec![], vrids: vec![] });
                all.len() - 1
            });
            if let Some(listen) = all.get_mut(n) {
                if c.unicast.is_none() && !listen.groups.contains(&c.group) {
                    listen.groups.push(c.group);
                }
                listen.vrids.push(c.vrid);
            }
        }
        for listen in &mut all {
            listen.vrids.sort_unstable();
            listen.vrids.dedup();
        }
        all
    }

    /// State for a successor process.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.instances
            .iter()
            .map(|i| Snapshot {
                name: i.config.name.clone(),
                state: if i.release.is_some() { State::Backup } else { i.state },
                master_interval: u64::try_from(i.master_interval.as_nanos()).unwrap_or(0),
                master: i.master.map(|m| m.0),
                master_priority: i.master.map_or(0, |m| m.1),
            })
            .collect()
    }

    /// Every instance as seen from outside, in the order of the configuration.
    pub fn views(&self) -> impl Iterator<Item = View<'_>> {
        self.instances.iter().map(Instance::view)
    }

    /// Name and state of every sync group.
    pub fn group_states(&self) -> Vec<(String, State)> {
        self.groups.iter().map(|g| (g.config.name.clone(), g.state)).collect()
    }

    /// Script trackers: name, whether good, whether a run is under way.
    pub fn script_states(&self) -> Vec<(&str, bool, bool)> {
        self.scripts.iter().map(|s| (s.config.name.as_str(), s.ok == Some(true), s.run != Run::Idle)).collect()
    }

    /// Sets all counters to zero.
    pub fn clear_counters(&mut self) {
        for i in &mut self.instances {
            i.counters = Default::default();
        }
    }

    fn script_due(&mut self, now: Time, i: usize, out: &mut Vec<Output>) {
        let Some(script) = self.scripts.get_mut(i) else { return };
        // Intervals do not drift: the next run counts from when this one was due. After a pause none is made up for.
        script.due += script.config.interval;
        if script.due <= now {
            script.due = now + script.config.interval;
        }
        self.timers.set(Timer::Script(i), script.due);
        if script.run == Run::Idle {
            script.run = Run::Running;
            self.timers.set(Timer::ScriptLimit(i), now + script.config.timeout);
            out.push(Output::StartScript(script.config.name.clone()));
        }
    }

    /// TERM at the limit, KILL two seconds later, KILL again every ten.
    fn script_limit(&mut self, now: Time, i: usize, out: &mut Vec<Output>) {
        let Some(script) = self.scripts.get_mut(i) else { return };
        let (kill, wait) = match script.run {
            Run::Idle => return,
            Run::Running => (Kill::Term, 2),
            Run::Terminating => (Kill::Kill, 2),
            Run::Killing => (Kill::Kill, 10),
        };
        script.run = if kill == Kill::Term { Run::Terminating } else { Run::Killing };
        self.timers.set(Timer::ScriptLimit(i), now + Duration::from_secs(wait));
        out.push(Output::KillScript(script.config.name.clone(), kill));
    }

    /// Looks the candidates for a packet up.
    pub(crate) fn candidates(&self, interface: u32, source: IpAddr, vrid: u8) -> &[usize] {
        self.index.get(&(interface, Family::of(source), vrid)).map_or(&[], Vec::as_slice)
    }

    /// A value to spread things with.
    pub(crate) fn jitter(&mut self, below: Duration) -> Duration {
        Duration::from_nanos(self.rng.below(u64::try_from(below.as_nanos()).unwrap_or(u64::MAX)))
    }
}
