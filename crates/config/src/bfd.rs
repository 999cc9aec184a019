//! BFD sessions: what their keywords take, and checks.

use crate::diag::{Class, Diagnostics, suggest};
use crate::model::{BfdCheck, BfdInstance, Config, Track, tracks};
use crate::parse::Cx;
use crate::places::Places;
use crate::section::block;
use std::net::IpAddr;

/// The kind of block.
const KIND: &str = "bfd_instance";
/// Characters of a name.
const NAME: usize = 31;

/// `bfd_instance NAME { … }`
pub(crate) fn instance(c: &mut Cx<'_>, v: &mut Vec<BfdInstance>) {
    if let Some(w) = c.word(1).filter(|w| w.text.chars().count() > NAME) {
        c.report_at(Class::General, w, format!("the name is longer than {NAME} characters, ignoring the block"));
        return c.skip_block();
    }
    if let Some(name) = c.block_name() {
        let mut b = BfdInstance { name, ..Default::default() };
        block(&mut b, c);
        v.push(b);
    }
}

/// `neighbor_ip ADDR`
pub(crate) fn neighbor(c: &mut Cx<'_>, s: &mut BfdInstance) {
    s.neighbor = None;
    c.address(&mut s.neighbor);
    s.malformed = s.neighbor.is_none();
}

/// `min_rx MS`, `min_tx MS`
pub(crate) fn interval(c: &mut Cx<'_>, v: &mut u32) {
    c.milliseconds(v, 1, 4_294_967);
    if *v > 1_000_000 {
        c.report(Class::Note, "more than a second: a failure is noticed late");
    }
}

fn undefined(c: &mut Cx<'_>, what: &str, name: &str, at: Option<crate::diag::Span>) {
    let help = suggest(name, c.defined(KIND)).map(|s| format!("did you mean `{s}`?"));
    let text = format!("{what} '{name}' is not defined above, ignoring it");
    c.diagnostics.push_help(Class::General, at, text, help);
}

/// Entries of `track_bfd`. The order of the file matters to keepalived: a session is defined before it is tracked.
pub(crate) fn tracked(c: &mut Cx<'_>, v: &mut Vec<Track>) {
    tracks(c, v, 253);
    v.retain(|t| {
        let there = c.is_defined(KIND, &t.name);
        if !there {
            undefined(c, "tracked BFD session", &t.name, t.place.span());
        }
        there
    });
}

/// `name NAME` of BFD_CHECK.
pub(crate) fn named(c: &mut Cx<'_>, s: &mut BfdCheck) {
    let Some(w) = c.value() else { return };
    s.undefined = !c.is_defined(KIND, &w.text);
    if s.undefined {
        undefined(c, "BFD_CHECK: bfd_instance", &w.text, Some(w.span));
    }
    s.name = Some(w.text.to_string());
}

/// Leaves out what cannot be a session.
pub(crate) fn check(config: &mut Config, at: &Places, d: &mut Diagnostics) {
    let mut taken: Vec<(IpAddr, Option<IpAddr>)> = Vec::new();
    config.bfd.retain_mut(|b| {
        let name = b.name.clone();
        let mut say =
            |class, word: &str, text: String| d.push(class, at.of(KIND, &name, word), format!("({name}) {text}"));
        let Some(neighbor) = b.neighbor else {
            if !b.malformed {
                say(Class::General, "", "it has no neighbor_ip, ignoring it".into());
            }
            return false;
        };
        if b.source.is_some_and(|s| s.is_ipv4() != neighbor.is_ipv4()) {
            say(Class::General, "source_ip", "source_ip and neighbor_ip are of different families, ignoring it".into());
            return false;
        }
        let same =
            |(n, s): &(IpAddr, Option<IpAddr>)| *n == neighbor && (s.is_none() || b.source.is_none() || *s == b.source);
        if taken.iter().any(same) {
            say(
                Class::General,
                "neighbor_ip",
                format!("another session has the neighbor {neighbor}, ignoring this one"),
            );
            return false;
        }
        taken.push((neighbor, b.source));
        // Without hoplimit keepalived counts from 64 over IPv6.
        let ttl = b.ttl.unwrap_or(if neighbor.is_ipv4() { 255 } else { 64 });
        if b.max_hops.is_some_and(|m| m > i16::from(ttl)) {
            say(Class::General, "max_hops", format!("max_hops is above the ttl, using {ttl}"));
            b.max_hops = Some(i16::from(ttl));
        }
        if matches!(neighbor, IpAddr::V6(a) if a.is_unicast_link_local()) {
            let text = "a link-local neighbor is reached by whichever link the kernel chooses";
            say(Class::Note, "neighbor_ip", text.into());
        }
        true
    });
}
