//! Processes that are counted.

use std::collections::HashMap;
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

/// Counts the processes of each matcher under a proc file system. One pass; processes that end in between are left out.
pub fn count(proc: &Path, matchers: &[Matcher]) -> HashMap<String, u32> {
    let mut counts: HashMap<String, u32> = matchers.iter().map(|m| (m.name.clone(), 0)).collect();
    let Ok(entries) = std::fs::read_dir(proc) else { return counts };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let path = entry.path();
        let Ok(mut comm) = crate::files::read_limited(&path.join("comm"), 64) else { continue };
        if comm.last() == Some(&b'\n') {
            comm.pop();
        }
        let line = if matchers.iter().any(|m| m.full_command || m.arguments != Arguments::Ignored) {
            crate::files::read_limited(&path.join("cmdline"), 16384).unwrap_or_default()
        } else {
            Vec::new()
        };
        let line = line.strip_suffix(&[0]).unwrap_or(&line);
        let argv: Vec<&[u8]> = if line.is_empty() { Vec::new() } else { line.split(|b| *b == 0).collect() };
        for m in matchers {
            if m.matches(&comm, &argv)
                && let Some(n) = counts.get_mut(&m.name)
            {
                *n += 1;
            }
        }
    }
    counts
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
