//! The timers that there are.

/// Timers of one instance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Which {
    /// Master-down timer.
    Down,
    /// Next advert.
    Advert,
    /// Preemption delay.
    Delay,
    /// End of a hand-over.
    Release,
    /// End of listening after having overslept.
    Listen,
    /// Second burst of announcements after becoming master.
    GarpAgain,
    /// Refresh of announcements.
    GarpRefresh,
    /// Announcements on links that adverts do not leave by.
    GarpExtra,
    /// Second burst after a contention.
    GarpLower,
    /// Announcement after the last of several contentions.
    GarpAfter,
    /// Announcements when a predecessor that was alive has let go.
    GarpSettled,
    /// Two owners.
    Owner,
}

impl Which {
    pub const ALL: [Which; 12] = [
        Which::Down,
        Which::Advert,
        Which::Delay,
        Which::Release,
        Which::Listen,
        Which::GarpAgain,
        Which::GarpRefresh,
        Which::GarpExtra,
        Which::GarpLower,
        Which::GarpAfter,
        Which::GarpSettled,
        Which::Owner,
    ];

    /// Addresses are announced by it.
    pub fn announces(self) -> bool {
        use Which::{GarpAfter, GarpAgain, GarpExtra, GarpLower, GarpRefresh, GarpSettled};
        matches!(self, GarpAgain | GarpRefresh | GarpExtra | GarpLower | GarpAfter | GarpSettled)
    }
}

/// All timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    /// What is told before the first poll counts as the state at start.
    Settle,
    /// End of the startup delay.
    Startup,
    /// Repair of lost objects.
    Repair,
    /// Queue of announcements.
    Pace(u32),
    /// Announcements that nobody asked for.
    Remind,
    /// A link's change counts from now on.
    Debounce(u32),
    /// Virtual links that were asked for have had their time.
    Making,
    /// Next run of a script.
    ScriptRun(u32),
    /// Time limit of a run.
    ScriptLimit(u32),
    /// Delayed report of a process tracker.
    Process(u32),
    /// Instance by slot.
    Instance(u32, Which),
}
