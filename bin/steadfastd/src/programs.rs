//! Programs that a child has run for it by its runner.
//!
//! The parent starts the runner when the child says that it needs one, and again when it dies; the pipes between the two outlive
//! both. Each life of a runner has a number: a new one means that the old one's programs are nobody's, and those whose answer is
//! still wanted are started again.

use crate::cli::Options;
use crate::vrrp::plan::Command;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::time::Duration;
use steadfast_config::host::{Host, ScriptFile, SystemHost, unsafe_shell_text};
use steadfast_config::model::{GlobalDefs, User};
use steadfast_core::Time;
use steadfast_ipc::{Envelope, Job, JobEnd, Message, Outbox, encode, parse, pieces};
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

/// Why a program must not run as root: others could exchange it, or what the text of a shell names.
pub fn unsafe_program(argv: &[String]) -> Option<String> {
    let first = argv.first()?;
    if let ScriptFile::Insecure(why) = SystemHost.script(first) {
        return Some(format!("{first} is unsafe: {why}"));
    }
    match argv {
        [_, option, text, ..] if option == "-c" => {
            unsafe_shell_text(&SystemHost, text).map(|why| format!("'{text}' is unsafe: {why}"))
        }
        _ => None,
    }
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
