//! What the kernel says of links, addresses, routes and rules.

use super::*;

impl Role {
    pub(super) fn netlink(&mut self, t: Time) {
        let mut outcomes = Vec::new();
        if let Err(e) = self.system.kernel.read(&self.system.mirror, &mut outcomes) {
            log::error!("netlink: {e}");
        }
        for outcome in outcomes {
            match outcome {
                Outcome::Added(o) => self.router.handle(t, Input::ObjectAdded(&o), &mut self.out),
                Outcome::Refused(o, e) => {
                    self.router.handle(t, Input::ObjectRefused(&o, &e.to_string()), &mut self.out)
                }
                Outcome::Unchanged(o, e) => {
                    self.router.handle(t, Input::ObjectUnchanged(&o, &e.to_string()), &mut self.out)
                }
                Outcome::NotRemoved(o, e) => {
                    log::warn!("the kernel did not remove {o}: {e}");
                }
                Outcome::Replaced(o) if !self.system.owns(&o) => self.keep_object(&o, false),
                Outcome::Replaced(_) => {}
                Outcome::NotChanged(index, e) => self.system.not_changed(index, &e),
            }
        }
        if !self.netlink_more {
            return;
        }
        let mut events = Vec::new();
        let budget = if self.system.mirror.is_refreshing() { ANSWERS } else { DATAGRAMS };
        match self.system.mirror.read(budget, &mut events) {
            Ok(more) => self.netlink_more = more,
            Err(e) => {
                log::error!("netlink: {e}");
                self.netlink_more = false;
            }
        }
        let mut links = false;
        for event in &events {
            self.lost.extend(self.system.kernel.lost(event, &self.system.mirror));
            match event {
                Event::Link(l) => {
                    links = true;
                    self.tell_addresses(l);
                    self.beats_of_links.heard(&l.name, t);
                    self.system.prepare(l, &self.plan);
                    self.router.handle(t, Input::Link(link(l)), &mut self.out);
                }
                Event::Renamed(name, index) => self.system.kernel.renamed(name, *index, &self.system.mirror),
                Event::Gone(name) => {
                    links = true;
                    self.tell_gone(name);
                    self.router.handle(t, Input::LinkGone(name), &mut self.out);
                }
                Event::Blinked(name) => self.router.handle(t, Input::LinkBlinked(name), &mut self.out),
                Event::Resynced => {}
                _ => {}
            }
        }
        // After the links: what went with the last source address is not put back, or the source that returns would be secondary to
        // it, and go with it. The source's own loss may still be in the queue, which a routing daemon may keep full.
        if !self.lost.is_empty() {
            self.lost_since.get_or_insert(t);
        }
        let late = self.lost_since.is_some_and(|at| t.since(at) >= QUEUE);
        if !self.netlink_more || late || self.lost.len() > LOSSES {
            self.lost_since = None;
            for object in std::mem::take(&mut self.lost) {
                self.router.handle(t, Input::ObjectLost(&object), &mut self.out);
            }
        }
        if events.iter().any(|e| matches!(e, Event::Resynced)) {
            for object in self.system.kernel.missing(&self.system.mirror) {
                self.router.handle(t, Input::ObjectLost(&object), &mut self.out);
            }
            self.system.kernel.expect_nothing();
            self.system.kernel.affirm(&self.system.mirror, true);
        }
        if let Some(Event::Refreshed(links)) = events.iter().find(|e| matches!(e, Event::Refreshed(_))) {
            self.refreshed(links, t);
        }
        if links {
            self.sockets();
        }
    }

    /// All links and addresses have been read again.
    fn refreshed(&mut self, links: &[String], t: Time) {
        if !links.is_empty() {
            log::warn!("netlink: not told of changes of {}; they are known now", links.join(", "));
        }
        for object in self.system.kernel.missing(&self.system.mirror) {
            self.router.handle(t, Input::ObjectLost(&object), &mut self.out);
        }
        self.system.kernel.affirm(&self.system.mirror, false);
        // The second copy, and what compares it, is needed for milliseconds of each minute.
        if !self.fetched {
            schedule::give_memory_back();
        }
    }

    /// But not of addresses that somebody else may serve by now.
    pub(super) fn renew_leases(&mut self) {
        self.system.kernel.refresh(&self.system.mirror, &self.router.withheld().collect());
    }

    /// Links whose drivers are asked for their carrier.
    pub(super) fn poll_links(&mut self, t: Time) {
        for l in self.beats_of_links.poll(&mut self.system.mirror, t) {
            self.router.handle(t, Input::Link(link(&l)), &mut self.out);
        }
    }

    /// -a: what came and went on a link.
    fn tell_addresses(&mut self, l: &steadfast_net::netlink::Link) {
        let Some(all) = &mut self.monitored else { return };
        let now: BTreeSet<std::net::IpAddr> = l.addresses.iter().map(|c| c.address).collect();
        let before = all.insert(l.name.clone(), now.clone()).unwrap_or_default();
        for a in now.difference(&before) {
            log::info!("Netlink reflector reports IP {a} added to {}", l.name);
        }
        for a in before.difference(&now) {
            log::info!("Netlink reflector reports IP {a} removed from {}", l.name);
        }
    }

    /// -a: what went with a link.
    fn tell_gone(&mut self, link: &str) {
        for a in self.monitored.as_mut().and_then(|all| all.remove(link)).into_iter().flatten() {
            log::info!("Netlink reflector reports IP {a} removed from {link}");
        }
    }
}

pub(super) fn link(l: &steadfast_net::netlink::Link) -> Link {
    Link {
        name: l.name.clone(),
        index: l.index,
        up: l.up,
        mtu: l.mtu,
        mac: l.mac,
        addresses: l.addresses.clone(),
        vrf: l.vrf_table.is_some(),
    }
}
