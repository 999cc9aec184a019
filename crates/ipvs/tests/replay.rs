//! Replays the fuzzing seeds in every run.
#![allow(clippy::disallowed_methods)] // a test may read files; the codec may not

use std::path::Path;
use steadfast_core::Family;
use steadfast_ipvs::Reply;
use steadfast_ipvs::wire::{Part, decode};

#[test]
fn the_seeds_of_the_fuzzer_are_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/ipvs");
    let (mut count, mut understood) = (0, 0);
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("seed");
        for (_, part) in decode(&bytes, 0x1d).unwrap_or_default() {
            if let Part::Message(message) = part {
                understood += usize::from(Reply::read(&message, Family::V4).is_some());
            }
        }
        count += 1;
    }
    assert!(count > 0 && understood >= 10, "{count} seeds, {understood} answers");
}
