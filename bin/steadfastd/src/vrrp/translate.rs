//! The configuration as written becomes what the role runs from.

use super::plan::{
    Buffers, Command, Fifo, Linkbeat, Notify, Plan, Probe, ReceiveBuffer, Scheduling, TrackFile, TrackProcess,
};
use crate::checker::traffic::Ages;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;
use steadfast_config::model::{self, AuthType, Config, InitialState, ReceivePolicy, Script, Track as Entry, User};
use steadfast_core::kernel::{Address, LinkKind, Object, VirtualLink};
use steadfast_core::{Family, Mac};
use steadfast_net::linkbeat::Method;
use steadfast_net::netlink::Buffer;
use steadfast_notify::mail;
use steadfast_sys::procs::{Arguments, Matcher};
use steadfast_vrrp as vrrp;
use steadfast_vrrp::{Auth, Notice, Track, Tracked, Version};

/// Translates a configuration.
pub fn plan(c: &Config) -> Plan {
    let g = &c.globals;
    let account = g.script_user;
    let command = |s: &Script| command(s, account);
    let mut probes = HashMap::new();
    let mut weights = HashMap::new();
    let mut machine = vrrp::Config {
        statics: c.statics.iter().map(|(o, _)| o.clone()).collect(),
        startup_delay: g
            .startup_delay
            .unwrap_or_default()
            .max(since_boot(g.delay_after_boot, steadfast_sys::files::uptime())),
        garp_groups: c.garp_groups.iter().map(garp_group).collect(),
        link_delays: (c.link_delays.iter().cloned())
            .map(|(interface, down, up)| vrrp::LinkDelay { interface, down, up })
            .collect(),
        garp_interval: g.garp_interval.unwrap_or_default(),
        gna_interval: g.gna_interval.unwrap_or_default(),
        log_unknown_vrids: g.log_unknown_vrids,
        fifo_states_on_reload: g.fifo_write_vrrp_states_on_reload,
        ..Default::default()
    };
    let mut defaults: HashMap<(u8, &str), (i32, bool)> = HashMap::new();
    for s in c.scripts.iter().filter(|s| !s.disabled) {
        let Some(script) = &s.script else { continue };
        let user = s.user.flatten().or(account);
        let probe = match script.text.trim().strip_prefix('<') {
            Some(path) => Probe::Readable(PathBuf::from(path.trim())),
            None => Probe::Program(Command { user: user.map(|u| (u.uid, u.gid)), ..command(script) }),
        };
        defaults.insert((0, &s.name), s.weight);
        weights.insert(s.name.clone(), s.weight.0);
        let interval = s.interval.unwrap_or(Duration::from_secs(1));
        machine.scripts.push(vrrp::ScriptConfig {
            name: s.name.clone(),
            interval,
            timeout: s.timeout.unwrap_or(interval),
            rise: s.rise,
            fall: s.fall,
            init_fail: s.init_fail,
            command: format!("{probe:?}"),
        });
        probes.insert(s.name.clone(), probe);
    }
    let mut files = Vec::new();
    for f in &c.files {
        let Some(path) = &f.file else { continue };
        defaults.insert((1, &f.name), f.weight);
        machine.files.push(vrrp::FileConfig { name: f.name.clone() });
        files.push(TrackFile { name: f.name.clone(), path: path.into(), init: f.init_file });
    }
    let mut processes = Vec::new();
    for p in &c.processes {
        let Some(process) = &p.process else { continue };
        defaults.insert((2, &p.name), p.weight);
        machine.processes.push(vrrp::ProcessConfig {
            name: p.name.clone(),
            quorum: p.quorum,
            quorum_max: p.quorum_max.unwrap_or(u32::MAX),
            terminate_delay: p.terminate_delay.or(p.delay).unwrap_or_default(),
            fork_delay: p.fork_delay.or(p.delay).unwrap_or_default(),
        });
        let arguments = match p.param_match.as_deref() {
            None => Arguments::Ignored,
            Some("initial") => Arguments::Initial,
            Some("partial") => Arguments::Partial,
            Some(_) => Arguments::Equal,
        };
        let matcher = Matcher {
            name: p.name.clone(),
            argv: process.argv.clone(),
            full_command: p.full_command || arguments != Arguments::Ignored,
            arguments,
        };
        processes.push(TrackProcess { matcher, weight: p.weight.0 });
    }
    defaults.extend(c.bfd.iter().map(|b| ((5, b.name.as_str()), b.weight)));
    if g.vrrp_iptables {
        log::info!("vrrp_iptables: nftables is used instead, table {}", g.nftables.as_deref().unwrap_or("keepalived"));
    }
    let virtual_links: Vec<VirtualLink> = c.instances.iter().flat_map(virtual_links).collect();
    let mut links_on: HashMap<String, Vec<String>> = HashMap::new();
    for l in &virtual_links {
        links_on.entry(l.base.clone()).or_default().push(l.name.clone());
    }
    // Links, and the addresses that ipvlans have of their own.
    let addresses = c.instances.iter().filter_map(|i| {
        let (v, link) = (i.use_ipvlan.as_ref()?, virtual_link(i)?);
        let nodad = v.address?.address.is_ipv6();
        Some(Object::Address(Address { nodad, ..Address::new(v.address?, link.name) }))
    });
    machine.statics.splice(0..0, virtual_links.iter().cloned().map(Object::Link).chain(addresses));
    let of_group: HashMap<&str, &model::SyncGroup> =
        c.groups.iter().flat_map(|gr| gr.group.iter().flatten().map(move |m| (m.as_str(), gr))).collect();
    let mut instances = HashMap::new();
    let mail_default = g.smtp_alert_vrrp.or(g.smtp_alert).unwrap_or(false);
    // Of old (global_tracking): what one member tracks, all of them do.
    let mut shared: HashMap<&str, Vec<Track>> = HashMap::new();
    let mut known: HashSet<(&str, Tracked)> = HashSet::new();
    for i in &c.instances {
        let Some(gr) = of_group.get(i.name.as_str()).filter(|gr| gr.global_tracking) else { continue };
        let instance = instance(i, g, Some(gr), &defaults);
        let new = instance.tracks.iter().filter(|t| known.insert((&gr.name, t.what.clone()))).cloned();
        shared.entry(&gr.name).or_default().extend(new);
    }
    let mut kinds = vrrp::Kinds::default();
    for i in &c.instances {
        let group = of_group.get(i.name.as_str()).copied();
        let mut instance = instance(i, g, group, &defaults);
        if let Some(all) = group.and_then(|gr| shared.get(gr.name.as_str())) {
            let own: HashSet<Tracked> = instance.tracks.iter().map(|t| t.what.clone()).collect();
            instance.tracks.extend(all.iter().filter(|t| !own.contains(&t.what)).cloned());
        }
        let concerns = |name: &String| c.track_groups.iter().any(|t| t.name == *name && t.group.contains(&i.name));
        let tied = c.statics.iter().filter(|(o, group)| !o.is_untracked() && group.as_ref().is_some_and(concerns));
        instance.depends_on = tied.map(|(object, _)| object.clone()).collect();
        kinds.share(&mut instance);
        machine.instances.push(instance);
        let mut scripts = HashMap::new();
        let mut add = |notice: Notice, s: &Option<Script>| {
            if let Some(s) = s {
                scripts.insert(notice.word(), command(s));
            }
        };
        add(Notice::Master, &i.notify_master);
        add(Notice::Backup, &i.notify_backup);
        add(Notice::Fault, &i.notify_fault);
        add(Notice::Stop, &i.notify_stop);
        add(Notice::MasterRxLowerPri, &i.notify_master_rx_lower_pri);
        add(Notice::Deleted, &i.notify_deleted.clone().flatten());
        let notify =
            Notify { scripts, generic: i.notify.as_ref().map(command), mail: i.smtp_alert.unwrap_or(mail_default) };
        if notify != Notify::default() {
            instances.insert(i.name.clone(), notify);
        }
    }
    let mut groups = HashMap::new();
    for gr in &c.groups {
        machine.groups.push(vrrp::GroupConfig {
            name: gr.name.clone(),
            members: gr.group.clone().unwrap_or_default(),
            tracking_weight: gr.sync_group_tracking_weight,
        });
        let mut scripts = HashMap::new();
        for (notice, s) in [
            (Notice::Master, &gr.notify_master),
            (Notice::Backup, &gr.notify_backup),
            (Notice::Fault, &gr.notify_fault),
            (Notice::Stop, &gr.notify_stop),
        ] {
            if let Some(s) = s {
                scripts.insert(notice.word(), command(s));
            }
        }
        let notify =
            Notify { scripts, generic: gr.notify.as_ref().map(command), mail: gr.smtp_alert.unwrap_or(mail_default) };
        if notify != Notify::default() {
            groups.insert(gr.name.clone(), notify);
        }
    }
    let fifo = |f: &Option<Script>, reader: &Option<Script>| {
        f.as_ref().and_then(|f| {
            Some(Fifo {
                path: f.argv.first()?.into(),
                owner: f.user.map(|u| (u.uid, u.gid)),
                reader: reader.as_ref().map(command),
            })
        })
    };
    // The VRRP child starts the reader of the FIFO that both write to.
    let common = fifo(&g.notify_fifo, &None);
    let lvs_fifos: Vec<Fifo> = common.into_iter().chain(fifo(&g.lvs_notify_fifo, &g.lvs_notify_fifo_script)).collect();
    let host = crate::dumps::host();
    let mail =
        g.smtp_server.as_ref().filter(|_| !g.notification_email.is_empty()).map(|(server, port)| mail::Settings {
            server: server.clone(),
            port: *port,
            helo: g.smtp_helo_name.clone().unwrap_or_else(|| host.clone()),
            timeout: Duration::from_secs(g.smtp_connect_timeout.unwrap_or(30)),
            from: g.notification_email_from.clone().unwrap_or_else(|| format!("root@{host}")),
            to: g.notification_email.clone(),
        });
    let told = |n: &Notify| n.generic.is_some() || !n.scripts.is_empty();
    let vrrp_fifos: Vec<Fifo> = (fifo(&g.notify_fifo, &g.notify_fifo_script).into_iter())
        .chain(fifo(&g.vrrp_notify_fifo, &g.vrrp_notify_fifo_script))
        .collect();
    let reads = |fifos: &[Fifo]| fifos.iter().any(|f| f.reader.is_some());
    let vrrp_programs = reads(&vrrp_fifos)
        || probes.values().any(|p| matches!(p, Probe::Program(_)))
        || instances.values().chain(groups.values()).any(told);
    let checker_programs = reads(&lvs_fifos) || c.virtual_servers.iter().any(starts_programs);
    let paths = crate::dumps::paths(c);
    let raise = (g.auto_priority > 0)
        .then(|| (Duration::from_micros(g.auto_priority_delay.unwrap_or(1_000_000).into()), g.auto_priority));
    Plan {
        machine,
        safe_programs: g.enable_script_security,
        programs: [vrrp_programs, checker_programs],
        router_id: g.router_id.clone().unwrap_or(host),
        probes,
        weights,
        instances,
        groups,
        departed: Default::default(),
        fifos: vrrp_fifos,
        lvs_fifos,
        mail,
        no_email_faults: g.no_email_faults,
        files,
        processes,
        promote_secondaries: c
            .instances
            .iter()
            .filter(|i| i.promote_secondaries)
            .filter_map(|i| i.interface.clone())
            .collect(),
        virtual_links: virtual_links.into_iter().map(|l| (l.name.clone(), l)).collect(),
        links_on,
        firewall: steadfast_net::nft::Settings {
            table: g.nftables.clone().filter(|t| !t.is_empty()).unwrap_or_else(|| "keepalived".into()),
            priority: g.nftables_priority.unwrap_or(-1),
            counters: g.nftables_counters,
            by_index: g.nftables_ifindex,
        },
        json_version: g.json_version.unwrap_or(1),
        dumps: [paths.data.into(), paths.stats.into(), paths.json.into()],
        checker_dump: paths.checker.into(),
        written: crate::dumps::Written::new(c),
        save_dir: g.config_save_dir.clone().map(Into::into),
        checker_scheduling: Scheduling {
            nice: g.checker_priority,
            realtime: g.checker_rt_priority,
            rttime: g.checker_rlimit_rttime,
            no_swap: g.checker_no_swap,
            affinity: g.checker_cpu_affinity.iter().map(|c| *c as usize).collect(),
            raise,
        },
        scheduling: Scheduling {
            nice: g.vrrp_priority,
            realtime: g.vrrp_rt_priority,
            rttime: g.vrrp_rlimit_rttime,
            no_swap: g.vrrp_no_swap,
            affinity: g.vrrp_cpu_affinity.iter().map(|c| *c as usize).collect(),
            raise,
        },
        left_out: left_out(c, &of_group),
        supplementary_groups: g.supplementary_groups == Some(true),
        no_local_reports: g.disable_local_igmp,
        checker_namespace: c.process.net_namespace_ipvs.clone(),
        linkbeat: linkbeat(c),
        mask: g.umask,
        counters: g.snmp_checker.then_some(Ages(g.snmp_vs_interval, g.snmp_rs_interval)),
        alarms: g.snmp_traps,
        structured: g.log_structured == Some(true),
        address_lease: g.address_lease,
        buffers: Buffers {
            monitor: buffer(g.vrrp_monitor_buffer, 4 << 20, g.vrrp_monitor_force),
            command: buffer(g.vrrp_command_buffer, 1 << 20, g.vrrp_command_force),
            processes: buffer(g.process_buffer, 0, g.process_force),
        },
        checker_buffers: Buffers {
            monitor: buffer(g.lvs_monitor_buffer, 1 << 20, g.lvs_monitor_force),
            command: buffer(g.lvs_command_buffer, 4 << 20, g.lvs_command_force),
            ..Default::default()
        },
        names: [1, 2].map(|n| process_name(g, n)),
        receive_buffer: receive_buffer(c),
    }
}

/// Tracked scripts that cannot be run, by instance.
fn left_out(c: &Config, of_group: &HashMap<&str, &model::SyncGroup>) -> HashMap<String, Vec<(String, String)>> {
    let faulty = |name: &str| c.scripts.iter().find(|s| s.name == name && !s.left_out.is_empty());
    let of = |i: &model::VrrpInstance| {
        let group = of_group.get(i.name.as_str()).into_iter().flat_map(|gr| &gr.track_script);
        let all = i.track_script.iter().chain(group).filter_map(|t| faulty(&t.name));
        all.map(|s| (s.name.clone(), s.left_out.clone())).collect::<Vec<_>>()
    };
    c.instances.iter().map(|i| (i.name.clone(), of(i))).filter(|(_, all)| !all.is_empty()).collect()
}

/// A virtual server with scripts of any kind.
fn starts_programs(v: &model::VirtualServer) -> bool {
    let misc = |r: &model::RealServer| {
        r.notify_up.is_some()
            || r.notify_down.is_some()
            || r.checkers.iter().any(|c| matches!(c, model::Checker::Misc(_)))
    };
    v.quorum_up.is_some() || v.quorum_down.is_some() || v.real_servers.iter().any(misc)
}

fn buffer(bytes: Option<u32>, default: u32, force: Option<bool>) -> Buffer {
    // The kernel takes an int.
    let most = i32::MAX.unsigned_abs();
    Buffer { bytes: bytes.unwrap_or(default).min(most) as usize, force: force.unwrap_or(false) }
}

/// What the kernel counts for a small packet in a socket, halved as it doubles what it is told.
const PACKET_ROOM: usize = 640;

/// The greatest size that an instance asks for, else what vrrp_rx_bufs_policy says.
fn receive_buffer(c: &Config) -> ReceiveBuffer {
    let many = c.globals.receive_multiplier.unwrap_or(3) as usize;
    let own = c.instances.iter().filter_map(|i| i.kernel_rx_buf_size).max();
    match (own, c.globals.receive_policy) {
        (Some(bytes), _) => ReceiveBuffer::Bytes(bytes as usize),
        (None, None) => {
            // Of a quarter of a second, in which others may have the processor; the kernel's default holds some 250 packets.
            let interval = |i: &model::VrrpInstance| i.advert_int.map_or(1.0, |d| d.as_secs_f64()).max(0.01);
            let each = c.instances.iter().map(|i| 0.25 / interval(i));
            match each.sum::<f64>() as usize {
                0..200 => ReceiveBuffer::System,
                packets => ReceiveBuffer::Rate((packets * PACKET_ROOM).min(8 << 20)),
            }
        }
        (None, Some(ReceivePolicy::Bytes(n))) => ReceiveBuffer::Bytes(n as usize),
        (None, Some(ReceivePolicy::Mtu)) => ReceiveBuffer::Mtu(many),
        (None, Some(ReceivePolicy::Advert)) => {
            // IP header with router alert, VRRP header, addresses, password.
            let address = |i: &model::VrrpInstance| if family(i) == Family::V6 { 16 } else { 4 };
            let advert = |i: &model::VrrpInstance| 40 + 8 + i.virtual_ipaddress.len() * address(i) + 8;
            ReceiveBuffer::Adverts(many * c.instances.iter().map(advert).max().unwrap_or(0))
        }
    }
}

/// Name of a child (1 VRRP, 2 checkers, 3 BFD) in lists of processes: its own, else that which `process_names` gives, else that which
/// `process_name` gives to all.
pub fn process_name(g: &model::GlobalDefs, n: usize) -> Option<String> {
    let default = ["keepalived", "keepalived_vrrp", "keepalived_lvs", "keepalived_bfd"];
    let own = g.names.get(n).cloned().flatten();
    let own = own.map(|name| if name.is_empty() { default.get(n).unwrap_or(&"").to_string() } else { name });
    own.or_else(|| g.process_names.then(|| default.get(n).unwrap_or(&"").to_string()))
        .or_else(|| g.names.first().cloned().flatten().filter(|name| !name.is_empty()))
}

fn garp_group(g: &model::GarpGroup) -> vrrp::GarpGroup {
    vrrp::GarpGroup { interval: g.garp_interval, gna_interval: g.gna_interval, interfaces: g.interfaces.clone() }
}

/// What is left until the system has been up for so long.
fn since_boot(wanted: Option<Duration>, up: Duration) -> Duration {
    wanted.map_or(Duration::ZERO, |w| w.saturating_sub(up))
}

/// A command; text that only a shell understands goes to one.
pub fn command(s: &Script, account: Option<User>) -> Command {
    let argv = match &s.shell {
        Some(shell) => vec![format!("/bin/{shell}"), "-c".into(), s.text.clone()],
        None => s.argv.clone(),
    };
    Command { argv, user: s.user.or(account).map(|u| (u.uid, u.gid)) }
}

/// The family of an instance's adverts.
pub fn family(i: &model::VrrpInstance) -> Family {
    let six = i
        .virtual_ipaddress
        .first()
        .map_or_else(|| i.native_ipv6 || i.src_ip.is_some_and(|s| s.is_ipv6()), |a| a.0.cidr.address.is_ipv6());
    if six { Family::V6 } else { Family::V4 }
}

/// Links that are polled.
fn linkbeat(c: &Config) -> Vec<Linkbeat> {
    let method = |m: model::LinkMethod| match m {
        model::LinkMethod::Mii => Method::Mii,
        model::LinkMethod::Ethtool => Method::Ethtool,
        model::LinkMethod::Ioctl => Method::Flags,
    };
    c.linkbeat.iter().map(|(link, m)| Linkbeat { link: link.clone(), method: m.map(method) }).collect()
}

/// The virtual links of an instance: its own, and those of addresses that are not on it.
fn virtual_links(i: &model::VrrpInstance) -> Vec<VirtualLink> {
    let of_address = |(base, six, name): &(String, bool, String)| {
        let family = if *six { Family::V6 } else { Family::V4 };
        let kind = LinkKind::Macvlan(Mac::virtual_router(family, i.virtual_router_id?));
        Some(VirtualLink { name: name.clone(), base: base.clone(), kind, vrf: i.vrf.clone(), family, group: None })
    };
    virtual_link(i).into_iter().chain(i.address_links.iter().filter_map(of_address)).collect()
}

/// The virtual link of an instance.
fn virtual_link(i: &model::VrrpInstance) -> Option<VirtualLink> {
    let (family, base, vrf) = (family(i), i.interface.clone()?, i.vrf.clone());
    if let Some(v) = &i.use_ipvlan {
        let kind = LinkKind::Ipvlan(v.isolation.unwrap_or_default());
        return Some(VirtualLink { name: v.name.clone()?, base, kind, vrf, family, group: v.group });
    }
    let v = i.use_vmac.as_ref()?;
    let kind = LinkKind::Macvlan(v.address(family, i.virtual_router_id?));
    Some(VirtualLink { name: v.name.clone()?, base, kind, vrf, family, group: v.group })
}

fn instance(
    i: &model::VrrpInstance,
    g: &model::GlobalDefs,
    group: Option<&model::SyncGroup>,
    defaults: &HashMap<(u8, &str), (i32, bool)>,
) -> vrrp::InstanceConfig {
    let family = family(i);
    let six = family == Family::V6;
    let interface = i.interface.clone().unwrap_or_default();
    let mut c = vrrp::InstanceConfig::new(&i.name, &interface, i.virtual_router_id.unwrap_or(1), family);
    let strict = i.strict_mode.unwrap_or(false);
    c.version = if i.version == Some(3) { Version::V3 } else { Version::V2 };
    c.also_version_2 = i.also_version_2.unwrap_or(false);
    c.priority = i.priority.unwrap_or(100);
    c.advert_interval = i.advert_int.unwrap_or(Duration::from_secs(1));
    c.start_master = i.state == Some(InitialState::Master);
    c.preempt = !i.nopreempt;
    c.preempt_delay = i.preempt_delay.unwrap_or_default();
    c.strict = strict;
    c.fast_takeover = !strict && i.fast_takeover.or(g.fast_takeover).unwrap_or(true);
    c.soft_release = !strict && i.soft_release.or(g.soft_release).unwrap_or(true);
    c.auth = match &i.authentication {
        Some(model::Authentication { auth_type: Some(AuthType::Pass), auth_pass: Some(p) }) => {
            let mut password = [0u8; 8];
            password.iter_mut().zip(p.bytes()).for_each(|(to, from)| *to = *from);
            Auth::Pass(password)
        }
        Some(model::Authentication { auth_type: Some(AuthType::Ah), auth_pass: Some(p) }) => Auth::Ah(p.clone()),
        _ => Auth::None,
    };
    c.hmac = i.auth_hmac.as_ref().map(|h| vrrp::Hmac {
        keys: h.keys.clone(),
        active: h.active_key.unwrap_or(0),
        window: h.time_window.map_or((c.advert_interval * 3).max(Duration::from_secs(5)), Duration::from_secs),
        monotonic: h.monotonic,
        mode: match h.mode {
            model::HmacMode::Enforce => vrrp::HmacMode::Enforce,
            model::HmacMode::Permissive => vrrp::HmacMode::Permissive,
            model::HmacMode::ReceiveOnly => vrrp::HmacMode::ReceiveOnly,
        },
    });
    c.auth_hold = i.auth_hold.unwrap_or(true);
    c.addresses = i.virtual_ipaddress.iter().map(|a| a.0.clone()).collect();
    c.excluded = i.virtual_ipaddress_excluded.iter().map(|a| a.0.clone()).collect();
    for a in c.addresses.iter_mut().chain(&mut c.excluded).filter(|a| a.own_link) {
        let wanted = |(base, six, _): &&(String, bool, String)| {
            (base.as_str(), *six) == (a.interface.as_str(), a.cidr.address.is_ipv6())
        };
        if let Some((_, _, name)) = i.address_links.iter().find(wanted) {
            a.interface = name.into();
        }
    }
    c.address_links = i.address_links.iter().map(|(base, _, name)| (name.clone(), base.clone())).collect();
    if i.use_ipvlan.is_some() {
        c.virtual_link = virtual_link(i).map(|l| l.name);
        c.source_on_link = true;
    } else if let Some(link) = virtual_link(i) {
        // Addresses of the instance's own link sit on its virtual link.
        for a in c.addresses.iter_mut().chain(&mut c.excluded).filter(|a| a.interface == link.base) {
            a.interface = link.name.as_str().into();
        }
        c.virtual_link = Some(link.name);
        c.by_base = i.vmac_xmit_base;
    }
    c.accept = i.accept.unwrap_or(!strict) || c.priority == 255;
    c.routes = i.virtual_routes.clone();
    c.rules = i.virtual_rules.clone();
    c.unite();
    if !i.unicast_peer.is_empty() || i.unicast_fault_no_peer {
        c.unicast = Some(vrrp::Unicast {
            peers: i
                .unicast_peer
                .iter()
                .map(|p| {
                    let (min_ttl, max_ttl) = p.ttl.unwrap_or((0, 255));
                    vrrp::Peer { address: p.address, min_ttl, max_ttl }
                })
                .collect(),
            ttl: i.unicast_ttl.unwrap_or(255),
            check_source: i.check_unicast_src.or(g.check_unicast_src).unwrap_or(true),
        });
    }
    c.source = i.src_ip;
    c.track_source = i.track_src_ip;
    c.group = i.mcast_dst_ip.or(if six { g.vrrp_mcast_group6 } else { g.vrrp_mcast_group4 }).unwrap_or(if six {
        IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12))
    } else {
        IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18))
    });
    c.down_timer_adverts = if strict { 3 } else { i.down_timer_adverts.or(g.down_timer_adverts).unwrap_or(3) };
    let minimal = g.min_garp.unwrap_or(false);
    let repeat = i.garp_master_repeat.or(g.garp_master_repeat).unwrap_or(if minimal { 1 } else { 5 });
    let delay = i.garp_master_delay.or(g.garp_master_delay).unwrap_or(if minimal { 0 } else { 5 });
    let refresh = i.garp_master_refresh.or(g.garp_master_refresh);
    // Both masters of a virtual MAC address have the same, and each advert that leaves with it tells switches where it is.
    let alike = matches!(virtual_link(i), Some(VirtualLink { kind: LinkKind::Macvlan(_), .. })) && !i.vmac_xmit_base;
    c.garp = vrrp::Garp {
        unasked: refresh.is_none() && !minimal && !alike,
        repeat,
        delay: Duration::from_secs(delay),
        refresh: Duration::from_secs(refresh.unwrap_or(0)),
        refresh_repeat: i.garp_master_refresh_repeat.or(g.garp_master_refresh_repeat).unwrap_or(1),
        lower_prio_repeat: if strict {
            0
        } else {
            i.garp_lower_prio_repeat.or(g.garp_lower_prio_repeat).unwrap_or(repeat)
        },
        lower_prio_delay: Duration::from_secs(if strict {
            0
        } else {
            i.garp_lower_prio_delay.or(g.garp_lower_prio_delay).unwrap_or(delay)
        }),
        // 0 in the instance turns it off.
        extra: (i.garp_extra.or(g.garp_extra).filter(|e| e.0 > 0))
            .map(|(seconds, all)| (Duration::from_secs(seconds.into()), all)),
    };
    c.lower_prio_no_advert = strict || i.lower_prio_no_advert.or(g.lower_prio_no_advert).unwrap_or(false);
    c.higher_prio_send_advert = !strict && i.higher_prio_send_advert.or(g.higher_prio_send_advert).unwrap_or(false);
    c.owner_ignore_adverts =
        i.owner_ignore_adverts.or(g.owner_ignore_adverts).unwrap_or(strict && i.priority == Some(255));
    c.skip_check_adv_addr = i.skip_check_adv_addr.is_some() || g.skip_check_adv_addr.unwrap_or(false);
    c.old_checksum = match i.old_unicast_checksum {
        None => vrrp::OldChecksum::Auto,
        Some(true) => vrrp::OldChecksum::Always,
        Some(false) => vrrp::OldChecksum::Never,
    };
    c.checksum_without_pseudo = i.v3_checksum_as_v2.unwrap_or(false);
    c.dont_track_primary = i.dont_track_primary;
    c.timer_expired_backup = i.timer_expired_backup;
    c.notify_deleted = i.notify_deleted.is_some();
    c.notify_priority_changes = i
        .notify_priority_changes
        .or(group.and_then(|gr| gr.notify_priority_changes))
        .or(g.notify_priority_changes)
        .unwrap_or(false);
    let mut add = |entries: &[Entry], kind: u8, weights_count: bool| {
        for e in entries {
            let (weight, reverse) = match kind {
                3 | 4 => (0, false),
                k => match defaults.get(&(k, e.name.as_str())) {
                    Some(d) => *d,
                    // Its definition is unusable, which was said.
                    None => continue,
                },
            };
            let weight = e.weight.unwrap_or(weight);
            if weight != 0 && !weights_count {
                continue;
            }
            let what = match kind {
                0 => Tracked::Script(e.name.clone()),
                1 => Tracked::File(e.name.clone()),
                2 => Tracked::Process(e.name.clone()),
                4 => Tracked::Service(e.name.clone()),
                5 => Tracked::Session(e.name.clone()),
                _ => Tracked::Interface(e.name.clone()),
            };
            // What the group tracks, too, counts once, with the group's weight.
            c.tracks.retain(|t| t.what != what);
            c.tracks.push(Track { what, weight, reverse: e.reverse.unwrap_or(reverse) });
        }
    };
    // Weighted trackers of a group's member would pull the members apart; they count only where that is asked for.
    let own = group.is_none_or(|gr| gr.sync_group_tracking_weight || gr.global_tracking);
    add(&i.track_script, 0, own);
    add(&i.track_file, 1, own);
    add(&i.track_process, 2, own);
    add(&i.track_interface, 3, own);
    add(&i.track_service, 4, own);
    add(&i.track_bfd, 5, own);
    if let Some(gr) = group {
        add(&gr.track_script, 0, true);
        add(&gr.track_file, 1, true);
        add(&gr.track_process, 2, true);
        add(&gr.track_interface, 3, true);
        add(&gr.track_service, 4, true);
        add(&gr.track_bfd, 5, true);
    }
    // Outside of its VRF it would serve whom it should not.
    c.tracks.extend(i.vrf.iter().map(|v| Track { what: Tracked::Vrf(v.clone()), weight: 0, reverse: false }));
    c
}

#[cfg(test)]
mod tests;
