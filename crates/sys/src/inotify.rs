//! Watched files.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::path::{Path, PathBuf};

/// Watches files by their folders, so that a file that is replaced, removed or made later is seen too, and each by itself, since a link
/// may lead to one in another folder.
pub struct Watcher {
    inotify: Inotify,
    files: Vec<PathBuf>,
    /// Files by what is watched of them, by their number. Folders of several names are one.
    of: HashMap<WatchDescriptor, Vec<usize>>,
    /// Files whose folder is not there.
    homeless: BTreeSet<usize>,
}

impl Watcher {
    /// A watcher without files.
    pub fn new() -> io::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        Ok(Watcher { inotify, files: Vec::new(), of: HashMap::new(), homeless: BTreeSet::new() })
    }

    /// Adds a file. If its folder cannot be watched, which is an error, [`Watcher::again`] tries once more.
    pub fn add(&mut self, file: &Path) -> io::Result<()> {
        self.files.push(file.to_path_buf());
        self.watch(self.files.len() - 1)
    }

    fn watch(&mut self, n: usize) -> io::Result<()> {
        let Some(file) = self.files.get(n) else { return Ok(()) };
        let folder = file.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Not IN_MODIFY: who writes empties the file first, and what it says counts when he is done.
        let written = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_ATTRIB;
        let flags = written
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF;
        // The file may be absent.
        let own = self.inotify.add_watch(file, written);
        let folder = self.inotify.add_watch(folder, flags);
        for descriptor in own.into_iter().chain(folder) {
            let all = self.of.entry(descriptor).or_default();
            if !all.contains(&n) {
                all.push(n);
            }
        }
        match folder {
            Ok(_) => drop(self.homeless.remove(&n)),
            Err(_) => drop(self.homeless.insert(n)),
        }
        folder.map(drop).map_err(io::Error::from)
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.inotify.as_fd().as_raw_fd()
    }

    /// Files that may have changed, each once. An overflow of the kernel's queue names all.
    pub fn changed(&mut self) -> Vec<PathBuf> {
        let mut changed = BTreeSet::new();
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                let Some(of) = self.of.get(&event.wd) else {
                    if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                        changed.extend(0..self.files.len());
                    }
                    continue;
                };
                let named = |n: &usize| self.files.get(*n).is_some_and(|f| f.file_name() == event.name.as_deref());
                changed.extend(of.iter().copied().filter(|n| event.name.is_none() || named(n)));
                // What goes by the name now is something else.
                if event.mask.contains(AddWatchFlags::IN_MOVE_SELF) {
                    let _ = self.inotify.rm_watch(event.wd);
                    self.of.remove(&event.wd);
                } else if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.of.remove(&event.wd);
                }
            }
        }
        for n in &changed {
            let _ = self.watch(*n);
        }
        changed.into_iter().filter_map(|n| self.files.get(n).cloned()).collect()
    }

    /// Files whose folder is there again, or for the first time: they may have changed. To be called now and then.
    pub fn again(&mut self) -> Vec<PathBuf> {
        let found: Vec<usize> = self.homeless.clone().into_iter().filter(|n| self.watch(*n).is_ok()).collect();
        found.into_iter().filter_map(|n| self.files.get(n).cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{create_dir, remove_dir_all, rename, write};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_heard_of_by_whatever_name_it_is_reached() {
        let home = tempfile::tempdir().expect("folder");
        let at = |name: &str| home.path().join(name);
        create_dir(at("a")).expect("folder");
        symlink(at("a"), at("b")).expect("link");
        create_dir(at("far")).expect("folder");
        write(at("far/target"), "1").expect("file");
        symlink(at("far/target"), at("a/link")).expect("link");
        let files = [at("a/one"), at("b/two"), at("a/link"), at("later/three")];
        let mut w = Watcher::new().expect("inotify");
        let added: Vec<bool> = files.iter().map(|f| w.add(f).is_ok()).collect();
        assert_eq!(added, [true, true, true, false]);
        let mut heard = |written: &Path| {
            write(written, "2").expect("file");
            w.changed()
        };
        assert_eq!(heard(&at("a/one")), [at("a/one")]);
        assert_eq!(heard(&at("b/one")), [at("a/one")], "by another name of its folder");
        assert_eq!(heard(&at("a/two")), [at("b/two")]);
        assert_eq!(heard(&at("far/target")), [at("a/link")], "through a link");
        assert!(heard(&at("a/other")).is_empty());
        // A folder that comes, goes, and comes again, is moved away and made anew.
        assert!(w.again().is_empty());
        for _ in 0..2 {
            create_dir(at("later")).expect("folder");
            assert_eq!(w.again(), [at("later/three")]);
            write(at("later/three"), "3").expect("file");
            assert_eq!(w.changed(), [at("later/three")]);
            remove_dir_all(at("later")).expect("remove");
            assert_eq!(w.changed(), [at("later/three")]);
        }
        create_dir(at("later")).expect("folder");
        w.again();
        rename(at("later"), at("away")).expect("rename");
        assert_eq!(w.changed(), [at("later/three")]);
        create_dir(at("later")).expect("folder");
        assert_eq!(w.again(), [at("later/three")]);
        write(at("away/three"), "4").expect("file");
        assert!(w.changed().is_empty(), "that is another one");
        write(at("later/three"), "5").expect("file");
        assert_eq!(w.changed(), [at("later/three")]);
    }
}
