//! Behaviour of the whole machine, seen from outside: inputs and outputs only.

use crate::wire::{self, Repr};
use crate::*;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;
use steadfast_core::kernel::{Address, Object};
use steadfast_core::{Family, IpCidr, Mac, State, Time};

const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn ms(n: u64) -> Time {
    Time::from_millis(n)
}

fn vip(last: u8, interface: &str) -> Address {
    Address::new(IpCidr { address: ip(last), prefix: 24 }, interface)
}

fn instance(name: &str, interface: &str, vrid: u8, priority: u8) -> InstanceConfig {
    let mut i = InstanceConfig::new(name, interface, vrid, Family::V4);
    i.priority = priority;
    i.addresses = vec![vip(100 + vrid, interface)];
    i
}

fn link(name: &str, index: u32, up: bool) -> Link {
    let own = IpCidr { address: ip(u8::try_from(index).expect("small")), prefix: 24 };
    Link { name: name.into(), index, up, mtu: 1500, mac: Mac([2, 0, 0, 0, 0, 1]), addresses: vec![own] }
}

/// A router under test and what it has said.
struct Lab {
    router: Router,
    out: Vec<Output>,
    now: Time,
}

impl Lab {
    fn with(config: Config) -> Lab {
        let mut out = Vec::new();
        let mut router = Router::new(config, 1, Time::ZERO, &mut out);
        router.handle(Time::ZERO, Input::Link(link("eth0", 1, true)), &mut out);
        router.handle(Time::ZERO, Input::Link(link("eth1", 2, true)), &mut out);
        router.poll(Time::ZERO, &mut out);
        Lab { router, out, now: Time::ZERO }
    }

    fn new(i: InstanceConfig) -> Lab {
        Lab::with(Config { instances: vec![i], ..Default::default() })
    }

    /// Lets time pass, every timer in its turn.
    fn run_to(&mut self, until: Time) -> &mut Lab {
        while let Some(at) = self.router.poll_at().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.router.poll(self.now, &mut self.out);
        }
        self.now = until;
        self.router.poll(until, &mut self.out);
        self
    }

    fn input(&mut self, input: Input<'_>) -> &mut Lab {
        self.router.handle(self.now, input, &mut self.out);
        self
    }

    fn advert(&mut self, i: &InstanceConfig, from: u8, priority: u8) -> &mut Lab {
        let interface = if i.interface == "eth0" { 1 } else { 2 };
        let bytes = advert_bytes(i, from, priority);
        self.packet(interface, from, 255, &bytes)
    }

    fn packet(&mut self, interface: u32, from: u8, hop_limit: u8, payload: &[u8]) -> &mut Lab {
        self.input(Input::Packet(Received { interface, source: ip(from), destination: GROUP, hop_limit, payload }))
    }

    fn state(&self, n: usize) -> State {
        self.router.views().nth(n).expect("instance").state
    }

    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }
}

fn advert_bytes(i: &InstanceConfig, from: u8, priority: u8) -> Vec<u8> {
    let addresses: Vec<IpAddr> = i.addresses.iter().map(|a| a.cidr.address).collect();
    let password = if let Auth::Pass(p) = i.auth { Some(p) } else { None };
    Repr { version: i.version, vrid: i.vrid, priority, interval: i.advert_interval, addresses: &addresses, password }
        .emit(ip(from), GROUP, false)
}

fn sent(out: &[Output]) -> Vec<u8> {
    out.iter().filter_map(|o| if let Output::Send(s) = o { Some(s.payload[2]) } else { None }).collect()
}

fn notices(out: &[Output]) -> Vec<String> {
    out.iter()
        .filter_map(|o| match o {
            Output::Instance { name, notice, .. } => Some(format!("{name} {}", notice.word())),
            Output::Group { name, notice } => Some(format!("GROUP {name} {}", notice.word())),
            _ => None,
        })
        .collect()
}

fn announced(out: &[Output]) -> usize {
    out.iter().filter(|o| matches!(o, Output::Announce { .. })).count()
}

fn removed(out: &[Output]) -> usize {
    out.iter().filter(|o| matches!(o, Output::Remove(_))).count()
}

fn logged(out: &[Output], text: &str) -> usize {
    out.iter().filter(|o| matches!(o, Output::Log(_, l) if l.contains(text))).count()
}

#[test]
fn a_lone_backup_becomes_master_after_the_master_down_interval() {
    let mut lab = Lab::new(instance("VI", "eth0", 51, 100));
    assert_eq!(notices(&lab.take()), ["VI BACKUP"]);
    lab.run_to(ms(3609));
    assert_eq!((lab.state(0), sent(&lab.take())), (State::Backup, vec![]));
    lab.run_to(ms(3610));
    let out = lab.take();
    assert_eq!((lab.state(0), sent(&out), announced(&out)), (State::Master, vec![100], 5));
    assert_eq!(notices(&out), ["VI MASTER"]);
    let add = out.iter().position(|o| matches!(o, Output::Add(_))).expect("address added");
    let announce = out.iter().position(|o| matches!(o, Output::Announce { .. })).expect("announced");
    assert!(add < announce, "an address answers before it is announced");
    assert_eq!(sent(&lab.run_to(ms(8700)).take()), [100; 5], "one advert a second");
}

#[test]
fn an_owner_is_master_at_once() {
    let mut i = instance("VI", "eth0", 51, 255);
    i.start_master = true;
    let mut lab = Lab::new(i);
    assert_eq!((lab.state(0), sent(&lab.take())), (State::Master, vec![255]));
}

#[test]
fn every_state_takes_every_advert_as_the_rfc_says() {
    use State::{Backup, Master};
    let i = instance("VI", "eth0", 51, 100);
    // (start, own address against sender, priority heard, state after, adverts sent)
    let table: &[(State, u8, u8, State, &[u8])] = &[
        (Backup, 200, 0, Backup, &[]),
        (Backup, 200, 99, Backup, &[]),
        (Backup, 200, 100, Backup, &[]),
        (Backup, 200, 101, Backup, &[]),
        (Backup, 200, 255, Backup, &[]),
        (Master, 200, 0, Master, &[100]),
        (Master, 200, 99, Master, &[100]),
        (Master, 0, 100, Master, &[100]),
        // Equal priority, greater address: it wins. The loser says so once, for the winner to announce itself.
        (Master, 200, 100, Backup, &[100]),
        (Master, 200, 101, Backup, &[100]),
        (Master, 200, 255, Backup, &[100]),
    ];
    for (start, from, priority, after, adverts) in table {
        let mut lab = Lab::new(i.clone());
        if *start == Master {
            lab.run_to(ms(4000));
        }
        lab.run_to(lab.now + Duration::from_millis(100));
        lab.take();
        lab.advert(&i, *from, *priority);
        let got = sent(&lab.take());
        assert_eq!((lab.state(0), got.as_slice()), (*after, *adverts), "{start} hears {priority} from .{from}");
    }
}

#[test]
fn a_packet_that_is_thrown_away_changes_nothing() {
    let mut i = instance("VI", "eth0", 51, 100);
    i.auth = Auth::Pass(*b"secret\0\0");
    let good = advert_bytes(&i, 200, 255);
    let change = |f: &dyn Fn(&mut Vec<u8>)| {
        let mut b = good.clone();
        f(&mut b);
        b
    };
    let hostile: Vec<(u8, Vec<u8>)> = vec![
        (254, good.clone()),
        (255, change(&|b| b[7] ^= 1)),
        (255, change(&|b| b[0] = 0x31)),
        (255, change(&|b| b[0] = 0x22)),
        (255, change(&|b| b[5] = 9)),
        (255, change(&|b| b[12] ^= 1)),
        (255, change(&|b| b[4] = 0)),
        (255, change(&|b| b[3] = 200)),
        (255, good[..10].to_vec()),
        (255, vec![0x21, 51]),
    ];
    for (start, at) in [(State::Backup, 100), (State::Master, 4000)] {
        let mut quiet = Lab::new(i.clone());
        let mut loud = Lab::new(i.clone());
        for lab in [&mut quiet, &mut loud] {
            lab.run_to(ms(at));
            lab.take();
        }
        assert_eq!(loud.state(0), start);
        for n in 0..50_000u64 {
            let (ttl, bytes) = &hostile[n as usize % hostile.len()];
            let t = ms(at) + Duration::from_micros(n * 20);
            loud.run_to(t);
            loud.packet(1, 200, *ttl, bytes);
        }
        quiet.run_to(ms(at + 3000));
        loud.run_to(ms(at + 3000));
        let (quiet_out, loud_out) = (quiet.take(), loud.take());
        let not_log = |o: &&Output| !matches!(o, Output::Log(..));
        assert!(loud_out.iter().filter(not_log).eq(quiet_out.iter().filter(not_log)), "{start}: outputs differ");
        let bytes: usize = loud_out.iter().map(|o| if let Output::Log(_, l) = o { l.len() } else { 0 }).sum();
        assert!(bytes < 8192, "{start}: {bytes} bytes of log");
    }
}

#[test]
fn only_configured_unicast_peers_are_heard() {
    let mut i = instance("VI", "eth0", 51, 100);
    i.unicast = Some(Unicast {
        peers: vec![Peer { address: ip(200), min_ttl: 0, max_ttl: 255 }],
        ttl: 255,
        check_source: true,
    });
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(4000));
    let hear = |lab: &mut Lab, from: u8| {
        let addresses = [ip(151)];
        let bytes = Repr {
            version: Version::V2,
            vrid: 51,
            priority: 255,
            interval: Duration::from_secs(1),
            addresses: &addresses,
            password: None,
        }
        .emit(ip(from), ip(1), false);
        lab.input(Input::Packet(Received {
            interface: 1,
            source: ip(from),
            destination: ip(1),
            hop_limit: 57,
            payload: &bytes,
        }));
    };
    hear(&mut lab, 66);
    assert_eq!(lab.state(0), State::Master, "a stranger is nobody");
    hear(&mut lab, 200);
    assert_eq!(lab.state(0), State::Backup, "a peer is heard whatever its TTL");
}

#[test]
fn a_lower_priority_of_the_current_master_leads_to_takeover_within_ten_milliseconds() {
    let i = instance("VI", "eth0", 51, 100);
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(500)).advert(&i, 200, 200);
    lab.run_to(ms(1500)).advert(&i, 200, 80);
    assert_eq!(lab.state(0), State::Backup);
    lab.run_to(ms(1511));
    assert_eq!(lab.state(0), State::Master);
    // Somebody who is not the master is ignored, and strict mode keeps the RFC's timing.
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(500)).advert(&i, 200, 200);
    lab.run_to(ms(600)).advert(&i, 201, 80).run_to(ms(700));
    assert_eq!(lab.state(0), State::Backup);
    let mut strict = i.clone();
    strict.strict = true;
    let mut lab = Lab::new(strict);
    lab.run_to(ms(500)).advert(&i, 200, 200);
    lab.run_to(ms(1500)).advert(&i, 200, 80).run_to(ms(3500));
    assert_eq!(lab.state(0), State::Backup);
}

#[test]
fn an_orderly_stop_serves_until_the_successor_is_heard() {
    let i = instance("VI", "eth0", 51, 200);
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(4000)).take();
    lab.input(Input::Stop { keep_objects: false });
    let out = lab.take();
    assert_eq!((sent(&out), removed(&out)), (vec![0], 0), "priority 0 is said, the address stays");
    lab.run_to(ms(4600)).advert(&i, 7, 100);
    let out = lab.take();
    assert_eq!(removed(&out), 1, "the successor was heard");
    assert!(out.contains(&Output::Stopped));
    // Nobody comes: it ends after the longest skew.
    let mut lab = Lab::new(i);
    lab.run_to(ms(4000)).input(Input::Stop { keep_objects: false }).take();
    let out = lab.run_to(ms(5100)).take();
    assert!(removed(&out) == 1 && out.contains(&Output::Stopped));
}

#[test]
fn the_winner_announces_itself_again_after_contention() {
    let i = instance("VI", "eth0", 51, 200);
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(20_000)).take();
    lab.advert(&i, 7, 100);
    assert!(announced(&lab.take()) >= 1);
    // A stubborn loser cannot make it flood: at most one burst a second.
    for n in 0..1000u64 {
        lab.run_to(ms(20_000) + Duration::from_millis(n)).advert(&i, 7, 100);
    }
    assert!(announced(&lab.take()) <= 20);
}

#[test]
fn a_master_that_overslept_listens_before_it_sends() {
    let i = instance("VI", "eth0", 51, 100);
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(4000)).take();
    // Nothing happens for ten seconds, then everything at once: the packet that waited in the socket, then the timers.
    lab.now = ms(14_000);
    lab.advert(&i, 200, 200);
    lab.router.poll(ms(14_000), &mut lab.out);
    assert_eq!(lab.state(0), State::Backup);
    // With nobody there it goes on, after one interval of silence, and announces itself.
    let mut lab = Lab::new(i);
    lab.run_to(ms(4000)).take();
    lab.now = ms(14_000);
    lab.router.poll(ms(14_000), &mut lab.out);
    assert_eq!(sent(&lab.take()), Vec::<u8>::new());
    let out = lab.run_to(ms(15_100)).take();
    assert!(sent(&out) == [100] && announced(&out) > 0);
}

#[test]
fn a_sync_group_hands_all_members_over_together() {
    let (a, b) = (instance("A", "eth0", 51, 100), instance("B", "eth1", 52, 100));
    let config = Config {
        instances: vec![a.clone(), b.clone()],
        groups: vec![GroupConfig { name: "G".into(), members: vec!["A".into(), "B".into()], tracking_weight: false }],
        ..Default::default()
    };
    // The other side gives up on eth0; its eth1 is cut and silent. B must not wait for its own timer.
    let mut lab = Lab::with(config.clone());
    assert_eq!(notices(&lab.take()), ["GROUP G BACKUP", "A BACKUP", "B BACKUP"]);
    lab.run_to(ms(500)).advert(&a, 200, 200).advert(&b, 200, 200);
    lab.run_to(ms(1000)).advert(&a, 200, 0);
    lab.run_to(ms(1700));
    assert_eq!((lab.state(0), lab.state(1)), (State::Master, State::Master));
    assert_eq!(notices(&lab.take()), ["A MASTER", "B MASTER", "GROUP G MASTER"]);
    // One member's link dies: the other says priority 0 at once and both are in fault.
    lab.input(Input::Link(link("eth1", 2, false)));
    let out = lab.take();
    assert_eq!((lab.state(0), lab.state(1), sent(&out)), (State::Fault, State::Fault, vec![0]));
    assert_eq!(notices(&out), ["A FAULT", "B FAULT", "GROUP G FAULT"]);
    lab.run_to(ms(5000)).take();
    lab.input(Input::Link(link("eth1", 2, true)));
    assert_eq!(notices(&lab.take()), ["A BACKUP", "B BACKUP", "GROUP G BACKUP"]);
    // A single timer is not enough to make one member master alone.
    let mut lab = Lab::with(config);
    for n in 0..8 {
        lab.run_to(ms(n * 1000)).advert(&b, 200, 200);
    }
    assert_eq!((lab.state(0), lab.state(1)), (State::Backup, State::Backup));
}

#[test]
fn an_absent_interface_is_waited_for() {
    let mut i = instance("VI", "eth9", 51, 100);
    i.addresses = vec![vip(100, "eth9")];
    let mut lab = Lab::new(i);
    assert_eq!((lab.state(0), logged(&lab.take(), "interface eth9 is absent")), (State::Fault, 1));
    lab.run_to(ms(60_000));
    assert!(lab.take().is_empty(), "it is said once");
    lab.input(Input::Link(link("eth9", 9, true)));
    assert_eq!(lab.state(0), State::Backup);
    lab.run_to(ms(64_000));
    assert_eq!(lab.state(0), State::Master);
}

#[test]
fn a_lost_address_is_put_back_and_a_vandal_is_slowed_down() {
    let i = instance("VI", "eth0", 51, 100);
    let object = Object::Address(vip(151, "eth0"));
    let mut lab = Lab::new(i);
    lab.run_to(ms(4000)).take();
    lab.input(Input::ObjectLost(&object));
    let out = lab.take();
    assert!(out.contains(&Output::Add(object.clone())) && announced(&out) == 1);
    assert_eq!(lab.state(0), State::Master);
    for n in 0..5000u64 {
        lab.run_to(ms(4000 + n)).input(Input::ObjectLost(&object));
    }
    let adds = lab.take().iter().filter(|o| matches!(o, Output::Add(_))).count();
    assert!(adds < 60, "{adds}");
}

#[test]
fn other_addresses_in_an_advert_are_named_once_with_both_lists() {
    let i = instance("VI", "eth0", 51, 100);
    let mut other = i.clone();
    other.addresses = vec![vip(99, "eth0")];
    let mut lab = Lab::new(i);
    for _ in 0..10 {
        lab.advert(&other, 200, 200);
    }
    let out = lab.take();
    assert_eq!(logged(&out, "received [10.0.0.99], configured [10.0.0.151]"), 1);
    lab.run_to(ms(3700));
    assert_eq!(lab.state(0), State::Master, "after silence");
}

#[test]
fn scripts_change_the_priority_and_the_master_says_so() {
    let mut i = instance("VI", "eth0", 51, 200);
    i.tracks = vec![Track { what: Tracked::Script("chk".into()), weight: -120, reverse: false }];
    let script = ScriptConfig {
        name: "chk".into(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        init_fail: false,
        command: "x".into(),
    };
    let mut lab = Lab::with(Config { instances: vec![i], scripts: vec![script], ..Default::default() });
    assert!(lab.take().contains(&Output::StartScript("chk".into())));
    lab.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0))).run_to(ms(4000)).take();
    lab.input(Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    assert_eq!(logged(&lab.take(), "Changing effective priority from 200 to 80"), 1);
    assert_eq!(sent(&lab.run_to(ms(4900)).take()), [80]);
    // A run that hangs is ended, and counts as failed.
    let out = lab.run_to(ms(9000)).take();
    assert!(
        out.contains(&Output::KillScript("chk".into(), Kill::Term))
            && out.contains(&Output::KillScript("chk".into(), Kill::Kill))
    );
}

#[test]
fn a_weightless_script_holds_the_start_until_its_first_result() {
    let mut i = instance("VI", "eth0", 51, 200);
    i.tracks = vec![Track { what: Tracked::Script("chk".into()), weight: 0, reverse: false }];
    let script = ScriptConfig {
        name: "chk".into(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
        init_fail: false,
        command: "x".into(),
    };
    let mut lab = Lab::with(Config { instances: vec![i.clone()], scripts: vec![script], ..Default::default() });
    assert_eq!((lab.state(0), notices(&lab.take())), (State::Init, vec![]));
    lab.input(Input::ScriptEnded("chk", ScriptEnd::Exited(0)));
    assert_eq!(lab.state(0), State::Backup);
    // It fails while master: fault, softly.
    lab.run_to(ms(4000)).take();
    lab.input(Input::ScriptEnded("chk", ScriptEnd::Exited(1)));
    let out = lab.take();
    assert_eq!((lab.state(0), sent(&out), removed(&out)), (State::Fault, vec![0], 0));
    lab.advert(&i, 7, 50);
    assert_eq!(removed(&lab.take()), 1);
}

#[test]
fn nopreempt_and_preempt_delay_leave_a_lower_master_alone() {
    let mut i = instance("VI", "eth0", 51, 200);
    i.preempt = false;
    let mut lab = Lab::new(i.clone());
    for n in 0..20 {
        lab.run_to(ms(n * 1000)).advert(&i, 7, 100);
    }
    assert_eq!(lab.state(0), State::Backup);
    i.preempt = true;
    i.preempt_delay = Duration::from_secs(10);
    let mut lab = Lab::new(i.clone());
    for n in 0..10 {
        lab.run_to(ms(n * 1000)).advert(&i, 7, 100);
        assert_eq!(lab.state(0), State::Backup, "after {n} s");
    }
    lab.run_to(ms(10_500)).advert(&i, 7, 100).run_to(ms(10_600));
    assert_eq!(lab.state(0), State::Master);
}

#[test]
fn a_reload_keeps_timers_and_changes_addresses_by_their_difference() {
    let i = instance("VI", "eth0", 51, 100);
    let config = |i: &InstanceConfig| Config { instances: vec![i.clone()], ..Default::default() };
    let mut plain = Lab::new(i.clone());
    let mut reloaded = Lab::new(i.clone());
    for n in 1..10u64 {
        plain.run_to(ms(n * 777));
        reloaded.run_to(ms(n * 777));
        let now = reloaded.now;
        reloaded.router.reload(now, config(&i), &mut reloaded.out);
    }
    assert_eq!(plain.take(), reloaded.take(), "an unchanged file changes nothing at all");
    let mut more = i.clone();
    more.addresses.push(vip(99, "eth0"));
    let now = reloaded.now;
    reloaded.router.reload(now, config(&more), &mut reloaded.out);
    let out = reloaded.take();
    assert_eq!((reloaded.state(0), removed(&out)), (State::Master, 0));
    assert!(out.contains(&Output::Add(Object::Address(vip(99, "eth0")))));
    reloaded.router.reload(now, Config::default(), &mut reloaded.out);
    let out = reloaded.take();
    assert_eq!((sent(&out), removed(&out), notices(&out)), (vec![0], 2, vec!["VI FAULT".to_string()]));
}

#[test]
fn a_successor_process_goes_on_as_master() {
    let i = instance("VI", "eth0", 51, 100);
    let mut lab = Lab::new(i.clone());
    lab.run_to(ms(4000));
    let snapshots = lab.router.snapshots();
    let mut out = Vec::new();
    let config = Config { instances: vec![i], ..Default::default() };
    let mut next = Router::restore(config, &snapshots, 2, ms(4100), &mut out);
    next.handle(ms(4100), Input::Link(link("eth0", 1, true)), &mut out);
    next.poll(ms(4100), &mut out);
    assert_eq!(next.views().next().map(|v| v.state), Some(State::Master));
    assert_eq!((sent(&out), notices(&out), removed(&out)), (vec![100], vec![], 0));
}

#[test]
fn version_3_learns_the_masters_interval() {
    let mut i = instance("VI", "eth0", 51, 100);
    i.version = Version::V3;
    i.advert_interval = Duration::from_millis(100);
    let mut slow = i.clone();
    slow.advert_interval = Duration::from_secs(2);
    let mut lab = Lab::new(i);
    lab.run_to(ms(100)).advert(&slow, 200, 200).run_to(ms(7000));
    assert_eq!(lab.state(0), State::Backup);
    lab.run_to(ms(7400));
    assert_eq!(lab.state(0), State::Master, "3 × 2 s + skew after the last advert");
    let bytes = lab.take().iter().find_map(|o| if let Output::Send(s) = o { Some(s.payload.clone()) } else { None });
    let own = wire::parse(Family::V4, &bytes.expect("advert")).expect("message").interval;
    assert_eq!(own, Duration::from_millis(100), "its own adverts carry its own interval");
}
