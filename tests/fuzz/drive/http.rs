//! Any bytes as an HTTP answer: the verdict does not depend on how they are cut.

use steadfast_checkers::dialogue::{Exchange, Http};
use steadfast_checkers::{HttpCheck, HttpVersion, Rule, Target, Url, compile_rule};

/// One input.
pub fn drive(bytes: &[u8]) {
    let target = Target::new(([192, 0, 2, 1], 80).into());
    let check = HttpCheck { target, tls: None, version: HttpVersion::V11, urls: [].into() };
    let rule = Rule { pattern: "o+k|[0-9]{3}$".into(), max_offset: Some(90_000), ..Rule::default() };
    let url = Url {
        path: "/".into(),
        digest: Some([0; 16]),
        status: vec![(0, 999)],
        regex: Some(rule.clone()),
        ..Url::default()
    };
    let plain = Url { path: "/".into(), ..Url::default() };
    let regex = compile_rule(&rule).ok();
    for url in [url, plain] {
        let play = |portion| Exchange::Http(Box::new(Http::new(&check, &url, regex.as_ref()))).play(bytes, portion);
        let whole = play(usize::MAX);
        assert!(whole.is_some(), "the end of the stream is a verdict");
        assert_eq!(whole, play(1));
        assert_eq!(whole, play(7));
    }
}
