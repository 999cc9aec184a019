//! What the parent knows, as text: the processes. Of the configuration it knows nothing.

use super::Daemon;
use std::fmt::Write;
use steadfast_core::Time;
use steadfast_ipc::Dump;
use steadfast_sys::{files, schedule};

impl Daemon {
    /// Tells the children to dump, and dumps beside them.
    pub(super) fn dump(&mut self, what: Dump, now: Time) {
        for role in &mut self.roles {
            role.say(steadfast_ipc::Message::Dump(what));
        }
        if what == Dump::Data
            && let Err(e) = files::write_dump(
                self.facts.parent_dump.as_ref(),
                &self.text(now),
                self.options.umask.or(self.facts.umask),
            )
        {
            log::error!("cannot write {}: {e}", self.facts.parent_dump);
        }
    }

    fn text(&self, now: Time) -> String {
        let mut s = String::from("------< Processes >------\n");
        // Writing to a string cannot fail.
        let _ = writeln!(s, " Parent\n   Pid = {}\n   Configurations read = {}", schedule::pid(), self.readings);
        for role in &self.roles {
            let state = match (role.pid, role.ward.due()) {
                (Some(_), _) if role.ward.ready => "running",
                (Some(_), _) => "starting",
                (None, Some(_)) => "waits for its restart",
                (None, None) => "not needed",
            };
            let _ = writeln!(s, " {}\n   State = {state}", role.title);
            if let Some(pid) = role.pid {
                let _ = writeln!(
                    s,
                    "   Pid = {pid}\n   Last heartbeat = {} ms ago",
                    role.ward.watch.silent_for(now).as_millis()
                );
            }
            let _ = writeln!(
                s,
                "   Deaths = {}\n   Objects kept for a successor = {}",
                role.ward.watch.total(),
                role.ward.kept().len()
            );
        }
        s
    }
}
