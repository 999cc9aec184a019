//! rtnetlink: what links and addresses there are, and putting objects into the kernel.
//!
//! Two sockets. One listens: a dump at start, notifications after it, a new dump after an overrun. The other carries requests;
//! many are sent in a row and their answers are matched by sequence number when they come, so that a thousand addresses cost one
//! round trip and nothing ever waits.

mod build;
mod kernel;
mod matching;
mod mirror;
mod replace;
mod routes;
#[cfg(test)]
mod tests;

pub use kernel::{Kernel, Outcome};
pub use mirror::{Event, Link, Mirror, Remains};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// What a read brought.
pub(crate) enum Read {
    Messages(Vec<NetlinkMessage<RouteNetlinkMessage>>),
    Empty,
    /// The kernel dropped messages.
    Overrun,
}

/// Size of a receive buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffer {
    /// Bytes; 0 leaves what the system gives.
    pub bytes: usize,
    /// Beyond the system's limit (CAP_NET_ADMIN).
    pub force: bool,
}

impl Buffer {
    /// Sets it; a refusal leaves the socket as it is.
    pub(crate) fn apply(self, socket: &impl AsRawFd) {
        use nix::sys::socket::{setsockopt, sockopt};
        if self.bytes == 0 {
            return;
        }
        // SAFETY: the socket outlives the call.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(socket.as_raw_fd()) };
        let done = if self.force {
            setsockopt(&fd, sockopt::RcvBufForce, &self.bytes)
        } else {
            setsockopt(&fd, sockopt::RcvBuf, &self.bytes)
        };
        if let Err(e) = done {
            log::warn!("cannot make a receive buffer of {} bytes: {e}", self.bytes);
        }
    }
}

/// A netlink socket that is not blocking.
pub(crate) struct Channel {
    socket: Socket,
}

impl Channel {
    pub(crate) fn open(groups: &[u32], receive_buffer: Buffer) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        receive_buffer.apply(&socket);
        for g in groups {
            socket.add_membership(*g)?;
        }
        Ok(Channel { socket })
    }

    /// Answers that refuse something say why in words, where the kernel can (Linux 4.12).
    fn with_reasons(self) -> Self {
        // Without them there is the number.
        let _ = self.socket.set_ext_ack(true).and_then(|()| self.socket.set_cap_ack(true));
        self
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    #[cfg(test)]
    pub(crate) fn drop_membership(&self, group: u32) -> io::Result<()> {
        self.socket.drop_membership(group)
    }

    pub(crate) fn send(&self, payload: RouteNetlinkMessage, flags: u16, sequence: u32) -> io::Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::from(payload));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        let _ = NLM_F_ACK;
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT).map(|_| ())
    }

    /// Takes one datagram. Only the kernel is believed: any local process may send to a netlink socket.
    pub(crate) fn read(&mut self) -> io::Result<Read> {
        // Room for what is never that large is not kept between times: little of it is ever written to.
        let mut buffer = Vec::with_capacity(64 * 1024);
        loop {
            buffer.clear();
            match self.socket.recv_from(&mut buffer, libc::MSG_DONTWAIT) {
                Ok((_, from)) if from.port_number() != 0 => {}
                Ok(_) => return Ok(Read::Messages(parse(&buffer))),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(Read::Empty),
                    Some(libc::EINTR) => {}
                    Some(libc::ENOBUFS) => return Ok(Read::Overrun),
                    _ => return Err(e),
                },
            }
        }
    }
}

/// Why the kernel refused a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Why {
    /// The number of the error.
    pub errno: i32,
    /// What the kernel says of it; empty: nothing.
    pub words: String,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        io::Error::from_raw_os_error(self.errno).fmt(f)?;
        if self.words.is_empty() { Ok(()) } else { write!(f, ": {}", self.words) }
    }
}

impl Why {
    /// Of an answer, which has this form (linux/netlink.h):
    ///
    /// ```text
    /// | nlmsghdr 16 | error 4 | nlmsghdr of the request 16 | the rest of the request, unless flag CAPPED | attributes, if flag ACK_TLVS |
    /// ```
    pub fn answer(message: &NetlinkMessage<RouteNetlinkMessage>) -> Why {
        const CAPPED: u16 = 0x100;
        const ACK_TLVS: u16 = 0x200;
        const MSG: u16 = 1;
        let NetlinkPayload::Error(e) = &message.payload else { return Why { errno: 0, words: String::new() } };
        let mut words = String::new();
        let u16_at = |bytes: &[u8], at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
        if message.header.flags & ACK_TLVS != 0 {
            let request = e.header.get(..4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes) as usize;
            let skip = if message.header.flags & CAPPED != 0 { 16 } else { request.div_ceil(4) * 4 };
            let mut rest = e.header.get(skip..).unwrap_or_default();
            while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
                let Some(value) = rest.get(4..length.into()) else { break };
                if kind & 0x3fff == MSG {
                    let text = value.split(|b| *b == 0).next().unwrap_or_default();
                    words = String::from_utf8_lossy(text).trim_end_matches('.').to_string();
                }
                rest = rest.get(usize::from(length).div_ceil(4) * 4..).unwrap_or_default();
            }
        }
        Why { errno: e.code.map_or(0, |c| c.get().wrapping_neg()), words }
    }
}

/// The messages of a datagram. What cannot be understood is passed over; lengths that lie end it.
pub fn parse(mut bytes: &[u8]) -> Vec<NetlinkMessage<RouteNetlinkMessage>> {
    let mut messages = Vec::new();
    while let Some(length) = bytes.get(..4).and_then(|b| b.try_into().ok()).map(u32::from_ne_bytes) {
        let length = length as usize;
        let Some(one) = bytes.get(..length).filter(|_| length >= 16) else { break };
        if let Ok(m) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(one) {
            messages.push(m);
        }
        let step = length.div_ceil(4) * 4;
        bytes = bytes.get(step..).unwrap_or_default();
    }
    messages
}
