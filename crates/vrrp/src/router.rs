//! The whole of it: all virtual routers of one daemon, their groups, trackers and timers, behind one interface.

use crate::garp::Pacer;
use crate::group::Group;
use crate::instance::{After, Instance, Mode};
use crate::keys::Key;
use crate::machine::Standing;
use crate::objects::Held;
use crate::receive::Opened;
use crate::tracking::Trackers;
use crate::{Config, Input, InstanceConfig, Kill, LinkDelay, Output, Received, Snapshot, Tracked};
use log::Level;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{Family, Name, Rng, State, Time, Timers};

/// Where the daemon's life stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Life {
    /// Before the first poll.
    Settling,
    /// Held back by the startup delay.
    Delayed,
    /// Running.
    Running,
    /// Handing over before the end.
    Stopping {
        /// Leave the objects in the kernel.
        keep: bool,
    },
    /// Over.
    Stopped,
}

/// Members of a group that are named where one of them is why another is in FAULT.
pub(crate) const NAMED: usize = 8;

/// Global settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub startup_delay: Duration,
    pub log_unknown_vrids: bool,
    pub link_delays: Vec<LinkDelay>,
}

/// Timers in one part of [`Router::poll_part`].
const PART: usize = 64;

/// All virtual routers of one daemon. Feed it with [`Router::handle`], call [`Router::poll`] when [`Router::poll_at`] says so,
/// and carry out what comes out in order.
///
/// What is handed over (links, files, processes) between construction and the first poll counts as the state of the world at
/// start: no instance moves before the first poll, which is due at once.
#[derive(Debug)]
pub struct Router {
    pub(crate) settings: Settings,
    pub(crate) slots: Vec<Option<Instance>>,
    /// Slots in order of the configuration; those that only hand over are not among them.
    pub(crate) order: Vec<u32>,
    pub(crate) groups: Vec<Group>,
    pub(crate) trackers: Trackers,
    pub(crate) statics: Vec<Object>,
    /// Who may be meant by a packet.
    lookup: Vec<((u32, Family, u8), u32)>,
    /// Links came or went since: it is made anew before it is needed. With a thousand virtual links they do so a thousand times.
    pub(crate) lookup_stale: bool,
    /// Instances were removed since: what is found by name or link may be none any more.
    pub(crate) index_stale: bool,
    /// Instances by name.
    pub(crate) by_name: HashMap<Name, u32>,
    /// Who depends on an interface, by name.
    pub(crate) by_interface: HashMap<String, Vec<u32>>,
    /// Who depends on a script, file or process.
    pub(crate) by_tracker: HashMap<Tracked, Vec<u32>>,
    /// Who depends on every link, because its source address may be on any.
    pub(crate) roaming: Vec<u32>,
    pub(crate) timers: Timers<Key>,
    pub(crate) rng: Rng,
    pub(crate) held: Held,
    /// Addresses of which the kernel has place for one form only, and somebody holds or wants another. There are none as a rule.
    pub(crate) rivals: HashSet<Object>,
    pub(crate) pacer: Pacer,
    /// Place of the address that is announced next without being asked for.
    pub(crate) last_reminded: usize,
    pub(crate) life: Life,
    /// The daemon has run before: this process follows another, whatever became of that.
    pub(crate) succeeds: bool,
    /// Wall clock less monotonic clock, in nanoseconds.
    pub(crate) wall: i128,
    unknown: HashSet<(u32, Family, u8)>,
    /// Adverts of router ids that are nobody's here.
    pub(crate) strangers: u64,
    /// Whoever starts scripts does not answer.
    pub(crate) held_scripts: bool,
    /// A script has another verdict than a successor would begin with.
    pub(crate) learned: bool,
}

impl Router {
    /// Gives back the room that a start or a reload needed.
    pub fn shrink(&mut self) {
        self.timers.shrink();
        self.held.shrink();
        self.slots.shrink_to_fit();
    }

    /// A router that starts from nothing.
    pub fn new(config: Config, seed: u64, now: Time, out: &mut Vec<Output>) -> Router {
        Router::restore(config, &[], seed, now, out)
    }

    /// The successor of a process that died. A master goes on as master: its objects are added again, its first advert follows
    /// at once, and no notification is repeated. Backups start a fresh timer.
    pub fn restore(config: Config, snapshots: &[Snapshot], seed: u64, now: Time, out: &mut Vec<Output>) -> Router {
        let mut router = Router {
            settings: Settings::default(),
            slots: Vec::new(),
            order: Vec::new(),
            groups: Vec::new(),
            trackers: Trackers::default(),
            statics: Vec::new(),
            lookup: Vec::new(),
            lookup_stale: false,
            index_stale: false,
            by_name: HashMap::new(),
            by_interface: HashMap::new(),
            by_tracker: HashMap::new(),
            roaming: Vec::new(),
            timers: Timers::new(),
            rng: Rng::new(seed),
            held: Held::default(),
            rivals: HashSet::new(),
            pacer: Pacer::default(),
            last_reminded: 0,
            life: Life::Settling,
            succeeds: false,
            wall: 0,
            unknown: HashSet::new(),
            strangers: 0,
            held_scripts: false,
            learned: false,
        };
        router.adopt_settings(&config);
        router.slots.reserve_exact(config.instances.len());
        let former: HashMap<&str, &Snapshot> = snapshots.iter().rev().map(|s| (s.name.as_str(), s)).collect();
        for c in config.instances {
            let mut instance = Instance::new(c, now);
            if let Some(s) = former.get(instance.config.name.as_str()) {
                instance.restored = Some(s.state);
                router.succeeds = true;
                instance.preempts = (s.preempts > 0).then(|| Time::from_nanos(s.preempts));
                instance.old_checksum = s.old_checksum;
                instance.former_base = Some(s.base).filter(|base| *base > 0);
                (instance.counters.become_master, instance.counters.release_master) = s.mastership;
                if instance.config.keyed() {
                    instance.guard.restore(&s.stamps);
                }
                instance.master = s.master.map(|m| (m, s.master_priority));
                if s.state == State::Backup && s.master_interval > 0 {
                    instance.master_interval = Duration::from_nanos(s.master_interval);
                }
            }
            router.order.push(router.slots.len() as u32);
            router.slots.push(Some(instance));
        }
        router.define_groups(&config.groups);
        let known: HashMap<&str, bool> =
            snapshots.iter().flat_map(|s| &s.scripts).map(|(name, good)| (name.as_str(), *good)).collect();
        router.define_scripts(&config.scripts, &known, now, out);
        router.trackers.sessions = snapshots.iter().flat_map(|s| s.sessions.clone()).collect();
        router.trackers.services = snapshots.iter().flat_map(|s| s.services.clone()).collect();
        router.trackers.define_files(&config.files);
        router.trackers.define_processes(&config.processes);
        router.hold_statics(&config.statics, out);
        router.find_rivals();
        router.reindex();
        router.timers.set(Key::Settle, now);
        // With many of them, on a busy host, it takes a while.
        router.wait_for_links(now + Duration::from_secs(10));
        router
    }

    /// To be called after [`Router::restore`] where the former life had not been heard of for so long when it ended. Whose peers have lost
    /// their patience meanwhile does not go on as master: it listens first, as after any other start.
    pub fn stood_still(&mut self, silent: Duration, out: &mut Vec<Output>) {
        let late = |x: &Instance| x.restored == Some(State::Master) && silent >= x.peers_patience();
        let alone: Vec<u32> = self.order.iter().copied().filter(|i| self.slot(*i).is_some_and(late)).collect();
        // A sync group stays together.
        for i in alone.into_iter().flat_map(|i| self.members_with(i)).collect::<HashSet<u32>>() {
            let Some(x) = self.slot_mut(i) else { continue };
            x.restored = None;
            let seconds = silent.as_secs_f64();
            self.log(
                Level::Warn,
                i,
                format_args!("its former process had stood still for {seconds:.1} s: listening first"),
                out,
            );
        }
    }

    pub(crate) fn adopt_settings(&mut self, config: &Config) {
        // A change that was held off under another number is told again by the link's next change; until then it counts at once.
        for n in 0..self.settings.link_delays.len() {
            self.timers.cancel(Key::Debounce(n as u32));
        }
        self.settings = Settings {
            startup_delay: config.startup_delay,
            log_unknown_vrids: config.log_unknown_vrids,
            link_delays: config.link_delays.clone(),
        };
        for link in std::mem::take(&mut self.trackers.debounced).into_values() {
            self.trackers.links.insert(link.name.clone(), link);
        }
        self.pacer.set_gaps(config.garp_interval, config.gna_interval, &config.garp_groups);
        self.unknown.clear();
    }

    /// Once after something has changed that a successor must know and no notice tells of: the verdict of a script.
    pub fn take_learned(&mut self) -> bool {
        std::mem::take(&mut self.learned)
    }

    /// When [`Router::poll`] has something to do; `None`: not before the next input.
    pub fn poll_at(&self) -> Option<Time> {
        self.timers.peek()
    }

    /// Does what is due.
    pub fn poll(&mut self, now: Time, out: &mut Vec<Output>) {
        while self.poll_part(now, out) {}
    }

    /// Does a part of what is due, so that what it leads to can be carried out, and its room given back, before the rest is thought of.
    /// True: more is due.
    pub fn poll_part(&mut self, now: Time, out: &mut Vec<Output>) -> bool {
        let more = (0..PART).all(|_| {
            let next = self.timers.pop_due(now);
            next.is_some_and(|(key, due)| {
                self.fire(key, due, now, out);
                true
            })
        });
        self.refresh_index();
        more
    }

    /// Sweeps replaced timers off the top of the heap, so that [`Router::poll_at`] is exact and nobody is woken for nothing.
    pub(crate) fn tidy(&mut self) {
        // looking for what is due skims the heap; nothing but a timer armed at the epoch itself can be due there
        if let Some((key, at)) = self.timers.pop_due(Time::ZERO) {
            self.timers.set(key, at);
        }
    }

    /// Takes in one thing that happened.
    pub fn handle(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) {
        if self.life == Life::Stopped {
            return;
        }
        match input {
            Input::Packet(packet) => self.on_packet(now, &packet, out),
            Input::Link(link) => self.on_link(now, link, out),
            Input::LinkGone(name) => self.on_link_gone(now, name, out),
            // Nobody's state depends on that, but the kernel has dropped routes.
            Input::LinkBlinked(name) => self.restore_objects(name, out),
            Input::ScriptEnded(name, end) => self.on_script_ended(now, name, end, out),
            Input::File(name, value) => {
                if self.trackers.files.insert(name.to_owned(), value) != Some(value) {
                    self.tracker_changed(&Tracked::File(name.into()), now, out);
                }
            }
            Input::Service(name, quorum) => {
                if self.trackers.services.insert(name.to_owned(), quorum) != Some(quorum) {
                    self.tracker_changed(&Tracked::Service(name.into()), now, out);
                }
            }
            Input::Session(name, up) => self.on_session(now, name, up, out),
            Input::Process(name, count) => self.on_process(now, name, count, out),
            Input::ObjectLost(object) => self.on_object_lost(now, object, out),
            Input::ObjectRefused(object, why) => self.on_object_refused(now, object, why, out),
            Input::ObjectUnchanged(object, why) => self.on_object_unchanged(now, object, why, out),
            Input::Wall(wall) => self.set_wall(now, wall),
            Input::Announce(name) => {
                if let Some(i) =
                    self.named(name).filter(|i| self.slot(*i).is_some_and(|x| x.standing() == Standing::Master))
                {
                    self.burst(i, 1, now, out);
                }
            }
            Input::Adjust(name, priority, preempt) => self.adjust(now, name, priority, preempt, out),
            Input::ObjectAdded(object) => self.on_object_added(now, object, out),
            Input::Stop { keep_objects } => self.stop(now, keep_objects, out),
        }
        self.refresh_index();
        self.tidy();
    }

    pub(crate) fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.order.iter().filter_map(|i| self.slots.get(*i as usize).and_then(Option::as_ref))
    }

    pub(crate) fn slot(&self, i: u32) -> Option<&Instance> {
        self.slots.get(i as usize).and_then(Option::as_ref)
    }

    /// The slot of an instance of the configuration. With a thousand of them each of a thousand notices asks for one.
    pub(crate) fn named(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn slot_mut(&mut self, i: u32) -> Option<&mut Instance> {
        self.slots.get_mut(i as usize).and_then(Option::as_mut)
    }

    pub(crate) fn name(&self, i: u32) -> &str {
        self.slot(i).map_or("", |x| x.config.name.as_str())
    }

    pub(crate) fn log(&self, level: Level, i: u32, text: std::fmt::Arguments<'_>, out: &mut Vec<Output>) {
        out.push(Output::Log(level, format!("({}) {text}", self.name(i))));
    }

    /// Instances have been removed: many may be at once.
    pub(crate) fn refresh_index(&mut self) {
        if self.index_stale {
            self.reindex();
        }
    }

    /// Rebuilds what is looked up: after a change of configuration or of a link's index.
    pub(crate) fn reindex(&mut self) {
        self.index_stale = false;
        self.by_name = self.order.iter().filter_map(|i| Some((self.config_of(*i)?.name.clone(), *i))).collect();
        self.by_interface.clear();
        self.by_tracker.clear();
        self.trackers.managed.clear();
        self.trackers.sensitive.clear();
        self.roaming.clear();
        for (i, slot) in self.slots.iter().enumerate() {
            let Some(x) = slot else { continue };
            let i = i as u32;
            let c = &x.config;
            let mut interfaces: Vec<&str> = vec![&c.interface];
            interfaces.extend(c.virtual_link.as_deref());
            interfaces.extend(c.address_links.iter().map(|(_, base)| base.as_str()));
            interfaces.extend(c.addresses.iter().chain(&c.excluded).map(|a| a.interface.as_str()));
            interfaces.extend(c.depends_on.iter().flat_map(Object::links));
            for track in &c.tracks {
                match &track.what {
                    Tracked::Interface(name) | Tracked::Vrf(name) => interfaces.push(name),
                    other => {
                        let users = self.by_tracker.entry(other.clone()).or_default();
                        if users.last() != Some(&i) {
                            users.push(i);
                        }
                    }
                }
            }
            for name in interfaces {
                if let Some(users) = self.by_interface.get_mut(name) {
                    if users.last() != Some(&i) {
                        users.push(i);
                    }
                } else {
                    self.by_interface.insert(name.to_owned(), vec![i]);
                }
            }
            for a in c.addresses.iter().chain(&c.excluded) {
                match self.trackers.managed.get_mut(a.interface.as_str()) {
                    Some(set) => {
                        set.insert(a.cidr.address);
                    }
                    None => {
                        self.trackers.managed.insert(a.interface.to_string(), HashSet::from([a.cidr.address]));
                    }
                }
            }
        }
        for (i, slot) in self.slots.iter().enumerate() {
            let Some(c) = slot.as_ref().map(|x| &x.config) else { continue };
            let ours = |a| self.trackers.managed.get(c.interface.as_str()).is_some_and(|m| m.contains(&a));
            if c.priority == 255 || c.source.is_some_and(ours) {
                self.trackers.sensitive.insert(c.interface.to_string());
            }
            if c.unicast.is_some() && c.source.is_some() {
                self.roaming.push(i as u32);
            }
        }
        self.relookup();
    }

    /// Rebuilds the packet lookup.
    pub(crate) fn relookup(&mut self) {
        self.lookup.clear();
        self.lookup_stale = false;
        for (i, slot) in self.slots.iter().enumerate() {
            let Some(x) = slot else { continue };
            let Some(link) = self.trackers.links.get(x.config.link()) else { continue };
            self.lookup.push(((link.index, x.config.family, x.config.vrid), i as u32));
        }
        self.lookup.sort_unstable();
    }

    /// The instance that a packet is for. Several may share a router id where their unicast addresses differ.
    fn addressee(&self, opened: &Opened<'_>) -> Result<u32, Option<u8>> {
        let packet = opened.packet;
        let Some(vrid) = opened.message.get(1).copied() else { return Err(None) };
        let wanted = (packet.interface, Family::of(packet.source), vrid);
        let from = self.lookup.partition_point(|(key, _)| *key < wanted);
        let candidates = || self.lookup.iter().skip(from).take_while(|(key, _)| *key == wanted).map(|(_, i)| *i);
        let mut first = candidates();
        match (first.next(), first.next()) {
            (None, _) => return Err(Some(vrid)),
            (Some(only), None) => return Ok(only),
            _ => {}
        }
        let config = |i: &u32| self.slot(*i).map(|x| (&x.config, x.assessed.source));
        let multicast = packet.destination.is_multicast();
        let fits = |i: &u32| {
            config(i).is_some_and(|(c, source)| match &c.unicast {
                None => multicast && c.group == packet.destination,
                Some(_) => !multicast && source == Some(packet.destination),
            })
        };
        let peer = |i: &u32| {
            config(i).is_some_and(|(c, _)| {
                c.unicast.as_ref().is_some_and(|u| u.peers.iter().any(|p| p.address == packet.source))
            })
        };
        let found = candidates().find(|i| fits(i) && (multicast || peer(i))).or_else(|| candidates().find(fits));
        found.ok_or(Some(vrid))
    }

    fn on_packet(&mut self, now: Time, packet: &Received<'_>, out: &mut Vec<Output>) {
        let Some(opened) = Opened::new(packet) else { return };
        if self.lookup_stale {
            self.relookup();
        }
        let i = match self.addressee(&opened) {
            Ok(i) => i,
            Err(vrid) => {
                self.strangers += u64::from(vrid.is_some());
                if let Some(vrid) = vrid
                    && self.settings.log_unknown_vrids
                    && self.unknown.len() < 4096
                    && self.unknown.insert((packet.interface, Family::of(packet.source), vrid))
                {
                    out.push(Output::Log(
                        Level::Info,
                        format!("received an advert from {} for unknown VRID {vrid}", packet.source),
                    ));
                }
                return;
            }
        };
        let Some(x) = self.slot_mut(i) else { return };
        if x.state != State::Backup && x.state != State::Master {
            // It does not take part yet, but must not hold what somebody else serves.
            let concerns = x.objects_set || (x.interrupted.is_some() && x.spoke_from != Some(packet.source));
            if concerns && x.check(now, opened, out).is_some_and(|header| header.priority != 0) {
                x.interrupted = None;
                self.let_orphans_go(i, out);
            }
            return;
        }
        let sighted = x.guard.sighting.as_ref().map(|s| s.count);
        let Some(header) = x.check(now, opened, out) else {
            let seen = self.slot(i).and_then(|x| x.guard.sighting.as_ref());
            if seen.is_some_and(|s| s.authentic && Some(s.count) != sighted) {
                self.on_doubt(i, now, out);
            }
            return;
        };
        self.notice_oversleep(i, now, out);
        self.on_advert(i, now, packet.source, &header, out);
    }

    fn fire(&mut self, key: Key, due: Time, now: Time, out: &mut Vec<Output>) {
        match key {
            Key::Settle => self.settle(now, out),
            Key::Startup => {
                self.life = Life::Running;
                self.evaluate_all(now, out);
            }
            Key::Repair => self.repair(now, out),
            Key::Pace(id) => self.pace(id, now, out),
            Key::Remind => self.remind(now, out),
            Key::Debounce(n) => self.debounced(n, now, out),
            Key::Making => self.made(now, out),
            Key::ScriptRun(id) => self.run_script(id, now, out),
            Key::ScriptLimit(id) => self.limit_script(id, now, out),
            Key::Process(id) => {
                let changed = self.trackers.processes.get_mut(id as usize).filter(|p| p.count.is_some());
                if let Some(p) = changed
                    && p.report()
                {
                    let (name, ok) = (p.config.name.clone(), p.ok);
                    self.process_reported(&name, ok, now, out);
                }
            }
            Key::Instance(i, which) => self.fire_instance(i, which, due, now, out),
        }
    }

    /// The world at start has been told: begin.
    fn settle(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.settings.startup_delay.is_zero() && !self.succeeds {
            self.life = Life::Delayed;
            self.timers.set(Key::Startup, now + self.settings.startup_delay);
            out.push(Output::Log(
                Level::Info,
                format!("delaying startup of all instances for {} s", self.settings.startup_delay.as_secs_f64()),
            ));
            self.evaluate_all(now, out);
            return;
        }
        self.life = Life::Running;
        self.adopt_orphans(out);
        self.evaluate_all(now, out);
    }

    pub(crate) fn evaluate_all(&mut self, now: Time, out: &mut Vec<Output>) {
        let all = self.order.clone();
        self.reevaluate(&all, now, out);
    }

    fn stop(&mut self, now: Time, keep: bool, out: &mut Vec<Output>) {
        if let Life::Stopping { .. } = self.life {
            // asked twice: no more waiting
            let waiting: Vec<u32> =
                (0..self.slots.len() as u32).filter(|i| self.slot(*i).is_some_and(Instance::releasing)).collect();
            for i in waiting {
                self.finish_release(i, None, now, out);
            }
            self.finish_stop(now, out);
            return;
        }
        for key in [Key::Settle, Key::Startup] {
            self.timers.cancel(key);
        }
        for id in 0..self.trackers.scripts.len() as u32 {
            self.timers.cancel(Key::ScriptRun(id));
            self.timers.cancel(Key::ScriptLimit(id));
            if let Some(s) = self.trackers.scripts.get(id as usize)
                && s.running()
            {
                out.push(Output::KillScript(s.config.name.clone(), Kill::Unwanted));
            }
        }
        self.life = Life::Stopping { keep };
        let slots = 0..self.slots.len() as u32;
        for i in slots.clone().filter(|i| self.slot(*i).is_some_and(|x| x.state != State::Master)).collect::<Vec<_>>() {
            self.quiet(i);
            self.let_orphans_go(i, out);
            // deaf from now on: nobody stands up during the stop
            self.set_state(i, State::Init, now);
        }
        // Masters last: with the last of them it may be over.
        for i in slots {
            if self.slot(i).is_some_and(Instance::leads) {
                self.leave_master(i, After::Stop, !keep, now, out);
            }
        }
        self.finish_stop(now, out);
    }

    /// Says the end, if nobody hands over any more.
    pub(crate) fn finish_stop(&mut self, now: Time, out: &mut Vec<Output>) {
        let busy = self.slots.iter().flatten().any(|x| x.state == State::Master);
        if busy || !matches!(self.life, Life::Stopping { .. }) {
            return;
        }
        let keep = matches!(self.life, Life::Stopping { keep: true });
        self.life = Life::Stopped;
        for i in self.order.clone() {
            self.quiet(i);
            if let Some(x) = self.slot_mut(i) {
                x.state = State::Init;
                x.mode = Mode::Normal;
                x.last_transition = now;
                out.push(Output::Instance {
                    name: x.config.name.to_string(),
                    notice: crate::Notice::Stop,
                    priority: x.priority(),
                });
            }
        }
        for g in &mut self.groups {
            g.state = State::Init;
            out.push(Output::Group { name: g.config.name.clone(), notice: crate::Notice::Stop });
        }
        for object in std::mem::take(&mut self.statics).into_iter().rev() {
            // addresses that are to stay need the link that they are on
            if self.held.release(&object) && !(keep && matches!(object, Object::Link(_))) {
                out.push(Output::Remove(object));
            }
        }
        self.timers = Timers::new();
        out.push(Output::Stopped);
    }

    pub(crate) fn config_of(&self, i: u32) -> Option<&InstanceConfig> {
        self.slot(i).map(|x| &x.config)
    }
}

#[cfg(test)]
mod tests;
