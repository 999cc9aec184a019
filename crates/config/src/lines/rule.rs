//! A rule line.

use super::{PROTOCOLS, TABLES, Words, cidr, number, words};
use crate::diag::Class;
use crate::parse::Cx;
use crate::section::Declared;
use crate::source::Word;
use std::str::FromStr;
use steadfast_core::Family;
use steadfast_core::kernel::{Rule, RuleAction};

const SECTION: &str = "rule line (virtual_rules, static_rules)";

words! { ALL, SECTION,
    "inet" "-" "-" "from the addresses, else IPv4" "An IPv4 rule.";
    "inet6" "-" "-" "-" "An IPv6 rule.";
    "not" "-" "-" "off" "Inverts the match.";
    "from" "PREFIX|all|any" "-" "all" "Source.";
    "to" "PREFIX|all|any" "-" "all" "Destination.";
    "table" "NAME|N" "1-4294967295" "-" "Look up in this table.";
    "lookup" "NAME|N" "1-4294967295" "-" "As table.";
    "preference" "N" "uint32" "16384 and downwards" "Place among the rules.";
    "order" "N" "uint32" "-" "As preference.";
    "priority" "N" "uint32" "-" "As preference.";
    "tos" "NAME|N" "0-255" "0" "Type of service.";
    "dsfield" "NAME|N" "0-255" "0" "As tos.";
    "fwmark" "N[/MASK]" "uint32" "none" "Mark.";
    "realms" "[FROM/]TO" "0-255, IPv4" "none" "Realms.";
    "suppress_prefixlength" "N" "0-128" "none" "Rejects routes with a prefix this short.";
    "sup_pl" "N" "0-128" "none" "As suppress_prefixlength.";
    "suppress_ifgroup" "NAME|N" "0-2147483647" "none" "Rejects routes over links of this group.";
    "sup_group" "NAME|N" "0-2147483647" "none" "As suppress_ifgroup.";
    "dev" "IF" "-" "none" "As iif.";
    "iif" "IF" "-" "none" "Input link.";
    "oif" "IF" "-" "none" "Output link.";
    "tunnel-id" "N" "uint64" "none" "Tunnel identifier.";
    "uidrange" "A-B" "0-4294967294" "none" "Users.";
    "l3mdev" "-" "-" "off" "Look up in the table of the packet's VRF.";
    "protocol" "NAME|N" "0-255" "keepalived" "Who made the rule.";
    "ipproto" "NAME|N" "0-255" "none" "IP protocol.";
    "sport" "A[-B]" "1-65534" "none" "Source ports.";
    "dport" "A[-B]" "1-65534" "none" "Destination ports.";
    "goto" "N" "greater than the own preference" "-" "Jump.";
    "nop" "-" "-" "-" "Do nothing.";
    "type" "blackhole|unreachable|prohibit" "-" "-" "The word itself may be left out.";
    "blackhole" "-" "-" "-" "Drop.";
    "unreachable" "-" "-" "-" "Answer unreachable.";
    "prohibit" "-" "-" "-" "Answer prohibited.";
    "no_track" "-" "-" "off" "Its loss concerns nobody: it stays away until the instance is master anew, or its process begins anew.";
    "track_group" "NAME" "static rules" "none" "Instances that its loss concerns.";
}
pub(super) const WORDS: Declared = ALL;

/// Numbers of IP protocols that every system names (IANA).
const IP_PROTOCOLS: &[(&str, u32)] = &[
    ("ip", 0),
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("ipencap", 4),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("ipv6", 41),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ipv6-icmp", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
    ("udplite", 136),
];

impl Words<'_, '_> {
    /// `A-B` within bounds; where `single` says so, also `A`.
    fn range<T: FromStr + PartialOrd + Copy>(&mut self, of: &Word, low: T, high: T, single: bool) -> Option<(T, T)> {
        let w = self.value(of)?;
        let (first, last) = match w.text.split_once('-') {
            None if single => (w.text.as_str(), w.text.as_str()),
            None => (w.text.as_str(), ""),
            Some(both) => both,
        };
        let end = |t: &str| t.parse::<T>().ok().filter(|n| *n >= low && *n <= high);
        let found = end(first).zip(end(last)).filter(|(a, b)| a <= b);
        if found.is_none() {
            let text = format!("'{}' is not a {} that the kernel takes, ignoring the rule", w.text, of.text);
            self.c.report_at(Class::General, w, text);
        }
        found
    }
}

/// A rule line, and its track group where `statics` says that it may have one. Rules without preference get 16384 and downwards,
/// as keepalived gives them. A line with a word or a value that cannot be understood is dropped: a rule that lacks a condition
/// catches what it must not.
pub(crate) fn rule(c: &mut Cx<'_>, next: &mut u32, statics: bool) -> Option<(Rule, Option<String>)> {
    let mut family = None;
    let mut actions: Vec<RuleAction> = Vec::new();
    let mut group = None;
    let mut realms_at = None;
    let mut suppressor = None;
    let start = c.place();
    let mut r = Rule::new(Family::V4);
    let mut w = Words { c, n: 0, missing: Class::MissingParameter };
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
            "table" | "lookup" => {
                let table = w.named(o, "rt_tables", TABLES, u32::MAX)?;
                if table == 0 {
                    w.c.report_at(Class::General, o, "table 0 is none, ignoring the rule");
                    return None;
                }
                actions.push(RuleAction::Table(table));
            }
            "preference" | "order" | "priority" => r.preference = Some(w.named(o, "", &[], u32::MAX)?),
            "tos" | "dsfield" => r.tos = w.u8_named(o, "rt_dsfield", &[])?,
            "fwmark" => {
                let value = w.value(o)?;
                let (mark, mask) = value.text.split_once('/').unwrap_or((&value.text, "0xffffffff"));
                r.fwmark = number(mark).zip(number(mask));
                if r.fwmark.is_none() {
                    w.c.report_at(Class::General, value, format!("'{}' is not a mark, ignoring the rule", value.text));
                    return None;
                }
            }
            "realms" => {
                realms_at = Some(o);
                r.realms = Some(w.realms(o)?);
            }
            "suppress_prefixlength" | "sup_pl" => {
                suppressor = Some(o);
                r.suppress_prefixlength = Some(u32::try_from(w.number(o, 0, 128)?).ok()?);
            }
            "suppress_ifgroup" | "sup_group" => {
                suppressor = Some(o);
                r.suppress_group = Some(w.named(o, "group", &[("default", 0)], i32::MAX as u32)?);
            }
            "dev" | "iif" | "oif" => {
                let dev = w.value(o)?;
                if w.c.host.interface(&dev.text).is_none() {
                    w.c.absent_link(Class::General, dev);
                }
                *if o.text == "oif" { &mut r.oif } else { &mut r.iif } = Some(dev.text.to_string());
            }
            "tunnel-id" => {
                let value = w.value(o)?;
                r.tunnel = value.text.parse().ok();
                if r.tunnel.is_none() {
                    let text = format!("'{}' is not a tunnel-id, ignoring the rule", value.text);
                    w.c.report_at(Class::General, value, text);
                    return None;
                }
            }
            // The last number is nobody's.
            "uidrange" => r.users = Some(w.range(o, 0, u32::MAX - 1, false)?),
            "ipproto" => {
                let value = w.value(o)?;
                let name = value.text.to_lowercase();
                let found = w.name(o, value, &name, "protocols", IP_PROTOCOLS, 255)?;
                r.ip_protocol = u8::try_from(found).ok();
            }
            // The kernel takes no 65535 there (Linux 6.18, seen).
            "sport" => r.source_ports = Some(w.range(o, 1, 65535, true).map(ports)?),
            "dport" => r.destination_ports = Some(w.range(o, 1, 65535, true).map(ports)?),
            "protocol" => r.protocol = w.u8_named(o, "rt_protos", PROTOCOLS)?,
            "goto" => actions.push(RuleAction::Goto(w.u32(o)?)),
            "type" => {}
            "l3mdev" => actions.push(RuleAction::L3mdev),
            "nop" => actions.push(RuleAction::Nop),
            "blackhole" => actions.push(RuleAction::Blackhole),
            "unreachable" => actions.push(RuleAction::Unreachable),
            "prohibit" => actions.push(RuleAction::Prohibit),
            "no_track" => r.no_track = true,
            "track_group" if statics => group = Some(w.interface(o)?),
            other => {
                let text = format!("unknown option '{other}' of a rule, ignoring the rule");
                w.unknown(o, text, WORDS);
                return None;
            }
        }
    }
    let c = w.c;
    r.family = family.unwrap_or(Family::V4);
    if r.from.iter().chain(&r.to).any(|p| Family::of(p.address) != r.family) {
        c.diagnostics.push(Class::General, start, "rule mixes IPv4 and IPv6, ignoring it");
        return None;
    }
    if let Some(word) = realms_at.filter(|_| r.family == Family::V6) {
        c.report_at(Class::General, word, "'realms' is for IPv4 rules only, ignoring the rule");
        return None;
    }
    let action = match actions.as_slice() {
        [one] => *one,
        [] => {
            c.diagnostics.push(Class::General, start, "rule without action, ignoring it");
            return None;
        }
        _ => {
            c.diagnostics.push(Class::General, start, "rule with more than one action, ignoring it");
            return None;
        }
    };
    // Both say what of a table counts.
    let looks_up = matches!(action, RuleAction::Table(_) | RuleAction::L3mdev);
    if let Some(word) = suppressor.or(realms_at).filter(|_| !looks_up) {
        c.report_at(
            Class::General,
            word,
            format!("'{}' is for rules that look up in a table, ignoring the rule", word.text),
        );
        return None;
    }
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
    r.action = action;
    Some((r, group))
}

/// Ports as the kernel takes them.
fn ports((first, last): (u16, u16)) -> (u16, u16) {
    (first.min(65534), last.min(65534))
}
