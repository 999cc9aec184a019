//! One child: its process, its pipes, its pid file.

use super::{LAST_WORDS, SIGKILL, SIGTERM};
use std::os::fd::RawFd;
use std::path::Path;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{FrameError, Message};
use steadfast_supervisor::{Memory, Ward};
use steadfast_sys::pidfile::PidFile;
use steadfast_sys::pipe::{PACKET, Packet, Reader, Writer};
use steadfast_sys::spawn;

/// A child.
pub(super) struct Role {
    pub name: &'static str,
    pub title: &'static str,
    pub pid: Option<i32>,
    /// All that does not need the process itself.
    pub ward: Ward,
    /// What it held was taken away, and what it said last of its states is not so any more.
    pub withdrawn: bool,
    /// A child of an older program, and its pipes, which it must not find closed.
    former: Option<(i32, u64, Vec<Reader>)>,
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
            withdrawn: false,
            former: None,
            from: None,
            to: None,
            pid_file: None,
        }
    }

    pub fn started(&mut self, pid: i32, from: Reader, to: Writer, pid_path: Option<&Path>) {
        self.pid = Some(pid);
        self.withdrawn = false;
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

    /// All that is kept.
    pub fn kept_all(&self) -> Vec<(String, Vec<u8>)> {
        self.ward.kept().map(|(k, b)| (k.to_string(), b.to_vec())).collect()
    }

    /// Takes over from an older program.
    pub fn succeed(&mut self, pid: Option<i32>, epoch: u64, descriptors: &[RawFd], kept: Vec<(String, Vec<u8>)>) {
        self.former =
            pid.map(|p| (p, epoch, descriptors.iter().filter_map(|fd| Reader::inherited(*fd).ok()).collect()));
        self.ward.inherit(kept);
    }

    /// A child of an older program still does the work.
    pub fn has_former(&self) -> bool {
        self.former.is_some()
    }

    /// The child of the older program ends: without a word, when it has a successor, else in order, within `patience`. What it had
    /// said to its parent until then counts.
    pub fn end_former(&mut self, wanted: bool, patience: Duration) {
        let Some((pid, epoch, pipes)) = self.former.take() else { return };
        let end = if wanted {
            spawn::signal(pid, SIGKILL);
            spawn::end_of(pid, Duration::from_secs(2))
        } else {
            // As in a stop: told a second time it does not wait for its successor any more.
            let pressed = LAST_WORDS.min(patience / 2);
            [patience - pressed, pressed].into_iter().find_map(|time| {
                spawn::signal(pid, SIGTERM);
                spawn::end_of(pid, time)
            })
        };
        if end.is_none() {
            log::error!("process {pid} of the older program does not end, killing it");
            spawn::signal(pid, SIGKILL);
            spawn::wait_for(pid, Duration::from_secs(1));
        }
        let mut buffer = [0; PACKET];
        // The first of its pipes is the one that it wrote into.
        while let Some(Packet::Data(n)) = pipes.first().map(|p| p.read(&mut buffer)) {
            if self.ward.heard_of_former(epoch, buffer.get(..n).unwrap_or_default()).is_err() {
                break;
            }
        }
        if !wanted {
            self.ward.former_ended(end == Some(spawn::End::Exited(0)));
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
