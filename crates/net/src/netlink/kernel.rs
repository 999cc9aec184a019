//! The requesting side, and the set of objects that are ours.

use super::build::{Names, message, removal};
use super::mirror::Remains;
use super::replace::{Replacing, has_source};
use super::{Buffer, Channel, Event, Mirror, Read, Why, matching, routes};
use indexmap::IndexSet;
use netlink_packet_core::{NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher;
use std::io;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};
use steadfast_core::kernel::{Address, Object, Placement};
use steadfast_core::{IpCidr, Mac};

/// Requests whose answers are outstanding at most; more wait. It keeps the answers within the receive buffer.
const WINDOW: usize = 128;

/// The kernel carries a request out before the call returns: for so long at most in a turn of the loop, which has timers to serve.
const TURN: Duration = Duration::from_millis(5);

/// What became of a request, where that matters to somebody.
#[derive(Debug)]
pub enum Outcome {
    /// It was not added.
    Refused(Object, Why),
    /// The same, and what it was to replace is there as before.
    Unchanged(Object, Why),
    /// It was taken, which had been refused.
    Added(Object),
    /// It was not removed.
    NotRemoved(Object, Why),
    /// Another is in its place now.
    Replaced(Object),
    /// A link, by its index, was not changed as it was asked for ([`Kernel::raise`], [`Kernel::enslave`]).
    NotChanged(u32, Why),
}

/// Puts objects into the kernel and takes them out.
pub struct Kernel {
    channel: Channel,
    sequence: u32,
    /// Of [`TURN`], since answers were last read.
    spent: Duration,
    pending: HashMap<u32, (Object, bool)>,
    /// Changes of links that are not answered yet.
    changes: HashMap<u32, u32>,
    pub(super) waiting: VecDeque<(Object, bool)>,
    /// Removals from links that have other names now: they go before what waits, which knows names alone.
    strays: VecDeque<(Object, RouteNetlinkMessage)>,
    pub(super) owned: IndexSet<Object>,
    /// Counts changes of what is ours.
    pub(super) version: u64,
    /// It has become less, one by one: that counts as one change when nothing is outstanding.
    pub(super) shrunk: bool,
    /// How many routes of ours are of each key, by its hash.
    pub(super) routes: HashMap<u64, u32>,
    pub(super) keys: RandomState,
    /// Some route of ours goes with an address, or has.
    pub(super) has_source: bool,
    /// What is to be told with the next answers.
    pub(super) unsent: Vec<Outcome>,
    pub(super) replacing: Replacing,
    /// Seconds that an address lives without a refresh, and those that live for ever.
    pub(super) lease: Option<(u32, HashSet<Address>)>,
    /// Of those, what the kernel refused when last asked.
    pub(super) refused: HashSet<Object>,
}

impl Kernel {
    /// Opens the socket.
    pub fn open(receive_buffer: Buffer) -> io::Result<Self> {
        Ok(Kernel {
            channel: Channel::open(&[], receive_buffer)?.with_reasons(),
            sequence: 0,
            spent: Duration::ZERO,
            pending: HashMap::new(),
            changes: HashMap::new(),
            waiting: VecDeque::new(),
            strays: VecDeque::new(),
            owned: IndexSet::new(),
            version: 0,
            shrunk: false,
            routes: HashMap::new(),
            keys: RandomState::new(),
            has_source: false,
            unsent: Vec::new(),
            replacing: Replacing::default(),
            lease: None,
            refused: HashSet::new(),
        })
    }

    /// Gives back the room that many requests needed.
    pub fn shrink(&mut self) {
        self.owned.shrink_to_fit();
        self.pending.shrink_to_fit();
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.channel.fd()
    }

    /// Takes it into what is ours; false where it was.
    pub(super) fn own(&mut self, object: Object) -> bool {
        let key = matches!(object, Object::Route(_)).then(|| self.keys.hash_one(object.key()));
        let new = self.owned.insert(object);
        if let (true, Some(key)) = (new, key) {
            *self.routes.entry(key).or_default() += 1;
        }
        new
    }

    /// Takes it out of what is ours; false where it was not.
    pub(super) fn disown(&mut self, object: &Object) -> bool {
        let was = self.owned.swap_remove(object);
        if was && matches!(object, Object::Route(_)) {
            let key = self.keys.hash_one(object.key());
            if let Entry::Occupied(mut of) = self.routes.entry(key) {
                *of.get_mut() -= 1;
                if *of.get() == 0 {
                    of.remove();
                }
            }
        }
        was
    }

    /// It was added and not removed.
    pub fn owns(&self, object: &Object) -> bool {
        self.owned.contains(object)
    }

    /// Adds an object; there already is success.
    pub fn add(&mut self, object: Object, mirror: &Mirror) {
        self.version += u64::from(self.own(object.clone()));
        self.has_source |= has_source(&object);
        if let Object::Link(l) = &object {
            match (mirror.by_name(&l.name), mirror.by_name(&l.base)) {
                // It is on its way out: it is added behind that.
                _ if self.replacing.is_anew(&l.name) => {}
                (Some(old), Some(_)) if old.fits(l, mirror) => return,
                // Of another address or on another link: made by nobody who needs it.
                (Some(old), Some(_)) if old.is_virtual => {
                    log::info!("{} is not as it should be, making it anew", l.name);
                    self.make_anew(object.clone());
                }
                _ => {}
            }
        }
        self.waiting.push_back((object, true));
        self.pump(mirror);
    }

    /// Sets a link up.
    pub fn raise(&mut self, index: u32) {
        let mut m = LinkMessage::default();
        m.header.flags = LinkFlags::Up;
        m.header.change_mask = LinkFlags::Up;
        self.change(index, m);
    }

    /// Gives a link a hardware address.
    pub fn set_mac(&mut self, index: u32, mac: Mac) {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
        self.change(index, m);
    }

    /// Puts a link into a VRF, or out of one.
    pub fn enslave(&mut self, index: u32, vrf: Option<u32>) {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::Controller(vrf.unwrap_or(0)));
        self.change(index, m);
    }

    /// Puts a link into a group of links.
    pub(super) fn set_group(&mut self, index: u32, group: u32) {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::Group(group));
        self.change(index, m);
    }

    fn change(&mut self, index: u32, mut m: LinkMessage) {
        m.header.index = index;
        self.sequence = self.sequence.wrapping_add(1);
        match self.channel.send(RouteNetlinkMessage::SetLink(m), NLM_F_ACK, self.sequence) {
            Ok(()) => {
                self.changes.insert(self.sequence, index);
            }
            Err(e) => {
                let errno = e.raw_os_error().unwrap_or(libc::EIO);
                self.unsent.push(Outcome::NotChanged(index, Why { errno, words: String::new() }));
            }
        }
    }

    /// Removes an object; not there is success.
    pub fn remove(&mut self, object: Object, mirror: &Mirror) {
        self.version += u64::from(self.disown(&object));
        self.refused.remove(&object);
        self.remove_former(&object);
        self.take_out(object);
        self.pump(mirror);
    }

    /// The link of this index is not called so any more: what is ours, and was put there by that name, goes. By name it could not be
    /// found when its time comes, and another router may have taken the addresses over by then.
    pub fn renamed(&mut self, name: &str, index: u32, mirror: &Mirror) {
        let on_it = |o: &&Object| match o {
            // On a base of another name it is found by its own.
            Object::Link(l) => l.name == name,
            other => other.needs(name),
        };
        let leaving = self.waiting.iter().filter(|(_, add)| !add).map(|(o, _)| o);
        let names = Names::before(mirror, name, index);
        let all = self.owned.iter().chain(leaving).filter(on_it).filter_map(|o| Some((o.clone(), removal(o, names)?)));
        self.strays.extend(all);
        self.pump(mirror);
    }

    /// From now on the kernel drops an address that [`Kernel::refresh`] does not renew within so many seconds; `None`: it keeps
    /// them. `exempt` ones it always keeps. Those that are withheld learn nothing of it: that would put one back whose lease has ended.
    pub fn lease(&mut self, seconds: Option<u32>, exempt: HashSet<Address>, withheld: &HashSet<&Address>) {
        let had = std::mem::replace(&mut self.lease, seconds.map(|s| (s, exempt)));
        if had != self.lease {
            // Those that are there learn of it with the next refresh, which must not wait for a lease that is gone.
            self.renew(withheld);
        }
    }

    /// Renews the lease of the addresses that are ours, which puts back one whose lease has ended: so not of those that are withheld.
    pub fn refresh(&mut self, mirror: &Mirror, withheld: &HashSet<&Address>) {
        if self.lease.is_some() {
            self.renew(withheld);
        }
        self.pump(mirror);
    }

    fn renew(&mut self, withheld: &HashSet<&Address>) {
        let queued: HashSet<&Object> = self.waiting.iter().map(|(o, _)| o).collect();
        let stale: Vec<_> = (self.owned.iter())
            .filter(|o| matches!(o, Object::Address(a) if !withheld.contains(a)) && !queued.contains(o))
            .map(|o| (o.clone(), true))
            .collect();
        self.waiting.extend(stale);
    }

    /// Seconds that this object lives without a refresh.
    fn lifetime(&self, object: &Object) -> Option<u32> {
        let Object::Address(a) = object else { return None };
        self.lease.as_ref().filter(|(_, exempt)| !exempt.contains(a)).map(|(seconds, _)| *seconds)
    }

    /// What is ours, and a number that changes with it.
    pub fn owned(&self) -> (u64, impl Iterator<Item = &Object>) {
        (self.version, self.owned.iter())
    }

    /// Nothing is outstanding.
    pub fn idle(&self) -> bool {
        self.pending.is_empty() && self.waiting.is_empty() && self.strays.is_empty()
    }

    pub(super) fn pump(&mut self, mirror: &Mirror) {
        while self.pending.len() < WINDOW
            && let Some((object, request)) = self.strays.pop_front()
        {
            self.sequence = self.sequence.wrapping_add(1);
            match self.channel.send(request.clone(), NLM_F_ACK, self.sequence) {
                Ok(()) => drop(self.pending.insert(self.sequence, (object, false))),
                Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => {
                    self.strays.push_front((object, request));
                    return;
                }
                Err(e) => log::warn!("netlink: cannot send a request for {object}: {e}"),
            }
        }
        // Where nothing is outstanding no answer would come that continues it.
        while self.pending.len() < WINDOW && (self.spent < TURN || self.pending.is_empty()) {
            let Some((object, add)) = self.waiting.pop_front() else {
                // A start fills it once, for good.
                self.waiting.shrink_to_fit();
                break;
            };
            // While its interface is absent there is nothing to add to; the machine acts when the interface appears.
            let lifetime = self.lifetime(&object).filter(|_| add);
            let Some(request) = message(&object, add, mirror).map(|m| mortal(m, lifetime)) else {
                if !add {
                    self.not_there(&object, libc::ENODEV);
                }
                continue;
            };
            let flags = match (&object, add) {
                // Without EXCL a rule that is there already would be there twice.
                (Object::Rule(_) | Object::Link(_), true) => NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                // Never REPLACE: a route of the host's own that ours goes before must count again afterwards.
                (Object::Route(r), true) => {
                    NLM_F_ACK
                        | NLM_F_CREATE
                        | match r.placement {
                            Placement::Prepend => 0,
                            Placement::Append => NLM_F_APPEND,
                            // Without EXCL it would come beside what the host has.
                            Placement::Add => NLM_F_EXCL,
                        }
                }
                // Of one that stays as it was success would say nothing.
                (o, true) if self.stays_as_it_was(o) => NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
                (_, true) => NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
                (_, false) => NLM_F_ACK,
            };
            if !add {
                self.takes_away(&object, &request);
            }
            let begun = Instant::now();
            for request in routes::hop_by_hop(request) {
                self.sequence = self.sequence.wrapping_add(1);
                match self.channel.send(request, flags, self.sequence) {
                    Ok(()) => {
                        self.pending.insert(self.sequence, (object.clone(), add));
                    }
                    Err(e) if e.raw_os_error() == Some(libc::EAGAIN) => {
                        self.waiting.push_front((object, add));
                        return;
                    }
                    Err(e) => {
                        log::warn!("netlink: cannot send a request for {object}: {e}");
                        let errno = e.raw_os_error().unwrap_or(libc::EIO);
                        let outcome = if add { Outcome::Refused } else { Outcome::NotRemoved };
                        self.unsent.push(outcome(object.clone(), Why { errno, words: String::new() }));
                    }
                }
            }
            self.spent += begun.elapsed();
        }
    }

    /// Takes answers; those that matter are added to `outcomes`.
    pub fn read(&mut self, mirror: &Mirror, outcomes: &mut Vec<Outcome>) -> io::Result<()> {
        loop {
            match self.channel.read()? {
                Read::Empty => break,
                Read::Overrun => {
                    // Answers are lost; what was asked is asked again, for it is all idempotent. Changes of links are asked for at
                    // their next event.
                    self.changes.clear();
                    let mut again: Vec<_> = self.pending.drain().collect();
                    again.sort_unstable_by_key(|(sequence, _)| *sequence);
                    for (_, request) in again.into_iter().rev() {
                        self.waiting.push_front(request);
                    }
                }
                Read::Messages(messages) => {
                    for m in messages {
                        let NetlinkPayload::Error(e) = &m.payload else { continue };
                        let errno = e.code.map_or(0, |c| c.get().wrapping_neg());
                        let changed = self.changes.remove(&m.header.sequence_number);
                        // of a link that is gone nothing need be said
                        if let Some(index) = changed.filter(|_| !matches!(errno, 0 | libc::ENODEV)) {
                            outcomes.push(Outcome::NotChanged(index, Why::answer(&m)));
                        }
                        let Some((object, add)) = self.pending.remove(&m.header.sequence_number) else { continue };
                        let adopted = !matches!(object, Object::Link(_));
                        let fine = matches!(
                            (errno, add && adopted),
                            (0, _)
                                | (libc::EEXIST, true)
                                | (libc::EADDRNOTAVAIL | libc::ESRCH | libc::ENOENT | libc::ENODEV, false)
                        );
                        if add && self.replaces(&object) {
                            self.replaced(object, &Why::answer(&m), fine, outcomes);
                        } else if add && !fine {
                            let object = self.without_former(object, outcomes);
                            self.refused.insert(object.clone());
                            outcomes.push(Outcome::Refused(object, Why::answer(&m)));
                        } else if add && self.refused.remove(&object) {
                            outcomes.push(Outcome::Added(object));
                        } else if !add {
                            self.not_there(&object, errno);
                            if errno != 0 {
                                self.was_not_there(&object, mirror);
                            }
                            if !fine {
                                outcomes.push(Outcome::NotRemoved(object, Why::answer(&m)));
                            }
                        }
                    }
                }
            }
        }
        self.spent = Duration::ZERO;
        self.pump(mirror);
        if self.idle() {
            self.version += u64::from(std::mem::take(&mut self.shrunk));
        }
        outcomes.append(&mut self.unsent);
        Ok(())
    }

    /// The object of ours that an event says somebody removed. Removals that we asked for are not ours any more by then.
    pub fn lost(&mut self, event: &Event, mirror: &Mirror) -> Option<Object> {
        let lost = self.missed(event, mirror)?;
        (!self.comes_back(&lost, mirror)).then_some(lost)
    }

    fn missed(&mut self, event: &Event, mirror: &Mirror) -> Option<Object> {
        match event {
            Event::AddressRemoved(interface, cidr, _) if self.was_asked_for(interface, cidr) => None,
            Event::Gone(name) if self.is_made_anew(name) => None,
            Event::Gone(name) => self.owned.iter().find(|o| matches!(o, Object::Link(l) if l.name == *name)).cloned(),
            // Ours has another far end, or it does not matter which of them serves.
            Event::AddressRemoved(_, _, Remains::Another) => None,
            Event::AddressRemoved(interface, cidr, Remains::Nothing) => self
                .owned
                .iter()
                .filter(|o| matches!(o, Object::Address(a) if a.shown() == *cidr && a.interface == *interface))
                .find(|o| !self.is_former(o))
                .cloned(),
            Event::RouteRemoved(m) if self.route_was_asked_for(m) => None,
            Event::RouteRemoved(m) => self.route(|o| match message(o, true, mirror) {
                Some(RouteNetlinkMessage::NewRoute(ours)) => matching::place(&ours, m) && matching::content(&ours, m),
                _ => false,
            }),
            // What was put into the place of ours is another route now.
            Event::RouteReplaced(m) => self.route(|o| match message(o, true, mirror) {
                Some(RouteNetlinkMessage::NewRoute(ours)) => matching::place(&ours, m) && !matching::content(&ours, m),
                _ => false,
            }),
            Event::RuleRemoved(m) => self.rule(|o| match message(o, true, mirror) {
                Some(RouteNetlinkMessage::NewRule(ours)) => matching::rule(&ours, m),
                _ => false,
            }),
            _ => None,
        }
    }

    fn route(&self, fits: impl Fn(&Object) -> bool) -> Option<Object> {
        // Of two that are one to the kernel the one counts whose loss concerns somebody.
        self.owned.iter().filter(|o| matches!(o, Object::Route(_)) && fits(o)).min_by_key(|o| o.is_untracked()).cloned()
    }

    fn rule(&self, fits: impl Fn(&Object) -> bool) -> Option<Object> {
        self.owned.iter().filter(|o| matches!(o, Object::Rule(_)) && fits(o)).min_by_key(|o| o.is_untracked()).cloned()
    }

    /// Asks for all routes and rules again, whose loss may have been missed. What is there stays as it is. `untracked`: also for those
    /// whose loss concerns nobody, since a link may have been away.
    pub fn affirm(&mut self, mirror: &Mirror, untracked: bool) {
        let again = self.owned.iter().filter(|o| matches!(o, Object::Route(_) | Object::Rule(_)));
        let again = again.filter(|o| untracked || !o.is_untracked());
        let again: Vec<Object> = again.cloned().collect();
        self.waiting.extend(again.into_iter().map(|o| (o, true)));
        self.pump(mirror);
    }

    /// Addresses of ours that the mirror does not show, for use after a resync or a link's return.
    pub fn missing(&self, mirror: &Mirror) -> Vec<Object> {
        let busy: HashSet<&Object> = self.pending.values().chain(&self.waiting).map(|(o, _)| o).collect();
        // A link may carry thousands.
        let there: HashMap<&str, HashSet<IpCidr>> =
            mirror.links().filter(|l| l.up).map(|l| (&*l.name, l.addresses.iter().copied().collect())).collect();
        // One that the kernel refused in the place of another is no loss, as long as the other is there.
        let serves = |o: &Object| {
            let shown = |f: &Address| there.get(&*f.interface).is_none_or(|all| all.contains(&f.shown()));
            self.stays_as_it_was(o) && matches!(self.former_of(o), Some(Object::Address(f)) if shown(f))
        };
        self.owned
            .iter()
            .filter(|o| !busy.contains(o) && !serves(o))
            .filter(|o| match o {
                Object::Address(a) => there.get(&*a.interface).is_some_and(|all| !all.contains(&a.shown())),
                Object::Link(l) => mirror.by_name(&l.base).is_some() && mirror.by_name(&l.name).is_none(),
                _ => false,
            })
            .cloned()
            .collect()
    }
}

/// An address that dies by itself after so many seconds.
fn mortal(mut message: RouteNetlinkMessage, seconds: Option<u32>) -> RouteNetlinkMessage {
    if let (RouteNetlinkMessage::NewAddress(m), Some(seconds)) = (&mut message, seconds) {
        let given = m.attributes.iter().find_map(|a| match a {
            AddressAttribute::CacheInfo(c) => Some(c.ifa_preferred),
            _ => None,
        });
        m.attributes.retain(|a| !matches!(a, AddressAttribute::CacheInfo(_)));
        let mut info = CacheInfo::default();
        info.ifa_valid = seconds;
        info.ifa_preferred = given.unwrap_or(seconds).min(seconds);
        m.attributes.push(AddressAttribute::CacheInfo(info));
    }
    message
}
