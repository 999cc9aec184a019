//! Replays the fuzzing seeds in every run.
#![allow(clippy::disallowed_methods)] // a test may read files; the machine may not

use std::path::Path;

#[test]
fn the_seeds_of_the_fuzzer_are_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/config");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("seed");
        let _ = bytes;
        let host = steadfast_config::host::FakeHost { all_interfaces: true, all_scripts: true, ..Default::default() };
        let o = steadfast_config::load(&entry.path(), &steadfast_config::source::FsReader, &Default::default(), &host);
        let _ = steadfast_config::diag::render(&o.diagnostics, &o.files, false);
        count += 1;
    }
    assert!(count > 0);
}
