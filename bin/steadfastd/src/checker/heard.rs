//! What the parent, the VRRP child and the BFD child say, and what they are told.

use super::{Role, translate};
use crate::child::{Order, SETTLED};
use std::collections::{BTreeMap, BTreeSet};
use steadfast_checkers::Input;
use steadfast_config::Config;
use steadfast_core::{State, Time};
use steadfast_ipc::{Action, Dump, Message, decode};
use steadfast_sys::schedule;

impl Role {
    pub(super) fn hear_brother(&mut self, t: Time) {
        let Some(brother) = &mut self.brother else { return };
        brother.flush();
        let heard = brother.hear();
        if brother.is_gone() {
            self.leaving.alone();
        }
        for message in heard {
            match message {
                Message::Instance { name, state, .. } => {
                    self.leaving.instance(&name, state == State::Master);
                    if self.leaving.asked() {
                        continue;
                    }
                    self.balancer.instance(&name, state == State::Master);
                    self.pool.handle(t, Input::Instance(&name, state == State::Master), &mut self.out);
                }
                Message::Hello => self.tell_brother(None),
                _ => {}
            }
        }
    }

    pub(super) fn hear_sessions(&mut self, t: Time) {
        let Some(bfd) = &mut self.bfd else { return };
        bfd.flush();
        for message in bfd.hear() {
            if let Message::Session { name, up } = message {
                self.pool.handle(t, Input::Bfd(&name, up), &mut self.out);
            }
        }
    }

    /// Trackers of VRRP instances hear of these virtual servers, or of all. Services of several protocols at one address are one to them.
    pub(super) fn tell_brother(&mut self, which: Option<&BTreeSet<String>>) {
        let Some(brother) = self.brother.as_mut().filter(|b| b.is_there()) else { return };
        let mut told: BTreeMap<String, bool> = BTreeMap::new();
        for (id, quorum) in self.pool.quorums() {
            let name = translate::tracked(id);
            if which.is_none_or(|some| some.contains(&name)) {
                *told.entry(name).or_insert(true) &= quorum;
            }
        }
        // One that left the file is tracked no more, or the new file says so soon: no reason to give an address up.
        told.into_iter().for_each(|(name, quorum)| brother.say(Message::Service { name, quorum }));
    }

    pub(super) fn orders(&mut self, t: Time) {
        for order in std::mem::take(&mut self.early).into_iter().chain(self.parent.orders()) {
            match order {
                Order::Config(bytes) => match decode::<Config>(&bytes) {
                    Ok(config) => {
                        self.plan = super::plan(&config, self.vrrp);
                        self.plan.names[1].iter().for_each(|name| schedule::name(name));
                        self.trim = Some(t + SETTLED);
                        self.balancer.configure(translate::balancer(&config), false);
                        self.groups.configure(&config);
                        let pools = translate::pool(&config, &self.groups.assigned);
                        // Files are read first: by them the checks of the new configuration are judged.
                        self.configure();
                        self.pool.reload(pools, t, &mut self.out);
                        for b in [&mut self.brother, &mut self.bfd].into_iter().flatten() {
                            b.say(Message::Hello);
                        }
                        self.parent.say(Message::Ready);
                        self.succession |= self.teller.is_refused() || crate::places::lacks(self.written());
                    }
                    Err(e) => log::error!("configuration: {e}"),
                },
                Order::Message(Message::Ask) => self.say_status(),
                Order::Message(Message::Survey) => self.report(t),
                Order::Message(Message::Dump(Dump::Data)) => self.dump(),
                Order::Message(Message::Drain { service, server, on }) => {
                    let drain = Input::Drain { service: &service, server: &server, on };
                    self.pool.handle(t, drain, &mut self.out);
                }
                Order::Message(Message::Act(Action::Weigh { service, server, weight })) => {
                    let weigh = Input::Weigh { service: &service, server: &server, weight };
                    self.pool.handle(t, weigh, &mut self.out);
                }
                Order::Message(Message::Stop { .. }) => {
                    if !self.leaving.asked() {
                        log::info!("Stopping Healthcheck child process");
                    }
                    self.leaving.order(t);
                }
                Order::Gone => self.leaving.abandoned(t),
                Order::Message(_) => {}
            }
        }
    }
}
