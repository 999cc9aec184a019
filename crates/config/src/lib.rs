//! The configuration language of keepalived.
//!
//! Two stages. The source stage (`source`) turns files into lines of words; the keyword tables (`model`) turn those into typed
//! sections. Every keyword is declared once; parser, default, range, reference row and error text come from that declaration.
//! All faults of a file are reported in one pass, each with its place.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod bfd;
mod check;
mod check_links;
mod check_lvs;
mod commands;
pub mod diag;
mod fixed;
pub mod host;
mod keys;
mod lines;
mod lvs;
pub mod model;
mod parse;
mod places;
mod section;
pub mod source;
mod symlinks;
mod undefined;
mod valueless;
mod vmac;

pub use host::{Host, SystemHost};
pub use model::Config;
pub use section::Keyword;

use diag::{Class, Diagnostics, Files};
use std::path::Path;

/// What came of reading a configuration.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The configuration. Usable also when there are reports: what is bad was left out.
    pub config: Config,
    /// Reports.
    pub diagnostics: Diagnostics,
    /// Files read.
    pub files: Files,
    /// The main file could not be read.
    pub unreadable: bool,
}

impl Outcome {
    /// Notes what is wrong with the files of `SSL`, which who speaks TLS has looked at: word and reason. keepalived says it at the start
    /// alone, and goes on.
    pub fn note_ssl(&mut self, look: impl Fn(&model::Ssl) -> Vec<(&'static str, String)>) {
        let Some(ssl) = &self.config.ssl else { return };
        for (word, why) in look(ssl) {
            let place = ["ca", "certificate", "key"].iter().zip(ssl.places).find(|(w, _)| **w == word);
            let (at, text) = (place.and_then(|(_, p)| p.span()), format!("SSL: {why}: checks that need it will fail"));
            self.diagnostics.push(Class::Note, at, text);
        }
    }
}

/// Reads, parses and checks a configuration.
pub fn load(path: &Path, reader: &dyn source::Reader, options: &source::Options, host: &dyn Host) -> Outcome {
    let source = source::load(path, reader, options);
    understand(source, host)
}

/// The same, and what was read as one text: includes are followed, variables and conditions are done with. Read again it gives the
/// same configuration.
pub fn load_consolidated(
    path: &Path,
    reader: &dyn source::Reader,
    options: &source::Options,
    host: &dyn Host,
) -> (Outcome, String) {
    let source = source::load(path, reader, options);
    let text = source::text(&source.lines);
    (understand(source, host), text)
}

fn understand(source: source::Source, host: &dyn Host) -> Outcome {
    let (mut config, mut diagnostics, places) = parse::parse(&source.lines, host);
    check::check(&mut config, host, &places, &mut diagnostics);
    let mut all = source.diagnostics;
    all.append(diagnostics);
    undefined::note(&source.lines, &source.defined, &mut all);
    Outcome { config, diagnostics: all, files: source.files, unreadable: source.unreadable }
}

/// The same of a text in memory, for tests.
pub fn load_text(text: impl AsRef<[u8]>, options: &source::Options, host: &dyn Host) -> Outcome {
    load(Path::new("main"), &source::FakeReader(text.as_ref()), options, host)
}

/// Exit status that the daemon ends with when it cannot run with what was read: 6 unreadable files, 2 a missing value or an
/// instance without what it needs; `None` when it can run.
pub fn run_failure(outcome: &Outcome) -> Option<i32> {
    if outcome.unreadable || outcome.diagnostics.include_failed {
        return Some(6);
    }
    let broken = outcome.diagnostics.has(Class::MissingParameter) || outcome.config.refused;
    broken.then_some(2)
}

/// Every declared keyword.
pub fn keywords() -> impl Iterator<Item = Keyword> {
    model::keywords().chain(lines::keywords()).chain(lvs::keywords())
}
