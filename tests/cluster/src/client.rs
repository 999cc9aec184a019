//! A client that asks an address a thousand times a second.

use crate::Host;
use socket2::{Domain, Protocol, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Time between two questions.
pub const PACE: Duration = Duration::from_millis(1);
/// An answer that comes later than this counts as none.
const PATIENCE: Duration = Duration::from_millis(500);

/// What a client saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// Questions sent.
    pub sent: usize,
    /// Questions without an answer.
    pub lost: usize,
    /// The longest time between two answered questions.
    pub longest_gap: Duration,
}

/// A client at work.
pub struct Client {
    ended: Arc<AtomicBool>,
    thread: JoinHandle<Asked>,
}

impl Client {
    /// Begins to ask an address from a host, by ICMP echo.
    pub fn start(host: &Host, address: Ipv4Addr) -> Client {
        let ended = Arc::new(AtomicBool::new(false));
        let told = ended.clone();
        let thread = host.inside(move || ask(address, &told));
        Client { ended, thread }
    }

    /// Ends it, after the last answers had their time.
    pub fn end(self) -> Asked {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.join().unwrap_or_default()
    }
}

/// An echo request; the kernel of the client's host checks nothing of ours, the server's checks the sum.
fn question(id: u16, sequence: u16) -> [u8; 8] {
    let mut b = [8, 0, 0, 0, 0, 0, 0, 0];
    b[4..6].copy_from_slice(&id.to_be_bytes());
    b[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum = u32::from(0x0800u16) + u32::from(id) + u32::from(sequence);
    let folded = (sum & 0xffff) + (sum >> 16);
    b[2..4].copy_from_slice(&(!((folded & 0xffff) as u16 + (folded >> 16) as u16)).to_be_bytes());
    b
}

fn ask(address: Ipv4Addr, ended: &AtomicBool) -> Asked {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).expect("raw socket");
    socket.set_nonblocking(true).expect("nonblocking");
    let to = SocketAddrV4::new(address, 0).into();
    let id = (std::process::id() & 0xffff) as u16;
    let start = Instant::now();
    let mut sent: Vec<(Instant, bool)> = Vec::new();
    let mut last_words: Option<Instant> = None;
    loop {
        if ended.load(Ordering::Relaxed) && last_words.is_none() {
            last_words = Some(Instant::now());
        }
        match last_words {
            Some(at) if at.elapsed() > PATIENCE => break,
            None if sent.len() as u128 <= start.elapsed().as_millis() => {
                // A refusal (no route, no neighbour) is a question without an answer.
                let _ = socket.send_to(&question(id, sent.len() as u16), &to);
                sent.push((Instant::now(), false));
            }
            _ => std::thread::sleep(Duration::from_micros(200)),
        }
        let mut buffer = [0u8; 256];
        while let Ok(n) = std::io::Read::read(&mut (&socket), &mut buffer) {
            let b = &buffer[..n];
            let head = usize::from(b.first().copied().unwrap_or(0) & 15) * 4;
            let Some(echo) = b.get(head..head + 8) else { continue };
            if echo[0] != 0 || echo[4..6] != id.to_be_bytes() {
                continue;
            }
            // The sequence wraps: the newest question of this number.
            let low = usize::from(u16::from_be_bytes([echo[6], echo[7]]));
            let newest = sent.len().saturating_sub(1);
            let back = (newest.wrapping_sub(low)) & 0xffff;
            if let Some(q) = newest.checked_sub(back).and_then(|i| sent.get_mut(i)) {
                q.1 |= q.0.elapsed() < PATIENCE;
            }
        }
    }
    let lost = sent.iter().filter(|q| !q.1).count();
    let answered: Vec<Instant> = sent.iter().filter(|q| q.1).map(|q| q.0).collect();
    let edges = [sent.first().map(|q| q.0), sent.last().map(|q| q.0)];
    let all: Vec<Instant> = edges[0].into_iter().chain(answered).chain(edges[1]).collect();
    let longest_gap = all.windows(2).map(|w| w[1].saturating_duration_since(w[0])).max().unwrap_or_default();
    Asked { sent: sent.len(), lost, longest_gap }
}
