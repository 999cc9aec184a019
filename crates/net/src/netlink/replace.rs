//! One object in the place of another that serves: what the kernel can it changes in place. Else an address goes and comes in one
//! breath; a route is added first, so that one that is refused leaves the old one, and then both go and it comes again, since the
//! kernel cannot be told which of the two is meant ([`Kernel::take_out`]).

use super::build::message;
use super::{Kernel, Mirror, Outcome, Why, matching};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::RouteMessage;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use steadfast_core::IpCidr;
use steadfast_core::kernel::{Address, Object, VirtualLink};

/// What is under way, and what stays because of a refusal.
#[derive(Default)]
pub(super) struct Replacing {
    /// By each object what is, or was, in its place.
    former: HashMap<Object, Object>,
    /// Addresses that we take away and nobody is to put back: how often the kernel will say so yet.
    expected: HashMap<(String, IpCidr), u32>,
    /// Links that we take away and make anew.
    anew: HashSet<String>,
    /// Routes that the kernel takes away with them. They are added again whether it says so or not.
    routes: Vec<Object>,
    /// Routes that we take away beside others of ours that look like them to the kernel.
    expected_routes: Vec<RouteMessage>,
}

/// A route that goes with an address.
pub(super) fn has_source(object: &Object) -> bool {
    matches!(object, Object::Route(r) if r.source.is_some())
}

impl Replacing {
    /// A link of this name is being taken away, and made next.
    pub(super) fn is_anew(&self, name: &str) -> bool {
        self.anew.contains(name)
    }
}

impl Kernel {
    /// Puts an object into the place of another of the same key, which is ours.
    pub fn replace(&mut self, old: Object, new: Object, mirror: &Mirror) {
        if let (Object::Link(was), Object::Link(l)) = (&old, &new) {
            self.change_link(was, l, mirror);
            self.refused.remove(&old);
            self.disown(&old);
            self.unsent.push(Outcome::Replaced(old));
            return self.add(new, mirror);
        }
        // Of several changes the last counts.
        let under_way = self.replacing.former.remove(&old);
        let again = under_way.is_some();
        let there = under_way.unwrap_or_else(|| old.clone());
        self.refused.remove(&old);
        self.disown(&old);
        self.has_source |= has_source(&new);
        if there != old {
            self.unsent.push(Outcome::Replaced(old.clone()));
        }
        self.version += 1;
        self.own(new.clone());
        if again {
            // It is in the kernel by now, or on its way there: it goes again behind that.
            self.make_room(&old, &new);
        }
        if there == new {
            self.waiting.push_back((new, true));
            self.pump(mirror);
            return;
        }
        // What they differ in is nothing that the kernel knows: the one that is there is the other already.
        if !again && message(&there, true, mirror) == message(&new, true, mirror) {
            self.unsent.push(Outcome::Replaced(there));
            // The one before may have been refused, or be away.
            self.waiting.push_back((new, true));
            self.pump(mirror);
            return;
        }
        // It is ours until the answer.
        self.own(there.clone());
        if new.excludes() {
            self.waiting.push_back((there.clone(), false));
        } else if !matches!(new, Object::Route(_)) {
            self.make_room(&there, &new);
        }
        self.waiting.push_back((new.clone(), true));
        let other = self.replacing.former.insert(new, there.clone()).filter(|other| *other != there);
        // Two forms become one: of the first, too, nothing stays.
        if let Some(other) = other.filter(|other| !self.is_former(other)) {
            self.disown(&other);
            self.unsent.push(Outcome::Replaced(other));
        }
        self.pump(mirror);
    }

    /// A link that stays, with all that is on it, is changed as it is; one that does not fit is made anew ([`Kernel::add`]).
    fn change_link(&mut self, was: &VirtualLink, l: &VirtualLink, mirror: &Mirror) {
        let Some(own) = mirror.by_name(&l.name) else { return };
        if was.family != l.family {
            // Settings of the other family are made when it comes.
            self.make_anew(Object::Link(was.clone()));
        } else if was.group != l.group && own.fits(l, mirror) {
            self.set_group(own.index, l.group.unwrap_or(0));
        }
    }

    /// Takes one out for another that is added behind this.
    fn make_room(&mut self, old: &Object, new: &Object) {
        match (old, new) {
            (Object::Address(a), Object::Address(b)) if !a.becomes(b) => {
                *self.replacing.expected.entry((a.interface.to_string(), a.shown())).or_default() += 1;
                if self.idle() {
                    self.replacing.routes.clear();
                }
                if self.has_source {
                    let routes: Vec<_> = self.routes_from(a).collect();
                    self.replacing.routes.extend(routes);
                }
                self.waiting.push_back((old.clone(), false));
            }
            (Object::Route(_), _) => self.take_out(old.clone()),
            _ => {}
        }
    }

    /// It is to take the place of another.
    pub(super) fn replaces(&self, object: &Object) -> bool {
        self.replacing.former.contains_key(object)
    }

    /// An address that the kernel refused in the place of another, which is back.
    pub(super) fn stays_as_it_was(&self, object: &Object) -> bool {
        matches!(object, Object::Address(_)) && self.replaces(object) && self.refused.contains(object)
    }

    /// The one in whose place this one is wanted.
    pub(super) fn former_of(&self, object: &Object) -> Option<&Object> {
        self.replacing.former.get(object)
    }

    /// The kernel's answer.
    pub(super) fn replaced(&mut self, new: Object, why: &Why, fine: bool, outcomes: &mut Vec<Outcome>) {
        let errno = why.errno;
        // The old one is still there, and was to be refreshed at most.
        if self.stays_as_it_was(&new) && errno == libc::EEXIST {
            let there = self.replacing.former.get(&new).cloned();
            self.waiting.extend(there.filter(|_| self.lease.is_some()).map(|o| (o, true)));
            return;
        }
        let Some(there) = self.replacing.former.get(&new).cloned() else { return };
        // The other one, or somebody's, is in its place.
        let fine = fine && !(errno == libc::EEXIST && new.excludes());
        if !fine {
            self.refused.insert(new.clone());
            if matches!(there, Object::Address(_)) || new.excludes() {
                self.waiting.push_back((there.clone(), true));
                self.add_routes_from(&there);
            }
            outcomes.push(Outcome::Unchanged(new, why.clone()));
            return;
        }
        self.replacing.former.remove(&new);
        self.shrunk |= self.disown(&there);
        if matches!(there, Object::Route(_)) && !new.excludes() {
            self.take_out(there.clone());
        }
        self.add_routes_from(&new);
        outcomes.push(Outcome::Replaced(there));
        if self.refused.remove(&new) {
            outcomes.push(Outcome::Added(new));
        }
    }

    /// A route is taken away: where one of ours has the same key, the kernel will speak of what may be that one.
    pub(super) fn takes_away(&mut self, object: &Object, request: &RouteNetlinkMessage) {
        if let (RouteNetlinkMessage::DelRoute(m), true) = (request, self.has_like(object)) {
            if self.idle() {
                self.replacing.expected_routes.clear();
            }
            self.replacing.expected_routes.push(m.clone());
        }
    }

    fn has_like(&self, object: &Object) -> bool {
        matches!(object, Object::Route(_)) && {
            let all = self.routes.get(&self.keys.hash_one(object.key())).copied().unwrap_or_default();
            all > u32::from(self.owned.contains(object))
        }
    }

    /// Takes an object out of the kernel. The kernel finds a route by less than it consists of: two IPv6 routes by the same next hop
    /// are the same to it, and an IPv4 route without metrics is any of its place. So where one of ours has the same key, all of ours go
    /// and that one comes again, within some microseconds.
    pub(super) fn take_out(&mut self, object: Object) {
        let like: Vec<_> = match self.has_like(&object) {
            true => self.owned.iter().filter(|o| o.key() == object.key()).map(|o| (o.clone(), true)).collect(),
            false => Vec::new(),
        };
        self.waiting.extend((!like.is_empty()).then(|| (object.clone(), false)));
        self.waiting.push_back((object, false));
        self.waiting.extend(like);
    }

    /// It was to be taken out and was not there: nothing will be heard of it.
    pub(super) fn was_not_there(&mut self, object: &Object, mirror: &Mirror) {
        let Some(RouteNetlinkMessage::DelRoute(m)) = message(object, false, mirror) else { return };
        if let Some(at) = self.replacing.expected_routes.iter().position(|asked| *asked == m) {
            self.replacing.expected_routes.swap_remove(at);
        }
    }

    /// The removal of a route that was asked for.
    pub(super) fn route_was_asked_for(&mut self, m: &RouteMessage) -> bool {
        let Some(at) = self.replacing.expected_routes.iter().position(|asked| matching::place(asked, m)) else {
            return false;
        };
        self.replacing.expected_routes.swap_remove(at);
        true
    }

    /// What stood in the place of another one cannot come back either: that one is to be tried again.
    pub(super) fn without_former(&mut self, object: Object, outcomes: &mut Vec<Outcome>) -> Object {
        let of = self.replacing.former.iter().find(|(_, there)| **there == object).map(|(new, _)| new.clone());
        let Some(new) = of else { return object };
        self.replacing.former.remove(&new);
        self.disown(&object);
        outcomes.push(Outcome::Replaced(object));
        new
    }

    /// It is, or was, in the place of one that is wanted.
    pub(super) fn is_former(&self, object: &Object) -> bool {
        self.replacing.former.values().any(|there| there == object)
    }

    /// Routes of that preferred source went with the address, and older kernels do not say so.
    fn add_routes_from(&mut self, address: &Object) {
        let (true, Object::Address(a)) = (self.has_source, address) else { return };
        let routes: Vec<_> = self.routes_from(a).map(|o| (o, true)).collect();
        self.waiting.extend(routes);
    }

    fn routes_from(&self, a: &Address) -> impl Iterator<Item = Object> {
        let source = Some(a.cidr.address);
        self.owned.iter().filter(move |o| matches!(o, Object::Route(r) if r.source == source)).cloned()
    }

    /// A route that went with an address of ours, and comes back with it.
    pub(super) fn comes_back(&mut self, object: &Object, mirror: &Mirror) -> bool {
        let Some(at) = self.replacing.routes.iter().position(|o| o == object) else { return false };
        let route = self.replacing.routes.swap_remove(at);
        self.waiting.push_back((route, true));
        self.pump(mirror);
        true
    }

    /// Nobody wants it any more, nor what is in its place.
    pub(super) fn remove_former(&mut self, object: &Object) {
        if let Some(there) = self.replacing.former.remove(object) {
            self.disown(&there);
            self.take_out(there.clone());
            self.unsent.push(Outcome::Replaced(there));
        }
    }

    /// An address, or a link, was to be removed: an error says that nothing will be heard of it.
    pub(super) fn not_there(&mut self, object: &Object, errno: i32) {
        match object {
            Object::Address(a) if errno != 0 => drop(self.was_asked_for(&a.interface, &a.shown())),
            Object::Link(l) if errno != 0 => drop(self.is_made_anew(&l.name)),
            _ => {}
        }
    }

    /// Takes a link away that is not as it should be. It is added next.
    pub(super) fn make_anew(&mut self, object: Object) {
        if let Object::Link(l) = &object {
            self.replacing.anew.insert(l.name.clone());
        }
        self.waiting.push_back((object, false));
    }

    /// The removal of a link that is made anew.
    pub(super) fn is_made_anew(&mut self, name: &str) -> bool {
        self.replacing.anew.remove(name)
    }

    /// The removal of an address that comes back at once.
    pub(super) fn was_asked_for(&mut self, interface: &str, cidr: &IpCidr) -> bool {
        if self.replacing.expected.is_empty() {
            return false;
        }
        let key = (interface.to_string(), *cidr);
        let Some(times) = self.replacing.expected.get_mut(&key) else { return false };
        *times -= 1;
        if *times == 0 {
            self.replacing.expected.remove(&key);
        }
        true
    }

    /// What the kernel was going to say may be lost.
    pub fn expect_nothing(&mut self) {
        self.replacing.expected.clear();
        self.replacing.anew.clear();
        self.replacing.routes.clear();
        self.replacing.expected_routes.clear();
    }
}
