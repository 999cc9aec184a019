//! What was read, as one text, to a descriptor that the caller gives.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::{Ended, file, run, send, steadfastd};
use steadfast_test_cluster::{Lan, eventually, require};

const SOON: Duration = Duration::from_secs(10);
const MAIN: &str = "$LINK=eth0\ninclude more.conf\n@me vrrp_instance MINE {\n@^me vrrp_instance OTHER {\n interface $LINK\n \
                    virtual_router_id 51\n priority 255 # owner\n virtual_ipaddress {\n ~SEQ(n, 100, 102) 10.77.0.${n}/24\n }\n}\n";
const MORE: &str = "global_defs {\n router_id \"a # b\"\n}\n";
const TEXT: &str = "global_defs {\n  router_id \"a # b\"\n}\nvrrp_instance MINE {\n  interface eth0\n  virtual_router_id 51\n  priority 255\n  \
                    virtual_ipaddress {\n    10.77.0.100/24\n    10.77.0.101/24\n    10.77.0.102/24\n  }\n}\n";

/// Our daemon, whose descriptor 3 the test reads.
fn shell(arguments: &str) -> String {
    format!("exec {} --config-fd=3 {arguments} 3>&1 >/dev/null", steadfastd().display())
}

#[test]
fn a_test_writes_what_it_read_to_the_descriptor_that_is_given() {
    let folder = tempfile::tempdir().expect("folder");
    let main = file(folder.path(), "main.conf", MAIN);
    file(folder.path(), "more.conf", MORE);
    let out = Command::new("sh").args(["-c", &shell(&format!("-t -i me -f {main}"))]).output().expect("run");
    assert_eq!(String::from_utf8_lossy(&out.stdout), TEXT);
    let (status, _, said) = run(&["-t", "-f", &main, "--config-fd=77"]);
    assert!(status == Some(1) && said == "--config-fd=77: Bad file descriptor\n", "{status:?} {said}");
    assert_eq!(run(&["-t", "-f", &main, "--config-fd=x"]).0, Some(1));
}

#[test]
fn a_daemon_writes_what_it_read_at_its_start_and_no_more() {
    require!();
    let lan = Lan::new(1);
    let host = &lan.hosts[0];
    let folder = tempfile::tempdir().expect("folder");
    let main = file(folder.path(), "main.conf", MAIN);
    file(folder.path(), "more.conf", MORE);
    let pids = ["pid", "vrrp.pid"].map(|f| folder.path().join(f));
    let arguments = format!("-n -l -i me -f {main} -p {} -r {}", pids[0].display(), pids[1].display());
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let mut command = host.command("sh");
    command.args(["-c", &shell(&arguments)]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut child = Ended(command.spawn().expect("start"));
    // Its end comes while the daemon goes on.
    let mut out = child.0.stdout.take().expect("stdout");
    let (tell, hear) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let _ = out.read_to_string(&mut text);
        tell.send(text)
    });
    let text = hear.recv_timeout(SOON);
    assert!(eventually(SOON, || host.has("10.77.0.102")));
    let pid = std::fs::read_to_string(&pids[0]).expect("pid").trim().parse().expect("number");
    // Nobody reads any more, and nothing is written.
    std::fs::write(folder.path().join("more.conf"), MORE.replace("a #", "c #")).expect("file");
    send(pid, nix::sys::signal::Signal::SIGHUP);
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
    assert!(eventually(SOON, || log().contains("Reload complete")), "{}", log());
    assert!(!log().contains("config-fd:"), "{}", log());
    send(pid, nix::sys::signal::Signal::SIGTERM);
    assert_eq!(child.0.wait().expect("end").code(), Some(0));
    assert_eq!(text.as_deref(), Ok(TEXT));
}
