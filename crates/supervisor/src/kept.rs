//! What a child has its parent keep for a successor. A thousand virtual routers have a few objects each, and the parent holds them
//! for as long as it lives: each is one allocation, name and state together.
//!
//! ```text
//!  0        2               2 + n
//! +--------+---------------+--------
//! | n (LE) | name, n bytes | state
//! +--------+---------------+--------
//! ```

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Objects by name, each with its state.
#[derive(Clone, Default)]
pub struct Kept(BTreeSet<Entry>);

#[derive(Clone)]
struct Entry(Box<[u8]>);

impl Entry {
    fn new(name: &str, state: &[u8]) -> Option<Entry> {
        let n = u16::try_from(name.len()).ok()?;
        Some(Entry([&n.to_le_bytes(), name.as_bytes(), state].concat().into()))
    }

    fn parts(&self) -> (&str, &[u8]) {
        let Some((n, rest)) = self.0.split_first_chunk() else { return ("", &[]) };
        let (name, state) = rest.split_at_checked(usize::from(u16::from_le_bytes(*n))).unwrap_or_default();
        (std::str::from_utf8(name).unwrap_or_default(), state)
    }
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        self.parts().0
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().0.cmp(other.parts().0)
    }
}

impl Kept {
    /// Objects in it.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// It has an object of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Puts an object in, instead of the one of its name. A name of more than 65,535 bytes is no name.
    pub fn put(&mut self, name: &str, state: &[u8]) {
        if let Some(entry) = Entry::new(name, state) {
            self.0.replace(entry);
        }
    }

    /// Takes an object out.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Leaves those of which this is true.
    pub fn retain(&mut self, mut stays: impl FnMut(&str) -> bool) {
        self.0.retain(|e| stays(e.parts().0));
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// All, in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.0.iter().map(Entry::parts)
    }
}
