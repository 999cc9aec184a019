//! What managers ask for beside the views, and what they change.

use crate::router::Router;
use crate::{Counters, NewMaster, Output};
use log::Level;
use std::collections::HashMap;
use steadfast_core::Time;

impl Router {
    /// Why an instance became master.
    pub fn new_master(&self, name: &str) -> NewMaster {
        self.named(name).and_then(|i| self.slot(i)).map_or(NewMaster::Never, |x| x.new_master)
    }

    /// Adverts that came for router ids that are nobody's here.
    pub fn strangers(&self) -> u64 {
        self.strangers
    }

    /// Tracked files that were read: name and value.
    pub fn file_states(&self) -> impl Iterator<Item = (&str, i64)> {
        self.trackers.files.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// Links as the kernel has them: name, index, hardware address.
    pub fn links(&self) -> impl Iterator<Item = (&str, u32, steadfast_core::Mac)> {
        self.trackers.links.values().map(|l| (l.name.as_str(), l.index, l.mac))
    }

    /// What a former process counted goes on, by names of instances.
    pub fn inherit_counters(&mut self, counters: &HashMap<String, Counters>) {
        for x in self.slots.iter_mut().flatten() {
            if let Some(known) = counters.get(x.config.name.as_str()) {
                x.counters = known.clone();
            }
        }
    }

    /// A manager changes an instance. The configuration's word holds again after a reload.
    pub(crate) fn adjust(
        &mut self,
        now: Time,
        name: &str,
        priority: Option<u8>,
        preempt: Option<bool>,
        out: &mut Vec<Output>,
    ) {
        let Some(i) = self.named(name) else { return };
        let Some(x) = self.slot_mut(i) else { return };
        if let Some(p) = priority.filter(|p| (1..=254).contains(p) && x.config.priority != 255) {
            let before = std::mem::replace(&mut x.config.priority, p);
            x.adjusted.0 = Some(p);
            if before != p {
                out.push(Output::Log(
                    Level::Info,
                    format!("({name}) base priority changed from {before} to {p} by SNMP"),
                ));
            }
        }
        if let Some(on) = preempt
            && x.config.preempt != on
        {
            x.config.preempt = on;
            x.adjusted.1 = Some(on);
            let word = if on { "enabled" } else { "disabled" };
            out.push(Output::Log(Level::Info, format!("({name}) preemption {word} by SNMP")));
        }
        self.reevaluate(&[i], now, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::testkit::*;
    use crate::*;
    use steadfast_core::State;

    fn vi(priority: u8) -> InstanceConfig {
        instance("VI", 0, 51, priority)
    }

    #[test]
    fn priority_and_preemption_are_changed_until_the_next_reload() {
        let mut solo = Solo::master(one(vi(100)));
        solo.take();
        solo.input(Input::Adjust("VI", Some(70), Some(false)));
        let out = solo.take();
        for line in ["(VI) base priority changed from 100 to 70 by SNMP", "(VI) preemption disabled by SNMP"] {
            assert!(logs(&out).contains(&line), "{:?}", logs(&out));
        }
        solo.run_ms(1000);
        assert_eq!(sent(&solo.take()), [70]);
        // Nothing that is no priority of an advert, and nobody else.
        solo.input(Input::Adjust("VI", Some(0), None));
        solo.input(Input::Adjust("VI", Some(255), None));
        solo.input(Input::Adjust("another", Some(7), None));
        assert_eq!((solo.view().config.priority, solo.view().config.preempt), (70, false));
        let now = solo.now;
        solo.router.reload(now, one(vi(100)), &mut solo.out);
        assert_eq!((solo.view().config.priority, solo.view().config.preempt), (100, true));
    }

    #[test]
    fn what_was_set_and_counted_is_shown_and_goes_on() {
        let mut solo = Solo::master(one(vi(100)));
        assert_eq!(solo.view().adjusted, (None, None));
        solo.input(Input::Adjust("VI", Some(70), None));
        assert_eq!(solo.view().adjusted, (Some(70), None));
        let counters = solo.view().counters;
        assert!(counters.advert_sent > 0 && counters.become_master == 1);
        let mut next = Solo::new(one(vi(100)));
        next.router.inherit_counters(&[("VI".to_string(), counters.clone())].into());
        assert_eq!(next.view().counters.advert_sent, counters.advert_sent);
        // The words of the file hold again after a reload, and nothing is said to be set.
        let now = solo.now;
        solo.router.reload(now, one(vi(100)), &mut solo.out);
        assert_eq!((solo.view().adjusted, solo.view().config.priority), ((None, None), 100));
    }

    #[test]
    fn an_owner_stays_an_owner() {
        let mut c = vi(255);
        c.start_master = true;
        let mut solo = Solo::new(one(c));
        solo.input(Input::Adjust("VI", Some(100), None));
        assert_eq!(solo.view().priority, 255);
        assert_eq!((solo.state(), solo.router.new_master("VI")), (State::Master, NewMaster::Priority));
    }

    #[test]
    fn why_it_became_master() {
        let mut solo = Solo::new(one(vi(100)));
        assert_eq!(solo.router.new_master("VI"), NewMaster::Never);
        solo.run_to_master();
        assert_eq!(solo.router.new_master("VI"), NewMaster::NoResponse);
        let mut solo = Solo::new(one(vi(100)));
        while solo.state() == State::Backup {
            solo.hear("10.0.0.9", 50);
            solo.run_ms(100);
        }
        assert_eq!(solo.router.new_master("VI"), NewMaster::Preempted, "the master was alive");
    }

    #[test]
    fn what_was_wrong_last_and_whose_it_was() {
        let mut solo = Solo::new(one(vi(100)));
        let packet = solo.packet("10.0.0.9", 50, |_| {});
        solo.receive("10.0.0.9", 64, &packet);
        assert_eq!((solo.view().protocol_error, solo.view().offender), (1, Some(ip("10.0.0.9"))));
        let mut broken = packet.clone();
        if let Some(last) = broken.last_mut() {
            *last ^= 1;
        }
        solo.receive("10.0.0.8", 255, &broken);
        assert_eq!((solo.view().protocol_error, solo.view().offender), (3, Some(ip("10.0.0.8"))));
    }
}
