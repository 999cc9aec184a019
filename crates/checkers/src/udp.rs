//! UDP_CHECK.

use crate::Reply;
use crate::exchange::Step;
use crate::failure::Failure;

/// The exchange of datagrams.
#[derive(Debug)]
pub struct Udp {
    payload: Vec<u8>,
    wanted: Option<Reply>,
}

impl Udp {
    /// Sends `payload`; `filler` stands in for an empty one.
    pub fn new(payload: &[u8], filler: u64, wanted: Option<&Reply>) -> Udp {
        let payload = if payload.is_empty() { filler.to_be_bytes().to_vec() } else { payload.to_vec() };
        Udp { payload, wanted: wanted.cloned() }
    }

    /// The datagram to send.
    pub fn payload(&self) -> Vec<u8> {
        self.payload.clone()
    }

    /// Silence is no answer.
    pub fn needs_reply(&self) -> bool {
        self.wanted.is_some()
    }

    /// A datagram arrived.
    pub fn reply(&self, bytes: &[u8]) -> Step {
        let Some(wanted) = &self.wanted else { return Step::fine() };
        if bytes.len() < usize::from(wanted.min) {
            Step::fail(Failure::Reply("too short"))
        } else if bytes.len() > usize::from(wanted.max) {
            Step::fail(Failure::Reply("too long"))
        } else if wanted.pattern.iter().zip(bytes).any(|((byte, mask), got)| (byte ^ got) & mask != 0) {
            Step::fail(Failure::Reply("does not match"))
        } else {
            Step::fine()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_judged_by_length_and_masked_bytes() {
        let wanted = Reply { pattern: vec![(0xab, 0xff), (0xc0, 0xf0), (1, 0xff)], min: 2, max: 4 };
        let udp = Udp::new(&[1], 7, Some(&wanted));
        let cases: [(&[u8], Step); 7] = [
            (&[0xab, 0xc7, 1], Step::fine()),
            (&[0xab, 0xcf, 1, 99], Step::fine()),
            (&[0xab, 0xc0], Step::fine()), // compared as far as both reach
            (&[0xab, 0xd0, 1], Step::fail(Failure::Reply("does not match"))),
            (&[0xab, 0xc0, 2], Step::fail(Failure::Reply("does not match"))),
            (&[0xab], Step::fail(Failure::Reply("too short"))),
            (&[0xab, 0xc0, 1, 0, 0], Step::fail(Failure::Reply("too long"))),
        ];
        for (bytes, step) in cases {
            assert_eq!(udp.reply(bytes), step, "{bytes:?}");
        }
        assert_eq!(Udp::new(&[], 7, None).payload().len(), 8);
        assert_eq!(Udp::new(&[], 7, None).reply(&[]), Step::fine());
    }
}
