//! What a host's kernel or init system cannot do, in a guest. The guest's own tests are in src/bin/guest.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use steadfast_test_vm::scale::{Pace, VARIABLE};

const MACHINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/machine");

/// There is a machine; else it is said why not.
fn machine(what: &str) -> bool {
    let built = Command::new(MACHINE).arg("build").stdin(Stdio::null()).output().expect("machine");
    if !built.status.success() {
        let reason = String::from_utf8_lossy(&built.stderr);
        println!("SKIPPED: {what} in a virtual machine: {}", reason.lines().last().unwrap_or("no reason"));
    }
    built.status.success()
}

fn programs() -> (PathBuf, PathBuf) {
    let guest = Path::new(env!("CARGO_BIN_EXE_guest")).to_path_buf();
    let daemon = guest.with_file_name("steadfastd");
    assert!(daemon.exists(), "build the workspace first: {} is missing", daemon.display());
    (guest, daemon)
}

/// Runs a command in the guest with these files at /share.
fn run(files: &[(&Path, &str)], command: &str) {
    let share = tempfile::tempdir().expect("folder");
    for (from, name) in files {
        std::fs::copy(from, share.path().join(name)).expect("copy");
    }
    let status = Command::new(MACHINE)
        .args(["run", "-s", &share.path().display().to_string(), "-t", "900", "--", command])
        .stdin(Stdio::null())
        .status()
        .expect("machine");
    assert!(status.success(), "{status}");
}

#[test]
fn the_balancer() {
    if !machine("IPVS") {
        return;
    }
    let (guest, daemon) = programs();
    let only = std::env::var("STEADFAST_VM_ONLY").unwrap_or_default();
    let folder = tempfile::tempdir().expect("folder");
    let pace = Pace::measure(&daemon, folder.path()).map(|p| format!("{VARIABLE}={} ", p.handed())).unwrap_or_default();
    let command = guest.with_file_name("steadfast");
    let files = [(&*guest, "guest"), (&daemon, "steadfastd"), (&command, "steadfast")];
    run(&files, &format!("{pace}/share/guest ipvs {only}"));
}

#[test]
fn ipvlan_and_vrf() {
    if !machine("ipvlan and VRF") {
        return;
    }
    let (guest, daemon) = programs();
    let only = std::env::var("STEADFAST_VM_ONLY").unwrap_or_default();
    run(&[(&guest, "guest"), (&daemon, "steadfastd")], &format!("/share/guest links {only}"));
}

#[test]
fn the_package_under_systemd() {
    if !machine("the package under systemd") {
        return;
    }
    let (guest, _) = programs();
    let deb = package("deb").expect("a package");
    let mut files = vec![(guest.as_path(), "guest"), (deb.as_path(), "steadfast.deb")];
    let rpm = package("rpm");
    match &rpm {
        Some(rpm) => files.push((rpm, "steadfast.rpm")),
        None => println!("SKIPPED: the RPM package under systemd: rpmbuild is not installed"),
    }
    let only = std::env::var("STEADFAST_VM_ONLY").unwrap_or_default();
    run(&files, &format!("/share/guest systemd {only}"));
}

/// Builds a package of the programs as they are; `None`: its tools are not there.
fn package(kind: &str) -> Option<PathBuf> {
    let tool = if kind == "rpm" { "rpmbuild" } else { "dpkg-deb" };
    Command::new(tool).arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).status().ok()?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = top.join(format!("packaging/build-{kind}"));
    let out = Command::new(script).arg("--debug").stdin(Stdio::null()).output().expect("a package is built");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(top.join(String::from_utf8_lossy(&out.stdout).trim()))
}
