//! Values that are kept in another shape than the file has them, and fields that no keyword is named after.

use serde_json::{Map, Value};
use std::net::{IpAddr, Ipv4Addr};

/// What was made of other words: their lines tell it.
pub fn is_derived(key: &str) -> bool {
    let derived = ["place", "places", "left_out", "line", "unicast_words", "disabled", "refused", "sync_interface"];
    derived.contains(&key) || key == "address_links"
}

/// The word of a field that is set by one of another name, in the section of that word.
pub fn word(within: &str, field: &str) -> Option<&'static str> {
    Some(match (within, field) {
        (_, "track_groups") => "track_group",
        (_, "garp_groups") => "garp_group",
        (_, "link_delays") => "interface_up_down_delays",
        ("(root)", "linkbeat") => "linkbeat_interfaces",
        (_, "linkbeat" | "linkbeat_all") => "linkbeat_use_polling",
        (_, "statics") => "static",
        ("global_defs", "auto_priority") => "max_auto_priority",
        ("global_defs", "garp_extra") => "vrrp_garp_extra_if",
        ("vrrp_instance", "garp_extra") => "garp_extra_if",
        ("global_defs", "receive_policy") => "vrrp_rx_bufs_policy",
        ("vrrp_instance", "src_ip") => "mcast_src_ip",
        ("bfd_instance", "neighbor") => "neighbor_ip",
        _ => return None,
    })
}

/// Fields of one structure that the file has under a word each, or where the structure is.
pub fn spread(o: &mut Map<String, Value>) {
    for inner in ["pace", "reach"] {
        if let Some(Value::Object(fields)) = o.remove(inner) {
            o.extend(fields);
        }
    }
    if let Some(Value::Array(names)) = o.remove("names") {
        let words = ["process_name", "vrrp_process_name", "checker_process_name", "bfd_process_name"];
        o.extend(words.into_iter().map(String::from).zip(names));
    }
}

fn address(v: &Value) -> Option<IpAddr> {
    v.as_str()?.parse().ok()
}

/// Words and their values, where there are any.
fn pairs(all: &[(&str, &Value)]) -> String {
    let there = all.iter().filter(|(_, v)| !v.is_null() && **v != 0);
    let shown = there.map(|(word, v)| {
        let value = v.as_str().map_or_else(|| v.to_string(), str::to_string);
        if word.is_empty() { value } else { format!("{word} {value}") }
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// The value as it is written behind its word.
pub fn written(key: &str, v: &Value) -> Option<String> {
    let of = |field: &str| v.get(field).unwrap_or(&Value::Null);
    match (key, v) {
        ("lvs_sync_daemon", Value::Object(_)) => {
            let words = ["", "inst", "id", "maxlen", "port", "ttl", "group"];
            let fields = ["interface", "instance", "id", "maxlen", "port", "ttl", "group"];
            Some(pairs(&words.into_iter().zip(fields.map(of)).collect::<Vec<_>>()))
        }
        ("lvs_timeouts", Value::Array(all)) => {
            Some(pairs(&["tcp", "tcpfin", "udp"].into_iter().zip(all).collect::<Vec<_>>()))
        }
        ("use_vmac", Value::Object(_)) => {
            let octet = |v: &Value| v.as_u64().map_or_else(|| "@".to_string(), |n| format!("{n:02x}"));
            let mac = of("mac").as_array().map(|all| all.iter().map(octet).collect::<Vec<_>>().join(":"));
            let mac = mac.map_or(Value::Null, Value::from);
            Some(pairs(&[("", of("name")), ("", &mac), ("group", of("group"))]))
        }
        ("use_ipvlan", Value::Object(_)) => {
            let cidr = of("address");
            let cidr = address(cidr.get("address").unwrap_or(&Value::Null))
                .map(|a| format!("{a}/{}", cidr.get("prefix").and_then(Value::as_u64).unwrap_or_default()));
            let cidr = cidr.map_or(Value::Null, Value::from);
            let isolation = of("isolation").as_str().map_or(Value::Null, |s| s.to_lowercase().into());
            Some(pairs(&[("", of("name")), ("", &cidr), ("", &isolation), ("group", of("group"))]))
        }
        ("persistence_granularity", Value::Object(o)) => {
            let mask = o.get("Mask").and_then(Value::as_u64).and_then(|m| u32::try_from(m).ok());
            mask.map(|m| Ipv4Addr::from(m).to_string()).or_else(|| o.values().next().map(Value::to_string))
        }
        ("receive_policy", Value::Object(o)) => o.values().next().map(Value::to_string),
        ("receive_policy", Value::String(s)) => Some(s.to_uppercase()),
        ("garp_extra", Value::Array(a)) => match a.as_slice() {
            [n, all] => Some(format!("{}{n}", if *all == true { "all " } else { "" })),
            _ => None,
        },
        ("init_file", Value::Array(a)) => match a.as_slice() {
            [n, over] => Some(format!("{n}{}", if *over == true { " overwrite" } else { "" })),
            _ => None,
        },
        ("linkbeat", Value::Array(a)) => match a.as_slice() {
            [Value::String(link), Value::String(method)] => Some(format!("{link} {}", method.to_uppercase())),
            _ => None,
        },
        ("status_code", Value::Array(a)) => match a.as_slice() {
            [Value::Number(a), Value::Number(b)] if a == b => Some(a.to_string()),
            [Value::Number(a), Value::Number(b)] => Some(format!("{a}-{b}")),
            _ => None,
        },
        ("ranges", Value::Array(a)) => match a.as_slice() {
            [Value::String(a), Value::String(b), port] if a == b => Some(format!("{a} {port}")),
            [Value::String(a), Value::String(b), port] => Some(format!("{a}-{b} {port}")),
            _ => None,
        },
        ("marks", Value::Array(a)) => match a.as_slice() {
            [Value::Number(n), six] => {
                let six = six.as_bool().map(|six| if six { " inet6" } else { " inet" }).unwrap_or_default();
                Some(format!("fwmark {n}{six}"))
            }
            _ => None,
        },
        ("mode", Value::String(s)) => Some(match s.as_str() {
            "ReceiveOnly" => "receive-only".into(),
            other => other.to_lowercase(),
        }),
        ("monotonic", Value::Bool(only)) => Some(if *only { "monotonic" } else { "time" }.into()),
        ("ip_family", Value::Bool(six)) => Some(if *six { "inet6" } else { "inet" }.into()),
        ("old_unicast_checksum", Value::Bool(false)) => Some("never".into()),
        ("lvs_flush_on_stop", Value::String(s)) => Some(if s == "Ours" { "VS" } else { "yes" }.into()),
        // Words that may stand without a value.
        ("nftables" | "nftables_ipvs" | "reload_file", Value::String(s)) if s.is_empty() => Some("yes".into()),
        _ => None,
    }
}

/// An account and its group, by the names that they have here: the group only where it is not the account's own.
pub fn account(uid: u64, gid: u64) -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    named(uid, gid, &read("/etc/passwd"), &read("/etc/group"))
}

fn named(uid: u64, gid: u64, passwd: &str, group: &str) -> String {
    let fields = |l: &str| l.split(':').map(str::to_string).collect::<Vec<_>>();
    let of = |all: &str, number: u64| {
        let mut lines = all.lines().map(fields);
        lines.find(|f| f.get(2).is_some_and(|n| *n == number.to_string()))
    };
    let user = of(passwd, uid);
    let own = user.as_ref().and_then(|f| f.get(3)).is_some_and(|g| *g == gid.to_string());
    let name = user.and_then(|f| f.into_iter().next()).unwrap_or_else(|| uid.to_string());
    let group = of(group, gid).and_then(|f| f.into_iter().next()).unwrap_or_else(|| gid.to_string());
    if own { name } else { format!("{name} {group}") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn accounts_have_their_names() {
        let (passwd, group) = ("root:x:0:0::/:\nnobody:x:65534:65534::/:\n", "root:x:0:\nwww:x:33:\n");
        let of = |uid, gid| super::named(uid, gid, passwd, group);
        assert_eq!([of(0, 0), of(65534, 65534), of(0, 33), of(7, 8)], ["root", "nobody", "root www", "7 8"]);
    }
}
