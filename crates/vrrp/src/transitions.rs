//! What happens on the way from one state to another.

use crate::cause::BEGINS;
use crate::instance::{After, Instance, Mode, Once};
use crate::keys::{Key, Which};
use crate::machine::{Delay, Heard, Standing};
use crate::router::{Life, Router};
use crate::tracking::Fault;
use crate::{NewMaster, Notice, Output};
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{State, Time};

/// Time for a late process to read what has queued up in its sockets.
pub(crate) const DRAIN: Duration = Duration::from_millis(10);
/// A predecessor that hears our first advert has let go by then; and again after a few times that, should it be slow.
pub(crate) const SETTLED: Duration = Duration::from_millis(12);
/// Adverts that may be sent out of turn between two in turn.
const REPLIES: u32 = 3;

/// A master as an advert shows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub source: IpAddr,
    pub priority: u8,
    pub interval: Duration,
}

impl Router {
    pub(crate) fn set_timer(&mut self, i: u32, which: Which, at: Time) {
        self.timers.set(Key::Instance(i, which), at);
    }

    pub(crate) fn cancel_timer(&mut self, i: u32, which: Which) {
        self.timers.cancel(Key::Instance(i, which));
    }

    pub(crate) fn timer(&self, i: u32, which: Which) -> Option<Time> {
        self.timers.get(Key::Instance(i, which))
    }

    /// Disarms everything of one instance.
    pub(crate) fn quiet(&mut self, i: u32) {
        for which in Which::ALL {
            self.cancel_timer(i, which);
        }
    }

    pub(crate) fn notify(&self, i: u32, notice: Notice, out: &mut Vec<Output>) {
        if let Some(x) = self.slot(i) {
            out.push(Output::Instance { name: x.config.name.to_string(), notice, priority: x.priority() });
        }
    }

    pub(crate) fn set_state(&mut self, i: u32, state: State, now: Time) {
        if let Some(x) = self.slot_mut(i) {
            if x.state != state {
                x.last_transition = now;
            }
            x.up_since = if state == State::Init { None } else { x.up_since.or(Some(now)) };
            x.state = state;
            x.mode = Mode::Normal;
        }
    }

    // ---- what the world says -------------------------------------------------------------------------------------------

    /// Looks at the world again for these instances, then moves whoever has to move.
    pub(crate) fn reevaluate(&mut self, which: &[u32], now: Time, out: &mut Vec<Output>) {
        for i in which {
            let Some(x) = self.slots.get(*i as usize).and_then(Option::as_ref) else { continue };
            let assessed = self.trackers.assess(&x.config, x.assessed.source);
            if assessed == x.assessed {
                continue;
            }
            let before = x.priority();
            let started = x.state != State::Init;
            let refit = x.assessed.fits != assessed.fits;
            let raised = x.assessed.making.iter().any(|name| self.trackers.up(name));
            let new_faults = x.state == State::Fault && x.assessed.faults != assessed.faults;
            if let Some(x) = self.slot_mut(*i) {
                x.assessed = assessed;
                if refit {
                    let (fits, wanted) = (
                        x.wire_addresses().len() / crate::wire::address_len(x.config.family),
                        x.config.addresses.len(),
                    );
                    if fits < wanted && x.first(Once::Fits) {
                        let text = format_args!("only {fits} of {wanted} addresses fit into an advert on this link");
                        self.log(Level::Warn, *i, text, out);
                    }
                }
            }
            if new_faults {
                self.say_faults(*i, now, out);
            }
            self.priority_changed(*i, before, started, out);
            // Who is better now learns of it at once, not with the next advert in turn.
            let lower = |x: &Instance| x.priority() < before && x.assessed.faults.is_empty();
            if self.slot(*i).is_some_and(|x| x.standing() == Standing::Master && !x.config.strict && lower(x)) {
                self.reply(*i, now, out);
            }
            // Nothing could be said by a link that was being made; the addresses come to it after this.
            if raised && self.slot(*i).is_some_and(|x| x.standing() == Standing::Master) {
                self.advertise(*i, now, out);
                self.set_timer(*i, Which::GarpAgain, now);
            }
        }
        if self.life != Life::Running {
            return;
        }
        let mut done_groups = Vec::new();
        for i in which {
            match self.slot(*i).map(|x| x.group) {
                Some(Some(g)) if !done_groups.contains(&g) => {
                    done_groups.push(g);
                    self.apply(*i, now, out);
                }
                Some(None) => self.apply(*i, now, out),
                _ => {}
            }
        }
    }

    pub(crate) fn priority_changed(&mut self, i: u32, before: u8, tell: bool, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        let after = x.priority();
        if before == after {
            return;
        }
        // What is first learned of the world changes nothing that anybody has been told.
        if self.life != Life::Settling {
            self.log(Level::Info, i, format_args!("Changing effective priority from {before} to {after}"), out);
        }
        if tell && x.config.notify_priority_changes {
            let notice = if x.state == State::Master { Notice::MasterPriority } else { Notice::BackupPriority };
            self.notify(i, notice, out);
        }
    }

    /// Moves an instance, or its whole group, to where the world wants it.
    pub(crate) fn apply(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let members = self.members_with(i);
        let each = || members.iter().filter_map(|m| self.slot(*m));
        let fault = each().any(Instance::faulty);
        let waiting = each().any(|x| x.assessed.waiting);
        let all_new = each().all(|x| x.state == State::Init);
        if fault && members.len() > 1 && each().any(|x| x.state != State::Fault && !x.releasing()) {
            self.log_group(i, "FAULT", out);
        }
        if !fault && members.len() > 1 && each().any(|x| x.state == State::Fault) {
            self.log_group(i, "BACKUP", out);
        }
        if !fault && all_new {
            if !waiting || each().any(|x| x.restored == Some(State::Master)) {
                self.start(&members, now, out);
            }
            self.settle_group_of(i, out);
            return;
        }
        // A member whose own link was there has told its peers, who have taken over.
        let unmissed = !fault && each().all(|x| x.state == State::Fault && x.was_only_interrupted(now));
        for m in &members {
            let Some(x) = self.slot(*m) else { continue };
            match x.state {
                State::Master if x.releasing() && x.dead_link() => self.finish_release(*m, None, now, out),
                State::Master if x.releasing() => {}
                State::Master if fault => {
                    let soft = !x.dead_link();
                    self.leave_master(*m, After::Evaluate, soft, now, out);
                }
                State::Init | State::Backup if fault => self.enter_fault(*m, now, out),
                State::Fault if !fault => self.enter_backup(*m, None, now, out),
                State::Init if !waiting => {
                    self.begin(*m, out);
                    self.begin_backup(*m, None, now, out);
                }
                _ => {}
            }
        }
        self.settle_group_of(i, out);
        if unmissed {
            const AWAY: &str = "the link, or its address, was away for a moment, no peer has missed us";
            members.iter().for_each(|m| self.log(Level::Info, *m, format_args!("{AWAY}"), out));
            self.group_to_master(i, now, out);
        }
    }

    /// First step of an instance, or of all members of a group.
    pub(crate) fn start(&mut self, members: &[u32], now: Time, out: &mut Vec<Output>) {
        let each = || members.iter().filter_map(|m| self.slot(*m));
        let resumed = each().any(|x| x.restored == Some(State::Master));
        let known = each().all(|x| x.restored.is_some());
        let owner = each().all(Instance::is_owner_at_start);
        let former: Vec<Option<State>> = each().map(|x| x.restored).collect();
        if !owner && !resumed {
            self.group_starts_backup(members, !known, out);
        }
        if let Some(state) = former.first().copied().flatten().filter(|s| former.iter().all(|f| *f == Some(*s))) {
            self.group_resumes(members, state);
        }
        for m in members {
            let restored = self.slot_mut(*m).and_then(|x| x.restored.take());
            match restored {
                Some(State::Master) => self.resume_master(*m, now, out),
                _ if owner => {
                    self.because(*m, "it owns the addresses");
                    self.become_master(*m, now, out);
                }
                _ => {
                    if restored == Some(State::Backup) {
                        // A former process entered it.
                        self.log(Level::Info, *m, format_args!("continuing in BACKUP state"), out);
                        self.say_other_priority(*m, out);
                    } else {
                        self.begin(*m, out);
                        self.clean_up(*m, out);
                    }
                    let master = self.slot(*m).and_then(|x| x.master);
                    let interval = self.slot(*m).map(|x| x.master_interval);
                    self.begin_backup_silently(*m, restored == Some(State::Backup), now, out);
                    if let Some(x) = self.slot_mut(*m)
                        && restored.is_some()
                    {
                        x.master = master;
                        // a master that speaks more seldom than we would is waited for as long as before
                        x.master_interval = interval.unwrap_or(x.master_interval).max(x.master_interval);
                        let down = x.master_down();
                        self.set_timer(*m, Which::Down, now + down);
                    }
                    if restored == Some(State::Backup) {
                        self.resume_delay(*m, now);
                    }
                }
            }
        }
    }

    /// A preemption waits no longer than it would have in the former process.
    fn resume_delay(&mut self, i: u32, now: Time) {
        let Some(x) = self.slot_mut(i).filter(|x| x.delay == Delay::Idle) else { return };
        // Not by a map, see Time.
        let Some(at) = x.preempts.take() else { return };
        let at = at.min(now + x.config.preempt_delay);
        if at > now {
            x.delay = Delay::Running;
            self.set_timer(i, Which::Delay, at);
        } else {
            x.delay = Delay::Over;
        }
    }

    /// The line of a first BACKUP.
    fn begin(&mut self, i: u32, out: &mut Vec<Output>) {
        self.because(i, BEGINS);
        self.say_cause(i, out);
        self.log(Level::Info, i, format_args!("Entering BACKUP STATE (init)"), out);
    }

    // ---- Backup and FAULT ----------------------------------------------------------------------------------------------

    pub(crate) fn enter_backup(&mut self, i: u32, seen: Option<Seen>, now: Time, out: &mut Vec<Output>) {
        self.say_cause(i, out);
        self.log(Level::Info, i, format_args!("Entering BACKUP STATE"), out);
        self.begin_backup(i, seen, now, out);
    }

    pub(crate) fn begin_backup(&mut self, i: u32, seen: Option<Seen>, now: Time, out: &mut Vec<Output>) {
        self.set_backup(i, seen, now, out);
        self.notify(i, Notice::Backup, out);
    }

    pub(crate) fn begin_backup_silently(&mut self, i: u32, silent: bool, now: Time, out: &mut Vec<Output>) {
        self.set_backup(i, None, now, out);
        if !silent {
            self.notify(i, Notice::Backup, out);
        }
    }

    pub(crate) fn set_backup(&mut self, i: u32, seen: Option<Seen>, now: Time, out: &mut Vec<Output>) {
        self.set_state(i, State::Backup, now);
        self.quiet(i);
        let Some(x) = self.slot_mut(i) else { return };
        x.wants = false;
        x.fast = None;
        x.graced = false;
        x.zero_heard = None;
        x.interrupted = None;
        x.last_heard = None;
        x.delay = if x.config.preempt_delay.is_zero() { Delay::None } else { Delay::Idle };
        if seen.is_none() {
            x.master = None;
            x.master_interval = x.config.advert_interval;
        }
        match seen {
            Some(seen) => self.accept(i, now, seen, out),
            None => {
                let down = x.master_down();
                self.set_timer(i, Which::Down, now + down);
            }
        }
    }

    /// The reasons of a FAULT changed.
    pub(crate) fn say_faults(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if x.may_chat(now) {
            for fault in x.assessed.faults.clone() {
                self.log(Level::Info, i, format_args!("still in FAULT state: {fault}"), out);
            }
        }
    }

    pub(crate) fn enter_fault(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let restored = self.slot_mut(i).and_then(|x| x.restored.take());
        let at_start = self.slot(i).is_some_and(|x| x.state == State::Init && !x.objects_set);
        if let Some(x) = self.slot(i) {
            for fault in &x.assessed.faults {
                self.log(Level::Info, i, format_args!("entering FAULT state: {fault}"), out);
            }
        }
        if let Some(cause) = self.fault_of_another(i) {
            self.because(i, &cause);
        }
        self.say_cause(i, out);
        self.log(Level::Info, i, format_args!("Entering FAULT STATE"), out);
        self.let_orphans_go(i, out);
        self.set_state(i, State::Fault, now);
        self.quiet(i);
        if let Some(x) = self.slot_mut(i) {
            x.wants = false;
            x.fast = None;
            x.master = None;
            x.owner_lowered = false;
            x.owner_heard = None;
        }
        if restored == Some(State::Master) {
            // what the former process left in the kernel must not stay
            self.withdraw_leftovers(i, out);
        } else if at_start {
            self.clean_up(i, out);
        }
        if restored != Some(State::Fault) {
            self.notify(i, Notice::Fault, out);
        }
    }

    // ---- Master --------------------------------------------------------------------------------------------------------

    /// Backup to Master: advert, objects, announcements (RFC 9568 section 6.4.2).
    pub(crate) fn become_master(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        self.say_cause(i, out);
        self.log(Level::Info, i, format_args!("Entering MASTER STATE"), out);
        if let Some(x) = self.slot_mut(i) {
            x.new_master = match x.state {
                State::Init => NewMaster::Priority,
                _ if x.fast.is_some() || (x.zero_heard.is_none() && x.beats(now).is_some()) => NewMaster::Preempted,
                _ => NewMaster::NoResponse,
            };
        }
        // Its host answers our announcements as long as it holds the addresses, and switches learn the virtual MAC at its port.
        let alive = |x: &Instance| x.zero_heard.is_some() || x.fast.is_some();
        let answered = self.slot(i).is_some_and(|x| x.config.virtual_link.is_some() && alive(x));
        self.take_up(i, now, out);
        if let Some(x) = self.slot_mut(i) {
            x.counters.become_master += 1;
            x.rearm_logs(now);
        }
        if answered {
            self.set_timer(i, Which::GarpSettled, now + SETTLED);
        }
        let repeat = self.config_of(i).map_or(0, |c| c.garp.repeat);
        self.burst(i, repeat, now, out);
        self.notify(i, Notice::Master, out);
    }

    /// A file that came with a new program: what it changed is said as by a reload.
    fn say_other_priority(&mut self, i: u32, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let Some(before) = x.former_base.take().filter(|before| *before != x.config.priority) else { return };
        let now = x.priority();
        let apart = i32::from(before) - i32::from(x.config.priority);
        let then = if before == 255 { 255 } else { (i32::from(now) + apart).clamp(1, 254) };
        self.log(Level::Info, i, format_args!("Changing effective priority from {then} to {now}"), out);
    }

    /// Master in a former process: go on without a word to scripts.
    pub(crate) fn resume_master(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        self.log(Level::Info, i, format_args!("continuing in MASTER state"), out);
        self.say_other_priority(i, out);
        self.take_up(i, now, out);
        self.burst(i, 1, now, out);
    }

    pub(crate) fn take_up(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        self.set_state(i, State::Master, now);
        self.quiet(i);
        let Some(x) = self.slot_mut(i) else { return };
        if x.config.keyed() {
            x.guard.rebase(now, &x.config);
        }
        let master = x.master.take();
        // one whom we pushed aside while it lived may say a last word
        x.preempted = match (master, x.fast.is_some()) {
            (Some((a, _)), true) => Some(Box::new((a, now + x.config.advert_interval * 2))),
            _ => None,
        };
        x.wants = false;
        x.fast = None;
        x.delay = Delay::None;
        x.master_interval = x.config.advert_interval;
        x.reannounced = None;
        // those of an earlier mastership must not silence this one when somebody contends right away
        x.replies = 0;
        if std::mem::take(&mut x.owner_lowered) {
            self.priority_changed(i, 254, true, out);
        }
        self.advertise(i, now, out);
        self.log(Level::Info, i, format_args!("setting VIPs."), out);
        self.log_routes(i, "setting", out);
        self.add_objects(i, out);
        let Some(c) = self.config_of(i) else { return };
        let (delay, refresh, extra, unasked) = (c.garp.delay, c.garp.refresh, c.garp.extra, c.garp.unasked);
        if !delay.is_zero() {
            self.set_timer(i, Which::GarpAgain, now + delay);
        }
        if !refresh.is_zero() {
            self.set_timer(i, Which::GarpRefresh, now + refresh);
        }
        if unasked {
            self.arm_reminder(now);
        }
        if let Some((period, _)) = extra {
            self.set_timer(i, Which::GarpExtra, now + period);
        }
    }

    fn log_routes(&mut self, i: u32, verb: &str, out: &mut Vec<Output>) {
        let (routes, rules) = self.config_of(i).map_or((0, 0), |c| (c.routes.len(), c.rules.len()));
        for (n, what) in [(routes, "Routes"), (rules, "Rules")] {
            if n > 0 {
                self.log(Level::Info, i, format_args!("{verb} Virtual {what}"), out);
            }
        }
    }

    pub(crate) fn add_objects(&mut self, i: u32, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        if std::mem::replace(&mut x.objects_set, true) {
            return;
        }
        let objects: Vec<_> = Instance::objects(&x.config).collect();
        for object in objects {
            self.hold(object, out);
        }
    }

    pub(crate) fn remove_objects(&mut self, i: u32, out: &mut Vec<Output>) {
        let keep = self.life == Life::Stopping { keep: true };
        let Some(x) = self.slot_mut(i) else { return };
        if !std::mem::replace(&mut x.objects_set, false) || keep {
            return;
        }
        let objects: Vec<_> = Instance::objects(&x.config).rev().collect();
        self.log(Level::Info, i, format_args!("removing VIPs."), out);
        self.log_routes(i, "removing", out);
        for object in objects {
            self.let_go(object, out);
        }
    }

    /// A master of a former process may not go on: take its objects out.
    pub(crate) fn withdraw_leftovers(&mut self, i: u32, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        let objects: Vec<_> = Instance::objects(&x.config).rev().collect();
        for object in objects {
            self.hold(object.clone(), &mut Vec::new());
            self.let_go(object, out);
        }
    }

    /// A start finds addresses of ours in the kernel: a process before us was killed. A backup must not hold them.
    pub(crate) fn clean_up(&mut self, i: u32, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        if x.config.priority == 255 || x.objects_set {
            return;
        }
        let left: Vec<Object> = x
            .config
            .addresses
            .iter()
            .chain(&x.config.excluded)
            .filter(|a| self.trackers.links.get(a.interface.as_str()).is_some_and(|l| l.addresses.contains(&a.shown())))
            .map(|a| Object::Address(a.clone()))
            .filter(|o| !self.held.contains(o))
            .collect();
        for object in left {
            self.log(Level::Info, i, format_args!("removing {object}, left over from before"), out);
            out.push(Output::Remove(object));
        }
    }

    /// Sends an advert and arms the timer of the next one.
    pub(crate) fn advertise(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let priority = x.priority();
        x.emit(priority, now, out);
        x.last_sent = now;
        let next = now + x.config.advert_interval.max(Duration::from_millis(1));
        self.set_timer(i, Which::Advert, next);
    }

    /// An advert out of turn, as long as there have not been too many since the last one in turn.
    pub(crate) fn reply(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        x.replies = x.replies.saturating_add(1);
        if x.replies <= REPLIES {
            self.advertise(i, now, out);
        }
    }

    /// Leaves Master by our own decision: says priority 0, and either serves on until the successor is heard (`soft`) or lets
    /// go at once.
    pub(crate) fn leave_master(&mut self, i: u32, after: After, soft: bool, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let no_source = |f: &Fault| matches!(f, Fault::NoSource(_) | Fault::SourceAbsent(_));
        let (dead, mute) = (x.dead_link(), x.assessed.faults.iter().any(no_source));
        x.counters.release_master += 1;
        let bound = x.release_bound();
        let spoke = x.last_sent;
        let sent = !dead && x.emit(0, now, out);
        x.interrupted = (dead || mute).then(|| Box::new((if sent { now } else { spoke }, sent)));
        // nobody takes over at once who has not been told; and an address that stays without the host's own would become the first of
        // its network, with which the host's would go later
        let soft = soft && sent && !mute && x.config.soft_release && x.objects_set;
        x.rearm_logs(now);
        if sent {
            self.log(Level::Info, i, format_args!("sent 0 priority"), out);
        }
        self.quiet(i);
        if let Some(x) = self.slot_mut(i) {
            x.mode = Mode::Releasing(after);
            for fault in &x.assessed.faults {
                let text = format!("({}) leaving MASTER: {fault}", x.config.name);
                out.push(Output::Log(Level::Info, text));
            }
        }
        if soft {
            self.log(Level::Debug, i, format_args!("serving until a successor is heard"), out);
            self.set_timer(i, Which::Release, now + bound);
        } else {
            self.finish_release(i, None, now, out);
        }
    }

    /// No successor was heard: let go, and say so once more. If there is a master whom we cannot hear, or who did not hear us,
    /// it announces itself after we are gone.
    pub(crate) fn give_up_alone(&mut self, i: u32, now: Time, out: &mut Vec<Output>) {
        self.remove_objects(i, out);
        if let Some(x) = self.slot_mut(i)
            && x.releasing()
            && !x.config.strict
        {
            x.emit(0, now, out);
        }
        self.finish_release(i, None, now, out);
    }

    /// The successor was heard, or has had its time: let go.
    pub(crate) fn finish_release(&mut self, i: u32, successor: Option<Seen>, now: Time, out: &mut Vec<Output>) {
        let Some(Mode::Releasing(after)) = self.slot(i).map(|x| x.mode) else { return };
        self.remove_objects(i, out);
        match after {
            After::Stop => {
                self.set_state(i, State::Init, now);
                self.quiet(i);
                self.finish_stop(now, out);
            }
            After::Delete => self.finish_delete(i, now, out),
            After::Evaluate => {
                let members = self.members_with(i);
                if matches!(self.life, Life::Stopping { .. }) {
                    self.set_state(i, State::Init, now);
                    self.quiet(i);
                    self.finish_stop(now, out);
                    return;
                }
                if members.iter().filter_map(|m| self.slot(*m)).any(Instance::faulty) {
                    self.enter_fault(i, now, out);
                } else {
                    self.enter_backup(i, successor, now, out);
                }
                self.settle_group_of(i, out);
            }
        }
    }

    /// A better master is there: give way at once (RFC 9568 section 6.4.3).
    pub(crate) fn yield_to(&mut self, i: u32, seen: Seen, heard: Heard, now: Time, out: &mut Vec<Output>) {
        let Some(x) = self.slot_mut(i) else { return };
        let ours = x.priority();
        let last_word = !x.config.strict || x.config.higher_prio_send_advert;
        // Who overslept may have read the advert of a master that is dead by now: whoever serves must not yield to a last word.
        let said = if x.mode == Mode::Listening { 0 } else { ours };
        x.counters.release_master += 1;
        x.rearm_logs(now);
        let Seen { source, priority, .. } = seen;
        let cause = match heard {
            Heard::EqualHigher => format!(
                "Master received advert from {source} with same priority {priority} but higher IP address than ours"
            ),
            Heard::Higher => {
                format!("Master received advert from {source} with higher priority {priority}, ours {ours}")
            }
            _ => format!("{source} (priority {priority}) took over while this one was held up, and stays by nopreempt"),
        };
        self.log(Level::Info, i, format_args!("{cause}"), out);
        self.remove_objects(i, out);
        if last_word && let Some(x) = self.slot_mut(i) {
            // the winner learns of the contention by it, and announces its addresses when ours are gone already
            x.emit(said, now, out);
        }
        self.enter_backup(i, Some(seen), now, out);
        self.group_follows_to_backup(i, &cause, now, out);
        self.settle_group_of(i, out);
    }
}

#[cfg(test)]
mod tests;
