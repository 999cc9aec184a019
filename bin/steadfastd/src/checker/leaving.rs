//! The end of the role: while the VRRP child still serves addresses, since its successor is awaited, connections to them need the tables.

use std::collections::BTreeSet;
use std::time::Duration;
use steadfast_core::Time;

/// Nobody is waited for longer: a file can have children given a minute (docs/operations.md).
const MOST: Duration = Duration::from_secs(60);

/// Who asked for the end, and what it waits for.
#[derive(Default)]
pub struct Leaving {
    /// Instances that are masters, as the VRRP child says.
    masters: BTreeSet<String>,
    /// The end has been asked for; then it is now, or when no master is left.
    until: Option<Time>,
    ordered: bool,
    signalled: bool,
}

impl Leaving {
    /// An instance is master, or is not.
    pub fn instance(&mut self, name: &str, master: bool) {
        if master {
            self.masters.insert(name.to_owned());
        } else {
            self.masters.remove(name);
        }
    }

    /// The parent orders it. Told a second time, since the VRRP child is gone or there is no more time, nobody waits any longer.
    pub fn order(&mut self, now: Time) {
        let again = std::mem::replace(&mut self.ordered, true);
        self.begin(now, again);
    }

    /// A signal asks for it, which the whole process group may have got.
    pub fn signal(&mut self, now: Time) {
        let again = std::mem::replace(&mut self.signalled, true);
        self.begin(now, again);
    }

    /// The parent is gone.
    pub fn abandoned(&mut self, now: Time) {
        self.begin(now, false);
    }

    fn begin(&mut self, now: Time, again: bool) {
        let until = self.until.get_or_insert(now + MOST);
        if again {
            *until = now;
        }
    }

    /// It has been asked for.
    pub const fn asked(&self) -> bool {
        self.until.is_some()
    }

    /// When it is due at the latest.
    pub fn at(&self) -> Time {
        self.until.unwrap_or(Time::FAR)
    }

    /// The end is now.
    pub fn is_due(&self, now: Time) -> bool {
        self.until.is_some_and(|until| self.masters.is_empty() || now >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(1000 * seconds)
    }

    #[test]
    fn who_serves_is_waited_for() {
        let mut l = Leaving::default();
        l.instance("A", true);
        l.instance("B", true);
        l.order(at(10));
        l.signal(at(10)); // the process group got the signal that the parent got
        l.instance("A", false);
        assert!(l.asked() && !l.is_due(at(12)));
        l.instance("B", false);
        assert!(l.is_due(at(12)));
    }

    #[test]
    fn but_not_where_it_is_said_again_nor_for_ever() {
        let mut l = Leaving::default();
        l.instance("A", true);
        assert!(!l.is_due(at(1)) && !l.asked(), "nobody asked");
        l.order(at(10));
        assert!(!l.is_due(at(11)));
        l.order(at(11));
        assert!(l.is_due(at(11)));
        let mut l = Leaving::default();
        l.instance("A", true);
        l.abandoned(at(10));
        l.abandoned(at(20));
        assert!(!l.is_due(at(69)) && l.is_due(at(70)) && l.at() == at(70));
        // a signal, and then the parent dies
        let mut l = Leaving::default();
        l.instance("A", true);
        l.signal(at(10));
        l.abandoned(at(10));
        assert!(!l.is_due(at(12)));
    }
}
