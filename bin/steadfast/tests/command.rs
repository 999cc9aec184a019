//! What programs read of the operator's command.

use std::io::Write;
use std::process::{Command, Stdio};

fn steadfast(words: &[&str], input: &str) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steadfast"));
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let mut child = command.spawn().expect("start");
    child.stdin.take().expect("input").write_all(input.as_bytes()).expect("input");
    let out = child.wait_with_output().expect("end");
    (out.status.code(), String::from_utf8(out.stdout).expect("text"))
}

#[test]
fn reports_are_a_list_of_objects_with_their_places() {
    let faulty = "global_defs {\n ruoter_id x\n}\nvrrp_instance A {\n interface lo\n priority 300\n}\n";
    let (status, text) = steadfast(&["check", "--json", "/dev/stdin"], faulty);
    assert_eq!(status, Some(5));
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
    let at = |line: u64| list.iter().find(|d| d["line"] == line).unwrap_or_else(|| panic!("line {line}: {text}"));
    let unknown = at(2);
    assert_eq!((&unknown["class"], &unknown["column"]), (&"unknown-keyword".into(), &2.into()), "{text}");
    assert!(unknown["message"].as_str().is_some_and(|m| m.contains("ruoter_id")), "{text}");
    assert!(unknown["help"].as_str().is_some_and(|h| h.contains("router_id")), "{text}");
    assert!(unknown["file"].as_str().is_some_and(|f| f.ends_with("stdin")), "{text}");
    assert!(list.iter().any(|d| d["line"] == 6 && d["class"] == "invalid-number"), "{text}");
    assert_eq!(steadfast(&["check", "--json", "/dev/stdin"], "! nothing\n"), (Some(0), "[]\n".into()));
}

#[test]
fn the_table_of_keywords_has_seven_columns_and_every_keyword() {
    let (status, text) = steadfast(&["keywords", "--tsv"], "");
    assert_eq!(status, Some(0));
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(rows.len(), steadfast_config::keywords().count());
    assert!(rows.iter().all(|r| r.len() == 7 && r.iter().all(|field| !field.is_empty())), "{text}");
    let advert = rows.iter().find(|r| r[0] == "vrrp_instance" && r[1] == "advert_int").expect("advert_int");
    assert_eq!(advert[5], "yes");
    // Of one section, or of one word; and nothing is no success.
    let (status, some) = steadfast(&["keywords", "--tsv", "advert_int"], "");
    assert!(status == Some(0) && some.lines().all(|l| l.split('\t').nth(1) == Some("advert_int")), "{some}");
    assert_eq!(steadfast(&["keywords", "--tsv", "nosuchword"], ""), (Some(1), String::new()));
}
