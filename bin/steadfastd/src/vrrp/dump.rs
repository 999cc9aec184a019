//! What dumps show.

use super::plan::{Command, Notify, Plan, Probe};
use std::collections::HashSet;
use steadfast_core::kernel::{Address, Object, scope_word};
use steadfast_core::{State, Time};
use steadfast_net::netlink::Mirror;
use steadfast_status as status;
use steadfast_sys::procs::Arguments;
use steadfast_vrrp::{Router, Tracked, Version, View};

/// Keys of notify scripts, and the words that these are told.
pub const SCRIPTS: [(&str, &str); 5] = [
    ("script_backup", "BACKUP"),
    ("script_master", "MASTER"),
    ("script_fault", "FAULT"),
    ("script_stop", "STOP"),
    ("script_deleted", "DELETED"),
];

/// Notify scripts with their keys, in the order of dumps.
pub fn scripts(n: &Notify) -> impl Iterator<Item = (&'static str, &Command)> {
    let specific = SCRIPTS.iter().filter_map(|(key, word)| Some((*key, n.scripts.get(word)?)));
    let generic = n.generic.as_ref().map(|s| ("script", s));
    specific.chain(generic).chain(n.scripts.get("MASTER_RX_LOWER_PRI").map(|s| ("script_master_rx_lower_pri", s)))
}

/// An address as dumps show it: what its line gives, in keepalived's order, and `set` while it is there. `base`: what its link sits
/// on, where that is a virtual one of ours. That no duplicate is looked for goes without saying: it is so for every IPv6 address.
pub fn address(a: &Address, base: Option<&str>, set: bool) -> String {
    use std::fmt::Write;
    let six = a.cidr.address.is_ipv6();
    let full = a.cidr.prefix == steadfast_core::Family::of(a.cidr.address).bits();
    let mut text = if full { a.cidr.address.to_string() } else { a.cidr.to_string() };
    // Writing to a string cannot fail.
    let mut word = |given: bool, word: &str, value: &dyn std::fmt::Display| {
        let _ = if given { write!(text, " {word}{value}") } else { Ok(()) };
    };
    a.broadcast.iter().for_each(|b| word(true, "brd ", b));
    word(true, "dev ", &base.map_or_else(|| a.interface.to_string(), |base| format!("{}@{base}", a.interface)));
    word(a.own_link, "use_vmac", &"");
    word(true, "scope ", &scope_word(a.scope).map_or_else(|| a.scope.to_string(), Into::into));
    a.label.iter().for_each(|l| word(true, "label ", l));
    a.peer.iter().for_each(|p| word(true, "peer ", p));
    for (given, name) in [
        (a.home, "home"),
        (a.mngtmpaddr, "mngtmpaddr"),
        (a.noprefixroute, "noprefixroute"),
        (a.autojoin, "autojoin"),
        (a.no_track, "no_track"),
    ] {
        word(given, name, &"");
    }
    match a.preferred_lifetime {
        None => word(six, "preferred_lft forever", &""),
        Some(0) => word(true, "deprecated", &""),
        Some(seconds) => word(true, "preferred_lft ", &seconds),
    }
    word(set, "set", &"");
    text
}

/// Addresses of an instance, and whether each is there: the kernel may have refused one, or its link is away.
fn addresses(v: &View<'_>, of: &[Address], refused: &HashSet<&Address>, mirror: &Mirror) -> Vec<String> {
    let c = v.config;
    let there = |a: &Address| v.objects_set && !refused.contains(a) && mirror.by_name(&a.interface).is_some();
    let base = |a: &Address| {
        let own = c.virtual_link.as_ref().filter(|l| **l == *a.interface).map(|_| &*c.interface);
        own.or_else(|| c.address_links.iter().find(|(name, _)| **name == *a.interface).map(|(_, base)| &**base))
    };
    of.iter().map(|a| address(a, base(a), there(a))).collect()
}

/// The schema's snapshot of a router. `wall` is the wall clock at `now`.
pub fn snapshot(router: &Router, plan: &Plan, mirror: &Mirror, now: Time, wall: f64) -> status::Snapshot {
    let refused = router.refused_objects();
    let instances = router.views().map(|v| {
        let c = v.config;
        let notify = plan.instances.get(c.name.as_str());
        let named =
            |f: &dyn Fn(&Tracked) -> Option<String>| c.tracks.iter().filter_map(|t| f(&t.what)).collect::<Vec<_>>();
        let scripts = notify.into_iter().flat_map(scripts).map(|(key, s)| (key.to_string(), s.quoted())).collect();
        let refused = refused.get(c.name.as_str()).into_iter().flatten();
        let refused = refused.filter_map(|(o, _)| if let Object::Address(a) = o { Some(a) } else { None }).collect();
        let [addresses, excluded] = [&c.addresses[..], &c.excluded[..]].map(|of| addresses(&v, of, &refused, mirror));
        let k = v.counters;
        status::Instance {
            name: c.name.to_string(),
            interface: c.interface.to_string(),
            version: if c.version == Version::V3 { 3 } else { 2 },
            vrid: c.vrid,
            base_priority: c.priority,
            effective_priority: v.priority,
            state: v.state,
            want_state: if v.state == State::Init && c.start_master { State::Master } else { v.state },
            faults: v.faults.clone(),
            master_priority: v.master.map_or(0, |m| m.1),
            last_transition: wall - now.since(v.last_transition).as_secs_f64(),
            strict: c.strict,
            dont_track_primary: c.dont_track_primary,
            skip_check_adv_addr: c.skip_check_adv_addr,
            garp_delay: c.garp.delay.as_secs(),
            garp_refresh: c.garp.refresh.as_secs(),
            garp_repeat: c.garp.repeat,
            garp_refresh_repeat: c.garp.refresh_repeat,
            garp_lower_prio_delay: c.garp.lower_prio_delay.as_secs(),
            garp_lower_prio_repeat: c.garp.lower_prio_repeat,
            lower_prio_no_advert: c.lower_prio_no_advert,
            higher_prio_send_advert: c.higher_prio_send_advert,
            down_timer_adverts: c.down_timer_adverts,
            addresses_set: v.objects_set,
            promote_secondaries: plan.promote_secondaries.iter().any(|link| *link == c.interface),
            advert_interval: c.advert_interval.as_secs_f64(),
            master_advert_interval: v.master_interval.as_secs_f64(),
            accept: c.accept,
            nopreempt: !c.preempt,
            preempt_delay: c.preempt_delay.as_secs(),
            smtp_alert: notify.is_some_and(|n| n.mail),
            notify_deleted: c.notify_deleted,
            scripts,
            addresses,
            excluded,
            routes: c.routes.iter().map(|r| r.line().to_string()).collect(),
            rules: c.rules.iter().map(|r| r.line().to_string()).collect(),
            tracked_interfaces: named(&|t| if let Tracked::Interface(n) = t { Some(n.clone()) } else { None }),
            tracked_scripts: named(&|t| if let Tracked::Script(n) = t { Some(n.clone()) } else { None }),
            tracked_processes: named(&|t| if let Tracked::Process(n) = t { Some(n.clone()) } else { None }),
            auth_type: c.auth.number(),
            hmac: c.hmac.is_some(),
            source: v.source.map(|s| s.to_string()),
            master: v.master.map(|m| m.0),
            up_for: v.up_since.map(|t| now.since(t).as_secs_f64()),
            new_master: v.new_master as u8,
            protocol_error: v.protocol_error,
            link: c.link().to_string(),
            virtual_link: c.virtual_link.clone().unwrap_or_default(),
            advertised: c.addresses.iter().map(|a| a.cidr.address).collect(),
            multicast: c.unicast.is_none().then_some(c.group),
            offender: v.offender,
            statistics: status::Statistics {
                advert_rcvd: k.advert_rcvd,
                advert_sent: k.advert_sent,
                become_master: k.become_master,
                release_master: k.release_master,
                packet_len_err: k.packet_len_err,
                advert_interval_err: k.advert_interval_err,
                ip_ttl_err: k.ip_ttl_err,
                invalid_type_rcvd: k.invalid_type_rcvd,
                addr_list_err: k.addr_list_err,
                invalid_authtype: k.invalid_authtype,
                authtype_mismatch: k.authtype_mismatch,
                auth_failure: k.auth_failure,
                pri_zero_rcvd: k.pri_zero_rcvd,
                pri_zero_sent: k.pri_zero_sent,
                auth_ext_missing: k.auth_ext_missing,
                auth_ext_malformed: k.auth_ext_malformed,
                auth_ext_unknown_key: k.auth_ext_unknown_key,
                auth_ext_invalid_hmac: k.auth_ext_invalid_hmac,
                auth_ext_stale: k.auth_ext_stale,
                auth_ext_replay: k.auth_ext_replay,
                checksum_err: k.checksum_err,
                version_err: k.version_err,
            },
        }
    });
    let scripts = plan.machine.scripts.iter().map(|s| {
        let (good, running) =
            router.script_states().into_iter().find(|x| x.0 == s.name).map_or((false, false), |x| (x.1, x.2));
        status::Script {
            name: s.name.clone(),
            command: match plan.probes.get(&s.name) {
                Some(Probe::Program(c)) => c.quoted(),
                Some(Probe::Readable(p)) => format!("<{}", p.display()),
                None => String::new(),
            },
            interval: s.interval.as_secs_f64(),
            timeout: s.timeout.as_secs_f64(),
            weight: plan.weights.get(&s.name).copied().unwrap_or(0),
            rise: s.rise,
            fall: s.fall,
            good,
            running,
        }
    });
    let processes = router.process_states().filter_map(|(p, count, ok, waits)| {
        let tracker = plan.processes.iter().find(|t| t.matcher.name == p.name)?;
        let matcher = &tracker.matcher;
        let (process, parameters) = matcher.argv.split_first()?;
        Some(status::Process {
            name: p.name.clone(),
            process: process.clone(),
            parameters: parameters.join(" "),
            param_match: match matcher.arguments {
                Arguments::Ignored => "none",
                Arguments::Equal => "exact",
                Arguments::Initial => "initial",
                Arguments::Partial => "partial",
            }
            .into(),
            min_processes: p.quorum,
            max_processes: p.quorum_max,
            current_processes: count.unwrap_or(0),
            have_quorum: ok,
            weight: tracker.weight,
            terminate_delay: p.terminate_delay.as_secs_f64(),
            fork_delay: p.fork_delay.as_secs_f64(),
            full_command: matcher.full_command,
            terminate_timer_running: waits && ok,
            fork_timer_running: waits && !ok,
        })
    });
    status::Snapshot {
        router_id: plan.router_id.clone(),
        instances: instances.collect(),
        scripts: scripts.collect(),
        groups: router.group_states(),
        processes: processes.collect(),
        files: router.file_states().map(|(name, value)| (name.to_string(), value)).collect(),
        links: router.links().map(|(name, index, mac)| (name.to_string(), index, mac.0)).collect(),
        unknown_vrids: router.strangers(),
    }
}
