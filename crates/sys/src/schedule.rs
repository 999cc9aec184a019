//! How this process is scheduled and named.

use std::ffi::CString;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// The limit of descriptors before it was raised; 0: it was not.
static USUAL: AtomicU64 = AtomicU64::new(0);

/// SIGTERM when the parent ends. Returns false when the parent is gone already.
pub fn die_with_parent(parent: i32) -> bool {
    // SAFETY: no memory is involved.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
        libc::getppid() == parent
    }
}

/// SIGKILL when the parent ends: for who holds nothing.
pub fn killed_with_parent() {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
}

/// Memory goes into core files, which holds passwords and keys, or it does not.
pub fn core_dumps(wanted: bool) {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(wanted)) };
    if wanted {
        let _ = setrlimit(Resource::RLIMIT_CORE, RLIM_INFINITY, RLIM_INFINITY);
    }
}

/// As many descriptors as this process may have: each check that is under way needs one, each BFD session and virtual link, too.
/// Programs that are started get the usual number, which those count on that use select(2).
pub fn more_descriptors() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < hard {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => USUAL.store(soft, Ordering::Relaxed),
            Err(e) => log::warn!("no more than {soft} descriptors: {e}"),
        }
    }
}

/// How many descriptors a program is to have, where we have more than we were given.
pub(crate) fn usual_descriptors() -> Option<u64> {
    Some(USUAL.load(Ordering::Relaxed)).filter(|n| *n > 0)
}

/// The parent is still this one.
pub fn has_parent(parent: i32) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::getppid() == parent }
}

/// Orphans of our children become ours.
pub fn adopt_orphans() {
    // SAFETY: no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
}

/// Name in `ps -o comm`, cut to 15 bytes.
pub fn name(name: &str) {
    if let Ok(name) = CString::new(name.bytes().take(15).collect::<Vec<u8>>()) {
        // SAFETY: the string ends with NUL and outlives the call.
        unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
    }
}

/// Nice value, -20..=19.
pub fn nice(value: i32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, value) })
}

/// SCHED_RR with reset on fork.
pub fn realtime(priority: i32) -> io::Result<()> {
    // SAFETY: sched_param is plain data, for which zero is valid.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = priority;
    // SAFETY: `parameters` outlives the call.
    check(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &parameters) })
}

/// Takes real-time priority and locked memory back: it was shown that they can be had.
pub fn usual() {
    // SAFETY: sched_param is plain data, for which zero is valid, and outlives the call; no memory is involved else.
    unsafe {
        let parameters: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_OTHER, &parameters);
        libc::munlockall();
    }
}

/// Raises the priority of a process that is scheduled too late (max_auto_priority).
#[derive(Debug, Default)]
pub struct Eager(Option<i32>);

impl Eager {
    /// So late was a turn. `raise`: lateness that is too much, and the greatest priority; `own` is the configured one.
    pub fn late(&mut self, late: std::time::Duration, raise: Option<(std::time::Duration, i32)>, own: Option<i32>) {
        let Some((_, most)) = raise.filter(|(least, _)| late >= *least) else { return };
        let now = self.0.or(own).unwrap_or(0);
        if now >= most {
            return;
        }
        match realtime(now + 1) {
            Ok(()) => log::info!("scheduled {late:?} too late, real-time priority is {} now", now + 1),
            Err(e) => log::warn!("scheduled {late:?} too late, and cannot raise the priority: {e}"),
        }
        // One that cannot be had is not asked for again.
        self.0 = Some(now + 1);
    }
}

/// Limit of uninterrupted real-time CPU in microseconds: soft half of hard.
pub fn rttime(micros: u64) -> io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    Ok(setrlimit(Resource::RLIMIT_RTTIME, (micros / 2).max(1), micros.max(1))?)
}

/// Locks present and future memory.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })
}

/// CPUs that this process may use.
pub fn affinity(cpus: &[usize]) -> io::Result<()> {
    let mut set = nix::sched::CpuSet::new();
    for cpu in cpus {
        set.set(*cpu)?;
    }
    Ok(nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set)?)
}

/// Enters a named network namespace.
pub fn enter_network_namespace(name: &str) -> io::Result<()> {
    enter_namespace_at(&format!("/run/netns/{name}"))
}

/// Enters the network namespace of a file.
pub fn enter_namespace_at(path: &str) -> io::Result<()> {
    enter_namespace_of(&std::fs::File::open(path)?)
}

/// Enters the network namespace that is open.
pub fn enter_namespace_of(file: &std::fs::File) -> io::Result<()> {
    Ok(nix::sched::setns(file, nix::sched::CloneFlags::CLONE_NEWNET)?)
}

/// CAP_SETGID and CAP_SETUID, by their numbers.
pub(crate) const ACCOUNTS: [u32; 2] = [6, 7];

/// True with the capabilities of CAP_NET_ADMIN and CAP_NET_RAW effective.
pub fn may_administrate_network() -> bool {
    has([12, 13])
}

/// Whether these capabilities are effective; true where that cannot be known.
pub(crate) fn has(capabilities: [u32; 2]) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let caps =
        status.lines().find_map(|l| l.strip_prefix("CapEff:")).and_then(|h| u64::from_str_radix(h.trim(), 16).ok());
    caps.is_none_or(|effective| capabilities.iter().all(|c| effective & (1 << c) != 0))
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Goes into the background: the caller's copy ends once [`Background::done`] is called in the daemon, or with status 1 when the
/// daemon ends before. Must be called while the process has one thread.
pub fn daemonise(stay: bool) -> io::Result<Background> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // SAFETY: one thread, so nothing is in an in-between state in the copy.
    if let nix::unistd::ForkResult::Parent { .. } = unsafe { nix::unistd::fork() }? {
        drop(writer);
        let mut status = [1u8];
        let n = nix::unistd::read(&reader, &mut status).unwrap_or(0);
        std::process::exit(if n == 1 { i32::from(status[0]) } else { 1 });
    }
    nix::unistd::setsid()?;
    // SAFETY: as above.
    if let nix::unistd::ForkResult::Parent { .. } = unsafe { nix::unistd::fork() }? {
        std::process::exit(0);
    }
    // Paths that the caller gave from where he stands must go on meaning what he meant.
    if !stay {
        std::env::set_current_dir("/")?;
    }
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    Ok(Background(Some(writer)))
}

/// The other side of a background start.
pub struct Background(Option<std::os::fd::OwnedFd>);

impl Background {
    /// A start in the foreground.
    pub const fn none() -> Self {
        Background(None)
    }

    /// Tells the waiting copy how the start went.
    pub fn done(&mut self, status: u8) {
        if let Some(fd) = self.0.take() {
            let _ = nix::unistd::write(&fd, &[status]);
        }
    }
}

/// Sets the file creation mask.
pub fn umask(mask: u32) {
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(mask));
}

/// Our process id.
pub fn pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

/// A line about the running kernel: release and version.
pub fn kernel() -> String {
    let read =
        |f: &str| std::fs::read_to_string(format!("/proc/sys/kernel/{f}")).unwrap_or_default().trim().to_string();
    format!("{} {} {}", read("ostype"), read("osrelease"), read("version"))
}

/// Tells the service manager something; nothing happens without one.
pub fn tell_manager(what: Tell) {
    let states: &[sd_notify::NotifyState<'_>] = match what {
        Tell::Ready => &[sd_notify::NotifyState::Ready],
        Tell::Stopping => &[sd_notify::NotifyState::Stopping],
        Tell::Alive => &[sd_notify::NotifyState::Watchdog],
        Tell::Reloading => {
            if let Ok(stamp) = sd_notify::NotifyState::monotonic_usec_now() {
                let _ = sd_notify::notify(&[sd_notify::NotifyState::Reloading, stamp]);
            }
            return;
        }
    };
    let _ = sd_notify::notify(states);
}

/// Tells the service manager in words how it is.
pub fn tell_status(text: &str) {
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Status(text)]);
}

/// What a service manager is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// The start, or a reload, is complete.
    Ready,
    /// A reload begins.
    Reloading,
    /// A stop begins.
    Stopping,
    /// The watchdog is fed.
    Alive,
}

/// Threads share one heap: what one of them made for another would otherwise keep a heap of its own from being given back.
pub fn share_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no memory is involved; glibc only notes the number.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives back what a start or a reload needed and what comes after does not: memory that is free inside this process, and the
/// pages of the program. Those that are needed are found in the page cache again, at about a microsecond each.
pub fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim only touches memory that nobody uses; the callback is called while this call lasts.
    unsafe {
        libc::malloc_trim(0);
        libc::dl_iterate_phdr(Some(advise_program), std::ptr::from_ref(&libc::MADV_DONTNEED).cast_mut().cast());
    }
}

/// Fetches the pages of the program that were given back: something is about to happen that must not wait for them.
pub fn fetch_program() {
    #[cfg(target_env = "gnu")]
    // SAFETY: as above. A kernel that does not know this advice (before 5.14) refuses it, and the pages come one by one.
    unsafe {
        libc::dl_iterate_phdr(Some(advise_program), std::ptr::from_ref(&libc::MADV_POPULATE_READ).cast_mut().cast());
    }
}

/// Called for the program first, which it is about, and for each library. `advice` points to a `c_int`.
#[cfg(target_env = "gnu")]
unsafe extern "C" fn advise_program(info: *mut libc::dl_phdr_info, _: usize, advice: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the loader passes a description that is whole, of segments that stay.
    let (base, segments, advice) = unsafe {
        let info = &*info;
        let segments = std::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum));
        (info.dlpi_addr, segments, *advice.cast::<libc::c_int>())
    };
    // What the loader has relocated is in writable segments, also where it is read-only by now.
    for s in segments.iter().filter(|s| s.p_type == libc::PT_LOAD && s.p_flags & libc::PF_W == 0) {
        let page = 4096;
        let begin = (base + s.p_vaddr) & !(page - 1);
        let length = base + s.p_vaddr + s.p_memsz - begin;
        // SAFETY: the pages are a file's and were never written, so that they can be read from it again. Locked ones stay.
        unsafe {
            libc::madvise(begin as *mut libc::c_void, length as usize, advice);
        }
    }
    1
}
