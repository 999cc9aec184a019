//! Process groups that somebody else has to end when the process that started them is gone: their numbers lie in memory that both have,
//! so that no signal to the one takes them from the other.

use crate::schedule;
use crate::spawn::signal_group;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;

const SIGKILL: i32 = 9;
/// Bytes of a number.
const SIZE: u64 = 4;
/// Groups that are read.
const MOST: u64 = 1 << 16;

/// The memory: places, each with the number of a group or nothing.
#[derive(Debug)]
pub struct Groups(File);

impl Groups {
    /// Without any group in it.
    pub fn new() -> io::Result<Self> {
        Ok(Groups(File::from(memfd_create(c"groups", MFdFlags::MFD_CLOEXEC)?)))
    }

    /// Takes over a descriptor that was inherited by number, and sets it close-on-exec.
    ///
    /// Fails when the number is no open descriptor.
    pub fn inherited(fd: RawFd) -> io::Result<Self> {
        // SAFETY: fcntl on any number is harmless; only an open descriptor is taken, and the caller names one that the parent left for
        // this process alone.
        unsafe {
            if libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(Groups(File::from(OwnedFd::from_raw_fd(fd))))
        }
    }

    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Puts a group into a place; 0: there is none any more.
    pub fn put(&self, place: u64, group: i32) {
        // Without it nothing fails now.
        let _ = self.0.write_all_at(&group.to_le_bytes(), place * SIZE);
    }

    fn all(&self) -> Vec<i32> {
        let length = self.0.metadata().map_or(0, |m| m.len()).min(MOST * SIZE);
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        if self.0.read_exact_at(&mut bytes, 0).is_err() {
            return Vec::new();
        }
        bytes.chunks_exact(4).filter_map(|b| Some(i32::from_le_bytes(b.try_into().ok()?))).filter(|n| *n > 1).collect()
    }

    /// Ends them all; how many there were. Of the process that started them it must be known that it is gone, and that its children have
    /// become the caller's ([`schedule::adopt_orphans`]): a number that has become another's process since then is no group of ours.
    pub fn end(&self) -> usize {
        let own = format!("PPid:\t{}", schedule::pid());
        let ours = |group: &i32| match std::fs::read_to_string(format!("/proc/{group}/status")) {
            Ok(status) => status.lines().any(|l| l == own),
            // The first of the group has ended; as long as another has not, the kernel gives its number to nobody.
            Err(_) => crate::spawn::group_lives(*group),
        };
        self.all().into_iter().filter(ours).map(|group| signal_group(group, SIGKILL)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spawn::{End, Spec, end_of, spawn};
    use std::time::Duration;

    #[test]
    fn groups_in_the_memory_are_ended_whole_and_no_others() {
        let groups = Groups::new().expect("memory");
        let other =
            Groups::inherited(nix::unistd::dup(&groups.0).map(std::os::fd::IntoRawFd::into_raw_fd).expect("dup"));
        let other = other.expect("the same");
        let begin = || {
            let argv = ["/bin/sh", "-c", "sleep 60 & wait"].map(Into::into).into();
            spawn(&Spec { argv, group: true, ..Default::default() }).expect("a shell")
        };
        let [a, b, c] = [begin(), begin(), begin()];
        // The test's own parent is a process that is there, and no child of ours.
        // SAFETY: no memory is involved.
        let stranger = unsafe { libc::getppid() };
        for (place, group) in [(0, a), (1, b), (2, stranger), (7, c)] {
            other.put(place, group);
        }
        other.put(1, 0);
        assert_eq!(groups.end(), 2);
        for group in [a, c] {
            assert_eq!(end_of(group, Duration::from_secs(5)), Some(End::Signalled(SIGKILL)));
        }
        assert_eq!(end_of(b, Duration::ZERO), None);
        signal_group(b, SIGKILL);
        assert!(end_of(b, Duration::from_secs(5)).is_some());
    }
}
