//! Where things were written. Checks are made after parsing, and still point at words.

use crate::diag::Span;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Places of blocks and of the keywords in them. Keys are hashes: a file may have a hundred thousand of them.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<u64, Span>);

fn key(kind: &str, name: &str, word: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, name, word).hash(&mut hasher);
    hasher.finish()
}

impl Places {
    /// Notes where a keyword of a block is; the block's own line has the empty keyword.
    pub fn put(&mut self, kind: &str, name: &str, word: &str, span: Option<Span>) {
        if let Some(span) = span {
            self.0.insert(key(kind, name, word), span);
        }
    }

    /// Where a keyword is; where its block begins when it was not written.
    pub fn of(&self, kind: &str, name: &str, word: &str) -> Option<Span> {
        self.0.get(&key(kind, name, word)).or_else(|| self.0.get(&key(kind, name, ""))).copied()
    }
}
