//! States by name, in little room: what a child has its parent keep for a successor, and what it remembers of its past. A thousand
//! virtual routers have a few each, for as long as the daemon lives: they lie in one buffer, so that small pieces of them do not
//! hold on to pages that are otherwise free.
//!
//! ```text
//!  0        2               6               6 + n      6 + n + m
//! +--------+---------------+---------------+----------+----
//! | n (LE) | m (LE)        | name, n bytes | state, m | next
//! +--------+---------------+---------------+----------+----
//! ```

/// Bytes before a name.
const HEAD: usize = 6;
/// Bytes that nobody needs any more are swept when they are more than this and than those that somebody does.
const SLACK: usize = 4096;

/// Objects by name, each with its state.
#[derive(Clone, Default)]
pub struct Kept {
    bytes: Vec<u8>,
    /// Where each begins, in order of the names.
    index: Vec<u32>,
    /// Bytes of what has been replaced or removed.
    waste: usize,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter().map(|(name, _)| name)).finish()
    }
}

impl Kept {
    /// Objects in it.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// It has none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// It has an object of this name.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_ok()
    }

    /// The state of an object.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let at = self.find(name).ok()?;
        self.index.get(at).map(|at| self.parts(*at).1)
    }

    /// Puts an object in, instead of the one of its name. A name of more than 65,535 bytes is no name, and four gigabytes are the
    /// most that there can be.
    pub fn put(&mut self, name: &str, state: &[u8]) {
        let place = self.find(name);
        let (Ok(n), Ok(m)) = (u16::try_from(name.len()), u32::try_from(state.len())) else { return };
        if let Ok(at) = place
            && let Some(start) = self.index.get(at).copied()
        {
            // what is as long as before takes its place: adverts count up, and are told again and again
            let end = start as usize + self.length(start);
            if self.parts(start).1.len() == state.len()
                && let Some(old) = self.bytes.get_mut(end - state.len()..end)
            {
                old.copy_from_slice(state);
                return;
            }
        }
        let Ok(start) = u32::try_from(self.bytes.len()) else { return };
        self.bytes.extend_from_slice(&n.to_le_bytes());
        self.bytes.extend_from_slice(&m.to_le_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(state);
        match place {
            Ok(at) => {
                if let Some(place) = self.index.get_mut(at) {
                    let old = std::mem::replace(place, start);
                    self.waste += self.length(old);
                }
            }
            Err(at) => self.index.insert(at, start),
        }
        self.sweep();
    }

    /// Takes an object out.
    pub fn remove(&mut self, name: &str) {
        if let Ok(at) = self.find(name) {
            let start = self.index.remove(at);
            self.waste += self.length(start);
            self.sweep();
        }
    }

    /// Leaves those of which this is true.
    pub fn retain(&mut self, mut stays: impl FnMut(&str) -> bool) {
        let mut index = std::mem::take(&mut self.index);
        index.retain(|start| {
            let stays = stays(self.parts(*start).0);
            if !stays {
                self.waste += self.length(*start);
            }
            stays
        });
        self.index = index;
        self.sweep();
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        *self = Kept::default();
    }

    /// All, in order of their names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.index.iter().map(|start| self.parts(*start))
    }

    /// Gives back room that it has to spare.
    pub fn shrink(&mut self) {
        self.rewrite();
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.index.binary_search_by(|start| self.parts(*start).0.cmp(name))
    }

    fn parts(&self, start: u32) -> (&str, &[u8]) {
        let all = self.bytes.get(start as usize..).unwrap_or_default();
        let Some(([n0, n1, m @ ..], rest)) = all.split_first_chunk::<HEAD>() else { return ("", &[]) };
        let n = usize::from(u16::from_le_bytes([*n0, *n1]));
        let (name, rest) = rest.split_at_checked(n).unwrap_or_default();
        let state = rest.get(..u32::from_le_bytes(*m) as usize).unwrap_or_default();
        (std::str::from_utf8(name).unwrap_or_default(), state)
    }

    fn length(&self, start: u32) -> usize {
        let (name, state) = self.parts(start);
        HEAD + name.len() + state.len()
    }

    fn sweep(&mut self) {
        if self.waste > SLACK && self.waste > self.bytes.len() / 2 {
            self.rewrite();
        }
    }

    fn rewrite(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.waste);
        let mut index = Vec::with_capacity(self.index.len());
        for start in &self.index {
            // no more than there was, which was little enough
            index.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            let at = *start as usize;
            bytes.extend_from_slice(self.bytes.get(at..at + self.length(*start)).unwrap_or_default());
        }
        *self = Kept { bytes, index, waste: 0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        /// Whatever is put in and taken out, it is the map that it stands for, and what was replaced does not pile up.
        #[test]
        fn it_is_a_map(steps in proptest::collection::vec((0..12u8, 0..200usize, 0..4u8), 0..400)) {
            let (mut kept, mut model) = (Kept::default(), BTreeMap::new());
            for (name, length, what) in steps {
                let (name, state) = (format!("V{name}"), vec![name; length]);
                match what {
                    0 => { kept.remove(&name); model.remove(&name); }
                    1 => { kept.retain(|n| n < name.as_str()); model.retain(|n: &String, _| n < &name); }
                    _ => { kept.put(&name, &state); model.insert(name.clone(), state); }
                }
                prop_assert_eq!(kept.get(&name), model.get(&name).map(Vec::as_slice));
            }
            prop_assert!(kept.iter().eq(model.iter().map(|(n, s)| (n.as_str(), s.as_slice()))));
            let live: usize = model.iter().map(|(n, s)| HEAD + n.len() + s.len()).sum();
            prop_assert!(kept.bytes.len() <= 2 * live + SLACK + 300, "{} for {live}", kept.bytes.len());
            kept.shrink();
            prop_assert!(kept.bytes.len() == live && kept.len() == model.len());
        }
    }
}
