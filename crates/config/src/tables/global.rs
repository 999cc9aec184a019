section! {
    /// global_defs.
    GlobalDefs, "global_defs" {
        /// Identifier in mail subjects.
        live "router_id" "STRING" "-" "host name" => router_id: Option<String> = None, |c, v| c.text(v);
        /// Mail recipients.
        live "notification_email" "{ ADDR ... }" "-" "none" => notification_email: Vec<String> = Vec::new(), |c, v| {
            let before = v.len();
            c.names(v);
            if v.len() == before {
                c.report(Class::General, "notification_email names nobody");
            }
        };
        /// Mail sender.
        live "notification_email_from" "ADDR" "-" "user@host" => notification_email_from: Option<String> = None, |c, v| c.text(v);
        /// Mail relay.
        live "smtp_server" "HOST [PORT]" "port 1-65535" "none / 25" => smtp_server: Option<(String, u16)> = None, |c, v| {
            let Some(host) = c.value() else { return };
            let port = match c.word(2) {
                Some(p) => match c.number(p, 1, 65535) {
                    Some(n) => u16::try_from(n).unwrap_or(25),
                    None => return,
                },
                None => 25,
            };
            if host.text.parse::<IpAddr>().is_err() && !c.host.resolves(&host.text) {
                // It is looked up again for each mail: a name server that is away for a moment is no reason for none.
                let text = format!("smtp_server '{}' has no address, the name does not exist now", host.text);
                c.report_at(Class::General, host, text);
            }
            *v = Some((host.text.to_string(), port));
        };
        /// Name said in HELO.
        live "smtp_helo_name" "NAME" "-" "host name" => smtp_helo_name: Option<String> = None, |c, v| c.text(v);
        /// Limit of the mail connection.
        live "smtp_connect_timeout" "SECS" "1-4294" "30" => smtp_connect_timeout: Option<u64> = None, |c, v| c.raised(v, 1, LONG);
        /// Mail on state changes everywhere.
        live "smtp_alert" "[BOOL]" "-" "unset" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// Mail on state changes of instances.
        live "smtp_alert_vrrp" "[BOOL]" "-" "unset" => smtp_alert_vrrp: Option<bool> = None, |c, v| c.boolean(v);
        /// No mail on FAULT.
        live "no_email_faults" "-" "-" "off" => no_email_faults: bool = false, |c, v| c.flag(v);
        /// Run before children start.
        live "startup_script" "SCRIPT [USER [GROUP]]" "-" "none" => startup_script: Option<Script> = None, |c, v| c.script(v);
        /// Limit of startup_script.
        live "startup_script_timeout" "SECS" "1-1000" "10" => startup_script_timeout: u64 = 10, |c, v| c.int(v, 1, 1000);
        /// Run after children stopped.
        live "shutdown_script" "SCRIPT [USER [GROUP]]" "-" "none" => shutdown_script: Option<Script> = None, |c, v| c.script(v);
        /// Limit of shutdown_script.
        live "shutdown_script_timeout" "SECS" "1-1000" "10" => shutdown_script_timeout: u64 = 10, |c, v| c.int(v, 1, 1000);
        /// Interfaces may be absent at start. steadfast always allows that; the word makes a note of the report on an instance's, and silences others.
        live "dynamic_interfaces" "[allow_if_changes]" "-" "off" => dynamic_interfaces: bool = false, |c, v| c.flag(v);
        /// Interface of static addresses that name none.
        live "default_interface" "IF" "existing" "eth0" => default_interface: Option<String> = None, |c, v| c.text(v);
        /// IPv4 group of adverts.
        live "vrrp_mcast_group4" "ADDR" "224.0.0.0/4" "224.0.0.18" => vrrp_mcast_group4: Option<IpAddr> = None, |c, v| multicast(c, v, Some(false));
        /// IPv6 group of adverts.
        live "vrrp_mcast_group6" "ADDR" "ff00::/8" "ff02::12" => vrrp_mcast_group6: Option<IpAddr> = None, |c, v| multicast(c, v, Some(true));
        /// Delay of the second burst of gratuitous ARPs.
        live "vrrp_garp_master_delay" "SECS" "0-4294" "5" => garp_master_delay: Option<u64> = None, |c, v| c.some_int(v, 0, LONG);
        /// Gratuitous ARPs in a burst.
        live "vrrp_garp_master_repeat" "N" ">=1" "5" => garp_master_repeat: Option<u32> = None, |c, v| c.at_least(v, 1);
        /// Period of refresh bursts; 0: none at all. Without this word, and without vrrp_min_garp, each address of a master is announced
        /// once in 5 s, at most 50 of a process in a second, for clients that a contention left with the loser's MAC address (steadfast's own).
        live "vrrp_garp_master_refresh" "SECS" "0-4294" "one announcement in 5" => garp_master_refresh: Option<u64> = None, |c, v| c.some_int(v, 0, LONG);
        /// Gratuitous ARPs in a refresh burst.
        live "vrrp_garp_master_refresh_repeat" "N" ">=1" "1" => garp_master_refresh_repeat: Option<u32> = None, |c, v| c.at_least(v, 1);
        /// Delay of the second burst after a lower-priority advert.
        live "vrrp_garp_lower_prio_delay" "SECS" "0-4294" "master delay" => garp_lower_prio_delay: Option<u64> = None, |c, v| c.some_int(v, 0, LONG);
        /// Gratuitous ARPs after a lower-priority advert.
        live "vrrp_garp_lower_prio_repeat" "N" "0-2147483647" "master repeat" => garp_lower_prio_repeat: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(i32::MAX));
        /// Gap between gratuitous ARPs of an interface.
        live "vrrp_garp_interval" "SECS" "0.000001-4294" "0" => garp_interval: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 4294.0);
        /// Gap between neighbour advertisements of an interface.
        live "vrrp_gna_interval" "SECS" "0.000001-4294" "0" => gna_interval: Option<Duration> = None, |c, v| c.seconds(v, 0.000_001, 4294.0);
        /// One gratuitous ARP, no second burst, no refresh repeats.
        live "vrrp_min_garp" "[BOOL]" "-" "off" => min_garp: Option<bool> = None, |c, v| c.boolean(v);
        /// Missed adverts before takeover.
        live "vrrp_down_timer_adverts" "N" "1-100" "3" => down_timer_adverts: Option<u8> = None, |c, v| c.some_int(v, 1, 100);
        /// Do not answer lower-priority adverts at once.
        live "vrrp_lower_prio_no_advert" "[BOOL]" "-" "off" => lower_prio_no_advert: Option<bool> = None, |c, v| c.boolean(v);
        /// Send one advert before backing off.
        live "vrrp_higher_prio_send_advert" "[BOOL]" "-" "off" => higher_prio_send_advert: Option<bool> = None, |c, v| c.boolean(v);
        /// Version of IPv4 instances that name none; one of IPv6 has 3 then.
        live "vrrp_version" "2|3" "2-3" "2" => vrrp_version: Option<u8> = None, |c, v| c.some_int(v, 2, 3);
        /// Accept unicast adverts from listed peers only; always so here.
        live "vrrp_check_unicast_src" "[BOOL]" "-" "on" => check_unicast_src: Option<bool> = None, |c, v| c.boolean(v);
        /// Do not check the address list of the known master.
        live "vrrp_skip_check_adv_addr" "[BOOL]" "-" "off" => skip_check_adv_addr: Option<bool> = None, |c, v| c.boolean(v);
        /// strict_mode for every instance that does not say otherwise: no unicast, no authentication, and virtual addresses that answer
        /// nothing.
        live "vrrp_strict" "[BOOL]" "-" "off" => strict: Option<bool> = None, |c, v| c.boolean(v);
        /// Nice value of the VRRP child.
        live "vrrp_priority" "N" "-20-19" "0" => vrrp_priority: Option<i32> = None, |c, v| c.some_int(v, -20, 19);
        /// Real-time priority of the VRRP child.
        live "vrrp_rt_priority" "N" "1-99" "off" => vrrp_rt_priority: Option<i32> = None, |c, v| realtime(c, v);
        /// Lock memory of the VRRP child.
        live "vrrp_no_swap" "-" "-" "off" => vrrp_no_swap: bool = false, |c, v| c.flag(v);
        /// CPUs of the VRRP child.
        live "vrrp_cpu_affinity" "CPU ..." "0-1023" "none" => vrrp_cpu_affinity: Vec<u32> = Vec::new(), |c, v| cpus(c, v);
        /// Real-time CPU limit of the VRRP child in microseconds.
        live "vrrp_rlimit_rttime" "USECS" ">=1" "10000" => vrrp_rlimit_rttime: Option<u64> = None, |c, v| c.at_least(v, 1);
        /// FIFO of all events.
        live "notify_fifo" "PATH [USER [GROUP]]" "-" "none" => notify_fifo: Option<Script> = None, |c, v| c.script(v);
        /// Reader of notify_fifo.
        live "notify_fifo_script" "SCRIPT [USER [GROUP]]" "-" "none" => notify_fifo_script: Option<Script> = None, |c, v| c.script(v);
        /// FIFO of VRRP events.
        live "vrrp_notify_fifo" "PATH [USER [GROUP]]" "-" "none" => vrrp_notify_fifo: Option<Script> = None, |c, v| c.script(v);
        /// Reader of vrrp_notify_fifo.
        live "vrrp_notify_fifo_script" "SCRIPT [USER [GROUP]]" "-" "none" => vrrp_notify_fifo_script: Option<Script> = None, |c, v| c.script(v);
        /// FIFO lines for priority changes too.
        live "vrrp_notify_priority_changes" "[BOOL]" "-" "off" => notify_priority_changes: Option<bool> = None, |c, v| c.boolean(v);
        /// All states again on reload.
        live "fifo_write_vrrp_states_on_reload" "-" "-" "off" => fifo_write_vrrp_states_on_reload: bool = false, |c, v| c.flag(v);
        /// Default account of scripts.
        live "script_user" "USER [GROUP]" "existing" "keepalived_script, else root" => script_user: Option<User> = None, |c, v| {
            if c.value().is_some() {
                *v = c.user(1).or(*v);
            }
        };
        /// Refuse root scripts that others could change.
        live "enable_script_security" "-" "-" "off" => enable_script_security: bool = false, |c, v| c.flag(v);
        /// With enable_script_security: programs that run as root are started by the very descriptor that was looked at, not by their path
        /// (steadfast's own). A script's $0 is /dev/fd/N then.
        live "scripts_by_descriptor" "[BOOL]" "-" "off" => scripts_by_descriptor: Option<bool> = None, |c, v| c.boolean(v);
        /// Hold all instances after start.
        live "vrrp_startup_delay" "SECS" "0.001-4294" "0" => startup_delay: Option<Duration> = None, |c, v| c.seconds(v, 0.001, 4294.0);
        /// Log adverts of unknown router ids.
        live "log_unknown_vrids" "-" "-" "off" => log_unknown_vrids: bool = false, |c, v| c.flag(v);
        /// Address owners drop adverts.
        live "vrrp_owner_ignore_adverts" "[BOOL]" "-" "off" => owner_ignore_adverts: Option<bool> = None, |c, v| c.boolean(v);
        /// Layout of the JSON dump.
        live "json_version" "1|2" "1-2" "1" => json_version: Option<u8> = None, |c, v| c.some_int(v, 1, 2);
        /// Name of the data dump. Of a daemon that was started as keepalived it is in /tmp, and TMPDIR names another folder.
        live "state_dump_file" "PATH" "-" "/run/keepalived/dumps/keepalived.data" => state_dump_file: Option<String> = None, |c, v| c.text(v);
        /// Name of the statistics dump; else beside the usual data dump.
        live "stats_dump_file" "PATH" "-" "/run/keepalived/dumps/keepalived.stats" => stats_dump_file: Option<String> = None, |c, v| c.text(v);
        /// Name of the JSON dump; else beside the usual data dump.
        live "json_dump_file" "PATH" "-" "/run/keepalived/dumps/keepalived.json" => json_dump_file: Option<String> = None, |c, v| c.text(v);
        /// Seed of ${_RANDOM}.
        live "random_seed" "N" "uint32" "time" => random_seed: Option<u64> = None, |c, v| c.some_int(v, 0, i64::from(u32::MAX));
        /// File creation mask.
        live "umask" "NUM" "0-0777" "inherited" => umask: Option<u32> = None, |c, v| {
            let Some(w) = c.value() else { return };
            let parsed = match w.text.as_str() {
                t if t.starts_with("0x") => u32::from_str_radix(t.get(2..).unwrap_or(""), 16).ok(),
                t if t.starts_with('0') => u32::from_str_radix(t, 8).ok(),
                t if t.starts_with('I') => mode_bits(t),
                t => t.parse().ok(),
            };
            match parsed.filter(|m| *m <= 0o777) {
                Some(m) => *v = Some(m),
                None => c.report_at(Class::General, w, format!("'{}' is not a file creation mask", w.text)),
            }
        };
        /// Test a new file before a reload, which is always so here; where the reports of it go.
        live "reload_check_config" "[LOGFILE]" "-" "on" => reload_check_config: Option<String> = None, |c, v| c.optional_text(v);
        /// Which include problems are errors.
        live "include_check" "[[+|-]read|match|wildcard_match|brace_match]..." "-" "none" => include_check: bool = false, |c, v| {
            *v = true;
            for w in c.words().iter().skip(1) {
                if !matches!(w.text.trim_start_matches(['+', '-']), "read" | "match" | "wildcard_match" | "brace_match") {
                    c.report_at(Class::General, w, format!("unknown include check '{}'", w.text));
                }
            }
        };
        /// Takeover at once from a master of lower priority, or one that says priority 0 (steadfast's own; on unless strict).
        live "vrrp_fast_takeover" "[BOOL]" "-" "on" => fast_takeover: Option<bool> = None, |c, v| c.boolean(v);
        /// IPVS connection sync daemon.
        live "lvs_sync_daemon" "IF [inst NAME] [id N] [maxlen N] [port N] [ttl N] [group ADDR]" "-" "none" => lvs_sync_daemon: Option<SyncDaemon> = None, |c, v| crate::lvs::sync_daemon(c, v);
        /// Mail on state changes of servers.
        live "smtp_alert_checker" "[BOOL]" "-" "smtp_alert" => smtp_alert_checker: Option<bool> = None, |c, v| c.boolean(v);
        /// Log every failed probe.
        live "checker_log_all_failures" "[BOOL]" "-" "off" => checker_log_all_failures: Option<bool> = None, |c, v| c.boolean(v);
        /// FIFO of LVS events.
        live "lvs_notify_fifo" "PATH [USER [GROUP]]" "-" "none" => lvs_notify_fifo: Option<Script> = None, |c, v| c.script(v);
        /// Reader of lvs_notify_fifo.
        live "lvs_notify_fifo_script" "SCRIPT [USER [GROUP]]" "-" "none" => lvs_notify_fifo_script: Option<Script> = None, |c, v| c.script(v);
        /// Mail of a server that comes or goes, and none of a check that changes while its server does not: it is so without the word.
        live "no_checker_emails" "[BOOL]" "-" "off" => no_checker_emails: Option<bool> = None, |c, v| c.boolean(v);
        /// Servers' first states run their notifiers.
        live "rs_init_notifies" "[BOOL]" "-" "off" => rs_init_notifies: Option<bool> = None, |c, v| c.boolean(v);
        /// nftables table for the traffic of virtual addresses.
        live "nftables" "[TABLE]" "name" "keepalived" => nftables: Option<String> = None, |c, v| c.optional_text(v);
        /// Hook priority of its chains.
        live "nftables_priority" "N" "int32" "-1" => nftables_priority: Option<i32> = None, |c, v| c.some_int(v, i64::from(i32::MIN), i64::from(i32::MAX));
        /// Stem of the names of virtual links.
        live "vmac_prefix" "STRING" "-" "vrrp" => vmac_prefix: Option<String> = None, |c, v| c.text(v);
        /// Nice value of the checker child.
        live "checker_priority" "N" "-20-19" "0" => checker_priority: Option<i32> = None, |c, v| c.some_int(v, -20, 19);
        /// Real-time priority of the checker child.
        live "checker_rt_priority" "N" "1-99" "off" => checker_rt_priority: Option<i32> = None, |c, v| realtime(c, v);
        /// Lock memory of the checker child.
        live "checker_no_swap" "-" "-" "off" => checker_no_swap: bool = false, |c, v| c.flag(v);
        /// CPUs of the checker child.
        live "checker_cpu_affinity" "CPU ..." "0-1023" "none" => checker_cpu_affinity: Vec<u32> = Vec::new(), |c, v| cpus(c, v);
        /// Real-time CPU limit of the checker child in microseconds.
        live "checker_rlimit_rttime" "USECS" ">=1" "10000" => checker_rlimit_rttime: Option<u64> = None, |c, v| c.at_least(v, 1);
        /// Nice value of the BFD child.
        live "bfd_priority" "N" "-20-19" "0" => bfd_priority: Option<i32> = None, |c, v| c.some_int(v, -20, 19);
        /// Real-time priority of the BFD child.
        live "bfd_rt_priority" "N" "1-99" "off" => bfd_rt_priority: Option<i32> = None, |c, v| realtime(c, v);
        /// Lock memory of the BFD child.
        live "bfd_no_swap" "-" "-" "off" => bfd_no_swap: bool = false, |c, v| c.flag(v);
        /// CPUs of the BFD child.
        live "bfd_cpu_affinity" "CPU ..." "0-1023" "none" => bfd_cpu_affinity: Vec<u32> = Vec::new(), |c, v| cpus(c, v);
        /// Real-time CPU limit of the BFD child in microseconds.
        live "bfd_rlimit_rttime" "USECS" ">=1" "10000" => bfd_rlimit_rttime: Option<u64> = None, |c, v| c.at_least(v, 1);
        /// Time limits of IPVS connections in seconds: TCP, TCP after FIN, UDP.
        live "lvs_timeouts" "[tcp N] [tcpfin N] [udp N]" "0-2678400" "unchanged" => lvs_timeouts: Option<[u32; 3]> = None, |c, v| crate::lvs::timeouts(c, v);
        /// Empty the kernel's IPVS table at start, whoever owns it.
        live "lvs_flush" "-" "-" "off" => lvs_flush: bool = false, |c, v| c.flag(v);
        /// Empty the whole IPVS table at a stop; VS: services of ours only, which is always so here.
        live "lvs_flush_on_stop" "[VS]" "-" "off" => lvs_flush_on_stop: Option<FlushOnStop> = None, |c, v| crate::lvs::flush_on_stop(c, v);
        /// Sets of link-local addresses and virtual links go by the number of the link instead of its name.
        live "nftables_ifindex" "-" "-" "off" => nftables_ifindex: bool = false, |c, v| c.flag(v);
        /// Start scripts by the path that is written, also through symbolic links.
        live "use_symlink_paths" "[BOOL]" "-" "off" => use_symlink_paths: Option<bool> = None, |c, v| c.boolean(v);
        /// One marked service for each address group, its addresses in a table of nftables.
        live "nftables_ipvs" "[TABLE]" "name" "keepalived_ipvs" => nftables_ipvs: Option<String> = None, |c, v| c.optional_text(v);
        /// Hook priority of its chains.
        live "nftables_ipvs_priority" "N" "int32" "-1" => nftables_ipvs_priority: Option<i32> = None, |c, v| c.some_int(v, i64::from(i32::MIN), i64::from(i32::MAX));
        /// First mark to use.
        live "nftables_ipvs_start_fwmark" "N" "1-4294967295" "1000" => nftables_ipvs_start_fwmark: Option<u32> = None, |c, v| c.some_int(v, 1, i64::from(u32::MAX));
        /// Beginning of the names of virtual links for addresses that are not on the instance's own.
        live "vmac_addr_prefix" "STRING" "-" "vmac_prefix" => vmac_addr_prefix: Option<String> = None, |c, v| c.text(v);
        /// No membership reports for 224.0.0.0/24 (igmp_link_local_mcast_reports).
        live "disable_local_igmp" "-" "-" "off" => disable_local_igmp: bool = false, |c, v| c.flag(v);
        /// Packets are counted by the rules of nftables.
        live "nftables_counters" "-" "-" "off" => nftables_counters: bool = false, |c, v| c.flag(v);
        /// Supplementary groups of a script's account, too.
        live "set_supplementary_groups" "[BOOL]" "-" "off" => supplementary_groups: Option<bool> = None, |c, v| c.boolean(v);
        /// Directory of the tables of names that iproute2 is shipped with.
        live "iproute_usr_dir" "DIR" "-" "/usr/share/iproute2, /usr/lib/iproute2" => iproute_usr_dir: Option<String> = None, |c, v| {
            c.text(v);
            c.tables.1.clone_from(v);
        };
        /// Directory of the tables of names of this host.
        live "iproute_etc_dir" "DIR" "-" "/etc/iproute2" => iproute_etc_dir: Option<String> = None, |c, v| {
            c.text(v);
            c.tables.0.clone_from(v);
        };
        /// A file whose first line is a time, `[[YY]YY-MM-DD ]HH:MM[:SS][Z]`, to reload at. It is removed then.
        live "reload_time_file" "PATH" "absolute" "none" => reload_time_file: Option<String> = None, |c, v| absolute(c, v);
        /// The file of reload_time_file stays, and a time without date means every day.
        live "reload_repeat" "-" "-" "off" => reload_repeat: bool = false, |c, v| c.flag(v);
        /// A file that is there, and empty, while the configuration is being read.
        live "reload_file" "[PATH]" "absolute" "off; keepalived.reload beside the pid file" => reload_file: Option<String> = None, |c, v| {
            if c.word(1).is_some() { absolute(c, v) } else { *v = Some(String::new()) }
        };
        /// Where each configuration that is read, and the state before and after each reload, are saved.
        live "config_save_dir" "DIR" "-" "none" => config_save_dir: Option<String> = None, |c, v| c.text(v);
        /// Namespace and instance are in the names of data dumps.
        live "data_use_instance" "[BOOL]" "-" "off" => data_use_instance: Option<bool> = None, |c, v| c.boolean(v);
        /// Where keepalived keeps a copy of the configuration; here it goes from process to process by pipes.
        live "tmp_config_directory" "DIR" "-" "none" => tmp_config_directory: Option<String> = None, |c, v| c.text(v);
        /// Receive buffer of the VRRP child's netlink socket for requests, in bytes.
        live "vrrp_netlink_cmd_rcv_bufs" "BYTES" "uint32" "1 MiB" => vrrp_command_buffer: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(u32::MAX));
        /// Beyond the system's limit.
        live "vrrp_netlink_cmd_rcv_bufs_force" "[BOOL]" "-" "off" => vrrp_command_force: Option<bool> = None, |c, v| c.boolean(v);
        /// Receive buffer of the checker child's netlink socket for requests.
        live "lvs_netlink_cmd_rcv_bufs" "BYTES" "uint32" "the system's" => lvs_command_buffer: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(u32::MAX));
        /// Beyond the system's limit.
        live "lvs_netlink_cmd_rcv_bufs_force" "[BOOL]" "-" "off" => lvs_command_force: Option<bool> = None, |c, v| c.boolean(v);
        /// Beyond the system's limit.
        live "vrrp_netlink_monitor_rcv_bufs_force" "[BOOL]" "-" "off" => vrrp_monitor_force: Option<bool> = None, |c, v| c.boolean(v);
        /// Beyond the system's limit.
        live "lvs_netlink_monitor_rcv_bufs_force" "[BOOL]" "-" "off" => lvs_monitor_force: Option<bool> = None, |c, v| c.boolean(v);
        /// Receive buffer of the socket that tells of processes.
        live "process_monitor_rcv_bufs" "BYTES" "uint32" "the system's" => process_buffer: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(u32::MAX));
        /// Beyond the system's limit.
        live "process_monitor_rcv_bufs_force" "[BOOL]" "-" "off" => process_force: Option<bool> = None, |c, v| c.boolean(v);
        /// Packets that vrrp_rx_bufs_policy makes room for, for each instance of a socket.
        live "vrrp_rx_bufs_multiplier" "N" ">=1" "3" => receive_multiplier: Option<u32> = None, |c, v| c.at_least(v, 1);
        /// Lateness that raises the real-time priority.
        live "min_auto_priority_delay" "USECS" "1-10000000" "1000000" => auto_priority_delay: Option<u32> = None, |c, v| c.some_int(v, 1, 10_000_000);
        /// Instances are held back until the system has been up for so long.
        live "vrrp_delay_after_boot" "SECS" "0.001-4294" "0" => delay_after_boot: Option<Duration> = None, |c, v| c.seconds(v, 0.001, 4294.0);
        /// Receive buffer of the VRRP child's netlink socket for changes.
        live "vrrp_netlink_monitor_rcv_bufs" "BYTES" "uint32" "4 MiB" => vrrp_monitor_buffer: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(u32::MAX));
        /// Receive buffer of the checker child's netlink socket for changes, in bytes.
        live "lvs_netlink_monitor_rcv_bufs" "BYTES" "uint32" "1 MiB" => lvs_monitor_buffer: Option<u32> = None, |c, v| c.some_int(v, 0, i64::from(u32::MAX));
        /// Log lines go to journald with fields: instance, router id, states, reason, and a message id for each kind of event
        /// (steadfast's own).
        live "log_structured" "[BOOL]" "-" "off" => log_structured: Option<bool> = None, |c, v| c.boolean(v);
        /// The kernel drops virtual addresses that nobody has refreshed for so long: for the case that everything of ours is dead or
        /// frozen (steadfast's own).
        live "vrrp_address_lease" "SECS" "3-3600" "off" => address_lease: Option<u32> = None, |c, v| c.some_int(v, 3, 3600);
        /// Socket of the AgentX master.
        live "snmp_socket" "SPEC" "unix:PATH, PATH, tcp:HOST:PORT, HOST:PORT, PORT" "unix:/var/agentx/master" => snmp_socket: Option<String> = None, |c, v| c.text(v);
        /// SNMP notifications.
        live "enable_traps" "-" "-" "off" => snmp_traps: bool = false, |c, v| c.flag(v);
        /// KEEPALIVED-MIB, VRRP part.
        live "enable_snmp_vrrp" "-" "-" "off" => snmp_vrrp: bool = false, |c, v| c.flag(v);
        /// KEEPALIVED-MIB, checker part.
        live "enable_snmp_checker" "-" "-" "off" => snmp_checker: bool = false, |c, v| c.flag(v);
        /// The MIB of RFC 2787.
        live "enable_snmp_rfcv2" "-" "-" "off" => snmp_rfcv2: bool = false, |c, v| c.flag(v);
        /// The MIB of RFC 6527.
        live "enable_snmp_rfcv3" "-" "-" "off" => snmp_rfcv3: bool = false, |c, v| c.flag(v);
        /// Age of what SNMP says of the traffic of virtual servers.
        live "snmp_vs_stats_update_interval" "SECS" "0.001-30" "5" => snmp_vs_interval: Option<Duration> = None, |c, v| c.seconds(v, 0.001, 30.0);
        /// Age of what SNMP says of the traffic of real servers.
        live "snmp_rs_stats_update_interval" "SECS" "0.001-30" "with the virtual servers" => snmp_rs_interval: Option<Duration> = None, |c, v| c.seconds(v, 0.001, 30.0);
        /// Serve on until the successor is heard (steadfast's own; on unless strict).
        live "vrrp_soft_release" "[BOOL]" "-" "on" => soft_release: Option<bool> = None, |c, v| c.boolean(v);
        /// The instances on the system's D-Bus.
        live "enable_dbus" "-" "-" "off" => enable_dbus: bool = false, |c, v| c.flag(v);
        /// Name on the bus.
        live "dbus_service_name" "NAME" "a bus name" "org.keepalived.Vrrp1" => dbus_service_name: Option<String> = None, |c, v| bus_name(c, v);
        /// Stands for the interface in the paths of instances without one.
        live "dbus_no_interface_name" "NAME" "-" "none" => dbus_no_interface_name: Option<String> = None, |c, v| c.text(v);
    }
    also {
        /// Older spelling of vrrp_rlimit_rttime.
        live "vrrp_rlimit_rtime" "USECS" ">=1" "-" => |c, s| {
            older(c, "vrrp_rlimit_rttime");
            c.at_least(&mut s.vrrp_rlimit_rttime, 1);
        };
        /// Older spelling of checker_rlimit_rttime.
        live "checker_rlimit_rtime" "USECS" ">=1" "-" => |c, s| {
            older(c, "checker_rlimit_rttime");
            c.at_least(&mut s.checker_rlimit_rttime, 1);
        };
        /// Older spelling of bfd_rlimit_rttime.
        live "bfd_rlimit_rtime" "USECS" ">=1" "-" => |c, s| {
            older(c, "bfd_rlimit_rttime");
            c.at_least(&mut s.bfd_rlimit_rttime, 1);
        };
        /// Older spelling of lvs_flush_on_stop.
        live "lvs_flush_onstop" "[VS]" "-" "off" => |c, s| {
            older(c, "lvs_flush_on_stop");
            crate::lvs::flush_on_stop(c, &mut s.lvs_flush_on_stop);
        };
        /// iptables chains. The work is done by nftables, as keepalived does where iptables is its front end.
        live "vrrp_iptables" "[IN [OUT]]" "names" "-" => |c, s| s.vrrp_iptables = true;
        /// Names of ipsets. Sets of nftables take their place.
        live "vrrp_ipsets" "[SET4 [SET6 ...]]" "names" "-" => |c, s| {};
        /// Real-time priority ceiling.
        live "max_auto_priority" "[PRIO]" "-1-99" "0; without a value 99" => |c, s| {
            let mut priority = 99;
            if c.word(1).is_some() {
                priority = 0;
                c.int(&mut priority, -1, 99);
            }
            s.auto_priority = priority;
        };
        /// Distinct names of the children.
        live "process_names" "-" "-" "off" => |c, s| s.process_names = true;
        /// Name of the parent in lists of processes.
        live "process_name" "[NAME]" "15 characters" "keepalived" => |c, s| process_name(c, &mut s.names[0]);
        /// Name of the VRRP child.
        live "vrrp_process_name" "[NAME]" "15 characters" "process_name" => |c, s| process_name(c, &mut s.names[1]);
        /// Name of the checker child.
        live "checker_process_name" "[NAME]" "15 characters" "process_name" => |c, s| process_name(c, &mut s.names[2]);
        /// Name of the BFD child.
        live "bfd_process_name" "[NAME]" "15 characters" "process_name" => |c, s| process_name(c, &mut s.names[3]);
        /// Older spelling of checker_process_name.
        live "lvs_process_name" "[NAME]" "15 characters" "-" => |c, s| {
            c.report(Class::Deprecated, "lvs_process_name is deprecated, use checker_process_name");
            process_name(c, &mut s.names[2]);
        };
        /// Announcements on links that adverts do not leave by.
        live "vrrp_garp_extra_if" "[all] SECS" "1-86400" "off" => |c, s| extra_if(c, &mut s.garp_extra, 1);
        /// Older spelling of vrrp_garp_extra_if.
        live "vrrp_vmac_garp_intvl" "[all] SECS" "1-86400" "off" => |c, s| {
            c.report(Class::Deprecated, "vrrp_vmac_garp_intvl is deprecated, use vrrp_garp_extra_if");
            extra_if(c, &mut s.garp_extra, 1);
        };
        /// Receive buffer of advert sockets: for so many packets of the link's size, of the advert's size, or so many bytes.
        live "vrrp_rx_bufs_policy" "MTU|ADVERT|BYTES" "1-2147483647" "the system's" => |c, s| {
            let Some(w) = c.value() else { return };
            s.receive_policy = match w.text.as_str() {
                "MTU" => Some(ReceivePolicy::Mtu),
                "ADVERT" => Some(ReceivePolicy::Advert),
                _ => c.number(w, 1, i64::from(i32::MAX)).and_then(|n| u32::try_from(n).ok()).map(ReceivePolicy::Bytes),
            };
        };
        /// Older spelling of enable_snmp_vrrp.
        live "enable_snmp_keepalived" "-" "-" "off" => |c, s| {
            c.report(Class::Deprecated, "enable_snmp_keepalived is deprecated, use enable_snmp_vrrp");
            s.snmp_vrrp = true;
        };
        /// The MIBs of RFC 2787 and RFC 6527.
        live "enable_snmp_rfc" "-" "-" "off" => |c, s| {
            s.snmp_rfcv2 = true;
            s.snmp_rfcv3 = true;
        };
    }
    plain {
        /// Seen words of global_defs that have no field; for dumps.
        extra: Vec<String>;
        /// iptables was asked for.
        vrrp_iptables: bool;
        /// max_auto_priority: 0 and less turn it off.
        auto_priority: i32;
        /// process_names.
        process_names: bool;
        /// Names of parent, VRRP child, checker child; an empty one is the default.
        names: [Option<String>; 4];
        /// vrrp_garp_extra_if: period in seconds, on all links.
        garp_extra: Option<(u32, bool)>;
        /// vrrp_rx_bufs_policy.
        receive_policy: Option<ReceivePolicy>;
    }
}

/// A path from the root.
fn absolute(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    if w.text.starts_with('/') {
        *v = Some(w.text.to_string());
    } else {
        c.report_at(Class::General, w, format!("'{}' is not an absolute path, ignoring it", w.text));
    }
}

/// A name on D-Bus, as its specification has it (section "Bus names"): elements with dots between them, none of which begins with a digit.
fn bus_name(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    let good = |e: &str| {
        let first = e.chars().next();
        first.is_some_and(|f| !f.is_ascii_digit()) && e.chars().all(|x| x.is_ascii_alphanumeric() || "_-".contains(x))
    };
    if w.text.len() <= 255 && w.text.contains('.') && w.text.split('.').all(good) {
        *v = Some(w.text.to_string());
    } else {
        c.report_at(Class::General, w, format!("'{}' is no name for D-Bus, ignoring it", w.text));
    }
}

/// `[NAME]` of a process.
fn process_name(c: &mut Cx<'_>, v: &mut Option<String>) {
    let name = c.word(1).map(|w| w.text.to_string()).unwrap_or_default();
    if name.chars().count() > 15 || name.chars().any(|ch| ch.is_control() || ch.is_whitespace()) {
        c.report(Class::General, format!("'{name}' is not a process name of at most 15 visible characters, ignoring it"));
        return;
    }
    *v = Some(name);
}

/// `[all] SECS`.
fn extra_if(c: &mut Cx<'_>, v: &mut Option<(u32, bool)>, least: i64) {
    let all = c.word(1).is_some_and(|w| w.text == "all");
    let Some(w) = c.word(1 + usize::from(all)) else {
        c.report(Class::General, "a number of seconds is missing");
        return;
    };
    if let Some(n) = c.number(w, least, 86400) {
        *v = u32::try_from(n).ok().map(|n| (n, all));
    }
}

/// A priority of SCHED_RR.
fn realtime(c: &mut Cx<'_>, v: &mut Option<i32>) {
    let Some(w) = c.value() else { return };
    let Some(n) = c.number(w, 0, i64::from(u32::MAX)) else { return };
    if !(1..=99).contains(&n) {
        c.report_at(Class::General, w, format!("{}{n} is not between 1 and 99, using {}", c.named(), n.clamp(1, 99)));
    }
    *v = i32::try_from(n.clamp(1, 99)).ok();
}

/// Numbers of CPUs.
fn cpus(c: &mut Cx<'_>, v: &mut Vec<u32>) {
    if c.value().is_some() {
        for w in c.words().iter().skip(1) {
            v.extend(c.number(w, 0, 1023).and_then(|n| u32::try_from(n).ok()));
        }
    }
}

/// `IRUSR|IWUSR…`.
fn mode_bits(text: &str) -> Option<u32> {
    text.split('|').try_fold(0, |mask, bit| {
        let bit = match bit.trim() {
            "IRUSR" => 0o400,
            "IWUSR" => 0o200,
            "IXUSR" => 0o100,
            "IRWXU" => 0o700,
            "IRGRP" => 0o040,
            "IWGRP" => 0o020,
            "IXGRP" => 0o010,
            "IRWXG" => 0o070,
            "IROTH" => 0o004,
            "IWOTH" => 0o002,
            "IXOTH" => 0o001,
            "IRWXO" => 0o007,
            _ => return None,
        };
        Some(mask | bit)
    })
}

/// Notes an older spelling; keepalived's test says nothing of it.
fn older(c: &mut Cx<'_>, newer: &str) {
    let text = format!("{}is an older spelling of {newer}", c.named().replace(": ", " "));
    c.report(Class::Note, text);
}
