//! What observers (D-Bus, SNMP) are told, and what they may ask for.

use crate::Dump;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use steadfast_core::State;

/// Who reports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reporter {
    /// The VRRP child: `steadfast_status::Snapshot`.
    Vrrp,
    /// The checker child: `steadfast_status::live::Checker`.
    Checker,
    /// The BFD child: `steadfast_status::live::Bfd`.
    Bfd,
}

/// How a virtual router came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ended {
    /// The daemon stops.
    Stopped,
    /// A reload took it out, and it has `notify_deleted`; without that it is told of as a fault.
    Deleted,
}

/// What is worth an alarm. The numbers are those of RFC 6527 and RFC 2787.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Alarm {
    /// It became master; why (vrrpv3StatisticsNewMasterReason).
    NewMaster(u8),
    /// It threw packets away for their authentication (vrrpTrapAuthErrorType).
    Authentication(u8),
    /// It threw packets away that break the protocol (vrrpv3StatisticsProtoErrReason).
    Protocol(u8),
}

/// Something has changed: the whole of what is told of one object. While an observer does not read, its newest state waits.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum News {
    /// A virtual router entered a state, or its priority changed. After a stop its state is [`State::Init`].
    Instance {
        /// Name.
        name: String,
        /// State.
        state: State,
        /// Effective priority.
        priority: u8,
        /// Why it is in that state, where that is no news of VRRP: it was stopped, or a reload took it out of the file.
        end: Option<Ended>,
    },
    /// A sync group entered a state.
    Group {
        /// Name.
        name: String,
        /// State.
        state: State,
    },
    /// Something about a virtual router that managers may want to hear of.
    Alarm {
        /// Name.
        name: String,
        /// What.
        alarm: Alarm,
        /// Who sent the packet.
        source: Option<IpAddr>,
    },
    /// A virtual server gained its quorum, or lost it.
    Service {
        /// Name, as in logs.
        name: String,
        /// It has it.
        quorum: bool,
    },
    /// A real server went up or down.
    Server {
        /// Virtual server, as in logs.
        service: String,
        /// Real server, as in logs.
        name: String,
        /// It is up.
        up: bool,
    },
}

impl News {
    /// What it is about: the newest of one object is enough.
    pub fn key(&self) -> String {
        match self {
            News::Instance { name, .. } => format!("instance {name}"),
            News::Alarm { name, alarm, .. } => format!("instance {name} {alarm:?}"),
            News::Group { name, .. } => format!("group {name}"),
            News::Service { name, .. } => format!("service {name}"),
            News::Server { service, name, .. } => format!("server {name} of {service}"),
        }
    }
}

/// What an observer asks for on behalf of its client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Action {
    /// Read the configuration again, as on SIGHUP.
    Reload,
    /// Write a dump.
    Dump(Dump),
    /// Announce the addresses of a virtual router once, if it is master.
    Announce {
        /// Its name.
        instance: String,
    },
    /// Change a virtual router until the configuration is read again.
    Adjust {
        /// Its name.
        instance: String,
        /// Base priority, 1 to 254.
        priority: Option<u8>,
        /// Preempt.
        preempt: Option<bool>,
    },
    /// Change a real server's weight until the configuration is read again. Names as in logs.
    Weigh {
        /// Virtual server.
        service: String,
        /// Real server.
        server: String,
        /// Weight.
        weight: u32,
    },
}

impl Action {
    /// The child that carries it out; `None`: the parent does.
    pub fn addressee(&self) -> Option<Reporter> {
        match self {
            Action::Reload | Action::Dump(_) => None,
            Action::Weigh { .. } => Some(Reporter::Checker),
            Action::Announce { .. } | Action::Adjust { .. } => Some(Reporter::Vrrp),
        }
    }
}
