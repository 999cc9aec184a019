//! Reports as people see them. To take over new ones after looking at them: UPDATE_REPORTS=1 cargo test -p steadfast-config --test reports

use std::path::Path;
use steadfast_config::diag::{Class, render};
use steadfast_config::host::FakeHost;
use steadfast_config::source::{FsReader, Options};
use steadfast_config::{load, load_text};

#[test]
fn reports_of_faulty_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reports");
    let host = FakeHost { interfaces: vec!["eth0".into()], ..Default::default() };
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("folder").flatten().map(|e| e.path()).collect();
    files.retain(|p| p.extension().is_some_and(|e| e == "conf"));
    files.sort();
    assert!(files.len() >= 3);
    for path in files {
        let options = Options { config_id: "me".into(), ..Default::default() };
        let outcome = load(&path, &FsReader, &options, &host);
        let nowhere = ["script security"];
        for d in outcome.diagnostics.iter() {
            let placed = d.span.is_some_and(|s| s.line > 0 && s.column > 0);
            assert!(
                placed || nowhere.iter().any(|w| d.message.contains(w)),
                "{}: no place: {}",
                path.display(),
                d.message
            );
        }
        assert!(outcome.diagnostics.iter().any(|d| d.class > Class::Unsupported));
        let shown = render(&outcome.diagnostics, &outcome.files, false);
        let shown = shown.replace(&format!("{}/", folder.display()), "");
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_REPORTS").is_some() {
            std::fs::write(&expected, &shown).expect("write");
        }
        let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(shown, wanted, "{}", path.display());
    }
}

#[test]
fn a_word_that_stands_outside_of_blocks_is_said_to_and_a_namespace_that_is_absent() {
    let helps = |text: &str| {
        let all = load_text(text, &Options::default(), &FakeHost::default()).diagnostics;
        all.iter().map(|d| (d.class, d.help.clone().unwrap_or_default())).collect::<Vec<_>>()
    };
    let said = helps("global_defs {\n use_pid_dir\n}\n");
    assert_eq!(said, [(Class::UnknownKeyword, "`use_pid_dir` stands outside of blocks".to_string())]);
    let said = helps("global_defs {\n static_ipaddress {\n }\n");
    assert!(said[0].1.ends_with("is a `}` missing above?"), "{said:?}");

    let host = FakeHost { absent_namespaces: vec!["gone".into()], ..Default::default() };
    let read = |text: &str| load_text(text, &Options::default(), &host).diagnostics;
    let note = "network namespace gone does not exist now";
    let d = read("net_namespace gone\n");
    assert!(d.iter().any(|d| d.message == note && d.class == Class::Note) && d.exit_status() == 0);
    assert!(!read("net_namespace there\n").iter().any(|d| d.message.contains("namespace")));
}

#[test]
fn a_granularity_that_half_a_group_does_not_have_is_said() {
    let said = |granularity: &str, marks: &str| {
        let text = format!(
            "virtual_server_group G {{\n{marks}\n}}\nvirtual_server group G {{\n lvs_sched rr\n lvs_method TUN\n protocol TCP\n \
             persistence_timeout 50\n persistence_granularity {granularity}\n real_server 192.0.2.1 80 {{\n }}\n}}\n"
        );
        let all = load_text(text, &Options::default(), &FakeHost::default()).diagnostics;
        let notes = all.iter().filter(|d| d.message.contains("take whole addresses") && d.class == Class::Note);
        notes.map(|d| d.message.contains("of IPv4 take")).collect::<Vec<_>>()
    };
    assert_eq!(said("64", " fwmark 1 inet\n fwmark 2 inet6"), [true]);
    assert_eq!(said("255.255.255.0", " fwmark 1 inet\n fwmark 2 inet6"), [false]);
    assert_eq!(said("64", " fwmark 2 inet6"), [false; 0]);
    assert_eq!(said("255.255.255.0", " fwmark 1 inet"), [false; 0]);
}

#[test]
fn a_value_that_is_near_a_known_one_is_suggested() {
    let host = FakeHost { interfaces: vec!["eth0".into(), "bond7".into()], ..Default::default() };
    let instance = |words: &str, address: &str, link: &str| {
        let text = format!(
            "vrrp_instance A {{\n interface {link}\n virtual_router_id 5\n {words}\n virtual_ipaddress {{\n {address}\n }}\n}}\n"
        );
        let all = load_text(text, &Options::default(), &host).diagnostics;
        all.iter().filter_map(|d| d.help.clone()).collect::<Vec<_>>()
    };
    for (words, address, link, meant) in [
        ("authentication {\n auth_type PAS\n auth_pass x\n }", "10.0.0.1", "eth0", "PASS"),
        ("state MASTR", "10.0.0.1", "eth0", "MASTER"),
        ("", "10.0.0.1 scope lnik", "eth0", "link"),
        ("", "10.0.0.1 dev eht0", "eth0", "eth0"),
        ("virtual_routes {\n 10.1.0.0/24 dev bnod7\n }", "10.0.0.1", "eth0", "bond7"),
        ("track_interface {\n bond\n }", "10.0.0.1", "eth0", "bond7"),
        ("", "10.0.0.1", "eht0", "eth0"),
        ("notify /bin/true rooot", "10.0.0.1", "eth0", "root"),
    ] {
        let helps = instance(words, address, link);
        assert!(helps.contains(&format!("did you mean `{meant}`?")), "{words} {address} {link}: {helps:?}");
    }
    let globals = load_text("global_defs {\n script_user rooot\n}\n", &Options::default(), &host).diagnostics;
    assert!(globals.iter().any(|d| d.help.as_deref() == Some("did you mean `root`?")));
    assert!(
        instance("state OTHER", "10.0.0.1 scope wide dev wlan0", "eth0").iter().all(|h| !h.contains("did you mean"))
    );
}

#[test]
fn addresses_that_no_advert_holds_and_names_that_a_foreign_link_has_are_named() {
    let instance = |more: &str, addresses: String| {
        format!(
            "vrrp_instance V {{\n interface eth0\n virtual_router_id 5\n version 3\n{more} virtual_ipaddress {{\n{addresses} }}\n}}\n"
        )
    };
    let six = |n: u16| (1..=n).map(|i| format!("  fe80::{i:x}/64\n")).collect::<String>();
    let four = |n: u16| (0..n).map(|i| format!("  10.8.{}.{}/24\n", i / 200, i % 200 + 1)).collect::<String>();
    let said = |text: String, mtu: usize| {
        let host = FakeHost {
            all_interfaces: true,
            mtu: Some(mtu),
            foreign_links: vec!["vrrp.5".into(), "mine".into()],
            ..Default::default()
        };
        let outcome = load_text(&text, &Options::default(), &host);
        let all: Vec<String> = outcome.diagnostics.iter().map(|d| d.message.clone()).collect();
        let link = outcome.config.instances[0].use_vmac.as_ref().and_then(|v| v.name.clone());
        (all.join("\n"), outcome.diagnostics.exit_status(), link)
    };
    for (addresses, mtu, fits) in
        [(six(91), 1500, Some(90)), (six(90), 1500, None), (six(91), 9000, None), (four(250), 576, Some(135))]
    {
        let (text, status, _) = said(instance("", addresses), mtu);
        match fits {
            Some(n) => assert!(text.contains(&format!("only {n} of ")) && status == 5, "{text}"),
            None => assert!(!text.contains("fit into") && status == 0, "{text}"),
        }
    }
    // Without a word the next name is taken; one that was wished for is spoken of.
    let (text, status, link) = said(instance(" use_vmac\n", four(1)), 1500);
    assert_eq!((text.as_str(), status, link.as_deref()), ("", 0, Some("vrrp1.5")));
    let (text, status, link) = said(instance(" use_vmac mine\n", four(1)), 1500);
    assert!(text.contains("the name mine of its virtual link is in use by a link that is no virtual one"), "{text}");
    assert_eq!((status, link.as_deref()), (5, Some("vrrp1.5")));
}
