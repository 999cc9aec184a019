//! Pairs of configuration files, for: start(A), reload(B) ends where start(B) does. They are for a host with `eth0`
//! (10.77.0.1/24, fd77::1/64) and `d0` (10.78.0.1/24).

use crate::kernel::Kernel;
use std::collections::HashSet;
use std::fmt::Write;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::Object;
use steadfast_core::{IpCidr, Mac, Rng, Time};
use steadfast_vrrp::{Config, Input, Link, Output, Router};

/// A file that a seed chooses; what belongs together is the same in all of them.
fn file(rng: &mut Rng) -> String {
    let mut text = String::new();
    let mut some = |of: u64| rng.below(of) == 0;
    let block = |name: &str, lines: &[String]| match lines {
        [] => String::new(),
        lines => format!("{name} {{\n {}\n}}\n", lines.join("\n ")),
    };
    let mut statics: Vec<String> = Vec::new();
    for k in 1..4 {
        if some(2) {
            let scope = if some(3) { " scope link" } else { "" };
            statics.push(format!("10.99.{k}.1/24 dev d0{scope}"));
        }
    }
    text += &block("static_ipaddress", &statics);
    let mut routes: Vec<String> = Vec::new();
    for k in 0..2 {
        if some(2) {
            let metric = if some(2) { " metric 70" } else { "" };
            routes.push(format!("198.51.{k}.0/24 via 10.77.0.{} dev eth0{metric}", 5 + u32::from(some(2))));
        }
    }
    text += &block("static_routes", &routes);
    let rules: Vec<String> =
        (0..2).filter(|_| some(2)).map(|k| format!("from 10.99.{k}.0/24 table 77 preference 150{k}")).collect();
    text += &block("static_rules", &rules);
    // Addresses go to one instance or the other.
    let mut lists: Vec<Vec<String>> = vec![Vec::new(); 4];
    for k in 0..10u64 {
        let (mut label, mut scope) = (String::new(), "");
        if some(4) {
            label = format!(" label eth0:{k}");
        }
        // The kernel wants one scope for all addresses of a subnet.
        let mut prefix = 24;
        if some(4) {
            (scope, prefix) = (" scope link", 32);
        }
        let at = (0..4).find(|_| some(3));
        if let Some(list) = at.and_then(|n: usize| lists.get_mut(n)) {
            list.push(format!("10.77.0.{}/{prefix} dev eth0{scope}{label}", 100 + k));
        }
    }
    let mut members = Vec::new();
    for (n, addresses) in lists.into_iter().enumerate().filter(|(_, l)| !l.is_empty()) {
        let mut one = |lines: &str| text.push_str(lines);
        one(&format!("vrrp_instance V{n} {{\n version 3\n interface {}\n", if n == 3 { "d0" } else { "eth0" }));
        one(&format!(" virtual_router_id {}\n advert_int 0.05\n", 51 + n));
        one(&format!(" priority {}\n", [100, 150, 200, 254][usize::from(some(2)) + 2 * usize::from(some(2))]));
        if n == 2 && some(3) {
            one(" use_vmac sf0\n");
        }
        if some(4) {
            one(" nopreempt\n");
        }
        one(&format!(" virtual_ipaddress {{\n  {}\n }}\n", addresses.join("\n  ")));
        let mut excluded: Vec<String> =
            (0..3).filter(|_| some(2)).map(|k| format!("10.88.{n}.{k}/32 dev d0")).collect();
        if some(2) {
            excluded.push(format!("fd77::10{n}/64 dev eth0"));
        }
        if !excluded.is_empty() {
            one(&format!(" virtual_ipaddress_excluded {{\n  {}\n }}\n", excluded.join("\n  ")));
        }
        let mut routes: Vec<String> = Vec::new();
        if some(2) {
            let metric = if some(2) { 10 } else { 20 };
            routes.push(format!("203.0.{n}.0/24 via 10.77.0.{} dev eth0 metric {metric}", 5 + u32::from(some(2))));
        }
        if some(3) {
            routes.push(format!("blackhole 198.18.{n}.0/24"));
        }
        if some(3) {
            routes.push(format!("default via 10.77.0.{} dev eth0 table {}", 5 + u32::from(some(2)), 80 + n));
        }
        if some(4) {
            routes
                .push(format!("192.0.{n}.0/24 nexthop via 10.77.0.5 dev eth0 weight 2 nexthop via 10.77.0.6 dev eth0"));
        }
        if !routes.is_empty() {
            one(&format!(" virtual_routes {{\n  {}\n }}\n", routes.join("\n  ")));
        }
        if some(2) {
            let table = if some(2) { 80 } else { 90 };
            one(&format!(" virtual_rules {{\n  from 10.77.0.{} table {table} preference 16{n}0\n }}\n", 100 + n));
        }
        one("}\n");
        if some(2) {
            members.push(format!("V{n}"));
        }
    }
    if members.len() > 1 {
        let _ = writeln!(text, "vrrp_sync_group G {{\n group {{\n  {}\n }}\n}}", members.join("\n  "));
    }
    text
}

/// Two files that have something in common.
pub fn pair(seed: u64) -> (String, String) {
    let mut rng = Rng::new(seed.wrapping_mul(0x9e37_79b9));
    let a = file(&mut rng);
    // Pairs without an instance have nothing to say.
    let b = (0..50).map(|_| file(&mut rng)).find(|b| b.contains("vrrp_instance")).unwrap_or_default();
    if a.contains("vrrp_instance") { (a, b) } else { (b.clone(), b) }
}

/// A host whose only daemon this is.
struct Alone {
    router: Router,
    kernel: Kernel,
    owned: HashSet<Object>,
    out: Vec<Output>,
    now: Time,
}

fn link(index: u32, name: &str, own: &str, kernel: &Kernel) -> Link {
    let own: Option<IpAddr> = own.parse().ok();
    let own = own.map(|address| IpCidr { address, prefix: 24 });
    let addresses = own.into_iter().chain(kernel.addresses(name)).collect();
    let mac = Mac([2, 0, 0, 0, 0, index as u8]);
    Link { name: name.into(), index, up: true, mtu: 1500, mac, addresses, vrf: false }
}

impl Alone {
    fn start(config: Config) -> Alone {
        let mut out = Vec::new();
        let router = Router::new(config, 1, Time::ZERO, &mut out);
        let mut host =
            Alone { router, kernel: Kernel::default(), owned: HashSet::new(), out, now: Time::from_millis(1) };
        for l in [link(1, "eth0", "10.77.0.1", &host.kernel), link(2, "d0", "10.78.0.1", &host.kernel)] {
            host.router.handle(host.now, Input::Link(l), &mut host.out);
        }
        host.act();
        host
    }

    /// Carries everything out, with what the kernel says of it.
    fn act(&mut self) {
        while !self.out.is_empty() {
            for o in std::mem::take(&mut self.out) {
                match o {
                    Output::Add(o) => {
                        self.kernel.add(&o);
                        self.owned.insert(o.clone());
                        if let Object::Link(l) = &o {
                            let link = link(9, &l.name, "", &self.kernel);
                            self.router.handle(self.now, Input::Link(link), &mut self.out);
                        }
                    }
                    Output::Replace(old, o) => {
                        self.kernel.remove(&old);
                        self.kernel.add(&o);
                        self.owned.remove(&old);
                        self.owned.insert(o);
                    }
                    Output::Remove(o) => {
                        self.owned.remove(&o);
                        let there = self.kernel.remove(&o);
                        if let Object::Link(l) = &o {
                            self.router.handle(self.now, Input::LinkGone(&l.name), &mut self.out);
                        }
                        // An address that is gone is somebody's, as far as its link and itself tell.
                        let same = |x: &&Object| match (x, &o) {
                            (Object::Address(x), Object::Address(o)) => x.cidr == o.cidr && x.interface == o.interface,
                            _ => false,
                        };
                        if there && let Some(lost) = self.owned.iter().find(same).cloned() {
                            self.router.handle(self.now, Input::ObjectLost(&lost), &mut self.out);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn run(&mut self, during: Duration) {
        let end = self.now + during;
        while let Some(at) = self.router.poll_at().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.router.poll(self.now, &mut self.out);
            self.act();
        }
        self.now = end;
    }
}

/// start(A), reload(B) and start(B) in virtual time, with what the machine is told of the two files.
///
/// Fails with what is in one kernel and not in the other.
pub fn ends_alike(a: &Config, b: &Config) -> Result<(), String> {
    let mut one = Alone::start(a.clone());
    one.run(Duration::from_secs(2));
    one.router.reload(one.now, b.clone(), &mut one.out);
    one.act();
    one.run(Duration::from_secs(3));
    let mut other = Alone::start(b.clone());
    other.run(Duration::from_secs(3));
    let (one, other) = (one.kernel.all(), other.kernel.all());
    if one == other {
        return Ok(());
    }
    let missing = |of: &[String], from: &[String]| of.iter().filter(|o| !from.contains(o)).cloned().collect::<Vec<_>>();
    Err(format!("too much: {:#?}\nmissing: {:#?}", missing(&one, &other), missing(&other, &one)))
}
