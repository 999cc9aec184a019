//! Where a role writes once it is confined. All of it is known when a file has been read; a later file may name a folder that this process
//! has given up, and then a successor begins, as after a crash, which loses nothing.

use crate::cli::Options;
use std::path::{Path, PathBuf};
use std::time::Duration;
use steadfast_sys::sandbox::{self, Places};

pub use steadfast_supervisor::SUCCESSION;

fn folder(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|f| !f.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_path_buf()
}

/// A process hands over when it has lived so long: whoever changes a file in steps has one successor, not several.
pub const PAUSE: Duration = Duration::from_secs(10);
/// And when mail and lines for FIFOs are out, for which it waits so long at most.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The places of who writes these files, and clears these away at its end.
pub fn of<'a>(
    options: &'a Options,
    written: impl IntoIterator<Item = &'a Path>,
    cleared: impl IntoIterator<Item = &'a Path>,
) -> Places {
    let mut places = Places {
        written: written.into_iter().chain(options.record.as_deref()).map(folder).collect(),
        cleared: cleared.into_iter().map(folder).collect(),
        set: vec!["/proc/sys/net".into()],
    };
    if options.core_dump {
        // The kernel writes a core file as the process that dies.
        let pattern = steadfast_sys::core_pattern::get().unwrap_or_default();
        places.written.extend([".".into(), folder(Path::new(&pattern))]);
    }
    places
}

/// A file may not be written, or not where it has to be made.
pub fn is_closed(path: &Path) -> bool {
    !sandbox::may_write(&folder(path))
}

/// Some of these files cannot be written by this process, but by a successor.
pub fn lacks<'a>(written: impl IntoIterator<Item = &'a Path>) -> bool {
    written.into_iter().any(is_closed)
}
