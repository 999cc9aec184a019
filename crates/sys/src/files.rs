//! Files that others read.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes a dump: a new file of mode 0600 beside the target, then renamed over it, so that no reader sees half of it, no link
/// is followed and nobody holds the new file open already. The final name is then opened for writing and closed, for watchers
/// that wait for that event on that name.
pub fn write_dump(path: &Path, text: &str, mask: Option<u32>) -> io::Result<()> {
    // Others may read it only where the administrator gave a mask.
    let mode = mask.map_or(0o600, |m| 0o666 & !m);
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_string_lossy().into_owned();
    let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
    for attempt in 0..16u32 {
        let temporary = directory.join(format!(".{name}.{}.{attempt}", std::process::id()));
        let open =
            OpenOptions::new().write(true).create_new(true).mode(mode).custom_flags(libc::O_NOFOLLOW).open(&temporary);
        match open {
            Ok(mut file) => {
                let done = file.write_all(text.as_bytes()).and_then(|()| std::fs::rename(&temporary, path));
                if let Err(e) = done {
                    let _ = std::fs::remove_file(&temporary);
                    return Err(e);
                }
                let _ = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path);
                return Ok(());
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Writes a file anew, which may be a device; no link is followed, and nobody is waited for.
pub fn write_log(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path)?.write_all(text)
}

/// True when the file can be opened for reading.
pub fn readable(path: &Path) -> bool {
    unreadable(path).is_none()
}

/// Why the file cannot be opened for reading.
pub fn unreadable(path: &Path) -> Option<io::Error> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).err()
}

/// Writes the initial value of a tracked file; `overwrite` replaces an existing one.
pub fn init_number(path: &Path, value: i64, overwrite: bool) -> io::Result<()> {
    let mut options = OpenOptions::new();
    // a FIFO that nobody reads must not hold us
    options.write(true).mode(0o644).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    if overwrite {
        options.create(true).truncate(true)
    } else {
        options.create_new(true)
    };
    match options.open(path) {
        Ok(mut file) => writeln!(file, "{value}"),
        Err(e) if !overwrite && e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

/// Seconds since 1970, for dumps.
pub fn wall_clock() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map(|d| d.as_secs_f64()).unwrap_or(0.0)
}

/// Makes a file, or empties it; no link is followed.
pub fn make_empty(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    options.open(path).map(|_| ())
}

/// Makes a folder of root's alone, where there is none.
pub fn make_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
}

/// Makes a folder that others may look into, where there is none. What leads there is made, too.
pub fn make_open_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path)
}

/// Whether a folder could be written to by who is not confined: neither its mode nor a read-only file system forbids it.
pub fn may_write(folder: &Path) -> bool {
    nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK).is_ok()
}

/// How long the system has been up.
pub fn uptime() -> std::time::Duration {
    let text = std::fs::read_to_string("/proc/uptime").unwrap_or_default();
    let seconds = text.split(' ').next().and_then(|s| s.parse().ok()).unwrap_or(f64::MAX);
    std::time::Duration::try_from_secs_f64(seconds).unwrap_or(std::time::Duration::MAX)
}

/// Where a process is that does not answer: its state, and where in the kernel it waits.
pub fn whereabouts(pid: i32) -> String {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        text.trim().chars().take(300).collect::<String>()
    };
    let status = read("status");
    let state = status.lines().find_map(|l| l.strip_prefix("State:")).unwrap_or("").trim().to_string();
    let stack: Vec<String> = read("stack").lines().map(|l| l.trim().to_string()).take(8).collect();
    let stack = if stack.is_empty() { "not readable".into() } else { stack.join(" ") };
    format!("state {state}, waits in {}, system call {}, kernel stack {stack}", read("wchan"), read("syscall"))
}

/// Resident memory of a process in KiB; 0 when it is gone.
pub fn resident(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Reads a small file, at most `limit` bytes.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The same for a file that nobody but us may have written: a regular file of our own account, of no other's writing, no link.
pub fn read_own(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::MetadataExt;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(path)?;
    let m = file.metadata()?;
    if !m.is_file() || m.uid() != nix::unistd::geteuid().as_raw() || m.mode() & 0o022 != 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a kernel setting under /proc/sys.
pub fn write_setting(path: &Path, value: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// Names of the entries of a folder; none when it cannot be read.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().into_string().ok()).collect()
}
