//! Files that would cost time or memory, hide something or show what is secret.

use std::path::Path;
use std::time::{Duration, Instant};
use steadfast_config::diag::{Class, render};
use steadfast_config::host::FakeHost;
use steadfast_config::source::{FsReader, Options};
use steadfast_config::{Outcome, load};

mod common;
use common::read;

fn load_file(path: &Path) -> Outcome {
    let host = FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
    load(path, &FsReader, &Options::default(), &host)
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        std::fs::write(path, text).expect("file");
    }
    folder
}

fn said(outcome: &Outcome) -> Vec<&str> {
    outcome.diagnostics.iter().map(|d| d.message.as_str()).collect()
}

fn names(outcome: &Outcome) -> Vec<&str> {
    outcome.config.files.iter().map(|f| f.name.as_str()).collect()
}

fn tracked(name: &str) -> String {
    format!("track_file {name} {{\nfile /run/{name}\n}}\n")
}

/// What is put aside by a dot, or lies there for a moment while somebody writes, is no part of it.
#[test]
fn a_pattern_passes_over_names_that_begin_with_a_dot() {
    let (a, hidden) = (tracked("a"), tracked("hidden"));
    for (pattern, wanted) in [
        ("parts/*", vec!["a"]),
        ("parts/*.conf", vec!["a"]),
        ("parts/?hidden.conf", vec![]),
        ("parts/.*.conf", vec!["hidden"]),
        ("parts/[^b].conf", vec!["a"]),
    ] {
        let folder =
            folder(&[("main", &format!("include {pattern}\n")), ("parts/a.conf", &a), ("parts/.hidden.conf", &hidden)]);
        assert_eq!(names(&load_file(&folder.path().join("main"))), wanted, "{pattern}");
    }
}

/// The folder of the file that includes is a name and no pattern.
#[test]
fn the_folder_of_a_file_is_no_part_of_a_pattern() {
    let folder = folder(&[("site[1]/main", "include *.conf\n"), ("site[1]/a.conf", &tracked("a"))]);
    assert_eq!(names(&load_file(&folder.path().join("site[1]/main"))), ["a"]);
}

/// A pipe that nobody writes to would hold the daemon for ever.
#[test]
fn a_pipe_or_a_socket_is_reported_and_not_waited_for() {
    let folder = folder(&[("main", "include fifo\ninclude socket\ninclude good\n"), ("good", &tracked("a"))]);
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).expect("socket");
    let main = folder.path().join("main");
    let (done, waits) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = done.send((load_file(&main), load_file(&fifo)));
    });
    let (included, alone) = waits.recv_timeout(Duration::from_secs(20)).expect("it waits for somebody to write");
    assert_eq!(said(&included).iter().filter(|m| m.contains("no regular file")).count(), 2, "{:?}", said(&included));
    assert_eq!(names(&included), ["a"]);
    assert!(alone.unreadable && said(&alone).iter().any(|m| m.contains("no regular file")), "{:?}", said(&alone));
}

/// A process substitution of the shell is a pipe that somebody writes to.
#[test]
fn a_pipe_of_the_shell_is_a_file() {
    let (reader, mut writer) = std::io::pipe().expect("pipe");
    std::io::Write::write_all(&mut writer, tracked("a").as_bytes()).expect("write");
    drop(writer);
    let path = format!("/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&reader));
    assert_eq!(names(&load_file(Path::new(&path))), ["a"]);
}

fn quick(text: &str) -> Outcome {
    let begun = Instant::now();
    let outcome = read(text);
    assert!(begun.elapsed() < Duration::from_secs(40), "{:?}", begun.elapsed());
    outcome
}

/// What is repeated within what is repeated counts together.
#[test]
fn repetitions_within_repetitions_end_at_the_limit() {
    for outer in [1000, 100_000] {
        let outcome = quick(&format!("~SEQ(a, 1, {outer}) ~SEQ(b, 1, 200000) x$b\n"));
        assert!(said(&outcome).iter().any(|m| m.contains("too many expansions")), "{:?}", said(&outcome).first());
    }
}

/// Each reading of a file that includes itself twice under another definition doubles what is still to be read.
#[test]
fn files_that_include_each_other_under_other_definitions_end_at_the_limit() {
    let folder = folder(&[("main", "~SEQ(r,1) $X=${_RANDOM}\ninclude main\ninclude main\n")]);
    let begun = Instant::now();
    let outcome = load_file(&folder.path().join("main"));
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
    assert!(outcome.diagnostics.include_failed);
    assert!((1000..=10_000).contains(&outcome.files.all().len()), "{}", outcome.files.all().len());
}

/// However many notes there are, a fault is a fault.
#[test]
fn a_fault_behind_many_notes_counts_and_is_shown() {
    let notes = "router_id a b\n".repeat(2500);
    let text = |fault: &str| format!("global_defs {{\n{notes}}}\n{fault}\n");
    assert_eq!(read(&text("")).diagnostics.exit_status(), 0);
    let good = read(&text("")).diagnostics.faults();
    let outcome = read(&text("vrrp_instance A {\ninterface\n}\nnonsense 1"));
    assert_eq!(outcome.diagnostics.exit_status(), 2);
    assert_eq!(steadfast_config::run_failure(&outcome), Some(2));
    assert!(outcome.diagnostics.faults().len() > good.len());
    assert!(said(&outcome).iter().any(|m| m.contains("nonsense")));
    // and one fault behind many
    let outcome = read(&format!("{}vrrp_instance A {{\ninterface\n}}\n", "nonsense 1\n".repeat(2500)));
    assert_eq!(outcome.diagnostics.exit_status(), 2);
    let other = read(&format!("{}vrrp_instance A {{\nrubbish\n}}\n", "nonsense 1\n".repeat(2500)));
    assert_ne!(outcome.diagnostics.faults(), other.diagnostics.faults());
}

/// A text that is no configuration at all.
#[test]
fn unknown_words_by_the_hundred_thousand_take_a_moment() {
    let outcome = quick(&"prioritiy 1\n".repeat(100_000));
    assert!(outcome.diagnostics.summary().contains("98"), "{}", outcome.diagnostics.summary());
}

#[test]
fn nul_and_length_count_in_the_lines_that_a_definition_goes_on_in() {
    let outcome = read("$A=a \\\n b\0c \\\n d\nrouter_id x\n");
    assert!(said(&outcome).iter().any(|m| m.contains("NUL byte")), "{:?}", said(&outcome));
}

/// Nothing that stands behind a word of secrets is repeated.
#[test]
fn a_secret_of_two_words_is_not_shown() {
    let outcome = read(
        "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nauthentication {\nauth_type PASS\nauth_pass correct horse\n}\nvirtual_ipaddress { 10.0.0.1 }\n}\nSSL {\npassword battery staple\n}\n",
    );
    assert!(outcome.diagnostics.iter().any(|d| d.message.contains("auth_pass takes one value")));
    let shown = render(&outcome.diagnostics, &outcome.files, false);
    for word in ["horse", "staple"] {
        assert!(!shown.contains(word) && !said(&outcome).concat().contains(word), "{shown}");
    }
    assert!(!format!("{:?}", outcome.config).contains("battery"));
}

/// Two that send the same to the same peers are one to them.
#[test]
fn unicast_instances_of_one_router_id_need_other_peers() {
    let one = |name: &str, peers: &str| {
        let peers = if peers.is_empty() { String::new() } else { format!("unicast_peer {{\n{peers}\n}}\n") };
        format!(
            "vrrp_instance {name} {{\ninterface eth0\nvirtual_router_id 5\n{peers}virtual_ipaddress {{\n10.0.0.{}\n}}\n}}\n",
            name.len()
        )
    };
    for (first, second, good) in [
        ("10.9.9.8", "10.9.9.9", true),
        ("10.9.9.9", "10.9.9.9", false),
        ("10.9.9.7\n10.9.9.9", "10.9.9.9", false),
        ("10.9.9.9", "", true),
        ("", "10.9.9.9", true),
        ("", "", false),
    ] {
        let outcome = read(&(one("A", first) + &one("BB", second)));
        let status = outcome.diagnostics.exit_status();
        assert_eq!((status, outcome.config.refused), if good { (0, false) } else { (5, true) }, "{first} {second}");
    }
}

#[test]
fn the_older_spelling_of_a_tracked_file_is_looked_at_as_closely() {
    for word in ["track_file", "vrrp_track_file"] {
        let outcome = read(&format!("{word} NAME {{\n}}\n"));
        assert!(outcome.diagnostics.iter().any(|d| d.class > Class::Unsupported), "{word}: {:?}", said(&outcome));
    }
}

#[test]
fn an_unknown_group_of_a_script_is_no_silence() {
    let outcome = read(
        "vrrp_instance A {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress { 10.0.0.1 }\nnotify \"/bin/true\" root nosuchgroup\n}\n",
    );
    assert!(said(&outcome).iter().any(|m| m.contains("nosuchgroup")), "{:?}", said(&outcome));
}

/// What the host lacks for a moment is no fault of the file: a reload meanwhile is taken over, and nothing of it is lost.
#[test]
fn a_name_server_that_is_away_costs_no_reload_and_no_mail() {
    let outcome = read("global_defs {\nsmtp_server mail.example.net 2525\n}\n");
    assert_eq!(outcome.config.globals.smtp_server, Some(("mail.example.net".into(), 2525)));
    assert_eq!((outcome.diagnostics.exit_status(), outcome.diagnostics.faults()), (5, vec![]));
}
