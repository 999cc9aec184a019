//! What the role does to the host: objects into the kernel, adverts and announcements onto the wire.

use super::plan::Plan;
use super::settings::Settings;
use super::waiting::Waiting;
use crate::repair::{Repair, refused};
use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::time::Duration;
use steadfast_core::kernel::{Block, LinkKind, Object, VirtualLink};
use steadfast_core::{Family, Time};
use steadfast_net::announce::Announcer;
use steadfast_net::netlink::{Kernel, Link, Mirror};
use steadfast_net::nft::{Entry, Firewall};
use steadfast_net::vrrp_socket::Sender;
use steadfast_vrrp::Send;

/// The host.
pub struct System {
    /// Links and addresses.
    pub mirror: Mirror,
    /// Requests.
    pub kernel: Kernel,
    /// Settings that were changed.
    pub settings: Settings,
    firewall: Firewall,
    /// A socket of the firewall that is to be watched.
    pub new_socket: Option<RawFd>,
    repair: Repair,
    sender: Sender,
    announcer: Announcer,
    /// Announcements to be made.
    pub waiting: Waiting,
    send_failure: Option<Time>,
    /// Index of each virtual link that was set up.
    prepared: HashMap<String, u32>,
    /// And of those whose secondary addresses stay when a first one goes.
    promoted: HashMap<String, u32>,
    /// Links that the kernel did not change, which was said.
    unchanged: HashSet<u32>,
    /// Some of them are to be tried again.
    again: bool,
}

fn entry(b: &Block) -> Entry {
    match (b.address, &b.interface) {
        (IpAddr::V6(a), Some(link)) => Entry::LinkLocal(a, link.to_string()),
        (a, _) => Entry::Address(a),
    }
}

impl System {
    /// Opens what is needed at once.
    pub fn open(plan: &Plan, settings: Settings, announcer: Option<Announcer>) -> io::Result<Self> {
        let mut system = System {
            mirror: Mirror::open(plan.buffers.monitor)?,
            kernel: Kernel::open(plan.buffers.command)?,
            settings,
            firewall: Firewall::new(plan.firewall.clone()),
            new_socket: None,
            repair: Repair::default(),
            sender: Sender::new(),
            announcer: announcer.map_or_else(Announcer::open, Ok)?,
            waiting: Waiting::default(),
            send_failure: None,
            prepared: HashMap::new(),
            promoted: HashMap::new(),
            unchanged: HashSet::new(),
            again: false,
        };
        // An earlier life had another name for what would block our addresses now.
        let former = std::mem::take(&mut system.settings.table);
        if !former.is_empty() && former != plan.firewall.table {
            system.discard(Some(&former));
        }
        Ok(system)
    }

    /// It is there on our behalf, or on its way.
    pub fn owns(&self, object: &Object) -> bool {
        match object {
            Object::Block(b) => self.firewall.has(&entry(b)),
            other => self.kernel.owns(other),
        }
    }

    /// Takes an object out that another process has put there.
    pub fn remove_foreign(&mut self, object: Object) {
        if let Object::Block(b) = &object {
            match self.firewall.clear(&entry(b)) {
                Ok(true) => self.new_socket = self.firewall.fd(),
                Ok(false) => {}
                Err(e) => log::debug!("nftables: {e}"),
            }
        }
        self.remove(object);
    }

    /// Puts an object into the kernel.
    pub fn add(&mut self, object: Object) {
        if let Object::Block(b) = &object {
            self.firewall.add(entry(b));
        } else {
            // A block is there before the address that it is for.
            self.flush();
            self.kernel.add(object, &self.mirror);
        }
    }

    /// Puts an object into the place of another, which is ours.
    pub fn replace(&mut self, old: Object, new: Object) {
        self.flush();
        let link = if let Object::Link(l) = &new { Some(l.clone()) } else { None };
        self.kernel.replace(old, new, &self.mirror);
        // One that stays may belong elsewhere by now.
        link.iter().for_each(|l| self.follow(l));
    }

    /// Takes an object out of the kernel.
    pub fn remove(&mut self, object: Object) {
        match &object {
            Object::Block(b) => self.firewall.remove(&entry(b)),
            other => {
                if let Object::Address(a) = other {
                    self.waiting.give_up(&a.interface, a.cidr.address);
                }
                if let Object::Link(l) = other {
                    self.firewall.remove(&Entry::Reports(l.family, l.name.clone()));
                    self.prepared.remove(&l.name);
                }
                self.kernel.remove(object, &self.mirror);
            }
        }
    }

    /// Hands on what waits for the firewall.
    pub fn flush(&mut self) {
        match self.firewall.flush() {
            Ok(true) => self.new_socket = self.firewall.fd(),
            Ok(false) => {}
            Err(e) => log::error!("nftables: {e}; traffic of virtual addresses is not blocked"),
        }
        self.remember_table();
    }

    fn remember_table(&mut self) {
        let table = self.firewall.table().unwrap_or_default();
        if self.settings.table != table {
            self.settings.table = table.to_string();
        }
    }

    /// A configuration, which may want other tables.
    pub fn configure(&mut self, plan: &Plan) {
        if let Err(e) = self.firewall.configure(&plan.firewall) {
            log::error!("nftables: {e}; traffic of virtual addresses is not blocked");
        }
        self.remember_table();
    }

    /// Takes away what no configuration wants any more: tables without an element where nothing of their family is to be blocked, and settings of the
    /// kernel where none is to be changed.
    pub fn tidy(&mut self, plan: &Plan, blocks: impl Fn(Family) -> bool) {
        let links = |family| plan.virtual_links.values().any(|l| l.family == family);
        if let Err(e) = self.firewall.tidy(|family| blocks(family) || links(family)) {
            log::warn!("nftables: cannot remove the tables: {e}");
        }
        if plan.virtual_links.is_empty() && plan.promote_secondaries.is_empty() && !plan.no_local_reports {
            self.settings.restore();
            self.promoted.clear();
        }
        self.settings.free(|link| is_base(link, plan));
    }

    /// The kernel refused to raise a link, or to put it into its VRF: that is tried again within a second. Two links of
    /// one virtual MAC cannot be up on one base, and the former one may still be there.
    pub fn not_changed(&mut self, index: u32, why: &impl std::fmt::Display) {
        if self.unchanged.insert(index) {
            let name = self.mirror.by_index(index).map_or_else(|| index.to_string(), |l| l.name.clone());
            log::warn!("the kernel did not change link {name}: {why}");
        }
        self.prepared.retain(|_, prepared| *prepared != index);
        self.again = true;
    }

    /// What the kernel refused of links is asked for again. To be called once a second.
    pub fn prepare_again(&mut self, plan: &Plan) {
        if !std::mem::take(&mut self.again) {
            return;
        }
        let late = plan.virtual_links.keys().filter(|n| !self.prepared.contains_key(n.as_str()));
        let links: Vec<Link> = late.filter_map(|n| self.mirror.by_name(n)).cloned().collect();
        links.iter().for_each(|l| self.prepare(l, plan));
    }

    /// Traffic may still be blocked by an earlier daemon.
    pub fn discard_blocks(&mut self) {
        self.discard(None);
    }

    fn discard(&mut self, table: Option<&str>) {
        match self.firewall.discard(table) {
            Ok(true) => self.new_socket = self.firewall.fd(),
            Ok(false) => {}
            Err(e) => log::debug!("nftables: {e}"),
        }
    }

    /// A link that came or changed: virtual ones and what they sit on need their settings.
    pub fn prepare(&mut self, link: &Link, plan: &Plan) {
        if plan.promote_secondaries.contains(&link.name)
            && self.promoted.insert(link.name.clone(), link.index) != Some(link.index)
        {
            self.settings.set(4, &link.name, "promote_secondaries", "1");
        }
        if is_base(&link.name, plan) {
            self.settings.base(&link.name);
        }
        links_on(&link.name, plan).for_each(|l| self.follow(l));
        if link.vrf_table.is_some() {
            let named = plan.virtual_links.values().filter(|l| l.vrf.as_deref() == Some(&link.name));
            named.for_each(|l| self.follow(l));
        }
        let Some(own) = plan.virtual_links.get(&link.name) else { return };
        self.follow(own);
        // Of one that was right: clients would be answered by an address that goes with no master.
        if let LinkKind::Macvlan(mac) = own.kind
            && link.mac != mac
            && self.prepared.get(&link.name) == Some(&link.index)
        {
            log::warn!("{} was given the address {} by somebody; putting {mac} back", link.name, link.mac);
            self.kernel.set_mac(link.index, mac);
        }
        if link.fits(own, &self.mirror) && self.prepared.get(&link.name) != Some(&link.index) {
            self.prepared.insert(link.name.clone(), link.index);
            if matches!(own.kind, LinkKind::Macvlan(_)) {
                Settings::virtual_link(&link.name, own.family == Family::V6);
                self.firewall.add(Entry::Reports(own.family, link.name.clone()));
                self.flush();
            } else {
                Settings::ipvlan(&link.name, own.family == Family::V6);
            }
            self.kernel.raise(link.index);
        }
    }

    /// A virtual link is in the VRF of its base, or in the one that is named for it.
    fn follow(&mut self, l: &VirtualLink) {
        let Some(own) = self.mirror.by_name(&l.name).filter(|own| own.fits(l, &self.mirror)) else { return };
        let vrf = self.mirror.vrf(l);
        // A bridge or a bond that somebody has put it into is his business.
        let in_vrf = own.master.is_none_or(|m| self.mirror.by_index(m).is_some_and(|m| m.vrf_table.is_some()));
        if own.master != vrf && in_vrf {
            self.kernel.enslave(own.index, vrf);
        }
    }

    /// What the firewall's socket says.
    pub fn firewall_readable(&mut self, t: Time) {
        let mut failed = Vec::new();
        match self.firewall.read(&mut failed) {
            Ok(true) if self.repair.due(t) => {
                if let Err(e) = self.firewall.restore() {
                    log::error!("nftables: {e}");
                }
            }
            Ok(_) => {}
            Err(e) => log::error!("nftables: {e}"),
        }
        refused(failed);
    }

    /// Puts back what was not put back at once, since somebody removes it again and again. To be called once a second.
    pub fn repair(&mut self, t: Time) {
        if self.repair.overdue(t)
            && let Err(e) = self.firewall.restore()
        {
            log::error!("nftables: {e}");
        }
    }

    /// Sends an advert.
    pub fn send(&mut self, s: &Send, t: Time) {
        if let Err(e) = self.sender.send(s.interface, s.source, s.destination, s.hop_limit, &s.payload, s.whole)
            && self.send_failure.is_none_or(|at| t.since(at) > Duration::from_secs(10))
        {
            self.send_failure = Some(t);
            log::warn!("cannot send an advert to {}: {e}", s.destination);
        }
    }

    /// Makes the announcements whose turn it is.
    pub fn announce(&mut self) {
        for (interface, address) in self.waiting.next() {
            let Some(l) = self.mirror.by_name(&interface) else { continue };
            match self.announcer.announce(l.index, l.mac, address) {
                // Each packet has its line, as with keepalived; without -D none of it is made.
                Ok(()) if log::log_enabled!(log::Level::Debug) => {
                    let what = if address.is_ipv6() { "unsolicited Neighbour Advert" } else { "gratuitous ARP" };
                    log::debug!("Sending {what} on {interface} for {address}");
                }
                Ok(()) => {}
                Err(e) => log::debug!("cannot announce {address} on {interface}: {e}"),
            }
        }
    }

    /// One announcement without a line in the log. The machine bounds how many there are.
    pub fn remind(&mut self, interface: &str, address: IpAddr) {
        if let Some(l) = self.mirror.by_name(interface) {
            let _ = self.announcer.announce(l.index, l.mac, address);
        }
    }

    /// Leaves the host as it was found.
    pub fn close(&mut self) {
        if let Err(e) = self.firewall.close() {
            log::warn!("nftables: cannot remove the tables: {e}");
        }
        self.settings.restore();
    }
}

/// Virtual links on a link.
fn links_on<'a>(link: &str, plan: &'a Plan) -> impl Iterator<Item = &'a VirtualLink> {
    plan.links_on.get(link).into_iter().flatten().filter_map(|name| plan.virtual_links.get(name))
}

/// Virtual links are on it whose addresses it must not answer for.
fn is_base(link: &str, plan: &Plan) -> bool {
    links_on(link, plan).any(|v| v.family == Family::V4 && matches!(v.kind, LinkKind::Macvlan(_)))
}
