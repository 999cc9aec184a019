//! Starting programs.
//!
//! A blocked signal mask is inherited through exec, so every program is started here, where it is cleared.

use crate::groups::Place;
use crate::opened::{Exec, Opened};
use crate::schedule;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// The variable by which a unit says what options it wants for scripts. It is nobody else's.
pub const UNITS_WISH: &str = "STEADFAST_SCRIPTS";

/// What of our environment is not for scripts.
const OURS: [&str; 4] = ["IFS", "LD_PRELOAD", "LD_LIBRARY_PATH", UNITS_WISH];

/// Accounts keep their supplementary groups (set_supplementary_groups).
static SUPPLEMENTARY: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Whether programs get the supplementary groups of their account, too.
pub fn keep_supplementary_groups(on: bool) {
    SUPPLEMENTARY.store(on, std::sync::atomic::Ordering::Relaxed);
}

/// Groups of a program that runs as this account.
fn groups(uid: u32, gid: u32) -> Vec<u32> {
    if SUPPLEMENTARY.load(std::sync::atomic::Ordering::Relaxed)
        && let Ok(Some(user)) = nix::unistd::User::from_uid(uid.into())
        && let Ok(name) = std::ffi::CString::new(user.name)
        && let Ok(all) = nix::unistd::getgrouplist(&name, gid.into())
    {
        return all.into_iter().map(nix::unistd::Gid::as_raw).collect();
    }
    vec![gid]
}

/// What to start.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// Argument vector; the first is the file (searched in PATH when it has no slash).
    pub argv: Vec<OsString>,
    /// Another name in argv[0].
    pub argv0: Option<OsString>,
    /// Started in place of the file by that name.
    pub opened: Option<Opened>,
    /// User and group; `None` keeps ours.
    pub user: Option<(u32, u32)>,
    /// A process group of its own, so that all of it can be ended.
    pub group: bool,
    /// Descriptors that stay open in the program, under the same numbers.
    pub keep: Vec<RawFd>,
    /// Keep stdout and stderr; otherwise they go to /dev/null. stdin always does.
    pub output: bool,
    /// The program gets SIGTERM when we end.
    pub die_with_us: bool,
    /// Where the process writes down its group before it is a program.
    pub place: Option<Place>,
    /// Remove IFS, LD_PRELOAD, LD_LIBRARY_PATH and [`UNITS_WISH`] from the environment.
    pub clean_environment: bool,
}

/// The end of a pipe that a program writes to. Reading never waits.
#[derive(Debug)]
pub struct Output(std::io::PipeReader);

impl Output {
    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes what has come; 0: nobody writes any more. Fails with `WouldBlock` when there is nothing now.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.0, buffer)
    }
}

/// Starts a program; returns its process id. The caller reaps it after SIGCHLD with [`reap`].
pub fn spawn(spec: &Spec) -> io::Result<i32> {
    start(spec, None)
}

/// The same, and what it writes to stdout and stderr can be read.
pub fn spawn_heard(spec: &Spec) -> io::Result<(i32, Output)> {
    let (reader, writer) = std::io::pipe()?;
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    if let Some((uid, gid)) = spec.user {
        // Who opens /dev/stderr opens the pipe anew, which its owner alone may.
        let _ = nix::unistd::fchown(&writer, Some(uid.into()), Some(gid.into()));
    }
    Ok((start(spec, Some(writer))?, Output(reader)))
}

fn start(spec: &Spec, heard: Option<std::io::PipeWriter>) -> io::Result<i32> {
    let Some((file, arguments)) = spec.argv.split_first() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut command = Command::new(file);
    command.args(arguments).stdin(Stdio::null());
    if let Some(name) = &spec.argv0 {
        command.arg0(name);
    }
    if let Some(writer) = heard {
        command.stdout(writer.try_clone()?).stderr(writer);
    } else if !spec.output {
        command.stdout(Stdio::null()).stderr(Stdio::null());
    }
    if spec.clean_environment {
        for name in OURS {
            command.env_remove(name);
        }
    }
    if spec.group {
        command.process_group(0);
    }
    let exec = match &spec.opened {
        Some(opened) => {
            let mut words = spec.argv.clone();
            if let (Some(first), Some(name)) = (words.first_mut(), &spec.argv0) {
                first.clone_from(name);
            }
            Some(Exec::new(opened.clone(), &words, if spec.clean_environment { &OURS } else { &[] })?)
        }
        None => None,
    };
    let keep = spec.keep.clone();
    let user = spec.user;
    // Before the fork: after it nothing may be asked of the system's library.
    let groups = user.map(|(uid, gid)| groups(uid, gid)).unwrap_or_default();
    let (die_with_us, place) = (spec.die_with_us, spec.place);
    let descriptors = crate::schedule::usual_descriptors();
    // SAFETY: between fork and exec only async-signal-safe calls are made, on memory prepared before the fork.
    unsafe {
        command.pre_exec(move || {
            place.into_iter().for_each(Place::take);
            let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, set.as_ptr(), std::ptr::null_mut());
            for signal in
                [libc::SIGPIPE, libc::SIGCHLD, libc::SIGHUP, libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2]
            {
                libc::signal(signal, libc::SIG_DFL);
            }
            // Whatever we were given at our own start by somebody who did not look. Older kernels do not know the call.
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            for fd in &keep {
                libc::fcntl(*fd, libc::F_SETFD, 0);
            }
            if let Some(soft) = descriptors {
                let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
                    limit.rlim_cur = soft;
                    libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
                }
            }
            if die_with_us {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            }
            if let Some((uid, gid)) = user
                && (libc::setgroups(groups.len(), groups.as_ptr()) != 0
                    || libc::setgid(gid) != 0
                    || libc::setuid(uid) != 0)
            {
                let e = io::Error::last_os_error();
                // An ordinary user may run things as himself only.
                if libc::getuid() != uid || libc::getgid() != gid {
                    return Err(e);
                }
            }
            // What is returned is the error of the start.
            exec.as_ref().map_or(Ok(()), |exec| Err(exec.run()))
        });
    }
    let child = command.spawn().map_err(|e| explained(e, user))?;
    Ok(i32::try_from(child.id()).unwrap_or(i32::MAX))
}

/// Names what is missing where the account cannot be changed, as in a container: the system only says that it is not permitted.
fn explained(e: io::Error, user: Option<(u32, u32)>) -> io::Error {
    let own = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    match user {
        Some((uid, gid))
            if e.raw_os_error() == Some(libc::EPERM) && (uid, gid) != own && !schedule::has(schedule::ACCOUNTS) =>
        {
            io::Error::new(
                e.kind(),
                format!("{e}: another account (uid {uid}, gid {gid}) takes CAP_SETUID and CAP_SETGID"),
            )
        }
        _ => e,
    }
}

/// How a process ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Exit status.
    Exited(i32),
    /// Signal number.
    Signalled(i32),
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            End::Exited(status) => write!(f, "exited with status {status}"),
            End::Signalled(signal) => write!(f, "exited due to signal {signal}"),
        }
    }
}

/// What a status of waitpid says; `None`: it was only stopped, or goes on.
fn end(status: i32) -> Option<End> {
    match status {
        s if libc::WIFEXITED(s) => Some(End::Exited(libc::WEXITSTATUS(s))),
        s if libc::WIFSIGNALED(s) => Some(End::Signalled(libc::WTERMSIG(s))),
        _ => None,
    }
}

/// Takes one ended child, if there is one.
pub fn reap() -> Option<(i32, End)> {
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
        if pid <= 0 {
            return None;
        }
        if let Some(end) = end(status) {
            return Some((pid, end));
        }
    }
}

/// Whether a child of ours has ended, which is taken then.
pub fn ended(pid: i32) -> Option<End> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    let taken = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    match taken {
        0 => None,
        n if n == pid => end(status),
        // Somebody else has taken it: it is gone all the same.
        n if n < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD) => Some(End::Exited(0)),
        _ => None,
    }
}

/// A child of ours that has ended and was not taken yet. It stays.
pub fn next_ended() -> Option<i32> {
    // SAFETY: all zeros are a description of nothing.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` outlives the call, which fills it.
    let pid = unsafe {
        let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        if libc::waitid(libc::P_ALL, 0, &mut info, options) != 0 {
            return None;
        }
        info.si_pid()
    };
    (pid > 0).then_some(pid)
}

/// Puts another program into the place of this one. Returns only when that cannot be done, and everything is as before then.
pub fn replace(
    program: &std::path::Path,
    argv0: Option<OsString>,
    arguments: &[OsString],
    keep: &[RawFd],
) -> io::Error {
    let inherit = |flags: i32| {
        for fd in keep {
            // SAFETY: changing the flags of a descriptor number has no memory effects.
            unsafe { libc::fcntl(*fd, libc::F_SETFD, flags) };
        }
    };
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let text = |bytes: Vec<u8>| std::ffi::CString::new(bytes).unwrap_or_default();
    let path = text(program.as_os_str().as_bytes().to_vec());
    let first = argv0.map_or_else(|| path.clone(), |name| text(name.into_vec()));
    let words: Vec<_> = std::iter::once(first).chain(arguments.iter().map(|a| text(a.as_bytes().to_vec()))).collect();
    let pointers: Vec<*const libc::c_char> = words.iter().map(|w| w.as_ptr()).chain([std::ptr::null()]).collect();
    inherit(0);
    // Not by std: it clears the mask of signals first, and a SIGTERM must wait for the new program's reading of it.
    // SAFETY: both are C strings, and an array of them that ends with NULL, which outlive the call.
    unsafe { libc::execv(path.as_ptr(), pointers.as_ptr()) };
    let e = io::Error::last_os_error();
    inherit(libc::FD_CLOEXEC);
    e
}

/// Waits for the end of one process that we started, at most for a time; true when it has ended.
pub fn wait_for(pid: i32, most: std::time::Duration) -> bool {
    end_of(pid, most).is_some()
}

/// How one process that we started ends, if it does within a time. One that is not ours any more counts as exited with -1.
pub fn end_of(pid: i32, most: std::time::Duration) -> Option<End> {
    let end = std::time::Instant::now() + most;
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        let got = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
        if got == pid && libc::WIFSIGNALED(status) {
            return Some(End::Signalled(libc::WTERMSIG(status)));
        }
        if got != 0 {
            return Some(End::Exited(if got == pid { libc::WEXITSTATUS(status) } else { -1 }));
        }
        if std::time::Instant::now() >= end {
            return None;
        }
        std::thread::sleep(std::time::Duration::from_micros(200));
    }
}

/// Sends a signal to one process that we started.
pub fn signal(pid: i32, signal: i32) {
    if pid > 1 {
        // SAFETY: kill has no memory effects.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Sends a signal to the process group of a program started with `group`.
pub fn signal_group(pid: i32, signal: i32) {
    if pid > 1 {
        // SAFETY: as above.
        unsafe { libc::kill(-pid, signal) };
    }
}

/// Some process of the group of a program started with `group` is there.
pub fn group_lives(pid: i32) -> bool {
    // SAFETY: as above; signal 0 only asks.
    pid > 1 && unsafe { libc::kill(-pid, 0) } == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_the_usual_number_of_descriptors() {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("limit");
        setrlimit(Resource::RLIMIT_NOFILE, 700, hard).expect("limit");
        crate::schedule::more_descriptors();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).expect("limit"), (hard, hard));
        let argv = ["/bin/sh", "-c", "ulimit -Sn; ulimit -Hn"].map(Into::into).into();
        let (pid, output) = spawn_heard(&Spec { argv, ..Default::default() }).expect("a shell");
        // SAFETY: no memory is involved.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
        let mut said = String::new();
        io::Read::read_to_string(&mut &output.0, &mut said).expect("its words");
        let shown = if hard == u64::MAX { "unlimited".to_string() } else { hard.to_string() };
        assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["700", &shown]);
    }
}
