//! What the kernel answers. Attributes that are not known are passed over; what is needed and not there makes the reply `None`.

use crate::wire::{Attr, Message, attr, cmd, daemon, dest, info, stats, svc};
use crate::{Daemon, DaemonState, Timeouts};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use steadfast_core::Family;
use steadfast_core::ipvs::{
    Checksum, Destination, DestinationKey, Forward, Granularity, Persistence, Protocol, Service, ServiceKey, Tunnel,
};

/// Counters of a service or a destination. The last five are rates a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs)]
pub struct Stats {
    pub connections: u64,
    pub in_packets: u64,
    pub out_packets: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
    pub connections_rate: u64,
    pub in_packets_rate: u64,
    pub out_packets_rate: u64,
    pub in_bytes_rate: u64,
    pub out_bytes_rate: u64,
}

/// A service of a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServiceReply {
    /// Which.
    pub key: ServiceKey,
    /// Its settings.
    pub service: Service,
    /// Its counters.
    pub stats: Stats,
}

/// A destination of a dump.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DestinationReply {
    /// Which.
    pub key: DestinationKey,
    /// Its settings.
    pub destination: Destination,
    /// Active connections.
    pub active: u32,
    /// Inactive connections.
    pub inactive: u32,
    /// Persistent connections.
    pub persistent: u32,
    /// Its counters.
    pub stats: Stats,
}

/// General information.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Info {
    /// Version, a byte each: 0x010201 is 1.2.1.
    pub version: u32,
    /// Buckets of the connection table.
    pub table_size: u32,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A service.
    Service(ServiceReply),
    /// A destination of the service that was asked for, in the family of that service unless it says its own.
    Destination(DestinationReply),
    /// A running daemon.
    Daemon(Daemon),
    /// Connection time limits.
    Timeouts(Timeouts),
    /// General information.
    Info(Info),
}

impl Reply {
    /// Reads a message. `family` is that of the service whose destinations were asked for.
    pub fn read(message: &Message, family: Family) -> Option<Reply> {
        let first = |kind| find(&message.attributes, kind);
        match message.command {
            cmd::NEW_SERVICE | cmd::SET_SERVICE | cmd::GET_SERVICE => {
                Some(Reply::Service(service(&first(attr::SERVICE)?.open().ok()?)?))
            }
            cmd::NEW_DEST | cmd::SET_DEST | cmd::GET_DEST => {
                Some(Reply::Destination(destination(&first(attr::DEST)?.open().ok()?, family)?))
            }
            cmd::NEW_DAEMON | cmd::GET_DAEMON => Some(Reply::Daemon(daemon_of(&first(attr::DAEMON)?.open().ok()?)?)),
            cmd::SET_CONFIG | cmd::GET_CONFIG => Some(Reply::Timeouts(Timeouts {
                tcp: first(attr::TIMEOUT_TCP).and_then(Attr::as_u32).unwrap_or(0),
                tcp_fin: first(attr::TIMEOUT_TCP_FIN).and_then(Attr::as_u32).unwrap_or(0),
                udp: first(attr::TIMEOUT_UDP).and_then(Attr::as_u32).unwrap_or(0),
            })),
            cmd::SET_INFO | cmd::GET_INFO => Some(Reply::Info(Info {
                version: first(info::VERSION)?.as_u32()?,
                table_size: first(info::CONN_TAB_SIZE).and_then(Attr::as_u32).unwrap_or(0),
            })),
            _ => None,
        }
    }
}

fn find(attributes: &[Attr], kind: u16) -> Option<&Attr> {
    attributes.iter().find(|a| a.kind == kind)
}

fn address(attr: &Attr, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => attr.head::<4>().map(|b| IpAddr::V4(Ipv4Addr::from(b))),
        Family::V6 => attr.head::<16>().map(|b| IpAddr::V6(Ipv6Addr::from(b))),
    }
}

fn family_of(attr: &Attr) -> Option<Family> {
    [Family::V4, Family::V6].into_iter().find(|f| Some(crate::request::family_number(*f)) == attr.as_u16())
}

fn service(inner: &[Attr]) -> Option<ServiceReply> {
    let get = |kind| find(inner, kind);
    let family = family_of(get(svc::AF)?)?;
    let key = match get(svc::FWMARK).and_then(Attr::as_u32).filter(|mark| *mark != 0) {
        Some(mark) => ServiceKey::Mark { mark, family },
        None => ServiceKey::Address {
            address: address(get(svc::ADDR)?, family)?,
            port: get(svc::PORT)?.as_be16()?,
            protocol: Protocol::from_number(get(svc::PROTOCOL)?.as_u16()?)?,
        },
    };
    let flags = get(svc::FLAGS)?.head::<4>().map(u32::from_ne_bytes)?;
    let persistence = (flags & svc::F_PERSISTENT != 0).then(|| {
        let mask = get(svc::NETMASK).and_then(Attr::head::<4>).unwrap_or([0xff; 4]);
        let granularity = match family {
            Family::V4 => Granularity::Mask(u32::from_be_bytes(mask)),
            Family::V6 => Granularity::Prefix(u32::from_ne_bytes(mask).min(128) as u8),
        };
        let granularity = Some(granularity).filter(|g| g.counts(family));
        Persistence { timeout: get(svc::TIMEOUT).and_then(Attr::as_u32).unwrap_or(0), granularity }
    });
    let service = Service {
        scheduler: get(svc::SCHED_NAME)?.as_text()?,
        scheduler_flags: (flags >> svc::F_SCHED_SHIFT) as u8 & 7,
        one_packet: flags & svc::F_ONEPACKET != 0,
        persistence,
        engine: get(svc::PE_NAME).and_then(Attr::as_text).filter(|name| !name.is_empty()),
    };
    Some(ServiceReply { key, service, stats: counters(inner, svc::STATS64, svc::STATS) })
}

fn destination(inner: &[Attr], family: Family) -> Option<DestinationReply> {
    let get = |kind| find(inner, kind);
    let number = |kind| get(kind).and_then(Attr::as_u32);
    let family = match get(dest::ADDR_FAMILY) {
        // kernels before 3.18 do not say it
        None => family,
        Some(a) => family_of(a)?,
    };
    let key = DestinationKey { address: address(get(dest::ADDR)?, family)?, port: get(dest::PORT)?.as_be16()? };
    let forward = match number(dest::FWD_METHOD)? & dest::FWD_MASK {
        dest::MASQ => Forward::Nat,
        dest::LOCALNODE => Forward::Local,
        dest::DROUTE => Forward::Direct,
        dest::BYPASS => Forward::Bypass,
        dest::TUNNEL => Forward::Tunnel(tunnel(inner)),
        _ => return None,
    };
    let upper = number(dest::U_THRESH).unwrap_or(0);
    let lower = number(dest::L_THRESH).unwrap_or(0);
    Some(DestinationReply {
        key,
        destination: Destination { forward, weight: number(dest::WEIGHT)?, upper, lower },
        active: number(dest::ACTIVE_CONNS).unwrap_or(0),
        inactive: number(dest::INACT_CONNS).unwrap_or(0),
        persistent: number(dest::PERSIST_CONNS).unwrap_or(0),
        stats: counters(inner, dest::STATS64, dest::STATS),
    })
}

fn tunnel(inner: &[Attr]) -> Tunnel {
    let flags = find(inner, dest::TUN_FLAGS).and_then(Attr::as_u16).unwrap_or(0);
    let checksum = match (flags & dest::TUN_REMCSUM != 0, flags & dest::TUN_CSUM != 0) {
        (true, _) => Checksum::Remote,
        (false, true) => Checksum::Full,
        (false, false) => Checksum::None,
    };
    match find(inner, dest::TUN_TYPE).and_then(Attr::as_u8) {
        Some(dest::TUN_GUE) => {
            Tunnel::Gue { port: find(inner, dest::TUN_PORT).and_then(Attr::as_be16).unwrap_or(0), checksum }
        }
        Some(dest::TUN_GRE) => Tunnel::Gre { checksum },
        _ => Tunnel::Ipip,
    }
}

fn daemon_of(inner: &[Attr]) -> Option<Daemon> {
    let get = |kind| find(inner, kind);
    let v4 = get(daemon::MCAST_GROUP).and_then(|a| address(a, Family::V4)).filter(|a| !a.is_unspecified());
    let v6 = get(daemon::MCAST_GROUP6).and_then(|a| address(a, Family::V6)).filter(|a| !a.is_unspecified());
    Some(Daemon {
        state: match get(daemon::STATE)?.as_u32()? {
            daemon::MASTER => DaemonState::Master,
            daemon::BACKUP => DaemonState::Backup,
            _ => return None,
        },
        interface: get(daemon::MCAST_IFN)?.as_text()?,
        id: get(daemon::SYNC_ID)?.as_u32()? as u8,
        max_length: get(daemon::SYNC_MAXLEN).and_then(Attr::as_u16),
        group: v4.or(v6),
        port: get(daemon::MCAST_PORT).and_then(Attr::as_u16),
        ttl: get(daemon::MCAST_TTL).and_then(Attr::as_u8),
    })
}

/// The counters of 64 bits, or those of 32 from kernels before 4.1.
fn counters(inner: &[Attr], wide: u16, narrow: u16) -> Stats {
    let Some(Ok(inner)) = find(inner, wide).or_else(|| find(inner, narrow)).map(Attr::open) else {
        return Stats::default();
    };
    let get = |kind| find(&inner, kind).and_then(Attr::as_count).unwrap_or(0);
    Stats {
        connections: get(stats::CONNS),
        in_packets: get(stats::INPKTS),
        out_packets: get(stats::OUTPKTS),
        in_bytes: get(stats::INBYTES),
        out_bytes: get(stats::OUTBYTES),
        connections_rate: get(stats::CPS),
        in_packets_rate: get(stats::INPPS),
        out_packets_rate: get(stats::OUTPPS),
        in_bytes_rate: get(stats::INBPS),
        out_bytes_rate: get(stats::OUTBPS),
    }
}
