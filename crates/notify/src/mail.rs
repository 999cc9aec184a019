//! Mail on state changes.

use crate::Subject;
use lettre::message::header::{Date, HeaderName, HeaderValue, Headers};
use std::time::{Duration, SystemTime};

/// Where mail goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Relay, name or address.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// Name said in HELO.
    pub helo: String,
    /// Limit of the connection, and of each answer.
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
    // keepalived's words: filters and people know them.
    let body = match (subject, state) {
        (Subject::Group, _) => format!("=> All VRRP group instances are now in {state} state <="),
        (Subject::Instance, "MASTER") => "=> VRRP Instance is now owning VRRP VIPs <=".to_string(),
        (Subject::Instance, _) => "=> VRRP Instance is no longer owning VRRP VIPs <=".to_string(),
    };
    Some(Alert { subject: format!("[{router_id}] {what} {name} - {wording}"), body })
}

/// The message as it goes over the wire, without the point that ends it: header, empty line, text (RFC 5322). What is plain ASCII
/// needs no words about its encoding.
pub fn message(settings: &Settings, alert: &Alert, date: SystemTime) -> String {
    let mut headers = Headers::new();
    headers.set(Date::new(date));
    let mut add = |name: &'static str, value: &str| {
        if let Ok(name) = HeaderName::new_from_ascii(name.into()) {
            headers.insert_raw(HeaderValue::new(name, value.replace(char::is_control, " ")));
        }
    };
    add("From", &settings.from);
    add("Subject", &alert.subject);
    add("X-Mailer", "Keepalived");
    add("To", &settings.to.join(", "));
    if !alert.body.is_ascii() {
        add("MIME-Version", "1.0");
        add("Content-Type", "text/plain; charset=utf-8");
        add("Content-Transfer-Encoding", "8bit");
    }
    let lines: Vec<&str> = alert.body.lines().collect();
    format!("{headers}\r\n{}\r\n\r\n", lines.join("\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_that_mail_filters_look_for() {
        let of = |subject, state| alert("lb1", subject, "VI_1", state).map(|a| (a.subject, a.body));
        let expect = |subject: &str, body: &str| Some((subject.to_string(), body.to_string()));
        let owns = "=> VRRP Instance is now owning VRRP VIPs <=";
        assert_eq!(of(Subject::Instance, "MASTER"), expect("[lb1] VRRP Instance VI_1 - Entering MASTER state", owns));
        let not = "=> VRRP Instance is no longer owning VRRP VIPs <=";
        assert_eq!(of(Subject::Instance, "BACKUP"), expect("[lb1] VRRP Instance VI_1 - Entering BACKUP state", not));
        let all = "=> All VRRP group instances are now in FAULT state <=";
        assert_eq!(of(Subject::Group, "FAULT"), expect("[lb1] VRRP Group VI_1 - Entering FAULT state", all));
        assert_eq!(of(Subject::Instance, "MASTER_RX_LOWER_PRI"), None);
    }

    #[test]
    fn the_message_is_keepaliveds() {
        let settings = Settings {
            server: "192.0.2.1".into(),
            port: 25,
            helo: "lb1".into(),
            timeout: Duration::from_secs(1),
            from: "keepalived".into(),
            to: vec!["root".into(), "ops@b.example".into()],
        };
        let mut alert =
            Alert { subject: "[lb1] VRRP Instance VI - Entering MASTER state".into(), body: "=> x <=".into() };
        let text = message(&settings, &alert, SystemTime::UNIX_EPOCH);
        let expected = [
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "From: keepalived",
            "Subject: [lb1] VRRP Instance VI - Entering MASTER state",
            "X-Mailer: Keepalived",
            "To: root, ops@b.example",
            "",
            "=> x <=",
            "",
            "",
        ];
        assert_eq!(text, expected.join("\r\n"));
        // A name of another script is told readers in a way that they know, and a line's end in it ends no line of the header.
        alert.subject = "[b\u{e4}r]\r\nBcc: x".into();
        alert.body = "b\u{e4}r\nb".into();
        let text = message(&settings, &alert, SystemTime::UNIX_EPOCH);
        assert!(text.split("\r\n").all(|line| !line.starts_with("Bcc")), "{text}");
        let (head, body) = text.split_once("\r\n\r\n").expect("header and text");
        assert!(head.is_ascii() && head.contains("charset=utf-8"), "{head}");
        assert_eq!(body, "b\u{e4}r\r\nb\r\n\r\n");
    }
}
