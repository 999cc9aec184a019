//! What a role gives up once it has what it needs: capabilities, system calls, the start of programs, writing of files.
//!
//! Nothing here fails loudly: a kernel without Landlock, or a container that has taken capabilities away already, leaves the role
//! as confined as it can be, which [`confine`] says.

use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Width, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use caps::Capability as Power;

/// What a role keeps.
#[derive(Clone, Copy, Debug)]
pub struct Needs {
    /// Capabilities.
    pub keep: &'static [Power],
    /// It sends frames of its own making: sockets below IP.
    pub frames: bool,
}

/// The configuration's files may belong to anybody.
pub const LOADER: Needs = Needs { keep: &[Power::CAP_DAC_READ_SEARCH], frames: false };
/// Links, addresses, raw sockets; its scheduling changes with the configuration; dumps, FIFOs and tracked files of other accounts.
pub const VRRP: Needs = Needs {
    keep: &[
        Power::CAP_NET_ADMIN,
        Power::CAP_NET_RAW,
        Power::CAP_SYS_NICE,
        Power::CAP_SYS_RESOURCE,
        Power::CAP_IPC_LOCK,
        Power::CAP_DAC_OVERRIDE,
        Power::CAP_CHOWN,
    ],
    frames: true,
};
/// IPVS, ping, `bind_port` below 1024; the rest as above.
pub const CHECKER: Needs = Needs {
    keep: &[
        Power::CAP_NET_ADMIN,
        Power::CAP_NET_RAW,
        Power::CAP_NET_BIND_SERVICE,
        Power::CAP_SYS_NICE,
        Power::CAP_SYS_RESOURCE,
        Power::CAP_IPC_LOCK,
        Power::CAP_DAC_OVERRIDE,
        Power::CAP_CHOWN,
    ],
    frames: false,
};

/// UDP by ports above 1024; dumps; memory that stays locked.
pub const BFD: Needs = Needs { keep: &[Power::CAP_IPC_LOCK, Power::CAP_DAC_OVERRIDE], frames: false };

/// SNMP: the master's socket may belong to another account.
pub const SNMP: Needs = Needs { keep: &[Power::CAP_DAC_OVERRIDE], frames: false };

/// D-Bus: its socket is open to all; nothing is written.
pub const OBSERVER: Needs = Needs { keep: &[], frames: false };

/// Where a process that is confined changes files, beside /dev/null. What it has open it may write to all the same.
#[derive(Clone, Default, Debug)]
pub struct Places {
    /// Files of these folders are written, made, replaced and removed: dumps, records.
    pub written: Vec<PathBuf>,
    /// Files of these folders are removed: FIFOs, which were made before.
    pub cleared: Vec<PathBuf>,
    /// Files below these are written, and none is made: settings of the kernel.
    pub set: Vec<PathBuf>,
}

/// The folders that this process may write to, by device and number; none yet: it may do what its account may.
static WRITTEN: OnceLock<Vec<(u64, u64)>> = OnceLock::new();

/// Whether the confinement of this process lets it make and write files of a folder. What is not there is nobody's to refuse.
pub fn may_write(folder: &Path) -> bool {
    let Some(places) = WRITTEN.get() else { return true };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(folder) = folder.canonicalize() else { return true };
    let place = |at: &Path| at.metadata().ok().map(|m| (m.dev(), m.ino()));
    folder.ancestors().filter_map(place).any(|at| places.contains(&at))
}

/// Gives up everything but `needs` and `places`, for this thread and those that it starts; system calls for all threads. Returns what
/// could not be given up.
pub fn confine(needs: &Needs, places: &Places) -> Vec<String> {
    let mut failed = Vec::new();
    // Before the filter, which does not let these calls through.
    match files(places) {
        Ok(()) => {
            let place = |at: &PathBuf| at.metadata().ok().map(|m| (m.dev(), m.ino()));
            let _ = WRITTEN.set(places.written.iter().filter_map(place).collect());
        }
        Err(e) => failed.push(format!("Landlock: {e}")),
    }
    if let Err(e) = powers(needs.keep) {
        failed.push(format!("capabilities: {e}"));
    }
    // A fork asks by clone3 first and by clone when that does not exist: only the latter shows a filter what is asked for.
    for (calls, errno) in [(deny(needs), libc::EPERM), (BTreeMap::from([(libc::SYS_clone3, Vec::new())]), libc::ENOSYS)]
    {
        if let Err(e) = filter(calls, errno) {
            failed.push(format!("seccomp: {e}"));
        }
    }
    failed
}

/// Gives up all capabilities of this thread, and all ways to files that it has not opened yet.
pub fn powerless() {
    let _ = files(&Places::default());
    let _ = powers(&[]);
}

fn powers(keep: &[Capability]) -> Result<(), caps::errors::CapsError> {
    let held = caps::read(None, CapSet::Permitted)?;
    let wanted: CapsHashSet = keep.iter().copied().filter(|c| held.contains(c)).collect();
    // The bounding set takes a capability that is given up below.
    for c in caps::all() {
        if !wanted.contains(&c) {
            let _ = caps::drop(None, CapSet::Bounding, c);
        }
    }
    let _ = caps::clear(None, CapSet::Ambient);
    caps::set(None, CapSet::Effective, &wanted)?;
    caps::set(None, CapSet::Permitted, &wanted)?;
    caps::clear(None, CapSet::Inheritable)
}

/// No program may be started; files are made, changed and removed in these places alone. What a place gets holds below it, too.
fn files(places: &Places) -> Result<(), Box<dyn std::error::Error>> {
    let write = AccessFs::WriteFile | AccessFs::Truncate;
    let whole = write | AccessFs::RemoveFile | AccessFs::MakeReg | AccessFs::MakeFifo;
    let of = |all: &[PathBuf], access: BitFlags<AccessFs>| all.iter().map(|p| (p.clone(), access)).collect::<Vec<_>>();
    let mut wanted = of(&places.written, whole);
    wanted.extend(of(&places.cleared, AccessFs::RemoveFile.into()));
    wanted.extend(of(&places.set, write));
    wanted.push(("/dev/null".into(), write));
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(ABI::V3) | AccessFs::Execute)?
        .create()?;
    let mut held = Vec::new();
    for (path, access) in wanted {
        // A folder that is not there is nobody's.
        let Ok(opened) = PathFd::new(&path) else { continue };
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V3) };
        rules = rules.add_rule(PathBeneath::new(&opened, access))?;
        held.extend(path.starts_with("/proc").then_some(opened));
    }
    let status = rules.restrict_self()?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err("this kernel does not have it".into());
    }
    // A rule is about an inode. Those of /proc are made anew, for the same path, when the kernel was short of memory and nobody had them
    // open.
    std::mem::forget(held);
    Ok(())
}

/// System calls that the role does not make, but an intruder would.
fn deny(needs: &Needs) -> BTreeMap<i64, Vec<SeccompRule>> {
    let always = [
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_getfd,
        libc::SYS_pidfd_send_signal,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_tkill,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_move_mount,
        libc::SYS_open_tree,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_unshare,
        libc::SYS_init_module,
        libc::SYS_finit_module,
        libc::SYS_delete_module,
        libc::SYS_kexec_load,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_open_by_handle_at,
        libc::SYS_add_key,
        libc::SYS_request_key,
        libc::SYS_keyctl,
        libc::SYS_reboot,
        libc::SYS_swapon,
        libc::SYS_swapoff,
        libc::SYS_acct,
        libc::SYS_quotactl,
        libc::SYS_settimeofday,
        libc::SYS_clock_settime,
        libc::SYS_adjtimex,
        libc::SYS_clock_adjtime,
        libc::SYS_setuid,
        libc::SYS_setgid,
        libc::SYS_setreuid,
        libc::SYS_setregid,
        libc::SYS_setresuid,
        libc::SYS_setresgid,
        libc::SYS_setgroups,
        libc::SYS_sethostname,
        libc::SYS_setdomainname,
        libc::SYS_personality,
        libc::SYS_syslog,
        // The parent alone is asked.
        libc::SYS_listen,
        libc::SYS_accept4,
    ];
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> = always.into_iter().map(|call| (call, Vec::new())).collect();
    #[cfg(target_arch = "x86_64")]
    for call in
        [libc::SYS_fork, libc::SYS_vfork, libc::SYS_kexec_file_load, libc::SYS_iopl, libc::SYS_ioperm, libc::SYS_accept]
    {
        calls.insert(call, Vec::new());
    }
    let thread = libc::CLONE_THREAD as u64;
    let own = u64::from(std::process::id());
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
    let families = families.into_iter().chain(needs.frames.then_some(libc::AF_PACKET));
    let mut when = |call, conditions: Vec<Result<SeccompCondition, _>>| {
        let conditions: Result<Vec<_>, seccompiler::BackendError> = conditions.into_iter().collect();
        if let Ok(rule) = conditions.and_then(SeccompRule::new) {
            calls.entry(call).or_default().push(rule);
        }
    };
    // Threads, but no processes.
    when(libc::SYS_clone, vec![SeccompCondition::new(0, Width::Qword, Op::MaskedEq(thread), 0)]);
    // What is written in memory does not become a program.
    let (write, run) = (libc::PROT_WRITE as u64, libc::PROT_EXEC as u64);
    let has = |argument, bits| SeccompCondition::new(argument, Width::Qword, Op::MaskedEq(bits), bits);
    when(libc::SYS_mmap, vec![has(2, write | run)]);
    when(libc::SYS_mprotect, vec![has(2, run)]);
    when(libc::SYS_pkey_mprotect, vec![has(2, run)]);
    when(libc::SYS_shmat, vec![has(2, libc::SHM_EXEC as u64)]);
    // Signals to itself, as abort() sends them.
    when(libc::SYS_kill, vec![SeccompCondition::new(0, Width::Dword, Op::Ne, own)]);
    when(libc::SYS_tgkill, vec![SeccompCondition::new(0, Width::Dword, Op::Ne, own)]);
    let other = |f: i32| SeccompCondition::new(0, Width::Dword, Op::Ne, f as u64);
    when(libc::SYS_socket, families.map(other).collect());
    calls
}

/// Installs a filter that answers these calls with an error.
fn filter(calls: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Result<(), Box<dyn std::error::Error>> {
    let target = TargetArch::try_from(std::env::consts::ARCH)?;
    let action = SeccompAction::Errno(errno.unsigned_abs());
    let program: BpfProgram = SeccompFilter::new(calls, SeccompAction::Allow, action, target)?.try_into()?;
    Ok(seccompiler::apply_filter_all_threads(&program)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const INNER: &str = "STEADFAST_TEST_SANDBOX";

    fn frames() -> bool {
        // SAFETY: a new descriptor that nobody else owns, left to the end of this process.
        unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0) >= 0 }
    }

    /// Each role has a filter of its own, for good.
    #[test]
    fn roles_have_the_sockets_that_they_need() {
        let roles = [("vrrp", VRRP), ("checker", CHECKER), ("bfd", BFD), ("loader", LOADER)];
        if let Some(role) = std::env::var(INNER).ok().and_then(|name| roles.into_iter().find(|(n, _)| *n == name)) {
            let may = frames();
            let failed = confine(&role.1, &Places::default());
            if failed.iter().any(|f| f.contains("seccomp")) {
                println!("SKIPPED: filters of system calls: {failed:?}");
                return;
            }
            assert!(TcpListener::bind("127.0.0.1:0").is_err(), "nobody may connect to it");
            assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok());
            assert!(std::process::Command::new("true").status().is_err());
            let page = |how| {
                let none = std::ptr::null_mut();
                // SAFETY: a new page of nobody's, left to the end of this process.
                unsafe { libc::mmap(none, 4096, how, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) }
            };
            let written = page(libc::PROT_READ | libc::PROT_WRITE);
            assert!(written != libc::MAP_FAILED && page(libc::PROT_WRITE | libc::PROT_EXEC) == libc::MAP_FAILED);
            // SAFETY: it is that page, which nothing refers to.
            let turned = unsafe { libc::mprotect(written, 4096, libc::PROT_READ | libc::PROT_EXEC) };
            assert_eq!(turned, -1, "written, then run");
            assert_eq!(frames(), role.1.frames && may, "{}", role.0);
            return;
        }
        for (name, _) in roles {
            let me = std::env::current_exe().expect("own path");
            let inner = std::process::Command::new(me)
                .args(["--exact", "sandbox::tests::roles_have_the_sockets_that_they_need", "--nocapture"])
                .env(INNER, name)
                .output()
                .expect("test");
            assert!(inner.status.success(), "{name}: {}", String::from_utf8_lossy(&inner.stderr));
        }
    }
}
