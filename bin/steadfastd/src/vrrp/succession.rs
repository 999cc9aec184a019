//! A file names what this process has given up: a folder of dumps, a FIFO that is to be made, a tracked file that is to have a first
//! value. A successor opens it before it confines itself.

use super::Role;
use crate::cli::Options;
use crate::places;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use steadfast_core::Time;
use steadfast_ipc::{Message, encode};
use steadfast_sys::sandbox::Places;

/// The key of what a successor has to write first.
pub const UNWRITTEN: &str = "\tunwritten";

/// What is still to be written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Unwritten {
    /// Tracked files that have no first value yet.
    pub files: BTreeSet<String>,
    /// The states of all, into FIFOs: of an older program, whose lines did not wait.
    pub states: bool,
}

impl Role {
    /// Files that this process writes as long as it lives.
    fn written(&self) -> impl Iterator<Item = &Path> {
        self.plan.dumps.iter().map(|p| p.as_path())
    }

    /// Where it writes.
    pub(super) fn places(&self, options: &Options) -> Places {
        let saved = self.plan.save_dir.clone();
        let fifos = self.plan.fifos.iter().map(|f| f.path.as_path());
        let mut places = places::of(options, self.written(), fifos);
        places.written.extend(saved);
        places
    }

    /// After a reload: whether a successor is wanted.
    pub(super) fn look_for_closed(&mut self) {
        let saved = self.plan.save_dir.as_ref().is_some_and(|d| !steadfast_sys::sandbox::may_write(d));
        let wanted = saved || self.teller.is_refused() || !self.unwritten.is_empty() || places::lacks(self.written());
        if wanted {
            let wanted = self.succession.get_or_insert_default();
            wanted.files.append(&mut self.unwritten);
            // This process may die before it hands over.
            if !wanted.files.is_empty()
                && let Ok(bytes) = encode(wanted)
            {
                self.parent.say(Message::Keep { key: UNWRITTEN.to_string(), bytes });
            }
        }
    }

    /// A dump could not be written: whether a successor could.
    pub(super) fn not_written(&mut self, path: &Path) {
        if places::is_closed(path) {
            self.succession.get_or_insert_default();
        }
    }

    /// Hands over, where a successor is wanted and has been told all; true: this process is to end.
    pub(super) fn hands_over(&mut self, t: Time) -> bool {
        let wanted = *self.wanted.get_or_insert(t);
        let early = t < self.born + places::PAUSE;
        let latest = wanted.max(self.born + places::PAUSE) + places::PATIENCE;
        // A successor knows nothing of whom a reload took out: that one serves until its peer is heard, for which it has its own limit.
        let serves = self.router.handing_over().next().is_some();
        let busy = serves || (t < latest && self.teller.has_more_to_say());
        if early || busy || self.leaving.begun() {
            return false;
        }
        let Some(unwritten) = self.succession.take() else { return false };
        log::info!("The file names what this process has given up: a successor takes over");
        // What was counted is not lost with it.
        self.obey(Message::Save, t);
        self.parent.say_all(self.teller.waiting());
        if let Ok(bytes) = encode(&unwritten) {
            self.parent.say(Message::Keep { key: UNWRITTEN.to_string(), bytes });
        }
        self.parent.flush_at_the_end();
        true
    }
}
