//! Logging that never blocks the caller.
//!
//! `log` macros format into a line, the line goes into a bounded queue, and one thread writes. A full pipe, a stalled terminal
//! or a dead syslog daemon holds that thread up and nobody else; lines that find no room are counted and the count is logged.

use log::{Level, LevelFilter};
use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Lines that wait at most.
const QUEUE: usize = 4096;

/// Where journald takes entries with fields.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Stands between a line and its fields while both wait; it occurs in neither.
const BEFORE_FIELDS: char = '\x1f';

/// Entries with fields are wanted.
static STRUCTURED: AtomicBool = AtomicBool::new(false);

/// From now on lines go to journald with their fields, where it runs, instead of to its stream or to syslog.
pub fn structured(on: bool) {
    STRUCTURED.store(on, Ordering::Relaxed);
}

/// What the identifier ends with.
static ENDING: Mutex<String> = Mutex::new(String::new());

/// From now on lines carry the identifier with this behind it: daemons side by side are told apart by it.
pub fn distinguish(ending: String) {
    *ENDING.lock().unwrap_or_else(PoisonError::into_inner) = ending;
}

/// Appends one field in journald's form: `NAME=value`, or with a line break in the value `NAME`, its length in eight bytes (little
/// endian), and the value.
///
/// ```text
///  N A M E = v a l u e \n        N A M E \n | length: u64 LE | v a l \n u e | \n
/// ```
pub fn journal_field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

/// Collects the fields of a record.
struct Fields(String);

impl<'a> log::kv::VisitSource<'a> for Fields {
    fn visit_pair(&mut self, key: log::kv::Key<'a>, value: log::kv::Value<'a>) -> Result<(), log::kv::Error> {
        // One line a field: a value is a name, a state or a reason.
        let value = value.to_string().replace(['\n', BEFORE_FIELDS], " ");
        self.0.push_str(&format!("{BEFORE_FIELDS}{key}={value}"));
        Ok(())
    }
}

/// Where lines go.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Identity: `Keepalived`, `Keepalived_vrrp` and so on.
    pub ident: String,
    /// To stderr.
    pub console: bool,
    /// To syslog.
    pub syslog: bool,
    /// Syslog facility number (3 is daemon).
    pub facility: u8,
    /// To this file too.
    pub file: Option<PathBuf>,
    /// 0 plain, 1 detail (-D), 2 debug.
    pub detail: u8,
}

struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
    idle: Condvar,
}

#[derive(Default)]
struct Queue {
    lines: VecDeque<(Level, String)>,
    dropped: u64,
    writing: bool,
}

impl Queue {
    /// False: there is no room. Details (-D) leave some to what matters more: each packet of a thousand announcements has its line.
    fn put(&mut self, level: Level, text: String) -> bool {
        let room = if level > Level::Info { QUEUE / 2 } else { QUEUE };
        if self.lines.len() >= room {
            self.dropped += 1;
            return false;
        }
        self.lines.push_back((level, text));
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

static SHARED: std::sync::OnceLock<Arc<Shared>> = std::sync::OnceLock::new();

/// What env_logger writes into: the level is the first byte of the line.
struct Into(Arc<Shared>);

impl Write for Into {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let level = match bytes.first() {
            Some(b'3') => Level::Error,
            Some(b'4') => Level::Warn,
            Some(b'6') => Level::Info,
            _ => Level::Debug,
        };
        let text = String::from_utf8_lossy(bytes.get(1..).unwrap_or_default()).trim_end().to_string();
        let mut queue = self.0.lock();
        if queue.put(level, text) {
            drop(queue);
            self.0.more.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts logging for this process. A second call changes nothing.
pub fn start(options: Options) {
    let shared = Arc::new(Shared { queue: Mutex::default(), more: Condvar::new(), idle: Condvar::new() });
    if SHARED.set(shared.clone()).is_err() {
        return;
    }
    let level = match options.detail {
        0 => LevelFilter::Info,
        1 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let writer = shared.clone();
    // Signals belong to the signalfd of the main thread; the mask is inherited.
    let _ = std::thread::Builder::new()
        .name("log".into())
        .stack_size(128 * 1024)
        .spawn(move || write_lines(&writer, &options));
    let _ = env_logger::Builder::new()
        .filter_level(level)
        .format(|out, record| {
            let level = match record.level() {
                Level::Error => '3',
                Level::Warn => '4',
                Level::Info => '6',
                Level::Debug | Level::Trace => '7',
            };
            let mut fields = Fields(String::new());
            if STRUCTURED.load(Ordering::Relaxed) {
                let _ = record.key_values().visit(&mut fields);
            }
            let text = record.args().to_string();
            let text = steadfast_core::text::plain(&text).into_owned();
            let text = if text.contains(BEFORE_FIELDS) { text.replace(BEFORE_FIELDS, " ") } else { text };
            writeln!(out, "{level}{text}{}", fields.0)
        })
        .target(env_logger::Target::Pipe(Box::new(Into(shared))))
        .try_init();
}

/// Waits until everything is written, at most for `limit`.
pub fn flush(limit: Duration) {
    if let Some(shared) = SHARED.get() {
        let queue = shared.lock();
        let _ =
            shared.idle.wait_timeout_while(queue, limit, |q| !q.lines.is_empty() || q.writing).map(|(q, _)| drop(q));
    }
}

fn write_lines(shared: &Shared, options: &Options) {
    // journald names its stream; its lines carry their priority in front.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    // The usual place is one where anybody may make links.
    let open = |path: &std::path::PathBuf| {
        let mut how = std::fs::OpenOptions::new();
        how.create(true).append(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
        // A FIFO that has no reader is not waited for; one that has is written to in whole lines.
        let file = how.open(path).and_then(|f| {
            nix::fcntl::fcntl(&f, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_APPEND))?;
            Ok(f)
        });
        // The logger may not be there yet, whose thread this is.
        let failed = |e: &io::Error| format!("cannot write the log to {}: {e}", path.display());
        let said = |e: &io::Error| {
            let _ = shared.lock().put(Level::Error, steadfast_core::text::plain(&failed(e)).into_owned());
        };
        file.inspect_err(said).ok()
    };
    let mut file = options.file.as_ref().and_then(open);
    // It writes lines, whatever its process may do.
    crate::sandbox::powerless();
    let mut syslog: Option<UnixDatagram> = None;
    let mut native: Option<UnixDatagram> = None;
    let pid = std::process::id();
    loop {
        let (batch, dropped) = {
            let mut queue = shared.lock();
            queue.writing = false;
            if queue.lines.is_empty() {
                shared.idle.notify_all();
            }
            while queue.lines.is_empty() {
                queue = shared.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.writing = true;
            (std::mem::take(&mut queue.lines), std::mem::take(&mut queue.dropped))
        };
        let ident = format!("{}{}", options.ident, ENDING.lock().unwrap_or_else(PoisonError::into_inner));
        let lost = (dropped > 0).then(|| (Level::Warn, format!("{dropped} log lines lost: nobody read fast enough")));
        for (level, text) in batch.into_iter().chain(lost) {
            let priority = match level {
                Level::Error => 3,
                Level::Warn => 4,
                Level::Info => 6,
                Level::Debug | Level::Trace => 7,
            };
            let (text, fields) = match text.split_once(BEFORE_FIELDS) {
                Some((text, fields)) => (text.to_string(), Some(fields)),
                None => (text, None),
            };
            let stamped = format!("{}: {text}\n", local_time());
            let told = STRUCTURED.load(Ordering::Relaxed) && {
                let mut entry = Vec::new();
                journal_field(&mut entry, "MESSAGE", &text);
                journal_field(&mut entry, "PRIORITY", &priority.to_string());
                journal_field(&mut entry, "SYSLOG_IDENTIFIER", &ident);
                for (name, value) in
                    fields.iter().flat_map(|f| f.split(BEFORE_FIELDS)).filter_map(|f| f.split_once('='))
                {
                    journal_field(&mut entry, name, value);
                }
                deliver(&mut native, JOURNAL, &entry)
            };
            if options.console && !(told && journal) {
                let line = if journal { format!("<{priority}>{text}\n") } else { stamped.clone() };
                let _ = io::stderr().write_all(line.as_bytes());
            }
            if let Some(file) = &mut file {
                let _ = file.write_all(stamped.as_bytes());
            }
            if options.syslog && !told {
                let line = format!("<{}>{ident}[{pid}]: {text}", u32::from(options.facility) * 8 + priority);
                deliver(&mut syslog, "/dev/log", line.as_bytes());
            }
        }
    }
}

/// Sends a datagram to a socket's path, by a connection that is made anew when it fails; false when nobody took it.
fn deliver(socket: &mut Option<UnixDatagram>, path: &str, bytes: &[u8]) -> bool {
    if socket.as_ref().is_some_and(|s| s.send(bytes).is_ok()) {
        return true;
    }
    *socket = UnixDatagram::unbound().ok().filter(|s| s.connect(path).is_ok());
    socket.as_ref().is_some_and(|s| s.send(bytes).is_ok())
}

/// Local time in the form of asctime.
fn local_time() -> String {
    let mut buffer = [0u8; 32];
    // SAFETY: localtime_r and strftime write into memory of the given sizes; the format ends with NUL.
    let n = unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut parts: libc::tm = std::mem::zeroed();
        libc::localtime_r(&now, &mut parts);
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), c"%a %b %e %H:%M:%S %Y".as_ptr(), &parts)
    };
    String::from_utf8_lossy(buffer.get(..n).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_that_nobody_reads_leave_room_for_what_matters() {
        let mut queue = Queue::default();
        let taken = (0..2 * QUEUE).filter(|n| queue.put(Level::Debug, format!("Sending gratuitous ARP {n}"))).count();
        assert_eq!(taken, QUEUE / 2);
        assert!(queue.put(Level::Info, "Entering MASTER STATE".into()) && queue.put(Level::Error, "died".into()));
        assert!(!queue.put(Level::Debug, "one more".into()));
        let taken = (0..QUEUE).filter(|_| queue.put(Level::Info, String::new())).count();
        assert_eq!((taken, queue.lines.len()), (QUEUE / 2 - 2, QUEUE));
    }

    #[test]
    fn fields_are_written_as_journald_reads_them() {
        let mut entry = Vec::new();
        journal_field(&mut entry, "INSTANCE", "VI_1");
        journal_field(&mut entry, "MESSAGE", "a\nb");
        assert_eq!(entry, b"INSTANCE=VI_1\nMESSAGE\n\x03\0\0\0\0\0\0\0a\nb\n");
    }
}
