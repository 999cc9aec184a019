//! nftables_ipvs: one mark and one IPVS service for each group and protocol, and the tables that set the marks. A group that has
//! marks of its own stays as it is written, as with keepalived.

use super::translate::protocol;
use crate::repair::{Repair, refused};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::os::fd::RawFd;
use steadfast_config::model::{Config, Served, ServerGroup};
use steadfast_core::ipvs::Protocol;
use steadfast_core::{Family, Time};
use steadfast_ipc::{decode, encode};
use steadfast_net::nft::{Mark, MarkSettings, Marks, disjoint};

/// Which mark stands for a group.
pub type Assigned = BTreeMap<(String, Protocol), u32>;

/// Begins the keys of what is kept: marks, and the name of the tables.
pub const KEPT: &str = "\nmark";
const TABLE: &str = "\nmarks of table";

/// Groups' marks.
#[derive(Default)]
pub struct Groups {
    nft: Marks,
    /// Marks of groups, which a reload leaves as they are: a mark that changes is another service to the kernel.
    pub assigned: Assigned,
    settings: MarkSettings,
    marks: BTreeSet<Mark>,
    changed: bool,
    /// What the parent keeps, and whether it may have changed.
    kept: BTreeMap<String, Vec<u8>>,
    untold: bool,
    /// Tables that a predecessor made under a name that is not ours.
    foreign: Option<String>,
    repair: Repair,
}

impl Groups {
    /// Takes over what a predecessor left.
    pub fn adopt(&mut self, key: &str, bytes: &[u8]) {
        if key == TABLE {
            self.foreign = decode(bytes).ok();
        } else if let Ok((group, mark)) = decode(bytes) {
            self.assigned.insert(group, mark);
        }
        self.kept.insert(key.into(), bytes.into());
        self.untold = true;
    }

    /// Takes over what an earlier daemon wrote down.
    pub fn inherit(&mut self, table: Option<String>, assigned: Assigned) {
        self.foreign = self.foreign.take().or(table);
        for (group, mark) in assigned {
            self.assigned.entry(group).or_insert(mark);
        }
    }

    /// What is to be written down: the name of the tables, and marks.
    pub fn recorded(&self) -> (Option<String>, &Assigned) {
        ((!self.marks.is_empty()).then(|| self.settings.table.clone()), &self.assigned)
    }

    /// What was configured.
    #[cfg(test)]
    pub fn configured(&self) -> (&MarkSettings, &BTreeSet<Mark>) {
        (&self.settings, &self.marks)
    }

    /// What the file wants.
    pub fn configure(&mut self, c: &Config) {
        self.untold = true;
        let g = &c.globals;
        let table = g.nftables_ipvs.as_ref().map(|t| if t.is_empty() { "keepalived_ipvs" } else { t.as_str() });
        let start = g.nftables_ipvs_start_fwmark.unwrap_or(1000);
        let before = std::mem::take(&mut self.assigned);
        let groups: HashMap<&str, &ServerGroup> =
            c.server_groups.iter().rev().filter(|g| g.marks.is_empty()).map(|g| (g.name.as_str(), g)).collect();
        let mut met: HashSet<(&str, Protocol)> = HashSet::new();
        let mut wanted: Vec<(&ServerGroup, Protocol)> = Vec::new();
        for v in c.virtual_servers.iter().filter(|_| table.is_some()) {
            if let Served::Group(name) = &v.served
                && let Some(group) = groups.get(name.as_str()).copied()
                && met.insert((name, protocol(v)))
            {
                wanted.push((group, protocol(v)));
            }
        }
        let mut taken: BTreeSet<u32> = c.server_groups.iter().flat_map(|g| g.marks.iter().map(|m| m.0)).collect();
        taken.extend(
            c.virtual_servers.iter().filter_map(|v| if let Served::Mark(m) = v.served { Some(m) } else { None }),
        );
        for (group, protocol) in &wanted {
            let key = (group.name.clone(), *protocol);
            if let Some(mark) = before.get(&key).filter(|m| **m >= start && taken.insert(**m)) {
                self.assigned.insert(key, *mark);
            }
        }
        let mut next = start;
        let mut all = Vec::new();
        for (group, protocol) in wanted {
            let mark = *self.assigned.entry((group.name.clone(), protocol)).or_insert_with(|| {
                while !taken.insert(next) {
                    next = next.checked_add(1).unwrap_or(1);
                }
                next
            });
            all.extend(group.ranges.iter().map(|(first, last, port)| Mark {
                first: *first,
                last: *last,
                protocol,
                port: *port,
                mark,
            }));
        }
        let (marks, lost) = disjoint(&all);
        for m in lost.iter().take(10) {
            let what = if m.first == m.last { m.first.to_string() } else { format!("{}-{}", m.first, m.last) };
            log::warn!("virtual_server_group: {what} {} {} is in another group already", m.protocol.word(), m.port);
        }
        self.changed |= marks != self.marks;
        self.marks = marks;
        if let Some(table) = table {
            let settings = MarkSettings {
                table: table.to_string(),
                priority: g.nftables_ipvs_priority.unwrap_or(-1),
                counters: g.nftables_counters,
            };
            self.changed |= settings != self.settings;
            self.settings = settings;
        }
    }

    /// What the parent is to keep since the last call; no bytes: no more.
    pub fn news(&mut self) -> Vec<(String, Vec<u8>)> {
        if !std::mem::take(&mut self.untold) {
            return Vec::new();
        }
        let mut now = BTreeMap::new();
        for (n, one) in self.assigned.iter().enumerate() {
            now.insert(format!("{KEPT} {n}"), encode(&one).unwrap_or_default());
        }
        if !self.marks.is_empty() {
            now.insert(TABLE.into(), encode(&self.settings.table).unwrap_or_default());
        }
        let gone = self.kept.keys().filter(|k| !now.contains_key(*k)).map(|k| (k.clone(), Vec::new()));
        let new = now.iter().filter(|(k, b)| self.kept.get(*k) != Some(b)).map(|(k, b)| (k.clone(), b.clone()));
        let all = new.chain(gone).collect();
        self.kept = now;
        all
    }

    /// Brings the kernel to what is wanted. A socket that is to be watched comes back.
    pub fn flush(&mut self) -> Option<RawFd> {
        let watched = self.nft.fd().is_some();
        let mut done = Ok(());
        if let Some(name) = self.foreign.take() {
            // Those of our name are made anew in the families that have marks.
            let own = |f: &Family| name == self.settings.table && self.marks.iter().any(|m| Family::of(m.first) == *f);
            let gone: Vec<Family> = [Family::V4, Family::V6].into_iter().filter(|f| !own(f)).collect();
            if !gone.is_empty() {
                done = self.nft.remove_foreign(&name, &gone);
            }
        }
        if std::mem::take(&mut self.changed) {
            done = done.and(self.nft.set(&self.settings, self.marks.clone()));
        }
        if let Err(e) = done {
            log::error!("nftables: {e}; packets to virtual_server_groups are not marked");
        }
        self.nft.fd().filter(|_| !watched)
    }

    /// What the socket says.
    pub fn readable(&mut self, t: Time) {
        let mut failed = Vec::new();
        match self.nft.read(&mut failed) {
            Ok(true) if self.repair.due(t) => {
                if let Err(e) = self.nft.restore() {
                    log::error!("nftables: {e}");
                }
            }
            Ok(_) => {}
            Err(e) => log::error!("nftables: {e}"),
        }
        refused(failed);
    }

    /// Puts back what was not put back at once, since somebody removes it again and again. To be called once a second.
    pub fn repair(&mut self, t: Time) {
        if self.repair.overdue(t)
            && let Err(e) = self.nft.restore()
        {
            log::error!("nftables: {e}");
        }
    }

    /// The end.
    pub fn close(&mut self) {
        let foreign =
            self.foreign.take().map_or(Ok(()), |name| self.nft.remove_foreign(&name, &[Family::V4, Family::V6]));
        if let Err(e) = foreign.and(self.nft.close()) {
            log::warn!("nftables: cannot remove the tables: {e}");
        }
    }
}
