//! The only place of this crate that reads files.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a file could not be read.
#[derive(Debug)]
pub enum ReadError {
    /// It is absent.
    NotFound,
    /// It is a directory.
    Directory,
    /// It is executable, so it is hardly a configuration.
    Executable,
    /// It is a pipe, a socket or a device, where reading may wait for ever.
    NoFile,
    /// It is larger than allowed.
    TooLarge,
    /// The system refused.
    System(std::io::Error),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::NotFound => f.write_str("no such file"),
            ReadError::Directory => f.write_str("it is a directory"),
            ReadError::Executable => f.write_str("it is executable"),
            ReadError::NoFile => f.write_str("it is no regular file"),
            ReadError::TooLarge => f.write_str("it is too large"),
            ReadError::System(e) => e.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

/// How the source stage sees files and the environment.
pub trait Reader {
    /// A whole file of at most `most` bytes.
    fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, ReadError>;
    /// Files that match a pattern, sorted. A name that begins with a dot is matched by a pattern that does so only.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;
    /// A path as a pattern that only it matches.
    fn literal(&self, path: &Path) -> String {
        path.display().to_string()
    }
    /// An environment variable.
    fn environment(&self, name: &str) -> Option<String>;
    /// The one name of a file that may be called by several.
    fn canonical(&self, path: &Path) -> PathBuf {
        lexical(path)
    }
}

/// A path without `.` and `NAME/..`, for where there are no links.
fn lexical(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// A part of the path begins with a dot, and what matched it does not. (The crate's own option passes over such names altogether.)
fn is_hidden(path: &Path, pattern: &str) -> bool {
    let parts = |text: &str| -> Vec<String> {
        text.split('/').filter(|part| !matches!(*part, "" | ".")).map(str::to_string).collect()
    };
    let (names, patterns) = (parts(&path.to_string_lossy()), parts(pattern));
    names.iter().rev().zip(patterns.iter().rev()).any(|(name, by)| name.starts_with('.') && !by.starts_with('.'))
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsReader;

impl Reader for FsReader {
    fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
        use std::io::Read;
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let system = |e: std::io::Error| {
            if e.kind() == std::io::ErrorKind::NotFound { ReadError::NotFound } else { ReadError::System(e) }
        };
        let metadata = std::fs::metadata(path).map_err(system)?;
        if metadata.is_dir() {
            return Err(ReadError::Directory);
        }
        // What the shell hands over is a pipe that somebody writes to; /dev/null ends at once.
        let handed_over = ["/dev/fd/", "/dev/stdin", "/proc/"].iter().any(|at| path.starts_with(at));
        let empty = metadata.file_type().is_char_device() && path == Path::new("/dev/null");
        if !metadata.is_file() && !handed_over && !empty {
            return Err(ReadError::NoFile);
        }
        if metadata.is_file() && metadata.permissions().mode() & 0o111 != 0 {
            return Err(ReadError::Executable);
        }
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(system)?;
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(system)?;
        if bytes.len() as u64 > most { Err(ReadError::TooLarge) } else { Ok(bytes) }
    }

    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        // glob(3) knows both signs of a negation, and nothing that goes down by itself.
        let mut pattern = pattern.replace("[^", "[!");
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        let mut found: Vec<PathBuf> = glob::glob(&pattern).map(|g| g.flatten().collect()).unwrap_or_default();
        found.retain(|path| !is_hidden(path, &pattern));
        found.sort();
        found
    }

    fn literal(&self, path: &Path) -> String {
        glob::Pattern::escape(&path.to_string_lossy())
    }

    fn environment(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn canonical(&self, path: &Path) -> PathBuf {
        // What `..` leads to behind a link is for the system to say. A pipe has no path, and what is absent is read by nobody.
        std::fs::canonicalize(path).unwrap_or_else(|_| lexical(path))
    }
}

/// One file from memory, named `main`, for tests; there is no other, and no environment.
#[derive(Clone, Copy, Debug)]
pub struct FakeReader<'a>(pub &'a [u8]);

impl Reader for FakeReader<'_> {
    fn read(&self, path: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        if path == Path::new("main") { Ok(self.0.to_vec()) } else { Err(ReadError::NotFound) }
    }
    fn glob(&self, _: &str) -> Vec<PathBuf> {
        Vec::new()
    }
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}
