//! Questions to the running daemon.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steadfast_status::live::Whole;

/// The daemon gives a reading of its configuration a minute; an upgrade has two of them and a rehearsal.
const READING: Duration = Duration::from_secs(210);
/// Everything else it answers at once; a hung daemon is not waited for.
const PATIENCE: Duration = Duration::from_secs(6);
/// Who waits for a reading looks so often whether the daemon still answers.
const LOOK: Duration = Duration::from_secs(1);
/// Who waits for longer wants to know for what.
const UNTOLD: Duration = Duration::from_secs(3);
/// A daemon that answers nobody for so long is not waited for: nothing that it does by itself takes longer.
const SILENCE: Duration = Duration::from_secs(15);
/// What is said of one that stands still.
pub const SILENT: &str = "is there, but does not answer";

/// The control socket that a daemon (its parent process) listens at, wherever its configuration put it.
fn of_process(pid: u32) -> Option<PathBuf> {
    // Its own list: it may live in another network namespace.
    let list = std::fs::read_to_string(format!("/proc/{pid}/net/unix")).ok()?;
    let sockets = list.lines().filter_map(|l| {
        let mut fields = l.split_whitespace();
        let inode = fields.nth(6)?;
        Some((inode, PathBuf::from(fields.next().filter(|p| p.ends_with(".control"))?)))
    });
    let mut sockets: Vec<(&str, PathBuf)> = sockets.collect();
    // What it has open is shown to those who may trace it, which systemd may have taken from us.
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let held: Vec<PathBuf> = all.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    let mine = |inode: &str, path: &Path| match held.is_empty() {
        false => held.contains(&PathBuf::from(format!("socket:[{inode}]"))),
        true => is_beside_its_pid_file(path, pid),
    };
    let found = sockets.iter().position(|(inode, path)| mine(inode, path));
    found.map(|n| sockets.swap_remove(n).1)
}

/// A file of the same name, but for its end, has the number of the process.
fn is_beside_its_pid_file(socket: &Path, pid: u32) -> bool {
    let same = |path: &Path| path != socket && path.file_stem() == socket.file_stem() && path.is_file();
    let files = socket.parent().and_then(|f| std::fs::read_dir(f).ok()).into_iter().flatten().flatten();
    files.map(|f| f.path()).filter(|p| same(p)).any(|p| {
        let small = p.metadata().is_ok_and(|m| m.len() < 32);
        small && std::fs::read_to_string(p).is_ok_and(|text| text.trim() == pid.to_string())
    })
}

/// The daemon's socket: the one that was named, that of the named process, or the usual one, or the only one in the usual folder.
pub fn socket(named: Option<PathBuf>, pid: Option<u32>) -> Result<PathBuf, String> {
    if let Some(path) = named {
        return Ok(path);
    }
    // systemd tells commands of a unit the unit's process.
    let pid = pid.or_else(|| std::env::var("MAINPID").ok()?.parse().ok());
    if let Some(pid) = pid {
        return of_process(pid).ok_or_else(|| format!("process {pid} is no daemon that can be asked"));
    }
    let usual = PathBuf::from("/run/keepalived.control");
    if usual.exists() {
        return Ok(usual);
    }
    let list = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    let top: Vec<PathBuf> = list("/run/keepalived".into()).collect();
    // One folder for each network namespace that daemons live in.
    let below: Vec<PathBuf> = top.iter().filter(|p| p.is_dir()).cloned().flat_map(list).collect();
    let mut others: Vec<PathBuf> =
        top.into_iter().chain(below).filter(|p| p.extension().is_some_and(|e| e == "control")).collect();
    others.sort();
    match others.as_slice() {
        [] => Ok(usual),
        [one] => Ok(one.clone()),
        several => {
            let list: Vec<String> = several.iter().map(|p| p.display().to_string()).collect();
            Err(format!("several daemons run here; name one by --socket: {}", list.join(", ")))
        }
    }
}

/// One question, words with tabs between them, and the whole answer.
pub fn ask(path: &Path, words: &[&str]) -> Result<Vec<u8>, String> {
    let problem = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
            format!(
                "no daemon answers at {}: is steadfastd running? (--socket or --pid names another one)",
                path.display()
            )
        }
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            format!("{}: the daemon's parent process {SILENT}", path.display())
        }
        std::io::ErrorKind::PermissionDenied => format!("{}: only root may ask", path.display()),
        _ => format!("{}: {e}", path.display()),
    };
    let mut stream = UnixStream::connect(path).map_err(problem)?;
    let waits = match words.first() {
        Some(&"reload") => Some("the configuration to be read and to take effect"),
        Some(&"upgrade") => Some("the new program to read the configuration and to show that it can begin"),
        _ => None,
    };
    stream.set_read_timeout(Some(if waits.is_some() { LOOK } else { PATIENCE })).map_err(problem)?;
    stream.write_all(format!("{}\n", words.join("\t")).as_bytes()).map_err(problem)?;
    let mut answer = Vec::new();
    match waits {
        Some(what) => hear(path, what, &mut stream, &mut answer).map_err(problem)?,
        None => drop(stream.read_to_end(&mut answer).map_err(problem)?),
    }
    if answer.is_empty() {
        return Err(format!("{}: no answer", path.display()));
    }
    Ok(answer)
}

/// Hears the end of something that may take long, and looks meanwhile whether anybody is there.
fn hear(path: &Path, what: &str, stream: &mut UnixStream, answer: &mut Vec<u8>) -> std::io::Result<()> {
    let begun = Instant::now();
    let mut heard = begun;
    let (mut told, mut warned) = (false, false);
    loop {
        let late = match stream.read_to_end(answer) {
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => e,
            result => return result.map(drop),
        };
        if lives(path) {
            heard = Instant::now();
        } else if heard.elapsed() >= SILENCE {
            return Err(late);
        } else if !std::mem::replace(&mut warned, true) {
            eprintln!(
                "steadfast: the daemon's parent process {SILENT}; waiting for it, {} s at most. It was asked, and may \
                 still do so when it goes on",
                SILENCE.as_secs()
            );
        }
        if begun.elapsed() >= READING {
            return Err(late);
        }
        if !warned && begun.elapsed() >= UNTOLD && !std::mem::replace(&mut told, true) {
            eprintln!("steadfast: waiting for {what}, for some minutes at most ...");
        }
    }
}

/// It answers a question that costs it nothing.
fn lives(path: &Path) -> bool {
    let ask = || {
        let mut stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(LOOK))?;
        stream.write_all(b"faults\n")?;
        stream.read(&mut [0; 64])
    };
    // One that has ended says so on the other connection.
    ask().is_ok_and(|n: usize| n > 0)
}

/// The daemon's process, where it can be seen from here.
pub struct Process {
    pid: u64,
    /// When it was started, as the kernel counts: a later process may have its number.
    begun: String,
}

impl Process {
    /// The one of this number.
    pub fn find(pid: u64) -> Option<Process> {
        Some(Process { pid, begun: beginning(pid)? })
    }

    /// It has not ended; a new program in it is still that process.
    pub fn lives(&self) -> bool {
        beginning(self.pid).is_some_and(|begun| begun == self.begun)
    }
}

/// When a process was started that has not ended.
fn beginning(pid: u64) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A name may have anything in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18).map(str::to_string)).flatten()
}

/// Everything that the daemon says of itself, also as it said it.
pub fn status(socket: &Path) -> Result<(Whole, String), String> {
    let text = String::from_utf8_lossy(&ask(socket, &["status"])?).into_owned();
    let whole = serde_json::from_str(&text).map_err(|e| format!("the daemon's answer is of another version: {e}"))?;
    Ok((whole, text))
}

/// What runs of the words that a restart alone takes over, and what was read of them last; an older daemon does not say.
pub fn fixed(socket: &Path) -> Option<[crate::plan::Fixed; 2]> {
    serde_json::from_slice(&ask(socket, &["fixed"]).ok()?).ok()
}

/// A request that is answered by `ok` or by a reason.
pub fn order(socket: &Path, words: &[&str]) -> Result<(), String> {
    let answer = ask(socket, words)?;
    let text = String::from_utf8_lossy(&answer).trim().to_string();
    if text == "ok" { Ok(()) } else { Err(text.strip_prefix("failed: ").unwrap_or(&text).to_string()) }
}

/// Since when the daemon runs, whether its children have said something, and its number: understood of every version.
pub fn begun(socket: &Path) -> Result<(f64, bool, u64), String> {
    let text = ask(socket, &["status"])?;
    let whole: serde_json::Value = serde_json::from_slice(&text).map_err(|e| format!("no answer to read: {e}"))?;
    let said = ["vrrp", "checker", "bfd"].iter().any(|child| whole[child].is_object());
    Ok((whole["since"].as_f64().unwrap_or(0.0), said, whole["pid"].as_u64().unwrap_or(0)))
}
