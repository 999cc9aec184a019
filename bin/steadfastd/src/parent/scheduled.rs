//! Reloads at a time that a file names (reload_time_file), and the mark of a reload that is under way (reload_file).

use super::{Daemon, SIGHUP};
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_supervisor::when::When;
use steadfast_sys::inotify::Watcher;
use steadfast_sys::{clock, files, now};

/// Token of the watcher.
pub(super) const WATCHER: usize = 2;
/// The wall clock may be set: a moment that is further away is reckoned anew after this.
const AGAIN: Duration = Duration::from_secs(30);

/// The file and what it says.
#[derive(Default)]
pub(super) struct Scheduled {
    path: Option<PathBuf>,
    repeat: bool,
    watcher: Option<Watcher>,
    when: Option<When>,
    /// When to reload, or, if `exact` is not set, to reckon anew.
    due: Option<Time>,
    exact: bool,
}

impl Daemon {
    /// The configuration that runs now says where the file is.
    pub(super) fn watch_reload_time(&mut self) {
        if let Some(w) = self.scheduled.watcher.take() {
            self.reactor.forget(w.fd());
        }
        let (path, repeat) = match &self.facts.reload_time {
            Some((path, repeat)) => (Some(PathBuf::from(path)), *repeat),
            None => (None, false),
        };
        self.scheduled = Scheduled { path: path.clone(), repeat, ..Scheduled::default() };
        let Some(path) = path else { return };
        let watched = Watcher::new().and_then(|mut w| {
            if let Err(e) = w.add(&path) {
                log::error!("reload_time_file: cannot watch {}: {e}", path.display());
            }
            self.reactor.watch(w.fd(), WATCHER)?;
            Ok(w)
        });
        match watched {
            Ok(w) => self.scheduled.watcher = Some(w),
            Err(e) => log::error!("reload_time_file: cannot watch {}: {e}", path.display()),
        }
        self.read_reload_time();
    }

    /// The file may have changed.
    pub(super) fn reload_time_changed(&mut self) {
        if self.scheduled.watcher.as_mut().is_some_and(|w| !w.changed().is_empty()) {
            self.read_reload_time();
        }
    }

    /// Its folder may have come.
    pub(super) fn find_reload_time(&mut self) {
        if self.scheduled.watcher.as_mut().is_some_and(|w| !w.again().is_empty()) {
            self.read_reload_time();
        }
    }

    fn read_reload_time(&mut self) {
        let Some(path) = self.scheduled.path.clone() else { return };
        let before = self.scheduled.when.take();
        self.scheduled.due = None;
        let Ok(bytes) = files::read_limited(&path, 256) else {
            if before.is_some() {
                log::info!("the scheduled reload is cancelled");
            }
            return;
        };
        let text = String::from_utf8_lossy(&bytes);
        match When::parse(&text) {
            Some(when) => {
                self.scheduled.when = Some(when);
                self.reckon(before != Some(when));
            }
            // It is being written.
            None if text.is_empty() => {}
            None => log::error!("reload_time_file: '{}' is not a time", text.lines().next().unwrap_or("").trim()),
        }
    }

    fn reckon(&mut self, say: bool) {
        let Some(when) = self.scheduled.when else { return };
        match clock::until(when.date, when.time, when.universal) {
            Some(wait) => {
                if say {
                    log::info!("a reload is scheduled in {} s", wait.as_secs());
                }
                self.scheduled.exact = wait <= AGAIN;
                self.scheduled.due = Some(now() + wait.min(AGAIN));
            }
            None => log::warn!("reload_time_file: the time has passed"),
        }
    }

    /// When [`Daemon::reload_if_due`] has something to do.
    pub(super) fn reload_due(&self) -> Option<Time> {
        self.scheduled.due
    }

    pub(super) fn reload_if_due(&mut self, t: Time) {
        if self.scheduled.due.take_if(|at| *at <= t).is_none() {
            return;
        }
        if !self.scheduled.exact {
            self.reckon(false);
            return;
        }
        log::info!("scheduled reload");
        let daily = self.scheduled.when.is_some_and(|w| w.date.is_none());
        if !self.scheduled.repeat
            && let Some(path) = &self.scheduled.path
            && let Err(e) = std::fs::remove_file(path)
        {
            log::error!("reload_time_file: cannot remove {}: {e}", path.display());
        }
        if self.scheduled.repeat && daily {
            // A day from now, and not this second again.
            self.scheduled.exact = false;
            self.scheduled.due = Some(t + Duration::from_secs(2));
        } else {
            self.scheduled.when = None;
        }
        self.signal(SIGHUP);
    }

    /// The mark of a reload: made, or emptied, when the reading begins.
    pub(super) fn mark_reload(&self) {
        let Some(path) = self.reload_mark() else { return };
        if let Err(e) = files::make_empty(&path) {
            log::error!("reload_file: cannot make {}: {e}", path.display());
        }
    }

    /// The reading has ended.
    pub(super) fn unmark_reload(&self) {
        if let Some(path) = self.reload_mark() {
            remove(&path);
        }
    }

    fn reload_mark(&self) -> Option<PathBuf> {
        let name = self.facts.reload_file.as_ref()?;
        Some(if name.is_empty() { self.pid_path("keepalived", &None).with_extension("reload") } else { name.into() })
    }
}

fn remove(path: &Path) {
    if let Err(e) = std::fs::remove_file(path)
        && e.kind() != std::io::ErrorKind::NotFound
    {
        log::error!("reload_file: cannot remove {}: {e}", path.display());
    }
}

/// config_save_dir: one file for each reading, `keepalived.conf.PID.N`.
pub(super) fn save(directory: &Path, text: &[u8]) {
    let save = || {
        if !directory.is_dir() {
            std::fs::create_dir(directory)?;
        }
        let name = |n: u32| directory.join(format!("keepalived.conf.{}.{n}", steadfast_sys::schedule::pid()));
        let free = (0..100_000).map(name).find(|p| !p.exists()).ok_or(std::io::ErrorKind::AlreadyExists)?;
        files::write_dump(&free, &String::from_utf8_lossy(text), None)
    };
    if let Err(e) = save() {
        log::error!("config_save_dir: cannot save to {}: {e}", directory.display());
    }
}
