//! The configuration as written becomes what the role runs from.

use crate::vrrp::plan::Scheduling;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use steadfast_bfd::{Config as Sessions, Hops, SessionConfig};
use steadfast_config::Config;
use steadfast_config::model::BfdInstance;
use steadfast_core::Family;

/// Over IPv6 keepalived sends this hop limit unless told otherwise.
const KEEPALIVED: u8 = 64;

/// What is not the machine's.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Whether VRRP and the checks are told of a session.
    pub clients: HashMap<String, (bool, bool)>,
    /// Receiving sockets: family, several hops.
    pub receivers: BTreeSet<(Family, bool)>,
    /// Scheduling of the child.
    pub scheduling: Scheduling,
    /// The dump of SIGUSR1.
    pub dump: PathBuf,
    /// What it shows of the global definitions.
    pub written: crate::dumps::Written,
    /// log_structured.
    pub structured: bool,
    /// umask.
    pub mask: Option<u32>,
    /// Name in lists of processes.
    pub name: Option<String>,
}

/// Translates a configuration.
pub fn translate(c: &Config) -> (Sessions, Settings) {
    let g = &c.globals;
    let all = c.bfd.iter().filter_map(|b| Some((b, session(b)?)));
    let mut settings = Settings {
        scheduling: Scheduling {
            nice: g.bfd_priority,
            realtime: g.bfd_rt_priority,
            rttime: g.bfd_rlimit_rttime,
            no_swap: g.bfd_no_swap,
            affinity: g.bfd_cpu_affinity.iter().map(|c| *c as usize).collect(),
            raise: None,
        },
        dump: crate::dumps::paths(c).bfd.into(),
        written: crate::dumps::Written::new(c),
        structured: g.log_structured.unwrap_or(false),
        mask: g.umask,
        name: crate::vrrp::process_name(g, 3),
        ..Default::default()
    };
    let mut sessions = Vec::new();
    for (b, s) in all {
        settings.clients.insert(s.name.clone(), (b.is_for_vrrp(), b.is_for_checker()));
        settings.receivers.insert((Family::of(s.neighbor), s.multihop));
        sessions.push(s);
    }
    (Sessions { sessions }, settings)
}

fn session(b: &BfdInstance) -> Option<SessionConfig> {
    let neighbor = b.neighbor?;
    let multihop = b.multihop.unwrap_or(false);
    Some(SessionConfig {
        name: b.name.clone(),
        neighbor,
        source: b.source,
        min_rx: b.min_rx,
        min_tx: b.min_tx,
        idle_tx: b.idle_tx,
        multiplier: b.multiplier,
        passive: b.passive,
        multihop,
        hops: hops(b, neighbor.is_ipv6(), multihop),
    })
}

/// What is sent, and what must arrive. keepalived counts down from its own TTL, also over IPv6, where RFC 5881 section 5 wants 255: we
/// send that, and take what a keepalived peer sends as long as none came with more.
fn hops(b: &BfdInstance, six: bool, multihop: bool) -> Hops {
    let send = b.ttl.unwrap_or(255);
    let below = |ttl: u8| match b.max_hops {
        Some(-1) => 0,
        Some(m) => ttl.saturating_sub(u8::try_from(m).unwrap_or(u8::MAX)),
        None if multihop => 0,
        None => ttl,
    };
    Hops { send, least: below(send), fallback: (six && b.ttl.is_none()).then(|| (below(KEEPALIVED), KEEPALIVED)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_are_keepalived_s_and_the_rfc_s() {
        let of = |ttl, max_hops, six, multihop| {
            let h = hops(&BfdInstance { ttl, max_hops, ..Default::default() }, six, multihop);
            (h.send, h.least, h.fallback)
        };
        assert_eq!(of(None, None, false, false), (255, 255, None));
        assert_eq!(of(None, None, true, false), (255, 255, Some((64, 64))));
        assert_eq!(of(Some(64), None, true, false), (64, 64, None));
        assert_eq!(of(None, Some(3), false, true), (255, 252, None));
        assert_eq!(of(None, Some(3), true, false), (255, 252, Some((61, 64))));
        assert_eq!(of(Some(20), Some(20), false, false), (20, 0, None));
        assert_eq!(of(None, Some(-1), false, false), (255, 0, None));
        assert_eq!(of(None, None, false, true), (255, 0, None), "several hops, any number of them");
    }
}
