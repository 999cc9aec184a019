//! The bodies of the fuzz targets, which are a workspace of their own: they compile, and their seeds are harmless, whole, cut and with
//! a bit turned over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[path = "../../../tests/fuzz/drive/agent.rs"]
mod agent;
#[cfg(feature = "snmp")]
#[path = "../../../tests/fuzz/drive/agentx.rs"]
mod agentx;
#[path = "../../../tests/fuzz/drive/auth.rs"]
mod auth;
#[path = "../../../tests/fuzz/drive/bfd.rs"]
mod bfd;
#[path = "../../../tests/fuzz/drive/config.rs"]
mod config;
#[path = "../../../tests/fuzz/drive/datagram.rs"]
mod datagram;
#[path = "../../../tests/fuzz/drive/dns.rs"]
mod dns;
#[path = "../../../tests/fuzz/drive/http.rs"]
mod http;
#[path = "../../../tests/fuzz/drive/http2.rs"]
mod http2;
#[path = "../../../tests/fuzz/drive/ipc.rs"]
mod ipc;
#[path = "../../../tests/fuzz/drive/ipvs.rs"]
mod ipvs;
#[path = "../../../tests/fuzz/drive/mail.rs"]
mod mail;
#[path = "../../../tests/fuzz/drive/netlink.rs"]
mod netlink;
#[path = "../../../tests/fuzz/drive/packet.rs"]
mod packet;
#[path = "../../../tests/fuzz/drive/records.rs"]
mod records;
#[path = "../../../tests/fuzz/drive/smtp.rs"]
mod smtp;

type Drive = fn(&[u8]);

const TARGETS: &[(&str, Drive)] = &[
    ("agent", agent::drive),
    #[cfg(feature = "snmp")]
    ("agentx", agentx::drive),
    ("auth", |bytes| {
        auth::drive(bytes);
    }),
    ("bfd", bfd::drive),
    ("config", config::drive),
    ("datagram", datagram::drive),
    ("dns", dns::drive),
    ("http", http::drive),
    ("http2", http2::drive),
    ("ipc", ipc::drive),
    ("ipvs", ipvs::drive),
    ("mail", mail::drive),
    ("netlink", netlink::drive),
    ("packet", packet::drive),
    ("records", records::drive),
    ("smtp", smtp::drive),
];

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz")
}

fn names(folder: &str, strip: &str) -> BTreeSet<String> {
    let all = std::fs::read_dir(fuzz().join(folder)).expect("folder").flatten();
    all.map(|e| e.file_name().to_string_lossy().trim_end_matches(strip).to_string()).collect()
}

#[test]
fn every_target_is_played_here_and_has_seeds() {
    let here: BTreeSet<String> = TARGETS.iter().map(|(name, _)| name.to_string()).collect();
    let there = |folder, strip| {
        let mut all = names(folder, strip);
        all.retain(|name| cfg!(feature = "snmp") || name != "agentx");
        all
    };
    assert_eq!(there("fuzz_targets", ".rs"), here);
    assert_eq!(there("drive", ".rs"), here);
    assert_eq!(there("seeds", ""), here);
    // What is compiled by the fuzzer alone is a line of each.
    let manifest = std::fs::read_to_string(fuzz().join("Cargo.toml")).expect("manifest");
    for name in &here {
        let target = std::fs::read_to_string(fuzz().join("fuzz_targets").join(format!("{name}.rs"))).expect("target");
        let lines: Vec<&str> = target.lines().filter(|l| !l.starts_with("//!") && !l.is_empty()).collect();
        let path = format!("#[path = \"../drive/{name}.rs\"]");
        let wanted = [
            "#![no_main]",
            "use libfuzzer_sys::fuzz_target;",
            &path,
            &format!("mod {name};"),
            "fuzz_target!(|bytes: &[u8]| {",
            &format!("    {name}::drive(bytes);"),
            "});",
        ];
        assert_eq!(lines, wanted, "{name}");
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} is not in the manifest");
    }
}

#[test]
fn seeds_are_harmless_however_they_are_damaged() {
    for (name, drive) in TARGETS {
        for entry in std::fs::read_dir(fuzz().join("seeds").join(name)).expect("seeds").flatten() {
            let bytes = std::fs::read(entry.path()).expect("seed");
            drive(&bytes);
            // At 40 places of each, so that long ones take no longer.
            let mut step = (0..bytes.len()).step_by((bytes.len() / 40).max(1));
            for at in step.by_ref() {
                drive(bytes.get(..at).unwrap_or_default());
                let mut other = bytes.clone();
                if let Some(byte) = other.get_mut(at) {
                    *byte ^= 0x41;
                }
                drive(&other);
            }
        }
    }
}
