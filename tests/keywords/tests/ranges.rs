//! Both ends of the range of each keyword, and what is just beyond, from the declarations: the ends are taken without a word, the rest
//! is reported.

use std::collections::HashSet;
use steadfast_config::diag::Class;
use steadfast_config::keywords;
use steadfast_test_keywords::{Row, read, rows};

/// A range with its ends and what is just beyond them, as they are written.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    ends: [String; 2],
    beyond: Vec<String>,
}

/// The greatest number of seconds of a delay without a limit of its own: what fits into 32 bits as microseconds.
const SECONDS: &str = "4294.967295";

/// Of a declaration's range; `None` when it is of another kind.
fn range(text: &str) -> Option<Range> {
    // What is said of the family of addresses and of decimals stands behind a comma, what the number means before a blank.
    let text = text.split(',').next()?.trim();
    if text == "id uint64" {
        return None; // encap: a word of its own language
    }
    let text = text.strip_suffix(" seconds").unwrap_or(text);
    let text = text.split(';').next()?.rsplit(' ').next()?;
    let whole = |low: i128, high: i128| {
        let ends = [low, high].map(|n| n.to_string());
        Some(Range { ends, beyond: vec![(low - 1).to_string(), (high + 1).to_string()] })
    };
    match text {
        "uint32" => return whole(0, u32::MAX.into()),
        "int32" => return whole(i32::MIN.into(), i32::MAX.into()),
        "uint64" => return whole(0, u64::MAX.into()),
        _ => {}
    }
    let (low, high) = match text.strip_prefix(">=") {
        Some(low) if low.contains('.') => (low, SECONDS),
        Some(low) => (low, "4294967295"),
        None => {
            let at = text.get(1..)?.find('-')? + 1;
            (text.get(..at)?, text.get(at + 1..)?)
        }
    };
    if low.len() > 1 && low.starts_with('0') && !low.contains('.') || high.len() > 1 && high.starts_with('0') {
        return None; // octal
    }
    if low.contains('.') || high.contains('.') {
        let (a, b): (f64, f64) = (low.parse().ok()?, high.parse().ok()?);
        // Six decimals, of which the last one counts.
        let below = if a < 0.000_002 { "0".to_string() } else { format!("{:.6}", a - 0.000_001) };
        let above = if high.contains('.') { format!("{:.6}", b + 0.000_001) } else { format!("{high}.000001") };
        return Some(Range { ends: [low.into(), high.into()], beyond: vec![below, above] });
    }
    whole(low.parse().ok()?, high.parse().ok()?)
}

/// The row's lines with the number after the keyword exchanged; `None` when no number stands there.
fn with(row: &Row, value: &str) -> Option<Vec<String>> {
    let mut found = false;
    let lines = row.with.iter().map(|line| {
        // It is the next word, or the one after: an address stands before a port.
        let mut left = if row.word.starts_with('(') { 2usize } else { 0 };
        let words = line.split_whitespace().map(|w| {
            let hit = left > 0 && !found && w.parse::<f64>().is_ok();
            left = if w == row.word { 2 } else { left.saturating_sub(1) };
            found |= hit;
            if hit { value } else { w }
        });
        words.collect::<Vec<_>>().join(" ")
    });
    let lines = lines.collect();
    found.then_some(lines)
}

/// What is said of the lines and not of the row's own.
fn reports(row: &Row, lines: &[String]) -> Vec<String> {
    let said = |lines: &[String]| {
        let outcome = read(&row.text(lines));
        let counts = outcome.diagnostics.iter().filter(|d| d.class > Class::Unsupported);
        counts.map(|d| d.message.clone()).collect::<Vec<_>>()
    };
    let known: HashSet<String> = said(&row.with).into_iter().collect();
    said(lines).into_iter().filter(|m| !known.contains(m)).collect()
}

/// Values that are in the range, and reported because of what stands around them.
const AROUND: &[(&str, &str, &str)] = &[
    ("vrrp_instance", "advert_int", "does not fit version 3"),
    ("vrrp_instance > auth_hmac", "active_key", "is not defined"),
    ("vrrp_track_process", "quorum_max", "quorum is above quorum_max"),
    ("virtual_server", "quorum", "is above the weight"),
    ("virtual_server", "hysteresis", "is not below the quorum"),
    ("virtual_server > real_server", "weight", "is above the weight"),
    // As keepalived does: 254 is taken everywhere, and lowered where a script or a link is tracked.
    // Of all ports there is persistence alone.
    ("virtual_server_group (entry lines)", "(address line)", "port 0 needs persistence"),
    ("vrrp_instance > track_* entry (inline)", "weight", "is too large, using"),
];
/// Values beyond the range that are taken for its end, without a word, as keepalived does.
const LOWERED: &[&str] = &["sport", "dport"];

#[test]
fn ranges_are_read() {
    let is = |text, ends: [&str; 2], beyond: [&str; 2]| {
        let wanted = Range { ends: ends.map(String::from), beyond: beyond.map(String::from).to_vec() };
        assert_eq!(range(text), Some(wanted), "{text}");
    };
    is("1-255", ["1", "255"], ["0", "256"]);
    is("-20-19", ["-20", "19"], ["-21", "20"]);
    is("port 1-65535", ["1", "65535"], ["0", "65536"]);
    is("1-4294967, 3 decimals", ["1", "4294967"], ["0", "4294968"]);
    is("0.01-255", ["0.01", "255"], ["0.009999", "255.000001"]);
    is("0.000001-4294.967295", ["0.000001", "4294.967295"], ["0", "4294.967296"]);
    is(">=1", ["1", "4294967295"], ["0", "4294967296"]);
    is("uint32, IPv6", ["0", "4294967295"], ["-1", "4294967296"]);
    for other in ["-", "existing", "at most 15 characters", "needs ca in SSL", "32 hex digits", "0-0777", ""] {
        assert_eq!(range(other), None, "{other}");
    }
}

#[test]
fn both_ends_are_taken_and_what_is_beyond_is_reported() {
    let all = rows();
    let (mut tested, mut without, mut faults) = (0, Vec::new(), Vec::new());
    for k in keywords().filter(|k| k.supported) {
        let Some(range) = range(k.range) else { continue };
        let row = all.iter().find(|r| r.section == k.section && r.word == k.word).expect("a row for each keyword");
        let name = format!("{} > {}", k.section, k.word);
        if with(row, "1").is_none() {
            without.push(name);
            continue;
        }
        tested += 1;
        for value in &range.ends {
            let lines = with(row, value).unwrap_or_default();
            let around = |m: &String| AROUND.iter().any(|(s, w, t)| (*s, *w) == (k.section, k.word) && m.contains(t));
            let said: Vec<String> = reports(row, &lines).into_iter().filter(|m| !around(m)).collect();
            if !said.is_empty() {
                faults.push(format!("{name} {value} is in {}, and reported: {said:?}", k.range));
            }
        }
        for value in &range.beyond {
            let lines = with(row, value).unwrap_or_default();
            if reports(row, &lines).is_empty() && !(LOWERED.contains(&k.word) && value != "0") {
                faults.push(format!("{name} {value} is beyond {}, and taken", k.range));
            }
        }
    }
    println!("ranges: {tested} tested at both ends and beyond; without a number after the keyword: {without:?}");
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
    // A row or a declaration that is read no more would be tested no more, without a word.
    assert!(tested >= 275, "{tested}");
}

#[test]
fn names_have_their_length() {
    let all = rows();
    let mut tested = 0;
    for k in keywords().filter(|k| k.supported) {
        let before = k.range.split(" characters").next().filter(|b| *b != k.range);
        let Some(most) = before.and_then(|b| b.rsplit(' ').next()).and_then(|n| n.parse::<usize>().ok()) else {
            continue;
        };
        let row = all.iter().find(|r| r.section == k.section && r.word == k.word).expect("a row for each keyword");
        let named = |length: usize| {
            let lines = row.with.iter().map(|line| {
                let words: Vec<&str> = line.split_whitespace().collect();
                let at = words.iter().position(|w| *w == row.word).map_or(words.len(), |at| at + 1);
                let name = "n".repeat(length);
                let words = words.iter().enumerate().map(|(n, w)| if n == at { name.as_str() } else { w });
                words.collect::<Vec<_>>().join(" ")
            });
            lines.collect::<Vec<_>>()
        };
        if named(1) == row.with {
            continue; // it stands without a name, and the name has a row of its own
        }
        tested += 1;
        assert_eq!(reports(row, &named(most)), Vec::<String>::new(), "{} > {}", k.section, k.word);
        assert!(!reports(row, &named(most + 1)).is_empty(), "{} > {}: {most} characters", k.section, k.word);
    }
    println!("names: {tested} lengths tested");
    assert!(tested > 8, "{tested}");
}
