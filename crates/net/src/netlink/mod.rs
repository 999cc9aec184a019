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
pub use mirror::{Event, Link, Mirror};

use netlink_packet_core::{NLM_F_ACK, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
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

    pub(crate) fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
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
