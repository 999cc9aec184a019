use super::socket::SUBSYSTEM;
use super::*;

/// A removal by somebody else, as `nft delete table ip keepalived` makes the kernel say it.
fn event(kind: u8, port: u32, table: &str) -> Vec<u8> {
    let mut name = table.as_bytes().to_vec();
    name.push(0);
    let attribute = (name.len() + 4) as u16;
    name.resize(name.len().div_ceil(4) * 4, 0);
    let mut bytes = Vec::new();
    bytes.extend(((20 + 4 + name.len()) as u32).to_ne_bytes());
    bytes.extend((SUBSYSTEM << 8 | u16::from(kind)).to_ne_bytes());
    bytes.extend([0; 6]);
    bytes.extend(port.to_ne_bytes());
    bytes.extend([2, 0, 0, 0]);
    bytes.extend(attribute.to_ne_bytes());
    bytes.extend(1u16.to_ne_bytes());
    bytes.extend(name);
    bytes
}

#[test]
fn only_removals_by_others_from_our_table_are_losses() {
    let mut failed = Vec::new();
    assert!(look(&event(2, 77, "keepalived"), 5, "keepalived", &mut failed));
    assert!(look(&event(14, 77, "keepalived"), 5, "keepalived", &mut failed));
    assert!(!look(&event(12, 77, "keepalived"), 5, "keepalived", &mut failed), "an addition");
    assert!(!look(&event(2, 5, "keepalived"), 5, "keepalived", &mut failed), "our own");
    assert!(!look(&event(2, 77, "keepalived2"), 5, "keepalived", &mut failed), "another table");
    let all = event(2, 77, "keepalived");
    for cut in 0..all.len() {
        assert!(!look(all.get(..cut).unwrap_or_default(), 5, "keepalived", &mut failed), "cut at {cut}");
    }
    assert!(failed.is_empty());
}

#[test]
fn the_first_of_two_ranges_has_what_both_want() {
    let one = |first: &str, last: &str, port, mark| Mark {
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
        protocol: steadfast_core::ipvs::Protocol::Tcp,
        port,
        mark,
    };
    let (all, lost) = disjoint(&[
        one("10.0.0.4", "10.0.0.6", 80, 1),
        one("10.0.0.8", "10.0.0.8", 80, 1),
        one("10.0.0.0", "10.0.0.255", 80, 2),
        one("10.0.0.5", "10.0.0.5", 81, 2),
        one("10.0.0.9", "10.0.0.9", 80, 2),
        one("255.255.255.255", "255.255.255.255", 0, 3),
        one("255.255.255.0", "255.255.255.255", 0, 3),
        one("ffff::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 80, 4),
        one("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 80, 5),
    ]);
    let show = |m: &Mark| format!("{}-{} {} {}", m.first, m.last, m.port, m.mark);
    let all: Vec<String> = all.iter().map(show).collect();
    assert_eq!(
        all,
        [
            "10.0.0.0-10.0.0.3 80 2",
            "10.0.0.4-10.0.0.6 80 1",
            "10.0.0.5-10.0.0.5 81 2",
            "10.0.0.7-10.0.0.7 80 2",
            "10.0.0.8-10.0.0.8 80 1",
            "10.0.0.9-10.0.0.255 80 2",
            "255.255.255.0-255.255.255.254 0 3",
            "255.255.255.255-255.255.255.255 0 3",
            "::-fffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 80 5",
            "ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 80 4",
        ]
    );
    let lost: Vec<String> = lost.iter().map(show).collect();
    assert_eq!(lost[..2], ["10.0.0.4-10.0.0.6 80 2", "10.0.0.8-10.0.0.8 80 2"]);
}
