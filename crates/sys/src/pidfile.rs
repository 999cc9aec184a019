//! Pid files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// A pid file, locked while this value lives and removed by [`PidFile::remove`]. Whether
/// another daemon of ours runs is told by the lock alone, not by the number in it.
pub struct PidFile {
    path: PathBuf,
    file: File,
}

/// Why the file cannot be had.
#[derive(Debug)]
pub enum PidError {
    /// Another process holds the lock.
    Running,
    /// Another process holds it, and has said that it ends.
    Ending,
    /// The file cannot be made.
    System(io::Error),
}

/// A lock of the whole file; what stands in the way when that is asked for.
fn lock(file: &File, command: libc::c_int, kind: libc::c_int) -> io::Result<libc::c_int> {
    let mut lock = libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open and `lock` outlives the call. An open-file-description lock survives fork and is
    // dropped with the last descriptor, so it dies with the daemon and not with a closed copy.
    if unsafe { libc::fcntl(file.as_raw_fd(), command, &mut lock) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(libc::c_int::from(lock.l_type))
}

/// The file is still the one of that path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev() && a.ino() == b.ino(),
        _ => false,
    }
}

/// Times that a file may be removed right after it was opened.
const AGAIN: usize = 100;

impl PidFile {
    /// Opens and locks the file; a stale one is used again. What has been removed between the two is nobody's lock: another daemon
    /// makes the file anew.
    pub fn lock(path: &Path) -> Result<Self, PidError> {
        for _ in 0..AGAIN {
            let file = Self::lock_once(path)?;
            if is_at(&file.file, path) {
                return Ok(file);
            }
        }
        Err(PidError::Running)
    }

    fn lock_once(path: &Path) -> Result<Self, PidError> {
        if let Some(directory) = path.parent() {
            let _ = std::fs::create_dir_all(directory);
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)
            .map_err(PidError::System)?;
        match lock(&file, libc::F_OFD_SETLK, libc::F_WRLCK) {
            Ok(_) => Ok(PidFile { path: path.to_path_buf(), file }),
            Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
                let held = lock(&file, libc::F_OFD_GETLK, libc::F_WRLCK);
                Err(if held.is_ok_and(|kind| kind == libc::F_RDLCK) { PidError::Ending } else { PidError::Running })
            }
            Err(e) => Err(PidError::System(e)),
        }
    }

    /// Says to whoever wants the file that it will soon be free: the lock becomes one for reading.
    pub fn ending(&self) {
        let _ = lock(&self.file, libc::F_OFD_SETLK, libc::F_RDLCK);
    }

    /// Writes a process id.
    pub fn write(&mut self, pid: i32) -> io::Result<()> {
        use std::io::Seek;
        self.file.set_len(0)?;
        self.file.seek(io::SeekFrom::Start(0))?;
        writeln!(self.file, "{pid}")
    }

    /// Removes the file and lets the lock go.
    pub fn remove(self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A process has this file open, or one that was there and is gone.
pub fn has_open(pid: i32, path: &Path) -> bool {
    let wanted = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let Ok(all) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let there = all.flatten().filter_map(|e| std::fs::read_link(e.path()).ok());
    there.into_iter().any(|p| {
        p == wanted || p.to_str().and_then(|p| p.strip_suffix(" (deleted)")).is_some_and(|p| wanted == Path::new(p))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who waits for the file opens it, the ending daemon removes it and lets go, then the lock succeeds: of a file that is not there.
    #[test]
    fn a_lock_of_a_file_that_is_gone_is_not_had() {
        let path = std::env::temp_dir().join(format!("steadfast-pid-{}", std::process::id()));
        let former = PidFile::lock(&path).expect("free");
        former.ending();
        let opened = File::open(&path).expect("there");
        assert!(is_at(&opened, &path));
        assert!(matches!(PidFile::lock(&path), Err(PidError::Ending)));
        former.remove();
        assert!(!is_at(&opened, &path), "nothing is there");
        let mut next = PidFile::lock(&path).expect("free");
        assert!(!is_at(&opened, &path) && is_at(&next.file, &path), "another one is there");
        next.write(7).expect("write");
        assert!(matches!(PidFile::lock(&path), Err(PidError::Running)));
        next.remove();
        assert!(!path.exists());
    }
}
