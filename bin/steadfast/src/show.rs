//! What people look at: aligned, coloured on a terminal, plain in a pipe.

use crate::servers;
use crate::sessions;
use crate::trackers::{self, Around};
use std::fmt::Write;
use steadfast_status::live::{Child, Instance, Mismatch, Rejected, Session, Unproven, Whole};

/// Colours, or none.
#[derive(Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }
    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }
    pub fn quiet(self, text: &str) -> String {
        self.with("2", text)
    }
    fn state(self, state: &str, width: usize) -> String {
        let text = format!("{state:<width$}");
        match state {
            "MASTER" => self.good(&text),
            "FAULT" => self.bad(&text),
            _ => text,
        }
    }
}

/// A duration as a person says it: `3.2 s`, `5 min`, `2 h 10 min`, `3 d 4 h`.
pub fn span(seconds: f64) -> String {
    let s = seconds.max(0.0);
    let whole = s as u64;
    match whole {
        0..=9 => format!("{s:.1} s"),
        10..=119 => format!("{whole} s"),
        120..=7199 => format!("{} min", whole / 60),
        7200..=172_799 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3600),
    }
}

/// The sum of an effective priority: `100`, or `80 = 100 - 20 (script chk)`.
fn sum(i: &Instance) -> String {
    let mut text = i.priority.to_string();
    let parts: Vec<_> = i.parts.iter().filter(|p| p.change != 0).collect();
    if !parts.is_empty() {
        if i.base_priority == 255 {
            return text + ", an owner's, which no tracker changes";
        }
        let _ = write!(text, " = {}", i.base_priority);
        for p in &parts {
            let sign = if p.change < 0 { '-' } else { '+' };
            let _ = write!(text, " {sign} {} ({})", p.change.abs(), p.what);
        }
        let whole = i64::from(i.base_priority) + parts.iter().map(|p| p.change).sum::<i64>();
        let bound = if whole < i64::from(i.priority) { "at least" } else { "at most" };
        if whole != i64::from(i.priority) && i.set_priority.is_none() {
            let _ = write!(text, ", but {bound} {}", i.priority);
        }
    }
    text
}

/// Its virtual link: `vrrp.51 (00:00:5e:00:01:33)`.
fn by_link(i: &Instance) -> Option<String> {
    let (name, mac) = i.link.as_ref()?;
    Some(mac.as_ref().map_or_else(|| name.clone(), |mac| format!("{name} ({mac})")))
}

/// The other members of its sync group, as a list of alternatives.
fn fellows(i: &Instance, all: &[Instance]) -> Option<(String, String)> {
    let group = i.group.clone()?;
    let others = all.iter().filter(|o| o.group.as_ref() == Some(&group) && o.name != i.name);
    let names: Vec<&str> = others.map(|o| o.name.as_str()).collect();
    let (shown, rest) = names.split_at(names.len().min(5));
    let more = (!rest.is_empty()).then(|| format!("{} more", rest.len()));
    let named: Vec<String> = shown.iter().map(|n| n.to_string()).chain(more).collect();
    (!named.is_empty()).then(|| (group, named.join(" or ")))
}

/// What a manager has set: ` (priority set by SNMP)`.
fn set(i: &Instance) -> &'static str {
    match (i.set_priority, i.set_preempt) {
        (None, None) => "",
        (Some(_), None) => " (priority set by SNMP)",
        (None, Some(_)) => " (preemption set by SNMP)",
        (Some(_), Some(_)) => " (priority and preemption set by SNMP)",
    }
}

/// Somebody is heard now, and proves nothing.
fn recent(i: &Instance) -> Option<&Unproven> {
    i.unproven.as_ref().filter(|u| u.last < 4.0 * i.master_interval.max(i.advert_interval).max(1.0))
}

/// Somebody is heard now whose adverts are thrown away, and it is not said of him already that they prove nothing.
fn rejected(i: &Instance) -> impl Iterator<Item = &Rejected> {
    let told = recent(i).map(|u| &u.source);
    let heard = move |r: &&Rejected| r.last < 4.0 * i.master_interval.max(i.advert_interval).max(1.0);
    i.rejected.iter().chain(&i.also_rejected).filter(heard).filter(move |r| told != Some(&r.source))
}

/// Who leads hears nobody below itself: what it heard before is told for so long.
const HOUR: f64 = 3600.0;

/// Who names other addresses and is heard, or was before this one led.
fn mismatches(i: &Instance) -> impl Iterator<Item = &Mismatch> {
    let heard = 4.0 * i.master_interval.max(i.advert_interval).max(1.0);
    let known = if i.state == "MASTER" { HOUR } else { heard };
    i.mismatches.iter().filter(move |m| m.last < known)
}

/// What it names otherwise: `also 192.0.2.8, but not 192.0.2.7`.
fn otherwise(m: &Mismatch) -> String {
    let list = |all: &[String]| match all.split_at_checked(5) {
        Some((shown, more)) if !more.is_empty() => format!("{} and {} more", shown.join(", "), more.len()),
        _ => all.join(", "),
    };
    match (m.theirs.as_slice(), m.ours.as_slice()) {
        ([], []) => "the same ones, some of them more than once".into(),
        (theirs, []) => format!("also {}", list(theirs)),
        ([], ours) => format!("not {}", list(ours)),
        (theirs, ours) => format!("also {}, but not {}", list(theirs), list(ours)),
    }
}

/// Why it is in its state, what is due, and what it counts; `stale`: what was due is no more.
fn details(i: &Instance, stale: bool) -> String {
    let cause = i.history.last().filter(|c| c.state == i.state && !c.cause.is_empty() && i.faults.is_empty());
    let held = recent(i).filter(|u| u.holds && i.state == "BACKUP" && !stale);
    let back = held.map(|u| format!("does not take over while {} is heard, whose adverts prove nothing", u.source));
    let due = i.due.iter().filter(|(what, _)| !(stale || held.is_some() && what.starts_with("takes over")));
    let due = back.into_iter().chain(due.map(|(what, s)| format!("{what} in {}", span(*s))));
    let master = times(i.became_master, "became master");
    // Of one that does not answer nobody knows.
    let adverts = i.adverts_sent.zip(i.adverts_received).map(|(sent, heard)| {
        let refused = i.refused.filter(|n| *n > 0).map(|n| format!(", thrown away {n}")).unwrap_or_default();
        format!("adverts sent {sent}, heard {heard}{refused}; ")
    });
    let told = adverts.is_some() || i.became_master > 0;
    let counts = told.then(|| format!("{}{master}", adverts.unwrap_or_default()));
    cause.map(|c| c.cause.clone()).into_iter().chain(due).chain(counts).collect::<Vec<_>>().join("; ")
}

/// For how long it is silent, where that is long, or where what it said last is old.
fn quiet(c: &Child) -> Option<f64> {
    c.age.filter(|a| *a >= 1.5).map(|age| c.silent.unwrap_or(age))
}

/// What a child said last may not be so any more: why.
pub fn silence(c: &Child) -> Option<String> {
    let again = c.due.map_or_else(String::new, |s| format!(" and is started again in {}", span(s)));
    match (c.pid, quiet(c)) {
        (None, _) if c.withdrawn => {
            let how = c.last_death.as_ref().map_or_else(String::new, |(_, how)| format!(": {how},"));
            Some(format!(
                "its process died{how}{again}; peers were told to take over, and its addresses were taken away"
            ))
        }
        (None, _) => Some(format!("its process is not running{again}")),
        (Some(pid), Some(age)) => {
            let gone = if c.withdrawn { ", and its addresses were taken away" } else { "" };
            Some(format!("its process (pid {pid}) has been silent for {}{gone}", span(age)))
        }
        _ => None,
    }
}

/// `steadfast status`.
pub fn status(w: &Whole, now: f64, paint: Paint) -> String {
    let mut out = String::new();
    // An upgrade is no restart.
    let began = w.runs_since.filter(|began| w.since - began > 0.05);
    let began = began.map_or_else(
        || format!("since {}", span(now - w.since)),
        |began| format!("upgraded {} ago, running since {}", span(now - w.since), span(now - began)),
    );
    let _ = writeln!(out, "steadfast {}, pid {}, {began}, {}", w.version, w.pid, w.file);
    for c in &w.children {
        let pid = c.pid.map_or_else(|| paint.bad("not running"), |p| format!("pid {p}"));
        let deaths = if c.deaths > 0 {
            let last = c.last_death.as_ref().map(|(at, how)| format!(", {} ago: {how}", span(now - at)));
            let last = last.map(|l| if c.deaths == 1 { l } else { l.replacen(", ", ", last ", 1) }).unwrap_or_default();
            paint.bad(&format!(", {}{last}", times(c.deaths, "died")))
        } else {
            String::new()
        };
        let old = quiet(c).map(|a| paint.bad(&format!(", silent for {}", span(a)))).unwrap_or_default();
        if c.pid.is_none() {
            let due = c.due.map_or_else(String::new, |s| format!(", starts again in {}", span(s)));
            let gone = if c.withdrawn { "; its addresses are withdrawn, peers were told to take over" } else { "" };
            let _ = writeln!(
                out,
                "  {:<8} {pid}{deaths}{due}{}; what follows of it is what it said last{old}",
                c.name,
                paint.bad(gone)
            );
            continue;
        }
        // One that cannot even be killed.
        let gone = if c.withdrawn { paint.bad("; its addresses are withdrawn") } else { String::new() };
        let _ = writeln!(
            out,
            "  {:<8} {pid}, since {}, {:.1} MiB, late {:.1} ms{deaths}{old}{gone}",
            c.name,
            span(now - c.since),
            c.memory as f64 / 1024.0,
            c.late as f64 / 1000.0
        );
    }
    if let Some((at, false)) = w.last_reading {
        let why = w.refused.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let refused = w.refused.as_deref().unwrap_or("the new configuration");
        let what = if refused.contains("new program") { "upgrade" } else { "reload" };
        // A program that could not be started says nothing of the file.
        let of_file = refused.contains("new configuration");
        let hint = if of_file { format!("; `steadfast check {}` shows its faults", w.file) } else { String::new() };
        let text = format!("the last {what} failed, {} ago{why}{hint}", span(now - at));
        let _ = writeln!(out, "{}", paint.bad(&text));
    }
    if w.faults > 0 {
        let n = if w.faults == 1 { "a fault".into() } else { format!("{} faults", w.faults) };
        let text = format!("the configuration that runs has {n}; `steadfast check {}` shows the file's", w.file);
        let _ = writeln!(out, "{}", paint.bad(&text));
    }
    for trouble in w.troubles() {
        let _ = writeln!(out, "{}", paint.bad(trouble));
    }
    if let Some(v) = w.vrrp.as_ref().filter(|v| !v.instances.is_empty()) {
        let wide = |f: &dyn Fn(&Instance) -> usize| v.instances.iter().map(f).max().unwrap_or(0);
        let (name, link) = (wide(&|i| i.name.len()), wide(&|i| i.interface.len()));
        out.push('\n');
        let stale = w.children.iter().any(|c| c.name == "vrrp" && silence(c).is_some());
        for i in &v.instances {
            let whose = match (i.state.as_str(), &i.master) {
                ("MASTER", _) | (_, None) => String::new(),
                (_, Some((a, p))) => format!(", master {a} ({p})"),
            };
            let handing = if i.handing_over { ", hands over" } else { "" };
            let _ = writeln!(
                out,
                "{} {:<name$}  {:<link$} vrid {:<3}  since {}, priority {}{}{whose}{handing}",
                paint.state(&i.state, 6),
                i.name,
                i.interface,
                i.vrid,
                span(now - i.since),
                sum(i),
                set(i),
            );
            for f in &i.faults {
                let _ = writeln!(out, "       {}", paint.bad(f));
            }
            if let Some(u) = recent(i) {
                let text = format!("adverts of {} fail authentication: {}", u.source, u.why);
                let _ = writeln!(out, "       {}", paint.bad(&text));
            }
            for r in rejected(i) {
                let two = if i.state == "MASTER" { "; where that is a master, there are two" } else { "" };
                let text = format!("adverts of {} are thrown away: {}{two}", r.source, r.why);
                let _ = writeln!(out, "       {}", paint.bad(&text));
            }
            for m in mismatches(i) {
                let named = if i.state == "MASTER" { "named" } else { "name" };
                let text = format!("adverts of {} {named} other addresses: {}", m.source, otherwise(m));
                let _ = writeln!(out, "       {}", paint.bad(&text));
            }
            for o in &i.missing {
                let _ = writeln!(out, "       {}", paint.bad(&format!("the kernel refuses {o}")));
            }
            for o in &i.unchanged {
                let text = format!("the kernel refuses the change of {o}: it is as before the reload");
                let _ = writeln!(out, "       {}", paint.bad(&text));
            }
            for (name, why) in &i.left_out {
                let _ = writeln!(out, "       {}", paint.bad(&format!("script {name} is left out: {why}")));
            }
            let on = by_link(i).map(|l| format!(" on {l}")).unwrap_or_default();
            let closed =
                if i.closed && i.holds { "; what is sent to them is dropped (no_accept or strict_mode)" } else { "" };
            let held = if i.holds || i.addresses.is_empty() { "" } else { "not held: " };
            let held = format!("{held}{}{on}{closed}", i.addresses.join(", "));
            if !held.is_empty() {
                let _ = writeln!(out, "       {}", paint.quiet(held.trim_start()));
            }
            let more = details(i, stale);
            if !more.is_empty() {
                let _ = writeln!(out, "       {}", paint.quiet(&more));
            }
        }
        for (group, state) in &v.groups {
            let _ = writeln!(out, "{} group {group}", paint.state(state, 6));
        }
        for t in v.trackers.iter().filter(|t| t.kind != "BFD session") {
            let word = match t.good {
                Some(true) => paint.good("ok    "),
                Some(false) => paint.bad("failed"),
                None => paint.quiet("      "),
            };
            let result = match trackers::result(t, now) {
                // Of a process that does not answer the verdict is known, and not what it came of.
                text if text.is_empty() && t.good.is_some() => String::new(),
                text if text.is_empty() => ": not known yet".into(),
                text => format!(": {text}"),
            };
            let _ = writeln!(out, "{word} {} {}{result}", t.kind, t.name);
            if !t.said.is_empty() {
                let _ = writeln!(out, "       {}", paint.quiet(&t.said));
            }
        }
    }
    let sessions: Vec<&Session> = w.bfd.iter().flat_map(|b| &b.sessions).collect();
    if !sessions.is_empty() {
        out.push('\n');
    }
    let wide = sessions.iter().map(|s| s.name.len()).max().unwrap_or(0);
    for s in sessions {
        let word = format!("{:<6}", s.state);
        let word = if s.up { paint.good(&word) } else { paint.bad(&word) };
        let _ = writeln!(out, "{word} {:<wide$}  BFD with {}, {}", s.name, s.neighbor, sessions::line(s, now));
    }
    if let Some(why) = w.checker.as_ref().and_then(|c| c.trouble.as_ref()) {
        let _ = writeln!(out, "\n{}", paint.bad(&format!("nothing is balanced: {why}")));
    }
    let balanced = w.checker.as_ref().is_none_or(|c| c.trouble.is_none());
    for s in w.checker.iter().flat_map(|c| &c.services) {
        out.push('\n');
        out.push_str(&servers::service(s, balanced, now, paint));
    }
    out
}

/// A moment that has passed: `35 ms`, `1.5 s`.
pub fn past(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds.max(0.0) * 1e3) } else { span(seconds) }
}

/// How often something was: `never became master`, `became master once`.
pub fn times(n: u64, what: &str) -> String {
    match n {
        0 => format!("never {what}"),
        1 => format!("{what} once"),
        _ => format!("{what} {n} times"),
    }
}

/// `steadfast explain`: in sentences.
///
/// `silence`: why this may not be so any more.
pub fn explain(i: &Instance, around: &Around, silence: Option<String>, now: f64) -> String {
    let mut out = String::new();
    let mut say = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let on = by_link(i).map(|l| format!(", by {l}")).unwrap_or_default();
    say(format!("{} (vrid {} on {}{on}) is {} since {}.", i.name, i.vrid, i.interface, i.state, span(now - i.since)));
    let fellows = fellows(i, around.instances);
    if let Some((group, others)) = &fellows {
        say(format!("It is in sync group {group}, together with {}.", others.replace(" or ", ", ")));
    }
    if let Some(last) = i.history.last().filter(|c| c.state == i.state && !c.cause.is_empty()) {
        say(format!("It became so because of this: {}.", last.cause.trim_end_matches('.')));
    }
    if let Some(why) = &silence {
        say(format!("What follows is what was said last: {why}."));
    }
    let due =
        |what: &str| i.due.iter().filter(|_| silence.is_none()).find(|(w, _)| w.contains(what)).map(|(_, s)| span(*s));
    match i.state.as_str() {
        "MASTER" => {
            let list = i.addresses.join(", ");
            say(if i.holds {
                format!(
                    "It holds {list}{}.",
                    if i.missing.is_empty() { "" } else { ", but for what the kernel refuses" }
                )
            } else {
                format!("It should hold {list}, and does not yet.")
            });
            if i.closed {
                say("What is sent to these addresses themselves, pings too, is dropped: no_accept, or strict_mode, says so. `accept` lets it in.".into());
            }
            i.missing
                .iter()
                .for_each(|o| say(format!("The kernel refuses {o}; the log says why. It is tried again and again.")));
            i.unchanged.iter().for_each(|o| {
                say(format!(
                    "The kernel refuses the change of {o}, which is as it was before the reload; the log says why."
                ));
            });
            if i.handing_over {
                say("It has said priority 0 and serves until a successor is heard.".into());
            } else {
                say(format!(
                    "It announces itself every {}{}.",
                    span(i.advert_interval),
                    due("next advert").map(|s| format!(", the next time in {s}")).unwrap_or_default()
                ));
                let (comma, group) = match &fellows {
                    Some((group, others)) => (",", format!(", or when {others} of sync group {group} does")),
                    None => (", or", String::new()),
                };
                let weighted = i.parts.iter().any(|p| p.weight != 0);
                let sinks = if weighted { ", when a weight puts its priority below a peer's" } else { "" };
                say(format!(
                    "It stops being master when a router of higher priority is heard, when its link or a tracker of weight 0 fails{sinks}{comma} at a stop{group}."
                ));
            }
        }
        "BACKUP" => {
            match &i.master {
                Some((a, 0)) => say(format!("The last master, {a}, said that it leaves.")),
                Some((a, p)) if *p > i.priority => {
                    say(format!("The master is {a} with priority {p}, which is above its own {}.", i.priority));
                }
                Some((a, p)) if !i.preempt => {
                    say(format!(
                        "The master is {a} with priority {p}; it may not preempt, so it waits until that one is silent."
                    ));
                }
                Some((a, p)) => {
                    say(format!("The last master that was heard is {a} with priority {p}; its own is {}.", i.priority))
                }
                None => say("No master has been heard.".into()),
            }
            if let Some(text) = trackers::returns(i, around.scripts) {
                say(text);
            }
            let held = recent(i).filter(|u| u.holds);
            if let Some(u) = held {
                say(format!("It does not take over while {} is heard, whose adverts prove nothing.", u.source));
            }
            match (due("takes over").filter(|_| held.is_none()), due("preempts")) {
                (Some(silent), Some(delay)) => say(format!(
                    "It takes over from this master, of lower priority, when its preempt_delay ends in {delay}; and where no advert is heard for {silent} from now."
                )),
                (Some(silent), None) => say(format!("It takes over in {silent}, unless an advert is heard before.")),
                (None, Some(delay)) => {
                    say(format!(
                        "Its preempt_delay, after which it takes over from a master of lower priority, ends in {delay}."
                    ));
                }
                (None, None) => {}
            }
        }
        "FAULT" => {
            say("It takes no part, because:".into());
            i.faults.iter().for_each(|f| say(format!("  - {f}")));
            say("It returns by itself when none of this holds any more.".into());
            for p in i.parts.iter().filter(|p| p.weight == 0 && p.good == Some(false) && !p.reverse) {
                let runs = trackers::runs(p, around.scripts);
                if !runs.is_empty() {
                    say(format!("  - {} has to be good again{runs}", p.what));
                }
            }
            if i.preempt && i.preempt_delay > 0.0 {
                let delay = span(i.preempt_delay);
                say(format!(
                    "Then it hears a master of lower priority for {delay} (preempt_delay) before it takes over from it."
                ));
            }
        }
        _ => say("It has not begun yet.".into()),
    }
    if let Some(u) = recent(i) {
        say(format!(
            "Adverts of {} fail authentication ({}): {} within {}, the last {} ago.",
            u.source,
            u.why,
            u.count,
            span(u.since),
            span(u.last)
        ));
        say(if u.authentic {
            "Their key is right: a recording, or a router whose clock was set or that has lost its memory. It asks that one by adverts of its own; compare the clocks.".into()
        } else {
            "Keys, key ids and kinds of authentication have to be the same on all routers.".into()
        });
    }
    for r in rejected(i) {
        say(format!(
            "Adverts of {} are thrown away ({}): {} within {}, the last {} ago.",
            r.source,
            r.why,
            r.count,
            span(r.since),
            span(r.last)
        ));
    }
    if rejected(i).next().is_some() {
        say(if i.state == "MASTER" {
            "Where that one is a master of this router id, there are two masters: both have to be configured alike."
                .into()
        } else {
            "Where that one is the master, it is not heard as such: both have to be configured alike.".into()
        });
    }
    for m in mismatches(i) {
        let named = if i.state == "MASTER" { "named" } else { "name" };
        let (source, other, last) = (&m.source, otherwise(m), span(m.last));
        say(format!("Adverts of {source} {named} other addresses than this host's: {other}; the last was {last} ago."));
    }
    if mismatches(i).next().is_some() {
        say("While one that lacks an address is the master, nobody serves that address: both have to be configured alike.".into());
    }
    say(format!("Its priority is {}{}.", sum(i), set(i)));
    for p in &i.parts {
        // Neither good nor bad: what it counts as is known.
        if let Some(result) = around.unread(p) {
            say(format!("  - {} has {result} ({})", p.what, trackers::effect(p)));
            continue;
        }
        let state = match p.good {
            None => "has not reported yet",
            Some(true) => "is good",
            Some(false) => "is bad",
        };
        say(format!("  - {} {state} ({}){}", p.what, trackers::effect(p), around.why(p, now)));
    }
    for (name, why) in &i.left_out {
        say(format!("  - script {name} is left out, and counts for nothing: {why}"));
    }
    if let Some(refused) = i.refused.filter(|n| *n > 0) {
        let kinds: Vec<String> = i.refused_by.iter().map(|(what, n)| format!("{what} {n}")).collect();
        let kinds = if kinds.is_empty() { String::new() } else { format!(", by what was wrong: {}", kinds.join(", ")) };
        say(format!("Packets that were thrown away: {refused}{kinds}."));
    }
    if i.history.len() > 1 {
        say("Its last changes:".into());
        for c in &i.history {
            say(format!("  {:>12} ago  {:<6}  {}", span(now - c.at), c.state, c.cause));
        }
    }
    out
}

/// `steadfast explain` of a link that nobody tracks by name: who lives on it.
pub fn explain_link(name: &str, instances: &[Instance], silence: Option<String>) -> String {
    let mut lines = vec![format!("{name} is an interface; on it:")];
    for i in instances.iter().filter(|i| i.interface == name) {
        lines.push(format!("  - vrrp_instance {} (vrid {}) is {}, priority {}", i.name, i.vrid, i.state, i.priority));
    }
    lines.extend(silence.map(|why| format!("All this is what was said last: {why}.")));
    lines.join("\n") + "\n"
}

/// `steadfast explain` of a sync group.
pub fn explain_group(name: &str, state: &str, all: &[Instance], silence: Option<String>, now: f64) -> String {
    let mut lines = vec![format!("Sync group {name} is {state}: its members go together.")];
    for i in all.iter().filter(|i| i.group.as_deref() == Some(name)) {
        let faults = if i.faults.is_empty() { String::new() } else { format!(": {}", i.faults.join(", ")) };
        lines.push(format!("  - {} is {} since {}, priority {}{faults}", i.name, i.state, span(now - i.since), sum(i)));
    }
    lines.push("It is master once all of them may be, and in FAULT while one of them is.".into());
    lines.extend(silence.map(|why| format!("All this is what was said last: {why}.")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests;
