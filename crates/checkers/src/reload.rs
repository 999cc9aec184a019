//! Taking in a configuration, at start and at reload. What is configured as before keeps its state: virtual servers by id, real
//! servers by address and port, checks by all that they say (crate::renew has those that say something else).

use crate::checker::{Checker, User};
use crate::health::{Cause, Real, Sums, Virtual, server_name, slot};
use crate::kept::Leaver;
use crate::pool::{Key, Life, Pool};
use crate::renew::{Former, Origin};
use crate::{
    CheckKind, Config, Output, Range, RealServer, Rule, ServiceId, Snapshot, VirtualServer, VirtualServerGroup,
};
use log::Level;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use steadfast_core::ipvs::{Destination, DestinationKey, Forward, ServiceKey};
use steadfast_core::{Family, Time};

/// What is gathered while a configuration is taken in.
#[derive(Default)]
struct Intake {
    /// Servers that the present virtual server has by now.
    present: HashSet<DestinationKey>,
    /// Those that it had, and has not any more unless they are found.
    gone: BTreeMap<DestinationKey, Real>,
    /// Users by checker.
    used: HashMap<u32, Vec<User>>,
    /// Whether servers that use a checker were up, and were down, before.
    fates: HashMap<u32, (bool, bool)>,
    /// Checkers that are new.
    added: Vec<u32>,
    /// Checkers whose words are new.
    reworded: Vec<u32>,
    /// What is known of checks.
    former: Former,
}

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
                let Some(v) = self.services.get_mut(s as usize).and_then(Option::as_mut) else { continue };
                if v.begun {
                    v.take_weights(&self.checkers);
                }
                v.sum_up();
                self.evaluate_all(s, &Cause { mail: "=> Reloaded <=".into() }, now, out);
                self.dirty.insert(s);
            }
            self.reconsider(now, out);
            self.keep_all();
        }
        self.flush(now, out);
    }

    /// Puts a configuration in place of the present one. Nothing is evaluated yet.
    pub(crate) fn adopt(&mut self, config: Config, now: Time, out: &mut Vec<Output>) {
        self.init_notifies = config.init_notifies;
        let mut free: Vec<u32> = (0..self.services.len() as u32).filter(|s| self.service(*s).is_none()).collect();
        let mut old: HashMap<ServiceId, (u32, Virtual)> = HashMap::new();
        for (s, v) in self.services.iter_mut().enumerate() {
            if let Some(v) = v.take() {
                old.insert(v.config.id.clone(), (s as u32, v));
            }
        }
        let groups: HashMap<&str, &VirtualServerGroup> = config.groups.iter().map(|g| (g.name.as_str(), g)).collect();
        let (mut order, mut seen) = (Vec::new(), HashSet::new());
        let mut intake = Intake { former: self.former(&config), ..Intake::default() };
        let mut of_group: HashMap<String, u32> = HashMap::new();
        for mut service in config.services {
            let mut name = service.id.to_string();
            if !seen.insert(service.id.clone()) {
                out.push(Output::Log(Level::Warn, format!("VS {name} is duplicated - left out")));
                continue;
            }
            // Virtual servers of one group are counted, in order of the file, as keepalived does.
            if let ServiceId::Group { name: group, .. } = &service.id {
                let n = of_group.entry(group.clone()).or_insert(0u32);
                name = format!("[{group}]:{n}");
                *n += 1;
            }
            let Some((mut keys, ranges)) = keys(&service, &groups) else {
                out.push(Output::Log(Level::Warn, format!("VS {name}: no such virtual_server_group, or an empty one")));
                continue;
            };
            keys.retain(|key| serves(&service, key.family()));
            let before = old.remove(&service.id);
            let s = before.as_ref().map(|(s, _)| *s).or_else(|| free.pop()).unwrap_or_else(|| {
                self.services.push(None);
                self.services.len() as u32 - 1
            });
            let servers = std::mem::take(&mut service.servers);
            let mut v = Virtual::new(service, name, keys, ranges);
            intake.present.clear();
            intake.gone = match before {
                Some((_, b)) => v.succeed(b),
                None => {
                    v.leaving = self.heritage.leaving.remove(&v.config.id).unwrap_or_default();
                    BTreeMap::new()
                }
            };
            for server in servers {
                self.place(s, &mut v, server, &mut intake, now, out);
            }
            v.servers.shrink_to_fit();
            v.let_go(|(key, ..)| intake.present.contains(key), out);
            self.dismiss(s, &mut v, std::mem::take(&mut intake.gone), now, out);
            self.services[s as usize] = Some(v);
            order.push(s);
        }
        self.order = order;
        self.settle_checkers(intake, out);
        self.checkers.shrink_to_fit();
        for (_, (s, v)) in old {
            remove(&v, out);
            self.timers.cancel(Key::Leave(s));
            self.timers.cancel(Key::Table(s));
            self.dirty.remove(&s);
            out.push(Output::TableGone(slot(s)));
        }
        self.restart_ramps(now, out);
    }

    /// Puts one real server into a virtual server, with the state of its predecessor.
    fn place(
        &mut self,
        s: u32,
        v: &mut Virtual,
        config: RealServer,
        intake: &mut Intake,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        let name = server_name(&v.config, config.address, config.port).into_boxed_str();
        let mut real = Real {
            name,
            checks: Box::default(),
            up: false,
            since: 0,
            seen_up: false,
            told: false,
            drained: false,
            drained_since: 0,
            recovering: None,
            maintenance: false,
            weight: 0,
            config,
        };
        let key = real.key();
        if !intake.present.insert(key) {
            let line = format!("VS {}: real server {} is duplicated - removing second rs", v.name, real.name);
            out.push(Output::Log(Level::Warn, line));
            return;
        }
        let (mut fate, mut places) = (None, Box::default());
        if let Some(old) = intake.gone.remove(&key) {
            (real.up, real.seen_up, real.drained) = (old.up, old.seen_up, old.drained);
            (real.recovering, real.weight, real.maintenance) = (old.recovering, old.weight, old.maintenance);
            (real.told, real.since, real.drained_since) = (old.told || old.up, old.since, old.drained_since);
            (fate, places) = (Some(old.up), old.checks);
        } else if let Some(old) = self.heritage.servers.get(&(v.config.id.clone(), key)) {
            (real.up, real.seen_up, real.drained, real.recovering) = (old.up, old.seen_up, old.drained, old.recovering);
            (real.told, real.since, real.drained_since) = (true, old.since, old.drained_since);
            fate = Some(old.up);
        }
        let i = v.servers.len() as u32;
        let mut checks = Vec::new();
        for (place, check) in std::mem::take(&mut real.config.checks).into_iter().enumerate() {
            let (c, origin) = self.intern(check, places.get(place).copied(), &mut intake.former, now, out);
            match origin {
                Origin::New => intake.added.push(c),
                Origin::Reworded => intake.reworded.push(c),
                Origin::Known => {}
            }
            if let Some(up) = fate {
                let f = intake.fates.entry(c).or_default();
                *f = (f.0 | up, f.1 | !up);
            }
            intake.used.entry(c).or_default().push((s, i));
            checks.push(c);
        }
        real.checks = checks.into();
        v.servers.push(real);
    }

    /// Who uses which checker now; those that nobody uses end. A new checker of a server that exists starts with the server's
    /// state: a reload neither brings a dead server back nor takes a live one out.
    fn settle_checkers(&mut self, mut intake: Intake, out: &mut Vec<Output>) {
        for c in &intake.added {
            if let (Some((up, down)), Some(checker)) = (intake.fates.get(c).copied(), self.checker(*c))
                && !checker.is_agent()
            {
                // Who lives goes on, whatever else a server has against it that shares this check: one that is dead for this check's
                // sake alone is taken out by its first answer, which is no first answer of the server where none is dead.
                checker.state.up = up;
                checker.state.run = up && !down;
                checker.borrowed = !checker.is_passive();
            }
        }
        for c in &intake.reworded {
            if let (Some((up, down)), Some(checker)) = (intake.fates.get(c).copied(), self.checker(*c)) {
                checker.begin_reworded(up, down);
                if !checker.works() {
                    out.push(Output::Keep(checker.kept_reason()));
                }
            }
        }
        for c in 0..self.checkers.len() as u32 {
            let users = intake.used.remove(&c).unwrap_or_default();
            if users.is_empty() {
                self.rest(c, out);
                if let Some(checker) = self.checkers.get_mut(c as usize).and_then(Option::take) {
                    if !checker.works() {
                        let check = checker.state.fingerprint;
                        out.push(Output::Keep(Snapshot::Reason { check, text: String::new() }));
                    }
                    self.by_check.remove(&checker.check);
                    self.free_checkers.push(c);
                }
            } else if let Some(checker) = self.checker(c) {
                checker.users = users.into();
            }
        }
        let checks = self.by_check.keys().filter_map(|c| if let CheckKind::Http(h) = &c.kind { Some(h) } else { None });
        let used: HashSet<&Rule> = checks.flat_map(|h| h.urls.iter()).filter_map(|u| u.regex.as_ref()).collect();
        self.rules.retain(|rule, _| used.contains(rule));
        self.pages.retain(|pages| Arc::strong_count(pages) > 1);
    }

    /// Servers that are not configured any more: they drain where that is wanted.
    fn dismiss(
        &mut self,
        s: u32,
        v: &mut Virtual,
        gone: BTreeMap<DestinationKey, Real>,
        now: Time,
        out: &mut Vec<Output>,
    ) {
        for real in gone.into_values() {
            let (name, service) = (&real.name, &v.name);
            out.push(Output::Forget(Snapshot::server_key(&v.config.id, &real.key())));
            out.push(Output::Log(Level::Info, format!("Removing service {name} from VS {service}")));
            if real.up {
                out.extend(real.config.notify_down.as_deref().cloned().map(Output::Notify));
                out.push(Output::Fifo(format!("RS {name} {service} DOWN\n")));
                if !real.config.drain.is_zero() {
                    let RealServer { forward, upper, lower, drain, .. } = real.config;
                    let (server, until) = (real.key(), now + drain);
                    let destination = Destination { forward, weight: 0, upper, lower };
                    let line = format!("Service {name} of VS {service} drains for {} s", drain.as_secs_f64());
                    out.push(Output::Log(Level::Info, line));
                    v.leaving.push((server, destination, until));
                    let service = v.config.id.clone();
                    out.push(Output::Keep(Snapshot::Leaving { service, server, destination, until }));
                }
            }
        }
        match v.leaving.iter().map(|(_, _, until)| *until).min() {
            Some(at) => self.timers.set(Key::Leave(s), at),
            None => self.timers.cancel(Key::Leave(s)),
        }
    }

    /// Slow starts go by place, and places may have changed.
    fn restart_ramps(&mut self, now: Time, out: &mut Vec<Output>) {
        for s in 0..self.services.len() {
            let Some(v) = self.services.get_mut(s).and_then(Option::as_mut) else { continue };
            for i in 0..v.servers.len() {
                match v.ramp(i, now, out) {
                    Some(at) => self.timers.set(Key::Ramp(s as u32, i as u32), at),
                    None => self.timers.cancel(Key::Ramp(s as u32, i as u32)),
                }
            }
        }
    }
}

impl Virtual {
    fn new(config: VirtualServer, name: String, keys: Vec<ServiceKey>, ranges: Vec<Range>) -> Virtual {
        Virtual {
            config,
            name,
            keys,
            ranges,
            servers: Vec::new(),
            sums: Sums::default(),
            quorum: false,
            since: 0,
            panic: false,
            empty: false,
            active: false,
            quiet_until: Time::ZERO,
            begun: false,
            leaving: Vec::new(),
        }
    }

    /// Takes over the state of its predecessor; gives back the predecessor's servers.
    fn succeed(&mut self, old: Virtual) -> BTreeMap<DestinationKey, Real> {
        (self.quorum, self.since, self.panic, self.empty) = (old.quorum, old.since, old.panic, old.empty);
        (self.active, self.begun, self.leaving) = (old.active, old.begun, old.leaving);
        old.servers.into_iter().map(|r| (r.key(), r)).collect()
    }

    /// Servers that drain no more, for they are in service again or gone.
    pub(crate) fn let_go(&mut self, which: impl Fn(&Leaver) -> bool, out: &mut Vec<Output>) {
        let id = &self.config.id;
        for (server, ..) in self.leaving.extract_if(.., |l| which(l)) {
            out.push(Output::Forget(Snapshot::leaving_key(id, &server)));
        }
    }

    /// Weights as they are, without a word about it. The sums are not up to date afterwards.
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
    let id = &v.config.id;
    out.extend(v.servers.iter().map(|r| Output::Forget(Snapshot::server_key(id, &r.key()))));
    out.extend(v.leaving.iter().map(|(server, ..)| Output::Forget(Snapshot::leaving_key(id, server))));
    out.push(Output::Forget(Snapshot::service_key(id)));
    if v.quorum {
        out.extend(v.config.quorum_down.clone().map(Output::Notify));
        out.push(Output::Fifo(format!("VS {} DOWN\n", v.name)));
        out.push(Output::Quorum(v.config.id.clone(), false));
    }
}

/// There is a server that a service of this family can have: of that family, or at the end of a tunnel. One without is not made, as
/// packets to it would be refused.
fn serves(v: &VirtualServer, family: Family) -> bool {
    let fits = |address, forward: &Forward| Family::of(address) == family || matches!(forward, Forward::Tunnel(_));
    v.servers.iter().any(|r| fits(r.address, &r.forward)) || v.sorry.iter().any(|s| fits(s.address, &s.forward))
}

/// The IPVS services that a virtual server stands for, and the addresses that marks among them stand for.
pub(crate) fn keys(
    v: &VirtualServer,
    groups: &HashMap<&str, &VirtualServerGroup>,
) -> Option<(Vec<ServiceKey>, Vec<Range>)> {
    let (name, protocol) = match &v.id {
        ServiceId::One(key) => return Some((vec![*key], Vec::new())),
        ServiceId::Group { name, protocol } => (name, *protocol),
    };
    let group = groups.get(name.as_str())?;
    let mut keys = BTreeSet::new();
    if let Some((_, mark)) = group.assigned.iter().find(|(p, _)| *p == protocol) {
        let families: BTreeSet<Family> = group.ranges.iter().map(|r| Family::of(r.first)).collect();
        keys.extend(families.into_iter().map(|family| ServiceKey::Mark { mark: *mark, family }));
        return if keys.is_empty() { None } else { Some((keys.into_iter().collect(), group.ranges.clone())) };
    }
    for range in &group.ranges {
        keys.extend(range.addresses().map(|address| ServiceKey::Address { address, port: range.port, protocol }));
    }
    let mark =
        |(mark, family): &(u32, Option<Family>)| ServiceKey::Mark { mark: *mark, family: family.unwrap_or(v.family) };
    keys.extend(group.marks.iter().map(mark));
    if keys.is_empty() { None } else { Some((keys.into_iter().collect(), Vec::new())) }
}
