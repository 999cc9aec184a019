//! A stream to a service on this host or another, opened and used without ever waiting.

use mio::net::{TcpStream, UnixStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

/// Bytes that wait for a peer who does not read; more and the stream counts as broken.
const WAITING: usize = 4 << 20;

/// Where to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP.
    Tcp(SocketAddr),
}

/// What a turn has brought.
#[derive(Debug)]
pub enum Turn {
    /// Bytes, perhaps none.
    Open(Vec<u8>),
    /// It has ended, or was never there: why.
    Ended(String, Vec<u8>),
}

enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
}

/// The stream.
pub struct Stream {
    socket: Socket,
    connected: bool,
    waiting: Vec<u8>,
}

impl Stream {
    /// Begins to connect. Fails when there is nobody for certain.
    pub fn connect(target: &Target) -> io::Result<Self> {
        let socket = match target {
            Target::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
            Target::Tcp(address) => Socket::Tcp(TcpStream::connect(*address)?),
        };
        Ok(Stream { socket, connected: false, waiting: Vec::new() })
    }

    /// The descriptor's number.
    pub fn fd(&self) -> RawFd {
        match &self.socket {
            Socket::Unix(s) => s.as_raw_fd(),
            Socket::Tcp(s) => s.as_raw_fd(),
        }
    }

    /// Whether it is connected by now: true once, when it has become so. Call it when the descriptor is ready.
    pub fn opened(&mut self) -> io::Result<bool> {
        if self.connected {
            return Ok(false);
        }
        let (error, peer) = match &self.socket {
            Socket::Unix(s) => (s.take_error()?, s.peer_addr().map(|_| ())),
            Socket::Tcp(s) => (s.take_error()?, s.peer_addr().map(|_| ())),
        };
        if let Some(e) = error {
            return Err(e);
        }
        match peer {
            Ok(()) => {
                self.connected = true;
                Ok(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotConnected | ErrorKind::InvalidInput) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// All that has come.
    pub fn read(&mut self) -> Turn {
        let mut all = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let got = match &mut self.socket {
                Socket::Unix(s) => s.read(&mut buffer),
                Socket::Tcp(s) => s.read(&mut buffer),
            };
            match got {
                Ok(0) => return Turn::Ended("it closed the connection".into(), all),
                Ok(n) => all.extend_from_slice(buffer.get(..n).unwrap_or_default()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Turn::Open(all),
                Err(e) => return Turn::Ended(e.to_string(), all),
            }
        }
    }

    /// Sends, now or when there is room.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.waiting.len() + bytes.len() > WAITING {
            return Err(io::Error::new(ErrorKind::OutOfMemory, "the peer does not read"));
        }
        self.waiting.extend_from_slice(bytes);
        self.flush()
    }

    /// Writes what waits.
    pub fn flush(&mut self) -> io::Result<()> {
        while !self.waiting.is_empty() {
            let written = match &mut self.socket {
                Socket::Unix(s) => s.write(&self.waiting),
                Socket::Tcp(s) => s.write(&self.waiting),
            };
            match written {
                Ok(n) => {
                    self.waiting.drain(..n);
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
