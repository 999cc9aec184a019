//! What is checked of one instance.

use super::family;
use crate::diag::{Class, Diagnostics};
use crate::host::Host;
use crate::model::{AuthType, HmacMode, InitialState, VrrpInstance};
use crate::places::Places;
use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::IpCidr;

/// Checks one instance; false when it is refused.
pub(super) fn instance(
    i: &mut VrrpInstance,
    globals: &crate::model::GlobalDefs,
    host: &dyn Host,
    at: &Places,
    d: &mut Diagnostics,
) -> bool {
    let name = i.name.clone();
    macro_rules! say {
        ($class:ident, $word:literal, $($text:tt)+) => {
            d.push(Class::$class, at.of("vrrp_instance", &name, $word), format!("({name}) {}", format_args!($($text)+)))
        };
    }
    // A refused one is looked at to its end: who mends it shall not find the next fault only then.
    let mut good = true;
    if i.virtual_router_id.is_none() {
        say!(General, "", "it has no usable virtual_router_id, the instance is refused");
        good = false;
    }
    if i.interface.is_none() && !i.unicast_peer.is_empty() {
        // Unicast needs no link, only a table of routes.
        i.interface.clone_from(&i.vrf);
    } else if i.vrf.is_some() && i.use_vmac.is_none() && i.use_ipvlan.is_none() {
        say!(General, "vrf", "vrf is for virtual links, and for unicast without an interface, ignoring it");
        i.vrf = None;
    }
    if i.interface.is_none() {
        say!(General, "", "it has no usable interface, the instance is refused");
        good = false;
    }
    let interface = i.interface.clone().unwrap_or_default();
    if i.interface.is_some() && host.interface(&interface).is_none() {
        let text = format!("({name}) interface {interface} does not exist now, the instance waits for it");
        let help = crate::diag::meant(&interface, host.links().iter().map(String::as_str));
        // With that word it is no fault; that the instance does not serve until then is told all the same.
        let class = if globals.dynamic_interfaces { Class::Note } else { Class::General };
        d.push_help(class, at.of("vrrp_instance", &name, "interface"), text, help);
    }
    if let Some(vrf) = i.vrf.as_ref().filter(|v| host.interface(v).is_none()) {
        say!(General, "vrf", "VRF interface {vrf} does not exist now, the instance waits for it");
    }
    i.unicast_words |= i.unicast_src.is_some() || i.unicast_ttl.is_some() || i.unicast_fault_no_peer;
    i.unicast_words |= i.check_unicast_src.is_some() || i.old_unicast_checksum.is_some();
    i.src_ip = i.src_ip.or(i.unicast_src);
    let strict = i.strict_mode.or(globals.strict).unwrap_or(false);
    i.strict_mode = Some(strict);
    // Addresses: the first decides the family.
    let six = family(i);
    let mut seen: HashSet<IpAddr> = HashSet::new();
    i.virtual_ipaddress.retain_mut(|(a, named, place)| {
        if a.cidr.address.is_ipv6() != six {
            d.push(
                Class::General,
                place.span(),
                format!("({name}) address {} is of the other family, ignoring it", a.cidr),
            );
            return false;
        }
        if !seen.insert(a.cidr.address) {
            d.push(Class::General, place.span(), format!("({name}) address {} is given already, ignoring it", a.cidr));
            return false;
        }
        if !*named {
            a.interface = interface.clone().into();
        }
        true
    });
    for (a, named, place) in &mut i.virtual_ipaddress_excluded {
        if !*named {
            a.interface = interface.clone().into();
        }
        if !seen.insert(a.cidr.address) {
            d.push(Class::Note, place.span(), format!("({name}) address {} is given already", a.cidr));
        }
    }
    for r in &mut i.virtual_routes {
        if !r.kind.leads_nowhere() && r.interface.is_none() && r.via.is_none() && r.nexthops.is_empty() {
            r.interface = Some(interface.clone());
        }
    }
    if i.virtual_ipaddress.len() > 255 {
        say!(General, "virtual_ipaddress", "more than 255 addresses do not fit into an advert, the rest goes without");
        let rest = i.virtual_ipaddress.split_off(255);
        i.virtual_ipaddress_excluded.extend(rest);
    }
    // Behind the IP header and ours; it may grow while the daemon runs, so they stay in the list.
    let (header, each) = if six { (48, 16) } else { (36, 4) };
    let fits = host.mtu(&interface).map_or(usize::MAX, |mtu| mtu.saturating_sub(header) / each);
    let wanted = i.virtual_ipaddress.len();
    if wanted > fits {
        say!(
            General,
            "virtual_ipaddress",
            "only {fits} of {wanted} addresses fit into an advert on {interface}, the rest goes without"
        );
    }
    // vrrp_version is meant for IPv4: an instance of IPv6 has version 3 unless it says otherwise itself.
    let version = match i.version.or(globals.vrrp_version.filter(|_| !six)) {
        _ if i.native_ipv6 => 3,
        Some(v) if !(six && strict) => v,
        None if six => 3,
        None => 2,
        Some(_) => 3,
    };
    let written = i.version.replace(version);
    if i.virtual_ipaddress.is_empty() && !i.no_virtual_ipaddress {
        if version == 3 || strict {
            say!(General, "", "no virtual_ipaddress, the instance is refused");
            good = false;
        } else {
            say!(General, "", "no virtual_ipaddress");
        }
    }
    // Intervals.
    let interval = i.advert_int.unwrap_or(Duration::from_secs(1));
    let fit = if version == 2 {
        Duration::from_secs(((interval.as_millis() + 500) / 1000).clamp(1, 255) as u64)
    } else {
        Duration::from_millis(((interval.as_millis() + 5) / 10).clamp(1, 4095) as u64 * 10)
    };
    if fit != interval {
        say!(General, "advert_int", "advert_int {interval:?} does not fit version {version}, using {fit:?}");
    }
    i.advert_int = Some(fit);
    // Priority and preemption.
    if i.priority.is_none() && i.state == Some(InitialState::Master) {
        i.priority = Some(255);
        say!(Note, "state", "state MASTER without a usable priority means priority 255, an address owner's");
    }
    let priority = *i.priority.get_or_insert(100);
    if strict {
        super::strict::strict(i, globals, six, written, at, d);
    }
    if i.state.is_none() && priority == 255 {
        i.state = Some(InitialState::Master);
    }
    if i.nopreempt && (i.state == Some(InitialState::Master) || priority == 255) {
        say!(General, "nopreempt", "nopreempt does not go with state MASTER or priority 255, ignoring it");
        i.nopreempt = false;
    }
    if i.preempt_delay.is_some_and(|p| !p.is_zero()) {
        let clash = if i.nopreempt {
            Some("nopreempt")
        } else if strict {
            Some("strict mode")
        } else if i.state == Some(InitialState::Master) {
            Some("state MASTER")
        } else {
            None
        };
        if let Some(clash) = clash {
            say!(General, "preempt_delay", "preempt_delay does not go with {clash}, ignoring it");
            i.preempt_delay = None;
        }
    }
    if i.timer_expired_backup.is_some() && !i.nopreempt {
        say!(General, "timer_expired_backup", "timer_expired_backup needs nopreempt, ignoring it");
        i.timer_expired_backup = None;
    }
    if i.also_version_2 == Some(true) {
        let clash = match (version, six, &i.auth_hmac) {
            (2, ..) => Some("needs version 3"),
            (_, true, _) => Some("is of IPv4: there is no version 2 over IPv6"),
            (.., Some(_)) => Some("does not go with auth_hmac: version 2 proves nothing"),
            _ => None,
        };
        if let Some(clash) = clash {
            say!(General, "also_version_2", "also_version_2 {clash}, ignoring it");
            i.also_version_2 = None;
        }
    }
    // Authentication.
    if let Some(a) = &i.authentication {
        // A password is for the adverts of version 2 beside.
        let beside = i.also_version_2 == Some(true) && a.auth_type == Some(AuthType::Pass);
        if version == 3 && !beside {
            say!(General, "authentication", "version 3 has no authentication, ignoring it");
            i.authentication = None;
        } else if strict {
            say!(General, "authentication", "strict mode has no authentication, ignoring it");
            i.authentication = None;
        } else if a.auth_type.is_some() && a.auth_pass.is_none() {
            say!(General, "auth_type", "auth_type without auth_pass, ignoring authentication");
            i.authentication = None;
        } else if a.auth_type == Some(AuthType::Ah) && i.state == Some(InitialState::Master) && priority != 255 {
            say!(General, "auth_type", "authentication AH does not go with state MASTER, using BACKUP");
            i.state = Some(InitialState::Backup);
        }
    }
    if let Some(h) = &mut i.auth_hmac {
        if strict && h.mode != HmacMode::Enforce {
            say!(General, "mode", "strict mode needs auth_hmac to be enforced, using mode enforce");
            h.mode = HmacMode::Enforce;
        }
        let first = h.keys.first().map(|k| k.0);
        match h.active_key {
            Some(id) if first.is_some() && !h.keys.iter().any(|k| k.0 == id) => {
                say!(General, "active_key", "active_key {id} is not defined, using the first key");
                h.active_key = first;
            }
            None => h.active_key = first,
            Some(_) => {}
        }
        if first.is_none() {
            // going on without would take adverts of anybody
            say!(General, "auth_hmac", "auth_hmac has no usable key, the instance is refused");
            good = false;
        }
        if i.authentication.as_ref().is_some_and(|a| a.auth_type == Some(AuthType::Ah)) {
            say!(General, "authentication", "auth_type AH does not go with auth_hmac, ignoring authentication");
            i.authentication = None;
        }
    }
    if six && i.authentication.as_ref().is_some_and(|a| a.auth_type == Some(AuthType::Ah)) {
        say!(General, "authentication", "auth_type AH is for IPv4, ignoring authentication");
        i.authentication = None;
    }
    // Unicast.
    i.unicast_peer.retain(|p| {
        let fits = p.address.is_ipv6() == six || i.virtual_ipaddress.is_empty();
        if !fits {
            d.push(
                Class::General,
                at.of("vrrp_instance", &name, "unicast_peer"),
                format!("({name}) unicast peer {} is of the other family, ignoring it", p.address),
            );
        }
        fits
    });
    if i.unicast_peer.is_empty() {
        if i.unicast_fault_no_peer {
            say!(Deprecated, "unicast_peer", "unicast settings without unicast_peer: the instance stays in FAULT");
        } else if i.unicast_words {
            say!(Deprecated, "unicast_peer", "unicast settings without unicast_peer: adverts go by multicast");
        }
        i.unicast_ttl = None;
    } else if strict {
        say!(General, "unicast_peer", "strict mode does not allow unicast, the instance is refused");
        good = false;
    }
    if i.src_ip.is_some_and(|s| s.is_ipv6() != six && !i.virtual_ipaddress.is_empty()) {
        say!(General, "unicast_src_ip", "the source address is of the other family, ignoring it");
        i.src_ip = None;
    }
    if i.use_ipvlan.is_some() && i.use_vmac.is_some() {
        say!(General, "use_ipvlan", "use_ipvlan does not go with use_vmac, ignoring it");
        i.use_ipvlan = None;
    }
    if let Some(v) = &mut i.use_ipvlan {
        let length = if six { 128 } else { 32 };
        if v.address.is_some_and(|a| a.address.is_ipv6() != six) {
            say!(General, "use_ipvlan", "the address of its ipvlan is of the other family, ignoring it");
            v.address = None;
        }
        v.address = v.address.or(i.src_ip.map(|address| IpCidr { address, prefix: length }));
        if v.address.is_none() && !six {
            say!(
                General,
                "use_ipvlan",
                "IPv4 ipvlan requires a source ip address to be configured, the instance is refused"
            );
            good = false;
        }
        i.src_ip = v.address.map(|a| a.address);
    }
    if i.vmac_xmit_base && i.use_vmac.is_none() {
        say!(General, "vmac_xmit_base", "vmac_xmit_base without use_vmac, ignoring it");
        i.vmac_xmit_base = false;
    }
    if i.vmac_xmit_base && strict {
        say!(General, "vmac_xmit_base", "strict mode does not allow vmac_xmit_base, ignoring it");
        i.vmac_xmit_base = false;
    }
    if i.use_vmac.is_some() && i.promote_secondaries {
        say!(General, "promote_secondaries", "promote_secondaries is always set for virtual links, ignoring it");
    }
    if i.use_vmac.is_some() && !i.unicast_peer.is_empty() && !i.vmac_xmit_base {
        say!(General, "use_vmac", "unicast needs vmac_xmit_base, setting it");
        i.vmac_xmit_base = true;
    }
    if strict && version == 2 && i.accept == Some(true) && priority != 255 {
        say!(General, "accept", "strict mode of version 2 has no accept, ignoring it");
        i.accept = None;
    }
    if strict {
        // Strict mode has its own values of these, whatever global_defs says. Who wrote them for this instance means something.
        let clashes = [
            ("garp_lower_prio_repeat", i.garp_lower_prio_repeat.take().is_some_and(|n| n > 0)),
            ("garp_lower_prio_delay", i.garp_lower_prio_delay.take().is_some_and(|s| s > 0)),
            ("down_timer_adverts", i.down_timer_adverts.take().is_some_and(|n| n != 3)),
            ("lower_prio_no_advert", i.lower_prio_no_advert.take() == Some(false)),
            ("higher_prio_send_advert", i.higher_prio_send_advert.take() == Some(true)),
        ];
        for (word, _) in clashes.into_iter().filter(|(_, clash)| *clash) {
            let place = at.of("vrrp_instance", &name, word);
            d.push(Class::General, place, format!("({name}) strict mode has its own {word}, ignoring this one"));
        }
    }
    // Tracking.
    i.track_interface.retain(|t| {
        if t.name == interface {
            d.push(
                Class::General,
                t.place.span(),
                format!("({name}) tracks its own interface anyway, ignoring the entry"),
            );
            return false;
        }
        if host.interface(&t.name).is_none() && !globals.dynamic_interfaces {
            let help = crate::diag::meant(&t.name, host.links().iter().map(String::as_str));
            let text = format!("({name}) tracked interface {} does not exist now", t.name);
            d.push_help(Class::General, t.place.span(), text, help);
        }
        true
    });
    if priority == 255 {
        let tracks = [
            &mut i.track_interface,
            &mut i.track_script,
            &mut i.track_file,
            &mut i.track_process,
            &mut i.track_service,
        ];
        for list in tracks {
            list.retain(|t| {
                let weighted = t.weight.is_some_and(|w| w != 0);
                if weighted {
                    d.push(
                        Class::General,
                        t.place.span(),
                        format!("({name}) an address owner's priority cannot change, ignoring tracking of {}", t.name),
                    );
                }
                !weighted
            });
        }
    }
    good
}
