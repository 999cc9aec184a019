//! Regular expressions over bodies that come in parts.

use super::*;
use proptest::prelude::*;

fn rule(pattern: &str) -> Rule {
    Rule { pattern: pattern.into(), ..Rule::default() }
}

fn run(rule: &Rule, parts: &[&[u8]]) -> bool {
    let mut search = Search::new(&compile(rule).unwrap(), rule);
    parts.iter().for_each(|p| search.feed(p));
    search.finish()
}

#[test]
fn anchors_mean_the_body_not_the_window() {
    let body = [b'x'; 3 * WINDOW];
    assert!(run(&rule("^x"), &[&body]));
    assert!(!run(&rule("^y"), &[&body, b"y"]));
    let mut at_window_start = body;
    at_window_start[WINDOW - OVERLAP] = b'y';
    assert!(!run(&rule("^y"), &[&at_window_start]));
    assert!(!run(&rule("y$"), &[b"y", &body]));
    let mut at_window_end = vec![b'x'; WINDOW - 1];
    at_window_end.push(b'y');
    assert!(!run(&rule("y$"), &[&at_window_end, b"x"]));
    assert!(run(&rule("y$"), &[&at_window_end]));
}

#[test]
fn dollar_before_the_closing_line_end_as_in_pcre() {
    assert!(run(&rule("OK$"), &[b"all OK\n"]));
    assert!(!run(&rule("OK$"), &[b"all OK\n\n"]));
    assert!(!run(&Rule { dollar_endonly: true, ..rule("OK$") }, &[b"all OK\n"]));
}

/// A pattern and a body which match with the option alone, or without it alone.
#[test]
fn options() {
    type Case = (&'static str, &'static [u8], bool, fn(&mut Rule));
    let cases: [Case; 7] = [
        ("OK", b"all ok", true, |r| r.caseless = true),
        ("a.b", b"a\nb", true, |r| r.dotall = true),
        ("^b$", b"a\nb\nc", true, |r| r.multiline = true),
        ("o k # fine", b"ok", true, |r| r.extended = true),
        ("o k # fine", b"o k # fine", false, |r| r.extended = true),
        ("^.$", "\u{e9}".as_bytes(), true, |r| r.utf = true),
        ("OK$", b"all OK\n", false, |r| r.dollar_endonly = true),
    ];
    for (pattern, body, wanted, set) in cases {
        let mut with = rule(pattern);
        set(&mut with);
        assert_eq!((run(&rule(pattern), &[body]), run(&with, &[body])), (!wanted, wanted), "{with:?}");
    }
}

#[test]
fn offsets() {
    let body: &[u8] = b"0123456789ok";
    for (min, max, wanted) in [
        (0, None, true),
        (10, None, true),
        (11, None, false),
        (0, Some(10), false),
        (0, Some(11), true),
        (99, None, false),
    ] {
        let rule = Rule { min_offset: min, max_offset: max, ..rule("ok") };
        assert_eq!(run(&rule, &[body]), wanted, "{min} {max:?}");
    }
    let far = Rule { min_offset: 2 * WINDOW as u64, ..rule("ok") };
    assert!(!run(&far, &[b"ok", &[b'x'; 2 * WINDOW]]));
    assert!(run(&far, &[&[b'x'; 2 * WINDOW], b"ok"]));
}

/// Each rule by the automaton, and by windows, which one that says where a match begins takes.
fn both(pattern: &str) -> [Rule; 2] {
    [rule(pattern), Rule { max_offset: Some(u64::MAX), ..rule(pattern) }]
}

#[test]
fn memory_stays_bounded_over_a_gigabyte_in_spirit() {
    for rule in both("needle") {
        let mut search = Search::new(&compile(&rule).unwrap(), &rule);
        for _ in 0..200 {
            search.feed(&[b'n'; 50_000]);
            let kept = match &search.0 {
                Way::Walk(w) => w.states.memory_usage(),
                Way::Windows(w) => w.window.capacity(),
            };
            assert!(kept <= 2 * WINDOW, "{kept}");
        }
        assert!(!search.finish());
    }
    // One that has a new state at nearly every byte.
    let many = rule("x[ab]{40}[^ab]{3}y");
    let mut search = Search::new(&compile(&many).unwrap(), &many);
    let mut noise = 1u32;
    for _ in 0..20_000 {
        noise = noise.wrapping_mul(1_103_515_245).wrapping_add(12345);
        search.feed(&[b"xab"[(noise >> 16) as usize % 3]]);
        let Way::Walk(w) = &search.0 else { panic!("windows") };
        assert!(w.states.memory_usage() <= 2 * STATES_LIMIT, "{}", w.states.memory_usage());
    }
    search.feed(&[&b"x"[..], &b"ab".repeat(20), b"---y"].concat());
    assert!(search.finish());
    assert!(compile(&Rule { pattern: "(a{1000}){1000}".into(), ..Rule::default() }).is_err());
}

/// A match may be as long as the body.
#[test]
fn a_match_over_a_whole_page() {
    let page = [&b"<html>\n"[..], &b"<p>all is well</p>\n".repeat(20_000), b"</html>\n"].concat();
    let whole = Rule { dotall: true, ..rule("<html>.*</html>") };
    for cut in [1, 1000, 70_000, page.len()] {
        let parts: Vec<&[u8]> = page.chunks(cut).collect();
        assert!(run(&whole, &parts), "{cut}");
        assert!(run(&Rule { pattern: "^<html>.*</html>$".into(), ..whole.clone() }, &parts), "{cut}");
        assert!(!run(&Rule { dotall: false, ..whole.clone() }, &parts), "{cut}");
        assert!(!run(&Rule { min_offset: 1, ..whole.clone() }, &parts), "{cut}");
    }
}

#[test]
fn words_of_a_text_in_unicode() {
    let words = Rule { utf: true, ..rule("\\bgrün\\b") };
    assert!(run(&words, &["es ist gr".as_bytes(), "ün".as_bytes(), b"."]));
    assert!(!run(&words, &["es ist grünlich".as_bytes()]));
}

const PARTS: &[&str] = &["^", "$", "(?m:^b)", "(?m:a$)", r"\bab\b", "a+b", "b.a", "a*", "\n", "ba?"];

proptest! {
    /// ec984192: however a body is cut, and wherever a match lies, the result is that of the whole.
    #[test]
    fn partial_regex_body(before in 0usize..200_000, after in 0usize..70_000, cut in 1usize..70_000) {
        let mut body = vec![b'.'; before];
        body.extend_from_slice(b"start-of-match 0123456789 end-of-match");
        body.extend(std::iter::repeat_n(b'.', after));
        let rule = rule("start-of-match [0-9]+ end-of-match");
        let parts: Vec<&[u8]> = body.chunks(cut).collect();
        prop_assert!(run(&rule, &parts));
        let pos = before + 10;
        body[pos] = b'#';
        let parts: Vec<&[u8]> = body.chunks(cut).collect();
        prop_assert!(!run(&rule, &parts));
    }

    /// However a body is cut, the result is that of the library for the whole.
    #[test]
    fn as_the_library_has_it(
        body in "[ab\n]{0,9}",
        cut in 1usize..4,
        min in 0u64..4,
        way in 0usize..2,
        parts in proptest::collection::vec(proptest::sample::select(PARTS), 1..4),
    ) {
        let pattern = parts.concat();
        let rule = Rule { min_offset: min, dollar_endonly: true, ..both(&pattern)[way].clone() };
        let parts: Vec<&[u8]> = body.as_bytes().chunks(cut).collect();
        let whole = compile(&rule).unwrap().regex;
        let wanted = usize::try_from(min).is_ok_and(|min| min <= body.len() && whole.is_match_at(body.as_bytes(), min));
        prop_assert_eq!(run(&rule, &parts), wanted, "{:?} in {:?}", pattern, body);
    }
}
