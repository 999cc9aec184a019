//! The package under a real systemd. The tests build on each other, in order.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use steadfast_test_vm::lab::sh;
use steadfast_test_vm::{eventually, seconds};

/// Every test, by name.
pub const TESTS: &[(&str, fn())] = &[
    ("the_package_stands_in_for_keepalived", the_package_stands_in_for_keepalived),
    ("exporters_find_dumps_by_the_links_of_the_package", exporters_find_dumps_by_the_links_of_the_package),
    ("its_processes_have_the_powers_that_are_written", its_processes_have_the_powers_that_are_written),
    ("the_daemon_itself_changes_nothing_of_the_system", the_daemon_itself_changes_nothing_of_the_system),
    ("a_network_namespace_is_entered_from_within_the_unit", a_network_namespace_is_entered_from_within_the_unit),
    ("a_script_does_what_it_did_for_keepalived", a_script_does_what_it_did_for_keepalived),
    ("the_strict_drop_in_takes_nothing_from_the_daemon", the_strict_drop_in_takes_nothing_from_the_daemon),
    ("systemctl_reloads_and_tells_what_came_of_it", systemctl_reloads_and_tells_what_came_of_it),
    ("the_journal_can_be_asked_by_instance_and_by_event", the_journal_can_be_asked_by_instance_and_by_event),
    ("the_clock_of_the_wall_moves_nothing", the_clock_of_the_wall_moves_nothing),
    ("every_process_may_be_killed", every_process_may_be_killed),
    ("the_watchdog_ends_a_parent_that_hangs", the_watchdog_ends_a_parent_that_hangs),
    ("a_new_package_takes_over_without_a_failover", a_new_package_takes_over_without_a_failover),
    ("a_purge_leaves_the_configuration_alone", a_purge_leaves_the_configuration_alone),
    ("an_rpm_installs_starts_upgrades_and_goes", an_rpm_installs_starts_upgrades_and_goes),
];

const FILE: &str = "/etc/keepalived/keepalived.conf";
const VIP: &str = "10.5.0.100/24";

fn conf(more: &str) -> String {
    format!(
        "vrrp_instance VI {{\n interface br0\n virtual_router_id 51\n priority 200\n advert_int 1\n virtual_ipaddress {{\n {VIP}\n {more}\n }}\n}}\n\
         virtual_server 10.5.0.100 80 {{\n delay_loop 2\n lb_algo rr\n lb_kind NAT\n protocol TCP\n real_server 10.5.0.1 80 {{\n weight 1\n }}\n}}\n"
    )
}

fn the_journal_can_be_asked_by_instance_and_by_event() {
    std::fs::write(FILE, format!("global_defs {{\n log_structured\n}}\n{}", conf(""))).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
    sh("ip link set br0 down");
    assert!(eventually(seconds(10), || journal().contains("Entering FAULT STATE")), "{}", journal());
    sh("ip link set br0 up");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    let found = |words: &str| sh(&format!("journalctl -u steadfast --no-pager -o verbose {words}"));
    let fault = || found("INSTANCE=VI OLD_STATE=MASTER NEW_STATE=FAULT");
    assert!(eventually(seconds(5), || fault().contains("VRID=51")), "{}", found(""));
    let text = fault();
    assert!(
        text.contains("REASON=interface br0 is down") && text.contains("SYSLOG_IDENTIFIER=Keepalived_vrrp"),
        "{text}"
    );
    assert!(text.contains("_SYSTEMD_UNIT=steadfast.service") && text.contains("PRIORITY=6"), "{text}");
    assert!(text.contains("MESSAGE_ID="), "{text}");
    assert_eq!(
        found("INSTANCE=VI NEW_STATE=FAULT").matches("MESSAGE=(VI) Entering FAULT").count(),
        1,
        "said once: {text}"
    );
    std::fs::write(FILE, conf("")).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
}

fn the_clock_of_the_wall_moves_nothing() {
    let entered = || journal().matches(" Entering ").count();
    let (before, began) = (entered(), sh("date +%s"));
    let (pids, started) = (format!("{} {}", main_pid(), pid("vrrp.pid")), std::time::Instant::now());
    for step in ["+1 hour", "-1 day", "@1000", "+20 years"] {
        sh(&format!("date -s '{step}'"));
        // A master that thought itself late would listen for an interval; a checker would count its checks as overdue.
        assert!(!eventually(seconds(4), || entered() != before || !holds(VIP)), "{step}: {}", journal());
        assert_eq!(format!("{} {}", main_pid(), pid("vrrp.pid")), pids, "{step}: {}", journal());
    }
    sh(&format!("date -s @{}", began.trim().parse::<u64>().unwrap_or(0) + started.elapsed().as_secs()));
}

/// The other kind of package, by the tool that it is for; what it depends on is the same guest's.
fn an_rpm_installs_starts_upgrades_and_goes() {
    if !std::path::Path::new("/share/steadfast.rpm").exists() {
        return;
    }
    let rpm = |words: &str| sh(&format!("rpm --force-debian --nodeps {words}"));
    rpm("-i /share/steadfast.rpm");
    assert!(std::path::Path::new(FILE).exists());
    assert!(!works("systemctl is-active steadfast"), "who installs it starts it");
    sh("systemctl enable --now steadfast");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    let (parent, vrrp) = (main_pid(), pid("vrrp.pid"));
    let upgrade = std::thread::spawn(move || sh("rpm --force-debian --nodeps -U --force /share/steadfast.rpm"));
    while !upgrade.is_finished() {
        assert!(holds(VIP), "the address never leaves: {}", journal());
    }
    println!("{}", upgrade.join().expect("rpm"));
    assert!(eventually(seconds(10), || pid("vrrp.pid") != vrrp), "{}", journal());
    assert!(holds(VIP) && main_pid() == parent && works("systemctl is-active steadfast"), "{}", journal());
    assert_eq!(links(), DUMPS.len(), "{}", sh("ls -l /tmp"));
    rpm("-e steadfast");
    assert!(!holds(VIP) && !works("systemctl cat steadfast") && !works("pgrep steadfastd"), "{}", journal());
    assert!(std::path::Path::new(FILE).exists(), "the configuration stays");
    assert!(!works("ls /usr/sbin/steadfastd /usr/bin/steadfast /usr/lib/tmpfiles.d/steadfast.conf"));
    assert_eq!(links(), 0, "{}", sh("ls -l /tmp"));
}

/// A command, and whether it worked.
fn works(line: &str) -> bool {
    let status = Command::new("bash")
        .args(["-c", line])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|s| s.success())
}

fn holds(address: &str) -> bool {
    sh("ip -o addr show dev br0").contains(address)
}

fn journal() -> String {
    sh("journalctl -u steadfast --no-pager -o cat")
}

fn main_pid() -> String {
    sh("systemctl show -P MainPID steadfast").trim().to_string()
}

fn pid(file: &str) -> String {
    std::fs::read_to_string(format!("/run/{file}")).unwrap_or_default().trim().to_string()
}

fn the_package_stands_in_for_keepalived() {
    sh(
        "ip link add br0 type bridge; ip link add v0 type veth peer name v1; ip link set v0 master br0; ip link set v0 up; ip link set v1 up; \
        ip link set br0 up; ip addr add 10.5.0.1/24 dev br0",
    );
    std::fs::write(FILE, conf("")).expect("configuration");
    assert!(works("dpkg -s keepalived"), "keepalived was there before");
    sh("echo of keepalived >/tmp/keepalived.data");
    sh("DEBIAN_FRONTEND=noninteractive apt-get install -y -o Dpkg::Use-Pty=0 /share/steadfast.deb");
    assert!(!works("dpkg -s keepalived | grep -q '^Status: install ok installed'"), "keepalived is gone");
    assert!(std::path::Path::new(FILE).exists(), "its file is not");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    for name in ["steadfast", "keepalived"] {
        assert!(
            works(&format!("systemctl is-active {name} && systemctl is-enabled {name}")),
            "{name}: {}",
            sh("systemctl status steadfast || true")
        );
    }
    let status = sh("systemctl status steadfast");
    assert!(status.contains("steadfast status tells more"), "{status}");
    assert!(sh("steadfast status").contains("MASTER VI"));
    let version = sh("keepalived --version 2>&1");
    assert!(version.contains("Keepalived v2.4.3"), "{version}");
    // What a package is built with, who looks for it finds by keepalived's words.
    let with = |words: &str| version.lines().any(|l| l.starts_with("Config options:") && l.contains(words));
    assert!(with(" SNMP_VRRP ") && with(" SNMP_CHECKER ") && with(" DBUS"), "{version}");
    // Lines carry their priorities.
    let lines = sh("journalctl -u steadfast --no-pager -o json");
    let line = lines.lines().find(|l| l.contains("Entering MASTER STATE")).expect("a line");
    assert!(line.contains("\"PRIORITY\":\"6\""), "{line}");
}

/// Where exporters look for them.
const DUMPS: [&str; 6] = [
    "keepalived.data",
    "keepalived_check.data",
    "keepalived_bfd.data",
    "keepalived_parent.data",
    "keepalived.stats",
    "keepalived.json",
];

fn links() -> usize {
    DUMPS.iter().filter(|name| std::fs::symlink_metadata(format!("/tmp/{name}")).is_ok()).count()
}

fn exporters_find_dumps_by_the_links_of_the_package() {
    // The links of the package have taken the place of what keepalived had left.
    assert_eq!(links(), DUMPS.len(), "{}", sh("ls -l /tmp"));
    for (signal, name, words) in [
        ("USR1", "keepalived.data", "VRRP Instance = VI"),
        ("USR2", "keepalived.stats", "VRRP Instance: VI"),
        ("36", "keepalived.json", "\"VI\""),
    ] {
        sh(&format!("systemctl kill --kill-whom=main -s {signal} steadfast"));
        let said = || std::fs::read_to_string(format!("/tmp/{name}")).unwrap_or_default();
        assert!(eventually(seconds(10), || said().contains(words)), "{name}: {}\n{}", said(), journal());
        let target = std::fs::read_link(format!("/tmp/{name}")).expect("still a link");
        assert_eq!(target, std::path::Path::new("/run/keepalived/dumps").join(name));
    }
    assert!(
        sh("cat /tmp/keepalived_check.data").contains("LVS")
            && sh("cat /tmp/keepalived_parent.data").contains("Parent")
    );
}

/// The file with a script that is run now and then, so that there is a process that runs it.
fn tracked() -> String {
    let script = "vrrp_script well {\n script /bin/true\n interval 60\n timeout 60\n}\n";
    script.to_string() + &conf("").replace("advert_int 1\n", "advert_int 1\n track_script {\n well\n }\n")
}

/// The processes that run scripts.
fn runners() -> Vec<String> {
    let all = sh(&format!("pgrep -P {} -f -- '--role runner' || true", main_pid()));
    all.split_whitespace().map(str::to_string).collect()
}

fn view_of(pid: &str) -> String {
    std::fs::read_link(format!("/proc/{pid}/ns/mnt")).expect("a view").display().to_string()
}

/// The daemon's own processes can write where they have to, and nowhere else; those that run scripts see what the host sees.
fn keeps_to_itself() {
    assert!(eventually(seconds(10), || !runners().is_empty()), "{}", journal());
    for own in [main_pid(), pid("vrrp.pid"), pid("checkers.pid")] {
        assert_ne!(view_of(&own), view_of("1"), "{own}");
        for folder in
            ["/usr", "/usr/bin", "/etc", "/etc/keepalived", "/opt", "/root", "/home", "/boot", "/sys/fs/cgroup"]
        {
            let line = format!("nsenter -t {own} -m mkdir {folder}/of-the-daemon 2>&1; true");
            let said = sh(&line);
            assert!(said.contains("Read-only file system"), "{folder} of {own}: {said}");
        }
        for folder in ["/run", "/run/keepalived", "/var/lib", "/tmp"] {
            sh(&format!("nsenter -t {own} -m mkdir {folder}/of-the-daemon; rmdir {folder}/of-the-daemon"));
        }
        for file in ["/dev/kmsg", "/proc/kmsg"] {
            assert_eq!(sh(&format!("nsenter -t {own} -m stat -c %a {file}")).trim(), "0", "{file} of {own} is hidden");
        }
    }
    for runner in runners() {
        assert_eq!(view_of(&runner), view_of("1"), "{}", journal());
    }
}

fn the_daemon_itself_changes_nothing_of_the_system() {
    std::fs::write(FILE, tracked()).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
    keeps_to_itself();
    std::fs::write(FILE, conf("")).expect("configuration");
    // Runs by the unit, and by hand.
    assert!(works("systemctl reload steadfast") && works("steadfast reload"), "{}", journal());
    // The file that a command sees is the daemon's.
    assert!(works("steadfast plan && steadfast check"), "{}", sh("(steadfast plan; steadfast check) 2>&1 || true"));
}

/// Its name is a mount, which the unit's view of files has, too.
fn a_network_namespace_is_entered_from_within_the_unit() {
    sh("ip netns add inner");
    let inner = format!("net:[{}]", sh("stat -L -c %i /run/netns/inner").trim());
    std::fs::write(FILE, format!("net_namespace inner\n{}", conf(""))).expect("configuration");
    sh("systemctl restart steadfast");
    let network = || std::fs::read_link(format!("/proc/{}/ns/net", main_pid())).unwrap_or_default();
    assert!(eventually(seconds(20), || network().display().to_string() == inner), "{}", journal());
    std::fs::write(FILE, conf("")).expect("configuration");
    sh("systemctl restart steadfast; ip netns del inner");
    assert!(eventually(seconds(20), || holds(VIP)), "{}", journal());
}

/// What takes over a service with its address: it mounts, looks at devices, writes into the kernel's log, changes what belongs to the
/// system. A unit that takes that away shows it at the first failover. And what gives it up again: a volume that somebody still has
/// mounted cannot be had by the peer.
fn a_script_does_what_it_did_for_keepalived() {
    let (takes, gives) = ("/root/takeover.sh", "/root/giveup.sh");
    let text = "#!/bin/bash\nexec >/root/takeover.log 2>&1\nset -x\nmkdir -p /mnt/of-a-script /usr/local/share/of-a-script\n\
                mount -o loop /var/tmp/two /mnt/of-a-script && touch /mnt/of-a-script/file\n\
                umount /mnt/before && umount /var/lib/before && umount /home && echo gone\n\
                mkdir -p /var/lib/of-a-script && mount -o loop /var/tmp/three /var/lib/of-a-script && touch /var/lib/of-a-script/file\n\
                mount -o loop /var/tmp/four /home && touch /home/file\n\
                touch /opt/of-a-script /etc/of-a-script /usr/bin/of-a-script /root/takeover.file && echo written\n\
                ls /lib/modules >/dev/null && echo seen\n\
                head -c 512 /dev/vda | wc -c\necho of a script >/dev/kmsg\nchmod 2755 /usr/local/share/of-a-script\n\
                hostname >/root/takeover.name\nmkdir /sys/fs/cgroup/of-a-script && rmdir /sys/fs/cgroup/of-a-script && echo a group\n\
                su -s /bin/sh -c 'echo as $(id -un)' nobody\n\
                cp /usr/bin/id /usr/bin/id-of-a-script && chmod 4755 /usr/bin/id-of-a-script\n\
                su -s /bin/sh -c 'echo again $(id-of-a-script -un)' nobody\necho done\n";
    std::fs::write(takes, text).expect("script");
    let text = "#!/bin/bash\nexec >/root/giveup.log 2>&1\numount /mnt/of-a-script && umount /var/lib/of-a-script && umount /home && echo given up\n";
    std::fs::write(gives, text).expect("script");
    sh(&format!(
        "chmod 755 {takes} {gives}; hostname renamed; modprobe loop; mkdir -p /mnt/before /var/lib/before
         for n in one two three four five six; do truncate -s 4M /var/tmp/$n; mke2fs -q /var/tmp/$n; done
         mount -o loop /var/tmp/one /mnt/before; mount -o loop /var/tmp/five /var/lib/before; mount -o loop /var/tmp/six /home"
    ));
    let with = conf("").replacen("priority 200", &format!("priority 200\n notify_fault {gives}"), 1);
    std::fs::write(FILE, &with).expect("configuration");
    // It begins with what is mounted by then.
    sh("systemctl restart steadfast");
    assert!(eventually(seconds(20), || holds(VIP)), "{}", journal());
    let with = with.replacen("priority 200", &format!("priority 200\n notify_master {takes}"), 1);
    std::fs::write(FILE, &with).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
    let lose = || {
        sh("ip link set br0 down");
        assert!(eventually(seconds(10), || !holds(VIP)), "{}", journal());
    };
    lose();
    sh("rm -f /root/giveup.log; ip link set br0 up");
    let said = || std::fs::read_to_string("/root/takeover.log").unwrap_or_default();
    assert!(eventually(seconds(15), || said().lines().any(|l| l == "done")), "{}\n{}", said(), journal());
    println!("{}", said());
    let has = |line: &str| said().lines().any(|l| l == line);
    for file in ["/mnt/of-a-script/file", "/var/lib/of-a-script/file", "/home/file"] {
        assert!(std::path::Path::new(file).exists(), "what it mounts is mounted: {}", said());
        // The daemon, whose configuration may name files there, sees it, too.
        for own in [main_pid(), pid("vrrp.pid"), pid("checkers.pid")] {
            assert!(works(&format!("nsenter -t {own} -m test -e {file}")), "{own} {file}");
        }
    }
    assert!(has("written") && std::path::Path::new("/etc/of-a-script").exists(), "{}", said());
    assert!(has("seen") && has("again root"), "{}", said());
    assert!(has("512"), "it reads a disk: {}", said());
    assert!(works("dmesg | grep -q 'of a script'"), "{}", said());
    assert_eq!(sh("stat -c %a /usr/local/share/of-a-script").trim(), "2755", "{}", said());
    assert_eq!(std::fs::read_to_string("/root/takeover.name").unwrap_or_default().trim(), "renamed", "{}", said());
    assert!(has("a group") && has("as nobody"), "{}", said());
    // A loop device goes with the last view that has its file system mounted.
    let used = |volume: &&&str| sh("losetup -a").contains(&format!("/var/tmp/{volume}"));
    let free = |volumes: &[&str]| eventually(seconds(10), || volumes.iter().filter(used).count() == 0);
    let views = || sh("losetup -a; grep loop /proc/[0-9]*/mountinfo || true");
    assert!(has("gone") && free(&["one", "five", "six"]), "{}\n{}", views(), said());
    let mounted = ["two", "three", "four"];
    assert_eq!(mounted.iter().filter(used).count(), 3, "{}", views());
    lose();
    let given = || std::fs::read_to_string("/root/giveup.log").unwrap_or_default();
    assert!(eventually(seconds(15), || given().contains("given up")), "{}\n{}", given(), journal());
    assert!(free(&mounted), "{}\n{}", views(), given());
    std::fs::write(FILE, conf("")).expect("configuration");
    sh(
        "rm -r /root/takeover.* /root/giveup.* /usr/local/share/of-a-script /opt/of-a-script /etc/of-a-script /usr/bin/*of-a-script /var/lib/of-a-script \
        /var/lib/before /var/tmp/*; \
        ip link set br0 up",
    );
    assert!(works("systemctl reload steadfast") && eventually(seconds(15), || holds(VIP)), "{}", journal());
}

/// The drop-in of the package, as its text says to use it: for scripts that do nothing of the kind, and not at the daemon's cost.
fn the_strict_drop_in_takes_nothing_from_the_daemon() {
    let folder = "/etc/systemd/system/steadfast.service.d";
    let exposed = || sh("systemd-analyze security --no-pager steadfast | tail -n 1");
    let (before, usual) = (journal().lines().count(), exposed());
    sh(&format!(
        "set -e -o pipefail; mkdir -p {folder}; \
         dpkg-deb --fsys-tarfile /share/steadfast.deb | tar xO ./usr/share/doc/steadfast/examples/steadfast-strict.conf >{folder}/strict.conf; \
         systemctl daemon-reload; systemctl restart steadfast"
    ));
    assert!(eventually(seconds(20), || holds(VIP)), "{}", journal());
    println!("{usual}with the drop-in: {}", exposed());
    // Scripts have its limits, too.
    std::fs::write(FILE, tracked()).expect("configuration");
    assert!(works("systemctl reload steadfast") && eventually(seconds(10), || !runners().is_empty()), "{}", journal());
    for own in [runners(), vec![pid("vrrp.pid")]].concat() {
        assert_eq!(view_of(&own), view_of(&main_pid()), "{own}");
    }
    std::fs::write(FILE, conf("10.5.0.99/24")).expect("configuration");
    assert!(works("systemctl reload steadfast") && eventually(seconds(10), || holds("10.5.0.99/24")), "{}", journal());
    assert!(works("ipvsadm -Sn | grep -q 10.5.0.100:80"), "{}", journal());
    sh("rm -f /run/keepalived/dumps/keepalived.data; systemctl kill --kill-whom=main -s USR1 steadfast");
    assert!(eventually(seconds(10), || std::path::Path::new("/tmp/keepalived.data").exists()), "{}", journal());
    let said = journal().lines().skip(before).collect::<Vec<_>>().join("\n");
    assert!(!said.contains("died") && !said.contains("cannot") && !said.contains("ermission"), "{said}");
    sh(&format!("rm -r {folder}; systemctl daemon-reload"));
    std::fs::write(FILE, conf("")).expect("configuration");
    sh("systemctl restart steadfast");
    assert!(eventually(seconds(20), || holds(VIP)), "{}", journal());
}

/// Numbers of linux/capability.h, as systemd calls them.
const POWERS: [(u64, &str); 17] = [
    (0, "cap_chown"),
    (1, "cap_dac_override"),
    (2, "cap_dac_read_search"),
    (3, "cap_fowner"),
    (5, "cap_kill"),
    (6, "cap_setgid"),
    (7, "cap_setuid"),
    (10, "cap_net_bind_service"),
    (12, "cap_net_admin"),
    (13, "cap_net_raw"),
    (14, "cap_ipc_lock"),
    (18, "cap_sys_chroot"),
    (19, "cap_sys_ptrace"),
    (21, "cap_sys_admin"),
    (23, "cap_sys_nice"),
    (24, "cap_sys_resource"),
    (29, "cap_audit_write"),
];

/// One of a process's sets in words; numbers that the unit does not name stay numbers.
fn powers(pid: &str, set: &str) -> BTreeSet<String> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let line = status.lines().find_map(|l| l.strip_prefix(set)?.strip_prefix(':')).expect("a set");
    let bits = u64::from_str_radix(line.trim(), 16).expect("a number");
    let name = |n: u64| POWERS.iter().find(|p| p.0 == n).map_or(n.to_string(), |p| p.1.to_string());
    (0..64).filter(|n| bits >> n & 1 == 1).map(name).collect()
}

/// docs/operations.md, "What the processes may do", and the unit.
fn its_processes_have_the_powers_that_are_written() {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<BTreeSet<String>>();
    let unit = sh("systemctl cat steadfast");
    let written: Vec<&str> = unit.lines().filter_map(|l| l.strip_prefix("CapabilityBoundingSet=")).collect();
    let all: BTreeSet<String> = POWERS.iter().map(|p| p.1.to_string()).collect();
    assert_eq!(words(&written.join(" ")), all, "{unit}");
    assert_eq!(words(&sh("systemctl show -P CapabilityBoundingSet steadfast")), all);
    for set in ["CapBnd", "CapPrm"] {
        assert_eq!(powers(&main_pid(), set), all, "{set}: the parent hands on to scripts what the unit gives");
    }
    let vrrp = "cap_net_admin cap_net_raw cap_sys_nice cap_sys_resource cap_ipc_lock cap_dac_override cap_chown";
    for (file, most) in [("vrrp.pid", vrrp.to_string()), ("checkers.pid", format!("{vrrp} cap_net_bind_service"))] {
        let child = pid(file);
        for set in ["CapEff", "CapPrm"] {
            assert_eq!(powers(&child, set), words(&most), "{file} {set}");
        }
        // The unit leaves it nothing by which the bounding set could be made smaller; it can gain nothing all the same.
        assert!(powers(&child, "CapBnd").is_subset(&all), "{file}");
        let status = std::fs::read_to_string(format!("/proc/{child}/status")).expect("status");
        assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{file}: {status}");
    }
}

fn systemctl_reloads_and_tells_what_came_of_it() {
    std::fs::write(FILE, conf("10.5.0.101/24")).expect("configuration");
    assert!(works("systemctl reload keepalived"), "{}", journal());
    assert!(eventually(seconds(5), || holds("10.5.0.101/24")));
    std::fs::write(FILE, conf("10.5.0.102/24").replace("priority", "prioritty")).expect("configuration");
    assert!(!works("systemctl reload steadfast"), "{}", journal());
    assert!(holds(VIP) && !holds("10.5.0.102"));
    assert!(works("systemctl is-active steadfast"));
    std::fs::write(FILE, conf("")).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
    assert!(eventually(seconds(5), || !holds("10.5.0.101")));
}

fn every_process_may_be_killed() {
    // One of each kind: sessions for the BFD child, a script for the runner.
    let more = "bfd_instance away {\n neighbour_ip 10.5.0.77\n}\n";
    std::fs::write(FILE, format!("{more}{}", tracked())).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
    let runner = || runners().pop().unwrap_or_default();
    let all = || !runner().is_empty() && !pid("bfd.pid").is_empty();
    assert!(eventually(seconds(15), all), "{}", journal());
    let before = runner();
    sh(&format!("kill -9 {before}"));
    let another = || {
        assert!(holds(VIP), "runner: the address never leaves: {}", journal());
        let now = runner();
        !now.is_empty() && now != before
    };
    assert!(eventually(seconds(8), another), "{}", journal());
    for file in ["vrrp.pid", "checkers.pid", "bfd.pid"] {
        let before = pid(file);
        sh(&format!("kill -9 {before}"));
        assert!(
            eventually(seconds(8), || {
                assert!(holds(VIP), "{file}: the address never leaves: {}", journal());
                let now = pid(file);
                !now.is_empty() && now != before
            }),
            "{file}: {}",
            journal()
        );
    }
    keeps_to_itself();
    let before = main_pid();
    let said = || journal().matches("sent 0 priority").count();
    let told = said();
    sh(&format!("kill -9 {before}"));
    let back = || main_pid() != before && works("systemctl is-active steadfast") && holds(VIP);
    assert!(eventually(seconds(20), back), "{}", journal());
    assert!(said() > told, "its children hand over before they end: {}", journal());
    assert!(sh("ip -o addr show dev br0").matches("10.5.0.100").count() == 1, "nothing is doubled");
    // The file of the others; a restart ends what only this one had.
    std::fs::write(FILE, conf("")).expect("configuration");
    sh("systemctl restart steadfast");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
}

fn the_watchdog_ends_a_parent_that_hangs() {
    sh(
        "mkdir -p /run/systemd/system/steadfast.service.d; printf '[Service]\\nWatchdogSec=3\\n' > /run/systemd/system/steadfast.service.d/w.conf",
    );
    sh("systemctl daemon-reload; systemctl restart steadfast");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    // As long as it works nobody ends it.
    let before = main_pid();
    assert!(!eventually(seconds(3), || main_pid() != before), "{}", journal());
    sh(&format!("kill -STOP {before}"));
    assert!(eventually(seconds(20), || main_pid() != before && main_pid() != "0"), "{}", journal());
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    assert!(journal().contains("atchdog"), "{}", journal());
    sh("rm /run/systemd/system/steadfast.service.d/w.conf; systemctl daemon-reload; systemctl restart steadfast");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
}

fn a_new_package_takes_over_without_a_failover() {
    std::fs::write(FILE, tracked()).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
    let (parent, vrrp) = (main_pid(), pid("vrrp.pid"));
    let installs = std::thread::spawn(|| sh("dpkg -i /share/steadfast.deb"));
    while !installs.is_finished() {
        assert!(holds(VIP), "the address never leaves: {}", journal());
    }
    println!("{}", installs.join().expect("dpkg"));
    assert!(eventually(seconds(10), || pid("vrrp.pid") != vrrp), "{}", journal());
    assert!(holds(VIP) && main_pid() == parent, "{}", journal());
    assert!(journal().contains("continuing in MASTER state"), "{}", journal());
    assert!(works("systemctl is-active steadfast"));
    keeps_to_itself();
    std::fs::write(FILE, conf("")).expect("configuration");
    assert!(works("systemctl reload steadfast"), "{}", journal());
}

fn a_purge_leaves_the_configuration_alone() {
    // One that goes and comes again is what it was.
    sh("DEBIAN_FRONTEND=noninteractive dpkg --remove steadfast");
    assert!(!holds(VIP), "{}", sh("ip addr show dev br0"));
    sh("dpkg -i /share/steadfast.deb");
    assert!(works("systemctl is-active steadfast") && works("systemctl is-enabled steadfast"), "{}", journal());
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    sh(
        "systemctl disable --now steadfast; DEBIAN_FRONTEND=noninteractive dpkg --remove steadfast; dpkg -i /share/steadfast.deb",
    );
    assert!(!works("systemctl is-active steadfast") && !works("systemctl is-enabled steadfast"), "{}", journal());
    sh("systemctl enable --now steadfast");
    assert!(eventually(seconds(10), || holds(VIP)), "{}", journal());
    sh("DEBIAN_FRONTEND=noninteractive dpkg --purge steadfast");
    assert!(!holds(VIP), "{}", sh("ip addr show dev br0"));
    assert!(!works("systemctl cat steadfast"));
    assert!(std::path::Path::new(FILE).exists());
    assert_eq!(links(), 0, "{}", sh("ls -l /tmp"));
    let left = sh("ls /run/*.pid /run/*.control 2>/dev/null || true");
    assert!(!left.contains("keepalived") && !left.contains("vrrp"), "{left}");
    assert!(!works("pgrep steadfastd"));
}
