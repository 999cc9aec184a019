//! What follows from adverts: learning the master, taking over from it, and contention between masters.

use crate::Notice;
use crate::Output;
use crate::doubt::QUESTION;
use crate::instance::Once;
use crate::keys::Which;
use crate::machine::{Action, Delay, Facts, Heard, Standing, on_advert};
use crate::router::Router;
use crate::timing;
use crate::transitions::{DRAIN, Seen};
use crate::wire::Header;
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Time;

/// Pause between two announcements that contentions cause.
pub(crate) const CALM: Duration = Duration::from_secs(1);

impl Router {
    /// A valid advert.
    pub(crate) fn on_advert(&mut self, i: u32, now: Time, source: IpAddr, header: &Header, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let ours = x.priority();
        let heard = match header.priority {
            0 => Heard::Zero,
            p if p < ours => Heard::Lower,
            p if p > ours => Heard::Higher,
            _ if x.assessed.source.is_some_and(|own| source > own) => Heard::EqualHigher,
            _ => Heard::EqualLower,
        };
        let known = x.master.is_some_and(|(m, _)| m == source);
        // a question of another backup: no master speaks
        if x.config.keyed() && header.priority == QUESTION && ours > QUESTION {
            match x.standing() {
                Standing::Backup if known => {}
                Standing::Master => return self.reply(i, now, out),
                _ => return,
            }
        }
        let other = !x.config.strict && !known && x.master.is_some();
        let facts = Facts { preempt: x.preempts(), delay: x.delay, fast: x.takes_over_early(), known, other };
        let standing = x.standing();
        let seen = Seen { source, priority: header.priority, interval: header.interval() };
        if header.priority == 255 && x.config.priority == 255 {
            x.owner_heard = Some(now);
        }
        match on_advert(standing, heard, facts) {
            Action::Ignore => {}
            Action::Skew => self.given_up(i, now, seen, false, out),
            Action::Succeed => self.given_up(i, now, seen, true, out),
            Action::Accept => {
                if heard != Heard::Lower {
                    self.cancel_timer(i, Which::Delay);
                    if let Some(x) = self.slot_mut(i)
                        && x.delay != Delay::None
                    {
                        x.delay = Delay::Idle;
                    }
                }
                self.accept(i, now, seen, out);
            }
            Action::AcceptAndDelay => {
                x.delay = Delay::Running;
                let delay = x.config.preempt_delay;
                self.learned = true;
                self.set_timer(i, Which::Delay, now + delay);
                // keepalived has it with -D alone.
                let delay = delay.as_secs_f64();
                self.log(Level::Debug, i, format_args!("start preempt delay ({delay:.6})"), out);
                self.accept(i, now, seen, out);
            }
            Action::Discard => self.say_discarded(i, now, seen, out),
            Action::Note => {
                if x.master.is_none() {
                    self.note_master(i, now, seen, out);
                }
                self.say_discarded(i, now, seen, out);
            }
            Action::TakeOver => self.prepare_takeover(i, now, seen, out),
            Action::Reassert => {
                // whoever gives up was a master besides us
                let repeat = u32::from(!x.config.strict);
                self.reply(i, now, out);
                self.reannounce(i, repeat, now, out);
            }
            Action::Contend => self.contend(i, now, seen, out),
            Action::Yield => self.yield_to(i, seen, heard, now, out),
            Action::ResumeSoon => {
                let soon = now + DRAIN;
                x.superseded = true;
                if self.timer(i, Which::Listen).is_none_or(|t| t > soon) {
                    self.set_timer(i, Which::Listen, soon);
                }
            }
            Action::LetGo => self.finish_release(i, Some(seen), now, out),
        }
        if heard != Heard::Zero {
            self.let_orphans_go(i, out);
        }
    }

    pub(crate) fn say_discarded(&mut self, i: u32, now: Time, seen: Seen, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let ours = x.priority();
        x.discarded = Some(Box::new((seen.source, seen.priority, now)));
        if x.first(Once::LowerDiscarded) {
            let Seen { source, priority, .. } = seen;
            let text =
                format_args!("received lower priority ({priority}) advert from {source}, ours {ours} - discarding");
            self.log(Level::Info, i, text, out);
        }
    }

    pub(crate) fn note_master(&mut self, i: u32, now: Time, seen: Seen, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let old = x.master.replace((seen.source, seen.priority));
        match old {
            None => self.log(Level::Info, i, format_args!("master set to {}", seen.source), out),
            Some((old, _)) if old != seen.source => {
                if x.rearm_logs(now) {
                    self.log(Level::Info, i, format_args!("master changed from {old} to {}", seen.source), out);
                }
            }
            Some(_) => {}
        }
    }

    /// Backup: this is the master.
    pub(crate) fn accept(&mut self, i: u32, now: Time, seen: Seen, out: &mut Vec<Output>) {
        self.note_master(i, now, seen, out);
        let Some(x) = self.slot_mut(i) else { return };
        x.learn_interval(seen.interval, out);
        x.wants = false;
        x.fast = None;
        x.graced = false;
        x.zero_heard = None;
        x.last_heard = Some(now);
        let at = now + x.master_down();
        self.set_timer(i, Which::Down, at);
    }

    /// Backup: the master gives up. The highest backup stands up first: by the skew, or as it does where the master has sunk below it.
    /// One that waits for its skew, and is higher, preempts us then.
    pub(crate) fn given_up(&mut self, i: u32, now: Time, seen: Seen, fast: bool, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if x.may_chat(now) {
            let text = format_args!("Backup received priority 0 advertisement from {}", seen.source);
            self.log(Level::Info, i, text, out);
        }
        let Some(x) = self.slot_mut(i) else { return };
        // repeated ones must not put the takeover off
        let first = x.zero_heard.is_none();
        x.zero_heard.get_or_insert(now);
        let skew = x.skew();
        let at = now + if fast { timing::takeover_spread(x.priority()).min(skew) } else { skew };
        if first && self.timer(i, Which::Down).is_none_or(|t| t > at) {
            self.set_timer(i, Which::Down, at);
        }
    }

    /// Backup: the master that we know is lower than we are now. The highest backup stands up first.
    pub(crate) fn prepare_takeover(&mut self, i: u32, now: Time, seen: Seen, out: &mut Vec<Output>) {
        let down = self.timer(i, Which::Down);
        let Some(x) = self.slot_mut(i) else { return };
        x.master = Some((seen.source, seen.priority));
        x.last_heard = Some(now);
        let ours = x.priority();
        let at = now + timing::takeover_spread(ours);
        let Some(down) = down else { return };
        if x.fast.is_some() || down <= at {
            return;
        }
        x.fast = Some(down);
        let say = x.may_chat(now);
        self.set_timer(i, Which::Down, at);
        if say {
            let Seen { source, priority, .. } = seen;
            let text = format_args!("master {source} advertises priority {priority}, ours {ours}: taking over");
            self.log(Level::Info, i, text, out);
        }
    }

    /// Master: somebody else thinks that it is master, and has to yield.
    pub(crate) fn contend(&mut self, i: u32, now: Time, seen: Seen, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let expected = x.preempted.as_deref().is_some_and(|(a, until)| *a == seen.source && now < *until);
        let ours = x.priority();
        let two_owners = seen.priority == 255 && x.config.priority == 255;
        let new = x.reannounced.is_none_or(|t| now.since(t) >= CALM);
        // one whom our first advert did not convince, for its stamp was far from its clock, goes by the second
        let answer = !x.config.lower_prio_no_advert && (!expected || x.config.keyed());
        let Seen { source, priority, .. } = seen;
        if new && !expected && x.may_chat(now) {
            let text = format_args!(
                "Received advert from {source} with lower priority {priority}, ours {ours}, forcing new election"
            );
            self.log(Level::Info, i, text, out);
        }
        if answer {
            self.reply(i, now, out);
        }
        if two_owners {
            self.second_owner(i, now, seen, out);
        }
        if new && !expected {
            self.notify(i, Notice::MasterRxLowerPri, out);
        }
        let Some(c) = self.config_of(i) else { return };
        let wanted = c.garp.lower_prio_repeat;
        let repeat = if c.strict || expected { wanted.min(1) } else { wanted.max(1) };
        self.reannounce(i, repeat, now, out);
    }

    /// Two owners of one address. The one with the greater address waits for the other to back off, then steps down to 254.
    pub(crate) fn second_owner(&mut self, i: u32, now: Time, seen: Seen, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if x.first(Once::OwnerConflict) {
            let text = format_args!("{} claims to be the address owner (priority 255), as we do", seen.source);
            self.log(Level::Error, i, text, out);
        }
        let Some(x) = self.slot(i) else { return };
        let ours = x.config.advert_interval;
        let longest = ours.max(seen.interval);
        if !x.owner_lowered && self.timer(i, Which::Owner).is_none() {
            self.set_timer(i, Which::Owner, now + ours * 2 + longest * 6 / 5);
        }
    }

    pub(crate) fn owner_timer(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let quiet_for = x.owner_heard.map(|t| now.since(t));
        let still = quiet_for.is_some_and(|q| q < x.config.advert_interval * 2);
        let before = x.priority();
        let patience = x.peers_patience();
        if x.owner_lowered != still {
            x.owner_lowered = still;
            self.priority_changed(i, before, true, out);
        }
        if still {
            self.set_timer(i, Which::Owner, now + patience);
        }
    }
}
