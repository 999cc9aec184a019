//! Readings of the configuration: the loader is started, its answer taken over or refused.

use super::control::{CONFIGURATION, PROGRAM};
use super::newcomer::Newcomer;
use super::*;
use std::collections::BTreeSet;
use steadfast_sys::handover;

impl Daemon {
    /// Starts a loader.
    pub(super) fn load(&mut self, reload: bool) {
        self.start_loader(reload, false);
    }

    pub(super) fn start_loader(&mut self, reload: bool, upgrade: bool) {
        self.start_reading(reload, upgrade, None);
    }

    /// The new program's loader has read the file: whether its children can begin, too. `memory`: what they will be handed over.
    pub(super) fn start_rehearsal(&mut self, memory: &handover::Memory) {
        self.start_reading(true, true, Some(memory));
    }

    fn start_reading(&mut self, reload: bool, upgrade: bool, rehearsal: Option<&handover::Memory>) {
        self.epoch += 1;
        self.control.reading += u64::from(!upgrade);
        if reload && !upgrade {
            self.mark_reload();
        }
        let Ok((reader, writer)) = pipe::pair() else {
            self.not_read(reload, upgrade, "no pipe can be made");
            return;
        };
        let given = self.given.take();
        let mut spec = match rehearsal {
            None => self.spec("loader", [writer.fd()].into_iter().chain(given.as_ref().map(Given::fd)).collect()),
            Some(memory) => {
                let mut spec = self.spec("rehearsal", vec![writer.fd()]);
                spec.argv.extend(["--handover".into(), memory.fd().to_string().into()]);
                spec.keep.push(memory.fd());
                spec
            }
        };
        if let Some((path, _)) = upgrade::program().filter(|_| upgrade)
            && let Some(first) = spec.argv.first_mut()
        {
            *first = path.into();
        }
        let begun = if upgrade {
            spawn::spawn_heard(&spec).map(|(pid, output)| (pid, Some(Newcomer::new(output, rehearsal.is_some()))))
        } else {
            spawn::spawn(&spec).map(|pid| (pid, None))
        };
        match begun {
            Ok((pid, newcomer)) => {
                if self.reactor.watch(reader.fd(), LOADER).is_err() {
                    log::error!("cannot watch the loader");
                }
                if let Some(fd) = newcomer.as_ref().and_then(Newcomer::fd)
                    && let Err(e) = self.reactor.watch(fd, NEWCOMER)
                {
                    log::warn!("what the new program writes cannot be watched: {e}");
                }
                self.loading = Some(Loading {
                    pid,
                    reader,
                    facts: None,
                    assembler: Assembler::default(),
                    config: None,
                    saved: Vec::new(),
                    programs: Vec::new(),
                    reports: Vec::new(),
                    reload,
                    upgrade,
                    rehearsal: rehearsal.is_some(),
                    spoke: false,
                    newcomer,
                    overdue: false,
                    until: now() + READING,
                });
            }
            Err(e) => self.not_read(reload, upgrade, &e.to_string()),
        }
    }

    /// A reading could not even begin.
    fn not_read(&mut self, reload: bool, upgrade: bool, why: &str) {
        self.then_upgrade = false;
        self.unmark_reload();
        let path = upgrade::program().filter(|_| upgrade).map(|(path, _)| format!(" {}", path.display()));
        let what = if upgrade { format!("the new program{}", path.unwrap_or_default()) } else { "the loader".into() };
        let goes_on = if upgrade { ", the running one goes on" } else { "" };
        log::error!("{what} cannot be started ({why}){goes_on}");
        let stays = if upgrade { PROGRAM } else { CONFIGURATION };
        self.reading_ended(Some((&format!("{what} cannot be started ({why})"), stays)));
        schedule::tell_manager(Tell::Ready);
        if !reload {
            self.stop(1);
        }
    }

    pub(super) fn read_loader(&mut self) {
        let Some(l) = &mut self.loading else { return };
        let mut buffer = [0; PACKET];
        while let Packet::Data(n) = l.reader.read(&mut buffer) {
            l.spoke = true;
            if l.upgrade {
                continue;
            }
            match parse(buffer.get(..n).unwrap_or_default()) {
                Ok(Envelope { message: Message::Facts(f), .. }) => l.facts = Some(*f),
                Ok(Envelope { message: Message::Saved(part), .. }) => l.saved.extend(part),
                Ok(Envelope { message: Message::Reports(part), .. }) => l.reports.extend(part),
                Ok(Envelope { message: Message::Programs(part), .. }) => l.programs.extend(part),
                Ok(Envelope { message: Message::Config { last, bytes }, .. }) => match l.assembler.add(last, &bytes) {
                    Ok(Some(whole)) => l.config = Some(whole),
                    Ok(None) => {}
                    Err(e) => log::error!("configuration from the loader: {e}"),
                },
                Ok(_) => {}
                Err(e) => log::error!("message from the loader: {e}"),
            }
        }
    }

    /// The loader has ended.
    pub(super) fn loaded(&mut self, end: spawn::End) -> Option<i32> {
        self.read_loader();
        let l = self.loading.take()?;
        self.reactor.forget(l.reader.fd());
        let mut said = String::new();
        if let Some(newcomer) = l.newcomer {
            newcomer.fd().into_iter().for_each(|fd| self.reactor.forget(fd));
            said = newcomer.end();
        }
        if l.upgrade && self.stopping.is_none() {
            self.upgrade(end, (l.spoke, &said), l.overdue, l.rehearsal);
            if std::mem::take(&mut self.reload_again) {
                self.signal(SIGHUP);
            }
            return None;
        }
        self.unmark_reload();
        if let Some(path) = self.facts.check_log.as_ref().filter(|_| l.reload)
            && let Err(e) = files::write_log(std::path::Path::new(path), &l.reports)
        {
            log::warn!("reload_check_config: cannot write {path}: {e}");
        }
        self.control.reports = l.reports;
        if let Some(directory) = l.facts.as_ref().and_then(|f| f.save_dir.as_ref()) {
            scheduled::save(std::path::Path::new(directory), &l.saved);
        }
        let force = l.reload && self.force_reload.take_if(|n| *n <= self.control.reading).is_some();
        if self.stopping.is_some() {
            // A stop came while it was reading: nothing is started any more.
            return None;
        }
        match (end, l.facts, l.config) {
            // A file that is being written looks like this for a moment. Who wants nothing to run stops the daemon.
            (spawn::End::Exited(0), Some(facts), Some(_)) if l.reload && facts.is_empty() && !self.facts.is_empty() => {
                self.refuse("is empty", "");
            }
            // What is mistyped would be left out: an address that serves would go. A fault that ran before is no news.
            (spawn::End::Exited(0), Some(facts), Some(_))
                if l.reload && !force && steadfast_ipc::new_faults(&self.facts.faults, &facts.faults) =>
            {
                let what = if self.then_upgrade { "both" } else { "it" };
                self.refuse(
                    "has faults that the running one does not have",
                    &format!(" (steadfast reload --force takes {what} over all the same)"),
                );
            }
            // The new program would go where nothing of the old one is found.
            (spawn::End::Exited(0), Some(facts), Some(_)) if self.then_upgrade && self.moves(&facts) => {
                self.refuse("changes net_namespace, instance or use_pid_dir, for which it takes a restart", "");
            }
            (spawn::End::Exited(0), Some(_), Some(_)) if std::mem::take(&mut self.then_upgrade) => {
                self.start_loader(true, true);
            }
            (spawn::End::Exited(0), Some(mut facts), Some(config)) => {
                if l.reload {
                    self.keep_place(&mut facts);
                }
                steadfast_sys::logging::structured(facts.structured);
                self.facts = facts;
                steadfast_sys::logging::distinguish(self.ident());
                self.facts.name.iter().for_each(|name| schedule::name(name));
                spawn::keep_supplementary_groups(self.facts.supplementary_groups);
                self.unmark_reload();
                self.watch_reload_time();
                self.config = config;
                self.control.running_reports.clone_from(&self.control.reports);
                self.permit(l.programs);
                self.trim = Some(now() + SETTLED);
                self.readings += 1;
                self.reading_ended(None);
                if self.facts.no_auto_priority && !l.reload && !self.adopted {
                    let text =
                        "a process that has its turns late gets no real-time priority (-1 says that this is meant)";
                    log::info!("NOTICE: max_auto_priority is not set: {text}");
                }
                if l.reload {
                    self.apply_reload();
                } else if let Some(status) = self.begin() {
                    return Some(status);
                }
            }
            _ if l.reload => {
                // The running configuration stays, whatever was wrong with the new one.
                self.refuse(if l.overdue { "could not be read within a minute" } else { "cannot be used" }, "");
            }
            (spawn::End::Exited(status), _, _) => {
                log::error!("the configuration cannot be used");
                return Some(if status == 0 { 1 } else { status });
            }
            (spawn::End::Signalled(s), _, _) => {
                log::error!("the loader was ended by signal {s}");
                return Some(70);
            }
        }
        if std::mem::take(&mut self.reload_again) {
            self.signal(SIGHUP);
        }
        None
    }

    /// Words that say where the daemon lives are not those of the one that runs.
    fn moves(&self, facts: &Facts) -> bool {
        let place = |f: &Facts| (f.namespace.clone(), f.instance.clone(), f.pid_directory);
        place(facts) != place(&self.facts)
    }

    /// What a process cannot change while it runs stays as it is, and is said to.
    pub(super) fn keep_place(&self, facts: &mut Facts) {
        let of = |all: &[(String, String)], word: &str| all.iter().find(|(w, _)| w == word).map(|(_, v)| v.clone());
        let words: BTreeSet<&String> = self.fixed.iter().chain(&facts.fixed).map(|(word, _)| word).collect();
        let differ = |word: &&&String| of(&self.fixed, word) != of(&facts.fixed, word);
        let words: Vec<&str> = words.iter().filter(differ).map(|word| word.as_str()).collect();
        if !words.is_empty() {
            log::warn!("{} cannot change at a reload: a restart takes the new words over", words.join(", "));
        }
        facts.namespace.clone_from(&self.facts.namespace);
        facts.instance.clone_from(&self.facts.instance);
        facts.pid_directory = self.facts.pid_directory;
    }

    /// The running configuration stays.
    pub(super) fn refuse(&mut self, why: &str, hint: &str) {
        let (kept, so) = if std::mem::take(&mut self.then_upgrade) {
            (" and the running program", ", so the new program does not take over")
        } else {
            ("", "")
        };
        log::error!(MESSAGE_ID = events::RELOAD_REFUSED, REASON = why;
            "the new configuration {why}, keeping the running one{kept}{hint}");
        self.reading_ended(Some((&format!("the new configuration {why}{so}"), CONFIGURATION)));
        schedule::tell_manager(Tell::Ready);
    }

    /// A new configuration that could be read.
    pub(super) fn apply_reload(&mut self) {
        let config = std::mem::take(&mut self.config);
        for n in 0..self.roles.len() {
            let Some(role) = self.roles.get(n) else { continue };
            let (wanted, runs) = (self.wanted(role.name), role.pid.is_some());
            let keep = self.options.keeps(role.name);
            let Some(role) = self.roles.get_mut(n) else { continue };
            if !runs {
                // The words of the file hold again; one that runs does so itself.
                role.ward.drop_kept(UNTIL_RELOAD);
                // Its tables are those of the former file: who is not in them may be new.
                role.ward.drop_kept(crate::checker::WHOLE);
            }
            match (wanted, runs) {
                (true, true) => role.tell(|w| w.configure(&config)),
                (false, true) => {
                    role.tell(|w| w.stop(keep));
                    // Masters stay, and the checker is not to wait for them.
                    if role.name == "checker" {
                        role.tell(|w| w.stop(keep));
                    }
                }
                (false, false) => role.ward.is_not_due(),
                (true, false) => {}
            }
        }
        self.config = config;
        // One that was away when it was not wanted any more.
        for n in 0..self.roles.len() {
            if self.roles.get(n).is_some_and(|r| !self.wanted(r.name)) {
                self.withdraw_dead(n);
            }
        }
        self.start_wanted();
        log::info!(MESSAGE_ID = events::RELOADED; "Reload complete");
        schedule::tell_manager(Tell::Ready);
        self.tell_status();
    }
}
