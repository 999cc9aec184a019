//! What a clock that is set costs a client: in a guest, since a host's clock is everybody's.

use std::process::{Child, Command, Stdio};
use steadfast_test_vm::lab::sh;
use steadfast_test_vm::{eventually, seconds};

/// Every test, by name.
pub const TESTS: &[(&str, fn())] = &[("a_clock_that_is_set_costs_no_question", a_clock_that_is_set_costs_no_question)];

const STEPS: [&str; 4] = ["+1 hour", "-1 day", "@1000", "+20 years"];

fn own() -> String {
    std::env::current_exe().expect("own name").display().to_string()
}

fn holds(host: &str) -> bool {
    sh(&format!("ip -n {host} -o addr show")).contains("10.6.0.100/")
}

/// A daemon in one of the two hosts.
struct Router(Child);

impl Router {
    fn start(program: &str, host: &str, priority: u8) -> Router {
        let file = |name: &str| format!("/run/clock-{host}.{name}");
        let conf = format!(
            "vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 1\n \
             virtual_ipaddress {{\n 10.6.0.100/24\n }}\n}}\n"
        );
        std::fs::write(file("conf"), conf).expect("configuration");
        let log = std::fs::File::create(file("log")).expect("log");
        let words = ["netns", "exec", host, program, "-n", "-l", "-D", "-f", &file("conf"), "-p", &file("pid"), "-r"];
        let mut command = Command::new("ip");
        command.args(words).args([&file("vrrp"), "-c", &file("check")]).stdin(Stdio::null());
        Router(command.stdout(log.try_clone().expect("log")).stderr(log).spawn().expect("daemon"))
    }

    fn stop(mut self, host: &str) {
        sh(&format!("kill $(cat /run/clock-{host}.pid) || true"));
        assert!(eventually(seconds(15), || self.0.try_wait().is_ok_and(|s| s.is_some())));
    }
}

/// What the steps cost: questions asked, questions lost, takeovers.
fn cost(program: &str) -> (u32, u32, usize) {
    let (a, b) = (Router::start(program, "ca", 200), Router::start(program, "cb", 100));
    let log = |host: &str| std::fs::read_to_string(format!("/run/clock-{host}.log")).unwrap_or_default();
    assert!(eventually(seconds(20), || holds("ca") && !holds("cb")), "{}", log("ca"));
    let (began, started) = (sh("date +%s"), std::time::Instant::now());
    let taken = || log("cb").matches("Entering MASTER STATE").count();
    let before = taken();
    std::fs::write("/run/clock-asks", "").expect("file");
    let mut client = Command::new("ip");
    client.args(["netns", "exec", "cc", &own(), "knock", "10.6.0.100:9", "/run/clock-asks"]);
    let client = client.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("client");
    for step in STEPS {
        sh(&format!("date -s '{step}'"));
        // Longer than a backup waits.
        std::thread::sleep(seconds(4));
    }
    std::fs::remove_file("/run/clock-asks").expect("file");
    let said = client.wait_with_output().expect("client").stdout;
    sh(&format!("date -s @{}", began.trim().parse::<u64>().unwrap_or(0) + started.elapsed().as_secs()));
    let words = String::from_utf8_lossy(&said).into_owned();
    let mut numbers = words.split_whitespace().filter_map(|w| w.parse().ok());
    let (asked, lost) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(u32::MAX));
    let taken = taken() - before;
    b.stop("cb");
    a.stop("ca");
    (asked, lost, taken)
}

fn a_clock_that_is_set_costs_no_question() {
    sh(
        "set -e; modprobe -a bridge veth; ip link add clock type bridge forward_delay 0; ip link set clock up; n=1; for h in ca cb cc; do \
        ip netns add $h; ip link add v-$h type veth peer name eth0 netns $h; ip link set v-$h master clock up; ip -n $h link set lo up; \
        ip -n $h link set eth0 up; ip -n $h addr add 10.6.0.$n/24 dev eth0; n=$((n + 1)); done",
    );
    for (name, program) in [("steadfast", "/share/steadfastd"), ("keepalived", "/usr/sbin/keepalived")] {
        let (asked, lost, takeovers) = cost(program);
        println!(
            "the clock set four times ({}): {name}: {lost} of {asked} questions lost, {takeovers} takeovers",
            STEPS.join(", ")
        );
        if name == "steadfast" {
            assert!(asked > 100, "{asked}");
            assert_eq!((lost, takeovers), (0, 0));
        }
    }
    sh("for h in ca cb cc; do ip netns del $h; done; ip link del clock");
}
