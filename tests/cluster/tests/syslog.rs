//! What arrives at /dev/log.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use steadfast_test_cluster::daemon::{file, steadfastd};
use steadfast_test_cluster::{Daemon, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";

/// Daemons side by side are told apart by the instance that their files name, and their children by what they are.
#[test]
fn each_process_has_its_name_in_syslog_and_that_of_its_instance() {
    require!();
    let lan = Lan::new(1);
    let folder = tempfile::Builder::new().prefix("steadfast-test").tempdir_in("/run").expect("folder");
    let at = folder.path().display().to_string();
    std::fs::create_dir(folder.path().join("dev")).expect("folder");
    let socket = UnixDatagram::bind(folder.path().join("dev/log")).expect("socket");
    socket.set_nonblocking(true).expect("socket");
    // A folder of devices of its own, and no log on the console.
    let text = format!(
        "#!/bin/sh\nmknod {at}/dev/null c 1 3\nfor word; do\n shift\n [ \"$word\" = -l ] || set -- \"$@\" \"$word\"\ndone\n\
         exec unshare -m --propagation private sh -c 'mount --bind {at}/dev /dev && exec {} \"$@\"' sh \"$@\"\n",
        steadfastd().display()
    );
    let program = file(folder.path(), "steadfastd", &text);
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
    let text = format!(
        "instance left\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n version 3\n advert_int 0.1\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 1\n real_server 10.77.0.1 80 {{\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n}}\n"
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("log");
    let d = Daemon::start_in(&lan.hosts[0], Kind::Steadfast, &text, folder, log.into());
    let mut lines: Vec<String> = Vec::new();
    let mut hear = |words: &[String]| {
        let all = eventually(Duration::from_secs(10), || {
            let mut buffer = [0; 8192];
            while let Ok(n) = socket.recv(&mut buffer) {
                lines.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
            }
            words.iter().all(|w| lines.iter().any(|l| l.starts_with(w.as_str())))
        });
        assert!(all, "{words:?} of {lines:#?} {}", d.log());
    };
    let pid = |name: &str| d.pid_of(name).expect("pid");
    // Facility daemon (3), priorities info (6) and warning (4).
    hear(&[
        format!("<30>Keepalived_left[{}]: Startup complete", pid("pid")),
        format!("<30>Keepalived_vrrp_left[{}]: (VI) Entering MASTER STATE", pid("vrrp.pid")),
        format!("<30>Keepalived_healthcheckers_left[{}]: Activating healthchecker", pid("check.pid")),
    ]);
    assert_eq!(d.stop(), Some(0));
}
