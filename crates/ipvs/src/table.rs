//! Tables, and the way from one to another.
//!
//! Within each service the steps are in this order, so that no moment is worse than both ends:
//!
//! ```text
//!   add or edit the service ─► add destinations ─► raise weights, change the rest ─► lower weights ─► remove destinations
//!                                        last of all, over all services: remove services
//! ```
//! A destination that both tables have is edited, never removed and added again: its connections go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use steadfast_core::ipvs::{Checksum, Destination, DestinationKey, Forward, Service, ServiceKey, Tunnel};

/// A service with its destinations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Settings.
    pub service: Service,
    /// Destinations.
    pub destinations: BTreeMap<DestinationKey, Destination>,
}

/// Services with their destinations. Values are held in the form in which the kernel reports them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Table {
    services: BTreeMap<ServiceKey, Entry>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Add a service.
    AddService(ServiceKey, Service),
    /// Change a service.
    EditService(ServiceKey, Service),
    /// Remove a service with its destinations.
    RemoveService(ServiceKey),
    /// Add a destination.
    AddDestination(ServiceKey, DestinationKey, Destination),
    /// Change a destination.
    EditDestination(ServiceKey, DestinationKey, Destination),
    /// Remove a destination.
    RemoveDestination(ServiceKey, DestinationKey),
}

impl Operation {
    /// The service that it is about.
    pub const fn service(&self) -> ServiceKey {
        match self {
            Operation::AddService(key, _)
            | Operation::EditService(key, _)
            | Operation::RemoveService(key)
            | Operation::AddDestination(key, ..)
            | Operation::EditDestination(key, ..)
            | Operation::RemoveDestination(key, _) => *key,
        }
    }
}

impl fmt::Display for Operation {
    /// For people: `the server [10.0.0.2]:80 of [192.0.2.1]:tcp:80`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done = match self {
            Operation::AddService(..) | Operation::AddDestination(..) => "to add",
            Operation::EditService(..) | Operation::EditDestination(..) => "to change",
            Operation::RemoveService(..) | Operation::RemoveDestination(..) => "to remove",
        };
        match self {
            Operation::AddDestination(service, d, _)
            | Operation::EditDestination(service, d, _)
            | Operation::RemoveDestination(service, d) => {
                write!(f, "{done} the server [{}]:{} of {service}", d.address, d.port)
            }
            Operation::AddService(service, s) | Operation::EditService(service, s) => {
                write!(f, "{done} the service {service} with scheduler {}", s.scheduler)?;
                s.engine.as_ref().map_or(Ok(()), |engine| write!(f, " and persistence engine {engine}"))
            }
            Operation::RemoveService(service) => write!(f, "{done} the service {service}"),
        }
    }
}

/// Why a step cannot be taken, as the kernel would refuse it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// It is there already.
    Exists,
    /// It is not there.
    Absent,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Exists => "exists already",
            Refusal::Absent => "does not exist",
        })
    }
}

impl std::error::Error for Refusal {}

impl Table {
    /// An empty table.
    pub fn new() -> Table {
        Table::default()
    }

    /// Puts a service, in place of the one of this key, if any, whose destinations go.
    pub fn insert(
        &mut self,
        key: ServiceKey,
        service: Service,
        destinations: impl IntoIterator<Item = (DestinationKey, Destination)>,
    ) {
        let destinations = destinations.into_iter().map(|(k, d)| (k, settle_destination(d))).collect();
        self.services.insert(key, Entry { service: settle_service(&key, service), destinations });
    }

    /// Adds a destination to a service that is there; false if it is not.
    pub fn insert_destination(&mut self, service: &ServiceKey, key: DestinationKey, destination: Destination) -> bool {
        let Some(entry) = self.services.get_mut(service) else { return false };
        entry.destinations.insert(key, settle_destination(destination));
        true
    }

    /// Takes a service out.
    pub fn remove(&mut self, key: &ServiceKey) -> Option<Entry> {
        self.services.remove(key)
    }

    /// One service.
    pub fn get(&self, key: &ServiceKey) -> Option<&Entry> {
        self.services.get(key)
    }

    /// All services, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&ServiceKey, &Entry)> {
        self.services.iter()
    }

    /// Number of services.
    pub fn len(&self) -> usize {
        self.services.len()
    }

    /// No services.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// Takes one step, as the kernel would. A refused step changes nothing.
    pub fn apply(&mut self, operation: &Operation) -> Result<(), Refusal> {
        match operation {
            Operation::AddService(key, _) if self.services.contains_key(key) => Err(Refusal::Exists),
            Operation::AddService(key, service) => {
                self.insert(*key, service.clone(), []);
                Ok(())
            }
            Operation::EditService(key, service) => {
                self.services.get_mut(key).ok_or(Refusal::Absent)?.service = settle_service(key, service.clone());
                Ok(())
            }
            Operation::RemoveService(key) => self.services.remove(key).map(|_| ()).ok_or(Refusal::Absent),
            Operation::AddDestination(service, key, destination) => {
                let entry = self.services.get_mut(service).ok_or(Refusal::Absent)?;
                if entry.destinations.contains_key(key) {
                    return Err(Refusal::Exists);
                }
                entry.destinations.insert(*key, settle_destination(*destination));
                Ok(())
            }
            Operation::EditDestination(service, key, destination) => {
                let entry = self.services.get_mut(service).ok_or(Refusal::Absent)?;
                *entry.destinations.get_mut(key).ok_or(Refusal::Absent)? = settle_destination(*destination);
                Ok(())
            }
            Operation::RemoveDestination(service, key) => {
                let entry = self.services.get_mut(service).ok_or(Refusal::Absent)?;
                entry.destinations.remove(key).map(|_| ()).ok_or(Refusal::Absent)
            }
        }
    }
}

/// The form in which the kernel will report a service.
fn settle_service(key: &ServiceKey, mut service: Service) -> Service {
    service.scheduler_flags &= 7;
    service.engine = service.engine.filter(|name| !name.is_empty());
    if let Some(persistence) = &mut service.persistence {
        persistence.granularity = persistence.granularity.filter(|g| g.counts(key.family()));
    }
    service
}

/// The form in which the kernel will report a destination.
fn settle_destination(mut destination: Destination) -> Destination {
    if let Forward::Tunnel(Tunnel::Gre { checksum: checksum @ Checksum::Remote }) = &mut destination.forward {
        *checksum = Checksum::None;
    }
    destination
}

/// The steps from `now` to `wanted`. Services of `now` that are neither wanted nor among `ours` belong to somebody else: they
/// are left alone. Ours that are not wanted any more are removed.
pub fn difference(now: &Table, wanted: &Table, ours: &BTreeSet<ServiceKey>) -> Vec<Operation> {
    let new = wanted.services.iter().filter(|(key, _)| !now.services.contains_key(key));
    let mut steps = Vec::with_capacity(new.map(|(_, entry)| 1 + entry.destinations.len()).sum());
    let none = BTreeMap::new();
    for (key, want) in &wanted.services {
        let have = match now.services.get(key) {
            None => {
                steps.push(Operation::AddService(*key, want.service.clone()));
                &none
            }
            Some(entry) => {
                if entry.service != want.service {
                    steps.push(Operation::EditService(*key, want.service.clone()));
                }
                &entry.destinations
            }
        };
        let mut lower = Vec::new();
        let mut raise = Vec::new();
        for (d, target) in &want.destinations {
            match have.get(d) {
                None => steps.push(Operation::AddDestination(*key, *d, *target)),
                Some(present) if present == target => {}
                Some(present) if target.weight < present.weight => {
                    lower.push(Operation::EditDestination(*key, *d, *target))
                }
                Some(_) => raise.push(Operation::EditDestination(*key, *d, *target)),
            }
        }
        steps.append(&mut raise);
        steps.append(&mut lower);
        let gone = have.keys().filter(|d| !want.destinations.contains_key(d));
        steps.extend(gone.map(|d| Operation::RemoveDestination(*key, *d)));
    }
    let gone = now.services.keys().filter(|key| ours.contains(key) && !wanted.services.contains_key(key));
    steps.extend(gone.map(|key| Operation::RemoveService(*key)));
    steps
}
