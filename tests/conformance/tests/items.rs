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

/// Every function of the files of a folder.
fn functions(folder: &std::path::Path, found: &mut HashSet<String>) {
    for entry in std::fs::read_dir(folder).expect("folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            let names = text.lines().filter_map(|l| l.trim_start().strip_prefix("fn ")?.split(['(', '<']).next());
            found.extend(names.map(str::to_string));
        }
    }
}

/// What the document calls a test is one.
#[test]
fn the_tests_that_the_table_names_are_there() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut there = HashSet::new();
    for folder in ["crates/vrrp", "crates/bfd", "crates/config", "crates/snmp", "tests/cluster/tests"] {
        functions(&root.join(folder), &mut there);
    }
    there.extend(TESTED.iter().map(|item| item.to_lowercase().replace('-', "_")));
    there.insert("v3_18".into());
    let mut lacking = Vec::new();
    for line in include_str!("../../../docs/conformance.md").lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let Some(tests) = cells.get(2) else { continue };
        // Between backticks stand tests, files of tests, and fuzz targets.
        let names = tests.replace("fuzz target `", "`/");
        let named: Vec<&str> = names.split('`').skip(1).step_by(2).filter(|n| !n.contains('/')).collect();
        lacking.extend(named.iter().filter(|n| !there.contains(**n)).map(|n| format!("{}: {n}", cells[0])));
        // Whoever claims without a test says what else decides.
        let result = cells.get(3).copied().unwrap_or_default();
        if named.is_empty()
            && names == "–"
            && result == "met"
            && cells.get(4).is_none_or(|r| r.trim_matches([' ', '|']).is_empty())
        {
            lacking.push(format!("{}: met, without a test or a reason", cells[0]));
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

/// What is not met has its reason where the differences are listed.
#[test]
fn what_is_not_met_is_among_the_differences() {
    let differences = include_str!("../../../docs/differences.md");
    for line in include_str!("../../../docs/conformance.md").lines().filter(|l| l.starts_with("| ")) {
        let cells: Vec<&str> = line.split(" | ").map(|c| c.trim_matches(['|', ' '])).collect();
        let short = ["not met", "met in part", "deviation", "met but"]
            .iter()
            .any(|r| cells.get(3).is_some_and(|c| c.contains(r)));
        assert!(
            !short || differences.contains(&format!("({})", cells[0])),
            "{} is not in docs/differences.md",
            cells[0]
        );
    }
}

/// Virtual router MAC addresses (V3-18, V2-16).
#[test]
fn v3_18() {
    use steadfast_core::{Family, Mac};
    assert_eq!(Mac::virtual_router(Family::V4, 51).to_string(), "00:00:5e:00:01:33");
    assert_eq!(Mac::virtual_router(Family::V6, 51).to_string(), "00:00:5e:00:02:33");
}
