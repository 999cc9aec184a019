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
    /// Files that match a pattern, sorted.
    fn glob(&self, pattern: &str) -> Vec<PathBuf>;
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

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FsReader;

impl Reader for FsReader {
    fn read(&self, path: &Path, most: u64) -> Result<Vec<u8>, ReadError> {
        use std::io::Read;
        use std::os::unix::fs::PermissionsExt;
        let system = |e: std::io::Error| {
            if e.kind() == std::io::ErrorKind::NotFound { ReadError::NotFound } else { ReadError::System(e) }
        };
        let metadata = std::fs::metadata(path).map_err(system)?;
        if metadata.is_dir() {
            return Err(ReadError::Directory);
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
        let mut found: Vec<PathBuf> = glob::glob(pattern).map(|g| g.flatten().collect()).unwrap_or_default();
        found.sort();
        found
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
