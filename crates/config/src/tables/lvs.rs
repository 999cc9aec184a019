/// Where a check goes and comes from.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reach {
    /// connect_ip.
    pub connect_ip: Option<IpAddr>,
    /// connect_port.
    pub connect_port: Option<u16>,
    /// bindto.
    pub bindto: Option<IpAddr>,
    /// bind_port.
    pub bind_port: Option<u16>,
    /// bind_if.
    pub bind_if: Option<String>,
    /// connect_timeout.
    pub connect_timeout: Option<Duration>,
    /// fwmark.
    pub fwmark: Option<u32>,
}

/// When a check is made, and what follows.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Pace {
    /// retry.
    pub retry: Option<u32>,
    /// delay_before_retry.
    pub delay_before_retry: Option<Duration>,
    /// warmup.
    pub warmup: Option<Duration>,
    /// delay_loop.
    pub delay_loop: Option<Duration>,
    /// alpha.
    pub alpha: Option<bool>,
    /// log_all_failures.
    pub log_all_failures: Option<bool>,
    /// Successes in a row that bring a server up (steadfast's own).
    pub rise: Option<u32>,
    /// Failures in a row that take it down (steadfast's own).
    pub fall: Option<u32>,
}

/// The longest connect timeout in seconds.
const CONNECT: f64 = 4_294.967_295;
/// The least delay in seconds.
const LEAST: f64 = 0.000_001;
/// The longest delay in seconds: seven weeks.
const LONGEST: f64 = 4_294_967.0;
/// The greatest 32-bit number.
const U32: i64 = u32::MAX as i64;

/// Keywords that several checkers share are declared once, by this.
macro_rules! checker {
    ($(#[doc = $sdoc:literal])* $name:ident, $path:literal { $($own:tt)* } also { $($more:tt)* }) => {
        checker!(@ reach $(#[doc = $sdoc])* $name, $path { $($own)* } also { $($more)* });
    };
    (paced $(#[doc = $sdoc:literal])* $name:ident, $path:literal { $($own:tt)* } also { $($more:tt)* }) => {
        section! {
            $(#[doc = $sdoc])*
            $name, $path { $($own)* }
            also {
                $($more)*
                /// Further tries in a round.
                live "retry" "N" "0-4294967295" "1 (MISC 0, DNS 3) or the server's" => |c, s| c.some_int(&mut s.pace.retry, 0, U32);
                /// Gap before each of them.
                live "delay_before_retry" "SECS" "0-4294967" "1 (HTTP, SSL 3; DNS delay_loop)" => |c, s| c.seconds(&mut s.pace.delay_before_retry, 0.0, LONGEST);
                /// First checks are spread over this time.
                live "warmup" "SECS" "0-4294967" "delay_loop" => |c, s| c.seconds(&mut s.pace.warmup, 0.0, LONGEST);
                /// Time between checks.
                live "delay_loop" "SECS" "0.000001-4294967" "the server's" => |c, s| c.seconds(&mut s.pace.delay_loop, LEAST, LONGEST);
                /// Down until the first success.
                live "alpha" "[BOOL]" "-" "the server's" => |c, s| c.boolean(&mut s.pace.alpha);
                /// Log each failed try.
                live "log_all_failures" "[BOOL]" "-" "checker_log_all_failures" => |c, s| c.boolean(&mut s.pace.log_all_failures);
                /// Successes in a row that bring the server up (steadfast's own).
                live "rise" "N" "1-1000" "1" => |c, s| c.some_int(&mut s.pace.rise, 1, 1000);
                /// Failures in a row that take it down (steadfast's own).
                live "fall" "N" "1-1000" "1" => |c, s| c.some_int(&mut s.pace.fall, 1, 1000);
            }
            plain {
                /// Schedule.
                pace: Pace;
                /// Target.
                reach: Reach;
            }
        }
    };
    (@ reach $(#[doc = $sdoc:literal])* $name:ident, $path:literal { $($own:tt)* } also { $($more:tt)* }) => {
        checker! { paced $(#[doc = $sdoc])* $name, $path { $($own)* }
            also {
                $($more)*
                /// Address to connect to.
                live "connect_ip" "ADDR" "-" "the real server's" => |c, s| c.address(&mut s.reach.connect_ip);
                /// Port to connect to.
                live "connect_port" "N" "1-65535" "the real server's" => |c, s| c.some_int(&mut s.reach.connect_port, 1, 65535);
                /// Address to connect from.
                live "bindto" "ADDR" "-" "none" => |c, s| c.address(&mut s.reach.bindto);
                /// Port to connect from.
                live "bind_port" "N" "1-65535" "none" => |c, s| c.some_int(&mut s.reach.bind_port, 1, 65535);
                /// Interface to connect by.
                live "bind_if" "IF" "-" "none" => |c, s| c.text(&mut s.reach.bind_if);
                /// Limit of a connect, and of each silence after it.
                live "connect_timeout" "SECS" "0.000001-4294.967295" "the server's" => |c, s| c.seconds(&mut s.reach.connect_timeout, LEAST, CONNECT);
                /// Mark of the packets.
                live "fwmark" "N" "uint32" "0" => |c, s| c.some_int(&mut s.reach.fwmark, 0, U32);
            }
        }
    };
}

checker! {
    /// A connection comes about.
    TcpCheck, "real_server > TCP_CHECK" {} also {}
}

checker! {
    /// An echo reply comes.
    PingCheck, "real_server > PING_CHECK" {} also {}
}

checker! {
    /// No ICMP error comes, or a reply that fits.
    UdpCheck, "real_server > UDP_CHECK" {
        /// Bytes to send.
        live "payload" "HEX ..." "even number of digits" "empty" => payload: Vec<u8> = Vec::new(), |c, v| {
            if let Some(pairs) = crate::lvs::hex(c, false) {
                *v = pairs.into_iter().map(|p| p.0).collect();
            }
        };
        /// A reply must come, and match where digits are given.
        live "require_reply" "[HEX ...]" "x: any digit" "off" => require_reply: Option<Vec<(u8, u8)>> = None, |c, v| {
            *v = if c.word(1).is_some() { crate::lvs::hex(c, true) } else { Some(Vec::new()) };
        };
        /// Least length of a reply.
        live "min_reply_length" "N" "0-65535" "0" => min_reply_length: u16 = 0, |c, v| c.int(v, 0, 65535);
        /// Greatest length of a reply.
        live "max_reply_length" "N" "0-65535" "255" => max_reply_length: u16 = 255, |c, v| c.int(v, 0, 65535);
    } also {}
}

section! {
    /// One page.
    UrlCheck, "real_server > HTTP_GET / SSL_GET > url" {
        /// Path of the request.
        live "path" "STRING" "-" "required" => path: Option<String> = None, |c, v| c.text(v);
        /// MD5 of the body.
        live "digest" "HEX" "32 hex digits" "none" => digest: Option<String> = None, |c, v| {
            let Some(w) = c.value() else { return };
            if w.text.len() == 32 && w.text.bytes().all(|b| b.is_ascii_hexdigit()) {
                *v = Some(w.text.to_ascii_lowercase());
            } else {
                c.report_at(Class::General, w, "a digest has 32 hexadecimal digits, ignoring this one");
            }
        };
        /// Accepted status codes.
        live "status_code" "N[-M] ..." "100-599" "200-299" => status_code: Vec<(u16, u16)> = Vec::new(), |c, v| crate::lvs::status(c, v);
        /// Host of the request.
        live "virtualhost" "STRING" "-" "the checker's" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Pattern that the body must match.
        live "regex" "PATTERN" "-" "none" => regex: Option<String> = None, |c, v| c.text(v);
        /// The body must not match.
        live "regex_no_match" "-" "-" "off" => regex_no_match: bool = false, |c, v| c.flag(v);
        /// Options of the pattern.
        live "regex_options" "NAME ..." "-" "none" => regex_options: Vec<String> = Vec::new(), |c, v| {
            v.extend(c.words().iter().skip(1).map(|w| w.text.clone()));
        };
        /// Least offset of a match.
        live "regex_min_offset" "N" "uint32" "0" => regex_min_offset: u64 = 0, |c, v| c.int(v, 0, U32);
        /// A match begins before this offset.
        live "regex_max_offset" "N" "uint32, >min" "none" => regex_max_offset: Option<u64> = None, |c, v| c.some_int(v, 0, U32);
        /// A connection must end with TLS close_notify.
        live "tls_compliant" "[BOOL]" "-" "the checker's" => tls_compliant: Option<bool> = None, |c, v| c.boolean(v);
    }
    also {
        /// Stack of the pattern's compiler, which has none here.
        live "regex_stack" "START MAX" "uint32" "-" => |c, s| {
            if c.value().is_some() {
                for w in c.words().iter().skip(1).take(2) {
                    c.number(w, 0, U32);
                }
            }
        };
    }
    plain {}
}

checker! {
    /// Pages answer as they should.
    HttpCheck, "real_server > HTTP_GET / SSL_GET" {
        /// Host of requests.
        live "virtualhost" "STRING" "-" "the server's" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Version of requests.
        live "http_protocol" "1.0|1.0C|1.1" "-" "1.0" => http_protocol: Option<String> = None, |c, v| {
            let Some(w) = c.value() else { return };
            match w.text.to_ascii_uppercase().as_str() {
                "1.0" | "1.0C" | "1.1" | "1.1C" => *v = Some(w.text.to_ascii_uppercase()),
                other => c.report_at(Class::General, w, format!("'{other}' is no version of HTTP")),
            }
        };
        /// Ask by HTTP/2: over TLS by ALPN, else by prior knowledge (steadfast's own).
        live "http2" "[BOOL]" "-" "off" => http2: Option<bool> = None, |c, v| c.boolean(v);
        /// Send the host name in TLS.
        live "enable_sni" "[BOOL]" "-" "off" => enable_sni: Option<bool> = None, |c, v| c.boolean(v);
        /// Name to send in TLS.
        live "sni_name" "[NAME]" "-" "virtualhost" => sni_name: Option<String> = None, |c, v| c.optional_text(v);
        /// Verify the server's certificate by the authorities of SSL (steadfast's own).
        live "tls_verify" "[BOOL]" "needs ca in SSL" "off" => tls_verify: Option<bool> = None, |c, v| c.boolean(v);
        /// The certificate must be for this name (steadfast's own).
        live "tls_name" "NAME" "-" "the name sent, else the address" => tls_name: Option<String> = None, |c, v| c.text(v);
        /// The first good answer counts, which is always so here.
        live "fast_recovery" "[BOOL]" "-" "on" => fast_recovery: Option<bool> = None, |c, v| c.boolean(v);
        /// Connections must end with TLS close_notify.
        live "tls_compliant" "[BOOL]" "-" "off" => tls_compliant: Option<bool> = None, |c, v| c.boolean(v);
        /// A page.
        live "url" "{ ... }" "-" "at least one" => url: Vec<UrlCheck> = Vec::new(), |c, v| {
            let mut u = UrlCheck::default();
            block(&mut u, c);
            if u.path.is_none() {
                c.report(Class::General, "url without path, ignoring it");
            } else {
                v.push(u);
            }
        };
        /// It is SSL_GET.
        live "(SSL_GET)" "-" "-" "-" => tls: bool = false, |c, v| {};
    }
    also {
        /// Older spelling of retry.
        live "nb_get_retry" "N" "-" "-" => |c, s| {
            c.report(Class::Deprecated, "nb_get_retry is deprecated, use retry");
            c.some_int(&mut s.pace.retry, 0, U32);
        };
    }
}

checker! {
    /// A name server answers.
    DnsCheck, "real_server > DNS_CHECK" {
        /// Type of the question.
        live "type" "A|NS|CNAME|SOA|MX|TXT|AAAA|RRSIG|DNSKEY" "any case" "SOA" => kind: Option<u16> = None, |c, v| {
            let Some(w) = c.value() else { return };
            let types = [("A", 1), ("NS", 2), ("CNAME", 5), ("SOA", 6), ("MX", 15), ("TXT", 16), ("AAAA", 28), ("RRSIG", 46), ("DNSKEY", 48)];
            match types.iter().find(|(name, _)| name.eq_ignore_ascii_case(&w.text)) {
                Some((_, number)) => *v = Some(*number),
                None => c.report_at(Class::General, w, format!("'{}' is no known type of DNS question", w.text)),
            }
        };
        /// Name to ask for.
        live "name" "DOMAIN" "labels of at most 63" "." => name: Option<String> = None, |c, v| {
            let Some(w) = c.value() else { return };
            let name = w.text.strip_suffix('.').unwrap_or(&w.text);
            if name.is_empty() || name.split('.').all(|l| (1..=63).contains(&l.len())) {
                *v = Some(w.text.clone());
            } else {
                c.report_at(Class::General, w, format!("'{}' is no domain name", w.text));
            }
        };
    } also {}
}

checker! {
    /// Another host to ask.
    SmtpHost, "real_server > SMTP_CHECK > host" {} also {}
}

checker! {
    /// A mail server greets.
    SmtpCheck, "real_server > SMTP_CHECK" {
        /// Name in HELO.
        live "helo_name" "NAME" "-" "smtpchecker.keepalived.org" => helo_name: Option<String> = None, |c, v| c.text(v);
        /// Another host to ask; all of them must greet.
        live "host" "{ ... }" "-" "-" => host: Vec<SmtpHost> = Vec::new(), |c, v| {
            let mut h = SmtpHost::default();
            block(&mut h, c);
            v.push(h);
        };
    } also {}
}

checker! {
    paced
    /// A program exits with 0.
    MiscCheck, "real_server > MISC_CHECK" {
        /// The program.
        live "misc_path" "SCRIPT [ARGS]" "-" "required" => misc_path: Option<Script> = None, |c, v| c.command_line(v);
        /// Limit of a run of misc_path.
        live "misc_timeout" "SECS" "0-4294" "delay_loop" => misc_timeout: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 4294.0);
        /// The exit status of misc_path is a weight.
        live "misc_dynamic" "-" "-" "off" => misc_dynamic: bool = false, |c, v| c.flag(v);
        /// Account that misc_path runs as.
        live "user" "USER [GROUP]" "-" "script_user" => user: Option<Option<User>> = None, |c, v| {
            if c.value().is_some() {
                *v = Some(c.user(1));
            }
        };
    } also {}
}

checker! {
    /// The words of an agent, as HAProxy's agents say them (steadfast's own).
    AgentCheck, "real_server > AGENT_CHECK" {
        /// Line to send after the connect.
        live "send" "STRING" "-" "nothing" => send: Option<String> = None, |c, v| c.text(v);
    } also {}
}

checker! {
    /// The health service of gRPC (steadfast's own).
    GrpcCheck, "real_server > GRPC_CHECK" {
        /// Name of the service to ask for; without it the server's own health.
        live "service" "NAME" "-" "none" => service: Option<String> = None, |c, v| c.text(v);
        /// Host of the request.
        live "virtualhost" "STRING" "-" "the server's" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Over TLS.
        live "tls" "[BOOL]" "-" "off" => tls: Option<bool> = None, |c, v| c.boolean(v);
        /// Verify the server's certificate by the authorities of SSL.
        live "tls_verify" "[BOOL]" "needs ca in SSL" "off" => tls_verify: Option<bool> = None, |c, v| c.boolean(v);
        /// The certificate must be for this name.
        live "tls_name" "NAME" "-" "the address" => tls_name: Option<String> = None, |c, v| c.text(v);
    } also {}
}

section! {
    /// A number in a file.
    FileCheck, "real_server > FILE_CHECK" {
        /// The tracked file.
        live "track_file" "NAME" "-" "required" => track_file: Option<String> = None, |c, v| c.text(v);
        /// What its number does.
        live "weight" "N [reverse|noreverse]" "-2147483647-2147483647" "the file's" => weight: Option<(i32, bool)> = None, |c, v| {
            let mut n = 0i32;
            c.int(&mut n, -2_147_483_647, 2_147_483_647);
            *v = Some((n, c.word(2).is_some_and(|w| w.text == "reverse")));
        };
    } also {} plain {}
}

section! {
    /// A BFD session.
    BfdCheck, "real_server > BFD_CHECK" {
        /// Down until it is up.
        live "alpha" "[BOOL]" "-" "off" => alpha: Option<bool> = None, |c, v| c.boolean(v);
    }
    also {
        /// The session.
        live "name" "NAME" "a bfd_instance above" "required" => |c, s| crate::bfd::named(c, s);
    }
    plain {
        /// The session.
        name: Option<String>;
        /// A name was given that is no session, which was said.
        undefined: bool;
    }
}

/// A check of a real server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Checker {
    Tcp(TcpCheck),
    Ping(PingCheck),
    Udp(UdpCheck),
    Http(HttpCheck),
    Dns(DnsCheck),
    Smtp(SmtpCheck),
    Misc(MiscCheck),
    File(FileCheck),
    Bfd(BfdCheck),
    Agent(AgentCheck),
    Grpc(GrpcCheck),
}

/// How packets reach a server.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Method {
    Nat,
    Direct,
    Tunnel { kind: Tunnel, port: Option<u16>, checksum: Option<TunnelChecksum> },
}

/// `type` of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Tunnel {
    #[default]
    Ipip,
    Gue,
    Gre,
}

/// Checksum of a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum TunnelChecksum {
    No,
    Yes,
    Remote,
}

section! {
    /// A server behind a virtual one.
    RealServer, "virtual_server > real_server" {
        /// Weight.
        live "weight" "N" "0-2147483647" "the virtual server's" => weight: Option<u32> = None, |c, v| c.some_int(v, 0, 2_147_483_647);
        /// How packets reach it.
        live "lvs_method" "NAT|DR|TUN ..." "-" "the virtual server's" => method: Option<Method> = None, |c, v| crate::lvs::method(c, v);
        /// Most connections.
        live "uthreshold" "N" "uint32" "0" => uthreshold: u32 = 0, |c, v| c.int(v, 0, U32);
        /// Connections below which it is used again.
        live "lthreshold" "N" "uint32" "0" => lthreshold: u32 = 0, |c, v| c.int(v, 0, U32);
        /// Weight 0 instead of removal while down.
        live "inhibit_on_failure" "[BOOL]" "-" "the virtual server's" => inhibit_on_failure: Option<bool> = None, |c, v| c.boolean(v);
        /// Run when it comes up.
        live "notify_up" "SCRIPT [USER [GROUP]]" "-" "none" => notify_up: Option<Script> = None, |c, v| c.script(v);
        /// Run when it goes down.
        live "notify_down" "SCRIPT [USER [GROUP]]" "-" "none" => notify_down: Option<Script> = None, |c, v| c.script(v);
        /// Down until the first success.
        live "alpha" "[BOOL]" "-" "the virtual server's" => alpha: Option<bool> = None, |c, v| c.boolean(v);
        /// Default of its checks.
        live "retry" "N" "1-4294967295" "the virtual server's" => retry: Option<u32> = None, |c, v| c.some_int(v, 1, U32);
        /// Default of its checks.
        live "delay_before_retry" "SECS" "0-4294967" "the virtual server's" => delay_before_retry: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// Default of its checks.
        live "warmup" "SECS" "0-4294967" "the virtual server's" => warmup: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// Default of its checks.
        live "connect_timeout" "SECS" "0.000001-4294.967295" "the virtual server's" => connect_timeout: Option<Duration> = None, |c, v| c.seconds(v, LEAST, CONNECT);
        /// Default of its checks.
        live "delay_loop" "SECS" "0.000001-4294967" "the virtual server's" => delay_loop: Option<Duration> = None, |c, v| c.seconds(v, LEAST, LONGEST);
        /// Mail at changes.
        live "smtp_alert" "[BOOL]" "-" "on" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// Host of HTTP requests.
        live "virtualhost" "STRING" "-" "the virtual server's" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Name in SNMP.
        live "snmp_name" "STRING" "-" "none" => snmp_name: Option<String> = None, |c, v| c.text(v);
        /// As the virtual server's (steadfast's own).
        live "slow_start" "SECS" "0-86400" "the virtual server's" => slow_start: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 86400.0);
        /// As the virtual server's (steadfast's own).
        live "drain_time" "SECS" "0-86400" "the virtual server's" => drain_time: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 86400.0);
    }
    also {
        /// The host says itself how it is: up, down, drain, maint or a percentage of its weight (steadfast's own).
        live "AGENT_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = AgentCheck::default(); block(&mut x, c); s.checkers.push(Checker::Agent(x)); };
        /// grpc.health.v1 says SERVING (steadfast's own).
        live "GRPC_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = GrpcCheck::default(); block(&mut x, c); s.checkers.push(Checker::Grpc(x)); };
        /// A connection comes about.
        live "TCP_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = TcpCheck::default(); block(&mut x, c); s.checkers.push(Checker::Tcp(x)); };
        /// An echo reply comes.
        live "PING_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = PingCheck::default(); block(&mut x, c); s.checkers.push(Checker::Ping(x)); };
        /// A UDP server answers, or does not object.
        live "UDP_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = UdpCheck::default(); block(&mut x, c); s.checkers.push(Checker::Udp(x)); };
        /// Pages answer as they should.
        live "HTTP_GET" "{ ... }" "-" "-" => |c, s| crate::lvs::http(c, s, false);
        /// HTTP_GET over TLS.
        live "SSL_GET" "{ ... }" "-" "-" => |c, s| crate::lvs::http(c, s, true);
        /// A name server answers.
        live "DNS_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = DnsCheck::default(); block(&mut x, c); s.checkers.push(Checker::Dns(x)); };
        /// A mail server greets.
        live "SMTP_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = SmtpCheck::default(); block(&mut x, c); s.checkers.push(Checker::Smtp(x)); };
        /// A program exits with 0.
        live "MISC_CHECK" "{ ... }" "-" "-" => |c, s| {
            let mut x = MiscCheck::default();
            block(&mut x, c);
            if x.misc_path.is_none() {
                c.report(Class::General, "MISC_CHECK without misc_path, ignoring it");
            } else {
                s.checkers.push(Checker::Misc(x));
            }
        };
        /// A file has the right number.
        live "FILE_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = FileCheck::default(); block(&mut x, c); s.checkers.push(Checker::File(x)); };
        /// A BFD session is up.
        live "BFD_CHECK" "{ ... }" "-" "-" => |c, s| { let mut x = BfdCheck::default(); block(&mut x, c); s.checkers.push(Checker::Bfd(x)); };
    }
    plain {
        /// Address.
        address: Option<IpAddr>;
        /// Port; `None` is the service's.
        port: Option<u16>;
        /// Checks.
        checkers: Vec<Checker>;
        /// Where it is written.
        place: Place;
    }
}

/// What a virtual server serves.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Served {
    #[default]
    Nothing,
    Address(IpAddr, u16),
    Mark(u32),
    Group(String),
}

impl std::fmt::Display for Served {
    /// As the file names it, with the port always.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Served::Nothing => Ok(()),
            Served::Address(a, p) => write!(f, "{a} {p}"),
            Served::Mark(n) => write!(f, "fwmark {n}"),
            Served::Group(g) => write!(f, "group {g}"),
        }
    }
}

section! {
    /// One IPVS virtual service.
    VirtualServer, "virtual_server" {
        /// Family of a mark's service.
        live "ip_family" "inet|inet6" "-" "from addresses" => ip_family: Option<bool> = None, |c, v| {
            let Some(w) = c.value() else { return };
            match w.text.as_str() {
                "inet" => *v = Some(false),
                "inet6" => *v = Some(true),
                other => c.report_at(Class::General, w, format!("'{other}' is no address family")),
            }
        };
        /// Default of the checks.
        live "retry" "N" "1-4294967295" "1" => retry: Option<u32> = None, |c, v| c.some_int(v, 1, U32);
        /// Default of the checks.
        live "delay_before_retry" "SECS" "0-4294967" "see checkers" => delay_before_retry: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// Default of the checks.
        live "warmup" "SECS" "0-4294967" "delay_loop" => warmup: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// Default of the checks.
        live "connect_timeout" "SECS" "0.000001-4294.967295" "5" => connect_timeout: Option<Duration> = None, |c, v| c.seconds(v, LEAST, CONNECT);
        /// Time between checks.
        live "delay_loop" "SECS" "0.000001-4294967" "60" => delay_loop: Option<Duration> = None, |c, v| c.seconds(v, LEAST, LONGEST);
        /// Weight 0 instead of removal while a server is down.
        live "inhibit_on_failure" "-" "-" "off" => inhibit_on_failure: bool = false, |c, v| c.flag(v);
        /// Scheduler.
        live "lb_algo" "rr|wrr|lc|wlc|lblc|sh|mh|dh|fo|ovf|lblcr|sed|nq|twos" "-" "wlc" => scheduler: Option<String> = None, |c, v| crate::lvs::scheduler(c, v);
        /// One packet, one connection.
        live "ops" "-" "-" "off" => ops: bool = false, |c, v| c.flag(v);
        /// How packets reach servers.
        live "lb_kind" "NAT|DR|TUN [type ipip|gue|gre] [port P] [nocsum|csum|remcsum]" "-" "NAT" => method: Option<Method> = None, |c, v| crate::lvs::method(c, v);
        /// Persistence engine.
        live "persistence_engine" "NAME" "sip" "none" => persistence_engine: Option<String> = None, |c, v| c.text(v);
        /// How long a client stays with its server.
        live "persistence_timeout" "[SECS]" "1-2678400" "off; 360 when bare" => persistence_timeout: Option<u32> = None, |c, v| {
            if c.word(1).is_some() { c.some_int(v, 1, 2_678_400); } else { *v = Some(360); }
        };
        /// Clients of one such network are one client.
        live "persistence_granularity" "MASK|PREFIX" "-" "a single address" => persistence_granularity: Option<u32> = None, |c, v| crate::lvs::granularity(c, v);
        /// Protocol.
        live "protocol" "TCP|UDP|SCTP" "any case" "UDP" => protocol: Option<u8> = None, |c, v| {
            let Some(w) = c.value() else { return };
            match w.text.to_ascii_uppercase().as_str() {
                "TCP" => *v = Some(6),
                "UDP" => *v = Some(17),
                "SCTP" => *v = Some(132),
                other => c.report_at(Class::General, w, format!("'{other}' is no protocol of a virtual server")),
            }
        };
        /// Checks rest while the address is not on this host; with a name (steadfast's own) while that vrrp_instance is not master.
        live "ha_suspend" "[INSTANCE]" "-" "off" => ha_suspend: Option<Option<String>> = None, |c, v| *v = Some(c.word(1).map(|w| w.text.clone()));
        /// A server that recovers gets its weight step by step over this time (steadfast's own).
        live "slow_start" "SECS" "0-86400" "0" => slow_start: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 86400.0);
        /// A server that leaves the file stays with weight 0 for this long (steadfast's own).
        live "drain_time" "SECS" "0-86400" "0" => drain_time: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 86400.0);
        /// When more than this part of the servers is down at once all are kept (steadfast's own).
        live "panic_threshold" "PERCENT" "1-99" "off" => panic_threshold: Option<u8> = None, |c, v| c.some_int(v, 1, 99);
        /// Mail at changes.
        live "smtp_alert" "[BOOL]" "-" "global" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// Host of HTTP requests.
        live "virtualhost" "STRING" "-" "none" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Name in SNMP.
        live "snmp_name" "STRING" "-" "none" => snmp_name: Option<String> = None, |c, v| c.text(v);
        /// Servers are down until their first success.
        live "alpha" "-" "-" "off" => alpha: bool = false, |c, v| c.flag(v);
        /// At a stop notifiers run for what is up.
        live "omega" "-" "-" "off" => omega: bool = false, |c, v| c.flag(v);
        /// Run when the quorum is gained.
        live "quorum_up" "SCRIPT [USER [GROUP]]" "-" "none" => quorum_up: Option<Script> = None, |c, v| c.script(v);
        /// Run when it is lost.
        live "quorum_down" "SCRIPT [USER [GROUP]]" "-" "none" => quorum_down: Option<Script> = None, |c, v| c.script(v);
        /// Weight of live servers that is needed.
        live "quorum" "N" "1-4294967295" "1" => quorum: u32 = 1, |c, v| c.int(v, 1, U32);
        /// Margin around it.
        live "hysteresis" "N" "0-4294967295" "0" => hysteresis: u32 = 0, |c, v| c.int(v, 0, U32);
        /// Default weight of servers.
        live "weight" "N" "1-2147483647" "1" => weight: u32 = 1, |c, v| c.int(v, 1, 2_147_483_647);
        /// Serves while the quorum is lost.
        live "sorry_server" "ADDR [PORT]" "-" "none" => sorry_server: Option<(IpAddr, u16)> = None, |c, v| {
            *v = crate::lvs::endpoint(c, 1).map(|(a, p)| (a, p.unwrap_or(0))).or(*v);
        };
        /// How packets reach it.
        live "sorry_server_lvs_method" "NAT|DR|TUN ..." "-" "the virtual server's" => sorry_server_lvs_method: Option<Method> = None, |c, v| crate::lvs::method(c, v);
        /// Flags of the scheduler.
        live "(scheduler flags)" "-" "-" "none" => flags: Vec<String> = Vec::new(), |c, v| {};
        /// A server behind it.
        live "real_server" "ADDR [PORT] { ... }" "-" "-" => real_servers: Vec<RealServer> = Vec::new(), |c, v| crate::lvs::real_server(c, v);
    }
    also {
        /// Scheduler, by another name.
        live "lvs_sched" "as lb_algo" "-" "wlc" => |c, s| crate::lvs::scheduler(c, &mut s.scheduler);
        /// How packets reach servers, by another name.
        live "lvs_method" "as lb_kind" "-" "NAT" => |c, s| crate::lvs::method(c, &mut s.method);
        /// The sorry server stays in the table with weight 0.
        live "sorry_server_inhibit" "-" "after sorry_server" "off" => |c, s| {
            if s.sorry_server.is_none() {
                c.report(Class::General, "sorry_server_inhibit comes after sorry_server, ignoring it");
            } else {
                s.sorry_server_inhibit = true;
            }
        };
        /// Obsolete; means nothing.
        live "hashed" "-" "-" "off" => |c, s| crate::lvs::flag(c, s, &["sh", "mh"]);
        /// First flag of the scheduler.
        live "flag-1" "-" "-" "off" => |c, s| s.flags.push("flag-1".into());
        /// Second flag of the scheduler.
        live "flag-2" "-" "-" "off" => |c, s| s.flags.push("flag-2".into());
        /// Third flag of the scheduler.
        live "flag-3" "-" "-" "off" => |c, s| s.flags.push("flag-3".into());
        /// sh looks at the port.
        live "sh-port" "-" "after lb_algo sh" "off" => |c, s| crate::lvs::flag(c, s, &["sh"]);
        /// sh takes another server when the right one is down.
        live "sh-fallback" "-" "after lb_algo sh" "off" => |c, s| crate::lvs::flag(c, s, &["sh"]);
        /// mh looks at the port.
        live "mh-port" "-" "after lb_algo mh" "off" => |c, s| crate::lvs::flag(c, s, &["mh"]);
        /// mh takes another server when the right one is down.
        live "mh-fallback" "-" "after lb_algo mh" "off" => |c, s| crate::lvs::flag(c, s, &["mh"]);
    }
    plain {
        /// The sorry server stays in the table with weight 0.
        sorry_server_inhibit: bool;
        /// What it serves.
        served: Served;
        /// Where it is written.
        place: Place;
    }
}

section! {
    /// Client certificate and authorities of TLS checks.
    Ssl, "SSL" {
        /// Passphrase of the key.
        live "password" "STRING" "-" "none" => password: Option<String> = None, |c, v| c.text(v);
        /// Authorities.
        live "ca" "PATH" "-" "none" => ca: Option<String> = None, |c, v| c.text(v);
        /// Certificate.
        live "certificate" "PATH" "-" "none" => certificate: Option<String> = None, |c, v| c.text(v);
        /// Key.
        live "key" "PATH" "-" "none" => key: Option<String> = None, |c, v| c.text(v);
    } also {} plain {}
}

/// The IPVS connection sync daemon.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SyncDaemon {
    /// Interface.
    pub interface: String,
    /// The instance whose state it follows.
    pub instance: Option<String>,
    /// Id; the instance's router id without it.
    pub id: Option<u8>,
    /// Largest message in bytes.
    pub maxlen: Option<u16>,
    /// UDP port.
    pub port: Option<u16>,
    /// TTL of its multicasts.
    pub ttl: Option<u8>,
    /// Multicast group.
    pub group: Option<IpAddr>,
}

/// What lvs_flush_on_stop empties.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum FlushOnStop {
    Everything,
    Ours,
}

/// Service addresses under one name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ServerGroup {
    /// Name.
    pub name: String,
    /// First and last address, and port.
    pub ranges: Vec<(IpAddr, IpAddr, u16)>,
    /// Marks, with the family where given (true: IPv6).
    pub marks: Vec<(u32, Option<bool>)>,
}
