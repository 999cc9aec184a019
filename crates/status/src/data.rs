//! The data dump (`keepalived.data`): headings with one blank, attributes with three, list items with five. Readers look for
//! the words before " = " and " :".

use crate::{Instance, Snapshot};
use std::fmt::Write;

/// The VRRP part of the data dump.
pub fn data(snapshot: &Snapshot) -> String {
    let mut t = String::new();
    let _ = writeln!(t, "------< Global definitions >------\n Router ID = {}", snapshot.router_id);
    if !snapshot.instances.is_empty() {
        t.push_str("------< VRRP Topology >------\n");
    }
    for i in &snapshot.instances {
        instance(&mut t, i);
    }
    if !snapshot.scripts.is_empty() {
        t.push_str("------< VRRP Scripts >------\n");
    }
    for s in &snapshot.scripts {
        let _ = writeln!(t, " VRRP Script = {}", s.name);
        let mut row = |key: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(t, "   {key} = {value}");
        };
        row("Command", &s.command);
        row("Interval", &format_args!("{} sec", s.interval));
        row("Timeout", &format_args!("{} sec", s.timeout));
        row("Weight", &s.weight);
        row("Rise", &s.rise);
        row("Fall", &s.fall);
        row("Status", &if s.good { "GOOD" } else { "BAD" });
        row("State", &if s.running { "running" } else { "idle" });
    }
    t
}

fn instance(t: &mut String, i: &Instance) {
    let _ = writeln!(t, " VRRP Instance = {}", i.name);
    {
        let mut row = |key: &str, value: &dyn std::fmt::Display| {
            let _ = writeln!(t, "   {key} = {value}");
        };
        row("VRRP Version", &i.version);
        row("State", &i.state);
        row("Wantstate", &i.want_state);
        row("Last transition", &format_args!("{:.6}", i.last_transition));
        row("Interface", &i.interface);
        if let Some(source) = &i.source {
            row("Using src_ip", source);
        }
        row("Gratuitous ARP delay", &i.garp_delay);
        row("Gratuitous ARP repeat", &i.garp_repeat);
        row("Gratuitous ARP refresh", &i.garp_refresh);
        row("Gratuitous ARP refresh repeat", &i.garp_refresh_repeat);
        row("Gratuitous ARP lower priority delay", &i.garp_lower_prio_delay);
        row("Gratuitous ARP lower priority repeat", &i.garp_lower_prio_repeat);
        row("Down timer adverts", &i.down_timer_adverts);
        row("Send advert after receive lower priority advert", &!i.lower_prio_no_advert);
        row("Send advert after receive higher priority advert", &i.higher_prio_send_advert);
        row("Virtual Router ID", &i.vrid);
        row("Priority", &i.base_priority);
        row("Effective priority", &i.effective_priority);
        row("Advert interval", &format_args!("{} sec", i.advert_interval));
        row("Accept", &switch(i.accept));
        row("Preempt", &switch(!i.nopreempt));
        row("Promote_secondaries", &switch(i.promote_secondaries));
        if i.auth_type == 1 {
            row("Authentication type", &"SIMPLE_PASSWORD");
            row("Password", &"********");
        }
        if i.auth_type == 2 {
            row("Authentication type", &"IPSEC_AH");
        }
        if i.hmac {
            row("Authentication extension", &"HMAC-SHA256");
        }
    }
    for reason in &i.faults {
        let _ = writeln!(t, "   Fault = {reason}");
    }
    let _ = writeln!(t, "   Virtual IP ({}):", i.addresses.len());
    items(t, &i.addresses, i.addresses_set);
    headed(t, "Virtual IP Excluded", &i.excluded, i.addresses_set);
    headed(t, "Virtual Routes", &i.routes, false);
    headed(t, "Virtual Rules", &i.rules, false);
    headed(t, "Tracked interfaces", &i.tracked_interfaces, false);
    headed(t, "Tracked scripts", &i.tracked_scripts, false);
    headed(t, "Tracked processes", &i.tracked_processes, false);
    let _ = writeln!(t, "   Using smtp notification = {}", if i.smtp_alert { "yes" } else { "no" });
    let _ = writeln!(t, "   Notify deleted = {}", if i.notify_deleted { "Deleted" } else { "Fault" });
    for (key, command) in &i.scripts {
        let _ = writeln!(t, "   {key} = {command}");
    }
}

fn switch(on: bool) -> &'static str {
    if on { "enabled" } else { "disabled" }
}

fn headed(t: &mut String, heading: &str, list: &[String], set: bool) {
    if !list.is_empty() {
        let _ = writeln!(t, "   {heading} :");
        items(t, list, set);
    }
}

fn items(t: &mut String, list: &[String], set: bool) {
    for item in list {
        let _ = writeln!(t, "     {item}{}", if set { " set" } else { "" });
    }
}
