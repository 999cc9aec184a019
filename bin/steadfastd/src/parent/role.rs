//! One child as the parent sees it.

use std::collections::BTreeMap;
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Assembler, Envelope, Message, Outbox, parse, pieces};
use steadfast_supervisor::Child;
use steadfast_sys::pidfile::PidFile;
use steadfast_sys::pipe::{PACKET, Packet, Reader, Writer};

/// Objects whose state is kept at most.
const KEPT: usize = 100_000;

/// A restart that waits this long follows several deaths in a row.
const POISONED: Duration = Duration::from_secs(4);
/// A life that ended so early may have been ended by what it was given.
const YOUNG: Duration = Duration::from_secs(10);

/// A child.
pub(super) struct Role {
    pub name: &'static str,
    pub title: &'static str,
    pub pid: Option<i32>,
    pub watch: Child,
    pub restart_at: Option<Time>,
    pub epoch: u64,
    /// The configuration is in effect.
    pub ready: bool,
    /// It was asked how it is, and has not answered.
    pub asked: bool,
    /// What it last said of itself, and when.
    pub said: Option<(Time, Vec<u8>)>,
    /// It has programs to start.
    pub wants_runner: bool,
    saying: Assembler,
    /// How late its loop was at worst before its last heartbeat, in microseconds.
    pub late: u64,
    /// A child of an older program, and its pipes, which it must not find closed.
    former: Option<(i32, Vec<Reader>)>,
    told_to_stop: bool,
    from: Option<Reader>,
    to: Option<Writer>,
    outbox: Outbox,
    kept: BTreeMap<String, Vec<u8>>,
    pid_file: Option<PidFile>,
}

impl Role {
    pub fn new(name: &'static str, title: &'static str, respawn: bool) -> Self {
        Role {
            name,
            title,
            pid: None,
            watch: Child::new(respawn),
            restart_at: None,
            epoch: 0,
            ready: false,
            asked: false,
            said: None,
            wants_runner: false,
            saying: Assembler::default(),
            late: 0,
            former: None,
            told_to_stop: false,
            from: None,
            to: None,
            outbox: Outbox::default(),
            kept: BTreeMap::new(),
            pid_file: None,
        }
    }

    pub fn started(&mut self, now: Time, pid: i32, epoch: u64, from: Reader, to: Writer, pid_path: &Path) {
        self.pid = Some(pid);
        self.epoch = epoch;
        self.from = Some(from);
        self.to = Some(to);
        self.outbox.clear();
        self.ready = false;
        self.asked = false;
        self.saying = Assembler::default();
        self.told_to_stop = false;
        self.watch.started(now);
        if self.pid_file.is_none() {
            self.pid_file = PidFile::lock(pid_path).ok();
        }
        if let Some(file) = &mut self.pid_file
            && let Err(e) = file.write(pid)
        {
            log::error!("cannot write {}: {e}", pid_path.display());
        }
    }

    /// It has ended; true when it was told to.
    pub fn gone(&mut self) -> bool {
        self.pid = None;
        self.from = None;
        self.to = None;
        self.outbox.clear();
        if self.told_to_stop {
            self.kept.clear();
        }
        self.told_to_stop
    }

    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.from.iter().map(Reader::fd).chain(self.to.iter().map(Writer::fd)).collect::<Vec<_>>().into_iter()
    }

    pub fn remove_pid_file(&mut self) {
        if let Some(file) = self.pid_file.take() {
            file.remove();
        }
    }

    pub fn say(&mut self, epoch: u64, message: Message) {
        if self.to.is_some() {
            if let Err(e) = self.outbox.command(&Envelope { epoch, message }) {
                log::error!("cannot tell the {} child: {e}", self.title);
            }
            self.flush();
        }
    }

    pub fn flush(&mut self) {
        if let Some(to) = &self.to {
            self.outbox.flush(|f| to.write(f).is_ok());
        }
    }

    pub fn configure(&mut self, epoch: u64, config: &[u8]) {
        for piece in pieces(config) {
            self.say(epoch, piece);
        }
    }

    /// Gives a new life what the last one left.
    pub fn hand_over(&mut self, epoch: u64) {
        let kept: Vec<Message> =
            self.kept.iter().map(|(key, bytes)| Message::Keep { key: key.clone(), bytes: bytes.clone() }).collect();
        for message in kept {
            self.say(epoch, message);
        }
    }

    /// All that is kept.
    pub fn kept_all(&self) -> Vec<(String, Vec<u8>)> {
        self.kept.iter().map(|(k, b)| (k.clone(), b.clone())).collect()
    }

    /// Takes over from an older program.
    pub fn succeed(&mut self, pid: Option<i32>, descriptors: &[RawFd], kept: Vec<(String, Vec<u8>)>) {
        self.former = pid.map(|p| (p, descriptors.iter().filter_map(|fd| Reader::inherited(*fd).ok()).collect()));
        self.kept = kept.into_iter().collect();
    }

    /// The child of the older program ends: without a word, when it has a successor, else in order.
    pub fn end_former(&mut self, wanted: bool) {
        let Some((pid, _pipes)) = self.former.take() else { return };
        steadfast_sys::spawn::signal(pid, if wanted { 9 } else { 15 });
        if !steadfast_sys::spawn::wait_for(pid, Duration::from_secs(2)) {
            steadfast_sys::spawn::signal(pid, 9);
        }
    }

    /// Objects that are kept for a successor.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Drops the state that was kept; true when there was some. What a life has left in the kernel (its key begins with a line
    /// break) is never forgotten: somebody must take it away.
    pub fn forget(&mut self) -> bool {
        let before = self.kept.len();
        self.kept.retain(|key, _| key.starts_with('\n'));
        self.kept.len() < before
    }

    /// Whether the next life must do without the state of this one. VRRP: who was silent or is away for longer may have been
    /// succeeded by a peer, his state is no news any more, and the new process listens first. Verdicts on servers stay true
    /// for longer; they go only when one life after another ended right after it had taken them over.
    pub fn is_state_stale(&self, now: Time, delay: Duration) -> bool {
        match self.name {
            "vrrp" => self.watch.was_silent() || !delay.is_zero(),
            _ => delay >= POISONED && self.watch.lived(now) < YOUNG,
        }
    }

    pub fn stop(&mut self, epoch: u64, keep_objects: bool) {
        self.told_to_stop = true;
        self.say(epoch, Message::Stop { keep_objects });
    }

    /// Takes what the child says.
    pub fn read(&mut self, now: Time) {
        let Some(from) = &self.from else { return };
        let mut buffer = [0; PACKET];
        while let Packet::Data(n) = from.read(&mut buffer) {
            let envelope = match parse(buffer.get(..n).unwrap_or_default()) {
                Ok(e) => e,
                Err(e) => {
                    log::error!("message from the {} child: {e}", self.title);
                    continue;
                }
            };
            if envelope.epoch != self.epoch {
                continue;
            }
            match envelope.message {
                Message::Heartbeat { late } => {
                    self.late = late;
                    self.watch.beat(now);
                }
                Message::Status { last, bytes } => {
                    if let Ok(Some(whole)) = self.saying.add(last, &bytes) {
                        self.said = Some((now, whole));
                        self.asked = false;
                    }
                }
                Message::Ready => self.ready = true,
                Message::Runner => self.wants_runner = true,
                Message::Keep { key, bytes } if bytes.is_empty() => {
                    self.kept.remove(&key);
                }
                Message::Keep { key, bytes } if self.kept.len() < KEPT || self.kept.contains_key(&key) => {
                    self.kept.insert(key, bytes);
                }
                _ => {}
            }
        }
    }
}
