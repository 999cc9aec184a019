use super::*;
use Action::*;
use Heard::{EqualHigher, EqualLower, Higher, Lower, Zero};

const HEARD: [Heard; 5] = [Zero, Lower, EqualLower, EqualHigher, Higher];
const DELAYS: [Delay; 4] = [Delay::None, Delay::Idle, Delay::Running, Delay::Over];

fn all_facts() -> Vec<Facts> {
    let mut all = Vec::new();
    for preempt in [false, true] {
        for delay in DELAYS {
            for fast in [false, true] {
                // The sender is the known master, or another one is, or none is known.
                for (known, other) in [(false, false), (false, true), (true, false)] {
                    all.push(Facts { preempt, delay, fast, known, other });
                }
            }
        }
    }
    all
}

/// The table as the RFCs and the manual give it: every standing, every advert, every combination of facts (1200 cells).
#[test]
fn every_cell_of_the_transition_table() {
    let mut cells = 0;
    for facts in all_facts() {
        for heard in HEARD {
            for standing in
                [Standing::Aside, Standing::Backup, Standing::Master, Standing::Listening, Standing::Releasing]
            {
                let want = match (standing, heard) {
                    (Standing::Aside, _) => Ignore,
                    (Standing::Backup, Zero) if facts.other => Ignore,
                    (Standing::Backup, Zero) if facts.fast && facts.known => Succeed,
                    (Standing::Backup, Zero) => Skew,
                    (Standing::Backup, Higher | EqualHigher | EqualLower) => Accept,
                    (Standing::Backup, Lower) if !facts.preempt => Accept,
                    (Standing::Backup, Lower) => match facts.delay {
                        Delay::Running => Accept,
                        Delay::Idle => AcceptAndDelay,
                        _ if facts.fast && facts.known => TakeOver,
                        _ if facts.fast => Note,
                        _ => Discard,
                    },
                    (Standing::Master, Zero) => Reassert,
                    (Standing::Master, Lower | EqualLower) => Contend,
                    (Standing::Master, Higher | EqualHigher) => Yield,
                    (Standing::Listening, Zero) => Ignore,
                    (Standing::Listening, Lower | EqualLower) if facts.preempt => ResumeSoon,
                    (Standing::Listening, Lower | EqualLower) => Yield,
                    (Standing::Listening, Higher | EqualHigher) => Yield,
                    (Standing::Releasing, Zero) => Ignore,
                    (Standing::Releasing, _) => LetGo,
                };
                assert_eq!(on_advert(standing, heard, facts), want, "{standing:?} {heard:?} {facts:?}");
                cells += 1;
            }
        }
    }
    assert_eq!(cells, 2 * 4 * 2 * 3 * 5 * 5);
}

#[test]
fn preempt_is_not_asked_in_master() {
    for heard in HEARD {
        let answers: Vec<Action> = all_facts().into_iter().map(|f| on_advert(Standing::Master, heard, f)).collect();
        assert!(answers.windows(2).all(|w| w[0] == w[1]));
    }
}

#[test]
fn equal_priority_in_backup_never_compares_addresses() {
    for facts in all_facts() {
        assert_eq!(on_advert(Standing::Backup, EqualLower, facts), on_advert(Standing::Backup, EqualHigher, facts));
    }
}
