//! What an earlier life has left in the kernel.

use crate::instance::Instance;
use crate::router::Router;
use crate::{InstanceConfig, Output};
use log::Level;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use steadfast_core::kernel::{Address, Key, Object};
use steadfast_core::{Name, State};

/// Removed in this order: what uses an address goes before it, an address before its link.
fn rank(o: &Object) -> u8 {
    match o {
        Object::Rule(_) => 0,
        Object::Route(_) => 1,
        Object::Address(_) => 2,
        Object::Block(_) => 3,
        Object::Link(_) => 4,
    }
}

/// What an earlier life has left.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Leftovers {
    /// Nobody holds it now.
    pub gone: Vec<Object>,
    /// The kernel knows it by the key of another one, which is held now.
    pub changed: Vec<(Object, Object)>,
    /// The same, and it is not there any more.
    pub absent: Vec<Object>,
}

impl Router {
    /// An earlier daemon, all of whose processes died at once, has left these in the kernel. To be told when the links are known and
    /// before the first poll.
    ///
    /// What is still there goes on serving until somebody else is heard: its peers have noticed nothing yet where it was back in time.
    /// Where the start is delayed it is not kept.
    pub fn inherit(&mut self, left: &[Object]) {
        let left: HashSet<&Object> = left.iter().collect();
        let delayed = !self.settings.startup_delay.is_zero() && !self.succeeds;
        let links = &self.trackers.links;
        let there = |a: &Address| {
            left.contains(&Object::Address(a.clone()))
                && links.get(a.interface.as_str()).is_some_and(|l| l.addresses.contains(&a.shown()))
        };
        for x in self.slots.iter_mut().flatten().filter(|x| !delayed && x.restored.is_none()) {
            let mut addresses = x.config.addresses.iter().peekable();
            x.orphaned = x.config.priority != 255 && addresses.peek().is_some() && addresses.all(there);
        }
    }

    /// Takes over what an earlier daemon has left.
    pub(crate) fn adopt_orphans(&mut self, out: &mut Vec<Output>) {
        for i in self.order.clone() {
            if self.slot_mut(i).is_some_and(|x| std::mem::take(&mut x.orphaned)) {
                let text = format_args!("keeping what an earlier run left until a master is heard");
                self.log(Level::Info, i, text, out);
                self.add_objects(i, out);
            }
        }
    }

    /// Who is no master and still holds what an earlier daemon left gives it up.
    pub(crate) fn let_orphans_go(&mut self, i: u32, out: &mut Vec<Output>) {
        if self.slot(i).is_some_and(|x| x.state != State::Master && x.objects_set) {
            self.remove_objects(i, out);
        }
    }

    /// The same after a reload, which has given it other objects than those of `before`.
    pub(crate) fn let_orphans_of(&mut self, i: u32, before: &InstanceConfig, out: &mut Vec<Output>) {
        self.log(Level::Info, i, format_args!("its addresses change: what an earlier run left goes"), out);
        if let Some(x) = self.slot_mut(i) {
            x.objects_set = false;
        }
        for object in Instance::objects(before).rev() {
            self.let_go(object, out);
        }
    }

    /// Objects that nobody holds now and that an earlier life may have left in the kernel: those of `inherited`, which it was known
    /// to have put there, and those of instances that hold nothing. `there` says whether an address is on its interface now.
    pub fn leftovers(&self, inherited: &[Object], there: impl Fn(&Address) -> bool) -> Leftovers {
        self.left_of(inherited, there, true)
    }

    /// The same where no instance goes on and nobody else is to take them away: also an owner's address that an earlier life put
    /// there. A death right after it became master, or while it gave way, does not leave it behind.
    pub fn remains(&self, inherited: &[Object], there: impl Fn(&Address) -> bool) -> Leftovers {
        self.left_of(inherited, there, false)
    }

    fn left_of(&self, inherited: &[Object], there: impl Fn(&Address) -> bool, goes_on: bool) -> Leftovers {
        let place = |a: &Address| (a.interface.clone(), a.cidr.address);
        let owner = |x: &&Instance| x.config.priority == 255;
        let of = |x: &Instance| -> Vec<_> { x.config.addresses.iter().chain(&x.config.excluded).map(place).collect() };
        // An owner's address is the interface's own, and what somebody else here holds is in its place.
        let owned: HashSet<(Name, IpAddr)> = self.slots.iter().flatten().filter(owner).flat_map(of).collect();
        let held: HashSet<(Name, IpAddr)> = (self.slots.iter().flatten().filter(|x| x.objects_set).flat_map(of))
            .chain(self.static_addresses().map(place))
            .chain(owned.iter().cloned())
            .collect();
        let within = |places: &HashSet<_>, o: &Object| matches!(o, Object::Address(a) if places.contains(&place(a)));
        let own = self.instances().filter(|x| !x.objects_set && !owner(x)).flat_map(|x| Instance::objects(&x.config));
        let found = own.filter(|o| match o {
            Object::Address(a) => there(a) && !within(&held, o),
            // Marked as ours in the kernel: those of somebody else are not hit.
            Object::Route(_) | Object::Rule(_) | Object::Block(_) => true,
            Object::Link(_) => false,
        });
        // Of an address that was put there with another prefix length or label the kernel may have made nothing new.
        let now: HashMap<Key<'_>, &Object> =
            (self.held.all().filter(|o| matches!(o, Object::Address(_)))).filter_map(|o| Some((o.key()?, o))).collect();
        let mut seen = HashSet::new();
        let mut left = Leftovers::default();
        let inherited = inherited.iter().filter(|o| !goes_on || !within(&owned, o)).cloned();
        for object in inherited.chain(found).filter(|o| !self.held.contains(o)) {
            if !seen.insert(object.clone()) {
                continue;
            }
            let other = object.key().and_then(|k| now.get(&k).copied());
            match (&object, other) {
                (Object::Address(a), Some(other)) => {
                    if there(a) {
                        left.changed.push((object, other.clone()));
                    } else {
                        left.absent.push(object);
                    }
                }
                _ if self.held.has_place_of(&object) => {}
                _ => left.gone.push(object),
            }
        }
        left.gone.sort_by_key(rank);
        left
    }
}

#[cfg(test)]
mod tests;
