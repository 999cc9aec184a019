//! Daemons.

use crate::{Host, eventually};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Which daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Ours.
    Steadfast,
    /// Debian's keepalived.
    Keepalived,
}

/// Our daemon: beside the test programs, or where STEADFASTD says.
pub fn steadfastd() -> PathBuf {
    if let Some(path) = std::env::var_os("STEADFASTD") {
        return path.into();
    }
    let me = std::env::current_exe().expect("own path");
    let found = me.ancestors().map(|d| d.join("steadfastd")).find(|p| p.is_file());
    found.expect("steadfastd is not built: run `cargo build` first")
}

/// Asks a daemon by the operator's command: what it says.
pub fn ask(d: &Daemon, words: &[&str]) -> String {
    let program = steadfastd().with_file_name("steadfast");
    let mut command = Command::new(program);
    command.arg("--socket").arg(d.path("pid").with_extension("control")).args(words).stdin(Stdio::null());
    let out = command.output().expect("steadfast");
    String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned()
}

/// keepalived, if installed.
pub fn keepalived() -> Option<PathBuf> {
    ["/usr/sbin/keepalived", "/sbin/keepalived"].iter().map(PathBuf::from).find(|p| p.is_file())
}

/// A running daemon with files of its own.
pub struct Daemon {
    /// Folder with its configuration, log and pid files.
    pub folder: tempfile::TempDir,
    child: Child,
    dead: bool,
}

impl Daemon {
    /// Starts a daemon in a host.
    pub fn start(host: &Host, kind: Kind, configuration: &str) -> Daemon {
        Self::start_with(host, kind, configuration, &[])
    }

    /// The same, with variables of the environment, and more arguments where a variable has no name.
    pub fn start_with(host: &Host, kind: Kind, configuration: &str, variables: &[(&str, &str)]) -> Daemon {
        let folder = tempfile::tempdir().expect("folder");
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        Self::launch(host, kind, configuration, folder, Stdio::from(log), variables)
    }

    /// The same, with a folder and a log of the caller's.
    pub fn start_in(host: &Host, kind: Kind, configuration: &str, folder: tempfile::TempDir, log: Stdio) -> Daemon {
        Self::launch(host, kind, configuration, folder, log, &[])
    }

    /// The same with everything.
    pub fn launch(
        host: &Host,
        kind: Kind,
        configuration: &str,
        folder: tempfile::TempDir,
        log: Stdio,
        variables: &[(&str, &str)],
    ) -> Daemon {
        let path = |n: &str| folder.path().join(n);
        std::fs::write(path("conf"), configuration).expect("configuration");
        let program = match kind {
            // A program of its own, where the test wants to replace it.
            Kind::Steadfast if path("steadfastd").is_file() => path("steadfastd"),
            Kind::Steadfast => steadfastd(),
            Kind::Keepalived => keepalived().expect("keepalived"),
        };
        let mut command = host.command(program.to_str().expect("path"));
        command.args(["-n", "-l", "-D", "-f"]).arg(path("conf"));
        command.arg("-p").arg(path("pid")).arg("-r").arg(path("vrrp.pid")).arg("-c").arg(path("check.pid"));
        command.arg("-b").arg(path("bfd.pid"));
        // Dumps go there.
        command.env("TMPDIR", folder.path());
        for (name, value) in variables {
            if name.is_empty() {
                command.arg(value);
            } else {
                command.env(name, value);
            }
        }
        let bfd = configuration.contains("bfd_instance");
        if kind == Kind::Keepalived && !bfd {
            command.arg("-B");
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("start");
        let daemon = Daemon { folder, child, dead: false };
        let first = match configuration {
            c if c.contains("vrrp_instance") => "vrrp.pid",
            c if c.contains("virtual_server") => "check.pid",
            _ if bfd => "bfd.pid",
            _ => "vrrp.pid",
        };
        let up = || daemon.pid_of(first).is_some();
        assert!(eventually(Duration::from_secs(10), up), "the daemon does not start:\n{}", daemon.log());
        daemon
    }

    /// Path of a file of this daemon.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        std::fs::read(self.path("log")).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Waits for words in the log.
    pub fn wait_log(&self, words: &str, bound: Duration) {
        assert!(eventually(bound, || self.log().contains(words)), "'{words}' does not come:\n{}", self.log());
    }

    /// The process id in a pid file.
    pub fn pid_of(&self, file: &str) -> Option<i32> {
        std::fs::read_to_string(self.path(file)).ok()?.trim().parse().ok()
    }

    /// Sends a signal to the parent.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        send(self.pid_of("pid").expect("pid"), signal);
    }

    /// New configuration, SIGHUP.
    pub fn reload(&self, configuration: &str) {
        std::fs::write(self.path("conf"), configuration).expect("configuration");
        self.signal(nix::sys::signal::Signal::SIGHUP);
    }

    /// Orderly stop, and its exit status.
    pub fn stop(mut self) -> Option<i32> {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.ended()
    }

    /// Waits for the end.
    pub fn ended(&mut self) -> Option<i32> {
        let mut status = None;
        let over = eventually(Duration::from_secs(15), || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        assert!(over, "the daemon does not end:\n{}", self.log());
        self.dead = true;
        status.and_then(|s| s.code())
    }

    /// Power off: every process at once, without a word.
    pub fn crash(mut self) {
        self.kill_all();
    }

    fn kill_all(&mut self) {
        if std::mem::replace(&mut self.dead, true) {
            return;
        }
        let ours = |pid: &i32| {
            comm(*pid).is_some_and(|c| c.starts_with("steadfast") || c.starts_with("keepalived") || c == "exe")
        };
        let files = ["pid", "vrrp.pid", "check.pid", "bfd.pid"];
        let pids: Vec<i32> = files.iter().filter_map(|file| self.pid_of(file)).filter(ours).collect();
        // A child that notices the end of its parent would take its leave.
        for signal in [nix::sys::signal::Signal::SIGSTOP, nix::sys::signal::Signal::SIGKILL] {
            pids.iter().for_each(|pid| send(*pid, signal));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill_all();
        if std::thread::panicking() {
            eprintln!("--- log of {}\n{}", self.folder.path().display(), self.log());
        }
    }
}

/// A process that is ended however the test is.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a process that a test started.
pub fn send(pid: i32, signal: nix::sys::signal::Signal) {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}

fn comm(pid: i32) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|c| c.trim().to_string())
}

/// Runs our daemon to its end with some arguments: exit status, stdout, stderr.
pub fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let out = Command::new(steadfastd()).args(arguments).output().expect("run");
    let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    (out.status.code(), text(&out.stdout), text(&out.stderr))
}

/// Writes a file and names it.
pub fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("file");
    path.to_str().expect("path").to_string()
}

/// Builds a small C program for what a test cannot do by itself.
pub fn compile(folder: &Path, name: &str, text: &str) -> PathBuf {
    let (text, program) = (file(folder, &format!("{name}.c"), text), folder.join(name));
    let built = Command::new("cc").arg("-o").arg(&program).arg(text).status().expect("a C compiler");
    assert!(built.success(), "{name} cannot be built");
    program
}
