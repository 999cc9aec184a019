use super::*;
use std::time::Duration;

fn session(to: &[&str], body: &str) -> Session {
    let settings = Settings {
        server: "192.0.2.1".into(),
        port: 25,
        helo: "lb1.test".into(),
        timeout: Duration::from_secs(1),
        from: "Director <lb@test>".into(),
        to: to.iter().map(|t| t.to_string()).collect(),
    };
    Session::new(&settings, &Alert { subject: "s".into(), body: body.into() }, SystemTime::UNIX_EPOCH)
}

/// Plays these replies; what was said, and how it ended.
fn play(mut session: Session, replies: &[&str]) -> (Vec<String>, Result<Vec<Refusal>, Refusal>) {
    let mut said = Vec::new();
    for reply in replies {
        match session.hear(format!("{reply}\r\n").as_bytes()) {
            Next::Say(bytes) => said.push(String::from_utf8(bytes).expect("text")),
            Next::Wait => {}
            Next::Over => break,
        }
    }
    (said, session.outcome())
}

#[test]
fn a_server_that_knows_helo_alone_gets_the_mail() {
    let replies = ["220 x", "250 x", "250 x", "250 x", "251 x", "354 x", "250 x", "221 x"];
    let (said, end) = play(session(&["root", "Ops <b@test>"], "one\n.two\n.\n"), &replies);
    assert_eq!(end, Ok(Vec::new()));
    let text = said.get(5).expect("a text");
    assert!(text.ends_with("\r\n\r\none\r\n..two\r\n..\r\n\r\n.\r\n"), "{text:?}");
    assert_eq!(text.matches("\r\n.\r\n").count(), 1, "{text:?}");
    let others: Vec<&str> = said.iter().filter(|s| *s != text).map(|s| s.trim_end()).collect();
    let commands = ["HELO lb1.test", "MAIL FROM:<lb@test>", "RCPT TO:<root>", "RCPT TO:<b@test>", "DATA", "QUIT"];
    assert_eq!(others, commands);
}

#[test]
fn replies_of_several_lines_and_in_pieces_are_one_reply() {
    let mut s = session(&["a@test"], "b");
    assert_eq!(s.hear(b"220-hello\r\n22"), Next::Wait);
    assert_eq!(s.hear(b"0 there\n"), Next::Say(b"HELO lb1.test\r\n".to_vec()));
}

#[test]
fn a_refused_recipient_does_not_cost_the_others_theirs() {
    let replies = ["220 x", "250 x", "250 x", "550 who is that", "250 x", "354 x", "250 x", "221 x"];
    let refused = Refusal::Said("550 who is that".into(), "RCPT TO:<a@test>".into());
    let (said, end) = play(session(&["a@test", "b@test"], "b"), &replies);
    assert_eq!(end, Ok(vec![refused.clone()]));
    assert_eq!(refused.to_string(), "mail server: '550 who is that' to RCPT TO:<a@test>");
    assert!(said.iter().any(|s| s == "DATA\r\n"), "{said:?}");
    let (said, end) = play(session(&["a@test"], "b"), &["220 x", "250 x", "250 x", "550 who is that", "221 x"]);
    assert_eq!(end, Err(refused));
    assert_eq!(said.last().map(String::as_str), Some("QUIT\r\n"));
}

#[test]
fn what_the_server_does_not_want_is_told_in_its_words() {
    let refusal = |replies: &[&str]| play(session(&["a@test"], "b"), replies).1.expect_err("refused").to_string();
    assert_eq!(refusal(&["554 go away"]), "mail server: '554 go away' to the connection");
    assert_eq!(refusal(&["220 x", "504 no name"]), "mail server: '504 no name' to HELO lb1.test");
    assert_eq!(refusal(&["220 x", "250 x", "250 x", "421 bye"]), "mail server: '421 bye' to RCPT TO:<a@test>");
    assert_eq!(
        refusal(&["220 x", "250 x", "250 x", "250 x", "354 x", "552 too big"]),
        "mail server: '552 too big' to the text"
    );
    assert_eq!(refusal(&["HTTP/1.1 400 Bad"]), "mail server: what it answers is no SMTP");
    // Answers to what was not asked yet.
    assert_eq!(refusal(&["220 x\r\n250 x"]), "mail server: what it answers is no SMTP");
    assert_eq!(refusal(&[&"x".repeat(REPLY_LIMIT + 1)]), "mail server: what it answers is no SMTP");
    let (_, end) = play(session(&[], "b"), &["220 x", "250 x", "250 x"]);
    assert_eq!(end, Err(Refusal::NoRecipient));
}

#[test]
fn no_word_of_the_file_ends_a_command() {
    let (said, _) = play(session(&["a@test>\r\nRSET"], "b"), &["220 x", "250 x", "250 x", "250 x"]);
    assert!(said.iter().all(|s| s.matches('\n').count() == 1), "{said:?}");
}
