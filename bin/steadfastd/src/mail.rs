//! Mail on its way: the dialogue of `steadfast-notify` over a connection of `steadfast-net`.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::time::SystemTime;
use steadfast_net::dialogue;
use steadfast_notify::mail::{Alert, Settings};
use steadfast_notify::smtp::{Next, Session};

/// Sends one message, in the clear as keepalived does. Blocks until the server has answered or the time is up. What is not taken, and
/// by whom, is said in the log.
pub fn send(settings: &Settings, alert: &Alert) {
    match deliver(settings, alert) {
        Ok(refused) => {
            refused.iter().for_each(|why| log::error!("mail '{}' was not sent to everybody: {why}", alert.subject));
        }
        Err(why) => log::error!("mail '{}' was not sent: {why}", alert.subject),
    }
}

fn deliver(settings: &Settings, alert: &Alert) -> Result<Vec<String>, String> {
    let mut session = Session::new(settings, alert, SystemTime::now());
    let held = dialogue::hold(&settings.server, settings.port, settings.timeout, |bytes| match session.hear(bytes) {
        Next::Wait => ControlFlow::Continue(Vec::new()),
        Next::Say(words) => ControlFlow::Continue(words),
        Next::Over => ControlFlow::Break(()),
    });
    // Who hangs up after QUIT has said nothing against it.
    if let (Err(e), false) = (held, session.over()) {
        return Err(match e.kind() {
            ErrorKind::TimedOut => "mail server: timed out".into(),
            ErrorKind::UnexpectedEof => "mail server: it closed the connection".into(),
            _ => format!("mail server: {e}"),
        });
    }
    match session.outcome() {
        Ok(refused) => Ok(refused.iter().map(ToString::to_string).collect()),
        Err(why) => Err(why.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;
    use std::time::Duration;
    use steadfast_notify::{Subject, mail};

    fn settings(port: u16, milliseconds: u64) -> Settings {
        Settings {
            server: "127.0.0.1".into(),
            port,
            from: "keepalived".into(),
            to: vec!["root".into(), "b@test".into()],
            helo: "lb1.test".into(),
            timeout: Duration::from_millis(milliseconds),
        }
    }

    #[test]
    fn a_server_that_is_silent_or_none_is_told_of_in_words() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("addr").port();
        let alert = Alert { subject: "s".into(), body: "b".into() };
        let server = std::thread::spawn(move || {
            let silent = listener.accept().expect("first");
            let mut loud = listener.accept().expect("second").0;
            loud.write_all(b"\xff\xfe\xfd\r\n").expect("bytes");
            let mut short = listener.accept().expect("third").0;
            short.write_all(b"220 x\r\n").expect("bytes");
            BufReader::new(&short).lines().next().expect("HELO").expect("HELO");
            drop(silent);
        });
        let said = |limit| deliver(&settings(port, limit), &alert).expect_err("no mail");
        assert_eq!(said(300), "mail server: timed out");
        assert_eq!(said(5000), "mail server: what it answers is no SMTP");
        assert_eq!(said(5000), "mail server: it closed the connection");
        server.join().expect("server");
    }

    /// It answers 502 to EHLO, as it may (RFC 5321 section 4.1.1.1), and knows addresses without a domain.
    #[test]
    fn a_message_reaches_an_old_mail_server() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("addr").port();
        let server = std::thread::spawn(move || {
            let (mut s, _) = listener.accept().expect("accept");
            let mut lines = BufReader::new(s.try_clone().expect("clone")).lines().map_while(Result::ok);
            let mut seen = Vec::new();
            s.write_all(b"220 test\r\n").expect("greet");
            let mut data = false;
            for line in lines.by_ref() {
                seen.push(line.clone());
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
                    _ if line.starts_with("EHLO") => b"502 what\r\n",
                    // It hangs up without another word.
                    "QUIT" => break,
                    _ => b"250 ok\r\n",
                };
                if s.write_all(answer).is_err() {
                    break;
                }
            }
            seen
        });
        let alert = mail::alert("lb1", Subject::Group, "G1", "BACKUP").expect("alert");
        assert_eq!(deliver(&settings(port, 5000), &alert), Ok(Vec::new()));
        let seen = server.join().expect("server");
        let expected = [
            "HELO lb1.test",
            "MAIL FROM:<keepalived>",
            "RCPT TO:<root>",
            "RCPT TO:<b@test>",
            "DATA",
            "From: keepalived",
            "Subject: [lb1] VRRP Group G1 - Entering BACKUP state",
            "X-Mailer: Keepalived",
            "To: root, b@test",
            "",
            "=> All VRRP group instances are now in BACKUP state <=",
            "",
            ".",
            "QUIT",
        ];
        let seen: Vec<&str> = seen.iter().map(String::as_str).filter(|l| !l.starts_with("Date: ")).collect();
        assert_eq!(seen, expected);
    }
}
