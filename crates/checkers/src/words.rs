//! What logs and mails say: keepalived's phrases where it has one, so that what admins search for is found.

use crate::failure::Failure;
use crate::{Check, CheckKind};

/// Log line of a check that succeeds, for the first time or after a failure.
pub(crate) fn success(check: &Check, server: &str, service: &str) -> String {
    match &check.kind {
        CheckKind::Tcp(_) => format!("TCP connection to {server} success."),
        CheckKind::Udp { .. } => format!("UDP connection to {server} success."),
        CheckKind::Ping(_) => format!("ICMP connection to {server} success."),
        CheckKind::Http(_) => format!("Remote Web server {server} succeed on service."),
        CheckKind::Smtp { .. } => format!("Remote SMTP server {server} succeed on service."),
        CheckKind::Dns { .. } => format!("DNS_CHECK ({server}) success."),
        CheckKind::Misc { script, .. } => {
            format!("Misc check for [{server} VS {service}] by [{}] succeeded.", program(&script.argv))
        }
        CheckKind::File { name, .. } => format!("FILE_CHECK {name} on service {server} succeeded."),
        CheckKind::Bfd { name } => format!("BFD_CHECK {name} on service {server}: session is up."),
        CheckKind::Grpc(_) => format!("GRPC_CHECK on service {server} succeeded."),
        CheckKind::Agent { .. } => format!("Agent check on service {server} succeeded."),
    }
}

/// Log line of a failure; `retries` of them came before.
pub(crate) fn failure(check: &Check, server: &str, service: &str, retries: u32, reason: Option<&Failure>) -> String {
    let after = match retries {
        0 => String::new(),
        n => format!(" after {n} retries"),
    };
    let reason = reason.map_or(String::from("."), |r| format!(": {r}"));
    match &check.kind {
        CheckKind::Misc { script, .. } => {
            format!("Misc check for [{server} VS {service}] by [{}] failed{after}{reason}", program(&script.argv))
        }
        kind => format!("{} on service {server} failed{after}{reason}", name(kind)),
    }
}

/// Log line of one failure of several, which decides nothing; `before` it there were so many.
pub(crate) fn attempt(check: &Check, server: &str, service: &str, before: u32, reason: &Failure) -> String {
    let kind = match &check.kind {
        CheckKind::Tcp(_) => "TCP",
        CheckKind::Udp { .. } => "UDP",
        CheckKind::Ping(_) => "ICMP",
        _ => return failure(check, server, service, before, Some(reason)),
    };
    format!("{kind} connection to {server} failed: {reason}")
}

/// The check's name in log lines.
pub(crate) fn name(kind: &CheckKind) -> &'static str {
    match kind {
        CheckKind::Tcp(_) => "TCP_CHECK",
        CheckKind::Http(_) => "HTTP_CHECK",
        CheckKind::Smtp { .. } => "SMTP_CHECK",
        CheckKind::Dns { .. } => "DNS_CHECK",
        CheckKind::Udp { .. } => "UDP_CHECK",
        CheckKind::Ping(_) => "ICMP CHECK",
        CheckKind::Misc { .. } => "MISC_CHECK",
        CheckKind::File { .. } => "FILE_CHECK",
        CheckKind::Bfd { .. } => "BFD_CHECK",
        CheckKind::Grpc(_) => "GRPC_CHECK",
        CheckKind::Agent { .. } => "Agent check",
    }
}

/// Body of the mail about a server whose check changed its mind.
pub(crate) fn mail(check: &Check, up: bool, reason: Option<&Failure>) -> String {
    let (kind, fine) = match &check.kind {
        CheckKind::Tcp(_) => ("TCP CHECK", "succeed"),
        CheckKind::Udp { .. } => ("UDP CHECK", "succeed"),
        CheckKind::Ping(_) => ("ICMP CHECK", "succeed"),
        CheckKind::Misc { .. } => ("MISC CHECK", "succeeded"),
        CheckKind::Bfd { .. } => ("BFD CHECK", "succeed"),
        CheckKind::Dns { .. } => ("DNS_CHECK:", "succeed"),
        CheckKind::File { .. } => ("FILE CHECK", "succeed"),
        CheckKind::Grpc(_) => ("GRPC CHECK", "succeed"),
        CheckKind::Agent { .. } => ("AGENT CHECK", "succeed"),
        CheckKind::Http(_) | CheckKind::Smtp { .. } => ("CHECK", "succeed"),
    };
    match (up, reason) {
        (true, _) => format!("=> {kind} {fine} on service <="),
        (false, Some(reason)) => format!("=> {kind} failed on service : {reason} <="),
        (false, None) => format!("=> {kind} failed on service <="),
    }
}

fn program(argv: &[String]) -> &str {
    argv.first().map_or("", String::as_str)
}
