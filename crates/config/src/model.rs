//! The typed configuration, as written: defaults of keywords are in place, defaults that come from other sections are applied by
//! the checks.

use crate::diag::{Class, Span};
use crate::parse::Cx;
use crate::section::{Keyword, Section, block, section};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::IpCidr;
use steadfast_core::Secret;
use steadfast_core::ipvs::Granularity;
use steadfast_core::kernel::{Address, Isolation, Object, Route, Rule};

/// An account.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// A command.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Script {
    /// As written.
    pub text: String,
    /// Its words.
    pub argv: Vec<String>,
    /// Only a shell understands it: which.
    pub shell: Option<String>,
    /// Who runs it.
    pub user: Option<User>,
    /// Line of the configuration.
    pub line: u32,
}

/// A unicast peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Peer {
    /// Address.
    pub address: IpAddr,
    /// TTL limits, where given.
    pub ttl: Option<(u8, u8)>,
}

/// An entry of a track block.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Track {
    /// What.
    pub name: String,
    /// Own weight.
    pub weight: Option<i32>,
    /// Own direction.
    pub reverse: Option<bool>,
    /// Where it is written.
    pub place: Place,
    /// What it names was not defined when it was read.
    #[serde(skip)]
    pub early: bool,
}

/// `state MASTER|BACKUP`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum InitialState {
    Master,
    Backup,
}

/// `use_ipvlan`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ipvlan {
    /// Name of the link; the checks choose one where none is given.
    pub name: Option<String>,
    /// The address that adverts come from. The checks leave none out for IPv4.
    pub address: Option<IpCidr>,
    /// What ipvlans on one link may say to each other.
    pub isolation: Option<Isolation>,
    /// Link group number.
    pub group: Option<u32>,
}

/// How a link's carrier is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum LinkMethod {
    /// Registers of the transceiver.
    Mii,
    /// ethtool's call.
    Ethtool,
    /// The link's flags.
    Ioctl,
}

/// `use_vmac`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Vmac {
    /// Name of the link; the checks give one to every link.
    pub name: Option<String>,
    /// Hardware address; an octet that is not given is the router id.
    pub mac: Option<[Option<u8>; 6]>,
    /// Link group number.
    pub group: Option<u32>,
}

/// `auth_type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum AuthType {
    Pass,
    Ah,
}

/// `mode` of `auth_hmac`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum HmacMode {
    Enforce,
    Permissive,
    ReceiveOnly,
}

/// `vrrp_rx_bufs_policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum ReceivePolicy {
    Mtu,
    Advert,
    Bytes(u32),
}

/// The longest time that whole-second keywords take.
const LONG: i64 = 4294;

include!("tables/root.rs");
include!("tables/global.rs");
include!("tables/vrrp.rs");
include!("tables/checks.rs");
include!("tables/lvs.rs");
include!("tables/bfd.rs");

/// Everything.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// Settings outside blocks.
    pub process: ProcessSettings,
    /// global_defs.
    pub globals: GlobalDefs,
    /// vrrp_instance.
    pub instances: Vec<VrrpInstance>,
    /// vrrp_sync_group.
    pub groups: Vec<SyncGroup>,
    /// vrrp_script.
    pub scripts: Vec<VrrpScript>,
    /// track_file.
    pub files: Vec<TrackFile>,
    /// vrrp_track_process.
    pub processes: Vec<TrackProcess>,
    /// Static addresses, routes, rules, each with its track group.
    pub statics: Vec<(Object, Option<String>)>,
    /// track_group.
    pub track_groups: Vec<TrackGroup>,
    /// garp_group.
    pub garp_groups: Vec<GarpGroup>,
    /// interface_up_down_delays: link, after down, after up.
    pub link_delays: Vec<(String, Duration, Duration)>,
    /// Links that are polled, and how. The checks leave those that are used.
    pub linkbeat: Vec<(String, Option<LinkMethod>)>,
    /// All links that are used are polled.
    pub linkbeat_all: bool,
    /// virtual_server.
    pub virtual_servers: Vec<VirtualServer>,
    /// virtual_server_group.
    pub server_groups: Vec<ServerGroup>,
    /// SSL.
    pub ssl: Option<Ssl>,
    /// bfd_instance.
    pub bfd: Vec<BfdInstance>,
    /// An instance was refused: the daemon does not start with it.
    pub refused: bool,
}

/// Settings outside blocks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ProcessSettings {
    /// net_namespace.
    pub net_namespace: Option<String>,
    /// use_pid_dir.
    pub use_pid_dir: bool,
    /// instance.
    pub instance: Option<String>,
    /// child_wait_time in seconds.
    pub child_wait_time: Option<u64>,
    /// net_namespace_ipvs; an empty name is the first namespace.
    pub net_namespace_ipvs: Option<String>,
}

impl Root {
    pub(crate) fn into_config(self) -> Config {
        Config {
            process: ProcessSettings {
                use_pid_dir: self.use_pid_dir || self.net_namespace.is_some() || self.instance.is_some(),
                net_namespace: self.net_namespace,
                instance: self.instance,
                child_wait_time: self.child_wait_time,
                net_namespace_ipvs: self.net_namespace_ipvs,
            },
            globals: self.globals,
            instances: self.instances,
            groups: self.groups,
            scripts: self.scripts,
            files: self.files,
            processes: self.processes,
            statics: self.statics,
            track_groups: self.track_groups,
            garp_groups: self.garp_groups,
            link_delays: self.link_delays,
            linkbeat: self.linkbeat,
            linkbeat_all: self.linkbeat_use_polling,
            virtual_servers: self.virtual_servers,
            server_groups: self.server_groups,
            ssl: self.ssl,
            bfd: self.bfd,
            refused: false,
        }
    }
}

/// Every keyword of these sections.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    [
        Root::KEYWORDS,
        GlobalDefs::KEYWORDS,
        VrrpInstance::KEYWORDS,
        TrackGroup::KEYWORDS,
        GarpGroup::KEYWORDS,
        Authentication::KEYWORDS,
        AuthHmac::KEYWORDS,
        SyncGroup::KEYWORDS,
        VrrpScript::KEYWORDS,
        TrackFile::KEYWORDS,
        TrackProcess::KEYWORDS,
        VirtualServer::KEYWORDS,
        RealServer::KEYWORDS,
        TcpCheck::KEYWORDS,
        PingCheck::KEYWORDS,
        UdpCheck::KEYWORDS,
        HttpCheck::KEYWORDS,
        UrlCheck::KEYWORDS,
        DnsCheck::KEYWORDS,
        SmtpCheck::KEYWORDS,
        SmtpHost::KEYWORDS,
        MiscCheck::KEYWORDS,
        AgentCheck::KEYWORDS,
        GrpcCheck::KEYWORDS,
        FileCheck::KEYWORDS,
        BfdCheck::KEYWORDS,
        BfdInstance::KEYWORDS,
        Ssl::KEYWORDS,
    ]
    .into_iter()
    .flatten()
}

/// Entries of a track block: `NAME [weight N [reverse|noreverse]]`. Weights of ±254 are lowered to ±253 where `limit` is 253.
pub(crate) fn tracks(c: &mut Cx<'_>, v: &mut Vec<Track>, limit: i64) {
    tracks_of(c, v, limit, |c| Some((c.word(0)?.text.to_string(), 1)));
}

/// The same; `head` gives the name of what an entry tracks, and the number of words that it takes.
fn tracks_of(c: &mut Cx<'_>, v: &mut Vec<Track>, limit: i64, head: fn(&mut Cx<'_>) -> Option<(String, usize)>) {
    let kind = match c.keyword().as_deref() {
        Some("track_script") => Some("vrrp_script"),
        Some("track_file") => Some("track_file"),
        Some("track_process") => Some("vrrp_track_process"),
        _ => None,
    };
    c.list(|c| {
        let Some(place) = c.word(0).map(|w| Place::new(Some(w.span))) else { return };
        let Some((name, mut n)) = head(c) else { return };
        let early = kind.is_some_and(|kind| !c.is_defined(kind, &name));
        let mut t = Track { name, weight: None, reverse: None, place, early };
        while let Some(w) = c.word(n) {
            match w.text.as_str() {
                "weight" => {
                    n += 1;
                    match c.word(n) {
                        Some(value) => {
                            // The one beyond is lowered, and the others are refused, as by keepalived.
                            let beyond = matches!(value.text.trim_start_matches(['+', '-']), "254");
                            let most = if beyond { 254 } else { limit };
                            if let Some(x) = c.number(value, -most, most) {
                                if x.abs() > limit {
                                    c.report_at(
                                        Class::General,
                                        value,
                                        format!("weight {x} is too large, using {}", x.signum() * limit),
                                    );
                                }
                                t.weight = i32::try_from(x.clamp(-limit, limit)).ok();
                            }
                        }
                        None => c.report(Class::General, "weight needs a number"),
                    }
                }
                "reverse" => t.reverse = Some(true),
                "noreverse" => t.reverse = Some(false),
                other => c.report_at(Class::General, w, format!("unknown option '{other}', ignoring it")),
            }
            n += 1;
        }
        if v.iter().any(|x| x.name == t.name) {
            c.report(Class::General, format!("'{}' is tracked already, ignoring this entry", t.name));
        } else {
            v.push(t);
        }
    });
}

/// `weight N [reverse]` of a tracker.
fn weight(c: &mut Cx<'_>, v: &mut (i32, bool), limit: i64) {
    let Some(w) = c.value() else { return };
    if let Some(n) = c.number(w, -limit, limit) {
        v.0 = i32::try_from(n).unwrap_or(0);
    }
    match c.word(2) {
        Some(r) if r.text == "reverse" => v.1 = true,
        Some(r) => c.report_at(Class::General, r, format!("unknown option '{}'", r.text)),
        None => {}
    }
}

fn multicast(c: &mut Cx<'_>, v: &mut Option<IpAddr>, six: Option<bool>) {
    let mut a = None;
    c.address(&mut a);
    match a {
        Some(x) if x.is_multicast() && six.is_none_or(|s| s == x.is_ipv6()) => *v = Some(x),
        Some(x) => c.report(Class::General, format!("{x} is not a multicast address of this family")),
        None => {}
    }
}
