//! What is checked of scripts.

use crate::diag::{Class, Diagnostics, Span};
use crate::host::{Host, ScriptFile};
use crate::model::{Config, Script, User};
use crate::places::Places;
use std::collections::HashSet;

/// How scripts are run that say nothing of it.
struct Runs {
    security: bool,
    account: Option<User>,
    root: bool,
}

impl Runs {
    /// Why a script of a change will not run, as things are now.
    fn fault(&self, s: &Script, host: &dyn Host) -> Option<String> {
        let first = s.argv.first().filter(|_| s.shell.is_none())?;
        let as_root = s.user.or(self.account).map_or(self.root, |u| u.uid == 0);
        match host.script(first) {
            ScriptFile::Missing => Some(format!("'{first}' does not exist now")),
            ScriptFile::NotExecutable => Some(format!("'{first}' is not executable now")),
            ScriptFile::Insecure(why) if as_root && self.security => {
                Some(format!("'{first}' is unsafe, it will not be run: {why}"))
            }
            ScriptFile::Insecure(_) | ScriptFile::Good(_) => {
                if let Some(why) = unsafe_text(host, &s.argv).filter(|_| as_root && self.security) {
                    return Some(format!("'{first}' is unsafe, it will not be run: {why}"));
                }
                let absent = host.absent_interpreter(first)?;
                Some(format!("'{first}' cannot be run: {}", without(&absent)))
            }
        }
    }
}

/// Why the text that a shell is given in words (`/bin/sh -c TEXT`) is not run as root with script security.
fn unsafe_text(host: &dyn Host, argv: &[String]) -> Option<String> {
    crate::host::shell_text(argv).and_then(|text| crate::host::unsafe_shell_text(host, text))
}

/// Why a script cannot be run whose interpreter is absent.
fn without(interpreter: &str) -> String {
    match interpreter.strip_suffix('\r') {
        Some(name) => {
            format!("its first line ends with a carriage return, which the kernel takes for a part of '{name}'")
        }
        None => format!("its interpreter '{interpreter}' does not exist now"),
    }
}

/// Scripts of changes that will not run: silent in keepalived's test; a note, which changes no exit status, helps who mistyped a path.
fn notes(config: &Config, host: &dyn Host, at: &Places, d: &mut Diagnostics, runs: &Runs) {
    let mut note = |place: Option<Span>, what: String, s: Option<&Script>| {
        if let Some(why) = s.and_then(|s| runs.fault(s, host)) {
            d.push(Class::Note, place, format!("{what} script {why}"));
        }
    };
    for i in &config.instances {
        for (word, s) in [
            ("notify", &i.notify),
            ("notify_backup", &i.notify_backup),
            ("notify_fault", &i.notify_fault),
            ("notify_master", &i.notify_master),
            ("notify_stop", &i.notify_stop),
            ("notify_master_rx_lower_pri", &i.notify_master_rx_lower_pri),
            ("notify_deleted", &i.notify_deleted.clone().flatten()),
        ] {
            note(at.of("vrrp_instance", &i.name, word), format!("({}) {word}", i.name), s.as_ref());
        }
    }
    for g in &config.groups {
        for (word, s) in [
            ("notify", &g.notify),
            ("notify_backup", &g.notify_backup),
            ("notify_fault", &g.notify_fault),
            ("notify_master", &g.notify_master),
            ("notify_stop", &g.notify_stop),
        ] {
            note(at.of("vrrp_sync_group", &g.name, word), format!("({}) {word}", g.name), s.as_ref());
        }
    }
    let g = &config.globals;
    for (word, s) in [
        ("startup_script", &g.startup_script),
        ("shutdown_script", &g.shutdown_script),
        ("notify_fifo_script", &g.notify_fifo_script),
        ("vrrp_notify_fifo_script", &g.vrrp_notify_fifo_script),
        ("lvs_notify_fifo_script", &g.lvs_notify_fifo_script),
    ] {
        note(at.of("global_defs", "", word), word.into(), s.as_ref());
    }
    for v in &config.virtual_servers {
        for (word, s) in [("quorum_up", &v.quorum_up), ("quorum_down", &v.quorum_down)] {
            note(v.place.span(), word.into(), s.as_ref());
        }
        for r in &v.real_servers {
            for (word, s) in [("notify_up", &r.notify_up), ("notify_down", &r.notify_down)] {
                note(r.place.span(), word.into(), s.as_deref());
            }
        }
    }
}

/// Looks at every script; true when there are any that run.
pub(super) fn check(config: &mut Config, host: &dyn Host, at: &Places, d: &mut Diagnostics) -> bool {
    let security = config.globals.enable_script_security;
    let default_user =
        config.globals.script_user.or_else(|| host.user("keepalived_script").map(|(uid, gid)| User { uid, gid }));
    let root = default_user.is_none() && host.own_user().0 == 0;
    let runs = Runs { security, account: default_user, root };
    let mut any = false;
    let used: HashSet<&str> = config
        .instances
        .iter()
        .flat_map(|i| &i.track_script)
        .chain(config.groups.iter().flat_map(|g| &g.track_script))
        .map(|t| t.name.as_str())
        .collect();
    for s in &mut config.scripts {
        s.left_out.clear();
        let named = format!("vrrp_script {}", s.name);
        let here = |word: &str| at.of("vrrp_script", &s.name, word);
        let Some(script) = &s.script else {
            d.push(Class::General, here(""), format!("{}: no script given, ignoring it", named));
            s.disabled = true;
            s.left_out = "no script is given".into();
            continue;
        };
        // A script that nobody tracks is looked at all the same, and never run.
        s.disabled = !used.contains(s.name.as_str());
        if s.disabled {
            d.push(Class::Note, here(""), format!("{}: nobody tracks it", named));
        }
        if s.user == Some(None) {
            d.push(Class::General, here("user"), format!("{}: its user does not exist, ignoring it", named));
            s.disabled = true;
            s.left_out = "its user does not exist".into();
            continue;
        }
        let first = script.argv.first().map(String::as_str).unwrap_or("");
        if first.starts_with('<') {
            continue;
        }
        if security && root && s.user.is_none() {
            d.push_help(
                Class::General,
                here("script"),
                format!("{}: with script security a script needs an account, ignoring it", named),
                Some("give script_user in global_defs, or make an account named keepalived_script".into()),
            );
            s.disabled = true;
            s.left_out = "with script security it needs an account (script_user)".into();
            continue;
        }
        let as_root = s.user.flatten().or(default_user).map_or(root, |u| u.uid == 0);
        if let Some(why) = script.shell.as_ref().and_then(|_| crate::host::unsafe_shell_text(host, &script.text))
            && as_root
            && security
        {
            d.push(
                Class::General,
                here("script"),
                format!("{}: script '{}' is unsafe, ignoring it: {why}", named, script.text),
            );
            s.disabled = true;
            s.left_out = format!("it is unsafe: {why}");
            continue;
        }
        if let Some(shell) = &script.shell {
            // keepalived takes the first word for a program and the rest for its arguments; here a shell runs the text.
            let program = !matches!(host.script(first), ScriptFile::Missing);
            any |= program;
            d.push(
                if program { Class::Note } else { Class::Warning },
                here("script"),
                format!("{}: '{}' is shell text, running it by {shell}", named, script.text),
            );
            continue;
        }
        match host.script(first) {
            ScriptFile::Missing => {
                d.push(Class::General, here("script"), format!("{}: script '{first}' not found, ignoring it", named));
                s.disabled = true;
                s.left_out = format!("'{first}' was not found");
            }
            ScriptFile::NotExecutable => {
                d.push(
                    Class::General,
                    here("script"),
                    format!("{}: script '{first}' is not executable, ignoring it", named),
                );
                s.disabled = true;
                s.left_out = format!("'{first}' is not executable");
            }
            ScriptFile::Insecure(why) if as_root && security => {
                d.push(
                    Class::General,
                    here("script"),
                    format!("{}: script '{first}' is unsafe, ignoring it: {why}", named),
                );
                s.disabled = true;
                s.left_out = format!("'{first}' is unsafe: {why}");
            }
            ScriptFile::Insecure(why) if as_root => {
                any = true;
                d.push(Class::Note, here("script"), format!("{}: script '{first}' is unsafe: {why}", named));
            }
            ScriptFile::Insecure(_) | ScriptFile::Good(_) => {
                any = true;
                if let Some(why) = unsafe_text(host, &script.argv).filter(|_| as_root && security) {
                    let text = format!("{named}: script '{first}' is unsafe, it will not be run: {why}");
                    d.push(Class::Note, here("script"), text);
                }
                if let Some(absent) = host.absent_interpreter(first) {
                    let text = format!("{named}: script '{first}' cannot be run: {}", without(&absent));
                    d.push(Class::Note, here("script"), text);
                }
            }
        }
    }
    // Notification scripts that are missing are silent in a test, and they count as scripts only when they exist.
    let mut exists = |s: &Script| {
        let first = s.argv.first().map(String::as_str).unwrap_or("");
        s.shell.is_none() && !matches!(host.script(first), ScriptFile::Missing)
    };
    let notify = config.instances.iter().flat_map(|i| {
        [&i.notify, &i.notify_backup, &i.notify_fault, &i.notify_master, &i.notify_stop, &i.notify_master_rx_lower_pri]
    });
    let notify = notify.chain(
        config
            .groups
            .iter()
            .flat_map(|g| [&g.notify, &g.notify_backup, &g.notify_fault, &g.notify_master, &g.notify_stop]),
    );
    any |= notify.flatten().any(&mut exists);
    notes(config, host, at, d, &runs);
    // With script security nobody is left to run the scripts that name no account.
    let orphan = |s: &&Script| s.user.is_none();
    let of_instance = config.instances.iter().find_map(|i| {
        [
            ("notify", &i.notify),
            ("notify_backup", &i.notify_backup),
            ("notify_fault", &i.notify_fault),
            ("notify_master", &i.notify_master),
            ("notify_stop", &i.notify_stop),
        ]
        .into_iter()
        .find(|(_, s)| s.as_ref().filter(orphan).is_some())
        .map(|(word, _)| at.of("vrrp_instance", &i.name, word))
    });
    if let Some(place) = of_instance.filter(|_| security && root) {
        d.push_help(
            Class::General,
            place,
            "with script security a script needs an account, and none is named keepalived_script",
            Some("give script_user in global_defs".into()),
        );
    }
    any
}
