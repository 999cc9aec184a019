//! Bodies of HTTP answers: where they end (RFC 9112 section 6), and the rules that read them.

use crate::Url;
use crate::failure::Failure;
use crate::search::{Pattern, Search};
use md5::{Digest, Md5};

/// Longest line of chunk size and extensions, and most bytes of trailers.
const LINE_LIMIT: usize = 4096;
/// Without a rule that reads it, this much of a body is waited for.
const UNREAD_LIMIT: u64 = 64 * 1024;

/// How a body ends.
#[derive(Debug)]
pub enum Framing {
    /// With the connection.
    Close,
    /// After so many more bytes.
    Length(u64),
    /// With the last chunk (RFC 9112 section 7.1).
    Chunked(Chunk),
}

/// Where in the chunked coding the next byte belongs.
#[derive(Debug)]
pub enum Chunk {
    /// Size line, as read so far.
    Size(Vec<u8>),
    /// Data; so much is left.
    Data(u64),
    /// Line end after data; CR was seen.
    DataEnd(bool),
    /// Trailer section: length of the present line, and of all.
    Trailer(usize, usize),
}

/// Rules at work on a body.
#[derive(Debug)]
pub struct Rules {
    digest: Option<[u8; 16]>,
    /// Of the body.
    hash: Md5,
    /// Of a chunked body as it came: keepalived and its genhash do not decode it.
    raw_hash: Option<Md5>,
    search: Option<(Search, bool)>,
    seen: u64,
}

impl Rules {
    /// The rules of a page. `regex` is the compiled form of the page's rule.
    pub fn new(url: &Url, regex: Option<&Pattern>) -> Rules {
        Rules {
            digest: url.digest,
            hash: Md5::new(),
            raw_hash: None,
            search: url.regex.as_ref().zip(regex).map(|(rule, regex)| (Search::new(regex, rule), rule.no_match)),
            seen: 0,
        }
    }

    /// More of the body.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.seen = self.seen.saturating_add(bytes.len() as u64);
        if self.digest.is_some() {
            self.hash.update(bytes);
        }
        if let Some((search, _)) = &mut self.search {
            search.feed(bytes);
        }
    }

    /// Bytes of a chunked body before decoding.
    fn feed_raw(&mut self, bytes: &[u8]) {
        if self.digest.is_some() {
            self.raw_hash.get_or_insert_default().update(bytes);
        }
    }

    /// More of the body cannot change the verdict.
    pub fn settled(&self) -> bool {
        match (&self.digest, &self.search) {
            (None, None) => self.seen >= UNREAD_LIMIT,
            (None, Some((search, _))) => search.settled(),
            _ => false,
        }
    }

    /// The verdict over all that was fed.
    pub fn finish(&mut self) -> Result<(), Failure> {
        if let Some(wanted) = self.digest.take() {
            let got: [u8; 16] = self.hash.finalize_reset().into();
            let raw = self.raw_hash.take().map(|hash| <[u8; 16]>::from(hash.finalize()));
            if got != wanted && raw != Some(wanted) {
                return Err(Failure::Digest(got));
            }
        }
        if let Some((mut search, no_match)) = self.search.take() {
            match (search.finish(), no_match) {
                (true, true) => return Err(Failure::Match),
                (false, false) => return Err(Failure::NoMatch),
                _ => {}
            }
        }
        Ok(())
    }

    /// Bytes of body so far.
    pub const fn seen(&self) -> u64 {
        self.seen
    }
}

/// Decodes the next bytes into the rules. True: the body is over, or the rest does not matter.
pub fn feed(framing: &mut Framing, rules: &mut Rules, mut bytes: &[u8]) -> Result<bool, Failure> {
    match framing {
        Framing::Close => rules.feed(bytes),
        Framing::Length(left) => {
            let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            rules.feed(&bytes[..take]);
            *left -= take as u64;
            if *left == 0 {
                return Ok(true);
            }
        }
        Framing::Chunked(chunk) => {
            let all = bytes;
            let over = decode(chunk, rules, &mut bytes)?;
            rules.feed_raw(&all[..all.len() - bytes.len()]);
            if over {
                return Ok(true);
            }
        }
    }
    Ok(rules.settled())
}

/// Decodes chunks until the bytes or the body are over. True: the body is.
fn decode(chunk: &mut Chunk, rules: &mut Rules, bytes: &mut &[u8]) -> Result<bool, Failure> {
    while let Some((&b, rest)) = bytes.split_first() {
        if let Chunk::Data(left) = chunk {
            let take = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
            let (data, rest) = bytes.split_at(take);
            rules.feed(data);
            *bytes = rest;
            *left -= take as u64;
            if *left == 0 {
                *chunk = Chunk::DataEnd(false);
            }
            continue;
        }
        *bytes = rest;
        if framing_byte(chunk, b)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// One byte outside chunk data. True: the body is over.
fn framing_byte(chunk: &mut Chunk, b: u8) -> Result<bool, Failure> {
    match chunk {
        Chunk::Size(line) if b == b'\n' => {
            *chunk = match size(line)? {
                0 => Chunk::Trailer(0, 0),
                n => Chunk::Data(n),
            };
        }
        Chunk::Size(line) => {
            if line.len() >= LINE_LIMIT {
                return Err(Failure::TooLarge("chunk size line"));
            }
            line.push(b);
        }
        Chunk::DataEnd(false) if b == b'\r' => *chunk = Chunk::DataEnd(true),
        Chunk::DataEnd(_) if b == b'\n' => *chunk = Chunk::Size(Vec::new()),
        Chunk::DataEnd(_) | Chunk::Data(_) => return Err(Failure::Malformed("chunk does not end where it says")),
        Chunk::Trailer(0, _) if b == b'\n' => return Ok(true),
        Chunk::Trailer(line, all) => {
            *all += 1;
            if *all > LINE_LIMIT {
                return Err(Failure::TooLarge("trailer section"));
            }
            *line = match b {
                b'\n' => 0,
                b'\r' => *line,
                _ => *line + 1,
            };
        }
    }
    Ok(false)
}

/// `1A;extension CR`: the hexadecimal size.
fn size(line: &[u8]) -> Result<u64, Failure> {
    let bad = Failure::Malformed("chunk size");
    let digits = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
    let text = std::str::from_utf8(digits).map_err(|_| bad.clone())?;
    if text.is_empty() || text.len() > 15 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad);
    }
    u64::from_str_radix(text, 16).map_err(|_| bad)
}
