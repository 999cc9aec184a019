//! What observers (D-Bus, SNMP) are told of the other children, and what they ask for. They look on: nobody waits for them, and the
//! daemon goes on without them.

use super::{Daemon, SIGHUP, SIGKILL};
use crate::observer::REPORTERS;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_ipc::{Action, Message, Reporter, report_pieces};
use steadfast_supervisor::Told;
use steadfast_sys::{now, spawn};

/// Observers have this long for their last words, once all others have ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Daemon {
    /// Passes on what children tell, questions and their answers, and does what observers want done.
    pub(super) fn serve_observers(&mut self, t: Time) {
        self.pass_on_told();
        for observer in self.roles.iter_mut().filter(|r| r.ward.is_observer()) {
            if observer.ward.survey_due().is_some_and(|at| at <= t) {
                observer.ward.begin_survey(t, &REPORTERS);
            }
        }
        for (n, of) in REPORTERS.into_iter().enumerate() {
            // Of what its predecessor could not tell any more nobody hears as news.
            if self.roles.get_mut(n).is_some_and(|child| std::mem::take(&mut child.ward.resumed)) {
                let observers = self.roles.iter_mut().filter(|r| r.ward.is_observer() && r.pid.is_some());
                observers.filter(|r| !r.ward.awaits.contains(&of)).for_each(|r| r.ward.awaits.push(of));
            }
            let awaited = self.roles.iter().any(|r| r.ward.awaits.contains(&of));
            let Some(child) = self.roles.get_mut(n).filter(|_| awaited) else { continue };
            if child.pid.is_none() {
                self.pass_on(of, &Told::Report(Vec::new()));
            } else if child.ward.ready && !std::mem::replace(&mut child.ward.surveyed, true) {
                // One that is about to begin does not hear of it.
                child.say(Message::Survey);
            }
        }
        let actions: Vec<Action> = self.roles.iter_mut().flat_map(|r| r.ward.take_actions()).collect();
        actions.into_iter().for_each(|action| self.act_for_observer(action, t));
    }

    /// What children have told. To be called before one of them is started again: its successor does not tell what it resumes.
    pub(super) fn pass_on_told(&mut self) {
        // The first roles are those that report.
        for (n, of) in REPORTERS.into_iter().enumerate() {
            let told = self.roles.get_mut(n).map(|child| std::mem::take(&mut child.ward.told));
            told.into_iter().flatten().for_each(|told| self.pass_on(of, &told));
        }
    }

    fn pass_on(&mut self, of: Reporter, told: &Told) {
        for observer in self.roles.iter_mut().filter(|r| r.ward.is_observer()) {
            match told {
                Told::News(news) => observer.tell(|w| w.tell_news(news)),
                Told::Report(bytes) if observer.ward.awaits.contains(&of) => {
                    observer.ward.awaits.retain(|r| *r != of);
                    report_pieces(of, bytes).for_each(|piece| observer.say(piece));
                }
                Told::Report(_) => {}
            }
        }
    }

    fn act_for_observer(&mut self, action: Action, t: Time) {
        match (action.addressee(), action) {
            (_, Action::Reload) if self.stopping.is_none() => {
                self.signal(SIGHUP);
            }
            (_, Action::Reload) => {}
            (_, Action::Dump(what)) => self.dump(what, t),
            (Some(of), action) => {
                let at = REPORTERS.iter().position(|r| *r == of);
                if let Some(child) = at.and_then(|n| self.roles.get_mut(n)) {
                    child.say(Message::Act(action));
                }
            }
            (None, _) => {}
        }
    }

    /// When a question is to be passed on.
    pub(super) fn observers_due(&self) -> Option<Time> {
        self.roles.iter().filter_map(|r| r.ward.survey_due()).min()
    }

    /// The others have ended, and what they said last has been passed on: now those who looked on end, quickly.
    pub(super) fn end_observers(&mut self) {
        self.serve_observers(now());
        for observer in self.roles.iter_mut().filter(|r| r.ward.is_observer()) {
            observer.ward.is_not_due();
            observer.tell(|w| w.stop(false));
        }
        let until = now() + LAST_WORDS;
        for observer in self.roles.iter_mut().filter(|r| r.ward.is_observer()) {
            let Some(pid) = observer.pid.take() else { continue };
            let mut ended = false;
            while !ended && now() < until {
                observer.flush();
                ended = spawn::wait_for(pid, Duration::from_millis(10));
            }
            if !ended {
                spawn::signal(pid, SIGKILL);
                spawn::wait_for(pid, LAST_WORDS);
            }
        }
    }
}
