//! Checks in a small world: what users of the service would notice.

use crate::testkit::*;
use crate::*;
use std::time::Duration;

#[test]
fn a_server_dies_and_returns() {
    let mut w = world(two());
    w.run(3.2);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3");
    w.heard();
    w.manner(A, Manner::Refuses);
    w.run(1.2);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3", "the retry is still due");
    w.run(0.3);
    assert_eq!(w.table(), "10.0.0.2:80=3");
    assert_eq!(
        w.heard(),
        [
            "TCP_CHECK on service [10.0.0.1]:tcp:80 failed after 1 retries: connection refused",
            "Removing service [10.0.0.1]:tcp:80 from VS [192.0.2.1]:tcp:80",
            "run down 10.0.0.1:80",
            "fifo RS [10.0.0.1]:tcp:80 [192.0.2.1]:tcp:80 DOWN",
        ]
    );
    w.manner(A, up());
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.1:80=3 10.0.0.2:80=3");
    assert_eq!(
        w.heard(),
        [
            "TCP connection to [10.0.0.1]:tcp:80 success.",
            "Adding service [10.0.0.1]:tcp:80 to VS [192.0.2.1]:tcp:80",
            "run up 10.0.0.1:80",
            "fifo RS [10.0.0.1]:tcp:80 [192.0.2.1]:tcp:80 UP",
        ]
    );
}

#[test]
fn intervals_do_not_drift_and_starts_are_spread() {
    let servers: Vec<RealServer> = (0..100)
        .map(|i| {
            let address = format!("10.1.0.{i}:80");
            let mut check = tcp(&address);
            check.timing.delay_loop = Duration::from_secs(2);
            check.timing.warmup = Duration::from_secs(2);
            server(&address, 1, check)
        })
        .collect();
    let mut w = World::new(config(service(servers)));
    for i in 0..100 {
        // half of them never answer, and take 300 ms for it
        w.manner(&format!("10.1.0.{i}:80"), if i % 2 == 0 { up() } else { Manner::Silent });
    }
    w.run(600.0);
    let mut by: std::collections::HashMap<String, Vec<u64>> = Default::default();
    for (at, transport) in &w.starts {
        let Transport::Tcp(t) = transport else { panic!() };
        by.entry(t.address.to_string()).or_default().push(at.as_nanos());
    }
    assert_eq!(by.len(), 100);
    for (address, times) in &by {
        let odd = times.iter().filter(|t| !(*t - times[0]).is_multiple_of(2_000_000_000)).count();
        assert_eq!(odd, 0, "{address}: on its grid for ten minutes");
        assert_eq!(times.len(), 300, "{address}");
    }
    let mut bins = [0; 20];
    by.values().for_each(|t| bins[(t[0] - 1_000_000_000_000) as usize / 100_000_000] += 1);
    assert!(bins.iter().all(|b| (4..=6).contains(b)), "{bins:?}");
}

#[test]
fn alpha_waits_and_the_first_round_has_no_retry_without_it() {
    let mut check = tcp(A);
    check.timing.alpha = true;
    let mut w = World::new(config(service(vec![server(A, 1, check)])));
    w.run(2.5);
    assert_eq!(w.table(), "");
    let heard = w.heard();
    assert_eq!(heard[0], "Starting with quorum down 1-0=1 > 0 for VS [192.0.2.1]:tcp:80");
    assert_eq!(heard.iter().filter(|l| l.contains("failed")).count(), 1, "said once: {heard:?}");
    w.manner(A, up());
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    assert!(w.heard().contains(&"Gained quorum 1+0=1 <= 1 for VS [192.0.2.1]:tcp:80".to_owned()));

    let mut w = World::new(config(service(vec![server(A, 1, tcp(A))])));
    w.run(0.0);
    assert_eq!(w.table(), "10.0.0.1:80=1", "up before any check");
    w.run(0.1);
    assert_eq!(w.table(), "", "one failure, no retry");
}

#[test]
fn a_server_that_only_stumbles_stays() {
    let mut w = world(service(vec![server(A, 1, tcp(A))]));
    w.run(1.2);
    for _ in 0..5 {
        w.manner(A, Manner::Refuses);
        w.run(0.9); // the round's first try fails
        w.manner(A, up());
        w.run(0.1 + 0.5); // its second succeeds
        w.run(0.5);
    }
    assert_eq!(w.table(), "10.0.0.1:80=1");
    assert!(!w.heard().iter().any(|l| l.contains("failed")));
}

#[test]
fn tries_of_a_round_are_as_far_apart_as_they_are_told() {
    let gaps = |delay: u64| {
        let mut check = tcp(A);
        (check.timing.delay_loop, check.timing.retry) = (Duration::from_secs(10), 3);
        check.timing.delay_before_retry = Duration::from_millis(delay);
        let mut w = World::new(config(service(vec![server(A, 1, check)])));
        w.manner(A, up());
        w.run(1.0);
        w.manner(A, Manner::Refuses);
        w.run(19.0);
        let times: Vec<u64> = w.starts.iter().map(|(at, _)| at.as_nanos() / 1_000_000).collect();
        times.windows(2).map(|t| t[1] - t[0]).collect::<Vec<_>>()
    };
    // A round of four tries that fail, and the next one when it is due.
    for delay in [300, 1700] {
        // A try takes a moment itself.
        assert!(gaps(delay)[1..4].iter().all(|g| (delay..delay + 10).contains(g)), "{delay}: {:?}", gaps(delay));
    }
}

/// A probe that timed out may still have bytes on the way when the next one runs.
#[test]
fn what_comes_late_is_nobody_s() {
    let mut w = world(service(vec![server(A, 1, http(&["/"]))]));
    w.manner(A, Manner::Silent);
    w.run(0.2);
    let ids = |w: &World| -> Vec<ProbeId> {
        w.said.iter().filter_map(|(_, o)| if let Output::Start(id, _) = o { Some(*id) } else { None }).collect()
    };
    let first = ids(&w)[0];
    w.run(1.0);
    assert_eq!((ids(&w).len(), w.table().as_str()), (2, ""));
    w.tell(Input::Connected(first));
    w.tell(Input::Data(first, b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    w.tell(Input::Eof(first, true));
    w.tell(Input::Failed(first, "late"));
    w.tell(Input::ScriptEnded(first, ScriptEnd::Exited(0), ""));
    assert_eq!(w.table(), "");
    w.tell(Input::Connected(ids(&w)[1]));
    assert!(
        w.said.iter().any(|(_, o)| matches!(o, Output::Send(id, _) if *id == ids(&w)[1])),
        "the second still waits"
    );
}

#[test]
fn rise_and_fall_count_rounds() {
    let mut check = tcp(A);
    (check.timing.rise, check.timing.fall) = (3, 2);
    let mut w = world(service(vec![server(A, 1, check)]));
    w.run(2.2);
    w.manner(A, Manner::Refuses);
    w.run(1.5); // round and retry of second 3
    assert_eq!(w.table(), "10.0.0.1:80=1", "one failed round of two");
    w.run(1.0);
    assert_eq!(w.table(), "");
    w.manner(A, up());
    w.run(2.0);
    assert_eq!(w.table(), "", "two good rounds of three");
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.1:80=1");
}

pub(crate) fn http(urls: &[&str]) -> Check {
    let urls = urls.iter().map(|p| Url { path: (*p).into(), ..Url::default() }).collect();
    let check = HttpCheck { target: target(A), tls: None, version: HttpVersion::V10, urls };
    Check { kind: CheckKind::Http(check), timing: timing() }
}

#[test]
fn http_recovers_after_one_loop_and_asks_its_pages_in_turn() {
    let mut w = world(service(vec![server(A, 1, http(&["/a", "/b", "/c"]))]));
    w.run(0.5);
    assert_eq!(w.starts.len(), 3, "the first round asks for all");
    w.run(3.0);
    assert_eq!(w.starts.len(), 6, "then one a loop");
    w.manner(A, Manner::Answers(b"HTTP/1.0 503 No\r\n\r\n".to_vec()));
    w.run(2.0);
    assert_eq!(w.table(), "");
    // Of several pages it is said which, where the server has answered at all.
    let failed = "HTTP_CHECK on service [10.0.0.1]:tcp:80 failed after 1 retries: HTTP status code 503 (url /a)";
    assert!(w.heard().iter().any(|l| l == failed));
    let reason = |w: &World| w.pool.services()[0].servers[0].checks[0].reason.clone().unwrap_or_default();
    assert_eq!(reason(&w), "HTTP status code 503 (url /a)");
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    assert_eq!(reason(&w), "connection refused");
    w.manner(A, up());
    let before = w.starts.len();
    w.run(1.0);
    assert_eq!((w.table().as_str(), w.starts.len() - before), ("10.0.0.1:80=1", 3), "all pages within one loop");
    let heard = w.heard();
    assert_eq!(heard.iter().filter(|l| l.starts_with("HTTP status code success to")).count(), 2);
    assert!(heard.contains(&"Remote Web server [10.0.0.1]:tcp:80 succeed on service.".to_owned()));
}

#[test]
fn a_byte_a_second_is_down_with_its_reason_in_bounded_time() {
    let mut check = http(&["/"]);
    let CheckKind::Http(h) = &mut check.kind else { panic!() };
    h.target.timeout = Duration::from_secs(2);
    check.timing.retry = 0;
    let mut w = World::new(config(service(vec![server(A, 1, check)])));
    w.manner(A, Manner::Drips(b"HTTP/1.0 200 OK\r\nX: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy".to_vec()));
    w.run(5.5);
    assert_eq!(w.table(), "");
    let heard = w.heard();
    assert_eq!(
        heard.iter().filter(|l| *l == "HTTP_CHECK on service [10.0.0.1]:tcp:80 failed: timeout reading").count(),
        1
    );
    assert_eq!(w.starts.len(), 2, "and the next round begins on its grid");
}

#[test]
fn silence_is_timed() {
    let mut w = world(service(vec![server(A, 1, tcp(A))]));
    w.run(2.2);
    w.manner(A, Manner::Silent);
    w.run(0.8 + 0.3 + 0.5 + 0.25);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    w.run(0.1);
    assert_eq!(w.table(), "");
    assert!(w.heard().iter().any(|l| l.ends_with("failed after 1 retries: timeout connecting")));
}

#[test]
fn smtp_udp_and_ping_work_over_the_same_loop() {
    let smtp = Check { kind: CheckKind::Smtp { target: target(A), helo: "me".into() }, timing: timing() };
    let mut w = World::new(config(service(vec![server(A, 1, smtp)])));
    w.manner(A, Manner::Talks(vec![b"220 hi\r\n".to_vec(), b"250 you\r\n".to_vec()]));
    w.run(1.5);
    assert_eq!(w.table(), "10.0.0.1:80=1");
    assert!(w.said.iter().any(|(_, o)| matches!(o, Output::Send(_, b) if b == b"QUIT\r\n")));
    w.manner(A, Manner::Talks(vec![b"421 busy\r\n".to_vec()]));
    w.run(2.0);
    assert!(w.heard().iter().any(|l| l.ends_with("SMTP status code 421 to connect")));

    let udp = |reply| Check { kind: CheckKind::Udp { target: target(A), payload: vec![1], reply }, timing: timing() };
    for (manner, reply, alive) in [
        (Manner::Silent, None, true),
        (Manner::Refuses, None, false),
        (Manner::Silent, Some(Box::new(Reply { max: 255, ..Reply::default() })), false),
        (Manner::Talks(vec![b"x".to_vec()]), Some(Box::new(Reply { max: 255, ..Reply::default() })), true),
    ] {
        let mut w = World::new(config(service(vec![server(A, 1, udp(reply))])));
        w.manner(A, manner.clone());
        w.run(2.0);
        assert_eq!(w.table() == "10.0.0.1:80=1", alive, "{manner:?}");
    }
    let ping = Check { kind: CheckKind::Ping(target(A)), timing: timing() };
    let mut w = World::new(config(service(vec![server(A, 1, ping)])));
    w.manner(A, Manner::Silent);
    w.run(0.5);
    assert_eq!(w.table(), "");
}

fn misc(dynamic: bool) -> Check {
    let kind = CheckKind::Misc { script: script("/probe x"), timeout: Duration::from_millis(400), dynamic };
    Check { kind, timing: Timing { retry: 0, ..timing() } }
}

#[test]
fn a_program_that_overran_says_so_and_its_last_line_is_shown() {
    let mut w = world(service(vec![server(A, 1, misc(false))]));
    w.exits.insert("/probe x".into(), 0);
    w.run(1.2);
    let shown = |w: &World| {
        let services = w.pool.services();
        let check = &services[0].servers[0].checks[0];
        (check.good, check.reason.clone(), check.said.to_string(), check.took.is_some())
    };
    assert_eq!(shown(&w), (true, None, "its last line".into(), true));
    w.exits.clear();
    w.run(4.0);
    assert_eq!(shown(&w).1.as_deref(), Some("timed out after 0.4 s"));
}

#[test]
fn a_program_that_cannot_be_started_is_named_once() {
    let mut w = world(service(vec![server(A, 1, misc(false))]));
    let mut tries = 0;
    for _ in 0..100 {
        w.run(0.05);
        let under_way = w.pool.checkers.iter().flatten().find_map(|c| c.probe.as_ref().map(|p| p.id));
        if let Some(id) = under_way {
            w.tell(Input::ScriptEnded(id, ScriptEnd::NotStarted, "No such file or directory"));
            tries += 1;
        }
    }
    assert!(tries >= 5, "{tries}");
    assert_eq!(w.table(), "");
    let line = "Misc check for [[10.0.0.1]:tcp:80 VS [192.0.2.1]:tcp:80] by [/probe] failed: could not be started: No such file or directory";
    assert_eq!(w.heard().iter().filter(|l| l.contains("could not be started")).collect::<Vec<_>>(), [line]);
    assert_eq!(w.pool.services()[0].servers[0].checks[0].said, "");
}

#[test]
fn misc_dynamic_sets_the_weight_and_never_accumulates() {
    let mut w = World::new(config(service(vec![server(A, 5, misc(true))])));
    w.exits.insert("/probe x".into(), 0);
    w.run(0.1);
    for (status, table) in [(0, "5"), (12, "10"), (12, "10"), (22, "20"), (0, "20"), (255, "253"), (2, "0")] {
        w.exits.insert("/probe x".into(), status);
        w.run(1.0);
        assert_eq!(w.table(), format!("10.0.0.1:80={table}"), "exit {status}");
    }
    assert!(w.heard().contains(
        &"Changing weight from 5 to 10 for active service [10.0.0.1]:tcp:80 of VS [192.0.2.1]:tcp:80".to_owned()
    ));
    w.exits.insert("/probe x".into(), 1);
    w.run(1.0);
    assert_eq!(w.table(), "");
    w.exits.insert("/probe x".into(), 12);
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.1:80=10", "after timeouts and failures still the plain number");
    let mut w = World::new(config(service(vec![server(A, 5, misc(false))])));
    w.exits.insert("/probe x".into(), 2);
    w.run(0.5);
    assert_eq!(w.table(), "");
    assert!(w.heard().contains(
        &"Misc check for [[10.0.0.1]:tcp:80 VS [192.0.2.1]:tcp:80] by [/probe] failed: exited with status 2".to_owned()
    ));
}

#[test]
fn a_program_that_hangs_is_ended_and_delays_nobody() {
    let mut w = world(service(vec![server(A, 1, misc(false)), server(B, 1, tcp(B))]));
    w.stubborn = true;
    w.run(3.5);
    assert_eq!(w.table(), "10.0.0.2:80=1");
    let kills: Vec<(f64, Kill)> = (w.said.iter())
        .filter_map(|(t, o)| match o {
            Output::Kill(_, k) => Some((t.since(steadfast_core::Time::from_millis(1_000_000)).as_secs_f64(), *k)),
            _ => None,
        })
        .collect();
    assert_eq!(kills[..2], [(0.4, Kill::Term), (2.4, Kill::Kill)]);
    let scripts: Vec<f64> = (w.starts.iter())
        .filter(|(_, t)| matches!(t, Transport::Script(_)))
        .map(|(t, _)| t.since(steadfast_core::Time::from_millis(1_000_000)).as_secs_f64())
        .collect();
    assert_eq!(scripts, [0.0, 3.0], "no second copy beside the first");
    assert_eq!(w.starts.len() - scripts.len(), 4, "the other check kept its pace");
}

#[test]
fn files_and_sessions() {
    let file =
        |weight, reverse| Check { kind: CheckKind::File { name: "f".into(), weight, reverse }, timing: timing() };
    for (weight, reverse, value, table) in [
        (0, false, 0, "10.0.0.1:80=5"),
        (0, false, 1, ""),
        (0, true, 0, ""),
        (0, true, -7, "10.0.0.1:80=5"),
        (2, false, 3, "10.0.0.1:80=11"),
        (2, true, 1, "10.0.0.1:80=3"),
        (1, false, -9, "10.0.0.1:80=0"),
        (1, false, i64::MAX, "10.0.0.1:80=2147483647"),
        (1, false, i64::from(i32::MIN), ""),
        (i32::MIN, true, i64::MIN, ""),
    ] {
        let mut w = World::new(config(service(vec![server(A, 5, file(weight, reverse))])));
        w.tell(Input::File("f", value));
        w.run(1.0);
        assert_eq!(w.table(), table, "{weight} {reverse} {value}, told before the start");
        w.tell(Input::File("f", 0));
        w.tell(Input::File("g", 77));
        w.tell(Input::File("f", value));
        assert_eq!(w.table(), table, "{weight} {reverse} {value}, told later");
    }
    let bfd = |alpha| {
        let kind = CheckKind::Bfd { name: "b".into() };
        Check { kind, timing: Timing { alpha, ..timing() } }
    };
    let mut w = World::new(config(service(vec![server(A, 5, bfd(true))])));
    w.run(1.0);
    assert_eq!(w.table(), "", "not before the session is up");
    w.tell(Input::Bfd("c", true));
    assert_eq!(w.table(), "", "another session");
    w.tell(Input::Bfd("b", true));
    assert_eq!(w.table(), "10.0.0.1:80=5");
    let mut w = World::new(config(service(vec![server(A, 5, bfd(false))])));
    w.run(1.0);
    assert_eq!(w.table(), "10.0.0.1:80=5");
    w.tell(Input::Bfd("c", false));
    assert_eq!(w.table(), "10.0.0.1:80=5", "another session");
    w.tell(Input::Bfd("b", false));
    assert_eq!(w.table(), "");
    assert!(w.heard().contains(&"BFD_CHECK on service [10.0.0.1]:tcp:80 failed: session is down".to_owned()));
    w.tell(Input::Bfd("b", true));
    assert_eq!(w.table(), "10.0.0.1:80=5");
}

#[test]
fn an_agent_speaks_for_its_host() {
    let agent = Check { kind: CheckKind::Agent { target: target(B), send: vec![] }, timing: timing() };
    let mut s = server(A, 10, tcp(A));
    s.checks.push(agent);
    let mut w = world(service(vec![s]));
    w.run(0.5);
    let say = |w: &mut World, words: &str| {
        w.manner(B, Manner::Talks(vec![format!("{words}\n").into_bytes()]));
        w.run(1.0);
        w.table()
    };
    assert_eq!(say(&mut w, "50%"), "10.0.0.1:80=5");
    assert_eq!(say(&mut w, "drain"), "10.0.0.1:80=0");
    assert_eq!(say(&mut w, "ready 150%"), "10.0.0.1:80=15");
    let said = |w: &World| w.pool.services()[0].servers[0].checks[1].said.to_owned();
    assert_eq!(say(&mut w, "drain #backup"), "10.0.0.1:80=0");
    assert_eq!(said(&w), "backup");
    assert_eq!(say(&mut w, "ready"), "10.0.0.1:80=15");
    assert_eq!(said(&w), "");
    let reason = |w: &World| w.pool.services()[0].servers[0].checks[1].reason.clone();
    assert_eq!(say(&mut w, "maint # new disk"), "");
    assert_eq!(say(&mut w, "90%"), "");
    assert_eq!(reason(&w).as_deref(), Some("agent says maint: new disk"));
    assert_eq!(say(&mut w, "100%"), "");
    assert_eq!(say(&mut w, "up"), "", "up does not end maintenance");
    assert_eq!(say(&mut w, "up ready 100%"), "10.0.0.1:80=10");
    assert_eq!(say(&mut w, "down # disk"), "");
    assert!(w.heard().contains(&"Agent check on service [10.0.0.1]:tcp:80 failed: agent says down: disk".to_owned()));
    assert_eq!(say(&mut w, "up"), "10.0.0.1:80=10");
    assert_eq!(say(&mut w, "banana"), "10.0.0.1:80=10", "what is not understood changes nothing");
    w.manner(B, Manner::Refuses);
    w.run(3.0);
    assert_eq!(w.table(), "10.0.0.1:80=10", "and so does an agent that is away");
    assert_eq!(
        w.heard().iter().filter(|l| l.contains("Agent check") && l.contains("failed")).count(),
        1,
        "which is said once"
    );

    // a host that said down is down until it says up, whatever is heard meanwhile, and whoever hears it
    assert_eq!(say(&mut w, "down"), "");
    w.manner(B, Manner::Refuses);
    w.run(2.0);
    assert_eq!(say(&mut w, " "), "", "an empty answer");
    assert_eq!(say(&mut w, "30%"), "");
    assert_eq!(reason(&w).as_deref(), Some("agent says down"));
    let mut s = service(vec![server(A, 10, tcp(A))]);
    s.servers[0].checks.push(Check { kind: CheckKind::Agent { target: target(B), send: vec![] }, timing: timing() });
    let mut heir = World::restore_at(config(s), &w.pool.snapshots(), w.now);
    heir.manner(A, up());
    heir.run(0.5);
    assert_eq!(say(&mut heir, "40%"), "");
    assert_eq!(reason(&heir).as_deref(), Some("agent says down"));
    assert_eq!(say(&mut heir, "up"), "10.0.0.1:80=4");

    // nobody waits for an agent, neither with alpha nor after a reload that brings one to a server that is down
    let mut s = server(A, 10, tcp(A));
    s.checks[0].timing.alpha = true;
    let without = s.clone();
    s.checks.push(Check {
        kind: CheckKind::Agent { target: target(C), send: vec![] },
        timing: Timing { alpha: true, ..timing() },
    });
    for reload in [false, true] {
        let mut w = World::new(config(service(vec![if reload { without.clone() } else { s.clone() }])));
        w.run(1.5);
        assert_eq!(w.table(), "");
        w.reload(config(service(vec![s.clone()])));
        w.manner(A, up());
        w.run(1.0);
        assert_eq!(w.table(), "10.0.0.1:80=10");
    }
}

#[test]
fn log_all_failures_and_mails() {
    let mut s = service(vec![server(A, 1, tcp(A))]);
    s.servers[0].checks[0].timing = Timing { retry: 2, log_all_failures: true, ..timing() };
    s.servers[0].smtp_alert = true;
    s.smtp_alert = true;
    let mut w = world(s);
    w.run(1.2);
    let start = "mail Virtualserver [192.0.2.1]:tcp:80 - UP / => Starting with quorum up 1+0=1 <= 1 <=";
    assert_eq!(w.heard().iter().filter(|l| *l == start).count(), 1);
    w.manner(A, Manner::Refuses);
    w.run(2.0);
    let heard = w.heard();
    let said = |words: &str| heard.iter().filter(|l| l.starts_with(words)).count();
    // keepalived's words for a failure that decides nothing, and for the one that does.
    assert_eq!(said("TCP connection to [10.0.0.1]:tcp:80 failed: connection refused"), 2, "{heard:?}");
    assert_eq!(said("TCP_CHECK on service [10.0.0.1]:tcp:80 failed after 2 retries"), 1, "{heard:?}");
    assert!(heard.contains(
        &"mail Realserver [10.0.0.1]:tcp:80 of virtual server [192.0.2.1]:tcp:80 - DOWN / => TCP CHECK failed on service : \
          connection refused <="
            .to_owned()
    ));
}

#[test]
fn mails_of_a_check_have_keepaliveds_words() {
    let of = |kind: CheckKind, up| crate::words::mail(&Check { kind, timing: timing() }, up, None);
    let dns = || CheckKind::Dns { target: target(A), kind: 6, name: ".".into() };
    assert_eq!(of(misc(false).kind, true), "=> MISC CHECK succeeded on service <=");
    assert_eq!(of(misc(false).kind, false), "=> MISC CHECK failed on service <=");
    assert_eq!(of(dns(), true), "=> DNS_CHECK: succeed on service <=");
    assert_eq!(of(tcp(A).kind, true), "=> TCP CHECK succeed on service <=");
    assert_eq!(of(CheckKind::Smtp { target: target(A), helo: "me".into() }, true), "=> CHECK succeed on service <=");
}

/// One virtual server with one check of half a second, asked for once in a second, without a retry.
fn impatient(kind: fn(Target) -> CheckKind) -> World {
    let mut check = Check { kind: kind(Target { timeout: Duration::from_millis(500), ..target(A) }), timing: timing() };
    check.timing.retry = 0;
    let mut w = world(service(vec![server(A, 3, check)]));
    w.run(3.5);
    w.heard();
    w
}

#[test]
fn a_pause_of_our_own_takes_no_server_out() {
    let page = |target| {
        let CheckKind::Http(check) = http(&["/"]).kind else { panic!() };
        CheckKind::Http(HttpCheck { target, ..check })
    };
    // at 4.0 it asks to be connected, at 4.001 it is and sends its question, at 4.003 the answer is there
    for asleep in [4.0005, 4.002, 4.4] {
        for closes in [false, true] {
            let mut w = impatient(page);
            w.manner(A, if asleep > 4.1 { Manner::Silent } else { up() });
            w.run(asleep - 3.5);
            w.freeze(2.5);
            w.manner(A, up());
            if closes {
                w.lose();
            }
            w.run(3.0);
            assert_eq!(w.heard().get(1..).unwrap_or_default(), [""; 0], "{asleep} {closes}");
            assert_eq!(w.table(), "10.0.0.1:80=3");
        }
    }
}

#[test]
fn what_is_dead_is_found_dead_after_a_pause_and_while_pauses_do_not_end() {
    let mut w = impatient(CheckKind::Tcp);
    w.manner(A, Manner::Silent);
    w.run(0.6);
    w.freeze(2.5);
    w.run(0.001);
    let heard = w.heard();
    assert_eq!(heard, ["not scheduled for 2.1 s: 1 checks under way are not judged by that time"]);
    // what is left of the time limit, and the limit of another try
    w.run(1.2);
    assert!(w.heard().iter().any(|l| l.contains("failed: timeout connecting")));

    let mut w = impatient(CheckKind::Tcp);
    w.manner(A, Manner::Silent);
    for _ in 0..8 {
        w.run(0.1);
        w.freeze(1.0);
    }
    assert!(w.heard().iter().any(|l| l.contains("failed: timeout connecting")));
}

#[test]
fn a_program_gets_back_the_time_of_a_pause() {
    let mut w = impatient(|t| CheckKind::Misc { script: script("slow"), timeout: t.timeout, dynamic: false });
    w.exits.insert("slow".into(), 0);
    w.run(3.0);
    w.exits.clear();
    w.heard();
    w.run(0.6);
    w.freeze(2.5);
    w.run(0.1);
    assert!(!w.said.iter().any(|(_, o)| matches!(o, Output::Kill(..))), "{:?}", w.said);
    w.run(0.6);
    assert!(w.heard().iter().any(|l| l.contains("Misc check") && l.contains("timed out after 0.5 s")), "it does hang");
}

#[test]
fn an_answer_that_is_cut_short_is_said_once_and_shown() {
    let mut w = world(service(vec![server(A, 3, http(&["/"]))]));
    w.manner(A, Manner::Answers(b"HTTP/1.0 200 OK\r\nContent-Length: 500\r\n\r\nhello".to_vec()));
    w.run(5.5);
    assert_eq!(w.table(), "10.0.0.1:80=3");
    let text = "content_length (500) does not match received bytes (5)";
    assert_eq!(w.heard().iter().filter(|l| l.ends_with(text)).count(), 1);
    assert_eq!(w.pool.services()[0].servers[0].checks[0].said, text);
    w.manner(A, up());
    w.run(1.0);
    assert_eq!(w.pool.services()[0].servers[0].checks[0].said, "");
}

#[test]
fn what_is_wanting_here_takes_no_server_out() {
    let kinds: [fn(Target) -> CheckKind; 2] =
        [CheckKind::Tcp, |t| CheckKind::Misc { script: script("x"), timeout: t.timeout, dynamic: false }];
    for kind in kinds {
        let mut w = world(service(vec![server(A, 3, Check { kind: kind(target(A)), timing: timing() })]));
        w.exits.insert("x".into(), 0);
        w.run(3.5);
        w.heard();
        w.exits.clear();
        w.manner(A, Manner::Silent);
        let mut tries = 0;
        for _ in 0..160 {
            w.run(0.05);
            let probe = w
                .pool
                .checkers
                .iter()
                .flatten()
                .find_map(|c| c.probe.as_ref().map(|p| (p.id, matches!(c.check.kind, CheckKind::Misc { .. }))));
            match probe {
                Some((id, true)) => w.tell(Input::ScriptEnded(id, ScriptEnd::Unable, "Too many open files")),
                Some((id, false)) => w.tell(Input::Unable(id, "Too many open files")),
                None => continue,
            }
            tries += 1;
        }
        assert_eq!((tries, w.table().as_str()), (4, "10.0.0.1:80=3"));
        assert_eq!(w.heard(), ["checks cannot be made, their servers stay as they are: Too many open files"]);
        w.check_probes();
        // It is asked again, and then the answer counts.
        w.manner(A, Manner::Refuses);
        w.exits.insert("x".into(), 1);
        w.run(3.0);
        assert_eq!(w.table(), "");
    }
}
