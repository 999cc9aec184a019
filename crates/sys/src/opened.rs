//! Programs that are looked at by descriptors, and can be started by the very one that was looked at.
//!
//! A path is walked from the root, a component at a time: what is held decides, not what has its name a moment later.

use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat};
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A file that is held open by itself.
#[derive(Clone, Debug)]
pub struct Opened {
    fd: Arc<OwnedFd>,
    /// Its first line names the program that reads it: that one opens it once more, by the descriptor.
    script: bool,
}

/// Why there is none.
#[derive(Debug)]
pub enum Closed {
    /// A part of the path was refused.
    Refused(String),
    /// There is no such file, and only root could put it there.
    Absent(io::Error),
    /// It could not be looked at.
    Failed(io::Error),
}

/// What is looked at: where it is, its owner and group, and its mode (st_mode). The answer is why it is refused.
pub type Rule<'a> = &'a dyn Fn(&Path, (u32, u32), u32) -> Option<String>;

fn names(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|c| c.as_os_str().to_os_string()).collect()
}

fn closed(e: nix::Error) -> Closed {
    match e {
        nix::Error::ENOENT | nix::Error::ENOTDIR => Closed::Absent(e.into()),
        e => Closed::Failed(e.into()),
    }
}

/// Others may put into such a folder what is not there yet.
const STICKY: u32 = 0o1000;

/// Opens the next part. Who asks for a folder has one mounted that is mounted on demand.
fn next(folder: Option<&OwnedFd>, name: &Path) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let open = |more| match folder {
        Some(folder) => openat(folder, name, flags | more, Mode::empty()),
        None => openat(AT_FDCWD, name, flags | more, Mode::empty()),
    };
    match open(OFlag::O_DIRECTORY) {
        Err(nix::Error::ENOTDIR | nix::Error::ELOOP) => open(OFlag::empty()),
        done => done,
    }
}

/// Opens what is at a path. Each folder and link on the way, and the file, is held when the rule is asked about it; links are
/// followed, `links` of them at most, and `too_many` is said of more.
pub fn open(path: &Path, rule: Rule<'_>, links: usize, too_many: &dyn Fn(&Path) -> String) -> Result<Opened, Closed> {
    let mut todo = names(&std::path::absolute(path).map_err(Closed::Failed)?);
    let (mut held, mut here, mut followed) = (None::<OwnedFd>, PathBuf::new(), 0);
    // Whoever may put a file into the last folder could do so in a moment.
    let absent = |held: Option<&OwnedFd>, here: &Path, e| {
        if !matches!(e, nix::Error::ENOENT | nix::Error::ENOTDIR) {
            return closed(e);
        }
        let folder = held.and_then(|folder| fstat(folder).ok());
        let why = folder.and_then(|f| rule(here, (f.st_uid, f.st_gid), f.st_mode & !STICKY));
        why.map_or_else(|| closed(e), Closed::Refused)
    };
    while let Some(name) = todo.pop() {
        let place = match Path::new(&name).components().next() {
            Some(Component::CurDir) | None => continue,
            Some(Component::RootDir) => PathBuf::from("/"),
            Some(Component::ParentDir) => here.parent().unwrap_or(Path::new("/")).to_path_buf(),
            Some(_) => here.join(&name),
        };
        let fd = next(held.as_ref(), Path::new(&name)).map_err(|e| absent(held.as_ref(), &here, e))?;
        let seen = fstat(&fd).map_err(closed)?;
        if let Some(why) = rule(&place, (seen.st_uid, seen.st_gid), seen.st_mode) {
            return Err(Closed::Refused(why));
        }
        if seen.st_mode & libc::S_IFMT != libc::S_IFLNK {
            (held, here) = (Some(fd), place);
            continue;
        }
        followed += 1;
        if followed > links {
            return Err(Closed::Refused(too_many(path)));
        }
        todo.extend(names(Path::new(&readlinkat(&fd, c"").map_err(closed)?)));
    }
    let fd = held.ok_or_else(|| Closed::Absent(nix::Error::ENOENT.into()))?;
    let mut first = [0; 2];
    // Some interpreters read by the descriptor that they are given. What cannot be read is no script, or one whose interpreter could not
    // read it either.
    let plain = fstat(&fd).is_ok_and(|seen| seen.st_mode & libc::S_IFMT == libc::S_IFREG);
    // Nor does it wait for who has a lease on it.
    let read =
        || File::options().read(true).custom_flags(libc::O_NONBLOCK).open(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    let readable = plain.then(|| read().ok()).flatten();
    let script = readable.as_ref().is_some_and(|file| file.read_exact_at(&mut first, 0).is_ok() && first == *b"#!");
    Ok(Opened { fd: Arc::new(readable.map_or(fd, OwnedFd::from)), script })
}

/// Reads what names no interpreter.
const SHELL: &std::ffi::CStr = c"/bin/sh";

/// All that is needed to start it, made before the fork: after it no memory may be asked for.
pub(crate) struct Exec {
    opened: Opened,
    // The arrays point into these.
    _texts: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// For a shell that reads it.
    shell: Vec<*const libc::c_char>,
}

// SAFETY: the pointers are to texts of its own, which nobody changes.
unsafe impl Send for Exec {}
// SAFETY: as above.
unsafe impl Sync for Exec {}

impl Exec {
    /// With these words, and our environment without some names.
    pub(crate) fn new(opened: Opened, words: &[OsString], without: &[&str]) -> io::Result<Exec> {
        let text = |bytes: Vec<u8>| CString::new(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let words = words.iter().map(|w| text(w.as_bytes().to_vec())).collect::<io::Result<Vec<_>>>()?;
        let variables = std::env::vars_os().filter(|(name, _)| without.iter().all(|w| *w != name));
        let variables = variables.map(|(name, value)| text([name.as_bytes(), b"=", value.as_bytes()].concat()));
        let variables = variables.collect::<io::Result<Vec<_>>>()?;
        let ended = |texts: &[CString]| texts.iter().map(|t| t.as_ptr()).chain([std::ptr::null()]).collect();
        let (argv, envp): (Vec<_>, Vec<_>) = (ended(&words), ended(&variables));
        let file = text(format!("/dev/fd/{}", opened.fd.as_raw_fd()).into_bytes())?;
        let shell = [SHELL.as_ptr(), file.as_ptr()].into_iter().chain(argv.iter().skip(1).copied()).collect();
        // A text that moves stays where its bytes are.
        let texts = words.into_iter().chain(variables).chain([file]).collect();
        Ok(Exec { opened, _texts: texts, argv, envp, shell })
    }

    fn fd(&self) -> RawFd {
        self.opened.fd.as_raw_fd()
    }

    /// Puts the file into the place of this process. Returns only when that cannot be done. Nothing in it is forbidden after a fork.
    pub(crate) fn run(&self) -> io::Error {
        // SAFETY: the arrays end with NULL, and they and the texts that they point to are of `self`.
        unsafe {
            let leave_open = || libc::fcntl(self.fd(), libc::F_SETFD, 0);
            let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
            let exec = || libc::syscall(libc::SYS_execveat, self.fd(), c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH);
            if self.opened.script {
                leave_open();
            }
            exec();
            let mut e = io::Error::last_os_error();
            // The kernel knows another program for files of its kind (binfmt_misc), which is to read it.
            if e.raw_os_error() == Some(libc::ENOENT) && !self.opened.script {
                leave_open();
                exec();
                e = io::Error::last_os_error();
            }
            // As execvp does with a text that names no interpreter.
            if e.raw_os_error() == Some(libc::ENOEXEC) {
                leave_open();
                libc::execve(SHELL.as_ptr(), self.shell.as_ptr(), envp);
            }
            e
        }
    }
}

#[cfg(test)]
#[path = "opened_tests.rs"]
mod tests;
