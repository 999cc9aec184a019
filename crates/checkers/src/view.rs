//! The pool as seen from outside.

use crate::health::{server_name, slot};
use crate::pool::{Key, Pool};
use crate::{Check, RealServer, Slot, VirtualServer};
use std::time::Duration;
use steadfast_core::Time;

/// A virtual server as seen from outside.
#[derive(Clone, Debug)]
pub struct ServiceView<'a> {
    /// Its slot.
    pub slot: Slot,
    /// Its configuration.
    pub config: &'a VirtualServer,
    /// Its name in logs.
    pub name: &'a str,
    /// It has its quorum.
    pub quorum: bool,
    /// For how long it has, or has not; a restart begins anew.
    pub since: Option<Duration>,
    /// Failed servers are kept in service.
    pub panic: bool,
    /// Its checks run.
    pub active: bool,
    /// Weight of its live servers.
    pub live_weight: u64,
    /// Weight below which it loses its quorum; where it has none, the one with which it gains it.
    pub needed: u64,
    /// The sorry server's name, and whether it serves.
    pub sorry: Option<(String, bool)>,
    /// Servers that left the file and drain, by name, and for how long still.
    pub leaving: Vec<(String, Duration)>,
    /// Its real servers.
    pub servers: Vec<ServerView<'a>>,
}

/// A real server as seen from outside.
#[derive(Clone, Debug)]
pub struct ServerView<'a> {
    /// Its configuration, but for the checks.
    pub config: &'a RealServer,
    /// Its name in logs.
    pub name: &'a str,
    /// It is up.
    pub up: bool,
    /// For how long it has been, or has not been; a restart begins anew.
    pub since: Option<Duration>,
    /// Drained by the operator.
    pub drained: bool,
    /// For how long, where that is known.
    pub drained_for: Option<Duration>,
    /// Weight, but for a slow start.
    pub weight: u32,
    /// Weight within a slow start.
    pub rising: Option<u32>,
    /// An agent wants it to get no new connections.
    pub agent_drains: bool,
    /// Its checks.
    pub checks: Vec<CheckView<'a>>,
}

/// A check as seen from outside.
#[derive(Clone, Debug)]
pub struct CheckView<'a> {
    /// Its configuration.
    pub check: &'a Check,
    /// It has nothing against its server being used.
    pub good: bool,
    /// Nobody has asked it since the reload that brought its words: it counts as its servers did before.
    pub borrowed: bool,
    /// Why the last try failed.
    pub reason: Option<String>,
    /// How long the last try took.
    pub took: Option<Duration>,
    /// How long ago it ended.
    pub ago: Option<Duration>,
    /// What its program wrote last.
    pub said: &'a str,
    /// While it is good: failed tries in a row, and how many take it down. No agent, whose word counts at once, has them.
    pub failed: Option<(u32, u32)>,
    /// While it is not: good rounds in a row, and how many bring it up.
    pub risen: Option<(u32, u32)>,
    /// In how long it asks again; `None`: it is asking, or does not ask.
    pub next: Option<Duration>,
}

impl Pool {
    /// Which virtual servers there are, in order of the configuration, and whether each has its quorum.
    pub fn quorums(&self) -> impl Iterator<Item = (&crate::ServiceId, bool)> {
        self.order.iter().filter_map(|s| self.service(*s)).map(|v| (&v.config.id, v.quorum))
    }

    /// All virtual servers, in order of the configuration.
    pub fn services(&self) -> Vec<ServiceView<'_>> {
        self.services_at(Time::FAR)
    }

    /// The same with the weights of slow starts at `now`.
    pub fn services_at(&self, now: Time) -> Vec<ServiceView<'_>> {
        self.order.iter().filter_map(|s| self.view(*s, now)).collect()
    }

    fn view(&self, s: u32, now: Time) -> Option<ServiceView<'_>> {
        let v = self.service(s)?;
        let ago = |tenths: u32| (tenths > 0).then(|| now.since(Time::from_nanos(u64::from(tenths) * 100_000_000)));
        let next = |c: &u32| self.timers.get(Key::Next(*c)).map(|at| at.since(now));
        let servers = v.servers.iter().map(|r| ServerView {
            config: &r.config,
            name: &r.name,
            up: r.up,
            since: ago(r.since),
            drained: r.drained,
            drained_for: ago(r.drained_since),
            weight: r.weight,
            rising: r.recovering.map(|_| r.ramped(now)).filter(|w| *w < r.weight),
            agent_drains: r.advices(&self.checkers).any(|c| c.state.advice.drain),
            checks: (r.checks.iter())
                .filter_map(|place| Some((place, self.checkers.get(*place as usize)?.as_ref()?)))
                .map(|(place, c)| CheckView {
                    check: &c.check,
                    good: c.works(),
                    reason: c.reason.as_ref().map(ToString::to_string),
                    borrowed: c.borrowed,
                    took: (c.took > 0).then(|| Duration::from_micros(c.took.into())),
                    ago: ago(c.ended),
                    said: &c.said,
                    failed: c.failed(),
                    risen: c.risen(),
                    next: next(place),
                })
                .collect(),
        });
        Some(ServiceView {
            slot: slot(s),
            config: &v.config,
            name: &v.name,
            quorum: v.quorum,
            since: ago(v.since),
            panic: v.panic,
            active: v.active,
            live_weight: v.live(),
            needed: v.needed(),
            sorry: v.config.sorry.as_ref().map(|x| (server_name(&v.config, x.address, x.port), v.sorry_serves())),
            leaving: (v.leaving.iter())
                .map(|(k, _, until)| (server_name(&v.config, k.address, k.port), until.since(now)))
                .collect(),
            servers: servers.collect(),
        })
    }
}
