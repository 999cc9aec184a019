//! Servers as sites have them, behind the balancer.

use crate::ipvs::Test;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use steadfast_test_vm::lab::{Director, Lab, sh, table, wait_table};
use steadfast_test_vm::talk::wall_clock;
use steadfast_test_vm::{eventually, seconds};

/// Every test here, by name.
pub const TESTS: &[(&str, Test)] = &[("nginx_and_haproxy_are_killed", nginx_and_haproxy_are_killed)];

const NGINX: &str = "daemon off;\nmaster_process off;\npid /run/web-rs1.pid;\nerror_log stderr;\nevents { }\nhttp {\n access_log off;\n \
                     server {\n listen 10.2.0.1:8088;\n return 200 \"rs1\\n\";\n }\n}\n";
const HAPROXY: &str = "defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend web\n bind 10.2.0.2:8088\n \
                       http-request return status 200 content-type text/plain string \"rs2\\n\"\n";

/// Ends with the test, also with one that failed.
struct Server(Child);

impl Server {
    fn start(name: &str) -> Server {
        let file = format!("/run/web-{name}.conf");
        let words: &[&str] = match name {
            "rs1" => &["nginx", "-c", &file],
            _ => &["haproxy", "-db", "-f", &file],
        };
        std::fs::write(&file, if name == "rs1" { NGINX } else { HAPROXY }).expect("configuration");
        let mut command = Command::new("ip");
        command.args(["netns", "exec", name]).args(words).stdin(Stdio::null()).stdout(Stdio::null());
        Server(command.spawn().expect("server"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `ip netns exec` has become the program.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client asks without a pause while a server is killed: from the moment that it is out of the table no question fails.
fn nginx_and_haproxy_are_killed(lab: &mut Lab) {
    if sh("command -v nginx haproxy || true").lines().count() < 2 {
        println!("SKIPPED: nginx and haproxy behind the balancer: the guest has none");
        return;
    }
    sh("ip addr add 10.1.0.100/32 dev br-c");
    let real = |n: u32| {
        format!(
            " real_server 10.2.0.{n} 8088 {{\n weight 1\n HTTP_GET {{\n url {{\n path /\n status_code 200\n regex \"^rs{n}$\"\n regex_options \
             multiline\n }}\n connect_timeout 2\n retry 1\n delay_before_retry 0.2\n }}\n }}\n"
        )
    };
    let text = format!(
        "virtual_server 10.1.0.100 80 {{\n delay_loop 1\n warmup 0.1\n alpha\n lb_algo rr\n lb_kind NAT\n protocol TCP\n{}{}}}\n",
        real(1),
        real(2)
    );
    let mut servers = [Some(Server::start("rs1")), Some(Server::start("rs2"))];
    let d = Director::start(None, &text, &[]);
    ["10.2.0.1:8088", "10.2.0.2:8088"].iter().for_each(|s| wait_table(s, true));
    // A port from which the dead server was asked is not used again: the kernel goes on sending its packets there, whatever the table says,
    // unless net.ipv4.vs.expire_nodest_conn is set.
    let ports = |first: u32| {
        let range = format!("echo {first} {} > /proc/sys/net/ipv4/ip_local_port_range", first + 9999);
        sh(&format!("ip netns exec client sh -c '{range}'"));
    };
    for dead in [0, 1] {
        ports(10_000 + 20_000 * dead as u32);
        let there = "/run/pour";
        let mut client = lab.pour("client", "10.1.0.100:80", there);
        let mut answers = client.stdout.take().expect("pipe");
        let reader = std::thread::spawn(move || {
            let mut text = String::new();
            answers.read_to_string(&mut text).map(|_| text)
        });
        std::thread::sleep(seconds(1));
        let killed = wall_clock();
        servers[dead] = None;
        let address = format!("10.2.0.{}:8088", dead + 1);
        wait_table(&address, false);
        ports(20_000 + 20_000 * dead as u32);
        let gone = wall_clock();
        std::thread::sleep(seconds(1));
        std::fs::remove_file(there).expect("file");
        client.wait().expect("client");
        let text = reader.join().expect("reader").expect("answers");
        let all: Vec<(u128, &str)> = text
            .lines()
            .filter_map(|l| l.split_once(' '))
            .filter_map(|(t, who)| Some((t.parse().ok()?, who)))
            .collect();
        let count = |from: u128, to: u128, who: &str| {
            all.iter().filter(|(t, w)| (from..to).contains(t) && (who.is_empty() || *w == who)).count()
        };
        let (one, other) = if dead == 0 { ("rs1", "rs2") } else { ("rs2", "rs1") };
        println!(
            "{one} killed: out of the table after {} ms; {} questions before, {} of {} unanswered until then, {} after, none unanswered",
            gone - killed,
            count(0, killed, ""),
            count(killed, gone, "nobody"),
            count(killed, gone, ""),
            count(gone, u128::MAX, "")
        );
        // Both served before, the other one alone afterwards.
        assert!(count(0, killed, one) > 5 && count(0, killed, other) > 5, "{text}");
        // The client asks one question at a time: the last one that began before may have been on its way when the server died.
        let before: Vec<&str> = all.iter().filter(|(t, _)| *t < killed).map(|(_, who)| *who).collect();
        let answered = before.iter().rev().skip(1).filter(|who| **who != "nobody").count();
        assert_eq!(answered + 1, before.len(), "{text}");
        assert!(count(gone, u128::MAX, "") > 10, "{text}");
        assert_eq!(count(gone, u128::MAX, other), count(gone, u128::MAX, ""), "{text}\n{}", d.log());
        servers[dead] = Some(Server::start(one));
        wait_table(&address, true);
        let both = || lab.ask("client", "10.1.0.100:80", 2) == "rs1=1 rs2=1";
        assert!(eventually(seconds(3), both), "{}", d.log());
    }
    d.stop();
    assert_eq!(table(), "");
    sh("ip addr del 10.1.0.100/32 dev br-c");
}
