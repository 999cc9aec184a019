//! Words that a daemon takes over when it starts, and not at a reload.

use crate::Config;

fn text(v: Option<impl ToString>) -> Option<String> {
    v.map(|v| v.to_string())
}

fn yes(on: bool) -> Option<String> {
    on.then(|| "yes".to_string())
}

fn list(all: &[u32]) -> Option<String> {
    (!all.is_empty()).then(|| all.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

impl Config {
    /// The words of this kind that the file sets, and to what.
    pub fn fixed(&self) -> Vec<(&'static str, String)> {
        let (p, g) = (&self.process, &self.globals);
        let all = [
            ("net_namespace", p.net_namespace.clone()),
            ("net_namespace_ipvs", p.net_namespace_ipvs.clone()),
            ("instance", p.instance.clone()),
            ("use_pid_dir", yes(p.use_pid_dir)),
            ("umask", g.umask.map(|m| format!("0{m:o}"))),
            ("vrrp_priority", text(g.vrrp_priority)),
            ("vrrp_rt_priority", text(g.vrrp_rt_priority)),
            ("vrrp_no_swap", yes(g.vrrp_no_swap)),
            ("vrrp_cpu_affinity", list(&g.vrrp_cpu_affinity)),
            ("vrrp_rlimit_rttime", text(g.vrrp_rlimit_rttime)),
            ("checker_priority", text(g.checker_priority)),
            ("checker_rt_priority", text(g.checker_rt_priority)),
            ("checker_no_swap", yes(g.checker_no_swap)),
            ("checker_cpu_affinity", list(&g.checker_cpu_affinity)),
            ("checker_rlimit_rttime", text(g.checker_rlimit_rttime)),
            ("bfd_priority", text(g.bfd_priority)),
            ("bfd_rt_priority", text(g.bfd_rt_priority)),
            ("bfd_no_swap", yes(g.bfd_no_swap)),
            ("bfd_cpu_affinity", list(&g.bfd_cpu_affinity)),
            ("bfd_rlimit_rttime", text(g.bfd_rlimit_rttime)),
            ("vrrp_netlink_cmd_rcv_bufs", text(g.vrrp_command_buffer)),
            ("vrrp_netlink_cmd_rcv_bufs_force", text(g.vrrp_command_force)),
            ("vrrp_netlink_monitor_rcv_bufs", text(g.vrrp_monitor_buffer)),
            ("vrrp_netlink_monitor_rcv_bufs_force", text(g.vrrp_monitor_force)),
            ("lvs_netlink_cmd_rcv_bufs", text(g.lvs_command_buffer)),
            ("lvs_netlink_cmd_rcv_bufs_force", text(g.lvs_command_force)),
            ("lvs_netlink_monitor_rcv_bufs", text(g.lvs_monitor_buffer)),
            ("lvs_netlink_monitor_rcv_bufs_force", text(g.lvs_monitor_force)),
        ];
        all.into_iter().filter_map(|(word, value)| Some((word, value?))).collect()
    }
}
