//! steadfast: the operator's command.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use steadfast_config::diag::{json, render};
use steadfast_config::source::{FsReader, Options};
use steadfast_config::{SystemHost, keywords, load};

#[derive(Parser)]
#[command(version, about = "Looks at configurations for steadfastd")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a configuration; exit status as with steadfastd -t
    Check {
        /// The file
        file: PathBuf,
        /// Reports for tools
        #[arg(long)]
        json: bool,
        /// Id of @ID lines; the host name up to its first dot without it
        #[arg(long, short = 'i')]
        config_id: Option<String>,
    },
    /// List the keywords of the language
    Keywords {
        /// Separated by tabs: section, keyword, syntax, range, default, supported, meaning
        #[arg(long)]
        tsv: bool,
    },
}

fn main() {
    std::process::exit(match Cli::parse().command {
        Command::Check { file, json, config_id } => check(&file, json, config_id),
        Command::Keywords { tsv } => list(tsv),
    });
}

fn check(file: &std::path::Path, as_json: bool, config_id: Option<String>) -> i32 {
    let config_id = config_id.unwrap_or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().split('.').next().unwrap_or("").to_string()
    });
    let outcome = load(file, &FsReader, &Options { config_id, ..Default::default() }, &SystemHost);
    let mut out = std::io::stdout().lock();
    // A reader that closes the pipe early is no error.
    if as_json {
        let text = serde_json::to_string_pretty(&json(&outcome.diagnostics, &outcome.files)).unwrap_or_default();
        let _ = writeln!(out, "{text}");
    } else {
        let _ = write!(out, "{}", render(&outcome.diagnostics, &outcome.files, std::io::stdout().is_terminal()));
    }
    if outcome.unreadable { 6 } else { outcome.diagnostics.exit_status() }
}

fn list(tsv: bool) -> i32 {
    let mut out = std::io::stdout().lock();
    for k in keywords() {
        let supported = if k.supported { "yes" } else { "not yet" };
        let doc = k.doc.trim();
        let written = if tsv {
            writeln!(out, "{}\t{}\t{}\t{}\t{}\t{supported}\t{doc}", k.section, k.word, k.syntax, k.range, k.default)
        } else {
            writeln!(out, "{} > {} {}   {doc} [{supported}]", k.section, k.word, k.syntax)
        };
        if written.is_err() {
            return 0;
        }
    }
    0
}
