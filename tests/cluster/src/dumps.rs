//! What is in a data dump: its sections and keys, compared with those that keepalived was seen to write.

use std::collections::BTreeSet;

/// A section, and a key in it.
pub type Key = (String, String);

/// Sections, and the keys in each: what is before ` = ` or ` :`, or the sentence; numbers are N, addresses of memory are cut off, and
/// what stands behind more blanks than `deepest` is left out: items of lists.
pub fn keys(text: &str, deepest: usize) -> BTreeSet<Key> {
    let mut section = String::new();
    let mut all = BTreeSet::new();
    for line in text.lines() {
        if let Some(heading) = line.trim().strip_prefix("------< ").and_then(|l| l.strip_suffix(" >------")) {
            section = heading.into();
            all.insert((section.clone(), String::new()));
            continue;
        }
        let blanks = line.len() - line.trim_start().len();
        if !(1..=deepest).contains(&blanks) || (line.contains('@') && !line.contains('=')) {
            continue;
        }
        let line = line.trim();
        let key = line.split(" = ").next().unwrap_or(line);
        let key = if key == line { key.split(':').next().unwrap_or(key) } else { key };
        let key = key.split(" (").next().unwrap_or(key).split(" 0x").next().unwrap_or(key).trim();
        let mut short = String::new();
        for c in key.chars() {
            match c {
                '0'..='9' if short.ends_with('N') => {}
                '0'..='9' => short.push('N'),
                c => short.push(c),
            }
        }
        let short = if short.starts_with("Use VMAC") { "Use VMAC, i/f name" } else { &short };
        all.insert((section.clone(), short.to_string()));
    }
    all
}

/// Rows of a recording: section, key, and why ours has none.
pub fn recorded(text: &str) -> impl Iterator<Item = (Key, &str)> {
    text.lines().filter(|l| !l.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        ((next().to_string(), next().to_string()), next())
    })
}

/// Recorded keys that are not among the seen ones, though no reason says why.
pub fn missing(recording: &str, seen: &BTreeSet<Key>) -> Vec<Key> {
    recorded(recording).filter(|(key, reason)| reason.is_empty() && !seen.contains(key)).map(|(key, _)| key).collect()
}

/// How many keys are wanted, and how many left out.
pub fn counts(recording: &str) -> (usize, usize) {
    let wanted = recorded(recording).filter(|(_, reason)| reason.is_empty()).count();
    (wanted, recorded(recording).count() - wanted)
}

/// What the recording of a dump lacks: keepalived writes it.
pub fn unrecorded(recording: &str, theirs: &BTreeSet<Key>) -> Vec<Key> {
    let known: BTreeSet<Key> = recorded(recording).map(|(key, _)| key).collect();
    theirs.iter().filter(|key| !known.contains(*key)).cloned().collect()
}
