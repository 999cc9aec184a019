//! BFD sessions for people.

use crate::show::{past, span, times};
use std::fmt::Write;
use steadfast_status::live::Session;

/// The rest of a session's line.
pub fn line(s: &Session, now: f64) -> String {
    let mut text = format!("since {}, peer {}", span(now - s.since), s.remote_state);
    if let Some(d) = s.detect_time.filter(|_| s.state == "Up") {
        let _ = write!(text, ", a failure is noticed within {}", interval(d));
    }
    if s.state != "Up" && s.diag != "No Diagnostic" {
        let _ = write!(text, ", {}", s.diag);
    }
    if s.state != "Up" && s.up {
        text.push_str(", which is no failure: the peer took it down");
    }
    text
}

/// An interval: `30 ms`, `1.5 s`.
fn interval(seconds: f64) -> String {
    if seconds < 1.0 { format!("{} ms", (seconds * 1e4).round() / 10.0) } else { span(seconds) }
}

/// `steadfast explain` of a BFD session.
pub fn explain(s: &Session, silence: Option<String>, now: f64) -> String {
    let hops = if s.multihop { " over several hops" } else { "" };
    let from = s.source.as_ref().map(|a| format!(" from {a}")).unwrap_or_default();
    let mut lines =
        vec![format!("{} (BFD with {}{hops}{from}) is {} since {}.", s.name, s.neighbor, s.state, span(now - s.since))];
    lines.push(match (s.heard, s.sent) {
        (Some(at), _) => {
            format!("The peer says that it is {}, and was last heard {} ago.", s.remote_state, past(now - at))
        }
        (None, Some(_)) => "The peer is not heard.".to_string(),
        (None, None) => {
            format!("The peer said that it is {}; when it was last heard is not known.", s.remote_state)
        }
    });
    match s.state.as_str() {
        "Up" => {
            let detect = s.detect_time.map(interval).unwrap_or_default();
            let pace = interval(s.tx_interval);
            lines.push(format!("A packet leaves every {pace} or somewhat sooner; silence of the peer for {detect} takes the session down."));
        }
        _ if s.up => {
            lines.push(
                "The peer took it down itself, which is no failure: who depends on it goes on as if it were up.".into(),
            );
        }
        "Init" => lines.push("The peer is heard, and has not said yet that it hears us.".into()),
        _ => {
            if s.diag != "No Diagnostic" {
                lines.push(format!("It went down because of this: {}.", s.diag));
            }
            if s.refused.is_some_and(|n| n > 0) {
                lines.push("Packets from the peer's address are thrown away; the log says why.".into());
            }
            if s.passive && s.heard.is_none() && s.sent.is_some() {
                lines.push("It is passive, and waits for the peer to begin.".into());
            }
        }
    }
    let (a, b) = (s.discriminator, s.remote_discriminator);
    let packets = match (s.sent, s.received, s.refused) {
        (Some(sent), Some(received), Some(refused)) => {
            format!("{sent} packets sent, {received} received, {refused} thrown away")
        }
        _ => "how many packets were sent and received is not known".into(),
    };
    lines.push(format!("Its discriminator is {a:#x}, the peer's {b:#x}; {packets}."));
    if let (Some(ups), Some(downs)) = (s.ups, s.downs) {
        lines.push(format!("Since its process began it {} and {}.", times(ups, "came up"), times(downs, "went down")));
    }
    lines.extend(silence.map(|why| format!("All this is what was said last: {why}.")));
    lines.join("\n") + "\n"
}
