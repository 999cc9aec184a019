//! What the two children tell each other, and the checks that only steadfast has.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::{file, send};
use steadfast_test_cluster::{Daemon, Host, Kind, Lan, eventually, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A program on a host, ended with the test.
struct Program(Child);

impl Program {
    fn start(host: &Host, program: &str, arguments: &[&str], folder: &Path) -> Program {
        let log = std::fs::File::create(folder.join("program.log")).expect("log");
        let mut command = host.command(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("log")).stderr(log);
        Program(command.spawn().expect("program"))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A web server that answers while the file `well` is there.
const WEB: &str = r#"
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if os.path.exists("well") else 503)
        self.end_headers()
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 80), Handler).serve_forever()
"#;

/// A master whose address goes with a virtual server, and one whose priority does.
fn tracking(priority: u8) -> String {
    let service = |port: u16| {
        format!(
            "virtual_server 10.77.0.100 {port} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n \
             real_server 10.77.0.3 80 {{\n HTTP_GET {{\n url {{\n path /\n status_code 200\n }}\n connect_timeout 1\n retry 0\n }}\n }}\n}}\n"
        )
    };
    format!(
        "{}vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n priority {priority}\n advert_int 0.2\n version 3\n \
         virtual_ipaddress {{\n 10.77.0.100/24\n }}\n track_virtual_server {{\n 10.77.0.100 80\n }}\n}}\n",
        service(80)
    )
}

#[test]
fn an_address_goes_with_its_virtual_server_and_comes_back_with_it() {
    require!();
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    file(folder.path(), "well", "");
    let program = file(folder.path(), "web.py", WEB);
    let web = Program::start(&lan.hosts[2], "python3", &[&program], folder.path());
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &tracking(200));
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", d.log());
    // The checker finds the service gone, and tells its brother to give the address up.
    drop(web);
    assert!(eventually(seconds(10), || !lan.hosts[0].has("10.77.0.100")), "{}", d.log());
    d.wait_log("Entering FAULT STATE", seconds(1));
    d.wait_log("virtual server 10.77.0.100 80 has no quorum", seconds(1));
    // A VRRP child that is started anew asks its brother, and does not take the address first.
    let pid = d.pid_of("vrrp.pid").expect("pid");
    let backups = || d.log().matches("Entering BACKUP STATE").count();
    let before = backups();
    send(pid, nix::sys::signal::Signal::SIGKILL);
    assert!(eventually(seconds(5), || d.pid_of("vrrp.pid").is_some_and(|p| p != pid)));
    std::thread::sleep(seconds(2));
    assert!(!lan.hosts[0].has("10.77.0.100"), "{}", d.log());
    assert_eq!(backups(), before, "it goes on in FAULT: {}", d.log());
    let _web = Program::start(&lan.hosts[2], "python3", &[&program], folder.path());
    assert!(eventually(seconds(10), || lan.hosts[0].has("10.77.0.100")), "{}", d.log());
    // A reload that stops the tracking, and one that begins it again while the service is gone.
    let untracked = tracking(200).replace("track_virtual_server {\n 10.77.0.100 80\n }\n", "");
    d.reload(&untracked);
    d.wait_log("Reload complete", seconds(5));
    drop(_web);
    d.wait_log("Lost quorum 1-0=1 > 0 for VS [10.77.0.100]:tcp:80", seconds(10));
    std::thread::sleep(seconds(1));
    assert!(lan.hosts[0].has("10.77.0.100"), "{}", d.log());
    d.reload(&tracking(200));
    assert!(eventually(seconds(5), || !lan.hosts[0].has("10.77.0.100")), "{}", d.log());
    assert_eq!(d.stop(), Some(0));
}

/// The service's address is the instance's own: with the quorum it goes from both, and the checks that bring it back do not rest then.
#[test]
fn an_address_that_went_with_its_service_comes_back_where_checks_rest_without_it() {
    require!();
    for words in ["ha_suspend", "ha_suspend VI"] {
        let lan = Lan::new(3);
        let folder = tempfile::tempdir().expect("folder");
        file(folder.path(), "well", "");
        let program = file(folder.path(), "web.py", WEB);
        let web = Program::start(&lan.hosts[2], "python3", &[&program], folder.path());
        let text = |n| tracking(n).replacen("protocol TCP\n", &format!("protocol TCP\n {words}\n"), 1);
        let both =
            [200, 100].map(|n| Daemon::start(&lan.hosts[if n == 200 { 0 } else { 1 }], Kind::Steadfast, &text(n)));
        let there = || [0, 1].map(|n| lan.hosts[n].has("10.77.0.100"));
        let logs = || both.iter().map(Daemon::log).collect::<String>();
        assert!(eventually(seconds(10), || there() == [true, false]), "{}", logs());
        drop(web);
        assert!(
            eventually(seconds(20), || both.iter().all(|d| d.log().contains("Entering FAULT STATE"))),
            "{}",
            logs()
        );
        assert!(eventually(seconds(10), || there() == [false, false]), "{}", logs());
        let _web = Program::start(&lan.hosts[2], "python3", &[&program], folder.path());
        assert!(eventually(seconds(20), || there() == [true, false]), "{words}: {}", logs());
        both.into_iter().for_each(|d| assert_eq!(d.stop(), Some(0)));
    }
}

#[test]
fn checks_of_a_backup_rest_where_that_is_wanted() {
    require!();
    let lan = Lan::new(3);
    let folder = tempfile::tempdir().expect("folder");
    file(folder.path(), "well", "");
    let program = file(folder.path(), "web.py", WEB);
    let _web = Program::start(&lan.hosts[2], "python3", &[&program], folder.path());
    let text = |priority| {
        let text = tracking(priority).replace("track_virtual_server {\n 10.77.0.100 80\n }\n", "");
        text.replacen("protocol TCP\n", "protocol TCP\n ha_suspend VI\n", 1)
    };
    let master = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text(200));
    let backup = Daemon::start(&lan.hosts[1], Kind::Steadfast, &text(100));
    master.wait_log("Activating healthchecker for service [10.77.0.3]:tcp:80", seconds(10));
    backup.wait_log("Startup complete", seconds(10));
    std::thread::sleep(seconds(2));
    assert!(!backup.log().contains("Activating healthchecker"), "{}", backup.log());
    assert_eq!(master.stop(), Some(0));
    backup.wait_log("Activating healthchecker for service [10.77.0.3]:tcp:80", seconds(10));
    assert_eq!(backup.stop(), Some(0));
}

/// A router beside the virtual servers, by whose pid file the daemon is known to run.
const BESIDE: &str =
    "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 52\n virtual_ipaddress {\n 10.77.0.101/24\n }\n}\n";

/// The health service of a gRPC server, and a switch: the file `well`.
const GRPC: &str = r#"
import grpc, os
from concurrent import futures
def check(request, context):
    if request not in (b"", b"\x0a\x04shop"):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
    return b"\x08\x01" if os.path.exists("well") else b"\x08\x02"
same = lambda b: b
method = grpc.unary_unary_rpc_method_handler(check, request_deserializer=same, response_serializer=same)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method}),))
server.add_insecure_port("0.0.0.0:50051")
server.start()
server.wait_for_termination()
"#;

#[test]
fn a_real_grpc_server_is_asked_for_its_health() {
    require!();
    if !std::process::Command::new("/usr/bin/python3")
        .args(["-c", "import grpc"])
        .output()
        .is_ok_and(|o| o.status.success())
    {
        println!("SKIPPED: gRPC health: python3-grpcio is not installed");
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    file(folder.path(), "well", "");
    let program = file(folder.path(), "server.py", GRPC);
    let _server = Program::start(&lan.hosts[1], "/usr/bin/python3", &[&program], folder.path());
    let real = |service: &str| {
        format!(
            "virtual_server 10.77.0.100 {} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n \
             real_server 10.77.0.2 50051 {{\n GRPC_CHECK {{\n service {service}\n log_all_failures\n retry 0\n connect_timeout 2\n }}\n }}\n}}\n",
            if service == "shop" { 81 } else { 82 }
        )
    };
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("{}{}{BESIDE}", real("shop"), real("bank")));
    d.wait_log("GRPC_CHECK on service [10.77.0.2]:tcp:50051 succeeded", seconds(15));
    d.wait_log("gRPC status 5", seconds(5));
    std::fs::remove_file(folder.path().join("well")).expect("file");
    d.wait_log("health service says NOT_SERVING", seconds(5));
    assert_eq!(d.stop(), Some(0));
}

/// nginx speaks HTTP/2 without TLS to who knows it before.
const NGINX: &str = "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n access_log off;\n \
    server {\n listen 80 http2;\n location / {\n return 200 \"hello by $server_protocol\\n\";\n }\n location /bad {\n return 500;\n }\n }\n}\n";

#[test]
fn pages_are_asked_for_by_http2() {
    require!();
    if !Path::new("/usr/sbin/nginx").exists() {
        println!("SKIPPED: HTTP/2: nginx is not installed");
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path().display().to_string();
    let conf = file(folder.path(), "nginx.conf", NGINX);
    let _server = Program::start(&lan.hosts[1], "/usr/sbin/nginx", &["-p", &at, "-c", &conf], folder.path());
    let text = |path: &str| {
        format!(
            "virtual_server 10.77.0.100 80 {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n \
             real_server 10.77.0.2 80 {{\n HTTP_GET {{\n http2\n url {{\n path {path}\n status_code 200\n \
             regex \"by HTTP/2\"\n }}\n retry 0\n connect_timeout 2\n }}\n }}\n}}\n{BESIDE}"
        )
    };
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text("/"));
    d.wait_log("succeed on service", seconds(15));
    d.reload(&text("/bad"));
    d.wait_log("HTTP status code 500", seconds(10));
    assert_eq!(d.stop(), Some(0));
}
