//! What keepalived knows and steadfast does not do yet. Such words are passed over with a note, never silently and never as an
//! error, so that a file that keepalived takes is taken here too.

use crate::model::Root;
use crate::parse::Cx;
use crate::section::Keyword;

/// Sections of other parts of the daemon: their blocks are passed over whole.
const BLOCKS: &[(&str, &str)] = &[("bfd_instance", "One BFD session.")];

/// Words of global_defs.
const GLOBAL: &[&str] = &[
    "process_name",
    "vrrp_process_name",
    "checker_process_name",
    "lvs_process_name",
    "bfd_process_name",
    "use_symlink_paths",
    "set_supplementary_groups",
    "min_auto_priority_delay",
    "disable_local_igmp",
    "vrrp_garp_extra_if",
    "vrrp_vmac_garp_intvl",
    "vrrp_ipsets",
    "nftables_ifindex",
    "nftables_counters",
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
    "vrrp_netlink_cmd_rcv_bufs",
    "vrrp_netlink_cmd_rcv_bufs_force",
    "vrrp_netlink_monitor_rcv_bufs_force",
    "lvs_netlink_cmd_rcv_bufs",
    "lvs_netlink_cmd_rcv_bufs_force",
    "lvs_netlink_monitor_rcv_bufs_force",
    "process_monitor_rcv_bufs",
    "process_monitor_rcv_bufs_force",
    "vrrp_rx_bufs_policy",
    "vrrp_rx_bufs_multiplier",
    "vrrp_delay_after_boot",
    "vmac_addr_prefix",
    "reload_time_file",
    "reload_repeat",
    "reload_file",
    "config_save_dir",
    "tmp_config_directory",
    "data_use_instance",
    "iproute_usr_dir",
    "iproute_etc_dir",
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
