//! Whether an advert is from whom it says: passwords, authentication headers and trailers, and stamps that only grow.

use crate::auth::{Refusal, is_wide};
use crate::instance::{Instance, Once};
use crate::receive::Opened;
use crate::wire::{self, Header, ah, trailer};
use crate::{Auth, Counters, HmacMode, Output, Received, Version};
use log::Level;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::{Family, Time};

/// So many adverts without one of version 2 make a master that does not speak it.
const ALONE: u8 = 10;

/// The router that speaks version 3, where version 2 is heard beside it (RFC 9568 section 8.4.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Newer {
    source: IpAddr,
    /// Its adverts of version 2 mean nothing until then.
    until: Time,
    /// Adverts since it last spoke version 2.
    alone: u8,
}

/// The number of a kind of authentication as the file has it.
fn kind(number: u8) -> &'static str {
    match number {
        0 => "no authentication",
        1 => "auth_type PASS",
        _ => "auth_type AH",
    }
}

impl Instance {
    /// Header and trailer of authentication by keys: the message without its trailer, and the stamp.
    pub(crate) fn check_proof<'a>(
        &mut self,
        now: Time,
        header: &Header,
        opened: Opened<'a>,
        out: &mut Vec<Output>,
    ) -> Option<(&'a [u8], Option<u64>)> {
        let source = opened.packet.source;
        let result = match &self.config.auth {
            Auth::Ah(key) => self.check_ah(key, header, opened, now),
            _ => self.check_trailer(header, opened, now),
        };
        let refusal = match result {
            Ok(good) => return Some(good),
            Err(refusal) => refusal,
        };
        // who gives up, or says something else, is no master to wait for
        if header.priority != 0 && header.kind == wire::ADVERTISEMENT {
            self.guard.saw(source, refusal, now, &self.config);
        }
        let ah = matches!(self.config.auth, Auth::Ah(_));
        let counter: fn(&mut Counters) -> &mut u64 = match refusal {
            Refusal::Missing if ah => |c| &mut c.authtype_mismatch,
            _ if ah => |c| &mut c.auth_failure,
            Refusal::Missing => |c| &mut c.auth_ext_missing,
            Refusal::Malformed => |c| &mut c.auth_ext_malformed,
            Refusal::UnknownKey(_) => |c| &mut c.auth_ext_unknown_key,
            Refusal::Invalid => |c| &mut c.auth_ext_invalid_hmac,
            Refusal::Stale(_) => |c| &mut c.auth_ext_stale,
            Refusal::Replay(_) => |c| &mut c.auth_ext_replay,
        };
        let once =
            if matches!(refusal, Refusal::Stale(_) | Refusal::Replay(_)) { Once::AuthStamp } else { Once::AuthData };
        let skew = if let Refusal::Stale(stamp) = refusal { self.guard.skew(stamp, now) } else { Duration::ZERO };
        self.discard(once, counter, source, out, || match refusal {
            Refusal::Missing => "it is not authenticated".into(),
            Refusal::Malformed => "malformed authentication".into(),
            Refusal::UnknownKey(id) => format!("authenticated by key {id}, which is not configured"),
            Refusal::Invalid if ah => {
                "IPSEC-AH: invalid HMAC-MD5 value: another password, or changed on the way".into()
            }
            Refusal::Invalid => "invalid HMAC: another key, or changed on the way".into(),
            Refusal::Stale(_) => format!("its time stamp is {:.0} s from this clock", skew.as_secs_f64()),
            Refusal::Replay(n) if ah => format!("IPSEC-AH: sequence number {n} already processed"),
            Refusal::Replay(_) => "its time stamp is not newer than the last".into(),
        })?;
        None
    }

    fn check_ah<'a>(
        &self,
        key: &steadfast_core::Secret,
        header: &Header,
        opened: Opened<'a>,
        now: Time,
    ) -> Result<(&'a [u8], Option<u64>), Refusal> {
        let (Some(ah), Some(ip)) = (opened.ah, opened.packet.header) else { return Err(Refusal::Missing) };
        let spi = IpAddr::from(ah.spi.to_be_bytes());
        if header.auth_type != self.config.auth.number() || spi != opened.packet.source {
            return Err(Refusal::Malformed);
        }
        if !ah::verify(key, ip, opened.packet.payload) {
            return Err(Refusal::Invalid);
        }
        let stamp = u64::from(ah.sequence);
        self.guard.judge(opened.packet.source, stamp, now, &self.config)?;
        Ok((opened.message, Some(stamp)))
    }

    fn check_trailer<'a>(
        &self,
        header: &Header,
        opened: Opened<'a>,
        now: Time,
    ) -> Result<(&'a [u8], Option<u64>), Refusal> {
        let Some(h) = &self.config.hmac else { return Ok((opened.message, None)) };
        let (bytes, source) = (opened.message, opened.packet.source);
        let length = header.message_len(self.config.family);
        if bytes.len() <= length {
            // shorter ones are for the check of the length
            return if h.mode == HmacMode::Enforce { Err(Refusal::Missing) } else { Ok((bytes, None)) };
        }
        let Some((message, t)) = trailer::split(bytes).filter(|(m, t)| m.len() == length && t.kind == trailer::KIND)
        else {
            return Err(Refusal::Malformed);
        };
        let key = h.key(t.key_id).ok_or(Refusal::UnknownKey(t.key_id))?;
        if !trailer::verify(key, source, bytes) {
            return Err(Refusal::Invalid);
        }
        self.guard.judge(source, t.stamp, now, &self.config)?;
        Ok((message, Some(t.stamp)))
    }

    /// An authenticated advert passed all checks.
    pub(crate) fn prove(&mut self, source: IpAddr, stamp: u64, now: Time, out: &mut Vec<Output>) {
        self.guard.commit(source, stamp, now, &self.config);
        let skew = self.guard.skew(stamp, now);
        if self.config.hmac.as_ref().is_some_and(|h| is_wide(h, skew)) && self.first(Once::Skew) {
            let text = format!(
                "({}) the clocks of {source} and of this host are {:.1} s apart: more than half of time_window",
                self.config.name,
                skew.as_secs_f64()
            );
            out.push(Output::Log(Level::Warn, text));
        }
    }

    /// False: an advert of version 2 from somebody who speaks version 3, too.
    pub(crate) fn is_newest(&mut self, now: Time, source: IpAddr, header: &Header, out: &mut Vec<Output>) -> bool {
        let mut known = self.newer.iter_mut().flat_map(|n| n.iter_mut()).flatten();
        let same = known.find(|n| n.source == source && now < n.until);
        if header.version == 2 {
            return same.map(|n| n.alone = 0).is_none();
        }
        let until = now + header.interval() * 3;
        let alone = same.as_ref().map_or(0, |n| n.alone).saturating_add(1);
        match same {
            Some(n) => *n = Newer { source, until, alone },
            // Two others may be masters at once: the one that was heard last is kept, too.
            None => {
                let others = self.newer.iter().flat_map(|n| n.iter()).flatten().copied();
                let last = others.filter(|n| n.source != source && now < n.until).max_by_key(|n| n.until);
                self.newer = Some(Box::new([Some(Newer { source, until, alone }), last]));
            }
        }
        if alone == ALONE && self.first(Once::Alone) {
            let name = &self.config.name;
            let text =
                format!("({name}) {source} sends no adverts of version 2: who knows no other takes over beside it");
            out.push(Output::Log(Level::Warn, text));
        }
        true
    }

    pub(crate) fn check_auth(
        &mut self,
        version: Version,
        header: &Header,
        packet: &Received<'_>,
        message: &[u8],
        out: &mut Vec<Output>,
    ) -> Option<()> {
        if version != Version::V2 {
            return Some(());
        }
        let ours = self.config.auth.number();
        let theirs = header.auth_type;
        if theirs > 2 {
            self.discard(
                Once::AuthType,
                |c| &mut c.invalid_authtype,
                packet.source,
                out,
                || format!("unknown authentication type {theirs}, expected {}", kind(ours)),
            )?;
        }
        if theirs != ours {
            self.discard(
                Once::AuthType,
                |c| &mut c.authtype_mismatch,
                packet.source,
                out,
                || format!("{}, expected {}", kind(theirs), kind(ours)),
            )?;
        }
        // Over IPv6 none are sent.
        if let Auth::Pass(password) = self.config.auth
            && self.config.family == Family::V4
        {
            // authentication data stand where the count says; if they do not exist, the length is at fault
            match wire::auth_data(message, header.count, self.config.family) {
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
}
