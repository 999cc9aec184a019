//! A daemon that is asked while another program takes its place, or while it ends.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process of the daemon's name, and its pid file.
struct Daemon(tempfile::TempDir, Child);

impl Daemon {
    fn new() -> Daemon {
        let folder = tempfile::tempdir().expect("folder");
        let program = folder.path().join("steadfastd");
        // Not by this process: a program that another thread starts at that moment would have it open for writing.
        let copied = Command::new("cp").arg("/bin/sleep").arg(&program).status().expect("cp");
        assert!(copied.success());
        let child = Command::new(program).arg("60").spawn().expect("a process");
        std::fs::write(folder.path().join("own.pid"), format!("{}\n", child.id())).expect("pid file");
        Daemon(folder, child)
    }

    fn socket(&self) -> std::path::PathBuf {
        self.0.path().join("own.control")
    }

    fn end(&mut self) {
        self.1.kill().and_then(|()| self.1.wait()).expect("its end");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.1.kill();
        let _ = self.1.wait();
    }
}

/// `steadfast reload` in a process of its own.
fn reload(socket: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    command.arg("--socket").arg(socket).arg("reload").env("MAINPID", "0").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("steadfast")
}

fn end(child: Child) -> (Option<i32>, String) {
    let out = child.wait_with_output().expect("its end");
    (out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// Answers a question after the other until one is a reload, which `answer` is for: nothing closes the connection.
fn serve(listener: &UnixListener, answer: &str) {
    listener.set_nonblocking(true).expect("mode");
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let Ok((mut stream, _)) = listener.accept() else {
            assert!(Instant::now() < until, "nobody asks");
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        stream.set_nonblocking(false).expect("mode");
        let mut line = String::new();
        BufReader::new(stream.try_clone().expect("stream")).read_line(&mut line).expect("a question");
        let is_reload = line.starts_with("reload");
        let _ = stream.write_all(if is_reload { answer.as_bytes() } else { b"failed: unknown request\n" });
        if is_reload {
            return;
        }
    }
}

#[test]
fn a_reload_waits_for_the_program_that_takes_over() {
    let daemon = Daemon::new();
    let listener = UnixListener::bind(daemon.socket()).expect("socket");
    let asked = reload(&daemon.socket());
    // The older program is gone before it has answered, and then nobody listens for a while.
    serve(&listener, "");
    drop(listener);
    std::fs::remove_file(daemon.socket()).expect("socket");
    std::thread::sleep(Duration::from_millis(700));
    let listener = UnixListener::bind(daemon.socket()).expect("socket");
    serve(&listener, "ok\n");
    drop(listener);
    assert_eq!(end(asked), (Some(0), String::new()));
}

#[test]
fn a_daemon_that_ends_meanwhile_is_said_to_have_ended() {
    let mut daemon = Daemon::new();
    let listener = UnixListener::bind(daemon.socket()).expect("socket");
    let asked = reload(&daemon.socket());
    serve(&listener, "");
    drop(listener);
    daemon.end();
    let (status, said) = end(asked);
    assert!(status == Some(1) && said.contains("the daemon has ended meanwhile"), "{said}");
    // Of one that was not there before nothing is known.
    let (status, said) = end(reload(&daemon.socket()));
    assert!(status == Some(1) && said.contains("is steadfastd running?"), "{said}");
}
