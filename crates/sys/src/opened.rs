//! Programs that are looked at by descriptors, and can be started by the very one that was looked at.
//!
//! A path is walked from the root, a component at a time: what is held decides, not what has its name a moment later.

use nix::fcntl::{AT_FDCWD, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstat};
use std::ffi::{CString, OsString};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// A file that is held open by itself, without the right to read it.
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
    /// There is no such file.
    Absent,
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
        nix::Error::ENOENT | nix::Error::ENOTDIR => Closed::Absent,
        e => Closed::Failed(e.into()),
    }
}

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
    while let Some(name) = todo.pop() {
        let place = match Path::new(&name).components().next() {
            Some(Component::CurDir) | None => continue,
            Some(Component::RootDir) => PathBuf::from("/"),
            Some(Component::ParentDir) => here.parent().unwrap_or(Path::new("/")).to_path_buf(),
            Some(_) => here.join(&name),
        };
        let fd = next(held.as_ref(), Path::new(&name)).map_err(closed)?;
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
    let fd = held.ok_or(Closed::Absent)?;
    let mut first = [0; 2];
    // What cannot be read is no script, or one whose interpreter could not read it either. A FIFO is not waited for.
    let script = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", fd.as_raw_fd()))
        .and_then(|mut file| file.read_exact(&mut first))
        .is_ok_and(|()| first == *b"#!");
    Ok(Opened { fd: Arc::new(fd), script })
}

/// All that is needed to start it, made before the fork: after it no memory may be asked for.
pub(crate) struct Exec {
    opened: Opened,
    // The arrays point into these.
    _texts: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
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
        let (argv, envp) = (ended(&words), ended(&variables));
        // A text that moves stays where its bytes are.
        let texts = words.into_iter().chain(variables).collect();
        Ok(Exec { opened, _texts: texts, argv, envp })
    }

    fn fd(&self) -> RawFd {
        self.opened.fd.as_raw_fd()
    }

    /// Puts the file into the place of this process. Returns only when that cannot be done. Nothing in it is forbidden after a fork.
    pub(crate) fn run(&self) -> io::Error {
        // SAFETY: the arrays end with NULL, and they and the texts that they point to are of `self`.
        unsafe {
            if self.opened.script {
                libc::fcntl(self.fd(), libc::F_SETFD, 0);
            }
            let (argv, envp) = (self.argv.as_ptr(), self.envp.as_ptr());
            libc::syscall(libc::SYS_execveat, self.fd(), c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH);
        }
        io::Error::last_os_error()
    }
}

#[cfg(test)]
#[path = "opened_tests.rs"]
mod tests;
