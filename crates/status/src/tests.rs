use super::*;
use steadfast_core::State;

fn sample() -> Snapshot {
    let instance = Instance {
        name: "VI_1".into(),
        interface: "eth0".into(),
        version: 2,
        vrid: 51,
        state: State::Master,
        want_state: State::Master,
        base_priority: 100,
        effective_priority: 107,
        addresses_set: true,
        advert_interval: 1.0,
        master_advert_interval: 0.5,
        addresses: vec!["192.0.2.50/24 dev eth0 scope global set".into()],
        scripts: vec![("script".into(), "'/usr/bin/logger' 'hi'".into())],
        auth_type: 1,
        last_transition: 1.5,
        ..Default::default()
    };
    Snapshot { router_id: "me".into(), instances: vec![instance], ..Snapshot::default() }
}

#[test]
fn json_is_an_array_with_escaped_slashes_and_short_numbers() {
    let text = json(&sample(), 1).expect("an instance");
    assert!(text.starts_with("[{\"data\":{\"iname\":\"VI_1\",\"dont_track_primary\":0,"), "{text}");
    assert!(text.contains(r#""vips":["192.0.2.50\/24 dev eth0 scope global set"]"#), "{text}");
    assert!(
        text.contains(r#""last_transition":1.500000,"#) && text.contains(r#""adver_int":1,"master_adver_int":0.5"#)
    );
    assert!(text.contains(r#""auth_data":"********"}"#) && !text.contains("evips") && text.ends_with("}]\n"));
    let value: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
    assert_eq!(value[0]["stats"].as_object().map(|o| o.len()), Some(14));
    let two = json(&sample(), 2).expect("an instance");
    assert!(serde_json::from_str::<serde_json::Value>(&two).expect("valid")["vrrp"].is_array());
    assert_eq!(json(&Snapshot::default(), 1), None);
}

#[test]
fn hostile_names_stay_inside_their_string() {
    let mut s = sample();
    s.instances[0].name = "a\"b\\c\u{1}\n".into();
    let value: serde_json::Value = serde_json::from_str(&json(&s, 1).expect("some")).expect("valid JSON");
    assert_eq!(value[0]["data"]["iname"], "a\"b\\c\u{1}\n");
}

#[test]
fn statistics_keep_their_layout() {
    let text = stats(&sample());
    let want = "VRRP Instance: VI_1\n  Advertisements:\n    Received: 0\n    Sent: 0\n  Became master: 0\n  Released master: 0\n  Packet Errors:\n    Length: 0\n";
    assert!(text.starts_with(want), "{text}");
    assert!(text.ends_with("  Priority Zero:\n    Received: 0\n    Sent: 0\n"));
}

#[test]
fn data_dump_has_the_keys_that_readers_split_on() {
    let text = data(&sample(), &Details::default());
    for line in [
        " VRRP Instance = VI_1",
        "   State = MASTER",
        "   Virtual IP (1):",
        "     192.0.2.50/24 dev eth0 scope global set",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
}

#[test]
fn counters_of_trailers_are_there_where_there_are_trailers() {
    let mut s =
        Snapshot { instances: vec![Instance { name: "A".into(), ..Instance::default() }], ..Snapshot::default() };
    assert!(!stats(&s).contains("HMAC") && !json(&s, 1).expect("json").contains("auth_ext"));
    s.instances[0].hmac = true;
    s.instances[0].auth_type = 2;
    s.instances[0].statistics.auth_ext_replay = 7;
    let text = stats(&s);
    assert!(text.contains(
        "  Authentication Errors:\n    Invalid Type: 0\n    Type Mismatch: 0\n    Failure: 0\n    Missing HMAC: 0\n"
    ));
    assert!(text.contains("    Replay: 7\n  Priority Zero:\n"), "{text}");
    assert!(json(&s, 1).expect("json").contains(r#""pri_zero_sent":0,"auth_ext_missing":0,"#));
    assert!(data(&s, &Details::default()).contains("   Authentication type = IPSEC_AH\n"));
}

#[test]
fn the_second_layout_has_the_process_trackers() {
    let process = crate::Process { process: "cron".into(), min_processes: 1, max_processes: 4, ..Default::default() };
    let text = json(&Snapshot { processes: vec![process], ..sample() }, 2).expect("an instance");
    let end = ",\"track_process\":[{\"process\":\"cron\",\"parameters\":\"\",\"param_match\":\"\",\"min_processes\":1,\"max_processes\":4,\
               \"current_processes\":0,\"have_quorum\":false,\"weight\":0,\"terminate_delay\":0,\"fork_delay\":0,\"full_command\":false,\
               \"terminate_timer_running\":false,\"fork_timer_running\":false,\"name\":\"\"}]}\n";
    assert!(text.ends_with(end), "{text}");
}
