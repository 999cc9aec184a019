//! Characters to words.

use super::{LineKind, Word};
use crate::diag::Span;
use std::fmt;

/// Cuts a comment off: `#` or `!` outside quotes. A backslash before it makes it a character and goes away.
pub(crate) fn strip_comment(text: &str) -> String {
    if !text.contains(['#', '!']) {
        return text.to_string();
    }
    let mut out = String::with_capacity(text.len());
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if !quoted && matches!(characters.peek(), Some('#' | '!')) => {
                out.extend(characters.next());
                continue;
            }
            '#' | '!' if !quoted => break,
            _ => {}
        }
        out.push(c);
    }
    out
}

/// `$NAME=value`; a blank before the sign makes it something else, as with keepalived.
pub(crate) fn definition(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix('$')?.split_once('=')?;
    let mut characters = name.chars();
    let first = characters.next()?;
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    ((first.is_ascii_alphabetic() || first == '_') && characters.all(word)).then(|| (name, value.trim()))
}

/// A part of a line between braces, or a brace.
pub(crate) struct Piece {
    pub kind: LineKind,
    pub text: String,
    /// Characters before it.
    pub column: u32,
    pub width: u32,
}

/// The words of a form of include, and no other keyword's: `include_check` may end a block on its line.
const INCLUDES: [&str; 6] = ["include", "includer", "includem", "includew", "includeb", "includea"];

/// What stands before is an include.
fn names_files(before: &str) -> bool {
    before.trim_start().split_once(char::is_whitespace).is_some_and(|(word, _)| INCLUDES.contains(&word))
}

/// Cuts a line at its braces. A brace counts when it stands outside quotes and outside a word like `${NAME}`.
pub(crate) fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut current = String::new();
    let mut start = 0u32;
    let mut quoted = false;
    let mut before = ' ';
    let mut held = 0u32;
    let flush = |current: &mut String, start: u32, pieces: &mut Vec<Piece>| {
        let trimmed = current.trim();
        if !trimmed.is_empty() {
            let lead = current.len() - current.trim_start().len();
            pieces.push(Piece {
                kind: LineKind::Text,
                text: trimmed.to_string(),
                column: start + u32::try_from(lead).unwrap_or(0),
                width: u32::try_from(trimmed.chars().count()).unwrap_or(1),
            });
        }
        current.clear();
    };
    for (n, c) in text.chars().enumerate() {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        if c == '"' {
            quoted = !quoted;
        }
        let kind = match c {
            '{' if !quoted && before == '$' => {
                held += 1;
                LineKind::Text
            }
            '}' if !quoted && held > 0 => {
                held -= 1;
                LineKind::Text
            }
            // To the names of an include a brace belongs; elsewhere it opens or closes a block.
            '{' if !quoted && !names_files(&current) => LineKind::Open,
            '}' if !quoted && !names_files(&current) => LineKind::Close,
            _ => LineKind::Text,
        };
        before = c;
        if kind == LineKind::Text {
            if current.is_empty() {
                start = n;
            }
            current.push(c);
        } else {
            flush(&mut current, start, &mut pieces);
            pieces.push(Piece { kind, text: String::new(), column: n, width: 1 });
        }
    }
    flush(&mut current, start, &mut pieces);
    pieces
}

/// Splits at blanks; quoted text is a word of its own. True when a quote was left open.
pub(crate) fn split(text: &str, at: Span, made: bool) -> (Box<[Word]>, bool) {
    let mut words: Vec<Word> = Vec::new();
    let mut current = String::new();
    let mut start = 0u32;
    let mut quoted = false;
    let mut take = |text: &mut String, quoted, span| {
        words.push(Word { text: text.as_str().into(), quoted, span });
        text.clear();
    };
    let span = |start: u32, end: u32| {
        if made { at } else { Span { column: at.column + start, width: end.saturating_sub(start).max(1), ..at } }
    };
    let mut end = 0;
    for (n, c) in text.chars().enumerate() {
        let n = u32::try_from(n).unwrap_or(u32::MAX);
        end = n + 1;
        match c {
            '"' if quoted => {
                take(&mut current, true, span(start, n + 1));
                quoted = false;
            }
            '"' => {
                if !current.is_empty() {
                    take(&mut current, false, span(start, n));
                }
                quoted = true;
                start = n;
            }
            c if c.is_whitespace() && !quoted => {
                if !current.is_empty() {
                    take(&mut current, false, span(start, n));
                }
            }
            c => {
                if current.is_empty() && !quoted {
                    start = n;
                }
                current.push(c);
            }
        }
    }
    if !current.is_empty() || quoted {
        take(&mut current, quoted, span(start, end));
    }
    (words.into(), quoted)
}

/// Shell-like `{a,b}` alternatives, one level of nesting after the other; at most 256.
pub(crate) fn braces(pattern: &str) -> Vec<String> {
    let mut out = vec![pattern.to_string()];
    for _ in 0..8 {
        let mut next = Vec::new();
        let mut changed = false;
        for p in &out {
            let parts = p.find('{').and_then(|open| {
                let close = open + p.get(open..)?.find('}')?;
                Some((p.get(..open)?, p.get(open + 1..close)?, p.get(close + 1..)?))
            });
            match parts {
                Some((head, inner, tail)) if next.len() < 256 => {
                    changed = true;
                    next.extend(inner.split(',').map(|i| format!("{head}{i}{tail}")));
                }
                _ => next.push(p.clone()),
            }
        }
        out = next;
        if !changed {
            break;
        }
    }
    out
}

/// Why a command cannot be split.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// A quote is not closed.
    UnmatchedQuote,
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("quote is not closed")
    }
}

impl std::error::Error for CommandError {}

/// Splits a command into its words: both kinds of quotes, and backslash escapes, also within single quotes, as with keepalived.
pub fn split_command(text: &str) -> Result<Vec<String>, CommandError> {
    split_quoted(text, false)
}

/// The same of a line whose first word is a command, which is split once more when it is read. `shell`: what a shell is to be given,
/// which has its own escapes; a quote within quotes alone is escaped for the line.
pub fn split_line(text: &str, shell: bool) -> Result<Vec<String>, CommandError> {
    split_quoted(text, shell)
}

fn split_quoted(text: &str, shell: bool) -> Result<Vec<String>, CommandError> {
    let mut words = Vec::new();
    let mut current = String::new();
    let mut open: Option<char> = None;
    let mut any = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match (c, open) {
            ('\\', o) => {
                any = true;
                if !shell {
                    escape(&mut characters, &mut current);
                } else if o.is_some() && characters.peek().copied() == o {
                    current.extend(characters.next());
                } else {
                    current.push(c);
                    current.extend(characters.next());
                }
            }
            (c, Some(o)) if c == o => open = None,
            ('"' | '\'', None) => {
                open = Some(c);
                any = true;
            }
            (c, None) if c.is_whitespace() => {
                if any {
                    words.push(std::mem::take(&mut current));
                    any = false;
                }
            }
            (c, _) => {
                any = true;
                current.push(c);
            }
        }
    }
    if open.is_some() {
        return Err(CommandError::UnmatchedQuote);
    }
    if any {
        words.push(current);
    }
    Ok(words)
}

/// `\xHH \ooo \cX \a \b \E \f \n \r \t \v`; any other character stands for itself.
fn escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let Some(c) = characters.next() else {
        out.push('\\');
        return;
    };
    let mut digits = |radix: u32, most: usize, first: Option<u32>| {
        let mut value = first;
        for _ in 0..most {
            let Some(d) = characters.peek().and_then(|c| c.to_digit(radix)) else { break };
            value = Some(value.unwrap_or(0) * radix + d);
            characters.next();
        }
        value.and_then(char::from_u32)
    };
    let made = match c {
        'x' => digits(16, 2, None),
        '0'..='7' => digits(8, 2, c.to_digit(8)),
        'c' => characters.next().and_then(|c| char::from_u32(u32::from(c) & 0x1f)),
        'a' => Some('\x07'),
        'b' => Some('\x08'),
        'E' => Some('\x1b'),
        'f' => Some('\x0c'),
        'n' => Some('\n'),
        'r' => Some('\r'),
        't' => Some('\t'),
        'v' => Some('\x0b'),
        c => Some(c),
    };
    out.extend(made);
}
