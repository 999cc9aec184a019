//! The socket to nf_tables: batches to it, errors and changes from it.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use nix::sys::socket::{setsockopt, sockopt};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use steadfast_core::Family;

/// NFNL_SUBSYS_NFTABLES.
pub(super) const SUBSYSTEM: u16 = 10;
/// NFNLGRP_NFTABLES.
const GROUP: u32 = 7;

/// The kernel's tables. Nothing is opened before it is needed.
#[derive(Default)]
pub(super) struct Tables {
    socket: Option<Socket>,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Tables {
    /// The descriptor to watch, once there is one.
    pub fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// True: it was not open. The buffers hold so many bytes, beyond the system's limit where that is allowed.
    pub fn open(&mut self, buffer: usize) -> io::Result<bool> {
        if self.socket.is_some() {
            return Ok(false);
        }
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        {
            // SAFETY: the socket outlives the calls.
            let fd = unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) };
            if setsockopt(&fd, sockopt::RcvBufForce, &buffer).is_err() {
                let _ = setsockopt(&fd, sockopt::RcvBuf, &buffer);
            }
            if setsockopt(&fd, sockopt::SndBufForce, &buffer).is_err() {
                let _ = setsockopt(&fd, sockopt::SndBuf, &buffer);
            }
        }
        socket.add_membership(GROUP)?;
        self.socket = Some(socket);
        Ok(true)
    }

    /// One batch.
    pub fn send(&mut self, messages: Vec<(Family, NfTablesMessage)>) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Ok(()) };
        let mut bytes = Vec::new();
        let mut emit = |family: NetfilterProtoFamily, resource: u16, inner: NetfilterMessageInner, flags: u16| {
            self.sequence = self.sequence.wrapping_add(1);
            let mut header = NetlinkHeader::default();
            header.flags = NLM_F_REQUEST | flags;
            header.sequence_number = self.sequence;
            let body = NetfilterMessage::new(NetfilterHeader::new(family, 0, resource), inner);
            let mut message = NetlinkMessage::new(header, NetlinkPayload::from(body));
            message.finalize();
            let start = bytes.len();
            bytes.resize(start + message.buffer_len(), 0);
            if let Some(room) = bytes.get_mut(start..) {
                message.serialize(room);
            }
        };
        emit(NetfilterProtoFamily::Unspec, SUBSYSTEM, ControlMessage::BatchBegin.into(), 0);
        for (family, message) in messages {
            let flags = match message {
                NfTablesMessage::NewRule(_) => NLM_F_CREATE | NLM_F_APPEND,
                NfTablesMessage::DeleteTable(_) | NfTablesMessage::DeleteSetElement(_) => 0,
                _ => NLM_F_CREATE,
            };
            let family = match family {
                Family::V4 => NetfilterProtoFamily::IPv4,
                Family::V6 => NetfilterProtoFamily::IPv6,
            };
            emit(family, 0, message.into(), flags);
        }
        emit(NetfilterProtoFamily::Unspec, SUBSYSTEM, ControlMessage::BatchEnd.into(), 0);
        socket.send_to(&bytes, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT).map(|_| ())
    }

    /// Takes what the kernel says: errors of our batches, and changes by others. True: somebody took something out of `table`.
    pub fn read(&mut self, table: &str, failed: &mut Vec<i32>) -> io::Result<bool> {
        let mut lost = false;
        let Some(socket) = &self.socket else { return Ok(false) };
        let mut own = SocketAddr::new(0, 0);
        socket.get_address(&mut own)?;
        loop {
            self.buffer.clear();
            self.buffer.reserve(64 * 1024);
            match socket.recv_from(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok((_, from)) if from.port_number() != 0 => {}
                Ok(_) => lost |= look(&self.buffer, own.port_number(), table, failed),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EAGAIN) => break,
                    Some(libc::EINTR) => {}
                    // What was missed may have been a loss.
                    Some(libc::ENOBUFS) => lost = true,
                    _ => return Err(e),
                },
            }
        }
        Ok(lost)
    }
}

/// Looks through the messages of a datagram: error numbers of our own batches, and whether somebody else (not port `own`) took
/// something out of `table`.
///
/// ```text
///  0               4       6       8              12              16
/// +---------------+-------+-------+---------------+---------------+----------------+-----------+
/// | length        | type  | flags | sequence      | port          | nfgenmsg (4)   | attributes
/// +---------------+-------+-------+---------------+---------------+----------------+-----------+
/// ```
pub fn look(mut bytes: &[u8], own: u32, table: &str, failed: &mut Vec<i32>) -> bool {
    let mut lost = false;
    let word = |b: &[u8], at: usize| b.get(at..at + 4).and_then(|w| w.try_into().ok()).map(u32::from_ne_bytes);
    while let Some(length) = word(bytes, 0) {
        let length = length as usize;
        let Some(one) = bytes.get(..length).filter(|_| length >= 16) else { break };
        let kind = one.get(4..6).and_then(|b| b.try_into().ok()).map_or(0, u16::from_ne_bytes);
        if kind == libc::NLMSG_ERROR as u16 {
            match word(one, 16).map(|e| (e as i32).wrapping_neg()) {
                Some(0) | None => {}
                Some(errno) => failed.push(errno),
            }
        } else if kind >> 8 == SUBSYSTEM && word(one, 12) != Some(own) {
            // NFT_MSG_DEL: table 2, chain 5, rule 8, set 11, element 14. All carry the table's name as attribute 1.
            let removal = matches!(kind & 0xff, 2 | 5 | 8 | 11 | 14);
            let name = one.get(24..).and_then(|b| b.get(..table.len() + 1));
            let first = one.get(22..24).and_then(|b| b.try_into().ok()).map_or(0, u16::from_ne_bytes);
            let ours = name.is_some_and(|n| n.strip_suffix(&[0]) == Some(table.as_bytes()));
            lost |= removal && first & 0x3fff == 1 && ours;
        }
        bytes = bytes.get(length.div_ceil(4) * 4..).unwrap_or_default();
    }
    lost
}
