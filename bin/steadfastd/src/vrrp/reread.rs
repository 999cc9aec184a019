//! A new file is read beside the loop: most of what a reload costs is reading, and no advert of a thousand routers waits for it.

use super::{READ, Role, SETTLED, details, plan::Plan, translate};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use steadfast_config::Config;
use steadfast_core::Time;
use steadfast_ipc::{Message, decode};
use steadfast_sys::{Reactor, Waker, schedule};
use steadfast_vrrp::Input;

/// What the loop needs of a file.
type Read = Box<(Plan, details::Told)>;

/// The reading.
pub struct Reread {
    waker: Arc<Waker>,
    sender: Sender<Result<Read, String>>,
    done: Receiver<Result<Read, String>>,
    under_way: bool,
    /// A file that came while another was read: the last one counts.
    next: Option<Vec<u8>>,
    /// Files that came since the last one that took effect: the parent hears of each.
    unanswered: usize,
    /// What is to be said or done by the file that is read.
    deferred: Vec<Message>,
}

/// Most that waits for a file.
const DEFERRED: usize = 64;

fn read(bytes: &[u8]) -> Result<Read, String> {
    let config: Config = decode(bytes).map_err(|e| e.to_string())?;
    Ok(Box::new((translate::plan(&config), details::Told::new(&config))))
}

impl Reread {
    /// Fails when the kernel is out of descriptors.
    pub fn new(reactor: &Reactor) -> io::Result<Self> {
        schedule::share_heap();
        let (sender, done) = channel();
        Ok(Reread {
            waker: Arc::new(reactor.waker(READ)?),
            sender,
            done,
            under_way: false,
            next: None,
            unanswered: 0,
            deferred: Vec::new(),
        })
    }

    /// Begins with a file as the loader sent it.
    pub fn begin(&mut self, bytes: Vec<u8>) {
        self.unanswered += 1;
        self.start(bytes);
    }

    fn start(&mut self, bytes: Vec<u8>) {
        if std::mem::replace(&mut self.under_way, true) {
            self.next = Some(bytes);
            return;
        }
        // A thread is not scheduled in real time, though its process is.
        let (sender, waker, bytes) = (self.sender.clone(), self.waker.clone(), Arc::new(bytes));
        let own = bytes.clone();
        let work = move || {
            let _ = sender.send(read(&own));
            drop(own);
            let _ = waker.wake();
        };
        if let Err(e) = std::thread::Builder::new().name("file".into()).spawn(work) {
            log::warn!("no thread to read a file in, the loop waits for it: {e}");
            let _ = self.sender.send(read(&bytes));
            let _ = self.waker.wake();
        }
    }

    /// What follows a file in the pipe is of that file: a report, a dump, a change. Gives back what need not wait.
    pub fn defer(&mut self, message: Message) -> Option<Message> {
        let waits = matches!(message, Message::Survey | Message::Act(_) | Message::Dump(_));
        if !self.under_way || !waits || self.deferred.len() >= DEFERRED {
            return Some(message);
        }
        self.deferred.push(message);
        None
    }

    /// What was read.
    fn take(&mut self) -> Option<Result<Read, String>> {
        let read = self.done.try_recv().ok()?;
        self.under_way = false;
        if let Some(bytes) = self.next.take() {
            self.start(bytes);
            return None;
        }
        Some(read)
    }
}

impl Role {
    /// A file has been read: the difference is put into effect.
    pub(super) fn reload(&mut self, t: Time) {
        match self.reread.take() {
            None => return,
            // Who leaves takes nothing new up.
            Some(Ok(_)) if self.leaving => {}
            Some(Ok(read)) => self.change(*read, t),
            Some(Err(e)) => log::error!("configuration: {e}"),
        }
        for message in std::mem::take(&mut self.reread.deferred) {
            self.obey(message, t);
        }
    }

    fn change(&mut self, (mut plan, told): (Plan, details::Told), t: Time) {
        plan.remember(&self.plan);
        // A file that is tracked from now on is read before anybody judges by it.
        for f in plan.files.iter().filter(|f| !self.plan.files.iter().any(|o| o.name == f.name)) {
            let first = f.init.filter(|(_, overwrite)| *overwrite || !f.path.exists()).map(|(v, _)| v);
            let value = first.unwrap_or_else(|| self.numbers.read(&f.path));
            self.router.handle(t, Input::File(&f.name, value), &mut self.out);
        }
        self.save_state("pre", t);
        self.told = told;
        self.plan = plan;
        self.plan.names[0].iter().for_each(|name| schedule::name(name));
        let adjusted = self.router.views().filter(|v| v.adjusted != (None, None));
        let adjusted: Vec<String> = adjusted.map(|v| v.config.name.to_string()).collect();
        self.router.reload(t, self.plan.take_machine(), &mut self.out);
        adjusted.iter().for_each(|name| self.keep_adjusted(name, (None, None)));
        let probes = &self.plan.probes;
        self.results.retain(|name, _| probes.contains_key(name));
        self.trim = Some(t + SETTLED);
        self.configure();
        self.save_state("post", t);
        if self.plan.machine.fifo_states_on_reload {
            self.tell_states();
        }
        self.dirty = true;
        for b in [&mut self.brother, &mut self.bfd].into_iter().flatten() {
            b.say(Message::Hello);
        }
        for _ in 0..std::mem::take(&mut self.reread.unanswered) {
            self.parent.say(Message::Ready);
        }
    }
}
