//! What happens when timers run out, and what lateness means.

use crate::instance::Mode;
use crate::keys::Which;
use crate::machine::{Delay, Standing};
use crate::router::Router;
use crate::transitions::{DRAIN, SETTLED};
use crate::{Output, Version, timing};
use log::Level;
use std::time::Duration;
use steadfast_core::kernel::Address;
use steadfast_core::{State, Time};

impl Router {
    pub(crate) fn fire_instance(&mut self, i: u32, which: Which, due: Time, now: Time, out: &mut Vec<Output>) {
        // Whoever listens does not know whether the addresses are still its own. They are announced when that is over.
        if which.announces() && self.notice_oversleep(i, now, out) {
            let periodic = matches!(which, Which::GarpRefresh | Which::GarpExtra);
            if let Some(end) = self.timer(i, Which::Listen).filter(|_| periodic) {
                self.set_timer(i, which, end);
            }
            return;
        }
        match which {
            Which::Down => self.down_expired(i, due, now, out),
            Which::Advert => self.advert_due(i, due, now, out),
            Which::Delay => {
                if let Some(x) = self.slot_mut(i)
                    && x.delay == Delay::Running
                {
                    x.delay = Delay::Over;
                }
            }
            Which::Release => self.give_up_alone(i, now, out),
            Which::Listen => {
                if let Some(x) = self.slot_mut(i)
                    && x.standing() == Standing::Listening
                {
                    if now.since(due) >= x.peers_patience() {
                        let at = now + x.listening_time();
                        self.set_timer(i, Which::Listen, at);
                        return;
                    }
                    let words = if std::mem::take(&mut x.superseded) {
                        "a master of lower priority is there; taking over again"
                    } else {
                        "nobody took over; going on as master"
                    };
                    x.mode = Mode::Normal;
                    x.reannounced = Some(now);
                    self.log(Level::Info, i, format_args!("{words}"), out);
                    self.advertise(i, now, out);
                    self.restore_lost(i, out);
                    self.burst(i, 1, now, out);
                    self.arm_reminder(now);
                }
            }
            Which::GarpAgain => {
                let repeat = self.config_of(i).map_or(0, |c| c.garp.repeat);
                self.burst(i, repeat, now, out);
            }
            Which::GarpSettled => {
                self.burst(i, 1, now, out);
                if self.slot(i).is_some_and(|x| now.since(x.last_transition) < SETTLED * 4) {
                    self.set_timer(i, Which::GarpSettled, now + SETTLED * 8);
                }
            }
            Which::GarpRefresh => {
                let Some(c) = self.config_of(i) else { return };
                let (repeat, again) = (c.garp.refresh_repeat, c.garp.refresh.max(Duration::from_millis(100)));
                self.burst(i, repeat, now, out);
                self.set_timer(i, Which::GarpRefresh, now + again);
            }
            Which::GarpExtra => self.announce_elsewhere(i, now, out),
            Which::GarpLower => {
                let repeat = self.config_of(i).map_or(0, |c| c.garp.lower_prio_repeat);
                self.burst(i, repeat, now, out);
            }
            Which::GarpAfter => {
                if let Some(x) = self.slot_mut(i) {
                    x.reannounced = Some(now);
                }
                self.burst(i, 1, now, out);
            }
            Which::Owner => self.owner_timer(i, now, out),
        }
    }

    pub(crate) fn down_expired(&mut self, i: u32, due: Time, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if x.state != State::Backup {
            return;
        }
        // A process that was held up this long may have adverts waiting unread; of a host that was, none waits, and a living master is
        // heard by its next.
        if !x.graced && now.since(due) >= x.timing_interval() {
            x.graced = true;
            // Who gave up does not speak again.
            let at = now + if x.zero_heard.is_some() { DRAIN } else { x.listening_time() };
            self.set_timer(i, Which::Down, at);
            return;
        }
        if self.held_back(i, now, out) {
            self.let_orphans_go(i, out);
            return;
        }
        let Some(x) = self.slot_mut(i) else { return };
        x.wants = true;
        if x.owner_lowered {
            // the other owner is gone
            x.owner_lowered = false;
            self.priority_changed(i, 254, true, out);
        }
        const TIMEOUT: &str = "Receive advertisement timeout";
        self.log(Level::Info, i, format_args!("{TIMEOUT}"), out);
        if !self.group_ready(i) {
            // Another member's timer may only be a little later; one that hears a master means that somebody serves.
            let others = self.members_with(i);
            if others.iter().filter_map(|m| self.slot(*m)).any(|x| x.master.is_some() || x.state == State::Fault) {
                self.let_orphans_go(i, out);
            }
            let Some(x) = self.slot_mut(i) else { return };
            let at = match x.fast.take() {
                Some(before) => {
                    x.wants = false;
                    before.max(now + DRAIN)
                }
                None => now + x.master_down(),
            };
            self.set_timer(i, Which::Down, at);
            return;
        }
        let cause = self.takeover_cause(i, now).unwrap_or_else(|| TIMEOUT.into());
        self.because(i, &cause);
        self.others_because(i, &cause, |x| x.state == State::Backup);
        self.group_to_master(i, now, out);
    }

    pub(crate) fn advert_due(&mut self, i: u32, due: Time, now: Time, out: &mut Vec<Output>) {
        if self.notice_oversleep(i, now, out) {
            return;
        }
        let Some(x) = self.slot_mut(i) else { return };
        if x.standing() != Standing::Master {
            return;
        }
        x.replies = 0;
        let priority = x.priority();
        x.emit(priority, now, out);
        x.last_sent = now;
        // by the deadline, not by the present, so that the rhythm does not drift
        let interval = x.config.advert_interval.max(Duration::from_millis(1));
        let next = if now.since(due) < interval / 2 { due + interval } else { now + interval };
        self.set_timer(i, Which::Advert, next);
    }

    /// A master that was silent for so long that a peer may have taken over must listen before it sends.
    pub(crate) fn notice_oversleep(&mut self, i: u32, now: Time, out: &mut Vec<Output>) -> bool {
        let Some(x) = self.slot_mut(i) else { return false };
        if x.standing() != Standing::Master {
            return x.standing() == Standing::Listening;
        }
        let silent = now.since(x.last_sent);
        let listens = silent >= x.peers_patience();
        let expired = x
            .config
            .timer_expired_backup
            .is_some_and(|p| silent >= timing::master_down(x.config.version, p, x.config.advert_interval, 3));
        if expired {
            let cause = format!("was held up for {:.1} s: going to BACKUP", silent.as_secs_f64());
            self.log(Level::Warn, i, format_args!("{cause}"), out);
            if let Some(x) = self.slot_mut(i) {
                x.counters.release_master += 1;
            }
            self.remove_objects(i, out);
            self.enter_backup(i, None, now, out);
            self.group_follows_to_backup(i, &cause, now, out);
            self.settle_group_of(i, out);
            return true;
        }
        if !listens {
            return false;
        }
        let window = x.listening_time();
        x.mode = Mode::Listening;
        x.superseded = false;
        self.log(
            Level::Warn,
            i,
            format_args!("was held up for {:.1} s: listening before the next advert", silent.as_secs_f64()),
            out,
        );
        if let Some(c) = self.config_of(i) {
            let all = c.addresses.iter().chain(&c.excluded);
            let withhold =
                |a: &Address| Output::Withhold { interface: a.interface.to_string(), address: a.cidr.address };
            out.extend(all.map(withhold));
        }
        self.cancel_timer(i, Which::Advert);
        self.set_timer(i, Which::Listen, now + window);
        true
    }

    /// A version 2 instance ignores the master's interval, so a changed own one counts at once.
    pub(crate) fn retime(&mut self, i: u32, now: Time) {
        let (advert, down) = (self.timer(i, Which::Advert), self.timer(i, Which::Down));
        let Some(x) = self.slot_mut(i) else { return };
        let interval = x.config.advert_interval.max(Duration::from_millis(1));
        match x.standing() {
            Standing::Master => {
                x.master_interval = interval;
                let latest = now + interval;
                if advert.is_none_or(|t| t > latest) {
                    self.set_timer(i, Which::Advert, latest);
                }
            }
            Standing::Backup => {
                if x.config.version == Version::V2 || x.master.is_none() {
                    x.master_interval = interval;
                }
                let at = now + x.master_down();
                // a takeover that is under way is not put off
                let soon = down.filter(|_| x.zero_heard.is_some() || x.fast.is_some());
                self.set_timer(i, Which::Down, soon.map_or(at, |t| t.min(at)));
            }
            _ => x.master_interval = interval,
        }
    }
}
