//! Observers: processes that show the daemon to others (D-Bus, SNMP). Each is there when the configuration wants it, and is told by
//! the parent what changes. Nobody waits for them.
//!
//! What they share is here: the life of the process, the link to the parent, the loop. A [`Body`] is what differs.

#![cfg_attr(not(any(feature = "dbus", feature = "snmp")), allow(dead_code))]

use crate::child::{self, BEAT, Order, Parent, SETTLED, confine};
use crate::cli::Options;
use std::io;
use std::time::Duration;
use steadfast_config::Config;
use steadfast_core::Time;
use steadfast_ipc::{Action, Assembler, Message, News, Reporter, decode};
use steadfast_status::{Snapshot, live};
use steadfast_sys::sandbox::Needs;
use steadfast_sys::signals::Signals;
use steadfast_sys::{Reactor, Ready, logging, now, schedule};

#[cfg(feature = "dbus")]
pub mod dbus;
#[cfg(feature = "snmp")]
pub mod snmp;

/// Who reports, in the order of the parent's roles.
pub const REPORTERS: [Reporter; 3] = [Reporter::Vrrp, Reporter::Checker, Reporter::Bfd];

const SIGNALS: usize = 2;
/// Tokens of a body begin here.
pub const BODY: usize = 10;

/// A child's whole account of itself. Which of them is looked at depends on the bodies that are built.
#[derive(Debug)]
#[allow(dead_code)]
pub enum Report {
    /// Of the VRRP child.
    Vrrp(Box<Snapshot>),
    /// Of the checker child.
    Checker(live::Checker),
    /// Of the BFD child.
    Bfd(live::Bfd),
    /// There is no such child, or not at the moment.
    Absent(Reporter),
}

/// What a body has at hand.
pub struct House {
    parent: Parent,
    /// For descriptors of the body, whose tokens begin at [`BODY`].
    pub reactor: Reactor,
}

impl House {
    /// Asks for reports of all children. They come one by one; more than one question in a second is one question.
    pub fn survey(&mut self) {
        self.parent.say(Message::Survey);
    }

    /// Has something done by another process. There is no answer.
    pub fn act(&mut self, action: Action) {
        self.parent.say(Message::Act(action));
    }
}

/// An observer without what all of them share. No method may wait for anything: the parent ends a process that does not beat.
pub trait Body: Sized {
    /// Begins, once the configuration is there. Rights were given up: what is lost later is opened again with the same ones.
    fn start(options: &Options, config: &Config, house: &mut House) -> io::Result<Self>;
    /// The file was read again. States of what is new come as news or in a report.
    fn reload(&mut self, config: &Config, house: &mut House);
    /// Something has changed.
    fn news(&mut self, news: News, house: &mut House);
    /// A report has come.
    fn report(&mut self, report: Report, house: &mut House);
    /// A descriptor of the body is ready.
    fn ready(&mut self, ready: Ready, t: Time, house: &mut House);
    /// When [`Body::poll`] is to be called.
    fn due(&self) -> Option<Time>;
    /// Its time has come.
    fn poll(&mut self, t: Time, house: &mut House);
    /// The daemon stops, or does without. What there is to say is to be said within some 100 ms.
    fn stop(&mut self);
}

/// Runs a role with such a body; returns its exit status.
pub fn run<B: Body>(options: &Options, ident: &str, title: &str, needs: &Needs) -> i32 {
    child::live(options, ident, title, |signals| live_as::<B>(options, signals, needs))
}

fn live_as<B: Body>(options: &Options, signals: Signals, needs: &Needs) -> io::Result<i32> {
    let reactor = Reactor::new()?;
    let parent = Parent::new(options)?;
    parent.register(&reactor)?;
    reactor.watch(signals.fd(), SIGNALS)?;
    let mut house = House { parent, reactor };
    let mut body: Option<B> = None;
    let mut reports = <[Assembler; REPORTERS.len()]>::default();
    let mut trim: Option<Time> = None;
    let mut beat = now();
    let mut ready: Vec<Ready> = Vec::new();
    let mut late = Duration::ZERO;
    loop {
        let due = body.as_ref().and_then(B::due).unwrap_or(Time::FAR).min(beat);
        house.reactor.wait(Some(due), false, &mut ready)?;
        let t = now();
        late = late.max(t.since(due));
        for r in ready.drain(..).filter(|r| r.token >= BODY) {
            body.iter_mut().for_each(|b| b.ready(r, t, &mut house));
        }
        let mut over = false;
        while let Some(signal) = signals.next() {
            if signal == 15 {
                house.parent.mourn();
                over = true;
            }
        }
        for order in house.parent.orders() {
            match order {
                Order::Config(bytes) => {
                    let config: Config = decode(&bytes).map_err(io::Error::other)?;
                    logging::structured(config.globals.log_structured == Some(true));
                    match &mut body {
                        Some(b) => b.reload(&config, &mut house),
                        None => {
                            confine(options, needs, &Default::default());
                            body = Some(B::start(options, &config, &mut house)?);
                        }
                    }
                    house.parent.say(Message::Ready);
                    trim = Some(t + SETTLED);
                }
                Order::Message(Message::News(news)) => body.iter_mut().for_each(|b| b.news(news.clone(), &mut house)),
                Order::Message(Message::Report { of, last, bytes }) => {
                    let at = REPORTERS.iter().position(|r| *r == of).and_then(|n| reports.get_mut(n));
                    match at.map(|a| a.add(last, &bytes)) {
                        Some(Ok(Some(whole))) => {
                            let report = read(of, &whole);
                            if let (Some(report), Some(b)) = (report, &mut body) {
                                b.report(report, &mut house);
                            }
                        }
                        Some(Err(e)) => log::error!("report of a child: {e}"),
                        _ => {}
                    }
                }
                Order::Message(Message::Stop { .. }) | Order::Gone => over = true,
                Order::Message(_) => {}
            }
        }
        if over {
            body.iter_mut().for_each(B::stop);
            house.parent.flush();
            return Ok(0);
        }
        if let Some(b) = body.as_mut().filter(|b| b.due().is_some_and(|at| at <= t)) {
            b.poll(t, &mut house);
        }
        if t >= beat {
            let worst = u64::try_from(std::mem::take(&mut late).as_micros()).unwrap_or(u64::MAX);
            house.parent.say(Message::Heartbeat { late: worst });
            if trim.take_if(|at| *at <= t).is_some() {
                schedule::give_memory_back();
            }
            beat = t + BEAT;
        }
        house.parent.flush();
    }
}

fn read(of: Reporter, bytes: &[u8]) -> Option<Report> {
    if bytes.is_empty() {
        return Some(Report::Absent(of));
    }
    let report = match of {
        Reporter::Vrrp => decode(bytes).map(|s| Report::Vrrp(Box::new(s))),
        Reporter::Checker => decode(bytes).map(Report::Checker),
        Reporter::Bfd => decode(bytes).map(Report::Bfd),
    };
    report.map_err(|e| log::error!("report of a child: {e}")).ok()
}
