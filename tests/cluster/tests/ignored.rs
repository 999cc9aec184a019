//! Keywords that were taken and ignored once: their effect.

use std::time::Duration;
use steadfast_test_cluster::daemon::ask;
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const SOON: Duration = Duration::from_secs(10);

fn instance(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 255\n state MASTER\n {more}\n virtual_ipaddress {{\n  \
         10.77.0.100/24\n }}\n}}\n"
    )
}

#[test]
fn the_reports_of_a_reload_go_to_the_file_that_is_named() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let log = files.path().join("check.log");
    let globals = format!("global_defs {{\n reload_check_config {}\n}}\n", log.display());
    let text = globals + &instance("");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    d.wait_log("Entering MASTER STATE", SOON);
    assert!(!log.exists(), "a start is no reload");
    let said = || std::fs::read_to_string(&log).unwrap_or_default();
    // Also what cannot be run at all.
    for (faulty, words) in [("priotity 100", "priotity"), ("virtual_router_id", "needs a value")] {
        d.reload(&(text.clone() + &format!("vrrp_instance B {{\n {faulty}\n}}\n")));
        assert!(eventually(SOON, || said().contains(words)), "{words}: {:?}\n{}", said(), d.log());
        assert!(lan.hosts[0].has("10.77.0.100"));
    }
    // A good file leaves nothing of it.
    d.reload(&text);
    assert!(eventually(SOON, || log.exists() && said().is_empty()), "{:?}\n{}", said(), d.log());
    // A device is written to, and not replaced.
    d.reload(&text.replace(&log.display().to_string(), "/dev/null"));
    let reloads = || d.log().matches("Reload complete").count();
    assert!(eventually(SOON, || reloads() >= 2), "{}", d.log());
    d.reload(&(text.clone() + "frobnicate\n"));
    assert!(eventually(SOON, || d.log().contains("frobnicate")), "{}", d.log());
    use std::os::unix::fs::FileTypeExt;
    let kind = std::fs::symlink_metadata("/dev/null").expect("/dev/null").file_type();
    assert!(kind.is_char_device());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn who_must_speak_to_peers_and_has_none_stays_in_fault() {
    require!();
    let lan = Lan::new(1);
    for more in [
        "unicast_fault_no_peer",
        "unicast_fault_no_peer\n unicast_peer {\n }",
        "unicast_src_ip 10.77.0.1\n unicast_fault_no_peer",
    ] {
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &instance(more));
        d.wait_log("entering FAULT state: unicast without a peer", SOON);
        assert!(!lan.hosts[0].has("10.77.0.100"), "{more}");
        // A peer ends it.
        d.reload(&instance("unicast_fault_no_peer\n unicast_peer {\n  10.77.0.2\n }"));
        assert!(eventually(SOON, || lan.hosts[0].has("10.77.0.100")), "{more}: {}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}

#[test]
fn static_addresses_without_a_link_are_on_the_default_one() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link add mv0 type veth peer name mv1");
    host.ip("link set mv0 up");
    let statics = "static_ipaddress {\n 10.88.0.9/24\n 10.77.0.9/24 dev eth0\n}\n";
    // Wherever in the file it is given.
    let text = format!("{statics}global_defs {{\n default_interface mv0\n}}\n{}", instance(""));
    let d = Daemon::start(host, Kind::Steadfast, &text);
    let on = |link: &str, address: &str| host.show(&format!("addr show dev {link}")).contains(address);
    assert!(eventually(SOON, || on("mv0", "10.88.0.9/24") && on("eth0", "10.77.0.9/24")), "{}", host.show("addr"));
    d.reload(&(statics.to_string() + &instance("")));
    assert!(eventually(SOON, || on("eth0", "10.88.0.9/24") && !on("mv0", "10.88.0.9/24")), "{}", host.show("addr"));
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn what_one_member_tracks_all_do_where_tracking_is_global() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("link add mv0 type veth peer name mv1");
    host.ip("link set mv1 up");
    host.ip("link set mv0 up");
    let two = |word: &str| {
        let member = |name: &str, vrid: u8, more: &str| {
            format!(
                "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {vrid}\n priority 100\n {more}\n virtual_ipaddress {{\n  \
                 10.77.0.{vrid}/24\n }}\n}}\n"
            )
        };
        let tracked = "track_interface {\n  mv0 weight -20\n }";
        let group = format!("vrrp_sync_group G {{\n group {{\n  A\n  B\n }}\n {word}\n}}\n");
        member("A", 101, tracked) + &member("B", 102, "") + &group
    };
    for (word, expected) in [("global_tracking", "80"), ("sync_group_tracking_weight", "100")] {
        let d = Daemon::start(host, Kind::Steadfast, &two(word));
        assert!(eventually(SOON, || host.has("10.77.0.102")), "{}", d.log());
        host.ip("link set mv0 down");
        assert!(eventually(SOON, || d.log().contains("(A) Changing effective priority from 100 to 80")), "{}", d.log());
        let priority = || {
            let status: serde_json::Value = serde_json::from_str(&ask(&d, &["status", "--json"])).expect("JSON");
            let all = status["vrrp"]["instances"].as_array().cloned().unwrap_or_default();
            all.iter().find(|i| i["name"] == "B").map(|i| i["priority"].to_string()).unwrap_or_default()
        };
        assert!(eventually(SOON, || priority() == expected), "{word}: {}\n{}", priority(), d.log());
        host.ip("link set mv0 up");
        assert_eq!(d.stop(), Some(0));
    }
}

/// `${_RANDOM}` is the same in each reading where its seed is given.
#[test]
fn random_numbers_have_the_seed_that_is_given() {
    let files = tempfile::tempdir().expect("folder");
    let conf = files.path().join("conf");
    let faults = |seed: &str| {
        let text = format!("global_defs {{\n {seed}\n}}\nx${{_RANDOM}} y\nx${{_RANDOM}} y\n");
        std::fs::write(&conf, text).expect("conf");
        steadfast_test_cluster::daemon::run(&["-t", "-f", conf.to_str().expect("path")]).2
    };
    assert_eq!(faults("random_seed 7"), faults("random_seed 7"));
    assert_ne!(faults("random_seed 7"), faults("random_seed 8").replace("seed 8", "seed 7"));
}

/// keepalived has a notice at its start where nothing is said of max_auto_priority, or 0, and none where -1 says that this is meant.
#[test]
fn a_start_without_automatic_priority_has_a_notice() {
    require!();
    let lan = Lan::new(1);
    for (word, notices) in
        [("", 1), ("max_auto_priority 0", 1), ("max_auto_priority -1", 0), ("max_auto_priority 5", 0)]
    {
        let conf = format!("global_defs {{\n {word}\n}}\n{}", instance(""));
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf);
        assert!(eventually(SOON, || d.log().contains("Startup complete")), "{}", d.log());
        d.reload(&conf);
        assert!(eventually(SOON, || d.log().contains("Reload complete")), "{}", d.log());
        assert_eq!(d.log().matches("NOTICE: max_auto_priority is not set").count(), notices, "{word}: {}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}
