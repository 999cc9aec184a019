//! Received adverts (RFC 9568 sections 7.1 and 6.4, RFC 3768 the same).
//!
//! A packet that is thrown away changes nothing: [`Router::check`] reads and counts, only [`Router::accept`] may touch a timer
//! or a state, and it is reached by good adverts alone.

use crate::instance::Fault;
use crate::router::{Router, Timer};
use crate::wire::{self, Advert, Checksum, WireError};
use crate::{Auth, Notice, Output, Received, Version, timing};
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Family, State, Time};

/// Unknown router ids that are logged at most.
const UNKNOWN: u32 = 16;

impl Router {
    pub(crate) fn receive(&mut self, now: Time, packet: Received<'_>, out: &mut Vec<Output>) {
        let Some(vrid) = wire::vrid(packet.payload) else { return };
        let Some(n) = self.instance_for(&packet, vrid) else {
            if self.config.log_unknown_vrids && self.unknown_logged < UNKNOWN {
                self.unknown_logged += 1;
                let text = format!("advert from {} for router id {vrid}, which is not configured here", packet.source);
                out.push(Output::Log(Level::Info, text));
            }
            return;
        };
        let Some(i) = self.instances.get(n).filter(|i| i.started || i.release.is_some()) else { return };
        if i.source == Some(packet.source) {
            return;
        }
        if i.overslept(now) && !i.listening {
            // The process was held up. What is queued in the socket is heard before anything is sent.
            self.begin_listening(now, n, out);
        }
        if let Some(advert) = self.check(n, &packet, out) {
            self.accept(now, n, &advert, packet.source, out);
        }
    }

    /// The instance that a packet is for: of several with one router id, the one whose mode and peers fit.
    fn instance_for(&self, packet: &Received<'_>, vrid: u8) -> Option<usize> {
        let candidates = self.candidates(packet.interface, packet.source, vrid);
        let multicast = packet.destination.is_multicast();
        let fits = |n: &&usize| {
            self.instances.get(**n).is_some_and(|i| match &i.config.unicast {
                None => multicast,
                Some(u) => !multicast && u.peers.iter().any(|p| p.address == packet.source),
            })
        };
        candidates.iter().find(fits).or(candidates.first()).copied()
    }

    /// All checks. `None` is a packet that is thrown away; nothing but counters and the log knows of it.
    fn check<'a>(&mut self, n: usize, packet: &Received<'a>, out: &mut Vec<Output>) -> Option<Advert<'a>> {
        let from = packet.source;
        let i = self.instances.get_mut(n)?;
        let family = i.config.family;
        let mut refuse = |fault: Fault, text: String, first: bool| -> Option<Advert<'a>> {
            if first {
                out.push(Output::Log(Level::Warn, text));
            }
            let _ = fault;
            None
        };
        let name = i.config.name.clone();
        macro_rules! drop_packet {
            ($fault:expr, $($text:tt)+) => {{
                let first = i.first($fault);
                return refuse($fault, if first { format!("({name}) {}", format_args!($($text)+)) } else { String::new() }, first);
            }};
        }
        let multicast = packet.destination.is_multicast();
        // Who is not a peer is nobody: this comes first, so that a stranger cannot even fill the counters of real errors.
        match &i.config.unicast {
            Some(_) if multicast => {
                drop_packet!(Fault::Destination, "multicast advert from {from}, but this instance is unicast")
            }
            None if !multicast => {
                drop_packet!(Fault::Destination, "unicast advert from {from}, but this instance is multicast")
            }
            Some(u) => match u.peers.iter().find(|p| p.address == from) {
                Some(p) if !(p.min_ttl..=p.max_ttl).contains(&packet.hop_limit) => {
                    let (low, high) = (p.min_ttl, p.max_ttl);
                    i.counters.ip_ttl_err += 1;
                    drop_packet!(
                        Fault::HopLimit,
                        "advert from {from} has TTL {}, not {low} to {high}",
                        packet.hop_limit
                    )
                }
                None if u.check_source => {
                    i.counters.unknown_source += 1;
                    drop_packet!(Fault::Source, "advert from {from}, which is no unicast peer")
                }
                _ => {}
            },
            None if packet.hop_limit != 255 => {
                i.counters.ip_ttl_err += 1;
                drop_packet!(Fault::HopLimit, "advert from {from} has TTL {}, not 255", packet.hop_limit)
            }
            None => {}
        }
        let advert = match wire::parse(family, packet.payload) {
            Ok(a) => a,
            Err(WireError::Length { needed, got }) => {
                i.counters.packet_len_err += 1;
                drop_packet!(Fault::Length, "advert from {from} is too short: {got} bytes of {needed}")
            }
        };
        let version = match i.config.version {
            Version::V2 => 2,
            Version::V3 => 3,
        };
        if advert.version != version {
            i.counters.version_err += 1;
            drop_packet!(Fault::Version, "advert from {from} has version {}, not {version}", advert.version)
        }
        if i.config.version == Version::V2 {
            let ours = u8::from(i.config.auth != Auth::None);
            if advert.auth_type > 2 {
                i.counters.invalid_authtype += 1;
                drop_packet!(Fault::AuthType, "advert from {from} has unknown authentication type {}", advert.auth_type)
            }
            if advert.auth_type != ours {
                i.counters.authtype_mismatch += 1;
                drop_packet!(
                    Fault::AuthType,
                    "advert from {from} has authentication type {}, not {ours}",
                    advert.auth_type
                )
            }
            if let Auth::Pass(password) = i.config.auth
                && advert.auth != password
            {
                i.counters.auth_failure += 1;
                drop_packet!(Fault::Auth, "advert from {from} has another password")
            }
            // RFC 3768 section 7.1: another interval means discard.
            if advert.interval != Duration::from_secs(i.config.advert_interval.as_secs().max(1)) {
                i.counters.advert_interval_err += 1;
                let ours = i.config.advert_interval.as_secs();
                drop_packet!(
                    Fault::Interval,
                    "advert from {from} has interval {} s, not {ours} s",
                    advert.interval.as_secs()
                )
            }
        } else if advert.interval.is_zero() {
            i.counters.advert_interval_err += 1;
            drop_packet!(Fault::Interval, "advert from {from} has interval 0")
        }
        if advert.kind != wire::ADVERTISEMENT {
            i.counters.invalid_type_rcvd += 1;
            drop_packet!(Fault::Kind, "packet from {from} has type {}, not 1", advert.kind)
        }
        let message = packet.payload.get(..advert.length()).unwrap_or(packet.payload);
        if wire::verify(advert.version, message, from, packet.destination) == Checksum::Wrong {
            i.counters.checksum_err += 1;
            drop_packet!(Fault::Checksum, "advert from {from} has a wrong checksum")
        }
        // RFC 9568 section 5.2.5: at least one address. An instance without addresses of its own hears its like.
        if advert.count == 0 && i.config.version == Version::V3 && !i.addresses().is_empty() {
            i.counters.addr_list_err += 1;
            drop_packet!(Fault::NoAddress, "advert from {from} carries no address")
        }
        if i.config.strict
            && family == Family::V6
            && !matches!(advert.addresses(family).next(), Some(IpAddr::V6(a)) if a.is_unicast_link_local())
        {
            i.counters.addr_list_err += 1;
            drop_packet!(Fault::NoAddress, "first address of the advert from {from} is not link-local")
        }
        if i.config.owner_ignore_adverts && i.config.priority == 255 {
            return None;
        }
        i.counters.advert_rcvd += 1;
        let known = i.master.is_some_and(|(a, _)| a == from);
        if !(known && i.config.skip_check_adv_addr)
            && advert.priority != 0
            && !same_addresses(i.addresses(), &advert, family)
        {
            i.counters.addr_list_err += 1;
            if i.first(Fault::AddressList) {
                let list =
                    |l: &mut dyn Iterator<Item = IpAddr>| l.map(|a| a.to_string()).collect::<Vec<_>>().join(", ");
                let theirs = list(&mut advert.addresses(family));
                let ours = list(&mut i.addresses().iter().copied());
                out.push(Output::Log(
                    Level::Error,
                    format!(
                        "({name}) advert from {from} for router id {} lists other addresses than ours: \
                         received [{theirs}], configured [{ours}]",
                        i.config.vrid
                    ),
                ));
            }
        }
        Some(advert)
    }

    /// A good advert.
    fn accept(&mut self, now: Time, n: usize, advert: &Advert<'_>, from: IpAddr, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        i.counters.pri_zero_rcvd += u64::from(advert.priority == 0);
        if i.release.is_some() && advert.priority != 0 {
            // The successor is there: the addresses are its now.
            self.end_release(now, n, out);
        }
        match self.instances.get(n).map(|i| i.state) {
            Some(State::Backup) => self.backup_hears(now, n, advert, from, out),
            Some(State::Master) => self.master_hears(now, n, advert, from, out),
            _ => {}
        }
    }

    fn backup_hears(&mut self, now: Time, n: usize, advert: &Advert<'_>, from: IpAddr, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        if advert.priority == 0 {
            let soon = now + i.skew();
            self.log(n, Level::Info, "Backup received priority 0 advertisement", out);
            if self.timers.get(Timer::Main(n)).is_none_or(|at| at > soon) {
                self.timers.set(Timer::Main(n), soon);
            }
            self.group_master_leaves(now, n);
            return;
        }
        let lower = advert.priority < i.priority;
        let waits = match i.preempt_at {
            _ if i.config.preempt_delay.is_zero() => false,
            Some(at) => lower && now < at,
            None if lower => {
                // keepalived counts from the first lower-priority advert.
                i.preempt_at = Some(now + i.config.preempt_delay);
                true
            }
            None => false,
        };
        if !lower || !i.config.preempt || waits {
            if !lower {
                i.preempt_at = None;
            }
            i.wants_master = false;
            let known = i.master;
            i.heard(from, advert.priority);
            if i.config.version == Version::V3 && advert.interval != i.master_interval {
                let (old, new) = (i.master_interval, advert.interval);
                i.master_interval = new;
                let text = format!("advertisement interval changed: mine={old:?}, rcved={new:?}");
                self.log(n, Level::Info, text, out);
            }
            match known {
                None => self.log(n, Level::Debug, format_args!("master set to {from}"), out),
                Some((a, _)) if a != from => {
                    self.log(n, Level::Info, format_args!("master changed from {a} to {from}"), out);
                }
                _ => {}
            }
            self.timers.cancel(Timer::Fast(n));
            self.arm_master_down(now, n);
            return;
        }
        // A lower priority: the advert is discarded and the master-down timer runs on (RFC 9568 section 6.4.2). If it is the
        // current master who speaks, there is nothing to wait for.
        let current = i.master.is_none_or(|(a, _)| a == from);
        if current && i.config.fast_takeover && !i.config.strict {
            let wait = timing::fast_takeover(i.priority);
            if self.timers.get(Timer::Fast(n)).is_none() {
                self.timers.set(Timer::Fast(n), now + wait);
            }
        } else if i.first(Fault::LowerPriority) {
            let text = format!("discarding advert from {from} with lower priority {}", advert.priority);
            self.log(n, Level::Info, text, out);
        }
    }

    fn master_hears(&mut self, now: Time, n: usize, advert: &Advert<'_>, from: IpAddr, out: &mut Vec<Output>) {
        let Some(i) = self.instances.get_mut(n) else { return };
        let (ours, source) = (i.priority, i.source);
        let interval = i.config.advert_interval;
        if advert.priority == 0 {
            i.listening = false;
            self.send(now, n, ours, out);
            self.timers.set(Timer::Main(n), now + interval);
            // Who gives up was master too, and has announced the addresses as its own.
            self.announce_after_contention(now, n, out);
            return;
        }
        // RFC 9568 section 6.4.3: higher, or equal with a numerically greater address.
        let better = advert.priority > ours || (advert.priority == ours && source.is_some_and(|s| from > s));
        // After oversleeping, who does not preempt leaves the place to whom he finds there.
        let yields = i.listening && !i.config.preempt;
        if better || yields {
            let text = if advert.priority == ours {
                format!("Master received advert from {from} with same priority {ours} but higher IP address than ours")
            } else {
                format!("Master received advert from {from} with higher priority {}, ours {ours}", advert.priority)
            };
            if i.config.version == Version::V3 {
                i.master_interval = advert.interval;
            }
            self.log(n, Level::Info, text, out);
            self.step_down(now, n, (from, advert.priority), out);
            return;
        }
        i.listening = false;
        let (answers, first) = (!i.config.lower_prio_no_advert, i.first(Fault::LowerPriority));
        if first {
            let text = format!(
                "Received advert from {from} with lower priority {}, ours {ours}, forcing new election",
                advert.priority
            );
            self.log(n, Level::Info, text, out);
        }
        if answers && self.instances.get(n).is_some_and(|i| now.since(i.last_sent) >= min_gap(interval)) {
            self.send(now, n, ours, out);
            self.timers.set(Timer::Main(n), now + interval);
        }
        self.announce_after_contention(now, n, out);
        if first {
            self.notify(n, Notice::MasterRxLowerPri, out);
        }
    }
}

/// Two masters that answer each other at once would do so as fast as the wire allows.
fn min_gap(interval: Duration) -> Duration {
    interval / 100
}

fn same_addresses(ours: &[IpAddr], advert: &Advert<'_>, family: Family) -> bool {
    if usize::from(advert.count) != ours.len() {
        return false;
    }
    if advert.addresses(family).eq(ours.iter().copied()) {
        return true;
    }
    let mut theirs: Vec<IpAddr> = advert.addresses(family).collect();
    let mut ours = ours.to_vec();
    theirs.sort_unstable();
    ours.sort_unstable();
    theirs == ours
}
