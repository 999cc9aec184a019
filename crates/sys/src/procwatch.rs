//! Hearing of processes that begin and end, instead of looking for them again and again.
//!
//! Two sources. A pidfd of each process that matches tells of its end, everywhere and without privilege. The kernel's process events
//! tell of programs that begin; they reach only the first network namespace, and a caller who counts now and then all the same.

use crate::procs::{self, Matcher};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Matching processes that are watched for their end at most; more are counted only.
const WATCHED: usize = 1024;
/// NETLINK_CONNECTOR, CN_IDX_PROC and CN_VAL_PROC.
const CONNECTOR: i32 = 11;
const PROCESSES: u32 = 1;

/// Looks at processes.
pub struct Watch {
    matchers: Vec<Matcher>,
    ends: HashMap<i32, OwnedFd>,
    events: Option<OwnedFd>,
}

impl Watch {
    /// Watches for processes that match. Without process events it still hears of ends.
    /// `buffer`: bytes of its receive buffer, 0 for the system's, and whether beyond the system's limit.
    pub fn new(matchers: Vec<Matcher>, buffer: (usize, bool)) -> Self {
        let events = if matchers.is_empty() { None } else { connector().ok() };
        if let Some(fd) = events.as_ref().filter(|_| buffer.0 > 0) {
            use nix::sys::socket::{setsockopt, sockopt};
            let done = match buffer {
                (bytes, true) => setsockopt(fd, sockopt::RcvBufForce, &bytes),
                (bytes, false) => setsockopt(fd, sockopt::RcvBuf, &bytes),
            };
            if let Err(e) = done {
                log::warn!("cannot make a receive buffer of {} bytes: {e}", buffer.0);
            }
        }
        Watch { matchers, ends: HashMap::new(), events }
    }

    /// The descriptor of process events, to be watched.
    pub fn fd(&self) -> Option<RawFd> {
        self.events.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Counts all matching processes. `watch` is given each new descriptor that becomes readable when a process ends.
    pub fn count(&mut self, mut watch: impl FnMut(RawFd)) -> HashMap<String, u32> {
        let (counts, pids) = procs::find(Path::new("/proc"), &self.matchers);
        self.ends.retain(|pid, _| pids.contains(pid));
        for pid in pids {
            if self.ends.len() < WATCHED && !self.ends.contains_key(&pid) {
                // SAFETY: pidfd_open makes a new descriptor, close-on-exec, that only the result owns.
                let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
                if let Ok(fd) = i32::try_from(fd)
                    && fd >= 0
                {
                    watch(fd);
                    // SAFETY: as above.
                    self.ends.insert(pid, unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
        }
        counts
    }

    /// A watched process has ended.
    pub fn any_ended(&self) -> bool {
        let mut all: Vec<libc::pollfd> = self
            .ends
            .values()
            .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
            .collect();
        // SAFETY: `all` is live and of the told length; no time is spent waiting.
        !all.is_empty() && unsafe { libc::poll(all.as_mut_ptr(), all.len() as libc::nfds_t, 0) } > 0
    }

    /// Takes process events; true when one concerns a matching process.
    pub fn read(&mut self) -> bool {
        let Some(events) = &self.events else { return false };
        let mut buffer = [0u8; 4096];
        let mut concerned = false;
        loop {
            // SAFETY: the buffer is live and of the told size.
            let n =
                unsafe { libc::recv(events.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), libc::MSG_DONTWAIT) };
            let Ok(n) = usize::try_from(n) else {
                match io::Error::last_os_error().raw_os_error() {
                    Some(libc::EINTR) => continue,
                    // Events were lost: any of them may have concerned us.
                    Some(libc::ENOBUFS) => concerned = true,
                    _ => return concerned,
                }
                continue;
            };
            if let Some(pid) = begun(buffer.get(..n).unwrap_or_default())
                && !concerned
            {
                concerned = procs::one(Path::new("/proc"), pid, &self.matchers).any();
            }
        }
    }
}

/// The process that an event says has begun to be something: fork, exec, change of name.
///
/// ```text
///  0               16              36              52
/// +---------------+---------------+---------------+----------------------------------------------+
/// | nlmsghdr      | cn_msg        | what, cpu, ns | exec, comm: pid, tgid; fork: parent's, child's
/// +---------------+---------------+---------------+----------------------------------------------+
/// ```
pub fn begun(message: &[u8]) -> Option<i32> {
    let word = |at: usize| message.get(at..at + 4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes);
    if (word(16)?, word(20)?) != (PROCESSES, 1) {
        return None;
    }
    // The thread group: threads are no processes.
    let at = match word(36)? {
        0x1 => 64,
        0x2 | 0x200 => 56,
        _ => return None,
    };
    i32::try_from(word(at)?).ok()
}

/// A socket that hears of process events.
fn connector() -> io::Result<OwnedFd> {
    // SAFETY: socket makes a new descriptor that only the result owns; the address and the message are live and of the told sizes.
    unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC, CONNECTOR);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let own = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_nl = std::mem::zeroed();
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = PROCESSES;
        let length = std::mem::size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        if libc::bind(fd, (&raw const address).cast(), length) != 0 {
            return Err(io::Error::last_os_error());
        }
        // nlmsghdr (length, NLMSG_DONE, port 0), cn_msg (index, value, sequence, ack, length, flags), PROC_CN_MCAST_LISTEN.
        let mut message = Vec::new();
        for w in [40u32, u32::from(libc::NLMSG_DONE as u16), 0, 0, PROCESSES, 1, 0, 0, 4, 1] {
            message.extend(w.to_ne_bytes());
        }
        if libc::send(fd, message.as_ptr().cast(), message.len(), libc::MSG_DONTWAIT) < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procs::Arguments;

    #[test]
    fn events_of_any_length_are_read_or_passed_over() {
        let mut exec = vec![0u8; 76];
        exec[16..20].copy_from_slice(&1u32.to_ne_bytes());
        exec[20..24].copy_from_slice(&1u32.to_ne_bytes());
        exec[36..40].copy_from_slice(&2u32.to_ne_bytes());
        exec[56..60].copy_from_slice(&4711u32.to_ne_bytes());
        assert_eq!(begun(&exec), Some(4711));
        (0..60).for_each(|n| assert_eq!(begun(&exec[..n]), None));
        exec[36..40].copy_from_slice(&0x8000_0000u32.to_ne_bytes());
        assert_eq!(begun(&exec), None, "ends are told by pidfds");
    }

    #[test]
    fn the_end_of_a_process_is_told() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
        let m = Matcher {
            name: "m".into(),
            argv: vec!["sleep".into(), "1000".into()],
            full_command: true,
            arguments: Arguments::Equal,
        };
        let mut watch = Watch::new(vec![m], (0, false));
        let mut descriptors = Vec::new();
        // The program's name is there once it is executed.
        while watch.count(|fd| descriptors.push(fd))["m"] == 0 {
            std::thread::yield_now();
        }
        child.kill().expect("kill");
        let fd = *descriptors.last().expect("descriptor");
        let mut p = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one live pollfd.
        assert_eq!(unsafe { libc::poll(&mut p, 1, 10_000) }, 1, "the end was not told within 10 s");
        child.wait().expect("wait");
        assert_eq!(watch.count(|_| {})["m"], 0);
    }

    #[test]
    fn the_socket_has_the_room_that_is_wanted() {
        use nix::sys::socket::{getsockopt, sockopt};
        use std::os::fd::AsFd;
        let m =
            || Matcher { name: "m".into(), argv: vec!["x".into()], full_command: false, arguments: Arguments::Ignored };
        // The kernel doubles what is asked for; the second is beyond any limit that systems come with.
        for (bytes, force, expected) in [(111_000, false, 222_000), (70_000_000, true, 140_000_000)] {
            let watch = Watch::new(vec![m()], (bytes, force));
            let Some(events) = &watch.events else {
                println!("SKIPPED: no process events here");
                return;
            };
            assert_eq!(getsockopt(&events.as_fd(), sockopt::RcvBuf).expect("size"), expected);
        }
    }
}
