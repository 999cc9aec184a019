//! Sync groups with address owners in them.

use crate::diag::{Class, Diagnostics};
use crate::model::{Config, InitialState, Track};
use crate::places::Places;
use std::collections::HashMap;

/// Says which groups have owners and others as members, and takes the weights of what a group with an owner tracks, whose priority
/// cannot change. Before the instances are put right: what counts is what is written.
pub(super) fn mixed(config: &mut Config, at: &Places, d: &mut Diagnostics) {
    let of = |i: &crate::model::VrrpInstance| (i.priority, i.state);
    let written: HashMap<&str, _> = config.instances.iter().map(|i| (i.name.as_str(), of(i))).collect();
    let weights = |all: Vec<(&String, i32)>| all.into_iter().map(|(n, w)| (n.clone(), w)).collect::<HashMap<_, _>>();
    let scripts = weights(config.scripts.iter().map(|s| (&s.name, s.weight.0)).collect());
    let files = weights(config.files.iter().map(|f| (&f.name, f.weight.0)).collect());
    let processes = weights(config.processes.iter().map(|p| (&p.name, p.weight.0)).collect());
    let bfd = weights(config.bfd.iter().map(|b| (&b.name, b.weight.0)).collect());
    for g in &mut config.groups {
        let members = || g.group.iter().flatten().filter_map(|m| written.get(m.as_str()));
        let any = |of: fn(&(Option<u8>, Option<InitialState>)) -> bool| members().any(of);
        const fn owns(m: &(Option<u8>, Option<InitialState>)) -> bool {
            matches!(m, (Some(255), _) | (None, Some(InitialState::Master)))
        }
        let (owner, other) = (any(owns), any(|m| !owns(m)));
        let declared = any(|m| *m == (Some(255), Some(InitialState::Master)));
        // keepalived looks at the states, and only where they are written.
        let class = match declared && any(|m| m.1 == Some(InitialState::Backup)) {
            true => Class::General,
            false if owner && other => Class::Note,
            false => Class::Unsupported,
        };
        if class != Class::Unsupported {
            let text = format!("sync group {} has address owners and others as members, which cannot work", g.name);
            let help = "an owner is master at once, and a group as a whole: give all of them priority 255, or none";
            d.push_help(class, at.of("vrrp_sync_group", &g.name, "group"), text, Some(help.into()));
        }
        if !owner {
            continue;
        }
        let name = g.name.clone();
        let mut clear = |entries: &mut Vec<Track>, kind: &str, defaults: Option<&HashMap<String, i32>>| {
            for t in entries {
                let default = defaults.and_then(|all| all.get(&t.name)).copied();
                if t.weight.or(default).unwrap_or(0) != 0 {
                    let text = format!("({name}) {kind} '{}': a member is an address owner, using weight 0", t.name);
                    d.push(Class::General, t.place.span(), text);
                    t.weight = Some(0);
                }
            }
        };
        clear(&mut g.track_script, "script", Some(&scripts));
        clear(&mut g.track_file, "file", Some(&files));
        clear(&mut g.track_process, "process", Some(&processes));
        clear(&mut g.track_bfd, "BFD session", Some(&bfd));
        clear(&mut g.track_interface, "interface", None);
    }
}
