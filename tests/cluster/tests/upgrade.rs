//! A new program takes over from the running one.

use nix::fcntl::OFlag;
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use steadfast_core::kernel::{Address, Object};
use steadfast_ipc::{Envelope, Message, encode, frame, object_key, pieces};
use steadfast_test_cluster::daemon::{file, steadfastd};
use steadfast_test_cluster::wire::{adverts, gratuitous};
use steadfast_test_cluster::{Daemon, Kind, Lan, best_of, eventually, require};

const VIP: &str = "10.77.0.100";

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn conf(priority: u8, folder: &Path) -> String {
    format!(
        "global_defs {{\n script_user root\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 0.1\n \
         version 3\n garp_master_refresh 0\n virtual_ipaddress {{\n {VIP}/24\n }}\n notify \"{at}/told\"\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n quorum_up \"{at}/told quorum\"\n \
         real_server 10.77.0.3 80 {{\n weight 1\n }}\n}}\n",
        at = folder.display()
    )
}

/// A folder with a copy of the program and a script that writes down what it is told.
fn home() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("folder");
    install(folder.path(), &steadfastd());
    let path = file(folder.path(), "told", &format!("#!/bin/sh\necho \"$*\" >> {}/words\n", folder.path().display()));
    Command::new("chmod").args(["0755", &path]).status().expect("chmod");
    folder
}

/// As a package puts a program in the place of another: beside it, then over it.
fn install(folder: &Path, program: &Path) {
    let new = folder.join("steadfastd.new");
    std::fs::copy(program, &new).expect("copy");
    std::fs::rename(new, folder.join("steadfastd")).expect("rename");
}

fn steadfast(d: &Daemon, words: &[&str]) -> (bool, String) {
    let mut command = Command::new(steadfastd().with_file_name("steadfast"));
    command.arg("--socket").arg(d.path("pid").with_extension("control")).args(words).stdin(Stdio::null());
    let out = command.output().expect("steadfast");
    (out.status.success(), String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned())
}

#[test]
fn an_upgrade_costs_no_failover_and_tells_nobody() {
    require!();
    let lan = Lan::new(3);
    let folder = home();
    let text = conf(200, folder.path());
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    let b = Daemon::start(&lan.hosts[1], Kind::Steadfast, &conf(100, a.folder.path()).replace("told", "nobody"));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    let words = || std::fs::read_to_string(a.path("words")).unwrap_or_default();
    assert!(eventually(seconds(10), || words().contains("quorum") && words().contains("MASTER")), "{}", words());
    let before = words();
    let pids = |a: &Daemon| ["pid", "vrrp.pid", "check.pid"].map(|f| a.pid_of(f).expect("pid"));
    let [parent, vrrp, checker] = pids(&a);

    let counted = || {
        let (_, text) = steadfast(&a, &["status", "--json"]);
        let number = |key: &str| {
            let rest = text.split_once(&format!("\"{key}\":")).map_or("", |(_, rest)| rest);
            rest.trim().split([',', '}', '\n']).next().and_then(|n| n.parse::<u64>().ok()).unwrap_or_default()
        };
        (number("adverts_sent"), number("became_master"), text)
    };
    let (sent, ..) = counted();
    let ended = Arc::new(AtomicBool::new(false));
    let (stop, interface) = (ended.clone(), index(&lan.hosts[2]));
    let begun = Instant::now();
    let watch = lan.hosts[2].inside(move || adverts(interface, 51, seconds(60), || stop.load(Ordering::Relaxed)));
    let stop = ended.clone();
    let announced = lan.hosts[2].inside(move || gratuitous(seconds(60), || stop.load(Ordering::Relaxed)));
    let ping = lan.hosts[2].ping(VIP);
    let mut ends = Vec::new();
    // By the operator's commands, and by the signal, after a package was installed.
    for round in 0..3 {
        install(a.folder.path(), &steadfastd());
        if round == 0 {
            let (fine, said) = steadfast(&a, &["upgrade"]);
            assert!(fine, "{said}: {}", a.log());
            println!("{}", said.trim());
        } else if round == 1 {
            // The unit's ExecReload: it must not fail because of what it has led to.
            let (fine, said) = steadfast(&a, &["reload"]);
            assert!(fine && said.contains("so the reload was an upgrade"), "{said}: {}", a.log());
        } else {
            a.signal(Signal::SIGHUP);
        }
        let taken = || a.log().matches("Taking over from steadfast").count() == round + 1;
        assert!(eventually(seconds(10), taken), "{}", a.log());
        assert!(
            eventually(seconds(10), || a.log().matches("continuing in MASTER state").count() == round + 1),
            "{}",
            a.log()
        );
        std::thread::sleep(seconds(2));
        assert!(lan.hosts[0].has(VIP));
        ends.push(begun.elapsed());
        // Counters go on.
        let (now, masters, text) = counted();
        assert!(now > sent + 15 * (round as u64 + 1) && masters == 1, "{sent} {now} {masters}\n{text}");
    }
    let [same, other, another] = pids(&a);
    assert!(same == parent && other != vrrp && another != checker, "{}", a.log());
    ended.store(true, Ordering::Relaxed);
    let seen = watch.join().expect("observer");
    let gap = ping.longest_gap();
    let longest = seen.windows(2).map(|w| w[1].at - w[0].at).max().expect("adverts");
    println!("three upgrades, adverts every 0.1 s: longest gap between adverts {longest:?}, for the client {gap:?}");
    assert!(seen.iter().all(|s| s.priority == 200), "no priority 0, and nobody else: {seen:?}");
    // The peer's patience is 0.36 s, and it is asked below whether it lost it.
    assert!(gap < Duration::from_millis(400), "{gap:?}");
    let mut rounds = ends.iter().map(|end| {
        let seen: Vec<_> = seen.iter().filter(|s| s.at <= *end && s.at + seconds(3) > *end).collect();
        seen.windows(2).map(|w| w[1].at - w[0].at).max().unwrap_or(seconds(9))
    });
    best_of("adverts every 0.1 s over one upgrade", ends.len(), Duration::from_millis(150), || {
        rounds.next().unwrap_or(seconds(9))
    });
    // Each program says once where the address is. The second burst of the takeover at the start may be among them.
    let announced = announced.join().expect("observer");
    let of_address = announced.iter().filter(|(_, a)| a.to_string() == VIP).count();
    assert!((3..=9).contains(&of_address), "announcements: {announced:?}");
    assert_eq!(words(), before, "scripts hear nothing");
    assert_eq!(b.log().matches("Entering MASTER STATE").count(), 0, "{}", b.log());
    // It is a whole daemon: it reloads, answers and stops.
    a.reload(&conf(200, a.folder.path()).replace(&format!("{VIP}/24"), &format!("{VIP}/24\n 10.77.0.101/24")));
    assert!(eventually(seconds(5), || lan.hosts[0].has("10.77.0.101")), "{}", a.log());
    let (_, status) = steadfast(&a, &["status"]);
    assert!(status.contains("MASTER VI"), "{status}");
    // It is no restart, and a file that came with a program is told of as at a reload.
    assert!(status.contains(", upgraded ") && status.contains(" ago, running since "), "{status}");
    assert_eq!(a.log().matches("the program's file has been replaced, so the reload is an upgrade").count(), 2);
    assert!(!a.log().contains("Changing effective priority"), "{}", a.log());
    let text = std::fs::read_to_string(a.path("conf")).expect("configuration");
    std::fs::write(a.path("conf"), text.replace("priority 200", "priority 190")).expect("configuration");
    install(a.folder.path(), &steadfastd());
    let (fine, said) = steadfast(&a, &["reload"]);
    assert!(fine, "{said}");
    a.wait_log("(VI) Changing effective priority from 200 to 190", seconds(10));
    // A death says nothing of it again, and is known to the next program.
    let vrrp = a.pid_of("vrrp.pid").expect("pid");
    steadfast_test_cluster::daemon::send(vrrp, Signal::SIGKILL);
    assert!(eventually(seconds(10), || a.log().matches("continuing in MASTER state").count() == 5), "{}", a.log());
    let (fine, said) = steadfast(&a, &["upgrade"]);
    let (_, status) = steadfast(&a, &["status"]);
    assert!(fine && status.contains(", died once, ") && status.contains(": signal 9 (SIGKILL)"), "{said}{status}");
    assert_eq!(a.log().matches("Changing effective priority").count(), 1, "{}", a.log());
    assert_eq!(a.stop(), Some(0));
    assert!(!lan.hosts[0].has(VIP));
}

/// The new program reads a long file, and meanwhile the checker of the old one dies: the others are not told to leave.
#[test]
fn a_child_that_dies_while_the_new_program_reads_takes_nobody_along() {
    require!();
    let lan = Lan::new(2);
    let folder = home();
    let scripts: String =
        (0..40_000).map(|n| format!("vrrp_script s{n} {{\n script \"/bin/true {n}\"\n}}\n")).collect();
    let text = format!("{}{scripts}", conf(200, folder.path()));
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    let words = || std::fs::read_to_string(a.path("words")).unwrap_or_default();
    assert!(eventually(seconds(20), || lan.hosts[0].has(VIP) && words().contains("quorum")), "{}", a.log());
    let (vrrp, checker) = (a.pid_of("vrrp.pid").expect("pid"), a.pid_of("check.pid").expect("pid"));
    let ended = Arc::new(AtomicBool::new(false));
    let (stop, interface) = (ended.clone(), index(&lan.hosts[1]));
    let watch = lan.hosts[1].inside(move || adverts(interface, 51, seconds(60), || stop.load(Ordering::Relaxed)));
    install(a.folder.path(), &steadfastd());
    a.signal(Signal::SIGHUP);
    assert!(eventually(seconds(30), || a.log().contains("Taking over from steadfast")), "{}", a.log());
    steadfast_test_cluster::daemon::send(checker, Signal::SIGKILL);
    let went_on = || {
        let new = |file: &str, old| a.pid_of(file).is_some_and(|pid| pid != old);
        a.log().contains("continuing in MASTER state") && new("vrrp.pid", vrrp) && new("check.pid", checker)
    };
    assert!(eventually(seconds(30), went_on), "{}", a.log());
    assert!(a.log().contains("before its successor was there"), "the file was read too soon: {}", a.log());
    assert!(eventually(seconds(10), || steadfast(&a, &["status"]).1.contains("MASTER VI")), "{}", a.log());
    ended.store(true, Ordering::Relaxed);
    let seen = watch.join().expect("observer");
    assert!(seen.len() > 5 && seen.iter().all(|s| s.priority == 200), "no priority 0: {seen:?}\n{}", a.log());
    assert!(lan.hosts[0].has(VIP));
    assert_eq!(words().matches("MASTER").count(), 1, "{}", words());
    assert_eq!(words().matches("quorum").count(), 1, "the verdicts are kept: {}", words());
    assert_eq!(a.stop(), Some(0));
}

/// What the new program's file does not name any more is left in order by the child of the old one: the peer is told, and nothing
/// stays. With an advert interval of 4 s nobody can be heard within the 2 s of a short patience.
#[test]
fn what_an_upgrade_does_without_is_given_up_in_order() {
    require!();
    let lan = Lan::new(2);
    let folder = home();
    // The owner of an address is master at once.
    let text = conf(255, folder.path()).replace("advert_int 0.1", "advert_int 4");
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    assert!(eventually(seconds(20), || lan.hosts[0].has(VIP) && a.path("vrrp.objects").exists()), "{}", a.log());
    let (instance, service) = text.split_once("virtual_server").expect("both");
    let globals = instance.split_once("vrrp_instance").expect("globals").0;
    std::fs::write(a.path("conf"), format!("{globals}virtual_server{service}")).expect("configuration");
    install(a.folder.path(), &steadfastd());
    let ended = Arc::new(AtomicBool::new(false));
    let (stop, interface) = (ended.clone(), index(&lan.hosts[1]));
    let watch = lan.hosts[1].inside(move || adverts(interface, 51, seconds(30), || stop.load(Ordering::Relaxed)));
    let (fine, said) = steadfast(&a, &["upgrade"]);
    assert!(fine, "{said}: {}", a.log());
    let up = || a.log().matches("Startup complete").count() == 2;
    assert!(eventually(seconds(10), up), "{}", a.log());
    assert!(eventually(seconds(10), || !lan.hosts[0].has(VIP)), "{}", a.log());
    ended.store(true, Ordering::Relaxed);
    let seen = watch.join().expect("observer");
    assert!(seen.iter().any(|s| s.priority == 0), "{seen:?}\n{}", a.log());
    let gone = || !lan.hosts[0].has(VIP) && !a.path("vrrp.objects").exists() && !a.path("vrrp.pid").exists();
    assert!(eventually(seconds(10), gone), "{}", a.log());
    // The others did not wait for it.
    let log = a.log();
    assert!(log.rfind("Startup complete") < log.rfind("removing VIPs"), "{log}");
    for wrong in ["putting it back", "earlier run left", "left in the kernel"] {
        assert!(!a.log().contains(wrong), "{}", a.log());
    }
    assert!(steadfast(&a, &["status"]).0);
    assert_eq!(a.stop(), Some(0));
}

/// The old VRRP child is gone without a word, its successor serves: for no master of its the old checker keeps tables that no file names.
#[test]
fn an_upgrade_to_a_file_without_virtual_servers_ends_the_checker_at_once() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let text = format!("child_wait_time 60\n{}", conf(255, folder.path()));
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    assert!(eventually(seconds(20), || lan.hosts[0].has(VIP) && a.pid_of("check.pid").is_some()), "{}", a.log());
    a.wait_log("Startup complete", seconds(10));
    let checker = a.pid_of("check.pid").expect("pid");
    let (instance, _) = text.split_once("virtual_server").expect("both");
    std::fs::write(a.path("conf"), instance).expect("configuration");
    install(a.folder.path(), &steadfastd());
    let (fine, said) = steadfast(&a, &["upgrade"]);
    let upgraded = Instant::now();
    assert!(fine, "{said}: {}", a.log());
    let runs = || Path::new(&format!("/proc/{checker}")).exists();
    assert!(eventually(seconds(20), || !runs()), "{}", a.log());
    println!("the old checker was gone after {:?}", upgraded.elapsed());
    // Pressed by the clock it goes after eight seconds of ten.
    assert!(upgraded.elapsed() < seconds(4), "{:?}: {}", upgraded.elapsed(), a.log());
    assert!(lan.hosts[0].has(VIP) && !a.log().contains("does not end"), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

#[test]
fn a_new_program_that_does_not_start_changes_nothing() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let text = conf(200, folder.path());
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    let vrrp = a.pid_of("vrrp.pid");
    // The third one runs, says nothing and is content.
    for (n, program) in ["#!/bin/sh\nexit 3\n", "no program at all", "#!/bin/sh\nexit 0\n"].into_iter().enumerate() {
        let broken = file(a.folder.path(), "broken", program);
        Command::new("chmod").args(["0755", &broken]).status().expect("chmod");
        install(a.folder.path(), Path::new(&broken));
        let (fine, said) = steadfast(&a, &["upgrade"]);
        // Of the configuration nothing is said: it was not read.
        assert!(
            !fine && said.contains("the running program goes on") && !said.contains("configuration"),
            "{n}: {said}"
        );
        let why = match n {
            0 => "/steadfastd does not answer (it exited with status 3)",
            1 => "/steadfastd does not answer (it exited with status 127, its last words: ",
            _ => "/steadfastd is no steadfastd (it exited with status 0)",
        };
        assert!(said.contains(why), "{n}: {said}");
        assert!(lan.hosts[0].has(VIP) && a.pid_of("vrrp.pid") == vrrp, "{n}: {}", a.log());
    }
    // What they write is said to be theirs, with a time like all else.
    let said = ": the new program says: ";
    assert!(a.log().lines().any(|l| l.contains(said) && l.contains("not found")), "{}", a.log());
    assert!(
        !a.log().lines().any(|l| l.contains("not found") && ![said, "its last words: "].iter().any(|w| l.contains(w))),
        "{}",
        a.log()
    );
    // One that reads the file, and whose children may not do their work.
    let real = a.folder.path().join("real");
    std::fs::copy(steadfastd(), &real).expect("copy");
    let program = format!(
        "#!/bin/sh\ncase \"$*\" in *'--role rehearsal'*) exec setpriv --bounding-set=-net_raw {real} \"$@\";; esac\n\
         exec {real} \"$@\"\n",
        real = real.display()
    );
    let broken = file(a.folder.path(), "broken", &program);
    install(a.folder.path(), Path::new(&broken));
    let (fine, said) = steadfast(&a, &["upgrade"]);
    assert!(!fine && said.contains("/steadfastd cannot take over (its rehearsal exited with status 1)"), "{said}");
    // Lines go to the log by a thread of their own.
    a.wait_log("its vrrp process cannot begin (it exited with status 1)", seconds(5));
    assert!(lan.hosts[0].has(VIP) && a.pid_of("vrrp.pid") == vrrp, "{}", a.log());
    // None at all.
    std::fs::remove_file(a.path("steadfastd")).expect("removed");
    let (fine, said) = steadfast(&a, &["upgrade"]);
    assert!(!fine && said.contains("/steadfastd cannot be started"), "{said}");
    let (_, shown) = steadfast(&a, &["status"]);
    assert!(shown.contains("the last upgrade failed") && !shown.contains("shows its faults"), "{shown}");
    // A file that a reload would refuse does not come in by an upgrade, either.
    std::fs::write(a.path("conf"), text.replace("virtual_ipaddress", "virtual_ipadress")).expect("configuration");
    install(a.folder.path(), &steadfastd());
    let (fine, said) = steadfast(&a, &["upgrade"]);
    assert!(!fine && said.contains("the running configuration stays"), "{said}");
    let (_, shown) = steadfast(&a, &["status"]);
    assert!(shown.contains("the last upgrade failed") && shown.contains("shows its faults"), "{shown}");
    assert!(lan.hosts[0].has(VIP) && a.pid_of("vrrp.pid") == vrrp, "{}", a.log());
    assert!(a.log().contains("keeping the running one"), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

/// A VRRP child that rehearses: it is told all of this, and then whoever rehearses it dies, or lives. Its exit status.
fn rehearsal(host: &steadfast_test_cluster::Host, told: Vec<Message>, dies: bool) -> Option<i32> {
    let (theirs, ours) = nix::unistd::pipe2(OFlag::O_DIRECT | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC).expect("pipe");
    let folder = tempfile::tempdir().expect("folder");
    let conf = file(folder.path(), "conf", "");
    let mut command = host.command(steadfastd().to_str().expect("path"));
    command.args(["-n", "-l", "-f", &conf, "--role", "vrrp", "--rehearse", "--descriptors", "0,1", "--epoch", "1"]);
    command.args(["--parent", &std::process::id().to_string()]);
    let mut child = command.stdin(Stdio::from(theirs)).stdout(Stdio::piped()).spawn().expect("steadfastd");
    for message in told {
        let frame = frame(&Envelope { epoch: 1, message }).expect("fits");
        assert_eq!(nix::unistd::write(&ours, &frame), Ok(frame.len()));
    }
    let lives = (!dies).then_some(ours);
    let ended = eventually(seconds(10), || child.try_wait().expect("its end").is_some());
    if !ended {
        child.kill().expect("kill");
    }
    drop(lives);
    child.wait().expect("its end").code()
}

#[test]
fn a_link_that_leads_to_another_program_by_now_names_the_new_one() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let at = folder.path().to_path_buf();
    for version in ["v1", "v2"] {
        std::fs::create_dir(at.join(version)).expect("folder");
        std::fs::copy(steadfastd(), at.join(version).join("steadfastd")).expect("copy");
    }
    let link = |version: &str| {
        std::fs::remove_file(at.join("steadfastd")).expect("former");
        std::os::unix::fs::symlink(at.join(version).join("steadfastd"), at.join("steadfastd")).expect("link");
    };
    link("v1");
    let log = std::fs::File::create(at.join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &conf(200, &at), folder, Stdio::from(log));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    let runs = || std::fs::read_link(format!("/proc/{}/exe", a.pid_of("pid").expect("pid"))).expect("program");
    assert!(runs().ends_with("v1/steadfastd"), "{:?}", runs());
    link("v2");
    let (fine, said) = steadfast(&a, &["upgrade"]);
    assert!(fine && runs().ends_with("v2/steadfastd"), "{said} {:?} {}", runs(), a.log());
    assert!(eventually(seconds(10), || a.log().contains("continuing in MASTER state")), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
}

/// Nobody has died of the verdicts on servers that a new program takes over: its checker's first death costs none of them.
#[test]
fn a_checker_that_is_killed_after_an_upgrade_is_followed_by_one_that_knows_who_is_dead() {
    require!();
    let lan = Lan::new(1);
    let folder = home();
    let text = format!(
        "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n advert_int 0.1\n version 3\n virtual_ipaddress {{\n \
         {VIP}/24\n }}\n track_virtual_server {{\n 10.77.0.9 80\n }}\n}}\n\
         virtual_server 10.77.0.9 80 {{\n delay_loop 60\n warmup 0.1\n lb_kind NAT\n protocol TCP\n real_server 10.77.0.1 9 {{\n weight 1\n \
         TCP_CHECK {{\n connect_timeout 1\n retry 0\n }}\n }}\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, Stdio::from(log));
    let state = || {
        let (_, text) = steadfast(&a, &["status", "--json"]);
        let whole: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        (whole["vrrp"]["instances"][0]["state"].clone(), whole["checker"]["services"][0]["quorum"].clone())
    };
    let bad = || state() == ("FAULT".into(), false.into());
    assert!(eventually(seconds(15), bad), "{:?} {}", state(), a.log());
    install(a.folder.path(), &steadfastd());
    let (fine, said) = steadfast(&a, &["upgrade"]);
    assert!(fine && eventually(seconds(10), bad), "{said} {:?} {}", state(), a.log());
    let mark = a.log().len();
    let checker = a.pid_of("check.pid").expect("pid");
    steadfast_test_cluster::daemon::send(checker, Signal::SIGKILL);
    assert!(eventually(seconds(5), || a.pid_of("check.pid").is_some_and(|p| p != checker)), "{}", a.log());
    // Long enough for it to become master, were it told of a quorum.
    let end = Instant::now() + seconds(4);
    while Instant::now() < end {
        assert!(!lan.hosts[0].has(VIP), "{}", a.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(bad(), "{:?} {}", state(), a.log());
    let since = a.log().split_off(mark);
    assert!(!since.contains("Entering") && !since.contains("without its predecessor's state"), "{since}");
}

/// A new program that reads and rehearses, and dies as soon as it is the daemon; and a daemon that is stopped while the new program reads.
#[test]
fn who_upgrades_is_told_at_once_that_the_daemon_has_ended_instead() {
    require!();
    for (other, words) in [("exit 7", ""), ("exit 7", "sleep 3; ")] {
        let lan = Lan::new(1);
        let folder = home();
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let mut a =
            Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &conf(200, folder.path()), folder, Stdio::from(log));
        assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
        let program = steadfastd().display().to_string();
        let text = format!("#!/bin/sh\ncase \"$*\" in *--role*) {words}exec {program} \"$@\";; esac\n{other}\n");
        let path = file(a.folder.path(), "other", &text);
        Command::new("chmod").args(["0755", &path]).status().expect("chmod");
        install(a.folder.path(), Path::new(&path));
        let mut command = Command::new(steadfastd().with_file_name("steadfast"));
        command.arg("--socket").arg(a.path("pid").with_extension("control")).arg("upgrade").stdin(Stdio::null());
        let child = command.stderr(Stdio::piped()).spawn().expect("steadfast");
        if !words.is_empty() {
            a.wait_log("Upgrading: trying the new program", seconds(10));
            a.signal(Signal::SIGTERM);
        }
        // Not yet taken by who started it, as by a manager that is busy.
        let ended = Instant::now();
        let out = child.wait_with_output().expect("end");
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(1), "{said} {}", a.log());
        assert!(said.contains("the daemon has ended instead"), "{said} {}", a.log());
        assert!(ended.elapsed() < seconds(15), "{:?} {}", ended.elapsed(), a.log());
        a.ended();
    }
}

#[test]
fn a_child_that_cannot_be_started_holds_no_address() {
    require!();
    let lan = Lan::new(2);
    let folder = home();
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let a = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &conf(200, folder.path()), folder, Stdio::from(log));
    assert!(eventually(seconds(10), || lan.hosts[0].has(VIP)), "{}", a.log());
    let mode = |mode: &str| Command::new("chmod").arg(mode).arg(a.path("steadfastd")).status().expect("chmod");
    mode("0644");
    steadfast_test_cluster::daemon::send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    a.wait_log("no VRRP process can be started: its addresses are withdrawn", seconds(20));
    assert!(!lan.hosts[0].has(VIP), "{}", a.log());
    mode("0755");
    assert!(eventually(seconds(15), || lan.hosts[0].has(VIP)), "{}", a.log());
    // A peer may have served for long: it begins by listening, as after any absence.
    assert!(!a.log().contains("continuing in MASTER"), "{}", a.log());
    let past = || steadfast_test_cluster::daemon::ask(&a, &["explain", "VI"]);
    let words =
        ["FAULT   no process could be started; what it held", "BACKUP  no process could be started; it begins anew"];
    assert!(eventually(seconds(10), || words.iter().all(|w| past().contains(w))), "{}", past());
    // The same at a stop.
    mode("0644");
    steadfast_test_cluster::daemon::send(a.pid_of("vrrp.pid").expect("pid"), Signal::SIGKILL);
    assert!(eventually(seconds(5), || a.log().matches("cannot start the VRRP child").count() > 3), "{}", a.log());
    assert_eq!(a.stop(), Some(0));
    assert!(!lan.hosts[0].has(VIP), "{}", lan.hosts[0].show("addr"));
}

#[test]
fn a_rehearsal_leaves_alone_what_it_is_told_of_and_refuses_what_it_cannot_read() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    host.ip("addr add 10.77.0.200/24 dev eth0");
    let object = Object::Address(Address::new("10.77.0.200/24".parse().expect("address"), "eth0"));
    let (key, bytes) = object_key(&object).expect("fits");
    let keep = Message::Keep { key, bytes };
    // What is there is the living daemon's.
    assert_eq!(rehearsal(host, vec![keep.clone()], true), Some(0));
    assert!(host.has("10.77.0.200"), "{}", host.show("addr"));
    let config = || pieces(&encode(&steadfast_config::Config::default()).expect("bytes")).collect::<Vec<_>>();
    assert_eq!(rehearsal(host, [vec![keep], config()].concat(), false), Some(0));
    assert!(host.has("10.77.0.200"), "{}", host.show("addr"));
    let strange = Message::Keep { key: "VI".into(), bytes: vec![255; 40] };
    assert_eq!(rehearsal(host, [vec![strange], config()].concat(), false), Some(1));
}

fn index(host: &steadfast_test_cluster::Host) -> u32 {
    host.show("-o link show eth0").split(':').next().and_then(|n| n.trim().parse().ok()).expect("index")
}
