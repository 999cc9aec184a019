//! Signals as events.

use nix::sys::signalfd::SfdFlags;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// SIGRTMIN+2 in glibc: JSON dump.
pub const JSON: i32 = 36;
/// SIGRTMAX-1: statistics, then clear.
pub const STATS_CLEAR: i32 = 63;

/// What somebody listens to.
const HEARD: [i32; 9] = [
    libc::SIGHUP,
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGCHLD,
    libc::SIGXCPU,
    JSON,
    STATS_CLEAR,
];
/// What nobody listens to, and would end or stop a process; those of real time beside them.
const UNHEARD: [i32; 13] = [
    libc::SIGQUIT,
    libc::SIGTRAP,
    libc::SIGALRM,
    libc::SIGSTKFLT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGXFSZ,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGIO,
    libc::SIGPWR,
    libc::SIGSYS,
];

/// A fault ends this process, and leaves a core file where one is wanted. The handler that Rust installs to name an overflow of the
/// stack takes any other fault for one that will come again, which one that was sent (kill -SEGV) does not.
pub fn faults_are_deadly() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the default action needs no memory of ours.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// A signalfd.
pub struct Signals {
    fd: std::os::fd::OwnedFd,
}

impl Signals {
    /// Blocks the daemon's signals for this thread and those that it starts, and opens the descriptor. SIGPIPE is ignored. Signals that
    /// mean nothing to it neither end nor stop it; faults and what cannot be blocked do.
    pub fn new() -> io::Result<Self> {
        let mut raw = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set; the other calls get a valid set and valid signal numbers. signalfd with -1
        // makes a new descriptor that nobody else owns.
        let fd = unsafe {
            libc::sigemptyset(raw.as_mut_ptr());
            // Those that the C library keeps for itself it refuses to add.
            for s in HEARD.into_iter().chain(UNHEARD).chain(libc::SIGRTMIN()..=libc::SIGRTMAX()) {
                libc::sigaddset(raw.as_mut_ptr(), s);
            }
            let set = raw.assume_init();
            if libc::sigprocmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            // Of whom ignores the ends of children, as whoever started us may have done, the kernel tells none.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
            let fd = libc::signalfd(-1, &set, (SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC).bits());
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(fd)
        };
        Ok(Signals { fd })
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// The next signal number, if one is pending. That real-time CPU is used up (*_rlimit_rttime) is said, and is no reason to end: the
    /// kernel says so at half of what is allowed.
    pub fn next(&self) -> Option<i32> {
        let mut info = [0u8; std::mem::size_of::<libc::signalfd_siginfo>()];
        loop {
            match nix::unistd::read(&self.fd, &mut info) {
                Ok(n) if n == info.len() => match i32::from_ne_bytes([info[0], info[1], info[2], info[3]]) {
                    libc::SIGXCPU => log::warn!("half of the real-time CPU that is allowed without a pause is used up"),
                    signal if HEARD.contains(&signal) => return Some(signal),
                    signal => log::debug!("signal {signal} means nothing here"),
                },
                _ => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &str = "STEADFAST_TEST_SIGNALS";

    /// Whoever started us may have ignored the ends of his children, and that is inherited.
    #[test]
    fn ends_of_children_are_heard_of_whoever_started_us() {
        if std::env::var_os(INNER).is_some() {
            let _signals = Signals::new().expect("signals");
            let mut child = std::process::Command::new("true").spawn().expect("true");
            assert!(child.wait().expect("its end is kept for us").success());
            return;
        }
        let me = std::env::current_exe().expect("own path");
        let inner = std::process::Command::new("env")
            .arg("--ignore-signal=CHLD")
            .arg(me)
            .args(["--exact", "signals::tests::ends_of_children_are_heard_of_whoever_started_us"])
            .env(INNER, "1")
            .output()
            .expect("env");
        assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    }
}
