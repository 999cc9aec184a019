use super::*;
use std::process::{Command, Stdio};

const MAPS: &str = "\
55d000000000-55d000952000 r--p 00000000 fe:00 2621514                    /usr/sbin/steadfastd
55d000952000-55d002263000 r-xp 00951000 fe:00 2621514                    /usr/sbin/steadfastd
55d010000000-55d010021000 rw-p 00000000 00:00 0                          [heap]
7f1000000000-7f1000028000 r--p 00000000 fe:00 100                        /usr/lib/x86_64-linux-gnu/libc.so.6
7f1000028000-7f10001b0000 r-xp 00028000 fe:00 100                        /usr/lib/x86_64-linux-gnu/libc.so.6
7f1000200000-7f1000201000 rwxp 00000000 00:00 0
7ffd00000000-7ffd00021000 rw-p 00000000 00:00 0                          [stack]
";

#[test]
fn an_address_is_told_as_addr2line_wants_it() {
    // the segment lies elsewhere in the file than in memory: the address counts
    assert_eq!(locate(MAPS, 0x55d0_0095_2d00).as_deref(), Some("steadfastd+0x952d00"));
    assert_eq!(locate(MAPS, 0x7f10_0002_9000).as_deref(), Some("libc.so.6+0x29000"));
    assert_eq!(locate(MAPS, 0x7f10_0020_0010).as_deref(), Some("memory without a file+0x10"));
    assert_eq!(locate(MAPS, 0x7ffd_0000_0008).as_deref(), Some("[stack]+0x8"));
    assert_eq!(locate(MAPS, 0x1000), None);
    assert_eq!(
        locate(&MAPS.replace("steadfastd", "steadfastd (deleted)"), 0x55d0_0095_2d00).as_deref(),
        Some("steadfastd (deleted)+0x952d00")
    );
}

#[test]
fn the_last_two_words_are_stack_and_program() {
    assert_eq!(registers("-1 0x7ffd00000000 0x55d000952d00\n"), Some((0x7ffd_0000_0000, 0x55d0_0095_2d00)));
    assert_eq!(
        registers("232 0x5 0x7ff 0x400 0xffff 0x0 0x0 0x7ffd00000010 0x7f1000029000"),
        Some((0x7ffd_0000_0010, 0x7f10_0002_9000))
    );
    for none in ["running", "", "0", "-1 0x 0x1", "-1 12 13"] {
        assert_eq!(registers(none), None, "{none}");
    }
}

/// A program that ends with the test, however that ends.
struct Program(std::process::Child);

impl Program {
    fn start(argv: &[&str]) -> (Program, i32) {
        let (program, arguments) = argv.split_first().expect("program");
        let child =
            Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
        let pid = i32::try_from(child.id()).expect("pid");
        (Program(child), pid)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn state(pid: i32) -> char {
    let text = read(pid, "stat");
    text.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).expect("state")
}

/// And it runs on.
#[test]
fn one_that_loops_is_stopped_for_a_moment_and_one_that_waits_is_not() {
    for (script, runs) in [("echo; while :; do :; done", true), ("echo; read line", false)] {
        let (mut program, pid) = Program::start(&["sh", "-c", script]);
        let mut said = [0];
        let out = program.0.stdout.as_mut().expect("pipe");
        std::io::Read::read_exact(out, &mut said).expect("it has begun");
        let until = Instant::now() + Duration::from_secs(10);
        while state(pid) != if runs { 'R' } else { 'S' } && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        let text = trace(pid);
        let shell = std::fs::canonicalize("/bin/sh").expect("sh");
        let name = shell.file_name().expect("name").to_string_lossy();
        assert!(text.contains(&format!("{name}+0x")), "{script}: {text}");
        assert_eq!(text.matches(", then ").count() > 0, runs, "{script}: {text}");
        let runs_on = || state(pid) != 'T';
        while !runs_on() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(runs_on(), "{script}: it was left stopped");
        drop(program);
        assert!(!trace(pid).contains("+0x"), "of one that is gone nothing is known");
    }
}

/// Whoever stopped it is to let it go.
#[test]
fn one_that_somebody_else_stopped_stays_stopped() {
    let (_program, pid) = Program::start(&["sleep", "1000"]);
    spawn::signal(pid, libc::SIGSTOP);
    let until = Instant::now() + Duration::from_secs(10);
    while state(pid) != 'T' && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    let text = trace(pid);
    assert!(text.contains("state T (stopped)") && text.contains("+0x"), "{text}");
    assert_eq!(state(pid), 'T');
}
