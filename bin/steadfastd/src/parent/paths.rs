//! Where pid files, records and the control socket are, and whose processes stand in them.

use super::Daemon;
use std::path::{Path, PathBuf};

/// Where records are whose pid files are in /run itself: a child may write to the folder of its record, and in /run there are files that
/// the system obeys.
const RECORDS: &str = "/run/steadfast";

impl Daemon {
    /// Pid file of a role, if it has one.
    pub(super) fn child_file(&self, role: &str) -> Option<PathBuf> {
        Some(match role {
            "vrrp" => self.pid_path("vrrp", &self.options.vrrp_pid),
            "checker" => self.pid_path("checkers", &self.options.checkers_pid),
            "bfd" => self.pid_path("bfd", &self.options.bfd_pid),
            _ => return None,
        })
    }

    /// The process that is named there.
    pub(super) fn child_on_file(&self, role: &str) -> Option<i32> {
        std::fs::read_to_string(self.child_file(role)?).ok()?.trim().parse().ok()
    }

    /// Where a role writes down what is ours in the kernel.
    pub(super) fn record(&self, role: &str) -> Option<PathBuf> {
        let path = self.child_file(role).filter(|_| role != "bfd")?;
        let path = match path.parent() {
            Some(folder) if is_run(folder) => Path::new(RECORDS).join(path.file_name()?),
            _ => path,
        };
        // pid files that differ in their last part alone have records of their own
        if path.extension().is_some_and(|e| e == "pid") {
            return Some(path.with_extension("objects"));
        }
        let mut name = path.into_os_string();
        name.push(format!(".{role}.objects"));
        Some(name.into())
    }

    /// Makes the folder of records, and takes those there that an earlier version has written into /run.
    pub(super) fn prepare_records(&self) {
        for (role, record) in ["vrrp", "checker"].into_iter().filter_map(|role| Some((role, self.record(role)?))) {
            if record.parent() != Some(Path::new(RECORDS)) {
                continue;
            }
            if let Err(e) = steadfast_sys::files::make_folder(Path::new(RECORDS)) {
                return log::warn!("cannot make {RECORDS}, where is to be written what is ours in the kernel: {e}");
            }
            if let Some(old) = self.child_file(role).and_then(|path| Some(path.with_file_name(record.file_name()?)))
                && old.exists()
                && !record.exists()
                && let Err(e) = std::fs::rename(&old, &record)
            {
                log::warn!("cannot move {} to {RECORDS}: {e}", old.display());
            }
        }
    }

    pub(super) fn pid_path(&self, name: &str, option: &Option<PathBuf>) -> PathBuf {
        if let Some(path) = option {
            return path.clone();
        }
        let suffix = self.facts.instance.as_ref().map(|i| format!("_{i}")).unwrap_or_default();
        if let Some(folder) = self.namespace_folder() {
            folder.join(format!("{name}{suffix}.pid"))
        } else if self.facts.pid_directory {
            PathBuf::from(format!("/run/keepalived/{name}{suffix}.pid"))
        } else {
            PathBuf::from(format!("/run/{name}.pid"))
        }
    }

    /// The socket beside the pid file.
    pub(super) fn control_path(&self) -> PathBuf {
        self.pid_path("keepalived", &self.options.pid).with_extension("control")
    }

    /// Where keepalived's pid files are seen from outside of its own mount namespace.
    pub(super) fn namespace_folder(&self) -> Option<PathBuf> {
        let namespace = self.options.namespace.as_ref().or(self.facts.namespace.as_ref())?;
        Some(PathBuf::from(format!("/run/keepalived/keepalived_{namespace}")))
    }
}

fn is_run(folder: &Path) -> bool {
    folder.canonicalize().is_ok_and(|f| f == Path::new("/run"))
}

/// A role of a daemon like us, whose parent is gone.
pub(super) fn is_orphan(pid: i32) -> bool {
    is_child(pid) && has_lost_its_parent(pid)
}

/// A process of a daemon's, of this one or of another.
pub(super) fn is_child(pid: i32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|line| line.split(|b| *b == 0).any(|word| word == b"--role"))
}

fn has_lost_its_parent(pid: i32) -> bool {
    let read = |name: &str| std::fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
    let status = String::from_utf8_lossy(&read("status")).into_owned();
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_default().trim().to_string();
    let line = String::from_utf8_lossy(&read("cmdline")).into_owned();
    let words: Vec<&str> = line.split('\0').collect();
    let parent = words.windows(2).find(|w| w.first() == Some(&"--parent")).and_then(|w| w.get(1).copied());
    parent.is_some_and(|p| p != field("PPid:")) && !field("State:").starts_with('Z')
}
