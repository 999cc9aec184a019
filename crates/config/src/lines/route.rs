//! A route line.

use super::{PROTOCOLS, SCOPES, TABLES, Words, cidr, number, words};
use crate::diag::Class;
use crate::parse::Cx;
use crate::section::Declared;
use crate::source::Word;
use std::net::IpAddr;
use steadfast_core::kernel::{Encap, Metric, NextHop, Placement, Route, RouteKind};
use steadfast_core::{Family, IpCidr};

const SECTION: &str = "route line (virtual_routes, static_routes)";

words! { ALL, SECTION,
    "inet" "-" "-" "from the addresses" "An IPv4 route.";
    "inet6" "-" "-" "from the addresses" "An IPv6 route.";
    "to" "PREFIX|default" "-" "required" "Destination; the word itself may be left out.";
    "(type)" "unicast|local|broadcast|brd|multicast|anycast|throw|unreachable|prohibit|blackhole" "-" "unicast" "Type.";
    "src" "ADDR" "same family" "none" "Preferred source.";
    "as" "[to] ADDR" "-" "-" "Ignored, as keepalived does: it is for MPLS.";
    "via" "[inet|inet6] ADDR" "-" "none" "Gateway, also of the other family.";
    "gw" "ADDR" "-" "none" "Old spelling of via.";
    "or" "ADDR" "-" "none" "Second gateway, old spelling of nexthop.";
    "from" "PREFIX" "IPv6" "none" "Source prefix.";
    "tos" "NAME|N" "0-255" "0" "Type of service.";
    "dsfield" "NAME|N" "0-255" "0" "As tos.";
    "table" "NAME|N" "uint32" "main; local by type" "Table.";
    "protocol" "NAME|N" "0-255" "keepalived" "Who made the route.";
    "scope" "NAME|N" "0-255" "by type and gateway" "Scope.";
    "metric" "N" "uint32" "0; IPv6 1024" "Metric.";
    "priority" "N" "uint32" "-" "As metric.";
    "preference" "N" "uint32" "-" "As metric.";
    "dev" "IF" "-" "none" "Output link.";
    "oif" "IF" "-" "none" "As dev.";
    "vrf" "IF" "a VRF" "none" "Into that VRF's table.";
    "onlink" "-" "-" "off" "The gateway is on the link.";
    "encap" "ip|ip6 [id N] [dst ADDR] [src ADDR] [tos N|tc N] [ttl N|hoplimit N] [flags N] | mpls N[/N...] | ila N:N:N:N" "id uint64, labels 0-1048575, at most 16" "none" "Encapsulation.";
    "expires" "SECS" "uint32, IPv6" "none" "Lifetime.";
    "mtu" "[lock] N" "uint32" "none" "MTU in bytes.";
    "hoplimit" "N" "0-255" "none" "Hop limit.";
    "advmss" "[lock] N" "uint32" "none" "Advertised MSS in bytes.";
    "rtt" "[lock] N[s|ms]" "200ms-120s; a bare number counts 1/8 ms" "none" "Round-trip time.";
    "rttvar" "[lock] N[s|ms]" "200ms-120s; a bare number counts 1/4 ms" "none" "Variance of rtt.";
    "reordering" "[lock] N" "uint32" "none" "Reordering of packets.";
    "window" "N" "uint32" "none" "Greatest TCP window in bytes.";
    "cwnd" "[lock] N" "uint32" "none" "Greatest congestion window in packets.";
    "ssthresh" "[lock] N" "uint32" "none" "Slow-start threshold.";
    "realms" "[FROM/]TO" "0-255, IPv4" "none" "Realms.";
    "rto_min" "[lock] N[s|ms]" "200ms-120s; a bare number counts ms" "none" "Least retransmission timeout.";
    "initcwnd" "N" "uint32" "none" "First congestion window in packets.";
    "initrwnd" "N" "uint32" "none" "First receive window in packets.";
    "features" "ecn" "-" "none" "Explicit congestion notification.";
    "quickack" "0|1" "0-1" "none" "Acknowledge at once.";
    "congctl" "[lock] NAME" "-" "none" "Congestion control.";
    "pref" "low|medium|high|N" "0-255, IPv6" "medium" "Router preference.";
    "ttl-propagate" "enabled|disabled" "-" "none" "MPLS: whether the TTL goes over.";
    "fastopen_no_cookie" "0|1" "0-1" "none" "TCP fast open without cookie.";
    "add" "-" "-" "-" "Only where there is no such route.";
    "prepend" "-" "-" "this" "Before routes of the same destination.";
    "append" "-" "-" "-" "After routes of the same destination.";
    "nexthop" "via [inet|inet6] ADDR [dev IF] [weight N] [onlink] [encap ...] [realms ...]" "-" "-" "One of several hops.";
    "weight" "N" "1-256" "1" "Weight of a hop.";
    "no_track" "-" "-" "off" "Its loss concerns nobody: it stays away until the instance is master anew, or its process begins anew, or its link is back.";
    "track_group" "NAME" "static routes" "none" "Instances that its loss concerns.";
    "lock" "-" "-" "off" "Before a metric's value: the stack may not change it.";
}
pub(super) const WORDS: Declared = ALL;

/// What may follow `nexthop`.
const HOP: &[&str] = &["nexthop", "via", "dev", "oif", "weight", "onlink", "encap", "realms", "as"];

/// The metric of a word, whether it takes `lock`, and the greatest value.
fn metric(word: &str) -> Option<(Metric, bool, u32)> {
    const MAX: u32 = u32::MAX;
    Some(match word {
        "mtu" => (Metric::Mtu, true, MAX),
        "hoplimit" => (Metric::Hoplimit, false, 255),
        "advmss" => (Metric::Advmss, true, MAX),
        "reordering" => (Metric::Reordering, true, MAX),
        "window" => (Metric::Window, false, MAX),
        "cwnd" => (Metric::Cwnd, true, MAX),
        "ssthresh" => (Metric::SsThresh, true, MAX),
        "initcwnd" => (Metric::InitCwnd, false, MAX),
        "initrwnd" => (Metric::InitRwnd, false, MAX),
        "quickack" => (Metric::QuickAck, false, 1),
        "fastopen_no_cookie" => (Metric::FastopenNoCookie, false, 1),
        "rtt" => (Metric::Rtt, true, 0),
        "rttvar" => (Metric::RttVar, true, 0),
        "rto_min" => (Metric::RtoMin, true, 0),
        _ => return None,
    })
}

impl<'a> Words<'_, 'a> {
    /// The current word, passed over if it is this.
    fn skip(&mut self, word: &str) -> bool {
        let there = self.c.word(self.n).is_some_and(|w| w.text == word);
        self.n += usize::from(there);
        there
    }

    /// A metric that is a time, in its unit: at least 200 ms and at most 120 s.
    fn time(&mut self, of: &Word, metric: Metric) -> Option<u32> {
        let w = self.value(of)?;
        let unit = metric.per_millisecond()?;
        let (text, factor) = match (w.text.strip_suffix("ms"), w.text.strip_suffix('s')) {
            (Some(t), _) => (t, Some(1.0)),
            (None, Some(t)) => (t, Some(1000.0)),
            (None, None) => (w.text.as_str(), None),
        };
        let plain = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_digit() || (b == b'.' && factor.is_some()))
            && text.bytes().filter(|b| *b == b'.').count() <= 1;
        let Some(n) = text.parse::<f64>().ok().filter(|_| plain) else {
            self.c.report_at(Class::InvalidNumber, w, format!("'{}' is not a time of {}", w.text, of.text));
            return None;
        };
        let unit = f64::from(unit);
        let ms = factor.map_or(n / unit, |f| n * f);
        let fit = ms.clamp(200.0, 120_000.0);
        if fit.to_bits() != ms.to_bits() {
            let bound = if ms < fit { "200ms, the least" } else { "120s, the most" };
            self.c.report_at(Class::Note, w, format!("{} {}: using {bound}", of.text, w.text));
        }
        // At most 960000.
        Some((fit * unit).round() as u32)
    }

    /// An address of one family; the value of an option of an encapsulation.
    fn of_family<T>(&mut self, of: &Word, pick: fn(IpAddr) -> Option<T>) -> Option<T> {
        let address = self.cidr(of)?.address;
        let found = pick(address);
        if found.is_none() {
            self.c.report_at(Class::General, of, format!("{address} is of the other family, ignoring the route"));
        }
        found
    }

    /// The options of an encapsulation: its own words, to the first that is not.
    fn encap(&mut self, of: &Word) -> Option<Encap> {
        let kind = self.value(of)?;
        let bad = |c: &mut Cx<'_>, w: &Word, what: &str| {
            c.report_at(Class::General, w, format!("'{}' is not {what}, ignoring the route", w.text));
        };
        match kind.text.as_str() {
            "mpls" => {
                let w = self.value(kind)?;
                let labels: Option<Vec<u32>> = w.text.split('/').map(|l| number(l).filter(|n| *n < 1 << 20)).collect();
                let labels = labels.filter(|l| l.len() <= 16);
                if labels.is_none() {
                    bad(self.c, w, "a stack of at most 16 labels up to 1048575");
                }
                labels.map(Encap::Mpls)
            }
            "ila" => {
                let w = self.value(kind)?;
                let parts: Option<Vec<u16>> = w.text.split(':').map(|p| u16::from_str_radix(p, 16).ok()).collect();
                match parts.as_deref() {
                    Some([a, b, c, d]) => {
                        Some(Encap::Ila([a, b, c, d].into_iter().fold(0, |n, part| n << 16 | u64::from(*part))))
                    }
                    _ => {
                        bad(self.c, w, "a locator");
                        None
                    }
                }
            }
            "ip" | "ip6" => {
                let six = kind.text == "ip6";
                let mut e = if six {
                    Encap::Ip6 { id: None, destination: None, source: None, class: 0, hoplimit: 0, flags: 0 }
                } else {
                    Encap::Ip { id: None, destination: None, source: None, tos: 0, ttl: 0, flags: 0 }
                };
                while let Some(o) = self.c.word(self.n) {
                    let (id, flags) = match &mut e {
                        Encap::Ip { id, flags, .. } | Encap::Ip6 { id, flags, .. } => (id, flags),
                        _ => break,
                    };
                    match o.text.as_str() {
                        "id" => {
                            self.n += 1;
                            let w = self.value(o)?;
                            *id = w.text.parse().ok();
                            if id.is_none() {
                                bad(self.c, w, "a tunnel id");
                                return None;
                            }
                            continue;
                        }
                        "flags" => {
                            self.n += 1;
                            *flags = u16::try_from(self.named(o, "", &[], 65535)?).unwrap_or(0);
                            continue;
                        }
                        _ => {}
                    }
                    match (&mut e, o.text.as_str()) {
                        (Encap::Ip { destination: v, .. }, "dst") | (Encap::Ip { source: v, .. }, "src") => {
                            self.n += 1;
                            *v = Some(self.of_family(o, |a| if let IpAddr::V4(a) = a { Some(a) } else { None })?);
                        }
                        (Encap::Ip6 { destination: v, .. }, "dst") | (Encap::Ip6 { source: v, .. }, "src") => {
                            self.n += 1;
                            *v = Some(self.of_family(o, |a| if let IpAddr::V6(a) = a { Some(a) } else { None })?);
                        }
                        (Encap::Ip { tos: v, .. }, "tos" | "dsfield") | (Encap::Ip6 { class: v, .. }, "tc") => {
                            self.n += 1;
                            *v = self.u8_named(o, "rt_dsfield", &[])?;
                        }
                        (Encap::Ip { ttl: v, .. }, "ttl") | (Encap::Ip6 { hoplimit: v, .. }, "hoplimit") => {
                            self.n += 1;
                            *v = u8::try_from(self.number(o, 0, 255)?).unwrap_or(0);
                        }
                        _ => break,
                    }
                }
                Some(e)
            }
            _ => {
                bad(self.c, kind, "an encapsulation (ip, ip6, mpls, ila)");
                None
            }
        }
    }
}

/// A route line, and its track group where `statics` says that it may have one. A line with a word or a value that cannot be
/// understood is dropped: half a route leads packets where nobody wants them.
pub(crate) fn route(c: &mut Cx<'_>, statics: bool) -> Option<(Route, Option<String>)> {
    let mut r = Route::new(Family::V4);
    let mut family: Option<Family> = None;
    let mut destination: Option<Option<IpCidr>> = None;
    let mut table = None;
    let mut group = None;
    let mut second = None;
    // Gateways that do not say that they may be of the other family.
    let mut plain_gateways = Vec::new();
    // What is for one family only.
    let mut bound: Vec<(&Word, Family)> = Vec::new();
    let start = c.place();
    let mut w = Words { c, n: 0, missing: Class::MissingParameter };
    while let Some(o) = w.next() {
        // What is of the route itself stands before its hops, as for iproute2. `via` of a hop without the word is one more `via`.
        if !r.nexthops.is_empty() && !HOP.contains(&o.text.as_str()) {
            let text = format!("'{}' must stand before the first nexthop, ignoring the rest of the line", o.text);
            w.c.report_at(Class::General, o, text);
            break;
        }
        if let Some((_, kind)) = RouteKind::WORDS.iter().find(|(word, _)| *word == o.text) {
            r.kind = *kind;
            continue;
        }
        if let Some((m, lockable, most)) = metric(&o.text) {
            let lock = lockable && w.skip("lock");
            let value = match m.per_millisecond() {
                Some(_) => w.time(o, m)?,
                None => u32::try_from(w.number(o, 0, i64::from(most))?).ok()?,
            };
            r.set_metric(m, value, lock);
            continue;
        }
        match o.text.as_str() {
            "inet" => family = Some(Family::V4),
            "inet6" => family = Some(Family::V6),
            "to" => {}
            "nat" | "xresolve" => {
                w.c.report_at(Class::Note, o, "the kernel has no such routes any more, ignoring the route");
                return None;
            }
            "src" => r.source = Some(w.cidr(o)?.address),
            "from" => {
                bound.push((o, Family::V6));
                r.from = Some(w.cidr(o)?);
            }
            "as" => {
                w.skip("to");
                w.cidr(o)?;
                w.c.report_at(Class::General, o, "'as' is for MPLS only, ignoring it");
            }
            "or" => {
                w.c.report_at(Class::Deprecated, o, "'or' is deprecated, use 'nexthop'");
                let gateway = w.cidr(o)?.address;
                plain_gateways.push(gateway);
                second = Some(gateway);
            }
            "via" | "gw" => {
                if o.text == "gw" {
                    w.c.report_at(Class::Deprecated, o, "'gw' is deprecated, use 'via'");
                }
                let mut value = w.value(o)?;
                let other = matches!(value.text.as_str(), "inet" | "inet6");
                if other {
                    value = w.value(o)?;
                }
                let gateway = cidr(w.c, value)?.address;
                plain_gateways.extend((!other).then_some(gateway));
                *r.nexthops.last_mut().map_or(&mut r.via, |h| &mut h.via) = Some(gateway);
            }
            "tos" | "dsfield" => r.tos = w.u8_named(o, "rt_dsfield", &[])?,
            "table" => table = Some(w.named(o, "rt_tables", TABLES, u32::MAX)?),
            "protocol" => r.protocol = w.u8_named(o, "rt_protos", PROTOCOLS)?,
            "scope" => r.scope = Some(w.u8_named(o, "rt_scopes", SCOPES)?),
            "metric" | "priority" | "preference" => r.metric = Some(w.u32(o)?),
            "dev" | "oif" => {
                let dev = w.value(o)?;
                if w.c.host.interface(&dev.text).is_none() {
                    w.c.absent_link(Class::General, dev);
                }
                *r.nexthops.last_mut().map_or(&mut r.interface, |h| &mut h.interface) = Some(dev.text.to_string());
            }
            "vrf" => r.vrf = Some(w.interface(o)?),
            "onlink" => *r.nexthops.last_mut().map_or(&mut r.onlink, |h| &mut h.onlink) = true,
            "encap" => {
                let encap = w.encap(o)?;
                *r.nexthops.last_mut().map_or(&mut r.encap, |h| &mut h.encap) = Some(encap);
            }
            "realms" => {
                bound.push((o, Family::V4));
                let realms = w.realms(o)?;
                *r.nexthops.last_mut().map_or(&mut r.realms, |h| &mut h.realms) = Some(realms);
            }
            "expires" => {
                bound.push((o, Family::V6));
                r.expires = Some(w.u32(o)?);
            }
            "pref" => {
                bound.push((o, Family::V6));
                r.preference = Some(w.u8_named(o, "", &[("medium", 0), ("high", 1), ("low", 3)])?);
            }
            "features" => {
                let value = w.value(o)?;
                if value.text != "ecn" {
                    w.c.report_at(Class::General, value, format!("unknown feature '{}'", value.text));
                    return None;
                }
                r.set_metric(Metric::Features, 1, false);
            }
            "congctl" => {
                let lock = w.skip("lock");
                r.congestion = Some((w.interface(o)?, lock));
            }
            "ttl-propagate" => {
                let value = w.value(o)?;
                r.ttl_propagate = match value.text.as_str() {
                    "enabled" => Some(true),
                    "disabled" => Some(false),
                    other => {
                        let text = format!("ttl-propagate is enabled or disabled, not '{other}'");
                        w.c.report_at(Class::General, value, text);
                        return None;
                    }
                };
            }
            "nexthop" => r.nexthops.push(NextHop::default()),
            "weight" if !r.nexthops.is_empty() => {
                let weight = u16::try_from(w.number(o, 1, 256)?).unwrap_or(1);
                r.nexthops.iter_mut().last().into_iter().for_each(|h| h.weight = weight);
            }
            "no_track" => r.no_track = true,
            "track_group" if statics => group = Some(w.interface(o)?),
            "add" => r.placement = Placement::Add,
            "prepend" => r.placement = Placement::Prepend,
            "append" => r.placement = Placement::Append,
            "default" | "default6" => destination = Some(None),
            text => match text.parse::<IpCidr>().ok() {
                Some(d) if destination.is_none() => destination = Some(Some(d)),
                None if destination.is_none() && text.contains(['.', ':', '/']) => {
                    let (address, length) = text.split_once('/').unwrap_or((text, ""));
                    let text = match address.parse().map(|a| Family::of(a).bits()) {
                        Ok(bits) => format!("the prefix length {length} of '{text}' is not between 0 and {bits}"),
                        Err(_) => format!("'{address}' is not an IP address"),
                    };
                    w.c.report_at(Class::General, o, text + ", ignoring the route");
                    return None;
                }
                _ => {
                    let text = format!("unknown option '{text}' of a route, ignoring the route");
                    w.unknown(o, text, WORDS);
                    return None;
                }
            },
        }
    }
    let c = w.c;
    let Some(destination) = destination else {
        c.diagnostics.push(Class::General, start, "route without destination, ignoring it");
        return None;
    };
    let seen: Vec<Family> = destination.map(|d| d.address).into_iter().chain(r.source).map(Family::of).collect();
    let hop = r.nexthops.iter().find_map(|h| h.via).or(r.via);
    r.family = family.or(seen.first().copied()).or(hop.map(Family::of)).unwrap_or(Family::V4);
    if seen.into_iter().chain(plain_gateways.into_iter().map(Family::of)).any(|f| f != r.family) {
        c.diagnostics.push(Class::General, start, "route mixes IPv4 and IPv6, ignoring it");
        return None;
    }
    for (word, only) in bound {
        if only != r.family {
            let text = format!(
                "'{}' is for {} routes only, ignoring the route",
                word.text,
                if only == Family::V4 { "IPv4" } else { "IPv6" }
            );
            c.report_at(Class::General, word, text);
            return None;
        }
    }
    if let Some(second) = second {
        let interface = r.interface.take();
        r.nexthops = [r.via.take(), Some(second)]
            .map(|via| NextHop { via, interface: interface.clone(), ..NextHop::default() })
            .into();
    }
    let network = destination.map(|d| d.network());
    if let (Some(given), Some(network)) = (destination, network)
        && given != network
    {
        c.diagnostics.push(Class::Note, start, format!("{given} has host bits, using {network}"));
    }
    r.destination = network.filter(|d| d.prefix > 0);
    let local = matches!(r.kind, RouteKind::Local | RouteKind::Broadcast | RouteKind::Anycast);
    r.table = table.unwrap_or(if local { 255 } else { 254 });
    Some((r, group))
}
