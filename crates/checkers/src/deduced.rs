//! What the kernel's tables say of the verdicts of former lives, where their own words are lost: a life that ended right after it had
//! been handed them may have been ended by them, and they are not handed over again.

use crate::reload::keys;
use crate::{CheckKind, Config, Snapshot, VirtualServer};
use std::collections::{BTreeMap, HashMap};
use steadfast_core::ipvs::{Destination, DestinationKey, ServiceKey};

/// Destinations of a service.
pub type Destinations = BTreeMap<DestinationKey, Destination>;

/// What there is to hand over by the tables alone: who is not in them was down, and is until his first probe says otherwise. Nothing of
/// virtual servers that have none; where several services stand for one, the first that is there speaks for it.
pub fn deduced<'a>(config: &Config, table: impl Fn(&ServiceKey) -> Option<&'a Destinations>) -> Vec<Snapshot> {
    let groups: HashMap<&str, _> = config.groups.iter().map(|g| (g.name.as_str(), g)).collect();
    let mut all = Vec::new();
    for v in &config.services {
        let services = keys(v, &groups).map(|(keys, _)| keys).unwrap_or_default();
        let present: Vec<_> = services.iter().filter_map(|key| Some((key, table(key)?))).collect();
        if !present.is_empty() {
            of_service(v, &present, &mut all);
        }
    }
    all
}

fn of_service(v: &VirtualServer, present: &[(&ServiceKey, &Destinations)], all: &mut Vec<Snapshot>) {
    let found = |key, forward| {
        // A service of the other family does not have it.
        let (service, table) = present.iter().find(|(s, _)| s.takes(key, forward)).or(present.first()).copied()?;
        table.get(&service.place(key, forward)).copied()
    };
    let mut live = 0;
    for r in &v.servers {
        let server = DestinationKey { address: r.address, port: r.port };
        let weight = found(server, r.forward).map(|d| d.weight);
        // Of one that is to stay with weight 0 while it is down nobody can tell whether it is.
        // Whoever has no checks never is; he is not there because the sorry server serves.
        let up = r.checks.is_empty() || weight.is_some_and(|w| w > 0 || !r.inhibit || r.weight == 0);
        // A part of its weight is the kernel's while it comes back slowly; for the quorum it counts with the whole.
        live += match weight {
            Some(w) if up && w > 0 && !r.slow_start.is_zero() => u64::from(w.max(r.weight)),
            Some(w) if up => u64::from(w),
            None if up => u64::from(r.weight),
            _ => 0,
        };
        all.push(Snapshot::Server {
            service: v.id.clone(),
            server,
            up,
            // Without alpha everybody has begun by being up, and whoever is not has failed.
            seen_up: up || r.checks.iter().all(|c| !c.timing.alpha),
            drained: up && weight == Some(0) && r.weight > 0 && !r.checks.iter().any(|c| weighs(&c.kind)),
            recovering: None,
            checks: Vec::new(),
            drained_since: 0,
            since: 0,
        });
    }
    let sorry = v.sorry.as_ref().and_then(|s| found(DestinationKey { address: s.address, port: s.port }, s.forward));
    let least = u64::from(v.quorum.max(1)).saturating_sub(u64::from(v.hysteresis)).max(1);
    let quorum = live >= least && sorry.is_none_or(|d| d.weight == 0);
    all.push(Snapshot::Service { id: v.id.clone(), quorum, since: 0 });
}

/// It may have made a weight 0 that the file has otherwise.
fn weighs(kind: &CheckKind) -> bool {
    matches!(kind, CheckKind::Agent { .. } | CheckKind::File { .. } | CheckKind::Misc { dynamic: true, .. })
}
