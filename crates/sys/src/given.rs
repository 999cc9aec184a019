//! Descriptors that whoever started us left open for us.

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// What a pipe takes without waiting once it says that it takes something.
const AT_ONCE: usize = 4096;

/// One that can be written to.
#[derive(Debug)]
pub struct Given(OwnedFd);

impl Given {
    /// The descriptor of this number, which must be open for writing. To be called before anything else is opened: a number that was not
    /// given would be that of something of ours then.
    pub fn take(number: RawFd) -> io::Result<Given> {
        if number < 0 {
            return Err(nix::Error::EBADF.into());
        }
        // SAFETY: the number is looked at for the length of these calls, which fail where it is not open.
        let open = unsafe { BorrowedFd::borrow_raw(number) };
        let flags = OFlag::from_bits_truncate(fcntl(open, FcntlArg::F_GETFL)?);
        if flags & OFlag::O_ACCMODE == OFlag::O_RDONLY {
            return Err(io::Error::other("it is not open for writing"));
        }
        let copy = fcntl(open, FcntlArg::F_DUPFD_CLOEXEC(3))?;
        if number > 2 {
            // SAFETY: it is open, was left to us, and nobody else here knows of it: whoever reads is to see its end when we are done.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        // SAFETY: it was made a moment ago, and is nobody else's.
        Ok(Given(unsafe { OwnedFd::from_raw_fd(copy) }))
    }

    /// Its number.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Writes all of it; where nobody reads for so long the rest is not written.
    pub fn write_all(&self, mut bytes: &[u8], patience: Option<Duration>) -> io::Result<()> {
        let mut until = patience.map(|p| Instant::now() + p);
        while !bytes.is_empty() {
            let left = until.map(|u| u.saturating_duration_since(Instant::now()));
            let wait = left.map_or(-1, |l| i32::try_from(l.as_millis()).unwrap_or(i32::MAX));
            let mut ask = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
            // SAFETY: one entry, which lives as long as the call.
            match nix::Error::result(unsafe { libc::poll(&raw mut ask, 1, wait) }) {
                Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
                Ok(_) => {}
                Err(nix::Error::EINTR) => continue,
                Err(e) => return Err(e.into()),
            }
            let part = bytes.get(..AT_ONCE).unwrap_or(bytes);
            match nix::unistd::write(&self.0, part) {
                Ok(n) => {
                    bytes = bytes.get(n..).unwrap_or_default();
                    until = patience.map(|p| Instant::now() + p);
                }
                Err(nix::Error::EINTR | nix::Error::EAGAIN) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::IntoRawFd;

    #[test]
    fn what_is_written_arrives_with_its_end_and_nobody_is_waited_for_for_ever() {
        let (mut reader, writer) = std::io::pipe().expect("pipe");
        let given = Given::take(OwnedFd::from(writer).into_raw_fd()).expect("given");
        let text = vec![b'x'; 300_000];
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all)
        });
        given.write_all(&text, None).expect("written");
        drop(given);
        assert_eq!(read.join().expect("thread").expect("read"), text);

        let (reader, writer) = std::io::pipe().expect("pipe");
        let given = Given::take(OwnedFd::from(writer).into_raw_fd()).expect("given");
        let e = given.write_all(&text, Some(Duration::from_millis(50))).expect_err("nobody reads");
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
        drop(reader);
        assert_eq!(given.write_all(&text, None).expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn what_is_not_open_or_not_for_writing_is_refused() {
        assert!(Given::take(-1).is_err());
        assert!(Given::take(100_000).is_err());
        let (reader, _writer) = std::io::pipe().expect("pipe");
        assert!(Given::take(reader.as_raw_fd()).is_err());
    }
}
