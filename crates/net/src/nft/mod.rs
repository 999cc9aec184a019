//! Tables of nf_tables, without the `nft` program: traffic of virtual addresses that is blocked, and marks for the load balancer.
//!
//! One table for each family, with keepalived's names for table, chains and sets. What is blocked are elements of sets, so that a
//! takeover changes elements and never rules. Every change is one batch, which the kernel takes whole or not at all.

mod build;
mod marks;
mod socket;
#[cfg(test)]
mod tests;

pub use marks::{Mark, MarkSettings, Marks, disjoint};
pub use socket::look;

use socket::Tables;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use steadfast_core::Family;

/// Elements in one batch at most: a batch is one datagram and must fit into the send buffer.
const BATCH: usize = 512;

/// What is kept out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Entry {
    /// Packets to and from an address.
    Address(IpAddr),
    /// Packets to and from a link-local address on the link of this name.
    LinkLocal(std::net::Ipv6Addr, String),
    /// Group membership reports from a virtual link: they would teach switches a virtual MAC that is not served here.
    Reports(Family, String),
}

impl Entry {
    fn family(&self) -> Family {
        match self {
            Entry::Address(a) => Family::of(*a),
            Entry::LinkLocal(..) => Family::V6,
            Entry::Reports(f, _) => *f,
        }
    }
}

/// How the tables look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Name of the tables.
    pub table: String,
    /// Hook priority of the chains.
    pub priority: i32,
    /// Rules count packets.
    pub counters: bool,
    /// Links go by their number, not by their name.
    pub by_index: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { table: "keepalived".into(), priority: -1, counters: false, by_index: false }
    }
}

/// The tables of this process.
pub struct Firewall {
    settings: Settings,
    kernel: Tables,
    /// What is in the kernel, or on its way, and the number of its link.
    entries: BTreeMap<Entry, u32>,
    /// Families whose table exists.
    tables: [bool; 2],
    /// Families whose table of an earlier life was removed.
    cleared: [bool; 2],
    queue: Vec<(Entry, u32, bool)>,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Firewall {
    /// Nothing is opened before something is to be blocked.
    pub fn new(settings: Settings) -> Self {
        Firewall {
            settings,
            kernel: Tables::default(),
            entries: BTreeMap::new(),
            tables: [false; 2],
            cleared: [false; 2],
            queue: Vec::new(),
        }
    }

    /// The descriptor to watch, once there is one.
    pub fn fd(&self) -> Option<RawFd> {
        self.kernel.fd()
    }

    /// It is blocked, or will be.
    pub fn has(&self, entry: &Entry) -> bool {
        self.entries.contains_key(entry)
    }

    /// The number of an entry's link; 0, which no link has, where it goes by name or is not there.
    fn index(&self, entry: &Entry) -> u32 {
        match entry {
            Entry::LinkLocal(_, link) | Entry::Reports(_, link) if self.settings.by_index => {
                nix::net::if_::if_nametoindex(link.as_str()).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Blocks with the next [`Firewall::flush`].
    pub fn add(&mut self, entry: Entry) {
        let index = self.index(&entry);
        match self.entries.insert(entry.clone(), index) {
            Some(old) if old == index => return,
            // The link was made anew, with another number.
            Some(old) => self.queue.push((entry.clone(), old, false)),
            None => {}
        }
        self.queue.push((entry, index, true));
    }

    /// Frees with the next [`Firewall::flush`].
    pub fn remove(&mut self, entry: &Entry) {
        if let Some(index) = self.entries.remove(entry) {
            self.queue.push((entry.clone(), index, false));
        }
    }

    /// Hands what was asked for to the kernel. True: a socket was opened, its descriptor is to be watched.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.queue.is_empty() {
            return Ok(false);
        }
        // A thousand elements and their acknowledgements at a takeover.
        let opened = self.kernel.open(1usize << 20)?;
        let queue = std::mem::take(&mut self.queue);
        for chunk in queue.chunks(BATCH) {
            let mut messages = Vec::new();
            for (n, family) in FAMILIES.into_iter().enumerate() {
                let mut own = chunk.iter().filter(|(e, ..)| e.family() == family).peekable();
                if own.peek().is_none() {
                    continue;
                }
                if !std::mem::replace(&mut self.tables[n], true) {
                    messages.extend(build::table(family, &self.settings));
                }
                messages.extend(own.map(|(e, index, add)| (family, build::element(e, *index, *add, &self.settings))));
            }
            self.kernel.send(messages)?;
        }
        Ok(opened)
    }

    /// The name of the tables, where they have been made.
    pub fn table(&self) -> Option<&str> {
        self.tables.contains(&true).then_some(self.settings.table.as_str())
    }

    /// Removes tables of our name or of another, which an earlier daemon has left. True: a socket was opened, its descriptor is to be
    /// watched.
    pub fn discard(&mut self, other: Option<&str>) -> io::Result<bool> {
        let opened = self.kernel.open(1usize << 16)?;
        let mut settings = self.settings.clone();
        other.iter().for_each(|name| settings.table = name.to_string());
        let messages =
            FAMILIES.into_iter().flat_map(|family| build::no_table(&settings).into_iter().map(move |m| (family, m)));
        self.kernel.send(messages.collect())?;
        Ok(opened)
    }

    /// Removes what an earlier life may have blocked of an entry's family, once: it did so in a table of ours, which the first entry makes anew.
    /// True: a socket was opened, its descriptor is to be watched.
    pub fn clear(&mut self, entry: &Entry) -> io::Result<bool> {
        let at = |family: &Family| *family == entry.family();
        let Some(n) = FAMILIES.iter().position(at).filter(|n| !self.tables[*n] && !self.cleared[*n]) else {
            return Ok(false);
        };
        self.cleared[n] = true;
        let opened = self.kernel.open(1usize << 20)?;
        self.without([0, 1].map(|m| m == n))?;
        Ok(opened)
    }

    /// Puts everything there again, in one batch for each family: somebody took it away.
    pub fn restore(&mut self) -> io::Result<()> {
        let bare = self.make_anew()?;
        self.without(bare)
    }

    /// Makes the tables anew. The families come back that had one and have nothing to go into it any more.
    fn make_anew(&mut self) -> io::Result<[bool; 2]> {
        let made = std::mem::take(&mut self.tables);
        let entries = std::mem::take(&mut self.entries);
        self.queue.clear();
        entries.into_keys().for_each(|e| self.add(e));
        self.flush()?;
        Ok([0, 1].map(|n| made[n] && !self.tables[n]))
    }

    /// These families have no table afterwards, whether they had one or not.
    fn without(&mut self, families: [bool; 2]) -> io::Result<()> {
        let there = FAMILIES.into_iter().zip(families).filter(|(_, there)| *there).map(|(family, _)| family);
        let words = |family| build::no_table(&self.settings).into_iter().map(move |m| (family, m));
        let messages: Vec<_> = there.flat_map(words).collect();
        if messages.is_empty() { Ok(()) } else { self.kernel.send(messages) }
    }

    /// Other words of the configuration: the tables are made anew by them, those of another name go.
    pub fn configure(&mut self, settings: &Settings) -> io::Result<()> {
        if self.settings == *settings {
            return Ok(());
        }
        let old = std::mem::replace(&mut self.settings, settings.clone());
        let made = self.tables;
        let bare = self.make_anew()?;
        if old.table == self.settings.table {
            return self.without(bare);
        }
        let there = FAMILIES.into_iter().zip(made).filter(|(_, made)| *made);
        let messages: Vec<_> = there.map(|(family, _)| (family, build::remove_table(&old))).collect();
        if messages.is_empty() { Ok(()) } else { self.kernel.send(messages) }
    }

    /// Removes the tables of families that are not `wanted` and have nothing in theirs; the next entry makes its own anew.
    pub fn tidy(&mut self, wanted: impl Fn(Family) -> bool) -> io::Result<()> {
        let used: BTreeSet<Family> =
            self.entries.keys().chain(self.queue.iter().map(|(e, ..)| e)).map(Entry::family).collect();
        self.remove_tables(|family| !wanted(family) && !used.contains(&family))
    }

    /// Removes the tables.
    pub fn close(&mut self) -> io::Result<()> {
        self.entries.clear();
        self.queue.clear();
        self.remove_tables(|_| true)
    }

    fn remove_tables(&mut self, which: impl Fn(Family) -> bool) -> io::Result<()> {
        let mut messages = Vec::new();
        for (n, family) in FAMILIES.into_iter().enumerate() {
            if which(family) && std::mem::take(&mut self.tables[n]) {
                messages.push((family, build::remove_table(&self.settings)));
            }
        }
        if messages.is_empty() { Ok(()) } else { self.kernel.send(messages) }
    }

    /// Takes what the kernel says: errors of our batches, and changes by others. True: somebody took away what is ours.
    pub fn read(&mut self, failed: &mut Vec<i32>) -> io::Result<bool> {
        let lost = self.kernel.read(&self.settings.table, failed)?;
        if lost && self.entries.is_empty() {
            // There is nothing to put back, but the next entry needs a table again, and that of the other family is as good as gone.
            let made = std::mem::take(&mut self.tables);
            self.without(made)?;
        }
        Ok(lost && !self.entries.is_empty())
    }
}
