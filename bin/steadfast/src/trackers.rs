//! What instances depend on: how it is, why, and what would change it.

use crate::servers;
use crate::show::span;
use steadfast_config::model::VrrpScript;
use steadfast_status::live::{Instance, Part, Service, Tracker};

/// What is told of an instance beside what it says itself.
#[derive(Clone, Copy, Default)]
pub struct Around<'a> {
    /// All instances, itself among them.
    pub instances: &'a [Instance],
    /// Scripts of the configuration.
    pub scripts: &'a [VrrpScript],
    /// What is tracked.
    pub trackers: &'a [Tracker],
    /// Virtual servers.
    pub services: &'a [Service],
}

impl Around<'_> {
    /// What a tracked file counts as that cannot be read, and why it cannot.
    pub fn unread(&self, p: &Part) -> Option<&str> {
        let name = p.what.strip_prefix("file ")?;
        let of = self.trackers.iter().find(|t| t.kind == "file" && t.name == name)?;
        of.result.contains(", it cannot be read").then_some(of.result.as_str())
    }

    /// What a part that is not good came to, after a colon, and its last line.
    pub fn why(&self, p: &Part, now: f64) -> String {
        let of = |t: &&Tracker| p.what.strip_prefix(&t.kind).and_then(|rest| rest.strip_prefix(' ')) == Some(&t.name);
        let Some(t) = self.trackers.iter().find(of).filter(|_| p.good != Some(true)) else { return String::new() };
        let mut text = result(t, now);
        if t.kind == "virtual server" {
            let named = format!("virtual server {}", t.name);
            let service = self.services.iter().find(|s| format!("virtual server {}", s.tracked_as) == named);
            text = service.map_or(text, down);
        }
        let text = if text.is_empty() { text } else { format!(": {text}") };
        if t.said.is_empty() { text } else { format!("{text}\n      its last line: {}", t.said) }
    }
}

/// Which servers a virtual server lacks, and what to ask for more.
fn down(s: &Service) -> String {
    let down: Vec<&str> = s.servers.iter().filter(|r| !servers::takes(r)).map(|r| r.name.as_str()).collect();
    let (shown, rest) = down.split_at(down.len().min(5));
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    let which = match shown {
        [] => "it has no quorum".to_string(),
        [one] => format!("{one} takes no connections"),
        _ => format!("{}{more} take no connections", shown.join(", ")),
    };
    format!("{which}; `steadfast explain {}` says why", servers::written(&s.name))
}

/// The last result of a tracker, and when it was.
pub fn result(t: &Tracker, now: f64) -> String {
    let when = t.at.map_or_else(String::new, |at| format!("{} ago", span(now - at)));
    [t.result.as_str(), &when].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}

/// `steadfast explain` of what instances track.
pub fn explain(t: &Tracker, around: &Around, silence: Option<String>, now: f64) -> String {
    let how = match t.good {
        Some(true) => " is good",
        Some(false) => " is bad",
        None if t.kind == "file" => "",
        None => " has not reported yet",
    };
    let result = result(t, now);
    let result = if result.is_empty() { result } else { format!(": {result}") };
    let mut lines = vec![format!("{} {}{how}{result}.", t.kind, t.name)];
    if !t.said.is_empty() {
        lines.push(format!("Its last line: {}", t.said));
    }
    lines.extend(silence.map(|why| format!("All this is what was said last: {why}.")));
    let what = format!("{} {}", t.kind, t.name);
    for i in around.instances {
        for p in i.parts.iter().filter(|p| p.what == what) {
            let runs = if p.good == Some(false) { runs(p, around.scripts) } else { String::new() };
            let back = if runs.is_empty() { runs } else { format!("; good again{runs}") };
            lines.push(format!(
                "  - vrrp_instance {} is {}, priority {}: {}{back}",
                i.name,
                i.state,
                i.priority,
                effect(p)
            ));
        }
    }
    if lines.len() == 1 + usize::from(!t.said.is_empty()) {
        lines.push("No vrrp_instance tracks it.".into());
    }
    lines.join("\n") + "\n"
}

/// What a part means for its instance.
pub fn effect(p: &Part) -> String {
    match p.weight {
        0 if p.reverse => "reverse: that it is good means FAULT".to_string(),
        0 => "its failure means FAULT".to_string(),
        w => format!("weight {w}{}, now {:+}", if p.reverse { " reverse" } else { "" }, p.change),
    }
}

/// What would put a backup's priority above its master's again: trackers that take something from it now.
pub fn returns(i: &Instance, scripts: &[VrrpScript]) -> Option<String> {
    let (_, theirs) = i.master.as_ref().filter(|(_, p)| *p > i.priority && i.preempt)?;
    // What is good adds a positive weight, and a negative one takes nothing.
    let lost =
        |p: &&Part| p.weight != 0 && p.good == Some(false) && !p.reverse && p.change < i64::from(p.weight.max(0));
    let lost: Vec<&Part> = i.parts.iter().filter(lost).collect();
    let back: i64 = lost.iter().map(|p| i64::from(p.weight.max(0)) - p.change).sum();
    // What it has now may be a bound that the sum lies below.
    let base = i64::from(i.set_priority.unwrap_or(i.base_priority));
    let then = (base + i.parts.iter().map(|p| p.change).sum::<i64>() + back).clamp(1, 254);
    if lost.is_empty() || i.base_priority == 255 || then <= i64::from(*theirs) {
        return None;
    }
    let list: Vec<String> = lost.iter().map(|p| format!("{} is good again{}", p.what, runs(p, scripts))).collect();
    let waits = match i.preempt_delay {
        d if d > 0.0 => format!(", and it takes over when it has heard that one for {} more (preempt_delay)", span(d)),
        _ => String::new(),
    };
    Some(format!(
        "It returns by itself when {}: its priority is {then} then, above the master's {theirs}{waits}.",
        list.join(" and ")
    ))
}

/// How often the script of a tracker has to succeed to be good again, in brackets; nothing of other trackers.
pub fn runs(p: &Part, scripts: &[VrrpScript]) -> String {
    let name = p.what.strip_prefix("script ");
    let Some(script) = name.and_then(|name| scripts.iter().find(|s| s.name == name)) else { return String::new() };
    let each = script.interval.map_or(1.0, |d| d.as_secs_f64());
    match script.rise {
        1 => format!(" (one good run, one each {})", span(each)),
        n => format!(" ({n} good runs in a row, one each {}: about {})", span(each), span(each * f64::from(n))),
    }
}
