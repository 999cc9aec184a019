//! Packets that were thrown away, for managers: looked at once a second, so that a flood of them is one alarm of each kind a second.

use super::Role;
use std::collections::HashMap;
use steadfast_core::Name;
use steadfast_ipc::{Alarm, Message, News};
use steadfast_vrrp::{Counters, View};

/// What had been counted when it was looked at last, of instances that had anything: most never have.
#[derive(Default)]
pub struct Alarms(HashMap<Name, [u64; 6]>);

impl Alarms {
    fn of<'a>(views: impl Iterator<Item = View<'a>>) -> Self {
        let counts = views.map(|v| (v.config.name.clone(), kinds(&v.counters).map(|(_, n)| n)));
        Alarms(counts.filter(|(_, counts)| *counts != [0; 6]).collect())
    }
}

impl Alarms {
    /// Instances have other names, all at once.
    pub fn rename(&mut self, names: &[(String, String)]) {
        let counts: Vec<_> = names.iter().map(|(old, new)| (new, self.0.remove(old.as_str()))).collect();
        self.0.extend(counts.into_iter().filter_map(|(new, c)| Some((new.as_str().into(), c?))));
    }
}

/// Kinds of alarms, by the numbers of RFC 2787 and RFC 6527.
fn kinds(c: &Counters) -> [(Alarm, u64); 6] {
    let extension = c.auth_ext_missing
        + c.auth_ext_malformed
        + c.auth_ext_unknown_key
        + c.auth_ext_invalid_hmac
        + c.auth_ext_stale
        + c.auth_ext_replay;
    [
        (Alarm::Authentication(1), c.invalid_authtype),
        (Alarm::Authentication(2), c.authtype_mismatch),
        (Alarm::Authentication(3), c.auth_failure + extension),
        (Alarm::Protocol(1), c.ip_ttl_err),
        (Alarm::Protocol(2), c.version_err),
        (Alarm::Protocol(3), c.checksum_err),
    ]
}

impl Role {
    /// What a former life counted is no news.
    pub(super) fn has_raised(&mut self) {
        self.alarms = Alarms::of(self.router.views());
    }

    /// Tells of what was thrown away since the last time.
    pub(super) fn raise_alarms(&mut self) {
        if !self.plan.alarms {
            return;
        }
        let mut news = Vec::new();
        for v in self.router.views() {
            let before = self.alarms.0.get(&v.config.name).copied().unwrap_or_default();
            for ((alarm, _), _) in kinds(&v.counters).into_iter().zip(before).filter(|((_, now), before)| now > before)
            {
                news.push(News::Alarm { name: v.config.name.to_string(), alarm, source: v.offender });
            }
        }
        self.has_raised();
        news.into_iter().for_each(|n| self.parent.say(Message::News(n)));
    }
}
