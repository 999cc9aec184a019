use crate::testkit::*;
use crate::*;
use std::time::Duration;

const A: &str = "10.0.0.1:80";

/// One program of two seconds' patience, which was good and does not end any more.
fn hanging() -> World {
    let kind = CheckKind::Misc { script: script("/probe x"), timeout: Duration::from_secs(2), dynamic: false };
    let check = Check { kind, timing: Timing { retry: 0, ..timing() } };
    let mut w = world(service(vec![server(A, 1, check)]));
    w.exits.insert("/probe x".into(), 0);
    w.run(3.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    w.exits.clear();
    w.run(1.2);
    w
}

#[test]
fn nobody_is_judged_while_the_starter_of_programs_is_silent() {
    let mut w = hanging();
    w.pool.hold_scripts(true, w.now);
    w.run(5.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    // It is there again, or another one that has begun it anew: all of its time.
    w.pool.hold_scripts(false, w.now);
    w.run(1.8);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    w.run(0.4);
    assert_eq!(w.table(), "", "it does hang");
}

#[test]
fn a_starter_that_is_silent_again_and_again_saves_no_program_that_hangs() {
    let mut w = hanging();
    for _ in 0..10 {
        w.pool.hold_scripts(true, w.now);
        w.run(0.4);
        w.pool.hold_scripts(false, w.now);
        w.run(0.6);
    }
    assert_eq!(w.table(), "");
}
