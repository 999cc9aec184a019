//! Telling the world: scripts, FIFOs, mail. Nothing here waits.

use super::plan::{Command, Notify, Plan};
use std::collections::HashSet;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use steadfast_notify::{Subject, fifo_line, generic_arguments, mail};
use steadfast_sys::fifo::Fifo;
use steadfast_sys::spawn::{self, Spec};
use steadfast_vrrp::Notice;

/// Messages that wait for the mail server at most.
const MAILS: usize = 256;

/// Starts a program as a script is started: its own group, a clean environment, no descriptors of ours.
pub fn start(command: &Command, extra: &[String]) -> std::io::Result<i32> {
    spawn::spawn(&Spec {
        argv: command.argv.iter().chain(extra).map(Into::into).collect(),
        user: command.user,
        group: true,
        clean_environment: true,
        ..Default::default()
    })
}

/// Who is told.
#[derive(Default)]
pub struct Teller {
    fifos: Vec<Fifo>,
    readers: Vec<i32>,
    mail: Option<SyncSender<(mail::Settings, mail::Alert)>>,
    /// Scripts that run now.
    pub running: HashSet<i32>,
}

impl Teller {
    /// Opens FIFOs and starts their readers, or changes them after a reload.
    pub fn configure(&mut self, fifos: &[super::plan::Fifo]) {
        self.stop_readers();
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
                match start(reader, &[f.path.to_string_lossy().into_owned()]) {
                    Ok(pid) => self.readers.push(pid),
                    Err(e) => log::error!("FIFO reader {}: {e}", reader.quoted()),
                }
            }
        }
    }

    /// One notification: specific script, generic script, FIFOs, mail.
    pub fn tell(&mut self, plan: &Plan, subject: Subject, name: &str, notice: Notice, priority: u8) {
        let default = Notify::default();
        let notify = match subject {
            Subject::Instance => plan.instances.get(name),
            Subject::Group => plan.groups.get(name),
        }
        .unwrap_or(&default);
        let word = notice.word();
        if let Some(script) = notify.specific(notice) {
            self.run(script, &[]);
        }
        let state = matches!(notice, Notice::Master | Notice::Backup | Notice::Fault | Notice::Stop | Notice::Deleted);
        if let Some(generic) = notify.generic.as_ref().filter(|_| state || notice == Notice::MasterRxLowerPri) {
            let arguments = generic_arguments(&[], subject, name, word, priority);
            self.run(generic, &arguments);
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

    /// Starts a notify script.
    pub fn run(&mut self, command: &Command, arguments: &[String]) {
        match start(command, arguments) {
            Ok(pid) => {
                self.running.insert(pid);
            }
            Err(e) => log::error!("notify script {}: {e}", command.quoted()),
        }
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

    /// A process ended; true when it was one of these.
    pub fn ended(&mut self, pid: i32, end: spawn::End) -> bool {
        self.readers.retain(|r| *r != pid);
        if self.running.remove(&pid) {
            if let spawn::End::Signalled(s) = end {
                log::warn!("notify script (pid {pid}) was ended by signal {s}");
            }
            return true;
        }
        false
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
    pub fn stop_readers(&mut self) {
        for pid in self.readers.drain(..) {
            spawn::signal_group(pid, 15);
        }
    }
}
