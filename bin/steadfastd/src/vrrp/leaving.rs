//! Who asked for the end, and how often: who asks twice does not want it to wait for its successor.

use std::mem::replace;

/// What has been asked for.
#[derive(Default)]
pub struct Leaving {
    begun: bool,
    ordered: bool,
    signalled: bool,
}

impl Leaving {
    /// It has been asked for.
    pub fn begun(&self) -> bool {
        self.begun
    }

    /// The parent orders it. True: the machine is to hear of it. A signal to the whole process group is one wish, although this process
    /// hears it and then the parent's order.
    pub fn order(&mut self) -> bool {
        let again = replace(&mut self.ordered, true);
        !replace(&mut self.begun, true) || again
    }

    /// A signal asks for it. True: the machine is to hear of it.
    pub fn signal(&mut self) -> bool {
        let again = replace(&mut self.signalled, true);
        !replace(&mut self.begun, true) || again
    }

    /// The parent is gone, which is heard of by the end of its pipe and by signals. True: the machine is to hear of it.
    pub fn abandoned(&mut self) -> bool {
        !replace(&mut self.begun, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_to_the_process_group_is_one_wish_and_two_of_them_are_two() {
        let mut l = Leaving::default();
        assert_eq!([l.signal(), l.order()], [true, false], "the child hears it first");
        assert_eq!([l.signal(), l.order()], [true, true]);
        let mut l = Leaving::default();
        assert_eq!([l.order(), l.signal()], [true, false], "the parent does");
        assert!(l.order());
        let mut l = Leaving::default();
        assert_eq!([l.abandoned(), l.abandoned(), l.order()], [true, false, false]);
    }
}
