//! The checks that a received packet passes before it may mean anything (RFC 9568 section 7.1, RFC 3768 section 7.1). A packet
//! that fails one is counted, mentioned once, and changes nothing else: no timer, no state.

use crate::instance::{Instance, Once};
use crate::tracking::is_link_local;
use crate::wire::{self, Header};
use crate::{Auth, Counters, Output, Received, Version, timing};
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Family;

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

impl Instance {
    /// Notes a discarded packet: counter, and a line if it is the first of its kind.
    fn discard(
        &mut self,
        kind: Once,
        counter: fn(&mut Counters) -> &mut u64,
        source: IpAddr,
        out: &mut Vec<Output>,
        why: impl FnOnce() -> String,
    ) -> Option<Header> {
        *counter(&mut self.counters) += 1;
        if self.first(kind) {
            let name = &self.config.name;
            out.push(Output::Log(Level::Warn, format!("({name}) discarding advert from {source}: {}", why())));
        }
        None
    }

    /// All checks. `Some`: a valid advert from somebody else.
    pub fn check(&mut self, packet: &Received<'_>, out: &mut Vec<Output>) -> Option<Header> {
        let (message, source) = (packet.payload, packet.source);
        let family = self.config.family;
        if Some(source) == self.assessed.source {
            return self.own_packet(packet, out);
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
        let version = match self.config.version {
            Version::V2 => 2,
            Version::V3 => 3,
        };
        if header.version != version {
            return self.discard(
                Once::Version,
                |c| &mut c.version_err,
                source,
                out,
                || format!("version {}, expected {version}", header.version),
            );
        }
        self.check_auth(&header, packet, out)?;
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
        if wire::verify(message, self.config.version, source, packet.destination).is_none() {
            return self.discard(
                Once::Checksum,
                |c| &mut c.checksum_err,
                source,
                out,
                || format!("invalid checksum {:#06x}", wire::stored_checksum(message).unwrap_or(0)),
            );
        }
        self.check_sender(packet, multicast, out)?;
        if self.config.owner_ignore_adverts && self.config.priority == 255 {
            return None;
        }
        // version 2 of keepalived may run without addresses; there a count of 0 is what we send ourselves
        if header.count == 0 && (self.config.version == Version::V3 || !self.wire_addresses.is_empty()) {
            return self.discard(Once::Count, |c| &mut c.addr_list_err, source, out, || "no address in it".into());
        }
        let theirs = wire::address_bytes(message, header.count, family);
        if self.config.strict
            && family == Family::V6
            && !wire::addresses(theirs, family).next().is_some_and(is_link_local)
        {
            return self.discard(
                Once::LinkLocal,
                |c| &mut c.addr_list_err,
                source,
                out,
                || "first address is not link-local".into(),
            );
        }
        self.counters.advert_rcvd += 1;
        if header.priority == 0 {
            self.counters.pri_zero_rcvd += 1;
        }
        self.compare_addresses(source, theirs, out);
        Some(header)
    }

    /// A packet with our own source address: our own one looped back, or somebody with our address.
    fn own_packet(&mut self, packet: &Received<'_>, out: &mut Vec<Output>) -> Option<Header> {
        let priority = packet.payload.get(2).copied().unwrap_or(0);
        if !self.leads() && !self.releasing() && priority != 0 && self.first(Once::OwnAddress) {
            let name = &self.config.name;
            out.push(Output::Log(
                Level::Warn,
                format!(
                    "({name}) received an advert with our own source address {}: is it in use twice?",
                    packet.source
                ),
            ));
        }
        None
    }

    fn check_auth(&mut self, header: &Header, packet: &Received<'_>, out: &mut Vec<Output>) -> Option<()> {
        if self.config.version != Version::V2 {
            return Some(());
        }
        let ours = match self.config.auth {
            Auth::None => 0,
            Auth::Pass(_) => 1,
        };
        let theirs = header.auth_type;
        if theirs > 2 {
            self.discard(
                Once::AuthType,
                |c| &mut c.invalid_authtype,
                packet.source,
                out,
                || format!("unknown authentication type {theirs}"),
            )?;
        }
        if theirs != ours {
            self.discard(
                Once::AuthType,
                |c| &mut c.authtype_mismatch,
                packet.source,
                out,
                || format!("authentication type {theirs}, expected {ours}"),
            )?;
        }
        if let Auth::Pass(password) = self.config.auth {
            // authentication data stand where the count says; if they do not exist, the length is at fault
            match wire::auth_data(packet.payload, header.count, self.config.family) {
                Some(data) if data == password => {}
                Some(_) => {
                    self.discard(
                        Once::AuthData,
                        |c| &mut c.auth_failure,
                        packet.source,
                        out,
                        || "received an invalid passwd".into(),
                    )?;
                }
                None => {
                    self.discard(
                        Once::Length,
                        |c| &mut c.packet_len_err,
                        packet.source,
                        out,
                        || "authentication data are missing".into(),
                    )?;
                }
            }
        }
        Some(())
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
        if self.config.skip_check_adv_addr && self.master.is_some_and(|(m, _)| m == source) {
            return;
        }
        if same_addresses(theirs, &self.wire_addresses, family) {
            return;
        }
        self.counters.addr_list_err += 1;
        if self.first(Once::AddressList) {
            out.push(Output::Log(
                Level::Error,
                format!(
                    "({}) address list mismatch for router id {}: {source} advertises {}; configured here: {}",
                    self.config.name,
                    self.config.vrid,
                    list(theirs, family),
                    list(&self.wire_addresses, family)
                ),
            ));
        }
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
                format!("({name}) advertisement interval changed from {old:?} to {interval:?}"),
            ));
        }
    }
}

#[cfg(test)]
mod tests;
