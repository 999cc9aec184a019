use super::*;
use crate::spawn::{End, Output, Spec, end_of, spawn_heard};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

fn file(folder: &Path, name: &str, text: &[u8]) -> PathBuf {
    let path = folder.join(name);
    // Not by this process: a program that another thread starts at that moment would have it open for writing, and it could not be run.
    let mut writer = std::process::Command::new("sh");
    let writer = writer.args(["-c", "cat > \"$0\" && chmod 755 \"$0\""]).arg(&path).stdin(std::process::Stdio::piped());
    let mut writer = writer.spawn().expect("a shell");
    io::Write::write_all(&mut writer.stdin.take().expect("pipe"), text).expect("file");
    assert!(writer.wait().expect("its end").success());
    path
}

fn any(path: &Path) -> Result<Opened, Closed> {
    open(path, &|_, _, _| None, 40, &|_| "too many".into())
}

/// Starts what is open under these words: what it writes, and how it ends.
fn run(opened: Opened, argv: &[&str]) -> io::Result<(String, Option<End>)> {
    let words = argv.iter().map(Into::into).collect();
    let spec =
        Spec { argv: words, argv0: Some("its name".into()), opened: Some(opened), group: true, ..Default::default() };
    let (pid, output) = spawn_heard(&spec)?;
    let end = end_of(pid, Duration::from_secs(10));
    Ok((text(output), end))
}

fn text(mut output: Output) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(n @ 1..) = output.read(&mut buffer) {
        all.extend_from_slice(&buffer[..n]);
    }
    String::from_utf8(all).expect("text")
}

#[test]
fn what_was_opened_is_what_runs_whatever_has_its_name_since() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "check", b"#!/bin/sh\necho \"former $0 $*\"\nexit 7\n");
    let opened = any(&path).expect("it is there");
    std::fs::rename(file(folder.path(), "other", b"#!/bin/sh\necho another\n"), &path).expect("exchange");
    let (said, end) = run(opened, &[path.to_str().expect("text"), "one", "two three"]).expect("it starts");
    assert_eq!(end, Some(End::Exited(7)), "{said}");
    let words: Vec<&str> = said.split_whitespace().collect();
    assert!(words[1].strip_prefix("/dev/fd/").is_some_and(|n| n.parse::<u32>().is_ok()), "{said}");
    assert_eq!((words[0], &words[2..]), ("former", &["one", "two", "three"][..]), "{said}");
    // A program of the machine's: by its name, and nothing of ours is left open in it.
    let path = file(folder.path(), "cat", &std::fs::read("/bin/cat").expect("a program"));
    let opened = any(&path).expect("it is there");
    std::fs::rename(file(folder.path(), "other", b"#!/bin/sh\necho another\n"), &path).expect("exchange");
    let (said, end) = run(opened.clone(), &["/no/such/file", "/proc/self/cmdline"]).expect("it starts");
    assert_eq!((said.as_str(), end), ("its name\0/proc/self/cmdline\0", Some(End::Exited(0))));
    let (said, end) =
        run(opened.clone(), &["x", &format!("/proc/self/fdinfo/{}", opened.fd.as_raw_fd())]).expect("it starts");
    assert_ne!(end, Some(End::Exited(0)), "{said}");
}

#[test]
fn what_cannot_be_executed_fails_as_it_does_by_its_path() {
    let folder = tempfile::tempdir().expect("folder");
    let plain = file(folder.path(), "plain", b"#!/bin/sh\n");
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o644)).expect("mode");
    for (path, error) in [
        (file(folder.path(), "absent", b"#!/no/such/interpreter\n"), libc::ENOENT),
        (plain, libc::EACCES),
        (folder.path().to_path_buf(), libc::EACCES),
    ] {
        let failed = run(any(&path).expect("it is there"), &["x"]).expect_err("it does not start");
        assert_eq!(failed.raw_os_error(), Some(error), "{}: {failed}", path.display());
    }
}

/// As execvp has it read by a shell.
#[test]
fn a_text_without_a_first_line_is_the_shells() {
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "text", b"echo \"$0 $*\"\nexit 3\n");
    let (said, end) = run(any(&path).expect("it is there"), &["x", "one", "two three"]).expect("it starts");
    assert!(said.starts_with("/dev/fd/") && said.ends_with(" one two three\n"), "{said}");
    assert_eq!(end, Some(End::Exited(3)));
}

/// Perl takes /dev/fd/N for the descriptor itself.
#[test]
fn an_interpreter_may_read_by_the_descriptor() {
    if !Path::new("/usr/bin/perl").exists() {
        println!("SKIPPED: perl is not there");
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let path = file(folder.path(), "check", b"#!/usr/bin/perl\nprint \"@ARGV\\n\";\nexit 5;\n");
    let (said, end) = run(any(&path).expect("it is there"), &["x", "one"]).expect("it starts");
    assert_eq!((said.as_str(), end), ("one\n", Some(End::Exited(5))));
}

/// What others may put into a folder, where it is not there yet.
#[test]
fn an_absent_file_is_refused_where_others_could_put_it() {
    let folder = tempfile::tempdir().expect("folder");
    let shared = folder.path().join("shared");
    std::fs::create_dir(&shared).expect("folder");
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o1777)).expect("mode");
    let rule = |place: &Path, _: (u32, u32), mode: u32| {
        (place == shared && mode & 0o1002 == 0o002).then(|| "writable by everybody".to_string())
    };
    let look = |path: &Path| open(path, &rule, 3, &|_| "too many".into());
    assert!(matches!(look(&shared.join("check")), Err(Closed::Refused(_))));
    assert!(matches!(look(&folder.path().join("check")), Err(Closed::Absent(_))));
    file(&shared, "check", b"#!/bin/sh\n");
    assert!(look(&shared.join("check")).is_ok());
}

#[test]
fn each_part_of_the_way_is_asked_about_and_links_are_followed_so_far() {
    let folder = tempfile::tempdir().expect("folder");
    let top = folder.path().canonicalize().expect("path");
    std::fs::create_dir_all(top.join("a/b")).expect("folders");
    let target = file(&top.join("a"), "check", b"#!/bin/sh\necho there\n");
    symlink("../../a/check", top.join("a/b/link")).expect("link");
    let asked = std::cell::RefCell::new(Vec::new());
    let rule = |place: &Path, _: (u32, u32), mode: u32| {
        let kind = mode & libc::S_IFMT;
        asked.borrow_mut().push((place.to_path_buf(), kind));
        (place.ends_with("refused")).then(|| "no".to_string())
    };
    let look = |path: &Path| {
        asked.borrow_mut().clear();
        open(path, &rule, 3, &|path| format!("{} has too many", path.display()))
    };
    let opened = look(&top.join("a/b/link")).expect("it is there");
    let seen: Vec<_> = asked.borrow().iter().rev().take(6).rev().cloned().collect();
    let (dir, link) = (libc::S_IFDIR, libc::S_IFLNK);
    let parts = [("a/b", dir), ("a/b/link", link), ("a", dir), ("", dir), ("a", dir), ("a/check", libc::S_IFREG)];
    for ((place, kind), (wanted, what)) in seen.iter().zip(parts) {
        assert_eq!((place.as_path(), *kind), (top.join(wanted).components().as_path(), what));
    }
    assert_eq!(asked.borrow()[0], (PathBuf::from("/"), dir), "the root is a part, too");
    assert_eq!(run(opened, &["x"]).expect("it starts").0, "there\n");
    // What is absent, or behind what is no folder, is not asked about.
    for path in [top.join("a/none/check"), target.join("more"), top.join("none")] {
        assert!(matches!(look(&path), Err(Closed::Absent(_))), "{}", path.display());
    }
    std::fs::create_dir(top.join("refused")).expect("folder");
    assert!(matches!(look(&top.join("refused/none")), Err(Closed::Refused(why)) if why == "no"));
    for (name, to) in [("1", "2"), ("2", "3"), ("3", "4"), ("4", "a/check"), ("loop", "loop")] {
        symlink(to, top.join(name)).expect("link");
    }
    assert!(look(&top.join("2")).is_ok());
    for path in [top.join("1"), top.join("loop")] {
        assert!(matches!(look(&path), Err(Closed::Refused(why)) if why == format!("{} has too many", path.display())));
    }
}
