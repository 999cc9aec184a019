//! Packet-mode pipes: one write of at most 4096 bytes is one read, so a reader that dies in the middle never leaves its
//! successor out of step.

use nix::fcntl::OFlag;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Largest packet.
pub const PACKET: usize = 4096;

/// A pair of ends: what is written to the second is read from the first.
pub fn pair() -> io::Result<(Reader, Writer)> {
    let (r, w) = nix::unistd::pipe2(OFlag::O_DIRECT | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
    Ok((Reader(r), Writer(w)))
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet {
    /// So many bytes of the buffer.
    Data(usize),
    /// Nothing now.
    Empty,
    /// The other side is closed.
    Closed,
}

/// The reading end.
#[derive(Debug)]
pub struct Reader(OwnedFd);

/// The writing end.
#[derive(Debug)]
pub struct Writer(OwnedFd);

impl Reader {
    /// Takes one packet.
    pub fn read(&self, buffer: &mut [u8; PACKET]) -> Packet {
        match nix::unistd::read(&self.0, buffer) {
            Ok(0) => Packet::Closed,
            Ok(n) => Packet::Data(n),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Packet::Empty,
            Err(_) => Packet::Closed,
        }
    }
}

/// A write that could not be done.
#[derive(Debug, PartialEq, Eq)]
pub enum WriteError {
    /// The pipe is full; try again when it is writable.
    Full,
    /// Nobody reads, or the packet is too large.
    Closed,
}

impl Writer {
    /// Writes one packet, all or nothing.
    pub fn write(&self, packet: &[u8]) -> Result<(), WriteError> {
        if packet.len() > PACKET {
            return Err(WriteError::Closed);
        }
        match nix::unistd::write(&self.0, packet) {
            Ok(n) if n == packet.len() => Ok(()),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) => Err(WriteError::Full),
            _ => Err(WriteError::Closed),
        }
    }
}

macro_rules! end {
    ($t:ident) => {
        impl $t {
            /// The descriptor's number.
            pub fn fd(&self) -> RawFd {
                self.0.as_raw_fd()
            }
            /// Takes over a descriptor that was inherited from the parent by number. Sets it non-blocking and close-on-exec.
            ///
            /// Fails when the number is no open descriptor.
            pub fn inherited(fd: RawFd) -> io::Result<Self> {
                // SAFETY: fcntl on any number is harmless; only an open descriptor is taken, and the caller names one that
                // the parent left for this process alone.
                unsafe {
                    if libc::fcntl(fd, libc::F_GETFD) < 0 || libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
                        return Err(io::Error::last_os_error());
                    }
                    Ok($t(OwnedFd::from_raw_fd(fd)))
                }
            }
        }
        impl AsFd for $t {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.as_fd()
            }
        }
    };
}
end!(Reader);
end!(Writer);
