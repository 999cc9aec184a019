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
/// A daemon that is there is asked again for so long, while a new program takes its place and nobody listens.
const BETWEEN: Duration = Duration::from_secs(5);
/// What is said of one that was asked, and ended before it had answered.
const NO_ANSWER: &str = "no answer";
/// And where nobody listens.
const NOBODY: &str = "no daemon answers at";
/// What is said of one that stands still.
pub const SILENT: &str = "is there, but does not answer";

/// The control socket that a daemon (its parent process) listens at, wherever its configuration put it.
fn of_process(pid: u32) -> Result<PathBuf, String> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    if !process.exists() {
        return Err(format!("there is no process {pid}"));
    }
    // Its own list: it may live in another network namespace.
    let list = std::fs::read_to_string(process.join("net/unix")).unwrap_or_default();
    let sockets = list.lines().filter_map(|l| {
        let mut fields = l.split_whitespace();
        let inode = fields.nth(6)?;
        Some((inode, PathBuf::from(fields.next().filter(|p| p.ends_with(".control"))?)))
    });
    // What it has open is shown to those who may trace it, which systemd may have taken from us.
    let all = std::fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    let held: Vec<PathBuf> = all.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    let here = |path: &Path| if sees_another(pid, path) { seen_by(pid, path) } else { path.to_path_buf() };
    let mine = |inode: &str, path: &Path| match held.is_empty() {
        false => held.contains(&PathBuf::from(format!("socket:[{inode}]"))),
        true => is_beside_its_pid_file(path, pid),
    };
    let mut sockets = sockets.map(|(inode, path)| (inode, here(&path)));
    let found = sockets.find(|(inode, path)| mine(inode, path)).map(|(_, path)| path);
    found.ok_or_else(|| {
        let who = std::fs::metadata("/proc/self").map_or(0, |m| std::os::unix::fs::MetadataExt::uid(&m));
        match held.is_empty() && who != 0 {
            true => format!("process {pid}: only root may ask"),
            false => format!("process {pid} is no daemon that can be asked"),
        }
    })
}

/// False also where nobody tells us.
fn namespaces_differ(pid: u32, kind: &str) -> bool {
    let of = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
    of(&pid.to_string()).is_some_and(|theirs| Some(theirs) != of("self"))
}

/// What a process means by a path.
fn seen_by(pid: u32, path: &Path) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/root")).join(path.strip_prefix("/").unwrap_or(path))
}

/// It means another file by the path than we do, as one in a container. Nobody may tell us.
fn sees_another(pid: u32, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |path: &Path| path.metadata().ok().map(|m| (m.dev(), m.ino()));
    let theirs = of(&seen_by(pid, path));
    theirs.is_some() && theirs != of(path)
}

/// The process through whose eyes the socket's path is seen.
fn through(socket: &Path) -> Option<u32> {
    let mut parts = socket.strip_prefix("/proc").ok()?.iter().map(|p| p.to_str());
    let pid = parts.next()??.parse().ok()?;
    (parts.next()? == Some("root")).then_some(pid)
}

/// The daemon's file, of which a command that stands elsewhere may see another.
pub fn own_file(socket: &Path) -> Result<PathBuf, String> {
    let (whole, _) = status(socket)?;
    let pid = through(socket).unwrap_or(whole.pid.unsigned_abs());
    let file = PathBuf::from(&whole.file);
    if !sees_another(pid, &file) {
        return Ok(file);
    }
    Err(format!(
        "process {pid} does not see the {} that is here: give this command a file, or run it where that process is (nsenter -t {pid} -m)",
        file.display()
    ))
}

/// The daemon, of this number where it lives, has another namespace of this kind than we have.
pub fn lives_elsewhere(socket: &Path, pid: i32, kind: &str) -> bool {
    namespaces_differ(through(socket).unwrap_or(pid.unsigned_abs()), kind)
}

/// The daemon's process, where it can be told: its own number means another one to us where it lives in a container.
pub fn process_of(socket: &Path, pid: u64) -> Option<Process> {
    if let Some(pid) = through(socket) {
        return Process::find(pid.into());
    }
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    ["steadfastd", "keepalived"].iter().any(|own| name.starts_with(own)).then(|| Process::find(pid)).flatten()
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
        return of_process(pid);
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
            format!("{NOBODY} {}: is steadfastd running? (--socket or --pid names another one)", path.display())
        }
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {
            format!("{}: the daemon's parent process {SILENT}", path.display())
        }
        std::io::ErrorKind::PermissionDenied => format!("{}: only root may ask", path.display()),
        std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe => {
            format!("{}: {NO_ANSWER}", path.display())
        }
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
        return Err(format!("{}: {NO_ANSWER}", path.display()));
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
pub fn lives(path: &Path) -> bool {
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

/// The same of a daemon that may be about to be another program, or to end. `before`: the number that it gave before. True: it was asked
/// again.
pub fn insist(socket: &Path, words: &[&str], before: Option<u64>) -> Result<bool, String> {
    let until = Instant::now() + BETWEEN;
    // Its pid file may go at any moment.
    let process = before.and_then(|pid| process_of(socket, pid)).or_else(|| at(socket));
    let mut again = false;
    loop {
        let e = match order(socket, words) {
            Err(e) if e.starts_with(NOBODY) || e.ends_with(NO_ANSWER) => e,
            done => return done.map(|()| again),
        };
        match &process {
            Some(p) if !p.lives() => {
                return Err(format!("{}: the daemon has ended meanwhile: its log says why", socket.display()));
            }
            Some(_) if Instant::now() < until => {}
            Some(_) => {
                return Err(format!(
                    "{}: the daemon is there, and nobody listens: it is ending, or hangs",
                    socket.display()
                ));
            }
            None => return Err(e),
        }
        again = true;
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The daemon whose pid file is beside this socket.
fn at(socket: &Path) -> Option<Process> {
    let files = std::fs::read_dir(socket.parent()?).into_iter().flatten().flatten().map(|f| f.path());
    let mut files = files.filter(|p| p != socket && p.file_stem() == socket.file_stem() && p.is_file());
    let number = |p: PathBuf| {
        let small = p.metadata().is_ok_and(|m| m.len() < 32);
        std::fs::read_to_string(p).ok().filter(|_| small)?.trim().parse().ok()
    };
    files.find_map(|p| process_of(socket, number(p)?))
}

/// What the daemon reported of a configuration: the `last` that it read, or the `running` one; an older one does not say.
pub fn reports(socket: &Path, which: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&ask(socket, &["reports", which]).ok()?).into_owned();
    text.strip_prefix("reports\n").map(str::to_string)
}

/// Which program answers.
pub struct Begun {
    /// Since when it runs, by the clock.
    pub since: f64,
    /// Its children have said something.
    pub said: bool,
    /// Its number.
    pub pid: u64,
    children: Vec<u64>,
}

impl Begun {
    /// The clock may have been set between two answers, and one child may have got a successor: but not both.
    pub fn is_another(&self, before: &Begun) -> bool {
        let later = self.since > before.since + 0.05;
        later && !self.children.iter().any(|pid| before.children.contains(pid))
    }
}

/// The program that answers: understood of every version.
pub fn begun(socket: &Path) -> Result<Begun, String> {
    let text = ask(socket, &["status"])?;
    let whole: serde_json::Value = serde_json::from_slice(&text).map_err(|e| format!("no answer to read: {e}"))?;
    let said = ["vrrp", "checker", "bfd"].iter().any(|child| whole[child].is_object());
    let children = whole["children"].as_array().into_iter().flatten().filter_map(|c| c["pid"].as_u64()).collect();
    let (since, pid) = (whole["since"].as_f64().unwrap_or(0.0), whole["pid"].as_u64().unwrap_or(0));
    Ok(Begun { since, said, pid, children })
}
