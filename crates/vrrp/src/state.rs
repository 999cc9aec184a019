//! Transitions (RFC 9568 section 6.4, RFC 3768 section 6.4) with keepalived's FAULT and our soft release.

use crate::instance::{Instance, Release};
use crate::router::{Router, Timer};
use crate::{Notice, Output, timing};
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{State, Time};

/// Repairs of lost objects in one window before they are slowed down.
const REPAIRS: u32 = 20;
/// The window.
const REPAIR_WINDOW: Duration = Duration::from_secs(10);

impl Router {
    /// A line about an instance.
    pub(crate) fn log(&self, n: usize, level: Level, text: impl std::fmt::Display, out: &mut Vec<Output>) {
        if let Some(i) = self.instances.get(n) {
            out.push(Output::Log(level, format!("({}) {text}", i.config.name)));
        }
    }

    pub(crate) fn notify(&self, n: usize, notice: Notice, out: &mut Vec<Output>) {
        if let Some(i) = self.instances.get(n) {
            out.push(Output::Instance { name: i.config.name.clone(), notice, priority: i.priority });
        }
    }

    pub(crate) fn send(&mut self, now: Time, n: usize, priority: u8, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        let adverts = i.adverts(priority);
        if !adverts.is_empty() {
            i.counters.advert_sent += 1;
            i.counters.pri_zero_sent += u64::from(priority == 0);
        }
        i.last_sent = now;
        out.extend(adverts.into_iter().map(Output::Send));
    }

    fn enter(&mut self, now: Time, n: usize, state: State) {
        if let Some(i) = self.instances.get_mut(n) {
            i.counters.become_master += u64::from(state == State::Master && i.state != State::Master);
            i.counters.release_master += u64::from(state != State::Master && i.state == State::Master);
            if i.state != state {
                i.last_transition = now;
                i.rearm();
            }
            i.state = state;
            i.wants_master = false;
            i.listening = false;
            i.preempt_at = None;
        }
        self.timers.cancel(Timer::Fast(n));
        if state != State::Master {
            for t in [Timer::GarpDelay(n), Timer::GarpRefresh(n), Timer::GarpLower(n), Timer::Repair(n)] {
                self.timers.cancel(t);
            }
        }
    }

    /// The start-up delay is over.
    pub(crate) fn start(&mut self, now: Time, out: &mut Vec<Output>) {
        self.started = true;
        self.tracked_changed(now, out);
    }

    /// Brings every instance and group into line with its faults. Level-triggered: calling it twice changes nothing.
    pub(crate) fn act_on_faults(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.started || self.stopping.is_some() {
            return;
        }
        for n in 0..self.instances.len() {
            if self.instances.get(n).is_some_and(|i| i.group.is_none()) {
                self.act_on_unit(now, &[n], out);
            }
        }
        for g in 0..self.groups.len() {
            let Some(members) = self.groups.get(g).map(|g| g.members.clone()) else { continue };
            let fresh = members.iter().all(|m| self.instances.get(*m).is_some_and(|i| i.state == State::Init));
            let before = out.len();
            self.act_on_unit(now, &members, out);
            let state = self.unit_state(&members);
            // At start the group speaks before its members, later after them.
            if let Some(notice) = self.set_group_state(g, state) {
                if fresh && state == State::Backup { out.insert(before, notice) } else { out.push(notice) }
            }
        }
    }

    /// A group is master when all its members are, in fault when one is, else backup.
    pub(crate) fn unit_state(&self, members: &[usize]) -> State {
        let all = |s| members.iter().all(|m| self.instances.get(*m).is_some_and(|i| i.state == s));
        let any = |s| members.iter().any(|m| self.instances.get(*m).is_some_and(|i| i.state == s));
        match () {
            () if any(State::Fault) => State::Fault,
            () if any(State::Init) => State::Init,
            () if all(State::Master) => State::Master,
            () => State::Backup,
        }
    }

    fn act_on_unit(&mut self, now: Time, members: &[usize], out: &mut Vec<Output>) {
        let mut faulty: Option<String> = None;
        let mut waiting = false;
        for i in members.iter().filter_map(|m| self.instances.get(*m)) {
            waiting |= i.waiting;
            if !i.faults.is_empty() && faulty.is_none() {
                faulty = Some(i.config.name.clone());
            }
        }
        if let Some(culprit) = faulty {
            for &m in members {
                let Some(i) = self.instances.get(m) else { continue };
                if i.release.is_some() && !self.links.up(&i.config.interface) {
                    self.end_release(now, m, out);
                }
                if self.instances.get(m).is_some_and(|i| i.state != State::Fault) {
                    self.enter_fault(now, m, &culprit, out);
                }
            }
            return;
        }
        // Nothing is said until scripts have had their first result; who runs already is not stopped for a new one.
        let idle = |i: &Instance| matches!(i.state, State::Init | State::Fault);
        if waiting
            && members
                .iter()
                .filter_map(|m| self.instances.get(*m))
                .all(|i| i.state == State::Init && i.resume.is_none())
        {
            return;
        }
        let owners = members
            .iter()
            .filter_map(|m| self.instances.get(*m))
            .all(|i| i.state == State::Init && i.config.priority == 255 && i.config.start_master);
        let resumed = members.iter().filter_map(|m| self.instances.get(*m)).all(|i| i.resume == Some(State::Master));
        for &m in members {
            let Some(i) = self.instances.get_mut(m) else { continue };
            if !idle(i) {
                continue;
            }
            let init = i.state == State::Init;
            let silent = i.resume.take().is_some();
            i.started = true;
            if resumed {
                self.resume_master(now, m, out);
            } else if owners {
                self.become_master(now, m, out);
            } else {
                self.log(
                    m,
                    Level::Info,
                    if init { "Entering BACKUP STATE (init)" } else { "Entering BACKUP STATE" },
                    out,
                );
                self.enter(now, m, State::Backup);
                self.arm_master_down(now, m);
                if !silent {
                    self.notify(m, Notice::Backup, out);
                }
            }
        }
    }

    pub(crate) fn arm_master_down(&mut self, now: Time, n: usize) {
        if let Some(i) = self.instances.get(n) {
            self.timers.set(Timer::Main(n), now + i.master_down());
        }
    }

    fn enter_fault(&mut self, now: Time, n: usize, culprit: &str, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        i.resume = None;
        i.started = true;
        let was_master = i.state == State::Master;
        let reasons = if i.faults.is_empty() {
            vec![format!("sync group member {culprit} is in fault")]
        } else {
            i.faults.clone()
        };
        let link_up = self.links.up(&i.config.interface) && i.source.is_some();
        for reason in reasons {
            self.log(n, Level::Info, reason, out);
        }
        self.log(n, Level::Info, "Entering FAULT STATE", out);
        self.timers.cancel(Timer::Main(n));
        self.enter(now, n, State::Fault);
        if was_master {
            self.let_go(now, n, link_up, out);
        }
        self.notify(n, Notice::Fault, out);
    }

    /// A master gives its addresses up: priority 0, and the addresses stay until the successor is heard or the longest skew has
    /// passed. With a dead link, nobody hears and nobody is served, so they go at once.
    pub(crate) fn let_go(&mut self, now: Time, n: usize, link_up: bool, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get(n) else { return };
        let bound = timing::release_bound(i.config.version, i.config.advert_interval);
        let soft = i.config.soft_release && link_up && !i.config.strict;
        if link_up {
            self.log(n, Level::Info, "sent 0 priority", out);
            self.send(now, n, 0, out);
        }
        if soft {
            if let Some(i) = self.instances.get_mut(n) {
                i.release = Some(Release { until: now + bound });
            }
            self.timers.set(Timer::Release(n), now + bound);
        } else {
            self.remove_objects(n, out);
        }
    }

    /// The successor was heard, or waiting for it is over.
    pub(crate) fn end_release(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        self.timers.cancel(Timer::Release(n));
        let released = self.instances.get_mut(n).and_then(|i| i.release.take());
        if released.is_some() {
            self.remove_objects(n, out);
        }
        self.finish_stop(now, out);
    }

    pub(crate) fn remove_objects(&mut self, n: usize, out: &mut Vec<Output>) {
        if let Some(i) = self.instances.get_mut(n).filter(|i| i.objects_set) {
            i.objects_set = false;
            out.extend(i.objects().rev().map(Output::Remove));
            self.log(n, Level::Debug, "removing VIPs.", out);
        }
    }

    pub(crate) fn become_master(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        self.log(n, Level::Info, "Entering MASTER STATE", out);
        self.enter(now, n, State::Master);
        self.hold(now, n, out);
        self.announce_mastership(now, n, out);
        self.notify(n, Notice::Master, out);
    }

    /// A successor process of a master: the addresses are in the kernel, peers and clients need not notice.
    fn resume_master(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        self.log(n, Level::Info, "Going on as MASTER", out);
        self.enter(now, n, State::Master);
        self.hold(now, n, out);
        let refresh = self.instances.get(n).map(|i| i.config.garp.refresh).unwrap_or_default();
        if !refresh.is_zero() {
            self.timers.set(Timer::GarpRefresh(n), now + refresh);
        }
    }

    /// First advert, objects, advert timer.
    fn hold(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        self.timers.cancel(Timer::Release(n));
        let Some(i) = self.instances.get_mut(n) else { return };
        i.release = None;
        i.master = None;
        i.master_interval = i.config.advert_interval;
        i.objects_set = true;
        let (priority, interval) = (i.priority, i.config.advert_interval);
        self.send(now, n, priority, out);
        self.log(n, Level::Debug, "setting VIPs.", out);
        if let Some(i) = self.instances.get(n) {
            out.extend(i.objects().map(Output::Add));
        }
        self.timers.set(Timer::Main(n), now + interval);
    }

    /// A better master was heard.
    pub(crate) fn step_down(&mut self, now: Time, n: usize, to: (IpAddr, u8), out: &mut Vec<Output>) {
        let Some(i) = self.instances.get(n) else { return };
        // The winner may not know that we served until now: it announces its addresses again when it hears a lesser master, so
        // that no client keeps our MAC. Strict mode keeps the RFC's silence.
        let (tell, priority) = (i.config.higher_prio_send_advert || !i.config.strict, i.priority);
        if tell {
            self.send(now, n, priority, out);
        }
        self.log(n, Level::Info, "Entering BACKUP STATE", out);
        self.enter(now, n, State::Backup);
        self.remove_objects(n, out);
        if let Some(i) = self.instances.get_mut(n) {
            i.heard(to.0, to.1);
        }
        self.arm_master_down(now, n);
        self.notify(n, Notice::Backup, out);
        self.group_stepped_down(now, n, out);
    }

    /// A member of a group follows another one to backup: a soft release, for its own link still hears nobody else.
    pub(crate) fn follow_to_backup(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        self.log(n, Level::Info, "Entering BACKUP STATE", out);
        self.enter(now, n, State::Backup);
        self.let_go(now, n, true, out);
        self.arm_master_down(now, n);
        self.notify(n, Notice::Backup, out);
    }

    /// Master-down timer or advert timer.
    pub(crate) fn main_timer(&mut self, now: Time, n: usize, due: Time, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get(n) else { return };
        match i.state {
            State::Backup => {
                self.log(n, Level::Debug, "Receive advertisement timeout", out);
                self.timer_fired(now, n, out);
            }
            State::Master => {
                if i.overslept(now) && !i.listening {
                    self.begin_listening(now, n, out);
                    return;
                }
                let (priority, interval, listened) = (i.priority, i.config.advert_interval, i.listening);
                self.send(now, n, priority, out);
                // Adverts do not drift, but a late one is not made up for by a short interval.
                let next = due + interval;
                self.timers.set(Timer::Main(n), if next > now { next } else { now + interval });
                if listened {
                    if let Some(i) = self.instances.get_mut(n) {
                        i.listening = false;
                    }
                    // A peer may have served and announced the addresses meanwhile, and gone again.
                    self.announce_after_contention(now, n, out);
                }
            }
            State::Init | State::Fault => {}
        }
    }

    /// A master that was not scheduled for so long that a peer may have taken over: it does not send before it has listened for
    /// one interval. Who asked for timer_expired_backup goes to backup.
    pub(crate) fn begin_listening(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        let late = now.since(i.last_sent);
        i.listening = true;
        let (interval, yields) = (i.config.advert_interval, i.config.timer_expired_backup.is_some());
        let text = format!("no advert sent for {:.3} s: listening before sending", late.as_secs_f64());
        self.log(n, Level::Warn, text, out);
        if yields {
            self.follow_to_backup(now, n, out);
            self.group_stepped_down(now, n, out);
        } else {
            let wait = interval + self.jitter(Duration::from_millis(1));
            self.timers.set(Timer::Main(n), now + wait);
        }
    }

    /// A backup's time has come.
    pub(crate) fn timer_fired(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n).filter(|i| i.state == State::Backup) else { return };
        match i.group {
            None => self.become_master(now, n, out),
            Some(g) => {
                i.wants_master = true;
                self.group_fired(now, n, g, out);
            }
        }
    }

    /// Someone removed an object of ours.
    pub(crate) fn object_lost(&mut self, now: Time, object: &Object, out: &mut Vec<Output>) {
        if self.stopping.is_some() {
            return;
        }
        if self.config.statics.contains(object) {
            out.push(Output::Log(Level::Info, format!("static {object} was removed by someone else, restoring it")));
            if within_budget(&mut self.statics_repairs, now) {
                out.push(Output::Add(object.clone()));
            } else {
                self.timers.set(Timer::Statics, now + Duration::from_secs(1));
            }
            return;
        }
        let owner = (0..self.instances.len())
            .find(|n| self.instances.get(*n).is_some_and(|i| i.objects_set && i.objects().any(|o| o == *object)));
        let Some(n) = owner else { return };
        let Some(i) = self.instances.get_mut(n) else { return };
        if within_budget(&mut i.repairs, now) {
            self.log(n, Level::Info, format!("{object} was removed by someone else, restoring it"), out);
            out.push(Output::Add(object.clone()));
            if let Object::Address(a) = object {
                self.announce_one(now, &a.interface, a.cidr.address, out);
            }
        } else if self.timers.get(Timer::Repair(n)).is_none() {
            self.log(n, Level::Warn, format!("{object} is removed again and again, restoring once a second"), out);
            self.timers.set(Timer::Repair(n), now + Duration::from_secs(1));
        }
    }

    /// Puts everything back; what is there already is no error.
    pub(crate) fn repair(&mut self, now: Time, n: usize, out: &mut Vec<Output>) {
        if let Some(i) = self.instances.get(n).filter(|i| i.objects_set) {
            out.extend(i.objects().map(Output::Add));
            self.announce(now, n, 1, out);
        }
    }

    /// Orderly stop.
    pub(crate) fn stop(&mut self, now: Time, keep_objects: bool, out: &mut Vec<Output>) {
        if self.stopping.is_some() {
            return;
        }
        self.stopping = Some(keep_objects);
        for (i, s) in self.scripts.iter().enumerate() {
            self.timers.cancel(Timer::Script(i));
            if s.run != crate::script::Run::Idle {
                out.push(Output::KillScript(s.config.name.clone(), crate::Kill::Term));
            }
        }
        self.timers.cancel(Timer::Start);
        for n in 0..self.instances.len() {
            let Some(i) = self.instances.get(n) else { continue };
            let (master, link_up) = (i.state == State::Master, self.links.up(&i.config.interface));
            self.timers.cancel(Timer::Main(n));
            self.enter(now, n, State::Init);
            if !master {
                continue;
            }
            if keep_objects {
                self.log(n, Level::Info, "sent 0 priority", out);
                self.send(now, n, 0, out);
            } else {
                self.let_go(now, n, link_up, out);
            }
        }
        self.finish_stop(now, out);
    }

    /// Ends an orderly stop once nothing is being released any more.
    fn finish_stop(&mut self, _now: Time, out: &mut Vec<Output>) {
        let Some(keep) = self.stopping else { return };
        if self.stopped || self.instances.iter().any(|i| i.release.is_some()) {
            return;
        }
        self.stopped = true;
        if !keep {
            out.extend(self.config.statics.iter().rev().cloned().map(Output::Remove));
        }
        for n in 0..self.instances.len() {
            self.notify(n, Notice::Stop, out);
        }
        out.extend(self.groups.iter().map(|g| Output::Group { name: g.config.name.clone(), notice: Notice::Stop }));
        out.push(Output::Stopped);
    }
}

/// Counts a repair; false when there were too many in the window.
fn within_budget(window: &mut (Time, u32), now: Time) -> bool {
    if now.since(window.0) > REPAIR_WINDOW {
        *window = (now, 0);
    }
    window.1 = window.1.saturating_add(1);
    window.1 <= REPAIRS
}
