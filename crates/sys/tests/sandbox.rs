//! What a role can and cannot do once it has confined itself. Each is tried by a process of its own: this program again.

use nix::errno::Errno;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;
use steadfast_sys::sandbox::{self, Needs, Places};

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
    sandbox::confine(&needs, &Places::default());
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

/// Who could write to /etc, or to a folder of programs, would be anybody at the next start of something else.
#[test]
fn files_change_in_the_places_of_a_role_alone() {
    const INNER: &str = "STEADFAST_TEST_PLACES";
    if let Some(base) = std::env::var_os(INNER) {
        return places(Path::new(&base));
    }
    let base = tempfile::tempdir().expect("folder");
    let me = std::env::current_exe().expect("path");
    let tried = Command::new(me)
        .args(["--exact", "files_change_in_the_places_of_a_role_alone", "--nocapture"])
        .env(INNER, base.path())
        .output()
        .expect("self");
    let said = String::from_utf8_lossy(&tried.stdout);
    println!("{said}");
    assert!(tried.status.success() && (said.contains("places were tried") || said.contains("SKIPPED")), "{tried:?}");
}

/// The part of it that is confined.
fn places(base: &Path) {
    use std::fs::{create_dir, read, remove_file, rename, write};
    let at = |name: &str| base.join(name);
    let refused = |what: std::io::Result<()>| what.is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    for folder in ["dumps", "dumps/below", "fifos", "other"] {
        create_dir(at(folder)).expect("folder");
    }
    for file in ["fifos/a", "fifos/b", "other/a"] {
        write(at(file), "before").expect("file");
    }
    let mut open = std::fs::OpenOptions::new().append(true).open(at("other/a")).expect("file");
    // As the thread that writes the log: it was there before.
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (name, ready) = (at("other/thread"), std::sync::Arc::new(std::sync::Barrier::new(2)));
    let there = ready.clone();
    let logger = std::thread::spawn(move || {
        sandbox::powerless();
        there.wait();
        gone.recv().expect("word");
        write(name, "x")
    });
    ready.wait();
    let setting = "/proc/sys/net/ipv4/conf/lo/arp_filter";
    let value = read(setting).unwrap_or_default();
    assert!(sandbox::may_write(&at("other")), "nobody is confined yet");
    let written = vec![at("dumps"), at("not there")];
    let places = Places { written, cleared: vec![at("fifos")], set: vec!["/proc/sys/net".into()] };
    let failed = sandbox::confine(&sandbox::VRRP, &places);
    if failed.iter().any(|f| f.contains("does not have it")) {
        println!("SKIPPED: {failed:?}");
        return;
    }
    let dump = |name: &str| steadfast_sys::files::write_dump(&at(name), "text", None);
    for _ in 0..2 {
        dump("dumps/one").expect("a dump");
    }
    dump("dumps/below/one").expect("a dump");
    assert!(refused(dump("other/one")) && refused(dump("fifos/one")));
    assert!(refused(write(at("other/a"), "x")), "one that is there");
    assert!(refused(rename(at("dumps/one"), at("other/two"))), "one that is moved there");
    assert!(refused(remove_file(at("other/a"))));
    assert!(refused(std::os::unix::fs::symlink("/etc", at("dumps/link"))), "a link");
    assert!(refused(create_dir(at("dumps/folder"))));
    assert!(steadfast_sys::fifo::Fifo::open(&at("other/fifo"), None).is_err());
    // It holds for root, too.
    if nix::unistd::geteuid().is_root() {
        assert!(refused(write("/etc/steadfast-test-sandbox", "x")));
        assert!(refused(write("/proc/self/comm", "x")), "another setting");
        assert!(!refused(write(setting, value)), "settings of links");
    }
    remove_file(at("fifos/a")).expect("removed");
    assert!(refused(write(at("fifos/b"), "x")));
    // What is open stays open.
    std::io::Write::write_all(&mut open, b" and after").expect("written");
    assert_eq!(read(at("other/a")).expect("file"), b"before and after");
    write("/dev/null", "x").expect("nothing");
    assert!(sandbox::may_write(&at("dumps/below")) && !sandbox::may_write(&at("other")));
    assert!(sandbox::may_write(&at("not there")), "nobody refuses it");
    go.send(()).expect("word");
    assert!(refused(logger.join().expect("thread")), "a thread of before");
    println!("places were tried");
}
