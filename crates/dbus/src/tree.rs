//! The objects.

use crate::{INSTANCE, PROPERTIES, ROOT, VRRP};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use steadfast_core::{Family, State};

/// What an instance is said to be. The numbers are keepalived's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// A state of VRRP.
    In(State),
    /// A reload took it out of the configuration (`notify_deleted`).
    Deleted,
    /// The daemon stops.
    Stopped,
}

impl Status {
    /// The number in signals and in the first half of the property.
    pub const fn number(self) -> u32 {
        match self {
            Status::In(state) => state.number() as u32,
            Status::Deleted => 97,
            Status::Stopped => 98,
        }
    }

    /// The word in the second half of the property.
    pub const fn word(self) -> &'static str {
        match self {
            Status::In(State::Init) => "Init",
            Status::In(State::Backup) => "Backup",
            Status::In(State::Master) => "Master",
            Status::In(State::Fault) => "Fault",
            Status::Deleted => "Deleted",
            Status::Stopped => "Stop",
        }
    }
}

/// What a path is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Router {
    /// Name of the instance.
    pub name: String,
    /// Its interface, or what stands for it.
    pub interface: String,
    /// Virtual router id.
    pub vrid: u8,
    /// Family of its adverts.
    pub family: Family,
    /// When a reload takes it out, that is told as it is, and not as a fault.
    pub notify_deleted: bool,
}

/// What [`Tree::replace`] has done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Replaced {
    /// To be said of those that are gone.
    pub gone: Vec<Signal>,
    /// To be said of those that are new.
    pub new: Vec<Signal>,
    /// Names of those that are not shown, because another one has their path.
    pub hidden: Vec<String>,
}

/// What a signal carries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// Nothing.
    Nothing,
    /// `u`: the number of a status.
    Number(u32),
    /// `sa{sv}as`: the property State of an instance has this value now.
    State(Status),
}

/// Something to be said to everybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signal {
    /// Object.
    pub path: String,
    /// Interface.
    pub interface: &'static str,
    /// Name.
    pub member: &'static str,
    /// Arguments.
    pub body: Body,
}

/// One instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Object {
    pub name: String,
    /// Absent until it is known.
    pub status: Option<Status>,
    notify_deleted: bool,
}

/// All objects of a daemon.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    base: String,
    objects: BTreeMap<String, Object>,
    /// Paths by name.
    names: BTreeMap<String, String>,
    /// What was told of names that are not there yet: news may come before the configuration that explains it.
    early: BTreeMap<String, Status>,
    /// Names that the last reload took out. What is told of them is no news any more.
    gone: BTreeSet<String>,
}

/// Names of which something is kept although they are not there, at most.
const EARLY: usize = 1000;

/// Text as an element of a path: what is neither letter nor digit becomes `_`.
fn element(text: &str) -> String {
    if text.is_empty() {
        return "_".into();
    }
    text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

impl Tree {
    /// Without instances. A daemon has a network namespace and a name where the configuration says so.
    pub fn new(namespace: Option<&str>, instance: Option<&str>) -> Self {
        let mut base = ROOT.to_string();
        for part in [namespace, instance].into_iter().flatten().filter(|p| !p.is_empty()) {
            // Writing to a string cannot fail.
            let _ = write!(base, "/{}", element(part));
        }
        Tree { base, ..Tree::default() }
    }

    /// How many instances there are.
    pub fn instances(&self) -> usize {
        self.objects.len()
    }

    /// The path of the daemon's object.
    pub fn vrrp(&self) -> String {
        format!("{}/Vrrp", self.base)
    }

    /// The path of an instance.
    pub fn path(&self, r: &Router) -> String {
        let family = if r.family == Family::V6 { "IPv6" } else { "IPv4" };
        format!("{}/Instance/{}/{}/{family}", self.base, element(&r.interface), r.vrid)
    }

    /// All paths of objects.
    pub(crate) fn paths(&self) -> impl Iterator<Item = String> {
        self.objects.keys().cloned().chain([self.vrrp()])
    }

    pub(crate) fn instance(&self, path: &str) -> Option<&Object> {
        self.objects.get(path)
    }

    /// These are the instances from now on; those that were there before keep their status.
    pub fn replace(&mut self, routers: &[Router]) -> Replaced {
        let mut before = std::mem::take(&mut self.objects);
        self.names.clear();
        let mut early = std::mem::take(&mut self.early);
        let mut done = Replaced::default();
        for r in routers {
            let path = self.path(r);
            if self.objects.contains_key(&path) {
                done.hidden.push(r.name.clone());
                continue;
            }
            let same = before.get(&path).is_some_and(|o| o.name == r.name);
            let known = if same { before.remove(&path).and_then(|o| o.status) } else { None };
            let status = early.remove(&r.name).or(known);
            let object = Object { name: r.name.clone(), status, notify_deleted: r.notify_deleted };
            if object.status != known {
                done.new.extend(object.status.iter().flat_map(|s| changed(&path, *s)));
            }
            self.names.insert(r.name.clone(), path.clone());
            self.objects.insert(path, object);
        }
        self.gone = before.values().map(|o| o.name.clone()).filter(|name| !self.names.contains_key(name)).collect();
        for (path, object) in before {
            let end = if object.notify_deleted { Status::Deleted } else { Status::In(State::Fault) };
            if object.status != Some(end) {
                done.gone.extend(changed(&path, end));
            }
        }
        done
    }

    /// An instance has this status now; what is to be said, if that is news.
    pub fn set(&mut self, name: &str, status: Status) -> Vec<Signal> {
        let Some(path) = self.names.get(name) else {
            if self.early.len() < EARLY && !self.gone.contains(name) {
                self.early.insert(name.to_string(), status);
            }
            return Vec::new();
        };
        let Some(object) = self.objects.get_mut(path) else { return Vec::new() };
        if object.status.replace(status) == Some(status) { Vec::new() } else { changed(path, status) }
    }

    /// What is said when the bus is reached: that the daemon is there, and how every instance is.
    pub fn begun(&self) -> Vec<Signal> {
        let all = self.objects.iter().filter_map(|(path, o)| Some(status_change(path, o.status?)));
        std::iter::once(self.of_daemon("VrrpStarted")).chain(all).collect()
    }

    /// Said of a reload.
    pub fn reloaded(&self) -> Signal {
        self.of_daemon("VrrpReloaded")
    }

    /// Said at the end.
    pub fn stopped(&self) -> Signal {
        self.of_daemon("VrrpStopped")
    }

    fn of_daemon(&self, member: &'static str) -> Signal {
        Signal { path: self.vrrp(), interface: VRRP, member, body: Body::Nothing }
    }
}

fn status_change(path: &str, status: Status) -> Signal {
    Signal { path: path.into(), interface: INSTANCE, member: "VrrpStatusChange", body: Body::Number(status.number()) }
}

/// keepalived's signal, and the standard one, by which clients keep their copies of properties up to date.
fn changed(path: &str, status: Status) -> Vec<Signal> {
    let member = "PropertiesChanged";
    let standard = Signal { path: path.into(), interface: PROPERTIES, member, body: Body::State(status) };
    vec![status_change(path, status), standard]
}
