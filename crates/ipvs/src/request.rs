//! What can be asked of the kernel.

use crate::Operation;
use crate::wire::{Attr, Message, attr, cmd, daemon, dest, svc};
use std::fmt;
use std::net::IpAddr;
use steadfast_core::Family;
use steadfast_core::ipvs::{Checksum, Destination, DestinationKey, Forward, Granularity, Service, ServiceKey, Tunnel};

/// Time limits of connections in seconds; 0 leaves one as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timeouts {
    /// Established TCP.
    pub tcp: u32,
    /// TCP after FIN.
    pub tcp_fin: u32,
    /// UDP.
    pub udp: u32,
}

/// Which half of the connection synchronisation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum DaemonState {
    /// Sends.
    Master,
    /// Receives.
    Backup,
}

impl DaemonState {
    /// The kernel's number.
    pub const fn number(self) -> u32 {
        match self {
            DaemonState::Master => daemon::MASTER,
            DaemonState::Backup => daemon::BACKUP,
        }
    }
}

/// A synchronisation daemon. `None` is the kernel's default.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Daemon {
    /// Which half.
    pub state: DaemonState,
    /// Interface.
    pub interface: String,
    /// Id, 0..=255; a receiver of id 0 takes all.
    pub id: u8,
    /// Most bytes of a datagram.
    pub max_length: Option<u16>,
    /// Multicast group.
    pub group: Option<IpAddr>,
    /// UDP port.
    pub port: Option<u16>,
    /// TTL of the datagrams.
    pub ttl: Option<u8>,
}

impl Daemon {
    /// The kernel runs what is wanted: what is left to it may be anything.
    fn satisfies(&self, wanted: &Daemon) -> bool {
        let fits = |have: Option<u16>, want: Option<u16>| want.is_none() || have == want;
        // The kernel keeps the length within these bounds: a receiver takes at least 1024 bytes, and a datagram has its headers.
        let least = if wanted.state == DaemonState::Backup { 1024 } else { 1 };
        let most = if matches!(wanted.group, Some(IpAddr::V6(_))) { 65535 - 48 } else { 65535 - 28 };
        self.state == wanted.state
            && self.interface == wanted.interface
            && self.id == wanted.id
            && fits(self.max_length, wanted.max_length.map(|n| n.clamp(least, most)))
            && fits(self.port, wanted.port)
            && fits(self.ttl.map(u16::from), wanted.ttl.map(u16::from))
            && (wanted.group.is_none() || self.group == wanted.group)
    }
}

/// The steps from the daemons that run to those that are wanted, at most one of each state: a daemon cannot be changed, only
/// stopped and started. What runs as it is wanted is not touched. The daemons of a network namespace have one owner.
pub fn daemon_difference(running: &[Daemon], wanted: &[Daemon]) -> Vec<Request> {
    let stop = running.iter().filter(|r| !wanted.iter().any(|w| r.satisfies(w))).map(|r| Request::DelDaemon(r.state));
    let start =
        wanted.iter().filter(|w| !running.iter().any(|r| r.satisfies(w))).map(|w| Request::NewDaemon(w.clone()));
    stop.chain(start).collect()
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Add a service.
    NewService(ServiceKey, Service),
    /// Change a service.
    SetService(ServiceKey, Service),
    /// Remove a service and its destinations.
    DelService(ServiceKey),
    /// All services.
    GetServices,
    /// Add a destination.
    NewDestination(ServiceKey, DestinationKey, Destination),
    /// Change a destination.
    SetDestination(ServiceKey, DestinationKey, Destination),
    /// Remove a destination.
    DelDestination(ServiceKey, DestinationKey),
    /// All destinations of a service.
    GetDestinations(ServiceKey),
    /// Start a synchronisation daemon.
    NewDaemon(Daemon),
    /// Stop one.
    DelDaemon(DaemonState),
    /// Those that run.
    GetDaemons,
    /// Set connection time limits.
    SetTimeouts(Timeouts),
    /// Read them.
    GetTimeouts,
    /// Version and size of the connection table.
    GetInfo,
    /// Remove everything.
    Flush,
}

impl From<&Operation> for Request {
    fn from(operation: &Operation) -> Request {
        match operation.clone() {
            Operation::AddService(key, service) => Request::NewService(key, service),
            Operation::EditService(key, service) => Request::SetService(key, service),
            Operation::RemoveService(key) => Request::DelService(key),
            Operation::AddDestination(s, key, destination) => Request::NewDestination(s, key, destination),
            Operation::EditDestination(s, key, destination) => Request::SetDestination(s, key, destination),
            Operation::RemoveDestination(s, key) => Request::DelDestination(s, key),
        }
    }
}

impl fmt::Display for Request {
    /// For people, behind "the kernel refused".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let half = |state: &DaemonState| if *state == DaemonState::Master { "master" } else { "backup" };
        match self {
            Request::NewService(key, s) => Operation::AddService(*key, s.clone()).fmt(f),
            Request::SetService(key, s) => Operation::EditService(*key, s.clone()).fmt(f),
            Request::DelService(key) => Operation::RemoveService(*key).fmt(f),
            Request::NewDestination(s, key, d) => Operation::AddDestination(*s, *key, *d).fmt(f),
            Request::SetDestination(s, key, d) => Operation::EditDestination(*s, *key, *d).fmt(f),
            Request::DelDestination(s, key) => Operation::RemoveDestination(*s, *key).fmt(f),
            Request::GetServices => f.write_str("to list its services"),
            Request::GetDestinations(key) => write!(f, "to list the servers of {key}"),
            Request::NewDaemon(d) => {
                write!(f, "to start the synchronisation daemon as {} on {}, id {}", half(&d.state), d.interface, d.id)
            }
            Request::DelDaemon(state) => write!(f, "to stop the synchronisation daemon that runs as {}", half(state)),
            Request::GetDaemons => f.write_str("to list its synchronisation daemons"),
            Request::SetTimeouts(t) => {
                write!(f, "to take the time limits {} {} {} (0: as it is)", t.tcp, t.tcp_fin, t.udp)
            }
            Request::GetTimeouts => f.write_str("to tell its time limits"),
            Request::GetInfo => f.write_str("to tell its version"),
            Request::Flush => f.write_str("to empty its table"),
        }
    }
}

impl Request {
    /// The answer comes in many parts.
    pub const fn is_dump(&self) -> bool {
        matches!(self, Request::GetServices | Request::GetDestinations(_) | Request::GetDaemons)
    }

    /// The message.
    pub fn message(&self) -> Message {
        let (command, attributes) = match self {
            Request::NewService(key, service) => (cmd::NEW_SERVICE, vec![service_attr(key, Some(service))]),
            Request::SetService(key, service) => (cmd::SET_SERVICE, vec![service_attr(key, Some(service))]),
            Request::DelService(key) => (cmd::DEL_SERVICE, vec![service_attr(key, None)]),
            Request::GetServices => (cmd::GET_SERVICE, vec![]),
            Request::NewDestination(s, key, d) => (cmd::NEW_DEST, vec![service_attr(s, None), dest_attr(key, Some(d))]),
            Request::SetDestination(s, key, d) => (cmd::SET_DEST, vec![service_attr(s, None), dest_attr(key, Some(d))]),
            Request::DelDestination(s, key) => (cmd::DEL_DEST, vec![service_attr(s, None), dest_attr(key, None)]),
            Request::GetDestinations(s) => (cmd::GET_DEST, vec![service_attr(s, None)]),
            Request::NewDaemon(d) => (cmd::NEW_DAEMON, vec![daemon_attr(d)]),
            Request::DelDaemon(state) => {
                let inner = vec![Attr::u32(daemon::STATE, state.number())];
                (cmd::DEL_DAEMON, vec![Attr::nested(attr::DAEMON, inner)])
            }
            Request::GetDaemons => (cmd::GET_DAEMON, vec![]),
            Request::SetTimeouts(t) => {
                let all = [(attr::TIMEOUT_TCP, t.tcp), (attr::TIMEOUT_TCP_FIN, t.tcp_fin), (attr::TIMEOUT_UDP, t.udp)];
                (cmd::SET_CONFIG, all.into_iter().filter(|(_, n)| *n > 0).map(|(kind, n)| Attr::u32(kind, n)).collect())
            }
            Request::GetTimeouts => (cmd::GET_CONFIG, vec![]),
            Request::GetInfo => (cmd::GET_INFO, vec![]),
            Request::Flush => (cmd::FLUSH, vec![]),
        };
        Message { command, attributes }
    }

    /// The bytes, for the family number that the kernel gave.
    pub fn encode(&self, family: u16, sequence: u32) -> Vec<u8> {
        self.message().encode(family, sequence, self.is_dump())
    }
}

/// AF_INET and AF_INET6.
pub(crate) const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}

/// An address in the 16 bytes of the kernel's union.
fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(a) => a.octets(),
        IpAddr::V4(a) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&a.octets());
            bytes
        }
    }
}

fn service_attr(key: &ServiceKey, service: Option<&Service>) -> Attr {
    let family = key.family();
    let mut inner = vec![Attr::u16(svc::AF, family_number(family))];
    match key {
        ServiceKey::Mark { mark, .. } => inner.push(Attr::u32(svc::FWMARK, *mark)),
        ServiceKey::Address { address, port, protocol } => inner.extend([
            Attr::u16(svc::PROTOCOL, protocol.number().into()),
            Attr::bytes(svc::ADDR, address_bytes(*address)),
            Attr::be16(svc::PORT, *port),
        ]),
    }
    if let Some(service) = service {
        let mut flags = u32::from(service.scheduler_flags & 7) << svc::F_SCHED_SHIFT;
        if service.one_packet {
            flags |= svc::F_ONEPACKET;
        }
        if service.persistence.is_some() {
            flags |= svc::F_PERSISTENT;
        }
        let mask = match (service.persistence.and_then(|p| p.granularity).filter(|g| g.counts(family)), family) {
            // a mask as it stands in an IPv4 header
            (Some(Granularity::Mask(mask)), _) => mask.to_be_bytes(),
            (Some(Granularity::Prefix(bits)), _) => u32::from(bits).to_ne_bytes(),
            (None, Family::V4) => u32::MAX.to_be_bytes(),
            (None, Family::V6) => u32::from(family.bits()).to_ne_bytes(),
        };
        inner.extend([
            Attr::text(svc::SCHED_NAME, &service.scheduler),
            Attr::bytes(svc::FLAGS, [flags.to_ne_bytes(), u32::MAX.to_ne_bytes()].concat()),
            Attr::u32(svc::TIMEOUT, service.persistence.map_or(0, |p| p.timeout)),
            Attr::bytes(svc::NETMASK, mask),
        ]);
        inner.extend(service.engine.as_ref().map(|name| Attr::text(svc::PE_NAME, name)));
    }
    Attr::nested(attr::SERVICE, inner)
}

fn dest_attr(key: &DestinationKey, destination: Option<&Destination>) -> Attr {
    let mut inner = vec![
        Attr::u16(dest::ADDR_FAMILY, family_number(Family::of(key.address))),
        Attr::bytes(dest::ADDR, address_bytes(key.address)),
        Attr::be16(dest::PORT, key.port),
    ];
    if let Some(d) = destination {
        let (method, tunnel) = match d.forward {
            Forward::Nat => (dest::MASQ, None),
            Forward::Local => (dest::LOCALNODE, None),
            Forward::Direct => (dest::DROUTE, None),
            Forward::Bypass => (dest::BYPASS, None),
            // kernels before 5.2 know IPIP alone, and no attribute for it
            Forward::Tunnel(Tunnel::Ipip) => (dest::TUNNEL, None),
            Forward::Tunnel(Tunnel::Gue { port, checksum }) => (dest::TUNNEL, Some((dest::TUN_GUE, port, checksum))),
            Forward::Tunnel(Tunnel::Gre { checksum }) => (dest::TUNNEL, Some((dest::TUN_GRE, 0, checksum))),
        };
        inner.extend([
            Attr::u32(dest::FWD_METHOD, method),
            Attr::u32(dest::WEIGHT, d.weight),
            Attr::u32(dest::U_THRESH, d.upper),
            Attr::u32(dest::L_THRESH, d.lower),
        ]);
        if let Some((kind, port, checksum)) = tunnel {
            let flags = match checksum {
                Checksum::None => 0,
                Checksum::Full => dest::TUN_CSUM,
                Checksum::Remote => dest::TUN_REMCSUM,
            };
            inner.extend([
                Attr::u8(dest::TUN_TYPE, kind),
                Attr::be16(dest::TUN_PORT, port),
                Attr::u16(dest::TUN_FLAGS, flags),
            ]);
        }
    }
    Attr::nested(attr::DEST, inner)
}

fn daemon_attr(d: &Daemon) -> Attr {
    let mut inner = vec![
        Attr::u32(daemon::STATE, d.state.number()),
        Attr::text(daemon::MCAST_IFN, &d.interface),
        Attr::u32(daemon::SYNC_ID, d.id.into()),
    ];
    inner.extend(d.max_length.map(|n| Attr::u16(daemon::SYNC_MAXLEN, n)));
    inner.extend(d.group.map(|group| match group {
        IpAddr::V4(a) => Attr::bytes(daemon::MCAST_GROUP, a.octets()),
        IpAddr::V6(a) => Attr::bytes(daemon::MCAST_GROUP6, a.octets()),
    }));
    inner.extend(d.port.map(|n| Attr::u16(daemon::MCAST_PORT, n)));
    inner.extend(d.ttl.map(|n| Attr::u8(daemon::MCAST_TTL, n)));
    Attr::nested(attr::DAEMON, inner)
}
