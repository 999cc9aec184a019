//! What the parent answers to who asks it. It passes on what its children say of themselves without reading it, and what they said
//! last when they are dead or do not answer.

use super::upgrade::Former;
use super::{Daemon, Role, SIGHUP};
use crate::cli::COMPATIBLE;
use crate::witness::{self, Given};
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::Message;
use steadfast_status::live::to_json;
use steadfast_sys::control::{Client, Listener, Progress};
use steadfast_sys::{files, handover, now, schedule, spawn};

/// Who may ask at once.
const CLIENTS: usize = 16;
/// So many of these at a time.
const WITNESSES: usize = 2;
/// Children have this long to say how they are.
const PATIENCE: Duration = Duration::from_millis(300);
/// A child that hangs is ended and started again, with the new configuration, within this.
const EFFECT: Duration = Duration::from_secs(20);
/// A child beats each second.
const BEATING: Duration = Duration::from_millis(1500);
/// A client that neither asks nor reads is sent away after this. A reading of the configuration takes a minute at most, an upgrade
/// three.
const LIMIT: Duration = Duration::from_secs(60);
/// Tokens of clients begin here; the listener has the one before.
pub(super) const CONTROL: usize = 100;

/// What goes on where a file was refused.
pub(super) const CONFIGURATION: &str = "the running configuration stays";
/// The same of a program.
pub(super) const PROGRAM: &str = "the running program goes on";

/// What a client waits for.
enum Wish {
    Nothing,
    /// Since when, and until when at most.
    Status(Time, Time),
    Reload(u64),
    /// The configuration was read, and is to take effect until then.
    Effect(Time),
}

/// The socket and who has opened it.
#[derive(Default)]
pub(super) struct Control {
    listener: Option<Listener>,
    clients: Vec<Option<(Client, Wish, Time)>>,
    /// When the last attempt to read a configuration ended, and whether it was taken over.
    pub last_reading: Option<(f64, bool)>,
    /// Why it was not.
    refused: Option<String>,
    /// What it reported: of bounded length, as the loader sees to.
    pub reports: Vec<u8>,
    /// The same of the last one that was taken over.
    pub running_reports: Vec<u8>,
    /// Readings begun.
    pub reading: u64,
    /// Processes that answer for children that do not.
    pub witnesses: Vec<i32>,
}

impl Daemon {
    /// Opens the socket beside the pid file.
    pub(super) fn open_control(&mut self) {
        let path = self.control_path();
        match Listener::bind(&path) {
            Ok(listener) => {
                if self.reactor.watch(listener.fd(), CONTROL - 1).is_ok() {
                    self.control.listener = Some(listener);
                }
            }
            Err(e) => log::warn!("nobody can ask how the daemon is: {}: {e}", path.display()),
        }
    }

    /// Something happens on the socket.
    pub(super) fn control_ready(&mut self, token: usize, t: Time) {
        if token == CONTROL - 1 {
            while let Some(client) = self.control.listener.as_ref().and_then(Listener::accept) {
                let free = self.control.clients.iter().position(Option::is_none);
                let at = free.unwrap_or(self.control.clients.len());
                if at >= CLIENTS {
                    continue;
                }
                if free.is_none() {
                    self.control.clients.push(None);
                }
                if self.reactor.watch_both(client.fd(), CONTROL + at).is_ok()
                    && let Some(place) = self.control.clients.get_mut(at)
                {
                    *place = Some((client, Wish::Nothing, t));
                }
                self.client_ready(at, t);
            }
            return;
        }
        self.client_ready(token - CONTROL, t);
    }

    fn client_ready(&mut self, at: usize, t: Time) {
        let Some((client, wish, _)) = self.control.clients.get_mut(at).and_then(Option::as_mut) else { return };
        match client.read() {
            // An answer that did not fit in one go goes on.
            Progress::Waiting => {
                if client.answering() && client.flush() == Progress::Over {
                    self.forget_client(at);
                }
            }
            Progress::Over => {
                // Who has said all that he has to say may still listen.
                let listens = matches!(wish, Wish::Status(..) | Wish::Reload(_) | Wish::Effect(_));
                if client.flush() == Progress::Over && !listens {
                    self.forget_client(at);
                }
            }
            Progress::Request(line) => self.request(at, &line, t),
        }
    }

    fn forget_client(&mut self, at: usize) {
        if let Some((client, _, _)) = self.control.clients.get_mut(at).and_then(Option::take) {
            self.reactor.forget(client.fd());
        }
    }

    fn answer(&mut self, at: usize, bytes: Vec<u8>) {
        let Some((client, wish, _)) = self.control.clients.get_mut(at).and_then(Option::as_mut) else { return };
        *wish = Wish::Nothing;
        if client.answer(bytes) == Progress::Over {
            self.forget_client(at);
        }
    }

    fn wish(&mut self, at: usize, wish: Wish) {
        if let Some((_, place, _)) = self.control.clients.get_mut(at).and_then(Option::as_mut) {
            *place = wish;
        }
    }

    /// A line: words with tabs between them.
    fn request(&mut self, at: usize, line: &str, t: Time) {
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["status"] => {
                for role in self.roles.iter_mut().filter(|r| !r.ward.is_observer()) {
                    role.ward.asked = role.pid.is_some();
                    role.say(Message::Ask);
                }
                // One that beats will answer, however much it has to say; one that does not is not waited for.
                let beats = |r: &Role| r.pid.is_none() || r.ward.watch.silent_for(t) < BEATING;
                let patience = if self.children().all(beats) { PATIENCE * 10 } else { PATIENCE };
                self.wish(at, Wish::Status(t, t + patience));
                self.tell_clients(t);
            }
            ["reload"] if self.stopping.is_some() => self.answer(at, b"failed: the daemon stops\n".to_vec()),
            ["reload", rest @ ..] => {
                // One that is under way may have read an older file.
                let reading = self.control.reading + 1;
                if rest == ["force"] {
                    self.force_reload = Some(reading);
                }
                self.wish(at, Wish::Reload(reading));
                self.signal(SIGHUP);
            }
            ["upgrade"] if self.stopping.is_some() || self.loading.is_some() => {
                self.answer(at, b"failed: the daemon is busy\n".to_vec());
            }
            ["upgrade"] => {
                self.wish(at, Wish::Reload(self.control.reading + 1));
                self.try_upgrade();
            }
            ["faults"] => {
                let faults: Vec<String> = self.facts.faults.iter().map(u32::to_string).collect();
                self.answer(at, format!("{}\n", faults.join(" ")).into_bytes());
            }
            // What the last reading reported, whether it was taken over or not, or the one that runs.
            ["reports", which @ ("last" | "running")] => {
                let of = if *which == "last" { &self.control.reports } else { &self.control.running_reports };
                let answer = [b"reports\n", of.as_slice()].concat();
                self.answer(at, answer);
            }
            // What runs, and what was read last.
            ["fixed"] => {
                let answer = serde_json::json!([self.fixed, self.facts.fixed]);
                self.answer(at, format!("{answer}\n").into_bytes());
            }
            ["config"] => {
                let bytes = self.config.clone();
                self.answer(at, bytes);
            }
            ["drain", service, server, on @ ("on" | "off")] => {
                let order =
                    Message::Drain { service: (*service).to_string(), server: (*server).to_string(), on: *on == "on" };
                let Some(role) = self.roles.get_mut(1).filter(|r| r.pid.is_some()) else {
                    return self.answer(at, b"failed: there is no checker\n".to_vec());
                };
                // While it begins it hears its configuration alone.
                if !role.ward.ready {
                    return self.answer(at, b"failed: the checker has just been started\n".to_vec());
                }
                // One that is ended for its silence takes the order along.
                if role.ward.watch.silent_for(t) >= BEATING {
                    return self.answer(at, b"failed: the checker does not answer\n".to_vec());
                }
                role.say(order);
                self.answer(at, b"ok\n".to_vec());
            }
            _ => self.answer(at, b"failed: unknown request\n".to_vec()),
        }
    }

    /// A reading of the configuration has ended; `refused`: why it was not taken over, and what goes on.
    pub(super) fn reading_ended(&mut self, refused: Option<(&str, &str)>) {
        self.control.last_reading = Some((files::wall_clock(), refused.is_none()));
        self.control.refused = refused.map(|(why, _)| why.to_string());
        let reading = self.control.reading;
        let waiting: Vec<usize> = self.waiting(|w| matches!(w, Wish::Reload(n) if *n <= reading));
        for at in waiting {
            match refused {
                Some((why, stays)) => self.answer(at, format!("failed: {why}: {stays}\n").into_bytes()),
                None => self.wish(at, Wish::Effect(now() + EFFECT)),
            }
        }
    }

    /// Answers who waits for a configuration to take effect.
    pub(super) fn in_effect(&mut self) {
        for at in self.waiting(|w| matches!(w, Wish::Effect(_))) {
            self.answer(at, b"ok\n".to_vec());
        }
    }

    fn waiting(&self, wish: impl Fn(&Wish) -> bool) -> Vec<usize> {
        let clients = self.control.clients.iter().enumerate();
        clients.filter(|(_, c)| c.as_ref().is_some_and(|(_, w, _)| wish(w))).map(|(at, _)| at).collect()
    }

    /// Answers who can be answered now, and sends away who is stuck.
    pub(super) fn tell_clients(&mut self, t: Time) {
        let quiet = self.roles.iter().all(|r| !r.ward.asked || r.pid.is_none());
        // One that has stopped beating since it was asked will not answer. It is ended soon, and the next one knows other things.
        let silent = |r: &Role| !r.ward.asked || r.pid.is_none() || r.ward.watch.silent_for(t) >= BEATING;
        let hopeless = self.roles.iter().all(silent);
        let over = |since: &Time, until: &Time| quiet || t >= *until || (hopeless && t >= *since + PATIENCE);
        for at in self.waiting(|w| matches!(w, Wish::Status(since, until) if over(since, until))) {
            self.say_whole(at, t);
        }
        // One that died of it waits for its restart.
        let behind = |r: &&Role| match r.pid {
            Some(_) => r.ward.pending > 0,
            None => self.wanted(r.name) && r.ward.due().is_some(),
        };
        let pending: Vec<&str> = self.children().filter(behind).map(|r| r.title).collect();
        let text = if pending.is_empty() {
            "ok\n".to_string()
        } else {
            format!(
                "failed: the new configuration was read, but the {} process does not run, or does not answer\n",
                pending.join(" and the ")
            )
        };
        for at in self.waiting(|w| matches!(w, Wish::Effect(until) if pending.is_empty() || t >= *until)) {
            self.answer(at, text.clone().into_bytes());
        }
        for at in 0..self.control.clients.len() {
            let stuck = |(_, wish, since): &(Client, Wish, Time)| {
                t.since(*since) > if matches!(wish, Wish::Nothing) { LIMIT } else { LIMIT * 4 }
            };
            if self.control.clients.get(at).and_then(Option::as_ref).is_some_and(stuck) {
                self.forget_client(at);
            }
        }
    }

    /// When somebody has waited long enough, or is to be looked after.
    pub(super) fn clients_due(&self, t: Time) -> Option<Time> {
        let of = |w: &Wish| match w {
            // Looked at again while it lasts: who beats no more is waited for no longer.
            Wish::Status(_, until) => Some((*until).min(t + PATIENCE)),
            Wish::Effect(until) => Some(*until),
            Wish::Nothing | Wish::Reload(_) => None,
        };
        self.control.clients.iter().flatten().filter_map(|(_, w, _)| of(w)).min()
    }

    /// Answers how all are. For those that do not answer, a process of its own does, by what they had us keep.
    fn say_whole(&mut self, at: usize, t: Time) {
        // Each is a process that reads all of the configuration, on a host that may be in trouble.
        let most = self.control.witnesses.len() >= WITNESSES;
        let silent = if most { Vec::new() } else { self.silent(t) };
        let (head, said) = (self.head(&silent, t), self.said());
        if silent.is_empty() {
            return self.answer(at, witness::answer(&head, &said).into_bytes());
        }
        match self.call_witness(at, &silent, (&head, &said)) {
            Ok(pid) => {
                self.control.witnesses.extend(pid);
                self.forget_client(at);
            }
            Err(e) => {
                log::warn!("what was kept of silent processes cannot be shown: {e}");
                self.answer(at, witness::answer(&head, &said).into_bytes());
            }
        }
    }

    /// The places of those that are wanted and do not run, or neither answer nor beat.
    fn silent(&self, t: Time) -> Vec<usize> {
        let is = |r: &Role| match r.pid {
            Some(_) => r.ward.asked && r.ward.watch.silent_for(t) >= BEATING,
            None => !r.has_former() && self.wanted(r.name),
        };
        let of = self.roles.iter().take(3).enumerate();
        of.filter(|(_, r)| is(r)).map(|(n, _)| n).collect()
    }

    fn call_witness(
        &self,
        at: usize,
        silent: &[usize],
        (head, said): (&str, &[String; 3]),
    ) -> std::io::Result<Option<i32>> {
        let Some((client, _, _)) = self.control.clients.get(at).and_then(Option::as_ref) else { return Ok(None) };
        let of = |n: &usize| self.roles.get(*n).map(|r| (*n, Former::remembered(r.name, r.remembered())));
        let given = Given {
            head: head.to_string(),
            said: said.clone(),
            silent: silent.iter().filter_map(of).collect(),
            config: self.config.clone(),
            withdrawn: self.roles.first().and_then(|r| r.withdrawn),
        };
        let memory = handover::store(&serde_json::to_vec(&given).unwrap_or_default())?;
        let mut spec = self.spec("witness", vec![client.fd()]);
        spec.argv.extend(["--handover".into(), memory.fd().to_string().into()]);
        spec.keep.push(memory.fd());
        spawn::spawn(&spec).map(Some)
    }

    fn said(&self) -> [String; 3] {
        [0, 1, 2].map(|n| {
            let text =
                self.roles.get(n).and_then(|r| r.ward.said.as_ref()).map(|(_, text)| String::from_utf8_lossy(text));
            text.map_or("null".to_string(), |t| t.into_owned())
        })
    }

    fn head(&self, silent: &[usize], t: Time) -> String {
        let wall = files::wall_clock();
        let children: Vec<String> = self
            .roles
            .iter()
            .enumerate()
            .filter(|(_, r)| r.pid.is_some() || r.dead.before + r.ward.watch.total() > 0)
            .map(|(n, r)| {
                let memory = r.pid.map_or(0, files::resident);
                let pid = r.pid.map_or("null".to_string(), |p| p.to_string());
                let due = r.ward.due().map_or("null".to_string(), |at| format!("{:.3}", at.since(t).as_secs_f64()));
                // What is kept of a silent one is as old as its silence.
                let age = match &r.ward.said {
                    _ if silent.contains(&n) => r.pid.map(|_| r.ward.watch.silent_for(t)),
                    said => said.as_ref().map(|(at, _)| t.since(*at)),
                };
                let age = age.map_or("null".to_string(), |a| format!("{:.3}", a.as_secs_f64()));
                let silent = r.pid.map_or("null".to_string(), |_| format!("{:.3}", r.ward.watch.silent_for(t).as_secs_f64()));
                format!(
                    "{{\"name\":{},\"pid\":{pid},\"since\":{:.3},\"deaths\":{},\"late\":{},\"memory\":{memory},\"age\":{age},\"silent\":{silent},\"withdrawn\":{},\"last_death\":{},\"due\":{due}}}",
                    to_json(r.name),
                    wall - r.ward.watch.lived(t).as_secs_f64(),
                    r.dead.before + r.ward.watch.total(),
                    r.ward.late,
                    r.withdrawn.is_some(),
                    to_json(&r.dead.last),
                )
            })
            .collect();
        let reading = self.control.last_reading.map_or("null".to_string(), |(at, ok)| format!("[{at:.3},{ok}]"));
        format!(
            "{{\"version\":{},\"pid\":{},\"since\":{:.3},\"file\":{},\"readings\":{},\"last_reading\":{reading},\"refused\":{},\"runs_since\":{:.3},\"faults\":{},\"children\":[{}],",
            to_json(&format!("{} ({COMPATIBLE})", env!("CARGO_PKG_VERSION"))),
            schedule::pid(),
            wall - t.since(self.begun).as_secs_f64(),
            // Who asks may stand elsewhere.
            to_json(&std::path::absolute(&self.options.file).unwrap_or_default().display().to_string()),
            self.readings,
            to_json(&self.control.refused),
            self.runs_since(),
            self.facts.faults.len(),
            children.join(","),
        )
    }
}
