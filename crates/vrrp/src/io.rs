//! What goes into the machine and what comes out of it.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use steadfast_core::kernel::Object;
use steadfast_core::{Family, IpCidr, Mac, State};

/// The whole current state of one link. Sent when it appears and at every change, never as a difference.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Interface name.
    pub name: String,
    /// Interface index.
    pub index: u32,
    /// Up and running (IFF_UP and IFF_RUNNING).
    pub up: bool,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Hardware address.
    pub mac: Mac,
    /// Usable addresses in the kernel's order: no tentative and no failed ones. Ours are among them.
    pub addresses: Vec<IpCidr>,
    /// It is a VRF.
    pub vrf: bool,
}

/// A received protocol-112 packet.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Index of the interface that it came in by.
    pub interface: u32,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The VRRP message: the IP payload. Behind an authentication header, that header and the message.
    pub payload: &'a [u8],
    /// The IPv4 header of a packet that came as protocol 51, whose check covers it.
    pub header: Option<&'a [u8]>,
}

/// How a script ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum ScriptEnd {
    /// Exit status.
    Exited(i32),
    /// Ended by a signal.
    Signalled(i32),
    /// Could not be started.
    NotStarted,
    /// This host is out of processes, memory or descriptors, which says nothing of what the script looks at.
    Unable,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A packet.
    Packet(Received<'a>),
    /// A link, whole.
    Link(Link),
    /// The link of this name is gone.
    LinkGone(&'a str),
    /// The link of this name was down for so short a time that it was up again before that was told.
    LinkBlinked(&'a str),
    /// A script (by name) that [`Output::StartScript`] asked for has ended.
    ScriptEnded(&'a str, ScriptEnd),
    /// A tracked file (by name) has this value. Absent and unreadable files count as 0.
    File(&'a str, i64),
    /// So many processes match the tracker of this name.
    Process(&'a str, u32),
    /// A virtual server (by name) has its quorum, or has not.
    Service(&'a str, bool),
    /// A BFD session (by name) is up, or is not.
    Session(&'a str, bool),
    /// Someone else removed this object, which we had added and not removed.
    ObjectLost(&'a Object),
    /// The kernel refused to add this object, and says why.
    ObjectRefused(&'a Object, &'a str),
    /// The kernel refused it in the place of another, which is there as before, and says why.
    ObjectUnchanged(&'a Object, &'a str),
    /// The wall clock, as time since 1970. Told once a turn of the loop where authentication needs it: it may be set at any time.
    Wall(std::time::Duration),
    /// Somebody wants the addresses of this instance announced, once. Nothing happens unless it is master.
    Announce(&'a str),
    /// A manager changes an instance until the next reload: name, base priority (1..=254; not an owner's), preemption.
    Adjust(&'a str, Option<u8>, Option<bool>),
    /// The kernel took this object, which it had refused before.
    ObjectAdded(&'a Object),
    /// Orderly stop: release everything, then say [`Output::Stopped`]. True keeps addresses and routes (-V).
    Stop {
        /// Leave the kernel objects where they are.
        keep_objects: bool,
    },
}

/// Which signal ends a script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kill {
    /// SIGTERM: it has had its time.
    Term,
    /// SIGKILL.
    Kill,
    /// SIGTERM, and nobody wants its result: a reload has another command or none, or the router stops.
    Unwanted,
}

/// State word of a notification. The first five are states; the others are events of keepalived's FIFO language.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Notice {
    /// Became master.
    Master,
    /// Became backup.
    Backup,
    /// In fault.
    Fault,
    /// Stopped.
    Stop,
    /// Removed by a reload.
    Deleted,
    /// A master heard a lower-priority advert.
    MasterRxLowerPri,
    /// Effective priority changed while master.
    MasterPriority,
    /// Effective priority changed while not master.
    BackupPriority,
}

impl Notice {
    /// The word in scripts and FIFO lines.
    pub const fn word(self) -> &'static str {
        match self {
            Notice::Master => "MASTER",
            Notice::Backup => "BACKUP",
            Notice::Fault => "FAULT",
            Notice::Stop => "STOP",
            Notice::Deleted => "DELETED",
            Notice::MasterRxLowerPri => "MASTER_RX_LOWER_PRI",
            Notice::MasterPriority => "MASTER_PRIORITY",
            Notice::BackupPriority => "BACKUP_PRIORITY",
        }
    }
}

/// An advert to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// Outgoing interface index.
    pub interface: u32,
    /// Source address.
    pub source: IpAddr,
    /// Multicast group or peer.
    pub destination: IpAddr,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// The VRRP message, checksum filled in; or a whole IPv4 packet.
    pub payload: Vec<u8>,
    /// It is a whole packet: an authentication header covers its IP header.
    pub whole: bool,
    /// The priority that it names; 0: its sender gives up (RFC 9568 section 5.2.4).
    pub priority: u8,
}

/// One thing to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send an advert.
    Send(Send),
    /// Put this object into the kernel (already there is success).
    Add(Object),
    /// Take it out (not there is success).
    Remove(Object),
    /// Put the second into the place of the first, which has its key and is there. Where the kernel refuses, the first stays.
    Replace(Object, Object),
    /// One gratuitous ARP (IPv4) or unsolicited neighbour advertisement (IPv6, router and override flags) for an address.
    Announce {
        /// Interface name.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// The same as a mere reminder: without a line in the log.
    Remind {
        /// Interface name.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// Announcements of this address that have not gone out yet are not made: somebody else may have it by now.
    Withhold {
        /// Interface name.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// Start a script of this name.
    StartScript(String),
    /// Signal the process group of a running script.
    KillScript(String, Kill),
    /// Tell scripts, FIFOs and mail of an instance.
    Instance {
        /// Name.
        name: String,
        /// What.
        notice: Notice,
        /// Effective priority.
        priority: u8,
    },
    /// Tell scripts, FIFOs and mail of a sync group.
    Group {
        /// Name.
        name: String,
        /// What.
        notice: Notice,
    },
    /// An instance has another name from now on: the former one, the new one.
    Renamed(String, String),
    /// Why the change of state comes that the log speaks of next, where the line before it does not say so.
    Because {
        /// Name.
        name: String,
        /// A clause, without a full stop.
        cause: String,
    },
    /// A log line.
    Log(log::Level, String),
    /// Everything is released; the process may end.
    Stopped,
}

/// What a socket must listen to. One entry for each (interface, family), and one more where there are authentication headers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Interface name.
    pub interface: String,
    /// Family.
    pub family: Family,
    /// Multicast groups to join; empty with unicast only.
    pub groups: Vec<IpAddr>,
    /// Packets with an authentication header (protocol 51) instead of plain ones.
    pub ah: bool,
    /// Router ids in use, sorted. Others need not reach the machine, unless unknown ones are to be logged.
    pub vrids: Vec<u8>,
}

/// The whole state of one instance, handed to a successor process so that a master goes on as master. The successor may be of a later
/// program (an upgrade): fields are appended, never put between others or taken away.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// Instance name.
    pub name: String,
    /// Its state.
    pub state: State,
    /// Interval last heard from the master, in nanoseconds.
    pub master_interval: u64,
    /// Address of the last known master.
    pub master: Option<IpAddr>,
    /// Priority of the last known master.
    pub master_priority: u8,
    /// How often it became master, and ceased to be.
    pub mastership: (u64, u64),
    /// Verdicts of the scripts that it tracks.
    pub scripts: Vec<(String, bool)>,
    /// States of the BFD sessions that it tracks.
    pub sessions: Vec<(String, bool)>,
    /// Quorums of the virtual servers that it tracks.
    pub services: Vec<(String, bool)>,
    /// Where authentication stands.
    pub stamps: crate::Stamps,
    /// Peers compute checksums the old way.
    pub old_checksum: bool,
    /// When the delay of a preemption that has begun is over, in nanoseconds since the host's start; 0: none has begun.
    pub preempts: u64,
    /// Its priority in the file; 0: an older program does not say.
    pub base: u8,
}

/// Counters of one instance, named as in RFC 6527 and keepalived's statistics. Those of what went wrong are kept once something
/// has, and read and written as if they were here.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Counters {
    pub advert_rcvd: u64,
    pub advert_sent: u64,
    pub become_master: u64,
    pub release_master: u64,
    pub pri_zero_rcvd: u64,
    pub pri_zero_sent: u64,
    errors: Option<Box<Errors>>,
}

/// Packets that were thrown away, by what was wrong with them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Errors {
    pub packet_len_err: u64,
    pub advert_interval_err: u64,
    pub ip_ttl_err: u64,
    pub invalid_type_rcvd: u64,
    pub addr_list_err: u64,
    pub invalid_authtype: u64,
    pub authtype_mismatch: u64,
    pub auth_failure: u64,
    pub checksum_err: u64,
    pub version_err: u64,
    pub unknown_source: u64,
    pub auth_ext_missing: u64,
    pub auth_ext_malformed: u64,
    pub auth_ext_unknown_key: u64,
    pub auth_ext_invalid_hmac: u64,
    pub auth_ext_stale: u64,
    pub auth_ext_replay: u64,
}

impl Errors {
    const NONE: Errors = Errors {
        packet_len_err: 0,
        advert_interval_err: 0,
        ip_ttl_err: 0,
        invalid_type_rcvd: 0,
        addr_list_err: 0,
        invalid_authtype: 0,
        authtype_mismatch: 0,
        auth_failure: 0,
        checksum_err: 0,
        version_err: 0,
        unknown_source: 0,
        auth_ext_missing: 0,
        auth_ext_malformed: 0,
        auth_ext_unknown_key: 0,
        auth_ext_invalid_hmac: 0,
        auth_ext_stale: 0,
        auth_ext_replay: 0,
    };
}

impl Deref for Counters {
    type Target = Errors;
    fn deref(&self) -> &Errors {
        self.errors.as_deref().unwrap_or(&Errors::NONE)
    }
}

impl DerefMut for Counters {
    fn deref_mut(&mut self) -> &mut Errors {
        self.errors.get_or_insert_default()
    }
}

/// Why a virtual router became master the last time, by the numbers of RFC 6527 (vrrpv3StatisticsNewMasterReason).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum NewMaster {
    /// It never did.
    #[default]
    Never = 0,
    /// It owns the addresses.
    Priority = 1,
    /// It took over from a living master of lower priority.
    Preempted = 2,
    /// The master was not heard any more.
    NoResponse = 3,
}

/// A tracked object's part in the state of an instance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// What it is.
    pub what: crate::Tracked,
    /// Good or bad, once it has reported.
    pub good: Option<bool>,
    /// What it adds to the priority now.
    pub change: i64,
    /// Its weight; 0: its failure means FAULT.
    pub weight: i32,
    /// It counts the other way round.
    pub reverse: bool,
}

/// An instance as seen from outside.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// Its configuration.
    pub config: &'a crate::InstanceConfig,
    /// State.
    pub state: State,
    /// Effective priority.
    pub priority: u8,
    /// Why it is in FAULT; empty otherwise.
    pub faults: Vec<String>,
    /// Objects are in the kernel.
    pub objects_set: bool,
    /// Last known master and its priority.
    pub master: Option<(IpAddr, u8)>,
    /// Interval of the master's adverts.
    pub master_interval: std::time::Duration,
    /// Silence of the master after which it takes over.
    pub master_down: std::time::Duration,
    /// When the state last changed.
    pub last_transition: steadfast_core::Time,
    /// Counters.
    pub counters: Counters,
    /// Source address of adverts in use.
    pub source: Option<IpAddr>,
    /// A router that is heard and whose adverts prove nothing.
    pub sighting: Option<crate::Sighting>,
    /// Since when it is not in Init.
    pub up_since: Option<steadfast_core::Time>,
    /// Why it became master.
    pub new_master: NewMaster,
    /// What was wrong with a packet last, by RFC 6527 (vrrpv3StatisticsProtoErrReason): 0 nothing, 1 TTL, 2 version, 3 checksum.
    pub protocol_error: u8,
    /// Who sent the packet that was thrown away last.
    pub offender: Option<IpAddr>,
    /// Routers whose adverts are thrown away, the last one first.
    pub rejected: Vec<&'a Rejected>,
    /// Routers whose adverts count and name other addresses than its own.
    pub mismatches: &'a [Mismatch],
    /// Its sync group.
    pub group: Option<&'a str>,
    /// Priority and preemption that a manager has set, until the next reload.
    pub adjusted: (Option<u8>, Option<bool>),
}

/// A router that sends adverts for a router id of ours which fail a check: where it is a master, there are two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejected {
    /// Sender, as the packet says.
    pub source: IpAddr,
    /// What is wrong, as the log says it.
    pub why: String,
    /// First of an unbroken row.
    pub since: steadfast_core::Time,
    /// Last.
    pub last: steadfast_core::Time,
    /// How many.
    pub count: u64,
    pub(crate) kind: crate::instance::Once,
    /// How many there were when the log had one.
    pub(crate) said: u64,
}

/// A router whose last advert named other addresses than ours: configured otherwise, so that somebody's addresses are served by nobody
/// while the other one is master.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// Sender.
    pub source: IpAddr,
    /// What it names and we do not.
    pub theirs: Vec<IpAddr>,
    /// What we name and it does not.
    pub ours: Vec<IpAddr>,
    /// First of those that named these.
    pub since: steadfast_core::Time,
    /// Last.
    pub last: steadfast_core::Time,
    /// As they came.
    pub(crate) list: Box<[u8]>,
}
