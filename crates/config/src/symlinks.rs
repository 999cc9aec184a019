//! Paths of scripts without symbolic links, as keepalived starts them, unless `use_symlink_paths` wants them as written.

use crate::host::Host;
use crate::model::{Checker, Config, Script};

/// Resolves the programs of all scripts. What is missing now, and what is found by PATH, stays as it is.
pub(crate) fn resolve(config: &mut Config, host: &dyn Host) {
    if config.globals.use_symlink_paths == Some(true) {
        return;
    }
    let g = &mut config.globals;
    let mut all: Vec<&mut Option<Script>> = vec![
        &mut g.startup_script,
        &mut g.shutdown_script,
        &mut g.notify_fifo_script,
        &mut g.vrrp_notify_fifo_script,
        &mut g.lvs_notify_fifo_script,
    ];
    all.extend(config.scripts.iter_mut().map(|s| &mut s.script));
    for i in &mut config.instances {
        all.extend([&mut i.notify, &mut i.notify_backup, &mut i.notify_fault, &mut i.notify_master]);
        all.extend([&mut i.notify_stop, &mut i.notify_master_rx_lower_pri]);
        all.extend(i.notify_deleted.as_mut());
    }
    for g in &mut config.groups {
        all.extend([&mut g.notify, &mut g.notify_backup, &mut g.notify_fault, &mut g.notify_master]);
        all.push(&mut g.notify_stop);
    }
    let mut boxed: Vec<&mut Option<Box<Script>>> = Vec::new();
    for v in &mut config.virtual_servers {
        all.extend([&mut v.quorum_up, &mut v.quorum_down]);
        for r in &mut v.real_servers {
            boxed.extend([&mut r.notify_up, &mut r.notify_down]);
            all.extend(r.checkers.iter_mut().filter_map(|c| match c {
                Checker::Misc(m) => Some(&mut m.misc_path),
                _ => None,
            }));
        }
    }
    let all = all.into_iter().flatten().chain(boxed.into_iter().flatten().map(|s| &mut **s));
    for s in all.filter(|s| s.shell.is_none()) {
        if let Some(first) = s.argv.first_mut().filter(|f| f.starts_with('/'))
            && let Some(path) = host.resolved(first)
        {
            *first = path;
        }
    }
}
