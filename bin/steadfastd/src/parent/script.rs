//! Scripts of the daemon itself.

use super::SIGKILL;
use crate::programs::{lack_of_view, safe_program};
use std::ffi::OsString;
use std::time::Duration;
use steadfast_ipc::ParentScript;
use steadfast_sys::spawn::{self, Spec, UNITS_WISH};
use steadfast_sys::{now, view};

/// Which programs the parent starts, and how.
pub(super) struct Manner {
    /// Those that run as root must be such that only root can change them.
    pub safe: bool,
    /// Those are started by the descriptor that was looked at.
    pub by_descriptor: bool,
    /// They see files as process 1 does.
    pub host: bool,
}

/// Says so where the unit wishes for something that its command does not hand on: one of before that word, or of somebody who does not
/// know it.
pub(super) fn heed_unit(host: bool) {
    if !host && std::env::var_os(UNITS_WISH).is_some_and(|words| !words.is_empty()) {
        log::warn!(
            "{UNITS_WISH} asks for --host-scripts, and ExecStart= does not hand it on: scripts see files as the daemon does"
        );
    }
}

/// A script that the parent runs and waits for, with a limit, and until it is `cut` short.
pub(super) fn run_script(name: &str, script: &Option<ParentScript>, manner: &Manner, mut cut: impl FnMut() -> bool) {
    let Some((argv, user, limit)) = script else { return };
    let started = if manner.host {
        // The parent keeps its own view: a thread goes there, looks at the file and starts it.
        let started = view::in_host(|entered| {
            if let Err(e) = entered {
                lack_of_view(&e);
            }
            start(argv, *user, manner)
        });
        started.unwrap_or_else(|e| Err(format!("cannot be started: {e}")))
    } else {
        start(argv, *user, manner)
    };
    let pid = match started {
        Ok(pid) => pid,
        Err(why) => return log::error!("{name} {why}"),
    };
    let end = now() + Duration::from_secs(*limit);
    while now() < end {
        match spawn::reap() {
            Some((p, e)) if p == pid => {
                if e != spawn::End::Exited(0) {
                    log::error!("{name} {e}");
                }
                return;
            }
            Some(_) => {}
            None if cut() => {
                log::info!("{name} is ended");
                return spawn::signal_group(pid, SIGKILL);
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    log::error!("{name} took longer than {limit} s, ending it");
    spawn::signal_group(pid, SIGKILL);
}

/// Starts it, or says what is to be said after its name.
fn start(argv: &[String], user: Option<(u32, u32)>, manner: &Manner) -> Result<i32, String> {
    let as_root = user.is_none_or(|(uid, _)| uid == 0);
    let mut words: Vec<OsString> = argv.iter().map(Into::into).collect();
    let argv0 = words.first().cloned();
    let mut opened = None;
    if let (true, Some(file)) = (manner.safe && as_root, words.first_mut()) {
        let found = safe_program(argv).map_err(|why| format!("is not run: {why}"))?;
        *file = found.path.into();
        opened = manner.by_descriptor.then_some(found.opened);
    }
    let spec = Spec { argv: words, argv0, opened, user, group: true, clean_environment: true, ..Default::default() };
    spawn::spawn(&spec).map_err(|e| format!("cannot be started: {e}"))
}
