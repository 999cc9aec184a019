//! What the machine is told. Everything is resolved: defaults, global settings and group-level trackers are already applied
//! by the binary that translates the configuration file.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::{HashSet, VecDeque};
use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;
use steadfast_core::kernel::{Address, Object, Route, Rule};
use steadfast_core::{Family, Name, Secret};

/// Configuration of a [`crate::Router`].
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// Virtual routers; names are unique.
    pub instances: Vec<InstanceConfig>,
    /// Sync groups; names are unique, an instance is in at most one.
    pub groups: Vec<GroupConfig>,
    /// Script trackers; names are unique among scripts.
    pub scripts: Vec<ScriptConfig>,
    /// File trackers.
    pub files: Vec<FileConfig>,
    /// Process trackers.
    pub processes: Vec<ProcessConfig>,
    /// Addresses, routes and rules kept configured while the daemon runs.
    pub statics: Vec<Object>,
    /// All instances are held in Init for this long after start (vrrp_startup_delay).
    pub startup_delay: Duration,
    /// Gap between gratuitous ARPs on one interface; zero sends them at once.
    pub garp_interval: Duration,
    /// Gap between unsolicited neighbour advertisements on one interface.
    pub gna_interval: Duration,
    /// Links that share one gap.
    pub garp_groups: Vec<GarpGroup>,
    /// Changes of these links count only after a while.
    pub link_delays: Vec<LinkDelay>,
    /// Log adverts for router ids that are not configured.
    pub log_unknown_vrids: bool,
    /// A removed instance is reported as DELETED only where it says so, else as FAULT.
    pub fifo_states_on_reload: bool,
}

/// What instances so far had in common.
#[derive(Default)]
pub struct Kinds(VecDeque<Arc<Common>>);

impl Kinds {
    /// An instance that has the same in common as one before it keeps it together with that one. Looks at the last few kinds only: a
    /// file that mixes more is rare.
    pub fn share(&mut self, instance: &mut InstanceConfig) {
        const KINDS: usize = 16;
        match self.0.iter().find(|c| **c == instance.common) {
            Some(same) => instance.common = same.clone(),
            None => {
                self.0.truncate(KINDS - 1);
                self.0.push_front(instance.common.clone());
            }
        }
    }
}

/// Links whose announcements are paced together (garp_group).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct GarpGroup {
    /// Gap between gratuitous ARPs; `None`: as for all links.
    pub interval: Option<Duration>,
    /// Gap between unsolicited neighbour advertisements.
    pub gna_interval: Option<Duration>,
    /// Names of the links.
    pub interfaces: Vec<String>,
}

/// How long a change of a link must last before it counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LinkDelay {
    /// Name of the link.
    pub interface: String,
    /// After it went down.
    pub down: Duration,
    /// After it came up.
    pub up: Duration,
}

/// Protocol version.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Version {
    /// RFC 3768.
    V2,
    /// RFC 9568.
    V3,
}

impl Version {
    /// The number in a message.
    pub const fn number(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// Authentication (VRRP version 2 only).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Auth {
    /// None: type 0.
    None,
    /// RFC 2338 simple text password, zero padded.
    Pass([u8; 8]),
    /// RFC 2338 authentication header, with this key.
    Ah(Secret),
}

impl Auth {
    /// The type in a message.
    pub const fn number(&self) -> u8 {
        match self {
            Auth::None => 0,
            Auth::Pass(_) => 1,
            Auth::Ah(_) => 2,
        }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Auth::None => "None",
            Auth::Pass(_) => "Pass(***)",
            Auth::Ah(_) => "Ah(***)",
        })
    }
}

/// What [`Hmac`] does with adverts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum HmacMode {
    /// Discards what is wrong and what has no trailer.
    Enforce,
    /// Discards what is wrong; takes what has no trailer.
    Permissive,
    /// The same, and sends none.
    ReceiveOnly,
}

/// The authentication trailer (`auth_hmac`), versions 2 and 3.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hmac {
    /// Keys by their ids, at least one.
    pub keys: Vec<(u8, Secret)>,
    /// Id of the key that is sent with.
    pub active: u8,
    /// How far stamps may be off.
    pub window: Duration,
    /// Only the order of stamps counts, not their distance from any clock (`anti_replay monotonic`).
    pub monotonic: bool,
    /// What is done with adverts.
    pub mode: HmacMode,
}

impl Hmac {
    /// A key by its id.
    pub fn key(&self, id: u8) -> Option<&Secret> {
        self.keys.iter().find(|(i, _)| *i == id).map(|(_, k)| k)
    }
}

/// A unicast peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// Least accepted TTL or hop limit of its adverts; 0 accepts any.
    pub min_ttl: u8,
    /// Greatest accepted TTL or hop limit; 255 accepts any.
    pub max_ttl: u8,
}

/// Unicast operation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Unicast {
    /// Peers that adverts go to.
    pub peers: Vec<Peer>,
    /// TTL or hop limit of our adverts.
    pub ttl: u8,
    /// Accept adverts from peers only. True unless the administrator turned it off.
    pub check_source: bool,
}

/// The schedule of gratuitous ARPs and unsolicited neighbour advertisements.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Garp {
    /// Announcements of each address on becoming master.
    pub repeat: u32,
    /// The same again after this; zero: no second burst.
    pub delay: Duration,
    /// Period of refresh bursts while master; zero: none.
    pub refresh: Duration,
    /// Announcements of each address in a refresh burst.
    pub refresh_repeat: u32,
    /// Each address is announced once in a while all the same, without a line in the log: for contentions that we cannot hear of.
    pub unasked: bool,
    /// Announcements of each address after an advert of lower priority; zero: none.
    pub lower_prio_repeat: u32,
    /// The same again after this.
    pub lower_prio_delay: Duration,
    /// Period of announcements on links that adverts do not leave by, so that switches remember where these are (garp_extra_if);
    /// true: on all of them, false: on virtual links only.
    pub extra: Option<(Duration, bool)>,
}

impl Default for Garp {
    fn default() -> Self {
        Garp {
            repeat: 5,
            delay: Duration::from_secs(5),
            refresh: Duration::ZERO,
            refresh_repeat: 1,
            unasked: false,
            lower_prio_repeat: 5,
            lower_prio_delay: Duration::from_secs(5),
            extra: None,
        }
    }
}

/// What is tracked.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Tracked {
    /// Link state of an interface, by name.
    Interface(String),
    /// A script of [`Config::scripts`], by name.
    Script(String),
    /// A file of [`Config::files`], by name.
    File(String),
    /// A process of [`Config::processes`], by name.
    Process(String),
    /// A virtual server, by name: it has its quorum.
    Service(String),
    /// A BFD session, by name: it is up.
    Session(String),
    /// A VRF, by name: it is there and up, and is one. What belongs into it must not serve outside.
    Vrf(String),
}

/// One tracked object of an instance.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Track {
    /// What.
    pub what: Tracked,
    /// Priority change, -254..=254; 0: failure means FAULT.
    pub weight: i32,
    /// Success and failure exchanged.
    pub reverse: bool,
}

/// Addresses of a virtual router. Most have one, which is in place.
pub type Addresses = SmallVec<[Address; 1]>;

/// Keepalived before 2.0 computed the checksum of what it sent to single routers as if it went to the multicast group.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum OldChecksum {
    /// As the peers do.
    #[default]
    Auto,
    /// So it is sent; both ways are heard.
    Always,
    /// It is wrong.
    Never,
}

/// One virtual router. What it says of itself is here; the rest, which a thousand of one file mostly have alike, is shared between
/// them ([`Kinds`]) and read and written as if it were here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct InstanceConfig {
    /// Its name.
    pub name: Name,
    /// Interface the router runs on, by name. It may be absent.
    pub interface: Name,
    /// Virtual router id, 1..=255.
    pub vrid: u8,
    /// Base priority, 1..=255; 255 is the address owner.
    pub priority: u8,
    /// Addresses carried in adverts. May be empty where allowed.
    pub addresses: Addresses,
    /// Addresses not carried in adverts.
    pub excluded: Vec<Address>,
    common: Arc<Common>,
}

impl Deref for InstanceConfig {
    type Target = Common;
    fn deref(&self) -> &Common {
        &self.common
    }
}

impl DerefMut for InstanceConfig {
    fn deref_mut(&mut self) -> &mut Common {
        Arc::make_mut(&mut self.common)
    }
}

/// What virtual routers of one file mostly have in common.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Common {
    /// The virtual link (RFC 9568 section 7.3) that the addresses are on. It is among [`Config::statics`].
    pub virtual_link: Option<String>,
    /// Virtual links of addresses that are on neither of the two, each with the link below. They are among [`Config::statics`].
    pub address_links: Vec<(String, String)>,
    /// The address that adverts come from is on the virtual link, and those of the router on the interface: an ipvlan.
    pub source_on_link: bool,
    /// Adverts go by the interface although there is a virtual link.
    pub by_base: bool,
    /// Family of adverts and of the advertised addresses.
    pub family: Family,
    /// Protocol version.
    pub version: Version,
    /// Version 3 over IPv4, while routers are moved to it: adverts of version 2 are sent and heard beside (RFC 9568 section 8.4.2).
    pub also_version_2: bool,
    /// Advert interval, 10 ms to 40.95 s (v3), 1 s to 255 s (v2).
    pub advert_interval: Duration,
    /// `state MASTER` was written. For an owner (priority 255) it means master at once; otherwise it changes nothing.
    pub start_master: bool,
    /// Take over from a master of lower priority.
    pub preempt: bool,
    /// Wait this long, hearing a lower-priority master, before preempting.
    pub preempt_delay: Duration,
    /// RFC timing and behaviour without keepalived's or our own deviations.
    pub strict: bool,
    /// An advert of lower priority from the current master leads to takeover at once (highest backup first, spread by
    /// priority over at most 10 ms); off: the master-down timer runs on (RFC 9568 section 6.4.2). Never on with `strict`.
    pub fast_takeover: bool,
    /// On an orderly stop or unforced demotion: say priority 0, serve on until the successor's advert is heard, then let go.
    pub soft_release: bool,
    /// Version 2 authentication.
    pub auth: Auth,
    /// The authentication trailer.
    pub hmac: Option<Hmac>,
    /// With AH or a trailer: a backup does not take over while it hears adverts that fail authentication, because they may be
    /// a living master's. Off: they are as if they had never been sent.
    pub auth_hold: bool,
    /// Routes present while master.
    pub routes: Vec<Route>,
    /// Policy rules present while master.
    pub rules: Vec<Rule>,
    /// Accept mode (RFC 9568 section 6.1): packets to the virtual addresses are taken also by who does not own them.
    pub accept: bool,
    /// Peers, when adverts go by unicast.
    pub unicast: Option<Unicast>,
    /// Configured source address of adverts; `None`: the interface's.
    pub source: Option<IpAddr>,
    /// FAULT while the configured source address is absent from the interface.
    pub track_source: bool,
    /// Multicast group of adverts.
    pub group: IpAddr,
    /// Missed adverts before takeover, 1..=100.
    pub down_timer_adverts: u8,
    /// Gratuitous announcements.
    pub garp: Garp,
    /// Do not answer a lower-priority advert at once.
    pub lower_prio_no_advert: bool,
    /// On a higher-priority advert send one of ours before backing off.
    pub higher_prio_send_advert: bool,
    /// An address owner drops incoming adverts unread.
    pub owner_ignore_adverts: bool,
    /// Do not check the address list of an advert of the known master.
    pub skip_check_adv_addr: bool,
    /// Version 3 over IPv4: compute the checksum without pseudo-header (RFC 9568 section 5.2.8). Both forms are accepted.
    pub checksum_without_pseudo: bool,
    /// Version 3 over IPv4 to single routers.
    pub old_checksum: OldChecksum,
    /// Ignore the link state of the own interface.
    pub dont_track_primary: bool,
    /// Tracked objects, group-level ones included.
    pub tracks: Vec<Track>,
    /// Of [`Config::statics`], those whose absence means FAULT (track_group).
    pub depends_on: Vec<Object>,
    /// A master that was held up for longer than a backup of this priority would wait goes to backup.
    pub timer_expired_backup: Option<u8>,
    /// `notify_deleted` was written: removal is reported as DELETED instead of FAULT.
    pub notify_deleted: bool,
    /// Report changes of the effective priority.
    pub notify_priority_changes: bool,
}

impl InstanceConfig {
    /// Adverts are authenticated by a key that does not travel with them.
    pub fn keyed(&self) -> bool {
        self.hmac.is_some() || matches!(self.auth, Auth::Ah(_))
    }

    /// Adverts of version 2 go out and are heard beside those of version 3. They prove nothing, so not where keys are asked for.
    pub fn speaks_both(&self) -> bool {
        self.also_version_2 && self.version == Version::V3 && self.family == Family::V4 && !self.keyed()
    }

    /// The trailer, if adverts of ours have one.
    pub(crate) fn trailer(&self) -> Option<&Hmac> {
        self.hmac.as_ref().filter(|h| h.mode != HmacMode::ReceiveOnly)
    }

    /// Bytes of authentication around a message.
    pub(crate) fn auth_bytes(&self) -> usize {
        let header = if matches!(self.auth, Auth::Ah(_)) { crate::wire::ah::LENGTH } else { 0 };
        header + self.trailer().map_or(0, |_| crate::wire::trailer::LENGTH)
    }

    /// Leaves each object once, however often it is listed: who gives one of two up would leave the other's in the kernel.
    pub fn unite(&mut self) {
        let mut seen = HashSet::new();
        let mut first = |a: &Address| seen.insert((a.interface.clone(), a.cidr));
        self.addresses.retain(|a| first(a));
        self.excluded.retain(|a| first(a));
        let mut seen = HashSet::new();
        self.routes.retain(|r| seen.insert(r.clone()));
        let mut seen = HashSet::new();
        self.rules.retain(|r| seen.insert(r.clone()));
    }

    /// The link that adverts go by and come in by.
    pub fn link(&self) -> &str {
        self.virtual_link.as_deref().filter(|_| !self.by_base).unwrap_or(&self.interface)
    }

    /// An instance with keepalived's defaults: version 2, priority 100, one advert a second, multicast, preempting.
    pub fn new(name: &str, interface: &str, vrid: u8, family: Family) -> Self {
        let common = Common {
            virtual_link: None,
            source_on_link: false,
            address_links: Vec::new(),
            by_base: false,
            family,
            version: match family {
                Family::V4 => Version::V2,
                Family::V6 => Version::V3,
            },
            also_version_2: false,
            advert_interval: Duration::from_secs(1),
            start_master: false,
            preempt: true,
            preempt_delay: Duration::ZERO,
            strict: false,
            fast_takeover: true,
            soft_release: true,
            auth: Auth::None,
            hmac: None,
            auth_hold: true,
            routes: Vec::new(),
            rules: Vec::new(),
            accept: true,
            unicast: None,
            source: None,
            track_source: false,
            group: match family {
                Family::V4 => IpAddr::V4(std::net::Ipv4Addr::new(224, 0, 0, 18)),
                Family::V6 => IpAddr::V6(std::net::Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12)),
            },
            down_timer_adverts: 3,
            garp: Garp::default(),
            lower_prio_no_advert: false,
            higher_prio_send_advert: false,
            owner_ignore_adverts: false,
            skip_check_adv_addr: false,
            checksum_without_pseudo: false,
            old_checksum: OldChecksum::Auto,
            dont_track_primary: false,
            tracks: Vec::new(),
            depends_on: Vec::new(),
            timer_expired_backup: None,
            notify_deleted: false,
            notify_priority_changes: false,
        };
        InstanceConfig {
            name: name.into(),
            interface: interface.into(),
            vrid,
            priority: 100,
            addresses: Addresses::new(),
            excluded: Vec::new(),
            common: Arc::new(common),
        }
    }
}

/// A sync group.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// Names of its members.
    pub members: Vec<String>,
    /// Weighted trackers of members count (sync_group_tracking_weight); otherwise the translator already dropped them.
    pub tracking_weight: bool,
}

/// A script tracker. How the script is run is the binary's business; the machine decides when, and what the results mean.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScriptConfig {
    /// Its name.
    pub name: String,
    /// Period.
    pub interval: Duration,
    /// Time limit of one run.
    pub timeout: Duration,
    /// Successes to become OK.
    pub rise: u32,
    /// Failures to become KO.
    pub fall: u32,
    /// Assume failed at start.
    pub init_fail: bool,
    /// Identity of the command; a change at reload starts the script's history anew.
    pub command: String,
}

/// A file tracker; its value reaches the machine as [`crate::Input::File`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileConfig {
    /// Its name.
    pub name: String,
}

/// A process tracker; the number of matching processes reaches the machine as [`crate::Input::Process`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ProcessConfig {
    /// Its name.
    pub name: String,
    /// Least number for success.
    pub quorum: u32,
    /// Greatest number for success.
    pub quorum_max: u32,
    /// Delay before a loss is reported.
    pub terminate_delay: Duration,
    /// Delay before a gain is reported.
    pub fork_delay: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_that_is_listed_twice_is_one() {
        let mut c = InstanceConfig::new("V", "eth0", 1, Family::V4);
        let cidr = |last| steadfast_core::IpCidr { address: [192, 0, 2, last].into(), prefix: 24 };
        c.addresses.extend([Address::new(cidr(1), "eth0"), Address::new(cidr(2), "eth0")]);
        c.excluded.extend([2, 3, 3].map(|n| Address { label: Some("eth0:x".into()), ..Address::new(cidr(n), "eth0") }));
        c.unite();
        assert_eq!((c.addresses.len(), c.excluded.iter().map(|a| a.cidr).collect::<Vec<_>>()), (2, vec![cidr(3)]));
    }

    #[test]
    fn what_is_alike_is_kept_once_and_changed_alone() {
        let mut all: Vec<_> = (1..=3).map(|n| InstanceConfig::new("V", "eth0", n, Family::V4)).collect();
        if let Some(last) = all.last_mut() {
            last.garp.repeat = 1;
        }
        let mut kinds = Kinds::default();
        all.iter_mut().for_each(|i| kinds.share(i));
        assert!(Arc::ptr_eq(&all[0].common, &all[1].common) && !Arc::ptr_eq(&all[0].common, &all[2].common));
        all[0].accept = false;
        assert_eq!((all[0].accept, all[1].accept, all[1].garp.repeat, all[2].garp.repeat), (false, true, 5, 1));
    }
}
