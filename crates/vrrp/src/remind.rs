//! A master's announcements that nobody asked for.
//!
//! Where two masters of one address hear each other again and the loser hears the winner's advert first, a keepalived or an FRR gives way
//! without a word: the winner cannot know that there were two, and clients keep the loser's MAC address until their own neighbour probes
//! fail, half a minute later. So a master repeats one announcement of each address now and then, unless the administrator says a period of
//! his own (`garp_master_refresh`; 0 is none).

use crate::Output;
use crate::keys::Key;
use crate::machine::Standing;
use crate::router::Router;
use std::time::Duration;
use steadfast_core::kernel::Address;
use steadfast_core::{Family, Time};

/// Each address is announced once in this time.
const PERIOD: Duration = Duration::from_secs(5);
/// With many addresses it takes longer: no more than [`AT_ONCE`] are announced in this time.
const TURN: Duration = Duration::from_secs(1);
/// Announcements of one turn.
const AT_ONCE: usize = 50;

impl Router {
    /// A master is there, or settings are new: the next turn comes unless it is waited for already.
    pub(crate) fn arm_reminder(&mut self, now: Time) {
        if self.timers.get(Key::Remind).is_none() && self.reminded().next().is_some() {
            self.timers.set(Key::Remind, now + PERIOD);
        }
    }

    /// The addresses that take part, each with the slot of its instance.
    fn reminded(&self) -> impl Iterator<Item = (u32, &Address)> {
        let slots = self.order.iter().filter_map(|i| Some((*i, self.slot(*i)?)));
        let masters = slots.filter(|(_, x)| x.config.garp.unasked && x.standing() == Standing::Master);
        masters.flat_map(|(i, x)| x.config.addresses.iter().chain(&x.config.excluded).map(move |a| (i, a)))
    }

    /// Announces those whose turn it is.
    pub(crate) fn remind(&mut self, now: Time, out: &mut Vec<Output>) {
        let all = self.reminded().count();
        if all == 0 {
            return;
        }
        let share = (all as u128 * TURN.as_nanos()).div_ceil(PERIOD.as_nanos()) as usize;
        let count = share.clamp(1, AT_ONCE);
        let from = self.last_reminded % all;
        let turn: Vec<_> = (self.reminded().skip(from).chain(self.reminded().take(from)).take(count))
            .map(|(i, a)| (i, a.interface.to_string(), a.cidr.address))
            .collect();
        self.last_reminded = (from + count) % all;
        for (i, interface, address) in turn {
            // Whoever listens does not know whether the addresses are still its own, and what was given up a moment ago is not.
            let master = |r: &Router| r.slot(i).is_some_and(|x| x.standing() == Standing::Master);
            if !master(self) || self.notice_oversleep(i, now, out) || !master(self) {
                continue;
            }
            let family = Family::of(address);
            if self.pacer.gap(&interface, family).is_zero() {
                out.push(Output::Remind { interface, address });
            } else if self.pacer.is_idle(&interface, family) {
                // It goes before nothing that somebody has asked for.
                self.announce(i, &interface, address, now, out);
            }
        }
        let next = (PERIOD * count as u32 / u32::try_from(all).unwrap_or(u32::MAX)).max(TURN);
        self.timers.set(Key::Remind, now + next);
    }
}

#[cfg(test)]
mod tests;
