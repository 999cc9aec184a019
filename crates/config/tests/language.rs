//! The language itself, as keepalived 2.2.7 was seen to read it: braces, includes, definitions and repeats.

mod common;

use common::read;
use std::path::Path;
use steadfast_config::host::FakeHost;
use steadfast_config::source::{FsReader, Options};
use steadfast_config::{load, run_failure};

/// The status of `-t`, and the addresses of the first instance.
fn addresses(head: &str, lines: &str) -> (i32, Vec<String>) {
    let outcome = read(&format!(
        "{head}\nvrrp_instance A {{\n interface eth0\n virtual_router_id 5\n virtual_ipaddress {{\n{lines}\n }}\n}}\n"
    ));
    let shown = |i: &steadfast_config::model::VrrpInstance| {
        i.virtual_ipaddress.iter().map(|a| a.0.cidr.address.to_string()).collect::<Vec<_>>()
    };
    (outcome.diagnostics.exit_status(), outcome.config.instances.first().map(shown).unwrap_or_default())
}

/// The same where nothing is to be reported.
fn clean(head: &str, lines: &str) -> Vec<String> {
    let (status, all) = addresses(head, lines);
    assert_eq!(status, 0, "{head} {lines}: {all:?}");
    all
}

#[test]
fn include_check_may_stand_in_a_block_on_one_line() {
    for block in ["{ include_check }", "{ include_check match }", "{include_check}", "{ include_check -read\n}"] {
        assert_eq!(clean(&format!("global_defs {block}"), "10.0.0.1"), ["10.0.0.1"], "{block}");
    }
}

/// 017 of the error cases, and its kin: keepalived reports a brace too many, and goes on with what follows it.
#[test]
fn a_brace_that_is_there_twice_is_reported_and_what_it_holds_counts() {
    let body = "interface eth0\n virtual_router_id 5\n virtual_ipaddress {\n 10.0.0.1\n }\n";
    for text in [
        format!("vrrp_instance A {{ {{\n {body}}}\n"),
        format!("vrrp_instance A {{\n{{\n {body}}}\n}}\n"),
        format!("{{\nvrrp_instance A {{\n {body}}}\n}}\n"),
        format!("vrrp_instance A {{\n {}}}\n}}\n", body.replace("ss {", "ss { {")),
    ] {
        let outcome = read(&text);
        assert_eq!((outcome.diagnostics.exit_status(), run_failure(&outcome)), (5, None), "{text}");
        let instance = &outcome.config.instances[0];
        assert_eq!((instance.virtual_router_id, instance.virtual_ipaddress.len()), (Some(5), 1), "{text}");
        assert!(outcome.diagnostics.iter().any(|d| d.message.starts_with("unexpected '{'")), "{text}");
    }
    // The block that an unknown word, or one without a block, has is passed over whole.
    for line in ["priority 77 {\n preempt_delay 9\n }", "nonsense {\n {\n preempt_delay 9\n }\n }"] {
        let outcome = read(&format!("vrrp_instance A {{\n {line}\n {body}}}\n"));
        let instance = &outcome.config.instances[0];
        assert_eq!((instance.preempt_delay, instance.virtual_router_id), (None, Some(5)), "{line}");
    }
}

/// keepalived 2.4.3 keeps the value; 2.2.7 loses the word.
#[test]
fn a_value_behind_a_quote_that_is_not_closed_is_kept_and_reported() {
    let text = "vrrp_instance A {\n interface \"eth0\n virtual_router_id 5\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n";
    let outcome = read(text);
    assert_eq!((outcome.diagnostics.exit_status(), run_failure(&outcome)), (5, None));
    assert_eq!(outcome.config.instances[0].interface.as_deref(), Some("eth0"));
}

#[test]
fn a_definition_is_looked_up_when_it_is_used() {
    assert_eq!(clean("$A=7\n$B=10.9.0.$A\n$A=8", "$B"), ["10.9.0.8"]);
    // What it names may come later, and change in between.
    let lines = "${BASE}.1\n$SUB=10\n${BASE}.1";
    assert_eq!(clean("$BASE=10.2.${SUB}\n$SUB=0", lines), ["10.2.0.1", "10.2.10.1"]);
    assert_eq!(clean("$L=~SEQ(i,1,2) 10.0.${i}.$Z\n$Z=9", "$L"), ["10.0.1.9", "10.0.2.9"]);
    let chain: String = (1..=20).map(|n| format!("$a{n}=$a{}\n", n - 1)).collect();
    assert_eq!(clean(&format!("{chain}$a0=10.0.0.1"), "$a20"), ["10.0.0.1"]);
    // One that names itself adds to what it was; keepalived writes it out until a limit is reached.
    assert_eq!(clean("$A=10.0\n$A=${A}.0\n$A=${A}.7", "$A"), ["10.0.0.7"]);
    // A circle is reported, and ends.
    for circle in ["$A=$B\n$B=$A", "$A=$B$B\n$B=${A}${A}", "$A=${A}x"] {
        assert_eq!(addresses(circle, "$A\n10.0.0.1"), (5, vec!["10.0.0.1".to_string()]), "{circle}");
    }
    let said = read("$A=$B\n$B=$A\n$A\n$B\n");
    assert_eq!(said.diagnostics.iter().filter(|d| d.message.contains("in a circle")).count(), 1);
}

#[test]
fn a_blank_before_the_sign_makes_no_definition() {
    for head in ["$A = 10.0.0.7", "$A =10.0.0.7", "$A\t= 10.0.0.7"] {
        let outcome = read(&format!("{head}\n"));
        let said: Vec<_> = outcome.diagnostics.iter().collect();
        assert_eq!((outcome.diagnostics.exit_status(), said.len()), (5, 1), "{said:?}");
        assert!(said[0].message == "unknown keyword '$A'" && said[0].help.is_some(), "{said:?}");
    }
    assert_eq!(clean("$A= 10.0.0.7", "$A"), ["10.0.0.7"]);
}

/// Words of a notify script, which keepalived's dump shows.
#[test]
fn a_name_without_braces_ends_at_a_blank_a_comma_or_a_closing_bracket() {
    let text = "$A=7\n$T=a b\nvrrp_instance A {\n interface eth0\n virtual_router_id 5\n notify_master \"/bin/x $A} $A) $A{ $A, $A( $A: $A. \
                $A/ ${T}- $A$A ${A}$A ${ A} $A\"\n notify_backup \"/bin/x \"$A\" $A \"\n virtual_ipaddress {\n 10.0.0.1\n }\n}\n";
    let outcome = read(text);
    let words = |s: &Option<steadfast_config::model::Script>| s.clone().map(|s| s.argv).unwrap_or_default();
    let instance = &outcome.config.instances[0];
    assert_eq!(
        words(&instance.notify_master),
        ["/bin/x", "$A}", "7)", "$A{", "7,", "$A(", "$A:", "$A.", "$A/", "a", "b-", "$A7", "77", "${", "A}", "$A"]
    );
    assert_eq!(words(&instance.notify_backup), ["/bin/x", "$A", "7"]);
}

#[test]
fn the_folder_of_a_file_is_named_in_full() {
    let folder = tempfile::tempdir().expect("folder");
    let real = std::fs::canonicalize(folder.path()).expect("path");
    let at = |name: &str| real.join(name);
    std::fs::create_dir_all(at("sub")).expect("folder");
    std::os::unix::fs::symlink(at("sub"), at("link")).expect("link");
    std::os::unix::fs::symlink(at("sub/more"), at("more")).expect("link");
    let line = "$IN=${_PWD}/x\nglobal_defs {\n router_id ${_PWD}\n lvs_sync_daemon $IN\n}\n";
    std::fs::write(at("main"), format!("{line}include sub/more\n")).expect("file");
    std::fs::write(at("sub/more"), "vrrp_script s {\n script \"/bin/x $_PWD $IN \"\n}\n").expect("file");
    let read = |path: &Path| {
        let outcome = load(path, &FsReader, &Options::default(), &FakeHost::default());
        let words = outcome.config.scripts.first().and_then(|s| s.script.clone()).map(|s| s.argv).unwrap_or_default();
        (outcome.config.globals.router_id.unwrap_or_default(), words)
    };
    let (root, sub) = (real.display().to_string(), at("sub").display().to_string());
    let script = |of: &str| vec!["/bin/x".to_string(), of.to_string(), format!("{of}/x")];
    assert_eq!(read(&at("main")), (root.clone(), script(&sub)));
    // By way of a link to the folder its own name; a link to a file stands where it stands.
    assert_eq!(read(&at("link/../main")), (root.clone(), script(&sub)));
    std::fs::write(at("sub/main"), line).expect("file");
    assert_eq!(read(&at("link/main")).0, sub);
    std::fs::write(at("sub/more"), line).expect("file");
    assert_eq!(read(&at("more")).0, root);
}

#[test]
fn a_blank_may_stand_before_the_bracket_of_a_repeat() {
    assert_eq!(clean("", "~SEQ (n, 1, 2) 10.0.0.$n"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(clean("", "~SEQ\t ( n , 1 , 2 )10.0.0.$n"), ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(clean("", "~SEQx (n, 16) ~LST (m,a) fe80::${n}:$m").len(), 16);
    assert_eq!(clean("", "~LST ({a, b}, {0,1}, {2,3}) 10.0.${a}.$b"), ["10.0.0.1", "10.0.2.3"]);
    for bad in ["~SEQ 10.0.0.1", "~LST", "~SEQx x"] {
        let outcome = read(&format!("{bad}\n"));
        assert!(outcome.diagnostics.iter().any(|d| d.message.contains("needs a list in brackets")), "{bad}");
    }
}

#[test]
fn numbers_of_a_repeat_are_written_as_in_c() {
    let ends = |all: Vec<String>| all.iter().map(|a| a.rsplit([':', '.']).next().unwrap_or("").to_string()).collect();
    let of = |line: &str| -> Vec<String> { ends(clean("", line)) };
    assert_eq!(of("~SEQx(n,144,16,192) fe80::$n"), ["90", "a0", "b0", "c0"]);
    assert_eq!(of("~SEQx(n,0x90,0x10,0xc0) fe80::$n"), ["90", "a0", "b0", "c0"]);
    assert_eq!(of("~SEQx(n,0x12,-2,0xe) fe80::$n"), ["12", "10", "e"]);
    assert_eq!(of("~SEQ(n,0x10,0X12) 10.0.0.$n"), ["16", "17", "18"]);
    assert_eq!(of("~SEQ(n,010,012) 10.0.0.$n"), ["8", "9", "10"]);
    assert_eq!(of("~SEQ(n,+1,2) 10.0.0.$n"), ["1", "2"]);
    // Where it starts is left out.
    assert_eq!(of("~SEQ(n,3) 10.0.0.$n"), ["1", "2", "3"]);
    assert_eq!(of("~SEQ(n,1) 10.0.0.$n"), ["1"]);
    assert_eq!(of("~SEQ(n,0) 10.0.0.$n"), ["1", "0"]);
    let outcome = read("vrrp_sync_group G {\n group {\n ~SEQ(n,-2) i$n\n }\n}\n");
    let said: Vec<_> = outcome.diagnostics.iter().map(|d| d.message.clone()).collect();
    assert!(said.iter().any(|m| m.contains("i-1")) && said.iter().any(|m| m.contains("i-2")), "{said:?}");
    for bad in ["~SEQ(n,09,12)", "~SEQx(n,9,b)", "~SEQx(n,3,-1,-2)", "~SEQ(n,1,2,3,4)", "~LST(n,a b,c)", "~LST(n)"] {
        let (status, all) = addresses("", &format!("{bad} 10.0.0.1\n10.0.0.2"));
        assert_eq!((status, all.contains(&"10.0.0.2".to_string())), (5, true), "{bad}");
    }
}
