//! A new program takes over from the running one, in the same process: exec. Its loader was tried before, and the starts of its
//! children were rehearsed. What the children had
//! their parent keep goes along in memory; the old children live on until the new ones are about to start, and are ended then without
//! a word to anybody, as after a crash: masters stay masters, tables stay as they are.

use super::Daemon;
use super::control::PROGRAM;
use super::deaths::Deaths;
use crate::cli::COMPATIBLE;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_sys::handover;
use steadfast_sys::schedule::{self, Tell};
use steadfast_sys::{files, logging, now, spawn};

/// What one version says to the next, as JSON: it must be understood by programs that are not written yet. Fields may come, none may
/// change its meaning.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Handover {
    version: String,
    readings: u64,
    /// Since when a daemon runs without a stop.
    runs_since: Option<f64>,
    pub roles: Vec<Former>,
}

/// A child of the old program.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub struct Former {
    pub name: String,
    pub pid: Option<i32>,
    /// Its pipes, held open until it is ended.
    descriptors: Vec<i32>,
    pub kept: Vec<(String, Vec<u8>)>,
    /// The number of its life, which its messages carry.
    epoch: u64,
    /// How often it died, and how.
    dead: Deaths,
}

impl Former {
    /// One of which nothing but what it had its parent keep is of interest.
    pub fn remembered(name: &str, kept: Vec<(String, Vec<u8>)>) -> Self {
        Former { name: name.to_string(), kept, ..Default::default() }
    }
}

/// The file of the running program, and whether another one is there by now.
pub(super) fn program() -> Option<(PathBuf, bool)> {
    let shown = std::fs::read_link("/proc/self/exe").ok()?;
    let text = shown.to_string_lossy();
    let path = PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text));
    let same = |a: &Path, b: &Path| match (std::fs::metadata(a), std::fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => true,
    };
    let other = path.exists() && !same(Path::new("/proc/self/exe"), &path);
    // A link by which it was started may lead to a program of that name elsewhere by now. A bare name was looked for in PATH.
    let named = std::env::args_os().next().map(PathBuf::from).filter(|named| named.components().count() > 1);
    let leads = named.and_then(|named| std::fs::canonicalize(named).ok());
    match leads.filter(|there| !other && there.file_name() == path.file_name()) {
        Some(there) if !same(Path::new("/proc/self/exe"), &there) => Some((there, true)),
        _ => Some((path, other)),
    }
}

/// Why a new program is not taken, by how its loader, or its rehearsal, ended.
/// `said`: whether it has said something to its parent, and the last line that it wrote.
fn fault(end: spawn::End, (spoke, said): (bool, &str), overdue: bool, rehearsal: bool) -> Option<String> {
    let last = if said.is_empty() { String::new() } else { format!(", its last words: {said}") };
    match end {
        spawn::End::Exited(0) if spoke => None,
        _ if overdue => Some("did not answer within a minute and was ended".into()),
        spawn::End::Exited(0) => Some(format!("is no steadfastd (it {end})")),
        // It knows no rehearsal: an older one. Its loader has read the file.
        spawn::End::Exited(1) if rehearsal && !spoke => None,
        _ if rehearsal => Some(format!("cannot take over (its rehearsal {end})")),
        _ if !spoke => Some(format!("does not answer (it {end}{last})")),
        _ => Some(format!("cannot read the configuration (it {end}{last})")),
    }
}

impl Daemon {
    /// Begins: the new program reads the configuration first, and shows that it starts at all.
    pub(super) fn try_upgrade(&mut self) {
        log::info!("Upgrading: trying the new program");
        schedule::tell_manager(Tell::Reloading);
        self.then_upgrade = true;
        // What they say comes while the new program reads the configuration.
        self.roles.iter_mut().for_each(|r| r.say(steadfast_ipc::Message::Save));
        self.start_loader(true, false);
    }

    /// What the next program is told, and the descriptors that it names.
    fn handed_over(&self) -> std::io::Result<(handover::Memory, Vec<i32>)> {
        let t = now();
        let roles = self.roles.iter().map(|r| {
            let (pid, descriptors, epoch) = r.handed_over();
            let mut kept = r.kept_all();
            kept.extend(r.ward.silence(t).map(|(key, bytes)| (key.to_string(), bytes)));
            let before = r.dead.before + r.ward.watch.total();
            let dead = Deaths { before, last: r.dead.last.clone() };
            Former { name: r.name.to_string(), pid, descriptors, kept, epoch, dead }
        });
        let handover = Handover {
            version: env!("CARGO_PKG_VERSION").to_string(),
            readings: self.readings,
            runs_since: Some(self.runs_since()),
            roles: roles.collect(),
        };
        let mut keep: Vec<i32> = handover.roles.iter().flat_map(|r| r.descriptors.clone()).collect();
        let memory = handover::store(&serde_json::to_vec(&handover).unwrap_or_default())?;
        keep.push(memory.fd());
        Ok((memory, keep))
    }

    pub(super) fn runs_since(&self) -> f64 {
        self.runs_since.unwrap_or_else(|| files::wall_clock() - now().since(self.begun).as_secs_f64())
    }

    fn refuse_program(&mut self, why: &str) {
        let path = program().map(|(path, _)| format!("{} ", path.display())).unwrap_or_default();
        log::error!("the new program {path}{why}, the running one goes on");
        self.reading_ended(Some((&format!("the new program {path}{why}"), PROGRAM)));
        schedule::tell_manager(Tell::Ready);
        self.trim = Some(now() + super::SETTLED);
    }

    /// The new program's loader ended, or then its rehearsal. This call does not return when the new program starts.
    pub(super) fn upgrade(&mut self, end: spawn::End, said: (bool, &str), overdue: bool, rehearsal: bool) {
        if let Some(why) = fault(end, said, overdue, rehearsal) {
            return self.refuse_program(&why);
        }
        let Some((program, _)) = program() else {
            return self.refuse_program("cannot be found");
        };
        let (memory, keep) = match self.handed_over() {
            Ok(all) => all,
            Err(e) => return self.refuse_program(&format!("cannot be handed the state ({e})")),
        };
        if !rehearsal {
            // What was counted while the loaders read.
            self.roles.iter_mut().for_each(|r| r.say(steadfast_ipc::Message::Save));
            return self.start_rehearsal(&memory);
        }
        log::info!("Upgrading: handing over to {}", program.display());
        self.reading_ended(None);
        // Who asked is not known to the new program, which has children of its own.
        self.in_effect();
        logging::flush(Duration::from_secs(1));
        let mut arguments: Vec<OsString> = self.options.words.iter().map(Into::into).collect();
        arguments.extend(["--handover".into(), memory.fd().to_string().into()]);
        let e = spawn::replace(&program, std::env::args_os().next(), &arguments, &keep);
        log::error!("{} cannot be started ({e}), the running program goes on", program.display());
        schedule::tell_manager(Tell::Ready);
    }

    /// Takes over from an older program.
    pub(super) fn take_over(&mut self, fd: i32) {
        let handover: Handover = match handover::load(fd).map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(h)) => h,
            Ok(Err(e)) => return without_hand_over(&e),
            Err(e) => return without_hand_over(&e),
        };
        log::info!(MESSAGE_ID = crate::events::UPGRADED;
            "Taking over from steadfast {} (this is {}, Keepalived v{COMPATIBLE})",
            handover.version,
            env!("CARGO_PKG_VERSION")
        );
        self.readings = handover.readings;
        self.runs_since = handover.runs_since;
        for former in handover.roles {
            if let Some(role) = self.roles.iter_mut().find(|r| r.name == former.name) {
                role.dead = former.dead;
                role.succeed(former.pid, former.epoch, &former.descriptors, former.kept);
            }
        }
        self.adopted = true;
    }
}

/// Nothing is known of the old program's children, but that they are ours: they hand over to peers and end, before others begin.
fn without_hand_over(e: &dyn std::fmt::Display) {
    log::error!("what the old program handed over cannot be read ({e}): its children end in order");
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    let children: Vec<i32> = children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect();
    children.iter().for_each(|pid| spawn::signal(*pid, super::SIGTERM));
    for pid in children {
        if !spawn::wait_for(pid, Duration::from_secs(3)) {
            spawn::signal(pid, super::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spawn::End;

    #[test]
    fn a_program_that_hangs_is_not_said_to_have_ended_by_itself() {
        let (silent, spoke) = ((false, ""), (true, ""));
        let hung = fault(End::Signalled(9), silent, true, false);
        assert_eq!(hung.as_deref(), Some("did not answer within a minute and was ended"));
        assert!(
            fault(End::Signalled(9), spoke, false, false).is_some_and(|w| w.ends_with("(it exited due to signal 9)"))
        );
        assert!(fault(End::Exited(0), silent, false, true).is_some_and(|w| w.starts_with("is no steadfastd")));
        assert_eq!(fault(End::Exited(0), spoke, true, true), None);
        assert_eq!(fault(End::Exited(1), silent, false, true), None, "an older program");
        assert!(fault(End::Exited(1), spoke, false, true).is_some_and(|w| w.starts_with("cannot take over")));
        let rubbish = fault(End::Exited(127), (false, "no: not found"), false, false);
        assert_eq!(
            rubbish.as_deref(),
            Some("does not answer (it exited with status 127, its last words: no: not found)")
        );
    }
}
