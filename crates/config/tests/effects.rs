//! Words whose effect is what is taken of the rest of the file, and what is said of it.

mod common;

use common::read;
use steadfast_config::diag::Class;
use steadfast_config::host::FakeHost;
use steadfast_config::load_text;
use steadfast_config::source::Options;

#[test]
fn links_may_be_absent_where_they_are_dynamic() {
    let host = FakeHost { interfaces: vec!["eth1".into()], ..Default::default() };
    for (word, reported) in [("", true), ("dynamic_interfaces", false), ("dynamic_interfaces allow_if_changes", false)]
    {
        let read = |rest: &str| load_text(format!("global_defs {{\n {word}\n}}\n{rest}"), &Options::default(), &host);
        let lines = "virtual_router_id 51\n virtual_ipaddress {\n 192.0.2.9\n }\n";
        for rest in [
            format!("vrrp_instance VI {{\n interface absent0\n {lines}}}\n"),
            format!("vrrp_instance VI {{\n interface eth1\n {lines} track_interface {{\n absent0\n }}\n}}\n"),
            format!(
                "vrrp_instance VI {{\n interface eth1\n {lines}}}\nvrrp_sync_group G {{\n group {{\n VI\n }}\n \
                 track_interface {{\n absent0\n }}\n}}\n"
            ),
        ] {
            let outcome = read(&rest);
            let mut said = outcome.diagnostics.iter().filter(|d| d.message.contains("absent0 does not exist now"));
            let said = said.any(|d| d.class != Class::Note);
            assert_eq!((said, outcome.config.instances.len()), (reported, 1), "{word} {rest}");
        }
        // An instance that waits in FAULT meanwhile is told of all the same.
        let outcome = read(&format!("vrrp_instance VI {{\n interface absent0\n {lines}}}\n"));
        let words = "(VI) interface absent0 does not exist now, the instance waits for it";
        assert!(outcome.diagnostics.iter().any(|d| d.message == words), "{word}");
        let there = read(&format!("vrrp_instance VI {{\n interface eth1\n {lines}}}\n"));
        let same = outcome.diagnostics.exit_status() == there.diagnostics.exit_status();
        assert_eq!(same, !reported, "{word}");
        // eth0, which a static address is on where no other is named.
        let outcome = read("static_ipaddress {\n 192.0.2.7/24\n}\n");
        assert_eq!(outcome.diagnostics.counted() > 0, reported, "{word}");
    }
}

/// `vrrp`, `checker`: one that is for others is as good as not there.
#[test]
fn a_session_is_for_those_whom_it_names() {
    for (words, tracked, checked) in
        [("", true, true), ("vrrp", true, false), ("checker", false, true), ("vrrp\n checker", true, true)]
    {
        let outcome = read(&format!(
            "bfd_instance N {{\n neighbor_ip 192.0.2.8\n {words}\n}}\n\
             virtual_server 192.0.2.100 80 {{\n protocol TCP\n real_server 192.0.2.7 80 {{\n BFD_CHECK {{\n name N\n }}\n }}\n}}\n\
             vrrp_instance VI {{\n interface eth0\n virtual_router_id 51\n virtual_ipaddress {{\n 192.0.2.9\n }}\n \
             track_bfd {{\n N\n }}\n}}\n"
        ));
        let c = &outcome.config;
        let left = (c.instances[0].track_bfd.len(), c.virtual_servers[0].real_servers[0].checkers.len());
        assert_eq!(left, (usize::from(tracked), usize::from(checked)), "{words}");
    }
}
