//! Announcing addresses to those who share their links.

use crate::Output;
use crate::adverts::CALM;
use crate::garp::Waiting;
use crate::instance::Instance;
use crate::keys::{Key, Which};
use crate::machine::Standing;
use crate::router::Router;
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{Family, Time};

impl Router {
    /// Announces every address `repeat` times.
    pub(crate) fn burst(&mut self, i: u32, repeat: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        let all: Vec<_> = x
            .config
            .addresses
            .iter()
            .chain(&x.config.excluded)
            .map(|a| (a.interface.clone(), a.cidr.address))
            .collect();
        for (interface, address) in &all {
            let what = if address.is_ipv6() { "Unsolicited Neighbour Adverts" } else { "gratuitous ARPs" };
            let text = format_args!("Sending/queueing {what} on {interface} for {address}");
            self.log(Level::Debug, i, text, out);
        }
        let most = crate::garp::MOST / all.len().max(1);
        for _ in 0..(repeat as usize).min(most) {
            for (interface, address) in &all {
                self.announce(i, interface, *address, now, out);
            }
        }
    }

    /// One announcement of each address on a link that adverts do not leave by.
    pub(crate) fn announce_elsewhere(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        let Some((period, everywhere)) = x.config.garp.extra else { return };
        let is_virtual = |name: &str| self.statics.iter().any(|o| matches!(o, Object::Link(l) if l.name == name));
        let elsewhere: Vec<_> = (x.config.addresses.iter().chain(&x.config.excluded))
            .filter(|a| a.interface != x.config.link() && (everywhere || is_virtual(&a.interface)))
            .map(|a| (a.interface.clone(), a.cidr.address))
            .collect();
        for (interface, address) in elsewhere {
            self.announce(i, &interface, address, now, out);
        }
        self.set_timer(i, Which::GarpExtra, now + period.max(Duration::from_secs(1)));
    }

    /// One announcement, at once or by way of the queue.
    pub(crate) fn announce(&mut self, i: u32, interface: &str, address: IpAddr, now: Time, out: &mut Vec<Output>) {
        if self.pacer.gap(interface, Family::of(address)).is_zero() {
            out.push(Output::Announce { interface: interface.into(), address });
            return;
        }
        let (id, at) = self.pacer.push(now, interface, Waiting { instance: i, address });
        if self.timers.get(Key::Pace(id)).is_none() {
            self.timers.set(Key::Pace(id), at);
        }
    }

    pub(crate) fn pace(&mut self, id: u32, now: Time, out: &mut Vec<Output>) {
        // void entries cost no gap
        loop {
            let Some((waiting, interface, next)) = self.pacer.pop(now, id) else { return };
            let slot = self.slots.get(waiting.instance as usize).and_then(Option::as_ref);
            // an address may have left the configuration since
            let held = |x: &Instance| {
                let c = &x.config;
                x.objects_set && c.addresses.iter().chain(&c.excluded).any(|a| a.cidr.address == waiting.address)
            };
            if slot.is_some_and(held) && !self.notice_oversleep(waiting.instance, now, out) {
                out.push(Output::Announce { interface, address: waiting.address });
                if let Some(at) = next {
                    self.timers.set(Key::Pace(id), at);
                }
                return;
            }
        }
    }

    /// Clients may have another router's MAC address: announce this instance and its group again, but not without end.
    pub(crate) fn reannounce(&mut self, i: u32, repeat: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if x.reannounced.is_none_or(|t| now.since(t) >= CALM) {
            x.reannounced = Some(now);
            x.bursts = 0;
        }
        x.bursts += 1;
        // the second one in a second is for the loser's last word, which comes after it has let go
        if x.bursts > 2 {
            // one more when it is over
            let at = x.reannounced.map_or(now, |t| t + CALM);
            if self.timer(i, Which::GarpAfter).is_none() {
                self.set_timer(i, Which::GarpAfter, at);
            }
            return;
        }
        let (later, delay) = (x.config.garp.lower_prio_repeat > 0, x.config.garp.lower_prio_delay);
        for m in self.members_with(i) {
            if self.slot(m).is_some_and(|x| x.standing() == Standing::Master) {
                self.burst(m, repeat, now, out);
                if later && !delay.is_zero() {
                    self.set_timer(m, Which::GarpLower, now + delay);
                }
            }
        }
    }
}
