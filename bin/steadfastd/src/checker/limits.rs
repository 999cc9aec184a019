//! Time limits of connections: those of the file hold, and what they took the place of comes back after them. A limit that the file does
//! not name is the operator's.

/// Time limits in seconds: TCP, TCP after FIN, UDP.
pub type Limits = [u32; 3];

/// Nought is none of ours, or nothing to change.
fn some(limits: Limits) -> Option<Limits> {
    (limits != [0; 3]).then_some(limits)
}

/// What the kernel is to have: limits of the file, and what was found where it names none any more.
pub fn due(wanted: Option<Limits>, found: Option<Limits>) -> Option<Limits> {
    let (wanted, found) = (wanted.unwrap_or_default(), found.unwrap_or_default());
    some([0, 1, 2].map(|n| if wanted[n] > 0 { wanted[n] } else { found[n] }))
}

/// A limit of the file takes the place of one that nobody knows.
pub fn unknown(wanted: Option<Limits>, found: Option<Limits>) -> bool {
    let (wanted, found) = (wanted.unwrap_or_default(), found.unwrap_or_default());
    (0..3).any(|n| wanted[n] > 0 && found[n] == 0)
}

/// What is known once the kernel's were read, of those alone that the file names: else what the operator sets later would be undone.
pub fn learnt(wanted: Option<Limits>, found: Option<Limits>, kernel: Limits) -> Option<Limits> {
    let (ours, wanted, found) = (due(wanted, found), wanted.unwrap_or_default(), found.unwrap_or_default());
    let ours = ours.unwrap_or_default();
    // A balancer that was loaded anew has its own, and one that was not has ours.
    some([0, 1, 2].map(|n| match (wanted[n], found[n]) {
        (0, found) => found,
        (_, found) if found > 0 && kernel[n] == ours[n] => found,
        _ => kernel[n],
    }))
}

/// What is still to be given back some day, once the kernel has what is due.
pub fn left(wanted: Option<Limits>, found: Option<Limits>) -> Option<Limits> {
    let (wanted, found) = (wanted.unwrap_or_default(), found.unwrap_or_default());
    some([0, 1, 2].map(|n| if wanted[n] > 0 { found[n] } else { 0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A kernel, and what is known of it.
    struct Host(Limits, Option<Limits>);

    impl Host {
        /// As the balancer does it when the file changes.
        fn configure(&mut self, wanted: Option<Limits>) {
            if unknown(wanted, self.1) {
                self.1 = learnt(wanted, self.1, self.0);
            }
            let set = due(wanted, self.1).unwrap_or_default();
            self.0 = [0, 1, 2].map(|n| if set[n] > 0 { set[n] } else { self.0[n] });
            self.1 = left(wanted, self.1);
        }
    }

    #[test]
    fn what_the_file_does_not_name_is_the_operators() {
        let mut host = Host([900, 120, 300], None);
        host.configure(Some([1000, 0, 0]));
        assert_eq!((host.0, host.1), ([1000, 120, 300], Some([900, 0, 0])));
        host.0[2] = 600; // ipvsadm --set 0 0 600
        host.configure(Some([1100, 0, 0]));
        assert_eq!(host.0, [1100, 120, 600]);
        host.configure(Some([0, 50, 0]));
        assert_eq!((host.0, host.1), ([900, 50, 600], Some([0, 120, 0])));
        host.0[0] = 800;
        host.configure(None);
        assert_eq!((host.0, host.1), ([800, 120, 600], None));
    }

    #[test]
    fn a_balancer_that_is_loaded_anew_has_its_own() {
        let (wanted, found) = (Some([1000, 0, 31]), Some([900, 0, 300]));
        assert_eq!(learnt(wanted, found, [1000, 120, 31]), found, "the same one");
        assert_eq!(learnt(wanted, found, [850, 120, 31]), Some([850, 0, 300]));
    }
}
