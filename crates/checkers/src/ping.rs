//! PING_CHECK: ICMP echo (RFC 792, RFC 4443 section 4) over a datagram socket. The kernel fills in checksum and identifier and
//! delivers only replies to that identifier; sequence number and data are ours.
//!
//! ```text
//!   0        1        2                 4                 6                 8
//!   +--------+--------+-----------------+-----------------+-----------------+-- … --+
//!   | type   | code 0 | checksum        | identifier      | sequence        | token |
//!   +--------+--------+-----------------+-----------------+-----------------+-- … --+
//!     8 → 0 (IPv4), 128 → 129 (IPv6)
//! ```

use crate::exchange::Step;
use crate::failure::Failure;
use steadfast_core::Family;

/// One echo request.
#[derive(Debug)]
pub struct Ping {
    family: Family,
    token: u64,
}

impl Ping {
    /// `token` tells this request's reply from others.
    pub const fn new(family: Family, token: u64) -> Ping {
        Ping { family, token }
    }

    /// The request.
    pub fn request(&self) -> Vec<u8> {
        let kind = match self.family {
            Family::V4 => 8,
            Family::V6 => 128,
        };
        let mut bytes = vec![kind, 0, 0, 0, 0, 0];
        bytes.extend((self.token as u16).to_be_bytes());
        bytes.extend(self.token.to_be_bytes());
        bytes
    }

    /// An ICMP message arrived. What is no reply to this request is passed over.
    pub fn reply(&self, bytes: &[u8]) -> Step {
        let unreachable = match self.family {
            Family::V4 => 3,
            Family::V6 => 1,
        };
        let mut wanted = self.request();
        wanted[0] = if self.family == Family::V4 { 0 } else { 129 };
        match bytes {
            [kind, ..] if *kind == unreachable => Step::fail(Failure::Reply("destination unreachable")),
            [kind, 0, _, _, _, _, rest @ ..] if *kind == wanted[0] && rest == &wanted[6..] => Step::fine(),
            _ => Step::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_reply_to_this_request_counts() {
        for (family, reply) in [(Family::V4, 0), (Family::V6, 129)] {
            let ping = Ping::new(family, 0x0102_0304_0506_0708);
            let mut bytes = ping.request();
            assert_eq!(ping.reply(&bytes), Step::More, "the request itself");
            bytes[0] = reply;
            bytes[2..6].copy_from_slice(&[9; 4]); // the kernel's checksum and identifier
            assert_eq!(ping.reply(&bytes), Step::fine());
            assert_eq!(Ping::new(family, 1).reply(&bytes), Step::More, "another one's reply");
            assert_eq!(ping.reply(&bytes[..12]), Step::More);
            assert_eq!(ping.reply(&[]), Step::More);
        }
    }
}
