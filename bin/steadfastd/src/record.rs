//! Records of what a child has put into the kernel, in files beside the pid files, for the case that all processes of the daemon die
//! at once: the next start keeps of it what is in its place and removes the rest, also what left the configuration meanwhile.
//!
//! A file names the boot and the network namespace that it speaks of; it is JSON, since its reader may be of a later version.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;
use steadfast_sys::files;

/// A record is not read when it is larger.
const LARGEST: u64 = 64 << 20;

/// What a file holds, as it is read.
pub trait Content: DeserializeOwned {
    /// Where it holds, see [`place`].
    fn place(&self) -> &str;
}

/// This boot.
pub fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_string()
}

/// This boot, and this network namespace.
pub fn place() -> String {
    let namespace = std::fs::read_link("/proc/self/ns/net").unwrap_or_default();
    format!("{} {}", boot(), namespace.display())
}

fn same_boot(one: &str, other: &str) -> bool {
    one.split(' ').next() == other.split(' ').next()
}

/// What an earlier daemon wrote. A record of another boot or namespace says nothing, nor does one that others could have written.
pub fn read<T: Content>(path: &Path) -> Option<T> {
    let bytes = files::read_own(path, LARGEST).ok()?;
    match serde_json::from_slice::<T>(&bytes) {
        Ok(content) if content.place() == place() => Some(content),
        Ok(content) => {
            if same_boot(content.place(), &place()) {
                log::warn!("{} is of another network namespace: what an earlier run left there stays", path.display());
            }
            None
        }
        Err(e) => {
            log::warn!("{} cannot be read, and what an earlier run left may stay: {e}", path.display());
            None
        }
    }
}

/// What an earlier daemon wrote in another network namespace of this boot.
pub fn elsewhere<T: Content>(path: &Path) -> Option<T> {
    let content: T = serde_json::from_slice(&files::read_own(path, LARGEST).ok()?).ok()?;
    let here = place();
    (content.place() != here && same_boot(content.place(), &here)).then_some(content)
}

/// Removes it, unless it speaks of another network namespace of this boot: then it is another daemon's.
pub fn remove(path: &Path) {
    let here = place();
    let content =
        files::read_own(path, LARGEST).ok().and_then(|b| serde_json::from_slice::<serde_json::Value>(&b).ok());
    let elsewhere = content
        .as_ref()
        .and_then(|c| c.get("place"))
        .and_then(|p| p.as_str())
        .is_some_and(|p| p != here && same_boot(p, &here));
    if !elsewhere {
        let _ = std::fs::remove_file(path);
    }
}

/// Writes it anew; false: it could not be written, which was said.
pub fn write(path: &Path, content: &impl Serialize) -> bool {
    let written = serde_json::to_string(content)
        .map_err(std::io::Error::other)
        .and_then(|text| files::write_dump(path, &text, None));
    if let Err(e) = written {
        log::warn!("cannot write {}, which says what is ours in the kernel: {e}", path.display());
        return false;
    }
    true
}
