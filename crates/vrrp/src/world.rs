//! What the world tells: links, trackers, scripts and kernel objects, and announcing addresses to it.

use crate::instance::Instance;
use crate::keys::Key;
use crate::machine::Standing;
use crate::objects::Repair;
use crate::router::{Life, Router};
use crate::script::Script;
use crate::{InstanceConfig, Link, Output, ScriptEnd, Tracked};
use log::Level;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_core::kernel::{Address, Object};

/// Limits of scripts are looked at again after this while nobody can say how these are.
const HELD: Duration = Duration::from_millis(200);

impl Router {
    /// A link's state is told. Where changes of it are held off (interface_up_down_delays) it counts only when it has lasted.
    pub(crate) fn on_link(&mut self, now: Time, link: Link, out: &mut Vec<Output>) {
        let known = self.trackers.links.get(&link.name).map(|l| l.up).filter(|_| self.life != Life::Settling);
        let delay = self.settings.link_delays.iter().position(|d| d.interface == link.name);
        let (Some(up), Some(n)) = (known, delay) else { return self.link_counts(now, link, out) };
        let key = Key::Debounce(n as u32);
        if up == link.up {
            self.timers.cancel(key);
            let was_down = up && self.trackers.debounced.remove(&link.name).is_some_and(|l| !l.up);
            self.trackers.debounced.remove(&link.name);
            let name = link.name.clone();
            self.link_counts(now, link, out);
            // that it was down counts for nobody but the kernel, which has dropped routes
            if was_down {
                self.restore_objects(&name, out);
            }
            return;
        }
        let hold_off = self.settings.link_delays.get(n).map_or(Duration::ZERO, |d| if link.up { d.up } else { d.down });
        if hold_off.is_zero() {
            return self.link_counts(now, link, out);
        }
        if self.timers.get(key).is_none() {
            let text = format!(
                "{} is {}, which counts in {} s",
                link.name,
                if link.up { "up" } else { "down" },
                hold_off.as_secs_f64()
            );
            out.push(Output::Log(Level::Info, text));
            self.timers.set(key, now + hold_off);
        }
        self.trackers.debounced.insert(link.name.clone(), link.clone());
        self.link_counts(now, Link { up, ..link }, out);
    }

    /// A change has lasted.
    pub(crate) fn debounced(&mut self, n: u32, now: Time, out: &mut Vec<Output>) {
        let Some(name) = self.settings.link_delays.get(n as usize).map(|d| d.interface.clone()) else { return };
        if let Some(link) = self.trackers.debounced.remove(&name) {
            self.link_counts(now, link, out);
        }
    }

    /// The interfaces' whole state is told; whoever depends on one is looked at anew.
    fn link_counts(&mut self, now: Time, link: Link, out: &mut Vec<Output>) {
        let name = link.name.clone();
        let old = self.trackers.links.insert(name.clone(), link);
        let Some(new) = self.trackers.links.get(&name) else { return };
        if old.as_ref() == Some(new) {
            return;
        }
        let (up, index) = (new.up, new.index);
        if up && !self.trackers.raised.contains(&name) {
            self.trackers.raised.insert(name.clone());
        }
        let same = old.as_ref().is_some_and(|o| self.makes_no_difference(o, new));
        let was_up = old.as_ref().is_some_and(|l| l.up);
        if old.as_ref().map(|l| l.index) != Some(index) {
            self.lookup_stale = true;
        }
        let users = self.by_interface.get(&name).cloned();
        if up != was_up && users.is_some() && self.life != Life::Settling {
            let word = if up { "up" } else { "down" };
            out.push(Output::Log(Level::Info, format!("Netlink reports {name} {word}")));
        }
        if !same {
            self.reevaluate(&users.unwrap_or_default(), now, out);
            self.reevaluate(&self.roaming.clone(), now, out);
        }
        // routes go with the link, and everything goes with a link that was replaced
        let replaced = old.as_ref().is_some_and(|l| l.index != index);
        if up && (!was_up || replaced) && self.life != Life::Settling {
            self.restore_objects(&name, out);
        }
    }

    /// A virtual link that has not come up by now is a fault: the kernel may make one that it then does not let be up.
    pub(crate) fn made(&mut self, now: Time, out: &mut Vec<Output>) {
        let of = |x: &InstanceConfig| -> Vec<String> {
            x.address_links.iter().map(|(name, _)| name).chain(&x.virtual_link).cloned().collect()
        };
        let links = self.slots.iter().flatten().flat_map(|x| of(&x.config));
        let late: Vec<String> = links.filter(|name| !self.trackers.raised.contains(name)).collect();
        if !late.is_empty() {
            self.trackers.raised.extend(late);
            self.evaluate_all(now, out);
        }
    }

    pub(crate) fn on_link_gone(&mut self, now: Time, name: &str, out: &mut Vec<Output>) {
        self.trackers.debounced.remove(name);
        if let Some(n) = self.settings.link_delays.iter().position(|d| d.interface == name) {
            self.timers.cancel(Key::Debounce(n as u32));
        }
        // Containers make links of ever new names.
        if !self.by_interface.contains_key(name) {
            self.trackers.raised.remove(name);
        }
        if self.trackers.links.remove(name).is_none() {
            return;
        }
        self.lookup_stale = true;
        if let Some(users) = self.by_interface.get(name).cloned() {
            out.push(Output::Log(Level::Info, format!("Netlink reports {name} gone")));
            self.reevaluate(&users, now, out);
        }
        self.reevaluate(&self.roaming.clone(), now, out);
    }

    /// Only addresses of ours came or went, which nobody's source depends on. With a thousand instances on one link there are
    /// a thousand such changes at a takeover.
    pub(crate) fn makes_no_difference(&self, old: &Link, new: &Link) -> bool {
        let Some(managed) = self.trackers.managed.get(&new.name) else { return false };
        let foreign =
            |l: &Link| l.addresses.iter().filter(|c| !managed.contains(&c.address)).copied().collect::<Vec<_>>();
        old.up == new.up
            && old.index == new.index
            && old.mtu == new.mtu
            && !self.trackers.sensitive.contains(&new.name)
            && foreign(old) == foreign(new)
    }

    /// Objects on a link that came back.
    pub(crate) fn restore_objects(&mut self, interface: &str, out: &mut Vec<Output>) {
        let on = |o: &Object| match o {
            // Which link a gateway is on the kernel alone knows.
            Object::Route(r) if r.interface.is_none() => true,
            other => other.needs(interface),
        };
        let mut again: Vec<Object> = self.statics.iter().filter(|o| on(o)).cloned().collect();
        for x in self.slots.iter().flatten().filter(|x| x.objects_set && x.standing() != Standing::Listening) {
            again.extend(Instance::objects(&x.config).filter(|o| on(o)));
        }
        out.extend(again.into_iter().map(Output::Add));
    }

    pub(crate) fn on_process(&mut self, now: Time, name: &str, count: u32, out: &mut Vec<Output>) {
        let Some(id) = self.trackers.process_index.get(name).copied() else {
            self.trackers.counted.insert(name.to_owned(), count);
            return;
        };
        let Some(p) = self.trackers.processes.get_mut(id as usize) else { return };
        let first = p.count.is_none();
        match p.counted(count) {
            None => {
                self.timers.cancel(Key::Process(id));
                if first {
                    self.tracker_changed(&Tracked::Process(name.into()), now, out);
                }
            }
            Some(delay) if delay.is_zero() => {
                self.timers.cancel(Key::Process(id));
                if p.report() {
                    let ok = p.ok;
                    self.process_reported(name, ok, now, out);
                }
            }
            Some(delay) => {
                if self.timers.get(Key::Process(id)).is_none() {
                    self.timers.set(Key::Process(id), now + delay);
                }
            }
        }
    }

    /// A process tracker says something else than before.
    pub(crate) fn process_reported(&mut self, name: &str, ok: bool, now: Time, out: &mut Vec<Output>) {
        self.say_quorum(name, ok, out);
        self.tracker_changed(&Tracked::Process(name.into()), now, out);
    }

    /// Of one that is tracked.
    pub(crate) fn say_quorum(&self, name: &str, ok: bool, out: &mut Vec<Output>) {
        if self.by_tracker.contains_key(&Tracked::Process(name.into())) {
            let word = if ok { "gained" } else { "lost" };
            out.push(Output::Log(Level::Info, format!("Quorum {word} for tracked process {name}")));
        }
    }

    /// What is the first word about a session is no news to log, unless it is good.
    pub(crate) fn on_session(&mut self, now: Time, name: &str, up: bool, out: &mut Vec<Output>) {
        let before = self.trackers.sessions.insert(name.to_owned(), up);
        if before == Some(up) {
            return;
        }
        let what = Tracked::Session(name.into());
        let word = if up { "UP" } else { "DOWN" };
        for i in self.by_tracker.get(&what).filter(|_| up || before.is_some()).into_iter().flatten() {
            let Some(c) = self.config_of(*i) else { continue };
            let text = format!("VRRP_Instance({}) Tracked BFD instance {name} is {word}", c.name);
            out.push(Output::Log(Level::Info, text));
        }
        self.tracker_changed(&what, now, out);
    }

    pub(crate) fn tracker_changed(&mut self, what: &Tracked, now: Time, out: &mut Vec<Output>) {
        if let Some(users) = self.by_tracker.get(what).cloned() {
            self.reevaluate(&users, now, out);
        }
    }

    pub(crate) fn on_object_lost(&mut self, now: Time, object: &Object, out: &mut Vec<Output>) {
        // As with keepalived: it stays away until its owner becomes master the next time, or its link comes back. An address is what
        // clients ask for, and is put back all the same.
        if object.is_untracked() && !matches!(object, Object::Address(_)) {
            if self.held.stays_away(now, object) {
                out.push(Output::Log(
                    Level::Info,
                    format!("{object} was removed by somebody; it is not tracked and stays away"),
                ));
            }
            return;
        }
        if self.is_withheld(object, now, out) {
            if self.held.contains(object) && self.held.stays_away(now, object) {
                let text =
                    format!("{object} was removed while a master is listened for: it stays away until there is none");
                out.push(Output::Log(Level::Warn, text));
            }
            return;
        }
        match self.held.lost(now, object) {
            Repair::None => {}
            Repair::Now(times) => {
                if times == 1 {
                    out.push(Output::Log(Level::Warn, lost_text(object)));
                }
                self.put_back(object, now, out);
            }
            Repair::Later(at, first) => {
                if first {
                    let text = format!("{object} is removed again and again by somebody; putting it back more slowly");
                    out.push(Output::Log(Level::Error, text));
                }
                self.arm_repair(at);
            }
        }
    }

    /// Who depends on a static object.
    fn dependents(&self, object: &Object) -> Vec<u32> {
        let all = self.slots.iter().enumerate();
        let own = |c: &InstanceConfig| {
            let for_addresses = |name: &str| c.address_links.iter().any(|(link, _)| link == name);
            matches!(object, Object::Link(l) if c.virtual_link.as_ref() == Some(&l.name) || for_addresses(&l.name))
        };
        let depends = |c: &InstanceConfig| own(c) || c.depends_on.contains(object);
        all.filter(|(_, x)| x.as_ref().is_some_and(|x| depends(&x.config))).map(|(i, _)| i as u32).collect()
    }

    /// The kernel took an object that it had refused.
    pub(crate) fn on_object_added(&mut self, now: Time, object: &Object, out: &mut Vec<Output>) {
        self.held.accepted(object);
        if self.trackers.refused.remove(object) {
            let users = self.dependents(object);
            self.reevaluate(&users, now, out);
        }
    }

    pub(crate) fn on_object_refused(&mut self, now: Time, object: &Object, why: &str, out: &mut Vec<Output>) {
        let users = self.dependents(object);
        if !users.is_empty() && self.held.contains(object) && self.trackers.refused.insert(object.clone()) {
            self.reevaluate(&users, now, out);
        }
        if let Some((at, first)) = self.held.refused(now, object) {
            if first {
                out.push(Output::Log(Level::Error, format!("the kernel refused {object}: {why}; trying again")));
            }
            self.arm_repair(at);
        }
    }

    /// Another is in its place and serves. An address, or a route that is put only where there is none, is not tried again: for that the
    /// other would have to go each time.
    pub(crate) fn on_object_unchanged(&mut self, now: Time, object: &Object, why: &str, out: &mut Vec<Output>) {
        let again = if matches!(object, Object::Address(_)) || object.excludes() { None } else { Some(now) };
        let Some((at, first)) = self.held.unchanged(again, object) else { return };
        if first {
            let text = format!("the kernel refused the change of {object}: {why}; it stays as it was");
            out.push(Output::Log(Level::Error, text));
        }
        at.into_iter().for_each(|at| self.arm_repair(at));
    }

    pub(crate) fn arm_repair(&mut self, at: Time) {
        if self.timers.get(Key::Repair).is_none_or(|t| at < t) {
            self.timers.set(Key::Repair, at);
        }
    }

    pub(crate) fn repair(&mut self, now: Time, out: &mut Vec<Output>) {
        let (due, next) = self.held.due(now);
        for object in &due {
            self.put_back(object, now, out);
        }
        if let Some(at) = next {
            self.arm_repair(at);
        }
    }

    /// What went while the instance listened is put back once it goes on as master.
    pub(crate) fn restore_lost(&mut self, i: u32, out: &mut Vec<Output>) {
        let Some(x) = self.slot(i) else { return };
        out.extend(Instance::objects(&x.config).filter(|o| self.held.contains(o)).map(Output::Add));
    }

    /// Somebody else may hold it by now: its owner listens, or has to, for it was held up for longer than peers wait. What the end of its
    /// lease took away meanwhile must not come back before that is over.
    fn is_withheld(&mut self, object: &Object, now: Time, out: &mut Vec<Output>) -> bool {
        let concerns = |x: &Instance| {
            let late = x.standing() == Standing::Master && now.since(x.last_sent) >= x.peers_patience();
            (late || x.standing() == Standing::Listening) && Instance::objects(&x.config).any(|o| o == *object)
        };
        // Of many addresses that go at once each looks at those of its own link alone.
        let owners: Vec<u32> = match object {
            Object::Address(a) => {
                let near = self.by_interface.get(a.interface.as_str()).into_iter().flatten().copied();
                near.filter(|i| self.slot(*i).is_some_and(concerns)).collect()
            }
            _ => {
                let all = self.slots.iter().enumerate();
                all.filter(|(_, x)| x.as_ref().is_some_and(concerns)).map(|(i, _)| i as u32).collect()
            }
        };
        let mut withheld = false;
        for i in owners {
            withheld |= self.notice_oversleep(i, now, out);
        }
        withheld
    }

    /// Addresses of those who listen.
    pub fn withheld(&self) -> impl Iterator<Item = &Address> {
        let listen = self.slots.iter().flatten().filter(|x| x.standing() == Standing::Listening);
        listen.flat_map(|x| x.config.addresses.iter().chain(&x.config.excluded))
    }

    /// Adds an object that we hold, and announces it once if it is an address.
    pub(crate) fn put_back(&mut self, object: &Object, now: Time, out: &mut Vec<Output>) {
        if self.is_withheld(object, now, out) {
            return;
        }
        out.push(Output::Add(object.clone()));
        let Object::Address(address) = object else { return };
        // Routes with that preferred source went with it, and older kernels do not say so.
        out.extend(self.held.routes_from(address.cidr.address).into_iter().map(Output::Add));
        let owner = self.by_interface.get(address.interface.as_str()).into_iter().flatten().copied().find(|i| {
            self.slot(*i).is_some_and(|x| {
                x.objects_set && x.config.addresses.iter().chain(&x.config.excluded).any(|a| a == address)
            })
        });
        if let Some(owner) = owner {
            self.announce(owner, &address.interface.clone(), address.cidr.address, now, out);
        }
    }

    pub(crate) fn on_script_ended(&mut self, now: Time, name: &str, end: ScriptEnd, out: &mut Vec<Output>) {
        let Some(id) = self.trackers.script_index.get(name).copied() else { return };
        let Some(script) = self.trackers.scripts.get_mut(id as usize) else { return };
        if !script.running() {
            return;
        }
        self.timers.cancel(Key::ScriptLimit(id));
        let before = script.verdict();
        let outcome = script.ended(end);
        self.learned |= script.verdict() != before;
        // the verdict of the former command holds until then: not for another interval. A stop has no timer left
        if outcome.overdue && self.timers.get(Key::ScriptRun(id)).is_some() {
            self.timers.set(Key::ScriptRun(id), now);
        }
        let good = script.verdict() == Some(true);
        if outcome.status_changed
            && let ScriptEnd::Exited(s) = end
        {
            out.push(Output::Log(Level::Info, format!("Script `{name}` now returning {s}")));
        }
        if outcome.changed {
            let text = match (good, outcome.timed_out, end) {
                (true, _, _) => format!("VRRP_Script({name}) succeeded"),
                (false, true, _) => format!("VRRP_Script({name}) timed out"),
                (false, false, ScriptEnd::Exited(s)) => format!("VRRP_Script({name}) failed (exited with status {s})"),
                (false, false, ScriptEnd::Signalled(s)) => format!("VRRP_Script({name}) failed (due to signal {s})"),
                (false, false, ScriptEnd::NotStarted | ScriptEnd::Unable) => {
                    format!("VRRP_Script({name}) failed (could not be started)")
                }
            };
            out.push(Output::Log(Level::Info, text));
        }
        // a first result matters even where it changes no verdict: somebody may wait for it
        self.tracker_changed(&Tracked::Script(name.into()), now, out);
    }

    pub(crate) fn run_script(&mut self, id: u32, now: Time, out: &mut Vec<Output>) {
        let Some(script) = self.trackers.scripts.get_mut(id as usize) else { return };
        self.timers.set(Key::ScriptRun(id), now + script.interval());
        if script.due() {
            let limit = script.config.timeout;
            if !limit.is_zero() {
                self.timers.set(Key::ScriptLimit(id), now + limit);
            }
            out.push(Output::StartScript(script.config.name.clone()));
        }
    }

    /// `held`: whoever starts scripts for this process does not answer. Then none has overrun its limit, and when an answer is there
    /// again, or somebody else has started them anew, those under way have their whole time.
    pub fn hold_scripts(&mut self, held: bool, now: Time) {
        if !std::mem::replace(&mut self.held_scripts, held) || held {
            return;
        }
        for id in 0..self.trackers.scripts.len() as u32 {
            let Some(limit) = self.trackers.scripts.get_mut(id as usize).and_then(Script::whole_time) else { continue };
            if self.timers.get(Key::ScriptLimit(id)).is_some() {
                self.timers.set(Key::ScriptLimit(id), now + limit);
            }
        }
    }

    pub(crate) fn limit_script(&mut self, id: u32, now: Time, out: &mut Vec<Output>) {
        if self.held_scripts {
            self.timers.set(Key::ScriptLimit(id), now + HELD);
            return;
        }
        let Some(script) = self.trackers.scripts.get_mut(id as usize) else { return };
        let Some((kill, wait)) = script.expired() else { return };
        let name = script.config.name.clone();
        out.push(Output::KillScript(name.clone(), kill));
        if script.hangs() {
            self.on_script_ended(now, &name, ScriptEnd::Signalled(9), out);
            self.trackers.scripts.get_mut(id as usize).into_iter().for_each(Script::counted);
        }
        self.timers.set(Key::ScriptLimit(id), now + wait);
    }

    /// Puts an object into the kernel for one holder.
    pub(crate) fn hold(&mut self, object: Object, out: &mut Vec<Output>) {
        if self.held.hold(&object) {
            out.push(Output::Add(object));
        }
    }

    /// Puts an object into the kernel for one holder, who lets go of another that is in its place.
    pub(crate) fn hold_instead(&mut self, old: Option<&Object>, new: Object, out: &mut Vec<Output>) {
        match old {
            Some(old) if self.held.is_last_of(old) && !self.held.contains(&new) => {
                self.held.release(old);
                self.trackers.forget(old);
                self.held.hold(&new);
                out.push(Output::Replace(old.clone(), new));
            }
            _ => self.hold(new, out),
        }
    }

    /// One holder less. Where somebody holds another form of the address, that one comes into the place: the kernel may have taken it
    /// for the one that goes.
    pub(crate) fn let_go(&mut self, object: Object, out: &mut Vec<Output>) {
        if !self.held.release(&object) {
            return;
        }
        self.trackers.forget(&object);
        let rival = if self.rivals.contains(&object) { self.held.rival(&object).cloned() } else { None };
        out.push(match rival {
            Some(other) => Output::Replace(object, other),
            None => Output::Remove(object),
        });
    }

    /// Finds the addresses of which there is more than one form, held or wanted.
    pub(crate) fn find_rivals(&mut self) {
        let held = self.held.all().filter_map(|o| if let Object::Address(a) = o { Some(a) } else { None });
        let wanted = self.slots.iter().flatten().flat_map(|x| x.config.addresses.iter().chain(&x.config.excluded));
        let mut first: HashMap<_, &Address> = HashMap::new();
        let mut rivals = HashSet::new();
        for address in held.chain(wanted) {
            let other = *first.entry(address.key()).or_insert(address);
            if other != address {
                rivals.extend([other, address].map(|a| Object::Address(a.clone())));
            }
        }
        self.rivals = rivals;
    }
}

/// What is said when somebody takes an object away.
fn lost_text(object: &Object) -> String {
    match object {
        Object::Address(a) => {
            format!("Netlink reflector reports IP {} removed from {}; putting it back", a.cidr.address, a.interface)
        }
        other => format!("{other} was removed by somebody; putting it back"),
    }
}
