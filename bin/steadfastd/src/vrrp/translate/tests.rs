//! From the text of a file to the kernel, without files and without a kernel.

use super::{plan, since_boot};
use std::time::Duration;
use steadfast_config::host::FakeHost;
use steadfast_config::source::Options;
use steadfast_test_sim::pairs::{ends_alike, pair};
use steadfast_vrrp::Config;

fn machine(text: &str) -> Config {
    let host = FakeHost { all_interfaces: true, ..FakeHost::default() };
    let outcome = steadfast_config::load_text(text, &Options::default(), &host);
    let reports = steadfast_config::diag::render_compat(&outcome.diagnostics, &outcome.files);
    assert!(reports.is_empty(), "{reports}\n{text}");
    plan(&outcome.config).take_machine()
}

/// Of two hundred pairs of files: a start with A and a reload with B end in the kernel state of a start with B.
#[test]
fn a_reload_of_any_file_ends_where_a_start_would() {
    for seed in 0..200 {
        let (a, b) = pair(seed);
        if let Err(what) = ends_alike(&machine(&a), &machine(&b)) {
            panic!("seed {seed}\n{a}\n=== then\n{b}\n=== ends with\n{what}");
        }
    }
}

/// `vrrp_delay_after_boot`: the time that the system has been up counts.
#[test]
fn who_starts_late_waits_less() {
    let left = |wanted: Option<u64>, up| since_boot(wanted.map(Duration::from_secs), Duration::from_secs(up)).as_secs();
    assert_eq!([left(Some(60), 10), left(Some(60), 60), left(Some(60), 70), left(None, 10)], [50, 0, 0, 0]);
}

/// `global_tracking`: what one member tracks all of them do, their own weights first; and a file of many members is read in no time.
#[test]
fn members_of_a_group_of_old_track_what_the_others_do() {
    let many = 2000;
    let member = |n: usize| {
        let tracked = match n {
            0 => "one weight 5",
            1 => "one weight 7\n two",
            _ => "",
        };
        format!(
            "vrrp_instance V{n} {{\n interface eth{}\n virtual_router_id {}\n track_interface {{\n {tracked}\n }}\n virtual_ipaddress {{\n \
             10.0.{}.{}\n }}\n}}\n",
            n / 200,
            n % 200 + 1,
            n / 200,
            n % 200 + 1
        )
    };
    let names: String = (0..many).map(|n| format!(" V{n}\n")).collect();
    let members: String = (0..many).map(member).collect();
    let text = format!("{members}vrrp_sync_group G {{\n group {{\n{names} }}\n global_tracking\n}}\n");
    let host = FakeHost { all_interfaces: true, ..FakeHost::default() };
    let outcome = steadfast_config::load_text(text, &Options::default(), &host);
    let begun = std::time::Instant::now();
    let machine = plan(&outcome.config).take_machine();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let tracks = |n: usize| machine.instances[n].tracks.iter().map(|t| t.weight).collect::<Vec<_>>();
    assert_eq!([tracks(0), tracks(1), tracks(2), tracks(many - 1)], [vec![5, 0], vec![7, 0], vec![5, 0], vec![5, 0]]);
}

/// Unicast without an interface goes by its VRF: it is in FAULT while that is absent or a link of another kind.
#[test]
fn a_vrf_is_tracked_as_such_also_where_it_stands_for_the_interface() {
    let c = machine(
        "vrrp_instance V {\n vrf red\n virtual_router_id 7\n unicast_src_ip 192.0.2.1\n unicast_peer {\n 192.0.2.2\n }\n virtual_ipaddress {\n 192.0.2.9\n }\n}\n",
    );
    let tracked: Vec<_> = c.instances[0].tracks.iter().map(|t| &t.what).collect();
    assert_eq!(tracked, [&steadfast_vrrp::Tracked::Vrf("red".into())]);
}
