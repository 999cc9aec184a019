//! Policy rules.

use super::Realms;
use crate::{Family, IpCidr};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a policy rule does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum RuleAction {
    /// Look up in a table.
    Table(u32),
    /// Look up in the table of the VRF that the packet's link belongs to.
    L3mdev,
    /// Jump to the rule with this preference.
    Goto(u32),
    /// Nothing.
    Nop,
    /// Drop silently.
    Blackhole,
    /// Answer "unreachable".
    Unreachable,
    /// Answer "prohibited".
    Prohibit,
}

/// A policy rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Family.
    pub family: Family,
    /// Invert the match.
    pub invert: bool,
    /// Source prefix.
    pub from: Option<IpCidr>,
    /// Destination prefix.
    pub to: Option<IpCidr>,
    /// Preference.
    pub preference: Option<u32>,
    /// Action.
    pub action: RuleAction,
    /// Input interface.
    pub iif: Option<String>,
    /// Output interface.
    pub oif: Option<String>,
    /// Mark and mask.
    pub fwmark: Option<(u32, u32)>,
    /// Type of service.
    pub tos: u8,
    /// Realms, IPv4.
    pub realms: Option<Realms>,
    /// Reject routes with a prefix this short or shorter.
    pub suppress_prefixlength: Option<u32>,
    /// Reject routes whose link is of this group.
    pub suppress_group: Option<u32>,
    /// Tunnel identifier.
    pub tunnel: Option<u64>,
    /// Users, first and last, at most 4294967294.
    pub users: Option<(u32, u32)>,
    /// IP protocol.
    pub ip_protocol: Option<u8>,
    /// Source ports, first and last, 1..=65534.
    pub source_ports: Option<(u16, u16)>,
    /// Destination ports, first and last, 1..=65534.
    pub destination_ports: Option<(u16, u16)>,
    /// RTPROT_*.
    pub protocol: u8,
    /// Its loss concerns nobody: it stays away until the instance is master anew.
    pub no_track: bool,
}

impl Rule {
    /// A rule that matches everything and does nothing.
    pub fn new(family: Family) -> Self {
        Rule {
            family,
            invert: false,
            from: None,
            to: None,
            preference: None,
            action: RuleAction::Nop,
            iif: None,
            oif: None,
            fwmark: None,
            tos: 0,
            realms: None,
            suppress_prefixlength: None,
            suppress_group: None,
            tunnel: None,
            users: None,
            ip_protocol: None,
            source_ports: None,
            destination_ports: None,
            protocol: 18,
            no_track: false,
        }
    }

    /// The line of dumps: keepalived's words in keepalived's order.
    pub fn line(&self) -> RuleLine<'_> {
        RuleLine(self)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(p) = self.preference {
            write!(f, "{p}: ")?;
        }
        match self.from {
            Some(p) => write!(f, "from {p}")?,
            None => f.write_str("from all")?,
        }
        if let Some(p) = self.to {
            write!(f, " to {p}")?;
        }
        action(f, self.action)
    }
}

fn action(f: &mut fmt::Formatter<'_>, action: RuleAction) -> fmt::Result {
    match action {
        RuleAction::Table(t) => write!(f, " lookup {t}"),
        RuleAction::L3mdev => f.write_str(" l3mdev"),
        RuleAction::Goto(g) => write!(f, " goto {g}"),
        RuleAction::Nop => f.write_str(" nop"),
        RuleAction::Blackhole => f.write_str(" type blackhole"),
        RuleAction::Unreachable => f.write_str(" type unreachable"),
        RuleAction::Prohibit => f.write_str(" type prohibit"),
    }
}

/// See [`Rule::line`].
pub struct RuleLine<'r>(&'r Rule);

impl fmt::Display for RuleLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn range<T: fmt::Display>(f: &mut fmt::Formatter<'_>, word: &str, range: Option<(T, T)>) -> fmt::Result {
            range.map_or(Ok(()), |(first, last)| write!(f, " {word} {first}-{last}"))
        }
        let r = self.0;
        if r.invert {
            f.write_str("not ")?;
        }
        match r.from {
            Some(p) => write!(f, "from {p}")?,
            None if r.family == Family::V6 && r.to.is_none() => f.write_str("inet6 from all")?,
            None => f.write_str("from all")?,
        }
        if let Some(p) = r.to {
            write!(f, " to {p}")?;
        }
        if let Some(p) = r.preference {
            write!(f, " priority {p}")?;
        }
        write!(f, " tos {:#x}", r.tos)?;
        if let Some((mark, mask)) = r.fwmark {
            write!(f, " fwmark {mark:#x}")?;
            if mask != u32::MAX {
                write!(f, "/{mask:#x}")?;
            }
        }
        if let Some(i) = &r.iif {
            write!(f, " iif {i}")?;
        }
        if let Some(o) = &r.oif {
            write!(f, " oif {o}")?;
        }
        if let Some(s) = r.suppress_prefixlength {
            write!(f, " suppress_prefixlen {s}")?;
        }
        if let Some(g) = r.suppress_group {
            write!(f, " suppress_ifgroup {g}")?;
        }
        if let Some(t) = r.tunnel {
            write!(f, " tunnel-id {t}")?;
        }
        range(f, "uidrange", r.users)?;
        if r.action == RuleAction::L3mdev {
            f.write_str(" l3mdev")?;
        }
        write!(f, " protocol {}", r.protocol)?;
        if let Some(p) = r.ip_protocol {
            write!(f, " ipproto {p}")?;
        }
        range(f, "sport", r.source_ports)?;
        range(f, "dport", r.destination_ports)?;
        if let Some(Realms { from, to }) = r.realms {
            write!(f, " realms {from}/{to}")?;
        }
        if r.action != RuleAction::L3mdev {
            action(f, r.action)?;
        }
        if r.no_track { f.write_str(" no_track") } else { Ok(()) }
    }
}
