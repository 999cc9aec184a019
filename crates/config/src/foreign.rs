//! What keepalived knows and steadfast does not do yet. Such words are passed over with a note, never silently and never as an
//! error, so that a file that keepalived takes is taken here too.

use crate::section::Keyword;

/// Words of global_defs.
const GLOBAL: &[&str] = &[
    "snmp_socket",
    "enable_snmp_keepalived",
    "enable_snmp_rfc",
    "enable_snmp_rfcv2",
    "enable_snmp_rfcv3",
    "snmp_vs_stats_update_interval",
    "snmp_rs_stats_update_interval",
];

/// A word of a section that keepalived knows.
pub(crate) fn known(section: &str, word: &str) -> Option<&'static str> {
    (section == "global_defs").then(|| GLOBAL.iter().find(|k| **k == word).copied()).flatten()
}

/// For the reference.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    GLOBAL.iter().map(|word| Keyword {
        section: "global_defs",
        word,
        syntax: "",
        range: "",
        default: "",
        doc: "Known to keepalived, not supported yet.",
        supported: false,
    })
}
