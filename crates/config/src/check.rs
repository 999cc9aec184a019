//! Checks made after parsing, and values that depend on other sections. What is wrong is put right the way keepalived does it,
//! and said.

mod instance;
mod owners;
mod scripts;
mod strict;

use crate::diag::{Class, Diagnostics};
use crate::host::Host;
use crate::model::{Config, SyncDaemon, Track, VrrpInstance};
use crate::places::Places;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

/// Checks everything.
pub(crate) fn check(config: &mut Config, host: &dyn Host, at: &Places, d: &mut Diagnostics) {
    crate::bfd::check(config, at, d);
    // keepalived's test passes it over, so it is no fault; a start fails.
    if let Some(name) = config.process.net_namespace.as_ref().filter(|name| !host.network_namespace(name)) {
        d.push(Class::Note, None, format!("network namespace {name} does not exist now"));
    }
    crate::check_links::default_interface(config, host, d);
    let mut any_script = scripts::check(config, host, at, d);
    owners::mixed(config, at, d);
    instances(config, host, at, d);
    groups(config, at, d);
    shared(config, d);
    crate::check_links::track_groups(config, at, d);
    crate::check_links::link_delays(config, d);
    crate::check_links::linkbeat(config, d);
    crate::check_links::garp_groups(config, host, at, d);
    crate::check_links::tables(config, at, d);
    // The checker child looks at its own scripts, whatever the VRRP child came to.
    let of_checks = crate::check_lvs::check(config, host, at, d);
    any_script |= of_checks;
    crate::symlinks::resolve(config, host);
    if config.globals.scripts_by_descriptor == Some(true) && !config.globals.enable_script_security {
        let text = "scripts_by_descriptor does nothing without enable_script_security: no script is looked at";
        d.push(Class::Note, at.of("global_defs", "", "scripts_by_descriptor"), text);
    }
    if any_script && !config.globals.enable_script_security {
        // keepalived ends at an absent interface before it comes to this, and its exit status with it.
        let absent = |i: &VrrpInstance| i.interface.as_ref().is_none_or(|n| host.interface(n).is_none());
        let early = !of_checks && !config.globals.dynamic_interfaces && config.instances.iter().any(absent);
        d.push_help(
            if early { Class::General } else { Class::Security },
            None,
            "scripts are configured, but script security is not enabled",
            Some(
                "put enable_script_security into global_defs, and script_user with the account that scripts run as"
                    .into(),
            ),
        );
    }
}

/// Keeps the entries that name something known, which is defined above: the order of the file matters to keepalived.
fn known(entries: &mut Vec<Track>, known: &HashSet<String>, kind: &str, owner: &str, d: &mut Diagnostics) {
    entries.retain(|t| {
        let there = known.contains(&t.name);
        if !there {
            let help =
                crate::diag::suggest(&t.name, known.iter().map(String::as_str)).map(|s| format!("did you mean `{s}`?"));
            let text = format!("({owner}) tracked {kind} '{}' is not defined, ignoring it", t.name);
            d.push_help(Class::General, t.place.span(), text, help);
        } else if t.early {
            let text = format!("({owner}) {kind} '{}' is tracked before it is defined, ignoring it", t.name);
            d.push(Class::General, t.place.span(), text);
        }
        there && !t.early
    });
}

/// Drops weighted trackers of an address owner, whose priority never changes.
fn weighted(entries: &mut Vec<Track>, defaults: &HashMap<String, i32>, owner: &str, d: &mut Diagnostics) {
    entries.retain(|t| {
        let plain = t.weight.or(defaults.get(&t.name).copied()).unwrap_or(0) == 0;
        if !plain {
            let text = format!("({owner}) an address owner's priority cannot change, ignoring tracking of {}", t.name);
            d.push(Class::General, t.place.span(), text);
        }
        plain
    });
}

/// Link, router id, family, and of a unicast instance source and peer.
type Router = (String, u8, bool, Option<IpAddr>, Option<IpAddr>);

fn instances(config: &mut Config, host: &dyn Host, at: &Places, d: &mut Diagnostics) {
    let globals = config.globals.clone();
    let names = |l: Vec<&String>| l.into_iter().cloned().collect::<HashSet<String>>();
    let scripts = names(config.scripts.iter().map(|s| &s.name).collect());
    let file_weights: HashMap<String, i32> = config.files.iter().map(|f| (f.name.clone(), f.weight.0)).collect();
    let files = names(config.files.iter().map(|f| &f.name).collect());
    let processes = names(config.processes.iter().map(|p| &p.name).collect());
    let bfd = names(config.bfd.iter().filter(|b| b.is_for_vrrp()).map(|b| &b.name).collect());
    let bfd_weights: HashMap<String, i32> = config.bfd.iter().map(|b| (b.name.clone(), b.weight.0)).collect();
    let services: HashSet<String> = config.virtual_servers.iter().map(|v| v.served.to_string()).collect();
    for g in &mut config.groups {
        known(&mut g.track_script, &scripts, "script", &g.name, d);
        known(&mut g.track_file, &files, "file", &g.name, d);
        known(&mut g.track_process, &processes, "process", &g.name, d);
        for t in g.track_interface.iter().filter(|t| host.interface(&t.name).is_none() && !globals.dynamic_interfaces) {
            let text = format!("({}) tracked interface {} does not exist now", g.name, t.name);
            d.push(Class::General, t.place.span(), text);
        }
        known(&mut g.track_service, &services, "virtual server", &g.name, d);
        known(&mut g.track_bfd, &bfd, "BFD session", &g.name, d);
    }
    let script_weights: HashMap<String, i32> = config.scripts.iter().map(|s| (s.name.clone(), s.weight.0)).collect();
    let mut taken: HashMap<Router, String> = HashMap::new();
    let mut refused = false;
    let mut keep = Vec::new();
    for mut i in std::mem::take(&mut config.instances) {
        let good = instance::instance(&mut i, &globals, host, at, d);
        known(&mut i.track_script, &scripts, "script", &i.name, d);
        known(&mut i.track_file, &files, "file", &i.name, d);
        known(&mut i.track_process, &processes, "process", &i.name, d);
        known(&mut i.track_service, &services, "virtual server", &i.name, d);
        known(&mut i.track_bfd, &bfd, "BFD session", &i.name, d);
        if i.priority == Some(255) {
            weighted(&mut i.track_script, &script_weights, &i.name, d);
            weighted(&mut i.track_bfd, &bfd_weights, &i.name, d);
            weighted(&mut i.track_file, &file_weights, &i.name, d);
        }
        refused |= !good;
        if !good {
            continue;
        }
        // Unicast instances are told apart by where their adverts come from and go to.
        let of = |from, to| {
            let interface = i.interface.clone().unwrap_or_default();
            (interface, i.virtual_router_id.unwrap_or(0), family(&i), from, to)
        };
        let keys: Vec<_> = match i.unicast_peer.as_slice() {
            [] => vec![of(None, None)],
            peers => peers.iter().map(|p| of(i.src_ip, Some(p.address))).collect(),
        };
        if let Some((key, other)) = keys.iter().find_map(|k| Some((k, taken.get(k)?))) {
            let peer = key.4.map(|p| format!(", and the peer {p}")).unwrap_or_default();
            d.push(
                Class::General,
                at.of("vrrp_instance", &i.name, "virtual_router_id"),
                format!("({}) has the same interface and virtual_router_id as {other}{peer}", i.name),
            );
            refused = true;
        }
        for key in keys {
            taken.entry(key).or_insert_with(|| i.name.clone());
        }
        keep.push(i);
    }
    config.instances = keep;
    synchronise(config, at, d);
    config.refused |= refused;
    crate::vmac::names(config, host, at, d);
}

/// True for IPv6.
pub(crate) fn family(i: &VrrpInstance) -> bool {
    let first = i.virtual_ipaddress.first().map(|a| a.0.cidr.address.is_ipv6());
    i.native_ipv6 || first.unwrap_or(i.src_ip.is_some_and(|s| s.is_ipv6()))
}

/// The daemon that copies IPVS connections follows an instance that there is.
fn synchronise(config: &mut Config, at: &Places, d: &mut Diagnostics) {
    let of_old = config.instances.iter().find_map(|i| Some((i.sync_interface.clone()?, i.name.clone())));
    if let (None, Some((interface, name))) = (&config.globals.lvs_sync_daemon, of_old) {
        let daemon = SyncDaemon { interface, instance: Some(name), ..Default::default() };
        config.globals.lvs_sync_daemon = Some(daemon);
    }
    let Some(daemon) = &mut config.globals.lvs_sync_daemon else { return };
    let Some(name) = &daemon.instance else { return };
    match config.instances.iter().find(|i| i.name == *name) {
        Some(i) => daemon.id = daemon.id.or(i.virtual_router_id),
        None => {
            let text = format!("lvs_sync_daemon: there is no vrrp_instance {name}, ignoring it");
            d.push(Class::Note, at.of("global_defs", "", "lvs_sync_daemon"), text);
            config.globals.lvs_sync_daemon = None;
        }
    }
}

/// Notes addresses that two instances have on one link, unless a group changes them together.
fn shared(config: &Config, d: &mut Diagnostics) {
    let groups = || config.groups.iter().filter_map(|g| g.group.as_ref());
    let group: HashMap<&str, usize> =
        groups().enumerate().flat_map(|(n, all)| all.iter().map(move |m| (m.as_str(), n))).collect();
    let mut seen: HashMap<(&str, std::net::IpAddr), &str> = HashMap::new();
    for i in &config.instances {
        for (a, _, place) in i.virtual_ipaddress.iter().chain(&i.virtual_ipaddress_excluded) {
            let other = *seen.entry((&a.interface, a.cidr.address)).or_insert(&i.name);
            let apart = group.get(other).is_none_or(|g| group.get(i.name.as_str()) != Some(g));
            if other != i.name && apart {
                let text = format!(
                    "({}) address {} is {other}'s, too: two hosts hold it while one is master here and the other there",
                    i.name, a.cidr.address
                );
                d.push(Class::Note, place.span(), text);
            }
        }
    }
}

fn groups(config: &mut Config, at: &Places, d: &mut Diagnostics) {
    let names: HashSet<String> = config.instances.iter().map(|i| i.name.clone()).collect();
    let weights = |all: Vec<(&String, i32)>| all.into_iter().map(|(n, w)| (n.clone(), w)).collect::<HashMap<_, _>>();
    let scripts = weights(config.scripts.iter().map(|s| (&s.name, s.weight.0)).collect());
    let files = weights(config.files.iter().map(|f| (&f.name, f.weight.0)).collect());
    let processes = weights(config.processes.iter().map(|p| (&p.name, p.weight.0)).collect());
    let bfd = weights(config.bfd.iter().map(|b| (&b.name, b.weight.0)).collect());
    let mut taken: HashSet<String> = HashSet::new();
    config.groups.retain_mut(|g| {
        let name = g.name.clone();
        let here = |word: &str| at.of("vrrp_sync_group", &name, word);
        let Some(members) = &mut g.group else {
            d.push(Class::General, here("group"), format!("sync group {} has no members, ignoring it", g.name));
            return false;
        };
        members.retain(|m| {
            let here = at.of_member("vrrp_sync_group", &g.name, m);
            if !names.contains(m) {
                let refused = at.has("vrrp_instance", m);
                let why = if refused { format!("instance {m} was refused") } else { format!("there is no instance {m}") };
                d.push(Class::General, here, format!("sync group {}: {why}, ignoring it", g.name));
                return false;
            }
            if !taken.insert(m.clone()) {
                d.push(
                    Class::General,
                    here,
                    format!("sync group {}: {m} is a member of a group already, ignoring it", g.name),
                );
                return false;
            }
            true
        });
        let pulled_apart = !g.sync_group_tracking_weight && !g.global_tracking;
        for i in config.instances.iter().filter(|i| pulled_apart && members.contains(&i.name)) {
            for (kind, t) in i
                .track_script
                .iter()
                .map(|t| ("script", t))
                .chain(i.track_file.iter().map(|t| ("file", t)))
                .chain(i.track_process.iter().map(|t| ("process", t)))
                .chain(i.track_interface.iter().map(|t| ("interface", t)))
                .chain(i.track_service.iter().map(|t| ("virtual server", t)))
                .chain(i.track_bfd.iter().map(|t| ("BFD session", t)))
            {
                let default = match kind {
                    "script" => scripts.get(&t.name),
                    "file" => files.get(&t.name),
                    "process" => processes.get(&t.name),
                    "BFD session" => bfd.get(&t.name),
                    _ => None,
                };
                if t.weight.or(default.copied()).unwrap_or(0) != 0 {
                    let text = format!("({}) {kind} '{}' has a weight, and the instance is in sync group {name}: it has no effect", i.name, t.name);
                    let help = "`sync_group_tracking_weight` in the group lets weights count; without a weight a failure means FAULT";
                    d.push_help(Class::General, t.place.span(), text, Some(help.into()));
                }
            }
        }
        match members.len() {
            0 => {
                d.push(
                    Class::General,
                    here("group"),
                    format!("sync group {} has no members left, ignoring it", g.name),
                );
                false
            }
            1 => {
                d.push(Class::General, here("group"), format!("sync group {} has one member only", g.name));
                true
            }
            _ => true,
        }
    });
}
