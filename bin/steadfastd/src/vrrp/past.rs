//! The last changes of an instance as bytes. A thousand instances have them, in the child and in the parent that keeps them for its
//! successor, and most have the same few words in them.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use steadfast_ipc::{decode, encode};
use steadfast_status::live::Change;

/// Why an instance is BACKUP first.
pub const STARTED: &str = "it was started, and each instance begins by listening";
/// Words that many changes share, by number. New ones come at the end: what an upgrade reads keeps its number.
const WORDS: [&str; 10] = [
    "INIT",
    "BACKUP",
    "MASTER",
    "FAULT",
    "STOP",
    "init",
    "Receive advertisement timeout",
    "nothing is at fault any more",
    "an instance begins as BACKUP",
    STARTED,
];

#[derive(Serialize, Deserialize)]
enum Word {
    Known(u8),
    Other(String),
}

impl Word {
    fn of(text: &str) -> Word {
        let number = WORDS.iter().position(|w| *w == text).and_then(|n| u8::try_from(n).ok());
        number.map_or_else(|| Word::Other(text.to_string()), Word::Known)
    }

    fn text(self) -> Option<String> {
        match self {
            Word::Known(number) => WORDS.get(usize::from(number)).map(ToString::to_string),
            Word::Other(text) => Some(text),
        }
    }
}

/// As bytes.
pub fn written(changes: &VecDeque<Change>) -> Box<[u8]> {
    let brief: Vec<_> = changes.iter().map(|c| (c.at, Word::of(&c.state), Word::of(&c.cause))).collect();
    encode(&brief).unwrap_or_default().into()
}

/// From bytes, where they are such.
pub fn read(bytes: &[u8]) -> Option<VecDeque<Change>> {
    let brief: Vec<(f64, Word, Word)> = decode(bytes).ok()?;
    let change =
        |(at, state, cause): (f64, Word, Word)| Some(Change { at, state: state.text()?, cause: cause.text()? });
    brief.into_iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_come_back_as_they_were() {
        let change = |at, state: &str, cause: &str| Change { at, state: state.into(), cause: cause.into() };
        let mut all =
            VecDeque::from([change(1.5, "BACKUP", "init"), change(2.5, "MASTER", "Receive advertisement timeout")]);
        assert!(written(&all).len() < 40, "{} bytes", written(&all).len());
        all.push_back(change(3.0, "FAULT", "interface eth0 is down"));
        assert_eq!(read(&written(&all)), Some(all));
        assert_eq!(read(&[1, 0, 0]), None);
    }
}
