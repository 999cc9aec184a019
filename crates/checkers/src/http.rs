//! HTTP_GET and SSL_GET: one GET, its answer judged by status, digest and regular expression. The body streams through the
//! rules; memory does not depend on its length.

use crate::body::{self, Chunk, Framing, Rules};
use crate::exchange::{Step, Success};
use crate::failure::Failure;
use crate::search::Pattern;
use crate::{HttpCheck, HttpVersion, Url};
use std::net::{IpAddr, SocketAddr};

/// Most bytes of status line and header fields together.
const HEAD_LIMIT: usize = 16 * 1024;
/// Most header fields.
const FIELD_LIMIT: usize = 128;
/// Most interim answers (RFC 9110 section 15.2) before the final one.
const INTERIM_LIMIT: u32 = 8;

/// One request and its answer.
#[derive(Debug)]
pub struct Http {
    request: Vec<u8>,
    status: Vec<(u16, u16)>,
    any_status: bool,
    compliant: bool,
    rules: Rules,
    part: Part,
    interim: u32,
    /// Length that the answer announced.
    announced: Option<u64>,
    /// All of it has come that matters.
    complete: bool,
}

#[derive(Debug)]
enum Part {
    Head(Vec<u8>),
    Body(Framing),
}

impl Http {
    /// A request for `url`, with the compiled form of its regular expression.
    pub fn new(check: &HttpCheck, url: &Url, regex: Option<&Pattern>) -> Http {
        Http {
            request: request(check, url),
            status: url.status.clone(),
            any_status: url.status.is_empty() && (url.digest.is_some() || url.regex.is_some()),
            compliant: check.tls.is_some() && url.tls_compliant,
            rules: Rules::new(url, regex),
            part: Part::Head(Vec::new()),
            interim: 0,
            announced: None,
            complete: false,
        }
    }

    /// The bytes to send.
    pub fn request(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.request)
    }

    /// Bytes of the answer, in any portions.
    pub fn data(&mut self, bytes: &[u8]) -> Step {
        if self.complete {
            return Step::More;
        }
        match self.take(bytes) {
            Ok(false) => Step::More,
            // the close must be seen to be judged
            Ok(true) if self.compliant => {
                self.complete = true;
                Step::More
            }
            Ok(true) => self.verdict(None),
            Err(failure) => Step::fail(failure),
        }
    }

    /// The server ended the connection.
    pub fn eof(&mut self, clean: bool) -> Step {
        if self.compliant && !clean {
            return Step::fail(Failure::Unclean);
        }
        match &self.part {
            Part::Head(_) => Step::fail(Failure::Closed),
            Part::Body(_) if self.complete => self.verdict(None),
            Part::Body(Framing::Chunked(_)) => Step::fail(Failure::Closed),
            // keepalived notes the difference and judges what came
            Part::Body(_) => {
                let note = self.short().map(|(announced, seen)| {
                    format!("content_length ({announced}) does not match received bytes ({seen})")
                });
                self.verdict(note)
            }
        }
    }

    /// The body is shorter than the answer announced: the length that it announced, and that of what came, in bytes.
    pub fn short(&self) -> Option<(u64, u64)> {
        let short = matches!(self.part, Part::Body(Framing::Length(1..)));
        short.then(|| (self.announced.unwrap_or_default(), self.rules.seen()))
    }

    fn verdict(&mut self, note: Option<String>) -> Step {
        Step::done(self.rules.finish().map(|()| Success::Fine(note)))
    }

    /// True: the answer is complete, or the rest does not matter.
    fn take(&mut self, mut bytes: &[u8]) -> Result<bool, Failure> {
        loop {
            match &mut self.part {
                Part::Body(framing) => return body::feed(framing, &mut self.rules, bytes),
                Part::Head(head) => {
                    // the end of the head may straddle portions: look again at the last bytes
                    let from = head.len().saturating_sub(3);
                    let old = head.len();
                    head.extend_from_slice(&bytes[..bytes.len().min(HEAD_LIMIT + 1 - old)]);
                    let Some(end) = head_end(head, from) else {
                        return if head.len() > HEAD_LIMIT { Err(Failure::TooLarge("HTTP header")) } else { Ok(false) };
                    };
                    head.truncate(end);
                    bytes = &bytes[end - old..];
                    let answer = parse_head(head)?;
                    match answer.code {
                        100..=199 => {
                            self.interim += 1;
                            if self.interim > INTERIM_LIMIT {
                                return Err(Failure::Malformed("too many interim answers"));
                            }
                            self.part = Part::Head(Vec::new());
                        }
                        code => {
                            if !self.accepts(code) {
                                return Err(Failure::Status(code));
                            }
                            self.announced = answer.length;
                            let empty = matches!(code, 204 | 304) || answer.length == Some(0) && !answer.chunked;
                            self.part = Part::Body(match answer.length {
                                _ if empty => Framing::Length(0),
                                _ if answer.chunked => Framing::Chunked(Chunk::Size(Vec::new())),
                                Some(n) => Framing::Length(n),
                                None => Framing::Close,
                            });
                            if empty {
                                return Ok(true);
                            }
                        }
                    }
                }
            }
        }
    }

    fn accepts(&self, code: u16) -> bool {
        match self.status.as_slice() {
            [] => self.any_status || (200..=299).contains(&code),
            ranges => ranges.iter().any(|(a, b)| (*a..=*b).contains(&code)),
        }
    }
}

/// `GET path`, with the fields that keepalived sends. Control characters cannot get in.
fn request(check: &HttpCheck, url: &Url) -> Vec<u8> {
    let (version, close) = match check.version {
        HttpVersion::V10 => ("1.0", ""),
        HttpVersion::V10Close => ("1.0", "Connection: close\r\n"),
        // version 2 has an exchange of its own
        HttpVersion::V11 | HttpVersion::V2 => ("1.1", "Connection: close\r\n"),
    };
    let clean = |s: &str| s.chars().filter(|c| !c.is_control()).collect::<String>();
    let host = match &url.host {
        Some(host) => clean(host),
        None => host_of(check.target.address, if check.tls.is_some() { 443 } else { 80 }),
    };
    let path = clean(&url.path);
    format!("GET {path} HTTP/{version}\r\nUser-Agent: KeepAliveClient\r\n{close}Host: {host}\r\n\r\n").into_bytes()
}

/// Address as Host header (RFC 9110 section 7.2), with the port unless it is the usual one.
pub(crate) fn host_of(address: SocketAddr, usual: u16) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    };
    if address.port() == usual { ip } else { format!("{ip}:{}", address.port()) }
}

/// End of the empty line that closes the head, if it is there, seen from `from` on. Bare line feeds are tolerated.
fn head_end(head: &[u8], from: usize) -> Option<usize> {
    (from..head.len()).find_map(|i| match &head[i..] {
        [b'\n', b'\n', ..] => Some(i + 2),
        [b'\n', b'\r', b'\n', ..] => Some(i + 3),
        _ => None,
    })
}

struct Answer {
    code: u16,
    length: Option<u64>,
    chunked: bool,
}

/// Reads a complete head. Where the length of the body is disputable, the answer is refused (RFC 9112 section 6.3).
fn parse_head(head: &[u8]) -> Result<Answer, Failure> {
    let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
    let mut response = httparse::Response::new(&mut fields);
    // where keepalived does not look, an odd field is no reason to call a server down
    let mut lenient = httparse::ParserConfig::default();
    lenient
        .ignore_invalid_headers_in_responses(true)
        .allow_obsolete_multiline_headers_in_responses(true)
        .allow_spaces_after_header_name_in_responses(true)
        .allow_multiple_spaces_in_response_status_delimiters(true);
    match lenient.parse_response(&mut response, head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(Failure::Malformed("HTTP header")),
        Err(httparse::Error::TooManyHeaders) => return Err(Failure::TooLarge("number of HTTP header fields")),
        Err(_) => return Err(Failure::Malformed("HTTP header")),
    }
    let mut answer = Answer { code: response.code.unwrap_or_default(), length: None, chunked: false };
    for field in response.headers.iter() {
        if field.name.eq_ignore_ascii_case("content-length") {
            let value = std::str::from_utf8(field.value).map_or("", str::trim);
            let bad = Failure::Malformed("content length");
            if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad);
            }
            let value: u64 = value.parse().map_err(|_| bad.clone())?;
            if answer.length.is_some_and(|old| old != value) {
                return Err(bad);
            }
            answer.length = Some(value);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                return Err(Failure::Malformed("unknown transfer coding"));
            }
            answer.chunked = true;
        }
    }
    Ok(answer)
}
