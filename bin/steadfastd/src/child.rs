//! What all roles share: logging, the pipes to the parent and to the other child, the heartbeat.

use crate::cli::Options;
use std::time::Duration;
pub use steadfast_ipc::Order;
use steadfast_ipc::{Envelope, Link, Message, Outbox, parse};
use steadfast_sys::pipe::{PACKET, Packet, Reader, Writer};
use steadfast_sys::sandbox::{self, Needs, Places};
use steadfast_sys::signals::Signals;
use steadfast_sys::{Reactor, logging, schedule};

/// Starts logging as the options say.
pub fn start_logging(options: &Options, ident: &str) {
    let file = options.log_file.as_ref().map(|f| {
        let suffix = ident.strip_prefix("Keepalived").unwrap_or("");
        let mut name = f.file_stem().unwrap_or_default().to_os_string();
        name.push(suffix);
        if let Some(extension) = f.extension() {
            name.push(".");
            name.push(extension);
        }
        f.with_file_name(name)
    });
    logging::distinguish(options.ident.clone());
    logging::start(logging::Options {
        ident: ident.to_string(),
        console: options.console,
        syslog: !options.no_syslog && !options.console,
        facility: options.facility,
        file,
        detail: options.detail,
    });
}

/// The life of a child, from the first line of its log to the last; its exit status.
pub fn live(options: &Options, ident: &str, title: &str, work: impl FnOnce(Signals) -> std::io::Result<i32>) -> i32 {
    // Before it hears of anything secret; exec has taken back what the parent had set.
    schedule::core_dumps(options.core_dump);
    // Before any thread is started: a thread that does not block SIGCHLD would swallow it.
    let Ok(signals) = Signals::new() else { return 1 };
    start_logging(options, ident);
    if options.testify {
        // What there is to say of the state has been said by whose it is.
        log::set_max_level(log::LevelFilter::Off);
    }
    if options.rehearse {
        schedule::killed_with_parent();
    }
    if !options.rehearse && !schedule::die_with_parent(options.parent) || !schedule::has_parent(options.parent) {
        return 0;
    }
    schedule::more_descriptors();
    let status = work(signals).unwrap_or_else(|e| {
        log::error!("the {title} child cannot start: {e}");
        1
    });
    logging::flush(Duration::from_secs(1));
    status
}

/// Gives up what the role does not need. Comes last in its start.
pub fn confine(options: &Options, needs: &Needs, places: &Places) {
    // A change of accounts or capabilities may have let them in again.
    schedule::core_dumps(options.core_dump);
    for what in sandbox::confine(needs, places) {
        log::debug!("not confined: {what}");
    }
}

/// Place among the descriptors of the socket that announces addresses, behind those of the parent, two brothers and the runner.
pub const ANNOUNCER: usize = 8;

/// Tokens of the loop that every child has.
pub const FROM_PARENT: usize = 0;
/// Writable again.
pub const TO_PARENT: usize = 1;

/// The parent reads what a child says last within this.
pub const LAST_WORDS: Duration = Duration::from_millis(500);

/// How often a child says that it lives.
pub const BEAT: Duration = Duration::from_secs(1);

/// A start or a reload has come to rest after this: what it needed is given back.
pub const SETTLED: Duration = Duration::from_secs(10);

/// The link to the parent.
pub struct Parent {
    reader: Reader,
    writer: Writer,
    link: Link,
    /// Its number.
    pid: i32,
    /// Nobody hears us any more.
    gone: bool,
    /// Its death was told of.
    mourned: bool,
}

impl Parent {
    /// Takes the first two descriptors: from and to the parent.
    pub fn new(options: &Options) -> std::io::Result<Self> {
        let fd = |n: usize| options.descriptors.get(n).copied().unwrap_or(-1);
        Ok(Parent {
            reader: Reader::inherited(fd(0))?,
            writer: Writer::inherited(fd(1))?,
            link: Link::new(options.epoch),
            pid: options.parent,
            gone: false,
            mourned: false,
        })
    }

    /// Who ends because its parent is gone says so, once: nothing else tells of it.
    pub fn mourn(&mut self) {
        if !self.lives() && !std::mem::replace(&mut self.mourned, true) {
            log::warn!("the parent process (pid {}) has died: leaving in order", self.pid);
        }
    }

    /// Says what waits, of who ends without a loop of its own.
    pub fn flush_at_the_end(&mut self) {
        let limit = steadfast_sys::now() + LAST_WORDS;
        while !self.flush() && steadfast_sys::now() < limit {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// It is still there.
    pub fn lives(&self) -> bool {
        schedule::has_parent(self.pid)
    }

    /// Watches both ends.
    pub fn register(&self, reactor: &Reactor) -> std::io::Result<()> {
        reactor.watch(self.reader.fd(), FROM_PARENT)?;
        reactor.watch_both(self.writer.fd(), TO_PARENT)
    }

    /// Says something.
    pub fn say(&mut self, message: Message) {
        self.say_all([message]);
    }

    /// Says all of it, in as few packets as it takes.
    pub fn say_all(&mut self, messages: impl IntoIterator<Item = Message>) {
        messages.into_iter().for_each(|m| self.prepare(m));
        self.flush();
    }

    /// Says something with what is said next.
    pub fn prepare(&mut self, message: Message) {
        if let Err(e) = self.link.say(message) {
            log::error!("cannot tell the parent: {e}");
        }
    }

    /// Writes what waits; true when nothing does any more, or nobody would hear it.
    pub fn flush(&mut self) -> bool {
        let writer = &self.writer;
        self.link.flush(|f| writer.write(f).is_ok()) || self.gone
    }

    /// Takes what has come.
    pub fn orders(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        let mut buffer = [0; PACKET];
        loop {
            match self.reader.read(&mut buffer) {
                Packet::Empty => return orders,
                Packet::Closed => {
                    self.gone = true;
                    self.mourn();
                    orders.push(Order::Gone);
                    return orders;
                }
                Packet::Data(n) => match self.link.hear(buffer.get(..n).unwrap_or_default()) {
                    Ok(order) => orders.extend(order),
                    Err(e) => log::error!("message from the parent: {e}"),
                },
            }
        }
    }
}

/// A link to another child. What its predecessor left in the pipe is state and still true, or is mended by what follows.
pub struct Brother {
    reader: Reader,
    writer: Writer,
    outbox: Outbox,
    /// It has been heard. Until then nothing is kept for it: whoever begins asks for all that there is to know.
    there: bool,
    /// Neither it nor the parent, which would start another one, has its end of the pipe any more.
    gone: bool,
}

impl Brother {
    /// Takes the two descriptors after the parent's and those of `before` other brothers, and asks for all that there is to know.
    pub fn new(options: &Options, before: usize) -> Option<Self> {
        let fd = |n: usize| options.descriptors.get(2 + 2 * before + n).copied().unwrap_or(-1);
        let mut brother = Brother {
            reader: Reader::inherited(fd(0)).ok()?,
            writer: Writer::inherited(fd(1)).ok()?,
            outbox: Outbox::default(),
            there: false,
            gone: false,
        };
        brother.say(Message::Hello);
        Some(brother)
    }

    /// Watches both ends under one token.
    pub fn register(&self, reactor: &Reactor, token: usize) -> std::io::Result<()> {
        reactor.watch(self.reader.fd(), token)?;
        reactor.watch_both(self.writer.fd(), token)
    }

    /// It has been heard: what it is told is no waste.
    pub fn is_there(&self) -> bool {
        self.there
    }

    /// It has ended, and so has the parent.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// Says something. While the pipe is full the latest state of each object waits.
    pub fn say(&mut self, message: Message) {
        let key = match &message {
            Message::Instance { name, .. } => format!("instance {name}"),
            Message::Service { name, .. } => format!("service {name}"),
            Message::Session { name, .. } => format!("session {name}"),
            Message::Hello => "hello".to_string(),
            _ => "here".to_string(),
        };
        if !self.there && message != Message::Hello {
            return;
        }
        if let Err(e) = self.outbox.state(&key, &Envelope { epoch: 0, message }) {
            log::error!("cannot tell the other child: {e}");
        }
        self.flush();
    }

    /// Writes what waits.
    pub fn flush(&mut self) {
        let writer = &self.writer;
        self.outbox.flush(|f| writer.write(f).is_ok());
    }

    /// Takes what has come. `Hello`: all that there is to know is to be said.
    pub fn hear(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut buffer = [0; PACKET];
        loop {
            match self.reader.read(&mut buffer) {
                Packet::Data(n) => match parse(buffer.get(..n).unwrap_or_default()) {
                    Ok(e) => messages.push(e.message),
                    Err(e) => log::error!("message from the other child: {e}"),
                },
                Packet::Closed => {
                    self.gone = true;
                    break;
                }
                Packet::Empty => break,
            }
        }
        if messages.is_empty() {
            return messages;
        }
        let new = !std::mem::replace(&mut self.there, true);
        if messages.contains(&Message::Hello) {
            self.say(Message::Heartbeat { late: 0 });
        } else if new {
            // What was to be said to it until now was not kept: it is as if it had asked.
            messages.push(Message::Hello);
        }
        messages
    }
}
