//! FIFOs for notification lines.

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Lines kept while nobody reads: those that waited for its opening (4096 at most), and as many as usual.
const QUEUE: usize = 4096 + 1024;

/// An open FIFO. Lines are written whole or not at all; a full one never blocks: lines wait in a bounded queue, then the oldest
/// are dropped.
pub struct Fifo {
    path: PathBuf,
    fd: OwnedFd,
    created: bool,
    queue: VecDeque<String>,
    /// Lines lost because nobody read.
    pub lost: u64,
}

/// Why a FIFO cannot be used.
#[derive(Debug)]
pub enum FifoError {
    /// The path names something else.
    NotFifo(PathBuf),
    /// The kernel refused.
    System(PathBuf, nix::Error),
}

impl fmt::Display for FifoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FifoError::NotFifo(p) => write!(f, "{} exists and is no FIFO", p.display()),
            FifoError::System(p, e) => write!(f, "FIFO {}: {e}", p.display()),
        }
    }
}

impl std::error::Error for FifoError {}

impl Fifo {
    /// Makes the FIFO if it is absent (mode 0644 less umask), gives it its owner, and opens it for reading and writing, so that
    /// opening never waits for a reader.
    pub fn open(path: &Path, owner: Option<(u32, u32)>) -> Result<Self, FifoError> {
        let err = |e| FifoError::System(path.to_path_buf(), e);
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IROTH;
        let created = match nix::unistd::mkfifo(path, mode) {
            Ok(()) => true,
            Err(nix::Error::EEXIST) => false,
            Err(e) => return Err(err(e)),
        };
        let flags = OFlag::O_RDWR | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
        let fd = nix::fcntl::open(path, flags, Mode::empty()).map_err(|e| match e {
            nix::Error::ELOOP => FifoError::NotFifo(path.to_path_buf()),
            e => err(e),
        })?;
        let kind = nix::sys::stat::fstat(&fd).map_err(err)?.st_mode & libc::S_IFMT;
        if kind != libc::S_IFIFO {
            return Err(FifoError::NotFifo(path.to_path_buf()));
        }
        own(&fd, owner).map_err(err)?;
        Ok(Fifo { path: path.to_path_buf(), fd, created, queue: VecDeque::new(), lost: 0 })
    }

    /// Writes a line, now or when there is room.
    pub fn line(&mut self, line: String) {
        if self.queue.len() >= QUEUE {
            self.queue.pop_front();
            self.lost += 1;
        }
        self.queue.push_back(line);
        self.flush();
    }

    /// Writes what waits. True while something still waits.
    pub fn flush(&mut self) -> bool {
        while let Some(line) = self.queue.front() {
            match nix::unistd::write(&self.fd, line.as_bytes()) {
                Ok(_) => {
                    self.queue.pop_front();
                }
                Err(nix::Error::EINTR) => {}
                Err(_) => return true,
            }
        }
        false
    }

    /// Everything was read.
    pub fn drained(&self) -> bool {
        let mut left = 0i32;
        // SAFETY: `left` is live and of the type that FIONREAD writes.
        let told = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::FIONREAD, &mut left) } == 0;
        self.queue.is_empty() && (!told || left == 0)
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path still leads to it: nobody has removed it or put another into its place.
    pub fn is_there(&self) -> bool {
        let place = |s: nix::sys::stat::FileStat| (s.st_dev, s.st_ino);
        let at = nix::sys::stat::lstat(&self.path).map(place);
        at.is_ok() && at == nix::sys::stat::fstat(&self.fd).map(place)
    }

    /// Gives it to another owner.
    pub fn give(&self, owner: Option<(u32, u32)>) -> Result<(), FifoError> {
        own(&self.fd, owner).map_err(|e| FifoError::System(self.path.clone(), e))
    }

    /// We or a predecessor made it.
    pub fn is_ours(&self) -> bool {
        self.created
    }

    /// A predecessor made it.
    pub fn adopt(&mut self) {
        self.created = true;
    }

    /// Removes the FIFO if we or a predecessor made it.
    pub fn remove(self) {
        if self.created {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Gives it to an owner. Whose it is already may be where nothing can be changed.
fn own(fd: &impl AsFd, owner: Option<(u32, u32)>) -> nix::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let now = nix::sys::stat::fstat(fd)?;
    if (now.st_uid, now.st_gid) == (uid, gid) {
        return Ok(());
    }
    nix::unistd::fchown(fd, Some(uid.into()), Some(gid.into()))
}

/// Removes a FIFO that a predecessor made and nobody opened since; what has another kind meanwhile stays.
pub fn remove_left(path: &Path) {
    let is_fifo = |m: std::fs::Metadata| std::os::unix::fs::FileTypeExt::is_fifo(&m.file_type());
    if std::fs::symlink_metadata(path).is_ok_and(is_fifo) {
        let _ = std::fs::remove_file(path);
    }
}

/// Convenience for messages.
impl From<FifoError> for io::Error {
    fn from(e: FifoError) -> Self {
        io::Error::other(e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// Nobody reads: the newest lines wait, the others are counted, and none is torn.
    #[test]
    fn a_full_fifo_keeps_the_newest_lines_and_counts_the_others() {
        let path = std::env::temp_dir().join(format!("steadfast-fifo-{}", std::process::id()));
        let mut fifo = Fifo::open(&path, None).expect("FIFO");
        let all = 20_000;
        (0..all).for_each(|n| fifo.line(format!("INSTANCE \"VI\" MASTER {n}\n")));
        let lost = usize::try_from(std::mem::take(&mut fifo.lost)).expect("number");
        assert!(lost > 1000 && !fifo.drained(), "{lost}");
        let mut reader = std::fs::OpenOptions::new();
        let mut reader = std::os::unix::fs::OpenOptionsExt::custom_flags(reader.read(true), libc::O_NONBLOCK)
            .open(&path)
            .expect("reader");
        let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            match reader.read(&mut buffer) {
                Ok(n) if n > 0 => text.extend_from_slice(&buffer[..n]),
                _ if !fifo.flush() && fifo.drained() => break,
                _ => {}
            }
        }
        let text = String::from_utf8(text).expect("text");
        let lines: Vec<usize> =
            text.lines().map(|l| l.rsplit(' ').next().expect("word").parse().expect("number")).collect();
        assert_eq!(lines.len() + lost, all);
        assert!(lines.is_sorted() && lines.last() == Some(&(all - 1)), "{:?}", lines.last());
        assert_eq!(fifo.lost, 0);
        fifo.remove();
    }

    #[test]
    fn a_fifo_that_somebody_removed_or_replaced_is_not_there() {
        let folder = std::env::temp_dir().join(format!("steadfast-fifos-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("folder");
        let path = folder.join("fifo");
        let first = Fifo::open(&path, None).expect("opens");
        assert!(first.is_there());
        std::fs::remove_file(&path).expect("removes");
        assert!(!first.is_there());
        let second = Fifo::open(&path, None).expect("opens");
        assert!(!first.is_there() && second.is_there());
        std::fs::remove_dir_all(&folder).expect("removes");
    }
}
