//! The configuration as written becomes what the checkers run from: defaults and what is inherited from server to check are put in.

use super::marks::Assigned;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use steadfast_checkers as check;
use steadfast_config::model::{self, Checker, Config, Method, Served, Tunnel, TunnelChecksum, User};
use steadfast_core::Family;
use steadfast_core::ipvs::{self, Checksum, Forward, Persistence, Protocol, Service, ServiceKey};

/// Lists of pages that were met: most servers of a file are asked for the same, and what each of them had for itself for a moment would
/// leave a hole in memory between what stays.
type Pages = HashSet<Arc<[check::Url]>>;

/// Groups by name.
type Groups<'a> = HashMap<&'a str, &'a model::ServerGroup>;

/// Translates the virtual servers. What cannot be done yet is left out, and said. `assigned`: the marks of groups.
pub fn pool(c: &Config, assigned: &Assigned) -> check::Config {
    let mut marks: HashMap<&str, Vec<(Protocol, u32)>> = HashMap::new();
    for ((name, protocol), mark) in assigned {
        marks.entry(name).or_default().push((*protocol, *mark));
    }
    let groups = c.server_groups.iter().map(|g| check::VirtualServerGroup {
        name: g.name.clone(),
        ranges: g
            .ranges
            .iter()
            .map(|(first, last, port)| check::Range { first: *first, last: *last, port: *port })
            .collect(),
        marks: g.marks.iter().map(|(m, six)| (*m, six.map(family))).collect(),
        assigned: marks.get(g.name.as_str()).cloned().unwrap_or_default(),
    });
    let unverified = |k: &Checker| match k {
        Checker::Http(h) => h.tls && h.tls_verify != Some(true),
        Checker::Grpc(g) => g.tls == Some(true) && g.tls_verify != Some(true),
        _ => false,
    };
    if c.virtual_servers.iter().flat_map(|v| &v.real_servers).flat_map(|r| &r.checkers).any(unverified) {
        log::info!("TLS checks: certificates of servers are not verified where tls_verify is not set");
    }
    // The first one of a name.
    let by_name: Groups<'_> = c.server_groups.iter().rev().map(|g| (g.name.as_str(), g)).collect();
    let mut pages = Pages::new();
    let followed = c.instances.iter().map(|i| &i.track_service).chain(c.groups.iter().map(|g| &g.track_service));
    let followed: HashSet<&str> = followed.flatten().map(|t| t.name.as_str()).collect();
    let whole = |v| {
        let mut s = service(v, c, &by_name, &mut pages)?;
        s.tracked = followed.contains(tracked(&s.id).as_str());
        Some(s)
    };
    check::Config {
        groups: groups.collect(),
        services: c.virtual_servers.iter().filter_map(whole).collect(),
        init_notifies: c.globals.rs_init_notifies.unwrap_or(false),
    }
}

/// What the file wants of IPVS beside its services.
pub fn balancer(c: &Config) -> super::balancer::Settings {
    super::balancer::Settings {
        timeouts: c.globals.lvs_timeouts,
        flush: c.globals.lvs_flush,
        flush_on_stop: c.globals.lvs_flush_on_stop,
        sync: c.globals.lvs_sync_daemon.clone(),
    }
}

/// The name by which trackers know a virtual server.
pub fn tracked(id: &check::ServiceId) -> String {
    match id {
        check::ServiceId::One(ServiceKey::Address { address, port, .. }) => Served::Address(*address, *port),
        check::ServiceId::One(ServiceKey::Mark { mark, .. }) => Served::Mark(*mark),
        check::ServiceId::Group { name, .. } => Served::Group(name.clone()),
    }
    .to_string()
}

fn family(six: bool) -> Family {
    if six { Family::V6 } else { Family::V4 }
}

fn script(s: &model::Script, account: Option<User>) -> check::Script {
    check::Script {
        text: s.text.clone(),
        argv: s.argv.clone(),
        shell: s.shell.clone(),
        user: s.user.or(account).map(|u| (u.uid, u.gid)),
    }
}

fn forward(m: Method) -> Forward {
    let sum = |c: Option<TunnelChecksum>| match c {
        Some(TunnelChecksum::Yes) => Checksum::Full,
        Some(TunnelChecksum::Remote) => Checksum::Remote,
        _ => Checksum::None,
    };
    match m {
        Method::Nat => Forward::Nat,
        Method::Direct => Forward::Direct,
        Method::Tunnel { kind: Tunnel::Ipip, .. } => Forward::Tunnel(ipvs::Tunnel::Ipip),
        Method::Tunnel { kind: Tunnel::Gue, port, checksum } => {
            Forward::Tunnel(ipvs::Tunnel::Gue { port: port.unwrap_or(6080), checksum: sum(checksum) })
        }
        Method::Tunnel { kind: Tunnel::Gre, checksum, .. } => {
            Forward::Tunnel(ipvs::Tunnel::Gre { checksum: sum(checksum) })
        }
    }
}

/// The protocol of a virtual server.
pub fn protocol(v: &model::VirtualServer) -> Protocol {
    match v.protocol {
        Some(6) => Protocol::Tcp,
        Some(132) => Protocol::Sctp,
        _ => Protocol::Udp,
    }
}

fn service(
    v: &model::VirtualServer,
    c: &Config,
    groups: &Groups<'_>,
    pages: &mut Pages,
) -> Option<check::VirtualServer> {
    let account = c.globals.script_user;
    let protocol = protocol(v);
    let group = if let Served::Group(g) = &v.served { groups.get(g.as_str()).copied() } else { None };
    let of_marks = family(v.six(group));
    let (id, port) = match &v.served {
        Served::Nothing => return None,
        Served::Address(a, p) => (check::ServiceId::One(ServiceKey::Address { address: *a, port: *p, protocol }), *p),
        Served::Mark(m) => (check::ServiceId::One(ServiceKey::Mark { mark: *m, family: of_marks }), 0),
        Served::Group(g) => {
            // The port of a group is that of its first addresses.
            let port = group.and_then(|g| g.ranges.first()).map_or(0, |r| r.2);
            (check::ServiceId::Group { name: g.clone(), protocol }, port)
        }
    };
    let method = v.method.unwrap_or(Method::Nat);
    let flag = |words: &[&str]| v.flags.iter().any(|f| words.contains(&f.as_str()));
    let mut s = check::VirtualServer::new(id);
    s.family = of_marks;
    s.service = Service {
        scheduler: v.scheduler.clone().unwrap_or_else(|| "wlc".into()),
        scheduler_flags: u8::from(flag(&["flag-1", "sh-fallback", "mh-fallback"]))
            | u8::from(flag(&["flag-2", "sh-port", "mh-port"])) << 1
            | u8::from(flag(&["flag-3"])) << 2,
        one_packet: v.ops,
        persistence: v
            .persistence_timeout
            .map(|timeout| Persistence { timeout, granularity: v.persistence_granularity }),
        engine: v.persistence_engine.clone(),
    };
    s.suspend = match &v.ha_suspend {
        None => check::Suspend::Never,
        Some(None) => check::Suspend::WithoutAddress,
        Some(Some(instance)) => check::Suspend::WithoutInstance(instance.clone()),
    };
    s.panic_threshold = v.panic_threshold;
    s.omega = v.omega;
    s.quorum = v.quorum;
    s.hysteresis = v.hysteresis;
    s.quorum_up = v.quorum_up.as_ref().map(|x| script(x, account));
    s.quorum_down = v.quorum_down.as_ref().map(|x| script(x, account));
    s.smtp_alert = v.mails(&c.globals);
    s.sorry = v.sorry_server.map(|(address, p)| check::SorryServer {
        address,
        port: if p == 0 { port } else { p },
        forward: forward(v.sorry_server_lvs_method.unwrap_or(method)),
        inhibit: v.sorry_server_inhibit,
    });
    for r in &v.real_servers {
        let Some(address) = r.address else { continue };
        let mut x = check::RealServer::new(address, r.port.unwrap_or(port));
        x.forward = forward(r.method.unwrap_or(method));
        x.weight = r.weight.unwrap_or(v.weight);
        x.upper = r.uthreshold;
        x.lower = r.lthreshold;
        x.inhibit = r.inhibit_on_failure.unwrap_or(v.inhibit_on_failure);
        x.notify_up = r.notify_up.as_ref().map(|x| script(x, account).into());
        x.notify_down = r.notify_down.as_ref().map(|x| script(x, account).into());
        x.smtp_alert = r.mails(&c.globals);
        x.slow_start = r.slow_start.or(v.slow_start).unwrap_or_default();
        x.drain = r.drain_time.or(v.drain_time).unwrap_or_default();
        x.checks.reserve_exact(r.checkers.len());
        let server = SocketAddr::new(address, x.port);
        r.checkers.iter().for_each(|k| x.checks.extend(checks(k, r, v, c, server, pages)));
        s.servers.push(x);
    }
    Some(s)
}

/// The checks that a checker of the file stands for: an SMTP_CHECK with several hosts is one for each.
fn checks(
    k: &Checker,
    r: &model::RealServer,
    v: &model::VirtualServer,
    c: &Config,
    server: SocketAddr,
    pages: &mut Pages,
) -> Vec<check::Check> {
    let smtp = match k {
        Checker::Smtp(smtp) if !smtp.host.is_empty() => smtp,
        _ => return Vec::from_iter(one(k, r, v, c, server, pages)),
    };
    let hosts = smtp.host.iter().map(|h| {
        let of_host = model::Reach {
            connect_ip: h.reach.connect_ip.or(smtp.reach.connect_ip),
            connect_port: h.reach.connect_port.or(smtp.reach.connect_port),
            bindto: h.reach.bindto.or(smtp.reach.bindto),
            bind_port: h.reach.bind_port.or(smtp.reach.bind_port),
            bind_if: h.reach.bind_if.clone().or_else(|| smtp.reach.bind_if.clone()),
            connect_timeout: h.reach.connect_timeout.or(smtp.reach.connect_timeout),
            fwmark: h.reach.fwmark.or(smtp.reach.fwmark),
        };
        let pace = model::Pace {
            retry: h.pace.retry.or(smtp.pace.retry),
            delay_before_retry: h.pace.delay_before_retry.or(smtp.pace.delay_before_retry),
            warmup: h.pace.warmup.or(smtp.pace.warmup),
            delay_loop: h.pace.delay_loop.or(smtp.pace.delay_loop),
            alpha: h.pace.alpha.or(smtp.pace.alpha),
            log_all_failures: h.pace.log_all_failures.or(smtp.pace.log_all_failures),
            rise: h.pace.rise.or(smtp.pace.rise),
            fall: h.pace.fall.or(smtp.pace.fall),
        };
        Checker::Smtp(model::SmtpCheck { reach: of_host, pace, host: Vec::new(), ..smtp.clone() })
    });
    hosts.filter_map(|k| one(&k, r, v, c, server, pages)).collect()
}

/// One check of a server.
fn one(
    k: &Checker,
    r: &model::RealServer,
    v: &model::VirtualServer,
    c: &Config,
    server: SocketAddr,
    pages: &mut Pages,
) -> Option<check::Check> {
    let pace = match k {
        Checker::Tcp(x) => &x.pace,
        Checker::Ping(x) => &x.pace,
        Checker::Udp(x) => &x.pace,
        Checker::Http(x) => &x.pace,
        Checker::Dns(x) => &x.pace,
        Checker::Smtp(x) => &x.pace,
        Checker::Misc(x) => &x.pace,
        Checker::Agent(x) => &x.pace,
        Checker::Grpc(x) => &x.pace,
        Checker::File(_) | Checker::Bfd(_) => &model::Pace::default(),
    };
    let own_alpha = if let Checker::Bfd(x) = k { x.alpha } else { None };
    let second = Duration::from_secs(1);
    let delay_loop = pace.delay_loop.or(r.delay_loop).or(v.delay_loop).unwrap_or(second * 60);
    let (retry, gap) = match k {
        Checker::Misc(_) => (0, second),
        Checker::Dns(_) => (3, delay_loop),
        Checker::Http(_) | Checker::Grpc(_) => (1, second * 3),
        _ => (1, second),
    };
    let timing = check::Timing {
        delay_loop,
        retry: pace.retry.or(r.retry).or(v.retry).unwrap_or(retry),
        delay_before_retry: pace.delay_before_retry.or(r.delay_before_retry).or(v.delay_before_retry).unwrap_or(gap),
        warmup: pace.warmup.or(r.warmup).or(v.warmup).unwrap_or(delay_loop),
        alpha: own_alpha.or(pace.alpha).or(r.alpha).unwrap_or(v.alpha),
        rise: pace.rise.unwrap_or(1),
        fall: pace.fall.unwrap_or(1),
        log_all_failures: pace.log_all_failures.or(c.globals.checker_log_all_failures).unwrap_or(false),
    };
    let target = |x: &model::Reach, port: Option<u16>| {
        let to = SocketAddr::new(x.connect_ip.unwrap_or(server.ip()), x.connect_port.or(port).unwrap_or(server.port()));
        let mut t = check::Target::new(to);
        t.bind = x.bindto;
        t.bind_port = x.bind_port;
        t.interface = x.bind_if.as_deref().map(Into::into);
        t.mark = x.fwmark.unwrap_or(0);
        t.timeout = x.connect_timeout.or(r.connect_timeout).or(v.connect_timeout).unwrap_or(second * 5);
        t
    };
    let kind = match k {
        Checker::Tcp(x) => check::CheckKind::Tcp(target(&x.reach, None)),
        Checker::Ping(x) => check::CheckKind::Ping(target(&x.reach, None)),
        Checker::Udp(x) => check::CheckKind::Udp {
            target: target(&x.reach, None),
            payload: x.payload.clone(),
            reply: x
                .require_reply
                .clone()
                .map(|pattern| Box::new(check::Reply { pattern, min: x.min_reply_length, max: x.max_reply_length })),
        },
        Checker::Dns(x) => check::CheckKind::Dns {
            target: target(&x.reach, None),
            kind: x.kind.unwrap_or(6),
            name: x.name.clone().unwrap_or_else(|| ".".into()),
        },
        Checker::Smtp(x) => check::CheckKind::Smtp {
            target: target(&x.reach, None),
            helo: x.helo_name.clone().unwrap_or_else(|| "smtpchecker.keepalived.org".into()),
        },
        Checker::Misc(x) => {
            let account = x.user.flatten().or(c.globals.script_user);
            check::CheckKind::Misc {
                script: script(x.misc_path.as_ref()?, account),
                timeout: x.misc_timeout.filter(|t| !t.is_zero()).unwrap_or(delay_loop),
                dynamic: x.misc_dynamic,
            }
        }
        Checker::File(x) => {
            let name = x.track_file.clone()?;
            let of_file = c.files.iter().find(|f| f.name == name).map_or((0, false), |f| f.weight);
            let (weight, reverse) = x.weight.unwrap_or(of_file);
            check::CheckKind::File { name, weight, reverse }
        }
        Checker::Agent(x) => check::CheckKind::Agent {
            target: target(&x.reach, None),
            send: x.send.as_ref().map(|line| format!("{line}\n").into_bytes()).unwrap_or_default(),
        },
        Checker::Grpc(x) => {
            let host = x.virtualhost.clone().or_else(|| r.virtualhost.clone()).or_else(|| v.virtualhost.clone());
            check::CheckKind::Grpc(Box::new(check::GrpcCheck {
                target: target(&x.reach, None),
                tls: (x.tls == Some(true)).then(|| tls(c, x.tls_verify, &x.tls_name, true).into()),
                service: x.service.clone().unwrap_or_default(),
                host,
            }))
        }
        Checker::Bfd(x) => check::CheckKind::Bfd { name: x.name.clone()? },
        Checker::Http(x) => check::CheckKind::Http(http(x, r, v, c, target(&x.reach, None), pages)),
    };
    Some(check::Check { kind, timing })
}

fn http(
    x: &model::HttpCheck,
    r: &model::RealServer,
    v: &model::VirtualServer,
    c: &Config,
    target: check::Target,
    pages: &mut Pages,
) -> check::HttpCheck {
    let with_name = x.enable_sni.unwrap_or(false) || x.sni_name.is_some();
    let given = x.sni_name.clone().filter(|n| !n.is_empty());
    let host = x.virtualhost.clone().or_else(|| r.virtualhost.clone()).or_else(|| v.virtualhost.clone());
    let urls: Arc<[check::Url]> = x
        .url
        .iter()
        .map(|u| check::Url {
            path: u.path.clone().unwrap_or_default(),
            host: u.virtualhost.clone().or_else(|| host.clone()),
            sni: given.clone().or_else(|| u.virtualhost.clone()).or_else(|| host.clone()).filter(|_| with_name),
            tls_compliant: u.tls_compliant.or(x.tls_compliant).unwrap_or(false),
            digest: u.digest.as_deref().and_then(digest),
            status: u.status_code.clone(),
            regex: u.regex.as_ref().map(|pattern| {
                let has = |name: &str| u.regex_options.iter().any(|o| o.eq_ignore_ascii_case(name));
                check::Rule {
                    pattern: pattern.clone(),
                    no_match: u.regex_no_match,
                    min_offset: u.regex_min_offset,
                    max_offset: u.regex_max_offset,
                    caseless: has("caseless"),
                    dotall: has("dotall"),
                    multiline: has("multiline"),
                    extended: has("extended"),
                    ungreedy: has("ungreedy"),
                    utf: has("utf"),
                    dollar_endonly: has("dollar_endonly"),
                }
            }),
        })
        .collect();
    let urls = match pages.get(&urls) {
        Some(known) => known.clone(),
        None => {
            pages.insert(urls.clone());
            urls
        }
    };
    check::HttpCheck {
        target,
        tls: x.tls.then(|| tls(c, x.tls_verify, &x.tls_name, x.http2 == Some(true)).into()),
        version: match x.http_protocol.as_deref() {
            _ if x.http2 == Some(true) => check::HttpVersion::V2,
            Some("1.0C") => check::HttpVersion::V10Close,
            Some("1.1") => check::HttpVersion::V11,
            _ => check::HttpVersion::V10,
        },
        urls,
    }
}

/// How TLS is spoken.
fn tls(c: &Config, verify: Option<bool>, name: &Option<String>, http2: bool) -> check::Tls {
    let ssl = c.ssl.clone().unwrap_or_default();
    let words = |secret: &steadfast_core::Secret| String::from_utf8_lossy(secret.bytes()).into_owned();
    check::Tls {
        // Verification that was asked for and cannot be done is a failure, never a pass.
        ca: verify.unwrap_or(false).then(|| ssl.ca.unwrap_or_else(|| "no ca is given in SSL".into())),
        name: name.clone(),
        client: ssl
            .certificate
            .zip(ssl.key)
            .map(|(certificate, key)| (certificate, key, ssl.password.as_ref().map(words))),
        http2,
    }
}

/// Sixteen bytes of hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0u8; 16];
    for (n, b) in bytes.iter_mut().enumerate() {
        *b = u8::from_str_radix(text.get(2 * n..2 * n + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_config::host::FakeHost;
    use steadfast_config::source::FsReader;

    /// What `check` takes for a usable pattern is what the checker can use, and the same is said of the others.
    #[test]
    fn a_pattern_is_reported_if_and_only_if_the_checker_cannot_use_it() {
        let folder = tempfile::tempdir().expect("folder");
        let long = "((a{100}){1000}){100}";
        let patterns = [
            ("^up$", ""),
            ("(", ""),
            ("a(?=b)", ""),
            ("(a)\\1", ""),
            ("\\xff", ""),
            ("\\xff", "utf"),
            ("\\pL", ""),
            ("\\pL", "utf"),
            ("a # (", "extended"),
            ("a # (", ""),
            ("[z-a]", "caseless"),
            (long, ""),
        ];
        for (pattern, options) in patterns {
            let options = if options.is_empty() { String::new() } else { format!("regex_options {options}\n") };
            let text = format!(
                "virtual_server 10.0.0.1 80 {{\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.0.2 80 {{\nHTTP_GET {{\nurl {{\n\
                 path /\nregex \"{pattern}\"\n{options}}}\n}}\n}}\n}}\n",
            );
            let host = FakeHost { all_interfaces: true, ..FakeHost::default() };
            std::fs::write(folder.path().join("f"), text).expect("file");
            let read = steadfast_config::load(&folder.path().join("f"), &FsReader, &Default::default(), &host);
            let said = steadfast_config::diag::render(&read.diagnostics, &read.files, false);
            let pools = pool(&read.config, &Assigned::new());
            let check::CheckKind::Http(http) = &pools.services[0].servers[0].checks[0].kind else { panic!("{said}") };
            let rule = http.urls[0].regex.as_ref().expect("rule");
            assert_eq!(rule.pattern, pattern);
            match check::compile_rule(rule) {
                Ok(_) => assert!(!said.contains("regex"), "{pattern}: {said}"),
                Err(why) => {
                    assert!(said.contains(&format!("so that the check fails: {why}")), "{pattern}: {why}, {said}")
                }
            }
        }
    }
}
