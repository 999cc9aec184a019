//! The statistics dump (`keepalived.stats`).

use crate::Snapshot;
use std::fmt::Write;

/// Indentation is 2 and 4 blanks; every value is an integer, because readers give up on anything else.
pub fn stats(snapshot: &Snapshot) -> String {
    let mut t = String::with_capacity(snapshot.instances.len() * 400);
    for i in &snapshot.instances {
        let s = &i.statistics;
        let groups: [(&str, &[(&str, u64)]); 3] = [
            (
                "Packet Errors",
                &[
                    ("Length", s.packet_len_err),
                    ("TTL", s.ip_ttl_err),
                    ("Invalid Type", s.invalid_type_rcvd),
                    ("Advertisement Interval", s.advert_interval_err),
                    ("Address List", s.addr_list_err),
                ],
            ),
            (
                "Authentication Errors",
                &[
                    ("Invalid Type", s.invalid_authtype),
                    ("Type Mismatch", s.authtype_mismatch),
                    ("Failure", s.auth_failure),
                ],
            ),
            ("Priority Zero", &[("Received", s.pri_zero_rcvd), ("Sent", s.pri_zero_sent)]),
        ];
        let _ = writeln!(t, "VRRP Instance: {}", i.name);
        let _ = writeln!(t, "  Advertisements:\n    Received: {}\n    Sent: {}", s.advert_rcvd, s.advert_sent);
        let _ = writeln!(t, "  Became master: {}\n  Released master: {}", s.become_master, s.release_master);
        let hmac = [
            ("Missing HMAC", s.auth_ext_missing),
            ("Malformed HMAC", s.auth_ext_malformed),
            ("Unknown Key", s.auth_ext_unknown_key),
            ("Invalid HMAC", s.auth_ext_invalid_hmac),
            ("Stale", s.auth_ext_stale),
            ("Replay", s.auth_ext_replay),
        ];
        for (heading, rows) in groups {
            let _ = writeln!(t, "  {heading}:");
            let more = hmac.iter().filter(|_| i.hmac && heading.starts_with("Authentication"));
            for (key, value) in rows.iter().chain(more) {
                let _ = writeln!(t, "    {key}: {value}");
            }
        }
    }
    t
}
