//! Where things were written. Checks are made after parsing, and still point at words.

use crate::diag::Span;
use crate::model::Place;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Places of blocks and of the keywords in them. Keys are hashes: a file may have a hundred thousand of them.
#[derive(Debug, Default)]
pub(crate) struct Places(HashMap<u64, Span>);

/// The kind of a check's block.
pub(crate) const CHECK: &str = "real_server > check";

/// The name of a check: the place of its real server, and its number there.
pub(crate) fn check_name(server: Place, n: usize) -> String {
    format!("{}:{}:{}/{n}", server.file, server.line, server.column)
}

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

    /// Notes where a name in the `group` of a block is.
    pub fn put_member(&mut self, kind: &str, name: &str, member: &str, span: Span) {
        self.put(kind, name, &format!("group {member}"), Some(span));
    }

    /// Where a name in the `group` of a block is.
    pub fn of_member(&self, kind: &str, name: &str, member: &str) -> Option<Span> {
        let own = self.0.get(&key(kind, name, &format!("group {member}")));
        own.copied().or_else(|| self.of(kind, name, "group"))
    }

    /// There is such a block, whatever became of it.
    pub fn has(&self, kind: &str, name: &str) -> bool {
        self.0.contains_key(&key(kind, name, ""))
    }

    /// Where a keyword of a check is, by the place of its real server and its number there; else where that server is.
    pub fn of_check(&self, server: Place, n: usize, word: &str) -> Option<Span> {
        self.of(CHECK, &check_name(server, n), word).or(server.span())
    }

    /// Where a keyword is; where its block begins when it was not written.
    pub fn of(&self, kind: &str, name: &str, word: &str) -> Option<Span> {
        self.0.get(&key(kind, name, word)).or_else(|| self.0.get(&key(kind, name, ""))).copied()
    }
}
