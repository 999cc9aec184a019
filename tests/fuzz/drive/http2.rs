//! Any bytes as a server's side of HTTP/2: of a page, and of the health service of gRPC.

use steadfast_checkers::dialogue::{Exchange, Http2};
use steadfast_checkers::{GrpcCheck, HttpCheck, HttpVersion, Target, Url};

/// One input.
pub fn drive(bytes: &[u8]) {
    let target = Target::new(([192, 0, 2, 1], 80).into());
    let page = HttpCheck { target: target.clone(), tls: None, version: HttpVersion::V2, urls: [].into() };
    let url = Url { path: "/".into(), digest: Some([0; 16]), status: vec![(0, 999)], ..Url::default() };
    let grpc = GrpcCheck { target, tls: None, service: "s".into(), host: None };
    for portion in [usize::MAX, 1, 7] {
        for client in [Http2::page(&page, &url, None), Http2::health(&grpc)] {
            let verdict = client.map(|c| Exchange::Http2(Box::new(c)).play(bytes, portion));
            assert!(!matches!(verdict, Ok(None)), "the end of the stream is a verdict");
        }
    }
}
