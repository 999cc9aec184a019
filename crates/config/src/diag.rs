//! What is wrong with a configuration, and where.

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write;

/// A file of a [`Files`] list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FileId(pub u16);

/// A place: line and column count from 1, column and width in characters of the file as written.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// File.
    pub file: FileId,
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
    /// Width.
    pub width: u32,
}

/// Severity classes in keepalived's order; the highest decides the exit status of `-t`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Shown, never counted.
    Note,
    /// Known to keepalived, not supported yet. Never counted.
    Unsupported,
    /// A file is missing.
    FileNotFound,
    /// An interface is wrong.
    BadInterface,
    /// The daemon could not run with it.
    Fatal,
    /// A word that is no keyword here.
    UnknownKeyword,
    /// `{` where none belongs.
    UnexpectedOpenBrace,
    /// No `{` where one belongs.
    MissingOpenBrace,
    /// `}` where none belongs.
    UnexpectedCloseBrace,
    /// The file ends inside a block.
    MissingCloseBrace,
    /// A quote that is not closed.
    UnmatchedQuote,
    /// A keyword without its value. keepalived stops at once.
    MissingParameter,
    /// A value that is no number of the range.
    InvalidNumber,
    /// Any other error.
    General,
    /// A warning.
    Warning,
    /// An old spelling.
    Deprecated,
    /// Scripts could be changed by others.
    Security,
}

impl Class {
    /// How it is shown.
    pub fn severity(self) -> &'static str {
        match self {
            Class::Note | Class::Unsupported => "note",
            Class::Warning | Class::Deprecated | Class::Security => "warning",
            _ => "error",
        }
    }
}

/// One report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Class.
    pub class: Class,
    /// Where; checks made after parsing may have no place.
    pub span: Option<Span>,
    /// What.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// It is the file's own fault: not what the host lacks at the moment, not an old spelling.
    fn is_own_fault(&self) -> bool {
        !matches!(
            self.class,
            Class::Note
                | Class::Unsupported
                | Class::BadInterface
                | Class::Warning
                | Class::Deprecated
                | Class::Security
        ) && !self.message.ends_with("does not exist now")
            && !self.message.contains("does not exist now, the instance waits")
    }

    fn fingerprint(&self) -> u32 {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        self.message.hash(&mut hasher);
        (hasher.finish() >> 32) as u32
    }
}

/// Reports, bounded in number.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    more: u64,
    /// Of those that there was no room for: the classes, and the fingerprints of faults.
    classes: BTreeSet<Class>,
    dropped: BTreeSet<u32>,
    /// There is no note left whose place a fault could take.
    crowded: bool,
    /// An include check failed: nothing of the configuration is used.
    pub include_failed: bool,
}

/// Reports kept at most.
const MOST: usize = 2000;
/// Fingerprints of others at most.
const DROPPED: usize = 10_000;

/// Bytes of a message at most: a word of the file may be as long as definitions make it.
const LONGEST: usize = 2000;
/// Of a longer one so many are kept at its end.
const TAIL: usize = 400;

/// Leaves out the middle of a text that is too long.
fn bound(text: &mut String) {
    let length = text.len();
    if length > LONGEST {
        let end = text.get(text.ceil_char_boundary(length - TAIL)..).unwrap_or_default().to_owned();
        text.truncate(text.floor_char_boundary(LONGEST - TAIL));
        *text += &format!("... ({length} bytes) ...{end}");
    }
}

impl Diagnostics {
    /// Adds a report.
    pub fn push(&mut self, class: Class, span: Option<Span>, message: impl Into<String>) {
        self.add(Diagnostic { class, span, message: message.into(), help: None });
    }

    /// Adds a report with advice.
    pub fn push_help(&mut self, class: Class, span: Option<Span>, message: impl Into<String>, help: Option<String>) {
        self.add(Diagnostic { class, span, message: message.into(), help });
    }

    fn add(&mut self, mut d: Diagnostic) {
        bound(&mut d.message);
        if let Some(help) = &mut d.help {
            bound(help);
        }
        if let std::borrow::Cow::Owned(text) = steadfast_core::text::plain(&d.message) {
            d.message = text;
        }
        if self.list.len() < MOST {
            return self.list.push(d);
        }
        self.more += 1;
        if d.class <= Class::Unsupported {
            return;
        }
        self.classes.insert(d.class);
        if let (true, true) = (self.dropped.len() < DROPPED, d.is_own_fault()) {
            self.dropped.insert(d.fingerprint());
        }
        // Notes give way to what counts.
        let note = |o: &Diagnostic| o.class <= Class::Unsupported;
        match self.list.iter().rposition(note).filter(|_| !self.crowded) {
            Some(at) => {
                self.list.remove(at);
                self.list.push(d);
            }
            None => self.crowded = true,
        }
    }

    /// There is no room for more: what is still to come is counted, and shown only where it takes the place of a note.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// Some report is of this class.
    pub fn has(&self, class: Class) -> bool {
        self.classes.contains(&class) || self.list.iter().any(|d| d.class == class)
    }

    /// Fingerprints of the faults that are the file's own: not what the host lacks at the moment, not old spellings. A reload
    /// that brings a new one is not taken over.
    pub fn faults(&self) -> Vec<u32> {
        let mut all: Vec<u32> = self.list.iter().filter(|d| d.is_own_fault()).map(Diagnostic::fingerprint).collect();
        all.extend(&self.dropped);
        all.sort_unstable();
        all.dedup();
        all
    }

    /// All reports.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Diagnostic> {
        self.list.iter_mut()
    }

    /// Puts them in the order of the files; what has no place comes last.
    pub fn sort(&mut self) {
        self.list.sort_by_key(|d| (d.span.is_none(), d.span));
    }

    /// How many there are: `2 errors, 1 warning`. Empty when there are none.
    pub fn summary(&self) -> String {
        let mut of = [0u64; 3];
        for d in &self.list {
            of[match d.class.severity() {
                "note" => 2,
                "warning" => 1,
                _ => 0,
            }] += 1;
        }
        let said = of.iter().zip(["error", "warning", "note"]).filter(|(n, _)| **n > 0);
        let said = said.map(|(n, word)| format!("{n} {word}{}", if *n == 1 { "" } else { "s" }));
        let more = (self.more > 0).then(|| format!("{} more", self.more));
        said.chain(more).collect::<Vec<_>>().join(", ")
    }

    /// A file that is not there is passed over by keepalived's test, and by ours; who asks for that very file wants to know.
    pub fn notes_are_fatal(&mut self) {
        self.list.iter_mut().filter(|d| d.class == Class::Note).for_each(|d| d.class = Class::Fatal);
    }

    /// Takes over the reports of another stage.
    pub fn append(&mut self, other: Diagnostics) {
        other.list.into_iter().for_each(|d| self.add(d));
        self.more += other.more;
        self.classes.extend(other.classes);
        self.dropped.extend(other.dropped.into_iter().take(DROPPED));
        self.include_failed |= other.include_failed;
    }

    /// Reports that count.
    pub fn counted(&self) -> usize {
        self.list.iter().filter(|d| d.class > Class::Unsupported).count()
    }

    /// Exit status of a test run: 0 nothing, 2 a keyword lacks its value, 4 fatal classes only, 6 includes or script security,
    /// 5 anything else.
    pub fn exit_status(&self) -> i32 {
        if self.include_failed {
            return 6;
        }
        let all = || self.list.iter().map(|d| d.class).chain(self.classes.iter().copied());
        let classes = || all().filter(|c| *c > Class::Unsupported);
        if classes().any(|c| c == Class::MissingParameter) {
            return 2;
        }
        match classes().max() {
            None => 0,
            Some(Class::Security) => 6,
            Some(c) if c <= Class::Fatal => 4,
            Some(_) => 5,
        }
    }
}

/// The files that were read, for showing lines of them.
#[derive(Clone, Debug, Default)]
pub struct Files {
    list: Vec<(String, String)>,
    /// Where the lines of each file begin, once somebody asks: there may be as many reports as lines.
    starts: std::cell::OnceCell<Vec<Vec<usize>>>,
}

impl Files {
    /// Adds a file; returns its number.
    pub fn add(&mut self, name: String, text: String) -> FileId {
        self.starts.take();
        self.list.push((name, text));
        FileId(u16::try_from(self.list.len() - 1).unwrap_or(u16::MAX))
    }

    /// The text of a file that was added without it.
    pub(crate) fn put(&mut self, id: FileId, text: String) {
        self.starts.take();
        if let Some(f) = self.list.get_mut(usize::from(id.0)) {
            f.1 = text;
        }
    }

    /// Names and texts of all files, in order of reading.
    pub fn all(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.list.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Name of a file.
    pub fn name(&self, id: FileId) -> &str {
        self.list.get(usize::from(id.0)).map_or("?", |f| &f.0)
    }

    /// A line of a file, counted from 1, as it may be shown: passwords and keys are stars.
    pub fn line(&self, span: Span) -> String {
        let starts = self.starts.get_or_init(|| {
            let of = |text: &str| std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
            self.list.iter().map(|(_, text)| of(text)).collect()
        });
        let file = usize::from(span.file.0);
        let at = starts.get(file).and_then(|s| s.get(span.line.saturating_sub(1) as usize));
        let text = at.and_then(|at| self.list.get(file)?.1.get(*at..));
        masked(text.and_then(|t| t.lines().next()).unwrap_or(""))
    }
}

/// Stars for what follows a word of secrets.
fn masked(line: &str) -> String {
    let (mut secret, mut key) = (false, false);
    let mut shown = String::with_capacity(line.len());
    for word in line.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let place = ["file:", "credential:"].iter().any(|p| bare.starts_with(p));
        if secret && !place {
            shown.extend(word.chars().map(|c| if c.is_whitespace() { c } else { '*' }));
        } else {
            shown.push_str(word);
        }
        // `key ID VALUE`
        secret |= matches!(bare, "auth_pass" | "password") || (key && !bare.is_empty());
        key |= bare == "key";
    }
    shown
}

/// What other words of the language have people expect.
const HABITS: &[(&str, &str)] =
    &[("HTTP_CHECK", "HTTP_GET"), ("HTTPS_CHECK", "SSL_GET"), ("HTTPS_GET", "SSL_GET"), ("SSL_CHECK", "SSL_GET")];

/// The known word nearest to a misspelt one, if one is near, else the only one that a word cut short begins.
pub fn suggest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let all: Vec<&str> = candidates.collect();
    let habit = HABITS.iter().find(|(written, _)| *written == word).and_then(|(_, c)| all.iter().find(|x| *x == c));
    if habit.is_some() {
        return habit.copied();
    }
    let near = all.iter().map(|c| (distance(word, c), *c)).filter(|(d, _)| *d <= limit).min_by_key(|(d, _)| *d);
    let mut longer = all.iter().filter(|c| word.len() >= 3 && c.starts_with(word));
    near.map(|(_, c)| c).or_else(|| longer.next().copied().filter(|_| longer.next().is_none()))
}

/// Advice where another word is near.
pub fn meant<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    suggest(word, candidates).map(|s| format!("did you mean `{s}`?"))
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let get = |v: &Vec<usize>, at: usize| v.get(at).copied().unwrap_or(usize::MAX / 2);
            let mut d = (get(&row, j) + usize::from(x != y)).min(get(&row, j + 1) + 1).min(get(&next, j) + 1);
            if i > 0 && j > 0 && Some(x) == b.get(j - 1) && a.get(i - 1) == Some(y) {
                d = d.min(get(&before, j - 1) + 1);
            }
            next.push(d);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

/// Reports for people: file, line, column, the line itself, a caret.
pub fn render(diagnostics: &Diagnostics, files: &Files, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for d in diagnostics.iter() {
        let level = match d.class.severity() {
            "note" => Level::NOTE,
            "warning" => Level::WARNING,
            _ => Level::ERROR,
        };
        let title = level.primary_title(d.message.as_str());
        let rendered = match d.span {
            Some(span) => {
                // Control characters would break the picture, or the terminal.
                let line: String = files.line(span).chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                let from =
                    line.char_indices().nth(span.column.saturating_sub(1) as usize).map_or(line.len(), |(i, _)| i);
                let to = line
                    .char_indices()
                    .nth((span.column.saturating_sub(1) + span.width.max(1)) as usize)
                    .map_or(line.len(), |(i, _)| i);
                let snippet = Snippet::source(line.as_str())
                    .line_start(span.line as usize)
                    .path(files.name(span.file))
                    .annotation(AnnotationKind::Primary.span(from..to.max(from)));
                let mut group = title.element(snippet);
                if let Some(help) = &d.help {
                    group = group.element(Level::HELP.message(help.as_str()));
                }
                renderer.render(&[group])
            }
            None => {
                let mut group = annotate_snippets::Group::with_title(title);
                if let Some(help) = &d.help {
                    group = group.element(Level::HELP.message(help.as_str()));
                }
                renderer.render(&[group])
            }
        };
        text.push_str(rendered.trim_end());
        text.push('\n');
    }
    if diagnostics.more > 0 {
        let _ = writeln!(text, "and {} more", diagnostics.more);
    }
    text
}

/// Reports for a log, one line each, in keepalived's form with the column: `(FILE: Line N) column M: text`.
pub fn render_compat(diagnostics: &Diagnostics, files: &Files) -> String {
    let mut text = String::new();
    for d in diagnostics.iter() {
        if let Some(s) = d.span {
            let _ = write!(text, "({}: Line {}) column {}: ", files.name(s.file), s.line, s.column);
        }
        let help = d.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
        let _ = writeln!(text, "{}{help}", d.message);
    }
    if diagnostics.more > 0 {
        let _ = writeln!(text, "and {} more", diagnostics.more);
    }
    text
}

/// A report for tools.
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct JsonDiagnostic {
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub width: Option<u32>,
    pub class: Class,
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    pub message: String,
    pub help: Option<String>,
    pub text: Option<String>,
}

/// Reports for tools.
pub fn json(diagnostics: &Diagnostics, files: &Files) -> Vec<JsonDiagnostic> {
    diagnostics
        .iter()
        .map(|d| JsonDiagnostic {
            file: d.span.map(|s| files.name(s.file).to_string()),
            line: d.span.map(|s| s.line),
            column: d.span.map(|s| s.column),
            width: d.span.map(|s| s.width),
            class: d.class,
            severity: d.class.severity(),
            message: d.message.clone(),
            help: d.help.clone(),
            text: d.span.map(|s| files.line(s)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_however_long_a_word_is() {
        let mut all = Diagnostics::default();
        all.push(Class::UnknownKeyword, None, format!("'{}' does not exist now", "ü".repeat(1_000_000)));
        let message = &all.list[0].message;
        assert!(message.len() < 2100 && message.contains("(2000021 bytes)"), "{message}");
        assert!(message.starts_with("'ü") && message.ends_with("ü' does not exist now"));
    }

    #[test]
    fn secrets_of_a_line_are_stars_and_columns_stay() {
        for (line, shown) in [
            ("  auth_pass geheim # x", "  auth_pass ****** * *"),
            ("auth_hmac { key 1 geheim", "auth_hmac { key 1 ******"),
            ("  key 1 \"two words\"", "  key 1 **** ******"),
            ("key 1 file:/etc/k", "key 1 file:/etc/k"),
            ("key /etc/client.pem", "key /etc/client.pem"),
            ("priority 100", "priority 100"),
        ] {
            assert_eq!(masked(line), shown);
        }
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_are_not() {
        let known = ["priority", "interface", "state"];
        assert_eq!(suggest("prioritiy", known.into_iter()), Some("priority"));
        assert_eq!(suggest("pirority", known.into_iter()), Some("priority"));
        assert_eq!(suggest("banana", known.into_iter()), None);
        assert_eq!(suggest("inter", known.into_iter()), Some("interface"));
        assert_eq!(suggest("pri", ["priority", "primary"].into_iter()), None);
    }

    #[test]
    fn the_highest_class_decides() {
        let status = |classes: &[Class]| {
            let mut d = Diagnostics::default();
            classes.iter().for_each(|c| d.push(*c, None, "x"));
            d.exit_status()
        };
        assert_eq!(status(&[]), 0);
        assert_eq!(status(&[Class::Note, Class::Unsupported]), 0);
        assert_eq!(status(&[Class::Fatal]), 4);
        assert_eq!(status(&[Class::Fatal, Class::Warning]), 5);
        assert_eq!(status(&[Class::General, Class::Security]), 6);
        assert_eq!(status(&[Class::MissingParameter, Class::Security]), 2);
    }

    #[test]
    fn a_caret_points_at_the_word() {
        let mut files = Files::default();
        let file = files.add("a.conf".into(), "x\n  prioritiy 100\n".into());
        let mut d = Diagnostics::default();
        let span = Span { file, line: 2, column: 3, width: 9 };
        d.push_help(
            Class::UnknownKeyword,
            Some(span),
            "unknown keyword 'prioritiy'",
            Some("did you mean `priority`?".into()),
        );
        let text = render(&d, &files, false);
        assert!(
            text.contains("a.conf:2:3") && text.contains("^^^^^^^^^") && text.contains("did you mean `priority`?"),
            "{text}"
        );
        assert_eq!(
            render_compat(&d, &files),
            "(a.conf: Line 2) column 3: unknown keyword 'prioritiy' (did you mean `priority`?)\n"
        );
    }
}
