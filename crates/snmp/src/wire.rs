//! AgentX packets (RFC 2741 sections 5 and 6).
//!
//! ```text
//!   0                   1                   2                   3
//!  +---------------+---------------+---------------+---------------+
//!  |  version 1    |     type      |     flags     |   reserved    |   flags: 0x08 a context follows, 0x10 network byte order
//!  +---------------+---------------+---------------+---------------+
//!  |                          session id                           |
//!  |                        transaction id                         |
//!  |                           packet id                           |
//!  |                payload length, a multiple of 4                |
//!  +---------------------------------------------------------------+
//!  |                           payload …                           |
//!
//!  name           +-------+-------+-------+-------+
//!                 | count | prefix|include|   0   |   prefix p ≠ 0: the name begins with 1.3.6.1.p
//!                 | count numbers of 4 bytes …    |
//!  octet string   | length: 4 bytes | bytes, filled up with zeros to a multiple of 4 |
//! ```

use crate::oid::{LONGEST, Oid};
use std::fmt;

/// Bytes of a header.
pub const HEADER: usize = 20;
/// Largest payload that is taken. A master passes on requests that came in one datagram.
pub const LARGEST: usize = 128 * 1024;

const CONTEXT: u8 = 0x08;
const NETWORK: u8 = 0x10;
const INTERNET: [u32; 4] = [1, 3, 6, 1];

/// A value of an object (RFC 2741 section 5.4).
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Value {
    Integer(i32),
    Octets(Vec<u8>),
    Null,
    Name(Oid),
    Address([u8; 4]),
    Counter32(u32),
    Gauge32(u32),
    TimeTicks(u32),
    Opaque(Vec<u8>),
    Counter64(u64),
    NoSuchObject,
    NoSuchInstance,
    EndOfView,
}

/// A name and its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bind {
    /// Name.
    pub name: Oid,
    /// Value.
    pub value: Value,
}

impl Bind {
    /// Both.
    pub fn new(name: Oid, value: Value) -> Self {
        Bind { name, value }
    }
}

/// A range of names that is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Range {
    /// Where it begins.
    pub start: Oid,
    /// The start itself is wanted too.
    pub include: bool,
    /// The first name behind it; an empty one: there is no end.
    pub end: Oid,
}

/// What a packet is about.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum Body {
    Open { timeout: u8, id: Oid, text: String },
    Close { reason: u8 },
    Register { priority: u8, subtree: Oid },
    Unregister { priority: u8, subtree: Oid },
    Get(Vec<Range>),
    GetNext(Vec<Range>),
    GetBulk { single: u16, repeat: u16, ranges: Vec<Range> },
    TestSet(Vec<Bind>),
    CommitSet,
    UndoSet,
    CleanupSet,
    Notify(Vec<Bind>),
    Ping,
    AddCaps { id: Oid, text: String },
    RemoveCaps { id: Oid },
    Response { uptime: u32, error: u16, index: u16, binds: Vec<Bind> },
}

/// A packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Number of the session, the master's; 0 before there is one.
    pub session: u32,
    /// Number of the transaction.
    pub transaction: u32,
    /// Number of the packet, the sender's.
    pub packet: u32,
    /// What it is about.
    pub body: Body,
    /// It names a context other than the default one.
    pub context: bool,
}

/// Why bytes are no packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum WireError {
    Version(u8),
    Type(u8),
    Value(u16),
    TooLong,
    Short,
    Trailing,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Version(v) => write!(f, "AgentX version {v}"),
            WireError::Type(t) => write!(f, "AgentX packet of type {t}"),
            WireError::Value(t) => write!(f, "AgentX value of type {t}"),
            WireError::TooLong => f.write_str("AgentX packet or name too long"),
            WireError::Short => f.write_str("AgentX packet ends too early"),
            WireError::Trailing => f.write_str("AgentX packet goes on behind its end"),
        }
    }
}

impl std::error::Error for WireError {}

/// The first packet in `bytes` and how many of them it has; `None`: there is none yet.
pub fn split(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let Some(header) = bytes.get(..HEADER) else { return Ok(None) };
    if header.first() != Some(&1) {
        return Err(WireError::Version(header.first().copied().unwrap_or(0)));
    }
    let mut r = Reader {
        bytes: header.get(16..).unwrap_or_default(),
        network: header.get(2).is_some_and(|f| f & NETWORK != 0),
    };
    let length = r.long()? as usize;
    if length > LARGEST {
        return Err(WireError::TooLong);
    }
    Ok((bytes.len() >= HEADER + length).then_some(HEADER + length))
}

struct Reader<'b> {
    bytes: &'b [u8],
    network: bool,
}

impl<'b> Reader<'b> {
    fn take(&mut self, n: usize) -> Result<&'b [u8], WireError> {
        let (head, rest) = self.bytes.split_at_checked(n).ok_or(WireError::Short)?;
        self.bytes = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(WireError::Short)?;
        self.bytes = rest;
        Ok(*head)
    }

    fn short(&mut self) -> Result<u16, WireError> {
        let b = self.array()?;
        Ok(if self.network { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn long(&mut self) -> Result<u32, WireError> {
        let b = self.array()?;
        Ok(if self.network { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    fn very_long(&mut self) -> Result<u64, WireError> {
        let b = self.array()?;
        Ok(if self.network { u64::from_be_bytes(b) } else { u64::from_le_bytes(b) })
    }

    /// A name, and whether it is to be included.
    fn name(&mut self) -> Result<(Oid, bool), WireError> {
        let [count, prefix, include, _] = self.array()?;
        let mut numbers = Vec::with_capacity(usize::from(count) + 5);
        if prefix != 0 {
            numbers.extend_from_slice(&INTERNET);
            numbers.push(u32::from(prefix));
        }
        if numbers.len() + usize::from(count) > LONGEST {
            return Err(WireError::TooLong);
        }
        for _ in 0..count {
            numbers.push(self.long()?);
        }
        Ok((Oid(numbers), include == 1))
    }

    fn octets(&mut self) -> Result<Vec<u8>, WireError> {
        let length = self.long()? as usize;
        if length > LARGEST {
            return Err(WireError::TooLong);
        }
        let bytes = self.take(length)?.to_vec();
        self.take(length.wrapping_neg() % 4)?;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, WireError> {
        self.octets().map(|b| String::from_utf8_lossy(&b).into_owned())
    }

    fn bind(&mut self) -> Result<Bind, WireError> {
        let kind = self.short()?;
        self.short()?;
        let (name, _) = self.name()?;
        let value = match kind {
            2 => Value::Integer(i32::from_ne_bytes(self.long()?.to_ne_bytes())),
            4 => Value::Octets(self.octets()?),
            5 => Value::Null,
            6 => Value::Name(self.name()?.0),
            64 => {
                let bytes = self.octets()?;
                Value::Address(bytes.as_slice().try_into().map_err(|_| WireError::Short)?)
            }
            65 => Value::Counter32(self.long()?),
            66 => Value::Gauge32(self.long()?),
            67 => Value::TimeTicks(self.long()?),
            68 => Value::Opaque(self.octets()?),
            70 => Value::Counter64(self.very_long()?),
            128 => Value::NoSuchObject,
            129 => Value::NoSuchInstance,
            130 => Value::EndOfView,
            other => return Err(WireError::Value(other)),
        };
        Ok(Bind { name, value })
    }

    fn binds(&mut self) -> Result<Vec<Bind>, WireError> {
        self.all(Self::bind)
    }

    fn ranges(&mut self) -> Result<Vec<Range>, WireError> {
        self.all(|r| {
            let (start, include) = r.name()?;
            Ok(Range { start, include, end: r.name()?.0 })
        })
    }

    /// Until the end of the payload. Each takes some of its bytes, so this comes to an end.
    fn all<T>(&mut self, one: impl Fn(&mut Self) -> Result<T, WireError>) -> Result<Vec<T>, WireError> {
        let mut list = Vec::new();
        while !self.bytes.is_empty() {
            list.push(one(self)?);
        }
        Ok(list)
    }
}

/// Number and meaning of `bytes`, which are one packet as [`split`] finds it.
pub fn parse(bytes: &[u8]) -> Result<Packet, WireError> {
    let (head, payload) = bytes.split_first_chunk::<4>().ok_or(WireError::Short)?;
    let [version, kind, flags, _] = *head;
    if version != 1 {
        return Err(WireError::Version(version));
    }
    let mut r = Reader { bytes: payload, network: flags & NETWORK != 0 };
    let (session, transaction, packet, length) = (r.long()?, r.long()?, r.long()?, r.long()? as usize);
    if length != r.bytes.len() {
        return Err(if length > r.bytes.len() { WireError::Short } else { WireError::Trailing });
    }
    // An empty name of a context is the default one.
    let context = flags & CONTEXT != 0 && !r.octets()?.is_empty();
    let body = match kind {
        1 => {
            let [timeout, _, _, _] = r.array()?;
            Body::Open { timeout, id: r.name()?.0, text: r.text()? }
        }
        2 => {
            let [reason, _, _, _] = r.array()?;
            Body::Close { reason }
        }
        3 | 4 => {
            let [_, priority, range, _] = r.array()?;
            let subtree = r.name()?.0;
            if range != 0 {
                r.long()?;
            }
            if kind == 3 { Body::Register { priority, subtree } } else { Body::Unregister { priority, subtree } }
        }
        5 => Body::Get(r.ranges()?),
        6 => Body::GetNext(r.ranges()?),
        7 => Body::GetBulk { single: r.short()?, repeat: r.short()?, ranges: r.ranges()? },
        8 => Body::TestSet(r.binds()?),
        9 => Body::CommitSet,
        10 => Body::UndoSet,
        11 => Body::CleanupSet,
        12 => Body::Notify(r.binds()?),
        13 => Body::Ping,
        16 => Body::AddCaps { id: r.name()?.0, text: r.text()? },
        17 => Body::RemoveCaps { id: r.name()?.0 },
        18 => {
            let (uptime, error, index) = (r.long()?, r.short()?, r.short()?);
            Body::Response { uptime, error, index, binds: r.binds()? }
        }
        other => return Err(WireError::Type(other)),
    };
    if !r.bytes.is_empty() {
        return Err(WireError::Trailing);
    }
    Ok(Packet { session, transaction, packet, body, context })
}

struct Writer(Vec<u8>);

impl Writer {
    fn short(&mut self, n: u16) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    fn long(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_be_bytes());
    }

    /// A name; more than [`LONGEST`] numbers are cut off.
    fn name(&mut self, name: &Oid, include: bool) {
        let (prefix, numbers) = match name.0.strip_prefix(&INTERNET) {
            Some([first, rest @ ..]) if (1..=255).contains(first) => (u8::try_from(*first).unwrap_or(0), rest),
            _ => (0, name.0.as_slice()),
        };
        let numbers = numbers.get(..numbers.len().min(LONGEST)).unwrap_or_default();
        self.0.extend_from_slice(&[u8::try_from(numbers.len()).unwrap_or(0), prefix, u8::from(include), 0]);
        for n in numbers {
            self.long(*n);
        }
    }

    fn octets(&mut self, bytes: &[u8]) {
        self.long(u32::try_from(bytes.len()).unwrap_or(0));
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn bind(&mut self, bind: &Bind) {
        self.short(match bind.value {
            Value::Integer(_) => 2,
            Value::Octets(_) => 4,
            Value::Null => 5,
            Value::Name(_) => 6,
            Value::Address(_) => 64,
            Value::Counter32(_) => 65,
            Value::Gauge32(_) => 66,
            Value::TimeTicks(_) => 67,
            Value::Opaque(_) => 68,
            Value::Counter64(_) => 70,
            Value::NoSuchObject => 128,
            Value::NoSuchInstance => 129,
            Value::EndOfView => 130,
        });
        self.short(0);
        self.name(&bind.name, false);
        match &bind.value {
            Value::Integer(n) => self.0.extend_from_slice(&n.to_be_bytes()),
            Value::Octets(b) | Value::Opaque(b) => self.octets(b),
            Value::Name(n) => self.name(n, false),
            Value::Address(a) => self.octets(a),
            Value::Counter32(n) | Value::Gauge32(n) | Value::TimeTicks(n) => self.long(*n),
            Value::Counter64(n) => self.0.extend_from_slice(&n.to_be_bytes()),
            Value::Null | Value::NoSuchObject | Value::NoSuchInstance | Value::EndOfView => {}
        }
    }

    fn ranges(&mut self, ranges: &[Range]) {
        for r in ranges {
            self.name(&r.start, r.include);
            self.name(&r.end, false);
        }
    }
}

/// The bytes of a packet, in network byte order, of the default context.
pub fn emit(p: &Packet) -> Vec<u8> {
    let kind = match p.body {
        Body::Open { .. } => 1,
        Body::Close { .. } => 2,
        Body::Register { .. } => 3,
        Body::Unregister { .. } => 4,
        Body::Get(_) => 5,
        Body::GetNext(_) => 6,
        Body::GetBulk { .. } => 7,
        Body::TestSet(_) => 8,
        Body::CommitSet => 9,
        Body::UndoSet => 10,
        Body::CleanupSet => 11,
        Body::Notify(_) => 12,
        Body::Ping => 13,
        Body::AddCaps { .. } => 16,
        Body::RemoveCaps { .. } => 17,
        Body::Response { .. } => 18,
    };
    let mut w = Writer(vec![1, kind, NETWORK, 0]);
    for n in [p.session, p.transaction, p.packet, 0] {
        w.long(n);
    }
    match &p.body {
        Body::Open { timeout, id, text } => {
            w.0.extend_from_slice(&[*timeout, 0, 0, 0]);
            w.name(id, false);
            w.octets(text.as_bytes());
        }
        Body::Close { reason } => w.0.extend_from_slice(&[*reason, 0, 0, 0]),
        Body::Register { priority, subtree } | Body::Unregister { priority, subtree } => {
            w.0.extend_from_slice(&[0, *priority, 0, 0]);
            w.name(subtree, false);
        }
        Body::Get(ranges) | Body::GetNext(ranges) => w.ranges(ranges),
        Body::GetBulk { single, repeat, ranges } => {
            w.short(*single);
            w.short(*repeat);
            w.ranges(ranges);
        }
        Body::TestSet(binds) | Body::Notify(binds) => binds.iter().for_each(|b| w.bind(b)),
        Body::AddCaps { id, text } => {
            w.name(id, false);
            w.octets(text.as_bytes());
        }
        Body::RemoveCaps { id } => w.name(id, false),
        Body::Response { uptime, error, index, binds } => {
            w.long(*uptime);
            w.short(*error);
            w.short(*index);
            binds.iter().for_each(|b| w.bind(b));
        }
        Body::CommitSet | Body::UndoSet | Body::CleanupSet | Body::Ping => {}
    }
    let length = u32::try_from(w.0.len() - HEADER).unwrap_or(0);
    if let Some(place) = w.0.get_mut(16..20) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    w.0
}
