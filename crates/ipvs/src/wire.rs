//! Messages as trees of attributes (level one). All numbers are in host byte order but ports, IPv4 masks and addresses.
//!
//! ```text
//!   nlmsghdr (16)            genlmsghdr (4)        attributes
//!   +--------------------+   +-----+-----+------+  +--------+--------+---------------------+
//!   | len, type = family |   | cmd | ver | 0    |  | len    | type   | value, padded to 4  | …
//!   | flags, seq, port   |   |     | = 1 |      |  | u16    | u16    |                     |
//!   +--------------------+   +-----+-----+------+  +--------+--------+---------------------+
//!
//!   cmd 1..3 NEW/SET/DEL_SERVICE, 4 GET_SERVICE      SERVICE(1) { AF 1, PROTOCOL 2, ADDR 3, PORT 4 | FWMARK 5,
//!                                                                 SCHED_NAME 6, FLAGS 7, TIMEOUT 8, NETMASK 9, PE_NAME 11 }
//!       5..7 NEW/SET/DEL_DEST, 8 GET_DEST            SERVICE(1) { key }  DEST(2) { ADDR 1, PORT 2, FWD_METHOD 3, WEIGHT 4,
//!                                                                 U_THRESH 5, L_THRESH 6, ADDR_FAMILY 11, TUN_* 13..15 }
//!       9..11 NEW/DEL/GET_DAEMON                     DAEMON(3) { STATE 1, MCAST_IFN 2, SYNC_ID 3, SYNC_MAXLEN 4, MCAST_* 5..8 }
//!       12, 13 SET/GET_CONFIG                        TIMEOUT_TCP 4, TIMEOUT_TCP_FIN 5, TIMEOUT_UDP 6
//!       14, 15 SET/GET_INFO                          VERSION 1, CONN_TAB_SIZE 2
//!       16 ZERO, 17 FLUSH
//! ```
#![allow(missing_docs)] // the constants are the kernel's

use netlink_packet_core::{
    DecodeError, Emitable, NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, Nla, NlaBuffer, NlasIterator, Parseable, ParseableParametrized,
};
use netlink_packet_generic::{GenlFamily, GenlHeader, GenlMessage};

/// Name to resolve to the family's number.
pub const FAMILY: &str = "IPVS";
/// Version of the family.
pub const VERSION: u8 = 1;

pub mod cmd {
    pub const NEW_SERVICE: u8 = 1;
    pub const SET_SERVICE: u8 = 2;
    pub const DEL_SERVICE: u8 = 3;
    pub const GET_SERVICE: u8 = 4;
    pub const NEW_DEST: u8 = 5;
    pub const SET_DEST: u8 = 6;
    pub const DEL_DEST: u8 = 7;
    pub const GET_DEST: u8 = 8;
    pub const NEW_DAEMON: u8 = 9;
    pub const DEL_DAEMON: u8 = 10;
    pub const GET_DAEMON: u8 = 11;
    pub const SET_CONFIG: u8 = 12;
    pub const GET_CONFIG: u8 = 13;
    pub const SET_INFO: u8 = 14;
    pub const GET_INFO: u8 = 15;
    pub const ZERO: u8 = 16;
    pub const FLUSH: u8 = 17;
}

pub mod attr {
    pub const SERVICE: u16 = 1;
    pub const DEST: u16 = 2;
    pub const DAEMON: u16 = 3;
    pub const TIMEOUT_TCP: u16 = 4;
    pub const TIMEOUT_TCP_FIN: u16 = 5;
    pub const TIMEOUT_UDP: u16 = 6;
}

pub mod svc {
    pub const AF: u16 = 1;
    pub const PROTOCOL: u16 = 2;
    pub const ADDR: u16 = 3;
    pub const PORT: u16 = 4;
    pub const FWMARK: u16 = 5;
    pub const SCHED_NAME: u16 = 6;
    pub const FLAGS: u16 = 7;
    pub const TIMEOUT: u16 = 8;
    pub const NETMASK: u16 = 9;
    pub const STATS: u16 = 10;
    pub const PE_NAME: u16 = 11;
    pub const STATS64: u16 = 12;
    /// IP_VS_SVC_F_*
    pub const F_PERSISTENT: u32 = 1;
    pub const F_ONEPACKET: u32 = 4;
    /// The three scheduler flags follow each other from this bit.
    pub const F_SCHED_SHIFT: u32 = 3;
}

pub mod dest {
    pub const ADDR: u16 = 1;
    pub const PORT: u16 = 2;
    pub const FWD_METHOD: u16 = 3;
    pub const WEIGHT: u16 = 4;
    pub const U_THRESH: u16 = 5;
    pub const L_THRESH: u16 = 6;
    pub const ACTIVE_CONNS: u16 = 7;
    pub const INACT_CONNS: u16 = 8;
    pub const PERSIST_CONNS: u16 = 9;
    pub const STATS: u16 = 10;
    pub const ADDR_FAMILY: u16 = 11;
    pub const STATS64: u16 = 12;
    pub const TUN_TYPE: u16 = 13;
    pub const TUN_PORT: u16 = 14;
    pub const TUN_FLAGS: u16 = 15;
    /// IP_VS_CONN_F_FWD_MASK and the methods under it.
    pub const FWD_MASK: u32 = 7;
    pub const MASQ: u32 = 0;
    pub const LOCALNODE: u32 = 1;
    pub const TUNNEL: u32 = 2;
    pub const DROUTE: u32 = 3;
    pub const BYPASS: u32 = 4;
    pub const TUN_IPIP: u8 = 0;
    pub const TUN_GUE: u8 = 1;
    pub const TUN_GRE: u8 = 2;
    pub const TUN_CSUM: u16 = 1;
    pub const TUN_REMCSUM: u16 = 2;
}

pub mod daemon {
    pub const STATE: u16 = 1;
    pub const MCAST_IFN: u16 = 2;
    pub const SYNC_ID: u16 = 3;
    pub const SYNC_MAXLEN: u16 = 4;
    pub const MCAST_GROUP: u16 = 5;
    pub const MCAST_GROUP6: u16 = 6;
    pub const MCAST_PORT: u16 = 7;
    pub const MCAST_TTL: u16 = 8;
    pub const MASTER: u32 = 1;
    pub const BACKUP: u32 = 2;
}

pub mod info {
    pub const VERSION: u16 = 1;
    pub const CONN_TAB_SIZE: u16 = 2;
}

pub mod stats {
    pub const CONNS: u16 = 1;
    pub const INPKTS: u16 = 2;
    pub const OUTPKTS: u16 = 3;
    pub const INBYTES: u16 = 4;
    pub const OUTBYTES: u16 = 5;
    pub const CPS: u16 = 6;
    pub const INPPS: u16 = 7;
    pub const OUTPPS: u16 = 8;
    pub const INBPS: u16 = 9;
    pub const OUTBPS: u16 = 10;
}

/// One attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attr {
    /// Its number, without flags.
    pub kind: u16,
    /// Its value.
    pub value: Value,
}

/// Value of an attribute.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Plain bytes.
    Bytes(Vec<u8>),
    /// Attributes. Only when emitting: what is received is opened by those who know that it is nested.
    Nested(Vec<Attr>),
}

impl Attr {
    pub fn bytes(kind: u16, value: impl Into<Vec<u8>>) -> Attr {
        Attr { kind, value: Value::Bytes(value.into()) }
    }
    pub fn u8(kind: u16, value: u8) -> Attr {
        Attr::bytes(kind, [value])
    }
    pub fn u16(kind: u16, value: u16) -> Attr {
        Attr::bytes(kind, value.to_ne_bytes())
    }
    pub fn be16(kind: u16, value: u16) -> Attr {
        Attr::bytes(kind, value.to_be_bytes())
    }
    pub fn u32(kind: u16, value: u32) -> Attr {
        Attr::bytes(kind, value.to_ne_bytes())
    }
    pub fn text(kind: u16, value: &str) -> Attr {
        Attr::bytes(kind, [value.as_bytes(), &[0]].concat())
    }
    pub const fn nested(kind: u16, value: Vec<Attr>) -> Attr {
        Attr { kind, value: Value::Nested(value) }
    }

    /// The attributes within, if the bytes are some.
    pub fn open(&self) -> Result<Vec<Attr>, DecodeError> {
        match &self.value {
            Value::Nested(inner) => Ok(inner.clone()),
            Value::Bytes(bytes) => parse_all(bytes),
        }
    }

    fn raw(&self) -> &[u8] {
        match &self.value {
            Value::Bytes(bytes) => bytes,
            Value::Nested(_) => &[],
        }
    }
    fn array<const N: usize>(&self) -> Option<[u8; N]> {
        self.raw().try_into().ok()
    }
    pub fn as_u8(&self) -> Option<u8> {
        self.array().map(|[b]| b)
    }
    pub fn as_u16(&self) -> Option<u16> {
        self.array().map(u16::from_ne_bytes)
    }
    pub fn as_be16(&self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }
    pub fn as_u32(&self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }
    /// A counter of 4 or 8 bytes.
    pub fn as_count(&self) -> Option<u64> {
        self.as_u32().map(u64::from).or_else(|| self.array().map(u64::from_ne_bytes))
    }
    /// The first `N` bytes.
    pub fn head<const N: usize>(&self) -> Option<[u8; N]> {
        self.raw().first_chunk().copied()
    }
    /// Text up to the first NUL, if it is UTF-8.
    pub fn as_text(&self) -> Option<String> {
        let bytes = self.raw().split(|b| *b == 0).next()?;
        String::from_utf8(bytes.to_vec()).ok()
    }
}

impl Nla for Attr {
    fn value_len(&self) -> usize {
        match &self.value {
            Value::Bytes(bytes) => bytes.len(),
            Value::Nested(inner) => inner.as_slice().buffer_len(),
        }
    }
    fn kind(&self) -> u16 {
        match self.value {
            Value::Bytes(_) => self.kind,
            Value::Nested(_) => self.kind | NLA_F_NESTED,
        }
    }
    fn emit_value(&self, buffer: &mut [u8]) {
        match &self.value {
            Value::Bytes(bytes) => buffer.copy_from_slice(bytes),
            Value::Nested(inner) => inner.as_slice().emit(buffer),
        }
    }
}

impl<'a, T: AsRef<[u8]> + ?Sized> Parseable<NlaBuffer<&'a T>> for Attr {
    fn parse(buffer: &NlaBuffer<&'a T>) -> Result<Attr, DecodeError> {
        Ok(Attr::bytes(buffer.kind(), buffer.value()))
    }
}

fn parse_all(bytes: &[u8]) -> Result<Vec<Attr>, DecodeError> {
    NlasIterator::new(bytes).map(|nla| Attr::parse(&nla?)).collect()
}

/// A message of the family.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Command.
    pub command: u8,
    /// Attributes.
    pub attributes: Vec<Attr>,
}

impl GenlFamily for Message {
    fn family_name() -> &'static str {
        FAMILY
    }
    fn command(&self) -> u8 {
        self.command
    }
    fn version(&self) -> u8 {
        VERSION
    }
}

impl Emitable for Message {
    fn buffer_len(&self) -> usize {
        self.attributes.as_slice().buffer_len()
    }
    fn emit(&self, buffer: &mut [u8]) {
        self.attributes.as_slice().emit(buffer);
    }
}

impl ParseableParametrized<[u8], GenlHeader> for Message {
    fn parse_with_param(bytes: &[u8], header: GenlHeader) -> Result<Message, DecodeError> {
        Ok(Message { command: header.cmd, attributes: parse_all(bytes)? })
    }
}

impl Message {
    /// The bytes of a request: an answer in many parts when `dump`, else an acknowledgement.
    pub fn encode(self, family: u16, sequence: u32, dump: bool) -> Vec<u8> {
        let mut message = GenlMessage::from_payload(self);
        message.set_resolved_family_id(family);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | if dump { NLM_F_DUMP } else { NLM_F_ACK };
        header.sequence_number = sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        bytes
    }
}

/// One message of a datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// A message of the family.
    Message(Message),
    /// The request is done (0) or refused: the error number, positive.
    Ack(i32),
    /// The end of an answer in many parts, with an error number, positive, if it broke off.
    Done(i32),
    /// Something else, to be passed over.
    Other,
}

/// Takes a datagram apart: sequence number and content of each message. What is malformed ends it with an error.
pub fn decode(mut bytes: &[u8], family: u16) -> Result<Vec<(u32, Part)>, DecodeError> {
    let mut parts = Vec::new();
    while bytes.len() >= 16 {
        let length = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize;
        let kind = u16::from_ne_bytes([bytes[4], bytes[5]]);
        if length < 16 || length > bytes.len() {
            return Err(DecodeError::from(format!("netlink message of length {length} in {} bytes", bytes.len())));
        }
        let (one, rest) = bytes.split_at(length);
        // messages are aligned to 4; the last one may end without padding
        bytes = rest.get((length.next_multiple_of(4) - length)..).unwrap_or_default();
        if kind >= 16 && kind != family {
            parts.push((u32::from_ne_bytes([one[8], one[9], one[10], one[11]]), Part::Other));
            continue;
        }
        if kind == family && length < 20 {
            return Err(DecodeError::from("generic netlink message without header".to_owned()));
        }
        let message = NetlinkMessage::<GenlMessage<Message>>::deserialize(one)?;
        let part = match message.payload {
            NetlinkPayload::InnerMessage(inner) => Part::Message(inner.payload),
            NetlinkPayload::Error(error) => Part::Ack(error.code.map_or(0, |c| c.get().saturating_neg())),
            NetlinkPayload::Done(done) => Part::Done(done.code.saturating_neg()),
            _ => Part::Other,
        };
        parts.push((message.header.sequence_number, part));
    }
    Ok(parts)
}
