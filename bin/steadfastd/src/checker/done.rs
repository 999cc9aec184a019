//! What the pool wants is carried out.

use super::{Role, breathe, translate};
use crate::events;
use crate::vrrp::plan::Command;
use steadfast_checkers::{Kill, Output, Snapshot, Transport};
use steadfast_core::Time;
use steadfast_ipc::{Message, News, encode};
use steadfast_notify::mail;

impl Role {
    /// Carries out what the pool wants, also what follows from carrying it out.
    pub(super) fn act(&mut self, t: Time) {
        let mut lines = false;
        while !self.out.is_empty() {
            for (n, output) in std::mem::take(&mut self.out).into_iter().enumerate() {
                if n % 256 == 255 {
                    self.parent.flush();
                    breathe(&mut self.parent, &mut self.breath);
                }
                lines |= matches!(output, Output::Fifo(_));
                self.do_one(t, output);
            }
        }
        // What waits for a FIFO is told whole: once, however many lines there are.
        if lines {
            self.parent.say_all(self.teller.waiting());
        }
        self.parent.flush();
        // All of them at once: a start concerns thousands.
        if !self.quorums.is_empty() {
            let names = std::mem::take(&mut self.quorums);
            self.tell_brother(Some(&names));
        }
    }

    pub(super) fn do_one(&mut self, t: Time, output: Output) {
        match output {
            Output::Start(id, Transport::Script(s)) => {
                let argv = match &s.shell {
                    Some(shell) => vec![format!("/bin/{shell}"), "-c".into(), s.text.clone()],
                    None => s.argv.clone(),
                };
                let job = self.programs.check(&Command { argv, user: s.user });
                self.scripts.insert(job, id);
            }
            Output::Start(id, transport) => {
                self.probes.start(id, &transport, t, &self.reactor, &mut self.pool, &mut self.out);
            }
            Output::Send(id, bytes) => self.probes.send(id, &bytes, t, &mut self.pool, &mut self.out),
            Output::Close(id) => {
                // One that has no socket has a program.
                if !self.probes.close(id) {
                    for (job, _) in self.scripts.extract_if(|_, p| *p == id) {
                        self.programs.forget(job);
                    }
                }
            }
            Output::Kill(id, kill) => {
                let signal = if kill == Kill::Term { 15 } else { 9 };
                for (job, _) in self.scripts.iter().filter(|(_, p)| **p == id) {
                    self.programs.signal(*job, signal);
                }
            }
            Output::Table(slot) => {
                if let Some(table) = self.pool.table(slot, t) {
                    self.balancer.want(slot, table);
                }
            }
            Output::TableGone(slot) => self.balancer.gone(slot),
            Output::Notify(s) => {
                let argv = match &s.shell {
                    Some(shell) => vec![format!("/bin/{shell}"), "-c".into(), s.text.clone()],
                    None => s.argv.clone(),
                };
                self.teller.run(&Command { argv, user: s.user }, &mut self.programs);
            }
            Output::Mail { subject, body } => {
                if let Some(settings) = &self.plan.mail {
                    let subject = format!("[{}] {subject}", self.plan.router_id);
                    self.teller.send_mail(settings.clone(), mail::Alert { subject, body });
                }
            }
            Output::Keep(snapshot) => {
                let nothing = matches!(&snapshot, Snapshot::Reason { text, .. } if text.is_empty());
                if let Ok(bytes) = if nothing { Ok(Vec::new()) } else { encode(&snapshot) } {
                    self.parent.prepare(Message::Keep { key: snapshot.key(), bytes });
                }
            }
            Output::Forget(key) => self.parent.prepare(Message::Keep { key, bytes: Vec::new() }),
            Output::Fifo(line) => {
                if self.plan.structured {
                    log_change(line.trim_end());
                }
                if let Some(news) = news(line.trim_end()) {
                    self.parent.prepare(Message::News(news));
                }
                self.teller.line(&line);
            }
            Output::Quorum(id, _) => {
                self.quorums.insert(translate::tracked(&id));
            }
            Output::Log(level, text) => log::log!(level, "{text}"),
            Output::Stopped => {
                let all = self.balancer.stop(self.keep_tables);
                if !self.keep_tables {
                    self.groups.close();
                }
                // What could not be taken away is the next start's.
                if all && !self.keep_tables {
                    self.record.remove();
                }
                self.stopped = true;
            }
        }
    }
}

/// A line of the FIFO: `RS SERVER SERVICE UP`, `VS SERVICE DOWN`. The name of a mark's service has a blank in it.
fn change(line: &str) -> Option<(Option<&str>, &str, &str)> {
    let (rest, state) = line.rsplit_once(' ')?;
    match rest.split_once(' ')? {
        ("RS", names) => names.split_once(' ').map(|(server, service)| (Some(server), service, state)),
        ("VS", service) => Some((None, service, state)),
        _ => None,
    }
}

/// What observers are told of a line of the FIFO.
fn news(line: &str) -> Option<News> {
    let (server, service, state) = change(line)?;
    let (service, up) = (service.to_string(), state == "UP");
    Some(match server {
        Some(name) => News::Server { service, name: name.into(), up },
        None => News::Service { name: service, quorum: up },
    })
}

/// A change of a server or a service, as the FIFO is told of it.
fn log_change(line: &str) {
    match change(line) {
        Some((Some(server), service, state)) => {
            log::info!(MESSAGE_ID = events::SERVER_STATE, VIRTUAL_SERVER = service, REAL_SERVER = server, NEW_STATE = state; "{line}");
        }
        Some((None, service, state)) => {
            log::info!(MESSAGE_ID = events::SERVICE_STATE, VIRTUAL_SERVER = service, NEW_STATE = state; "{line}");
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_blanks() {
        assert_eq!(change("VS FWM 5 UP"), Some((None, "FWM 5", "UP")));
        assert_eq!(change("RS [10.0.0.1]:none:0 FWM 5 DOWN"), Some((Some("[10.0.0.1]:none:0"), "FWM 5", "DOWN")));
        assert_eq!(change("VS [10.0.0.1]:tcp:80 DOWN"), Some((None, "[10.0.0.1]:tcp:80", "DOWN")));
        assert_eq!(change("UP"), None);
    }
}
