//! Mail on state changes.

use crate::Subject;
use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Message, SmtpTransport, Transport};
use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

/// Where mail goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Relay, name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// Name said in HELO; `None`: the host's.
    pub helo: Option<String>,
    /// Limit of the connection.
    pub timeout: Duration,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
}

/// One message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// Subject line.
    pub subject: String,
    /// Text.
    pub body: String,
}

/// The message for a state change, or `None` where no mail is due for that word.
pub fn alert(router_id: &str, subject: Subject, name: &str, state: &str) -> Option<Alert> {
    let what = match subject {
        Subject::Instance => "VRRP Instance",
        Subject::Group => "VRRP Group",
    };
    let wording = match state {
        "MASTER" | "BACKUP" | "FAULT" => format!("Entering {state} state"),
        "STOP" => "Stopping".to_string(),
        "DELETED" => "Deleted".to_string(),
        _ => return None,
    };
    let body = match (subject, state) {
        (Subject::Group, _) => format!("=> All VRRP instances of the group {name} are now in {state} state <="),
        (Subject::Instance, "MASTER") => format!("=> VRRP Instance {name} now holds its virtual addresses <="),
        (Subject::Instance, "STOP") => format!("=> VRRP Instance {name} stops and lets its virtual addresses go <="),
        (Subject::Instance, "DELETED") => format!("=> VRRP Instance {name} was taken out of the configuration <="),
        (Subject::Instance, _) => format!("=> VRRP Instance {name} does not hold its virtual addresses any more <="),
    };
    Some(Alert { subject: format!("[{router_id}] {what} {name} - {wording}"), body })
}

/// Why a mail could not be sent.
#[derive(Debug)]
pub enum MailError {
    /// An address of the configuration is not a mail address.
    Address(String, lettre::address::AddressError),
    /// The message could not be composed.
    Compose(lettre::error::Error),
    /// The server could not be reached or refused.
    Smtp(lettre::transport::smtp::Error),
    /// There is no recipient.
    NoRecipient,
}

impl fmt::Display for MailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MailError::Address(text, e) => write!(f, "'{text}' is no mail address: {e}"),
            MailError::Compose(e) => write!(f, "cannot compose the message: {e}"),
            MailError::Smtp(e) => match interruption(e) {
                Some(ErrorKind::WouldBlock | ErrorKind::TimedOut) => f.write_str("mail server: timed out"),
                Some(ErrorKind::InvalidData) => f.write_str("mail server: what it answers is no SMTP"),
                _ => write!(f, "mail server: {e}"),
            },
            MailError::NoRecipient => f.write_str("no recipient"),
        }
    }
}

/// What the system said, where that is behind a failure.
fn interruption(e: &lettre::transport::smtp::Error) -> Option<ErrorKind> {
    let mut cause = e.source();
    while let Some(e) = cause {
        if let Some(e) = e.downcast_ref::<std::io::Error>() {
            return Some(e.kind());
        }
        cause = e.source();
    }
    None
}

impl std::error::Error for MailError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MailError::Address(_, e) => Some(e),
            MailError::Compose(e) => Some(e),
            MailError::Smtp(e) => Some(e),
            MailError::NoRecipient => None,
        }
    }
}

/// Sends one message, in the clear as keepalived does. Blocks until the server has answered or the time is up.
pub fn send(settings: &Settings, alert: &Alert) -> Result<(), MailError> {
    let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|e| MailError::Address(text.to_string(), e));
    if settings.to.is_empty() {
        return Err(MailError::NoRecipient);
    }
    let mut message =
        Message::builder().from(mailbox(&settings.from)?).subject(&alert.subject).user_agent("Keepalived".into());
    for to in &settings.to {
        message = message.to(mailbox(to)?);
    }
    let message = message.body(alert.body.clone()).map_err(MailError::Compose)?;
    let mut transport =
        SmtpTransport::builder_dangerous(&settings.server).port(settings.port).timeout(Some(settings.timeout));
    if let Some(helo) = &settings.helo {
        transport = transport.hello_name(ClientId::Domain(helo.clone()));
    }
    transport.build().send(&message).map_err(MailError::Smtp)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    #[test]
    fn subjects_are_those_that_mail_filters_look_for() {
        let a = alert("lb1", Subject::Instance, "VI_1", "MASTER");
        assert_eq!(a.map(|a| a.subject).as_deref(), Some("[lb1] VRRP Instance VI_1 - Entering MASTER state"));
        assert_eq!(alert("lb1", Subject::Instance, "VI_1", "MASTER_RX_LOWER_PRI"), None);
    }

    #[test]
    fn a_server_that_is_silent_or_none_is_told_of_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("addr").port();
        let settings = Settings {
            server: "127.0.0.1".into(),
            port,
            from: "a@example.com".into(),
            to: vec!["b@example.com".into()],
            helo: None,
            timeout: std::time::Duration::from_millis(300),
        };
        let alert = Alert { subject: "s".into(), body: "b".into() };
        let server = std::thread::spawn(move || {
            let silent = listener.accept().expect("first");
            let mut loud = listener.accept().expect("second").0;
            loud.write_all(b"\xff\xfe\xfd\r\n").expect("bytes");
            drop(silent);
        });
        let said = || send(&settings, &alert).expect_err("no mail").to_string();
        assert_eq!(said(), "mail server: timed out");
        assert_eq!(said(), "mail server: what it answers is no SMTP");
        server.join().expect("server");
    }

    #[test]
    fn a_message_reaches_a_mail_server() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("addr").port();
        let server = std::thread::spawn(move || {
            let (mut s, _) = listener.accept().expect("accept");
            let mut lines = BufReader::new(s.try_clone().expect("clone")).lines();
            let mut seen = String::new();
            s.write_all(b"220 test\r\n").expect("greet");
            let mut data = false;
            while let Some(Ok(line)) = lines.next() {
                seen.push_str(&line);
                seen.push('\n');
                let answer: &[u8] = match line.as_str() {
                    "." => {
                        data = false;
                        b"250 ok\r\n"
                    }
                    _ if data => continue,
                    "DATA" => {
                        data = true;
                        b"354 go\r\n"
                    }
                    "QUIT" => {
                        let _ = s.write_all(b"221 bye\r\n");
                        break;
                    }
                    _ => b"250 ok\r\n",
                };
                if s.write_all(answer).is_err() {
                    break;
                }
            }
            seen
        });
        let settings = Settings {
            server: "127.0.0.1".into(),
            port,
            helo: Some("lb1.test".into()),
            timeout: Duration::from_secs(5),
            from: "lb@test".into(),
            to: vec!["a@test".into(), "b@test".into()],
        };
        let alert = alert("lb1", Subject::Group, "G1", "BACKUP").expect("alert");
        send(&settings, &alert).expect("sent");
        let seen = server.join().expect("server");
        assert!(seen.contains("lb1.test"), "{seen}");
        assert!(seen.contains("RCPT TO:<b@test>"), "{seen}");
        assert!(seen.contains("Subject: [lb1] VRRP Group G1 - Entering BACKUP state"), "{seen}");
    }
}
