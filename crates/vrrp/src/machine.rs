//! The decision table of one virtual router: what a valid advert means in each standing. It is a pure function, so that a
//! test can walk through every cell of it.

/// Where a router stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Not started, or in FAULT: takes no part.
    Aside,
    /// Listening for the master.
    Backup,
    /// Master.
    Master,
    /// Master that was held up for so long that others may have taken over: listens before it sends again.
    Listening,
    /// Master that said priority 0 and serves on until its successor is heard.
    Releasing,
}

/// What was heard, relative to our own effective priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Heard {
    /// Priority 0: the sender gives up.
    Zero,
    /// Lower.
    Lower,
    /// Equal, from a numerically lower address.
    EqualLower,
    /// Equal, from a numerically greater address.
    EqualHigher,
    /// Higher.
    Higher,
}

/// The pause before a preemption (preempt_delay).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Delay {
    /// None is configured.
    #[default]
    None,
    /// Configured, not begun.
    Idle,
    /// Counting.
    Running,
    /// Over: the way is free.
    Over,
}

/// What else decides in Backup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Takes over from a lower-priority master.
    pub preempt: bool,
    /// Where the delay of that stands.
    pub delay: Delay,
    /// Takes over at once rather than at the end of the master-down timer, or of the skew.
    pub fast: bool,
    /// The sender is the master that we know.
    pub known: bool,
    /// Another router is known as the master, and that counts. A priority 0 then says nothing of it: the last word of who lost to it
    /// may come after its first.
    pub other: bool,
}

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Nothing at all.
    Ignore,
    /// Backup: let the master-down timer end after the skew (RFC 9568 section 6.4.2).
    Skew,
    /// Backup: the master that we know gives up; take over within 10 ms.
    Succeed,
    /// Backup: this is the master; learn its interval and arm the master-down timer.
    Accept,
    /// Backup: as [`Action::Accept`], and begin the preemption delay.
    AcceptAndDelay,
    /// Backup: the master-down timer runs on.
    Discard,
    /// Backup: as [`Action::Discard`], but remember the sender as the master.
    Note,
    /// Backup: take over within 10 ms.
    TakeOver,
    /// Master: somebody gives up; advertise at once.
    Reassert,
    /// Master: somebody lower competes; advertise, announce the addresses again.
    Contend,
    /// Master: somebody better is there; go to Backup.
    Yield,
    /// Listening: nobody better so far; go on as soon as the queue is drained.
    ResumeSoon,
    /// Releasing: the successor is there; let go.
    LetGo,
}

/// The table.
pub fn on_advert(standing: Standing, heard: Heard, facts: Facts) -> Action {
    use Heard::{EqualHigher, EqualLower, Higher, Lower, Zero};
    match (standing, heard) {
        (Standing::Aside, _) => Action::Ignore,
        (Standing::Backup, Zero) if facts.other => Action::Ignore,
        // whom nobody is to preempt has given up by itself
        (Standing::Backup, Zero) if facts.fast && facts.known => Action::Succeed,
        (Standing::Backup, Zero) => Action::Skew,
        // addresses are never compared in Backup
        (Standing::Backup, EqualLower | EqualHigher | Higher) => Action::Accept,
        (Standing::Backup, Lower) => match (facts.preempt, facts.delay) {
            (false, _) | (true, Delay::Running) => Action::Accept,
            (true, Delay::Idle) => Action::AcceptAndDelay,
            (true, Delay::None | Delay::Over) => match (facts.fast, facts.known) {
                (true, true) => Action::TakeOver,
                (true, false) => Action::Note,
                (false, _) => Action::Discard,
            },
        },
        (Standing::Master, Zero) => Action::Reassert,
        (Standing::Master, Lower | EqualLower) => Action::Contend,
        (Standing::Master | Standing::Listening, EqualHigher | Higher) => Action::Yield,
        (Standing::Listening, Zero) => Action::Ignore,
        // Somebody lower serves meanwhile: he stays where nobody is to be preempted.
        (Standing::Listening, Lower | EqualLower) if facts.preempt => Action::ResumeSoon,
        (Standing::Listening, Lower | EqualLower) => Action::Yield,
        (Standing::Releasing, Zero) => Action::Ignore,
        (Standing::Releasing, _) => Action::LetGo,
    }
}

#[cfg(test)]
mod tests;
