//! One row for each keyword of the language: a configuration with the word at a value that is not its default, and the same without.
//! `bin/steadfastd/src/keywords.rs` shows that the two differ in what reaches the machines, `tests/ranges.rs` both ends of each range.
//!
//! The rows are in `rows/*.txt`:
//!
//! ```text
//! [section]                  as `steadfast keywords` names it
//! base                       the configuration around; `@` is the place of the row's lines
//!   line
//! keyword
//!   + line                   with the keyword
//!   - line                   without it
//!   base                     where this row needs another one
//!     line
//!   = FILE TEST              a test that shows the effect on a running system
//!   ! reason                 it is taken and has no effect, and why that is right
//! ```

use std::path::{Path, PathBuf};
use steadfast_config::host::{Host, ScriptFile};
use steadfast_config::source::Options;
use steadfast_config::{Outcome, load_text};

/// A keyword's row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// Its section.
    pub section: String,
    /// The keyword.
    pub word: String,
    /// The configuration around, with `@` where the lines go.
    pub base: String,
    /// The lines with the keyword.
    pub with: Vec<String>,
    /// The lines without it.
    pub without: Vec<String>,
    /// File below the top folder, and test, that show the effect.
    pub tests: Vec<(String, String)>,
    /// Why it has no effect.
    pub idle: Option<String>,
}

impl Row {
    /// The configuration with these lines.
    pub fn text(&self, lines: &[String]) -> String {
        let mut text = String::new();
        for line in self.base.lines() {
            if line.trim() == "@" {
                lines.iter().for_each(|l| text.push_str(&format!("{l}\n")));
            } else {
                text.push_str(&format!("{line}\n"));
            }
        }
        text
    }
}

/// The top folder of the project.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All rows, in the order of their files.
pub fn rows() -> Vec<Row> {
    ["root", "global_defs", "vrrp", "lvs", "lines"].iter().flat_map(|name| file(name)).collect()
}

/// The rows of what is no keyword of a section: comments, includes, variables, loops.
pub fn built_ins() -> Vec<Row> {
    file("builtins")
}

fn file(name: &str) -> Vec<Row> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("rows/{name}.txt"));
    parse(&std::fs::read_to_string(path).expect("rows"))
}

fn parse(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let (mut section, mut base) = (String::new(), String::new());
    // Where the lines of a base go: the section's, or the last row's.
    let mut of_section = false;
    for line in text.lines().filter(|l| !l.trim().is_empty() && !l.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name.to_string();
        } else if line == "base" {
            (of_section, base) = (true, String::new());
        } else if !line.starts_with(' ') {
            of_section = false;
            rows.push(Row { section: section.clone(), word: line.to_string(), base: base.clone(), ..Row::default() });
        } else if of_section {
            base.push_str(&format!("{}\n", line.get(2..).unwrap_or("")));
        } else {
            let row = rows.last_mut().expect("a row before its lines");
            let (mark, rest) = (line.get(2..3).unwrap_or(""), line.get(4..).unwrap_or(""));
            match mark {
                "+" => row.with.push(rest.to_string()),
                "-" => row.without.push(rest.to_string()),
                "=" => {
                    let (file, test) = rest.split_once(' ').expect("FILE TEST");
                    row.tests.push((file.to_string(), test.to_string()));
                }
                "!" => row.idle = Some(rest.to_string()),
                "b" if line == "  base" => row.base.clear(),
                " " => row.base.push_str(&format!("{rest}\n")),
                _ => panic!("{line}"),
            }
        }
    }
    rows
}

/// A host that has every link whose name does not begin with `absent`, every script, the accounts root and nobody, and in the folder
/// `/names` the name `known`.
struct Everything;

impl Host for Everything {
    fn interface(&self, name: &str) -> Option<bool> {
        (!name.starts_with("absent")).then_some(name == "lo")
    }
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        match name {
            "root" => Some((0, 0)),
            "nobody" => Some((65534, 65534)),
            _ => None,
        }
    }
    fn group(&self, name: &str) -> Option<u32> {
        self.user(name).map(|u| u.1)
    }
    fn script(&self, word: &str) -> ScriptFile {
        ScriptFile::Good(PathBuf::from(word))
    }
    fn table(&self, directories: &[String], _: &str, name: &str) -> Option<u32> {
        (name == "known" && directories.iter().any(|d| d == "/names")).then_some(77)
    }
    fn resolves(&self, name: &str) -> bool {
        name == "localhost" || name.parse::<std::net::IpAddr>().is_ok()
    }
    fn own_user(&self) -> (u32, u32) {
        (0, 0)
    }
}

/// Reads a configuration on that host.
pub fn read(text: &str) -> Outcome {
    load_text(text, &Options::default(), &Everything)
}
