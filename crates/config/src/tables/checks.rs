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
    /// Failures in a row that take the server down (steadfast's own).
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
                /// Gap before each further try of a round.
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
                /// Failures in a row that take the server down (steadfast's own).
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
                live "bind_if" "IF" "at most 15 characters" "none" => |c, s| crate::lvs::link(c, &mut s.reach.bind_if);
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
        live "regex_options" "NAME ..." "caseless, dollar_endonly, dotall, extended, multiline, ungreedy, utf" "none" => regex_options: Vec<String> = Vec::new(), |c, v| crate::lvs::regex_options(c, v);
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
                "1.0" | "1.0C" | "1.1" => *v = Some(w.text.to_ascii_uppercase()),
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
        /// The certificate must be for this name, which is sent, too, where no other is (steadfast's own).
        live "tls_name" "NAME" "-" "the name sent, else the address" => tls_name: Option<String> = None, |c, v| c.text(v);
        /// The first good answer counts, which is always so here.
        live "fast_recovery" "[BOOL]" "-" "on" => fast_recovery: Option<bool> = None, |c, v| c.boolean(v);
        /// Connections must end with TLS close_notify.
        live "tls_compliant" "[BOOL]" "-" "off" => tls_compliant: Option<bool> = None, |c, v| c.boolean(v);
        /// A page.
        live "url" "{ ... }" "-" "at least one" => url: Vec<UrlCheck> = Vec::new(), |c, v| {
            let (mut u, at) = (UrlCheck::default(), c.place());
            block(&mut u, c);
            crate::lvs::pattern(c, &u);
            if u.path.is_none() {
                c.diagnostics.push(Class::General, at, "url without path, ignoring it");
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
                *v = Some(w.text.to_string());
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
        /// The certificate must be for this name, which is sent, too, where there is no virtualhost.
        live "tls_name" "NAME" "-" "virtualhost, else the address" => tls_name: Option<String> = None, |c, v| c.text(v);
    } also {}
}

section! {
    /// A number in a file.
    FileCheck, "real_server > FILE_CHECK" {
        /// The tracked file.
        live "track_file" "NAME" "-" "required" => track_file: Option<String> = None, |c, v| c.text(v);
        /// What its number does.
        live "weight" "N [reverse|noreverse]" "-2147483647-2147483647" "the file's" => weight: Option<(i32, bool)> = None, |c, v| {
            let Some(n) = c.value().and_then(|w| c.number(w, -2_147_483_647, 2_147_483_647)) else { return };
            let option = c.word(2);
            if let Some(w) = option.filter(|w| !["reverse", "noreverse"].contains(&w.text.as_str())) {
                c.report_at(Class::General, w, format!("'{}' is neither reverse nor noreverse, ignoring it", w.text));
            }
            *v = i32::try_from(n).ok().map(|n| (n, option.is_some_and(|w| w.text == "reverse")));
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
