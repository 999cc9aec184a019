//! What the machine wants is carried out, and kept for a successor.

use super::*;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use steadfast_core::State;

/// The state that a notice tells of.
fn entered(notice: Notice) -> Option<State> {
    match notice {
        Notice::Master => Some(State::Master),
        Notice::Backup => Some(State::Backup),
        Notice::Fault => Some(State::Fault),
        Notice::Stop | Notice::Deleted => Some(State::Init),
        Notice::MasterRxLowerPri | Notice::MasterPriority | Notice::BackupPriority => None,
    }
}

impl Role {
    /// Carries out what the machine wants, also what follows from carrying it out.
    pub(super) fn act(&mut self, t: Time) {
        self.carry_out(t);
        self.system.announce();
        self.system.flush();
        if let Some(fd) = self.system.new_socket.take()
            && let Err(e) = self.reactor.watch(fd, FIREWALL)
        {
            log::error!("nftables: cannot watch its socket: {e}");
        }
    }

    /// The same, but what goes out in batches.
    pub(super) fn carry_out(&mut self, t: Time) {
        while !self.out.is_empty() {
            let mut all = std::mem::take(&mut self.out).into_iter().peekable();
            while let Some(output) = all.next() {
                let Output::Renamed(old, new) = output else {
                    self.do_one(t, output);
                    continue;
                };
                // Names that one reload hands on (A is B, and B is C) change hands together.
                let mut names = vec![(old, new)];
                while let Some(Output::Renamed(old, new)) = all.next_if(|o| matches!(o, Output::Renamed(..))) {
                    names.push((old, new));
                }
                self.rename(&names);
            }
        }
    }

    pub(super) fn do_one(&mut self, t: Time, output: Output) {
        match output {
            Output::Send(s) => {
                // Who hands over must not come back as master.
                self.dirty |= s.priority == 0;
                self.system.send(&s, t);
            }
            Output::Add(object) => {
                // Before it is there: whoever comes after must be able to take it away, under whatever configuration.
                if !self.system.owns(&object) {
                    self.keep_object(&object, true);
                }
                self.system.add(object);
            }
            Output::Replace(old, new) => {
                self.keep_object(&new, true);
                self.system.replace(old, new);
            }
            Output::Remove(object) => self.let_go(object),
            Output::Announce { interface, address } => self.system.waiting.add((interface.as_str().into(), address)),
            Output::Remind { interface, address } => self.system.remind(&interface, address),
            Output::Withhold { interface, address } => self.system.waiting.give_up(&interface, address),
            Output::StartScript(name) => self.start_script(t, name),
            Output::KillScript(name, kill) => {
                let signal = if kill == Kill::Kill { 9 } else { 15 };
                for (job, run) in self.probes.iter_mut().filter(|(_, run)| run.name == name) {
                    run.unwanted |= kill == Kill::Unwanted;
                    run.overran.get_or_insert(t.since(run.begun));
                    self.programs.signal(*job, signal);
                }
            }
            Output::Instance { name, notice, priority } => {
                self.dirty = true;
                let faults = self.router.faults(&name);
                // Whatever word the file wants for a removal: nobody asks for the past of what is gone.
                if self.router.view(&name).is_some() {
                    self.history.changed(&name, notice, files::wall_clock(), &faults);
                } else {
                    self.history.forget(&name);
                }
                self.parent.say(Message::Keep { key: format!("{HISTORY}{name}"), bytes: self.history.of(&name) });
                self.teller.tell(&self.plan, &mut self.programs, Subject::Instance, &name, notice, priority);
                let known = || self.router.view(&name).map(|v| v.state);
                let state = entered(notice).or_else(known).unwrap_or_default();
                let end = match notice {
                    Notice::Stop => Some(Ended::Stopped),
                    Notice::Deleted => Some(Ended::Deleted),
                    _ => None,
                };
                self.parent.say(Message::News(News::Instance { name: name.clone(), state, priority, end }));
                if notice == Notice::Master {
                    let alarm = Alarm::NewMaster(self.router.new_master(&name) as u8);
                    self.parent.say(Message::News(News::Alarm { name: name.clone(), alarm, source: None }));
                }
                self.tell_brother(name, priority);
            }
            Output::Group { name, notice } => {
                self.teller.tell(&self.plan, &mut self.programs, Subject::Group, &name, notice, 0);
                if let Some(state) = entered(notice) {
                    self.parent.say(Message::News(News::Group { name, state }));
                }
            }
            Output::Renamed(old, new) => self.rename(&[(old, new)]),
            Output::Because { name, cause } => self.history.because(name, cause),
            Output::Log(level, text) => {
                self.log(level, &text);
            }
            Output::Stopped => self.stopped = true,
        }
    }

    /// Instances have other names. Managers know them by those, so a former one is gone for them, unless somebody has it now.
    fn rename(&mut self, names: &[(String, String)]) {
        self.history.rename(names);
        self.alarms.rename(names);
        let all: BTreeSet<&String> = names.iter().flat_map(|(old, new)| [old, new]).collect();
        for name in &all {
            self.parent.say(Message::Keep { key: format!("{HISTORY}{name}"), bytes: self.history.of(name) });
        }
        for name in all {
            let (state, priority, end) = match self.router.view(name) {
                Some(v) => (v.state, v.priority, None),
                None => (State::Init, 0, Some(Ended::Deleted)),
            };
            self.parent.say(Message::News(News::Instance { name: name.clone(), state, priority, end }));
            self.tell_brother(name.clone(), priority);
        }
    }

    /// A line of the machine; of what it tells there are fields too.
    pub(super) fn log(&mut self, level: log::Level, text: &str) {
        let entered = self.history.said(text);
        let about = text.strip_prefix('(').and_then(|t| t.split_once(") ")).map(|(name, _)| name);
        let known = about.filter(|_| self.plan.structured);
        let Some(view) = known.and_then(|name| self.router.view(name)) else {
            log::log!(level, "{text}");
            return;
        };
        let (name, vrid) = (view.config.name.as_str(), view.config.vrid);
        match entered {
            Some(live::Entered { from, to, cause }) => {
                let faults = self.router.faults(name).join(", ");
                let reason = if to == "FAULT" && !faults.is_empty() { faults } else { cause };
                log::log!(level, MESSAGE_ID = events::INSTANCE_STATE, INSTANCE = name, VRID = vrid, OLD_STATE = from.as_str(),
                    NEW_STATE = to.as_str(), REASON = reason.as_str(); "{text}");
            }
            None => log::log!(level, INSTANCE = name, VRID = vrid; "{text}"),
        }
    }

    pub(super) fn start_script(&mut self, t: Time, name: String) {
        let end = match self.plan.probes.get(&name) {
            Some(Probe::Program(command)) => {
                self.probes
                    .insert(self.programs.check(command), Run { name, begun: t, overran: None, unwanted: false });
                return;
            }
            Some(Probe::Readable(path)) => ScriptEnd::Exited(i32::from(!files::readable(path))),
            None => ScriptEnd::NotStarted,
        };
        let _ = self.keep_result(&name, &end, None, String::new());
        self.router.handle(t, Input::ScriptEnded(&name, end), &mut self.out);
    }

    /// A digest of what a successor would be told.
    pub(super) fn known(&self) -> u64 {
        let mut h = DefaultHasher::new();
        (self.router.fingerprint(), &self.system.settings).hash(&mut h);
        h.finish()
    }

    /// Gives the parent what a successor needs, where it has changed.
    pub(super) fn keep(&mut self) {
        self.parent.say_all(self.teller.waiting());
        self.dirty |= self.router.take_learned();
        if !std::mem::take(&mut self.dirty) {
            return;
        }
        // What is looked at later is compared with what is told now.
        self.kept = self.known();
        // A host with many links has more of them than fit into one message; so has an instance with many peers or scripts.
        let settings = encode(&self.system.settings).unwrap_or_default();
        let settings = settings.chunks(PART).enumerate().map(|(n, part)| (format!("{SETTINGS} {n:04}"), part.to_vec()));
        let of = |s: Snapshot| {
            let bytes = encode(&s).unwrap_or_default();
            let key = |n| if n == 0 { s.name.clone() } else { format!("{}\n{n:04}", s.name) };
            bytes.chunks(PART).enumerate().map(|(n, part)| (key(n), part.to_vec())).collect::<Vec<_>>()
        };
        let present = settings.chain(self.router.snapshots().flat_map(of));
        self.parent.say_all(self.keeping.difference(present));
    }

    pub(super) fn let_go(&mut self, object: Object) {
        self.system.remove(object.clone());
        self.keep_object(&object, false);
    }

    pub(super) fn keep_object(&mut self, object: &Object, there: bool) {
        match object_key(object) {
            Ok((key, bytes)) => self.parent.say(Message::Keep { key, bytes: if there { bytes } else { Vec::new() } }),
            Err(e) => log::error!("{object} cannot be kept: {e}"),
        }
    }

    /// Waits a little for the last answers of the kernel, the last scripts, and the readers of FIFOs.
    pub(super) fn last_words(&mut self) {
        self.wait(Duration::from_millis(500), |role| {
            // What is still to be taken away goes as the answers come.
            let _ = role.system.kernel.read(&role.system.mirror, &mut Vec::new());
            !role.teller.busy()
        });
        // As long as it takes: who ends us before leaves the rest to a process that takes it away.
        // Scripts have had their time: the runner brings them to their end.
        self.wait(Duration::from_secs(10), |role| {
            let _ = role.system.kernel.read(&role.system.mirror, &mut Vec::new());
            role.system.kernel.idle()
        });
        if !self.keep_objects {
            self.system.close();
            self.record.remove();
        }
        self.wait(Duration::from_secs(1), |role| !role.teller.mailing());
        self.wait(Duration::from_millis(300), |role| role.teller.read_out());
        self.teller.close_fifos();
        self.wait(Duration::from_millis(150), |role| role.teller.readers_gone());
        self.teller.stop_readers(&mut self.programs);
        self.wait(LAST_WORDS, |role| role.parent.flush());
        log::info!("Stopped VRRP child process");
    }

    /// Waits until something is done, at most for a time.
    pub(super) fn wait(&mut self, most: Duration, done: impl Fn(&mut Self) -> bool) {
        let limit = now() + most;
        let mut ready = Vec::new();
        while now() < limit && !done(self) {
            if self.reactor.wait(Some(now() + Duration::from_millis(5)), false, &mut ready).is_err() {
                break;
            }
            let t = now();
            self.take_signals(t);
            self.take_ends(t);
            // A kernel that takes its time is no reason to be taken for one that hangs.
            if t >= self.beat {
                self.parent.say(Message::Heartbeat { late: 0 });
                self.beat = t + BEAT;
            }
        }
    }
}
