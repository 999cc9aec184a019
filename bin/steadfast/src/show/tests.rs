//! What people are shown, from what the daemon says.

use super::*;
use steadfast_config::model::VrrpScript;
use steadfast_status::live::{Part, Service, Tracker};

#[test]
fn durations() {
    for (seconds, text) in
        [(0.25, "0.2 s"), (59.0, "59 s"), (300.0, "5 min"), (7800.0, "2 h 10 min"), (273_600.0, "3 d 4 h")]
    {
        assert_eq!(span(seconds), text);
    }
}

#[test]
fn a_router_that_proves_nothing_is_explained_while_it_is_heard() {
    let mut i = Instance {
        name: "VI".into(),
        state: "BACKUP".into(),
        master_interval: 1.0,
        due: vec![("takes over unless an advert is heard".into(), 3.4)],
        unproven: Some(Unproven {
            source: "192.0.2.9".into(),
            why: "unknown key".into(),
            since: 20.0,
            last: 0.5,
            count: 21,
            holds: true,
            ..Unproven::default()
        }),
        ..Instance::default()
    };
    let text = explain(&i, &Around::default(), None, 0.0);
    for words in [
        "It does not take over while 192.0.2.9 is heard, whose adverts prove nothing.",
        "Adverts of 192.0.2.9 fail authentication (unknown key): 21 within 20 s, the last 0.5 s ago.",
        "Keys, key ids and kinds of authentication have to be the same",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    if let Some(u) = &mut i.unproven {
        u.last = 60.0;
    }
    let text = explain(&i, &Around::default(), None, 0.0);
    assert!(text.contains("It takes over in 3.4 s") && !text.contains("192.0.2.9"), "{text}");
}

#[test]
fn a_line_of_status_says_why_what_is_due_and_what_is_counted() {
    let mut i = Instance {
        state: "MASTER".into(),
        due: vec![("next advert".into(), 0.6)],
        history: vec![steadfast_status::live::Change { at: 0.0, state: "MASTER".into(), cause: "a reason".into() }],
        adverts_sent: Some(7),
        adverts_received: Some(0),
        became_master: 1,
        ..Instance::default()
    };
    let counts = "adverts sent 7, heard 0; became master once";
    assert_eq!(details(&i, false), format!("a reason; next advert in 0.6 s; {counts}"));
    assert_eq!(details(&i, true), format!("a reason; {counts}"));
    i.state = "BACKUP".into();
    i.refused = Some(2);
    assert!(details(&i, true).starts_with("adverts sent 7, heard 0, thrown away 2;"));
    i.due = vec![("takes over unless an advert is heard".into(), 1.5)];
    i.unproven = Some(Unproven { source: "192.0.2.9".into(), last: 0.5, holds: true, ..Unproven::default() });
    let held = "does not take over while 192.0.2.9 is heard, whose adverts prove nothing; adverts";
    assert!(details(&i, false).starts_with(held), "{}", details(&i, false));
}

#[test]
fn a_member_of_a_group_names_it_and_the_group_its_members() {
    let of = |name: &str, state: &str| Instance {
        name: name.into(),
        state: state.into(),
        group: Some("SG".into()),
        link: Some(("vrrp.4".into(), Some("00:00:5e:00:01:04".into()))),
        addresses: vec!["192.0.2.4/24".into()],
        missing: vec!["address 192.0.2.4/24 dev eth0".into()],
        left_out: vec![("chk".into(), "'/etc/chk' is not executable".into())],
        refused: Some(7),
        refused_by: vec![("version".into(), 7)],
        holds: true,
        closed: true,
        ..Instance::default()
    };
    let mut all = vec![of("W4", "MASTER"), of("W6", "MASTER")];
    let text = explain(&all[1], &Around { instances: &all, ..Around::default() }, None, 0.0);
    for words in [
        "It is in sync group SG, together with W4.",
        "fails, at a stop, or when W4 of sync group SG does.",
        "What is sent to these addresses themselves, pings too, is dropped",
        "by vrrp.4 (00:00:5e:00:01:04)) is MASTER",
        "The kernel refuses address 192.0.2.4/24 dev eth0;",
        "script chk is left out, and counts for nothing: '/etc/chk' is not executable",
        "Packets that were thrown away: 7, by what was wrong: version 7.",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    all[0].faults = vec!["interface eth0 is down".into()];
    let text = explain_group("SG", "FAULT", &all, None, 0.0);
    assert!(
        text.contains("Sync group SG is FAULT") && text.contains("W4 is MASTER") && text.contains("is down"),
        "{text}"
    );
}

#[test]
fn silence_is_counted_from_the_last_sign_of_life() {
    let c = Child { name: "vrrp".into(), pid: Some(7), age: Some(10.0), silent: Some(2.4), ..Child::default() };
    assert!(silence(&c).is_some_and(|text| text.contains("silent for 2.4 s")));
    assert_eq!(silence(&Child { age: Some(1.0), ..c.clone() }), None);
    let dead =
        Child { pid: None, withdrawn: true, last_death: Some((1.0, "signal 9 (SIGKILL)".into())), due: Some(1.0), ..c };
    let words = "its process died: signal 9 (SIGKILL), and is started again in 1.0 s; peers were told to take over";
    assert!(silence(&dead).is_some_and(|text| text.starts_with(words)), "{:?}", silence(&dead));
}

#[test]
fn a_backup_is_explained() {
    let i = Instance {
        name: "VI".into(),
        interface: "eth0".into(),
        vrid: 51,
        state: "BACKUP".into(),
        base_priority: 150,
        priority: 130,
        preempt: true,
        master: Some(("192.0.2.2".into(), 140)),
        parts: vec![steadfast_status::live::Part {
            what: "script chk".into(),
            good: Some(false),
            change: -20,
            weight: -20,
            reverse: false,
        }],
        due: vec![("takes over unless an advert is heard".into(), 3.4)],
        ..Instance::default()
    };
    let text = explain(&i, &Around::default(), None, 10.0);
    for words in [
        "VI (vrid 51 on eth0) is BACKUP since 10 s.",
        "The master is 192.0.2.2 with priority 140, which is above its own 130.",
        "It takes over in 3.4 s, unless an advert is heard before.",
        "Its priority is 130 = 150 - 20 (script chk).",
        "script chk is bad (weight -20, now -20)",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn the_sum_of_a_priority_holds_and_what_counts_the_other_way_round_is_said_to() {
    let part = |what: &str, change: i64, reverse: bool| steadfast_status::live::Part {
        what: what.into(),
        good: Some(true),
        change,
        weight: change.abs() as i32,
        reverse,
    };
    let of = |base: u8, priority: u8, parts: Vec<steadfast_status::live::Part>| Instance {
        base_priority: base,
        priority,
        parts,
        ..Instance::default()
    };
    let low = of(100, 1, vec![part("BFD session peer", -150, true)]);
    assert_eq!(sum(&low), "1 = 100 - 150 (BFD session peer), but at least 1");
    let text = explain(&low, &Around::default(), None, 0.0);
    assert!(text.contains("BFD session peer is good (weight 150 reverse, now -150)"), "{text}");
    assert_eq!(
        sum(&of(200, 254, vec![part("a", 30, false), part("b", 40, false)])),
        "254 = 200 + 30 (a) + 40 (b), but at most 254"
    );
    assert_eq!(sum(&of(200, 230, vec![part("a", 30, false)])), "230 = 200 + 30 (a)");
    assert_eq!(sum(&of(255, 255, vec![part("a", -30, false)])), "255, an owner's, which no tracker changes");
}

#[test]
fn a_session_is_explained() {
    let mut s = Session {
        name: "peer".into(),
        neighbor: "192.0.2.2".into(),
        state: "Up".into(),
        up: true,
        remote_state: "Up".into(),
        detect_time: Some(0.03),
        tx_interval: 0.01,
        heard: Some(9.992),
        ..Session::default()
    };
    let text = sessions::explain(&s, None, 10.0);
    for words in ["peer (BFD with 192.0.2.2) is Up since 10 s.", "heard 8 ms ago", "every 10 ms", "for 30 ms takes"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // Of a process that does not answer nobody knows what it has heard and sent.
    let known =
        Session { sent: Some(3), received: Some(2), refused: Some(0), ups: Some(1), downs: Some(0), ..s.clone() };
    let text = sessions::explain(&known, None, 10.0);
    assert!(text.contains("3 packets sent, 2 received, 0 thrown away") && text.contains("came up once"), "{text}");
    let text = sessions::explain(&Session { heard: None, ..s.clone() }, None, 10.0);
    assert!(text.contains("when it was last heard is not known") && !text.contains("came up once"), "{text}");
    s.state = "Down".into();
    assert!(sessions::explain(&s, None, 10.0).contains("which is no failure"));
    s.up = false;
    s.diag = "Control Detection Time Expired".into();
    assert!(sessions::explain(&s, None, 10.0).contains("because of this: Control Detection Time Expired."));
}

#[test]
fn a_backup_that_a_tracker_lowered_is_told_what_brings_it_back() {
    let part =
        |what: &str, weight, good, change| Part { what: what.into(), good: Some(good), weight, change, reverse: false };
    let script = VrrpScript {
        name: "chk".into(),
        rise: 3,
        interval: Some(std::time::Duration::from_secs(5)),
        ..VrrpScript::default()
    };
    let mut i = Instance {
        name: "VI".into(),
        state: "BACKUP".into(),
        base_priority: 200,
        priority: 90,
        preempt: true,
        master: Some(("192.0.2.2".into(), 100)),
        parts: vec![part("script chk", -100, false, -100), part("file level", 20, false, -10)],
        addresses: vec!["192.0.2.1/24".into()],
        ..Instance::default()
    };
    let told =
        |i: &Instance| explain(i, &Around { scripts: std::slice::from_ref(&script), ..Around::default() }, None, 0.0);
    let words = "It returns by itself when script chk is good again (3 good runs in a row, one each 5.0 s: about 15 s) and file level is good again: \
                 its priority is 220 then, above the master's 100.";
    assert!(told(&i).contains(words), "{}", told(&i));
    // What it has now is no less than 1, whatever the sum is.
    i.priority = 1;
    i.parts = vec![part("script chk", -210, false, -210)];
    assert!(told(&i).contains("its priority is 200 then"), "{}", told(&i));
    // Where it is a fault, that is what it waits for.
    let fault = Instance {
        state: "FAULT".into(),
        faults: vec!["script chk failed".into()],
        parts: vec![part("script chk", 0, false, 0)],
        ..i.clone()
    };
    let words = "none of this holds any more.\n  - script chk has to be good again (3 good runs in a row, one each 5.0 s: about 15 s)\n";
    assert!(told(&fault).contains(words), "{}", told(&fault));
    // Where that is not enough, or it may not.
    i.master = Some(("192.0.2.2".into(), 220));
    assert!(!told(&i).contains("It returns"), "{}", told(&i));
    i.master = Some(("192.0.2.2".into(), 100));
    i.preempt = false;
    assert!(!told(&i).contains("It returns"), "{}", told(&i));
    let shown = |i: &Instance| {
        let vrrp = steadfast_status::live::Vrrp { instances: vec![i.clone()], ..Default::default() };
        status(&Whole { vrrp: Some(vrrp), ..Whole::default() }, 0.0, Paint(false))
    };
    assert!(shown(&i).contains("\n       not held: 192.0.2.1/24\n"), "{}", shown(&i));
    i.holds = true;
    assert!(shown(&i).contains("\n       192.0.2.1/24\n"), "{}", shown(&i));
    i.addresses.clear();
    assert!(!shown(&i).lines().any(|l| !l.is_empty() && l.trim().is_empty()), "{}", shown(&i));
}

#[test]
fn who_leads_says_what_it_heard_before() {
    let m =
        Mismatch { source: "192.0.2.9".into(), theirs: vec!["192.0.2.101".into()], last: 300.0, ..Mismatch::default() };
    let mut i = Instance { name: "VI".into(), state: "MASTER".into(), mismatches: vec![m], ..Instance::default() };
    let of = |i: &Instance| {
        let vrrp = steadfast_status::live::Vrrp { instances: vec![i.clone()], ..Default::default() };
        status(&Whole { vrrp: Some(vrrp), ..Whole::default() }, 0.0, Paint(false))
            + &explain(i, &Around::default(), None, 0.0)
    };
    let text = of(&i);
    assert!(text.contains("adverts of 192.0.2.9 named other addresses: also 192.0.2.101\n"), "{text}");
    assert!(text.contains("than this host's: also 192.0.2.101; the last was 5 min ago."), "{text}");
    // A backup would hear it.
    i.state = "BACKUP".into();
    assert!(!of(&i).contains("192.0.2.9"), "{}", of(&i));
}

#[test]
fn a_delay_that_a_return_waits_for_is_told_with_it() {
    let part = Part { what: "script chk".into(), good: Some(false), change: -20, weight: -20, ..Part::default() };
    let mut i = Instance {
        state: "BACKUP".into(),
        base_priority: 150,
        priority: 130,
        preempt: true,
        preempt_delay: 8.0,
        master: Some(("192.0.2.2".into(), 140)),
        parts: vec![part],
        ..Instance::default()
    };
    let text = explain(&i, &Around::default(), None, 0.0);
    assert!(text.contains("and it takes over when it has heard that one for 8.0 s more (preempt_delay)."), "{text}");
    i.priority = 150;
    i.parts.clear();
    i.due = vec![("takes over unless an advert is heard".into(), 3.3), ("preempts".into(), 5.8)];
    let text = explain(&i, &Around::default(), None, 0.0);
    let both = "It takes over from this master, of lower priority, when its preempt_delay ends in 5.8 s; and where no advert is heard for 3.3 s";
    assert!(text.contains(both) && !text.contains("It takes over in"), "{text}");
    i.state = "FAULT".into();
    let text = explain(&i, &Around::default(), None, 0.0);
    assert!(text.contains("Then it hears a master of lower priority for 8.0 s (preempt_delay)"), "{text}");
}

#[test]
fn why_a_tracker_is_bad_is_said_with_the_instance_and_with_its_name() {
    let bad = |what: &str| Part { what: what.into(), good: Some(false), ..Part::default() };
    let i = Instance {
        name: "VI".into(),
        state: "FAULT".into(),
        priority: 100,
        parts: vec![bad("script chk"), bad("virtual server 192.0.2.80 80")],
        ..Instance::default()
    };
    let tracker = |kind: &str, name: &str| Tracker {
        kind: kind.into(),
        name: name.into(),
        good: Some(false),
        ..Default::default()
    };
    let script = Tracker {
        result: "exit status 2, 1 of 3 successes".into(),
        at: Some(9.0),
        said: "a line".into(),
        ..tracker("script", "chk")
    };
    let server = |name: &str, up: bool| steadfast_status::live::Server {
        name: name.into(),
        up,
        weight: 1,
        ..Default::default()
    };
    let service = Service {
        name: "[192.0.2.80]:tcp:80".into(),
        tracked_as: "192.0.2.80 80".into(),
        servers: vec![server("[192.0.2.3]:tcp:80", false), server("[192.0.2.4]:tcp:80", true)],
        ..Service::default()
    };
    let all = [script, tracker("virtual server", "192.0.2.80 80")];
    let around =
        Around { instances: std::slice::from_ref(&i), trackers: &all, services: &[service], ..Around::default() };
    let text = explain(&i, &around, None, 10.0);
    for words in [
        "script chk is bad (its failure means FAULT): exit status 2, 1 of 3 successes, 1.0 s ago\n      its last line: a line\n",
        "): [192.0.2.3]:tcp:80 takes no connections; `steadfast explain [192.0.2.80]:tcp:80` says why\n",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let text = trackers::explain(&all[0], &around, None, 10.0);
    assert!(
        text.starts_with("script chk is bad: exit status 2, 1 of 3 successes, 1.0 s ago.\nIts last line: a line\n"),
        "{text}"
    );
    assert!(text.ends_with("  - vrrp_instance VI is FAULT, priority 100: its failure means FAULT\n"), "{text}");
    let shown = Whole {
        vrrp: Some(steadfast_status::live::Vrrp {
            instances: vec![i.clone()],
            trackers: all.to_vec(),
            ..Default::default()
        }),
        ..Whole::default()
    };
    let text = status(&shown, 10.0, Paint(false));
    assert!(text.contains("failed script chk: exit status 2, 1 of 3 successes, 1.0 s ago\n"), "{text}");
}

#[test]
fn a_file_that_cannot_be_read_is_not_good_and_a_link_is_known_by_who_lives_on_it() {
    let part = Part { what: "file maint".into(), good: Some(true), weight: 10, ..Part::default() };
    let i = Instance {
        name: "VI".into(),
        state: "MASTER".into(),
        interface: "eth0".into(),
        vrid: 51,
        priority: 100,
        parts: vec![part],
        ..Instance::default()
    };
    let told = |result: &str| {
        let t = Tracker { kind: "file".into(), name: "maint".into(), result: result.into(), ..Tracker::default() };
        explain(&i, &Around { trackers: std::slice::from_ref(&t), ..Around::default() }, None, 0.0)
    };
    let why = "value 0, it cannot be read: No such file or directory (os error 2)";
    assert!(told(why).contains(&format!("  - file maint has {why} (weight 10, now +0)\n")), "{}", told(why));
    assert!(told("value 0").contains("  - file maint is good (weight 10, now +0)\n"));
    let link = explain_link("eth0", std::slice::from_ref(&i), None);
    assert_eq!(link, "eth0 is an interface; on it:\n  - vrrp_instance VI (vrid 51) is MASTER, priority 100\n");
}
