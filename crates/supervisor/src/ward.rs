//! One child as its parent knows it: what waits to be said to it, what it had its parent keep, and what its end leads to.

use crate::{Child, End, SUCCESSION, Verdict, Watch};
use std::time::Duration;
use steadfast_core::{Kept, Time};
use steadfast_ipc::{Action, Assembler, Envelope, FrameError, Message, News, Outbox, Reporter, frame, parse, pieces};

/// An end like any other.
const TRANSIENT: i32 = 70;
/// Objects whose state is kept at most.
const KEPT: usize = 100_000;

/// There is room for what is in the kernel, whatever else is kept: a successor has to know whose it is.
fn most(key: &str) -> usize {
    if key.starts_with('\n') { 2 * KEPT } else { KEPT }
}

/// It is the state of an object, neither what is in the kernel nor a fact of another kind.
fn is_state(key: &str) -> bool {
    !key.starts_with(['\n', '\t'])
}

/// Who wants a successor has lived for longer: it waits for that (`places::PAUSE`).
const MOMENT: Duration = Duration::from_secs(1);

/// A life that ended so early may have been ended by what it was given.
const YOUNG: Duration = Duration::from_secs(10);

/// Keys of what is worth something to the child of a new program alone: after a crash it is old.
pub const FOR_UPGRADE: &str = "\tcounters ";
/// Keys of what a manager has set: it holds until the next reload.
pub const UNTIL_RELOAD: &str = "\tadjusted ";
/// Key of the milliseconds for which a life had been silent when it ended, for a successor that would go on where it was.
pub const SILENT: &str = "\tsilent";
/// Key of what became of the former life's states, for a successor that begins anew: when what it held was taken away, where it was, and
/// why.
pub const WITHDRAWN: &str = "\twithdrawn";
/// A beat comes each second: who has been silent for so long stood still.
const MISSED: Duration = Duration::from_millis(1500);

/// How long what a life knew stays true.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Memory {
    /// States of virtual routers: who was silent or is away for longer may have been succeeded by a peer, his state is no news any
    /// more, and the new process listens first.
    Brief,
    /// Verdicts on servers stay true for longer; they go only when a life ended right after it had taken them over.
    Lasting,
    /// BFD sessions are over for the peer as soon as somebody was silent or is away. There is nothing to take away.
    Sessions,
    /// An observer has nothing of its own. Whatever becomes of it, the daemon goes on.
    Nothing,
}

impl Memory {
    /// The child looks on, and speaks for others.
    pub fn is_observer(self) -> bool {
        self == Memory::Nothing
    }

    /// It puts something into the kernel that serves on when it is dead.
    fn leaves_something(self) -> bool {
        matches!(self, Memory::Brief | Memory::Lasting)
    }
}

/// What a child tells for observers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Something has changed.
    News(News),
    /// All that there is to know.
    Report(Vec<u8>),
}

/// Questions of an observer are passed on no more often than this: children have better things to do.
const SURVEY: Duration = Duration::from_secs(1);
/// What an observer has wanted done and nobody has looked at yet, at most.
const ACTIONS: usize = 64;

/// What follows from a child's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sequel {
    /// It was told to stop, or the daemon stops.
    Expected {
        /// It did not end in order: what it held must be taken away.
        withdraw: bool,
    },
    /// It is due again after this; [`Ward::due`] says when.
    Restart {
        /// How long that is. Zero: start it now.
        delay: Duration,
        /// What it had its parent keep was dropped.
        forgotten: bool,
        /// What it held must be taken away, so that a peer can serve.
        withdraw: bool,
    },
    /// It wants another one in its place, which is to be started now and goes on with all that was kept.
    Successor,
    /// The daemon stops in order, and nobody will come back for what the child held.
    Stop {
        /// Exit status of the daemon.
        status: i32,
        /// What it held must be taken away.
        withdraw: bool,
    },
}

/// One child.
pub struct Ward {
    memory: Memory,
    /// The watch over its life.
    pub watch: Child,
    /// The configuration is in effect.
    pub ready: bool,
    /// Configurations that it was given and that are not in effect yet.
    pub pending: u32,
    /// It has taken over from a predecessor that died, and observers have not had its account yet.
    pub resumed: bool,
    /// It was asked how it is, and has not answered.
    pub asked: bool,
    /// It has programs to start.
    pub wants_runner: bool,
    /// The process that does so does not answer it.
    pub runner_hangs: bool,
    /// What it last said of itself, and when.
    pub said: Option<(Time, Vec<u8>)>,
    /// How late its loop was at worst before its last heartbeat, in microseconds.
    pub late: u64,
    restart_at: Option<Time>,
    /// Since when it could not be started for want of something.
    lacking: Option<Time>,
    epoch: u64,
    lives: bool,
    /// And whether it was to leave what it held where it is.
    told_to_stop: Option<bool>,
    /// A configuration was in effect once.
    served: bool,
    /// When a life ended last because it wanted a successor.
    succeeded: Option<Time>,
    /// Its last life died, and was neither succeeded in order nor by a new program.
    died: bool,
    /// Its present or last life began with the state of another that died with it.
    was_given: bool,
    /// The daemon is in service, with others or with what an older program has left.
    in_service: bool,
    saying: Assembler,
    reporting: Assembler,
    /// What it has told for observers, in order. Taken at each turn.
    pub told: Vec<Told>,
    /// It was asked for a report, and has not answered.
    pub surveyed: bool,
    /// An observer asks for reports, and when it asked last.
    survey: Option<Time>,
    surveyed_at: Option<Time>,
    /// Reports that it waits for.
    pub awaits: Vec<Reporter>,
    actions: Vec<Action>,
    outbox: Outbox,
    kept: Kept,
    /// What was kept at its last end.
    last_words: Kept,
    /// What was kept before it was forgotten: what a life that is gone said last.
    testament: Kept,
}

impl Ward {
    /// A child that is not started yet. Without `respawn` (-R) its death stops the daemon.
    pub fn new(memory: Memory, respawn: bool) -> Self {
        Ward {
            memory,
            watch: Child::new(respawn || memory.is_observer()),
            ready: false,
            resumed: false,
            pending: 0,
            asked: false,
            wants_runner: false,
            runner_hangs: false,
            said: None,
            late: 0,
            restart_at: None,
            lacking: None,
            epoch: 0,
            lives: false,
            told_to_stop: None,
            served: false,
            succeeded: None,
            died: false,
            was_given: false,
            in_service: false,
            saying: Assembler::default(),
            reporting: Assembler::default(),
            told: Vec::new(),
            surveyed: false,
            survey: None,
            surveyed_at: None,
            awaits: Vec::new(),
            actions: Vec::new(),
            outbox: Outbox::default(),
            kept: Kept::default(),
            last_words: Kept::default(),
            testament: Kept::default(),
        }
    }

    /// It was started, as the life of this number. What its predecessor left is said to it first, so that the configuration finds it
    /// there.
    ///
    /// Fails when something does not fit into a frame; the rest is said all the same.
    pub fn started(&mut self, now: Time, epoch: u64, config: &[u8]) -> Result<(), FrameError> {
        self.epoch = epoch;
        self.lives = true;
        self.ready = false;
        self.pending = 0;
        self.asked = false;
        self.told_to_stop = None;
        self.restart_at = None;
        self.testament = Kept::default();
        self.saying = Assembler::default();
        self.reporting = Assembler::default();
        self.surveyed = false;
        self.told.clear();
        (self.survey, self.surveyed_at) = (None, None);
        self.awaits.clear();
        self.actions.clear();
        self.outbox.clear();
        if let Some((key, bytes)) = self.lacking.take().and_then(|since| self.absence(now, since)) {
            self.kept.put(key, &bytes);
        }
        self.watch.started(now);
        let given = self.kept.iter().any(|(key, _)| is_state(key));
        self.was_given = given && self.died;
        if given && matches!(self.memory, Memory::Brief | Memory::Sessions) {
            self.watch.hurries();
        }
        let mut result = Ok(());
        for (key, bytes) in self.kept.iter() {
            let message = Message::Keep { key: key.to_string(), bytes: bytes.to_vec() };
            result = result.and(self.outbox.command(&Envelope { epoch, message }));
        }
        result.and(self.configure(config))
    }

    /// It could not be started for want of something, and is due again at a time.
    pub fn start_later(&mut self, now: Time, at: Time) {
        self.restart_at = Some(at);
        self.lacking.get_or_insert(now);
        // Sessions are over for the peer by then.
        if self.memory == Memory::Sessions {
            self.is_hopeless();
        }
    }

    /// It could not be started for so long that what it held was taken away: the next life begins as after a long absence.
    pub fn is_hopeless(&mut self) {
        if matches!(self.memory, Memory::Brief | Memory::Sessions) {
            if self.testament.is_empty() {
                self.testament = self.kept.clone();
            }
            self.forget();
        }
    }

    /// It has ended and is not wanted any more: what it said, and how often it died, is of no interest to anybody.
    pub fn dismissed(&mut self) {
        self.said = None;
        self.asked = false;
        self.late = 0;
        self.pending = 0;
        self.lacking = None;
        self.testament.clear();
        self.watch.forget();
    }

    /// When it is to be started again.
    pub fn due(&self) -> Option<Time> {
        self.restart_at
    }

    /// It is not wanted any more.
    pub fn is_not_due(&mut self) {
        self.restart_at = None;
    }

    /// Gives it a configuration, in pieces.
    ///
    /// Fails when a piece does not fit into a frame.
    pub fn configure(&mut self, config: &[u8]) -> Result<(), FrameError> {
        self.pending = if self.lives { self.pending + 1 } else { 0 };
        pieces(config).try_for_each(|piece| self.say(piece))
    }

    /// Queues something to say, while it lives. One that no signal reaches reads nothing any more, and its successor is told all anew:
    /// nothing is kept for it.
    ///
    /// Fails when it does not fit into a frame.
    pub fn say(&mut self, message: Message) -> Result<(), FrameError> {
        if !self.lives || self.watch.is_stuck() {
            return Ok(());
        }
        self.outbox.command(&Envelope { epoch: self.epoch, message })
    }

    /// The child is an observer.
    pub fn is_observer(&self) -> bool {
        self.memory.is_observer()
    }

    /// Tells an observer what has changed. While its pipe is full the newest of each object waits.
    ///
    /// Fails when it does not fit into a frame.
    pub fn tell_news(&mut self, news: &News) -> Result<(), FrameError> {
        if !self.lives {
            return Ok(());
        }
        self.outbox.state(&news.key(), &Envelope { epoch: self.epoch, message: Message::News(news.clone()) })
    }

    /// What an observer wants done.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// When the question of an observer is to be passed on.
    pub fn survey_due(&self) -> Option<Time> {
        let asked = self.survey?;
        // One that has not been answered is waited for.
        self.awaits.is_empty().then(|| self.surveyed_at.map_or(asked, |last| last + SURVEY))
    }

    /// Passes the question on: it waits for reports of these from now on.
    pub fn begin_survey(&mut self, now: Time, of: &[Reporter]) {
        self.survey = None;
        self.surveyed_at = Some(now);
        self.awaits = of.to_vec();
    }

    /// Tells it to stop.
    ///
    /// Fails as [`Ward::say`] does.
    pub fn stop(&mut self, keep_objects: bool) -> Result<(), FrameError> {
        self.told_to_stop = Some(keep_objects);
        self.say(Message::Stop { keep_objects })
    }

    /// Writes what waits, while `write` takes frames.
    pub fn flush(&mut self, write: impl FnMut(&[u8]) -> bool) {
        self.outbox.flush(write);
    }

    /// Takes a packet that it wrote, of one frame or more. What another life wrote is dropped.
    ///
    /// Fails when the bytes are no message.
    pub fn heard(&mut self, now: Time, packet: &[u8]) -> Result<(), FrameError> {
        // One that cannot be read does not take the others along.
        let mut result = Ok(());
        for f in steadfast_ipc::frames(packet) {
            result = result.and(self.heard_one(now, f));
        }
        result
    }

    fn heard_one(&mut self, now: Time, frame: &[u8]) -> Result<(), FrameError> {
        let envelope = parse(frame)?;
        if envelope.epoch != self.epoch {
            return Ok(());
        }
        match envelope.message {
            Message::Heartbeat { late } => {
                self.late = late;
                self.watch.beat(now);
            }
            Message::Status { last, bytes } => {
                if let Some(whole) = self.saying.add(last, &bytes)? {
                    self.said = Some((now, whole));
                    self.asked = false;
                }
            }
            Message::Ready => {
                self.resumed |= !self.ready && self.watch.total() > 0;
                self.ready = true;
                self.pending = self.pending.saturating_sub(1);
                // A question that came while it began went by unheard.
                if self.asked {
                    self.say(Message::Ask)?;
                }
                self.served = true;
            }
            Message::Runner { hangs } => {
                self.wants_runner = true;
                self.runner_hangs |= hangs;
            }
            Message::Report { last, bytes, .. } => {
                if let Some(whole) = self.reporting.add(last, &bytes)? {
                    self.told.push(Told::Report(whole));
                    self.surveyed = false;
                }
            }
            Message::News(news) if !self.is_observer() => self.told.push(Told::News(news)),
            Message::Survey if self.is_observer() => self.survey = Some(now),
            Message::Act(action) if self.is_observer() && self.actions.len() < ACTIONS => self.actions.push(action),
            Message::Keep { key, bytes } if bytes.is_empty() => {
                self.kept.remove(&key);
            }
            Message::Keep { key, bytes } if self.kept.len() < most(&key) || self.kept.has(&key) => {
                self.kept.put(&key, &bytes);
            }
            _ => {}
        }
        Ok(())
    }

    /// The daemon serves already, so that it does not end because this one cannot begin.
    pub fn joins_others(&mut self) {
        self.in_service = true;
    }

    /// Looks whether it still beats. To be called at least once a second.
    pub fn watch(&mut self, now: Time) -> Watch {
        if self.lives { self.watch.watch(now) } else { Watch::Fine }
    }

    /// It was killed and does not end. True: what it holds must be taken away by another, as it will serve nobody any more. Its peers
    /// have noticed its silence, and are not told.
    pub fn stuck(&mut self) -> bool {
        self.last_words = self.kept.clone();
        self.peers_told();
        self.memory == Memory::Brief
    }

    /// It has ended; `stopping`: so does the daemon. What it said last has been heard before.
    pub fn ended(&mut self, now: Time, end: End, stopping: bool) -> Sequel {
        let lived = std::mem::replace(&mut self.lives, false);
        self.outbox.clear();
        // It is no death, however often. One that has hardly begun is broken: it is treated like any that dies.
        if end == End::Exited(SUCCESSION) && !stopping && self.told_to_stop.is_none() && self.watch.lived(now) >= MOMENT
        {
            self.kept.remove(SILENT);
            self.last_words = self.kept.clone();
            self.succeeded = Some(now);
            self.died = false;
            return Sequel::Successor;
        }
        // An upgrade that was refused has left it.
        self.drop_kept(FOR_UPGRADE);
        if stopping || self.told_to_stop.is_some() {
            let in_order = end == End::Exited(0);
            self.former_ended(in_order);
            let releases = self.memory.leaves_something() && self.told_to_stop == Some(false);
            return Sequel::Expected { withdraw: lived && releases && !in_order };
        }
        // What cannot begin now may begin in a moment: a socket for which there was no memory is no fault of the configuration.
        // Nor are those ended that serve because a reload, or an upgrade, wants one that cannot begin.
        let lasts = self.served || self.in_service || self.is_observer();
        let end = if lasts && matches!(end, End::Exited(1 | 2 | 4)) { End::Exited(TRANSIENT) } else { end };
        let delay = match self.watch.ended(now, end) {
            Verdict::Restart(delay) => delay,
            Verdict::GiveUp(status) => return self.for_good(status),
            Verdict::Stop => return self.for_good(0),
        };
        self.died = true;
        // Who hands over must know what there is to hand over.
        self.last_words = self.kept.clone();
        let silent = self.watch.was_silent();
        let stale = self.is_state_stale(now, delay);
        if stale {
            self.testament = self.kept.clone();
        }
        let forgotten = stale && self.forget();
        match self.silence(now) {
            Some((key, bytes)) => self.kept.put(key, &bytes),
            None => self.kept.remove(SILENT),
        }
        self.restart_at = Some(now + delay);
        // A process that is away for longer is succeeded by a peer: nobody may find the addresses here, too.
        let withdraw = self.memory == Memory::Brief && !delay.is_zero();
        if withdraw && silent {
            // Its peers have noticed, and are not told.
            self.peers_told();
        }
        Sequel::Restart { delay, forgotten, withdraw }
    }

    /// What a successor is to know where this life stands still, or stood still when it ended: by now a peer may serve. Kept for a moment
    /// only: of a life that goes on it is not true for long.
    pub fn silence(&self, now: Time) -> Option<(&'static str, Vec<u8>)> {
        let silent = self.watch.silent_for(now);
        let matters = self.memory == Memory::Brief && silent >= MISSED && self.kept.iter().next().is_some();
        let milliseconds = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
        Some(SILENT).filter(|_| matters).zip(steadfast_ipc::encode(&milliseconds).ok())
    }

    /// The same of one that could not be started since a time: whatever it is that ended the life before, that has been silent since.
    fn absence(&self, now: Time, since: Time) -> Option<(&'static str, Vec<u8>)> {
        let known =
            self.kept.get(SILENT).and_then(|bytes| steadfast_ipc::decode::<u64>(bytes).ok()).unwrap_or_default();
        let silent = now.since(since) + Duration::from_millis(known);
        let matters = self.memory == Memory::Brief && self.kept.iter().any(|(key, _)| is_state(key));
        let milliseconds = u64::try_from(silent.as_millis()).unwrap_or(u64::MAX);
        Some(SILENT).filter(|_| matters).zip(steadfast_ipc::encode(&milliseconds).ok())
    }

    /// Nobody comes back for what it held.
    fn for_good(&mut self, status: i32) -> Sequel {
        self.last_words = self.kept.clone();
        Sequel::Stop { status, withdraw: self.memory.leaves_something() && self.served }
    }

    /// Takes what the life of an older program wrote before it ended.
    ///
    /// Fails when the bytes are no message.
    pub fn heard_of_former(&mut self, epoch: u64, frame: &[u8]) -> Result<(), FrameError> {
        let own = std::mem::replace(&mut self.epoch, epoch);
        let heard = self.heard(Time::ZERO, frame);
        self.epoch = own;
        self.ready = false;
        heard
    }

    /// A life that has no successor has ended. In order: then it has left nothing.
    pub fn former_ended(&mut self, in_order: bool) {
        self.last_words = self.kept.clone();
        if in_order {
            self.kept.clear();
            self.watch.begins_afresh();
        } else {
            self.forget();
        }
    }

    /// A life has ended whose successor is still to come, nobody knows when: what may be out of date by then is forgotten.
    pub fn former_died(&mut self) {
        self.died = true;
        self.last_words = self.kept.clone();
        if self.memory != Memory::Lasting {
            self.forget();
        }
    }

    /// No life has ended yet, but by an order.
    pub fn is_first(&self) -> bool {
        self.watch.total() == 0 && self.succeeded.is_none()
    }

    /// The number of its life.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// There is something in the kernel that nobody looks after while it does not run.
    pub fn left_something(&self) -> bool {
        let alone = !self.lives || self.watch.is_stuck();
        self.memory.leaves_something() && alone && self.kept.iter().any(|(key, _)| key.starts_with('\n'))
    }

    /// What it left has been taken away, and nobody comes after it.
    pub fn settled(&mut self) {
        self.kept.clear();
        self.last_words.clear();
    }

    /// Takes a packet of the short-lived process that withdraws what it held: what is in the kernel no more.
    pub fn withdrawn(&mut self, epoch: u64, packet: &[u8]) {
        for f in steadfast_ipc::frames(packet) {
            if let Ok(Envelope { epoch: of, message: Message::Keep { key, bytes } }) = parse(f)
                && (of == epoch && bytes.is_empty() && key.starts_with('\n'))
            {
                self.kept.remove(&key);
                self.last_words.remove(&key);
            }
        }
    }

    /// What it left has been taken away, and it will come back: peers serve, and are not told again.
    pub fn peers_told(&mut self) {
        self.last_words.retain(|key| key.starts_with('\n'));
    }

    /// Whether the next life must do without the state of this one.
    fn is_state_stale(&self, now: Time, delay: Duration) -> bool {
        match self.memory {
            Memory::Brief | Memory::Sessions => self.watch.was_silent() || !delay.is_zero(),
            // What has killed two is not given to another.
            Memory::Lasting => self.was_given && self.watch.lived(now) < YOUNG,
            Memory::Nothing => false,
        }
    }

    /// Drops the state that was kept; true when there was some. What a life has left in the kernel (its key begins with a line
    /// break) is never forgotten: somebody must take it away. What is no state (a tabulator: past changes, what a manager has set)
    /// is as true as before.
    fn forget(&mut self) -> bool {
        let before = self.kept.len();
        self.kept.retain(|key| !is_state(key));
        self.kept.len() < before
    }

    /// Drops what is kept under keys that begin like this.
    pub fn drop_kept(&mut self, begin: &str) {
        self.kept.retain(|key| !key.starts_with(begin));
    }

    /// Gives back room that it has to spare.
    pub fn shrink(&mut self) {
        self.kept.shrink();
        self.last_words.shrink();
    }

    /// All that is kept for a successor, by object.
    pub fn kept(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        self.kept.iter()
    }

    /// What it had its parent keep when it said something last, forgotten or not.
    pub fn remembered(&self) -> impl Iterator<Item = (&str, &[u8])> {
        if self.testament.is_empty() { &self.kept } else { &self.testament }.iter()
    }

    /// Keeps something for its successor that it has not said itself.
    pub fn note(&mut self, key: &str, bytes: &[u8]) {
        self.kept.put(key, bytes);
    }

    /// Frames that tell a short-lived process what was left in the kernel, and the configuration; `all`: nobody comes after it, so
    /// that what is there while the daemon runs goes, too; `states`: which routers were masters, whose peers are to be told.
    pub fn words_to_withdraw(&self, epoch: u64, config: &[u8], all: bool, states: bool) -> Vec<Vec<u8>> {
        // Verdicts on servers are no help in it.
        let states = states && self.memory == Memory::Brief;
        let left = self.last_words.iter().filter(|(key, _)| states || key.starts_with('\n'));
        let left = left.map(|(key, bytes)| Message::Keep { key: key.to_string(), bytes: bytes.to_vec() });
        let end = all.then_some(Message::Stop { keep_objects: false });
        // The process begins when it has a whole configuration: all else is said before.
        left.chain(end).chain(pieces(config)).filter_map(|message| frame(&Envelope { epoch, message }).ok()).collect()
    }

    /// Takes over what an older program kept. Nobody has died of it.
    pub fn inherit(&mut self, kept: impl IntoIterator<Item = (String, Vec<u8>)>) {
        self.kept.clear();
        kept.into_iter().for_each(|(key, bytes)| self.kept.put(&key, &bytes));
        self.died = false;
    }
}

#[cfg(test)]
mod tests;
