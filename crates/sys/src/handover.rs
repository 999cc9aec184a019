//! State that goes from a program to the one that takes its place in the same process: a piece of memory with a descriptor.

use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Most bytes that are taken over.
const MOST: u64 = 256 << 20;

/// The memory.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Puts bytes into memory.
pub fn store(bytes: &[u8]) -> io::Result<Memory> {
    let mut file = File::from(memfd_create(c"handover", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(Memory(file))
}

/// Takes them out, and gives the memory back.
pub fn load(fd: RawFd) -> io::Result<Vec<u8>> {
    // SAFETY: fcntl on any number is harmless; only an open descriptor is taken, and the caller names one that the program before
    // left for this purpose alone.
    let file = unsafe {
        if libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from(OwnedFd::from_raw_fd(fd))
    };
    let mut bytes = Vec::new();
    (&file).rewind()?;
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out() {
        let memory = store(b"state").expect("memory");
        let copy = nix::unistd::dup(&memory.0).expect("descriptor");
        assert_eq!(load(std::os::fd::IntoRawFd::into_raw_fd(copy)).expect("bytes"), b"state");
        assert!(load(-1).is_err());
    }
}
