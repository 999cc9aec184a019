//! The source stage: files become lines of words. Comments, quotes, includes, variables, `@id` conditions, `~SEQ` and `~LST`
//! are done with here; what comes out is keywords and values, each with its place in the file as written.

mod expand;
mod fs;
mod text;
mod words;

pub use fs::{FakeReader, FsReader, ReadError, Reader};
pub(crate) use text::text;
pub use words::{CommandError, split_command, split_line};

use crate::diag::{Class, Diagnostics, Files, Span};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use steadfast_core::Name;

/// Files within files at most.
const DEPTH: usize = 32;
/// Bytes of all files at most.
const BYTES: u64 = 256 << 20;
/// Files that are read at most, one that is read again counted again.
const FILES: usize = 10_000;
/// Lines made by `~SEQ` and `~LST`, and substitutions, at most.
const EXPANSIONS: usize = 200_000;
/// Bytes that expansions may add at most.
const EXPANDED: usize = 64 << 20;
/// Lines for which room is made at once, at most.
const LIKELY: usize = 100_000;
/// A longer line loses its first part, as with keepalived.
const LINE: usize = 1023;

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    /// Words.
    Text,
    /// `{`.
    Open,
    /// `}`.
    Close,
}

/// A word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Word {
    /// Its text, without quotes.
    pub text: Name,
    /// It was quoted.
    pub quoted: bool,
    /// Its place.
    pub span: Span,
}

/// A line after expansion. A brace outside quotes is a line of its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Kind.
    pub kind: LineKind,
    /// Words; empty for braces.
    pub words: Box<[Word]>,
    /// The text, where it is not its words with a blank between them.
    text: Option<Box<str>>,
    /// Its place.
    pub span: Span,
}

impl Line {
    fn of_words(words: Box<[Word]>, text: &str, span: Span) -> Line {
        let plain = !words.iter().any(|w| w.quoted) && words.iter().map(|w| w.text.as_str()).eq(text.split(' '));
        Line { kind: LineKind::Text, words, text: (!plain).then(|| text.into()), span }
    }

    /// The text, comment removed; script keywords split it anew.
    pub fn raw(&self) -> Cow<'_, str> {
        if let Some(text) = &self.text {
            return text.as_ref().into();
        }
        match &*self.words {
            [] => "".into(),
            [one] => one.text.as_str().into(),
            all => all.iter().map(|w| w.text.as_str()).collect::<Vec<_>>().join(" ").into(),
        }
    }
}

/// What the reading depends on.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Value of `@id` conditions and `$_INSTANCE`.
    pub config_id: String,
    /// Every include problem is an error (`-e`).
    pub include_check_all: bool,
    /// Seed of `${_RANDOM}`.
    pub random_seed: u64,
}

/// The result.
#[derive(Debug, Default)]
pub struct Source {
    /// Files read.
    pub files: Files,
    /// Lines.
    pub lines: Vec<Line>,
    /// Reports.
    pub diagnostics: Diagnostics,
    /// The main file could not be read.
    pub unreadable: bool,
    /// Names that the files define.
    pub(crate) defined: HashSet<String>,
}

pub(crate) struct State<'a> {
    pub reader: &'a dyn Reader,
    pub options: &'a Options,
    pub out: Source,
    pub definitions: HashMap<String, String>,
    pub expansions: usize,
    pub expanded_bytes: usize,
    pub rng: steadfast_core::Rng,
    bytes: u64,
    checks: Checks,
    /// The files that are being read, each within the one before it, with the number of changed definitions when it began.
    open: Vec<(PathBuf, u64)>,
    /// How often a definition has changed.
    redefined: u64,
    /// It was said that there are more files than are read.
    too_many: bool,
    /// The line that is being read.
    at: Option<Span>,
    /// It was said that definitions use each other too deeply.
    endless_said: bool,
}

/// Which include problems are errors.
#[derive(Clone, Copy, Default)]
struct Checks {
    read: bool,
    matching: bool,
    wildcard: bool,
    brace: bool,
}

/// Reads a configuration.
pub fn load(path: &Path, reader: &dyn Reader, options: &Options) -> Source {
    let all = options.include_check_all;
    let mut state = State {
        reader,
        options,
        out: Source::default(),
        definitions: HashMap::new(),
        expansions: 0,
        expanded_bytes: 0,
        rng: steadfast_core::Rng::new(options.random_seed),
        bytes: 0,
        checks: Checks { read: all, matching: all, wildcard: all, brace: all },
        open: Vec::new(),
        redefined: 0,
        too_many: false,
        at: None,
        endless_said: false,
    };
    match reader.read(path, BYTES) {
        Ok(bytes) => state.file(path, bytes, 0),
        Err(e) => {
            let path = path.display();
            // keepalived's test passes over a file that is absent or is none, and fails at one that it may not read.
            match &e {
                ReadError::System(e) => {
                    let text = format!("Unable to read configuration file {path}: {e}");
                    state.out.diagnostics.push(Class::Fatal, None, text);
                }
                e => state.out.diagnostics.push(Class::Note, None, format!("cannot read configuration {path}: {e}")),
            }
            state.out.unreadable = true;
        }
    }
    state.out.defined = state.definitions.into_keys().collect();
    state.out
}

impl State<'_> {
    fn file(&mut self, path: &Path, bytes: Vec<u8>, depth: usize) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let text = match String::from_utf8(bytes) {
            Ok(t) => t,
            Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned(),
        };
        let bare = text.strip_prefix('\u{feff}').map(String::from);
        let marked = bare.is_some();
        let text = bare.unwrap_or(text);
        // Its text follows when it has been read: files within it have the numbers behind its own.
        let file = self.out.files.add(path.display().to_string(), String::new());
        if marked {
            // Nobody sees it, so it is named; to keepalived it is a part of the first word.
            let at = Span { file, line: 1, column: 1, width: 1 };
            let help = Some("save the file as UTF-8 without a byte order mark".into());
            let text = "the file begins with a byte order mark (U+FEFF), ignoring it";
            self.out.diagnostics.push_help(Class::UnknownKeyword, Some(at), text, help);
        }
        self.open.push((self.reader.canonical(path), self.redefined));
        let likely = text.bytes().filter(|b| matches!(b, b'\n' | b'{')).count();
        self.out.lines.reserve(likely.min(LIKELY));
        let mut lines = text.split('\n').enumerate();
        while let Some((n, line)) = lines.next() {
            let number = u32::try_from(n + 1).unwrap_or(u32::MAX);
            let span = Span { file, line: number, column: 1, width: 1 };
            let Some(line) = self.clean(line, span) else { continue };
            // A definition may go on over several lines, each ended by a backslash.
            let mut line = line.to_string();
            if line.trim_start().starts_with('$') && words::definition(line.trim_start()).is_some() {
                while let Some(head) = line.trim_end().strip_suffix('\\') {
                    let Some((m, next)) = lines.next() else { break };
                    let at = Span { line: u32::try_from(m + 1).unwrap_or(u32::MAX), ..span };
                    let Some(next) = self.clean(next, at) else {
                        line = head.to_string();
                        break;
                    };
                    let next = words::strip_comment(next.trim_end_matches('\r').trim());
                    line = format!("{head}\n{}", next.trim());
                    if line.len() > EXPANDED {
                        break;
                    }
                }
            }
            self.line(&line, span, path, depth, 0);
        }
        self.open.pop();
        self.out.files.put(file, text);
    }

    /// Rules about a physical line as such.
    fn clean<'t>(&mut self, line: &'t str, span: Span) -> Option<&'t str> {
        let line = line.trim_end_matches('\r');
        if line.contains('\0') {
            self.out.diagnostics.push(Class::General, Some(span), "line contains a NUL byte, ignoring it");
            return None;
        }
        if line.len() > LINE {
            self.out.diagnostics.push(
                Class::General,
                Some(span),
                format!("line is longer than {LINE} characters, ignoring its first {LINE}"),
            );
            let mut at = LINE;
            while !line.is_char_boundary(at) {
                at += 1;
            }
            return line.get(at..);
        }
        Some(line)
    }

    /// One logical line. `nesting` counts expansions within expansions.
    pub(crate) fn line(&mut self, text: &str, span: Span, path: &Path, depth: usize, nesting: usize) {
        self.at = Some(span);
        let leading = text.len() - text.trim_start().len();
        let mut text = text.trim();
        let mut column = u32::try_from(leading + 1).unwrap_or(1);
        // @ID lines.
        if let Some(rest) = text.strip_prefix('@') {
            let (id, line) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
            let keep = match id.strip_prefix('^') {
                Some(id) => id != self.options.config_id,
                None => id == self.options.config_id,
            };
            if !keep {
                return;
            }
            let line = line.trim_start();
            column += u32::try_from(text.len() - line.len()).unwrap_or(0);
            text = line;
        }
        let stripped = words::strip_comment(text);
        let text = stripped.trim_end();
        if text.is_empty() {
            return;
        }
        if let Some((name, value)) = words::definition(text) {
            let value = self.defined(name, value, path);
            let before = self.definitions.insert(name.to_string(), value);
            self.redefined += u64::from(before.as_deref() != self.definitions.get(name).map(String::as_str));
            return;
        }
        if text.starts_with('~')
            && let Some(lines) = self.repeat(text, span, path, nesting)
        {
            let at = Span { column, width: u32::try_from(text.chars().count()).unwrap_or(1), ..span };
            for line in lines {
                self.expanded(&line, at, path, depth, nesting + 1);
            }
            return;
        }
        if text.contains('$') {
            let expanded = self.substitute(text, path, nesting);
            if expanded != text {
                let dollar = text.find('$').unwrap_or(0);
                let at = Span {
                    column: column + u32::try_from(text.get(..dollar).map_or(0, |t| t.chars().count())).unwrap_or(0),
                    width: 1,
                    ..span
                };
                self.expanded(&expanded, at, path, depth, nesting + 1);
                return;
            }
        }
        self.words(text, Span { column, ..span }, false, path, depth);
    }

    /// Text that an expansion made; it may hold several lines, and further expansions.
    fn expanded(&mut self, text: &str, at: Span, path: &Path, depth: usize, nesting: usize) {
        if nesting > DEPTH {
            self.out.diagnostics.push(Class::General, Some(at), "expansions are nested too deeply");
            return;
        }
        for line in text.split('\n') {
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let again = line.starts_with('~') || line.starts_with('@') || words::definition(line).is_some();
            if again || (line.contains('$') && text.contains('\n')) {
                self.line(line, at, path, depth, nesting + 1);
            } else {
                self.words(line, at, true, path, depth);
            }
        }
    }

    /// Splits into words and braces; includes are followed.
    fn words(&mut self, text: &str, at: Span, made: bool, path: &Path, depth: usize) {
        for piece in words::pieces(text) {
            let column = if made { at.column } else { at.column + piece.column };
            let span = Span { column, width: piece.width, ..at };
            match piece.kind {
                LineKind::Text => {
                    let (words, unmatched) = words::split(&piece.text, span, made);
                    if unmatched {
                        self.out.diagnostics.push(Class::UnmatchedQuote, Some(span), "quote is not closed");
                    }
                    if let [w, seed, ..] = &*words
                        && w.text == "random_seed"
                        && let Ok(seed) = seed.text.parse::<u32>()
                    {
                        self.rng = steadfast_core::Rng::new(seed.into());
                    }
                    if words.first().is_some_and(|w| !w.quoted && w.text.starts_with("include"))
                        && self.include(&words, path, depth)
                    {
                        continue;
                    }
                    if !words.is_empty() {
                        self.out.lines.push(Line::of_words(words, &piece.text, span));
                    }
                }
                kind => self.out.lines.push(Line { kind, words: Box::default(), text: None, span }),
            }
        }
    }

    /// Follows an include; false when the word is another one. `include_check` is a keyword of global_defs but changes how
    /// later includes are judged, so it is looked at here and passed on.
    fn include(&mut self, words: &[Word], path: &Path, depth: usize) -> bool {
        let Some(keyword) = words.first() else { return false };
        let mut checks = self.checks;
        match keyword.text.as_str() {
            "include" => {}
            "includer" => checks.read = true,
            "includem" => (checks.read, checks.matching) = (true, true),
            "includew" => (checks.read, checks.matching, checks.wildcard) = (true, true, true),
            "includeb" => (checks.read, checks.brace) = (true, true),
            "includea" => checks = Checks { read: true, matching: true, wildcard: true, brace: true },
            "include_check" => {
                self.include_check(words);
                return false;
            }
            _ => return false,
        }
        let Some(pattern) = words.get(1) else {
            self.out.diagnostics.push(Class::MissingParameter, Some(keyword.span), "include needs a file");
            return true;
        };
        if depth >= DEPTH || self.bytes > BYTES {
            self.out.diagnostics.push(
                Class::General,
                Some(pattern.span),
                "files include each other too deeply, or are too large",
            );
            self.out.diagnostics.include_failed = true;
            return true;
        }
        let base = path.parent().unwrap_or(Path::new(""));
        let alternatives = words::braces(&pattern.text);
        // A name in braces is one of several, of which each is to be there; alone it is a file that is to be there.
        let braced = alternatives.iter().any(|a| *a != pattern.text);
        let missing = if braced { checks.brace } else { checks.matching };
        let (mut any, mut absent) = (false, false);
        for alternative in alternatives {
            let wild = alternative.find(['*', '?', '[']);
            let full = base.join(&alternative);
            // What leads to the file that includes is no pattern, whatever signs are in it.
            let beside = !alternative.starts_with('/') && base != Path::new("");
            let before = if beside { self.reader.literal(base) + "/" } else { String::new() };
            let found: Vec<PathBuf> =
                if wild.is_some() { self.reader.glob(&(before.clone() + &alternative)) } else { vec![full] };
            any |= !found.is_empty();
            // A pattern in a directory that is not there is nothing that could match.
            let within = wild.and_then(|at| alternative.get(..at)?.rsplit_once('/'));
            let within = within.map(|(d, _)| if d.is_empty() { "/" } else { d });
            if found.is_empty()
                && let Some(within) = within.filter(|d| self.reader.glob(&(before.clone() + d)).is_empty())
            {
                absent = true;
                let within = base.join(within);
                self.include_problem(pattern.span, missing, format!("directory '{}' does not exist", within.display()));
            }
            for file in found {
                // Nothing is otherwise than when it was begun: it would go round for ever.
                let name = self.reader.canonical(&file);
                if self.open.iter().any(|(open, redefined)| *open == name && *redefined == self.redefined) {
                    let within = path.display();
                    let text = if self.open.last().is_some_and(|(open, _)| *open == name) {
                        format!("{within} includes itself")
                    } else {
                        format!("{within} and {} include each other", name.display())
                    };
                    self.out.diagnostics.push(Class::General, Some(pattern.span), text);
                    self.out.diagnostics.include_failed = true;
                    continue;
                }
                if self.out.files.all().len() >= FILES {
                    if !std::mem::replace(&mut self.too_many, true) {
                        let text = format!("too many files are included, no more than {FILES} are read");
                        self.out.diagnostics.push(Class::General, Some(pattern.span), text);
                    }
                    self.out.diagnostics.include_failed = true;
                    return true;
                }
                match self.reader.read(&file, BYTES.saturating_sub(self.bytes)) {
                    Ok(bytes) => self.file(&file, bytes, depth + 1),
                    Err(ReadError::NotFound) => {
                        absent = true;
                        self.include_problem(
                            pattern.span,
                            missing,
                            format!("file '{}' does not exist", file.display()),
                        );
                    }
                    Err(e) => self.include_problem(
                        pattern.span,
                        checks.read,
                        format!("cannot include '{}': {e}", file.display()),
                    ),
                }
            }
        }
        // Of several patterns one is enough.
        if !any && !absent {
            self.include_problem(pattern.span, checks.wildcard, format!("no file matches '{}'", pattern.text));
        }
        true
    }

    fn include_problem(&mut self, span: Span, error: bool, text: String) {
        self.out.diagnostics.include_failed |= error;
        self.out.diagnostics.push(if error { Class::General } else { Class::Note }, Some(span), text);
    }

    fn include_check(&mut self, words: &[Word]) {
        if words.len() == 1 {
            self.checks = Checks { read: true, matching: true, wildcard: true, brace: true };
        }
        for w in words.iter().skip(1) {
            let (on, name) = match w.text.strip_prefix('-') {
                Some(n) => (false, n),
                None => (true, w.text.strip_prefix('+').unwrap_or(&w.text)),
            };
            match name {
                "read" => self.checks.read = on,
                "match" => self.checks.matching = on,
                "wildcard_match" => self.checks.wildcard = on,
                "brace_match" => self.checks.brace = on,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
