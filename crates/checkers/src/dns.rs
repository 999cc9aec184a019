//! DNS_CHECK (RFC 1035): one query over UDP; any well-formed answer to it with response code 0 is success.

use crate::exchange::Step;
use crate::failure::Failure;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};

/// One query.
#[derive(Debug)]
pub struct Dns {
    id: u16,
    query: Query,
}

impl Dns {
    /// A query for records of type number `kind`. The name must be one: labels of at most 63 bytes, 255 together.
    pub fn new(name: &str, kind: u16, id: u16) -> Option<Dns> {
        let mut name = Name::from_ascii(name).ok()?;
        name.set_fqdn(true);
        Some(Dns { id, query: Query::query(name, RecordType::from(kind)) })
    }

    /// The query, recursion desired.
    pub fn query(&self) -> Vec<u8> {
        let mut message = Message::new(self.id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(self.query.clone());
        // a name and a type that were accepted always fit
        message.to_vec().unwrap_or_default()
    }

    /// A datagram arrived. Answers to other queries are passed over: they may be late, or forged.
    pub fn reply(&self, bytes: &[u8]) -> Step {
        match bytes {
            [a, b, ..] if u16::from_be_bytes([*a, *b]) == self.id => {}
            _ => return Step::More,
        }
        // a truncated answer (TC) may end in the middle of a record: its header says enough
        if let Some([_, _, flags, code, ..]) = bytes.first_chunk::<12>()
            && flags & 0x82 == 0x82
        {
            return match code & 15 {
                0 => Step::fine(),
                code => Step::fail(Failure::Rcode(code.into())),
            };
        }
        let Ok(message) = Message::from_vec(bytes) else { return Step::fail(Failure::Malformed("DNS message")) };
        if message.metadata.message_type != MessageType::Response {
            return Step::fail(Failure::Malformed("DNS message is no answer"));
        }
        match message.metadata.response_code {
            ResponseCode::NoError => {}
            code => return Step::fail(Failure::Rcode(code.into())),
        }
        if message.queries.iter().any(|q| *q != self.query) {
            return Step::fail(Failure::Malformed("DNS answer to another question"));
        }
        Step::fine()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(dns: &Dns) -> Vec<u8> {
        let mut bytes = dns.query();
        bytes[2] |= 0x80;
        bytes
    }

    #[test]
    fn the_query_is_what_rfc_1035_draws() {
        let dns = Dns::new("www.example", 1, 0x1234).unwrap();
        let wanted = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x00\x00\x01\x00\x01";
        assert_eq!(dns.query(), wanted);
        assert_eq!(Dns::new(".", 6, 0).unwrap().query()[12..], [0, 0, 6, 0, 1]);
        assert!(Dns::new(&"x".repeat(64), 6, 0).is_none());
    }

    #[test]
    fn answers() {
        let dns = Dns::new("a.example", 6, 7).unwrap();
        assert_eq!(dns.reply(&answer(&dns)), Step::fine());
        let mut refused = answer(&dns);
        refused[3] |= 5;
        assert_eq!(dns.reply(&refused), Step::fail(Failure::Rcode(5)));
        let mut foreign = answer(&dns);
        foreign[1] = 8;
        assert_eq!(dns.reply(&foreign), Step::More);
        assert_eq!(dns.reply(&dns.query()), Step::fail(Failure::Malformed("DNS message is no answer")));
        let other = answer(&Dns::new("b.example", 6, 7).unwrap());
        assert_eq!(dns.reply(&other), Step::fail(Failure::Malformed("DNS answer to another question")));
        for cut in 2..answer(&dns).len() {
            assert_ne!(dns.reply(&answer(&dns)[..cut]), Step::fine(), "{cut}");
        }
        assert_eq!(dns.reply(b"\x00"), Step::More);
    }

    #[test]
    fn a_truncated_answer_is_an_answer() {
        let dns = Dns::new("_sip._udp.example", 33, 7).unwrap();
        let mut cut = answer(&dns);
        cut[2] |= 2;
        cut[7] = 3; // records that are not all there
        cut.extend_from_slice(b"\xc0\x0c\x00\x01\x00");
        assert_eq!(dns.reply(&cut), Step::fine());
        cut[3] |= 2;
        assert_eq!(dns.reply(&cut), Step::fail(Failure::Rcode(2)));
        assert_ne!(dns.reply(&cut[..11]), Step::fine());
    }

    /// 45e9da9c: a record whose RDLENGTH points beyond the packet.
    #[test]
    fn rdlength_beyond_the_packet() {
        let dns = Dns::new("a.example", 1, 7).unwrap();
        let mut bytes = answer(&dns);
        bytes[7] = 1; // one answer
        bytes.extend_from_slice(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c");
        let mut good = bytes.clone();
        good.extend_from_slice(b"\x00\x04\x0a\x00\x00\x01");
        assert_eq!(dns.reply(&good), Step::fine());
        for rdlength in [5u16, 300, 0xffff] {
            let mut bad = bytes.clone();
            bad.extend(rdlength.to_be_bytes());
            bad.extend_from_slice(b"\x0a\x00\x00\x01");
            assert_eq!(dns.reply(&bad), Step::fail(Failure::Malformed("DNS message")), "{rdlength}");
        }
        let mut bomb = answer(&dns); // a name that points to itself
        bomb[12..14].copy_from_slice(b"\xc0\x0c");
        assert_eq!(dns.reply(&bomb), Step::fail(Failure::Malformed("DNS message")));
    }
}
