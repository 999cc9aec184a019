//! The runners of the children: started when a child says that it has programs to run, and again when they die.

use super::Daemon;
use crate::permits::LISTS;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Envelope, Outbox, pieces};
use steadfast_sys::groups::{self, Groups};
use steadfast_sys::pipe::{self, Reader, Writer};
use steadfast_sys::{files, now, spawn};

/// Where the groups are written down that runners have under way. No child may write there: what is named there is ended.
const GROUPS: &str = "/run/steadfast-runners";

/// The first so many roles have programs to run.
const WITH_PROGRAMS: usize = 2;

/// One that lived shorter is started again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Scripts that tell of the end have this long.
const LAST_SCRIPTS: Duration = Duration::from_secs(3);

/// One that was killed has ended within this.
const LAST_MOMENT: Duration = Duration::from_millis(200);

/// The runner of one child.
pub(super) struct Runner {
    /// What the child reads of its runner and writes to it.
    pub client: (Reader, Writer),
    own: (Reader, Writer),
    pid: Option<i32>,
    started: Time,
    /// When it is to be started.
    due: Option<Time>,
    /// What its present life is told.
    told: Option<Writer>,
    /// What its present life runs that nobody wants after it: its successor begins these programs anew.
    groups: Option<Groups>,
    outbox: Outbox,
}

impl Runner {
    fn new() -> std::io::Result<Runner> {
        let ((a, b), (c, d)) = (pipe::pair()?, pipe::pair()?);
        Ok(Runner {
            client: (a, d),
            own: (c, b),
            pid: None,
            started: Time::ZERO,
            due: None,
            told: None,
            groups: None,
            outbox: Outbox::default(),
        })
    }
}

impl Runner {
    /// Tells it of programs that it may start.
    fn permit(&mut self, list: &[u8]) {
        if self.told.is_none() {
            return;
        }
        for message in pieces(list) {
            if let Err(e) = self.outbox.command(&Envelope { epoch: 0, message }) {
                log::error!("cannot tell a runner: {e}");
            }
        }
        self.flush();
    }

    /// Its life is over, and with it what it ran for an answer; scripts that tell of something run to their end.
    fn end_groups(&mut self) {
        let ended = self.groups.take().map_or(0, |groups| groups.end());
        if ended > 0 {
            log::info!("{ended} of the programs that it had under way are ended with it");
        }
    }

    fn flush(&mut self) {
        if let Some(writer) = &self.told {
            self.outbox.flush(|f| writer.write(f).is_ok());
        }
    }
}

impl Daemon {
    /// Where a later daemon of ours finds what a runner had under way, if it was killed together with this process.
    fn groups_of(&self, runner: usize) -> Option<PathBuf> {
        let pid = std::path::absolute(self.pid_path("keepalived", &self.options.pid)).ok()?;
        Some(Path::new(GROUPS).join(format!("{}.{runner}", pid.to_str()?.trim_matches('/').replace('/', "!"))))
    }

    /// What an earlier daemon's runners had under way for an answer when all of it was killed; those of one that goes on are its own.
    pub(super) fn end_left_groups(&self) {
        if let Err(e) = files::make_folder(Path::new(GROUPS)) {
            return log::debug!("cannot make {GROUPS}: {e}");
        }
        let left = (0..WITH_PROGRAMS).filter(|_| !self.adopted).filter_map(|n| self.groups_of(n));
        let ended: usize = left.map(|path| groups::end_left(&path)).sum();
        if ended > 0 {
            log::info!("{ended} programs of an earlier run, whose answer nobody waits for any more, are ended");
        }
    }

    /// The pipes of all runners, once; without them programs are not run, and nothing else is lacking.
    pub(super) fn prepare_runners(&mut self) {
        while self.runners.len() < WITH_PROGRAMS {
            match Runner::new() {
                Ok(r) => self.runners.push(r),
                Err(e) => return log::error!("cannot make pipes for a runner: {e}"),
            }
        }
    }

    /// A new configuration's programs may be started, and those of some before it. Runners know it before children do.
    pub(super) fn permit(&mut self, list: Vec<u8>) {
        if self.programs.last() == Some(&list) {
            return;
        }
        self.runners.iter_mut().for_each(|r| r.permit(&list));
        self.programs.push(list);
        if self.programs.len() > LISTS {
            self.programs.remove(0);
        }
    }

    /// Starts those that are wanted.
    pub(super) fn start_runners(&mut self, t: Time) {
        for n in 0..self.runners.len() {
            let wanted = self.roles.get_mut(n).is_some_and(|r| std::mem::take(&mut r.ward.wants_runner));
            let hangs = self.roles.get_mut(n).is_some_and(|r| std::mem::take(&mut r.ward.runner_hangs));
            let name = self.groups_of(n);
            let Some(r) = self.runners.get_mut(n) else { continue };
            r.flush();
            if let Some(pid) = r.pid.filter(|_| hangs) {
                log::error!(
                    "the process that runs scripts (pid {pid}) does not answer, ending it: {}",
                    files::whereabouts(pid)
                );
                spawn::signal(pid, super::SIGKILL);
            }
            if wanted && r.pid.is_none() && r.due.is_none() {
                r.due = Some(t);
            }
            if r.due.is_none_or(|due| due > t) {
                continue;
            }
            let made = pipe::pair().and_then(|(reader, writer)| {
                self.reactor.watch_both(writer.fd(), super::RUNNERS).map(|()| (reader, writer))
            });
            let Ok((reader, writer)) = made else {
                log::error!("cannot make a pipe for a runner");
                r.due = Some(t + PAUSE);
                continue;
            };
            // Without that memory a program that hangs outlives a runner that is killed, and nothing else is lacking.
            let groups = name.and_then(|path| Groups::named(&path).ok()).or_else(|| Groups::new().ok());
            let descriptors = vec![r.own.0.fd(), r.own.1.fd(), reader.fd(), groups.as_ref().map_or(-1, Groups::fd)];
            self.epoch += 1;
            let spec = self.spec("runner", descriptors);
            let Some(r) = self.runners.get_mut(n) else { continue };
            match spawn::spawn(&spawn::Spec { die_with_us: false, ..spec }) {
                Ok(pid) => {
                    (r.pid, r.started, r.due) = (Some(pid), t, None);
                    r.groups = groups;
                    r.outbox.clear();
                    if let Some(old) = r.told.replace(writer) {
                        self.reactor.forget(old.fd());
                    }
                    self.programs.iter().for_each(|list| r.permit(list));
                }
                Err(e) => {
                    log::error!("cannot start a runner: {e}");
                    r.due = Some(t + PAUSE);
                }
            }
        }
    }

    /// True when the process was a runner; it is started again as long as its child runs.
    pub(super) fn runner_ended(&mut self, pid: i32, end: spawn::End) -> bool {
        let Some(n) = self.runners.iter().position(|r| r.pid == Some(pid)) else { return false };
        let stopping = self.stopping.is_some();
        let served = self.roles.get(n).is_some_and(|r| r.pid.is_some() || r.ward.due().is_some());
        if let Some(r) = self.runners.get_mut(n) {
            r.pid = None;
            if served {
                // Who stops a service ends all of its processes: the last scripts are run all the same.
                if !(stopping && matches!(end, spawn::End::Exited(0) | spawn::End::Signalled(15))) {
                    log::error!("the process that runs scripts (pid {pid}) {end}: starting another one");
                }
                let t = now();
                r.due = Some(if t.since(r.started) < PAUSE { t + PAUSE } else { t });
            }
            r.end_groups();
        }
        true
    }

    /// Ends those whose children are gone for good.
    pub(super) fn end_runners(&mut self) {
        let names: Vec<PathBuf> = (0..self.runners.len()).filter_map(|n| self.groups_of(n)).collect();
        for r in &mut self.runners {
            if let Some(pid) = r.pid.take() {
                spawn::signal(pid, super::SIGTERM);
                // It lets scripts that are under way come to their end.
                if !spawn::wait_for(pid, LAST_SCRIPTS) {
                    spawn::signal(pid, super::SIGKILL);
                    spawn::wait_for(pid, LAST_MOMENT);
                }
                r.end_groups();
            }
        }
        for name in names {
            let _ = std::fs::remove_file(name);
        }
    }

    /// When one is to be started.
    pub(super) fn runners_due(&self) -> Option<Time> {
        self.runners.iter().filter_map(|r| r.due).min()
    }
}
