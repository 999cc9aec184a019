//! Keywords declared once.

use crate::diag::Class;
use crate::parse::Cx;

/// A keyword as the reference shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Keyword {
    /// Path of its section, as in "vrrp_instance > authentication".
    pub section: &'static str,
    /// The word.
    pub word: &'static str,
    /// Field of the section's structure that it sets; empty where it is none of that name.
    pub field: &'static str,
    /// What follows it.
    pub syntax: &'static str,
    /// What is allowed.
    pub range: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// It has its effect; otherwise it is known, kept, and said to be not supported yet.
    pub supported: bool,
}

/// Notes a word behind what the keyword of the line takes: keepalived passes it over in silence, too, and who wrote it meant something.
pub(crate) fn surplus(c: &mut Cx<'_>, syntax: &str, keywords: Declared) {
    let [first, rest @ ..] = c.words() else { return };
    // How many those are is open in some.
    if rest.is_empty() || ["...", "{", "COMMAND", "SCRIPT", "as "].iter().any(|word| syntax.contains(word)) {
        return;
    }
    let most = if syntax == "-" { 0 } else { syntax.split_whitespace().count() };
    let Some(extra) = rest.get(most) else { return };
    let takes = match most {
        0 => "no value".to_string(),
        1 => "one value".into(),
        n => format!("at most {n} values"),
    };
    let another = keywords.words().find(|word| !extra.quoted && *word == extra.text);
    let help = another.map(|word| format!("`{word}` begins a line of its own"));
    let secret = matches!(first.text.as_str(), "auth_pass" | "password" | "key");
    let what = if secret { "what follows".to_string() } else { format!("'{}'", extra.text) };
    let text = format!("{what} is not read: {} takes {takes}", first.text);
    c.diagnostics.push_help(Class::Note, Some(extra.span), text, help);
}

/// Keywords of a section, as one text: a table of them would consist of addresses, which are written anew in every process when it
/// starts and are memory of its own from then on, though only a reading ever looks at them.
#[derive(Clone, Copy)]
pub(crate) struct Declared {
    /// Path of the section.
    pub section: &'static str,
    /// A row for each keyword, ended by a record separator; its parts, in the order of [`Keyword`], are ended by unit separators.
    pub rows: &'static str,
}

impl Declared {
    /// The words alone.
    pub(crate) fn words(self) -> impl Iterator<Item = &'static str> {
        self.into_iter().map(|k| k.word)
    }
}

impl IntoIterator for Declared {
    type Item = Keyword;
    type IntoIter = Rows;

    fn into_iter(self) -> Rows {
        Rows { section: self.section, rows: self.rows.split_terminator('\u{1e}') }
    }
}

/// The rows of a section.
pub(crate) struct Rows {
    section: &'static str,
    rows: std::str::SplitTerminator<'static, char>,
}

impl Iterator for Rows {
    type Item = Keyword;

    fn next(&mut self) -> Option<Keyword> {
        let mut parts = self.rows.next()?.split_terminator('\u{1f}');
        let mut part = || parts.next().unwrap_or_default();
        Some(Keyword {
            section: self.section,
            word: part(),
            field: part(),
            syntax: part(),
            range: part(),
            default: part(),
            doc: part(),
            supported: part() == "true",
        })
    }
}

/// A row of [`Declared`].
macro_rules! row {
    ($word:literal, $field:expr, $syntax:literal, $range:literal, $shown:literal, $doc:expr, $supported:expr) => {
        concat!(
            $word,
            "\u{1f}",
            $field,
            "\u{1f}",
            $syntax,
            "\u{1f}",
            $range,
            "\u{1f}",
            $shown,
            "\u{1f}",
            $doc,
            "\u{1f}",
            $supported,
            "\u{1f}\u{1e}"
        )
    };
}
pub(crate) use row;

/// A block of keywords.
pub(crate) trait Section: Default {
    /// Its keywords.
    const KEYWORDS: Declared;
    /// Takes the current line; false when its first word is no keyword here.
    fn take(&mut self, word: &str, c: &mut Cx<'_>) -> bool;
}

/// Reads the block of a section.
pub(crate) fn block<S: Section>(section: &mut S, c: &mut Cx<'_>) {
    if !c.open() {
        return;
    }
    let check = S::KEYWORDS.section.strip_prefix("real_server > ").is_some_and(|rest| !rest.contains('>'));
    let outer = check.then(|| c.begin_check());
    while c.next() {
        let Some(word) = c.keyword() else { continue };
        c.mark(S::KEYWORDS.section, &word);
        if section.take(&word, c) {
            continue;
        }
        c.unknown(&word, S::KEYWORDS.words());
    }
    if let Some(outer) = outer {
        c.end_check(outer);
    }
}

/// Declares a section. Each line is one keyword: support (`live` or `later`), word, syntax, range, default; then the field that
/// it sets, with its type and initial value, and the function that reads it; or, after `also`, a function alone.
macro_rules! section {
    (
        $(#[doc = $sdoc:literal])* $name:ident, $path:literal {
            $( $(#[doc = $doc:literal])* $support:ident $word:literal $syntax:literal $range:literal $shown:literal
               => $field:ident : $ty:ty = $initial:expr, $read:expr; )*
        }
        also {
            $( $(#[doc = $adoc:literal])* $asupport:ident $aword:literal $asyntax:literal $arange:literal $ashown:literal
               => $aread:expr; )*
        }
        plain {
            $( $(#[doc = $pdoc:literal])* $pfield:ident : $pty:ty; )*
        }
    ) => {
        $(#[doc = $sdoc])*
        #[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $ty, )*
            $( $(#[doc = $pdoc])* pub $pfield: $pty, )*
        }

        impl Default for $name {
            fn default() -> Self {
                $name { $( $field: $initial, )* $( $pfield: Default::default(), )* }
            }
        }

        impl crate::section::Section for $name {
            const KEYWORDS: crate::section::Declared = crate::section::Declared {
                section: $path,
                rows: concat!(
                    $( crate::section::row!($word, stringify!($field), $syntax, $range, $shown, concat!($($doc),*), section!(@ $support)), )*
                    $( crate::section::row!($aword, "", $asyntax, $arange, $ashown, concat!($($adoc),*), section!(@ $asupport)), )*
                ),
            };

            #[allow(clippy::redundant_closure_call, unused_variables)]
            fn take(&mut self, word: &str, c: &mut crate::parse::Cx<'_>) -> bool {
                match word {
                    $( $word => {
                        if !section!(@ $support) { c.unsupported($word); }
                        crate::section::surplus(c, $syntax, Self::KEYWORDS);
                        let read: fn(&mut crate::parse::Cx<'_>, &mut $ty) = $read;
                        read(c, &mut self.$field);
                    } )*
                    $( $aword => {
                        if !section!(@ $asupport) { c.unsupported($aword); }
                        crate::section::surplus(c, $asyntax, Self::KEYWORDS);
                        let read: fn(&mut crate::parse::Cx<'_>, &mut $name) = $aread;
                        read(c, self);
                    } )*
                    _ => return false,
                }
                true
            }
        }
    };
    (@ live) => { true };
    (@ later) => { false };
}
pub(crate) use section;
