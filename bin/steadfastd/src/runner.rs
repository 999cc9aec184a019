//! The runner role: starts programs for one child, which confines itself and can start none. It knows nothing of configurations;
//! scripts get no descriptors of ours, an account of their own, and a process group that can be ended whole.
//!
//! Programs of one queue run turn by turn. Each start is made by a thread of its own, since it takes as long as the file system of
//! the program does. When its client begins a new life the runner ends those programs whose answer only the old one wanted; when
//! the client is gone for good it ends itself, too. When it is killed its parent does so, which finds their groups in memory that both have.

use crate::child::{SETTLED, start_logging};
use crate::cli::Options;
use crate::heard::Listener;
use crate::permits::Permits;
use crate::programs::{Unsafe, lack_of_view, safe_program};
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Assembler, Envelope, Job, JobEnd, Message, Outbox, decode, frames, parse};
use steadfast_sys::groups::{Groups, Place};
use steadfast_sys::lack::is_lack;
use steadfast_sys::pipe::{self, PACKET, Packet, Reader, Writer};
use steadfast_sys::signals::Signals;
use steadfast_sys::spawn::{self, End, Output, Spec};
use steadfast_sys::{Reactor, Ready, now, schedule, view};

const CLIENT: usize = 0;
const ANSWERS: usize = 1;
const SIGNALS: usize = 2;
const STARTED: usize = 3;
const PERMITS: usize = 4;
/// Tokens of what programs write: this, and the number of the program.
const HEARD: usize = 5;

const SIGCHLD: i32 = 17;
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// Who was told to end and has not ended by then is ended.
const GRACE: Duration = Duration::from_secs(5);
/// A turn waits so long for the one before it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Programs that wait in one queue at most; then the oldest is not started.
const WAITING: usize = 64;
/// A program that is on no list may be on one that is on its way.
const UNLISTED: Duration = Duration::from_secs(2);
/// So many of them wait at most.
const MANY: usize = 16384;
/// At its own end it lets programs that are under way come to theirs, for so long.
const LAST: Duration = Duration::from_millis(2500);
/// Those that were asked to end have this long of it: a reader of a FIFO may have something to do at SIGTERM.
const FAREWELL: Duration = Duration::from_millis(1000);

/// A program that is being started, or runs.
struct Running {
    probe: bool,
    /// Its place among the groups that the parent sees.
    place: Option<u64>,
    queue: Option<String>,
    pid: Option<i32>,
    /// A signal that came before there was a process.
    early: Option<i32>,
    /// A probe that was told to end is killed then.
    until: Option<Time>,
}

#[derive(Default)]
struct Queue {
    running: HashSet<u64>,
    turn: u64,
    since: Time,
    waiting: VecDeque<Job>,
}

/// Where the parent finds the groups that nobody wants when this process is gone.
#[derive(Default)]
struct Places {
    groups: Option<Arc<Groups>>,
    free: Vec<u64>,
    used: u64,
}

impl Places {
    fn take(&mut self) -> Option<u64> {
        self.groups.as_ref()?;
        Some(self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        }))
    }

    fn give_back(&mut self, place: Option<u64>) {
        let Some((place, groups)) = place.zip(self.groups.as_ref()) else { return };
        groups.put(place, 0);
        self.free.push(place);
    }
}

/// A program that was started, and what it writes where that is wanted; or how it ended instead.
type Begun = Result<(i32, Option<Output>), JobEnd>;

struct Runner {
    reader: Reader,
    writer: Writer,
    outbox: Outbox,
    assembler: Assembler,
    /// What the parent says: lists of programs.
    parent: Reader,
    listing: Assembler,
    permits: Permits,
    /// A list is under way, or none has come yet: nobody can say of a program that it is on none.
    half_listed: bool,
    /// Programs that are on no list, and until when they wait for one.
    unlisted: VecDeque<(Job, Time)>,
    epoch: u64,
    running: HashMap<u64, Running>,
    by_pid: HashMap<i32, u64>,
    /// Groups whose first process followed a signal, and some other has not yet: they are killed then. And their places.
    stubborn: Vec<(i32, Time, Option<u64>)>,
    queues: HashMap<String, Queue>,
    /// Processes that nobody wants any more, and that have not ended yet.
    unwanted: HashSet<i32>,
    places: Places,
    tell: Sender<(u64, Option<u64>, Begun)>,
    started: Receiver<(u64, Option<u64>, Begun)>,
    listener: Listener,
    wake: Arc<Writer>,
}

/// Runs the role; returns its exit status.
pub fn run(options: &Options) -> i32 {
    let fd = |n: usize| options.descriptors.get(n).copied().unwrap_or(-1);
    // What is started may have secrets among its arguments.
    schedule::core_dumps(options.core_dump);
    // Both before there is a thread.
    let inside = options.host_scripts.then(view::enter_host).and_then(Result::err);
    let (Ok(signals), Ok(mut reactor)) = (Signals::new(), Reactor::new()) else { return 1 };
    if let Some(e) = inside {
        start_logging(options, "Keepalived");
        lack_of_view(&e);
    }
    let (Ok(reader), Ok(writer)) = (Reader::inherited(fd(0)), Writer::inherited(fd(1))) else { return 1 };
    let (Ok((woken, wake)), Ok(parent)) = (pipe::pair(), Reader::inherited(fd(2))) else { return 1 };
    let watched = reactor
        .watch(reader.fd(), CLIENT)
        .and_then(|()| reactor.watch_both(writer.fd(), ANSWERS))
        .and_then(|()| reactor.watch(signals.fd(), SIGNALS))
        .and_then(|()| reactor.watch(woken.fd(), STARTED))
        .and_then(|()| reactor.watch(parent.fd(), PERMITS));
    if watched.is_err() || !schedule::die_with_parent(options.parent) {
        return 1;
    }
    let (tell, started) = channel();
    let mut runner = Runner {
        reader,
        writer,
        outbox: Outbox::default(),
        assembler: Assembler::default(),
        parent,
        listing: Assembler::default(),
        permits: Permits::default(),
        half_listed: true,
        unlisted: VecDeque::new(),
        epoch: options.epoch,
        running: HashMap::new(),
        by_pid: HashMap::new(),
        stubborn: Vec::new(),
        queues: HashMap::new(),
        unwanted: HashSet::new(),
        places: Places { groups: Groups::inherited(fd(3)).ok().map(Arc::new), ..Default::default() },
        tell,
        started,
        listener: Listener::default(),
        wake: Arc::new(wake),
    };
    schedule::more_descriptors();
    runner.say(Message::Hello);
    let mut leaving: Option<Time> = None;
    let mut trim = now() + SETTLED;
    let mut ready = Vec::new();
    loop {
        let t = now();
        let mut over = false;
        while let Some(signal) = signals.next() {
            match signal {
                SIGCHLD => runner.reap(t),
                // The parent says so, or is dead; then the client has last words to be told to scripts.
                SIGTERM => over |= schedule::has_parent(options.parent),
                _ => {}
            }
        }
        let mut buffer = [0; PACKET];
        while let Packet::Data(_) = woken.read(&mut buffer) {}
        runner.take_started(t, &reactor);
        let more = runner.listener.listen();
        runner.hear_parent(t);
        over |= !runner.hear(t);
        if over && leaving.is_none() {
            leaving = Some(t + LAST);
            runner.end_probes_but_those_that_leave(t);
            // There is no time left to wait in.
            runner.advance(Time::FAR);
        }
        if leaving.is_some_and(|until| t >= until || runner.running.is_empty()) {
            runner.end_stubborn(Time::FAR);
            // What has ended is not to be run again by the next one.
            let writer = &runner.writer;
            runner.outbox.flush(|f| writer.write(f).is_ok());
            return 0;
        }
        if t >= trim {
            schedule::give_memory_back();
            trim = Time::FAR;
        }
        let due = runner.look_after(t).min(leaving.unwrap_or(Time::FAR)).min(trim);
        let writer = &runner.writer;
        runner.outbox.flush(|f| writer.write(f).is_ok());
        if reactor.wait(Some(due), more, &mut ready).is_err() {
            return 1;
        }
        let heard = ready.iter().filter_map(|r: &Ready| r.token.checked_sub(HEARD));
        runner.listener.loud.extend(heard.map(|id| id as u64));
    }
}

impl Runner {
    /// Takes what the client wants; false when it is gone.
    fn hear(&mut self, t: Time) -> bool {
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
                            self.take(job, t);
                        }
                    }
                    Ok(Message::Signal { job, signal }) => self.signal(job, signal, t),
                    Ok(Message::Heartbeat { late }) => self.say(Message::Heartbeat { late }),
                    Ok(Message::Hello) => {
                        // what its predecessor had not said to the end is not continued
                        self.assembler = Assembler::default();
                        self.end_probes();
                        self.unlisted.retain(|(job, _)| !job.probe);
                        self.say(Message::Hello);
                    }
                    _ => {}
                },
            }
        }
    }

    /// Takes lists of programs.
    fn hear_parent(&mut self, t: Time) {
        let mut buffer = [0; PACKET];
        let mut more = false;
        while let Packet::Data(n) = self.parent.read(&mut buffer) {
            for f in frames(buffer.get(..n).unwrap_or_default()) {
                if let Ok(Message::Config { last, bytes }) = parse(f).map(|e| e.message) {
                    self.half_listed = !last;
                    if let Ok(Some(list)) = self.listing.add(last, &bytes) {
                        more |= self.permits.add(&list);
                    }
                }
            }
        }
        if more {
            std::mem::take(&mut self.unlisted).into_iter().for_each(|(job, until)| self.take_by(job, until, t));
        }
    }

    /// A program that is to be started, now or in its turn. The configuration must name it: who asks may not be who he was.
    fn take(&mut self, job: Job, t: Time) {
        self.take_by(job, t + UNLISTED, t);
    }

    fn take_by(&mut self, mut job: Job, until: Time, t: Time) {
        if self.permits.allow(&job) {
            job.safe |= self.permits.safe && job.user.is_none_or(|(uid, _)| uid == 0);
            return self.take_listed(job, t);
        }
        self.unlisted.push_back((job, until));
        if self.unlisted.len() > MANY
            && let Some((job, _)) = self.unlisted.pop_front()
        {
            let end = JobEnd::Unable("too many wait for the list of programs".into());
            self.say(Message::Ended { job: job.id, end, said: String::new() });
        }
    }

    /// Gives the first so many of those up that are on no list.
    fn refuse_unlisted(&mut self, many: usize) {
        for (job, _) in self.unlisted.drain(..many).collect::<Vec<_>>() {
            let end = JobEnd::NotStarted("the configuration names no such program".into());
            self.say(Message::Ended { job: job.id, end, said: String::new() });
        }
    }

    fn take_listed(&mut self, job: Job, t: Time) {
        // Who has seen a runner die sends again what this one may have read already.
        if self.running.contains_key(&job.id) {
            return;
        }
        let Some((name, turn)) = &job.queue else { return self.start(job) };
        let queue = self.queues.entry(name.clone()).or_default();
        if queue.waiting.iter().any(|j| j.id == job.id) {
            return;
        }
        // The last one to run is to be the newest.
        if *turn < queue.turn {
            let end = JobEnd::NotStarted("one of a later change has begun".into());
            return self.say(Message::Ended { job: job.id, end, said: String::new() });
        }
        if queue.running.is_empty() || (queue.turn == *turn && queue.waiting.is_empty()) {
            (queue.turn, queue.since) = (*turn, t);
            queue.running.insert(job.id);
            return self.start(job);
        }
        let turn = |j: &Job| j.queue.as_ref().map_or(0, |(_, turn)| *turn);
        let at = queue.waiting.partition_point(|j| turn(j) <= turn(&job));
        queue.waiting.insert(at, job);
        if queue.waiting.len() > WAITING
            && let Some(oldest) = queue.waiting.pop_front()
        {
            let end = JobEnd::NotStarted("too many wait for an earlier one".into());
            self.say(Message::Ended { job: oldest.id, end, said: String::new() });
        }
    }

    /// Starts those whose turn it is by `t`.
    fn advance(&mut self, t: Time) {
        let mut due = Vec::new();
        for queue in self.queues.values_mut() {
            while let Some(turn) = queue.waiting.front().and_then(|j| j.queue.as_ref()).map(|(_, turn)| *turn)
                && (queue.running.is_empty() || t.since(queue.since) >= PATIENCE)
            {
                queue.running.clear();
                (queue.turn, queue.since) = (turn, t.min(now()));
                while queue.waiting.front().is_some_and(|j| j.queue.as_ref().is_some_and(|(_, n)| *n == turn)) {
                    let Some(job) = queue.waiting.pop_front() else { break };
                    queue.running.insert(job.id);
                    due.push(job);
                }
            }
        }
        // What was the last turn is known for a while: a former runner's may be sent late.
        let over = |q: &Queue| q.running.is_empty() && q.waiting.is_empty() && t.since(q.since) >= PATIENCE;
        self.queues.retain(|_, q| !over(q));
        due.into_iter().for_each(|job| self.start(job));
    }

    /// Starts one, in a thread.
    fn start(&mut self, job: Job) {
        let (id, probe, queue) = (job.id, job.probe, job.queue.as_ref().map(|(name, _)| name.clone()));
        let place = if probe { self.places.take() } else { None };
        self.running.insert(id, Running { probe, place, queue, pid: None, early: None, until: None });
        let (tell, wake, groups) = (self.tell.clone(), self.wake.clone(), self.places.groups.clone());
        let by_descriptor = self.permits.by_descriptor;
        let work = move || {
            // One that is killed meanwhile leaves nothing that nobody knows of: the group is written down before there is a program.
            let its = groups.as_ref().zip(place).map(|(groups, place)| groups.place(place));
            let begun = begin(&job, by_descriptor, its);
            if let (Some(groups), Some(place), Ok((pid, _))) = (groups, place, &begun) {
                groups.put(place, *pid);
            }
            let _ = tell.send((id, place, begun));
            // A full pipe has woken it already.
            let _ = wake.write(&[0]);
        };
        if let Err(e) = std::thread::Builder::new().stack_size(256 * 1024).spawn(work) {
            let _ = self.tell.send((id, place, Err(not_begun(&e))));
            let _ = self.wake.write(&[0]);
        }
    }

    /// Programs that have been started, or could not be.
    fn take_started(&mut self, t: Time, reactor: &Reactor) {
        while let Ok((id, place, result)) = self.started.try_recv() {
            match result {
                Ok((pid, output)) => {
                    if let Some(output) = output.filter(|o| reactor.watch(o.fd(), HEARD + id as usize).is_ok()) {
                        self.listener.begin(id, output);
                    }
                    let by_pid = &mut self.by_pid;
                    let early = self.running.get_mut(&id).and_then(|r| {
                        r.pid = Some(pid);
                        by_pid.insert(pid, id);
                        r.early.take()
                    });
                    if !self.running.contains_key(&id) {
                        self.listener.end(id);
                        self.end_unwanted(pid);
                        self.places.give_back(place);
                    }
                    early.into_iter().for_each(|signal| spawn::signal_group(pid, signal));
                    // It may have ended before its number was known.
                    if let Some(end) = self.running.get(&id).and_then(|_| spawn::ended(pid)) {
                        self.ended(id, end, t);
                    }
                }
                Err(end) => {
                    if !self.running.contains_key(&id) {
                        self.places.give_back(place);
                    }
                    self.over(id, end, t);
                }
            }
        }
    }

    fn reap(&mut self, t: Time) {
        // One that could not be executed is its thread's, which waits for it: it must not be taken from it.
        while let Some(pid) = spawn::next_ended() {
            if !self.take_end(pid, t) {
                let others: Vec<i32> =
                    self.running.values().filter_map(|r| r.pid).chain(self.unwanted.clone()).collect();
                for pid in others {
                    self.take_end(pid, t);
                }
                return;
            }
        }
    }

    /// Takes the end of a process that is known. False: it is not known, or has not ended.
    fn take_end(&mut self, pid: i32, t: Time) -> bool {
        let id = self.by_pid.get(&pid).copied();
        if id.is_none() && !self.unwanted.contains(&pid) {
            return false;
        }
        let Some(end) = spawn::ended(pid) else { return false };
        self.unwanted.remove(&pid);
        id.into_iter().for_each(|id| self.ended(id, end, t));
        true
    }

    fn end_unwanted(&mut self, pid: i32) {
        spawn::signal_group(pid, SIGKILL);
        self.unwanted.insert(pid);
    }

    fn ended(&mut self, id: u64, end: End, t: Time) {
        let end = match end {
            End::Exited(status) => JobEnd::Exited(status),
            End::Signalled(signal) => JobEnd::Signalled(signal),
        };
        self.over(id, end, t);
    }

    fn over(&mut self, id: u64, end: JobEnd, t: Time) {
        let Some(mut program) = self.running.remove(&id) else { return };
        if let Some(pid) = program.pid {
            self.by_pid.remove(&pid);
            // One that was killed takes its group with it.
            if let Some(until) = program.until.filter(|_| spawn::group_lives(pid)) {
                self.stubborn.push((pid, until, program.place.take()));
            }
        }
        self.places.give_back(program.place);
        if let Some(queue) = program.queue.and_then(|name| self.queues.get_mut(&name)) {
            queue.running.remove(&id);
        }
        let said = self.listener.end(id);
        self.say(Message::Ended { job: id, end, said });
        self.advance(t);
    }

    fn signal(&mut self, id: u64, signal: i32, t: Time) {
        if let Some(at) = self.unlisted.iter().position(|(job, _)| job.id == id) {
            self.unlisted.remove(at);
            return self.say(Message::Ended { job: id, end: JobEnd::Signalled(signal), said: String::new() });
        }
        let Some(program) = self.running.get_mut(&id) else { return };
        program.until = program.probe.then(|| t + GRACE);
        match program.pid {
            Some(pid) => spawn::signal_group(pid, signal),
            None => program.early = Some(signal),
        }
    }

    /// Kills those whose time is over, starts those that have waited long enough; when to look again.
    fn look_after(&mut self, t: Time) -> Time {
        for program in self.running.values_mut() {
            if program.until.take_if(|until| *until <= t).is_some() {
                program.pid.into_iter().for_each(|pid| spawn::signal_group(pid, SIGKILL));
            }
        }
        // Its number may be another group's by then.
        let by_pid = &self.by_pid;
        let over = |group: i32| !spawn::group_lives(group) || by_pid.contains_key(&group);
        for (.., place) in self.stubborn.extract_if(.., |(group, ..)| over(*group)) {
            self.places.give_back(place);
        }
        self.end_stubborn(t);
        self.advance(t);
        if !self.half_listed {
            self.refuse_unlisted(self.unlisted.partition_point(|(_, until)| *until <= t));
        }
        let waits = self.queues.values().filter(|q| !q.waiting.is_empty()).map(|q| q.since + PATIENCE);
        let unlisted = self.unlisted.front().map(|(_, until)| *until).filter(|_| !self.half_listed);
        let groups = self.stubborn.iter().map(|(_, until, _)| *until);
        self.running
            .values()
            .filter_map(|p| p.until)
            .chain(groups)
            .chain(waits)
            .chain(unlisted)
            .min()
            .unwrap_or(Time::FAR)
    }

    /// Kills what is left of groups whose time is over by `t`.
    fn end_stubborn(&mut self, t: Time) {
        for (group, _, place) in self.stubborn.extract_if(.., |(_, until, _)| *until <= t) {
            spawn::signal_group(group, SIGKILL);
            self.places.give_back(place);
        }
    }

    fn end_probes(&mut self) {
        self.end_those(|p| p.probe);
    }

    fn end_probes_but_those_that_leave(&mut self, t: Time) {
        self.end_those(|p| p.probe && p.until.is_none());
        for program in self.running.values_mut() {
            if let Some(until) = &mut program.until {
                *until = (*until).min(t + FAREWELL);
            }
        }
    }

    fn end_those(&mut self, which: impl Fn(&Running) -> bool) {
        let probes: Vec<(u64, Running)> = self.running.extract_if(|_, p| which(p)).collect();
        for (id, program) in probes {
            self.listener.end(id);
            if let Some(pid) = program.pid {
                self.by_pid.remove(&pid);
                self.end_unwanted(pid);
                self.places.give_back(program.place);
            }
        }
    }

    fn say(&mut self, message: Message) {
        // A message of this size always fits.
        let _ = self.outbox.command(&Envelope { epoch: self.epoch, message });
    }
}

/// Starts a program; why not.
fn begin(job: &Job, by_descriptor: bool, place: Option<Place>) -> Begun {
    if job.argv.is_empty() {
        return Err(JobEnd::NotStarted("there is no command".into()));
    }
    let mut argv: Vec<OsString> = job.argv.iter().map(Into::into).collect();
    let argv0 = argv.first().cloned();
    // Whoever could put another file there between this look and the start could do so before, too: he is refused. So is one that
    // was harmless when the configuration was read.
    let mut opened = None;
    if let (true, Some(file)) = (job.safe, argv.first_mut()) {
        let safe = safe_program(&job.argv).map_err(|why| match why {
            Unsafe::Refused(why) => JobEnd::NotStarted(why),
            Unsafe::Unknown(e) => not_begun(&e),
        })?;
        *file = safe.path.into();
        opened = by_descriptor.then_some(safe.opened);
    }
    let spec =
        Spec { argv, argv0, opened, user: job.user, place, group: true, clean_environment: true, ..Default::default() };
    spawn::keep_supplementary_groups(job.groups);
    let begun = if job.heard {
        spawn::spawn_heard(&spec).map(|(pid, output)| (pid, Some(output)))
    } else {
        spawn::spawn(&spec).map(|pid| (pid, None))
    };
    begun.map_err(|e| not_begun(&e))
}

/// What we lack says nothing of the program.
fn not_begun(e: &std::io::Error) -> JobEnd {
    if is_lack(e) { JobEnd::Unable(e.to_string()) } else { JobEnd::NotStarted(e.to_string()) }
}
