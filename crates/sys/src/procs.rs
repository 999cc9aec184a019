//! Processes that are counted.

use std::collections::{HashMap, HashSet};
use std::path::Path;

/// What a process is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Matcher {
    /// Name of the tracker.
    pub name: String,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Compare with the command line instead of the 15-byte name.
    pub full_command: bool,
    /// How arguments are compared.
    pub arguments: Arguments,
}

/// How arguments are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arguments {
    /// Not at all.
    Ignored,
    /// All equal.
    Equal,
    /// The given ones lead.
    Initial,
    /// The given ones lead, the last may be a prefix.
    Partial,
}

impl Matcher {
    /// Whether a process matches. `comm` is what the kernel calls it (any bytes but NUL, brackets and newlines included),
    /// `command_line` its argument vector.
    pub fn matches(&self, comm: &[u8], command_line: &[&[u8]]) -> bool {
        let Some((program, given)) = self.argv.split_first() else { return false };
        let program = program.as_bytes();
        if !self.full_command && self.arguments == Arguments::Ignored {
            let base = program.rsplit(|b| *b == b'/').next().unwrap_or(program);
            return comm == &base[..base.len().min(15)];
        }
        let Some((first, rest)) = command_line.split_first() else { return false };
        if *first != program {
            return false;
        }
        match self.arguments {
            Arguments::Ignored => true,
            Arguments::Equal => rest.len() == given.len() && rest.iter().zip(given).all(|(a, b)| *a == b.as_bytes()),
            Arguments::Initial => rest.len() >= given.len() && rest.iter().zip(given).all(|(a, b)| *a == b.as_bytes()),
            Arguments::Partial => {
                let Some((last, lead)) = given.split_last() else { return true };
                rest.len() >= given.len()
                    && rest.iter().zip(lead).all(|(a, b)| *a == b.as_bytes())
                    && rest.get(lead.len()).is_some_and(|a| a.starts_with(last.as_bytes()))
            }
        }
    }
}

/// Counts the processes of each matcher under a proc file system.
pub fn count(proc: &Path, matchers: &[Matcher]) -> HashMap<String, u32> {
    find(proc, matchers).0
}

/// Counts the processes of each matcher under a proc file system, and names those that match any. One pass; processes that end
/// in between are left out.
pub fn find(proc: &Path, matchers: &[Matcher]) -> (HashMap<String, u32>, HashSet<i32>) {
    let mut counts: HashMap<String, u32> = matchers.iter().map(|m| (m.name.clone(), 0)).collect();
    let mut matching = HashSet::new();
    let Ok(entries) = std::fs::read_dir(proc) else { return (counts, matching) };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        for m in one(proc, pid, matchers).matching() {
            matching.insert(pid);
            if let Some(n) = counts.get_mut(&m.name) {
                *n += 1;
            }
        }
    }
    (counts, matching)
}

/// One process beside matchers.
pub struct Compared<'m> {
    comm: Vec<u8>,
    line: Vec<u8>,
    matchers: &'m [Matcher],
}

/// Looks at one process; one that is gone or a zombie matches nothing.
pub fn one<'m>(proc: &Path, pid: i32, matchers: &'m [Matcher]) -> Compared<'m> {
    let path = proc.join(pid.to_string());
    let mut comm = crate::files::read_limited(&path.join("comm"), 64).unwrap_or_default();
    if comm.last() == Some(&b'\n') {
        comm.pop();
    }
    let mut line = Vec::new();
    if matchers.iter().any(|m| m.full_command || m.arguments != Arguments::Ignored) {
        line = crate::files::read_limited(&path.join("cmdline"), 16384).unwrap_or_default();
        if line.last() == Some(&0) {
            line.pop();
        }
    }
    let mut compared = Compared { comm, line, matchers };
    // A process that has ended and was not collected yet still has its name.
    if compared.any() && zombie(&path) {
        compared.comm.clear();
        compared.line.clear();
    }
    compared
}

/// State Z or X in /proc/PID/stat, whose second field, the name, may contain anything and ends at the last bracket.
fn zombie(path: &Path) -> bool {
    let stat = crate::files::read_limited(&path.join("stat"), 512).unwrap_or_default();
    let state = stat.iter().rposition(|b| *b == b')').and_then(|at| stat.get(at + 2));
    !state.is_some_and(|s| !matches!(s, b'Z' | b'X' | b'x'))
}

impl<'m> Compared<'m> {
    /// Those that match.
    pub fn matching(&self) -> impl Iterator<Item = &'m Matcher> {
        let argv: Vec<&[u8]> = if self.line.is_empty() { Vec::new() } else { self.line.split(|b| *b == 0).collect() };
        self.matchers.iter().filter(move |m| m.matches(&self.comm, &argv))
    }

    /// One matches.
    pub fn any(&self) -> bool {
        self.matching().next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(argv: &[&str], full: bool, arguments: Arguments) -> Matcher {
        Matcher { name: "m".into(), argv: argv.iter().map(|s| s.to_string()).collect(), full_command: full, arguments }
    }

    #[test]
    fn a_hostile_process_name_is_just_a_name() {
        let m = matcher(&["haproxy"], false, Arguments::Ignored);
        assert!(m.matches(b"haproxy", &[]));
        assert!(!m.matches(b"x) R 1 2\nhaproxy", &[]));
        assert!(
            matcher(&["/usr/sbin/a-name-longer-than-15"], false, Arguments::Ignored).matches(b"a-name-longer-t", &[])
        );
    }

    #[test]
    fn arguments_are_compared_as_asked() {
        let line: [&[u8]; 3] = [b"/bin/x", b"-a", b"file.conf"];
        assert!(matcher(&["/bin/x"], true, Arguments::Ignored).matches(b"x", &line));
        assert!(!matcher(&["/bin/x"], true, Arguments::Equal).matches(b"x", &line));
        assert!(matcher(&["/bin/x", "-a"], true, Arguments::Initial).matches(b"x", &line));
        assert!(matcher(&["/bin/x", "-a", "file"], true, Arguments::Partial).matches(b"x", &line));
        assert!(!matcher(&["/bin/x", "-b"], true, Arguments::Initial).matches(b"x", &line));
    }

    #[test]
    fn this_process_is_found() {
        let comm = std::fs::read_to_string("/proc/self/comm").expect("comm");
        let counts = count(Path::new("/proc"), &[matcher(&[comm.trim_end()], false, Arguments::Ignored)]);
        assert!(counts["m"] >= 1);
    }
}
