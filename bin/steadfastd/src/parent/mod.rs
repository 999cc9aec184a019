//! The parent: starts roles, watches them, relays configurations that it does not read, keeps what a successor needs.

mod begin;
mod control;
mod core_pattern;
mod deaths;
mod dump;
mod ends;
mod newcomer;
mod observers;
mod paths;
mod reading;
mod role;
mod runners;
mod scheduled;
mod script;
pub mod upgrade;

use crate::child::{ANNOUNCER, SETTLED, start_logging};
use crate::cli::{COMPATIBLE, Options};
use crate::events;
use control::{CONTROL, Control};
use paths::{is_child, is_orphan};
use role::Role;
use script::{Manner, run_script};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Assembler, Dump, Envelope, Facts, Message, parse};
use steadfast_net::announce::Announcer;
use steadfast_supervisor::{End, Memory, Sequel, UNTIL_RELOAD, Watch};
use steadfast_sys::given::Given;
use steadfast_sys::pidfile::PidFile;
use steadfast_sys::pipe::{self, PACKET, Packet, Reader};
use steadfast_sys::schedule::{self, Background, Tell};
use steadfast_sys::signals::{JSON, STATS_CLEAR, Signals};
use steadfast_sys::spawn::{self, Spec};
use steadfast_sys::{Reactor, files, hang, logging, now};

const SIGNALS: usize = 0;
const LOADER: usize = 1;
/// What a new program writes.
const NEWCOMER: usize = 3;
/// Runners can be told more.
const RUNNERS: usize = 4;
/// Tokens of role n are ROLES + 2n (reading) and ROLES + 2n + 1 (writing).
const ROLES: usize = 10;

/// A child that could not be started so many times in a row, a second apart, is silent for longer than peers wait.
const HOPELESS: u32 = 3;
/// A configuration is read within this.
const READING: Duration = Duration::from_secs(60);
/// Orphans of an earlier daemon have this long to hand over.
const FORMER: Duration = Duration::from_secs(3);
/// A child of an older program that has no successor has this long to leave in order, at most.
const FORMER_STOP: Duration = Duration::from_secs(10);
/// What a daemon does after its children have ended takes no longer than this, besides its shutdown script: it takes away what two of
/// them left, with two attempts of seven seconds each.
const ENDING: Duration = Duration::from_secs(30);
/// A child needs this long for its last words.
const LAST_WORDS: Duration = Duration::from_millis(1800);

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;

/// A reading of the configuration that is under way.
struct Loading {
    pid: i32,
    reader: Reader,
    facts: Option<Facts>,
    assembler: Assembler,
    config: Option<Vec<u8>>,
    /// The text, to be saved.
    saved: Vec<u8>,
    /// The programs that it names.
    programs: Vec<u8>,
    /// What it reports of what it reads.
    reports: Vec<u8>,
    reload: bool,
    /// It is that of a new program, whose messages may be of another shape.
    upgrade: bool,
    /// It is the new program's rehearsal, after its loader.
    rehearsal: bool,
    /// It has said something.
    spoke: bool,
    /// What it writes, of a new program.
    newcomer: Option<newcomer::Newcomer>,
    /// It was ended because it took too long.
    overdue: bool,
    /// It is ended then: a file system that hangs must not stand in the way of every later reload.
    until: Time,
}

struct Daemon {
    options: Options,
    reactor: Reactor,
    signals: Signals,
    background: Background,
    facts: Facts,
    /// What holds of [`Facts::fixed`]: as it was at the start.
    fixed: Vec<(String, String)>,
    config: Vec<u8>,
    /// Programs that the last configurations name, for runners.
    programs: Vec<Vec<u8>>,
    roles: Vec<Role>,
    loading: Option<Loading>,
    /// Gets the text of the first reading.
    given: Option<Given>,
    reload_again: bool,
    /// The reading under way is that of this program before another one takes over: a file that a reload would refuse must not come
    /// in by an upgrade.
    then_upgrade: bool,
    /// The operator wants the next reload also with faults.
    force_reload: Option<u64>,
    /// An older program was here before.
    adopted: bool,
    /// A stop is under way: the exit status, and when patience ends.
    stopping: Option<(i32, Time)>,
    /// Children were told a second time to stop.
    pressed: bool,
    /// In a stop: the checker was told that the VRRP child is gone.
    released: bool,
    killed: bool,
    pid_file: Option<PidFile>,
    /// No other daemon is there: what is beside the pid file is ours.
    begun_in_order: bool,
    /// One for each role.
    runners: Vec<runners::Runner>,
    /// What each child reads of the others and writes to them, in the order of the roles. They outlive all.
    brothers: Option<[Vec<(pipe::Reader, pipe::Writer)>; 3]>,
    /// The VRRP child's, which all its lives have: a process that is the last to have such a socket ends slowly.
    announcer: Option<Announcer>,
    epoch: u64,
    announced: bool,
    /// Configurations that were taken over.
    readings: u64,
    log_text: &'static str,
    control: Control,
    scheduled: scheduled::Scheduled,
    begun: Time,
    /// Since when a daemon runs here without a stop, under earlier programs, too, by the clock.
    runs_since: Option<f64>,
    /// When what was needed for a start or a reload is given back.
    trim: Option<Time>,
}

/// Runs the daemon; returns its exit status.
pub fn run(options: Box<Options>) -> i32 {
    if !schedule::may_administrate_network() {
        eprintln!("Insufficient permissions: CAP_NET_ADMIN and CAP_NET_RAW are needed");
        return 4;
    }
    // A new program finds something else under that number.
    let given = match options.config_fd.filter(|_| options.handover.is_none()).map(|n| (n, Given::take(n))) {
        None => None,
        Some((_, Ok(given))) => Some(given),
        Some((n, Err(e))) => {
            eprintln!("--config-fd={n}: {}", steadfast_core::text::plain(&e.to_string()));
            None
        }
    };
    let background = if options.dont_fork || options.handover.is_some() {
        Background::none()
    } else {
        let given =
            [Some(&options.file), options.pid.as_ref(), options.vrrp_pid.as_ref(), options.checkers_pid.as_ref()];
        match schedule::daemonise(given.into_iter().flatten().any(|p| p.is_relative())) {
            Ok(b) => b,
            Err(e) => {
                eprintln!("cannot go into the background: {e}");
                return 1;
            }
        }
    };
    let (signals, reactor) = match (Signals::new(), Reactor::new()) {
        (Ok(s), Ok(r)) => (s, r),
        (Err(e), _) | (_, Err(e)) => {
            eprintln!("cannot start: {e}");
            return 1;
        }
    };
    start_logging(&options, "Keepalived");
    schedule::adopt_orphans();
    schedule::core_dumps(options.core_dump);
    if let Some(mask) = options.umask {
        schedule::umask(mask);
    }
    let quoted: Vec<String> = std::env::args().map(|a| format!("'{a}'")).collect();
    log::info!("Starting Keepalived v{COMPATIBLE} (steadfast {})", env!("CARGO_PKG_VERSION"));
    log::info!("Running on {}", schedule::kernel());
    log::info!("Command line: {}", quoted.join(" "));
    log::info!("Configuration file {}", options.file.display());
    script::heed_unit(options.host_scripts);
    if let Some(name) = &options.namespace
        && let Err(e) = schedule::enter_network_namespace(name)
    {
        log::error!("cannot enter network namespace {name}: {e}");
        logging::flush(Duration::from_secs(1));
        return 1;
    }
    let respawn = !options.dont_respawn;
    let mut daemon = Daemon {
        options: *options,
        reactor,
        signals,
        background,
        facts: Facts::default(),
        fixed: Vec::new(),
        config: Vec::new(),
        programs: Vec::new(),
        roles: vec![
            Role::new("vrrp", "VRRP", Memory::Brief, respawn),
            Role::new("checker", "Healthcheck", Memory::Lasting, respawn),
            Role::new("bfd", "BFD", Memory::Sessions, respawn),
            Role::new("dbus", "D-Bus", Memory::Nothing, respawn),
            Role::new("snmp", "SNMP", Memory::Nothing, respawn),
        ],
        loading: None,
        given,
        reload_again: false,
        then_upgrade: false,
        force_reload: None,
        adopted: false,
        stopping: None,
        pressed: false,
        released: false,
        killed: false,
        pid_file: None,
        begun_in_order: false,
        brothers: None,
        runners: Vec::new(),
        epoch: 0,
        announced: false,
        announcer: None,
        readings: 0,
        log_text: "Stopped",
        control: Control::default(),
        scheduled: Default::default(),
        begun: now(),
        runs_since: None,
        trim: None,
    };
    let status = daemon.run();
    for role in &mut daemon.roles {
        role.remove_pid_file();
    }
    // What is left in the folder of the namespace is another daemon's.
    if daemon.begun_in_order {
        daemon.restore_core_pattern();
    }
    let folder = daemon.pid_file.as_ref().and_then(|_| daemon.namespace_folder());
    drop(std::mem::take(&mut daemon.control));
    if let Some(file) = daemon.pid_file.take() {
        file.remove();
    }
    folder.into_iter().for_each(|path| drop(std::fs::remove_dir(path)));
    log::info!("{} Keepalived v{COMPATIBLE} (steadfast {})", daemon.log_text, env!("CARGO_PKG_VERSION"));
    logging::flush(Duration::from_secs(2));
    daemon.background.done(u8::try_from(status).unwrap_or(1));
    status
}

impl Daemon {
    fn run(&mut self) -> i32 {
        if let Err(e) = self.reactor.watch(self.signals.fd(), SIGNALS) {
            log::error!("cannot watch signals: {e}");
            return 1;
        }
        if let Some(fd) = self.options.handover {
            self.take_over(fd);
        }
        self.load(false);
        let mut ready = Vec::new();
        loop {
            let t = now();
            if let Some(status) = self.timers(t) {
                return status;
            }
            if let Err(e) =
                self.reactor.wait(Some(t + Duration::from_millis(500)).min(self.next_due()), false, &mut ready)
            {
                log::error!("event loop: {e}");
                return 1;
            }
            for r in &ready {
                match r.token {
                    SIGNALS | RUNNERS => {}
                    LOADER => self.read_loader(),
                    NEWCOMER => self.loading.iter_mut().filter_map(|l| l.newcomer.as_mut()).for_each(|n| n.hear()),
                    scheduled::WATCHER => self.reload_time_changed(),
                    n if n >= CONTROL - 1 => self.control_ready(n, now()),
                    n => {
                        if let Some(role) = self.roles.get_mut((n - ROLES) / 2) {
                            role.flush();
                            role.read(now());
                            role.flush();
                        }
                    }
                }
            }
            self.serve_observers(now());
            self.tell_clients(now());
            self.start_runners(now());
            while let Some(signal) = self.signals.next() {
                if let Some(status) = self.signal(signal) {
                    return status;
                }
            }
        }
    }

    fn next_due(&self) -> Option<Time> {
        let roles = self.roles.iter().filter_map(|r| r.ward.due());
        let others = self.clients_due(now()).into_iter().chain(self.runners_due()).chain(self.reload_due());
        let others = others.chain(self.observers_due());
        roles.chain(others).min().or(Some(Time::FAR))
    }

    fn signal(&mut self, signal: i32) -> Option<i32> {
        match signal {
            SIGHUP => {
                if self.loading.is_some() {
                    self.reload_again = true;
                } else if self.stopping.is_none() && upgrade::program().is_some_and(|(_, other)| other) {
                    log::info!("Reloading ...");
                    log::info!("the program's file has been replaced, so the reload is an upgrade");
                    self.try_upgrade();
                } else if self.stopping.is_none() {
                    log::info!("Reloading ...");
                    schedule::tell_manager(Tell::Reloading);
                    self.load(true);
                }
            }
            SIGINT if self.options.ignore_sigint => {}
            SIGTERM | SIGINT => {
                log::info!(MESSAGE_ID = events::STOPPING; "Stopping");
                self.stop(0);
            }
            SIGUSR1 => self.dump(Dump::Data, now()),
            SIGUSR2 => self.dump(Dump::Stats, now()),
            JSON => self.dump(Dump::Json, now()),
            STATS_CLEAR => self.dump(Dump::StatsClear, now()),
            SIGCHLD => return self.reap(),
            _ => {}
        }
        None
    }

    /// How a role is started: this program again, under its own name.
    fn spec(&self, role: &str, descriptors: Vec<i32>) -> Spec {
        let list = descriptors.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let mut argv: Vec<std::ffi::OsString> = vec!["/proc/self/exe".into()];
        argv.extend(self.options.words.iter().map(Into::into));
        let parent = schedule::pid().to_string();
        let epoch = self.epoch.to_string();
        argv.extend(["--role", role, "--descriptors", &list, "--epoch", &epoch, "--parent", &parent].map(Into::into));
        // Later lives know by their predecessor what was; one that was silent has been succeeded by a peer.
        if role == "vrrp" && !self.adopted && self.roles.first().is_some_and(|r| r.ward.is_first()) {
            argv.push("--first-life".into());
        }
        // A program of before that word is told it only where it is needed.
        let ident = self.ident();
        if !ident.is_empty() {
            argv.extend(["--ident".into(), ident.into()]);
        }
        if let Some(record) = self.record(role) {
            argv.extend(["--record".into(), record.into()]);
        }
        Spec {
            argv,
            argv0: std::env::args_os().next(),
            keep: descriptors,
            output: true,
            die_with_us: true,
            ..Default::default()
        }
    }

    /// How the daemon's own scripts are started.
    fn manner(&self) -> Manner {
        Manner {
            safe: self.facts.safe_programs,
            by_descriptor: self.facts.by_descriptor,
            host: self.options.host_scripts,
        }
    }

    /// What the log's identifier ends with: where the daemon lives, and what it is called.
    fn ident(&self) -> String {
        let namespace = self.facts.namespace.as_ref().or(self.options.namespace.as_ref());
        namespace.into_iter().chain(&self.facts.instance).map(|name| format!("_{name}")).collect()
    }

    /// There is somebody to speak of.
    fn children_wanted(&self) -> bool {
        self.wanted("vrrp") || self.wanted("checker")
    }

    /// Those that do the work, without those that look on.
    fn children(&self) -> impl Iterator<Item = &Role> {
        self.roles.iter().filter(|r| !r.ward.is_observer())
    }

    fn wanted(&self, role: &str) -> bool {
        match role {
            "vrrp" => (self.facts.vrrp || self.options.all) && !self.options.check_only,
            "bfd" => (self.facts.bfd || self.options.all) && !self.options.no_bfd,
            "dbus" => self.facts.dbus && self.wanted("vrrp") && cfg!(feature = "dbus"),
            "snmp" => (self.facts.snmp || self.options.snmp) && self.children_wanted() && cfg!(feature = "snmp"),
            _ => (self.facts.checker || self.options.all) && !self.options.vrrp_only,
        }
    }

    fn start_wanted(&mut self) {
        if self.brothers.is_none() {
            self.brothers = brothers().ok();
        }
        self.prepare_runners();
        let patience = self.former_patience();
        for n in 0..self.roles.len() {
            let Some(role) = self.roles.get(n) else { continue };
            let wanted = self.wanted(role.name);
            let due = wanted && role.pid.is_none() && role.ward.due().is_none();
            if let Some(role) = self.roles.get_mut(n) {
                if wanted {
                    role.end_former();
                } else {
                    role.dismiss_former(now(), patience);
                }
            }
            if !wanted {
                self.withdraw_dead(n);
                self.roles.get_mut(n).filter(|r| !r.lives()).into_iter().for_each(Role::dismissed);
            }
            if due {
                self.start(n);
            }
        }
    }

    /// A child of an older program that has no successor has this long to leave in order.
    fn former_patience(&self) -> Duration {
        Duration::from_secs(self.facts.child_wait.max(2)).min(FORMER_STOP)
    }

    fn start(&mut self, n: usize) {
        let Some(role) = self.roles.get(n) else { return };
        let (name, title) = (role.name, role.title);
        let (Ok((from_child, to_parent)), Ok((from_parent, to_child))) = (pipe::pair(), pipe::pair()) else {
            log::error!("cannot make pipes for {name}");
            self.start_later(n);
            return;
        };
        self.epoch += 1;
        let mut descriptors = vec![from_parent.fd(), to_parent.fd()];
        for (reader, writer) in self.brothers.iter().flat_map(|b| b.get(n)).flatten() {
            descriptors.extend([reader.fd(), writer.fd()]);
        }
        descriptors.resize(6, -1);
        if let Some(r) = self.runners.get(n) {
            descriptors.extend([r.client.0.fd(), r.client.1.fd()]);
        }
        if name == "vrrp" {
            descriptors.resize(ANNOUNCER, -1);
            if self.announcer.is_none() {
                self.announcer = Announcer::open().ok();
            }
            descriptors.extend(self.announcer.as_ref().map(Announcer::fd));
        }
        let spec = self.spec(name, descriptors);
        let pid = match spawn::spawn(&spec) {
            Ok(pid) => pid,
            Err(e) => {
                log::error!("cannot start the {title} child: {e}");
                self.start_later(n);
                return;
            }
        };
        log::info!("Starting {title} child process, pid={pid}");
        let tokens = ROLES + 2 * n;
        let watched = self
            .reactor
            .watch(from_child.fd(), tokens)
            .and_then(|()| self.reactor.watch_both(to_child.fd(), tokens + 1));
        if let Err(e) = watched {
            log::error!("cannot watch the {title} child: {e}");
        }
        if self.announced {
            self.tell_status();
        }
        let pid_path = match name {
            "vrrp" => Some(self.pid_path("vrrp", &self.options.vrrp_pid)),
            "checker" => Some(self.pid_path("checkers", &self.options.checkers_pid)),
            "bfd" => Some(self.pid_path("bfd", &self.options.bfd_pid)),
            _ => None,
        };
        let (epoch, config) = (self.epoch, std::mem::take(&mut self.config));
        let serves = self.announced || self.adopted;
        if let Some(role) = self.roles.get_mut(n) {
            if serves {
                role.ward.joins_others();
            }
            role.started(pid, from_child, to_child, pid_path.as_deref());
            role.tell(|w| w.started(now(), epoch, &config));
        }
        self.config = config;
    }

    /// It could not be started for want of something.
    fn start_later(&mut self, n: usize) {
        if let Some(role) = self.roles.get_mut(n) {
            role.ward.start_later(now(), now() + Duration::from_secs(1));
            role.failed += 1;
            if role.failed == HOPELESS {
                self.cannot_start(n);
            }
        }
    }

    fn ready(&mut self) {
        if !std::mem::replace(&mut self.announced, true) {
            log::info!(MESSAGE_ID = events::STARTED; "Startup complete");
            schedule::tell_manager(Tell::Ready);
            self.tell_status();
        }
    }

    /// In words, for `systemctl status`.
    fn tell_status(&self) {
        let child = |r: &Role| match r.pid {
            Some(pid) if r.ward.watch.total() > 0 => format!("{} {pid} (died {} times)", r.name, r.ward.watch.total()),
            Some(pid) => format!("{} {pid}", r.name),
            None => format!("{} is being started again", r.name),
        };
        let children: Vec<String> = self.roles.iter().filter(|r| self.wanted(r.name)).map(child).collect();
        let reading = match self.control.last_reading {
            Some((_, false)) => "; the last reload was refused",
            _ => "",
        };
        schedule::tell_status(&format!("{}{reading}; steadfast status tells more", children.join(", ")));
    }

    /// What time asks for; the exit status once all is done.
    fn timers(&mut self, t: Time) -> Option<i32> {
        if let Some(l) = self.loading.as_ref().filter(|l| t >= l.until && l.overdue) {
            // A process that waits for a disk does not end, and the next reading must not wait for it.
            log::error!("pid {} does not end: {}; it is left to itself", l.pid, files::whereabouts(l.pid));
            if let Some(status) = self.loaded(spawn::End::Signalled(SIGKILL)) {
                return Some(status);
            }
        }
        if let Some(l) = self.loading.as_mut().filter(|l| t >= l.until) {
            log::error!(
                "{} (pid {}) takes longer than a minute, ending it: {}",
                if l.upgrade { "the new program" } else { "the loader" },
                l.pid,
                files::whereabouts(l.pid)
            );
            spawn::signal(l.pid, SIGKILL);
            l.overdue = true;
            l.until = t + READING;
        }
        self.find_reload_time();
        self.reload_if_due(t);
        if self.trim.take_if(|at| *at <= t).is_some() {
            self.roles.iter_mut().for_each(|r| r.ward.shrink());
            schedule::give_memory_back();
        }
        for n in 0..self.roles.len() {
            let patience = self.former_patience();
            let Some(role) = self.roles.get_mut(n) else { continue };
            role.watch_former(t, patience);
            if role.pid.is_none() && role.ward.due().is_some_and(|at| at <= t) {
                role.ward.is_not_due();
                self.start(n);
                continue;
            }
            let Some(pid) = role.pid else { continue };
            match role.ward.watch(t) {
                Watch::Fine => {}
                Watch::Abort => {
                    let at = trace(pid);
                    log::error!(MESSAGE_ID = events::CHILD_SILENT, CHILD = role.title, CHILD_PID = pid, REASON = at.as_str();
                        "{} child process({pid}) does not answer, ending it: {at}", role.title);
                    spawn::signal(pid, SIGABRT);
                }
                Watch::Kill => spawn::signal(pid, SIGKILL),
                Watch::Stuck => self.stuck(n, pid),
            }
        }
        if self.children().any(|r| r.pid.is_some()) && self.children().all(|r| r.pid.is_none() || r.ward.ready) {
            self.ready();
        }
        // One that waits for its restart waits because we say so. One that is silent is about to be ended: where that fails, the service
        // manager is to begin anew, and where none can be started.
        let fine = |r: &Role| match r.pid {
            Some(_) => !r.ward.watch.was_silent(),
            None => (r.ward.due().is_some() && r.failed < HOPELESS) || !self.wanted(r.name),
        };
        if (self.announced || self.adopted) && self.children().all(fine) {
            schedule::tell_manager(Tell::Alive);
        }
        let (status, until) = self.stopping?;
        // A loader may hang where no signal reaches it.
        let hopeless = self.killed && t > until + Duration::from_secs(1);
        let over = |r: &Role| !r.lives() || (hopeless && r.ward.watch.is_stuck());
        if self.children().all(over) && (self.loading.is_none() || hopeless) {
            self.end_observers();
            // One that was away when the stop came.
            for n in 0..self.roles.len() {
                self.withdraw_dead(n);
            }
            self.end_runners();
            run_script("shutdown_script", &self.facts.shutdown, &self.manner(), || false);
            return Some(status);
        }
        // Whose tables were needed as long as there were addresses need not wait for a child that is gone.
        if !self.roles.iter().any(|r| r.name == "vrrp" && r.lives()) && !std::mem::replace(&mut self.released, true) {
            let keeps = self.options.keeps("checker");
            self.roles.iter_mut().filter(|r| r.name == "checker").for_each(|r| r.tell(|w| w.stop(keeps)));
        }
        // Who still serves because no successor is heard is told not to wait any more, while there is time to leave in order.
        let patience = Duration::from_secs(self.facts.child_wait.max(2));
        if until.since(t) < LAST_WORDS.min(patience / 2) && !std::mem::replace(&mut self.pressed, true) {
            for role in self.roles.iter_mut().filter(|r| !r.ward.is_observer()) {
                let keeps = self.options.keeps(role.name);
                role.tell(|w| w.stop(keeps));
            }
        }
        if t > until && !std::mem::replace(&mut self.killed, true) {
            for pid in self.roles.iter().filter_map(|r| r.pid).chain(self.loading.as_ref().map(|l| l.pid)) {
                log::error!("process {pid} did not stop in time, killing it");
                spawn::signal(pid, SIGKILL);
            }
        }
        None
    }
}

/// Where a process hangs. To look into its memory may take as long as whatever it waits for: that is done aside, and not waited for.
fn trace(pid: i32) -> String {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    let aside = std::thread::Builder::new().spawn(move || drop(tell.send(hang::trace(pid))));
    let said = aside.ok().and_then(|_| told.recv_timeout(Duration::from_millis(500)).ok());
    said.unwrap_or_else(|| files::whereabouts(pid))
}

/// Pipes between all children, both ways.
fn brothers() -> std::io::Result<[Vec<(pipe::Reader, pipe::Writer)>; 3]> {
    let ((a, b), (c, d)) = (pipe::pair()?, pipe::pair()?);
    let ((e, f), (g, h)) = (pipe::pair()?, pipe::pair()?);
    let ((i, j), (k, l)) = (pipe::pair()?, pipe::pair()?);
    // VRRP with the checker: c-b, a-d; VRRP with BFD: g-f, e-h; the checker with BFD: k-j, i-l.
    Ok([vec![(a, d), (e, h)], vec![(c, b), (i, l)], vec![(g, f), (k, j)]])
}
