//! steadfast.conf(5): the introduction is docs/man/steadfast.conf.in, the lists are the declarations of the keywords. To write it anew:
//! STEADFAST_WRITE=1 cargo test -p steadfast-config --test manual

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use steadfast_config::diag::render_compat;
use steadfast_config::host::FakeHost;
use steadfast_config::source::{Options, ReadError, Reader};
use steadfast_config::{Keyword, keywords, load};

const MARK: &str = ".\\\" The lists are made of the declarations of the keywords.\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/man")
}

/// Text as troff takes it: no word is a macro, a request or an escape, and alternatives may be on two lines.
fn plain(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('|', "|\\:")
        .replace('-', "\\-")
        .replace('"', "\\(dq")
        .replace('`', "\\(ga")
        .replace('\'', "\\(aq")
}

/// One word of a macro's line, whatever is in it.
fn one(text: &str) -> String {
    format!("\"\\&{}\"", plain(text))
}

fn entry(k: &Keyword, page: &mut String) {
    let _ = write!(page, ".It Ic {}", one(k.word.trim_matches(['(', ')'])));
    if k.syntax != "-" {
        let _ = write!(page, " Li {}", one(k.syntax));
    }
    let _ = writeln!(page, "\n\\&{}", plain(k.doc.trim()));
    let mut bounds = Vec::new();
    if k.range != "-" {
        bounds.push(format!("Range: {}.", plain(k.range)));
    }
    if k.default != "-" {
        bounds.push(format!("Default: {}.", plain(k.default)));
    }
    if !k.supported {
        bounds.push("Not supported yet.".into());
    }
    if !bounds.is_empty() {
        let _ = writeln!(page, ".br\n\\&{}", bounds.join(" "));
    }
}

fn page(frame: &str) -> String {
    let (head, tail) = frame.split_once(MARK).expect("mark");
    let mut page = head.to_string();
    let mut sections: Vec<&str> = Vec::new();
    for k in keywords() {
        if !sections.contains(&k.section) {
            sections.push(k.section);
        }
    }
    for section in sections {
        let title = if section == "(root)" { "outside blocks" } else { section };
        let _ = writeln!(page, ".Ss {}\n.Bl -tag -width Ds", one(title));
        keywords().filter(|k| k.section == section).for_each(|k| entry(&k, &mut page));
        page.push_str(".El\n");
    }
    page + tail
}

#[test]
fn the_manual_has_every_keyword_with_its_range_and_default() {
    let frame = std::fs::read_to_string(folder().join("steadfast.conf.in")).expect("frame");
    let (path, page) = (folder().join("steadfast.conf.5"), page(&frame));
    if std::env::var_os("STEADFAST_WRITE").is_some() {
        std::fs::write(&path, page).expect("page");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == page, "stale: STEADFAST_WRITE=1 cargo test -p steadfast-config --test manual");
}

#[test]
fn groff_has_nothing_to_say_of_the_manuals() {
    let mut seen = 0;
    for file in std::fs::read_dir(folder()).expect("folder").flatten().map(|e| e.path()) {
        if file.extension().is_none_or(|e| e == "in") {
            continue;
        }
        let run = Command::new("groff").args(["-ww", "-mdoc", "-Tutf8"]).arg(&file).stdin(Stdio::null()).output();
        let Ok(out) = run else {
            println!("SKIPPED: warnings of the manual pages: groff is not installed");
            return;
        };
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && said.is_empty(), "{}: {said}", file.display());
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

/// One file, whatever is asked for.
struct Text<'a>(&'a str);

impl Reader for Text<'_> {
    fn read(&self, _: &Path, _: u64) -> Result<Vec<u8>, ReadError> {
        Ok(self.0.as_bytes().to_vec())
    }
    fn glob(&self, pattern: &str) -> Vec<PathBuf> {
        vec![pattern.into()]
    }
    fn environment(&self, _: &str) -> Option<String> {
        None
    }
}

#[test]
fn samples_check_clean() {
    let frame = std::fs::read_to_string(folder().join("steadfast.conf.in")).expect("frame");
    let samples = frame.split(".Bd -literal -offset indent\n").skip(1);
    let samples: Vec<&str> = samples.filter_map(|s| s.split_once(".Ed\n")).map(|(sample, _)| sample).collect();
    assert!(samples.len() >= 3);
    let checks = std::fs::read_to_string(folder().join("../checks.md")).expect("page");
    let indented: Vec<&str> =
        checks.lines().map(|l| if l.is_empty() { l } else { l.strip_prefix("    ").unwrap_or("##") }).collect();
    let indented = indented.join("\n");
    let of_checks = indented.split("##").max_by_key(|s| s.len()).expect("a sample");
    let (users, options) =
        ([("nobody".to_string(), (65534, 65534))].into(), Options { config_id: "lb1".into(), ..Default::default() });
    let host = FakeHost { all_interfaces: true, all_scripts: true, users, ..FakeHost::default() };
    for sample in samples.into_iter().chain([of_checks]) {
        let text = match sample {
            s if s.starts_with('@') => format!(
                "vrrp_instance V {{\ninterface eth0\nvirtual_router_id 1\n{s}\nvirtual_ipaddress {{\n192.0.2.1/24\n}}\n}}\n"
            ),
            s if s.starts_with('~') => {
                format!("vrrp_instance V {{\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {{\n{s}\n}}\n}}\n")
            }
            s => s.to_string(),
        };
        let outcome = load(Path::new("conf"), &Text(&text), &options, &host);
        assert_eq!(outcome.diagnostics.counted(), 0, "{}\n{text}", render_compat(&outcome.diagnostics, &outcome.files));
    }
}
