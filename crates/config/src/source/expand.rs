//! Variables, `~SEQ` and `~LST`.

use super::{EXPANDED, EXPANSIONS, State};
use crate::diag::{Class, Span};
use std::path::Path;

/// Definitions that use others, in a row.
const NESTED: usize = 32;

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

    /// What a definition's value is when it is made: the text itself, as what it names is looked up when it is used. Its own name
    /// alone stands for what it was until then.
    pub(crate) fn defined(&mut self, name: &str, value: &str, path: &Path) -> String {
        if value.contains('\n') || !value.contains('$') || !self.definitions.contains_key(name) {
            return value.to_string();
        }
        self.replace(value, path, NESTED, Some(name))
    }

    /// Replaces `$NAME` (before a blank, a comma, a closing bracket or the end) and `${NAME}`. Unknown names stay.
    pub(crate) fn substitute(&mut self, text: &str, path: &Path, nesting: usize) -> String {
        self.replace(text, path, nesting, None)
    }

    /// The same; with `only`, of this name alone.
    fn replace(&mut self, text: &str, path: &Path, nesting: usize, only: Option<&str>) -> String {
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
                let ends = next.is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ')'));
                if ends { (after.get(..end).unwrap_or(""), end + 1) } else { ("", 0) }
            };
            let wanted = !name.is_empty() && only.is_none_or(|only| only == name);
            match wanted.then(|| self.value(name, path)).flatten() {
                Some(value) if self.allow(value.len(), None) => {
                    // A definition may use others that were defined later.
                    // Lines are expanded when it is their turn: those before them may define what they use.
                    let whole = value.contains('\n') || value == tail.get(..used).unwrap_or("");
                    if !value.contains('$') || whole || only.is_some() {
                        out.push_str(&value);
                    } else if nesting < NESTED {
                        out.push_str(&self.replace(&value, path, nesting + 1, None));
                    } else {
                        self.endless();
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

    /// Says once that definitions name each other in a circle, or nearly so.
    fn endless(&mut self) {
        if !std::mem::replace(&mut self.endless_said, true) {
            let text = "definitions use each other too deeply, or in a circle";
            self.out.diagnostics.push(Class::General, self.at, text);
        }
    }

    fn value(&mut self, name: &str, path: &Path) -> Option<String> {
        let mut words = name.split_whitespace();
        match words.next()? {
            "_PWD" => {
                let folder = path.parent().filter(|p| *p != Path::new("")).unwrap_or(Path::new("."));
                let folder = self.reader.canonical(folder).display().to_string();
                Some(if folder.is_empty() { ".".into() } else { folder })
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
            _ => self.definitions.get(name).cloned(),
        }
    }

    /// The lines that `~SEQ(…)`, `~SEQx(…)` or `~LST(…)` stands for; `None` when it is none of these or is wrong, which is said.
    pub(crate) fn repeat(&mut self, text: &str, span: Span, path: &Path, nesting: usize) -> Option<Vec<String>> {
        let (kind, rest) = ["~SEQx", "~SEQ", "~LST"].iter().find_map(|k| Some((*k, text.strip_prefix(k)?)))?;
        let Some(rest) = rest.trim_start().strip_prefix('(') else {
            if rest.is_empty() || rest.starts_with(char::is_whitespace) {
                self.out.diagnostics.push(Class::General, Some(span), format!("{kind} needs a list in brackets"));
            }
            return None;
        };
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
        let rounds = if kind == "~LST" {
            list(&arguments)
        } else {
            // one more than there may be, which is then said
            sequence(&arguments, kind == "~SEQx", EXPANSIONS.saturating_sub(self.expansions) + 1)
        };
        let rounds = match rounds {
            Ok(r) => r,
            Err(reason) => {
                self.out.diagnostics.push(Class::General, Some(span), format!("{kind}({arguments}): {reason}"));
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

/// What is said of other text.
const NO_NUMBER: &str = "not a number (`0x` begins a hexadecimal one, `0` an octal one)";

/// A number as the language C writes it, with `~SEQx`, too.
fn number(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (16, hex),
        None => (if digits.len() > 1 && digits.starts_with('0') { 8 } else { 10 }, digits),
    };
    let plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    plain.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()).flatten()
}

type Round = Vec<(String, String)>;

/// Its first `most` rounds.
fn sequence(arguments: &str, hex: bool, most: usize) -> Result<Vec<Round>, &'static str> {
    let mut parts = arguments.split(',').map(str::trim);
    let name = parts.next().filter(|n| !n.is_empty()).ok_or("no variable")?;
    let numbers: Vec<i64> = parts.map(number).collect::<Option<_>>().ok_or(NO_NUMBER)?;
    let (start, step, end) = match numbers.as_slice() {
        [end @ (0 | 1)] => (1, *end * 2 - 1, *end),
        [end] => (end.signum(), end.signum(), *end),
        [start, end] => (*start, if end >= start { 1 } else { -1 }, *end),
        [start, step, end] => (*start, *step, *end),
        _ => return Err("needs one to three numbers"),
    };
    if hex && (start < 0 || end < 0) {
        return Err("hexadecimal numbers cannot be negative");
    }
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
    let rounds: Vec<Round> = parts.map(|v| vec![(name.clone(), v.to_string())]).collect();
    if rounds.is_empty() {
        return Err("no value");
    }
    if rounds.iter().flatten().any(|(_, v)| v.contains(char::is_whitespace)) {
        return Err("a comma is missing between values");
    }
    Ok(rounds)
}
