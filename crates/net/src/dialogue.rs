//! A conversation with a server that may take its time. Blocks: for a thread of its own.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// The first address that answers.
fn connect(server: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let mut why = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (server, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(stream) => return Ok(stream),
            Err(e) => why = e,
        }
    }
    Err(why)
}

/// Talks with a server over TCP: `hear` is given what it says, and has what is to be said, or that it was enough. `limit` is that of
/// the connection, and of each thing said until `hear` has the next one to say.
pub fn hold(
    server: &str,
    port: u16,
    limit: Duration,
    mut hear: impl FnMut(&[u8]) -> ControlFlow<(), Vec<u8>>,
) -> io::Result<()> {
    let mut stream = connect(server, port, limit)?;
    stream.set_write_timeout(Some(limit))?;
    let mut buffer = [0u8; 4096];
    let mut end = Instant::now() + limit;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let n = match stream.read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            Err(e) => return Err(e),
        };
        match hear(buffer.get(..n).unwrap_or_default()) {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(words) if words.is_empty() => {}
            ControlFlow::Continue(words) => {
                stream.write_all(&words).map_err(|e| match e.kind() {
                    ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
                    _ => e,
                })?;
                end = Instant::now() + limit;
            }
        }
    }
}
