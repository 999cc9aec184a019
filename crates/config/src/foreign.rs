//! What keepalived knows and steadfast does not do yet. Such words are passed over with a note, never silently and never as an
//! error, so that a file that keepalived takes is taken here too.

use crate::model::Root;
use crate::parse::Cx;
use crate::section::Keyword;

/// Sections of other parts of the daemon: their blocks are passed over whole.
const BLOCKS: &[(&str, &str)] = &[("bfd_instance", "One BFD session.")];

/// Words of global_defs.
const GLOBAL: &[&str] = &[
    "bfd_process_name",
    "use_symlink_paths",
    "nftables_ifindex",
    "bfd_priority",
    "bfd_no_swap",
    "bfd_rt_priority",
    "bfd_cpu_affinity",
    "bfd_rlimit_rttime",
    "bfd_rlimit_rtime",
    "snmp_socket",
    "enable_snmp_keepalived",
    "enable_snmp_rfc",
    "enable_snmp_rfcv2",
    "enable_snmp_rfcv3",
    "snmp_vs_stats_update_interval",
    "snmp_rs_stats_update_interval",
    "enable_dbus",
    "dbus_service_name",
    "dbus_no_interface_name",
];

/// Takes a top-level block that is not ours yet.
pub(crate) fn take(word: &str, root: &mut Root, c: &mut Cx<'_>) -> bool {
    let Some((name, _)) = BLOCKS.iter().find(|(n, _)| *n == word) else { return false };
    c.unsupported(name);
    if *name == "bfd_instance" {
        root.bfd.extend(c.word(1).map(|w| w.text.clone()));
    }
    if c.open_quietly() {
        c.skip_open_block();
    }
    true
}

/// A word of a section that keepalived knows.
pub(crate) fn known(section: &str, word: &str) -> Option<&'static str> {
    (section == "global_defs").then(|| GLOBAL.iter().find(|k| **k == word).copied()).flatten()
}

/// Names of the blocks, for suggestions.
pub(crate) fn roots() -> impl Iterator<Item = &'static str> {
    BLOCKS.iter().map(|(n, _)| *n)
}

/// For the reference.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    let keyword =
        |section, word, doc| Keyword { section, word, syntax: "", range: "", default: "", doc, supported: false };
    BLOCKS
        .iter()
        .map(move |(n, d)| keyword("(root)", n, d))
        .chain(GLOBAL.iter().map(move |w| keyword("global_defs", w, "Known to keepalived, not supported yet.")))
}
