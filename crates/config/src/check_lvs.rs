//! Checks of virtual servers after parsing.

use crate::diag::{Class, Diagnostics, Span};
use crate::host::{Host, ScriptFile};
use crate::model::{Checker, Config, Method, Reach, RealServer, Script, Served, ServerGroup, VirtualServer};
use crate::places::Places;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use steadfast_core::ipvs::Granularity;

/// Where a keyword of the check at hand is.
type Spots<'a> = dyn Fn(&str) -> Option<Span> + 'a;

/// Checks all; true when there are scripts that run.
pub(crate) fn check(config: &mut Config, host: &dyn Host, places: &Places, d: &mut Diagnostics) -> bool {
    let instances: HashSet<String> = config.instances.iter().map(|i| i.name.clone()).collect();
    // The first one of a name.
    let groups: HashMap<&str, &ServerGroup> = config.server_groups.iter().rev().map(|g| (g.name.as_str(), g)).collect();
    let files: HashSet<String> = config.files.iter().map(|f| f.name.clone()).collect();
    let bfd: HashSet<String> = config.bfd.iter().filter(|b| b.is_for_checker()).map(|b| b.name.clone()).collect();
    let mut any_script = false;
    config.virtual_servers.retain_mut(|v| {
        let keep = service(v, &groups, &instances, d);
        let authorities = config.ssl.as_ref().is_some_and(|s| s.ca.is_some());
        for r in &mut v.real_servers {
            let asked = |c: &Checker| {
                matches!(c, Checker::Http(h) if h.tls && h.tls_verify == Some(true))
                    || matches!(c, Checker::Grpc(g) if g.tls == Some(true) && g.tls_verify == Some(true))
            };
            let place = r.place;
            if let Some(n) = r.checkers.iter().position(asked).filter(|_| !authorities) {
                let at = places.of_check(place, n, "tls_verify");
                d.push(Class::General, at, "tls_verify needs ca in SSL; the check will fail");
            }
            for (n, c) in r.checkers.iter_mut().enumerate() {
                let at = |word: &str| places.of_check(place, n, word);
                let program = if let Checker::Misc(m) = c { m.misc_path.as_ref() } else { None };
                let first = program.filter(|s| s.shell.is_none()).and_then(|s| s.argv.first());
                if let Some(first) = first.filter(|first| matches!(host.script(first), ScriptFile::Missing)) {
                    d.push(Class::Note, at("misc_path"), format!("MISC_CHECK: program '{first}' does not exist now"));
                }
                idle(c, &at, d);
                reach(c, r.address, &at, d);
            }
            let mut numbers = 0..;
            r.checkers.retain(|c| {
                let n = numbers.next().unwrap_or_default();
                known(c, &files, &bfd, &|word| places.of_check(place, n, word), d)
            });
        }
        if keep {
            let scripts = [v.quorum_up.as_ref(), v.quorum_down.as_ref()]
                .into_iter()
                .chain(v.real_servers.iter().flat_map(|r| [r.notify_up.as_deref(), r.notify_down.as_deref()]));
            let misc = v.real_servers.iter().flat_map(|r| &r.checkers).filter_map(|c| match c {
                Checker::Misc(m) => m.misc_path.as_ref(),
                _ => None,
            });
            any_script |= scripts.flatten().chain(misc).any(|s| exists(s, host));
        }
        keep
    });
    overlaps(config, d);
    unchecked(config, d);
    of_tracked(config, d);
    any_script
}

/// What does not go together with a virtual server whose quorum an instance follows.
fn of_tracked(config: &Config, d: &mut Diagnostics) {
    let of_groups = config.groups.iter().map(|g| &g.track_service);
    let tracks = || config.instances.iter().map(|i| &i.track_service).chain(of_groups.clone()).flatten();
    let tracked: HashSet<&str> = tracks().map(|t| t.name.as_str()).collect();
    let gives_up: HashSet<&str> = tracks().filter(|t| t.weight.unwrap_or(0) == 0).map(|t| t.name.as_str()).collect();
    for v in config.virtual_servers.iter().filter(|_| !tracked.is_empty()) {
        let name = v.served.to_string();
        let mut note =
            |text: &str| d.push(Class::Note, v.place.span(), format!("virtual server {}: {text}", named(&v.served)));
        if v.ha_suspend.is_some() && tracked.contains(name.as_str()) {
            note("an instance tracks it, so its checks go on without its quorum whatever ha_suspend says");
        }
        if v.sorry_server.is_some() && gives_up.contains(name.as_str()) {
            note("an instance gives its address up without its quorum: nobody reaches the sorry server here then");
        }
    }
}

/// Says once that there are virtual servers of which nobody looks whether their servers live: keepalived takes that as it is.
fn unchecked(config: &Config, d: &mut Diagnostics) {
    let bare = |v: &&VirtualServer| v.real_servers.iter().all(|r| r.checkers.is_empty());
    let mut all = config.virtual_servers.iter().filter(bare);
    let Some(first) = all.next() else { return };
    let more = all.count();
    let all = if more == 0 { String::new() } else { format!(" and {more} more") };
    let text =
        format!("virtual server {}{all}: no real server is checked, a dead one is not taken out", named(&first.served));
    d.push(Class::Note, first.place.span(), text);
}

/// Services of IPVS that two virtual servers stand for: the kernel has each of them once.
fn overlaps(config: &Config, d: &mut Diagnostics) {
    // Protocol, port and family, first and last address; of a mark: neither, and the mark itself.
    type Span = ((u8, u16, bool), u128, u128, usize);
    let number = |a: IpAddr| match a {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    };
    let groups: HashMap<&str, &ServerGroup> = config.server_groups.iter().map(|g| (g.name.as_str(), g)).collect();
    let mut all: Vec<Span> = Vec::new();
    for (i, v) in config.virtual_servers.iter().enumerate() {
        let protocol = v.protocol.unwrap_or(17);
        let mark = |m: u32, six: bool| ((0, 0, six), u128::from(m), u128::from(m), i);
        let range =
            |first: IpAddr, last: IpAddr, port| ((protocol, port, first.is_ipv6()), number(first), number(last), i);
        match &v.served {
            Served::Nothing => {}
            Served::Address(a, port) => all.push(range(*a, *a, *port)),
            Served::Mark(m) => all.push(mark(*m, v.six(None))),
            Served::Group(g) => {
                let Some(g) = groups.get(g.as_str()) else { continue };
                all.extend(g.marks.iter().map(|(m, six)| mark(*m, six.unwrap_or_else(|| v.six(Some(g))))));
                // With nftables_ipvs a mark of its own stands for them.
                if config.globals.nftables_ipvs.is_none() {
                    all.extend(g.ranges.iter().map(|(first, last, port)| range(*first, *last, *port)));
                }
            }
        }
    }
    all.sort_unstable();
    let mut pairs = BTreeSet::new();
    let mut furthest: Option<&Span> = None;
    for span in &all {
        match furthest.filter(|f| f.0 == span.0 && span.1 <= f.2) {
            Some(f) if f.3 != span.3 => drop(pairs.insert((f.3.max(span.3), f.3.min(span.3)))),
            _ => {}
        }
        if furthest.is_none_or(|f| f.0 != span.0 || f.2 < span.2) {
            furthest = Some(span);
        }
    }
    for (later, earlier) in pairs {
        if let (Some(v), Some(first)) = (config.virtual_servers.get(later), config.virtual_servers.get(earlier)) {
            let (name, other) = (named(&v.served), named(&first.served));
            // Two of one group with protocols of their own have no more in common than its marks.
            let all =
                v.served == first.served && (v.protocol == first.protocol || !matches!(v.served, Served::Group(_)));
            let what = match all {
                true => "the same one is defined before, and serves it alone".to_string(),
                false => format!("virtual server {other} serves a part of it, and has that part"),
            };
            d.push(Class::Note, v.place.span(), format!("virtual server {name}: {what}"));
        }
    }
}

fn exists(s: &Script, host: &dyn Host) -> bool {
    let first = s.argv.first().map(String::as_str).unwrap_or("");
    s.shell.is_none() && !matches!(host.script(first), ScriptFile::Missing)
}

/// Words of a check that mean nothing to it are forgotten, and that is said.
fn idle(c: &mut Checker, at: &Spots<'_>, d: &mut Diagnostics) {
    match c {
        Checker::Ping(p) => {
            let port = p.reach.connect_port.take();
            if port.is_some() {
                d.push(Class::Note, at("connect_port"), "PING_CHECK: an echo has no port, ignoring connect_port");
            }
        }
        Checker::Http(h) if h.http2 == Some(true) => {
            let own = h.tls_compliant.take() == Some(true);
            let of_pages = h.url.iter_mut().filter_map(|u| u.tls_compliant.take()).any(|wanted| wanted);
            if own || of_pages {
                let text = "tls_compliant: HTTP/2 says itself where an answer ends, ignoring it";
                d.push(Class::Note, at("tls_compliant"), text);
            }
        }
        Checker::Agent(a) => {
            let p = &mut a.pace;
            let given = [
                ("retry", p.retry.take().is_some()),
                ("delay_before_retry", p.delay_before_retry.take().is_some()),
                ("alpha", p.alpha.take().is_some()),
                ("rise", p.rise.take().is_some()),
                ("fall", p.fall.take().is_some()),
            ];
            let words: Vec<&str> = given.into_iter().filter(|(_, given)| *given).map(|(word, _)| word).collect();
            if let Some(first) = words.first() {
                let text = format!("AGENT_CHECK: what an agent says counts at once, ignoring {}", words.join(", "));
                d.push(Class::Note, at(first), text);
            }
        }
        _ => {}
    }
}

/// Where a check goes and comes from fits together.
fn reach(c: &mut Checker, server: Option<IpAddr>, at: &Spots<'_>, d: &mut Diagnostics) {
    if let Checker::Udp(u) = c
        && u.min_reply_length > u.max_reply_length
    {
        let text = "UDP_CHECK: min_reply_length is above max_reply_length";
        d.push(Class::General, at("min_reply_length"), text);
    }
    let reach = match c {
        Checker::Tcp(x) => &mut x.reach,
        Checker::Ping(x) => &mut x.reach,
        Checker::Udp(x) => &mut x.reach,
        Checker::Http(x) => &mut x.reach,
        Checker::Dns(x) => &mut x.reach,
        Checker::Smtp(x) => &mut x.reach,
        Checker::Agent(x) => &mut x.reach,
        Checker::Grpc(x) => &mut x.reach,
        Checker::Misc(_) | Checker::File(_) | Checker::Bfd(_) => return,
    };
    fits(reach, server, at, d);
    if let Checker::Smtp(x) = c {
        x.host.iter_mut().for_each(|host| fits(&mut host.reach, server, at, d));
    }
}

fn fits(reach: &mut Reach, server: Option<IpAddr>, at: &Spots<'_>, d: &mut Diagnostics) {
    let to = reach.connect_ip.or(server);
    // A link-local address is one of a link.
    if let Some(IpAddr::V6(local)) = to.filter(|_| reach.bind_if.is_none())
        && local.is_unicast_link_local()
    {
        let text = format!("a check of the link-local address {local} needs a bind_if, and fails without");
        d.push(Class::General, at("connect_ip"), text);
    }
    if let (Some(from), Some(to)) = (reach.bindto, to)
        && from.is_ipv4() != to.is_ipv4()
    {
        let text = format!("bindto {from} is of another address family than {to}, ignoring it");
        d.push(Class::General, at("bindto"), text);
        reach.bindto = None;
    }
}

/// What a check needs is there.
fn known(c: &Checker, files: &HashSet<String>, bfd: &HashSet<String>, at: &Spots<'_>, d: &mut Diagnostics) -> bool {
    let (kind, word, name, there) = match c {
        Checker::File(f) => {
            let name = f.track_file.clone().unwrap_or_default();
            ("FILE_CHECK: track_file", "track_file", name.clone(), files.contains(&name))
        }
        Checker::Bfd(b) if b.undefined => return false,
        Checker::Bfd(b) => {
            let name = b.name.clone().unwrap_or_default();
            ("BFD_CHECK: bfd_instance", "name", name.clone(), bfd.contains(&name))
        }
        Checker::Misc(m) if m.user == Some(None) => {
            d.push(Class::General, at("user"), "MISC_CHECK: its user does not exist, ignoring the check");
            return false;
        }
        _ => return true,
    };
    if !there {
        d.push(Class::General, at(word), format!("{kind} '{name}' is not defined, ignoring the check"));
    }
    there
}

/// The name of a service in reports.
fn named(s: &Served) -> String {
    match s {
        Served::Nothing => String::new(),
        Served::Address(a, p) => format!("[{a}]:{p}"),
        Served::Mark(n) => format!("FWM {n}"),
        Served::Group(g) => format!("group {g}"),
    }
}

fn service(
    v: &mut VirtualServer,
    groups: &HashMap<&str, &ServerGroup>,
    instances: &HashSet<String>,
    d: &mut Diagnostics,
) -> bool {
    let (name, at) = (named(&v.served), v.place.span());
    let mut say = |class, text: String| d.push(class, at, format!("virtual server {name}: {text}"));
    if v.real_servers.is_empty() {
        say(Class::General, "it has no real server, ignoring it".into());
        return false;
    }
    let group = if let Served::Group(g) = &v.served { groups.get(g.as_str()).copied() } else { None };
    if matches!(v.served, Served::Group(_)) && group.is_none() {
        say(Class::Note, "the group is not defined, ignoring the virtual server".into());
        return false;
    }
    if group.is_some_and(|g| g.ranges.is_empty() && g.marks.is_empty()) {
        say(Class::Note, "the group is empty, ignoring the virtual server".into());
        return false;
    }
    if matches!(v.served, Served::Mark(0)) {
        say(Class::General, "0 is no mark, ignoring the virtual server".into());
        return false;
    }
    let addresses = match (&v.served, group) {
        (Served::Address(..), _) => true,
        (_, Some(g)) => !g.ranges.is_empty(),
        _ => false,
    };
    // A mark without a family of its own has the one that is said here.
    let marked = group.is_some_and(|g| g.ranges.is_empty() && g.marks.iter().all(|(_, six)| six.is_some()));
    if let Some(six) = v.ip_family.filter(|_| addresses || marked)
        && !v.families(group).contains(&six)
    {
        let family = if six { "inet6" } else { "inet" };
        let what = if marked { "the families of its marks" } else { "its addresses" };
        say(Class::General, format!("ip_family {family} conflicts with {what}, ignoring it"));
        v.ip_family = None;
    }
    if let Some(mark) = group.filter(|_| v.ip_family.is_none()).and_then(ServerGroup::ambiguous) {
        let family = if v.six(group) { "inet6" } else { "inet" };
        let text =
            format!("the group has addresses of both families, so fwmark {mark} needs inet or inet6, using {family}");
        say(Class::General, text);
    }
    let marks = matches!(v.served, Served::Mark(_)) || group.is_some_and(ServerGroup::is_of_marks);
    match (marks, v.protocol) {
        (true, Some(_)) => say(Class::General, "a mark has no protocol, ignoring it".into()),
        (true, None) => {}
        (_, None) => {
            say(Class::General, "no protocol is given, using UDP".into());
            v.protocol = Some(17);
        }
        _ => {}
    }
    if matches!(v.served, Served::Mark(_)) && v.ha_suspend.take_if(|i| i.is_none()).is_some() {
        say(Class::General, "ha_suspend does not go with a mark, ignoring it".into());
    }
    if let Some(Some(i)) = v.ha_suspend.take_if(|i| i.as_ref().is_some_and(|i| !instances.contains(i))) {
        say(Class::General, format!("ha_suspend: there is no vrrp_instance {i}, ignoring it"));
    }
    if v.ops && v.protocol.is_some_and(|p| p != 17) {
        say(Class::General, "ops goes with UDP only, ignoring it".into());
        v.ops = false;
    }
    if v.scheduler.is_none() {
        say(Class::General, "no lb_algo is given, using wlc".into());
        v.scheduler = Some("wlc".into());
    }
    let method = match v.method {
        Some(m) => m,
        None => {
            if v.real_servers.iter().any(|r| r.method.is_none()) {
                say(Class::General, "no lb_kind is given, using NAT".into());
            }
            v.method = Some(Method::Nat);
            Method::Nat
        }
    };
    granularity(v, group, &mut say);
    let no_port = match (&v.served, group) {
        (Served::Address(_, port), _) => *port == 0,
        (_, Some(g)) => g.ranges.iter().any(|r| r.2 == 0),
        _ => false,
    };
    if no_port && v.persistence_timeout.is_none() {
        say(Class::General, "port 0 needs persistence, setting it".into());
        v.persistence_timeout = Some(360);
    }
    if v.persistence_timeout.is_none() && v.persistence_engine.take().is_some() {
        say(Class::Note, "persistence_engine goes with a persistence_timeout, ignoring it".into());
    }
    if v.sorry_server.is_none() && v.sorry_server_lvs_method.take().is_some() {
        say(Class::General, "sorry_server_lvs_method without a sorry_server, ignoring it".into());
    }
    if let Some((sorry, port)) = v.sorry_server {
        let m = v.sorry_server_lvs_method.unwrap_or(method);
        if !v.families(group).contains(&sorry.is_ipv6()) && !matches!(m, Method::Tunnel { .. }) {
            say(Class::General, "the sorry server is of the other address family, ignoring it".into());
            v.sorry_server = None;
        } else if port != 0 && m != Method::Nat && !ports(&v.served, group).all(|p| p == port) {
            say(Class::General, "DR and TUN keep the port of the service, so will the sorry server".into());
            v.sorry_server = Some((sorry, 0));
        }
    }
    servers(v, group, method, &name, d);
    if v.real_servers.is_empty() {
        d.push(Class::General, at, format!("virtual server {name}: it has no real server left, ignoring it"));
        return false;
    }
    let mut families = v.families(group);
    families.sort_unstable();
    families.dedup();
    let tunnelled = |r: &RealServer| matches!(r.method.unwrap_or(method), Method::Tunnel { .. });
    for six in families {
        if !v.real_servers.iter().any(|r| tunnelled(r) || r.address.is_some_and(|a| a.is_ipv6() == six)) {
            let family = if six { "IPv6" } else { "IPv4" };
            let text =
                format!("virtual server {name}: none of its real servers is of {family}: those services are left out");
            d.push(Class::Note, at, text);
        }
    }
    let total = v.real_servers.iter().map(|r| u64::from(r.weight.unwrap_or(v.weight))).sum::<u64>();
    let mut say = |text: String| d.push(Class::General, at, format!("virtual server {name}: {text}"));
    if u64::from(v.quorum) > total {
        say(format!("quorum {} is above the weight {total} of all servers, lowering it", v.quorum));
        v.quorum = u32::try_from(total.max(1)).unwrap_or(u32::MAX);
    }
    if v.hysteresis >= v.quorum && v.hysteresis > 0 {
        say(format!("hysteresis {} is not below the quorum, using 0", v.hysteresis));
        v.hysteresis = 0;
    }
    true
}

/// A netmask is for IPv4 and the length of a prefix for IPv6. A length on IPv4, which keepalived reads as the bits of a mask, means the
/// mask of that length.
fn granularity(v: &mut VirtualServer, group: Option<&ServerGroup>, say: &mut impl FnMut(Class, String)) {
    let families = v.families(group);
    let wrong = match v.persistence_granularity {
        Some(Granularity::Prefix(bits)) if !families.contains(&true) => {
            let mask = u32::MAX.checked_shl(32u32.saturating_sub(bits.into())).unwrap_or(0);
            v.persistence_granularity = (bits <= 32).then_some(Granularity::Mask(mask));
            if bits <= 32 {
                let (mask, bytes) = (Ipv4Addr::from(mask), Ipv4Addr::from(u32::from(bits)));
                let text = format!(
                    "persistence_granularity {bits} of an IPv4 service is taken for {mask} (keepalived takes it for {bytes})"
                );
                return say(Class::Note, text);
            }
            format!("{bits} is no netmask of an IPv4 service")
        }
        Some(Granularity::Mask(mask)) if !families.contains(&false) => {
            v.persistence_granularity = None;
            format!("{} is no prefix length of an IPv6 service", Ipv4Addr::from(mask))
        }
        // Both families: each service of the group is of one.
        Some(granularity) => {
            let (of, other) = match granularity {
                Granularity::Prefix(_) => ("IPv6", "IPv4"),
                Granularity::Mask(_) => ("IPv4", "IPv6"),
            };
            if families.contains(&true) && families.contains(&false) {
                let text = format!(
                    "persistence_granularity holds for the {of} services of the group; those of {other} take whole addresses"
                );
                say(Class::Note, text);
            }
            return;
        }
        None => return,
    };
    say(Class::General, format!("persistence_granularity: {wrong}, ignoring it"));
}

/// The ports of the services, where they have any.
fn ports(served: &Served, group: Option<&ServerGroup>) -> impl Iterator<Item = u16> {
    let own = if let Served::Address(_, port) = served { Some(*port) } else { None };
    own.into_iter().chain(group.into_iter().flat_map(|g| g.ranges.iter().map(|r| r.2)))
}

/// The real servers of a service.
fn servers(v: &mut VirtualServer, group: Option<&ServerGroup>, method: Method, name: &str, d: &mut Diagnostics) {
    let port = if let Served::Address(_, p) = v.served { Some(p) } else { None };
    let (families, ports): (Vec<bool>, Vec<u16>) = (v.families(group), ports(&v.served, group).collect());
    let mut seen: HashSet<(IpAddr, Option<u16>)> = HashSet::new();
    v.real_servers.retain_mut(|r: &mut RealServer| {
        let Some(own) = r.address else { return false };
        let mut say =
            |text: &str| d.push(Class::General, r.place.span(), format!("virtual server {name}: {own}: {text}"));
        let m = r.method.unwrap_or(method);
        // None is the one of the service, where that has one.
        r.port = r.port.filter(|p| *p != 0 || port.is_none());
        if !families.contains(&own.is_ipv6()) && !matches!(m, Method::Tunnel { .. }) {
            say("a real server of the other address family needs TUN, ignoring it");
            return false;
        }
        if let (Some(service), Some(p)) = (port, r.port)
            && service != p
            && !matches!(m, Method::Nat)
        {
            say("DR and TUN keep the port of the service, using it");
            r.port = Some(service);
        } else if let (None, Some(p)) = (port, r.port.filter(|p| *p != 0))
            && !matches!(m, Method::Nat)
            && !ports.iter().all(|of| *of == p)
        {
            say("DR and TUN keep the port of the service, its own is for the checks alone");
        } else if ports.is_empty() && r.port.is_some_and(|p| p != 0) && !matches!(m, Method::Nat) {
            say("a mark has no port, which DR and TUN keep: its own is for the checks alone");
        }
        if !seen.insert((own, r.port.or(port))) {
            say("it is given already, ignoring this one");
            return false;
        }
        true
    });
}
