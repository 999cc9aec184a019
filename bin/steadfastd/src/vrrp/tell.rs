//! Telling the world: scripts, FIFOs, mail. Nothing here waits.

use super::plan::{Command, Notify, Plan};
use crate::programs::Programs;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use steadfast_ipc::{JobEnd, Keeping, Message};
use steadfast_notify::{Subject, fifo_line, generic_arguments, mail};
use steadfast_sys::fifo::{self, Fifo, FifoError};
use steadfast_sys::files;
use steadfast_vrrp::Notice;

/// Messages that wait for the mail server at most.
const MAILS: usize = 256;

/// Keys of what is kept of FIFOs that we made begin with this.
const MADE: &str = "\tfifo ";

/// Keys of lines for FIFOs that a successor opens: this, the path, and after a line break the number of the line.
const LATE: &str = "\tline ";

/// Keys of how many of them are lost begin with this; the path follows.
const LOST: &str = "\tlost ";

/// Lines that wait for a FIFO to be opened, at most, which are more than a host has instances; then the oldest are dropped.
const LINES: usize = 4096;

/// Lines for a FIFO that is not open yet.
#[derive(Default)]
struct Lines {
    /// With their numbers.
    waiting: VecDeque<(u64, String)>,
    /// So many were dropped before these.
    lost: u64,
}

impl Lines {
    fn add(&mut self, number: u64, line: String) {
        if self.waiting.len() >= LINES {
            self.lost += 1;
            self.waiting.pop_front();
        }
        self.waiting.push_back((number, line));
    }
}

/// Who is told.
#[derive(Default)]
pub struct Teller {
    fifos: Vec<Fifo>,
    readers: Vec<u64>,
    mail: Option<SyncSender<(mail::Settings, mail::Alert)>>,
    /// Messages that are not sent yet.
    mails: Arc<AtomicUsize>,
    /// Scripts that run or wait for their turn.
    running: HashSet<u64>,
    /// What does run, for the log.
    names: HashMap<u64, String>,
    /// FIFOs that a predecessor made.
    made: BTreeSet<String>,
    /// FIFOs that could not be opened by this process any more, but by a successor, and what they are to hear.
    late: BTreeMap<PathBuf, Lines>,
    /// The number of the last line.
    last: u64,
    /// There are more of them than the parent keeps.
    later: bool,
    /// FIFOs that could not be opened while nothing was closed to it.
    hopeless: HashSet<PathBuf>,
    /// FIFOs of the file that are not used, and why.
    unused: Vec<String>,
    keeping: Keeping,
}

impl Teller {
    /// Opens FIFOs and starts their readers, or changes them after a reload.
    pub fn configure(&mut self, fifos: &[super::plan::Fifo], programs: &mut Programs) {
        self.stop_readers(programs);
        let paths: Vec<_> = fifos.iter().map(|f| f.path.clone()).collect();
        let (keep, gone): (Vec<Fifo>, Vec<Fifo>) =
            std::mem::take(&mut self.fifos).into_iter().partition(|f| paths.iter().any(|p| p == f.path()));
        gone.into_iter().for_each(Fifo::remove);
        // One that somebody has removed is made again.
        self.fifos = keep.into_iter().filter(Fifo::is_there).collect();
        for (open, wanted) in self.fifos.iter().filter_map(|o| Some((o, fifos.iter().find(|f| f.path == o.path())?))) {
            if let Err(e) = open.give(wanted.owner) {
                log::error!("{e}");
            }
        }
        // Those of a predecessor that no file names any more.
        self.made.retain(|made| {
            let wanted = paths.iter().any(|p| p.to_string_lossy() == **made);
            if !wanted {
                fifo::remove_left(Path::new(made));
            }
            wanted
        });
        self.late.retain(|late, _| paths.contains(late));
        self.unused.clear();
        // The folder has come, or can be written to by now.
        self.hopeless.retain(|path| !has_folder(path) || !path.parent().is_some_and(files::may_write));
        for f in fifos {
            if !self.fifos.iter().any(|open| open.path() == f.path) {
                match Fifo::open(&f.path, f.owner) {
                    Ok(mut open) => {
                        if self.made.remove(&*f.path.to_string_lossy()) {
                            open.adopt();
                        }
                        let late = self.late.remove(&f.path).unwrap_or_default();
                        if late.lost > 0 {
                            log::warn!(
                                "FIFO {}: {} lines were lost, too many waited until it was open",
                                f.path.display(),
                                late.lost
                            );
                        }
                        late.waiting.into_iter().for_each(|(_, line)| open.line(line));
                        self.fifos.push(open);
                    }
                    Err(_) if self.another_could(&f.path) => {
                        if let Entry::Vacant(new) = self.late.entry(f.path.clone()) {
                            log::info!(
                                "FIFO {} is not open yet: a successor opens it, and lines wait for that",
                                f.path.display()
                            );
                            new.insert(Lines::default());
                        }
                        // Its reader would find nothing.
                        continue;
                    }
                    Err(e) => {
                        self.late.remove(&f.path);
                        self.hopeless.insert(f.path.clone());
                        log::error!("{e}");
                        self.unused.push(match e {
                            FifoError::NotFifo(_) => e.to_string(),
                            FifoError::System(path, e) => {
                                format!("FIFO {} cannot be opened: {}", path.display(), e.desc())
                            }
                        });
                    }
                }
            }
            if let Some(reader) = &f.reader {
                // Like a check, it is nobody's when we are gone.
                let job = programs.start(reader, &[f.path.to_string_lossy().into_owned()], true);
                self.readers.push(job);
                self.names.insert(job, format!("FIFO reader {}", reader.quoted()));
            }
        }
    }

    /// One notification: specific script, generic script, FIFOs, mail.
    pub fn tell(
        &mut self,
        plan: &Plan,
        programs: &mut Programs,
        subject: Subject,
        name: &str,
        notice: Notice,
        priority: u8,
    ) {
        let mut commands = Vec::new();
        let default = Notify::default();
        let notify = match subject {
            Subject::Instance => plan.instances.get(name),
            Subject::Group => plan.groups.get(name),
        }
        .unwrap_or(&default);
        let word = notice.word();
        if let Some(script) = notify.specific(notice) {
            commands.push((script.clone(), Vec::new()));
        }
        let state = matches!(notice, Notice::Master | Notice::Backup | Notice::Fault | Notice::Stop | Notice::Deleted);
        if let Some(generic) = notify.generic.as_ref().filter(|_| state) {
            commands.push((generic.clone(), generic_arguments(&[], subject, name, word, priority)));
        }
        // Those of one change run side by side, those of the next change of the same object after them: the last one to write is the
        // newest. The runner sees to it, which outlives us.
        let queue = format!("{subject:?} {name}");
        let turn = programs.turn();
        for (command, arguments) in commands {
            let job = programs.enqueue(&command, &arguments, false, Some((queue.clone(), turn)));
            self.running.insert(job);
            self.names.insert(job, format!("notify script {}", command.quoted()));
        }
        self.line(&fifo_line(subject, name, word, priority));
        if notify.mail
            && let Some(settings) = &plan.mail
            && !(plan.no_email_faults && notice == Notice::Fault)
            && let Some(alert) = mail::alert(&plan.router_id, subject, name, word)
        {
            self.send_mail(settings.clone(), alert);
        }
    }

    /// Something that is kept of a predecessor; false: it is not of this kind.
    pub fn inherit(&mut self, key: &str, bytes: &[u8]) -> bool {
        if let Some((path, number)) = key.strip_prefix(LATE).and_then(|late| late.rsplit_once('\n')) {
            let number = u64::from_str_radix(number, 16).unwrap_or(0);
            self.last = self.last.max(number);
            let line = String::from_utf8_lossy(bytes).into_owned();
            self.late.entry(path.into()).or_default().add(number, line);
            self.keeping.inherited(key.to_string());
            return true;
        }
        if let Some(path) = key.strip_prefix(LOST) {
            let lost = String::from_utf8_lossy(bytes).parse().unwrap_or(0);
            self.late.entry(path.into()).or_default().lost += lost;
            self.keeping.inherited(key.to_string());
            return true;
        }
        let Some(path) = key.strip_prefix(MADE) else { return false };
        self.made.insert(path.to_string());
        self.keeping.inherited(key.to_string());
        true
    }

    /// What a successor is to know of FIFOs, where it has changed: who is the last removes them.
    pub fn kept(&mut self) -> Vec<Message> {
        self.later = false;
        let made = self.fifos.iter().filter(|f| f.is_ours());
        let made = made.map(|f| (format!("{MADE}{}", f.path().display()), vec![1]));
        let of = |(path, lines): (&PathBuf, &Lines)| {
            let key = |number| format!("{LATE}{}\n{number:016x}", path.display());
            let lost =
                (lines.lost > 0).then(|| (format!("{LOST}{}", path.display()), lines.lost.to_string().into_bytes()));
            let waiting = lines.waiting.iter().map(|(number, line)| (key(number), line.clone().into_bytes()));
            waiting.chain(lost).collect::<Vec<_>>()
        };
        self.keeping.difference(made.chain(self.late.iter().flat_map(of)))
    }

    /// The same, where a line waits that the parent does not have yet: this process may die before it hands over.
    pub fn waiting(&mut self) -> Vec<Message> {
        if self.later { self.kept() } else { Vec::new() }
    }

    /// This process has given the folder up; one that has not yet might open it.
    fn another_could(&self, path: &Path) -> bool {
        let is_fifo = |m: std::fs::Metadata| std::os::unix::fs::FileTypeExt::is_fifo(&m.file_type());
        let other = std::fs::symlink_metadata(path).is_ok_and(|m| !is_fifo(m));
        !other && !self.hopeless.contains(path) && crate::places::is_closed(path)
    }

    /// Mail, or lines that wait for a reader, would be lost with this process.
    pub fn has_more_to_say(&mut self) -> bool {
        self.flush();
        self.mailing() || !self.fifos.iter().all(Fifo::drained)
    }

    /// A FIFO could not be opened, which a successor can.
    pub fn is_refused(&self) -> bool {
        !self.late.is_empty()
    }

    /// FIFOs of the file that are not used, in words.
    pub fn troubles(&self) -> Vec<String> {
        self.unused.clone()
    }

    /// A line for all FIFOs.
    pub fn line(&mut self, line: &str) {
        for fifo in &mut self.fifos {
            fifo.line(line.to_string());
        }
        for lines in self.late.values_mut() {
            self.last += 1;
            self.later = true;
            lines.add(self.last, line.to_string());
        }
    }

    /// Scripts run or wait.
    pub fn busy(&self) -> bool {
        !self.running.is_empty()
    }

    /// Starts a script that has no others to wait for.
    pub fn run(&mut self, command: &Command, programs: &mut Programs) {
        let job = programs.start(command, &[], false);
        self.running.insert(job);
        self.names.insert(job, format!("notify script {}", command.quoted()));
    }

    /// One thread talks to the mail server, which may take its time.
    pub fn send_mail(&mut self, settings: mail::Settings, alert: mail::Alert) {
        self.mails.fetch_add(1, Ordering::Relaxed);
        let waiting = self.mails.clone();
        let sender = self.mail.get_or_insert_with(|| {
            let (sender, receiver) = sync_channel::<(mail::Settings, mail::Alert)>(MAILS);
            let work = move || {
                while let Ok((settings, alert)) = receiver.recv() {
                    crate::mail::send(&settings, &alert);
                    waiting.fetch_sub(1, Ordering::Relaxed);
                }
            };
            if let Err(e) = std::thread::Builder::new().name("mail".into()).spawn(work) {
                log::error!("cannot start the mail thread: {e}");
            }
            sender
        });
        if let Err(TrySendError::Full((_, alert)) | TrySendError::Disconnected((_, alert))) =
            sender.try_send((settings, alert))
        {
            self.mails.fetch_sub(1, Ordering::Relaxed);
            log::error!("mail '{}' was not sent: too many wait", alert.subject);
        }
    }

    /// Mail is on its way to the server.
    pub fn mailing(&self) -> bool {
        self.mails.load(Ordering::Relaxed) > 0
    }

    /// Lines that wait for a reader.
    pub fn flush(&mut self) {
        for fifo in &mut self.fifos {
            fifo.flush();
            let lost = std::mem::take(&mut fifo.lost);
            if lost > 0 {
                log::warn!("FIFO {}: {lost} lines were lost, nobody reads them", fifo.path().display());
            }
        }
    }

    /// A program ended; true when it was one of these.
    pub fn ended(&mut self, job: u64, end: &JobEnd) -> bool {
        let Some(name) = self.names.remove(&job) else { return false };
        match end {
            JobEnd::NotStarted(why) | JobEnd::Unable(why) => log::error!("{name} cannot be started: {why}"),
            JobEnd::Signalled(s) if !self.readers.contains(&job) => log::warn!("{name} was ended by signal {s}"),
            _ => {}
        }
        self.readers.retain(|r| *r != job);
        self.running.remove(&job);
        true
    }

    /// Readers have all that was written, or there is none of ours that could read.
    pub fn read_out(&mut self) -> bool {
        self.flush();
        self.readers.is_empty() || self.fifos.iter().all(Fifo::drained)
    }

    /// FIFOs that we made go; their readers see the end of the file.
    pub fn close_fifos(&mut self) {
        self.fifos.drain(..).for_each(Fifo::remove);
    }

    /// The readers that we started have ended.
    pub fn readers_gone(&self) -> bool {
        self.readers.is_empty()
    }

    /// Readers that do not end by themselves are told to.
    pub fn stop_readers(&mut self, programs: &mut Programs) {
        for job in self.readers.drain(..) {
            self.names.remove(&job);
            programs.signal(job, 15);
            // Another runner is not to start it again.
            programs.forget(job);
        }
    }
}

fn has_folder(path: &Path) -> bool {
    path.parent().is_some_and(Path::is_dir)
}

#[cfg(test)]
mod tests;
