//! Checks over TLS, with nginx or a gRPC server: which name is sent, which one is proven and by whom, and who the checker says that it is.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use steadfast_test_cluster::daemon::file;
use steadfast_test_cluster::{Daemon, Kind, Lan, require};

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(folder: &Path, words: &str) {
    let out = Command::new("openssl").args(words.split(' ')).current_dir(folder).output().expect("openssl");
    assert!(out.status.success(), "{words}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Two authorities; of the first one certificates for two servers and for the checker, whose key is locked.
fn certificates(folder: &Path) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    for authority in ["right", "other"] {
        openssl(folder, &format!("req -x509 {key} -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"));
    }
    for name in ["web.example", "inner.example", "checker"] {
        file(folder, "names", &format!("subjectAltName=DNS:{name}\n"));
        openssl(folder, &format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
        let signed = "-CA right.pem -CAkey right.key -CAcreateserial -days 2 -extfile names";
        openssl(folder, &format!("x509 -req -in {name}.csr {signed} -out {name}.pem"));
    }
    openssl(folder, "ec -in checker.key -out older.key -aes256 -passout pass:sesame");
    openssl(folder, "pkcs8 -topk8 -in checker.key -out locked.key -v2 aes256 -passout pass:sesame");
}

/// Says what it has heard. On port 444 it asks who is there.
const NGINX: &str = r#"
daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http {
    access_log off;
    ssl_client_certificate right.pem;
    ssl_certificate web.example.pem;
    ssl_certificate_key web.example.key;
    server {
        listen 443 ssl http2;
        location / { return 200 "sni=$ssl_server_name protocol=$server_protocol\n"; }
    }
    server {
        listen 443 ssl http2;
        server_name front.example;
        ssl_certificate inner.example.pem;
        ssl_certificate_key inner.example.key;
    }
    server {
        listen 444 ssl;
        ssl_verify_client on;
        location / { return 200 "client=$ssl_client_s_dn\n"; }
    }
}
"#;

/// A check, and what comes of it: with `UP` it succeeds, else the log has this reason.
type Case = (u16, &'static str, &'static str, &'static str);
const UP: &str = "";

fn outcome(lan: &Lan, ssl: &str, cases: &[Case]) {
    let services = cases.iter().enumerate().map(|(n, (port, words, regex, _))| {
        format!(
            "virtual_server 10.77.0.100 {} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n \
             real_server 10.77.0.2 {port} {{\n SSL_GET {{\n {words}\n url {{\n path /\n status_code 200\n regex \"{regex}\"\n }}\n \
             connect_timeout 5\n retry 0\n log_all_failures\n }}\n }}\n}}\n",
            8000 + n
        )
    });
    let vrrp = "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 51\n priority 200\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";
    let text = format!("SSL {{\n{ssl}}}\n{}{vrrp}", services.collect::<String>());
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    for (n, (_, words, _, why)) in cases.iter().enumerate() {
        let up = format!("for VS [10.77.0.100]:tcp:{}", 8000 + n);
        let gained = |log: &str| log.lines().any(|l| l.contains("Gained quorum") && l.ends_with(&up));
        if *why == UP {
            let came = steadfast_test_cluster::eventually(seconds(15), || gained(&d.log()));
            assert!(came, "{words}: {}", d.log());
        } else {
            // The reading has said it of the files, too.
            let failed = |l: &str| l.contains(why) && !l.contains(": checks that need it will fail");
            let came = steadfast_test_cluster::eventually(seconds(15), || d.log().lines().any(failed));
            assert!(came, "{why}: {}", d.log());
            assert!(!gained(&d.log()), "{words}: {}", d.log());
        }
    }
    let unverified = cases.iter().any(|c| !c.1.contains("tls_verify"));
    let told = d.log().matches("certificates of servers are not verified").count();
    assert_eq!(told, usize::from(unverified), "once, where it is so: {}", d.log());
    assert_eq!(d.stop(), Some(0));
}

fn installed() -> bool {
    let both = Path::new("/usr/sbin/nginx").exists() && Command::new("openssl").arg("version").output().is_ok();
    if !both {
        println!("SKIPPED: TLS by nginx: nginx or openssl is not installed");
    }
    both
}

/// The server, on the second host.
fn nginx(lan: &Lan, folder: &Path, conf: &str) -> Program {
    certificates(folder);
    let conf = file(folder, "nginx.conf", conf);
    let mut server = lan.hosts[1].command("/usr/sbin/nginx");
    let log = std::fs::File::create(folder.join("program.log")).expect("log");
    server.args(["-p", &folder.display().to_string(), "-c", &conf]).stdin(Stdio::null());
    Program(server.stdout(Stdio::null()).stderr(log).spawn().expect("nginx"))
}

#[test]
fn names_authorities_and_who_asks() {
    require!();
    if !installed() {
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    let _server = nginx(&lan, at, NGINX);
    let ssl = |ca: &str, key: &str| {
        let own = format!(" certificate {0}/checker.pem\n key {0}/{key}.key\n", at.display());
        format!(" ca {}/{ca}.pem\n{}", at.display(), if key.is_empty() { "" } else { &own })
    };
    let front = "sni_name front.example\n tls_verify";
    outcome(
        &lan,
        &format!("{} password sesame\n", ssl("right", "locked")),
        &[
            // What is sent is one thing, what must be proven another.
            (443, "sni_name front.example\n tls_verify\n tls_name inner.example", "^sni=front.example ", UP),
            (443, front, "sni", "it is not for front.example, but for inner.example"),
            (
                443,
                "sni_name web.example\n tls_verify\n tls_name inner.example",
                "",
                "not for inner.example, but for web",
            ),
            // A name to be proven is sent where there is no other.
            (443, "tls_verify\n tls_name web.example", "^sni=web.example protocol=HTTP/1", UP),
            (443, "tls_verify\n tls_name web.example\n http2", "protocol=HTTP/2", UP),
            // The server hears who asks.
            (444, "", "client=CN *= *checker", UP),
        ],
    );
    outcome(
        &lan,
        &ssl("other", ""),
        &[
            (443, "tls_verify\n tls_name web.example", "", "no authority of the ca file has issued it"),
            (443, "", "sni=", UP),
            (444, "", "", "HTTP status code 400"),
        ],
    );
    // Without its password a key is no key, which no check outlives.
    outcome(
        &lan,
        &format!("{} password wrong\n", ssl("right", "locked")),
        &[(443, "", "", "password does not open the key")],
    );
    // Nor is another's, or one in OpenSSL's older form.
    outcome(&lan, &ssl("right", "inner.example"), &[(443, "", "", "is not the key of the certificate")]);
    outcome(&lan, &format!("{} password sesame\n", ssl("right", "older")), &[(443, "", "", "must be in PKCS #8 form")]);
}

/// Servers of older or rarer TLS, each with its port, key, and what it takes: what is offered fits them, or what is said of them.
const OLDER: [(u16, &str, &str, &str); 21] = [
    (4430, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-SHA;", UP),
    (4431, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES256-SHA;", UP),
    (4432, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES128-SHA256;", UP),
    (4433, "p256", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA;", UP),
    (4434, "p256", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES256-SHA;", UP),
    (4435, "p256", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES128-SHA256;", UP),
    // Windows Server 2012 R2 with a key of RSA, in its order.
    (
        4436,
        "rsa",
        "ssl_protocols TLSv1.2; ssl_prefer_server_ciphers on; ssl_ciphers ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256:\
         ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA:DHE-RSA-AES256-GCM-SHA384:AES256-GCM-SHA384:AES256-SHA;",
        UP,
    ),
    (4437, "p521", "ssl_protocols TLSv1.3;", UP),
    (4438, "ed448", "ssl_protocols TLSv1.3;", UP),
    (4439, "pss", "ssl_protocols TLSv1.3;", UP),
    (4440, "p521", "ssl_protocols TLSv1.2;", NOTHING_FITS),
    (
        4441,
        "rsa",
        "ssl_protocols TLSv1.2; ssl_ciphers DEFAULT@SECLEVEL=0; ssl_conf_command SignatureAlgorithms RSA+SHA1;",
        UP,
    ),
    (4442, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers AES128-GCM-SHA256;", NOTHING_FITS),
    (4443, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers DHE-RSA-AES256-GCM-SHA384;", NOTHING_FITS),
    (4444, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-AES256-SHA384;", NOTHING_FITS),
    (4445, "rsa", "ssl_conf_command Groups P-521;", NOTHING_FITS),
    (
        4446,
        "rsa",
        "ssl_protocols TLSv1.1; ssl_ciphers DEFAULT@SECLEVEL=0;",
        "the server speaks neither TLS 1.3 nor 1.2",
    ),
    (4447, "rsa", "ssl_protocols TLSv1.2; ssl_ciphers ECDHE-RSA-CHACHA20-POLY1305;", UP),
    (4449, "pss", "ssl_protocols TLSv1.2;", "only with TLS 1.3"),
    (4450, "ed448", "ssl_protocols TLSv1.2;", "only with TLS 1.3"),
    (4448, "ed25519", "ssl_protocols TLSv1.3;", UP),
];
const NOTHING_FITS: &str = "the server takes no cipher, key exchange or group that is offered";

#[test]
fn servers_of_older_or_rarer_tls_are_served() {
    require!();
    if !installed() {
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    let kinds = [
        ("rsa", "rsa:2048"),
        ("pss", "rsa-pss"),
        ("p256", "ec -pkeyopt ec_paramgen_curve:P-256"),
        ("p521", "ec -pkeyopt ec_paramgen_curve:P-521"),
        ("ed25519", "ed25519"),
        ("ed448", "ed448"),
    ];
    for (name, kind) in kinds {
        openssl(
            at,
            &format!(
                "req -x509 -newkey {kind} -nodes -days 2 -subj /CN=web.example -keyout {name}.key -out {name}.crt"
            ),
        );
    }
    // A page of several records.
    std::fs::create_dir_all(at.join("pages")).expect("folder");
    file(&at.join("pages"), "index.html", &format!("{}the end", "0123456789abcdef\n".repeat(4000)));
    let servers = OLDER.map(|(port, key, takes, _)| {
        format!("server {{\n listen {port} ssl;\n ssl_certificate {key}.crt;\n ssl_certificate_key {key}.key;\n {takes}\n root pages;\n}}\n")
    });
    let head = "user root;\ndaemon off; master_process off; pid nginx.pid; error_log stderr; events {}\n";
    let _server = nginx(&lan, at, &format!("{head}http {{\n access_log off;\n{}}}\n", servers.concat()));
    let cases = OLDER.map(|(port, _, _, why)| (port, "", "the end$", why));
    outcome(&lan, "", &cases);
}

/// Who looks at a file before it is used hears of its certificates, and its exit status is as if nothing were.
#[test]
fn files_of_certificates_are_looked_at_before_a_check_needs_them() {
    if !installed() {
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    certificates(at);
    // As `openssl req` writes it.
    openssl(at, "pkcs8 -topk8 -in checker.key -out older3.key -v2 des3 -v2prf hmacWithSHA1 -passout pass:sesame");
    file(at, "text", "no certificate\n");
    file(at, "cut", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    file(at, "bad64", "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n");
    file(at, "empty", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let place = |words: &str| words.replace('@', &format!("{}/", at.display()));
    let client = |key: &str| format!("certificate @checker.pem\n key @{key}");
    let cases = [
        ("ca @right.pem".to_string(), None),
        (client("checker.key"), None),
        (client("locked.key\n password sesame"), None),
        (client("older3.key\n password sesame"), None),
        ("ca @none".into(), Some(("@none: No such file or directory", "2:5"))),
        ("ca @text".into(), Some(("@text: no certificate in PEM form is in it", "2:5"))),
        ("ca @cut".into(), Some(("@cut: a line of END is missing", "2:5"))),
        ("ca @bad64".into(), Some(("@bad64: what is between BEGIN and END is no base64", "2:5"))),
        ("ca @empty".into(), Some(("@empty: a certificate in it cannot be read", "2:5"))),
        (client("locked.key\n password wrong"), Some(("@locked.key: the password does not open the key", "3:6"))),
        (client("locked.key"), Some(("@locked.key: the key is encrypted, and no password is given", "3:6"))),
        (client("older.key\n password sesame"), Some(("@older.key: an encrypted key must be in PKCS #8 form", "3:6"))),
        (
            client("inner.example.key"),
            Some(("@inner.example.key is not the key of the certificate @checker.pem", "3:6")),
        ),
        (client("right.pem"), Some(("@right.pem: no private key in PEM form is in it", "3:6"))),
        ("certificate @text\n key @checker.key".into(), Some(("@text: no certificate in PEM form", "2:14"))),
    ];
    let daemon = steadfast_test_cluster::daemon::steadfastd();
    for (words, told) in cases {
        let conf = file(at, "conf", &format!("SSL {{\n {}\n}}\n", place(&words)));
        for (program, options) in
            [(daemon.clone(), ["-t", "-f"].as_slice()), (daemon.with_file_name("steadfast"), &["check"])]
        {
            let out = Command::new(&program).args(options).arg(&conf).output().expect("program");
            let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
            assert_eq!(out.status.code(), Some(0), "{words}: {said}");
            match told {
                None => assert!(!said.contains("SSL"), "{words}: {said}"),
                Some((why, spot)) => {
                    assert!(said.contains(&format!("note: SSL: {}", place(why))), "{words}: {said}");
                    assert!(said.contains(&format!("conf:{spot}")), "{words}: {said}");
                }
            }
        }
    }
}

/// A health service with TLS, which says on which port it was asked for which name. From port 50060 on it asks who is there.
const GRPC: &str = r#"
import grpc
from concurrent import futures
read = lambda name: open(name, "rb").read()
def check(request, context):
    host = context._rpc_event.call_details.host.decode()
    print("asked for", host, flush=True)
    return b"\x08\x01"
same = lambda b: b
method = grpc.unary_unary_rpc_method_handler(check, request_deserializer=same, response_serializer=same)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": method}),))
own = [(read("web.example.key"), read("web.example.pem"))]
for port in range(50050, 50070):
    asks = port >= 50060
    server.add_secure_port("0.0.0.0:%d" % port, grpc.ssl_server_credentials(own, read("right.pem") if asks else None, asks))
server.start()
print("ready", flush=True)
server.wait_for_termination()
"#;

/// A gRPC check, by the last figures of its port and its words, and what comes of it.
fn health(lan: &Lan, ssl: &str, cases: &[(u16, &str, &str)]) {
    let services = cases.iter().map(|(n, words, _)| {
        format!(
            "virtual_server 10.77.0.100 80{n} {{\n delay_loop 1\n warmup 0.1\n lb_algo rr\n lb_kind NAT\n protocol TCP\n alpha\n \
             real_server 10.77.0.2 500{n} {{\n GRPC_CHECK {{\n {words}\n connect_timeout 5\n retry 0\n log_all_failures\n }}\n }}\n}}\n"
        )
    });
    let vrrp = "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";
    let text = format!("SSL {{\n{ssl}}}\n{}{vrrp}", services.collect::<String>());
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &text);
    for (n, words, why) in cases {
        let said = |outcome: &str, why: &str| {
            let head = format!("GRPC_CHECK on service [10.77.0.2]:tcp:500{n} {outcome}");
            d.log().lines().any(|l| l.split_once(&head).is_some_and(|(_, rest)| rest.to_lowercase().starts_with(why)))
        };
        let up = *why == UP;
        let came = || if up { said("succeeded", "") } else { said("failed: ", why) };
        assert!(steadfast_test_cluster::eventually(seconds(15), came), "{n} {words}: {why}: {}", d.log());
        assert!(!said(if up { "failed" } else { "succeeded" }, ""), "{n} {words}: {}", d.log());
    }
    assert_eq!(d.stop(), Some(0));
}

#[test]
fn a_real_grpc_server_with_tls_is_asked_for_its_health() {
    require!();
    let there =
        |program: &str, words: &[&str]| Command::new(program).args(words).output().is_ok_and(|o| o.status.success());
    if !there("openssl", &["version"]) || !there("/usr/bin/python3", &["-c", "import grpc"]) {
        println!("SKIPPED: gRPC health over TLS: python3-grpcio or openssl is not installed");
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    certificates(at);
    let program = file(at, "server.py", GRPC);
    let log = std::fs::File::create(at.join("program.log")).expect("log");
    let mut server = lan.hosts[1].command("/usr/bin/python3");
    server.arg(program).current_dir(at).stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
    let _server = Program(server.spawn().expect("python3"));
    let heard = || std::fs::read_to_string(at.join("program.log")).unwrap_or_default();
    assert!(steadfast_test_cluster::eventually(seconds(20), || heard().contains("ready")), "{}", heard());
    let ca = |name: &str| format!(" ca {}/{name}.pem\n", at.display());
    let own = format!(" certificate {0}/checker.pem\n key {0}/checker.key\n", at.display());
    let verify = "tls\n tls_verify";
    health(
        &lan,
        &format!("{}{own}", ca("right")),
        &[
            (50, "tls", UP),
            (51, &format!("{verify}\n tls_name web.example"), UP),
            (
                52,
                &format!("{verify}\n tls_name other.example"),
                "certificate of the server: it is not for other.example, but for web.example",
            ),
            (53, verify, "certificate of the server: it is not for 10.77.0.2, but for web.example"),
            // The host of the request is proven where no other name is given; and the request goes to it, whatever is proven.
            (54, &format!("{verify}\n virtualhost web.example"), UP),
            (55, &format!("{verify}\n virtualhost shop.example:7\n tls_name web.example"), UP),
            (
                56,
                &format!("{verify}\n virtualhost shop.example"),
                "certificate of the server: it is not for shop.example, but for web.example",
            ),
            // Who speaks without TLS is not understood.
            (57, "virtualhost plain.example", "connection "),
            // The server hears who asks.
            (60, &format!("{verify}\n tls_name web.example"), UP),
        ],
    );
    for name in ["10.77.0.2:50051", "web.example", "shop.example:7"] {
        assert!(heard().lines().any(|l| l == format!("asked for {name}")), "{name}: {}", heard());
    }
    for name in ["shop.example", "plain.example"] {
        assert!(!heard().lines().any(|l| l == format!("asked for {name}")), "{name}: {}", heard());
    }
    health(
        &lan,
        &ca("other"),
        &[
            (50, "tls", UP),
            (
                51,
                &format!("{verify}\n tls_name web.example"),
                "certificate of the server: no authority of the ca file has issued it",
            ),
            // Such a server closes the connection without a word.
            (60, "tls", "connection "),
        ],
    );
}

/// Gives pages from the folder `pages`, and to who asks for the name `web.example` others.
const PAGES: &str = r#"
user root;
daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http {
    access_log off;
    ssl_certificate web.example.pem;
    ssl_certificate_key web.example.key;
    server { listen 443 ssl; root pages; }
    server { listen 443 ssl; server_name web.example; root others; }
}
"#;

/// The sample that comes with keepalived: `SSL_GET` of several pages by their digests, which genhash makes.
#[test]
fn pages_over_tls_have_their_digests() {
    require!();
    if !installed() {
        return;
    }
    let lan = Lan::new(2);
    let folder = tempfile::tempdir().expect("folder");
    let at = folder.path();
    for place in ["pages/mrtg", "others"] {
        std::fs::create_dir_all(at.join(place)).expect("folder");
        file(&at.join(place), "index.html", &format!("<html>{place}</html>\n"));
    }
    file(&at.join("pages"), "index.html", "<html>welcome</html>\n");
    let _server = nginx(&lan, at, PAGES);
    let genhash = steadfast_test_cluster::daemon::steadfastd().with_file_name("genhash");
    let digest = |more: &[&str]| {
        let mut command = lan.hosts[0].command(&genhash.display().to_string());
        let out = command.args(["-s", "10.77.0.2", "-p", "443", "-S"]).args(more).output().expect("genhash");
        String::from_utf8_lossy(&out.stdout).trim().to_string()
    };
    // As soon as the server listens.
    assert!(steadfast_test_cluster::eventually(seconds(10), || digest(&["-u", "/"]).len() == 32));
    let sum = |page: &str| {
        let out = Command::new("openssl").args(["md5", "-r", &format!("{page}/index.html")]).current_dir(at).output();
        String::from_utf8_lossy(&out.expect("openssl").stdout).split(' ').next().unwrap_or_default().to_string()
    };
    let [welcome, mrtg] = [digest(&["-u", "/"]), digest(&["-u", "/mrtg/"])];
    assert_eq!([&welcome, &mrtg], [&sum("pages"), &sum("pages/mrtg")]);
    assert_eq!(digest(&["-u", "/", "-V", "web.example"]), sum("others"));
    let text = format!(
        "virtual_server 192.168.200.100 443 {{\n    delay_loop 1\n    lb_algo rr\n    lb_kind NAT\n    persistence_timeout 50\n    protocol TCP\n\n    \
         real_server 10.77.0.2 443 {{\n        weight 1\n        SSL_GET {{\n            url {{\n              path /\n              digest {welcome}\n            }}\n            \
         url {{\n              path /mrtg/\n              digest {mrtg}\n            }}\n            connect_timeout 3\n            retry 1\n            delay_before_retry 0.2\n        }}\n    }}\n}}\n"
    );
    let vrrp = "vrrp_instance BESIDE {\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {\n 10.77.0.100/24\n }\n}\n";
    let d = Daemon::start(&lan.hosts[0], Kind::Steadfast, &format!("{text}{vrrp}"));
    let count = |words: &str| d.log().matches(words).count();
    let wait = |n: usize, words: &str| {
        assert!(steadfast_test_cluster::eventually(seconds(15), || count(words) >= n), "{n} {words}: {}", d.log());
    };
    wait(1, "succeed on service");
    assert_eq!(count("Lost quorum"), 0, "{}", d.log());
    // Another page where the second one was.
    file(&at.join("pages/mrtg"), "index.html", "<html>defaced</html>\n");
    wait(1, "Lost quorum");
    file(&at.join("pages/mrtg"), "index.html", "<html>pages/mrtg</html>\n");
    wait(2, "Gained quorum");
    assert_eq!(d.stop(), Some(0));
}
