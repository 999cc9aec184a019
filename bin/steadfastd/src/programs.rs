//! Programs that a child has run for it by its runner.
//!
//! The parent starts the runner when the child says that it needs one, and again when it dies; the pipes between the two outlive
//! both. Each life of a runner has a number: a new one means that the old one's programs are nobody's, and those whose answer is
//! still wanted are started again.

use crate::cli::Options;
use crate::vrrp::plan::Command;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use steadfast_config::host::{self, Host, SystemHost, unsafe_shell_text};
use steadfast_config::model::{GlobalDefs, User};
use steadfast_core::Time;
use steadfast_ipc::{Envelope, Job, JobEnd, Message, Outbox, encode, parse, pieces};
use steadfast_sys::opened::{self, Closed, Opened};
use steadfast_sys::pipe::{PACKET, Packet, Reader, Writer};
use steadfast_sys::{Reactor, now};

/// A runner that does not answer for so long is ended.
const SILENCE: Duration = Duration::from_secs(5);
/// Of the programs of one that does not answer for so long nobody knows how they are.
const SHORT_SILENCE: Duration = Duration::from_millis(300);

/// Who runs a program that names nobody: script_user, else keepalived_script where that account exists.
pub fn account(globals: &GlobalDefs) -> Option<User> {
    globals.script_user.or_else(|| SystemHost.user("keepalived_script").map(|(uid, gid)| User { uid, gid }))
}

/// A program that may run as root.
#[derive(Debug)]
pub struct Safe {
    /// Its file, whatever else has its name in PATH.
    pub path: PathBuf,
    /// What was looked at.
    pub opened: Opened,
}

/// Why one may not, or cannot.
#[derive(Debug)]
pub enum Unsafe {
    /// Others could exchange it, or what the text of a shell names.
    Refused(String),
    /// Nobody knows: it could not be looked at.
    Unknown(io::Error),
}

impl std::fmt::Display for Unsafe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unsafe::Refused(why) => f.write_str(why),
            Unsafe::Unknown(e) => write!(f, "{e}"),
        }
    }
}

/// Looks at a program that is to run as root. What is looked at is held while it is.
pub fn safe_program(argv: &[String]) -> Result<Safe, Unsafe> {
    let first = argv.first().map_or("", String::as_str);
    let path = host::program(first).ok_or_else(|| Unsafe::Refused(format!("{first} was not found")))?;
    let opened = match opened::open(&path, &host::changeable, host::LINKS, &host::too_many_links) {
        Ok(opened) => opened,
        // What was not there to be looked at is not started, whoever puts it there meanwhile.
        Err(Closed::Absent(e)) => return Err(Unsafe::Refused(e.to_string())),
        Err(Closed::Refused(why)) => return Err(Unsafe::Refused(format!("{first} is unsafe: {why}"))),
        Err(Closed::Failed(e)) => return Err(Unsafe::Unknown(e)),
    };
    if let Some(text) = host::shell_text(argv)
        && let Some(why) = unsafe_shell_text(&SystemHost, text)
    {
        return Err(Unsafe::Refused(format!("'{text}' is unsafe: {why}")));
    }
    Ok(Safe { path, opened })
}

/// Says, once, why programs have the daemon's own view of files where they were to have that of process 1.
pub fn lack_of_view(why: &io::Error) {
    static SAID: std::sync::Once = std::sync::Once::new();
    let takes = match why.kind() {
        io::ErrorKind::PermissionDenied => ", it takes CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_SYS_PTRACE",
        _ => "",
    };
    SAID.call_once(|| {
        log::error!(
            "scripts see files as the daemon does, and mount for it alone: the host's view cannot be had ({why}{takes})"
        );
    });
}

/// The link to the runner.
pub struct Programs {
    link: Option<(Reader, Writer)>,
    outbox: Outbox,
    next: u64,
    /// Number of the runner's life.
    life: Option<u64>,
    running: BTreeMap<u64, Job>,
    /// When it was asked whether it is there, without an answer since.
    asked: Option<Time>,
    /// Another runner has begun.
    replaced: bool,
    /// Programs that run as root must be such that only root can change them (enable_script_security).
    pub safe: bool,
    /// They get the supplementary groups of their account (set_supplementary_groups).
    pub groups: bool,
}

impl Programs {
    /// Takes the two descriptors after those of the parent and of two brothers. What runs for an earlier life of the caller is ended if only that one wanted it.
    pub fn new(options: &Options) -> Self {
        let fd = |n: usize| options.descriptors.get(n).copied().unwrap_or(-1);
        let link = match (Reader::inherited(fd(6)), Writer::inherited(fd(7))) {
            (Ok(reader), Ok(writer)) => Some((reader, writer)),
            _ => None,
        };
        let mut programs = Programs {
            link,
            outbox: Outbox::default(),
            // Numbers are never those of an earlier life.
            next: options.epoch << 32,
            life: None,
            running: BTreeMap::new(),
            asked: None,
            replaced: false,
            safe: false,
            groups: false,
        };
        programs.say(Message::Hello);
        programs
    }

    /// Watches both ends under one token.
    pub fn register(&self, reactor: &Reactor, token: usize) -> io::Result<()> {
        let Some((reader, writer)) = &self.link else { return Ok(()) };
        reactor.watch(reader.fd(), token)?;
        reactor.watch_both(writer.fd(), token)
    }

    /// Has a program started; its number. What becomes of it is among [`Programs::ended`] later. Nobody is interested in a `probe`
    /// any more when the caller is gone.
    pub fn start(&mut self, command: &Command, extra: &[String], probe: bool) -> u64 {
        self.enqueue(command, extra, probe, None)
    }

    /// Has a check's program started: what it writes last is told with its end.
    pub fn check(&mut self, command: &Command) -> u64 {
        self.begin(command, &[], (true, true), None)
    }

    /// Number of the next turn.
    pub fn turn(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The same for a program that waits for those of earlier turns in its queue, also for those of an earlier life of ours.
    pub fn enqueue(&mut self, command: &Command, extra: &[String], probe: bool, queue: Option<(String, u64)>) -> u64 {
        self.begin(command, extra, (probe, false), queue)
    }

    fn begin(
        &mut self,
        command: &Command,
        extra: &[String],
        (probe, heard): (bool, bool),
        queue: Option<(String, u64)>,
    ) -> u64 {
        self.next += 1;
        let as_root = command.user.is_none_or(|(uid, _)| uid == 0);
        let job = Job {
            id: self.next,
            argv: command.argv.iter().chain(extra).cloned().collect(),
            user: command.user,
            groups: self.groups,
            safe: self.safe && as_root,
            probe,
            heard,
            queue,
        };
        self.send(&job);
        // Its limit may be short: whether the runner is there must be known by then.
        if self.asked.is_none() && self.life.is_some() {
            self.asked = Some(now());
            self.say(Message::Heartbeat { late: 0 });
        }
        self.running.insert(job.id, job);
        self.next
    }

    fn send(&mut self, job: &Job) {
        if let Ok(bytes) = encode(job) {
            for piece in pieces(&bytes) {
                self.say(piece);
            }
        }
    }

    /// Signals the process group of a program.
    pub fn signal(&mut self, job: u64, signal: i32) {
        self.say(Message::Signal { job, signal });
    }

    /// Nobody waits for this one any more: it is not started again for another runner.
    pub fn forget(&mut self, job: u64) {
        self.running.remove(&job);
    }

    fn say(&mut self, message: Message) {
        if let Err(e) = self.outbox.command(&Envelope { epoch: 0, message }) {
            log::error!("cannot tell the runner: {e}");
        }
        self.flush();
    }

    fn flush(&mut self) {
        if let Some((_, writer)) = &self.link {
            self.outbox.flush(|f| writer.write(f).is_ok());
        }
    }

    /// The runner does not answer. To be asked now and then; each call asks it again.
    pub fn hangs(&mut self, t: Time) -> bool {
        if self.life.is_none() {
            return false;
        }
        let asked = *self.asked.get_or_insert(t);
        let hangs = t.since(asked) > SILENCE;
        if hangs {
            self.asked = None;
        }
        self.say(Message::Heartbeat { late: 0 });
        hangs
    }

    /// Nobody knows how programs are: the runner has not answered for a moment, or it has just been succeeded by one that has begun them
    /// anew (said once).
    pub fn unknown(&mut self, t: Time) -> bool {
        std::mem::take(&mut self.replaced) || self.asked.is_some_and(|asked| t.since(asked) >= SHORT_SILENCE)
    }

    /// Programs that have ended since the last call.
    pub fn ended(&mut self) -> Vec<(u64, JobEnd, String)> {
        self.flush();
        let mut ended = Vec::new();
        let mut another = false;
        let mut buffer = [0; PACKET];
        while let Some(Packet::Data(n)) = self.link.as_ref().map(|(reader, _)| reader.read(&mut buffer)) {
            let Ok(Envelope { epoch, message }) = parse(buffer.get(..n).unwrap_or_default()) else { continue };
            another |= self.life.replace(epoch).is_some_and(|life| life != epoch);
            self.asked = None;
            if let Message::Ended { job, end, said } = message
                && self.running.remove(&job).is_some()
            {
                ended.push((job, end, said));
            }
        }
        if another {
            self.replaced = true;
            self.again(&mut ended);
        }
        ended
    }

    /// Another runner: probes are started again, and those that still waited for their turn; of the others the end was missed.
    fn again(&mut self, ended: &mut Vec<(u64, JobEnd, String)>) {
        let mut first: HashMap<&str, u64> = HashMap::new();
        for (queue, turn) in self.running.values().filter_map(|j| j.queue.as_ref()) {
            first.entry(queue).and_modify(|t| *t = (*t).min(*turn)).or_insert(*turn);
        }
        let waits = |j: &Job| {
            let first = |(queue, turn): &(String, u64)| first.get(queue.as_str()).is_some_and(|t| t < turn);
            j.queue.as_ref().is_some_and(first)
        };
        let (again, others): (Vec<Job>, Vec<Job>) = self.running.values().cloned().partition(|j| j.probe || waits(j));
        for job in again {
            self.send(&job);
        }
        for job in others {
            self.running.remove(&job.id);
            ended.push((job.id, JobEnd::Exited(0), String::new()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown, symlink};

    /// Between the look and the start nobody but root can put anything into the place that was looked at.
    #[test]
    fn what_others_could_put_there_in_a_moment_does_not_run_as_root() {
        let folder = tempfile::tempdir().expect("folder");
        let at = |name: &str| folder.path().join(name);
        let look = |path: PathBuf| {
            let seen = safe_program(&[path.display().to_string()]);
            // The check of a file and the start go by one rule, but that what is absent is not started.
            let refused = host::exchangeable(&path).is_some() || !path.exists();
            assert_eq!(seen.is_err(), refused, "{}", path.display());
            seen.map(|safe| safe.path).map_err(|why| why.to_string())
        };
        for (name, mode) in [("own", 0o755), ("his", 0o755), ("shared", 0o775), ("open", 0o777)] {
            std::fs::create_dir(at(name)).expect("folder");
            std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).expect("mode");
            std::fs::write(at(name).join("plain"), "#!/bin/sh\n").expect("file");
            symlink("/bin/true", at(name).join("link")).expect("link");
        }
        if chown(at("his"), Some(65534), None).and_then(|()| chown(at("shared"), None, Some(65534))).is_err() {
            println!("SKIPPED: folders of others (only root can make one)");
            return;
        }
        // Not executable, a link of root's, and one that is not there: all of that could be otherwise in a moment.
        for name in ["plain", "link", "absent"] {
            let own = look(at("own").join(name));
            match name {
                "absent" => assert!(own.is_err_and(|why| why.contains("No such file")), "nor is it later"),
                _ => assert_eq!(own, Ok(at("own").join(name))),
            }
            for folder in ["his", "shared", "open"] {
                let why = look(at(folder).join(name)).expect_err("it is refused");
                assert!(why.contains(&at(folder).display().to_string()), "{why}");
            }
        }
        // By way of a link of root's, and upwards again.
        symlink(at("his").join("plain"), at("own").join("there")).expect("link");
        assert!(look(at("own").join("there")).is_err());
        assert!(look(at("his").join("../own/plain")).is_err());
        assert!(safe_program(&["no such program of any name".into()]).is_err());
        let found = safe_program(&["true".into()]).expect("it is in PATH").path;
        assert!(found.is_absolute() && found.ends_with("true"));
    }
}
