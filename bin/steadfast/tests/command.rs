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

#[test]
fn a_file_that_is_not_there_is_an_error_of_a_check() {
    for name in ["/nonexistent/x.conf", "/tmp"] {
        let (status, text) = steadfast(&["check", name], "");
        assert!(status == Some(6) && text.starts_with("error: ") && text.ends_with("1 error\n"), "{status:?} {text}");
        let (_, text) = steadfast(&["check", "--json", name], "");
        let list: Vec<serde_json::Value> = serde_json::from_str(&text).expect("a list");
        assert_eq!(list[0]["severity"], "error", "{text}");
    }
}

#[test]
fn programs_are_told_the_severity_that_people_see() {
    let text = "vrrp_script s {\n script /bin/true\n}\nvrrp_instance A {\n interface lo\n virtual_router_id 1\n track_script {\n s\n }\n}\n";
    let (_, shown) = steadfast(&["check", "/dev/stdin"], text);
    let (_, told) = steadfast(&["check", "--json", "/dev/stdin"], text);
    let list: Vec<serde_json::Value> = serde_json::from_str(&told).expect("a list");
    for d in &list {
        let line = format!("{}: {}", d["severity"].as_str().expect("word"), d["message"].as_str().expect("text"));
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    assert!(list.iter().any(|d| d["severity"] == "warning"), "{told}");
}

#[test]
fn no_line_of_the_keywords_ends_with_a_blank() {
    let (_, text) = steadfast(&["keywords"], "");
    assert!(text.lines().count() > 500 && text.lines().all(|l| l.trim_end() == l), "{text}");
}

/// A key is root's alone, as it should be.
#[test]
fn who_is_not_root_is_not_told_that_he_cannot_read_a_key() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = std::env::temp_dir().join(format!("steadfast-key-{}", std::process::id()));
    std::fs::create_dir(&folder).expect("folder");
    let key = folder.join("key.pem");
    std::fs::write(&key, "no key").expect("file");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).expect("mode");
    // The program may stand where nobody else comes to.
    let program = folder.join("steadfast");
    std::fs::copy(env!("CARGO_BIN_EXE_steadfast"), &program).expect("program");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o755)).expect("mode");
    let conf = folder.join("a.conf");
    let key = key.display();
    let one = "virtual_server 192.0.2.1 80 {\n protocol TCP\n lb_algo rr\n lb_kind NAT\n real_server 192.0.2.2 80 {\n TCP_CHECK {\n }\n }\n}\n";
    std::fs::write(&conf, format!("SSL {{\n certificate {key}\n key {key}\n}}\n{one}")).expect("file");
    let said = |user: Option<u32>| {
        let mut command = Command::new(&program);
        command.arg("check").arg(&conf);
        if let Some(user) = user {
            command.uid(user);
        }
        command.output().map(|out| String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
    };
    let (ours, others) = (said(None), said(Some(65534)));
    std::fs::remove_dir_all(&folder).expect("folder");
    let ours = ours.expect("answer");
    assert!(ours.contains("no private key in PEM form"), "{ours}");
    // Who is not root cannot be somebody else.
    match others {
        Ok(others) => assert!(!others.contains("Permission denied"), "{others}"),
        Err(e) => assert_eq!(e.kind(), std::io::ErrorKind::PermissionDenied),
    }
}
