//! The kernel's load balancer over generic netlink. The kernel answers a request before the call that sends it returns, so reading
//! after sending does not wait.

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};
use std::collections::{BTreeSet, HashMap};
use std::io;
use steadfast_core::Family;
use steadfast_core::ipvs::ServiceKey;
use steadfast_ipvs::wire::{Part, decode};
use steadfast_ipvs::{Operation, Reply, Request, Table, difference};

/// GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID and CTRL_ATTR_FAMILY_NAME.
const CONTROL: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// Reads for one request at most: the largest dump is bounded.
const READS: usize = 100_000;
/// Requests in one datagram: the errors of all of them must fit into the receive buffer.
const BATCH: usize = 64;

/// A connection to IPVS.
pub struct Ipvs {
    socket: Socket,
    family: u16,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Ipvs {
    /// Connects. `NotFound`: the kernel has no IPVS, or its module ip_vs is not loaded.
    pub fn open(receive_buffer: crate::netlink::Buffer) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.set_non_blocking(true)?;
        receive_buffer.apply(&socket);
        let mut ipvs = Ipvs { socket, family: 0, sequence: 0, buffer: Vec::new() };
        ipvs.family = ipvs.resolve()?;
        Ok(ipvs)
    }

    fn resolve(&mut self) -> io::Result<u16> {
        // nlmsghdr, genlmsghdr, and one attribute: the name with its NUL, padded to four bytes.
        let name = b"IPVS\0\0\0\0";
        let mut m = Vec::new();
        m.extend(32u32.to_ne_bytes());
        m.extend(CONTROL.to_ne_bytes());
        m.extend((libc::NLM_F_REQUEST as u16).to_ne_bytes());
        m.extend([0; 8]);
        m.extend([GET_FAMILY, 1, 0, 0]);
        m.extend(9u16.to_ne_bytes());
        m.extend(FAMILY_NAME.to_ne_bytes());
        m.extend(name);
        self.socket.send_to(&m, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT)?;
        if !self.receive()? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let b = &self.buffer;
        let short = |at: usize| b.get(at..at + 2).and_then(|x| x.try_into().ok()).map(u16::from_ne_bytes);
        if short(4) == Some(libc::NLMSG_ERROR as u16) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let mut at = 20;
        while let (Some(length), Some(kind)) = (short(at), short(at + 2)) {
            if kind == FAMILY_ID {
                return short(at + 4).ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
            if length < 4 {
                break;
            }
            at += usize::from(length).div_ceil(4) * 4;
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// One datagram into the buffer; false when there is none.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            self.buffer.clear();
            self.buffer.reserve(64 * 1024);
            match self.socket.recv_from(&mut self.buffer, libc::MSG_DONTWAIT) {
                // Any process may send here; the kernel's port is 0.
                Ok((_, from)) if from.port_number() != 0 => {}
                Ok(_) => return Ok(true),
                Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// Asks, and takes the whole answer. Destinations are told in the family of their service.
    pub fn ask(&mut self, request: &Request, family: Family) -> io::Result<Vec<Reply>> {
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let bytes = request.encode(self.family, sequence);
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT)?;
        let mut replies = Vec::new();
        for _ in 0..READS {
            if !self.receive()? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let parts = decode(&self.buffer, self.family).map_err(io::Error::other)?;
            for (_, part) in parts.into_iter().filter(|(s, _)| *s == sequence) {
                match part {
                    Part::Message(m) => replies.extend(Reply::read(&m, family)),
                    Part::Ack(0) => return Ok(replies),
                    Part::Ack(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Part::Done(0) => return Ok(replies),
                    Part::Done(errno) => return Err(io::Error::from_raw_os_error(errno)),
                    Part::Other => {}
                }
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// The whole table.
    pub fn table(&mut self) -> io::Result<Table> {
        let mut table = Table::new();
        for reply in self.ask(&Request::GetServices, Family::V4)? {
            let Reply::Service(s) = reply else { continue };
            let mut destinations = Vec::new();
            for d in self.ask(&Request::GetDestinations(s.key), s.key.family())? {
                if let Reply::Destination(d) = d {
                    destinations.push((d.key, d.destination));
                }
            }
            table.insert(s.key, s.service, destinations);
        }
        Ok(table)
    }

    /// Asks all of these at once: what is refused, by place. The kernel takes one after the other, and says nothing of what it has done
    /// but for the last.
    fn order(&mut self, requests: &[Request]) -> io::Result<Vec<(usize, io::Error)>> {
        let first = self.sequence.wrapping_add(1);
        let mut bytes = Vec::new();
        for (n, request) in requests.iter().enumerate() {
            self.sequence = self.sequence.wrapping_add(1);
            let at = bytes.len();
            bytes.extend(request.encode(self.family, self.sequence));
            // nlmsghdr: the flags are at 6. Errors are told without being asked for (RFC 3549 section 2.3.2.2).
            if n + 1 < requests.len()
                && let Some(flags) = bytes.get_mut(at + 6..at + 8)
            {
                let without = u16::from_ne_bytes([flags[0], flags[1]]) & !(libc::NLM_F_ACK as u16);
                flags.copy_from_slice(&without.to_ne_bytes());
            }
        }
        self.socket.send_to(&bytes, &SocketAddr::new(0, 0), libc::MSG_DONTWAIT)?;
        let mut refused = Vec::new();
        for _ in 0..=requests.len() {
            if !self.receive()? {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for (sequence, part) in decode(&self.buffer, self.family).map_err(io::Error::other)? {
                let (n, Part::Ack(errno)) = (sequence.wrapping_sub(first) as usize, part) else { continue };
                if errno != 0 && n < requests.len() {
                    refused.push((n, io::Error::from_raw_os_error(errno)));
                }
                if n + 1 == requests.len() {
                    return Ok(refused);
                }
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    /// Brings the kernel's services of ours to what is wanted, step by step. What is refused is returned, and does not stop the rest.
    /// `between`: called now and then, for many steps take their time.
    pub fn apply(
        &mut self,
        kernel: &mut Table,
        wanted: &Table,
        ours: &BTreeSet<ServiceKey>,
        between: &mut dyn FnMut(),
    ) -> Vec<(Operation, io::Error)> {
        let mut refused = Vec::new();
        for steps in difference(kernel, wanted, ours).chunks(BATCH) {
            between();
            let requests: Vec<Request> = steps.iter().map(Request::from).collect();
            let Ok(failed) = self.order(&requests) else {
                self.apply_singly(kernel, wanted, ours, &mut refused, between);
                break;
            };
            let mut failed: HashMap<usize, io::Error> = failed.into_iter().collect();
            for (n, step) in steps.iter().enumerate() {
                match failed.remove(&n) {
                    None => drop(kernel.apply(step)),
                    Some(e) => refused.push((step.clone(), e)),
                }
            }
        }
        refused
    }

    /// What has become of a batch is not known: the kernel is asked what it has by now, and then for each step that is left.
    fn apply_singly(
        &mut self,
        kernel: &mut Table,
        wanted: &Table,
        ours: &BTreeSet<ServiceKey>,
        refused: &mut Vec<(Operation, io::Error)>,
        between: &mut dyn FnMut(),
    ) {
        // While anything waits to be read in a full buffer the kernel puts nothing more into it.
        for _ in 0..READS {
            if matches!(self.receive(), Ok(false)) {
                break;
            }
        }
        if let Ok(table) = self.table() {
            *kernel = table;
        }
        for step in difference(kernel, wanted, ours) {
            between();
            if refused.iter().any(|(known, _)| *known == step) {
                continue;
            }
            match self.ask(&Request::from(&step), Family::V4) {
                Ok(_) => drop(kernel.apply(&step)),
                Err(e) => refused.push((step, e)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Any process may send to our socket: what does not come from the kernel is no answer.
    #[test]
    fn only_the_kernel_answers() {
        let mut socket = Socket::new(NETLINK_GENERIC).expect("socket");
        let own = socket.bind_auto().expect("address");
        socket.set_non_blocking(true).expect("socket");
        let mut ipvs = Ipvs { socket, family: CONTROL, sequence: 0, buffer: Vec::new() };
        let mut stranger = Socket::new(NETLINK_GENERIC).expect("socket");
        stranger.bind_auto().expect("address");
        let said = stranger.send_to(&[0x55; 32], &SocketAddr::new(own.port_number(), 0), 0);
        assert_eq!(said.expect("a message from a process"), 32);
        assert!(!ipvs.receive().expect("nothing"), "{:?}", ipvs.buffer);
        // Of what the kernel says something is heard, whether it has IPVS or not.
        stranger.send_to(&[0x55; 32], &SocketAddr::new(own.port_number(), 0), 0).expect("a message from a process");
        match ipvs.resolve() {
            Ok(family) => assert_ne!(family, 0x5555),
            Err(e) => assert_eq!(e.kind(), io::ErrorKind::NotFound),
        }
    }
}
