//! The checks that a received packet passes before it may mean anything (RFC 9568 section 7.1, RFC 3768 section 7.1). A packet
//! that fails one is counted, mentioned once, and changes nothing else: no timer, no state.

use crate::instance::{Instance, Once};
use crate::tracking::is_link_local;
use crate::wire::{self, Header, ah, trailer};
use crate::{Auth, Counters, Mismatch, OldChecksum, Output, Received, Rejected, Version, timing};
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Family, Time};

/// Packets that are thrown away are one row while no more than this, and four intervals, is between two of them.
const UNBROKEN: Duration = Duration::from_secs(10);

/// Addresses as text.
fn list(bytes: &[u8], family: Family) -> String {
    let mut text = String::new();
    for (n, a) in wire::addresses(bytes, family).enumerate() {
        if n > 0 {
            text.push_str(", ");
        }
        text.push_str(&a.to_string());
    }
    if text.is_empty() { "none".into() } else { text }
}

/// A received packet without what authentication puts around the message.
#[derive(Clone, Copy)]
pub(crate) struct Opened<'a> {
    /// As it came.
    pub packet: &'a Received<'a>,
    /// The authentication header, where it came as protocol 51.
    pub ah: Option<ah::Header>,
    /// The message, and the trailer.
    pub message: &'a [u8],
}

impl<'a> Opened<'a> {
    /// `None`: protocol 51, but no header of ours.
    pub fn new(packet: &'a Received<'a>) -> Option<Opened<'a>> {
        if packet.header.is_none() {
            return Some(Opened { packet, ah: None, message: packet.payload });
        }
        let (ah, message) = ah::split(packet.payload)?;
        Some(Opened { packet, ah: Some(ah), message })
    }
}

/// The same addresses, in whatever order.
fn same_addresses(a: &[u8], b: &[u8], family: Family) -> bool {
    if a == b {
        return true;
    }
    if a.len() != b.len() {
        return false;
    }
    let sorted = |bytes| {
        let mut v: Vec<IpAddr> = wire::addresses(bytes, family).collect();
        v.sort_unstable();
        v
    };
    sorted(a) == sorted(b)
}

/// Senders and reasons that are told apart at one time.
const ROWS: usize = 4;

/// Adverts that are thrown away, by sender and reason.
#[derive(Debug, Default)]
pub(crate) struct Rows(Option<Box<[Option<Rejected>; ROWS]>>);

impl Rows {
    /// The row of one sender and reason; `None`: there are too many of others, none of which has ended.
    fn row(&mut self, source: IpAddr, kind: Once, now: Time, gap: Duration) -> Option<&mut Rejected> {
        let rows = self.0.get_or_insert_default();
        for row in rows.iter_mut() {
            row.take_if(|r| now.since(r.last) >= gap);
        }
        let same = |r: &Option<Rejected>| r.as_ref().is_some_and(|r| (r.source, r.kind) == (source, kind));
        let at = rows.iter().position(same).or_else(|| rows.iter().position(Option::is_none))?;
        let fresh = || Rejected { source, why: String::new(), since: now, last: now, count: 0, kind, said: 0 };
        Some(rows.get_mut(at)?.get_or_insert_with(fresh))
    }

    /// A good one came.
    fn forget(&mut self, source: IpAddr) {
        if let Some(rows) = &mut self.0 {
            for row in rows.iter_mut() {
                row.take_if(|r| r.source == source);
            }
            self.0.take_if(|rows| rows.iter().all(Option::is_none));
        }
    }

    /// The last first.
    pub fn all(&self) -> Vec<&Rejected> {
        let mut all: Vec<&Rejected> = self.0.iter().flat_map(|rows| rows.iter().flatten()).collect();
        all.sort_by_key(|r| std::cmp::Reverse(r.last));
        all
    }
}

impl Instance {
    /// Notes a discarded packet: counter, and a line if it is the first of its kind.
    pub(crate) fn discard(
        &mut self,
        kind: Once,
        counter: fn(&mut Counters) -> &mut u64,
        source: IpAddr,
        out: &mut Vec<Output>,
        why: impl FnOnce() -> String,
    ) -> Option<Header> {
        *counter(&mut self.counters) += 1;
        self.offender = Some(source);
        let now = self.checked;
        let first = self.first(kind);
        let gap = UNBROKEN + self.config.advert_interval * 4;
        let mut why = Some(why);
        let mut said = None;
        if let Some(row) = self.rejected.row(source, kind, now, gap) {
            if first || row.why.is_empty() {
                row.why = why.take().map(|w| w()).unwrap_or_default();
            }
            (row.last, row.count) = (now, row.count + 1);
            if first {
                let passed_over = row.count - row.said - 1;
                row.said = row.count;
                said = Some(match passed_over {
                    0 => row.why.clone(),
                    n => format!("{} ({n} more since this was logged last)", row.why),
                });
            }
        }
        if let Some(why) = said.or_else(|| why.take_if(|_| first).map(|w| w())) {
            let text = format!("({}) discarding advert from {source}: {why}", self.config.name);
            out.push(Output::Log(Level::Warn, text));
        }
        self.protocol_error = match kind {
            Once::Ttl => 1,
            Once::Version => 2,
            Once::Checksum => 3,
            _ => self.protocol_error,
        };
        None
    }

    /// All checks. `Some`: a valid advert from somebody else.
    pub fn check(&mut self, now: Time, opened: Opened<'_>, out: &mut Vec<Output>) -> Option<Header> {
        let Opened { packet, message, .. } = opened;
        let source = packet.source;
        let family = self.config.family;
        self.checked = now;
        if Some(source) == self.assessed.source {
            return self.own_packet(&opened, out);
        }
        let Some(header) = Header::read(message) else {
            return self.discard(
                Once::Length,
                |c| &mut c.packet_len_err,
                source,
                out,
                || format!("packet of {} bytes is too short", message.len()),
            );
        };
        let multicast = packet.destination.is_multicast();
        if multicast && packet.hop_limit != 255 {
            return self.discard(
                Once::Ttl,
                |c| &mut c.ip_ttl_err,
                source,
                out,
                || format!("invalid TTL/hop limit {}, expected 255", packet.hop_limit),
            );
        }
        let version = if header.version == 2 && self.config.speaks_both() { Version::V2 } else { self.config.version };
        if header.version != version.number() {
            return self.discard(
                Once::Version,
                |c| &mut c.version_err,
                source,
                out,
                || format!("version {}, expected {}", header.version, version.number()),
            );
        }
        if opened.ah.is_some() && !matches!(self.config.auth, Auth::Ah(_)) {
            let why = || "it has an authentication header".into();
            return self.discard(Once::AuthType, |c| &mut c.authtype_mismatch, source, out, why);
        }
        let (message, stamp) = if self.config.keyed() {
            // a stranger's failure is nobody's
            self.check_sender(packet, multicast, out)?;
            self.check_proof(now, &header, opened, out)?
        } else {
            // who does not ask for authentication takes an advert that has it like any other
            let plain = trailer::split(message)
                .filter(|(m, t)| m.len() == header.message_len(family) && t.kind == trailer::KIND)
                .map(|(m, _)| m);
            (plain.unwrap_or(message), None)
        };
        self.check_auth(version, &header, packet, message, out)?;
        if self.config.version == Version::V2
            && header.interval != u16::from(timing::seconds(self.config.advert_interval))
        {
            let ours = timing::seconds(self.config.advert_interval);
            return self.discard(
                Once::Interval,
                |c| &mut c.advert_interval_err,
                source,
                out,
                || format!("advertisement interval mismatch, ours {ours} s, theirs {} s", header.interval),
            );
        }
        if header.kind != wire::ADVERTISEMENT {
            return self.discard(
                Once::Kind,
                |c| &mut c.invalid_type_rcvd,
                source,
                out,
                || format!("invalid packet type {}", header.kind),
            );
        }
        let want = header.message_len(family);
        if message.len() != want {
            return self.discard(
                Once::Length,
                |c| &mut c.packet_len_err,
                source,
                out,
                || format!("{} bytes where {want} are expected", message.len()),
            );
        }
        if header.interval == 0 {
            return self.discard(
                Once::Interval,
                |c| &mut c.advert_interval_err,
                source,
                out,
                || "advertisement interval 0".into(),
            );
        }
        // over IPv6 the sum takes the trailer in, as the kernel of the sender sees it; over IPv4 either way is heard
        let sum = |bytes| wire::verify(bytes, version, source, packet.destination).is_some();
        let good = sum(message) || message.len() != opened.message.len() && sum(opened.message);
        let old = !good && self.is_old(version, packet, message);
        if !good && !old {
            return self.discard(
                Once::Checksum,
                |c| &mut c.checksum_err,
                source,
                out,
                || format!("invalid checksum {:#06x}", wire::stored_checksum(message).unwrap_or(0)),
            );
        }
        if !self.config.keyed() {
            self.check_sender(packet, multicast, out)?;
        }
        self.follow_form(now, old, version, out);
        if self.config.owner_ignore_adverts && self.config.priority == 255 {
            return None;
        }
        // Where there are no addresses to advertise a count of 0 is what we send ourselves: a peer with the same file must be heard.
        if header.count == 0 && !self.wire_addresses().is_empty() {
            return self.discard(Once::Count, |c| &mut c.addr_list_err, source, out, || "no address in it".into());
        }
        let theirs = wire::address_bytes(message, header.count, family);
        // RFC 9568 section 5.2.9. Who begins its own list otherwise has a peer with the same file, which must be heard.
        let local = |list: &[u8]| wire::addresses(list, family).next().is_some_and(is_link_local);
        if self.config.strict
            && family == Family::V6
            && header.count > 0
            && !local(theirs)
            && local(&self.wire_addresses())
        {
            return self.discard(
                Once::LinkLocal,
                |c| &mut c.addr_list_err,
                source,
                out,
                || "first address is not link-local".into(),
            );
        }
        if self.config.speaks_both() && !self.is_newest(now, source, &header, out) {
            return None;
        }
        self.counters.advert_rcvd += 1;
        self.rejected.forget(source);
        if header.priority == 0 {
            self.counters.pri_zero_rcvd += 1;
        }
        self.compare_addresses(source, theirs, out);
        if let Some(stamp) = stamp {
            self.prove(source, stamp, now, out);
        }
        Some(header)
    }

    /// A packet with our own source address: our own one looped back, or somebody with our address.
    fn own_packet(&mut self, opened: &Opened<'_>, out: &mut Vec<Output>) -> Option<Header> {
        let priority = opened.message.get(2).copied().unwrap_or(0);
        if !self.leads() && !self.releasing() && priority != 0 && self.first(Once::OwnAddress) {
            let name = &self.config.name;
            out.push(Output::Log(
                Level::Warn,
                format!(
                    "({name}) received an advert with our own source address {}: is it in use twice?",
                    opened.packet.source
                ),
            ));
        }
        None
    }

    /// The sum is right as it was once computed for single routers.
    fn is_old(&self, version: Version, packet: &Received<'_>, message: &[u8]) -> bool {
        let c = &self.config;
        self.has_forms(version)
            && c.old_checksum != OldChecksum::Never
            && wire::verify(message, version, packet.source, c.group).is_some()
    }

    /// There is more than one way to compute it.
    fn has_forms(&self, version: Version) -> bool {
        self.config.unicast.is_some() && version == Version::V3 && self.config.family == Family::V4
    }

    /// As the peers compute it it is done from now on.
    fn follow_form(&mut self, now: Time, old: bool, version: Version, out: &mut Vec<Output>) {
        if !self.has_forms(version) || self.config.old_checksum != OldChecksum::Auto || self.old_checksum == old {
            return;
        }
        self.old_checksum = old;
        if self.may_chat(now) {
            let form = if old { "old" } else { "new" };
            let text = format!("({}) Setting unicast VRRPv3 checksum to {form} version", self.config.name);
            out.push(Output::Log(Level::Info, text));
        }
    }

    /// Multicast for multicast instances, unicast for unicast ones, and there from configured peers only.
    fn check_sender(&mut self, packet: &Received<'_>, multicast: bool, out: &mut Vec<Output>) -> Option<()> {
        let source = packet.source;
        // limits of the peer, or whether a stranger may speak
        let sender = self.config.unicast.as_ref().map(|u| {
            u.peers.iter().find(|p| p.address == source).map(|p| (p.min_ttl, p.max_ttl)).ok_or_else(|| {
                let limits = u.peers.iter().any(|p| p.min_ttl > 0 || p.max_ttl < 255);
                !u.check_source && !limits
            })
        });
        if multicast != sender.is_none() {
            let text = if multicast {
                "multicast advert for a unicast instance"
            } else {
                "unicast advert for a multicast instance"
            };
            self.discard(Once::Cast, |c| &mut c.unknown_source, source, out, || text.into())?;
        }
        match sender {
            Some(Ok((min, max))) if packet.hop_limit < min || packet.hop_limit > max => {
                self.discard(
                    Once::Ttl,
                    |c| &mut c.ip_ttl_err,
                    source,
                    out,
                    || format!("TTL/hop limit {} is not within {min}-{max}", packet.hop_limit),
                )?;
            }
            Some(Err(false)) => {
                self.discard(
                    Once::Source,
                    |c| &mut c.unknown_source,
                    source,
                    out,
                    || "not one of the configured unicast peers".into(),
                )?;
            }
            None | Some(Ok(_) | Err(true)) => {}
        }
        Some(())
    }

    /// A list that differs is a fault of configuration that must be seen, but the advert counts (RFC 9568 section 7.1).
    fn compare_addresses(&mut self, source: IpAddr, theirs: &[u8], out: &mut Vec<Output>) {
        let family = self.config.family;
        let unchecked = self.config.skip_check_adv_addr && self.master.is_some_and(|(m, _)| m == source);
        if unchecked || same_addresses(theirs, &self.wire_addresses(), family) {
            self.mismatches.retain(|m| m.source != source);
            return;
        }
        self.counters.addr_list_err += 1;
        self.note_mismatch(source, theirs);
        if self.first(Once::AddressList) {
            out.push(Output::Log(
                Level::Error,
                format!(
                    "({}) address list mismatch for router id {}: {source} advertises {}; configured here: {}",
                    self.config.name,
                    self.config.vrid,
                    list(theirs, family),
                    list(&self.wire_addresses(), family)
                ),
            ));
        }
    }

    /// What differs is told as long as it does. Of many senders the last ones are known.
    fn note_mismatch(&mut self, source: IpAddr, theirs: &[u8]) {
        let now = self.checked;
        if let Some(m) = self.mismatches.iter_mut().find(|m| m.source == source && *m.list == *theirs) {
            m.last = now;
            return;
        }
        self.mismatches.retain(|m| m.source != source);
        if self.mismatches.len() >= ROWS {
            let oldest = self.mismatches.iter().enumerate().min_by_key(|(_, m)| m.last).map(|(at, _)| at);
            oldest.map(|at| self.mismatches.swap_remove(at));
        }
        let of = |list| wire::addresses(list, self.config.family).collect::<Vec<IpAddr>>();
        let (named, own) = (of(theirs), of(&self.wire_addresses()));
        let without = |all: &[IpAddr], others: &[IpAddr]| all.iter().filter(|a| !others.contains(a)).copied().collect();
        let (theirs_alone, ours_alone) = (without(&named, &own), without(&own, &named));
        let list = theirs.into();
        self.mismatches.push(Mismatch { source, theirs: theirs_alone, ours: ours_alone, since: now, last: now, list });
    }

    /// Learns the interval of the master (version 3).
    pub fn learn_interval(&mut self, interval: Duration, out: &mut Vec<Output>) {
        if self.config.version != Version::V3 || interval.is_zero() || interval == self.master_interval {
            return;
        }
        let (old, name) = (self.master_interval, self.config.name.clone());
        self.master_interval = interval;
        if self.first(Once::IntervalLearned) {
            out.push(Output::Log(
                Level::Info,
                format!(
                    "({name}) advertisement interval changed from {} s to {} s",
                    old.as_secs_f64(),
                    interval.as_secs_f64()
                ),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
