//! The command line, keepalived's option for option. Its rules are getopt_long's (short options run together, values attached,
//! order free), so the words are read here and not by a library with rules of its own.

use std::path::PathBuf;

/// What the daemon presents itself as: keepalived's version whose behaviour it has, for programs that compare.
pub const COMPATIBLE: &str = "2.4.3";

/// Options.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Options {
    pub file: PathBuf,
    pub vrrp_only: bool,
    pub check_only: bool,
    /// -B.
    pub no_bfd: bool,
    pub all: bool,
    pub console: bool,
    pub detail: u8,
    pub facility: u8,
    pub log_file: Option<PathBuf>,
    pub no_syslog: bool,
    pub umask: Option<u32>,
    pub dont_release: bool,
    /// -I: the IPVS table stays at a stop.
    pub keep_ipvs: bool,
    pub dont_respawn: bool,
    pub dont_fork: bool,
    pub dump: bool,
    pub address_monitoring: bool,
    pub pid: Option<PathBuf>,
    pub vrrp_pid: Option<PathBuf>,
    pub checkers_pid: Option<PathBuf>,
    pub bfd_pid: Option<PathBuf>,
    /// -x: all MIBs.
    pub snmp: bool,
    /// -A: socket of the AgentX master.
    pub snmp_socket: Option<String>,
    pub namespace: Option<String>,
    pub config_id: Option<String>,
    pub all_config: bool,
    pub ignore_sigint: bool,
    pub core_dump: bool,
    /// -M: kernel.core_pattern while the daemon runs.
    pub core_pattern: Option<String>,
    /// Descriptor that gets what was read as one text.
    pub config_fd: Option<i32>,
    /// Scripts see files as process 1 does.
    pub host_scripts: bool,
    /// File of a test's report; stderr without.
    pub test_report: Option<PathBuf>,
    /// Internal: descriptors of a role, in its own order.
    pub descriptors: Vec<i32>,
    /// Internal: number of the child's life.
    pub epoch: u64,
    /// Internal: the parent's process id.
    pub parent: i32,
    /// Internal: the first life of this child of the daemon.
    pub first_life: bool,
    /// Internal: only take away what is in the kernel.
    pub withdraw: bool,
    /// Internal: where the VRRP or checker child writes down what is ours in the kernel.
    pub record: Option<PathBuf>,
    /// Internal: end where the first thing would be done to the host.
    pub rehearse: bool,
    /// Internal, with that: say what there is to know by what was kept, then end.
    pub testify: bool,
    /// What the log's identifier ends with.
    pub ident: String,
    /// Internal: descriptor of what an older program hands over.
    pub handover: Option<i32>,
    /// A test counts it among its reports.
    pub bad_facility: Option<String>,
    /// All words, to hand on to roles.
    pub words: Vec<String>,
}

impl Options {
    /// What a role holds in the kernel stays there when it ends.
    pub fn keeps(&self, role: &str) -> bool {
        if role == "checker" { self.keep_ipvs } else { self.dont_release }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            file: "/etc/keepalived/keepalived.conf".into(),
            vrrp_only: false,
            check_only: false,
            no_bfd: false,
            all: false,
            console: false,
            detail: 0,
            facility: 3,
            log_file: None,
            no_syslog: false,
            umask: None,
            dont_release: false,
            keep_ipvs: false,
            dont_respawn: false,
            dont_fork: false,
            dump: false,
            address_monitoring: false,
            pid: None,
            vrrp_pid: None,
            checkers_pid: None,
            bfd_pid: None,
            snmp: false,
            snmp_socket: None,
            namespace: None,
            config_id: None,
            all_config: false,
            ignore_sigint: false,
            core_dump: false,
            core_pattern: None,
            config_fd: None,
            host_scripts: false,
            test_report: None,
            descriptors: Vec::new(),
            epoch: 0,
            parent: 0,
            first_life: false,
            withdraw: false,
            record: None,
            ident: String::new(),
            handover: None,
            rehearse: false,
            testify: false,
            bad_facility: None,
            words: Vec::new(),
        }
    }
}

/// What is asked for.
pub enum Request {
    /// Text on stderr, and the exit status.
    Print(String, i32),
    /// A number on stdout.
    Number(i32),
    /// Check the configuration.
    Test(Box<Options>),
    /// Run as a role.
    Role(String, Box<Options>),
    /// Run.
    Daemon(Box<Options>),
}

/// Whether an option takes a value: no, yes, or attached only.
#[derive(Clone, Copy, PartialEq)]
enum Value {
    No,
    Yes,
    Attached,
}

const TABLE: &[(char, &str, Value, &str)] = &[
    ('f', "use-file", Value::Yes, "main configuration file"),
    ('P', "vrrp", Value::No, "only the VRRP child"),
    ('C', "check", Value::No, "only the checker child"),
    ('B', "no_bfd", Value::No, "no BFD child"),
    ('\0', "all", Value::No, "all children, even without configuration"),
    ('l', "log-console", Value::No, "log to stderr"),
    ('D', "log-detail", Value::No, "log more; twice: still more"),
    ('S', "log-facility", Value::Yes, "syslog facility: 0-7, local0-local7, user, daemon"),
    ('g', "log-file", Value::Attached, "log to a file too (/tmp/keepalived.log)"),
    ('\0', "flush-log-file", Value::No, "accepted; lines are always written whole"),
    ('G', "no-syslog", Value::No, "no syslog"),
    ('u', "umask", Value::Yes, "file creation mask"),
    ('V', "dont-release-vrrp", Value::No, "keep addresses and routes at a stop"),
    ('I', "dont-release-ipvs", Value::No, "keep the IPVS table at a stop"),
    ('X', "release-vips", Value::No, "accepted; addresses are always released"),
    ('R', "dont-respawn", Value::No, "a child's death stops the daemon"),
    ('n', "dont-fork", Value::No, "stay in the foreground"),
    ('d', "dump-conf", Value::No, "dump the configuration at start"),
    ('p', "pid", Value::Yes, "pid file of the parent"),
    ('r', "vrrp_pid", Value::Yes, "pid file of the VRRP child"),
    ('c', "checkers_pid", Value::Yes, "pid file of the checker child"),
    ('b', "bfd_pid", Value::Yes, "pid file of the BFD child"),
    ('a', "address-monitoring", Value::No, "log every change of an address"),
    ('x', "snmp", Value::No, "all MIBs over AgentX"),
    ('A', "snmp-agent-socket", Value::Yes, "socket of the AgentX master"),
    ('s', "namespace", Value::Yes, "network namespace"),
    ('m', "core-dump", Value::No, "core dumps"),
    (
        'M',
        "core-dump-pattern",
        Value::Attached,
        "core dumps under this name (core); kernel.core_pattern is set until the end",
    ),
    ('e', "all-config", Value::No, "every include problem is an error"),
    ('i', "config-id", Value::Yes, "id of @ID lines"),
    ('\0', "ignore-sigint", Value::No, "ignore SIGINT"),
    ('\0', "signum", Value::Yes, "print the number of a signal: STOP RELOAD DATA STATS STATS_CLEAR JSON"),
    ('t', "config-test", Value::Attached, "check the configuration and end"),
    (
        '\0',
        "config-fd",
        Value::Yes,
        "descriptor that gets what was read as one text: no includes, variables, conditions",
    ),
    ('T', "genhash", Value::No, "as the first option: prints the digest of a page"),
    ('v', "version", Value::No, "version"),
    ('h', "help", Value::No, "this help"),
    ('\0', "host-scripts", Value::No, "scripts see files as process 1 does: for a unit that has a view of its own"),
    ('\0', "role", Value::Yes, ""),
    ('\0', "descriptors", Value::Yes, ""),
    ('\0', "epoch", Value::Yes, ""),
    ('\0', "parent", Value::Yes, ""),
    ('\0', "handover", Value::Yes, ""),
    ('\0', "first-life", Value::No, ""),
    ('\0', "withdraw", Value::No, ""),
    ('\0', "rehearse", Value::No, ""),
    ('\0', "testify", Value::No, ""),
    ('\0', "record", Value::Yes, ""),
    ('\0', "ident", Value::Yes, ""),
];

fn help(program: &str) -> String {
    let mut text = format!("Usage: {program} [OPTION...]\n");
    for (short, long, value, what) in TABLE.iter().filter(|t| !t.3.is_empty()) {
        let short = if *short == '\0' { "    ".to_string() } else { format!("-{short}, ") };
        let value = match value {
            Value::No => "",
            Value::Yes => "=VALUE",
            Value::Attached => "[=VALUE]",
        };
        text.push_str(&format!("  {short}{:<28} {what}\n", format!("--{long}{value}")));
    }
    text
}

fn version() -> String {
    format!(
        "Keepalived v{COMPATIBLE} (11/20,2026), by steadfast {}\n\nCopyright (C) 2026 the steadfast authors, MIT OR Apache-2.0\n\n\
         Built with Rust for Linux\nconfigure options: --enable-json\n\
         Config options: NFTABLES LVS VRRP JSON{}{}\n",
        env!("CARGO_PKG_VERSION"),
        if cfg!(feature = "snmp") { " SNMP_V3_FOR_V2 SNMP_VRRP SNMP_CHECKER SNMP_RFCV2 SNMP_RFCV3" } else { "" },
        if cfg!(feature = "dbus") { " DBUS" } else { "" }
    )
}

fn facility(text: &str) -> Option<u8> {
    match text {
        "user" => Some(1),
        "daemon" => Some(3),
        t => t.strip_prefix("local").unwrap_or(t).parse::<u8>().ok().filter(|n| *n <= 7).map(|n| n + 16),
    }
}

/// Reads the command line.
pub fn parse(arguments: &[String]) -> Request {
    let program = arguments.first().map(String::as_str).unwrap_or("steadfastd");
    let mut o = Box::new(Options { words: arguments.get(1..).unwrap_or_default().to_vec(), ..Default::default() });
    let mut test = false;
    let mut role = None;
    let mut rest = arguments.iter().skip(1);
    let (mut unknown, mut wrong) = (Vec::new(), Vec::new());
    while let Some(word) = rest.next() {
        let mut found: Vec<(&str, Option<String>)> = Vec::new();
        if let Some(long) = word.strip_prefix("--").filter(|l| !l.is_empty()) {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_string())));
            // getopt takes an unambiguous beginning of a long option.
            let mut fit = TABLE
                .iter()
                .filter(|t| t.1 == name)
                .chain(TABLE.iter().filter(|t| t.1.starts_with(name) && !t.3.is_empty()));
            let Some(entry) = fit.next() else {
                return Request::Print(format!("{program}: unrecognized option '{word}'\n{}", help(program)), 1);
            };
            let value = if entry.2 == Value::Yes && value.is_none() { rest.next().cloned() } else { value };
            if entry.2 == Value::Yes && value.is_none() {
                return Request::Print(format!("{program}: option '--{}' requires an argument\n", entry.1), 1);
            }
            found.push((entry.1, value));
        } else if let Some(shorts) = word.strip_prefix('-').filter(|s| !s.is_empty()) {
            for (i, c) in shorts.char_indices() {
                let Some(entry) = TABLE.iter().find(|t| t.0 == c && c != '\0') else {
                    return Request::Print(format!("{program}: invalid option -- '{c}'\n{}", help(program)), 1);
                };
                let attached = shorts.get(i + c.len_utf8()..).filter(|a| !a.is_empty()).map(str::to_string);
                let value = match entry.2 {
                    Value::No => None,
                    Value::Attached => attached.clone(),
                    Value::Yes => attached.clone().or_else(|| rest.next().cloned()),
                };
                if entry.2 == Value::Yes && value.is_none() {
                    return Request::Print(format!("{program}: option requires an argument -- '{c}'\n"), 1);
                }
                found.push((entry.1, value));
                if entry.2 != Value::No {
                    break;
                }
            }
        } else {
            unknown.push(word.clone());
        }
        for (name, value) in found {
            let path = || value.clone().map(PathBuf::from);
            let text = value.clone().unwrap_or_default();
            match name {
                "use-file" => o.file = text.into(),
                "vrrp" => o.vrrp_only = true,
                "check" => o.check_only = true,
                "no_bfd" => o.no_bfd = true,
                "all" => o.all = true,
                "log-console" => o.console = true,
                "log-detail" => o.detail += 1,
                "log-facility" => match facility(&text) {
                    Some(f) => o.facility = f,
                    None => o.bad_facility = Some(format!("Invalid log facility '{text}', ignoring it")),
                },
                "log-file" => o.log_file = Some(path().unwrap_or_else(|| "/tmp/keepalived.log".into())),
                "no-syslog" => o.no_syslog = true,
                "umask" => {
                    let parsed = text.strip_prefix("0x").map_or_else(
                        || u32::from_str_radix(&text, if text.starts_with('0') { 8 } else { 10 }).ok(),
                        |h| u32::from_str_radix(h, 16).ok(),
                    );
                    match parsed.filter(|m| *m <= 0o777) {
                        Some(m) => o.umask = Some(m),
                        None => wrong.push(format!("Invalid umask '{text}', ignoring it")),
                    }
                }
                "genhash" => return Request::Print("-T must be the first option\n".into(), 1),
                "dont-release-vrrp" => o.dont_release = true,
                "dont-release-ipvs" => o.keep_ipvs = true,
                "dont-respawn" => o.dont_respawn = true,
                "dont-fork" => o.dont_fork = true,
                "dump-conf" => o.dump = true,
                "address-monitoring" => o.address_monitoring = true,
                "pid" => o.pid = path(),
                "vrrp_pid" => o.vrrp_pid = path(),
                "checkers_pid" => o.checkers_pid = path(),
                "bfd_pid" => o.bfd_pid = path(),
                "snmp" => o.snmp = true,
                "snmp-agent-socket" => o.snmp_socket = value.clone(),
                "namespace" => o.namespace = value.clone(),
                "config-id" => o.config_id = value.clone(),
                "all-config" => o.all_config = true,
                "ignore-sigint" => o.ignore_sigint = true,
                "core-dump" => o.core_dump = true,
                "core-dump-pattern" => {
                    o.core_dump = true;
                    o.core_pattern = Some(value.clone().unwrap_or_else(|| "core".into()));
                }
                "config-test" => {
                    test = true;
                    o.test_report = path();
                }
                "config-fd" => match text.parse() {
                    Ok(n) => o.config_fd = Some(n),
                    Err(_) => return Request::Print(format!("--config-fd takes a number, not '{text}'\n"), 1),
                },
                "host-scripts" => o.host_scripts = true,
                "signum" => {
                    return match text.as_str() {
                        "STOP" => Request::Number(15),
                        "RELOAD" => Request::Number(1),
                        "DATA" => Request::Number(10),
                        "STATS" => Request::Number(12),
                        "STATS_CLEAR" => Request::Number(63),
                        "JSON" => Request::Number(36),
                        other => Request::Print(format!("Unknown sigfunc {other}\n"), 1),
                    };
                }
                "version" => return Request::Print(version(), 0),
                "help" => return Request::Print(help(program), 0),
                "role" => role = Some(text),
                "descriptors" => o.descriptors = text.split(',').filter_map(|d| d.parse().ok()).collect(),
                "epoch" => o.epoch = text.parse().unwrap_or(0),
                "parent" => o.parent = text.parse().unwrap_or(0),
                "first-life" => o.first_life = true,
                "withdraw" => o.withdraw = true,
                "rehearse" => o.rehearse = true,
                "testify" => o.testify = true,
                "ident" => o.ident = text,
                "record" => o.record = Some(text.into()),
                "handover" => {
                    o.handover = text.parse().ok();
                    // The words go on to roles and to the next program, this one does not.
                    if let Some(at) = o.words.iter().position(|w| w == "--handover") {
                        o.words.truncate(at);
                    }
                }
                // Accepted: what they ask for is so anyway, or comes with a later part of the daemon.
                _ => {}
            }
        }
    }
    if !unknown.is_empty() {
        wrong.push(format!("Unexpected argument(s): {}", unknown.join(" ")));
    }
    // A start that works with keepalived works here; a role has the same words as its parent, who has said it.
    if role.is_none() {
        wrong.iter().chain(o.bad_facility.iter().filter(|_| !test)).for_each(|text| eprintln!("{text}"));
    }
    match role {
        Some(role) => Request::Role(role, o),
        None if test => Request::Test(o),
        None => Request::Daemon(o),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Options {
        let words: Vec<String> = line.split_whitespace().map(str::to_string).collect();
        match parse(&words) {
            Request::Daemon(o) | Request::Test(o) => *o,
            Request::Print(text, status) => panic!("{status}: {text}"),
            _ => panic!("something else"),
        }
    }

    #[test]
    fn options_run_together_and_values_are_attached_or_follow() {
        let o = options("keepalived -nlD -f/a -p /b --log-facility=local2 -S 3 --use-file /c");
        assert!(o.dont_fork && o.console && o.detail == 1);
        assert_eq!(
            (o.file.to_str(), o.pid.as_deref().and_then(|p| p.to_str()), o.facility),
            (Some("/c"), Some("/b"), 19)
        );
    }

    #[test]
    fn values_that_are_none_do_not_hinder_a_start() {
        let usual = Options::default();
        for line in ["k -S 99", "k --log-facility=local9", "k -S nobody -u 0x1ff -u 999"] {
            let o = options(line);
            assert_eq!((o.facility, o.umask.is_some()), (usual.facility, line.contains("-u")), "{line}");
        }
        assert_eq!(options("k -u 022 -u x").umask, Some(0o22));
    }

    #[test]
    fn a_test_report_must_be_attached() {
        assert_eq!(options("keepalived -t/x").test_report, Some("/x".into()));
        assert_eq!(options("keepalived -t=F").test_report, Some("=F".into()));
        assert_eq!(options("keepalived --config-test=F -f y").test_report, Some("F".into()));
        assert_eq!(options("keepalived -t -f y").test_report, None);
    }

    #[test]
    fn scripts_are_the_hosts_where_that_is_asked_for_alone() {
        assert!(!options("keepalived -n -l").host_scripts);
        // What is short for an option is as short as it was.
        assert!(matches!(parse(&["keepalived".into(), "--h".into()]), Request::Print(_, 0)));
        let o = options("keepalived --dont-fork --host-scripts -D --handover 7");
        assert!(o.host_scripts && o.detail == 1);
        // What a role is told, and the next program.
        assert_eq!(o.words, ["--dont-fork", "--host-scripts", "-D"]);
    }

    #[test]
    fn signal_numbers_and_bad_options() {
        let ask = |w: &str| parse(&["k".to_string(), w.to_string()]);
        assert!(matches!(ask("--signum=JSON"), Request::Number(36)));
        assert!(matches!(ask("--signum=NOPE"), Request::Print(_, 1)));
        assert!(matches!(ask("-Z"), Request::Print(_, 1)));
        assert!(
            matches!(ask("--version"), Request::Print(t, 0) if t.starts_with("Keepalived v2.4.3 (") && t.contains("--enable-json"))
        );
    }
}
