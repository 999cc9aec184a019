//! The kernel's table, as the pool wants it.

use std::collections::{BTreeSet, HashMap};
use std::io;
use steadfast_checkers::{Slot, Table as Wanted};
use steadfast_core::ipvs::ServiceKey;
use steadfast_ipvs::Table;
use steadfast_net::ipvs::Ipvs;

/// The kernel's load balancer, or the lack of it.
pub struct Balancer {
    ipvs: Option<Ipvs>,
    kernel: Table,
    wanted: HashMap<Slot, Wanted>,
    /// Services that we put there, also those that are wanted no more.
    ours: BTreeSet<ServiceKey>,
    changed: bool,
    /// What the parent keeps of `ours`.
    kept: BTreeSet<ServiceKey>,
}

impl Balancer {
    /// Connects and reads what there is. Without IPVS checks go on all the same. `ours` is what a predecessor put there.
    pub fn open(ours: BTreeSet<ServiceKey>) -> Self {
        let mut b = Balancer {
            ipvs: None,
            kernel: Table::new(),
            wanted: HashMap::new(),
            changed: !ours.is_empty(),
            kept: ours.clone(),
            ours,
        };
        match Ipvs::open() {
            Ok(mut ipvs) => match ipvs.table() {
                Ok(table) => {
                    b.kernel = table;
                    b.ipvs = Some(ipvs);
                }
                Err(e) => log::error!("IPVS: cannot read the kernel's table: {e}"),
            },
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                log::error!(
                    "IPVS: this kernel has no load balancer (module ip_vs); servers are checked, nothing is balanced"
                );
            }
            Err(e) => log::error!("IPVS: {e}; servers are checked, nothing is balanced"),
        }
        b
    }

    /// The table of a virtual server changed.
    pub fn want(&mut self, slot: Slot, table: Wanted) {
        self.ours.extend(table.keys.iter().copied());
        self.wanted.insert(slot, table);
        self.changed = true;
    }

    /// A virtual server is gone.
    pub fn gone(&mut self, slot: Slot) {
        self.wanted.remove(&slot);
        self.changed = true;
    }

    /// Services that are ours since the last call (true), or are not any more.
    pub fn news(&mut self) -> Vec<(ServiceKey, bool)> {
        let new = self.ours.difference(&self.kept).map(|k| (*k, true));
        let all: Vec<_> = new.chain(self.kept.difference(&self.ours).map(|k| (*k, false))).collect();
        self.kept.clone_from(&self.ours);
        all
    }

    /// Reads the kernel's table anew: somebody else may have changed it.
    pub fn audit(&mut self) {
        let Some(ipvs) = &mut self.ipvs else { return };
        match ipvs.table() {
            Ok(table) => {
                self.kernel = table;
                self.changed = true;
            }
            Err(e) => log::error!("IPVS: cannot read the kernel's table: {e}"),
        }
    }

    /// Brings the kernel to what is wanted.
    pub fn flush(&mut self) {
        let Some(ipvs) = self.ipvs.as_mut().filter(|_| self.changed) else { return };
        self.changed = false;
        let mut all = Table::new();
        for w in self.wanted.values() {
            for key in &w.keys {
                all.insert(*key, w.service.clone(), w.destinations.iter().copied());
            }
        }
        for (step, e) in ipvs.apply(&mut self.kernel, &all, &self.ours) {
            log::error!("IPVS: the kernel refused {step:?}: {e}");
        }
        self.ours.retain(|k| all.get(k).is_some());
    }
}
