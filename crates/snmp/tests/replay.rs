//! Replays the fuzzing seeds in every run, and any bytes at all.

use proptest::prelude::*;
use std::path::Path;
use steadfast_core::Time;
use steadfast_snmp::wire::{emit, parse};
use steadfast_snmp::{Input, Session, View};

fn converse(bytes: &[u8]) {
    if let Ok(p) = parse(bytes).map(|mut p| {
        p.context = false;
        p
    }) {
        assert_eq!(parse(&emit(&p)).as_ref(), Ok(&p));
    }
    let mut out = Vec::new();
    let mut s = Session::new("x", Vec::new(), Time::ZERO);
    s.poll(Time::ZERO, &mut out);
    s.handle(Time::ZERO, Input::Connected, &mut out);
    // A response to the first packet opens the session.
    let mut open = vec![1, 18, 16, 0];
    open.extend([0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    s.handle(Time::ZERO, Input::Bytes(&open), &mut out);
    assert!(s.is_open());
    s.handle(Time::ZERO, Input::Bytes(bytes), &mut out);
    s.answer(&View::default(), &mut out);
    s.poll(Time::from_millis(60_000), &mut out);
}

#[test]
fn the_seeds_of_the_fuzzer_are_harmless() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/agentx");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("seeds").flatten() {
        let bytes = std::fs::read(entry.path()).expect("readable");
        parse(&bytes).unwrap_or_else(|e| panic!("{}: {e}", entry.path().display()));
        converse(&bytes);
        count += 1;
    }
    assert!(count >= 10);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        converse(&bytes);
        let mut headed = vec![1, bytes.first().copied().unwrap_or(0) % 20, bytes.get(1).copied().unwrap_or(0) & 0x18, 0];
        headed.extend([0; 12]);
        let length = bytes.len() as u32;
        headed.extend(if headed[2] & 16 != 0 { length.to_be_bytes() } else { length.to_le_bytes() });
        headed.extend(&bytes);
        converse(&headed);
    }
}
