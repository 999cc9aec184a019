//! steadfast: the operator's command.
#![forbid(unsafe_code)]

mod ask;
mod news;
mod plan;
mod servers;
mod sessions;
mod show;
mod trackers;

use clap::{Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use steadfast_config::diag::{self, json, render};
use steadfast_config::host::Host;
use steadfast_config::model::Config;
use steadfast_config::source::{FsReader, Options};
use steadfast_config::{SystemHost, keywords, load};
use steadfast_core::text::plain as plain_text;
use steadfast_net::tls;
use steadfast_status::live::{Server, Service, Tracker, Whole};

#[derive(Parser)]
#[command(version, about = "Asks steadfastd how it is, and looks at its configurations")]
struct Cli {
    /// The daemon's control socket; without it the usual one
    #[arg(long, global = true)]
    socket: Option<PathBuf>,
    /// The daemon's parent process, whose socket may be anywhere
    #[arg(long, global = true)]
    pid: Option<u32>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show instances, trackers, BFD sessions, virtual and real servers, and the daemon's processes
    Status {
        /// For tools
        #[arg(long)]
        json: bool,
        /// Again every second
        #[arg(long, short)]
        watch: bool,
    },
    /// Say in sentences why an instance, a sync group, a tracker, a BFD session, a virtual or a real server is in its state, and what would change it
    Explain {
        /// The vrrp_instance, vrrp_sync_group, bfd_instance or tracker; the virtual_server, the real_server, or one after the other.
        /// Without it: all names
        #[arg(num_args = 0.., value_name = "NAME")]
        name: Vec<String>,
    },
    /// Read the configuration anew; fails when the new one is not taken over
    Reload {
        /// Also with faults that the running one does not have: what is faulty is left out
        #[arg(long)]
        force: bool,
    },
    /// Let the program that is installed now take over from the running one, without a failover
    Upgrade,
    /// Say what a reload would do: + what comes, - what goes, ~ what changes
    Plan {
        /// The file; without it the daemon's own
        file: Option<PathBuf>,
    },
    /// Give a real server no new connections from this director
    Drain {
        /// The virtual server and the real server, as in the file or as `steadfast status` names them, with or without quotes
        #[arg(required = true, num_args = 2.., value_names = ["SERVICE", "SERVER"])]
        names: Vec<String>,
    },
    /// End the draining of a real server
    Undrain {
        /// The virtual server and the real server
        #[arg(required = true, num_args = 2.., value_names = ["SERVICE", "SERVER"])]
        names: Vec<String>,
    },
    /// Check a configuration; exit status as with steadfastd -t, but 6 for a file that cannot be read
    Check {
        /// The file; without it the running daemon's own, else /etc/keepalived/keepalived.conf
        file: Option<PathBuf>,
        /// Reports for tools
        #[arg(long)]
        json: bool,
        /// Id of @ID lines; the host name up to its first dot without it
        #[arg(long, short = 'i')]
        config_id: Option<String>,
    },
    /// List the keywords of the language with their syntax, range, default and meaning
    Keywords {
        /// Only those of the sections with this in their name, or the keyword of this name
        section: Option<String>,
        /// Separated by tabs: section, keyword, syntax, range, default, supported, meaning
        #[arg(long)]
        tsv: bool,
    },
}

fn main() {
    let cli = Cli::parse();
    let found = match &cli.command {
        Command::Check { file: Some(_), .. } | Command::Keywords { .. } => Ok(PathBuf::new()),
        _ => ask::socket(cli.socket, cli.pid),
    };
    let socket = match &found {
        Ok(path) => path.as_path(),
        Err(e) => {
            eprintln!("steadfast: {e}");
            std::process::exit(1);
        }
    };
    std::process::exit(match cli.command {
        Command::Status { json, watch } => told(status(socket, json, watch)),
        Command::Explain { name } => told(explain(socket, &name)),
        Command::Reload { force } => reload(socket, force),
        Command::Upgrade => upgrade(socket),
        Command::Plan { file } => told(planned(socket, file)),
        Command::Drain { names } => told(drain(socket, &names, "on")),
        Command::Undrain { names } => told(drain(socket, &names, "off")),
        Command::Check { file, json, config_id } => match file.map_or_else(|| usual(socket), Ok) {
            Ok(file) => check(&file, json, config_id),
            Err(e) => told(Err(e)),
        },
        Command::Keywords { section, tsv } => list(section.as_deref(), tsv),
    });
}

/// 0, or 1 and the reason.
fn told(result: Result<(), String>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("steadfast: {}", plain_text(&e));
            1
        }
    }
}

fn wall() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

/// Writes; true when nobody reads any more.
fn closed(text: &str) -> bool {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err()
}

fn status(socket: &Path, json: bool, watch: bool) -> Result<(), String> {
    let terminal = std::io::stdout().is_terminal();
    loop {
        let (whole, text) = match ask::status(socket) {
            Ok(answer) => answer,
            Err(e) if watch => {
                // It may come back.
                eprintln!("steadfast: {e}");
                std::thread::sleep(Duration::from_secs(1));
                continue;
            }
            Err(e) => return Err(e),
        };
        let shown =
            if json { text } else { plain_text(&show::status(&whole, wall(), show::Paint(terminal))).into_owned() };
        let clear = if watch && terminal && !json { "\x1b[H\x1b[J" } else { "" };
        if closed(&format!("{clear}{shown}")) || !watch {
            return Ok(());
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn explain(socket: &Path, words: &[String]) -> Result<(), String> {
    let (whole, _) = ask::status(socket)?;
    if words.is_empty() {
        closed(&plain_text(&listed(&whole)));
        return Ok(());
    }
    let name = &words.join(" ");
    if let Some(text) = explained_servers(&whole, words) {
        closed(&plain_text(&text));
        return Ok(());
    }
    let troubles: String = whole.troubles().iter().map(|t| format!("Beside this: {t}.\n")).collect();
    let services = whole.checker.map(|c| c.services).unwrap_or_default();
    let vrrp = whole.vrrp.unwrap_or_default();
    let sessions = whole.bfd.map(|b| b.sessions).unwrap_or_default();
    let silence = |child: &str| whole.children.iter().find(|c| c.name == child).and_then(show::silence);
    // What only makes a sentence longer: a daemon of another version does without.
    let config: Option<Config> =
        ask::ask(socket, &["config"]).ok().and_then(|bytes| steadfast_ipc::decode(&bytes).ok());
    let scripts = config.map(|c| c.scripts).unwrap_or_default();
    let instances = vrrp.instances.as_slice();
    let around = trackers::Around { instances, scripts: &scripts, trackers: &vrrp.trackers, services: &services };
    let tracker = |t: &&Tracker| t.name == *name || format!("{} {}", t.kind, t.name) == *name;
    let text = if let Some(i) = instances.iter().find(|i| i.name == *name) {
        show::explain(i, &around, silence("vrrp"), wall())
    } else if let Some(s) = sessions.iter().find(|s| s.name == *name) {
        sessions::explain(s, silence("bfd"), wall())
    } else if let Some((group, state)) = vrrp.groups.iter().find(|(group, _)| group == name) {
        show::explain_group(group, state, instances, silence("vrrp"), wall())
    } else if vrrp.trackers.iter().any(|t| tracker(&t)) {
        let of = vrrp.trackers.iter().filter(tracker);
        of.map(|t| trackers::explain(t, &around, silence("vrrp"), wall())).collect::<Vec<_>>().join("\n")
    } else if instances.iter().any(|i| i.interface == *name) {
        show::explain_link(name, instances, silence("vrrp"))
    } else {
        let groups = vrrp.groups.iter().map(|(group, _)| group);
        let names = instances.iter().map(|i| &i.name).chain(groups).chain(sessions.iter().map(|s| &s.name));
        let names = names.chain(vrrp.trackers.iter().map(|t| &t.name)).cloned();
        let mut names: Vec<String> = names.chain(services.iter().map(|s| servers::written(&s.name))).collect();
        names.sort();
        names.dedup();
        let servers = services.iter().flat_map(|s| s.servers.iter().map(|r| r.name.as_str()));
        let known = || names.iter().map(String::as_str).chain(servers.clone());
        let small = name.to_lowercase();
        let near = |n: &&str| diag::suggest(&small, std::iter::once(n.to_lowercase().as_str())).is_some();
        let same = known().find(|n| n.eq_ignore_ascii_case(name)).or_else(|| known().find(near));
        let meant = same.map(|n| format!(" (did you mean {n}?)")).unwrap_or_default();
        let list = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        return Err(format!("there is nothing that is called {name}{meant}; there are: {list}"));
    };
    closed(&plain_text(&(text + &troubles)));
    Ok(())
}

/// The names that can be explained, by what they are.
fn listed(whole: &Whole) -> String {
    let mut rows: Vec<(String, String)> = Vec::new();
    for i in whole.vrrp.iter().flat_map(|v| &v.instances) {
        rows.push((i.name.clone(), format!("vrrp_instance, {}", i.state)));
    }
    for (group, state) in whole.vrrp.iter().flat_map(|v| &v.groups) {
        rows.push((group.clone(), format!("vrrp_sync_group, {state}")));
    }
    let told = |good: Option<bool>| match good {
        Some(true) => ", good",
        Some(false) => ", bad",
        None => "",
    };
    // Sessions and virtual servers have rows of their own.
    let own = |t: &&Tracker| !matches!(t.kind.as_str(), "BFD session" | "virtual server");
    for t in whole.vrrp.iter().flat_map(|v| &v.trackers).filter(own) {
        rows.push((t.name.clone(), format!("{}{}", t.kind, told(t.good))));
    }
    for s in whole.bfd.iter().flat_map(|b| &b.sessions) {
        rows.push((s.name.clone(), format!("BFD session, {}", s.state)));
    }
    let up = |up: bool| if up { "up" } else { "down" };
    for s in whole.checker.iter().flat_map(|c| &c.services) {
        rows.push((servers::written(&s.name), format!("virtual server, {}", up(s.quorum))));
        rows.extend(s.servers.iter().map(|r| (format!("  {}", r.name), format!("real server, {}", up(r.up)))));
    }
    let wide = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, what)| format!("{name:<wide$}  {what}\n")).collect()
}

/// The sentences about virtual and real servers of this name, where no instance has it.
fn explained_servers(whole: &Whole, words: &[String]) -> Option<String> {
    let name = words.join(" ");
    let vrrp = whole.vrrp.as_ref();
    let known = vrrp
        .is_some_and(|v| v.instances.iter().any(|i| i.name == name) || v.groups.iter().any(|g| g.0 == name))
        || whole.bfd.as_ref().is_some_and(|b| b.sessions.iter().any(|s| s.name == name));
    let all = whole.checker.as_ref().filter(|_| !known).map(|c| c.services.as_slice())?;
    let silence = || whole.children.iter().find(|c| c.name == "checker").and_then(show::silence);
    let mut found = servers::services(all, &name);
    let pairs = match servers::parted(all, words) {
        Some((service, server)) => servers::servers(&servers::services(all, &service), &server),
        None => servers::servers(&all.iter().collect::<Vec<_>>(), &name),
    };
    // The address alone will do where it is of one virtual server.
    if found.is_empty() && pairs.is_empty() {
        found = servers::at(all.iter(), |s| &s.name, &name);
    }
    if !found.is_empty() {
        let texts = found.into_iter().map(|s| servers::explain_service(s, whole, silence(), wall()));
        return Some(texts.collect::<Vec<_>>().join("\n"));
    }
    let pairs = if pairs.is_empty() {
        servers::at(all.iter().flat_map(|s| s.servers.iter().map(move |r| (s, r))), |(_, r)| &r.name, &name)
    } else {
        pairs
    };
    let texts = pairs.into_iter().map(|(s, r)| servers::explain_server(s, r, silence(), wall()));
    Some(texts.collect::<Vec<_>>().join("\n")).filter(|text| !text.is_empty())
}

/// Says why it was refused, where the file tells it, and what is new of what the file does not do.
fn reload(socket: &Path, force: bool) -> i32 {
    let words: &[&str] = if force { &["reload", "force"] } else { &["reload"] };
    // One that stands still is asked for nothing but the reload.
    let lives = ask::lives(socket);
    let before = Some(socket).filter(|_| lives).and_then(|s| ask::begun(s).ok());
    let reports = before.as_ref().and_then(|_| ask::reports(socket, "running"));
    let again = match ask::insist(socket, words, before.as_ref().map(|b| b.pid)) {
        Ok(again) => again,
        Err(e) => {
            eprintln!("steadfast: {e}");
            show_faults(socket, &e);
            return 1;
        }
    };
    // Where the program's file was replaced meanwhile, another one has answered the next question. One that took over before it was
    // asked has reloaded.
    if let Some(before) = before.filter(|_| !again) {
        match successor(socket, &before) {
            Some(Some(whole)) => {
                closed(&format!(
                    "{}: the program's file had been replaced, so the reload was an upgrade\n",
                    taken(&whole)
                ));
            }
            Some(None) => {}
            None => return silent_successor(),
        }
    }
    // What a manager of services asks for is in its journal, from the daemon's log.
    if std::env::var_os("MAINPID").is_none()
        && let (Some(before), Some(now)) = (reports, ask::reports(socket, "last"))
    {
        let file = ask::status(socket).map(|(whole, _)| whole.file).unwrap_or_default();
        news::told(&before, &now, &file).iter().for_each(|l| eprintln!("steadfast: {}", plain_text(l)));
    }
    if let Some([runs, read]) = ask::fixed(socket) {
        plan::fixed(&runs, &read).iter().for_each(|l| eprintln!("steadfast: warning: {}", l.trim_start_matches("~ ")));
    }
    0
}

/// Who answers after a reload: nobody within half a minute, the program that was asked (`Some(None)`), or the one that took over from it.
fn successor(socket: &Path, before: &ask::Begun) -> Option<Option<Whole>> {
    let (process, until) = (ask::process_of(socket, before.pid), Instant::now() + Duration::from_secs(30));
    while Instant::now() < until && process.as_ref().is_none_or(ask::Process::lives) {
        match ask::begun(socket) {
            Ok(now) if !now.is_another(before) => return Some(None),
            Ok(now) if now.said => return ask::status(socket).ok().map(|(whole, _)| Some(whole)),
            _ => std::thread::sleep(Duration::from_millis(100)),
        }
    }
    None
}

fn taken(whole: &Whole) -> String {
    format!("steadfast {} has taken over, pid {}", whole.version, whole.pid)
}

fn silent_successor() -> i32 {
    eprintln!("steadfast: the new program does not answer");
    1
}

/// What is wrong with the daemon's file, where that is why it refused it.
fn show_faults(socket: &Path, refusal: &str) {
    if !refusal.contains("new configuration") {
        return;
    }
    match ask::own_file(socket) {
        Ok(file) => _ = check(&file, false, None),
        Err(_) => _ = closed(&plain_text(&ask::reports(socket, "last").unwrap_or_default())),
    }
}

/// The daemon did not take something over, and runs on as before.
const REFUSED: i32 = 3;

/// Waits until the new program answers, at most half a minute. Exit status: 0, 3 when the old one goes on, 1 without an answer.
fn upgrade(socket: &Path) -> i32 {
    let fail = |e: String, status| {
        eprintln!("steadfast: {e}");
        status
    };
    let (before, process) = match ask::begun(socket) {
        Ok(begun) => (begun.since, ask::process_of(socket, begun.pid)),
        Err(e) => return fail(e, 1),
    };
    if let Err(e) = ask::order(socket, &["upgrade"])
        && !e.ends_with("no answer")
    {
        if e.ends_with(ask::SILENT) {
            return fail(e, 1);
        }
        let status = fail(e.clone(), REFUSED);
        show_faults(socket, &e);
        // What the daemon's log says with it.
        if e.contains("faults that the running one does not have") {
            eprintln!(
                "steadfast: `steadfast reload --force` takes the file over all the same, and the new program, where its file was replaced"
            );
        }
        return status;
    }
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        // Another daemon may be there by now, whose since is later as well.
        if process.as_ref().is_some_and(|p| !p.lives()) {
            return fail("the daemon has ended instead: its log, or that of the new program, says why".into(), 1);
        }
        std::thread::sleep(Duration::from_millis(100));
        if let Ok(now) = ask::begun(socket)
            && now.said
            && now.since > before + 0.001
        {
            if let Ok((w, _)) = ask::status(socket) {
                closed(&format!("{}\n", taken(&w)));
            }
            return 0;
        }
    }
    silent_successor()
}

/// A real server takes no new connections, or does again. Names as `status` shows them, or as in the configuration.
fn drain(socket: &Path, words: &[String], on: &str) -> Result<(), String> {
    let (whole, _) = ask::status(socket)?;
    let all = whole.checker.map(|c| c.services).unwrap_or_default();
    let instances = whole.vrrp.map(|v| v.instances).unwrap_or_default();
    let pairs = chosen(&all, words)?;
    for (s, r) in pairs {
        ask::order(socket, &["drain", &s.name, &r.name, on])?;
        let done = match (on == "on", r.drained) {
            (true, false) => "is drained now: no new connections; `steadfast undrain` ends it".to_string(),
            (true, true) => "was drained already".into(),
            (false, true) => format!("is drained no more: its weight is {}", r.written_weight),
            (false, false) => "was not drained".into(),
        };
        closed(&plain_text(&format!("{} of {} {done}\n", r.name, servers::written(&s.name))));
        let alone = !s.servers.iter().any(|other| other.name != r.name && servers::takes(other));
        let lost = s.quorum && s.live_weight.saturating_sub(u64::from(r.weight)) < s.needed;
        if on != "on" || !servers::takes(r) || !(alone || lost) {
            continue;
        }
        let name = servers::written(&s.name);
        let mut then = if alone {
            format!("{name} has no other server that takes connections, ")
        } else {
            format!("{name} loses its quorum by this, ")
        };
        then += &match &s.sorry {
            Some((sorry, _)) if alone => format!("the sorry server {sorry} serves if the quorum is lost by this"),
            Some((sorry, _)) => format!("and the sorry server {sorry} serves alone"),
            None => "and there is no sorry server".into(),
        };
        if let Some(who) = servers::following(s, &instances).filter(|_| lost) {
            then += &format!("; {who} (track_virtual_server)");
        }
        eprintln!("warning: {}", plain_text(&then));
    }
    Ok(())
}

/// The servers that are meant: those of just these names, else all that fit, as of a service of several protocols.
fn chosen<'a>(services: &'a [Service], words: &[String]) -> Result<Vec<(&'a Service, &'a Server)>, String> {
    let listed = |names: Vec<String>| names.join(", ");
    if services.is_empty() {
        return Err("there is no virtual server".into());
    }
    // Two words are two names; of more, as names in the file have blanks, nobody knows yet where the first one ends.
    let (service, server) = match words {
        [service, server] => (service.clone(), server.clone()),
        _ => servers::parted(services, words).unwrap_or_else(|| {
            let n = words.len().div_ceil(2);
            (words[..n].join(" "), words[n..].join(" "))
        }),
    };
    let found = servers::services(services, &service);
    if found.is_empty() {
        let all = listed(services.iter().map(|s| servers::written(&s.name)).collect());
        let hint = if words.len() > 2 { "; quotes show where a name with blanks ends" } else { "" };
        return Err(format!("no virtual server {service}; there are: {all}{hint}"));
    }
    let pairs = servers::servers(&found, &server);
    if pairs.is_empty() {
        let all = listed(found.iter().flat_map(|s| s.servers.iter().map(|r| r.name.clone())).collect());
        return Err(format!("{service} has no real server {server}; it has: {all}"));
    }
    Ok(pairs)
}

fn planned(socket: &Path, file: Option<PathBuf>) -> Result<(), String> {
    let file = match file {
        Some(file) => file,
        None => ask::own_file(socket)?,
    };
    let file = file.as_path();
    let bytes = ask::ask(socket, &["config"])?;
    let running = steadfast_ipc::decode(&bytes).map_err(|e| format!("the daemon is of another version: {e}"))?;
    let outcome = read(file, None);
    if let Some(status) = steadfast_config::run_failure(&outcome) {
        eprint!("{}", render(&outcome.diagnostics, &outcome.files, std::io::stderr().is_terminal()));
        return Err(format!("{} cannot be used (status {status}): a reload would change nothing", file.display()));
    }
    let c = &outcome.config;
    if c.instances.is_empty() && c.statics.is_empty() && c.virtual_servers.is_empty() && c.bfd.is_empty() {
        return Err(format!("{} is empty: a reload would change nothing", file.display()));
    }
    let (whole, _) = ask::status(socket)?;
    let elsewhere = ask::lives_elsewhere(socket, whole.pid, "net");
    // What is not here may be where the daemon lives.
    let absent = |link: &str| !elsewhere && SystemHost.interface(link).is_none();
    let mut lines = plan::plan(&running, &outcome.config, &absent);
    if let Some([runs, read]) = ask::fixed(socket) {
        let wanted: plan::Fixed = c.fixed().into_iter().map(|(word, value)| (word.to_string(), value)).collect();
        lines.retain(|l| ![&runs, &read, &wanted].iter().any(|words| plan::is_on(l, words)));
        lines.extend(plan::fixed(&runs, &wanted));
    }
    // What managers have set is not in the running file, and a reload ends it.
    for i in whole.vrrp.map(|v| v.instances).unwrap_or_default() {
        let Some(wanted) = c.instances.iter().find(|w| w.name == i.name) else { continue };
        let preempt = |on: bool| if on { "enabled" } else { "disabled" };
        let priority = i.set_priority.zip(wanted.priority).filter(|(set, file)| set != file);
        lines.extend(
            priority.map(|(set, p)| format!("~ vrrp_instance {} > priority: {set}, set by SNMP -> {p}", i.name)),
        );
        let set = i.set_preempt.filter(|set| *set == wanted.nopreempt);
        let file = preempt(!wanted.nopreempt);
        lines.extend(
            set.map(|s| format!("~ vrrp_instance {} > preemption: {}, set by SNMP -> {file}", i.name, preempt(s))),
        );
    }
    let text = if lines.is_empty() { "nothing would change\n".into() } else { lines.join("\n") + "\n" };
    let known: Vec<u32> = String::from_utf8_lossy(&ask::ask(socket, &["faults"])?)
        .split_whitespace()
        .filter_map(|f| f.parse().ok())
        .collect();
    if steadfast_ipc::new_faults(&known, &outcome.diagnostics.faults()) {
        eprint!("{}", render(&outcome.diagnostics, &outcome.files, std::io::stderr().is_terminal()));
        closed(&format!("`steadfast reload --force` would do this:\n{text}"));
        return Err(format!(
            "{} has faults that the running configuration does not have: a reload would change nothing, nor would an upgrade",
            file.display()
        ));
    }
    if let Some(before) = ask::reports(socket, "running") {
        eprint!("{}", news::shown(&before, &outcome, file, elsewhere, std::io::stderr().is_terminal()));
    }
    closed(&text);
    Ok(())
}

/// The file of the running daemon, else the usual one.
fn usual(socket: &Path) -> Result<PathBuf, String> {
    let usual = PathBuf::from("/etc/keepalived/keepalived.conf");
    if ask::status(socket).is_err() {
        return Ok(usual);
    }
    let own = ask::own_file(socket)?;
    if own != usual {
        eprintln!("the running daemon's file: {}", own.display());
    }
    Ok(own)
}

fn read(file: &Path, config_id: Option<String>) -> steadfast_config::Outcome {
    let config_id = config_id.unwrap_or_else(|| {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().split('.').next().unwrap_or("").to_string()
    });
    let mut outcome = load(file, &FsReader, &Options { config_id, ..Default::default() }, &SystemHost);
    if outcome.unreadable {
        outcome.diagnostics.notes_are_fatal();
    }
    outcome.note_ssl(|s| tls::faults(s.ca.as_deref(), s.certificate.as_deref(), s.key.as_deref(), s.password.as_ref()));
    outcome.diagnostics.sort();
    outcome
}

fn check(file: &Path, as_json: bool, config_id: Option<String>) -> i32 {
    let outcome = read(file, config_id);
    let mut out = std::io::stdout().lock();
    // A reader that closes the pipe early is no error.
    if as_json {
        let text = serde_json::to_string_pretty(&json(&outcome.diagnostics, &outcome.files)).unwrap_or_default();
        let _ = writeln!(out, "{text}");
    } else {
        let _ = write!(out, "{}", render(&outcome.diagnostics, &outcome.files, std::io::stdout().is_terminal()));
        let summary = outcome.diagnostics.summary();
        let _ = if summary.is_empty() { Ok(()) } else { writeln!(out, "{summary}") };
    }
    if outcome.unreadable { 6 } else { outcome.diagnostics.exit_status() }
}

/// Keywords of the sections with `wanted` in their name, and those of that name; 1 when there are none.
fn list(wanted: Option<&str>, tsv: bool) -> i32 {
    let fits = |k: &steadfast_config::Keyword| wanted.is_none_or(|w| k.word == w || k.section.contains(w));
    let mut out = std::io::stdout().lock();
    let mut all: Vec<_> = keywords().filter(fits).collect();
    // For people within each section by name; programs get them as they are declared.
    if !tsv {
        let mut sections = std::collections::HashMap::new();
        let mut of = |k: &steadfast_config::Keyword| {
            let next = sections.len();
            *sections.entry(k.section).or_insert(next)
        };
        all.sort_by_cached_key(|k| (of(k), k.word.trim_matches(['(', ')']).to_lowercase()));
    }
    let any = !all.is_empty();
    for k in all {
        let supported = if k.supported { "yes" } else { "not yet" };
        let doc = k.doc.trim();
        let written = if tsv {
            let syntax = if k.syntax.is_empty() { "-" } else { k.syntax };
            writeln!(out, "{}\t{}\t{syntax}\t{}\t{}\t{supported}\t{doc}", k.section, k.word, k.range, k.default)
        } else {
            let shown = |name: &str, what: &str| if what == "-" { String::new() } else { format!(" {name}: {what}.") };
            let (syntax, later) =
                (if k.syntax == "-" { "" } else { k.syntax }, if k.supported { "" } else { " Not supported yet." });
            let bounds = format!("{}{}{later}", shown("Range", k.range), shown("Default", k.default));
            let head = format!("{} > {} {syntax}", k.section, k.word);
            writeln!(out, "{}\n    {doc}{bounds}", head.trim_end())
        };
        if written.is_err() {
            return 0;
        }
    }
    if !any {
        eprintln!("steadfast: no section and no keyword {}", wanted.unwrap_or_default());
    }
    i32::from(!any)
}

#[cfg(test)]
mod tests {
    use super::{Server, Service, chosen};

    #[test]
    fn the_server_that_is_named_is_meant_and_without_a_protocol_all_that_fit() {
        let of = |name: &str, server: &str| Service {
            name: name.into(),
            servers: vec![Server { name: server.into(), ..Server::default() }],
            ..Service::default()
        };
        let services = [
            of("[10.9.0.9]:tcp:53", "[127.0.0.1]:tcp:53"),
            of("[10.9.0.9]:udp:53", "[127.0.0.1]:udp:53"),
            of("[10.9.0.3]:0", "[127.0.0.1]:tcp:53"),
            of("[10.9.0.3]:0", "[127.0.0.1]:udp:53"),
            of("FWM 5", "[10.0.0.1]:none:80"),
            of("FWM 5", "[fd00::1]:none:80"),
        ];
        let names = |service: &str, server: &str| {
            let all = chosen(&services, &[service.into(), server.into()])
                .map(|all| all.iter().map(|(_, r)| r.name.clone()).collect());
            all.unwrap_or_else(|e| vec![e])
        };
        assert_eq!(names("[10.9.0.9]:udp:53", "[127.0.0.1]:udp:53"), ["[127.0.0.1]:udp:53"]);
        assert_eq!(names("10.9.0.9 53", "127.0.0.1 53"), ["[127.0.0.1]:tcp:53", "[127.0.0.1]:udp:53"]);
        assert_eq!(names("group 10.9.0.3", "[127.0.0.1]:udp:53"), ["[127.0.0.1]:udp:53"]);
        assert_eq!(names("fwmark 5", "fd00::1 80"), ["[fd00::1]:none:80"]);
        assert_eq!(chosen(&[], &["a".into(), "b".into()]).map(|_| ()), Err("there is no virtual server".to_string()));
        let all = "[10.9.0.9]:tcp:53, [10.9.0.9]:udp:53, group 10.9.0.3, group 10.9.0.3, fwmark 5, fwmark 5";
        assert_eq!(names("fwmark 7", "x"), [format!("no virtual server fwmark 7; there are: {all}")]);
        assert_eq!(
            names("fwmark 5", "x"),
            ["fwmark 5 has no real server x; it has: [10.0.0.1]:none:80, [fd00::1]:none:80"]
        );
    }
}
