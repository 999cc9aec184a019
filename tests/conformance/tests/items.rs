//! One test for each item of docs/conformance.md that the machine can show.

use std::collections::HashSet;
use steadfast_test_conformance::{items, run};

macro_rules! conformance {
    ($($name:ident $item:literal)*) => {
        $(#[test] fn $name() { run($item); })*
        const TESTED: &[&str] = &[$($item),*];
    };
}

conformance! {
    v3_01 "V3-01" v3_02 "V3-02" v3_03 "V3-03" v3_04 "V3-04" v3_07 "V3-07" v3_08 "V3-08" v3_09 "V3-09"
    v3_11 "V3-11" v3_12 "V3-12" v3_13 "V3-13" v3_14 "V3-14" v3_15 "V3-15"
    v3_20 "V3-20" v3_21 "V3-21" v3_22 "V3-22" v3_23 "V3-23" v3_24 "V3-24" v3_25 "V3-25" v3_26 "V3-26"
    v3_27 "V3-27" v3_28 "V3-28" v3_29 "V3-29" v3_30 "V3-30" v3_31 "V3-31" v3_32 "V3-32" v3_33 "V3-33"
    v3_34 "V3-34" v3_35 "V3-35" v3_36 "V3-36" v3_37 "V3-37" v3_43 "V3-43" v3_44 "V3-44" v3_45 "V3-45"
    v3_46 "V3-46" v3_47 "V3-47" v3_48 "V3-48" v3_55 "V3-55" v3_56 "V3-56" v3_57 "V3-57" v3_58 "V3-58"
    v3_59 "V3-59" v3_60 "V3-60" v3_61 "V3-61" v3_65 "V3-65" v3_66 "V3-66" v3_72 "V3-72"
    v3_73 "V3-73"
    v2_01 "V2-01" v2_02 "V2-02" v2_03 "V2-03" v2_04 "V2-04" v2_05 "V2-05" v2_06 "V2-06" v2_08 "V2-08"
    v2_09 "V2-09" v2_10 "V2-10" v2_11 "V2-11" v2_13 "V2-13" v2_14 "V2-14" v2_15 "V2-15"
}

/// Every scenario is tested, and none twice.
#[test]
fn no_scenario_is_left_out() {
    let all = items();
    let unique: HashSet<&str> = all.iter().copied().collect();
    assert_eq!(all.len(), unique.len());
    assert_eq!(unique, TESTED.iter().copied().collect());
}

/// The document names every test.
#[test]
fn the_table_names_every_item() {
    let table = include_str!("../../../docs/conformance.md");
    for item in TESTED {
        let row = table.lines().find(|l| l.starts_with(&format!("| {item} |"))).unwrap_or_else(|| panic!("{item}"));
        let name = item.to_lowercase().replace('-', "_");
        assert!(row.contains(&format!("`{name}`")), "{row}");
    }
}

/// Virtual router MAC addresses (V3-18, V2-16).
#[test]
fn v3_18() {
    use steadfast_core::{Family, Mac};
    assert_eq!(Mac::virtual_router(Family::V4, 51).to_string(), "00:00:5e:00:01:33");
    assert_eq!(Mac::virtual_router(Family::V6, 51).to_string(), "00:00:5e:00:02:33");
}
