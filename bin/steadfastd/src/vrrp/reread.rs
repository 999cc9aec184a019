//! A new file of the VRRP role takes effect.

use super::{Role, SETTLED, details, plan::Plan, translate};
use std::path::Path;
use steadfast_config::Config;
use steadfast_core::Time;
use steadfast_ipc::Message;
use steadfast_sys::{procs, schedule};
use steadfast_vrrp::Input;

/// What the loop needs of a file.
pub type Read = Box<(Plan, details::Told)>;

/// Reads it.
pub fn read(config: &Config) -> Read {
    Box::new((translate::plan(config), details::Told::new(config)))
}

impl Role {
    /// A file has been read: the difference is put into effect.
    pub(super) fn reload(&mut self, t: Time) {
        match self.reread.take() {
            None => return,
            // Who leaves takes nothing new up.
            Some(Ok(_)) if self.leaving.begun() => {}
            Some(Ok(read)) => self.change(*read, t),
            Some(Err(e)) => log::error!("configuration: {e}"),
        }
        for message in std::mem::take(&mut self.reread.deferred) {
            self.obey(message, t);
        }
    }

    fn change(&mut self, (mut plan, told): (Plan, details::Told), t: Time) {
        let leaving: Vec<&str> = self.router.handing_over().collect();
        plan.remember(&self.plan, &leaving);
        // What was counted while nobody was told of it is no news.
        if !self.plan.alarms {
            self.has_raised();
        }
        // A file that is tracked from now on is read before anybody judges by it, and processes are counted.
        for f in plan.files.iter().filter(|f| !self.plan.files.iter().any(|o| o.name == f.name)) {
            let first = f.init.filter(|(_, overwrite)| *overwrite || !f.path.exists()).map(|(v, _)| v);
            let value = first.unwrap_or_else(|| self.numbers.read(&f.path));
            self.router.handle(t, Input::File(&f.name, value), &mut self.out);
        }
        let known = |name: &str| self.plan.processes.iter().any(|o| o.matcher.name == name);
        let fresh: Vec<_> = plan.processes.iter().map(|p| p.matcher.clone()).filter(|m| !known(&m.name)).collect();
        if !fresh.is_empty() {
            for (name, count) in procs::count(Path::new("/proc"), &fresh) {
                self.router.handle(t, Input::Process(&name, count), &mut self.out);
            }
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
        self.look_for_closed();
        if self.plan.machine.fifo_states_on_reload {
            self.tell_states();
        }
        // Who hears that the reload is complete may rely on what waits.
        self.parent.say_all(self.teller.waiting());
        self.dirty = true;
        for b in [&mut self.brother, &mut self.bfd].into_iter().flatten() {
            b.say(Message::Hello);
        }
        // By names that are new: the checker may have read its file long before.
        self.tell_brother_all();
        for _ in 0..std::mem::take(&mut self.reread.unanswered) {
            self.parent.say(Message::Ready);
        }
    }
}
