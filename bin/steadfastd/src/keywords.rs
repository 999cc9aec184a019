//! No keyword is taken and ignored: for each one, two configurations that differ in it alone differ in what reaches the parent, the
//! machines and their adapters, or in what is reported. The rows are in tests/keywords; docs/keywords.md is made of them:
//!
//!     STEADFAST_WRITE=1 cargo test -p steadfastd keywords

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{Debug, Write};
use steadfast_config::{Keyword, Outcome, diag::Class, keywords};
use steadfast_test_keywords::{Row, built_ins, read, rows, top};

/// What a configuration leads to, part by part: leaves of the structures with their paths, each with the number of its occurrences.
type Effect = BTreeMap<(&'static str, String, String), usize>;

/// Paths and values of the leaves of a structure as `{:#?}` shows it.
fn leaves(part: &'static str, value: &impl Debug, into: &mut Effect) {
    let text = format!("{value:#?}");
    let mut path: Vec<&str> = Vec::new();
    for line in text.lines() {
        let depth = (line.len() - line.trim_start().len()) / 4;
        let line = line.trim().trim_end_matches(',');
        path.truncate(depth);
        if matches!(line, "}" | ")" | "]" | "},") {
            continue;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        // Names of types are noise beside those of fields.
        path.push(if value.is_empty() && !name.starts_with('"') { "" } else { name });
        let words: Vec<&str> = path.iter().filter(|w| !w.is_empty() && !w.starts_with('"')).copied().collect();
        let value = if value.is_empty() { name } else { value };
        *into.entry((part, words.join("."), value.to_string())).or_default() += 1;
    }
}

fn effect(outcome: &Outcome) -> Effect {
    let c = &outcome.config;
    let mut all = Effect::new();
    let mut facts = crate::loader::facts(outcome);
    // Hashes of the reports, and words that are to be told of, whatever their effect.
    facts.faults.clear();
    facts.fixed.clear();
    leaves("parent", &facts, &mut all);
    leaves("vrrp", &crate::vrrp::translate::plan(c), &mut all);
    let mut marks = crate::checker::marks::Groups::default();
    marks.configure(c);
    leaves("marks", &marks.configured(), &mut all);
    leaves("checker", &crate::checker::translate::pool(c, &marks.assigned), &mut all);
    leaves("ipvs", &crate::checker::translate::balancer(c), &mut all);
    leaves("bfd", &crate::bfd::translate::translate(c), &mut all);
    #[cfg(feature = "snmp")]
    leaves("snmp", &crate::observer::snmp::settings(c), &mut all);
    all
}

/// Where two configurations differ: each part with the shortest path of a setting; or `report` and the words of one.
fn difference(a: &Outcome, b: &Outcome) -> Option<String> {
    let (x, y) = (effect(a), effect(b));
    let only = |x: &Effect, y: &Effect| {
        let more =
            |(k, n): (&(&'static str, String, String), &usize)| y.get(k).is_none_or(|m| m < n).then(|| k.clone());
        x.iter().filter_map(more).collect::<Vec<_>>()
    };
    let differing = [only(&x, &y), only(&y, &x)].concat();
    // The shortest path of each part.
    let mut shortest: BTreeMap<&str, &str> = BTreeMap::new();
    for (part, path, _) in &differing {
        let length = |p: &str| (p.matches('.').count(), p.len());
        let known = shortest.entry(part).or_insert(path);
        if length(path) < length(known) {
            *known = path;
        }
    }
    if !shortest.is_empty() {
        let all = shortest.iter().map(|(part, path)| format!("{part}: {path}"));
        return Some(all.collect::<Vec<_>>().join(", "));
    }
    // Secrets show nothing of themselves.
    if crate::vrrp::translate::plan(&a.config) != crate::vrrp::translate::plan(&b.config) {
        return Some("vrrp: a secret".into());
    }
    let reports = |o: &Outcome| o.diagnostics.iter().map(|d| (d.message.clone(), d.class)).collect::<BTreeSet<_>>();
    let (x, y) = (reports(a), reports(b));
    x.symmetric_difference(&y).next().map(|(text, _)| format!("report: {text}"))
}

/// What shows the effect of each keyword that is supported, in the order of the declarations; and what is wrong.
fn covered() -> (Vec<(Keyword, String)>, Vec<String>) {
    let mut by_name: HashMap<(String, String), Row> =
        rows().into_iter().map(|r| ((r.section.clone(), r.word.clone()), r)).collect();
    let mut faults = Vec::new();
    let mut all = Vec::new();
    for k in keywords() {
        let row = by_name.remove(&(k.section.to_string(), k.word.to_string()));
        let name = format!("{} > {}", k.section, k.word);
        let Some(row) = row else {
            if k.supported {
                faults.push(format!("{name}: no row"));
            } else {
                all.push((k, "later".into()));
            }
            continue;
        };
        let (with, without) = (read(&row.text(&row.with)), read(&row.text(&row.without)));
        // One whose effect depends on the machine and the moment has its tests alone.
        let different = if row.with == row.without { None } else { difference(&with, &without) };
        // Reported, and good all the same: old spellings, scripts without security, absent links, defaults.
        let fine = ["does not exist now", " is given, using "];
        let bad = |d: &&steadfast_config::diag::Diagnostic| {
            d.class > Class::Unsupported && d.class < Class::Deprecated && !fine.iter().any(|f| d.message.contains(f))
        };
        if let Some(d) = with.diagnostics.iter().find(bad)
            && !different.as_ref().is_some_and(|d| d.starts_with("report: "))
        {
            faults.push(format!("{name}: {:?}: {}", row.with, d.message));
        }
        let shown = match (different, &row.idle) {
            (Some(what), None) => what,
            (None, Some(why)) => format!("nothing: {why}"),
            (Some(what), Some(_)) => {
                faults.push(format!("{name}: it is said to have no effect, and has one: {what}"));
                continue;
            }
            (None, None) if !row.tests.is_empty() => String::new(),
            (None, None) => {
                faults.push(format!("{name}: it is taken and ignored"));
                continue;
            }
        };
        let mut shown = shown;
        let in_word = |source: &str| source.contains(k.word) || k.word.starts_with('(');
        name_tests(&row, &name, in_word, &mut shown, &mut faults);
        all.push((k, shown));
    }
    faults.extend(by_name.into_keys().map(|(section, word)| format!("{section} > {word}: no such keyword")));
    (all, faults)
}

/// Adds the tests that a row names.
fn name_tests(row: &Row, name: &str, in_word: impl Fn(&str) -> bool, shown: &mut String, faults: &mut Vec<String>) {
    for (file, test) in &row.tests {
        let source = std::fs::read_to_string(top().join(file)).unwrap_or_default();
        let there = source.split_once(&format!("fn {test}(")).is_some();
        if !there || (file.starts_with("tests/") && !in_word(&source)) {
            faults.push(format!("{name}: {file} has no test {test} with this word"));
        }
        let gap = if shown.is_empty() { "" } else { "; " };
        let _ = write!(shown, "{gap}`{file}`: {}", test.replace('_', " "));
    }
}

/// The same of what is no keyword of a section.
fn covered_built_ins(faults: &mut Vec<String>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for row in built_ins() {
        let (with, without) = (read(&row.text(&row.with)), read(&row.text(&row.without)));
        let mut shown = difference(&with, &without).unwrap_or_default();
        if shown.is_empty() || row.tests.is_empty() {
            faults.push(format!("{}: it is taken and ignored, or names no test", row.word));
        }
        name_tests(&row, &row.word, |_| true, &mut shown, faults);
        all.push((row.word, shown));
    }
    all
}

/// docs/keywords.md.
fn page(built_ins: &[(String, String)], all: &[(Keyword, String)]) -> String {
    let count = |start: &str| all.iter().filter(|(_, s)| s.starts_with(start)).count();
    let shown = all.iter().filter(|(_, s)| s.contains("; `") || s.starts_with('`')).count();
    let (later, idle) = (count("later"), count("nothing: "));
    let mut page = format!(
        "# What shows that each keyword works\n\n\
         Of {} keywords, {later} are not supported yet (`later`) and {idle} have no effect, which is meant (`nothing`). For each of the\n\
         others there is a pair of configurations, one with the keyword and one without, in tests/keywords/rows, and a test fails when\n\
         they do not differ: in what reaches the parent, the VRRP machine, the checkers, IPVS, BFD or SNMP (the setting is named), or in what is\n\
         reported (`report`). {shown} of them name a test of the effect itself, too. So do the {} parts of the language that are no keywords\n\
         of a section.\n\n\
         This page is made by `STEADFAST_WRITE=1 cargo test -p steadfastd keywords`; a test fails when it is stale.\n",
        all.len(),
        built_ins.len()
    );
    let row = |word: &str, shown: &str| format!("| `{}` | {} |\n", word.replace('|', "\\|"), shown.replace('|', "\\|"));
    let head = |section: &str| format!("\n## {section}\n\n| keyword | differs, shown by |\n|---|---|\n");
    page.push_str(&head("(parser built-ins)"));
    built_ins.iter().for_each(|(word, shown)| page.push_str(&row(word, shown)));
    let mut sections: Vec<&str> = Vec::new();
    for (k, _) in all {
        if !sections.contains(&k.section) {
            sections.push(k.section);
        }
    }
    for section in sections {
        page.push_str(&head(section));
        all.iter().filter(|(k, _)| k.section == section).for_each(|(k, shown)| page.push_str(&row(k.word, shown)));
    }
    page
}

#[test]
fn each_keyword_has_its_effect() {
    let (all, mut faults) = covered();
    let built_ins = covered_built_ins(&mut faults);
    let count = |start: &str| all.iter().filter(|(_, s)| s.starts_with(start)).count();
    println!(
        "keywords: {} declared, {} later, {} without effect and meant so, {} seen in reports",
        keywords().count(),
        count("later"),
        count("nothing: "),
        count("report: "),
    );
    assert!(faults.is_empty(), "{} keywords:\n{}", faults.len(), faults.join("\n"));
    let (path, page) = (top().join("docs/keywords.md"), page(&built_ins, &all));
    if std::env::var_os("STEADFAST_WRITE").is_some() {
        std::fs::write(&path, page).expect("docs/keywords.md");
    } else {
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(there == page, "docs/keywords.md is stale: STEADFAST_WRITE=1 cargo test -p steadfastd keywords");
    }
}
