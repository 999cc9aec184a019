//! The parent: starts roles, watches them, relays configurations that it does not read, keeps what a successor needs.

mod control;
mod dump;
mod role;
mod runners;
mod scheduled;
mod upgrade;

use crate::child::start_logging;
use crate::cli::{COMPATIBLE, Options};
use crate::events;
use control::{CONTROL, Control};
use role::Role;
use std::path::PathBuf;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Assembler, Dump, Envelope, Facts, Message, ParentScript, parse};
use steadfast_supervisor::{End, Memory, Sequel, Watch};
use steadfast_sys::pidfile::{PidError, PidFile};
use steadfast_sys::pipe::{self, PACKET, Packet, Reader};
use steadfast_sys::schedule::{self, Background, Tell};
use steadfast_sys::signals::{JSON, STATS_CLEAR, Signals};
use steadfast_sys::spawn::{self, Spec};
use steadfast_sys::{Reactor, files, logging, now};

const SIGNALS: usize = 0;
const LOADER: usize = 1;
/// Tokens of role n are ROLES + 2n (reading) and ROLES + 2n + 1 (writing).
const ROLES: usize = 10;

/// A configuration is read within this.
const READING: Duration = Duration::from_secs(60);
/// Orphans of an earlier daemon have this long to hand over.
const FORMER: Duration = Duration::from_secs(5);
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
    reload: bool,
    /// It is that of a new program, whose messages may be of another shape.
    upgrade: bool,
    /// It has said something.
    spoke: bool,
    /// It is ended then: a file system that hangs must not stand in the way of every later reload.
    until: Time,
}

struct Daemon {
    options: Options,
    reactor: Reactor,
    signals: Signals,
    background: Background,
    facts: Facts,
    config: Vec<u8>,
    roles: Vec<Role>,
    loading: Option<Loading>,
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
    killed: bool,
    pid_file: Option<PidFile>,
    /// One for each role.
    runners: Vec<runners::Runner>,
    /// What each child reads of the others and writes to them, in the order of the roles. They outlive all.
    brothers: Option<[Vec<(pipe::Reader, pipe::Writer)>; 3]>,
    epoch: u64,
    announced: bool,
    /// Configurations that were taken over.
    readings: u64,
    log_text: &'static str,
    control: Control,
    scheduled: scheduled::Scheduled,
    begun: Time,
}

/// Runs the daemon; returns its exit status.
pub fn run(options: Box<Options>) -> i32 {
    if !schedule::may_administrate_network() {
        eprintln!("Insufficient permissions: CAP_NET_ADMIN and CAP_NET_RAW are needed");
        return 4;
    }
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
        config: Vec::new(),
        roles: vec![
            Role::new("vrrp", "VRRP", Memory::Brief, respawn),
            Role::new("checker", "Healthcheck", Memory::Lasting, respawn),
            Role::new("bfd", "BFD", Memory::Sessions, respawn),
        ],
        loading: None,
        reload_again: false,
        then_upgrade: false,
        force_reload: None,
        adopted: false,
        stopping: None,
        pressed: false,
        killed: false,
        pid_file: None,
        brothers: None,
        runners: Vec::new(),
        epoch: 0,
        announced: false,
        readings: 0,
        log_text: "Stopped",
        control: Control::default(),
        scheduled: Default::default(),
        begun: now(),
    };
    let status = daemon.run();
    for role in &mut daemon.roles {
        role.remove_pid_file();
    }
    if let Some(file) = daemon.pid_file.take() {
        file.remove();
    }
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
                    SIGNALS => {}
                    LOADER => self.read_loader(),
                    scheduled::WATCHER => self.reload_time_changed(),
                    n if n >= CONTROL - 1 => self.control_ready(n, now()),
                    n => {
                        if let Some(role) = self.roles.get_mut((n - ROLES) / 2) {
                            role.flush();
                            role.read(now());
                        }
                    }
                }
            }
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
        let others = self.clients_due().into_iter().chain(self.runners_due()).chain(self.reload_due());
        roles.chain(others).min().or(Some(Time::FAR))
    }

    fn signal(&mut self, signal: i32) -> Option<i32> {
        match signal {
            SIGHUP => {
                if self.loading.is_some() {
                    self.reload_again = true;
                } else if self.stopping.is_none() && upgrade::program().is_some_and(|(_, other)| other) {
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

    /// Starts a loader.
    fn load(&mut self, reload: bool) {
        self.start_loader(reload, false);
    }

    fn start_loader(&mut self, reload: bool, upgrade: bool) {
        self.epoch += 1;
        self.control.reading += u64::from(!upgrade);
        if reload && !upgrade {
            self.mark_reload();
        }
        let Ok((reader, writer)) = pipe::pair() else {
            log::error!("cannot make a pipe for the loader");
            self.not_read(reload);
            return;
        };
        let mut spec = self.spec("loader", vec![writer.fd()]);
        if let Some((path, _)) = upgrade::program().filter(|_| upgrade)
            && let Some(first) = spec.argv.first_mut()
        {
            *first = path.into();
        }
        match spawn::spawn(&spec) {
            Ok(pid) => {
                if self.reactor.watch(reader.fd(), LOADER).is_err() {
                    log::error!("cannot watch the loader");
                }
                self.loading = Some(Loading {
                    pid,
                    reader,
                    facts: None,
                    assembler: Assembler::default(),
                    config: None,
                    saved: Vec::new(),
                    reload,
                    upgrade,
                    spoke: false,
                    until: now() + READING,
                });
            }
            Err(e) => {
                log::error!("cannot start the loader: {e}");
                self.not_read(reload);
            }
        }
    }

    /// A reading could not even begin.
    fn not_read(&mut self, reload: bool) {
        self.then_upgrade = false;
        self.reading_ended(false);
        schedule::tell_manager(Tell::Ready);
        if !reload {
            self.stop(1);
        }
    }

    /// How a role is started: this program again, under its own name.
    fn spec(&self, role: &str, descriptors: Vec<i32>) -> Spec {
        let list = descriptors.iter().map(i32::to_string).collect::<Vec<_>>().join(",");
        let mut argv: Vec<std::ffi::OsString> = vec!["/proc/self/exe".into()];
        argv.extend(self.options.words.iter().map(Into::into));
        let parent = schedule::pid().to_string();
        let epoch = self.epoch.to_string();
        argv.extend(["--role", role, "--descriptors", &list, "--epoch", &epoch, "--parent", &parent].map(Into::into));
        if role == "vrrp" {
            let record = self.pid_path("vrrp", &self.options.vrrp_pid).with_extension("objects");
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

    fn read_loader(&mut self) {
        let Some(l) = &mut self.loading else { return };
        let mut buffer = [0; PACKET];
        while let Packet::Data(n) = l.reader.read(&mut buffer) {
            l.spoke = true;
            if l.upgrade {
                continue;
            }
            match parse(buffer.get(..n).unwrap_or_default()) {
                Ok(Envelope { message: Message::Facts(f), .. }) => l.facts = Some(*f),
                Ok(Envelope { message: Message::Saved(part), .. }) => l.saved.extend(part),
                Ok(Envelope { message: Message::Config { last, bytes }, .. }) => match l.assembler.add(last, &bytes) {
                    Ok(Some(whole)) => l.config = Some(whole),
                    Ok(None) => {}
                    Err(e) => log::error!("configuration from the loader: {e}"),
                },
                Ok(_) => {}
                Err(e) => log::error!("message from the loader: {e}"),
            }
        }
    }

    /// The loader has ended.
    fn loaded(&mut self, end: spawn::End) -> Option<i32> {
        self.read_loader();
        let l = self.loading.take()?;
        self.reactor.forget(l.reader.fd());
        if l.upgrade && self.stopping.is_none() {
            self.upgrade(end, l.spoke);
            if std::mem::take(&mut self.reload_again) {
                self.signal(SIGHUP);
            }
            return None;
        }
        self.unmark_reload();
        if let Some(directory) = l.facts.as_ref().and_then(|f| f.save_dir.as_ref()) {
            scheduled::save(std::path::Path::new(directory), &l.saved);
        }
        let force = l.reload && self.force_reload.take_if(|n| *n <= self.control.reading).is_some();
        if self.stopping.is_some() {
            // A stop came while it was reading: nothing is started any more.
            return None;
        }
        match (end, l.facts, l.config) {
            // A file that is being written looks like this for a moment. Who wants nothing to run stops the daemon.
            (spawn::End::Exited(0), Some(facts), Some(_)) if l.reload && facts.is_empty() && !self.facts.is_empty() => {
                self.refuse("is empty", "");
            }
            // What is mistyped would be left out: an address that serves would go. A fault that ran before is no news.
            (spawn::End::Exited(0), Some(facts), Some(_))
                if l.reload && !force && facts.faults.iter().any(|f| !self.facts.faults.contains(f)) =>
            {
                self.refuse("has new faults", " (steadfast reload --force takes it over all the same)");
            }
            (spawn::End::Exited(0), Some(_), Some(_)) if std::mem::take(&mut self.then_upgrade) => {
                self.start_loader(true, true);
            }
            (spawn::End::Exited(0), Some(mut facts), Some(config)) => {
                if l.reload {
                    self.keep_place(&mut facts);
                }
                steadfast_sys::logging::structured(facts.structured);
                self.facts = facts;
                self.facts.name.iter().for_each(|name| schedule::name(name));
                spawn::keep_supplementary_groups(self.facts.supplementary_groups);
                self.unmark_reload();
                self.watch_reload_time();
                self.config = config;
                self.readings += 1;
                self.reading_ended(true);
                if l.reload {
                    self.apply_reload();
                } else if let Some(status) = self.begin() {
                    return Some(status);
                }
            }
            _ if l.reload => {
                // The running configuration stays, whatever was wrong with the new one.
                self.refuse("cannot be used", "");
            }
            (spawn::End::Exited(status), _, _) => {
                log::error!("the configuration cannot be used");
                return Some(if status == 0 { 1 } else { status });
            }
            (spawn::End::Signalled(s), _, _) => {
                log::error!("the loader was ended by signal {s}");
                return Some(70);
            }
        }
        if std::mem::take(&mut self.reload_again) {
            self.signal(SIGHUP);
        }
        None
    }

    /// First configuration: pid file, namespace, startup script, children.
    fn begin(&mut self) -> Option<i32> {
        if self.options.umask.is_none()
            && let Some(mask) = self.facts.umask
        {
            schedule::umask(mask);
        }
        let path = self.pid_path("keepalived", &self.options.pid);
        match PidFile::lock(&path) {
            Ok(mut file) => {
                if let Err(e) = file.write(schedule::pid()) {
                    log::error!("cannot write {}: {e}", path.display());
                }
                self.pid_file = Some(file);
            }
            Err(PidError::Running) => {
                log::info!("daemon is already running");
                return Some(0);
            }
            Err(PidError::System(e)) => {
                log::error!("cannot make pid file {}: {e}", path.display());
                return Some(1);
            }
        }
        if self.options.namespace.is_none()
            && let Some(name) = self.facts.namespace.clone()
            && let Err(e) = schedule::enter_network_namespace(&name)
        {
            log::error!("cannot enter network namespace {name}: {e}");
            return Some(1);
        }
        self.open_control();
        self.await_former();
        if !self.adopted {
            run_script("startup_script", &self.facts.startup);
        }
        self.start_wanted();
        // All pid files are there when the caller goes on.
        self.background.done(0);
        if self.roles.iter().all(|r| r.pid.is_none()) {
            log::warn!("there is nothing to run in this configuration");
            self.ready();
        }
        None
    }

    fn pid_path(&self, name: &str, option: &Option<PathBuf>) -> PathBuf {
        if let Some(path) = option {
            return path.clone();
        }
        let suffix = self.facts.instance.as_ref().map(|i| format!("_{i}")).unwrap_or_default();
        // Where keepalived's are seen from outside of its own mount namespace.
        if let Some(namespace) = self.options.namespace.as_ref().or(self.facts.namespace.as_ref()) {
            PathBuf::from(format!("/run/keepalived/keepalived_{namespace}/{name}{suffix}.pid"))
        } else if self.facts.pid_directory {
            PathBuf::from(format!("/run/keepalived/{name}{suffix}.pid"))
        } else {
            PathBuf::from(format!("/run/{name}.pid"))
        }
    }

    /// Children of a daemon whose parent died hand over what they hold, and end; they must not meet their successors.
    fn await_former(&self) {
        let files = [("vrrp", &self.options.vrrp_pid), ("checkers", &self.options.checkers_pid)];
        for (name, option) in files {
            let Some(pid) =
                std::fs::read_to_string(self.pid_path(name, option)).ok().and_then(|t| t.trim().parse().ok())
            else {
                continue;
            };
            if self.roles.iter().any(|r| r.pid == Some(pid)) || !is_orphan(pid) || self.adopted {
                continue;
            }
            log::info!("process {pid} of an earlier daemon is still there, waiting for its end");
            let limit = now() + FORMER;
            while is_orphan(pid) && now() < limit {
                std::thread::sleep(Duration::from_millis(10));
            }
            if is_orphan(pid) {
                log::error!("process {pid} of an earlier daemon does not end, killing it");
                spawn::signal(pid, SIGKILL);
            }
        }
    }

    fn wanted(&self, role: &str) -> bool {
        match role {
            "vrrp" => (self.facts.vrrp || self.options.all) && !self.options.check_only,
            "bfd" => (self.facts.bfd || self.options.all) && !self.options.no_bfd,
            _ => (self.facts.checker || self.options.all) && !self.options.vrrp_only,
        }
    }

    fn start_wanted(&mut self) {
        if self.brothers.is_none() {
            self.brothers = brothers().ok();
        }
        self.prepare_runners();
        for n in 0..self.roles.len() {
            let Some(role) = self.roles.get(n) else { continue };
            let wanted = self.wanted(role.name);
            let due = wanted && role.pid.is_none() && role.ward.due().is_none();
            if let Some(role) = self.roles.get_mut(n) {
                role.end_former(wanted);
            }
            if due {
                self.start(n);
            }
        }
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
        if let Some(r) = self.runners.get(n).filter(|_| name != "bfd") {
            descriptors.extend([r.client.0.fd(), r.client.1.fd()]);
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
            "vrrp" => self.pid_path("vrrp", &self.options.vrrp_pid),
            "bfd" => self.pid_path("bfd", &self.options.bfd_pid),
            _ => self.pid_path("checkers", &self.options.checkers_pid),
        };
        let (epoch, config) = (self.epoch, std::mem::take(&mut self.config));
        if let Some(role) = self.roles.get_mut(n) {
            role.started(pid, from_child, to_child, &pid_path);
            role.tell(|w| w.started(now(), epoch, &config));
        }
        self.config = config;
    }

    /// What a process cannot change while it runs stays as it is, and is said to.
    fn keep_place(&self, facts: &mut Facts) {
        let now = (&self.facts.namespace, &self.facts.instance, self.facts.pid_directory);
        if now != (&facts.namespace, &facts.instance, facts.pid_directory) {
            log::warn!("net_namespace, instance and use_pid_dir cannot change at a reload: a restart takes them over");
        }
        facts.namespace.clone_from(&self.facts.namespace);
        facts.instance.clone_from(&self.facts.instance);
        facts.pid_directory = self.facts.pid_directory;
    }

    /// The running configuration stays.
    fn refuse(&mut self, why: &str, hint: &str) {
        self.then_upgrade = false;
        log::error!(MESSAGE_ID = events::RELOAD_REFUSED, REASON = why;
            "the new configuration {why}, keeping the running one{hint}");
        self.reading_ended(false);
        schedule::tell_manager(Tell::Ready);
    }

    /// It could not be started for want of something.
    fn start_later(&mut self, n: usize) {
        if let Some(role) = self.roles.get_mut(n) {
            role.ward.start_later(now() + Duration::from_secs(1));
        }
    }

    /// Takes away what a VRRP process held that is not coming back soon: peers are told, so that they serve, then it goes. A
    /// short-lived process does it. `all`: nobody comes after it.
    fn withdraw(&mut self, n: usize, all: bool) {
        // What has killed one process may kill this one, too: then without it.
        if !self.withdraw_with(n, all, true) {
            self.withdraw_with(n, all, false);
        }
        if let Some(role) = self.roles.get_mut(n).filter(|_| all) {
            role.ward.settled();
        }
    }

    fn withdraw_with(&mut self, n: usize, all: bool, states: bool) -> bool {
        let (Ok((from_us, to_it)), Ok((from_it, to_us))) = (pipe::pair(), pipe::pair()) else { return false };
        self.epoch += 1;
        let mut spec = self.spec("vrrp", vec![from_us.fd(), to_us.fd()]);
        spec.argv.push("--withdraw".into());
        let Ok(pid) = spawn::spawn(&spec) else { return false };
        drop((from_us, to_us));
        let limit = now() + Duration::from_secs(2);
        let words = self.roles.get(n).map(|r| r.ward.words_to_withdraw(self.epoch, &self.config, all, states));
        for f in words.unwrap_or_default() {
            while to_it.write(&f) == Err(pipe::WriteError::Full) && now() < limit {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        let end = spawn::end_of(pid, Duration::from_secs(4));
        if end.is_none() {
            spawn::signal(pid, SIGKILL);
            spawn::wait_for(pid, Duration::from_secs(1));
        }
        drop(from_it);
        end == Some(spawn::End::Exited(0))
    }

    /// A new configuration that could be read.
    fn apply_reload(&mut self) {
        let config = std::mem::take(&mut self.config);
        for n in 0..self.roles.len() {
            let Some(role) = self.roles.get(n) else { continue };
            let (wanted, runs) = (self.wanted(role.name), role.pid.is_some());
            let keep = self.options.dont_release;
            let Some(role) = self.roles.get_mut(n) else { continue };
            match (wanted, runs) {
                (true, true) => role.tell(|w| w.configure(&config)),
                (false, true) => role.tell(|w| w.stop(keep)),
                (false, false) => role.ward.is_not_due(),
                (true, false) => {}
            }
        }
        self.config = config;
        self.start_wanted();
        log::info!(MESSAGE_ID = events::RELOADED; "Reload complete");
        schedule::tell_manager(Tell::Ready);
        self.tell_status();
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

    /// Begins an orderly stop.
    fn stop(&mut self, status: i32) {
        if self.stopping.is_some() {
            return;
        }
        schedule::tell_manager(Tell::Stopping);
        // Nobody can leave in order in no time.
        let patience = Duration::from_secs(self.facts.child_wait.max(2));
        self.stopping = Some((status, now() + patience));
        for role in &mut self.roles {
            role.ward.is_not_due();
            role.tell(|w| w.stop(self.options.dont_release));
        }
    }

    /// Children that have ended.
    fn reap(&mut self) -> Option<i32> {
        while let Some((pid, end)) = spawn::reap() {
            if self.loading.as_ref().is_some_and(|l| l.pid == pid) {
                if let Some(status) = self.loaded(end) {
                    return Some(status);
                }
                continue;
            }
            if self.runner_ended(pid, end) {
                continue;
            }
            let Some(n) = self.roles.iter().position(|r| r.pid == Some(pid)) else { continue };
            self.ended(n, end);
        }
        None
    }

    fn ended(&mut self, n: usize, end: spawn::End) {
        let t = now();
        let stopping = self.stopping.is_some();
        let Some(role) = self.roles.get_mut(n) else { return };
        // What it said last is heard before its pipe is forgotten.
        role.read(t);
        for fd in role.descriptors() {
            self.reactor.forget(fd);
        }
        let pid = role.pid.unwrap_or(0);
        role.gone();
        let (what, end) = match end {
            spawn::End::Exited(s) => (format!("exited with status {s}"), End::Exited(s)),
            spawn::End::Signalled(s) => (format!("exited due to signal {s}"), End::Signalled(s)),
        };
        let title = role.title;
        let sequel = role.ward.ended(t, end, stopping);
        if !matches!(sequel, Sequel::Expected { .. }) {
            log::error!("pid {pid} {what}");
        }
        match sequel {
            Sequel::Expected { withdraw } => {
                if withdraw {
                    log::error!("pid {pid} {what} before it had released everything: its addresses are withdrawn");
                    self.withdraw(n, true);
                }
                if !stopping {
                    // A reload did without it, and another may want it again by now.
                    self.start_wanted();
                }
            }
            Sequel::Restart { delay, forgotten, withdraw } => {
                if forgotten {
                    log::info!("the {title} process starts without its predecessor's state");
                }
                log::error!(MESSAGE_ID = events::CHILD_DIED, CHILD = title, CHILD_PID = pid, REASON = what.as_str();
                    "{title} child process({pid}) died: Respawning");
                if !delay.is_zero() {
                    log::info!("Restart of {title} process delayed {} seconds", delay.as_secs());
                }
                if withdraw {
                    log::error!(MESSAGE_ID = events::WITHDRAWN;
                        "the VRRP process died several times in a row: its addresses are withdrawn until it runs again. Look at \
                         what it logged before, and at what changed: the configuration, the program, the host"
                    );
                    self.withdraw(n, false);
                    if let Some(role) = self.roles.get_mut(n) {
                        // What it said of its states is not so any more.
                        role.ward.said = None;
                    }
                }
                if delay.is_zero() {
                    self.start(n);
                }
            }
            Sequel::Stop { status, withdraw } => {
                if status == 0 {
                    log::error!("{title} child process({pid}) died: Exiting");
                } else {
                    log::error!("{title} child process exited with permanent error {status}. Terminating");
                }
                if withdraw && !self.options.dont_release {
                    self.withdraw(n, true);
                }
                self.stop(status);
            }
        }
    }

    /// What time asks for; the exit status once all is done.
    fn timers(&mut self, t: Time) -> Option<i32> {
        if let Some(l) = self.loading.as_mut().filter(|l| t >= l.until) {
            log::error!(
                "the loader (pid {}) takes longer than a minute, ending it: {}",
                l.pid,
                files::whereabouts(l.pid)
            );
            spawn::signal(l.pid, SIGKILL);
            l.until = t + READING;
        }
        self.reload_if_due(t);
        for n in 0..self.roles.len() {
            let Some(role) = self.roles.get_mut(n) else { continue };
            if role.pid.is_none() && role.ward.due().is_some_and(|at| at <= t) {
                role.ward.is_not_due();
                self.start(n);
                continue;
            }
            let Some(pid) = role.pid else { continue };
            match role.ward.watch(t) {
                Watch::Fine => {}
                Watch::Abort => {
                    let at = files::whereabouts(pid).to_string();
                    log::error!(MESSAGE_ID = events::CHILD_SILENT, CHILD = role.title, CHILD_PID = pid, REASON = at.as_str();
                        "{} child process({pid}) does not answer, ending it: {at}", role.title);
                    spawn::signal(pid, SIGABRT);
                }
                Watch::Kill => spawn::signal(pid, SIGKILL),
            }
        }
        if self.roles.iter().any(|r| r.pid.is_some()) && self.roles.iter().all(|r| r.pid.is_none() || r.ward.ready) {
            self.ready();
        }
        // One that waits for its restart waits because we say so.
        let fine = |r: &Role| r.pid.is_some() || r.ward.due().is_some() || !self.wanted(r.name);
        if self.announced && self.roles.iter().all(fine) {
            schedule::tell_manager(Tell::Alive);
        }
        let (status, until) = self.stopping?;
        if self.roles.iter().all(|r| r.pid.is_none()) && self.loading.is_none() {
            // One that was away when the stop came.
            for n in 0..self.roles.len() {
                if !self.options.dont_release && self.roles.get(n).is_some_and(|r| r.ward.left_something()) {
                    self.withdraw(n, true);
                }
            }
            self.end_runners();
            run_script("shutdown_script", &self.facts.shutdown);
            return Some(status);
        }
        // Who still serves because no successor is heard is told not to wait any more, while there is time to leave in order.
        let patience = Duration::from_secs(self.facts.child_wait.max(2));
        if until.since(t) < LAST_WORDS.min(patience / 2) && !std::mem::replace(&mut self.pressed, true) {
            for role in &mut self.roles {
                role.tell(|w| w.stop(self.options.dont_release));
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

/// Pipes between all children, both ways.
fn brothers() -> std::io::Result<[Vec<(pipe::Reader, pipe::Writer)>; 3]> {
    let ((a, b), (c, d)) = (pipe::pair()?, pipe::pair()?);
    let ((e, f), (g, h)) = (pipe::pair()?, pipe::pair()?);
    let ((i, j), (k, l)) = (pipe::pair()?, pipe::pair()?);
    // VRRP with the checker: c-b, a-d; VRRP with BFD: g-f, e-h; the checker with BFD: k-j, i-l.
    Ok([vec![(a, d), (e, h)], vec![(c, b), (i, l)], vec![(g, f), (k, j)]])
}

/// A role of a daemon like us, whose parent is gone.
fn is_orphan(pid: i32) -> bool {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let status = String::from_utf8_lossy(&read("status")).into_owned();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim().to_string();
    let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
    let words: Vec<&str> = line.split('\0').collect();
    let parent = words.windows(2).find(|w| w.first() == Some(&"--parent")).and_then(|w| w.get(1).copied());
    words.contains(&"--role") && parent.is_some_and(|p| p != field("PPid:")) && !field("State:").starts_with('Z')
}

/// A script that the parent runs and waits for, with a limit.
fn run_script(name: &str, script: &Option<ParentScript>) {
    let Some((argv, user, limit)) = script else { return };
    let spec = Spec {
        argv: argv.iter().map(Into::into).collect(),
        user: *user,
        group: true,
        clean_environment: true,
        ..Default::default()
    };
    let pid = match spawn::spawn(&spec) {
        Ok(pid) => pid,
        Err(e) => {
            log::error!("{name}: cannot start: {e}");
            return;
        }
    };
    let end = now() + Duration::from_secs(*limit);
    while now() < end {
        match spawn::reap() {
            Some((p, e)) if p == pid => {
                if e != spawn::End::Exited(0) {
                    log::error!("{name} failed: {e:?}");
                }
                return;
            }
            Some(_) => {}
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    log::error!("{name} took longer than {limit} s, ending it");
    spawn::signal_group(pid, SIGKILL);
}
