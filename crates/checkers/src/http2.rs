//! HTTP/2 (RFC 9113): pages asked for by it, and the health service of gRPC (grpc.health.v1) over it. The protocol is the h2
//! crate's. It wants a stream that it can wait on; it gets two buffers, and is asked to go on whenever bytes have come. No
//! runtime, no thread, no clock.

use crate::body::Rules;
use crate::exchange::{Step, Success};
use crate::failure::Failure;
use crate::search::Pattern;
use crate::{GrpcCheck, HttpCheck, Url};
use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Most bytes of a list of header fields.
const FIELDS_LIMIT: u32 = 16 * 1024;
/// Most bytes of a message of the health service: its frame's five bytes, and a number.
const MESSAGE_LIMIT: usize = 1024;
/// Rounds of one input in which everything that can go on does.
const ROUNDS: usize = 64;
/// The method of the health service.
const HEALTH: &str = "/grpc.health.v1.Health/Check";

/// What has come and is not read, and what is to be sent.
#[derive(Debug, Default)]
struct Buffers {
    received: VecDeque<u8>,
    sent: Vec<u8>,
    ended: bool,
}

/// The stream that h2 sees.
#[derive(Debug, Clone, Default)]
struct Stream(Rc<RefCell<Buffers>>);

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut b = self.0.borrow_mut();
        if b.received.is_empty() && !b.ended {
            return Poll::Pending;
        }
        while to.remaining() > 0 && !b.received.is_empty() {
            let (front, _) = b.received.as_slices();
            let n = front.len().min(to.remaining());
            to.put_slice(&front[..n]);
            b.received.drain(..n);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().sent.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

type Handshake = Pin<Box<dyn Future<Output = Result<(SendRequest<Bytes>, Connection<Stream>), h2::Error>>>>;

/// How far the dialogue is.
enum Phase {
    /// Prefaces are exchanged.
    Handshake(Handshake),
    /// A stream is waited for.
    Ready(SendRequest<Bytes>),
    /// The request is on its way. The sender is kept: without one the connection closes itself.
    Asked(SendRequest<Bytes>, ResponseFuture, SendStream<Bytes>),
    /// The answer comes in.
    Body(SendRequest<Bytes>, RecvStream),
}

/// What makes an answer a good one.
enum Wanted {
    /// As of HTTP_GET.
    Page { status: Vec<(u16, u16)>, any_status: bool, rules: Box<Rules> },
    /// The health service says SERVING.
    Serving(Vec<u8>),
}

/// One request and its answer.
pub struct Http2 {
    stream: Stream,
    phase: Option<Phase>,
    connection: Option<Connection<Stream>>,
    request: Option<http::Request<()>>,
    /// Bytes of the request's body.
    payload: Bytes,
    wanted: Wanted,
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Http2 {
    /// A request for `url`, with the compiled form of its regular expression.
    pub fn page(check: &HttpCheck, url: &Url, regex: Option<&Pattern>) -> Result<Http2, Failure> {
        let host = url
            .host
            .clone()
            .unwrap_or_else(|| crate::http::host_of(check.target.address, if check.tls.is_some() { 443 } else { 80 }));
        let uri = uri(check.tls.is_some(), &host, &url.path)?;
        let request = http::Request::get(uri).header("user-agent", "KeepAliveClient").body(());
        let wanted = Wanted::Page {
            status: url.status.clone(),
            any_status: url.status.is_empty() && (url.digest.is_some() || url.regex.is_some()),
            rules: Box::new(Rules::new(url, regex)),
        };
        Ok(Http2::new(request.map_err(|_| Failure::Malformed("the url is none"))?, Bytes::new(), wanted))
    }

    /// A question to the health service.
    pub fn health(check: &GrpcCheck) -> Result<Http2, Failure> {
        let host = check.host.clone().unwrap_or_else(|| crate::http::host_of(check.target.address, 0));
        let request = http::Request::post(uri(check.tls.is_some(), &host, HEALTH)?)
            .header("user-agent", "KeepAliveClient")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(());
        // HealthCheckRequest { string service = 1; } behind a flag byte and a length of four.
        let mut message = Vec::new();
        if !check.service.is_empty() {
            let length = u8::try_from(check.service.len()).ok().filter(|n| *n < 128);
            message.extend([0x0a, length.ok_or(Failure::Malformed("the service's name is too long"))?]);
            message.extend(check.service.as_bytes());
        }
        let length = u32::try_from(message.len()).unwrap_or_default();
        let payload = [&[0u8], &length.to_be_bytes()[..], &message].concat();
        let request = request.map_err(|_| Failure::Malformed("the host is no name"))?;
        Ok(Http2::new(request, payload.into(), Wanted::Serving(Vec::new())))
    }

    fn new(request: http::Request<()>, payload: Bytes, wanted: Wanted) -> Http2 {
        let stream = Stream::default();
        let mut builder = Builder::new();
        builder.enable_push(false).max_concurrent_streams(1).max_header_list_size(FIELDS_LIMIT);
        let handshake: Handshake = Box::pin(builder.handshake(stream.clone()));
        Http2 {
            stream,
            phase: Some(Phase::Handshake(handshake)),
            connection: None,
            request: Some(request),
            payload,
            wanted,
        }
    }

    /// Connected: the preface and the request go out.
    pub fn connected(&mut self) -> Step {
        self.advance()
    }

    /// Bytes of the server.
    pub fn data(&mut self, bytes: &[u8]) -> Step {
        self.stream.0.borrow_mut().received.extend(bytes);
        self.advance()
    }

    /// The server ended the connection.
    pub fn eof(&mut self) -> Step {
        self.stream.0.borrow_mut().ended = true;
        match self.advance() {
            Step::Done(result, farewell) => Step::Done(result, farewell),
            _ => Step::fail(Failure::Closed),
        }
    }

    /// Lets everything go on that can.
    fn advance(&mut self) -> Step {
        for _ in 0..ROUNDS {
            let before = self.marks();
            match self.round() {
                Ok(false) => {}
                Ok(true) => return Step::Done(self.verdict(), std::mem::take(&mut self.stream.0.borrow_mut().sent)),
                Err(failure) => return Step::fail(failure),
            }
            if self.marks() == before {
                break;
            }
        }
        let sent = std::mem::take(&mut self.stream.0.borrow_mut().sent);
        if sent.is_empty() { Step::More } else { Step::Send(sent) }
    }

    /// What changes when something went on.
    fn marks(&self) -> (usize, usize, usize) {
        let phase = match &self.phase {
            None => 0,
            Some(Phase::Handshake(_)) => 1,
            Some(Phase::Ready(_)) => 2,
            Some(Phase::Asked(..)) => 3,
            Some(Phase::Body(..)) => 4,
        };
        let b = self.stream.0.borrow();
        (phase, b.received.len(), b.sent.len())
    }

    /// One round; true when the answer is complete, or the rest does not matter.
    fn round(&mut self) -> Result<bool, Failure> {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut closed = false;
        if let Some(connection) = &mut self.connection {
            match Pin::new(connection).poll(cx) {
                Poll::Ready(Err(e)) => return Err(broken(&e)),
                Poll::Ready(Ok(())) => closed = true,
                Poll::Pending => {}
            }
        }
        let Some(phase) = self.phase.take() else { return Err(Failure::Closed) };
        let next = match phase {
            Phase::Handshake(mut handshake) => match handshake.as_mut().poll(cx) {
                Poll::Pending => Phase::Handshake(handshake),
                Poll::Ready(Err(e)) => return Err(broken(&e)),
                Poll::Ready(Ok((sender, connection))) => {
                    self.connection = Some(connection);
                    Phase::Ready(sender)
                }
            },
            Phase::Ready(mut sender) => match sender.poll_ready(cx) {
                Poll::Pending => Phase::Ready(sender),
                Poll::Ready(Err(e)) => return Err(broken(&e)),
                Poll::Ready(Ok(())) => {
                    let request = self.request.take().ok_or(Failure::Closed)?;
                    let last = self.payload.is_empty();
                    let (answer, mut body) = sender.send_request(request, last).map_err(|e| broken(&e))?;
                    if !last {
                        body.send_data(std::mem::take(&mut self.payload), true).map_err(|e| broken(&e))?;
                    }
                    Phase::Asked(sender, answer, body)
                }
            },
            Phase::Asked(sender, mut answer, body) => match Pin::new(&mut answer).poll(cx) {
                Poll::Pending => Phase::Asked(sender, answer, body),
                Poll::Ready(Err(e)) => return Err(broken(&e)),
                Poll::Ready(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    self.head(&head)?;
                    Phase::Body(sender, body)
                }
            },
            Phase::Body(sender, mut body) => {
                if self.body(&mut body, cx)? {
                    return Ok(true);
                }
                Phase::Body(sender, body)
            }
        };
        self.phase = Some(next);
        if closed { Err(Failure::Closed) } else { Ok(false) }
    }

    /// Status and fields.
    fn head(&mut self, head: &http::response::Parts) -> Result<(), Failure> {
        let code = head.status.as_u16();
        match &self.wanted {
            Wanted::Page { status, any_status, .. } => {
                let fits = match status.as_slice() {
                    [] => *any_status || (200..=299).contains(&code),
                    ranges => ranges.iter().any(|(a, b)| (*a..=*b).contains(&code)),
                };
                if fits { Ok(()) } else { Err(Failure::Status(code)) }
            }
            Wanted::Serving(_) if code != 200 => Err(Failure::Status(code)),
            // An answer without a message has its status here.
            Wanted::Serving(_) => grpc_status(&head.headers),
        }
    }

    /// More of the body; true at its end.
    fn body(&mut self, body: &mut RecvStream, cx: &mut Context<'_>) -> Result<bool, Failure> {
        loop {
            match body.poll_data(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Some(Err(e))) => return Err(broken(&e)),
                Poll::Ready(Some(Ok(bytes))) => {
                    let _ = body.flow_control().release_capacity(bytes.len());
                    match &mut self.wanted {
                        Wanted::Page { rules, .. } => {
                            rules.feed(&bytes);
                            if rules.settled() {
                                return Ok(true);
                            }
                        }
                        Wanted::Serving(message) => {
                            message.extend_from_slice(&bytes);
                            if message.len() > MESSAGE_LIMIT {
                                return Err(Failure::TooLarge("answer of the health service"));
                            }
                        }
                    }
                }
                Poll::Ready(None) => {
                    return match body.poll_trailers(cx) {
                        Poll::Pending => Ok(false),
                        Poll::Ready(Err(e)) => Err(broken(&e)),
                        Poll::Ready(Ok(trailers)) => {
                            match (trailers, &self.wanted) {
                                (Some(fields), Wanted::Serving(_)) => grpc_status(&fields)?,
                                (None, Wanted::Serving(m)) if m.is_empty() => return Err(Failure::Closed),
                                _ => {}
                            }
                            Ok(true)
                        }
                    };
                }
            }
        }
    }

    fn verdict(&mut self) -> Result<Success, Failure> {
        match &mut self.wanted {
            Wanted::Page { rules, .. } => rules.finish()?,
            Wanted::Serving(message) => serving(message)?,
        }
        Ok(Success::Fine(None))
    }
}

fn uri(tls: bool, host: &str, path: &str) -> Result<http::Uri, Failure> {
    let scheme = if tls { "https" } else { "http" };
    let uri = http::Uri::builder().scheme(scheme).authority(host).path_and_query(path).build();
    uri.map_err(|_| Failure::Malformed("the url is none"))
}

/// h2's words, without what is ours.
fn broken(e: &h2::Error) -> Failure {
    if e.is_io() {
        return Failure::Closed;
    }
    Failure::Transport(format!("HTTP/2: {e}").chars().take(200).collect())
}

/// Field grpc-status, where there is one: 0 is fine.
fn grpc_status(fields: &http::HeaderMap) -> Result<(), Failure> {
    match fields.get("grpc-status").map(|v| v.as_bytes()) {
        None | Some(b"0") => Ok(()),
        Some(number) => {
            let number = std::str::from_utf8(number).ok().and_then(|n| n.parse().ok());
            Err(number.map_or(Failure::Malformed("grpc-status"), Failure::Grpc))
        }
    }
}

/// Reads the health service's answer.
///
/// ```text
///  +------------+------------------+--------------------------------------------------+
///  | compressed | length: u32 BE   | protobuf: tag 0x08, status (0 unknown, 1 serving, |
///  |    u8      |                  |   2 not serving, 3 service unknown)               |
///  +------------+------------------+--------------------------------------------------+
/// ```
fn serving(frame: &[u8]) -> Result<(), Failure> {
    let bad = Failure::Malformed("answer of the health service");
    let Some(([compressed, a, b, c, d], message)) = frame.split_first_chunk::<5>() else { return Err(bad) };
    if *compressed != 0 || u32::from_be_bytes([*a, *b, *c, *d]) as usize != message.len() {
        return Err(bad);
    }
    match message {
        [0x08, 1] => Ok(()),
        [] | [0x08, 0] => Err(Failure::Health("UNKNOWN")),
        [0x08, 2] => Err(Failure::Health("NOT_SERVING")),
        [0x08, 3] => Err(Failure::Health("SERVICE_UNKNOWN")),
        _ => Err(bad),
    }
}

#[cfg(test)]
#[path = "http2_tests.rs"]
mod tests;
