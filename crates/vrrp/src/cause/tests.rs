use crate::testkit::*;
use crate::*;
use steadfast_core::State;

/// Each change with the cause that was told right before it.
fn causes(out: &[Output]) -> Vec<(String, String)> {
    let mut told = std::collections::HashMap::new();
    let mut all = Vec::new();
    for o in out {
        match o {
            Output::Because { name, cause } => drop(told.insert(name.clone(), cause.clone())),
            Output::Log(_, text) => {
                if let Some((name, state)) = text.strip_prefix('(').and_then(|t| t.split_once(") Entering ")) {
                    let cause = told.remove(name).unwrap_or_default();
                    all.push((format!("{name} {}", state.split(' ').next().unwrap_or_default()), cause));
                }
            }
            _ => {}
        }
    }
    all
}

fn pairs(all: &[(String, String)]) -> Vec<(&str, &str)> {
    all.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect()
}

#[test]
fn members_of_a_sync_group_name_who_led() {
    let config = Config {
        instances: vec![instance("OUT", 0, 51, 100), instance("IN", 1, 52, 100)],
        groups: vec![GroupConfig {
            name: "G".into(),
            members: vec!["OUT".into(), "IN".into()],
            tracking_weight: false,
        }],
        ..Config::default()
    };
    let mut solo = Solo::new(config);
    let begins = super::BEGINS;
    assert_eq!(pairs(&causes(&solo.take())), [("OUT BACKUP", begins), ("IN BACKUP", begins)]);
    solo.run_ms(3700);
    let led = "IN of sync group G: Receive advertisement timeout";
    let got = causes(&solo.take());
    assert_eq!(pairs(&got), [("OUT MASTER", led), ("IN MASTER", "Receive advertisement timeout")]);
    solo.hear("10.0.0.9", 200);
    solo.run_ms(1500);
    let got = causes(&solo.take());
    let led = "OUT of sync group G: Master received advert from 10.0.0.9 with higher priority 200, ours 100";
    assert_eq!(pairs(&got), [("OUT BACKUP", ""), ("IN BACKUP", led)], "that of OUT is in the line before");
    solo.input(Input::Link(link(2, "eth0", false, &[addr(0, 0)])));
    let got = causes(&solo.take());
    let led = "OUT of sync group G is in FAULT: interface eth0 is down";
    assert!(pairs(&got).contains(&("IN FAULT", led)), "{got:?}");
}

#[test]
fn a_takeover_tells_what_was_heard_of_the_master() {
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.hear("10.0.0.9", 200);
    solo.run_ms(500);
    solo.take();
    while solo.state() == State::Backup {
        solo.hear("10.0.0.9", 80);
        solo.run_ms(50);
    }
    let got = causes(&solo.take());
    assert_eq!(pairs(&got), [("VI MASTER", "10.0.0.9 announced priority 80, below our 100")]);
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.hear("10.0.0.9", 200);
    solo.run_ms(4000);
    let got = causes(&solo.take());
    assert!(pairs(&got).contains(&("VI MASTER", "10.0.0.9 (priority 200) was not heard for 3.6 s")), "{got:?}");
    let mut solo = Solo::new(one(instance("VI", 0, 51, 100)));
    solo.hear("10.0.0.9", 200);
    solo.take();
    solo.hear("10.0.0.9", 0);
    solo.run_ms(1000);
    let got = causes(&solo.take());
    assert_eq!(pairs(&got), [("VI MASTER", "10.0.0.9 said that it leaves (priority 0)")]);
}

#[test]
fn who_sends_adverts_that_are_thrown_away_is_known_until_one_is_good() {
    let mut c = instance("VI", 0, 51, 100);
    c.auth = Auth::Pass(*b"secret\0\0");
    let mut solo = Solo::master(one(c));
    assert!(solo.view().rejected.is_empty());
    let wrong = solo.packet(PEER, 150, |a| a.auth = Auth::Pass(*b"wrong\0\0\0"));
    for _ in 0..3 {
        solo.receive(PEER, 255, &wrong);
        solo.run_ms(1000);
    }
    let at = solo.now;
    let r = solo.view().rejected[0].clone();
    assert_eq!((r.source, r.why.as_str(), r.count), (ip(PEER), "received an invalid passwd", 3));
    assert_eq!((at.since(r.since).as_secs(), at.since(r.last).as_secs()), (3, 1));
    assert_eq!(logs(&solo.take()).iter().filter(|l| l.contains("discarding advert")).count(), 1);
    // Another reason, another row; the same one after a long silence, too.
    let v3 = solo.packet(PEER, 150, |a| a.version = Version::V3);
    solo.receive(PEER, 255, &v3);
    assert!(solo.view().rejected[0].why.starts_with("version 3") && solo.view().rejected[0].since == at);
    solo.run_ms(60_000);
    solo.receive(PEER, 255, &v3);
    assert_eq!(solo.view().rejected[0].count, 1);
    // Of two at one time both are told, and nobody can fill the memory.
    for last in [9, 8, 7, 6, 5, 4, 9, 8] {
        let from = format!("10.0.0.{last}");
        let packet = solo.packet(&from, 150, |a| a.auth = Auth::Pass(*b"wrong\0\0\0"));
        solo.receive(&from, 255, &packet);
        solo.run_ms(10);
    }
    let rows: Vec<_> = solo.view().rejected.iter().map(|r| (r.source.to_string(), r.count)).collect();
    let told = |from: &str| rows.iter().any(|(source, n)| source == from && *n > 1);
    assert!(rows.len() == 4 && told("10.0.0.9") && told("10.0.0.8"), "{rows:?}");
    solo.run_ms(20_000);
    solo.hear(PEER, 50);
    assert!(solo.view().rejected.iter().all(|r| r.source != ip(PEER)));
}

/// Where nobody is pushed aside early, the timer runs out beside a master that speaks.
#[test]
fn a_takeover_from_a_master_that_is_lower_says_so_however_slow_it_is() {
    let mut c = instance("VI", 0, 51, 100);
    c.fast_takeover = false;
    let mut solo = Solo::new(one(c));
    solo.hear("10.0.0.9", 200);
    for _ in 0..8 {
        solo.run_ms(500);
        solo.hear("10.0.0.9", 50);
    }
    let got = causes(&solo.take());
    assert_eq!(got.last().map(|(_, c)| c.as_str()), Some("10.0.0.9 announced priority 50, below our 100"));
    assert_eq!(solo.router.new_master("VI"), NewMaster::Preempted);
}
