//! Words of the configuration whose effect is that the kernel has it so.

use crate::ipvs::Test;
use steadfast_test_vm::lab::{Director, Lab, sh, table, wait_table};
use steadfast_test_vm::{eventually, seconds};

/// Every test here, by name.
pub const TESTS: &[(&str, Test)] = &[
    ("words_of_services_and_servers", words_of_services_and_servers),
    ("words_of_the_whole_balancer", words_of_the_whole_balancer),
];

/// A virtual server without checks: each word of it and of its servers, and the line of the kernel's table that comes of it.
fn words_of_services_and_servers(_: &mut Lab) {
    let server = |n: u32, words: &str| format!(" real_server 10.2.0.{n} 80 {{\n {words}\n }}\n");
    let one = server(7, "");
    let all = [
        ("10.1.0.100 80", "protocol TCP\n lvs_sched rr", one.clone(), vec!["-A -t 10.1.0.100:80 -s rr"]),
        ("10.1.0.100 80", "protocol UDP", one.clone(), vec!["-A -u 10.1.0.100:80 -s wlc"]),
        ("10.1.0.100 80", "protocol SCTP", one.clone(), vec!["-A --sctp-service 10.1.0.100:80 -s wlc"]),
        // A server's own words are before those of its virtual server.
        (
            "10.1.0.100 81",
            "protocol TCP\n lb_kind DR\n weight 7",
            one.clone() + &server(8, "lvs_method TUN\n weight 9"),
            vec!["-r 10.2.0.7:81 -g -w 7", "-r 10.2.0.8:81 -i -w 9"],
        ),
        ("10.1.0.100 82", "protocol TCP\n lvs_method DR", one.clone(), vec!["-r 10.2.0.7:82 -g -w 1"]),
        ("10.1.0.100 83", "protocol TCP\n lb_algo rr\n flag-1", one.clone(), vec!["-t 10.1.0.100:83 -s rr -b flag-1"]),
        ("10.1.0.100 84", "protocol TCP\n lb_algo rr\n flag-2", one.clone(), vec!["-t 10.1.0.100:84 -s rr -b flag-2"]),
        ("10.1.0.100 85", "protocol TCP\n lb_algo rr\n flag-3", one.clone(), vec!["-t 10.1.0.100:85 -s rr -b flag-3"]),
        // It waits in the table.
        (
            "10.1.0.100 86",
            "protocol TCP\n sorry_server 10.2.0.9 86\n sorry_server_lvs_method TUN\n sorry_server_inhibit",
            one.clone(),
            vec!["-t 10.1.0.100:86 -r 10.2.0.9:86 -i -w 0", "-t 10.1.0.100:86 -r 10.2.0.7:80 -m -w 1"],
        ),
        // Packets of IPv6 by a tunnel of IPv4.
        (
            "fwmark 8",
            "ip_family inet6\n lb_kind TUN",
            one.clone(),
            vec!["-A -f 8 -6 -s wlc", "-a -f 8 -6 -r 10.2.0.7:0 -i"],
        ),
        ("fwmark 9", "lb_kind TUN", one, vec!["-A -f 9 -s wlc"]),
    ];
    let text = all.iter().map(|(head, words, servers, _)| format!("virtual_server {head} {{\n {words}\n{servers}}}\n"));
    let d = Director::start(None, &text.collect::<String>(), &[]);
    for words in all.iter().flat_map(|(.., lines)| lines) {
        wait_table(words, true);
    }
    d.stop();
    assert_eq!(table(), "");
}

/// Words of `global_defs`: time limits, synchronisation daemons, the socket by which the kernel is told.
fn words_of_the_whole_balancer(_: &mut Lab) {
    let before = sh("ipvsadm -L --timeout");
    let limits = |text: &str| -> Vec<u32> { text.split_whitespace().filter_map(|w| w.parse().ok()).collect() };
    let text = "global_defs {\n lvs_timeouts tcp 901 tcpfin 66 udp 78\n lvs_netlink_cmd_rcv_bufs 7000000\n lvs_netlink_cmd_rcv_bufs_force\n \
                lvs_sync_daemon br-s id 7 maxlen 1100 port 7000 ttl 7 group 224.0.0.99\n}\n\
                virtual_server 10.1.0.100 80 {\n protocol TCP\n real_server 10.2.0.7 80 {\n }\n}\n";
    let d = Director::start(None, text, &[]);
    wait_table("-t 10.1.0.100:80 -r 10.2.0.7:80", true);
    assert_eq!(limits(&sh("ipvsadm -L --timeout")), [901, 66, 78], "{}", d.log());
    let daemons = || sh("ipvsadm -L --daemon");
    for half in ["master", "backup"] {
        let words =
            format!("{half} sync daemon (mcast=br-s, syncid=7, maxlen=1100, group=224.0.0.99, port=7000, ttl=7)");
        assert!(eventually(seconds(5), || daemons().contains(&words)), "{words}: {}\n{}", daemons(), d.log());
    }
    // The kernel doubles what is asked for, and would give a tenth of it to who does not insist.
    let sockets = sh("ss -f netlink -a -m -n");
    assert!(sockets.contains("rb14000000,"), "{sockets}");
    d.stop();
    assert!(!daemons().contains("sync daemon"), "{}", daemons());
    let [tcp, fin, udp] = limits(&before)[..] else { panic!("{before}") };
    sh(&format!("ipvsadm --set {tcp} {fin} {udp}"));
}
