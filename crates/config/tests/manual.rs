//! steadfast.conf(5): the introduction is docs/man/steadfast.conf.in, the lists are the declarations of the keywords. To write it anew:
//! STEADFAST_WRITE=1 cargo test -p steadfast-config --test manual

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use steadfast_config::{Keyword, keywords};

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
