//! Against h2's own server, and against bytes that are no HTTP/2.

use super::*;
use crate::{HttpVersion, Target};

type Answer<'a> = &'a dyn Fn(&http::Request<RecvStream>) -> (http::Response<()>, Vec<u8>, Option<&'static str>);

/// Lets a client and a server talk until one of them has had enough: the verdict, and the path that was asked for.
fn talk(client: Result<Http2, Failure>, answer: Answer<'_>) -> (Result<Success, Failure>, String) {
    let mut client = client.expect("a request");
    let far = Stream::default();
    let mut handshake = Box::pin(h2::server::handshake(far.clone()));
    let mut connection = None;
    let cx = &mut Context::from_waker(Waker::noop());
    let mut path = String::new();
    let mut step = client.connected();
    let mut bodies: Vec<(SendStream<Bytes>, Bytes, Option<&'static str>)> = Vec::new();
    for _ in 0..1000 {
        match step {
            Step::Done(result, _) => return (result, path),
            Step::Send(bytes) => far.0.borrow_mut().received.extend(bytes),
            Step::More => {}
        }
        if connection.is_none()
            && let Poll::Ready(c) = handshake.as_mut().poll(cx)
        {
            connection = Some(c.expect("preface"));
        }
        if let Some(c) = &mut connection {
            while let Poll::Ready(Some(Ok((request, mut respond)))) = c.poll_accept(cx) {
                path = request.uri().path().to_string();
                let (head, body, status) = answer(&request);
                let empty = body.is_empty() && status.is_none();
                let mut out = respond.send_response(head, empty).expect("response");
                if !empty {
                    out.reserve_capacity(body.len());
                    bodies.push((out, body.into(), status));
                }
            }
            for (out, body, status) in &mut bodies {
                out.reserve_capacity(body.len());
                let n = out.capacity().min(body.len());
                let part = body.split_to(n);
                let done = body.is_empty();
                let _ = out.send_data(part, done && status.is_none());
                if let Some(status) = status.take_if(|_| done) {
                    let mut trailers = http::HeaderMap::new();
                    trailers.insert("grpc-status", status.parse().expect("number"));
                    let _ = out.send_trailers(trailers);
                }
            }
            bodies.retain(|(_, body, status)| !body.is_empty() || status.is_some());
            let _ = c.poll_closed(cx);
        }
        let bytes = std::mem::take(&mut far.0.borrow_mut().sent);
        // in small portions, as a network may cut them
        step = Step::More;
        let mut sent = Vec::new();
        for part in bytes.chunks(7) {
            match client.data(part) {
                Step::Send(more) => sent.extend(more),
                Step::More => {}
                done => {
                    step = done;
                    break;
                }
            }
        }
        if !matches!(step, Step::Done(..)) && !sent.is_empty() {
            step = Step::Send(sent);
        }
    }
    (Err(Failure::Timeout), path)
}

fn url() -> Url {
    Url { path: "/health?full=1".into(), ..Url::default() }
}

fn page(url: &Url) -> Result<Http2, Failure> {
    let target = Target::new(([192, 0, 2, 1], 80).into());
    let check = HttpCheck { target, tls: None, version: HttpVersion::V2, urls: [].into() };
    let regex = url.regex.as_ref().and_then(|r| crate::compile_rule(r).ok());
    Http2::page(&check, url, regex.as_ref())
}

fn grpc(service: &str) -> Result<Http2, Failure> {
    let target = Target::new(([192, 0, 2, 1], 50051).into());
    Http2::health(&GrpcCheck { target, tls: None, service: service.into(), host: None })
}

fn status(code: u16) -> http::Response<()> {
    http::Response::builder().status(code).body(()).expect("response")
}

#[test]
fn a_page_is_judged_by_status_and_body() {
    let fine = Ok(Success::Fine(None));
    let (got, path) = talk(page(&url()), &|_| (status(204), vec![], None));
    assert_eq!((got, path.as_str()), (fine.clone(), "/health"));
    let (got, _) = talk(page(&url()), &|r| {
        assert_eq!(r.uri().authority().map(|a| a.as_str()), Some("192.0.2.1"));
        (status(503), vec![], None)
    });
    assert_eq!(got, Err(Failure::Status(503)));
    // a body far larger than the window
    let large = vec![b'x'; 300_000];
    let rule = crate::Rule { pattern: "x{5}$".into(), ..crate::Rule::default() };
    let rules = Url { regex: Some(rule), ..url() };
    assert_eq!(talk(page(&rules), &|_| (status(200), large.clone(), None)).0, fine);
    let digest = Url { digest: Some([7; 16]), ..url() };
    assert!(matches!(talk(page(&digest), &|_| (status(200), large.clone(), None)).0, Err(Failure::Digest(_))));
}

#[test]
fn the_health_service_says_how_it_is() {
    let frame = |word: u8| vec![0, 0, 0, 0, 2, 8, word];
    let say = |word: u8, end: &'static str| talk(grpc("shop.Cart"), &|_| (status(200), frame(word), Some(end)));
    assert_eq!(say(1, "0"), (Ok(Success::Fine(None)), HEALTH.to_string()));
    assert_eq!(say(2, "0").0, Err(Failure::Health("NOT_SERVING")));
    assert_eq!(say(1, "14").0, Err(Failure::Grpc(14)));
    // no such service: the status alone, among the fields
    let unknown = || http::Response::builder().status(200).header("grpc-status", "5").body(()).expect("response");
    assert_eq!(talk(grpc("x"), &|_| (unknown(), vec![], None)).0, Err(Failure::Grpc(5)));
    assert_eq!(talk(grpc(""), &|_| (status(200), vec![0, 0, 0, 0, 0], Some("0"))).0, Err(Failure::Health("UNKNOWN")));
    assert_eq!(
        talk(grpc(""), &|_| (status(200), vec![0; 2000], None)).0,
        Err(Failure::TooLarge("answer of the health service"))
    );
    assert!(matches!(talk(grpc(""), &|_| (status(200), vec![1, 0, 0, 0, 0], Some("0"))).0, Err(Failure::Malformed(_))));
    assert!(grpc(&"s".repeat(200)).is_err());
}

#[test]
fn what_is_no_http2_is_a_failure() {
    for bytes in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"220 mail ESMTP\r\n", &[0xff; 100]] {
        let mut client = page(&url()).expect("request");
        let first = client.connected();
        assert!(matches!(first, Step::Send(_)));
        let step = client.data(bytes);
        let step = if matches!(step, Step::Done(..)) { step } else { client.eof() };
        assert!(matches!(step, Step::Done(Err(_), _)), "{step:?}");
    }
    let mut client = page(&url()).expect("request");
    let _ = client.connected();
    assert_eq!(client.eof(), Step::fail(Failure::Closed));
}
