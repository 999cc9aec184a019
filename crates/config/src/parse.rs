//! Lines to sections: the cursor, and the readers of values.

use crate::diag::{Class, Diagnostics, Span, meant, suggest};
use crate::host::Host;
use crate::model::{Config, Place, Root};
use crate::places::{CHECK, Places, check_name};
use crate::section::Section;
use crate::source::{Line, LineKind, Word};
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;
use steadfast_core::Name;

/// Where parsing stands.
pub(crate) struct Cx<'a> {
    lines: &'a [Line],
    /// The next line.
    at: usize,
    /// The line being read.
    line: Option<&'a Line>,
    pub host: &'a dyn Host,
    /// Where iproute2's tables of names are, where the file says so: the host's and the shipped ones.
    pub tables: (Option<String>, Option<String>),
    pub diagnostics: Diagnostics,
    said: std::collections::HashSet<&'static str>,
    /// Blocks by kind and name; a search through all of them for each would take square time.
    blocks: std::collections::HashSet<(String, String)>,
    eof_said: bool,
    /// Keyword and line of each block that is open.
    open_blocks: Vec<(Name, u32)>,
    pub places: Places,
    pub patterns: crate::lvs::Patterns,
    /// Kind and name of the block being read.
    block: (String, String),
    /// Where the real server being read is, and how many checks it has so far.
    server: (Place, usize),
}

/// Words that are found in files of old, or elsewhere than they belong, and what says the same.
const OLDER: [(&str, &str); 5] = [
    ("tcp_port", "connect_port"),
    ("nb_get_retry", "retry"),
    ("timeout", "connect_timeout"),
    ("lvs_id", "router_id"),
    ("lvs_sync_daemon_interface", "lvs_sync_daemon"),
];

/// The kind of block that a word belongs into.
fn inner(word: &str) -> Option<&'static str> {
    let of = |all: crate::section::Declared| all.words().any(|k| k == word);
    [
        ("vrrp_instance", of(crate::model::VrrpInstance::KEYWORDS)),
        ("virtual_server", of(crate::model::VirtualServer::KEYWORDS)),
        ("real_server", of(crate::model::RealServer::KEYWORDS)),
        ("global_defs", of(crate::model::GlobalDefs::KEYWORDS)),
    ]
    .into_iter()
    .find_map(|(block, there)| there.then_some(block))
}

/// Parses everything.
pub(crate) fn parse(lines: &[Line], host: &dyn Host) -> (Config, Diagnostics, Places) {
    let mut c = Cx {
        lines,
        at: 0,
        line: None,
        host,
        tables: Default::default(),
        diagnostics: Diagnostics::default(),
        said: Default::default(),
        blocks: Default::default(),
        eof_said: false,
        open_blocks: Vec::new(),
        places: Places::default(),
        patterns: Default::default(),
        block: Default::default(),
        server: Default::default(),
    };
    let mut root = Root::default();
    while let Some(line) = c.lines.get(c.at) {
        c.at += 1;
        c.line = Some(line);
        match line.kind {
            LineKind::Text => {
                let Some(word) = c.keyword() else { continue };
                if !root.take(&word, &mut c) {
                    c.unknown(&word, Root::KEYWORDS.words());
                }
            }
            LineKind::Open => {
                let of_keyword = c.follows() == Some(LineKind::Text);
                c.unexpected(line.span, of_keyword);
            }
            LineKind::Close => c.diagnostics.push(Class::UnexpectedCloseBrace, Some(line.span), "unexpected '}'"),
        }
    }
    (root.into_config(), c.diagnostics, c.places)
}

impl<'a> Cx<'a> {
    /// A number in one of iproute2's tables of names.
    pub fn table(&self, table: &str, name: &str) -> Option<u32> {
        let own = |dir: &Option<String>, others: &[&str]| {
            dir.as_ref().map_or_else(|| others.iter().map(|d| d.to_string()).collect::<Vec<_>>(), |d| vec![d.clone()])
        };
        let mut places = own(&self.tables.0, &["/etc/iproute2"]);
        places.extend(own(&self.tables.1, &["/usr/share/iproute2", "/usr/lib/iproute2"]));
        self.host.table(&places, table, name)
    }

    /// First word of the current line.
    pub fn keyword(&self) -> Option<Name> {
        self.line.and_then(|l| l.words.first()).map(|w| w.text.clone())
    }

    /// A word of the current line; 0 is the keyword.
    pub fn word(&self, n: usize) -> Option<&'a Word> {
        self.line.and_then(|l| l.words.get(n))
    }

    /// All words of the current line.
    pub fn words(&self) -> &'a [Word] {
        self.line.map_or(&[], |l| &l.words)
    }

    /// The current line without its keyword.
    pub fn rest_of_line(&self) -> String {
        let Some(line) = self.line else { return String::new() };
        let keyword = line.words.first().map_or(0, |w| w.text.len());
        line.raw().get(keyword..).unwrap_or("").trim().to_string()
    }

    /// Place of the current keyword.
    pub fn place(&self) -> Option<Span> {
        self.line.map(|l| l.words.first().map_or(l.span, |w| w.span))
    }

    /// A report at the current keyword.
    pub fn report(&mut self, class: Class, text: impl Into<String>) {
        let at = self.place();
        self.diagnostics.push(class, at, text);
    }

    /// A report at a word.
    pub fn report_at(&mut self, class: Class, word: &Word, text: impl Into<String>) {
        self.diagnostics.push(class, Some(word.span), text);
    }

    /// Says that the keyword of this line was given before, and that what is written last counts.
    pub fn given_again(&mut self) {
        let text = format!("{}given already, this one counts", self.named());
        self.report(Class::General, text);
    }

    /// The same, with advice where the word is near one of those that are known.
    pub fn report_near<'k>(&mut self, word: &Word, text: impl Into<String>, known: impl Iterator<Item = &'k str>) {
        let help = meant(&word.text, known);
        self.diagnostics.push_help(Class::General, Some(word.span), text, help);
    }

    /// A report on a link that is absent.
    pub fn absent_link(&mut self, class: Class, word: &Word) {
        let help = meant(&word.text, self.host.links().iter().map(String::as_str));
        let text = format!("interface '{}' does not exist now", word.text);
        self.diagnostics.push_help(class, Some(word.span), text, help);
    }

    /// Says once for each keyword that it has no effect yet.
    pub fn unsupported(&mut self, word: &'static str) {
        if self.said.insert(word) {
            self.report(
                Class::Unsupported,
                format!("'{word}' is known to keepalived, but not supported yet: it has no effect"),
            );
        }
    }

    /// Reports an unknown keyword and passes over its block, if it has one.
    pub fn unknown<'k>(&mut self, word: &str, known: impl Iterator<Item = &'k str>) {
        if self.diagnostics.is_full() {
            // Of a text that is no configuration there may be very many, and nobody reads advice on them.
            self.report(Class::UnknownKeyword, format!("unknown keyword '{word}'"));
            return self.skip_block();
        }
        let roots = || Root::KEYWORDS.words();
        let outer = self.open_blocks.len().saturating_sub(1);
        let of_outer = self.open_blocks.iter().take(outer).any(|(block, _)| {
            let keywords = match block.as_str() {
                "vrrp_instance" => crate::model::VrrpInstance::KEYWORDS,
                "virtual_server" => crate::model::VirtualServer::KEYWORDS,
                "real_server" => crate::model::RealServer::KEYWORDS,
                _ => return false,
            };
            keywords.words().any(|k| k == word)
        });
        let help = if of_outer {
            let (block, line) = self.open_blocks.last().cloned().unwrap_or_default();
            Some(format!("it belongs to the block around: is the `}}` of `{block}` (line {line}) missing?"))
        } else if self.open_blocks.is_empty() && roots().all(|k| k != word) && inner(word).is_some() {
            let block = inner(word).unwrap_or_default();
            Some(format!("it belongs into a {block} block: is a `{{` missing above, or a `}}` too many?"))
        } else if !self.open_blocks.is_empty() && roots().any(|k| k == word) {
            Some(if self.open_quietly() {
                format!("`{word}` is no part of another block: is a `}}` missing above?")
            } else {
                format!("`{word}` stands outside of blocks")
            })
        } else {
            let known: Vec<&str> = known.collect();
            let near = suggest(word, known.iter().copied());
            let once = || OLDER.iter().find(|(older, now)| *older == word && known.contains(now)).map(|(_, now)| *now);
            near.or_else(once).map(|s| format!("did you mean `{s}`?"))
        };
        let at = self.place();
        self.diagnostics.push_help(Class::UnknownKeyword, at, format!("unknown keyword '{word}'"), help);
        self.skip_block();
    }

    /// The block that must follow the current line begins; false (and a report) when there is none.
    pub fn open(&mut self) -> bool {
        if self.lines.get(self.at).is_some_and(|l| l.kind == LineKind::Open) {
            self.at += 1;
            let line = self.place().map_or(0, |p| p.line);
            self.open_blocks.push((self.keyword().unwrap_or_default(), line));
            return true;
        }
        let word = self.keyword().unwrap_or_default();
        self.report(Class::MissingOpenBrace, format!("'{word}' needs a block in braces"));
        false
    }

    /// A block follows; nothing is said when none does.
    pub fn open_quietly(&self) -> bool {
        self.lines.get(self.at).is_some_and(|l| l.kind == LineKind::Open)
    }

    /// Passes over the block that begins here; the end of the file inside it is said.
    pub fn skip_open_block(&mut self) {
        self.at += 1;
        let mut depth = 1usize;
        while let Some(line) = self.lines.get(self.at) {
            self.at += 1;
            match line.kind {
                LineKind::Open => depth += 1,
                LineKind::Close => depth -= 1,
                LineKind::Text => {}
            }
            if depth == 0 {
                return;
            }
        }
        self.file_ends();
    }

    /// Says once that the file ends inside a block, and which block that is.
    fn file_ends(&mut self) {
        if !std::mem::replace(&mut self.eof_said, true) {
            let end = self.lines.last().map(|l| l.span);
            let help = self
                .open_blocks
                .last()
                .map(|(word, line)| format!("`{word}` of line {line} is the block that is open"));
            let text = "the file ends inside a block: '}' is missing";
            self.diagnostics.push_help(Class::MissingCloseBrace, end, text, help);
        }
    }

    /// The next text line of the open block; false at its end.
    pub fn next(&mut self) -> bool {
        loop {
            let Some(line) = self.lines.get(self.at) else {
                self.file_ends();
                return false;
            };
            self.at += 1;
            match line.kind {
                LineKind::Text => {
                    self.line = Some(line);
                    return true;
                }
                LineKind::Close => {
                    self.open_blocks.pop();
                    return false;
                }
                LineKind::Open => {
                    let doubled = self.follows() == Some(LineKind::Open);
                    self.unexpected(line.span, !doubled);
                }
            }
        }
    }

    /// What the line before the current one is.
    fn follows(&self) -> Option<LineKind> {
        self.at.checked_sub(2).and_then(|before| self.lines.get(before)).map(|l| l.kind)
    }

    /// Reports the brace of the current line. One that is there twice, or with nothing before it, is ignored, as keepalived does:
    /// what follows it is meant for the block that is open. The block of a keyword that has none is passed over whole.
    fn unexpected(&mut self, span: Span, has_block: bool) {
        let (text, help) = match has_block {
            true => ("unexpected '{'", None),
            false => ("unexpected '{', ignoring it", Some("each `{` wants a `}` of its own".to_string())),
        };
        self.diagnostics.push_help(Class::UnexpectedOpenBrace, Some(span), text, help);
        if has_block {
            self.at -= 1;
            self.skip_block();
        }
    }

    /// Passes over a block with all that is in it, if one begins here.
    pub fn skip_block(&mut self) {
        if self.open_quietly() {
            self.skip_open_block();
        }
    }

    /// The value of the current keyword; a missing one is the error that keepalived stops at, but for some keywords.
    pub fn value(&mut self) -> Option<&'a Word> {
        let word = self.word(1);
        if word.is_none() {
            let keyword = self.keyword().unwrap_or_default();
            let block = self.open_blocks.last().map_or("", |(block, _)| block.as_str());
            let class = crate::valueless::class(block, &keyword);
            self.report(class, format!("'{keyword}' needs a value"));
        }
        word
    }

    /// A whole decimal number.
    pub fn int<T: TryFrom<i64>>(&mut self, v: &mut T, low: i64, high: i64) {
        if let Some(n) = self.value().and_then(|w| self.number(w, low, high)).and_then(|n| T::try_from(n).ok()) {
            *v = n;
        }
    }

    /// The same, into an option.
    pub fn some_int<T: TryFrom<i64>>(&mut self, v: &mut Option<T>, low: i64, high: i64) {
        if let Some(n) = self.value().and_then(|w| self.number(w, low, high)).and_then(|n| T::try_from(n).ok()) {
            *v = Some(n);
        }
    }

    /// The keyword of the line before a report on its value: a log has no caret.
    pub fn named(&self) -> String {
        self.keyword().map(|k| format!("{k}: ")).unwrap_or_default()
    }

    /// Reads a number of a range from a word.
    pub fn number(&mut self, w: &Word, low: i64, high: i64) -> Option<i64> {
        let digits = w.text.strip_prefix(['+', '-']).unwrap_or(&w.text);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match w.text.parse::<i64>() {
            Ok(n) if plain && (low..=high).contains(&n) => Some(n),
            Ok(n) if plain => {
                self.report_at(Class::InvalidNumber, w, format!("{}{n} is not between {low} and {high}", self.named()));
                None
            }
            _ => {
                self.report_at(Class::InvalidNumber, w, format!("{}'{}' is not a whole number", self.named(), w.text));
                None
            }
        }
    }

    /// A number that is at least `least`; less counts as `least` and is reported.
    pub fn at_least<T: TryFrom<i64>>(&mut self, v: &mut Option<T>, least: i64) {
        self.raised(v, least, i64::from(u32::MAX));
    }

    /// The same, with a greatest number beyond which nothing is taken.
    pub fn raised<T: TryFrom<i64>>(&mut self, v: &mut Option<T>, least: i64, most: i64) {
        let Some(w) = self.value() else { return };
        let Some(n) = self.number(w, 0, most) else { return };
        if n < least {
            self.report_at(Class::General, w, format!("{}{n} is too small, using {least}", self.named()));
        }
        *v = T::try_from(n.max(least)).ok();
    }

    /// Seconds with up to six decimals.
    pub fn seconds(&mut self, v: &mut Option<Duration>, low: f64, high: f64) {
        let Some(w) = self.value() else { return };
        if let Some(d) = self.duration(w, low, high) {
            *v = Some(d);
        }
    }

    /// Reads seconds from a word.
    pub fn duration(&mut self, w: &Word, low: f64, high: f64) -> Option<Duration> {
        let text = w.text.strip_prefix('+').unwrap_or(&w.text);
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || (whole.is_empty() && decimals.is_empty()) || decimals.len() > 6 {
            self.report_at(
                Class::InvalidNumber,
                w,
                format!("{}'{}' is not a number of seconds with at most 6 decimals", self.named(), w.text),
            );
            return None;
        }
        let seconds: f64 = text.parse().unwrap_or(f64::MAX);
        if seconds < low || seconds > high {
            let text = format!("{}{text} is not between {low} and {high} seconds", self.named());
            self.report_at(Class::InvalidNumber, w, text);
            return None;
        }
        let micros = format!("{decimals:0<6}").parse::<u64>().unwrap_or(0);
        Some(Duration::from_micros(whole.parse::<u64>().unwrap_or(0).saturating_mul(1_000_000).saturating_add(micros)))
    }

    /// Sets a flag.
    pub fn flag(&mut self, v: &mut bool) {
        *v = true;
    }

    /// A truth value; without one it is true.
    pub fn boolean(&mut self, v: &mut Option<bool>) {
        match self.word(1).map(|w| w.text.as_str()) {
            None | Some("true" | "on" | "yes") => *v = Some(true),
            Some("false" | "off" | "no") => *v = Some(false),
            Some(other) => {
                let text = format!("'{other}' is neither true nor false");
                self.report(Class::General, text);
            }
        }
    }

    /// Text.
    pub fn text(&mut self, v: &mut Option<String>) {
        if let Some(w) = self.value() {
            *v = Some(w.text.to_string());
        }
    }

    /// Text that may be left out.
    pub fn optional_text(&mut self, v: &mut Option<String>) {
        *v = Some(self.word(1).map(|w| w.text.to_string()).unwrap_or_default());
    }

    /// An address.
    pub fn address(&mut self, v: &mut Option<IpAddr>) {
        let Some(w) = self.value() else { return };
        // A prefix length is passed over.
        match IpAddr::from_str(w.text.split('/').next().unwrap_or(&w.text)) {
            Ok(a) => *v = Some(a),
            Err(_) => self.report_at(Class::General, w, format!("'{}' is not an IP address", w.text)),
        }
    }

    /// The name of a block; `None`, a report, and the block passed over when it is missing, doubled or known already.
    pub fn block_name(&mut self) -> Option<String> {
        let keyword = self.keyword().unwrap_or_default();
        match self.words() {
            [_, name] => {
                let kind = keyword.strip_prefix("vrrp_track_file").map_or(keyword.clone(), |_| "track_file".into());
                self.block = (kind.to_string(), name.text.to_string());
                if self.blocks.contains(&self.block) {
                    // Of groups of addresses keepalived takes the first one, too, and says nothing.
                    let silent = kind == "virtual_server_group";
                    self.report(
                        if silent { Class::Note } else { Class::General },
                        format!("{keyword} '{}' is defined already, ignoring this one", name.text),
                    );
                    self.skip_block();
                    return None;
                }
                self.blocks.insert(self.block.clone());
                self.places.put(&kind, &name.text, "", Some(name.span));
                Some(name.text.to_string())
            }
            [_] => {
                // keepalived reads on after some, and ends at others.
                let skipped = ["vrrp_instance", "vrrp_sync_group", "track_group", "bfd_instance"];
                let class = if skipped.contains(&keyword.as_str()) { Class::General } else { Class::MissingParameter };
                self.report(class, format!("{keyword} needs a name, ignoring the block"));
                self.skip_block();
                None
            }
            _ => {
                self.report(Class::General, format!("{keyword} takes one name, ignoring the block"));
                self.skip_block();
                None
            }
        }
    }

    /// Whether a block of this kind and name has begun by now.
    pub fn is_defined(&self, kind: &str, name: &str) -> bool {
        self.blocks.contains(&(kind.to_string(), name.to_string()))
    }

    /// Names of the blocks of a kind so far.
    pub fn defined(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter(move |(k, _)| k == kind).map(|(_, name)| name.as_str())
    }

    /// Milliseconds with up to three decimals, as microseconds.
    pub fn milliseconds(&mut self, v: &mut u32, low: u32, high: u32) {
        let Some(w) = self.value() else { return };
        let text = w.text.strip_prefix('+').unwrap_or(&w.text);
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(decimals) || (whole.is_empty() && decimals.is_empty()) || decimals.len() > 3 {
            let text = format!("{}'{}' is not a number of milliseconds with at most 3 decimals", self.named(), w.text);
            return self.report_at(Class::InvalidNumber, w, text);
        }
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().unwrap_or(u64::MAX) };
        let micros = whole.saturating_mul(1000).saturating_add(format!("{decimals:0<3}").parse().unwrap_or(0));
        match u32::try_from(micros).ok().filter(|m| (low * 1000..=high * 1000).contains(m)) {
            Some(m) => *v = m,
            None => {
                let text = format!("{}{} is not between {low} and {high} milliseconds", self.named(), w.text);
                self.report_at(Class::InvalidNumber, w, text);
            }
        }
    }

    /// Notes where the current keyword, or its value, is.
    pub fn mark(&mut self, kind: &str, word: &str) {
        if kind == "global_defs" {
            self.block = (kind.into(), String::new());
        }
        let at = self.word(1).map(|w| w.span).or_else(|| self.place());
        self.places.put(&self.block.0, &self.block.1, word, at);
    }

    /// The block being read has no name in the file.
    pub fn name_block(&mut self, kind: &str, name: &str) {
        self.block = (kind.into(), name.into());
    }

    /// A real server begins.
    pub fn begin_server(&mut self, place: Place) {
        self.server = (place, 0);
    }

    /// A check of it begins: places of keywords are its own until it ends. Returns the block around it.
    pub fn begin_check(&mut self) -> (String, String) {
        let (place, n) = self.server;
        self.server.1 += 1;
        std::mem::replace(&mut self.block, (CHECK.into(), check_name(place, n)))
    }

    /// It ends.
    pub fn end_check(&mut self, outer: (String, String)) {
        self.block = outer;
    }

    /// The check that was read last counts for nothing.
    pub fn drop_check(&mut self) {
        self.server.1 = self.server.1.saturating_sub(1);
    }

    /// A name that the block being read has as a member.
    pub fn link_of_block(&mut self, v: &mut Vec<String>) {
        let Some(w) = self.value() else { return };
        self.places.put_member(&self.block.0, &self.block.1, &w.text, w.span);
        v.push(w.text.to_string());
    }

    /// Where this keyword was in the block being read.
    pub fn marked(&self, word: &str) -> Option<Span> {
        self.places.of(&self.block.0, &self.block.1, word)
    }

    /// Lines of words until the block ends.
    pub fn list(&mut self, mut each: impl FnMut(&mut Self)) {
        if self.open() {
            while self.next() {
                each(self);
            }
        }
    }

    /// Every word of a block's lines.
    pub fn names(&mut self, v: &mut Vec<String>) {
        let (kind, name) = self.block.clone();
        self.list(|c| {
            for w in c.words() {
                c.places.put_member(&kind, &name, &w.text, w.span);
                v.push(w.text.to_string());
            }
        });
    }
}
