//! Any bytes as records of TLS 1.2 with AES in CBC mode, as they come and as what is found behind the cipher.

/// One input.
pub fn drive(bytes: &[u8]) {
    // Nobody guesses a MAC.
    assert!(!steadfast_net::tls::drive_records(bytes));
}
