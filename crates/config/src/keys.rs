//! Keys of `auth_hmac`.

use crate::diag::Class;
use crate::host::KeyFile;
use crate::parse::Cx;
use std::path::PathBuf;
use steadfast_core::Secret;

/// Bytes of a key: as many as HMAC-SHA-256 makes use of, and not so few that they could be guessed.
const LENGTH: std::ops::RangeInclusive<usize> = 32..=64;

/// `ID VALUE`. Reports say what is wrong with a key and never what it is.
pub(crate) fn line(c: &mut Cx<'_>, v: &mut Vec<(u8, Secret)>) {
    let Some(w) = c.value() else { return };
    let Some(id) = c.number(w, 1, 255).and_then(|n| u8::try_from(n).ok()) else { return };
    let Some(value) = c.word(2) else {
        c.report(Class::MissingParameter, "'key' needs an id and a value");
        return;
    };
    let (class, text) = match read(c, &value.text) {
        Ok(_) if v.iter().any(|k| k.0 == id) => (Class::General, "is given already, ignoring this one".to_string()),
        Ok(key) if LENGTH.contains(&key.bytes().len()) => {
            v.push((id, key));
            return;
        }
        Ok(key) => (Class::General, format!("has {} bytes, and needs 32 to 64; ignoring it", key.bytes().len())),
        Err(fault) => fault,
    };
    c.report(class, format!("key {id} {text}"));
}

fn read(c: &Cx<'_>, value: &str) -> Result<Secret, (Class, String)> {
    let path = if let Some(path) = value.strip_prefix("file:") {
        PathBuf::from(path)
    } else if let Some(name) = value.strip_prefix("credential:") {
        if name.contains('/') {
            return Err((Class::General, "has a credential's name with a '/', ignoring it".into()));
        }
        let Some(folder) = c.host.credentials() else {
            return Err((Class::General, "is a credential, but this process was given none; ignoring it".into()));
        };
        folder.join(name)
    } else {
        return plain(value);
    };
    match c.host.key_file(&path) {
        KeyFile::Good(bytes) => match std::str::from_utf8(bytes.bytes()) {
            // a line of text, or raw bytes
            Ok(text) => plain(text.strip_suffix('\n').unwrap_or(text)),
            Err(_) => Ok(bytes),
        },
        KeyFile::Open(mode) => Err((
            Class::Security,
            format!("is in '{}', which others than its owner may use (mode {mode:04o}); ignoring it", path.display()),
        )),
        KeyFile::Unreadable(why) => {
            Err((Class::General, format!("cannot be read from '{}': {why}; ignoring it", path.display())))
        }
    }
}

/// Text as its bytes, or hexadecimal digits.
fn plain(value: &str) -> Result<Secret, (Class, String)> {
    let Some(hex) = value.strip_prefix("hex:") else { return Ok(Secret::new(value)) };
    let digits: Option<Vec<u8>> = hex.chars().map(|d| d.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    match digits.filter(|d| d.len().is_multiple_of(2)) {
        Some(d) => Ok(Secret::new(d.chunks_exact(2).map(|p| p.iter().fold(0, |a, d| a << 4 | d)).collect::<Vec<u8>>())),
        None => Err((Class::General, "is no even number of hexadecimal digits, ignoring it".into())),
    }
}

/// One of some words.
pub(crate) fn choice<T: Copy>(c: &mut Cx<'_>, v: &mut T, words: &[(&str, T)]) {
    let Some(w) = c.value() else { return };
    match words.iter().find(|(word, _)| *word == w.text) {
        Some((_, value)) => *v = *value,
        None => {
            let keyword = c.keyword().unwrap_or_default();
            let all = words.iter().map(|w| w.0).collect::<Vec<_>>().join(", ");
            let text = format!("unknown {keyword} '{}': it is one of {all}", w.text);
            c.report_near(w, text, words.iter().map(|w| w.0));
        }
    }
}
