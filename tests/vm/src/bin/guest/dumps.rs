//! The data dump of the checkers beside keepalived's, which checks nothing where the kernel has no IPVS. keepalived 2.2.7 dies over
//! some files while it writes: so a file for each kind of check.

use crate::links::Test;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use steadfast_test_cluster::dumps::{Key, keys, missing, recorded, unrecorded};
use steadfast_test_vm::lab::sh;
use steadfast_test_vm::{eventually, seconds};

/// Every test, by name.
pub const TESTS: &[(&str, Test)] =
    &[("the_dump_of_checks_is_as_keepalived_writes_it", the_dump_of_checks_is_as_keepalived_writes_it)];

const RECORDING: &str = include_str!("../../../../cluster/tests/recorded/check-keys.tsv");

const CHECKS: [&str; 6] = [
    "TCP_CHECK {\n bindto 10.77.0.1\n bind_port 5000\n bind_if eth9\n fwmark 7\n }\n PING_CHECK {\n }",
    "HTTP_GET {\n url {\n path /\n status_code 200\n virtualhost x.example.org\n }\n }",
    "HTTP_GET {\n enable_sni\n virtualhost v\n url {\n path /y\n digest 0123456789abcdef0123456789abcdef\n }\n }",
    "SSL_GET {\n enable_sni\n url {\n path /\n regex ok\n regex_no_match\n regex_options caseless\n regex_min_offset 1\n regex_max_offset 9\n }\n }",
    "SMTP_CHECK {\n helo_name me\n connect_port 25\n }\n DNS_CHECK {\n type A\n name example.org\n }",
    "MISC_CHECK {\n misc_path \"/bin/true a\"\n misc_timeout 3\n misc_dynamic\n user root\n }\n UDP_CHECK {\n connect_port 53\n payload 0102\n \
     require_reply 01xx\n min_reply_length 1\n max_reply_length 200\n }\n FILE_CHECK {\n track_file f1\n weight 1\n }",
];

/// A file with a check; the groups, marks and methods are in all of them.
fn conf(check: &str) -> String {
    format!(
        "global_defs {{\n router_id lb1\n script_user root\n enable_script_security\n smtp_alert_checker\n lvs_notify_fifo /run/fifo\n \
         lvs_timeouts tcp 900 tcpfin 100\n}}\n\
         track_file f1 {{\n file /run/value\n weight 2\n init_file 3 overwrite\n}}\n\
         virtual_server_group VG {{\n 192.0.2.200 80\n 192.0.2.201-205 81\n fwmark 17\n}}\n\
         virtual_server 192.0.2.99 80 {{\n delay_loop 1\n lvs_sched wlc\n lvs_method NAT\n protocol TCP\n omega\n quorum 2\n hysteresis 1\n \
         quorum_up \"/bin/true up\"\n quorum_down \"/bin/true down\"\n persistence_timeout 50\n persistence_granularity 255.255.255.0\n \
         sorry_server 10.77.0.50 80\n sorry_server_inhibit\n real_server 10.77.0.2 80 {{\n weight 2\n inhibit_on_failure\n uthreshold 100\n \
         lthreshold 10\n notify_up \"/bin/true ru\"\n notify_down \"/bin/true rd\"\n {check}\n }}\n}}\n\
         virtual_server group VG {{\n delay_loop 2\n lvs_sched rr\n lvs_method DR\n protocol UDP\n ops\n ha_suspend\n sorry_server 10.77.0.51 80\n \
         real_server 10.77.0.2 0 {{\n }}\n}}\n\
         virtual_server fwmark 5 {{\n lvs_sched mh\n lvs_method TUN\n mh-port\n ip_family inet\n real_server 10.77.0.2 80 {{\n \
         lvs_method TUN type gue port 6080 nocsum\n }}\n}}\n"
    )
}

/// What a program writes of this file when it is asked.
fn dump(program: &str, text: &str) -> String {
    sh("rm -rf /run/dump; mkdir -p /run/dump");
    std::fs::write("/run/dump/conf", text).expect("configuration");
    let words = "-n -C -f /run/dump/conf -p /run/dump/pid -c /run/dump/c -r /run/dump/v";
    let quiet = Stdio::null;
    let mut command = Command::new(program);
    command.args(words.split(' ')).env("TMPDIR", "/run/dump").stdin(quiet()).stdout(quiet()).stderr(quiet());
    let mut daemon = command.spawn().expect("daemon");
    assert!(
        eventually(seconds(10), || !sh("cat /run/dump/c 2>/dev/null; true").is_empty()),
        "{program} does not start"
    );
    let text = || std::fs::read_to_string("/run/dump/keepalived_check.data").unwrap_or_default();
    // Nothing says where it ends: it is over when nothing more comes.
    let whole = || {
        let before = text();
        std::thread::sleep(std::time::Duration::from_millis(300));
        before.contains("------< Health checkers >------") && before.ends_with('\n') && before == text()
    };
    let asked = || {
        sh("kill -USR1 $(cat /run/dump/pid)");
        eventually(seconds(2), whole)
    };
    let is_whole = (0..5).any(|_| asked());
    let text = text();
    sh(&format!("kill {}", daemon.id()));
    let _ = daemon.wait();
    assert!(is_whole, "{program}:\n{text}");
    text
}

fn the_dump_of_checks_is_as_keepalived_writes_it() {
    sh(
        "modprobe -a veth ip_vs; ip link add eth9 type veth peer name p9; ip addr add 10.77.0.1/24 dev eth9; ip link set eth9 up; \
        ip link set p9 up; true",
    );
    let (mut theirs, mut ours) = (BTreeSet::new(), BTreeSet::new());
    for check in CHECKS {
        theirs.extend(keys(&dump("keepalived", &conf(check)), 5));
        ours.extend(keys(&dump("/share/steadfastd", &conf(check)), 5));
    }
    sh("ip link del eth9");
    // Nothing of theirs is unknown, and ours has whatever theirs has here, unless a reason says why not.
    let unknown = unrecorded(RECORDING, &theirs);
    assert!(unknown.is_empty(), "{unknown:?}");
    // These files have no SSL, whose section ours has with it alone.
    let is_wanted = |key: &Key| theirs.contains(key) && key.0 != "SSL definitions";
    let lacking: Vec<Key> = missing(RECORDING, &ours).into_iter().filter(is_wanted).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
    let seen = recorded(RECORDING).filter(|(key, _)| theirs.contains(key)).count();
    println!("dump of checks: {seen} sections and keys of keepalived seen, {} of ours", ours.len());
    assert!(seen > 150, "{seen}");
}
