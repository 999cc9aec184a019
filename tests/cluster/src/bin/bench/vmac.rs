//! A thousand virtual routers, each with a virtual MAC link of its own.

use crate::{Figure, row};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually};

/// Instances on one link: router ids are 8 bits.
const ON_LINK: u32 = 250;
/// Of the backup.
const PRIORITY: u8 = 100;

fn conf(n: u32, priority: u8) -> String {
    let one = |i: u32| {
        let (link, vrid) = (i / ON_LINK, i % ON_LINK + 1);
        format!(
            "vrrp_instance I{i} {{\n interface b{link}\n virtual_router_id {vrid}\n version 3\n priority {priority}\n advert_int 1\n \
             use_vmac v{i}\n virtual_ipaddress {{\n 10.{}.1.{vrid}/16\n }}\n}}\n",
            80 + link
        )
    };
    (0..n).map(one).collect()
}

/// An advert on the wire: link, router id, sender, and the kernel's time in seconds.
struct Seen {
    router: (u32, u8),
    from: Ipv4Addr,
    at: f64,
}

/// Adverts on the links of a host, in both directions, with the kernel's stamps.
fn observe(links: u32, ended: &AtomicBool) -> Vec<Seen> {
    // ETH_P_ALL: outgoing packets, too.
    let all = Protocol::from(i32::from(3u16.to_be()));
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(all)).expect("packet socket");
    setsockopt(&socket, sockopt::RcvBufForce, &(64 << 20)).expect("buffer");
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).expect("stamps");
    socket.set_read_timeout(Some(Duration::from_millis(20))).expect("timeout");
    // The same packets are seen on the virtual links.
    let index = |n: u32| nix::net::if_::if_nametoindex(format!("b{n}").as_str()).expect("index") as usize;
    let links: BTreeMap<usize, u32> = (0..links).map(|n| (index(n), n)).collect();
    let mut seen = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let mut bytes = [0u8; 256];
        let mut room = nix::cmsg_space!(nix::sys::time::TimeSpec);
        let mut parts = [IoSliceMut::new(&mut bytes)];
        let Ok(m) = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::empty()) else {
            continue;
        };
        let link = m.address.and_then(|a| links.get(&a.ifindex()).copied());
        let stamp = m.cmsgs().ok().and_then(|mut c| {
            c.find_map(|c| if let ControlMessageOwned::ScmTimestampns(t) = c { Some(t) } else { None })
        });
        if let (Some(link), Some(stamp)) = (link, stamp)
            && bytes[12..14] == [8, 0]
            && bytes[23] == 112
        {
            let from = Ipv4Addr::new(bytes[26], bytes[27], bytes[28], bytes[29]);
            let at = stamp.tv_sec() as f64 + stamp.tv_nsec() as f64 / 1e9;
            seen.push(Seen { router: (link, bytes[14 + usize::from(bytes[14] & 15) * 4 + 1]), from, at });
        }
    }
    seen
}

/// Hosts with links b0, b1, … of their own between them.
fn join(a: &Host, b: &Host, links: u32) {
    for n in 0..links {
        a.ip(&format!("link add b{n} type veth peer name b{n} netns {}", b.namespace));
        for (host, last) in [(a, 1), (b, 2)] {
            host.ip(&format!("link set b{n} up"));
            host.ip(&format!("addr add 10.{}.0.{last}/16 dev b{n}", 80 + n));
        }
    }
}

/// From the start of the process to the last virtual link that is up, all instances being in a state; and from the last advert of a
/// master that was killed, with all its processes, to the first of its successor, less what the RFC has it wait.
pub fn vmac(kinds: &[Kind], quick: bool) {
    let n: u32 = if quick { 100 } else { 1000 };
    let links = n.div_ceil(ON_LINK);
    let mut late: BTreeMap<bool, Vec<f64>> = BTreeMap::new();
    row(&format!("{n} virtual MAC links: start, s"), kinds, |kind| {
        let lan = Lan::new(2);
        let (a, b) = (&lan.hosts[0], &lan.hosts[1]);
        join(a, b, links);
        // The kernel takes its time to call a link that works UP: a hundred a second. Before that it is UNKNOWN.
        let up = |host: &Host| {
            let list = host.show("-br link show type macvlan up");
            list.lines().filter(|l| !l.contains("DOWN ")).count() >= n as usize
        };
        let states = |d: &Daemon, word: &str| d.log().matches(&format!("Entering {word} STATE")).count() >= n as usize;
        let start = |host: &Host, priority| {
            let begun = Instant::now();
            let d = Daemon::start(host, kind, &conf(n, priority));
            eventually(Duration::from_secs(60), || states(&d, "BACKUP") && up(host));
            (d, begun.elapsed().as_secs_f64())
        };
        let (first, began) = start(a, 200);
        if !eventually(Duration::from_secs(30), || states(&first, "MASTER")) {
            let masters = first.log().matches("Entering MASTER STATE").count();
            late.insert(kind == Kind::Steadfast, vec![f64::INFINITY]);
            return Figure { text: format!("{began:.2}; {masters} are masters in time"), met: Some(false) };
        }
        let (_second, again) = start(b, PRIORITY);
        // Second announcements are out, and the backup has heard of every master.
        std::thread::sleep(Duration::from_secs(7));
        let end = Arc::new(AtomicBool::new(false));
        let ended = end.clone();
        let ear = b.inside(move || observe(links, &ended));
        std::thread::sleep(Duration::from_millis(2500));
        first.crash();
        std::thread::sleep(Duration::from_secs(7));
        end.store(true, Ordering::Relaxed);
        let seen = ear.join().expect("ear");
        let wait = 3.0 + f64::from(256 - u32::from(PRIORITY)) / 256.0;
        let mut samples = Vec::new();
        for router in (0..n).map(|i| (i / ON_LINK, (i % ON_LINK + 1) as u8)) {
            let of = |last: u8| seen.iter().filter(move |s| s.router == router && s.from.octets()[3] == last);
            // Who was not master when it was killed has no successor to wait for.
            let Some(before) = of(1).next_back().map(|s| s.at) else {
                samples.push(f64::INFINITY);
                continue;
            };
            let next = of(2).find(|s| s.at > before);
            samples.push(next.map_or(f64::INFINITY, |next| next.at - before - wait));
        }
        samples.sort_by(f64::total_cmp);
        late.insert(kind == Kind::Steadfast, samples);
        Figure { text: format!("{began:.2}, {again:.2} beside the first"), met: Some(began.max(again) < 5.0) }
    });
    row(&format!("{n} virtual MAC links: takeover lateness"), kinds, |kind| {
        let samples = &late[&(kind == Kind::Steadfast)];
        let (middle, worst) = (samples[samples.len() / 2], samples[samples.len() - 1]);
        let text = format!("{:.1} ms, worst {:.1}", middle * 1e3, worst * 1e3);
        Figure { text, met: Some(worst < 0.05) }
    });
}
