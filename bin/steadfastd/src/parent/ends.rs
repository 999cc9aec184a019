//! Ends: of children, of the daemon, and what they leave behind.

use super::*;

impl Daemon {
    /// Children of a daemon whose parent died hand over what they hold, and end; they must not meet their successors.
    pub(super) fn await_former(&self) {
        let limit = now() + FORMER;
        for pid in ["vrrp", "checker", "bfd"].into_iter().filter_map(|role| self.child_on_file(role)) {
            if self.roles.iter().any(|r| r.pid == Some(pid)) || !is_orphan(pid) || self.adopted {
                continue;
            }
            log::info!("process {pid} of an earlier daemon is still there, waiting for its end");
            while is_orphan(pid) && now() < limit {
                std::thread::sleep(Duration::from_millis(10));
            }
            if is_orphan(pid) {
                log::error!("process {pid} of an earlier daemon does not end, killing it");
                spawn::signal(pid, SIGKILL);
            }
        }
    }

    /// What a role left that no configuration names any more, since all processes of an earlier daemon were killed. Where the other
    /// half of a daemon is left out (-P, -C), it is another daemon's, which may be alive. `all`: nor will those be started that it names.
    pub(super) fn withdraw_former(&mut self, all: bool) {
        for n in 0..self.roles.len() {
            let idle = |r: &&Role| !r.has_former() && (all || !self.wanted(r.name)) && !self.options.keeps(r.name);
            let Some(name) = self.roles.get(n).filter(idle).map(|r| r.name) else { continue };
            let half = if name == "vrrp" { self.options.check_only } else { self.options.vrrp_only };
            if half || self.child_on_file(name).is_some_and(is_child) {
                continue;
            }
            if self.record(name).is_some_and(|path| path.exists()) {
                log::info!("{name}: what an earlier run left in the kernel is removed");
                self.withdraw(n, true);
            }
        }
    }

    /// What a role left that is not running, and will not run again.
    pub(super) fn withdraw_dead(&mut self, n: usize) {
        let left = |r: &&Role| !r.has_former() && r.ward.left_something() && !self.options.keeps(r.name);
        let Some(role) = self.roles.get(n).filter(left) else { return };
        let name = role.name;
        log::info!("{name}: what the process left in the kernel is removed");
        if !self.withdraw(n, true) {
            log::error!("{name}: what the process left in the kernel could not be removed");
        }
    }

    /// Takes away what a VRRP or checker process held that is not coming back soon: peers are told, so that they serve, then it goes. A
    /// short-lived process does it. `all`: nobody comes after it.
    /// False: it could not.
    pub(super) fn withdraw(&mut self, n: usize, all: bool) -> bool {
        // What has killed one process may kill this one, too: then without it.
        let done = self.withdraw_with(n, all, true) || self.withdraw_with(n, all, false) || self.take_away(n);
        match self.roles.get_mut(n) {
            Some(role) if all => role.ward.settled(),
            Some(role) => role.ward.peers_told(),
            None => {}
        }
        done
    }

    /// No process can be started: neither to serve nor to take away. What the VRRP process had put there is removed from here; of the
    /// configuration nothing is read, and peers, who have not heard of it for long, are told nothing.
    fn take_away(&mut self, n: usize) -> bool {
        let Some(role) = self.roles.get_mut(n).filter(|r| r.name == "vrrp") else { return false };
        let done = crate::vrrp::remove(role.ward.kept());
        let done = done.inspect_err(|e| log::error!("the addresses of the VRRP process cannot be removed: {e}"));
        done.map(|keys| keys.iter().for_each(|key| role.ward.drop_kept(key))).is_ok()
    }

    /// A child could not be started several times in a row.
    pub(super) fn cannot_start(&mut self, n: usize) {
        let left = |r: &&Role| !r.has_former() && r.ward.left_something() && !self.options.keeps(r.name);
        if self.roles.get(n).is_none_or(|r| !left(&r)) {
            return;
        }
        let done = self.withdraw(n, false);
        let Some(role) = self.roles.get_mut(n) else { return };
        role.withdrawn = done.then(files::wall_clock);
        role.ward.is_hopeless();
        role.begins_anew("no process could be started");
        let (title, what) = (role.title, held(role.title));
        if done {
            log::error!(MESSAGE_ID = events::WITHDRAWN;
                "no {title} process can be started: {what} are withdrawn, and it is tried again each second"
            );
        } else {
            log::error!(
                "no {title} process can be started, and {what} cannot be withdrawn: they may be on this host and on a peer"
            );
        }
    }

    pub(super) fn withdraw_with(&mut self, n: usize, all: bool, states: bool) -> bool {
        let (Ok((from_us, to_it)), Ok((from_it, to_us))) = (pipe::pair(), pipe::pair()) else { return false };
        self.epoch += 1;
        let Some(name) = self.roles.get(n).map(|r| r.name) else { return false };
        let mut spec = self.spec(name, vec![from_us.fd(), to_us.fd()]);
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
        let limit = now() + Duration::from_secs(4);
        let mut end = None;
        while end.is_none() && now() < limit {
            end = spawn::end_of(pid, Duration::from_millis(5));
            // Who comes after it need not look for what it has taken away.
            let mut buffer = [0; PACKET];
            while let (Some(role), Packet::Data(length)) = (self.roles.get_mut(n), from_it.read(&mut buffer)) {
                role.ward.withdrawn(self.epoch, buffer.get(..length).unwrap_or_default());
            }
        }
        if end.is_none() {
            spawn::signal(pid, SIGKILL);
            spawn::wait_for(pid, Duration::from_secs(1));
        }
        end == Some(spawn::End::Exited(0))
    }

    /// A child was killed and does not end: it hangs in the kernel, where no signal reaches it. What it holds would serve beside what a
    /// peer has put up meanwhile.
    pub(super) fn stuck(&mut self, n: usize, pid: i32) {
        let at = files::whereabouts(pid);
        let Some(role) = self.roles.get_mut(n) else { return };
        let title = role.title;
        log::error!(MESSAGE_ID = events::CHILD_SILENT, CHILD = title, CHILD_PID = pid, REASON = at.as_str();
            "{title} child process({pid}) was killed and does not end: {at}. Look at what it waits for: a disk, a file system, a \
             driver. It is started again when it has ended; until then the service manager's watchdog is not fed"
        );
        let all = self.stopping.is_some();
        if role.ward.stuck() && !self.options.keeps(role.name) {
            role.withdrawn = Some(files::wall_clock());
            if self.withdraw(n, all) {
                log::error!(MESSAGE_ID = events::WITHDRAWN; "the VRRP process cannot be ended: its addresses are withdrawn");
            } else {
                log::error!(
                    "the VRRP process cannot be ended, and its addresses cannot be withdrawn: they may be on this host and on a peer"
                );
            }
        }
    }

    /// Begins an orderly stop.
    pub(super) fn stop(&mut self, status: i32) {
        if self.stopping.is_some() {
            return;
        }
        schedule::tell_manager(Tell::Stopping);
        self.pid_file.iter().for_each(PidFile::ending);
        // Nobody can leave in order in no time.
        let patience = Duration::from_secs(self.facts.child_wait.max(2));
        self.stopping = Some((status, now() + patience));
        for role in &mut self.roles {
            role.ward.is_not_due();
            // A stop that comes before the first file is read after an upgrade.
            role.dismiss_former(now(), patience);
            // Observers are to see the others end.
            if !role.ward.is_observer() {
                let keeps = self.options.keeps(role.name);
                role.tell(|w| w.stop(keeps));
            }
        }
    }

    /// Children that have ended.
    pub(super) fn reap(&mut self) -> Option<i32> {
        while let Some((pid, end)) = spawn::reap() {
            self.control.witnesses.retain(|w| *w != pid);
            if self.loading.as_ref().is_some_and(|l| l.pid == pid) {
                if let Some(status) = self.loaded(end) {
                    return Some(status);
                }
                continue;
            }
            if self.runner_ended(pid, end) {
                continue;
            }
            if self.former_ended(pid, end) {
                continue;
            }
            let Some(n) = self.roles.iter().position(|r| r.pid == Some(pid)) else { continue };
            self.ended(n, end);
        }
        None
    }

    /// A child of an older program has ended: it was told to leave, or it died.
    fn former_ended(&mut self, pid: i32, end: spawn::End) -> bool {
        let in_order = end == spawn::End::Exited(0);
        // Who is wanted is not known before a file was read.
        let unread = self.pid_file.is_none() && self.stopping.is_none();
        let Some(n) = self.roles.iter_mut().position(|r| r.former_ended(pid, in_order, unread)) else { return false };
        let Some(name) = self.roles.get(n).map(|r| r.name) else { return true };
        if self.child_on_file(name) == Some(pid) {
            self.child_file(name).into_iter().for_each(|path| drop(std::fs::remove_file(path)));
        }
        if unread {
            let title = self.roles.get(n).map_or("", |r| r.title);
            log::error!(
                "the {title} process, pid {pid}, {end} before its successor was there: it begins when the file has been read"
            );
            return true;
        }
        self.withdraw_dead(n);
        if self.stopping.is_none() {
            self.start_wanted();
        }
        true
    }

    pub(super) fn ended(&mut self, n: usize, end: spawn::End) {
        let t = now();
        let stopping = self.stopping.is_some();
        // What it said last is heard before its pipe is forgotten.
        if let Some(role) = self.roles.get_mut(n) {
            role.read(t);
        }
        self.pass_on_told();
        let Some(role) = self.roles.get_mut(n) else { return };
        for fd in role.descriptors() {
            self.reactor.forget(fd);
        }
        let pid = role.pid.unwrap_or(0);
        role.gone();
        let what = end.to_string();
        let end = match end {
            spawn::End::Exited(s) => End::Exited(s),
            spawn::End::Signalled(s) => End::Signalled(s),
        };
        let title = role.title;
        let how = deaths::how(end, role.ward.watch.was_silent());
        let sequel = role.ward.ended(t, end, stopping);
        if !matches!(sequel, Sequel::Expected { .. } | Sequel::Successor) {
            log::error!("pid {pid} {what}");
            role.dead.last = Some((files::wall_clock(), how.clone()));
        }
        let reason = deaths::reason(role.ward.watch.in_a_row(), &how);
        match sequel {
            Sequel::Expected { withdraw } => {
                if withdraw {
                    log::error!("pid {pid} {what} before it had released everything: {} are withdrawn", held(title));
                    self.withdraw(n, true);
                }
                if !stopping {
                    let dropped = self.roles.get(n).is_some_and(|r| !self.wanted(r.name));
                    self.roles.get_mut(n).filter(|_| dropped).into_iter().for_each(Role::remove_pid_file);
                    // A reload did without it, and another may want it again by now.
                    self.start_wanted();
                }
            }
            Sequel::Successor => self.start(n),
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
                    self.withdraw(n, false);
                    log::error!(MESSAGE_ID = events::WITHDRAWN;
                        "the VRRP process died several times in a row: its addresses are withdrawn until it runs again. Look at \
                         what it logged before, and at what changed: the configuration, the program, the host"
                    );
                    if let Some(role) = self.roles.get_mut(n) {
                        role.withdrawn = Some(files::wall_clock());
                    }
                }
                if let Some(role) = self.roles.get_mut(n).filter(|_| withdraw || forgotten) {
                    role.begins_anew(&reason);
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
                if withdraw && !self.roles.get(n).is_some_and(|r| self.options.keeps(r.name)) {
                    self.withdraw(n, true);
                }
                self.stop(status);
            }
        }
    }
}

/// What a process puts into the kernel.
fn held(title: &str) -> &'static str {
    if title == "VRRP" { "its addresses" } else { "its virtual servers" }
}
