//! Any bytes as what a server says to a mail that is handed to it.

use std::time::{Duration, SystemTime};
use steadfast_notify::mail::{Alert, Settings};
use steadfast_notify::smtp::{Next, Session};

/// One input.
pub fn drive(bytes: &[u8]) {
    for portion in [1, 40, usize::MAX] {
        let settings = Settings {
            server: "192.0.2.1".into(),
            port: 25,
            helo: "me".into(),
            timeout: Duration::from_secs(1),
            from: "me@example.org".into(),
            to: vec!["one".into(), "two@example.org".into()],
        };
        let alert = Alert { subject: "s".into(), body: "b".into() };
        let mut session = Session::new(&settings, &alert, SystemTime::UNIX_EPOCH);
        let mut said = 0;
        for part in bytes.chunks(portion.min(bytes.len().max(1))) {
            match session.hear(part) {
                Next::Say(words) => {
                    said += 1;
                    assert!(words.ends_with(b"\r\n"));
                }
                Next::Wait => {}
                Next::Over => break,
            }
        }
        // HELO, MAIL, two RCPT, DATA, the text, QUIT.
        assert!(said <= 7, "{said}");
        // Nobody has the mail who was not given its text.
        assert!(session.outcome().is_err() || said >= 6);
    }
}
