//! Groups of service addresses.

use crate::diag::Class;
use crate::model::ServerGroup;
use crate::parse::Cx;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl ServerGroup {
    /// The one family of its addresses and of those marks that have one.
    pub(super) fn six(&self) -> Option<bool> {
        let ranges = self.ranges.iter().map(|(first, ..)| first.is_ipv6());
        let mut all = ranges.chain(self.marks.iter().filter_map(|(_, six)| *six));
        let first = all.next()?;
        all.all(|six| six == first).then_some(first)
    }

    /// It has no addresses, which have a protocol and a port.
    pub(crate) fn is_of_marks(&self) -> bool {
        self.ranges.is_empty() && !self.marks.is_empty()
    }

    /// It has both families, and a mark that may be of either.
    pub(crate) fn ambiguous(&self) -> Option<u32> {
        let both = self.six().is_none() && (!self.ranges.is_empty() || self.marks.iter().any(|m| m.1.is_some()));
        self.marks.iter().find(|m| both && m.1.is_none()).map(|m| m.0)
    }
}

/// Entries of a group: `ADDR[-LAST] [PORT]`, `fwmark N [inet|inet6]`.
pub(crate) fn group(c: &mut Cx<'_>, v: &mut Vec<ServerGroup>) {
    let Some(name) = c.block_name() else { return };
    let mut g = ServerGroup { name, ..Default::default() };
    let mut unmarked = false;
    c.list(|c| {
        let Some(first) = c.word(0) else { return };
        if first.text == "fwmark" {
            let Some(w) = c.word(1) else {
                c.report(Class::MissingParameter, "'fwmark' needs a number");
                return;
            };
            let family = match c.word(2).map(|w| (w, w.text.as_str())) {
                None => None,
                Some((_, "inet")) => Some(false),
                Some((_, "inet6")) => Some(true),
                Some((w, other)) => {
                    c.report_at(Class::General, w, format!("'{other}' is no address family"));
                    None
                }
            };
            match c.number(w, 0, i64::from(u32::MAX)).and_then(|n| u32::try_from(n).ok()) {
                // keepalived takes it, and the kernel refuses the service.
                Some(0) => {
                    unmarked = true;
                    c.report_at(Class::Note, w, "fwmark 0 is no mark, ignoring it");
                }
                Some(n) => g.marks.push((n, family)),
                None => {}
            }
            return;
        }
        let port = match c.word(1) {
            None => 0,
            Some(p) => match c.number(p, 0, 65535).and_then(|n| u16::try_from(n).ok()) {
                Some(p) => p,
                None => return,
            },
        };
        if has_host_bits(&first.text) {
            let text = format!("'{}' has bits set behind the length of its prefix, ignoring it", first.text);
            return c.report_at(Class::General, first, text);
        }
        match range(&first.text) {
            // That is every address there is.
            Some(_) if first.text.ends_with("/0") => {
                c.report_at(Class::General, first, format!("'{}' has no netmask, ignoring it", first.text));
            }
            Some((a, b)) => {
                if wide(a, b) {
                    let text = format!("'{}' has more addresses than a range may, taking the first 65536", first.text);
                    c.report_at(Class::Note, first, text);
                }
                g.ranges.push((a, b, port));
            }
            None => c.report_at(Class::General, first, format!("'{}' is no range of addresses", first.text)),
        }
    });
    if g.ranges.is_empty() && g.marks.is_empty() {
        let class = if unmarked { Class::Note } else { Class::General };
        c.report(class, format!("virtual_server_group {} is empty", g.name));
    }
    v.push(g);
}

/// `192.0.2.1-9`, `192.0.2.1-192.0.2.9`, `2001:db8::1-1f`, `192.0.2.0/24`, or one address.
fn range(text: &str) -> Option<(IpAddr, IpAddr)> {
    if let Some((first, prefix)) = text.split_once('/') {
        let (address, prefix): (IpAddr, u32) = (first.parse().ok()?, prefix.parse().ok()?);
        return match address {
            IpAddr::V4(a) if prefix <= 32 => {
                let host = u32::MAX.checked_shr(prefix).unwrap_or(0);
                Some((address, Ipv4Addr::from(u32::from(a) | host).into()))
            }
            IpAddr::V6(a) if prefix <= 128 => {
                let host = u128::MAX.checked_shr(prefix).unwrap_or(0);
                Some((address, Ipv6Addr::from(u128::from(a) | host).into()))
            }
            _ => None,
        };
    }
    let Some((first, last)) = text.split_once('-') else {
        let one = text.parse().ok()?;
        return Some((one, one));
    };
    let first: IpAddr = first.parse().ok()?;
    let last = match (first, last.parse::<IpAddr>()) {
        (_, Ok(whole)) => whole,
        (IpAddr::V4(a), Err(_)) => {
            let [x, y, z, _] = a.octets();
            Ipv4Addr::new(x, y, z, last.parse().ok()?).into()
        }
        (IpAddr::V6(a), Err(_)) => {
            let mut groups = a.segments();
            groups[7] = u16::from_str_radix(last, 16).ok()?;
            Ipv6Addr::from(groups).into()
        }
    };
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some((first, last))
}

/// Whether a prefix has bits set behind its length, as `10.0.0.1/29`: which addresses are meant is open.
fn has_host_bits(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(length) = length.parse::<u32>() else { return false };
    match address.parse() {
        Ok(IpAddr::V4(a)) => u32::from(a).checked_shl(length).is_some_and(|host| host != 0),
        Ok(IpAddr::V6(a)) => u128::from(a).checked_shl(length).is_some_and(|host| host != 0),
        Err(_) => false,
    }
}

/// More addresses than the checker makes services of (its RANGE_LIMIT).
fn wide(first: IpAddr, last: IpAddr) -> bool {
    let number = |a: IpAddr| match a {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    };
    number(last).saturating_sub(number(first)) >= 65536
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_addresses() {
        let is = |text: &str, a: &str, b: &str| {
            assert_eq!(range(text), Some((a.parse().expect("first"), b.parse().expect("last"))), "{text}");
        };
        is("192.0.2.1-9", "192.0.2.1", "192.0.2.9");
        is("192.0.2.1-192.0.3.9", "192.0.2.1", "192.0.3.9");
        is("192.0.2.7", "192.0.2.7", "192.0.2.7");
        is("192.0.2.0/30", "192.0.2.0", "192.0.2.3");
        is("0.0.0.0/0", "0.0.0.0", "255.255.255.255");
        is("2001:db8::1-1f", "2001:db8::1", "2001:db8::1f");
        for bad in ["192.0.2.9-1", "192.0.2.1-256", "192.0.2.1-::1", "x", "192.0.2.0/33", ""] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
