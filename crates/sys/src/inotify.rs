//! Watched files.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

/// Watches files by their directories, so that a file that is replaced, removed or made later is seen too.
pub struct Watcher {
    inotify: Inotify,
    directories: HashMap<WatchDescriptor, PathBuf>,
    files: Vec<PathBuf>,
}

impl Watcher {
    /// A watcher without files.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Watcher { inotify, directories: HashMap::new(), files: Vec::new() })
    }

    /// Adds a file. Its directory must exist.
    pub fn add(&mut self, file: &Path) -> io::Result<()> {
        let directory = file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Not IN_MODIFY: who writes empties the file first, and what it says counts when he is done.
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_ATTRIB;
        let descriptor = self.inotify.add_watch(directory, flags)?;
        self.directories.insert(descriptor, directory.to_path_buf());
        self.files.push(file.to_path_buf());
        Ok(())
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }

    /// Files that may have changed, each once. An overflow of the kernel's queue names all.
    pub fn changed(&mut self) -> Vec<PathBuf> {
        let mut changed: Vec<PathBuf> = Vec::new();
        let mut note = |path: PathBuf| {
            if !changed.contains(&path) {
                changed.push(path);
            }
        };
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    self.files.iter().cloned().for_each(&mut note);
                    continue;
                }
                let (Some(directory), Some(name)) = (self.directories.get(&event.wd), event.name) else { continue };
                self.files
                    .iter()
                    .filter(|f| {
                        f.file_name() == Some(name.as_os_str()) && f.parent().unwrap_or(Path::new(".")) == directory
                    })
                    .cloned()
                    .for_each(&mut note);
            }
        }
        changed
    }
}
