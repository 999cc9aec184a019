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
        /// No new connections while it has so many; 0: no limit.
        live "uthreshold" "N" "uint32" "0" => uthreshold: u32 = 0, |c, v| c.int(v, 0, U32);
        /// After `uthreshold`: new connections again below this many; 0: three quarters of `uthreshold`.
        live "lthreshold" "N" "uint32" "0" => lthreshold: u32 = 0, |c, v| c.int(v, 0, U32);
        /// Weight 0 instead of removal while down.
        live "inhibit_on_failure" "[BOOL]" "-" "the virtual server's" => inhibit_on_failure: Option<bool> = None, |c, v| c.boolean(v);
        /// Run when it comes up.
        live "notify_up" "SCRIPT [USER [GROUP]]" "-" "none" => notify_up: Option<Box<Script>> = None, |c, v| c.boxed_script(v);
        /// Run when it goes down.
        live "notify_down" "SCRIPT [USER [GROUP]]" "-" "none" => notify_down: Option<Box<Script>> = None, |c, v| c.boxed_script(v);
        /// Down until the first success.
        live "alpha" "[BOOL]" "-" "the virtual server's" => alpha: Option<bool> = None, |c, v| c.boolean(v);
        /// Further tries in a round before a server is down. Default of its checks.
        live "retry" "N" "1-4294967295" "the virtual server's" => retry: Option<u32> = None, |c, v| c.some_int(v, 1, U32);
        /// Gap before each further try of a round. Default of its checks.
        live "delay_before_retry" "SECS" "0-4294967" "the virtual server's" => delay_before_retry: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// First checks are spread over this time. Default of its checks.
        live "warmup" "SECS" "0-4294967" "the virtual server's" => warmup: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// Limit of a connect, and of each silence after it. Default of its checks.
        live "connect_timeout" "SECS" "0.000001-4294.967295" "the virtual server's" => connect_timeout: Option<Duration> = None, |c, v| c.seconds(v, LEAST, CONNECT);
        /// Time between checks. Default of its checks.
        live "delay_loop" "SECS" "0.000001-4294967" "the virtual server's" => delay_loop: Option<Duration> = None, |c, v| c.seconds(v, LEAST, LONGEST);
        /// Mail when it comes or goes.
        live "smtp_alert" "[BOOL]" "-" "smtp_alert_checker, then smtp_alert, else on" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// Host of HTTP requests.
        live "virtualhost" "STRING" "-" "the virtual server's" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Name in SNMP.
        live "snmp_name" "STRING" "-" "none" => snmp_name: Option<String> = None, |c, v| crate::lvs::snmp_name(c, v);
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
                c.drop_check();
            } else {
                s.checkers.push(Checker::Misc(x));
            }
        };
        /// The number in a file is 0, or changes the weight.
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
        /// Further tries in a round before a server is down. Default of the checks.
        live "retry" "N" "1-4294967295" "1" => retry: Option<u32> = None, |c, v| c.some_int(v, 1, U32);
        /// Gap before each further try of a round. Default of the checks.
        live "delay_before_retry" "SECS" "0-4294967" "see checkers" => delay_before_retry: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// First checks are spread over this time. Default of the checks.
        live "warmup" "SECS" "0-4294967" "delay_loop" => warmup: Option<Duration> = None, |c, v| c.seconds(v, 0.0, LONGEST);
        /// Limit of a connect, and of each silence after it. Default of the checks.
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
        live "lb_kind" "NAT|DR|TUN [type ipip|gue|gre] [port P] [nocsum|csum|remcsum]" "-" "NAT" => method: Option<Method> = None, |c, v| crate::lvs::kind(c, v);
        /// Persistence engine.
        live "persistence_engine" "NAME" "sip" "none" => persistence_engine: Option<String> = None, |c, v| crate::lvs::engine(c, v);
        /// How long a client stays with its server.
        live "persistence_timeout" "[SECS]" "1-2678400" "off; 360 when bare" => persistence_timeout: Option<u32> = None, |c, v| {
            if c.word(1).is_some() { c.some_int(v, 1, 2_678_400); } else { *v = Some(360); }
        };
        /// Clients of one such network are one client.
        live "persistence_granularity" "MASK|PREFIX" "-" "a single address" => persistence_granularity: Option<Granularity> = None, |c, v| crate::lvs::granularity(c, v);
        /// Protocol.
        live "protocol" "TCP|UDP|SCTP" "any case" "UDP" => protocol: Option<u8> = None, |c, v| {
            let Some(w) = c.value() else { return };
            match w.text.to_ascii_uppercase().as_str() {
                "TCP" => *v = Some(6),
                "UDP" => *v = Some(17),
                "SCTP" => *v = Some(132),
                other => {
                    let text = format!("'{other}' is no protocol of a virtual server{}", crate::lvs::instead(v, 17, "UDP"));
                    c.report_at(Class::General, w, text);
                }
            }
        };
        /// Checks rest while the address is not on this host; with a name (steadfast's own) while that vrrp_instance is not master.
        live "ha_suspend" "[INSTANCE]" "-" "off" => ha_suspend: Option<Option<String>> = None, |c, v| *v = Some(c.word(1).map(|w| w.text.to_string()));
        /// A server that recovers gets its weight step by step over this time (steadfast's own).
        live "slow_start" "SECS" "0-86400" "0" => slow_start: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 86400.0);
        /// A server that leaves the file stays with weight 0 for this long (steadfast's own).
        live "drain_time" "SECS" "0-86400" "0" => drain_time: Option<Duration> = None, |c, v| c.seconds(v, 0.0, 86400.0);
        /// When more than this part of the servers is down at once all are kept (steadfast's own).
        live "panic_threshold" "PERCENT" "1-99" "off" => panic_threshold: Option<u8> = None, |c, v| c.some_int(v, 1, 99);
        /// Mail when the quorum is gained or lost.
        live "smtp_alert" "[BOOL]" "-" "smtp_alert_checker, then smtp_alert, else off" => smtp_alert: Option<bool> = None, |c, v| c.boolean(v);
        /// Host of HTTP requests.
        live "virtualhost" "STRING" "-" "none" => virtualhost: Option<String> = None, |c, v| c.text(v);
        /// Name in SNMP.
        live "snmp_name" "STRING" "-" "none" => snmp_name: Option<String> = None, |c, v| crate::lvs::snmp_name(c, v);
        /// Servers are down until their first success.
        live "alpha" "-" "-" "off" => alpha: bool = false, |c, v| c.flag(v);
        /// At a stop notifiers run for what is up.
        live "omega" "-" "-" "off" => omega: bool = false, |c, v| c.flag(v);
        /// Run when the quorum is gained.
        live "quorum_up" "SCRIPT [USER [GROUP]]" "-" "none" => quorum_up: Option<Script> = None, |c, v| c.script(v);
        /// Run when the quorum is lost.
        live "quorum_down" "SCRIPT [USER [GROUP]]" "-" "none" => quorum_down: Option<Script> = None, |c, v| c.script(v);
        /// Weight of live servers that is needed.
        live "quorum" "N" "1-4294967295" "1" => quorum: u32 = 1, |c, v| c.int(v, 1, U32);
        /// A quorum is lost below `quorum` less this, and gained with `quorum` and this.
        live "hysteresis" "N" "0-4294967295" "0" => hysteresis: u32 = 0, |c, v| c.int(v, 0, U32);
        /// Default weight of servers.
        live "weight" "N" "1-2147483647" "1" => weight: u32 = 1, |c, v| c.int(v, 1, 2_147_483_647);
        /// Serves while the quorum is lost.
        live "sorry_server" "ADDR [PORT]" "-" "none" => sorry_server: Option<(IpAddr, u16)> = None, |c, v| {
            *v = crate::lvs::endpoint(c, 1).map(|(a, p)| (a, p.unwrap_or(0))).or(*v);
        };
        /// How packets reach the sorry server.
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
        live "lvs_method" "as lb_kind" "-" "NAT" => |c, s| crate::lvs::kind(c, &mut s.method);
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
        live "password" "STRING" "-" "none" => password: Option<Secret> = None, |c, v| {
            let Some(w) = c.value() else { return };
            *v = Some(Secret::new(w.text.as_bytes()));
        };
        /// Authorities.
        live "ca" "PATH" "-" "none" => ca: Option<String> = None, |c, v| c.text(v);
        /// Certificate.
        live "certificate" "PATH" "-" "none" => certificate: Option<String> = None, |c, v| c.text(v);
        /// Key.
        live "key" "PATH" "-" "none" => key: Option<String> = None, |c, v| c.text(v);
    } also {} plain {
        /// Where `ca`, `certificate` and `key` are.
        places: [Place; 3];
    }
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
