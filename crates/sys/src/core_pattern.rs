//! The name that the kernel gives to core files. It is the whole machine's.

use crate::files;
use std::io;
use std::path::Path;

const PATTERN: &str = "/proc/sys/kernel/core_pattern";
/// The kernel takes no longer one.
const LONGEST: u64 = 4096;

/// The pattern that holds.
pub fn get() -> io::Result<String> {
    let bytes = files::read_limited(Path::new(PATTERN), LONGEST)?;
    let text = String::from_utf8(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_string())
}

/// Sets it; returns what the kernel made of it, which cuts a long one.
pub fn set(pattern: &str) -> io::Result<String> {
    files::write_setting(Path::new(PATTERN), &format!("{pattern}\n"))?;
    get()
}
