//! A new file is read beside the loop: most of what a reload costs is reading, and no advert of a thousand routers, and no packet of
//! a BFD session, waits for it.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use steadfast_config::Config;
use steadfast_ipc::{Message, decode};
use steadfast_sys::{Reactor, Waker, schedule};

/// The reading. `T` is what the loop needs of a file.
pub struct Reread<T> {
    read: fn(&Config) -> T,
    waker: Arc<Waker>,
    sender: Sender<Result<T, String>>,
    done: Receiver<Result<T, String>>,
    under_way: bool,
    /// A file that came while another was read: the last one counts.
    next: Option<Vec<u8>>,
    /// Files that came since the last one that took effect: the parent hears of each.
    pub unanswered: usize,
    /// What is to be said or done by the file that is read.
    pub deferred: Vec<Message>,
}

/// Most that waits for a file.
const DEFERRED: usize = 64;

fn read<T>(bytes: &[u8], of: fn(&Config) -> T) -> Result<T, String> {
    let config: Config = decode(bytes).map_err(|e| e.to_string())?;
    Ok(of(&config))
}

impl<T: Send + 'static> Reread<T> {
    /// The loop hears of a file that has been read by `token`. Fails when the kernel is out of descriptors.
    pub fn new(reactor: &Reactor, token: usize, read: fn(&Config) -> T) -> io::Result<Self> {
        schedule::share_heap();
        let (sender, done) = channel();
        Ok(Reread {
            read,
            waker: Arc::new(reactor.waker(token)?),
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
        let (own, of) = (bytes.clone(), self.read);
        let work = move || {
            let _ = sender.send(read(&own, of));
            drop(own);
            let _ = waker.wake();
        };
        if let Err(e) = std::thread::Builder::new().name("file".into()).spawn(work) {
            log::warn!("no thread to read a file in, the loop waits for it: {e}");
            let _ = self.sender.send(read(&bytes, self.read));
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
    pub fn take(&mut self) -> Option<Result<T, String>> {
        let read = self.done.try_recv().ok()?;
        self.under_way = false;
        if let Some(bytes) = self.next.take() {
            self.start(bytes);
            return None;
        }
        Some(read)
    }
}
