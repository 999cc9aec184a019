//! The control socket: a Unix stream that root alone may open. One request line, one answer, end.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest request.
const REQUEST: usize = 4096;

/// The listening end. Its file goes with it.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Takes over the path, also from a predecessor that died. The caller holds the pid file, so nobody else lives there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        match std::fs::symlink_metadata(path) {
            Ok(m) if std::os::unix::fs::FileTypeExt::is_socket(&m.file_type()) => std::fs::remove_file(path)?,
            Ok(_) => return Err(io::Error::new(ErrorKind::AlreadyExists, "there is something that is no socket")),
            Err(_) => {}
        }
        // Nobody may connect between the bind and the change of mode.
        let before = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        nix::sys::stat::umask(before);
        let listener = bound?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Listener { listener, path: path.to_path_buf() })
    }

    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        self.listener.as_raw_fd()
    }

    /// Somebody who asks, if there is one.
    pub fn accept(&self) -> Option<Client> {
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        Some(Client { stream, request: Vec::new(), answer: Vec::new() })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The process that listens there, if one does.
pub fn listener_at(path: &Path) -> Option<i32> {
    let stream = UnixStream::connect(path).ok()?;
    let peer = nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials).ok()?;
    Some(peer.pid())
}

/// One who asks.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// How far a client is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress {
    /// There is more to come.
    Waiting,
    /// A request.
    Request(String),
    /// It is done, or gone.
    Over,
}

impl Client {
    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    /// Takes what has come.
    pub fn read(&mut self) -> Progress {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Progress::Over,
                Ok(n) => self.request.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Over,
            }
            if let Some(end) = self.request.iter().position(|b| *b == b'\n') {
                let line = String::from_utf8_lossy(self.request.get(..end).unwrap_or_default()).into_owned();
                self.request.clear();
                return Progress::Request(line);
            }
            if self.request.len() > REQUEST {
                return Progress::Over;
            }
        }
    }

    /// The whole answer, of which as much goes out as can.
    pub fn answer(&mut self, bytes: Vec<u8>) -> Progress {
        self.answer = bytes;
        self.flush()
    }

    /// There is more of an answer to write.
    pub fn answering(&self) -> bool {
        !self.answer.is_empty()
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> Progress {
        while !self.answer.is_empty() {
            match self.stream.write(&self.answer) {
                Ok(n) => drop(self.answer.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Progress::Over,
            }
        }
        Progress::Over
    }
}
/// Answers whoever has the other end of an inherited socket, which is closed then. He has ten seconds to read.
pub fn answer(fd: RawFd, bytes: &[u8]) -> io::Result<()> {
    // SAFETY: fcntl on any number is harmless; only an open descriptor is taken, and the caller names one that was left to it for
    // this purpose alone.
    let stream = unsafe {
        if libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        UnixStream::from(OwnedFd::from_raw_fd(fd))
    };
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(Duration::from_secs(10)))?;
    (&stream).write_all(bytes)
}
