//! What the role says of itself when it is asked.

use super::{Role, past};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use steadfast_core::{Kept, Time};
use steadfast_ipc::{Reporter, encode, report_pieces, status_pieces};
use steadfast_status::live;
use steadfast_sys::files;
use steadfast_vrrp::{Counters, Mismatch, Notice, Output, ScriptEnd, Tracked, Version};

/// Changes of each instance that are remembered.
const CHANGES: usize = 8;
/// Lines that say what is done about a change.
const CONSEQUENCES: [&str; 8] = [
    "setting V",
    "removing V",
    "setting Virtual",
    "removing Virtual",
    "sent 0 priority",
    "Sending/queueing",
    // A priority alone changes no state: what is heard, or a timer, does.
    "Changing effective priority",
    "start preempt delay",
];
/// Bytes of a cause.
const CAUSE: usize = 300;

/// A state that an instance has entered.
pub struct Entered {
    /// The state before.
    pub from: String,
    /// The state now.
    pub to: String,
    /// Why.
    pub cause: String,
}

/// The last changes of each instance.
#[derive(Default)]
pub struct History {
    /// As bytes: they are many, and seldom read.
    of: Kept,
    /// The last line that was logged.
    line: String,
    /// What was logged of an instance right before the line that says its new state.
    causes: HashMap<String, String>,
    /// Why the change comes that is logged next.
    next: HashMap<String, String>,
    /// Why those begin that have not begun yet, where a former life is gone with what it knew.
    anew: Option<(String, BTreeSet<String>)>,
}

impl History {
    /// What a former life knew of an instance.
    pub fn inherit(&mut self, name: &str, bytes: &[u8]) {
        if past::read(bytes).is_some() {
            self.of.put(name, bytes);
        }
    }

    /// Gives back room that it has to spare.
    pub fn shrink(&mut self) {
        self.of.shrink();
    }

    fn changes(&self, name: &str) -> VecDeque<live::Change> {
        self.of.get(name).and_then(past::read).unwrap_or_default()
    }

    /// What a successor is to know of an instance; nothing when it is gone.
    pub fn of(&self, name: &str) -> Vec<u8> {
        self.of.get(name).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    /// Since when an instance is in its state, by the clock, where that is known.
    pub fn since(&self, name: &str, state: &str) -> Option<f64> {
        self.changes(name).back().filter(|c| c.state == state).map(|c| c.at)
    }

    /// A former life has ended for a reason, and its states with it; at `withdrawn` what it held was taken away.
    pub fn begins_anew<'a>(&mut self, names: impl Iterator<Item = &'a str>, withdrawn: Option<f64>, why: &str) {
        let names: BTreeSet<String> = names.map(str::to_string).collect();
        // One that was in FAULT held nothing, and is in it for its own reason; one that is new to the file has no former life.
        let held = |name: &&String| self.changes(name).back().is_some_and(|c| c.state != "FAULT");
        let lost: Vec<String> = names.iter().filter(|_| withdrawn.is_some()).filter(held).cloned().collect();
        for name in &lost {
            let cause = format!("{why}; what it held was taken away");
            self.add(name, live::Change { at: withdrawn.unwrap_or_default(), state: "FAULT".into(), cause });
        }
        self.anew = Some((why.to_string(), names));
    }

    /// What the line before the next change does not say.
    pub fn because(&mut self, name: String, mut cause: String) {
        if let Some((why, names)) = &mut self.anew
            && cause == past::STARTED
            && names.remove(&name)
        {
            cause = format!("{why}; it begins anew, by listening");
        }
        self.next.insert(name, cause);
    }

    /// A line of the log; what it says of a state that was entered.
    pub fn said(&mut self, text: &str) -> Option<Entered> {
        let mut entered = None;
        if let Some((name, state)) = text.strip_prefix('(').and_then(|t| t.split_once(") Entering ")) {
            // where the line before is of something else, what stands in brackets says it
            let before = self.line.strip_prefix('(').and_then(|l| l.split_once(") "));
            let in_brackets = state.rsplit_once(" (").and_then(|(_, b)| b.strip_suffix(')'));
            let cause = before.filter(|(n, _)| *n == name).map(|(_, cause)| cause);
            let cause = cause.filter(|c| !c.starts_with("Entering ") && !c.starts_with("still in ")).or(in_brackets);
            let from = self.changes(name).back().map_or("INIT", |c| c.state.as_str()).to_string();
            let to = state.split(' ').next().unwrap_or_default().to_string();
            let freed = (from == "FAULT" && to != "FAULT").then_some("nothing is at fault any more");
            let told = self.next.remove(name);
            let cause = told.unwrap_or_else(|| cause.or(freed).unwrap_or_default().to_string());
            self.causes.insert(name.to_string(), cause.clone());
            entered = Some(Entered { from, to, cause });
        }
        // What follows from a change is not why the next one happens.
        let body = text.split_once(") ").map_or(text, |(_, body)| body);
        if !CONSEQUENCES.iter().any(|words| body.starts_with(words)) {
            self.line.clear();
            self.line.push_str(text);
        }
        entered
    }

    /// An instance is in the configuration no more.
    pub fn forget(&mut self, name: &str) {
        self.of.remove(name);
        self.causes.remove(name);
        self.has_begun(name);
    }

    /// What ended the former life is not why it changes any more.
    fn has_begun(&mut self, name: &str) {
        if let Some((_, names)) = &mut self.anew {
            names.remove(name);
        }
    }

    /// Instances have other names, all at once: one may have the former name of another.
    pub fn rename(&mut self, names: &[(String, String)]) {
        let pasts: Vec<Vec<u8>> = names.iter().map(|(old, _)| self.of(old)).collect();
        names.iter().for_each(|(old, _)| self.forget(old));
        for ((_, new), past) in names.iter().zip(pasts).filter(|(_, past)| !past.is_empty()) {
            self.of.put(new, &past);
        }
    }

    /// An instance changed; `faults` are the reasons of a FAULT.
    pub fn changed(&mut self, name: &str, notice: Notice, wall: f64, faults: &[String]) {
        let state = notice.word();
        if !matches!(notice, Notice::Master | Notice::Backup | Notice::Fault | Notice::Stop) {
            return;
        }
        self.has_begun(name);
        let mut told = self.causes.remove(name).unwrap_or_default();
        if told.is_empty() && self.line.strip_prefix('(').and_then(|l| l.strip_suffix(") removed")) == Some(name) {
            told = "removed from the configuration".into();
        }
        if self.causes.is_empty() {
            self.causes.shrink_to_fit();
        }
        let mut cause = if faults.is_empty() { told } else { faults.join(", ") };
        // All of them fit into one message.
        cause.truncate((0..=CAUSE.min(cause.len())).rev().find(|at| cause.is_char_boundary(*at)).unwrap_or(0));
        self.add(name, live::Change { at: wall, state: state.to_string(), cause });
    }

    fn add(&mut self, name: &str, change: live::Change) {
        let mut all = self.changes(name);
        all.push_back(change);
        if all.len() > CHANGES {
            all.pop_front();
        }
        self.of.put(name, &past::written(&all));
    }
}

/// As trackers are written of.
fn named(what: &Tracked) -> String {
    match what {
        Tracked::Interface(n) => format!("interface {n}"),
        Tracked::Vrf(n) => format!("VRF {n}"),
        Tracked::Script(n) => format!("script {n}"),
        Tracked::File(n) => format!("file {n}"),
        Tracked::Process(n) => format!("process {n}"),
        Tracked::Service(n) => format!("virtual server {n}"),
        Tracked::Session(n) => format!("BFD session {n}"),
    }
}

/// Packets that were thrown away, by what was wrong with them. One of other addresses is used, and told of in the log.
fn thrown_away(k: &Counters) -> Vec<(String, u64)> {
    let all = [
        ("length", k.packet_len_err),
        ("advert interval", k.advert_interval_err),
        ("TTL", k.ip_ttl_err),
        ("type", k.invalid_type_rcvd),
        ("kind of authentication", k.invalid_authtype + k.authtype_mismatch),
        ("password", k.auth_failure),
        ("checksum", k.checksum_err),
        ("version", k.version_err),
        ("unknown sender", k.unknown_source),
        ("no auth_hmac", k.auth_ext_missing),
        ("malformed auth_hmac", k.auth_ext_malformed),
        ("unknown key of auth_hmac", k.auth_ext_unknown_key),
        ("wrong auth_hmac", k.auth_ext_invalid_hmac),
        ("auth_hmac not fresh", k.auth_ext_stale + k.auth_ext_replay),
    ];
    all.into_iter().filter(|(_, n)| *n > 0).map(|(what, n)| (what.to_string(), n)).collect()
}

fn mismatch(m: &Mismatch, t: Time) -> live::Mismatch {
    let texts = |all: &[IpAddr]| all.iter().map(ToString::to_string).collect();
    live::Mismatch {
        source: m.source.to_string(),
        theirs: texts(&m.theirs),
        ours: texts(&m.ours),
        since: t.since(m.since).as_secs_f64(),
        last: t.since(m.last).as_secs_f64(),
    }
}

impl Role {
    /// Says how the role is.
    pub(super) fn say_status(&mut self, t: Time) {
        self.say_so(&self.status(t));
    }

    /// Says what is known of a life that was another's: nobody has counted for it, and what is due is due to it. The verdicts of its
    /// scripts it had kept.
    pub(super) fn testify(&mut self, verdicts: &HashMap<&str, bool>, t: Time) {
        let mut status = self.status(t);
        for i in &mut status.instances {
            (i.adverts_sent, i.adverts_received, i.refused) = (None, None, None);
            i.due.clear();
        }
        for tracker in status.trackers.iter_mut().filter(|t| t.kind == "script") {
            tracker.good = verdicts.get(tracker.name.as_str()).copied();
            tracker.result = tracker.good.map(|_| "by the last verdict".to_string()).unwrap_or_default();
        }
        for part in status.instances.iter_mut().flat_map(|i| &mut i.parts).filter(|p| p.good.is_none()) {
            part.good = part.what.strip_prefix("script ").and_then(|name| verdicts.get(name).copied());
        }
        self.say_so(&status);
    }

    fn say_so(&mut self, status: &live::Vrrp) {
        let text = live::to_json(status);
        let pieces: Vec<_> = status_pieces(text.as_bytes()).collect();
        for piece in pieces {
            self.parent.say(piece);
        }
    }

    /// Says all that there is to know, for observers.
    pub(super) fn report(&mut self, t: Time) {
        let snapshot = super::dump::snapshot(&self.router, &self.plan, &self.system.mirror, t, files::wall_clock());
        match encode(&snapshot) {
            Ok(bytes) => report_pieces(Reporter::Vrrp, &bytes).for_each(|piece| self.parent.say(piece)),
            Err(e) => log::error!("report: {e}"),
        }
    }

    fn status(&self, t: Time) -> live::Vrrp {
        let wall = files::wall_clock();
        let missing = self.router.refused_objects();
        let not_taken = |name: &str, stays: bool| {
            let of = missing.get(name).into_iter().flatten().filter(|(_, s)| *s == stays);
            of.map(|(o, _)| o.to_string()).collect::<Vec<_>>()
        };
        let leaving: Vec<&str> = self.router.handing_over().collect();
        let instance = |v: steadfast_vrrp::View<'_>| {
            let c = v.config;
            let k = v.counters;
            let refused_by = thrown_away(&k);
            let mut rejected = v.rejected.iter().map(|r| live::Rejected {
                source: r.source.to_string(),
                why: r.why.clone(),
                since: t.since(r.since).as_secs_f64(),
                last: t.since(r.last).as_secs_f64(),
                count: r.count,
            });
            let parts = self.router.parts(c).into_iter().map(|p| live::Part {
                what: named(&p.what),
                good: p.good,
                change: p.change,
                weight: p.weight,
                reverse: p.reverse,
            });
            let due = self.router.due(&c.name).into_iter();
            live::Instance {
                name: c.name.to_string(),
                interface: c.interface.to_string(),
                vrid: c.vrid,
                version: if c.version == Version::V3 { 3 } else { 2 },
                state: v.state.word().to_string(),
                since: (self.history.since(&v.config.name, v.state.word()))
                    .unwrap_or(wall - t.since(v.last_transition).as_secs_f64()),
                faults: v.faults,
                base_priority: c.priority,
                priority: v.priority,
                set_priority: v.adjusted.0,
                set_preempt: v.adjusted.1,
                parts: parts.collect(),
                master: v.master.map(|(a, p)| (a.to_string(), p)),
                advert_interval: c.advert_interval.as_secs_f64(),
                master_interval: v.master_interval.as_secs_f64(),
                preempt: c.preempt,
                preempt_delay: c.preempt_delay.as_secs_f64(),
                handing_over: leaving.contains(&c.name.as_str()),
                due: due.map(|(what, at)| (what.to_string(), at.since(t).as_secs_f64())).collect(),
                holds: v.objects_set,
                addresses: c.addresses.iter().chain(&c.excluded).map(|a| a.cidr.to_string()).collect(),
                history: self.history.changes(&c.name).into(),
                adverts_sent: Some(k.advert_sent),
                adverts_received: Some(k.advert_rcvd),
                became_master: k.become_master,
                refused: Some(refused_by.iter().map(|(_, n)| n).sum()),
                refused_by,
                missing: not_taken(&c.name, false),
                unchanged: not_taken(&c.name, true),
                left_out: self.plan.left_out.get(c.name.as_str()).cloned().unwrap_or_default(),
                closed: !c.accept,
                group: v.group.map(str::to_string),
                link: c
                    .virtual_link
                    .as_ref()
                    .map(|l| (l.clone(), self.system.mirror.by_name(l).map(|l| l.mac.to_string()))),
                rejected: rejected.next(),
                also_rejected: rejected.collect(),
                mismatches: v.mismatches.iter().map(|m| mismatch(m, t)).collect(),
                unproven: v.sighting.map(|s| live::Unproven {
                    source: s.source.to_string(),
                    why: s.why.to_string(),
                    authentic: s.authentic,
                    since: t.since(s.since).as_secs_f64(),
                    last: t.since(s.last).as_secs_f64(),
                    count: s.count,
                    holds: c.auth_hold || s.authentic,
                }),
            }
        };
        live::Vrrp {
            instances: self.router.views().map(instance).collect(),
            groups: self.router.group_states().into_iter().map(|(n, s)| (n, s.word().to_string())).collect(),
            scripts: self.router.script_states().into_iter().map(|(n, ok, runs)| (n.to_string(), ok, runs)).collect(),
            processes: self.router.process_states().map(|(p, count, ok, _)| (p.name.clone(), count, ok)).collect(),
            trackers: self.trackers(),
            troubles: self.teller.troubles(),
        }
    }

    fn trackers(&self) -> Vec<live::Tracker> {
        let tracker = |kind: &str, name: &str, good: Option<bool>, result: String| live::Tracker {
            kind: kind.into(),
            name: name.into(),
            good,
            result,
            ..Default::default()
        };
        let scripts = self.router.script_states().into_iter().map(|(name, good, _)| {
            let mut known = self.results.get(name).cloned().unwrap_or_default();
            if let Some((n, of)) = self.router.script_streak(name).filter(|_| known.at.is_some()) {
                known.result += &format!(", {n} of {of} {}", if good { "failures" } else { "successes" });
            }
            live::Tracker { kind: "script".into(), name: name.into(), good: known.at.map(|_| good), ..known }
        });
        // One that only a FILE_CHECK reads is no tracker of these.
        let used: BTreeSet<&str> = (self.router.views().flat_map(|v| &v.config.tracks))
            .filter_map(|t| if let Tracked::File(n) = &t.what { Some(n.as_str()) } else { None })
            .collect();
        let files = self.router.file_states().filter(|(n, _)| used.contains(n)).map(|(n, value)| {
            let path = self.plan.files.iter().find(|f| f.name == n).map(|f| f.path.as_path());
            let why = path.and_then(files::unreadable).map(|e| format!(", it cannot be read: {e}"));
            tracker("file", n, None, format!("value {value}{}", why.unwrap_or_default()))
        });
        let processes = self.router.process_states().map(|(p, count, ok, _)| {
            let wanted = match p.quorum_max {
                u32::MAX => format!("at least {}", p.quorum),
                most if most == p.quorum => most.to_string(),
                most => format!("{} to {most}", p.quorum),
            };
            let watched = self.plan.processes.iter().find(|w| w.matcher.name == p.name);
            let of = watched.map(|w| format!(" of {}", w.matcher.argv.join(" "))).unwrap_or_default();
            let result = count.map_or_else(String::new, |c| format!("{c} there{of}, {wanted} wanted"));
            tracker("process", &p.name, Some(ok), result)
        });
        let quorum = |up| if up { "has its quorum" } else { "has no quorum" };
        let services =
            self.router.service_states().map(|(n, up)| tracker("virtual server", n, Some(up), quorum(up).into()));
        let state = |up| if up { "up" } else { "down" };
        let sessions =
            self.router.session_states().map(|(n, up)| tracker("BFD session", n, Some(up), state(up).into()));
        let mut all: Vec<_> = scripts.chain(processes).chain(sessions).collect();
        let tracked = self.router.views().flat_map(|v| &v.config.tracks);
        let links: BTreeSet<&str> =
            tracked.filter_map(|t| if let Tracked::Interface(n) = &t.what { Some(n.as_str()) } else { None }).collect();
        let links = links.into_iter().map(|n| {
            let up = self.system.mirror.by_name(n).is_some_and(|l| l.up);
            tracker("interface", n, Some(up), state(up).into())
        });
        let mut rest: Vec<_> = files.chain(services).chain(links).collect();
        rest.sort_by(|a, b| (&a.kind, &a.name).cmp(&(&b.kind, &b.name)));
        all.append(&mut rest);
        all
    }

    /// A script has ended: what is to be logged beside what the machine says of it.
    pub(super) fn keep_result(
        &mut self,
        name: &str,
        end: &ScriptEnd,
        overran: Option<std::time::Duration>,
        said: String,
    ) -> Option<Output> {
        let result = match (end, overran) {
            (_, Some(limit)) => format!("timed out after {} s", limit.as_secs()),
            (ScriptEnd::Exited(status), _) => format!("exit status {status}"),
            (ScriptEnd::Signalled(signal), _) => format!("ended by signal {signal}"),
            (ScriptEnd::NotStarted, _) => "cannot be started".to_string(),
            (ScriptEnd::Unable, _) => "could not be started, which says nothing of it".to_string(),
        };
        let at = Some(files::wall_clock());
        let known = self.plan.probes.contains_key(name);
        // The log says that it failed, keepalived's way; what it wrote says why, once until it is another result.
        let mut wrote = None;
        let good = *end == ScriptEnd::Exited(0);
        let another = self.results.get(name).is_none_or(|last| last.result != result || last.said.is_empty());
        if known && !good && another && !said.is_empty() && !matches!(end, ScriptEnd::NotStarted | ScriptEnd::Unable) {
            wrote = Some(Output::Log(log::Level::Info, format!("VRRP_Script({name}) wrote: {said}")));
        }
        if known {
            self.results.insert(name.into(), live::Tracker { result, at, said, ..Default::default() });
        }
        wrote
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is remembered of the last of these lines as the cause of a change.
    fn cause(history: &mut History, lines: &[&str], notice: Notice, faults: &[&str]) -> String {
        lines.iter().for_each(|l| drop(history.said(l)));
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        history.changed("V", notice, 1.0, &faults);
        history.changes("V").back().map(|c| c.cause.clone()).unwrap_or_default()
    }

    #[test]
    fn the_cause_is_what_happened_and_not_what_was_done_about_it() {
        let mut h = History::default();
        assert_eq!(cause(&mut h, &["(V) Entering BACKUP STATE (init)"], Notice::Backup, &[]), "init");
        let timeout = ["(V) Receive advertisement timeout", "(V) Entering MASTER STATE"];
        assert_eq!(cause(&mut h, &timeout, Notice::Master, &[]), "Receive advertisement timeout");
        let beaten = [
            "(V) setting VIPs.",
            "(V) Master received advert from 10.0.0.2 with higher priority 200, ours 100",
            "(V) removing VIPs.",
            "(V) Entering BACKUP STATE",
        ];
        let why = "Master received advert from 10.0.0.2 with higher priority 200, ours 100";
        assert_eq!(cause(&mut h, &beaten, Notice::Backup, &[]), why);
        let fault = ["(V) entering FAULT state: interface eth0 is down", "(V) Entering FAULT STATE"];
        assert_eq!(cause(&mut h, &fault, Notice::Fault, &["interface eth0 is down"]), "interface eth0 is down");
        let free = ["(V) still in FAULT state: no usable source address", "(V) Entering BACKUP STATE"];
        assert_eq!(cause(&mut h, &free, Notice::Backup, &[]), "nothing is at fault any more");
        let reloaded = ["(V) Changing effective priority from 200 to 100", "(V) Entering BACKUP STATE"];
        assert_eq!(cause(&mut h, &fault, Notice::Fault, &["interface eth0 is down"]), "interface eth0 is down");
        assert_eq!(cause(&mut h, &reloaded, Notice::Backup, &[]), "nothing is at fault any more");
        assert_eq!(cause(&mut h, &["(V) removed"], Notice::Fault, &[]), "removed from the configuration");
    }

    #[test]
    fn a_life_that_begins_anew_says_what_became_of_the_one_before() {
        let mut h = History::default();
        cause(&mut h, &["(V) Receive advertisement timeout", "(V) Entering MASTER STATE"], Notice::Master, &[]);
        h.begins_anew(["V"].into_iter(), Some(5.0), "its process died twice: signal 9");
        h.because("V".into(), past::STARTED.into());
        let begun = cause(&mut h, &["(V) Entering BACKUP STATE (init)"], Notice::Backup, &[]);
        assert_eq!(begun, "its process died twice: signal 9; it begins anew, by listening");
        let all: Vec<_> = h.changes("V").iter().map(|c| (c.state.clone(), c.at)).collect();
        assert_eq!(all[1], ("FAULT".to_string(), 5.0));
        // One that a reload adds later is started like any.
        h.because("V".into(), past::STARTED.into());
        assert_eq!(cause(&mut h, &["(V) Entering BACKUP STATE (init)"], Notice::Backup, &[]), past::STARTED);
    }

    /// Whoever held nothing has lost nothing, and has its own reason.
    #[test]
    fn one_that_was_in_fault_stays_in_it_since_then() {
        let mut h = History::default();
        let fault = ["(V) entering FAULT state: interface eth0 is down", "(V) Entering FAULT STATE"];
        cause(&mut h, &fault, Notice::Fault, &["interface eth0 is down"]);
        h.begins_anew(["V", "W"].into_iter(), Some(5.0), "its process died twice: signal 9");
        assert_eq!((h.since("V", "FAULT"), h.changes("V").len()), (Some(1.0), 1));
        assert_eq!(h.changes("W").len(), 0, "one that is new to the file has lost nothing");
        // One that goes and comes back is started like any.
        h.forget("W");
        h.because("W".into(), past::STARTED.into());
        h.said("(W) Entering BACKUP STATE (init)");
        h.changed("W", Notice::Backup, 6.0, &[]);
        assert_eq!(h.changes("W").back().map(|c| c.cause.clone()), Some(past::STARTED.to_string()));
    }

    #[test]
    fn the_past_goes_with_the_name() {
        let mut h = History::default();
        cause(&mut h, &["(V) Entering BACKUP STATE (init)"], Notice::Backup, &[]);
        let names = |all: &[(&str, &str)]| all.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<Vec<_>>();
        h.rename(&names(&[("V", "W")]));
        assert_eq!((h.of("V"), h.since("W", "BACKUP")), (Vec::new(), Some(1.0)));
        // A name that was another's a moment before.
        h.changed("X", Notice::Master, 2.0, &[]);
        h.rename(&names(&[("W", "X"), ("X", "Y")]));
        assert_eq!((h.of("W"), h.since("X", "BACKUP"), h.since("Y", "MASTER")), (Vec::new(), Some(1.0), Some(2.0)));
        h.rename(&names(&[("X", "Y"), ("Y", "X")]));
        assert_eq!((h.since("Y", "BACKUP"), h.since("X", "MASTER")), (Some(1.0), Some(2.0)));
    }
}
