//! UDP of BFD (RFC 5881, 5883): one receiving socket for each family and port, one sending socket for each session, because every
//! session has a source port of its own.

use crate::vrrp_socket::{filter_nothing, option};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::mem::{size_of, size_of_val};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use steadfast_core::Family;

/// Port of single hop sessions (RFC 5881 section 4).
pub const PORT: u16 = 3784;
/// Port of multihop sessions (RFC 5883 section 5).
pub const MULTIHOP_PORT: u16 = 4784;
/// Internetwork control, as for routing protocols.
const TOS: i32 = 0xc0;
/// Packets that one system call takes.
const BATCH: usize = 64;
/// The length field of a packet has eight bits; what a datagram has beyond that is cut off.
const LARGEST: usize = 256;
/// Receive buffer: a burst of all sessions at once.
const BUFFER: usize = 1 << 20;

/// A packet as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The UDP payload.
    pub payload: &'a [u8],
}

/// Room for what comes with one packet.
#[derive(Clone, Copy)]
struct Slot {
    payload: [u8; LARGEST],
    /// As wide as the kernel's alignment of control messages.
    control: [u64; 16],
    name: libc::sockaddr_storage,
}

/// The receiving socket of one family and port.
pub struct Receiver {
    socket: Socket,
    /// Packets are those of multihop sessions.
    pub multihop: bool,
    slots: Box<[Slot]>,
}

fn domain(family: Family) -> Domain {
    match family {
        Family::V4 => Domain::IPV4,
        Family::V6 => Domain::IPV6,
    }
}

fn wildcard(family: Family) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn port(multihop: bool) -> u16 {
    if multihop { MULTIHOP_PORT } else { PORT }
}

impl Receiver {
    /// Opens the socket on all addresses. Fails where another program has the port.
    pub fn open(family: Family, multihop: bool) -> io::Result<Self> {
        let socket = Socket::new(domain(family), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        let fd = socket.as_raw_fd();
        match family {
            Family::V4 => {
                option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
                option(fd, libc::IPPROTO_IP, libc::IP_RECVTTL, 1)?;
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
                option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
            }
        }
        let _ = socket.set_recv_buffer_size(BUFFER);
        socket.bind(&SocketAddr::new(wildcard(family), port(multihop)).into())?;
        // SAFETY: sockaddr_storage is plain data, for which zero is valid.
        let name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let slots = vec![Slot { payload: [0; LARGEST], control: [0; 16], name }; BATCH].into_boxed_slice();
        Ok(Receiver { socket, multihop, slots })
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Takes what is there, at most 64 packets; true when there may be more.
    pub fn receive(&mut self, mut each: impl FnMut(Packet<'_>)) -> io::Result<bool> {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        // SAFETY: mmsghdr is plain data, for which zero is valid.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        for ((m, v), s) in messages.iter_mut().zip(&mut vectors).zip(self.slots.iter_mut()) {
            *v = libc::iovec { iov_base: s.payload.as_mut_ptr().cast(), iov_len: LARGEST };
            m.msg_hdr.msg_name = (&raw mut s.name).cast();
            m.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            m.msg_hdr.msg_iov = v;
            m.msg_hdr.msg_iovlen = 1;
            m.msg_hdr.msg_control = s.control.as_mut_ptr().cast();
            m.msg_hdr.msg_controllen = size_of_val(&s.control);
        }
        // SAFETY: every pointer in `messages` is to a live buffer of the told size, each used by one message only.
        let n = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                messages.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        if n < 0 {
            let e = io::Error::last_os_error();
            return match e.raw_os_error() {
                Some(libc::EAGAIN) => Ok(false),
                Some(libc::EINTR | libc::ENETDOWN) => Ok(true),
                _ => Err(e),
            };
        }
        let n = usize::try_from(n).unwrap_or(0);
        for (m, s) in messages.iter().zip(self.slots.iter()).take(n) {
            let payload = s.payload.get(..(m.msg_len as usize).min(LARGEST)).unwrap_or_default();
            if let (Some(source), Some((destination, hop_limit))) = (source(&s.name), circumstances(&m.msg_hdr)) {
                each(Packet { source, destination, hop_limit, payload });
            }
        }
        Ok(n == BATCH)
    }
}

/// Who sent it.
fn source(name: &libc::sockaddr_storage) -> Option<IpAddr> {
    let pointer: *const libc::sockaddr_storage = name;
    // SAFETY: the kernel filled the storage as the family says, and it is large and aligned enough for either.
    unsafe {
        match i32::from(name.ss_family) {
            libc::AF_INET => Some(IpAddr::from((*pointer.cast::<libc::sockaddr_in>()).sin_addr.s_addr.to_ne_bytes())),
            libc::AF_INET6 => Some(IpAddr::from((*pointer.cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr)),
            _ => None,
        }
    }
}

/// Destination and TTL, from the control messages.
fn circumstances(message: &libc::msghdr) -> Option<(IpAddr, u8)> {
    let (mut destination, mut hop_limit) = (None, None);
    // SAFETY: the control buffer was filled by the kernel; CMSG_* walk it inside msg_controllen, and data is read unaligned with the
    // type that level and type name.
    unsafe {
        let mut c = libc::CMSG_FIRSTHDR(message);
        while !c.is_null() {
            match ((*c).cmsg_level, (*c).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = libc::CMSG_DATA(c).cast::<libc::in_pktinfo>().read_unaligned();
                    destination = Some(IpAddr::from(info.ipi_addr.s_addr.to_ne_bytes()));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = libc::CMSG_DATA(c).cast::<libc::in6_pktinfo>().read_unaligned();
                    destination = Some(IpAddr::from(info.ipi6_addr.s6_addr));
                }
                (libc::IPPROTO_IP, libc::IP_TTL) | (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                    hop_limit = u8::try_from(libc::CMSG_DATA(c).cast::<i32>().read_unaligned()).ok();
                }
                _ => {}
            }
            c = libc::CMSG_NXTHDR(message, c);
        }
    }
    Some((destination?, hop_limit?))
}

/// The sending socket of one session.
pub struct Sender {
    socket: Socket,
    to: SockAddr,
}

impl Sender {
    /// Opens the socket from an own address, or from whichever the kernel chooses, and one source port. Fails with `AddrInUse` where
    /// somebody has that port, and with `AddrNotAvailable` while the address is not there.
    pub fn open(
        source: Option<IpAddr>,
        neighbor: IpAddr,
        own_port: u16,
        hop_limit: u8,
        multihop: bool,
    ) -> io::Result<Sender> {
        let family = Family::of(neighbor);
        let socket = Socket::new(domain(family), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
        let fd = socket.as_raw_fd();
        let hops = i32::from(hop_limit);
        match family {
            Family::V4 => {
                option(fd, libc::IPPROTO_IP, libc::IP_TTL, hops)?;
                option(fd, libc::IPPROTO_IP, libc::IP_TOS, TOS)?;
            }
            Family::V6 => {
                socket.set_only_v6(true)?;
                option(fd, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, hops)?;
                option(fd, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, TOS)?;
            }
        }
        option(fd, libc::SOL_SOCKET, libc::SO_PRIORITY, 6)?;
        // Nobody sends to this port: packets of the peer go to the well-known one.
        filter_nothing(fd)?;
        socket.bind(&SocketAddr::new(source.unwrap_or(wildcard(family)), own_port).into())?;
        Ok(Sender { socket, to: SocketAddr::new(neighbor, port(multihop)).into() })
    }

    /// Sends one packet. Never blocks; a full queue is an error like any other, and the next packet comes anyway.
    pub fn send(&self, payload: &[u8]) -> io::Result<()> {
        self.socket.send_to_with_flags(payload, &self.to, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loopback has TTL and addresses as any link.
    fn heard(receiver: &mut Receiver, sender: &Sender) -> Option<(IpAddr, IpAddr, u8, Vec<u8>)> {
        let mut got = None;
        for _ in 0..1000 {
            sender.send(b"0123456789").expect("send");
            receiver
                .receive(|p| got = Some((p.source, p.destination, p.hop_limit, p.payload.to_vec())))
                .expect("receive");
            if got.is_some() {
                break;
            }
        }
        got
    }

    #[test]
    fn a_packet_is_received_with_its_ttl_and_both_addresses() {
        for (source, to) in [("127.0.0.2", "127.0.0.1"), ("::1", "::1")] {
            let (source, to): (IpAddr, IpAddr) = (source.parse().expect("address"), to.parse().expect("address"));
            // The multihop port: another test of this machine may run BFD on loopback. Who has it makes this test say nothing.
            let Ok(mut receiver) = Receiver::open(Family::of(to), true) else { continue };
            let Ok(sender) = Sender::open(Some(source), to, 50_123, 77, true) else { continue };
            assert_eq!(heard(&mut receiver, &sender), Some((source, to, 77, b"0123456789".to_vec())));
            let again = Sender::open(Some(source), to, 50_123, 77, true).err().map(|e| e.kind());
            assert_eq!(again, Some(io::ErrorKind::AddrInUse));
        }
        let absent = Sender::open(
            Some("192.0.2.77".parse().expect("address")),
            "192.0.2.1".parse().expect("address"),
            50_124,
            255,
            false,
        );
        assert_eq!(absent.err().map(|e| e.kind()), Some(io::ErrorKind::AddrNotAvailable));
    }
}
