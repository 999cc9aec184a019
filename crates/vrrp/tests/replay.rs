//! Replays the fuzzing seeds in every run.
#![allow(clippy::disallowed_methods)] // a test may read files; the machine may not

use std::path::Path;

#[path = "../../../tests/fuzz/drive/auth.rs"]
mod auth;

#[test]
fn the_seeds_of_the_fuzzer_are_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/packet");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("seed");
        for family in [steadfast_core::Family::V4, steadfast_core::Family::V6] {
            let _ = steadfast_vrrp::wire::Advert::parse(&bytes, family);
        }
        count += 1;
    }
    assert!(count > 0);
}

#[test]
fn authenticated_packets_are_harmless_and_only_right_ones_are_believed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/auth");
    let mut believed = Vec::new();
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("seed");
        // once at most: the same bytes again are a recording
        let n = auth::drive(&bytes);
        if n > 0 {
            believed.push((entry.file_name().to_string_lossy().into_owned(), n));
        }
        // every cut and every flipped bit of it
        for at in 0..bytes.len() {
            auth::drive(&bytes[..at]);
            let mut other = bytes.clone();
            other[at] ^= 0x04;
            auth::drive(&other);
        }
    }
    believed.sort();
    let believed: Vec<(&str, u64)> = believed.iter().map(|(n, k)| (n.as_str(), *k)).collect();
    // without a trailer, and so without a memory, where that is allowed
    let permissive = ("trailer-permissive", 3);
    assert_eq!(believed, [("ah", 1), ("trailer-monotonic", 1), permissive, ("trailer-v2", 1), ("trailer-v3", 1)]);
}
