//! The listening side: a copy of the kernel's links and addresses.

use super::{Buffer, Channel, Read};
use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLM_F_REPLACE, NetlinkPayload};
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoVrf, IpVlanFlags, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::RouteMessage;
use netlink_packet_route::rule::RuleMessage;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use steadfast_core::kernel::{Isolation, LinkKind, VirtualLink};
use steadfast_core::{IpCidr, Mac};

/// One link, whole.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Link {
    /// Index.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Up and running, as netlink or who asks its driver says.
    pub up: bool,
    /// The operator's part of it, and netlink's word on the carrier.
    admin: bool,
    running: bool,
    /// MTU in bytes.
    pub mtu: u32,
    /// Hardware address.
    pub mac: Mac,
    /// Index of the link that it sits on.
    pub parent: Option<u32>,
    /// A macvlan or an ipvlan.
    pub is_virtual: bool,
    /// What ipvlans on its base may say to each other, if it is one.
    pub isolation: Option<Isolation>,
    /// Index of the link that it is a part of: a VRF, a bridge, a bond.
    pub master: Option<u32>,
    /// The table of a VRF.
    pub vrf_table: Option<u32>,
    /// Usable addresses in the kernel's order.
    pub addresses: Vec<IpCidr>,
    /// An address may be there several times, each with another far end: those, by address. One alone without a far end is not here.
    variants: Vec<(IpCidr, IpAddr)>,
}

/// What is there yet of an address that was removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remains {
    /// Nothing.
    Nothing,
    /// The same address with another far end.
    Another,
}

/// Something that happened in the kernel.
#[derive(Debug)]
pub enum Event {
    /// A link appeared or changed.
    Link(Link),
    /// A link of this name is gone.
    Gone(String),
    /// The link of this index has another name now. [`Event::Gone`] of the old one follows, unless another has that.
    Renamed(String, u32),
    /// A link of this name was set down, and is up again: of that the [`Event::Link`] before says nothing.
    Blinked(String),
    /// An address was removed: interface name, address, what is there yet of it.
    AddressRemoved(String, IpCidr, Remains),
    /// A route was removed.
    RouteRemoved(Box<RouteMessage>),
    /// A route was put into the place of another.
    RouteReplaced(Box<RouteMessage>),
    /// A rule was removed.
    RuleRemoved(Box<RuleMessage>),
    /// Messages were lost; everything was read anew, and removals may have been missed.
    Resynced,
    /// What [`Mirror::refresh`] asked for has been compared. The names of links that were not as they were told; events of them came
    /// before.
    Refreshed(Vec<String>),
}

/// A second copy, made of a dump while the first one goes on to serve.
#[derive(Default)]
struct Shadow {
    links: BTreeMap<u32, Link>,
    names: HashMap<String, u32>,
    /// Something changed in the middle of a dump: it may lack what was there all the time.
    torn: bool,
}

/// The copy.
pub struct Mirror {
    pub(super) channel: Channel,
    links: BTreeMap<u32, Link>,
    /// Index of each link by its name.
    names: HashMap<String, u32>,
    /// Carrier of links whose drivers are asked, by name: it counts instead of netlink's.
    carriers: BTreeMap<String, bool>,
    sequence: u32,
    /// Dumps that are still to be asked for, one at a time.
    dumps: Vec<RouteNetlinkMessage>,
    dumping: bool,
    /// Indices seen in the dump under way; the others are gone.
    seen: Option<BTreeSet<u32>>,
    /// Links that changed and were not told yet: nothing is told of a copy that is half filled.
    changed: BTreeSet<u32>,
    /// Links that were set down since the last events.
    set_down: BTreeSet<u32>,
    /// Messages were lost. Until the queue has been empty once the kernel drops what comes, and says nothing of it: everything is
    /// asked for only then.
    overrun: bool,
    /// A new copy is on its way.
    resyncing: bool,
    /// What the first copy is to be compared with.
    shadow: Option<Shadow>,
    /// The outcome, until nothing waits to be read: what was asked for meanwhile has been heard of then.
    compared: Option<Vec<String>>,
}

const IFA_F_TENTATIVE: u32 = 0x40;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_OPTIMISTIC: u32 = 0x04;

impl Mirror {
    /// Opens the socket and asks for everything. The answers come by [`Mirror::read`]; [`Mirror::settled`] tells when all is in.
    pub fn open(receive_buffer: Buffer) -> io::Result<Self> {
        // RTNLGRP_*: link 1, ipv4 address 5, ipv4 route 7, ipv4 rule 8, ipv6 address 9, ipv6 route 11, ipv6 rule 19.
        Self::with_groups(&[1, 5, 7, 8, 9, 11, 19], receive_buffer)
    }

    /// The same for who wants to hear of links and addresses alone: routes are many on a router.
    pub fn of_addresses(receive_buffer: Buffer) -> io::Result<Self> {
        Self::with_groups(&[1, 5, 9], receive_buffer)
    }

    fn with_groups(groups: &[u32], receive_buffer: Buffer) -> io::Result<Self> {
        let channel = Channel::open(groups, receive_buffer)?;
        let mut mirror = Mirror {
            channel,
            links: BTreeMap::new(),
            names: HashMap::new(),
            carriers: BTreeMap::new(),
            sequence: 0,
            dumps: Vec::new(),
            dumping: false,
            seen: None,
            changed: BTreeSet::new(),
            set_down: BTreeSet::new(),
            overrun: false,
            resyncing: false,
            shadow: None,
            compared: None,
        };
        mirror.resync()?;
        Ok(mirror)
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.channel.fd()
    }

    /// No dump is under way that the copy waits for.
    pub fn settled(&self) -> bool {
        self.is_refreshing() || !self.dumping && self.dumps.is_empty()
    }

    /// A comparison is under way.
    pub fn is_refreshing(&self) -> bool {
        self.shadow.is_some()
    }

    /// Asks for all links and addresses to compare the copy with, for the case that an event was missed. The copy serves meanwhile;
    /// [`Event::Refreshed`] is the end. Nothing is asked while an answer is awaited.
    pub fn refresh(&mut self) -> io::Result<()> {
        if self.overrun || self.is_refreshing() || !self.settled() {
            return Ok(());
        }
        self.shadow = Some(Shadow::default());
        self.dumps = everything();
        self.next_dump()
    }

    /// A present link by name.
    pub fn by_name(&self, name: &str) -> Option<&Link> {
        self.links.get(self.names.get(name)?)
    }

    /// A present link by index.
    pub fn by_index(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Index of the VRF that a virtual link belongs into: the one that is named for it, else that of its base.
    pub fn vrf(&self, l: &VirtualLink) -> Option<u32> {
        match &l.vrf {
            Some(name) => self.by_name(name),
            None => self.by_name(&l.base)?.master.and_then(|m| self.by_index(m)),
        }
        .filter(|v| v.vrf_table.is_some())
        .map(|v| v.index)
    }

    /// What a driver says of its carrier; `None`: netlink's word counts. The link, if it went up or down by that.
    pub fn carrier(&mut self, name: &str, carrier: Option<bool>) -> Option<Link> {
        match carrier {
            Some(c) => drop(self.carriers.insert(name.into(), c)),
            None => drop(self.carriers.remove(name)),
        }
        let link = self.links.get_mut(self.names.get(name)?)?;
        let up = link.admin && carrier.unwrap_or(link.running);
        (std::mem::replace(&mut link.up, up) != up).then(|| link.clone())
    }

    /// All present links.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    fn resync(&mut self) -> io::Result<()> {
        self.shadow = None;
        self.dumps = everything();
        self.seen = Some(BTreeSet::new());
        if self.dumping { Ok(()) } else { self.next_dump() }
    }

    fn next_dump(&mut self) -> io::Result<()> {
        self.dumping = false;
        if let Some(request) = self.dumps.pop() {
            self.sequence = self.sequence.wrapping_add(1);
            if let Err(e) = self.channel.send(request, NLM_F_DUMP, self.sequence) {
                self.dumps.clear();
                // Another time.
                if self.shadow.take().is_some() {
                    return Ok(());
                }
                // All of it again at the next reading.
                self.seen = None;
                self.overrun = true;
                return Err(e);
            }
            self.dumping = true;
        }
        Ok(())
    }

    /// Reads what is there, at most `budget` datagrams; true when more may be left. Changes of one link within one call are one
    /// event.
    pub fn read(&mut self, budget: usize, events: &mut Vec<Event>) -> io::Result<bool> {
        let mut changed = std::mem::take(&mut self.changed);
        let mut more = true;
        for _ in 0..budget {
            match self.channel.read()? {
                Read::Empty => {
                    more = false;
                    if std::mem::take(&mut self.overrun) {
                        self.resyncing = true;
                        self.resync()?;
                    }
                    break;
                }
                Read::Overrun => {
                    log::warn!("netlink: receive buffer overrun, reading everything anew");
                    self.overrun = true;
                }
                Read::Messages(messages) => {
                    for m in messages {
                        if let Some(shadow) = &mut self.shadow {
                            shadow.torn |= m.header.flags & NLM_F_DUMP_INTR != 0;
                            if let NetlinkPayload::InnerMessage(inner) = &m.payload {
                                self.take_aside(inner.clone());
                                // An answer is no news.
                                if m.header.flags & NLM_F_MULTIPART != 0 {
                                    continue;
                                }
                            }
                        }
                        match m.payload {
                            NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewRoute(r))
                                if m.header.flags & NLM_F_REPLACE != 0 =>
                            {
                                events.push(Event::RouteReplaced(Box::new(r)));
                            }
                            NetlinkPayload::InnerMessage(inner) => self.take(inner, &mut changed, events),
                            NetlinkPayload::Done(_) => self.dump_done(&mut changed, events)?,
                            NetlinkPayload::Error(_) => {
                                // Half an answer is nothing to compare with: another time.
                                if self.shadow.take().is_some() {
                                    self.dumps.clear();
                                }
                                self.next_dump()?;
                            }
                            NetlinkPayload::Overrun(_) => self.overrun = true,
                            _ => {}
                        }
                    }
                }
            }
        }
        let compared = self.compared.take_if(|_| !more);
        if self.settled() {
            events.extend(changed.iter().filter_map(|i| self.links.get(i)).cloned().map(Event::Link));
            let again = std::mem::take(&mut self.set_down).into_iter().filter_map(|i| self.links.get(&i));
            events.extend(again.filter(|l| l.admin).map(|l| Event::Blinked(l.name.clone())));
            if std::mem::take(&mut self.resyncing) {
                events.push(Event::Resynced);
            }
            events.extend(compared.map(Event::Refreshed));
        } else {
            self.changed = changed;
        }
        Ok(more)
    }

    /// Takes what was told or answered into the second copy.
    fn take_aside(&mut self, message: RouteNetlinkMessage) {
        let Some(mut shadow) = self.shadow.take() else { return };
        let mut swap = |mirror: &mut Mirror| {
            std::mem::swap(&mut mirror.links, &mut shadow.links);
            std::mem::swap(&mut mirror.names, &mut shadow.names);
        };
        swap(self);
        self.take(message, &mut BTreeSet::new(), &mut Vec::new());
        swap(self);
        self.shadow = Some(shadow);
    }

    /// The second copy is whole: what the first one has otherwise was not told.
    fn compare(&mut self, shadow: Shadow, changed: &mut BTreeSet<u32>, events: &mut Vec<Event>) {
        if shadow.torn {
            return;
        }
        let mut differing = Vec::new();
        let known: Vec<(u32, String)> = self.links.iter().map(|(i, l)| (*i, l.name.clone())).collect();
        for (index, name) in known {
            if shadow.links.get(&index).is_none_or(|l| l.name != name) {
                self.forget(index);
                changed.remove(&index);
                differing.push(name.clone());
                if shadow.links.contains_key(&index) {
                    events.push(Event::Renamed(name.clone(), index));
                }
                events.push(Event::Gone(name));
            }
        }
        for (index, mut link) in shadow.links {
            // A driver may have been asked since.
            link.up = link.admin && self.carriers.get(&link.name).copied().unwrap_or(link.running);
            if self.links.get(&index).is_some_and(|l| l.is_like(&link)) {
                continue;
            }
            differing.push(link.name.clone());
            self.names.insert(link.name.clone(), index);
            self.links.insert(index, link);
            changed.insert(index);
        }
        self.compared = Some(differing);
    }

    /// Takes a link out of the copy: its name.
    fn forget(&mut self, index: u32) -> Option<String> {
        let name = self.links.remove(&index)?.name;
        if self.names.get(&name) == Some(&index) {
            self.names.remove(&name);
        }
        Some(name)
    }

    fn dump_done(&mut self, changed: &mut BTreeSet<u32>, events: &mut Vec<Event>) -> io::Result<()> {
        self.next_dump()?;
        if let Some(shadow) = self.shadow.take_if(|_| !self.dumping) {
            self.compare(shadow, changed, events);
        }
        // Links come first; those that the dump did not have are gone.
        if let Some(seen) = self.seen.take_if(|_| self.dumps.is_empty()) {
            let gone: Vec<u32> = self.links.keys().filter(|i| !seen.contains(i)).copied().collect();
            for index in gone {
                if let Some(name) = self.forget(index) {
                    events.push(Event::Gone(name));
                }
            }
            for link in self.links.values_mut() {
                // The dump of addresses that follows fills them again.
                link.addresses.clear();
                link.variants.clear();
                changed.insert(link.index);
            }
        }
        Ok(())
    }

    fn take(&mut self, message: RouteNetlinkMessage, changed: &mut BTreeSet<u32>, events: &mut Vec<Event>) {
        match message {
            RouteNetlinkMessage::NewLink(m) => {
                let index = m.header.index;
                // AF_BRIDGE notifications speak of ports, not of links.
                if m.header.interface_family != netlink_packet_route::AddressFamily::Unspec {
                    return;
                }
                if let Some(seen) = &mut self.seen {
                    seen.insert(index);
                }
                let mut link = self.links.get(&index).cloned().unwrap_or_default();
                let old_name = link.name.clone();
                link.index = index;
                let was_set_up = std::mem::replace(&mut link.admin, m.header.flags.contains(LinkFlags::Up));
                if was_set_up && !link.admin {
                    self.set_down.insert(index);
                }
                link.running = m.header.flags.contains(LinkFlags::Running);
                link.master = None;
                for a in m.attributes {
                    match a {
                        LinkAttribute::IfName(n) => link.name = n,
                        LinkAttribute::Mtu(n) => link.mtu = n,
                        LinkAttribute::Link(n) => link.parent = Some(n),
                        LinkAttribute::Controller(n) => link.master = Some(n),
                        LinkAttribute::LinkInfo(infos) => {
                            link.vrf_table = infos.iter().find_map(|i| match i {
                                LinkInfo::Data(InfoData::Vrf(d)) => d.iter().find_map(|v| match v {
                                    InfoVrf::TableId(t) => Some(*t),
                                    _ => None,
                                }),
                                _ => None,
                            });
                            let kinds = [InfoKind::MacVlan, InfoKind::IpVlan].map(LinkInfo::Kind);
                            link.is_virtual = infos.iter().any(|i| kinds.contains(i));
                            link.isolation = infos.contains(&kinds[1]).then(|| isolation(&infos));
                        }
                        LinkAttribute::Address(bytes) => link.mac = Mac(bytes.try_into().unwrap_or_default()),
                        _ => {}
                    }
                }
                link.up = link.admin && self.carriers.get(&link.name).copied().unwrap_or(link.running);
                if !old_name.is_empty() && old_name != link.name {
                    events.push(Event::Renamed(old_name.clone(), index));
                    events.push(Event::Gone(old_name));
                }
                // A name that is another link's: the old one went without a word, or to a name that is not known yet.
                if let Some(old) = self.names.get(&link.name).copied().filter(|old| *old != index) {
                    self.forget(old);
                    events.push(Event::Renamed(link.name.clone(), old));
                }
                self.forget(index);
                self.names.insert(link.name.clone(), index);
                self.links.insert(index, link);
                changed.insert(index);
            }
            RouteNetlinkMessage::DelLink(m) => {
                if m.header.interface_family == netlink_packet_route::AddressFamily::Unspec
                    && let Some(name) = self.forget(m.header.index)
                {
                    changed.remove(&m.header.index);
                    events.push(Event::Gone(name));
                }
            }
            RouteNetlinkMessage::NewAddress(m) => {
                let (index, usable) = (
                    m.header.index,
                    flags(&m) & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0 || flags(&m) & IFA_F_OPTIMISTIC != 0,
                );
                let Some(cidr) = cidr(&m) else { return };
                let Some(link) = self.links.get_mut(&index) else { return };
                let known = link.addresses.iter().position(|a| *a == cidr);
                if usable {
                    link.variant(cidr, far_end(&m));
                } else if link.variant_gone(cidr, far_end(&m)) == Remains::Another {
                    return;
                }
                match (usable, known) {
                    (true, None) => link.addresses.push(cidr),
                    (false, Some(at)) => {
                        link.addresses.remove(at);
                    }
                    _ => return,
                }
                changed.insert(index);
            }
            RouteNetlinkMessage::DelAddress(m) => {
                let Some(cidr) = cidr(&m) else { return };
                if let Some(link) = self.links.get_mut(&m.header.index) {
                    let remains = link.variant_gone(cidr, far_end(&m));
                    if remains == Remains::Nothing {
                        link.addresses.retain(|a| *a != cidr);
                    }
                    changed.insert(m.header.index);
                    events.push(Event::AddressRemoved(link.name.clone(), cidr, remains));
                }
            }
            RouteNetlinkMessage::DelRoute(m) => events.push(Event::RouteRemoved(Box::new(m))),
            RouteNetlinkMessage::DelRule(m) => events.push(Event::RuleRemoved(Box::new(m))),
            _ => {}
        }
    }
}

/// Requests for all that there is, the last one first: addresses need their links.
fn everything() -> Vec<RouteNetlinkMessage> {
    let mut address = AddressMessage::default();
    address.header.family = AddressFamily::Unspec;
    vec![RouteNetlinkMessage::GetAddress(address), RouteNetlinkMessage::GetLink(LinkMessage::default())]
}

fn isolation(infos: &[LinkInfo]) -> Isolation {
    let flags = infos.iter().find_map(|i| match i {
        LinkInfo::Data(InfoData::IpVlan(d)) => d.iter().find_map(|v| match v {
            InfoIpVlan::Flags(f) => Some(*f),
            _ => None,
        }),
        _ => None,
    });
    match flags {
        Some(f) if f.contains(IpVlanFlags::Private) => Isolation::Private,
        Some(f) if f.contains(IpVlanFlags::Vepa) => Isolation::Vepa,
        _ => Isolation::Bridge,
    }
}

impl Link {
    /// They do not differ but in the order of addresses, in which those that were told one by one may be another.
    fn is_like(&self, other: &Link) -> bool {
        let sorted = |l: &Link| {
            let mut l = l.clone();
            l.addresses.sort_unstable();
            // What is left alone of several is listed, what was always alone is not.
            l.variants.sort_unstable();
            let all = l.variants.clone();
            l.variants.retain(|(c, far)| *far != c.address || all.iter().filter(|v| v.0 == *c).count() > 1);
            l
        };
        self == other || sorted(self) == sorted(other)
    }

    fn variant(&mut self, cidr: IpCidr, far: Option<IpAddr>) {
        // IPv6 has an address once on a link, and changes its far end in place.
        if cidr.address.is_ipv6() {
            return;
        }
        let far = far.unwrap_or(cidr.address);
        let listed = self.variants.iter().any(|(c, _)| *c == cidr);
        if far == cidr.address && !listed {
            return;
        }
        // The one that was alone has become one of several.
        if !listed && self.addresses.contains(&cidr) {
            self.variants.push((cidr, cidr.address));
        }
        if !self.variants.contains(&(cidr, far)) {
            self.variants.push((cidr, far));
        }
    }

    fn variant_gone(&mut self, cidr: IpCidr, far: Option<IpAddr>) -> Remains {
        let far = far.unwrap_or(cidr.address);
        self.variants.retain(|v| *v != (cidr, far));
        if self.variants.iter().any(|(c, _)| *c == cidr) { Remains::Another } else { Remains::Nothing }
    }

    /// It is what is wanted.
    pub fn fits(&self, l: &VirtualLink, mirror: &Mirror) -> bool {
        let kind = match l.kind {
            LinkKind::Macvlan(mac) => self.is_virtual && self.isolation.is_none() && self.mac == mac,
            LinkKind::Ipvlan(isolation) => self.isolation == Some(isolation),
        };
        kind && mirror.by_name(&l.base).is_some_and(|b| self.parent == Some(b.index))
    }
}

fn flags(m: &AddressMessage) -> u32 {
    m.attributes
        .iter()
        .find_map(|a| if let AddressAttribute::Flags(f) = a { Some(f.bits()) } else { None })
        .unwrap_or(u32::from(m.header.flags.bits()))
}

/// Where a point-to-point address leads; elsewhere the address itself.
fn far_end(m: &AddressMessage) -> Option<IpAddr> {
    m.attributes.iter().find_map(|a| if let AddressAttribute::Address(x) = a { Some(*x) } else { None })
}

/// Local is ours; Address is the peer's on point-to-point links and the same otherwise.
fn cidr(m: &AddressMessage) -> Option<IpCidr> {
    let local = m.attributes.iter().find_map(|a| if let AddressAttribute::Local(x) = a { Some(*x) } else { None });
    let address = m.attributes.iter().find_map(|a| if let AddressAttribute::Address(x) = a { Some(*x) } else { None });
    Some(IpCidr { address: local.or(address)?, prefix: m.header.prefix_len })
}
