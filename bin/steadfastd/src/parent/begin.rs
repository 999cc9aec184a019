//! The beginning: what is made before the first child is started.

use super::{Daemon, ENDING, SIGCHLD, SIGINT, SIGTERM, is_child, is_orphan, run_script};
use std::path::PathBuf;
use std::time::Duration;
use steadfast_sys::control::listener_at;
use steadfast_sys::pidfile::{PidError, PidFile, has_open};
use steadfast_sys::{files, now, schedule};

/// A daemon takes a signal within this.
const TAKEN: Duration = Duration::from_millis(200);
/// keepalived locks no file and says nothing of its end, which it comes to within this where it was told to stop.
const LEAVING: Duration = Duration::from_secs(2);

impl Daemon {
    /// First configuration: pid file, namespace, startup script, children.
    pub(super) fn begin(&mut self) -> Option<i32> {
        self.fixed.clone_from(&self.facts.fixed);
        if self.options.umask.is_none()
            && let Some(mask) = self.facts.umask
        {
            schedule::umask(mask);
        }
        let path = self.pid_path("keepalived", &self.options.pid);
        match self.lock_pid_file(&path) {
            Err(_) if self.stopping.is_some() => return Some(0),
            Ok(mut file) => {
                if let Err(e) = file.write(schedule::pid()) {
                    log::error!("cannot write {}: {e}", path.display());
                }
                self.pid_file = Some(file);
            }
            Err(PidError::Running | PidError::Ending) => {
                let pid =
                    files::read_limited(&path, 32).ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_default();
                log::error!("daemon is already running: pid {}, pid file {}", pid.trim(), path.display());
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
        // Somebody may have removed the pid file of a living daemon.
        let control = self.control_path();
        if let Some(pid) = listener_at(&control).filter(|pid| !self.adopted && has_open(*pid, &path)) {
            log::error!("daemon is already running: pid {pid}, which answers at {}", control.display());
            return Some(0);
        }
        if let Some((pid, path)) = self.rival() {
            log::error!("daemon is already running: pid {pid}, pid file {}", path.display());
            return Some(0);
        }
        self.open_control();
        self.set_core_pattern();
        self.await_former();
        self.prepare_records();
        crate::dumps::prepare();
        self.end_left_groups();
        let mut told = Vec::new();
        if !self.adopted {
            let cut = || {
                told.extend(std::iter::from_fn(|| self.signals.next()));
                told.iter().any(|s| *s == SIGTERM || *s == SIGINT && !self.options.ignore_sigint)
            };
            run_script("startup_script", &self.facts.startup, &self.manner(), cut);
        }
        // Of the script's own end it knows already.
        told.retain(|s| *s != SIGCHLD);
        let stop = told.contains(&SIGTERM) || told.contains(&SIGINT) && !self.options.ignore_sigint;
        self.withdraw_former(stop);
        if stop {
            self.signal(SIGTERM);
            return None;
        }
        self.start_wanted();
        for signal in told {
            self.signal(signal);
        }
        // All pid files are there when the caller goes on.
        self.background.done(0);
        if self.children().all(|r| r.pid.is_none()) {
            log::warn!("there is nothing to run in this configuration");
            self.ready();
        }
        None
    }

    /// A child of a living daemon that has the pid file of one of ours, and with it the record of what is in the kernel.
    fn rival(&self) -> Option<(i32, PathBuf)> {
        let wanted = ["vrrp", "checker", "bfd"].into_iter().filter(|role| !self.adopted && self.wanted(role));
        wanted
            .filter_map(|role| Some((self.child_on_file(role)?, self.child_file(role)?)))
            .find(|(pid, _)| is_child(*pid) && !is_orphan(*pid))
    }

    /// A daemon that stops is waited for, as long as that may take by this configuration, unless this one is to stop, too.
    pub(super) fn lock_pid_file(&mut self, path: &std::path::Path) -> Result<PidFile, PidError> {
        let script = self.facts.shutdown.as_ref().map_or(0, |(_, _, limit)| *limit);
        let limit = now() + Duration::from_secs(self.facts.child_wait.max(2).saturating_add(script)) + ENDING;
        let (taken, left) = (now() + TAKEN, now() + LEAVING);
        let mut said = false;
        loop {
            match PidFile::lock(path) {
                // Whoever was told to stop a moment ago may not have said so yet.
                Err(PidError::Running) if now() < taken => std::thread::sleep(Duration::from_millis(5)),
                Err(PidError::Ending) if now() < limit => {
                    if !std::mem::replace(&mut said, true) {
                        log::info!("another daemon stops ({}), waiting for its end", path.display());
                    }
                    while let Some(signal) = self.signals.next() {
                        // No child is there that could have ended.
                        if matches!(signal, SIGTERM | SIGINT) {
                            self.signal(signal);
                        }
                    }
                    if self.stopping.is_some() {
                        return Err(PidError::Ending);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(_) if self.is_of_keepalived(path) => {
                    if now() >= left {
                        return Err(PidError::Running);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                result => return result,
            }
        }
    }

    /// A living keepalived wrote this file; it would remove it at its end, whoever had written into it since.
    fn is_of_keepalived(&self, path: &std::path::Path) -> bool {
        let text = files::read_limited(path, 32).ok().and_then(|b| String::from_utf8(b).ok()).unwrap_or_default();
        let Some(pid) = text.trim().parse::<i32>().ok().filter(|pid| !self.adopted && *pid != schedule::pid()) else {
            return false;
        };
        // Of our own program, under whatever name, the lock has spoken.
        let program = |of: &str| std::fs::read_link(format!("/proc/{of}/exe")).ok();
        program(&pid.to_string()).is_none_or(|other| program("self") != Some(other))
            && std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "keepalived")
    }
}
