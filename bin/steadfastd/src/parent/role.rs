//! One child: its process, its pipes, its pid file.

use super::deaths::Deaths;
use super::{LAST_WORDS, SIGKILL, SIGTERM};
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{FrameError, Message};
use steadfast_supervisor::{Memory, WITHDRAWN, Ward};
use steadfast_sys::pidfile::PidFile;
use steadfast_sys::pipe::{PACKET, Packet, Reader, Writer};
use steadfast_sys::spawn;

/// A child of an older program.
struct Former {
    pid: i32,
    /// The number of its life.
    epoch: u64,
    /// It must not find them closed.
    pipes: Vec<Reader>,
    /// It was told to leave: when patience ends, whether it was told twice, whether it was killed.
    leaves: Option<(Time, bool, bool)>,
}

/// A child.
pub(super) struct Role {
    pub name: &'static str,
    pub title: &'static str,
    pub pid: Option<i32>,
    /// All that does not need the process itself.
    pub ward: Ward,
    /// When what it held was taken away, by the wall clock; what it said last of its states is not so any more.
    pub withdrawn: Option<f64>,
    /// So many times in a row it could not be started.
    pub failed: u32,
    /// What is remembered of its ends.
    pub dead: Deaths,
    former: Option<Former>,
    from: Option<Reader>,
    to: Option<Writer>,
    pid_file: Option<PidFile>,
}

impl Role {
    pub fn new(name: &'static str, title: &'static str, memory: Memory, respawn: bool) -> Self {
        Role {
            name,
            title,
            pid: None,
            ward: Ward::new(memory, respawn),
            withdrawn: None,
            failed: 0,
            dead: Deaths::default(),
            former: None,
            from: None,
            to: None,
            pid_file: None,
        }
    }

    pub fn started(&mut self, pid: i32, from: Reader, to: Writer, pid_path: Option<&Path>) {
        self.pid = Some(pid);
        self.withdrawn = None;
        self.failed = 0;
        self.from = Some(from);
        self.to = Some(to);
        let Some(pid_path) = pid_path else { return };
        if self.pid_file.is_none() {
            self.pid_file = PidFile::lock(pid_path).ok();
        }
        if let Some(file) = &mut self.pid_file
            && let Err(e) = file.write(pid)
        {
            log::error!("cannot write {}: {e}", pid_path.display());
        }
    }

    /// It has ended.
    pub fn gone(&mut self) {
        self.pid = None;
        self.from = None;
        self.to = None;
    }

    /// It has ended and is not wanted any more: nothing is told of it.
    pub fn dismissed(&mut self) {
        self.ward.dismissed();
        self.withdrawn = None;
        self.failed = 0;
        self.dead = Deaths::default();
    }

    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.from.iter().map(Reader::fd).chain(self.to.iter().map(Writer::fd)).collect::<Vec<_>>().into_iter()
    }

    pub fn remove_pid_file(&mut self) {
        if let Some(file) = self.pid_file.take() {
            file.remove();
        }
    }

    /// Says what `words` puts into the ward's outbox.
    pub fn tell(&mut self, words: impl FnOnce(&mut Ward) -> Result<(), FrameError>) {
        if let Err(e) = words(&mut self.ward) {
            log::error!("cannot tell the {} child: {e}", self.title);
        }
        self.flush();
    }

    pub fn say(&mut self, message: Message) {
        self.tell(|w| w.say(message));
    }

    pub fn flush(&mut self) {
        if let Some(to) = &self.to {
            self.ward.flush(|f| to.write(f).is_ok());
        }
    }

    /// What a new program is told of its process: the number, its pipes, the number of its life.
    pub fn handed_over(&self) -> (Option<i32>, Vec<RawFd>, u64) {
        match &self.former {
            Some(f) if self.pid.is_none() => (Some(f.pid), f.pipes.iter().map(Reader::fd).collect(), f.epoch),
            _ => (self.pid, self.descriptors().collect(), self.ward.epoch()),
        }
    }

    /// All that is kept.
    pub fn kept_all(&self) -> Vec<(String, Vec<u8>)> {
        self.ward.kept().map(|(k, b)| (k.to_string(), b.to_vec())).collect()
    }

    /// Why its successor begins anew, and when what it held was taken away, if it was.
    pub fn begins_anew(&mut self, why: &str) {
        if self.name != "vrrp" {
            return;
        }
        match steadfast_ipc::encode(&(self.withdrawn, why)) {
            Ok(bytes) => self.ward.note(WITHDRAWN, &bytes),
            Err(e) => log::error!("{e}"),
        }
    }

    /// What it said last, as far as it is known: of a dead one what was kept before its successor is to begin anew.
    pub fn remembered(&self) -> Vec<(String, Vec<u8>)> {
        self.ward.remembered().map(|(k, b)| (k.to_string(), b.to_vec())).collect()
    }

    /// Takes over from an older program.
    pub fn succeed(&mut self, pid: Option<i32>, epoch: u64, descriptors: &[RawFd], kept: Vec<(String, Vec<u8>)>) {
        let pipes = descriptors.iter().filter_map(|fd| Reader::inherited(*fd).ok()).collect();
        self.former = pid.map(|pid| Former { pid, epoch, pipes, leaves: None });
        self.ward.inherit(kept);
    }

    /// A child of an older program still does the work.
    pub fn has_former(&self) -> bool {
        self.former.is_some()
    }

    /// There is a process, of whatever program.
    pub fn lives(&self) -> bool {
        self.pid.is_some() || self.has_former()
    }

    /// The child of the older program has a successor: it ends without a word, and this waits for it. What it had said to its parent
    /// until then counts.
    pub fn end_former(&mut self) {
        let Some(pid) = self.former.as_ref().map(|f| f.pid) else { return };
        spawn::signal(pid, SIGKILL);
        if spawn::end_of(pid, Duration::from_secs(2)).is_none() {
            log::error!("process {pid} of the older program does not end");
        }
        self.hear_former();
        self.former = None;
    }

    /// The child of the older program has no successor: it leaves in order, within `patience`, while others go on.
    pub fn dismiss_former(&mut self, now: Time, patience: Duration) {
        let Some(former) = self.former.as_mut().filter(|f| f.leaves.is_none()) else { return };
        spawn::signal(former.pid, SIGTERM);
        former.leaves = Some((now + patience, false, false));
    }

    /// Presses it, as in a stop, and ends it where it does not leave.
    pub fn watch_former(&mut self, now: Time, patience: Duration) {
        self.hear_former();
        let Some(Former { pid, leaves: Some((until, pressed, killed)), .. }) = &mut self.former else { return };
        // Told a second time it does not wait for its successor any more.
        if until.since(now) < LAST_WORDS.min(patience / 2) && !std::mem::replace(pressed, true) {
            spawn::signal(*pid, SIGTERM);
        }
        if now >= *until && !std::mem::replace(killed, true) {
            log::error!("process {pid} of the older program does not end, killing it");
            spawn::signal(*pid, SIGKILL);
        }
    }

    /// A process has ended; true: it was the child of the older program. `awaited`: a successor may come yet.
    pub fn former_ended(&mut self, pid: i32, in_order: bool, awaited: bool) -> bool {
        if self.former.as_ref().is_none_or(|f| f.pid != pid) {
            return false;
        }
        self.hear_former();
        let told = self.former.take().is_some_and(|f| f.leaves.is_some());
        if awaited && !told {
            self.ward.former_died();
        } else {
            self.ward.former_ended(in_order);
        }
        true
    }

    fn hear_former(&mut self) {
        let Some(former) = &self.former else { return };
        let mut buffer = [0; PACKET];
        // The first of its pipes is the one that it wrote into.
        while let Some(Packet::Data(n)) = former.pipes.first().map(|p| p.read(&mut buffer)) {
            if let Err(e) = self.ward.heard_of_former(former.epoch, buffer.get(..n).unwrap_or_default()) {
                log::warn!("message from the older program's {} child: {e}", self.title);
            }
        }
    }

    /// Takes what the child says.
    pub fn read(&mut self, now: Time) {
        let Some(from) = &self.from else { return };
        let mut buffer = [0; PACKET];
        while let Packet::Data(n) = from.read(&mut buffer) {
            if let Err(e) = self.ward.heard(now, buffer.get(..n).unwrap_or_default()) {
                log::error!("message from the {} child: {e}", self.title);
            }
        }
    }
}
