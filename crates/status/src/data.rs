//! The data dump (`keepalived.data`): headings with one blank, attributes with three, list items with five. Readers look for
//! the words before " = " and " :". Sections, keys and their order are those that keepalived 2.2.7 was seen to write; sockets, of
//! which there is one for each link here, are left out, and passwords are stars.

use crate::details::{Details, GroupDetails, InstanceDetails, InterfaceDetails};
use crate::{Instance, Snapshot};
use std::fmt::{Display, Write};
use steadfast_core::State;

/// The VRRP part of the data dump.
pub fn data(snapshot: &Snapshot, details: &Details) -> String {
    let mut page = Page(String::new());
    page.section("Global definitions");
    page.line(1, format_args!("Router ID = {}", snapshot.router_id));
    details.globals.iter().for_each(|g| page.line(1, g));
    for (list, heading) in details.statics.iter().zip(["Static Addresses", "Static Routes", "Static Rules"]) {
        page.section_of(heading, list, |page, item| page.line(5, item));
    }
    let none = InstanceDetails::default();
    let all = snapshot.instances.iter().enumerate();
    page.section_of("VRRP Topology", &all.collect::<Vec<_>>(), |page, (n, i)| {
        instance(page, i, details.instances.get(*n).unwrap_or(&none));
    });
    page.section_of("VRRP Sync groups", &details.groups, group);
    let all = snapshot.scripts.iter().enumerate();
    page.section_of("VRRP Scripts", &all.collect::<Vec<_>>(), |page, (n, s)| {
        let more = details.scripts.get(*n);
        let flag = |f: fn(&crate::details::ScriptDetails) -> bool| more.is_some_and(f);
        page.line(1, format_args!("VRRP Script = {}", s.name));
        page.row("Command", &s.command);
        page.row("Interval", format_args!("{} sec", s.interval));
        page.row("Timeout", format_args!("{} sec", s.timeout));
        page.row("Weight", format_args!("{}{}", s.weight, reverse(flag(|m| m.reverse))));
        page.row("Rise", s.rise);
        page.row("Fall", s.fall);
        page.row("Insecure", "no");
        page.row("Init state", if flag(|m| m.init_fail) { "failed" } else { "unknown" });
        page.row("Status", if s.good { "GOOD" } else { "BAD" });
        if let Some(more) = more {
            page.row("Script uid:gid", &more.account);
            page.headed("Tracking instances", &more.users);
        }
        page.row("State", if s.running { "running" } else { "idle" });
    });
    page.section_of("VRRP Track files", &details.files, |page, f| {
        page.line(1, format_args!("Track file = {}", f.name));
        page.row("File", &f.path);
        page.row("Status", f.value);
        page.row("Weight", format_args!("{}{}", f.weight, reverse(f.reverse)));
        page.headed("Tracking instances", &f.users);
    });
    let all = snapshot.processes.iter().enumerate();
    page.section_of("VRRP Track processes", &all.collect::<Vec<_>>(), |page, (n, p)| {
        page.line(1, format_args!("VRRP Track process = {}", p.name));
        page.row("Process", &p.process);
        if !p.parameters.is_empty() {
            page.row("Parameters", &p.parameters);
            page.row("Parameter matching", &p.param_match);
        }
        page.row("Min processes", p.min_processes);
        if p.max_processes < u32::MAX {
            page.row("Max processes", p.max_processes);
        }
        page.row("Current processes", p.current_processes);
        page.row("Have quorum", p.have_quorum);
        page.row("Weight", p.weight);
        page.row("Terminate delay", format_args!("{:.6}s", p.terminate_delay));
        page.row("Fork delay", format_args!("{:.6}s", p.fork_delay));
        let not = |running: bool| if running { "" } else { "not " };
        page.line(3, format_args!("Fork delay timer {}running", not(p.fork_timer_running)));
        page.line(3, format_args!("Terminate delay timer {}running", not(p.terminate_timer_running)));
        page.row("Full command", p.full_command);
        page.headed("Tracking instances", details.process_users.get(*n).map_or(&[], Vec::as_slice));
    });
    page.section_of("VRRP Track BFDs", &details.sessions, |page, s| {
        page.line(1, format_args!("VRRP Track BFD = {}", s.name));
        page.row("Weight", format_args!("{}{}", s.weight, reverse(s.reverse)));
        page.line(3, format_args!("Bfd is {}", if s.up { "up" } else { "down" }));
        page.headed("Tracking VRRP instances", &s.users);
    });
    page.section_of("Interfaces", &details.interfaces, interface);
    page.0
}

fn instance(page: &mut Page, i: &Instance, more: &InstanceDetails) {
    page.line(1, format_args!("VRRP Instance = {}", i.name));
    page.row("VRRP Version", i.version);
    if let Some(group) = &more.group {
        page.row("Sync group", group);
    }
    if more.ipv6 {
        page.line(3, "Using Native IPv6");
    }
    page.row("State", i.state);
    if let Some(master) = i.master.filter(|_| i.state == State::Backup) {
        page.row("Master router", master);
        page.row("Master priority", i.master_priority);
        page.row("Master advert interval", format_args!("{} sec", i.master_advert_interval));
    }
    if more.unicast.is_some() {
        page.line(3, "Flags:\n     Using unicast");
    } else {
        page.line(3, "Flags: none");
    }
    page.row("Wantstate", i.want_state);
    page.row("Number of config faults", 0);
    page.row("Number of interface and track script faults", more.faults);
    page.row("Number of track scripts init", more.pending);
    page.row("Last transition", format_args!("{:.6}", i.last_transition));
    match more.next {
        Some(t) => page.row("Read timeout", format_args!("{t:.6}")),
        None => page.row("Read timeout", "DISABLED"),
    }
    page.row("Master down timer", format_args!("{} usecs", more.master_down));
    match &more.virtual_link {
        Some((name, up, by_base)) => {
            page.line(3, format_args!("Use VMAC, i/f name {name}, is_up = {up}, xmit_base = {by_base}"));
            page.row("Interface", format_args!("{name}, vmac on {}", i.interface));
        }
        None => page.row("Interface", &i.interface),
    }
    if i.dont_track_primary {
        page.line(3, "VRRP interface tracking disabled");
    }
    if i.skip_check_adv_addr {
        page.line(3, "Skip checking advert IP addresses");
    }
    if i.strict {
        page.line(3, "Enforcing strict VRRP compliance");
    }
    if let Some(source) = &i.source {
        let why = if more.source_configured { " (from configuration)" } else { "" };
        page.row("Using src_ip", format_args!("{source}{why}"));
    }
    if let Some(group) = i.multicast {
        page.line(3, format_args!("Multicast address {group}"));
    }
    page.row("Gratuitous ARP delay", i.garp_delay);
    page.row("Gratuitous ARP repeat", i.garp_repeat);
    page.row("Gratuitous ARP refresh", i.garp_refresh);
    page.row("Gratuitous ARP refresh repeat", i.garp_refresh_repeat);
    page.row("Gratuitous ARP lower priority delay", i.garp_lower_prio_delay);
    page.row("Gratuitous ARP lower priority repeat", i.garp_lower_prio_repeat);
    page.row("Down timer adverts", i.down_timer_adverts);
    page.row("Send advert after receive lower priority advert", !i.lower_prio_no_advert);
    page.row("Send advert after receive higher priority advert", i.higher_prio_send_advert);
    page.row("Virtual Router ID", i.vrid);
    page.row("Priority", i.base_priority);
    page.row("Effective priority", i.effective_priority);
    page.row("Total priority", more.total_priority);
    let milliseconds = (i.advert_interval * 1000.0).round();
    match i.version {
        3 => page.row("Advert interval", format_args!("{milliseconds} milli-sec")),
        _ => page.row("Advert interval", format_args!("{} sec", i.advert_interval)),
    }
    page.row("Accept", switch(i.accept));
    page.row("Preempt", switch(!i.nopreempt));
    if i.preempt_delay > 0 {
        page.row("Preempt delay", format_args!("{} secs", i.preempt_delay));
    }
    page.row("Promote_secondaries", switch(i.promote_secondaries));
    match (i.auth_type, i.version) {
        (1, _) => {
            page.row("Authentication type", "SIMPLE_PASSWORD");
            page.row("Password", "********");
        }
        (2, _) => page.row("Authentication type", "IPSEC_AH"),
        (_, 2) => page.row("Authentication type", "none"),
        _ => {}
    }
    if i.hmac {
        page.row("Authentication extension", "HMAC-SHA256");
    }
    for reason in &i.faults {
        page.row("Fault", reason);
    }
    page.line(3, format_args!("Virtual IP ({}):", i.addresses.len()));
    page.items(&i.addresses);
    page.headed("Virtual IP Excluded", &i.excluded);
    if let Some((ttl, checked, peers)) = &more.unicast {
        page.row("Unicast TTL", ttl);
        page.line(3, format_args!("Check unicast src : {}", if *checked { "yes" } else { "no" }));
        page.headed("Unicast Peer", peers);
    }
    page.headed("Virtual Routes", &i.routes);
    page.headed("Virtual Rules", &i.rules);
    more.tracked.iter().for_each(|(heading, list)| page.headed(heading, list));
    page.row("Using smtp notification", yes(i.smtp_alert));
    page.row("Notify deleted", if i.notify_deleted { "Deleted" } else { "Fault" });
    for (n, (key, command)) in i.scripts.iter().enumerate() {
        let account = more.accounts.get(n).map(|a| format!(", uid:gid {a}")).unwrap_or_default();
        page.row(script_word(key), format_args!("{command}{account}"));
    }
    page.row("Notify priority changes", more.notify_priority_changes);
}

fn group(page: &mut Page, g: &GroupDetails) {
    page.line(1, format_args!("VRRP Sync Group = {}, {}", g.name, g.state));
    page.line(3, format_args!("Num member fault {}, num member init {}", g.faults, g.pending));
    page.headed("VRRP member instances", &g.members);
    if g.tracking_weight {
        page.line(3, "sync group tracking weight set");
    }
    page.row("Using smtp notification", yes(g.mail));
    g.tracked.iter().for_each(|(heading, list)| page.headed(heading, list));
    g.scripts.iter().for_each(|(key, command)| page.row(script_word(key), command));
}

fn interface(page: &mut Page, l: &InterfaceDetails) {
    let first = |list: &[String]| list.first().cloned().unwrap_or_else(|| "(none)".into());
    page.line(1, format_args!("Name = {}", l.name));
    page.row("index", l.index);
    page.row("IPv4 address", first(&l.ipv4));
    page.headed("Additional IPv4 addresses", l.ipv4.get(1..).unwrap_or(&[]));
    page.row("IPv6 address", first(&l.ipv6));
    page.headed("Additional IPv6 addresses", l.ipv6.get(1..).unwrap_or(&[]));
    if l.mac != [0; 6] {
        let octets: Vec<String> = l.mac.iter().map(|o| format!("{o:02x}")).collect();
        page.row("MAC", octets.join(":"));
    }
    page.row("State", if l.up { "UP, RUNNING" } else { "DOWN, not RUNNING" });
    page.row("Up debounce timer", format_args!("{}us", l.debounce[0]));
    page.row("Down debounce timer", format_args!("{}us", l.debounce[1]));
    if let Some((below, made)) = &l.below {
        page.line(3, format_args!("VMAC, underlying interface = {below}"));
        if *made {
            page.line(3, "I/f created by keepalived");
        }
    }
    if let Some(vrf) = &l.vrf {
        page.row("VRF", vrf);
    }
    page.row("MTU", l.mtu);
    page.headed("Tracking VRRP instances", &l.users);
}

/// What a script is for, by its key of the JSON dump.
fn script_word(key: &str) -> &str {
    match key {
        "script_backup" => "Backup state transition script",
        "script_master" => "Master state transition script",
        "script_fault" => "Fault state transition script",
        "script_stop" => "Stop state transition script",
        "script_deleted" => "Deleted state transition script",
        "script_master_rx_lower_pri" => "Master rx lower priority script",
        "script" => "Generic state transition script",
        other => other,
    }
}

fn reverse(on: bool) -> &'static str {
    if on { " reverse" } else { "" }
}

fn yes(on: bool) -> &'static str {
    if on { "yes" } else { "no" }
}

fn switch(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

/// The text as it grows. Writing to a string cannot fail.
struct Page(String);

impl Page {
    fn section(&mut self, heading: &str) {
        let _ = writeln!(self.0, "------< {heading} >------");
    }

    /// A section that is there when something is in it.
    fn section_of<T>(&mut self, heading: &str, list: &[T], mut each: impl FnMut(&mut Self, &T)) {
        if !list.is_empty() {
            self.section(heading);
            list.iter().for_each(|item| each(self, item));
        }
    }

    fn line(&mut self, blanks: usize, text: impl Display) {
        let _ = writeln!(self.0, "{:blanks$}{text}", "");
    }

    fn row(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "   {key} = {value}");
    }

    fn headed(&mut self, heading: &str, list: &[String]) {
        if !list.is_empty() {
            let _ = writeln!(self.0, "   {heading} :");
            self.items(list);
        }
    }

    fn items(&mut self, list: &[String]) {
        for item in list {
            let _ = writeln!(self.0, "     {item}");
        }
    }
}
