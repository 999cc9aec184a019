//! Routes.

use crate::{Family, IpCidr};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Route types of rtnetlink (RTN_*).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum RouteKind {
    /// RTN_UNICAST
    #[default]
    Unicast,
    /// RTN_LOCAL
    Local,
    /// RTN_BROADCAST
    Broadcast,
    /// RTN_ANYCAST
    Anycast,
    /// RTN_MULTICAST
    Multicast,
    /// RTN_BLACKHOLE
    Blackhole,
    /// RTN_UNREACHABLE
    Unreachable,
    /// RTN_PROHIBIT
    Prohibit,
    /// RTN_THROW
    Throw,
}

impl RouteKind {
    /// Each type with the word for it.
    pub const WORDS: &'static [(&'static str, RouteKind)] = &[
        ("unicast", RouteKind::Unicast),
        ("local", RouteKind::Local),
        ("broadcast", RouteKind::Broadcast),
        ("brd", RouteKind::Broadcast),
        ("anycast", RouteKind::Anycast),
        ("multicast", RouteKind::Multicast),
        ("blackhole", RouteKind::Blackhole),
        ("unreachable", RouteKind::Unreachable),
        ("prohibit", RouteKind::Prohibit),
        ("throw", RouteKind::Throw),
    ];

    /// It leads nowhere: the kernel takes no interface for it.
    pub fn leads_nowhere(self) -> bool {
        matches!(self, RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw)
    }
}

/// How a route stands to routes of the same destination, type of service and metric that are there already.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Placement {
    /// Before them; they count again when it goes.
    #[default]
    Prepend,
    /// After them.
    Append,
    /// Only where there are none.
    Add,
}

/// Metrics of rtnetlink (RTAX_*) that are numbers. Times: round-trip time in 1/8 ms, its variance in 1/4 ms, minimal
/// retransmission timeout in ms; sizes in bytes, windows of congestion in packets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Metric {
    Rtt,
    RttVar,
    RtoMin,
    /// Bits; 1 is ECN.
    Features,
    Mtu,
    Window,
    SsThresh,
    Cwnd,
    Advmss,
    Reordering,
    Hoplimit,
    InitCwnd,
    InitRwnd,
    QuickAck,
    FastopenNoCookie,
}

impl Metric {
    /// The word of a metric.
    pub fn word(self) -> &'static str {
        match self {
            Metric::Rtt => "rtt",
            Metric::RttVar => "rttvar",
            Metric::RtoMin => "rto_min",
            Metric::Features => "features",
            Metric::Mtu => "mtu",
            Metric::Window => "window",
            Metric::SsThresh => "ssthresh",
            Metric::Cwnd => "cwnd",
            Metric::Advmss => "advmss",
            Metric::Reordering => "reordering",
            Metric::Hoplimit => "hoplimit",
            Metric::InitCwnd => "initcwnd",
            Metric::InitRwnd => "initrwnd",
            Metric::QuickAck => "quickack",
            Metric::FastopenNoCookie => "fastopen_no_cookie",
        }
    }

    /// Units of a time metric in a millisecond; `None` for others.
    pub fn per_millisecond(self) -> Option<u32> {
        match self {
            Metric::Rtt => Some(8),
            Metric::RttVar => Some(4),
            Metric::RtoMin => Some(1),
            _ => None,
        }
    }

    /// Its RTAX_* number.
    pub fn number(self) -> u16 {
        match self {
            Metric::Mtu => 2,
            Metric::Window => 3,
            Metric::Rtt => 4,
            Metric::RttVar => 5,
            Metric::SsThresh => 6,
            Metric::Cwnd => 7,
            Metric::Advmss => 8,
            Metric::Reordering => 9,
            Metric::Hoplimit => 10,
            Metric::InitCwnd => 11,
            Metric::Features => 12,
            Metric::RtoMin => 13,
            Metric::InitRwnd => 14,
            Metric::QuickAck => 15,
            Metric::FastopenNoCookie => 17,
        }
    }
}

/// RTAX_CC_ALGO, for locks.
pub const CONGESTION_NUMBER: u16 = 16;

/// What a packet is wrapped into on its way (a light-weight tunnel).
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Encap {
    /// IPv4.
    Ip {
        /// Tunnel identifier.
        id: Option<u64>,
        /// Far end.
        destination: Option<Ipv4Addr>,
        /// Near end.
        source: Option<Ipv4Addr>,
        /// Type of service of the outer packet.
        tos: u8,
        /// Time to live of the outer packet; 0 is the kernel's choice.
        ttl: u8,
        /// TUNNEL_* bits.
        flags: u16,
    },
    /// IPv6.
    Ip6 {
        /// Tunnel identifier.
        id: Option<u64>,
        /// Far end.
        destination: Option<Ipv6Addr>,
        /// Near end.
        source: Option<Ipv6Addr>,
        /// Traffic class of the outer packet.
        class: u8,
        /// Hop limit of the outer packet; 0 is the kernel's choice.
        hoplimit: u8,
        /// TUNNEL_* bits.
        flags: u16,
    },
    /// A stack of at most 16 labels of 20 bits, the outer first.
    Mpls(Vec<u32>),
    /// Identifier-locator addressing: the locator.
    Ila(u64),
}

impl fmt::Display for Encap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn some(f: &mut fmt::Formatter<'_>, word: &str, v: Option<&dyn fmt::Display>) -> fmt::Result {
            v.map_or(Ok(()), |v| write!(f, " {word} {v}"))
        }
        fn set(f: &mut fmt::Formatter<'_>, word: &str, v: u8) -> fmt::Result {
            if v == 0 { Ok(()) } else { write!(f, " {word} {v}") }
        }
        f.write_str("encap ")?;
        let flags = match self {
            Encap::Ip { id, destination, source, tos, ttl, flags } => {
                f.write_str("ip")?;
                some(f, "id", id.as_ref().map(|v| v as _))?;
                some(f, "dst", destination.as_ref().map(|v| v as _))?;
                some(f, "src", source.as_ref().map(|v| v as _))?;
                set(f, "tos", *tos)?;
                set(f, "ttl", *ttl)?;
                *flags
            }
            Encap::Ip6 { id, destination, source, class, hoplimit, flags } => {
                f.write_str("ip6")?;
                some(f, "id", id.as_ref().map(|v| v as _))?;
                some(f, "dst", destination.as_ref().map(|v| v as _))?;
                some(f, "src", source.as_ref().map(|v| v as _))?;
                set(f, "tc", *class)?;
                set(f, "hoplimit", *hoplimit)?;
                *flags
            }
            Encap::Mpls(labels) => {
                f.write_str("mpls ")?;
                for (n, label) in labels.iter().enumerate() {
                    write!(f, "{}{label}", if n > 0 { "/" } else { "" })?;
                }
                0
            }
            Encap::Ila(locator) => {
                let [a, b, c, d] = [48, 32, 16, 0].map(|s| (locator >> s) & 0xffff);
                write!(f, "ila {a:x}:{b:x}:{c:x}:{d:x}")?;
                0
            }
        };
        if flags == 0 { Ok(()) } else { write!(f, " flags {flags:#x}") }
    }
}

/// Realms of IPv4: source (0: none) and destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Realms {
    /// Of the source.
    pub from: u8,
    /// Of the destination.
    pub to: u8,
}

/// One hop of a multipath route.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct NextHop {
    /// Gateway.
    pub via: Option<IpAddr>,
    /// Output interface.
    pub interface: Option<String>,
    /// Weight 1..=256; 0 is not given, and 1.
    pub weight: u16,
    /// Treat the gateway as on-link.
    pub onlink: bool,
    /// Encapsulation.
    pub encap: Option<Encap>,
    /// Realms, IPv4.
    pub realms: Option<Realms>,
}

/// A route. What is `None` is left to the kernel.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Route {
    /// Family.
    pub family: Family,
    /// Destination; `None` is the default route.
    pub destination: Option<IpCidr>,
    /// Type.
    pub kind: RouteKind,
    /// Place among its like.
    pub placement: Placement,
    /// Preferred source.
    pub source: Option<IpAddr>,
    /// IPv6 source prefix.
    pub from: Option<IpCidr>,
    /// Encapsulation.
    pub encap: Option<Encap>,
    /// Gateway, of either family.
    pub via: Option<IpAddr>,
    /// Output interface.
    pub interface: Option<String>,
    /// Table; 254 is main.
    pub table: u32,
    /// The VRF link whose table holds it, instead of `table`.
    pub vrf: Option<String>,
    /// RTPROT_*; 18 is keepalived's.
    pub protocol: u8,
    /// Scope; `None` is chosen by type and gateway.
    pub scope: Option<u8>,
    /// Metric.
    pub metric: Option<u32>,
    /// Type of service.
    pub tos: u8,
    /// Gateway is on-link.
    pub onlink: bool,
    /// Lifetime in seconds, IPv6.
    pub expires: Option<u32>,
    /// Realms, IPv4.
    pub realms: Option<Realms>,
    /// Metrics, each once and in order; true: the stack may not change it.
    pub metrics: Vec<(Metric, u32, bool)>,
    /// Congestion control algorithm; true: locked.
    pub congestion: Option<(String, bool)>,
    /// Router preference of RFC 4191 (0 medium, 1 high, 3 low), IPv6.
    pub preference: Option<u8>,
    /// MPLS: whether the time to live goes over into the inner packet.
    pub ttl_propagate: Option<bool>,
    /// Hops of a multipath route; empty for a plain one.
    pub nexthops: Vec<NextHop>,
    /// Its loss concerns nobody: it stays away until the instance is master anew, or its link is back.
    pub no_track: bool,
}

impl Route {
    /// An empty unicast route of a family in the main table.
    pub fn new(family: Family) -> Self {
        Route {
            family,
            destination: None,
            kind: RouteKind::Unicast,
            placement: Placement::Prepend,
            source: None,
            from: None,
            encap: None,
            via: None,
            interface: None,
            table: 254,
            vrf: None,
            protocol: 18,
            scope: None,
            metric: None,
            tos: 0,
            onlink: false,
            expires: None,
            realms: None,
            metrics: Vec::new(),
            congestion: None,
            preference: None,
            ttl_propagate: None,
            nexthops: Vec::new(),
            no_track: false,
        }
    }

    /// Sets a metric; the last word on it counts.
    pub fn set_metric(&mut self, metric: Metric, value: u32, lock: bool) {
        match self.metrics.binary_search_by_key(&metric, |m| m.0) {
            Ok(at) => self.metrics[at] = (metric, value, lock),
            Err(at) => self.metrics.insert(at, (metric, value, lock)),
        }
    }

    /// Names of the links that it needs.
    pub fn links(&self) -> impl Iterator<Item = &str> {
        let own = [&self.interface, &self.vrf].into_iter();
        own.chain(self.nexthops.iter().map(|h| &h.interface)).filter_map(|i| i.as_deref())
    }

    /// The line of dumps: keepalived's words in keepalived's order.
    pub fn line(&self) -> Line<'_> {
        Line(self)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination {
            Some(d) => write!(f, "{d}")?,
            None => f.write_str("default")?,
        }
        if let Some(via) = self.via {
            write!(f, " via {via}")?;
        }
        if let Some(dev) = &self.interface {
            write!(f, " dev {dev}")?;
        }
        if self.table != 254 {
            write!(f, " table {}", self.table)?;
        }
        Ok(())
    }
}

/// See [`Route::line`].
pub struct Line<'r>(&'r Route);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn via(f: &mut fmt::Formatter<'_>, via: Option<IpAddr>) -> fmt::Result {
            via.map_or(Ok(()), |v| write!(f, " via {} {v}", if v.is_ipv6() { "inet6" } else { "inet" }))
        }
        fn dev(f: &mut fmt::Formatter<'_>, dev: &Option<String>) -> fmt::Result {
            dev.as_ref().map_or(Ok(()), |d| write!(f, " dev {d}"))
        }
        fn realms(f: &mut fmt::Formatter<'_>, realms: Option<Realms>) -> fmt::Result {
            match realms {
                None => Ok(()),
                Some(Realms { from: 0, to }) => write!(f, " realm {to}"),
                Some(Realms { from, to }) => write!(f, " realms {from}/{to}"),
            }
        }
        let r = self.0;
        f.write_str(match r.placement {
            Placement::Prepend => "prepend",
            Placement::Append => "append",
            Placement::Add => "add",
        })?;
        if r.kind != RouteKind::Unicast
            && let Some((word, _)) = RouteKind::WORDS.iter().find(|(_, k)| *k == r.kind)
        {
            write!(f, " {word}")?;
        }
        match (r.destination, r.family) {
            (Some(d), family) if d.prefix == family.bits() => write!(f, " {}", d.address)?,
            (Some(d), _) => write!(f, " {d}")?,
            (None, Family::V4) => f.write_str(" 0.0.0.0/0")?,
            (None, Family::V6) => f.write_str(" ::/0")?,
        }
        if let Some(from) = r.from {
            write!(f, " from {from}")?;
        }
        if let Some(src) = r.source {
            write!(f, " src {src}")?;
        }
        if r.tos != 0 {
            write!(f, " tos {}", r.tos)?;
        }
        if let Some(e) = &r.encap {
            write!(f, " {e}")?;
        }
        via(f, r.via)?;
        dev(f, &r.interface)?;
        match &r.vrf {
            Some(vrf) => write!(f, " vrf {vrf}")?,
            None if r.table != 254 && !(r.table == 255 && r.kind != RouteKind::Unicast) => {
                write!(f, " table {}", r.table)?;
            }
            None => {}
        }
        write!(f, " proto {}", r.protocol)?;
        if let Some(scope) = r.scope {
            write!(f, " scope {scope}")?;
        }
        if let Some(metric) = r.metric {
            write!(f, " metric {metric}")?;
        }
        if r.onlink {
            f.write_str(" onlink")?;
        }
        if let Some(e) = r.expires {
            write!(f, " expires {e}sec")?;
        }
        realms(f, r.realms)?;
        if let Some((name, lock)) = &r.congestion {
            write!(f, " congctl {}{name}", if *lock { "lock " } else { "" })?;
        }
        for (metric, value, lock) in &r.metrics {
            write!(f, " {}{}", metric.word(), if *lock { " lock" } else { "" })?;
            match (metric, metric.per_millisecond()) {
                (Metric::Features, _) if *value == 1 => f.write_str(" ecn")?,
                (_, Some(unit)) => {
                    let ms = f64::from(*value) / f64::from(unit);
                    if ms >= 1000.0 { write!(f, " {}s", ms / 1000.0)? } else { write!(f, " {ms}ms")? }
                }
                _ => write!(f, " {value}")?,
            }
        }
        if let Some(p) = r.preference {
            write!(
                f,
                " pref {}",
                match p {
                    0 => "medium",
                    1 => "high",
                    3 => "low",
                    _ => "unknown",
                }
            )?;
        }
        if let Some(on) = r.ttl_propagate {
            write!(f, " ttl-propagate {}", if on { "enabled" } else { "disabled" })?;
        }
        for h in &r.nexthops {
            f.write_str(" nexthop")?;
            via(f, h.via)?;
            dev(f, &h.interface)?;
            if h.weight != 0 {
                write!(f, " weight {}", h.weight)?;
            }
            if h.onlink {
                f.write_str(" onlink")?;
            }
            realms(f, h.realms)?;
            if let Some(e) = &h.encap {
                write!(f, " {e}")?;
            }
        }
        if r.no_track { f.write_str(" no_track") } else { Ok(()) }
    }
}
