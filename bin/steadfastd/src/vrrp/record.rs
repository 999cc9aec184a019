//! The record of what the VRRP child has put into the kernel.

use super::settings::Settings;
use crate::record::{self, place};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use steadfast_core::kernel::Object;

#[derive(Serialize)]
struct Content {
    place: String,
    objects: Vec<Object>,
    /// Kernel settings as they were before.
    settings: Settings,
}

/// The same as it is read: each part by itself, since an older program may have written it.
#[derive(Deserialize)]
struct Written {
    place: String,
    #[serde(default)]
    objects: Vec<Value>,
    #[serde(default)]
    settings: Value,
}

impl record::Content for Written {
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
    /// Number of the objects and of the settings, and the tables.
    written: Option<(u64, usize, String)>,
}

impl Record {
    /// The record at a path, and what an earlier daemon left in it.
    pub fn open(path: Option<PathBuf>) -> (Self, Left) {
        let left = path.as_deref().and_then(|p| Some(parts(record::read::<Written>(p)?, p))).unwrap_or_default();
        (Record { path, place: place(), written: None }, left)
    }

    /// Writes what is there now, where it has changed; `version` changes with every change.
    pub fn keep<'a>(&mut self, version: u64, objects: impl Iterator<Item = &'a Object>, settings: &Settings) {
        let same =
            |(v, n, table): &(u64, usize, String)| (*v, *n, table) == (version, settings.count(), &settings.table);
        let Some(path) = self.path.as_deref().filter(|_| !self.written.as_ref().is_some_and(same)) else { return };
        self.written = Some((version, settings.count(), settings.table.clone()));
        // Blocks of traffic are a table of ours, which is made anew as a whole.
        let objects = objects.filter(|o| !matches!(o, Object::Block(_))).cloned().collect();
        record::write(path, &Content { place: self.place.clone(), objects, settings: settings.clone() });
    }

    /// Everything is taken away: there is nothing to say.
    pub fn remove(&mut self) {
        if let Some(path) = self.path.take() {
            record::remove(&path);
        }
    }
}

/// What can be read of it; what cannot is said.
fn parts(written: Written, path: &Path) -> Left {
    let mut left = Left { any: true, ..Left::default() };
    for value in written.objects {
        match serde_json::from_value(value.clone()) {
            Ok(object) => left.objects.push(object),
            Err(e) => log::warn!("{}: {value} was left by an earlier program, and cannot be read: {e}", path.display()),
        }
    }
    if !written.settings.is_null() {
        left.settings = serde_json::from_value(written.settings).unwrap_or_else(|e| {
            log::warn!(
                "{}: settings of the kernel that an earlier program changed cannot be read: {e}",
                path.display()
            );
            Settings::default()
        });
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_core::kernel::Address;

    #[test]
    fn what_another_version_wrote_otherwise_costs_nothing_else() {
        let cidr = steadfast_core::IpCidr { address: [192, 0, 2, 7].into(), prefix: 24 };
        let mine = Object::Address(Address::new(cidr, "eth0"));
        let known = serde_json::to_value(&mine).expect("JSON");
        let written = serde_json::from_value(serde_json::json!({
            "place": "here", "later": 1, "settings": { "before": [["/proc/sys/x", "1"]] },
            "objects": [{ "Link": { "name": "vrrp.51", "mac": [0, 0, 94, 0, 1, 51] } }, known],
        }));
        let left = parts(written.expect("readable"), Path::new("record"));
        assert_eq!((left.objects, left.settings.count()), (vec![mine.clone()], 1));
        let odd = serde_json::json!({ "place": "here", "settings": 7, "objects": [known] });
        assert_eq!(parts(serde_json::from_value(odd).expect("readable"), Path::new("record")).objects, [mine]);
    }
}
