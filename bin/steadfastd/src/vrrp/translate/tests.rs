//! From the text of a file to the kernel, without files and without a kernel.

use super::{plan, since_boot};
use std::time::Duration;
use steadfast_config::host::FakeHost;
use steadfast_config::source::Options;
use steadfast_core::kernel::Object;
use steadfast_core::{Mac, State, Time};
use steadfast_test_sim::pairs::{ends_alike, pair};
use steadfast_vrrp::{Config, Input, Link, Output, Router, ScriptEnd};

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

/// A running machine of a file, with the links eth0 and eth1 up.
struct Running {
    router: Router,
    statics: Vec<Object>,
    now: Time,
    out: Vec<Output>,
}

impl Running {
    fn new(text: &str) -> Running {
        let host = FakeHost { all_interfaces: true, all_scripts: true, ..FakeHost::default() };
        let outcome = steadfast_config::load_text(text, &Options::default(), &host);
        let (now, mut out) = (Time::from_millis(1000), Vec::new());
        let machine = plan(&outcome.config).take_machine();
        let statics = machine.statics.clone();
        let router = Router::new(machine, 1, now, &mut out);
        let mut running = Running { router, statics, now, out };
        running.link(2, true);
        running.link(3, true);
        running.router.poll(now, &mut running.out);
        running
    }

    fn input(&mut self, input: Input<'_>) {
        self.router.handle(self.now, input, &mut self.out);
    }

    /// eth0 has the number 2.
    fn link(&mut self, index: u32, up: bool) {
        let name = format!("eth{}", index - 2);
        let addresses = vec![format!("10.0.{index}.1/24").parse().expect("address")];
        self.input(Input::Link(Link { name, index, up, mtu: 1500, mac: Mac::default(), addresses, vrf: false }));
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.router.poll_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.router.poll(self.now, &mut self.out);
        }
        self.now = end;
    }

    /// Names of the instances that are in FAULT.
    fn faults(&self) -> Vec<&str> {
        self.router.views().filter(|v| v.state == State::Fault).map(|v| v.config.name.as_str()).collect()
    }
}

/// Instances A and B on eth0.
fn two(more: &str) -> String {
    let one = |name: &str, n: u8| {
        format!(
            "vrrp_instance {name} {{\n interface eth0\n virtual_router_id {n}\n virtual_ipaddress {{\n 10.0.2.{n}/24\n }}\n{more}}}\n"
        )
    };
    one("A", 51) + &one("B", 52)
}

/// What a group tracks counts for each member, each kind by its own block.
#[test]
fn a_group_s_trackers_are_those_of_its_members() {
    let defined = "vrrp_script S {\n script /bin/true\n}\ntrack_file F {\n file /f\n weight 0\n}\nvrrp_track_process P {\n process p\n}\n\
                   bfd_instance N {\n neighbor_ip 10.0.0.8\n}\n\
                   virtual_server 10.0.0.100 80 {\n protocol TCP\n real_server 10.0.0.7 80 {\n }\n}\n";
    // Of each: what it says while it is well, and when it is not.
    type Say = fn(&mut Running, bool);
    let kinds: [(&str, Say); 6] = [
        ("track_interface {\n eth1\n }", |r, well| r.link(3, well)),
        ("track_script {\n S\n }", |r, well| r.input(Input::ScriptEnded("S", ScriptEnd::Exited(i32::from(!well))))),
        ("track_file {\n F\n }", |r, well| r.input(Input::File("F", i64::from(!well)))),
        ("track_process {\n P\n }", |r, well| r.input(Input::Process("P", u32::from(well)))),
        ("track_virtual_server {\n 10.0.0.100 80\n }", |r, well| r.input(Input::Service("10.0.0.100 80", well))),
        ("track_bfd {\n N\n }", |r, well| r.input(Input::Session("N", well))),
    ];
    for (block, say) in kinds {
        let group = format!("vrrp_sync_group G {{\n group {{\n A\n B\n }}\n {block}\n}}\n");
        let mut r = Running::new(&(defined.to_string() + &two("") + &group));
        // A script's result is asked for each time.
        for (well, expected) in [(true, vec![]), (false, vec!["A", "B"]), (true, vec![])] {
            say(&mut r, well);
            assert_eq!(r.faults(), expected, "{block}");
            r.run(Duration::from_millis(1000));
        }
    }
}

/// Static objects concern the instances of their track group: by the loss of their link, or since the kernel does not take them. With
/// `no_track` they concern nobody.
#[test]
fn who_is_of_a_track_group_depends_on_its_static_objects() {
    for word in ["track_group G", "", "track_group G no_track"] {
        let statics = format!(
            "track_group G {{\n group {{\n A\n }}\n}}\nstatic_ipaddress {{\n 10.0.9.1/24 dev eth1 {word}\n}}\n\
             static_routes {{\n 10.0.10.0/24 via 10.0.2.9 {word}\n}}\nstatic_rules {{\n from 10.0.11.0/24 table 5 preference 9 {word}\n}}\n"
        );
        let expected = if word == "track_group G" { vec!["A"] } else { vec![] };
        let mut r = Running::new(&(statics + &two("")));
        assert_eq!(r.faults(), Vec::<&str>::new(), "{word}");
        r.link(3, false);
        assert_eq!(r.faults(), expected, "{word}: address");
        r.link(3, true);
        let statics = r.statics.clone();
        assert_eq!(statics.len(), 3);
        for object in statics.iter().filter(|o| !matches!(o, Object::Address(_))) {
            assert_eq!(r.faults(), Vec::<&str>::new(), "{word}");
            r.input(Input::ObjectRefused(object, "no"));
            assert_eq!(r.faults(), expected, "{object}");
            r.input(Input::ObjectAdded(object));
        }
    }
}

/// A master announces its addresses now and then of its own accord, unless the file speaks of that, wants few announcements, or both
/// masters of a contention have one MAC address.
#[test]
fn a_file_that_speaks_of_refreshes_is_obeyed() {
    for (globals, more, unasked, seconds) in [
        ("", "", true, 0),
        ("", "garp_master_refresh 0", false, 0),
        ("", "garp_master_refresh 7", false, 7),
        ("vrrp_garp_master_refresh 0", "", false, 0),
        ("vrrp_garp_master_refresh 9", "", false, 9),
        ("vrrp_min_garp", "", false, 0),
        ("", "use_vmac", false, 0),
        ("", "use_vmac\n vmac_xmit_base", true, 0),
    ] {
        let text = format!(
            "global_defs {{\n {globals}\n}}\nvrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n {more}\n \
             virtual_ipaddress {{\n 10.0.0.100/24\n }}\n}}\n"
        );
        let garp = machine(&text).instances.remove(0).garp.clone();
        assert_eq!((garp.unasked, garp.refresh.as_secs()), (unasked, seconds), "{globals} {more}");
    }
}
