//! What a reading of the configuration reports that the one before it did not.

use std::collections::HashSet;
use std::path::Path;
use steadfast_config::Outcome;
use steadfast_config::diag::{Class, Diagnostic, Diagnostics, render};

/// So many are shown one by one.
const MOST: usize = 20;

/// The daemon's report without its place: lines move when a file is edited.
fn text(line: &str) -> &str {
    let placed = line.strip_prefix('(').and_then(|l| l.split_once(": Line "));
    let column = placed.and_then(|(_, l)| l.split_once(") column ")).and_then(|(_, l)| l.split_once(": "));
    column.map_or(line, |(_, text)| text)
}

fn texts(reports: &str) -> HashSet<&str> {
    reports.lines().map(text).collect()
}

/// How many there are as before, and how all of them are seen.
fn as_before(count: usize, file: &str) -> Option<String> {
    let reports = if count == 1 { "report" } else { "reports" };
    (count > 0).then(|| format!("{count} {reports} on the file as before; `steadfast check {file}` shows all"))
}

/// Lines on what the daemon reported of `file` at a reading, beside what it did of the one before.
pub fn told(before: &str, now: &str, file: &str) -> Vec<String> {
    let known = texts(before);
    let (old, new): (Vec<&str>, Vec<&str>) = now.lines().partition(|l| known.contains(text(l)));
    let more = new.len().saturating_sub(MOST);
    let more = (more > 0).then(|| format!("and {more} more; `steadfast check {file}` shows all"));
    let rest = more.or_else(|| as_before(old.len(), file));
    new.into_iter().take(MOST).map(str::to_string).chain(rest).collect()
}

/// Reports of our own reading that the daemon's last one did not have, as pictures. `elsewhere`: the daemon sees other links than we do.
pub fn shown(before: &str, outcome: &Outcome, file: &Path, elsewhere: bool, colour: bool) -> String {
    let known = texts(before);
    let of_links = |d: &Diagnostic| d.class == Class::BadInterface || d.message.contains("nterface");
    let (mut news, mut more) = (Diagnostics::default(), 0);
    for d in outcome.diagnostics.iter().filter(|d| !(elsewhere && of_links(d))) {
        let help = d.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
        match known.contains(format!("{}{help}", d.message).as_str()) {
            true => {}
            false if news.iter().count() < MOST => news.push_help(d.class, d.span, d.message.as_str(), d.help.clone()),
            false => more += 1,
        }
    }
    let more = (more > 0).then(|| format!("and {more} more; `steadfast check {}` shows all\n", file.display()));
    render(&news, &outcome.files, colour) + &more.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "(/etc/k.conf: Line 9) column 5: (A) interface x: none\nno script is given\n";

    #[test]
    fn what_was_reported_before_is_counted_and_what_is_new_is_shown() {
        let moved = "(/etc/k.conf: Line 12) column 5: (A) interface x: none\n";
        let new = "(/etc/k.conf: Line 3) column 1: another thing\n";
        assert_eq!(told(OLD, "", "F"), Vec::<String>::new());
        assert_eq!(told(OLD, moved, "F"), ["1 report on the file as before; `steadfast check F` shows all"]);
        assert_eq!(
            told(OLD, &(moved.to_string() + new + "no script is given\n"), "F"),
            [new.trim_end(), "2 reports on the file as before; `steadfast check F` shows all"]
        );
        let many: String = (0..25).map(|n| format!("thing {n}\n")).collect();
        let lines = told("", &many, "F");
        assert_eq!((lines.len(), lines[20].as_str()), (21, "and 5 more; `steadfast check F` shows all"));
    }

    #[test]
    fn of_links_that_the_daemon_alone_sees_nothing_is_said() {
        let conf = "vrrp_instance A {\n interface absent0\n virtual_router_id 7\n notify_master /nope/x\n virtual_ipaddress {\n 192.0.2.9\n }\n}\n";
        let read = || steadfast_config::load_text(conf, &Default::default(), &steadfast_config::SystemHost);
        let of = |elsewhere| shown("", &read(), Path::new("F"), elsewhere, false);
        assert!(of(false).contains("interface absent0") && of(false).contains("'/nope/x' does not exist now"));
        assert!(!of(true).contains("absent0") && of(true).contains("'/nope/x' does not exist now"), "{}", of(true));
        let before = "(F: Line 4) column 16: (A) notify_master script '/nope/x' does not exist now\n";
        let now = shown(before, &read(), Path::new("F"), true, false);
        assert_eq!(now, "");
    }
}
