use super::*;
use proptest::prelude::*;

fn script(rise: u32, fall: u32) -> Script {
    Script::new(
        ScriptConfig {
            name: "s".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            rise,
            fall,
            init_fail: false,
            command: "s".into(),
        },
        None,
    )
}

fn run(s: &mut Script, status: i32) -> Option<bool> {
    assert!(s.due());
    s.ended(ScriptEnd::Exited(status));
    s.verdict()
}

#[test]
fn the_first_result_decides_at_once_and_later_ones_are_counted() {
    let mut s = script(3, 2);
    assert_eq!(s.verdict(), None);
    assert_eq!(run(&mut s, 0), Some(true));
    assert_eq!(run(&mut s, 1), Some(true));
    assert_eq!(run(&mut s, 1), Some(false));
    assert_eq!(run(&mut s, 0), Some(false));
    assert_eq!(run(&mut s, 0), Some(false));
    assert_eq!(run(&mut s, 0), Some(true));
    let mut s = script(3, 2);
    assert_eq!(run(&mut s, 1), Some(false));
}

#[test]
fn a_success_between_failures_starts_the_count_anew() {
    let mut s = script(1, 3);
    run(&mut s, 0);
    for _ in 0..5 {
        assert_eq!(run(&mut s, 1), Some(true));
        assert_eq!(run(&mut s, 1), Some(true));
        assert_eq!(run(&mut s, 0), Some(true));
    }
}

#[test]
fn init_fail_assumes_the_worst_until_the_first_result() {
    let fresh = || Script::new(ScriptConfig { init_fail: true, ..script(3, 2).config }, None);
    let mut s = fresh();
    assert_eq!(s.verdict(), Some(false));
    assert_eq!(run(&mut s, 0), Some(true), "one success, whatever `rise` says");
    // A failure counts, and is told of although it was assumed.
    let mut s = fresh();
    s.due();
    assert!(s.ended(ScriptEnd::Exited(1)).changed);
    assert_eq!((run(&mut s, 0), run(&mut s, 0), run(&mut s, 0)), (Some(false), Some(false), Some(true)));
    // What a former life found out is no assumption.
    let mut s = Script::new(fresh().config, Some(false));
    assert_eq!((run(&mut s, 0), run(&mut s, 0), run(&mut s, 0)), (Some(false), Some(false), Some(true)));
}

#[test]
fn a_run_is_not_doubled_and_ends_by_term_then_kill_then_kill_every_ten_seconds() {
    let mut s = script(1, 1);
    assert!(s.due());
    assert!(!s.due());
    let two = Duration::from_secs(2);
    assert_eq!(s.expired(), Some((Kill::Term, two)));
    assert_eq!(s.expired(), Some((Kill::Kill, two)));
    assert_eq!(s.expired(), Some((Kill::Kill, Duration::from_secs(10))));
    assert_eq!(s.expired(), Some((Kill::Kill, Duration::from_secs(10))));
    let outcome = s.ended(ScriptEnd::Signalled(15));
    assert!(outcome.timed_out && outcome.changed);
    assert_eq!((s.verdict(), s.expired()), (Some(false), None));
}

#[test]
fn exit_0_after_our_signal_is_no_success() {
    let mut s = script(1, 1);
    s.due();
    s.expired();
    s.ended(ScriptEnd::Exited(0));
    assert_eq!(s.verdict(), Some(false));
}

#[test]
fn a_former_commands_result_means_nothing() {
    let mut s = script(1, 1);
    s.wait_for_former();
    assert!(!s.due());
    let nothing = Outcome { overdue: true, ..Outcome::default() };
    assert_eq!(s.ended(ScriptEnd::Exited(1)), nothing, "but that the present one was due");
    assert_eq!(s.verdict(), None);
    assert_eq!(run(&mut s, 0), Some(true));
}

proptest! {
    /// The verdict turns after exactly `fall` failures and `rise` successes in a row, whatever went before.
    #[test]
    fn runs_of_equal_results_decide(rise in 1u32..6, fall in 1u32..6, past in prop::collection::vec(any::<bool>(), 0..30)) {
        let mut s = script(rise, fall);
        for ok in past {
            run(&mut s, i32::from(!ok));
            prop_assert!(s.counter < rise + fall);
        }
        for _ in 0..rise.max(fall) {
            run(&mut s, 0);
        }
        prop_assert_eq!(s.verdict(), Some(true));
        for k in 1..=fall {
            run(&mut s, 1);
            prop_assert_eq!(s.verdict(), Some(k < fall));
        }
        for k in 1..=rise {
            run(&mut s, 0);
            prop_assert_eq!(s.verdict(), Some(k >= rise));
        }
    }
}

#[test]
fn a_host_without_processes_says_nothing_of_what_a_script_looks_at() {
    let mut s = script(1, 1);
    for known in [None, Some(true)] {
        assert!(s.due());
        assert_eq!(s.ended(ScriptEnd::Unable), Outcome::default());
        assert_eq!((s.verdict(), s.running()), (known, false));
        assert_eq!(run(&mut s, 0), Some(true));
    }
    assert!(s.due());
    s.ended(ScriptEnd::NotStarted);
    assert_eq!(s.verdict(), Some(false), "one that cannot be started has failed");
}
