//! Lines to one text: what was read, without includes, variables and conditions. Read again it gives the same lines.

use super::{LINE, Line, LineKind, words};

/// Characters of a part of a line that is too long for one.
const PART: usize = 400;

/// The text of what was read.
pub(crate) fn text(lines: &[Line]) -> String {
    let mut names = Names { lines, prefix: None, made: 0 };
    let mut out = String::new();
    let mut depth = 0usize;
    // The line of the file as written, and whether a brace may follow what stands last.
    let mut before: Option<(&Line, String)> = None;
    for line in lines {
        match line.kind {
            LineKind::Text => {
                let text = names.line(line, &mut out);
                out.push_str(&" ".repeat(depth.min(16) * 2));
                out.push_str(&text);
                out.push('\n');
                before = Some((line, text));
                continue;
            }
            LineKind::Open => {
                let joins = before.take().is_some_and(|(l, t)| {
                    (l.span.file, l.span.line) == (line.span.file, line.span.line) && takes_brace(&t)
                });
                if joins {
                    out.pop();
                    out.push_str(" {\n");
                } else {
                    out.push_str(&" ".repeat(depth.min(16) * 2));
                    out.push_str("{\n");
                }
                depth += 1;
            }
            LineKind::Close => {
                depth = depth.saturating_sub(1);
                out.push_str(&" ".repeat(depth.min(16) * 2));
                out.push_str("}\n");
            }
        }
        before = None;
    }
    out
}

/// A brace behind it is one.
fn takes_brace(text: &str) -> bool {
    let pieces = words::pieces(&words::strip_comment(&format!("{text} {{")));
    text.len() + 2 <= LINE && matches!(pieces.as_slice(), [_, last] if last.kind == LineKind::Open)
}

/// Names for parts of long lines.
struct Names<'a> {
    lines: &'a [Line],
    prefix: Option<String>,
    made: usize,
}

impl Names<'_> {
    /// A line's text as it has to be written. What is longer than a line may be is put together of definitions, which go before it.
    fn line(&mut self, line: &Line, out: &mut String) -> String {
        let raw = plain(line);
        let text = escaped(&raw);
        // Blanks before it and a brace behind it count, too.
        if text.len() + 64 <= LINE {
            return text;
        }
        let mut whole = String::new();
        for part in parts(&raw) {
            let name = self.next();
            // A definition has no blanks at its ends, and goes on behind a backslash.
            let body = part.trim_start();
            let (lead, _) = part.split_at(part.len() - body.len());
            let (body, tail) = body.split_at(body.trim_end_matches(|c: char| c == '\\' || c.is_whitespace()).len());
            out.push_str(&format!("${name}={}\n", escaped(body)));
            whole.push_str(&format!("{lead}${{{name}}}{tail}"));
        }
        if whole.len() + 64 <= LINE {
            return whole;
        }
        // Definitions may use others.
        let whole = Line { text: Some(whole.into()), words: Box::default(), ..line.clone() };
        self.line(&whole, out)
    }

    fn next(&mut self) -> String {
        let lines = self.lines;
        let prefix = self.prefix.get_or_insert_with(|| {
            let mut prefix = "_PART".to_string();
            while lines.iter().any(|l| l.raw().contains(&prefix)) {
                prefix.push('_');
            }
            prefix
        });
        self.made += 1;
        format!("{prefix}{}", self.made)
    }
}

/// The text, so that its first word is no condition, definition or repetition where it was none.
fn plain(line: &Line) -> String {
    let raw = line.raw();
    let special = ["@", "~SEQ", "~LST"].iter().any(|s| raw.starts_with(s)) || words::definition(&raw).is_some();
    let word = line.words.first().filter(|w| special && !w.quoted);
    match word.and_then(|word| Some((word, raw.strip_prefix(word.text.as_str())?))) {
        Some((word, rest)) => format!("\"{}\"{rest}", word.text),
        None => raw.into_owned(),
    }
}

/// Signs that would begin a comment get a backslash.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            '#' | '!' if !quoted => out.push('\\'),
            _ => {}
        }
        out.push(c);
    }
    out
}

/// Parts of a line. None begins within a variable that stays as it is.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > PART {
        let fine = |at: &usize| {
            let ends = rest.get(..*at).is_some_and(|head| {
                !head.ends_with(['\\', '$', '{'])
                    && !head.trim().is_empty()
                    && head.rfind('$').is_none_or(|d| d + 40 < *at || head.get(d..).is_some_and(|v| v.contains('}')))
            });
            ends && rest.is_char_boundary(*at)
        };
        let Some(at) = (PART / 2..=PART).rev().find(fine) else { break };
        let (head, tail) = rest.split_at(at);
        parts.push(head);
        rest = tail;
    }
    parts.push(rest);
    parts
}
