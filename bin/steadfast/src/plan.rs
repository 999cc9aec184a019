//! What a reload would do, object by object: the configuration that runs beside that of a file.

use serde_json::Value;
use steadfast_config::model::{Config, VrrpInstance};
use steadfast_core::kernel::Object;

/// How an object is called, if it is one of a list.
fn name(v: &Value) -> Option<String> {
    let o = v.as_object()?;
    if let Some(n) = o.get("name").and_then(Value::as_str) {
        return Some(n.to_string());
    }
    let address = o.get("address").or_else(|| o.get("served"))?;
    let text = match (address, o.get("port")) {
        (Value::String(a), Some(Value::Number(p))) => format!("{a} {p}"),
        (Value::String(a), _) => a.clone(),
        (other, _) => plain(other),
    };
    let text = match text.split_once(' ') {
        Some(("Address", rest)) => rest.to_string(),
        Some(("Mark", rest)) => format!("fwmark {rest}"),
        Some(("Group", rest)) => format!("group {rest}"),
        _ => text,
    };
    Some(text)
}

/// What is put into the kernel, in its own words.
fn object(v: &Value) -> Option<String> {
    let fields = v.as_object()?;
    let read = |kind: &str| serde_json::from_value::<Object>(serde_json::json!({ kind: v })).ok();
    let kind = match () {
        () if fields.contains_key("cidr") => "Address",
        () if fields.contains_key("hops") || fields.contains_key("destination") => "Route",
        () if fields.contains_key("action") => "Rule",
        () => return None,
    };
    let text = read(kind)?.to_string();
    Some(text.strip_prefix("address ").map_or_else(|| text.clone(), str::to_string))
}

/// A value in one line.
fn plain(v: &Value) -> String {
    if let Some(text) = object(v) {
        return text;
    }
    match v {
        Value::Null => "none".into(),
        Value::String(s) => s.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(o) => {
            let parts = o.iter().filter(|(k, v)| !v.is_null() && *k != "place" && *k != "line");
            parts.map(|(k, v)| format!("{k} {}", plain(v))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Places in the file are no difference.
fn strip(v: &mut Value) {
    match v {
        Value::Object(o) => {
            o.remove("place");
            o.remove("line");
            o.values_mut().for_each(strip);
        }
        // An address, whether it was given with a prefix, and where.
        Value::Array(a) if a.len() == 3 && a.first().is_some_and(|first| first.get("cidr").is_some()) => {
            *v = a.swap_remove(0);
        }
        Value::Array(a) => a.iter_mut().for_each(strip),
        _ => {}
    }
}

/// A list of the model by the keyword that its members have in the file.
fn keyword(field: &str) -> &str {
    match field {
        "globals" => "global_defs",
        "instances" => "vrrp_instance",
        "groups" => "vrrp_sync_group",
        "scripts" => "vrrp_script",
        "files" => "track_file",
        "processes" => "vrrp_track_process",
        "statics" => "static address, route or rule",
        "virtual_servers" => "virtual_server",
        "real_servers" => "real_server",
        "server_groups" => "virtual_server_group",
        "bfd" => "bfd_instance",
        "ssl" => "SSL",
        other => other,
    }
}

fn compare(path: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    if a == b {
        return;
    }
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for k in keys {
                let k_shown = keyword(k);
                let next = if path.is_empty() { k_shown.into() } else { format!("{path} > {k_shown}") };
                compare(&next, x.get(k).unwrap_or(&Value::Null), y.get(k).unwrap_or(&Value::Null), out);
            }
        }
        (Value::Array(x), Value::Array(y))
            if x.iter().chain(y).all(|v| name(v).is_some()) && !(x.is_empty() && y.is_empty()) =>
        {
            let find = |all: &[Value], n: &str| all.iter().find(|v| name(v).as_deref() == Some(n)).cloned();
            for v in x {
                let n = name(v).unwrap_or_default();
                match find(y, &n) {
                    Some(other) => compare(&format!("{path} {n}"), v, &other, out),
                    None => out.push(format!("- {path} {n}")),
                }
            }
            for v in y {
                let n = name(v).unwrap_or_default();
                if find(x, &n).is_none() {
                    out.push(format!("+ {path} {n}"));
                }
            }
        }
        (Value::Array(x), Value::Array(y)) => {
            x.iter().filter(|v| !y.contains(v)).for_each(|v| out.push(format!("- {path} {}", plain(v))));
            y.iter().filter(|v| !x.contains(v)).for_each(|v| out.push(format!("+ {path} {}", plain(v))));
            if x.len() == y.len() && x.iter().all(|v| y.contains(v)) {
                out.push(format!("~ {path}: another order"));
            }
        }
        _ => out.push(format!("~ {path}: {} -> {}", plain(a), plain(b))),
    }
}

/// Lines: `+` what comes, `-` what goes, `~` what changes.
pub fn plan(running: &Config, wanted: &Config) -> Vec<String> {
    let value = |c: &Config| {
        let mut v = serde_json::to_value(c).unwrap_or_default();
        strip(&mut v);
        v
    };
    let mut out = Vec::new();
    compare("", &value(running), &value(wanted), &mut out);
    // keys are never shown, but that they change is
    for i in &running.instances {
        let same = |w: &&VrrpInstance| w.name == i.name;
        let Some(w) = wanted.instances.iter().find(same) else { continue };
        let password = |i: &VrrpInstance| i.authentication.as_ref().and_then(|a| a.auth_pass.clone());
        let keys = |i: &VrrpInstance| i.auth_hmac.as_ref().map(|h| h.keys.clone());
        for (word, changed) in [("auth_pass", password(i) != password(w)), ("auth_hmac > key", keys(i) != keys(w))] {
            let line = format!("~ vrrp_instance {} > {word}: another", i.name);
            out.extend(changed.then_some(line));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_config::model::{Authentication, RealServer, Served, VirtualServer};

    #[test]
    fn a_changed_password_is_told_and_not_shown() {
        let with = |password: &str| {
            let authentication =
                Authentication { auth_pass: Some(steadfast_core::Secret::new(password)), ..Default::default() };
            let i = VrrpInstance { name: "A".into(), authentication: Some(authentication), ..Default::default() };
            Config { instances: vec![i], ..Default::default() }
        };
        assert_eq!(plan(&with("alt"), &with("alt")), Vec::<String>::new());
        assert_eq!(plan(&with("alt"), &with("neu")), ["~ vrrp_instance A > auth_pass: another"]);
        assert!(!plan(&with("alt"), &Config::default()).concat().contains("alt"));
    }

    #[test]
    fn addresses_are_told_as_they_are_written_and_where_they_stand_is_no_difference() {
        use steadfast_core::kernel::Address;
        let with = |last: u8, column: u32| {
            let cidr = steadfast_core::IpCidr { address: [192, 0, 2, last].into(), prefix: 24 };
            let at = serde_json::json!({ "file": 0, "line": 3, "column": column, "width": 9 });
            let at = serde_json::from_value(at).expect("place");
            let virtual_ipaddress = vec![(Address::new(cidr, "eth0"), true, at)];
            let i = VrrpInstance { name: "A".into(), virtual_ipaddress, ..Default::default() };
            Config { instances: vec![i], ..Default::default() }
        };
        assert_eq!(plan(&with(7, 1), &with(7, 9)), Vec::<String>::new());
        let lines = [
            "- vrrp_instance A > virtual_ipaddress 192.0.2.7/24 dev eth0",
            "+ vrrp_instance A > virtual_ipaddress 192.0.2.8/24 dev eth0",
        ];
        assert_eq!(plan(&with(7, 1), &with(8, 1)), lines);
    }

    #[test]
    fn what_comes_goes_and_changes() {
        let instance =
            |name: &str, priority| VrrpInstance { name: name.into(), priority: Some(priority), ..Default::default() };
        let server =
            |last: u8| RealServer { address: Some([192, 0, 2, last].into()), port: Some(80), ..Default::default() };
        let service = |servers| VirtualServer { served: Served::Mark(7), real_servers: servers, ..Default::default() };
        let a = Config {
            instances: vec![instance("A", 100), instance("B", 100)],
            virtual_servers: vec![service(vec![server(1), server(2)])],
            ..Default::default()
        };
        let b = Config {
            instances: vec![instance("A", 150), instance("C", 100)],
            virtual_servers: vec![service(vec![server(1), server(3)])],
            ..Default::default()
        };
        assert_eq!(plan(&a, &a), Vec::<String>::new());
        assert_eq!(
            plan(&a, &b),
            [
                "~ vrrp_instance A > priority: 100 -> 150",
                "- vrrp_instance B",
                "+ vrrp_instance C",
                "- virtual_server fwmark 7 > real_server 192.0.2.2 80",
                "+ virtual_server fwmark 7 > real_server 192.0.2.3 80",
            ]
        );
    }
}
