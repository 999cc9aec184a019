//! What the kernel has, refuses, and comes to have.

use crate::ipvs::Test;
use steadfast_test_vm::lab::{Director, Lab, service, sh, table, three, wait_table};
use steadfast_test_vm::{eventually, seconds};

/// Every test here, by name. The last one takes the module away for a while.
pub const TESTS: &[(&str, Test)] = &[
    ("other_owners_and_deleted_services", other_owners_and_deleted_services),
    ("timeouts_and_flushes", timeouts_and_flushes),
    ("a_reader_can_write_nothing", a_reader_can_write_nothing),
    ("a_refused_step", a_refused_step),
    ("who_has_the_address_balances_to_the_end", who_has_the_address_balances_to_the_end),
    ("a_daemon_of_the_operator", a_daemon_of_the_operator),
    ("a_module_that_is_loaded_late", a_module_that_is_loaded_late),
];

/// What a loader has given up, tried by itself.
pub fn confined(path: &str) {
    let failed = steadfast_sys::sandbox::confine(&steadfast_sys::sandbox::LOADER, &Default::default());
    let read = std::fs::read("/etc/hostname").map(|_| ());
    let written = std::fs::write(path, "x");
    let linked = std::os::unix::fs::symlink("/", format!("{path}.link"));
    println!("{failed:?} {:?} {:?} {:?}", read.is_ok(), written.is_ok(), linked.is_ok());
}

/// Landlock, which the kernels of many hosts lack, is what keeps a process that is still root from writing root's own files.
fn a_reader_can_write_nothing(_: &mut Lab) {
    let modules = sh("mount -t securityfs none /sys/kernel/security 2>/dev/null; cat /sys/kernel/security/lsm");
    assert!(modules.contains("landlock"), "this guest's kernel has no Landlock: {modules}");
    let me = std::env::current_exe().expect("own path");
    let before = sh("echo y > /root/probe && cat /root/probe");
    let said = sh(&format!("{} confined /root/probe", me.display()));
    assert_eq!(said.trim(), "[] true false false");
    assert_eq!(sh("cat /root/probe; ls /root/probe*"), format!("{before}/root/probe\n"));
    sh("rm /root/probe");
}

fn other_owners_and_deleted_services(_: &mut Lab) {
    sh("ipvsadm -A -t 10.1.0.77:99 -s wlc -p 100; ipvsadm -a -t 10.1.0.77:99 -r 10.2.0.1:99 -m -w 7");
    let foreign = table();
    let d = Director::start(None, &service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")), &[]);
    wait_table("10.2.0.3:80", true);
    for line in foreign.lines() {
        assert!(table().contains(line), "{line}: {}", table());
    }
    sh("ipvsadm -D -t 10.1.0.100:80");
    assert!(eventually(seconds(12), || table().contains("-t 10.1.0.100:80 -r 10.2.0.3:80")), "{}", table());
    // The parent is killed: its children end in order, and what is ours goes.
    d.kill();
    assert!(eventually(seconds(6), || sh("pgrep -c steadfastd || true").trim() == "0"));
    assert_eq!(table(), foreign);
    // All are killed, and started anew with another file: what is left is taken over, not doubled.
    let d = Director::start(None, &service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")), &[]);
    wait_table("10.2.0.3:80", true);
    d.kill_all();
    wait_table("10.2.0.3:80", true);
    let d = Director::start(None, &service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("weight 4")), &[]);
    wait_table("-t 10.1.0.100:80 -r 10.2.0.3:80 -m -w 4", true);
    d.stop();
    assert_eq!(table(), foreign);
    // -I leaves the table to who comes next.
    let d = Director::start(None, &service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")), &["-I"]);
    wait_table("10.2.0.3:80", true);
    let before = table();
    d.stop();
    assert_eq!(table(), before);
    sh("ipvsadm -C");
}

fn timeouts_and_flushes(_: &mut Lab) {
    sh("ipvsadm -A -t 10.1.0.77:99 -s rr");
    let globals = |words: &str| format!("global_defs {{\n {words}\n}}\n");
    let one = service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three(""));
    let text = format!("{}{one}", globals("lvs_timeouts tcp 1000 udp 77\n lvs_flush"));
    let limits = || sh("ipvsadm -L --timeout").split_whitespace().skip(4).collect::<Vec<_>>().join(" ");
    let original = limits();
    let was: Vec<String> = original.split(' ').map(Into::into).collect();
    let wait_limits = |d: &Director, words: &str| {
        assert!(eventually(seconds(8), || limits() == words), "{words}: {}: {}", limits(), d.log());
    };
    let d = Director::start(None, &text, &[]);
    wait_table("10.2.0.3:80", true);
    wait_table("10.1.0.77:99", false);
    wait_limits(&d, &format!("1000 {} 77", was[1]));
    // A child that is started anew flushes nothing.
    sh("ipvsadm -A -t 10.1.0.77:99 -s rr");
    let (pid, before) = (d.pid("checkers.pid"), table());
    sh(&format!("kill -9 {pid}"));
    assert!(eventually(seconds(6), || d.pid("checkers.pid") != pid), "{}", d.log());
    assert!(!eventually(seconds(2), || table() != before), "{}", table());
    // What the file does not name any more is as it was before, whoever knew it.
    d.reload(&format!("{}{one}", globals("lvs_timeouts udp 31")));
    wait_limits(&d, &format!("{} {} 31", was[0], was[1]));
    // Who owns the whole table at its stop, and who does not.
    d.reload(&format!("{}{one}", globals("lvs_flush_on_stop VS")));
    wait_limits(&d, &original);
    d.reload(&format!("{}{one}", globals("lvs_timeouts tcpfin 44\n lvs_flush_on_stop VS")));
    wait_limits(&d, &format!("{} 44 {}", was[0], was[2]));
    d.stop();
    assert_eq!((table().trim(), limits()), ("-A -t 10.1.0.77:99 -s rr", original.clone()));
    // All processes are killed: the next daemon knows it from the record.
    let d = Director::start(None, &format!("{}{one}", globals("lvs_timeouts tcp 1000")), &[]);
    wait_limits(&d, &format!("1000 {} {}", was[1], was[2]));
    // What the file never named is the operator's.
    sh("ipvsadm --set 0 0 66");
    d.kill_all();
    let d = Director::start(None, &format!("{}{one}", globals("lvs_flush_on_stop")), &[]);
    wait_limits(&d, &format!("{} {} 66", was[0], was[1]));
    sh(&format!("ipvsadm --set 0 0 {}", was[2]));
    wait_table("10.2.0.3:80", true);
    d.stop();
    assert_eq!(table(), "");
    // As older files spell it.
    sh("ipvsadm -A -t 10.1.0.77:99 -s rr");
    let d = Director::start(None, &format!("{}{one}", globals("lvs_flush_onstop")), &[]);
    wait_table("10.2.0.3:80", true);
    d.stop();
    assert_eq!(table(), "");
}

/// A master that stops serves until its successor is heard, and so do its tables: clients come to the address meanwhile.
fn who_has_the_address_balances_to_the_end(_: &mut Lab) {
    let text = format!(
        "vrrp_instance VI {{\n interface br-s\n virtual_router_id 5\n priority 1\n advert_int 2\n virtual_ipaddress {{\n \
         10.2.0.200/24\n }}\n}}\n{}",
        service("10.2.0.200 80", "lb_kind NAT\n protocol TCP", &three(""))
    );
    // Pairs of: services, addresses, in that order, until the address is gone.
    let seen = || {
        sh("for n in $(seq 500); do t=$(ipvsadm -Sn | grep -c -- '-A -t 10.2.0.200:80'); \
            a=$(ip -o addr show dev br-s | grep -c 10.2.0.200/); echo $t$a; [ $a = 0 ] && break; done")
    };
    for killed in [false, true] {
        let d = Director::start(None, &text, &[]);
        d.wait_log("Entering MASTER STATE");
        wait_table("-t 10.2.0.200:80 -r 10.2.0.3:80", true);
        sh(&format!("kill -{} {}", if killed { "KILL" } else { "TERM" }, d.pid("pid")));
        let seen = seen();
        let served = seen.lines().filter(|l| *l == "11").count();
        assert!(!seen.contains("01") && served > 1, "killed {killed}: {seen}{}", d.log());
        // And not much longer.
        assert!(eventually(seconds(6), || !table().contains("10.2.0.200")), "killed {killed}: {}", table());
        if killed {
            d.kill();
            assert!(eventually(seconds(6), || sh("pgrep -c steadfastd || true").trim() == "0"));
        } else {
            d.stop_begun();
        }
    }
    // A file without services ends them at once, whoever is master.
    let d = Director::start(None, &text, &[]);
    wait_table("-t 10.2.0.200:80 -r 10.2.0.3:80", true);
    d.wait_log("Entering MASTER STATE");
    let alone = text.split("virtual_server").next().unwrap_or_default();
    d.reload_silently(alone);
    assert!(eventually(seconds(2), || table().is_empty()), "{}{}", table(), d.log());
    d.stop();
}

/// What the kernel refuses is said, and stops nobody.
fn a_refused_step(lab: &mut Lab) {
    sh("ip addr add 10.1.0.100/32 dev br-c");
    let settings = "persistence_engine nonesuch\n persistence_timeout 60\n lb_kind NAT\n protocol UDP";
    let odd = service("10.1.0.99 80", settings, &three(""));
    let text = format!("{odd}{}", service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")));
    let d = Director::start(None, &text, &[]);
    wait_table("-t 10.1.0.100:80 -r 10.2.0.3:80", true);
    d.wait_log("No such file or directory");
    assert!(!table().contains("10.1.0.99"), "{}", table());
    audits(&d);
    assert_eq!(d.log().matches("the kernel refused").count(), 1, "{}", d.log());
    let status = |d: &Director| sh(&format!("/share/steadfast --pid {} status", d.pid("pid")));
    let why = "\n       not in the kernel's table: No such file or directory\n";
    assert!(status(&d).contains(why), "{}", status(&d));
    assert_eq!(lab.ask("client", "10.1.0.100:80", 6), "rs1=2 rs2=2 rs3=2");
    d.stop();
    assert_eq!(table(), "");
    // A server that is well, and that the kernel does not take; then one that it does not take in the place of another.
    let odd = |more: &str| {
        let ninth = format!(" real_server 10.2.0.9 80 {{\n {more}\n }}\n");
        service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &(three("") + &ninth))
    };
    let d = Director::start(None, &odd("uthreshold 3\n lthreshold 9"), &[]);
    d.wait_log("to add the server [10.2.0.9]:80 of [10.1.0.100]:tcp:80: Numerical result out of range");
    let told = |words: &str| eventually(seconds(5), || status(&d).contains(&format!("\n         {words}\n")));
    assert!(told("not in the kernel's table: Numerical result out of range"), "{}", status(&d));
    d.reload(&odd("uthreshold 30"));
    assert!(eventually(seconds(5), || !status(&d).contains("Numerical result")), "{}", status(&d));
    wait_table("10.2.0.9:80", true);
    d.reload(&odd("uthreshold 3\n lthreshold 9"));
    assert!(told("in the kernel's table as before: Numerical result out of range"), "{}", status(&d));
    // What somebody else has taken away is heard of at the next step, and put back at once.
    sh("ipvsadm -C");
    d.reload(&odd("uthreshold 40"));
    assert!(
        eventually(seconds(3), || table().contains("10.2.0.9:80") && table().contains("10.2.0.1:80")),
        "{}",
        d.log()
    );
    d.stop();
    assert_eq!(table(), "");
    // More refusals than the socket has room for: what was done is known all the same, and not refused when asked for again.
    let many: String = (1..=40).map(|n| format!(" real_server 10.2.9.{n} 80 {{\n weight 1\n }}\n")).collect();
    let globals = "global_defs {\n lvs_netlink_cmd_rcv_bufs 1\n}\n";
    let first = service("10.1.0.98 80", "lb_kind NAT\n protocol UDP", &three(""));
    let d = Director::start(None, &format!("{globals}{first}{}{text}", service("10.1.0.99 80", settings, &many)), &[]);
    wait_table("-t 10.1.0.100:80 -r 10.2.0.3:80", true);
    wait_table("-u 10.1.0.98:80 -r 10.2.0.3:80", true);
    d.wait_log("No such file or directory");
    assert!(!d.log().contains("File exists"), "{}", d.log());
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.1.0.100/32 dev br-c");
}

/// Twice as long as the daemon takes to look at the kernel's table, which is what brings back a service that was deleted.
fn audits(d: &Director) {
    for _ in 0..2 {
        sh("ipvsadm -D -t 10.1.0.100:80");
        assert!(eventually(seconds(12), || table().contains("-t 10.1.0.100:80 -r 10.2.0.3:80")), "{}", d.log());
    }
}

/// Who has no synchronisation daemon in the file any more leaves that of the operator alone.
fn a_daemon_of_the_operator(_: &mut Lab) {
    let daemons = || sh("ipvsadm -L --daemon");
    let one = service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three(""));
    // The kernel's receiver has more than this in any case.
    let d = Director::start(None, &format!("global_defs {{\n lvs_sync_daemon br-s id 5 maxlen 500\n}}\n{one}"), &[]);
    assert!(eventually(seconds(5), || daemons().contains("syncid=5")), "{}", d.log());
    audits(&d);
    assert_eq!(d.log().matches("synchronisation daemon runs as backup").count(), 1, "{}", d.log());
    d.reload(&one);
    assert!(eventually(seconds(5), || !daemons().contains("sync daemon")), "{}", d.log());
    sh("ipvsadm --start-daemon backup --mcast-interface br-s --syncid 7");
    audits(&d);
    assert!(daemons().contains("syncid=7"), "{}", d.log());
    d.stop();
    assert!(daemons().contains("syncid=7"));
    sh("ipvsadm --stop-daemon backup");
}

/// A kernel that gets its load balancer when the daemon runs already hears all that the file says.
fn a_module_that_is_loaded_late(_: &mut Lab) {
    // Asking for it would load it otherwise.
    sh("echo blacklist ip_vs >/etc/modprobe.d/lab.conf");
    let names = "lsmod | awk '$4 ~ /ip_vs/ || $1 ~ /^ip_vs/ {print $1}' | grep ^ip_vs";
    sh(&format!("for m in $({names}) $({names}); do rmmod $m 2>/dev/null; done; ! grep -q ^ip_vs /proc/modules"));
    let globals = "global_defs {\n lvs_timeouts tcp 1234 udp 77\n}\n";
    let text = format!("{globals}{}", service("10.1.0.100 80", "lb_kind NAT\n protocol TCP", &three("")));
    let d = Director::start(None, &text, &[]);
    d.wait_log("nothing is balanced");
    sh("rm /etc/modprobe.d/lab.conf; modprobe ip_vs; sysctl -qw net.ipv4.vs.conntrack=1");
    assert!(eventually(seconds(12), || table().contains("-t 10.1.0.100:80 -r 10.2.0.3:80")), "{}", d.log());
    let now = sh("ipvsadm -L --timeout");
    assert!(now.contains("1234 ") && now.contains(" 77"), "{now}\n{}", d.log());
    // Loaded anew it has another number.
    sh(&format!(
        "for n in 1 2 3; do ipvsadm -C; for m in $({names}) $({names}); do rmmod $m 2>/dev/null; done; done; \
        ! grep -q ^ip_vs /proc/modules && modprobe ip_vs && sysctl -qw net.ipv4.vs.conntrack=1"
    ));
    assert!(eventually(seconds(25), || table().contains("-t 10.1.0.100:80 -r 10.2.0.3:80")), "{}", d.log());
    let now = sh("ipvsadm -L --timeout");
    assert!(now.contains("1234 ") && now.contains(" 77"), "{now}\n{}", d.log());
    d.stop();
    assert_eq!(table(), "");
}
