//! Links whose carrier is asked for now and then, where netlink is not to be relied on.

use super::plan::Linkbeat;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_net::linkbeat::{Method, Poller};
use steadfast_net::netlink::{Link, Mirror};

/// Links are asked for this often.
const PERIOD: Duration = Duration::from_millis(250);

/// Who asks.
#[derive(Default)]
pub struct Beats {
    poller: Option<Poller>,
    wanted: BTreeMap<String, Option<Method>>,
    /// What works for a link.
    working: BTreeMap<String, Method>,
    due: Option<Time>,
}

impl Beats {
    /// The plan's links. What is not polled any more goes by netlink again.
    pub fn configure(&mut self, wanted: &[Linkbeat], mirror: &mut Mirror, t: Time) -> Vec<Link> {
        let wanted: BTreeMap<String, Option<Method>> = wanted.iter().map(|l| (l.link.clone(), l.method)).collect();
        let gone: Vec<String> = self.wanted.keys().filter(|l| !wanted.contains_key(*l)).cloned().collect();
        self.working.clear();
        self.wanted = wanted;
        let changed = gone.iter().filter_map(|l| mirror.carrier(l, None)).collect();
        if !self.wanted.is_empty() && self.poller.is_none() {
            match Poller::open() {
                Ok(p) => self.poller = Some(p),
                Err(e) => log::error!("links cannot be polled: {e}"),
            }
        }
        self.due = (self.poller.is_some() && !self.wanted.is_empty()).then_some(t);
        changed
    }

    /// Netlink says something of a link: a reason to ask at once.
    pub fn heard(&mut self, link: &str, t: Time) {
        if self.due.is_some() && self.wanted.contains_key(link) {
            self.due = Some(t);
        }
    }

    /// When links are asked for next.
    pub fn due(&self) -> Option<Time> {
        self.due
    }

    /// Asks. Links that changed come back.
    pub fn poll(&mut self, mirror: &mut Mirror, t: Time) -> Vec<Link> {
        let Some(poller) = self.poller.as_ref().filter(|_| self.due.is_some_and(|d| d <= t)) else { return Vec::new() };
        self.due = Some(t + PERIOD);
        let mut changed = Vec::new();
        let mut there = BTreeSet::new();
        for (name, first) in &self.wanted {
            if mirror.by_name(name).is_none() {
                continue;
            }
            there.insert(name.clone());
            let known = self.working.get(name);
            let methods: Vec<Method> = match known {
                Some(m) => vec![*m],
                // The one that is wanted, else whatever works.
                None => first.iter().copied().chain([Method::Mii, Method::Ethtool, Method::Flags]).collect(),
            };
            let found = methods.iter().find_map(|m| Some((*m, poller.carrier(name, *m).ok()?)));
            if let Some((method, carrier)) = found {
                if known.is_none() {
                    log::info!("Linkbeat polls {name} by {}", word(method));
                    self.working.insert(name.clone(), method);
                }
                if let Some(link) = mirror.carrier(name, Some(carrier)) {
                    log::info!("Linkbeat reports {name} {}", if carrier { "up" } else { "down" });
                    changed.push(link);
                }
            } else {
                // It may have become another link of the same name.
                self.working.remove(name);
                changed.extend(mirror.carrier(name, None));
            }
        }
        self.working.retain(|name, _| there.contains(name));
        changed
    }
}

fn word(m: Method) -> &'static str {
    match m {
        Method::Mii => "MII",
        Method::Ethtool => "ETHTOOL",
        Method::Flags => "ioctl",
    }
}
