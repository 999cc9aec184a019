//! Why an instance changes its state, where the line that is logged before does not say it: another member of its sync group led, or
//! the timer that ran out was set by an advert.

use crate::Output;
use crate::instance::Instance;
use crate::router::Router;
use std::net::IpAddr;
use steadfast_core::Time;

/// Of a first BACKUP.
pub(crate) const BEGINS: &str = "it was started, and each instance begins by listening";

/// A master that was heard, beside what we had then.
fn announced(master: IpAddr, theirs: u8, ours: u8) -> String {
    let beside = if theirs < ours { "below" } else { "beside" };
    format!("{master} announced priority {theirs}, {beside} our {ours}")
}

impl Router {
    /// Keeps the cause of the next change of an instance.
    pub(crate) fn because(&mut self, i: u32, cause: &str) {
        if let Some(x) = self.slot_mut(i) {
            x.cause = Some(cause.into());
        }
    }

    /// Members of the sync group of `i` that are to follow it.
    pub(crate) fn others_because(&mut self, i: u32, cause: &str, follows: impl Fn(&Instance) -> bool) {
        let Some(group) = self.slot(i).and_then(|x| x.group).and_then(|g| self.groups.get(g as usize)) else { return };
        let text = format!("{} of sync group {}: {cause}", self.name(i), group.config.name);
        for m in self.members_with(i).into_iter().filter(|m| *m != i) {
            if self.slot(m).is_some_and(&follows) {
                self.because(m, &text);
            }
        }
    }

    /// Says the cause that was kept, before the line that tells of the change.
    pub(crate) fn say_cause(&mut self, i: u32, out: &mut Vec<Output>) {
        if let Some(x) = self.slot_mut(i)
            && let Some(cause) = x.cause.take()
        {
            out.push(Output::Because { name: x.config.name.to_string(), cause: cause.into() });
        }
    }

    /// Why a backup whose timer has run out takes over; nothing where it has heard nobody.
    pub(crate) fn takeover_cause(&self, i: u32, now: Time) -> Option<String> {
        let x = self.slot(i)?;
        if let (Some((lower, p)), None, None) = (x.beats(now), x.zero_heard, x.fast) {
            return Some(announced(lower, p, x.priority()));
        }
        match (x.master, x.zero_heard, x.fast) {
            (Some((master, p)), None, Some(_)) => Some(announced(master, p, x.priority())),
            (Some((master, _)), Some(_), _) => Some(format!("{master} said that it leaves (priority 0)")),
            (Some((master, p)), None, None) => {
                let silence = now.since(x.last_heard?).as_secs_f64();
                Some(format!("{master} (priority {p}) was not heard for {silence:.1} s"))
            }
            _ => None,
        }
    }

    /// Why a member without a fault of its own enters FAULT.
    pub(crate) fn fault_of_another(&self, i: u32) -> Option<String> {
        let group = self.slot(i)?.group.and_then(|g| self.groups.get(g as usize))?;
        let mut others = group.members.iter().filter(|m| **m != i).filter_map(|m| self.slot(*m));
        let led = others.find(|x| x.faulty())?;
        let fault = led.assessed.faults.first().map_or_else(String::new, |f| format!(": {f}"));
        Some(format!("{} of sync group {} is in FAULT{fault}", led.config.name, group.config.name))
    }
}

#[cfg(test)]
mod tests;
