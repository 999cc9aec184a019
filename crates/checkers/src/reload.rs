//! Taking in a configuration, at start and at reload. What is configured as before keeps its state: virtual servers by id, real
//! servers by address and port, checks by all that they say.

use crate::checker::{Checker, User};
use crate::health::{Cause, Real, Virtual, server_name, slot};
use crate::pool::{Key, Life, Pool};
use crate::{Check, Config, Output, RealServer, ServiceId, VirtualServer, VirtualServerGroup};
use log::Level;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use steadfast_core::Time;
use steadfast_core::ipvs::{Destination, ServiceKey};

impl Pool {
    /// A new configuration. Unchanged servers and checks go on as if nothing had happened.
    pub fn reload(&mut self, config: Config, now: Time, out: &mut Vec<Output>) {
        if self.life == Life::Stopped {
            return;
        }
        self.adopt(config, now, out);
        if self.life == Life::Running {
            self.feed_passive();
            for s in self.order.clone() {
                // the weight and the servers of the file are not news to anybody who wrote it
                if let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut).filter(|v| v.begun) {
                    v.take_weights(&self.checkers);
                }
                self.evaluate(s, &Cause { mail: "=> Reloaded <=".into() }, now, out);
                self.dirty.insert(s);
            }
            self.reconsider(now, out);
            self.keep_all();
        }
        self.flush(out);
    }

    /// Puts a configuration in place of the present one. Nothing is evaluated yet.
    pub(crate) fn adopt(&mut self, config: Config, now: Time, out: &mut Vec<Output>) {
        self.init_notifies = config.init_notifies;
        let mut old: HashMap<ServiceId, (u32, Virtual)> = HashMap::new();
        for (s, v) in self.services.iter_mut().enumerate() {
            if let Some(v) = v.take() {
                old.insert(v.config.id.clone(), (s as u32, v));
            }
        }
        let groups: HashMap<&str, &VirtualServerGroup> = config.groups.iter().map(|g| (g.name.as_str(), g)).collect();
        let mut used: HashMap<u32, Vec<User>> = HashMap::new();
        let mut fates: HashMap<u32, (bool, bool)> = HashMap::new();
        let (mut order, mut seen) = (Vec::new(), HashSet::new());
        let mut added = Vec::new();
        for mut service in config.services {
            let name = service.id.to_string();
            if !seen.insert(service.id.clone()) {
                out.push(Output::Log(Level::Warn, format!("VS {name} is duplicated - left out")));
                continue;
            }
            let Some(keys) = keys(&service.id, &groups) else {
                out.push(Output::Log(Level::Warn, format!("VS {name}: no such virtual_server_group, or an empty one")));
                continue;
            };
            let before = old.remove(&service.id);
            let s = match &before {
                Some((s, _)) => *s,
                None => self.free_slot(&old),
            };
            let servers = std::mem::take(&mut service.servers);
            let mut v = Virtual::new(service, name, keys);
            let mut gone = before.map(|(_, b)| v.succeed(b)).unwrap_or_default();
            for server in servers {
                self.place(&mut v, server, &mut gone, (s, &mut used, &mut fates, &mut added), out);
            }
            self.dismiss(s, &mut v, gone, now, out);
            self.services[s as usize] = Some(v);
            order.push(s);
        }
        self.order = order;
        self.settle_checkers(used, &fates, &added, out);
        for (_, (s, v)) in old {
            remove(&v, out);
            self.timers.cancel(Key::Leave(s));
            self.dirty.remove(&s);
            out.push(Output::TableGone(slot(s)));
        }
        self.restart_ramps(now);
    }

    /// A free slot; those of virtual servers that may still be matched are not free.
    fn free_slot(&mut self, old: &HashMap<ServiceId, (u32, Virtual)>) -> u32 {
        let taken: BTreeSet<u32> = old.values().map(|(s, _)| *s).collect();
        let free = self.services.iter().enumerate().find(|(s, v)| v.is_none() && !taken.contains(&(*s as u32)));
        let s = free.map_or(self.services.len(), |(s, _)| s);
        if s == self.services.len() {
            self.services.push(None);
        }
        // the slot must not be found free again before the virtual server is put there
        self.services[s] = Some(Virtual::placeholder());
        s as u32
    }

    /// Puts one real server into a virtual server, with the state of its predecessor.
    #[allow(clippy::type_complexity)]
    fn place(
        &mut self,
        v: &mut Virtual,
        config: RealServer,
        gone: &mut Vec<Real>,
        (s, used, fates, added): (u32, &mut HashMap<u32, Vec<User>>, &mut HashMap<u32, (bool, bool)>, &mut Vec<u32>),
        out: &mut Vec<Output>,
    ) {
        let name = server_name(&v.config, config.address, config.port);
        let mut real = Real {
            name,
            checks: Vec::new(),
            up: false,
            seen_up: false,
            drained: false,
            recovering: None,
            weight: 0,
            config,
        };
        let key = real.key();
        if v.servers.iter().any(|r| r.key() == key) {
            out.push(Output::Log(
                Level::Warn,
                format!("VS {}: real server {} is duplicated - removing second rs", v.name, real.name),
            ));
            return;
        }
        let i = v.servers.len() as u32;
        let mut fate = None;
        if let Some(at) = gone.iter().position(|r| r.key() == key) {
            let old = gone.swap_remove(at);
            (real.up, real.seen_up, real.drained) = (old.up, old.seen_up, old.drained);
            (real.recovering, real.weight) = (old.recovering, old.weight);
            fate = Some(old.up);
        } else if let Some((up, seen_up, drained)) = self.heritage.servers.get(&(v.config.id.clone(), key)) {
            (real.up, real.seen_up, real.drained) = (*up, *seen_up, *drained);
            fate = Some(*up);
        }
        v.leaving.retain(|(k, _, _)| *k != key);
        for check in std::mem::take(&mut real.config.checks) {
            let (c, new) = self.intern(check);
            if new {
                added.push(c);
            }
            if let Some(up) = fate {
                let f = fates.entry(c).or_default();
                *f = (f.0 | up, f.1 | !up);
            }
            used.entry(c).or_default().push((s, i));
            real.checks.push(c);
        }
        // the configuration keeps what views show
        real.config.checks = real
            .checks
            .iter()
            .filter_map(|c| self.checkers.get(*c as usize)?.as_ref())
            .map(|c| (*c.check).clone())
            .collect();
        v.servers.push(real);
    }

    /// The checker of this check, and whether it is new.
    fn intern(&mut self, check: Check) -> (u32, bool) {
        if let Some(c) = self.by_check.get(&check) {
            return (*c, false);
        }
        let check = Arc::new(check);
        let mut checker = Checker::new(check.clone());
        let known = self.heritage.checks.get(&checker.state.fingerprint).copied();
        if let Some(state) = known {
            checker.restore(state);
        }
        let c = self.checkers.iter().position(Option::is_none).unwrap_or(self.checkers.len());
        if c == self.checkers.len() {
            self.checkers.push(None);
        }
        self.checkers[c] = Some(checker);
        self.by_check.insert(check, c as u32);
        (c as u32, known.is_none())
    }

    /// Who uses which checker now; those that nobody uses end. A new checker of a server that exists starts with the server's
    /// state: a reload neither brings a dead server back nor takes a live one out.
    fn settle_checkers(
        &mut self,
        mut used: HashMap<u32, Vec<User>>,
        fates: &HashMap<u32, (bool, bool)>,
        added: &[u32],
        out: &mut Vec<Output>,
    ) {
        for c in added {
            if let (Some((up, down)), Some(checker)) = (fates.get(c).copied(), self.checker(*c)) {
                checker.state.up = !down && up;
                // its first answer is no first answer of the server
                checker.state.run = up && !down;
            }
        }
        for c in 0..self.checkers.len() as u32 {
            let users = used.remove(&c).unwrap_or_default();
            if users.is_empty() {
                self.rest(c, out);
                if let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::take) {
                    self.by_check.remove(&checker.check);
                }
            } else if let Some(checker) = self.checker(c) {
                checker.users = users;
            }
        }
    }

    /// Servers that are not configured any more: they drain where that is wanted.
    fn dismiss(&mut self, s: u32, v: &mut Virtual, gone: Vec<Real>, now: Time, out: &mut Vec<Output>) {
        for real in gone {
            let (name, service) = (&real.name, &v.name);
            out.push(Output::Log(Level::Info, format!("Removing service {name} from VS {service}")));
            if real.up {
                out.extend(real.config.notify_down.clone().map(Output::Notify));
                out.push(Output::Fifo(format!("RS {name} {service} DOWN\n")));
                if !real.config.drain.is_zero() {
                    let RealServer { forward, upper, lower, drain, .. } = real.config;
                    v.leaving.push((real.key(), Destination { forward, weight: 0, upper, lower }, now + drain));
                }
            }
        }
        match v.leaving.iter().map(|(_, _, until)| *until).min() {
            Some(at) => self.timers.set(Key::Leave(s), at),
            None => self.timers.cancel(Key::Leave(s)),
        }
    }

    /// Slow starts go by place, and places may have changed.
    fn restart_ramps(&mut self, now: Time) {
        for s in 0..self.services.len() {
            let Some(v) = self.services.get_mut(s).and_then(Option::as_mut) else { continue };
            for i in 0..v.servers.len() {
                match v.ramp(i, now) {
                    Some(at) => self.timers.set(Key::Ramp(s as u32, i as u32), at),
                    None => self.timers.cancel(Key::Ramp(s as u32, i as u32)),
                }
            }
        }
    }
}

impl Virtual {
    fn new(config: VirtualServer, name: String, keys: Vec<ServiceKey>) -> Virtual {
        Virtual {
            config,
            name,
            keys,
            servers: Vec::new(),
            quorum: false,
            panic: false,
            empty: false,
            active: false,
            begun: false,
            leaving: Vec::new(),
        }
    }

    fn placeholder() -> Virtual {
        let id = ServiceId::Group { name: String::new(), protocol: steadfast_core::ipvs::Protocol::Tcp };
        Virtual::new(VirtualServer::new(id), String::new(), Vec::new())
    }

    /// Takes over the state of its predecessor; gives back the predecessor's servers.
    fn succeed(&mut self, old: Virtual) -> Vec<Real> {
        (self.quorum, self.panic, self.empty) = (old.quorum, old.panic, old.empty);
        (self.active, self.begun, self.leaving) = (old.active, old.begun, old.leaving);
        old.servers
    }

    /// Weights as they are, without a word about it.
    pub(crate) fn take_weights(&mut self, checkers: &[Option<Checker>]) {
        for real in &mut self.servers {
            real.take_weight(checkers);
        }
    }
}

/// The last words about a virtual server that is not configured any more.
fn remove(v: &Virtual, out: &mut Vec<Output>) {
    out.push(Output::Log(Level::Info, format!("Removing Virtual Server {}", v.name)));
    for (i, _) in v.servers.iter().enumerate().filter(|(_, r)| r.up) {
        v.tell_server(i, false, "=> Removing <=", out);
    }
    if v.quorum {
        out.extend(v.config.quorum_down.clone().map(Output::Notify));
        out.push(Output::Fifo(format!("VS {} DOWN\n", v.name)));
        out.push(Output::Quorum(v.config.id.clone(), false));
    }
}

/// The IPVS services that an id stands for.
fn keys(id: &ServiceId, groups: &HashMap<&str, &VirtualServerGroup>) -> Option<Vec<ServiceKey>> {
    let (name, protocol) = match id {
        ServiceId::One(key) => return Some(vec![*key]),
        ServiceId::Group { name, protocol } => (name, *protocol),
    };
    let group = groups.get(name.as_str())?;
    let mut keys = BTreeSet::new();
    for range in &group.ranges {
        keys.extend(range.addresses().map(|address| ServiceKey::Address { address, port: range.port, protocol }));
    }
    keys.extend(group.marks.iter().map(|(mark, family)| ServiceKey::Mark { mark: *mark, family: *family }));
    if keys.is_empty() { None } else { Some(keys.into_iter().collect()) }
}
