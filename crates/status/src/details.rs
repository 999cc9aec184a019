//! What the data dump shows beside the snapshot. It is put together for that dump alone: nobody else asks for it.

/// All of it. Lists of the same length as those of the snapshot are in its order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Details {
    /// Rows of the global definitions, `KEY = VALUE` or a sentence.
    pub globals: Vec<String>,
    /// Static addresses, routes and rules.
    pub statics: [Vec<String>; 3],
    /// Of each instance.
    pub instances: Vec<InstanceDetails>,
    /// Sync groups.
    pub groups: Vec<GroupDetails>,
    /// Of each script.
    pub scripts: Vec<ScriptDetails>,
    /// Tracked files.
    pub files: Vec<FileDetails>,
    /// Who tracks each process: `INSTANCE, weight N`.
    pub process_users: Vec<Vec<String>>,
    /// Tracked BFD sessions.
    pub sessions: Vec<SessionDetails>,
    /// Links.
    pub interfaces: Vec<InterfaceDetails>,
}

/// Of an instance.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct InstanceDetails {
    pub group: Option<String>,
    pub ipv6: bool,
    /// Faults of trackers and links, and script trackers that have not reported.
    pub faults: usize,
    pub pending: usize,
    /// When it acts unless something happens, in seconds since 1970.
    pub next: Option<f64>,
    /// In microseconds.
    pub master_down: u128,
    /// The virtual link, whether it is up, and whether adverts go by the link below all the same.
    pub virtual_link: Option<(String, bool, bool)>,
    pub source_configured: bool,
    /// Base and trackers, without bounds.
    pub total_priority: i64,
    /// TTL, whether sources are checked, and `ADDR min_ttl N max_ttl N` of each peer.
    pub unicast: Option<(u8, bool, Vec<String>)>,
    /// Headings and lines of what is tracked.
    pub tracked: Vec<(&'static str, Vec<String>)>,
    /// Account of each notify script, in the order of the snapshot's.
    pub accounts: Vec<String>,
    pub notify_priority_changes: bool,
}

/// A sync group.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct GroupDetails {
    pub name: String,
    pub state: String,
    pub faults: usize,
    pub pending: usize,
    pub members: Vec<String>,
    pub tracking_weight: bool,
    pub mail: bool,
    pub tracked: Vec<(&'static str, Vec<String>)>,
    /// What a script is for, and its command and account.
    pub scripts: Vec<(&'static str, String)>,
}

/// Of a script tracker.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct ScriptDetails {
    pub reverse: bool,
    pub init_fail: bool,
    pub account: String,
    pub users: Vec<String>,
}

/// A tracked file.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct FileDetails {
    pub name: String,
    pub path: String,
    /// The last value that was read.
    pub value: i64,
    pub weight: i32,
    pub reverse: bool,
    pub users: Vec<String>,
}

/// A tracked BFD session.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct SessionDetails {
    pub name: String,
    pub weight: i32,
    pub reverse: bool,
    pub up: bool,
    pub users: Vec<String>,
}

/// A link.
#[derive(Clone, PartialEq, Debug, Default)]
#[allow(missing_docs)]
pub struct InterfaceDetails {
    pub name: String,
    pub index: u32,
    pub ipv4: Vec<String>,
    pub ipv6: Vec<String>,
    pub mac: [u8; 6],
    pub up: bool,
    pub mtu: u32,
    /// Delays of a change in microseconds: up, down.
    pub debounce: [u128; 2],
    /// The link below a virtual one, and whether the daemon made it.
    pub below: Option<(String, bool)>,
    /// The VRF that it is in.
    pub vrf: Option<String>,
    pub users: Vec<String>,
}
