//! The data dumps have the sections and keys that keepalived's have. Exporters and people's scripts look for them.

use std::collections::BTreeSet;
use std::time::Duration;
use steadfast_test_cluster::daemon::keepalived;
use steadfast_test_cluster::dumps::{Key, counts, keys, missing, unrecorded};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const CONF: &str = r#"
global_defs {
    router_id lb1
    notification_email {
        a@example.org
    }
    notification_email_from k@example.org
    smtp_server 127.0.0.1 2525
    smtp_helo_name lb1
    enable_script_security
    script_user root
    dynamic_interfaces
    vrrp_startup_delay 0.1
    state_dump_file FOLDER/keepalived.data
    SECURITY
}
interface_up_down_delays {
    eth0 0.1 0.2
}
track_file f1 {
    file FOLDER/value
    weight 2
    init_file 3 overwrite
}
vrrp_track_process p1 {
    process a-process-that-is-not-there
    weight 3
}
vrrp_script s1 {
    script "/bin/true a b"
    interval 1
    weight 4
}
bfd_instance n1 {
    neighbor_ip 10.77.0.44
}
vrrp_sync_group G {
    group {
        A
        B
    }
    track_script {
        s1
    }
    sync_group_tracking_weight
    notify_master "/bin/true group"
}
vrrp_instance A {
    interface eth0
    virtual_router_id 51
    priority 150
    version 3
    advert_int 0.5
    preempt_delay 1
    track_interface {
        other weight 5
    }
    track_file {
        f1 weight 3
    }
    track_process {
        p1
    }
    track_script {
        s1 weight 6
    }
    virtual_ipaddress {
        10.77.0.100/24
    }
    virtual_ipaddress_excluded {
        10.77.0.102/24
    }
    virtual_routes {
        blackhole 10.11.0.0/24
    }
    virtual_rules {
        from 10.10.0.0/24 table 100 priority 1000
    }
    notify "/bin/true n"
    notify_master "/bin/true m"
    notify_backup /bin/true
    notify_fault /bin/true
    notify_stop /bin/true
}
vrrp_instance B {
    interface eth0
    virtual_router_id 52
    priority 100
    version 3
    use_vmac
    virtual_ipaddress {
        fe80::9
    }
}
vrrp_instance C {
    interface eth0
    virtual_router_id 53
    priority 90
    dont_track_primary
    skip_check_adv_addr
    authentication {
        auth_type PASS
        auth_pass geheim
    }
    unicast_peer {
        10.77.0.9 min_ttl 5 max_ttl 9
    }
    track_bfd {
        n1 weight 3
    }
    virtual_ipaddress {
        10.77.0.110
    }
}
vrrp_instance D {
    interface eth0
    virtual_router_id 54
    priority 90
    virtual_ipaddress {
        10.77.0.111
    }
}
static_ipaddress {
    10.9.1.1/24 dev eth0
}
static_routes {
    blackhole 10.12.0.0/24
}
static_rules {
    from 10.13.0.0/24 table 101 priority 1001
}
"#;

#[test]
fn the_data_dump_has_keepalived_s_sections_and_keys() {
    require!();
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    // Of A: 150, 9 of the file, and 4 of the script, which the group tracks, too: it counts once, with the group's weight.
    let master = "vrrp_instance D {\n interface eth0\n virtual_router_id 54\n priority 200\n virtual_ipaddress {\n 10.77.0.111\n }\n}\n";
    let peer = Daemon::start(&lan.hosts[1], Kind::Steadfast, master);
    let mut seen = BTreeSet::new();
    let mut dump = String::new();
    for security in ["", "vrrp_notify_priority_changes"] {
        let conf = CONF.replace("FOLDER", &folder.path().display().to_string()).replace("SECURITY", security);
        let conf = if security.is_empty() { conf } else { conf.replace("enable_script_security", "") };
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf);
        let file = folder.path().join("keepalived.data");
        let whole = || {
            d.signal(nix::sys::signal::Signal::SIGUSR1);
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let ready = ["   Master priority = 200\n", "   Effective priority = 163\n", "VRRP Sync Group = G, MASTER"];
            let all = ready.iter().all(|w| text.contains(w)) && text.contains("vrrp6.52\n");
            all.then_some(text)
        };
        let bound = Duration::from_secs(20);
        assert!(
            eventually(bound, || whole().is_some()),
            "{}\n{}",
            std::fs::read_to_string(&file).unwrap_or_default(),
            d.log()
        );
        dump = whole().expect("dump");
        seen.extend(keys(&dump, 4));
        assert_eq!(d.stop(), Some(0));
        std::fs::remove_file(&file).expect("dump");
    }
    drop(peer);
    assert!(!dump.contains("geheim"));
    for line in [
        "     s1 weight 4",
        "     f1, weight 3",
        "     10.77.0.9 min_ttl 5 max_ttl 9",
        "   Down debounce timer = 100000us",
    ] {
        assert!(dump.lines().any(|l| l == line), "{line}\n{dump}");
    }
    compare("data", include_str!("recorded/data-keys.tsv"), &seen, &dump);
}

/// Ours has what keepalived's was seen to have.
fn compare(what: &str, recording: &str, seen: &BTreeSet<Key>, dump: &str) {
    let ((wanted, left_out), missing) = (counts(recording), missing(recording, seen));
    println!("{what} dump: {wanted} sections and keys of keepalived 2.2.7, {left_out} left out with a reason");
    assert!(missing.is_empty() && wanted > 80, "{missing:#?}\n{dump}");
}

const SESSIONS: &str = r#"
global_defs {
    router_id lb1
    notification_email {
        a@example.org
    }
    notification_email_from k@example.org
    smtp_server 127.0.0.1 2525
    smtp_helo_name lb1
    enable_script_security
    script_user root
}
bfd_instance n1 {
    neighbor_ip 10.77.0.44
    source_ip 10.77.0.1
    min_rx 20
    min_tx 30
    multiplier 4
    ttl 200
}
bfd_instance n2 {
    neighbor_ip 10.77.0.45
    passive
}
vrrp_instance V {
    interface eth0
    virtual_router_id 51
    track_bfd {
        n1
        n2
    }
    virtual_ipaddress {
        10.77.0.99
    }
}
"#;

/// The text of a file that SIGUSR1 makes a daemon write, once it has its last line: who is just starting may not hear the first one.
fn dumped(d: &Daemon, name: &str, last: &str) -> String {
    let file = d.path(name);
    let text = || std::fs::read_to_string(&file).unwrap_or_default();
    let whole = || text().lines().last().is_some_and(|l| l.contains(last));
    let asked = || {
        d.signal(nix::sys::signal::Signal::SIGUSR1);
        eventually(Duration::from_secs(2), whole)
    };
    assert!((0..8).any(|_| asked()), "{}\n{}", text(), d.log());
    text()
}

#[test]
fn the_dump_of_bfd_has_keepalived_s_sections_and_keys() {
    require!();
    let lan = Lan::new(1);
    let recording = include_str!("recorded/bfd-keys.tsv");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, SESSIONS);
    d.wait_log("Startup complete", Duration::from_secs(20));
    let dump = dumped(&d, "keepalived_bfd.data", "packets = ");
    compare("BFD", recording, &keys(&dump, 4), &dump);
    assert_eq!(d.stop(), Some(0));
    if keepalived().is_none() {
        println!("SKIPPED: the dump of keepalived's BFD: it is not installed");
        return;
    }
    let d = Daemon::start(&lan.hosts[0], Kind::Keepalived, SESSIONS);
    d.wait_log("Startup complete", Duration::from_secs(20));
    let theirs = dumped(&d, "keepalived_bfd.data", "last_seen");
    let unrecorded = unrecorded(recording, &keys(&theirs, 4));
    assert!(unrecorded.is_empty(), "{unrecorded:?}\n{theirs}");
}

/// What checks are, with an example of each.
const CHECKS: &str = include_str!("recorded/checks.conf");

#[test]
fn the_dump_of_checks_has_keepalived_s_sections_and_keys() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::tempdir().expect("folder");
    let conf = CHECKS.replace("FOLDER", &folder.path().display().to_string());
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf);
    d.wait_log("Lost quorum", Duration::from_secs(20));
    let dump = dumped(&d, "keepalived_check.data", "-> ");
    compare("check", include_str!("recorded/check-keys.tsv"), &keys(&dump, 5), &dump);
    assert!(!dump.contains("geheim"), "{dump}");
    for line in [
        "   RIP = 10.77.0.2, RPORT = 80, WEIGHT = 2 EFF WEIGHT = 2",
        "   forwarding method = TUN, type = GUE, port = 6080, no checksum",
        "   Keepalive method = SSL_GET, http protocol 1.0",
        "     Bind to = [10.77.0.1]:5000",
        "   Last failure = session is down",
    ] {
        assert!(dump.lines().any(|l| l == line), "{line}\n{dump}");
    }
}

const ADDRESSES: &str = "
vrrp_instance V {
    interface eth0
    virtual_router_id 51
    priority 255
    virtual_ipaddress {
        10.77.0.100/24 brd +
        10.77.0.101/24 scope link
        10.77.0.102 label eth0:x peer 10.77.0.103
        10.77.0.104/24 noprefixroute no_track
    }
    virtual_ipaddress_excluded {
        fd07::1/64 home mngtmpaddr
        fd07::2
        fd07::3/64 preferred_lft 4000
        fd07::4 use_vmac
    }
}
static_ipaddress {
    10.9.1.1/24 dev eth0
    10.77.0.105/24 scope link dev eth0
}
";

/// Addresses as both dumps show them: all that their lines give, and `set` where the kernel has them. It refuses those of another
/// scope than the network that is there.
const SHOWN: [&str; 10] = [
    "10.77.0.100/24 brd 10.77.0.255 dev eth0 scope global set",
    "10.77.0.101/24 dev eth0 scope link",
    "10.77.0.102 dev eth0 scope global label eth0:x peer 10.77.0.103/32 set",
    "10.77.0.104/24 dev eth0 scope global noprefixroute no_track set",
    "fd07::1/64 dev eth0 scope global home mngtmpaddr preferred_lft forever set",
    "fd07::2 dev eth0 scope global deprecated set",
    "fd07::3/64 dev eth0 scope global preferred_lft 4000 set",
    "fd07::4 dev vrrp6.51@eth0 use_vmac scope global deprecated set",
    "10.9.1.1/24 dev eth0 scope global set",
    "10.77.0.105/24 dev eth0 scope link",
];

#[test]
fn dumps_show_all_of_an_address_and_whether_it_is_there() {
    require!();
    let both = [Kind::Steadfast, Kind::Keepalived];
    for kind in both.into_iter().filter(|k| *k == Kind::Steadfast || keepalived().is_some()) {
        let lan = Lan::new(1);
        let d = Daemon::start(&lan.hosts[0], kind, ADDRESSES);
        d.wait_log("Entering MASTER STATE", Duration::from_secs(20));
        let pid = d.pid_of("pid").expect("pid");
        for (signal, file, lines) in
            [(10, "keepalived.data", &SHOWN[..]), (super::clients::SIGJSON, "keepalived.json", &SHOWN[..8])]
        {
            // The link of the address has another name there.
            let own = |l: &str| if kind == Kind::Keepalived { l.replace("vrrp6.", "vrrp.") } else { l.to_string() };
            let wanted = |l: &str| match file {
                "keepalived.data" => format!("     {}\n", own(l)),
                _ => format!("\"{}\"", own(l).replace('/', "\\/")),
            };
            let text = || std::fs::read_to_string(d.path(file)).unwrap_or_default();
            let missing = || lines.iter().filter(|l| !text().contains(&wanted(l))).collect::<Vec<_>>();
            let asked = || {
                super::clients::send_number(pid, signal);
                eventually(Duration::from_secs(1), || missing().is_empty())
            };
            assert!((0..10).any(|_| asked()), "{kind:?}: {:#?}\n{}\n{}", missing(), text(), d.log());
        }
    }
}
