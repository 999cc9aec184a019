//! What the data dump shows beside the snapshot.

use super::dump::address;
use super::plan::{Command, Plan, Probe};
use std::collections::HashMap;
use std::time::Duration;
use steadfast_config::Config;
use steadfast_config::model::{Script, Track as Entry};
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{State, Time};
use steadfast_net::netlink::Mirror;
use steadfast_status::{
    Details, FileDetails, GroupDetails, InstanceDetails, InterfaceDetails, ScriptDetails, SessionDetails,
};
use steadfast_vrrp::{Router, Tracked, View};

/// What the configuration alone tells, kept from its reading.
#[derive(Default)]
pub struct Told {
    /// Static addresses, routes and rules.
    addresses: Vec<Address>,
    routes: Vec<String>,
    rules: Vec<String>,
    /// Weight of each file and each BFD session, and whether it is reversed.
    files: HashMap<String, (i32, bool)>,
    sessions: HashMap<String, (i32, bool)>,
    /// Of each script: reversed, and bad until it has reported.
    scripts: HashMap<String, (bool, bool)>,
    groups: Vec<GroupDetails>,
    /// Of each link: delays of a change in microseconds, up and down.
    delays: HashMap<String, [u128; 2]>,
}

impl Told {
    /// Of a configuration.
    pub fn new(c: &Config) -> Told {
        let (mut addresses, mut routes, mut rules) = (Vec::new(), Vec::new(), Vec::new());
        for (object, _) in &c.statics {
            match object {
                Object::Address(a) => addresses.push(a.clone()),
                Object::Route(r) => routes.push(r.line().to_string()),
                Object::Rule(r) => rules.push(r.line().to_string()),
                Object::Link(_) | Object::Block(_) => {}
            }
        }
        let default_mail = c.globals.smtp_alert_vrrp.or(c.globals.smtp_alert).unwrap_or(false);
        let groups = c.groups.iter().map(|g| GroupDetails {
            name: g.name.clone(),
            members: g.group.clone().unwrap_or_default(),
            tracking_weight: g.sync_group_tracking_weight,
            mail: g.smtp_alert.unwrap_or(default_mail),
            tracked: [
                ("Tracked interfaces", &g.track_interface, ""),
                ("Tracked scripts", &g.track_script, ""),
                ("Tracked files", &g.track_file, ","),
                ("Tracked processes", &g.track_process, ","),
                ("Tracked BFDs", &g.track_bfd, ","),
                ("Tracked virtual servers", &g.track_service, ""),
            ]
            .into_iter()
            .map(|(heading, entries, comma)| (heading, entries.iter().map(|e| entry(e, comma)).collect()))
            .collect(),
            ..Default::default()
        });
        Told {
            addresses,
            routes,
            rules,
            files: c.files.iter().map(|f| (f.name.clone(), f.weight)).collect(),
            sessions: c.bfd.iter().map(|b| (b.name.clone(), b.weight)).collect(),
            scripts: c.scripts.iter().map(|s| (s.name.clone(), (s.weight.1, s.init_fail))).collect(),
            groups: groups.collect(),
            delays: (c.link_delays.iter())
                .map(|(link, down, up)| (link.clone(), [up.as_micros(), down.as_micros()]))
                .collect(),
        }
    }
}

fn entry(e: &Entry, comma: &str) -> String {
    let weight = e.weight.map(|w| format!("{comma} weight {w}")).unwrap_or_default();
    format!("{}{weight}{}", e.name, if e.reverse == Some(true) { " reverse" } else { "" })
}

/// Rows of the global definitions, but for the router's id.
pub fn globals(c: &Config) -> Vec<String> {
    let g = &c.globals;
    let mut rows = Vec::new();
    let mut row = |key: &str, value: &dyn std::fmt::Display| rows.push(format!("{key} = {value}"));
    let or = |text: &Option<String>, other: &str| text.clone().filter(|t| !t.is_empty()).unwrap_or(other.into());
    let three = |v: Option<bool>| v.map_or("unset", |on| if on { "on" } else { "off" });
    let seconds = |d: Option<Duration>| format!("{:.6}", d.unwrap_or_default().as_secs_f64());
    row("Network namespace", &or(&c.process.net_namespace, "(default)"));
    row("Network namespace ipvs", &or(&c.process.net_namespace_ipvs, "(main namespace)"));
    if let Some(name) = &c.process.instance {
        row("Instance name", name);
    }
    if let Some((server, port)) = &g.smtp_server {
        row("Smtp server", server);
        row("Smtp server port", port);
    }
    if let Some(name) = &g.smtp_helo_name {
        row("Smtp HELO name", name);
    }
    row("Smtp server connection timeout", &g.smtp_connect_timeout.unwrap_or(30));
    if let Some(from) = &g.notification_email_from {
        row("Email notification from", from);
    }
    if !g.notification_email.is_empty() {
        rows.push(format!("Email notification to:\n   {}", g.notification_email.join("\n   ")));
    }
    let mut row = |key: &str, value: &dyn std::fmt::Display| rows.push(format!("{key} = {value}"));
    row("Default smtp_alert", &three(g.smtp_alert));
    row("Default smtp_alert_vrrp", &three(g.smtp_alert_vrrp));
    row("Default smtp_alert_checker", &three(g.smtp_alert_checker));
    row("Checkers log all failures", &g.checker_log_all_failures.unwrap_or(false));
    if let Some(file) = &g.reload_check_config {
        row("Test config before reload", file);
    }
    row("Dynamic interfaces", &g.dynamic_interfaces);
    row("Default interface", &or(&g.default_interface, "eth0"));
    row("Disable local IGMP", &if g.disable_local_igmp { "yes" } else { "no" });
    for (kind, seconds) in ["TCP", "TCP FIN", "UDP"].iter().zip(g.lvs_timeouts.unwrap_or_default()) {
        if seconds > 0 {
            row(&format!("LVS {kind} timeout"), &seconds);
        }
    }
    if let Some(d) = &g.lvs_sync_daemon {
        row("LVS syncd interface", &d.interface);
        if let Some(instance) = &d.instance {
            row("LVS syncd vrrp instance", instance);
        }
        row("LVS syncd syncid", &d.id.unwrap_or(0));
        row("LVS syncd maxlen", &d.maxlen.unwrap_or(0));
        row("LVS syncd mcast port", &d.port.unwrap_or(0));
        row("LVS syncd mcast ttl", &d.ttl.unwrap_or(0));
    }
    let mut fifo = |key: &str, path: &Option<Script>, reader: &Option<Script>| {
        for (key, s) in [(format!("{key} fifo"), path), (format!("{key} fifo script"), reader)] {
            let Some(s) = s else { continue };
            let user =
                s.user.or_else(|| crate::programs::account(g)).map_or("0:0".into(), |u| format!("{}:{}", u.uid, u.gid));
            row(&key, &format_args!("{}, uid:gid {user}", s.text));
        }
    };
    fifo("Global notify", &g.notify_fifo, &g.notify_fifo_script);
    fifo("VRRP notify", &g.vrrp_notify_fifo, &g.vrrp_notify_fifo_script);
    fifo("LVS notify", &g.lvs_notify_fifo, &g.lvs_notify_fifo_script);
    row("LVS flush", &g.lvs_flush);
    row("LVS flush on stop", &if g.lvs_flush_on_stop.is_some() { "enabled" } else { "disabled" });
    row("FIFO write vrrp states on reload", &g.fifo_write_vrrp_states_on_reload);
    row("VRRP notify priority changes", &g.notify_priority_changes.unwrap_or(false));
    let or_text = |a: Option<std::net::IpAddr>, other: &str| a.map_or(other.to_string(), |a| a.to_string());
    row("VRRP IPv4 mcast group", &or_text(g.vrrp_mcast_group4, "224.0.0.18"));
    row("VRRP IPv6 mcast group", &or_text(g.vrrp_mcast_group6, "ff02::12"));
    let minimal = g.min_garp.unwrap_or(false);
    let delay = g.garp_master_delay.unwrap_or(if minimal { 0 } else { 5 });
    let repeat = g.garp_master_repeat.unwrap_or(if minimal { 1 } else { 5 });
    row("Gratuitous ARP delay", &delay);
    row("Gratuitous ARP repeat", &repeat);
    row("Gratuitous ARP refresh timer", &g.garp_master_refresh.unwrap_or(0));
    row("Gratuitous ARP refresh repeat", &g.garp_master_refresh_repeat.unwrap_or(1));
    row("Gratuitous ARP lower priority delay", &g.garp_lower_prio_delay.unwrap_or(delay));
    row("Gratuitous ARP lower priority repeat", &g.garp_lower_prio_repeat.unwrap_or(repeat));
    row("Num adverts before down", &g.down_timer_adverts.unwrap_or(3));
    row("Gratuitous ARP for each secondary VMAC", &format_args!("{}s", g.garp_extra.map_or(0, |e| e.0)));
    row("Send advert after receive lower priority advert", &!g.lower_prio_no_advert.unwrap_or(false));
    row("Send advert after receive higher priority advert", &g.higher_prio_send_advert.unwrap_or(false));
    row("Gratuitous ARP interval", &seconds(g.garp_interval));
    row("Gratuitous NA interval", &seconds(g.gna_interval));
    row("VRRP default protocol version", &g.vrrp_version.unwrap_or(2));
    row("nftables table name", &or(&g.nftables, "keepalived"));
    row("nftables base chain priority", &g.nftables_priority.unwrap_or(-1));
    row("VRRP check unicast_src", &g.check_unicast_src.unwrap_or(true));
    row("VRRP skip check advert addresses", &g.skip_check_adv_addr.unwrap_or(false));
    row("VRRP strict mode", &g.strict.unwrap_or(false));
    row("Max auto priority", &g.auto_priority);
    row("Min auto priority delay", &format_args!("{} usecs", g.auto_priority_delay.unwrap_or(1_000_000)));
    for (name, nice, no_swap, realtime, limit) in [
        ("VRRP", g.vrrp_priority, g.vrrp_no_swap, g.vrrp_rt_priority, g.vrrp_rlimit_rttime),
        ("Checker", g.checker_priority, g.checker_no_swap, g.checker_rt_priority, g.checker_rlimit_rttime),
        ("BFD", g.bfd_priority, g.bfd_no_swap, g.bfd_rt_priority, g.bfd_rlimit_rttime),
    ] {
        row(&format!("{name} process priority"), &nice.unwrap_or(0));
        row(&format!("{name} don't swap"), &no_swap);
        row(&format!("{name} realtime priority"), &realtime.unwrap_or(0));
        row(&format!("{name} realtime limit"), &limit.unwrap_or(10_000));
    }
    row("SNMP socket", &or(&g.snmp_socket, "default (unix:/var/agentx/master)"));
    row("DBus service name", &or(&g.dbus_service_name, ""));
    if let Some(u) = crate::programs::account(g) {
        rows.push(format!("Default script uid:gid {}:{}", u.uid, u.gid));
    }
    let mut row = |key: &str, value: &dyn std::fmt::Display| rows.push(format!("{key} = {value}"));
    for (key, bytes, force) in [
        ("vrrp_netlink_cmd_rcv_bufs", g.vrrp_command_buffer, g.vrrp_command_force),
        ("vrrp_netlink_monitor_rcv_bufs", g.vrrp_monitor_buffer, g.vrrp_monitor_force),
        ("process_monitor_rcv_bufs", g.process_buffer, g.process_force),
        ("lvs_netlink_cmd_rcv_bufs", g.lvs_command_buffer, g.lvs_command_force),
        ("lvs_netlink_monitor_rcv_bufs", g.lvs_monitor_buffer, g.lvs_monitor_force),
    ] {
        row(key, &bytes.unwrap_or(0));
        row(&format!("{key}_force"), &u8::from(force == Some(true)));
    }
    row("rs_init_notifies", &u8::from(g.rs_init_notifies.unwrap_or(false)));
    row("no_checker_emails", &u8::from(g.no_checker_emails.unwrap_or(false)));
    row("rx_bufs_multiples", &g.receive_multiplier.unwrap_or(3));
    row("umask", &format_args!("0{:o}", g.umask.unwrap_or(0o177)));
    if let Some(delay) = g.startup_delay {
        row("vrrp_startup_delay", &delay.as_secs_f64());
    }
    rows.extend(g.lvs_sync_daemon.iter().filter_map(|d| d.group).map(|group| format!("LVS mcast group {group}")));
    rows.extend(
        [
            ("SNMP vrrp", "abled", g.snmp_vrrp),
            ("SNMP checker", "abled", g.snmp_checker),
            ("SNMP RFCv2", "abled", g.snmp_rfcv2),
            ("SNMP RFCv3", "abled", g.snmp_rfcv3),
            ("SNMP traps", "abled", g.snmp_traps),
            ("DBus", "abled", g.enable_dbus),
            ("Script security", "abled", g.enable_script_security),
        ]
        .map(|(what, end, on)| format!("{what} {}{end}", if on { "en" } else { "dis" })),
    );
    rows
}

fn account(c: &Command) -> String {
    let (uid, gid) = c.user.unwrap_or((0, 0));
    format!("{uid}:{gid}")
}

fn reversed(on: bool) -> &'static str {
    if on { " reverse" } else { "" }
}

/// Everything.
pub fn details(router: &Router, plan: &Plan, told: &Told, mirror: &Mirror, now: Time, wall: f64) -> Details {
    let mut users: HashMap<Tracked, Vec<String>> = HashMap::new();
    let mut links: HashMap<String, Vec<String>> = HashMap::new();
    let group_of: HashMap<&str, &str> =
        told.groups.iter().flat_map(|g| g.members.iter().map(|m| (m.as_str(), g.name.as_str()))).collect();
    let mut members: HashMap<&str, (usize, usize)> = HashMap::new();
    let mut instances = Vec::new();
    for (v, next) in router.views().zip(router.dues()) {
        let c = v.config;
        let group = group_of.get(c.name.as_str()).copied();
        if let Some(group) = group {
            let (faults, pending) = members.entry(group).or_default();
            *faults += usize::from(v.state == State::Fault);
            *pending += usize::from(v.state == State::Init);
        }
        links.entry(c.interface.to_string()).or_default().push(format!("{}, weight 0", c.name));
        links.extend(c.virtual_link.clone().filter(|l| !links.contains_key(l)).map(|l| (l, Vec::new())));
        if let Some(list) = c.virtual_link.as_ref().and_then(|l| links.get_mut(l)) {
            list.push(format!("{}, weight 0", c.name));
        }
        for t in &c.tracks {
            let line = format!("{}, weight {}{}", c.name, t.weight, reversed(t.reverse));
            match &t.what {
                Tracked::Interface(link) => links.entry(link.clone()).or_default().push(line),
                what => users.entry(what.clone()).or_default().push(line),
            }
        }
        let next = next.map(|t| wall + t.since(now).as_secs_f64());
        instances.push(InstanceDetails { next, ..instance(router, plan, &v, group, mirror) });
    }
    let of = |what: Tracked| users.get(&what).cloned().unwrap_or_default();
    let states: HashMap<String, State> = router.group_states().into_iter().collect();
    let groups = told.groups.iter().map(|g| {
        let (faults, pending) = members.get(g.name.as_str()).copied().unwrap_or_default();
        let notify = plan.groups.get(&g.name);
        let shown = |s: &Command| format!("{}, uid:gid {}", s.quoted(), account(s));
        let specific = super::dump::SCRIPTS.iter().filter_map(|(key, word)| {
            let script = notify?.scripts.get(word)?;
            Some((*key, shown(script)))
        });
        let generic = notify.and_then(|n| n.generic.as_ref()).map(|s| ("script", shown(s)));
        let state = states.get(&g.name).copied().unwrap_or_default();
        let scripts = specific.chain(generic).collect();
        GroupDetails { faults, pending, state: state.to_string(), scripts, ..g.clone() }
    });
    let scripts = plan.machine.scripts.iter().map(|s| {
        let (reverse, init_fail) = told.scripts.get(&s.name).copied().unwrap_or_default();
        let account = match plan.probes.get(&s.name) {
            Some(Probe::Program(c)) => account(c),
            _ => "0:0".into(),
        };
        ScriptDetails { reverse, init_fail, account, users: of(Tracked::Script(s.name.clone())) }
    });
    let values: HashMap<&str, i64> = router.file_states().collect();
    let files = plan.files.iter().map(|f| {
        let (weight, reverse) = told.files.get(&f.name).copied().unwrap_or_default();
        FileDetails {
            name: f.name.clone(),
            path: f.path.display().to_string(),
            value: values.get(f.name.as_str()).copied().unwrap_or(0),
            weight,
            reverse,
            users: of(Tracked::File(f.name.clone())),
        }
    });
    let sessions = router.session_states().map(|(name, up)| {
        let (weight, reverse) = told.sessions.get(name).copied().unwrap_or_default();
        SessionDetails { name: name.to_string(), weight, reverse, up, users: of(Tracked::Session(name.to_string())) }
    });
    let interfaces = mirror.links().map(|l| {
        let text = |six: bool| {
            let own = l.addresses.iter().filter(|a| a.address.is_ipv6() == six);
            own.map(|a| a.address.to_string()).collect()
        };
        let made = plan.virtual_links.get(&l.name);
        let below = made.map(|v| v.base.clone()).or_else(|| {
            let parent = l.parent.filter(|_| l.is_virtual)?;
            Some(mirror.by_index(parent)?.name.clone())
        });
        let vrf = l.master.and_then(|m| mirror.by_index(m)).filter(|m| m.vrf_table.is_some());
        InterfaceDetails {
            name: l.name.clone(),
            index: l.index,
            ipv4: text(false),
            ipv6: text(true),
            mac: l.mac.0,
            up: l.up,
            mtu: l.mtu,
            debounce: told.delays.get(&l.name).copied().unwrap_or_default(),
            below: below.map(|b| (b, made.is_some())),
            vrf: vrf.map(|m| m.name.clone()),
            users: links.get(&l.name).cloned().unwrap_or_default(),
        }
    });
    let fixed = |a: &Address| {
        let there = mirror.by_name(&a.interface).is_some_and(|l| l.addresses.contains(&a.shown()));
        address(a, None, there)
    };
    Details {
        globals: plan.written.globals.clone(),
        statics: [told.addresses.iter().map(fixed).collect(), told.routes.clone(), told.rules.clone()],
        instances,
        groups: groups.collect(),
        scripts: scripts.collect(),
        files: files.collect(),
        process_users: router.process_states().map(|(p, ..)| of(Tracked::Process(p.name.clone()))).collect(),
        sessions: sessions.collect(),
        interfaces: interfaces.collect(),
    }
}

fn instance(router: &Router, plan: &Plan, v: &View<'_>, group: Option<&str>, mirror: &Mirror) -> InstanceDetails {
    let c = v.config;
    let parts = router.parts(c);
    let script = |t: &Tracked| matches!(t, Tracked::Script(_));
    let listed = |heading, comma: &str, pick: fn(&Tracked) -> Option<&String>| {
        let lines = c
            .tracks
            .iter()
            .filter_map(|t| Some(format!("{}{comma} weight {}{}", pick(&t.what)?, t.weight, reversed(t.reverse))));
        (heading, lines.collect::<Vec<_>>())
    };
    let tracked = vec![
        listed("Tracked interfaces", "", |t| if let Tracked::Interface(n) = t { Some(n) } else { None }),
        listed("Tracked VRFs", "", |t| if let Tracked::Vrf(n) = t { Some(n) } else { None }),
        listed("Tracked scripts", "", |t| if let Tracked::Script(n) = t { Some(n) } else { None }),
        listed("Tracked files", ",", |t| if let Tracked::File(n) = t { Some(n) } else { None }),
        listed("Tracked processes", ",", |t| if let Tracked::Process(n) = t { Some(n) } else { None }),
        listed("Tracked BFDs", ",", |t| if let Tracked::Session(n) = t { Some(n) } else { None }),
        listed("Tracked virtual servers", "", |t| if let Tracked::Service(n) = t { Some(n) } else { None }),
    ];
    let peer = |p: &steadfast_vrrp::Peer| format!("{} min_ttl {} max_ttl {}", p.address, p.min_ttl, p.max_ttl);
    let notify = plan.instances.get(c.name.as_str());
    InstanceDetails {
        group: group.map(String::from),
        ipv6: c.family == steadfast_core::Family::V6,
        faults: v.faults.len(),
        pending: parts.iter().filter(|p| p.good.is_none() && script(&p.what)).count(),
        next: None,
        master_down: v.master_down.as_micros(),
        virtual_link: c.virtual_link.as_ref().map(|l| (l.clone(), mirror.by_name(l).is_some_and(|l| l.up), c.by_base)),
        source_configured: c.source.is_some(),
        total_priority: i64::from(c.priority) + parts.iter().map(|p| p.change).sum::<i64>(),
        unicast: c.unicast.as_ref().map(|u| (u.ttl, u.check_source, u.peers.iter().map(peer).collect())),
        tracked,
        accounts: notify.map(|n| super::dump::scripts(n).map(|(_, s)| account(s)).collect()).unwrap_or_default(),
        notify_priority_changes: c.notify_priority_changes,
    }
}
