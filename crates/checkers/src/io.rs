//! What goes into the machine and what comes out of it.

use crate::{Script, ServiceId, Target, Tls};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use steadfast_core::Time;
use steadfast_core::ipvs::{Destination, DestinationKey, Service, ServiceKey};

/// One attempt. Never used twice in the life of a pool; what arrives under the id of a closed probe is ignored.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ProbeId(pub u64);

/// Slot of a virtual server: stable while the server is configured, may be used again after [`Output::TableGone`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u32);

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ScriptEnd {
    /// Exit status.
    Exited(i32),
    /// Ended by a signal.
    Signalled(i32),
    /// Could not be started.
    NotStarted,
    /// Could not be started for want of something here, which says nothing of the server.
    Unable,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// The probe's stream is usable: connected, and with TLS its handshake done. For UDP and ICMP: the socket is there.
    Connected(ProbeId),
    /// Bytes of the stream in any portions, or one whole datagram (for ICMP from the ICMP header on).
    Data(ProbeId, &'a [u8]),
    /// The peer ended the stream. False: a TLS stream ended without close_notify.
    Eof(ProbeId, bool),
    /// The probe cannot go on, for this reason.
    Failed(ProbeId, &'a str),
    /// The probe cannot begin, or go on, for want of something here: it says nothing of the server.
    Unable(ProbeId, &'a str),
    /// The program of a probe ended, and the last line that it wrote; why it could not be started.
    ScriptEnded(ProbeId, ScriptEnd, &'a str),
    /// A tracked file (by name) has this value.
    File(&'a str, i64),
    /// A BFD session (by name) is up or not.
    Bfd(&'a str, bool),
    /// An address is on this host, or is not any more.
    Address(IpAddr, bool),
    /// A VRRP instance (by name) is master, or is not any more.
    Instance(&'a str, bool),
    /// The operator drains a real server, or ends that. Names as in logs.
    Drain {
        /// Virtual server.
        service: &'a str,
        /// Real server.
        server: &'a str,
        /// Drain, or end draining.
        on: bool,
    },
    /// A manager changes the weight of a real server until the next reload. Names as in logs.
    Weigh {
        /// Virtual server.
        service: &'a str,
        /// Real server.
        server: &'a str,
        /// Weight.
        weight: u32,
    },
    /// Orderly stop: closing notices, then [`Output::Stopped`]. Tables are gone unless they are to be kept (-I).
    Stop {
        /// Leave the kernel's table as it is.
        keep_tables: bool,
    },
}

/// Which signal ends a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kill {
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

/// What a probe needs from the adapter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transport {
    /// A TCP connection.
    Tcp(Target),
    /// A TLS connection, and the name to send as SNI.
    Tls(Target, Arc<Tls>, Option<String>),
    /// A connected UDP socket; ICMP errors are [`Input::Failed`].
    Udp(Target),
    /// An ICMP datagram socket; the kernel fills in identifier and checksum.
    Icmp(Target),
    /// A program, in a process group of its own.
    Script(Script),
}

/// One thing to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Begin a probe. The machine keeps the time limit and says [`Output::Close`] in every case but that of a program's end.
    Start(ProbeId, Transport),
    /// Send these bytes.
    Send(ProbeId, Vec<u8>),
    /// Close and forget the probe. What was to be sent goes out first, as far as it goes without waiting.
    Close(ProbeId),
    /// Signal the process group of the probe's program.
    Kill(ProbeId, Kill),
    /// The table of this virtual server changed: see [`crate::Pool::table`]. Once for each call, however much changed.
    Table(Slot),
    /// The virtual server is gone: its services are to be removed.
    TableGone(Slot),
    /// Run a notify script.
    Notify(Script),
    /// Write this line, with its line end, to the FIFOs.
    Fifo(String),
    /// Send a mail; the router id is put before the subject by the sender.
    Mail {
        /// Subject.
        subject: String,
        /// Body.
        body: String,
    },
    /// A virtual server has its quorum, or has lost it: for VRRP's trackers. Sent at start and at every change.
    Quorum(ServiceId, bool),
    /// State to keep for a successor.
    Keep(Snapshot),
    /// The object of this [`Snapshot::key`] is gone: there is nothing to keep of it.
    Forget(String),
    /// A log line.
    Log(log::Level, String),
    /// Everything is said; the process may end.
    Stopped,
}

/// The wanted table of one virtual server: each service key with the same settings and destinations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Services.
    pub keys: Vec<ServiceKey>,
    /// Their settings.
    pub service: Service,
    /// Their destinations, by key.
    pub destinations: Vec<(DestinationKey, Destination)>,
}

/// The whole state of one object, for the successor of a process that died.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Snapshot {
    /// A virtual server.
    Service {
        /// Which.
        id: ServiceId,
        /// It has its quorum.
        quorum: bool,
        /// Since then, in tenths of a second of monotonic time; 0: nobody knows.
        since: u32,
    },
    /// A real server.
    Server {
        /// Its virtual server.
        service: ServiceId,
        /// Which.
        server: DestinationKey,
        /// It is up.
        up: bool,
        /// It has been up since the first start.
        seen_up: bool,
        /// Drained by the operator.
        drained: bool,
        /// In a slow start since then. Monotonic time goes on from process to process.
        recovering: Option<Time>,
        /// Its checks.
        checks: Vec<CheckState>,
        /// It is up, or is not, since then, in tenths of a second of monotonic time; 0: nobody knows.
        since: u32,
        /// The operator drains it, since then, in the same way; 0: nobody knows.
        drained_since: u32,
    },
    /// Why a check is down; empty when it is not any more, and there is nothing to keep.
    Reason {
        /// Fingerprint of the check.
        check: u64,
        /// The reason, as it is shown.
        text: String,
    },
    /// A real server that left the file, and drains.
    Leaving {
        /// Its virtual server.
        service: ServiceId,
        /// Which.
        server: DestinationKey,
        /// How it is in the table.
        destination: Destination,
        /// It goes then. Monotonic time goes on from process to process.
        until: Time,
    },
}

impl Snapshot {
    /// Names the object as no other is named. Names in logs are not enough: a group may serve TCP and UDP.
    pub fn key(&self) -> String {
        match self {
            Snapshot::Service { id, .. } => Self::service_key(id),
            Snapshot::Server { service, server, .. } => Self::server_key(service, server),
            Snapshot::Reason { check, .. } => Self::reason_key(*check),
            Snapshot::Leaving { service, server, .. } => Self::leaving_key(service, server),
        }
    }

    pub(crate) fn service_key(id: &ServiceId) -> String {
        format!("service {}", id.exact())
    }

    pub(crate) fn server_key(service: &ServiceId, server: &DestinationKey) -> String {
        format!("{} {}:{}", service.exact(), server.address, server.port)
    }

    pub(crate) fn leaving_key(service: &ServiceId, server: &DestinationKey) -> String {
        format!("leaving {}", Self::server_key(service, server))
    }

    pub(crate) fn reason_key(check: u64) -> String {
        format!("reason {check:x}")
    }
}

/// Verdict and counts of one check.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct CheckState {
    /// Fingerprint of its configuration: state is only taken over by an equal check.
    pub fingerprint: u64,
    /// Verdict.
    pub up: bool,
    /// It has had an answer.
    pub run: bool,
    /// Failed tries in the round that is under way.
    pub failures: u32,
    /// Successful rounds in a row, counted up to what matters.
    pub good: u32,
    /// Failed rounds in a row, counted up to what matters.
    pub bad: u32,
    /// Page to ask for next.
    pub url: u32,
    /// What it says of the weight.
    pub advice: Advice,
}

/// What a check says of its server's weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Advice {
    /// Weight instead of the configured one: the difference is added (misc_dynamic).
    pub absolute: Option<u32>,
    /// Added to the weight (FILE_CHECK).
    pub change: i64,
    /// Per cent of the weight (agent).
    pub percent: Option<u16>,
    /// No new connections (agent).
    pub drain: bool,
    /// Out of service on purpose (agent): down, but no failure that panic counts.
    pub maintenance: bool,
}
