//! Replays the fuzzing seeds in every run.
#![allow(clippy::disallowed_methods)] // a test may read files; the machine may not

use std::path::Path;
use steadfast_bfd::wire::Packet;

#[test]
fn the_seeds_of_the_fuzzer_are_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/bfd");
    let mut taken = 0;
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("seed");
        if let Ok(p) = Packet::parse(&bytes) {
            assert_eq!(Packet::parse(&p.emit()), Ok(p));
            taken += 1;
        }
    }
    assert!(taken > 3);
}
