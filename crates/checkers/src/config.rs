//! What the machine is told. Everything is resolved: defaults, inheritance (virtual server, real server, checker) and global
//! settings are already applied by the binary that translates the configuration file.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::Family;
use steadfast_core::ipvs::{Forward, Protocol, Service, ServiceKey};

/// Configuration of a [`crate::Pool`].
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// Groups; names are unique.
    pub groups: Vec<VirtualServerGroup>,
    /// Virtual servers; ids are unique. Later ones of the same id are left out, with a message.
    pub services: Vec<VirtualServer>,
    /// Real servers' first states run their notifiers too (rs_init_notifies).
    pub init_notifies: bool,
}

/// A program with its arguments.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Script {
    /// As written, for messages.
    pub text: String,
    /// Its words.
    pub argv: Vec<String>,
    /// The shell that must run the text, when it is more than words.
    pub shell: Option<String>,
    /// User and group ids to run as.
    pub user: Option<(u32, u32)>,
}

/// Service addresses under one name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VirtualServerGroup {
    /// Name.
    pub name: String,
    /// Addresses.
    pub ranges: Vec<Range>,
    /// Marks with their family; without one it is that of the virtual server.
    pub marks: Vec<(u32, Option<Family>)>,
    /// Marks that packets to the addresses get, by protocol: they stand for the addresses (nftables_ipvs).
    pub assigned: Vec<(Protocol, u32)>,
}

/// Consecutive addresses with one port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Range {
    /// First address.
    pub first: IpAddr,
    /// Last address, of the same family and not below the first; else only the first counts.
    pub last: IpAddr,
    /// Port; 0 is any.
    pub port: u16,
}

/// Most addresses that one range may stand for; what is beyond is left out.
pub const RANGE_LIMIT: u128 = 65536;

impl Range {
    /// The address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address == self.first
            || Family::of(address) == Family::of(self.first) && self.first <= address && address <= self.last
    }

    /// The addresses, at most [`RANGE_LIMIT`].
    pub fn addresses(&self) -> Box<dyn Iterator<Item = IpAddr>> {
        match (self.first, self.last) {
            (IpAddr::V4(a), IpAddr::V4(b)) if a <= b => {
                let (a, b) = (u32::from(a), u32::from(b));
                let end = b.min(a.saturating_add(RANGE_LIMIT as u32 - 1));
                Box::new((a..=end).map(|x| IpAddr::V4(x.into())))
            }
            (IpAddr::V6(a), IpAddr::V6(b)) if a <= b => {
                let (a, b) = (u128::from(a), u128::from(b));
                let end = b.min(a.saturating_add(RANGE_LIMIT - 1));
                Box::new((a..=end).map(|x| IpAddr::V6(x.into())))
            }
            (first, _) => Box::new(std::iter::once(first)),
        }
    }
}

/// Which virtual server.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum ServiceId {
    /// One IPVS service.
    One(ServiceKey),
    /// All services of a group.
    Group {
        /// Name of the group.
        name: String,
        /// Protocol of its addresses.
        protocol: Protocol,
    },
}

impl ServiceId {
    /// Protocol, unless a mark stands for it.
    pub const fn protocol(&self) -> Option<Protocol> {
        match self {
            ServiceId::One(ServiceKey::Address { protocol, .. }) | ServiceId::Group { protocol, .. } => Some(*protocol),
            ServiceId::One(ServiceKey::Mark { .. }) => None,
        }
    }
}

impl ServiceId {
    /// A name that no other id has, unlike the one in logs: a group that serves TCP and UDP is `[GROUP]:0` twice there.
    pub(crate) fn exact(&self) -> String {
        match self {
            ServiceId::One(key) => key.exact(),
            ServiceId::Group { name, protocol } => format!("group {name} {}", protocol.word()),
        }
    }
}

impl fmt::Display for ServiceId {
    /// As keepalived names virtual servers: `[192.0.2.1]:tcp:80`, `FWM 7`, `[GROUP]:0`; the second one of a group is its `[GROUP]:1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceId::One(key) => key.fmt(f),
            ServiceId::Group { name, .. } => write!(f, "[{name}]:0"),
        }
    }
}

/// When a service's checks rest.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Suspend {
    /// Never.
    #[default]
    Never,
    /// While none of the service's addresses is on this host (ha_suspend).
    WithoutAddress,
    /// While this VRRP instance is not master.
    WithoutInstance(String),
}

/// One virtual server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct VirtualServer {
    /// What it serves.
    pub id: ServiceId,
    /// Family of those marks of its group that have none.
    pub family: Family,
    /// Settings of its IPVS services.
    pub service: Service,
    /// When its checks rest.
    pub suspend: Suspend,
    /// Somebody follows its quorum: without it they do not rest.
    pub tracked: bool,
    /// At stop, down notifiers run for what is up.
    pub omega: bool,
    /// Weight of live servers that the service needs, at least 1.
    pub quorum: u32,
    /// Margin around the quorum, less than it.
    pub hysteresis: u32,
    /// Run when the quorum is gained.
    pub quorum_up: Option<Script>,
    /// Run when it is lost.
    pub quorum_down: Option<Script>,
    /// Mail at quorum changes.
    pub smtp_alert: bool,
    /// Serves while the quorum is lost.
    pub sorry: Option<SorryServer>,
    /// When more than this many per cent of the servers have failed at once, all are kept and an alarm is raised.
    pub panic_threshold: Option<u8>,
    /// Real servers; (address, port) is unique, later duplicates are left out with a message.
    pub servers: Vec<RealServer>,
}

impl VirtualServer {
    /// A service of wlc scheduling without servers, everything else at keepalived's defaults.
    pub fn new(id: ServiceId) -> Self {
        VirtualServer {
            id,
            family: Family::V4,
            service: Service::default(),
            suspend: Suspend::Never,
            tracked: false,
            omega: false,
            quorum: 1,
            hysteresis: 0,
            quorum_up: None,
            quorum_down: None,
            smtp_alert: false,
            sorry: None,
            panic_threshold: None,
            servers: Vec::new(),
        }
    }
}

/// The fallback of a virtual server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SorryServer {
    /// Address.
    pub address: IpAddr,
    /// Port.
    pub port: u16,
    /// How packets reach it.
    pub forward: Forward,
    /// It stays in the table with weight 0 while it is not needed.
    pub inhibit: bool,
}

/// One real server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RealServer {
    /// Address.
    pub address: IpAddr,
    /// Port; 0 is the service's.
    pub port: u16,
    /// How packets reach it.
    pub forward: Forward,
    /// Configured weight, 0..=2147483647.
    pub weight: u32,
    /// Upper connection threshold; 0: none.
    pub upper: u32,
    /// Lower connection threshold; 0: the kernel's choice.
    pub lower: u32,
    /// While down it stays in the table with weight 0.
    pub inhibit: bool,
    /// Run when it comes up.
    pub notify_up: Option<Box<Script>>,
    /// Run when it goes down.
    pub notify_down: Option<Box<Script>>,
    /// Mail at changes.
    pub smtp_alert: bool,
    /// After a recovery the weight rises to its full value over this time; zero: at once.
    pub slow_start: Duration,
    /// A server taken out of the configuration stays with weight 0 for this long; zero: it goes at once.
    pub drain: Duration,
    /// Its checks. All must agree that it is up; without any it always is.
    pub checks: Vec<Check>,
}

impl RealServer {
    /// A server of weight 1 without checks.
    pub fn new(address: IpAddr, port: u16) -> Self {
        RealServer {
            address,
            port,
            forward: Forward::Nat,
            weight: 1,
            upper: 0,
            lower: 0,
            inhibit: false,
            notify_up: None,
            notify_down: None,
            smtp_alert: false,
            slow_start: Duration::ZERO,
            drain: Duration::ZERO,
            checks: Vec::new(),
        }
    }
}

/// One check. Equal checks, of whichever servers, are one machine and share their probes.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// How often, and what follows from the answers.
    pub timing: Timing,
}

/// Schedule and verdict of a check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Timing {
    /// Time from round to round, above zero.
    pub delay_loop: Duration,
    /// Further tries in a round before it counts as failed.
    pub retry: u32,
    /// Gap before each of them.
    pub delay_before_retry: Duration,
    /// The first rounds of all checks are spread evenly over this time.
    pub warmup: Duration,
    /// Down until the first success. Else up from the start, but the first round has no further tries.
    pub alpha: bool,
    /// Successful rounds in a row that bring it up, at least 1.
    pub rise: u32,
    /// Failed rounds in a row that take it down, at least 1.
    pub fall: u32,
    /// Each failed try is logged, not only what changes the verdict.
    pub log_all_failures: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            delay_loop: Duration::from_secs(60),
            retry: 1,
            delay_before_retry: Duration::from_secs(1),
            warmup: Duration::from_secs(60),
            alpha: false,
            rise: 1,
            fall: 1,
            log_all_failures: false,
        }
    }
}

/// Where a probe goes and where it comes from.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Target {
    /// Where to; the port means nothing to PING_CHECK.
    pub address: SocketAddr,
    /// Source address.
    pub bind: Option<IpAddr>,
    /// Source port.
    pub bind_port: Option<u16>,
    /// Interface to leave by.
    pub interface: Option<Box<str>>,
    /// Mark of the packets; 0: none.
    pub mark: u32,
    /// Limit of the connect, and of each silence after it. The whole probe has this much, and the greater of this and
    /// delay_loop again: a server that says a byte a second is not waited for.
    pub timeout: Duration,
}

impl Target {
    /// An address with keepalived's 5 seconds.
    pub const fn new(address: SocketAddr) -> Self {
        Target { address, bind: None, bind_port: None, interface: None, mark: 0, timeout: Duration::from_secs(5) }
    }
}

/// What a check asks.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum CheckKind {
    /// TCP_CHECK: a connection comes about.
    Tcp(Target),
    /// HTTP_GET and SSL_GET.
    Http(HttpCheck),
    /// SMTP_CHECK: 220, HELO, 250, QUIT.
    Smtp {
        /// Where.
        target: Target,
        /// Name in HELO.
        helo: String,
    },
    /// DNS_CHECK: an answer with rcode 0.
    Dns {
        /// Where, over UDP.
        target: Target,
        /// Query type number: 6 is SOA.
        kind: u16,
        /// Query name; `.` is the root.
        name: String,
    },
    /// UDP_CHECK.
    Udp {
        /// Where.
        target: Target,
        /// Bytes to send; random ones when empty.
        payload: Vec<u8>,
        /// A reply must come, and match; else silence is success and only an ICMP error is failure.
        reply: Option<Box<Reply>>,
    },
    /// PING_CHECK: an echo reply.
    Ping(Target),
    /// MISC_CHECK: a program exits with 0.
    Misc {
        /// Program.
        script: Script,
        /// Its time limit.
        timeout: Duration,
        /// Exit 1 is down, 2 to 255 is up with weight 0 to 253.
        dynamic: bool,
    },
    /// FILE_CHECK over a tracked file.
    File {
        /// Name of the track_file.
        name: String,
        /// 0: non-zero content is down. Else content times weight is added to the server's weight.
        weight: i32,
        /// Success and failure exchanged, or the sign of the change.
        reverse: bool,
    },
    /// BFD_CHECK over a session.
    Bfd {
        /// Name of the bfd_instance.
        name: String,
    },
    /// GRPC_CHECK: the health service says SERVING.
    Grpc(Box<GrpcCheck>),
    /// Agent check: the host says itself how it is, in HAProxy's words.
    Agent {
        /// Where.
        target: Target,
        /// Bytes to send after the connect.
        send: Vec<u8>,
    },
}

/// What a UDP reply must look like.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Reply {
    /// Pairs of expected byte and mask, compared as far as both reach; empty matches all.
    pub pattern: Vec<(u8, u8)>,
    /// Least length in bytes.
    pub min: u16,
    /// Greatest length in bytes.
    pub max: u16,
}

/// HTTP version of requests.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum HttpVersion {
    /// 1.0.
    #[default]
    V10,
    /// 1.0 with `Connection: close`.
    V10Close,
    /// 1.1, with `Connection: close`.
    V11,
    /// 2, by prior knowledge, over TLS by ALPN.
    V2,
}

/// HTTP_GET, and SSL_GET when `tls` is given.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct HttpCheck {
    /// Where.
    pub target: Target,
    /// TLS settings; the adapter does the TLS.
    pub tls: Option<Arc<Tls>>,
    /// Version.
    pub version: HttpVersion,
    /// Pages, at least one. While up each round asks for the next one; otherwise a round asks for all, the failed one first.
    /// Equal ones of several servers are one in memory.
    pub urls: Arc<[Url]>,
}

/// A question to the health service of a gRPC server.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct GrpcCheck {
    /// Where.
    pub target: Target,
    /// TLS settings.
    pub tls: Option<Arc<Tls>>,
    /// Name of the service, at most 127 bytes; empty: the whole server.
    pub service: String,
    /// Host of the request; `None`: address and port of the target.
    pub host: Option<String>,
}

/// How the adapter speaks TLS.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Tls {
    /// Verify the server's certificate by this file of authorities; `None`: no verification, as keepalived does it.
    pub ca: Option<String>,
    /// The certificate must be for this name; `None`: for the SNI name, else for the address.
    pub name: Option<String>,
    /// Client certificate file, key file and passphrase.
    pub client: Option<(String, String, Option<String>)>,
    /// HTTP/2 is offered (ALPN).
    pub http2: bool,
}

/// One page and the rules for it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Url {
    /// Path of the request.
    pub path: String,
    /// Host header; `None`: address and port of the target.
    pub host: Option<String>,
    /// SNI to send.
    pub sni: Option<String>,
    /// A connection that ends without TLS close_notify is a failure.
    pub tls_compliant: bool,
    /// MD5 of the body.
    pub digest: Option<[u8; 16]>,
    /// Accepted status codes, as inclusive ranges; empty: 200 to 299, or any when there is a digest or a regex.
    pub status: Vec<(u16, u16)>,
    /// Rule for the body.
    pub regex: Option<Rule>,
}

/// A regular expression over a body.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Rule {
    /// The pattern. Matching takes linear time; back references and look-around do not exist.
    pub pattern: String,
    /// A match is the failure.
    pub no_match: bool,
    /// Least offset in the body at which a match may start, in bytes.
    pub min_offset: u64,
    /// A match must start before this offset.
    pub max_offset: Option<u64>,
    /// Letters match both cases.
    pub caseless: bool,
    /// A dot matches a line end.
    pub dotall: bool,
    /// `^` and `$` match at line ends.
    pub multiline: bool,
    /// Space and comments in the pattern are ignored.
    pub extended: bool,
    /// Quantifiers are lazy unless followed by `?`.
    pub ungreedy: bool,
    /// Classes and case follow Unicode; else bytes.
    pub utf: bool,
    /// `$` matches at the very end only, not before a closing line end.
    pub dollar_endonly: bool,
}
