//! All of them in one program: it is linked once, and while one test waits, those of the next file run. What each file is about
//! stands at its head; `-- vmac::` runs those of one file.
#![forbid(unsafe_code)]

mod articles;
mod ask;
mod auth;
mod bfd;
mod bounds;
mod brothers;
mod changed;
mod checkers;
mod checks;
mod clients;
mod confined;
mod container;
mod contention;
mod cores;
mod dbus;
mod demo;
mod dumps;
mod effects;
mod explained;
mod failover;
mod frr;
mod given;
mod hang;
mod hostile;
mod ignored;
mod keywords;
mod lease;
mod leftovers;
mod links;
mod objects;
mod options;
mod pairs;
mod phrases;
mod processes;
mod reach;
mod reloads;
mod rfc;
mod routes;
mod snmp;
mod spelled;
mod stays;
mod syslog;
mod tls;
mod told;
mod tracking;
mod unnoticed;
mod unseen;
mod upgrade;
mod views;
mod vmac;
mod words;

#[test]
fn no_file_is_left_out() {
    let here = include_str!("all.rs");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for entry in folder.read_dir().expect("tests") {
        let path = entry.expect("entry").path();
        let name = path.file_stem().and_then(|n| n.to_str()).expect("name");
        if path.extension().is_some_and(|e| e == "rs") && name != "all" {
            assert!(here.contains(&format!("\nmod {name};\n")), "{name}.rs is not run");
        }
    }
}
