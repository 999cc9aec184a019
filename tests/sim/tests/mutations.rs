//! The list of tests/sim/mutants must fit the code that it breaks: a line that stands there no longer proves nothing.

use std::path::Path;

#[test]
fn every_mutation_can_be_applied() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let list = std::fs::read_to_string(root.join("tests/sim/mutations")).expect("tests/sim/mutations");
    let (mut names, mut wrong) = (Vec::new(), Vec::new());
    for line in list.lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let [name, file, from, to] = line.split(" @@ ").collect::<Vec<_>>()[..] else {
            wrong.push(format!("{line}: not name @@ file @@ from @@ to"));
            continue;
        };
        if names.contains(&name) {
            wrong.push(format!("{name}: there are two of this name"));
        }
        names.push(name);
        let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let stands = text.matches(&from.replace("\\n", "\n")).count();
        if stands != 1 {
            wrong.push(format!("{name}: its text stands {stands} times in {file}"));
        }
        if from == to {
            wrong.push(format!("{name}: changes nothing"));
        }
    }
    // Ten are what was promised.
    assert!(names.len() >= 10, "{} mutations", names.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
