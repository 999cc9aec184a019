//! Virtual links: reading `use_vmac` and choosing names and hardware addresses.

use crate::diag::{Class, Diagnostics};
use crate::host::Host;
use crate::model::{Config, Ipvlan, Vmac, VrrpInstance};
use crate::parse::Cx;
use crate::places::Places;
use std::collections::HashSet;
use steadfast_core::kernel::Isolation;
use steadfast_core::{Family, IpCidr, Mac};

/// Why a link cannot have this name: the kernel's rules, and what would lead to another file of `/proc/sys`.
pub(crate) fn bad_name(text: &str) -> Option<&'static str> {
    if text.len() > 15 {
        Some("is longer than 15 characters")
    } else if matches!(text, "" | "." | "..") || text.contains(|c: char| c == '/' || c == ':' || c.is_whitespace()) {
        Some("is no name of a link")
    } else {
        None
    }
}

/// `vrf IF`.
pub(crate) fn vrf(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    match bad_name(&w.text) {
        Some(why) => c.report_at(Class::General, w, format!("VRF interface name '{}' {why} - ignoring", w.text)),
        None => *v = Some(w.text.to_string()),
    }
}

/// `use_vmac [name IF|IF] [MAC] [netlink_notify_msg] [group G]`.
pub(crate) fn line(c: &mut Cx<'_>, v: &mut Option<Vmac>) {
    // A second line adds to the first.
    let new = v.get_or_insert_default();
    let mut n = 1;
    while let Some(w) = c.word(n) {
        n += 1;
        match w.text.as_str() {
            // Netlink tells us of links in any case.
            "netlink_notify_msg" => {}
            "group" => {
                let Some(value) = c.word(n) else {
                    c.report(Class::MissingParameter, "'group' needs a value");
                    break;
                };
                n += 1;
                match value.text.parse() {
                    Ok(g) => new.group = Some(g),
                    Err(_) => c.report_at(Class::General, value, format!("'{}' is not a link group", value.text)),
                }
            }
            "name" if new.name.is_none() && c.word(n).is_some() => {}
            text => match mac(text) {
                // That of a virtual router is the default already, and of another one is another router's (RFC 9568 section 7.3).
                Some([Some(0), Some(0), Some(0x5e), Some(0), Some(1 | 2), _]) => {
                    let text = format!("'{text}' is a virtual router's hardware address, ignoring it");
                    c.report_at(Class::General, w, text);
                }
                Some([Some(first), ..]) if first & 1 == 1 => {
                    c.report_at(Class::General, w, format!("'{text}' is a group's hardware address, ignoring it"));
                }
                Some(m) => new.mac = Some(m),
                None if text.contains(':') => {
                    c.report_at(Class::General, w, format!("'{text}' is not a hardware address"));
                }
                None if new.name.is_none() => match bad_name(text) {
                    Some(why) => {
                        let text = format!("VMAC interface name '{text}' {why} - ignoring");
                        c.report_at(Class::General, w, text);
                    }
                    None => new.name = Some(text.to_string()),
                },
                None => c.report_at(Class::General, w, format!("'{text}' is one name too many")),
            },
        }
    }
}

/// `use_ipvlan [name IF|IF] [ADDR[/LEN]] [bridge|private|vepa] [group G]`.
pub(crate) fn ipvlan(c: &mut Cx<'_>, v: &mut Option<Ipvlan>) {
    if v.is_some() {
        c.report(Class::General, "use_ipvlan already specified");
        return;
    }
    let mut new = Ipvlan::default();
    let mut n = 1;
    while let Some(w) = c.word(n) {
        n += 1;
        let isolation = match w.text.as_str() {
            "bridge" => Some(Isolation::Bridge),
            "private" => Some(Isolation::Private),
            "vepa" => Some(Isolation::Vepa),
            _ => None,
        };
        match (w.text.as_str(), c.word(n)) {
            ("name", Some(_)) if new.name.is_none() => {}
            ("group", Some(value)) => {
                n += 1;
                match value.text.parse() {
                    Ok(g) => new.group = Some(g),
                    Err(_) => c.report_at(Class::General, value, format!("'{}' is not a link group", value.text)),
                }
            }
            (text, _) if isolation.is_some() => {
                if new.isolation.is_some() {
                    c.report_at(Class::General, w, format!("ipvlan type already specified - ignoring '{text}'"));
                } else {
                    new.isolation = isolation;
                }
            }
            (text, _) => match text.parse::<IpCidr>() {
                Ok(_) if new.address.is_some() => {
                    c.report_at(Class::General, w, format!("ipvlan address already specified - ignoring '{text}'"));
                }
                Ok(a) => new.address = Some(a),
                Err(_) if new.name.is_none() => match bad_name(text) {
                    Some(why) => {
                        let text = format!("IPVLAN interface name '{text}' {why} - ignoring");
                        c.report_at(Class::General, w, text);
                    }
                    None => new.name = Some(text.to_string()),
                },
                Err(_) => {
                    c.report_at(Class::General, w, format!("IPVLAN interface already specified - ignoring '{text}'"));
                }
            },
        }
    }
    *v = Some(new);
}

/// Six octets, or five to which the router id is added.
fn mac(text: &str) -> Option<[Option<u8>; 6]> {
    let octets: Vec<u8> = text.split(':').map(|o| u8::from_str_radix(o, 16).ok()).collect::<Option<_>>()?;
    match octets[..] {
        [a, b, c, d, e, f] => Some([Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)]),
        [a, b, c, d, e] => Some([Some(a), Some(b), Some(c), Some(d), Some(e), None]),
        _ => None,
    }
}

impl Vmac {
    /// The hardware address: the one given, else the virtual router's (RFC 9568 section 7.3).
    pub fn address(&self, family: Family, vrid: u8) -> Mac {
        match self.mac {
            Some(octets) => Mac(octets.map(|o| o.unwrap_or(vrid))),
            None => Mac::virtual_router(family, vrid),
        }
    }
}

/// Names that are not to be had.
struct Taken<'a> {
    names: HashSet<String>,
    host: &'a dyn Host,
}

impl Taken<'_> {
    fn contains(&self, name: &str) -> bool {
        self.names.contains(name) || self.host.foreign_link(name)
    }
}

/// Gives every virtual link of the configuration a name of its own, which no link of another kind has.
pub(crate) fn names(config: &mut Config, host: &dyn Host, at: &Places, d: &mut Diagnostics) {
    let prefix = config.globals.vmac_prefix.clone().unwrap_or_else(|| "vrrp".into());
    let address_prefix = config.globals.vmac_addr_prefix.clone().unwrap_or_else(|| prefix.clone());
    let mut taken = Taken { names: HashSet::new(), host };
    for i in &mut config.instances {
        let six = crate::check::family(i);
        let strict = i.strict_mode == Some(true);
        if let Some(v) = &mut i.use_ipvlan {
            own_name(&mut v.name, i.virtual_router_id, (&prefix, six), (&i.name, "use_ipvlan"), &mut taken, at, d);
        }
        let Some(v) = &mut i.use_vmac else {
            address_links(i, six, &address_prefix, &mut taken);
            continue;
        };
        if strict && v.mac.take().is_some() {
            let text = format!("({}) strict mode allows the standard virtual MAC only, using it", i.name);
            d.push(Class::General, at.of("vrrp_instance", &i.name, "use_vmac"), text);
        }
        own_name(&mut v.name, i.virtual_router_id, (&prefix, six), (&i.name, "use_vmac"), &mut taken, at, d);
        address_links(i, six, &address_prefix, &mut taken);
    }
}

/// The name of an instance's virtual link: the one that is wanted, unless another instance has it.
fn own_name(
    name: &mut Option<String>,
    vrid: Option<u8>,
    (prefix, six): (&str, bool),
    (instance, word): (&str, &str),
    taken: &mut Taken,
    at: &Places,
    d: &mut Diagnostics,
) {
    if let Some(name) = name.take_if(|n| taken.contains(n)) {
        let whose = if taken.host.foreign_link(&name) { " by a link that is no virtual one" } else { "" };
        let text = format!("({instance}) the name {name} of its virtual link is in use{whose}, choosing another");
        d.push(Class::General, at.of("vrrp_instance", instance, word), text);
    }
    taken.names.insert(name.get_or_insert_with(|| free_name(prefix, six, vrid.unwrap_or(0), taken)).clone());
}

/// The first name that nobody has.
fn free_name(prefix: &str, six: bool, vrid: u8, taken: &Taken) -> String {
    let numbered = (1..).map(|n| format!("{prefix}{n}.{vrid}"));
    let first = if six { format!("{prefix}6.{vrid}") } else { format!("{prefix}.{vrid}") };
    // Bounded: each instance takes a few.
    std::iter::once(first).chain(numbered).take(100_000).find(|n| !taken.contains(n)).unwrap_or_default()
}

/// A virtual link for each link and family of addresses that want one of their own: those of `use_vmac`, with `use_vmac_addr` all
/// that are not on the instance's link or not of its family, and with a virtual link of the instance those of the other family:
/// their MAC address is another one (RFC 9568 section 7.3).
fn address_links(i: &mut VrrpInstance, six: bool, prefix: &str, taken: &mut Taken) {
    let Some(base) = i.interface.clone() else { return };
    let vrid = i.virtual_router_id.unwrap_or(0);
    let has_own = i.use_vmac.is_some();
    let all = i.virtual_ipaddress.iter_mut().chain(&mut i.virtual_ipaddress_excluded);
    for (a, ..) in all {
        let (there, own_family) = (a.interface == base, a.cidr.address.is_ipv6() == six);
        let elsewhere = !there || !own_family;
        // What is on the instance's link and of its family is on its virtual link, if it has one.
        let wanted = a.own_link && (elsewhere || !has_own);
        a.own_link = wanted || elsewhere && (i.use_vmac_addr || (has_own && there));
        let key = (a.interface.to_string(), a.cidr.address.is_ipv6());
        if a.own_link && !i.address_links.iter().any(|(link, six, _)| (link, six) == (&key.0, &key.1)) {
            let name = free_name(prefix, key.1, vrid, taken);
            taken.names.insert(name.clone());
            i.address_links.push((key.0, key.1, name));
        }
    }
}
