//! What arrives at /dev/log.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use steadfast_test_cluster::daemon::{file, steadfastd};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

const VIP: &str = "10.77.0.100";
const SOON: Duration = Duration::from_secs(10);

/// A daemon with a /dev of its own, whose log is heard here, in a host.
struct Heard {
    d: Daemon,
    socket: UnixDatagram,
    lines: Vec<String>,
}

impl Heard {
    /// Starts it with some words and without `-l`.
    fn start(host: &Host, text: &str, words: &[(&str, &str)]) -> Heard {
        let folder = tempfile::Builder::new().prefix("steadfast-test").tempdir_in("/run").expect("folder");
        let at = folder.path().display().to_string();
        std::fs::create_dir(folder.path().join("dev")).expect("folder");
        let socket = UnixDatagram::bind(folder.path().join("dev/log")).expect("socket");
        socket.set_nonblocking(true).expect("socket");
        // A folder of devices of its own, and no log on the console.
        let program = format!(
            "#!/bin/sh\nmknod {at}/dev/null c 1 3\nfor word; do\n shift\n [ \"$word\" = -l ] || set -- \"$@\" \"$word\"\ndone\n\
             exec unshare -m --propagation private sh -c 'mount --bind {at}/dev /dev && exec {} \"$@\"' sh \"$@\"\n",
            steadfastd().display()
        );
        let program = file(folder.path(), "steadfastd", &program);
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("mode");
        let log = std::fs::File::create(folder.path().join("log")).expect("log");
        let words: Vec<(String, String)> =
            words.iter().map(|(name, value)| (name.to_string(), value.replace('@', &format!("{at}/")))).collect();
        let words: Vec<(&str, &str)> = words.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let d = Daemon::launch(host, Kind::Steadfast, text, folder, log.into(), &words);
        Heard { d, socket, lines: Vec::new() }
    }

    /// What has come so far.
    fn lines(&mut self) -> &[String] {
        let mut buffer = [0; 8192];
        while let Ok(n) = self.socket.recv(&mut buffer) {
            self.lines.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
        &self.lines
    }
}

fn conf(root: &str) -> String {
    format!(
        "{root}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority 200\n version 3\n advert_int 0.1\n \
         virtual_ipaddress {{\n {VIP}/24\n }}\n}}\n\
         virtual_server {VIP} 80 {{\n delay_loop 1\n real_server 10.77.0.1 80 {{\n TCP_CHECK {{\n connect_timeout 1\n }}\n }}\n}}\n"
    )
}

/// Daemons side by side are told apart by the instance that their files name, and their children by what they are.
#[test]
fn each_process_has_its_name_in_syslog_and_that_of_its_instance() {
    require!();
    let lan = Lan::new(1);
    let mut heard = Heard::start(&lan.hosts[0], &conf("instance left"), &[]);
    let names = ["pid", "vrrp.pid", "check.pid"];
    assert!(eventually(SOON, || names.iter().all(|n| heard.d.pid_of(n).is_some())), "{}", heard.d.log());
    let pid = |name: &str| heard.d.pid_of(name).expect("pid");
    // Facility daemon (3), priorities info (6) and warning (4).
    let words = [
        format!("<30>Keepalived_left[{}]: Startup complete", pid("pid")),
        format!("<30>Keepalived_vrrp_left[{}]: (VI) Entering MASTER STATE", pid("vrrp.pid")),
        format!("<30>Keepalived_healthcheckers_left[{}]: Activating healthchecker", pid("check.pid")),
    ];
    let all = eventually(SOON, || words.iter().all(|w| heard.lines().iter().any(|l| l.starts_with(w.as_str()))));
    assert!(all, "{words:?} of {:#?} {}", heard.lines, heard.d.log());
    assert_eq!(heard.d.stop(), Some(0));
}

/// `-G`, beside a log file that has it all.
#[test]
fn no_process_says_anything_to_syslog_where_that_is_not_wanted() {
    require!();
    let lan = Lan::new(1);
    for word in ["-G", "--no-syslog"] {
        let mut heard = Heard::start(&lan.hosts[0], &conf(""), &[("", word), ("", "--log-file=@own")]);
        let of = |name: &str| std::fs::read_to_string(heard.d.path(name)).unwrap_or_default();
        let all = || {
            of("own").contains("Startup complete")
                && of("own_vrrp").contains("(VI) Entering MASTER STATE")
                && of("own_healthcheckers").contains("Activating healthchecker")
        };
        assert!(eventually(SOON, all), "{}\n{}\n{}", of("own"), of("own_vrrp"), of("own_healthcheckers"));
        assert_eq!(heard.lines(), [""; 0]);
        let Heard { d, .. } = heard;
        assert_eq!(d.stop(), Some(0));
    }
}
