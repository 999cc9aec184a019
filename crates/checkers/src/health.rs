//! From verdicts to the table: servers, weights, quorum, sorry server, panic.

use crate::checker::{Checker, User};
use crate::kept::Leaver;
use crate::probes::tenths;
use crate::{Output, Range, RealServer, Slot, Table, VirtualServer};
use log::Level;
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_core::ipvs::{Destination, DestinationKey, ServiceKey};

/// A slow start changes the weight in this many steps, but not more often than the second figure.
const RAMP_STEPS: u32 = 20;
const RAMP_LEAST: Duration = Duration::from_millis(100);

/// A real server.
#[derive(Debug)]
pub(crate) struct Real {
    pub config: RealServer,
    pub name: Box<str>,
    /// Its checkers, in order of the configuration.
    pub checks: Box<[u32]>,
    pub up: bool,
    /// Since when, in tenths of a second; 0: it has not been judged.
    pub since: u32,
    /// It has been up since the first start: only then can panic keep it.
    pub seen_up: bool,
    /// Scripts, FIFOs and mail have heard of it, or know it from a former life.
    pub told: bool,
    /// Drained by the operator.
    pub drained: bool,
    /// Since when, in tenths of a second; 0: it is not, or nobody knows.
    pub drained_since: u32,
    /// Slow start since then.
    pub recovering: Option<Time>,
    /// Out of service on purpose, as its agent says.
    pub maintenance: bool,
    /// Weight without slow start.
    pub weight: u32,
}

/// Sums over the servers of a virtual server, kept up to date server by server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sums {
    up: u32,
    up_weight: u64,
    /// Down, but seen up and not on purpose: what panic would keep.
    failed: u32,
    failed_weight: u64,
}

/// A virtual server.
#[derive(Debug)]
pub(crate) struct Virtual {
    pub config: VirtualServer,
    pub name: String,
    pub keys: Vec<ServiceKey>,
    /// Addresses that marks among the keys stand for.
    pub ranges: Vec<Range>,
    pub servers: Vec<Real>,
    pub sums: Sums,
    pub quorum: bool,
    /// Since when, in tenths of a second; 0: it has not been judged.
    pub since: u32,
    pub panic: bool,
    /// No real server takes connections, and that was said.
    pub empty: bool,
    /// Its checks run.
    pub active: bool,
    /// Its table is not announced again before then.
    pub quiet_until: Time,
    /// It has been evaluated before.
    pub begun: bool,
    /// Servers that a reload took out, until they go.
    pub leaving: Vec<Leaver>,
}

/// Why something is looked at anew: the text for mails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cause {
    pub mail: String,
}

/// What evaluation changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Changes {
    pub table: bool,
    /// Servers that came up or went down.
    pub servers: Vec<u32>,
}

impl Real {
    pub const fn key(&self) -> DestinationKey {
        DestinationKey { address: self.config.address, port: self.config.port }
    }

    pub fn advices<'a>(&'a self, checkers: &'a [Option<Checker>]) -> impl Iterator<Item = &'a Checker> {
        self.checks.iter().filter_map(|c| checkers.get(*c as usize)?.as_ref())
    }

    fn judge(&self, checkers: &[Option<Checker>]) -> bool {
        self.advices(checkers).all(Checker::works)
    }

    /// One of its checks has an answer, or needs none.
    fn asked(&self, checkers: &[Option<Checker>]) -> bool {
        self.advices(checkers).any(|c| c.state.run || c.is_passive())
    }

    /// It was found to be down: not one that waits for its first answer.
    pub fn found_down(&self, checkers: &[Option<Checker>]) -> bool {
        self.advices(checkers).any(|c| !c.works() && (c.state.run || c.is_passive()))
    }

    fn in_maintenance(&self, checkers: &[Option<Checker>]) -> bool {
        self.advices(checkers).any(|c| c.state.advice.maintenance)
    }

    /// It is down against its will: panic can keep it.
    const fn failed(&self) -> bool {
        !self.up && self.seen_up && !self.maintenance
    }

    /// Adds it to the sums, or takes it out of them.
    fn count(&self, sums: &mut Sums, add: bool) {
        let (number, weight) = match (self.up, self.failed()) {
            (true, _) => (&mut sums.up, &mut sums.up_weight),
            (_, true) => (&mut sums.failed, &mut sums.failed_weight),
            _ => return,
        };
        if add {
            *number += 1;
            *weight += u64::from(self.weight);
        } else {
            *number -= 1;
            *weight -= u64::from(self.weight);
        }
    }

    /// Configured weight plus what the checks say, 0..=2147483647. Sums are made anew each time, so nothing accumulates.
    fn nominal(&self, checkers: &[Option<Checker>]) -> u32 {
        let base = i64::from(self.config.weight);
        let mut weight = base;
        for advice in self.advices(checkers).map(|c| c.state.advice) {
            let own = advice.absolute.map_or(0, |w| i64::from(w) - base);
            weight = weight.saturating_add(own).saturating_add(advice.change);
        }
        let mut weight = weight.clamp(0, i64::from(i32::MAX));
        for advice in self.advices(checkers).map(|c| c.state.advice) {
            if let Some(percent) = advice.percent {
                let part = weight * i64::from(percent) / 100;
                weight = part.max(i64::from(weight > 0 && percent > 0)).min(i64::from(i32::MAX));
            }
            if advice.drain {
                weight = 0;
            }
        }
        if self.drained { 0 } else { weight as u32 }
    }

    /// The present weight, and whether it is out of service on purpose, without a word about it.
    pub fn take_weight(&mut self, checkers: &[Option<Checker>]) {
        self.maintenance = self.in_maintenance(checkers);
        self.weight = self.nominal(checkers);
    }

    /// Weight for the table at `now`: within a slow start a part of it, never below 1.
    pub fn ramped(&self, now: Time) -> u32 {
        match self.recovering {
            Some(since) if self.weight > 0 && !self.config.slow_start.is_zero() => {
                let part = now.since(since).as_nanos() * u128::from(self.weight) / self.config.slow_start.as_nanos();
                (part.min(u128::from(self.weight)) as u32).max(1)
            }
            _ => self.weight,
        }
    }

    fn destination(&self, weight: u32) -> Destination {
        let RealServer { forward, upper, lower, .. } = self.config;
        Destination { forward, weight, upper, lower }
    }
}

impl Virtual {
    /// Servers that the table may use: those up, and in panic those that failed.
    const fn in_service(&self, real: &Real) -> bool {
        real.up || (self.panic && real.failed())
    }

    /// The sorry server stands in.
    pub fn sorry_serves(&self) -> bool {
        !self.quorum && self.config.sorry.is_some()
    }

    /// Total weight of the servers in service.
    pub const fn live(&self) -> u64 {
        self.sums.up_weight + if self.panic { self.sums.failed_weight } else { 0 }
    }

    /// Makes the sums anew.
    pub fn sum_up(&mut self) {
        self.sums = Sums::default();
        for real in &self.servers {
            real.count(&mut self.sums, true);
        }
    }

    /// The wanted table.
    pub fn table(&self, now: Time) -> Table {
        let mut destinations: BTreeMap<DestinationKey, Destination> =
            self.leaving.iter().map(|(key, destination, _)| (*key, *destination)).collect();
        for real in &self.servers {
            if self.in_service(real) && !self.sorry_serves() {
                destinations.insert(real.key(), real.destination(real.ramped(now)));
            } else if real.config.inhibit {
                destinations.insert(real.key(), real.destination(0));
            }
        }
        if let Some(sorry) = &self.config.sorry {
            let key = DestinationKey { address: sorry.address, port: sorry.port };
            let weight = u32::from(self.sorry_serves());
            let destination = Destination { forward: sorry.forward, weight, upper: 0, lower: 0 };
            if self.sorry_serves() {
                destinations.insert(key, destination);
            } else if sorry.inhibit {
                destinations.entry(key).or_insert(destination);
            }
        }
        let service = self.config.service.clone();
        Table { keys: self.keys.clone(), service, destinations: destinations.into_iter().collect() }
    }

    /// Looks at these servers anew and says what follows.
    pub fn evaluate(
        &mut self,
        touched: &[u32],
        checkers: &[Option<Checker>],
        cause: &Cause,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Changes {
        let mut changes = Changes { table: !self.begun, servers: Vec::new() };
        let begun = std::mem::replace(&mut self.begun, true);
        let mut turned = Vec::new();
        for &i in touched {
            let Some(real) = self.servers.get(i as usize) else { continue };
            let served = self.in_service(real);
            let Some(real) = self.servers.get_mut(i as usize) else { continue };
            real.count(&mut self.sums, false);
            let (up, weight) = (real.judge(checkers), real.nominal(checkers));
            real.maintenance = real.in_maintenance(checkers);
            if weight != real.weight {
                if begun {
                    let active = if real.up { "active" } else { "inactive" };
                    let line = format!("for {active} service {} of VS {}", real.name, self.name);
                    out.push(Output::Log(
                        Level::Info,
                        format!("Changing weight from {} to {weight} {line}", real.weight),
                    ));
                }
                real.weight = weight;
                changes.table = true;
            }
            let changed = up != real.up;
            real.up = up;
            real.seen_up |= up;
            if changed {
                real.since = tenths(now);
                turned.push((i as usize, served));
                real.recovering = Some(now).filter(|_| begun && up && !real.config.slow_start.is_zero());
                changes.servers.push(i);
            }
            real.count(&mut self.sums, true);
        }
        changes.table |= !changes.servers.is_empty();
        changes.table |= self.judge_panic(out);
        for (i, served) in turned.into_iter().filter(|_| begun) {
            // One that a reload brings counts as up, and nobody has asked it.
            let tell = self.servers.get_mut(i).is_some_and(|r| {
                let known = std::mem::replace(&mut r.told, true);
                known || !r.up || r.asked(checkers)
            });
            self.announce_server(i, served, tell.then_some(&*cause.mail), out);
            self.announce_slow_start(i, out);
        }
        let quorum = self.quorum;
        changes.table |= self.judge_quorum(begun, out);
        if quorum != self.quorum || !begun {
            self.since = tenths(now);
        }
        self.judge_emptiness(begun, out);
        changes
    }

    /// More servers than the threshold allows have failed.
    pub fn must_panic(&self) -> bool {
        let (failed, all) = (self.sums.failed as usize, self.servers.len());
        self.config.panic_threshold.is_some_and(|threshold| failed * 100 > all * usize::from(threshold))
    }

    /// More than the threshold's share has failed at once: rather a bad check than so many bad servers.
    fn judge_panic(&mut self, out: &mut Vec<Output>) -> bool {
        let Some(threshold) = self.config.panic_threshold else { return std::mem::take(&mut self.panic) };
        let panic = self.must_panic();
        if panic == self.panic {
            return false;
        }
        self.panic = panic;
        let (name, failed, all) = (&self.name, self.sums.failed, self.servers.len());
        let text = if panic {
            format!("VS {name}: {failed} of {all} servers failed, more than {threshold} %: all are kept in service")
        } else {
            format!(
                "VS {name}: {failed} of {all} servers are down, no more than {threshold} %: failed ones are taken out again"
            )
        };
        out.push(Output::Log(if panic { Level::Error } else { Level::Warn }, text.clone()));
        if self.config.smtp_alert {
            let word = if panic { "PANIC" } else { "PANIC OVER" };
            out.push(Output::Mail { subject: format!("Virtualserver {name} - {word}"), body: format!("=> {text} <=") });
        }
        true
    }

    /// The weight that counts now: what the quorum takes to be kept, or to be gained.
    pub fn needed(&self) -> u64 {
        let (quorum, margin) = (u64::from(self.config.quorum.max(1)), u64::from(self.config.hysteresis));
        if self.quorum { quorum.saturating_sub(margin).max(1) } else { quorum + margin }
    }

    fn judge_quorum(&mut self, begun: bool, out: &mut Vec<Output>) -> bool {
        let live = self.live();
        let (quorum, margin) = (u64::from(self.config.quorum.max(1)), u64::from(self.config.hysteresis));
        let (upper, lower) = (quorum + margin, quorum.saturating_sub(margin));
        let held = live >= self.needed();
        if begun && held == self.quorum {
            return false;
        }
        let changed = held != self.quorum;
        self.quorum = held;
        let text = match (held, begun) {
            (true, _) => format!("Gained quorum {quorum}+{margin}={upper} <= {live}"),
            (false, true) => format!("Lost quorum {quorum}-{margin}={lower} > {live}"),
            (false, false) => format!("Starting with quorum down {quorum}-{margin}={lower} > {live}"),
        };
        let name = &self.name;
        out.push(Output::Log(if held { Level::Info } else { Level::Warn }, format!("{text} for VS {name}")));
        if let Some(sorry) = self.config.sorry.as_ref().filter(|_| begun || !held) {
            let key = sorry_name(&self.config, sorry.address, sorry.port);
            let verb = match (sorry.inhibit, held) {
                (true, true) => "Disabling",
                (true, false) => "Enabling",
                (false, true) => "Removing",
                (false, false) => "Adding",
            };
            let preposition = if held { "from" } else { "to" };
            out.push(Output::Log(Level::Info, format!("{verb} sorry server {key} {preposition} VS {name}")));
            let pool = if held { "Adding alive servers to" } else { "Removing alive servers from" };
            out.push(Output::Log(Level::Info, format!("{pool} the pool for VS {name}")));
        }
        // The log calls a start a gain, and mail does not.
        let mail = match (held, begun) {
            (true, false) => format!("Starting with quorum up {quorum}+{margin}={upper} <= {live}"),
            _ => text,
        };
        if begun || held || self.sums.up > 0 {
            self.announce_quorum(&mail, out);
        } else {
            // Nothing was ever up: that is no news but to who follows it.
            out.push(Output::Quorum(self.config.id.clone(), held));
        }
        changed
    }

    /// The first round of a server's check failed, and it was down from the start: who is told of servers hears of it once.
    pub fn tell_dead(&mut self, i: usize, mail: &str, out: &mut Vec<Output>) {
        if let Some(real) = self.servers.get_mut(i).filter(|r| !r.up && !r.told) {
            real.told = true;
            self.tell_server(i, false, mail, out);
        }
    }

    /// Scripts, FIFOs, trackers and mail hear of the quorum.
    pub fn announce_quorum(&self, text: &str, out: &mut Vec<Output>) {
        let script = if self.quorum { &self.config.quorum_up } else { &self.config.quorum_down };
        let word = word(self.quorum);
        out.extend(script.clone().map(Output::Notify));
        out.push(Output::Fifo(format!("VS {} {word}\n", self.name)));
        out.push(Output::Quorum(self.config.id.clone(), self.quorum));
        if self.config.smtp_alert {
            let subject = format!("Virtualserver {} - {word}", self.name);
            out.push(Output::Mail { subject, body: format!("=> {text} <=") });
        }
    }

    /// Log, scripts, FIFOs and mail hear of a server, which was in service before or not.
    fn announce_server(&self, i: usize, served: bool, mail: Option<&str>, out: &mut Vec<Output>) {
        let real = &self.servers[i];
        let (verb, preposition) = match (real.config.inhibit, real.up) {
            // panic keeps it in, or has kept it
            (_, false) if self.in_service(real) => ("Keeping failed", "in"),
            (_, true) if served => ("Well again is", "of"),
            (true, true) => ("Enabling", "of"),
            (true, false) => ("Disabling", "of"),
            (false, true) => ("Adding", "to"),
            (false, false) => ("Removing", "from"),
        };
        let level = if real.up { Level::Info } else { Level::Warn };
        out.push(Output::Log(level, format!("{verb} service {} {preposition} VS {}", real.name, self.name)));
        if let Some(mail) = mail {
            self.tell_server(i, real.up, mail, out);
        }
    }

    /// The log hears of a slow start, when it begins and when it is over.
    fn announce_slow_start(&self, i: usize, out: &mut Vec<Output>) {
        let Some(real) = self.servers.get(i).filter(|r| r.up && !r.config.slow_start.is_zero()) else { return };
        let (name, weight) = (&real.name, real.weight);
        let text = match real.recovering {
            Some(_) => {
                let seconds = real.config.slow_start.as_secs_f64();
                format!("Slow start of service {name} of VS {}: weight {weight} within {seconds} s", self.name)
            }
            None => format!("Slow start of service {name} of VS {} is over: weight {weight}", self.name),
        };
        out.push(Output::Log(Level::Info, text));
    }

    /// Scripts, FIFOs and mail hear that a server is up, or not.
    pub fn tell_server(&self, i: usize, up: bool, mail: &str, out: &mut Vec<Output>) {
        let real = &self.servers[i];
        let script = if up { &real.config.notify_up } else { &real.config.notify_down };
        out.extend(script.as_deref().cloned().map(Output::Notify));
        out.push(Output::Fifo(format!("RS {} {} {}\n", real.name, self.name, word(up))));
        if real.config.smtp_alert {
            let subject = format!("Realserver {} of virtual server {} - {}", real.name, self.name, word(up));
            out.push(Output::Mail { subject, body: mail.to_owned() });
        }
    }

    /// A pool that lost its last server says by which rule.
    fn judge_emptiness(&mut self, begun: bool, out: &mut Vec<Output>) {
        let withheld = self.sorry_serves();
        let empty = withheld || self.live() == 0;
        if empty == self.empty {
            return;
        }
        self.empty = empty;
        if !begun || self.servers.is_empty() {
            return;
        }
        let name = &self.name;
        if !empty {
            out.push(Output::Log(Level::Warn, format!("VS {name}: the pool has servers again")));
            return;
        }
        let why = if self.live() > 0 {
            "the quorum is lost, and live servers are withheld for the sorry server"
        } else if self.sums.up == 0 {
            "all servers are down"
        } else {
            "the servers that are up have weight 0"
        };
        let then = match &self.config.sorry {
            Some(sorry) if withheld => {
                format!("sorry server {} serves", sorry_name(&self.config, sorry.address, sorry.port))
            }
            _ => "nobody serves".into(),
        };
        out.push(Output::Log(Level::Error, format!("VS {name}: the pool is empty: {why}; {then}")));
    }

    /// When the slow start of a server changes its weight next.
    pub fn ramp(&mut self, i: usize, now: Time, out: &mut Vec<Output>) -> Option<Time> {
        let real = self.servers.get_mut(i)?;
        let since = real.recovering?;
        let whole = real.config.slow_start;
        if now.since(since) >= whole {
            real.recovering = None;
            self.announce_slow_start(i, out);
            return None;
        }
        Some((now + (whole / RAMP_STEPS).max(RAMP_LEAST)).min(since + whole))
    }

    /// Places of a user's server, with its names.
    pub fn names(&self, user: User) -> Option<(&str, &str)> {
        self.servers.get(user.1 as usize).map(|r| (&*r.name, self.name.as_str()))
    }
}

const fn word(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

fn sorry_name(config: &VirtualServer, address: std::net::IpAddr, port: u16) -> String {
    server_name(config, address, port)
}

/// A server's name: `[192.0.2.1]:tcp:80`, with `none` for the protocol of a mark.
pub(crate) fn server_name(config: &VirtualServer, address: std::net::IpAddr, port: u16) -> String {
    format!("[{address}]:{}:{port}", config.id.protocol().map_or("none", |p| p.word()))
}

/// Key of timers and outputs.
pub(crate) const fn slot(index: u32) -> Slot {
    Slot(index)
}
