//! Address, route, rule and peer lines: words in nearly any order.

use crate::diag::Class;
use crate::model::Peer;
use crate::parse::Cx;
use crate::section::Keyword;
use crate::source::Word;
use std::net::{IpAddr, Ipv4Addr};
use steadfast_core::kernel::{Address, NextHop, Route, RouteKind, Rule, RuleAction};
use steadfast_core::{Family, IpCidr};

const ADDRESS: &str = "address line (virtual_ipaddress, virtual_ipaddress_excluded, static_ipaddress)";
const ROUTE: &str = "route line (virtual_routes, static_routes)";
const RULE: &str = "rule line (virtual_rules, static_rules)";

/// The words of these lines; `-` before a word: known, without effect yet.
const WORDS: &[(&str, &[&str])] = &[
    (
        ADDRESS,
        &[
            "(address)",
            "dev",
            "scope",
            "brd",
            "broadcast",
            "label",
            "peer",
            "home",
            "-nodad",
            "mngtmpaddr",
            "noprefixroute",
            "autojoin",
            "no_track",
            "preferred_lft",
        ],
    ),
    (
        ROUTE,
        &[
            "inet",
            "inet6",
            "to",
            "(type)",
            "src",
            "via",
            "gw",
            "from",
            "tos",
            "dsfield",
            "table",
            "protocol",
            "scope",
            "metric",
            "priority",
            "preference",
            "dev",
            "oif",
            "onlink",
            "mtu",
            "hoplimit",
            "advmss",
            "initcwnd",
            "initrwnd",
            "nexthop",
            "weight",
            "no_track",
        ],
    ),
    (
        RULE,
        &[
            "inet",
            "inet6",
            "not",
            "from",
            "to",
            "table",
            "lookup",
            "preference",
            "order",
            "priority",
            "tos",
            "dsfield",
            "fwmark",
            "suppress_prefixlength",
            "sup_pl",
            "dev",
            "iif",
            "oif",
            "protocol",
            "goto",
            "nop",
            "type",
            "blackhole",
            "unreachable",
            "prohibit",
            "no_track",
        ],
    ),
    ("vrrp_instance > unicast_peer (inline)", &["(peer line)", "min_ttl", "max_ttl"]),
    ("vrrp_instance > track_* entry (inline)", &["weight", "reverse", "noreverse"]),
    ("global_defs > notification_email", &["(address line)"]),
];

/// For the reference.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    WORDS.iter().flat_map(|(section, words)| {
        words.iter().map(|word| Keyword { section, word, syntax: "", range: "", default: "", doc: "", supported: true })
    })
}

/// A cursor over the words of the current line.
struct Words<'c, 'a> {
    c: &'c mut Cx<'a>,
    n: usize,
}

impl<'a> Words<'_, 'a> {
    fn next(&mut self) -> Option<&'a Word> {
        let w = self.c.word(self.n);
        self.n += 1;
        w
    }

    /// The value of an option; a missing one is reported.
    fn value(&mut self, of: &Word) -> Option<&'a Word> {
        let w = self.next();
        if w.is_none() {
            self.c.report_at(Class::General, of, format!("'{}' needs a value", of.text));
        }
        w
    }

    fn number(&mut self, of: &Word, low: i64, high: i64) -> Option<i64> {
        let w = self.value(of)?;
        self.c.number(w, low, high)
    }

    fn u32(&mut self, of: &Word) -> Option<u32> {
        self.number(of, 0, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
    }

    fn interface(&mut self, of: &Word) -> Option<String> {
        self.value(of).map(|w| w.text.clone())
    }

    fn cidr(&mut self, of: &Word) -> Option<IpCidr> {
        let w = self.value(of)?;
        cidr(self.c, w)
    }

    fn named(&mut self, of: &Word, table: &str, fixed: &[(&str, u32)]) -> Option<u32> {
        let w = self.value(of)?;
        let found = fixed
            .iter()
            .find(|(n, _)| *n == w.text)
            .map(|(_, v)| *v)
            .or_else(|| w.text.parse().ok())
            .or_else(|| self.c.host.table(table, &w.text));
        if found.is_none() {
            self.c.report_at(Class::General, w, format!("unknown {} '{}'", of.text, w.text));
        }
        found
    }
}

const SCOPES: &[(&str, u32)] =
    &[("global", 0), ("universe", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)];
const TABLES: &[(&str, u32)] = &[("main", 254), ("local", 255), ("default", 253), ("unspec", 0)];
const PROTOCOLS: &[(&str, u32)] =
    &[("redirect", 1), ("kernel", 2), ("boot", 3), ("static", 4), ("ra", 9), ("keepalived", 18)];

/// `ADDR[/LEN]`; a length that is out of range counts as the full one and is reported.
fn cidr(c: &mut Cx<'_>, w: &Word) -> Option<IpCidr> {
    let (address, length) = w.text.split_once('/').map_or((w.text.as_str(), None), |(a, l)| (a, Some(l)));
    let Ok(address) = address.parse::<IpAddr>() else {
        c.report_at(Class::General, w, format!("'{}' is not an IP address", w.text));
        return None;
    };
    let bits = Family::of(address).bits();
    let prefix = match length.map(str::parse::<u8>) {
        None => bits,
        Some(Ok(l)) if l <= bits => l,
        Some(_) => {
            c.report_at(
                Class::General,
                w,
                format!("the prefix length of '{}' is not between 0 and {bits}, using {bits}", w.text),
            );
            bits
        }
    };
    Some(IpCidr { address, prefix })
}

/// An address line. `instance` leaves the interface open when none is named; the second value says whether it was.
pub(crate) fn address(c: &mut Cx<'_>, instance: Option<()>) -> Option<(Address, bool)> {
    let first = c.word(0)?;
    let cidr = cidr(c, first)?;
    let six = cidr.address.is_ipv6();
    let mut a = Address::new(cidr, "");
    // A virtual address must answer at once; duplicate address detection would keep it silent for a second.
    a.nodad = six;
    a.preferred_lifetime = (six && cidr.prefix == 128).then_some(0);
    let mut named = false;
    let mut w = Words { c, n: 1 };
    while let Some(option) = w.next() {
        match option.text.as_str() {
            "dev" => {
                let dev = w.value(option)?;
                if w.c.host.interface(&dev.text).is_none() {
                    w.c.report_at(Class::General, dev, format!("interface '{}' does not exist now", dev.text));
                }
                a.interface = dev.text.clone();
                named = true;
            }
            "scope" => match w.named(option, "rt_scopes", SCOPES) {
                Some(s) => a.scope = u8::try_from(s).unwrap_or(0),
                None => continue,
            },
            "brd" | "broadcast" => {
                let value = w.value(option)?;
                if let IpAddr::V4(own) = cidr.address {
                    let mask = u32::MAX.checked_shl(32 - u32::from(cidr.prefix)).unwrap_or(0);
                    let own = u32::from(own);
                    match value.text.as_str() {
                        "+" => a.broadcast = Some(Ipv4Addr::from(own | !mask)),
                        "-" => a.broadcast = Some(Ipv4Addr::from(own & mask)),
                        t => match t.parse() {
                            Ok(b) => a.broadcast = Some(b),
                            Err(_) => w.c.report_at(Class::General, value, format!("'{t}' is not a broadcast address")),
                        },
                    }
                } else {
                    w.c.report_at(Class::General, value, "IPv6 has no broadcast address");
                }
            }
            "label" => {
                let value = w.value(option)?;
                if six {
                    w.c.report_at(Class::General, value, "labels are for IPv4 addresses");
                } else if value.text.len() > 15 {
                    w.c.report_at(
                        Class::General,
                        value,
                        format!("label '{}' is longer than 15 characters, ignoring the address", value.text),
                    );
                    return None;
                } else {
                    a.label = Some(value.text.clone());
                }
            }
            "peer" => a.peer = w.cidr(option),
            "home" => a.home = true,
            "-nodad" => a.nodad = true,
            "mngtmpaddr" => a.mngtmpaddr = true,
            "noprefixroute" => a.noprefixroute = true,
            "autojoin" => a.autojoin = true,
            "no_track" => a.no_track = true,
            "preferred_lft" => {
                let value = w.value(option)?;
                a.preferred_lifetime = if value.text == "forever" {
                    None
                } else {
                    w.c.number(value, 0, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
                };
            }
            "use_vmac" => w.c.unsupported("use_vmac"),
            "track_group" => {
                w.value(option)?;
                w.c.unsupported("track_group");
            }
            other => {
                w.c.report_at(Class::General, option, format!("unknown option '{other}' of an address, ignoring it"))
            }
        }
    }
    if instance.is_none() && a.interface.is_empty() {
        a.interface = "eth0".into();
    }
    Some((a, named))
}

/// A peer line.
pub(crate) fn peer(c: &mut Cx<'_>) -> Option<Peer> {
    let first = c.word(0)?;
    // A prefix length is passed over.
    let Ok(address) = first.text.split('/').next().unwrap_or("").parse() else {
        c.report_at(Class::General, first, format!("'{}' is not an IP address", first.text));
        return None;
    };
    let mut ttl = None;
    let mut w = Words { c, n: 1 };
    while let Some(option) = w.next() {
        match option.text.as_str() {
            "min_ttl" => {
                let low = u8::try_from(w.number(option, 0, 255)?).unwrap_or(0);
                ttl = Some((low, ttl.map_or(255, |t: (u8, u8)| t.1)));
            }
            "max_ttl" => {
                let high = u8::try_from(w.number(option, 0, 255)?).unwrap_or(255);
                ttl = Some((ttl.map_or(0, |t: (u8, u8)| t.0), high));
            }
            other => w.c.report_at(Class::General, option, format!("unknown option '{other}' of a peer")),
        }
    }
    Some(Peer { address, ttl })
}

/// A route line; a line with an unknown word is dropped.
pub(crate) fn route(c: &mut Cx<'_>) -> Option<Route> {
    let mut r = Route::new(Family::V4);
    let mut family: Option<Family> = None;
    let mut destination: Option<Option<IpCidr>> = None;
    let mut table = None;
    // Gateways that do not say that they may be of the other family.
    let mut plain_gateways = Vec::new();
    let start = c.place();
    let mut w = Words { c, n: 0 };
    while let Some(o) = w.next() {
        match o.text.as_str() {
            "inet" => family = Some(Family::V4),
            "inet6" => family = Some(Family::V6),
            "to" => {}
            "unicast" => r.kind = RouteKind::Unicast,
            "local" => r.kind = RouteKind::Local,
            "broadcast" | "brd" => r.kind = RouteKind::Broadcast,
            "anycast" => r.kind = RouteKind::Anycast,
            "multicast" => r.kind = RouteKind::Multicast,
            "throw" => r.kind = RouteKind::Throw,
            "unreachable" => r.kind = RouteKind::Unreachable,
            "prohibit" => r.kind = RouteKind::Prohibit,
            "blackhole" => r.kind = RouteKind::Blackhole,
            "src" => r.source = Some(w.cidr(o)?.address),
            "from" => r.from = Some(w.cidr(o)?),
            "via" | "gw" => {
                if o.text == "gw" {
                    w.c.report_at(Class::Deprecated, o, "'gw' is deprecated, use 'via'");
                }
                let mut value = w.value(o)?;
                let other = matches!(value.text.as_str(), "inet" | "inet6");
                if other {
                    value = w.value(o)?;
                }
                let gateway = cidr(w.c, value)?.address;
                plain_gateways.extend((!other).then_some(gateway));
                r.via = Some(gateway);
            }
            "tos" | "dsfield" => r.tos = u8::try_from(w.named(o, "rt_dsfield", &[])?).unwrap_or(0),
            "table" => table = Some(w.named(o, "rt_tables", TABLES)?),
            "protocol" => r.protocol = u8::try_from(w.named(o, "rt_protos", PROTOCOLS)?).unwrap_or(18),
            "scope" => r.scope = u8::try_from(w.named(o, "rt_scopes", SCOPES)?).ok(),
            "metric" | "priority" | "preference" => r.metric = Some(w.u32(o)?),
            "dev" | "oif" => r.interface = Some(w.interface(o)?),
            "onlink" => r.onlink = true,
            "mtu" | "advmss" | "hoplimit" | "initcwnd" | "initrwnd" => {
                if w.c.word(w.n).is_some_and(|v| v.text == "lock") {
                    w.n += 1;
                }
                let value = Some(w.u32(o)?);
                match o.text.as_str() {
                    "mtu" => r.mtu = value,
                    "advmss" => r.advmss = value,
                    "hoplimit" => r.hoplimit = value,
                    "initcwnd" => r.initcwnd = value,
                    _ => r.initrwnd = value,
                }
            }
            "nexthop" => r.nexthops.push(NextHop { via: None, interface: None, weight: 1, onlink: false }),
            "weight" => {
                let weight = u16::try_from(w.number(o, 1, 256)?).unwrap_or(1);
                if let Some(h) = r.nexthops.last_mut() {
                    h.weight = weight;
                }
            }
            "no_track" => r.no_track = true,
            "add" | "prepend" | "append" => {}
            "track_group" | "vrf" | "encap" | "expires" | "rtt" | "rttvar" | "reordering" | "window" | "cwnd"
            | "ssthresh" | "realms" | "rto_min" | "features" | "quickack" | "congctl" | "pref" | "ttl-propagate"
            | "fastopen_no_cookie" | "as" | "or" => {
                w.value(o)?;
                w.c.report_at(
                    Class::Unsupported,
                    o,
                    format!("'{}' of a route is known to keepalived, but not supported yet", o.text),
                );
            }
            "default" | "default6" => destination = Some(None),
            text => match cidr_quiet(text) {
                Some(d) if destination.is_none() => destination = Some(Some(d)),
                _ => {
                    let text = format!("unknown option '{text}' of a route, ignoring the route");
                    w.c.report_at(Class::General, o, text);
                    return None;
                }
            },
        }
        // Inside a nexthop, gateway, interface and onlink belong to it.
        if let Some(h) = r.nexthops.last_mut() {
            h.via = r.via.take().or(h.via);
            h.interface = r.interface.take().or(h.interface.take());
            h.onlink |= std::mem::take(&mut r.onlink);
        }
    }
    let Some(destination) = destination else {
        w.c.diagnostics.push(Class::General, start, "route without destination, ignoring it");
        return None;
    };
    let seen: Vec<Family> = destination.map(|d| d.address).into_iter().chain(r.source).map(Family::of).collect();
    r.family = family.or(seen.first().copied()).or(r.via.map(Family::of)).unwrap_or(Family::V4);
    if seen.into_iter().chain(plain_gateways.into_iter().map(Family::of)).any(|f| f != r.family) {
        w.c.diagnostics.push(Class::General, start, "route mixes IPv4 and IPv6, ignoring it");
        return None;
    }
    r.destination = destination.filter(|d| d.prefix > 0);
    r.table = table.unwrap_or(if matches!(r.kind, RouteKind::Local | RouteKind::Broadcast) { 255 } else { 254 });
    Some(r)
}

fn cidr_quiet(text: &str) -> Option<IpCidr> {
    text.parse().ok()
}

/// A rule line. Rules without preference get 16384 and downwards, as keepalived gives them.
pub(crate) fn rule(c: &mut Cx<'_>, next: &mut u32) -> Option<Rule> {
    let mut family = None;
    let mut action = None;
    let start = c.place();
    let mut r = Rule {
        family: Family::V4,
        invert: false,
        from: None,
        to: None,
        preference: None,
        action: RuleAction::Nop,
        iif: None,
        oif: None,
        fwmark: None,
        tos: 0,
        suppress_prefixlength: None,
        protocol: 18,
        no_track: false,
    };
    let mut w = Words { c, n: 0 };
    while let Some(o) = w.next() {
        match o.text.as_str() {
            "inet" => family = Some(Family::V4),
            "inet6" => family = Some(Family::V6),
            "not" => r.invert = true,
            "from" | "to" => {
                let value = w.value(o)?;
                let prefix = if matches!(value.text.as_str(), "all" | "any" | "default") {
                    None
                } else {
                    Some(cidr(w.c, value)?)
                };
                family = family.or(prefix.map(|p| Family::of(p.address)));
                if o.text == "from" { r.from = prefix } else { r.to = prefix }
            }
            "table" | "lookup" => action = Some(RuleAction::Table(w.named(o, "rt_tables", TABLES)?)),
            "preference" | "order" | "priority" => r.preference = Some(w.u32(o)?),
            "tos" | "dsfield" => r.tos = u8::try_from(w.named(o, "rt_dsfield", &[])?).unwrap_or(0),
            "fwmark" => {
                let value = w.value(o)?;
                let number =
                    |t: &str| t.strip_prefix("0x").map_or_else(|| t.parse().ok(), |h| u32::from_str_radix(h, 16).ok());
                let (mark, mask) = value.text.split_once('/').unwrap_or((&value.text, "0xffffffff"));
                match (number(mark), number(mask)) {
                    (Some(mark), Some(mask)) => r.fwmark = Some((mark, mask)),
                    _ => w.c.report_at(Class::General, value, format!("'{}' is not a mark", value.text)),
                }
            }
            "suppress_prefixlength" | "sup_pl" => r.suppress_prefixlength = u32::try_from(w.number(o, 0, 128)?).ok(),
            "dev" | "iif" => r.iif = Some(w.interface(o)?),
            "oif" => r.oif = Some(w.interface(o)?),
            "protocol" => r.protocol = u8::try_from(w.named(o, "rt_protos", PROTOCOLS)?).unwrap_or(18),
            "goto" => action = Some(RuleAction::Goto(w.u32(o)?)),
            "type" => {}
            "nop" => action = Some(RuleAction::Nop),
            "blackhole" => action = Some(RuleAction::Blackhole),
            "unreachable" => action = Some(RuleAction::Unreachable),
            "prohibit" => action = Some(RuleAction::Prohibit),
            "no_track" => r.no_track = true,
            "l3mdev" => {
                w.c.report_at(
                    Class::Unsupported,
                    o,
                    "'l3mdev' of a rule is known to keepalived, but not supported yet",
                );
                action = Some(RuleAction::Nop);
            }
            "realms" | "suppress_ifgroup" | "sup_group" | "tunnel-id" | "uidrange" | "ipproto" | "sport" | "dport"
            | "track_group" => {
                w.value(o)?;
                w.c.report_at(
                    Class::Unsupported,
                    o,
                    format!("'{}' of a rule is known to keepalived, but not supported yet", o.text),
                );
            }
            other => {
                let text = format!("unknown option '{other}' of a rule, ignoring the rule");
                w.c.report_at(Class::General, o, text);
                return None;
            }
        }
    }
    let c = w.c;
    let Some(action) = action else {
        c.diagnostics.push(Class::General, start, "rule without action, ignoring it");
        return None;
    };
    match (r.preference, action) {
        (None, RuleAction::Goto(_)) => {
            c.diagnostics.push(Class::General, start, "rule with goto needs a preference, ignoring it");
            return None;
        }
        (Some(p), RuleAction::Goto(to)) if to <= p => {
            c.diagnostics.push(Class::General, start, "goto must lead to a greater preference, ignoring the rule");
            return None;
        }
        (None, _) => {
            c.diagnostics.push(Class::General, start, format!("rule without preference, using {next}"));
            r.preference = Some(*next);
            *next = next.saturating_sub(1);
        }
        _ => {}
    }
    r.family = family.unwrap_or(Family::V4);
    r.action = action;
    Some(r)
}
