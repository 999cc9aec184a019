//! What is written about the program is true of it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_steadfastd")).args(arguments).output().expect("steadfastd");
    (out.status.code(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

#[test]
fn every_option_of_the_help_is_in_the_manual() {
    let manual = std::fs::read_to_string(top().join("docs/man/steadfastd.8")).expect("manual").replace('\\', "");
    let (_, help) = run(&["--help"]);
    let options: Vec<&str> = help
        .split_whitespace()
        .filter_map(|w| w.strip_prefix("--"))
        .map(|w| w.split(['=', '[']).next().unwrap_or(w))
        .collect();
    assert!(options.len() > 30, "{help}");
    for option in options {
        assert!(manual.contains(&format!("Fl -{option}")), "--{option} is not in the manual");
    }
}

#[test]
fn the_samples_have_no_fault_but_their_interfaces() {
    let folder = top().join("conf");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("conf").flatten() {
        let path = entry.path();
        let (_, text) = run(&["-t", "-f", path.to_str().expect("path")]);
        // Which links, programs and accounts a machine has is not the sample's fault.
        let faults: Vec<&str> = text
            .lines()
            .filter(|l| ["error:", "warning:"].iter().any(|w| l.starts_with(w)))
            .filter(|l| !["does not exist now", "not found", "is unsafe"].iter().any(|w| l.contains(w)))
            .collect();
        assert!(faults.is_empty(), "{}: {faults:?}\n{text}", path.display());
        seen += 1;
    }
    assert!(seen >= 3);
}

#[test]
fn the_tests_of_the_clients_demands_are_there() {
    let page = std::fs::read_to_string(top().join("docs/clients.md")).expect("page");
    let mut seen = 0;
    for (file, test) in page.split('`').filter_map(|w| w.split_once("::")).filter(|(file, _)| file.ends_with(".rs")) {
        let source = std::fs::read_to_string(top().join(file)).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}(")), "{file} has no {test}");
        seen += 1;
    }
    assert!(seen > 15, "{seen}");
}

#[test]
fn a_facility_that_is_none_is_a_report_and_no_end() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("facility.conf");
    std::fs::write(&path, "global_defs {\n router_id a\n}\n").expect("file");
    let test = |facility| run(&["-t", "-S", facility, "-f", path.to_str().expect("path")]);
    assert_eq!(test("5"), (Some(0), String::new()));
    let (status, text) = test("99");
    assert!(status == Some(5) && text.contains("Invalid log facility '99'"), "{status:?}: {text}");
    let unmasked = run(&["-t", "-u", "999", "-f", path.to_str().expect("path")]);
    assert_eq!(unmasked, (Some(0), "Invalid umask '999', ignoring it\n".into()));
}

/// Files that a place of the page stands for: `cluster/ask`, `vm/systemd`, `crates/net`, `vrrp/script`.
fn sources(place: &str) -> Vec<PathBuf> {
    let Some((room, name)) = place.split_once('/') else { return Vec::new() };
    let at = |path: String| top().join(path);
    match room {
        "cluster" => vec![at(format!("tests/cluster/tests/{name}.rs"))],
        "vm" => vec![at(format!("tests/vm/src/bin/guest/{name}.rs"))],
        "crates" => sources_below(&at(format!("crates/{name}/src"))),
        _ => vec![at(format!("crates/{room}/src/{name}.rs")), at(format!("crates/{room}/src/{name}/tests.rs"))],
    }
}

fn sources_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
    entries.flat_map(|p| if p.is_dir() { sources_below(&p) } else { vec![p] }).collect()
}

/// Each place that the page names has the tests that the page names right behind it.
#[test]
fn the_tests_of_the_operators_page_are_there() {
    let page = std::fs::read_to_string(top().join("docs/operations.md")).expect("page");
    let rooms = ["cluster/", "vm/", "vrrp/", "crates/", "checkers/"];
    let (mut seen, mut missing) = (0, Vec::new());
    let mut text = String::new();
    for word in page.split_whitespace().skip_while(|w| *w != "##") {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_' && c != '/' && c != '…');
        let name = bare.strip_suffix('…').unwrap_or(bare);
        if rooms.iter().any(|r| bare.starts_with(r)) && !word.contains('`') {
            let found = sources(bare).iter().filter_map(|p| std::fs::read_to_string(p).ok()).collect::<String>();
            if found.is_empty() {
                missing.push(bare.to_string());
            }
            text = found;
        } else if !text.is_empty() && word.starts_with('`') && name.contains('_') {
            // The name, or its beginning.
            let whole = if name == bare { format!("fn {name}(") } else { format!("fn {name}") };
            if !text.contains(&whole) {
                missing.push(bare.to_string());
            }
            seen += 1;
            if !word.ends_with(',') {
                text.clear();
            }
        } else if word.ends_with(['.', '|', ')']) || !word.starts_with(['`', '(']) {
            text.clear();
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(seen > 40, "{seen}");
}

/// Who may use what is in the table of rooms, and nowhere else.
#[test]
fn every_room_uses_what_the_architecture_says() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--locked", "--no-deps", "--format-version", "1"]).current_dir(top());
    let out = cargo.output().expect("cargo");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).expect("metadata");
    let list = |v: &serde_json::Value| v.as_array().cloned().unwrap_or_default();
    let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_string();
    let root = text(&metadata["workspace_root"]);
    let room = |p: &serde_json::Value| {
        let manifest = text(&p["manifest_path"]);
        manifest.trim_start_matches(&root).trim_start_matches('/').trim_end_matches("/Cargo.toml").to_string()
    };
    let packages = list(&metadata["packages"]);
    let rooms: std::collections::HashMap<String, String> =
        packages.iter().map(|p| (text(&p["name"]), room(p))).collect();
    let table = std::fs::read_to_string(top().join("docs/architecture.md")).expect("architecture");
    let mut wrong = Vec::new();
    for p in &packages {
        let room = room(p);
        let Some(row) = table.lines().find(|l| l.starts_with(&format!("| {room} |"))) else {
            wrong.push(format!("{room} has no row"));
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let words = |cell: &str| {
            let parts = cell.split([',', ' ', ';', '(', ')']).filter(|w| !w.is_empty() && *w != "–");
            parts.map(str::to_string).collect::<std::collections::BTreeSet<_>>()
        };
        let used = list(&p["dependencies"]);
        let used: Vec<String> = used.iter().filter(|d| d["kind"].is_null()).map(|d| text(&d["name"])).collect();
        let (ours, outside): (Vec<&String>, Vec<&String>) = used.iter().partition(|name| rooms.contains_key(*name));
        let ours = ours.into_iter().map(|name| rooms[name].trim_start_matches("crates/").to_string()).collect();
        if cells[3] != "all" && words(cells[3]) != ours {
            wrong.push(format!("{room} uses {ours:?}, the table says {}", cells[3]));
        }
        let named = words(cells[4]);
        wrong.extend(
            outside.into_iter().filter(|n| !named.contains(*n)).map(|n| format!("{room}: {n} is not in the table")),
        );
    }
    // The four that know nothing of one another.
    let pure = ["vrrp", "checkers", "bfd", "config"];
    for room in pure {
        let row = table.lines().find(|l| l.starts_with(&format!("| crates/{room} |"))).unwrap_or_default();
        assert_eq!(row.split('|').nth(3).map(str::trim), Some("core"), "{row}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
