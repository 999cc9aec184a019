//! Lists of fingerprints that were cut.

use steadfast_ipc::{cut_faults, new_faults};

#[test]
fn lists_that_were_cut_differently_can_be_compared() {
    let all: Vec<u32> = (1..=1000).map(|n| n * 7).collect();
    let cut = |most| {
        let mut list = all.clone();
        cut_faults(&mut list, most);
        list
    };
    for known in [1, 2, 3, 150, 300, 2000].map(cut) {
        for list in [1, 2, 150, 299, 300, 2000].map(cut) {
            assert!(!new_faults(&known, &list), "{} {}", known.len(), list.len());
        }
    }
    assert!(new_faults(&[], &cut(300)) && new_faults(&[], &cut(1)));
    let mut more = all[..301].to_vec();
    cut_faults(&mut more, 300);
    assert!(new_faults(&all[..300], &more), "the greatest one is new");
    assert!(new_faults(&all, &[8]));
    assert!(new_faults(&cut(300), &[7, 8]), "below the end of what is known");
    assert!(!new_faults(&all, &[]));
}
