//! Checks of static objects, of links that are configured outside instances, and of tables of the firewall.

use crate::diag::{Class, Diagnostics};
use crate::host::Host;
use crate::model::Config;
use crate::places::Places;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;
use steadfast_core::kernel::Object;

/// A change of a link must count before a peer of ours, or we ourselves hearing nothing, would act on the silence.
pub(crate) fn link_delays(config: &mut Config, d: &mut Diagnostics) {
    for (link, down, up) in &mut config.link_delays {
        let longest = (config.instances.iter())
            .filter(|i| i.interface.as_ref() == Some(link))
            .map(|i| {
                let missed = i.down_timer_adverts.or(config.globals.down_timer_adverts).unwrap_or(3).saturating_sub(1);
                i.advert_int.unwrap_or(Duration::from_secs(1)) * u32::from(missed)
            })
            .min();
        for (delay, word) in [(down, "down"), (up, "up")] {
            if let Some(longest) = longest.filter(|l| *l < *delay) {
                let text =
                    format!("interface_up_down_delays: {link} {word}: using {longest:?}, or a peer would act first");
                d.push(Class::Note, None, text);
                *delay = longest;
            }
        }
    }
}

/// keepalived does not begin with a group that names a link that is absent; here the link is waited for.
pub(crate) fn garp_groups(config: &Config, host: &dyn Host, at: &Places, d: &mut Diagnostics) {
    if config.globals.dynamic_interfaces {
        return;
    }
    for (n, group) in config.garp_groups.iter().enumerate() {
        for link in group.interfaces.iter().filter(|l| host.interface(l).is_none()) {
            let place = at.of_member("garp_group", &n.to_string(), link);
            d.push(Class::General, place, format!("garp_group: interface {link} does not exist now, it is waited for"));
        }
    }
}

/// Links are polled that an instance goes by.
pub(crate) fn linkbeat(config: &mut Config, d: &mut Diagnostics) {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for i in &config.instances {
        used.extend(i.interface.as_deref());
        used.extend(i.track_interface.iter().map(|t| t.name.as_str()));
        let addresses = i.virtual_ipaddress.iter().chain(&i.virtual_ipaddress_excluded);
        used.extend(addresses.map(|a| a.0.interface.as_str()));
        used.extend(i.virtual_routes.iter().filter_map(|r| r.interface.as_deref()));
    }
    used.extend(config.groups.iter().flat_map(|g| &g.track_interface).map(|t| t.name.as_str()));
    used.remove("");
    config.linkbeat.retain(|(link, _)| {
        if !used.contains(link.as_str()) {
            d.push(Class::Note, None, format!("Turning off linkbeat for {link} since not used for tracking"));
        }
        used.contains(link.as_str())
    });
    let of_instances = config.instances.iter().filter(|i| i.linkbeat).filter_map(|i| i.interface.as_deref());
    let all = used.iter().copied().filter(|_| config.linkbeat_all);
    let more: BTreeSet<&str> = of_instances.chain(all).collect();
    let more: Vec<String> =
        more.into_iter().filter(|l| !config.linkbeat.iter().any(|(n, _)| n == l)).map(String::from).collect();
    config.linkbeat.extend(more.into_iter().map(|l| (l, None)));
}

/// Static addresses that name no link are on the default one, wherever in the file that is given.
pub(crate) fn default_interface(config: &mut Config, host: &dyn Host, d: &mut Diagnostics) {
    let default = config.globals.default_interface.as_deref().unwrap_or("eth0");
    let mut said = false;
    for (object, _) in &mut config.statics {
        let Object::Address(a) = object else { continue };
        if !a.interface.is_empty() {
            continue;
        }
        a.interface = default.into();
        if host.interface(default).is_none() && !std::mem::replace(&mut said, true) {
            let text = format!("static address {}: the default interface {default} does not exist now", a.cidr);
            let waits = config.globals.dynamic_interfaces;
            d.push(if waits { Class::Note } else { Class::Fatal }, None, text);
        }
    }
}

/// Each child of the daemon makes its tables anew: with one name for both, each would remove the other's.
pub(crate) fn tables(config: &mut Config, at: &Places, d: &mut Diagnostics) {
    let named = |t: &Option<String>, other: &str| t.clone().filter(|t| !t.is_empty()).unwrap_or_else(|| other.into());
    let g = &mut config.globals;
    let (blocked, marked) = (named(&g.nftables, "keepalived"), named(&g.nftables_ipvs, "keepalived_ipvs"));
    if g.nftables_ipvs.is_some() && blocked == marked {
        let other = format!("{marked}_ipvs");
        let text = format!("nftables_ipvs: {marked} is the table of virtual addresses, using {other}");
        d.push(Class::Note, at.of("global_defs", "", "nftables_ipvs"), text);
        g.nftables_ipvs = Some(other);
    }
}

/// Static objects belong to groups that there are, and these have members that there are.
pub(crate) fn track_groups(config: &mut Config, at: &Places, d: &mut Diagnostics) {
    let names: HashSet<&str> = config.instances.iter().map(|i| i.name.as_str()).collect();
    config.track_groups.retain_mut(|g| {
        let here = at.of("track_group", &g.name, "group");
        g.group.retain(|m| {
            let known = names.contains(m.as_str());
            if !known {
                let text = format!("track_group {}: there is no instance {m}, ignoring it", g.name);
                d.push(Class::General, at.of_member("track_group", &g.name, m), text);
            }
            known
        });
        if g.group.is_empty() {
            d.push(Class::General, here, format!("track_group {} has no members, ignoring it", g.name));
        }
        !g.group.is_empty()
    });
    for (object, group) in &mut config.statics {
        let unknown = group.take_if(|name| !config.track_groups.iter().any(|g| g.name == *name));
        if let Some(name) = unknown {
            d.push(Class::General, None, format!("static {object}: there is no track_group {name}, ignoring it"));
        }
    }
}
