//! The VRRP role: one loop that turns readiness into the machine's input and carries its output out.

mod act;
mod alarms;
mod brothers;
mod details;
mod dump;
mod leaving;
mod linkbeat;
mod links;
mod listen;
mod live;
mod past;
pub mod plan;
mod record;
mod reread;
mod settings;
mod start;
mod succession;
mod system;
pub mod tell;
pub mod translate;
mod waiting;
mod written;

use crate::child::{self, ANNOUNCER, BEAT, Brother, LAST_WORDS, Order, Parent, SETTLED, confine};
use crate::cli::Options;
use crate::events;
use crate::places;
use crate::programs::Programs;
use crate::reread::Reread;
use links::link;
use plan::{Plan, Probe};
use record::Record;
use settings::Settings;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::time::Duration;
use steadfast_config::Config;
use steadfast_core::kernel::Object;
use steadfast_core::{Family, Time};
use steadfast_ipc::{Action, Alarm, Ended, JobEnd, Keeping, Message, News, decode, decode_kept, encode, object_key};
use steadfast_net::netlink::{Event, Outcome};
use steadfast_net::vrrp_socket::Receiver;
use steadfast_notify::Subject;
use steadfast_supervisor::{FOR_UPGRADE as COUNTERS, SILENT, UNTIL_RELOAD as ADJUSTED, WITHDRAWN};
use steadfast_sys::inotify::Watcher;
use steadfast_sys::number::Numbers;
use steadfast_sys::procwatch::Watch as Processes;
use steadfast_sys::signals::Signals;
use steadfast_sys::{Reactor, Ready, files, now, schedule};
use steadfast_vrrp::{Input, Kill, Link, Notice, Output, Received, Router, ScriptEnd, Snapshot};
use system::System;
use tell::Teller;

const SIGNALS: usize = 2;
const MIRROR: usize = 3;
const KERNEL: usize = 4;
const FILES: usize = 5;
const BROTHER: usize = 6;
const FIREWALL: usize = 7;
const PROCESSES: usize = 8;
const PROGRAMS: usize = 9;
const BFD: usize = 10;
const READ: usize = 11;
/// Losses that wait for the end of the kernel's news.
const LOSSES: usize = 4096;
/// They wait no longer.
const QUEUE: Duration = Duration::from_millis(40);
/// Tokens of receiving sockets begin here.
const SOCKETS: usize = 1000;

/// Key of what is kept that is no instance: a name cannot have a line break. Objects have such keys, too.
const SETTINGS: &str = "\nsettings";
/// Keys of the last changes of instances begin with this.
const HISTORY: &str = "\thistory ";
/// Priority and preemption that a manager has set.
type Adjusted = (Option<u8>, Option<bool>);
/// Bytes of settings, or of what an instance is, in one message.
const PART: usize = 3000;

/// Packets of one socket in one turn; what is left comes in the next, after the timers.
const PACKETS: usize = 256;
/// Netlink datagrams in one turn.
const DATAGRAMS: usize = 64;
/// Of answers that nobody waits for.
const ANSWERS: usize = 4;
/// Beats after which the kernel is asked for all links and addresses again.
const REFRESH: u32 = 60;
/// Processes are counted this often.
const COUNT: Duration = Duration::from_secs(1);
/// And not more often than this, whatever happens.
const RECOUNT: Duration = Duration::from_millis(20);

/// What a configuration means beside the machine's part; the checker tells mail and watches files by it, too.
pub fn plan_of(config: &Config) -> Plan {
    translate::plan(config)
}

pub use details::globals;
pub use start::remove;
pub use translate::command;
#[cfg(feature = "dbus")]
pub use translate::family;
pub use translate::process_name;

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    child::live(options, "Keepalived_vrrp", "VRRP", |signals| {
        Ok(Role::start(options, signals)?.map_or(0, |mut role| role.run()))
    })
}

/// A tracker's script that runs.
struct Run {
    name: String,
    begun: Time,
    /// It was told to end after so long.
    overran: Option<Duration>,
    /// Its command is not that of this name any more: what becomes of it is not shown.
    unwanted: bool,
}

struct Role {
    parent: Parent,
    signals: Signals,
    reactor: Reactor,
    system: System,
    router: Router,
    plan: Plan,
    reread: Reread<reread::Read>,
    /// For dumps.
    told: details::Told,
    teller: Teller,
    receivers: HashMap<usize, (Receiver, Vec<u8>, Vec<std::net::IpAddr>)>,
    by_link: HashMap<(u32, Family, bool), usize>,
    next_token: usize,
    readable: BTreeSet<usize>,
    netlink_more: bool,
    /// What somebody took away, by what has been read of the kernel's news.
    lost: Vec<Object>,
    /// When the first of them was.
    lost_since: Option<Time>,
    programs: Programs,
    /// Trackers' programs that run.
    probes: HashMap<u64, Run>,
    processes: Processes,
    watcher: Option<Watcher>,
    numbers: Numbers,
    /// The checker child.
    brother: Option<Brother>,
    /// The BFD child.
    bfd: Option<Brother>,
    keeping: Keeping,
    /// When memory that was needed for the start is given back.
    trim: Option<Time>,
    /// The program's pages were fetched for a takeover, and not given back since.
    fetched: bool,
    dirty: bool,
    /// A digest of what a successor would be told, as it was when that was said last.
    kept: u64,
    out: Vec<Output>,
    stopped: bool,
    beat: Time,
    alarms: alarms::Alarms,
    /// When processes are counted next, and when they were last.
    count: Time,
    counted: Time,
    late: Duration,
    eager: schedule::Eager,
    /// Reloads whose state was saved.
    saved: u32,
    /// Addresses stay at the end.
    keep_objects: bool,
    /// Heartbeats so far.
    beats: u32,
    /// A socket could not be opened.
    listen_again: bool,
    /// Tracked files that have had their first value.
    initialised: BTreeSet<String>,
    leaving: leaving::Leaving,
    /// -u.
    mask: Option<u32>,
    /// -a: addresses by link, to tell what changes.
    monitored: Option<HashMap<String, BTreeSet<std::net::IpAddr>>>,
    history: live::History,
    /// How scripts ended last, by their names.
    results: HashMap<String, steadfast_status::live::Tracker>,
    record: Record,
    beats_of_links: linkbeat::Beats,
    /// When this process began.
    born: Time,
    /// A successor is wanted, which has this to write first.
    succession: Option<succession::Unwritten>,
    /// Since when.
    wanted: Option<Time>,
    /// Tracked files whose first value could not be written.
    unwritten: BTreeSet<String>,
}

impl Role {
    /// Everything that follows from the plan and is not the machine's.
    fn configure(&mut self) {
        steadfast_sys::logging::structured(self.plan.structured);
        let exempt = self.router.static_addresses().cloned().collect();
        self.system.kernel.lease(self.plan.address_lease, exempt, &self.router.withheld().collect());
        self.system.configure(&self.plan);
        self.programs.safe = self.plan.safe_programs;
        self.programs.groups = self.plan.supplementary_groups;
        if self.plan.programs[0] {
            self.parent.say(Message::Runner { hangs: false });
        }
        self.teller.configure(&self.plan.fifos, &mut self.programs);
        self.teller.kept().into_iter().for_each(|message| self.parent.say(message));
        if self.plan.no_local_reports {
            self.system.settings.no_local_reports();
        }
        let links: Vec<_> = self.system.mirror.links().cloned().collect();
        links.iter().for_each(|l| self.system.prepare(l, &self.plan));
        let t = now();
        let changed = self.beats_of_links.configure(&self.plan.linkbeat, &mut self.system.mirror, t);
        changed.into_iter().for_each(|l| self.router.handle(t, Input::Link(link(&l)), &mut self.out));
        self.poll_links(t);
        self.watch_files();
        self.processes = {
            let room = self.plan.buffers.processes;
            let matchers = self.plan.processes.iter().map(|t| t.matcher.clone()).collect();
            Processes::new(matchers, (room.bytes, room.force))
        };
        if let Some(fd) = self.processes.fd()
            && let Err(e) = self.reactor.watch(fd, PROCESSES)
        {
            log::warn!("cannot watch processes: {e}");
        }
        self.count_processes(now());
        self.sockets();
    }

    fn watch_files(&mut self) {
        if let Some(w) = self.watcher.take() {
            self.reactor.forget(w.fd());
        }
        if self.plan.files.is_empty() {
            return;
        }
        let Ok(mut watcher) = Watcher::new() else {
            log::error!("cannot watch files");
            return;
        };
        let t = now();
        for f in &self.plan.files {
            // Once in the daemon's life: what somebody has written since is his.
            if let Some((value, overwrite)) = f.init.filter(|_| self.initialised.insert(f.name.clone()))
                && let Err(e) = files::init_number(&f.path, value, overwrite)
            {
                if places::is_closed(&f.path) {
                    self.unwritten.insert(f.name.clone());
                } else {
                    log::error!("track_file {}: cannot write {}: {e}", f.name, f.path.display());
                }
            }
            if let Err(e) = watcher.add(&f.path) {
                log::error!("track_file {}: cannot watch {}: {e}", f.name, f.path.display());
            }
            let value = self.numbers.read(&f.path);
            self.router.handle(t, Input::File(&f.name, value), &mut self.out);
        }
        if self.reactor.watch(watcher.fd(), FILES).is_ok() {
            self.watcher = Some(watcher);
        }
    }

    fn count_processes(&mut self, t: Time) {
        if !self.plan.processes.is_empty() {
            let reactor = &self.reactor;
            let counts = self.processes.count(|fd| {
                if let Err(e) = reactor.watch(fd, PROCESSES) {
                    log::debug!("cannot watch a process: {e}");
                }
            });
            for (name, count) in counts {
                self.router.handle(t, Input::Process(&name, count), &mut self.out);
            }
        }
        self.counted = t;
        self.count = t + COUNT;
    }

    fn run(&mut self) -> i32 {
        // What came during the start was signalled then, and will not be signalled again.
        let mut ready: Vec<Ready> = (0..=READ).map(Ready::perhaps).collect();
        self.turn(now(), &ready);
        while !self.stopped {
            let due = self.router.poll_at().unwrap_or(Time::FAR).min(self.beat);
            let due = self.beats_of_links.due().map_or(due, |at| due.min(at));
            let due = if self.plan.processes.is_empty() { due } else { due.min(self.count) };
            let busy = !self.readable.is_empty() || self.netlink_more || !self.system.waiting.is_empty();
            if let Err(e) = self.reactor.wait(Some(due), busy, &mut ready) {
                log::error!("event loop: {e}");
                return 1;
            }
            self.turn(due, &ready);
            if self.succession.is_some() && self.hands_over(now()) {
                return places::SUCCESSION;
            }
        }
        self.last_words();
        0
    }

    /// One turn: signals, protocol 112, due timers, netlink, pipes, the rest.
    fn turn(&mut self, due: Time, ready: &[Ready]) {
        let t = now();
        self.tell_wall(t);
        self.late = self.late.max(t.since(due));
        self.eager.late(t.since(due), self.plan.scheduling.raise, self.plan.scheduling.realtime);
        let mut signals = false;
        let mut parent = false;
        let mut files_changed = false;
        let mut processes_changed = false;
        let mut brother = false;
        let mut programs = false;
        let mut sessions = false;
        let mut read = false;
        let mut give_back = false;
        for r in ready {
            match r.token {
                SIGNALS => signals = true,
                MIRROR => self.netlink_more = true,
                FILES => files_changed = true,
                PROCESSES => processes_changed = true,
                FIREWALL => self.system.firewall_readable(t),
                BROTHER => brother = true,
                PROGRAMS => programs = true,
                BFD => sessions = true,
                READ => read = true,
                KERNEL => {}
                n if n < SIGNALS => parent = true,
                n => {
                    self.readable.insert(n);
                }
            }
        }
        if signals {
            self.take_signals(t);
        }
        self.packets(t);
        self.router.hold_scripts(self.programs.unknown(t), t);
        // The adverts of a thousand routers need not lie in memory at one time, and the first go out first.
        while self.router.poll_part(t, &mut self.out) {
            self.carry_out(t);
        }
        self.act(t);
        if programs {
            self.take_ends(t);
        }
        self.poll_links(t);
        self.netlink(t);
        if parent {
            self.parent.flush();
            self.orders(t);
        }
        if read {
            self.reload(t);
        }
        if brother {
            self.hear_brother(t);
        }
        if sessions {
            self.hear_sessions(t);
        }
        if files_changed {
            self.changed_files(t);
        }
        // Events of processes that are nobody's business are many; ends of those that are watched come by descriptors of their own.
        let concerned = processes_changed && (self.processes.read() || self.processes.any_ended());
        if concerned {
            // Who starts and ends matching processes as fast as he can must not keep us counting.
            self.count = self.count.min(self.counted + RECOUNT);
        }
        if t >= self.count && !self.plan.processes.is_empty() {
            self.count_processes(t);
        }
        if t >= self.beat {
            self.found_files(t);
            let late = u64::try_from(std::mem::take(&mut self.late).as_micros()).unwrap_or(u64::MAX);
            self.parent.say(Message::Heartbeat { late });
            self.raise_alarms();
            self.system.repair(t);
            self.system.prepare_again(&self.plan);
            if self.trim.take_if(|at| *at <= t).is_some() {
                let router = &self.router;
                let blocks = |family| {
                    let blocking = router.views().map(|v| v.config).filter(|c| !c.accept && c.priority != 255);
                    let mut all = blocking.flat_map(|c| c.addresses.iter().chain(&c.excluded));
                    all.any(|a| Family::of(a.cidr.address) == family)
                };
                self.system.tidy(&self.plan, blocks);
                self.dirty = true;
                self.router.shrink();
                self.history.shrink();
                self.keeping.shrink();
                self.system.kernel.shrink();
                self.fetched = false;
                give_back = true;
                // The second announcement of a new master, five seconds after the first, may be still to come.
                self.trim = self.router.views().any(|v| t.since(v.last_transition) < SETTLED).then_some(t + SETTLED);
            }
            // A takeover is near: it must not wait for pages of the program, and gives them back again afterwards.
            if !self.fetched && self.router.expects_takeover(t) {
                schedule::fetch_program();
                self.fetched = true;
                self.trim = Some(t + SETTLED);
            }
            // What is learned without a change of state (a master's interval) is kept, too, now and then.
            self.beats = self.beats.wrapping_add(1);
            if self.beats.is_multiple_of(5) {
                self.dirty |= self.known() != self.kept;
            }
            if std::mem::take(&mut self.listen_again) {
                self.sockets();
            }
            self.teller.flush();
            if self.programs.hangs(t) {
                self.parent.say(Message::Runner { hangs: true });
            }
            // An event that was missed, or misread, must not hold an instance in FAULT for ever.
            if self.beats.is_multiple_of(REFRESH) {
                // A request that could not be made is made by the next reading, which no event may bring about.
                self.netlink_more = true;
                if let Err(e) = self.system.mirror.refresh() {
                    log::warn!("netlink: {e}");
                }
            }
            if self.plan.address_lease.is_some_and(|s| self.beats.is_multiple_of((s / 3).max(1))) {
                self.renew_leases();
            }
            self.beat = t + BEAT;
        }
        self.act(t);
        self.keep();
        let (version, objects) = self.system.kernel.owned();
        self.record.keep(version, objects, &self.system.settings);
        // Last, so that what this turn needed is not fetched again at once.
        if give_back {
            schedule::give_memory_back();
        }
    }

    /// The wall clock may be set at any time, and adverts carry it where they are authenticated.
    fn tell_wall(&mut self, t: Time) {
        let wall = Duration::try_from_secs_f64(files::wall_clock()).unwrap_or_default();
        self.router.handle(t, Input::Wall(wall), &mut self.out);
    }

    fn take_signals(&mut self, t: Time) {
        while let Some(signal) = self.signals.next() {
            // SIGTERM, SIGINT: an orderly stop also when the parent is gone or somebody signals the child alone. Who signals twice
            // does not want it to wait for its successor; but of its death the kernel tells once for each thread that the parent had.
            let lives = self.parent.lives();
            let stop = |l: &mut leaving::Leaving| if lives { l.signal() } else { l.abandoned() };
            if signal == 15 {
                self.parent.mourn();
            }
            if signal == 15 && stop(&mut self.leaving) {
                self.router.handle(t, Input::Stop { keep_objects: self.keep_objects }, &mut self.out);
            }
        }
    }

    /// Programs that have ended.
    fn take_ends(&mut self, t: Time) {
        for (job, end, said) in self.programs.ended() {
            if self.teller.ended(job, &end) {
                continue;
            }
            if let Some(Run { name, overran, unwanted, .. }) = self.probes.remove(&job) {
                let (end, said) = match end {
                    JobEnd::Exited(s) => (ScriptEnd::Exited(s), said),
                    JobEnd::Signalled(s) => (ScriptEnd::Signalled(s), said),
                    JobEnd::NotStarted(why) => (ScriptEnd::NotStarted, why),
                    JobEnd::Unable(why) => (ScriptEnd::Unable, why),
                };
                // Once, until it is another reason.
                if matches!(end, ScriptEnd::NotStarted | ScriptEnd::Unable)
                    && self.results.get(&name).is_none_or(|last| last.said != said)
                {
                    log::warn!("VRRP_Script({name}) cannot be started: {said}");
                }
                if unwanted && self.probes.values().any(|other| other.name == name) {
                    // The result of another run is waited for, which was begun since.
                    continue;
                }
                let wrote = if unwanted { None } else { self.keep_result(&name, &end, overran, said) };
                self.router.handle(t, Input::ScriptEnded(&name, end), &mut self.out);
                self.out.extend(wrote);
            }
        }
    }

    fn changed_files(&mut self, t: Time) {
        let paths = self.watcher.as_mut().map(Watcher::changed);
        self.read_files(t, paths.unwrap_or_default());
    }

    /// Folders of files may have come.
    fn found_files(&mut self, t: Time) {
        let paths = self.watcher.as_mut().map(Watcher::again);
        self.read_files(t, paths.unwrap_or_default());
    }

    fn read_files(&mut self, t: Time, paths: Vec<std::path::PathBuf>) {
        for path in paths {
            let value = self.numbers.read(&path);
            for f in self.plan.files.iter().filter(|f| f.path == path) {
                self.router.handle(t, Input::File(&f.name, value), &mut self.out);
            }
        }
    }

    fn orders(&mut self, t: Time) {
        for order in self.parent.orders() {
            match order {
                Order::Config(bytes) => self.reread.begin(bytes),
                Order::Gone => self.stop(t),
                Order::Message(message) => {
                    if let Some(message) = self.reread.defer(message) {
                        self.obey(message, t);
                    }
                }
            }
        }
    }

    fn obey(&mut self, message: Message, t: Time) {
        match message {
            Message::Stop { keep_objects } => {
                log::info!("Stopping VRRP child process");
                self.keep_objects = keep_objects;
                if keep_objects {
                    // Nobody will renew them.
                    self.system.kernel.lease(None, Default::default(), &self.router.withheld().collect());
                    self.renew_leases();
                }
                if self.leaving.order() {
                    self.router.handle(t, Input::Stop { keep_objects }, &mut self.out);
                }
            }
            Message::Dump(what) => self.dump(what, t),
            Message::Ask => self.say_status(t),
            Message::Survey => self.report(t),
            Message::Act(Action::Announce { instance }) => {
                self.router.handle(t, Input::Announce(&instance), &mut self.out);
            }
            Message::Act(Action::Adjust { instance, priority, preempt }) => {
                self.router.handle(t, Input::Adjust(&instance, priority, preempt), &mut self.out);
                let set = self.router.view(&instance).map(|v| v.adjusted);
                self.keep_adjusted(&instance, set.unwrap_or_default());
            }
            Message::Save => {
                for v in self.router.views() {
                    if let Ok(bytes) = encode(&v.counters) {
                        self.parent.prepare(Message::Keep { key: format!("{COUNTERS}{}", v.config.name), bytes });
                    }
                }
                self.parent.flush();
            }
            _ => {}
        }
    }

    /// A stop that nobody ordered: the parent is gone. One that is under way goes on as it is.
    fn stop(&mut self, t: Time) {
        if self.leaving.abandoned() {
            self.router.handle(t, Input::Stop { keep_objects: self.keep_objects }, &mut self.out);
        }
    }
}

/// Scheduling as the file wants it; what cannot be had is said.
pub fn be_scheduled(s: &plan::Scheduling) {
    let result = |what: &str, r: Option<io::Result<()>>| {
        if let Some(Err(e)) = r {
            log::warn!("cannot set {what}: {e}");
        }
    };
    result("nice value", s.nice.map(schedule::nice));
    result("memory lock", s.no_swap.then(schedule::lock_memory));
    result("CPU affinity", (!s.affinity.is_empty()).then(|| schedule::affinity(&s.affinity)));
    result("real-time limit", s.rttime.map(schedule::rttime));
    result("real-time priority", s.realtime.map(schedule::realtime));
}
