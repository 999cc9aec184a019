//! The JSON dump (`keepalived.json`): field order, omission of empty lists and `\/` are part of the interface.

use crate::{Instance, Process, Snapshot, Statistics};
use std::fmt::Write;

/// One JSON object being written.
struct Object {
    text: String,
}

impl Object {
    fn new() -> Self {
        Object { text: String::from("{") }
    }

    fn key(&mut self, key: &str) -> &mut String {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        string(&mut self.text, key);
        self.text.push(':');
        &mut self.text
    }

    fn text(&mut self, key: &str, value: &str) -> &mut Self {
        string(self.key(key), value);
        self
    }

    fn raw(&mut self, key: &str, value: impl std::fmt::Display) -> &mut Self {
        let _ = write!(self.key(key), "{value}");
        self
    }

    fn bit(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, u8::from(value))
    }

    /// Empty lists are left out.
    fn list(&mut self, key: &str, values: impl IntoIterator<Item = impl AsRef<str>>) -> &mut Self {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            let text = self.key(key);
            let mut mark = '[';
            for v in values {
                text.push(mark);
                string(text, v.as_ref());
                mark = ',';
            }
            text.push(']');
        }
        self
    }

    fn end(mut self) -> String {
        self.text.push('}');
        self.text
    }
}

fn string(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Version 1 is an array of instances, version 2 an object that holds it under "vrrp". `None` without instances: keepalived
/// writes no file then, and readers rely on it.
pub fn json(snapshot: &Snapshot, version: u8) -> Option<String> {
    if snapshot.instances.is_empty() {
        return None;
    }
    let array: Vec<String> = snapshot
        .instances
        .iter()
        .map(|i| {
            let mut o = Object::new();
            o.raw("data", data(i)).raw("stats", statistics(&i.statistics, i.hmac));
            o.end()
        })
        .collect();
    let array = format!("[{}]", array.join(","));
    if version != 2 {
        return Some(array + "\n");
    }
    let mut whole = Object::new();
    whole.raw("vrrp", array);
    if !snapshot.processes.is_empty() {
        let all: Vec<String> = snapshot.processes.iter().map(process).collect();
        whole.raw("track_process", format_args!("[{}]", all.join(",")));
    }
    Some(whole.end() + "\n")
}

fn process(p: &Process) -> String {
    let mut o = Object::new();
    o.text("process", &p.process)
        .text("parameters", &p.parameters)
        .text("param_match", &p.param_match)
        .raw("min_processes", p.min_processes)
        .raw("max_processes", p.max_processes)
        .raw("current_processes", p.current_processes)
        .raw("have_quorum", p.have_quorum)
        .raw("weight", p.weight)
        .raw("terminate_delay", p.terminate_delay)
        .raw("fork_delay", p.fork_delay)
        .raw("full_command", p.full_command)
        .raw("terminate_timer_running", p.terminate_timer_running)
        .raw("fork_timer_running", p.fork_timer_running)
        // keepalived's objects have no name.
        .text("name", &p.name);
    o.end()
}

fn data(i: &Instance) -> String {
    let mut o = Object::new();
    o.text("iname", &i.name)
        .bit("dont_track_primary", i.dont_track_primary)
        .bit("skip_check_adv_addr", i.skip_check_adv_addr)
        .bit("strict_mode", i.strict)
        // A virtual link is the interface, also where adverts go by the one below.
        .text("vmac_ifname", &i.virtual_link);
    if !i.interface.is_empty() {
        o.text("ifp_ifname", if i.virtual_link.is_empty() { &i.interface } else { &i.virtual_link });
    }
    o.raw("master_priority", i.master_priority)
        .raw("last_transition", format_args!("{:.6}", i.last_transition))
        .raw("garp_delay", i.garp_delay)
        .raw("garp_refresh", i.garp_refresh)
        .raw("garp_rep", i.garp_repeat)
        .raw("garp_refresh_rep", i.garp_refresh_repeat)
        .raw("garp_lower_prio_delay", i.garp_lower_prio_delay)
        .raw("garp_lower_prio_rep", i.garp_lower_prio_repeat)
        .bit("lower_prio_no_advert", i.lower_prio_no_advert)
        .bit("higher_prio_send_advert", i.higher_prio_send_advert)
        .raw("vrid", i.vrid)
        .raw("base_priority", i.base_priority)
        .raw("effective_priority", i.effective_priority)
        .raw("vipset", i.addresses_set)
        .raw("promote_secondaries", i.promote_secondaries)
        .raw("adver_int", i.advert_interval)
        .raw("master_adver_int", i.master_advert_interval)
        .bit("accept", i.accept)
        .raw("nopreempt", i.nopreempt)
        .raw("preempt_delay", i.preempt_delay)
        .raw("state", i.state.number())
        .raw("wantstate", i.want_state.number())
        .raw("version", i.version)
        .raw("smtp_alert", i.smtp_alert)
        .raw("notify_deleted", i.notify_deleted);
    for (key, command) in &i.scripts {
        o.text(key, command);
    }
    o.list("vips", &i.addresses)
        .list("evips", &i.excluded)
        .list("vroutes", &i.routes)
        .list("vrules", &i.rules)
        .list("track_ifp", &i.tracked_interfaces)
        .list("track_script", &i.tracked_scripts)
        .list("track_process", &i.tracked_processes)
        .raw("auth_type", i.auth_type);
    if i.auth_type != 0 {
        o.text("auth_data", "********");
    }
    o.end()
}

fn statistics(s: &Statistics, hmac: bool) -> String {
    let mut o = Object::new();
    o.raw("advert_rcvd", s.advert_rcvd)
        .raw("advert_sent", s.advert_sent)
        .raw("become_master", s.become_master)
        .raw("release_master", s.release_master)
        .raw("packet_len_err", s.packet_len_err)
        .raw("advert_interval_err", s.advert_interval_err)
        .raw("ip_ttl_err", s.ip_ttl_err)
        .raw("invalid_type_rcvd", s.invalid_type_rcvd)
        .raw("addr_list_err", s.addr_list_err)
        .raw("invalid_authtype", s.invalid_authtype)
        .raw("authtype_mismatch", s.authtype_mismatch)
        .raw("auth_failure", s.auth_failure)
        .raw("pri_zero_rcvd", s.pri_zero_rcvd)
        .raw("pri_zero_sent", s.pri_zero_sent);
    if hmac {
        o.raw("auth_ext_missing", s.auth_ext_missing)
            .raw("auth_ext_malformed", s.auth_ext_malformed)
            .raw("auth_ext_unknown_key", s.auth_ext_unknown_key)
            .raw("auth_ext_invalid_hmac", s.auth_ext_invalid_hmac)
            .raw("auth_ext_stale", s.auth_ext_stale)
            .raw("auth_ext_replay", s.auth_ext_replay);
    }
    o.end()
}
