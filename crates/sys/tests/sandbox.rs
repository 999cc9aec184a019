//! What a role can and cannot do once it has confined itself. Each is tried by a process of its own: this program again.

use nix::errno::Errno;
use std::process::Command;
use steadfast_sys::sandbox::{self, Needs};

const ROLE: &str = "STEADFAST_TEST_ROLE";

/// The roles, and the numbers of their capabilities (linux/capability.h).
const ROLES: [(&str, Needs, &[u32]); 6] = [
    ("loader", sandbox::LOADER, &[2]),
    ("vrrp", sandbox::VRRP, &[0, 1, 12, 13, 14, 23, 24]),
    ("checker", sandbox::CHECKER, &[0, 1, 10, 12, 13, 14, 23, 24]),
    ("bfd", sandbox::BFD, &[1, 14]),
    ("snmp", sandbox::SNMP, &[1]),
    ("dbus", sandbox::OBSERVER, &[]),
];

#[test]
fn each_role_has_its_capabilities_and_is_refused_what_an_intruder_wants() {
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: not root: there is nothing to give up");
        return;
    }
    for (role, ..) in ROLES {
        let me = std::env::current_exe().expect("path");
        let tried =
            Command::new(me).args(["--exact", "confined", "--nocapture"]).env(ROLE, role).output().expect("self");
        let said = String::from_utf8_lossy(&tried.stdout);
        assert!(tried.status.success() && said.contains(&format!("{role} was tried")), "{role}: {tried:?}");
    }
}

/// The part of the process that is confined.
#[test]
fn confined() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let (_, needs, expected) = ROLES.into_iter().find(|(name, ..)| *name == role).expect("role");
    let held = |set: &str| {
        let status = std::fs::read_to_string("/proc/thread-self/status").expect("status");
        let line = status.lines().find_map(|l| Some(l.strip_prefix(set)?.strip_prefix(":\t")?.to_string()));
        u64::from_str_radix(&line.expect("line"), 16).expect("number")
    };
    // A container may have taken some away before.
    let expected = expected.iter().map(|n| 1u64 << n).sum::<u64>() & held("CapPrm");
    sandbox::confine(&needs);
    for set in ["CapEff", "CapPrm", "CapBnd"] {
        assert_eq!(held(set), expected, "{set} {:x} {expected:x}", held(set));
    }
    // None of these takes a capability: it is the filter that refuses them.
    assert_eq!(nix::sys::signal::kill(nix::unistd::getppid(), None), Err(Errno::EPERM), "a signal to another");
    assert_eq!(nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES), Err(Errno::EPERM), "unshare");
    assert_eq!(nix::unistd::setuid(nix::unistd::getuid()), Err(Errno::EPERM), "setuid");
    assert!(Command::new("/bin/true").status().is_err(), "a program");
    let kind = nix::sys::socket::SockType::SeqPacket;
    let alg =
        nix::sys::socket::socket(nix::sys::socket::AddressFamily::Alg, kind, nix::sys::socket::SockFlag::empty(), None);
    assert_eq!(alg.err(), Some(Errno::EPERM), "a socket of a strange family");
    // What it lives by goes on.
    assert_eq!(nix::sys::signal::kill(nix::unistd::getpid(), None), Ok(()));
    std::thread::spawn(|| ()).join().expect("thread");
    std::net::UdpSocket::bind("127.0.0.1:0").expect("socket");
    println!("{role} was tried");
}
