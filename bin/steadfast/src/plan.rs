//! What a reload would do, object by object: the configuration that runs beside that of a file, in words of the file.

mod special;

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::Duration;
use steadfast_config::model::{Config, SyncGroup, VrrpInstance};
use steadfast_core::Secret;
use steadfast_core::kernel::{Address, Object, scope_word};

/// How an object is called, if it is one of a list.
fn name(v: &Value) -> Option<String> {
    let o = v.as_object()?;
    if let Some(n) = o.get("name").or_else(|| o.get("path")).and_then(Value::as_str) {
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

/// What is put into the kernel, in the words of its lines.
fn object(o: &Object) -> String {
    // What nobody writes since it is so without a word.
    let usual =
        [("prepend ", ""), (" via inet ", " via "), (" proto 18 ", " "), (" protocol 18 ", " "), (" tos 0x0 ", " ")];
    let short = |line: String| {
        let whole = usual.iter().fold(line + " ", |l, (from, to)| l.replacen(from, to, 1));
        whole.trim_end().to_string()
    };
    match o {
        Object::Route(r) => short(r.line().to_string()),
        Object::Rule(r) => short(r.line().to_string()),
        Object::Address(a) => address(a),
        other => {
            let text = other.to_string();
            text.strip_prefix("address ").map_or_else(|| text.clone(), str::to_string)
        }
    }
}

/// An address with all that a line may say of it.
fn address(a: &Address) -> String {
    let mut text = a.cidr.to_string();
    let mut add = |word: &str, value: Option<String>| {
        value.into_iter().for_each(|v| text += &format!(" {word}{}{v}", if v.is_empty() { "" } else { " " }));
    };
    add("peer", a.peer.as_ref().map(|p| p.to_string()));
    add("dev", Some(a.interface.to_string()));
    add("label", a.label.as_ref().map(|l| l.to_string()));
    add("brd", a.broadcast.map(|b| b.to_string()));
    let scope = || scope_word(a.scope).map_or_else(|| a.scope.to_string(), Into::into);
    add("scope", (a.scope != 0).then(scope));
    add("preferred_lft", a.preferred_lifetime.map(|s| s.to_string()));
    for (word, set) in [
        ("nodad", a.nodad),
        ("home", a.home),
        ("mngtmpaddr", a.mngtmpaddr),
        ("noprefixroute", a.noprefixroute),
        ("autojoin", a.autojoin),
        ("no_track", a.no_track),
        ("use_vmac", a.own_link),
    ] {
        add(word, set.then(String::new));
    }
    text
}

/// What a tracker's line says behind the name: ` weight -5 reverse`.
fn weighed(v: &Value) -> String {
    let Some(o) = v.as_object().filter(|o| o.len() == 3 && o.contains_key("reverse")) else { return String::new() };
    let weight = o.get("weight").and_then(Value::as_i64).map(|w| format!(" weight {w}")).unwrap_or_default();
    weight + if o.get("reverse").and_then(Value::as_bool) == Some(true) { " reverse" } else { "" }
}

/// The same, where it is one.
fn read_object(v: &Value) -> Option<String> {
    let fields = v.as_object()?;
    if let Ok(o) = serde_json::from_value::<Object>(v.clone()) {
        let kind = match o {
            Object::Address(_) => "address",
            Object::Route(_) => "route",
            Object::Rule(_) => "rule",
            _ => return None,
        };
        return Some(format!("{kind} {}", object(&o)));
    }
    let kind = match () {
        () if fields.contains_key("cidr") => "Address",
        () if fields.contains_key("nexthops") => "Route",
        () if fields.contains_key("action") && fields.contains_key("preference") => "Rule",
        () => return None,
    };
    serde_json::from_value::<Object>(serde_json::json!({ kind: v })).ok().map(|o| object(&o))
}

/// A value in one line.
fn plain(v: &Value) -> String {
    match v {
        Value::Null => "none".into(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(s) if s.is_empty() => "none".into(),
        Value::String(s) => s.clone(),
        Value::Array(all) => all.iter().map(plain).collect::<Vec<_>>().join(" "),
        Value::Object(o) => {
            let empty = |v: &Value| v.is_null() || v.as_array().is_some_and(Vec::is_empty);
            let parts = o.iter().filter(|(_, v)| !empty(v));
            parts.map(|(k, v)| format!("{k} {}", plain(v))).collect::<Vec<_>>().join(" ")
        }
        Value::Number(n) => n.to_string(),
    }
}

/// Words of the language for checks, by the names of their kinds.
const CHECKS: [(&str, &str); 11] = [
    ("Tcp", "TCP_CHECK"),
    ("Ping", "PING_CHECK"),
    ("Udp", "UDP_CHECK"),
    ("Http", "HTTP_GET"),
    ("Dns", "DNS_CHECK"),
    ("Smtp", "SMTP_CHECK"),
    ("Misc", "MISC_CHECK"),
    ("File", "FILE_CHECK"),
    ("Bfd", "BFD_CHECK"),
    ("Agent", "AGENT_CHECK"),
    ("Grpc", "GRPC_CHECK"),
];

/// A check under its word, with what all kinds have in common beside the rest.
fn check(o: &Map<String, Value>) -> Option<Value> {
    let (kind, fields) = o.iter().next().filter(|_| o.len() == 1)?;
    let (_, word) = CHECKS.iter().find(|(k, _)| k == kind)?;
    let mut all = Map::new();
    for (key, value) in fields.as_object()? {
        match (key.as_str(), value) {
            // This one is told by the check's word.
            ("tls", Value::Bool(_)) if kind == "Http" => {}
            _ => drop(all.insert(key.clone(), value.clone())),
        }
    }
    let tls = kind == "Http" && fields.get("tls") == Some(&Value::Bool(true));
    let word = if tls { "SSL_GET" } else { word };
    special::spread(&mut all);
    all.insert("name".into(), word.into());
    Some(Value::Object(all))
}

/// A byte.
fn byte(v: &Value) -> Option<u8> {
    v.as_u64().and_then(|b| u8::try_from(b).ok())
}

/// A byte and its mask as two digits, `x` for any.
fn masked(v: &Value) -> Option<String> {
    let [b, mask] = v.as_array()?.as_slice() else { return None };
    let (b, mask) = (byte(b)?, byte(mask)?);
    let digit = |shift: u8| if mask >> shift & 15 == 0 { "x".into() } else { format!("{:x}", b >> shift & 15) };
    Some(digit(4) + &digit(0))
}

/// What stands for one word or a few in the file, as those. `None`: it has parts of its own.
fn words(key: &str, v: &Value) -> Option<String> {
    if let Some(text) = special::written(key, v) {
        return Some(text);
    }
    match v {
        Value::Object(o) => {
            if let Some(text) = read_object(v) {
                return Some(text);
            }
            let number = |k: &str| o.get(k).and_then(Value::as_u64);
            if let (2, Some(secs), Some(nanos)) = (o.len(), number("secs"), number("nanos")) {
                let d = Duration::new(secs, u32::try_from(nanos).unwrap_or(0));
                return Some(format!("{} s", d.as_secs_f64()));
            }
            if let (2, Some(uid), Some(gid)) = (o.len(), number("uid"), number("gid")) {
                return Some(special::account(uid, gid));
            }
            if let (Some(text), true) = (o.get("text").and_then(Value::as_str), o.contains_key("argv")) {
                let user = o.get("user").filter(|u| !u.is_null()).and_then(|u| words("user", u));
                return Some(user.map_or_else(|| format!("\"{text}\""), |u| format!("\"{text}\" as {u}")));
            }
            None
        }
        Value::Array(a) => match (key, a.as_slice()) {
            ("weight", [n, Value::Bool(reverse)]) => Some(format!("{n}{}", if *reverse { " reverse" } else { "" })),
            // Bytes are hexadecimal in the file.
            ("payload", bytes) if bytes.iter().all(|b| byte(b).is_some()) => {
                Some(bytes.iter().filter_map(byte).map(|b| format!("{b:02x}")).collect())
            }
            ("reply" | "require_reply", pairs) if pairs.iter().all(|p| masked(p).is_some()) => {
                Some(pairs.iter().filter_map(masked).collect())
            }
            ("ttl", [least, most]) => Some(format!("min_ttl {least} max_ttl {most}")),
            // An address, whether it was given with a prefix, and where.
            (_, [first, Value::Bool(_), _]) if first.get("cidr").is_some() => words(key, first),
            (_, [first, Value::String(group)]) if read_object(first).is_some() => {
                read_object(first).map(|o| format!("{o} track_group {group}"))
            }
            // A list has members of one kind: this is none.
            (_, [first, rest @ ..]) => {
                let scalar = |v: &Value| !matches!(v, Value::Object(_) | Value::Array(_));
                let like = |v: &Value| std::mem::discriminant(v) == std::mem::discriminant(first);
                let known = a.iter().map(|v| words(key, v).or_else(|| scalar(v).then(|| plain(v))));
                let known: Option<Vec<String>> = known.collect();
                let there = a.iter().zip(known?).filter(|(v, _)| !v.is_null()).map(|(_, text)| text);
                (!rest.is_empty() && !rest.iter().all(like)).then(|| there.collect::<Vec<_>>().join(" "))
            }
            _ => None,
        },
        Value::String(s) => match (key, s.as_str()) {
            ("method" | "sorry_server_lvs_method", method) => Some(match method {
                "Nat" => "NAT".into(),
                "Direct" => "DR".into(),
                _ => "TUN".into(),
            }),
            ("state" | "auth_type" | "protocol", word) => Some(word.to_uppercase()),
            _ => None,
        },
        Value::Number(n) if key == "protocol" => match n.as_u64() {
            Some(6) => Some("TCP".into()),
            Some(17) => Some("UDP".into()),
            Some(132) => Some("SCTP".into()),
            _ => None,
        },
        // The file says milliseconds.
        Value::Number(n) if ["min_rx", "min_tx", "idle_tx"].contains(&key) => {
            n.as_u64().map(|us| (Duration::from_micros(us).as_secs_f64() * 1000.0).to_string())
        }
        _ => None,
    }
}

/// Inner structures become words; places in the file are no difference.
fn simplify(key: &str, v: &mut Value) {
    if let Some(text) = words(key, v) {
        *v = Value::String(text);
        return;
    }
    if let Some(named) = v.as_object().and_then(check) {
        *v = named;
    }
    match v {
        Value::Object(o) => {
            o.retain(|key, _| !special::is_derived(key));
            special::spread(o);
            o.iter_mut().for_each(|(k, v)| simplify(k, v));
        }
        Value::Array(a) => {
            a.iter_mut().for_each(|v| simplify(key, v));
            // Several checks of one kind.
            let mut seen: BTreeMap<String, u32> = BTreeMap::new();
            for v in a.iter_mut().filter(|_| key == "checkers") {
                let Some(n) = name(v) else { continue };
                let count = seen.entry(n.clone()).and_modify(|c| *c += 1).or_insert(1);
                if let (Some(o), true) = (v.as_object_mut(), *count > 1) {
                    o.insert("name".into(), format!("{n} ({count})").into());
                }
            }
        }
        _ => {}
    }
}

/// The keyword that sets a field of a section, given by the words on the way to it.
fn keyword(section: &[String], field: &str) -> String {
    let within = section.last().map_or("(root)", String::as_str);
    let same = |path: &str| path.rsplit(" > ").next().is_some_and(|last| last.split(" / ").any(|w| w == within));
    if let Some(word) = special::word(within, field) {
        return word.into();
    }
    let mut all = steadfast_config::keywords();
    match all.find(|k| k.field == field && same(k.section) && !k.word.starts_with('(')) {
        // What a word takes away has the name of what there is then not.
        Some(k) if k.word.strip_prefix("no_") == Some(field) => field.to_string(),
        Some(k) => k.word.to_string(),
        None => field.to_string(),
    }
}

/// There is a word that takes this away, so that it is not the same to say nothing.
fn has_opposite(section: &[String], field: &str) -> bool {
    let within = section.iter().rev().nth(1).map_or("(root)", String::as_str);
    let no = format!("no_{field}");
    steadfast_config::keywords().any(|k| k.word == no && k.field == field && k.section == within)
}

/// Where a difference is: words and names as they are shown, and the words alone.
#[derive(Clone, Default)]
struct At {
    shown: String,
    section: Vec<String>,
}

impl At {
    fn field(&self, field: &str) -> At {
        let word = keyword(&self.section, field);
        let mut next = self.clone();
        // Lines without a word of their own.
        if ["checkers", "ranges", "marks", "flags"].contains(&word.as_str()) {
            return next;
        }
        next.shown += if self.shown.is_empty() { "" } else { " > " };
        next.shown += &word;
        next.section.push(word);
        next
    }

    fn named(&self, name: &str, list: &str) -> At {
        let mut next = self.clone();
        // A check's name is its word.
        next.shown += if list == "checkers" { " > " } else { " " };
        next.shown += name;
        if list == "checkers" {
            next.section.push(name.split(' ').next().unwrap_or_default().into());
        }
        next
    }
}

fn compare(at: &At, field: &str, a: &Value, b: &Value, out: &mut Vec<String>) {
    if a == b {
        return;
    }
    let path = &at.shown;
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for k in keys {
                let of = |o: &Map<String, Value>| o.get(k).cloned().unwrap_or_default();
                compare(&at.field(k), k, &of(x), &of(y), out);
            }
        }
        (Value::Array(x), Value::Array(y))
            if x.iter().chain(y).all(|v| name(v).is_some()) && !(x.is_empty() && y.is_empty()) =>
        {
            let find = |all: &[Value], n: &str| all.iter().find(|v| name(v).as_deref() == Some(n)).cloned();
            for v in x {
                let n = name(v).unwrap_or_default();
                match find(y, &n) {
                    Some(other) => compare(&at.named(&n, field), field, v, &other, out),
                    None => out.push(format!("- {}{}", at.named(&n, field).shown, weighed(v))),
                }
            }
            for v in y {
                let n = name(v).unwrap_or_default();
                if find(x, &n).is_none() {
                    out.push(format!("+ {}{}", at.named(&n, field).shown, weighed(v)));
                }
            }
        }
        (Value::Array(x), Value::Array(y)) => {
            x.iter()
                .filter(|v| !y.contains(v))
                .for_each(|v| out.push(format!("- {path} {}", plain(v)).trim_end().into()));
            y.iter()
                .filter(|v| !x.contains(v))
                .for_each(|v| out.push(format!("+ {path} {}", plain(v)).trim_end().into()));
            if x.len() == y.len() && x.iter().all(|v| y.contains(v)) {
                out.push(format!("~ {path}: another order"));
            }
        }
        // A whole section, or a word without a value.
        (Value::Null, Value::Object(_)) => out.push(format!("+ {path}")),
        (Value::Object(_), Value::Null) => out.push(format!("- {path}")),
        (Value::Null | Value::Bool(_), Value::Null | Value::Bool(_)) if has_opposite(&at.section, field) => {
            let word = |v: &Value| {
                path.strip_suffix(field).map(|p| p.to_string() + if *v == true { "" } else { "no_" } + field)
            };
            let lines = [("-", a), ("+", b)].into_iter().filter(|(_, v)| !v.is_null());
            out.extend(lines.filter_map(|(sign, v)| Some(format!("{sign} {}", word(v)?))));
        }
        _ => out.push(format!("~ {path}: {} -> {}", plain(a), plain(b))),
    }
}

/// What a restart alone takes over: words and values that hold, and those of a file.
pub type Fixed = Vec<(String, String)>;

/// Lines on such words, by what runs, which is not what was read last.
pub fn fixed(running: &Fixed, wanted: &Fixed) -> Vec<String> {
    let of = |all: &Fixed, word: &str| all.iter().find(|(w, _)| w == word).map_or("none".into(), |(_, v)| v.clone());
    let words: std::collections::BTreeSet<&String> = running.iter().chain(wanted).map(|(word, _)| word).collect();
    let lines = words.into_iter().map(|word| (word, of(running, word), of(wanted, word)));
    lines.filter(|(_, a, b)| a != b).map(|(word, a, b)| format!("~ {word}: {a} -> {b}{AT_A_RESTART}")).collect()
}

const AT_A_RESTART: &str = " (at a restart, not by a reload)";

/// The line is on one of these words.
pub fn is_on(line: &str, words: &Fixed) -> bool {
    // In global_defs, or outside of all blocks.
    let body = line.get(2..).unwrap_or_default();
    let word = body.strip_prefix("global_defs > ").unwrap_or(body).split([':', ' ']).next();
    words.iter().any(|(w, _)| Some(w.as_str()) == word)
}

/// Behind a change with which a virtual router is another one.
const ANEW: &str = " (it begins anew: its addresses are away for some seconds)";

/// The same where a peer that has not made the change hears nothing of the one that begins.
const APART: &str =
    " (it begins anew: a peer takes over at once, and both hold its addresses; peers must have the same)";

/// Behind a change that its peers have to make as well.
const PEERS: &str = "peers must have the same";

/// Behind an address that comes or goes: a peer that has others says so, and serves on.
const ADDRESSES: &str = " (peers tell of a mismatch until they have the same)";

/// Lines: `+` what comes, `-` what goes, `~` what changes. `absent`: whether a link is not there.
pub fn plan(running: &Config, wanted: &Config, absent: &dyn Fn(&str) -> bool) -> Vec<String> {
    let value = |c: &Config| {
        let mut v = serde_json::to_value(c).unwrap_or_default();
        simplify("", &mut v);
        v
    };
    let mut out = Vec::new();
    compare(&At::default(), "", &value(running), &value(wanted), &mut out);
    // What stands outside of all blocks.
    for line in out.iter_mut().filter(|l| l.starts_with("~ process > ")) {
        *line = line.replacen("process > ", "", 1);
    }
    // A running process stays where it is.
    let fixed = ["net_namespace", "use_pid_dir", "instance"].map(|word| format!("~ {word}: "));
    for line in out.iter_mut().filter(|l| fixed.iter().any(|f| l.starts_with(f))) {
        line.push_str(AT_A_RESTART);
    }
    // Another router to everybody: the old one leaves, the new one listens first.
    for line in &mut out {
        let Some((name, field)) = line.strip_prefix("~ vrrp_instance ").and_then(|l| l.split_once(" > ")) else {
            continue;
        };
        let link = field.strip_prefix("interface: ").and_then(|f| f.rsplit(' ').next());
        let text = match link {
            _ if field.starts_with("virtual_router_id: ") => APART.into(),
            Some(link) if absent(link) => {
                let member = |g: &&SyncGroup| g.group.iter().flatten().any(|m| m == name);
                let group = wanted.groups.iter().find(member);
                let group = group.map(|g| format!(", and with it sync group {}", g.name)).unwrap_or_default();
                format!(" (there is no interface {link} now: it is in FAULT until there is{group})")
            }
            Some(_) => ANEW.into(),
            None => continue,
        };
        line.push_str(&text);
    }
    // What another name has is the same router to everybody as long as link, router id and source are; else it is a new one.
    let only = |all: &'_ Config, other: &'_ Config| -> Vec<VrrpInstance> {
        let named = |i: &&VrrpInstance| !other.instances.iter().any(|o| o.name == i.name);
        all.instances.iter().filter(named).cloned().collect()
    };
    let mut gone = only(running, wanted);
    for new in only(wanted, running) {
        let addresses = |i: &VrrpInstance| i.virtual_ipaddress.iter().map(|(a, ..)| a.cidr.address).collect::<Vec<_>>();
        let router = |i: &VrrpInstance| {
            let source = i.src_ip.filter(|_| !i.unicast_peer.is_empty());
            let v6 = addresses(i).first().is_some_and(|a| a.is_ipv6());
            i.virtual_router_id.is_some().then(|| (i.virtual_router_id, i.interface.clone(), source, v6))
        };
        let mut mark = |line: String, text: String| {
            out.iter_mut().filter(|l| **l == line).for_each(|l| l.push_str(&text));
        };
        let come = format!("+ vrrp_instance {}", new.name);
        if let Some(at) = gone.iter().position(|old| router(old).is_some() && router(old) == router(&new)) {
            let old = gone.remove(at).name;
            mark(format!("- vrrp_instance {old}"), format!(" (it goes on as {})", new.name));
            mark(come, format!(" (it is {old}, and goes on)"));
        } else if gone.iter().any(|old| addresses(old).iter().any(|a| addresses(&new).contains(a))) {
            mark(come, ANEW.into());
        }
    }
    // keys are never shown, but that they change is
    for i in &running.instances {
        let same = |w: &&VrrpInstance| w.name == i.name;
        let Some(w) = wanted.instances.iter().find(same) else { continue };
        // Unicast routers are told apart by their source, too.
        let source = |i: &VrrpInstance| i.src_ip.filter(|_| !i.unicast_peer.is_empty());
        let sent = |i: &VrrpInstance| match source(i) {
            _ if i.unicast_peer.is_empty() => "multicast".to_string(),
            Some(a) => format!("unicast from {a}"),
            None => "unicast".into(),
        };
        if sent(i) != sent(w) {
            // Without a source of its own it is the same router to itself, and goes on; its peers hear nothing of it all the same.
            let how = if source(i) == source(w) { format!(" ({PEERS})") } else { APART.into() };
            out.push(format!("~ vrrp_instance {} > adverts: {} -> {}{how}", i.name, sent(i), sent(w)));
        }
        // What stands in an advert; a line may be another one for what is said of the same address.
        let named = |i: &VrrpInstance| -> Vec<String> {
            i.virtual_ipaddress.iter().map(|(a, ..)| a.cidr.address.to_string()).collect()
        };
        let both = [named(i), named(w)];
        let lines = ["-", "+"].map(|sign| format!("{sign} vrrp_instance {} > virtual_ipaddress ", i.name));
        for line in &mut out {
            let address = lines.iter().find_map(|begin| line.strip_prefix(begin.as_str()));
            let Some(address) = address.and_then(|a| a.split(['/', ' ']).next()).map(str::to_string) else { continue };
            if both.iter().filter(|all| all.contains(&address)).count() == 1 {
                line.push_str(ADDRESSES);
            }
        }
        // One source is told once, by the word that it was given by.
        let by = ["unicast_src_ip", "use_ipvlan"].map(|word| format!("~ vrrp_instance {} > {word}: ", i.name));
        if out.iter().any(|l| by.iter().any(|by| l.starts_with(by))) {
            let same = format!("~ vrrp_instance {} > mcast_src_ip: ", i.name);
            out.retain(|l| !l.starts_with(&same));
        }
        // All of a section that comes or goes does.
        let both = i.authentication.is_some() == w.authentication.is_some();
        let password = |i: &VrrpInstance| i.authentication.as_ref().and_then(|a| a.auth_pass.clone()).filter(|_| both);
        let keys = |i: &VrrpInstance| i.auth_hmac.as_ref().map(|h| h.keys.clone()).unwrap_or_default();
        // One that comes or goes has its line.
        let wanted_keys = keys(w);
        let other = |(id, key): &(u8, Secret)| wanted_keys.iter().any(|(n, k)| n == id && k != key);
        let keys = keys(i).into_iter().filter(other).map(|(id, _)| format!("auth_hmac > key {id}"));
        for word in (password(i) != password(w)).then(|| "auth_pass".to_string()).into_iter().chain(keys) {
            out.push(format!("~ vrrp_instance {} > {word}: another", i.name));
        }
    }
    // What peers compare with their own, or do not hear at all. Keys may come before they are used.
    for line in &mut out {
        let comes = line.strip_prefix(['+', '-']).and_then(|l| l.strip_prefix(" vrrp_instance "));
        let block = comes.and_then(|l| l.split_once(" > ")).map(|(_, block)| block);
        let group = ["4", "6"].map(|n| format!("~ global_defs > vrrp_mcast_group{n}: "));
        if matches!(block, Some("authentication" | "auth_hmac")) || group.iter().any(|g| line.starts_with(g)) {
            *line += &format!(" ({PEERS})");
            continue;
        }
        let parted = line.strip_prefix("~ vrrp_instance ").and_then(|l| l.split_once(" > "));
        let Some((name, field)) = parted.map(|(name, field)| (name.to_string(), field.to_string())) else { continue };
        let version = |c: &Config| {
            let own = c.instances.iter().find(|i| i.name == name).and_then(|i| i.version);
            own.or(c.globals.vrrp_version).unwrap_or(2)
        };
        // In version 3 a backup learns the interval from its master.
        let interval = field.starts_with("advert_int: ") && version(wanted) == 2;
        let compared = ["version: ", "authentication", "auth_pass: ", "auth_type: ", "auth_hmac"];
        let told = line.contains(PEERS);
        if !told && (interval || compared.iter().any(|word| field.starts_with(word))) {
            *line += &format!(" ({PEERS})");
        }
    }
    // A script that has vanished is in the file as before, and nobody would run it.
    for script in wanted.scripts.iter().filter(|s| !s.left_out.is_empty()) {
        if running.scripts.iter().any(|s| s.name == script.name && s.left_out.is_empty()) {
            out.push(format!(
                "~ vrrp_script {}: is left out, and counts for nothing: {}",
                script.name, script.left_out
            ));
        }
    }
    let passphrase = |c: &Config| c.ssl.as_ref().and_then(|s| s.password.clone());
    if passphrase(running).is_some() && passphrase(wanted).is_some() && passphrase(running) != passphrase(wanted) {
        out.push("~ SSL > password: another".into());
    }
    out
}

#[cfg(test)]
mod tests;
