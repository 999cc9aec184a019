//! Address, route, rule and peer lines: words in nearly any order.

use crate::diag::Class;
use crate::model::{LinkMethod, Peer};
use crate::parse::Cx;
use crate::section::{Declared, Keyword};
use crate::source::Word;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use steadfast_core::kernel::{Address, Realms};
use steadfast_core::{Family, IpCidr};

mod route;
mod rule;

pub(crate) use route::route;
pub(crate) use rule::rule;

const ADDRESS: &str = "address line (virtual_ipaddress, virtual_ipaddress_excluded, static_ipaddress)";

macro_rules! words {
    ($name:ident, $section:expr, $( $word:literal $syntax:literal $range:literal $default:literal $doc:literal; )*) => {
        const $name: Declared = Declared {
            section: $section,
            rows: concat!($( crate::section::row!($word, "", $syntax, $range, $default, $doc, true) ),*),
        };
    };
}
use words;

words! { ADDRESS_WORDS, ADDRESS,
    "(address)" "ADDR[/LEN]" "0-32, 0-128" "full length" "The address.";
    "dev" "IF" "-" "the instance's, eth0" "Its link.";
    "scope" "NAME|N" "0-255" "global" "Scope.";
    "brd" "ADDR|+|-" "-" "none" "IPv4 broadcast address; + all host bits set, - all clear.";
    "broadcast" "ADDR|+|-" "-" "none" "As brd.";
    "label" "NAME" "15 characters" "none" "IPv4 alias name.";
    "peer" "ADDR[/LEN]" "-" "none" "Far end of a point-to-point link.";
    "home" "-" "-" "off" "IPv6 home address.";
    "-nodad" "-" "-" "on" "No duplicate address detection; so it is in any case.";
    "mngtmpaddr" "-" "-" "off" "Template of temporary addresses.";
    "noprefixroute" "-" "-" "off" "No route to the prefix.";
    "autojoin" "-" "-" "off" "Joins the multicast group.";
    "no_track" "-" "-" "off" "Its link does not concern the instance.";
    "use_vmac" "-" "not static" "off" "On a virtual MAC link of its own.";
    "track_group" "NAME" "static addresses" "none" "Instances that its loss concerns.";
    "preferred_lft" "SECS|forever" "uint32" "forever; 0 for /128" "Preferred lifetime.";
}

words! { OTHER_WORDS, "vrrp_instance > unicast_peer (inline)",
    "(peer line)" "ADDR" "-" "-" "A peer.";
    "min_ttl" "N" "0-255" "0" "Least TTL of its packets.";
    "max_ttl" "N" "0-255" "255" "Greatest TTL of its packets.";
}

words! { TRACK_WORDS, "vrrp_instance > track_* entry (inline)",
    "weight" "N" "-254-254" "the tracker's" "Added to the priority.";
    "reverse" "-" "-" "off" "Success and failure change places.";
    "noreverse" "-" "-" "-" "Takes reverse back.";
}

words! { MAIL_WORDS, "global_defs > notification_email",
    "(address line)" "ADDR" "-" "-" "A recipient.";
}

/// For the reference.
pub(crate) fn keywords() -> impl Iterator<Item = Keyword> {
    [ADDRESS_WORDS, route::WORDS, rule::WORDS, DELAY_WORDS, LINKBEAT_WORDS, OTHER_WORDS, TRACK_WORDS, MAIL_WORDS]
        .into_iter()
        .flatten()
}

/// A cursor over the words of the current line.
struct Words<'c, 'a> {
    c: &'c mut Cx<'a>,
    n: usize,
    /// What an option without its value is: keepalived stops at some.
    missing: Class,
}

impl<'a> Words<'_, 'a> {
    /// A word that is no option of this kind of line, and the one of `known` that it may have been meant to be.
    fn unknown(&mut self, o: &Word, text: String, known: Declared) {
        // A word of static lines alone, where it stands elsewhere, is spelt as it is.
        let near = crate::diag::suggest(&o.text, known.words().filter(|k| !k.starts_with('(') && *k != o.text));
        let help = near.map(|k| format!("did you mean `{k}`?"));
        self.c.diagnostics.push_help(Class::General, Some(o.span), text, help);
    }

    fn next(&mut self) -> Option<&'a Word> {
        let w = self.c.word(self.n);
        self.n += 1;
        w
    }

    /// The value of an option; a missing one is reported.
    fn value(&mut self, of: &Word) -> Option<&'a Word> {
        let w = self.next();
        if w.is_none() {
            self.c.report_at(self.missing, of, format!("'{}' needs a value", of.text));
        }
        w
    }

    fn number(&mut self, of: &Word, low: i64, high: i64) -> Option<i64> {
        let w = self.value(of)?;
        self.c.number(w, low, high)
    }

    fn u32(&mut self, of: &Word) -> Option<u32> {
        self.number(of, 0, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
    }

    fn interface(&mut self, of: &Word) -> Option<String> {
        self.value(of).map(|w| w.text.to_string())
    }

    fn cidr(&mut self, of: &Word) -> Option<IpCidr> {
        let w = self.value(of)?;
        cidr(self.c, w)
    }

    /// A name of one of iproute2's tables, or a number, `0x` before a hexadecimal one; at most `high`.
    fn named(&mut self, of: &Word, table: &str, fixed: &[(&str, u32)], high: u32) -> Option<u32> {
        let w = self.value(of)?;
        self.name(of, w, &w.text, table, fixed, high)
    }

    fn name(&mut self, of: &Word, at: &Word, text: &str, table: &str, fixed: &[(&str, u32)], high: u32) -> Option<u32> {
        let found = fixed
            .iter()
            .find(|(n, _)| *n == text)
            .map(|(_, v)| *v)
            .or_else(|| number(text))
            .or_else(|| self.c.table(table, text));
        if found.is_none_or(|n| n > high) {
            let why = if found.is_some() { format!(", the greatest is {high}") } else { String::new() };
            let help = crate::diag::meant(text, fixed.iter().map(|(n, _)| *n)).filter(|_| found.is_none());
            self.c.diagnostics.push_help(
                Class::General,
                Some(at.span),
                format!("unknown {} '{text}'{why}", of.text),
                help,
            );
        }
        found.filter(|n| *n <= high)
    }

    fn u8_named(&mut self, of: &Word, table: &str, fixed: &[(&str, u32)]) -> Option<u8> {
        self.named(of, table, fixed, 255).and_then(|n| u8::try_from(n).ok())
    }

    /// `[FROM/]TO`.
    fn realms(&mut self, of: &Word) -> Option<Realms> {
        let w = self.value(of)?;
        let (from, to) = w.text.split_once('/').unwrap_or(("0", &w.text));
        let mut realm = |text: &str| self.name(of, w, text, "rt_realms", &[], 255).and_then(|n| u8::try_from(n).ok());
        Some(Realms { from: realm(from)?, to: realm(to)? })
    }
}

/// A number as C reads it: decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Option<u32> {
    let digits = |t: &str, radix: u32| {
        (!t.is_empty() && t.chars().all(|c| c.is_digit(radix))).then(|| u32::from_str_radix(t, radix).ok()).flatten()
    };
    text.strip_prefix("0x").map_or_else(|| digits(text, 10), |hex| digits(hex, 16))
}

const SCOPES: &[(&str, u32)] =
    &[("global", 0), ("universe", 0), ("site", 200), ("link", 253), ("host", 254), ("nowhere", 255)];
const TABLES: &[(&str, u32)] = &[("main", 254), ("local", 255), ("default", 253), ("unspec", 0)];
const PROTOCOLS: &[(&str, u32)] =
    &[("redirect", 1), ("kernel", 2), ("boot", 3), ("static", 4), ("ra", 9), ("keepalived", 18)];

/// `ADDR[/LEN]`; a length that is out of range counts as the full one and is reported.
fn cidr(c: &mut Cx<'_>, w: &Word) -> Option<IpCidr> {
    let (address, length) = w.text.split_once('/').map_or((w.text.as_str(), None), |(a, l)| (a, Some(l)));
    let Ok(address) = address.parse::<IpAddr>() else {
        c.report_at(Class::General, w, format!("'{}' is not an IP address", w.text));
        return None;
    };
    let bits = Family::of(address).bits();
    let prefix = match length.map(str::parse::<u8>) {
        None => bits,
        Some(Ok(l)) if l <= bits => l,
        Some(_) => {
            c.report_at(
                Class::General,
                w,
                format!("the prefix length of '{}' is not between 0 and {bits}, using {bits}", w.text),
            );
            bits
        }
    };
    Some(IpCidr { address, prefix })
}

/// An address line. The interface is left open when none is named; the second value says whether it was. The third is the track
/// group of a static address, which has `instance` none.
pub(crate) fn address(c: &mut Cx<'_>, instance: Option<()>) -> Option<(Address, bool, Option<String>)> {
    let first = c.word(0)?;
    let cidr = cidr(c, first)?;
    let six = cidr.address.is_ipv6();
    let mut a = Address::new(cidr, "");
    // A virtual address must answer at once; duplicate address detection would keep it silent for a second.
    a.nodad = six;
    a.preferred_lifetime = (six && cidr.prefix == 128).then_some(0);
    let mut named = false;
    let mut group = None;
    let mut broadcast = None;
    let mut w = Words { c, n: 1, missing: Class::General };
    while let Some(option) = w.next() {
        match option.text.as_str() {
            "dev" => {
                let dev = w.value(option)?;
                if w.c.host.interface(&dev.text).is_none() {
                    w.c.absent_link(Class::General, dev);
                }
                a.interface = dev.text.as_str().into();
                named = true;
            }
            "scope" => match w.u8_named(option, "rt_scopes", SCOPES) {
                // The kernel knows an IPv6 address's scope by itself.
                Some(s) if six && s != 0 => {
                    w.c.report_at(
                        Class::General,
                        option,
                        "an IPv6 address has the scope of its kind, ignoring this one",
                    );
                }
                Some(s) => a.scope = s,
                None => continue,
            },
            "brd" | "broadcast" => {
                broadcast = Some(option);
                let value = w.value(option)?;
                if let IpAddr::V4(own) = cidr.address {
                    let mask = u32::MAX.checked_shl(32 - u32::from(cidr.prefix)).unwrap_or(0);
                    let own = u32::from(own);
                    match value.text.as_str() {
                        // A network of one or two addresses has none (RFC 3021).
                        "+" | "-" if cidr.prefix > 30 => {
                            let text = format!("a prefix of {} bits has no broadcast address", cidr.prefix);
                            w.c.report_at(Class::General, value, text + ", ignoring it");
                        }
                        "+" => a.broadcast = Some(Ipv4Addr::from(own | !mask)),
                        "-" => a.broadcast = Some(Ipv4Addr::from(own & mask)),
                        t => match t.parse() {
                            Ok(b) => a.broadcast = Some(b),
                            Err(_) => w.c.report_at(Class::General, value, format!("'{t}' is not a broadcast address")),
                        },
                    }
                } else {
                    w.c.report_at(Class::General, value, "IPv6 has no broadcast address");
                }
            }
            "label" => {
                let value = w.value(option)?;
                if six {
                    w.c.report_at(Class::General, value, "labels are for IPv4 addresses");
                } else if value.text.len() > 15 {
                    w.c.report_at(
                        Class::General,
                        value,
                        format!("label '{}' is longer than 15 characters, ignoring the address", value.text),
                    );
                    return None;
                } else {
                    a.label = Some(value.text.as_str().into());
                }
            }
            "peer" => {
                if first.text.contains('/') {
                    let text =
                        format!("beside a peer '{}' takes no prefix length, that of the peer counts", first.text);
                    w.c.report_at(Class::General, first, text);
                }
                a.peer = w.cidr(option).map(Box::new);
                if let Some(peer) = a.peer.take_if(|p| p.address.is_ipv6() != six) {
                    let text = format!("the peer {} is of the other family, ignoring it", peer.address);
                    w.c.report_at(Class::General, option, text);
                }
            }
            "home" => a.home = true,
            // IPv6 addresses have it in any case, and IPv4 has no such detection.
            "-nodad" => {}
            "mngtmpaddr" => a.mngtmpaddr = true,
            "noprefixroute" => a.noprefixroute = true,
            "autojoin" => a.autojoin = true,
            "no_track" => a.no_track = true,
            "preferred_lft" => {
                let value = w.value(option)?;
                a.preferred_lifetime = if value.text == "forever" {
                    None
                } else {
                    w.c.number(value, 0, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok())
                };
            }
            "use_vmac" if instance.is_some() => a.own_link = true,
            "track_group" if instance.is_none() => group = Some(w.interface(option)?),
            other => w.unknown(option, format!("unknown option '{other}' of an address, ignoring it"), ADDRESS_WORDS),
        }
    }
    if let Some(word) = broadcast.filter(|_| a.peer.is_some() && a.broadcast.take().is_some()) {
        c.report_at(Class::General, word, "an address with a peer has no broadcast address, ignoring it");
    }
    Some((a, named, group))
}

/// A line of interface_up_down_delays: `IF DOWN [UP]`.
pub(crate) fn link_delay(c: &mut Cx<'_>) -> Option<(String, Duration, Duration)> {
    let link = c.word(0)?;
    if c.host.interface(&link.text).is_none() {
        // keepalived does not start then; here the link may come.
        c.absent_link(Class::Fatal, link);
    }
    let Some(down) = c.word(1) else {
        c.report_at(Class::General, link, "a delay is missing");
        return None;
    };
    let down = c.duration(down, 0.0, 255.0)?;
    let up = match c.word(2) {
        Some(w) => c.duration(w, 0.0, 255.0)?,
        None => down,
    };
    Some((link.text.to_string(), down, up))
}

words! { DELAY_WORDS, "interface_up_down_delays",
    "(interface line)" "IF DOWN [UP]" "0-255 seconds" "up = down" "How long a change of the link must last before it counts.";
}

/// `IF [MII|ETHTOOL|IOCTL]`
pub(crate) fn linkbeat(c: &mut Cx<'_>) -> Option<(String, Option<LinkMethod>)> {
    let link = c.word(0)?;
    if c.host.interface(&link.text).is_none() {
        let text = format!("unknown interface {} specified for linkbeat interface, it does not exist now", link.text);
        c.report_at(Class::General, link, text);
    }
    let method = match c.word(1).map(|w| (w, w.text.to_ascii_uppercase())) {
        None => None,
        Some((_, t)) if t == "MII" => Some(LinkMethod::Mii),
        Some((_, t)) if t == "ETHTOOL" => Some(LinkMethod::Ethtool),
        Some((_, t)) if t == "IOCTL" => Some(LinkMethod::Ioctl),
        Some((w, _)) => {
            c.report_at(Class::General, w, format!("'{}' is neither MII, ETHTOOL nor IOCTL", w.text));
            None
        }
    };
    Some((link.text.to_string(), method))
}

words! { LINKBEAT_WORDS, "linkbeat_interfaces",
    "(interface line)" "IF [MII|ETHTOOL|IOCTL]" "-" "what works" "A link whose driver is asked for its carrier.";
}

/// A peer line.
pub(crate) fn peer(c: &mut Cx<'_>) -> Option<Peer> {
    let first = c.word(0)?;
    // A prefix length is passed over.
    let Ok(address) = first.text.split('/').next().unwrap_or("").parse() else {
        c.report_at(Class::General, first, format!("'{}' is not an IP address", first.text));
        return None;
    };
    let mut ttl = None;
    let mut w = Words { c, n: 1, missing: Class::General };
    while let Some(option) = w.next() {
        match option.text.as_str() {
            "min_ttl" => {
                let low = u8::try_from(w.number(option, 0, 255)?).unwrap_or(0);
                ttl = Some((low, ttl.map_or(255, |t: (u8, u8)| t.1)));
            }
            "max_ttl" => {
                let high = u8::try_from(w.number(option, 0, 255)?).unwrap_or(255);
                ttl = Some((ttl.map_or(0, |t: (u8, u8)| t.0), high));
            }
            other => w.unknown(option, format!("unknown option '{other}' of a peer"), OTHER_WORDS),
        }
    }
    if let Some((low, high)) = ttl.filter(|(low, high)| low > high) {
        c.report_at(
            Class::General,
            first,
            format!("min_ttl {low} is above max_ttl {high}: nothing of the peer is taken"),
        );
    }
    Some(Peer { address, ttl })
}
