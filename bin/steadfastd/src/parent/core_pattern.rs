//! `-M`: kernel.core_pattern, which is the whole machine's, is another one for as long as the daemon runs. A record beside the pid
//! file says what it was, for whoever comes after a parent that was killed, or was replaced by another program.

use super::Daemon;
use crate::record;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use steadfast_sys::{core_pattern, files};

/// What was there, and what we put there.
#[derive(Serialize, Deserialize, Clone)]
struct Record {
    boot: String,
    before: String,
    ours: String,
}

/// A record is not read further.
const LARGEST: u64 = 64 << 10;

/// What an earlier life wrote, in this boot.
fn read(path: &Path) -> Option<Record> {
    let record: Record = serde_json::from_slice(&files::read_own(path, LARGEST).ok()?).ok()?;
    (record.boot == record::boot()).then_some(record)
}

fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

impl Daemon {
    fn core_record(&self) -> PathBuf {
        self.pid_path("keepalived", &self.options.pid).with_extension("core_pattern")
    }

    /// Sets the pattern that `-M` names; what a dead daemon left is put right where there is none.
    pub(super) fn set_core_pattern(&mut self) {
        self.begun_in_order = true;
        let path = self.core_record();
        let Some(wanted) = &self.options.core_pattern else {
            self.restore_core_pattern();
            return;
        };
        let there = match core_pattern::get() {
            Ok(there) => there,
            Err(e) => return log::warn!("Unable to read/write core_pattern: {e}"),
        };
        // It is that of an earlier life, whose word on what was before holds.
        let former = read(&path).filter(|r| r.ours == there);
        let before = former.clone().map_or(there, |r| r.before);
        // The record comes first: who dies between the two has changed nothing.
        let mut record = Record { boot: record::boot(), before, ours: wanted.clone() };
        if !record::write(&path, &record) {
            return log::warn!("core_pattern stays as it is: nobody would know what it was");
        }
        match core_pattern::set(wanted) {
            Ok(now) if now == *wanted => {
                log::info!("kernel.core_pattern is '{now}' until the end of the daemon, and was '{}'", record.before)
            }
            Ok(now) => {
                log::warn!("core_pattern is '{now}', the kernel takes no more of '{wanted}'");
                record.ours = now;
                record::write(&path, &record);
            }
            Err(e) => {
                log::warn!("Unable to read/write core_pattern: {e}");
                // What an earlier life set is there still.
                match former {
                    Some(former) => drop(record::write(&path, &former)),
                    None => remove(&path),
                }
            }
        }
    }

    /// Puts back what was there. A pattern that somebody else has set meanwhile stays.
    pub(super) fn restore_core_pattern(&self) {
        let path = self.core_record();
        let Some(record) = read(&path) else { return };
        match core_pattern::get() {
            Ok(there) if there == record.ours => {
                if let Err(e) = core_pattern::set(&record.before) {
                    return log::error!("Unable to read/write core_pattern, which was '{}': {e}", record.before);
                }
            }
            Ok(there) => log::info!("core_pattern was changed by somebody else and stays '{there}'"),
            Err(e) => return log::error!("Unable to read/write core_pattern, which was '{}': {e}", record.before),
        }
        remove(&path);
    }
}
