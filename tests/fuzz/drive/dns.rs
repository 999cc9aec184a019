//! Any bytes as a DNS answer, with the right id put in.

use steadfast_checkers::dialogue::Dns;

/// One input.
pub fn drive(bytes: &[u8]) {
    let Some(dns) = Dns::new("www.example", 1, 7) else { return };
    let _ = dns.reply(bytes);
    let mut answer = bytes.to_vec();
    if let Some(id) = answer.get_mut(..2) {
        id.copy_from_slice(&[0, 7]);
        let _ = dns.reply(&answer);
    }
}
