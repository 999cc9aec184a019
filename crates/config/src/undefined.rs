//! Definitions that the file names and that there are none of: the source stage leaves `$NAME` standing, as keepalived does, and what
//! is wrong shows later, if at all (an instance waits for an interface `${IF}` for ever).

use crate::diag::{Class, Diagnostics};
use crate::source::{Line, LineKind, Word};
use std::collections::{HashMap, HashSet};

/// What a word names.
struct Named<'a> {
    name: &'a str,
    /// All behind the dollar sign is the name.
    whole: bool,
}

impl Named<'_> {
    fn advice(&self, defined: &HashSet<String>) -> String {
        let name = self.name;
        if self.whole && !defined.contains(name) {
            return format!("`{name}` is not defined here: `${name}=VALUE` on a line above defines it");
        }
        format!(
            "`${name}` is replaced before a blank, a comma, a bracket and at the end of a line: write `${{{name}}}`"
        )
    }
}

fn named(text: &str) -> Option<Named<'_>> {
    let is_plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let after = text.split_once('$')?.1;
    let inner = after.strip_prefix('{').and_then(|inner| inner.split_once('}')).map(|(name, _)| name);
    if let Some(name) = inner.or(Some(after)).filter(|name| is_plain(name)) {
        return Some(Named { name, whole: true });
    }
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let name = after.get(..end).filter(|name| is_plain(name))?;
    Some(Named { name, whole: false })
}

/// A dollar sign means something else there.
fn is_foreign(keyword: &str) -> bool {
    keyword.starts_with("notify")
        || keyword.ends_with("fifo_script")
        || matches!(
            keyword,
            "script" | "startup_script" | "shutdown_script" | "misc_path" | "quorum_up" | "quorum_down" | "regex"
        )
}

/// Advice for the reports at words that name one, and a note at each word that nothing else is said of.
pub(crate) fn note(lines: &[Line], defined: &HashSet<String>, all: &mut Diagnostics) {
    let of = |line: &'_ Line| line.words.first().map(|w| w.text.clone()).unwrap_or_default();
    let mut found: HashMap<_, (&Word, Option<String>)> = HashMap::new();
    for line in lines.iter().filter(|l| l.kind == LineKind::Text) {
        let keyword = of(line);
        // Of a secret nothing is shown, and it may have a dollar sign in it.
        let secret = matches!(keyword.as_str(), "auth_pass" | "password" | "key");
        for w in line.words.iter().filter(|_| !is_foreign(&keyword)) {
            // A quote is the way to say that a dollar sign is meant, unless there is a definition of that name.
            let Some(named) = named(&w.text).filter(|n| !w.quoted || defined.contains(n.name)) else { continue };
            if !secret {
                found.insert(w.span, (w, Some(named.advice(defined))));
            } else if named.whole && w.text.starts_with('$') {
                found.insert(w.span, (w, None));
            }
        }
    }
    if found.is_empty() {
        return;
    }
    for d in all.iter_mut() {
        let Some((_, help)) = d.span.and_then(|span| found.remove(&span)) else { continue };
        if d.help.is_none() {
            d.help = help;
        }
    }
    let mut rest: Vec<_> = found.into_values().collect();
    rest.sort_by_key(|(w, _)| w.span);
    for (w, help) in rest {
        let text = match &help {
            Some(_) => format!("'{}' stands as it is", w.text),
            // Nothing of it is shown.
            None if w.quoted => {
                "a definition has this name, and is not put in before a quote: it is taken as the secret itself".into()
            }
            None => "a definition of this name is missing: it is taken as the secret itself".into(),
        };
        all.push_help(Class::Note, Some(w.span), text, help);
    }
}
