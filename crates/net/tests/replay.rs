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
