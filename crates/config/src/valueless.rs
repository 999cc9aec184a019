//! Keywords without their value: at most keepalived ends, at some it goes on.

use crate::diag::Class;

/// Blocks, and the keywords in them that it goes on after, with a report.
const REPORTED: &[(&str, &[&str])] = &[
    ("", &["net_namespace", "instance"]),
    (
        "global_defs",
        &[
            "router_id",
            "notification_email_from",
            "startup_script",
            "startup_script_timeout",
            "shutdown_script",
            "shutdown_script_timeout",
            "min_auto_priority_delay",
            "default_interface",
            "lvs_timeouts",
            "lvs_sync_daemon",
            "vrrp_priority",
            "checker_priority",
            "bfd_priority",
            "vrrp_rt_priority",
            "checker_rt_priority",
            "bfd_rt_priority",
            "vrrp_cpu_affinity",
            "checker_cpu_affinity",
            "bfd_cpu_affinity",
            "notify_fifo",
            "notify_fifo_script",
            "vrrp_notify_fifo",
            "vrrp_notify_fifo_script",
            "lvs_notify_fifo",
            "lvs_notify_fifo_script",
            "snmp_socket",
            "dbus_service_name",
            "script_user",
            "vrrp_netlink_cmd_rcv_bufs",
            "vrrp_netlink_monitor_rcv_bufs",
            "lvs_netlink_cmd_rcv_bufs",
            "lvs_netlink_monitor_rcv_bufs",
            "process_monitor_rcv_bufs",
            "vrrp_rx_bufs_policy",
            "vrrp_rx_bufs_multiplier",
            "reload_time_file",
            "tmp_config_directory",
        ],
    ),
    ("SSL", &["password", "ca", "certificate", "key"]),
    ("virtual_server", &["virtualhost", "snmp_name"]),
    ("real_server", &["virtualhost", "snmp_name"]),
    ("HTTP_GET", &["virtualhost", "http_protocol"]),
    ("SSL_GET", &["virtualhost", "http_protocol"]),
    ("url", &["virtualhost"]),
    ("SMTP_CHECK", &["helo_name"]),
    ("UDP_CHECK", &["payload"]),
    ("MISC_CHECK", &["misc_path", "user"]),
    ("FILE_CHECK", &["weight"]),
    ("BFD_CHECK", &["name"]),
    ("vrrp_instance", &["kernel_rx_buf_size"]),
    ("vrrp_track_process", &["weight"]),
    ("track_file", &["file", "weight"]),
    ("vrrp_track_file", &["file", "weight"]),
];

/// Those of which it says nothing.
const SILENT: &[(&str, &[&str])] = &[
    ("global_defs", &["smtp_helo_name"]),
    ("vrrp_script", &["script"]),
    ("url", &["status_code", "regex", "regex_min_offset", "regex_max_offset", "regex_stack"]),
];

/// What a missing value is.
pub(crate) fn class(block: &str, keyword: &str) -> Class {
    let among = |all: &[(&str, &[&str])]| all.iter().any(|(b, words)| *b == block && words.contains(&keyword));
    if among(REPORTED) {
        Class::General
    } else if among(SILENT) {
        Class::Note
    } else {
        Class::MissingParameter
    }
}
