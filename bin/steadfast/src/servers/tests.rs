use super::*;
use steadfast_status::live::{Checker, Part, Vrrp};

fn server(name: &str, up: bool, check: Check) -> Server {
    Server {
        name: name.into(),
        up,
        weight: 2,
        written_weight: 2,
        since: Some(90.0),
        checks: vec![check],
        ..Server::default()
    }
}

fn good() -> Check {
    Check {
        kind: "TCP_CHECK".into(),
        good: true,
        took: Some(0.004),
        at: Some(98.0),
        next: Some(3.0),
        ..Check::default()
    }
}

fn refused() -> Check {
    let reason = Some("Connection refused".into());
    Check { kind: "HTTP_GET".into(), reason, at: Some(99.5), next: Some(4.0), ..Check::default() }
}

/// Three servers, the second of which is down, and an instance that needs their quorum.
fn whole() -> Whole {
    let service = Service {
        name: "[10.77.0.80]:tcp:80".into(),
        tracked_as: "10.77.0.80 80".into(),
        quorum: true,
        since: Some(40.0),
        live_weight: 4,
        needed: 3,
        active: true,
        servers: vec![
            server("[10.77.0.11]:tcp:80", true, good()),
            server("[10.77.0.12]:tcp:80", false, refused()),
            server("[10.77.0.13]:tcp:80", true, Check { failed: Some((1, 2)), good: true, ..refused() }),
        ],
        ..Service::default()
    };
    let udp = Service { name: "[10.77.0.80]:udp:80".into(), servers: service.servers.clone(), ..Service::default() };
    let part = Part { what: "virtual server 10.77.0.80 80".into(), ..Part::default() };
    let instance = Instance { name: "VI".into(), parts: vec![part], ..Instance::default() };
    Whole {
        checker: Some(Checker { services: vec![service, udp], ..Checker::default() }),
        vrrp: Some(Vrrp { instances: vec![instance], ..Vrrp::default() }),
        ..Whole::default()
    }
}

fn first(w: &mut Whole) -> &mut Service {
    &mut w.checker.as_mut().expect("checker").services[0]
}

#[test]
fn a_virtual_server_is_explained_with_what_would_change_it() {
    let mut w = whole();
    let explained = |w: &Whole, silence: Option<&str>| {
        explain_service(&w.checker.as_ref().expect("checker").services[0], w, silence.map(Into::into), 100.0)
    };
    let said = explained(&w, None);
    for words in [
        "has its quorum since 60 s: its servers have a weight of 4, and it keeps it with 3.",
        "[10.77.0.11]:tcp:80 is up since 10 s, of weight 2.",
        "[10.77.0.12]:tcp:80 is down since 10 s, of weight 2: HTTP_GET: Connection refused, 500 ms ago.",
        "Connection refused, 500 ms ago (1 of the 2 failures that take it down).",
        "It loses its quorum when more than 1 of that weight goes.",
        "Without the quorum vrrp_instance VI goes to FAULT (track_virtual_server).",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let s = first(&mut w);
    (s.quorum, s.live_weight, s.sorry) = (false, 1, Some(("[10.77.0.9]:tcp:80".into(), true)));
    s.rests = Some("vrrp_instance VI is not master (ha_suspend)".into());
    s.servers[0].drained = true;
    (s.panic, s.panic_threshold) = (true, Some(50));
    s.sorry_refused = Some("not in the kernel's table: Invalid argument".into());
    w.checker.as_mut().expect("checker").trouble = Some("no module".into());
    let said = explained(&w, Some("it died"));
    for words in [
        "has no quorum since 60 s: its servers have a weight of 1, and it gains it with 3.",
        "What follows is what was said last: it died.",
        "Nothing is balanced: no module.",
        "More servers than 50 per cent (panic_threshold) have failed at once: all of them are kept in service.",
        "Its checks rest, and its servers are as they were when they last ran: vrrp_instance VI is not master",
        "up since 10 s, drained by the operator",
        "down, and in service nevertheless, since 10 s",
        "The sorry server [10.77.0.9]:tcp:80 would serve until the quorum is there.",
        "The sorry server is not in the kernel's table: Invalid argument.",
        "servers with a weight of 2 come up",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn a_real_server_is_explained_check_by_check() {
    let mut w = whole();
    let explained = |w: &Whole, n: usize| {
        let s = &w.checker.as_ref().expect("checker").services[0];
        explain_server(s, &s.servers[n], None, 100.0)
    };
    assert!(explained(&w, 0).contains("TCP_CHECK is good, in 4 ms, 2.0 s ago; it asks again in 3.0 s."));
    let down = explained(&w, 1);
    assert!(down.contains("HTTP_GET: Connection refused, 500 ms ago; it asks again in 4.0 s."), "{down}");
    assert!(down.contains("It comes back when each of its checks is good."), "{down}");
    assert!(!explained(&w, 2).contains("is good"), "{}", explained(&w, 2));
    let s = first(&mut w);
    (s.servers[0].drained, s.servers[0].weight) = (true, 0);
    s.servers[1].checks[0].risen = Some((1, 3));
    let drained = explained(&w, 0);
    let undrain = "`steadfast undrain \"[10.77.0.80]:tcp:80\" \"[10.77.0.11]:tcp:80\"` gives it its weight of 2 back.";
    assert!(drained.contains(undrain), "{drained}");
    assert!(explained(&w, 1).contains("(1 of the 3 good answers that bring it back)"));
}

#[test]
fn names_are_found_in_one_word_or_in_several() {
    let mut w = whole();
    first(&mut w).servers[2].name = "[2001:db8::1]:tcp:80".into();
    let all = &w.checker.as_ref().expect("checker").services;
    let parted = |text: &str| parted(all, &text.split(' ').map(String::from).collect::<Vec<_>>());
    let pair = |a: &str, b: &str| Some((a.to_string(), b.to_string()));
    assert_eq!(parted("10.77.0.80 80 10.77.0.11 80"), pair("10.77.0.80 80", "10.77.0.11 80"));
    assert_eq!(parted("[10.77.0.80]:tcp:80 10.77.0.11 80"), pair("[10.77.0.80]:tcp:80", "10.77.0.11 80"));
    assert_eq!(parted("10.77.0.80 80 2001:db8::1 80"), pair("10.77.0.80 80", "2001:db8::1 80"));
    assert_eq!(parted("10.77.0.80 80 10.77.0.99 80"), None);
    assert_eq!(services(all, "10.77.0.80 80").len(), 2, "both protocols");
    assert_eq!(services(all, "[10.77.0.80]:udp:80").len(), 1);
}

#[test]
fn a_balancer_that_is_not_there_has_no_sorry_server_serve() {
    let mut w = whole();
    let s = first(&mut w);
    s.sorry = Some(("[10.77.0.9]:tcp:80".into(), true));
    s.sorry_refused = Some("not in the kernel's table: no".into());
    let line = |balanced| service(s, balanced, 100.0, Paint(false)).lines().rev().nth(1).map(String::from);
    assert!(line(true).is_some_and(|l| l.starts_with("  serves [10.77.0.9]:tcp:80")));
    assert!(line(false).is_some_and(|l| l.ends_with("sorry server, would serve") && !l.contains("serves")));
    let shown = service(s, true, 100.0, Paint(false));
    assert!(shown.ends_with("not in the kernel's table: no\n"), "{shown}");
    assert!(shown.contains("HTTP_GET: Connection refused, 1 of 2 failures"), "{shown}");
}

#[test]
fn servers_show_what_their_checks_came_to() {
    let check = |kind: &str, good, reason: Option<&str>, said: &str| Check {
        kind: kind.into(),
        good,
        reason: reason.map(Into::into),
        took: Some(0.0012),
        at: Some(999.6),
        said: said.into(),
        ..Check::default()
    };
    let server = |name: &str, up, checks| Server {
        name: name.into(),
        up,
        since: Some(700.0),
        weight: 1,
        checks,
        ..Server::default()
    };
    let mut s = Service {
        name: "[192.0.2.1]:tcp:80".into(),
        needed: 1,
        since: Some(990.0),
        active: true,
        sorry: Some(("[10.0.0.9]:tcp:80".into(), true)),
        servers: vec![
            server("[10.0.0.1]:tcp:80", true, vec![check("TCP_CHECK", true, None, "")]),
            server("[10.0.0.2]:tcp:80", false, vec![check("MISC_CHECK", false, Some("timed out after 3 s"), "asking")]),
        ],
        ..Service::default()
    };
    s.servers[0].agent_drains = true;
    s.servers[0].weight = 10;
    s.servers[0].rising = Some(3);
    assert_eq!(
        service(&s, true, 1000.0, Paint(false)),
        "down   [192.0.2.1]:tcp:80  weight 0 of 1 needed, since 10 s\n  \
         up     [10.0.0.1]:tcp:80  weight 3 of 10, rising, drained by its agent, since 5 min  TCP_CHECK 1.2 ms, 0.4 s ago\n  \
         down   [10.0.0.2]:tcp:80  weight 1, since 5 min  MISC_CHECK: timed out after 3 s, 0.4 s ago\n         MISC_CHECK: asking\n  \
         serves [10.0.0.9]:tcp:80  sorry server\n"
    );
    // Who is well and gets no connection.
    s.refused = Some("in the kernel's table as before: No such file or directory".into());
    s.servers[0].refused = Some("not in the kernel's table: Numerical result out of range".into());
    let shown = service(&s, true, 1000.0, Paint(false));
    assert!(
        shown.contains("since 10 s\n       in the kernel's table as before: No such file or directory\n"),
        "{shown}"
    );
    assert!(
        shown.contains("0.4 s ago\n         not in the kernel's table: Numerical result out of range\n"),
        "{shown}"
    );
    // Nobody looks whether it lives.
    s.servers = vec![server("[10.0.0.3]:tcp:80", true, Vec::new())];
    assert!(service(&s, true, 1000.0, Paint(false)).contains("weight 1, since 5 min  no check\n"));
    s.sorry = s.sorry.map(|(name, _)| (name, false));
    s.leaving = vec![("[10.0.0.3]:tcp:80".into(), 4.0)];
    assert!(
        service(&s, true, 1000.0, Paint(false))
            .contains("\n  drains [10.0.0.3]:tcp:80  left the file, gone in 4.0 s\n")
    );
    assert!(service(&s, true, 1000.0, Paint(false)).ends_with("         [10.0.0.9]:tcp:80  sorry server\n"));
}

#[test]
fn services_have_the_names_of_the_file() {
    for (log, file) in [
        ("FWM 7", "fwmark 7"),
        ("[WEB]:0", "group WEB"),
        ("[WEB]:1", "group WEB (2)"),
        ("[10.0.0.1]:tcp:80", "[10.0.0.1]:tcp:80"),
    ] {
        assert_eq!(written(log), file);
    }
}

#[test]
fn names_of_the_file_and_of_the_logs_are_the_same() {
    for (file, log) in [
        ("192.0.2.10 80", "[192.0.2.10]:tcp:80"),
        ("192.0.2.10:80", "[192.0.2.10]:udp:80"),
        ("2001:db8::1 80", "[2001:db8::1]:tcp:80"),
        ("fwmark 5", "FWM 5"),
        ("group WEB", "[WEB]:0"),
        ("WEB", "[WEB]:0"),
        ("group WEB", "[WEB]:1"),
        // A real server of a mark.
        ("10.0.0.3 80", "[10.0.0.3]:none:80"),
    ] {
        assert_eq!(plain(file), plain(log), "{file}");
    }
    for (one, other) in [("group WEB", "[WEB2]:0"), ("fwmark 5", "FWM 50"), ("192.0.2.10 80", "[192.0.2.10]:tcp:81")] {
        assert_ne!(plain(one), plain(other));
    }
}

/// Each is found by the name that a status has for it, and all of a group by the group's.
#[test]
fn the_second_virtual_server_of_a_group_is_found_by_the_name_that_is_shown() {
    let all: Vec<Service> =
        ["[WEB]:0", "[WEB]:1"].map(|name| Service { name: name.into(), ..Service::default() }).into();
    let found = |wanted: &str| services(&all, wanted).iter().map(|s| s.name.as_str()).collect::<Vec<_>>();
    assert_eq!(found(&written("[WEB]:1")), ["[WEB]:1"]);
    assert_eq!(found("group WEB"), ["[WEB]:0", "[WEB]:1"]);
    assert_eq!(found("[WEB]:0"), ["[WEB]:0"]);
}

#[test]
fn what_a_server_lacks_is_said_with_it() {
    let mut w = whole();
    let s = first(&mut w);
    s.servers[0].refused = Some("not in the kernel's table: Numerical result out of range".into());
    s.servers[1].checks[0] = Check { risen: Some((2, 4)), reason: None, ..refused() };
    let said = explain_service(&w.checker.as_ref().expect("checker").services[0], &w, None, 100.0);
    for words in [
        "[10.77.0.11]:tcp:80 is up since 10 s, of weight 2, but not in the kernel's table: Numerical result",
        "its last answer was good, 500 ms ago (2 of the 4 good answers that bring it back)",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let w = {
        let s = first(&mut w);
        s.servers[1].checks[0].reason = Some("agent says maint: rolling".into());
        s.sorry = Some(("[10.77.0.19]:tcp:80".into(), true));
        w.checker.as_mut().expect("checker").trouble = Some("no module".into());
        w
    };
    let s = &w.checker.as_ref().expect("checker").services[0];
    assert!(explain_server(s, &s.servers[1], None, 100.0).contains("It comes back when its agent says `ready`."));
    assert!(explain_service(s, &w, None, 100.0).contains("[10.77.0.19]:tcp:80 would serve until"));
}

#[test]
fn an_address_alone_is_enough_where_it_is_of_one() {
    let names = ["[192.0.2.1]:tcp:80", "[192.0.2.2]:tcp:80", "[192.0.2.2]:tcp:81", "[fd00::1]:tcp:80"];
    let found = |wanted: &str| at(names.iter(), |n| n, wanted);
    assert_eq!((found("192.0.2.1"), found("fd00::1")), (vec![&names[0]], vec![&names[3]]));
    assert!(found("192.0.2.2").is_empty() && found("192.0.2").is_empty());
}

#[test]
fn a_check_that_was_not_asked_yet_says_so() {
    let check =
        |good: bool| Check { kind: "TCP_CHECK".into(), good, borrowed: true, next: Some(0.2), ..Check::default() };
    let service =
        |up: bool| Service { servers: vec![server("[192.0.2.3]:tcp:80", up, check(up))], ..Service::default() };
    for (up, words) in [(false, "down as before it"), (true, "up as before it")] {
        let words = format!("TCP_CHECK: not asked yet since the reload; {words}");
        let s = service(up);
        let shown = super::service(&s, true, 10.0, Paint(false));
        assert!(shown.contains(&words), "{shown}");
        let told = explain_server(&s, &s.servers[0], None, 10.0);
        assert!(told.contains(&format!("{words}; it asks again in 0.2 s.")), "{told}");
    }
}
