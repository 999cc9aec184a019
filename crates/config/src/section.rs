//! Keywords declared once.

use crate::diag::Class;
use crate::parse::Cx;
use crate::source::Word;

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

impl Keyword {
    /// How many words may follow it; `None` where that is open.
    fn most_words(&self) -> Option<usize> {
        let open = ["...", "{", "COMMAND", "SCRIPT", "as "].iter().any(|word| self.syntax.contains(word));
        match self.syntax {
            _ if open => None,
            "-" | "" => Some(0),
            syntax => Some(syntax.split_whitespace().count()),
        }
    }
}

/// Notes words that follow what a keyword takes: keepalived passes them over in silence, too, and who wrote them meant something.
pub(crate) fn surplus(words: &[Word], keywords: &[Keyword], c: &mut Cx<'_>) {
    let Some((first, rest)) = words.split_first() else { return };
    let known = |w: &Word| keywords.iter().find(|k| k.word == w.text);
    let Some(most) = known(first).and_then(Keyword::most_words) else { return };
    let Some(extra) = rest.get(most) else { return };
    let takes = match most {
        0 => "no value".to_string(),
        1 => "one value".into(),
        n => format!("at most {n} values"),
    };
    let help = known(extra).filter(|_| !extra.quoted).map(|k| format!("`{}` begins a line of its own", k.word));
    let text = format!("'{}' is not read: {} takes {takes}", extra.text, first.text);
    c.diagnostics.push_help(Class::Note, Some(extra.span), text, help);
}

/// A block of keywords.
pub(crate) trait Section: Default {
    /// Its keywords.
    const KEYWORDS: &'static [Keyword];
    /// Takes the current line; false when its first word is no keyword here.
    fn take(&mut self, word: &str, c: &mut Cx<'_>) -> bool;
}

/// Reads the block of a section.
pub(crate) fn block<S: Section>(section: &mut S, c: &mut Cx<'_>) {
    if !c.open() {
        return;
    }
    while c.next() {
        let Some(word) = c.keyword() else { continue };
        c.mark(S::KEYWORDS.first().map_or("", |k| k.section), &word);
        let words = c.words();
        if section.take(&word, c) {
            surplus(words, S::KEYWORDS, c);
            continue;
        }
        c.unknown(&word, S::KEYWORDS.iter().map(|k| k.word));
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
            const KEYWORDS: &'static [crate::section::Keyword] = &[
                $( crate::section::Keyword {
                    section: $path, word: $word, field: stringify!($field), syntax: $syntax, range: $range, default: $shown,
                    doc: concat!($($doc),*), supported: section!(@ $support),
                }, )*
                $( crate::section::Keyword {
                    section: $path, word: $aword, field: "", syntax: $asyntax, range: $arange, default: $ashown,
                    doc: concat!($($adoc),*), supported: section!(@ $asupport),
                }, )*
            ];

            #[allow(clippy::redundant_closure_call, unused_variables)]
            fn take(&mut self, word: &str, c: &mut crate::parse::Cx<'_>) -> bool {
                match word {
                    $( $word => {
                        if !section!(@ $support) { c.unsupported($word); }
                        let read: fn(&mut crate::parse::Cx<'_>, &mut $ty) = $read;
                        read(c, &mut self.$field);
                    } )*
                    $( $aword => {
                        if !section!(@ $asupport) { c.unsupported($aword); }
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
