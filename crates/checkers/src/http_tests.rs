use crate::exchange::{Step, Success};
use crate::failure::Failure;
use crate::http::Http;
use crate::{HttpCheck, HttpVersion, Rule, Target, Url, search};
use md5::{Digest, Md5};
use proptest::prelude::*;

fn check(version: HttpVersion) -> HttpCheck {
    HttpCheck { target: Target::new("192.0.2.1:8080".parse().unwrap()), tls: None, version, urls: [].into() }
}

fn url() -> Url {
    Url { path: "/x".into(), ..Url::default() }
}

fn machine(url: &Url) -> Http {
    let regex = url.regex.as_ref().map(|r| search::compile(r).unwrap());
    Http::new(&check(HttpVersion::V11), url, regex.as_ref())
}

/// Feeds `bytes` in portions of `cut`, then the end of the stream if it is not over by then.
fn run(url: &Url, bytes: &[u8], cut: usize) -> Result<Option<String>, Failure> {
    let mut http = machine(url);
    for part in bytes.chunks(cut.max(1)) {
        if let Step::Done(result, _) = http.data(part) {
            return result.map(note);
        }
    }
    match http.eof(true) {
        Step::Done(result, _) => result.map(note),
        _ => panic!("no verdict at the end"),
    }
}

fn note(success: Success) -> Option<String> {
    match success {
        Success::Fine(text) => text,
        _ => panic!(),
    }
}

/// The verdict must not depend on how the bytes arrive: whole, or split at every byte, or at one place.
fn verdict(url: &Url, bytes: &[u8]) -> Result<Option<String>, Failure> {
    let whole = run(url, bytes, usize::MAX);
    assert_eq!(whole, run(url, bytes, 1), "byte by byte");
    for cut in 1..bytes.len().min(300) {
        let mut http = machine(url);
        let outcome = match http.data(&bytes[..cut]) {
            Step::Done(result, _) => result,
            _ => match http.data(&bytes[cut..]) {
                Step::Done(result, _) => result,
                _ => match http.eof(true) {
                    Step::Done(result, _) => result,
                    _ => panic!(),
                },
            },
        };
        assert_eq!(whole, outcome.map(note), "split at {cut}");
    }
    whole
}

#[test]
fn requests_are_keepalived_s() {
    let text = |version, url: &Url| String::from_utf8(Http::new(&check(version), url, None).request()).unwrap();
    assert_eq!(
        text(HttpVersion::V10, &url()),
        "GET /x HTTP/1.0\r\nUser-Agent: KeepAliveClient\r\nHost: 192.0.2.1:8080\r\n\r\n"
    );
    let named = Url { host: Some("www.example".into()), ..url() };
    assert_eq!(
        text(HttpVersion::V11, &named),
        "GET /x HTTP/1.1\r\nUser-Agent: KeepAliveClient\r\nConnection: close\r\nHost: www.example\r\n\r\n"
    );
    assert!(
        text(HttpVersion::V10Close, &url()).contains("HTTP/1.0\r\n")
            && text(HttpVersion::V10Close, &url()).contains("close")
    );
    let evil = Url { path: "/ HTTP/1.0\r\nX: y".into(), ..url() };
    assert_eq!(text(HttpVersion::V10, &evil).matches("\r\n").count(), 4, "no line of its own");
}

#[test]
fn statuses() {
    let answer = |code: u16| format!("HTTP/1.1 {code} Some Words\r\nContent-Length: 0\r\n\r\n").into_bytes();
    assert_eq!(verdict(&url(), &answer(200)), Ok(None));
    assert_eq!(verdict(&url(), &answer(299)), Ok(None));
    assert_eq!(verdict(&url(), &answer(302)), Err(Failure::Status(302)));
    assert_eq!(verdict(&url(), &answer(503)), Err(Failure::Status(503)));
    let ranges = Url { status: vec![(200, 200), (300, 399)], ..url() };
    assert_eq!(verdict(&ranges, &answer(302)), Ok(None));
    assert_eq!(verdict(&ranges, &answer(201)), Err(Failure::Status(201)));
    let digest = Url { digest: Some(Md5::digest(b"").into()), ..url() };
    assert_eq!(verdict(&digest, &answer(500)), Ok(None), "with a digest and no list, the status does not matter");
    assert_eq!(verdict(&url(), b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), Ok(None));
    assert_eq!(
        verdict(&url(), &b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20)),
        Err(Failure::Malformed("too many interim answers"))
    );
}

#[test]
fn odd_fields_do_no_harm() {
    let odd = b"HTTP/1.1  200 OK\r\nno colon here\r\nSpace : x\r\nFolded: a\r\n b\r\nContent-Length: 2\r\n\r\nok";
    assert_eq!(verdict(&url(), odd), Ok(None));
}

#[test]
fn digests_cover_the_decoded_body() {
    let with = |body: &[u8]| Url { digest: Some(Md5::digest(body).into()), ..url() };
    let u = with(b"hello world");
    assert_eq!(verdict(&u, b"HTTP/1.0 200 OK\r\n\r\nhello world"), Ok(None));
    assert_eq!(verdict(&u, b"HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello worldtrailing"), Ok(None));
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nT: u\r\n\r\n";
    assert_eq!(verdict(&u, chunked), Ok(None));
    // what Debian's genhash prints for a chunked page: the digest of the coding
    let plain = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let genhash = 0x79e9489e3bd3f0cb0158215341de046d_u128.to_be_bytes();
    assert_eq!(verdict(&Url { digest: Some(genhash), ..url() }, plain), Ok(None));
    assert_eq!(verdict(&with(b"hello"), plain), Ok(None));
    assert!(matches!(verdict(&u, b"HTTP/1.0 200 OK\r\n\r\nhello World"), Err(Failure::Digest(_))));
    assert!(matches!(verdict(&u, b"HTTP/1.0 200 OK\r\n\r\n"), Err(Failure::Digest(_))));
}

#[test]
fn regexes() {
    let with =
        |no_match| Url { regex: Some(Rule { pattern: "stat.s: ok".into(), no_match, ..Rule::default() }), ..url() };
    let good = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsta\r\n8\r\ntus: ok.\r\n0\r\n\r\n";
    let bad = b"HTTP/1.1 200 OK\r\n\r\nstatus: bad";
    assert_eq!(verdict(&with(false), good), Ok(None));
    assert_eq!(verdict(&with(false), bad), Err(Failure::NoMatch));
    assert_eq!(verdict(&with(true), good), Err(Failure::Match));
    assert_eq!(verdict(&with(true), bad), Ok(None));
}

/// CVE-2018-19115: a status line with 4 KiB of digits and no line end.
#[test]
fn cve_2018_19115_status_line() {
    let mut bytes = b"HTTP/1.1 ".to_vec();
    bytes.extend([b'2'; 4096]);
    assert_eq!(verdict(&url(), &bytes), Err(Failure::Closed));
    bytes.extend(b"\r\n\r\n");
    assert_eq!(verdict(&url(), &bytes), Err(Failure::Malformed("HTTP header")));
}

#[test]
fn bad_answers_have_their_reason() {
    let cases: &[(&[u8], Failure)] = &[
        (b"", Failure::Closed),
        (b"\x16\x03\x01\x02\x00garbage\r\n\r\n", Failure::Malformed("HTTP header")),
        (b"220 mail ready\r\n\r\n", Failure::Malformed("HTTP header")),
        (b"HTTP/1.1 200 OK\r\n", Failure::Closed),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", Failure::Malformed("content length")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", Failure::Malformed("content length")),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", Failure::Malformed("content length")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", Failure::Malformed("unknown transfer coding")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Failure::Malformed("chunk size")),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n", Failure::Malformed("chunk size")),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
            Failure::Malformed("chunk size"),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
            Failure::Malformed("chunk does not end where it says"),
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", Failure::Closed),
    ];
    for (bytes, failure) in cases {
        assert_eq!(verdict(&url(), bytes).as_ref(), Err(failure), "{}", String::from_utf8_lossy(bytes));
    }
    let short = verdict(&url(), b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello").unwrap().unwrap();
    assert_eq!(short, "content_length (9) does not match received bytes (5)");
}

#[test]
fn endless_headers_and_bodies_are_bounded() {
    let mut http = machine(&url());
    assert_eq!(http.data(b"HTTP/1.1 200 OK\r\n"), Step::More);
    let step = (0..10_000).map(|_| http.data(b"X-Filler: yyyyyyyyyyyyyyyyyyy\r\n")).find(|s| *s != Step::More);
    assert_eq!(step, Some(Step::fail(Failure::TooLarge("HTTP header"))));
    let mut many = b"HTTP/1.1 200 OK\r\n".to_vec();
    many.extend(b"a: b\r\n".repeat(200));
    many.extend(b"\r\n");
    assert_eq!(verdict(&url(), &many), Err(Failure::TooLarge("number of HTTP header fields")));

    // nobody reads this body: it is not waited for to the end
    let mut http = machine(&url());
    assert_eq!(http.data(b"HTTP/1.1 200 OK\r\n\r\n"), Step::More);
    let steps = (0..1000).map(|_| http.data(&[0; 1024])).position(|s| s != Step::More);
    assert_eq!(steps, Some(63));

    let mut trailer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".to_vec();
    trailer.extend(b"t: u\r\n".repeat(2000));
    assert_eq!(run(&url(), &trailer, 100), Err(Failure::TooLarge("trailer section")));
}

#[test]
fn tls_compliant_asks_for_close_notify() {
    let mut check = check(HttpVersion::V10);
    check.tls = Some(Default::default());
    let whole: [&[u8]; 2] = [
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ];
    let cases = [(true, true, true), (true, false, false), (false, false, true)];
    for (answer, (compliant, clean, wanted)) in whole.into_iter().flat_map(|a| cases.map(|c| (a, c))) {
        let url = Url { tls_compliant: compliant, ..url() };
        let mut http = Http::new(&check, &url, None);
        let step = match http.data(answer) {
            Step::More => http.eof(clean),
            step => step,
        };
        assert_eq!(matches!(step, Step::Done(Ok(_), _)), wanted, "{compliant} {clean}");
    }
}

proptest! {
    /// Any bytes, in any portions: no panic, one verdict, however they are cut.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600), head in any::<bool>(), cut in 1usize..50) {
        let mut all = if head { b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec() } else { vec![] };
        all.extend(bytes);
        let u = Url { digest: Some([0; 16]), ..url() };
        prop_assert_eq!(run(&u, &all, usize::MAX), run(&u, &all, cut));
    }
}
