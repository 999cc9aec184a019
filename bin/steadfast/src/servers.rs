//! Virtual and real servers for people: the lines of `status`, the sentences of `explain`, and by which names they are found.

use crate::show::{Paint, past, span};
use std::fmt::Write as _;
use steadfast_status::live::{Check, Instance, Server, Service, Whole};

/// The name of a virtual server as the file has it, where the log has another: `group WEB`, `fwmark 7`.
pub fn written(name: &str) -> String {
    if let Some(mark) = name.strip_prefix("FWM ") {
        return format!("fwmark {mark}");
    }
    match group(name) {
        Some((group, 0)) => format!("group {group}"),
        // One more virtual server of the same group, of another protocol.
        Some((group, n)) => format!("group {group} ({})", n + 1),
        None => name.to_string(),
    }
}

/// The group of a name as in logs, and which of its virtual servers it is: `[WEB]:0`. The names of all others have a protocol in them.
pub fn group(name: &str) -> Option<(&str, usize)> {
    let (group, n) = name.strip_prefix('[')?.rsplit_once("]:")?;
    Some((group, n.parse().ok()?))
}

/// The lines of `status`. `balanced`: the kernel has a load balancer.
pub fn service(s: &Service, balanced: bool, now: f64, paint: Paint) -> String {
    let since = |at: Option<f64>| at.map_or_else(String::new, |at| format!(", since {}", span(now - at)));
    let word = if s.quorum { paint.good("up    ") } else { paint.bad("down  ") };
    let rest = match (s.active, s.panic) {
        (false, _) => ", checks rest",
        (_, true) => ", so many servers are down that all are kept",
        _ => "",
    };
    let mut out = format!(
        "{word} {}  weight {} of {} needed{}{rest}\n",
        written(&s.name),
        s.live_weight,
        s.needed,
        since(s.since)
    );
    if let Some(why) = &s.refused {
        let _ = writeln!(out, "       {}", paint.bad(why));
    }
    let sorry = s.sorry.iter().map(|(name, _)| name.len());
    let leaving = s.leaving.iter().map(|(name, _)| name.len());
    let wide = s.servers.iter().map(|r| r.name.len()).chain(sorry).chain(leaving).max().unwrap_or(0);
    for r in &s.servers {
        let word = if r.up { paint.good("up    ") } else { paint.bad("down  ") };
        let drained = match (r.drained, r.agent_drains) {
            (true, _) => match r.drained_since {
                Some(at) => format!(", drained {} ago", span(now - at)),
                None => ", drained".into(),
            },
            (_, true) => ", drained by its agent".into(),
            _ => String::new(),
        };
        let weight = r.rising.map_or_else(|| r.weight.to_string(), |now| format!("{now} of {}, rising", r.weight));
        let checks: Vec<String> = r.checks.iter().filter_map(|c| result(c, now, paint)).collect();
        let checks = match (r.checks.is_empty(), checks.is_empty()) {
            (true, _) => "  no check".into(),
            (_, true) => String::new(),
            _ => format!("  {}", checks.join("; ")),
        };
        let _ = writeln!(out, "  {word} {:<wide$}  weight {weight}{drained}{}{checks}", r.name, since(r.since));
        if let Some(why) = &r.refused {
            let _ = writeln!(out, "         {}", paint.bad(why));
        }
        for c in r.checks.iter().filter(|c| !c.said.is_empty()) {
            let _ = writeln!(out, "         {}", paint.quiet(&format!("{}: {}", c.kind, c.said)));
        }
    }
    for (name, left) in &s.leaving {
        let _ = writeln!(out, "  {} {name:<wide$}  left the file, gone in {}", paint.quiet("drains"), span(*left));
    }
    if let Some((name, serves)) = &s.sorry {
        let word = if *serves && balanced { paint.bad("serves") } else { paint.quiet("      ") };
        let would = if *serves && !balanced { ", would serve" } else { "" };
        let _ = writeln!(out, "  {word} {name:<wide$}  sorry server{would}");
        if let Some(why) = &s.sorry_refused {
            let _ = writeln!(out, "         {}", paint.bad(why));
        }
    }
    out
}

/// What the last try of a check came to, how long a good one took, and when it was.
fn result(c: &Check, now: f64, paint: Paint) -> Option<String> {
    let when = c.at.map_or_else(String::new, |at| format!(", {} ago", span(now - at)));
    if c.borrowed {
        return Some(format!("{}: {}", c.kind, unasked(c)));
    }
    if !c.good || c.reason.is_some() {
        let why = c.reason.as_deref().unwrap_or("down");
        let counted = c.failed.map_or_else(String::new, |(n, of)| format!(", {n} of {of} failures"));
        let risen = c.risen.map_or_else(String::new, |(n, of)| format!(", {n} of {of} good answers since"));
        return Some(format!("{}: {why}{counted}{risen}{}", c.kind, paint.quiet(&when)));
    }
    c.took.map(|took| paint.quiet(&format!("{} {:.1} ms{when}", c.kind, took * 1000.0)))
}

/// Of a check that a reload has worded anew.
fn unasked(c: &Check) -> String {
    format!("not asked yet since the reload; {} as before it", if c.good { "up" } else { "down" })
}

/// A name as people write it: without brackets, and with or without the protocol; marks and groups as in the file and as in logs.
pub fn plain(name: &str) -> String {
    let words: Vec<&str> = name.split_whitespace().collect();
    match words.as_slice() {
        ["fwmark" | "FWM", mark] => return format!("fwmark {mark}"),
        ["group", group] => return (*group).to_string(),
        _ => {}
    }
    if let Some((group, _)) = group(name) {
        return group.to_string();
    }
    let name = words.join(":").replace(['[', ']'], "");
    ["tcp", "udp", "sctp", "none"].iter().fold(name, |n, p| n.replace(&format!(":{p}:"), ":"))
}

/// Those of just this name, else all that it fits, as services of several protocols at one address.
fn named<'a, T>(all: impl Iterator<Item = T> + Clone, name: impl Fn(&T) -> &'a str, wanted: &str) -> Vec<T> {
    // `group WEB` is all of the group, `group WEB (2)` the second one.
    let shown = |x: &T| wanted.ends_with(')') && written(name(x)) == wanted;
    let exact: Vec<T> = all.clone().filter(|x| name(x) == wanted || shown(x)).collect();
    if exact.is_empty() { all.filter(|x| plain(name(x)) == plain(wanted)).collect() } else { exact }
}

/// Those at an address whose port was left out, where they have one name.
pub fn at<'a, T>(all: impl Iterator<Item = T>, name: impl Fn(&T) -> &'a str, wanted: &str) -> Vec<T> {
    let wanted = plain(wanted);
    let of = |x: &T| plain(name(x)).rsplit_once(':').is_some_and(|(address, _)| address == wanted);
    let found: Vec<T> = all.filter(of).collect();
    let one = found.iter().all(|x| found.first().is_some_and(|first| name(first) == name(x)));
    if one { found } else { Vec::new() }
}

/// The virtual servers of a name.
pub fn services<'a>(all: &'a [Service], wanted: &str) -> Vec<&'a Service> {
    named(all.iter(), |s| &s.name, wanted)
}

/// The real servers of a name in these virtual servers.
pub fn servers<'a>(of: &[&'a Service], wanted: &str) -> Vec<(&'a Service, &'a Server)> {
    let all: Vec<_> = of.iter().flat_map(|s| s.servers.iter().map(|r| (*s, r))).collect();
    named(all.iter().copied(), |(_, r)| &r.name, wanted)
}

/// Names have blanks, and their words may come one by one: a virtual server, and a real server of it.
pub fn parted(all: &[Service], words: &[String]) -> Option<(String, String)> {
    (1..words.len()).map(|n| (words[..n].join(" "), words[n..].join(" "))).find(|(service, server)| {
        let found = services(all, service);
        !found.is_empty() && !servers(&found, server).is_empty()
    })
}

/// Instances that the loss of its quorum takes to FAULT, and those whose priority it changes.
pub fn followers<'a>(s: &Service, instances: &'a [Instance]) -> [Vec<&'a str>; 2] {
    let what = format!("virtual server {}", s.tracked_as);
    let of = |fault: bool| {
        let tracks = |i: &&Instance| {
            let part = i.parts.iter().find(|p| p.what == what && !p.reverse);
            !s.tracked_as.is_empty() && part.is_some_and(|p| (p.weight == 0) == fault)
        };
        instances.iter().filter(tracks).map(|i| i.name.as_str()).collect()
    };
    [of(true), of(false)]
}

/// It takes connections.
pub fn takes(r: &Server) -> bool {
    r.up && r.weight > 0 && !r.drained
}

/// The same in a sentence; nothing where nobody follows it.
pub fn following(s: &Service, instances: &[Instance]) -> Option<String> {
    let [fault, weight] = followers(s, instances);
    let said = |names: Vec<&str>, what: &str| {
        (!names.is_empty()).then(|| format!("vrrp_instance {} {what}", names.join(", vrrp_instance ")))
    };
    let mut all: Vec<String> = said(fault, "goes to FAULT").into_iter().collect();
    for name in weight {
        let of = instances.iter().find(|i| i.name == name).into_iter().flat_map(|i| &i.parts);
        let less = of.filter(|p| p.what == format!("virtual server {}", s.tracked_as)).map(|p| p.weight.unsigned_abs());
        all.push(format!("vrrp_instance {name} has a priority that is lower by {}", less.sum::<u32>()));
    }
    (!all.is_empty()).then(|| all.join(", "))
}

fn since(at: Option<f64>, now: f64) -> String {
    at.map_or_else(String::new, |at| format!(" since {}", span(now - at)))
}

/// `steadfast explain` of a virtual server.
pub fn explain_service(s: &Service, w: &Whole, silence: Option<String>, now: f64) -> String {
    let mut out = String::new();
    let mut say = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    let name = written(&s.name);
    let weight = format!("its servers have a weight of {}", s.live_weight);
    say(match s.quorum {
        true => format!("{name} has its quorum{}: {weight}, and it keeps it with {}.", since(s.since, now), s.needed),
        false => format!("{name} has no quorum{}: {weight}, and it gains it with {}.", since(s.since, now), s.needed),
    });
    if let Some(why) = &silence {
        say(format!("What follows is what was said last: {why}."));
    }
    if let Some(why) = w.checker.as_ref().and_then(|c| c.trouble.as_ref()) {
        say(format!("Nothing is balanced: {why}."));
    }
    if let Some(why) = &s.refused {
        say(format!("It is {why}."));
    }
    if s.panic {
        let threshold = s.panic_threshold.map_or_else(String::new, |t| format!(" than {t} per cent (panic_threshold)"));
        say(format!("More servers{threshold} have failed at once: all of them are kept in service."));
    }
    if let Some(why) = &s.rests {
        say(format!("Its checks rest, and its servers are as they were when they last ran: {why}."));
    }
    for r in &s.servers {
        say(format!("  {}", standing(s, r, now)));
    }
    for (name, left) in &s.leaving {
        say(format!("  {name} has left the file, and drains for another {}.", span(*left)));
    }
    match &s.sorry {
        Some((sorry, true)) if w.checker.as_ref().is_some_and(|c| c.trouble.is_some()) => {
            say(format!("The sorry server {sorry} would serve until the quorum is there."));
        }
        Some((sorry, true)) => say(format!("The sorry server {sorry} serves until the quorum is there.")),
        Some((sorry, false)) => say(format!("The sorry server {sorry} serves when the quorum is lost.")),
        None if !s.quorum && s.live_weight == 0 => say("There is no sorry server, and clients are refused.".into()),
        None => {}
    }
    if let Some(why) = &s.sorry_refused {
        say(format!("The sorry server is {why}."));
    }
    match s.quorum {
        true => {
            let spare = s.live_weight.saturating_sub(s.needed);
            say(format!("It loses its quorum when more than {spare} of that weight goes."));
        }
        false => {
            let wanting = s.needed.saturating_sub(s.live_weight);
            say(format!(
                "It gains its quorum when servers with a weight of {wanting} come up, or are drained no more."
            ));
        }
    }
    if let Some(who) = following(s, &w.vrrp.as_ref().map(|v| v.instances.clone()).unwrap_or_default()) {
        let without = if s.quorum { "Without the quorum" } else { "As there is no quorum," };
        say(format!("{without} {who} (track_virtual_server)."));
    }
    out
}

/// A server of a virtual server in one sentence.
fn standing(s: &Service, r: &Server, now: f64) -> String {
    let word = match (r.up, s.panic) {
        (true, _) => "up",
        (false, true) => "down, and in service nevertheless,",
        (false, false) => "down",
    };
    let weight = match (r.drained, r.agent_drains, r.rising) {
        (true, ..) => match r.drained_since {
            Some(at) => format!("drained by the operator {} ago", span(now - at)),
            None => "drained by the operator".to_string(),
        },
        (_, true, _) => "drained by its agent".into(),
        (.., Some(part)) => format!("of weight {part} now, rising to {}", r.weight),
        _ => format!("of weight {}", r.weight),
    };
    let against: Vec<String> =
        r.checks.iter().filter(|c| !c.good || c.failed.is_some()).map(|c| trouble(c, now)).collect();
    let against = if against.is_empty() { String::new() } else { format!(": {}", against.join("; ")) };
    let refused = r.refused.as_ref().map_or_else(String::new, |why| format!(", but {why}"));
    format!("{} is {word}{}, {weight}{refused}{against}.", r.name, since(r.since, now))
}

/// What a check has against a server, or begins to have.
fn trouble(c: &Check, now: f64) -> String {
    if c.borrowed {
        return format!("{}: {}", c.kind, unasked(c));
    }
    let rises = c.risen.is_some_and(|(n, _)| n > 0);
    let nothing = if rises { "its last answer was good" } else { "it has had no good answer" };
    let why = c.reason.as_deref().unwrap_or(nothing);
    let when = c.at.map_or_else(String::new, |at| format!(", {} ago", past(now - at)));
    let count = match (c.failed, c.risen) {
        (Some((n, of)), _) => format!(" ({n} of the {of} failures that take it down)"),
        (_, Some((n, of))) => format!(" ({n} of the {of} good answers that bring it back)"),
        _ => String::new(),
    };
    format!("{}: {why}{when}{count}", c.kind)
}

/// `steadfast explain` of a real server.
pub fn explain_server(s: &Service, r: &Server, silence: Option<String>, now: f64) -> String {
    let mut out = String::new();
    let mut say = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    // What its checks have against it comes below, check by check.
    let alone = Server { checks: Vec::new(), ..r.clone() };
    say(format!("Of {}: {}", written(&s.name), standing(s, &alone, now)));
    if let Some(why) = &silence {
        say(format!("What follows is what was said last: {why}."));
    }
    for c in &r.checks {
        let took = c.took.filter(|_| c.good && c.failed.is_none());
        let text = match took {
            _ if c.borrowed => trouble(c, now),
            Some(took) => {
                let when = c.at.map_or_else(String::new, |at| format!(", {} ago", past(now - at)));
                format!("{} is good, in {}{when}", c.kind, past(took))
            }
            None if c.good && c.failed.is_none() => format!("{} has nothing against it", c.kind),
            None => trouble(c, now),
        };
        let next = c
            .next
            .filter(|_| silence.is_none())
            .map_or_else(String::new, |s| format!("; it asks again in {}", span(s)));
        say(format!("{text}{next}."));
        if !c.said.is_empty() {
            say(format!("  Its last line: {}", c.said));
        }
    }
    if r.checks.is_empty() {
        say("It has no check, and counts as up always.".into());
    } else if r.checks.iter().any(|c| c.reason.as_deref().is_some_and(|why| why.starts_with("agent says maint"))) {
        say("It comes back when its agent says `ready`.".into());
    } else if !r.up {
        say("It comes back when each of its checks is good.".into());
    }
    if r.drained {
        let (service, server) = (written(&s.name), &r.name);
        let then = r.written_weight;
        say("A stop and start of the daemon ends that, a reload or an upgrade does not.".into());
        say(format!("`steadfast undrain \"{service}\" \"{server}\"` gives it its weight of {then} back."));
    } else if r.agent_drains {
        say("Its agent takes that back by `ready`.".into());
    }
    if let Some(why) = &s.rests {
        say(format!("Its checks rest: {why}."));
    }
    out
}

#[cfg(test)]
mod tests;
