//! Conformance fixtures: each requirement of the RFCs that the pure machine can show is a short scenario in `fixtures/`, named
//! by its item. [`run`] plays one.
//!
//! ```text
//! ## V3-45 title
//! router v3 priority=100            a router on eth0 (index 2, 10.0.0.1 or fe80::1), VRID 51, started at time 0
//! at 500                            lets the clock run to 500 ms
//! hear 10.0.0.9 200 ttl=254         an advert from there with that priority; words change it
//! state BACKUP                      what must be so
//! sent 100 0                        priorities of all adverts since the last `sent`; none
//! due 3609.375                      the next timer, in milliseconds
//! ```
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::kernel::Address;
use steadfast_core::{Family, IpCidr, Mac, Time};
use steadfast_vrrp::wire::{Advert, ChecksumForm, checksum};
use steadfast_vrrp::{
    Auth, Config, Input, InstanceConfig, Link, Output, Peer, Received, Router, Send, Unicast, Version, View,
};

/// All scenarios of both versions.
pub const FIXTURES: &str = concat!(include_str!("../fixtures/rfc9568.txt"), include_str!("../fixtures/rfc3768.txt"));

/// Items that have a scenario, in order.
pub fn items() -> Vec<&'static str> {
    FIXTURES.lines().filter_map(|l| l.strip_prefix("## ")?.split_whitespace().next()).collect()
}

struct World {
    router: Router,
    now: Time,
    out: Vec<Output>,
    sent: Vec<Send>,
    announced: usize,
    added: usize,
    removed: usize,
    logs: Vec<String>,
    order: Vec<&'static str>,
}

/// Plays the scenario of one item.
///
/// # Panics
/// Where the item is unknown, a line is not understood, or something is not as the scenario says.
pub fn run(item: &str) {
    let mut lines =
        FIXTURES.lines().skip_while(|l| l.strip_prefix("## ").is_none_or(|l| l.split(' ').next() != Some(item)));
    assert!(lines.next().is_some(), "no scenario {item}");
    let mut world: Option<World> = None;
    for line in lines.take_while(|l| !l.starts_with("## ")) {
        let words: Vec<&str> = line.split('#').next().unwrap_or("").split_whitespace().collect();
        let Some((verb, rest)) = words.split_first() else { continue };
        if *verb == "router" {
            world = Some(start(rest));
        } else {
            let world = world.as_mut().expect("a router first");
            world.step(verb, rest, &format!("{item}: {line}"));
        }
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|_| panic!("address {text}"))
}

fn cidr(text: &str) -> IpCidr {
    text.parse().unwrap_or_else(|_| panic!("prefix {text}"))
}

fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("number {text}"))
}

fn config(words: &[&str]) -> InstanceConfig {
    let family = if words.contains(&"v6") { Family::V6 } else { Family::V4 };
    let mut c = InstanceConfig::new("VI", "eth0", 51, family);
    let addresses = match family {
        Family::V4 => vec!["10.0.0.50/24"],
        Family::V6 => vec!["fe80::50/64", "2001:db8::50/64"],
    };
    c.addresses = addresses.into_iter().map(|a| Address::new(cidr(a), "eth0")).collect();
    for word in words {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "v6" => {}
            "v2" => c.version = Version::V2,
            "v3" => c.version = Version::V3,
            "both" => (c.version, c.also_version_2) = (Version::V3, true),
            "priority" => c.priority = number(value),
            "interval" => c.advert_interval = Duration::from_millis(number(value)),
            "preempt" => c.preempt = value == "yes",
            "fast" => c.fast_takeover = value == "yes",
            "soft" => c.soft_release = value == "yes",
            "strict" => c.strict = true,
            "master" => c.start_master = true,
            "plain" => c.checksum_without_pseudo = true,
            "silent" => c.lower_prio_no_advert = true,
            "password" => {
                let mut p = [0; 8];
                p[..value.len()].copy_from_slice(value.as_bytes());
                c.auth = Auth::Pass(p);
            }
            "peer" => {
                let peer = Peer { address: ip(value), min_ttl: 0, max_ttl: 255 };
                c.unicast = Some(Unicast { peers: vec![peer], ttl: 255, check_source: true });
            }
            other => panic!("word {other}"),
        }
    }
    c
}

fn start(words: &[&str]) -> World {
    let c = config(words);
    let mut out = Vec::new();
    let mut router = Router::new(Config { instances: vec![c], ..Config::default() }, 1, Time::ZERO, &mut out);
    for (index, name, addresses) in [
        (2, "eth0", ["10.0.0.1/24", "2001:db8::1/64", "fe80::1/64"]),
        (3, "eth1", ["10.0.1.1/24", "2001:db8:1::1/64", "fe80::1/64"]),
    ] {
        let link = Link {
            name: name.into(),
            index,
            up: true,
            mtu: 1500,
            mac: Mac::default(),
            addresses: addresses.iter().map(|a| cidr(a)).collect(),
            vrf: false,
        };
        router.handle(Time::ZERO, Input::Link(link), &mut out);
    }
    router.poll(Time::ZERO, &mut out);
    let mut world = World {
        router,
        now: Time::ZERO,
        out,
        sent: vec![],
        announced: 0,
        added: 0,
        removed: 0,
        logs: vec![],
        order: vec![],
    };
    world.sort_out();
    world
}

impl World {
    fn view(&self) -> View<'_> {
        self.router.views().next().expect("an instance")
    }

    fn sort_out(&mut self) {
        for o in self.out.drain(..) {
            match o {
                Output::Send(s) => {
                    self.order.push("send");
                    self.sent.push(s);
                }
                Output::Add(_) => {
                    self.order.push("add");
                    self.added += 1;
                }
                Output::Remove(_) => {
                    self.order.push("remove");
                    self.removed += 1;
                }
                Output::Announce { .. } => {
                    self.order.push("announce");
                    self.announced += 1;
                }
                Output::Log(_, text) => self.logs.push(text),
                _ => {}
            }
        }
        self.order.dedup();
    }

    fn run_to(&mut self, end: Time) {
        while let Some(at) = self.router.poll_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.router.poll(self.now, &mut self.out);
        }
        self.now = end;
        self.sort_out();
    }

    fn hear(&mut self, words: &[&str]) {
        let c = self.view().config.clone();
        let [from, priority, rest @ ..] = words else { panic!("hear FROM PRIORITY") };
        let source = ip(from);
        let mut destination = if c.unicast.is_some() { self.view().source.expect("a source") } else { c.group };
        let mut advert = Advert {
            version: c.version,
            vrid: c.vrid,
            priority: number(priority),
            interval: c.advert_interval,
            addresses: c.addresses.iter().map(|a| a.cidr.address).collect(),
            auth: c.auth.clone(),
        };
        let mut form =
            if c.version == Version::V2 && c.family == Family::V4 { ChecksumForm::Plain } else { ChecksumForm::Pseudo };
        let (mut hop_limit, mut interface, mut cut, mut repair) = (255, 2, 0, true);
        let mut bytes: Vec<(usize, u8)> = Vec::new();
        for word in rest {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            match key {
                "ttl" => hop_limit = number(value),
                "interface" => interface = number(value),
                "to" => destination = ip(value),
                "interval" => advert.interval = Duration::from_millis(number(value)),
                "vrid" => advert.vrid = number(value),
                "version" => advert.version = if value == "2" { Version::V2 } else { Version::V3 },
                "addresses" => {
                    advert.addresses = value.split(',').filter(|a| !a.is_empty()).map(ip).collect();
                }
                "noauth" => advert.auth = Auth::None,
                "plain" => form = ChecksumForm::Plain,
                "pseudo" => form = ChecksumForm::Pseudo,
                "cut" => cut = number(value),
                "badsum" => repair = false,
                "byte" => {
                    let (at, byte) = value.split_once(':').expect("byte=AT:VALUE");
                    bytes.push((number(at), number(byte)));
                }
                other => panic!("word {other}"),
            }
        }
        let mut message = advert.emit(form, source, destination);
        for (at, byte) in &bytes {
            message[*at] = *byte;
        }
        message[6..8].copy_from_slice(&[0, 0]);
        let sum = checksum(&message, form, source, destination);
        let sum = if repair { sum } else { sum ^ 0x0100 };
        message[6..8].copy_from_slice(&sum.to_be_bytes());
        message.truncate(message.len() - cut);
        let packet = Received { interface, source, destination, hop_limit, payload: &message, header: None };
        self.router.handle(self.now, Input::Packet(packet), &mut self.out);
        self.sort_out();
    }

    fn counter(&self, name: &str) -> u64 {
        let c = self.view().counters;
        match name {
            "advert_rcvd" => c.advert_rcvd,
            "ip_ttl_err" => c.ip_ttl_err,
            "version_err" => c.version_err,
            "invalid_type_rcvd" => c.invalid_type_rcvd,
            "packet_len_err" => c.packet_len_err,
            "checksum_err" => c.checksum_err,
            "addr_list_err" => c.addr_list_err,
            "advert_interval_err" => c.advert_interval_err,
            "authtype_mismatch" => c.authtype_mismatch,
            "invalid_authtype" => c.invalid_authtype,
            "auth_failure" => c.auth_failure,
            "pri_zero_rcvd" => c.pri_zero_rcvd,
            "pri_zero_sent" => c.pri_zero_sent,
            other => panic!("counter {other}"),
        }
    }

    fn step(&mut self, verb: &str, words: &[&str], line: &str) {
        match verb {
            "at" => {
                let ms: f64 = number(words[0]);
                self.run_to(Time::from_nanos((ms * 1e6).round() as u64));
            }
            "hear" => self.hear(words),
            "link" => {
                let up = words == ["up"];
                let mut link = Link {
                    name: "eth0".into(),
                    index: 2,
                    up,
                    mtu: 1500,
                    mac: Mac::default(),
                    addresses: vec![],
                    vrf: false,
                };
                link.addresses = ["10.0.0.1/24", "fe80::1/64"].iter().map(|a| cidr(a)).collect();
                self.router.handle(self.now, Input::Link(link), &mut self.out);
                self.sort_out();
            }
            "stop" => {
                self.router.handle(self.now, Input::Stop { keep_objects: false }, &mut self.out);
                self.sort_out();
            }
            "state" => assert_eq!(self.view().state.word(), words[0], "{line}"),
            "sent" => {
                let got: Vec<u8> = self.sent.iter().map(|s| s.payload[2]).collect();
                let want: Vec<u8> = words.iter().filter(|w| **w != "none").map(|w| number(w)).collect();
                assert_eq!(got, want, "{line}");
                self.sent.clear();
            }
            // the last advert, its list left where it is for `sent`
            "to" => self.last(line, |s| s.destination == ip(words[0])),
            "from" => self.last(line, |s| s.source == ip(words[0])),
            "ttl" => self.last(line, |s| s.hop_limit == number::<u8>(words[0])),
            "message" => {
                let hex: String =
                    self.sent.last().expect("an advert").payload.iter().map(|b| format!("{b:02x}")).collect();
                assert_eq!(hex, words.concat(), "{line}");
            }
            "announced" => {
                assert_eq!(self.announced, number::<usize>(words[0]), "{line}");
                self.announced = 0;
            }
            "holds" => {
                assert_eq!(self.added > self.removed, words[0] == "yes", "{line}");
            }
            "order" => {
                assert_eq!(self.order, words, "{line}");
                self.order.clear();
            }
            "due" => {
                let due = self.router.poll_at().map(|t| t.as_nanos());
                let ms: f64 = number(words[0]);
                assert_eq!(due, Some((ms * 1e6).round() as u64), "{line}");
            }
            "counter" => assert_eq!(self.counter(words[0]), number::<u64>(words[1]), "{line}"),
            "logged" => {
                let text = words.join(" ");
                let n = self.logs.iter().filter(|l| l.contains(&text)).count();
                assert_eq!(n, 1, "{line}: {:?}", self.logs);
            }
            "interval" => {
                assert_eq!(self.view().master_interval, Duration::from_millis(number(words[0])), "{line}");
            }
            "forget" => {
                self.order.clear();
                self.sent.clear();
                self.announced = 0;
                self.logs.clear();
            }
            "master" => {
                let master = self.view().master.map(|(a, _)| a);
                assert_eq!(master, if words[0] == "none" { None } else { Some(ip(words[0])) }, "{line}");
            }
            other => panic!("{line}: verb {other}"),
        }
    }

    fn last(&self, line: &str, check: impl Fn(&Send) -> bool) {
        let s = self.sent.last().expect("an advert");
        assert!(check(s), "{line}: {s:?}");
    }
}
