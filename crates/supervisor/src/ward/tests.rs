use super::*;

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1000)
}

fn keep(ward: &mut Ward, epoch: u64, key: &str, bytes: &[u8]) {
    let message = Message::Keep { key: key.into(), bytes: bytes.into() };
    ward.heard(at(1), &frame(&Envelope { epoch, message }).expect("frame")).expect("own frame");
}

fn said(ward: &mut Ward) -> Vec<Message> {
    let mut all = Vec::new();
    ward.flush(|f| {
        all.push(parse(f).expect("own frame").message);
        true
    });
    all
}

#[test]
fn what_is_in_the_kernel_is_kept_whatever_else_there_is() {
    let mut ward = Ward::new(Memory::Lasting, true);
    ward.started(at(0), 1, b"c").expect("fits");
    (0..KEPT).for_each(|n| keep(&mut ward, 1, &n.to_string(), b"x"));
    keep(&mut ward, 1, "one more", b"x");
    keep(&mut ward, 1, "\nours", b"x");
    assert_eq!(ward.kept().len(), KEPT + 1);
    assert!(ward.kept().any(|(key, _)| key == "\nours"));
}

#[test]
fn a_successor_is_told_what_was_kept_before_its_configuration() {
    let mut ward = Ward::new(Memory::Brief, true);
    ward.started(at(0), 1, b"c").expect("fits");
    assert_eq!(said(&mut ward).len(), 1);
    keep(&mut ward, 1, "V", b"old");
    keep(&mut ward, 1, "V", b"new");
    keep(&mut ward, 1, "W", b"x");
    keep(&mut ward, 1, "W", b"");
    keep(&mut ward, 7, "V", b"of another life");
    let end = ward.ended(at(1), End::Signalled(9), false);
    assert_eq!(end, Sequel::Restart { delay: Duration::ZERO, forgotten: false, withdraw: false });
    ward.started(at(2), 2, b"c").expect("fits");
    let kept = Message::Keep { key: "V".into(), bytes: b"new".into() };
    assert_eq!(said(&mut ward), [kept, Message::Config { last: true, bytes: b"c".into() }]);
}

#[test]
fn a_life_that_was_away_for_long_leaves_only_what_is_in_the_kernel() {
    let mut ward = Ward::new(Memory::Brief, true);
    let mut ends = Vec::new();
    for n in 0..3 {
        ward.started(at(n), n, b"").expect("fits");
        keep(&mut ward, n, "V", b"state");
        keep(&mut ward, n, "\nroute", b"object");
        keep(&mut ward, n, "\tadjusted V", b"200");
        ends.push(ward.ended(at(n), End::Signalled(6), false));
    }
    let restart = |s, forgotten, withdraw| Sequel::Restart { delay: Duration::from_secs(s), forgotten, withdraw };
    assert_eq!(ends, [restart(0, false, false), restart(1, true, true), restart(2, true, true)]);
    assert_eq!(ward.kept().map(|(key, _)| key).collect::<Vec<_>>(), ["\tadjusted V", "\nroute"]);
    // Its addresses are withdrawn once: a peer that serves since is not told again.
    let told = |ward: &Ward| {
        let words = ward.words_to_withdraw(9, b"", true, true);
        words
            .iter()
            .filter(|f| matches!(parse(f), Ok(Envelope { message: Message::Keep { key, .. }, .. }) if key == "V"))
            .count()
    };
    assert_eq!(told(&ward), 1);
    ward.peers_told();
    assert_eq!(told(&ward), 0);
    assert_eq!(ward.due(), Some(at(4)));
}

/// A peer has taken over from a life that was silent: what it holds goes, and the peer is not told.
#[test]
fn what_a_life_that_hangs_again_holds_is_taken_away_and_its_peers_are_not_told() {
    let mut ward = Ward::new(Memory::Brief, true);
    let mut ends = Vec::new();
    let mut t = 0;
    for n in 0..2 {
        ward.started(at(t), n, b"").expect("fits");
        let message = Message::Keep { key: "V".into(), bytes: b"state".into() };
        ward.heard(at(t), &frame(&Envelope { epoch: n, message }).expect("frame")).expect("own frame");
        keep(&mut ward, n, "\nroute", b"object");
        let before = t;
        while ward.watch(at(t)) != Watch::Abort {
            t += 1;
            assert!(t < before + 20, "it is not ended");
        }
        ends.push(ward.ended(at(t), End::Signalled(6), false));
    }
    let restart = |s, withdraw| Sequel::Restart { delay: Duration::from_secs(s), forgotten: true, withdraw };
    assert_eq!(ends, [restart(0, false), restart(1, true)]);
    let words = ward.words_to_withdraw(9, b"", true, true);
    let keys: Vec<String> = (words.iter())
        .filter_map(|f| match parse(f).ok()?.message {
            Message::Keep { key, .. } => Some(key),
            _ => None,
        })
        .collect();
    assert_eq!(keys, ["\nroute"]);
}

#[test]
fn who_was_told_to_stop_leaves_nothing_and_is_not_started_again() {
    let mut ward = Ward::new(Memory::Lasting, true);
    ward.started(at(0), 1, b"").expect("fits");
    keep(&mut ward, 1, "\nroute", b"object");
    ward.stop(false).expect("fits");
    assert_eq!(ward.ended(at(1), End::Exited(0), false), Sequel::Expected { withdraw: false });
    assert_eq!((ward.kept().len(), ward.due()), (0, None));
}

#[test]
fn whatever_ends_an_observer_the_daemon_goes_on() {
    // -R, and the exit statuses that end the daemon when others die of them.
    for end in [End::Signalled(11), End::Exited(1), End::Exited(2), End::Exited(4), End::Exited(0)] {
        let mut ward = Ward::new(Memory::Nothing, false);
        let mut delays = Vec::new();
        for n in 0..4 {
            ward.started(at(n), n, b"").expect("fits");
            let Sequel::Restart { delay, withdraw, .. } = ward.ended(at(n), end, false) else {
                panic!("{end:?} ends the daemon")
            };
            assert!(!withdraw);
            delays.push(delay.as_secs());
        }
        assert_eq!(delays, [0, 1, 2, 4], "{end:?}");
    }
}

#[test]
fn an_observer_that_does_not_read_is_told_the_newest_of_each_object() {
    let mut ward = Ward::new(Memory::Nothing, true);
    ward.started(at(0), 1, b"c").expect("fits");
    said(&mut ward);
    let news = |name: &str, priority| News::Instance {
        name: name.into(),
        state: steadfast_core::State::Master,
        priority,
        end: None,
    };
    for priority in 1..200 {
        ward.tell_news(&news("A", priority)).expect("fits");
    }
    ward.tell_news(&news("B", 7)).expect("fits");
    assert_eq!(said(&mut ward), [Message::News(news("A", 199)), Message::News(news("B", 7))]);
}

#[test]
fn observers_are_to_hear_of_all_that_a_successor_resumes() {
    let mut ward = Ward::new(Memory::Brief, true);
    let ready = |ward: &mut Ward, life| {
        let f = frame(&Envelope { epoch: life, message: Message::Ready }).expect("frame");
        ward.heard(at(life), &f).expect("own frame");
        std::mem::take(&mut ward.resumed)
    };
    ward.started(at(1), 1, b"").expect("fits");
    assert_eq!(ward.pending, 1);
    assert!(!ready(&mut ward, 1), "the first life is asked by whoever begins");
    ward.ended(at(2), End::Signalled(9), false);
    ward.started(at(2), 2, b"").expect("fits");
    assert!(ready(&mut ward, 2) && ward.pending == 0);
    ward.configure(b"").expect("fits");
    ward.configure(b"").expect("fits");
    assert!(!ready(&mut ward, 2), "a reload is no new life");
    assert_eq!(ward.pending, 1, "who waits for the second is not answered for the first");
    ready(&mut ward, 2);
    assert_eq!(ward.pending, 0);
    // Whoever asked how it is while it began is answered all the same.
    said(&mut ward);
    ward.asked = true;
    ready(&mut ward, 2);
    assert_eq!(said(&mut ward), [Message::Ask]);
}

#[test]
fn questions_of_an_observer_are_paced() {
    let mut ward = Ward::new(Memory::Nothing, true);
    ward.started(at(0), 1, b"").expect("fits");
    let hear = |ward: &mut Ward, t, message| {
        ward.heard(at(t), &frame(&Envelope { epoch: 1, message }).expect("frame")).expect("own frame");
    };
    assert_eq!(ward.survey_due(), None);
    hear(&mut ward, 1, Message::Survey);
    assert_eq!(ward.survey_due(), Some(at(1)));
    ward.begin_survey(at(1), &[Reporter::Vrrp]);
    hear(&mut ward, 1, Message::Survey);
    assert_eq!(ward.survey_due(), None, "one is under way");
    ward.awaits.clear();
    assert_eq!(ward.survey_due(), Some(at(2)));
    for _ in 0..1000 {
        hear(&mut ward, 1, Message::Act(Action::Reload));
    }
    assert_eq!(ward.take_actions().len(), ACTIONS);
}

#[test]
fn only_observers_may_want_something_done() {
    let mut ward = Ward::new(Memory::Brief, true);
    ward.started(at(0), 1, b"").expect("fits");
    for message in [Message::Act(Action::Reload), Message::Survey] {
        ward.heard(at(1), &frame(&Envelope { epoch: 1, message }).expect("frame")).expect("own frame");
    }
    assert_eq!((ward.take_actions().len(), ward.survey_due()), (0, None));
}

#[test]
fn what_a_stop_that_was_cut_short_left_is_taken_away() {
    for (memory, keep_objects, withdraw) in [
        (Memory::Brief, false, true),
        (Memory::Brief, true, false),
        (Memory::Lasting, false, true),
        (Memory::Lasting, true, false),
        (Memory::Sessions, false, false),
        (Memory::Nothing, false, false),
    ] {
        let mut ward = Ward::new(memory, true);
        ward.started(at(0), 1, b"").expect("fits");
        keep(&mut ward, 1, "\nroute", b"object");
        ward.stop(keep_objects).expect("fits");
        assert_eq!(ward.ended(at(1), End::Signalled(9), true), Sequel::Expected { withdraw });
        assert_eq!(ward.kept().len(), 1);
    }
}

/// A child of an older program whose work nobody goes on with.
#[test]
fn what_a_former_life_left_is_known_when_it_did_not_end_in_order() {
    for in_order in [true, false] {
        let mut ward = Ward::new(Memory::Brief, true);
        ward.inherit([("V".to_string(), b"state".to_vec()), ("\naddress".to_string(), b"object".to_vec())]);
        ward.former_ended(in_order);
        assert_eq!(ward.left_something(), !in_order);
        if !in_order {
            let words: Vec<_> = ward
                .words_to_withdraw(1, b"c", true, true)
                .iter()
                .map(|f| parse(f).expect("own frame").message)
                .collect();
            let keeps = words.iter().filter(|m| matches!(m, Message::Keep { .. })).count();
            assert_eq!(keeps, 2, "the object, and whose peers are to be told: {words:?}");
        }
    }
}

/// An upgrade is refused after the child was asked to have its counters kept; later it dies.
#[test]
fn what_was_kept_for_an_upgrade_is_not_for_a_successor_after_a_crash() {
    let mut ward = Ward::new(Memory::Brief, true);
    ward.started(at(0), 1, b"c").expect("fits");
    for key in [FOR_UPGRADE, UNTIL_RELOAD] {
        keep(&mut ward, 1, &format!("{key}VI"), b"state");
    }
    assert_eq!(ward.kept().count(), 2, "the new program has it");
    ward.ended(at(1), End::Signalled(9), false);
    assert_eq!(ward.kept().map(|(key, _)| key.to_string()).collect::<Vec<_>>(), [format!("{UNTIL_RELOAD}VI")]);
    ward.drop_kept(UNTIL_RELOAD);
    assert_eq!(ward.kept().count(), 0);
}

/// What the next life is told of states.
fn handed(ward: &mut Ward) -> usize {
    said(ward).iter().filter(|m| matches!(m, Message::Keep { key, .. } if key == "V")).count()
}

#[test]
fn verdicts_that_end_who_takes_them_over_are_not_handed_over_twice() {
    let mut ward = Ward::new(Memory::Lasting, true);
    ward.started(at(0), 1, b"").expect("fits");
    keep(&mut ward, 1, "V", b"poison");
    keep(&mut ward, 1, "\nservice", b"object");
    // A young life, which was given nothing: what it knows is not what has ended it.
    said(&mut ward);
    ward.ended(at(3), End::Signalled(9), false);
    ward.started(at(3), 2, b"").expect("fits");
    assert_eq!(handed(&mut ward), 1);
    let end = ward.ended(at(4), End::Signalled(6), false);
    assert!(matches!(end, Sequel::Restart { forgotten: true, withdraw: false, .. }), "{end:?}");
    ward.started(at(5), 3, b"").expect("fits");
    assert_eq!(handed(&mut ward), 0);
    assert!(ward.kept().any(|(key, _)| key == "\nservice"));
    // Who lives with them for long is up to them.
    keep(&mut ward, 3, "V", b"state");
    ward.ended(at(60), End::Signalled(9), false);
    ward.started(at(60), 4, b"").expect("fits");
    assert_eq!(handed(&mut ward), 1);
    ward.ended(at(80), End::Signalled(9), false);
    ward.started(at(80), 5, b"").expect("fits");
    assert_eq!(handed(&mut ward), 1);
}

/// A new program may choke on what the older one kept. One death says nothing of that yet: an upgrade is none.
#[test]
fn what_an_older_program_kept_is_handed_over_until_two_have_died_of_it() {
    for memory in [Memory::Brief, Memory::Lasting, Memory::Sessions] {
        let mut ward = Ward::new(memory, true);
        ward.inherit([("V".into(), b"state".to_vec()), ("\nobject".into(), b"object".to_vec())]);
        ward.started(at(0), 1, b"").expect("fits");
        assert_eq!(handed(&mut ward), 1);
        let end = ward.ended(at(1), End::Signalled(6), false);
        assert_eq!(end, Sequel::Restart { delay: Duration::ZERO, forgotten: false, withdraw: false }, "{memory:?}");
        ward.started(at(1), 2, b"").expect("fits");
        assert_eq!(handed(&mut ward), 1, "{memory:?}");
        let end = ward.ended(at(2), End::Signalled(6), false);
        // Peers of masters are told now.
        let withdraw = memory == Memory::Brief;
        assert_eq!(end, Sequel::Restart { delay: Duration::from_secs(1), forgotten: true, withdraw }, "{memory:?}");
        ward.started(at(3), 3, b"").expect("fits");
        assert_eq!(handed(&mut ward), 0, "{memory:?}");
    }
}

/// Who is succeeded because a file wants it has not died.
#[test]
fn verdicts_of_one_that_was_succeeded_outlive_one_death() {
    let mut ward = Ward::new(Memory::Lasting, true);
    ward.started(at(0), 1, b"").expect("fits");
    keep(&mut ward, 1, "V", b"state");
    ward.ended(at(20), End::Signalled(9), false);
    ward.started(at(20), 2, b"").expect("fits");
    assert_eq!(ward.ended(at(40), End::Exited(SUCCESSION), false), Sequel::Successor);
    ward.started(at(40), 3, b"").expect("fits");
    said(&mut ward);
    ward.ended(at(42), End::Signalled(9), false);
    ward.started(at(42), 4, b"").expect("fits");
    assert_eq!(handed(&mut ward), 1);
    ward.ended(at(44), End::Signalled(9), false);
    ward.started(at(45), 5, b"").expect("fits");
    assert_eq!(handed(&mut ward), 0);
}

/// A role that a reload wants first, or that follows an older program's, is tried again; at a start it is the daemon's end.
#[test]
fn one_that_cannot_begin_ends_nobody_who_serves() {
    for (joins, status) in [(false, 1), (true, 1), (true, 2), (true, 4)] {
        let mut ward = Ward::new(Memory::Lasting, true);
        if joins {
            ward.joins_others();
        }
        ward.started(at(0), 1, b"").expect("fits");
        let end = ward.ended(at(0), End::Exited(status), false);
        assert_eq!(matches!(end, Sequel::Restart { .. }), joins, "{end:?}");
    }
}

/// It reads nothing any more, and whoever comes after it is told all anew.
#[test]
fn nothing_is_kept_for_one_that_hangs_in_the_kernel() {
    let mut ward = Ward::new(Memory::Brief, true);
    ward.started(at(0), 1, b"").expect("fits");
    said(&mut ward);
    assert!((1..=24).any(|n| ward.watch.watch(at(n)) == Watch::Stuck));
    for _ in 0..10 {
        ward.configure(&[b'c'; 10_000]).expect("fits");
    }
    assert!(said(&mut ward).is_empty());
}

/// A role that was not wanted any more at an upgrade and is wanted much later has no past.
#[test]
fn a_life_that_ended_in_order_is_no_death_in_a_row() {
    let mut ward = Ward::new(Memory::Brief, true);
    ward.inherit([("V".into(), b"state".to_vec())]);
    ward.former_ended(true);
    ward.started(at(1000), 1, b"").expect("fits");
    let end = ward.ended(at(1001), End::Signalled(6), false);
    assert!(matches!(end, Sequel::Restart { delay: Duration::ZERO, withdraw: false, .. }), "{end:?}");
}

/// It is no death: nothing is dropped, and the next life begins now. Who asks for it all the time is one that dies.
#[test]
fn who_wants_a_successor_has_one_that_goes_on() {
    let mut ward = Ward::new(Memory::Brief, false);
    ward.started(at(0), 1, b"c").expect("fits");
    keep(&mut ward, 1, "V", b"state");
    keep(&mut ward, 1, &format!("{FOR_UPGRADE}V"), b"counts");
    assert_eq!(ward.ended(at(3), End::Exited(SUCCESSION), false), Sequel::Successor);
    assert_eq!((ward.kept().len(), ward.watch.total(), ward.is_first()), (2, 0, false));
    ward.started(at(3), 2, b"c").expect("fits");
    assert_eq!(ward.ended(at(5), End::Exited(SUCCESSION), false), Sequel::Successor, "-R as well");
    let mut ward = Ward::new(Memory::Brief, true);
    for n in [0, 2, 4, 6, 8, 10] {
        ward.started(at(n), n, b"c").expect("fits");
        keep(&mut ward, n, "V", b"state");
        assert_eq!(ward.ended(at(n + 2), End::Exited(SUCCESSION), false), Sequel::Successor);
        assert_eq!((ward.kept().len(), ward.watch.total()), (1, 0));
    }
    for (n, seconds) in [(42, 0), (43, 1)] {
        ward.started(at(n), n, b"c").expect("fits");
        let Sequel::Restart { delay, .. } = ward.ended(at(n), End::Exited(SUCCESSION), false) else { panic!("{n}") };
        assert_eq!(delay.as_secs(), seconds);
    }
    ward.started(at(60), 60, b"c").expect("fits");
    ward.stop(false).expect("fits");
    assert_eq!(ward.ended(at(61), End::Exited(SUCCESSION), false), Sequel::Expected { withdraw: true });
}

/// Whoever stood still before it was ended may have a peer in its place: its successor is told.
#[test]
fn a_successor_is_told_for_how_long_the_former_life_had_been_silent() {
    for (silent, told) in [(1, false), (3, true)] {
        let mut ward = Ward::new(Memory::Brief, true);
        ward.started(at(0), 1, b"c").expect("fits");
        keep(&mut ward, 1, "V", b"x");
        let beat = Envelope { epoch: 1, message: Message::Heartbeat { late: 0 } };
        ward.heard(at(1), &frame(&beat).expect("frame")).expect("own frame");
        ward.ended(at(1 + silent), End::Signalled(9), false);
        ward.started(at(5), 2, b"c").expect("fits");
        let bytes = steadfast_ipc::encode(&(silent * 1000)).expect("number");
        let all = said(&mut ward);
        assert_eq!(all.contains(&Message::Keep { key: SILENT.into(), bytes }), told, "{silent}: {all:?}");
    }
}

/// What an upgrade was told of a life that went on is nothing when that ends later.
#[test]
fn a_life_that_went_on_was_not_silent() {
    let mut ward = Ward::new(Memory::Brief, true);
    ward.started(at(0), 1, b"c").expect("fits");
    keep(&mut ward, 1, "V", b"x");
    assert!(ward.silence(at(4)).is_some());
    let beat = Envelope { epoch: 1, message: Message::Heartbeat { late: 0 } };
    ward.heard(at(5), &frame(&beat).expect("frame")).expect("own frame");
    assert!(ward.silence(at(6)).is_none());
    ward.inherit([(SILENT.to_string(), vec![1])]);
    ward.ended(at(6), End::Signalled(9), false);
    assert!(!ward.kept().any(|(key, _)| key == SILENT));
}

/// A peer serves by then: whoever comes at last is no master any more.
#[test]
fn a_life_that_could_not_be_started_for_long_is_told_so_or_begins_anew() {
    let silence = |seconds: u64| {
        let mut ward = Ward::new(Memory::Brief, true);
        ward.started(at(0), 1, b"c").expect("fits");
        keep(&mut ward, 1, "V", b"master");
        keep(&mut ward, 1, "\naddress", b"x");
        ward.ended(at(1), End::Signalled(9), false);
        (0..seconds).for_each(|n| ward.start_later(at(1 + n), at(2 + n)));
        if seconds >= 3 {
            ward.is_hopeless();
        }
        ward.started(at(1 + seconds), 2, b"c").expect("fits");
        let all = said(&mut ward);
        let has = |of: &str| {
            let found = |m: &Message| match m {
                Message::Keep { key, bytes } if key == of => Some(bytes.to_vec()),
                _ => None,
            };
            all.iter().find_map(found)
        };
        assert!(has("\naddress").is_some(), "it is still somebody's: {all:?}");
        (has("V").is_some(), has(SILENT).and_then(|b| steadfast_ipc::decode::<u64>(&b).ok()))
    };
    assert_eq!([0, 1, 2, 3].map(silence), [(true, None), (true, Some(1000)), (true, Some(2000)), (false, None)]);
    let mut sessions = Ward::new(Memory::Sessions, true);
    sessions.started(at(0), 1, b"c").expect("fits");
    keep(&mut sessions, 1, "B", b"up");
    sessions.ended(at(1), End::Signalled(9), false);
    sessions.start_later(at(1), at(2));
    assert_eq!(sessions.kept().len(), 0);
    assert_eq!(sessions.remembered().count(), 1, "what it said last is still known");
}

#[test]
fn of_one_that_is_not_wanted_any_more_nothing_is_told() {
    let mut ward = Ward::new(Memory::Lasting, true);
    ward.started(at(0), 1, b"c").expect("fits");
    ward.ended(at(1), End::Signalled(9), false);
    ward.started(at(1), 2, b"c").expect("fits");
    let message = Message::Status { last: true, bytes: b"{}".to_vec() };
    ward.heard(at(2), &frame(&Envelope { epoch: 2, message }).expect("frame")).expect("own frame");
    assert!(ward.said.is_some() && ward.watch.total() == 1);
    ward.stop(false).expect("fits");
    ward.ended(at(3), End::Exited(0), false);
    ward.dismissed();
    assert!(ward.said.is_none() && ward.watch.total() == 0);
}
