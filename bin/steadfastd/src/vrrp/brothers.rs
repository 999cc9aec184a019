//! What the VRRP child and its brothers, the checker and the BFD child, tell each other.

use super::Role;
use steadfast_core::Time;
use steadfast_ipc::Message;
use steadfast_notify::Subject;
use steadfast_vrrp::{Input, Notice};

impl Role {
    pub(super) fn tell_states(&mut self) {
        let notice = |s| match s {
            steadfast_core::State::Master => Some(Notice::Master),
            steadfast_core::State::Backup => Some(Notice::Backup),
            steadfast_core::State::Fault => Some(Notice::Fault),
            steadfast_core::State::Init => None,
        };
        let states: Vec<_> = self
            .router
            .views()
            .filter_map(|v| Some((Subject::Instance, v.config.name.to_string(), notice(v.state)?, v.priority)))
            .chain(self.router.group_states().into_iter().filter_map(|(n, s)| Some((Subject::Group, n, notice(s)?, 0))))
            .collect();
        for (subject, name, notice, priority) in states {
            self.teller.tell(&self.plan, &mut self.programs, subject, &name, notice, priority);
        }
    }

    /// The checker hears of every change.
    pub(super) fn tell_brother(&mut self, name: String, priority: u8) {
        let Some(brother) = &mut self.brother else { return };
        let state = self.router.view(&name).map_or(steadfast_core::State::Init, |v| v.state);
        brother.say(Message::Instance { name, state, priority });
    }

    pub(super) fn tell_brother_all(&mut self) {
        let Some(brother) = &mut self.brother else { return };
        for v in self.router.views() {
            brother.say(Message::Instance { name: v.config.name.to_string(), state: v.state, priority: v.priority });
        }
    }

    pub(super) fn hear_brother(&mut self, t: Time) {
        let Some(brother) = &mut self.brother else { return };
        brother.flush();
        for message in brother.hear() {
            match message {
                Message::Service { name, quorum } => {
                    self.dirty = true;
                    self.router.handle(t, Input::Service(&name, quorum), &mut self.out);
                }
                Message::Hello => self.tell_brother_all(),
                _ => {}
            }
        }
    }

    pub(super) fn hear_sessions(&mut self, t: Time) {
        let Some(bfd) = &mut self.bfd else { return };
        bfd.flush();
        for message in bfd.hear() {
            if let Message::Session { name, up } = message {
                self.dirty = true;
                self.router.handle(t, Input::Session(&name, up), &mut self.out);
            }
        }
    }
}
