//! Values of the sections of virtual servers.

use crate::diag::Class;
use crate::model::{
    Checker, FlushOnStop, GlobalDefs, HttpCheck, Method, Place, RealServer, Served, ServerGroup, Ssl, SyncDaemon,
    Tunnel, TunnelChecksum, UrlCheck, VirtualServer,
};
use crate::parse::Cx;
use crate::section::{Keyword, block};
use regex::bytes::RegexBuilder;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use steadfast_core::ipvs::Granularity;

mod group;
mod words;
pub(crate) use group::group;
pub(crate) use words::{engine, link, snmp_name};

const SCHEDULERS: &[&str] =
    &["rr", "wrr", "lc", "wlc", "lblc", "sh", "mh", "dh", "fo", "ovf", "lblcr", "sed", "nq", "twos"];

/// Options of PCRE that change what matches, and that are done.
const REGEX_OPTIONS: &[&str] = &["caseless", "dollar_endonly", "dotall", "extended", "multiline", "ungreedy", "utf"];
/// Those that do not: they are about back references, captures, the speed of an engine, or what a pattern may not have.
const REGEX_IDLE: &[&str] = &[
    "alt_verbnames",
    "auto_callout",
    "dupnames",
    "match_unset_backref",
    "never_backslash_c",
    "never_ucp",
    "never_utf",
    "no_auto_capture",
    "no_auto_possess",
    "no_dotstar_anchor",
    "no_start_optimize",
    "use_offset_limit",
];
/// Those that do, and are not.
const REGEX_MISSING: &[&str] = &["allow_empty_class", "alt_bsux", "alt_circumflex", "firstline", "ucp"];

/// `regex_options`. keepalived takes any word.
pub(crate) fn regex_options(c: &mut Cx<'_>, v: &mut Vec<String>) {
    for w in c.words().iter().skip(1) {
        let word = w.text.to_ascii_lowercase();
        let is = |names: &[&str]| names.contains(&word.as_str());
        if is(REGEX_MISSING) {
            let text = format!("regex_options: {word} is not done here, the pattern matches as without it");
            c.diagnostics.push(Class::Note, Some(w.span), text);
        } else if !is(REGEX_OPTIONS) && !is(REGEX_IDLE) {
            let known = [REGEX_OPTIONS, REGEX_IDLE].concat();
            let help = crate::diag::suggest(&word, known.into_iter()).map(|s| format!("did you mean `{s}`?"));
            let text = format!("regex_options: '{}' is no option of a pattern, ignoring it", w.text);
            c.diagnostics.push_help(Class::Note, Some(w.span), text, help);
        }
        v.push(w.text.to_string());
    }
}

/// Patterns that were looked at, with their options: thousands of servers may have the same.
pub(crate) type Patterns = HashMap<(String, Vec<String>), Option<String>>;

/// Reports a pattern that the checker cannot use, by the checker's own engine (steadfast_checkers::compile_rule; a test of steadfastd
/// holds both together).
pub(crate) fn pattern(c: &mut Cx<'_>, u: &UrlCheck) {
    let Some(text) = &u.regex else { return };
    let has = |name: &str| u.regex_options.iter().any(|o| o.eq_ignore_ascii_case(name));
    let build = || {
        RegexBuilder::new(text)
            .case_insensitive(has("caseless"))
            .dot_matches_new_line(has("dotall"))
            .multi_line(has("multiline"))
            .ignore_whitespace(has("extended"))
            .swap_greed(has("ungreedy"))
            .unicode(has("utf"))
            .size_limit(1 << 20)
            .build()
            .err()
            // the last line is why, the ones before it draw where
            .map(|e| e.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_string())
    };
    let why = c.patterns.entry((text.clone(), u.regex_options.clone())).or_insert_with(build).clone();
    if let Some(why) = why {
        c.diagnostics.push(
            Class::General,
            c.marked("regex"),
            format!("the regex cannot be used, so that the check fails: {why}"),
        );
    }
}

/// Pairs of byte and mask from hexadecimal digits, blanks between them allowed; `x` is any digit where `any` holds.
pub(crate) fn hex(c: &mut Cx<'_>, any: bool) -> Option<Vec<(u8, u8)>> {
    let first = c.value()?;
    let text: String = c.words().iter().skip(1).flat_map(|w| w.text.chars()).filter(|x| !x.is_whitespace()).collect();
    let digit = |x: char| match x.to_digit(16) {
        Some(d) => Some((d as u8, 15u8)),
        None if any && x.eq_ignore_ascii_case(&'x') => Some((0, 0)),
        None => None,
    };
    let digits: Option<Vec<(u8, u8)>> = text.chars().map(digit).collect();
    match digits {
        Some(d) if d.len() % 2 == 0 => Some(
            d.chunks_exact(2)
                .filter_map(|p| match p {
                    [a, b] => Some((a.0 << 4 | b.0, a.1 << 4 | b.1)),
                    _ => None,
                })
                .collect(),
        ),
        _ => {
            c.report_at(Class::General, first, "these are no pairs of hexadecimal digits");
            None
        }
    }
}

/// `N[-M] …` between 100 and 599.
pub(crate) fn status(c: &mut Cx<'_>, v: &mut Vec<(u16, u16)>) {
    if c.value().is_none() {
        return;
    }
    for w in c.words().iter().skip(1) {
        let (low, high) = w.text.split_once('-').unwrap_or((&w.text, &w.text));
        match (low.parse::<u16>(), high.parse::<u16>()) {
            (Ok(a), Ok(b)) if (100..=599).contains(&a) && (100..=599).contains(&b) && a <= b => v.push((a, b)),
            _ => c.report_at(Class::General, w, format!("'{}' is no status code between 100 and 599", w.text)),
        }
    }
}

/// `NAT|DR|TUN [type ipip|gue|gre] [port P] [nocsum|csum|remcsum]`
pub(crate) fn method(c: &mut Cx<'_>, v: &mut Option<Method>) {
    let Some(w) = c.value() else { return };
    match w.text.as_str() {
        "NAT" | "DR" => {
            words::no_options(c);
            *v = Some(if w.text == "NAT" { Method::Nat } else { Method::Direct });
        }
        "TUN" => {
            let (mut kind, mut port, mut checksum) = (Tunnel::Ipip, None, None);
            let mut n = 2;
            while let Some(o) = c.word(n) {
                n += 1;
                match o.text.as_str() {
                    "type" => {
                        let Some(k) = c.word(n) else {
                            c.report_at(Class::General, o, "'type' needs ipip, gue or gre");
                            return;
                        };
                        n += 1;
                        kind = match k.text.as_str() {
                            "ipip" => Tunnel::Ipip,
                            "gue" => Tunnel::Gue,
                            "gre" => Tunnel::Gre,
                            other => {
                                c.report_at(Class::General, k, format!("'{other}' is no type of tunnel"));
                                return;
                            }
                        };
                    }
                    "port" => {
                        let Some(p) = c.word(n) else {
                            c.report_at(Class::General, o, "'port' needs a number");
                            return;
                        };
                        n += 1;
                        port = c.number(p, 1, 65535).and_then(|p| u16::try_from(p).ok());
                    }
                    "nocsum" => checksum = Some(TunnelChecksum::No),
                    "csum" => checksum = Some(TunnelChecksum::Yes),
                    "remcsum" => checksum = Some(TunnelChecksum::Remote),
                    other => c.report_at(Class::General, o, format!("unknown option '{other}' of a tunnel")),
                }
            }
            // The kernel wants a port for gue (FOU and GUE are UDP), and has no other use for one.
            match kind {
                Tunnel::Gue if port.is_none() => {
                    c.report(Class::General, "a gue tunnel needs a port, using ipip");
                    kind = Tunnel::Ipip;
                    checksum = None;
                }
                Tunnel::Ipip | Tunnel::Gre if port.is_some() => {
                    c.report(Class::General, "gue tunnels alone have a port, ignoring it");
                    port = None;
                }
                _ => {}
            }
            let fits = match kind {
                Tunnel::Ipip => matches!(checksum, None | Some(TunnelChecksum::No)),
                Tunnel::Gre => checksum != Some(TunnelChecksum::Remote),
                Tunnel::Gue => true,
            };
            if !fits {
                let words = if kind == Tunnel::Ipip { "ipip tunnels have no" } else { "gre tunnels have no remote" };
                c.report(Class::General, format!("{words} checksum, ignoring it"));
                checksum = None;
            }
            *v = Some(Method::Tunnel { kind, port, checksum });
        }
        other => c.report_at(Class::General, w, format!("'{other}' is neither NAT, DR nor TUN")),
    }
}

/// What a virtual server has in place of a word that is none, where no line before it has said: one fault, one report.
pub(crate) fn instead<T>(v: &mut Option<T>, usual: T, name: &str) -> String {
    let none = v.is_none();
    v.get_or_insert(usual);
    if none { format!(", using {name}") } else { String::new() }
}

/// `lb_kind`.
pub(crate) fn kind(c: &mut Cx<'_>, v: &mut Option<Method>) {
    match c.word(1) {
        Some(w) if !["NAT", "DR", "TUN"].contains(&w.text.as_str()) => {
            let text = format!("'{}' is neither NAT, DR nor TUN{}", w.text, instead(v, Method::Nat, "NAT"));
            c.report_at(Class::General, w, text);
        }
        _ => method(c, v),
    }
}

/// `lb_algo`.
pub(crate) fn scheduler(c: &mut Cx<'_>, v: &mut Option<String>) {
    let Some(w) = c.value() else { return };
    if SCHEDULERS.contains(&w.text.as_str()) {
        *v = Some(w.text.to_string());
    } else {
        let help = crate::diag::suggest(&w.text, SCHEDULERS.iter().copied()).map(|s| format!("did you mean `{s}`?"));
        let text = format!("'{}' is no known scheduler{}", w.text, instead(v, "wlc".into(), "wlc"));
        c.diagnostics.push_help(Class::General, Some(w.span), text, help);
    }
}

/// `SSL { … }`
pub(crate) fn ssl(c: &mut Cx<'_>, v: &mut Option<Ssl>) {
    let ssl = v.get_or_insert_default();
    c.name_block("SSL", "");
    block(ssl, c);
    ssl.places = ["ca", "certificate", "key"].map(|word| Place::new(c.marked(word)));
    // keepalived says nothing of it.
    let (there, missing) = match (&ssl.certificate, &ssl.key) {
        (Some(_), None) => ("certificate", "key"),
        (None, Some(_)) => ("key", "certificate"),
        _ => return,
    };
    let text = format!("SSL: a {there} without a {missing} is no client certificate, ignoring it");
    c.report(Class::Note, text);
}

/// A flag that goes with some schedulers only.
pub(crate) fn flag(c: &mut Cx<'_>, s: &mut VirtualServer, schedulers: &[&str]) {
    let word = c.keyword().unwrap_or_default();
    if s.scheduler.as_deref().is_some_and(|x| schedulers.contains(&x)) {
        s.flags.push(word.into());
    } else {
        c.report(Class::General, format!("{word} does not go with this scheduler, ignoring it"));
    }
}

/// A netmask, or the length of a prefix.
pub(crate) fn granularity(c: &mut Cx<'_>, v: &mut Option<Granularity>) {
    let Some(w) = c.value() else { return };
    match (w.text.parse::<Ipv4Addr>(), w.text.parse::<u8>()) {
        (Ok(mask), _) => *v = Some(Granularity::Mask(u32::from(mask))),
        (_, Ok(n)) if (1..=128).contains(&n) => *v = Some(Granularity::Prefix(n)),
        _ => c.report_at(Class::General, w, format!("'{}' is neither a netmask nor a prefix length", w.text)),
    }
}

/// `ADDR [PORT]` from a word on.
pub(crate) fn endpoint(c: &mut Cx<'_>, n: usize) -> Option<(IpAddr, Option<u16>)> {
    let Some(w) = c.word(n) else {
        let keyword = c.keyword().unwrap_or_default();
        c.report(Class::MissingParameter, format!("'{keyword}' needs an address"));
        return None;
    };
    let Ok(address) = w.text.parse() else {
        c.report_at(Class::General, w, format!("'{}' is not an IP address", w.text));
        return None;
    };
    let port = match c.word(n + 1) {
        None => None,
        Some(p) => Some(u16::try_from(c.number(p, 0, 65535)?).ok()?),
    };
    Some((address, port))
}

/// `real_server ADDR [PORT] { … }`
pub(crate) fn real_server(c: &mut Cx<'_>, v: &mut Vec<RealServer>) {
    let place = Place::new(c.word(1).map(|w| w.span).or_else(|| c.place()));
    match endpoint(c, 1) {
        Some((address, port)) => {
            let mut r = RealServer { address: Some(address), port, place, ..Default::default() };
            c.begin_server(place);
            block(&mut r, c);
            v.push(r);
        }
        // read for the faults in it
        None => block(&mut RealServer::default(), c),
    }
}

/// `HTTP_GET` and `SSL_GET`.
pub(crate) fn http(c: &mut Cx<'_>, s: &mut RealServer, tls: bool) {
    let mut x = HttpCheck { tls, ..Default::default() };
    let at = c.place();
    block(&mut x, c);
    if x.url.is_empty() {
        let name = if tls { "SSL_GET" } else { "HTTP_GET" };
        c.diagnostics.push(Class::General, at, format!("{name} without a url, ignoring it"));
        c.drop_check();
    } else {
        s.checkers.push(Checker::Http(x));
    }
}

/// `ADDR [PORT] | fwmark N | group NAME` from a word on.
fn served(c: &mut Cx<'_>, n: usize) -> Option<Served> {
    match c.word(n).map(|w| w.text.as_str()) {
        Some("fwmark") => match c.word(n + 1) {
            Some(w) => c.number(w, 0, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok()).map(Served::Mark),
            None => {
                c.report(Class::MissingParameter, "'fwmark' needs a number");
                None
            }
        },
        Some("group") => match c.word(n + 1) {
            Some(w) => Some(Served::Group(w.text.to_string())),
            None => {
                c.report(Class::MissingParameter, "'group' needs a name");
                None
            }
        },
        _ => endpoint(c, n).map(|(a, p)| Served::Address(a, p.unwrap_or(0))),
    }
}

/// The head of an entry of track_virtual_server: the name of the service, and the words that it takes.
pub(crate) fn tracked(c: &mut Cx<'_>) -> Option<(String, usize)> {
    let name = served(c, 0)?.to_string();
    Some((name, 2.min(c.words().len())))
}

/// `virtual_server (ADDR [PORT] | fwmark N | group NAME) { … }`
pub(crate) fn virtual_server(c: &mut Cx<'_>, v: &mut Vec<VirtualServer>) {
    let place = Place::new(c.word(1).map(|w| w.span).or_else(|| c.place()));
    if let (Some(first), Some(extra)) = (c.word(1), c.word(3))
        && matches!(first.text.as_str(), "fwmark" | "group")
    {
        let text = format!("'{}' is not read: {} takes one value", extra.text, first.text);
        c.report_at(Class::Note, extra, text);
    }
    match served(c, 1) {
        Some(served) => {
            let mut s = VirtualServer { served, place, ..Default::default() };
            block(&mut s, c);
            v.push(s);
        }
        None => block(&mut VirtualServer::default(), c),
    }
}

/// `lvs_sync_daemon IF [inst NAME] [id N] [maxlen N] [port N] [ttl N] [group ADDR]`; of old `IF INSTANCE [id N]`.
pub(crate) fn sync_daemon(c: &mut Cx<'_>, v: &mut Option<SyncDaemon>) {
    let Some(first) = c.value() else { return };
    if let Some(v) = v {
        let named = v.instance.as_deref().map_or_else(String::new, |i| format!(" {i}"));
        let text = format!("lvs_sync_daemon is there already as {}{named}, ignoring this one", v.interface);
        return c.report_at(Class::General, first, text);
    }
    let mut s = SyncDaemon { interface: first.text.to_string(), ..Default::default() };
    let (mut n, mut old) = (2, false);
    while let Some(w) = c.word(n) {
        n += 1;
        if !["inst", "id", "maxlen", "port", "ttl", "group"].contains(&w.text.as_str()) {
            if s.instance.is_none() {
                s.instance = Some(w.text.to_string());
                old = true;
            } else if std::mem::take(&mut old) && s.id.is_none() && w.text.bytes().all(|b| b.is_ascii_digit()) {
                // The older form.
                s.id = c.number(w, 0, 255).and_then(|n| u8::try_from(n).ok());
                c.report_at(
                    Class::General,
                    w,
                    format!("lvs_sync_daemon: an id stands behind `id`, taking {} for one", w.text),
                );
            } else {
                c.report_at(Class::General, w, format!("unknown option '{}' of lvs_sync_daemon", w.text));
            }
            continue;
        }
        let Some(value) = c.word(n) else {
            // The one at which keepalived ends.
            let class = if w.text == "inst" { Class::MissingParameter } else { Class::General };
            c.report_at(class, w, format!("'{}' needs a value", w.text));
            break;
        };
        n += 1;
        let mut number = |low, high| c.number(value, low, high);
        match w.text.as_str() {
            "inst" => match &s.instance {
                Some(first) => {
                    let text = format!("lvs_sync_daemon has the instance {first} already, ignoring this one");
                    c.report_at(Class::General, value, text);
                }
                None => s.instance = Some(value.text.to_string()),
            },
            "id" => s.id = number(0, 255).and_then(|n| u8::try_from(n).ok()),
            "maxlen" => s.maxlen = number(1, 65507).and_then(|n| u16::try_from(n).ok()),
            "port" => s.port = number(1, 65535).and_then(|n| u16::try_from(n).ok()),
            "ttl" => s.ttl = number(1, 255).and_then(|n| u8::try_from(n).ok()),
            _ => match value.text.parse::<IpAddr>() {
                Ok(a) if a.is_multicast() => s.group = Some(a),
                _ => c.report_at(Class::General, value, format!("'{}' is no multicast group", value.text)),
            },
        }
    }
    *v = Some(s);
}

/// `lvs_timeouts [tcp N] [tcpfin N] [udp N]`; 0 leaves a limit as it is.
pub(crate) fn timeouts(c: &mut Cx<'_>, v: &mut Option<[u32; 3]>) {
    if c.value().is_none() {
        return;
    }
    let mut all = v.unwrap_or_default();
    let mut n = 1;
    while let Some(w) = c.word(n) {
        let Some(at) = ["tcp", "tcpfin", "udp"].iter().position(|k| *k == w.text) else {
            c.report_at(Class::General, w, format!("unknown option '{}' of lvs_timeouts", w.text));
            n += 1;
            continue;
        };
        match c.word(n + 1) {
            Some(value) => {
                if let Some(x) = c.number(value, 0, 31 * 86400)
                    && let Some(to) = all.get_mut(at)
                {
                    *to = u32::try_from(x).unwrap_or(0);
                }
            }
            None => c.report_at(Class::General, w, format!("'{}' needs a value", w.text)),
        }
        n += 2;
    }
    *v = Some(all);
}

/// `lvs_flush_on_stop [VS]`.
pub(crate) fn flush_on_stop(c: &mut Cx<'_>, v: &mut Option<FlushOnStop>) {
    *v = match c.word(1) {
        None => Some(FlushOnStop::Everything),
        Some(w) if w.text == "VS" => Some(FlushOnStop::Ours),
        Some(w) => {
            c.report_at(Class::General, w, format!("'{}' is not VS, ignoring lvs_flush_on_stop", w.text));
            None
        }
    };
}

/// Words inside lines, for the reference.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    let sync = "global_defs > lvs_sync_daemon (inline)";
    let group = "virtual_server_group (entry lines)";
    let vmac = "vrrp_instance > use_vmac (inline)";
    let ipvlan = "vrrp_instance > use_ipvlan (inline)";
    let timeouts = "global_defs > lvs_timeouts (inline)";
    [
        (timeouts, "tcp", "N", "0-2678400", true, "Established TCP, in seconds."),
        (timeouts, "tcpfin", "N", "0-2678400", true, "TCP after FIN."),
        (timeouts, "udp", "N", "0-2678400", true, "UDP."),
        (sync, "inst", "NAME", "-", true, "The instance whose state the daemon follows."),
        (sync, "id", "N", "0-255", true, "Its id."),
        (sync, "maxlen", "N", "1-65507", true, "Largest message in bytes."),
        (sync, "port", "N", "1-65535", true, "UDP port."),
        (sync, "ttl", "N", "1-255", true, "TTL of its multicasts."),
        (sync, "group", "ADDR", "multicast", true, "Multicast group."),
        (group, "(address line)", "ADDR[-LAST|/PREFIX] [PORT]", "port 0-65535", true, "Service addresses."),
        (group, "fwmark", "N [inet|inet6]", "uint32", true, "A firewall mark."),
        (vmac, "name", "IF", "at most 15 characters", true, "Name of the virtual link."),
        (vmac, "MAC", "OCTETS", "5 or 6 octets", true, "Hardware address of the virtual link."),
        (vmac, "netlink_notify_msg", "", "-", true, "Taken; links are heard of in any case."),
        (vmac, "group", "G", "uint32", true, "Link group number."),
        (ipvlan, "name", "IF", "at most 15 characters", true, "Name of the link."),
        (ipvlan, "(address)", "ADDR[/LEN]", "-", true, "The address that adverts come from."),
        (ipvlan, "bridge", "", "-", true, "Ipvlans on one link hear each other. It is so without a word."),
        (ipvlan, "private", "", "-", true, "They do not."),
        (ipvlan, "vepa", "", "-", true, "They do by way of the switch."),
        (ipvlan, "group", "G", "uint32", true, "Link group number."),
    ]
    .into_iter()
    .map(|(section, word, syntax, range, supported, doc)| Keyword {
        field: "",
        section,
        word,
        syntax,
        range,
        default: "none",
        doc,
        supported,
    })
}

impl RealServer {
    /// Whether mail is sent when it comes or goes: where nobody says anything it is, whatever its virtual server says of itself.
    pub fn mails(&self, g: &GlobalDefs) -> bool {
        self.smtp_alert.or(g.smtp_alert_checker).or(g.smtp_alert).unwrap_or(true)
    }
}

impl VirtualServer {
    /// Whether mail is sent when it gains or loses its quorum.
    pub fn mails(&self, g: &GlobalDefs) -> bool {
        self.smtp_alert.or(g.smtp_alert_checker).or(g.smtp_alert).unwrap_or(false)
    }

    /// The family of a mark that has none of its own (true: IPv6): `ip_family`, else that of what its group has beside it, else that of
    /// the first real server. `group`: the one that it serves.
    pub fn six(&self, group: Option<&ServerGroup>) -> bool {
        let beside = group.and_then(ServerGroup::six);
        let of = |r: &RealServer| r.address.map(|a| a.is_ipv6());
        // At the end of a tunnel a server may be of the other family: those without one decide.
        let tunnelled = |r: &&RealServer| matches!(r.method.or(self.method), Some(Method::Tunnel { .. }));
        self.ip_family.or(beside).unwrap_or_else(|| {
            let plain = self.real_servers.iter().filter(|r| !tunnelled(r)).find_map(of);
            let all: Vec<bool> = self.real_servers.iter().filter_map(of).collect();
            plain.unwrap_or(!all.is_empty() && all.iter().all(|six| *six))
        })
    }

    /// The families of its services (true: IPv6). `group`: the one that it serves.
    pub(crate) fn families(&self, group: Option<&ServerGroup>) -> Vec<bool> {
        match (&self.served, group) {
            (Served::Address(a, _), _) => vec![a.is_ipv6()],
            (_, Some(g)) if !g.ranges.is_empty() || !g.marks.is_empty() => {
                let marks = g.marks.iter().map(|m| m.1.unwrap_or_else(|| self.six(group)));
                g.ranges.iter().map(|r| r.0.is_ipv6()).chain(marks).collect()
            }
            _ => vec![self.six(group)],
        }
    }
}
