//! Scripts that will not run are named before they are missed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use steadfast_config::source::Options;
use steadfast_config::{Host, SystemHost, load_text};

#[test]
fn a_script_that_will_not_run_is_noted_wherever_it_is_named() {
    if SystemHost.own_user().0 != 0 {
        println!("SKIPPED: scripts that only root can change (only root can make them)");
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let make = |name: &str, text: &str, mode: u32| {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("mode");
        path.display().to_string()
    };
    let good = make("good", "#!/bin/sh\n", 0o755);
    let plain = make("plain", "#!/bin/sh\n", 0o644);
    let orphan = make("orphan", "#!/nowhere/python -u\n", 0o755);
    let crlf = make("crlf", "#!/bin/sh\r\nexit 0\r\n", 0o755);
    let open = make("open", "#!/bin/sh\n", 0o777);
    let text = format!(
        "global_defs {{\n enable_script_security\n script_user root\n startup_script /nowhere/start\n}}\n\
         vrrp_script S {{\n script {orphan}\n}}\n\
         vrrp_sync_group G {{\n group {{\n A\n B\n }}\n notify {orphan}\n notify_stop {crlf}\n}}\n\
         vrrp_instance A {{\n interface absent0\n virtual_router_id 1\n notify_master {plain}\n notify_deleted /nowhere/deleted\n \
         track_script {{\n S\n }}\n virtual_ipaddress {{\n 10.0.0.1\n }}\n}}\n\
         vrrp_instance B {{\n interface absent0\n virtual_router_id 2\n notify {open}\n notify_fault {good}\n virtual_ipaddress {{\n 10.0.0.2\n }}\n}}\n\
         virtual_server 10.0.0.3 80 {{\n protocol TCP\n lb_algo rr\n lb_kind NAT\n quorum_up /nowhere/up\n real_server 10.0.0.4 80 {{\n notify_down {good}\n }}\n}}\n"
    );
    let outcome = load_text(text, &Options::default(), &SystemHost);
    let scripts = outcome.diagnostics.iter().filter(|d| d.message.contains("script '"));
    let said: Vec<String> = scripts
        .map(|d| {
            let at = d.span.map_or(0, |s| s.line);
            // Which part of the path is open depends on where this runs.
            format!(
                "{at} {}",
                d.message.replace(&folder.display().to_string(), "").split(": '").next().unwrap_or_default()
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            "7 vrrp_script S: script '/orphan' cannot be run: its interpreter '/nowhere/python' does not exist now",
            "20 (A) notify_master script '/plain' is not executable now",
            "21 (A) notify_deleted script '/nowhere/deleted' does not exist now",
            "32 (B) notify script '/open' is unsafe, it will not be run",
            "14 (G) notify script '/orphan' cannot be run: its interpreter '/nowhere/python' does not exist now",
            "15 (G) notify_stop script '/crlf' cannot be run: its first line ends with a carriage return, which the kernel takes for a part of '/bin/sh'",
            "4 startup_script script '/nowhere/start' does not exist now",
            "38 quorum_up script '/nowhere/up' does not exist now",
        ]
    );
}

#[test]
fn the_text_of_a_shell_that_others_could_change_is_noted_before_it_is_missed() {
    if SystemHost.own_user().0 != 0 {
        println!("SKIPPED: scripts that only root can change (only root can make them)");
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o1777)).expect("mode");
    let file = folder.path().join("later").display().to_string();
    let notes = |words: &str| {
        let text = format!(
            "global_defs {{\n script_user root\n {words}\n}}\nvrrp_script S {{\n script \"/bin/sh -c '{file} -a'\"\n}}\n\
             vrrp_instance A {{\n interface lo\n virtual_router_id 1\n notify_master \"/bin/sh -c {file}\"\n track_script {{\n S\n }}\n}}\n"
        );
        let outcome = load_text(text, &Options::default(), &SystemHost);
        outcome.diagnostics.iter().filter(|d| d.message.contains("is unsafe, it will not be run")).count()
    };
    assert_eq!((notes("enable_script_security"), notes("")), (2, 0));
}

#[test]
fn a_start_of_what_nobody_looks_at_is_noted() {
    let notes = |words: &str| {
        let outcome = load_text(format!("global_defs {{\n {words}\n}}\n"), &Options::default(), &SystemHost);
        let notes: Vec<_> =
            outcome.diagnostics.iter().map(|d| (d.span.map_or(0, |s| s.line), d.message.clone())).collect();
        notes.into_iter().filter(|(_, text)| text.contains("scripts_by_descriptor")).collect::<Vec<_>>()
    };
    let said = notes("script_user root\n scripts_by_descriptor");
    assert_eq!(said.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3], "{said:?}");
    assert!(said[0].1.contains("does nothing without enable_script_security"), "{said:?}");
    assert!(notes("enable_script_security\n scripts_by_descriptor").is_empty());
    assert!(notes("scripts_by_descriptor off").is_empty());
}

/// As keepalived 2.2.7 runs them, seen beside it; unquoted arguments, which it throws away, are arguments.
#[test]
fn commands_are_quoted_as_with_keepalived() {
    let cases: &[(&str, &[&str])] = &[
        (r#""/bin/true a b""#, &["a", "b"]),
        (r"'/bin/true a b'", &["a", "b"]),
        (r#""/bin/true \"two words\" c""#, &["two words", "c"]),
        (r#"'/bin/true "two words" c'"#, &["two words", "c"]),
        (r#""/bin/true 'two words' c""#, &["two words", "c"]),
        (r#""/bin/true two\ words""#, &["two", "words"]),
        (r"'/bin/true two\ words'", &["two", "words"]),
        (r#""/bin/true a \\ x""#, &["a", " x"]),
        (r#""/bin/true a \t x\x41""#, &["a", "xA"]),
        (r"'/bin/true \. \d'", &[".", "d"]),
        (r#""/bin/true '\\.ok' ''""#, &[".ok", ""]),
        (r#""/bin/true" root"#, &[]),
        (r"'/bin/true' root", &[]),
        (r#""/bin/true a"b"#, &["ab"]),
        (r"/bin/true\ a", &["a"]),
        (r#"/bin/true a "two words""#, &["a", "two words"]),
    ];
    for (text, arguments) in cases {
        let file = format!(
            "global_defs {{\n script_user root\n}}\nvrrp_script S {{\n script {text}\n}}\n\
             vrrp_instance A {{\n interface absent0\n virtual_router_id 1\n notify {text}\n virtual_ipaddress {{\n 10.0.0.1\n }}\n}}\n"
        );
        let outcome = load_text(file, &Options::default(), &SystemHost);
        let argv =
            |s: Option<&steadfast_config::model::Script>| s.map(|s| s.argv.iter().skip(1).cloned().collect::<Vec<_>>());
        let tracked = argv(outcome.config.scripts.first().and_then(|s| s.script.as_ref()));
        let told = argv(outcome.config.instances.first().and_then(|i| i.notify.as_ref()));
        let wanted = Some(arguments.iter().map(|a| a.to_string()).collect::<Vec<_>>());
        assert_eq!(tracked, wanted, "script {text}");
        // There a user may follow.
        if !text.starts_with("/bin/true a") {
            assert_eq!(told, wanted, "notify {text}");
        }
    }
}
