//! Variables, `~SEQ` and `~LST`.

use super::{EXPANDED, EXPANSIONS, State};
use crate::diag::{Class, Span};
use std::path::Path;

impl State<'_> {
    /// False when the limits of expansion are used up; said once.
    fn allow(&mut self, bytes: usize, span: Option<Span>) -> bool {
        self.expansions += 1;
        self.expanded_bytes = self.expanded_bytes.saturating_add(bytes);
        let within = self.expansions <= EXPANSIONS && self.expanded_bytes <= EXPANDED;
        if !within && self.expansions <= EXPANSIONS + 1 {
            self.out.diagnostics.push(Class::General, span, "too many expansions, the rest is left as it is");
            self.expansions = EXPANSIONS + 1;
        }
        within
    }

    /// Replaces `$NAME` (before a blank, a comma, a bracket or the end) and `${NAME}`. Unknown names stay.
    pub(crate) fn substitute(&mut self, text: &str, path: &Path, nesting: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (head, tail) = rest.split_at(at);
            out.push_str(head);
            let after = tail.get(1..).unwrap_or("");
            let (name, used) = if let Some(inner) = after.strip_prefix('{') {
                match inner.find('}') {
                    Some(end) => (inner.get(..end).unwrap_or(""), end + 3),
                    None => ("", 0),
                }
            } else {
                let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
                let next = after.get(end..).and_then(|t| t.chars().next());
                let ends = next.is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ')' | '{' | '}' | '"'));
                if ends { (after.get(..end).unwrap_or(""), end + 1) } else { ("", 0) }
            };
            match (!name.is_empty()).then(|| self.value(name, path)).flatten() {
                Some(value) if self.allow(value.len(), None) => {
                    // A definition may use others that were defined later.
                    // Lines are expanded when it is their turn: those before them may define what they use.
                    let whole = value.contains('\n') || value == tail.get(..used).unwrap_or("");
                    if value.contains('$') && nesting < 16 && !whole {
                        let value = self.substitute(&value, path, nesting + 1);
                        out.push_str(&value);
                    } else {
                        out.push_str(&value);
                    }
                    rest = tail.get(used..).unwrap_or("");
                }
                _ => {
                    out.push('$');
                    rest = after;
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn value(&mut self, name: &str, path: &Path) -> Option<String> {
        let mut words = name.split_whitespace();
        match words.next()? {
            "_PWD" => {
                Some(path.parent().map(|p| p.display().to_string()).filter(|p| !p.is_empty()).unwrap_or(".".into()))
            }
            "_INSTANCE" => Some(self.options.config_id.clone()),
            "_HASH" => Some("#".into()),
            "_BANG" => Some("!".into()),
            "_RANDOM" => {
                let mut bound = |default: u64| words.next().and_then(|w| w.parse().ok()).unwrap_or(default).min(32767);
                let (low, high) = (bound(0), bound(32767));
                Some((low + self.rng.below(high.saturating_sub(low) + 1)).to_string())
            }
            "_ENV" => Some(words.next().and_then(|n| self.reader.environment(n)).unwrap_or_default()),
            name => self.definitions.get(name).cloned(),
        }
    }

    /// The lines that `~SEQ(…)`, `~SEQx(…)` or `~LST(…)` stands for; `None` when it is none of these or is wrong, which is said.
    pub(crate) fn repeat(&mut self, text: &str, span: Span, path: &Path, nesting: usize) -> Option<Vec<String>> {
        let (kind, rest) = ["~SEQx(", "~SEQ(", "~LST("].iter().find_map(|k| text.strip_prefix(k).map(|r| (*k, r)))?;
        let Some(close) = closing(rest) else {
            self.out.diagnostics.push(Class::General, Some(span), format!("{kind} has no closing bracket"));
            return None;
        };
        if self.expansions > EXPANSIONS {
            // that was said
            return Some(Vec::new());
        }
        let arguments = self.substitute(rest.get(..close)?, path, nesting);
        let body = rest.get(close + 1..)?.trim();
        let rounds = if kind == "~LST(" {
            list(&arguments)
        } else {
            // one more than there may be, which is then said
            sequence(&arguments, kind == "~SEQx(", EXPANSIONS.saturating_sub(self.expansions) + 1)
        };
        let rounds = match rounds {
            Ok(r) => r,
            Err(reason) => {
                self.out.diagnostics.push(Class::General, Some(span), format!("{kind}{arguments}): {reason}"));
                return None;
            }
        };
        let mut lines = Vec::new();
        for bindings in rounds {
            if !self.allow(body.len(), Some(span)) {
                break;
            }
            let saved: Vec<_> =
                bindings.iter().map(|(n, v)| (n.clone(), self.definitions.insert(n.clone(), v.clone()))).collect();
            let mut line = self.substitute(body, path, nesting);
            if line.contains('\n') {
                // The round's variables hold only now.
                let lines: Vec<String> = line.split('\n').map(|l| self.substitute(l, path, nesting)).collect();
                line = lines.join("\n");
            }
            for (name, old) in saved {
                match old {
                    Some(v) => self.definitions.insert(name, v),
                    None => self.definitions.remove(&name),
                };
            }
            lines.push(line);
        }
        Some(lines)
    }
}

/// Index of the bracket that ends the arguments.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0;
    for (i, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(i),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

type Round = Vec<(String, String)>;

/// Its first `most` rounds.
fn sequence(arguments: &str, hex: bool, most: usize) -> Result<Vec<Round>, &'static str> {
    let mut parts = arguments.split(',').map(str::trim);
    let name = parts.next().filter(|n| !n.is_empty()).ok_or("no variable")?;
    let number = |text: &str| if hex { i64::from_str_radix(text, 16) } else { text.parse::<i64>() };
    let numbers: Vec<i64> = parts.map(number).collect::<Result<_, _>>().map_err(|_| "not a number")?;
    let (start, step, end) = match numbers.as_slice() {
        [end] => (1, if *end >= 1 { 1 } else { -1 }, *end),
        [start, end] => (*start, if end >= start { 1 } else { -1 }, *end),
        [start, step, end] => (*start, *step, *end),
        _ => return Err("needs one to three numbers"),
    };
    if step == 0 || (step > 0 && end < start) || (step < 0 && end > start) {
        return Err("the step does not lead from start to end");
    }
    if (i128::from(end) - i128::from(start)) / i128::from(step) >= EXPANSIONS as i128 {
        return Err("too many steps");
    }
    let mut rounds = Vec::new();
    let mut value = start;
    loop {
        let shown = if hex { format!("{value:x}") } else { value.to_string() };
        rounds.push(vec![(name.to_string(), shown)]);
        if rounds.len() >= most {
            return Ok(rounds);
        }
        match value.checked_add(step) {
            Some(v) if (step > 0 && v <= end) || (step < 0 && v >= end) => value = v,
            _ => return Ok(rounds),
        }
    }
}

fn list(arguments: &str) -> Result<Vec<Round>, &'static str> {
    let arguments = arguments.trim();
    if arguments.starts_with('{') {
        let mut tuples =
            arguments.split('}').map(|t| t.trim().trim_start_matches(',').trim()).filter_map(|t| t.strip_prefix('{'));
        let names: Vec<&str> = tuples.next().ok_or("no variables")?.split(',').map(str::trim).collect();
        return Ok(tuples
            .map(|t| {
                let mut values = t.split(',').map(str::trim);
                names.iter().map(|n| (n.to_string(), values.next().unwrap_or("").to_string())).collect()
            })
            .collect());
    }
    let mut parts = arguments.split(',').map(str::trim);
    let name = parts.next().filter(|n| !n.is_empty()).ok_or("no variable")?.to_string();
    Ok(parts.map(|v| vec![(name.clone(), v.to_string())]).collect())
}
