//! What a life hands to the next one.

use crate::checker::{Checker, User};
use crate::pool::Pool;
use crate::{CheckState, Output, ServiceId, Snapshot};
use std::collections::HashMap;
use steadfast_core::Time;
use steadfast_core::ipvs::{Destination, DestinationKey};

/// State of a server handed over by a former life.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inherited {
    pub up: bool,
    pub seen_up: bool,
    pub drained: bool,
    pub recovering: Option<Time>,
    pub since: u32,
    pub drained_since: u32,
}

/// A server that left the file: how it is in the table, and until when.
pub(crate) type Leaver = (DestinationKey, Destination, Time);

/// State handed over by a former life, by object.
#[derive(Debug, Default)]
pub(crate) struct Heritage {
    /// Whether there is one, and since when.
    pub quorums: HashMap<ServiceId, (bool, u32)>,
    pub servers: HashMap<(ServiceId, DestinationKey), Inherited>,
    pub checks: HashMap<u64, CheckState>,
    pub reasons: HashMap<u64, String>,
    pub leaving: HashMap<ServiceId, Vec<Leaver>>,
}

impl Heritage {
    /// What is in these.
    pub fn new(snapshots: &[Snapshot]) -> Heritage {
        let mut h = Heritage::default();
        for snapshot in snapshots {
            match snapshot {
                Snapshot::Service { id, quorum, since } => {
                    h.quorums.insert(id.clone(), (*quorum, *since));
                }
                Snapshot::Server {
                    service,
                    server,
                    up,
                    seen_up,
                    drained,
                    recovering,
                    checks,
                    since,
                    drained_since,
                } => {
                    let (up, seen_up, drained, recovering) = (*up, *seen_up, *drained, *recovering);
                    let state =
                        Inherited { up, seen_up, drained, recovering, since: *since, drained_since: *drained_since };
                    h.servers.insert((service.clone(), *server), state);
                    h.checks.extend(checks.iter().map(|c| (c.fingerprint, *c)));
                }
                Snapshot::Reason { check, text } => drop(h.reasons.insert(*check, text.clone())),
                Snapshot::Leaving { service, server, destination, until } => {
                    h.leaving.entry(service.clone()).or_default().push((*server, *destination, *until));
                }
            }
        }
        h
    }
}

impl Pool {
    /// What a former life had and the configuration has not any more is kept no longer.
    pub(crate) fn forget_rest(&mut self, out: &mut Vec<Output>) {
        let Heritage { mut quorums, mut servers, mut reasons, leaving, .. } = std::mem::take(&mut self.heritage);
        for v in self.services.iter().flatten() {
            quorums.remove(&v.config.id);
            for r in &v.servers {
                servers.remove(&(v.config.id.clone(), r.key()));
            }
        }
        for c in self.checkers.iter().flatten().filter(|c| !c.works()) {
            reasons.remove(&c.state.fingerprint);
        }
        out.extend(quorums.keys().map(|id| Output::Forget(Snapshot::service_key(id))));
        out.extend(servers.keys().map(|(id, server)| Output::Forget(Snapshot::server_key(id, server))));
        // what a virtual server of the file had is with it by now
        let left = leaving.iter().flat_map(|(id, all)| all.iter().map(move |(server, ..)| (id, server)));
        out.extend(left.map(|(id, server)| Output::Forget(Snapshot::leaving_key(id, server))));
        out.extend(reasons.keys().map(|check| Output::Forget(Snapshot::reason_key(*check))));
    }

    pub(crate) fn keep_all(&mut self) {
        for s in &self.order {
            let servers = self.services.get(*s as usize).and_then(Option::as_ref).map_or(0, |v| v.servers.len());
            self.keep.extend((0..servers as u32).map(|i| (*s, i)));
        }
    }

    pub(crate) fn server_snapshot(&self, (s, i): User) -> Option<Snapshot> {
        let v = self.service(s)?;
        let real = v.servers.get(i as usize)?;
        let checks = real.checks.iter().filter_map(|c| Some(self.checkers.get(*c as usize)?.as_ref()?.state)).collect();
        Some(Snapshot::Server {
            service: v.config.id.clone(),
            server: real.key(),
            up: real.up,
            seen_up: real.seen_up,
            drained: real.drained,
            recovering: real.recovering,
            checks,
            since: real.since,
            drained_since: real.drained_since,
        })
    }

    /// The state of everything, for a successor.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let down = self.checkers.iter().flatten().filter(|c| !c.works());
        let mut all: Vec<Snapshot> = down.map(Checker::kept_reason).collect();
        for s in &self.order {
            let Some(v) = self.service(*s) else { continue };
            all.push(Snapshot::Service { id: v.config.id.clone(), quorum: v.quorum, since: v.since });
            all.extend(v.leaving.iter().map(|(server, destination, until)| Snapshot::Leaving {
                service: v.config.id.clone(),
                server: *server,
                destination: *destination,
                until: *until,
            }));
            all.extend((0..v.servers.len()).filter_map(|i| self.server_snapshot((*s, i as u32))));
        }
        all
    }
}
