//! The connection to the bus: one thread that reaches it, again and again, and says what there is to say, and one that answers.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use steadfast_dbus::{Answer, Body, Call, Signal, Status, Tree, Value, Wish};
use steadfast_sys::pipe::Writer;
use zbus::blocking::connection::Builder;
use zbus::blocking::{Connection, MessageIterator};
use zbus::message::{Flags, Type};
use zbus::zvariant;

/// Signals that wait for the bus at most, beside some for each instance; then the oldest is lost.
const SIGNALS: usize = 1000;
/// Wishes that wait for the loop at most; a client beyond them is told so.
const WISHES: usize = 32;
/// Waits between attempts to reach the bus: the first, and the longest.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// The bus answers within this.
const TIMEOUT: Duration = Duration::from_secs(20);

const DAEMON: &str = "org.freedesktop.DBus";

/// What the loop and the threads have in common.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    wake: Writer,
}

struct Inner {
    tree: Tree,
    service: String,
    /// States are known.
    settled: bool,
    /// The name is ours, on the connection of this number.
    owner: Option<u64>,
    /// That connection has ended.
    closed: Option<u64>,
    signals: VecDeque<Signal>,
    lost: u64,
    wishes: Vec<Wish>,
    stopping: bool,
    /// All has been said.
    over: bool,
}

impl Inner {
    fn push(&mut self, signals: impl IntoIterator<Item = Signal>) {
        if self.owner.is_none() {
            // Whoever comes later hears how everything is then.
            return;
        }
        self.signals.extend(signals);
        while self.signals.len() > SIGNALS + 4 * self.tree.instances() {
            self.signals.pop_front();
            if self.lost == 0 {
                log::warn!("D-Bus: the bus does not take signals, the oldest are lost");
            }
            self.lost += 1;
        }
    }
}

impl Shared {
    pub fn new(tree: Tree, service: String, wake: Writer) -> Self {
        let inner = Inner {
            tree,
            service,
            settled: false,
            owner: None,
            closed: None,
            signals: VecDeque::new(),
            lost: 0,
            wishes: Vec::new(),
            stopping: false,
            over: false,
        };
        Shared { inner: Mutex::new(inner), changed: Condvar::new(), wake }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing is done under the lock that leaves half a change behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the objects, and has said what follows.
    pub fn with(&self, change: impl FnOnce(&mut Tree) -> Vec<Signal>) {
        let mut inner = self.lock();
        let signals = change(&mut inner.tree);
        inner.push(signals);
        self.changed.notify_all();
    }

    /// States are known: the bus may be reached.
    pub fn settled(&self) {
        self.lock().settled = true;
        self.changed.notify_all();
    }

    /// The name on the bus.
    pub fn rename(&self, service: String) {
        self.lock().service = service;
        self.changed.notify_all();
    }

    /// Takes what clients want done.
    pub fn wishes(&self) -> Vec<Wish> {
        std::mem::take(&mut self.lock().wishes)
    }

    /// Says the last signal, and waits until it is on its way, at most for a time.
    pub fn stop(&self, most: Duration) {
        let mut inner = self.lock();
        let last = inner.tree.stopped();
        inner.push([last]);
        inner.stopping = true;
        let until = Instant::now() + most;
        self.changed.notify_all();
        while inner.owner.is_some() && !inner.over {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for something to say, or for an end.
    fn next(&self, number: u64, service: &str) -> Next {
        let mut inner = self.lock();
        loop {
            if inner.closed == Some(number) {
                return Next::Closed;
            }
            if let Some(signal) = inner.signals.pop_front() {
                inner.lost = 0;
                return Next::Say(signal);
            }
            if inner.stopping {
                return Next::Over;
            }
            if inner.service != service {
                return Next::Renamed;
            }
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The name is ours: everybody hears how everything is.
    fn own(&self, number: u64) {
        let mut inner = self.lock();
        inner.owner = Some(number);
        let signals = inner.tree.begun();
        inner.push(signals);
        log::info!("D-Bus: has the name {}", inner.service);
        self.changed.notify_all();
    }

    fn closed(&self, number: u64) {
        let mut inner = self.lock();
        inner.closed = Some(number);
        self.changed.notify_all();
    }

    /// Nobody listens any more.
    fn disown(&self) {
        let mut inner = self.lock();
        inner.owner = None;
        inner.signals.clear();
        self.changed.notify_all();
    }

    /// Takes a wish along; false: too many wait.
    fn wish(&self, wish: Wish) -> bool {
        let mut inner = self.lock();
        if inner.wishes.len() >= WISHES {
            return false;
        }
        inner.wishes.push(wish);
        // A full pipe has woken it already.
        let _ = self.wake.write(&[0]);
        true
    }

    /// Waits for a time, or until something has changed that makes it worth to try again now. False: the daemon stops.
    fn pause(&self, delay: Duration, service: &str) -> bool {
        let until = Instant::now() + delay;
        let mut inner = self.lock();
        while !inner.stopping && inner.service == service {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        !inner.stopping
    }
}

/// A thread that fails ends the process, which is started again; half a process would be silent for good.
struct Whole;

impl Drop for Whole {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

enum Next {
    Say(Signal),
    Closed,
    Renamed,
    Over,
}

/// Starts the thread that looks after the connection.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    let work = move || {
        let _whole = Whole;
        look_after(&shared);
    };
    std::thread::Builder::new().name("bus".into()).spawn(work).map(drop)
}

fn look_after(shared: &Arc<Shared>) {
    {
        let mut inner = shared.lock();
        while !inner.settled && !inner.stopping {
            inner = shared.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
    let mut delay = FIRST;
    let mut said: Option<String> = None;
    for number in 1.. {
        let service = shared.lock().service.clone();
        let begun = Instant::now();
        let end = serve(shared, number, &service);
        shared.disown();
        match end {
            Ok(Next::Over) => {
                shared.lock().over = true;
                shared.changed.notify_all();
                return;
            }
            Ok(Next::Renamed) => continue,
            Ok(_) => {
                log::warn!("D-Bus: the connection to the bus is lost, trying again");
                said = None;
            }
            Err(e) => {
                // The words of the bus have numbers that change.
                let kind = match &e {
                    zbus::Error::MethodError(name, ..) => name.to_string(),
                    other => other.to_string(),
                };
                if said.as_ref() != Some(&kind) {
                    log::warn!("D-Bus: {e}; trying again");
                    said = Some(kind);
                }
            }
        }
        if begun.elapsed() > LONGEST {
            delay = FIRST;
        }
        if !shared.pause(delay, &service) {
            return;
        }
        delay = (delay * 2).min(LONGEST);
    }
}

/// One connection, from its beginning to its end.
fn serve(shared: &Arc<Shared>, number: u64, service: &str) -> zbus::Result<Next> {
    let connection = Builder::system()?.method_timeout(TIMEOUT).build()?;
    let messages = MessageIterator::from(&connection);
    let answering = {
        let (shared, connection, service) = (shared.clone(), connection.clone(), service.to_string());
        move || {
            let _whole = Whole;
            answer_all(&shared, number, &service, &connection, messages);
            shared.closed(number);
        }
    };
    std::thread::Builder::new().name("answers".into()).spawn(answering)?;
    let result = request(service, &connection).and_then(|()| {
        loop {
            match shared.next(number, service) {
                Next::Say(signal) => say(&connection, &signal)?,
                end => return Ok(end),
            }
        }
    });
    // The other thread ends with it.
    let _ = connection.close();
    result
}

/// Asks for the name. Where somebody else has it, we are next, and hear of it by a signal.
fn request(service: &str, connection: &Connection) -> zbus::Result<()> {
    let path = "/org/freedesktop/DBus";
    let reply = connection.call_method(Some(DAEMON), path, Some(DAEMON), "RequestName", &(service, 0u32))?;
    match reply.body().deserialize::<u32>()? {
        // NameAcquired is told, too, but the order in which the two are looked at is open.
        1 | 4 => {}
        _ => log::warn!("D-Bus: the name {service} is taken by another process, waiting for it"),
    }
    Ok(())
}

/// Sends a signal.
fn say(connection: &Connection, s: &Signal) -> zbus::Result<()> {
    let (path, interface) = (s.path.as_str(), s.interface);
    let nobody = None::<&str>;
    match s.body {
        Body::Nothing => connection.emit_signal(nobody, path, interface, s.member, &()),
        Body::Number(n) => connection.emit_signal(nobody, path, interface, s.member, &n),
        Body::State(status) => {
            let changed = BTreeMap::from([("State", state(status))]);
            let body = ("org.keepalived.Vrrp1.Instance", changed, Vec::<&str>::new());
            connection.emit_signal(nobody, path, interface, s.member, &body)
        }
    }
}

fn state(status: Status) -> zvariant::Value<'static> {
    zvariant::Value::from((status.number(), status.word()))
}

fn value(v: Value) -> zvariant::Value<'static> {
    match v {
        Value::Name(name) => zvariant::Value::from((name,)),
        Value::State(status) => state(status),
    }
}

/// Answers until the connection ends.
fn answer_all(shared: &Shared, number: u64, service: &str, connection: &Connection, messages: MessageIterator) {
    for message in messages {
        let Ok(message) = message else { return };
        let header = message.header();
        let answered = match message.message_type() {
            Type::MethodCall => answer(shared, connection, &message),
            Type::Signal if header.sender().is_some_and(|s| s.as_str() == DAEMON) => {
                let acquired = header.member().is_some_and(|m| m.as_str() == "NameAcquired");
                if acquired && message.body().deserialize::<&str>().is_ok_and(|name| name == service) {
                    shared.own(number);
                }
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(e) = answered {
            log::debug!("D-Bus: a client was not answered: {e}");
        }
    }
}

fn answer(shared: &Shared, connection: &Connection, message: &zbus::Message) -> zbus::Result<()> {
    let header = message.header();
    let (Some(path), Some(member)) = (header.path(), header.member()) else { return Ok(()) };
    let body = message.body();
    let signature = body.signature().to_string_no_parens();
    let strings = match signature.as_str() {
        "s" => body.deserialize::<String>().map(|s| vec![s])?,
        "ss" => body.deserialize::<(String, String)>().map(|(a, b)| vec![a, b])?,
        "ssv" => body.deserialize::<(String, String, zvariant::Value<'_>)>().map(|(a, b, _)| vec![a, b])?,
        _ => Vec::new(),
    };
    let call = Call {
        path: path.as_str(),
        interface: header.interface().map(|i| i.as_str()),
        member: member.as_str(),
        signature: &signature,
        strings: &strings,
    };
    let mut answer = shared.lock().tree.answer(&call);
    if let Answer::Done(wish) = answer {
        answer = if shared.wish(wish) {
            Answer::Empty
        } else {
            Answer::Error("LimitsExceeded", "too many requests wait".into())
        };
    }
    if message.primary_header().flags().contains(Flags::NoReplyExpected) {
        return Ok(());
    }
    match answer {
        Answer::Empty | Answer::Done(_) => connection.reply(&header, &()),
        Answer::Text(text) => connection.reply(&header, &text),
        Answer::Value(v) => connection.reply(&header, &value(v)),
        Answer::All(all) => {
            let all: BTreeMap<&str, zvariant::Value<'_>> = all.into_iter().map(|(name, v)| (name, value(v))).collect();
            connection.reply(&header, &all)
        }
        Answer::MachineId => {
            let read = |path: &&str| std::fs::read_to_string(path).ok();
            match ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(read) {
                Some(id) => connection.reply(&header, &id.trim()),
                None => connection.reply_error(&header, "org.freedesktop.DBus.Error.Failed", &"this machine has no id"),
            }
        }
        Answer::Error(name, text) => {
            connection.reply_error(&header, format!("org.freedesktop.DBus.Error.{name}"), &text)
        }
    }
}
