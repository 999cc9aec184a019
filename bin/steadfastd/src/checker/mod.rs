//! The checker role: one loop that turns readiness into the pool's input and carries its output out.

mod balancer;
mod done;
mod dump;
mod heard;
mod leaving;
mod left;
mod limits;
mod live;
pub mod marks;
mod probes;
pub mod traffic;
pub mod translate;

use crate::child::{self, BEAT, Brother, LAST_WORDS, Order, Parent, SETTLED, confine};
use crate::cli::Options;
use crate::programs::Programs;
use crate::vrrp::plan::Plan;
use crate::vrrp::tell::Teller;
use balancer::Balancer;
use leaving::Leaving;
pub use left::WHOLE;
use left::{Left, Record, enter_namespace};
use marks::Groups;
use probes::Probes;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_checkers::{Config as Pools, Input, Output, Pool, ProbeId, ScriptEnd, Snapshot, deduced};
use steadfast_config::Config;
use steadfast_core::Time;
use steadfast_ipc::{JobEnd, Message, decode, decode_kept};
use steadfast_net::netlink::Mirror;
use steadfast_sys::inotify::Watcher;
use steadfast_sys::number::Numbers;
use steadfast_sys::signals::Signals;
use steadfast_sys::{Reactor, Ready, now, schedule};
use traffic::Counted;

const SIGNALS: usize = 2;
const MIRROR: usize = 3;
const FILES: usize = 4;
const BROTHER: usize = 5;
const PROGRAMS: usize = 6;
const BFD: usize = 7;
const MARKS: usize = 8;
/// Tokens of probes begin here.
const PROBES: usize = 1000;
/// Netlink datagrams in one turn.
const DATAGRAMS: usize = 64;
/// Timers wake the process no more often than this: what is due within it is done in one turn. Rounds stay on their grid.
const GAP: Duration = Duration::from_millis(4);
/// Longest rest after a turn in which long answers were read.
const REST: Duration = Duration::from_millis(5);
/// The kernel's table is looked at this often: what somebody else took out comes back.
const AUDIT: Duration = Duration::from_secs(10);

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    child::live(options, "Keepalived_healthcheckers", "checker", |signals| {
        Ok(Role::start(options, signals)?.map_or(0, |mut role| role.run()))
    })
}

struct Role {
    parent: Parent,
    signals: Signals,
    reactor: Reactor,
    mirror: Mirror,
    /// There is more to read of it.
    more_addresses: bool,
    /// The VRRP child.
    brother: Option<Brother>,
    /// The BFD child.
    bfd: Option<Brother>,
    pool: Pool,
    plan: Plan,
    /// The VRRP child runs, or not, whatever the file says.
    vrrp: Option<bool>,
    /// Orders that came before there was a configuration, or in one go with it.
    early: Vec<Order>,
    /// Virtual servers whose quorum is to be told to the VRRP child.
    quorums: BTreeSet<String>,
    teller: Teller,
    probes: Probes,
    programs: Programs,
    /// Programs of checks that run.
    scripts: HashMap<u64, ProbeId>,
    balancer: Balancer,
    groups: Groups,
    record: Record,
    counted: Counted,
    /// -x: counters are told of.
    snmp: bool,
    watcher: Option<Watcher>,
    numbers: Numbers,
    /// Addresses of this host, as told to the pool.
    addresses: BTreeSet<IpAddr>,
    out: Vec<Output>,
    leaving: Leaving,
    stopped: bool,
    /// -u.
    mask: Option<u32>,
    /// -I.
    keep_tables: bool,
    beat: Time,
    /// When a sign of life is due in the middle of a turn.
    breath: Time,
    audit: Time,
    /// When the pool was last asked for what is due.
    polled: Time,
    /// Until when nobody reads on who has had his first bytes.
    rested: Time,
    /// When memory that was needed for the start is given back.
    trim: Option<Time>,
    late: Duration,
    eager: schedule::Eager,
    /// When this process began.
    born: Time,
    /// Since when a successor is wanted.
    wanted: Option<Time>,
    /// A successor is wanted.
    succession: bool,
}

/// A sign of life where one is due: a large table takes its time, and a parent that hears nothing ends us.
/// The duties of a beat, which a turn sees to, have a time of their own.
fn breathe(parent: &mut Parent, breath: &mut Time) {
    let t = now();
    if t >= *breath {
        parent.say(Message::Heartbeat { late: 0 });
        *breath = t + BEAT;
    }
}

/// Whether the VRRP child runs, where the options decide it.
fn vrrp_runs(options: &Options) -> Option<bool> {
    if options.check_only { Some(false) } else { options.all.then_some(true) }
}

/// What the role runs from. `vrrp`: what the options say of the VRRP child.
fn plan(config: &Config, vrrp: Option<bool>) -> Plan {
    let mut plan = crate::vrrp::plan_of(config);
    // It starts the reader of the FIFO that both write to; where it does not run nobody else would.
    if !vrrp.unwrap_or(!config.instances.is_empty() || !config.statics.is_empty()) {
        for fifo in &mut plan.lvs_fifos {
            let common = plan.fifos.iter().find(|f| f.path == fifo.path).and_then(|f| f.reader.clone());
            fifo.reader = fifo.reader.take().or(common);
            plan.programs[1] |= fifo.reader.is_some();
        }
    }
    plan.written = std::mem::take(&mut plan.written).with_services(config);
    plan
}

impl Role {
    /// Waits for what the parent has to say, then builds everything. `None` when there is nothing to run after all: then what an
    /// earlier life left in the kernel has been taken away.
    fn start(options: &Options, signals: Signals) -> io::Result<Option<Role>> {
        let mut reactor = Reactor::new()?;
        let mut parent = Parent::new(options)?;
        parent.register(&reactor)?;
        let mut snapshots: Vec<Snapshot> = Vec::new();
        let mut left = Left::default();
        let mut teller = Teller::default();
        let mut ready = Vec::new();
        let mut config: Option<Config> = None;
        let mut early: Vec<Order> = Vec::new();
        let (mut stop, mut configs) = (false, 0);
        while config.is_none() && (!stop || options.withdraw) {
            reactor.wait(Some(now() + BEAT), false, &mut ready)?;
            parent.say(Message::Heartbeat { late: 0 });
            for order in parent.orders() {
                match order {
                    Order::Config(bytes) => {
                        config = Some(decode(&bytes).map_err(io::Error::other)?);
                        configs += 1;
                    }
                    Order::Message(Message::Keep { key, bytes }) if teller.inherit(&key, &bytes) => {}
                    Order::Message(Message::Keep { key, bytes }) if left.adopt(&key, &bytes) => {}
                    Order::Message(Message::Keep { key, bytes }) => match decode_kept::<Snapshot>(&bytes) {
                        Ok(snapshot) => {
                            left.stale.extend((snapshot.key() != key).then_some(key));
                            snapshots.push(snapshot);
                        }
                        Err(_) => left.stale.push(key),
                    },
                    Order::Gone if options.withdraw && config.is_none() => return Ok(None),
                    Order::Message(Message::Stop { .. }) | Order::Gone => stop = true,
                    // What the parent has said yes to is done when there is somebody to do it.
                    Order::Message(m @ (Message::Drain { .. } | Message::Act(_) | Message::Dump(_))) => {
                        early.push(Order::Message(m));
                    }
                    Order::Message(_) => {}
                }
            }
        }
        // Who rehearses has nothing: what it was told of is another's, who lives.
        if options.rehearse && stop {
            return Ok(None);
        }
        let config = config.unwrap_or_default();
        let vrrp = vrrp_runs(options);
        let plan = plan(&config, vrrp);
        let namespace = plan.checker_namespace.as_deref();
        enter_namespace(namespace, options.record.as_deref().filter(|_| !options.keep_ipvs))?;
        let mut record = Record::open(options.record.clone(), namespace, &mut left);
        if options.withdraw || stop {
            if !options.keep_ipvs && left.withdraw(&config) {
                record.remove();
            }
            return Ok(None);
        }
        let Left { services, sync, limits, mut groups, handed, whole, stale } = left;
        stale.into_iter().for_each(|key| parent.say(Message::Keep { key, bytes: Vec::new() }));
        groups.configure(&config);
        let mut beat = now();
        let pools: Pools = translate::pool(&config, &groups.assigned);
        breathe(&mut parent, &mut beat);
        let settings = translate::balancer(&config);
        drop(config);
        crate::vrrp::be_scheduled(&plan.checker_scheduling);
        if options.rehearse {
            schedule::usual();
        }
        plan.names[1].iter().for_each(|name| schedule::name(name));
        reactor.watch(signals.fd(), SIGNALS)?;
        let mirror = Mirror::of_addresses(plan.checker_buffers.monitor)?;
        reactor.watch(mirror.fd(), MIRROR)?;
        let (brother, bfd) = (Brother::new(options, 0), Brother::new(options, 1));
        for (b, token) in [(&brother, BROTHER), (&bfd, BFD)] {
            if let Some(b) = b {
                b.register(&reactor, token)?;
            }
        }
        let programs = Programs::new(options);
        programs.register(&reactor, PROGRAMS)?;
        let t = now();
        let mut out = Vec::new();
        let balancer = Balancer::open(services, sync, limits, plan.checker_buffers.command);
        // What former lives knew was forgotten, since it may have ended one of them.
        if whole && snapshots.is_empty() {
            snapshots = deduced(&pools, |key| balancer.present(key));
            let down = snapshots.iter().filter(|s| matches!(s, Snapshot::Server { up: false, .. })).count();
            if down > 0 {
                log::info!("not in the kernel's tables, and down until their next check: {down} of our servers");
            }
        }
        let pool = Pool::restore(pools, &snapshots, t.as_nanos(), t, &mut out);
        breathe(&mut parent, &mut beat);
        let mut role = Role {
            parent,
            signals,
            reactor,
            mirror,
            more_addresses: false,
            brother,
            bfd,
            pool,
            plan,
            vrrp,
            early,
            quorums: BTreeSet::new(),
            teller,
            probes: Probes::new(PROBES),
            programs,
            scripts: HashMap::new(),
            counted: Counted::default(),
            snmp: options.snmp,
            balancer,
            groups,
            record,
            watcher: None,
            numbers: Numbers::default(),
            addresses: BTreeSet::new(),
            out,
            leaving: Leaving::default(),
            stopped: false,
            mask: options.umask,
            keep_tables: options.keep_ipvs,
            beat,
            breath: beat,
            audit: t + AUDIT,
            polled: t,
            rested: t,
            trim: Some(t + SETTLED),
            late: Duration::ZERO,
            eager: Default::default(),
            born: t,
            wanted: None,
            succession: false,
        };
        let places = crate::places::of(options, role.written(), role.plan.lvs_fifos.iter().map(|f| f.path.as_path()));
        if options.rehearse {
            confine(options, &steadfast_sys::sandbox::CHECKER, &places);
            // Nothing of what comes out is carried out.
            role.pool.poll(now(), &mut role.out);
            if options.testify {
                role.say_status();
                role.parent.flush_at_the_end();
            }
            return Ok(None);
        }
        if let Some(why) = role.balancer.trouble() {
            log::error!("IPVS: {why}; servers are checked, nothing is balanced");
        }
        role.balancer.configure(settings, !handed);
        role.configure();
        role.learn_addresses()?;
        confine(options, &steadfast_sys::sandbox::CHECKER, &places);
        let t = now();
        role.pool.poll(t, &mut role.out);
        breathe(&mut role.parent, &mut role.breath);
        // Whoever waits for the service waits for the table; what is said and kept of ten thousand servers takes as long as they do.
        let is_table = |o: &mut Output| matches!(o, Output::Table(_));
        let tables: Vec<Output> = role.out.extract_if(.., is_table).collect();
        tables.into_iter().for_each(|o| role.do_one(t, o));
        role.keep_ours();
        role.act(t);
        role.parent.say(Message::Keep { key: WHOLE.into(), bytes: vec![1] });
        (0..configs).for_each(|_| role.parent.say(Message::Ready));
        Ok(Some(role))
    }

    /// The addresses of the host at the start, for at most a second.
    fn learn_addresses(&mut self) -> io::Result<()> {
        let limit = now() + Duration::from_secs(1);
        let (mut ready, mut events) = (Vec::new(), Vec::new());
        while !self.mirror.settled() && now() < limit {
            self.mirror.read(DATAGRAMS, &mut events)?;
            if !self.mirror.settled() {
                self.reactor.wait(Some(now() + Duration::from_millis(20)), false, &mut ready)?;
            }
        }
        self.tell_addresses(now());
        Ok(())
    }

    /// What netlink has, in portions: more may come than a turn has time for.
    fn read_addresses(&mut self, t: Time) {
        self.more_addresses = self.mirror.read(DATAGRAMS, &mut Vec::new()).unwrap_or_default();
        // While all is read anew some are not known yet.
        if !self.more_addresses && self.mirror.settled() {
            self.tell_addresses(t);
        }
    }

    fn tell_addresses(&mut self, t: Time) {
        let present: BTreeSet<IpAddr> =
            self.mirror.links().flat_map(|l| l.addresses.iter().map(|c| c.address)).collect();
        for a in present.difference(&self.addresses) {
            self.pool.handle(t, Input::Address(*a, true), &mut self.out);
        }
        for a in self.addresses.difference(&present) {
            self.pool.handle(t, Input::Address(*a, false), &mut self.out);
        }
        self.addresses = present;
    }

    /// Files that this process writes as long as it lives.
    fn written(&self) -> impl Iterator<Item = &std::path::Path> {
        [self.plan.checker_dump.as_path()].into_iter()
    }

    fn configure(&mut self) {
        self.programs.safe = self.plan.safe_programs;
        self.programs.groups = self.plan.supplementary_groups;
        if self.plan.programs[1] {
            self.parent.say(Message::Runner { hangs: false });
        }
        self.teller.configure(&self.plan.lvs_fifos, &mut self.programs);
        self.teller.kept().into_iter().for_each(|message| self.parent.say(message));
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
            if let Err(e) = watcher.add(&f.path) {
                log::error!("track_file {}: cannot watch {}: {e}", f.name, f.path.display());
            }
            self.pool.handle(t, Input::File(&f.name, self.numbers.read(&f.path)), &mut self.out);
        }
        if self.reactor.watch(watcher.fd(), FILES).is_ok() {
            self.watcher = Some(watcher);
        }
    }

    /// Nothing is lost, and it is not too soon.
    fn may_hand_over(&mut self, t: Time) -> bool {
        let wanted = *self.wanted.get_or_insert(t);
        let at = self.born + crate::places::PAUSE;
        t >= at && (t >= wanted.max(at) + crate::places::PATIENCE || !self.teller.has_more_to_say())
    }

    fn run(&mut self) -> i32 {
        let mut ready: Vec<Ready> = (0..=MARKS).map(Ready::perhaps).collect();
        self.turn(now(), &ready);
        while !self.stopped {
            let due = self.pool.poll_at().unwrap_or(Time::FAR).max(self.polled + GAP).min(self.beat).min(self.audit);
            let due = due.min(self.leaving.at());
            let due = if self.probes.waits() { due.min(self.rested) } else { due };
            if let Err(e) = self.reactor.wait(Some(due), self.more_addresses, &mut ready) {
                log::error!("event loop: {e}");
                return 1;
            }
            self.turn(due, &ready);
            if self.succession && !self.stopped && self.may_hand_over(now()) {
                log::info!("The file names what this process has given up: a successor takes over");
                self.parent.flush_at_the_end();
                return crate::places::SUCCESSION;
            }
        }
        let limit = now() + Duration::from_secs(1);
        while now() < limit && (self.teller.busy() || self.teller.mailing() || !self.teller.read_out()) {
            if self.reactor.wait(Some(now() + Duration::from_millis(5)), false, &mut ready).is_err() {
                break;
            }
            self.take_signals(now());
            self.take_ends(now());
        }
        self.teller.close_fifos();
        self.teller.stop_readers(&mut self.programs);
        let limit = now() + LAST_WORDS;
        while !self.parent.flush() && now() < limit {
            if self.reactor.wait(Some(now() + Duration::from_millis(5)), false, &mut ready).is_err() {
                break;
            }
        }
        log::info!("Stopped Healthcheck child process");
        0
    }

    /// One turn: signals, probes, netlink, pipes, due timers.
    fn turn(&mut self, due: Time, ready: &[Ready]) {
        let t = now();
        let late = t.since(due);
        self.late = self.late.max(late);
        self.eager.late(late, self.plan.checker_scheduling.raise, self.plan.checker_scheduling.realtime);
        self.pool.paused(late, t, &mut self.out);
        for r in ready {
            match r.token {
                SIGNALS => self.take_signals(t),
                MIRROR => self.read_addresses(t),
                FILES => self.changed_files(t),
                BROTHER => self.hear_brother(t),
                PROGRAMS => self.take_ends(t),
                BFD => self.hear_sessions(t),
                MARKS => self.groups.readable(t),
                n if n < SIGNALS => {
                    self.parent.flush();
                    self.orders(t);
                }
                _ => self.probes.ready(r, t, &mut self.pool, &mut self.out),
            }
            self.act(t);
        }
        if std::mem::take(&mut self.more_addresses) {
            self.read_addresses(t);
            self.act(t);
        }
        let mut share = if t < self.rested { 0 } else { probes::SHARE };
        let reads = share > 0;
        while share > 0
            && let Some(cost) = self.probes.go_on(t, &mut self.pool, &mut self.out)
        {
            share = share.saturating_sub(cost);
            self.act(t);
        }
        if reads && self.probes.waits() {
            // As long as it took: who always wants the processor has it late when a check is due.
            let end = now();
            self.rested = end + end.since(t).min(REST);
        }
        if self.leaving.is_due(t) {
            self.pool.handle(t, Input::Stop { keep_tables: self.keep_tables }, &mut self.out);
            self.act(t);
        }
        // What has come is read before anybody is judged by what has not.
        if !self.stopped {
            self.pool.hold_scripts(self.programs.unknown(t), t);
            self.pool.poll(t, &mut self.out);
            self.polled = t;
            self.act(t);
        }
        if t >= self.beat {
            self.found_files(t);
            let late = u64::try_from(std::mem::take(&mut self.late).as_micros()).unwrap_or(u64::MAX);
            self.parent.say(Message::Heartbeat { late });
            self.teller.flush();
            self.groups.repair(t);
            if self.programs.hangs(t) {
                self.parent.say(Message::Runner { hangs: true });
            }
            if self.trim.take_if(|at| *at <= t).is_some() {
                schedule::give_memory_back();
            }
            self.beat = t + BEAT;
            self.breath = self.beat;
        }
        if t >= self.audit {
            self.balancer.audit();
            self.audit = t + AUDIT;
        }
        // After the stop nothing is put there any more, also not what this turn had still to do.
        if !self.stopped {
            self.keep_ours();
        }
    }

    /// Before the kernel is told, so that a successor knows whose services they are.
    fn keep_ours(&mut self) {
        for _ in 0..2 {
            self.parent.say_all(self.record.news(&mut self.balancer, &mut self.groups));
            let (parent, breath) = (&mut self.parent, &mut self.breath);
            self.balancer.flush(&mut || breathe(parent, breath));
        }
        if let Some(fd) = self.groups.flush()
            && let Err(e) = self.reactor.watch(fd, MARKS)
        {
            log::error!("nftables: cannot watch its socket: {e}");
        }
    }

    fn take_signals(&mut self, t: Time) {
        while let Some(signal) = self.signals.next() {
            if signal == 15 {
                self.parent.mourn();
                // Of the parent's death the kernel tells once for each thread that it had: that is nobody's impatience.
                if self.parent.lives() {
                    self.leaving.signal(t);
                } else {
                    self.leaving.abandoned(t);
                }
            }
        }
    }

    /// Programs that have ended.
    fn take_ends(&mut self, t: Time) {
        for (job, end, said) in self.programs.ended() {
            if self.teller.ended(job, &end) {
                continue;
            }
            if let Some(id) = self.scripts.remove(&job) {
                let (end, said) = match end {
                    JobEnd::Exited(s) => (ScriptEnd::Exited(s), said),
                    JobEnd::Signalled(s) => (ScriptEnd::Signalled(s), said),
                    JobEnd::NotStarted(why) => (ScriptEnd::NotStarted, why),
                    JobEnd::Unable(why) => (ScriptEnd::Unable, why),
                };
                self.pool.handle(t, Input::ScriptEnded(id, end, &said), &mut self.out);
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
                self.pool.handle(t, Input::File(&f.name, value), &mut self.out);
            }
        }
    }
}
