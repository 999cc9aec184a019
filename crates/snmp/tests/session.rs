//! The dialogue with a master, with packets as Debian's snmpd 5.9.3 and keepalived 2.2.7 exchange them.

use steadfast_core::Time;
use steadfast_snmp::wire::{Bind, Body, Packet, Range, Value, WireError, emit, parse, split};
use steadfast_snmp::{Input, Oid, Output, Session, Setting, View};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter_map(|b| char::from(b).to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|p| p[0] << 4 | p[1]).collect()
}

fn oid(text: &str) -> Oid {
    text.parse().expect("name")
}

const ROOT: &str = "1.3.6.1.4.1.9586.100.5.2.3.1";
/// vrrpInstanceBasePriority.1 and vrrpInstanceLvsSyncInterface.1 are asked for, in the order of an x86 and with an empty context.
const GET: &str = "010508000a0000009f050000a00500005c00000000000000090400000100000072250000640000000500000002000000030000000100\
    0000070000000100000000000000090400000100000072250000640000000500000002000000030000000100000011000000010000000000\
    0000";
const GET_NEXT: &str = "010608000a000000a1050000a20500004c000000000000000804000001000000722500006400000005000000020000000300000001\
    00000007000000080400000100000072250000640000000500000002000000030000000100000008000000";
const TEST_SET: &str = "010808000a000000a7050000a8050000340000000000000002000000090400000100000072250000640000000500000002000000\
    0300000001000000070000000100000078000000";
const TEST_TWO: &str = "010808000a000000ab050000ac0500006400000000000000020000000904000001000000722500006400000005000000020000000\
    300000001000000070000000100000078000000020000000904000001000000722500006400000005000000020000000300000001000000\
    030000000100000002000000";
const COMMIT: &str = "010900000a000000a7050000a905000000000000";
const CLEANUP: &str = "010b00000a000000a7050000aa05000000000000";

fn view() -> View {
    let mut v = View::default();
    let table = oid(ROOT);
    v.columns(&table, 2..=35);
    v.row(&table, [1]).gauge(3, 51u32).settable(7, Value::Integer(110), Setting::Priority("VI_A".into()));
    v.row(&table, [2]).settable(7, Value::Integer(100), Setting::Priority("VI_B".into())).int(8, 111);
    v.row(&table, [3]).settable(7, Value::Integer(255), Setting::Priority("owner".into()));
    v
}

fn at(ms: u64) -> Time {
    Time::from_millis(ms)
}

struct Rig {
    session: Session,
    out: Vec<Output>,
    now: u64,
}

impl Rig {
    fn new() -> Self {
        let subtrees = vec![(oid("1.3.6.1.4.1.9586.100.5.2"), "routers")];
        Rig { session: Session::new("test", subtrees, at(0)), out: Vec::new(), now: 0 }
    }

    fn tell(&mut self, input: Input<'_>) {
        self.session.handle(at(self.now), input, &mut self.out);
    }

    fn hear(&mut self, packet: &[u8]) {
        self.tell(Input::Bytes(packet));
    }

    fn poll(&mut self, now: u64) {
        self.now = now;
        self.session.poll(at(now), &mut self.out);
    }

    fn sent(&mut self) -> Vec<Packet> {
        let all = std::mem::take(&mut self.out);
        all.iter().filter_map(|o| if let Output::Send(b) = o { Some(parse(b).expect("ours")) } else { None }).collect()
    }

    fn respond(&mut self, to: &Packet, error: u16) {
        let body = Body::Response { uptime: 500, error, index: 0, binds: Vec::new() };
        let p = Packet { session: 10, transaction: to.transaction, packet: to.packet, body, context: false };
        self.hear(&emit(&p));
    }

    /// An open session; what was registered.
    fn open() -> (Self, Vec<Packet>) {
        let mut rig = Rig::new();
        rig.poll(0);
        assert_eq!(rig.out, [Output::Connect]);
        rig.out.clear();
        rig.tell(Input::Connected);
        let [open] = <[Packet; 1]>::try_from(rig.sent()).expect("an open packet");
        assert!(matches!(&open.body, Body::Open { text, .. } if text == "test"));
        rig.respond(&open, 0);
        let said = rig.sent();
        (rig, said)
    }

    fn ask(&mut self, packet: &str) -> Option<(u16, u16, Vec<Bind>)> {
        self.out.retain(|o| !matches!(o, Output::Send(_)));
        self.hear(&hex(packet));
        self.session.answer(&view(), &mut self.out);
        let at = self.out.iter().rposition(|o| matches!(o, Output::Send(_)))?;
        let Output::Send(bytes) = self.out.remove(at) else { return None };
        match parse(&bytes).expect("ours").body {
            Body::Response { error, index, binds, .. } => Some((error, index, binds)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn packets_of_snmpd_are_read() {
    let p = parse(&hex(GET)).expect("a packet");
    assert_eq!((p.session, p.transaction, p.packet, p.context), (10, 0x59f, 0x5a0, false));
    let name = |n: &str| oid(&format!("{ROOT}.{n}"));
    let range = |n: &str| Range { start: name(n), include: false, end: Oid::default() };
    assert_eq!(p.body, Body::Get(vec![range("7.1"), range("17.1")]));
    let p = parse(&hex(GET_NEXT)).expect("a packet");
    assert_eq!(p.body, Body::GetNext(vec![Range { start: name("7"), include: false, end: name("8") }]));
    let p = parse(&hex(TEST_SET)).expect("a packet");
    assert_eq!(p.body, Body::TestSet(vec![Bind::new(name("7.1"), Value::Integer(120))]));
    assert_eq!(parse(&hex(COMMIT)).expect("a packet").body, Body::CommitSet);
}

#[test]
fn a_packet_cut_anywhere_is_refused() {
    let whole = hex(TEST_TWO);
    assert_eq!(split(&whole), Ok(Some(whole.len())));
    for n in 0..whole.len() {
        assert_ne!(split(&whole[..n]), Ok(Some(whole.len())));
        assert!(parse(&whole[..n]).is_err(), "{n} bytes");
        // The same with a length that fits.
        let mut cut = whole[..n].to_vec();
        if let (Some(place), Some(rest)) = (cut.get_mut(16..20), n.checked_sub(20)) {
            place.copy_from_slice(&(rest as u32).to_le_bytes());
            assert!(rest == 4 || rest == 4 + 48 || parse(&cut).is_err(), "payload of {rest} bytes");
        }
    }
    let mut wrong = whole.clone();
    wrong[0] = 2;
    assert_eq!(split(&wrong), Err(WireError::Version(2)));
    wrong[0] = 1;
    wrong[19] = 1;
    assert_eq!(split(&wrong), Err(WireError::TooLong));
}

#[test]
fn names_are_ordered_number_by_number() {
    let mut names: Vec<Oid> = ["1.3.10", "1.3.9.1", "1.3", "1.3.9", "1.4", "1.3.9.0.7"].map(oid).to_vec();
    names.sort();
    assert_eq!(names, ["1.3", "1.3.9", "1.3.9.0.7", "1.3.9.1", "1.3.10", "1.4"].map(oid));
}

#[test]
fn what_is_registered() {
    let (_, said) = Rig::open();
    let bodies: Vec<&Body> = said.iter().map(|p| &p.body).collect();
    let subtree = oid("1.3.6.1.4.1.9586.100.5.2");
    assert_eq!(
        bodies,
        [
            &Body::Register { priority: 127, subtree: subtree.clone() },
            &Body::AddCaps { id: subtree, text: "routers".into() }
        ]
    );
    assert!(said.iter().all(|p| p.session == 10));
}

#[test]
fn get_next_and_bulk() {
    let (mut rig, _) = Rig::open();
    let name = |n: &str| oid(&format!("{ROOT}.{n}"));
    let (error, _, binds) = rig.ask(GET).expect("an answer");
    assert_eq!(error, 0);
    let want = [Bind::new(name("7.1"), Value::Integer(110)), Bind::new(name("17.1"), Value::NoSuchInstance)];
    assert_eq!(binds, want);
    assert_eq!(view().get(&name("36.1")), Value::NoSuchObject);
    assert_eq!(view().get(&name("7")), Value::NoSuchInstance);
    let (_, _, binds) = rig.ask(GET_NEXT).expect("an answer");
    assert_eq!(binds, [Bind::new(name("7.1"), Value::Integer(110))]);
    let ask = |rig: &mut Rig, body: Body| {
        let p = Packet { session: 10, transaction: 1, packet: 2, body, context: false };
        let text: String = emit(&p).iter().map(|b| format!("{b:02x}")).collect();
        rig.ask(&text).expect("an answer").2
    };
    let range = |n: &str, include, end: &str| Range { start: name(n), include, end: name(end) };
    // The end is not included, the start only where it says so.
    let next = |rig: &mut Rig, r: Range| ask(rig, Body::GetNext(vec![r]));
    assert_eq!(next(&mut rig, range("7.1", true, "8")), [Bind::new(name("7.1"), Value::Integer(110))]);
    assert_eq!(next(&mut rig, range("7.1", false, "8")), [Bind::new(name("7.2"), Value::Integer(100))]);
    assert_eq!(next(&mut rig, range("7.3", false, "8")), [Bind::new(name("7.3"), Value::EndOfView)]);
    assert_eq!(next(&mut rig, range("7.2", false, "7.3")), [Bind::new(name("7.2"), Value::EndOfView)]);
    let ranges = vec![range("3", false, "4"), range("7", false, "8")];
    let got = ask(&mut rig, Body::GetBulk { single: 1, repeat: 10, ranges });
    let want = [
        Bind::new(name("3.1"), Value::Gauge32(51)),
        Bind::new(name("7.1"), Value::Integer(110)),
        Bind::new(name("7.2"), Value::Integer(100)),
        Bind::new(name("7.3"), Value::Integer(255)),
        Bind::new(name("7.3"), Value::EndOfView),
    ];
    assert_eq!(got, want);
    let whole = vec![range("0", false, "99"); 50];
    let got = ask(&mut rig, Body::GetBulk { single: 0, repeat: u16::MAX, ranges: whole });
    assert!(got.len() <= 2100, "{} objects in one answer", got.len());
}

#[test]
fn a_set_is_tested_then_done_and_can_be_undone() {
    let (mut rig, _) = Rig::open();
    assert_eq!(rig.ask(TEST_SET), Some((0, 0, Vec::new())));
    assert!(!rig.out.iter().any(|o| matches!(o, Output::Set(..))), "nothing is done by a test");
    assert_eq!(rig.ask(COMMIT), Some((0, 0, Vec::new())));
    let set = |rig: &mut Rig| -> Vec<Output> { rig.out.drain(..).filter(|o| matches!(o, Output::Set(..))).collect() };
    assert_eq!(set(&mut rig), [Output::Set(Setting::Priority("VI_A".into()), 120)]);
    let undo = COMMIT.replacen("0109", "010a", 1);
    assert_eq!(rig.ask(&undo), Some((0, 0, Vec::new())));
    assert_eq!(set(&mut rig), [Output::Set(Setting::Priority("VI_A".into()), 110)]);
    assert_eq!(rig.ask(CLEANUP), None, "RFC 2741 section 7.2.4.4: no response");
    assert_eq!(rig.ask(COMMIT), Some((14, 0, Vec::new())), "nothing was tested");
    assert_eq!(set(&mut rig), []);
    // The second of two is not writable: notWritable, its number, and nothing of the first.
    assert_eq!(rig.ask(TEST_TWO), Some((17, 2, Vec::new())));
    assert_eq!(rig.ask(&COMMIT.replacen("a7050000", "ab050000", 1)), Some((14, 0, Vec::new())));
}

#[test]
fn values_that_cannot_be_are_refused() {
    let (mut rig, _) = Rig::open();
    let mut test = |n: &str, value: Value| {
        let body = Body::TestSet(vec![Bind::new(oid(&format!("{ROOT}.{n}")), value)]);
        let p = Packet { session: 10, transaction: 1, packet: 2, body, context: false };
        let text: String = emit(&p).iter().map(|b| format!("{b:02x}")).collect();
        rig.ask(&text).expect("an answer").0
    };
    assert_eq!(test("7.1", Value::Integer(0)), 10);
    assert_eq!(test("7.1", Value::Integer(255)), 10);
    assert_eq!(test("7.1", Value::Gauge32(7)), 7);
    assert_eq!(test("7.3", Value::Integer(100)), 12, "an owner's priority is 255");
    assert_eq!(test("7.4", Value::Integer(100)), 17);
    assert_eq!(test("7.1", Value::Integer(254)), 0);
}

#[test]
fn a_master_that_is_gone_is_looked_for_less_and_less_often() {
    let mut rig = Rig::new();
    let mut now = 0;
    let mut tries = Vec::new();
    for _ in 0..8 {
        rig.poll(now);
        assert!(rig.out.contains(&Output::Connect));
        tries.push(now / 1000);
        rig.tell(Input::Lost("no such file"));
        now = rig.session.poll_at().expect("another try").as_nanos() / 1_000_000;
        let logs = rig.out.iter().filter(|o| matches!(o, Output::Log(..))).count();
        assert_eq!(logs, usize::from(tries.len() == 1), "said once");
        rig.out.clear();
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 61, 91]);
}

#[test]
fn after_a_loss_all_is_registered_again() {
    let (mut rig, first) = Rig::open();
    rig.now = 5000;
    rig.tell(Input::Lost("closed"));
    assert!(rig.out.contains(&Output::Close) && !rig.session.is_open());
    rig.out.clear();
    rig.poll(6000);
    rig.tell(Input::Connected);
    let open = rig.sent().remove(0);
    rig.respond(&open, 0);
    let again: Vec<Body> = rig.sent().into_iter().map(|p| p.body).collect();
    assert_eq!(again, first.into_iter().map(|p| p.body).collect::<Vec<_>>());
}

#[test]
fn a_silent_master_is_pinged_and_given_up() {
    let (mut rig, _) = Rig::open();
    rig.poll(14_999);
    assert_eq!(rig.sent(), []);
    rig.poll(15_000);
    let ping = rig.sent().remove(0);
    assert_eq!(ping.body, Body::Ping);
    rig.now = 16_000;
    rig.respond(&ping, 0);
    rig.poll(31_000);
    assert_eq!(rig.sent().len(), 1);
    rig.poll(36_000);
    assert!(!rig.session.is_open());
}

#[test]
fn a_subtree_that_somebody_else_has_is_asked_for_again() {
    let (mut rig, said) = Rig::open();
    rig.respond(&said[0], 263);
    assert!(matches!(&rig.out[0], Output::Log(true, text) if text.contains("somebody else serves it")));
    rig.out.clear();
    assert!(rig.session.is_open());
    for now in [15_000, 20_000, 35_000, 50_000] {
        rig.poll(now);
        let pings = rig.sent();
        pings.iter().for_each(|p| rig.respond(p, 0));
    }
    rig.poll(60_000);
    assert!(rig.sent().iter().any(|p| matches!(p.body, Body::Register { .. })));
}

#[test]
fn bytes_that_are_no_packet_end_the_session_and_nothing_else() {
    let (mut rig, _) = Rig::open();
    rig.hear(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(!rig.session.is_open() && rig.out.contains(&Output::Close));
}

#[test]
fn notifications_wait_for_a_session_but_not_for_long() {
    let mut rig = Rig::new();
    let bind = |n| vec![Bind::new(oid("1.3.6.1.6.3.1.1.4.1.0"), Value::Integer(n))];
    rig.session.notify(at(0), bind(1), &mut rig.out);
    rig.session.notify(at(20_000), bind(2), &mut rig.out);
    rig.poll(40_000);
    rig.tell(Input::Connected);
    let open = rig.sent().remove(0);
    rig.respond(&open, 0);
    let told: Vec<Body> = rig.sent().into_iter().map(|p| p.body).filter(|b| matches!(b, Body::Notify(_))).collect();
    assert_eq!(told, [Body::Notify(bind(2))]);
    rig.session.notify(at(41_000), bind(3), &mut rig.out);
    assert_eq!(rig.sent().remove(0).body, Body::Notify(bind(3)));
}

#[test]
fn requests_of_a_stranger_session_or_context_are_refused() {
    let (mut rig, _) = Rig::open();
    let p = Packet { session: 11, transaction: 1, packet: 2, body: Body::Get(Vec::new()), context: false };
    rig.hear(&emit(&p));
    assert!(matches!(rig.sent().remove(0).body, Body::Response { error: 257, .. }));
    // "ctx" as the name of a context.
    rig.hear(&hex("010508000a000000010000000200000008000000 03000000 63747800"));
    assert!(matches!(rig.sent().remove(0).body, Body::Response { error: 262, .. }));
    assert!(!rig.session.waiting());
}

#[test]
fn the_masters_clock_is_known() {
    let (rig, _) = Rig::open();
    assert_eq!(rig.session.uptime(at(0)), 500);
    assert_eq!(rig.session.uptime(at(1250)), 625);
}
