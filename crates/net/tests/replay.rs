//! Replays the fuzzing seeds in every run.
#![allow(clippy::disallowed_methods)] // a test may read files; the machine may not

use std::path::Path;

#[test]
fn the_seeds_of_the_fuzzer_are_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/netlink");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("seed");
        for message in steadfast_net::netlink::parse(&bytes) {
            let _ = steadfast_net::netlink::Why::answer(&message);
        }
        let _ = steadfast_net::nft::look(&bytes, 5, "keepalived", &mut Vec::new());
        count += 1;
    }
    assert!(count > 0);
}

#[path = "../../../tests/fuzz/drive/records.rs"]
mod records;

#[test]
fn no_seed_is_taken_for_a_record() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/records");
    let seeds: Vec<Vec<u8>> =
        std::fs::read_dir(folder).expect("seeds").flatten().filter_map(|e| std::fs::read(e.path()).ok()).collect();
    assert!(seeds.len() > 4);
    for seed in &seeds {
        // Each length and each last byte of padding.
        for length in 0..=seed.len() {
            records::drive(&seed[..length]);
        }
        for last in 0..=255 {
            records::drive(&[seed.as_slice(), &[last; 16]].concat());
        }
    }
}
