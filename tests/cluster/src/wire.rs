//! Forged and observed packets. Call these on a thread that lives in a host.

use socket2::{Domain, Protocol, Socket, Type};
use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};
use steadfast_vrrp::wire::{Advert, ChecksumForm};
use steadfast_vrrp::{Auth, Version};

/// The IPv4 group of VRRP.
pub const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);

/// A version 2 advert of 10.77.0.100 and router id 51.
pub fn advert(source: Ipv4Addr, priority: u8) -> Vec<u8> {
    let addresses = [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 100))];
    Advert {
        version: Version::V2,
        vrid: 51,
        priority,
        interval: Duration::from_secs(1),
        addresses: addresses.to_vec(),
        auth: Auth::None,
    }
    .emit(ChecksumForm::Plain, IpAddr::V4(source), IpAddr::V4(GROUP))
}

/// Sends so many forged packets in turn, at most `rate` a second and not for longer than a time; returns how many went out.
pub fn forge(packets: Vec<(u32, Vec<u8>)>, to: Ipv4Addr, rate: u32, most: u64, during: Duration) -> u64 {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).expect("raw socket");
    socket.bind_device(Some(b"eth0")).expect("bind");
    let to = SocketAddrV4::new(to, 0).into();
    let start = Instant::now();
    let mut sent = 0u64;
    while sent < most && start.elapsed() < during {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        if sent >= due {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        let (ttl, bytes) = &packets[sent as usize % packets.len()];
        let _ = socket.set_multicast_ttl_v4(*ttl);
        let _ = socket.set_ttl_v4(*ttl);
        let _ = socket.send_to(bytes, &to);
        sent += 1;
    }
    sent
}

/// A stamped advert.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When, since the observation began.
    pub at: Duration,
    /// Sender.
    pub from: Ipv4Addr,
    /// TTL.
    pub ttl: u8,
    /// Priority.
    pub priority: u8,
}

/// Listens to adverts of router id 51 for a time.
pub fn observe(interface: u32, during: Duration) -> Vec<Seen> {
    adverts(interface, 51, during, || false)
}

/// Listens to adverts of a router id until told to end, at most for a time.
pub fn adverts(interface: u32, vrid: u8, during: Duration, ended: impl Fn() -> bool) -> Vec<Seen> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(112))).expect("raw socket");
    socket.join_multicast_v4_n(&GROUP, &socket2::InterfaceIndexOrAddress::Index(interface)).expect("join");
    // A flood must not push the packets out that are looked for.
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(64 << 20));
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    let start = Instant::now();
    let mut seen = Vec::new();
    while start.elapsed() < during && !ended() {
        let mut buffer = [0u8; 2048];
        let Ok(n) = std::io::Read::read(&mut (&socket), &mut buffer) else { continue };
        let b = &buffer[..n];
        let head = usize::from(b[0] & 15) * 4;
        if b.len() >= head + 8 && b[head + 1] == vrid {
            let from = Ipv4Addr::new(b[12], b[13], b[14], b[15]);
            seen.push(Seen { at: start.elapsed(), from, ttl: b[8], priority: b[head + 2] });
        }
    }
    seen
}

/// Whole IPv4 packets of VRRP and of authentication headers that a host hears, until told to end, at most for a time.
pub fn record(interface: u32, during: Duration, ended: impl Fn() -> bool) -> Vec<Vec<u8>> {
    let open = |protocol| {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(protocol))).expect("raw socket");
        socket.join_multicast_v4_n(&GROUP, &socket2::InterfaceIndexOrAddress::Index(interface)).expect("join");
        socket.set_read_timeout(Some(Duration::from_millis(10))).expect("timeout");
        socket
    };
    let sockets = [open(112), open(51)];
    let start = Instant::now();
    let mut all = Vec::new();
    while start.elapsed() < during && !ended() {
        for socket in &sockets {
            let mut buffer = [0u8; 2048];
            if let Ok(n) = std::io::Read::read(&mut (&*socket), &mut buffer) {
                all.push(buffer[..n].to_vec());
            }
        }
    }
    all
}

/// Sends recorded IPv4 packets again as they are, one each `pause`, by `eth0`.
pub fn replay(packets: &[Vec<u8>], pause: Duration) {
    // protocol 255 takes the IP header from us
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).expect("raw socket");
    socket.bind_device(Some(b"eth0")).expect("bind");
    for p in packets {
        let to = Ipv4Addr::new(p[16], p[17], p[18], p[19]);
        socket.send_to(p, &SocketAddrV4::new(to, 0).into()).expect("send");
        std::thread::sleep(pause);
    }
}

/// When the first gratuitous ARP for an address was seen, in both directions.
pub fn gratuitous_of(address: Ipv4Addr, during: Duration) -> Option<Instant> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(0x0003u16.to_be()))))
        .expect("packet socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    let start = Instant::now();
    while start.elapsed() < during {
        let mut frame = [0u8; 256];
        let n = std::io::Read::read(&mut (&socket), &mut frame).unwrap_or(0);
        let f = frame.get(..n).unwrap_or_default();
        if f.get(12..14) == Some(&[8, 6])
            && f.get(28..32) == Some(&address.octets())
            && f.get(38..42) == Some(&address.octets())
        {
            return Some(Instant::now());
        }
    }
    None
}

/// Frames that a host sees until told to end, both ways: when, and the frame.
pub fn frames(during: Duration, ended: impl Fn() -> bool) -> Vec<(Duration, Vec<u8>)> {
    // ETH_P_ALL in network byte order.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(0x0003u16.to_be()))))
        .expect("packet socket");
    let _ = nix::sys::socket::setsockopt(&socket, nix::sys::socket::sockopt::RcvBufForce, &(64 << 20));
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    let start = Instant::now();
    let mut seen = Vec::new();
    while start.elapsed() < during && !ended() {
        let mut frame = [0u8; 2048];
        if let Ok(n) = std::io::Read::read(&mut (&socket), &mut frame) {
            seen.push((start.elapsed(), frame[..n].to_vec()));
        }
    }
    seen
}

/// Gratuitous ARPs that a host sees until told to end: when, and the address that they are for.
pub fn gratuitous(during: Duration, ended: impl Fn() -> bool) -> Vec<(Duration, Ipv4Addr)> {
    // ETH_P_ARP in network byte order.
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(0x0806u16.to_be()))))
        .expect("packet socket");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    let start = Instant::now();
    let mut seen = Vec::new();
    while start.elapsed() < during && !ended() {
        let mut frame = [0u8; 256];
        if std::io::Read::read(&mut (&socket), &mut frame).is_err() {
            continue;
        }
        if let (Some(sender), Some(target)) = (frame.get(28..32), frame.get(38..42))
            && sender == target
        {
            seen.push((start.elapsed(), Ipv4Addr::new(sender[0], sender[1], sender[2], sender[3])));
        }
    }
    seen
}
