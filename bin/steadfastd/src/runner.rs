//! The runner role: starts programs for one child, which confines itself and can start none. It knows nothing of configurations;
//! scripts get no descriptors of ours, an account of their own, and a process group that can be ended whole.
//!
//! When its client begins a new life the runner ends those programs whose answer only the old one wanted; when the client is gone
//! for good it ends itself, too.

use crate::cli::Options;
use std::collections::HashMap;
use std::time::Duration;
use steadfast_config::host::{Host, ScriptFile, SystemHost};
use steadfast_core::Time;
use steadfast_ipc::{Assembler, Envelope, Job, JobEnd, Message, Outbox, decode, parse};
use steadfast_sys::pipe::{PACKET, Packet, Reader, Writer};
use steadfast_sys::signals::Signals;
use steadfast_sys::spawn::{self, End, Spec};
use steadfast_sys::{Reactor, now, schedule};

const CLIENT: usize = 0;
const ANSWERS: usize = 1;
const SIGNALS: usize = 2;

const SIGCHLD: i32 = 17;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Who was told to end and has not ended by then is ended.
const GRACE: Duration = Duration::from_secs(5);

struct Running {
    id: u64,
    probe: bool,
    /// A probe that was told to end is killed then.
    until: Option<Time>,
}

struct Runner {
    reader: Reader,
    writer: Writer,
    outbox: Outbox,
    assembler: Assembler,
    epoch: u64,
    /// Programs that run.
    running: HashMap<i32, Running>,
}

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    let fd = |n: usize| options.descriptors.get(n).copied().unwrap_or(-1);
    let (Ok(signals), Ok(mut reactor)) = (Signals::new(), Reactor::new()) else { return 1 };
    let (Ok(reader), Ok(writer)) = (Reader::inherited(fd(0)), Writer::inherited(fd(1))) else { return 1 };
    let watched = reactor
        .watch(reader.fd(), CLIENT)
        .and_then(|()| reactor.watch_both(writer.fd(), ANSWERS))
        .and_then(|()| reactor.watch(signals.fd(), SIGNALS));
    if watched.is_err() || !schedule::die_with_parent(options.parent) {
        return 1;
    }
    let mut runner = Runner {
        reader,
        writer,
        outbox: Outbox::default(),
        assembler: Assembler::default(),
        epoch: options.epoch,
        running: HashMap::new(),
    };
    runner.say(Message::Hello);
    let mut ready = Vec::new();
    loop {
        let mut ended = false;
        while let Some(signal) = signals.next() {
            match signal {
                SIGCHLD => runner.reap(),
                // The parent says so, or is dead; then the client has last words to be told to scripts.
                SIGTERM => ended |= schedule::has_parent(options.parent),
                _ => {}
            }
        }
        if !runner.hear() || ended {
            runner.end_probes();
            return 0;
        }
        let writer = &runner.writer;
        runner.outbox.flush(|f| writer.write(f).is_ok());
        if reactor.wait(Some(runner.kill_late_ones(now())), false, &mut ready).is_err() {
            return 1;
        }
    }
}

impl Runner {
    /// Takes what the client wants; false when it is gone.
    fn hear(&mut self) -> bool {
        let mut buffer = [0; PACKET];
        loop {
            match self.reader.read(&mut buffer) {
                Packet::Empty => return true,
                Packet::Closed => return false,
                Packet::Data(n) => match parse(buffer.get(..n).unwrap_or_default()).map(|e| e.message) {
                    Ok(Message::Config { last, bytes }) => {
                        if let Ok(Some(whole)) = self.assembler.add(last, &bytes)
                            && let Ok(job) = decode::<Job>(&whole)
                        {
                            self.start(job);
                        }
                    }
                    Ok(Message::Signal { job, signal }) => {
                        if let Some((pid, program)) = self.running.iter_mut().find(|(_, p)| p.id == job) {
                            program.until = program.probe.then(|| now() + GRACE);
                            spawn::signal_group(*pid, signal);
                        }
                    }
                    Ok(Message::Hello) => {
                        self.end_probes();
                        self.say(Message::Hello);
                    }
                    _ => {}
                },
            }
        }
    }

    /// Kills whose time is over; when to look again.
    fn kill_late_ones(&mut self, t: Time) -> Time {
        for (pid, program) in &mut self.running {
            if program.until.take_if(|until| *until <= t).is_some() {
                spawn::signal_group(*pid, SIGKILL);
            }
        }
        self.running.values().filter_map(|p| p.until).min().unwrap_or(Time::FAR)
    }

    fn end_probes(&mut self) {
        for (pid, _) in self.running.iter().filter(|(_, p)| p.probe) {
            spawn::signal_group(*pid, SIGKILL);
        }
        self.running.retain(|_, p| !p.probe);
    }

    fn start(&mut self, job: Job) {
        match begin(&job) {
            Ok(pid) => drop(self.running.insert(pid, Running { id: job.id, probe: job.probe, until: None })),
            Err(why) => self.say(Message::Ended { job: job.id, end: JobEnd::NotStarted(why) }),
        }
    }

    fn reap(&mut self) {
        while let Some((pid, end)) = spawn::reap() {
            if let Some(Running { id, .. }) = self.running.remove(&pid) {
                let end = match end {
                    End::Exited(status) => JobEnd::Exited(status),
                    End::Signalled(signal) => JobEnd::Signalled(signal),
                };
                self.say(Message::Ended { job: id, end });
            }
        }
    }

    fn say(&mut self, message: Message) {
        // A message of this size always fits.
        let _ = self.outbox.command(&Envelope { epoch: self.epoch, message });
    }
}

/// Starts a program; why not, in words.
fn begin(job: &Job) -> Result<i32, String> {
    let first = job.argv.first().ok_or("there is no command")?;
    // Whoever could put another file there between this look and the start could do so before, too: he is refused. So is one that
    // was harmless when the configuration was read.
    if job.safe
        && let ScriptFile::Insecure(why) = SystemHost.script(first)
    {
        return Err(format!("{first} is unsafe: {why}"));
    }
    let spec = Spec {
        argv: job.argv.iter().map(Into::into).collect(),
        user: job.user,
        group: true,
        clean_environment: true,
        ..Default::default()
    };
    spawn::keep_supplementary_groups(job.groups);
    spawn::spawn(&spec).map_err(|e| e.to_string())
}
