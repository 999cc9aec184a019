//! Protocol 112.
//!
//! One receiving socket for each (interface, family), with a filter in the kernel that passes the router ids in use and nothing
//! else: a flood of foreign packets costs no wake-up. One sending socket for each family serves all interfaces.

use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::transport::{TransportChannelType, TransportProtocol, transport_channel};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use steadfast_core::Family;

/// IP protocol number of VRRP.
pub const PROTOCOL: i32 = 112;
/// Adverts are sent with this type of service: internetwork control.
const TOS: u32 = 0xc0;
/// Largest message: 8 bytes, 255 addresses of 16, authentication in, before and behind it; and an IPv4 header with options.
const LARGEST: usize = 8 + 255 * 16 + 8 + 24 + 28 + 60;
/// Packets of other links that a new socket may have heard.
const MISPLACED: usize = 4096;
/// Bytes of an authentication header with a check of 96 bits.
const AH: u32 = 24;

/// Packets of VRRP, or of authentication headers (protocol 51).
fn protocol(family: Family, ah: bool) -> TransportChannelType {
    let next = if ah { IpNextHeaderProtocols::Ah } else { IpNextHeaderProtocols::Vrrp };
    TransportChannelType::Layer4(match family {
        Family::V4 => TransportProtocol::Ipv4(next),
        Family::V6 => TransportProtocol::Ipv6(next),
    })
}

/// A raw socket by pnet, taken over: pnet leaves it blocking and inheritable, and keeps a buffer that is not needed.
fn raw(kind: TransportChannelType) -> io::Result<OwnedFd> {
    let (sender, _receiver) = transport_channel(1, kind)?;
    let fd = sender.socket.fd;
    // SAFETY: the descriptor is open while `sender` lives, and fcntl makes a new one that only the result owns.
    let own = unsafe {
        let copy = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        if copy < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(copy)
    };
    SockRef::from(&own).set_nonblocking(true)?;
    Ok(own)
}

pub(crate) fn option(fd: RawFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    // SAFETY: `value` outlives the call and its size is told.
    let r = unsafe {
        libc::setsockopt(fd, level, name, (&raw const value).cast(), std::mem::size_of::<i32>() as libc::socklen_t)
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// A packet as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Source.
    pub source: IpAddr,
    /// Destination.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The VRRP message; of protocol 51, all behind the IP header.
    pub payload: &'a [u8],
    /// The IPv4 header, of protocol 51.
    pub header: Option<&'a [u8]>,
}

/// The receiving socket of one interface and family.
pub struct Receiver {
    fd: OwnedFd,
    family: Family,
    ah: bool,
    /// Interface index.
    pub interface: u32,
    buffer: Vec<u8>,
}

impl Receiver {
    /// Opens the socket, bound to an interface, member of `groups` on all of `links`, whose first is that interface. `ah`: for
    /// packets with an authentication header. `vrids` empty passes every router id. `buffer`: bytes to wait in, and whether they may be
    /// more than the system's limit.
    pub fn open(
        name: &str,
        links: &[u32],
        (family, ah): (Family, bool),
        groups: &[IpAddr],
        vrids: &[u8],
        buffer: Option<(usize, bool)>,
    ) -> io::Result<Self> {
        let fd = raw(protocol(family, ah))?;
        let socket = SockRef::from(&fd);
        filter(fd.as_raw_fd(), family, if ah { AH } else { 0 }, vrids)?;
        socket.bind_device(Some(name.as_bytes()))?;
        let raw = fd.as_raw_fd();
        if let Some((bytes, force)) = buffer {
            let most = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
            // Without the right to it as much as everybody may have.
            if !force || option(raw, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, most).is_err() {
                let _ = socket.set_recv_buffer_size(bytes);
            }
        }
        match family {
            Family::V4 => option(raw, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0)?,
            Family::V6 => {
                option(raw, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
                option(raw, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1)?;
                // Not in every libc crate's list: IPV6_MULTICAST_ALL is 29.
                let _ = option(raw, libc::IPPROTO_IPV6, 29, 0);
            }
        }
        for (group, link) in groups.iter().flat_map(|g| links.iter().map(move |l| (g, *l))) {
            match group {
                IpAddr::V4(g) => socket.join_multicast_v4_n(g, &socket2::InterfaceIndexOrAddress::Index(link))?,
                IpAddr::V6(g) => socket.join_multicast_v6(g, link)?,
            }
        }
        let mut receiver =
            Receiver { fd, family, ah, interface: links.first().copied().unwrap_or(0), buffer: vec![0; LARGEST] };
        // Between its making and its binding it heard every link.
        for _ in 0..MISPLACED {
            if receiver.receive()?.is_none() {
                break;
            }
        }
        Ok(receiver)
    }

    /// The descriptor to watch.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes one packet; `None` when there is none. Packets whose IP header is wrong are passed over.
    pub fn receive(&mut self) -> io::Result<Option<Packet<'_>>> {
        let mut control = [0u64; 32];
        let mut name = std::mem::MaybeUninit::<libc::sockaddr_storage>::zeroed();
        let mut vector = libc::iovec { iov_base: self.buffer.as_mut_ptr().cast(), iov_len: self.buffer.len() };
        // SAFETY: msghdr is plain data, for which zero is valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = name.as_mut_ptr().cast();
        message.msg_namelen = std::mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = std::mem::size_of_val(&control);
        // SAFETY: all pointers in `message` are to live buffers of the told sizes.
        let n = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        if n < 0 {
            let e = io::Error::last_os_error();
            return match e.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(None),
                // The interface went down: the next netlink message says so.
                Some(libc::ENETDOWN) => Ok(None),
                _ => Err(e),
            };
        }
        let n = usize::try_from(n).unwrap_or(0).min(self.buffer.len());
        let bytes = self.buffer.get(..n).unwrap_or_default();
        let parsed = match self.family {
            Family::V4 => ipv4(bytes, self.ah),
            Family::V6 => {
                // SAFETY: the kernel filled `name` as sockaddr_in6 for an IPv6 socket.
                let source = unsafe { (*name.as_ptr().cast::<libc::sockaddr_in6>()).sin6_addr.s6_addr };
                let mut destination = None;
                let mut hop_limit = None;
                // SAFETY: the control buffer was filled by the kernel; CMSG_* walk it inside msg_controllen, and data is read
                // unaligned with the type that level and type name.
                unsafe {
                    let mut c = libc::CMSG_FIRSTHDR(&raw const message);
                    while !c.is_null() {
                        match ((*c).cmsg_level, (*c).cmsg_type) {
                            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                                let info: libc::in6_pktinfo =
                                    libc::CMSG_DATA(c).cast::<libc::in6_pktinfo>().read_unaligned();
                                destination = Some(info.ipi6_addr.s6_addr);
                            }
                            (libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT) => {
                                hop_limit = Some(libc::CMSG_DATA(c).cast::<i32>().read_unaligned());
                            }
                            _ => {}
                        }
                        c = libc::CMSG_NXTHDR(&raw const message, c);
                    }
                }
                match (destination, hop_limit) {
                    (Some(d), Some(h)) => Some(Packet {
                        source: IpAddr::from(source),
                        destination: IpAddr::from(d),
                        hop_limit: u8::try_from(h).unwrap_or(0),
                        payload: bytes,
                        header: None,
                    }),
                    _ => None,
                }
            }
        };
        // A packet that is none is still one taken from the queue: an empty payload lets the caller go on.
        Ok(Some(parsed.unwrap_or(Packet {
            source: IpAddr::from([0u8; 4]),
            destination: IpAddr::from([0u8; 4]),
            hop_limit: 0,
            payload: &[],
            header: None,
        })))
    }
}

/// Splits an IPv4 packet; `None` when the header does not fit the bytes.
fn ipv4(bytes: &[u8], ah: bool) -> Option<Packet<'_>> {
    let p = pnet::packet::ipv4::Ipv4Packet::new(bytes)?;
    let header = usize::from(p.get_header_length()) * 4;
    let total = usize::from(p.get_total_length());
    if header < 20 || total < header || total > bytes.len() {
        return None;
    }
    Some(Packet {
        source: IpAddr::V4(p.get_source()),
        destination: IpAddr::V4(p.get_destination()),
        hop_limit: p.get_ttl(),
        payload: bytes.get(header..total)?,
        header: bytes.get(..header).filter(|_| ah),
    })
}

/// A classic BPF program that keeps the packets of some router ids, whose message begins at `offset`. On IPv4 the socket sees the IP header, on IPv6 the payload.
fn filter(fd: RawFd, family: Family, offset: u32, vrids: &[u8]) -> io::Result<()> {
    if vrids.is_empty() || vrids.len() > 200 {
        return Ok(());
    }
    let ins = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = Vec::new();
    match family {
        Family::V4 => {
            // X := header length; A := byte 1 of the message.
            program.push(ins(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0, 0, 0));
            program.push(ins(libc::BPF_LD | libc::BPF_B | libc::BPF_IND, 0, 0, offset + 1));
        }
        Family::V6 => program.push(ins(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS, 0, 0, offset + 1)),
    }
    for (n, vrid) in vrids.iter().enumerate() {
        let to_accept = u8::try_from(vrids.len() - n).unwrap_or(u8::MAX);
        program.push(ins(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, to_accept, 0, u32::from(*vrid)));
    }
    program.push(ins(libc::BPF_RET | libc::BPF_K, 0, 0, 0));
    program.push(ins(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX));
    let length = u16::try_from(program.len()).map_err(io::Error::other)?;
    let fprog = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    // SAFETY: `fprog` points to `program`, which outlives the call; the kernel copies and verifies it.
    let r = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const fprog).cast(),
            std::mem::size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The sending sockets.
pub struct Sender {
    v4: Option<OwnedFd>,
    v6: Option<OwnedFd>,
    /// For whole IPv4 packets.
    whole: Option<OwnedFd>,
}

impl Sender {
    /// No socket yet; each is opened with its first advert.
    pub fn new() -> Self {
        Sender { v4: None, v6: None, whole: None }
    }

    /// Sends one message, or a `whole` IPv4 packet with its header. Never blocks; a full queue is an error like any other, and
    /// the next advert comes anyway.
    pub fn send(
        &mut self,
        interface: u32,
        source: IpAddr,
        destination: IpAddr,
        hop_limit: u8,
        payload: &[u8],
        whole: bool,
    ) -> io::Result<()> {
        let family = Family::of(destination);
        let slot = match family {
            Family::V4 if whole => &mut self.whole,
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        let fd = match slot {
            Some(fd) => fd,
            None => slot.insert(open_sender(family, whole)?),
        };
        let mut control = Control::new();
        let address: socket2::SockAddr = match (source, destination) {
            (IpAddr::V4(s), IpAddr::V4(d)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: i32::try_from(interface).unwrap_or(0),
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from_ne_bytes(s.octets()) },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, info);
                control.push(libc::IPPROTO_IP, libc::IP_TTL, i32::from(hop_limit));
                SocketAddr::V4(SocketAddrV4::new(d, 0)).into()
            }
            (IpAddr::V6(s), IpAddr::V6(d)) => {
                let info =
                    libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: s.octets() }, ipi6_ifindex: interface };
                control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
                control.push(libc::IPPROTO_IPV6, libc::IPV6_HOPLIMIT, i32::from(hop_limit));
                SocketAddr::V6(SocketAddrV6::new(d, 0, 0, if d.is_unicast_link_local() { interface } else { 0 })).into()
            }
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut vector = libc::iovec { iov_base: payload.as_ptr().cast_mut().cast(), iov_len: payload.len() };
        // SAFETY: msghdr is plain data, for which zero is valid.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_name = address.as_ptr().cast_mut().cast();
        message.msg_namelen = address.len();
        message.msg_iov = &raw mut vector;
        message.msg_iovlen = 1;
        message.msg_control = control.bytes.as_mut_ptr().cast();
        message.msg_controllen = control.used;
        // SAFETY: all pointers are to live buffers of the told sizes; sendmsg does not write through them.
        let n = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) };
        if n < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

fn open_sender(family: Family, whole: bool) -> io::Result<OwnedFd> {
    // pnet asks the kernel for IP_HDRINCL on channels of layer 3
    let kind = if whole { TransportChannelType::Layer3(IpNextHeaderProtocols::Ah) } else { protocol(family, false) };
    let fd = raw(kind)?;
    let socket = SockRef::from(&fd);
    // This socket never receives: an empty filter would still wake nobody, but its buffer must not fill.
    let _ = socket.shutdown(std::net::Shutdown::Read);
    filter_nothing(fd.as_raw_fd())?;
    match family {
        Family::V4 => {
            socket.set_multicast_loop_v4(false)?;
            socket.set_multicast_ttl_v4(255)?;
            socket.set_tos_v4(TOS)?;
            // Who lost its address can still give its virtual ones up by priority 0; the kernel may refuse it this.
            let _ = socket.set_ip_transparent_v4(true);
        }
        Family::V6 => {
            socket.set_multicast_loop_v6(false)?;
            socket.set_multicast_hops_v6(255)?;
            option(fd.as_raw_fd(), libc::IPPROTO_IPV6, libc::IPV6_TCLASS, TOS as i32)?;
            // Adverts by a virtual link carry the link-local address of the link below it (IPV6_FREEBIND).
            let _ = option(fd.as_raw_fd(), libc::IPPROTO_IPV6, 78, 1);
        }
    }
    // Adverts go out ahead of other traffic.
    option(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PRIORITY, 6)?;
    Ok(fd)
}

/// Drops everything that would be received.
pub(crate) fn filter_nothing(fd: RawFd) -> io::Result<()> {
    let mut program = [libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 }];
    let fprog = libc::sock_fprog { len: 1, filter: program.as_mut_ptr() };
    // SAFETY: as in `filter`.
    let r = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const fprog).cast(),
            std::mem::size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Control messages being built.
struct Control {
    bytes: [u64; 16],
    used: usize,
}

impl Control {
    fn new() -> Self {
        Control { bytes: [0; 16], used: 0 }
    }

    fn push<T: Copy>(&mut self, level: i32, kind: i32, value: T) {
        let size = std::mem::size_of::<T>() as u32;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute. The space is checked against the buffer, which is aligned for cmsghdr
        // (8 bytes), and every offset is a multiple of that alignment.
        unsafe {
            let space = libc::CMSG_SPACE(size) as usize;
            if self.used + space > std::mem::size_of_val(&self.bytes) {
                return;
            }
            let at = self.bytes.as_mut_ptr().cast::<u8>().add(self.used).cast::<libc::cmsghdr>();
            (*at).cmsg_level = level;
            (*at).cmsg_type = kind;
            (*at).cmsg_len = libc::CMSG_LEN(size) as usize;
            libc::CMSG_DATA(at).cast::<T>().write_unaligned(value);
            self.used += space;
        }
    }
}

/// Kept for callers that want to know whether raw sockets are allowed at all.
pub fn permitted() -> io::Result<()> {
    Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(PROTOCOL))).map(|_| ())
}
