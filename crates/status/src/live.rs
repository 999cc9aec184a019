//! What the daemon says of itself when it is asked: JSON on the control socket, and the shape that `steadfast status` reads it by.
//! Times are seconds of the wall clock since 1970; durations are seconds.

use serde::{Deserialize, Serialize};

/// As JSON. What cannot be written so (a number that is none) is `null`.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".into())
}

/// Everything.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Whole {
    pub version: String,
    pub pid: i32,
    pub since: f64,
    pub file: String,
    /// Configurations that were taken over, the first included.
    pub readings: u64,
    /// When the last attempt to read one ended, and whether it was taken over.
    pub last_reading: Option<(f64, bool)>,
    /// Why it was not.
    #[serde(default)]
    pub refused: Option<String>,
    /// Since when a daemon runs without a stop: earlier than `since` where this program took over from another.
    #[serde(default)]
    pub runs_since: Option<f64>,
    /// Faults of the configuration that runs.
    #[serde(default)]
    pub faults: u64,
    pub children: Vec<Child>,
    /// Absent where the VRRP child has never answered.
    pub vrrp: Option<Vrrp>,
    /// Absent where the checker child has never answered.
    pub checker: Option<Checker>,
    /// Absent where the BFD child has never answered.
    #[serde(default)]
    pub bfd: Option<Bfd>,
}

impl Whole {
    /// What does not work and is nobody's in particular: each once, whoever says it.
    pub fn troubles(&self) -> Vec<&str> {
        let vrrp = self.vrrp.iter().flat_map(|v| &v.troubles);
        let mut all: Vec<&str> =
            vrrp.chain(self.checker.iter().flat_map(|c| &c.troubles)).map(String::as_str).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// A child process.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Child {
    pub name: String,
    /// Absent while there is none.
    pub pid: Option<i32>,
    pub since: f64,
    /// Times that it ended without being told to, under earlier programs, too.
    pub deaths: u64,
    /// When it did last, and how.
    #[serde(default)]
    pub last_death: Option<(f64, String)>,
    /// How late its loop was at worst within the last second, in microseconds.
    pub late: u64,
    /// Resident memory in KiB.
    pub memory: u64,
    /// Age of what it last said of itself.
    pub age: Option<f64>,
    /// How long it has been silent, alive or not.
    #[serde(default)]
    pub silent: Option<f64>,
    /// It is gone, and what it held was taken away: what it said last of its states is not so any more.
    #[serde(default)]
    pub withdrawn: bool,
    /// Seconds until it is started again, where it waits for that.
    #[serde(default)]
    pub due: Option<f64>,
}

/// What the VRRP child says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Vrrp {
    pub instances: Vec<Instance>,
    /// Sync groups: name, state.
    pub groups: Vec<(String, String)>,
    /// Scripts: name, good, a run is under way.
    pub scripts: Vec<(String, bool, bool)>,
    /// Tracked processes: name, how many, as required.
    pub processes: Vec<(String, Option<u32>, bool)>,
    /// All trackers.
    #[serde(default)]
    pub trackers: Vec<Tracker>,
    /// What does not work and is no instance's, in words.
    #[serde(default)]
    pub troubles: Vec<String>,
}

/// A tracker.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Tracker {
    /// script, file, process, interface, virtual server or BFD session.
    pub kind: String,
    pub name: String,
    /// Absent while it has not reported, and for files, whose value is what counts.
    pub good: Option<bool>,
    /// The last result in words.
    pub result: String,
    /// When it came, by the clock.
    pub at: Option<f64>,
    /// The last line that a script wrote.
    pub said: String,
}

/// A virtual router.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Instance {
    pub name: String,
    pub interface: String,
    pub vrid: u8,
    pub version: u8,
    /// MASTER, BACKUP, FAULT or INIT.
    pub state: String,
    pub since: f64,
    /// Why it is in FAULT.
    pub faults: Vec<String>,
    pub base_priority: u8,
    pub priority: u8,
    /// What a manager has set by SNMP, until the next reload.
    #[serde(default)]
    pub set_priority: Option<u8>,
    #[serde(default)]
    pub set_preempt: Option<bool>,
    pub parts: Vec<Part>,
    /// Address and priority of the master that was heard last.
    pub master: Option<(String, u8)>,
    pub advert_interval: f64,
    pub master_interval: f64,
    pub preempt: bool,
    /// So long it hears a master of lower priority before it takes over from it.
    #[serde(default)]
    pub preempt_delay: f64,
    /// It said priority 0 and serves until a successor is heard.
    pub handing_over: bool,
    /// What is due next: what, in how many seconds.
    pub due: Vec<(String, f64)>,
    /// The addresses are in the kernel.
    pub holds: bool,
    pub addresses: Vec<String>,
    pub history: Vec<Change>,
    /// Absent where its process does not answer: nobody has counted for it.
    pub adverts_sent: Option<u64>,
    pub adverts_received: Option<u64>,
    pub became_master: u64,
    /// Packets that were thrown away. An advert of other addresses is used. Absent as those above.
    pub refused: Option<u64>,
    /// By what was wrong with them.
    #[serde(default)]
    pub refused_by: Vec<(String, u64)>,
    /// What the kernel did not take of what it is to hold.
    #[serde(default)]
    pub missing: Vec<String>,
    /// What it did not take in the place of another, which serves on.
    #[serde(default)]
    pub unchanged: Vec<String>,
    /// Tracked scripts that are not run: their names and why.
    #[serde(default)]
    pub left_out: Vec<(String, String)>,
    /// What is sent to its addresses is dropped (no_accept, strict_mode).
    #[serde(default)]
    pub closed: bool,
    /// Its sync group.
    #[serde(default)]
    pub group: Option<String>,
    /// Its virtual link, and the link's hardware address while it is there.
    #[serde(default)]
    pub link: Option<(String, Option<String>)>,
    /// A router that is heard and whose adverts prove nothing.
    #[serde(default)]
    pub unproven: Option<Unproven>,
    /// A router whose adverts are thrown away for whatever reason.
    #[serde(default)]
    pub rejected: Option<Rejected>,
    /// Others, and the same for other reasons.
    #[serde(default)]
    pub also_rejected: Vec<Rejected>,
    /// Routers whose adverts count, and name other addresses than this one's.
    #[serde(default)]
    pub mismatches: Vec<Mismatch>,
}

/// A router that serves other addresses for the same router id.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Mismatch {
    pub source: String,
    /// What it names and this one does not.
    pub theirs: Vec<String>,
    /// What this one names and it does not.
    pub ours: Vec<String>,
    /// Seconds since the first and the last advert of that kind.
    pub since: f64,
    pub last: f64,
}

/// A router whose adverts are thrown away: where it is a master, there are two.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Rejected {
    pub source: String,
    /// What is wrong with them.
    pub why: String,
    /// Seconds since the first and the last of them.
    pub since: f64,
    pub last: f64,
    pub count: u64,
}

/// A router whose adverts fail authentication.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Unproven {
    pub source: String,
    pub why: String,
    /// Its key is right, its stamps are not fresh.
    pub authentic: bool,
    /// Seconds since the first and the last of them.
    pub since: f64,
    pub last: f64,
    pub count: u64,
    /// A backup does not take over while they come.
    pub holds: bool,
}

/// A tracked object's part in an instance's state.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Part {
    pub what: String,
    /// Absent while it has not reported.
    pub good: Option<bool>,
    /// What it adds to the priority now.
    pub change: i64,
    /// Weight; 0: its failure means FAULT.
    pub weight: i32,
    /// It counts the other way round: what is good is so much worse for the instance.
    #[serde(default)]
    pub reverse: bool,
}

/// A change of state.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Change {
    pub at: f64,
    pub state: String,
    pub cause: String,
}

/// What the checker child says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Checker {
    pub services: Vec<Service>,
    /// Why nothing is balanced: the kernel has no IPVS.
    #[serde(default)]
    pub trouble: Option<String>,
    /// What else does not work, in words.
    #[serde(default)]
    pub troubles: Vec<String>,
}

/// A virtual server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Service {
    pub name: String,
    pub quorum: bool,
    /// Since when it has, or has not, by the clock.
    #[serde(default)]
    pub since: Option<f64>,
    pub live_weight: u64,
    /// The weight with which it keeps its quorum; where it has none, with which it gains it.
    pub needed: u64,
    /// Its checks run.
    pub active: bool,
    /// So many servers are down at once that all are kept.
    pub panic: bool,
    /// Name of the sorry server, and whether it serves.
    #[serde(default)]
    pub sorry: Option<(String, bool)>,
    /// Servers that left the file and drain: name, and seconds that are left.
    #[serde(default)]
    pub leaving: Vec<(String, f64)>,
    pub servers: Vec<Server>,
    /// What the kernel counts, where it was asked.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// Why the kernel's table does not have it, or has it as it was before.
    #[serde(default)]
    pub refused: Option<String>,
    /// The same of its sorry server.
    #[serde(default)]
    pub sorry_refused: Option<String>,
    /// As instances that track it name it.
    #[serde(default)]
    pub tracked_as: String,
    /// Why its checks do not run.
    #[serde(default)]
    pub rests: Option<String>,
    /// When more than this many per cent of its servers have failed, all are kept.
    #[serde(default)]
    pub panic_threshold: Option<u8>,
}

/// A real server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Server {
    pub name: String,
    pub up: bool,
    /// Since when, by the clock.
    #[serde(default)]
    pub since: Option<f64>,
    pub weight: u32,
    /// Its weight within a slow start, which is less.
    #[serde(default)]
    pub rising: Option<u32>,
    pub drained: bool,
    /// Since when, by the clock.
    #[serde(default)]
    pub drained_since: Option<f64>,
    /// Its agent wants it to get no new connections.
    #[serde(default)]
    pub agent_drains: bool,
    /// Its weight in the file, or as SNMP has set it.
    #[serde(default)]
    pub written_weight: u32,
    pub checks: Vec<Check>,
    /// What the kernel counts, where it was asked.
    #[serde(default)]
    pub traffic: Option<Traffic>,
    /// Why the kernel's table does not have it, or has it as it was before.
    #[serde(default)]
    pub refused: Option<String>,
}

/// What the balancer counts of a service or a server, since it is there and per second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Traffic {
    pub connections: u64,
    pub packets: [u64; 2],
    pub bytes: [u64; 2],
    pub connections_per_second: u64,
    pub packets_per_second: [u64; 2],
    pub bytes_per_second: [u64; 2],
    /// Of a server: connections that are active, that are not, and that are persistent.
    pub now: [u32; 3],
}

/// A check of a real server.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Check {
    pub kind: String,
    pub good: bool,
    /// It has not been asked since the reload that brought its words, and counts as its servers did before.
    #[serde(default)]
    pub borrowed: bool,
    /// Why the last try failed.
    pub reason: Option<String>,
    /// Seconds that the last try took.
    #[serde(default)]
    pub took: Option<f64>,
    /// When that was over, by the clock.
    #[serde(default)]
    pub at: Option<f64>,
    /// What its program wrote last.
    #[serde(default)]
    pub said: String,
    /// While it is good: failed tries in a row, and how many take it down.
    #[serde(default)]
    pub failed: Option<(u32, u32)>,
    /// While it is not: good rounds in a row, and how many bring it up.
    #[serde(default)]
    pub risen: Option<(u32, u32)>,
    /// Seconds until it asks again; none: it is asking, or does not ask.
    #[serde(default)]
    pub next: Option<f64>,
}

/// What the BFD child says.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Bfd {
    pub sessions: Vec<Session>,
    /// Packets that belonged to no session. Absent where it does not answer.
    pub strangers: Option<u64>,
}

/// A BFD session. Intervals are seconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Session {
    pub name: String,
    pub neighbor: String,
    /// Absent: whichever the kernel chooses.
    pub source: Option<String>,
    pub multihop: bool,
    pub passive: bool,
    /// AdminDown, Down, Init or Up.
    pub state: String,
    pub diag: String,
    pub remote_state: String,
    pub remote_diag: String,
    pub since: f64,
    /// Clients take it for up.
    pub up: bool,
    /// Between our packets, before jitter.
    pub tx_interval: f64,
    /// Absent while nothing was heard.
    pub detect_time: Option<f64>,
    /// When the peer was heard last. Absent as well where that is not known, as what follows.
    pub heard: Option<f64>,
    pub discriminator: u32,
    pub remote_discriminator: u32,
    /// Absent where the child does not answer: nobody has counted for it.
    pub sent: Option<u64>,
    pub received: Option<u64>,
    /// Packets that were thrown away.
    pub refused: Option<u64>,
    pub ups: Option<u64>,
    pub downs: Option<u64>,
}
