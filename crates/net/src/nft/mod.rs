//! Blocking traffic of virtual addresses through nf_tables, without the `nft` program.
//!
//! One table for each family, with keepalived's names for table, chains and sets. What is blocked are elements of sets, so that a
//! takeover changes elements and never rules. Every change is one batch, which the kernel takes whole or not at all.

mod build;
#[cfg(test)]
mod tests;

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nftables::NfTablesMessage;
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterMessageInner, NetfilterProtoFamily};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, RawFd};
use steadfast_core::Family;

/// NFNL_SUBSYS_NFTABLES.
const SUBSYSTEM: u16 = 10;
/// NFNLGRP_NFTABLES.
const GROUP: u32 = 7;
/// Elements in one batch at most: a batch is one datagram and must fit into the send buffer.
const BATCH: usize = 512;

/// What is kept out.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Entry {
    /// Packets to and from an address.
    Address(IpAddr),
    /// Packets to and from a link-local address on the link of this name.
    LinkLocal(std::net::Ipv6Addr, String),
    /// Group membership reports from a virtual link: they would teach switches a virtual MAC that is not served here.
    Reports(Family, String),
}

impl Entry {
    fn family(&self) -> Family {
        match self {
            Entry::Address(a) => Family::of(*a),
            Entry::LinkLocal(..) => Family::V6,
            Entry::Reports(f, _) => *f,
        }
    }
}

/// How the tables look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Name of the tables.
    pub table: String,
    /// Hook priority of the chains.
    pub priority: i32,
    /// Rules count packets.
    pub counters: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { table: "keepalived".into(), priority: -1, counters: false }
    }
}

/// The tables of this process.
pub struct Firewall {
    settings: Settings,
    socket: Option<Socket>,
    sequence: u32,
    /// What is in the kernel, or on its way.
    entries: BTreeSet<Entry>,
    /// Families whose table exists.
    tables: [bool; 2],
    queue: Vec<(Entry, bool)>,
    buffer: Vec<u8>,
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

impl Firewall {
    /// Nothing is opened before something is to be blocked.
    pub fn new(settings: Settings) -> Self {
        Firewall {
            settings,
            socket: None,
            sequence: 0,
            entries: BTreeSet::new(),
            tables: [false; 2],
            queue: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// The descriptor to watch, once there is one.
    pub fn fd(&self) -> Option<RawFd> {
        self.socket.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// It is blocked, or will be.
    pub fn has(&self, entry: &Entry) -> bool {
        self.entries.contains(entry)
    }

    /// Blocks with the next [`Firewall::flush`].
    pub fn add(&mut self, entry: Entry) {
        if self.entries.insert(entry.clone()) {
            self.queue.push((entry, true));
        }
    }

    /// Frees with the next [`Firewall::flush`].
    pub fn remove(&mut self, entry: &Entry) {
        if self.entries.remove(entry) {
            self.queue.push((entry.clone(), false));
        }
    }

    /// Hands what was asked for to the kernel. True: a socket was opened, its descriptor is to be watched.
    pub fn flush(&mut self) -> io::Result<bool> {
        if self.queue.is_empty() {
            return Ok(false);
        }
        let opened = self.open()?;
        let queue = std::mem::take(&mut self.queue);
        for chunk in queue.chunks(BATCH) {
            let mut messages = Vec::new();
            for (n, family) in FAMILIES.into_iter().enumerate() {
                let mut own = chunk.iter().filter(|(e, _)| e.family() == family).peekable();
                if own.peek().is_none() {
                    continue;
                }
                if !std::mem::replace(&mut self.tables[n], true) {
                    messages.extend(build::table(family, &self.settings));
                }
                messages.extend(own.map(|(e, add)| (family, build::element(e, *add, &self.settings))));
            }
            self.send(messages)?;
        }
        Ok(opened)
    }

    /// Puts everything there again, in one batch for each family: somebody took it away.
    pub fn restore(&mut self) -> io::Result<()> {
        self.tables = [false; 2];
        self.queue = self.entries.iter().cloned().map(|e| (e, true)).collect();
        self.flush().map(|_| ())
    }

    /// Removes the tables.
    pub fn close(&mut self) -> io::Result<()> {
        self.entries.clear();
        self.queue.clear();
        let mut messages = Vec::new();
        for (n, family) in FAMILIES.into_iter().enumerate() {
            if std::mem::take(&mut self.tables[n]) {
                messages.push((family, build::remove_table(&self.settings)));
            }
        }
        if messages.is_empty() { Ok(()) } else { self.send(messages) }
    }

    fn open(&mut self) -> io::Result<bool> {
        if self.socket.is_some() {
            return Ok(false);
        }
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        // A thousand elements and their acknowledgements at a takeover.
        let _ = socket.set_rx_buf_sz(1usize << 20);
        socket.add_membership(GROUP)?;
        self.socket = Some(socket);
        Ok(true)
    }

    fn send(&mut self, messages: Vec<(Family, NfTablesMessage)>) -> io::Result<()> {
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

    /// Takes what the kernel says: errors of our batches, and changes by others. True: somebody took away what is ours.
    pub fn read(&mut self, failed: &mut Vec<i32>) -> io::Result<bool> {
        let mut lost = false;
        let Some(socket) = &self.socket else { return Ok(false) };
        let mut own = SocketAddr::new(0, 0);
        socket.get_address(&mut own)?;
        loop {
            self.buffer.clear();
            self.buffer.reserve(64 * 1024);
            match socket.recv_from(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok((_, from)) if from.port_number() != 0 => {}
                Ok(_) => lost |= look(&self.buffer, own.port_number(), &self.settings.table, failed),
                Err(e) => match e.raw_os_error() {
                    Some(libc::EAGAIN) => break,
                    Some(libc::EINTR) => {}
                    // What was missed may have been a loss.
                    Some(libc::ENOBUFS) => lost = true,
                    _ => return Err(e),
                },
            }
        }
        Ok(lost && !self.entries.is_empty())
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
