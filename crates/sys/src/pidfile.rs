//! Pid files.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A pid file, locked while this value lives and removed by [`PidFile::remove`]. The number in it is never trusted: whether
/// another daemon runs is told by the lock alone.
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

impl PidFile {
    /// Opens and locks the file; a stale one is used again.
    pub fn lock(path: &Path) -> Result<Self, PidError> {
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
