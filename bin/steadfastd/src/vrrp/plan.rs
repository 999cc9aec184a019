//! What the VRRP role runs from: the machine's configuration beside everything that is not the machine's business (which
//! program a script is, who is told of a change, where dumps go).

use crate::checker::traffic::Ages;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::time::Duration;
use steadfast_core::kernel::VirtualLink;
use steadfast_net::netlink::Buffer;
use steadfast_notify::mail;
use steadfast_vrrp::{Config, Notice};

/// A program to start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Command {
    /// Argument vector; the first is the file. A shell snippet has its shell here already.
    pub argv: Vec<String>,
    /// User and group to run as; `None` keeps the daemon's.
    pub user: Option<(u32, u32)>,
}

impl Command {
    /// The command line as dumps show it: each word in single quotes.
    pub fn quoted(&self) -> String {
        self.argv.iter().map(|a| format!("'{a}'")).collect::<Vec<_>>().join(" ")
    }
}

/// How a script tracker is run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Probe {
    /// Start this.
    Program(Command),
    /// `</path`: only test that the file can be opened.
    Readable(PathBuf),
}

/// Who is told of a state change of an instance or group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Notify {
    /// One script for each notice.
    pub scripts: HashMap<&'static str, Command>,
    /// The generic script.
    pub generic: Option<Command>,
    /// Mail is wanted.
    pub mail: bool,
}

impl Notify {
    /// The script for one notice.
    pub fn specific(&self, notice: Notice) -> Option<&Command> {
        self.scripts.get(notice.word())
    }
}

/// A FIFO that is told of every change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fifo {
    /// Its path.
    pub path: PathBuf,
    /// Owner, where configured.
    pub owner: Option<(u32, u32)>,
    /// Reader to start; the path is appended to its arguments.
    pub reader: Option<Command>,
}

/// A tracked process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackProcess {
    /// What is counted.
    pub matcher: steadfast_sys::procs::Matcher,
    /// Its weight, for dumps.
    pub weight: i32,
}

/// A tracked file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackFile {
    /// Name of the tracker.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Value written at start when the file is absent, or always.
    pub init: Option<(i64, bool)>,
}

/// Scheduling of the role.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Scheduling {
    /// Nice value.
    pub nice: Option<i32>,
    /// SCHED_RR priority.
    pub realtime: Option<i32>,
    /// RLIMIT_RTTIME in microseconds.
    pub rttime: Option<u64>,
    /// Lock memory.
    pub no_swap: bool,
    /// CPUs.
    pub affinity: Vec<usize>,
    /// Who is later than the first takes the next SCHED_RR priority, up to the second.
    pub raise: Option<(Duration, i32)>,
}

/// Receive buffers of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Buffers {
    /// Of the netlink socket for changes.
    pub monitor: Buffer,
    /// Of that for requests.
    pub command: Buffer,
    /// Of that which tells of processes.
    pub processes: Buffer,
}

impl Default for Buffers {
    fn default() -> Self {
        let none = Buffer { bytes: 0, force: false };
        Buffers { monitor: none, command: none, processes: none }
    }
}

/// Receive buffer of an advert socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReceiveBuffer {
    /// The system's.
    #[default]
    System,
    /// So many bytes, also beyond the system's limit: where adverts are so many that the system's would not hold those of a moment.
    Rate(usize),
    /// Bytes.
    Bytes(usize),
    /// So many packets of the link's greatest size for each instance.
    Mtu(usize),
    /// So many bytes for each instance: adverts.
    Adverts(usize),
}

impl ReceiveBuffer {
    /// In bytes, for a link and the instances on it, and whether the system's limit is none.
    pub fn bytes(self, mtu: u32, instances: usize) -> Option<(usize, bool)> {
        match self {
            ReceiveBuffer::System => None,
            ReceiveBuffer::Rate(n) => Some((n, true)),
            ReceiveBuffer::Bytes(n) => Some((n, false)),
            ReceiveBuffer::Mtu(packets) => {
                Some((packets.saturating_mul(mtu as usize).saturating_mul(instances.max(1)), false))
            }
            ReceiveBuffer::Adverts(bytes) => Some((bytes.saturating_mul(instances.max(1)), false)),
        }
    }
}

/// A link whose driver is asked for its carrier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Linkbeat {
    /// Its name.
    pub link: String,
    /// What is tried first.
    pub method: Option<steadfast_net::linkbeat::Method>,
}

/// The whole plan.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Plan {
    /// The machine's part.
    pub machine: Config,
    /// Router id for mail subjects and dumps.
    pub router_id: String,
    /// Script trackers by name.
    pub probes: HashMap<String, Probe>,
    /// Tracked scripts that are not run, by instance: the name and why.
    pub left_out: HashMap<String, Vec<(String, String)>>,
    /// Weight of each script tracker, for dumps.
    pub weights: HashMap<String, i32>,
    /// Instances by name.
    pub instances: HashMap<String, Notify>,
    /// Groups by name.
    pub groups: HashMap<String, Notify>,
    /// Of those, the ones that the last reload removed.
    pub departed: HashSet<String>,
    /// FIFOs.
    pub fifos: Vec<Fifo>,
    /// FIFOs of the checker child.
    pub lvs_fifos: Vec<Fifo>,
    /// Where mail goes.
    pub mail: Option<mail::Settings>,
    /// No mail on FAULT.
    pub no_email_faults: bool,
    /// Tracked files.
    pub files: Vec<TrackFile>,
    /// Tracked processes.
    pub processes: Vec<TrackProcess>,
    /// Interfaces on which promote_secondaries is wanted.
    pub promote_secondaries: Vec<String>,
    /// Virtual links by name; they are among the machine's static objects.
    pub virtual_links: HashMap<String, VirtualLink>,
    /// Names of those on each link.
    pub links_on: HashMap<String, Vec<String>>,
    /// How traffic is blocked.
    pub firewall: steadfast_net::nft::Settings,
    /// JSON layout, 1 or 2.
    pub json_version: u8,
    /// Dump files: data, stats, JSON.
    pub dumps: [PathBuf; 3],
    /// Data of the checker child.
    pub checker_dump: PathBuf,
    /// What data dumps show of the file.
    pub written: crate::dumps::Written,
    /// Where what was configured is saved at each reload.
    pub save_dir: Option<PathBuf>,
    /// Scheduling of the VRRP child.
    pub scheduling: Scheduling,
    /// Scheduling of the checker child.
    pub checker_scheduling: Scheduling,
    /// Log lines go to journald with fields.
    pub structured: bool,
    /// Managers are told of what the balancer counts, at most so old.
    pub counters: Option<Ages>,
    /// Managers are told of packets that were thrown away.
    pub alarms: bool,
    /// Seconds that the kernel keeps a virtual address without a refresh.
    pub address_lease: Option<u32>,
    /// Programs that run as root must be such that only root can change them.
    pub safe_programs: bool,
    /// The VRRP and the checker child have programs to start.
    pub programs: [bool; 2],
    /// Receive buffers of the VRRP child.
    pub buffers: Buffers,
    /// Receive buffers of the checker child.
    pub checker_buffers: Buffers,
    /// Names of the two children in lists of processes.
    pub names: [Option<String>; 2],
    /// Scripts keep the supplementary groups of their account.
    pub supplementary_groups: bool,
    /// No membership reports for link-local groups.
    pub no_local_reports: bool,
    /// Network namespace of the checker child; an empty name is the first one.
    pub checker_namespace: Option<String>,
    /// umask.
    pub mask: Option<u32>,
    /// Receive buffer of advert sockets.
    pub receive_buffer: ReceiveBuffer,
    /// Links that are polled.
    pub linkbeat: Vec<Linkbeat>,
}

impl Plan {
    /// Who is told of instances and groups that were removed just now, or before and are `leaving` yet: their last word is still to come.
    pub fn remember(&mut self, old: &Plan, leaving: &[&str]) {
        self.departed.clear();
        let expected = |n: &String| !old.departed.contains(n) || leaving.contains(&n.as_str());
        for (name, notify) in old.instances.iter().filter(|(n, _)| expected(n)) {
            if !self.instances.contains_key(name) {
                self.instances.insert(name.clone(), notify.clone());
                self.departed.insert(name.clone());
            }
        }
        for (name, notify) in old.groups.iter().filter(|(n, _)| !old.departed.contains(*n)) {
            if !self.groups.contains_key(name) {
                self.groups.insert(name.clone(), notify.clone());
                self.departed.insert(name.clone());
            }
        }
    }

    /// The machine's part, for the machine. What is not the machine's alone stays readable here.
    pub fn take_machine(&mut self) -> Config {
        let rest = Config {
            log_unknown_vrids: self.machine.log_unknown_vrids,
            fifo_states_on_reload: self.machine.fifo_states_on_reload,
            scripts: self.machine.scripts.clone(),
            ..Config::default()
        };
        std::mem::replace(&mut self.machine, rest)
    }
}
