//! What keepalived knows and steadfast does not do yet. Such words are passed over with a note, never silently and never as an
//! error, so that a file that keepalived takes is taken here too.

use crate::section::Keyword;

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
