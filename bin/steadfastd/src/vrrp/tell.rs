//! Telling the world: scripts, FIFOs, mail. Nothing here waits.

use super::plan::{Command, Notify, Plan};
use crate::programs::Programs;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::JobEnd;
use steadfast_notify::{Subject, fifo_line, generic_arguments, mail};
use steadfast_sys::fifo::Fifo;
use steadfast_vrrp::Notice;

/// Messages that wait for the mail server at most.
const MAILS: usize = 256;

/// Scripts of the next change wait so long for those of the last one.
const PATIENCE: Duration = Duration::from_secs(10);
/// Changes of one object that wait at most; then the oldest is not told of.
const CHANGES: usize = 32;

/// The scripts of one instance or group. Those of one change run side by side, those of different ones after each other, so that
/// the last one to write is the newest.
#[derive(Default)]
struct Queue {
    running: HashSet<u64>,
    since: Time,
    waiting: VecDeque<Vec<(Command, Vec<String>)>>,
}

/// Who is told.
#[derive(Default)]
pub struct Teller {
    fifos: Vec<Fifo>,
    readers: Vec<u64>,
    mail: Option<SyncSender<(mail::Settings, mail::Alert)>>,
    queues: HashMap<(Subject, String), Queue>,
    /// Scripts that nothing waits for.
    loose: HashSet<u64>,
    /// What does run, for the log.
    names: HashMap<u64, String>,
}

impl Teller {
    /// Opens FIFOs and starts their readers, or changes them after a reload.
    pub fn configure(&mut self, fifos: &[super::plan::Fifo], programs: &mut Programs) {
        self.stop_readers(programs);
        let paths: Vec<_> = fifos.iter().map(|f| f.path.clone()).collect();
        let (keep, gone): (Vec<Fifo>, Vec<Fifo>) =
            std::mem::take(&mut self.fifos).into_iter().partition(|f| paths.iter().any(|p| p == f.path()));
        gone.into_iter().for_each(Fifo::remove);
        self.fifos = keep;
        for f in fifos {
            if !self.fifos.iter().any(|open| open.path() == f.path) {
                match Fifo::open(&f.path, f.owner) {
                    Ok(open) => self.fifos.push(open),
                    Err(e) => log::error!("{e}"),
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
    pub fn tell(&mut self, plan: &Plan, subject: Subject, name: &str, notice: Notice, priority: u8) {
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
        if let Some(generic) = notify.generic.as_ref().filter(|_| state || notice == Notice::MasterRxLowerPri) {
            commands.push((generic.clone(), generic_arguments(&[], subject, name, word, priority)));
        }
        if !commands.is_empty() {
            let queue = self.queues.entry((subject, name.to_string())).or_default();
            if queue.waiting.len() >= CHANGES {
                log::error!("{name}: notify scripts take too long, one change is not told of");
                queue.waiting.pop_front();
            }
            queue.waiting.push_back(commands);
        }
        for fifo in &mut self.fifos {
            fifo.line(fifo_line(subject, name, word, priority));
        }
        if notify.mail
            && let Some(settings) = &plan.mail
            && !(plan.no_email_faults && notice == Notice::Fault)
            && let Some(alert) = mail::alert(&plan.router_id, subject, name, word)
        {
            self.send_mail(settings.clone(), alert);
        }
    }

    /// A line for all FIFOs.
    pub fn line(&mut self, line: &str) {
        for fifo in &mut self.fifos {
            fifo.line(line.to_string());
        }
    }

    /// Starts scripts whose turn it is.
    pub fn advance(&mut self, programs: &mut Programs, t: Time) {
        for ((_, name), queue) in &mut self.queues {
            while !queue.waiting.is_empty() && (queue.running.is_empty() || t.since(queue.since) >= PATIENCE) {
                if !queue.running.is_empty() {
                    log::warn!(
                        "{name}: a notify script runs for more than {} s, the next one is started",
                        PATIENCE.as_secs()
                    );
                    queue.running.clear();
                }
                queue.since = t;
                for (command, arguments) in queue.waiting.pop_front().unwrap_or_default() {
                    let job = programs.start(&command, &arguments, false);
                    queue.running.insert(job);
                    self.names.insert(job, format!("notify script {}", command.quoted()));
                }
            }
        }
        self.queues.retain(|_, q| !(q.running.is_empty() && q.waiting.is_empty()));
    }

    /// Starts all that waits: there is no time left to wait in.
    pub fn hurry(&mut self, programs: &mut Programs) {
        for queue in self.queues.values_mut() {
            for (command, arguments) in queue.waiting.drain(..).flatten() {
                queue.running.insert(programs.start(&command, &arguments, false));
            }
        }
    }

    /// Scripts run or wait.
    pub fn busy(&self) -> bool {
        !self.loose.is_empty() || self.queues.values().any(|q| !(q.running.is_empty() && q.waiting.is_empty()))
    }

    /// Starts a script that has no others to wait for.
    pub fn run(&mut self, command: &Command, programs: &mut Programs) {
        let job = programs.start(command, &[], false);
        self.loose.insert(job);
        self.names.insert(job, format!("notify script {}", command.quoted()));
    }

    /// One thread talks to the mail server, which may take its time.
    pub fn send_mail(&mut self, settings: mail::Settings, alert: mail::Alert) {
        let sender = self.mail.get_or_insert_with(|| {
            let (sender, receiver) = sync_channel::<(mail::Settings, mail::Alert)>(MAILS);
            let work = move || {
                while let Ok((settings, alert)) = receiver.recv() {
                    if let Err(e) = mail::send(&settings, &alert) {
                        log::error!("mail '{}' was not sent: {e}", alert.subject);
                    }
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
            log::error!("mail '{}' was not sent: too many wait", alert.subject);
        }
    }

    /// Lines that wait for a reader.
    pub fn flush(&mut self) {
        for fifo in &mut self.fifos {
            fifo.flush();
        }
    }

    /// A program ended; true when it was one of these.
    pub fn ended(&mut self, job: u64, end: &JobEnd) -> bool {
        let Some(name) = self.names.remove(&job) else { return false };
        match end {
            JobEnd::NotStarted(why) => log::error!("{name} cannot be started: {why}"),
            JobEnd::Signalled(s) if !self.readers.contains(&job) => log::warn!("{name} was ended by signal {s}"),
            _ => {}
        }
        self.readers.retain(|r| *r != job);
        self.loose.remove(&job);
        for queue in self.queues.values_mut() {
            queue.running.remove(&job);
        }
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
        }
    }
}
