//! What a life of this role leaves in the kernel: services, marks of groups, the daemon that copies connections. The parent keeps it
//! for a successor, a record for the case that the parent dies, too; where nobody comes, a short-lived process takes it away.

use super::balancer::{Balancer, NO_BALANCER};
use super::limits::Limits;
use super::marks::{self, Groups};
use super::translate;
use crate::record::{self, place};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use steadfast_config::Config;
use steadfast_core::ipvs::{Protocol, ServiceKey};
use steadfast_ipc::{Message, decode, encode};
use steadfast_sys::{now, schedule};

/// Begins the keys of services that are kept: a name cannot have a line break.
const SERVICE: &str = "\nours";
/// The key of the synchronisation daemon.
const SYNC: &str = "\nsync";
/// That of the time limits which were there before ours.
const LIMITS: &str = "\nlimits";

/// Kept since the tables of a configuration were all there once: no state, and as true after a death as before.
pub const WHOLE: &str = "\tplaced";

#[derive(Serialize, Deserialize)]
struct Content {
    place: String,
    /// The file of that namespace, where the configuration named it.
    #[serde(default)]
    namespace: Option<String>,
    services: BTreeSet<ServiceKey>,
    /// A synchronisation daemon is ours.
    #[serde(default)]
    sync: bool,
    /// Time limits that the kernel had before ours.
    #[serde(default)]
    limits: Option<Limits>,
    /// Name of the tables that set marks.
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    marks: Vec<((String, Protocol), u32)>,
}

impl record::Content for Content {
    fn place(&self) -> &str {
        &self.place
    }
}

/// What earlier lives have left.
#[derive(Default)]
pub struct Left {
    /// Services of ours.
    pub services: BTreeSet<ServiceKey>,
    /// A synchronisation daemon is ours.
    pub sync: bool,
    /// Time limits that the kernel had before ours.
    pub limits: Option<Limits>,
    /// Marks of groups.
    pub groups: Groups,
    /// A life of this daemon left it, not an earlier daemon.
    pub handed: bool,
    /// The tables were whole once: who is not in them is down.
    pub whole: bool,
    /// Keys as an older program made them: the parent is to forget them, as what they stood for is kept anew.
    pub stale: Vec<String>,
}

fn service_key(service: &ServiceKey) -> String {
    format!("{SERVICE} {}", service.exact())
}

impl Left {
    /// Takes what the parent kept; false if this is of something else.
    pub fn adopt(&mut self, key: &str, bytes: &[u8]) -> bool {
        if key.starts_with(SERVICE) {
            let service = decode::<ServiceKey>(bytes).ok();
            self.stale.extend(service.filter(|s| service_key(s) != key).map(|_| key.to_string()));
            self.services.extend(service);
        } else if key == WHOLE {
            self.whole = true;
            return true;
        } else if key == SYNC {
            self.sync = true;
        } else if key == LIMITS {
            self.limits = decode(bytes).ok();
        } else if key.starts_with(marks::KEPT) {
            self.groups.adopt(key, bytes);
        } else {
            return false;
        }
        self.handed = true;
        true
    }

    /// Takes what an earlier daemon wrote down.
    fn take(&mut self, c: Content) {
        self.services.extend(c.services);
        self.sync |= c.sync;
        // The first one knows what was there before any of ours.
        self.limits = c.limits.or(self.limits);
        self.groups.inherit(c.table, c.marks.into_iter().collect());
    }

    /// Takes it out of the kernel. False: something of it may still be there.
    pub fn withdraw(mut self, config: &Config) -> bool {
        let buffer = crate::vrrp::plan_of(config).checker_buffers.command;
        let ours = self.services.len();
        let mut balancer = Balancer::open(self.services, self.sync, self.limits, buffer);
        // Where there is no load balancer there is nothing of ours either.
        if let Some(why) = balancer.trouble().filter(|why| *why != NO_BALANCER && (ours > 0 || self.sync)) {
            log::warn!("IPVS: {why}; services of ours that cannot be taken away: {ours}");
        }
        balancer.configure(translate::balancer(config), false);
        let all = balancer.stop(false);
        self.groups.flush();
        self.groups.close();
        self.groups.readable(now());
        all
    }
}

/// Network namespaces are where this process finds them.
const OWN_NAMESPACE: &str = "/proc/self/ns/net";

/// The file of a namespace of the configuration.
fn namespace_file(name: &str) -> String {
    if name.is_empty() { "/proc/1/ns/net".into() } else { format!("/run/netns/{name}") }
}

fn enter(path: &str) -> io::Result<()> {
    schedule::enter_namespace_at(path)
        .map_err(|e| io::Error::new(e.kind(), format!("cannot enter network namespace {path}: {e}")))
}

/// Enters the namespace of the balancer, where it is another one. `record`: what an earlier daemon wrote down of yet another one, as its
/// configuration had another name or none, is taken away there.
pub fn enter_namespace(name: Option<&str>, record: Option<&Path>) -> io::Result<()> {
    let home = File::open(OWN_NAMESPACE)?;
    if let Some(name) = name {
        enter(&namespace_file(name))?;
    }
    let Some((path, content)) = record.and_then(|p| Some((p, record::elsewhere::<Content>(p)?))) else {
        return Ok(());
    };
    let here = File::open(OWN_NAMESPACE)?;
    let entered = match &content.namespace {
        Some(file) => enter(file),
        None => schedule::enter_namespace_of(&home),
    };
    match entered {
        Ok(()) if place() == content.place => {
            let what = content.namespace.as_deref().unwrap_or("this daemon's own");
            log::info!("what an earlier run left in another network namespace ({what}) is removed");
            let mut left = Left::default();
            left.take(content);
            left.withdraw(&Config::default());
            record::remove(path);
        }
        // Of another one nobody knows where it is.
        Ok(()) => {}
        Err(e) => log::warn!("{e}"),
    }
    schedule::enter_namespace_of(&here)
}

/// The record.
pub struct Record {
    path: Option<PathBuf>,
    place: String,
    namespace: Option<String>,
}

impl Record {
    /// The record at a path, of the namespace of this name. `left` gets what an earlier daemon wrote into it.
    pub fn open(path: Option<PathBuf>, namespace: Option<&str>, left: &mut Left) -> Self {
        if let Some(c) = path.as_deref().and_then(record::read::<Content>) {
            left.take(c);
        }
        Record { path, place: place(), namespace: namespace.map(namespace_file) }
    }

    /// What has changed since the last call, for the parent to keep; it is written down, too. To be called before the kernel is told.
    pub fn news(&mut self, balancer: &mut Balancer, groups: &mut Groups) -> Vec<Message> {
        let mut all: Vec<Message> =
            groups.news().into_iter().map(|(key, bytes)| Message::Keep { key, bytes }).collect();
        let kept = |there: bool, bytes: Vec<u8>| if there { bytes } else { Vec::new() };
        for (service, there) in balancer.news() {
            let bytes = kept(there, encode(&service).unwrap_or_default());
            all.push(Message::Keep { key: service_key(&service), bytes });
        }
        if let Some(runs) = balancer.sync_news() {
            all.push(Message::Keep { key: SYNC.into(), bytes: kept(runs, vec![1]) });
        }
        if let Some(found) = balancer.limits_news() {
            let bytes = found.and_then(|f| encode(&f).ok()).unwrap_or_default();
            all.push(Message::Keep { key: LIMITS.into(), bytes });
        }
        if let Some(path) = self.path.as_deref().filter(|_| !all.is_empty()) {
            let (table, marks) = groups.recorded();
            let marks = marks.iter().map(|(group, mark)| (group.clone(), *mark)).collect();
            let (services, sync, limits) = balancer.recorded();
            let (place, namespace) = (self.place.clone(), self.namespace.clone());
            record::write(path, &Content { place, namespace, services, sync, limits, table, marks });
        }
        all
    }

    /// Everything is taken away: there is nothing to say.
    pub fn remove(&mut self) {
        if let Some(path) = self.path.take() {
            record::remove(&path);
        }
    }
}
