//! The loader role: files to configuration. It lives for one reading and decodes what nobody else must.

use crate::cli::Options;
use steadfast_config::diag::{Class, render, render_compat};
use steadfast_config::source::FsReader;
use steadfast_config::{Outcome, SystemHost};
use steadfast_core::text::plain;
use steadfast_ipc::{Envelope, FRAME, Facts, Message, cut_faults, encode, frame, pieces};
use steadfast_net::tls;

use std::time::Duration;
use steadfast_sys::given::Given;
use steadfast_sys::pipe::{WriteError, Writer};

/// Room that a message's envelope takes.
const ENVELOPE: usize = 64;
/// Who wants the text of a daemon's configuration has this long to read some of it.
const READER: Duration = Duration::from_secs(5);

/// Reads the configuration that the options name; `text` becomes what was read.
fn load(options: &Options, text: Option<&mut String>) -> Outcome {
    let id = options.config_id.clone().unwrap_or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().split('.').next().unwrap_or("").to_string()
    });
    let seed = steadfast_sys::now().as_nanos();
    let source =
        steadfast_config::source::Options { config_id: id, include_check_all: options.all_config, random_seed: seed };
    let mut outcome = match text {
        None => steadfast_config::load(&options.file, &FsReader, &source, &SystemHost),
        Some(text) => {
            let (outcome, all) = steadfast_config::load_consolidated(&options.file, &FsReader, &source, &SystemHost);
            *text = all;
            outcome
        }
    };
    if outcome.config.globals.enable_dbus && !cfg!(feature = "dbus") {
        let text = "enable_dbus has no effect: this program was built without D-Bus";
        outcome.diagnostics.push(Class::Unsupported, None, text);
    }
    if wants_snmp(&outcome) && !cfg!(feature = "snmp") {
        let text = "words of SNMP have no effect: this program was built without SNMP";
        outcome.diagnostics.push(Class::Unsupported, None, text);
    }
    // Looked up once: all processes are to mean the same account.
    outcome.config.globals.script_user = crate::programs::account(&outcome.config.globals);
    outcome.note_ssl(|s| tls::faults(s.ca.as_deref(), s.certificate.as_deref(), s.key.as_deref(), s.password.as_ref()));
    outcome
}

fn wants_snmp(outcome: &Outcome) -> bool {
    let g = &outcome.config.globals;
    g.snmp_vrrp || g.snmp_checker || g.snmp_rfcv2 || g.snmp_rfcv3
}

/// `-t`.
pub fn test(options: &Options) -> i32 {
    let given = match options.config_fd.map(|n| (n, Given::take(n))) {
        None => None,
        Some((_, Ok(given))) => Some(given),
        Some((n, Err(e))) => {
            eprintln!("--config-fd={n}: {}", plain(&e.to_string()));
            return 1;
        }
    };
    let mut text = String::new();
    let mut outcome = load(options, given.as_ref().map(|_| &mut text));
    if let Some(Err(e)) = given.map(|g| g.write_all(text.as_bytes(), None)) {
        eprintln!("--config-fd: {}", plain(&e.to_string()));
        return 1;
    }
    if let Some(text) = &options.bad_facility {
        outcome.diagnostics.push(Class::General, None, text);
    }
    outcome.diagnostics.sort();
    let colour = options.test_report.is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let text = render(&outcome.diagnostics, &outcome.files, colour);
    match &options.test_report {
        Some(path) => {
            if let Err(e) = std::fs::write(path, &text) {
                eprintln!("Unable to open config-test log file {}: {}", path.display(), plain(&e.to_string()));
                return 1;
            }
        }
        None => eprint!("{text}"),
    }
    // With an absent main file that is 0, as with keepalived.
    outcome.diagnostics.exit_status()
}

/// For how long a child may take to stop, in seconds, where the file does not say it: a master serves until its successor is heard,
/// which of a lower keepalived takes almost an interval in version 3 (RFC 9568 section 6.1: the skew).
fn patience(c: &steadfast_config::model::Config) -> u64 {
    let third = c.instances.iter().filter(|i| i.version == Some(3));
    let longest = third.filter_map(|i| i.advert_int).max().unwrap_or_default();
    (longest.as_secs() + 4).clamp(5, 60)
}

/// What the parent must know.
pub fn facts(outcome: &Outcome) -> Facts {
    let c = &outcome.config;
    let script = |s: &Option<steadfast_config::model::Script>, limit| {
        let account = |s: &steadfast_config::model::Script| s.user.or(c.globals.script_user);
        s.as_ref().map(|s| (s.argv.clone(), account(s).map(|u| (u.uid, u.gid)), limit))
    };
    Facts {
        vrrp: !c.instances.is_empty() || !c.statics.is_empty(),
        checker: !c.virtual_servers.is_empty() || c.globals.lvs_sync_daemon.is_some(),
        bfd: !c.bfd.is_empty(),
        safe_programs: c.globals.enable_script_security,
        by_descriptor: c.globals.scripts_by_descriptor == Some(true),
        dbus: c.globals.enable_dbus,
        snmp: wants_snmp(outcome),
        startup: script(&c.globals.startup_script, c.globals.startup_script_timeout),
        shutdown: script(&c.globals.shutdown_script, c.globals.shutdown_script_timeout),
        child_wait: c.process.child_wait_time.unwrap_or_else(|| patience(c)),
        instance: c.process.instance.clone(),
        namespace: c.process.net_namespace.clone(),
        pid_directory: c.process.use_pid_dir,
        umask: c.globals.umask,
        supplementary_groups: c.globals.supplementary_groups == Some(true),
        name: c.globals.names[0].clone().map(|n| if n.is_empty() { "keepalived".into() } else { n }),
        faults: {
            let mut faults = outcome.diagnostics.faults();
            cut_faults(&mut faults, 300);
            faults
        },
        structured: c.globals.log_structured == Some(true),
        fixed: c.fixed().into_iter().map(|(word, value)| (word.to_string(), value)).collect(),
        parent_dump: crate::dumps::paths(c).parent,
        reload_time: c.globals.reload_time_file.clone().map(|path| (path, c.globals.reload_repeat)),
        reload_file: c.globals.reload_file.clone(),
        check_log: c.globals.reload_check_config.clone().filter(|path| !path.is_empty()),
        save_dir: c.globals.config_save_dir.clone(),
        no_auto_priority: c.globals.auto_priority == 0,
    }
}

/// The role: reports go to the log and to the parent, the configuration to the parent; the exit status is 0 or why the daemon cannot
/// run.
pub fn run(options: &Options) -> i32 {
    crate::child::start_logging(options, "Keepalived");
    crate::child::confine(options, &steadfast_sys::sandbox::LOADER, &Default::default());
    let given = options.descriptors.get(1).and_then(|fd| Given::take(*fd).ok());
    let mut text = String::new();
    let outcome = load(options, given.as_ref().map(|_| &mut text));
    steadfast_sys::logging::structured(outcome.config.globals.log_structured == Some(true));
    let reports = render_compat(&outcome.diagnostics, &outcome.files);
    // Of a rehearsal's reading all has been said.
    for line in reports.lines().filter(|_| !options.rehearse) {
        log::warn!("{line}");
    }
    let failure = steadfast_config::run_failure(&outcome);
    let status = send(options, &outcome, &reports, failure);
    if let Some(Err(e)) = given.map(|g| g.write_all(text.as_bytes(), Some(READER))) {
        log::warn!("--config-fd: {e}");
    }
    steadfast_sys::logging::flush(Duration::from_secs(2));
    status
}

/// What was read, each part under its name, for who saves it: at most 16 MiB.
fn copy(outcome: &Outcome) -> Vec<u8> {
    let mut all: String = outcome.files.all().map(|(name, text)| format!("# {name}\n{text}\n")).collect();
    all.truncate(all.floor_char_boundary(16 << 20));
    all.into_bytes()
}

/// Sends the reports, at most 64 KiB of them, and the configuration when the daemon can run with it.
fn send(options: &Options, outcome: &Outcome, reports: &str, failure: Option<i32>) -> i32 {
    let Some(writer) = options.descriptors.first().and_then(|fd| Writer::inherited(*fd).ok()) else {
        return failure.unwrap_or(1);
    };
    let part = |part: &[u8]| part.to_vec();
    let reports = reports.as_bytes().chunks(3000).take(20).map(part).map(Message::Reports);
    if let Some(status) = failure {
        deliver(&writer, options.epoch, reports);
        return status;
    }
    let Ok(bytes) = encode(&outcome.config) else { return 1 };
    let programs = crate::permits::list(&outcome.config);
    let saved = if outcome.config.globals.config_save_dir.is_some() { copy(outcome) } else { Vec::new() };
    let mut facts = facts(outcome);
    // Of a hundred new faults any one is enough to refuse a reload.
    while facts.faults.len() > 1 && encode(&facts).is_ok_and(|b| b.len() > FRAME - ENVELOPE) {
        let most = facts.faults.len() / 2;
        cut_faults(&mut facts.faults, most);
    }
    let messages = std::iter::once(Message::Facts(Box::new(facts)))
        .chain(reports)
        .chain(saved.chunks(3000).map(part).map(Message::Saved))
        .chain(programs.chunks(3000).map(part).map(Message::Programs))
        .chain(pieces(&bytes));
    i32::from(!deliver(&writer, options.epoch, messages))
}

/// False when the parent does not read.
fn deliver(writer: &Writer, epoch: u64, messages: impl Iterator<Item = Message>) -> bool {
    for message in messages {
        let f = match frame(&Envelope { epoch, message }) {
            Ok(f) => f,
            Err(e) => {
                log::error!("what the parent has to know of the configuration is too long: {e}");
                return false;
            }
        };
        loop {
            match writer.write(&f) {
                Ok(()) => break,
                // The parent reads as fast as it can; this process has nothing else to do.
                Err(WriteError::Full) => std::thread::sleep(std::time::Duration::from_micros(200)),
                Err(WriteError::Closed) => return false,
            }
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use steadfast_config::model::{Config, VrrpInstance};

    #[test]
    fn a_stop_has_the_time_that_a_successor_may_take() {
        let of = |version, seconds| {
            let instance =
                VrrpInstance { version, advert_int: Some(Duration::from_secs(seconds)), ..VrrpInstance::default() };
            patience(&Config { instances: vec![instance], ..Config::default() })
        };
        assert_eq!(
            [of(Some(3), 1), of(Some(3), 10), of(Some(3), 40), of(None, 40), of(Some(3), 200)],
            [5, 14, 44, 5, 60]
        );
    }
}
