//! Replays the fuzzing seeds in every run.
#![allow(clippy::disallowed_methods)] // a test may read files; the machine may not

use std::path::Path;
use steadfast_checkers::dialogue::{Agent, Dns, Exchange, Failure, Http, Http2, Ping, Smtp, Step, Success, Udp};
use steadfast_checkers::{HttpCheck, HttpVersion, Reply, Target, Url};
use steadfast_core::Family;

type Verdict = Option<Result<Success, Failure>>;

fn http() -> Exchange {
    let target = Target::new(([192, 0, 2, 1], 80).into());
    let check = HttpCheck { target, tls: None, version: HttpVersion::V11, urls: [].into() };
    Exchange::Http(Box::new(Http::new(&check, &Url { path: "/".into(), ..Url::default() }, None)))
}

/// Plays each seed of a folder: the verdict by name.
fn verdicts(folder: &str, play: impl Fn(&[u8]) -> Verdict) -> Vec<(String, Verdict)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(folder);
    let entries = std::fs::read_dir(folder).expect("seeds").flatten();
    let all: Vec<_> = entries
        .map(|e| (e.file_name().to_string_lossy().into_owned(), play(&std::fs::read(e.path()).expect("seed"))))
        .collect();
    assert!(!all.is_empty());
    all
}

/// Only these seeds are answers of a server that is well.
fn only(good: &[&str], verdicts: Vec<(String, Verdict)>) {
    for (name, verdict) in verdicts {
        assert_eq!(matches!(verdict, Some(Ok(_))), good.contains(&name.as_str()), "{name}: {verdict:?}");
    }
}

#[test]
fn the_seeds_of_the_fuzzer_get_the_right_verdict() {
    only(
        &["plain", "chunked", "interim"],
        verdicts("http", |bytes| {
            let whole = http().play(bytes, usize::MAX);
            assert_eq!(whole, http().play(bytes, 1));
            whole
        }),
    );
    only(
        &["good"],
        verdicts("smtp", |bytes| {
            let whole = Exchange::Smtp(Smtp::new("me")).play(bytes, usize::MAX);
            assert_eq!(whole, Exchange::Smtp(Smtp::new("me")).play(bytes, 1));
            whole
        }),
    );
    only(&["all", "down"], verdicts("agent", |bytes| Exchange::Agent(Agent::new(b"")).play(bytes, usize::MAX)));
    only(
        &["good"],
        verdicts("dns", |bytes| match Dns::new("www.example", 1, 7).expect("a name").reply(bytes) {
            Step::Done(result, _) => Some(result),
            _ => None,
        }),
    );
    only(
        &["page", "body"],
        verdicts("http2", |bytes| {
            let target = Target::new(([192, 0, 2, 1], 80).into());
            let check = HttpCheck { target, tls: None, version: HttpVersion::V2, urls: [].into() };
            let client = || Http2::page(&check, &Url { path: "/".into(), ..Url::default() }, None).expect("a request");
            let whole = Exchange::Http2(Box::new(client())).play(bytes, usize::MAX);
            let pieces = Exchange::Http2(Box::new(client())).play(bytes, 1);
            assert_eq!(matches!(whole, Some(Ok(_))), matches!(pieces, Some(Ok(_))));
            whole
        }),
    );
    only(
        &["good"],
        verdicts("datagram", |bytes| {
            let wanted = Reply { pattern: vec![(0xab, 0xff), (0xc0, 0xf0), (1, 0xff)], min: 2, max: 4 };
            let _ = Ping::new(Family::V4, 7).reply(bytes);
            match Udp::new(b"question", 7, Some(&wanted)).reply(bytes) {
                Step::Done(result, _) => Some(result),
                _ => None,
            }
        }),
    );
}
