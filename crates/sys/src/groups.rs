//! Process groups that somebody else has to end when the process that started them is gone: their numbers lie in memory that both have,
//! so that no signal to the one takes them from the other. The memory may have a name: whoever comes after both finds it by that.

use crate::schedule;
use crate::spawn::signal_group;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const SIGKILL: i32 = 9;
/// Bytes of a place: a group's number, and when its first process began, in the kernel's ticks since the boot.
const SIZE: usize = 16;
/// Groups that are read.
const MOST: usize = 1 << 16;

/// The memory: places, each with a group or nothing.
#[derive(Debug)]
pub struct Groups(File);

/// Where the number of a group goes, by the process that becomes its first, before it is a program.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    fd: RawFd,
    offset: i64,
}

impl Place {
    /// Of the calling process, whose beginning is not known yet. Nothing in it is forbidden after a fork.
    pub(crate) fn take(self) {
        let mut bytes = [0; SIZE];
        // SAFETY: `bytes` outlives the call, which reads so many of them.
        unsafe {
            bytes[..4].copy_from_slice(&libc::getpid().to_le_bytes());
            libc::pwrite(self.fd, bytes.as_ptr().cast(), SIZE, self.offset);
        }
    }
}

/// When a process began; 0: there is none.
fn began(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second field is a name with whatever in it; this is the 22nd.
    let field = text.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(19));
    field.and_then(|n| n.parse().ok()).unwrap_or(0)
}

impl Groups {
    /// Without any group in it.
    pub fn new() -> io::Result<Self> {
        Ok(Groups(File::from(memfd_create(c"groups", MFdFlags::MFD_CLOEXEC)?)))
    }

    /// The same with a name, in a folder that root alone may write to. Another one of that name loses it.
    pub fn named(path: &Path) -> io::Result<Self> {
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        options.open(path).map(Groups)
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

    /// A place, for a process that is about to begin.
    pub fn place(&self, place: u64) -> Place {
        Place { fd: self.fd(), offset: i64::try_from(place).unwrap_or(0) * SIZE as i64 }
    }

    /// Puts a group into a place, whose first process is there; 0: there is none any more.
    pub fn put(&self, place: u64, group: i32) {
        let mut bytes = [0; SIZE];
        let (number, time) = bytes.split_at_mut(8);
        number[..4].copy_from_slice(&group.to_le_bytes());
        time.copy_from_slice(&if group > 1 { began(group) } else { 0 }.to_le_bytes());
        // Without it nothing fails now.
        let _ = self.0.write_all_at(&bytes, place * SIZE as u64);
    }

    fn all(&self) -> Vec<(i32, u64)> {
        let mut bytes = Vec::new();
        let mut chunk = [0; SIZE * 256];
        while let Ok(n @ 1..) = self.0.read_at(&mut chunk, bytes.len() as u64) {
            bytes.extend_from_slice(chunk.get(..n).unwrap_or_default());
            if bytes.len() >= MOST * SIZE {
                break;
            }
        }
        let (places, _) = bytes.as_chunks::<SIZE>();
        let of = |b: &[u8; SIZE]| {
            let (number, time) = b.split_at(8);
            let group = i32::from_le_bytes(number.get(..4)?.try_into().ok()?);
            Some((group, u64::from_le_bytes(time.try_into().ok()?)))
        };
        places.iter().filter_map(of).filter(|(group, _)| *group > 1).collect()
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
        self.all().into_iter().filter(|(group, _)| ours(group)).map(|(group, _)| signal_group(group, SIGKILL)).count()
    }
}

/// Ends the groups of a memory of this name, whose owners are both gone, and takes the name away; how many there were. A process is one of
/// them only where it began when it was written down: its number may be another's by now.
pub fn end_left(path: &Path) -> usize {
    let mut options = OpenOptions::new();
    let Ok(file) = options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path) else { return 0 };
    let _ = std::fs::remove_file(path);
    if !file
        .metadata()
        .is_ok_and(|m| m.is_file() && std::os::unix::fs::MetadataExt::uid(&m) == nix::unistd::geteuid().as_raw())
    {
        return 0;
    }
    let same = |(group, time): &(i32, u64)| *time != 0 && began(*group) == *time;
    Groups(file).all().into_iter().filter(same).map(|(group, _)| signal_group(group, SIGKILL)).count()
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

    #[test]
    fn who_comes_later_ends_what_is_still_what_was_written_down() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("groups");
        assert_eq!(end_left(&path), 0, "there was nobody before");
        let groups = Groups::named(&path).expect("memory");
        let argv: Vec<_> = ["/bin/sh", "-c", "sleep 60 & wait"].map(Into::into).into();
        let begin = |place| {
            let place = Some(groups.place(place));
            spawn(&Spec { argv: argv.clone(), group: true, place, ..Default::default() }).expect("a shell")
        };
        let [a, b, c] = [begin(0), begin(1), begin(2)];
        // It has said itself which group it is.
        assert_eq!(groups.all(), [(a, 0), (b, 0), (c, 0)]);
        groups.put(0, a);
        // That number was another's when it was written down.
        groups.put(1, b);
        let mut time = [0; 8];
        groups.0.read_exact_at(&mut time, 24).expect("a time");
        groups.0.write_all_at(&(u64::from_le_bytes(time) - 1).to_le_bytes(), 24).expect("another");
        assert_eq!(end_left(&path), 1, "and of the third it is not known");
        assert_eq!(end_of(a, Duration::from_secs(5)), Some(End::Signalled(SIGKILL)));
        assert!(!path.exists());
        for group in [b, c] {
            assert_eq!(end_of(group, Duration::ZERO), None);
            signal_group(group, SIGKILL);
            assert!(end_of(group, Duration::from_secs(5)).is_some());
        }
        // Somebody else's link is not followed.
        (0..3).for_each(|place| groups.put(place, 0));
        groups.put(0, begin(0));
        std::os::unix::fs::symlink(format!("/proc/self/fd/{}", groups.fd()), &path).expect("link");
        assert_eq!(end_left(&path), 0);
        assert_eq!(groups.end(), 1);
    }
}
