//! Real configurations, and what keepalived said of them. They are not part of the project: the test reads them from the folder
//! that STEADFAST_CORPUS names (`corpus/configs`, `corpus/verdicts.tsv`, `reference/cases`), and says so when there is none.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steadfast_config::host::{FakeHost, Host, ScriptFile};
use steadfast_config::source::{FsReader, Options};
use steadfast_config::{SystemHost, load, load_consolidated, load_text};

fn folder() -> Option<PathBuf> {
    let found = std::env::var_os("STEADFAST_CORPUS").map(PathBuf::from);
    if found.is_none() {
        println!("SKIPPED: no corpus of real configurations (STEADFAST_CORPUS is not set)");
    }
    found
}

fn table(path: &Path) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(path).expect("table");
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().expect("heading").split('\t').collect();
    lines.map(|l| head.iter().map(|h| h.to_string()).zip(l.split('\t').map(str::to_string)).collect()).collect()
}

/// Why a file's verdict is not compared: what keepalived said depends on something that is not in the file.
fn aside(name: &str, text: &str, scripts: bool) -> Option<&'static str> {
    let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
    // Links that its conditions name were not made there; a namespace that does not exist ends the test early.
    let hosts = [
        "1515.conf",
        "sync_group.conf",
        "sync_group2.conf",
        "unicast_vmac.conf",
        "894.conf",
        "773b.conf",
        "1972u.conf",
    ];
    if has(&["enable_dbus", "enable_snmp", "snmp_socket", "enable_traps"]) {
        Some("that build was made without SNMP and D-Bus")
    } else if hosts.iter().any(|h| name.ends_with(&format!("configs__{h}"))) {
        Some("its links or its namespace were not there")
    } else if scripts && has(&["_PWD", "${_INSTANCE}"]) {
        Some("which of its scripts were there is not known")
    } else if name.starts_with("efim") {
        Some("one of its programs was there")
    } else {
        None
    }
}

/// The machine that the error cases were tried on: three links, its own scripts.
struct CaseHost(FakeHost);

impl Host for CaseHost {
    fn interface(&self, name: &str) -> Option<bool> {
        self.0.interface(name)
    }
    fn user(&self, name: &str) -> Option<(u32, u32)> {
        SystemHost.user(name).filter(|_| name != "keepalived_script")
    }
    fn group(&self, name: &str) -> Option<u32> {
        SystemHost.group(name)
    }
    fn script(&self, word: &str) -> ScriptFile {
        SystemHost.script(word)
    }
    fn table(&self, directories: &[String], table: &str, name: &str) -> Option<u32> {
        self.0.table(directories, table, name)
    }
    fn resolves(&self, name: &str) -> bool {
        self.0.resolves(name)
    }
    fn own_user(&self) -> (u32, u32) {
        (0, 0)
    }
}

/// One file, and what keepalived said of it.
struct Row {
    name: String,
    path: PathBuf,
    status: i32,
    include_check_all: bool,
    /// The lines that it named, with what it said there.
    places: Vec<(u32, String)>,
}

/// Lines of keepalived's where nothing is said here, and why: docs/differences.md lists them.
const LINES_ASIDE: &[(&str, &str)] = &[
    ("not found, ignoring...", "what it tracks was reported where it is defined, and is no fault of who tracks it"),
    ("doesn't exist", "a link of such a name could not be made there"),
    ("Unable to set uid/gid", "an account was not there"),
    ("realpath()", "a folder was not there"),
    ("is not a private macvlan", "a link of that name was there"),
    ("too many decimal places", "a time is rounded to what the kernel takes"),
];

/// The blocks around each line, by the line of their brace, and the block that the line closes.
fn blocks(text: &str) -> Vec<(Vec<u32>, Option<u32>)> {
    let mut open: Vec<u32> = Vec::new();
    let mut all = vec![(Vec::new(), None)];
    for (n, line) in (1u32..).zip(text.lines()) {
        let (mut around, mut closed) = (open.clone(), None);
        for c in line.split(['#', '!']).next().unwrap_or_default().chars() {
            match c {
                '{' => {
                    open.push(n);
                    around.push(n);
                }
                '}' => closed = open.pop(),
                _ => {}
            }
        }
        all.push((around, closed));
    }
    all
}

/// Whether something is said where keepalived says something: at its line; of what it finds out at the end of a block anywhere in
/// that block; and of what it stumbles over in a block that is passed over whole, at the block's head.
fn said_there(line: u32, text: &str, ours: &BTreeSet<u32>) -> bool {
    let blocks = blocks(text);
    let (around, closed) = blocks.get(line as usize).cloned().unwrap_or_default();
    ours.contains(&line)
        || around.iter().any(|head| ours.contains(head))
        || closed.is_some_and(|from| ours.range(from..=line).next().is_some())
}

fn compare(what: &str, rows: Vec<Row>, host: &dyn Host, most: usize) {
    let (mut differ, mut silent) = (Vec::new(), Vec::new());
    let (mut same, mut lines) = (0, 0);
    for Row { name, path, status: theirs, include_check_all, places } in rows {
        let options = Options { config_id: "me".into(), include_check_all, ..Default::default() };
        let begun = Instant::now();
        let outcome = load(&path, &FsReader, &options, host);
        assert!(begun.elapsed() < Duration::from_secs(20), "{name}: it takes {:?} to read", begun.elapsed());
        let text = std::fs::read(&path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
        let ours = outcome.diagnostics.iter().filter_map(|d| d.span.map(|s| s.line)).collect();
        lines += places.len();
        for (line, said) in places {
            if !LINES_ASIDE.iter().any(|(what, _)| said.contains(what)) && !said_there(line, &text, &ours) {
                silent.push(format!("{name}:{line}: {said}"));
            }
        }
        let ours = if outcome.unreadable { 0 } else { outcome.diagnostics.exit_status() };
        // A crash, a hang or a script-security verdict that hides the rest is compared as "reported".
        let theirs = if theirs < 0 || theirs == 124 || theirs == 139 { 5 } else { theirs };
        if ours == theirs {
            same += 1;
        } else {
            let first = outcome.diagnostics.iter().find(|d| d.class > steadfast_config::diag::Class::Unsupported);
            differ.push(format!("{name}: ours {ours}, theirs {theirs}: {}", first.map_or("", |d| &d.message)));
        }
    }
    println!("{what}: {same} alike, {} differ", differ.len());
    differ.iter().for_each(|d| println!("  {d}"));
    println!("{what}: {lines} places named by keepalived, at {} of them nothing is said", silent.len());
    assert!(silent.is_empty(), "{what}: nothing is said at\n{}", silent.join("\n"));
    assert!(differ.len() <= most, "{what}: {} verdicts differ, {most} are known", differ.len());
}

/// The line that `(FILE: Line N) WORDS` and `(Line N) WORDS` name.
fn place(said: &str) -> Option<(u32, String)> {
    let (number, words) = said.split_once("Line ")?.1.split_once(") ")?;
    Some((number.parse().ok()?, words.into()))
}

#[test]
fn verdicts_on_real_files_are_keepalived_s() {
    let Some(folder) = folder() else { return };
    let rows = |column: &str| {
        table(&folder.join("corpus/verdicts.tsv"))
            .into_iter()
            .filter(|r| r.get("has_include").is_none_or(|i| i.is_empty() || i == "0"))
            .filter_map(|r| {
                let path = folder.join("corpus/configs").join(&r["file"]);
                let text = std::fs::read(&path).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
                if let Some(why) = aside(&r["file"], &text, column.ends_with("scripts")) {
                    println!("  {}: not compared: {why}", r["file"]);
                    return None;
                }
                // What it printed is there of the first run alone.
                let said = folder.join("corpus/stderr_243").join(format!("{}.txt", r["file"]));
                let said = std::fs::read(said).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
                let places = said.lines().filter(|_| column == "exit_243").filter_map(place).collect();
                let status = r[column].parse().ok()?;
                Some(Row { name: r["file"].clone(), path, status, include_check_all: false, places })
            })
            .collect::<Vec<_>>()
    };
    let users = ["ziggy", "pi", "quentin"].map(|u| (u.to_string(), (1000, 1000))).into();
    let host = |all_interfaces, all_scripts| {
        let users = if all_scripts { std::clone::Clone::clone(&users) } else { HashMap::new() };
        FakeHost { all_interfaces, all_scripts, users, ..Default::default() }
    };
    compare("interfaces there, scripts absent", rows("exit_243"), &host(true, false), 1);
    compare("no interface", rows("exit_243_noif"), &host(false, false), 1);
    compare("interfaces and scripts there", rows("exit_243_scripts"), &host(true, true), 1);
}

#[test]
fn verdicts_on_error_cases_are_keepalived_s() {
    let Some(folder) = folder() else { return };
    let rows = table(&folder.join("reference/cases/results.tsv"))
        .into_iter()
        .filter(|r| r["extra_args"].is_empty() || r["extra_args"] == "-i me" || r["extra_args"] == "-e")
        .filter_map(|r| {
            let path = folder.join("reference/cases").join(&r["file"]);
            let name = format!("{} {}", r["case"], r["input_gist"]);
            let status = r["exit_code_2.4.3"].parse().ok()?;
            // The first place, unless the newer of the two versions has nothing to say.
            let first = r["first_report_location"].rsplit_once("line ").and_then(|(_, n)| n.parse().ok());
            let first =
                first.filter(|_| r["reported_lines_2.4.3"] != "0" && !r["first_report_location"].contains(".inc "));
            let places = first.map(|n| (n, name.clone())).into_iter().collect();
            Some(Row { name, path, status, include_check_all: r["extra_args"] == "-e", places })
        })
        .collect();
    let links = FakeHost { interfaces: ["eth0", "ifb0", "ifb1"].map(String::from).to_vec(), ..Default::default() };
    compare("error cases", rows, &CaseHost(links), 2);
}

/// A configuration without the places that it was read at.
fn without_places(config: &steadfast_config::Config) -> String {
    let text = format!("{config:#?}");
    let place = |l: &&str| {
        let (name, value) = l.trim().split_once(": ").unwrap_or_default();
        !["line", "column", "width", "file"].contains(&name) || value.trim_end_matches(',').parse::<u32>().is_err()
    };
    text.lines().filter(place).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_text_of_what_was_read_is_the_same_configuration() {
    let Some(folder) = folder() else { return };
    let files = |at: &str| std::fs::read_dir(folder.join(at)).expect("folder").flatten().map(|e| e.path());
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    let options = Options { config_id: "me".into(), ..Default::default() };
    let mut read = 0;
    for path in files("corpus/configs").chain(files("reference/cases")) {
        let (first, text) = load_consolidated(&path, &FsReader, &options, &host);
        if first.unreadable {
            continue;
        }
        let again = load_text(&text, &options, &host);
        let (one, other) = (without_places(&first.config), without_places(&again.config));
        let differ = one.lines().zip(other.lines()).find(|(a, b)| a != b);
        assert!(one == other, "{}: {differ:?}\n{text}", path.display());
        read += 1;
    }
    println!("{read} files read again");
    assert!(read > 400);
}
