//! What is written when somebody asks for it, and what a reload saves.

use super::{ADJUSTED, Adjusted, Role, details, dump};
use steadfast_core::Time;
use steadfast_ipc::{Dump, Message, encode};
use steadfast_sys::{files, schedule};

impl Role {
    /// config_save_dir: the state before and after a reload.
    pub(super) fn save_state(&mut self, word: &str, t: Time) {
        let Some(directory) = self.plan.save_dir.clone() else { return };
        self.saved += u32::from(word == "pre");
        let text = self.data(&self.snapshot(t), t);
        let path = directory.join(format!("keepalived_vrrp.{}.{}.{word}", schedule::pid(), self.saved));
        if let Err(e) = files::write_dump(&path, &text, None) {
            log::error!("config_save_dir: cannot write {}: {e}", path.display());
        }
    }

    /// What a manager has set outlives this process, until the next reload.
    pub(super) fn keep_adjusted(&mut self, name: &str, set: Adjusted) {
        let bytes = if set == (None, None) { Vec::new() } else { encode(&set).unwrap_or_default() };
        self.parent.say(Message::Keep { key: format!("{ADJUSTED}{name}"), bytes });
    }

    /// What dumps show. A state may be older than this process.
    pub(super) fn snapshot(&self, t: Time) -> steadfast_status::Snapshot {
        let mut snapshot = dump::snapshot(&self.router, &self.plan, &self.system.mirror, t, files::wall_clock());
        for i in &mut snapshot.instances {
            i.last_transition = self.history.since(&i.name, i.state.word()).unwrap_or(i.last_transition);
        }
        snapshot
    }

    /// The data dump.
    pub(super) fn data(&self, snapshot: &steadfast_status::Snapshot, t: Time) -> String {
        let (mirror, wall) = (&self.system.mirror, files::wall_clock());
        let details = details::details(&self.router, &self.plan, &self.told, mirror, t, wall);
        steadfast_status::data(snapshot, &details)
    }

    pub(super) fn dump(&mut self, what: Dump, t: Time) {
        let snapshot = self.snapshot(t);
        let [data, stats, json] = &self.plan.dumps;
        let pid = schedule::pid();
        let (path, text) = match what {
            Dump::Data => {
                log::info!("Printing VRRP data for process({pid}) on signal: {}", data.display());
                (data, Some(self.data(&snapshot, t)))
            }
            Dump::Stats | Dump::StatsClear => {
                log::info!("Printing VRRP stats for process({pid}) on signal: {}", stats.display());
                (stats, Some(steadfast_status::stats(&snapshot)))
            }
            Dump::Json => {
                log::info!("Printing VRRP as json for process({pid}) on signal: {}", json.display());
                (json, steadfast_status::json(&snapshot, self.plan.json_version))
            }
        };
        if let Some(text) = text
            && let Err(e) = files::write_dump(path, &text, self.mask.or(self.plan.mask))
        {
            log::error!("cannot write {}: {e}", path.display());
            let path = path.clone();
            self.not_written(&path);
        }
        if what == Dump::StatsClear {
            self.router.clear_counters();
        }
    }
}
