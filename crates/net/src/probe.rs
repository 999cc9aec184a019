//! Sockets of checks: TCP, UDP and ICMP, never waiting.

use crate::tls;
use rustls::ClientConnection;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a probe goes and where it comes from.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where to.
    pub to: SocketAddr,
    /// Source address.
    pub from: Option<IpAddr>,
    /// Source port.
    pub port: Option<u16>,
    /// Interface to leave by.
    pub interface: Option<Box<str>>,
    /// Mark of the packets; 0: none.
    pub mark: u32,
}

/// What kind of socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A TCP connection.
    Tcp,
    /// A connected UDP socket.
    Udp,
    /// An ICMP datagram socket.
    Icmp,
}

/// What a read brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Got {
    /// So many bytes of the buffer.
    Data(usize),
    /// Nothing more for now.
    Nothing,
    /// The peer ended the stream. False: a TLS stream without close_notify.
    End(bool),
}

/// One open probe.
pub struct Probe {
    socket: Socket,
    kind: Kind,
    /// A TCP connect is under way.
    connecting: bool,
    /// What could not be written yet.
    waiting: Vec<u8>,
    tls: Option<Box<ClientConnection>>,
    /// The TCP stream has ended.
    ended: bool,
}

/// Bytes that wait to be written at most.
const WAITING: usize = 1 << 20;

/// It makes us say so much, as with floods of HTTP/2's questions, and takes none of it.
fn deaf() -> io::Error {
    io::Error::other("it asks for more than it reads")
}

/// It was said that ICMP sockets cannot be had.
static SAID: AtomicBool = AtomicBool::new(false);

/// Lets our group have ICMP sockets, beside those that may: the kernel's default is nobody. True: something was changed.
fn permit_echo() -> bool {
    const PATH: &str = "/proc/sys/net/ipv4/ping_group_range";
    let own = nix::unistd::getegid().as_raw();
    let text = std::fs::read_to_string(PATH).unwrap_or_default();
    let mut range = text.split_whitespace().filter_map(|n| n.parse::<u32>().ok());
    let (low, high) = match (range.next(), range.next()) {
        (Some(low), Some(high)) if low <= high => (low.min(own), high.max(own)),
        _ => (own, own),
    };
    match std::fs::write(PATH, format!("{low} {high}\n")) {
        Ok(()) => {
            log::info!("{PATH} was {}, and is {low} {high} now, for PING_CHECK", text.trim().replace('\t', " "));
            true
        }
        Err(e) => {
            // The checks say the rest each time.
            if !SAID.swap(true, Ordering::Relaxed) {
                log::warn!("PING_CHECK may not ask: cannot set {PATH} to {low} {high}: {e}");
            }
            false
        }
    }
}

/// What a route of this host forbids: the kernel says the same of it as of an argument that is wrong.
fn in_words(e: io::Error) -> io::Error {
    let text = match e.raw_os_error() {
        Some(libc::EINVAL) => "cannot connect: Invalid argument (a blackhole route of this host?)",
        Some(libc::EACCES) => "cannot connect: Permission denied (a route or a rule of this host forbids it)",
        _ => return e,
    };
    io::Error::new(e.kind(), text)
}

impl Probe {
    /// Opens the socket and begins to connect.
    pub fn open(kind: Kind, route: &Route) -> io::Result<Probe> {
        let domain = Domain::for_address(route.to);
        let (typ, protocol) = match (kind, route.to.is_ipv4()) {
            (Kind::Tcp, _) => (Type::STREAM, Protocol::TCP),
            (Kind::Udp, _) => (Type::DGRAM, Protocol::UDP),
            (Kind::Icmp, true) => (Type::DGRAM, Protocol::ICMPV4),
            (Kind::Icmp, false) => (Type::DGRAM, Protocol::ICMPV6),
        };
        let new = || Socket::new(domain, typ.nonblocking().cloexec(), Some(protocol));
        let socket = match new() {
            Err(e) if kind == Kind::Icmp && e.raw_os_error() == Some(libc::EACCES) && permit_echo() => new()?,
            other => other?,
        };
        if let Some(interface) = &route.interface {
            socket.bind_device(Some(interface.as_bytes()))?;
        }
        if route.mark != 0 {
            socket.set_mark(route.mark)?;
        }
        if route.from.is_some() || route.port.is_some() {
            let any = if route.to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            if route.port.is_some() {
                // The port is wanted again in the next round, while the last connection may still linger.
                socket.set_reuse_address(true)?;
            }
            socket.bind(&SockAddr::from(SocketAddr::new(route.from.unwrap_or(any), route.port.unwrap_or(0))))?;
        }
        let connecting = match socket.connect(&SockAddr::from(route.to)) {
            Ok(()) => false,
            Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS) => true,
            Err(e) => return Err(in_words(e)),
        };
        Ok(Probe { socket, kind, connecting, waiting: Vec::new(), tls: None, ended: false })
    }

    /// The stream is to be TLS, before anything is sent.
    pub fn secure(&mut self, settings: &tls::Settings) -> io::Result<()> {
        self.tls = Some(Box::new(tls::connect(settings)?));
        Ok(())
    }

    /// The descriptor to watch, for reading and writing.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Looks whether a connect, and with TLS its handshake, has ended: true once, when the stream has become usable. `sure`: it was
    /// told to be writable, and of no error, which a connect that is under way or has failed never is.
    pub fn connected(&mut self, sure: bool) -> io::Result<bool> {
        let was = self.usable();
        if sure {
            self.connecting = false;
        }
        if self.connecting && !self.tcp_connected()? {
            return Ok(false);
        }
        if self.tls.is_some() {
            self.pump()?;
            if self.ended && !self.usable() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(!was && self.usable())
    }

    /// The stream is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    fn usable(&self) -> bool {
        !self.connecting && self.tls.as_ref().is_none_or(|t| !t.is_handshaking())
    }

    /// Moves TLS records in both directions, as far as it goes without waiting.
    fn pump(&mut self) -> io::Result<()> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        let waits = |e: &io::Error| matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
        loop {
            let mut moved = false;
            while tls.wants_write() {
                match tls.write_tls(&mut self.socket) {
                    Ok(_) => moved = true,
                    Err(e) if waits(&e) => break,
                    Err(e) => return Err(e),
                }
            }
            // Plaintext that nobody took yet stops the reading: memory is bounded by one buffer of TLS.
            if tls.wants_read() && !self.ended {
                match tls.read_tls(&mut self.socket) {
                    Ok(0) => self.ended = true,
                    Ok(_) => {
                        moved = true;
                        let done = tls.process_new_packets().map(drop);
                        done.map_err(|e| tls::in_words(e, tls.negotiated_cipher_suite().is_some()))?;
                    }
                    Err(e) if waits(&e) => {}
                    Err(e) => return Err(e),
                }
            }
            if !moved {
                return Ok(());
            }
        }
    }

    fn tcp_connected(&mut self) -> io::Result<bool> {
        if let Some(e) = self.socket.take_error()? {
            return Err(e);
        }
        match self.socket.peer_addr() {
            Ok(_) => {
                self.connecting = false;
                Ok(true)
            }
            Err(e) if e.raw_os_error() == Some(libc::ENOTCONN) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Usable from the start.
    pub fn at_once(&self) -> bool {
        self.usable()
    }

    /// Writes, now or when there is room.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.waiting.len() + bytes.len() > WAITING {
            return Err(deaf());
        }
        if self.kind != Kind::Tcp {
            return self.socket.send(bytes).map(|_| ());
        }
        if let Some(tls) = &mut self.tls {
            // Its buffer has an end as well.
            tls.writer().write_all(bytes).map_err(|e| if e.kind() == io::ErrorKind::WriteZero { deaf() } else { e })?;
            return self.pump();
        }
        self.waiting.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.connecting && !self.waiting.is_empty() {
            match self.socket.write(&self.waiting) {
                Ok(n) => drop(self.waiting.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Reads what is there.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        if self.connecting {
            return Ok(Got::Nothing);
        }
        if self.tls.is_some() {
            self.pump()?;
            let Some(tls) = &mut self.tls else { return Ok(Got::Nothing) };
            return match tls.reader().read(buffer) {
                Ok(0) => Ok(Got::End(true)),
                Ok(n) => Ok(Got::Data(n)),
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(Got::End(false)),
                // The stream has ended below, and TLS has not said so.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock && self.ended => Ok(Got::End(false)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(Got::Nothing),
                Err(e) => Err(e),
            };
        }
        loop {
            match self.socket.read(buffer) {
                Ok(0) if self.kind == Kind::Tcp => return Ok(Got::End(true)),
                Ok(n) => return Ok(Got::Data(n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Got::Nothing),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_route_that_forbids_a_connection_is_told_of_and_a_want_stays_what_it_is() {
        let of = |errno| in_words(io::Error::from_raw_os_error(errno));
        assert_eq!(of(libc::EINVAL).to_string(), "cannot connect: Invalid argument (a blackhole route of this host?)");
        assert_eq!(of(libc::EMFILE).raw_os_error(), Some(libc::EMFILE));
    }

    #[test]
    fn a_server_that_takes_none_of_what_it_asks_for_is_told_of_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listener");
        let to = listener.local_addr().expect("address");
        let route = Route { to, from: None, port: None, interface: None, mark: 0 };
        let mut probe = Probe::open(Kind::Tcp, &route).expect("probe");
        let _deaf = listener.accept().expect("peer");
        assert!(probe.connected(true).is_ok());
        // What the kernel takes has an end, and so has what waits for it.
        let refused = (0..1000).find_map(|_| probe.send(&[0; 64 * 1024]).err()).expect("an end");
        assert_eq!(refused.to_string(), "it asks for more than it reads");
        assert!(probe.waiting.len() <= WAITING);
    }
}
