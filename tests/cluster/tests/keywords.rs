//! Keywords of which nothing else would tell that they have their effect.

use nix::sys::signal::Signal;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_test_cluster::daemon::send;
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require, wire};

const SOON: Duration = Duration::from_secs(10);

/// An owner with an address on eth0 and whatever more.
fn conf(globals: &str, more: &str) -> String {
    format!(
        "global_defs {{\n{globals}\n}}\nvrrp_instance VI {{
 interface eth0
 virtual_router_id 51
 priority 255
 state MASTER
 virtual_ipaddress {{
  10.77.0.100/24
 }}
{more}
}}
"
    )
}

fn comm(pid: Option<i32>) -> String {
    std::fs::read_to_string(format!("/proc/{}/comm", pid.expect("pid"))).expect("comm").trim().to_string()
}

#[test]
fn processes_have_the_names_that_are_wanted() {
    require!();
    let lan = Lan::new(1);
    let checked = "virtual_server 10.77.0.100 80 {\n protocol TCP\n real_server 10.77.0.1 80 {\n weight 1\n }\n}\n\
                   bfd_instance B {\n source_ip 10.77.0.1\n neighbor_ip 10.77.0.9\n}\n";
    for (globals, names) in [
        ("process_names", ["", "keepalived_vrrp", "keepalived_lvs", "keepalived_bfd"]),
        ("process_name a_b\nchecker_process_name c", ["a_b", "a_b", "c", "a_b"]),
        (
            "process_names\nvrrp_process_name v\nbfd_process_name b\nprocess_name",
            ["keepalived", "v", "keepalived_lvs", "b"],
        ),
        // As older files spell it.
        ("lvs_process_name l", ["", "steadfastd", "l", "steadfastd"]),
    ] {
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &(conf(globals, "") + checked));
        assert!(eventually(SOON, || d.pid_of("check.pid").is_some()), "{}", d.log());
        d.wait_log("Startup complete", SOON);
        for (file, name) in
            ["pid", "vrrp.pid", "check.pid", "bfd.pid"].into_iter().zip(names).filter(|(_, n)| !n.is_empty())
        {
            assert_eq!(comm(d.pid_of(file)), name, "{globals}: {file}");
        }
        // Another name at a reload.
        d.reload(&(conf(&format!("{globals}\nvrrp_process_name again"), "") + checked));
        assert!(eventually(SOON, || comm(d.pid_of("vrrp.pid")) == "again"), "{globals}\n{}", d.log());
        assert_eq!(d.stop(), Some(0));
    }
}

/// Gratuitous ARPs that the second host hears while something happens.
fn heard(host: &Host, what: impl FnOnce()) -> Vec<(Duration, Ipv4Addr)> {
    let (end, listens) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (ended, ready) = (end.clone(), listens.clone());
    // It asks whether it is over once it has its socket.
    let over = move || {
        ready.store(true, Ordering::Relaxed);
        ended.load(Ordering::Relaxed)
    };
    let ear = host.inside(move || wire::gratuitous(Duration::from_secs(60), over));
    assert!(eventually(SOON, || listens.load(Ordering::Relaxed)));
    what();
    end.store(true, Ordering::Relaxed);
    ear.join().expect("ear")
}

#[test]
fn links_of_a_garp_group_share_the_gap() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    // A second link of the first host, on the same wire.
    host.ip("link add link eth0 name mv0 type macvlan mode bridge");
    host.ip("link set mv0 up");
    let more =
        " virtual_ipaddress_excluded {\n  10.77.0.101/24 dev mv0\n }\n garp_master_delay 0\n garp_master_refresh 0";
    let group = "garp_group {\n garp_interval 0.2\n interface eth0\n interfaces {\n  mv0\n }\n}\n";
    let seen = heard(&lan.hosts[1], || {
        let d = Daemon::start(host, Kind::Steadfast, &(group.to_string() + &conf("", more)));
        // Ten announcements, two tenths of a second apart.
        std::thread::sleep(Duration::from_millis(2600));
        assert_eq!(d.stop(), Some(0));
    });
    let both = [100, 101].map(|n| seen.iter().filter(|s| s.1.octets()[3] == n).count());
    assert_eq!(both, [5, 5], "{seen:?}");
    for pair in seen.windows(2) {
        assert!(pair[1].0 - pair[0].0 > Duration::from_millis(150), "{seen:?}");
    }
}

#[test]
fn addresses_on_other_links_are_announced_now_and_then() {
    require!();
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    host.ip("link add link eth0 name mv0 type macvlan mode bridge");
    host.ip("link set mv0 up");
    let more = " virtual_ipaddress_excluded {\n  10.77.0.101/24 dev mv0\n }\n garp_master_delay 0\n garp_master_refresh 0\n garp_master_repeat 1";
    for (globals, own, expected) in [
        ("vrrp_garp_extra_if all 1", "", true),
        // mv0 is no virtual link of ours.
        ("vrrp_garp_extra_if 1", "", false),
        ("vrrp_garp_extra_if all 1", " garp_extra_if 0", false),
        ("", " garp_extra_if all 1", true),
        // As they were called before.
        ("vrrp_vmac_garp_intvl all 1", "", true),
        ("", " vmac_garp_intvl all 1", true),
    ] {
        let seen = heard(&lan.hosts[1], || {
            let d = Daemon::start(host, Kind::Steadfast, &conf(globals, &format!("{more}\n{own}")));
            d.wait_log("Entering MASTER STATE", SOON);
            std::thread::sleep(Duration::from_millis(2400));
            assert_eq!(d.stop(), Some(0));
        });
        let counts = [100, 101].map(|n| seen.iter().filter(|s| s.1.octets()[3] == n).count());
        assert_eq!(counts, [1, if expected { 3 } else { 1 }], "{globals}{own}: {seen:?}");
    }
}

#[test]
fn a_virtual_link_that_adverts_do_not_leave_by_is_announced() {
    require!();
    let lan = Lan::new(2);
    let more = " use_vmac\n vmac_xmit_base\n garp_extra_if 1\n garp_master_delay 0\n garp_master_refresh 0\n garp_master_repeat 1";
    let seen = heard(&lan.hosts[1], || {
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf("", more));
        d.wait_log("Entering MASTER STATE", SOON);
        std::thread::sleep(Duration::from_millis(2400));
        assert_eq!(d.stop(), Some(0));
    });
    assert_eq!(seen.len(), 3, "{seen:?}");
}

#[test]
fn a_link_that_is_down_for_a_moment_is_not_down() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let delays = "interface_up_down_delays {\n eth0 1.5 0.5\n}\n";
    let d = Daemon::start(host, Kind::Steadfast, &(delays.to_string() + &conf("", "")));
    d.wait_log("Entering MASTER STATE", SOON);
    host.cable(false);
    d.wait_log("eth0 is down, which counts in 1.5 s", SOON);
    host.cable(true);
    // Longer than the delay: nothing comes of it.
    std::thread::sleep(Duration::from_secs(2));
    assert!(!d.log().contains("FAULT"), "{}", d.log());
    let down = Instant::now();
    host.cable(false);
    d.wait_log("Entering FAULT STATE", SOON);
    assert!(down.elapsed() > Duration::from_millis(1400), "{:?}", down.elapsed());
    let up = Instant::now();
    host.cable(true);
    assert!(eventually(SOON, || d.log().matches("Entering MASTER STATE").count() == 2), "{}", d.log());
    assert!(up.elapsed() > Duration::from_millis(450), "{:?}", up.elapsed());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn instances_wait_until_the_system_has_been_up_for_a_while() {
    require!();
    let lan = Lan::new(1);
    let uptime = || -> f64 {
        let text = std::fs::read_to_string("/proc/uptime").expect("uptime");
        text.split(' ').next().and_then(|s| s.parse().ok()).expect("seconds")
    };
    let until = uptime() + 3.0;
    if until > 4294.0 {
        println!("SKIPPED: the system has been up for longer than the keyword can say");
        return;
    }
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&format!("vrrp_delay_after_boot {until:.1}"), ""));
    d.wait_log("Entering MASTER STATE", SOON);
    assert!(uptime() > until - 0.2, "{} {until}", uptime());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn nobody_is_master_before_the_delay_of_the_start_is_over() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let begun = Instant::now();
    // An owner is master at once otherwise.
    let d = Daemon::start(host, Kind::Steadfast, &conf("vrrp_startup_delay 4", ""));
    let early = eventually(Duration::from_millis(3700).saturating_sub(begun.elapsed()), || {
        host.has("10.77.0.100") || d.log().contains("Entering MASTER STATE")
    });
    assert!(!early, "after {:?}: {}", begun.elapsed(), d.log());
    d.wait_log("Entering MASTER STATE", SOON);
    assert!(begun.elapsed() >= Duration::from_secs(4), "{:?}: {}", begun.elapsed(), d.log());
    assert!(eventually(SOON, || host.has("10.77.0.100")), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn who_is_scheduled_too_late_becomes_a_real_time_process() {
    require!();
    let lan = Lan::new(1);
    // Field 41 of stat: SCHED_OTHER is 0, SCHED_RR 2; 40 is the real-time priority.
    let policy = |pid: i32| {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("stat");
        let fields: Vec<String> = text.rsplit(')').next().expect("fields").split_whitespace().map(Into::into).collect();
        (fields[38].clone(), fields[37].clone())
    };
    for (globals, expected) in [
        ("max_auto_priority 2\nmin_auto_priority_delay 300000", [("2", "1"), ("2", "2"), ("2", "2")]),
        ("max_auto_priority 0\nmin_auto_priority_delay 300000", [("0", "0"); 3]),
    ] {
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(globals, ""));
        d.wait_log("Startup complete", SOON);
        let pid = d.pid_of("vrrp.pid").expect("pid");
        if std::fs::read_to_string("/proc/sys/kernel/sched_rt_runtime_us").is_ok_and(|t| t.trim() == "0") {
            println!("SKIPPED: this system gives no real-time priority");
            return;
        }
        for (policy_now, priority) in expected {
            send(pid, Signal::SIGSTOP);
            std::thread::sleep(Duration::from_millis(1500));
            send(pid, Signal::SIGCONT);
            let found = eventually(Duration::from_secs(3), || policy(pid) == (policy_now.into(), priority.into()));
            assert!(found, "{globals}: {:?}, not {policy_now} {priority}\n{}", policy(pid), d.log());
        }
        assert_eq!(d.stop(), Some(0));
    }
}

/// Data of a running daemon about its receive buffers.
#[test]
fn netlink_sockets_have_the_room_that_is_wanted() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let globals = "vrrp_netlink_cmd_rcv_bufs 111000\nvrrp_netlink_monitor_rcv_bufs 8000000\nvrrp_netlink_monitor_rcv_bufs_force\n\
                   lvs_netlink_monitor_rcv_bufs 7000000\nlvs_netlink_monitor_rcv_bufs_force";
    let checked = "virtual_server 10.77.0.100 80 {\n protocol TCP\n real_server 10.77.0.1 80 {\n weight 1\n }\n}\n";
    let d = Daemon::start(host, Kind::Steadfast, &(conf(globals, "") + checked));
    d.wait_log("Entering MASTER STATE", SOON);
    let shown = match host.command("ss").args(["-f", "netlink", "-a", "-m", "-n"]).output() {
        Ok(o) if o.status.success() => String::from_utf8_lossy(&o.stdout).into_owned(),
        _ => {
            println!("SKIPPED: ss is not there");
            return;
        }
    };
    // The kernel doubles what is asked for.
    for room in ["rb222000,", "rb16000000,", "rb14000000,"] {
        assert!(shown.contains(room), "{room}: {shown}");
    }
    assert_eq!(d.stop(), Some(0));
}

/// `date` at some seconds from now.
fn clock(format: &str, seconds: u32, universal: bool) -> String {
    let mut c = std::process::Command::new("date");
    c.args(if universal { &["-u"][..] } else { &[] }).args(["-d", &format!("{seconds} seconds"), format]);
    String::from_utf8_lossy(&c.output().expect("date").stdout).trim().to_string()
}

#[test]
fn a_file_names_the_time_of_a_reload() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let file = files.path().join("when");
    let globals = format!("reload_time_file {}", file.display());
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(&globals, ""));
    d.wait_log("Entering MASTER STATE", SOON);
    let reloads = || d.log().matches("Reload complete").count();
    // Cancelled before it is due.
    std::fs::write(&file, clock("+%H:%M:%S", 4, false)).expect("file");
    d.wait_log("a reload is scheduled in", SOON);
    std::fs::remove_file(&file).expect("file");
    d.wait_log("the scheduled reload is cancelled", SOON);
    let begin = Instant::now();
    std::fs::write(&file, clock("+%Y-%m-%d %H:%M:%SZ", 3, true)).expect("file");
    assert!(eventually(SOON, || reloads() == 1), "{}", d.log());
    assert!(begin.elapsed() > Duration::from_millis(1500), "{:?}", begin.elapsed());
    assert!(eventually(SOON, || !file.exists()), "the file stays");
    std::fs::write(&file, "tomorrow\n").expect("file");
    d.wait_log("'tomorrow' is not a time", SOON);
    // It stays with reload_repeat.
    d.reload(&conf(&format!("{globals}\nreload_repeat"), ""));
    assert!(eventually(SOON, || reloads() == 2), "{}", d.log());
    std::fs::write(&file, clock("+%H:%M:%S", 2, false)).expect("file");
    assert!(eventually(SOON, || reloads() == 3), "{}", d.log());
    std::thread::sleep(Duration::from_millis(3500));
    assert!(file.exists() && reloads() == 3, "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_reading_is_marked_and_saved() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let (mark, saved) = (files.path().join("reload"), files.path().join("saved"));
    let globals = format!("reload_file {}\nconfig_save_dir {}", mark.display(), saved.display());
    let text = conf(&globals, "") + "# the first\n";
    // Who changes the files made it.
    std::fs::write(&mark, "I am writing").expect("mark");
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    d.wait_log("Entering MASTER STATE", SOON);
    assert!(eventually(SOON, || !mark.exists()), "the mark stays after the start");
    std::fs::write(&mark, "I am writing").expect("mark");
    // Watched from here: it is emptied first, and then goes.
    let (sender, seen) = std::sync::mpsc::channel();
    let watched = mark.clone();
    let watcher = std::thread::spawn(move || {
        let inotify = nix::sys::inotify::Inotify::init(nix::sys::inotify::InitFlags::empty()).expect("inotify");
        let all = nix::sys::inotify::AddWatchFlags::IN_MODIFY | nix::sys::inotify::AddWatchFlags::IN_DELETE;
        inotify.add_watch(watched.parent().expect("folder"), all).expect("watch");
        sender.send(false).expect("ready");
        let mut emptied = false;
        loop {
            for e in inotify.read_events().expect("events") {
                if e.name.as_deref() == watched.file_name() {
                    if e.mask.contains(nix::sys::inotify::AddWatchFlags::IN_DELETE) {
                        let _ = sender.send(emptied);
                        return;
                    }
                    emptied = true;
                }
            }
        }
    });
    seen.recv().expect("ready");
    d.reload(&text.replace("the first", "the second"));
    assert!(seen.recv_timeout(SOON).expect("the mark goes"), "it was not emptied before");
    watcher.join().expect("watcher");
    d.wait_log("Reload complete", SOON);
    let pid = d.pid_of("pid").expect("pid");
    for (n, word) in ["the first", "the second"].iter().enumerate() {
        let copy = std::fs::read_to_string(saved.join(format!("keepalived.conf.{pid}.{n}"))).expect("copy");
        assert!(copy.contains("virtual_router_id 51") && copy.contains(word), "{copy}");
    }
    let child = d.pid_of("vrrp.pid").expect("pid");
    for word in ["pre", "post"] {
        let state = saved.join(format!("keepalived_vrrp.{child}.1.{word}"));
        let there = || std::fs::read_to_string(&state).is_ok_and(|t| t.contains("VRRP Instance = VI"));
        assert!(eventually(SOON, there), "{}\n{}", state.display(), d.log());
    }
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn dumps_of_several_daemons_have_several_names() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    let base = files.path().join("k.data");
    let globals = format!("data_use_instance\nstate_dump_file {}", base.display());
    let checked = "virtual_server 10.77.0.100 80 {\n protocol TCP\n real_server 10.77.0.1 80 {\n weight 1\n }\n}\n";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("instance one\n{}{checked}", conf(&globals, "")));
    d.wait_log("Entering MASTER STATE", SOON);
    d.wait_log("Startup complete", SOON);
    d.signal(Signal::SIGUSR1);
    for name in ["k.one.data", "k_parent.one.data", "k_check.one.data"] {
        assert!(eventually(SOON, || files.path().join(name).exists()), "{name}\n{}", d.log());
    }
    assert!(!base.exists());
    assert_eq!(d.stop(), Some(0));
}

/// A second link of a host, to nowhere.
fn second_link(host: &Host) {
    host.ip("link add mv0 type veth peer name mv1");
    host.ip("link set mv1 up");
    host.ip("link set mv0 up");
    host.ip("addr add 10.88.0.1/24 dev mv0");
}

#[test]
fn addresses_have_virtual_links_of_their_own_as_with_keepalived() {
    require!(keepalived);
    let conf = "global_defs {
 vmac_prefix vp
 vmac_addr_prefix va
}
vrrp_instance V {
 interface eth0
 virtual_router_id 5
 priority 255
 state MASTER
 use_vmac
 use_vmac_addr
 virtual_ipaddress {
  10.77.0.100/24
  10.88.0.100/24 dev mv0
 }
 virtual_ipaddress_excluded {
  fd77::100/64
  fd88::100/64 dev mv0
  10.88.0.101/24 dev mv0
 }
}
vrrp_instance W {
 interface eth0
 virtual_router_id 6
 priority 255
 state MASTER
 virtual_ipaddress {
  10.77.0.110/24
  10.88.0.110/24 dev mv0 use_vmac
  10.88.0.111/24 dev mv0
 }
}
vrrp_instance X {
 interface eth0
 virtual_router_id 7
 priority 255
 state MASTER
 use_vmac_addr
 virtual_ipaddress {
  10.77.0.120/24
  10.88.0.120/24 dev mv0
 }
 virtual_ipaddress_excluded {
  fd77::120/64
 }
}
";
    let shown = [Kind::Steadfast, Kind::Keepalived].map(|kind| {
        let lan = Lan::new(1);
        let host = &lan.hosts[0];
        second_link(host);
        let d = Daemon::start(host, kind, conf);
        let all = ["100", "101", "110", "111", "120"].map(|n| format!(".0.{n}/"));
        let there = || {
            let shown = host.show("-br addr");
            all.iter().all(|a| shown.contains(a)) && shown.contains("fd77::120/") && shown.contains("fd88::100/")
        };
        assert!(eventually(SOON, there), "{kind:?}: {}\n{}", host.show("-br addr"), d.log());
        assert!(!d.log().contains("FAULT"), "{kind:?}: {}", d.log());
        // Links with their MAC addresses and what they sit on, and addresses, without the links' own.
        let links = host.show("-br link");
        let links = links.lines().filter(|l| l.starts_with('v')).map(|l| {
            let words: Vec<&str> = l.split_whitespace().collect();
            format!("{} {}", words[0], words[2])
        });
        let addresses = host.show("-br addr");
        let addresses = addresses.lines().filter(|l| l.starts_with('v')).map(|l| {
            // UP comes some time after the link.
            let words = l.split_whitespace().filter(|w| !w.starts_with("fe80") && *w != "UP" && *w != "UNKNOWN");
            words.map(|w| w.split('@').next().unwrap_or("").to_string()).collect::<Vec<_>>().join(" ")
        });
        let mut all: Vec<String> = links.chain(addresses).collect();
        all.sort();
        assert_eq!(d.stop(), Some(0));
        assert!(!host.show("-br link").contains("00:00:5e"), "{}", host.show("-br link"));
        all
    });
    assert_eq!(shown[0], shown[1]);
    assert_eq!(shown[0].len(), 14, "{:#?}", shown[0]);
}

#[test]
fn an_address_of_the_other_family_is_on_a_link_with_its_own_mac_address() {
    require!();
    let lan = Lan::new(2);
    let more = " use_vmac\n virtual_ipaddress_excluded {\n  fd77::100/64\n }\n";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf("", more));
    d.wait_log("Entering MASTER STATE", SOON);
    let client = &lan.hosts[1];
    for (address, mac) in [("10.77.0.100", "00:00:5e:00:01:33"), ("fd77::100", "00:00:5e:00:02:33")] {
        let known = || {
            let _ = client.command("ping").args(["-n", "-c", "1", "-W", "1", address]).output();
            client.show(&format!("neigh show {address}")).contains(mac)
        };
        assert!(eventually(SOON, known), "{address}: {}\n{}", client.show("neigh"), d.log());
    }
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn reports_of_local_groups_can_be_turned_off() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let setting = || {
        let o = host.command("cat").arg("/proc/sys/net/ipv4/igmp_link_local_mcast_reports").output().expect("cat");
        String::from_utf8_lossy(&o.stdout).trim().to_string()
    };
    assert_eq!(setting(), "1");
    let d = Daemon::start(host, Kind::Steadfast, &conf("disable_local_igmp", ""));
    d.wait_log("Entering MASTER STATE", SOON);
    assert_eq!(setting(), "0");
    assert_eq!(d.stop(), Some(0));
    assert_eq!(setting(), "1");
}

#[test]
fn blocked_packets_are_counted() {
    require!();
    if !std::path::Path::new("/usr/sbin/nft").exists() {
        println!("SKIPPED: nft is not installed");
        return;
    }
    let lan = Lan::new(2);
    let host = &lan.hosts[0];
    let text = conf("nftables_counters", " no_accept").replace("priority 255\n state MASTER", "priority 200");
    let d = Daemon::start(host, Kind::Steadfast, &text);
    d.wait_log("Entering MASTER STATE", SOON);
    let _ = lan.hosts[1].command("ping").args(["-n", "-c", "3", "-i", "0.1", "-W", "1", "10.77.0.100"]).output();
    let out = host.command("/usr/sbin/nft").args(["list", "table", "ip", "keepalived"]).output().expect("nft");
    let table = String::from_utf8_lossy(&out.stdout);
    assert!(table.contains("ip daddr @vips counter packets 3 bytes 252 drop"), "{table}");
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn scripts_have_the_supplementary_groups_of_their_account() {
    require!();
    // An account with more than one group.
    let group = std::fs::read_to_string("/etc/group").expect("groups");
    let found = group.lines().find_map(|l| {
        let fields: Vec<&str> = l.split(':').collect();
        let name = fields.get(3)?.split(',').find(|n| !n.is_empty())?;
        Some((name.to_string(), fields.get(2)?.to_string()))
    });
    let Some((account, gid)) = found else {
        println!("SKIPPED: no account has a supplementary group");
        return;
    };
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(files.path(), std::fs::Permissions::from_mode(0o777)).expect("mode");
    for (globals, expected) in [("", false), ("set_supplementary_groups", true)] {
        let out = files.path().join(format!("groups{expected}"));
        let script = format!(" notify_master \"/bin/sh -c 'id -G > {}'\" {account}", out.display());
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &conf(globals, &script));
        let read = || std::fs::read_to_string(&out).unwrap_or_default();
        assert!(eventually(SOON, || !read().trim().is_empty()), "{}", d.log());
        assert_eq!(read().split_whitespace().any(|g| g == gid), expected, "{globals}: {}", read());
        assert_eq!(d.stop(), Some(0));
    }
}

#[test]
fn checks_run_in_a_namespace_of_their_own() {
    require!();
    let lan = Lan::new(2);
    let files = tempfile::tempdir().expect("folder");
    let up = files.path().join("up");
    // A server that only the second host has, on its loopback link.
    let server = lan.hosts[1].inside(|| std::net::TcpListener::bind("127.0.0.1:18080").expect("server"));
    let server = server.join().expect("server");
    let checked = format!(
        "virtual_server 10.77.0.100 80 {{
 delay_loop 1
 protocol TCP
 alpha
 quorum_up \"/bin/sh -c 'echo up > {}'\"
 real_server 127.0.0.1 18080 {{
  weight 1
  TCP_CHECK {{
   connect_timeout 1
  }}
 }}
}}
",
        up.display()
    );
    let namespace = &lan.hosts[1].namespace;
    let text = format!("net_namespace_ipvs {namespace}\n{}{checked}", conf("", ""));
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    assert!(eventually(SOON, || up.exists()), "{}", d.log());
    d.wait_log("Entering MASTER STATE", SOON);
    assert!(lan.hosts[0].has("10.77.0.100"), "the VRRP child stays where it is");
    assert_eq!(d.stop(), Some(0));
    drop(server);
}

#[test]
fn names_of_tables_come_from_the_folder_that_is_named() {
    require!();
    let lan = Lan::new(1);
    let files = tempfile::tempdir().expect("folder");
    std::fs::create_dir(files.path().join("rt_tables.d")).expect("folder");
    std::fs::write(files.path().join("rt_tables"), "# names\n4711 first\n").expect("table");
    std::fs::write(files.path().join("rt_tables.d/more.conf"), "0x1000 second\n").expect("table");
    for word in ["iproute_etc_dir", "iproute_usr_dir"] {
        let routes = " virtual_routes {\n  10.5.0.0/16 dev eth0 table first\n  10.6.0.0/16 dev eth0 table second\n }";
        let text = conf(&format!("{word} {}", files.path().display()), routes);
        let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
        let there = || {
            let shown = lan.hosts[0].show("route show table all");
            shown.contains("10.5.0.0/16 dev eth0 table 4711") && shown.contains("10.6.0.0/16 dev eth0 table 4096")
        };
        assert!(eventually(SOON, there), "{word}: {}\n{}", lan.hosts[0].show("route show table all"), d.log());
        assert_eq!(d.stop(), Some(0));
    }
}
