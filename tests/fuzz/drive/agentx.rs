//! Any bytes as an AgentX packet, and as what a master says in an open session.

use steadfast_core::Time;
use steadfast_snmp::wire::{emit, parse};
use steadfast_snmp::{Input, Oid, Output, Session, Setting, View};

/// One input.
pub fn drive(bytes: &[u8]) {
    if let Ok(mut p) = parse(bytes) {
        p.context = false;
        assert_eq!(parse(&emit(&p)), Ok(p));
    }
    let mut view = View::default();
    let table: Oid = "1.3.6.1.4.1.9586.100.5.2.3.1".parse().expect("name");
    view.columns(&table, 2..=8);
    for n in 1..20 {
        let setting = Setting::Priority(n.to_string());
        view.row(&table, [n]).text(2, "name").settable(7, steadfast_snmp::wire::Value::Integer(100), setting);
    }
    let mut out = Vec::new();
    let mut session = Session::new("x", vec![(table, "x")], Time::ZERO);
    session.poll(Time::ZERO, &mut out);
    session.handle(Time::ZERO, Input::Connected, &mut out);
    let open = [&[1, 18, 16, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 8][..], &[0; 8]].concat();
    session.handle(Time::ZERO, Input::Bytes(&open), &mut out);
    for chunk in bytes.chunks(1500) {
        session.handle(Time::ZERO, Input::Bytes(chunk), &mut out);
        session.answer(&view, &mut out);
        let sent: usize = out.iter().map(|o| if let Output::Send(b) = o { b.len() } else { 0 }).sum();
        assert!(sent < 16 << 20);
        out.clear();
    }
}
