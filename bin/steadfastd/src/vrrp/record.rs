//! The record of what the VRRP child has put into the kernel.

use super::settings::Settings;
use crate::record::{self, place};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use steadfast_core::kernel::Object;

#[derive(Serialize, Deserialize)]
struct Content {
    place: String,
    objects: Vec<Object>,
    /// Kernel settings as they were before.
    #[serde(default)]
    settings: Settings,
}

impl record::Content for Content {
    fn place(&self) -> &str {
        &self.place
    }
}

/// What an earlier daemon left.
#[derive(Default)]
pub struct Left {
    /// There was one, and it did not end in order.
    pub any: bool,
    /// What it had put into the kernel.
    pub objects: Vec<Object>,
    /// Kernel settings that it found.
    pub settings: Settings,
}

/// The file, and what was last written into it.
pub struct Record {
    path: Option<PathBuf>,
    place: String,
    /// Number of the objects, and of the settings.
    written: Option<(u64, usize)>,
}

impl Record {
    /// The record at a path, and what an earlier daemon left in it.
    pub fn open(path: Option<PathBuf>) -> (Self, Left) {
        let left = path.as_deref().and_then(record::read::<Content>);
        let left = left.map(|c| Left { any: true, objects: c.objects, settings: c.settings }).unwrap_or_default();
        (Record { path, place: place(), written: None }, left)
    }

    /// Writes what is there now, where it has changed; `version` changes with every change.
    pub fn keep<'a>(&mut self, version: u64, objects: impl Iterator<Item = &'a Object>, settings: &Settings) {
        let version = (version, settings.count());
        let Some(path) = self.path.as_deref().filter(|_| self.written != Some(version)) else { return };
        self.written = Some(version);
        // Blocks of traffic are a table of ours, which is made anew as a whole.
        let objects = objects.filter(|o| !matches!(o, Object::Block(_))).cloned().collect();
        record::write(path, &Content { place: self.place.clone(), objects, settings: settings.clone() });
    }

    /// Everything is taken away: there is nothing to say.
    pub fn remove(&mut self) {
        if let Some(path) = self.path.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}
