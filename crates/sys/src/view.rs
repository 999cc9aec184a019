//! The file system as process 1 sees it: who was started with a view of its own, as a service manager makes it, may have work that is
//! meant for the whole host.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;

/// Lets this thread, and what it starts, see files as process 1 does. Must be called while it is the only one of its process, or in a
/// thread that is made for this. Fails where that may not be had; all is as before then.
pub fn enter_host() -> io::Result<()> {
    let host = File::open("/proc/1/ns/mnt")?;
    let place = |m: Metadata| (m.dev(), m.ino());
    if place(host.metadata()?) == place(std::fs::metadata("/proc/thread-self/ns/mnt")?) {
        return Ok(());
    }
    let folder = std::env::current_dir();
    // Threads share their folder and their root, and only who shares them with nobody may have others.
    unshare(CloneFlags::CLONE_FS)?;
    setns(&host, CloneFlags::CLONE_NEWNS)?;
    // It is in the root now. A folder that is not there is nobody's.
    if let Ok(folder) = folder {
        let _ = std::env::set_current_dir(folder);
    }
    Ok(())
}

/// Has a thread do something that sees files as process 1 does, and waits for it. The work is told whether it does so. Fails where no
/// thread can be had.
pub fn in_host<T: Send>(work: impl FnOnce(io::Result<()>) -> T + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, || work(enter_host()))?;
        thread.join().map_err(|_| io::Error::other("the thread ended early"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &str = "STEADFAST_TEST_VIEW";

    /// Another process, for its view is its own from then on.
    #[test]
    fn one_thread_sees_what_the_host_sees_and_the_others_go_on() {
        let folder = tempfile::tempdir().expect("folder");
        if let Ok(hidden) = std::env::var(INNER) {
            let there = || std::path::Path::new(&hidden).exists();
            assert!(!there(), "it has a view of its own");
            let seen = in_host(|entered| entered.map(|()| (there(), std::env::current_dir().ok())));
            let folder = std::env::current_dir().ok();
            assert_eq!(seen.expect("thread").expect("the host's view"), (true, folder));
            assert!(!there(), "the others have theirs");
            return;
        }
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("file");
        // Process 1 of its own, which sees the file; below it the test, which does not.
        let test = format!("mount -t tmpfs none {} && exec \"$0\" \"$@\"", folder.path().display());
        let first = format!("unshare --mount --propagation private sh -c '{test}' \"$0\" \"$@\"; exit $?");
        let unshare = |words: &[&str]| {
            let mut command = std::process::Command::new("unshare");
            command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "sh", "-c"]).args(words);
            command
        };
        if !unshare(&["mount -t tmpfs none /mnt"]).output().is_ok_and(|o| o.status.success()) {
            println!("SKIPPED: the host's view of files (it takes root)");
            return;
        }
        let inner = unshare(&[&first])
            .arg(std::env::current_exe().expect("own path"))
            .args(["--exact", "view::tests::one_thread_sees_what_the_host_sees_and_the_others_go_on", "--nocapture"])
            .env(INNER, &file)
            .current_dir("/usr")
            .output()
            .expect("test");
        assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stderr));
    }
}
