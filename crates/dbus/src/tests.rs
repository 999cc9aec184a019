use super::*;
use steadfast_core::{Family, State};

fn router(name: &str, interface: &str, vrid: u8, family: Family) -> Router {
    Router { name: name.into(), interface: interface.into(), vrid, family, notify_deleted: false }
}

fn said(signals: &[Signal]) -> Vec<String> {
    let word = |s: &Signal| {
        let path = s.path.strip_prefix(ROOT).unwrap_or("not ours");
        format!("{path} {} {:?}", s.member, s.body)
    };
    signals.iter().map(word).collect()
}

/// One master, one of which nothing is known.
fn tree() -> Tree {
    let mut tree = Tree::new(None, None);
    let routers = [router("VI_1", "eth0", 51, Family::V4), router("VI_6", "eth0.7", 52, Family::V6)];
    assert_eq!(tree.replace(&routers), Replaced::default());
    assert_eq!(tree.set("VI_1", Status::In(State::Master)).len(), 2);
    tree
}

fn call(path: &str, interface: &str, member: &str, strings: &[&str]) -> Answer {
    let strings: Vec<String> = strings.iter().map(ToString::to_string).collect();
    let signature = if member == "Set" { "ssv".into() } else { "s".repeat(strings.len()) };
    let path = format!("{ROOT}{path}");
    let interface = Some(interface).filter(|i| !i.is_empty());
    tree().answer(&Call { path: &path, interface, member, signature: &signature, strings: &strings })
}

fn error(answer: Answer) -> (&'static str, String) {
    if let Answer::Error(name, text) = answer { (name, text) } else { panic!("{answer:?}") }
}

const VI_1: &str = "/Instance/eth0/51/IPv4";

#[test]
fn paths_are_keepalived_s() {
    let path = |namespace, instance| {
        let tree = Tree::new(namespace, instance);
        (tree.vrrp(), tree.path(&router("X", "vx-0.1", 7, Family::V6)))
    };
    let both = |base: &str| (format!("{base}/Vrrp"), format!("{base}/Instance/vx_0_1/7/IPv6"));
    assert_eq!(path(None, None), both("/org/keepalived/Vrrp1"));
    assert_eq!(path(Some("ns"), None), both("/org/keepalived/Vrrp1/ns"));
    assert_eq!(path(Some("ns"), Some("inst_1")), both("/org/keepalived/Vrrp1/ns/inst_1"));
    // keepalived makes a path that is none of these.
    assert_eq!(path(None, Some("a-ü/b")), both("/org/keepalived/Vrrp1/a___b"));
}

#[test]
fn states_are_keepalived_s_numbers_and_words() {
    let all = [State::Init, State::Backup, State::Master, State::Fault].map(Status::In);
    let all = all.into_iter().chain([Status::Deleted, Status::Stopped]).map(|s| (s.number(), s.word()));
    let want = [(0, "Init"), (1, "Backup"), (2, "Master"), (3, "Fault"), (97, "Deleted"), (98, "Stop")];
    assert_eq!(all.collect::<Vec<_>>(), want);
}

#[test]
fn whoever_reaches_the_bus_says_how_everything_is() {
    assert_eq!(
        said(&tree().begun()),
        ["/Vrrp VrrpStarted Nothing", "/Instance/eth0/51/IPv4 VrrpStatusChange Number(2)"]
    );
}

#[test]
fn a_state_is_told_once() {
    let mut tree = tree();
    assert_eq!(tree.set("VI_1", Status::In(State::Master)), []);
    assert_eq!(tree.set("nobody", Status::In(State::Master)), []);
    assert_eq!(
        said(&tree.set("VI_1", Status::In(State::Backup))),
        [
            "/Instance/eth0/51/IPv4 VrrpStatusChange Number(1)",
            "/Instance/eth0/51/IPv4 PropertiesChanged State(In(Backup))"
        ]
    );
    assert_eq!(tree.set("VI_1", Status::In(State::Backup)), []);
}

#[test]
fn a_reload_tells_of_what_came_and_went() {
    let mut tree = tree();
    let mut deleted = router("D", "eth0", 53, Family::V4);
    deleted.notify_deleted = true;
    let routers = [router("VI_1", "eth0", 51, Family::V4), deleted];
    // News of it comes before the configuration.
    assert_eq!(tree.set("D", Status::In(State::Master)), []);
    let done = tree.replace(&routers);
    assert_eq!(said(&done.gone)[0], "/Instance/eth0_7/52/IPv6 VrrpStatusChange Number(3)");
    assert_eq!(said(&done.new)[0], "/Instance/eth0/53/IPv4 VrrpStatusChange Number(2)");
    assert_eq!((done.gone.len(), done.new.len()), (2, 2));
    // Another name at the same path is another instance.
    let done = tree.replace(&[router("NEW", "eth0", 51, Family::V4)]);
    let gone: Vec<String> = said(&done.gone).into_iter().filter(|s| s.contains("Vrrp")).collect();
    assert_eq!(
        gone,
        ["/Instance/eth0/51/IPv4 VrrpStatusChange Number(3)", "/Instance/eth0/53/IPv4 VrrpStatusChange Number(97)"]
    );
    assert_eq!(done.new, []);
    // The last words of one that is gone are not the first of one that comes back.
    assert_eq!(tree.set("VI_1", Status::In(State::Fault)), []);
    let done = tree.replace(&[router("VI_1", "eth0", 51, Family::V4)]);
    assert_eq!((done.gone.len(), done.new), (2, Vec::new()));
    assert_eq!(
        said(&tree.set("VI_1", Status::In(State::Backup)))[0],
        "/Instance/eth0/51/IPv4 VrrpStatusChange Number(1)"
    );
}

#[test]
fn of_two_with_one_path_the_second_is_not_shown() {
    let mut tree = Tree::new(None, None);
    let routers = [router("A", "a.b", 1, Family::V4), router("B", "a-b", 1, Family::V4)];
    assert_eq!(tree.replace(&routers).hidden, ["B"]);
    assert_eq!(tree.set("B", Status::In(State::Master)), []);
}

#[test]
fn properties() {
    let get = |path, interface, name| call(path, PROPERTIES, "Get", &[interface, name]);
    assert_eq!(get(VI_1, INSTANCE, "Name"), Answer::Value(Value::Name("VI_1".into())));
    assert_eq!(get(VI_1, INSTANCE, "State"), Answer::Value(Value::State(Status::In(State::Master))));
    let unknown = get("/Instance/eth0_7/52/IPv6", INSTANCE, "State");
    assert_eq!(unknown, Answer::Value(Value::State(Status::In(State::Init))));
    let all = call(VI_1, PROPERTIES, "GetAll", &[INSTANCE]);
    let Answer::All(all) = all else { panic!("{all:?}") };
    assert_eq!(all.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["Name", "State"]);
    assert_eq!(call("/Vrrp", PROPERTIES, "GetAll", &[VRRP]), Answer::All(Vec::new()));
    assert_eq!(call(VI_1, PROPERTIES, "GetAll", &[PEER]), Answer::All(Vec::new()));
}

/// The errors and their words are those that keepalived was seen to give.
#[test]
fn what_is_not_there_is_said_in_the_bus_s_words() {
    let seen = [
        (call(VI_1, INSTANCE, "Nope", &[]), "UnknownMethod", "No such method “Nope”"),
        (
            call("/nope", INSTANCE, "SendGarp", &[]),
            "UnknownMethod",
            "Object does not exist at path “/org/keepalived/Vrrp1/nope”",
        ),
        (
            call("/Instance", PROPERTIES, "GetAll", &[VRRP]),
            "UnknownMethod",
            "Object does not exist at path “/org/keepalived/Vrrp1/Instance”",
        ),
        (
            call(VI_1, VRRP, "PrintData", &[]),
            "UnknownMethod",
            "No such interface “org.keepalived.Vrrp1.Vrrp” on object at path /org/keepalived/Vrrp1/Instance/eth0/51/IPv4",
        ),
        (
            call("/Vrrp", VRRP, "PrintData", &["a"]),
            "InvalidArgs",
            "Type of message, “(s)”, does not match expected type “()”",
        ),
        (call("/Vrrp", PROPERTIES, "Get", &[VRRP, "x"]), "InvalidArgs", "No such property “x”"),
        (call(VI_1, PROPERTIES, "Get", &[INSTANCE, "x"]), "InvalidArgs", "No such property “x”"),
        (call(VI_1, PROPERTIES, "Set", &[INSTANCE, "Name"]), "InvalidArgs", "Property “Name” is not writable"),
        (call(VI_1, PROPERTIES, "GetAll", &["no.such"]), "InvalidArgs", "No such interface “no.such”"),
        (call(VI_1, PROPERTIES, "Get", &["", "Name"]), "InvalidArgs", "No such interface “”"),
    ];
    for (answer, name, text) in seen {
        assert_eq!(error(answer), (name, text.to_string()));
    }
}

#[test]
fn methods() {
    for (member, wish) in [
        ("PrintData", Wish::PrintData),
        ("PrintStats", Wish::PrintStats),
        ("PrintStatsClear", Wish::PrintStatsClear),
        ("ReloadConfig", Wish::Reload),
    ] {
        assert_eq!(call("/Vrrp", VRRP, member, &[]), Answer::Done(wish.clone()));
        // The interface may be left out.
        assert_eq!(call("/Vrrp", "", member, &[]), Answer::Done(wish));
    }
    assert_eq!(call(VI_1, INSTANCE, "SendGarp", &[]), Answer::Done(Wish::Announce("VI_1".into())));
    assert_eq!(call("/nope", PEER, "Ping", &[]), Answer::Empty);
    assert_eq!(call(VI_1, PEER, "GetMachineId", &[]), Answer::MachineId);
    assert_eq!(error(call("/Vrrp", VRRP, "DestroyInstance", &["VI_1"])).0, "NotSupported");
}

#[test]
fn introspection_leads_from_the_root_to_every_object() {
    let tree = tree();
    let text = |path: &str| {
        let call = Call { path, interface: Some(INTROSPECTABLE), member: "Introspect", signature: "", strings: &[] };
        let answer = tree.answer(&call);
        if let Answer::Text(text) = answer { text } else { panic!("{answer:?}") }
    };
    let mut objects = Vec::new();
    let mut waiting = vec!["/".to_string()];
    while let Some(path) = waiting.pop() {
        let text = text(&path);
        assert_eq!(text.matches("<node").count(), 1 + text.matches("<node name").count());
        if text.contains("org.keepalived") {
            objects.push(path.clone());
        }
        let names = text.split("<node name=\"").skip(1).filter_map(|rest| rest.split('"').next());
        waiting.extend(names.map(|name| format!("{}/{name}", path.trim_end_matches('/'))));
    }
    objects.sort();
    let want = ["/Instance/eth0/51/IPv4", "/Instance/eth0_7/52/IPv6", "/Vrrp"].map(|p| format!("{ROOT}{p}"));
    assert_eq!(objects, want);
    // An element that is the beginning of another one is not it.
    assert!(!text("/org/keepalived/Vrrp").contains("<node name"));
}

/// What is shipped for the tools of the bus is what the objects say.
#[test]
fn the_shipped_files_are_these_interfaces() {
    for (name, shipped) in [
        (INSTANCE, include_str!("../../../packaging/dbus/org.keepalived.Vrrp1.Instance.xml")),
        (VRRP, include_str!("../../../packaging/dbus/org.keepalived.Vrrp1.Vrrp.xml")),
    ] {
        let body = |text: &str| {
            let from = text.find(&format!("<interface name=\"{name}\">")).expect("interface");
            let to = text[from..].find("</interface>").expect("end") + from;
            text[from..to].split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let own = xml::introspect(&tree(), &format!("{ROOT}{}", if name == VRRP { "/Vrrp" } else { VI_1 }), Some(name));
        assert_eq!(body(shipped), body(&own));
    }
}

proptest::proptest! {
    /// The bus lets any words through that are words of D-Bus.
    #[test]
    fn whatever_is_asked_is_answered(
        path in "(/[A-Za-z0-9_]{0,8}){1,4}|/org/keepalived/Vrrp1/(Vrrp|Instance/eth0/51/IPv4)",
        interface in proptest::option::of("(org.freedesktop.DBus.|org.keepalived.Vrrp1.)?[A-Z][a-z]{0,11}"),
        member in "Get(All)?|Set|Introspect|Ping|SendGarp|PrintData|[A-Za-z_]{1,12}",
        signature in "s{0,3}v?|u|",
        strings in proptest::collection::vec("(org.keepalived.Vrrp1.Instance|Name|State|.{0,8})", 0..3),
    ) {
        let interface = interface.as_deref();
        let answer = tree().answer(&Call { path: &path, interface, member: &member, signature: &signature, strings: &strings });
        if let Answer::Error(name, _) = &answer {
            proptest::prop_assert!(["UnknownMethod", "InvalidArgs", "NotSupported"].contains(name));
        }
    }
}
