//! Kernel settings that are changed while the daemon runs and put back at its end.

use serde::{Deserialize, Serialize};
use std::path::Path;
use steadfast_sys::files;

/// What was there before, in order of the changes. It is handed to a successor process, which would otherwise take our values
/// for the host's own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Settings {
    before: Vec<(String, String)>,
    /// The tables of blocked traffic that were made; empty: none. A later file may have another name for them.
    #[serde(default)]
    pub table: String,
}

/// What `name` of a link is under.
fn path(family: u8, link: &str, name: &str) -> String {
    format!("/proc/sys/net/ipv{family}/conf/{link}/{name}")
}

fn read(path: &str) -> Option<String> {
    let bytes = files::read_limited(Path::new(path), 64).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_string())
}

/// False: it could not be set, which the log says.
fn write(path: &str, value: &str) -> bool {
    let written = files::write_setting(Path::new(path), value);
    if let Err(e) = &written {
        log::warn!("cannot set {path} to {value}: {e}");
    }
    written.is_ok()
}

impl Settings {
    /// How many were changed.
    pub fn count(&self) -> usize {
        self.before.len()
    }

    /// Sets a value, and remembers the first one found.
    pub fn set(&mut self, family: u8, link: &str, name: &str, value: &str) {
        self.set_path(path(family, link, name), value);
    }

    fn set_path(&mut self, path: String, value: &str) {
        let Some(old) = read(&path) else { return };
        if old == value {
            return;
        }
        // What could not be set need not be put back.
        if write(&path, value) && !self.before.iter().any(|(p, _)| *p == path) {
            self.before.push((path, old));
        }
    }

    /// No membership reports for link-local groups.
    pub fn no_local_reports(&mut self) {
        self.set_path("/proc/sys/net/ipv4/igmp_link_local_mcast_reports".into(), "0");
    }

    /// A base link of virtual links: it must not answer for their addresses with its own hardware address.
    pub fn base(&mut self, link: &str) {
        self.set(4, link, "arp_ignore", "1");
        self.set(4, link, "arp_filter", "1");
        // Answers leave by the base link; its questions to neighbours must not name a virtual address beside its own MAC.
        self.set(4, link, "arp_announce", "2");
        // The greater of a link's and the common value holds. A virtual link needs 0; all others keep what they had.
        let Some(common) = read(&path(4, "all", "rp_filter")).filter(|v| v != "0") else { return };
        for other in files::names(Path::new("/proc/sys/net/ipv4/conf")) {
            if other != "all" && read(&path(4, &other, "rp_filter")).is_some_and(|own| own < common) {
                self.set(4, &other, "rp_filter", &common);
            }
        }
        self.set(4, "all", "rp_filter", "0");
    }

    /// A virtual link, before it comes up. It goes with us, so there is nothing to remember.
    pub fn virtual_link(link: &str, six: bool) {
        // IN6_ADDR_GEN_MODE_NONE: a link-local address made from the virtual MAC would be on every router of the group.
        write(&path(6, link, "addr_gen_mode"), "1");
        if six {
            // It has no IPv4 address to answer for, and must not answer for those of other links.
            write(&path(4, link, "arp_ignore"), "8");
            return;
        }
        write(&path(6, link, "disable_ipv6"), "1");
        for (name, value) in
            [("arp_ignore", "1"), ("accept_local", "1"), ("rp_filter", "0"), ("promote_secondaries", "1")]
        {
            write(&path(4, link, name), value);
        }
    }

    /// An ipvlan, before it comes up.
    pub fn ipvlan(link: &str, six: bool) {
        if !six {
            write(&path(6, link, "disable_ipv6"), "1");
        }
    }

    /// Links that have been a base and are none any more get their own values back. That of the common `rp_filter` stays for the others,
    /// and with it what makes up for it.
    pub fn free(&mut self, is_base: impl Fn(&str) -> bool) {
        let all = std::mem::take(&mut self.before);
        let of_none = |path: &str| base_of(path).is_some_and(|link| !is_base(link));
        let (gone, stay) = all.into_iter().partition(|(path, _)| of_none(path));
        self.before = stay;
        put_back(gone);
    }

    /// Puts everything back.
    pub fn restore(&mut self) {
        put_back(std::mem::take(&mut self.before));
    }
}

/// The link that has this setting because virtual links are on it.
fn base_of(path: &str) -> Option<&str> {
    let (link, name) = path.strip_prefix("/proc/sys/net/ipv4/conf/")?.rsplit_once('/')?;
    ["arp_ignore", "arp_filter", "arp_announce"].contains(&name).then_some(link)
}

fn put_back(all: Vec<(String, String)>) {
    for (path, value) in all.into_iter().rev() {
        // The link may be gone.
        if read(&path).is_some() {
            write(&path, &value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_no_base_any_more_is_as_it_was_and_the_others_stay() {
        // Neither is there: nothing is written.
        let of = |link: &str, name: &str| (path(4, link, name), "0".to_string());
        let others = [of("sf-b", "arp_ignore"), of("all", "rp_filter"), of("sf-a", "promote_secondaries")];
        let own = [of("sf-a", "arp_ignore"), of("sf-a", "arp_announce")];
        let before = own.into_iter().chain(others.clone()).collect();
        let mut s = Settings { before, table: String::new() };
        s.free(|link| link == "sf-b");
        assert_eq!(s.before, others);
    }
}
