//! The data dump has the sections and keys that keepalived's has. Exporters and people's scripts look for them.

use std::collections::BTreeSet;
use std::time::Duration;
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

/// Sections, and the keys in each: what is before ` = ` or ` :`, or the sentence; numbers are N, items of lists are left out.
fn keys(text: &str) -> BTreeSet<(String, String)> {
    let mut section = String::new();
    let mut all = BTreeSet::new();
    for line in text.lines() {
        if let Some(heading) = line.strip_prefix("------< ").and_then(|l| l.strip_suffix(" >------")) {
            section = heading.into();
            all.insert((section.clone(), String::new()));
            continue;
        }
        let blanks = line.len() - line.trim_start().len();
        if !matches!(blanks, 1..5) || (line.contains('@') && !line.contains('=')) {
            continue;
        }
        let line = line.trim();
        let key = line.split(" = ").next().unwrap_or(line);
        let key = if key == line { key.split(':').next().unwrap_or(key) } else { key };
        let key = key.split(" (").next().unwrap_or(key).trim();
        let mut short = String::new();
        for c in key.chars() {
            match c {
                '0'..='9' if short.ends_with('N') => {}
                '0'..='9' => short.push('N'),
                c => short.push(c),
            }
        }
        let short = if short.starts_with("Use VMAC") { "Use VMAC, i/f name" } else { &short };
        all.insert((section.clone(), short.to_string()));
    }
    all
}

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
        seen.extend(keys(&dump));
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
    let recorded = include_str!("recorded/data-keys.tsv");
    let mut missing = Vec::new();
    let (mut wanted, mut left_out) = (0, 0);
    for line in recorded.lines().filter(|l| !l.starts_with('#')) {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default().to_string();
        let (section, key, reason) = (next(), next(), next());
        if !reason.is_empty() {
            left_out += 1;
            continue;
        }
        wanted += 1;
        if !seen.contains(&(section.clone(), key.clone())) {
            missing.push(format!("{section}: {key}"));
        }
    }
    println!("data dump: {wanted} sections and keys of keepalived 2.2.7, {left_out} left out with a reason");
    assert!(missing.is_empty() && wanted > 150, "{missing:#?}\n{dump}");
}
