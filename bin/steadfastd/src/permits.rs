//! What a runner may start: the programs of the configuration. The loader lists them, the parent passes the list on unread, and a child that
//! was taken over has no others started, nor as somebody else.

use crate::vrrp::plan::{Command, Fifo, Notify, Probe};
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use steadfast_config::Config;
use steadfast_config::model::{self, Checker, Script, User};
use steadfast_ipc::{Job, decode, encode};

/// Lists that hold: what a reload removes has its last word to say by the file before it, and a reload may follow a reload.
pub const LISTS: usize = 4;

/// A program: its words, its account, and whether more words follow.
type Program = (Vec<String>, Option<(u32, u32)>, bool);

/// Whether they must be safe (enable_script_security), whether those are started by what was looked at (scripts_by_descriptor), and all of them.
type List = (bool, bool, Vec<Program>);

/// The list of a configuration.
pub fn list(c: &Config) -> Vec<u8> {
    // In order: the list of a file is the same whoever makes it.
    let mut all: BTreeSet<Program> = BTreeSet::new();
    let mut add = |command: Command, more: bool| {
        all.insert((command.argv, command.user, more));
    };
    let plan = crate::vrrp::plan_of(c);
    for n in plan.instances.values().chain(plan.groups.values()) {
        let Notify { scripts, generic, .. } = n;
        scripts.values().for_each(|s| add(s.clone(), false));
        generic.iter().for_each(|s| add(s.clone(), true));
    }
    for probe in plan.probes.values() {
        if let Probe::Program(p) = probe {
            add(p.clone(), false);
        }
    }
    plan.fifos.iter().chain(&plan.lvs_fifos).filter_map(|f: &Fifo| f.reader.clone()).for_each(|r| add(r, true));
    let account = c.globals.script_user;
    for v in &c.virtual_servers {
        of_service(v, account).into_iter().for_each(|s| add(s, false));
    }
    // A list that cannot be written lets nothing be started, which is said for each program.
    let g = &c.globals;
    let list: List = (g.enable_script_security, g.scripts_by_descriptor == Some(true), all.into_iter().collect());
    encode(&list).unwrap_or_default()
}

/// The scripts of a virtual server.
fn of_service(v: &model::VirtualServer, account: Option<User>) -> Vec<Command> {
    let command = |s: &Script, account| crate::vrrp::command(s, account);
    let mut all: Vec<Command> =
        [&v.quorum_up, &v.quorum_down].into_iter().flatten().map(|s| command(s, account)).collect();
    for r in &v.real_servers {
        all.extend([&r.notify_up, &r.notify_down].into_iter().flatten().map(|s| command(s, account)));
        all.extend(r.checkers.iter().filter_map(|k| match k {
            Checker::Misc(x) => Some(command(x.misc_path.as_ref()?, x.user.flatten().or(account))),
            _ => None,
        }));
    }
    all
}

/// The lists that a runner was given. Of each program a number is kept, which nobody can guess.
#[derive(Default)]
pub struct Permits {
    state: RandomState,
    lists: VecDeque<HashSet<u64>>,
    /// What runs as root must be such that only root can change it.
    pub safe: bool,
    /// That is started by the descriptor that was looked at.
    pub by_descriptor: bool,
}

impl Permits {
    /// Another list; false: it cannot be read.
    pub fn add(&mut self, bytes: &[u8]) -> bool {
        let Ok((safe, by_descriptor, programs)) = decode::<List>(bytes) else { return false };
        (self.safe, self.by_descriptor) = (safe, by_descriptor);
        let list = programs.iter().map(|(argv, user, more)| self.number(argv, *user, *more)).collect();
        self.lists.push_back(list);
        if self.lists.len() > LISTS {
            self.lists.pop_front();
        }
        true
    }

    fn number(&self, argv: &[String], user: Option<(u32, u32)>, more: bool) -> u64 {
        self.state.hash_one((argv, user, more))
    }

    /// The configuration names this program.
    pub fn allow(&self, job: &Job) -> bool {
        let listed = |n: u64| self.lists.iter().any(|l| l.contains(&n));
        let words = |n: usize| job.argv.get(..n).unwrap_or_default();
        listed(self.number(&job.argv, job.user, false))
            || (1..=job.argv.len()).any(|n| listed(self.number(words(n), job.user, true)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(words: &str, user: Option<(u32, u32)>) -> Job {
        let argv = words.split(' ').map(str::to_string).collect();
        Job { id: 1, argv, user, groups: false, safe: false, probe: false, heard: false, queue: None }
    }

    type Short<'a> = (&'a str, Option<(u32, u32)>, bool);

    fn listed<const N: usize>(programs: [Short<'_>; N]) -> Vec<u8> {
        let list: List = (true, false, programs.map(|(w, u, more)| (job(w, None).argv, u, more)).to_vec());
        encode(&list).expect("bytes")
    }

    #[test]
    fn only_what_a_file_names_is_started_and_as_whom_it_says() {
        let mut permits = Permits::default();
        assert!(!permits.allow(&job("/bin/true", None)), "before there is a list");
        let nobody = Some((65534, 65534));
        assert!(permits.add(&listed([("/bin/check -a", nobody, false), ("/bin/tell", None, true)])));
        assert!(permits.safe);
        assert!(
            permits.allow(&job("/bin/check -a", nobody))
                && permits.allow(&job("/bin/tell INSTANCE VI MASTER 100", None))
        );
        for (words, user) in [
            ("/bin/check", nobody),
            ("/bin/check -a -b", nobody),
            ("/bin/check -a", None),
            ("/bin/tell x", nobody),
            ("/bin/sh -c reboot", None),
        ] {
            assert!(!permits.allow(&job(words, user)), "{words} {user:?}");
        }
        // What a reload removes is allowed for some reloads more.
        for n in 1..=LISTS {
            assert!(permits.allow(&job("/bin/check -a", nobody)), "{n}");
            assert!(permits.add(&listed([])));
        }
        assert!(!permits.allow(&job("/bin/check -a", nobody)));
        assert!(!permits.add(b"x"));
    }
}
