//! The kernel's load balancer, in a guest whose kernel has one. The guest's own tests are in src/bin/guest.

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_balancer_in_a_virtual_machine() {
    let machine = concat!(env!("CARGO_MANIFEST_DIR"), "/machine");
    let built = Command::new(machine).arg("build").stdin(Stdio::null()).output().expect("machine");
    if !built.status.success() {
        let reason = String::from_utf8_lossy(&built.stderr);
        println!("SKIPPED: IPVS in a virtual machine: {}", reason.lines().last().unwrap_or("no reason"));
        return;
    }
    let guest = Path::new(env!("CARGO_BIN_EXE_guest"));
    let daemon = guest.with_file_name("steadfastd");
    assert!(daemon.exists(), "build the workspace first: {} is missing", daemon.display());
    let share = tempfile::tempdir().expect("folder");
    for program in [guest, &daemon] {
        let to = share.path().join(program.file_name().expect("name"));
        std::fs::copy(program, to).expect("copy");
    }
    let only = std::env::var("STEADFAST_VM_ONLY").unwrap_or_default();
    let status = Command::new(machine)
        .args([
            "run",
            "-s",
            &share.path().display().to_string(),
            "-t",
            "600",
            "--",
            &format!("/share/guest ipvs {only}"),
        ])
        .stdin(Stdio::null())
        .status()
        .expect("machine");
    assert!(status.success(), "{status}");
}
