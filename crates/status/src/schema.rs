//! The schema.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use steadfast_core::State;

/// Everything that a dump shows.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Snapshot {
    /// Router id of the configuration.
    pub router_id: String,
    /// Virtual routers in the order of the configuration.
    pub instances: Vec<Instance>,
    /// Script trackers.
    pub scripts: Vec<Script>,
    /// Sync groups.
    pub groups: Vec<(String, State)>,
    /// Process trackers.
    pub processes: Vec<Process>,
    /// Tracked files that were read, and their values.
    pub files: Vec<(String, i64)>,
    /// Links of the system: name, index, hardware address.
    pub links: Vec<(String, u32, [u8; 6])>,
    /// Adverts that were heard for router ids that are nobody's here.
    pub unknown_vrids: u64,
}

/// A process tracker. Durations are in seconds.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Process {
    pub name: String,
    /// The program.
    pub process: String,
    /// The arguments that are compared.
    pub parameters: String,
    /// How: none, exact, initial or partial.
    pub param_match: String,
    pub min_processes: u32,
    pub max_processes: u32,
    pub current_processes: u32,
    pub have_quorum: bool,
    pub weight: i32,
    pub terminate_delay: f64,
    pub fork_delay: f64,
    pub full_command: bool,
    /// A loss, or a gain, has been seen and does not count yet.
    pub terminate_timer_running: bool,
    pub fork_timer_running: bool,
}

/// One virtual router. Durations are in seconds, instants in seconds since 1970.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Instance {
    pub name: String,
    pub interface: String,
    pub version: u8,
    pub vrid: u8,
    pub base_priority: u8,
    pub effective_priority: u8,
    pub state: State,
    pub want_state: State,
    /// Why it is in FAULT.
    pub faults: Vec<String>,
    pub master_priority: u8,
    pub last_transition: f64,
    pub strict: bool,
    pub dont_track_primary: bool,
    pub skip_check_adv_addr: bool,
    pub garp_delay: u64,
    pub garp_refresh: u64,
    pub garp_repeat: u32,
    pub garp_refresh_repeat: u32,
    pub garp_lower_prio_delay: u64,
    pub garp_lower_prio_repeat: u32,
    pub lower_prio_no_advert: bool,
    pub higher_prio_send_advert: bool,
    pub down_timer_adverts: u8,
    /// Addresses and routes are in the kernel.
    pub addresses_set: bool,
    pub promote_secondaries: bool,
    pub advert_interval: f64,
    pub master_advert_interval: f64,
    pub accept: bool,
    pub nopreempt: bool,
    pub preempt_delay: u64,
    pub smtp_alert: bool,
    pub notify_deleted: bool,
    /// Notify scripts as (field name, command line in keepalived's quoted form).
    pub scripts: Vec<(String, String)>,
    /// `ADDR dev IF scope S` with what else is given; "set" at the end of one that is there.
    pub addresses: Vec<String>,
    pub excluded: Vec<String>,
    pub routes: Vec<String>,
    pub rules: Vec<String>,
    pub tracked_interfaces: Vec<String>,
    pub tracked_scripts: Vec<String>,
    pub tracked_processes: Vec<String>,
    /// 0 none, 1 PASS, 2 AH.
    pub auth_type: u8,
    /// `auth_hmac` is in use.
    pub hmac: bool,
    pub source: Option<String>,
    /// The last known master.
    pub master: Option<IpAddr>,
    /// Seconds since it left INIT.
    pub up_for: Option<f64>,
    /// Why it became master, by RFC 6527.
    pub new_master: u8,
    /// What was wrong last, by RFC 6527: 0 nothing, 1 TTL, 2 version, 3 checksum.
    pub protocol_error: u8,
    /// The link that adverts go by.
    pub link: String,
    /// The virtual link (a MAC of its own, or an ipvlan), whichever link adverts go by; empty without one.
    pub virtual_link: String,
    /// Addresses in adverts.
    pub advertised: Vec<IpAddr>,
    /// Where adverts go, unless by unicast.
    pub multicast: Option<IpAddr>,
    /// Who sent the packet that was thrown away last.
    pub offender: Option<IpAddr>,
    pub statistics: Statistics,
}

/// Counters, named as in the JSON dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Statistics {
    pub advert_rcvd: u64,
    pub advert_sent: u64,
    pub become_master: u64,
    pub release_master: u64,
    pub packet_len_err: u64,
    pub advert_interval_err: u64,
    pub ip_ttl_err: u64,
    pub invalid_type_rcvd: u64,
    pub addr_list_err: u64,
    pub invalid_authtype: u64,
    pub authtype_mismatch: u64,
    pub auth_failure: u64,
    pub pri_zero_rcvd: u64,
    pub pri_zero_sent: u64,
    pub auth_ext_missing: u64,
    pub auth_ext_malformed: u64,
    pub auth_ext_unknown_key: u64,
    pub auth_ext_invalid_hmac: u64,
    pub auth_ext_stale: u64,
    pub auth_ext_replay: u64,
    /// Not in the dump.
    pub checksum_err: u64,
    /// Not in the dump.
    pub version_err: u64,
}

/// One script tracker.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Script {
    pub name: String,
    /// Command in keepalived's quoted form.
    pub command: String,
    pub interval: f64,
    pub timeout: f64,
    pub weight: i32,
    pub rise: u32,
    pub fall: u32,
    /// Considered good.
    pub good: bool,
    /// A run is under way.
    pub running: bool,
}
