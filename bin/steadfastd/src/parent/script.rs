//! Scripts of the daemon itself.

use super::SIGKILL;
use crate::programs::safe_program;
use std::ffi::OsString;
use std::time::Duration;
use steadfast_ipc::ParentScript;
use steadfast_sys::now;
use steadfast_sys::spawn::{self, Spec};

/// A script that the parent runs and waits for, with a limit, and until it is `cut` short.
/// `safe`: whether root's must be, and whether what was looked at is what is started.
pub(super) fn run_script(name: &str, script: &Option<ParentScript>, safe: (bool, bool), mut cut: impl FnMut() -> bool) {
    let Some((argv, user, limit)) = script else { return };
    let as_root = user.is_none_or(|(uid, _)| uid == 0);
    let mut words: Vec<OsString> = argv.iter().map(Into::into).collect();
    let argv0 = words.first().cloned();
    let mut opened = None;
    if let (true, Some(file)) = (safe.0 && as_root, words.first_mut()) {
        match safe_program(argv) {
            Ok(found) => {
                *file = found.path.into();
                opened = found.opened.filter(|_| safe.1);
            }
            Err(why) => return log::error!("{name} is not run: {why}"),
        }
    }
    let spec =
        Spec { argv: words, argv0, opened, user: *user, group: true, clean_environment: true, ..Default::default() };
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
