//! Which objects are in the kernel on our behalf, and putting back what somebody else takes away.

use indexmap::IndexMap;
use std::net::IpAddr;
use std::time::Duration;
use steadfast_core::Time;
use steadfast_core::kernel::Object;

/// Losses of one object within [`WINDOW`] that are repaired at once; further ones wait for [`PAUSE`].
const QUICK: u32 = 5;
const WINDOW: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
struct Entry {
    /// Holders; an object shared by two instances stays until the last lets go.
    holders: u32,
    /// Order of arrival, so that repairs come in the same order in every run.
    order: u64,
    /// Few have any.
    trouble: Option<Box<Trouble>>,
}

impl Entry {
    fn is_refused(&self) -> bool {
        self.trouble.as_ref().is_some_and(|t| t.refusals > 0)
    }
}

#[derive(Debug, Default)]
struct Trouble {
    losses: u32,
    window: Time,
    refusals: u32,
    repair: Option<Time>,
    /// What was in its place serves instead.
    unchanged: bool,
}

/// What to do about a loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Repair {
    /// Not ours.
    None,
    /// Put it back now. The number of losses in this window.
    Now(u32),
    /// Put it back at that time; true: say so, this is the first time.
    Later(Time, bool),
}

/// The set.
#[derive(Debug, Default)]
pub(crate) struct Held {
    entries: IndexMap<Object, Entry>,
    sequence: u64,
}

impl Held {
    /// Gives back room.
    pub fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Somebody holds it.
    pub fn contains(&self, object: &Object) -> bool {
        self.entries.contains_key(object)
    }

    /// Somebody holds what cannot be there beside this one.
    pub fn has_place_of(&self, object: &Object) -> bool {
        self.contains(object) || self.entries.keys().any(|held| held.same_place(object))
    }

    /// One more holder; true: it is the first.
    pub fn hold(&mut self, object: &Object) -> bool {
        match self.entries.get_mut(object) {
            Some(e) => {
                e.holders += 1;
                false
            }
            None => {
                self.sequence += 1;
                self.entries.insert(object.clone(), Entry { holders: 1, order: self.sequence, ..Entry::default() });
                true
            }
        }
    }

    /// One holder less; true: it was the last.
    pub fn release(&mut self, object: &Object) -> bool {
        match self.entries.get_mut(object) {
            Some(e) if e.holders > 1 => {
                e.holders -= 1;
                false
            }
            Some(_) => {
                self.entries.swap_remove(object);
                true
            }
            None => false,
        }
    }

    fn trouble(&mut self, object: &Object) -> Option<&mut Trouble> {
        Some(self.entries.get_mut(object)?.trouble.get_or_insert_default())
    }

    /// Somebody took it away.
    pub fn lost(&mut self, now: Time, object: &Object) -> Repair {
        let Some(e) = self.trouble(object) else { return Repair::None };
        if e.repair.is_some() {
            // waiting already; hearing of it again must not put it off
            return Repair::None;
        }
        if now.since(e.window) > WINDOW || e.losses == 0 {
            e.window = now;
            e.losses = 0;
        }
        e.losses = e.losses.saturating_add(1);
        if e.losses <= QUICK {
            return Repair::Now(e.losses);
        }
        // the window slides while the fight goes on, so that the pause holds
        let first = e.losses == QUICK + 1;
        e.window = now;
        let at = now + PAUSE;
        e.repair = Some(at);
        Repair::Later(at, first)
    }

    /// Somebody took it away, and it stays there. True: say so, it is the first time for a while.
    pub fn stays_away(&mut self, now: Time, object: &Object) -> bool {
        let Some(e) = self.trouble(object) else { return false };
        let first = e.losses == 0 || now.since(e.window) > WINDOW;
        (e.losses, e.window) = (1, now);
        first
    }

    /// The kernel refused it: try again later, with growing pauses. True: say so.
    pub fn refused(&mut self, now: Time, object: &Object) -> Option<(Time, bool)> {
        let e = self.trouble(object)?;
        e.unchanged = false;
        if let Some(at) = e.repair {
            return Some((at, false));
        }
        let pause = (PAUSE * (1 << e.refusals.min(6))).min(LONGEST);
        e.refusals = e.refusals.saturating_add(1);
        let at = now + pause;
        e.repair = Some(at);
        Some((at, e.refusals == 1))
    }

    /// The same, and another is in its place: when to try again, if at all. True: say so.
    pub fn unchanged(&mut self, now: Option<Time>, object: &Object) -> Option<(Option<Time>, bool)> {
        let first = !self.is_unchanged(object);
        let at = now.and_then(|now| self.refused(now, object)).map(|(at, _)| at);
        let trouble = self.trouble(object)?;
        trouble.unchanged = true;
        trouble.refusals = trouble.refusals.max(1);
        Some((at, first))
    }

    /// Another is in its place, since the kernel did not take it.
    pub fn is_unchanged(&self, object: &Object) -> bool {
        self.entries.get(object).and_then(|e| e.trouble.as_ref()).is_some_and(|t| t.unchanged)
    }

    /// One holds it, and no more.
    pub fn is_last_of(&self, object: &Object) -> bool {
        self.entries.get(object).is_some_and(|e| e.holders == 1)
    }

    /// What somebody holds that the kernel knows by the same key as another one.
    pub fn rival(&self, object: &Object) -> Option<&Object> {
        let key = object.key()?;
        self.entries.keys().find(|o| *o != object && o.key().as_ref() == Some(&key))
    }

    /// Everything that somebody holds.
    pub fn all(&self) -> impl Iterator<Item = &Object> {
        self.entries.keys()
    }

    /// The kernel did not take it when last asked.
    pub fn is_refused(&self, object: &Object) -> bool {
        self.entries.get(object).is_some_and(Entry::is_refused)
    }

    /// There is one that the kernel did not take.
    pub fn refuses(&self) -> bool {
        self.entries.values().any(Entry::is_refused)
    }

    /// Routes whose preferred source is this.
    pub fn routes_from(&self, source: IpAddr) -> Vec<Object> {
        let from = |o: &Object| matches!(o, Object::Route(r) if r.source == Some(source));
        let mut found: Vec<_> = self.entries.iter().filter(|(o, _)| from(o)).collect();
        found.sort_by_key(|(_, e)| e.order);
        found.into_iter().map(|(o, _)| o.clone()).collect()
    }

    /// The kernel took it: the next refusal is news again.
    pub fn accepted(&mut self, object: &Object) {
        if let Some(t) = self.entries.get_mut(object).and_then(|e| e.trouble.as_mut()) {
            t.refusals = 0;
            t.unchanged = false;
            // the pause was for the refusals, unless somebody fights over it
            if t.losses <= QUICK {
                t.repair = None;
            }
        }
    }

    /// Objects whose repair is due, and when the next one is.
    pub fn due(&mut self, now: Time) -> (Vec<Object>, Option<Time>) {
        let mut due = Vec::new();
        let mut next: Option<Time> = None;
        for (object, e) in &mut self.entries {
            let Some(trouble) = &mut e.trouble else { continue };
            match trouble.repair {
                Some(at) if at <= now => {
                    trouble.repair = None;
                    due.push((e.order, object.clone()));
                }
                Some(at) => next = Some(next.map_or(at, |n| n.min(at))),
                None => {}
            }
        }
        due.sort_by_key(|(order, _)| *order);
        (due.into_iter().map(|(_, o)| o).collect(), next)
    }
}

#[cfg(test)]
mod tests;
