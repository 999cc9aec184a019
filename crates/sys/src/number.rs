//! The number in a tracked file, as keepalived reads it.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// So much of a file is looked at, in bytes.
const LIMIT: u64 = 128;

/// What a text begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Leading {
    Number(i64),
    Nothing,
    OutOfRange,
}

/// C's strtol of base 0, within 32 bits: blanks, a sign, `0x` or `0`, digits; what follows does not matter.
fn leading(text: &[u8]) -> Leading {
    let text = text.trim_ascii_start();
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let (base, digits) = match text {
        [b'0', b'x' | b'X', rest @ ..] if rest.first().is_some_and(u8::is_ascii_hexdigit) => (16, rest),
        [b'0', ..] => (8, text),
        _ => (10, text),
    };
    let digits = digits.iter().map_while(|b| char::from(*b).to_digit(base));
    let number = digits
        .fold(None, |sum: Option<i64>, d| Some(sum.unwrap_or(0).saturating_mul(base.into()).saturating_add(d.into())));
    match number.map(|n| if negative { -n } else { n }) {
        None => Leading::Nothing,
        Some(n) if i32::try_from(n).is_ok() => Leading::Number(n),
        Some(_) => Leading::OutOfRange,
    }
}

/// Tracked files: what was read of each last, and what the log was told of it.
#[derive(Debug, Default)]
pub struct Numbers(HashMap<PathBuf, (i64, Option<String>)>);

impl Numbers {
    /// The number that a file begins with. An absent or unreadable file counts as 0, so does one without a number; one beyond 32 bits
    /// leaves what it was. Of these two the log has a line.
    pub fn read(&mut self, path: &Path) -> i64 {
        let mut text = Vec::new();
        let (value, said) = self.0.entry(path.to_path_buf()).or_default();
        let Ok(file) = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path) else {
            (*value, *said) = (0, None);
            return 0;
        };
        let _ = file.take(LIMIT).read_to_end(&mut text);
        let shown = || text.trim_ascii().escape_ascii().to_string();
        let complaint = match leading(&text) {
            Leading::Number(n) => {
                *value = n;
                None
            }
            Leading::Nothing => {
                *value = 0;
                Some(format!("No number but \"{}\" read from {} - taking 0", shown(), path.display()))
            }
            Leading::OutOfRange => {
                Some(format!("Invalid number {} read from {} - ignoring, it is {value} still", shown(), path.display()))
            }
        };
        if let Some(line) = complaint.as_ref().filter(|_| complaint != *said) {
            log::warn!("{line}");
        }
        *said = complaint;
        *value
    }

    /// What was read of it last.
    pub fn last(&self, path: &Path) -> i64 {
        self.0.get(path).map_or(0, |(value, _)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_keepalived_reads_them() {
        let number = |text: &str| match leading(text.as_bytes()) {
            Leading::Number(n) => Ok(n),
            other => Err(other),
        };
        // as seen with keepalived 2.2.7
        for (text, value) in [
            ("8 yy", 8),
            ("7yy\n", 7),
            (" 12", 12),
            ("+9", 9),
            ("-7", -7),
            ("0x10", 16),
            ("010", 8),
            ("08", 0),
            ("0b11", 0),
            ("3.9", 3),
            ("\n6", 6),
            ("6\n7", 6),
            ("1e3", 1),
            ("2147483647", 2_147_483_647),
            ("-2147483648", -2_147_483_648),
        ] {
            assert_eq!(number(text), Ok(value), "{text:?}");
        }
        for text in ["", "xx", "- 5", "\n", "--5", "-"] {
            assert_eq!(number(text), Err(Leading::Nothing), "{text:?}");
        }
        for text in ["99999999999999", "-2147483649", "9223372036854775807", "99999999999999999999999", "0xfffffffff"] {
            assert_eq!(number(text), Err(Leading::OutOfRange), "{text:?}");
        }
    }

    #[test]
    fn what_is_out_of_range_leaves_what_was() {
        let path = std::env::temp_dir().join(format!("steadfast-number-{}", std::process::id()));
        let mut numbers = Numbers::default();
        let mut read = |text: &str| {
            std::fs::write(&path, text).expect("written");
            numbers.read(&path)
        };
        assert_eq!(["99999999999999", "8 yy", "99999999999999", "xx", "5"].map(&mut read), [0, 8, 8, 0, 5]);
        std::fs::remove_file(&path).expect("removed");
        assert_eq!((numbers.last(&path), numbers.read(&path), numbers.last(&path)), (5, 0, 0));
    }
}
