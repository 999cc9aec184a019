//! The demonstration, as README has it, and what its exit status says.

use std::path::Path;
use std::process::{Command, Output};
use steadfast_test_cluster::daemon::{file, steadfastd};
use steadfast_test_cluster::require;

fn demo(program: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_demo")).env("STEADFASTD", program).output().expect("demo")
}

#[test]
fn the_demonstration_shows_a_crash_a_return_and_a_stop() {
    require!();
    let out = demo(&steadfastd());
    let text = String::from_utf8_lossy(&out.stdout);
    let (said, errors) = (text.trim_end(), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success() && said.ends_with("Done."), "{said}\n{errors}");
    assert_eq!(said.matches(" ms").count(), 3, "an outage each: {said}");
}

/// The second host's daemon does nothing.
#[test]
fn a_demonstration_without_a_takeover_fails() {
    require!();
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("folder");
    let script = format!(
        "#!/bin/sh\nfor word; do case $last in -f) conf=$word;; -p) pid=$word;; -r) vrrp=$word;; esac; last=$word; done\n\
         if grep -q 'priority 100' \"$conf\"; then echo $$ >\"$pid\"; echo $$ >\"$vrrp\"; exec sleep 60; fi\nexec {} \"$@\"\n",
        steadfastd().display()
    );
    let path = file(folder.path(), "steadfastd", &script);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
    let out = demo(Path::new(&path));
    let said = String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(1), "{said}");
    assert!(said.contains("did not move as it should: loss of power"), "{said}");
}
